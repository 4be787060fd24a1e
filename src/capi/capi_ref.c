/* References: objects, their handles, host info, and the casts between kinds. */
#include "capi/capi_internal.h"

/* --- host info ----------------------------------------------------------------------------- */

static void set_info(struct wasm_ref_t *ref, void *info, void (*finalize)(void *))
{
    void *old_info = ref->info;
    void (*old_finalize)(void *) = ref->finalize;
    ref->info = info;
    ref->finalize = finalize;
    if (old_finalize != NULL)
        old_finalize(old_info);
}

static bool has_info(const struct wasm_ref_t *ref)
{
    return ref->info != NULL || ref->finalize != NULL;
}

/* --- objects by identity ------------------------------------------------------------------- */

/* Functions to instances are in their store whether anybody has a handle or not. */
static bool is_lasting(const struct wasm_ref_t *ref)
{
    return ref->kind <= WEIR__CAPI_INSTANCE;
}

static bool is_equal(const struct weir_identity *a, const struct weir_identity *b)
{
    return a->code == b->code && a->home == b->home;
}

static struct wasm_ref_t **bucket_of(struct wasm_store_t *store,
                                     const struct weir_identity *identity)
{
    uint64_t bits = (uint64_t)identity->code * 31 + (uint64_t)identity->home;
    bits *= UINT64_C(0x9e3779b97f4a7c15);
    return &store->buckets[bits >> 32 & (store->bucket_count - 1)];
}

static void enlist(struct wasm_store_t *store, struct wasm_ref_t *ref)
{
    struct wasm_ref_t **at = bucket_of(store, &ref->identity);
    ref->next = *at;
    *at = ref;
}

void weir__capi_unlist(struct wasm_ref_t *ref)
{
    struct wasm_ref_t **at = bucket_of(ref->store, &ref->identity);
    while (*at != ref)
        at = &(*at)->next;
    *at = ref->next;
    ref->store->object_count--;
}

/* Room for one object more. */
static enum weir_status grow(struct wasm_store_t *store, struct weir_error *error)
{
    size_t old_count = store->bucket_count;
    if (store->object_count < old_count)
        return WEIR_OK;
    struct wasm_ref_t **old = store->buckets;
    size_t count = old_count != 0 ? old_count * 2 : WEIR_CAPI_BUCKETS_FIRST;
    struct wasm_ref_t **buckets =
        weir_account_alloc(store->account, WEIR_KIND_HANDLE, count * sizeof(void *), error);
    if (buckets == NULL)
        return WEIR_LIMIT;
    store->buckets = buckets;
    store->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct wasm_ref_t *ref = old[i];
            old[i] = ref->next;
            enlist(store, ref);
        }
    }
    weir_account_free(store->account, WEIR_KIND_HANDLE, old, old_count * sizeof(void *));
    return WEIR_OK;
}

/* The object like `key`, found or made; not counted yet. */
static struct wasm_ref_t *find_or_make(struct wasm_store_t *store, const struct wasm_ref_t *key,
                                       struct weir_error *error)
{
    struct wasm_ref_t *found = store->bucket_count != 0 ? *bucket_of(store, &key->identity) : NULL;
    for (; found != NULL; found = found->next)
        if (found->kind == key->kind && is_equal(&found->identity, &key->identity))
            return found;
    if (grow(store, error) != WEIR_OK)
        return NULL;
    struct wasm_ref_t *ref =
        weir_account_alloc(store->account, WEIR_KIND_HANDLE, sizeof *ref, error);
    if (ref == NULL)
        return NULL;
    *ref = *key;
    ref->store = store;
    enlist(store, ref);
    store->object_count++;
    if (ref->kind == WEIR__CAPI_INSTANCE)
        store->orphan_count++; /* as all that nobody has a handle of */
    return ref;
}

enum weir_status weir__capi_pin(struct wasm_ref_t *instance, struct weir_error *error)
{
    return weir_instance_pin(instance->instance, "a handle of the standard C API", &instance->pin,
                             error);
}

static struct wasm_ref_t *instance_object(struct wasm_store_t *store,
                                          struct weir_instance *instance, struct weir_error *error)
{
    const struct wasm_ref_t key = {
        .kind = WEIR__CAPI_INSTANCE, .identity = {.home = instance}, .instance = instance};
    size_t count = store->object_count;
    struct wasm_ref_t *ref = find_or_make(store, &key, error);
    if (store->object_count == count || weir__capi_pin(ref, error) == WEIR_OK)
        return ref;
    store->orphan_count--;
    weir__capi_unlist(ref);
    weir__capi_free(ref);
    return NULL;
}

struct wasm_ref_t *weir__capi_extern(struct wasm_store_t *store, const struct weir_extern *item,
                                     struct weir_error *error)
{
    static const enum weir__capi_kind kinds[] = {[WEIR_EXTERN_FUNC] = WEIR__CAPI_FUNC,
                                                 [WEIR_EXTERN_TABLE] = WEIR__CAPI_TABLE,
                                                 [WEIR_EXTERN_MEMORY] = WEIR__CAPI_MEMORY,
                                                 [WEIR_EXTERN_GLOBAL] = WEIR__CAPI_GLOBAL};
    const struct wasm_ref_t key = {
        .kind = kinds[item->kind], .identity = weir_extern_identity(item), .item = *item};
    struct wasm_ref_t *ref = find_or_make(store, &key, error);
    if (ref == NULL || ref->refs != 0 || has_info(ref))
        return ref != NULL ? weir__capi_ref(ref) : NULL;
    struct weir_instance *owner = weir_extern_owner(store->store, item);
    if (owner != NULL) {
        ref->owner = instance_object(store, owner, error);
        if (ref->owner == NULL) {
            weir__capi_unlist(ref);
            weir__capi_free(ref);
            return NULL;
        }
    }
    return weir__capi_ref(ref);
}

struct wasm_ref_t *weir__capi_instance(struct wasm_store_t *store, struct weir_instance *instance,
                                       struct weir_error *error)
{
    struct wasm_ref_t *ref = instance_object(store, instance, error);
    return ref != NULL ? weir__capi_ref(ref) : NULL;
}

/* --- ends ---------------------------------------------------------------------------------- */

void weir__capi_free(struct wasm_ref_t *ref)
{
    set_info(ref, NULL, NULL);
    struct wasm_store_t *store = ref->store;
    switch (ref->kind) {
    case WEIR__CAPI_TRAP:
        weir__capi_trap_free((struct wasm_trap_t *)(void *)ref);
        break;
    case WEIR__CAPI_MODULE:
        weir__capi_module_free((struct wasm_module_t *)(void *)ref);
        break;
    default:
        weir_account_free(store->account, WEIR_KIND_HANDLE, ref, sizeof *ref);
        break;
    }
}

/* Of a function, global, table or memory. */
static void fall_asleep(struct wasm_ref_t *ref)
{
    struct wasm_ref_t *owner = ref->owner;
    if (!has_info(ref)) {
        weir__capi_unlist(ref);
        weir__capi_free(ref);
    } else if (owner != NULL) {
        owner->dormant_count++;
    }
    if (owner != NULL)
        weir__capi_drop(owner);
}

void weir__capi_drop(struct wasm_ref_t *ref)
{
    if (atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (!is_lasting(ref))
        weir__capi_free(ref);
    else if (ref->kind == WEIR__CAPI_INSTANCE)
        weir__capi_orphan(ref);
    else
        fall_asleep(ref);
}

static void wake(struct wasm_ref_t *ref)
{
    if (ref->kind == WEIR__CAPI_INSTANCE)
        ref->store->orphan_count--;
    if (ref->owner == NULL)
        return;
    if (has_info(ref))
        ref->owner->dormant_count--;
    weir__capi_hold_object(ref->owner);
}

void weir__capi_hold_object(struct wasm_ref_t *ref)
{
    if (atomic_fetch_add_explicit(&ref->refs, 1, memory_order_relaxed) == 0)
        wake(ref);
}

void weir__capi_each(struct wasm_store_t *store,
                     void (*visit)(void *context, struct wasm_ref_t *ref), void *context)
{
    for (size_t i = 0; i < store->bucket_count; i++)
        for (struct wasm_ref_t *ref = store->buckets[i]; ref != NULL; ref = ref->next)
            visit(context, ref);
}

void weir__capi_objects_done(struct wasm_store_t *store)
{
    for (size_t i = 0; i < store->bucket_count; i++) {
        while (store->buckets[i] != NULL) {
            struct wasm_ref_t *ref = store->buckets[i];
            store->buckets[i] = ref->next;
            weir__capi_free(ref);
        }
    }
    weir_account_free(store->account, WEIR_KIND_HANDLE, store->buckets,
                      store->bucket_count * sizeof(void *));
    set_info(&store->reserve.ref, NULL, NULL);
}

/* --- handles ------------------------------------------------------------------------------- */

void weir__capi_begin(struct wasm_ref_t *ref, enum weir__capi_kind kind, struct wasm_store_t *store)
{
    ref->refs = 1;
    ref->kind = kind;
    ref->store = store;
    if (store != NULL)
        weir__capi_store_ref(store);
}

struct wasm_ref_t *weir__capi_ref(struct wasm_ref_t *ref)
{
    weir__capi_hold_object(ref);
    if (ref->store != NULL)
        weir__capi_store_ref(ref->store);
    return ref;
}

static void unref(struct wasm_ref_t *ref)
{
    struct wasm_store_t *store = ref->store;
    weir__capi_drop(ref);
    if (store != NULL)
        weir__capi_store_unref(store);
}

/* --- the API, alike for every kind --------------------------------------------------------- */

/* A reference's record is the same however the handle is typed; const is about the embedder. */
static struct wasm_ref_t *ref_of(const void *handle)
{
    return (struct wasm_ref_t *)(uintptr_t)handle;
}

#define DEFINE_REF_BASE(name)                                                                      \
    void wasm_##name##_delete(wasm_##name##_t *handle)                                             \
    {                                                                                              \
        if (handle != NULL)                                                                        \
            unref(ref_of(handle));                                                                 \
    }                                                                                              \
    wasm_##name##_t *wasm_##name##_copy(const wasm_##name##_t *handle)                             \
    {                                                                                              \
        return handle != NULL ? (wasm_##name##_t *)(void *)weir__capi_ref(ref_of(handle)) : NULL;  \
    }                                                                                              \
    bool wasm_##name##_same(const wasm_##name##_t *a, const wasm_##name##_t *b)                    \
    {                                                                                              \
        return a == b;                                                                             \
    }                                                                                              \
    void *wasm_##name##_get_host_info(const wasm_##name##_t *handle)                               \
    {                                                                                              \
        return ref_of(handle)->info;                                                               \
    }                                                                                              \
    void wasm_##name##_set_host_info(wasm_##name##_t *handle, void *info)                          \
    {                                                                                              \
        set_info(ref_of(handle), info, NULL);                                                      \
    }                                                                                              \
    void wasm_##name##_set_host_info_with_finalizer(wasm_##name##_t *handle, void *info,           \
                                                    void (*finalize)(void *))                      \
    {                                                                                              \
        set_info(ref_of(handle), info, finalize);                                                  \
    }

#define DEFINE_REF(name, is_kind)                                                                  \
    DEFINE_REF_BASE(name)                                                                          \
    wasm_ref_t *wasm_##name##_as_ref(wasm_##name##_t *handle)                                      \
    {                                                                                              \
        return ref_of(handle);                                                                     \
    }                                                                                              \
    const wasm_ref_t *wasm_##name##_as_ref_const(const wasm_##name##_t *handle)                    \
    {                                                                                              \
        return ref_of(handle);                                                                     \
    }                                                                                              \
    wasm_##name##_t *wasm_ref_as_##name(wasm_ref_t *ref)                                           \
    {                                                                                              \
        return ref != NULL && (is_kind) ? (wasm_##name##_t *)(void *)ref : NULL;                   \
    }                                                                                              \
    const wasm_##name##_t *wasm_ref_as_##name##_const(const wasm_ref_t *ref)                       \
    {                                                                                              \
        return ref != NULL && (is_kind) ? (const wasm_##name##_t *)(const void *)ref : NULL;       \
    }

/* The external of a kind, as itself and as any external. */
#define DEFINE_EXTERN(name, KIND)                                                                  \
    DEFINE_REF(name, ref->kind == (KIND))                                                          \
    wasm_extern_t *wasm_##name##_as_extern(wasm_##name##_t *handle)                                \
    {                                                                                              \
        return (wasm_extern_t *)(void *)handle;                                                    \
    }                                                                                              \
    const wasm_extern_t *wasm_##name##_as_extern_const(const wasm_##name##_t *handle)              \
    {                                                                                              \
        return (const wasm_extern_t *)(const void *)handle;                                        \
    }                                                                                              \
    wasm_##name##_t *wasm_extern_as_##name(wasm_extern_t *item)                                    \
    {                                                                                              \
        return wasm_ref_as_##name(ref_of(item));                                                   \
    }                                                                                              \
    const wasm_##name##_t *wasm_extern_as_##name##_const(const wasm_extern_t *item)                \
    {                                                                                              \
        return wasm_ref_as_##name##_const(ref_of(item));                                           \
    }

DEFINE_REF_BASE(ref)
DEFINE_EXTERN(func, WEIR__CAPI_FUNC)
DEFINE_EXTERN(global, WEIR__CAPI_GLOBAL)
DEFINE_EXTERN(table, WEIR__CAPI_TABLE)
DEFINE_EXTERN(memory, WEIR__CAPI_MEMORY)
DEFINE_REF(extern, ref->kind <= WEIR__CAPI_MEMORY)
DEFINE_REF(instance, ref->kind == WEIR__CAPI_INSTANCE)
DEFINE_REF(foreign, ref->kind == WEIR__CAPI_FOREIGN)
DEFINE_REF(trap, ref->kind == WEIR__CAPI_TRAP)
DEFINE_REF(module, ref->kind == WEIR__CAPI_MODULE)

wasm_foreign_t *wasm_foreign_new(wasm_store_t *store)
{
    struct weir_error error = {0};
    wasm_foreign_t *foreign =
        weir_account_alloc(store->account, WEIR_KIND_HANDLE, sizeof *foreign, &error);
    if (foreign == NULL)
        weir__capi_failed(&error);
    else
        weir__capi_begin(&foreign->ref, WEIR__CAPI_FOREIGN, store);
    return foreign;
}

struct weir_instance *weir_wasm_instance(wasm_instance_t *instance)
{
    return instance->ref.instance;
}

struct weir_extern weir_wasm_extern(wasm_extern_t *item)
{
    return item->ref.item;
}
