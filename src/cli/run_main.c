/* `weir run`: a WASI program under limits; its exit code is the guest's. */
#include "cli/run_internal.h"

#include "server/import_hints.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIR_OPTION = 16,
    ENV,
    MEMORY,
    FUEL,
    TIMEOUT,
    INVOKE,
    REPORT,
    REPORT_FILE,
    JSON,
    BOUNDS,
    CACHE,
    NO_CACHE
};

static const struct weir_cli_option OPTIONS[] = {
    {DIR_OPTION, "dir", "HOST[::GUEST][:ro]",
     "let the guest use a directory, under its own name or\nas GUEST; :ro forbids changes"},
    {ENV, "env", "NAME[=VALUE]", "set a variable; without a value, pass ours on"},
    {MEMORY, "memory-max", "SIZE", "most memory the guest may hold, everything counted"},
    {FUEL, "fuel", "N", "stop after about N instructions"},
    {TIMEOUT, "timeout", "DURATION", "stop after this much time: 500ms, 10s, 2m"},
    {INVOKE, "invoke", "NAME", "call this export; arguments are read by its type"},
    {REPORT, "report", NULL, "at exit, say who held which memory (on stderr)"},
    {REPORT_FILE, "report-file", "FILE", "write the report to a file instead"},
    {JSON, "json", NULL, "the report as one JSON object on one line"},
    {BOUNDS, "bounds", "FORM", "guard (default), explicit or no-signals"},
    {CACHE, "cache", "DIR", "where compiled modules are kept (~/.cache/weir)"},
    {NO_CACHE, "no-cache", NULL, "compile again, keep nothing"},
    {'q', "quiet", NULL, "no progress"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir run",
    .usage = "[OPTION ...] FILE.wasm [ARGUMENT ...]",
    .summary = "Runs a WASI program or calls one function of a module. The guest sees no file, no\n"
               "variable and no network that is not named here. Sizes: 64MiB; times: 500ms.",
    .options = OPTIONS,
    .examples = "  weir run hello.wasm\n"
                "  weir run --memory-max 64MiB --timeout 10s --dir .::/data tool.wasm /data/in\n"
                "  weir run --invoke add adder.wasm 2 3\n"
                "  weir run --report program.wasm\n",
};

/* HOST[::GUEST][:ro], cut in a copy that the options keep. */
static enum weir_status add_dir(struct weir__run_options *options, const char *value,
                                struct weir_error *error)
{
    size_t index = options->preopen_count;
    char *text = index < WEIR__RUN_LIST_MAX ? strdup(value) : NULL;
    if (text == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--dir: at most %d directories", WEIR__RUN_LIST_MAX);
    options->preopen_texts[index] = text;
    options->preopen_count++;
    struct weir_wasi_preopen *preopen = &options->preopens[index];
    size_t size = strlen(text);
    if (size > 3 && strcmp(text + size - 3, ":ro") == 0) {
        preopen->is_read_only = true;
        text[size - 3] = 0;
    }
    preopen->host_path = text;
    preopen->guest_path = text;
    char *separator = strstr(text, "::");
    if (separator != NULL) {
        *separator = 0;
        preopen->guest_path = separator + 2;
    }
    if (preopen->host_path[0] == 0 || preopen->guest_path[0] == 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--dir %s: HOST[::GUEST][:ro] is needed", value);
    return WEIR_OK;
}

static enum weir_status add_env(struct weir__run_options *options, const char *value,
                                struct weir_error *error)
{
    if (options->env_count == WEIR__RUN_LIST_MAX)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--env: at most %d variables", WEIR__RUN_LIST_MAX);
    if (strchr(value, '=') != NULL) {
        options->env[options->env_count++] = value;
        return WEIR_OK;
    }
    size_t size = strlen(value);
    for (char **variable = environ; *variable != NULL; variable++) {
        if (strncmp(*variable, value, size) == 0 && (*variable)[size] == '=') {
            options->env[options->env_count++] = *variable;
            return WEIR_OK;
        }
    }
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "--env %s: no such variable here; give NAME=VALUE", value);
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct weir__run_options *options = context;
    switch (letter) {
    case DIR_OPTION:
        return add_dir(options, value, error);
    case ENV:
        return add_env(options, value, error);
    case MEMORY:
        return weir_cli_size("memory-max", value, &options->memory_bytes_max, error);
    case FUEL:
        return weir_cli_number("fuel", value, INT64_MAX, &options->fuel, error);
    case TIMEOUT:
        return weir_cli_duration("timeout", value, &options->timeout_ns, error);
    case INVOKE:
        options->invoke = value;
        return WEIR_OK;
    case REPORT_FILE:
        options->report_path = value;
        options->has_report = true;
        return WEIR_OK;
    case JSON:
        options->is_json = true;
        options->has_report = true;
        return WEIR_OK;
    case REPORT:
        options->has_report = true;
        return WEIR_OK;
    case BOUNDS:
        return weir_cli_bounds("bounds", value, &options->bounds, error);
    case CACHE:
        options->cache_dir = value;
        return WEIR_OK;
    case NO_CACHE:
        options->no_cache = true;
        return WEIR_OK;
    default:
        options->is_quiet = true;
        return WEIR_OK;
    }
}

static int run(const struct weir__run_options *options)
{
    struct weir_error error = {0};
    struct weir__run state = {.options = options};
    enum weir_status status = weir__run_open(&state, &error);
    if (status == WEIR_OK)
        status = options->invoke != NULL ? weir__run_invoke(&state, &error)
                                         : weir__run_guest(&state, &error);
    int exit_code = state.exit_code;
    if (status == WEIR_OK && state.status != WEIR_OK) {
        weir__run_print_trap(&state);
        exit_code = weir_status_exit_code(state.status);
    }
    if (status == WEIR_OK && options->has_report)
        status = weir__run_report(&state, &error);
    weir__run_done(&state);
    weir_import_hints(&error);
    return status == WEIR_OK ? exit_code : weir_cli_fail(COMMAND.name, &error);
}

int main(int argc, char **argv)
{
    weir_process_tune_malloc();
    (void)signal(SIGPIPE, SIG_IGN); /* the guest sees EPIPE */
    struct weir__run_options options = {0};
    struct weir_error error = {0};
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    enum weir_status status = weir_cli_parse(&COMMAND, &arguments, set_option, &options, &error);
    int exit_code = 0;
    if (status != WEIR_OK && status != WEIR_EXIT) {
        exit_code = weir_cli_fail(COMMAND.name, &error);
    } else if (status == WEIR_OK && arguments.next >= argc) {
        exit_code = weir_cli_usage_error(&COMMAND, "no module is named");
    } else if (status == WEIR_OK) {
        options.file = argv[arguments.next];
        options.arguments = argv + arguments.next;
        options.argument_count = (size_t)(argc - arguments.next);
        exit_code = run(&options);
    }
    for (size_t i = 0; i < options.preopen_count; i++)
        free(options.preopen_texts[i]);
    return exit_code;
}
