/* What folders register at start-up: who can give bytes back when the governor asks, and who adds
 * lines to the plan. A fixed table: registrations are known when the program is written. */
#include "ledger/ledger_internal.h"

#include <string.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_reclaimer reclaimers[WEIR__RECLAIMERS_MAX];
static size_t reclaimer_count;

enum weir_status weir_ledger_add_reclaimer(const struct weir_reclaimer *reclaimer,
                                           struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&registry_lock);
    if (reclaimer_count == WEIR__RECLAIMERS_MAX)
        status = weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                                "reclaimer \"%s\" is one too many: at most %d can be registered",
                                reclaimer->name, WEIR__RECLAIMERS_MAX);
    else
        reclaimers[reclaimer_count++] = *reclaimer;
    (void)pthread_mutex_unlock(&registry_lock);
    return status;
}

void weir_ledger_remove_reclaimer(const char *name, void *context)
{
    (void)pthread_mutex_lock(&registry_lock);
    for (size_t i = 0; i < reclaimer_count; i++) {
        if (reclaimers[i].context != context || strcmp(reclaimers[i].name, name) != 0)
            continue;
        memmove(&reclaimers[i], &reclaimers[i + 1],
                (reclaimer_count - i - 1) * sizeof reclaimers[0]);
        reclaimer_count--;
        break;
    }
    (void)pthread_mutex_unlock(&registry_lock);
}

/* `name` NULL: all of them. */
static uint64_t ask(const char *name, uint64_t wanted_bytes)
{
    uint64_t given = 0;
    for (size_t i = 0; given < wanted_bytes; i++) {
        /* Called without the lock: a reclaimer may register or remove others. */
        struct weir_reclaimer reclaimer = {0};
        (void)pthread_mutex_lock(&registry_lock);
        if (i < reclaimer_count)
            reclaimer = reclaimers[i];
        (void)pthread_mutex_unlock(&registry_lock);
        if (reclaimer.reclaim == NULL)
            break;
        if (name == NULL || strcmp(name, reclaimer.name) == 0)
            given += reclaimer.reclaim(reclaimer.context, wanted_bytes - given);
    }
    return given;
}

uint64_t weir_ledger_reclaim(uint64_t wanted_bytes)
{
    return ask(NULL, wanted_bytes);
}

uint64_t weir_ledger_reclaim_from(const char *name, uint64_t wanted_bytes)
{
    return ask(name, wanted_bytes);
}
