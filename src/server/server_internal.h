/* What the files of the server share.
 *
 * Who owns a request: at any moment exactly one of its connection's event-loop thread, the worker
 * queue or one worker, and the watch's clock list. The connection is suspended whenever the loop is
 * not the owner; MHD_resume_connection() hands the request back. So nothing of a request is locked,
 * except what the watch may ask of a suspended one: `is_gone` and the store's interrupt.
 */
#ifndef WEIR_SERVER_INTERNAL_H
#define WEIR_SERVER_INTERNAL_H

#include <weir/weir.h>

#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/hash.h"
#include "base/listen.h"
#include "govern/governor.h"
#include "ledger/cgroup_equation.h"
#include "ledger/mapping.h"
#include "server/cgi.h"
#include "server/server.h"
#include "server/server_log.h"
#include "server/server_plan.h"

enum weir__refusal {
#define WEIR_REFUSAL(id, name, http, retry, unit) WEIR__REFUSAL_##id,
#include "server/refusals.def"
#undef WEIR_REFUSAL
    WEIR__REFUSAL_COUNT
};
const char *weir__refusal_name(enum weir__refusal refusal);
unsigned weir__refusal_http(enum weir__refusal refusal);
unsigned weir__refusal_retry_s(enum weir__refusal refusal);
const char *weir__refusal_unit(enum weir__refusal refusal);

#define WEIR__REQUEST_ID_FIELD "X-Request-Id"
#define WEIR__DRAINING_REASON "the server stops, and the body was not there"
#define WEIR__STOPPED_REASON "stopped to free memory for others"

/* Why a request did not get a guest's answer. First report wins, as with weir_error. */
struct weir__failure {
    enum weir__refusal refusal; /* NONE: none */
    char reason[200];
    uint64_t limit, used; /* figures, when limit is not 0 */
    uint64_t needs;       /* what was asked for, when not 0 */
    const char *tenant;   /* whose limit it was; NULL: nobody's, or the route's own */
    char trap[24];
    char at[96]; /* innermost guest frame */
};
void weir__fail(struct weir__failure *failure, enum weir__refusal refusal, const char *format, ...)
    WEIR_PRINTF(3, 4);

struct weir__route;
/* A guest of `route` had no room: with the figures of the account that refused it. */
void weir__fail_memory(struct weir__failure *failure, const struct weir__route *route,
                       const char *message);

/* --- figures ------------------------------------------------------------------------------- */

#define WEIR__LATENCY_BUCKETS 18
extern const uint64_t weir__latency_bounds_us[WEIR__LATENCY_BUCKETS - 1]; /* the last is infinite */

struct weir__route_figures {
    _Atomic uint32_t refs;
    _Atomic uint64_t by_status[6]; /* hundreds; 0: the connection ended without an answer */
    _Atomic uint64_t refusals[WEIR__REFUSAL_COUNT];
    _Atomic uint64_t latency[WEIR__LATENCY_BUCKETS];
    _Atomic uint64_t latency_sum_ns;
    _Atomic uint64_t body_bytes, output_bytes;
    _Atomic uint64_t inline_done; /* finished on the event loop */
};

/* --- a route and its requests -------------------------------------------------------------- */

struct weir__token {
    bool is_set;
    struct weir_hash hash; /* the token itself is not kept */
};

/* A configuration, as long as a route of it is there. */
struct weir__generation {
    _Atomic uint32_t refs;
    struct weir_account *account;
    struct weir_arena *arena; /* of its strings; NULL: the caller's */
    struct weir__token token;
    struct weir_server_config config;
};

struct weir__route {
    _Atomic uint32_t refs; /* the table's and its requests' */
    struct weir_server *server;
    struct weir__generation *generation;
    struct stat file; /* the module's, when it was read */
    const struct weir_route_config *config;
    size_t path_size;
    struct weir_account *account; /* tenant */
    struct weir__tenant *tenant;
    uint64_t told_spoiled, told_recycled; /* the watch's */
    struct weir_module *module;
    struct weir_pool *pool;    /* NULL: the route leads to an upstream, as module */
    struct weir__chain *chain; /* NULL: without filters */
    pthread_mutex_t lock; /* free list */
    struct weir__request *free_list;
    uint32_t request_count; /* blocks that exist, in use or free */
    /* Mode resident, under the lock: residents that nobody has, and who waits for one. */
    uint32_t turns, waiting_count;
    struct weir__request *first_waiting, *last_waiting;
    _Atomic bool is_fault_told;
    struct weir__route_figures *figures; /* shared with routes of the same path before and after */
};

struct weir__route_table {
    size_t count, capacity;
    struct weir__route **by_length; /* longest path first */
    struct weir__route *routes[];   /* in the order of the configuration */
};

/* What a guest took: for the access log and its tenant's totals. */
struct weir__usage {
    uint64_t cpu_ns;
    uint64_t fuel;         /* 0 where it is not counted */
    uint64_t memory_bytes; /* held at its end; memories and tables only grow */
};

enum weir__guest_state {
    WEIR__GUEST_FRESH,       /* not started */
    WEIR__GUEST_READY,       /* its time slice ended */
    WEIR__GUEST_WAITS_BODY,  /* stdin is empty and open */
    WEIR__GUEST_WAITS_ROOM,  /* stdout's buffer is full */
    WEIR__GUEST_WAITS_CLOCK, /* until wake_ns */
    WEIR__GUEST_DONE         /* exit_code, or the failure */
};

struct weir__request {
    struct weir__request *run_next, *run_previous; /* the server's running guests */
    struct weir__request *next; /* free list, worker queue, clock list or route's waiting ones */
    struct weir__connection *connection;
    struct weir__route *route;

    struct weir_instance *instance;
    struct weir_store *store;
    struct weir_wasi *wasi;
    enum weir__guest_state guest;
    bool is_setting_up; /* a reactor's `_initialize` runs */
    bool has_turn, is_waiting;
    bool has_place; /* among its tenant's requests */
    bool is_hung_up;  /* nobody is there to read from or write to */
    bool is_detached; /* without a connection; under the lock of running guests */
    bool was_offloaded;
    int exit_code;
    struct weir__usage usage;
    uint64_t refused_before; /* charges of the slot's account */
    uint64_t inline_left_ns;
    uint64_t guest_deadline_ns;
    uint64_t waits_since_ns; /* for the client: moves the deadline */
    uint64_t wake_ns;
    _Atomic bool is_gone; /* the client left, or the drain's bound passed */
    struct weir__failure failure;

    /* Body, on its way in: ring of the latest bytes, then the spool file, then the end. */
    uint8_t *in;
    size_t in_begin, in_size;
    bool in_closed;
    bool is_spooling;
    int spool_fd;
    uint64_t spool_written, spool_read;

    /* Output, on its way out: out[out_begin .. out_end). */
    size_t out_begin, out_end;
    uint64_t out_total;
    bool has_head; /* head is parsed, out_begin is behind it */
    bool is_streaming;
    uint64_t body_sent;
    size_t stderr_size;
    char stderr_text[WEIR_SERVER_STDERR_BYTES];
    struct weir_cgi_head head;

    struct weir_cgi_env env;
    const char *env_list[WEIR_SERVER_ENV_MAX];
    char env_bytes[WEIR_SERVER_ENV_BYTES];
    struct weir_trap trap;
    uint8_t out[WEIR_SERVER_BUFFER_BYTES];
};

/* --- a connection -------------------------------------------------------------------------- */

#define WEIR__ETAG_SIZE (WEIR_HASH_HEX_SIZE + 2)

/* A page that is made on the reports' thread, and waits to be sent. */
struct weir__report {
    bool is_made;    /* or failed: the connection's failure says why */
    unsigned status; /* 0: 200 */
    char etag[WEIR__ETAG_SIZE];
    const char *type;
    char *text; /* release(context) frees it; NULL once it is MHD's */
    size_t size;
    void (*release)(void *context);
    void *context;
};

struct weir__connection {
    struct weir_server *server;
    struct weir__connection *next_free;
    struct weir__connection *next_report; /* queue */
    struct MHD_Connection *mhd;
    int fd;
    bool is_local;                /* by a UNIX socket */
    uint32_t index;               /* in the watch's table */
    bool is_inner;                /* of a filter thread, to a guest behind filters */
    _Atomic uint64_t deadline_ns; /* the watch ends the connection then; 0: none */
    _Atomic bool is_suspended;
    _Atomic bool is_timed_out;
    _Atomic bool is_drained;   /* its body was late for the stop */
    _Atomic bool is_stopped;   /* by the governor, to free memory */
    _Atomic bool is_cancelled; /* by a stop, while it was suspended */
    _Atomic bool awaits_body;  /* begun, nothing answered yet */
    _Atomic bool is_whole;     /* its body is there */
    uint32_t watch_generation;

    /* Of the present request. */
    bool has_target;
    bool is_begun;
    bool is_discarding;
    bool has_answer; /* a response is queued */
    bool is_old;     /* HTTP/1.0 */
    bool is_report;  /* counts among the server's reports */
    struct weir__report report;
    struct weir_module_upload *upload;
    bool target_is_long;
    unsigned status;
    uint64_t begin_ns, answer_ns, suspended_at_ns, resumed_at_ns, suspended_ns;
    uint64_t received, discarded;
    uint64_t answer_bytes; /* of an answer that is no stream */
    char id[WEIR_SERVER_REQUEST_ID_MAX + 1];
    struct weir__route *route; /* held until the end, whether a guest was started or not */
    struct weir__request *request;
    struct weir__filtered *filtered; /* instead of a request: lane_internal.h */
    struct weir__failure failure;
    bool has_place;    /* of a filtered request, among its tenant's */
    bool has_pressure; /* the governor refused: */
    struct weir_refusal pressure;
    struct weir_cgi_target target;
    const char *method;
    const char *url; /* the path as sent */
    char client[INET6_ADDRSTRLEN];
    char text[WEIR_SERVER_TARGET_MAX + 1];
    char reply[1024];
};

/* --- the server ---------------------------------------------------------------------------- */

enum weir__phase {
    WEIR__STARTING,
    WEIR__SERVING,
    WEIR__DRAINING
};

struct weir__workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct weir__request *first, *last;
    uint32_t queued;
    bool is_stopping;
    pthread_t *threads;
    uint32_t count;
};

struct weir__reports {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct weir__connection *first, *last;
    bool is_running, is_stopping;
    pthread_t thread;
    struct weir_server *server;
    void (*make)(struct weir__connection *connection);
    uint64_t (*tick)(struct weir_server *server); /* when it is due again; may be NULL */
};

/* Listening sockets beside the first. */
struct weir__more {
    int fds[WEIR_SERVER_LISTEN_MAX + 1];
    uint32_t count;
    const char *path; /* of a UNIX socket that is ours to remove */
    /* Addresses where whoever connects may change things. */
    struct sockaddr_un trusted[WEIR_SERVER_LISTEN_MAX + 1];
    uint32_t trusted_count;
    bool is_first_adopted; /* the first socket belongs to a service manager */
    int wake_fd;
    bool is_running;
    pthread_t thread;
};

/* Under the lock of reports but for the interval: server_census.h. */
struct weir__censuses {
    struct weir_server_census_sizes sizes; /* of each */
    struct weir_census *kept[WEIR_SERVER_CENSUS_KEPT];
    uint64_t taken_ns[WEIR_SERVER_CENSUS_KEPT];
    size_t count;
    struct weir_census_growth growth;
    uint64_t completed; /* instances, at the latest */
    uint64_t failures;
    _Atomic uint64_t interval_ns;
    uint64_t due_ns;
};

struct weir__watch {
    pthread_mutex_t lock;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    bool is_running;
    bool is_stopping;
    struct weir__connection **connections;
    uint32_t connection_count;
    uint32_t connection_max;
    uint32_t outer_count; /* that are not inner */
    struct weir__request *clocks; /* unordered: few guests sleep */
    _Atomic uint64_t sweep_ns;    /* when idle residents are looked at next */
};

struct weir_server {
    const struct weir_server_config *config; /* the first: what needs a restart */
    struct weir__generation *first;
    struct weir_account *account;
    struct weir_engine *engines[2]; /* without and with fuel; NULL where no route asks */
    struct weir_linker *linkers[2];
    struct weir_cache *cache;
    pthread_mutex_t tenant_lock;
    struct weir__tenant *tenants;
    uint64_t told_quarantined; /* the watch's */
    pthread_mutex_t make_lock; /* whoever makes a table, from its reading to its exchange */
    struct weir__generation *present;
    struct weir_module_store *modules; /* NULL: no uploads */
    pthread_rwlock_t table_lock;
    struct weir__route_table *table;
    struct weir__token token; /* under table_lock, as the next one is */
    bool are_reads_guarded;
    /* What a reload may change. */
    _Atomic uint64_t idle_ns, body_ns, write_ns, drain_ns;
    struct MHD_Daemon *daemon;
    int listen_fd;
    char host[WEIR_LISTEN_HOST_SIZE];
    uint16_t port;
    char url[WEIR_LISTEN_URL_SIZE];
    _Atomic int phase;
    _Atomic uint32_t active; /* requests between begin and completion */
    _Atomic uint64_t connections_total;
    _Atomic uint32_t reports; /* pages being made or sent that are as long as the ledger */
    struct weir__workers workers;
    struct weir__lane *lanes; /* filter threads */
    uint32_t lane_count;
    _Atomic uint32_t lane_next;
    _Atomic(struct MHD_Daemon *) inner_daemon; /* for filter threads; once it is there */
    struct weir_filter_registry *filter_registry;
    struct weir__watch watch;
    struct weir__more more;
    struct weir__reports report_queue, change_queue;
    _Atomic uint32_t changes; /* that wait or are made */
    _Atomic bool are_changes_off;
    struct weir__route_figures own; /* Weir's own pages and requests without a route */
    /* One report is made at a time, by its thread, and freed by any; what it holds is reserved, so
     * that the host can tell how it is when nothing else is granted. */
    pthread_mutex_t report_lock;
    struct weir_account *reports_account;
    uint64_t report_bytes;              /* reserved */
    struct weir__censuses census;
    struct weir_cgroup_equation cgroup; /* under report_lock */
    struct weir_log_queue *events, *access; /* access NULL: none */
    _Atomic int log_level;
    uint32_t id_seed;
    _Atomic uint64_t id_next;
    pthread_mutex_t log_lock;
    uint64_t log_second;
    uint32_t log_lines;
    uint64_t log_left_out;
    /* The governor; exchanged by reloads. */
    pthread_rwlock_t governor_lock;
    struct weir_governor *governor; /* NULL: off */
    struct weir__generation *governor_generation;
    _Atomic uint64_t memory_bytes_max, free_bytes, beside_bytes;
    _Atomic bool is_compile_paused;
    bool is_read_failing; /* its thread's */
    pthread_mutex_t running_lock;
    struct weir__request *running;
    struct weir__connection nobody; /* of detached requests */
    uint64_t charged_threads;
    /* Connections are made at the start: what accepts requests, and refuses them, needs no memory
     * that could be refused. */
    struct weir_mapping connections;
    uint64_t charged_connections;              /* libmicrohttpd's part */
    struct weir__connection *free_connections; /* under the watch's lock */
};

/* server_http.c */
/* Memory for every connection. */
enum weir_status weir__connections_start(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
void weir__connections_stop(struct weir_server *server);
enum weir_status weir__http_start(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;

/* exchange.c: the loop's side of a request. */
enum MHD_Result weir__exchange_begin(struct weir__connection *connection);
enum MHD_Result weir__exchange_body(struct weir__connection *connection, const char *data,
                                    size_t *size);
enum MHD_Result weir__exchange_end(struct weir__connection *connection);
void weir__exchange_completed(struct weir__connection *connection, bool is_complete);
/* Sets when the watch gives up on the client: grace, plus what the lowest rate allows. */
void weir__exchange_expect(struct weir__connection *connection, uint64_t since_ns,
                           uint64_t grace_ns, uint64_t bytes);

/* server_governor.c */
/* The governor that a configuration asks for, instead of the present one if that differs. */
enum weir_status weir__governor_set(struct weir_server *server, struct weir__generation *generation,
                                    struct weir_error *error) WEIR_MUST_USE;
void weir__governor_stop(struct weir_server *server);
/* Whether a request may come in. */
bool weir__governor_admit(struct weir_server *server, struct weir_refusal *ret_refusal);
/* False when it is off. */
bool weir__governor_status(struct weir_server *server, struct weir_governor_status *ret_status);
/* A guest has its slot; it can be stopped for others until it is removed. */
void weir__running_add(struct weir__request *request);
void weir__running_remove(struct weir__request *request);

/* routes.c */
struct weir__generation *weir__generation_new(struct weir_server *server,
                                              const struct weir_server_config *config,
                                              struct weir_arena *arena, struct weir_error *error);
void weir__generation_unref(struct weir__generation *generation);
/* What is the same in the server's present table is taken over, the rest is made. */
enum weir_status weir__route_table_new(struct weir_server *server,
                                       struct weir__generation *generation,
                                       const struct weir_server_progress *progress,
                                       struct weir__route_table **ret_table,
                                       struct weir_error *error) WEIR_MUST_USE;
void weir__route_table_free(struct weir_server *server, struct weir__route_table *table);
/* Takes the table over, which is of that configuration; the old one's routes end with their last
 * request. */
void weir__route_table_set(struct weir_server *server, struct weir__generation *generation,
                           struct weir__route_table *table);
/* `path` is its guest's or a filter's. */
bool weir__route_uses(const struct weir_route_config *config, const char *path);
/* A module instead of another: routes that use `path` are made with `file`, then publish() puts
 * the file in its place, then the routes are exchanged. Nothing has changed after an error,
 * unless publish() has said that it is published all the same. */
struct weir__publication {
    const char *path, *file;
    enum weir_status (*publish)(void *context, bool *ret_is_published, struct weir_error *error);
    void *context;
};
enum weir_status weir__route_table_publish(struct weir_server *server,
                                           const struct weir__publication *publication,
                                           struct weir_error *error) WEIR_MUST_USE;
/* remove(), while no route uses `path` nor comes to; EXISTS when one does. */
enum weir_status weir__route_table_without(struct weir_server *server, const char *path,
                                           enum weir_status (*remove)(void *context,
                                                                      struct weir_error *error),
                                           void *context, struct weir_error *error) WEIR_MUST_USE;
/* For reading, not for long: reloads wait. */
const struct weir__route_table *weir__route_table_hold(struct weir_server *server);
void weir__route_table_release(struct weir_server *server);
/* NULL without; otherwise the caller's to unref. */
struct weir__route *weir__route_find(struct weir_server *server, const char *path);
struct weir__route *weir__route_ref(struct weir__route *route);
void weir__route_unref(struct weir__route *route);
/* Frees blocks of requests that are not in flight; returns the bytes. */
uint64_t weir__route_shrink(struct weir__route *route);

/* The engine, and the linker of its guests, made when they are needed. */
enum weir_status weir__engine_open(struct weir_server *server, bool has_fuel,
                                   struct weir_error *error) WEIR_MUST_USE;

/* filtered.c: requests that go through filters. */
struct weir__filtered;
/* The connection has a filtered request now, or a failure. Takes the reference to the route. */
void weir__filtered_begin(struct weir__connection *connection, struct weir__route *route);
enum MHD_Result weir__filtered_body(struct weir__connection *connection, const char *data,
                                    size_t *size);
enum MHD_Result weir__filtered_end(struct weir__connection *connection);
void weir__filtered_completed(struct weir__connection *connection);
/* NULL: none. */
const struct weir__failure *weir__filtered_failure(const struct weir__filtered *filtered);
/* The filter behind the failure; NULL: none. */
const char *weir__filtered_filter(const struct weir__filtered *filtered);
struct weir__route *weir__filtered_route(const struct weir__filtered *filtered);
/* The connection is suspended. */
void weir__filtered_cancel(struct weir__filtered *filtered);
/* Names the client on a connection of a filter thread. */
#define WEIR__CLIENT_FIELD "x-weir-client"

/* request.c: requests that a guest answers. The request takes over the caller's reference to its
 * route when there is one. */
/* A clean block for a request; NULL with the failure set. */
struct weir__request *weir__request_take(struct weir__connection *connection,
                                         struct weir__route *route);
void weir__request_give(struct weir__request *request);
/* Copies upload bytes to the ring or the spool. Returns how many were taken. */
size_t weir__request_feed(struct weir__request *request, const char *data, size_t size);
bool weir__request_is_runnable(const struct weir__request *request);
struct weir_wasi_stream weir__request_stream(struct weir__request *request, int number);

/* guest_run.c: any thread that owns the request. */
void weir__guest_step(struct weir__request *request, uint64_t slice_ns);
/* Ends a guest that is parked or not started; `refusal` is why. */
void weir__guest_abort(struct weir__request *request, enum weir__refusal refusal,
                       const char *reason);
/* Gives the slot back. */
void weir__guest_close(struct weir__request *request);

/* answer.c: responses. */
enum MHD_Result weir__answer_failure(struct weir__connection *connection);
enum MHD_Result weir__answer_guest(struct weir__request *request);
/* Takes the response over. `size` of what is no stream. */
enum MHD_Result weir__answer_queue(struct weir__connection *connection, unsigned status,
                                   struct MHD_Response *response, uint64_t size);
enum MHD_Result weir__answer_stream(struct weir__request *request);
enum MHD_Result weir__answer_text(struct weir__connection *connection, unsigned status,
                                  const char *type, char *text, size_t size,
                                  enum MHD_ResponseMemoryMode mode);
/* Its text is released once it is sent, or at once on failure. */
enum MHD_Result weir__answer_report(struct weir__connection *connection,
                                    const struct weir__report *report);
/* Mid-upload, where MHD cannot queue a response: writes one by hand; the connection must end. */
void weir__answer_raw(struct weir__connection *connection, enum weir__refusal refusal,
                      const char *reason);
/* Moves the connection to the thread of reports or of changes, suspended. */
void weir__exchange_report(struct weir__connection *connection, struct weir__reports *reports);
/* Suspends until the watch's clock or the client's end. */
void weir__exchange_sleep(struct weir__request *request);
/* Runs the guest on this loop's thread as long as its inline time lasts; false when it went to the
 * workers. */
bool weir__exchange_pump(struct weir__request *request);

void weir__exchange_suspend(struct weir__request *request);
/* The same for a filtered request; and what comes first when it is back. */
void weir__exchange_suspend_filtered(struct weir__connection *connection);
void weir__exchange_take_over(struct weir__connection *connection);

/* guest_modes.c */
/* For weir_pool_warm(), with the route: LINK when the module lacks what its mode calls; runs what
 * comes before the first request, at most for the route's time. */
enum weir_status weir__mode_set_up(void *route, struct weir_instance *instance,
                                   struct weir_error *error) WEIR_MUST_USE;
/* A resident's context, when it ends. */
void weir__context_free(void *wasi);
/* A slot for the request, by the route's affinity. */
enum weir_status weir__mode_take(struct weir__request *request, struct weir_error *error)
    WEIR_MUST_USE;
/* Its context: new, or the resident's own for this request. And what is left of it. */
enum weir_status weir__mode_open(struct weir__request *request, struct weir_error *error)
    WEIR_MUST_USE;
void weir__mode_close(struct weir__request *request);
/* The first call into the guest; and what follows when a call has come back with `status`. Answer
 * like weir_wasi_run(). */
enum weir_status weir__mode_start(struct weir__request *request, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir__mode_go_on(struct weir__request *request, enum weir_status status,
                                  struct weir_error *error) WEIR_MUST_USE;

/* guest_detached.c */
/* When its connection ends: a resident that is not done goes on without. */
bool weir__guest_is_left_alone(const struct weir__request *request);
/* Takes the request, and its place among the active ones, over. */
void weir__guest_detach(struct weir__request *request);
/* In a worker, after a slice. */
void weir__detached_go_on(struct weir__request *request);
void weir__detached_cancel(struct weir_server *server);

/* resident_turn.c */
/* On the event loop: true when the request may run; otherwise it waits, suspended. */
bool weir__turn_begin(struct weir__request *request);
/* It was taken off the list without one. */
bool weir__turn_is_missing(const struct weir__request *request);
/* Its resident is back: the next one's turn. */
void weir__turn_end(struct weir__request *request);
/* Takes a suspended request off the list whose client left or whose time is over. */
void weir__turn_look(struct weir__request *request, uint64_t now_ns);
/* The request goes on though its client has left. */
bool weir__turn_outlasts(struct weir__request *request);
uint32_t weir__turns_waiting(struct weir__route *route);
/* Ends idle residents that are due, and has the watch come back for the next one. */
void weir__residents_look(struct weir__route *route);
void weir__residents_sweep(struct weir_server *server);

/* worker_pool.c */
enum weir_status weir__workers_start(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
void weir__workers_push(struct weir__workers *workers, struct weir__request *request);
void weir__workers_stop(struct weir_server *server);

/* client_watch.c */
enum weir_status weir__watch_start(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
void weir__watch_stop(struct weir_server *server);
/* A clean record out of the server's, and its place in the table; NULL when there are
 * connections_max. */
struct weir__connection *weir__watch_add(struct weir_server *server, bool is_inner);
void weir__watch_remove(struct weir__connection *connection);
/* A suspended connection: tells when the client leaves. */
void weir__watch_suspended(struct weir__connection *connection);
void weir__watch_resumed(struct weir__connection *connection);
/* Puts the request on the clock list until its wake_ns or deadline; it then goes to the workers. */
void weir__watch_sleep(struct weir__request *request);
/* Looks at sleepers and clients now. */
void weir__watch_wake(struct weir_server *server);
/* Looks at idle residents at this instant, or earlier if it was asked for before. */
void weir__watch_sweep_by(struct weir_server *server, uint64_t due_ns);
/* Cancels every suspended request and ends every other connection. */
void weir__watch_cancel_all(struct weir_server *server);

/* Weir's own pages: answered at once on the event loop, or made on the reports' thread, under the
 * lock of reports, by weir__report_set() or setting the connection's failure. */
struct weir__page {
    const char *path; /* one that ends with "/": everything below it */
    enum MHD_Result (*answer)(struct weir__connection *connection);
    void (*make)(struct weir__connection *connection);
    const char *changes; /* methods that change something: "PUT, DELETE"; NULL: none */
    void (*begin)(struct weir__connection *connection, uint64_t body_bytes);
    void (*change)(struct weir__connection *connection); /* on the thread of changes */
};
/* NULL when the path is none of them. */
const struct weir__page *weir__page_find(const char *path);
/* For a mistyped path; NULL when none is near. */
const char *weir__page_nearest(const char *path);
/* A request for a page: sets the failure when it is refused. */
void weir__page_begin(struct weir__connection *connection, const struct weir__page *page,
                      uint64_t body_bytes);
/* "GET, HEAD, …" of the page that is asked for. */
const char *weir__page_methods(const struct weir__connection *connection, char *text, size_t size);
void weir__page_make(struct weir__connection *connection);
uint64_t weir__page_tick(struct weir_server *server);
void weir__page_change(struct weir__connection *connection);
/* Answers, or suspends the connection and answers when it is resumed. */
enum MHD_Result weir__page_answer(struct weir__connection *connection);
enum MHD_Result weir__page_pressure(struct weir__connection *connection);
void weir__report_memory(struct weir__connection *connection);
void weir__report_metrics(struct weir__connection *connection);
void weir__report_cache(struct weir__connection *connection);
void weir__report_filters(struct weir__connection *connection);
struct weir_metrics;
/* Holds the table meanwhile. */
void weir__filters_metrics(struct weir_server *server, struct weir_metrics *metrics);
void weir__report_census(struct weir__connection *connection);

/* report_thread.c */
enum weir_status weir__reports_start(struct weir__reports *reports, struct weir_error *error)
    WEIR_MUST_USE;
/* False: it stops. */
bool weir__reports_push(struct weir__reports *reports, struct weir__connection *connection);
/* What waits is made before. */
void weir__reports_stop(struct weir__reports *reports);
/* What was made; release(context) frees `text`. */
void weir__report_set(struct weir__connection *connection, const struct weir__report *report);
/* Takes an object of JSON over: its text, charged to the reports. NULL: `error` becomes the
 * connection's failure. */
void weir__report_json(struct weir__connection *connection, json_t *object,
                       struct weir_error *error);

/* watch_counts.c: one at a time. */
void weir__counts_tell(struct weir_server *server);

/* tenants.c */
enum weir_status weir__tenant_join(struct weir__route *route, struct weir_error *error)
    WEIR_MUST_USE;
void weir__tenant_leave(struct weir__route *route);
/* A place among the requests of the tenant; false with the failure set when all are taken. */
bool weir__tenant_enter(struct weir__tenant *tenant, struct weir__failure *failure);
void weir__tenant_exit(struct weir__tenant *tenant);
/* The limits of a configuration; what runs goes on. */
void weir__tenants_set(struct weir_server *server, const struct weir_server_config *config);
const char *weir__tenant_name(const struct weir__tenant *tenant);
/* Over those of its routes. */
struct weir_account *weir__tenant_account(const struct weir__tenant *tenant);
struct weir__ended {
    unsigned status; /* 0: no answer */
    enum weir__refusal refusal;
    uint64_t ns, received, sent;
};
void weir__tenant_count(struct weir__tenant *tenant, const struct weir__ended *ended);
void weir__tenant_spend(struct weir__tenant *tenant, uint64_t cpu_ns);
void weir__report_tenants(struct weir__connection *connection);
struct weir_metrics;
/* The page holds the table. */
void weir__tenant_metrics(struct weir_server *server, struct weir_metrics *metrics);

/* listen_more.c: opened before the daemon, accepting after it. */
enum weir_status weir__more_open(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir__more_start(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
/* Connections that the kernel took and nobody accepted: they are told. */
void weir__more_refuse(struct weir_server *server);
/* Whether the connection's own end is one of the trusted addresses. */
bool weir__more_trusts(const struct weir_server *server, int fd);
/* Buffers of a listening socket, which accepted ones inherit: the kernel would let each grow to
 * some MiB. */
void weir__listen_tune(int fd);
void weir__more_quiesce(struct weir_server *server);
void weir__more_close(struct weir_server *server);

/* control.c */
enum weir_status weir__token_read(const char *path, struct weir__token *ret_token,
                                  struct weir_error *error) WEIR_MUST_USE;
/* False with the failure set. */
bool weir__control_admit(struct weir__connection *connection, bool is_change);

/* route_modules.c */
#define WEIR__MODULES_PATH "/v1/modules/"
void weir__modules_begin(struct weir__connection *connection, uint64_t body_bytes);
void weir__modules_body(struct weir__connection *connection, const char *data, size_t size);
void weir__modules_end(struct weir__connection *connection);
void weir__modules_change(struct weir__connection *connection);
void weir__modules_list(struct weir__connection *connection);
void weir__modules_show(struct weir__connection *connection);

/* server_cache.c */
struct weir_metrics;
/* Ends the trace, whose failure is logged, and frees the cache. NULL cache: nothing. */
void weir__server_cache_close(struct weir_server *server);
enum weir_status weir__server_cache_open(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
void weir__server_cache_metrics(struct weir_server *server, struct weir_metrics *metrics);

/* server_log.c */
enum weir_status weir__logs_open(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
void weir__logs_close(struct weir_server *server);
/* The client's own X-Request-Id where it is a plain word, otherwise a new one. */
void weir__log_name_request(struct weir__connection *connection);
/* The line of a request that is over; `status` 0: it ended without an answer. `request` NULL: there
 * was no guest, or it goes on. */
void weir__log_access(struct weir__connection *connection, const struct weir__failure *failure,
                      unsigned status, const struct weir__request *request);

/* server_figures.c */
void weir__figures_count(struct weir__route_figures *figures, unsigned status,
                         enum weir__refusal refusal, uint64_t ns);
/* One event about a failed guest, at most WEIR_SERVER_LOG_LINES_MAX per second. */
void weir__log_failure(struct weir_server *server, const struct weir__request *request);
void weir__log_filtered_failure(const struct weir__connection *connection,
                                const struct weir__failure *failure);

#endif
