/* See wasi_check.h. The rules are those of wasi_call.c and of the linker. */
#include "worlds/wasi/wasi_check.h"

#include <string.h>

static const struct weir_wasm_signature functions[] = {
#define WASI_FUNCTION(name, parameters) {#name, parameters, 'i'},
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION
};

static const struct weir_wasm_signature proc_exit = {"proc_exit", "i", 0};

static bool is_unstable(struct weir_wasm_bytes module)
{
    return weir_wasm_bytes_is(module, "wasi_unstable");
}

bool weir_wasi_is_module(struct weir_wasm_bytes module)
{
    return is_unstable(module) || weir_wasm_bytes_is(module, "wasi_snapshot_preview1");
}

const struct weir_wasm_signature *weir_wasi_function(struct weir_wasm_bytes module,
                                                     struct weir_wasm_bytes name)
{
    if (!weir_wasi_is_module(module) ||
        (is_unstable(module) && weir_wasm_bytes_is(name, "sock_accept")))
        return NULL;
    if (weir_wasm_bytes_is(name, proc_exit.name))
        return &proc_exit; /* does not come back */
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (weir_wasm_bytes_is(name, functions[i].name))
            return &functions[i];
    return NULL;
}

static void check_entry(struct weir_wasm_findings *findings, const struct weir_wasm_module *module)
{
    bool is_command = weir_wasm_exports(module, WEIR_EXTERN_FUNC, "_start");
    const char *name = is_command ? "_start" : "_initialize";
    const struct weir_wasm_func_type *type = weir_wasm_exported_func(module, name);
    if (type != NULL && (type->param_count > 0 || type->result_count > 0))
        weir_wasm_find(findings, true,
                       "'%s' takes %u parameters and answers %u results; a WASI %s's has neither",
                       name, type->param_count, type->result_count,
                       is_command ? "command" : "reactor");
}

static void foresee(struct weir_wasm_findings *findings, const struct weir_wasm_module *module)
{
    if (module->memory_count > 0) {
        const struct weir_limits *memory = &module->memories[0];
        if (memory->min >= WEIR_WASI_PAGES_MANY)
            weir_wasm_find(findings, false,
                           "memory begins with %llu pages (%llu MiB), in every instance",
                           (unsigned long long)memory->min, (unsigned long long)memory->min / 16);
        if (!memory->has_max)
            weir_wasm_find(findings, false,
                           "memory has no maximum: only --memory-max or memory_max stops it");
    } else if (module->import_count > 0) {
        weir_wasm_find(findings, false, "it has no memory, where WASI's functions put results");
    }
    if (module->start_func != WEIR_WASM_NONE)
        weir_wasm_find(findings, false,
                       "a start section runs in every instantiation, before any export");
    if (!weir_wasm_exports(module, WEIR_EXTERN_FUNC, "_start"))
        weir_wasm_find(findings, false,
                       "it exports no _start: run one of its functions with --invoke");
}

enum weir_status weir_wasi_check(const struct weir_wasm_module *module, struct weir_arena *arena,
                                 struct weir_wasm_findings *ret_findings, struct weir_error *error)
{
    struct weir_wasm_findings findings;
    weir_wasm_findings_init(&findings, module, arena);
    for (uint32_t i = 0; i < module->import_count; i++)
        weir_wasm_check_import(
            &findings, module, i,
            weir_wasi_function(module->imports[i].module, module->imports[i].name));
    check_entry(&findings, module);
    foresee(&findings, module);
    if (findings.is_out_of_memory)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for what a module is as a guest of WASI");
    *ret_findings = findings;
    return WEIR_OK;
}
