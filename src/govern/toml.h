/* A strict reader of TOML 1.0 for other programs' configuration files: every value of the file is
 * reported with its dotted path and line, and whatever is not TOML is refused with its line.
 *
 * Nothing is built: arrays are checked and reported as one value, tables inside arrays are not
 * entered. Strings are handed over decoded, up to WEIR_TOML_TEXT_SIZE - 1 bytes of them.
 */
#ifndef WEIR_GOVERN_TOML_H
#define WEIR_GOVERN_TOML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum weir_toml_type {
    WEIR_TOML_STRING,
    WEIR_TOML_INTEGER,
    WEIR_TOML_FLOAT,
    WEIR_TOML_BOOLEAN,
    WEIR_TOML_TIME, /* date, time, or both */
    WEIR_TOML_ARRAY
};
const char *weir_toml_type_name(enum weir_toml_type type); /* "a string" ... */

#define WEIR_TOML_TEXT_SIZE 512

struct weir_toml_value {
    enum weir_toml_type type;
    const char *text; /* strings: decoded; else as written; zero-terminated, valid for the call */
    bool is_cut;      /* `text` is only the beginning */
    int64_t integer;  /* of INTEGER */
    unsigned line;
};

/* `path` has keys joined by dots, quoted where they are not bare; an element of an array of tables
 * is "name[0]". Anything but OK ends the reading. */
typedef enum weir_status weir_toml_handler(void *context, const char *path,
                                           const struct weir_toml_value *value,
                                           struct weir_error *error);

/* MALFORMED with name, line and reason: no TOML, a key given twice. LIMIT: too many keys. */
enum weir_status weir_toml_parse(const char *name, const char *bytes, size_t size,
                                 weir_toml_handler *handler, void *context,
                                 struct weir_error *error) WEIR_MUST_USE;

#endif
