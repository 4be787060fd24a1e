/* `weir serve`: reads the configuration, prints the plan and the URLs, serves until a signal. */
#include "cli/cli_options.h"
#include "cli/cli_progress.h"
#include "cli/plan_table.h"

#include "base/clock.h"
#include "base/listen.h"
#include "base/sizes.h"
#include "ledger/equation.h"
#include "server/host_file.h"
#include "server/server.h"
#include "server/server_log.h"
#include "server/server_plan.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CONFIG_CHUNK_BYTES 16384
#define COMPILE_USEC 60000000 /* what a service manager grants each module at start-up */

struct options {
    const char *config;
    const char *listen;
    const char *modules;
    bool is_check;
    bool is_overcommit;
    bool is_quiet;
};

enum {
    LISTEN = 16,
    MODULES,
    CHECK,
    OVERCOMMIT
};

static const struct weir_cli_option OPTIONS[] = {
    {'c', "config", "FILE", "the configuration: weir.yaml(5)"},
    {LISTEN, "listen", "HOST:PORT", "instead of the file's listen (127.0.0.1:7070); port 0:\nany"},
    {MODULES, "modules", "DIR", "where relative module paths begin, instead of the file's"},
    {CHECK, "check", NULL, "compile and plan, then end"},
    {OVERCOMMIT, "overcommit", NULL, "start although the plan does not fit the memory limit"},
    {'q', "quiet", NULL, "print only the URL and errors"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir serve",
    .usage = "--config FILE [OPTION ...]",
    .summary = "Answers HTTP requests with WASI programs by the CGI convention, each in a fresh\n"
               "state and under its own limits. Does not start when the plan does not fit the\n"
               "memory limit. SIGHUP reads the configuration again; SIGTERM or SIGINT ends it\n"
               "after the requests in flight.",
    .options = OPTIONS,
    .examples = "  weir serve --config weir.yaml\n"
                "  weir serve --config weir.yaml --listen 127.0.0.1:0\n",
};

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct options *options = context;
    char host[WEIR_LISTEN_HOST_SIZE];
    uint16_t port;
    switch (letter) {
    case 'c':
        options->config = value;
        return WEIR_OK;
    case LISTEN:
        options->listen = value;
        return weir_listen_parse(value, host, &port, error);
    case MODULES:
        options->modules = value;
        return WEIR_OK;
    case CHECK:
        options->is_check = true;
        return WEIR_OK;
    case OVERCOMMIT:
        options->is_overcommit = true;
        return WEIR_OK;
    default:
        options->is_quiet = true;
        return WEIR_OK;
    }
}

/* --- the plan ------------------------------------------------------------------------------ */

struct host {
    const struct options *options;
    struct weir_account_source owner; /* of the configurations' arenas */
    struct weir_arena *arena;         /* of the first configuration */
    struct weir_server_config config; /* the first */
    struct weir_server *server;
    struct weir_plan *plan; /* of the present configuration */
    struct weir_service service;
    sigset_t signals;
    uint64_t ping_ns; /* when the watchdog was told last */
};

/* With the binding cgroup's limit; none is fine, one that cannot be read is up to on_unknown. */
static enum weir_status make_plan(const struct weir_server_config *config,
                                  struct weir_plan **ret_plan, struct weir_error *error)
{
    struct weir_plan *plan = NULL;
    struct weir_error inner = {0};
    enum weir_status status = weir_server_plan_new(config, &plan, error);
    if (status != WEIR_OK)
        return status;
    status = weir_plan_set_cgroup(plan, "", "self", &inner);
    if (status != WEIR_OK && status != WEIR_NOT_FOUND && config->governor.is_closed_on_unknown) {
        weir_error_move(error, &inner);
        weir_plan_free(plan);
        return status;
    }
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        (void)fprintf(stderr, "%s: the memory limit is unknown: %s\n", COMMAND.name, inner.message);
    weir_error_done(&inner);
    *ret_plan = plan;
    return WEIR_OK;
}

/* True when it may start; otherwise, or when that is only insisted on, says what is wrong. */
static bool check_plan(const struct weir_plan *plan, bool is_overcommit)
{
    if (weir_plan_fits(plan))
        return true;
    const char *verb = is_overcommit ? "--overcommit: " : "";
    if (weir_plan_missing(plan) > 0)
        (void)fprintf(stderr,
                      "%s: %sthe plan does not fit: at most %s of %s (%s), %s are missing\n",
                      COMMAND.name, verb, weir_plan_mib(weir_plan_total(plan)).text,
                      weir_plan_mib(weir_plan_limit(plan)).text, weir_plan_limit_source(plan),
                      weir_plan_mib(weir_plan_missing(plan)).text);
    for (int kind = 0; kind < WEIR_PLAN_COUNTS; kind++) {
        struct weir_plan_count count = weir_plan_count(plan, (enum weir_plan_count_kind)kind);
        if (!weir_plan_count_fits(&count))
            (void)fprintf(stderr,
                          "%s: %sthe plan does not fit: at most %llu %s of %llu (%s); lower "
                          "server.connections_max or concurrency\n",
                          COMMAND.name, verb, (unsigned long long)count.count, count.what,
                          (unsigned long long)count.limit, count.limit_source);
    }
    if (is_overcommit)
        return true;
    weir_plan_table_moves(plan, "MiB", stderr);
    (void)fprintf(stderr, "`weir plan` shows every line; --overcommit starts anyway\n");
    return false;
}

static void print_urls(const struct weir_server *server, const struct weir_server_config *config)
{
    const char *url = weir_server_url(server);
    printf("Serving at %s\n", url);
    for (size_t i = 0; i < config->route_count; i++)
        printf("  curl -i %s%s\n", url, config->routes[i].path);
    static const char *const PAGES[] = {"/v1/memory", "/v1/pressure", "/metrics", "/healthz",
                                        "/readyz"};
    for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0]; i++)
        printf("  curl -i %s%s\n", url, PAGES[i]);
    (void)fflush(stdout);
}

/* --- progress ------------------------------------------------------------------------------ */

struct compiling {
    const struct host *host;
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
    (void)weir_service_notify(&compiling->host->service,
                              "STATUS=%s\nEXTEND_TIMEOUT_USEC=%llu", compiling->what,
                              (unsigned long long)COMPILE_USEC);
    weir_cli_progress_begin(&compiling->progress, compiling->what, "functions",
                            compiling->is_quiet);
}

static void step_compiling(void *context, uint32_t done, uint32_t total)
{
    struct compiling *compiling = context;
    weir_cli_progress_step(&compiling->progress, done, total);
}

/* --- serving ------------------------------------------------------------------------------- */

/* Signals are taken by sigtimedwait() here and nowhere else: every thread inherits the mask. */
static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static enum weir_status load_config(struct host *host, struct weir_arena **ret_arena,
                                    struct weir_server_config *config, struct weir_error *error)
{
    const struct options *options = host->options;
    const struct weir_arena_source source = weir_account_arena_source(&host->owner);
    struct weir_arena *arena = NULL;
    enum weir_status status = weir_arena_new(&source, CONFIG_CHUNK_BYTES, &arena, error);
    if (status == WEIR_OK)
        status = weir_server_config_load(options->config, options->modules, arena, config, error);
    if (status != WEIR_OK) {
        weir_arena_free(arena);
        return status;
    }
    if (options->listen != NULL)
        (void)snprintf(config->listen, sizeof config->listen, "%s", options->listen);
    *ret_arena = arena;
    return WEIR_OK;
}

static void keep_plan(struct host *host, struct weir_plan *plan)
{
    weir_plan_free(host->plan);
    host->plan = plan;
}

static void log_told(const struct host *host, enum weir_log_level level, const char *name,
                     const char *message)
{
    const struct weir_plan *plan = host->plan;
    const struct weir_server_log_field fields[] = {
        {"url", weir_server_url(host->server), 0},
        {"plan_bytes", NULL, weir_plan_total(plan)},
        {"plan_limit_bytes", NULL, weir_plan_limit(plan)},
        {"plan_fits", weir_plan_fits(plan) ? "yes" : "no", 0},
        {NULL, NULL, 0},
    };
    weir_server_log(host->server,
                    &(struct weir_server_event){
                        .level = level, .name = name, .is_told = true, .fields = fields},
                    "%s", message);
}

/* --- reloading ----------------------------------------------------------------------------- */

static enum weir_status reload_with(struct host *host, const struct weir_server_config *config,
                                    struct weir_arena *arena, struct weir_error *error)
{
    struct weir_plan *plan = NULL;
    enum weir_status status = weir_server_can_reload(host->server, config, error);
    if (status == WEIR_OK)
        status = make_plan(config, &plan, error);
    if (status != WEIR_OK)
        return status;
    if (!check_plan(plan, host->options->is_overcommit))
        status = weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET, "the plan does not fit");
    if (status == WEIR_OK)
        status = weir_server_reload(host->server, config, arena, NULL, error);
    if (status != WEIR_OK) {
        weir_plan_free(plan);
        return status;
    }
    printf("Reloaded %s\n", host->options->config); /* config may be gone with its arena */
    if (weir_plan_table_diff(host->plan, plan, stdout) == 0)
        printf("The plan is the same.\n");
    keep_plan(host, plan);
    log_told(host, WEIR_LOG_INFO, "reloaded", "the configuration was read again");
    return WEIR_OK;
}

/* A configuration that is not good changes nothing. */
static void reload(struct host *host)
{
    struct weir_error error = {0};
    struct weir_arena *arena = NULL;
    struct weir_server_config config = {0};
    enum weir_status status = load_config(host, &arena, &config, &error);
    if (status == WEIR_OK)
        status = reload_with(host, &config, arena, &error);
    if (status != WEIR_OK) {
        log_told(host, WEIR_LOG_ERROR, "reload_refused", error.message);
        if (weir_server_is_log_for_people(&host->config.log)) {
            (void)weir_cli_fail(COMMAND.name, &error);
            (void)fprintf(stderr, "%s: not reloaded, the configuration stays as it was\n",
                          COMMAND.name);
        }
        weir_error_done(&error);
        weir_arena_free(arena);
    }
    (void)fflush(stdout);
}

/* --- running ------------------------------------------------------------------------------- */

static void notify_ready(const struct host *host)
{
    (void)weir_service_notify(&host->service, "READY=1\nSTATUS=Serving at %s",
                              weir_server_url(host->server));
}

/* Twice per the watchdog's time, and only while the server is not stuck. */
static void ping(struct host *host)
{
    uint64_t now_ns = weir_clock_ns();
    if (host->service.watchdog_ns == 0 || now_ns - host->ping_ns < host->service.watchdog_ns / 2)
        return;
    weir_server_check(host->server);
    (void)weir_service_notify(&host->service, "WATCHDOG=1");
    host->ping_ns = now_ns;
}

/* The next signal; 0 when none came in time. */
static int next_signal(const struct host *host, uint64_t timeout_ns)
{
    const struct timespec timeout = weir_timespec(timeout_ns);
    int number = sigtimedwait(&host->signals, NULL, &timeout);
    return number > 0 ? number : 0;
}

/* A second SIGTERM or SIGINT while requests in flight are waited for. */
static bool is_hurried(void *context)
{
    struct host *host = context;
    int number = next_signal(host, 0);
    ping(host);
    if (number == SIGUSR1)
        weir_server_reopen_logs(host->server);
    return number == SIGTERM || number == SIGINT;
}

static int stop(struct host *host)
{
    uint64_t drain_ns = weir_server_drain_ns(host->server);
    char message[128];
    (void)snprintf(message, sizeof message, "no new requests; those in flight have %s",
                   weir_duration_format(drain_ns).text);
    log_told(host, WEIR_LOG_INFO, "stopping", message);
    (void)weir_service_notify(&host->service,
                              "STOPPING=1\nSTATUS=Stopping: %s\nEXTEND_TIMEOUT_USEC=%llu", message,
                              (unsigned long long)(drain_ns / 1000 + COMPILE_USEC));
    if (!host->options->is_quiet)
        printf("Stopping: %s.\n", message);
    (void)fflush(stdout);
    bool is_clean = weir_server_drain(host->server, drain_ns, is_hurried, host);
    const char *result = is_clean ? "every request was answered"
                                  : "requests that were still running were cancelled";
    log_told(host, is_clean ? WEIR_LOG_INFO : WEIR_LOG_WARNING, "drained", result);
    if (!is_clean && weir_server_is_log_for_people(&host->config.log))
        (void)fprintf(stderr, "%s: %s\n", COMMAND.name, result);
    return is_clean ? 0 : weir_status_exit_code(WEIR_CANCELLED);
}

static int serve(struct host *host)
{
    struct weir_error error = {0};
    const struct options *options = host->options;
    weir_server_adopt(host->server, &host->service);
    enum weir_status status = weir_server_start(host->server, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (options->is_quiet) {
        printf("%s\n", weir_server_url(host->server));
        (void)fflush(stdout);
    } else {
        print_urls(host->server, &host->config);
    }
    log_told(host, WEIR_LOG_INFO, "started", "requests are answered");
    notify_ready(host);
    uint64_t watchdog_ns = host->service.watchdog_ns;
    uint64_t timeout_ns = watchdog_ns != 0 ? watchdog_ns / 4 : UINT64_C(3600000000000);
    int received = 0;
    while (received != SIGTERM && received != SIGINT) {
        ping(host);
        received = next_signal(host, timeout_ns);
        if (received == SIGHUP || received == SIGUSR1)
            weir_server_reopen_logs(host->server);
        if (received == SIGHUP) {
            (void)weir_service_notify_reloading(&host->service);
            reload(host);
            notify_ready(host);
        }
    }
    return stop(host);
}

/* Compiles; with everything compiled the plan is smaller, and that is the one to compare with. */
static enum weir_status open_server(struct host *host, struct weir_error *error)
{
    const struct options *options = host->options;
    struct compiling compiling = {.host = host, .is_quiet = options->is_quiet};
    const struct weir_server_progress progress = {
        .compiling = begin_compiling, .compiled = step_compiling, .context = &compiling};
    enum weir_status status = weir_server_new(&host->config, &progress, &host->server, error);
    weir_cli_progress_end(&compiling.progress);
    struct weir_plan *plan = NULL;
    if (status == WEIR_OK)
        status = make_plan(&host->config, &plan, error);
    if (status == WEIR_OK)
        keep_plan(host, plan);
    return status;
}

static int run_host(struct host *host)
{
    block_signals(&host->signals);
    struct weir_error error = {0};
    struct weir_plan *plan = NULL;
    enum weir_status status = weir_service_take(&host->service, &error);
    if (status == WEIR_OK)
        status = load_config(host, &host->arena, &host->config, &error);
    if (status == WEIR_OK)
        status = make_plan(&host->config, &plan, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    keep_plan(host, plan);
    if (!check_plan(plan, host->options->is_overcommit))
        return weir_status_exit_code(WEIR_LIMIT);
    status = open_server(host, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (!host->options->is_quiet) {
        weir_plan_table_print(host->plan, stdout);
        printf("\n");
    }
    return host->options->is_check ? 0 : serve(host);
}

static int run(const struct options *options)
{
    struct host host = {.options = options,
                        .owner = {.account = weir_account_host(), .kind = WEIR_KIND_SERVER}};
    int exit_code = run_host(&host);
    weir_server_free(host.server);
    weir_plan_free(host.plan);
    weir_arena_free(host.arena);
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
