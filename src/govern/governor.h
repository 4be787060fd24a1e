/* The governor: one monitor, actions in order, background tasks, and the answer to "may this
 * request come in?".
 *
 * Actions stand in a ladder, in order of registration: for instance shrink caches, trim idle
 * guests, pause background work, refuse requests, stop a guest. Each has a trigger of its own, so
 * mild measures begin while more is free than hard ones need. A poll reads, then goes down the
 * ladder; after an action that gave bytes back it reads again before it looks at the next one. What
 * is held (pause, refuse) ends by its own trigger.
 *
 * While the pressure is unknown (govern/trigger.h) each action follows its own policy: OPEN does as
 * if all were well, CLOSED holds. Reclaiming never acts on what is not known.
 *
 * Threads: polls come from one thread, either the caller's (weir_governor_poll) or the one of
 * weir_governor_start(); callbacks are called there and with no lock held. weir_governor_admit()
 * and weir_governor_status() may be called from any thread, also from callbacks. Everything is
 * registered before the first poll; from then on nothing is allocated.
 *
 *   weir_governor_new(&config, account, &governor, &error);
 *   weir_governor_add_action(governor, &(struct weir_action){.name = "caches",
 *       .kind = WEIR_ACTION_RECLAIM, .when = {...}}, &error);       reclaimers of the ledger
 *   weir_governor_add_action(governor, &(struct weir_action){.name = "refuse",
 *       .kind = WEIR_ACTION_REFUSE, .when = {...}}, &error);
 *   weir_governor_start(governor, interval_ns, &error);
 *   ...
 *   if (!weir_governor_admit(governor, weir_clock_ns(), &refusal)) answer 429 with the refusal
 *   ...
 *   weir_governor_stop(governor); weir_governor_free(governor);
 */
#ifndef WEIR_GOVERN_GOVERNOR_H
#define WEIR_GOVERN_GOVERNOR_H

#include "govern/trigger.h"

enum weir_unknown_policy {
    WEIR_UNKNOWN_OPEN,
    WEIR_UNKNOWN_CLOSED
};

enum weir_action_kind {
    WEIR_ACTION_RECLAIM, /* gives bytes back, again at every poll while pressed */
    WEIR_ACTION_PAUSE,   /* pauses the background tasks */
    WEIR_ACTION_REFUSE,  /* new requests are refused; at most one of this kind */
    WEIR_ACTION_HOLD     /* begin and end of the caller's own */
};

struct weir_action {
    const char *name; /* static */
    enum weir_action_kind kind;
    struct weir_trigger_config when;
    enum weir_unknown_policy on_unknown;
    /* RECLAIM: returns bytes given back; NULL asks the ledger's reclaimers. `wanted_bytes` is what
     * is missing up to leave_free. again_ns: not sooner after the last call that gave something. */
    uint64_t (*reclaim)(void *context, uint64_t wanted_bytes);
    uint64_t again_ns;
    /* HOLD: at the begin and at the end; may be NULL for the other kinds, else called as well. */
    void (*set)(void *context, bool is_active, const struct weir_reading *reading);
    void *context;
};

/* Background work that can wait. Tasks are paused all at once, the last registered first; they are
 * resumed one after the other in order of registration, the next one when the one before runs
 * again and the pressure is still gone. */
enum weir_task_state {
    WEIR_TASK_RUNNING,
    WEIR_TASK_PAUSING,
    WEIR_TASK_PAUSED,
    WEIR_TASK_RESUMING
};
const char *weir_task_state_name(enum weir_task_state state); /* "running" … */

struct weir_task {
    const char *name; /* static */
    /* Called at the begin of pausing or resuming and then at every poll until it answers OK;
     * PENDING: under way. Anything else has failed, is counted, and is tried again after
     * WEIR_TASK_RETRY_NS. `reason` is of the moment. */
    enum weir_status (*set)(void *context, bool is_paused, const struct weir_reading *reading,
                            const char *reason);
    void *context;
};

/* What the governor has to say, for logs and counters of the program. */
enum weir_governor_event_kind {
    WEIR_EVENT_STATE,     /* an action's trigger changed: `state` before, now in the action */
    WEIR_EVENT_READ,      /* a reading is UNKNOWN: `text` says why */
    WEIR_EVENT_READ_GOOD, /* the first good reading after that, or the first at all */
    WEIR_EVENT_RECLAIMED, /* an action gave `bytes` back */
    WEIR_EVENT_OOM_KILL,  /* the kernel has killed `bytes` processes in the cgroup */
    WEIR_EVENT_TASK       /* a task changed its state, or failed (`status`) */
};
struct weir_action_status;
struct weir_task_status;
struct weir_governor_event {
    enum weir_governor_event_kind kind;
    const struct weir_reading *reading;
    const struct weir_action_status *action; /* STATE, RECLAIMED */
    const struct weir_task_status *task;     /* TASK */
    enum weir_trigger_state before;          /* STATE */
    enum weir_status status;                 /* TASK: OK, or why it failed */
    uint64_t bytes;
    const char *text;
};

struct weir_governor_config {
    struct weir_monitor_config monitor;
    uint64_t stale_ns; /* a good reading counts for so long; put into every trigger */
    void (*event)(void *context, const struct weir_governor_event *event); /* may be NULL */
    void *event_context;
    /* Every reading as it comes, good or not, before the ladder looks at it; may be NULL. */
    void (*read)(void *context, const struct weir_reading *reading);
    void *read_context;
};

struct weir_governor;

enum weir_status weir_governor_new(const struct weir_governor_config *config,
                                   struct weir_account *account,
                                   struct weir_governor **ret_governor, struct weir_error *error)
    WEIR_MUST_USE;
/* Stops the thread first. Tasks stay as they are. */
void weir_governor_free(struct weir_governor *governor);

/* LIMIT when there are WEIR_GOVERNOR_ACTIONS_MAX or _TASKS_MAX; EXISTS for a second REFUSE;
 * INVALID_ARGUMENT for thresholds or transitions out of range. */
enum weir_status weir_governor_add_action(struct weir_governor *governor,
                                          const struct weir_action *action,
                                          struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_governor_add_task(struct weir_governor *governor,
                                        const struct weir_task *task, struct weir_error *error)
    WEIR_MUST_USE;

void weir_governor_poll(struct weir_governor *governor, uint64_t now_ns);
/* Polls once, then from a thread of its own every interval_ns of weir_clock_ns(). */
enum weir_status weir_governor_start(struct weir_governor *governor, uint64_t interval_ns,
                                     struct weir_error *error) WEIR_MUST_USE;
void weir_governor_stop(struct weir_governor *governor);
/* For --explain, while nothing polls. */
struct weir_monitor *weir_governor_monitor(struct weir_governor *governor);

/* --- admission ------------------------------------------------------------------------------ */

/* Why a request is refused, with the figures of the last reading. */
struct weir_refusal {
    enum weir_trigger_reason reason;
    bool has_figures; /* false while unknown */
    uint64_t limit_bytes;
    uint64_t used_bytes;
    uint64_t free_bytes;
    uint64_t needs_bytes; /* 0: not known; the caller may set it */
    uint64_t free_limit_bytes;
    uint64_t since_ms;
    unsigned retry_s; /* for Retry-After; at least 1 */
    char binding[WEIR_GOVERN_BINDING_SIZE];
    char why[WEIR_GOVERN_REASON_SIZE]; /* while unknown */
};

/* True when a request may come in; one load, two compares and a count. Without a REFUSE action
 * always true. Otherwise `ret_refusal` (may be NULL) is filled in. */
bool weir_governor_admit(struct weir_governor *governor, uint64_t now_ns,
                         struct weir_refusal *ret_refusal);
/* {"error":"memory","reason":…} as documented in docs/GUARD.md, with a newline; cut to `size` only
 * when size is below WEIR_REFUSAL_JSON_SIZE. Returns the length. */
size_t weir_refusal_json(const struct weir_refusal *refusal, char *text, size_t size);

/* --- status --------------------------------------------------------------------------------- */

struct weir_action_status {
    const char *name;
    enum weir_action_kind kind;
    struct weir_trigger trigger;
    bool is_active; /* holds, refuses, or reclaims when it can */
    uint64_t calls;
    uint64_t given_bytes;
    enum weir_unknown_policy on_unknown;
};
struct weir_task_status {
    const char *name;
    enum weir_task_state state;
    uint64_t since_ns;
    char reason[WEIR_GOVERN_REASON_SIZE]; /* of the last change */
    uint64_t pauses, resumes, failures;
};
struct weir_governor_status {
    struct weir_reading reading; /* the last good one, or the last one when none was good */
    bool is_read_failing;        /* the last reading was UNKNOWN: read_why */
    bool is_stale;               /* asked for at a time when the last good reading is too old */
    char read_why[WEIR_GOVERN_REASON_SIZE];
    size_t action_count;
    struct weir_action_status actions[WEIR_GOVERNOR_ACTIONS_MAX];
    size_t task_count;
    struct weir_task_status tasks[WEIR_GOVERNOR_TASKS_MAX];
    uint64_t polls;
    uint64_t read_failures;
    struct weir_cgroup_events events; /* since the start */
    uint64_t admitted;
    uint64_t admitted_unknown; /* of those: by the policy `open` */
    uint64_t refused[WEIR_REASON_COUNT];
};
void weir_governor_status(struct weir_governor *governor, uint64_t now_ns,
                          struct weir_governor_status *ret_status);

/* --- whom to stop --------------------------------------------------------------------------- */

struct weir_candidate {
    const char *name;
    uint64_t used_bytes;
    uint64_t guaranteed_bytes;
};
/* The one furthest over its guarantee, of several the one with more used; -1 when none is over. */
long weir_candidates_worst(const struct weir_candidate *candidates, size_t count);
/* The table behind the choice, one candidate per line, for the log. */
void weir_candidates_explain(const struct weir_candidate *candidates, size_t count,
                             weir_explain_line *line, void *context);

#endif
