/* Detached guests: residents that were not done when their clients left. No client can take a
 * guest's state away by leaving: it hears that nobody reads or writes any more (EIO, EPIPE) and
 * goes on in the workers, within its limits, to where its handler returns.
 *
 * Its request has no connection then; the server's `nobody` stands for it. It counts as active, so
 * a drain waits for it; afterwards it is cancelled through the list of running guests. */
#include "server/server_internal.h"

bool weir__guest_is_left_alone(const struct weir__request *request)
{
    return request != NULL && request->route->config->mode == WEIR_ROUTE_RESIDENT &&
           request->store != NULL && request->guest != WEIR__GUEST_DONE &&
           atomic_load(&request->connection->server->phase) == WEIR__SERVING;
}

void weir__guest_detach(struct weir__request *request)
{
    struct weir_server *server = request->connection->server;
    request->is_hung_up = true;
    (void)pthread_mutex_lock(&server->running_lock);
    request->is_detached = true;
    request->connection = &server->nobody;
    (void)pthread_mutex_unlock(&server->running_lock);
    weir__workers_push(&server->workers, request);
}

void weir__detached_go_on(struct weir__request *request)
{
    struct weir_server *server = request->connection->server;
    if (request->guest == WEIR__GUEST_WAITS_CLOCK) {
        weir__watch_sleep(request);
    } else if (request->guest != WEIR__GUEST_DONE) {
        weir__workers_push(&server->workers, request);
    } else {
        weir__guest_close(request);
        weir__request_give(request);
        (void)atomic_fetch_sub_explicit(&server->active, 1, memory_order_relaxed);
    }
}

void weir__detached_cancel(struct weir_server *server)
{
    (void)pthread_mutex_lock(&server->running_lock);
    for (struct weir__request *at = server->running; at != NULL; at = at->run_next) {
        if (!at->is_detached)
            continue;
        atomic_store_explicit(&at->is_gone, true, memory_order_relaxed);
        weir_store_interrupt(at->store);
    }
    (void)pthread_mutex_unlock(&server->running_lock);
}
