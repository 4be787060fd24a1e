/* Lines, keys, tables. Which paths exist is kept in one hash table, for TOML forbids to say a thing
 * twice and a configuration that does is usually a slip with consequences. */
#include "govern/toml_internal.h"

#include "base/check.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *weir_toml_type_name(enum weir_toml_type type)
{
    static const char *const NAMES[] = {"a string",  "a whole number", "a number with a fraction",
                                        "a boolean", "a time",         "a list"};
    WEIR_ASSERT((size_t)type < sizeof NAMES / sizeof NAMES[0]);
    return NAMES[type];
}

enum weir_status weir__toml_fail(struct weir__toml *toml, const char *format, ...)
{
    char reason[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return weir_error_set(toml->error, WEIR_MALFORMED, WEIR_NO_OFFSET, "%.64s, line %u: %s",
                          toml->name, toml->line, reason);
}

/* --- space --------------------------------------------------------------------------------- */

static bool is_at(const struct weir__toml *toml, char c)
{
    return toml->at < toml->end && *toml->at == c;
}

static void skip_blanks(struct weir__toml *toml)
{
    while (is_at(toml, ' ') || is_at(toml, '\t'))
        toml->at++;
}

/* A comment, if there is one, up to its line's end. */
static enum weir_status skip_comment(struct weir__toml *toml)
{
    if (!is_at(toml, '#'))
        return WEIR_OK;
    for (; toml->at < toml->end && *toml->at != '\n'; toml->at++) {
        unsigned char c = (unsigned char)*toml->at;
        bool ends_line = c == '\r' && toml->at + 1 < toml->end && toml->at[1] == '\n';
        if (((c < 0x20 && c != '\t') || c == 0x7f) && !ends_line)
            return weir__toml_fail(toml, "control character 0x%02x in a comment", c);
    }
    return WEIR_OK;
}

/* Takes the end of a line; false when something else is there. The file's end is one. */
static bool take_newline(struct weir__toml *toml)
{
    if (toml->at == toml->end)
        return true;
    const char *at = toml->at;
    at += *at == '\r' && at + 1 < toml->end;
    if (*at != '\n')
        return false;
    toml->at = at + 1;
    toml->line++;
    return true;
}

/* Blanks, comments and lines, inside brackets. */
static enum weir_status skip_lines(struct weir__toml *toml)
{
    do {
        skip_blanks(toml);
        enum weir_status status = skip_comment(toml);
        if (status != WEIR_OK)
            return status;
    } while (toml->at < toml->end && take_newline(toml));
    return WEIR_OK;
}

static enum weir_status end_line(struct weir__toml *toml)
{
    skip_blanks(toml);
    enum weir_status status = skip_comment(toml);
    if (status == WEIR_OK && !take_newline(toml))
        return weir__toml_fail(toml, "more text behind the end of a value or header");
    return status;
}

/* --- keys ---------------------------------------------------------------------------------- */

static bool is_bare(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static enum weir_status put_path(struct weir__toml *toml, const char *text, size_t size)
{
    if (toml->path_size + size >= sizeof toml->path)
        return weir__toml_fail(toml, "a key is longer than %u bytes", WEIR_TOML_PATH_BYTES_MAX);
    memcpy(toml->path + toml->path_size, text, size);
    toml->path_size += size;
    toml->path[toml->path_size] = 0;
    return WEIR_OK;
}

/* Appends one part of a key to the path, quoted unless it could stand bare. */
static enum weir_status read_key_part(struct weir__toml *toml)
{
    enum weir_status status = toml->path_size > 0 ? put_path(toml, ".", 1) : WEIR_OK;
    if (status == WEIR_OK && (is_at(toml, '"') || is_at(toml, '\''))) {
        status = weir__toml_string(toml, true);
        if (status == WEIR_OK && (toml->is_cut || memchr(toml->text, 0, toml->text_size) != NULL))
            return weir__toml_fail(toml, "a quoted key is too long or holds a zero");
    } else if (status == WEIR_OK) {
        toml->text_size = 0;
        toml->is_cut = false;
        while (toml->at < toml->end && is_bare(*toml->at))
            weir__toml_put(toml, *toml->at++);
        if (toml->text_size == 0)
            return weir__toml_fail(toml, "a key is missing");
        if (toml->is_cut)
            return weir__toml_fail(toml, "a key is too long");
    }
    if (status != WEIR_OK)
        return status;
    bool needs_quotes = toml->text_size == 0;
    for (size_t i = 0; i < toml->text_size; i++)
        needs_quotes = needs_quotes || !is_bare(toml->text[i]);
    if (needs_quotes)
        status = put_path(toml, "\"", 1);
    if (status == WEIR_OK)
        status = put_path(toml, toml->text, toml->text_size);
    if (status == WEIR_OK && needs_quotes)
        status = put_path(toml, "\"", 1);
    return status;
}

static enum weir_status entry_at(struct weir__toml *toml, struct weir__toml_entry **ret_entry)
{
    *ret_entry = weir__toml_entry(toml->names, toml->path, toml->path_size);
    if (*ret_entry != NULL)
        return WEIR_OK;
    return weir_error_set(toml->error, WEIR_LIMIT, WEIR_NO_OFFSET,
                          "%.64s, line %u: more than %u keys, or no memory for them", toml->name,
                          toml->line, WEIR_TOML_KEYS_MAX);
}

static enum weir_status given_twice(struct weir__toml *toml)
{
    return weir__toml_fail(toml, "%.100s is there already", toml->path);
}

/* Inside an array of tables the path goes on in its last element. */
static enum weir_status enter_element(struct weir__toml *toml, const struct weir__toml_entry *entry)
{
    char index[16];
    int size = snprintf(index, sizeof index, "[%u]", entry->count - 1);
    return put_path(toml, index, (size_t)size);
}

/* --- values -------------------------------------------------------------------------------- */

static enum weir_status read_value(struct weir__toml *toml, bool is_reported);
static enum weir_status read_pair(struct weir__toml *toml, bool is_reported);

static enum weir_status enter_bracket(struct weir__toml *toml)
{
    toml->at++;
    if (++toml->depth > WEIR_TOML_DEPTH_MAX)
        return weir__toml_fail(toml, "brackets are nested deeper than %u", WEIR_TOML_DEPTH_MAX);
    return WEIR_OK;
}

static enum weir_status read_array(struct weir__toml *toml)
{
    enum weir_status status = enter_bracket(toml);
    while (status == WEIR_OK) {
        status = skip_lines(toml);
        if (status != WEIR_OK || is_at(toml, ']'))
            break;
        status = read_value(toml, false);
        if (status == WEIR_OK)
            status = skip_lines(toml);
        if (status != WEIR_OK || is_at(toml, ']'))
            break;
        if (!is_at(toml, ','))
            return weir__toml_fail(toml, "a list needs , or ] here");
        toml->at++;
    }
    if (status != WEIR_OK)
        return status;
    toml->at++;
    toml->depth--;
    return WEIR_OK;
}

static enum weir_status read_inline_table(struct weir__toml *toml, bool is_reported)
{
    enum weir_status status = enter_bracket(toml);
    if (status != WEIR_OK)
        return status;
    skip_blanks(toml);
    while (!is_at(toml, '}')) {
        status = read_pair(toml, is_reported);
        if (status != WEIR_OK)
            return status;
        skip_blanks(toml);
        if (is_at(toml, '}'))
            break;
        if (!is_at(toml, ','))
            return weir__toml_fail(toml, "an inline table needs , or } here");
        toml->at++;
        skip_blanks(toml);
        if (is_at(toml, '}'))
            return weir__toml_fail(toml, "an inline table ends without a comma");
    }
    toml->at++;
    toml->depth--;
    return WEIR_OK;
}

static enum weir_status read_value(struct weir__toml *toml, bool is_reported)
{
    struct weir_toml_value value = {.line = toml->line};
    enum weir_status status;
    if (is_at(toml, '{'))
        return read_inline_table(toml, is_reported);
    if (is_at(toml, '[')) {
        value.type = WEIR_TOML_ARRAY;
        status = read_array(toml);
        toml->text[0] = 0;
    } else if (is_at(toml, '"') || is_at(toml, '\'')) {
        value.type = WEIR_TOML_STRING;
        status = weir__toml_string(toml, false);
        value.is_cut = toml->is_cut;
    } else {
        status = weir__toml_scalar(toml, &value);
    }
    if (status != WEIR_OK || !is_reported)
        return status;
    value.text = toml->text;
    return toml->handler(toml->context, toml->path, &value, toml->error);
}

/* Within a list nothing has a path of its own: keys are read, not remembered. */
static enum weir_status remember_key(struct weir__toml *toml, bool is_last)
{
    struct weir__toml_entry *entry;
    enum weir_status status = entry_at(toml, &entry);
    if (status != WEIR_OK)
        return status;
    if (is_last) {
        if (entry->node != WEIR__TOML_NONE)
            return given_twice(toml);
        entry->node = WEIR__TOML_VALUE;
        return WEIR_OK;
    }
    if (entry->node != WEIR__TOML_NONE && entry->node != WEIR__TOML_DOTTED)
        return given_twice(toml);
    entry->node = WEIR__TOML_DOTTED;
    return WEIR_OK;
}

/* a.b = value; the path is as before when it returns. */
static enum weir_status read_pair(struct weir__toml *toml, bool is_reported)
{
    size_t base = toml->path_size;
    enum weir_status status;
    for (;;) {
        status = read_key_part(toml);
        if (status != WEIR_OK)
            return status;
        skip_blanks(toml);
        bool is_last = !is_at(toml, '.');
        status = is_reported ? remember_key(toml, is_last) : WEIR_OK;
        if (status != WEIR_OK)
            return status;
        if (is_last)
            break;
        toml->at++;
        skip_blanks(toml);
    }
    if (!is_at(toml, '='))
        return weir__toml_fail(toml, "%.100s needs = and a value", toml->path);
    toml->at++;
    skip_blanks(toml);
    status = read_value(toml, is_reported);
    toml->path_size = base;
    toml->path[base] = 0;
    return status;
}

/* --- headers ------------------------------------------------------------------------------- */

/* The last part of [a.b] or [[a.b]]. */
static enum weir_status define(struct weir__toml *toml, bool is_array)
{
    struct weir__toml_entry *entry;
    enum weir_status status = entry_at(toml, &entry);
    if (status != WEIR_OK)
        return status;
    if (is_array) {
        if (entry->node != WEIR__TOML_NONE && entry->node != WEIR__TOML_ELEMENTS)
            return given_twice(toml);
        entry->node = WEIR__TOML_ELEMENTS;
        entry->count++;
        return enter_element(toml, entry);
    }
    if (entry->node != WEIR__TOML_NONE && entry->node != WEIR__TOML_IMPLIED)
        return given_twice(toml);
    entry->node = WEIR__TOML_HEADER;
    return WEIR_OK;
}

static enum weir_status pass(struct weir__toml *toml)
{
    struct weir__toml_entry *entry;
    enum weir_status status = entry_at(toml, &entry);
    if (status != WEIR_OK)
        return status;
    if (entry->node == WEIR__TOML_VALUE)
        return given_twice(toml);
    if (entry->node == WEIR__TOML_ELEMENTS)
        return enter_element(toml, entry);
    if (entry->node == WEIR__TOML_NONE)
        entry->node = WEIR__TOML_IMPLIED;
    return WEIR_OK;
}

static enum weir_status read_header(struct weir__toml *toml)
{
    toml->at++;
    bool is_array = is_at(toml, '[');
    toml->at += is_array;
    toml->path_size = 0;
    toml->path[0] = 0;
    for (;;) {
        skip_blanks(toml);
        enum weir_status status = read_key_part(toml);
        if (status != WEIR_OK)
            return status;
        skip_blanks(toml);
        bool is_last = !is_at(toml, '.');
        status = is_last ? define(toml, is_array) : pass(toml);
        if (status != WEIR_OK)
            return status;
        if (is_last)
            break;
        toml->at++;
    }
    for (int i = 0; i < 1 + is_array; i++, toml->at++)
        if (!is_at(toml, ']'))
            return weir__toml_fail(toml, "a table's header needs %s here", is_array ? "]]" : "]");
    return end_line(toml);
}

/* --- the file ------------------------------------------------------------------------------ */

static enum weir_status check_utf8(struct weir__toml *toml)
{
    size_t size = (size_t)(toml->end - toml->at);
    size_t valid = weir_utf8_valid_prefix((const uint8_t *)toml->at, size);
    if (valid == size)
        return WEIR_OK;
    const char *bad = toml->at + valid;
    for (; toml->at < bad; toml->at++)
        toml->line += *toml->at == '\n';
    return weir__toml_fail(toml, "the text is not UTF-8");
}

static enum weir_status read_file(struct weir__toml *toml)
{
    enum weir_status status = check_utf8(toml);
    if (toml->end - toml->at >= 3 && memcmp(toml->at, "\xef\xbb\xbf", 3) == 0)
        toml->at += 3;
    while (status == WEIR_OK) {
        status = skip_lines(toml);
        if (status != WEIR_OK || toml->at == toml->end)
            break;
        if (is_at(toml, '[')) {
            status = read_header(toml);
            continue;
        }
        status = read_pair(toml, true);
        if (status == WEIR_OK)
            status = end_line(toml);
    }
    return status;
}

enum weir_status weir_toml_parse(const char *name, const char *bytes, size_t size,
                                 weir_toml_handler *handler, void *context,
                                 struct weir_error *error)
{
    struct weir_error own = {0};
    struct weir__toml *toml = calloc(1, sizeof *toml);
    if (toml == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory to read %s", name);
    *toml = (struct weir__toml){.name = name,
                                .at = bytes,
                                .end = bytes + size,
                                .line = 1,
                                .handler = handler,
                                .context = context,
                                .error = &own};
    enum weir_status status = weir__toml_names_new(&toml->names, &own);
    if (status == WEIR_OK)
        status = read_file(toml);
    weir__toml_names_free(toml->names);
    free(toml);
    /* Keys are the file's: a control character in one must not reach a terminal. */
    for (char *c = own.message; *c != 0; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    weir_error_move(error, &own);
    weir_error_done(&own);
    return status;
}
