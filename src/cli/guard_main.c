/* `weir guard`: watches the memory of a process that is not ours, answers whether a request may
 * come in, and pauses background work. The main thread is the monitor; HTTP has one of its own. */
#include "cli/guard_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/sizes.h"
#include "cli/guard_limits.h"


enum {
    CGROUP = 16,
    PID,
    MEM_FREE_LIMIT,
    LEAVE,
    DWELL,
    TRANSITIONS,
    ON_UNKNOWN,
    LISTEN,
    ON_PAUSE,
    ON_RESUME,
    PAUSE_LIMIT,
    PAUSE_LEAVE,
    COMMAND_TIME,
    INTERVAL,
    STALE,
    PRESSURE_FILE,
    CGROUP_ROOT,
    EXPLAIN,
    ONCE,
    JSON
};

static const struct weir_cli_option OPTIONS[] = {
    {CGROUP, "cgroup", "PATH",
     "whose memory: a cgroup's folder, or its name as in\n"
     "/proc/PID/cgroup"},
    {PID, "pid", "PID", "whose memory: the cgroup of a process (this one's)"},
    {MEM_FREE_LIMIT, "mem-free-limit", "SIZE",
     "refuse requests when no more than this is free,\n"
     "such as 1GB; \"\": never (default)"},
    {LEAVE, "leave-free", "SIZE", "admit again above this (an eighth more)"},
    {DWELL, "dwell", "TIME", "and only after so long above it (5s)"},
    {TRANSITIONS, "transitions", "N", "change at most so often in a minute, 3 to 60 (12)"},
    {ON_UNKNOWN, "on-unknown", "open|closed",
     "admit (default) or refuse while the pressure cannot\n"
     "be read"},
    {LISTEN, "listen", "HOST:PORT", "where to answer (127.0.0.1:7071); port 0: any"},
    {ON_PAUSE, "on-pause", "COMMAND", "for sh: pauses background work"},
    {ON_RESUME, "on-resume", "COMMAND", "for sh: resumes it"},
    {PAUSE_LIMIT, "pause-free-limit", "SIZE",
     "pause when no more than this is free (1GB);\n"
     "\"\": never"},
    {PAUSE_LEAVE, "pause-leave-free", "SIZE", "resume above this (an eighth more)"},
    {COMMAND_TIME, "command-timeout", "TIME", "stop a command that takes longer (30s)"},
    {INTERVAL, "interval", "TIME", "read the pressure so often (100ms)"},
    {STALE, "stale", "TIME", "a reading counts for so long (3 intervals, at least\n1s)"},
    {PRESSURE_FILE, "pressure-file", "FILE", "for tests: figures instead of a cgroup"},
    {CGROUP_ROOT, "cgroup-root", "DIR", "for tests: where /proc and /sys are"},
    {EXPLAIN, "explain", NULL, "say which limit binds and what every level says"},
    {ONCE, "once", NULL, "read once, say the answer, end with 0 (admit) or 4"},
    {JSON, "json", NULL, "with --once: everything that is known"},
    {'q', "quiet", NULL, "print only the URL and errors"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir guard",
    .usage = "[--cgroup PATH | --pid PID] --mem-free-limit SIZE [OPTION ...]",
    .summary = "Watches the memory of a process that is not ours: answers GET /admit with 204,\n"
               "or 429 while less is free than asked for; pauses and resumes background work.",
    .options = OPTIONS,
    .examples = "  weir guard --cgroup /system.slice/node.service --mem-free-limit 1GB\n"
                "  weir guard --pid 4711 --mem-free-limit 1GB --explain\n"
                "  weir guard --cgroup /node --on-pause 'systemctl stop indexer' \\\n"
                "             --on-resume 'systemctl start indexer'\n",
};

/* --- options -------------------------------------------------------------------------------- */

/* A size, or "" for off. */
static enum weir_status set_limit(char letter, const char *value, bool *ret_is_set,
                                  uint64_t *ret_bytes, struct weir_error *error)
{
    *ret_is_set = value[0] != '\0';
    if (!*ret_is_set)
        return WEIR_OK;
    return weir_cli_size(weir_cli_option_name(&COMMAND, letter), value, ret_bytes, error);
}

static enum weir_status set_time(char letter, const char *value, uint64_t min_ns, uint64_t max_ns,
                                 uint64_t *ret_ns, struct weir_error *error)
{
    uint64_t ns = 0;
    enum weir_status status =
        weir_cli_duration(weir_cli_option_name(&COMMAND, letter), value, &ns, error);
    if (status != WEIR_OK)
        return status;
    if (ns < min_ns || ns > max_ns)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s %.40s: from %s to %s is possible",
                              weir_cli_option_name(&COMMAND, letter), value,
                              weir_duration_format(min_ns).text, weir_duration_format(max_ns).text);
    *ret_ns = ns;
    return WEIR_OK;
}

static enum weir_status set_number_or_word(struct guard_options *options, char letter,
                                           const char *value, struct weir_error *error)
{
    if (letter == TRANSITIONS) {
        enum weir_status status = weir_cli_number(
            "transitions", value, WEIR_TRIGGER_TRANSITIONS_MAX, &options->transitions, error);
        if (status == WEIR_OK && options->transitions < WEIR_TRIGGER_TRANSITIONS_MIN)
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "--transitions %s: from %u to %u is possible: one way out, and "
                                  "two kept for the unknown and the way back",
                                  value, WEIR_TRIGGER_TRANSITIONS_MIN,
                                  WEIR_TRIGGER_TRANSITIONS_MAX);
        return status;
    }
    if (letter == LISTEN) {
        char host[WEIR_LISTEN_HOST_SIZE];
        uint16_t port;
        options->listen = value;
        return weir_listen_parse(value, host, &port, error);
    }
    options->on_unknown = strcmp(value, "closed") == 0 ? WEIR_UNKNOWN_CLOSED : WEIR_UNKNOWN_OPEN;
    if (options->on_unknown == WEIR_UNKNOWN_CLOSED || strcmp(value, "open") == 0)
        return WEIR_OK;
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "--on-unknown %.40s: open or closed is needed", value);
}

static void set_text_or_flag(struct guard_options *options, char letter, const char *value)
{
    const struct {
        char letter;
        const char **text;
        bool *flag;
    } plain[] = {{CGROUP, &options->cgroup, NULL},
                 {PID, &options->pid, NULL},
                 {ON_PAUSE, &options->on_pause, NULL},
                 {ON_RESUME, &options->on_resume, NULL},
                 {PRESSURE_FILE, &options->pressure_file, NULL},
                 {CGROUP_ROOT, &options->cgroup_root, NULL},
                 {EXPLAIN, NULL, &options->is_explain},
                 {ONCE, NULL, &options->is_once},
                 {JSON, NULL, &options->is_json},
                 {'q', NULL, &options->is_quiet}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (plain[i].letter != letter)
            continue;
        if (plain[i].text != NULL)
            *plain[i].text = value;
        if (plain[i].flag != NULL)
            *plain[i].flag = true;
    }
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct guard_options *options = context;
    enum weir_status status;
    switch (letter) {
    case MEM_FREE_LIMIT:
        return set_limit(letter, value, &options->has_free_limit, &options->free_limit_bytes,
                         error);
    case PAUSE_LIMIT:
        status =
            set_limit(letter, value, &options->has_pause_limit, &options->pause_limit_bytes, error);
        options->is_pause_off = !options->has_pause_limit;
        return status;
    case LEAVE:
        return weir_cli_size("leave-free", value, &options->leave_bytes, error);
    case PAUSE_LEAVE:
        return weir_cli_size("pause-leave-free", value, &options->pause_leave_bytes, error);
    case DWELL:
        return set_time(letter, value, 0, GUARD_DURATION_NS_MAX, &options->dwell_ns, error);
    case INTERVAL:
        return set_time(letter, value, GUARD_INTERVAL_NS_MIN, GUARD_INTERVAL_NS_MAX,
                        &options->interval_ns, error);
    case STALE:
        return set_time(letter, value, GUARD_INTERVAL_NS_MIN, GUARD_DURATION_NS_MAX,
                        &options->stale_ns, error);
    case COMMAND_TIME:
        return set_time(letter, value, WEIR_MS_NS, GUARD_DURATION_NS_MAX, &options->command_ns,
                        error);
    case TRANSITIONS:
    case LISTEN:
    case ON_UNKNOWN:
        return set_number_or_word(options, letter, value, error);
    default:
        set_text_or_flag(options, letter, value);
        return WEIR_OK;
    }
}

/* "" when the options go together. */
static const char *conflict(const struct guard_options *options)
{
    if (options->cgroup != NULL && options->pid != NULL)
        return "--cgroup and --pid name the same thing: give one of them";
    if (options->cgroup != NULL && options->cgroup[0] != '/')
        return "--cgroup needs a path from the root, such as /system.slice/node.service";
    if (options->pressure_file != NULL && (options->cgroup != NULL || options->pid != NULL))
        return "--pressure-file stands for the cgroup: give no --cgroup and no --pid";
    if (options->is_json && !options->is_once)
        return "--json goes with --once; a running guard answers GET /v1/pressure";
    if (options->leave_bytes != 0 && options->leave_bytes < options->free_limit_bytes)
        return "--leave-free is below --mem-free-limit: it would be left before it is entered";
    if (options->pause_leave_bytes != 0 && options->pause_leave_bytes < options->pause_limit_bytes)
        return "--pause-leave-free is below --pause-free-limit";
    if (options->stale_ns != 0 && options->stale_ns < options->interval_ns)
        return "--stale is shorter than --interval: every reading would be too old";
    return "";
}

static void set_defaults(struct guard_options *options)
{
    uint64_t three_ns = options->interval_ns * 3;
    if (options->stale_ns == 0)
        options->stale_ns = three_ns > WEIR_SECOND_NS ? three_ns : WEIR_SECOND_NS;
}

/* --- the governor --------------------------------------------------------------------------- */

static enum weir_status add_actions(struct weir_governor *governor,
                                    const struct guard_options *options,
                                    struct guard_commands *commands, struct weir_error *error)
{
    const struct weir_action pause = {.name = "pause",
                                      .kind = WEIR_ACTION_PAUSE,
                                      .on_unknown = options->on_unknown,
                                      .when = {.is_off = options->is_pause_off,
                                               .enter_free_bytes = options->pause_limit_bytes,
                                               .leave_free_bytes = options->pause_leave_bytes,
                                               .dwell_ns = options->dwell_ns,
                                               .transitions_max = (unsigned)options->transitions}};
    const struct weir_action refuse = {.name = "refuse",
                                       .kind = WEIR_ACTION_REFUSE,
                                       .on_unknown = options->on_unknown,
                                       .when = {.is_off = !options->has_free_limit,
                                                .enter_free_bytes = options->free_limit_bytes,
                                                .leave_free_bytes = options->leave_bytes,
                                                .dwell_ns = options->dwell_ns,
                                                .transitions_max = (unsigned)options->transitions}};
    enum weir_status status = WEIR_OK;
    if (options->on_pause != NULL || options->on_resume != NULL) {
        const struct weir_task task = {"background", guard__commands_set, commands};
        status = weir_governor_add_action(governor, &pause, error);
        if (status == WEIR_OK)
            status = weir_governor_add_task(governor, &task, error);
    }
    if (status == WEIR_OK)
        status = weir_governor_add_action(governor, &refuse, error);
    return status;
}

static enum weir_status open_governor(const struct guard_options *options, struct guard_log *log,
                                      struct guard_commands *commands,
                                      struct weir_governor **ret_governor, struct weir_error *error)
{
    const struct weir_governor_config config = {
        .monitor = {.root = options->cgroup_root,
                    .pid = options->pid,
                    .cgroup = options->cgroup,
                    .pressure_file = options->pressure_file},
        .stale_ns = options->stale_ns,
        .event = options->is_once || options->is_explain ? NULL : guard__log_event,
        .event_context = log};
    struct weir_account *account = weir_account_host();
    enum weir_status status = guard__commands_init(commands, options, account, error);
    if (status == WEIR_OK)
        status = weir_governor_new(&config, account, ret_governor, error);
    if (status == WEIR_OK)
        status = add_actions(*ret_governor, options, commands, error);
    return status;
}

/* --- modes ---------------------------------------------------------------------------------- */

static void print_line(void *context, const char *line)
{
    (void)context;
    (void)puts(line);
}

/* The command of background work is not run. */
static int once(const struct guard_options *options, struct weir_governor *governor)
{
    struct weir_governor_status status;
    uint64_t now_ns = weir_clock_ns();
    weir_governor_poll(governor, now_ns);
    bool is_admitted = weir_governor_admit(governor, now_ns, NULL);
    weir_governor_status(governor, now_ns, &status);
    if (options->is_json) {
        char *text = weir_governor_json(&status, now_ns);
        if (text == NULL)
            return weir_status_exit_code(WEIR_NO_MEMORY);
        (void)fputs(text, stdout);
        free(text);
    } else {
        char text[WEIR_GOVERN_BINDING_SIZE + WEIR_GOVERN_REASON_SIZE];
        guard__write_answer(options, &status, text, sizeof text);
        (void)puts(text);
    }
    return is_admitted ? 0 : weir_status_exit_code(WEIR_LIMIT);
}

static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGCHLD);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Polls until a signal ends it. A command that ends is looked at at once. */
static void watch(const struct guard_options *options, struct weir_governor *governor,
                  const sigset_t *signals)
{
    uint64_t due_ns = weir_clock_ns() + options->interval_ns;
    for (;;) {
        uint64_t now_ns = weir_clock_ns();
        uint64_t rest_ns = due_ns > now_ns ? due_ns - now_ns : 0;
        const struct timespec rest = weir_timespec(rest_ns);
        int received = sigtimedwait(signals, NULL, &rest);
        if (received == SIGTERM || received == SIGINT)
            return;
        now_ns = weir_clock_ns();
        weir_governor_poll(governor, now_ns);
        if (received == SIGHUP) {
            struct weir_governor_status status;
            char text[WEIR_GOVERN_BINDING_SIZE + WEIR_GOVERN_REASON_SIZE];
            weir_governor_status(governor, now_ns, &status);
            guard__write_answer(options, &status, text, sizeof text);
            guard__log("%s", text);
        }
        due_ns = due_ns + options->interval_ns > now_ns ? due_ns + options->interval_ns
                                                        : now_ns + options->interval_ns;
        if (received > 0)
            due_ns = now_ns + options->interval_ns;
    }
}

/* What is paused would stay so: nobody is left who could resume it. */
static void leave_running(struct weir_governor *governor, struct guard_commands *commands)
{
    struct weir_governor_status status;
    guard__commands_wait(commands);
    weir_governor_status(governor, weir_clock_ns(), &status);
    if (status.task_count == 0 || status.tasks[0].state == WEIR_TASK_RUNNING)
        return;
    commands->has_result = false;
    (void)guard__commands_set(commands, false, &status.reading, "the guard ends");
    guard__commands_wait(commands);
}

static int serve(struct guard_log *log, struct weir_governor *governor,
                 struct guard_commands *commands)
{
    const struct guard_options *options = log->options;
    static const char *const PAGES[] = {"/admit", "/v1/pressure", "/metrics", "/healthz"};
    struct weir_error error = {0};
    struct weir_listen listen = {.fd = -1};
    struct guard_http *http = NULL;
    struct guard_equation *equation = NULL;
    sigset_t signals;
    enum weir_status status = weir_listen_open(options->listen, &listen, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    block_signals(&signals);
    weir_governor_poll(governor, weir_clock_ns());
    guard__log_start(log, governor);
    status = guard__equation_start(options, &equation, &error);
    if (status == WEIR_OK)
        status = guard__http_start(governor, equation, &listen, &http, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    printf(options->is_quiet ? "%s\n" : "Guarding at %s\n", listen.url);
    for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0] && !options->is_quiet; i++)
        printf("  curl -i %s%s\n", listen.url, PAGES[i]);
    (void)fflush(stdout);
    watch(options, governor, &signals);
    guard__http_stop(http);
    leave_running(governor, commands);
    guard__equation_stop(equation);
    return 0;
}

static int run(const struct guard_options *options)
{
    struct weir_error error = {0};
    struct guard_log log = {.options = options};
    struct guard_commands commands = {0};
    struct weir_governor *governor = NULL;
    enum weir_status status = open_governor(options, &log, &commands, &governor, &error);
    int exit_code = 0;
    if (status != WEIR_OK)
        exit_code = weir_cli_fail(COMMAND.name, &error);
    else if (options->is_explain)
        weir_monitor_explain(weir_governor_monitor(governor),
                             options->has_free_limit ? options->free_limit_bytes : UINT64_MAX,
                             print_line, NULL);
    else
        exit_code = options->is_once ? once(options, governor) : serve(&log, governor, &commands);
    weir_governor_free(governor);
    guard__commands_done(&commands);
    return exit_code;
}

int main(int argc, char **argv)
{
    weir_process_tune_malloc();
    struct guard_options options = {.pause_limit_bytes = UINT64_C(1) << 30,
                                    .dwell_ns = 5 * WEIR_SECOND_NS,
                                    .interval_ns = 100 * WEIR_MS_NS,
                                    .command_ns = 30 * WEIR_SECOND_NS,
                                    .transitions = WEIR_TRIGGER_TRANSITIONS_DEFAULT,
                                    .listen = "127.0.0.1:7071"};
    struct weir_error error = {0};
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    enum weir_status status = weir_cli_parse(&COMMAND, &arguments, set_option, &options, &error);
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (arguments.next < argc)
        return weir_cli_usage_error(&COMMAND, "%s is too much", argv[arguments.next]);
    if (conflict(&options)[0] != '\0')
        return weir_cli_usage_error(&COMMAND, "%s", conflict(&options));
    set_defaults(&options);
    return run(&options);
}
