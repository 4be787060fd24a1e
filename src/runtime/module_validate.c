/* Validation without a compiler process: the decoder and validator that the compiler runs, on an
 * arena that is charged and gone afterwards. */
#include "runtime/module_internal.h"
#include "wasm/module.h"

static enum weir_status validate(const struct weir_engine *engine, struct weir_wasm_bytes bytes,
                                 struct weir_arena *arena, struct weir_error *error)
{
    struct weir_wasm_module *module = NULL;
    enum weir_status status =
        weir_wasm_decode(bytes, engine->features, NULL, arena, &module, error);
    return status == WEIR_OK ? weir_wasm_validate(module, arena, error) : status;
}

enum weir_status weir_module_validate(struct weir_engine *engine, const uint8_t *bytes, size_t size,
                                      struct weir_error *error)
{
    if (bytes == NULL && size != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%zu bytes of a module are at NULL", size);
    if (size > engine->module_bytes_max)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the module has %zu bytes; the limit is %llu", size,
                              (unsigned long long)engine->module_bytes_max);
    struct weir_account_source context = {.account = engine->account, .kind = WEIR_KIND_COMPILER};
    struct weir_arena_source source = weir_account_arena_source(&context);
    struct weir_arena *arena = NULL;
    enum weir_status status = weir_arena_new(&source, 0, &arena, error);
    if (status != WEIR_OK)
        return status;
    struct weir_wasm_bytes module = {.data = bytes, .size = size};
    status = validate(engine, module, arena, error);
    weir_arena_free(arena);
    return status;
}
