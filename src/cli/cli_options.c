/* One option table serves getopt_long, the help text and the suggestion for a mistyped name. */
#include "cli/cli_options.h"

#include "base/check.h"
#include "base/nearest.h"
#include "base/sizes.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32
#define LETTER_HELP 1
#define LETTER_VERSION 2

static size_t option_count(const struct weir_cli_command *command)
{
    size_t count = 0;
    while (command->options[count].name != NULL)
        count++;
    WEIR_ASSERT(count <= OPTIONS_MAX);
    return count;
}

static void print_option(char letter, const char *name, const char *argument, const char *help)
{
    char head[64];
    char shorthand[8] = "    ";
    if (isalnum((unsigned char)letter))
        (void)snprintf(shorthand, sizeof shorthand, "-%c, ", letter);
    (void)snprintf(head, sizeof head, "%s--%s%s%s", shorthand, name, argument != NULL ? " " : "",
                   argument != NULL ? argument : "");
    bool fits = strlen(head) < 26;
    printf("  %-*s%s", 26, head, fits ? "" : "\n");
    const char *line = help;
    bool is_first = fits;
    while (line != NULL) {
        const char *end = strchr(line, '\n');
        int size = end != NULL ? (int)(end - line) : (int)strlen(line);
        printf("%*s%.*s\n", is_first ? 0 : 28, "", size, line);
        is_first = false;
        line = end != NULL ? end + 1 : NULL;
    }
}

const char *weir_cli_option_name(const struct weir_cli_command *command, char letter)
{
    const struct weir_cli_option *option = command->options;
    while (option->letter != letter)
        option++;
    return option->name;
}

static void print_help(const struct weir_cli_command *command)
{
    printf("%s\n\nusage: %s %s\n\noptions\n", command->summary, command->name, command->usage);
    for (const struct weir_cli_option *o = command->options; o->name != NULL; o++)
        print_option(o->letter, o->name, o->argument, o->help);
    print_option('h', "help", NULL, "this text");
    print_option(0, "version", NULL, "the version");
    if (command->examples != NULL)
        printf("\nexamples\n%s", command->examples);
}

static enum weir_status unknown_option(const struct weir_cli_command *command, const char *text,
                                       struct weir_error *error)
{
    const char *names[OPTIONS_MAX + 2];
    size_t count = option_count(command);
    for (size_t i = 0; i < count; i++)
        names[i] = command->options[i].name;
    names[count] = "help";
    names[count + 1] = "version";
    char word[64];
    const char *start = text + strspn(text, "-");
    size_t size = strcspn(start, "=");
    (void)snprintf(word, sizeof word, "%.*s", (int)(size < 63 ? size : 63), start);
    const char *nearest = weir_nearest_name(word, names, count + 2);
    if (nearest != NULL && text[0] == '-' && text[1] == '-')
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "unknown option --%s; did you mean --%s?", word, nearest);
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "unknown option %s; %s --help lists them", text, command->name);
}

static const struct weir_cli_option *find_option(const struct weir_cli_command *command, int code)
{
    for (const struct weir_cli_option *o = command->options; o->name != NULL; o++)
        if (o->letter == code)
            return o;
    return NULL;
}

/* getopt_long answered '?' or ':': says which argument is meant. */
static enum weir_status refuse(const struct weir_cli_command *command, int answer, char **argv,
                               struct weir_error *error)
{
    const struct weir_cli_option *option = optopt != 0 ? find_option(command, optopt) : NULL;
    if (answer == ':' && option != NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s needs a value: --%s %s", option->name, option->name,
                              option->argument);
    const char *text = argv[optind - 1];
    if (option != NULL && strncmp(text, "--", 2) == 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET, "--%s takes no value",
                              option->name);
    char shorthand[3] = {'-', (char)optopt, 0};
    bool is_long = strncmp(text, "--", 2) == 0;
    return unknown_option(command, is_long || optopt == 0 ? text : shorthand, error);
}

static size_t fill_tables(const struct weir_cli_command *command, struct option *options,
                          char *letters, size_t letters_size)
{
    size_t count = option_count(command);
    size_t used = 0;
    letters[used++] = '+'; /* the guest's own options begin behind the first other argument */
    letters[used++] = ':';
    letters[used++] = 'h';
    for (size_t i = 0; i < count; i++) {
        const struct weir_cli_option *o = &command->options[i];
        options[i] =
            (struct option){.name = o->name,
                            .has_arg = o->argument != NULL ? required_argument : no_argument,
                            .val = o->letter};
        if (isalnum((unsigned char)o->letter) && used + 3 < letters_size) {
            letters[used++] = o->letter;
            if (o->argument != NULL)
                letters[used++] = ':';
        }
    }
    letters[used] = 0;
    options[count] = (struct option){.name = "help", .val = LETTER_HELP};
    options[count + 1] = (struct option){.name = "version", .val = LETTER_VERSION};
    options[count + 2] = (struct option){0};
    return count;
}

enum weir_status weir_cli_parse(const struct weir_cli_command *command,
                                struct weir_cli_arguments *arguments, weir_cli_handler *handler,
                                void *context, struct weir_error *error)
{
    struct option options[OPTIONS_MAX + 3];
    char letters[2 * OPTIONS_MAX + 8];
    (void)fill_tables(command, options, letters, sizeof letters);
    opterr = 0;
    optind = 1;
    for (;;) {
        int answer = getopt_long(arguments->count, arguments->texts, letters, options, NULL);
        if (answer == -1)
            break;
        if (answer == LETTER_HELP || answer == 'h') {
            print_help(command);
            return WEIR_EXIT;
        }
        if (answer == LETTER_VERSION) {
            printf("weir %s\n", WEIR_VERSION);
            return WEIR_EXIT;
        }
        if (answer == '?' || answer == ':')
            return refuse(command, answer, arguments->texts, error);
        enum weir_status status = handler(context, (char)answer, optarg, error);
        if (status != WEIR_OK)
            return status;
    }
    arguments->next = optind;
    return WEIR_OK;
}

enum weir_status weir_cli_parse_all(const struct weir_cli_command *command,
                                    struct weir_cli_arguments *arguments,
                                    weir_cli_handler *handler, void *context,
                                    struct weir_error *error)
{
    int count = 1;
    for (int at = 0; at + 1 < arguments->count;) { /* texts[at] stands for the program's name */
        struct weir_cli_arguments rest = {.count = arguments->count - at,
                                          .texts = arguments->texts + at};
        enum weir_status status = weir_cli_parse(command, &rest, handler, context, error);
        if (status != WEIR_OK)
            return status;
        at += rest.next;
        if (at < arguments->count)
            arguments->texts[count++] = arguments->texts[at];
    }
    arguments->count = count;
    return WEIR_OK;
}

int weir_cli_fail(const char *command, struct weir_error *error)
{
    enum weir_status status = error->status;
    const char *message = error->message[0] != 0 ? error->message : weir_status_text(status);
    const struct weir_error_detail *details = error->details;
    /* A record's message may be cut: a first detail that begins with it is the same, whole. */
    if (details != NULL && strncmp(details->text, message, strlen(message)) == 0) {
        message = details->text;
        details = details->next;
    }
    (void)fprintf(stderr, "%s: %s", command, message);
    if (error->offset != WEIR_NO_OFFSET && error->offset != 0)
        (void)fprintf(stderr, " (byte %llu)", (unsigned long long)error->offset);
    (void)fputc('\n', stderr);
    for (const struct weir_error_detail *d = details; d != NULL; d = d->next)
        (void)fprintf(stderr, "  %s\n", d->text);
    weir_error_done(error);
    return weir_status_exit_code(status);
}

int weir_cli_end(const char *command, int exit_code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return exit_code;
    (void)fprintf(stderr, "%s: the answer cannot be written: %s; what the command did is done\n",
                  command, strerror(errno));
    return exit_code != 0 ? exit_code : weir_status_exit_code(WEIR_IO);
}

int weir_cli_usage_error(const struct weir_cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s: ", command->name);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "\nusage: %s %s\n", command->name, command->usage);
    return weir_status_exit_code(WEIR_INVALID_ARGUMENT);
}

/* Puts the option's name in front of what the parser of the value said. */
static enum weir_status name_option(const char *option, const char *value, struct weir_error *inner,
                                    struct weir_error *error)
{
    enum weir_status status = weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                             "--%s %s: %s", option, value, inner->message);
    weir_error_done(inner);
    return status;
}

enum weir_status weir_cli_size(const char *option, const char *value, uint64_t *ret_bytes,
                               struct weir_error *error)
{
    struct weir_error inner = {0};
    if (weir_size_parse(value, strlen(value), ret_bytes, &inner) == WEIR_OK)
        return WEIR_OK;
    return name_option(option, value, &inner, error);
}

enum weir_status weir_cli_duration(const char *option, const char *value, uint64_t *ret_ns,
                                   struct weir_error *error)
{
    struct weir_error inner = {0};
    if (weir_duration_parse(value, strlen(value), ret_ns, &inner) == WEIR_OK)
        return WEIR_OK;
    return name_option(option, value, &inner, error);
}

enum weir_status weir_cli_bounds(const char *option, const char *value,
                                 enum weir_bounds *ret_bounds, struct weir_error *error)
{
    struct weir_error inner = {0};
    if (weir_bounds_parse(value, ret_bounds, &inner) == WEIR_OK)
        return WEIR_OK;
    return name_option(option, value, &inner, error);
}

enum weir_status weir_cli_number(const char *option, const char *value, uint64_t max,
                                 uint64_t *ret_number, struct weir_error *error)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end != 0 || errno != 0 || number > max)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s %s: a number from 0 to %llu is needed", option, value,
                              (unsigned long long)max);
    *ret_number = number;
    return WEIR_OK;
}
