/* The static checks of CosmWasm, in upstream's order and words. */
#include "worlds/contract/contract_check.h"

#include "wasm/insn.h"
#include "worlds/contract/contract_limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Capabilities that are offered; ends with NULL. */
static const char *const CAPABILITIES[] = {"iterator",
                                           "staking",
                                           "stargate",
                                           "ibc2",
                                           "cosmwasm_1_1",
                                           "cosmwasm_1_2",
                                           "cosmwasm_1_3",
                                           "cosmwasm_1_4",
                                           "cosmwasm_2_0",
                                           "cosmwasm_2_1",
                                           "cosmwasm_2_2",
                                           "cosmwasm_3_0",
                                           NULL};

static const char *const SUPPORTED_IMPORTS[] = {
#define CONTRACT_IMPORT(name, params, result) "env." #name,
#include "worlds/contract/contract_imports.def"
#undef CONTRACT_IMPORT
    NULL};

static const char *const ENTRIES[] = {
#define CONTRACT_ENTRY(name, arguments, read_only) #name,
#include "worlds/contract/contract_entries.def"
#undef CONTRACT_ENTRY
    NULL};

struct checker {
    const struct weir_wasm_module *module;
    struct weir_arena *arena;
    struct weir_contract_facts *facts;
    const char *refusals[CONTRACT_REFUSALS_MAX];
    bool is_out_of_memory;
};

static char *text_of(struct checker *c, const char *format, ...) WEIR_PRINTF(2, 3);

static char *text_of(struct checker *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = weir_arena_alloc(c->arena, (size_t)size + 1, 1);
    if (text == NULL) {
        c->is_out_of_memory = true;
        return NULL;
    }
    va_start(args, format);
    (void)vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return text;
}

static void refuse(struct checker *c, const char *text)
{
    struct weir_contract_list *list = &c->facts->refusals;
    if (text == NULL)
        return;
    if (list->count == CONTRACT_REFUSALS_MAX)
        c->facts->refusals_left_out++;
    else
        c->refusals[list->count++] = text;
}

#define STATIC_VALIDATION "Error during static Wasm validation: "

static void refuse_broken(struct checker *c, const struct weir_error *problem)
{
    refuse(c, text_of(c,
                      STATIC_VALIDATION "Wasm bytecode could not be deserialized. Deserialization "
                                        "error: \"%s (at offset 0x%llx)\"",
                      problem->message, (unsigned long long)problem->offset));
}

/* --- names ----------------------------------------------------------------------------------- */

static bool is_in(const char *name, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted(struct checker *c, const struct weir_contract_list *list)
{
    const char **names = WEIR_ARENA_ARRAY(c->arena, const char *, list->count);
    if (names == NULL) {
        c->is_out_of_memory = true;
        return NULL;
    }
    for (uint32_t i = 0; i < list->count; i++)
        names[i] = list->items[i];
    if (list->count > 1)
        qsort(names, list->count, sizeof names[0], compare_names);
    return names;
}

/* A set as upstream shows it, {"a", "b", ... 3 more}, within CONTRACT_SET_TEXT_MAX bytes. */
static const char *set_text(struct checker *c, const struct weir_contract_list *list)
{
    const char **names = sorted(c, list);
    char *out = weir_arena_alloc(c->arena, CONTRACT_SET_TEXT_MAX + 1, 1);
    if (names == NULL || out == NULL) {
        c->is_out_of_memory = true;
        return "";
    }
    uint32_t count = 0; /* a set has no name twice */
    for (uint32_t i = 0; i < list->count; i++)
        if (i == 0 || strcmp(names[i], names[count - 1]) != 0)
            names[count++] = names[i];
    for (uint32_t shown = count;; shown--) {
        size_t used = 1;
        out[0] = '{';
        for (uint32_t i = 0; i < shown && used <= CONTRACT_SET_TEXT_MAX; i++)
            used += (size_t)snprintf(out + used, CONTRACT_SET_TEXT_MAX + 1 - used, "%s\"%s\"",
                                     i > 0 ? ", " : "", names[i]);
        if (used <= CONTRACT_SET_TEXT_MAX && shown < count)
            used +=
                (size_t)snprintf(out + used, CONTRACT_SET_TEXT_MAX + 1 - used,
                                 shown > 0 ? ", ... %u more}" : "... %u elements}", count - shown);
        else if (used <= CONTRACT_SET_TEXT_MAX)
            used += (size_t)snprintf(out + used, CONTRACT_SET_TEXT_MAX + 1 - used, "}");
        if (used <= CONTRACT_SET_TEXT_MAX || shown == 0)
            return out;
    }
}

/* Names as a list, ["a", "b"]. */
static const char *list_text(struct checker *c, const char *const *list)
{
    size_t size = 3;
    for (const char *const *name = list; *name != NULL; name++)
        size += strlen(*name) + 4;
    char *out = weir_arena_alloc(c->arena, size, 1);
    if (out == NULL) {
        c->is_out_of_memory = true;
        return "";
    }
    size_t used = (size_t)snprintf(out, size, "[");
    for (const char *const *name = list; *name != NULL; name++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s\"%s\"", name != list ? ", " : "", *name);
    (void)snprintf(out + used, size - used, "]");
    return out;
}

/* Parts of a name in a row. A zero byte, which a name may hold, is shown as \0: cut there,
 * "db_read\0x" would look like one that is offered. */
static const char *name_text(struct checker *c, const struct weir_wasm_bytes *parts, size_t count)
{
    size_t size = 1, used = 0;
    for (size_t i = 0; i < count; i++)
        size += 2 * parts[i].size;
    char *name = weir_arena_alloc(c->arena, size, 1);
    if (name == NULL) {
        c->is_out_of_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < parts[i].size; k++) {
            bool is_zero = parts[i].data[k] == 0;
            if (is_zero)
                name[used++] = '\\';
            name[used++] = is_zero ? '0' : (char)parts[i].data[k];
        }
    }
    name[used] = 0;
    return name;
}

struct growing {
    const char **items;
    uint32_t count;
};

static struct growing growing(struct checker *c, uint32_t count_max)
{
    struct growing list = {WEIR_ARENA_ARRAY(c->arena, const char *, count_max), 0};
    c->is_out_of_memory |= list.items == NULL;
    return list;
}

static struct weir_contract_list finished(struct growing list)
{
    return (struct weir_contract_list){list.items, list.count};
}

/* Exports of functions by name; each is wanted once or more. */
static struct weir_contract_list exported(struct checker *c)
{
    struct growing list = growing(c, c->module->export_count);
    for (uint32_t i = 0; i < c->module->export_count && !c->is_out_of_memory; i++) {
        const struct weir_wasm_export *export = &c->module->exports[i];
        if (export->kind != WEIR_EXTERN_FUNC)
            continue;
        list.items[list.count] = name_text(c, &export->name, 1);
        list.count += list.items[list.count] != NULL;
    }
    return finished(list);
}

/* --- checks ---------------------------------------------------------------------------------- */

static void check_table(struct checker *c)
{
    uint32_t count = c->module->table_count - c->module->table_import_count;
    if (count > 1)
        refuse(c, STATIC_VALIDATION "Wasm contract must not have more than 1 table section");
    if (count != 1)
        return;
    const struct weir_limits *limits = &c->module->tables[c->module->table_import_count].limits;
    if (!limits->has_max)
        refuse(c, STATIC_VALIDATION "Wasm contract must not have unbound table section");
    else if (limits->max > CONTRACT_TABLE_ELEMENTS_MAX)
        refuse(c,
               STATIC_VALIDATION "Wasm contract's first table section has a too large max limit");
}

static void check_memory(struct checker *c)
{
    uint32_t count = c->module->memory_count - c->module->memory_import_count;
    if (count != 1) {
        refuse(c, STATIC_VALIDATION "Wasm contract must contain exactly one memory");
        return;
    }
    const struct weir_limits *limits = &c->module->memories[c->module->memory_import_count];
    c->facts->memory_pages = (uint32_t)limits->min;
    if (limits->min > CONTRACT_MEMORY_PAGES_MAX)
        refuse(c,
               text_of(c,
                       STATIC_VALIDATION "Wasm contract memory's minimum must not exceed %u pages.",
                       CONTRACT_MEMORY_PAGES_MAX));
    if (limits->has_max)
        refuse(c, STATIC_VALIDATION "Wasm contract memory's maximum must be unset. The host will "
                                    "set it for you.");
}

static void check_marker(struct checker *c, const struct weir_contract_list *exports)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < exports->count; i++) {
        if (!has_prefix(exports->items[i], "interface_version_"))
            continue;
        c->facts->interface_marker = exports->items[i];
        count++;
    }
    if (count == 0)
        refuse(c, STATIC_VALIDATION
               "Wasm contract missing a required marker export: interface_version_*");
    else if (count > 1)
        refuse(c, STATIC_VALIDATION
               "Wasm contract contains more than one marker export: interface_version_*");
    else if (strcmp(c->facts->interface_marker, "interface_version_8") != 0)
        refuse(c, STATIC_VALIDATION
               "Wasm contract has unknown interface_version_* marker export (see "
               "https://github.com/CosmWasm/cosmwasm/blob/main/packages/vm/README.md)");
}

static bool list_has(const struct weir_contract_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static void check_exports(struct checker *c, const struct weir_contract_list *exports)
{
    static const char *const REQUIRED[] = {"allocate", "deallocate", NULL};
    for (const char *const *name = REQUIRED; *name != NULL; name++)
        if (!list_has(exports, *name))
            refuse(c, text_of(c,
                              STATIC_VALIDATION "Wasm contract doesn't have required export: "
                                                "\"%s\". Exports required by VM: %s.",
                              *name, list_text(c, REQUIRED)));
    struct growing entries = growing(c, sizeof ENTRIES / sizeof ENTRIES[0]);
    for (const char *const *name = ENTRIES; *name != NULL && !c->is_out_of_memory; name++)
        if (list_has(exports, *name))
            entries.items[entries.count++] = *name;
    c->facts->entries = finished(entries);
}

static void check_imports(struct checker *c)
{
    const struct weir_wasm_module *module = c->module;
    struct growing names = growing(c, module->import_count);
    struct growing unknown = growing(c, module->import_count);
    for (uint32_t i = 0; i < module->import_count && !c->is_out_of_memory; i++) {
        const struct weir_wasm_bytes parts[] = {
            module->imports[i].module, {(const uint8_t *)".", 1}, module->imports[i].name};
        names.items[names.count] = name_text(c, parts, 3);
        names.count += names.items[names.count] != NULL;
    }
    c->facts->imports = finished(names);
    if (c->is_out_of_memory)
        return;
    if (module->import_count > CONTRACT_IMPORTS_MAX)
        refuse(c,
               text_of(c, STATIC_VALIDATION "Import count exceeds limit. Imports: %u. Limit: %u.",
                       module->import_count, CONTRACT_IMPORTS_MAX));
    for (uint32_t i = 0; i < names.count; i++) {
        bool is_known = is_in(names.items[i], SUPPORTED_IMPORTS);
        if (!is_known) {
            unknown.items[unknown.count] = names.items[i];
            if (unknown.count++ > 0)
                continue; /* one sentence; the verdict lists the others */
            refuse(c, text_of(c,
                              STATIC_VALIDATION "Wasm contract requires unsupported import: "
                                                "\"%s\". Required imports: %s. Available imports: "
                                                "%s.",
                              names.items[i], set_text(c, &c->facts->imports),
                              list_text(c, SUPPORTED_IMPORTS)));
        } else if (module->imports[i].kind != WEIR_EXTERN_FUNC) {
            refuse(c, text_of(c,
                              STATIC_VALIDATION "Wasm contract requires non-function import: "
                                                "\"%s\". Right now, all supported imports are "
                                                "functions.",
                              names.items[i]));
        }
    }
    c->facts->unknown = finished(unknown);
}

static void check_capabilities(struct checker *c, const struct weir_contract_list *exports)
{
    static const char PREFIX[] = "requires_";
    struct growing required = growing(c, exports->count);
    struct growing missing = growing(c, exports->count);
    for (uint32_t i = 0; i < exports->count && !c->is_out_of_memory; i++)
        if (has_prefix(exports->items[i], PREFIX) && exports->items[i][sizeof PREFIX - 1] != 0)
            required.items[required.count++] = exports->items[i] + sizeof PREFIX - 1;
    if (required.count > 1)
        qsort(required.items, required.count, sizeof required.items[0], compare_names);
    for (uint32_t i = 0; i < required.count; i++)
        if (!is_in(required.items[i], CAPABILITIES))
            missing.items[missing.count++] = required.items[i];
    c->facts->capabilities = finished(required);
    c->facts->unavailable = finished(missing);
    if (missing.count > 0)
        refuse(c,
               text_of(c, STATIC_VALIDATION "Wasm contract requires unavailable capabilities: %s",
                       set_text(c, &c->facts->unavailable)));
}

/* `format` shows the limit, and what was found if it wants to. */
static void refuse_over(struct checker *c, uint64_t found, uint64_t limit, const char *format)
{
    if (found <= limit)
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    refuse(c, text_of(c, format, (unsigned)limit, (unsigned)found));
#pragma GCC diagnostic pop
}

/* Upstream counts parameters and results of types, used or not. */
static void check_functions(struct checker *c)
{
    const struct weir_wasm_module *module = c->module;
    uint64_t params = 0, results = 0, params_total = 0, locals = 0, locals_total = 0;
    for (uint32_t i = 0; i < module->type_count; i++) {
        params = module->types[i].param_count > params ? module->types[i].param_count : params;
        results = module->types[i].result_count > results ? module->types[i].result_count : results;
    }
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        const struct weir_wasm_func *func = &module->funcs[i];
        if (func->type_index >= module->type_count)
            continue; /* told by the validation */
        uint32_t own = module->types[func->type_index].param_count;
        uint32_t declared = func->local_count > own ? func->local_count - own : 0;
        params_total += own;
        locals = declared > locals ? declared : locals;
        locals_total += declared;
    }
#define OVER(what) STATIC_VALIDATION "Wasm contract contains " what
    refuse_over(c, module->func_count - module->func_import_count, CONTRACT_FUNCTIONS_MAX,
                OVER("more than %u functions"));
    refuse_over(c, params, CONTRACT_PARAMS_MAX, OVER("function with more than %u parameters"));
    refuse_over(c, results, CONTRACT_RESULTS_MAX, OVER("function with more than %u results"));
    refuse_over(c, params_total, CONTRACT_PARAMS_TOTAL_MAX,
                OVER("more than %u function parameters in total"));
    refuse_over(c, locals, CONTRACT_LOCALS_MAX, OVER("function with more than %u locals: %u"));
    refuse_over(c, locals_total, CONTRACT_LOCALS_TOTAL_MAX,
                OVER("more than %u function locals in total: %u"));
#undef OVER
}

/* Valid code may still hold what the machine behind it does not run: instructions on references,
 * and blocks with parameters or several results. One refusal per function is enough. */
static void check_body(struct checker *c, const struct weir_wasm_func *func)
{
    struct weir_insn_reader reader = {c->module, func->code_offset,
                                      func->body_offset + func->body_size};
    struct weir_insn insn;
    while (reader.position < reader.end && weir_insn_read(&reader, &insn, NULL) == WEIR_OK) {
        const struct weir_op_info *info = &weir_op_infos[insn.op];
        bool is_block = info->imm == WEIR_IMM_BLOCK && insn.block_type >= 0;
        if (info->feature == WEIR_FEATURE_REFERENCE_TYPES) {
            refuse(c, text_of(c,
                              "Error compiling Wasm: Could not compile: Reference type operation "
                              "detected: %s (at offset 0x%x). Reference types are not supported.",
                              info->name, insn.offset));
            return;
        }
        if (is_block) {
            refuse(c, text_of(c,
                              "Error compiling Wasm: Could not compile: %s (at offset 0x%x): "
                              "multi-value returns not yet implemented",
                              info->name, insn.offset));
            return;
        }
    }
}

/* Validates the whole; `problem` is what is wrong. */
static enum weir_status validate(struct checker *c, struct weir_wasm_module *module,
                                 struct weir_error *problem)
{
    struct weir_arena_mark mark = weir_arena_mark(c->arena);
    enum weir_status status = weir_wasm_validate(module, c->arena, problem);
    weir_arena_release(c->arena, mark);
    if (status == WEIR_NO_MEMORY || status == WEIR_LIMIT)
        c->is_out_of_memory = true;
    return status;
}

static bool is_in_code(const struct weir_wasm_module *module, uint64_t offset)
{
    for (uint32_t i = 0; i < module->section_count; i++) {
        const struct weir_wasm_section *section = &module->sections[i];
        if (section->id == 10 && offset >= section->offset &&
            offset < (uint64_t)section->offset + section->size)
            return true;
    }
    return false;
}

static void check_bodies(struct checker *c, struct weir_wasm_module *module)
{
    for (uint32_t i = module->func_import_count; i < module->func_count; i++)
        check_body(c, &module->funcs[i]);
}

/* Custom section cw_migrate_version: a decimal number. Upstream reads it while parsing. */
static void check_migrate_version(struct checker *c)
{
    static const char NAME[] = "cw_migrate_version";
    for (uint32_t i = 0; i < c->module->section_count; i++) {
        const struct weir_wasm_section *section = &c->module->sections[i];
        if (section->id != 0 || section->name.size != sizeof NAME - 1 ||
            memcmp(section->name.data, NAME, sizeof NAME - 1) != 0)
            continue;
        /* What follows the name. */
        const uint8_t *end = c->module->bytes.data + section->offset + section->size;
        const uint8_t *at = section->name.data + section->name.size;
        uint64_t version = 0;
        bool is_good = at < end;
        if (at + 1 < end && *at == '+') /* as Rust's parse() */
            at++;
        for (; at < end && is_good; at++)
            is_good = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(version, 10u, &version) &&
                      !__builtin_add_overflow(version, (uint64_t)(*at - '0'), &version);
        if (!is_good)
            refuse(c, STATIC_VALIDATION
                   "section cw_migrate_version does not hold a number of 64 bits");
        c->facts->has_migrate_version = is_good;
        c->facts->migrate_version = is_good ? version : 0;
    }
}

static void find_migrate(struct checker *c)
{
    for (uint32_t i = 0; i < c->module->export_count; i++) {
        const struct weir_wasm_export *export = &c->module->exports[i];
        if (export->kind != WEIR_EXTERN_FUNC || export->name.size != 7 ||
            memcmp(export->name.data, "migrate", 7) != 0 || export->index >= c->module->func_count)
            continue;
        uint32_t type = c->module->funcs[export->index].type_index;
        if (type < c->module->type_count)
            c->facts->migrate_params = c->module->types[type].param_count;
    }
}

static void check_rules(struct checker *c)
{
    check_table(c);
    check_memory(c);
    struct weir_contract_list exports = exported(c);
    if (c->is_out_of_memory)
        return;
    check_marker(c, &exports);
    check_exports(c, &exports);
    check_imports(c);
    if (c->is_out_of_memory)
        return;
    check_capabilities(c, &exports);
    check_functions(c);
}

/* Upstream validates what is outside of functions while it reads, functions at last. */
static void check_all(struct checker *c, struct weir_wasm_module *module)
{
    struct weir_error problem = {0};
    c->module = module;
    c->facts->is_wasm = true;
    check_migrate_version(c);
    find_migrate(c);
    enum weir_status status = validate(c, module, &problem);
    bool is_broken = status != WEIR_OK && !c->is_out_of_memory;
    bool is_code = is_broken && is_in_code(module, problem.offset);
    if (is_broken && !is_code)
        refuse_broken(c, &problem);
    check_rules(c);
    if (is_code)
        refuse_broken(c, &problem);
    if (status == WEIR_OK)
        check_bodies(c, module);
    weir_error_done(&problem);
}

enum weir_status weir_contract_check(struct weir_wasm_bytes wasm, struct weir_arena *arena,
                                     struct weir_contract_facts *ret_facts,
                                     struct weir_error *error)
{
    struct weir_contract_facts facts = {0};
    struct checker c = {.arena = arena, .facts = &facts};
    struct weir_error problem = {0};
    struct weir_wasm_module *module = NULL;
    enum weir_status status =
        weir_wasm_decode(wasm, WEIR_CONTRACT_FEATURES, NULL, arena, &module, &problem);
    if (status == WEIR_NO_MEMORY || status == WEIR_LIMIT)
        c.is_out_of_memory = true;
    else if (status != WEIR_OK)
        refuse_broken(&c, &problem);
    else
        check_all(&c, module);
    weir_error_done(&problem);
    const char **refusals = WEIR_ARENA_ARRAY(arena, const char *, facts.refusals.count);
    if (c.is_out_of_memory || refusals == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to check a contract of %zu bytes", wasm.size);
    memcpy(refusals, c.refusals, facts.refusals.count * sizeof refusals[0]);
    facts.refusals.items = refusals;
    *ret_facts = facts;
    return WEIR_OK;
}

enum weir_status weir_contract_verdict(const struct weir_contract_facts *facts,
                                       struct weir_error *error)
{
    if (facts->refusals.count == 0)
        return WEIR_OK;
    enum weir_status status =
        weir_error_set(error, WEIR_INVALID, WEIR_NO_OFFSET, "%s", facts->refusals.items[0]);
    /* The message has room for a line; what is longer, or more than one, follows whole. */
    if (facts->refusals.count > 1 || strlen(facts->refusals.items[0]) >= WEIR_ERROR_MESSAGE_SIZE)
        for (uint32_t i = 0; i < facts->refusals.count; i++)
            weir_error_add(error, "%s", facts->refusals.items[i]);
    if (facts->refusals_left_out > 0)
        weir_error_add(error, "and %u more", facts->refusals_left_out);
    for (uint32_t i = 1; i < facts->unknown.count; i++)
        weir_error_add(error, "unsupported import: %s", facts->unknown.items[i]);
    return status;
}
