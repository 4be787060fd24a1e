/* clock_*: the host's real-time and monotonic clocks. Processor time of the host is none of the
 * guest's business, and a parked guest moves between threads: NOTSUP. */
#include "worlds/wasi/wasi_internal.h"

static int host_clock(uint32_t id, clockid_t *ret_clock)
{
    switch (id) {
    case WASI_CLOCK_REALTIME:
        *ret_clock = CLOCK_REALTIME;
        return WASI_E_SUCCESS;
    case WASI_CLOCK_MONOTONIC:
        *ret_clock = CLOCK_MONOTONIC;
        return WASI_E_SUCCESS;
    case WASI_CLOCK_PROCESS_CPUTIME:
    case WASI_CLOCK_THREAD_CPUTIME:
        return WASI_E_NOTSUP;
    default:
        return WASI_E_INVAL;
    }
}

/* Nanoseconds; OVERFLOW where 64 bits do not hold them (before 1970 or after 2554). */
static int to_ns(const struct timespec *time, uint64_t *ret_ns)
{
    uint64_t ns;
    if (time->tv_sec < 0 ||
        __builtin_mul_overflow((uint64_t)time->tv_sec, UINT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, (uint64_t)time->tv_nsec, &ns))
        return WASI_E_OVERFLOW;
    *ret_ns = ns;
    return WASI_E_SUCCESS;
}

int weir__wasi_clock_ns(const struct weir_wasi *wasi, uint32_t id, uint64_t *ret_ns)
{
    clockid_t clock;
    int failed = host_clock(id, &clock);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (wasi->is_deterministic) {
        *ret_ns = 0;
        return WASI_E_SUCCESS;
    }
    if (clock == CLOCK_REALTIME && wasi->realtime_ns != NULL) {
        *ret_ns = wasi->realtime_ns(wasi->realtime_context);
        return WASI_E_SUCCESS;
    }
    struct timespec time;
    long result = weir_io_clock_gettime(wasi->io, clock, &time);
    return result < 0 ? weir__wasi_errno_of(result) : to_ns(&time, ret_ns);
}

int weir__wasi_clock_time_get(struct weir__wasi_call *call)
{
    uint64_t ns = 0;
    int failed = weir__wasi_clock_ns(call->wasi, weir__wasi_u32(call, 0), &ns);
    return failed != WASI_E_SUCCESS ? failed
                                    : weir__wasi_put_u64(call, weir__wasi_u32(call, 2), ns);
}

int weir__wasi_clock_res_get(struct weir__wasi_call *call)
{
    clockid_t clock;
    int failed = host_clock(weir__wasi_u32(call, 0), &clock);
    if (failed != WASI_E_SUCCESS)
        return failed;
    struct timespec resolution = {.tv_nsec = 1};
    long result =
        call->wasi->is_deterministic ? 0 : weir_io_clock_getres(call->wasi->io, clock, &resolution);
    if (result < 0)
        return weir__wasi_errno_of(result);
    uint64_t ns;
    failed = to_ns(&resolution, &ns);
    return failed != WASI_E_SUCCESS ? failed
                                    : weir__wasi_put_u64(call, weir__wasi_u32(call, 1), ns);
}
