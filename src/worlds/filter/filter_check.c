/* See filter_check.h. Names and types are the tables' that the worlds link by. */
#include "worlds/filter/filter_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MISSING "Failed to load Wasm module due to a missing import: %.*s.%.*s"
#define OTHER_TYPE                                                                                 \
    "Failed to load Wasm module due to an import type mismatch: %.*s.%.*s, want: %s, but host: %s"
/* 16 MiB: what Go takes before its first request is a quarter of it. */
#define PAGES_MANY 256u

struct function {
    const char *name, *params;
    bool has_result;
};

static const struct function env[] = {
#define FILTER_FUNCTION(name, params, is_free)                                                     \
    {#name, params, sizeof(#name) != sizeof "emscripten_notify_memory_growth"},
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION
};

static const struct function wasi[] = {
#define WASI_FUNCTION(name, params) {#name, params, sizeof(#name) != sizeof "proc_exit"},
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION
};

struct checking {
    const struct weir_wasm_facts *facts;
    struct weir_arena *arena;
    struct weir_filter_check *check;
    const char **problems;
    bool has_failed;
};

static const char *keep(struct checking *checking, const char *format, va_list args)
{
    char text[512];
    (void)vsnprintf(text, sizeof text, format, args);
    const char *kept = weir_arena_strndup(checking->arena, text, strlen(text));
    checking->has_failed = checking->has_failed || kept == NULL;
    return kept;
}

static void WEIR_PRINTF(2, 3) add_problem(struct checking *checking, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    checking->problems[checking->check->problem_count++] = keep(checking, format, args);
    va_end(args);
}

static void WEIR_PRINTF(2, 3) add_hurt(struct checking *checking, const char *format, ...)
{
    if (checking->check->hurt_count == WEIR_FILTER_CHECK_HURTS_MAX)
        return;
    va_list args;
    va_start(args, format);
    checking->check->hurts[checking->check->hurt_count++] = keep(checking, format, args);
    va_end(args);
}

static bool is_text(struct weir_wasm_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static const struct weir_wasm_extern_fact *find_export(const struct weir_wasm_facts *facts,
                                                       const char *name)
{
    for (uint32_t i = 0; i < facts->export_count; i++)
        if (is_text(facts->exports[i].name, name))
            return &facts->exports[i];
    return NULL;
}

/* --- imports --------------------------------------------------------------------------------- */

/* "(i32, i64) -> i32", as inspect writes types. */
static void write_type(const struct function *function, char *to, size_t size)
{
    size_t used = 0;
    used += (size_t)snprintf(to, size, "(");
    for (const char *p = function->params; *p != 0; p++)
        used += (size_t)snprintf(to + used, size - used, "%s%s", p == function->params ? "" : ", ",
                                 *p == 'i' ? "i32" : "i64");
    (void)snprintf(to + used, size - used, ") -> %s", function->has_result ? "i32" : "()");
}

static const struct function *find_function(const struct weir_wasm_extern_fact *import)
{
    bool is_env = is_text(import->module, "env");
    bool is_wasi = is_text(import->module, "wasi_snapshot_preview1") ||
                   is_text(import->module, "wasi_unstable");
    const struct function *table = is_env ? env : wasi;
    size_t count = is_env    ? sizeof env / sizeof env[0]
                   : is_wasi ? sizeof wasi / sizeof wasi[0]
                             : 0;
    for (size_t i = 0; i < count; i++)
        if (is_text(import->name, table[i].name))
            return &table[i];
    return NULL;
}

static void check_import(struct checking *checking, const struct weir_wasm_extern_fact *import)
{
    const struct function *function =
        import->kind == WEIR_EXTERN_FUNC ? find_function(import) : NULL;
    int module_size = (int)import->module.size, name_size = (int)import->name.size;
    const char *module = (const char *)import->module.data;
    const char *name = (const char *)import->name.data;
    if (function == NULL) {
        add_problem(checking, MISSING, module_size, module, name_size, name);
        return;
    }
    char type[160];
    write_type(function, type, sizeof type);
    if (strcmp(type, import->type) != 0)
        add_problem(checking, OTHER_TYPE, module_size, module, name_size, name, import->type, type);
    if (strncmp(function->name, "proxy_grpc_", 11) == 0)
        add_hurt(checking, "%s: Weir answers UNIMPLEMENTED (12), it offers no gRPC",
                 function->name);
    if (strcmp(function->name, "sched_yield") == 0)
        add_hurt(checking, "sched_yield of WASI is missing in Envoy before 1.33, which then does "
                           "not load the plugin");
}

/* --- exports --------------------------------------------------------------------------------- */

static void check_abi(struct checking *checking)
{
    static const struct {
        const char *marker, *abi;
    } MARKERS[] = {{"proxy_abi_version_0_2_1", "0.2.1"},
                   {"proxy_abi_version_0_2_0", "0.2.0"},
                   {"proxy_abi_version_0_1_0", "0.1.0"}};
    for (size_t i = 0; i < sizeof MARKERS / sizeof MARKERS[0]; i++)
        if (checking->check->abi == NULL &&
            find_export(checking->facts, MARKERS[i].marker) != NULL)
            checking->check->abi = MARKERS[i].abi;
    if (checking->check->abi == NULL)
        add_problem(checking, "Missing or unknown Proxy-Wasm ABI version");
    const struct weir_wasm_extern_fact *memory = find_export(checking->facts, "memory");
    if (memory == NULL || memory->kind != WEIR_EXTERN_MEMORY)
        add_problem(checking, "no memory is exported as \"memory\"");
}

static void check_allocator(struct checking *checking)
{
    bool has_malloc = find_export(checking->facts, "malloc") != NULL;
    bool has_own = find_export(checking->facts, "proxy_on_memory_allocate") != NULL;
    if (has_malloc && has_own)
        add_hurt(checking,
                 "exports malloc beside proxy_on_memory_allocate: Envoy and ngx_wasm_module prefer "
                 "it for every header map and body, no host frees it, and a collector does not see "
                 "it; build without the export (Weir: allocator: abi)");
    else if (has_malloc)
        add_hurt(checking, "exports malloc, no proxy_on_memory_allocate: what the host hands over "
                           "is freed only where the SDK frees what it fetched");
    else if (!has_own)
        add_hurt(checking, "exports neither proxy_on_memory_allocate nor malloc: no host can hand "
                           "it a header or a body");
}

static void check_memory(struct checking *checking)
{
    uint64_t pages = checking->facts->memory_pages_min;
    if (pages > PAGES_MANY)
        add_hurt(checking, "%llu initial pages: %llu MiB in every VM before the first request, and "
                           "a VM per worker thread",
                 (unsigned long long)pages, (unsigned long long)(pages / 16));
    if (find_export(checking->facts, "_initialize") == NULL &&
        find_export(checking->facts, "_start") == NULL && !checking->facts->has_start)
        add_hurt(checking, "no _initialize, no _start, no start section: constructors of globals "
                           "are not run");
}

enum weir_status weir_filter_check(const struct weir_wasm_facts *facts, struct weir_arena *arena,
                                   struct weir_filter_check *ret_check, struct weir_error *error)
{
    struct weir_filter_check check = {0};
    struct checking checking = {.facts = facts, .arena = arena, .check = &check};
    checking.problems = WEIR_ARENA_ARRAY(arena, const char *, facts->import_count + 2);
    if (checking.problems == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the report");
    check_abi(&checking);
    for (uint32_t i = 0; i < facts->import_count; i++)
        check_import(&checking, &facts->imports[i]);
    check_allocator(&checking);
    check_memory(&checking);
    if (checking.has_failed)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the report");
    check.problems = checking.problems;
    *ret_check = check;
    return WEIR_OK;
}
