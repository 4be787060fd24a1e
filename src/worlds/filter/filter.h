/* proxy-wasm 0.2.1, 0.2.0 and 0.1.0: the world of filters in front of HTTP services.
 *
 * A plugin is a module with its configuration and limits. A VM is a store with one instance of it,
 * used by one thread at a time. A stream is one HTTP exchange inside a VM (a context of the ABI).
 * Streams of several plugins that look at the same exchange form a chain; who drives it owns the
 * exchange's header maps and hands bodies on from stream to stream.
 *
 * A VM does one thing at a time. What runs the guest may answer PENDING when the guest's time slice
 * ended; weir_filter_vm_resume() goes on then, and until it answers something else nothing
 * but it, weir_filter_vm_free() and readings is allowed. A guest that traps, runs out of time or
 * fuel, or ends itself ends its VM: every stream of it answers TRAP from then on.
 *
 * Host memory that a plugin causes is charged to its VM's account (header_map, host_buffer), shared
 * data, queues and metrics to the plugin's (shared_data).
 */
#ifndef WEIR_FILTER_H
#define WEIR_FILTER_H

#include <weir/instance.h>

#include "worlds/filter/filter_buffer.h"

struct weir_filter_plugin;
struct weir_filter_vm;
struct weir_filter_stream;
struct weir_filter_call;

/* --- what plugins share ---------------------------------------------------------------------- */

/* Shared data, queues and metrics, by vm_id; several threads' VMs use one. */
struct weir_filter_registry;

enum weir_status weir_filter_registry_new(struct weir_account *account,
                                          struct weir_filter_registry **ret_registry,
                                          struct weir_error *error) WEIR_MUST_USE;
/* After all plugins of it. NULL is allowed. */
void weir_filter_registry_free(struct weir_filter_registry *registry);

enum weir_filter_metric_type {
    WEIR_FILTER_COUNTER,
    WEIR_FILTER_GAUGE,
    WEIR_FILTER_HISTOGRAM /* value: sum of what was recorded, count: how often */
};
struct weir_filter_metric_reading {
    const char *plugin, *name;
    enum weir_filter_metric_type type;
    uint64_t value, count;
};
/* Metrics that plugins defined. The lock is held meanwhile. */
void weir_filter_registry_metrics(struct weir_filter_registry *registry,
                                  void (*visit)(void *context,
                                                const struct weir_filter_metric_reading *reading),
                                  void *context);

/* --- plugins --------------------------------------------------------------------------------- */

enum weir_filter_level {
    WEIR_FILTER_TRACE,
    WEIR_FILTER_DEBUG,
    WEIR_FILTER_INFO,
    WEIR_FILTER_WARN,
    WEIR_FILTER_ERROR,
    WEIR_FILTER_CRITICAL
};
const char *weir_filter_level_name(enum weir_filter_level level);

enum weir_filter_direction {
    WEIR_FILTER_REQUEST,
    WEIR_FILTER_RESPONSE
};

/* What the host does for guests. Called on the VM's thread while its guest runs. */
struct weir_filter_host {
    /* `text` is a line of the plugin's, UTF-8 or not, cut at 4 KiB. */
    void (*log)(void *context, const struct weir_filter_plugin *plugin,
                enum weir_filter_level level, struct weir_filter_text text);
    /* Starts the call; weir_filter_call_finish() ends it, later. NOT_FOUND: no such upstream. */
    enum weir_status (*call)(void *context, struct weir_filter_call *call,
                             struct weir_error *error);
    /* The call's VM goes away; weir_filter_call_finish() must not be called any more. */
    void (*cancel)(void *context, struct weir_filter_call *call);
    /* A stream that was paused may go on, or has a local response; look at it when the guest is
     * back. */
    void (*wake)(void *context, struct weir_filter_stream *stream);
};

/* Zero-initialise; zero means the default named behind each field. Strings and bytes are the
 * caller's and must outlive the plugin. */
struct weir_filter_config {
    const char *name;    /* for people: reports, logs */
    const char *root_id; /* "" */
    const char *vm_id;   /* "" */
    struct weir_filter_text configuration, vm_configuration;
    struct weir_account *account; /* parent of the plugin's own: the engine's parent */
    uint64_t plugin_bytes_max;    /* all VMs and what is shared: none */
    uint64_t memory_bytes_max;    /* hard, per VM: 128 MiB */
    uint64_t memory_bytes_soft;   /* a VM above it should be recycled: 3/4 of it */
    uint64_t buffer_bytes_max;    /* a body that is held back, a call's body: 16 MiB */
    uint64_t time_ns;             /* of one callback: 1 s */
    uint64_t fuel;                /* of one callback; 0: not counted */
    uint32_t streams_max;         /* of one VM at once: 1,024 */
    bool prefers_malloc;          /* `malloc` before proxy_on_memory_allocate, as Envoy does */
    enum weir_filter_level level; /* lines below it are dropped: trace */
    const struct weir_filter_host *host;
    void *host_context;
};

/* Links; LINK lists every import that is missing, and exports of a wrong type; INVALID: no marker
 * of an ABI, no memory. The module and the engine behind it are held. */
enum weir_status weir_filter_plugin_new(struct weir_filter_registry *registry,
                                        struct weir_module *module,
                                        const struct weir_filter_config *config,
                                        struct weir_filter_plugin **ret_plugin,
                                        struct weir_error *error) WEIR_MUST_USE;
/* After all its VMs. NULL is allowed. */
void weir_filter_plugin_free(struct weir_filter_plugin *plugin);
const struct weir_filter_config *
weir_filter_plugin_config(const struct weir_filter_plugin *plugin);
struct weir_account *weir_filter_plugin_account(const struct weir_filter_plugin *plugin);
/* "0.2.1", "0.2.0", "0.1.0". */
const char *weir_filter_plugin_abi(const struct weir_filter_plugin *plugin);

struct weir_filter_figures {
    uint64_t streams, callbacks, traps;
    uint64_t calls, call_answers; /* HTTP calls begun, and their callbacks */
    uint64_t calls_left;          /* whose VM went away first */
    uint64_t stream_host_bytes;   /* most that one stream made the host hold */
    uint64_t stream_growth_bytes; /* most linear memory that one stream added */
    uint64_t linear_bytes_peak;   /* of one VM */
};
/* Any thread. */
void weir_filter_plugin_figures(const struct weir_filter_plugin *plugin,
                                struct weir_filter_figures *ret);

/* --- VMs ------------------------------------------------------------------------------------- */

/* A store and an instance; start it before anything else. `host_data` is for the host. */
enum weir_status weir_filter_vm_new(struct weir_filter_plugin *plugin, void *host_data,
                                    struct weir_filter_vm **ret_vm, struct weir_error *error)
    WEIR_MUST_USE;
/* Closes the store, in whatever state. Its streams are freed by their owners before or after, with
 * no guest code run. NULL is allowed. */
void weir_filter_vm_free(struct weir_filter_vm *vm);
/* Initialises, creates the root context, configures. OK, PENDING, or the VM has failed. */
enum weir_status weir_filter_vm_start(struct weir_filter_vm *vm, struct weir_error *error)
    WEIR_MUST_USE;
/* After PENDING. Answers what the interrupted call would have. */
enum weir_status weir_filter_vm_resume(struct weir_filter_vm *vm, struct weir_error *error)
    WEIR_MUST_USE;
/* Delivers one thing that waits for the guest: an answer of a call, a tick that is due, a queue's
 * message, the end of a context. *ret_did is false when there was nothing. OK, PENDING, TRAP. */
enum weir_status weir_filter_vm_work(struct weir_filter_vm *vm, bool *ret_did,
                                     struct weir_error *error) WEIR_MUST_USE;
/* When weir_filter_vm_work() or weir_filter_vm_resume() has something to do: 0 now, UINT64_MAX not
 * by itself, else a CLOCK_MONOTONIC instant. */
uint64_t weir_filter_vm_due_ns(const struct weir_filter_vm *vm);
/* A time slice for what runs from now on; 0: none. */
void weir_filter_vm_set_slice(struct weir_filter_vm *vm, uint64_t slice_ns);

bool weir_filter_vm_is_busy(const struct weir_filter_vm *vm); /* PENDING */
/* Why it failed; NULL: it has not. */
const char *weir_filter_vm_failure(const struct weir_filter_vm *vm);
/* Above the soft mark. */
bool weir_filter_vm_is_large(const struct weir_filter_vm *vm);
/* No stream is open and no call is under way: freeing it loses nothing but the guest's memory. */
bool weir_filter_vm_is_idle(const struct weir_filter_vm *vm);
bool weir_filter_vm_has_room(const struct weir_filter_vm *vm); /* for another stream */
struct weir_account *weir_filter_vm_account(const struct weir_filter_vm *vm);
uint64_t weir_filter_vm_linear_bytes(const struct weir_filter_vm *vm);
void *weir_filter_vm_data(const struct weir_filter_vm *vm);
struct weir_filter_plugin *weir_filter_vm_plugin(const struct weir_filter_vm *vm);

/* --- exchanges and streams ------------------------------------------------------------------- */

enum weir_filter_map_id {
    WEIR_FILTER_REQUEST_HEADERS,
    WEIR_FILTER_REQUEST_TRAILERS,
    WEIR_FILTER_RESPONSE_HEADERS,
    WEIR_FILTER_RESPONSE_TRAILERS,
    WEIR_FILTER_STREAM_MAPS
};

/* What all streams of one exchange see. The owner sets has_map when a map is there, and the facts
 * behind properties; texts may be NULL. */
struct weir_filter_exchange {
    struct weir_account *account;
    struct weir_filter_map maps[WEIR_FILTER_STREAM_MAPS];
    bool has_map[WEIR_FILTER_STREAM_MAPS];
    const char *protocol, *source_address, *destination_address, *route_name, *upstream_name;
    uint64_t source_port, destination_port, connection_id;
    uint64_t begin_ns; /* CLOCK_REALTIME */
    uint64_t request_bytes, response_bytes;
};
/* Clears the maps. */
void weir_filter_exchange_done(struct weir_filter_exchange *exchange);

enum weir_filter_event {
    WEIR_FILTER_ON_REQUEST_HEADERS,
    WEIR_FILTER_ON_REQUEST_BODY,
    WEIR_FILTER_ON_REQUEST_TRAILERS,
    WEIR_FILTER_ON_RESPONSE_HEADERS,
    WEIR_FILTER_ON_RESPONSE_BODY,
    WEIR_FILTER_ON_RESPONSE_TRAILERS
};
struct weir_filter_local {
    uint32_t status;
    struct weir_filter_map headers;
    struct weir_filter_buffer body;
};

/* BUSY: the VM has streams_max; LIMIT. `data` is the owner's. */
enum weir_status weir_filter_stream_new(struct weir_filter_vm *vm,
                                        struct weir_filter_exchange *exchange, void *data,
                                        struct weir_filter_stream **ret_stream,
                                        struct weir_error *error) WEIR_MUST_USE;
/* Body bytes that came for this stream; they are in its buffer until its owner takes them out. */
struct weir_filter_buffer *weir_filter_stream_buffer(struct weir_filter_stream *stream,
                                                     enum weir_filter_direction direction);
/* Tells the guest (which learns of the context first). OK: look at the stream. PENDING, TRAP. */
enum weir_status weir_filter_stream_event(struct weir_filter_stream *stream,
                                          enum weir_filter_event event, bool is_end,
                                          struct weir_error *error) WEIR_MUST_USE;
/* The last event's action was "pause", and neither proxy_continue_stream nor a later event said
 * otherwise. */
bool weir_filter_stream_is_paused(const struct weir_filter_stream *stream,
                                  enum weir_filter_direction direction);
/* What the guest wants sent instead of all else, once; NULL: nothing. The stream's until it is
 * freed; its parts may be taken out. */
struct weir_filter_local *weir_filter_stream_local(struct weir_filter_stream *stream);
bool weir_filter_stream_is_closed(const struct weir_filter_stream *stream); /* proxy_close_stream */
void *weir_filter_stream_data(const struct weir_filter_stream *stream);
struct weir_filter_vm *weir_filter_stream_vm(const struct weir_filter_stream *stream);
/* The exchange is over: proxy_on_done, proxy_on_log, proxy_on_delete. The maps must be there still.
 * OK or PENDING: the stream belongs to the VM now, the exchange must stay until the guest is back.
 * Callbacks for a failed VM are left out. */
enum weir_status weir_filter_stream_finish(struct weir_filter_stream *stream,
                                           struct weir_error *error);

/* --- HTTP calls of guests -------------------------------------------------------------------- */

/* What is asked for. */
struct weir_filter_call {
    struct weir_filter_call *next;
    struct weir_filter_vm *vm;
    uint32_t id;
    uint64_t timeout_ns;
    char *upstream;
    struct weir_filter_map headers; /* with :method, :path, :authority */
    struct weir_filter_map trailers;
    struct weir_filter_buffer body;
    void *host_data; /* the host's */
    /* The answer; empty when there was none. */
    struct weir_filter_map answer_headers, answer_trailers;
    struct weir_filter_buffer answer_body;
    bool is_finished;
};
/* The answer is complete, or there will be none (maps and body empty: failed, timed out). The guest
 * hears of it by weir_filter_vm_work(), exactly once, whatever became of the stream. */
void weir_filter_call_finish(struct weir_filter_call *call);

#endif
