/* Runs the functions of functions.ll, as one LLVM compiled them, the way docs/ABI.md says that
 * generated code is entered, left and interrupted. After every call the preserved registers and rsp
 * must be what they were; at every trap the chain of frame pointers must lead back to the entry. */
#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "artifact/abi.h"
#include "tests/run_suite.h"

/* What abi_enter loads and stores (enter_abi.S knows the offsets). */
struct abi_regs {
    const void *vmctx;
    uint64_t ints[WEIR_ABI_INT_ARGS]; /* afterwards [0] is rax */
    union weir_value floats[WEIR_ABI_FLOAT_ARGS];
    uint64_t preserved[6]; /* rbx rbp r12 r13 r14 r15 */
    uint64_t sp_moved;
};
static_assert(offsetof(struct abi_regs, floats) == 0x30, "enter_abi.S");
static_assert(offsetof(struct abi_regs, preserved) == 0xb0, "enter_abi.S");
static_assert(offsetof(struct abi_regs, sp_moved) == 0xe0, "enter_abi.S");

int abi_enter(const void *code, struct abi_regs *regs);
extern const char abi_enter_start[];
void abi_poll(void);
extern const char abi_landing[], abi_enter_end[];
extern uint32_t abi_poll_count;

#define ABI_FUNCTIONS(X)                                                                           \
    X(many_params)                                                                                 \
    X(many_results)                                                                                \
    X(float_result)                                                                                \
    X(tail_wide)                                                                                   \
    X(tail_narrow)                                                                                 \
    X(tail_ping)                                                                                   \
    X(indirect)                                                                                    \
    X(tail_indirect)                                                                               \
    X(host_call)                                                                                   \
    X(guarded)                                                                                     \
    X(checked)                                                                                     \
    X(recurse)
#define ABI_DECLARE(name) extern const char name[];
ABI_FUNCTIONS(ABI_DECLARE)

#define PAGE_SIZE UINT64_C(65536)
#define GARBAGE UINT64_C(0xdead0bad0dead0ba)

/* One instance in one store: a page of memory, a table of three, one imported function. */
static struct weir_vm_state state;
static struct weir_vm_memory memory;
static struct weir_vm_memory *memories[] = {&memory};
static struct weir_funcref good_record, mistyped_record;
static void *elements[] = {&good_record, NULL, &mistyped_record};
static struct weir_vm_table table = {elements, 3, 0, 0};
static struct weir_vm_table *tables[] = {&table};
static const uint32_t type_ids[] = {77};
/* ISO C has no conversion from a function to a data pointer; the ABI needs one. */
static const void *code_of(void (*function)(void))
{
    const void *code;
    memcpy(&code, &function, sizeof code);
    return code;
}
#define CODE_OF(function) code_of((void (*)(void))(function))

static const void *builtins[WEIR_BUILTIN_COUNT];
static struct {
    struct weir_vmctx vmctx;
    struct weir_vm_import import;
} instance;
static_assert(offsetof(struct weir_vm_state, args[10]) == 288, "functions.ll");
static_assert(offsetof(struct weir_vm_state, results[1]) == 16144, "functions.ll");
static_assert(WEIR_ABI_VMCTX_IMPORT(0) == 128, "functions.ll");

static struct {
    int signal;
    bool is_ud2;
    int frame_count; /* frames of generated code on the chain; -1 when it leads elsewhere */
} trap;

static uint64_t host_function(struct weir_vmctx *vmctx, uint64_t value)
{
    vmctx->state->results[1].f64 = 1000.0;
    vmctx->state->results[2].i64 = value == 99 ? -1 : 100;
    /* As hard on its caller as the convention allows. */
    __asm__ volatile("pcmpeqd %%xmm7, %%xmm7\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d" ::
                         : "xmm7", "r8", "r9", "rcx", "rdx", "rsi", "rdi", "r10", "r11");
    return value * 2;
}

static uint64_t memory_grow(struct weir_vmctx *vmctx, uint64_t index, uint64_t pages)
{
    ck_assert_ptr_eq(vmctx, &instance.vmctx);
    ck_assert_uint_eq(index, 0);
    return pages > 100 ? UINT32_MAX : memory.size_bytes / PAGE_SIZE;
}

/* Walks rbp as a backtrace would. The entry sets rbp to 0 and calls from between its labels. */
static int count_frames(uint64_t fp)
{
    for (int count = 1; count < 100 && fp != 0; count++) {
        uint64_t caller = ((const uint64_t *)fp)[0];
        uint64_t pc = ((const uint64_t *)fp)[1];
        bool is_entry = pc > (uint64_t)abi_enter_start && pc < (uint64_t)abi_enter_end;
        if (is_entry)
            return caller == 0 ? count : -1;
        fp = caller;
    }
    return -1;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)info;
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    trap.signal = number;
    trap.is_ud2 = memcmp((const void *)regs[REG_RIP], "\x0f\x0b", 2) == 0;
    trap.frame_count = count_frames((uint64_t)regs[REG_RBP]);
    regs[REG_RIP] = (greg_t)abi_landing;
}

static void setup(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    ck_assert_int_eq(sigaction(SIGILL, &action, NULL), 0);
    ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
    memory.base = mmap(NULL, WEIR_ABI_GUARD_SPACE + WEIR_ABI_GUARD_BYTES, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(memory.base, MAP_FAILED);
    ck_assert_int_eq(mprotect(memory.base, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
    memory.size_bytes = PAGE_SIZE;
    builtins[WEIR_BUILTIN_POLL] = CODE_OF(abi_poll);
    builtins[WEIR_BUILTIN_MEMORY_GROW] = CODE_OF(memory_grow);
    struct weir_vmctx vmctx = {.state = &state,
                               .memory0_base = memory.base,
                               .memory0 = &memory,
                               .builtins = builtins,
                               .type_ids = type_ids,
                               .memories = memories,
                               .tables = tables};
    memcpy(&instance.vmctx, &vmctx, sizeof vmctx);
    instance.import.code = CODE_OF(host_function);
    instance.import.vmctx = &instance.vmctx;
    good_record = (struct weir_funcref){many_results, &instance.vmctx, 77, 0, NULL};
    mistyped_record = (struct weir_funcref){many_results, &instance.vmctx, 78, 0, NULL};
    memset(&state.args, 0xa5, sizeof state.args + sizeof state.results);
}

static void teardown(void)
{
    ck_assert_int_eq(munmap(memory.base, WEIR_ABI_GUARD_SPACE + WEIR_ABI_GUARD_BYTES), 0);
}

/* Registers that no parameter uses hold garbage; rbp is 0 so that the frame chain has an end. */
static struct abi_regs fresh_regs(void)
{
    struct abi_regs regs = {.vmctx = &instance.vmctx};
    for (size_t i = 0; i < WEIR_ABI_INT_ARGS; i++)
        regs.ints[i] = GARBAGE;
    memset(regs.floats, 0xff, sizeof regs.floats);
    for (uint64_t i = 0; i < 6; i++)
        regs.preserved[i] = i == 1 ? 0 : GARBAGE + i;
    return regs;
}

static uint64_t call(const char *code, struct abi_regs *regs)
{
    ck_assert_msg(abi_enter(code, regs) == 0, "trapped with signal %d", trap.signal);
    ck_assert_uint_eq(regs->sp_moved, 0);
    for (uint64_t i = 0; i < 6; i++)
        ck_assert_msg(regs->preserved[i] == (i == 1 ? 0 : GARBAGE + i), "register %d is lost",
                      (int)i);
    return regs->ints[0];
}

static void call_trapping(const char *code, struct abi_regs *regs, int signal, int frame_count)
{
    memset(&trap, 0, sizeof trap);
    ck_assert_int_eq(abi_enter(code, regs), 1);
    ck_assert_int_eq(trap.signal, signal);
    ck_assert_int_eq(trap.is_ud2, signal == SIGILL);
    ck_assert_int_eq(trap.frame_count, frame_count);
}

static struct abi_regs with_ints(uint64_t first, uint64_t second)
{
    struct abi_regs regs = fresh_regs();
    regs.ints[0] = first;
    regs.ints[1] = second;
    return regs;
}

/* Parameter i of many_params is base + i * step. */
static struct abi_regs twenty(uint64_t base, uint64_t step)
{
    struct abi_regs regs = fresh_regs();
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t value = base + i * step;
        if (i % 2 == 0 && i / 2 < WEIR_ABI_INT_ARGS)
            regs.ints[i / 2] = value;
        else if (i % 2 == 0)
            state.args[i].i64 = (int64_t)value;
        else if (i / 2 < WEIR_ABI_FLOAT_ARGS)
            regs.floats[i / 2].f64 = (double)value;
        else
            state.args[i].f64 = (double)value;
    }
    return regs;
}

START_TEST(params_in_registers_and_slots)
{
    struct abi_regs regs = twenty(1, 1);
    ck_assert_uint_eq(call(many_params, &regs), 2870);
    regs = twenty(0, 0);
    call_trapping(many_params, &regs, SIGILL, 1);
}
END_TEST

static void check_five_results(uint64_t value)
{
    ck_assert_double_eq(state.results[1].f64, (double)value);
    ck_assert_int_eq(state.results[2].i64, (int64_t)value);
    ck_assert_float_eq(state.results[3].f32, (float)value);
    ck_assert_mem_eq(&state.results[4], ((uint64_t[]){7, value}), 16);
}

START_TEST(results_in_memory)
{
    struct abi_regs regs = with_ints(5, GARBAGE);
    ck_assert_uint_eq(call(many_results, &regs), 6);
    check_five_results(5);
    regs = with_ints(UINT64_MAX, GARBAGE);
    call_trapping(many_results, &regs, SIGILL, 1);
}
END_TEST

START_TEST(result_in_xmm0)
{
    struct abi_regs regs = fresh_regs();
    regs.floats[0].f32 = 1.25f;
    (void)call(float_result, &regs);
    ck_assert_float_eq(regs.floats[0].f32, 2.5f);
    regs.floats[0].f32 = __builtin_nanf("");
    call_trapping(float_result, &regs, SIGILL, 1);
}
END_TEST

START_TEST(tail_call_to_more_parameters)
{
    struct abi_regs regs = with_ints(3, GARBAGE);
    ck_assert_uint_eq(call(tail_wide, &regs), 630);
    regs = with_ints(13, GARBAGE);
    call_trapping(tail_wide, &regs, SIGILL, 1);
    /* This one traps in the callee, which stands in its caller's place: one frame again. */
    regs = with_ints(0, GARBAGE);
    call_trapping(tail_wide, &regs, SIGILL, 1);
}
END_TEST

START_TEST(tail_call_to_fewer_parameters)
{
    struct abi_regs regs = fresh_regs();
    for (uint64_t i = 0; i < 8; i++) {
        if (i < WEIR_ABI_INT_ARGS)
            regs.ints[i] = i + 1;
        else
            state.args[i].i64 = (int64_t)i + 1;
    }
    ck_assert_uint_eq(call(tail_narrow, &regs), 37);
    check_five_results(36);
    regs = with_ints(13, 0);
    call_trapping(tail_narrow, &regs, SIGILL, 1);
}
END_TEST

/* Were the stack to grow by one word a round, this would need 80 MB of it. */
START_TEST(tail_calls_in_constant_stack)
{
    struct abi_regs regs = with_ints(10000000, GARBAGE);
    state.args[5].i64 = 0;
    ck_assert_uint_eq(call(tail_ping, &regs), 10000000);
    regs = with_ints(1, GARBAGE);
    state.args[5].i64 = -1;
    call_trapping(tail_ping, &regs, SIGILL, 1);
}
END_TEST

START_TEST(indirect_calls)
{
    struct abi_regs regs = with_ints(5, 0);
    ck_assert_uint_eq(call(indirect, &regs), 7);
    regs = with_ints(5, 0);
    ck_assert_uint_eq(call(tail_indirect, &regs), 6);
    const char *functions[] = {indirect, tail_indirect};
    for (int i = 0; i < 2; i++) {
        for (uint64_t index = 1; index <= 3; index++) { /* null, another type, outside */
            regs = with_ints(5, index);
            call_trapping(functions[i], &regs, SIGILL, 1);
        }
        regs = with_ints(UINT64_MAX, 0); /* the callee traps: under a frame, or in its place */
        call_trapping(functions[i], &regs, SIGILL, i == 0 ? 2 : 1);
    }
}
END_TEST

START_TEST(calls_of_imports)
{
    struct abi_regs regs = with_ints(5, 1);
    regs.ints[2] = 2;
    regs.ints[3] = 3;
    regs.ints[4] = 4;
    regs.floats[7].f64 = 50000.0;
    ck_assert_uint_eq(call(host_call, &regs), 10 + 1000 + 100 + 1 + 2 + 3 + 4 + 50000);
    regs = with_ints(99, 0);
    regs.floats[7].f64 = 0.0;
    call_trapping(host_call, &regs, SIGILL, 1);
}
END_TEST

START_TEST(memory_accesses)
{
    const char *functions[] = {guarded, checked};
    for (int i = 0; i < 2; i++) {
        uint64_t last = PAGE_SIZE - 16;
        struct abi_regs regs = with_ints(last, GARBAGE);
        uint64_t old = call(functions[i], &regs);
        regs = with_ints(last, GARBAGE);
        ck_assert_uint_eq(call(functions[i], &regs), old + 1);
        for (uint64_t address = last + 1; address < UINT32_MAX; address = address * 3 + 1) {
            regs = with_ints(address, GARBAGE);
            call_trapping(functions[i], &regs, i == 0 ? SIGSEGV : SIGILL, 1);
        }
        regs = with_ints(UINT32_MAX, GARBAGE);
        call_trapping(functions[i], &regs, i == 0 ? SIGSEGV : SIGILL, 1);
    }
}
END_TEST

START_TEST(stack_check_polls_and_builtins)
{
    struct abi_regs regs = with_ints(10, 1);
    ck_assert_uint_eq(call(recurse, &regs), 55 + 1);
    ck_assert_uint_eq(abi_poll_count, 0);
    state.stack_limit = UINT64_MAX;
    regs = with_ints(10, 1);
    ck_assert_uint_eq(call(recurse, &regs), 55 + 1);
    ck_assert_uint_eq(abi_poll_count, 11);
    state.interrupt = 1;
    regs = with_ints(10, 1);
    ck_assert_uint_eq(call(recurse, &regs), 55 + 1);
    ck_assert_uint_eq(abi_poll_count, 11 + 33);
    regs = with_ints(10, 101);
    call_trapping(recurse, &regs, SIGILL, 11);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("abi");
    TCase *tcase = tcase_create("functions");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, params_in_registers_and_slots);
    tcase_add_test(tcase, results_in_memory);
    tcase_add_test(tcase, result_in_xmm0);
    tcase_add_test(tcase, tail_call_to_more_parameters);
    tcase_add_test(tcase, tail_call_to_fewer_parameters);
    tcase_add_test(tcase, tail_calls_in_constant_stack);
    tcase_add_test(tcase, indirect_calls);
    tcase_add_test(tcase, calls_of_imports);
    tcase_add_test(tcase, memory_accesses);
    tcase_add_test(tcase, stack_check_polls_and_builtins);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
