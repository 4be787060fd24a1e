/* See canister_check.h. The rules are those of the interface specification ("Canister module
 * format") and of its resource limits. */
#include "worlds/canister/canister_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "wasm/findings.h"
#include "worlds/canister/canister_limits.h"

/* Findings of one kind are cut here: a hostile module has a million bad imports. */
#define LISTED_MAX 100u
/* A heap that is large before anything is stored. */
#define PAGES_MANY 512u

const struct weir_ic0_function weir_ic0_functions[WEIR_IC0_COUNT] = {
#define IC0(name, params, result, modes) {#name, params, result, modes},
#include "worlds/canister/ic0.def"
#undef IC0
};

enum weir_type weir_ic0_type(char letter, bool is_64)
{
    return letter == 'l' || (letter == 'p' && is_64) ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
}

struct check {
    const struct weir_wasm_module *module;
    struct weir_arena *arena;
    struct weir_canister_facts facts;
    struct weir_canister_finding *findings;
    size_t capacity;
    bool is_refused; /* memory */
};

static void find(struct check *check, bool is_fatal, const char *format, ...) WEIR_PRINTF(3, 4);
static void find(struct check *check, bool is_fatal, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (check->facts.finding_count == check->capacity) {
        size_t capacity = check->capacity * 2 + 8;
        struct weir_canister_finding *more =
            WEIR_ARENA_ARRAY(check->arena, struct weir_canister_finding, capacity);
        if (more == NULL) {
            check->is_refused = true;
            return;
        }
        if (check->capacity != 0)
            memcpy(more, check->findings, check->capacity * sizeof more[0]);
        check->findings = more;
        check->capacity = capacity;
    }
    size_t size = length < (int)sizeof text ? (size_t)(length < 0 ? 0 : length) : sizeof text - 1;
    const char *copy = weir_arena_strndup(check->arena, text, size);
    if (copy == NULL)
        check->is_refused = true;
    else
        check->findings[check->facts.finding_count++] =
            (struct weir_canister_finding){copy, is_fatal};
    if (is_fatal)
        check->facts.is_good = false;
}

static bool contains(struct weir_wasm_bytes bytes, const char *text)
{
    return memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

/* A name for a message: as far as it is printable, at most 80 bytes. */
struct shown {
    char text[81];
};
static struct shown show(struct weir_wasm_bytes bytes)
{
    struct shown shown;
    size_t size = bytes.size < 80 ? bytes.size : 80;
    size = size == 0 ? 0 : weir_utf8_valid_prefix(bytes.data, size);
    for (size_t i = 0; i < size; i++)
        shown.text[i] = bytes.data[i] < ' ' || bytes.data[i] == 0x7f ? '?' : (char)bytes.data[i];
    shown.text[size] = 0;
    return shown;
}

/* --- sections ------------------------------------------------------------------------------ */

static void see_custom(struct check *check, const struct weir_wasm_section *section,
                       unsigned *icp_count, uint64_t *icp_bytes)
{
    struct weir_canister_facts *facts = &check->facts;
    const uint8_t *end = check->module->bytes.data + section->offset + section->size;
    struct weir_wasm_bytes name = section->name;
    const uint8_t *from = name.data + name.size;
    struct weir_wasm_bytes content = {from, (size_t)(end - from)};
    facts->custom_bytes += section->size;
    if (weir_wasm_bytes_start_with(name, "icp:public ") ||
        weir_wasm_bytes_start_with(name, "icp:private ")) {
        (*icp_count)++;
        *icp_bytes += section->size;
    }
    if (weir_wasm_bytes_is(name, "icp:public candid:service") ||
        weir_wasm_bytes_is(name, "icp:private candid:service"))
        facts->candid = content;
    else if (weir_wasm_bytes_is(name, "icp:private enhanced-orthogonal-persistence"))
        facts->has_keep = true;
    else if (weir_wasm_bytes_is(name, "icp:private motoko:compiler") ||
             weir_wasm_bytes_is(name, "motoko"))
        facts->language = "Motoko";
    else if (weir_wasm_bytes_is(name, "producers") && contains(content, "Rust") &&
             strcmp(facts->language, "unknown") == 0)
        facts->language = "Rust";
}

static void check_sections(struct check *check)
{
    struct weir_canister_facts *facts = &check->facts;
    unsigned icp_count = 0;
    uint64_t icp_bytes = 0;
    facts->language = "unknown";
    for (uint32_t i = 0; i < check->module->section_count; i++) {
        const struct weir_wasm_section *section = &check->module->sections[i];
        if (section->id == 0)
            see_custom(check, section, &icp_count, &icp_bytes);
        else if (section->id == 10 && section->size > CANISTER_CODE_BYTES_MAX)
            find(check, true, "the code section has %u bytes, at most %llu are allowed",
                 section->size, (unsigned long long)CANISTER_CODE_BYTES_MAX);
    }
    if (facts->has_keep)
        facts->language = "Motoko, enhanced orthogonal persistence";
    if (icp_count > CANISTER_CUSTOM_SECTIONS_MAX)
        find(check, true, "%u custom sections named icp:, at most %u are allowed", icp_count,
             CANISTER_CUSTOM_SECTIONS_MAX);
    if (icp_bytes > CANISTER_CUSTOM_BYTES_MAX)
        find(check, true, "custom sections named icp: have %llu bytes, at most %llu are allowed",
             (unsigned long long)icp_bytes, (unsigned long long)CANISTER_CUSTOM_BYTES_MAX);
}

/* --- spaces -------------------------------------------------------------------------------- */

static void check_spaces(struct check *check)
{
    const struct weir_wasm_module *module = check->module;
    struct weir_canister_facts *facts = &check->facts;
    if (module->memory_count > 1)
        find(check, true, "%u memories, at most one is allowed", module->memory_count);
    facts->has_memory = module->memory_count > 0;
    if (facts->has_memory) {
        facts->is_64 = module->memories[0].is_64;
        facts->initial_pages = module->memories[0].min;
    }
    uint64_t pages_max =
        (facts->is_64 ? CANISTER_HEAP64_BYTES_MAX : CANISTER_HEAP32_BYTES_MAX) >> 16;
    if (facts->initial_pages > pages_max)
        find(check, true, "the memory begins with %llu pages, at most %llu are allowed",
             (unsigned long long)facts->initial_pages, (unsigned long long)pages_max);
    if (module->func_count - module->func_import_count > CANISTER_FUNCTIONS_MAX)
        find(check, true, "%u functions, at most %u are allowed",
             module->func_count - module->func_import_count, CANISTER_FUNCTIONS_MAX);
    if (module->global_count > CANISTER_GLOBALS_MAX)
        find(check, true, "%u globals, at most %u are allowed", module->global_count,
             CANISTER_GLOBALS_MAX);
    for (uint32_t i = 0; i < module->global_count; i++) {
        weir_wasm_type type = module->globals[i].type.type;
        facts->global_bytes += type == WEIR_TYPE_I32 || type == WEIR_TYPE_F32 ? 4
                               : type == WEIR_TYPE_V128                       ? 16
                                                                              : 8;
    }
}

/* --- imports and exports ------------------------------------------------------------------- */

/* Of a function; NULL when the module, which may be invalid, names none. */
static const struct weir_wasm_func_type *func_type(const struct check *check, uint32_t index)
{
    const struct weir_wasm_module *module = check->module;
    if (index >= module->func_count || module->funcs[index].type_index >= module->type_count)
        return NULL;
    return &module->types[module->funcs[index].type_index];
}

static bool has_type(const struct check *check, const struct weir_wasm_func_type *type,
                     const struct weir_ic0_function *function)
{
    bool is_64 = check->facts.is_64;
    size_t count = strlen(function->params);
    if (type == NULL || type->param_count != count ||
        type->result_count != (function->result == '-' ? 0u : 1u))
        return false;
    for (size_t i = 0; i < count; i++)
        if (type->params[i] != (weir_wasm_type)weir_ic0_type(function->params[i], is_64))
            return false;
    return function->result == '-' ||
           type->results[0] == (weir_wasm_type)weir_ic0_type(function->result, is_64);
}

static const struct weir_ic0_function *function_named(struct weir_wasm_bytes name)
{
    for (size_t i = 0; i < WEIR_IC0_COUNT; i++)
        if (weir_wasm_bytes_is(name, weir_ic0_functions[i].name))
            return &weir_ic0_functions[i];
    return NULL;
}

static void check_import(struct check *check, const struct weir_wasm_import *import)
{
    if (!weir_wasm_bytes_is(import->module, "ic0")) {
        find(check, true, "import %s.%s: only ic0 may be imported from", show(import->module).text,
             show(import->name).text);
        return;
    }
    const struct weir_ic0_function *function =
        import->kind == WEIR_EXTERN_FUNC ? function_named(import->name) : NULL;
    if (function == NULL)
        find(check, true, "import ic0.%s: this host does not have it", show(import->name).text);
    else if (!has_type(check, func_type(check, import->index), function))
        find(check, true, "import ic0.%s: of another type than with %u-bit pointers",
             show(import->name).text, check->facts.is_64 ? 64u : 32u);
}

static void check_imports(struct check *check)
{
    uint32_t count = check->module->import_count;
    for (uint32_t i = 0; i < count && check->facts.finding_count < LISTED_MAX; i++)
        check_import(check, &check->module->imports[i]);
}

static const char *const entry_points[] = {
    "canister_init",
    "canister_pre_upgrade",
    "canister_post_upgrade",
    "canister_inspect_message",
    "canister_heartbeat",
    "canister_global_timer",
    "canister_on_low_wasm_memory",
};

static bool is_entry_point(struct weir_wasm_bytes name)
{
    for (size_t i = 0; i < sizeof entry_points / sizeof entry_points[0]; i++)
        if (weir_wasm_bytes_is(name, entry_points[i]))
            return true;
    return false;
}

/* The method's name behind one of the three prefixes; size 0: none. */
static struct weir_wasm_bytes method_of(struct weir_wasm_bytes name, bool *ret_is_update)
{
    static const char *const prefixes[] = {"canister_update ", "canister_query ",
                                           "canister_composite_query "};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(prefixes[i]);
        if (!weir_wasm_bytes_start_with(name, prefixes[i]))
            continue;
        *ret_is_update = i == 0;
        return (struct weir_wasm_bytes){name.data + size, name.size - size};
    }
    return (struct weir_wasm_bytes){NULL, 0};
}

/* Methods are unique over the three prefixes; at most CANISTER_METHODS_MAX are compared. */
static void check_unique(struct check *check, uint32_t index, struct weir_wasm_bytes method)
{
    bool is_update;
    for (uint32_t i = 0; i < index; i++) {
        struct weir_wasm_bytes other = method_of(check->module->exports[i].name, &is_update);
        if (other.size == method.size && memcmp(other.data, method.data, method.size) == 0)
            find(check, true, "export of the method %s twice", show(method).text);
    }
}

static void check_exports(struct check *check)
{
    const struct weir_wasm_module *module = check->module;
    struct weir_canister_facts *facts = &check->facts;
    uint64_t name_bytes = 0;
    for (uint32_t i = 0; i < module->export_count && facts->finding_count < LISTED_MAX; i++) {
        const struct weir_wasm_export *export = &module->exports[i];
        bool is_update = false;
        struct weir_wasm_bytes method = method_of(export->name, &is_update);
        bool is_entry = method.size != 0 || is_entry_point(export->name);
        if (!is_entry) {
            if (weir_wasm_bytes_start_with(export->name, "canister_"))
                find(check, true, "export %s: no such entry point", show(export->name).text);
            continue;
        }
        const struct weir_wasm_func_type *type =
            export->kind == WEIR_EXTERN_FUNC ? func_type(check, export->index) : NULL;
        if (type == NULL || type->param_count != 0 || type->result_count != 0)
            find(check, true, "export %s: must be a function without parameters and results",
                 show(export->name).text);
        if (method.size == 0)
            continue;
        facts->update_count += is_update;
        facts->query_count += !is_update;
        name_bytes += method.size;
        if (facts->update_count + facts->query_count <= CANISTER_METHODS_MAX)
            check_unique(check, i, method);
    }
    if (facts->update_count + facts->query_count > CANISTER_METHODS_MAX)
        find(check, true, "%u methods, at most %u are allowed",
             facts->update_count + facts->query_count, CANISTER_METHODS_MAX);
    if (name_bytes > CANISTER_METHOD_NAMES_BYTES_MAX)
        find(check, true, "names of methods have %llu bytes, at most %u are allowed",
             (unsigned long long)name_bytes, CANISTER_METHOD_NAMES_BYTES_MAX);
}

/* --- what will hurt ------------------------------------------------------------------------ */

static bool has_section(const struct check *check, const char *name)
{
    for (uint32_t i = 0; i < check->module->section_count; i++)
        if (check->module->sections[i].id == 0 &&
            weir_wasm_bytes_is(check->module->sections[i].name, name))
            return true;
    return false;
}

static bool has_export(const struct check *check, const char *name)
{
    for (uint32_t i = 0; i < check->module->export_count; i++)
        if (weir_wasm_bytes_is(check->module->exports[i].name, name))
            return true;
    return false;
}

static void foresee(struct check *check)
{
    const struct weir_canister_facts *facts = &check->facts;
    if (facts->initial_pages > PAGES_MANY)
        find(check, false, "the heap has %llu MiB before anything is stored",
             (unsigned long long)(facts->initial_pages / 16));
    if (facts->has_keep)
        find(check, false, "an upgrade that keeps the heap keeps its size too: it never shrinks");
    else if (has_export(check, "canister_pre_upgrade"))
        find(check, false,
             "state that lives on the heap is written out and read back at every "
             "upgrade, which takes a multiple of it while it lasts");
    else if (facts->update_count > 0 && !facts->has_keep)
        find(check, false, "no canister_pre_upgrade: what is on the heap is lost at an upgrade");
    if (!has_section(check, "name"))
        find(check, false, "no name section: what grows the heap can only be told by number");
    if (facts->candid.size == 0)
        find(check, false, "no candid:service: replies are shown without names of fields");
    if (!has_export(check, "canister_query __motoko_runtime_information"))
        find(check, false, "the module does not tell how much of its heap is live");
}

enum weir_status weir_canister_check(const struct weir_wasm_module *module,
                                     struct weir_arena *arena,
                                     struct weir_canister_facts *ret_facts,
                                     struct weir_error *error)
{
    struct check check = {.module = module, .arena = arena, .facts = {.is_good = true}};
    if (module->bytes.size > CANISTER_MODULE_BYTES_MAX)
        find(&check, true, "the module has %zu bytes, at most %llu are allowed", module->bytes.size,
             (unsigned long long)CANISTER_MODULE_BYTES_MAX);
    check_sections(&check);
    check_spaces(&check);
    check_imports(&check);
    check_exports(&check);
    foresee(&check);
    if (check.is_refused)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for what a module is as a canister");
    check.facts.findings = check.findings;
    *ret_facts = check.facts;
    return WEIR_OK;
}
