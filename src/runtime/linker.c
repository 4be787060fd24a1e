/* The linker: a hash table of (module, name) → definition. Everything in it is charged to its
 * engine. Filled by one thread, then read by any number. */
#include <string.h>

#include "runtime/linker_internal.h"
#include "runtime/module_internal.h"
#include "runtime/store_internal.h"

#define BUCKETS_FIRST 64u

struct weir_linker {
    struct weir__linker_head head; /* first */
    struct weir__definition **buckets;
    uint32_t bucket_count;
    uint32_t count;
    bool allows_shadowing;
};

static uint32_t hash_names(const char *module, size_t module_size, const char *name,
                           size_t name_size)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < module_size; i++)
        hash = (hash ^ (uint8_t)module[i]) * 1099511628211u;
    hash = (hash ^ 0x100u) * 1099511628211u;
    for (size_t i = 0; i < name_size; i++)
        hash = (hash ^ (uint8_t)name[i]) * 1099511628211u;
    return (uint32_t)(hash ^ hash >> 32);
}

static void add_bytes(struct weir_linker *linker, int64_t bytes)
{
    uint64_t old = atomic_load_explicit(&linker->head.bytes, memory_order_relaxed);
    atomic_store_explicit(&linker->head.bytes, old + (uint64_t)bytes, memory_order_relaxed);
}

enum weir_status weir_linker_new(struct weir_engine *engine, struct weir_linker **ret_linker,
                                 struct weir_error *error)
{
    struct weir_linker *linker =
        weir_account_alloc(engine->account, WEIR_KIND_METADATA, sizeof *linker, error);
    if (linker == NULL)
        return weir_error_refused(error);
    linker->buckets = weir_account_alloc(engine->account, WEIR_KIND_METADATA,
                                         BUCKETS_FIRST * sizeof(void *), error);
    if (linker->buckets == NULL) {
        weir_account_free(engine->account, WEIR_KIND_METADATA, linker, sizeof *linker);
        return weir_error_refused(error);
    }
    linker->bucket_count = BUCKETS_FIRST;
    linker->head.engine = weir_engine_ref(engine);
    add_bytes(linker, (int64_t)(sizeof *linker + BUCKETS_FIRST * sizeof(void *)));
    weir__census_enlist(&linker->head.census, WEIR_CENSUS_LINKER, &engine->past);
    *ret_linker = linker;
    return WEIR_OK;
}

static void enlist(struct weir__definition *definition)
{
    struct weir_store *store = definition->store;
    if (store == NULL)
        return;
    definition->store_next = store->definitions;
    definition->store_at = &store->definitions;
    if (store->definitions != NULL)
        store->definitions->store_at = &definition->store_next;
    store->definitions = definition;
}

static void unlist(struct weir__definition *definition)
{
    if (definition->store_at == NULL)
        return;
    *definition->store_at = definition->store_next;
    if (definition->store_next != NULL)
        definition->store_next->store_at = definition->store_at;
    definition->store_at = NULL;
}

void weir__linker_forget_store(struct weir_store *store)
{
    while (store->definitions != NULL) {
        struct weir__definition *definition = store->definitions;
        unlist(definition);
        definition->is_gone = true;
    }
}

static void free_definition(struct weir_engine *engine, struct weir__definition *definition)
{
    unlist(definition);
    weir__type_release(definition->type);
    weir_account_free(engine->account, WEIR_KIND_METADATA, definition, definition->bytes);
}

void weir_linker_free(struct weir_linker *linker)
{
    if (linker == NULL)
        return;
    struct weir_engine *engine = linker->head.engine;
    weir__census_delist(&linker->head.census);
    for (uint32_t i = 0; i < linker->bucket_count; i++) {
        while (linker->buckets[i] != NULL) {
            struct weir__definition *definition = linker->buckets[i];
            linker->buckets[i] = definition->next;
            free_definition(engine, definition);
        }
    }
    weir_account_free(engine->account, WEIR_KIND_METADATA, linker->buckets,
                      linker->bucket_count * sizeof(void *));
    weir_account_free(engine->account, WEIR_KIND_METADATA, linker, sizeof *linker);
    weir_engine_unref(engine);
}

void weir_linker_allow_shadowing(struct weir_linker *linker, bool allow)
{
    linker->allows_shadowing = allow;
}

static struct weir__definition **find_place(const struct weir_linker *linker, uint32_t hash,
                                            const struct weir__definition *key)
{
    struct weir__definition **at = &linker->buckets[hash & (linker->bucket_count - 1)];
    for (; *at != NULL; at = &(*at)->next)
        if ((*at)->hash == hash && (*at)->module_size == key->module_size &&
            (*at)->name_size == key->name_size &&
            memcmp((*at)->names, key->names, key->module_size + key->name_size) == 0)
            break;
    return at;
}

const struct weir__definition *weir__linker_find(const struct weir_linker *linker,
                                                 const char *module, size_t module_size,
                                                 const char *name, size_t name_size)
{
    uint32_t hash = hash_names(module, module_size, name, name_size);
    const struct weir__definition *at = linker->buckets[hash & (linker->bucket_count - 1)];
    for (; at != NULL; at = at->next)
        if (at->hash == hash && at->module_size == module_size && at->name_size == name_size &&
            memcmp(at->names, module, module_size) == 0 &&
            memcmp(at->names + module_size, name, name_size) == 0)
            return at;
    return NULL;
}

/* A table that cannot grow is only slower. */
static void grow_buckets(struct weir_linker *linker)
{
    struct weir_account *account = linker->head.engine->account;
    uint32_t count = linker->bucket_count * 2;
    struct weir__definition **buckets =
        weir_account_alloc(account, WEIR_KIND_METADATA, count * sizeof(void *), NULL);
    if (buckets == NULL)
        return;
    for (uint32_t i = 0; i < linker->bucket_count; i++) {
        while (linker->buckets[i] != NULL) {
            struct weir__definition *definition = linker->buckets[i];
            linker->buckets[i] = definition->next;
            definition->next = buckets[definition->hash & (count - 1)];
            buckets[definition->hash & (count - 1)] = definition;
        }
    }
    weir_account_free(account, WEIR_KIND_METADATA, linker->buckets,
                      linker->bucket_count * sizeof(void *));
    add_bytes(linker, (int64_t)((count - linker->bucket_count) * sizeof(void *)));
    linker->buckets = buckets;
    linker->bucket_count = count;
}

struct names {
    const char *module;
    size_t module_size;
    const char *name;
    size_t name_size;
};

static enum weir_status take_names(const char *module, const char *name, struct names *ret_names,
                                   struct weir_error *error)
{
    if (module == NULL || name == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a definition without a name");
    *ret_names = (struct names){module, strlen(module), name, strlen(name)};
    return WEIR_OK;
}

static enum weir_status refuse_taken(const struct names *names, struct weir_error *error)
{
    return weir_error_set(error, WEIR_EXISTS, WEIR_NO_OFFSET,
                          "\"%.*s\" \"%.*s\" is defined already", (int)names->module_size,
                          names->module, (int)names->name_size, names->name);
}

/* Takes over `content` but for the names. */
static enum weir_status define(struct weir_linker *linker, const struct names *names,
                               const struct weir__definition *content, struct weir_error *error)
{
    size_t bytes = sizeof *content + names->module_size + names->name_size + 1;
    struct weir_account *account = linker->head.engine->account;
    struct weir__definition *definition =
        weir_account_alloc(account, WEIR_KIND_METADATA, bytes, error);
    if (definition == NULL)
        return weir_error_refused(error);
    *definition = *content;
    definition->bytes = bytes;
    definition->module_size = (uint32_t)names->module_size;
    definition->name_size = (uint32_t)names->name_size;
    memcpy(definition->names, names->module, names->module_size);
    memcpy(definition->names + names->module_size, names->name, names->name_size);
    definition->hash = hash_names(names->module, names->module_size, names->name, names->name_size);
    struct weir__definition **at = find_place(linker, definition->hash, definition);
    struct weir__definition *before = *at;
    if (before != NULL && !linker->allows_shadowing) {
        weir_account_free(account, WEIR_KIND_METADATA, definition, bytes);
        return refuse_taken(names, error);
    }
    definition->next = before != NULL ? before->next : NULL;
    *at = definition;
    enlist(definition);
    add_bytes(linker, (int64_t)bytes - (before != NULL ? (int64_t)before->bytes : 0));
    if (before != NULL)
        free_definition(linker->head.engine, before);
    else if (++linker->count > linker->bucket_count)
        grow_buckets(linker);
    return WEIR_OK;
}

enum weir_status weir_linker_define_func(struct weir_linker *linker, const char *module,
                                         const char *name,
                                         const struct weir_host_definition *definition,
                                         struct weir_error *error)
{
    struct names names;
    struct weir__definition content = {
        .item = {.kind = WEIR_EXTERN_FUNC}, .func = definition->func, .data = definition->data};
    enum weir_status status = take_names(module, name, &names, error);
    if (status == WEIR_OK)
        status = weir__host_definition_check(definition, error);
    if (status == WEIR_OK)
        status = weir__type_acquire(definition->type, &content.type, error);
    if (status != WEIR_OK)
        return status;
    status = define(linker, &names, &content, error);
    if (status != WEIR_OK)
        weir__type_release(content.type);
    return status;
}

enum weir_status weir_linker_define(struct weir_linker *linker, struct weir_store *store,
                                    const char *module, const char *name,
                                    const struct weir_extern *item, struct weir_error *error)
{
    struct names names;
    struct weir__definition content = {.store = store, .item = *item};
    enum weir_status status = take_names(module, name, &names, error);
    if (status != WEIR_OK)
        return status;
    if (store == NULL || !weir__extern_is_of(item, store))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "\"%s\" \"%s\" is to be something that is not in the store", module,
                              name);
    return define(linker, &names, &content, error);
}

static struct names export_names(const char *module, const struct weir_instance *instance,
                                 uint32_t index)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    const struct weir_artifact_string *name = &artifact->exports[index].name;
    return (struct names){module, strlen(module), artifact->strings + name->start, name->size};
}

enum weir_status weir_linker_define_instance(struct weir_linker *linker, const char *module,
                                             struct weir_instance *instance,
                                             struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    uint32_t count = artifact->head->exports.count;
    struct names names;
    enum weir_status status = take_names(module, "", &names, error);
    for (uint32_t i = 0; status == WEIR_OK && !linker->allows_shadowing && i < count; i++) {
        names = export_names(module, instance, i);
        if (weir__linker_find(linker, module, names.module_size, names.name, names.name_size))
            return refuse_taken(&names, error);
    }
    for (uint32_t i = 0; status == WEIR_OK && i < count; i++) {
        const struct weir_artifact_export *export = &artifact->exports[i];
        struct weir__definition content = {.store = instance->store};
        weir__instance_extern(instance, export->kind, export->index, &content.item);
        names = export_names(module, instance, i);
        status = define(linker, &names, &content, error);
    }
    return status;
}
