/* How `weir inspect --for WORLD` tells its verdict, as text and as JSON. */
#include "cli/cli_table.h"
#include "cli/inspect_internal.h"

#include <string.h>

#include "wasm/types_text.h"
#include "worlds/filter/filter_check.h"
#include "worlds/wasi/wasi_check.h"

#define COLUMNS 80u
#define TYPE_TEXT_MAX 160u

struct type_text {
    char text[TYPE_TEXT_MAX];
};

static struct type_text type_text(const struct weir_wasm_module *module,
                                  const struct weir_wasm_import *import)
{
    struct type_text made;
    uint32_t index = import->index;
    if (import->kind == WEIR_EXTERN_FUNC)
        (void)weir_wasm_func_type_text(&module->types[module->funcs[index].type_index], made.text,
                                       sizeof made.text);
    else if (import->kind == WEIR_EXTERN_TABLE)
        (void)weir_wasm_table_type_text(&module->tables[index], made.text, sizeof made.text);
    else if (import->kind == WEIR_EXTERN_MEMORY)
        (void)weir_wasm_memory_type_text(&module->memories[index], made.text, sizeof made.text);
    else
        (void)weir_wasm_global_type_text(&module->globals[index].type, made.text, sizeof made.text);
    return made;
}

/* --- which world would have an import -------------------------------------------------------- */

static bool is_of_contract(struct weir_wasm_bytes name)
{
    static const char *const NAMES[] = {
#define CONTRACT_IMPORT(name, params, result) #name,
#include "worlds/contract/contract_imports.def"
#undef CONTRACT_IMPORT
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (weir_wasm_bytes_is(name, NAMES[i]))
            return true;
    return false;
}

/* A name for --for; NULL: none. */
static const char *world_with(const struct weir_wasm_import *import)
{
    if (weir_wasi_function(import->module, import->name) != NULL)
        return "wasi";
    if (weir_wasm_bytes_is(import->module, "ic0"))
        return "ic";
    if (!weir_wasm_bytes_is(import->module, "env"))
        return NULL;
    if (weir_filter_function(import->name) != NULL)
        return "envoy";
    return is_of_contract(import->name) ? "wasmd" : NULL;
}

/* --- text ------------------------------------------------------------------------------------ */

/* A line of a list, broken at spaces before column 80. */
static void print_item(const char *text)
{
    size_t column = 4;
    printf("  -");
    while (*text != 0) {
        size_t size = strcspn(text, " ");
        if (column > 4 && column + size > COLUMNS) {
            printf("\n   ");
            column = 4;
        }
        printf(" %.*s", (int)size, text);
        column += size + 1;
        text += size + strspn(text + size, " ");
    }
    printf("\n");
}

static void print_findings(const struct weir__inspect_verdict *verdict, bool is_fatal)
{
    const struct weir_wasm_findings *findings = &verdict->findings;
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->items[i].is_fatal == is_fatal)
            print_item(findings->items[i].text);
}

static void print_row(struct weir_cli_table *table, const struct weir__inspect_verdict *verdict,
                      const struct weir_wasm_missing *missing)
{
    const struct weir_wasm_import *import = &verdict->module->imports[missing->import];
    const char *world = missing->wanted == NULL ? world_with(import) : NULL;
    weir_cli_table_cell(table, "%s", weir_wasm_show(import->module).text);
    weir_cli_table_cell(table, "%s", weir_wasm_show(import->name).text);
    weir_cli_table_cell(table, "%s", type_text(verdict->module, import).text);
    if (missing->wanted != NULL)
        weir_cli_table_cell(table, "known as %s", missing->wanted);
    else
        weir_cli_table_cell(table, "%s%s", world != NULL ? "unknown; --for " : "unknown",
                            world != NULL ? world : "");
}

static bool is_same_module(const struct weir_wasm_import *a, const struct weir_wasm_import *b)
{
    return a->module.size == b->module.size &&
           memcmp(a->module.data, b->module.data, a->module.size) == 0;
}

/* All of one module behind each other, modules in the order of their first import. */
static void print_missing(const struct weir__inspect_verdict *verdict)
{
    const struct weir_wasm_findings *findings = &verdict->findings;
    struct weir_cli_table table;
    uint32_t printed = 0;
    weir_cli_table_init(&table, 4, 0);
    for (uint32_t i = 0; i < findings->missing_count && printed < findings->missing_count; i++) {
        const struct weir_wasm_import *first =
            &verdict->module->imports[findings->missing[i].import];
        bool is_done = false;
        for (uint32_t k = 0; k < i && !is_done; k++)
            is_done = is_same_module(first, &verdict->module->imports[findings->missing[k].import]);
        for (uint32_t k = i; k < findings->missing_count && !is_done; k++) {
            if (!is_same_module(first, &verdict->module->imports[findings->missing[k].import]))
                continue;
            print_row(&table, verdict, &findings->missing[k]);
            printed++;
        }
    }
    printf("\nMissing imports\n");
    weir_cli_table_print(&table, stdout);
    weir_cli_table_done(&table);
}

void weir__inspect_verdict_print(const struct weir__inspect_verdict *verdict, const char *file)
{
    const struct weir_wasm_findings *findings = &verdict->findings;
    bool is_taken = weir_wasm_is_taken(findings);
    printf("%s: %s by %s%s\n", file, is_taken ? "would be taken" : "would be refused",
           weir__inspect_world_name(verdict->world), is_taken ? "" : ", because");
    if (findings->missing_count > 0)
        printf("  - %u of its imports %s missing\n", findings->missing_count,
               findings->missing_count == 1 ? "is" : "are");
    print_findings(verdict, true);
    if (findings->left_out > 0)
        printf("  - and %u more\n", findings->left_out);
    printf("\n  kind    %s\n  marker  %s\n", verdict->kind,
           verdict->marker != NULL ? verdict->marker : "none");
    if (findings->missing_count > 0)
        print_missing(verdict);
    if (verdict->envoy_count > 0)
        printf("\nIn Envoy's words\n");
    for (uint32_t i = 0; i < verdict->envoy_count; i++)
        printf("  %s\n", verdict->envoy[i]);
    if (findings->count > findings->fatal_count - findings->left_out) {
        printf("\nWhat will hurt\n");
        print_findings(verdict, false);
    }
}

/* --- JSON ------------------------------------------------------------------------------------ */

json_t *weir__inspect_name_json(struct weir_wasm_bytes name)
{
    json_t *text = json_stringn((const char *)name.data, name.data != NULL ? name.size : 0);
    return text != NULL ? text : json_string(weir_wasm_show(name).text);
}

/* NULL becomes null. */
static json_t *text_json(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *missing_json(const struct weir__inspect_verdict *verdict)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < verdict->findings.missing_count; i++) {
        const struct weir_wasm_missing *missing = &verdict->findings.missing[i];
        const struct weir_wasm_import *import = &verdict->module->imports[missing->import];
        (void)json_array_append_new(
            list, json_pack("{s:o, s:o, s:s, s:s, s:o, s:o}", "module",
                            weir__inspect_name_json(import->module), "name",
                            weir__inspect_name_json(import->name), "kind",
                            weir_wasm_extern_kind_name(import->kind), "type",
                            type_text(verdict->module, import).text, "known_as",
                            text_json(missing->wanted), "world",
                            text_json(missing->wanted == NULL ? world_with(import) : NULL)));
    }
    return list;
}

static json_t *findings_json(const struct weir_wasm_findings *findings, bool is_fatal)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->items[i].is_fatal == is_fatal)
            (void)json_array_append_new(list, json_string(findings->items[i].text));
    return list;
}

void weir__inspect_verdict_json(const struct weir__inspect_verdict *verdict, const char *file)
{
    const struct weir_wasm_findings *findings = &verdict->findings;
    json_t *envoy = json_array();
    for (uint32_t i = 0; i < verdict->envoy_count; i++)
        (void)json_array_append_new(envoy, json_string(verdict->envoy[i]));
    json_t *object =
        json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o}", "file", file, "for",
                  weir__inspect_world_name(verdict->world), "taken", weir_wasm_is_taken(findings),
                  "kind", verdict->kind, "marker", text_json(verdict->marker), "missing_imports",
                  missing_json(verdict), "refusals", findings_json(findings, true), "warnings",
                  findings_json(findings, false));
    (void)json_object_set_new(object, "left_out", json_integer(findings->left_out));
    (void)json_object_set_new(object, "envoy", envoy);
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(object);
}
