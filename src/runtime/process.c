/* Starting what a process has once. Nothing here ends before the process does: handlers may be
 * needed as long as any code range is mapped, and others may have chained behind them. */
#include "runtime/process_internal.h"

#include <pthread.h>

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_started;

enum weir_status weir__process_start(struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&start_lock);
    if (!is_started) {
        status = weir__signals_install(error);
        is_started = status == WEIR_OK;
    }
    (void)pthread_mutex_unlock(&start_lock);
    return status;
}
