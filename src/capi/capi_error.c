/* The last error of each thread: a copy without details, so that nothing is owned by a thread. */
#include "capi/capi_internal.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local struct weir_error last;

const struct weir_error *weir_wasm_error(void)
{
    return &last;
}

void weir__capi_failed(struct weir_error *error)
{
    last = *error;
    last.details = NULL;
    weir_error_done(error);
}

enum weir_status weir__capi_refuse(enum weir_status status, const char *format, ...)
{
    last = (struct weir_error){.status = status, .offset = WEIR_NO_OFFSET};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(last.message, sizeof last.message, format, args);
    va_end(args);
    return status;
}
