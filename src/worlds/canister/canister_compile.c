/* From uploaded bytes to a compiled module: unpacking within bounds, the checks of the world. */
#include "worlds/canister/canister_internal.h"

#include <string.h>
#include <zlib.h>

/* Unpacked bytes, or the uploaded ones. */
struct plain {
    const uint8_t *bytes;
    size_t size;
    struct weir__buffer owned;
};

static bool is_gzip(const struct weir_canister_code *code)
{
    return code->module_size >= 3 && memcmp(code->module, "\x1f\x8b\x08", 3) == 0;
}

static uint64_t unpacked_max(size_t packed)
{
    uint64_t by_ratio = (uint64_t)packed * CANISTER_GZIP_RATIO_MAX;
    return by_ratio < CANISTER_MODULE_BYTES_MAX ? by_ratio : CANISTER_MODULE_BYTES_MAX;
}

static enum weir_status inflate_all(struct weir_canister *canister, z_stream *stream,
                                    uint64_t bytes_max, struct weir__buffer *to,
                                    struct weir_error *error)
{
    int answer = Z_OK;
    while (answer != Z_STREAM_END) {
        enum weir_status status =
            weir__buffer_reserve(canister, to, 64 << 10, bytes_max + (64 << 10), error);
        if (status != WEIR_OK)
            return status;
        size_t room = to->capacity - to->size;
        stream->next_out = to->bytes + to->size;
        stream->avail_out = (uInt)(room < UINT32_MAX ? room : UINT32_MAX);
        uInt before = stream->avail_out;
        answer = inflate(stream, Z_NO_FLUSH);
        to->size += before - stream->avail_out;
        if (to->size > bytes_max)
            return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                  "the gzip unpacks to more than %llu bytes",
                                  (unsigned long long)bytes_max);
        if (answer != Z_OK && answer != Z_STREAM_END)
            return weir_error_set(error, WEIR_MALFORMED, stream->total_in,
                                  "the gzip is damaged or cut");
    }
    return WEIR_OK;
}

static enum weir_status unpack(struct weir_canister *canister,
                               const struct weir_canister_code *code, struct plain *plain,
                               struct weir_error *error)
{
    plain->bytes = code->module;
    plain->size = code->module_size;
    if (code->module_size > CANISTER_MODULE_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the module has %zu bytes, at most %llu are taken", code->module_size,
                              (unsigned long long)CANISTER_MODULE_BYTES_MAX);
    if (!is_gzip(code))
        return WEIR_OK;
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)code->module,
                       .avail_in = (uInt)code->module_size};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) /* gzip only */
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for unpacking");
    enum weir_status status =
        inflate_all(canister, &stream, unpacked_max(code->module_size), &plain->owned, error);
    (void)inflateEnd(&stream);
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
    (void)weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET, "%s is no canister: %s%s",
                         canister->name, first, count > 1 ? " (and more)" : "");
    for (size_t i = 0; error != NULL && count > 1 && i < facts->finding_count; i++)
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
        status = weir_hash_bytes(code->module, code->module_size, &body->upload_hash, error);
    if (status == WEIR_OK)
        status = compile(body, code, &plain, error);
    weir__buffer_free(canister, &plain.owned);
    return status;
}
