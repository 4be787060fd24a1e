/* `weir cache`: the module cache's directory, looked at and looked after. */
#include "cli/cache_command.h"

#include "base/nearest.h"
#include "server/host_file.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    CACHE = 16,
    JSON,
    BOUNDS,
    FUEL,
    PIN,
    MAX,
    UNUSED,
    STALE,
    QUARANTINE,
    DRY_RUN,
    TRACE,
    MEMORY
};

static const struct weir_cli_option OPTIONS[] = {
    {CACHE, "cache", "DIR", "the directory, instead of ~/.cache/weir"},
    {JSON, "json", NULL, "the same as JSON"},
    {'q', "quiet", NULL, "no progress, no list of what goes"},
    {BOUNDS, "bounds", "FORM", "warm: guard (default), explicit or no-signals"},
    {FUEL, "fuel", NULL, "warm: with fuel counted"},
    {PIN, "pin", NULL, "warm: pin as well"},
    {MAX, "max", "SIZE", "prune: the longest unused go until so much is left"},
    {UNUSED, "unused", "TIME", "prune: what was not used for so long goes"},
    {STALE, "stale", NULL, "prune: other versions, unless a process uses them"},
    {QUARANTINE, "quarantine", NULL, "prune: empty the quarantine"},
    {DRY_RUN, "dry-run", NULL, "prune: only say what would go"},
    {TRACE, "trace", "FILE", "advise: uses of modules, one per line"},
    {MEMORY, "memory", "SIZE", "advise: the memory tier's size now"},
    {0, NULL, NULL, NULL},
};

#define BIT(option) (1u << ((option)-CACHE))
#define OF_ALL (BIT(CACHE) | BIT(JSON))
#define OF_WARM (BIT(BOUNDS) | BIT(FUEL) | BIT(PIN))
#define OF_PRUNE (BIT(MAX) | BIT(UNUSED) | BIT(STALE) | BIT(QUARANTINE) | BIT(DRY_RUN))
#define OF_ADVISE (BIT(TRACE) | BIT(MEMORY))

const struct weir_cli_command weir__cache_command = {
    .name = "weir cache",
    .usage = "COMMAND [OPTION ...] [FILE.wasm | HASH ...]",
    .summary = "Looks at the directory of compiled modules and after it, while hosts use it.\n\n"
               "  ls       artifacts, used last first\n"
               "  stat     how much there is, and of what\n"
               "  pin      keep modules: no quota and no prune removes them\n"
               "  unpin    the opposite\n"
               "  warm     compile modules ahead\n"
               "  prune    remove what is old, too much, stale or damaged\n"
               "  verify   check every seal and every entry\n"
               "  advise   how large the memory tier should be, by a trace",
    .options = OPTIONS,
    .examples = "  weir cache warm --pin plugins/*.wasm\n"
                "  weir cache prune --max 2GiB --stale\n"
                "  weir cache advise --trace uses.txt --memory 512MiB\n",
};

static enum weir_status set_flag(struct cache_options *options, char letter)
{
    switch (letter) {
    case JSON:
        options->is_json = true;
        break;
    case FUEL:
        options->has_fuel = true;
        break;
    case PIN:
        options->is_pin = true;
        break;
    case STALE:
        options->is_stale = true;
        break;
    case QUARANTINE:
        options->is_quarantine = true;
        break;
    case DRY_RUN:
        options->is_trial = true;
        break;
    default:
        options->is_quiet = true;
    }
    return WEIR_OK;
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct cache_options *options = context;
    if (letter >= CACHE && letter <= MEMORY)
        options->given |= BIT(letter);
    switch (letter) {
    case CACHE:
        options->folder = value;
        return WEIR_OK;
    case TRACE:
        options->trace = value;
        return WEIR_OK;
    case MAX:
        return weir_cli_size("max", value, &options->bytes_max, error);
    case MEMORY:
        return weir_cli_size("memory", value, &options->memory_bytes, error);
    case UNUSED:
        return weir_cli_duration("unused", value, &options->unused_ns, error);
    case BOUNDS:
        return weir_cli_bounds("bounds", value, &options->bounds, error);
    default:
        return set_flag(options, letter);
    }
}

static const struct {
    const char *name;
    int (*run)(const struct cache_options *options, const struct cache_arguments *arguments);
    bool takes_modules;
    unsigned options; /* beside those of all */
} COMMANDS[] = {
    {"ls", weir__cache_list, false, 0},
    {"stat", weir__cache_stat, false, 0},
    {"pin", weir__cache_pin, true, 0},
    {"unpin", weir__cache_unpin, true, 0},
    {"warm", weir__cache_warm, true, OF_WARM},
    {"prune", weir__cache_prune, false, OF_PRUNE},
    {"verify", weir__cache_verify, false, 0},
    {"advise", weir__cache_advise, false, OF_ADVISE},
};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof COMMANDS[0])

static int refuse_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = COMMANDS[i].name;
    const char *nearest = weir_nearest_name(name, names, COMMAND_COUNT);
    return nearest != NULL
               ? weir_cli_usage_error(&weir__cache_command, "unknown command %s; did you mean %s?",
                                      name, nearest)
               : weir_cli_usage_error(&weir__cache_command, "unknown command %s", name);
}

/* An option that a command does not know must not look as if it held: verify --dry-run. */
static int refuse_option(const char *name, unsigned foreign)
{
    int option = CACHE + __builtin_ctz(foreign);
    const char *owner = "", *text = "";
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if ((COMMANDS[i].options & BIT(option)) != 0)
            owner = COMMANDS[i].name;
    for (const struct weir_cli_option *o = OPTIONS; o->name != NULL; o++)
        if (o->letter == option)
            text = o->name;
    return weir_cli_usage_error(&weir__cache_command, "%s takes no --%s; %s does", name, text,
                                owner);
}

static int run(const struct cache_options *options, const struct cache_arguments *words)
{
    if (words->count == 0)
        return weir_cli_usage_error(&weir__cache_command, "no command is named");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(words->texts[0], COMMANDS[i].name) != 0)
            continue;
        const struct cache_arguments arguments = {words->texts + 1, words->count - 1};
        if (arguments.count > 0 && !COMMANDS[i].takes_modules)
            return weir_cli_usage_error(&weir__cache_command, "%s is too much: %s takes no modules",
                                        arguments.texts[0], COMMANDS[i].name);
        unsigned foreign = options->given & ~(OF_ALL | COMMANDS[i].options);
        if (foreign != 0)
            return refuse_option(COMMANDS[i].name, foreign);
        return COMMANDS[i].run(options, &arguments);
    }
    return refuse_command(words->texts[0]);
}

int main(int argc, char **argv)
{
    char folder[PATH_MAX];
    struct cache_options options = {.bytes_max = WEIR_UNLIMITED};
    struct weir_cli_arguments all = {.count = argc, .texts = argv};
    struct weir_error error = {0};
    enum weir_status status =
        weir_cli_parse_all(&weir__cache_command, &all, set_option, &options, &error);
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(weir__cache_command.name, &error);
    if (options.folder == NULL && !weir_host_cache_dir(folder, sizeof folder))
        return weir_cli_usage_error(&weir__cache_command,
                                    "neither --cache nor HOME says where the cache is");
    if (options.folder == NULL)
        options.folder = folder;
    const struct cache_arguments words = {all.texts + 1, all.count - 1};
    return weir_cli_end(weir__cache_command.name, run(&options, &words));
}
