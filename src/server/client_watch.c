/* The watch: one thread that sees what nobody else does. A client that leaves while its connection
 * is suspended; a client that is too slow; a sleeping guest whose time has come.
 *
 * The table of connections and the clock list are under one lock. A connection is in the table from
 * its start to its end, so whatever the watch finds there is alive. */
#include "server/server_internal.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAKE_EVENT UINT64_MAX
#define EVENTS_MAX 32

static void lock(struct weir__watch *watch)
{
    int failed = pthread_mutex_lock(&watch->lock);
    WEIR_ASSERT(failed == 0);
}

static void unlock(struct weir__watch *watch)
{
    int failed = pthread_mutex_unlock(&watch->lock);
    WEIR_ASSERT(failed == 0);
}

static void wake(struct weir__watch *watch)
{
    const uint64_t one = 1;
    ssize_t ignored = write(watch->wake_fd, &one, sizeof one);
    (void)ignored;
}

/* --- the table ----------------------------------------------------------------------------- */

struct weir__connection *weir__watch_add(struct weir_server *server, bool is_inner)
{
    struct weir__watch *watch = &server->watch;
    lock(watch);
    bool has_place = is_inner || watch->outer_count < server->config->connections_max;
    struct weir__connection *connection = has_place ? server->free_connections : NULL;
    if (connection != NULL) {
        server->free_connections = connection->next_free;
        memset(connection, 0, sizeof *connection);
        connection->server = server;
        connection->is_inner = is_inner;
        watch->outer_count += !is_inner;
        connection->index = watch->connection_count++;
        watch->connections[connection->index] = connection;
    }
    bool is_first = connection != NULL && watch->connection_count == 1;
    unlock(watch);
    if (is_first)
        wake(watch);
    return connection;
}

void weir__watch_remove(struct weir__connection *connection)
{
    struct weir__watch *watch = &connection->server->watch;
    lock(watch);
    struct weir__connection *last = watch->connections[--watch->connection_count];
    watch->outer_count -= !connection->is_inner;
    watch->connections[connection->index] = last;
    last->index = connection->index;
    connection->next_free = connection->server->free_connections;
    connection->server->free_connections = connection;
    unlock(watch);
}

void weir__watch_sweep_by(struct weir_server *server, uint64_t due_ns)
{
    uint64_t now = atomic_load(&server->watch.sweep_ns);
    while (due_ns < now)
        if (atomic_compare_exchange_weak(&server->watch.sweep_ns, &now, due_ns)) {
            wake(&server->watch);
            return;
        }
}

void weir__watch_wake(struct weir_server *server)
{
    wake(&server->watch);
}

/* --- suspended connections ----------------------------------------------------------------- */

/* Events carry the descriptor and a generation: one that was fetched before the connection was
 * resumed must not hit whoever came after. */
static uint64_t event_key(const struct weir__connection *connection)
{
    return (uint64_t)connection->watch_generation << 32 | (uint32_t)connection->fd;
}

void weir__watch_suspended(struct weir__connection *connection)
{
    struct weir__watch *watch = &connection->server->watch;
    lock(watch);
    connection->watch_generation++;
    atomic_store_explicit(&connection->is_suspended, true, memory_order_relaxed);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT,
                                .data.u64 = event_key(connection)};
    (void)epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    unlock(watch);
}

void weir__watch_resumed(struct weir__connection *connection)
{
    struct weir__watch *watch = &connection->server->watch;
    connection->resumed_at_ns = weir_clock_ns();
    lock(watch);
    (void)epoll_ctl(watch->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    /* That was not the client's time; the loop counts anew when it has the connection again. */
    uint64_t deadline = atomic_load_explicit(&connection->deadline_ns, memory_order_relaxed);
    if (deadline != 0)
        atomic_store_explicit(&connection->deadline_ns,
                              deadline + connection->resumed_at_ns - connection->suspended_at_ns,
                              memory_order_relaxed);
    atomic_store_explicit(&connection->is_suspended, false, memory_order_release);
    unlock(watch);
}

void weir__watch_sleep(struct weir__request *request)
{
    struct weir__watch *watch = &request->connection->server->watch;
    lock(watch);
    request->next = watch->clocks;
    watch->clocks = request;
    unlock(watch);
    wake(watch);
}

/* Under the lock. The store is alive: its slot is given back only after the connection is resumed.
 * A report is soon made. */
static void cancel(struct weir__connection *connection)
{
    struct weir__request *request = connection->request;
    if (connection->filtered != NULL)
        weir__filtered_cancel(connection->filtered);
    if (request == NULL)
        return;
    atomic_store_explicit(&request->is_gone, true, memory_order_relaxed);
    if (request->store != NULL)
        weir_store_interrupt(request->store);
    weir__turn_look(request, 0);
}

static void client_left(struct weir__watch *watch, uint64_t key)
{
    lock(watch);
    for (uint32_t i = 0; i < watch->connection_count; i++) {
        struct weir__connection *connection = watch->connections[i];
        if (atomic_load_explicit(&connection->is_suspended, memory_order_relaxed) &&
            event_key(connection) == key) {
            if (!weir__turn_outlasts(connection->request))
                cancel(connection);
            break;
        }
    }
    unlock(watch);
}

/* --- time ---------------------------------------------------------------------------------- */

/* All of the request is there and nothing was said: the loop will do so as soon as it runs. */
static bool is_being_answered(const struct weir__connection *connection)
{
    return atomic_load_explicit(&connection->awaits_body, memory_order_acquire) &&
           atomic_load_explicit(&connection->is_whole, memory_order_relaxed);
}

/* Under the lock: whoever is too slow is told, where nothing was said yet, and cut off. */
static void end_slow(struct weir__connection *connection, uint64_t now)
{
    uint64_t deadline = atomic_load_explicit(&connection->deadline_ns, memory_order_relaxed);
    bool is_stopped = atomic_load_explicit(&connection->is_stopped, memory_order_relaxed);
    if (deadline == 0 || (now < deadline && !is_stopped) ||
        atomic_load_explicit(&connection->is_suspended, memory_order_acquire) ||
        is_being_answered(connection))
        return;
    atomic_store_explicit(&connection->deadline_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&connection->is_timed_out, true, memory_order_relaxed);
    bool awaits_body = atomic_load_explicit(&connection->awaits_body, memory_order_relaxed);
    if (awaits_body && is_stopped)
        weir__answer_raw(connection, WEIR__REFUSAL_STOPPED, WEIR__STOPPED_REASON);
    else if (awaits_body)
        weir__answer_raw(connection, WEIR__REFUSAL_SLOW_BODY, "the body came too slowly");
    (void)shutdown(connection->fd, SHUT_RDWR);
}

static void look_at_clients(struct weir__watch *watch, uint64_t now)
{
    lock(watch);
    for (uint32_t i = 0; i < watch->connection_count; i++) {
        struct weir__connection *connection = watch->connections[i];
        end_slow(connection, now);
        if (atomic_load_explicit(&connection->is_suspended, memory_order_acquire) &&
            connection->request != NULL)
            weir__turn_look(connection->request, now);
    }
    unlock(watch);
}

static uint64_t due_ns(const struct weir__request *request)
{
    if (atomic_load_explicit(&request->is_gone, memory_order_relaxed) ||
        atomic_load_explicit(&request->connection->is_stopped, memory_order_relaxed))
        return 0;
    return request->wake_ns < request->guest_deadline_ns ? request->wake_ns
                                                         : request->guest_deadline_ns;
}

/* Sends due sleepers to the workers; returns when the next one is due. */
static uint64_t wake_guests(struct weir_server *server, uint64_t now)
{
    struct weir__watch *watch = &server->watch;
    struct weir__request *due = NULL;
    uint64_t next = UINT64_MAX;
    lock(watch);
    for (struct weir__request **at = &watch->clocks; *at != NULL;) {
        struct weir__request *request = *at;
        uint64_t when = due_ns(request);
        if (when <= now) {
            *at = request->next;
            request->next = due;
            due = request;
        } else {
            next = when < next ? when : next;
            at = &request->next;
        }
    }
    unlock(watch);
    while (due != NULL) {
        struct weir__request *request = due;
        due = request->next;
        weir__workers_push(&server->workers, request);
    }
    return next;
}

/* Rounded up, so that a sleeper is due when epoll returns. */
static int timeout_ms(struct weir__watch *watch, uint64_t now, uint64_t next)
{
    lock(watch);
    bool has_clients = watch->connection_count > 0;
    unlock(watch);
    uint64_t wait = has_clients ? WEIR_SERVER_WATCH_MS : UINT64_MAX;
    if (next != UINT64_MAX) {
        uint64_t left = next > now ? (next - now + WEIR_MS_NS - 1) / WEIR_MS_NS : 0;
        wait = left < wait ? left : wait;
    }
    return wait == UINT64_MAX ? -1 : (int)wait;
}

static void *watch_clients(void *context)
{
    struct weir_server *server = context;
    struct weir__watch *watch = &server->watch;
    uint64_t looked_ns = 0;
    for (;;) {
        uint64_t now = weir_clock_ns();
        uint64_t next = wake_guests(server, now);
        if (atomic_load(&watch->sweep_ns) <= now) {
            atomic_store(&watch->sweep_ns, UINT64_MAX);
            weir__residents_sweep(server);
        }
        uint64_t sweep = atomic_load(&watch->sweep_ns);
        next = sweep < next ? sweep : next;
        if (now - looked_ns >= WEIR_SERVER_WATCH_MS * WEIR_MS_NS) {
            look_at_clients(watch, now);
            weir__counts_tell(server);
            looked_ns = now;
        }
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(watch->epoll_fd, events, EVENTS_MAX, timeout_ms(watch, now, next));
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == WAKE_EVENT) {
                uint64_t drained;
                ssize_t ignored = read(watch->wake_fd, &drained, sizeof drained);
                (void)ignored;
            } else {
                client_left(watch, events[i].data.u64);
            }
        }
        lock(watch);
        bool is_stopping = watch->is_stopping;
        unlock(watch);
        if (is_stopping)
            return NULL;
    }
}

/* Its body is still coming: it gets an answer. One that is being answered is cut, unless that is
 * what it was cancelled with. */
static void end_connection(struct weir__connection *connection)
{
    if (is_being_answered(connection))
        return;
    if (atomic_exchange(&connection->awaits_body, false)) {
        atomic_store_explicit(&connection->is_drained, true, memory_order_relaxed);
        weir__answer_raw(connection, WEIR__REFUSAL_DRAINING, WEIR__DRAINING_REASON);
    } else if (atomic_load_explicit(&connection->is_cancelled, memory_order_relaxed)) {
        return;
    }
    (void)shutdown(connection->fd, SHUT_RDWR);
}

void weir__watch_cancel_all(struct weir_server *server)
{
    struct weir__watch *watch = &server->watch;
    lock(watch);
    for (uint32_t i = 0; i < watch->connection_count; i++) {
        struct weir__connection *connection = watch->connections[i];
        if (atomic_load_explicit(&connection->is_suspended, memory_order_acquire)) {
            atomic_store_explicit(&connection->is_cancelled, true, memory_order_relaxed);
            cancel(connection);
        } else {
            end_connection(connection);
        }
    }
    unlock(watch);
    weir__detached_cancel(server);
    wake(watch);
}

/* --- start and stop ------------------------------------------------------------------------ */

enum weir_status weir__watch_start(struct weir_server *server, struct weir_error *error)
{
    struct weir__watch *watch = &server->watch;
    watch->connection_max = weir_server_connections(server->config);
    atomic_store(&watch->sweep_ns, 0);
    watch->connections =
        weir_account_alloc(server->account, WEIR_KIND_SERVER,
                           watch->connection_max * sizeof *watch->connections, error);
    if (watch->connections == NULL)
        return WEIR_LIMIT;
    watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_EVENT};
    if (watch->epoll_fd < 0 || watch->wake_fd < 0 ||
        epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->wake_fd, &event) != 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot watch connections");
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_SERVER_THREAD_STACK);
    int failed = pthread_create(&watch->thread, &attributes, watch_clients, server);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed, "cannot start the watch");
    watch->is_running = true;
    return WEIR_OK;
}

void weir__watch_stop(struct weir_server *server)
{
    struct weir__watch *watch = &server->watch;
    if (watch->is_running) {
        lock(watch);
        watch->is_stopping = true;
        unlock(watch);
        wake(watch);
        (void)pthread_join(watch->thread, NULL);
        watch->is_running = false;
    }
    if (watch->epoll_fd >= 0)
        (void)close(watch->epoll_fd);
    if (watch->wake_fd >= 0)
        (void)close(watch->wake_fd);
    watch->epoll_fd = watch->wake_fd = -1;
    weir_account_free(server->account, WEIR_KIND_SERVER, watch->connections,
                      watch->connection_max * sizeof *watch->connections);
    watch->connections = NULL;
}
