/* The decoder's primitives: numbers, names, counts, types, constant expressions. */
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "wasm/decode_internal.h"
#include "wasm/insn.h"

static uint32_t offset_of(const struct weir_wasm_decoder *d, const uint8_t *at)
{
    return (uint32_t)(at - d->module->bytes.data);
}

uint32_t weir__decode_position(const struct weir_wasm_decoder *d)
{
    return offset_of(d, d->cursor.at);
}

static void stop(struct weir_wasm_decoder *d, enum weir_status status)
{
    d->status = status;
    d->cursor.at = d->cursor.end;
}

void weir__decode_fail(struct weir_wasm_decoder *d, enum weir_status status, uint64_t offset,
                       const char *format, ...)
{
    if (d->status != WEIR_OK)
        return;
    char text[WEIR_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    stop(d, weir__wasm_report(d->module, d->error, status, offset, "%s", text));
}

void weir__decode_no_memory(struct weir_wasm_decoder *d)
{
    weir__decode_fail(d, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                      "no memory for the record of a module of %zu bytes (%zu taken so far)",
                      d->module->bytes.size, weir_arena_bytes(d->arena));
}

void weir__decode_need(struct weir_wasm_decoder *d, uint64_t offset, uint32_t feature,
                       const char *reason, const char *what)
{
    d->module->features_needed |= feature;
    if ((d->module->features & feature) == feature || d->status != WEIR_OK)
        return;
    stop(d, weir__wasm_feature_off(d->module, d->error, offset, feature, reason, what));
}

static void fail_end(struct weir_wasm_decoder *d, const char *what)
{
    weir__decode_fail(d, WEIR_MALFORMED, d->module->bytes.size,
                      "unexpected end of section or function: in %s", what);
}

static void fail_leb(struct weir_wasm_decoder *d, enum weir_leb fault, const char *what)
{
    if (fault == WEIR_LEB_END)
        fail_end(d, what);
    else
        weir__decode_fail(d, WEIR_MALFORMED, weir__decode_position(d), "%s: %s",
                          weir__leb_text(fault), what);
}

uint8_t weir__decode_byte(struct weir_wasm_decoder *d, const char *what)
{
    if (d->cursor.at < d->cursor.end)
        return *d->cursor.at++;
    fail_end(d, what);
    return 0;
}

uint32_t weir__decode_u32(struct weir_wasm_decoder *d, const char *what)
{
    uint32_t value = 0;
    enum weir_leb fault = weir__leb_u32(&d->cursor, &value);
    if (fault != WEIR_LEB_OK)
        fail_leb(d, fault, what);
    return value;
}

uint64_t weir__decode_u64(struct weir_wasm_decoder *d, const char *what)
{
    uint64_t value = 0;
    enum weir_leb fault = weir__leb_u64(&d->cursor, &value);
    if (fault != WEIR_LEB_OK)
        fail_leb(d, fault, what);
    return value;
}

struct weir_wasm_bytes weir__decode_bytes(struct weir_wasm_decoder *d, const char *what)
{
    uint32_t start = weir__decode_position(d);
    uint32_t size = weir__decode_u32(d, what);
    size_t left = (size_t)(d->cursor.end - d->cursor.at);
    struct weir_wasm_bytes bytes = {d->cursor.at, 0};
    if (size > left) {
        /* The tests measure from the length's own first byte. */
        bool is_far = size > d->module->bytes.size - start;
        weir__decode_fail(d, WEIR_MALFORMED, start, "%s: %s of %u bytes, %zu are left",
                          is_far ? "length out of bounds" : "unexpected end of section or function",
                          what, (unsigned)size, left);
        return bytes;
    }
    bytes.size = size;
    d->cursor.at += size;
    return bytes;
}

struct weir_wasm_bytes weir__decode_name(struct weir_wasm_decoder *d, const char *what)
{
    uint32_t start = weir__decode_position(d);
    struct weir_wasm_bytes name = weir__decode_bytes(d, what);
    if (name.size > d->module->limits.name_bytes_max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "%s of %zu bytes, the limit is %llu", what,
                          name.size, (unsigned long long)d->module->limits.name_bytes_max);
    size_t valid = weir_utf8_valid_prefix(name.data, name.size);
    if (d->status == WEIR_OK && valid != name.size)
        weir__decode_fail(d, WEIR_MALFORMED, offset_of(d, name.data + valid),
                          "malformed UTF-8 encoding: %s", what);
    if (d->status != WEIR_OK)
        name.size = 0;
    return name;
}

uint32_t weir__decode_count(struct weir_wasm_decoder *d, uint64_t max, uint32_t present,
                            uint32_t entry_bytes_min, const char *what)
{
    uint32_t start = weir__decode_position(d);
    uint32_t count = weir__decode_u32(d, what);
    size_t left = (size_t)(d->cursor.end - d->cursor.at);
    if (d->status == WEIR_OK && (uint64_t)count + present > max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "%llu %s, the limit is %llu",
                          (unsigned long long)count + present, what, (unsigned long long)max);
    if (d->status != WEIR_OK)
        return 0;
    d->last_count = count;
    size_t room = left / entry_bytes_min + 1;
    return count < room ? count : (uint32_t)room;
}

weir_wasm_type weir__decode_value_type(struct weir_wasm_decoder *d)
{
    uint32_t start = weir__decode_position(d);
    uint8_t code = weir__decode_byte(d, "a value type");
    switch (code) {
    case WEIR_TYPE_I32:
    case WEIR_TYPE_I64:
    case WEIR_TYPE_F32:
    case WEIR_TYPE_F64:
        break;
    case WEIR_TYPE_V128:
        weir__decode_need(d, start, WEIR_FEATURE_SIMD, NULL, "v128");
        break;
    case WEIR_TYPE_FUNCREF:
    case WEIR_TYPE_EXTERNREF:
        weir__decode_need(d, start, WEIR_FEATURE_REFERENCE_TYPES, NULL,
                          code == WEIR_TYPE_FUNCREF ? "funcref" : "externref");
        break;
    default:
        weir__decode_fail(d, WEIR_MALFORMED, start, "malformed value type: 0x%02x", code);
        break;
    }
    return code;
}

weir_wasm_type weir__decode_reference_type(struct weir_wasm_decoder *d)
{
    uint32_t start = weir__decode_position(d);
    uint8_t code = weir__decode_byte(d, "a reference type");
    if (code == WEIR_TYPE_EXTERNREF)
        weir__decode_need(d, start, WEIR_FEATURE_REFERENCE_TYPES, NULL, "externref");
    else if (code != WEIR_TYPE_FUNCREF)
        weir__decode_fail(d, WEIR_MALFORMED, start, "malformed reference type: 0x%02x", code);
    return code;
}

struct weir_wasm_expr weir__decode_expr(struct weir_wasm_decoder *d)
{
    struct weir_wasm_expr expr = {weir__decode_position(d), 0};
    if (d->status != WEIR_OK)
        return expr;
    const uint8_t *end = d->cursor.at < d->section_end ? d->section_end : d->cursor.end;
    struct weir_insn_reader reader = {d->module, expr.offset, offset_of(d, end)};
    uint64_t depth = 1;
    struct weir_insn insn = {.op = WEIR_OP_END, .offset = expr.offset};
    do {
        if (reader.position == reader.end) {
            weir__decode_fail(d, WEIR_MALFORMED, reader.end,
                              "unexpected end of section or function: a constant expression has "
                              "no end");
            return expr;
        }
        enum weir_status status = weir_insn_read(&reader, &insn, d->error);
        if (status != WEIR_OK) {
            stop(d, status);
            return expr;
        }
        if (insn.op == WEIR_OP_BLOCK || insn.op == WEIR_OP_LOOP || insn.op == WEIR_OP_IF)
            depth++;
        else if (insn.op == WEIR_OP_END)
            depth--;
    } while (depth > 0);
    expr.size = insn.offset - expr.offset;
    d->cursor.at = d->module->bytes.data + reader.position;
    return expr;
}
