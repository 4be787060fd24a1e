/* Filter threads ("lanes") and what goes through them.
 *
 * A route with filters or an upstream has a chain. Each of its requests is a `filtered` and belongs
 * to one lane, a thread with a VM of every plugin and with libcurl's transfers. Between the lane
 * and the connection's event loop the request goes back and forth like one of a worker: the
 * connection is suspended while the lane has it (is_mine). Only who has it touches `in`, `out` and
 * the answer; the rest is the lane's alone. Plugins may hear of other things meanwhile (calls,
 * ticks); what they do to a stream then is looked at when the lane has the request again.
 */
#ifndef WEIR_SERVER_LANE_INTERNAL_H
#define WEIR_SERVER_LANE_INTERNAL_H

#include <curl/curl.h>

#include "server/server_internal.h"
#include "worlds/filter/filter.h"

/* --- plugins of a route ---------------------------------------------------------------------- */

/* A plugin's VM in one lane. */
struct weir__vm_slot {
    struct weir_filter_vm *vm;      /* NULL: made when it is needed */
    struct weir__filtered *user;    /* whose callback is parked; NULL: the VM's own work */
    uint64_t retry_ns, backoff_ns;  /* after a failure */
    uint64_t drains_since_ns;       /* above the soft mark; 0: not */
    char failure[256];              /* why there is none now; "": no failure */
    bool is_starting;
};

struct weir__plugin {
    const struct weir_filter_keys *keys;
    struct stat file; /* the module's, when it was read */
    struct weir_module *module;
    struct weir_filter_plugin *plugin; /* NULL: it could not be loaded, `failure` says why */
    char failure[256];
    _Atomic uint64_t recycled, restarted, failures;
    struct weir__vm_slot *slots; /* one per lane */
};

/* What one lane keeps of a chain. */
struct weir__chain_lane {
    struct weir__chain *listed_next, *closing_next;
    bool is_listed; /* it has VMs here */
};

/* It outlives its route where one with the same plugins follows: what is not a plugin's is looked
 * up in the request's route. */
struct weir__chain {
    _Atomic uint32_t refs;       /* its routes' and its requests' */
    _Atomic uint32_t open_lanes; /* that have not let its VMs go yet */
    struct weir_server *server;
    struct weir__generation *generation;    /* whose keys its plugins have */
    const struct weir_route_config *config; /* of the route that it was made for */
    pthread_mutex_t lock;
    struct weir__generation *present; /* whose upstreams its plugins call; under the lock */
    _Atomic uint32_t active;          /* requests */
    struct weir__chain_lane *lanes;
    size_t plugin_count;
    struct weir__plugin plugins[];
};

/* --- requests -------------------------------------------------------------------------------- */

/* A way through a plugin: what came, and what was told of it. */
struct weir__way {
    bool has_headers;  /* they may be told */
    bool told_headers, told_body, told_end;
    bool has_news;     /* bytes that were not told */
    bool has_end;      /* no more will come */
    bool is_through;   /* the end was handed on */
};

struct weir__stage {
    struct weir_filter_stream *stream; /* NULL: not begun, or left out */
    struct weir_filter_buffer held[2]; /* instead of the stream's, when there is none */
    struct weir__way ways[2];
    bool is_left_out; /* fail_open */
};

struct weir__transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct weir__lane *lane;
    struct weir__transfer *next, *previous; /* of the lane */
    struct weir__filtered *filtered;        /* one of these two */
    struct weir_filter_call *call;
    uint64_t head_bytes, body_bytes, body_bytes_max;
    uint64_t announced; /* the length of what is sent; UINT64_MAX: none is named */
    bool is_added, is_done, is_judged, has_body_begun;
    bool is_read_paused, is_write_paused;
    CURLcode result;
};

struct weir__filtered {
    struct weir__filtered *next;                       /* inbox */
    struct weir__filtered *active_next, *active_previous; /* of the lane */
    struct weir__connection *connection;               /* NULL: it is over */
    struct weir__route *route;
    struct weir__chain *chain;
    struct weir__lane *lane;
    struct weir_filter_exchange exchange;
    struct weir__transfer transfer;
    char client[INET6_ADDRSTRLEN];

    /* Of who has the request. */
    bool is_mine; /* the lane has it */
    struct weir_filter_buffer in, out;
    bool in_end, out_end;
    bool has_answer; /* status and headers are there */
    bool is_local;    /* the answer is a filter's: the rest of the body does not matter */
    struct weir__failure failure;
    const char *failed_filter;
    _Atomic bool is_gone;
    struct weir_filter_map answer; /* status and headers, once has_answer */
    bool is_ending;                /* the connection's part is over: said with the last post */
    bool is_posted;                /* in the inbox */

    /* The lane's. */
    bool is_completed; /* nothing more is sent */
    bool is_dirty;    /* something happened: look at it */
    bool waits_vm;
    bool ignored;     /* what the last stage hands its news to */
    bool is_parked;   /* a callback of its is parked in a VM: stage, failure to be looked at */
    size_t parked_stage;
    size_t finishing; /* the next stage to be told of the end */
    uint64_t progress_ns; /* when something last went on */
    struct weir_filter_buffer up;    /* to the upstream */
    bool up_end, is_started, has_response_head;
    struct weir_filter_buffer down;  /* from the upstream */
    bool down_end;
    uint64_t sent_bytes;
    size_t stage_count;
    struct weir__stage stages[];
};

struct weir__lane {
    struct weir_server *server;
    uint32_t index;
    pthread_t thread;
    bool is_running;
    CURLM *multi;
    int epoll_fd;           /* what the lane sleeps in: wake_fd, inner_fd, libcurl's sockets */
    int wake_fd;            /* an eventfd */
    uint64_t curl_due_ns;   /* when libcurl wants to look at its times; UINT64_MAX: not */
    int inner_fd;           /* listens for the lane's connections to guests */
    int inner_path_fd;      /* its file, which has no name any more */
    char inner_path[32];    /* of inner_path_fd, for connect() */
    pthread_mutex_t lock; /* inbox, closing, is_stopping */
    struct weir__filtered *inbox, *inbox_last;
    struct weir__chain *closing;
    bool is_stopping;
    struct weir__filtered *active;
    struct weir__transfer *transfers;
    struct weir__chain *chains; /* that have VMs here */
};

/* --- lane_chain.c ---------------------------------------------------------------------------- */

/* A plugin that cannot be loaded is in the chain all the same, and said in the log; but one that is
 * just being published (NULL: none is) is an error. */
enum weir_status weir__chain_new(struct weir_server *server, struct weir__generation *generation,
                                 const struct weir_route_config *config,
                                 const struct weir__publication *publication,
                                 struct weir__chain **ret_chain,
                                 struct weir_error *error) WEIR_MUST_USE;
void weir__chain_unref(struct weir__chain *chain);
/* The same plugins, from the same files. */
bool weir__chain_is_same(const struct weir__chain *chain, const struct weir_route_config *config);
/* Another reference to a chain that does as well as a new one would; NULL: it does not. */
struct weir__chain *weir__chain_keep(struct weir__chain *chain,
                                     const struct weir_route_config *config,
                                     const struct weir__publication *publication);
/* Its plugins call the upstreams of this configuration from now on. */
void weir__chain_adopt(struct weir__chain *chain, struct weir__generation *generation);
bool weir__upstream_is_same(const struct weir_upstream_keys *a,
                            const struct weir_upstream_keys *b);
/* Its VMs are gone. */
void weir__chain_free(struct weir__chain *chain);

/* --- lane_vm.c ------------------------------------------------------------------------------- */

enum weir__slot_state {
    WEIR__SLOT_READY,
    WEIR__SLOT_WAIT,
    WEIR__SLOT_FAILED /* weir__slot_failure() */
};
struct weir__vm_slot *weir__slot(struct weir__lane *lane, struct weir__plugin *plugin);
/* A VM that takes a stream now; makes one. */
enum weir__slot_state weir__slot_acquire(struct weir__lane *lane, struct weir__chain *chain,
                                         struct weir__plugin *plugin);
const char *weir__slot_failure(struct weir__lane *lane, const struct weir__plugin *plugin);
/* The VM failed: it is closed, and made again later. */
void weir__slot_fail(struct weir__lane *lane, struct weir__plugin *plugin, const char *reason);
/* Goes on with parked callbacks, delivers what waits, recycles. */
void weir__lane_run_vms(struct weir__lane *lane);
/* When a VM wants to be looked at: 0 now. */
uint64_t weir__lane_vms_due_ns(const struct weir__lane *lane);
void weir__lane_close_chain(struct weir__lane *lane, struct weir__chain *chain);
/* Requests for which no callback is parked may look at their VMs again. */
bool weir__slot_is_busy(const struct weir__vm_slot *slot);
/* Plugins recycled, restarted: one line in the log. */
void weir__plugin_log(struct weir_server *server, const struct weir__chain *chain,
                      const struct weir__plugin *plugin, const char *what, const char *reason);

/* --- lane_pump.c ----------------------------------------------------------------------------- */

/* Does all that can be done for a request that the lane has, or whose connection is over. True when
 * it has ended: it is freed then. */
bool weir__lane_advance(struct weir__filtered *filtered);
/* It failed, or a filter answered: nothing that is still to come changes the answer. */
static inline bool weir__filtered_is_decided(const struct weir__filtered *filtered)
{
    return filtered->failure.refusal != WEIR__REFUSAL_NONE || filtered->is_local;
}
void weir__filtered_fail(struct weir__filtered *filtered, const char *filter,
                         enum weir__refusal refusal, const char *format, ...) WEIR_PRINTF(4, 5);
/* A callback of one of its stages has come back with `status`. */
void weir__filtered_returned(struct weir__filtered *filtered, size_t stage,
                             enum weir_status status, const char *reason);

/* --- lane_transfer.c ------------------------------------------------------------------------- */

void weir__transfer_stop(struct weir__transfer *transfer);
/* There is something to send, or room again. */
void weir__transfer_pump(struct weir__filtered *filtered);
/* An upstream that failed fails the request. */
void weir__transfer_judge(struct weir__filtered *filtered);
enum weir_status weir__transfer_call(void *context, struct weir_filter_call *call,
                                     struct weir_error *error);
void weir__transfer_cancel(void *context, struct weir_filter_call *call);
enum weir_status weir__lane_curl_open(struct weir__lane *lane, struct weir_error *error)
    WEIR_MUST_USE;
/* What libcurl's timers and transfers have come to. */
void weir__lane_curl_run(struct weir__lane *lane);
/* One of its sockets is ready. */
void weir__lane_curl_ready(struct weir__lane *lane, int fd, uint32_t epoll_events);
void weir__lane_accept(struct weir__lane *lane);
void weir__lane_curl_close(struct weir__lane *lane);

/* --- lane.c ---------------------------------------------------------------------------------- */

enum weir_status weir__lanes_start(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
void weir__lanes_stop(struct weir_server *server);
/* Any thread. */
void weir__lane_post(struct weir__filtered *filtered);
void weir__lane_wake(struct weir__lane *lane);
/* Every lane closes its VMs of the chain, the last one frees it; at once where no lane runs. */
void weir__lanes_let_go(struct weir__chain *chain);
void weir__filtered_free(struct weir__filtered *filtered);
/* A content-length that filters may have written; UINT64_MAX: none that says how long it is. */
uint64_t weir__length_of(const struct weir_filter_pair *length);

#endif
