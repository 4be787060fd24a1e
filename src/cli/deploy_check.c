/* Is a build reproducible? It runs twice; files that differ are named, with the first byte that
 * does and what it looks like. The first build's files are kept meanwhile, in a folder of $TMPDIR.
 *
 * Causes are guesses from the bytes around the first difference, and say "unknown" otherwise. */
#include "cli/deploy_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct check {
    char copies[4096]; /* the folder of the first build's files */
    int copies_fd;
    const char *folder;
    struct deploy_tree first, second;
    json_t *different, *only_first, *only_second;
    uint64_t not_built_again;
};

/* --- building ------------------------------------------------------------------------------ */

/* What the command prints goes to stderr: stdout is ours. */
static enum weir_status build(const char *command, struct weir_error *error)
{
    char *const words[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int ended = 0;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0) {
        failed = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        if (failed == 0)
            failed = posix_spawn(&pid, "/bin/sh", &actions, NULL, words, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_IO, failed, "cannot start /bin/sh");
    while (waitpid(pid, &ended, 0) < 0)
        if (errno != EINTR)
            return weir_error_set_errno(error, WEIR_IO, errno, "waiting for the build");
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0)
        return WEIR_OK;
    return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "'%.120s' ended with %s %d", command,
                          WIFEXITED(ended) ? "exit code" : "signal",
                          WIFEXITED(ended) ? WEXITSTATUS(ended) : WTERMSIG(ended));
}

static enum weir_status open_copies(struct check *check, struct weir_error *error)
{
    const char *folder = getenv("TMPDIR");
    if (folder == NULL || folder[0] == '\0')
        folder = "/tmp";
    int size = snprintf(check->copies, sizeof check->copies, "%s/weir-deploy-XXXXXX", folder);
    if (size < 0 || (size_t)size >= sizeof check->copies || mkdtemp(check->copies) == NULL) {
        check->copies[0] = '\0';
        return weir_error_set_errno(error, WEIR_IO, errno, "no folder for copies in %.100s",
                                    folder);
    }
    check->copies_fd = open(check->copies, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return check->copies_fd >= 0
               ? WEIR_OK
               : weir_error_set_errno(error, WEIR_IO, errno, "cannot open %.160s", check->copies);
}

static void close_copies(struct check *check)
{
    for (uint32_t i = 0; check->copies_fd >= 0; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", i);
        if (unlinkat(check->copies_fd, number, 0) != 0)
            break;
    }
    if (check->copies_fd >= 0)
        (void)close(check->copies_fd);
    if (check->copies[0] != '\0')
        (void)rmdir(check->copies);
}

/* --- differences --------------------------------------------------------------------------- */

struct look {
    uint8_t bytes[2 * DEPLOY_LOOK_BYTES];
    size_t size;
    size_t at;       /* of the first difference, in bytes */
    uint8_t head[4]; /* of the file */
};

/* The bytes around an offset, as many as there are. */
static void look_at(int fd, uint64_t offset, struct look *ret)
{
    uint64_t from = offset > DEPLOY_LOOK_BYTES ? offset - DEPLOY_LOOK_BYTES : 0;
    ssize_t got = pread(fd, ret->bytes, sizeof ret->bytes, (off_t)from);
    ret->size = got > 0 ? (size_t)got : 0;
    ret->at = (size_t)(offset - from);
    memset(ret->head, 0, sizeof ret->head);
    (void)!pread(fd, ret->head, sizeof ret->head, 0);
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-';
}

static bool is_of_date(uint8_t c)
{
    return is_digit(c) || c == '-' || c == ':' || c == 'T' || c == 'Z' || c == '.' || c == '+' ||
           c == ' ';
}

static bool is_of_path(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\'';
}

/* The run of such bytes that the difference is in; it may be empty. */
static size_t run_around(const struct look *look, bool (*belongs)(uint8_t c), const uint8_t **ret)
{
    size_t begin = look->at;
    size_t end = look->at;
    while (begin > 0 && belongs(look->bytes[begin - 1]))
        begin--;
    while (end < look->size && belongs(look->bytes[end]))
        end++;
    *ret = look->bytes + begin;
    return end - begin;
}

/* 2026-11-28 somewhere in it. */
static bool has_date(const struct look *look)
{
    const uint8_t *run;
    size_t size = run_around(look, is_of_date, &run);
    for (size_t i = 0; i + 10 <= size; i++)
        if (is_digit(run[i]) && is_digit(run[i + 3]) && run[i + 4] == '-' && is_digit(run[i + 5]) &&
            is_digit(run[i + 6]) && run[i + 7] == '-' && is_digit(run[i + 9]))
            return true;
    return false;
}

/* Seconds, milliseconds, microseconds or nanoseconds since 1970; until 2033. */
static bool is_epoch(const struct look *look)
{
    const uint8_t *run;
    size_t size = run_around(look, is_digit, &run);
    return (size == 10 || size == 13 || size == 16 || size == 19) && run[0] == '1';
}

static bool is_identifier(const struct look *look)
{
    const uint8_t *run;
    return run_around(look, is_hex, &run) >= 8;
}

static bool is_temporary_path(const struct look *look)
{
    const uint8_t *run;
    size_t size = run_around(look, is_of_path, &run);
    return memmem(run, size, "/tmp/", 5) != NULL;
}

static bool begins(const struct look *look, const char *magic)
{
    return memcmp(look->head, magic, strlen(magic)) == 0;
}

/* The same bytes, each as often, is what an order that varies leaves. */
static bool is_permuted(int first, int second)
{
    static uint8_t step[DEPLOY_STEP_BYTES];
    int64_t counts[256] = {0};
    for (int side = 0; side < 2; side++) {
        ssize_t got;
        for (off_t at = 0; (got = pread(side == 0 ? first : second, step, sizeof step, at)) > 0;
             at += got)
            for (ssize_t i = 0; i < got; i++)
                counts[step[i]] += side == 0 ? 1 : -1;
    }
    for (int i = 0; i < 256; i++)
        if (counts[i] != 0)
            return false;
    return true;
}

static const char *cause_of(const struct look *a, const struct look *b, uint64_t offset, int first,
                            int second)
{
    if (begins(a, "\x1f\x8b") && begins(b, "\x1f\x8b") && offset >= 4 && offset < 8)
        return "time stamp of gzip";
    if (begins(a, "PK\3\4") && begins(b, "PK\3\4") && offset >= 10 && offset < 14)
        return "time stamp of zip";
    if ((has_date(a) && has_date(b)) || (is_epoch(a) && is_epoch(b)))
        return "time stamp";
    if (is_temporary_path(a) && is_temporary_path(b))
        return "name of a temporary folder";
    if (is_permuted(first, second))
        return "order: the same bytes, arranged otherwise";
    if (is_identifier(a) && is_identifier(b))
        return "identifier or hash";
    return "unknown";
}

/* Where the files part; SIZE_MAX when a read fails or they are equal. */
static uint64_t first_difference(int a, int b)
{
    static uint8_t steps[2][DEPLOY_STEP_BYTES];
    for (uint64_t at = 0;; at += DEPLOY_STEP_BYTES) {
        ssize_t got_a = pread(a, steps[0], DEPLOY_STEP_BYTES, (off_t)at);
        ssize_t got_b = pread(b, steps[1], DEPLOY_STEP_BYTES, (off_t)at);
        ssize_t both = got_a < got_b ? got_a : got_b;
        for (ssize_t i = 0; i < both; i++)
            if (steps[0][i] != steps[1][i])
                return at + (uint64_t)i;
        if (both < 0 || got_a != got_b)
            return both < 0 ? UINT64_MAX : at + (uint64_t)both;
        if (both == 0)
            return UINT64_MAX;
    }
}

static json_t *shown(const struct look *look)
{
    size_t size = look->size > look->at ? look->size - look->at : 0;
    char *text = weir__deploy_escape(look->bytes + look->at,
                                     size < DEPLOY_SHOWN_BYTES ? size : DEPLOY_SHOWN_BYTES);
    json_t *string = json_string(text != NULL ? text : "");
    free(text);
    return string;
}

static enum weir_status note_difference(struct check *check, const struct deploy_file *first,
                                        const struct deploy_file *second, struct weir_error *error)
{
    char path[2 * 4096];
    char number[16];
    (void)snprintf(number, sizeof number, "%u", first->number);
    (void)snprintf(path, sizeof path, "%s/%s", check->folder, second->path);
    AUTO_CLOSE a = openat(check->copies_fd, number, O_RDONLY | O_CLOEXEC);
    AUTO_CLOSE b = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (a < 0 || b < 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot open \"%.160s\" again", path);
    uint64_t offset = first_difference(a, b);
    if (offset == UINT64_MAX)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "\"%.160s\" changed while it was compared", path);
    struct look looks[2];
    look_at(a, offset, &looks[0]);
    look_at(b, offset, &looks[1]);
    (void)json_array_append_new(
        check->different,
        json_pack("{s:s,s:I,s:s,s:o,s:o}", "path", second->path, "offset", (json_int_t)offset,
                  "cause", cause_of(&looks[0], &looks[1], offset, a, b), "first", shown(&looks[0]),
                  "second", shown(&looks[1])));
    return WEIR_OK;
}

/* The file of the other build with the same bytes: only the name varies. */
static const char *same_bytes(const struct deploy_tree *tree, const struct deploy_file *file)
{
    for (uint32_t i = 0; i < tree->count; i++)
        if (weir_hash_equal(&tree->files[i].hash, &file->hash))
            return tree->files[i].path;
    return NULL;
}

static void note_alone(json_t *list, const struct deploy_tree *other,
                       const struct deploy_file *file)
{
    const char *twin = same_bytes(other, file);
    json_t *object = json_pack("{s:s}", "path", file->path);
    if (twin != NULL)
        (void)json_object_set_new(object, "same_bytes_as", json_string(twin));
    (void)json_array_append_new(list, object);
}

static enum weir_status compare_builds(struct check *check, struct weir_error *error)
{
    const struct deploy_tree *first = &check->first;
    const struct deploy_tree *second = &check->second;
    uint32_t a = 0;
    uint32_t b = 0;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && (a < first->count || b < second->count)) {
        const struct deploy_file *one = a < first->count ? &first->files[a] : NULL;
        const struct deploy_file *two = b < second->count ? &second->files[b] : NULL;
        int order = one == NULL ? 1 : two == NULL ? -1 : strcmp(one->path, two->path);
        if (order < 0)
            note_alone(check->only_first, second, one);
        else if (order > 0)
            note_alone(check->only_second, first, two);
        else if (!weir_hash_equal(&one->hash, &two->hash))
            status = note_difference(check, one, two, error);
        else if (one->inode == two->inode && one->mtime_ns == two->mtime_ns)
            check->not_built_again++;
        a += order <= 0;
        b += order >= 0;
    }
    return status;
}

static enum weir_status build_twice(struct check *check, const char *command,
                                    struct weir_error *error)
{
    enum weir_status status = open_copies(check, error);
    if (status == WEIR_OK)
        status = build(command, error);
    if (status == WEIR_OK)
        status = weir__deploy_tree_read(check->folder, check->copies_fd, &check->first, error);
    if (status == WEIR_OK)
        status = build(command, error);
    if (status == WEIR_OK)
        status = weir__deploy_tree_read(check->folder, -1, &check->second, error);
    return status == WEIR_OK ? compare_builds(check, error) : status;
}

enum weir_status weir__deploy_check(const char *command, const char *folder, json_t **ret_check,
                                    struct weir_error *error)
{
    struct check check = {.copies_fd = -1,
                          .folder = folder,
                          .different = json_array(),
                          .only_first = json_array(),
                          .only_second = json_array()};
    enum weir_status status = build_twice(&check, command, error);
    size_t differences = json_array_size(check.different) + json_array_size(check.only_first) +
                         json_array_size(check.only_second);
    *ret_check = json_pack("{s:s,s:b,s:I,s:I,s:o,s:o,s:o}", "command", command, "is_reproducible",
                           (int)(differences == 0), "files", (json_int_t)check.second.count,
                           "not_built_again", (json_int_t)check.not_built_again, "different",
                           check.different, "only_first", check.only_first, "only_second",
                           check.only_second);
    close_copies(&check);
    weir__deploy_tree_done(&check.first);
    weir__deploy_tree_done(&check.second);
    if (status == WEIR_OK && *ret_check == NULL)
        status = weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                "the command is not UTF-8");
    if (status != WEIR_OK) {
        json_decref(*ret_check);
        *ret_check = NULL;
    }
    return status;
}

/* --- text ---------------------------------------------------------------------------------- */

static void print_path(const char *what, const json_t *object)
{
    const char *path = json_string_value(json_object_get(object, "path"));
    char *escaped = weir__deploy_escape(path, strlen(path));
    printf("  %-11s %s", what, escaped != NULL ? escaped : "?");
    free(escaped);
}

static void print_alone(const char *what, const json_t *list)
{
    size_t index;
    json_t *object;
    json_array_foreach((json_t *)(uintptr_t)list, index, object)
    {
        print_path(what, object);
        const char *twin = json_string_value(json_object_get(object, "same_bytes_as"));
        if (twin != NULL) {
            char *escaped = weir__deploy_escape(twin, strlen(twin));
            printf(": only the name varies, %s has the same bytes", escaped);
            free(escaped);
        }
        printf("\n");
    }
}

void weir__deploy_print_check(const json_t *check)
{
    size_t index;
    json_t *object;
    long long not_again = json_integer_value(json_object_get(check, "not_built_again"));
    long long files = json_integer_value(json_object_get(check, "files"));
    bool is_good = json_is_true(json_object_get(check, "is_reproducible"));
    printf("built twice: %s\n", !is_good ? "not reproducible" : "the same files, byte by byte");
    json_array_foreach(json_object_get(check, "different"), index, object)
    {
        print_path("differs", object);
        printf("\n    from byte %lld on: %s\n      first  %s\n      second %s\n",
               json_integer_value(json_object_get(object, "offset")),
               json_string_value(json_object_get(object, "cause")),
               json_string_value(json_object_get(object, "first")),
               json_string_value(json_object_get(object, "second")));
    }
    print_alone("only first", json_object_get(check, "only_first"));
    print_alone("only second", json_object_get(check, "only_second"));
    if (not_again > 0)
        printf("  %lld of %lld files were not written by the second build: nothing is known of "
               "them; let the command clean the folder\n",
               not_again, files);
    printf("\n");
}
