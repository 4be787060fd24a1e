/* `weir cache`: opening the directory, listing it, finding what an argument means. */
#include "cli/cache_command.h"

#include "base/cleanup.h"
#include "server/host_file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE_BYTES_MAX (UINT64_C(1) << 30) /* the engine's own limit: weir/engine.h */
#define PREFIX_DIGITS_MIN 4u

enum weir_status weir__cache_open(const struct cache_options *options,
                                  struct weir_artifact_dir **ret_dir, struct weir_error *error)
{
    if (access(options->folder, F_OK) != 0)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "there is no cache at %s; `weir cache warm FILE.wasm` makes one",
                              options->folder);
    return weir_artifact_dir_open(options->folder, ret_dir, error);
}

/* --- files --------------------------------------------------------------------------------- */

static bool add_file(void *context, const struct weir_artifact_file *file)
{
    struct cache_files *files = context;
    if (files->count == files->capacity) {
        size_t larger = 2 * files->capacity + 64;
        struct weir_artifact_file *list = reallocarray(files->list, larger, sizeof *list);
        files->is_short = list == NULL;
        if (files->is_short)
            return false;
        files->list = list;
        files->capacity = larger;
    }
    files->list[files->count++] = *file;
    files->bytes += file->bytes;
    return true;
}

static int used_last_first(const void *a, const void *b)
{
    const struct weir_artifact_file *x = a, *y = b;
    if (x->used_s != y->used_s)
        return x->used_s > y->used_s ? -1 : 1;
    return memcmp(x->key.bytes, y->key.bytes, sizeof x->key.bytes);
}

enum weir_status weir__cache_files(struct weir_artifact_dir *dir, struct cache_files *ret_files,
                                   struct weir_error *error)
{
    struct cache_files files = {0};
    enum weir_status status = weir_artifact_dir_walk(dir, add_file, &files, error);
    if (status == WEIR_OK && files.is_short)
        status = weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the list");
    if (status != WEIR_OK) {
        weir__cache_files_done(&files);
        return status;
    }
    if (files.count > 0)
        qsort(files.list, files.count, sizeof files.list[0], used_last_first);
    *ret_files = files;
    return WEIR_OK;
}

void weir__cache_files_done(struct cache_files *files)
{
    free(files->list);
    *files = (struct cache_files){0};
}

/* --- arguments ----------------------------------------------------------------------------- */

static enum weir_status hash_file(const char *path, struct weir_hash *ret_module,
                                  struct weir_error *error)
{
    struct weir_host_file file = {0};
    enum weir_status status =
        weir_host_file_read(path, MODULE_BYTES_MAX, weir_account_host(), &file, error);
    if (status != WEIR_OK)
        return status;
    if (file.size < 4 || memcmp(file.bytes, "\0asm", 4) != 0)
        status = weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET, "%s is no module", path);
    else
        status = weir_hash_bytes(file.bytes, file.size, ret_module, error);
    weir_host_file_done(&file);
    return status;
}

struct search {
    const char *prefix;
    struct weir_hash found;
    unsigned count; /* of different modules */
};

static void consider(struct search *search, const struct weir_hash *hash,
                     const struct weir_hash *module)
{
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(hash, hex);
    if (strncasecmp(hex, search->prefix, strlen(search->prefix)) != 0 ||
        (search->count > 0 && weir_hash_equal(&search->found, module)))
        return;
    search->found = *module;
    search->count++;
}

static bool consider_file(void *context, const struct weir_artifact_file *file)
{
    if (!file->is_foreign) {
        consider(context, &file->module, &file->module);
        consider(context, &file->key, &file->module);
    }
    return true;
}

static bool consider_pin(void *context, const struct weir_hash *module)
{
    consider(context, module, module);
    return true;
}

static bool is_prefix(const char *text)
{
    size_t size = strspn(text, "0123456789abcdefABCDEF");
    return size >= PREFIX_DIGITS_MIN && size < WEIR_HASH_HEX_SIZE && text[size] == 0;
}

enum weir_status weir__cache_resolve(struct weir_artifact_dir *dir, const char *argument,
                                     struct weir_hash *ret_module, struct weir_error *error)
{
    if (!is_prefix(argument) || access(argument, F_OK) == 0)
        return hash_file(argument, ret_module, error);
    struct search search = {.prefix = argument};
    enum weir_status status = weir_artifact_dir_walk(dir, consider_file, &search, error);
    if (status != WEIR_OK)
        return status;
    weir_artifact_dir_walk_pins(dir, consider_pin, &search);
    if (search.count == 1) {
        *ret_module = search.found;
        return WEIR_OK;
    }
    return search.count == 0
               ? weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                                "no file, module or artifact %s; `weir cache ls` lists them",
                                argument)
               : weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                "%s begins the hash of %u modules; give more digits", argument,
                                search.count);
}

/* --- printing ------------------------------------------------------------------------------ */

struct cache_short weir__cache_short(const struct weir_hash *hash)
{
    struct cache_short result;
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(hash, hex);
    memcpy(result.text, hex, CACHE_SHORT_DIGITS);
    result.text[CACHE_SHORT_DIGITS] = 0;
    return result;
}

struct cache_count weir__cache_count(uint64_t count, const char *what)
{
    struct cache_count result;
    (void)snprintf(result.text, sizeof result.text, "%llu %s%s", (unsigned long long)count, what,
                   count == 1 ? "" : "s");
    return result;
}

void weir__cache_print_json(json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(object);
}

json_t *weir__cache_hash_json(const struct weir_hash *hash)
{
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(hash, hex);
    return json_string(hex);
}
