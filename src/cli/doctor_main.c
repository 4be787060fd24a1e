/* `weir doctor`: whose memory is it, what is free, what to do. */
#include "cli/doctor_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SELF = 16,
    CGROUP,
    PLAN,
    MEMORY,
    JSON,
    BASELINE,
    DIFF,
    NO_MEMORY,
    ROOT,
    WATCH,
    INTERVAL,
    OPERATIONS,
    CACHE,
    LIVE,
    TRIM,
    RECORD,
    REPLAY
};

static const struct weir_cli_option OPTIONS[] = {
    {SELF, "self", NULL, "look at this very process"},
    {CGROUP, "cgroup", "PATH", "look at all processes of a cgroup and at their sum"},
    {PLAN, "plan", "KIND", "lay measured beside bound: nitro, wasmd or weir; its\nfile may follow"},
    {MEMORY, "memory", "SIZE", "with --plan nitro: the container's limit (its cgroup)"},
    {JSON, "json", NULL, "the same facts under stable names"},
    {BASELINE, "baseline", "FILE", "keep this look in FILE; with --diff, read it"},
    {DIFF, "diff", NULL, "show what has changed since --baseline"},
    {NO_MEMORY, "no-memory", NULL, "leave the process's memory unread; less is known then"},
    {ROOT, "root", "DIR", "read saved files: DIR/proc/PID/smaps and so on"},
    {WATCH, "watch", "TIME", "watch how it grows, and end with a verdict"},
    {INTERVAL, "interval", "TIME", "between samples (a 300th of --watch, at most 10s)"},
    {OPERATIONS, "operations", "URL#METRIC", "what it has done so far, by its own metrics"},
    {CACHE, "cache", "URL#USED,LIMIT", "fill and limit of its cache, by its own metrics"},
    {LIVE, "live", "URL#METRIC", "bytes that it holds, by its own metrics"},
    {TRIM, "trim", "COMMAND",
     "makes it trim its allocator; run when memory seems\nretained, to "
     "see how much comes back"},
    {RECORD, "record", "FILE", "keep the samples of --watch in FILE, as CSV"},
    {REPLAY, "replay", "FILE", "judge a recording instead of a process"},
    {0, NULL, NULL, NULL},
};

const struct weir_cli_command weir__doctor_command = {
    .name = "weir doctor",
    .usage = "[OPTION ...] PID | --self | --cgroup PATH | --replay FILE",
    .summary = "Says whose a process's memory is: by allocator, stack, file, guest; what malloc\n"
               "holds free; and what to do, by bytes to be won. It needs nothing of the process.",
    .options = OPTIONS,
    .examples = "  weir doctor 4711\n"
                "  weir doctor 4711 --watch 10m\n"
                "  weir doctor 4711 --plan nitro node.json\n"
                "  weir doctor --cgroup /sys/fs/cgroup/system.slice/nitro.service\n"
                "  weir doctor 4711 --baseline monday.json\n"
                "  weir doctor 4711 --baseline monday.json --diff\n",
};

static enum weir_status set_plan(struct doctor_options *options, const char *value,
                                 struct weir_error *error)
{
    static const char *const KINDS[] = {"", "nitro", "wasmd", "weir"};
    for (size_t i = 1; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (strcmp(value, KINDS[i]) == 0) {
            options->target = (enum doctor_target)i;
            return WEIR_OK;
        }
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "--plan %.40s: nitro, wasmd or weir is needed", value);
}

static enum weir_status set_watch(struct doctor_watch_options *watch, char letter,
                                  const char *value, struct weir_error *error)
{
    switch (letter) {
    case WATCH:
        return weir_cli_duration("watch", value, &watch->duration_ns, error);
    case INTERVAL:
        return weir_cli_duration("interval", value, &watch->interval_ns, error);
    case OPERATIONS:
        watch->operations = value;
        return WEIR_OK;
    case CACHE:
        watch->cache = value;
        return WEIR_OK;
    case LIVE:
        watch->live = value;
        return WEIR_OK;
    case TRIM:
        watch->trim = value;
        return WEIR_OK;
    case RECORD:
        watch->record = value;
        return WEIR_OK;
    default:
        watch->replay = value;
        return WEIR_OK;
    }
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct doctor_options *options = context;
    if (letter >= WATCH && letter <= REPLAY)
        return set_watch(&options->watch, letter, value, error);
    switch (letter) {
    case SELF:
        options->pid = "self";
        return WEIR_OK;
    case CGROUP:
        options->cgroup = value;
        return WEIR_OK;
    case PLAN:
        return set_plan(options, value, error);
    case MEMORY:
        return weir_cli_size("memory", value, &options->memory_bytes, error);
    case JSON:
        options->is_json = true;
        return WEIR_OK;
    case BASELINE:
        options->baseline = value;
        return WEIR_OK;
    case DIFF:
        options->is_diff = true;
        return WEIR_OK;
    case NO_MEMORY:
        options->look.no_memory = true;
        return WEIR_OK;
    default:
        options->look.root = value;
        return WEIR_OK;
    }
}

/* The process first (unless an option names what to look at), then the plan's file. */
static const char *take_argument(struct doctor_options *options, const char *text)
{
    if (options->pid == NULL && options->cgroup == NULL && options->plan_file == NULL)
        options->pid = text;
    else if (options->plan_file == NULL)
        options->plan_file = text;
    else
        return text;
    return NULL;
}

/* Options may stand before, between and behind the arguments. */
static enum weir_status parse(int argc, char **argv, struct doctor_options *options,
                              const char **ret_surplus, struct weir_error *error)
{
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    for (;;) {
        enum weir_status status =
            weir_cli_parse(&weir__doctor_command, &arguments, set_option, options, error);
        if (status != WEIR_OK || arguments.next >= arguments.count)
            return status;
        char **here = &arguments.texts[arguments.next];
        *ret_surplus = take_argument(options, *here);
        if (*ret_surplus != NULL)
            return WEIR_OK;
        *here = argv[0];
        arguments.count -= arguments.next;
        arguments.texts = here;
    }
}

static enum weir_status look(const struct doctor_options *options, struct doctor_view *view,
                             struct weir_error *error)
{
    enum weir_status status =
        options->cgroup != NULL
            ? weir__doctor_look_cgroup(options, view, error)
            : weir_doctor_read(&options->look, options->pid, &view->snapshot, error);
    if (status == WEIR_OK)
        view->advice_count = weir_doctor_advise(&view->snapshot, view->advice);
    return status;
}

static int print_json(json_t *json)
{
    if (json == NULL)
        return weir_status_exit_code(WEIR_NO_MEMORY);
    (void)json_dumpf(json, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    return 0;
}

static enum weir_status show(const struct doctor_options *options, const struct doctor_view *view,
                             bool *ret_is_over, struct weir_error *error)
{
    json_t *json = weir__doctor_json(view);
    enum weir_status status = WEIR_OK;
    if (json == NULL)
        status = weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the result");
    if (status == WEIR_OK && options->baseline != NULL && !options->is_diff)
        status = weir__doctor_save(options->baseline, json, error);
    if (status == WEIR_OK && !options->is_json && options->cgroup != NULL)
        weir__doctor_print_cgroup(options, view);
    if (status == WEIR_OK && !options->is_json)
        weir__doctor_print(options, view);
    json_t *to = options->is_json ? json : NULL;
    if (status == WEIR_OK && options->is_diff)
        status = weir__doctor_diff(options, view, to, error);
    if (status == WEIR_OK && options->target != DOCTOR_NO_PLAN)
        status = weir__doctor_plan(options, view, to, ret_is_over, error);
    if (status == WEIR_OK && options->is_json)
        (void)print_json(json);
    json_decref(json);
    return status;
}

static const char *contradiction(const struct doctor_options *options)
{
    const char *wrong = weir__doctor_watch_contradiction(options);
    if (wrong != NULL || options->watch.replay != NULL)
        return wrong;
    if (options->pid == NULL && options->cgroup == NULL)
        return "say which process: a PID, --self or --cgroup PATH";
    if (options->pid != NULL && options->cgroup != NULL)
        return "a process or a cgroup, not both";
    if (options->plan_file != NULL && options->target == DOCTOR_NO_PLAN)
        return "one process at a time; a file goes with --plan";
    if (options->is_diff && options->baseline == NULL)
        return "--diff needs the earlier look: --baseline FILE";
    if (options->memory_bytes != 0 && options->target != DOCTOR_NITRO)
        return "--memory goes with --plan nitro";
    return NULL;
}

int main(int argc, char **argv)
{
    struct doctor_options options = {.look.root = ""};
    struct weir_error error = {0};
    const char *surplus = NULL;
    const char *name = weir__doctor_command.name;
    enum weir_status status = parse(argc, argv, &options, &surplus, &error);
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(name, &error);
    if (surplus != NULL)
        return weir_cli_usage_error(&weir__doctor_command, "one process at a time: %s is too much",
                                    surplus);
    const char *wrong = contradiction(&options);
    if (wrong != NULL)
        return weir_cli_usage_error(&weir__doctor_command, "%s", wrong);
    if (options.watch.duration_ns != 0 || options.watch.replay != NULL)
        return weir__doctor_watch(&options);
    struct doctor_view *view = calloc(1, sizeof *view);
    bool is_over = false;
    status = view == NULL ? WEIR_NO_MEMORY : look(&options, view, &error);
    if (status == WEIR_OK)
        status = show(&options, view, &is_over, &error);
    if (view != NULL)
        free(view->processes);
    free(view);
    if (status != WEIR_OK)
        return weir_cli_fail(name, &error);
    return is_over ? weir_status_exit_code(WEIR_LIMIT) : 0;
}
