/* What the files of the filter world share: plugin, VM, stream, and a host call in flight.
 *
 * A host function is `int weir__filter_NAME(struct weir__filter_host_call *call)`. It answers a
 * status of the ABI (>= 0), or FILTER_END when call->status says how the guest ends. Guest memory
 * is reached by the helpers of filter_guest.c only.
 */
#ifndef WEIR_FILTER_INTERNAL_H
#define WEIR_FILTER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <weir/wasi.h>

#include "worlds/filter/filter.h"
#include "worlds/filter/filter_limits.h"

enum weir__filter_status {
    FILTER_OK = 0,
    FILTER_NOT_FOUND = 1,
    FILTER_BAD_ARGUMENT = 2,
    FILTER_PARSE_FAILURE = 4,
    FILTER_INVALID_MEMORY_ACCESS = 6,
    FILTER_EMPTY = 7,
    FILTER_CAS_MISMATCH = 8,
    FILTER_INTERNAL_FAILURE = 10,
    FILTER_UNIMPLEMENTED = 12
};
#define FILTER_END (-1)
#define FILTER_ARGS_MAX 12

enum weir__filter_abi {
    FILTER_ABI_0_1_0,
    FILTER_ABI_0_2_0,
    FILTER_ABI_0_2_1,
    FILTER_ABI_COUNT
};

enum weir__filter_callback {
#define FILTER_CALLBACK(id, name, params, results) FILTER_ON_##id,
#include "worlds/filter/filter_callbacks.def"
#undef FILTER_CALLBACK
    FILTER_CALLBACK_COUNT
};

/* Buffers of the ABI beyond those of a stream. */
enum {
    FILTER_BUFFER_CALL = 4,
    FILTER_BUFFER_VM_CONFIG = 6,
    FILTER_BUFFER_PLUGIN_CONFIG = 7,
    FILTER_BUFFER_MAX = 8,
    FILTER_MAP_CALL_HEADERS = 6,
    FILTER_MAP_CALL_TRAILERS = 7
};

struct weir_filter_plugin {
    struct weir_filter_config config;
    struct weir_filter_registry *registry;
    struct weir_account *account;
    struct weir_module *module;
    struct weir_linker *linker;
    enum weir__filter_abi abi;
    bool has_callback[FILTER_CALLBACK_COUNT];
    uint8_t params[FILTER_CALLBACK_COUNT]; /* how many it takes */
    _Atomic uint32_t vm_count;
    struct {
        _Atomic uint64_t streams, callbacks, traps, calls, call_answers, calls_left;
        _Atomic uint64_t stream_host_bytes, stream_growth_bytes, linear_bytes_peak;
    } figures;
};

/* A property that a plugin set. */
struct weir__filter_property {
    struct weir__filter_property *next;
    uint32_t path_size, value_size;
    uint8_t bytes[];
};

struct weir_filter_stream {
    struct weir_filter_stream *next;                    /* in its bucket */
    struct weir_filter_stream *lingers_next;            /* of vm->lingering */
    struct weir_filter_vm *vm;                          /* NULL: it was freed */
    struct weir_account *account;                       /* the VM's, which may be closed */
    struct weir_filter_exchange *exchange;              /* NULL once finished */
    void *data;
    uint32_t id;
    bool is_created, is_finishing, is_done_said, is_closed;
    bool is_paused[2];
    bool has_body[2]; /* it may read and change it: told of, and not passed on since */
    struct weir_filter_buffer buffers[2];
    struct weir_filter_local local;
    bool has_local, is_local_taken;
    struct weir__filter_property *properties;
    uint32_t property_count;
    uint64_t property_bytes;
    uint64_t growth_bytes, host_bytes_peak;
};

/* One call into the guest. */
struct weir__filter_step {
    enum weir__filter_callback callback;
    uint32_t context; /* effective */
    int32_t args[5];
};
#define FILTER_STEPS_MAX 8

struct weir_filter_vm {
    struct weir_filter_plugin *plugin;
    void *host_data;
    struct weir_store *store;
    struct weir_account *account;
    struct weir_instance *instance;
    struct weir_memory *memory;
    struct weir_wasi *wasi;
    struct weir_funcref *callbacks[FILTER_CALLBACK_COUNT];
    struct weir_funcref *allocate;
    enum weir_status failed; /* OK: it runs */
    char failure[WEIR_ERROR_MESSAGE_SIZE];
    bool is_started, is_starting;
    bool is_allocating; /* the guest allocates for a host function */
    uint64_t slice_ns;

    /* What runs: steps[step .. step_count). */
    struct weir__filter_step steps[FILTER_STEPS_MAX];
    uint32_t step, step_count;
    bool is_busy; /* steps[step] is parked */
    struct weir_filter_stream *runs; /* its stream; NULL: the root context */
    struct weir_filter_call *answers; /* whose answer is being delivered */
    uint32_t effective;
    int32_t action; /* what the last step answered */
    uint64_t linear_before, host_before;

    uint32_t root_id, next_id;
    struct weir_filter_stream *buckets[WEIR_FILTER_BUCKETS];
    uint32_t stream_count;
    struct weir_filter_stream *lingering; /* oldest first */
    uint32_t linger_count;

    struct weir_filter_call *calls;    /* under way */
    struct weir_filter_call *finished; /* to be told, in order */
    uint32_t call_count;
    uint32_t next_call_id;
    uint64_t tick_ns, tick_due_ns;
    uint32_t queues[WEIR_FILTER_VM_QUEUES_MAX]; /* ids that it registered */
    uint64_t queue_seen[WEIR_FILTER_VM_QUEUES_MAX];
    uint32_t queue_count;
    struct weir_trap trap;
};

struct weir__filter_host_call {
    struct weir_filter_vm *vm;
    struct weir_caller *caller;
    const union weir_value *args;
    enum weir_status status; /* FILTER_END */
};

#define FILTER_FUNCTION(name, params, is_free)                                                     \
    int weir__filter_##name(struct weir__filter_host_call *call);
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION

static inline uint32_t weir__filter_u32(const struct weir__filter_host_call *call, unsigned index)
{
    return (uint32_t)call->args[index].i32;
}

/* --- filter_link.c --- */
enum weir_status weir__filter_link(struct weir_filter_plugin *plugin, struct weir_error *error)
    WEIR_MUST_USE;

/* --- filter_guest.c: guest memory and copies of it --- */

/* A copy of a guest's bytes, charged to the VM while it is larger than what lies inside. */
struct weir__filter_slice {
    struct weir_account *account;
    uint8_t *bytes;
    size_t size;
    uint8_t few[WEIR_FILTER_STACK_COPY_BYTES];
};
void weir__filter_slice_done(struct weir__filter_slice *slice);
#define FILTER_SLICE(name)                                                                         \
    __attribute__((cleanup(weir__filter_slice_done))) struct weir__filter_slice name = {           \
        .account = NULL}
static inline struct weir_filter_text weir__filter_slice_text(const struct weir__filter_slice *s)
{
    return (struct weir_filter_text){s->bytes, s->size};
}
/* Of the (address, size) that are arguments `index` and the next. BAD_ARGUMENT: over `size_max`. */
int weir__filter_get(struct weir__filter_host_call *call, unsigned index, uint64_t size_max,
                     struct weir__filter_slice *slice);
int weir__filter_put_u32(struct weir__filter_host_call *call, unsigned index, uint32_t value);
int weir__filter_put_u64(struct weir__filter_host_call *call, unsigned index, uint64_t value);
/* Memory of the guest's for the host to write to, by the guest's own allocator. */
int weir__filter_allocate(struct weir__filter_host_call *call, uint64_t size,
                          uint32_t *ret_address);
/* OK when a guest's (address, size) is in its memory, for what is looked at no further. */
int weir__filter_look(struct weir__filter_host_call *call, unsigned index);
/* Where arguments `index` and the next point there is room for an address and a size: asked before
 * anything is taken or allocated for the guest. */
int weir__filter_can_give(struct weir__filter_host_call *call, unsigned index);
/* Copies a text out: address and size go to where arguments `index` and the next point. */
int weir__filter_give(struct weir__filter_host_call *call, unsigned index,
                      struct weir_filter_text text);
/* Says in the plugin's log why a host function refused, and answers `status`. */
int weir__filter_refuse(struct weir__filter_host_call *call, int status, const char *format, ...)
    WEIR_PRINTF(3, 4);
void weir__filter_log(struct weir_filter_vm *vm, enum weir_filter_level level, const char *format,
                      ...) WEIR_PRINTF(3, 4);
/* What a status of Weir's is to a guest; the reason goes to the plugin's log. */
int weir__filter_status_of(struct weir__filter_host_call *call, enum weir_status status,
                           struct weir_error *error);

/* --- filter_vm.c --- */
enum weir_status weir__filter_failed(const struct weir_filter_vm *vm, struct weir_error *error);
/* Queues a call into the guest when it has such a callback. */
void weir__filter_step(struct weir_filter_vm *vm, enum weir__filter_callback callback,
                       uint32_t context, const int32_t args[5]);
/* Runs what is queued. */
enum weir_status weir__filter_run(struct weir_filter_vm *vm, struct weir_error *error);

/* --- filter_stream.c --- */
struct weir_filter_stream *weir__filter_find_stream(const struct weir_filter_vm *vm, uint32_t id);
/* The stream that host functions act on; NULL: the root context. */
struct weir_filter_stream *weir__filter_stream_now(const struct weir_filter_vm *vm);
void weir__filter_stream_returned(struct weir_filter_vm *vm, enum weir__filter_callback callback,
                                  int32_t result);
/* The steps of a stream are through. */
void weir__filter_stream_settled(struct weir_filter_stream *stream);
void weir__filter_stream_measure(struct weir_filter_stream *stream);
/* Ends what lingers: `all`, or those that proxy_done() was said of; queues steps for one. */
bool weir__filter_linger_step(struct weir_filter_vm *vm);
void weir__filter_streams_drop(struct weir_filter_vm *vm);
void weir__filter_wake(struct weir_filter_stream *stream);

/* --- filter_call.c --- */
bool weir__filter_call_step(struct weir_filter_vm *vm);
void weir__filter_call_told(struct weir_filter_vm *vm);
void weir__filter_calls_drop(struct weir_filter_vm *vm);

/* --- filter_registry.c --- */
bool weir__filter_queue_has(struct weir_filter_registry *registry, uint32_t id,
                            uint64_t *ret_enqueued);
/* Drops the metrics of a plugin that goes. */
void weir__filter_registry_leave(struct weir_filter_registry *registry,
                                 struct weir_filter_plugin *plugin);
enum weir_status weir__filter_shared_set(struct weir_filter_plugin *plugin,
                                         struct weir_filter_text key, struct weir_filter_text value,
                                         uint32_t cas, struct weir_error *error);
/* A copy charged to `slice->account`, which is set; NOT_FOUND. */
enum weir_status weir__filter_shared_get(struct weir_filter_plugin *plugin,
                                         struct weir_filter_text key,
                                         struct weir__filter_slice *slice, uint32_t *ret_cas);
enum weir_status weir__filter_queue_open(struct weir_filter_plugin *plugin,
                                         struct weir_filter_text vm_id,
                                         struct weir_filter_text name, bool is_making,
                                         uint32_t *ret_id, struct weir_error *error);
enum weir_status weir__filter_queue_put(struct weir_filter_plugin *plugin, uint32_t id,
                                        struct weir_filter_text message, struct weir_error *error);
/* PENDING: empty. */
enum weir_status weir__filter_queue_get(struct weir_filter_plugin *plugin, uint32_t id,
                                        struct weir__filter_slice *slice);
enum weir_status weir__filter_metric_define(struct weir_filter_plugin *plugin, uint32_t type,
                                            struct weir_filter_text name, uint32_t *ret_id,
                                            struct weir_error *error);
enum weir__filter_metric_use {
    FILTER_METRIC_RECORD,
    FILTER_METRIC_INCREMENT,
    FILTER_METRIC_GET
};
int weir__filter_metric_use(struct weir_filter_plugin *plugin, uint32_t id,
                            enum weir__filter_metric_use use, int64_t amount, uint64_t *ret_value);

#endif
