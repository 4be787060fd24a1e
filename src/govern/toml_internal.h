/* The reader's state and the scalars, which have a file of their own. */
#ifndef WEIR_GOVERN_TOML_INTERNAL_H
#define WEIR_GOVERN_TOML_INTERNAL_H

#include "base/arena.h"
#include "govern/govern_limits.h"
#include "govern/toml.h"

struct weir__toml_names;

struct weir__toml {
    const char *name;
    const char *at;
    const char *end;
    unsigned line;
    unsigned depth;
    weir_toml_handler *handler;
    void *context;
    struct weir__toml_names *names;
    char path[WEIR_TOML_PATH_BYTES_MAX];
    size_t path_size;
    char text[WEIR_TOML_TEXT_SIZE]; /* of the last string or scalar */
    size_t text_size;
    bool is_cut;
    struct weir_error *error;
};

enum weir_status weir__toml_fail(struct weir__toml *toml, const char *format, ...)
    WEIR_PRINTF(2, 3);

/* Puts one decoded byte into `text`, or remembers that it was cut. */
void weir__toml_put(struct weir__toml *toml, char byte);

/* At a quote: reads the string into `text`. Keys have no multi-line form. */
enum weir_status weir__toml_string(struct weir__toml *toml, bool is_key);
/* At anything but a quote or a bracket: number, boolean or time; `text` is as written. */
enum weir_status weir__toml_scalar(struct weir__toml *toml, struct weir_toml_value *ret_value);

/* How a path came to be; what may be said about it again depends on it. */
enum weir__toml_node {
    WEIR__TOML_NONE,
    WEIR__TOML_VALUE,    /* a key with a value, or a closed inline table */
    WEIR__TOML_HEADER,   /* [a] */
    WEIR__TOML_IMPLIED,  /* a, by [a.b] */
    WEIR__TOML_DOTTED,   /* a, by a.b = 1 */
    WEIR__TOML_ELEMENTS, /* [[a]]; `count` elements */
};
struct weir__toml_entry {
    const char *path;
    enum weir__toml_node node;
    uint32_t count;
};

enum weir_status weir__toml_names_new(struct weir__toml_names **ret_names,
                                      struct weir_error *error);
void weir__toml_names_free(struct weir__toml_names *names);
/* The entry of a path, made with NONE if it is new; NULL: too many or no memory. */
struct weir__toml_entry *weir__toml_entry(struct weir__toml_names *names, const char *path,
                                          size_t size);

#endif
