/* Filter threads: take what the event loops hand over, give VMs and transfers their turns, sleep in
 * epoll, where libcurl's sockets are, too: a turn costs what is ready, not what is under way. */
#include "server/lane_internal.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long a lane sleeps when only time could pass: requests' limits are looked at so often. */
#define LANE_SLEEP_MS 100
#define LANE_EVENTS 64 /* taken at once; more are taken the next time */

static void lock(struct weir__lane *lane)
{
    int failed = pthread_mutex_lock(&lane->lock);
    WEIR_ASSERT(failed == 0);
}

static void unlock(struct weir__lane *lane)
{
    int failed = pthread_mutex_unlock(&lane->lock);
    WEIR_ASSERT(failed == 0);
}

void weir__lane_wake(struct weir__lane *lane)
{
    const uint64_t one = 1;
    (void)!write(lane->wake_fd, &one, sizeof one); /* full: it is awake */
}

void weir__lane_post(struct weir__filtered *filtered)
{
    struct weir__lane *lane = filtered->lane;
    lock(lane);
    WEIR_DASSERT(!filtered->is_posted);
    filtered->is_posted = true;
    filtered->next = NULL;
    bool is_woken = lane->inbox_last != NULL; /* by whoever came before */
    if (is_woken)
        lane->inbox_last->next = filtered;
    else
        lane->inbox = filtered;
    lane->inbox_last = filtered;
    unlock(lane);
    if (!is_woken)
        weir__lane_wake(lane);
}

static void take_inbox(struct weir__lane *lane)
{
    lock(lane);
    struct weir__filtered *first = lane->inbox;
    struct weir__chain *closing = lane->closing;
    lane->inbox = lane->inbox_last = NULL;
    lane->closing = NULL;
    for (struct weir__filtered *f = first; f != NULL; f = f->next) {
        f->is_posted = false;
        f->is_completed = f->is_ending;
    }
    unlock(lane);
    while (first != NULL) {
        struct weir__filtered *filtered = first;
        first = filtered->next;
        filtered->is_mine = !filtered->is_completed;
        filtered->is_dirty = true;
        filtered->progress_ns = weir_clock_ns();
        if (filtered->active_previous == NULL && lane->active != filtered) {
            filtered->active_next = lane->active;
            if (lane->active != NULL)
                lane->active->active_previous = filtered;
            lane->active = filtered;
        }
    }
    while (closing != NULL) {
        struct weir__chain *chain = closing;
        closing = chain->lanes[lane->index].closing_next;
        weir__lane_close_chain(lane, chain);
        if (atomic_fetch_sub(&chain->open_lanes, 1) == 1)
            weir__chain_free(chain);
    }
}

static void unlink_active(struct weir__filtered *filtered)
{
    struct weir__lane *lane = filtered->lane;
    if (filtered->active_previous != NULL)
        filtered->active_previous->active_next = filtered->active_next;
    else
        lane->active = filtered->active_next;
    if (filtered->active_next != NULL)
        filtered->active_next->active_previous = filtered->active_previous;
}

/* True when something more could go on at once. */
static bool advance_all(struct weir__lane *lane, bool looks_at_all)
{
    bool is_pressed = false;
    for (struct weir__filtered *f = lane->active; f != NULL;) {
        struct weir__filtered *next = f->active_next;
        bool is_gone = f->is_mine && atomic_load_explicit(&f->is_gone, memory_order_relaxed);
        if ((f->is_dirty || looks_at_all || is_gone) && weir__lane_advance(f)) {
            unlink_active(f);
            weir__filtered_free(f);
        } else {
            is_pressed = is_pressed || (f->is_dirty && (f->is_mine || f->is_completed));
        }
        f = next;
    }
    return is_pressed;
}

static int sleep_ms(const struct weir__lane *lane, bool is_pressed)
{
    uint64_t now = weir_clock_ns(), due = weir__lane_vms_due_ns(lane);
    due = lane->curl_due_ns < due ? lane->curl_due_ns : due;
    if (is_pressed || due <= now)
        return 0;
    uint64_t ms = (due - now + WEIR_MS_NS - 1) / WEIR_MS_NS;
    if (lane->active == NULL && due == UINT64_MAX)
        return 10000;
    return ms < LANE_SLEEP_MS ? (int)ms : LANE_SLEEP_MS;
}

static void wait_for_events(struct weir__lane *lane, int timeout_ms)
{
    struct epoll_event events[LANE_EVENTS];
    int count = epoll_wait(lane->epoll_fd, events, LANE_EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        uint64_t wakes;
        if (events[i].data.fd == lane->wake_fd)
            (void)!read(lane->wake_fd, &wakes, sizeof wakes);
        else if (events[i].data.fd == lane->inner_fd)
            weir__lane_accept(lane);
        else
            weir__lane_curl_ready(lane, events[i].data.fd, events[i].events);
    }
}

static bool is_stopping(struct weir__lane *lane)
{
    lock(lane);
    bool stopping = lane->is_stopping && lane->inbox == NULL && lane->closing == NULL;
    unlock(lane);
    return stopping && lane->active == NULL;
}

static void *run(void *context)
{
    struct weir__lane *lane = context;
    uint64_t looked_ns = 0;
    while (!is_stopping(lane)) {
        uint64_t now = weir_clock_ns();
        bool looks_at_all = now - looked_ns >= LANE_SLEEP_MS * WEIR_MS_NS;
        if (looks_at_all)
            looked_ns = now;
        take_inbox(lane);
        weir__lane_curl_run(lane);
        weir__lane_run_vms(lane);
        bool is_pressed = advance_all(lane, looks_at_all);
        wait_for_events(lane, sleep_ms(lane, is_pressed));
    }
    while (lane->chains != NULL)
        weir__lane_close_chain(lane, lane->chains);
    return NULL;
}

void weir__lanes_let_go(struct weir__chain *chain)
{
    struct weir_server *server = chain->server;
    uint32_t count = server->lane_count;
    atomic_store(&chain->open_lanes, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct weir__lane *lane = &server->lanes[i];
        lock(lane);
        chain->lanes[i].closing_next = lane->closing;
        lane->closing = chain;
        unlock(lane);
        weir__lane_wake(lane);
    }
    if (atomic_fetch_sub(&chain->open_lanes, 1) == 1)
        weir__chain_free(chain);
}

/* --- start and stop -------------------------------------------------------------------------- */

static bool listens_to(struct weir__lane *lane, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static enum weir_status open_events(struct weir__lane *lane, struct weir_error *error)
{
    lane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    lane->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->epoll_fd < 0 || lane->wake_fd < 0 || !listens_to(lane, lane->wake_fd))
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot open a filter thread's events");
    enum weir_status status = weir__lane_curl_open(lane, error);
    if (status == WEIR_OK && !listens_to(lane, lane->inner_fd))
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot watch a filter thread's socket");
    return status;
}

static void close_events(struct weir__lane *lane)
{
    weir__lane_curl_close(lane);
    const int fds[] = {lane->epoll_fd, lane->wake_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

static enum weir_status start_lane(struct weir_server *server, struct weir__lane *lane,
                                   const pthread_attr_t *attributes, struct weir_error *error)
{
    lane->server = server;
    lane->index = server->lane_count;
    lane->inner_fd = lane->inner_path_fd = lane->epoll_fd = lane->wake_fd = -1;
    enum weir_status status = open_events(lane, error);
    if (status != WEIR_OK) {
        close_events(lane);
        return status;
    }
    (void)pthread_mutex_init(&lane->lock, NULL);
    int failed = pthread_create(&lane->thread, attributes, run, lane);
    if (failed != 0) {
        close_events(lane);
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed, "cannot start a filter thread");
    }
    server->lane_count++;
    return WEIR_OK;
}

enum weir_status weir__lanes_start(struct weir_server *server, struct weir_error *error)
{
    uint32_t count = server->config->filter_threads;
    if (count == 0)
        return WEIR_OK;
    server->lanes =
        weir_account_alloc(server->account, WEIR_KIND_SERVER, count * sizeof *server->lanes, error);
    if (server->lanes == NULL)
        return WEIR_LIMIT;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "cannot start libcurl");
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_SERVER_FILTER_THREAD_STACK);
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++)
        status = start_lane(server, &server->lanes[i], &attributes, error);
    (void)pthread_attr_destroy(&attributes);
    return status;
}

void weir__lanes_stop(struct weir_server *server)
{
    if (server->lanes == NULL)
        return;
    uint32_t count = server->lane_count;
    for (uint32_t i = 0; i < count; i++) {
        struct weir__lane *lane = &server->lanes[i];
        lock(lane);
        lane->is_stopping = true;
        unlock(lane);
        weir__lane_wake(lane);
        (void)pthread_join(lane->thread, NULL);
        take_inbox(lane); /* chains that came last */
        close_events(lane);
        (void)pthread_mutex_destroy(&lane->lock);
    }
    server->lane_count = 0;
    weir_account_free(server->account, WEIR_KIND_SERVER, server->lanes,
                      server->config->filter_threads * sizeof *server->lanes);
    server->lanes = NULL;
    curl_global_cleanup();
}
