/* A trigger turns readings into one of three states, without flapping.
 *
 *   normal    enough memory is free
 *   pressed   usage - (active_file + inactive_file) >= limit - enter_free: at once, no dwell
 *   unknown   no good reading for longer than stale_ns (or none yet)
 *
 * It leaves `pressed` when more than leave_free was free without a break for dwell_ns. Between the
 * two thresholds a second signal (govern/monitor.h) decides: it enters there, but never above
 * leave_free, and it never keeps a trigger pressed. A reading that is UNLIMITED has everything
 * free. A free limit that is not below the limit is always pressed, with a reason of its own.
 *
 * At most transitions_max changes of state happen in any minute. `pressed` is never put off: the
 * last change of the budget is kept for it, the last but one for `unknown`. What waits is going
 * back to normal. The first state after the start is no change.
 *
 * Pure: time comes in, nothing is read, nothing is allocated.
 */
#ifndef WEIR_GOVERN_TRIGGER_H
#define WEIR_GOVERN_TRIGGER_H

#include "govern/monitor.h"

enum weir_trigger_state {
    WEIR_TRIGGER_NORMAL,
    WEIR_TRIGGER_PRESSED,
    WEIR_TRIGGER_UNKNOWN
};
#define WEIR_TRIGGER_STATE_COUNT 3
const char *weir_trigger_state_name(enum weir_trigger_state state); /* "normal" … */

enum weir_trigger_reason {
    WEIR_REASON_START,    /* nothing has been read yet */
    WEIR_REASON_OFF,      /* no free limit is set: always normal */
    WEIR_REASON_ENOUGH,   /* enough is free */
    WEIR_REASON_NO_LIMIT, /* nothing limits the memory */
    WEIR_REASON_SHORT,    /* less than the free limit is free */
    WEIR_REASON_SIGNAL,   /* near the free limit, and a second signal is up */
    WEIR_REASON_LIMIT,    /* the free limit is not below the limit */
    WEIR_REASON_UNREAD,   /* the last readings were UNKNOWN */
    WEIR_REASON_STALE     /* nobody reads any more */
};
#define WEIR_REASON_COUNT 9
const char *weir_trigger_reason_name(enum weir_trigger_reason reason); /* "short" … */
const char *weir_trigger_reason_text(enum weir_trigger_reason reason);

struct weir_trigger_config {
    bool is_off;
    uint64_t enter_free_bytes;
    uint64_t leave_free_bytes; /* 0: a default above enter; below enter is a programmer's error */
    uint64_t dwell_ns;
    uint64_t stale_ns;        /* a good reading counts for so long */
    unsigned transitions_max; /* a minute; WEIR_TRIGGER_TRANSITIONS_MIN to _MAX; 0: the default */
};

struct weir_trigger {
    struct weir_trigger_config config;
    enum weir_trigger_state state;
    enum weir_trigger_reason reason;
    bool has_begun;
    uint64_t since_ns; /* of this state */
    bool is_calm;      /* enough is free since calm_since_ns */
    uint64_t calm_since_ns;
    bool has_good; /* a reading that was not UNKNOWN, at good_ns */
    uint64_t good_ns;
    uint64_t changes_ns[WEIR_TRIGGER_TRANSITIONS_MAX]; /* a ring of the last changes */
    uint64_t entered[WEIR_TRIGGER_STATE_COUNT];        /* changes to each state */
    uint64_t change_count;
};

/* The default of leave_free_bytes: an eighth more than enter, at least WEIR_TRIGGER_BAND_MIN. */
uint64_t weir_trigger_leave_default(uint64_t enter_free_bytes);

void weir_trigger_init(struct weir_trigger *trigger, const struct weir_trigger_config *config);
/* Takes one reading; true when the state changed (or began). */
bool weir_trigger_step(struct weir_trigger *trigger, const struct weir_reading *reading,
                       uint64_t now_ns);
/* How long `pressed` lasts at least from now on: what is left of the dwell and of the budget. */
uint64_t weir_trigger_rest_ns(const struct weir_trigger *trigger, uint64_t now_ns);

#endif
