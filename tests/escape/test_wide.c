/* Functions with 1000 parameters and 1000 results: each arrives where it belongs, and recursion
 * with them ends in a trap. */
#include "tests/run_suite.h"
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>

#define WIDE 1000u

struct bytes {
    uint8_t at[65536];
    size_t size;
};

static void put(struct bytes *to, unsigned byte)
{
    ck_assert_uint_lt(to->size, sizeof to->at);
    to->at[to->size++] = (uint8_t)byte;
}

static void put_all(struct bytes *to, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(to, (uint8_t)bytes[i]);
}
#define PUT(to, literal) put_all((to), (literal), sizeof(literal) - 1)

/* Three bytes: the same in LEB128 with and without sign. */
static void put_number(struct bytes *to, size_t value)
{
    put(to, (unsigned)(value & 0x7f) | 0x80);
    put(to, (unsigned)(value >> 7 & 0x7f) | 0x80);
    put(to, (unsigned)(value >> 14));
}

static void put_part(struct bytes *to, const struct bytes *part)
{
    put_number(to, part->size);
    put_all(to, (const char *)part->at, part->size);
}

static void put_type(struct bytes *types)
{
    put(types, 0x60);
    for (int side = 0; side < 2; side++) {
        put_number(types, WIDE);
        for (unsigned i = 0; i < WIDE; i++)
            put(types, 0x7e);
    }
}

/* 0: its parameters in reverse; 1: calls itself; 2: hashes what 0 makes of 0 … 999. */
static void put_bodies(struct bytes *code)
{
    static struct bytes body;
    put(code, 3);
    for (unsigned which = 0; which < 3; which++) {
        body.size = 0;
        if (which == 2)
            PUT(&body, "\1\2\x7e");
        else
            put(&body, 0);
        for (unsigned i = 0; i < WIDE; i++) {
            put(&body, which == 2 ? 0x42 : 0x20);
            put_number(&body, which == 0 ? WIDE - 1 - i : i);
        }
        if (which > 0) {
            put(&body, 0x10);
            put(&body, which == 1 ? 1 : 0);
        }
        for (unsigned i = 0; which == 2 && i < WIDE; i++)
            PUT(&body, "\x21\0\x20\1\x42\x1f\x7e\x20\0\x7c\x21\1");
        if (which == 2)
            PUT(&body, "\x20\1");
        put(&body, 0x0b);
        put_part(code, &body);
    }
}

static void make_module(struct bytes *module)
{
    static struct bytes section;
    module->size = 0;
    PUT(module, "\0asm\1\0\0\0");
    put(&section, 2);
    put_type(&section);
    PUT(&section, "\x60\0\1\x7e");
    put(module, 1);
    put_part(module, &section);
    PUT(module, "\3\4\3\0\0\1");
    PUT(module, "\7\x0f\2\7forever\0\1\1f\0\2");
    section.size = 0;
    put_bodies(&section);
    put(module, 10);
    put_part(module, &section);
}

START_TEST(passes_a_thousand_values)
{
    static struct bytes bytes;
    static struct weir_trap trap;
    static union weir_value values[WIDE];
    static union weir_value results[WIDE];
    struct weir_engine_config config = {.bounds = (enum weir_bounds)_i};
    make_module(&bytes);
    struct weir_engine *engine = fixture_engine(&config);
    struct weir_module *module = fixture_module(engine, &config, bytes.at, bytes.size);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    uint64_t expected = 0;
    for (uint64_t i = 0; i < WIDE; i++)
        expected = expected * 31 + i;
    for (int round = 0; round < 3; round++) {
        ck_assert_uint_eq((uint64_t)CALL_OK(instance, "f"), expected);
        struct weir_error error = {0};
        ck_assert_int_eq(weir_func_call(store, fixture_func(instance, "forever"), values, results,
                                        &trap, &error),
                         WEIR_TRAP);
        ck_assert_int_eq(trap.code, WEIR_TRAP_STACK_EXHAUSTED);
        weir_trap_done(&trap);
    }
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wide");
    TCase *tests = tcase_create("functions");
    tcase_add_loop_test(tests, passes_a_thousand_values, WEIR_BOUNDS_GUARD,
                        WEIR_BOUNDS_NO_SIGNALS + 1);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
