/* Valid modules as guests of WASI and as plugins: a verdict comes out whole, also when memory for
 * it is refused at any point. */
#include <stdlib.h>

#include "base/check.h"
#include "worlds/filter/filter_check.h"
#include "worlds/wasi/wasi_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned left; /* chunks until memory is refused */

static void *take(void *context, size_t bytes, struct weir_error *error)
{
    (void)context;
    if (left == 0) {
        (void)weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET, "refused");
        return NULL;
    }
    left--;
    return calloc(1, bytes);
}

static void give(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(memory);
}

static void look_over(const struct weir_wasm_module *module,
                      const struct weir_wasm_findings *findings)
{
    uint32_t fatal = 0;
    for (uint32_t i = 0; i < findings->count; i++) {
        WEIR_ASSERT(findings->items[i].text[0] != 0);
        fatal += findings->items[i].is_fatal;
    }
    WEIR_ASSERT(fatal <= findings->fatal_count && findings->missing_count <= module->import_count);
    for (uint32_t i = 0; i < findings->missing_count; i++)
        WEIR_ASSERT(findings->missing[i].import < module->import_count);
}

/* True: both verdicts came. */
static bool judge(const struct weir_wasm_module *module, unsigned chunks)
{
    const struct weir_arena_source source = {take, give, NULL};
    struct weir_arena *arena = NULL;
    struct weir_wasm_findings findings;
    struct weir_filter_facts facts;
    struct weir_error error = {0};
    left = chunks;
    enum weir_status status = weir_arena_new(&source, 256, &arena, &error);
    if (status == WEIR_OK)
        status = weir_wasi_check(module, arena, &findings, &error);
    if (status == WEIR_OK) {
        look_over(module, &findings);
        status = weir_filter_check(module, arena, &facts, &error);
    }
    if (status == WEIR_OK)
        look_over(module, &facts.findings);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_NO_MEMORY || status == WEIR_LIMIT);
    weir_error_done(&error);
    weir_arena_free(arena);
    return status == WEIR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena *arena = NULL;
    struct weir_wasm_module *module = NULL;
    struct weir_error error = {0};
    if (weir_arena_new(NULL, 0, &arena, NULL) != WEIR_OK)
        return 0;
    if (weir_wasm_decode((struct weir_wasm_bytes){data, size}, UINT32_MAX, NULL, arena, &module,
                         &error) == WEIR_OK &&
        weir_wasm_validate(module, arena, &error) == WEIR_OK) {
        unsigned chunks = 0;
        while (chunks < 24 && !judge(module, chunks))
            chunks++;
        WEIR_ASSERT(judge(module, UINT32_MAX));
    }
    weir_error_done(&error);
    weir_arena_free(arena);
    return 0;
}
