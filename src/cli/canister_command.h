/* What the files of `weir canister` share. */
#ifndef WEIR_CLI_CANISTER_COMMAND_H
#define WEIR_CLI_CANISTER_COMMAND_H

#include "base/arena.h"
#include "cli/cli_options.h"
#include "worlds/canister/canister_dir.h"

struct canister_options {
    const char *state;
    const char *cache_dir;
    const char *caller;
    const char *arg_hex;
    uint64_t heap_limit;
    uint64_t low_memory_bytes;
    uint64_t memory_bytes_max;
    uint64_t stable_bytes_max;
    uint64_t instructions_max;
    bool has_heap_limit;
    bool has_low_memory;
    bool no_cache;
    bool is_json;
    bool is_hex;
    bool is_quiet;
    bool is_keep, is_replace, is_reinstall, skip_pre_upgrade;
};

/* One run of the command: what it opened. */
struct canister_run {
    const struct canister_options *options;
    const char *name;
    struct weir_canister_dir dir;
    struct weir_engine *engine;
    struct weir_canister *canister;
    struct weir_principal caller;
    struct weir_arena *arena; /* job: texts and arguments */
};

extern const struct weir_cli_command weir__canister_command;

/* Opens folder, engine and canister; loads the state unless `is_new` and there is none. */
enum weir_status weir__canister_open(struct canister_run *run, enum weir_canister_access access,
                                     bool is_new, struct weir_error *error);
void weir__canister_close(struct canister_run *run);
/* The argument of a method or of init: Candid text, or --arg-hex. */
enum weir_status weir__canister_argument(struct canister_run *run, const char *text,
                                         const uint8_t **ret_bytes, size_t *ret_size,
                                         struct weir_error *error);
/* Prints a reply on stdout or a reject on stderr; the exit code. */
int weir__canister_answer(struct canister_run *run, const struct weir_canister_response *response);
int weir__canister_status(struct canister_run *run, struct weir_error *error);
int weir__canister_top(struct canister_run *run, struct weir_error *error);

#endif
