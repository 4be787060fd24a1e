/* Every load and store at every edge: each width, constant offsets up to 4 GiB, the index in a
 * register or known when compiling, before and after growth. The module is written here: one
 * function per instruction and offset. */
#include "tests/run_suite.h"
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(65536)

static const struct {
    uint8_t opcode;
    uint8_t type; /* of the value */
    uint8_t width;
} accesses[] = {
    {0x28, 0x7f, 4}, {0x29, 0x7e, 8}, {0x2a, 0x7d, 4}, {0x2b, 0x7c, 8}, {0x2c, 0x7f, 1},
    {0x2d, 0x7f, 1}, {0x2e, 0x7f, 2}, {0x2f, 0x7f, 2}, {0x30, 0x7e, 1}, {0x31, 0x7e, 1},
    {0x32, 0x7e, 2}, {0x33, 0x7e, 2}, {0x34, 0x7e, 4}, {0x35, 0x7e, 4}, {0x36, 0x7f, 4},
    {0x37, 0x7e, 8}, {0x38, 0x7d, 4}, {0x39, 0x7c, 8}, {0x3a, 0x7f, 1}, {0x3b, 0x7f, 2},
    {0x3c, 0x7e, 1}, {0x3d, 0x7e, 2}, {0x3e, 0x7e, 4},
};
#define FIRST_STORE 14u
#define ACCESS_COUNT (sizeof accesses / sizeof accesses[0])

static const uint32_t offsets[] = {
    0, 1, 4095, 65528, 65535, (32u << 20) - 16, (32u << 20) - 15, 32u << 20, 0xfffffff8, UINT32_MAX,
};
#define OFFSET_COUNT (sizeof offsets / sizeof offsets[0])

/* Indices that the second half of the functions has as constants. */
static const uint32_t constants[] = {0,     1,     65528,      65529,      65532,     65533,
                                     65534, 65535, 65536,      131064,     131072,    0x7fffffff,
                                     65527, 65531, 0x80000000, 0xfffffff8, UINT32_MAX};
#define CONSTANT_COUNT (sizeof constants / sizeof constants[0])

static struct {
    uint8_t bytes[1 << 20];
    size_t size;
} module_bytes, section;

static void put(unsigned byte)
{
    ck_assert_uint_lt(section.size, sizeof section.bytes);
    section.bytes[section.size++] = (uint8_t)byte;
}

static void put_u32(uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        put((value & 0x7f) | 0x80);
    put(value);
}

static void put_s32(int32_t value)
{
    for (; value < -64 || value > 63; value >>= 7)
        put(((unsigned)value & 0x7f) | 0x80);
    put((unsigned)value & 0x7f);
}

static void end_section(unsigned id)
{
    uint8_t *to = module_bytes.bytes + module_bytes.size;
    size_t at = 0;
    to[at++] = (uint8_t)id;
    for (size_t size = section.size, more = 1; more != 0; size >>= 7) {
        more = size >= 0x80;
        to[at++] = (uint8_t)((size & 0x7f) | (more ? 0x80 : 0));
    }
    memcpy(to + at, section.bytes, section.size);
    module_bytes.size += at + section.size;
    section.size = 0;
}

static uint32_t function_count(void)
{
    return ACCESS_COUNT * OFFSET_COUNT + ACCESS_COUNT * CONSTANT_COUNT;
}

static void put_value(unsigned type)
{
    put(type == 0x7f ? 0x41 : type == 0x7e ? 0x42 : type == 0x7d ? 0x43 : 0x44);
    if (type == 0x7f || type == 0x7e)
        put(0x7f); /* -1 */
    else
        for (unsigned i = 0; i < (type == 0x7d ? 4 : 8); i++)
            put(0xff);
}

/* A body: the access, its result dropped. */
static void put_access(uint32_t which, bool is_constant, uint32_t index, uint32_t offset)
{
    size_t length_at = section.size;
    put(0); /* the length, patched: bodies are short */
    put(0); /* no locals */
    if (is_constant) {
        put(0x41);
        put_s32((int32_t)index);
    } else {
        put(0x20);
        put(0);
    }
    if (which >= FIRST_STORE)
        put_value(accesses[which].type);
    put(accesses[which].opcode);
    put(0);
    put_u32(offset);
    if (which < FIRST_STORE)
        put(0x1a);
    put(0x0b);
    section.bytes[length_at] = (uint8_t)(section.size - length_at - 1);
}

static void put_exports(void)
{
    put_u32(function_count() + 1);
    for (uint32_t i = 0; i < function_count(); i++) {
        char name[8];
        int length = snprintf(name, sizeof name, "f%u", i);
        put((unsigned)length);
        for (int k = 0; k < length; k++)
            put((unsigned)name[k]);
        put(0);
        put_u32(i);
    }
    put(1);
    put('m');
    put(2);
    put(0);
    end_section(7);
}

static void make_module(void)
{
    memcpy(module_bytes.bytes, "\0asm\1\0\0", 8);
    module_bytes.size = 8;
    const uint8_t type[] = {1, 0x60, 1, 0x7f, 0};
    for (size_t i = 0; i < sizeof type; i++)
        put(type[i]);
    end_section(1);
    put_u32(function_count());
    for (uint32_t i = 0; i < function_count(); i++)
        put(0);
    end_section(3);
    put(1);
    put(1);
    put(1);
    put(4); /* 1 to 4 pages */
    end_section(5);
    put_exports();
    put_u32(function_count());
    for (uint32_t i = 0; i < ACCESS_COUNT; i++)
        for (uint32_t k = 0; k < OFFSET_COUNT; k++)
            put_access(i, false, 0, offsets[k]);
    for (uint32_t i = 0; i < ACCESS_COUNT; i++)
        for (uint32_t k = 0; k < CONSTANT_COUNT; k++)
            put_access(i, true, constants[k], 3);
    end_section(10);
}

static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_linker *linker;
static struct weir_store *store;
static struct weir_instance *instance;
static struct weir_memory *memory;

static void setup_with(enum weir_bounds bounds)
{
    struct weir_engine_config config = {.bounds = bounds};
    make_module();
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, module_bytes.bytes, module_bytes.size);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    store = fixture_store(engine);
    instance = fixture_instance(store, linker, module);
    memory = fixture_memory(instance, "m");
}

static void setup_guard(void)
{
    setup_with(WEIR_BOUNDS_GUARD);
}

static void setup_explicit(void)
{
    setup_with(WEIR_BOUNDS_EXPLICIT);
}

static void setup_no_signals(void)
{
    setup_with(WEIR_BOUNDS_NO_SIGNALS);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

/* The last 16 bytes of the memory, which a store that traps must not touch. */
static void expect_tail(uint8_t byte)
{
    uint8_t tail[16];
    ck_assert_int_eq(weir_memory_read(memory, weir_memory_bytes(memory) - 16, tail, 16), WEIR_OK);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_msg(tail[i] == byte, "byte %u of the tail was written", i);
}

static void clear_tail(void)
{
    static const uint8_t zeros[16];
    ck_assert_int_eq(weir_memory_write(memory, weir_memory_bytes(memory) - 16, zeros, 16), WEIR_OK);
}

static void expect_access(uint32_t func, uint32_t which, uint32_t index, uint64_t offset)
{
    static struct weir_trap trap;
    char name[8];
    (void)snprintf(name, sizeof name, "f%u", func);
    bool is_inside = index + offset + accesses[which].width <= weir_memory_bytes(memory);
    enum weir_status status =
        fixture_call(instance, name, (const int64_t[]){(int32_t)index}, 1, NULL, &trap);
    ck_assert_msg(status == (is_inside ? WEIR_OK : WEIR_TRAP), "opcode %x at %u + %llu: %s",
                  accesses[which].opcode, index, (unsigned long long)offset,
                  weir_status_name(status));
    if (!is_inside) {
        ck_assert_int_eq(trap.code, WEIR_TRAP_MEMORY_BOUNDS);
        ck_assert_uint_eq(trap.frame_count, 1);
        weir_trap_done(&trap);
        expect_tail(0);
    } else if (which >= FIRST_STORE) {
        clear_tail();
    }
}

static void try_around(uint32_t func, uint32_t which, uint32_t offset)
{
    uint64_t size = weir_memory_bytes(memory);
    for (int64_t near = -9; near <= 1; near++) {
        int64_t index = (int64_t)size + near - (int64_t)offset;
        if (index >= 0 && index <= UINT32_MAX)
            expect_access(func, which, (uint32_t)index, offset);
    }
    static const uint32_t indices[] = {0,          1,          65535,      0x7fffffff,
                                       0x80000000, 0xffff0000, 0xfffffff8, UINT32_MAX};
    for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++)
        expect_access(func, which, indices[i], offset);
}

static void try_all(void)
{
    clear_tail();
    for (uint32_t i = 0; i < ACCESS_COUNT; i++)
        for (uint32_t k = 0; k < OFFSET_COUNT; k++)
            try_around((uint32_t)(i * OFFSET_COUNT + k), i, offsets[k]);
    for (uint32_t i = 0; i < ACCESS_COUNT; i++)
        for (uint32_t k = 0; k < CONSTANT_COUNT; k++)
            expect_access((uint32_t)(ACCESS_COUNT * OFFSET_COUNT + i * CONSTANT_COUNT + k), i,
                          constants[k], 3);
}

START_TEST(ends_at_its_edge)
{
    try_all();
}
END_TEST

START_TEST(ends_at_the_new_edge)
{
    ck_assert_uint_eq(weir_memory_grow(memory, 1, NULL), 1);
    try_all();
    ck_assert_uint_eq(weir_memory_grow(memory, 2, NULL), 2);
    ck_assert_uint_eq(weir_memory_grow(memory, 1, NULL), UINT64_MAX);
    try_all();
    ck_assert_int_eq(weir_instance_reset(instance, NULL), WEIR_OK);
    ck_assert_uint_eq(weir_memory_bytes(memory), PAGE);
    try_all();
}
END_TEST

static void add_form(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, ends_at_its_edge);
    tcase_add_test(tests, ends_at_the_new_edge);
    suite_add_tcase(suite, tests);
}

int main(void)
{
    Suite *suite = suite_create("edges");
    add_form(suite, "guard", setup_guard);
    add_form(suite, "explicit", setup_explicit);
    add_form(suite, "no-signals", setup_no_signals);
    return run_suite(suite);
}
