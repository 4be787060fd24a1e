/* `weir canister`: canisters of the Internet Computer, on their own, their memory explained. */
#include "cli/canister_command.h"

#include "base/nearest.h"
#include "cli/cli_progress.h"
#include "server/host_file.h"

#include <stdio.h>
#include <string.h>

enum {
    STATE = 16,
    CACHE,
    NO_CACHE,
    CALLER,
    ARG_HEX,
    HEX,
    HEAP_LIMIT,
    LOW_MEMORY,
    MEMORY,
    STABLE,
    INSTRUCTIONS,
    KEEP,
    REPLACE,
    REINSTALL,
    SKIP,
    JSON
};

static const struct weir_cli_option OPTIONS[] = {
    {STATE, "state", "DIR", "where canisters live between runs; needed"},
    {CALLER, "caller", "PRINCIPAL", "who calls or installs (the anonymous one)"},
    {ARG_HEX, "arg-hex", "HEX", "the argument as bytes, instead of Candid text"},
    {HEX, "hex", NULL, "print the reply as bytes, instead of Candid text"},
    {HEAP_LIMIT, "heap-limit", "SIZE", "install, upgrade: limit of the heap (1 GiB; 0: none)"},
    {LOW_MEMORY, "low-memory", "SIZE",
     "install, upgrade: tell the canister when less is left (never)"},
    {KEEP, "keep", NULL, "upgrade: keep the heap (enhanced orthogonal persistence)"},
    {REPLACE, "replace", NULL, "upgrade: drop the heap of a module that could keep it"},
    {SKIP, "skip-pre-upgrade", NULL, "upgrade: do not run canister_pre_upgrade"},
    {REINSTALL, "reinstall", NULL, "install: over code that is there; drops all state"},
    {MEMORY, "memory-max", "SIZE", "most memory for all that it holds, for this run"},
    {STABLE, "stable-max", "SIZE", "largest stable memory, for this run (500 GiB)"},
    {INSTRUCTIONS, "instructions", "N", "most instructions of a message (the platform's limits)"},
    {CACHE, "cache", "DIR", "where compiled modules are kept (~/.cache/weir)"},
    {NO_CACHE, "no-cache", NULL, "compile again, keep nothing"},
    {JSON, "json", NULL, "status, top: as one JSON object"},
    {'q', "quiet", NULL, "no progress, no output of debug_print, no notes"},
    {0, NULL, NULL, NULL},
};

const struct weir_cli_command weir__canister_command = {
    .name = "weir canister",
    .usage = "--state DIR COMMAND [OPTION ...] NAME [ARGUMENT ...]",
    .summary = "Runs canisters made for the Internet Computer, one at a time, and says who holds\n"
               "their memory. What a command changed is on disk when it has answered; an update\n"
               "that fails and every query change nothing.\n\n"
               "  install NAME FILE [ARG]     Wasm, or gzip of it\n"
               "  upgrade NAME FILE [ARG]     stable memory stays, the heap with --keep\n"
               "  call NAME METHOD [ARG]      an update, and all it sets off\n"
               "  query NAME METHOD [ARG]     leaves no trace\n"
               "  tick NAME                   the heartbeat, and the timer when it is due\n"
               "  status NAME                 memory by kind: the platform's, and the truth\n"
               "  top NAME                    who made the heap grow since the deploy",
    .options = OPTIONS,
    .examples = "  weir canister --state ./ic install counter counter.wasm\n"
                "  weir canister --state ./ic call counter inc\n"
                "  weir canister --state ./ic query counter hello '(\"you\")'\n"
                "  weir canister --state ./ic upgrade counter counter.wasm --keep\n",
};

static enum weir_status set_flag(struct canister_options *options, char letter)
{
    switch (letter) {
    case NO_CACHE:
        options->no_cache = true;
        break;
    case HEX:
        options->is_hex = true;
        break;
    case KEEP:
        options->is_keep = true;
        break;
    case REPLACE:
        options->is_replace = true;
        break;
    case REINSTALL:
        options->is_reinstall = true;
        break;
    case SKIP:
        options->skip_pre_upgrade = true;
        break;
    case JSON:
        options->is_json = true;
        break;
    default:
        options->is_quiet = true;
    }
    return WEIR_OK;
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct canister_options *options = context;
    switch (letter) {
    case STATE:
        options->state = value;
        return WEIR_OK;
    case CACHE:
        options->cache_dir = value;
        return WEIR_OK;
    case CALLER:
        options->caller = value;
        return WEIR_OK;
    case ARG_HEX:
        options->arg_hex = value;
        return WEIR_OK;
    case HEAP_LIMIT:
        options->has_heap_limit = true;
        return weir_cli_size("heap-limit", value, &options->heap_limit, error);
    case LOW_MEMORY:
        options->has_low_memory = true;
        return weir_cli_size("low-memory", value, &options->low_memory_bytes, error);
    case MEMORY:
        return weir_cli_size("memory-max", value, &options->memory_bytes_max, error);
    case STABLE:
        return weir_cli_size("stable-max", value, &options->stable_bytes_max, error);
    case INSTRUCTIONS:
        return weir_cli_number("instructions", value, INT64_MAX, &options->instructions_max, error);
    default:
        return set_flag(options, letter);
    }
}

/* --- commands ------------------------------------------------------------------------------ */

static int finish(struct canister_run *run, enum weir_status status,
                  struct weir_canister_response *response, struct weir_error *error)
{
    int exit_code = status == WEIR_OK ? weir__canister_answer(run, response)
                                      : weir_cli_fail(weir__canister_command.name, error);
    weir_canister_response_done(response);
    return exit_code;
}

/* Fills what install and upgrade share and runs it; saves when it went well. */
static enum weir_status put_code(struct canister_run *run, struct weir_canister_code *code,
                                 char **words, struct weir_canister_response *response,
                                 struct weir_error *error)
{
    struct weir_host_file file = {0};
    struct weir_cli_progress progress;
    char what[96];
    (void)snprintf(what, sizeof what, "compiling %.80s", weir_host_file_name(words[0]));
    enum weir_status status =
        weir_host_file_read(words[0], CANISTER_MODULE_BYTES_MAX, weir_account_host(), &file, error);
    if (status == WEIR_OK)
        status = weir__canister_argument(run, words[1], &code->arg, &code->arg_size, error);
    if (status == WEIR_OK && run->options->has_heap_limit)
        status = weir_canister_set_heap_limit(run->canister, run->options->heap_limit, error);
    if (status == WEIR_OK && run->options->has_low_memory)
        weir_canister_set_low_memory(run->canister, run->options->low_memory_bytes);
    if (status == WEIR_OK) {
        code->module = file.bytes;
        code->module_size = file.size;
        code->sender = &run->caller;
        weir_cli_progress_begin(&progress, what, "functions", run->options->is_quiet);
        code->progress = weir_cli_progress_step;
        code->progress_context = &progress;
        status = weir_canister_install(run->canister, code, response, error);
        weir_cli_progress_end(&progress);
    }
    if (status == WEIR_OK && response->code == WEIR_CANISTER_REPLIED)
        status = weir_canister_dir_save(&run->dir, run->canister, file.bytes, file.size, error);
    weir_host_file_done(&file);
    return status;
}

static int install(struct canister_run *run, char **words, struct weir_error *error)
{
    struct weir_canister_response response = {0};
    struct weir_canister_code code = {.mode = WEIR_CANISTER_INSTALL};
    enum weir_status status = weir__canister_open(run, WEIR_CANISTER_CREATE, true, error);
    if (status == WEIR_OK && run->options->is_reinstall &&
        weir_canister_module_hash(run->canister) != NULL)
        code.mode = WEIR_CANISTER_REINSTALL;
    if (status == WEIR_OK)
        status = put_code(run, &code, words, &response, error);
    return finish(run, status, &response, error);
}

static int upgrade(struct canister_run *run, char **words, struct weir_error *error)
{
    const struct canister_options *options = run->options;
    struct weir_canister_response response = {0};
    struct weir_canister_code code = {.mode = WEIR_CANISTER_UPGRADE,
                                      .skip_pre_upgrade = options->skip_pre_upgrade,
                                      .heap = options->is_keep      ? WEIR_CANISTER_HEAP_KEEP
                                              : options->is_replace ? WEIR_CANISTER_HEAP_REPLACE
                                                                    : WEIR_CANISTER_HEAP_UNSAID};
    enum weir_status status = weir__canister_open(run, WEIR_CANISTER_WRITE, false, error);
    if (status == WEIR_OK)
        status = put_code(run, &code, words, &response, error);
    return finish(run, status, &response, error);
}

static int call_method(struct canister_run *run, char **words, bool is_update,
                       struct weir_error *error)
{
    struct weir_canister_response response = {0};
    struct weir_canister_call call = {.method = words[0], .caller = &run->caller};
    enum weir_status status = weir__canister_open(
        run, is_update ? WEIR_CANISTER_WRITE : WEIR_CANISTER_READ, false, error);
    if (status == WEIR_OK)
        status = weir__canister_argument(run, words[1], &call.arg, &call.arg_size, error);
    if (status == WEIR_OK)
        status = is_update ? weir_canister_update(run->canister, &call, &response, error)
                           : weir_canister_query(run->canister, &call, &response, error);
    if (status == WEIR_OK && is_update)
        status = weir_canister_dir_save(&run->dir, run->canister, NULL, 0, error);
    return finish(run, status, &response, error);
}

static int call(struct canister_run *run, char **words, struct weir_error *error)
{
    return call_method(run, words, true, error);
}

static int query(struct canister_run *run, char **words, struct weir_error *error)
{
    return call_method(run, words, false, error);
}

static int tick(struct canister_run *run, char **words, struct weir_error *error)
{
    (void)words;
    unsigned count = 0;
    struct weir_canister_response response = {0};
    enum weir_status status = weir__canister_open(run, WEIR_CANISTER_WRITE, false, error);
    if (status == WEIR_OK)
        status = weir_canister_tick(run->canister, &count, &response, error);
    if (status == WEIR_OK)
        status = weir_canister_dir_save(&run->dir, run->canister, NULL, 0, error);
    if (status == WEIR_OK && response.code == WEIR_CANISTER_REPLIED) {
        printf("%u of heartbeat and timer ran\n", count);
    }
    return finish(run, status, &response, error);
}

static int look(struct canister_run *run, int (*show)(struct canister_run *, struct weir_error *),
                struct weir_error *error)
{
    enum weir_status status = weir__canister_open(run, WEIR_CANISTER_READ, false, error);
    return status == WEIR_OK ? show(run, error) : weir_cli_fail(weir__canister_command.name, error);
}

static int status(struct canister_run *run, char **words, struct weir_error *error)
{
    (void)words;
    return look(run, weir__canister_status, error);
}

static int top(struct canister_run *run, char **words, struct weir_error *error)
{
    (void)words;
    return look(run, weir__canister_top, error);
}

/* `words` are those behind NAME, padded with NULL. */
static const struct {
    const char *name;
    int (*run)(struct canister_run *run, char **words, struct weir_error *error);
    int min, max; /* words behind NAME */
    const char *needs;
} COMMANDS[] = {
    {"install", install, 1, 2, "a module's file"},
    {"upgrade", upgrade, 1, 2, "a module's file"},
    {"call", call, 1, 2, "a method"},
    {"query", query, 1, 2, "a method"},
    {"tick", tick, 0, 0, ""},
    {"status", status, 0, 0, ""},
    {"top", top, 0, 0, ""},
};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof COMMANDS[0])
#define WORDS_MAX 5

static int refuse_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = COMMANDS[i].name;
    const char *nearest = weir_nearest_name(name, names, COMMAND_COUNT);
    return nearest != NULL
               ? weir_cli_usage_error(&weir__canister_command,
                                      "unknown command %s; did you mean %s?", name, nearest)
               : weir_cli_usage_error(&weir__canister_command, "unknown command %s", name);
}

static int dispatch(const struct canister_options *options, char **words, int count)
{
    const struct weir_cli_command *command = &weir__canister_command;
    if (count == 0)
        return weir_cli_usage_error(command, "no command is named");
    size_t i = 0;
    while (i < COMMAND_COUNT && strcmp(words[0], COMMANDS[i].name) != 0)
        i++;
    if (i == COMMAND_COUNT)
        return refuse_command(words[0]);
    if (count < 2)
        return weir_cli_usage_error(command, "no canister is named");
    if (count - 2 < COMMANDS[i].min)
        return weir_cli_usage_error(command, "%s needs %s", words[0], COMMANDS[i].needs);
    if (count - 2 > COMMANDS[i].max)
        return weir_cli_usage_error(command, "%s is too much", words[2 + COMMANDS[i].max]);
    if (options->state == NULL)
        return weir_cli_usage_error(command, "--state says where canisters live; it is missing");
    struct canister_run run = {.options = options,
                               .name = words[1],
                               .dir = {.dir = -1, .lock = -1},
                               .caller = weir_principal_anonymous()};
    struct weir_error error = {0};
    int exit_code = COMMANDS[i].run(&run, words + 2, &error);
    weir_error_done(&error);
    weir__canister_close(&run);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct canister_options options = {0};
    struct weir_error error = {0};
    struct weir_cli_arguments all = {.count = argc, .texts = argv};
    enum weir_status status =
        weir_cli_parse_all(&weir__canister_command, &all, set_option, &options, &error);
    if (status != WEIR_OK)
        return status == WEIR_EXIT ? 0 : weir_cli_fail(weir__canister_command.name, &error);
    char *words[WORDS_MAX + 2] = {0}; /* what may be left out is NULL */
    for (int i = 0; i + 1 < all.count && i <= WORDS_MAX; i++)
        words[i] = all.texts[i + 1];
    return dispatch(&options, words, all.count - 1);
}
