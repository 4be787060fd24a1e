/* Names that come from a disk or a command line, fit for a terminal and for JSON. */
#ifndef WEIR_CLI_SHOWN_H
#define WEIR_CLI_SHOWN_H

#include "base/utf8.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

struct weir_cli_shown {
    char text[PATH_MAX];
};

/* Cut to `size_max` bytes; control characters, and all that is beyond ASCII in a text that is not
 * UTF-8, become '?'. */
static inline struct weir_cli_shown weir_cli_show(const char *text, size_t size_max)
{
    struct weir_cli_shown shown;
    size_t size = strnlen(text, size_max < PATH_MAX - 1 ? size_max : PATH_MAX - 1);
    bool is_utf8 = weir_utf8_valid_prefix((const uint8_t *)text, size) == size;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool is_odd = byte < ' ' || byte == 0x7f || (byte >= 0x80 && !is_utf8);
        shown.text[i] = is_odd ? '?' : text[i];
    }
    shown.text[size] = 0;
    return shown;
}

/* A text as it is, or as it is shown where JSON cannot hold it. */
static inline json_t *weir_cli_text_json(const char *text)
{
    json_t *json = json_string(text);
    return json != NULL ? json : json_string(weir_cli_show(text, PATH_MAX).text);
}

#endif
