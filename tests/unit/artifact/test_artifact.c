/* The reader against every bit of an artifact turned round, and the parts that need no artifact:
 * keys and processor features. The artifacts come from real modules (test_compile has the rest). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "artifact/cpu.h"
#include "artifact_walk.h"
#include "base/bytes.h"
#include "compiler/compiler.h"

#include "parts_wasm.h"
#include "tests/run_suite.h"

static uint8_t *make_artifact(size_t *ret_size)
{
    const struct weir_compile_request request = {
        .module = parts_wasm,
        .module_bytes = sizeof parts_wasm,
        .options = {.features = WEIR_FEATURES_DEFAULT, .generator = "fast"},
    };
    uint8_t *bytes = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_compile(&request, &bytes, ret_size, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return bytes;
}

/* Every bit of everything in front of .text: the reader refuses, or what it accepts holds. */
START_TEST(test_every_bit)
{
    size_t size;
    uint8_t *bytes = make_artifact(&size);
    struct weir_artifact artifact;
    ck_assert_int_eq(weir_artifact_open(bytes, size, size, &artifact, NULL), WEIR_OK);
    size_t end = artifact.head->text.offset;
    int refused = 0, accepted = 0;
    for (size_t at = 0; at < end; at++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            struct weir_error error = {0};
            enum weir_status status = weir_artifact_open(bytes, size, size, &artifact, &error);
            if (status == WEIR_OK) {
                (void)walk_artifact(&artifact, bytes);
                accepted++;
            } else {
                ck_assert(status == WEIR_CORRUPT || status == WEIR_FOREIGN);
                ck_assert_str_ne(error.message, "");
                refused++;
            }
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    ck_assert_int_gt(refused, 3000);
    ck_assert_int_gt(accepted, 1000); /* names, constants, padding */
    free(bytes);
}
END_TEST

/* Every 32-bit field of the head and of the tables set to what breaks things. */
START_TEST(test_every_field)
{
    static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
    size_t size;
    uint8_t *bytes = make_artifact(&size);
    struct weir_artifact artifact;
    ck_assert_int_eq(weir_artifact_open(bytes, size, size, &artifact, NULL), WEIR_OK);
    size_t end = artifact.head->text.offset;
    for (size_t at = WEIR_ARTIFACT_HEAD_OFFSET; at + 4 <= end; at += 4) {
        uint32_t old = weir_load_u32(bytes + at);
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            weir_store_u32(bytes + at, values[i]);
            if (weir_artifact_open(bytes, size, size, &artifact, NULL) == WEIR_OK)
                (void)walk_artifact(&artifact, bytes);
        }
        weir_store_u32(bytes + at, old);
    }
    ck_assert_int_eq(weir_artifact_open(bytes, size, size, &artifact, NULL), WEIR_OK);
    free(bytes);
}
END_TEST

/* The short way in gives the same views, and still minds head, origin and ranges. */
START_TEST(test_known)
{
    size_t size;
    uint8_t *bytes = make_artifact(&size);
    struct weir_artifact full = {0}, known = {0};
    ck_assert_int_eq(weir_artifact_open(bytes, size, size, &full, NULL), WEIR_OK);
    ck_assert_int_eq(weir_artifact_open_known(bytes, size, size, &known, NULL), WEIR_OK);
    ck_assert_mem_eq(&full, &known, sizeof full);
    for (size_t cut = 0; cut < size; cut++)
        ck_assert_int_eq(weir_artifact_open_known(bytes, cut, cut, &known, NULL), WEIR_CORRUPT);
    struct weir_artifact_head *head = (void *)(bytes + WEIR_ARTIFACT_HEAD_OFFSET);
    head->build_id[0] ^= 1;
    ck_assert_int_eq(weir_artifact_open_known(bytes, size, size, &known, NULL), WEIR_FOREIGN);
    free(bytes);
}
END_TEST

static struct weir_hash key_of(const struct weir_artifact_options *options, uint8_t module_byte)
{
    struct weir_hash module_hash = {{module_byte}}, key;
    ck_assert_int_eq(weir_artifact_key(&module_hash, options, &key, NULL), WEIR_OK);
    return key;
}

START_TEST(test_key_covers_everything)
{
    const struct weir_artifact_options base = {.generator = "fast"};
    struct weir_hash first = key_of(&base, 1), again = key_of(&base, 1);
    ck_assert(weir_hash_equal(&first, &again));
    struct weir_artifact_options others[] = {base, base, base, base, base, base};
    others[0].features = 1;
    others[1].flags = WEIR_ARTIFACT_FUEL;
    others[2].cpu_features = WEIR_CPU_AVX2;
    others[3].generator[0] = 's';
    others[4].has_fuel_costs = 1;
    others[5].fuel_costs.per_more_local = 1;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct weir_hash other = key_of(&others[i], 1);
        ck_assert(!weir_hash_equal(&first, &other));
    }
    struct weir_hash other = key_of(&base, 2);
    ck_assert(!weir_hash_equal(&first, &other));
}
END_TEST

START_TEST(test_cpu_names)
{
    char buffer[256];
    ck_assert_str_eq(weir_cpu_names(0, buffer, sizeof buffer), "");
    ck_assert_str_eq(weir_cpu_names(WEIR_CPU_BMI1 | WEIR_CPU_SSE4_2, buffer, sizeof buffer),
                     "sse4.2 bmi1");
    ck_assert_str_eq(weir_cpu_names(UINT64_C(1) << 40, buffer, sizeof buffer), "bit 40");
    ck_assert_str_eq(weir_cpu_names(weir_cpu_all, buffer, 10), "cx16 lahf");
    ck_assert_uint_eq(weir_cpu_named("avx2"), WEIR_CPU_AVX2);
    ck_assert_uint_eq(weir_cpu_named("avx3"), 0);
    ck_assert_uint_eq(weir_cpu_host() & weir_cpu_baseline, weir_cpu_baseline);
    ck_assert_uint_eq(weir_cpu_host() & ~weir_cpu_all, 0);
    /* The compiler's own view of the same machine. */
    ck_assert_int_eq((weir_cpu_host() & WEIR_CPU_AVX2) != 0, __builtin_cpu_supports("avx2") != 0);
    ck_assert_int_eq((weir_cpu_host() & WEIR_CPU_BMI2) != 0, __builtin_cpu_supports("bmi2") != 0);
    ck_assert_int_eq((weir_cpu_host() & WEIR_CPU_FMA) != 0, __builtin_cpu_supports("fma") != 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("artifact");
    TCase *reader = tcase_create("reader");
    tcase_add_test(reader, test_every_bit);
    tcase_add_test(reader, test_every_field);
    tcase_add_test(reader, test_known);
    suite_add_tcase(suite, reader);
    TCase *rest = tcase_create("rest");
    tcase_add_test(rest, test_key_covers_everything);
    tcase_add_test(rest, test_cpu_names);
    suite_add_tcase(suite, rest);
    return run_suite(suite);
}
