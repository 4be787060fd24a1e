/* `weir serve`: reads the configuration, prints the plan and the URLs, serves until a signal. */
#include "cli/cli_options.h"
#include "cli/cli_progress.h"
#include "cli/cli_table.h"

#include "base/sizes.h"
#include "ledger/equation.h"
#include "server/host_file.h"
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_CHUNK_BYTES 16384

struct options {
    const char *config;
    const char *listen;
    const char *modules;
    bool is_check;
    bool is_quiet;
};

enum {
    LISTEN = 16,
    MODULES,
    CHECK
};

static const struct weir_cli_option OPTIONS[] = {
    {'c', "config", "FILE", "the configuration: weir.yaml(5)"},
    {LISTEN, "listen", "HOST:PORT", "instead of the file's listen (127.0.0.1:7070); port 0:\nany"},
    {MODULES, "modules", "DIR", "where relative module paths begin, instead of the file's"},
    {CHECK, "check", NULL, "compile and plan, then end"},
    {'q', "quiet", NULL, "print only the URL and errors"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir serve",
    .usage = "--config FILE [OPTION ...]",
    .summary = "Answers HTTP requests with WASI programs by the CGI convention, each in a fresh\n"
               "state and under its own limits. SIGTERM or SIGINT ends it after the requests in\n"
               "flight.",
    .options = OPTIONS,
    .examples = "  weir serve --config weir.yaml\n"
                "  weir serve --config weir.yaml --listen 127.0.0.1:0\n",
};

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct options *options = context;
    char host[64];
    uint16_t port;
    switch (letter) {
    case 'c':
        options->config = value;
        return WEIR_OK;
    case LISTEN:
        options->listen = value;
        return weir_server_listen_parse(value, host, &port, error);
    case MODULES:
        options->modules = value;
        return WEIR_OK;
    case CHECK:
        options->is_check = true;
        return WEIR_OK;
    default:
        options->is_quiet = true;
        return WEIR_OK;
    }
}

/* --- the plan ------------------------------------------------------------------------------ */

struct plan {
    struct weir_cli_table table;
    uint64_t total;
};

static void add_bound(void *context, const struct weir_bound *bound)
{
    struct plan *plan = context;
    weir_cli_table_cell(&plan->table, "%s", bound->what);
    weir_cli_table_cell(&plan->table, "%.1f MiB", (double)bound->bytes / 1048576.0);
    weir_cli_table_cell(&plan->table, "%s", bound->source);
    if (!__builtin_add_overflow(plan->total, bound->bytes, &plan->total))
        return;
    plan->total = UINT64_MAX;
}

static void print_plan(const struct weir_server *server, const struct weir_server_config *config)
{
    struct plan plan = {0};
    weir_cli_table_init(&plan.table, 3, 1u << 1);
    printf("Plan for %s\n\n", config->file);
    weir_cli_table_cell(&plan.table, "what");
    weir_cli_table_cell(&plan.table, "at most");
    weir_cli_table_cell(&plan.table, "why");
    weir_server_bounds(server, add_bound, &plan);
    weir_cli_table_cell(&plan.table, "total");
    weir_cli_table_cell(&plan.table, "%.1f MiB", (double)plan.total / 1048576.0);
    if (config->memory_bytes_max == WEIR_UNLIMITED)
        weir_cli_table_cell(&plan.table, "memory_max is not set");
    else
        weir_cli_table_cell(&plan.table, "memory_max: %s is charged at most",
                            weir_size_format(config->memory_bytes_max).text);
    weir_cli_table_print(&plan.table, stdout);
    printf("\n");
}

static void print_urls(const struct weir_server *server, const struct weir_server_config *config)
{
    const char *url = weir_server_url(server);
    printf("Serving at %s\n", url);
    for (size_t i = 0; i < config->route_count; i++)
        printf("  curl -i %s%s\n", url, config->routes[i].path);
    static const char *const PAGES[] = {"/v1/memory", "/metrics", "/healthz", "/readyz"};
    for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0]; i++)
        printf("  curl -i %s%s\n", url, PAGES[i]);
    (void)fflush(stdout);
}

/* --- progress ------------------------------------------------------------------------------ */

struct compiling {
    struct weir_cli_progress progress;
    char what[96];
    bool is_quiet;
};

static void begin_compiling(void *context, const char *file)
{
    struct compiling *compiling = context;
    weir_cli_progress_end(&compiling->progress);
    (void)snprintf(compiling->what, sizeof compiling->what, "compiling %.80s",
                   weir_host_file_name(file));
    weir_cli_progress_begin(&compiling->progress, compiling->what, "functions",
                            compiling->is_quiet);
}

static void step_compiling(void *context, uint32_t done, uint32_t total)
{
    struct compiling *compiling = context;
    weir_cli_progress_step(&compiling->progress, done, total);
}

/* --- serving ------------------------------------------------------------------------------- */

/* Signals are taken by sigwait() here and nowhere else: every thread inherits the mask. */
static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static int serve(struct weir_server *server, const struct options *options,
                 const struct weir_server_config *config, const sigset_t *signals)
{
    struct weir_error error = {0};
    enum weir_status status = weir_server_start(server, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (options->is_quiet) {
        printf("%s\n", weir_server_url(server));
        (void)fflush(stdout);
    } else {
        print_urls(server, config);
    }
    int received = 0;
    (void)sigwait(signals, &received);
    if (!options->is_quiet)
        printf("Stopping: no new requests; those in flight have %s.\n",
               weir_duration_format(config->drain_ns).text);
    (void)fflush(stdout);
    bool is_clean = weir_server_stop(server, config->drain_ns);
    if (!is_clean)
        (void)fprintf(stderr, "weir serve: requests that were still running were cancelled\n");
    return is_clean ? 0 : weir_status_exit_code(WEIR_CANCELLED);
}

static enum weir_status open_server(const struct options *options, struct weir_arena *arena,
                                    struct weir_server_config *config,
                                    struct weir_server **ret_server, struct weir_error *error)
{
    enum weir_status status =
        weir_server_config_load(options->config, options->modules, arena, config, error);
    if (status != WEIR_OK)
        return status;
    if (options->listen != NULL)
        (void)snprintf(config->listen, sizeof config->listen, "%s", options->listen);
    struct compiling compiling = {.is_quiet = options->is_quiet};
    const struct weir_server_progress progress = {
        .compiling = begin_compiling, .compiled = step_compiling, .context = &compiling};
    status = weir_server_new(config, &progress, ret_server, error);
    weir_cli_progress_end(&compiling.progress);
    return status;
}

static int run(const struct options *options)
{
    sigset_t signals;
    block_signals(&signals);
    struct weir_error error = {0};
    struct weir_arena *arena = NULL;
    struct weir_server *server = NULL;
    struct weir_server_config config = {0};
    struct weir_account_source owner = {.account = weir_account_host(), .kind = WEIR_KIND_SERVER};
    const struct weir_arena_source source = weir_account_arena_source(&owner);
    enum weir_status status = weir_arena_new(&source, CONFIG_CHUNK_BYTES, &arena, &error);
    if (status == WEIR_OK)
        status = open_server(options, arena, &config, &server, &error);
    int exit_code;
    if (status != WEIR_OK) {
        exit_code = weir_cli_fail(COMMAND.name, &error);
    } else {
        if (!options->is_quiet)
            print_plan(server, &config);
        exit_code = options->is_check ? 0 : serve(server, options, &config, &signals);
        weir_server_free(server);
    }
    weir_arena_free(arena);
    return exit_code;
}

int main(int argc, char **argv)
{
    weir_process_tune_malloc();
    struct options options = {0};
    struct weir_error error = {0};
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    enum weir_status status = weir_cli_parse(&COMMAND, &arguments, set_option, &options, &error);
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (arguments.next < argc)
        return weir_cli_usage_error(&COMMAND, "%s is too much", argv[arguments.next]);
    if (options.config == NULL)
        return weir_cli_usage_error(&COMMAND, "no configuration is named");
    return run(&options);
}
