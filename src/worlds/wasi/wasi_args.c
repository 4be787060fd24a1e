/* args_* and environ_*: a table of pointers and a block of strings, copied out as they were given.
 */
#include "worlds/wasi/wasi_internal.h"

#include <string.h>

/* `strings` holds `count` strings with terminators in `size` bytes. */
static int put_strings(struct weir__wasi_call *call, const char *strings, uint32_t count,
                       uint32_t size)
{
    uint32_t table = weir__wasi_u32(call, 0);
    uint32_t block = weir__wasi_u32(call, 1);
    if ((uint64_t)table + 4ull * count > UINT32_MAX || (uint64_t)block + size > UINT32_MAX)
        return WASI_E_FAULT;
    int failed = weir__wasi_put(call, block, strings, size);
    size_t at = 0;
    for (uint32_t i = 0; failed == WASI_E_SUCCESS && i < count; i++) {
        failed = weir__wasi_put_u32(call, table + 4 * i, block + (uint32_t)at);
        at += strlen(strings + at) + 1;
    }
    return failed;
}

static int put_sizes(struct weir__wasi_call *call, uint32_t count, uint32_t size)
{
    int failed = weir__wasi_put_u32(call, weir__wasi_u32(call, 0), count);
    return failed != WASI_E_SUCCESS ? failed
                                    : weir__wasi_put_u32(call, weir__wasi_u32(call, 1), size);
}

int weir__wasi_args_get(struct weir__wasi_call *call)
{
    const struct weir_wasi *wasi = call->wasi;
    if (wasi->arg_count == 0)
        return WASI_E_SUCCESS;
    return put_strings(call, wasi->strings, wasi->arg_count, wasi->arg_bytes);
}

int weir__wasi_args_sizes_get(struct weir__wasi_call *call)
{
    return put_sizes(call, call->wasi->arg_count, call->wasi->arg_bytes);
}

int weir__wasi_environ_get(struct weir__wasi_call *call)
{
    const struct weir_wasi *wasi = call->wasi;
    if (wasi->env_count == 0)
        return WASI_E_SUCCESS;
    return put_strings(call, wasi->env, wasi->env_count, wasi->env_bytes);
}

int weir__wasi_environ_sizes_get(struct weir__wasi_call *call)
{
    return put_sizes(call, call->wasi->env_count, call->wasi->env_bytes);
}
