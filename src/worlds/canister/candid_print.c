/* Candid's bytes: the type table, then the values, printed or searched in one walk. */
#include "worlds/canister/candid_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "worlds/canister/principal.h"

struct field {
    uint32_t id;
    int64_t type;
};
struct type {
    int64_t code;
    int64_t element;      /* opt, vec */
    struct field *fields; /* record, variant */
    uint32_t field_count;
};

struct walk {
    const uint8_t *bytes;
    size_t size, at;
    struct weir_arena *arena;
    const struct weir_candid_names *names;
    struct weir_error *error;
    struct type *types;
    uint32_t type_count;
    uint32_t field_total;
    size_t values;
    unsigned depth;
    /* Printing; NULL: values are only passed over. */
    char *text;
    size_t text_size, text_capacity;
    bool is_refused;
};

static enum weir_status bad(struct walk *walk, const char *what)
{
    return weir_error_set(walk->error, WEIR_MALFORMED, walk->at, "%s", what);
}

/* --- text ---------------------------------------------------------------------------------- */

static void put_bytes(struct walk *walk, const char *bytes, size_t size)
{
    if (walk->text == NULL || walk->is_refused)
        return;
    if (size > WEIR_CANDID_TEXT_BYTES_MAX - walk->text_size) {
        walk->is_refused = true;
        return;
    }
    if (walk->text_size + size + 1 > walk->text_capacity) {
        size_t capacity = (walk->text_size + size + 1) * 2;
        char *more = WEIR_ARENA_ARRAY(walk->arena, char, capacity);
        if (more == NULL) {
            walk->is_refused = true;
            return;
        }
        memcpy(more, walk->text, walk->text_size);
        walk->text = more;
        walk->text_capacity = capacity;
    }
    memcpy(walk->text + walk->text_size, bytes, size);
    walk->text_size += size;
    walk->text[walk->text_size] = 0;
}

static void put(struct walk *walk, const char *format, ...) WEIR_PRINTF(2, 3);
static void put(struct walk *walk, const char *format, ...)
{
    char piece[128];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (length > 0)
        put_bytes(walk, piece, (size_t)length < sizeof piece ? (size_t)length : sizeof piece - 1);
}

/* Between quotes; what is not printable as \xx, for blobs all that is not ASCII. */
static void put_quoted(struct walk *walk, const uint8_t *bytes, size_t size, bool is_text)
{
    put_bytes(walk, "\"", 1);
    for (size_t i = 0; i < size && walk->text != NULL; i++) {
        uint8_t c = bytes[i];
        if (c == '"' || c == '\\')
            put(walk, "\\%c", c);
        else if (c == '\n' && is_text)
            put_bytes(walk, "\\n", 2);
        else if (c < ' ' || c == 0x7f || (c >= 0x80 && !is_text))
            put(walk, "\\%02x", c);
        else
            put_bytes(walk, (const char *)&bytes[i], 1);
    }
    put_bytes(walk, "\"", 1);
}

/* --- reading ------------------------------------------------------------------------------- */

static enum weir_status read_leb(struct walk *walk, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (walk->at == walk->size)
            return bad(walk, "it ends in a number");
        uint8_t byte = walk->bytes[walk->at++];
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret = value;
            return WEIR_OK;
        }
    }
    return bad(walk, "a number is too large");
}

static enum weir_status read_sleb(struct walk *walk, int64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (walk->at == walk->size)
            return bad(walk, "it ends in a type");
        uint8_t byte = walk->bytes[walk->at++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) != 0)
            continue;
        if ((byte & 0x40) != 0)
            value |= UINT64_MAX << (shift + 7);
        *ret = (int64_t)value;
        return WEIR_OK;
    }
    return bad(walk, "a type is too large");
}

static enum weir_status read_bytes(struct walk *walk, uint64_t size, const uint8_t **ret)
{
    if (size > walk->size - walk->at)
        return bad(walk, "it ends in a value");
    *ret = walk->bytes + walk->at;
    walk->at += size;
    return WEIR_OK;
}

/* --- the type table ------------------------------------------------------------------------ */

static bool is_known_type(const struct walk *walk, int64_t type)
{
    return type >= 0 ? type < (int64_t)walk->type_count
                     : type != CANDID_OPT && type != CANDID_VEC && type != CANDID_RECORD &&
                           type != CANDID_VARIANT && type != CANDID_FUNC &&
                           type != CANDID_SERVICE && type >= CANDID_PRINCIPAL;
}

static enum weir_status read_type_ref(struct walk *walk, int64_t *ret)
{
    enum weir_status status = read_sleb(walk, ret);
    if (status == WEIR_OK && !is_known_type(walk, *ret))
        status = bad(walk, "an unknown type");
    return status;
}

static enum weir_status read_fields(struct walk *walk, struct type *type)
{
    uint64_t count = 0;
    enum weir_status status = read_leb(walk, &count);
    if (status != WEIR_OK)
        return status;
    if (count > WEIR_CANDID_FIELDS_MAX - walk->field_total || count > walk->size - walk->at)
        return bad(walk, "too many fields");
    walk->field_total += (uint32_t)count;
    type->field_count = (uint32_t)count;
    type->fields = WEIR_ARENA_ARRAY(walk->arena, struct field, count);
    if (type->fields == NULL)
        return weir__candid_no_memory(walk->error);
    for (uint32_t i = 0; status == WEIR_OK && i < count; i++) {
        uint64_t id = 0;
        status = read_leb(walk, &id);
        if (status == WEIR_OK && (id > UINT32_MAX || (i > 0 && id <= type->fields[i - 1].id)))
            status = bad(walk, "fields that are not in ascending order");
        type->fields[i].id = (uint32_t)id;
        if (status == WEIR_OK)
            status = read_type_ref(walk, &type->fields[i].type);
    }
    return status;
}

static enum weir_status skip_refs(struct walk *walk)
{
    uint64_t count = 0;
    enum weir_status status = read_leb(walk, &count);
    for (uint64_t i = 0; status == WEIR_OK && i < count; i++) {
        int64_t ignored = 0;
        status = read_type_ref(walk, &ignored);
    }
    return status;
}

static enum weir_status skip_func(struct walk *walk)
{
    uint64_t count = 0;
    const uint8_t *ignored = NULL;
    enum weir_status status = skip_refs(walk);
    if (status == WEIR_OK)
        status = skip_refs(walk);
    if (status == WEIR_OK)
        status = read_leb(walk, &count);
    return status == WEIR_OK ? read_bytes(walk, count, &ignored) : status;
}

static enum weir_status skip_service(struct walk *walk)
{
    uint64_t count = 0;
    enum weir_status status = read_leb(walk, &count);
    for (uint64_t i = 0; status == WEIR_OK && i < count; i++) {
        uint64_t size = 0;
        const uint8_t *ignored = NULL;
        int64_t type = 0;
        status = read_leb(walk, &size);
        if (status == WEIR_OK)
            status = read_bytes(walk, size, &ignored);
        if (status == WEIR_OK)
            status = read_type_ref(walk, &type);
    }
    return status;
}

static enum weir_status read_type(struct walk *walk, struct type *type)
{
    enum weir_status status = read_sleb(walk, &type->code);
    if (status != WEIR_OK)
        return status;
    switch (type->code) {
    case CANDID_OPT:
    case CANDID_VEC:
        return read_type_ref(walk, &type->element);
    case CANDID_RECORD:
    case CANDID_VARIANT:
        return read_fields(walk, type);
    case CANDID_FUNC:
        return skip_func(walk);
    case CANDID_SERVICE:
        return skip_service(walk);
    default:
        return bad(walk, "a type that is none");
    }
}

static enum weir_status read_table(struct walk *walk)
{
    uint64_t count = 0;
    const uint8_t *magic = NULL;
    if (read_bytes(walk, 4, &magic) != WEIR_OK || memcmp(magic, "DIDL", 4) != 0)
        return bad(walk, "it does not begin with DIDL");
    enum weir_status status = read_leb(walk, &count);
    if (status == WEIR_OK && count > WEIR_CANDID_TYPES_MAX)
        status = bad(walk, "too many types");
    if (status != WEIR_OK)
        return status;
    walk->types = WEIR_ARENA_ARRAY(walk->arena, struct type, count);
    if (walk->types == NULL)
        return weir__candid_no_memory(walk->error);
    walk->type_count = (uint32_t)count;
    for (uint32_t i = 0; status == WEIR_OK && i < count; i++)
        status = read_type(walk, &walk->types[i]);
    return status;
}

/* --- values -------------------------------------------------------------------------------- */

static enum weir_status visit_value(struct walk *walk, int64_t type);

static enum weir_status visit_number(struct walk *walk, int64_t type)
{
    struct weir__number number;
    struct weir_arena_mark mark = weir_arena_mark(walk->arena);
    enum weir_status status =
        weir__number_decode((struct weir__bytes){walk->bytes, walk->size}, &walk->at,
                            type == CANDID_INT, walk->arena, &number, walk->error);
    if (status != WEIR_OK || walk->text == NULL)
        return status;
    const char *text = weir__number_text(&number, walk->arena);
    if (text == NULL)
        return weir__candid_no_memory(walk->error);
    char few[64];
    size_t size = strlen(text);
    if (size < sizeof few) { /* the usual case: nothing stays in the arena */
        memcpy(few, text, size + 1);
        weir_arena_release(walk->arena, mark);
        text = few;
    }
    put_bytes(walk, text, size);
    put(walk, " : %s", weir__candid_type_name(type));
    return WEIR_OK;
}

static enum weir_status visit_fixed(struct walk *walk, int64_t type, unsigned width)
{
    const uint8_t *bytes = NULL;
    enum weir_status status = read_bytes(walk, width, &bytes);
    if (status != WEIR_OK)
        return status;
    uint64_t value = 0;
    memcpy(&value, bytes, width);
    if (weir__candid_is_signed(type)) {
        unsigned shift = 64 - width * 8;
        put(walk, "%" PRId64, (int64_t)(value << shift) >> shift);
    } else {
        put(walk, "%" PRIu64, value);
    }
    put(walk, " : %s", weir__candid_type_name(type));
    return WEIR_OK;
}

static enum weir_status visit_float(struct walk *walk, int64_t type)
{
    const uint8_t *bytes = NULL;
    unsigned width = type == CANDID_FLOAT32 ? 4 : 8;
    enum weir_status status = read_bytes(walk, width, &bytes);
    if (status != WEIR_OK)
        return status;
    float narrow = 0;
    double value = 0;
    if (width == 4) {
        memcpy(&narrow, bytes, sizeof narrow);
        value = (double)narrow;
    } else {
        memcpy(&value, bytes, sizeof value);
    }
    put(walk, isfinite(value) && value == floor(value) && fabs(value) < 1e15 ? "%.1f" : "%.17g",
        value);
    put(walk, " : %s", weir__candid_type_name(type));
    return WEIR_OK;
}

static enum weir_status visit_text(struct walk *walk)
{
    uint64_t size = 0;
    const uint8_t *bytes = NULL;
    enum weir_status status = read_leb(walk, &size);
    if (status == WEIR_OK)
        status = read_bytes(walk, size, &bytes);
    if (status != WEIR_OK)
        return status;
    if (weir_utf8_valid_prefix(bytes, size) != size)
        return bad(walk, "a text that is not UTF-8");
    put_quoted(walk, bytes, size, true);
    return WEIR_OK;
}

static enum weir_status read_principal(struct walk *walk)
{
    const uint8_t *bytes = NULL;
    uint64_t size = 0;
    enum weir_status status = read_bytes(walk, 1, &bytes);
    if (status == WEIR_OK && bytes[0] != 1)
        return bad(walk, "an opaque reference");
    if (status == WEIR_OK)
        status = read_leb(walk, &size);
    if (status == WEIR_OK && size > CANISTER_PRINCIPAL_BYTES_MAX)
        return bad(walk, "a principal that is too long");
    if (status == WEIR_OK)
        status = read_bytes(walk, size, &bytes);
    if (status != WEIR_OK)
        return status;
    struct weir_principal principal = {.size = (uint8_t)size};
    char text[WEIR_PRINCIPAL_TEXT_SIZE];
    memcpy(principal.bytes, bytes, size);
    weir_principal_write(&principal, text);
    put(walk, "\"%s\"", text);
    return WEIR_OK;
}

static enum weir_status visit_func(struct walk *walk)
{
    const uint8_t *bytes = NULL;
    uint64_t size = 0;
    put(walk, "func ");
    enum weir_status status = read_bytes(walk, 1, &bytes);
    if (status == WEIR_OK && bytes[0] != 1)
        return bad(walk, "an opaque reference");
    if (status == WEIR_OK)
        status = read_principal(walk);
    if (status == WEIR_OK)
        status = read_leb(walk, &size);
    if (status == WEIR_OK)
        status = read_bytes(walk, size, &bytes);
    if (status != WEIR_OK)
        return status;
    put(walk, ".");
    put_quoted(walk, bytes, size, false);
    return WEIR_OK;
}

static enum weir_status visit_primitive(struct walk *walk, int64_t type)
{
    const uint8_t *bytes = NULL;
    unsigned width = weir__candid_width(type);
    if (width != 0)
        return visit_fixed(walk, type, width);
    switch (type) {
    case CANDID_NULL:
    case CANDID_RESERVED:
        put(walk, "null : %s", weir__candid_type_name(type));
        return WEIR_OK;
    case CANDID_BOOL:
        if (read_bytes(walk, 1, &bytes) != WEIR_OK)
            return WEIR_MALFORMED;
        if (bytes[0] > 1)
            return bad(walk, "a bool that is neither");
        put(walk, bytes[0] != 0 ? "true" : "false");
        return WEIR_OK;
    case CANDID_NAT:
    case CANDID_INT:
        return visit_number(walk, type);
    case CANDID_FLOAT32:
    case CANDID_FLOAT64:
        return visit_float(walk, type);
    case CANDID_TEXT:
        return visit_text(walk);
    case CANDID_PRINCIPAL:
        put(walk, "principal ");
        return read_principal(walk);
    default:
        return bad(walk, "a value of the type empty, which has none");
    }
}

static const struct weir_candid_name *find_name(const struct weir_candid_names *names, uint32_t id)
{
    size_t low = 0;
    size_t high = names != NULL ? names->count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (names->items[middle].hash == id)
            return &names->items[middle];
        if (names->items[middle].hash < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void put_field_name(struct walk *walk, uint32_t id)
{
    const struct weir_candid_name *name = find_name(walk->names, id);
    if (name != NULL)
        put_bytes(walk, name->text, name->size);
    else
        put(walk, "%" PRIu32, id);
}

static enum weir_status visit_vec(struct walk *walk, const struct type *type)
{
    uint64_t count = 0;
    enum weir_status status = read_leb(walk, &count);
    if (status != WEIR_OK)
        return status;
    if (type->element == CANDID_NAT8) {
        const uint8_t *bytes = NULL;
        status = read_bytes(walk, count, &bytes);
        if (status != WEIR_OK)
            return status;
        put(walk, "blob ");
        put_quoted(walk, bytes, count, false);
        return WEIR_OK;
    }
    put(walk, "vec {");
    for (uint64_t i = 0; status == WEIR_OK && i < count; i++) {
        put(walk, i == 0 ? " " : "; ");
        status = visit_value(walk, type->element);
    }
    put(walk, " }");
    return status;
}

static bool is_tuple(const struct type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (type->fields[i].id != i)
            return false;
    return true;
}

static enum weir_status visit_record(struct walk *walk, const struct type *type)
{
    bool has_names = !is_tuple(type);
    enum weir_status status = WEIR_OK;
    put(walk, "record {");
    for (uint32_t i = 0; status == WEIR_OK && i < type->field_count; i++) {
        put(walk, i == 0 ? " " : "; ");
        if (has_names) {
            put_field_name(walk, type->fields[i].id);
            put(walk, " = ");
        }
        status = visit_value(walk, type->fields[i].type);
    }
    put(walk, " }");
    return status;
}

static enum weir_status visit_variant(struct walk *walk, const struct type *type)
{
    uint64_t index = 0;
    enum weir_status status = read_leb(walk, &index);
    if (status != WEIR_OK)
        return status;
    if (index >= type->field_count)
        return bad(walk, "a variant without such a case");
    put(walk, "variant { ");
    put_field_name(walk, type->fields[index].id);
    if (type->fields[index].type == CANDID_NULL) {
        status = visit_value(walk, CANDID_RECORD); /* counted, not printed */
    } else {
        put(walk, " = ");
        status = visit_value(walk, type->fields[index].type);
    }
    put(walk, " }");
    return status;
}

static enum weir_status visit_opt(struct walk *walk, const struct type *type)
{
    const uint8_t *bytes = NULL;
    enum weir_status status = read_bytes(walk, 1, &bytes);
    if (status != WEIR_OK)
        return status;
    if (bytes[0] > 1)
        return bad(walk, "an opt that is neither");
    put(walk, bytes[0] == 0 ? "null" : "opt (");
    if (bytes[0] == 0)
        return WEIR_OK;
    status = visit_value(walk, type->element);
    put(walk, ")");
    return status;
}

static enum weir_status visit_composite(struct walk *walk, const struct type *type)
{
    switch (type->code) {
    case CANDID_OPT:
        return visit_opt(walk, type);
    case CANDID_VEC:
        return visit_vec(walk, type);
    case CANDID_RECORD:
        return visit_record(walk, type);
    case CANDID_VARIANT:
        return visit_variant(walk, type);
    case CANDID_FUNC:
        return visit_func(walk);
    default:
        put(walk, "service ");
        return read_principal(walk);
    }
}

static enum weir_status visit_value(struct walk *walk, int64_t type)
{
    if (++walk->values > walk->size + WEIR_CANDID_EMPTY_VALUES_MAX || walk->is_refused)
        return weir_error_set(walk->error, WEIR_TOO_LARGE, walk->at,
                              "it has more values, or a longer text, than are printed");
    if (type == CANDID_RECORD) /* a case without value */
        return WEIR_OK;
    if (type < 0)
        return visit_primitive(walk, type);
    if (walk->depth == WEIR_CANDID_DEPTH_MAX)
        return bad(walk, "values too deep inside each other");
    walk->depth++;
    enum weir_status status = visit_composite(walk, &walk->types[type]);
    walk->depth--;
    return status;
}

/* --- entries ------------------------------------------------------------------------------- */

static enum weir_status read_arguments(struct walk *walk, int64_t **ret_types, uint64_t *ret_count)
{
    uint64_t count = 0;
    enum weir_status status = read_table(walk);
    if (status == WEIR_OK)
        status = read_leb(walk, &count);
    if (status == WEIR_OK && count > walk->size - walk->at)
        status = bad(walk, "too many arguments");
    if (status != WEIR_OK)
        return status;
    int64_t *types = WEIR_ARENA_ARRAY(walk->arena, int64_t, count);
    if (types == NULL)
        return weir__candid_no_memory(walk->error);
    for (uint64_t i = 0; status == WEIR_OK && i < count; i++)
        status = read_type_ref(walk, &types[i]);
    *ret_types = types;
    *ret_count = count;
    return status;
}

enum weir_status weir_candid_decode(const uint8_t *bytes, size_t size,
                                    const struct weir_candid_names *names, struct weir_arena *arena,
                                    struct weir_candid_text *ret_text, struct weir_error *error)
{
    struct walk walk = {.bytes = bytes,
                        .size = size,
                        .arena = arena,
                        .names = names,
                        .error = error,
                        .text_capacity = 256};
    int64_t *types = NULL;
    uint64_t count = 0;
    enum weir_status status = read_arguments(&walk, &types, &count);
    if (status != WEIR_OK)
        return status;
    walk.text = WEIR_ARENA_ARRAY(arena, char, walk.text_capacity);
    if (walk.text == NULL)
        return weir__candid_no_memory(error);
    put(&walk, "(");
    for (uint64_t i = 0; status == WEIR_OK && i < count; i++) {
        put(&walk, i == 0 ? "" : ", ");
        status = visit_value(&walk, types[i]);
    }
    put(&walk, ")");
    if (status == WEIR_OK && walk.at != size)
        status = bad(&walk, "bytes behind the last value");
    if (status == WEIR_OK && walk.is_refused)
        status = weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                "its text is longer than what is printed");
    if (status != WEIR_OK)
        return status;
    *ret_text = (struct weir_candid_text){walk.text, walk.text_size};
    return WEIR_OK;
}

enum weir_status weir_candid_field(const uint8_t *bytes, size_t size, const char *name,
                                   struct weir_arena *arena, uint64_t *ret_value,
                                   struct weir_error *error)
{
    struct walk walk = {.bytes = bytes, .size = size, .arena = arena, .error = error};
    int64_t *types = NULL;
    uint64_t count = 0;
    enum weir_status status = read_arguments(&walk, &types, &count);
    if (status != WEIR_OK)
        return status;
    uint32_t id = weir_candid_hash(name, strlen(name));
    const struct type *record =
        count > 0 && types[0] >= 0 && walk.types[types[0]].code == CANDID_RECORD
            ? &walk.types[types[0]]
            : NULL;
    for (uint32_t i = 0; record != NULL && i < record->field_count; i++) {
        struct weir__number number;
        if (record->fields[i].id != id) {
            status = visit_value(&walk, record->fields[i].type);
        } else if (record->fields[i].type == CANDID_NAT) {
            status = weir__number_decode((struct weir__bytes){bytes, size}, &walk.at, false, arena,
                                         &number, error);
            if (status == WEIR_OK && weir__number_fits(&number, 8, false, ret_value))
                return WEIR_OK;
            break;
        }
        if (status != WEIR_OK)
            return status;
    }
    return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "no field %s of type nat", name);
}
