/* proc_*, sched_yield and random_get. A guest's signal is never one of the host's. */
#include "worlds/wasi/wasi_internal.h"

#include <sched.h>
#include <signal.h>

int weir__wasi_proc_exit(struct weir__wasi_call *call)
{
    call->status = weir_caller_exit(call->caller, call->args[0].i32);
    return WASI_END;
}

/* What a signal does to a process that handles none: 0 nothing, -1 stops it, else the host's number
 * of the signal that ends it. The index is the snapshot's number. */
static const int default_actions[] = {
    0,       SIGHUP,    SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
    SIGFPE,  SIGKILL,   SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM,
    0,       0,         -1,      -1,      -1,      -1,      0,       SIGXCPU,
    SIGXFSZ, SIGVTALRM, SIGPROF, 0,       SIGPOLL, SIGPWR,  SIGSYS,
};

int weir__wasi_proc_raise(struct weir__wasi_call *call)
{
    uint32_t number = weir__wasi_u32(call, 0);
    if (number >= sizeof default_actions / sizeof default_actions[0])
        return WASI_E_INVAL;
    int action = default_actions[number];
    if (action == 0)
        return WASI_E_SUCCESS;
    if (action < 0)
        return WASI_E_NOTSUP;
    call->status = weir_caller_exit(call->caller, 128 + action);
    return WASI_END;
}

int weir__wasi_sched_yield(struct weir__wasi_call *call)
{
    (void)call;
    (void)sched_yield();
    return WASI_E_SUCCESS;
}

/* splitmix64: for tests that need the same bytes again, never for secrets. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int put_deterministic(struct weir__wasi_call *call, uint32_t address, uint32_t size)
{
    for (uint32_t at = 0; at < size;) {
        uint64_t bytes = next_random(&call->wasi->random_state);
        uint32_t part = size - at < sizeof bytes ? size - at : (uint32_t)sizeof bytes;
        int failed = weir__wasi_put(call, address + at, &bytes, part);
        if (failed != WASI_E_SUCCESS)
            return failed;
        at += part;
    }
    return WASI_E_SUCCESS;
}

/* The kernel fills guest memory itself, a step at a time; a retry goes on behind what is done. */
int weir__wasi_random_get(struct weir__wasi_call *call)
{
    uint32_t address = weir__wasi_u32(call, 0);
    uint32_t size = weir__wasi_u32(call, 1);
    if (size == 0)
        return WASI_E_SUCCESS;
    uint8_t *to = call->memory == NULL ? NULL : weir_memory_at(call->memory, address, size);
    if (to == NULL)
        return WASI_E_FAULT;
    if (call->wasi->is_deterministic)
        return put_deterministic(call, address, size);
    uint64_t *done = &call->wasi->park.done_bytes;
    uint64_t paused_at = *done;
    while (*done < size) {
        uint64_t left = size - *done;
        uint64_t step = left < WASI_RANDOM_STEP_BYTES ? left : WASI_RANDOM_STEP_BYTES;
        long result = WASI_RETRY(weir_io_getrandom(call->wasi->io, to + *done, (size_t)step, 0));
        if (result < 0)
            return weir__wasi_errno_of(result);
        *done += (uint64_t)result;
        if (*done < size && *done - paused_at >= WASI_STEP_BYTES) {
            paused_at = *done;
            int paused = weir__wasi_breathe(call);
            if (paused != WASI_E_SUCCESS)
                return paused;
        }
    }
    return WASI_E_SUCCESS;
}
