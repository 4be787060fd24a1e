/* Parsing and showing sizes and durations. Numbers are kept as digits and a power of ten, never as
 * floating point, so that 0.1 of a unit is exact and overflow is seen. */
#include "base/sizes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"

/* Of a fraction; more digits than this cannot change a result that is rounded down to 1. */
#define FRACTION_DIGITS_MAX 18
#define SHOWN_MAX 40

__extension__ typedef unsigned __int128 wide;

struct unit {
    const char *name;
    uint64_t scale;
};

struct grammar {
    const char *what; /* "size" */
    const char *rule;
    const struct unit *units;
    size_t unit_count;
};

#define KIB 1024ull

static const struct unit size_units[] = {
    {"B", 1},
    {"K", KIB},
    {"KB", KIB},
    {"KiB", KIB},
    {"M", KIB *KIB},
    {"MB", KIB *KIB},
    {"MiB", KIB *KIB},
    {"G", KIB *KIB *KIB},
    {"GB", KIB *KIB *KIB},
    {"GiB", KIB *KIB *KIB},
    {"T", KIB *KIB *KIB *KIB},
    {"TB", KIB *KIB *KIB *KIB},
    {"TiB", KIB *KIB *KIB *KIB},
};

static const struct unit duration_units[] = {
    {"ns", 1},          {"us", 1000},         {"ms", 1000000},       {"s", 1000000000},
    {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000},
};

static const struct grammar size_grammar = {"size", WEIR_SIZE_GRAMMAR, size_units,
                                            sizeof size_units / sizeof size_units[0]};
static const struct grammar duration_grammar = {"duration", WEIR_DURATION_GRAMMAR, duration_units,
                                                sizeof duration_units / sizeof duration_units[0]};

struct number {
    uint64_t whole;
    uint64_t fraction;       /* as digits */
    uint64_t fraction_scale; /* 10 to the number of digits; 1 without fraction */
};

struct reader {
    const struct grammar *grammar;
    const char *text;
    size_t length;
    size_t at;
    struct weir_error *error;
};

static enum weir_status wrong(const struct reader *reader, const char *reason)
{
    int shown = reader->length < SHOWN_MAX ? (int)reader->length : SHOWN_MAX;
    return weir_error_set(reader->error, WEIR_INVALID_ARGUMENT, reader->at,
                          "\"%.*s\" is not a %s: %s; write %s", shown, reader->text,
                          reader->grammar->what, reason, reader->grammar->rule);
}

static bool at_digit(const struct reader *reader)
{
    return reader->at < reader->length && reader->text[reader->at] >= '0' &&
           reader->text[reader->at] <= '9';
}

static enum weir_status read_fraction(struct reader *reader, struct number *number)
{
    reader->at++; /* the point */
    if (!at_digit(reader))
        return wrong(reader, "digits must follow the point");
    for (unsigned count = 0; at_digit(reader); reader->at++, count++) {
        if (count >= FRACTION_DIGITS_MAX)
            continue;
        number->fraction = number->fraction * 10 + (uint64_t)(reader->text[reader->at] - '0');
        number->fraction_scale *= 10;
    }
    return WEIR_OK;
}

static enum weir_status read_number(struct reader *reader, struct number *number)
{
    if (!at_digit(reader)) {
        bool sign = reader->length > 0 && (reader->text[0] == '-' || reader->text[0] == '+');
        return wrong(reader, reader->length == 0 ? "it is empty"
                             : sign              ? "a sign is not allowed"
                                                 : "it does not start with a digit");
    }
    for (; at_digit(reader); reader->at++) {
        uint64_t digit = (uint64_t)(reader->text[reader->at] - '0');
        if (!weir_mul_u64(number->whole, 10, &number->whole) ||
            !weir_add_u64(number->whole, digit, &number->whole))
            return wrong(reader, "it does not fit 64 bits");
    }
    if (reader->at < reader->length && reader->text[reader->at] == '.')
        return read_fraction(reader, number);
    return WEIR_OK;
}

static const struct unit *find_unit(const struct reader *reader)
{
    const char *name = reader->text + reader->at;
    size_t length = reader->length - reader->at;
    for (size_t i = 0; i < reader->grammar->unit_count; i++) {
        const struct unit *unit = &reader->grammar->units[i];
        if (strlen(unit->name) == length && strncasecmp(unit->name, name, length) == 0)
            return unit;
    }
    return NULL;
}

static enum weir_status scale(const struct reader *reader, const struct number *number,
                              uint64_t unit, uint64_t *ret)
{
    wide value = (wide)number->whole * unit;
    value += (wide)number->fraction * unit / number->fraction_scale;
    if (value > UINT64_MAX)
        return wrong(reader, "it does not fit 64 bits");
    *ret = (uint64_t)value;
    return WEIR_OK;
}

enum weir_status weir_size_parse(const char *text, size_t length, uint64_t *ret_bytes,
                                 struct weir_error *error)
{
    struct reader reader = {&size_grammar, text, length, 0, error};
    struct number number = {0, 0, 1};
    enum weir_status status = read_number(&reader, &number);
    if (status != WEIR_OK)
        return status;
    if (reader.at == length) {
        if (number.fraction_scale != 1)
            return wrong(&reader, "bytes without a unit are whole");
        *ret_bytes = number.whole;
        return WEIR_OK;
    }
    const struct unit *unit = find_unit(&reader);
    if (unit == NULL)
        return wrong(&reader, "the text behind the number is no unit");
    return scale(&reader, &number, unit->scale, ret_bytes);
}

enum weir_status weir_duration_parse(const char *text, size_t length, uint64_t *ret_ns,
                                     struct weir_error *error)
{
    struct reader reader = {&duration_grammar, text, length, 0, error};
    struct number number = {0, 0, 1};
    enum weir_status status = read_number(&reader, &number);
    if (status != WEIR_OK)
        return status;
    if (reader.at == length) {
        if (number.whole != 0 || number.fraction != 0)
            return wrong(&reader, "the unit is missing");
        *ret_ns = 0;
        return WEIR_OK;
    }
    const struct unit *unit = find_unit(&reader);
    if (unit == NULL)
        return wrong(&reader, "the text behind the number is no unit");
    return scale(&reader, &number, unit->scale, ret_ns);
}

/* The value in tenths of a unit as it will be shown: rounded to a tenth below 100, else to one. */
static wide shown_tenths(uint64_t value, uint64_t unit)
{
    wide tenths = ((wide)value * 10 + unit / 2) / unit;
    return tenths < 1000 ? tenths : ((wide)value + unit / 2) / unit * 10;
}

/* In the largest unit that the shown figure fills: 1023.96 KiB is 1.0 MiB, 973 KiB stays. */
static struct weir_size_text show(uint64_t value, const struct unit *units, size_t count)
{
    struct weir_size_text shown;
    const struct unit *unit = units;
    while (unit + 1 < units + count &&
           shown_tenths(value, unit->scale) * unit->scale >= (wide)unit[1].scale * 10)
        unit++;
    wide tenths = shown_tenths(value, unit->scale);
    if (unit->scale == 1 || tenths >= 1000)
        (void)snprintf(shown.text, sizeof shown.text, "%llu %s", (unsigned long long)(tenths / 10),
                       unit->name);
    else
        (void)snprintf(shown.text, sizeof shown.text, "%u.%u %s", (unsigned)(tenths / 10),
                       (unsigned)(tenths % 10), unit->name);
    return shown;
}

struct weir_size_text weir_size_format(uint64_t bytes)
{
    static const struct unit units[] = {{"B", 1},
                                        {"KiB", KIB},
                                        {"MiB", KIB * KIB},
                                        {"GiB", KIB * KIB * KIB},
                                        {"TiB", KIB * KIB * KIB * KIB}};
    return show(bytes, units, sizeof units / sizeof units[0]);
}

struct weir_size_text weir_duration_format(uint64_t ns)
{
    return show(ns, duration_units, sizeof duration_units / sizeof duration_units[0]);
}
