/* What the canister world's files share. See canister.h for the whole.
 *
 * Life of a message: begin (arguments, mode, fuel), the guest runs and calls ic0, then either
 * commit (stable memory, instance, outgoing calls, growth) or roll back (all of it). Buffers are
 * charged to the canister's account and bounded by canister_limits.h.
 */
#ifndef WEIR_CANISTER_INTERNAL_H
#define WEIR_CANISTER_INTERNAL_H

#include <weir/linker.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "ledger/ledger.h"
#include "worlds/canister/canister.h"
#include "worlds/canister/canister_check.h"

/* --- buffers ------------------------------------------------------------------------------- */

/* Bytes that grow, charged as HOST_BUFFER; `bytes` NULL while empty. */
struct weir__buffer {
    uint8_t *bytes;
    size_t size, capacity;
};
/* LIMIT beyond `size_max`; unchanged on failure. */
enum weir_status weir__buffer_reserve(struct weir_canister *canister, struct weir__buffer *buffer,
                                      size_t more, size_t size_max, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir__buffer_add(struct weir_canister *canister, struct weir__buffer *buffer,
                                  const void *bytes, size_t size, struct weir_error *error)
    WEIR_MUST_USE;
void weir__buffer_free(struct weir_canister *canister, struct weir__buffer *buffer);
static inline struct weir__buffer weir__buffer_take(struct weir__buffer *buffer)
{
    struct weir__buffer taken = *buffer;
    *buffer = (struct weir__buffer){0};
    return taken;
}

/* --- code and instance --------------------------------------------------------------------- */

/* A module that runs: what an upgrade replaces as one. */
struct weir__body {
    struct weir_canister *canister;
    struct weir_module *module;
    struct weir_store *store;
    struct weir_instance *instance;
    struct weir_memory *memory; /* NULL: the module has none */
    bool is_64;
    bool has_keep;
    const char *language;
    uint64_t upload_bytes, custom_bytes, global_bytes;
    struct weir_hash upload_hash;
    struct weir__buffer candid;
};

/* Unpacks, checks, compiles; the body has no store yet. Fills what is known of the module but
 * upload_hash, which the caller has filled. */
enum weir_status weir__body_compile(struct weir_canister *canister, struct weir__body *body,
                                    const struct weir_canister_code *code, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir__body_open_store(struct weir__body *body, struct weir_error *error)
    WEIR_MUST_USE;
/* After the instance is there. */
void weir__body_find_memory(struct weir__body *body);
void weir__body_close(struct weir__body *body);
void weir__body_free(struct weir_canister *canister, struct weir__body *body);
uint64_t weir__body_heap_bytes(const struct weir__body *body);
/* An exported function without parameters and results; NULL: none. */
struct weir_funcref *weir__body_func(const struct weir__body *body, const char *prefix,
                                     const char *name);

/* --- messages ------------------------------------------------------------------------------ */

/* Where an answer goes. */
struct weir__context {
    struct weir__context *next, *previous; /* of the canister's */
    struct weir__outgoing *origin;         /* a call of its own; NULL: from outside, or answered */
    struct weir_principal caller;
    uint32_t outstanding; /* calls without a response */
    bool is_answered;
    uint64_t instructions;
};

/* A call of the canister's, from call_new to its response. */
struct weir__outgoing {
    struct weir__outgoing *next;
    struct weir__context *context; /* who made it */
    struct weir_principal callee;
    char method[256];
    size_t method_size;
    struct weir__buffer payload; /* argument, then the answer */
    uint64_t reply_fun, reply_env, reject_fun, reject_env, cleanup_fun, cleanup_env;
    bool has_cleanup;
    bool is_best_effort;
    bool has_answer;
    enum weir_canister_reject code; /* of the answer */
};

/* What a growth of the heap would be in the table, until the message is committed. */
struct weir__growing {
    char function[WEIR_TRAP_NAME_SIZE];
    uint64_t pages, count;
};
#define WEIR__GROWING_MAX 8u

struct weir__message {
    unsigned mode;                 /* one bit */
    const char *method;            /* for people */
    struct weir__context *context; /* NULL: nobody waits */
    const struct weir_principal *caller;
    const uint8_t *arg;
    size_t arg_size;
    enum weir_canister_reject reject_code; /* callbacks */
    struct weir__buffer reply;
    const union weir_value *arguments; /* of a callback: its environment */
    bool is_accepted;                  /* by inspect_message */
    bool has_answered;
    enum weir_canister_reject answer; /* REPLIED or REJECTED, when it has */
    struct weir__outgoing *forming;   /* between call_new and call_perform */
    struct weir__outgoing *performed; /* newest first */
    uint64_t time_ns;
    uint64_t fuel; /* at the beginning */
    uint64_t debug_bytes;
    bool is_heap_limited;
    uint64_t heap_before; /* bytes */
    /* Why it failed, for what people read. */
    char trap_text[CANISTER_TEXT_BYTES_MAX];
    size_t trap_size;
    uint64_t refused_bytes; /* of heap, by the limit: wanted in all */
    char chain[512];        /* of functions at the refused growth */
    struct weir__growing growing[WEIR__GROWING_MAX];
    unsigned growing_count;
};

struct weir_canister {
    struct weir_engine *engine;
    struct weir_account *account;
    struct weir_linker *linkers[2]; /* by pointer width */
    char name[CANISTER_NAME_BYTES_MAX + 1];
    uint64_t (*now_ns)(void *context);
    void (*debug_print)(void *context, const char *text, size_t size);
    void *context;
    uint64_t stable_bytes_max;
    uint64_t instructions_max; /* 0: by the kind of message */
    struct weir__body *body;   /* NULL: no code */
    struct weir_stable *stable;
    struct weir_principal id;
    struct weir_principal controllers[CANISTER_CONTROLLERS_MAX];
    size_t controller_count;
    uint64_t version;
    uint64_t heap_limit;
    uint64_t low_memory_bytes;
    bool low_memory_ran;
    uint64_t timer_ns;
    uint64_t last_time_ns;
    uint8_t certified[CANISTER_CERTIFIED_BYTES_MAX];
    uint32_t certified_size;
    /* The same at the last commit. */
    uint64_t committed_timer_ns;
    uint8_t committed_certified[CANISTER_CERTIFIED_BYTES_MAX];
    uint32_t committed_certified_size;
    struct weir_canister_growth growths[CANISTER_GROWTHS_MAX];
    size_t growth_count;
    struct weir_canister_change changes[CANISTER_HISTORY_MAX];
    size_t change_count;
    uint64_t change_total;
    struct weir__message *message;                  /* that runs now */
    struct weir__outgoing *queue_head, *queue_tail; /* to be delivered, or answered */
    uint32_t queue_count;
    struct weir__context *contexts;
    uint32_t messages; /* of the call from outside that is being handled */
    uint64_t instructions, pages_written;
    bool is_broken;                                        /* a commit failed half-way */
    bool is_changed;                                       /* since it was saved or loaded */
    struct weir_canister_growth top[CANISTER_GROWTHS_MAX]; /* sorted, for status */
};

/* Runs a function as a message and keeps or takes back what it did. OK: *ret_failed says whether
 * the guest failed; then `message` has the reasons and `response` the text. Other statuses are the
 * host's. Modes that change nothing are taken back always. */
enum weir_status weir__message_run(struct weir__body *body, struct weir__message *message,
                                   struct weir_funcref *func,
                                   struct weir_canister_response *response, bool *ret_failed,
                                   struct weir_error *error) WEIR_MUST_USE;
/* The same without keeping: what was done stays uncommitted (installs). */
enum weir_status weir__message_try(struct weir__body *body, struct weir__message *message,
                                   struct weir_funcref *func,
                                   struct weir_canister_response *response, bool *ret_failed,
                                   struct weir_error *error) WEIR_MUST_USE;
void weir__message_begin(struct weir__body *body, struct weir__message *message);
/* Ends what begin began, where no function was run (start); fills the response from a trap. */
void weir__message_trapped(struct weir__body *body, struct weir__message *message,
                           const struct weir_trap *trap, struct weir_canister_response *response);
void weir__message_done(struct weir_canister *canister, struct weir__message *message);
enum weir_status weir__roll_back(struct weir_canister *canister, struct weir__message *message,
                                 struct weir_error *error) WEIR_MUST_USE;

/* canister_calls.c: delivers what is queued until nothing is left. */
enum weir_status weir__calls_drain(struct weir_canister *canister,
                                   struct weir_canister_response *response,
                                   struct weir_error *error) WEIR_MUST_USE;
struct weir__context *weir__context_new(struct weir_canister *canister, struct weir_error *error)
    WEIR_MUST_USE;
/* After a message of the context: answers it, if the message did, or if nobody can any more
 * (`failure`, or that there was no reply). May end the context. */
void weir__context_settle(struct weir_canister *canister, struct weir__context *context,
                          struct weir__message *message, struct weir_canister_response *failure,
                          struct weir_canister_response *response);
/* What a message performed, in that order, behind what is queued. */
void weir__calls_enqueue(struct weir_canister *canister, struct weir__message *message);
/* A composite query: its callbacks go on over what it has done, and all of it is taken back in the
 * end. Calls to others are refused, one to itself is the end, as on the Internet Computer. A
 * callback that traps is the end, too. */
enum weir_status weir__composite_run(struct weir_canister *canister,
                                     const struct weir_canister_call *call,
                                     struct weir_funcref *func, const struct weir_principal *caller,
                                     struct weir_canister_response *response,
                                     struct weir_error *error) WEIR_MUST_USE;
void weir__outgoing_free(struct weir_canister *canister, struct weir__outgoing *call);
/* Everything that is still waiting. */
void weir__calls_forget(struct weir_canister *canister);

/* canister_run.c: an update's or a query's method in a context, which is settled. */
enum weir_status weir__method_run(struct weir_canister *canister,
                                  const struct weir_canister_call *call,
                                  struct weir__context *context,
                                  struct weir_canister_response *response, struct weir_error *error)
    WEIR_MUST_USE;
/* STATE without code, or when a commit failed half-way. */
enum weir_status weir__ready(const struct weir_canister *canister, struct weir_error *error)
    WEIR_MUST_USE;

/* canister_reject.c: texts. */
void weir__response_reject(struct weir_canister *canister, struct weir_canister_response *response,
                           enum weir_canister_reject code, const char *error_code,
                           const char *format, ...) WEIR_PRINTF(5, 6);
/* The bytes as the answer, with a zero behind them. LIMIT when there is no room for them. */
enum weir_status weir__response_take(struct weir_canister *canister,
                                     struct weir_canister_response *response,
                                     enum weir_canister_reject code,
                                     const struct weir__buffer *bytes, struct weir_error *error)
    WEIR_MUST_USE;
void weir__response_note(struct weir_canister_response *response, const char *format, ...)
    WEIR_PRINTF(2, 3);
void weir__response_trap(struct weir_canister *canister, const struct weir__message *message,
                         const struct weir_trap *trap, struct weir_canister_response *response);
void weir__response_heap_limit(struct weir_canister *canister, const char *method,
                               uint64_t wanted_bytes, const char *chain,
                               struct weir_canister_response *response);

/* canister_growth.c */
enum weir_status weir__growth_asked(void *context, const struct weir_growth *growth,
                                    struct weir_error *error);
/* The message's growths into the table. */
void weir__growth_keep(struct weir_canister *canister, struct weir__message *message);
size_t weir__growth_sort(const struct weir_canister *canister,
                         struct weir_canister_growth to[CANISTER_GROWTHS_MAX]);

/* ic0_link.c: the linker for a pointer width. */
enum weir_status weir__ic0_linker(struct weir_canister *canister, bool is_64,
                                  struct weir_linker **ret_linker, struct weir_error *error)
    WEIR_MUST_USE;

/* canister_run.c, after messages and changes of code: runs canister_on_low_wasm_memory if it is
 * time, and says so in the response's note. */
enum weir_status weir__low_memory_check(struct weir_canister *canister,
                                        struct weir_canister_response *response,
                                        struct weir_error *error) WEIR_MUST_USE;

uint64_t weir__now(struct weir_canister *canister);

#endif
