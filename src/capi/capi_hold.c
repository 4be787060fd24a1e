/* References that guests hold: what was handed to a store as an externref counts in its object
 * until no table and no global of the store has it any more. They are looked through from time to
 * time, only between calls, when no guest has one in its frames.
 *
 * The set is a hash table of addresses with open addressing; the lowest bit of an entry is the mark
 * of the present look.
 */
#include "capi/capi_internal.h"

#define MARK ((uintptr_t)1)

static struct wasm_ref_t *without_mark(const struct wasm_ref_t *entry)
{
    return (struct wasm_ref_t *)((uintptr_t)entry & ~MARK);
}

static bool is_marked(const struct wasm_ref_t *entry)
{
    return ((uintptr_t)entry & MARK) != 0;
}

/* Where the reference is, or would go; there is always an empty place. */
static struct wasm_ref_t **place_of(struct wasm_store_t *store, const struct wasm_ref_t *ref)
{
    uint64_t bits = (uint64_t)ref * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = bits >> 32 & (store->hold_room - 1);
    while (store->holds[at] != NULL && without_mark(store->holds[at]) != ref)
        at = (at + 1) & (store->hold_room - 1);
    return &store->holds[at];
}

/* Puts the entries of `old` into a set of `room` places. */
static enum weir_status rehash(struct wasm_store_t *store, size_t room, struct weir_error *error)
{
    struct wasm_ref_t **old = store->holds;
    size_t old_room = store->hold_room;
    struct wasm_ref_t **holds =
        weir_account_alloc(store->account, WEIR_KIND_HANDLE, room * sizeof(void *), error);
    if (holds == NULL)
        return WEIR_LIMIT;
    store->holds = holds;
    store->hold_room = room;
    for (size_t i = 0; i < old_room; i++) {
        struct wasm_ref_t *ref = without_mark(old[i]);
        if (ref != NULL)
            *place_of(store, ref) = ref;
    }
    weir_account_free(store->account, WEIR_KIND_HANDLE, old, old_room * sizeof(void *));
    return WEIR_OK;
}

enum weir_status weir__capi_hold(struct wasm_store_t *store, struct wasm_ref_t *ref,
                                 struct weir_error *error)
{
    if (store->hold_count * 2 >= store->hold_room) { /* at most half full */
        size_t room = store->hold_room != 0 ? store->hold_room * 2 : WEIR_CAPI_BUCKETS_FIRST;
        enum weir_status status = rehash(store, room, error);
        if (status != WEIR_OK)
            return status;
    }
    struct wasm_ref_t **at = place_of(store, ref);
    if (*at != NULL)
        return WEIR_OK;
    *at = ref;
    store->hold_count++;
    weir__capi_hold_object(ref);
    return WEIR_OK;
}

static void mark(void *context, void *externref)
{
    struct wasm_ref_t **at = place_of(context, externref);
    if (*at != NULL)
        *at = (struct wasm_ref_t *)((uintptr_t)*at | MARK);
}

/* Globals of the host, which the store's instances may not know. */
static void mark_host_global(void *context, struct wasm_ref_t *ref)
{
    if (ref->kind != WEIR__CAPI_GLOBAL || ref->owner != NULL ||
        weir_global_type(ref->item.global, NULL) != WEIR_TYPE_EXTERNREF)
        return;
    void *held = weir_global_get(ref->item.global).externref;
    if (held != NULL)
        mark(context, held);
}

/* Finalizers may hand references to the store again, so they run when the set is whole. */
static void drop_list(struct wasm_ref_t **dead, size_t count)
{
    for (size_t i = 0; i < count; i++)
        weir__capi_drop(dead[i]);
}

/* Marked entries stay, the others are moved to the end of the old block and dropped. */
static void sweep(struct wasm_store_t *store)
{
    struct wasm_ref_t **old = store->holds;
    size_t room = store->hold_room;
    struct wasm_ref_t **fresh =
        weir_account_alloc(store->account, WEIR_KIND_HANDLE, room * sizeof(void *), NULL);
    if (fresh == NULL)
        return; /* another time; marks are cleared by the next look */
    store->holds = fresh;
    size_t alive = 0;
    size_t dead = 0;
    for (size_t i = 0; i < room; i++) {
        struct wasm_ref_t *ref = without_mark(old[i]);
        if (is_marked(old[i])) {
            *place_of(store, ref) = ref;
            alive++;
        } else if (ref != NULL) {
            old[dead++] = ref;
        }
    }
    store->hold_count = alive;
    store->collect_at = alive * 2 > WEIR_CAPI_COLLECT_MIN ? alive * 2 : WEIR_CAPI_COLLECT_MIN;
    drop_list(old, dead);
    weir_account_free(store->account, WEIR_KIND_HANDLE, old, room * sizeof(void *));
}

void weir__capi_collect(struct wasm_store_t *store)
{
    weir__capi_orphans_retry(store);
    if (store->hold_count < store->collect_at || !weir_store_is_idle(store->store))
        return;
    for (size_t i = 0; i < store->hold_room; i++)
        store->holds[i] = without_mark(store->holds[i]);
    weir_store_visit_externrefs(store->store, mark, store);
    weir__capi_each(store, mark_host_global, store);
    sweep(store);
}

void weir__capi_holds_done(struct wasm_store_t *store)
{
    size_t dead = 0;
    struct wasm_ref_t **holds = store->holds;
    for (size_t i = 0; i < store->hold_room; i++)
        if (holds[i] != NULL)
            holds[dead++] = without_mark(holds[i]);
    size_t room = store->hold_room;
    store->holds = NULL;
    store->hold_room = store->hold_count = 0;
    drop_list(holds, dead);
    weir_account_free(store->account, WEIR_KIND_HANDLE, holds, room * sizeof(void *));
}
