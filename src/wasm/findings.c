/* See findings.h. */
#include "wasm/findings.h"

#include "base/check.h"
#include "wasm/types_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void weir_wasm_findings_init(struct weir_wasm_findings *findings,
                             const struct weir_wasm_module *module, struct weir_arena *arena)
{
    *findings = (struct weir_wasm_findings){
        .arena = arena,
        .items = WEIR_ARENA_ARRAY(arena, struct weir_wasm_finding, WEIR_WASM_FINDINGS_MAX),
        .missing = WEIR_ARENA_ARRAY(arena, struct weir_wasm_missing, module->import_count)};
    findings->is_out_of_memory = findings->items == NULL || findings->missing == NULL;
}

void weir_wasm_find(struct weir_wasm_findings *findings, bool is_fatal, const char *format, ...)
{
    findings->fatal_count += is_fatal;
    if (findings->count == WEIR_WASM_FINDINGS_MAX) {
        findings->left_out++;
        return;
    }
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = weir_arena_alloc(findings->arena, (size_t)size + 1, 1);
    findings->is_out_of_memory |= text == NULL;
    if (findings->is_out_of_memory)
        return;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    findings->items[findings->count++] = (struct weir_wasm_finding){text, is_fatal};
}

void weir_wasm_find_missing(struct weir_wasm_findings *findings, uint32_t import,
                            const char *wanted)
{
    if (!findings->is_out_of_memory)
        findings->missing[findings->missing_count++] = (struct weir_wasm_missing){import, wanted};
}

bool weir_wasm_is_taken(const struct weir_wasm_findings *findings)
{
    return findings->fatal_count == 0 && findings->missing_count == 0;
}

static weir_wasm_type type_of(char letter)
{
    return letter == 'I' ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
}

struct weir_wasm_func_type
weir_wasm_signature_type(const struct weir_wasm_signature *signature,
                         weir_wasm_type room[WEIR_WASM_SIGNATURE_PARAMS_MAX + 1])
{
    struct weir_wasm_func_type type = {.params = room + 1,
                                       .results = room,
                                       .param_count = (uint32_t)strlen(signature->params),
                                       .result_count = signature->result != 0 ? 1 : 0};
    WEIR_ASSERT(type.param_count <= WEIR_WASM_SIGNATURE_PARAMS_MAX);
    room[0] = type_of(signature->result);
    for (uint32_t i = 0; i < type.param_count; i++)
        room[i + 1] = type_of(signature->params[i]);
    return type;
}

static bool is_same(const struct weir_wasm_func_type *a, const struct weir_wasm_func_type *b)
{
    return a->param_count == b->param_count && a->result_count == b->result_count &&
           memcmp(a->params, b->params, a->param_count * sizeof a->params[0]) == 0 &&
           memcmp(a->results, b->results, a->result_count * sizeof a->results[0]) == 0;
}

static const char *type_text(struct weir_wasm_findings *findings,
                             const struct weir_wasm_func_type *type)
{
    size_t size = weir_wasm_func_type_text(type, NULL, 0) + 1;
    char *text = weir_arena_alloc(findings->arena, size, 1);
    findings->is_out_of_memory |= text == NULL;
    if (text != NULL)
        (void)weir_wasm_func_type_text(type, text, size);
    return text;
}

void weir_wasm_check_import(struct weir_wasm_findings *findings,
                            const struct weir_wasm_module *module, uint32_t import,
                            const struct weir_wasm_signature *offer)
{
    const struct weir_wasm_import *it = &module->imports[import];
    if (offer == NULL) {
        weir_wasm_find_missing(findings, import, NULL);
        return;
    }
    weir_wasm_type room[WEIR_WASM_SIGNATURE_PARAMS_MAX + 1];
    struct weir_wasm_func_type type = weir_wasm_signature_type(offer, room);
    if (it->kind != WEIR_EXTERN_FUNC ||
        !is_same(&module->types[module->funcs[it->index].type_index], &type))
        weir_wasm_find_missing(findings, import, type_text(findings, &type));
}

bool weir_wasm_bytes_is(struct weir_wasm_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

bool weir_wasm_bytes_start_with(struct weir_wasm_bytes bytes, const char *text)
{
    size_t size = strlen(text);
    return bytes.size >= size && memcmp(bytes.data, text, size) == 0;
}

static const struct weir_wasm_export *find_export(const struct weir_wasm_module *module,
                                                  enum weir_extern_kind kind, const char *name)
{
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == kind && weir_wasm_bytes_is(module->exports[i].name, name))
            return &module->exports[i];
    return NULL;
}

bool weir_wasm_exports(const struct weir_wasm_module *module, enum weir_extern_kind kind,
                       const char *name)
{
    return find_export(module, kind, name) != NULL;
}

const struct weir_wasm_func_type *weir_wasm_exported_func(const struct weir_wasm_module *module,
                                                          const char *name)
{
    const struct weir_wasm_export *export = find_export(module, WEIR_EXTERN_FUNC, name);
    return export == NULL ? NULL : &module->types[module->funcs[export->index].type_index];
}

struct weir_wasm_shown weir_wasm_show(struct weir_wasm_bytes name)
{
    struct weir_wasm_shown shown;
    size_t size = name.size < sizeof shown.text - 1 ? name.size : sizeof shown.text - 1;
    for (size_t i = 0; i < size; i++)
        shown.text[i] = name.data[i] < 0x20 || name.data[i] >= 0x7f ? '?' : (char)name.data[i];
    shown.text[size] = 0;
    return shown;
}
