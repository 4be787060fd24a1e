/* Deadlines and time slices: one thread for the process, asleep until the earliest instant of the
 * stores that are running right now. A store is armed when its outermost call begins and disarmed
 * when it ends, so the list is never longer than the number of threads that run guests.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "runtime/store_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct weir__timer *armed;
static uint64_t wakes_at = UINT64_MAX; /* asleep until then: never later than what is armed */
static bool is_running, is_charged;

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return weir_timespec_ns(now);
}

/* Under the lock: raises what is due, returns the earliest instant that is not. */
static uint64_t fire(uint64_t now)
{
    uint64_t earliest = UINT64_MAX;
    for (struct weir__timer *timer = armed; timer != NULL; timer = timer->next) {
        if (timer->deadline_ns <= now) {
            timer->deadline_ns = UINT64_MAX;
            weir__store_raise(timer->store, WEIR__EVENT_DEADLINE);
        }
        if (timer->slice_end_ns <= now) {
            timer->slice_end_ns = UINT64_MAX;
            weir__store_raise(timer->store, WEIR__EVENT_SLICE);
        }
        uint64_t next =
            timer->deadline_ns < timer->slice_end_ns ? timer->deadline_ns : timer->slice_end_ns;
        earliest = next < earliest ? next : earliest;
    }
    return earliest;
}

static void *run(void *argument)
{
    (void)argument;
    (void)pthread_mutex_lock(&lock);
    for (;;) {
        /* Woken for an earlier instant it sleeps until that, though its call may be over by now:
         * many short calls in a row wake it once for all, not each of them. */
        uint64_t now = now_ns();
        if (wakes_at <= now)
            wakes_at = fire(now);
        if (wakes_at == UINT64_MAX) {
            (void)pthread_cond_wait(&changed, &lock);
            continue;
        }
        struct timespec until = weir_timespec(wakes_at);
        (void)pthread_cond_timedwait(&changed, &lock, &until);
    }
    return NULL;
}

static void make_condition(void)
{
    pthread_condattr_t clock;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&changed, &clock);
    (void)pthread_condattr_destroy(&clock);
}

/* A child of fork() has the list but not the thread, which the condition counts as one that waits.
 * The next store that is armed starts another. */
static void forget_thread(void)
{
    is_running = false;
    wakes_at = UINT64_MAX;
    (void)pthread_mutex_init(&lock, NULL);
    make_condition();
}

/* Under the lock. */
static int start_thread(void)
{
    static bool is_registered;
    if (!is_registered) {
        make_condition();
        is_registered = pthread_atfork(NULL, NULL, forget_thread) == 0;
    }
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_TIMER_STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int number = pthread_create(&thread, &attributes, run, NULL);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number;
}

enum weir_status weir__timer_start(struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&lock);
    if (!is_running) {
        if (!is_charged)
            status = weir_account_charge(weir_account_host(), WEIR_KIND_THREAD,
                                         WEIR_TIMER_STACK_BYTES, error);
        int number = status == WEIR_OK ? start_thread() : 0;
        if (number != 0) {
            weir_account_discharge(weir_account_host(), WEIR_KIND_THREAD, WEIR_TIMER_STACK_BYTES);
            status = weir_error_set_errno(error, WEIR_LIMIT, number, "the timer thread");
        }
        is_running = is_charged = status == WEIR_OK;
    }
    (void)pthread_mutex_unlock(&lock);
    return status;
}

void weir__timer_arm(struct weir__timer *timer)
{
    if (timer->is_armed)
        return;
    timer->slice_end_ns = timer->slice_ns != 0 ? now_ns() + timer->slice_ns : UINT64_MAX;
    uint64_t next =
        timer->deadline_ns < timer->slice_end_ns ? timer->deadline_ns : timer->slice_end_ns;
    (void)pthread_mutex_lock(&lock);
    timer->previous = NULL;
    timer->next = armed;
    if (armed != NULL)
        armed->previous = timer;
    armed = timer;
    timer->is_armed = true;
    if (next < wakes_at) {
        wakes_at = next;
        (void)pthread_cond_signal(&changed);
    }
    bool has_thread = is_running;
    (void)pthread_mutex_unlock(&lock);
    if (!has_thread && weir__timer_start(NULL) != WEIR_OK)
        weir__store_raise(timer->store, WEIR__EVENT_DEADLINE); /* better at once than never */
}

void weir__timer_disarm(struct weir__timer *timer)
{
    if (!timer->is_armed)
        return;
    (void)pthread_mutex_lock(&lock);
    if (timer->previous != NULL)
        timer->previous->next = timer->next;
    else
        armed = timer->next;
    if (timer->next != NULL)
        timer->next->previous = timer->previous;
    timer->is_armed = false;
    (void)pthread_mutex_unlock(&lock);
}
