/* One compilation: decode, validate, generate, write. Memory is one arena with a budget, the
 * generator's buffers and the image; everything is gone when the call returns. */
#include "compiler/compiler.h"

#include <stdlib.h>
#include <string.h>

#include "artifact/build_id.h"
#include "artifact/cpu.h"
#include "base/cleanup.h"
#include "compiler/compiler_internal.h"
#include "compiler/compiler_limits.h"

#define OPTION_FLAGS                                                                               \
    (WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_FUEL | WEIR_ARTIFACT_POLL |                     \
     WEIR_ARTIFACT_CANONICAL_NANS | WEIR_ARTIFACT_NO_SIGNALS)

WEIR_AUTO_DEFINE(weir_arena, weir_arena_free)

static void *budget_take(void *context, size_t bytes, struct weir_error *error)
{
    struct weir_arena_budget *budget = context;
    void *memory = bytes <= budget->left_bytes ? calloc(1, bytes) : NULL;
    if (memory == NULL) {
        (void)weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                             "the compiler's tables need more than %zu bytes", budget->limit_bytes);
        return NULL;
    }
    budget->left_bytes -= bytes;
    return memory;
}

static void budget_give(void *context, void *memory, size_t bytes)
{
    struct weir_arena_budget *budget = context;
    budget->left_bytes += bytes;
    free(memory);
}

enum weir_status weir__compile_no_memory(const struct weir_compilation *compilation,
                                         struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                          "the compiler's tables need more than %zu bytes for a module of %zu",
                          compilation->budget.limit_bytes, compilation->request->module_bytes);
}

static enum weir_status check_fuel(const struct weir_artifact_options *options,
                                   struct weir_error *error)
{
    const struct weir_fuel_costs *costs = &options->fuel_costs;
    if (options->has_fuel_costs == 0) {
        static const struct weir_fuel_costs none;
        if (memcmp(costs, &none, sizeof none) == 0)
            return WEIR_OK;
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "fuel costs are given but not switched on");
    }
    if (options->has_fuel_costs != 1 || (options->flags & WEIR_ARTIFACT_FUEL) == 0 ||
        costs->points > WEIR_FUEL_BEFORE_ACCOUNTING)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "fuel costs need fuel and a known kind of charge points (%u)",
                              costs->points);
    uint32_t highest = 0;
    for (size_t i = 0; i < WEIR_FUEL_CLASS_COUNT; i++)
        highest = costs->class_costs[i] > highest ? costs->class_costs[i] : highest;
    if (highest > WEIR_FUEL_COST_MAX || costs->per_more_local > WEIR_FUEL_LOCAL_COST_MAX)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "fuel costs are at most %u per instruction and %u per local, "
                              "not %u and %u",
                              WEIR_FUEL_COST_MAX, WEIR_FUEL_LOCAL_COST_MAX, highest,
                              costs->per_more_local);
    return WEIR_OK;
}

static enum weir_status check_options(const struct weir_artifact_options *options,
                                      struct weir_error *error)
{
    static const char fast[sizeof options->generator] = "fast";
    if (memcmp(options->generator, fast, sizeof fast) != 0)
        return weir_error_set(error, WEIR_UNSUPPORTED, WEIR_NO_OFFSET,
                              "this build has the generator \"fast\" and no other");
    if ((options->flags & ~OPTION_FLAGS) != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "unknown compiler flags 0x%x", options->flags & ~OPTION_FLAGS);
    if ((options->flags & WEIR_ARTIFACT_NO_SIGNALS) != 0 &&
        (options->flags & WEIR_ARTIFACT_EXPLICIT_BOUNDS) == 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "code without signals needs explicit bounds");
    if ((options->cpu_features & ~weir_cpu_all) != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "unknown processor features 0x%llx",
                              (unsigned long long)(options->cpu_features & ~weir_cpu_all));
    uint32_t known = 0;
#define WEIR_FEATURE(bit, id, name, on) known |= WEIR_FEATURE_##id;
#include <weir/features.def>
#undef WEIR_FEATURE
    if ((options->features & ~known) != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "unknown WebAssembly features 0x%x", options->features & ~known);
    return check_fuel(options, error);
}

/* A scratch arena of its own for the validator, gone before code is made. */
static enum weir_status validate(struct weir_compilation *compilation, struct weir_error *error)
{
    const struct weir_arena_source source = {budget_take, budget_give, &compilation->budget};
    AUTO(weir_arena) *scratch = NULL;
    enum weir_status status = weir_arena_new(&source, 0, &scratch, error);
    if (status != WEIR_OK)
        return status;
    return weir_wasm_validate(compilation->module, scratch, error);
}

static enum weir_status generate(struct weir_compilation *compilation, struct weir_error *error)
{
    const struct weir_compile_request *request = compilation->request;
    const struct weir_code_options options = {
        .flags = request->options.flags,
        .cpu_features = request->options.cpu_features | weir_cpu_baseline,
        .fuel_costs = request->options.has_fuel_costs != 0 ? &request->options.fuel_costs : NULL,
        .progress = request->progress,
        .progress_context = request->progress_context,
    };
    return weir_fast_generate(compilation->module, compilation->escape_index, &options,
                              &compilation->code, error);
}

static enum weir_status fill_head(struct weir_compilation *compilation, struct weir_error *error)
{
    const struct weir_compile_request *request = compilation->request;
    const struct weir_wasm_module *module = compilation->module;
    struct weir_artifact_head *head = &compilation->content.head;
    struct weir_hash module_hash, key;
    enum weir_status status =
        weir_hash_bytes(request->module, request->module_bytes, &module_hash, error);
    if (status == WEIR_OK)
        status = weir_artifact_key(&module_hash, &request->options, &key, error);
    if (status != WEIR_OK)
        return status;
    memcpy(head->module_sha256, module_hash.bytes, sizeof head->module_sha256);
    memcpy(head->key, key.bytes, sizeof head->key);
    memcpy(head->generator, request->options.generator, sizeof head->generator);
    memcpy(head->build_id, weir_build_id, sizeof head->build_id);
    head->cpu_features = request->options.cpu_features | weir_cpu_baseline;
    head->module_bytes = request->module_bytes;
    head->features = request->options.features;
    head->features_needed = module->features_needed;
    head->options = request->options.flags;
    head->has_fuel_costs = request->options.has_fuel_costs;
    head->fuel_costs = request->options.fuel_costs;
    head->func_import_count = module->func_import_count;
    head->table_import_count = module->table_import_count;
    head->memory_import_count = module->memory_import_count;
    head->global_import_count = module->global_import_count;
    head->start_func = module->start_func;
    head->escape_count = compilation->escape_count;
    return WEIR_OK;
}

/* The generator's fix-ups as relocations against two symbols: the starts of the sections. */
static enum weir_status fill_code(struct weir_compilation *compilation, struct weir_error *error)
{
    static const struct weir_link_symbol sections[] = {
        [WEIR_CODE_TEXT] = {".text", WEIR_LINK_TEXT, 0},
        [WEIR_CODE_RODATA] = {".rodata", WEIR_LINK_RODATA, 0},
    };
    const struct weir_code *code = &compilation->code;
    struct weir_link_reloc *relocs =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_link_reloc, code->fixup_count);
    if (relocs == NULL)
        return weir__compile_no_memory(compilation, error);
    for (size_t i = 0; i < code->fixup_count; i++) {
        const struct weir_code_fixup *fixup = &code->fixups[i];
        relocs[i] = (struct weir_link_reloc){fixup->at, fixup->target,
                                             (int64_t)fixup->target_offset + fixup->addend};
    }
    struct weir_artifact_content *content = &compilation->content;
    content->text = code->text;
    content->text_size = code->text_size;
    content->rodata = code->rodata;
    content->rodata_size = code->rodata_size;
    content->link = (struct weir_link_input){sections, 2, relocs, code->fixup_count};
    return WEIR_OK;
}

static enum weir_status run(struct weir_compilation *compilation, struct weir_error *error)
{
    const struct weir_compile_request *request = compilation->request;
    enum weir_status status = check_options(&request->options, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_arena_source source = {budget_take, budget_give, &compilation->budget};
    if ((status = weir_arena_new(&source, 0, &compilation->arena, error)) != WEIR_OK ||
        (status = weir_wasm_decode((struct weir_wasm_bytes){request->module, request->module_bytes},
                                   request->options.features, request->limits, compilation->arena,
                                   &compilation->module, error)) != WEIR_OK ||
        (status = validate(compilation, error)) != WEIR_OK ||
        (status = weir__compile_escapes(compilation, error)) != WEIR_OK ||
        (status = generate(compilation, error)) != WEIR_OK ||
        (status = weir__compile_tables(compilation, error)) != WEIR_OK ||
        (status = weir__compile_funcs(compilation, error)) != WEIR_OK ||
        (status = weir__compile_segments(compilation, error)) != WEIR_OK ||
        (status = fill_code(compilation, error)) != WEIR_OK ||
        (status = fill_head(compilation, error)) != WEIR_OK)
        return status;
    return weir_artifact_layout(&compilation->content, compilation->arena, &compilation->layout,
                                error);
}

static void compilation_begin(const struct weir_compile_request *request,
                              struct weir_compilation *compilation)
{
    size_t limit = request->arena_bytes_max;
    if (limit == 0)
        limit = (size_t)weir_compile_memory_default(request->module_bytes);
    *compilation = (struct weir_compilation){
        .request = request,
        .budget = {.left_bytes = limit, .limit_bytes = limit},
    };
}

static void compilation_done(struct weir_compilation *compilation)
{
    weir_code_done(&compilation->code);
    free(compilation->image_bytes);
    weir_arena_free(compilation->arena);
}

static enum weir_status copy_out(const struct weir_compilation *compilation, uint8_t **ret_bytes,
                                 size_t *ret_size, struct weir_error *error)
{
    size_t size = (size_t)compilation->layout.file_bytes;
    uint8_t *bytes = calloc(1, size);
    if (bytes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for an artifact of %zu bytes", size);
    weir_artifact_copy(&compilation->layout, bytes);
    *ret_bytes = bytes;
    *ret_size = size;
    return WEIR_OK;
}

enum weir_status weir_compile(const struct weir_compile_request *request, uint8_t **ret_bytes,
                              size_t *ret_size, struct weir_error *error)
{
    struct weir_compilation compilation;
    compilation_begin(request, &compilation);
    enum weir_status status = run(&compilation, error);
    if (status == WEIR_OK)
        status = copy_out(&compilation, ret_bytes, ret_size, error);
    compilation_done(&compilation);
    return status;
}

enum weir_status weir_compile_to(const struct weir_compile_request *request, int fd,
                                 uint64_t *ret_bytes, struct weir_error *error)
{
    struct weir_compilation compilation;
    compilation_begin(request, &compilation);
    enum weir_status status = run(&compilation, error);
    if (status == WEIR_OK)
        status = weir_artifact_write(&compilation.layout, fd, error);
    if (status == WEIR_OK)
        *ret_bytes = compilation.layout.file_bytes;
    compilation_done(&compilation);
    return status;
}
