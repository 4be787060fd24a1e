/* Inside of the governor, shared by polling, tasks and admission. */
#ifndef WEIR_GOVERN_GOVERNOR_INTERNAL_H
#define WEIR_GOVERN_GOVERNOR_INTERNAL_H

#include "govern/governor.h"

#include <pthread.h>
#include <stdatomic.h>

struct weir__task_work {
    struct weir_task task;
    uint64_t retry_ns; /* not before; 0: at once */
};

struct weir_governor {
    struct weir_governor_config config;
    struct weir_account *account;
    struct weir_monitor *monitor;
    /* The polling thread's own; `now` is published after every poll. */
    struct weir_action actions[WEIR_GOVERNOR_ACTIONS_MAX];
    uint64_t given_ns[WEIR_GOVERNOR_ACTIONS_MAX]; /* RECLAIM: when it last gave something */
    struct weir__task_work tasks[WEIR_GOVERNOR_TASKS_MAX];
    struct weir_governor_status work;
    struct weir_reading reading; /* of this poll */
    bool has_good;
    /* What other threads read. */
    pthread_mutex_t lock; /* of published */
    struct weir_governor_status published;
    size_t refuse_index;              /* WEIR_GOVERNOR_ACTIONS_MAX without one */
    _Atomic(unsigned) verdict;        /* enum weir_trigger_state of REFUSE */
    _Atomic(uint64_t) fresh_until_ns; /* UINT64_MAX when the action is off */
    _Atomic(uint64_t) admitted;
    _Atomic(uint64_t) admitted_unknown;
    _Atomic(uint64_t) refused[WEIR_REASON_COUNT];
    /* The own thread. */
    pthread_t thread;
    pthread_cond_t wake;
    bool has_thread;
    bool is_stopping; /* under lock */
    uint64_t interval_ns;
};

void weir__governor_event(const struct weir_governor *governor, struct weir_governor_event event);
/* Goes on with pausing or resuming. */
void weir__governor_tasks(struct weir_governor *governor, bool is_paused, const char *reason,
                          uint64_t now_ns);

#endif
