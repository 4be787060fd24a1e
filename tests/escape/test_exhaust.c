/* Stacks end in a trap, however they are used up, and the store goes on; what a trap leaves behind
 * of the processor's state; traps through layers of host and guest. */
#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>

#include "exhaust_start_wasm.h"
#include "tests/escape/escape_guest.h"
#include "tests/run_suite.h"

static struct escape_guest guest;

static void setup_guard(void)
{
    escape_guest_init(&guest, NULL);
}

static const struct weir_engine_config explicit_config = {.bounds = WEIR_BOUNDS_EXPLICIT};
static const struct weir_engine_config no_signals_config = {.bounds = WEIR_BOUNDS_NO_SIGNALS};
static const struct weir_engine_config *config;

static void setup_explicit(void)
{
    config = &explicit_config;
    escape_guest_init(&guest, config);
}

static void setup_no_signals(void)
{
    config = &no_signals_config;
    escape_guest_init(&guest, config);
}

static void setup_small(void)
{
    escape_guest_init(&guest, &(struct weir_engine_config){.stack_bytes = 128 << 10});
}

static void teardown(void)
{
    escape_guest_done(&guest);
}

START_TEST(traps_on_recursion)
{
    static const char *const ways[] = {"direct", "mutual", "indirect"};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
            CALL_TRAPS(guest.instance, ways[i], WEIR_TRAP_STACK_EXHAUSTED, 0);
        ck_assert_int_eq(CALL_OK(guest.instance, "bounded", 500), 500);
    }
    ck_assert_int_gt(CALL_OK(guest.instance, "depth"), 1000);
}
END_TEST

START_TEST(does_not_grow_by_tail_calls)
{
    ck_assert_int_eq(CALL_OK(guest.instance, "tail", 2000000), 7);
    ck_assert_int_eq(CALL_OK(guest.instance, "tail_indirect", 2000000), 8);
}
END_TEST

START_TEST(traps_in_start)
{
    struct weir_module *module =
        fixture_module(guest.engine, config, exhaust_start_wasm, sizeof exhaust_start_wasm);
    static struct weir_trap trap;
    struct weir_error error = {0};
    struct weir_instance *instance = NULL;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(
            weir_instance_new(guest.store, guest.linker, module, &instance, &trap, &error),
            WEIR_TRAP);
        ck_assert_int_eq(trap.code, WEIR_TRAP_STACK_EXHAUSTED);
        ck_assert_uint_eq(trap.frame_count, WEIR_TRAP_FRAMES_MAX);
        weir_trap_done(&trap);
        weir_error_done(&error);
    }
    weir_module_unref(module);
    ck_assert_int_eq(CALL_OK(guest.instance, "bounded", 5), 5);
}
END_TEST

/* 20,000 values alive at once: a frame of 160 KB, made here as text would be long. */
static size_t make_huge(uint8_t *to)
{
    static const uint8_t head[] = {0, 'a',  's', 'm', 1, 0, 0, 0, 1, 5, 1,   0x60, 0,
                                   1, 0x7e, 3,   2,   1, 0, 7, 5, 1, 1, 'f', 0,    0};
    uint32_t count = 20000;
    uint8_t *body = to + sizeof head + 7 + 5;
    uint8_t *at = body;
    memcpy(to, head, sizeof head);
    static const uint8_t locals[] = {1, 0xa0, 0x9c, 1, 0x7e};
    memcpy(at, locals, sizeof locals);
    at += sizeof locals;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            *at++ = 0x42;
            *at++ = 0;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (pass == 0) {
                *at++ = 0x42;
                *at++ = 1;
            }
            *at++ = pass == 0 ? 0x21 : 0x20;
            *at++ = (uint8_t)((i & 0x7f) | 0x80);
            *at++ = (uint8_t)((i >> 7 & 0x7f) | 0x80);
            *at++ = (uint8_t)(i >> 14);
            if (pass == 1)
                *at++ = 0x7c;
        }
    }
    *at++ = 0x0b;
    size_t size = (size_t)(at - body);
    size_t section = size + 5 + 1;
    uint8_t *code = to + sizeof head;
    code[0] = 10;
    for (int i = 0; i < 5; i++) {
        code[1 + i] = (uint8_t)((section >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
        code[7 + i] = (uint8_t)((size >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
    }
    code[6] = 1;
    return (size_t)(at - to);
}

START_TEST(traps_on_huge_frames)
{
    static uint8_t bytes[1 << 20];
    size_t size = make_huge(bytes);
    if (_i == 0)
        setup_guard();
    else
        setup_small();
    struct weir_module *module = fixture_module(guest.engine, NULL, bytes, size);
    struct weir_instance *huge = fixture_instance(guest.store, guest.linker, module);
    if (_i == 0)
        ck_assert_int_eq(CALL_OK(huge, "f"), 20000);
    else
        CALL_TRAPS(huge, "f", WEIR_TRAP_STACK_EXHAUSTED);
    weir_module_unref(module);
    ck_assert_int_eq(CALL_OK(guest.instance, "bounded", 5), 5);
    teardown();
}
END_TEST

static int cleanups;

/* Each layer of host code runs to its end, whatever happened below. */
static enum weir_status nest(struct escape_guest *of, struct weir_caller *caller, int32_t argument,
                             int32_t *ret_result)
{
    static const char *const ends[] = {"load", "divide", "unreachable"};
    (void)of;
    int64_t result = 0;
    struct weir_trap *trap = calloc(1, sizeof *trap);
    ck_assert_ptr_nonnull(trap);
    const char *name = argument >= 10 ? "through_host" : ends[argument % 3];
    int64_t next = argument >= 10 ? argument - 3 : strcmp(name, "load") == 0 ? -4 : 0;
    enum weir_status status =
        fixture_call(weir_caller_instance(caller), name, &next, 1, &result, trap);
    ck_assert_int_eq(status, WEIR_TRAP);
    *ret_result = trap->code;
    int code = trap->code;
    weir_trap_done(trap);
    free(trap);
    cleanups++;
    return argument >= 10 && argument % 2 == 0
               ? WEIR_OK
               : weir_caller_trap(caller, code, "below %d", argument);
}

START_TEST(unwinds_layer_by_layer)
{
    static const int codes[] = {WEIR_TRAP_MEMORY_BOUNDS, WEIR_TRAP_DIVIDE_BY_ZERO,
                                WEIR_TRAP_UNREACHABLE};
    guest.host = nest;
    for (int argument = 0; argument < 3; argument++) {
        cleanups = 0;
        CALL_TRAPS(guest.instance, "through_host", codes[argument], argument);
        ck_assert_int_eq(cleanups, 1);
        CALL_TRAPS(guest.instance, "through_host", codes[argument], argument);
    }
    /* The outer layer answers what the inner one trapped with. */
    cleanups = 0;
    ck_assert_int_eq(CALL_OK(guest.instance, "through_host", 12), WEIR_TRAP_MEMORY_BOUNDS);
    ck_assert_int_eq(cleanups, 2);
    guest.host = NULL;
    ck_assert_int_eq(CALL_OK(guest.instance, "through_host", 3), 3);
}
END_TEST

static uint64_t flags(void)
{
    uint64_t value;
    __asm__ volatile("pushfq; popq %0" : "=r"(value));
    return value;
}

/* The host's rounding and its flags are the host's, whatever way the guest ended. */
START_TEST(restores_the_processor)
{
    unsigned before = _mm_getcsr();
    unsigned odd = (before & ~0x6000u) | 0x4000u; /* upwards */
    static const char *const ways[] = {"load", "divide", "unreachable", "direct"};
    _mm_setcsr(odd);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        static struct weir_trap trap;
        int64_t argument = i == 0 ? -4 : 0;
        ck_assert_int_eq(fixture_call(guest.instance, ways[i], &argument, 1, NULL, &trap),
                         WEIR_TRAP);
        ck_assert_uint_eq(_mm_getcsr() & 0xffc0u, odd & 0xffc0u);
        ck_assert_uint_eq(flags() & 0x400, 0); /* direction */
        weir_trap_done(&trap);
    }
    _mm_setcsr(before);
}
END_TEST

static void add_form(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, traps_on_recursion);
    tcase_add_test(tests, does_not_grow_by_tail_calls);
    tcase_add_test(tests, traps_in_start);
    tcase_add_test(tests, unwinds_layer_by_layer);
    tcase_add_test(tests, restores_the_processor);
    suite_add_tcase(suite, tests);
}

int main(void)
{
    Suite *suite = suite_create("exhaust");
    add_form(suite, "guard", setup_guard);
    add_form(suite, "explicit", setup_explicit);
    add_form(suite, "no-signals", setup_no_signals);
    TCase *frames = tcase_create("frames");
    tcase_add_loop_test(frames, traps_on_huge_frames, 0, 2);
    suite_add_tcase(suite, frames);
    return run_suite(suite);
}
