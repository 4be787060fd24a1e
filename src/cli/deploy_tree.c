/* A tree of files: reading a folder without following links, and what both sources must obey. */
#include "cli/deploy_internal.h"

#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    struct deploy_tree *tree;
    int copy_fd;
    char path[DEPLOY_PATH_BYTES_MAX + 1];
    uint8_t step[DEPLOY_STEP_BYTES];
};

char *weir__deploy_escape(const void *bytes, size_t size)
{
    static const char DIGITS[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    char *text = malloc(size * 4 + 1);
    char *to = text;
    if (text == NULL)
        return NULL;
    bool is_utf8 = weir_utf8_valid_prefix(from, size) == size;
    for (size_t i = 0; i < size; i++) {
        if (from[i] >= ' ' && from[i] != 0x7f && from[i] != '\\' && (is_utf8 || from[i] < 0x80)) {
            *to++ = (char)from[i];
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = DIGITS[from[i] >> 4];
        *to++ = DIGITS[from[i] & 15];
    }
    *to = '\0';
    return text;
}

void weir__deploy_tree_done(struct deploy_tree *tree)
{
    if (tree == NULL)
        return;
    for (uint32_t i = 0; i < tree->count; i++)
        free(tree->files[i].path);
    for (uint32_t i = 0; i < tree->left_out_count; i++)
        free(tree->left_out[i].path);
    free(tree->files);
    free(tree->left_out);
    *tree = (struct deploy_tree){0};
}

/* What is wrong with a path; NULL: nothing. */
static const char *path_fault(const char *path)
{
    size_t size = strlen(path);
    if (size == 0 || size > DEPLOY_PATH_BYTES_MAX)
        return size == 0 ? "is empty" : "is longer than 4095 bytes";
    if (path[0] == '/')
        return "is absolute";
    if (weir_utf8_valid_prefix((const uint8_t *)path, size) != size)
        return "is not UTF-8";
    for (const char *at = path;; at++) {
        size_t part = strcspn(at, "/");
        if (part == 0 || (part == 1 && at[0] == '.') || (part == 2 && memcmp(at, "..", 2) == 0))
            return "has an empty component, '.' or '..'";
        at += part;
        if (*at == '\0')
            return NULL;
    }
}

/* Room for one more of `size` bytes each. */
static bool make_room(void **items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    uint32_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *moved = reallocarray(*items, wanted, size);
    if (moved == NULL)
        return false;
    *items = moved;
    *capacity = wanted;
    return true;
}

static enum weir_status no_memory(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the list of files");
}

enum weir_status weir__deploy_tree_add(struct deploy_tree *tree, const struct deploy_file *file,
                                       struct weir_error *error)
{
    const char *fault = path_fault(file->path);
    if (fault != NULL) {
        char *shown = weir__deploy_escape(file->path, strnlen(file->path, 100));
        enum weir_status status = weir_error_set(error, WEIR_INVALID, WEIR_NO_OFFSET,
                                                 "the path \"%.160s\" %s", shown ? shown : "?",
                                                 fault);
        free(shown);
        return status;
    }
    size_t size = strlen(file->path) + 1;
    if (tree->count >= DEPLOY_FILES_MAX || tree->path_bytes + size > DEPLOY_PATHS_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "more than %u files, or than 64 MiB of paths", DEPLOY_FILES_MAX);
    if (file->bytes > DEPLOY_TREE_BYTES_MAX || tree->bytes > DEPLOY_TREE_BYTES_MAX - file->bytes)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "more than 64 GiB of files, \"%.100s\" included", file->path);
    char *path = strdup(file->path);
    if (path == NULL ||
        !make_room((void **)&tree->files, tree->count, &tree->capacity, sizeof *file)) {
        free(path);
        return no_memory(error);
    }
    tree->files[tree->count] = *file;
    tree->files[tree->count++].path = path;
    tree->bytes += file->bytes;
    tree->path_bytes += size;
    return WEIR_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct deploy_file *)a)->path, ((const struct deploy_file *)b)->path);
}

static int compare_left_out(const void *a, const void *b)
{
    return strcmp(((const struct deploy_left_out *)a)->path,
                  ((const struct deploy_left_out *)b)->path);
}

void weir__deploy_tree_sort(struct deploy_tree *tree)
{
    if (tree->count > 1)
        qsort(tree->files, tree->count, sizeof tree->files[0], compare);
    if (tree->left_out_count > 1)
        qsort(tree->left_out, tree->left_out_count, sizeof tree->left_out[0], compare_left_out);
}

static enum weir_status leave_out(struct deploy_tree *tree, const char *path, const char *reason,
                                  struct weir_error *error)
{
    char *escaped = weir__deploy_escape(path, strlen(path));
    if (tree->left_out_count >= DEPLOY_FILES_MAX) {
        free(escaped);
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "more than %u links and special files", DEPLOY_FILES_MAX);
    }
    if (escaped == NULL || !make_room((void **)&tree->left_out, tree->left_out_count,
                                      &tree->left_out_capacity, sizeof tree->left_out[0])) {
        free(escaped);
        return no_memory(error);
    }
    tree->left_out[tree->left_out_count++] = (struct deploy_left_out){escaped, reason};
    return WEIR_OK;
}

/* --- a folder ------------------------------------------------------------------------------ */

static enum weir_status io_error(const struct walk *walk, const char *what,
                                 struct weir_error *error)
{
    return weir_error_set_errno(error, WEIR_IO, errno, "cannot %s \"%.160s\"", what, walk->path);
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        size -= (size_t)done;
    }
    return true;
}

/* The hash, and a copy where one is wanted. */
static enum weir_status read_contents(struct walk *walk, int fd, int copy, struct deploy_file *file,
                                      struct weir_error *error)
{
    AUTO(weir_hash_state) *state = NULL;
    uint64_t seen = 0;
    enum weir_status status = weir_hash_new(NULL, 0, &state, error);
    while (status == WEIR_OK) {
        ssize_t got = read(fd, walk->step, sizeof walk->step);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return io_error(walk, "read", error);
        if (got == 0)
            break;
        seen += (uint64_t)got;
        if (copy >= 0 && !write_all(copy, walk->step, (size_t)got))
            return io_error(walk, "copy", error);
        status = weir_hash_add(state, walk->step, (size_t)got, error);
        if (seen > file->bytes)
            break;
    }
    if (status == WEIR_OK && seen != file->bytes)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "\"%.160s\" changed while it was read", walk->path);
    return status == WEIR_OK ? weir_hash_end(state, &file->hash, error) : status;
}

static enum weir_status add_file(struct walk *walk, int folder, const char *name,
                                 struct weir_error *error)
{
    struct stat st;
    AUTO_CLOSE copy = -1;
    AUTO_CLOSE fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return io_error(walk, "open", error);
    if (!S_ISREG(st.st_mode))
        return leave_out(walk->tree, walk->path, "special file", error);
    struct deploy_file file = {
        .path = walk->path,
        .bytes = (uint64_t)st.st_size,
        .inode = st.st_ino,
        .mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
        .number = walk->tree->count};
    char number[16];
    (void)snprintf(number, sizeof number, "%u", file.number);
    if (walk->copy_fd >= 0) {
        copy = openat(walk->copy_fd, number, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (copy < 0)
            return io_error(walk, "copy", error);
    }
    enum weir_status status = read_contents(walk, fd, copy, &file, error);
    return status == WEIR_OK ? weir__deploy_tree_add(walk->tree, &file, error) : status;
}

static enum weir_status walk_folder(struct walk *walk, int fd, unsigned depth,
                                    struct weir_error *error);

static enum weir_status enter_folder(struct walk *walk, int folder, const char *name,
                                     unsigned depth, struct weir_error *error)
{
    if (depth >= DEPLOY_DEPTH_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "\"%.160s\": more than %u folders within each other", walk->path,
                              DEPLOY_DEPTH_MAX);
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? io_error(walk, "open", error) : walk_folder(walk, fd, depth + 1, error);
}

static enum weir_status add_entry(struct walk *walk, int folder, const char *name, unsigned depth,
                                  struct weir_error *error)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return io_error(walk, "look at", error);
    if (S_ISLNK(st.st_mode))
        return leave_out(walk->tree, walk->path, "link", error);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return leave_out(walk->tree, walk->path, "special file", error);
    if (weir_utf8_valid_prefix((const uint8_t *)name, strlen(name)) != strlen(name))
        return leave_out(walk->tree, walk->path, "name is not UTF-8", error);
    return S_ISDIR(st.st_mode) ? enter_folder(walk, folder, name, depth, error)
                               : add_file(walk, folder, name, error);
}

/* Closes `fd`. */
static enum weir_status walk_folder(struct walk *walk, int fd, unsigned depth,
                                    struct weir_error *error)
{
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        enum weir_status status = io_error(walk, "list", error);
        (void)close(fd);
        return status;
    }
    size_t length = strlen(walk->path);
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            status = errno != 0 ? io_error(walk, "list", error) : WEIR_OK;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int size = snprintf(walk->path + length, sizeof walk->path - length, "%s%s",
                            length == 0 ? "" : "/", entry->d_name);
        if (size < 0 || (size_t)size >= sizeof walk->path - length)
            status = weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                    "a path below \"%.100s\" is longer than %u bytes", walk->path,
                                    DEPLOY_PATH_BYTES_MAX);
        else
            status = add_entry(walk, dirfd(stream), entry->d_name, depth, error);
        walk->path[length] = '\0';
    }
    (void)closedir(stream);
    return status;
}

enum weir_status weir__deploy_tree_read(const char *folder, int copy_fd, struct deploy_tree *ret,
                                        struct weir_error *error)
{
    struct deploy_tree tree = {0};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return weir_error_set_errno(error, errno == ENOENT ? WEIR_NOT_FOUND : WEIR_IO, errno,
                                    "cannot open the folder %.160s", folder);
    struct walk *walk = calloc(1, sizeof *walk);
    if (walk == NULL) {
        (void)close(fd);
        return no_memory(error);
    }
    walk->tree = &tree;
    walk->copy_fd = copy_fd;
    enum weir_status status = walk_folder(walk, fd, 0, error);
    free(walk);
    if (status != WEIR_OK) {
        weir__deploy_tree_done(&tree);
        return status;
    }
    weir__deploy_tree_sort(&tree);
    *ret = tree;
    return WEIR_OK;
}
