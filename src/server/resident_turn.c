/* Turns: a request of a route with residents runs when one of them is free; until then it waits in
 * the order of arrival, its connection suspended. There are as many turns as residents, so a
 * request that has one finds a slot. How many may wait is bounded by limits.concurrency, how long
 * by limits.time.
 *
 * A waiting request belongs to the route's list, under the route's lock; who takes it off the list
 * hands it to the workers. The watch, which sees clients leave, looks at waiting ones, too. */
#include "server/server_internal.h"

#include "base/clock.h"

static bool needs_turn(const struct weir__request *request)
{
    return request->route->config->mode == WEIR_ROUTE_RESIDENT && !request->has_turn &&
           request->guest == WEIR__GUEST_FRESH;
}

/* True when it has one now; otherwise, where asked for, it waits. */
static bool take_turn(struct weir__request *request, bool may_wait)
{
    struct weir__route *route = request->route;
    (void)pthread_mutex_lock(&route->lock);
    bool has_turn = route->turns > 0; /* so nobody waits */
    if (has_turn) {
        route->turns--;
        request->has_turn = true;
    } else if (may_wait) {
        request->next = NULL;
        if (route->last_waiting != NULL)
            route->last_waiting->next = request;
        else
            route->first_waiting = request;
        route->last_waiting = request;
        request->is_waiting = true;
        route->waiting_count++;
    }
    (void)pthread_mutex_unlock(&route->lock);
    return has_turn;
}

bool weir__turn_begin(struct weir__request *request)
{
    if (!needs_turn(request) || take_turn(request, false))
        return true;
    request->guest_deadline_ns = weir_clock_ns() + request->route->config->time_ns;
    weir__exchange_suspend(request);
    if (take_turn(request, true))
        weir__workers_push(&request->connection->server->workers, request);
    return false;
}

bool weir__turn_is_missing(const struct weir__request *request)
{
    return needs_turn(request);
}

void weir__turn_end(struct weir__request *request)
{
    struct weir__route *route = request->route;
    if (!request->has_turn)
        return;
    request->has_turn = false;
    (void)pthread_mutex_lock(&route->lock);
    struct weir__request *next = route->first_waiting;
    if (next != NULL) {
        route->first_waiting = next->next;
        if (route->first_waiting == NULL)
            route->last_waiting = NULL;
        route->waiting_count--;
        next->is_waiting = false;
        next->has_turn = true;
    } else {
        route->turns++;
    }
    (void)pthread_mutex_unlock(&route->lock);
    if (next != NULL)
        weir__workers_push(&route->server->workers, next);
}

void weir__turn_look(struct weir__request *request, uint64_t now_ns)
{
    struct weir__route *route = request->route;
    bool is_off = false;
    if (route->config->mode != WEIR_ROUTE_RESIDENT)
        return;
    (void)pthread_mutex_lock(&route->lock);
    if (request->is_waiting && (atomic_load_explicit(&request->is_gone, memory_order_relaxed) ||
                                now_ns >= request->guest_deadline_ns)) {
        struct weir__request *previous = NULL;
        struct weir__request *at = route->first_waiting;
        for (; at != request; at = at->next)
            previous = at;
        if (previous != NULL)
            previous->next = request->next;
        else
            route->first_waiting = request->next;
        if (route->last_waiting == request)
            route->last_waiting = previous;
        route->waiting_count--;
        request->is_waiting = false;
        is_off = true;
    }
    (void)pthread_mutex_unlock(&route->lock);
    if (is_off)
        weir__workers_push(&route->server->workers, request);
}

/* A guest that keeps its state is not stopped because its client left. Whoever waits goes. */
bool weir__turn_outlasts(struct weir__request *request)
{
    if (request == NULL || request->route->config->mode != WEIR_ROUTE_RESIDENT)
        return false;
    (void)pthread_mutex_lock(&request->route->lock);
    bool is_waiting = request->is_waiting;
    (void)pthread_mutex_unlock(&request->route->lock);
    return !is_waiting;
}

/* --- idle ones ----------------------------------------------------------------------------- */

void weir__residents_look(struct weir__route *route)
{
    uint64_t next_ns = UINT64_MAX;
    const struct weir_recycle_policy *policy = &route->config->recycle;
    if (route->pool == NULL || (policy->age_ns_max == 0 && policy->idle_ns_max == 0))
        return;
    (void)weir_pool_recycle_idle(route->pool, &next_ns);
    weir__watch_sweep_by(route->server, next_ns);
}

void weir__residents_sweep(struct weir_server *server)
{
    const struct weir__route_table *table = weir__route_table_hold(server);
    for (size_t i = 0; i < table->count; i++)
        weir__residents_look(table->routes[i]);
    weir__route_table_release(server);
}

/* --- figures ------------------------------------------------------------------------------- */

uint32_t weir__turns_waiting(struct weir__route *route)
{
    (void)pthread_mutex_lock(&route->lock);
    uint32_t count = route->waiting_count;
    (void)pthread_mutex_unlock(&route->lock);
    return count;
}
