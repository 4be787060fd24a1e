/* The list of what a census sees, and how it may look at stores that run meanwhile
 * (census_internal.h). Lock order: a task group's, then this list's, then the ledger's. */
#include "runtime/census_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/store_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir__census_link list = {.previous = &list, .next = &list};
static uint64_t last_id;
static struct weir__census_past gone;
static struct weir__census_source sources[WEIR__CENSUS_SOURCES];
static uint64_t source_turn;
_Atomic uint32_t weir__census_state;

static void insert_before(struct weir__census_link *link, struct weir__census_link *place)
{
    link->previous = place->previous;
    link->next = place;
    place->previous->next = link;
    place->previous = link;
}

static void unlink_it(struct weir__census_link *link)
{
    if (link->next == NULL)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = link->next = NULL;
}

/* Before there is a store: owners never know another state. */
static void probe_barrier(void)
{
    if (!weir_barrier_everywhere())
        (void)atomic_fetch_or(&weir__census_state, WEIR__CENSUS_FENCED);
}

void weir__census_enlist(struct weir__census_link *link, enum weir_census_type type,
                         struct weir__census_past *past)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, probe_barrier);
    link->type = type;
    link->made_ns = weir_clock_ns();
    (void)pthread_mutex_lock(&lock);
    link->id = ++last_id;
    insert_before(link, &list);
    (past != NULL ? past : &gone)->made[type]++;
    (void)pthread_mutex_unlock(&lock);
}

void weir__census_delist(struct weir__census_link *link)
{
    (void)pthread_mutex_lock(&lock);
    unlink_it(link);
    (void)pthread_mutex_unlock(&lock);
}

void weir__census_delist_store(struct weir_store *store)
{
    struct weir__census_past *past = &store->engine->past;
    (void)pthread_mutex_lock(&lock);
    unlink_it(&store->census);
    past->made[WEIR_CENSUS_INSTANCE] += store->instances_made;
    past->resets += atomic_load_explicit(&store->resets, memory_order_relaxed);
    (void)pthread_mutex_unlock(&lock);
}

void weir__census_delist_engine(struct weir__census_link *link,
                                const struct weir__census_past *past)
{
    (void)pthread_mutex_lock(&lock);
    unlink_it(link);
    for (int type = 0; type < WEIR_CENSUS_TYPE_COUNT; type++)
        gone.made[type] += past->made[type];
    gone.resets += past->resets;
    (void)pthread_mutex_unlock(&lock);
}

const struct weir__census_past *weir__census_gone(void)
{
    return &gone;
}

/* --- where modules come from ---------------------------------------------------------------- */

static struct weir__census_source *source_of(const uint8_t hash[32], const char *name)
{
    struct weir__census_source *oldest = &sources[0];
    for (size_t i = 0; i < WEIR__CENSUS_SOURCES; i++) {
        if (sources[i].last != 0 && memcmp(sources[i].hash, hash, sizeof sources[i].hash) == 0)
            return &sources[i];
        if (sources[i].last < oldest->last)
            oldest = &sources[i];
    }
    *oldest = (struct weir__census_source){0};
    memcpy(oldest->hash, hash, sizeof oldest->hash);
    (void)snprintf(oldest->name, sizeof oldest->name, "%s", name);
    return oldest;
}

void weir__census_loaded(const uint8_t hash[32], const char *name, bool was_compiled)
{
    (void)pthread_mutex_lock(&lock);
    struct weir__census_source *source = source_of(hash, name);
    source->last = ++source_turn;
    *(was_compiled ? &source->compiles : &source->loads) += 1;
    (void)pthread_mutex_unlock(&lock);
}

const struct weir__census_source *weir__census_sources(void)
{
    return sources;
}

/* --- looking -------------------------------------------------------------------------------- */

void weir__census_wait(struct weir__census_mark *mark)
{
    for (;;) {
        if ((atomic_load(&weir__census_state) & WEIR__CENSUS_FENCED) != 0)
            (void)atomic_exchange(&mark->busy, 1); /* the full barrier */
        if ((atomic_load(&weir__census_state) & WEIR__CENSUS_READING) == 0)
            return;
        atomic_store_explicit(&mark->busy, 0, memory_order_release);
        (void)pthread_mutex_lock(&lock);
        (void)pthread_mutex_unlock(&lock);
        atomic_store(&mark->busy, 1);
    }
}

/* False when membarrier was there and is no more (a filter of system calls): owners that began a
 * change before they could know of the fence may not be seen inside it yet. */
static bool begin_reading(void)
{
    uint32_t before = atomic_fetch_or(&weir__census_state, WEIR__CENSUS_READING);
    if ((before & WEIR__CENSUS_FENCED) != 0 || weir_barrier_everywhere())
        return true;
    (void)atomic_fetch_or(&weir__census_state, WEIR__CENSUS_FENCED);
    return false;
}

static void end_reading(void)
{
    (void)atomic_fetch_and_explicit(&weir__census_state, ~WEIR__CENSUS_READING,
                                    memory_order_release);
}

/* It leaves its change within some instructions, or when it has run again. */
static void wait_outside(const struct weir__census_link *link)
{
    const struct weir_store *store =
        (const struct weir_store *)(const void *)((const uint8_t *)link -
                                                  offsetof(struct weir_store, census));
    while (atomic_load_explicit(&store->mark.busy, memory_order_acquire) != 0)
        (void)sched_yield();
}

/* False at the end of the list. */
static bool visit_batch(struct weir__census_link *place,
                        void (*visit)(void *context, const struct weir__census_link *link),
                        void *context)
{
    for (int i = 0; i < WEIR_CENSUS_BATCH; i++) {
        struct weir__census_link *link = place->next;
        if (link == &list)
            return false;
        unlink_it(place);
        insert_before(place, link->next);
        if (link->type == WEIR_CENSUS_STORE)
            wait_outside(link);
        if (link->type != WEIR_CENSUS_TYPE_COUNT)
            visit(context, link);
    }
    return true;
}

bool weir__census_walk(void (*visit)(void *context, const struct weir__census_link *link),
                       void *context)
{
    struct weir__census_link place = {.type = WEIR_CENSUS_TYPE_COUNT};
    (void)pthread_mutex_lock(&lock);
    insert_before(&place, list.next);
    bool has_more = true, is_sound = true;
    while (has_more) {
        is_sound = begin_reading();
        has_more = is_sound && visit_batch(&place, visit, context);
        end_reading();
        (void)pthread_mutex_unlock(&lock);
        (void)sched_yield(); /* owners that wait go first */
        (void)pthread_mutex_lock(&lock);
    }
    unlink_it(&place);
    (void)pthread_mutex_unlock(&lock);
    return is_sound;
}

void weir__census_locked(void (*finish)(void *context), void *context)
{
    (void)pthread_mutex_lock(&lock);
    finish(context);
    (void)pthread_mutex_unlock(&lock);
}
