/* The manifest: what was deployed, as JSON.
 *
 *     {"version": 1, "files": {"index.html": {"bytes": 812, "sha256": "64 digits"}, ...}}
 *
 * It comes from elsewhere: every path and figure is checked, unknown keys are errors. */
#include "cli/deploy_internal.h"

#include "cli/cli_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1

static enum weir_status refuse(const char *path, const char *key, const char *what,
                               struct weir_error *error)
{
    char *shown = weir__deploy_escape(key, strnlen(key, 80));
    enum weir_status status = weir_error_set(error, WEIR_INVALID, WEIR_NO_OFFSET,
                                             "%.80s: \"%.100s\": %s", path, shown ? shown : "?",
                                             what);
    free(shown);
    return status;
}

static enum weir_status add_one(const char *path, const char *key, json_t *value,
                                struct deploy_tree *tree, struct weir_error *error)
{
    const json_t *bytes = json_object_get(value, "bytes");
    const json_t *sha256 = json_object_get(value, "sha256");
    struct deploy_file file = {.path = (char *)(uintptr_t)key};
    if (!json_is_object(value) || json_object_size(value) != 2 || bytes == NULL || sha256 == NULL)
        return refuse(path, key, "a file has \"bytes\" and \"sha256\" and no more", error);
    if (!json_is_integer(bytes) || json_integer_value(bytes) < 0)
        return refuse(path, key, "\"bytes\" must be a number from 0 on", error);
    if (!json_is_string(sha256) ||
        !weir_hex_read(json_string_value(sha256), json_string_length(sha256), file.hash.bytes,
                       sizeof file.hash.bytes))
        return refuse(path, key, "\"sha256\" must be 64 hexadecimal digits", error);
    file.bytes = (uint64_t)json_integer_value(bytes);
    return weir__deploy_tree_add(tree, &file, error);
}

static enum weir_status read_object(const char *path, const json_t *root, struct deploy_tree *tree,
                                    struct weir_error *error)
{
    json_t *files = json_object_get(root, "files");
    const json_t *version = json_object_get(root, "version");
    if (!json_is_integer(version) || json_integer_value(version) != VERSION)
        return refuse(path, "version", "must be 1, what this program reads", error);
    if (!json_is_object(files) || json_object_size(root) != 2)
        return refuse(path, "files", "must be an object, beside \"version\" and nothing else",
                      error);
    const char *key;
    json_t *value;
    json_object_foreach(files, key, value)
    {
        enum weir_status status = add_one(path, key, value, tree, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir__deploy_manifest_read(const char *path, struct deploy_tree *ret,
                                            struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    struct deploy_tree tree = {0};
    json_error_t fault;
    enum weir_status status =
        weir_cli_read_file(path, DEPLOY_MANIFEST_BYTES_MAX, &bytes, &size, error);
    if (status != WEIR_OK)
        return status;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL)
        return weir_error_set(error, WEIR_MALFORMED, (uint64_t)fault.position,
                              "%.80s: line %d: %.120s", path, fault.line, fault.text);
    status = read_object(path, root, &tree, error);
    json_decref(root);
    if (status != WEIR_OK) {
        weir__deploy_tree_done(&tree);
        return status;
    }
    weir__deploy_tree_sort(&tree);
    *ret = tree;
    return WEIR_OK;
}

static json_t *to_object(const struct deploy_tree *tree)
{
    json_t *files = json_object();
    for (uint32_t i = 0; i < tree->count; i++) {
        char hex[WEIR_HASH_HEX_SIZE];
        weir_hash_hex(&tree->files[i].hash, hex);
        (void)json_object_set_new(files, tree->files[i].path,
                                  json_pack("{s:I,s:s}", "bytes",
                                            (json_int_t)tree->files[i].bytes, "sha256", hex));
    }
    return json_pack("{s:i,s:o}", "version", VERSION, "files", files);
}

enum weir_status weir__deploy_manifest_write(const char *path, const struct deploy_tree *tree,
                                             struct weir_error *error)
{
    AUTO_FREE char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for a name");
    int fd = mkstemp(temporary);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    json_t *object = to_object(tree);
    bool is_whole = file != NULL && object != NULL &&
                    json_dumpf(object, file, JSON_INDENT(1) | JSON_SORT_KEYS) == 0 &&
                    fputc('\n', file) != EOF && fflush(file) == 0 && fchmod(fd, 0644) == 0 &&
                    fsync(fd) == 0;
    json_decref(object);
    if (file != NULL)
        is_whole = fclose(file) == 0 && is_whole;
    if (is_whole && rename(temporary, path) == 0)
        return WEIR_OK;
    enum weir_status status =
        weir_error_set_errno(error, WEIR_IO, errno, "cannot write %.160s", path);
    if (fd >= 0)
        (void)unlink(temporary);
    return status;
}
