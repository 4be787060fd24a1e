/* Strings, numbers, booleans and times of TOML 1.0 (toml.io/en/v1.0.0). */
#include "govern/toml_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void weir__toml_put(struct weir__toml *toml, char byte)
{
    if (toml->text_size + 1 < sizeof toml->text)
        toml->text[toml->text_size++] = byte;
    else
        toml->is_cut = true;
    toml->text[toml->text_size] = 0;
}

/* --- strings ------------------------------------------------------------------------------- */

static void put_scalar_value(struct weir__toml *toml, uint32_t c)
{
    if (c < 0x80) {
        weir__toml_put(toml, (char)c);
        return;
    }
    unsigned tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char LEADS[] = {0, 0xc0, 0xe0, 0xf0};
    weir__toml_put(toml, (char)(LEADS[tail] | c >> (6 * tail)));
    while (tail-- > 0)
        weir__toml_put(toml, (char)(0x80 | (c >> (6 * tail) & 0x3f)));
}

static enum weir_status read_unicode(struct weir__toml *toml, int digits)
{
    uint32_t value = 0;
    for (int i = 0; i < digits; i++, toml->at++) {
        if (toml->at == toml->end || !isxdigit((unsigned char)*toml->at))
            return weir__toml_fail(toml, "an escape needs %d hexadecimal digits", digits);
        int c = tolower((unsigned char)*toml->at);
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return weir__toml_fail(toml, "an escape is no Unicode character");
    put_scalar_value(toml, value);
    return WEIR_OK;
}

/* Behind a backslash at a line's end: everything up to the next character goes. */
static bool skip_line_end(struct weir__toml *toml)
{
    const char *at = toml->at;
    while (at < toml->end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    if (at == toml->end || *at != '\n')
        return false;
    for (; at < toml->end && strchr(" \t\r\n", *at) != NULL && *at != 0; at++)
        toml->line += *at == '\n';
    toml->at = at;
    return true;
}

static enum weir_status read_escape(struct weir__toml *toml, bool is_multi)
{
    static const char NAMES[] = "btnfr\"\\";
    static const char BYTES[] = "\b\t\n\f\r\"\\";
    toml->at++;
    if (is_multi && skip_line_end(toml))
        return WEIR_OK;
    if (toml->at == toml->end)
        return weir__toml_fail(toml, "the file ends in a string");
    char c = *toml->at++;
    if (c == 'u' || c == 'U')
        return read_unicode(toml, c == 'u' ? 4 : 8);
    const char *name = c != 0 ? strchr(NAMES, c) : NULL;
    if (name == NULL)
        return weir__toml_fail(toml, "unknown escape in a string; write \\\\ for a backslash");
    weir__toml_put(toml, BYTES[name - NAMES]);
    return WEIR_OK;
}

static bool starts_with(const struct weir__toml *toml, char quote, size_t count)
{
    if ((size_t)(toml->end - toml->at) < count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (toml->at[i] != quote)
            return false;
    return true;
}

/* One character of the inside. */
static enum weir_status read_char(struct weir__toml *toml, char quote, bool is_multi)
{
    unsigned char c = (unsigned char)*toml->at;
    if (c == '\\' && quote == '"')
        return read_escape(toml, is_multi);
    if (c == '\n') {
        if (!is_multi)
            return weir__toml_fail(toml, "a string does not end in its line");
        toml->line++;
    } else if (c == '\r' && toml->at + 1 < toml->end && toml->at[1] == '\n' && is_multi) {
        c = '\r';
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
        return weir__toml_fail(toml, "control character 0x%02x in a string", c);
    }
    weir__toml_put(toml, (char)c);
    toml->at++;
    return WEIR_OK;
}

enum weir_status weir__toml_string(struct weir__toml *toml, bool is_key)
{
    char quote = *toml->at;
    bool is_multi = starts_with(toml, quote, 3);
    if (is_multi && is_key)
        return weir__toml_fail(toml, "a key cannot be a multi-line string");
    toml->at += is_multi ? 3 : 1;
    toml->text_size = 0;
    toml->text[0] = 0;
    toml->is_cut = false;
    if (is_multi && toml->at < toml->end && *toml->at == '\r' && toml->end - toml->at > 1 &&
        toml->at[1] == '\n')
        toml->at++;
    if (is_multi && toml->at < toml->end && *toml->at == '\n') {
        toml->at++;
        toml->line++;
    }
    while (toml->at < toml->end) {
        if (starts_with(toml, quote, is_multi ? 3 : 1)) {
            /* Up to two quotes may stand before the three that end it. */
            for (int i = 0; is_multi && i < 2 && starts_with(toml, quote, 4); i++, toml->at++)
                weir__toml_put(toml, quote);
            toml->at += is_multi ? 3 : 1;
            return WEIR_OK;
        }
        enum weir_status status = read_char(toml, quote, is_multi);
        if (status != WEIR_OK)
            return status;
    }
    return weir__toml_fail(toml, "the file ends in a string");
}

/* --- numbers ------------------------------------------------------------------------------- */

/* Digits of `base` with single underscores between them; copies them to `to` without. */
static const char *digits(const char *at, int base, char *to, size_t *size)
{
    bool was_digit = false;
    for (; *at != 0; at++) {
        int c = tolower((unsigned char)*at);
        int value = isdigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
        if (value < base) {
            to[(*size)++] = (char)c;
            was_digit = true;
        } else if (c == '_' && was_digit && isxdigit((unsigned char)at[1])) {
            was_digit = false;
        } else {
            break;
        }
    }
    return was_digit ? at : NULL;
}

static bool read_integer(const char *text, int64_t *ret_integer)
{
    char plain[WEIR_TOML_TEXT_SIZE + 1];
    size_t size = 0;
    const char *at = text;
    int base = 10;
    if (at[0] == '0' && at[1] != 0) {
        base = at[1] == 'x' ? 16 : at[1] == 'o' ? 8 : at[1] == 'b' ? 2 : 0;
        if (base == 0)
            return false; /* a leading zero */
        at += 2;
    } else if (*at == '+' || *at == '-') {
        plain[size++] = *at++;
        if (at[0] == '0' && at[1] != 0)
            return false;
    }
    at = digits(at, base, plain, &size);
    if (at == NULL || *at != 0)
        return false;
    plain[size] = 0;
    errno = 0;
    long long value = strtoll(plain, NULL, base);
    *ret_integer = value;
    return errno == 0;
}

static bool is_float(const char *at)
{
    char plain[WEIR_TOML_TEXT_SIZE + 1];
    size_t size = 0;
    at += *at == '+' || *at == '-';
    if (strcmp(at, "inf") == 0 || strcmp(at, "nan") == 0)
        return true;
    if (at[0] == '0' && isdigit((unsigned char)at[1]))
        return false;
    at = digits(at, 10, plain, &size);
    if (at == NULL || *at == 0)
        return false;
    if (*at == '.')
        at = digits(at + 1, 10, plain, &size);
    if (at != NULL && (*at == 'e' || *at == 'E')) {
        at++;
        at = digits(at + (*at == '+' || *at == '-'), 10, plain, &size);
    }
    return at != NULL && *at == 0;
}

/* --- times --------------------------------------------------------------------------------- */

/* `pattern`: 'd' is a digit, 'T' is T, t or a space, everything else itself. */
static const char *match(const char *text, const char *pattern)
{
    for (; *pattern != 0; text++, pattern++) {
        bool fits = *pattern == 'd'   ? isdigit((unsigned char)*text)
                    : *pattern == 'T' ? *text == 'T' || *text == 't' || *text == ' '
                                      : *text == *pattern;
        if (!fits)
            return NULL;
    }
    return text;
}

static int two(const char *text)
{
    return (text[0] - '0') * 10 + (text[1] - '0');
}

/* hh:mm:ss[.f] */
static const char *match_clock(const char *text)
{
    const char *at = match(text, "dd:dd:dd");
    if (at == NULL || two(text) > 23 || two(text + 3) > 59 || two(text + 6) > 60)
        return NULL;
    if (*at == '.') {
        if (!isdigit((unsigned char)*++at))
            return NULL;
        while (isdigit((unsigned char)*at))
            at++;
    }
    return at;
}

static bool is_time(const char *text)
{
    const char *at = match(text, "dddd-dd-dd");
    if (at == NULL) {
        at = match_clock(text);
        return at != NULL && *at == 0;
    }
    static const int DAYS[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int month = two(text + 5), day = two(text + 8);
    if (month < 1 || month > 12 || day < 1 || day > DAYS[month - 1])
        return false;
    if (*at == 0)
        return true;
    at = match(at, "T");
    at = at != NULL ? match_clock(at) : NULL;
    if (at == NULL || *at == 0)
        return at != NULL;
    if (*at == 'Z' || *at == 'z')
        return at[1] == 0;
    if (*at != '+' && *at != '-')
        return false;
    const char *zone = at + 1;
    at = match(zone, "dd:dd");
    return at != NULL && *at == 0 && two(zone) <= 23 && two(zone + 3) <= 59;
}

/* --- scalars ------------------------------------------------------------------------------- */

static bool is_scalar_char(char c)
{
    return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '_' || c == '.' || c == ':';
}

enum weir_status weir__toml_scalar(struct weir__toml *toml, struct weir_toml_value *ret_value)
{
    toml->text_size = 0;
    toml->text[0] = 0;
    toml->is_cut = false;
    while (toml->at < toml->end && is_scalar_char(*toml->at))
        weir__toml_put(toml, *toml->at++);
    /* "1979-05-27 07:32:00": the only scalar with a space. */
    const char *date_end = match(toml->text, "dddd-dd-dd");
    if (date_end != NULL && *date_end == 0 && toml->end - toml->at > 1 && *toml->at == ' ' &&
        isdigit((unsigned char)toml->at[1]))
        do
            weir__toml_put(toml, *toml->at++);
        while (toml->at < toml->end && is_scalar_char(*toml->at));
    const char *text = toml->text;
    *ret_value = (struct weir_toml_value){.text = text, .line = toml->line};
    if (text[0] == 0)
        return weir__toml_fail(toml, "a value is missing");
    if (toml->is_cut)
        return weir__toml_fail(toml, "\"%.20s...\" is no value", text);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        ret_value->type = WEIR_TOML_BOOLEAN;
    else if (read_integer(text, &ret_value->integer))
        ret_value->type = WEIR_TOML_INTEGER;
    else if (is_float(text))
        ret_value->type = WEIR_TOML_FLOAT;
    else if (is_time(text))
        ret_value->type = WEIR_TOML_TIME;
    else
        return weir__toml_fail(toml, "\"%.40s\" is no value; strings need quotes", text);
    return WEIR_OK;
}
