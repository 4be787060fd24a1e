/* What only the embedder knows: things of the host that lead to an instance, and who keeps whom.
 * Records are charged to the host, since they may outlive their stores. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/store_internal.h"

struct weir_held {
    struct weir_held *previous, *next;                  /* of the process */
    struct weir_held *instance_before, *instance_after; /* of the instance */
    struct weir_instance *instance;                     /* NULL: it has ended */
    enum weir_held_kind kind;
    uint64_t bytes, made_ns;
    char label[WEIR_CENSUS_NAME_SIZE];
    char owner[WEIR_CENSUS_OWNER_SIZE];
};

struct weir_ref_edge {
    struct weir_ref_edge *previous, *next;
    struct weir__edge_view view;
};

/* Over both lists, and over each instance's. Nothing else is taken under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_held *helds;
static struct weir_ref_edge *edges;
static size_t edge_count;

static void link_to_instance(struct weir_held *held, struct weir_instance *instance)
{
    held->instance = instance;
    held->instance_after = atomic_load_explicit(&instance->helds, memory_order_relaxed);
    if (held->instance_after != NULL)
        held->instance_after->instance_before = held;
    atomic_store_explicit(&instance->helds, held, memory_order_relaxed);
}

static void unlink_from_instance(struct weir_held *held)
{
    if (held->instance == NULL)
        return;
    if (held->instance_after != NULL)
        held->instance_after->instance_before = held->instance_before;
    if (held->instance_before != NULL)
        held->instance_before->instance_after = held->instance_after;
    else
        atomic_store_explicit(&held->instance->helds, held->instance_after, memory_order_relaxed);
    held->instance = NULL;
    held->instance_before = held->instance_after = NULL;
}

enum weir_status weir_held_new(struct weir_instance *instance, enum weir_held_kind kind,
                               const char *label, uint64_t bytes, struct weir_held **ret_held,
                               struct weir_error *error)
{
    if ((unsigned)kind > WEIR_HELD_WAIT || label == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "what is held needs a label and a kind that is known, not %d",
                              (int)kind);
    struct weir_held *held =
        weir_account_alloc(weir_account_host(), WEIR_KIND_METADATA, sizeof *held, error);
    if (held == NULL)
        return weir_error_refused(error);
    struct weir_account_reading reading;
    weir_account_read(instance->store->account, &reading);
    held->kind = kind;
    held->bytes = bytes;
    held->made_ns = weir_clock_ns();
    (void)snprintf(held->label, sizeof held->label, "%s", label);
    (void)snprintf(held->owner, sizeof held->owner, "instance %u of store \"%s\"", instance->number,
                   reading.name);
    (void)pthread_mutex_lock(&lock);
    held->next = helds;
    if (helds != NULL)
        helds->previous = held;
    helds = held;
    link_to_instance(held, instance);
    (void)pthread_mutex_unlock(&lock);
    *ret_held = held;
    return WEIR_OK;
}

void weir_held_free(struct weir_held *held)
{
    if (held == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    unlink_from_instance(held);
    *(held->previous != NULL ? &held->previous->next : &helds) = held->next;
    if (held->next != NULL)
        held->next->previous = held->previous;
    (void)pthread_mutex_unlock(&lock);
    weir_account_free(weir_account_host(), WEIR_KIND_METADATA, held, sizeof *held);
}

bool weir_held_has_ended(const struct weir_held *held)
{
    (void)pthread_mutex_lock(&lock);
    bool has_ended = held->instance == NULL;
    (void)pthread_mutex_unlock(&lock);
    return has_ended;
}

void weir__held_end(struct weir_instance *instance)
{
    /* Only the instance's own thread adds to it. */
    if (atomic_load_explicit(&instance->helds, memory_order_relaxed) == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    struct weir_held *held;
    while ((held = atomic_load_explicit(&instance->helds, memory_order_relaxed)) != NULL)
        unlink_from_instance(held);
    (void)pthread_mutex_unlock(&lock);
}

void weir__held_visit(void (*visit)(void *context, const struct weir__held_view *view),
                      void *context)
{
    (void)pthread_mutex_lock(&lock);
    for (const struct weir_held *held = helds; held != NULL; held = held->next) {
        const struct weir__held_view view = {.label = held->label,
                                             .owner = held->owner,
                                             .kind = held->kind,
                                             .bytes = held->bytes,
                                             .made_ns = held->made_ns,
                                             .has_ended = held->instance == NULL};
        visit(context, &view);
    }
    (void)pthread_mutex_unlock(&lock);
}

/* --- edges ---------------------------------------------------------------------------------- */

enum weir_status weir_ref_edge_new(const void *from, const void *to, const char *label,
                                   struct weir_ref_edge **ret_edge, struct weir_error *error)
{
    if (label == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "an edge between objects needs a label");
    struct weir_ref_edge *edge =
        weir_account_alloc(weir_account_host(), WEIR_KIND_METADATA, sizeof *edge, error);
    if (edge == NULL)
        return weir_error_refused(error);
    edge->view.from = from;
    edge->view.to = to;
    (void)snprintf(edge->view.label, sizeof edge->view.label, "%s", label);
    (void)pthread_mutex_lock(&lock);
    edge->next = edges;
    if (edges != NULL)
        edges->previous = edge;
    edges = edge;
    edge_count++;
    (void)pthread_mutex_unlock(&lock);
    *ret_edge = edge;
    return WEIR_OK;
}

void weir_ref_edge_free(struct weir_ref_edge *edge)
{
    if (edge == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    *(edge->previous != NULL ? &edge->previous->next : &edges) = edge->next;
    if (edge->next != NULL)
        edge->next->previous = edge->previous;
    edge_count--;
    (void)pthread_mutex_unlock(&lock);
    weir_account_free(weir_account_host(), WEIR_KIND_METADATA, edge, sizeof *edge);
}

size_t weir__edges_copy(struct weir__edge_view *copies, size_t capacity)
{
    (void)pthread_mutex_lock(&lock);
    size_t count = edge_count;
    const struct weir_ref_edge *edge = edges;
    for (size_t i = 0; edge != NULL && i < capacity; i++, edge = edge->next)
        copies[i] = edge->view;
    (void)pthread_mutex_unlock(&lock);
    return count;
}
