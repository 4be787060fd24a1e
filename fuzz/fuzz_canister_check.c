/* Modules as canisters: whatever decodes is described, and what is good has no fatal finding. */
#include "base/check.h"
#include "worlds/canister/canister_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena *arena = NULL;
    struct weir_wasm_module *module = NULL;
    struct weir_canister_facts facts;
    struct weir_error error = {0};
    if (weir_arena_new(NULL, 0, &arena, NULL) != WEIR_OK)
        return 0;
    if (weir_wasm_decode((struct weir_wasm_bytes){data, size}, UINT32_MAX, NULL, arena, &module,
                         &error) == WEIR_OK) {
        enum weir_status status = weir_canister_check(module, arena, &facts, &error);
        WEIR_ASSERT(status == WEIR_OK && facts.language != NULL);
        bool is_good = true;
        for (size_t i = 0; i < facts.finding_count; i++) {
            WEIR_ASSERT(facts.findings[i].text[0] != 0);
            is_good = is_good && !facts.findings[i].is_fatal;
        }
        WEIR_ASSERT(is_good == facts.is_good);
    }
    weir_error_done(&error);
    weir_arena_free(arena);
    return 0;
}
