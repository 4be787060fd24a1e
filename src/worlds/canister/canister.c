/* A canister from new to free, its code (body), and what the engine must be able to do. */
#include "worlds/canister/canister_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

void weir_canister_engine_config(struct weir_engine_config *config)
{
    config->features = WEIR_CANISTER_FEATURES;
    config->has_fuel = true;
}

static uint64_t system_now(void *context)
{
    (void)context;
    return weir_clock_unix_ns();
}

/* Never goes back, not even across restarts. */
uint64_t weir__now(struct weir_canister *canister)
{
    uint64_t now = canister->now_ns(canister->context);
    if (now > canister->last_time_ns)
        canister->last_time_ns = now;
    return canister->last_time_ns;
}

/* Ids of canisters end in 01 01; the rest follows from the name. */
static enum weir_status make_id(struct weir_canister *canister, struct weir_error *error)
{
    struct weir_hash hash;
    enum weir_status status = weir_hash_bytes(canister->name, strlen(canister->name), &hash, error);
    if (status != WEIR_OK)
        return status;
    canister->id.size = 10;
    memcpy(canister->id.bytes, hash.bytes, 8);
    canister->id.bytes[8] = canister->id.bytes[9] = 1;
    return WEIR_OK;
}

static enum weir_status check_engine(struct weir_engine *engine, struct weir_error *error)
{
    struct weir_store *probe = NULL;
    enum weir_status status = weir_store_new(engine, NULL, &probe, error);
    if (status == WEIR_OK)
        status = weir_store_set_fuel(probe, 1, error);
    weir_store_close(probe, NULL);
    return status;
}

enum weir_status weir_canister_new(struct weir_engine *engine,
                                   const struct weir_canister_config *config,
                                   struct weir_canister **ret_canister, struct weir_error *error)
{
    struct weir_account *account = NULL;
    enum weir_status status = check_engine(engine, error);
    if (status == WEIR_OK)
        status = weir_account_new(
            config->account != NULL ? config->account : weir_account_host(), WEIR_ACCOUNT_TENANT,
            config->name != NULL ? config->name : "canister",
            config->memory_bytes_max != 0 ? config->memory_bytes_max : WEIR_UNLIMITED, &account,
            error);
    if (status != WEIR_OK)
        return status;
    struct weir_canister *canister =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *canister, error);
    if (canister == NULL) {
        weir_account_close(account);
        return weir_error_refused(error);
    }
    canister->account = account;
    canister->engine = weir_engine_ref(engine);
    (void)snprintf(canister->name, sizeof canister->name, "%s",
                   config->name != NULL ? config->name : "canister");
    canister->now_ns = config->now_ns != NULL ? config->now_ns : system_now;
    canister->debug_print = config->debug_print;
    canister->context = config->context;
    canister->instructions_max = config->instructions_max;
    canister->heap_limit = CANISTER_HEAP_LIMIT_DEFAULT;
    canister->stable_bytes_max =
        config->stable_bytes_max != 0 && config->stable_bytes_max < CANISTER_STABLE_BYTES_MAX
            ? config->stable_bytes_max
            : CANISTER_STABLE_BYTES_MAX;
    status = make_id(canister, error);
    if (status == WEIR_OK)
        status = weir_stable_new(account, canister->stable_bytes_max, &canister->stable, error);
    if (status != WEIR_OK) {
        weir_canister_free(canister);
        return status;
    }
    *ret_canister = canister;
    return WEIR_OK;
}

void weir__body_free(struct weir_canister *canister, struct weir__body *body)
{
    if (body == NULL)
        return;
    weir__body_close(body);
    weir_account_free(canister->account, WEIR_KIND_METADATA, body, sizeof *body);
}

void weir_canister_free(struct weir_canister *canister)
{
    if (canister == NULL)
        return;
    weir__calls_forget(canister);
    weir__body_free(canister, canister->body);
    weir_stable_free(canister->stable);
    weir_linker_free(canister->linkers[0]);
    weir_linker_free(canister->linkers[1]);
    struct weir_account *account = canister->account;
    weir_engine_unref(canister->engine);
    weir_account_free(account, WEIR_KIND_METADATA, canister, sizeof *canister);
    weir_account_close(account);
}

enum weir_status weir_canister_set_heap_limit(struct weir_canister *canister, uint64_t bytes,
                                              struct weir_error *error)
{
    uint64_t heap = canister->body != NULL ? weir__body_heap_bytes(canister->body) : 0;
    if (bytes != 0 && bytes < heap)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "the heap has %llu bytes already; a limit of %llu is below that",
                              (unsigned long long)heap, (unsigned long long)bytes);
    canister->heap_limit = bytes;
    canister->is_changed = true;
    return WEIR_OK;
}

void weir_canister_set_low_memory(struct weir_canister *canister, uint64_t bytes)
{
    canister->low_memory_bytes = bytes;
    canister->is_changed = true;
}

const struct weir_hash *weir_canister_module_hash(const struct weir_canister *canister)
{
    return canister->body != NULL ? &canister->body->upload_hash : NULL;
}

const char *weir_canister_candid(const struct weir_canister *canister, size_t *ret_size)
{
    if (canister->body == NULL || canister->body->candid.size == 0)
        return NULL;
    *ret_size = canister->body->candid.size;
    return (const char *)canister->body->candid.bytes;
}

/* --- body ---------------------------------------------------------------------------------- */

enum weir_status weir__body_open_store(struct weir__body *body, struct weir_error *error)
{
    struct weir_canister *canister = body->canister;
    const struct weir_store_config config = {
        .name = canister->name,
        .account = canister->account,
        .linear_bytes_max = body->is_64 ? CANISTER_HEAP64_BYTES_MAX : CANISTER_HEAP32_BYTES_MAX,
        .instances_max = 1,
        .keep_resident_bytes = CANISTER_KEEP_RESIDENT_BYTES,
        .data = body,
        .growth_hook = weir__growth_asked,
        .growth_context = body};
    return weir_store_new(canister->engine, &config, &body->store, error);
}

void weir__body_find_memory(struct weir__body *body)
{
    if (weir_instance_memory_count(body->instance) > 0)
        body->memory = weir_instance_memory(body->instance, 0);
}

void weir__body_close(struct weir__body *body)
{
    weir__buffer_free(body->canister, &body->candid);
    weir_store_close(body->store, NULL);
    weir_module_unref(body->module);
    body->store = NULL;
    body->instance = NULL;
    body->memory = NULL;
    body->module = NULL;
}

uint64_t weir__body_heap_bytes(const struct weir__body *body)
{
    return body->memory != NULL ? weir_memory_bytes(body->memory) : 0;
}

struct weir_funcref *weir__body_func(const struct weir__body *body, const char *prefix,
                                     const char *name)
{
    char exported[512];
    int length = snprintf(exported, sizeof exported, "%s%s", prefix, name);
    struct weir_extern item;
    if (length < 0 || (size_t)length >= sizeof exported ||
        weir_instance_export(body->instance, exported, (size_t)length, &item) != WEIR_OK ||
        item.kind != WEIR_EXTERN_FUNC)
        return NULL;
    return item.func;
}
