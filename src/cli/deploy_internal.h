/* What the files of `weir deploy` share: a tree of files, read from a folder or from a manifest. */
#ifndef WEIR_CLI_DEPLOY_INTERNAL_H
#define WEIR_CLI_DEPLOY_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "base/hash.h"
#include "cli/deploy_limits.h"

struct deploy_file {
    char *path; /* relative, '/' between components, UTF-8 */
    uint64_t bytes;
    struct weir_hash hash;
    /* Of a folder's: whether it was written again, and the name of its copy. */
    uint64_t inode;
    int64_t mtime_ns;
    uint32_t number;
};

/* What is in the folder and not deployed. */
struct deploy_left_out {
    char *path; /* escaped */
    const char *reason;
};

struct deploy_tree {
    struct deploy_file *files; /* in order of path, byte by byte */
    uint32_t count, capacity;
    uint64_t bytes, path_bytes;
    struct deploy_left_out *left_out;
    uint32_t left_out_count, left_out_capacity;
};

/* NULL is allowed. */
void weir__deploy_tree_done(struct deploy_tree *tree);
/* One more file; the path is copied and checked: relative, no "..", UTF-8, within the limits. */
enum weir_status weir__deploy_tree_add(struct deploy_tree *tree, const struct deploy_file *file,
                                       struct weir_error *error) WEIR_MUST_USE;
void weir__deploy_tree_sort(struct deploy_tree *tree);
/* Every regular file below the folder; links and special files are left out, and named. `copy_fd`:
 * a folder for copies by number, or -1. */
enum weir_status weir__deploy_tree_read(const char *folder, int copy_fd, struct deploy_tree *ret,
                                        struct weir_error *error) WEIR_MUST_USE;

/* Safe on a terminal: control characters, backslashes and what is not UTF-8 as \xNN. free() it;
 * NULL: no memory. */
char *weir__deploy_escape(const void *bytes, size_t size);

enum weir_status weir__deploy_manifest_read(const char *path, struct deploy_tree *ret,
                                            struct weir_error *error) WEIR_MUST_USE;
/* Whole or not at all. */
enum weir_status weir__deploy_manifest_write(const char *path, const struct deploy_tree *tree,
                                             struct weir_error *error) WEIR_MUST_USE;

/* One JSON object of it, or text; `check` NULL: there was none. */
void weir__deploy_print(const struct deploy_tree *before, const struct deploy_tree *now,
                        const json_t *check, bool is_json);

/* Runs the command twice and compares what it left in the folder: an object with "different",
 * "only_first", "only_second", "not_built_again" and "is_reproducible". */
enum weir_status weir__deploy_check(const char *command, const char *folder, json_t **ret_check,
                                    struct weir_error *error) WEIR_MUST_USE;
void weir__deploy_print_check(const json_t *check);

#endif
