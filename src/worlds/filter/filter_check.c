/* See filter_check.h. The rules are those of filter_plugin.c, filter_link.c and filter_vm.c; a test
 * compares them. */
#include "worlds/filter/filter_check.h"

#include "wasm/types_text.h"
#include "worlds/filter/filter_limits.h"
#include "worlds/wasi/wasi_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 512u

/* --- tables ---------------------------------------------------------------------------------- */

static const struct weir_wasm_signature functions[] = {
#define FILTER_FUNCTION(name, params, is_free) {#name, params, 'i'},
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION
};
static const struct weir_wasm_signature memory_growth = {"emscripten_notify_memory_growth", "i", 0};

static const struct {
    const char *name;
    uint32_t params, results;
} callbacks[] = {
#define FILTER_CALLBACK(id, name, params, results) {name, params, results},
#include "worlds/filter/filter_callbacks.def"
#undef FILTER_CALLBACK
};

/* The newest first. */
static const struct {
    const char *marker, *abi;
} abis[] = {{"proxy_abi_version_0_2_1", "0.2.1"},
            {"proxy_abi_version_0_2_0", "0.2.0"},
            {"proxy_abi_version_0_1_0", "0.1.0"}};

const struct weir_wasm_signature *weir_filter_function(struct weir_wasm_bytes name)
{
    if (weir_wasm_bytes_is(name, memory_growth.name))
        return &memory_growth;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (weir_wasm_bytes_is(name, functions[i].name))
            return &functions[i];
    return NULL;
}

/* --- Envoy's words --------------------------------------------------------------------------- */

static void envoy_says(struct weir_filter_facts *facts, const char *format, ...) WEIR_PRINTF(2, 3);

static void envoy_says(struct weir_filter_facts *facts, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (facts->envoy_count == WEIR_WASM_FINDINGS_MAX || facts->findings.is_out_of_memory)
        return;
    char *copy = weir_arena_strndup(facts->findings.arena, text, strlen(text));
    facts->findings.is_out_of_memory |= copy == NULL;
    if (copy != NULL)
        facts->envoy[facts->envoy_count++] = copy;
}

struct envoy_type {
    char text[128];
};

/* "i32 i32 -> void" */
static struct envoy_type envoy_type(const struct weir_wasm_func_type *type)
{
    struct envoy_type made;
    size_t used = 0;
    made.text[0] = 0;
    for (uint32_t side = 0; side < 2; side++) {
        const weir_wasm_type *types = side == 0 ? type->params : type->results;
        uint32_t count = side == 0 ? type->param_count : type->result_count;
        for (uint32_t i = 0; i < (count == 0 ? 1 : count) && used < sizeof made.text; i++)
            used += (size_t)snprintf(made.text + used, sizeof made.text - used, "%s%s",
                                     i > 0 ? " " : "",
                                     count == 0 ? "void" : weir_wasm_type_name(types[i]));
        if (side == 0 && used < sizeof made.text)
            used += (size_t)snprintf(made.text + used, sizeof made.text - used, " -> ");
    }
    return made;
}

static struct envoy_type envoy_offer(const struct weir_wasm_signature *offer)
{
    weir_wasm_type room[WEIR_WASM_SIGNATURE_PARAMS_MAX + 1];
    const struct weir_wasm_func_type type = weir_wasm_signature_type(offer, room);
    return envoy_type(&type);
}

/* --- imports --------------------------------------------------------------------------------- */

/* Any other function of WASI that answers an errno. */
static bool is_answered_by_name(const struct weir_wasm_module *module,
                                const struct weir_wasm_import *import)
{
    if (import->kind != WEIR_EXTERN_FUNC || !weir_wasi_is_module(import->module))
        return false;
    const struct weir_wasm_func_type *type =
        &module->types[module->funcs[import->index].type_index];
    return type->result_count == 1 && type->results[0] == WEIR_TYPE_I32;
}

static void check_import(struct weir_filter_facts *facts, const struct weir_wasm_module *module,
                         uint32_t index)
{
    const struct weir_wasm_import *import = &module->imports[index];
    const struct weir_wasm_signature *offer =
        weir_wasm_bytes_is(import->module, "env")
            ? weir_filter_function(import->name)
            : weir_wasi_function(import->module, import->name);
    struct weir_wasm_findings *findings = &facts->findings;
    const struct weir_wasm_shown from = weir_wasm_show(import->module);
    const struct weir_wasm_shown name = weir_wasm_show(import->name);
    uint32_t missing = findings->missing_count;
    if (offer == NULL && is_answered_by_name(module, import))
        weir_wasm_find(findings, false,
                       "%s.%s is no function that anybody knows: it answers ENOSYS here, and Envoy "
                       "refuses the module",
                       from.text, name.text);
    else
        weir_wasm_check_import(findings, module, index, offer);
    if (offer == NULL && (import->kind == WEIR_EXTERN_FUNC || import->kind == WEIR_EXTERN_GLOBAL))
        envoy_says(facts, "Failed to load Wasm module due to a missing import: %s.%s", from.text,
                   name.text);
    else if (import->kind == WEIR_EXTERN_FUNC && findings->missing_count > missing)
        envoy_says(facts,
                   "Failed to load Wasm module due to an import type mismatch: %s.%s, "
                   "want: %s, but host exports: %s",
                   from.text, name.text,
                   envoy_type(&module->types[module->funcs[import->index].type_index]).text,
                   envoy_offer(offer).text);
    if (offer != NULL && strncmp(offer->name, "proxy_grpc_", 11) == 0)
        weir_wasm_find(findings, false, "%s: Weir offers no gRPC, it answers UNIMPLEMENTED (12)",
                       offer->name);
    if (weir_wasm_bytes_is(import->name, "sched_yield") && weir_wasi_is_module(import->module))
        weir_wasm_find(findings, false,
                       "Envoy before 1.33 has no %s.sched_yield and does not load the plugin",
                       from.text);
}

/* --- exports --------------------------------------------------------------------------------- */

static bool fits(size_t callback, const struct weir_wasm_func_type *type)
{
    uint32_t params = callbacks[callback].params;
    bool is_headers = strstr(callbacks[callback].name, "_headers") != NULL; /* as 0.1.0 has it */
    if ((type->param_count != params && !(is_headers && type->param_count == params - 1)) ||
        type->result_count != callbacks[callback].results)
        return false;
    for (uint32_t i = 0; i < type->param_count; i++)
        if (type->params[i] != WEIR_TYPE_I32)
            return false;
    return type->result_count == 0 || type->results[0] == WEIR_TYPE_I32;
}

static void check_callback(struct weir_filter_facts *facts, const struct weir_wasm_module *module,
                           size_t callback)
{
    const char *name = callbacks[callback].name;
    const struct weir_wasm_func_type *type = weir_wasm_exported_func(module, name);
    if (type == NULL || fits(callback, type))
        return;
    const struct weir_wasm_signature wanted = {name, &"iiiii"[5 - callbacks[callback].params],
                                               callbacks[callback].results > 0 ? 'i' : 0};
    weir_wasm_find(&facts->findings, true,
                   "the export %s has another type than the ABI's: %u parameters and %u results "
                   "where %u and %u are meant, all i32",
                   name, type->param_count, type->result_count, callbacks[callback].params,
                   callbacks[callback].results);
    envoy_says(facts, "Bad function signature for: %s, want: %s, but the module exports: %s", name,
               envoy_offer(&wanted).text, envoy_type(type).text);
}

static void check_exports(struct weir_filter_facts *facts, const struct weir_wasm_module *module)
{
    for (uint32_t i = 0; i < sizeof abis / sizeof abis[0] && facts->abi == NULL; i++)
        for (uint32_t k = 0; k < module->export_count; k++)
            if (weir_wasm_bytes_is(module->exports[k].name, abis[i].marker))
                facts->abi = abis[i].abi;
    if (facts->abi == NULL) {
        weir_wasm_find(&facts->findings, true,
                       "it is no proxy-wasm plugin: it exports none of proxy_abi_version_0_1_0, "
                       "proxy_abi_version_0_2_0, proxy_abi_version_0_2_1");
        envoy_says(facts, "Missing or unknown Proxy-Wasm ABI version");
    }
    if (!weir_wasm_exports(module, WEIR_EXTERN_MEMORY, "memory"))
        weir_wasm_find(&facts->findings, true, "it exports no memory of the name \"memory\"");
    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++)
        check_callback(facts, module, i);
}

/* --- what will hurt -------------------------------------------------------------------------- */

static void foresee_memory(struct weir_wasm_findings *findings,
                           const struct weir_wasm_module *module)
{
    const struct weir_limits *memory = &module->memories[0];
    unsigned long long mib = (unsigned long long)memory->min / 16;
    if (memory->min > WEIR_FILTER_MEMORY_DEFAULT / WEIR_WASM_PAGE_BYTES)
        weir_wasm_find(findings, false,
                       "memory begins with %llu pages (%llu MiB): a plugin gets %llu MiB unless "
                       "memory_max says more",
                       (unsigned long long)memory->min, mib,
                       (unsigned long long)WEIR_FILTER_MEMORY_DEFAULT >> 20);
    else if (memory->min >= WEIR_WASI_PAGES_MANY)
        weir_wasm_find(findings, false,
                       "memory begins with %llu pages (%llu MiB), in every VM: one per worker",
                       (unsigned long long)memory->min, mib);
    if (!memory->has_max)
        weir_wasm_find(findings, false,
                       "memory has no maximum: Envoy stops a VM at 1 GiB, Weir at memory_max "
                       "(%llu MiB)",
                       (unsigned long long)WEIR_FILTER_MEMORY_DEFAULT >> 20);
}

static void foresee(struct weir_wasm_findings *findings, const struct weir_wasm_module *module)
{
    bool has_allocate = weir_wasm_exports(module, WEIR_EXTERN_FUNC, "proxy_on_memory_allocate");
    bool has_malloc = weir_wasm_exports(module, WEIR_EXTERN_FUNC, "malloc");
    if (has_allocate && has_malloc)
        weir_wasm_find(findings, false,
                       "it exports malloc beside proxy_on_memory_allocate: Envoy and "
                       "ngx_wasm_module prefer it for every header map and body, no host frees "
                       "it, and a collector does not see it; build without the export (Weir: "
                       "allocator: abi)");
    else if (has_malloc)
        weir_wasm_find(findings, false,
                       "headers and bodies come in through malloc, and no host frees them: the "
                       "plugin has to");
    else if (!has_allocate)
        weir_wasm_find(findings, false,
                       "it exports neither proxy_on_memory_allocate nor malloc: it cannot be given "
                       "a header or a body");
    if (module->memory_count > 0)
        foresee_memory(findings, module);
    if (module->start_func == WEIR_WASM_NONE &&
        !weir_wasm_exports(module, WEIR_EXTERN_FUNC, "_initialize") &&
        !weir_wasm_exports(module, WEIR_EXTERN_FUNC, "_start"))
        weir_wasm_find(findings, false,
                       "no _initialize, no _start, no start section: constructors of globals are "
                       "not run");
    if (module->start_func != WEIR_WASM_NONE)
        weir_wasm_find(findings, false,
                       "a start section runs before the plugin has a context: only log, clock and "
                       "WASI's functions answer there");
}

enum weir_status weir_filter_check(const struct weir_wasm_module *module, struct weir_arena *arena,
                                   struct weir_filter_facts *ret_facts, struct weir_error *error)
{
    struct weir_filter_facts facts = {
        .envoy = WEIR_ARENA_ARRAY(arena, const char *, WEIR_WASM_FINDINGS_MAX)};
    weir_wasm_findings_init(&facts.findings, module, arena);
    facts.findings.is_out_of_memory |= facts.envoy == NULL;
    for (uint32_t i = 0; i < module->import_count && !facts.findings.is_out_of_memory; i++)
        check_import(&facts, module, i);
    check_exports(&facts, module);
    foresee(&facts.findings, module);
    if (facts.findings.is_out_of_memory)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for what a module is as a plugin");
    *ret_facts = facts;
    return WEIR_OK;
}
