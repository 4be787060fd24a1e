/* `weir doctor --watch` and `--replay`: from samples to the verdict.
 *
 * A sample is a snapshot of the process and, where they were asked for, its own metrics. Metrics
 * that cannot be read at the first sample are an error; later they leave a gap, which is told.
 * Ctrl-C ends the watch with the verdict so far. */
#include "cli/cli_progress.h"
#include "cli/doctor_view.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "doctor/metric_source.h"
#include "doctor/record.h"
#include "doctor/watch_process.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Samples: as many as a verdict wants with ease, not so often that reading them is a load, and not
 * so seldom that a day of troughs is lost between two. */
#define INTERVAL_PARTS 300u
#define INTERVAL_MAX_NS UINT64_C(10000000000)
#define INTERVAL_MIN_NS UINT64_C(10000000)

WEIR_AUTO_DEFINE(weir_watch, weir_watch_free)

/* A watch under way. */
struct session {
    const struct doctor_options *options;
    struct weir_watch *watch;
    struct doctor_watched watched;
    char subject[96];
    uint64_t start_time; /* of the process; another one means that its number was used again */
    bool has_first;
    struct weir_metric_source operations, cache, live;
    int record_fd; /* -1: none */
    struct weir_error record_error;
    uint64_t expected, reading_ns; /* samples; all readings together */
    struct weir_cli_progress progress;
};

static volatile sig_atomic_t is_stopped;

static void stop(int number)
{
    (void)number;
    is_stopped = 1;
}

/* Signals arrive only while the watch waits, so none is missed. `ret_before` is the mask to go back
 * to when it is over, since a command of --trim inherits it. */
static void catch_signals(sigset_t *ret_before)
{
    struct sigaction action = {.sa_handler = stop};
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &blocked, ret_before);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* --- options ------------------------------------------------------------------------------- */

const char *weir__doctor_watch_contradiction(const struct doctor_options *options)
{
    const struct doctor_watch_options *watch = &options->watch;
    bool has_part = watch->interval_ns != 0 || watch->operations != NULL || watch->cache != NULL ||
                    watch->live != NULL || watch->trim != NULL || watch->record != NULL;
    if (watch->replay != NULL &&
        (watch->duration_ns != 0 || has_part || options->pid != NULL || options->cgroup != NULL))
        return "--replay judges a recording: no process and no other option of a watch goes with "
               "it";
    if (watch->replay == NULL && watch->duration_ns == 0 && has_part)
        return "--interval, --operations, --cache, --live, --trim and --record go with --watch "
               "TIME";
    if (watch->duration_ns == 0)
        return NULL;
    if (options->cgroup != NULL || options->target != DOCTOR_NO_PLAN || options->baseline != NULL)
        return "--watch goes with one process, without --plan and --baseline";
    if (watch->interval_ns != 0 && watch->interval_ns < INTERVAL_MIN_NS)
        return "--interval: at least 10ms";
    if (watch->duration_ns / WEIR_VERDICT_SAMPLES_MIN <
        (watch->interval_ns != 0 ? watch->interval_ns : INTERVAL_MIN_NS))
        return "a verdict needs 90 samples: make --watch longer or --interval shorter";
    return NULL;
}

static uint64_t choose_interval(const struct doctor_watch_options *watch)
{
    uint64_t part = watch->duration_ns / INTERVAL_PARTS;
    if (watch->interval_ns != 0)
        return watch->interval_ns;
    return part > INTERVAL_MAX_NS   ? INTERVAL_MAX_NS
           : part < INTERVAL_MIN_NS ? INTERVAL_MIN_NS
                                    : part;
}

static bool counts_bytes(const char *selector)
{
    size_t size = strcspn(selector, "{");
    return size >= 6 && memcmp(selector + size - 6, "_bytes", 6) == 0;
}

static enum weir_status parse_sources(struct session *session, struct weir_error *error)
{
    const struct doctor_watch_options *watch = &session->options->watch;
    enum weir_status status = WEIR_OK;
    if (watch->operations != NULL)
        status = weir_metric_source_parse("operations", watch->operations, 1, &session->operations,
                                          error);
    if (status == WEIR_OK && watch->cache != NULL)
        status = weir_metric_source_parse("cache", watch->cache, 2, &session->cache, error);
    if (status == WEIR_OK && watch->live != NULL)
        status = weir_metric_source_parse("live", watch->live, 1, &session->live, error);
    if (status == WEIR_OK && watch->cache != NULL && !counts_bytes(session->cache.selectors[0]))
        weir_watch_cache_entries(session->watch);
    return status;
}

/* --- samples ------------------------------------------------------------------------------- */

/* Asks for the metrics of one option. A failure leaves its values unseen. */
static enum weir_status read_source(struct session *session,
                                    const struct weir_metric_source *source, double *const *to,
                                    struct weir_error *error)
{
    double values[WEIR_METRIC_SELECTORS_MAX];
    struct weir_error reason = {0};
    if (source->selector_count == 0)
        return WEIR_OK;
    enum weir_status status = weir_metric_source_read(source, values, &reason);
    for (size_t i = 0; i < source->selector_count; i++)
        if (status == WEIR_OK)
            *to[i] = isfinite(values[i]) ? values[i] : NAN;
    if (status != WEIR_OK && !session->has_first) {
        weir_error_move(error, &reason);
        return status;
    }
    if (status != WEIR_OK) {
        session->watched.gaps++;
        (void)snprintf(session->watched.gap, sizeof session->watched.gap, "%.159s", reason.message);
    }
    weir_error_done(&reason);
    return WEIR_OK;
}

static enum weir_status take_all(struct session *session, struct weir_watch_sample *sample,
                                 struct weir_error *error)
{
    struct weir_doctor_snapshot snapshot;
    enum weir_status status =
        weir_doctor_read(&session->options->look, session->options->pid, &snapshot, error);
    if (status != WEIR_OK)
        return status;
    if (session->has_first && snapshot.start_time != session->start_time)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "the process ended, and another one has its number");
    weir_watch_process_fill(&snapshot, sample);
    double *operations[] = {&sample->operations};
    double *cache[] = {&sample->cache, &sample->cache_limit};
    double *live[] = {&sample->classes[0].live};
    status = read_source(session, &session->operations, operations, error);
    if (status == WEIR_OK)
        status = read_source(session, &session->cache, cache, error);
    if (status == WEIR_OK)
        status = read_source(session, &session->live, live, error);
    if (status == WEIR_OK && !session->has_first) {
        session->has_first = true;
        session->start_time = snapshot.start_time;
        (void)snprintf(session->subject, sizeof session->subject, "%s (%llu)", snapshot.name,
                       (unsigned long long)snapshot.pid);
    }
    return status;
}

static enum weir_status take(void *context, struct weir_watch_sample *sample,
                             struct weir_error *error)
{
    struct session *session = context;
    uint64_t begin_ns = weir_clock_ns();
    enum weir_status status = take_all(session, sample, error);
    session->reading_ns += weir_clock_ns() - begin_ns;
    return status;
}

static bool wait_until(void *context, uint64_t until_ns)
{
    (void)context;
    sigset_t none;
    (void)sigemptyset(&none);
    for (;;) {
        uint64_t now = weir_clock_ns(), left = until_ns > now ? until_ns - now : 0;
        struct timespec time = {.tv_sec = (time_t)(left / 1000000000),
                                .tv_nsec = (long)(left % 1000000000)};
        /* Also when no time is left: a pending signal arrives here. */
        (void)ppoll(NULL, 0, &time, &none);
        if (is_stopped != 0 || left == 0)
            return is_stopped == 0;
    }
}

/* --- recording ----------------------------------------------------------------------------- */

/* Writes a text and frees it. The first failure is kept, and ends the recording. */
static void write_text(struct session *session, char *text, enum weir_status status)
{
    int failed = status == WEIR_OK && session->record_fd >= 0
                     ? weir_io_write_all(weir_io_system(), session->record_fd, text, strlen(text))
                     : 0;
    if (failed < 0)
        (void)weir_error_set_errno(&session->record_error, WEIR_IO, -failed, "cannot write %.160s",
                                   session->options->watch.record);
    if (failed < 0 || status != WEIR_OK) {
        (void)weir_io_close(weir_io_system(), session->record_fd);
        session->record_fd = -1;
    }
    free(text);
}

static enum weir_status open_record(struct session *session, struct weir_error *error)
{
    const char *path = session->options->watch.record;
    if (path == NULL)
        return WEIR_OK;
    int fd = weir_io_open(weir_io_system(), AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return weir_error_set_errno(error, WEIR_IO, -fd, "cannot write %.160s", path);
    session->record_fd = fd;
    return WEIR_OK;
}

static void seen(void *context, const struct weir_watch_sample *sample)
{
    struct session *session = context;
    size_t count = weir_watch_count(session->watch).seen;
    char *text = NULL;
    if (session->record_fd >= 0 && count == 1) {
        enum weir_status status =
            weir_record_head(session->watch, session->subject, &text, &session->record_error);
        write_text(session, TAKE(text), status);
    }
    if (session->record_fd >= 0) {
        enum weir_status status =
            weir_record_line(session->watch, sample, &text, &session->record_error);
        write_text(session, TAKE(text), status);
    }
    if (count == 1)
        weir_cli_progress_begin(&session->progress, session->subject, "samples", false);
    weir_cli_progress_step(&session->progress, (uint32_t)count, (uint32_t)session->expected);
}

/* --- trim ---------------------------------------------------------------------------------- */

/* Has the allocator trimmed by the operator's command, and looks what that gave back of the class
 * that is retained. */
static void try_trim(struct session *session, size_t class, struct weir_watch_probe *probe)
{
    struct weir_watch_sample before = weir_watch_sample_empty(0), after = before;
    struct weir_error error = {0};
    char *why = session->watched.trim;
    const size_t size = sizeof session->watched.trim;
    if (take_all(session, &before, &error) != WEIR_OK) {
        (void)snprintf(why, size, "%.159s", error.message);
        weir_error_done(&error);
        return;
    }
    (void)fflush(NULL);
    int code = system(session->options->watch.trim);
    if (code != 0)
        (void)snprintf(why, size, "the command of --trim failed (%s %d)",
                       WIFEXITED(code) ? "exit code" : "status",
                       WIFEXITED(code) ? WEXITSTATUS(code) : code);
    else if (take_all(session, &after, &error) != WEIR_OK)
        (void)snprintf(why, size, "%.159s", error.message);
    else
        *probe = (struct weir_watch_probe){.is_done = true,
                                           .released = before.classes[class].resident -
                                                       after.classes[class].resident};
    weir_error_done(&error);
}

/* --- the whole ----------------------------------------------------------------------------- */

static int exit_code(const struct session *session, const struct weir_watch_verdicts *verdicts)
{
    enum weir_verdict_kind kind = verdicts->of[verdicts->overall].verdict.kind;
    return weir_status_exit_code(session->watched.end == WEIR_WATCH_GONE ? WEIR_NOT_FOUND
                                 : kind == WEIR_VERDICT_LEAK             ? WEIR_LIMIT
                                 : kind == WEIR_VERDICT_UNDECIDED        ? WEIR_PENDING
                                                                         : WEIR_OK);
}

static enum weir_status tell(struct session *session, int *ret_code, struct weir_error *error)
{
    struct weir_watch_verdicts verdicts;
    struct weir_watch_probe probe = {0};
    enum weir_status status = weir_watch_judge(session->watch, NULL, &verdicts, error);
    if (status != WEIR_OK)
        return status;
    if (session->options->watch.trim != NULL &&
        verdicts.of[verdicts.overall].verdict.kind == WEIR_VERDICT_RETENTION &&
        session->watched.end != WEIR_WATCH_GONE) {
        try_trim(session, verdicts.of[verdicts.overall].class, &probe);
        status = weir_watch_judge(session->watch, &probe, &verdicts, error);
    }
    if (status != WEIR_OK)
        return status;
    session->watched.watch = session->watch;
    session->watched.subject = session->subject;
    *ret_code = exit_code(session, &verdicts);
    if (!session->options->is_json) {
        weir__doctor_print_verdicts(&session->watched, &verdicts);
        return WEIR_OK;
    }
    json_t *json = weir__doctor_verdicts_json(&session->watched, &verdicts);
    if (json == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the result");
    (void)json_dumpf(json, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(json);
    return WEIR_OK;
}

static enum weir_status sample(struct session *session, struct weir_error *error)
{
    const struct doctor_watch_options *watch = &session->options->watch;
    enum weir_status status = weir_watch_new(&session->watch, error);
    if (status == WEIR_OK)
        status = weir_watch_process_classes(session->watch, error);
    if (status == WEIR_OK)
        status = parse_sources(session, error);
    if (status == WEIR_OK)
        status = open_record(session, error);
    if (status != WEIR_OK)
        return status;
    session->watched.interval_ns = choose_interval(watch);
    session->expected = watch->duration_ns / session->watched.interval_ns + 1;
    struct weir_watch_loop loop = {.duration_ns = watch->duration_ns,
                                   .interval_ns = session->watched.interval_ns,
                                   .take = take,
                                   .wait = wait_until,
                                   .seen = seen,
                                   .context = session};
    sigset_t before;
    catch_signals(&before);
    status = weir_watch_run(session->watch, &loop, &session->watched.end, error);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    weir_cli_progress_end(&session->progress);
    session->watched.reading_ns = session->reading_ns / (weir_watch_count(session->watch).seen + 1);
    return status;
}

static enum weir_status replay(struct session *session, struct weir_error *error)
{
    const char *path = session->options->watch.replay;
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    enum weir_status status = weir_cli_read_file(path, WEIR_RECORD_BYTES_MAX, &bytes, &size, error);
    if (status == WEIR_OK)
        status = weir_record_parse(path, bytes, size, &session->watch, error);
    const char *slash = strrchr(path, '/');
    (void)snprintf(session->subject, sizeof session->subject, "%s",
                   slash != NULL ? slash + 1 : path);
    return status;
}

int weir__doctor_watch(const struct doctor_options *options)
{
    struct session session = {.options = options, .record_fd = -1};
    struct weir_error error = {0};
    int code = 0;
    enum weir_status status =
        options->watch.replay != NULL ? replay(&session, &error) : sample(&session, &error);
    AUTO(weir_watch) *watch = session.watch;
    if (status == WEIR_OK)
        status = tell(&session, &code, &error);
    if (session.record_fd >= 0)
        (void)weir_io_close(weir_io_system(), session.record_fd);
    (void)watch;
    if (status == WEIR_OK && session.record_error.status != WEIR_OK) {
        weir_error_move(&error, &session.record_error);
        status = error.status;
    }
    weir_error_done(&session.record_error);
    return status == WEIR_OK ? code : weir_cli_fail(weir__doctor_command.name, &error);
}
