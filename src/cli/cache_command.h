/* `weir cache`: what its files share. Each command takes the options that were read and the
 * arguments behind its name, and returns the exit code. */
#ifndef WEIR_CLI_CACHE_COMMAND_H
#define WEIR_CLI_CACHE_COMMAND_H

#include "cli/cli_options.h"
#include "cli/cli_shown.h"
#include "cli/cli_table.h"
#include "runtime/artifact_store.h"

#include <jansson.h>

struct cache_options {
    const char *folder; /* never NULL once read */
    const char *trace;
    uint64_t memory_bytes; /* advise; 0: not given */
    uint64_t bytes_max;    /* prune; WEIR_UNLIMITED: not given */
    uint64_t unused_ns;    /* prune; 0: not given */
    unsigned given; /* of the options of one command: cache_main.c */
    enum weir_bounds bounds;
    bool has_fuel;
    bool is_json, is_quiet;
    bool is_pin, is_stale, is_quarantine, is_trial;
};

struct cache_arguments {
    char **texts;
    int count;
};

extern const struct weir_cli_command weir__cache_command;

int weir__cache_list(const struct cache_options *options, const struct cache_arguments *arguments);
int weir__cache_stat(const struct cache_options *options, const struct cache_arguments *arguments);
int weir__cache_pin(const struct cache_options *options, const struct cache_arguments *arguments);
int weir__cache_unpin(const struct cache_options *options, const struct cache_arguments *arguments);
int weir__cache_warm(const struct cache_options *options, const struct cache_arguments *arguments);
int weir__cache_prune(const struct cache_options *options, const struct cache_arguments *arguments);
int weir__cache_verify(const struct cache_options *options,
                       const struct cache_arguments *arguments);
int weir__cache_advise(const struct cache_options *options,
                       const struct cache_arguments *arguments);

/* --- cache_look.c: what they look at --------------------------------------------------------- */

/* Opened without being created: NOT_FOUND says so. */
enum weir_status weir__cache_open(const struct cache_options *options,
                                  struct weir_artifact_dir **ret_dir, struct weir_error *error)
    WEIR_MUST_USE;

struct cache_files {
    struct weir_artifact_file *list; /* used last comes first */
    size_t count, capacity;
    uint64_t bytes;
    bool is_short;
};
enum weir_status weir__cache_files(struct weir_artifact_dir *dir, struct cache_files *ret_files,
                                   struct weir_error *error) WEIR_MUST_USE;
void weir__cache_files_done(struct cache_files *files);

/* The module that an argument means: a file, or the first digits (four or more) of a module's or an
 * artifact's hash, as `weir cache ls` prints them. */
enum weir_status weir__cache_resolve(struct weir_artifact_dir *dir, const char *argument,
                                     struct weir_hash *ret_module, struct weir_error *error)
    WEIR_MUST_USE;

#define CACHE_SHORT_DIGITS 12
struct cache_short {
    char text[CACHE_SHORT_DIGITS + 1];
};
struct cache_short weir__cache_short(const struct weir_hash *hash);

/* "3 artifacts" */
struct cache_count {
    char text[48];
};
struct cache_count weir__cache_count(uint64_t count, const char *what);

/* Prints with a newline and lets the object go. */
void weir__cache_print_json(json_t *object);
json_t *weir__cache_hash_json(const struct weir_hash *hash);

#endif
