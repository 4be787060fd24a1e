/* The fast generator when memory is refused: every allocation of a compilation fails once, and each
 * time it must answer NO_MEMORY and give everything back. The linker sends malloc, calloc and
 * realloc here (-Wl,--wrap). */
#include "compiler/common/code.h"

#include <check.h>
#include <stdlib.h>

#include "fast_wasm.h"
#include "tests/run_suite.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static long allowed = -1; /* allocations until one is refused; negative: no limit */
static bool was_refused;

static bool is_refused(void)
{
    if (allowed < 0)
        return false;
    if (allowed-- > 0)
        return false;
    was_refused = true;
    allowed = -1;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : __real_realloc(memory, size);
}

START_TEST(test_every_allocation_refused_once)
{
    struct weir_arena *arena = NULL;
    struct weir_arena *scratch = NULL;
    struct weir_wasm_module *module = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    ck_assert_int_eq(weir_arena_new(NULL, 0, &scratch, NULL), WEIR_OK);
    ck_assert_int_eq(weir_wasm_decode((struct weir_wasm_bytes){fast_wasm, sizeof fast_wasm},
                                      WEIR_FEATURES_DEFAULT, NULL, arena, &module, NULL),
                     WEIR_OK);
    ck_assert_int_eq(weir_wasm_validate(module, scratch, NULL), WEIR_OK);
    uint32_t *escapes = calloc(module->func_count, sizeof *escapes);
    struct weir_code_options options = {.flags = WEIR_ARTIFACT_POLL | WEIR_ARTIFACT_FUEL};
    long refused = 0;
    for (;; refused++) {
        struct weir_code code = {0};
        struct weir_error error = {0};
        was_refused = false;
        allowed = refused;
        enum weir_status status = weir_fast_generate(module, escapes, &options, &code, &error);
        allowed = -1;
        if (!was_refused) {
            ck_assert_int_eq(status, WEIR_OK);
            weir_code_done(&code);
            break;
        }
        ck_assert_int_eq(status, WEIR_NO_MEMORY);
        ck_assert_int_eq(error.status, WEIR_NO_MEMORY);
        ck_assert_ptr_null(code.text);
        weir_error_done(&error);
    }
    ck_assert_int_gt(refused, 15);
    free(escapes);
    weir_arena_free(scratch);
    weir_arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fast without memory");
    TCase *tcase = tcase_create("refusals");
    tcase_add_test(tcase, test_every_allocation_refused_once);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
