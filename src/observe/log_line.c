/* Every byte goes through put(), which leaves room for the end of the line. */
#include "observe/log_line.h"

#include "base/check.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define END_ROOM 20 /* `"` `,"cut":true` `}` and the line feed */

static bool has_room(struct weir_log_line *line, size_t size)
{
    if (!line->is_cut && line->size + size + END_ROOM <= line->capacity)
        return true;
    line->is_cut = true;
    return false;
}

static bool put(struct weir_log_line *line, const char *bytes, size_t size)
{
    if (!has_room(line, size))
        return false;
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
    return true;
}

void weir_log_line_begin(struct weir_log_line *line, enum weir_log_form form, char *text,
                         size_t capacity)
{
    WEIR_DASSERT(capacity >= WEIR_LOG_LINE_MIN);
    *line = (struct weir_log_line){.form = form, .text = text, .capacity = capacity};
    if (form == WEIR_LOG_JSON)
        (void)put(line, "{", 1);
}

/* `,"key":`, ` key=` or a space; all or nothing. */
static bool put_key(struct weir_log_line *line, const char *key)
{
    char text[64];
    bool is_first = line->size <= (line->form == WEIR_LOG_JSON);
    int size;
    if (line->form == WEIR_LOG_JSON)
        size = snprintf(text, sizeof text, "%s\"%s\":", is_first ? "" : ",", key);
    else if (line->form == WEIR_LOG_LOGFMT)
        size = snprintf(text, sizeof text, "%s%s=", is_first ? "" : " ", key);
    else
        size = snprintf(text, sizeof text, "%s", is_first ? "" : " ");
    WEIR_DASSERT(size >= 0 && (size_t)size < sizeof text);
    return put(line, text, (size_t)size);
}

/* --- values -------------------------------------------------------------------------------- */

static bool is_bare(const char *value)
{
    if (value[0] == 0)
        return false;
    for (const char *c = value; *c != 0; c++)
        if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '=' || *c == '\\')
            return false;
    return true;
}

static bool put_escape(struct weir_log_line *line, const char *format, unsigned value)
{
    char text[8];
    int size = snprintf(text, sizeof text, format, value);
    return put(line, text, (size_t)size);
}

/* The next character of a JSON string, well-formed UTF-8 or U+FFFD; returns the bytes used, 0: the
 * line is full. */
static size_t put_json_char(struct weir_log_line *line, const char *at, size_t left)
{
    unsigned char c = (unsigned char)*at;
    if (c == '"' || c == '\\')
        return put(line, (const char[]){'\\', (char)c}, 2) ? 1 : 0;
    if (c < 0x20 || c == 0x7f)
        return put_escape(line, "\\u%04x", c) ? 1 : 0;
    if (c < 0x80)
        return put(line, at, 1) ? 1 : 0;
    size_t size = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (size > left || weir_utf8_valid_prefix((const uint8_t *)at, size) != size)
        return put(line, "\\ufffd", 6) ? 1 : 0;
    return put(line, at, size) ? size : 0;
}

static bool put_json(struct weir_log_line *line, const char *value)
{
    size_t left = strlen(value), used = 1;
    if (!put(line, "\"", 1))
        return false;
    for (; left > 0 && used > 0; value += used, left -= used)
        used = put_json_char(line, value, left);
    line->text[line->size++] = '"'; /* END_ROOM */
    return true;
}

/* Words for people: what could end the line or command a terminal is shown as a space, bytes that
 * are no text as question marks. */
static void put_plain(struct weir_log_line *line, const char *value)
{
    size_t left = strlen(value), size = 1;
    for (; left > 0; value += size, left -= size) {
        unsigned char c = (unsigned char)*value;
        size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        const char *shown = value;
        if (size > left || weir_utf8_valid_prefix((const uint8_t *)value, size) != size) {
            size = 1;
            shown = "?";
        } else if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)value[1] < 0xa0)) {
            shown = "  ";
        }
        if (!put(line, shown, size))
            return;
    }
}

void weir_log_line_text(struct weir_log_line *line, const char *key, const char *value)
{
    size_t before = line->size;
    if (!put_key(line, key))
        return;
    bool is_plain =
        line->form == WEIR_LOG_TEXT || (line->form == WEIR_LOG_LOGFMT && is_bare(value));
    if (is_plain)
        put_plain(line, value);
    else if (!put_json(line, value))
        line->size = before;
}

void weir_log_line_number(struct weir_log_line *line, const char *key, uint64_t value)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    size_t before = line->size;
    if (put_key(line, key) && !put(line, text, (size_t)size))
        line->size = before;
}

void weir_log_line_word(struct weir_log_line *line, const char *value)
{
    if (line->size > 0)
        (void)put(line, " ", 1);
    if (value == NULL || value[0] == 0)
        value = "-";
    bool goes_on = true;
    for (const char *c = value; *c != 0 && goes_on; c++)
        goes_on = *c <= ' ' || *c >= 0x7f ? put_escape(line, "\\x%02x", (unsigned char)*c)
                                          : put(line, c, 1);
}

void weir_log_line_quoted(struct weir_log_line *line, const char *value)
{
    bool goes_on = put(line, line->size > 0 ? " \"" : "\"", line->size > 0 ? 2 : 1);
    if (!goes_on)
        return;
    if (value == NULL || value[0] == 0)
        value = "-";
    for (const char *c = value; *c != 0 && goes_on; c++) {
        if (*c == '"' || *c == '\\')
            goes_on = put(line, (const char[]){'\\', *c}, 2);
        else if (*c < ' ' || *c >= 0x7f)
            goes_on = put_escape(line, "\\x%02x", (unsigned char)*c);
        else
            goes_on = put(line, c, 1);
    }
    line->text[line->size++] = '"'; /* END_ROOM */
}

/* --- the end ------------------------------------------------------------------------------- */

static void append(struct weir_log_line *line, const char *text)
{
    size_t size = strlen(text);
    WEIR_ASSERT(line->size + size <= line->capacity);
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

size_t weir_log_line_end(struct weir_log_line *line)
{
    if (line->form == WEIR_LOG_JSON)
        append(line, line->is_cut ? ",\"cut\":true}" : "}");
    else if (line->is_cut)
        append(line, line->form == WEIR_LOG_LOGFMT ? " cut=true" : " ...");
    append(line, "\n");
    return line->size;
}

void weir_log_time(uint64_t unix_ns, char ret_text[WEIR_LOG_TIME_SIZE])
{
    time_t seconds = (time_t)(unix_ns / UINT64_C(1000000000));
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    size_t size = strftime(ret_text, WEIR_LOG_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(ret_text + size, WEIR_LOG_TIME_SIZE - size, ".%03uZ",
                   (unsigned)(unix_ns / 1000000 % 1000));
}

void weir_log_time_apache(uint64_t unix_ns, char ret_text[WEIR_LOG_TIME_SIZE])
{
    time_t seconds = (time_t)(unix_ns / UINT64_C(1000000000));
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    /* Not strftime's %b: months in English whatever the locale. */
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    (void)snprintf(ret_text, WEIR_LOG_TIME_SIZE, "[%02u/%.3s/%04u:%02u:%02u:%02u +0000]",
                   (unsigned)utc.tm_mday % 100, MONTHS + 3 * (size_t)utc.tm_mon,
                   (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)utc.tm_hour % 100,
                   (unsigned)utc.tm_min % 100, (unsigned)utc.tm_sec % 100);
}
