/* From uploaded bytes to a compiled module: unpacking within bounds, the checks of the world. */
#include "worlds/canister/canister_internal.h"

#include "worlds/canister/canister_unpack.h"

/* Unpacked bytes, or the uploaded ones. */
struct plain {
    const uint8_t *bytes;
    size_t size;
    struct weir__buffer owned;
};

struct unpacking {
    struct weir_canister *canister;
    struct weir__buffer *to;
};

static enum weir_status put(void *context, const uint8_t *bytes, size_t size,
                            struct weir_error *error)
{
    const struct unpacking *unpacking = context;
    return weir__buffer_add(unpacking->canister, unpacking->to, bytes, size, error);
}

static enum weir_status unpack(struct weir_canister *canister,
                               const struct weir_canister_code *code, struct plain *plain,
                               struct weir_error *error)
{
    plain->bytes = code->module;
    plain->size = code->module_size;
    if (!weir_canister_is_packed(code->module, code->module_size))
        return WEIR_OK;
    struct unpacking unpacking = {canister, &plain->owned};
    const struct weir_canister_unpack to = {put, &unpacking};
    enum weir_status status = weir_canister_unpack(code->module, code->module_size, &to, error);
    plain->bytes = plain->owned.bytes;
    plain->size = plain->owned.size;
    return status;
}

static enum weir_status refuse(const struct weir_canister *canister,
                               const struct weir_canister_facts *facts, struct weir_error *error)
{
    const char *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < facts->finding_count; i++) {
        if (!facts->findings[i].is_fatal)
            continue;
        count++;
        if (first == NULL)
            first = facts->findings[i].text;
    }
    if (count == 1)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET, "%s is no canister: %s",
                              canister->name, first);
    (void)weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET, "%s is no canister, for %zu reasons",
                         canister->name, count);
    for (size_t i = 0; error != NULL && i < facts->finding_count; i++)
        if (facts->findings[i].is_fatal)
            weir_error_add(error, "%s", facts->findings[i].text);
    return WEIR_LINK;
}

static enum weir_status examine(struct weir__body *body, const struct plain *plain,
                                struct weir_arena *arena, struct weir_error *error)
{
    struct weir_canister *canister = body->canister;
    struct weir_wasm_module *module = NULL;
    struct weir_canister_facts facts;
    struct weir_engine_config config = {0};
    weir_canister_engine_config(&config);
    enum weir_status status = weir_wasm_decode((struct weir_wasm_bytes){plain->bytes, plain->size},
                                               config.features, NULL, arena, &module, error);
    if (status == WEIR_OK)
        status = weir_canister_check(module, arena, &facts, error);
    if (status != WEIR_OK)
        return status;
    if (!facts.is_good)
        return refuse(canister, &facts, error);
    body->is_64 = facts.is_64;
    body->has_keep = facts.has_keep;
    body->language = facts.language;
    body->custom_bytes = facts.custom_bytes;
    body->global_bytes = facts.global_bytes;
    return weir__buffer_add(canister, &body->candid, facts.candid.data, facts.candid.size, error);
}

static enum weir_status compile(struct weir__body *body, const struct weir_canister_code *code,
                                const struct plain *plain, struct weir_error *error)
{
    struct weir_account_source context = {body->canister->account, WEIR_KIND_COMPILER};
    struct weir_arena_source source = weir_account_arena_source(&context);
    struct weir_arena *arena = NULL;
    enum weir_status status = weir_arena_new(&source, 0, &arena, error);
    if (status == WEIR_OK)
        status = examine(body, plain, arena, error);
    weir_arena_free(arena);
    const struct weir_module_config config = {.name = body->canister->name,
                                              .progress = code->progress,
                                              .progress_context = code->progress_context};
    if (status == WEIR_OK)
        status = weir_module_new(body->canister->engine, plain->bytes, plain->size, &config,
                                 &body->module, error);
    return status;
}

enum weir_status weir__body_compile(struct weir_canister *canister, struct weir__body *body,
                                    const struct weir_canister_code *code, struct weir_error *error)
{
    struct plain plain = {0};
    body->canister = canister;
    body->upload_bytes = code->module_size;
    enum weir_status status = unpack(canister, code, &plain, error);
    if (status == WEIR_OK)
        status = compile(body, code, &plain, error);
    weir__buffer_free(canister, &plain.owned);
    return status;
}
