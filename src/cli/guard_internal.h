/* Inside of `weir guard`: options, log, commands, HTTP. */
#ifndef WEIR_CLI_GUARD_INTERNAL_H
#define WEIR_CLI_GUARD_INTERNAL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/listen.h"
#include "cli/cli_options.h"
#include "govern/governor_pages.h"

struct guard_options {
    const char *cgroup, *pid, *cgroup_root, *pressure_file;
    bool has_free_limit, has_pause_limit; /* given, and not "" */
    bool is_pause_off;                    /* given as "" */
    uint64_t free_limit_bytes, leave_bytes, pause_limit_bytes, pause_leave_bytes;
    uint64_t dwell_ns, interval_ns, stale_ns, command_ns;
    uint64_t transitions;
    enum weir_unknown_policy on_unknown;
    const char *on_pause, *on_resume, *listen;
    bool is_explain, is_once, is_json, is_quiet;
};

/* --- log: lines on stderr ------------------------------------------------------------------- */

struct guard_log {
    const struct guard_options *options;
    bool is_started; /* guard__log_start() says what was before */
    bool is_failing;
    char why[WEIR_GOVERN_REASON_SIZE]; /* what was logged last */
    uint64_t logged_ns;
    uint64_t unlogged;
};

void guard__log(const char *format, ...) WEIR_PRINTF(1, 2);
/* A weir_governor_config.event; `context` is the log. */
void guard__log_event(void *context, const struct weir_governor_event *event);
/* Whether protection is active, and why. */
void guard__log_start(struct guard_log *log, struct weir_governor *governor);
/* The one line of --once, and of SIGHUP: the answer first. */
void guard__write_answer(const struct guard_options *options,
                         const struct weir_governor_status *status, char *text, size_t size);

/* --- commands for background work ----------------------------------------------------------- */

struct guard_commands {
    const struct guard_options *options;
    char **environment; /* the own one, and room for the figures */
    size_t environment_count;
    struct weir_account *account;
    pid_t child; /* 0: none runs */
    bool is_child_pause;
    bool is_stopped; /* it has got SIGTERM */
    uint64_t begin_ns;
    uint64_t kill_ns;
    bool has_result; /* of the last one, for is_child_pause */
    bool is_good;
};

enum weir_status guard__commands_init(struct guard_commands *commands,
                                      const struct guard_options *options,
                                      struct weir_account *account, struct weir_error *error);
void guard__commands_done(struct guard_commands *commands);
/* The task "background" of the governor; `context` is the commands. */
enum weir_status guard__commands_set(void *context, bool is_paused,
                                     const struct weir_reading *reading, const char *reason);
/* Lets what runs come to its end, within its bounds. */
void guard__commands_wait(struct guard_commands *commands);

/* --- equation (b) --------------------------------------------------------------------------- */

struct guard_equation;
/* NULL, with OK, where no cgroup is watched. */
enum weir_status guard__equation_start(const struct guard_options *options,
                                       struct guard_equation **ret_equation,
                                       struct weir_error *error);
void guard__equation_stop(struct guard_equation *equation);
/* The latest reading, and asks for another; takes no time. `equation` may be NULL. */
void guard__equation_get(struct guard_equation *equation, struct weir_cgroup_equation *ret);

/* --- HTTP ----------------------------------------------------------------------------------- */

/* Times of decisions by powers of two: bucket i counts those below 2^i ns. */
#define GUARD_TIME_BUCKETS 40u
struct guard_times {
    _Atomic(uint64_t) counts[GUARD_TIME_BUCKETS];
    _Atomic(uint64_t) sum_ns;
};

struct guard_http;
enum weir_status guard__http_start(struct weir_governor *governor, struct guard_equation *equation,
                                   const struct weir_listen *listen, struct guard_http **ret_http,
                                   struct weir_error *error);
void guard__http_stop(struct guard_http *http);

/* The page of /metrics; LIMIT when memory is refused. */
void guard__metrics_write(struct weir_metrics *metrics, struct weir_governor *governor,
                          struct guard_equation *equation, const struct guard_times *times,
                          unsigned connections);

#endif
