/* A guest's life inside a request: a slot from the pool, slices of time, its end. The thread that
 * owns the request runs it; which one does not matter. */
#include "server/server_internal.h"

#include "artifact/abi.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/sizes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What weir_pool_take() or the WASI context refused. */
static void fail_open(struct weir__request *request, enum weir_status status,
                      const struct weir_error *error)
{
    const struct weir_route_config *config = request->route->config;
    switch (status) {
    case WEIR_BUSY:
        request->failure.limit = config->concurrency;
        weir__fail(&request->failure, WEIR__REFUSAL_BUSY, "%u requests are served here at once",
                   config->concurrency);
        break;
    case WEIR_LIMIT:
        weir__fail_memory(&request->failure, request->route, error->message);
        break;
    case WEIR_NO_MEMORY:
        weir__fail(&request->failure, WEIR__REFUSAL_MEMORY, "%s", error->message);
        break;
    case WEIR_TRAP:
        weir__fail(&request->failure, WEIR__REFUSAL_TRAP, "the guest's start function trapped: %s",
                   error->message);
        break;
    default:
        weir__fail(&request->failure, WEIR__REFUSAL_INTERNAL, "%s", error->message);
        break;
    }
    request->guest = WEIR__GUEST_DONE;
}

/* Slots are used again, and so are their accounts: what counts is what this request adds. */
static uint64_t refused_count(const struct weir__request *request,
                              struct weir_account_reading *ret_reading)
{
    weir_account_read(weir_store_account(request->store), ret_reading);
    return ret_reading->refused_count;
}

static bool open_guest(struct weir__request *request)
{
    const struct weir_route_config *config = request->route->config;
    struct weir_error error = {0};
    enum weir_status status = weir__mode_take(request, &error);
    if (status == WEIR_OK) {
        struct weir_account_reading reading;
        request->store = weir_instance_store(request->instance);
        weir__running_add(request);
        request->refused_before = refused_count(request, &reading);
        status = weir__mode_open(request, &error);
    }
    if (status == WEIR_OK && config->fuel != 0)
        status = weir_store_set_fuel(request->store, config->fuel, &error);
    if (status != WEIR_OK) {
        fail_open(request, status, &error);
        weir_error_done(&error);
        weir__guest_close(request);
        return false;
    }
    request->guest_deadline_ns = weir_clock_ns() + config->time_ns;
    weir_store_set_deadline(request->store, request->guest_deadline_ns);
    return true;
}

static void fail_trap(struct weir__request *request)
{
    const struct weir_route_config *config = request->route->config;
    const struct weir_trap *trap = &request->trap;
    struct weir__failure *failure = &request->failure;
    if (failure->refusal != WEIR__REFUSAL_NONE)
        return; /* we stopped it, and know why */
    const char *text =
        trap->cause.message[0] != 0 ? trap->cause.message : weir_trap_text(trap->code);
    (void)snprintf(failure->trap, sizeof failure->trap, "%s", weir_trap_name(trap->code));
    if (trap->frame_count > 0)
        (void)snprintf(failure->at, sizeof failure->at, "%.70s (0x%x)", trap->frames[0].function,
                       trap->frames[0].module_offset);
    if (trap->code == WEIR_TRAP_DEADLINE) {
        weir__fail(failure, WEIR__REFUSAL_DEADLINE, "the guest ran longer than %s",
                   weir_duration_format(config->time_ns).text);
    } else if (trap->code == WEIR_TRAP_FUEL) {
        failure->limit = config->fuel;
        weir__fail(failure, WEIR__REFUSAL_FUEL, "the guest used up its fuel");
    } else if (trap->code == WEIR_TRAP_CANCELLED && atomic_load(&request->connection->is_stopped)) {
        weir__fail(failure, WEIR__REFUSAL_STOPPED, WEIR__STOPPED_REASON);
    } else if (trap->code == WEIR_TRAP_CANCELLED) {
        weir__fail(failure, WEIR__REFUSAL_CANCELLED, "stopped by the host");
    } else {
        struct weir_account_reading reading;
        bool was_refused = refused_count(request, &reading) > request->refused_before;
        if (was_refused) { /* often the cause: it got no memory and gave up */
            failure->limit = reading.limit_bytes;
            failure->used = reading.peak_bytes;
        }
        weir__fail(failure, WEIR__REFUSAL_TRAP, "%s%s", text,
                   was_refused ? "; memory was refused before" : "");
    }
}

/* After PENDING: what the guest waits for. */
static enum weir__guest_state parked_state(struct weir__request *request)
{
    request->wake_ns = UINT64_MAX;
    if (weir_store_parked(request->store) == WEIR_PARK_SLICE)
        return WEIR__GUEST_READY;
    int stream = weir_wasi_waits_for(request->wasi, &request->wake_ns);
    if (stream == 0 && !request->in_closed)
        return WEIR__GUEST_WAITS_BODY;
    if (stream == 1 || stream == 2)
        return WEIR__GUEST_WAITS_ROOM;
    if (request->wake_ns == UINT64_MAX || request->wake_ns <= weir_clock_ns())
        return WEIR__GUEST_READY;
    return WEIR__GUEST_WAITS_CLOCK;
}

static void settle(struct weir__request *request, enum weir_status status, struct weir_error *error)
{
    switch (status) {
    case WEIR_PENDING:
        request->guest = parked_state(request);
        if (request->guest == WEIR__GUEST_WAITS_BODY || request->guest == WEIR__GUEST_WAITS_ROOM)
            request->waits_since_ns = weir_clock_ns();
        return;
    case WEIR_OK:
        if (request->exit_code != 0)
            weir__fail(&request->failure, WEIR__REFUSAL_EXIT, "the guest ended with exit code %d",
                       request->exit_code);
        break;
    case WEIR_TRAP:
        fail_trap(request);
        break;
    case WEIR_LIMIT: /* between setting up and the handler */
        weir__fail_memory(&request->failure, request->route, error->message);
        break;
    default:
        weir__fail(&request->failure, WEIR__REFUSAL_INTERNAL, "%s", error->message);
        break;
    }
    request->guest = WEIR__GUEST_DONE;
}

static uint64_t cpu_ns(void)
{
    struct timespec spent;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return weir_timespec_ns(spent);
}

void weir__guest_step(struct weir__request *request, uint64_t slice_ns)
{
    uint64_t cpu_before_ns = cpu_ns();
    struct weir_error error = {0};
    enum weir_status status;
    WEIR_DASSERT(request->guest != WEIR__GUEST_DONE);
    if (request->guest == WEIR__GUEST_FRESH) {
        if (!open_guest(request))
            return;
        weir_store_set_slice(request->store, slice_ns);
        status = weir__mode_start(request, &error);
    } else {
        if (request->waits_since_ns != 0) { /* the client's time, not the guest's */
            request->guest_deadline_ns += weir_clock_ns() - request->waits_since_ns;
            request->waits_since_ns = 0;
            weir_store_set_deadline(request->store, request->guest_deadline_ns);
        }
        weir_store_set_slice(request->store, slice_ns);
        status = weir_wasi_resume(request->wasi, &request->exit_code, &request->trap, &error);
        status = weir__mode_go_on(request, status, &error);
    }
    settle(request, status, &error);
    request->usage.cpu_ns += cpu_ns() - cpu_before_ns;
    weir_error_done(&error);
}

/* A resident whose request is refused while it runs hears that nobody is there (EIO, EPIPE) and has
 * a moment to come to its end. */
static void hang_up(struct weir__request *request)
{
    if (request->route->config->mode != WEIR_ROUTE_RESIDENT ||
        request->guest == WEIR__GUEST_FRESH || request->guest == WEIR__GUEST_WAITS_CLOCK ||
        request->guest == WEIR__GUEST_DONE)
        return;
    request->is_hung_up = true;
    weir__guest_step(request, WEIR_SERVER_INLINE_NS);
}

void weir__guest_abort(struct weir__request *request, enum weir__refusal refusal,
                       const char *reason)
{
    weir__fail(&request->failure, refusal, "%s", reason);
    hang_up(request);
    if (request->guest == WEIR__GUEST_DONE)
        return;
    if (request->store == NULL)
        weir__turn_end(request);
    if (request->store != NULL && weir_store_parked(request->store) != WEIR_PARK_NONE)
        weir_store_unpark(request->store);
    request->guest = WEIR__GUEST_DONE;
}

static void keep_usage(struct weir__request *request)
{
    struct weir_account_reading reading;
    uint64_t fuel = request->route->config->fuel;
    weir_account_read(weir_store_account(request->store), &reading);
    request->usage.memory_bytes = reading.used_bytes;
    weir__tenant_spend(request->route->tenant, request->usage.cpu_ns);
    if (fuel != 0)
        request->usage.fuel = fuel - weir_store_fuel(request->store);
}

/* A reset that went wrong is a fault of ours: told once per route, counted always. */
static void tell_fault(struct weir__route *route)
{
    const struct weir_error *fault =
        route->config->is_verifying ? weir_pool_fault(route->pool) : NULL;
    if (fault == NULL || atomic_exchange(&route->is_fault_told, true))
        return;
    const struct weir_server_log_field fields[] = {
        {"route", route->config->path, 0}, {"fault", fault->message, 0}, {NULL, NULL, 0}};
    const struct weir_server_event event = {
        .level = WEIR_LOG_ERROR, .name = "reset_fault", .fields = fields};
    weir_server_log(route->server, &event,
                    "route %s: a reset was not right, the slot is closed: %s", route->config->path,
                    fault->message);
}

void weir__guest_close(struct weir__request *request)
{
    struct weir__route *route = request->route;
    if (request->instance != NULL) {
        WEIR_DASSERT(request->guest == WEIR__GUEST_DONE);
        weir__running_remove(request);
        keep_usage(request);
        weir__mode_close(request);
        weir_trap_done(&request->trap);
        weir_store_set_deadline(request->store, 0);
        weir_store_clear_interrupt(request->store);
        weir_pool_give(route->pool, request->instance);
        request->instance = NULL;
        request->store = NULL;
        tell_fault(route);
        weir__residents_look(route);
    }
    weir__turn_end(request);
}
