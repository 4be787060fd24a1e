/* The fast generator at the limits of a function: modules are written byte by byte, since text of
 * that size helps nobody. Every one must compile in linear time and give the right answer. */
#include "tests/unit/compiler/fast_harness.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "tests/run_suite.h"

struct writer {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};

static void put(struct writer *w, unsigned byte)
{
    if (w->size == w->capacity) {
        w->capacity = w->capacity * 2 + 4096;
        w->bytes = realloc(w->bytes, w->capacity);
        WEIR_ASSERT(w->bytes != NULL);
    }
    w->bytes[w->size++] = (uint8_t)byte;
}

static void put_leb(struct writer *w, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        put(w, (value & 0x7f) | 0x80);
    put(w, value);
}

static void put_i32_const(struct writer *w, int32_t value)
{
    put(w, 0x41);
    for (; value < -64 || value > 63; value >>= 7)
        put(w, ((unsigned)value & 0x7f) | 0x80);
    put(w, (unsigned)value & 0x7f);
}

static void put_bytes(struct writer *w, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put(w, ((const uint8_t *)bytes)[i]);
}

static void put_section(struct writer *w, unsigned id, struct writer *content)
{
    put(w, id);
    put_leb(w, (uint32_t)content->size);
    put_bytes(w, content->bytes, content->size);
    free(content->bytes);
    *content = (struct writer){0};
}

static void put_types(struct writer *w, uint32_t count, unsigned type)
{
    put_leb(w, count);
    for (uint32_t i = 0; i < count; i++)
        put(w, type);
}

static void put_body(struct writer *section, const struct writer *body)
{
    put_leb(section, (uint32_t)body->size);
    put_bytes(section, body->bytes, body->size);
}

/* `count` functions: the first, exported as "f", has the given body (locals and final `end`
 * included), the others another one, of the same type. */
static struct writer module_of_many(uint32_t params, uint32_t results, struct writer *body,
                                    uint32_t count, struct writer *others)
{
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    static const uint8_t export[] = {7, 5, 1, 1, 'f', 0, 0};
    struct writer w = {0};
    struct writer section = {0};
    put_bytes(&w, head, sizeof head);
    put(&section, 1);
    put(&section, 0x60);
    put_types(&section, params, 0x7f);
    put_types(&section, results, 0x7f);
    put_section(&w, 1, &section);
    put_types(&section, count, 0);
    put_section(&w, 3, &section);
    put_bytes(&w, export, sizeof export);
    put_leb(&section, count);
    put_body(&section, body);
    for (uint32_t i = 1; i < count; i++)
        put_body(&section, others);
    free(body->bytes);
    free(others->bytes);
    put_section(&w, 10, &section);
    return w;
}

static struct writer module_of(uint32_t params, uint32_t results, struct writer *body)
{
    struct writer none = {0};
    return module_of_many(params, results, body, 1, &none);
}

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Compiles with everything on, within `seconds` of CPU time (twenty times what is usual: this
 * catches quadratic time, not noise). */
static struct harness *compile(struct writer *module, double seconds)
{
    struct weir_error error = {0};
    struct weir_code_options options = {.flags = WEIR_ARTIFACT_POLL | WEIR_ARTIFACT_FUEL};
    double start = cpu_seconds();
    struct harness *h = harness_new(module->bytes, module->size, &options, &error);
    double used = cpu_seconds() - start;
    ck_assert_msg(h != NULL, "%s", error.message);
    ck_assert_msg(used < seconds, "%.2f s for %zu bytes", used, module->size);
    free(module->bytes);
    return h;
}

static uint64_t call(struct harness *h, uint32_t argument)
{
    uint64_t args[1000] = {argument};
    uint64_t results[1000] = {0};
    ck_assert_int_eq(harness_call(h, harness_export(h, "f", 1), args, results, NULL),
                     WEIR_TRAP_NONE);
    return results[0];
}

/* 49,999 locals beside the parameter; each is set from the one before. */
START_TEST(test_many_locals)
{
    struct writer body = {0};
    put(&body, 1);
    put_leb(&body, 49999);
    put(&body, 0x7f);
    for (uint32_t i = 1; i < 50000; i++) {
        put(&body, 0x20);
        put_leb(&body, i - 1);
        put_i32_const(&body, 1);
        put(&body, 0x6a);
        put(&body, 0x21);
        put_leb(&body, i);
    }
    put(&body, 0x20);
    put_leb(&body, 49999);
    put(&body, 0x0b);
    struct writer module = module_of(1, 1, &body);
    struct harness *h = compile(&module, 5);
    ck_assert_uint_eq(call(h, 7), 7 + 49999);
    harness_free(h);
}
END_TEST

static void put_local(struct writer *w, unsigned opcode, uint32_t index)
{
    put(w, opcode);
    put_leb(w, index);
}

static void put_group(struct writer *w, uint32_t count, unsigned type)
{
    put_leb(w, count);
    put(w, type);
}

/* 49,999 locals of three types, of which three are used, and 20,000 functions that use none of as
 * many: the time goes by what is mentioned. */
START_TEST(test_unused_locals)
{
    static const uint8_t times_three[] = {0x42, 3, 0x7e}, to_i64[] = {0xad}, sum[] = {0x7c, 0xa7};
    struct writer body = {0};
    struct writer idle = {0};
    put(&body, 3);
    put_group(&body, 20000, 0x7f);
    put_group(&body, 20000, 0x7e);
    put_group(&body, 9999, 0x7c);
    put_local(&body, 0x20, 0);
    put_bytes(&body, to_i64, sizeof to_i64);
    put_local(&body, 0x21, 40000);
    put_local(&body, 0x20, 40000);
    put_bytes(&body, times_three, sizeof times_three);
    put_local(&body, 0x21, 40000);
    put_local(&body, 0x20, 49999);
    put(&body, 0xb0); /* i64.trunc_f64_s */
    put_local(&body, 0x20, 40000);
    put_bytes(&body, sum, sizeof sum);
    put_local(&body, 0x20, 20000);
    put(&body, 0x6a);
    put_local(&body, 0x22, 20000);
    put(&body, 0x0b);
    put(&idle, 1);
    put_group(&idle, 49999, 0x7f);
    put_i32_const(&idle, 1);
    put(&idle, 0x0b);
    struct writer module = module_of_many(1, 1, &body, 20000, &idle);
    struct harness *h = compile(&module, 5);
    ck_assert_uint_eq(call(h, 7), 21);
    ck_assert_uint_eq(call(h, 11), 33);
    harness_free(h);
}
END_TEST

/* Each of 20,000 locals is pushed, then each is written: copies must be found without a search. */
START_TEST(test_many_pending_locals)
{
    struct writer body = {0};
    const uint32_t count = 20000;
    put(&body, 1);
    put_leb(&body, count);
    put(&body, 0x7f);
    for (uint32_t i = 1; i <= count; i++) {
        put(&body, 0x20);
        put_leb(&body, i);
    }
    for (uint32_t i = 0; i < 70000; i++)
        put_i32_const(&body, 1);
    for (uint32_t i = 1; i <= count; i++) {
        put_i32_const(&body, 5);
        put(&body, 0x21);
        put_leb(&body, i);
    }
    for (uint32_t i = 0; i < 70000 + count - 1; i++)
        put(&body, 0x6a);
    put(&body, 0x0b);
    struct writer module = module_of(1, 1, &body);
    struct harness *h = compile(&module, 5);
    ck_assert_uint_eq(call(h, 7), 70000);
    harness_free(h);
}
END_TEST

/* 49,000 blocks in each other, with an operand under every tenth, then a branch to each. */
START_TEST(test_deep_blocks)
{
    struct writer body = {0};
    const uint32_t count = 49000;
    put(&body, 0);
    for (uint32_t i = 0; i < count; i++) {
        if (i % 10 == 0) {
            put(&body, 0x20);
            put_leb(&body, 0);
        }
        put(&body, i % 3 == 0 ? 0x03 : 0x02);
        put(&body, 0x40);
    }
    for (uint32_t i = 0; i < count; i++) {
        put(&body, 0x20);
        put_leb(&body, 0);
        put(&body, 0x45);
        put(&body, 0x0d);
        put_leb(&body, i);
    }
    for (uint32_t i = 0; i < count; i++) {
        put(&body, 0x0b);
        if ((count - 1 - i) % 10 == 0)
            put(&body, 0x1a);
    }
    put(&body, 0x20);
    put_leb(&body, 0);
    put(&body, 0x0b);
    struct writer module = module_of(1, 1, &body);
    struct harness *h = compile(&module, 5);
    ck_assert_uint_eq(call(h, 3), 3);
    harness_free(h);
}
END_TEST

/* br_table with 65,520 targets; with values, so that each needs a stub. */
START_TEST(test_large_br_table)
{
    struct writer body = {0};
    const uint32_t count = 65519;
    put(&body, 0);
    for (unsigned i = 0; i < 4; i++) {
        put(&body, 0x02);
        put(&body, 0x7f);
    }
    put_i32_const(&body, 100);
    put(&body, 0x20);
    put_leb(&body, 0);
    put(&body, 0x0e);
    put_leb(&body, count);
    for (uint32_t i = 0; i <= count; i++)
        put_leb(&body, i % 5);
    for (unsigned i = 0; i < 4; i++) {
        put(&body, 0x0b);
        put_i32_const(&body, 1 << i);
        put(&body, 0x6a);
    }
    put(&body, 0x0b);
    struct writer module = module_of(1, 1, &body);
    struct harness *h = compile(&module, 5);
    static const uint64_t answers[5] = {115, 114, 112, 108, 100};
    for (uint32_t i = 0; i < 20; i++)
        ck_assert_uint_eq(call(h, 40000 + i), answers[(40000 + i) % 5]);
    ck_assert_uint_eq(call(h, UINT32_MAX), answers[count % 5]);
    harness_free(h);
}
END_TEST

/* The deepest operand stack that validation takes, then a body of 7.6 MB in all. */
START_TEST(test_deepest_stack)
{
    struct writer body = {0};
    const uint32_t count = 100000;
    put(&body, 0);
    for (uint32_t i = 0; i < count; i++) {
        put(&body, 0x20);
        put(&body, 0);
    }
    for (uint32_t i = 1; i < count; i++)
        put(&body, 0x6a);
    for (uint32_t i = 0; i < 2400000; i++) {
        put(&body, 0x20);
        put(&body, 0);
        put(&body, 0x73);
    }
    put(&body, 0x0b);
    struct writer module = module_of(1, 1, &body);
    struct harness *h = compile(&module, 20);
    ck_assert_uint_eq(call(h, 3), 3ull * count);
    harness_free(h);
}
END_TEST

/* Operands in slots: a frame of 0.8 MB, in a stack that has less left. */
START_TEST(test_frame_beyond_the_stack)
{
    struct writer body = {0};
    const uint32_t count = 99000;
    put(&body, 0);
    for (uint32_t i = 0; i < count; i++) {
        put(&body, 0x20);
        put(&body, 0);
        put(&body, 0x67); /* i32.clz */
    }
    for (uint32_t i = 1; i < count; i++)
        put(&body, 0x6a);
    put(&body, 0x0b);
    struct writer module = module_of(1, 1, &body);
    struct harness *h = compile(&module, 20);
    uint64_t args[1] = {1};
    uint64_t results[1];
    harness_set_stack(h, 700000);
    ck_assert_int_eq(harness_call(h, harness_export(h, "f", 1), args, results, NULL),
                     WEIR_TRAP_STACK_EXHAUSTED);
    harness_free(h);
}
END_TEST

/* 1,000 parameters, 1,000 results, in reverse. */
START_TEST(test_most_params_and_results)
{
    struct writer body = {0};
    put(&body, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        put(&body, 0x20);
        put_leb(&body, 999 - i);
    }
    put(&body, 0x0b);
    struct writer module = module_of(1000, 1000, &body);
    struct harness *h = compile(&module, 5);
    uint64_t args[1000];
    uint64_t results[1000] = {0};
    for (uint32_t i = 0; i < 1000; i++)
        args[i] = i * 3 + 1;
    ck_assert_int_eq(harness_call(h, harness_export(h, "f", 1), args, results, NULL),
                     WEIR_TRAP_NONE);
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(results[i], args[999 - i]);
    harness_free(h);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fast at its limits");
    TCase *tcase = tcase_create("limits");
    tcase_add_test(tcase, test_many_locals);
    tcase_add_test(tcase, test_unused_locals);
    tcase_add_test(tcase, test_many_pending_locals);
    tcase_add_test(tcase, test_deep_blocks);
    tcase_add_test(tcase, test_large_br_table);
    tcase_add_test(tcase, test_deepest_stack);
    tcase_add_test(tcase, test_frame_beyond_the_stack);
    tcase_add_test(tcase, test_most_params_and_results);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
