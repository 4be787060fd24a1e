/* Waiting. A context with streams parks its guest; any other blocks its thread, never longer than a
 * slice without looking whether the store was stopped. A stopped guest's call ends with INTR, and
 * its next poll traps. */
#include "base/clock.h"
#include "worlds/wasi/wasi_internal.h"

#include <string.h>

uint64_t weir__wasi_now_ns(const struct weir_wasi *wasi)
{
    return wasi->is_deterministic ? 0 : weir_clock_ns();
}

bool weir__wasi_is_stopped(const struct weir_wasi *wasi)
{
    return weir_store_is_stopped(wasi->store);
}

static int park(struct weir_wasi *wasi, uint64_t wake_ns, int stream)
{
    wasi->park.waits_for = stream;
    wasi->park.wake_ns = wake_ns;
    return WASI_PARK;
}

int weir__wasi_wait(struct weir__wasi_call *call, struct pollfd *fds, size_t count,
                    uint64_t until_ns, int stream)
{
    struct weir_wasi *wasi = call->wasi;
    if (weir__wasi_is_stopped(wasi))
        return WASI_E_INTR;
    uint64_t now = weir_clock_ns();
    if (wasi->parks) {
        uint64_t wake_ns = until_ns;
        if (count > 0 && now + WASI_RETRY_NS < wake_ns)
            wake_ns = now + WASI_RETRY_NS;
        return park(wasi, wake_ns, stream);
    }
    uint64_t left = until_ns > now ? until_ns - now : 0;
    if (left > WASI_WAIT_SLICE_NS)
        left = WASI_WAIT_SLICE_NS;
    /* Milliseconds: rounded down, so that a clock is not late; the rest is slept exactly. */
    int timeout_ms = (int)(left / WEIR_MS_NS);
    long result = weir_io_poll(wasi->io, fds, (nfds_t)count, timeout_ms);
    if (result < 0 && result != -EINTR)
        return weir__wasi_errno_of(result);
    if (result == 0 && timeout_ms == 0 && left > 0) {
        struct timespec rest = {.tv_nsec = (long)left};
        (void)nanosleep(&rest, NULL);
    }
    return weir__wasi_is_stopped(wasi) ? WASI_E_INTR : WASI_E_SUCCESS;
}

int weir__wasi_breathe(struct weir__wasi_call *call)
{
    if (weir__wasi_is_stopped(call->wasi))
        return WASI_E_INTR;
    return call->wasi->parks ? park(call->wasi, 0, -1) : WASI_E_SUCCESS;
}

int weir__wasi_begin(struct weir__wasi_call *call, int (*operation)(struct weir__wasi_call *call),
                     unsigned arg_count)
{
    struct weir__wasi_park *park = &call->wasi->park;
    park->done_bytes = 0;
    park->started_ns = 0;
    int answer = operation(call);
    if (answer == WASI_PARK) {
        park->operation = operation;
        park->memory = call->memory;
        memcpy(park->args, call->args, arg_count * sizeof call->args[0]);
    }
    return answer;
}

int weir_wasi_waits_for(const struct weir_wasi *wasi, uint64_t *ret_wake_ns)
{
    bool waits = wasi->park.operation != NULL;
    *ret_wake_ns = waits ? wasi->park.wake_ns : 0;
    return waits ? wasi->park.waits_for : -1;
}
