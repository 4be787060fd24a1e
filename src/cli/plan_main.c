/* `weir plan`: what a node's configuration may take of memory, before it starts. */
#include "cli/plan_internal.h"

#include "govern/monitor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    FOR = 16,
    CGROUP_ROOT,
    EXPLAIN,
    MEMORY,
    MARGIN,
    ARENAS,
    CPUS,
    THREADS,
    GOMEMLIMIT,
    GOGC,
    CLASSIC,
    BOUND,
    MODULES,
    TRACE,
    WASMVM,
    JSON
};

static const struct weir_cli_option OPTIONS[] = {
    {'c', "config", "FILE", "the configuration, which may also stand alone"},
    {FOR, "for", "nitro|wasmd", "the kind of node, if it is not Weir"},
    {'o', "output", "FORM", "table (default), json, env, systemd or k8s"},
    {JSON, "json", NULL, "as --output json"},
    {MEMORY, "memory", "SIZE", "weir, nitro: the limit to stay under (this process's\ncgroup)"},
    {CGROUP_ROOT, "cgroup-root", "DIR", "look for /proc and /sys under DIR"},
    {EXPLAIN, "explain", NULL, "also say which limit binds, level by level"},
    {MARGIN, "margin", "SIZE", "nitro: left free beside everything (400MB)"},
    {ARENAS, "arenas", "N|unset", "nitro: MALLOC_ARENA_MAX (2)"},
    {CPUS, "cpus", "N", "nitro: CPUs of the host, for arenas that are unset\n(this machine's)"},
    {THREADS, "threads", "N", "nitro: threads outside Go, 2 MB each (150)"},
    {GOMEMLIMIT, "gomemlimit", "VALUE", "nitro: what the node has now, in Go's form (unset)"},
    {GOGC, "gogc", "N|off", "nitro: what the node has now (100)"},
    {CLASSIC, "classic", NULL, "nitro: the node has a classic-msg database"},
    {BOUND, "bound", "NAME", "nitro: which budget decides, documented (default)\nor code"},
    {MODULES, "modules", "DIR",
     "wasmd: the folder of compiled modules, or the home;\n"
     "weir: where relative module paths begin"},
    {TRACE, "trace", "FILE", "wasmd: contracts in order of use, one checksum per\nline"},
    {WASMVM, "wasmvm", "VERSION", "wasmd: version of wasmvm that the node runs"},
    {0, NULL, NULL, NULL},
};

const struct weir_cli_command weir__plan_command = {
    .name = "weir plan",
    .usage = "[--for nitro|wasmd] [OPTION ...] [CONFIG]",
    .summary = "Adds up what a configuration of `weir serve`, or a node's, may take of memory,\n"
               "line by line with the source of each, and says what to set. Ends with 0 when it\n"
               "fits, with 4 when it does not.",
    .options = OPTIONS,
    .examples = "  weir plan weir.yaml\n"
                "  weir plan --config weir.yaml --memory 512MiB -o k8s\n"
                "  weir plan --for nitro --memory 16GB\n"
                "  weir plan --for nitro node.json --memory 16GB --arenas unset --cpus 32\n"
                "  weir plan --for nitro --memory 16GB -o k8s\n"
                "  weir plan --for wasmd ~/.myd/config/app.toml --modules ~/.myd\n",
};

static enum weir_status set_output(struct plan_options *options, const char *value,
                                   struct weir_error *error)
{
    static const char *const NAMES[] = {"table", "json", "env", "systemd", "k8s"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcmp(value, NAMES[i]) == 0) {
            options->output = (enum plan_output)i;
            return WEIR_OK;
        }
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "--output %.40s: table, json, env, systemd or k8s is needed", value);
}

static enum weir_status set_count(const char *name, const char *value, uint64_t max,
                                  uint64_t *ret_count, struct weir_error *error)
{
    uint64_t count = 0;
    enum weir_status status = weir_cli_number(name, value, max, &count, error);
    if (status == WEIR_OK && count == 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s 0: a number from 1 to %llu is needed", name,
                              (unsigned long long)max);
    if (status == WEIR_OK)
        *ret_count = count;
    return status;
}

static enum weir_status set_sizes(struct weir_nitro_run *run, char letter, const char *value,
                                  struct weir_error *error)
{
    uint64_t bytes = 0;
    enum weir_status status =
        weir_cli_size(letter == MEMORY ? "memory" : "margin", value, &bytes, error);
    if (status != WEIR_OK)
        return status;
    if (letter == MARGIN) {
        run->margin_bytes = bytes;
        return WEIR_OK;
    }
    if (bytes < WEIR_MIB)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--memory %.40s: less than 1 MiB holds no node; write a size like "
                              "16GB",
                              value);
    run->memory_bytes = bytes;
    run->memory_source = "--memory";
    return WEIR_OK;
}

static enum weir_status set_gomemlimit(struct weir_nitro_run *run, const char *value,
                                       struct weir_error *error)
{
    run->has_gomemlimit = strcmp(value, "unset") != 0;
    if (!run->has_gomemlimit)
        return WEIR_OK;
    return weir_gomemlimit_parse(value, &run->gomemlimit_bytes, error);
}

static enum weir_status set_nitro(struct plan_options *options, char letter, const char *value,
                                  struct weir_error *error)
{
    struct weir_nitro_run *run = &options->run;
    switch (letter) {
    case MARGIN:
        return set_sizes(run, letter, value, error);
    case ARENAS:
        run->arena_count = 0;
        if (strcmp(value, "unset") == 0)
            return WEIR_OK;
        return set_count("arenas", value, UINT64_C(8) * WEIR_NITRO_CPUS_MAX, &run->arena_count,
                         error);
    case CPUS:
        return set_count("cpus", value, WEIR_NITRO_CPUS_MAX, &run->cpus, error);
    case THREADS:
        return set_count("threads", value, WEIR_NITRO_THREADS_MAX, &run->threads, error);
    case GOMEMLIMIT:
        return set_gomemlimit(run, value, error);
    case GOGC:
        run->gogc = UINT64_MAX;
        if (strcmp(value, "off") == 0)
            return WEIR_OK;
        return weir_cli_number("gogc", value, 100000, &run->gogc, error);
    case CLASSIC:
        run->has_classic = true;
        return WEIR_OK;
    default:
        options->is_code_bound = strcmp(value, "code") == 0;
        if (options->is_code_bound || strcmp(value, "documented") == 0)
            return WEIR_OK;
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--bound %.40s: documented or code is needed", value);
    }
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct plan_options *options = context;
    switch (letter) {
    case FOR:
        options->target = value;
        return WEIR_OK;
    case 'c':
        if (options->file != NULL)
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "one configuration at a time: %.80s is too much", value);
        options->file = value;
        return WEIR_OK;
    case CGROUP_ROOT:
        options->root = value;
        return WEIR_OK;
    case EXPLAIN:
        options->is_explain = true;
        return WEIR_OK;
    case MEMORY:
        options->first_memory_option = weir_cli_option_name(&weir__plan_command, letter);
        return set_sizes(&options->run, letter, value, error);
    case 'o':
        return set_output(options, value, error);
    case JSON:
        options->output = PLAN_JSON;
        return WEIR_OK;
    case MODULES:
        options->modules = value;
        options->first_modules_option = weir_cli_option_name(&weir__plan_command, letter);
        return WEIR_OK;
    case TRACE:
    case WASMVM:
        *(letter == TRACE ? &options->trace : &options->version) = value;
        options->first_wasmd_option = weir_cli_option_name(&weir__plan_command, letter);
        return WEIR_OK;
    default:
        options->first_nitro_option = weir_cli_option_name(&weir__plan_command, letter);
        return set_nitro(options, letter, value, error);
    }
}

/* Options may stand before and behind the configuration. */
static enum weir_status parse(int argc, char **argv, struct plan_options *options,
                              const char **ret_surplus, struct weir_error *error)
{
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    for (;;) {
        enum weir_status status =
            weir_cli_parse(&weir__plan_command, &arguments, set_option, options, error);
        if (status != WEIR_OK || arguments.next >= arguments.count)
            return status;
        char **here = &arguments.texts[arguments.next];
        if (options->file != NULL) {
            *ret_surplus = *here;
            return WEIR_OK;
        }
        options->file = *here;
        *here = argv[0];
        arguments.count -= arguments.next;
        arguments.texts = here;
    }
}

static void print_line(void *context, const char *line)
{
    (void)context;
    printf("%s\n", line);
}

/* After the plan, whatever it said. */
static int explain(const struct plan_options *options, int exit_code)
{
    const struct weir_monitor_config config = {.root = options->root};
    struct weir_error error = {0};
    struct weir_monitor *monitor = NULL;
    if (weir_monitor_new(&config, weir_account_host(), &monitor, &error) != WEIR_OK)
        return weir_cli_fail(weir__plan_command.name, &error);
    printf("\n");
    weir_monitor_explain(monitor, UINT64_MAX, print_line, NULL);
    weir_monitor_free(monitor);
    return exit_code;
}

static int run(struct plan_options *options, const char *surplus)
{
    const struct weir_cli_command *command = &weir__plan_command;
    if (surplus != NULL)
        return weir_cli_usage_error(command, "one configuration at a time: %s is too much",
                                    surplus);
    static const char *const TARGETS[] = {"weir", "nitro", "wasmd"};
    size_t target = 0;
    while (options->target != NULL && target < 3 && strcmp(options->target, TARGETS[target]) != 0)
        target++;
    if (target == 3)
        return weir_cli_usage_error(command, "--for %s: nitro or wasmd is needed", options->target);
    const char *foreign = target != 1 ? options->first_nitro_option : NULL;
    if (foreign == NULL && target != 2)
        foreign = options->first_wasmd_option;
    if (foreign == NULL)
        foreign = target == 1   ? options->first_modules_option
                  : target == 2 ? options->first_memory_option
                                : NULL;
    if (foreign != NULL)
        return weir_cli_usage_error(command, "--%s does not go with %s%s", foreign,
                                    target == 0 ? "a configuration of " : "--for ",
                                    TARGETS[target]);
    if (target == 0 && options->file == NULL)
        return weir_cli_usage_error(command, "no configuration is named; for a node's, say "
                                             "--for nitro or --for wasmd");
    if (options->is_explain && options->output != PLAN_TABLE)
        return weir_cli_usage_error(command, "--explain goes with the table");
    int exit_code = target == 0   ? weir__plan_weir(options)
                    : target == 1 ? weir__plan_nitro(options)
                                  : weir__plan_wasmd(options);
    return options->is_explain ? explain(options, exit_code) : exit_code;
}

int main(int argc, char **argv)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    struct plan_options options = {.run = {.margin_bytes = WEIR_NITRO_MARGIN_DEFAULT,
                                           .arena_count = WEIR_NITRO_ARENAS_DEFAULT,
                                           .cpus = cpus > 0 ? (uint64_t)cpus : 1,
                                           .threads = WEIR_NITRO_THREADS_DEFAULT,
                                           .gogc = 100}};
    struct weir_error error = {0};
    const char *surplus = NULL;
    enum weir_status status = parse(argc, argv, &options, &surplus, &error);
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(weir__plan_command.name, &error);
    return run(&options, surplus);
}
