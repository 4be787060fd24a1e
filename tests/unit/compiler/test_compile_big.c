/* The whole compiler in its child: the same bytes as in-process for every option, progress, and
 * limits that a large module runs into. */
#include <check.h>
#include <sys/mman.h>

#include "artifact/cpu.h"
#include "base/poison.h"
#include "big_module.h"
#include "job_helpers.h"

#include "overlap_wasm.h"
#include "tests/run_suite.h"

static void expect_same(const uint8_t *module, size_t module_bytes,
                        const struct weir_artifact_options *options)
{
    const struct weir_compile_request request = {
        .module = module, .module_bytes = module_bytes, .options = *options};
    uint8_t *expected = NULL;
    size_t size = 0;
    struct weir_error error = {0};
    enum weir_status status = weir_compile(&request, &expected, &size, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    struct weir_compile_job job = {
        .module = module, .module_bytes = module_bytes, .options = *options};
    struct weir_compile_result result;
    status = weir_compile_job_run(NULL, &job, &result, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, result.fd, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);
    ck_assert_mem_eq(bytes, expected, size);
    (void)munmap(bytes, size);
    (void)close(result.fd);
    free(expected);
}

START_TEST(test_same_bytes)
{
    static const uint32_t flags[] = {
        0, WEIR_ARTIFACT_POLL, WEIR_ARTIFACT_FUEL, WEIR_ARTIFACT_EXPLICIT_BOUNDS,
        WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_FUEL | WEIR_ARTIFACT_POLL,
        WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_NO_SIGNALS};
    struct big_module big = make_big_module(50, 20);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct weir_artifact_options options = {
            .features = WEIR_FEATURES_DEFAULT, .flags = flags[i], .generator = "fast"};
        expect_same(own_wasm, sizeof own_wasm, &options);
        expect_same(overlap_wasm, sizeof overlap_wasm, &options);
        expect_same(big.bytes, big.size, &options);
        options.cpu_features = weir_cpu_host();
        expect_same(big.bytes, big.size, &options);
    }
    free(big.bytes);
}
END_TEST

static void count_progress(void *context, uint32_t done, uint32_t total)
{
    uint32_t *seen = context;
    ck_assert_uint_le(done, total);
    ck_assert_uint_eq(total, 20000);
    seen[0]++;
}

START_TEST(test_progress)
{
    struct big_module big = make_big_module(20000, 20);
    uint32_t seen = 0;
    struct weir_compile_job job = job_for(big.bytes, big.size);
    struct weir_compile_result result;
    struct weir_error error = {0};
    job.progress = count_progress;
    job.progress_context = &seen;
    enum weir_status status = weir_compile_job_run(NULL, &job, &result, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    if (result.compile_ms > 1000)
        ck_assert_uint_gt(seen, 0);
    (void)close(result.fd);
    free(big.bytes);
}
END_TEST

START_TEST(test_limits)
{
    struct big_module big = make_big_module(20000, 10);
    static const struct {
        struct weir_compile_limits limits;
        const char *words;
    } cases[] = {
        {{.memory_bytes = 1 << 20}, "needs more than its limit of 1.0 MiB"},
        {{.output_bytes = 1 << 20}, "larger than its limit of 1.0 MiB"},
        {{.cpu_ms = 5}, "5 ms of CPU time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_compile_job job = job_for(big.bytes, big.size);
        struct weir_compile_result result;
        struct weir_error error = {0};
        job.limits = cases[i].limits;
        ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_COMPILE);
        ck_assert_msg(strstr(error.message, cases[i].words) != NULL, "%s", error.message);
    }
    free(big.bytes);
}
END_TEST

/* DESIGN 7: at most 16 MiB + 8 × module. */
START_TEST(test_peak_memory)
{
    if (WEIR_ASAN || WEIR_TSAN) /* whose shadow counts */
        return;
    struct big_module big = make_big_module(20000, 20);
    struct weir_compile_job job = job_for(big.bytes, big.size);
    struct weir_compile_result result;
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, NULL), WEIR_OK);
    ck_assert_uint_le(result.peak_bytes, (16u << 20) + 8 * big.size);
    (void)close(result.fd);
    free(big.bytes);
}
END_TEST

int main(void)
{
    if (setenv("WEIR_COMPILE", WEIR_COMPILE_PROGRAM, 1) != 0)
        return 1;
    Suite *suite = suite_create("compile_big");
    TCase *all = tcase_create("all");
    tcase_add_test(all, test_same_bytes);
    tcase_add_test(all, test_progress);
    tcase_add_test(all, test_limits);
    tcase_add_test(all, test_peak_memory);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
