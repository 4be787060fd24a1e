/* From module to artifact and back: tables, image, names, links, determinism, refusals. The stub
 * generator stands in for a real one, so that what is checked here is everything but code. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "artifact/cpu.h"
#include "artifact/writer.h"
#include "base/bytes.h"
#include "compiler/compiler.h"

#include "empty_wasm.h"
#include "folded_wasm.h"
#include "imported_wasm.h"
#include "leak_wasm.h"
#include "outside_wasm.h"
#include "overlap_wasm.h"
#include "own_wasm.h"
#include "prefix_wasm.h"
#include "sparse_wasm.h"
#include "tests/run_suite.h"

static const struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
} modules[] = {
    {"empty", empty_wasm, sizeof empty_wasm},
    {"folded", folded_wasm, sizeof folded_wasm},
    {"imported", imported_wasm, sizeof imported_wasm},
    {"leak", leak_wasm, sizeof leak_wasm},
    {"outside", outside_wasm, sizeof outside_wasm},
    {"overlap", overlap_wasm, sizeof overlap_wasm},
    {"own", own_wasm, sizeof own_wasm},
    {"prefix", prefix_wasm, sizeof prefix_wasm},
    {"sparse", sparse_wasm, sizeof sparse_wasm},
};
#define MODULE_COUNT (int)(sizeof modules / sizeof modules[0])

struct compiled {
    uint8_t *bytes;
    size_t size;
    struct weir_artifact artifact;
};

static struct weir_compile_request request_for(const unsigned char *bytes, size_t size)
{
    return (struct weir_compile_request){
        .module = bytes,
        .module_bytes = size,
        .options = {.features = WEIR_FEATURES_DEFAULT, .generator = "fast"},
    };
}

static struct compiled compile(const unsigned char *bytes, size_t size)
{
    struct compiled made = {0};
    struct weir_error error = {0};
    struct weir_compile_request request = request_for(bytes, size);
    enum weir_status status = weir_compile(&request, &made.bytes, &made.size, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    status = weir_artifact_open(made.bytes, made.size, made.size, &made.artifact, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return made;
}

static bool string_is(const struct weir_artifact *artifact, struct weir_artifact_string string,
                      const char *text)
{
    return string.size == strlen(text) &&
           memcmp(artifact->strings + string.start, text, string.size) == 0;
}

START_TEST(test_same_bytes_twice)
{
    struct compiled first = compile(modules[_i].bytes, modules[_i].size);
    struct compiled second = compile(modules[_i].bytes, modules[_i].size);
    ck_assert_uint_eq(first.size, second.size);
    ck_assert_mem_eq(first.bytes, second.bytes, first.size);

    int fd = memfd_create("artifact", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    struct weir_compile_request request = request_for(modules[_i].bytes, modules[_i].size);
    uint64_t written = 0;
    ck_assert_int_eq(weir_compile_to(&request, fd, &written, NULL), WEIR_OK);
    ck_assert_uint_eq(written, first.size);
    uint8_t *bytes = mmap(NULL, first.size, PROT_READ, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);
    ck_assert_mem_eq(bytes, first.bytes, first.size);
    (void)munmap(bytes, first.size);
    (void)close(fd);
    free(first.bytes);
    free(second.bytes);
}
END_TEST

START_TEST(test_tables_of_own)
{
    struct compiled made = compile(own_wasm, sizeof own_wasm);
    const struct weir_artifact *artifact = &made.artifact;
    const struct weir_artifact_head *head = artifact->head;
    ck_assert_uint_eq(head->func_import_count, 1);
    ck_assert_uint_eq(head->global_import_count, 1);
    ck_assert_uint_eq(head->funcs.count, 6);
    ck_assert_uint_eq(head->globals.count, 7);
    ck_assert_uint_eq(head->start_func, 1);
    ck_assert_uint_eq(head->module_bytes, sizeof own_wasm);
    ck_assert_uint_eq(head->cpu_features, weir_cpu_baseline);
    ck_assert_uint_eq(head->exports.count, 4);
    ck_assert(string_is(artifact, artifact->imports[0].module, "env"));
    ck_assert(string_is(artifact, artifact->imports[0].name, "log"));
    ck_assert(string_is(artifact, artifact->exports[3].name, "add"));
    ck_assert_uint_eq(artifact->exports[3].index, 2);
    ck_assert_uint_eq(artifact->memories[0].min, 2);
    ck_assert_uint_eq(artifact->memories[0].max, 4);
    ck_assert_uint_eq(artifact->tables[0].max, UINT64_MAX);
    /* Escaping: log and add in elements, hidden in a global, start declared; not private, drop. */
    const uint32_t none = WEIR_ARTIFACT_NONE;
    const uint32_t escapes[6] = {0, 1, 2, 3, none, none};
    for (int i = 0; i < 6; i++)
        ck_assert_uint_eq(artifact->funcs[i].escape_index, escapes[i]);
    ck_assert_uint_eq(head->escape_count, 4);
    free(made.bytes);
}
END_TEST

START_TEST(test_values_of_own)
{
    struct compiled made = compile(own_wasm, sizeof own_wasm);
    const struct weir_artifact *artifact = &made.artifact;
    const struct weir_artifact_global *globals = artifact->globals;
    const struct weir_artifact_init *inits = artifact->inits;
    ck_assert_uint_eq(inits[globals[1].init.first].bits, 42);
    ck_assert_uint_eq(inits[globals[2].init.first].bits, UINT64_C(0xbfe0000000000000));
    ck_assert_uint_eq(inits[globals[3].init.first].bits, (uint64_t)-7);
    ck_assert_uint_eq(globals[3].is_mutable, 1);
    ck_assert_uint_eq(inits[globals[4].init.first].op, WEIR_INIT_GLOBAL_GET);
    ck_assert_uint_eq(inits[globals[5].init.first].op, WEIR_INIT_REF_NULL);
    ck_assert_uint_eq(inits[globals[6].init.first].op, WEIR_INIT_REF_FUNC);
    ck_assert_uint_eq(inits[globals[6].init.first].index, 3);
    const struct weir_artifact_elem *elems = artifact->elems;
    ck_assert_uint_eq(elems[0].mode, WEIR_SEGMENT_ACTIVE);
    ck_assert_uint_eq(elems[0].count, 2);
    ck_assert_uint_eq(artifact->elem_items[elems[0].first].index, 2);
    ck_assert_uint_eq(elems[1].mode, WEIR_SEGMENT_PASSIVE);
    ck_assert_uint_eq(artifact->elem_items[elems[1].first + 1].op, WEIR_INIT_REF_NULL);
    ck_assert_uint_eq(elems[2].mode, WEIR_SEGMENT_DECLARATIVE);
    const struct weir_artifact_data *datas = artifact->datas;
    ck_assert_uint_eq(datas[0].in_image, 1);
    ck_assert_uint_eq(datas[1].in_image, 1);
    ck_assert_uint_eq(datas[2].in_image, 0);
    ck_assert_uint_eq(datas[2].size, strlen("only when asked"));
    ck_assert_mem_eq(artifact->data + datas[2].bytes, "only when asked", datas[2].size);
    free(made.bytes);
}
END_TEST

/* Code of function i as the stub makes it: linked to its constant, with both sites at one place. */
START_TEST(test_code_of_own)
{
    struct compiled made = compile(own_wasm, sizeof own_wasm);
    const struct weir_artifact *artifact = &made.artifact;
    const char *names[] = {"log", "start", "add", "hidden", "private", "drop"};
    for (uint32_t i = 0; i < 6; i++) {
        const struct weir_artifact_string *name = &artifact->func_names[i];
        ck_assert_uint_eq(name->size, strlen(names[i]));
        ck_assert_mem_eq(artifact->strings + name->start, names[i], name->size);
    }
    for (uint32_t i = 1; i < 6; i++) {
        uint32_t start = artifact->funcs[i].text_offset;
        const uint8_t *field = artifact->text + start + 7;
        const uint8_t *target = field + 4 + (int32_t)weir_load_u32(field);
        ck_assert_ptr_eq(target, artifact->rodata + 8 * (i - 1));
        ck_assert_uint_eq(weir_load_u64(target), i);
        const struct weir_trap_site *sites = &artifact->trap_sites[artifact->funcs[i].first_site];
        ck_assert_uint_eq(artifact->funcs[i].site_count, 2);
        ck_assert_uint_eq(sites[0].text_offset, start + 11);
        ck_assert_uint_eq(sites[1].text_offset, start + 11);
        ck_assert_uint_eq(sites[0].site >> 24, WEIR_SITE_CALL);
        ck_assert_uint_eq(sites[1].site >> 24, WEIR_TRAP_UNREACHABLE);
    }
    free(made.bytes);
}
END_TEST

/* Memory 0 as the artifact prepares it: image and rest of zeros. */
static uint8_t *prepared_memory(const struct compiled *made, size_t size)
{
    const struct weir_artifact_head *head = made->artifact.head;
    uint8_t *memory = calloc(1, size);
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_le(head->image_memory_offset + head->image.count, size);
    memcpy(memory + head->image_memory_offset, made->bytes + head->image.offset, head->image.count);
    return memory;
}

START_TEST(test_image_of_own)
{
    struct compiled made = compile(own_wasm, sizeof own_wasm);
    uint8_t *memory = prepared_memory(&made, 2 * WEIR_WASM_PAGE_BYTES);
    ck_assert_mem_eq(memory + 15, "\0hello\0", 7);
    ck_assert_mem_eq(memory + 65529, "\0across a page\0", 15);
    ck_assert_uint_eq(made.artifact.head->image.count, 17 * WEIR_ARTIFACT_PAGE);
    free(memory);
    free(made.bytes);
}
END_TEST

START_TEST(test_image_order)
{
    struct compiled made = compile(overlap_wasm, sizeof overlap_wasm);
    uint8_t *memory = prepared_memory(&made, WEIR_WASM_PAGE_BYTES);
    ck_assert_mem_eq(memory + 100, "aab\0baaa\0", 9);
    ck_assert_mem_eq(memory + 8190, "xyz\0", 4);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(made.artifact.datas[i].in_image, 1);
    free(memory);
    free(made.bytes);
}
END_TEST

static const struct {
    const unsigned char *bytes;
    size_t size;
    const char *in_image; /* '1' per segment that is in the image */
    uint32_t image_pages;
} images[] = {
    {imported_wasm, sizeof imported_wasm, "00", 0}, {prefix_wasm, sizeof prefix_wasm, "1000", 1},
    {outside_wasm, sizeof outside_wasm, "100", 1},  {leak_wasm, sizeof leak_wasm, "0", 0},
    {sparse_wasm, sizeof sparse_wasm, "00", 0},     {empty_wasm, sizeof empty_wasm, "", 0},
    {folded_wasm, sizeof folded_wasm, "1", 1},
};

START_TEST(test_image_choice)
{
    struct compiled made = compile(images[_i].bytes, images[_i].size);
    const struct weir_artifact *artifact = &made.artifact;
    ck_assert_uint_eq(artifact->head->datas.count, strlen(images[_i].in_image));
    for (uint32_t i = 0; i < artifact->head->datas.count; i++)
        ck_assert_uint_eq(artifact->datas[i].in_image, images[_i].in_image[i] == '1');
    ck_assert_uint_eq(artifact->head->image.count, images[_i].image_pages * WEIR_ARTIFACT_PAGE);
    free(made.bytes);
}
END_TEST

START_TEST(test_folding)
{
    struct compiled made = compile(folded_wasm, sizeof folded_wasm);
    const struct weir_artifact_global *globals = made.artifact.globals;
    const struct weir_artifact_init *inits = made.artifact.inits;
    ck_assert_uint_eq(globals[1].init.count, 1);
    ck_assert_uint_eq(inits[globals[1].init.first].bits, (uint32_t)-8);
    ck_assert_uint_eq(globals[2].init.count, 1);
    ck_assert_uint_eq(inits[globals[2].init.first].bits, UINT64_C(0x8000000000000001));
    ck_assert_uint_eq(globals[3].init.count, 3);
    ck_assert_uint_eq(inits[globals[3].init.first + 1].bits, 12);
    free(made.bytes);
}
END_TEST

/* Everything that is not in the file for good reason: cut anywhere, it is refused. */
START_TEST(test_every_truncation)
{
    struct compiled made = compile(own_wasm, sizeof own_wasm);
    const struct weir_artifact_head *head = made.artifact.head;
    size_t needed = head->text.offset + (size_t)head->text.count;
    for (size_t size = 0; size < made.size; size++) {
        struct weir_artifact artifact;
        enum weir_status status = weir_artifact_open(made.bytes, size, size, &artifact, NULL);
        ck_assert_msg(status == WEIR_CORRUPT, "%zu of %zu bytes: %d", size, made.size, status);
    }
    struct weir_artifact artifact;
    ck_assert_int_eq(weir_artifact_open(made.bytes, needed, made.size, &artifact, NULL), WEIR_OK);
    ck_assert_int_eq(weir_artifact_open(made.bytes, needed - 1, made.size, &artifact, NULL),
                     WEIR_CORRUPT);
    free(made.bytes);
}
END_TEST

START_TEST(test_foreign)
{
    struct compiled made = compile(own_wasm, sizeof own_wasm);
    static const struct {
        size_t offset;
        const char *what;
    } fields[] = {
        {offsetof(struct weir_artifact_head, version), "version"},
        {offsetof(struct weir_artifact_head, abi_version), "ABI"},
        {offsetof(struct weir_artifact_head, build_id), "build"},
        {offsetof(struct weir_artifact_head, cpu_features) + 7, "bit 56"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct weir_artifact artifact;
        struct weir_error error = {0};
        made.bytes[WEIR_ARTIFACT_HEAD_OFFSET + fields[i].offset] ^= 1;
        ck_assert_int_eq(weir_artifact_open(made.bytes, made.size, made.size, &artifact, &error),
                         WEIR_FOREIGN);
        ck_assert_msg(strstr(error.message, fields[i].what) != NULL, "%s", error.message);
        made.bytes[WEIR_ARTIFACT_HEAD_OFFSET + fields[i].offset] ^= 1;
    }
    free(made.bytes);
}
END_TEST

START_TEST(test_refused_modules)
{
    static const unsigned char garbage[] = "this is no module";
    struct weir_compile_request request = request_for(garbage, sizeof garbage);
    struct weir_error error = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    ck_assert_int_eq(weir_compile(&request, &bytes, &size, &error), WEIR_MALFORMED);
    ck_assert_uint_eq(error.offset, 0);
    ck_assert_ptr_null(bytes);

    static const struct {
        struct weir_artifact_options options;
        enum weir_status status;
    } bad[] = {
        {{.generator = "speed"}, WEIR_UNSUPPORTED},
        {{.generator = ""}, WEIR_UNSUPPORTED},
        {{.generator = "fast", .flags = 64}, WEIR_INVALID_ARGUMENT},
        {{.generator = "fast", .features = 1u << 31}, WEIR_INVALID_ARGUMENT},
        {{.generator = "fast", .cpu_features = UINT64_C(1) << 50}, WEIR_INVALID_ARGUMENT},
        {{.generator = "fast", .fuel_costs = {.points = 1}}, WEIR_INVALID_ARGUMENT},
        {{.generator = "fast", .has_fuel_costs = 1}, WEIR_INVALID_ARGUMENT},
        {{.generator = "fast",
          .flags = WEIR_ARTIFACT_FUEL,
          .has_fuel_costs = 1,
          .fuel_costs = {.points = 2}},
         WEIR_INVALID_ARGUMENT},
        {{.generator = "fast",
          .flags = WEIR_ARTIFACT_FUEL,
          .has_fuel_costs = 1,
          .fuel_costs = {.class_costs = {WEIR_FUEL_COST_MAX + 1}}},
         WEIR_INVALID_ARGUMENT},
        {{.generator = "fast",
          .flags = WEIR_ARTIFACT_FUEL,
          .has_fuel_costs = 1,
          .fuel_costs = {.per_more_local = WEIR_FUEL_LOCAL_COST_MAX + 1}},
         WEIR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request = request_for(own_wasm, sizeof own_wasm);
        request.options = bad[i].options;
        ck_assert_int_eq(weir_compile(&request, &bytes, &size, NULL), bad[i].status);
    }
}
END_TEST

START_TEST(test_arena_limit)
{
    struct weir_compile_request request = request_for(own_wasm, sizeof own_wasm);
    uint8_t *bytes = NULL;
    size_t size = 0;
    request.arena_bytes_max = 1;
    ck_assert_int_eq(weir_compile(&request, &bytes, &size, NULL), WEIR_NO_MEMORY);
    /* Whatever the budget, it is kept or the compilation works. */
    bool has_worked = false;
    for (request.arena_bytes_max = 1024; request.arena_bytes_max < (1u << 20);
         request.arena_bytes_max += 4096) {
        enum weir_status status = weir_compile(&request, &bytes, &size, NULL);
        ck_assert(status == WEIR_NO_MEMORY || status == WEIR_OK);
        ck_assert(!has_worked || status == WEIR_OK);
        has_worked = has_worked || status == WEIR_OK;
        if (status == WEIR_OK)
            free(bytes);
    }
    ck_assert(has_worked);
}
END_TEST

START_TEST(test_link_refusals)
{
    uint8_t text[16] = {0};
    const struct weir_link_symbol symbols[] = {
        {"memcpy", WEIR_LINK_UNDEFINED, 0},
        {".text", WEIR_LINK_TEXT, 8},
        {".rodata", WEIR_LINK_RODATA, 5},
        {".rodata", WEIR_LINK_RODATA, 4},
    };
    static const struct {
        struct weir_link_reloc reloc;
        enum weir_status status;
    } cases[] = {
        {{0, 0, 0}, WEIR_LINK},
        {{4, 1, -4}, WEIR_OK},
        {{13, 1, -4}, WEIR_INVALID_ARGUMENT},
        {{0, 2, 0}, WEIR_INVALID_ARGUMENT},
        {{0, 3, 0}, WEIR_OK},
        {{0, 3, INT64_MAX}, WEIR_TOO_LARGE},
        {{0, 3, INT32_MIN}, WEIR_TOO_LARGE},
        {{0, 4, 0}, WEIR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct weir_link_input input = {symbols, 4, &cases[i].reloc, 1};
        struct weir_error error = {0};
        ck_assert_int_eq(weir_artifact_link(text, sizeof text, 4, -64, &input, &error),
                         cases[i].status);
        if (cases[i].status == WEIR_LINK)
            ck_assert_ptr_nonnull(strstr(error.message, "memcpy"));
    }
    ck_assert_int_eq((int32_t)weir_load_u32(text + 4), 8 - 4 - 4);
    ck_assert_int_eq((int32_t)weir_load_u32(text), -64 + 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compile");
    TCase *tables = tcase_create("tables");
    tcase_add_loop_test(tables, test_same_bytes_twice, 0, MODULE_COUNT);
    tcase_add_test(tables, test_tables_of_own);
    tcase_add_test(tables, test_values_of_own);
    tcase_add_test(tables, test_code_of_own);
    tcase_add_test(tables, test_folding);
    suite_add_tcase(suite, tables);
    TCase *image = tcase_create("image");
    tcase_add_test(image, test_image_of_own);
    tcase_add_test(image, test_image_order);
    tcase_add_loop_test(image, test_image_choice, 0, (int)(sizeof images / sizeof images[0]));
    suite_add_tcase(suite, image);
    TCase *refusals = tcase_create("refusals");
    tcase_add_test(refusals, test_every_truncation);
    tcase_add_test(refusals, test_foreign);
    tcase_add_test(refusals, test_refused_modules);
    tcase_add_test(refusals, test_arena_limit);
    tcase_add_test(refusals, test_link_refusals);
    suite_add_tcase(suite, refusals);
    return run_suite(suite);
}
