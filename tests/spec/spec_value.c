/* Values: from wast2json's decimal strings to bits, and the comparison that knows the two classes
 * of NaN that the specification leaves open. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

#define F32_EXPONENT UINT32_C(0x7f800000)
#define F32_QUIET UINT32_C(0x7fc00000) /* exponent and the highest bit of the payload */
#define F64_EXPONENT UINT64_C(0x7ff0000000000000)
#define F64_QUIET UINT64_C(0x7ff8000000000000)
#define F32_SIGN_MASK UINT32_C(0x7fffffff)
#define F64_SIGN_MASK UINT64_C(0x7fffffffffffffff)

_Noreturn static void fail(const char *text)
{
    (void)fprintf(stderr, "weir-spec: a value of an unknown form: %s\n", text);
    exit(2);
}

static const char *text_of(const json_t *value, const char *key)
{
    const char *text = json_string_value(json_object_get(value, key));
    if (text == NULL)
        fail(key);
    return text;
}

static enum weir_type type_named(const char *name)
{
    static const struct {
        const char *name;
        enum weir_type type;
    } types[] = {
        {"i32", WEIR_TYPE_I32},
        {"i64", WEIR_TYPE_I64},
        {"f32", WEIR_TYPE_F32},
        {"f64", WEIR_TYPE_F64},
        {"v128", WEIR_TYPE_V128},
        {"funcref", WEIR_TYPE_FUNCREF},
        {"externref", WEIR_TYPE_EXTERNREF},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(name, types[i].name) == 0)
            return types[i].type;
    }
    fail(name);
}

static uint64_t parse_bits(const char *text)
{
    char *end;
    uint64_t bits = strtoull(text, &end, 10);
    if (*end != 0 || end == text)
        fail(text);
    return bits;
}

/* A lane of a vector: its width in bytes, and whether it is a float (NaN classes apply). */
struct lane {
    size_t bytes;
    bool is_float;
};

static struct lane lane_of(const json_t *vector)
{
    const char *name = text_of(vector, "lane_type");
    struct lane lane = {0, name[0] == 'f'};
    if (strcmp(name, "i8") == 0)
        lane.bytes = 1;
    else if (strcmp(name, "i16") == 0)
        lane.bytes = 2;
    else if (strcmp(name, "i32") == 0 || strcmp(name, "f32") == 0)
        lane.bytes = 4;
    else if (strcmp(name, "i64") == 0 || strcmp(name, "f64") == 0)
        lane.bytes = 8;
    else
        fail(name);
    return lane;
}

static const char *lane_text(const json_t *vector, size_t index)
{
    const char *text = json_string_value(json_array_get(json_object_get(vector, "value"), index));
    if (text == NULL)
        fail("a lane is missing");
    return text;
}

union weir_value spec_value_parse(const json_t *value, enum weir_type *ret_type)
{
    union weir_value result = {0};
    *ret_type = type_named(text_of(value, "type"));
    if (*ret_type == WEIR_TYPE_V128) {
        struct lane lane = lane_of(value);
        for (size_t i = 0; i < 16 / lane.bytes; i++) {
            uint64_t bits = parse_bits(lane_text(value, i));
            memcpy(result.v128 + i * lane.bytes, &bits, lane.bytes);
        }
        return result;
    }
    const char *text = text_of(value, "value");
    if (strcmp(text, "null") == 0)
        return result;
    uint64_t bits = parse_bits(text);
    switch (*ret_type) {
    case WEIR_TYPE_I32:
    case WEIR_TYPE_F32:
        result.f32_bits = (uint32_t)bits;
        break;
    case WEIR_TYPE_EXTERNREF:
        /* (ref.extern 0) is not null. */
        result.externref = (void *)(uintptr_t)(bits + 1);
        break;
    case WEIR_TYPE_FUNCREF:
        fail("a function reference as argument");
    default:
        result.f64_bits = bits;
    }
    return result;
}

static bool float_matches(const char *expected, size_t bytes, uint64_t got)
{
    uint64_t quiet = bytes == 4 ? F32_QUIET : F64_QUIET;
    uint64_t magnitude = got & (bytes == 4 ? F32_SIGN_MASK : F64_SIGN_MASK);
    if (strcmp(expected, "nan:canonical") == 0)
        return magnitude == quiet;
    if (strcmp(expected, "nan:arithmetic") == 0)
        return (magnitude & quiet) == quiet;
    return parse_bits(expected) == got;
}

static bool vector_matches(const json_t *expected, union weir_value got)
{
    struct lane lane = lane_of(expected);
    for (size_t i = 0; i < 16 / lane.bytes; i++) {
        uint64_t bits = 0;
        memcpy(&bits, got.v128 + i * lane.bytes, lane.bytes);
        const char *text = lane_text(expected, i);
        if (lane.is_float ? !float_matches(text, lane.bytes, bits) : parse_bits(text) != bits)
            return false;
    }
    return true;
}

bool spec_value_matches(const json_t *expected, enum weir_type type, union weir_value got)
{
    if (type_named(text_of(expected, "type")) != type)
        return false;
    if (type == WEIR_TYPE_V128)
        return vector_matches(expected, got);
    const char *text = text_of(expected, "value");
    switch (type) {
    case WEIR_TYPE_F32:
        return float_matches(text, 4, got.f32_bits);
    case WEIR_TYPE_F64:
        return float_matches(text, 8, got.f64_bits);
    case WEIR_TYPE_I32:
        return parse_bits(text) == got.f32_bits;
    case WEIR_TYPE_FUNCREF:
        /* The script can only ask for null or for any function. */
        return (strcmp(text, "null") == 0) == (got.funcref == NULL);
    case WEIR_TYPE_EXTERNREF:
        if (strcmp(text, "null") == 0)
            return got.externref == NULL;
        return (uintptr_t)got.externref == parse_bits(text) + 1;
    default:
        return parse_bits(text) == got.f64_bits;
    }
}

void spec_value_print(char *to, size_t size, enum weir_type type, union weir_value value)
{
    switch (type) {
    case WEIR_TYPE_I32:
        (void)snprintf(to, size, "i32 %" PRIu32, value.f32_bits);
        break;
    case WEIR_TYPE_I64:
        (void)snprintf(to, size, "i64 %" PRIu64, value.f64_bits);
        break;
    case WEIR_TYPE_F32:
        (void)snprintf(to, size, "f32 %" PRIu32 " (%a)", value.f32_bits, (double)value.f32);
        break;
    case WEIR_TYPE_F64:
        (void)snprintf(to, size, "f64 %" PRIu64 " (%a)", value.f64_bits, value.f64);
        break;
    case WEIR_TYPE_V128: {
        uint64_t halves[2];
        memcpy(halves, value.v128, sizeof halves);
        (void)snprintf(to, size, "v128 %016" PRIx64 " %016" PRIx64, halves[1], halves[0]);
        break;
    }
    default:
        (void)snprintf(to, size, "%s %p", type == WEIR_TYPE_FUNCREF ? "funcref" : "externref",
                       value.externref);
    }
}

void spec_value_print_expected(char *to, size_t size, const json_t *expected)
{
    const char *type = text_of(expected, "type");
    const json_t *value = json_object_get(expected, "value");
    if (!json_is_array(value)) {
        (void)snprintf(to, size, "%s %s", type, json_string_value(value));
        return;
    }
    int used = snprintf(to, size, "%s %s", type, text_of(expected, "lane_type"));
    for (size_t i = 0; i < json_array_size(value) && used > 0 && (size_t)used < size; i++)
        used += snprintf(to + used, size - (size_t)used, " %s", lane_text(expected, i));
}
