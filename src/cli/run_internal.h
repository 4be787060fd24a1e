/* What the files of `weir run` share: its options, the run, its outcome. */
#ifndef WEIR_CLI_RUN_INTERNAL_H
#define WEIR_CLI_RUN_INTERNAL_H

#include <weir/weir.h>

#include "cli/cli_options.h"
#include "ledger/equation.h"

#define WEIR__RUN_LIST_MAX 64 /* of --dir and of --env: more is a configuration, not a command */

struct weir__run_options {
    struct weir_wasi_preopen preopens[WEIR__RUN_LIST_MAX];
    size_t preopen_count;
    char *preopen_texts[WEIR__RUN_LIST_MAX]; /* what the preopens point into; owned */
    const char *env[WEIR__RUN_LIST_MAX];
    size_t env_count;
    uint64_t memory_bytes_max; /* 0: none */
    uint64_t fuel;             /* 0: not counted */
    uint64_t timeout_ns;       /* 0: none */
    enum weir_bounds bounds;
    const char *invoke;
    const char *cache_dir;
    const char *report_path; /* NULL: stderr */
    bool no_cache;
    bool has_report;
    bool is_json;
    bool is_quiet;
    const char *file;
    char **arguments; /* of the guest */
    size_t argument_count;
};

/* Everything that lives while a guest runs. Zero-initialise; weir__run_done() takes any state. */
struct weir__run {
    const struct weir__run_options *options;
    struct weir_engine *engine;
    struct weir_module *module;
    struct weir_linker *linker;
    struct weir_account *tenant;
    struct weir_store *store;
    struct weir_wasi *wasi;
    struct weir_instance *instance;
    uint64_t begin_ns;
    uint64_t end_ns;
    int exit_code;
    enum weir_status status; /* OK: exit_code is the guest's; else what ended it */
    struct weir_trap trap;
};

enum weir_status weir__run_open(struct weir__run *run, struct weir_error *error) WEIR_MUST_USE;
/* Runs to the end: sets exit_code, status and trap. An error before the guest's first instruction
 * is returned. */
enum weir_status weir__run_guest(struct weir__run *run, struct weir_error *error) WEIR_MUST_USE;
void weir__run_done(struct weir__run *run);

/* Calls options->invoke with typed arguments and prints its results; fills the run like a program.
 */
enum weir_status weir__run_invoke(struct weir__run *run, struct weir_error *error) WEIR_MUST_USE;
/* Waits for what a parked guest waits for and goes on, until it does not park any more. */
enum weir_status weir__run_finish(struct weir__run *run, enum weir_status status,
                                  struct weir_error *error) WEIR_MUST_USE;

/* "guest trapped: …", backtrace, limits; on stderr. */
void weir__run_print_trap(const struct weir__run *run);
/* The memory of the process as a table or as JSON. */
enum weir_status weir__run_report(const struct weir__run *run, struct weir_error *error)
    WEIR_MUST_USE;

#endif
