/* The decoder over any bytes, under three sets of features and under low limits.
 *
 * Beyond not crashing: an error has a status and, where it is about a byte, an offset within the
 * input; the record is bounded by the input's size; every range in the record lies in the input;
 * types are canonical exactly when they are equal; the name section and the facts can be read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "wasm/inspect.h"
#include "wasm/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

WEIR_AUTO_DEFINE(weir_arena, weir_arena_free)

/* Bytes of arena per byte of module, and what an empty module takes. */
#define ARENA_FACTOR 32
#define ARENA_CONSTANT 65536
/* Pairs of types are compared one by one up to here. */
#define TYPES_COMPARED_MAX 64

static void check_range(const struct weir_wasm_module *module, const uint8_t *at, size_t size)
{
    WEIR_ASSERT(at >= module->bytes.data);
    WEIR_ASSERT(size <= (size_t)(module->bytes.data + module->bytes.size - at));
}

static bool equal_vectors(const weir_wasm_type *a, uint32_t a_count, const weir_wasm_type *b,
                          uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

static void check_types(const struct weir_wasm_module *module)
{
    for (uint32_t i = 0; i < module->type_count && i < TYPES_COMPARED_MAX; i++) {
        const struct weir_wasm_func_type *a = &module->types[i];
        WEIR_ASSERT(a->canonical <= i);
        for (uint32_t k = 0; k <= i; k++) {
            const struct weir_wasm_func_type *b = &module->types[k];
            bool equal = equal_vectors(a->params, a->param_count, b->params, b->param_count) &&
                         equal_vectors(a->results, a->result_count, b->results, b->result_count);
            WEIR_ASSERT(equal == (a->canonical == b->canonical));
        }
    }
}

static void check_module(const struct weir_wasm_module *module)
{
    const uint8_t *base = module->bytes.data;
    for (uint32_t i = 0; i < module->section_count; i++)
        check_range(module, base + module->sections[i].offset, module->sections[i].size);
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        const struct weir_wasm_func *func = &module->funcs[i];
        check_range(module, base + func->body_offset, func->body_size);
        WEIR_ASSERT(func->code_offset >= func->body_offset);
        WEIR_ASSERT(func->code_offset - func->body_offset <= func->body_size);
        WEIR_ASSERT(func->local_count <= module->limits.locals_max);
    }
    for (uint32_t i = 0; i < module->global_count; i++)
        check_range(module, base + module->globals[i].init.offset, module->globals[i].init.size);
    for (uint32_t i = 0; i < module->data_count; i++)
        check_range(module, module->datas[i].bytes.data, module->datas[i].bytes.size);
    for (uint32_t i = 0; i < module->export_count; i++)
        check_range(module, module->exports[i].name.data, module->exports[i].name.size);
    check_types(module);
}

static void check_names(const struct weir_wasm_module *module, struct weir_arena *arena)
{
    const struct weir_wasm_bytes *names = NULL;
    WEIR_ASSERT(weir_wasm_func_names(module, arena, &names, NULL) == WEIR_OK);
    for (uint32_t i = 0; i < module->func_count; i++) {
        if (names[i].size > 0)
            check_range(module, names[i].data, names[i].size);
    }
}

static void decode(const uint8_t *data, size_t size, uint32_t features,
                   const struct weir_wasm_limits *limits)
{
    AUTO(weir_arena) *arena = NULL;
    struct weir_error error = {0};
    struct weir_wasm_module *module = NULL;
    if (weir_arena_new(NULL, 0, &arena, &error) != WEIR_OK)
        return;
    enum weir_status status = weir_wasm_decode((struct weir_wasm_bytes){data, size}, features,
                                               limits, arena, &module, &error);
    WEIR_ASSERT(weir_arena_bytes(arena) <= ARENA_FACTOR * size + ARENA_CONSTANT);
    WEIR_ASSERT(status == error.status);
    if (status == WEIR_OK) {
        check_module(module);
        check_names(module, arena);
    } else {
        WEIR_ASSERT(module == NULL && error.message[0] != '\0');
        WEIR_ASSERT(error.offset <= size);
    }
    weir_error_done(&error);
}

static void inspect(const uint8_t *data, size_t size)
{
    AUTO(weir_arena) *arena = NULL;
    struct weir_wasm_facts facts;
    if (weir_arena_new(NULL, 0, &arena, NULL) != WEIR_OK ||
        weir_wasm_inspect(data, size, NULL, arena, &facts, NULL) != WEIR_OK)
        return;
    for (uint32_t i = 0; i < facts.import_count; i++)
        WEIR_ASSERT(facts.imports[i].type != NULL);
    for (uint32_t i = 0; i < facts.export_count; i++)
        WEIR_ASSERT(facts.exports[i].type != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_wasm_limits low = {
#define WEIR_WASM_LIMIT(id, value, reason) .id = (value) < 64 ? (value) : 4,
#include "wasm/limits.def"
#undef WEIR_WASM_LIMIT
    };
    low.module_bytes_max = size;
    low.memory_pages_max = 65536;
    decode(data, size, UINT32_MAX, NULL);
    decode(data, size, WEIR_FEATURES_WASM_2_0, NULL);
    decode(data, size, 0, &low);
    inspect(data, size);
    return 0;
}
