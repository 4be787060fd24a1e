/* The decoder's frame: header, order of sections, limits, what must agree at the end.
 *
 * One pass over the bytes; everything it keeps lies in the caller's arena.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "wasm/decode_internal.h"
#include "wasm/types_text.h"

const struct weir_wasm_limits weir_wasm_limits_default = {
#define WEIR_WASM_LIMIT(id, value, reason) .id = (value),
#include "wasm/limits.def"
#undef WEIR_WASM_LIMIT
};

#define HEADER_BYTES 8u

/* Position of a section in a module by its id; 0 for custom sections, which stand anywhere. */
static const uint8_t section_order[13] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10};

static struct weir_wasm_limits lower_limits(const struct weir_wasm_limits *wanted)
{
    struct weir_wasm_limits limits = weir_wasm_limits_default;
    if (wanted == NULL)
        return limits;
#define WEIR_WASM_LIMIT(id, value, reason)                                                         \
    if (wanted->id < limits.id)                                                                    \
        limits.id = wanted->id;
#include "wasm/limits.def"
#undef WEIR_WASM_LIMIT
    return limits;
}

/* How many section headers there are at most: walks them and stops at the first oddity, which the
 * real pass reports. */
static uint32_t count_sections(const struct weir_wasm_bytes *bytes)
{
    struct weir_cursor cursor = {bytes->data + HEADER_BYTES, bytes->data + bytes->size};
    uint32_t count = 0;
    uint32_t size;
    while (cursor.at < cursor.end) {
        cursor.at++;
        count++;
        if (weir__leb_u32(&cursor, &size) != WEIR_LEB_OK || size > (size_t)(cursor.end - cursor.at))
            break;
        cursor.at += size;
    }
    return count;
}

static void read_header(struct weir_wasm_decoder *d)
{
    static const uint8_t magic[4] = {0x00, 'a', 's', 'm'};
    const struct weir_wasm_bytes *bytes = &d->module->bytes;
    if (bytes->size < 4)
        weir__decode_fail(d, WEIR_MALFORMED, bytes->size, "unexpected end: in the magic header");
    else if (memcmp(bytes->data, magic, 4) != 0)
        weir__decode_fail(d, WEIR_MALFORMED, 0,
                          "magic header not detected: the file does not begin with \\0asm");
    else if (bytes->size < HEADER_BYTES)
        weir__decode_fail(d, WEIR_MALFORMED, bytes->size, "unexpected end: in the version");
    else if (weir_load_u32(bytes->data + 4) == 0x1000d)
        weir__decode_fail(d, WEIR_MALFORMED, 4,
                          "unknown binary version: a component, a module is wanted");
    else if (weir_load_u32(bytes->data + 4) != 1)
        weir__decode_fail(d, WEIR_MALFORMED, 4, "unknown binary version %u, 1 is known",
                          (unsigned)weir_load_u32(bytes->data + 4));
}

static void read_content(struct weir_wasm_decoder *d, struct weir_wasm_section *section)
{
    static void (*const readers[13])(struct weir_wasm_decoder *) = {
        NULL,
        weir__decode_types,
        weir__decode_imports,
        weir__decode_functions,
        weir__decode_tables,
        weir__decode_memories,
        weir__decode_globals,
        weir__decode_exports,
        weir__decode_start,
        weir__decode_elems,
        weir__decode_code,
        weir__decode_datas,
        weir__decode_data_count,
    };
    uint64_t end = (uint64_t)section->offset + section->size;
    d->section_end = d->module->bytes.data + end;
    if (section->id == 0) {
        section->name = weir__decode_name(d, "custom section name");
        if (d->status != WEIR_OK)
            return;
        if (weir__decode_position(d) > end)
            weir__decode_fail(d, WEIR_MALFORMED, end,
                              "unexpected end: the name goes beyond the custom section");
        else
            d->cursor.at = d->section_end;
        return;
    }
    readers[section->id](d);
    if (d->status == WEIR_OK && weir__decode_position(d) != end)
        weir__decode_fail(d, WEIR_MALFORMED, end,
                          "section size mismatch: the section ends here, its content at %u",
                          (unsigned)weir__decode_position(d));
}

/* Errors between sections belong to none of them, so they bypass weir__decode_fail(). */
static void fail_header(struct weir_wasm_decoder *d, enum weir_status status)
{
    d->status = status;
    d->cursor.at = d->cursor.end;
}

/* Checks id, size and order of the section whose header begins at the cursor. */
static void read_section_head(struct weir_wasm_decoder *d, uint8_t last_order, uint8_t *ret_id,
                              uint32_t *ret_size)
{
    uint32_t start = weir__decode_position(d);
    uint8_t id = *d->cursor.at++;
    uint32_t size = 0;
    if (id >= sizeof section_order) {
        fail_header(d, weir_error_set(d->error, WEIR_MALFORMED, start, "malformed section id: %u",
                                      (unsigned)id));
        return;
    }
    const char *name = weir_wasm_section_name(id);
    enum weir_leb fault = weir__leb_u32(&d->cursor, &size);
    size_t left = (size_t)(d->cursor.end - d->cursor.at);
    if (fault != WEIR_LEB_OK)
        fail_header(d, weir_error_set(
                           d->error, WEIR_MALFORMED,
                           fault == WEIR_LEB_END ? d->module->bytes.size : start + 1,
                           "%s: size of the %s section",
                           fault == WEIR_LEB_END ? "unexpected end" : weir__leb_text(fault), name));
    else if (size > left)
        fail_header(d, weir_error_set(d->error, WEIR_MALFORMED, start + 1,
                                      "length out of bounds: %s section of %u bytes, %zu are left",
                                      name, (unsigned)size, left));
    else if (id != 0 && section_order[id] <= last_order)
        fail_header(d, weir_error_set(d->error, WEIR_MALFORMED, start,
                                      "unexpected content after last section: a%s %s section "
                                      "comes too late or twice",
                                      name[0] == 'e' || name[0] == 'i' ? "n" : "", name));
    *ret_id = id;
    *ret_size = size;
}

static void read_section(struct weir_wasm_decoder *d, uint8_t *last_order, uint64_t *custom_count)
{
    uint32_t start = weir__decode_position(d);
    uint8_t id = 0;
    uint32_t size = 0;
    read_section_head(d, *last_order, &id, &size);
    if (d->status != WEIR_OK)
        return;
    if (id != 0) {
        *last_order = section_order[id];
    } else if (++*custom_count > d->module->limits.custom_sections_max) {
        fail_header(d, weir_error_set(d->error, WEIR_TOO_LARGE, start,
                                      "more than %llu custom sections",
                                      (unsigned long long)d->module->limits.custom_sections_max));
        return;
    }
    struct weir_wasm_section *section = &d->sections[d->module->section_count++];
    section->id = id;
    section->offset = weir__decode_position(d);
    section->size = size;
    read_content(d, section);
}

static void check_counts(struct weir_wasm_decoder *d)
{
    const struct weir_wasm_module *module = d->module;
    if (d->body_count != d->func_declared_count)
        weir__decode_fail(d, WEIR_MALFORMED, module->bytes.size,
                          "function and code section have inconsistent lengths: %u and %u",
                          (unsigned)d->func_declared_count, (unsigned)d->body_count);
    if (module->has_data_count && module->data_count != d->data_declared_count)
        weir__decode_fail(d, WEIR_MALFORMED, module->bytes.size,
                          "data count and data section have inconsistent lengths: %u and %u",
                          (unsigned)d->data_declared_count, (unsigned)module->data_count);
}

/* What is wrong behind the code section may have its cause in it: a body whose bytes run on makes
 * the next header nonsense. So bodies are looked at before that is reported. */
static enum weir_status blame_bodies(const struct weir_wasm_decoder *d, struct weir_error *found)
{
    const struct weir_wasm_module *module = d->module;
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        const struct weir_wasm_func *func = &module->funcs[i];
        struct weir_error other = {0};
        if (func->code_offset == 0)
            break;
        enum weir_status status =
            weir__scan_body(module, func, (uint32_t)module->bytes.size, &other);
        if (status == WEIR_MALFORMED)
            *found = other;
        if (status != WEIR_OK)
            break;
    }
    return found->status;
}

static enum weir_status decode_module(struct weir_wasm_decoder *d)
{
    const struct weir_wasm_module *module = d->module;
    read_header(d);
    if (d->status != WEIR_OK)
        return d->status;
    /* Custom sections are bounded, so what is over the bound needs no room. */
    uint64_t section_count = count_sections(&module->bytes);
    uint64_t section_count_max = module->limits.custom_sections_max + sizeof section_order;
    if (section_count > section_count_max)
        section_count = section_count_max;
    d->sections = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_section, section_count);
    if (d->sections == NULL)
        weir__decode_no_memory(d);
    d->module->sections = d->sections;
    d->cursor.at = module->bytes.data + HEADER_BYTES;
    uint8_t last_order = 0;
    uint64_t custom_count = 0;
    while (d->status == WEIR_OK && d->cursor.at < d->cursor.end)
        read_section(d, &last_order, &custom_count);
    if (d->status == WEIR_OK)
        check_counts(d);
    if (d->status == WEIR_MALFORMED && d->body_count > 0)
        return blame_bodies(d, d->error);
    return d->status;
}

enum weir_status weir_wasm_decode(struct weir_wasm_bytes bytes, uint32_t features,
                                  const struct weir_wasm_limits *limits, struct weir_arena *arena,
                                  struct weir_wasm_module **ret_module, struct weir_error *error)
{
    WEIR_ASSERT(bytes.data != NULL || bytes.size == 0);
    struct weir_wasm_limits lowered = lower_limits(limits);
    if (bytes.size > lowered.module_bytes_max)
        return weir_error_set(error, WEIR_TOO_LARGE, 0, "module of %zu bytes, the limit is %llu",
                              bytes.size, (unsigned long long)lowered.module_bytes_max);
    struct weir_wasm_module *module = WEIR_ARENA_NEW(arena, struct weir_wasm_module);
    if (module == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for the record of a module");
    module->bytes = bytes;
    if (bytes.data == NULL)
        module->bytes.data = (const uint8_t *)"";
    module->features = features;
    module->limits = lowered;
    module->start_func = WEIR_WASM_NONE;
    struct weir_error found = {0};
    struct weir_wasm_decoder d = {.module = module, .arena = arena, .error = &found};
    d.cursor = (struct weir_cursor){module->bytes.data, module->bytes.data + bytes.size};
    enum weir_status status = decode_module(&d);
    if (status == WEIR_OK)
        *ret_module = module;
    else if (error != NULL && error->status == WEIR_OK)
        *error = found;
    return status;
}
