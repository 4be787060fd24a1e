/* Types as text; see types_text.h. */
#include "wasm/types_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *weir_wasm_type_name(weir_wasm_type type)
{
    switch (type) {
    case WEIR_TYPE_I32:
        return "i32";
    case WEIR_TYPE_I64:
        return "i64";
    case WEIR_TYPE_F32:
        return "f32";
    case WEIR_TYPE_F64:
        return "f64";
    case WEIR_TYPE_V128:
        return "v128";
    case WEIR_TYPE_FUNCREF:
        return "funcref";
    case WEIR_TYPE_EXTERNREF:
        return "externref";
    case WEIR_WASM_TYPE_EMPTY:
        return "empty";
    default:
        return "any";
    }
}

const char *weir_wasm_section_name(uint8_t id)
{
    static const char *const names[] = {
        "custom", "type",  "import",  "function", "table", "memory",     "global",
        "export", "start", "element", "code",     "data",  "data count",
    };
    return id < sizeof names / sizeof names[0] ? names[id] : "unknown";
}

const char *weir_wasm_feature_name(uint32_t feature)
{
    switch (feature) {
#define WEIR_FEATURE(bit, id, name, on)                                                            \
    case WEIR_FEATURE_##id:                                                                        \
        return name;
#include <weir/features.def>
#undef WEIR_FEATURE
    default:
        return "unknown";
    }
}

const char *weir_wasm_extern_kind_name(enum weir_extern_kind kind)
{
    static const char *const names[] = {"func", "table", "memory", "global"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

/* Bounded output that goes on counting when it is full. */
struct text {
    char *buffer;
    size_t size;
    size_t length;
};

static void put(struct text *text, const char *words)
{
    size_t length = strlen(words);
    if (text->length < text->size) {
        size_t room = text->size - text->length - 1;
        size_t part = length < room ? length : room;
        memcpy(text->buffer + text->length, words, part);
        text->buffer[text->length + part] = '\0';
    }
    text->length += length;
}

static void put_vector(struct text *text, const weir_wasm_type *types, uint32_t count)
{
    put(text, "(");
    for (uint32_t i = 0; i < count; i++) {
        put(text, i == 0 ? "" : ", ");
        put(text, weir_wasm_type_name(types[i]));
    }
    put(text, ")");
}

static void put_limits(struct text *text, const struct weir_limits *limits)
{
    char number[32];
    (void)snprintf(number, sizeof number, "%" PRIu64 "..", limits->min);
    put(text, number);
    if (!limits->has_max)
        return;
    (void)snprintf(number, sizeof number, "%" PRIu64, limits->max);
    put(text, number);
}

size_t weir_wasm_func_type_text(const struct weir_wasm_func_type *type, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};
    put_vector(&text, type->params, type->param_count);
    put(&text, " -> ");
    if (type->result_count == 1)
        put(&text, weir_wasm_type_name(type->results[0]));
    else
        put_vector(&text, type->results, type->result_count);
    return text.length;
}

size_t weir_wasm_table_type_text(const struct weir_wasm_table_type *type, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};
    put(&text, weir_wasm_type_name(type->element));
    put(&text, " ");
    put_limits(&text, &type->limits);
    put(&text, type->limits.is_64 ? ", i64 index" : "");
    return text.length;
}

size_t weir_wasm_memory_type_text(const struct weir_limits *limits, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};
    put_limits(&text, limits);
    put(&text, " pages");
    put(&text, limits->is_64 ? ", i64 index" : "");
    return text.length;
}

size_t weir_wasm_global_type_text(const struct weir_wasm_global_type *type, char *buffer,
                                  size_t size)
{
    struct text text = {buffer, size, 0};
    put(&text, type->is_mutable ? "mut " : "");
    put(&text, weir_wasm_type_name(type->type));
    return text.length;
}
