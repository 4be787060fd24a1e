/* The loop of a watch: when to sample, and when to stop. */
#include "doctor/watch.h"

#include "base/clock.h"

static enum weir_status take(struct weir_watch *watch, const struct weir_watch_loop *loop,
                             uint64_t begin_ns, struct weir_error *error)
{
    struct weir_watch_sample sample =
        weir_watch_sample_empty((double)(weir_clock_ns() - begin_ns) / 1e9);
    enum weir_status status = loop->take(loop->context, &sample, error);
    if (status == WEIR_OK)
        status = weir_watch_add(watch, &sample, error);
    if (status == WEIR_OK && loop->seen != NULL)
        loop->seen(loop->context, &sample);
    return status;
}

/* The process has ended; until its parent asks, it is a zombie. */
static bool is_gone(enum weir_status status)
{
    return status == WEIR_NOT_FOUND || status == WEIR_STATE;
}

/* Whether a sample that failed ends the watch. */
static bool is_end(struct weir_watch *watch, enum weir_status status, unsigned failures)
{
    return status != WEIR_OK && (is_gone(status) || weir_watch_count(watch).seen == 0 ||
                                 failures >= WEIR_WATCH_FAILURES_MAX);
}

enum weir_status weir_watch_run(struct weir_watch *watch, const struct weir_watch_loop *loop,
                                enum weir_watch_end *ret_end, struct weir_error *error)
{
    uint64_t begin = weir_clock_ns(), next = begin, end = begin + loop->duration_ns;
    unsigned failures = 0;
    *ret_end = WEIR_WATCH_COMPLETE;
    for (;;) {
        uint64_t started = weir_clock_ns();
        struct weir_error reason = {0};
        enum weir_status status = take(watch, loop, begin, &reason);
        failures = status == WEIR_OK ? 0 : failures + 1;
        if (is_end(watch, status, failures)) {
            bool has_seen = weir_watch_count(watch).seen > 0;
            if (!is_gone(status) || !has_seen) {
                weir_error_move(error, &reason);
                return status;
            }
            weir_error_done(&reason);
            *ret_end = WEIR_WATCH_GONE;
            return WEIR_OK;
        }
        weir_error_done(&reason);
        uint64_t now = weir_clock_ns();
        uint64_t rested = now + WEIR_WATCH_REST * (now - started);
        next = next + loop->interval_ns > rested ? next + loop->interval_ns : rested;
        if (next > end)
            return WEIR_OK;
        if (!loop->wait(loop->context, next)) {
            *ret_end = WEIR_WATCH_STOPPED;
            return WEIR_OK;
        }
    }
}
