/* `weir doctor`: what its files share. */
#ifndef WEIR_CLI_DOCTOR_VIEW_H
#define WEIR_CLI_DOCTOR_VIEW_H

#include "cli/cli_options.h"
#include "cli/cli_table.h"
#include "cli/cli_text.h"
#include "doctor/doctor.h"
#include "doctor/doctor_advice.h"
#include "doctor/watch.h"
#include "ledger/cgroup_equation.h"

#include <jansson.h>

/* Processes of one cgroup that are listed; a container has some hundred at most. */
#define DOCTOR_PROCESSES_MAX 1024
#define DOCTOR_BASELINE_BYTES_MAX (1u << 20)

enum doctor_target {
    DOCTOR_NO_PLAN,
    DOCTOR_NITRO,
    DOCTOR_WASMD,
    DOCTOR_WEIR
};

struct doctor_options {
    const char *pid;    /* a number or "self"; NULL with --cgroup */
    const char *cgroup; /* its folder */
    enum doctor_target target;
    const char *plan_file;
    const char *baseline;
    bool is_diff;
    bool is_json;
    bool has_gomemlimit;   /* --gomemlimit is not needed: the environment tells */
    uint64_t memory_bytes; /* --memory: of the container; 0: the binding cgroup's */
    struct weir_doctor_options look;
    struct doctor_watch_options {
        uint64_t duration_ns;                  /* --watch; 0: not asked for */
        uint64_t interval_ns;                  /* 0: chosen by the duration */
        const char *operations, *cache, *live; /* PLACE#METRIC */
        const char *record, *replay;           /* files */
        const char *trim;                      /* a command */
    } watch;
};

struct doctor_process {
    uint64_t pid;
    uint64_t rss_bytes, anon_bytes;
    char name[64];
};

/* What is shown: one process, or the sum of a cgroup's. */
struct doctor_view {
    struct weir_doctor_snapshot snapshot;
    struct weir_doctor_advice advice[WEIR_DOCTOR_ADVICE_MAX];
    size_t advice_count;
    struct doctor_process *processes; /* of a cgroup, the largest first */
    size_t process_count;
    size_t refused_count;                 /* that may not be looked at */
    struct weir_cgroup_equation equation; /* of a cgroup */
};

extern const struct weir_cli_command weir__doctor_command;

enum weir_status weir__doctor_look_cgroup(const struct doctor_options *options,
                                          struct doctor_view *view, struct weir_error *error)
    WEIR_MUST_USE;

/* "malloc: 61 arenas" */
struct doctor_label {
    char text[48];
};
struct doctor_label weir__doctor_label(const struct weir_doctor_snapshot *snapshot,
                                       enum weir_doctor_class class);
void weir__doctor_print(const struct doctor_options *options, const struct doctor_view *view);
void weir__doctor_print_cgroup(const struct doctor_options *options,
                               const struct doctor_view *view);

/* The plan of a Weir host, from its configuration or from what `weir plan -o json` printed. */
enum weir_status weir__doctor_weir_plan(const struct doctor_options *options, json_t **ret_plan,
                                        struct weir_error *error) WEIR_MUST_USE;
json_t *weir__doctor_json(const struct doctor_view *view);
enum weir_status weir__doctor_save(const char *path, json_t *json, struct weir_error *error)
    WEIR_MUST_USE;

/* What has changed since the snapshot in `options->baseline`; prints, or adds "diff" to `json`. */
enum weir_status weir__doctor_diff(const struct doctor_options *options,
                                   const struct doctor_view *view, json_t *json,
                                   struct weir_error *error) WEIR_MUST_USE;

/* Measured beside bound; prints, or adds "plan" to `json`. LIMIT (without a message) when a line is
 * over its bound. */
enum weir_status weir__doctor_plan(const struct doctor_options *options,
                                   const struct doctor_view *view, json_t *json, bool *ret_is_over,
                                   struct weir_error *error) WEIR_MUST_USE;

/* --- how it grows --------------------------------------------------------------------------- */

/* Where the figures of a verdict came from. */
struct doctor_watched {
    const char *subject; /* "nitro (4711)", or a recording's file */
    const struct weir_watch *watch;
    enum weir_watch_end end;
    size_t gaps;          /* samples without metrics that were asked for */
    char gap[160];        /* and why, the last time */
    uint64_t reading_ns;  /* what one sample took, in the mean */
    uint64_t interval_ns; /* that was asked for; 0: a replay */
    char trim[160];       /* why a trim could not be tried; empty: it was, or was not asked for */
};

/* --watch and --replay, from sampling to the verdict; the exit code. */
int weir__doctor_watch(const struct doctor_options *options);
/* What contradicts itself among the options of a watch; NULL: nothing. */
const char *weir__doctor_watch_contradiction(const struct doctor_options *options);

void weir__doctor_print_verdicts(const struct doctor_watched *watched,
                                 const struct weir_watch_verdicts *verdicts);
json_t *weir__doctor_verdicts_json(const struct doctor_watched *watched,
                                   const struct weir_watch_verdicts *verdicts);

#endif
