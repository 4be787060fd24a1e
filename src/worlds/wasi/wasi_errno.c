/* Errors of the host and of Weir as errors of WASI: wasi_errno.def, and nothing beside it. */
#include "worlds/wasi/wasi_internal.h"

/* `number` is an errno of the host, positive. */
static int errno_of_host(int number)
{
    switch (number) {
#define WASI_ERRNO(value, name, host, text)                                                        \
    case host:                                                                                     \
        return WASI_E_##name;
#include "worlds/wasi/wasi_errno.def"
#undef WASI_ERRNO
    default:
        return WASI_E_IO;
    }
}

int weir__wasi_errno_of(long result)
{
    return result >= 0 ? WASI_E_SUCCESS : errno_of_host((int)-result);
}

int weir__wasi_errno_of_status(enum weir_status status)
{
    switch (status) {
    case WEIR_OK:
        return WASI_E_SUCCESS;
    case WEIR_NO_MEMORY:
    case WEIR_LIMIT:
        return WASI_E_NOMEM;
    case WEIR_INVALID_ARGUMENT:
        return WASI_E_FAULT;
    default:
        return WASI_E_IO;
    }
}

const char *weir__wasi_errno_name(int wasi_errno)
{
    static const char *const names[] = {
#define WASI_ERRNO(value, name, host, text) [value] = #name,
#include "worlds/wasi/wasi_errno.def"
#undef WASI_ERRNO
    };
    return wasi_errno >= 0 && wasi_errno < WASI_ERRNO_COUNT ? names[wasi_errno] : "?";
}
