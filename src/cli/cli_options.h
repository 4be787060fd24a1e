/* Options of a subcommand from one table: parsing by getopt_long, help text, nearest names. */
#ifndef WEIR_CLI_OPTIONS_H
#define WEIR_CLI_OPTIONS_H

#include <weir/engine.h>

#include <stdbool.h>

#include "base/error.h"

struct weir_cli_option {
    char letter;          /* how the handler knows it; a printable letter is a short option too */
    const char *name;     /* long name; NULL ends the table */
    const char *argument; /* what the value is, in capitals; NULL: a flag */
    const char *help;     /* may hold newlines: further lines are indented */
};

struct weir_cli_command {
    const char *name;    /* "weir run" */
    const char *usage;   /* "[OPTION ...] FILE.wasm [ARGUMENT ...]" */
    const char *summary; /* one or two sentences */
    const struct weir_cli_option *options;
    const char *examples; /* ready to print, or NULL */
};

/* Called for each option in order; `value` is NULL for flags. */
typedef enum weir_status weir_cli_handler(void *context, char letter, const char *value,
                                          struct weir_error *error);

struct weir_cli_arguments {
    int count; /* main's argc and argv */
    char **texts;
    int next; /* out: index of the first argument that is no option */
};

/* Parses options up to the first other argument. OK: arguments->next is its index. --help prints
 * the help and answers EXIT, --version likewise. Everything else is INVALID_ARGUMENT with the
 * nearest option in the message. */
enum weir_status weir_cli_parse(const struct weir_cli_command *command,
                                struct weir_cli_arguments *arguments, weir_cli_handler *handler,
                                void *context, struct weir_error *error) WEIR_MUST_USE;
/* For commands whose options may stand before, between and behind the other arguments. OK: those
 * are texts[1] to texts[count - 1], moved there. */
enum weir_status weir_cli_parse_all(const struct weir_cli_command *command,
                                    struct weir_cli_arguments *arguments,
                                    weir_cli_handler *handler, void *context,
                                    struct weir_error *error) WEIR_MUST_USE;

/* Prints "weir run: message" and the details on stderr, releases the record, and returns the exit
 * code of its status. */
int weir_cli_fail(const char *command, struct weir_error *error);

/* "weir run: ..." for usage errors found later; returns the exit code. */
int weir_cli_usage_error(const struct weir_cli_command *command, const char *format, ...)
    WEIR_PRINTF(2, 3);

/* The exit code of a command that is done: `exit_code`, unless what it printed could not be
 * written, which is said on stderr. */
int weir_cli_end(const char *command, int exit_code);

/* The long name behind a letter of the table. */
const char *weir_cli_option_name(const struct weir_cli_command *command, char letter);

/* Value parsers that name the option. */
enum weir_status weir_cli_size(const char *option, const char *value, uint64_t *ret_bytes,
                               struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_cli_duration(const char *option, const char *value, uint64_t *ret_ns,
                                   struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_cli_bounds(const char *option, const char *value,
                                 enum weir_bounds *ret_bounds, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir_cli_number(const char *option, const char *value, uint64_t max,
                                 uint64_t *ret_number, struct weir_error *error) WEIR_MUST_USE;

#define WEIR_VERSION "0.1.0"

#endif
