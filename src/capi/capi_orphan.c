/* Instances that nobody has a handle of: released at once when nothing in the store holds them (an
 * import, a reference in a table or global), else looked at again when there are many of them, so
 * that a program may make instances in one store for ever. Instances that hold each other stay.
 */
#include "capi/capi_internal.h"

struct list {
    struct wasm_store_t *store;
    struct wasm_ref_t *owner; /* of what is listed; NULL: orphans */
    struct wasm_ref_t **refs;
    size_t room, count;
};

static bool open_list(struct list *list)
{
    list->refs = list->room > 0 ? weir_account_alloc(list->store->account, WEIR_KIND_HOST_BUFFER,
                                                     list->room * sizeof(void *), NULL)
                                : NULL;
    return list->refs != NULL || list->room == 0;
}

static void close_list(struct list *list)
{
    weir_account_free(list->store->account, WEIR_KIND_HOST_BUFFER, list->refs,
                      list->room * sizeof(void *));
}

static void add(void *context, struct wasm_ref_t *ref)
{
    struct list *list = context;
    bool is_wanted = ref->refs == 0 && (list->owner != NULL ? ref->owner == list->owner
                                                            : ref->kind == WEIR__CAPI_INSTANCE);
    if (is_wanted && list->count < list->room)
        list->refs[list->count++] = ref;
}

/* None can be found any more when the first finalizer runs: what is made then may have the address
 * of what is gone. */
static void end(const struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        weir__capi_unlist(list->refs[i]);
    weir__capi_unlist(list->owner);
    for (size_t i = 0; i < list->count; i++)
        weir__capi_free(list->refs[i]);
    weir__capi_free(list->owner);
}

/* The sleeping objects of the instance end with it. True when it is gone. */
static bool release(struct wasm_ref_t *instance)
{
    struct list list = {
        .store = instance->store, .owner = instance, .room = instance->dormant_count};
    if (!open_list(&list))
        return false;
    weir_instance_unpin(instance->pin);
    instance->pin = NULL;
    bool is_released = weir_instance_release(instance->instance, NULL, NULL) == WEIR_OK;
    if (!is_released) {
        (void)weir__capi_pin(instance, NULL); /* it has no handles */
    } else {
        if (list.room > 0)
            weir__capi_each(instance->store, add, &list);
        end(&list);
    }
    close_list(&list);
    return is_released;
}

void weir__capi_orphan(struct wasm_ref_t *instance)
{
    struct wasm_store_t *store = instance->store;
    bool is_idle = weir_store_is_idle(store->store);
    if (is_idle && !store->is_looking && release(instance))
        return;
    store->orphan_count++;
    if (!is_idle)
        store->orphans_at = 0; /* as soon as the call has come back */
}

/* Each released one may have held others. */
static void release_all(struct list *list)
{
    bool goes_on = true;
    while (goes_on) {
        goes_on = false;
        for (size_t i = 0; i < list->count; i++) {
            if (list->refs[i] == NULL || list->refs[i]->refs != 0 || !release(list->refs[i]))
                continue;
            list->refs[i] = NULL;
            list->store->orphan_count--;
            goes_on = true;
        }
    }
}

void weir__capi_orphans_retry(struct wasm_store_t *store)
{
    if (store->orphan_count == 0 || store->orphan_count < store->orphans_at || store->is_looking ||
        !weir_store_is_idle(store->store))
        return;
    struct list list = {.store = store, .room = store->orphan_count};
    if (!open_list(&list))
        return;
    store->is_looking = true; /* finalizers may call the API */
    weir__capi_each(store, add, &list);
    release_all(&list);
    store->is_looking = false;
    close_list(&list);
    store->orphans_at = store->orphan_count * 2 > WEIR_CAPI_ORPHANS_MIN ? store->orphan_count * 2
                                                                        : WEIR_CAPI_ORPHANS_MIN;
}
