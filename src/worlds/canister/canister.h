/* Canisters: modules written for the Internet Computer (ic0), one at a time and on their own.
 *
 * A canister is a module, an instance, stable memory and what belongs to them; its account stands
 * above all of it. A message either changes everything it wanted to change (heap, private globals
 * too, tables, stable memory, timer, outgoing calls) or nothing: an update that traps and every
 * query leave no trace (weir_instance_commit, weir_instance_reset). Calls to itself are delivered;
 * calls to others are rejected, as by a subnet where nobody else lives.
 *
 * A guest's failure is a response; a status other than OK is about the host. One thread at a time.
 */
#ifndef WEIR_CANISTER_H
#define WEIR_CANISTER_H

#include <weir/image.h>
#include <weir/stable.h>

#include "base/error.h"
#include "worlds/canister/canister_limits.h"
#include "worlds/canister/principal.h"

struct weir_canister;

/* Zero-initialise; zero and NULL mean the default named behind each field. */
struct weir_canister_config {
    const char *name;             /* names its account, and its id follows from it */
    struct weir_account *account; /* parent: the engine's parent */
    uint64_t memory_bytes_max;    /* all that it holds: none */
    uint64_t stable_bytes_max;    /* 500 GiB minus the heap */
    uint64_t instructions_max; /* of a message; the Internet Computer's, which depend on its kind */
    uint64_t (*now_ns)(void *context); /* since 1970; the system's clock */
    void (*debug_print)(void *context, const char *text, size_t size); /* discarded */
    void *context;
};

/* What an engine needs for canisters: features, fuel. The rest is the caller's. */
void weir_canister_engine_config(struct weir_engine_config *config);
enum weir_status weir_canister_new(struct weir_engine *engine,
                                   const struct weir_canister_config *config,
                                   struct weir_canister **ret_canister, struct weir_error *error)
    WEIR_MUST_USE;
/* NULL is allowed. */
void weir_canister_free(struct weir_canister *canister);

/* --- messages ------------------------------------------------------------------------------ */

enum weir_canister_reject {
    WEIR_CANISTER_REPLIED = 0,
    WEIR_CANISTER_SYS_FATAL = 1,
    WEIR_CANISTER_SYS_TRANSIENT = 2,
    WEIR_CANISTER_DESTINATION_INVALID = 3,
    WEIR_CANISTER_REJECTED = 4, /* by the canister's own msg_reject */
    WEIR_CANISTER_ERROR = 5
};

/* What a message ended with. */
struct weir_canister_response {
    enum weir_canister_reject code;
    const char *error_code; /* "IC0539"; NULL: none */
    uint8_t *bytes;         /* reply (Candid), or the reject text; charged to the canister */
    size_t size;
    char *note; /* what the text does not say: where, who grew; lines; NULL: nothing */
    size_t note_size;
    uint64_t instructions;  /* of all messages that it set off */
    uint64_t pages_written; /* of 4 KiB, heap and stable, that were written and kept */
    struct weir_canister *canister;
};
void weir_canister_response_done(struct weir_canister_response *response);

struct weir_canister_call {
    const char *method;
    const uint8_t *arg;
    size_t arg_size;
    const struct weir_principal *caller; /* NULL: anonymous */
};
/* Runs an update (or a query, as one) and everything it sets off, to the end. */
enum weir_status weir_canister_update(struct weir_canister *canister,
                                      const struct weir_canister_call *call,
                                      struct weir_canister_response *ret, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir_canister_query(struct weir_canister *canister,
                                     const struct weir_canister_call *call,
                                     struct weir_canister_response *ret, struct weir_error *error)
    WEIR_MUST_USE;
/* What the system does between messages: the heartbeat, and the global timer when it is due.
 * *ret_count: how many of the two ran. The response is of the first that failed, else empty. */
enum weir_status weir_canister_tick(struct weir_canister *canister, unsigned *ret_count,
                                    struct weir_canister_response *ret, struct weir_error *error)
    WEIR_MUST_USE;

/* --- code ---------------------------------------------------------------------------------- */

enum weir_canister_mode {
    WEIR_CANISTER_INSTALL,   /* STATE if there is code already */
    WEIR_CANISTER_REINSTALL, /* nothing survives */
    WEIR_CANISTER_UPGRADE
};
enum weir_canister_heap {
    WEIR_CANISTER_HEAP_UNSAID, /* replaced; refused for modules that need it said */
    WEIR_CANISTER_HEAP_REPLACE,
    WEIR_CANISTER_HEAP_KEEP /* enhanced orthogonal persistence */
};
struct weir_canister_code {
    enum weir_canister_mode mode;
    enum weir_canister_heap heap; /* upgrades only */
    bool skip_pre_upgrade;
    const uint8_t *module; /* Wasm, or gzip of it */
    size_t module_size;
    const uint8_t *arg;
    size_t arg_size;
    const struct weir_principal *sender; /* NULL: anonymous; becomes a controller at the first */
    void (*progress)(void *context, uint32_t done, uint32_t total); /* functions compiled */
    void *progress_context;
};
/* MALFORMED, INVALID, LINK ... when the module is none for this world, all reasons in the error's
 * details; a response with a reject when its own code failed. Then nothing has changed. */
enum weir_status weir_canister_install(struct weir_canister *canister,
                                       const struct weir_canister_code *code,
                                       struct weir_canister_response *ret, struct weir_error *error)
    WEIR_MUST_USE;
/* 0: none. Not below what the heap has now (STATE). */
enum weir_status weir_canister_set_heap_limit(struct weir_canister *canister, uint64_t bytes,
                                              struct weir_error *error) WEIR_MUST_USE;
/* The platform's wasm_memory_threshold: canister_on_low_wasm_memory runs once when less than this
 * is left of the heap's limit, and again after there was more in between. 0: never. */
void weir_canister_set_low_memory(struct weir_canister *canister, uint64_t bytes);
/* The embedder has committed the module's file under this hash (of the bytes as uploaded). */
const struct weir_hash *weir_canister_module_hash(const struct weir_canister *canister);

/* --- what it holds ------------------------------------------------------------------------- */

/* Under the Internet Computer's own names, labels as in Juno's console. */
struct weir_canister_metrics {
#define WEIR_CANISTER_METRIC(name, label, covers) uint64_t name;
#include "worlds/canister/canister_metrics.def"
#undef WEIR_CANISTER_METRIC
};
/* Who made the heap grow since the code was deployed, largest first. */
struct weir_canister_growth {
    char method[WEIR_TRAP_NAME_SIZE];   /* exported name, "canister_init" ... */
    char function[WEIR_TRAP_NAME_SIZE]; /* that called memory.grow; "(others)": the rest */
    uint64_t pages;
    uint64_t count;
    uint64_t last_ns;
};
struct weir_canister_change {
    uint64_t time_ns;
    uint64_t version;
    enum weir_canister_mode mode;
    uint8_t module_sha256[32];
    uint64_t heap_before, heap_after; /* bytes */
};
struct weir_canister_status {
    struct weir_principal id;
    const struct weir_principal *controllers;
    size_t controller_count;
    uint64_t version;
    uint64_t heap_limit;       /* 0: none */
    uint64_t heap_pages;       /* 64 KiB */
    uint64_t low_memory_bytes; /* 0: never */
    bool low_memory_ran;       /* and is not armed again */
    uint64_t timer_ns;         /* 0: off */
    uint32_t certified_bytes;
    bool has_code;
    const char *language; /* as canister_check.h tells it */
    struct weir_canister_metrics metrics;
    /* Of the heap, in this process now. */
    uint64_t resident_bytes;
    uint64_t private_bytes; /* written since the last commit, or kept resident */
    uint64_t image_bytes;   /* of the committed version: pages that hold something */
    uint64_t stable_touched_bytes;
    uint64_t charged_bytes; /* all that its account holds */
    bool has_live;
    uint64_t live_bytes; /* by the module's own runtime; includes garbage not collected yet */
    uint64_t live_max_bytes;
    const char *live_source; /* or why there is none */
    const struct weir_canister_growth *growths;
    size_t growth_count;
    const struct weir_canister_change *changes; /* newest last */
    size_t change_count;
    uint64_t change_total;
};
/* Valid until the canister is used again. Asks the module's runtime with a query. */
enum weir_status weir_canister_status(struct weir_canister *canister,
                                      struct weir_canister_status *ret, struct weir_error *error)
    WEIR_MUST_USE;
/* The module's Candid interface (custom section candid:service), or NULL; with its size. */
const char *weir_canister_candid(const struct weir_canister *canister, size_t *ret_size);

/* --- across processes ---------------------------------------------------------------------- */

/* The last bytes of a saved state, a hash of what is before them. */
#define WEIR_CANISTER_SUM_SIZE 32
/* The committed state, module excluded; with `previous`, the hash of the state that was saved or
 * loaded before, only what has changed since. STATE without code, or, for changes, when nothing was
 * saved or loaded with this code. */
enum weir_status weir_canister_save(const struct weir_canister *canister, const uint8_t *previous,
                                    const struct weir_image_writer *writer,
                                    struct weir_error *error) WEIR_MUST_USE;
/* What was written is where it should be: changes count from here. */
void weir_canister_saved(struct weir_canister *canister);
/* Whether anything that a saved state holds is different from the one that was saved or loaded. */
bool weir_canister_is_changed(const struct weir_canister *canister);
/* Into a canister that has no code yet, with the module's bytes as they were uploaded. CORRUPT when
 * the two do not belong together; the canister is to be freed then. */
enum weir_status weir_canister_load(struct weir_canister *canister, const uint8_t *module,
                                    size_t module_size, const struct weir_image_reader *reader,
                                    struct weir_error *error) WEIR_MUST_USE;
/* What has changed since the state with this hash, into a canister that was loaded with that state.
 * CORRUPT when it is something else; the canister is to be freed then. */
enum weir_status weir_canister_load_changes(struct weir_canister *canister,
                                            const uint8_t previous[WEIR_CANISTER_SUM_SIZE],
                                            const struct weir_image_reader *reader,
                                            struct weir_error *error) WEIR_MUST_USE;
/* The hash of the module that a saved state belongs to: its first 40 bytes. CORRUPT; UNSUPPORTED
 * for a state of another version. */
#define WEIR_CANISTER_STATE_HEAD 40
enum weir_status weir_canister_state_module(const uint8_t head[WEIR_CANISTER_STATE_HEAD],
                                            const char *name, uint8_t ret_sha256[32],
                                            struct weir_error *error) WEIR_MUST_USE;

#endif
