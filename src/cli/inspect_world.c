/* `weir inspect --for WORLD`: one module, held against the rules of a world. */
#include "cli/inspect_internal.h"

#include <string.h>

#include "wasm/findings.h"
#include "wasm/insn.h"
#include "worlds/canister/canister_check.h"
#include "worlds/contract/contract_check.h"
#include "worlds/contract/contract_limits.h"
#include "worlds/filter/filter_check.h"
#include "worlds/wasi/wasi_check.h"

#define WASMD_BYTES_MAX (800u << 10) /* MaxWasmSize, as wasmd is built */

typedef enum weir_status judge(struct weir_wasm_bytes bytes, struct weir_arena *arena,
                               struct weir__inspect_verdict *verdict, struct weir_error *error);

struct weir__inspect_world {
    const char *name;
    uint32_t features; /* what its code may use; 0: its check sees to that */
    judge *judge;
    bool takes_gzip;
};

/* --- kind and marker ------------------------------------------------------------------------- */

static const struct weir_wasm_export *export_like(const struct weir_wasm_module *module,
                                                  const char *prefix)
{
    for (uint32_t i = 0; i < module->export_count; i++)
        if (weir_wasm_bytes_start_with(module->exports[i].name, prefix))
            return &module->exports[i];
    return NULL;
}

static bool imports_from(const struct weir_wasm_module *module, const char *name)
{
    for (uint32_t i = 0; i < module->import_count; i++)
        if (weir_wasm_bytes_is(module->imports[i].module, name))
            return true;
    return false;
}

/* A plugin and a contract say what they are; the others are known by what they hold. */
static const struct {
    const char *export_prefix, *import_module, *kind;
    bool is_marked;
} kinds[] = {
    {"interface_version_", NULL, "CosmWasm contract", true},
    {"proxy_abi_version_", NULL, "proxy-wasm plugin", true},
    {"canister_", "ic0", "canister", false},
    {"_start", NULL, "command", false},
    {"_initialize", NULL, "reactor", false},
};

static const char *import_marker(const struct weir_wasm_module *module)
{
    static const char *const MODULES[] = {"ic0", "wasi_snapshot_preview1", "wasi_unstable"};
    for (size_t i = 0; i < sizeof MODULES / sizeof MODULES[0]; i++)
        if (imports_from(module, MODULES[i]))
            return MODULES[i];
    return NULL;
}

static void tell_kind(struct weir__inspect_verdict *verdict, struct weir_arena *arena)
{
    const struct weir_wasm_module *module = verdict->module;
    verdict->kind = "core library";
    verdict->marker = import_marker(module);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct weir_wasm_export *export = export_like(module, kinds[i].export_prefix);
        bool is_importing =
            kinds[i].import_module != NULL && imports_from(module, kinds[i].import_module);
        if (export == NULL && !is_importing)
            continue;
        verdict->kind = kinds[i].kind;
        if (kinds[i].is_marked) {
            const struct weir_wasm_shown shown = weir_wasm_show(export->name);
            verdict->marker = weir_arena_strndup(arena, shown.text, strlen(shown.text));
            verdict->findings.is_out_of_memory |= verdict->marker == NULL;
        }
        return;
    }
}

/* --- worlds ---------------------------------------------------------------------------------- */

static enum weir_status judge_wasi(struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                   struct weir__inspect_verdict *verdict, struct weir_error *error)
{
    (void)bytes;
    return weir_wasi_check(verdict->module, arena, &verdict->findings, error);
}

static enum weir_status judge_filter(struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                     struct weir__inspect_verdict *verdict,
                                     struct weir_error *error)
{
    (void)bytes;
    struct weir_filter_facts facts = {0};
    enum weir_status status = weir_filter_check(verdict->module, arena, &facts, error);
    if (status != WEIR_OK)
        return status;
    verdict->findings = facts.findings;
    verdict->envoy = facts.envoy;
    verdict->envoy_count = facts.envoy_count;
    return WEIR_OK;
}

static bool is_float(const struct weir_op_info *info)
{
    return strstr(info->name, "f32") != NULL || strstr(info->name, "f64") != NULL;
}

static bool is_simd(const struct weir_op_info *info)
{
    return info->feature == WEIR_FEATURE_SIMD;
}

/* The first defined function with such an instruction, or a local of type v128; NONE without. */
static uint32_t find_code(const struct weir_wasm_module *module,
                          bool (*is_it)(const struct weir_op_info *info), bool with_v128)
{
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        const struct weir_wasm_func *func = &module->funcs[i];
        const struct weir_wasm_func_type *type = &module->types[func->type_index];
        struct weir_insn_reader reader = {module, func->code_offset,
                                          func->body_offset + func->body_size};
        struct weir_insn insn;
        for (uint32_t k = 0; k < type->param_count && with_v128; k++)
            if (type->params[k] == WEIR_TYPE_V128)
                return i;
        for (uint32_t k = 0; k < func->local_group_count && with_v128; k++)
            if (func->local_groups[k].type == WEIR_TYPE_V128)
                return i;
        while (reader.position < reader.end && weir_insn_read(&reader, &insn, NULL) == WEIR_OK)
            if (is_it(&weir_op_infos[insn.op]))
                return i;
    }
    return WEIR_WASM_NONE;
}

static void foresee_contract(struct weir_wasm_findings *findings,
                             const struct weir_wasm_module *module,
                             const struct weir_contract_facts *facts, size_t size)
{
    if (size > WASMD_BYTES_MAX && size <= CONTRACT_WASM_MAX)
        weir_wasm_find(findings, false, "it has %zu KiB; most chains take %u KiB at most",
                       size >> 10, WASMD_BYTES_MAX >> 10);
    if (facts->memory_pages >= 64)
        weir_wasm_find(findings, false,
                       "memory begins with %u pages of the 512 that a call may have, in every call",
                       facts->memory_pages);
    if (find_code(module, is_float, false) != WEIR_WASM_NONE)
        weir_wasm_find(findings, false,
                       "it computes with floats: chains before CosmWasm 1.5 refuse them");
    if (module->start_func != WEIR_WASM_NONE)
        weir_wasm_find(findings, false, "a start section runs, and costs gas, in every call");
    if (facts->entries.count == 0)
        weir_wasm_find(findings, false, "it has no entry point: nothing of it can be called");
    if (facts->migrate_params == 0)
        weir_wasm_find(findings, false, "it exports no migrate: nothing can be migrated to it");
}

static enum weir_status judge_contract(struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                       struct weir__inspect_verdict *verdict,
                                       struct weir_error *error)
{
    static const struct weir_wasm_module none;
    struct weir_contract_facts facts = {0};
    struct weir_wasm_findings *findings = &verdict->findings;
    enum weir_status status = weir_contract_check(bytes, arena, &facts, error);
    if (status != WEIR_OK)
        return status;
    weir_wasm_findings_init(findings, verdict->module != NULL ? verdict->module : &none, arena);
    for (uint32_t i = 0; i < facts.refusals.count; i++)
        weir_wasm_find(findings, true, "%s", facts.refusals.items[i]);
    if (bytes.size > CONTRACT_WASM_MAX)
        weir_wasm_find(findings, true, "it has %zu bytes; at most %llu are stored", bytes.size,
                       (unsigned long long)CONTRACT_WASM_MAX);
    findings->left_out += facts.refusals_left_out;
    /* Unknown names are some of the imports, in their order. */
    uint32_t count = verdict->module != NULL ? facts.imports.count : 0;
    for (uint32_t i = 0, next = 0; i < count && next < facts.unknown.count; i++) {
        if (facts.imports.items[i] != facts.unknown.items[next])
            continue;
        weir_wasm_find_missing(findings, i, NULL);
        next++;
    }
    if (facts.is_wasm && verdict->module != NULL)
        foresee_contract(findings, verdict->module, &facts, bytes.size);
    return WEIR_OK;
}

/* As an offer to a module with pointers of this width; `room` holds the parameters. */
static struct weir_wasm_signature ic0_signature(const struct weir_ic0_function *function,
                                                bool is_64,
                                                char room[WEIR_WASM_SIGNATURE_PARAMS_MAX + 1])
{
    size_t count = strlen(function->params);
    for (size_t i = 0; i < count; i++)
        room[i] = weir_ic0_type(function->params[i], is_64) == WEIR_TYPE_I64 ? 'I' : 'i';
    room[count] = 0;
    char result = weir_ic0_type(function->result, is_64) == WEIR_TYPE_I64 ? 'I' : 'i';
    return (struct weir_wasm_signature){function->name, room,
                                        function->result == '-' ? (char)0 : result};
}

static void check_ic0(struct weir_wasm_findings *findings, const struct weir_wasm_module *module,
                      uint32_t import, bool is_64)
{
    for (size_t i = 0; i < WEIR_IC0_COUNT; i++) {
        if (!weir_wasm_bytes_is(module->imports[import].module, "ic0") ||
            !weir_wasm_bytes_is(module->imports[import].name, weir_ic0_functions[i].name))
            continue;
        char room[WEIR_WASM_SIGNATURE_PARAMS_MAX + 1];
        const struct weir_wasm_signature offer = ic0_signature(&weir_ic0_functions[i], is_64, room);
        weir_wasm_check_import(findings, module, import, &offer);
        return;
    }
    weir_wasm_find_missing(findings, import, NULL);
}

static enum weir_status judge_canister(struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                       struct weir__inspect_verdict *verdict,
                                       struct weir_error *error)
{
    (void)bytes;
    struct weir_canister_facts facts = {0};
    struct weir_wasm_findings *findings = &verdict->findings;
    enum weir_status status = weir_canister_check(verdict->module, arena, &facts, error);
    if (status != WEIR_OK)
        return status;
    weir_wasm_findings_init(findings, verdict->module, arena);
    for (uint32_t i = 0; i < verdict->module->import_count; i++)
        check_ic0(findings, verdict->module, i, facts.is_64);
    for (size_t i = 0; i < facts.finding_count; i++) {
        const struct weir_canister_finding *finding = &facts.findings[i];
        if (strncmp(finding->text, "import ", 7) != 0) /* told above */
            weir_wasm_find(findings, finding->is_fatal, "%s", finding->text);
    }
    if (verdict->module->start_func != WEIR_WASM_NONE)
        weir_wasm_find(findings, false,
                       "a start section runs at install and upgrade: of ic0 it may call only "
                       "stable64_*, performance_counter, is_controller, in_replicated_execution, "
                       "cost_call, debug_print and trap");
    return WEIR_OK;
}

static const struct weir__inspect_world worlds[] = {
    {"wasi", WEIR_FEATURES_DEFAULT, judge_wasi, false},
    {"envoy", WEIR_FEATURES_DEFAULT, judge_filter, false},
    {"wasmd", 0, judge_contract, false},
    {"ic", WEIR_CANISTER_FEATURES, judge_canister, true},
};
#define WORLD_COUNT (sizeof worlds / sizeof worlds[0])

const char *weir__inspect_world_name(const struct weir__inspect_world *world)
{
    return world->name;
}

const struct weir__inspect_world *weir__inspect_world_find(const char *name,
                                                           struct weir_error *error)
{
    for (size_t i = 0; i < WORLD_COUNT; i++)
        if (strcmp(worlds[i].name, name) == 0)
            return &worlds[i];
    (void)weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                         "--for %.40s: the worlds are wasi, envoy, wasmd and ic", name);
    return NULL;
}

/* --- verdict --------------------------------------------------------------------------------- */

static bool is_out_of_memory(enum weir_status status)
{
    return status == WEIR_NO_MEMORY || status == WEIR_LIMIT;
}

static void refuse_for(struct weir_wasm_findings *findings, const struct weir_error *problem)
{
    weir_wasm_find(findings, true, "%s (byte %llu)", problem->message,
                   (unsigned long long)problem->offset);
}

/* OK, what is wrong with the module as `problem`, or a memory error as `problem` too. */
static enum weir_status read_as(struct weir_wasm_bytes bytes, uint32_t features,
                                struct weir_arena *arena, struct weir_wasm_module **ret_module,
                                struct weir_error *problem)
{
    struct weir_wasm_module *module = NULL;
    enum weir_status status = weir_wasm_decode(bytes, features, NULL, arena, &module, problem);
    if (status == WEIR_OK) {
        *ret_module = module;
        status = weir_wasm_validate(module, arena, problem);
    }
    return status;
}

static const char *kind_of_bytes(struct weir_wasm_bytes bytes)
{
    static const char COMPONENT[] = "\0asm\x0d\0\1"; /* and a zero */
    bool is_component = bytes.size >= 8 && memcmp(bytes.data, COMPONENT, 8) == 0;
    return is_component ? "component" : "no module";
}

/* The world's own check, then its features, so that everything is told at once. */
static enum weir_status judge_valid(struct weir__inspect_verdict *verdict,
                                    struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                    struct weir_error *error)
{
    enum weir_status status = verdict->world->judge(bytes, arena, verdict, error);
    if (status != WEIR_OK || verdict->world->features == 0)
        return status;
    struct weir_wasm_module *module = NULL;
    struct weir_error problem = {0};
    status = read_as(bytes, verdict->world->features, arena, &module, &problem);
    if (is_out_of_memory(status)) {
        weir_error_move(error, &problem);
        return status;
    }
    if (status != WEIR_OK)
        refuse_for(&verdict->findings, &problem);
    weir_error_done(&problem);
    uint32_t simd = find_code(verdict->module, is_simd, true);
    if (simd != WEIR_WASM_NONE)
        weir_wasm_find(&verdict->findings, true,
                       "function %u uses SIMD, which this build cannot compile", simd);
    return WEIR_OK;
}

static enum weir_status judge_plain(struct weir__inspect_verdict *verdict,
                                    struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                    struct weir_error *error)
{
    static const struct weir_wasm_module none;
    struct weir_wasm_module *module = NULL;
    struct weir_error problem = {0};
    enum weir_status status = read_as(bytes, UINT32_MAX, arena, &module, &problem);
    if (is_out_of_memory(status)) {
        weir_error_move(error, &problem);
        return status;
    }
    verdict->kind = kind_of_bytes(bytes);
    verdict->module = module;
    if (module != NULL)
        tell_kind(verdict, arena);
    if (status == WEIR_OK || verdict->world->features == 0) {
        if (status != WEIR_OK)
            verdict->module = NULL; /* indices in it are not checked */
        status = judge_valid(verdict, bytes, arena, error);
    } else {
        weir_wasm_findings_init(&verdict->findings, module != NULL ? module : &none, arena);
        refuse_for(&verdict->findings, &problem);
        status = WEIR_OK;
    }
    weir_error_done(&problem);
    return status;
}

enum weir_status weir__inspect_judge(const struct weir__inspect_world *world,
                                     struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                     struct weir__inspect_verdict *ret_verdict,
                                     struct weir_error *error)
{
    static const struct weir_wasm_module none;
    struct weir__inspect_verdict verdict = {.world = world, .kind = "no module"};
    struct weir_error problem = {0};
    enum weir_status status =
        world->takes_gzip ? weir__inspect_unpack(&bytes, arena, &problem) : WEIR_OK;
    if (is_out_of_memory(status)) {
        weir_error_move(error, &problem);
        return status;
    }
    if (status != WEIR_OK) {
        weir_wasm_findings_init(&verdict.findings, &none, arena);
        weir_wasm_find(&verdict.findings, true, "%s", problem.message);
        status = WEIR_OK;
    } else {
        status = judge_plain(&verdict, bytes, arena, error);
    }
    weir_error_done(&problem);
    if (status == WEIR_OK && verdict.findings.is_out_of_memory)
        status = weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                                "no memory for a verdict on %zu bytes", bytes.size);
    if (status == WEIR_OK)
        *ret_verdict = verdict;
    return status;
}
