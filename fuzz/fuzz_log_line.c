/* Values of any bytes in every form of a log's line: one line, of the form, within its room. The
 * first two bytes are the capacity, the rest the values, separated by zero bytes. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "observe/log_line.h"

static void check_json(const char *text, size_t size, const char *first)
{
    json_t *object = json_loadb(text, size, 0, NULL);
    WEIR_ASSERT(json_is_object(object));
    WEIR_ASSERT(json_object_get(object, "cut") != NULL || first == NULL ||
                json_object_get(object, "first") != NULL);
    json_decref(object);
}

/* What stands in quotes ends where it should: outside there are no others. */
static void check_quoted(const char *text, size_t size)
{
    bool is_in = false;
    for (size_t i = 0; i < size; i++) {
        if (is_in && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            is_in = !is_in;
        WEIR_ASSERT(i < size && (text[i] != '\n' || i == size - 1));
    }
    WEIR_ASSERT(!is_in);
}

static void check_form(enum weir_log_form form, const char *values, const char *end,
                       size_t capacity)
{
    char *text = malloc(capacity);
    struct weir_log_line line;
    const char *first = NULL;
    WEIR_ASSERT(text != NULL);
    weir_log_line_begin(&line, form, text, capacity);
    for (const char *at = values; at < end; at += strlen(at) + 1) {
        weir_log_line_text(&line, first == NULL ? "first" : "more", at);
        first = first == NULL ? at : first;
    }
    weir_log_line_number(&line, "number", (uint64_t)(end - values));
    size_t size = weir_log_line_end(&line);
    WEIR_ASSERT(size > 0 && size <= capacity && text[size - 1] == '\n');
    WEIR_ASSERT(memchr(text, '\n', size) == text + size - 1);
    if (form == WEIR_LOG_JSON)
        check_json(text, size, first);
    if (form == WEIR_LOG_LOGFMT)
        check_quoted(text, size);
    free(text);
}

static void check_apache(const char *values, const char *end, size_t capacity)
{
    char *text = malloc(capacity);
    struct weir_log_line line;
    WEIR_ASSERT(text != NULL);
    weir_log_line_begin(&line, WEIR_LOG_TEXT, text, capacity);
    for (const char *at = values; at < end; at += strlen(at) + 1)
        weir_log_line_quoted(&line, at);
    size_t size = weir_log_line_end(&line);
    WEIR_ASSERT(size <= capacity);
    check_quoted(text, size);
    for (size_t i = 0; i + 1 < size; i++)
        WEIR_ASSERT(text[i] >= ' ' && text[i] < 0x7f);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t capacity = WEIR_LOG_LINE_MIN + (data[0] | (size_t)data[1] << 8) % 2000;
    char *values = malloc(size - 1);
    WEIR_ASSERT(values != NULL);
    memcpy(values, data + 2, size - 2);
    values[size - 2] = 0;
    const char *end = values + size - 1;
    for (int form = WEIR_LOG_TEXT; form <= WEIR_LOG_JSON; form++)
        check_form((enum weir_log_form)form, values, end, capacity);
    check_apache(values, end, capacity);
    free(values);
    return 0;
}
