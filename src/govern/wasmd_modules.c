/* Walks a folder of compiled modules: modules/VERSION[/TARGET]/CHECKSUM[.module]. What is not named
 * like a module is not one; links are not followed. */
#include "govern/wasmd_plan.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/named_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENGINE_BYTES UINT64_C(10240) /* cosmwasm-vm's constant for the engine of a module */
#define ENTRY_BYTES UINT64_C(33)     /* the key, and the LRU's own 1 */
#define ENTRIES_BYTES 32768

struct walk {
    struct weir_io *io;
    struct weir_wasmd_modules *modules;
    size_t capacity;
    const char *root; /* for messages */
    struct weir_error *error;
};

/* What getdents64 fills; the kernel's layout, which glibc's struct dirent64 shares on 64 bit. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
} __attribute__((packed));

typedef enum weir_status visitor(struct walk *walk, int dir, const char *name, void *context);

static enum weir_status walk_error(struct walk *walk, int number, const char *name)
{
    return weir_error_set_errno(walk->error, weir_named_file_status(number), number,
                                "cannot read %.120s (%.64s)", walk->root, name);
}

static enum weir_status for_each(struct walk *walk, int dir, visitor *visit, void *context)
{
    AUTO_FREE char *bytes = malloc(ENTRIES_BYTES);
    if (bytes == NULL)
        return weir_error_set(walk->error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to read %.120s", walk->root);
    for (;;) {
        long got = weir_io_getdents(walk->io, dir, bytes, ENTRIES_BYTES);
        if (got < 0)
            return walk_error(walk, (int)-got, "its entries");
        if (got == 0)
            return WEIR_OK;
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(const void *)(bytes + at);
            at += entry->size;
            enum weir_status status =
                entry->name[0] == '.' ? WEIR_OK : visit(walk, dir, entry->name, context);
            if (status != WEIR_OK)
                return status;
        }
    }
}

/* --- modules ------------------------------------------------------------------------------- */

/* "CHECKSUM" or "CHECKSUM.module". */
static bool read_checksum(const char *name, uint8_t ret_checksum[WEIR_HASH_SIZE])
{
    size_t digits = strcspn(name, ".");
    return weir_hex_read(name, digits, ret_checksum, WEIR_HASH_SIZE) &&
           (name[digits] == 0 || strcmp(name + digits, ".module") == 0);
}

static bool grow(struct weir_wasmd_modules *all, size_t *capacity)
{
    size_t larger = *capacity * 2 + 256;
    struct weir_wasmd_module *grown = reallocarray(all->modules, larger, sizeof *grown);
    if (grown == NULL)
        return false;
    all->modules = grown;
    *capacity = larger;
    return true;
}

static enum weir_status add_module(struct walk *walk, const struct weir_wasmd_module *module)
{
    struct weir_wasmd_modules *all = walk->modules;
    if (all->module_count == WEIR_WASMD_MODULES_MAX)
        return weir_error_set(walk->error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "%.120s has more than %u modules", walk->root,
                              WEIR_WASMD_MODULES_MAX);
    if (all->module_count == walk->capacity && !grow(all, &walk->capacity))
        return weir_error_set(walk->error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for the modules of %.120s", walk->root);
    all->modules[all->module_count++] = *module;
    return WEIR_OK;
}

static enum weir_status add_folder(struct walk *walk, const char *version, const char *target)
{
    struct weir_wasmd_modules *all = walk->modules;
    if (all->folder_count == WEIR_WASMD_FOLDERS_MAX)
        return weir_error_set(walk->error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "%.120s has more than %u folders", walk->root,
                              WEIR_WASMD_FOLDERS_MAX);
    struct weir_wasmd_folder *folder = &all->folders[all->folder_count++];
    *folder = (struct weir_wasmd_folder){0};
    (void)snprintf(folder->version, sizeof folder->version, "%.63s", version);
    (void)snprintf(folder->target, sizeof folder->target, "%.95s", target);
    return WEIR_OK;
}

struct place {
    const char *version;
    const char *target;
    size_t folder; /* SIZE_MAX until the first module is met */
    unsigned depth;
};

static enum weir_status visit_inside(struct walk *walk, int dir, const char *name, void *context);

static enum weir_status enter(struct walk *walk, int dir, const char *name, struct place *place)
{
    AUTO_CLOSE fd = weir_io_open(walk->io, dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0)
        return walk_error(walk, -fd, name);
    return for_each(walk, fd, visit_inside, place);
}

static enum weir_status visit_inside(struct walk *walk, int dir, const char *name, void *context)
{
    struct place *place = context;
    struct stat st;
    int failed = weir_io_fstatat(walk->io, dir, name, &st, AT_SYMLINK_NOFOLLOW);
    if (failed == -ENOENT)
        return WEIR_OK; /* the node took it away meanwhile */
    if (failed < 0)
        return walk_error(walk, -failed, name);
    if (S_ISDIR(st.st_mode)) {
        if (place->depth == WEIR_WASMD_DEPTH_MAX)
            return WEIR_OK;
        struct place below = {place->version, name, SIZE_MAX, place->depth + 1};
        return enter(walk, dir, name, &below);
    }
    struct weir_wasmd_module module = {.bytes = (uint64_t)st.st_size};
    if (!S_ISREG(st.st_mode) || !read_checksum(name, module.checksum))
        return WEIR_OK;
    if (place->folder == SIZE_MAX) {
        enum weir_status status = add_folder(walk, place->version, place->target);
        if (status != WEIR_OK)
            return status;
        place->folder = walk->modules->folder_count - 1;
    }
    module.folder = (uint32_t)place->folder;
    module.weight = module.bytes + ENGINE_BYTES + ENTRY_BYTES;
    struct weir_wasmd_folder *folder = &walk->modules->folders[place->folder];
    folder->count++;
    folder->bytes += module.bytes;
    folder->disk_bytes += (uint64_t)st.st_blocks * 512;
    folder->weight += module.weight;
    folder->largest = module.weight > folder->largest ? module.weight : folder->largest;
    folder->newest = st.st_mtim.tv_sec > folder->newest ? st.st_mtim.tv_sec : folder->newest;
    return add_module(walk, &module);
}

static enum weir_status visit_version(struct walk *walk, int dir, const char *name, void *context)
{
    (void)context;
    struct stat st;
    if (weir_io_fstatat(walk->io, dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return WEIR_OK;
    struct place place = {name, "", SIZE_MAX, 1};
    return enter(walk, dir, name, &place);
}

/* --- the whole ----------------------------------------------------------------------------- */

static int compare_folders(const void *a, const void *b)
{
    const struct weir_wasmd_folder *left = a, *right = b;
    int order = strverscmp(left->version, right->version);
    return order != 0 ? order : strcmp(left->target, right->target);
}

static int compare_modules(const void *a, const void *b)
{
    const struct weir_wasmd_module *left = a, *right = b;
    return memcmp(left->checksum, right->checksum, sizeof left->checksum);
}

static bool is_used(const struct weir_wasmd_folder *folder, const struct weir_wasmd_folder *best)
{
    return folder->newest > best->newest ||
           (folder->newest == best->newest && compare_folders(folder, best) > 0);
}

/* Keeps the modules of the newest folder, then sorts both lists. */
static void finish(struct weir_wasmd_modules *all)
{
    WEIR_ASSERT(all->modules != NULL); /* a folder is listed with its first module */
    size_t used = 0;
    for (size_t i = 1; i < all->folder_count; i++)
        if (is_used(&all->folders[i], &all->folders[used]))
            used = i;
    size_t kept = 0;
    for (size_t i = 0; i < all->module_count; i++)
        if (all->modules[i].folder == used)
            all->modules[kept++] = all->modules[i];
    all->module_count = kept;
    qsort(all->modules, kept, sizeof *all->modules, compare_modules);
    const struct weir_wasmd_folder chosen = all->folders[used];
    qsort(all->folders, all->folder_count, sizeof *all->folders, compare_folders);
    for (size_t i = 0; i < all->folder_count; i++)
        if (compare_folders(&all->folders[i], &chosen) == 0)
            all->used = i;
}

/* The folder itself, or where a node's home has it. */
static int open_root(struct weir_io *io, const char *path)
{
    static const char *const PLACES[] = {"wasm/wasm/cache/modules", "wasm/cache/modules",
                                         "cache/modules"};
    int top = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (top < 0)
        return top;
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        int fd = weir_io_open(io, top, PLACES[i], O_RDONLY | O_DIRECTORY, 0);
        if (fd >= 0) {
            (void)weir_io_close(io, top);
            return fd;
        }
    }
    return top;
}

enum weir_status weir_wasmd_modules_read(const char *path, struct weir_wasmd_modules *ret_modules,
                                         struct weir_error *error)
{
    struct weir_wasmd_modules modules = {.used = SIZE_MAX};
    struct walk walk = {.io = weir_io_system(), .modules = &modules, .root = path, .error = error};
    AUTO_CLOSE root = open_root(walk.io, path);
    if (root < 0)
        return walk_error(&walk, -root, "--modules");
    modules.folders = calloc(WEIR_WASMD_FOLDERS_MAX, sizeof *modules.folders);
    enum weir_status status =
        modules.folders == NULL
            ? weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for %.120s", path)
            : for_each(&walk, root, visit_version, NULL);
    if (status == WEIR_OK && modules.folder_count == 0)
        status = weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                                "%.120s holds no compiled modules (VERSION/TARGET/CHECKSUM); it is "
                                "HOME/wasm/wasm/cache/modules on most chains",
                                path);
    if (status != WEIR_OK) {
        weir_wasmd_modules_done(&modules);
        return status;
    }
    finish(&modules);
    *ret_modules = modules;
    return WEIR_OK;
}

void weir_wasmd_modules_done(struct weir_wasmd_modules *modules)
{
    free(modules->folders);
    free(modules->modules);
    *modules = (struct weir_wasmd_modules){.used = SIZE_MAX};
}

size_t weir_wasmd_module_find(const struct weir_wasmd_modules *modules, const uint8_t checksum[32])
{
    struct weir_wasmd_module key;
    memcpy(key.checksum, checksum, sizeof key.checksum);
    const struct weir_wasmd_module *found =
        bsearch(&key, modules->modules, modules->module_count, sizeof key, compare_modules);
    return found != NULL ? (size_t)(found - modules->modules) : SIZE_MAX;
}
