/* The n-th charge, and the n-th allocation of the C library, fails, for every n: NULL or a trap,
 * with a reason, and nothing is left behind. The linker hands the library's allocations to this
 * file first (--wrap), as vectors and types belong to the embedder and are not charged. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "tests/capi/capi_kinds.h"
#include "tests/capi/capi_path.h"
#include "tests/run_suite.h"

#define STEPS_MAX 5000
/* A trap without its places or with the store's own message, references looked through later. */
#define UNNOTICED_MAX 8

static long fail_at; /* 0: none */
static long counted, alive;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *memory);

static bool fails(void)
{
    return ++counted == fail_at;
}

static void *noted(void *memory)
{
    alive += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : noted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : noted(__real_calloc(count, size));
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : noted(__real_aligned_alloc(align, size));
}

void __wrap_free(void *memory)
{
    alive -= memory != NULL;
    __real_free(memory);
}

static char folder[] = "/tmp/weir-capi-sweep.XXXXXX";
static struct capi_path path;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path.artifact_dir = folder;
    for (int i = 0; i < 2; i++)
        ck_assert_msg(capi_path_run(&path), "%s", weir_wasm_error()->message);
}

static void teardown(void)
{
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* What it left allocated is added up; libcheck's own is not of interest. */
static bool run(long *kept)
{
    long before = alive;
    bool is_done = capi_path_run(&path);
    *kept += alive - before;
    return is_done;
}

/* Arms the n-th; how many there were. */
static long run_charges(long n, bool *ret_is_done, long *kept)
{
    (void)weir_ledger_fail_nth((uint64_t)n);
    *ret_is_done = run(kept);
    return (long)weir_ledger_fail_nth(0);
}

static long run_mallocs(long n, bool *ret_is_done, long *kept)
{
    counted = 0;
    fail_at = n;
    *ret_is_done = run(kept);
    fail_at = 0;
    return counted;
}

static long (*const runs[])(long n, bool *ret_is_done, long *kept) = {run_charges, run_mallocs};

START_TEST(fails_cleanly)
{
    struct weir_account_reading before;
    weir_account_read(weir_account_host(), &before);
    long n = 1;
    int unnoticed = 0;
    for (; n < STEPS_MAX; n++) {
        bool is_done = false;
        long kept = 0;
        if (runs[_i](n, &is_done, &kept) < n) {
            ck_assert(is_done);
            break;
        }
        unnoticed += is_done;
        ck_assert_msg(is_done || weir_wasm_error()->message[0] != '\0', "step %ld: no reason", n);
        ck_assert_msg(run(&kept), "after step %ld: %s", n, weir_wasm_error()->message);
        capi_kinds_expect(&before);
        ck_assert_msg(kept == 0, "step %ld: %ld allocations more", n, kept);
    }
    (void)printf("%ld steps, %d unnoticed\n", n, unnoticed);
    ck_assert_int_gt(n, 50);
    ck_assert_int_lt(n, STEPS_MAX);
    ck_assert_int_le(unnoticed, UNNOTICED_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation failures of the C API");
    TCase *tests = tcase_create("paths");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, fails_cleanly, 0, (int)(sizeof runs / sizeof runs[0]));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
