/* The state machine of a trigger and its budget of changes. */
#include "govern/trigger.h"

#include "base/check.h"

#define MINUTE_NS UINT64_C(60000000000)

const char *weir_trigger_state_name(enum weir_trigger_state state)
{
    static const char *const NAMES[] = {"normal", "pressed", "unknown"};
    return NAMES[state];
}

static const struct {
    const char *name, *text;
} REASONS[WEIR_REASON_COUNT] = {
    [WEIR_REASON_START] = {"start", "memory pressure has not been read yet"},
    [WEIR_REASON_OFF] = {"off", "no free limit is set"},
    [WEIR_REASON_ENOUGH] = {"enough", "enough memory is free"},
    [WEIR_REASON_NO_LIMIT] = {"no_limit", "no limit on memory"},
    [WEIR_REASON_SHORT] = {"short", "free memory below mem_free_limit"},
    [WEIR_REASON_SIGNAL] = {"signal", "free memory near mem_free_limit and a second signal is up"},
    [WEIR_REASON_LIMIT] = {"limit", "mem_free_limit is not below the limit"},
    [WEIR_REASON_UNREAD] = {"unread", "memory pressure is unknown"},
    [WEIR_REASON_STALE] = {"stale", "memory pressure is unknown: the monitor has stopped"},
};

const char *weir_trigger_reason_name(enum weir_trigger_reason reason)
{
    return REASONS[reason].name;
}

const char *weir_trigger_reason_text(enum weir_trigger_reason reason)
{
    return REASONS[reason].text;
}

uint64_t weir_trigger_leave_default(uint64_t enter_free_bytes)
{
    uint64_t band = enter_free_bytes / WEIR_TRIGGER_BAND_SHARE;
    band = band > WEIR_TRIGGER_BAND_MIN ? band : WEIR_TRIGGER_BAND_MIN;
    return enter_free_bytes > UINT64_MAX - band ? UINT64_MAX : enter_free_bytes + band;
}

void weir_trigger_init(struct weir_trigger *trigger, const struct weir_trigger_config *config)
{
    *trigger = (struct weir_trigger){
        .config = *config, .state = WEIR_TRIGGER_UNKNOWN, .reason = WEIR_REASON_START};
    if (config->leave_free_bytes == 0)
        trigger->config.leave_free_bytes = weir_trigger_leave_default(config->enter_free_bytes);
    if (config->transitions_max == 0)
        trigger->config.transitions_max = WEIR_TRIGGER_TRANSITIONS_DEFAULT;
    WEIR_ASSERT(trigger->config.leave_free_bytes >= config->enter_free_bytes);
    WEIR_ASSERT(trigger->config.transitions_max >= WEIR_TRIGGER_TRANSITIONS_MIN &&
                trigger->config.transitions_max <= WEIR_TRIGGER_TRANSITIONS_MAX);
}

/* --- the budget ----------------------------------------------------------------------------- */

/* When the number-th newest change was; `number` from 1. */
static uint64_t change_at(const struct weir_trigger *trigger, unsigned number)
{
    return trigger->changes_ns[(trigger->change_count - number) % trigger->config.transitions_max];
}

/* How many changes the last minute saw. */
static unsigned recent_changes(const struct weir_trigger *trigger, uint64_t now_ns)
{
    unsigned count = 0;
    while (count < trigger->config.transitions_max && count < trigger->change_count &&
           now_ns - change_at(trigger, count + 1) < MINUTE_NS)
        count++;
    return count;
}

/* What of the budget must be left before a change to this state. */
static unsigned needed(enum weir_trigger_state state)
{
    return state == WEIR_TRIGGER_PRESSED ? 1 : state == WEIR_TRIGGER_UNKNOWN ? 2 : 3;
}

static bool is_allowed(const struct weir_trigger *trigger, enum weir_trigger_state state,
                       uint64_t now_ns)
{
    return trigger->config.transitions_max - recent_changes(trigger, now_ns) >= needed(state);
}

/* --- steps ---------------------------------------------------------------------------------- */

static bool begin(struct weir_trigger *trigger, enum weir_trigger_state state,
                  enum weir_trigger_reason reason, uint64_t now_ns)
{
    bool is_change = trigger->has_begun && state != trigger->state;
    if (is_change && !is_allowed(trigger, state, now_ns))
        return false;
    trigger->reason = reason;
    if (trigger->has_begun && !is_change)
        return false;
    if (is_change) {
        trigger->changes_ns[trigger->change_count++ % trigger->config.transitions_max] = now_ns;
        trigger->entered[state]++;
    }
    trigger->state = state;
    trigger->since_ns = now_ns;
    trigger->is_calm = false;
    trigger->has_begun = true;
    return true;
}

static bool stay_pressed(struct weir_trigger *trigger, const struct weir_reading *reading,
                         uint64_t now_ns)
{
    const struct weir_trigger_config *config = &trigger->config;
    if (reading->state == WEIR_READING_KNOWN && reading->free_bytes <= config->leave_free_bytes) {
        trigger->is_calm = false;
        return false;
    }
    if (!trigger->is_calm)
        trigger->calm_since_ns = now_ns;
    trigger->is_calm = true;
    if (now_ns - trigger->calm_since_ns < config->dwell_ns)
        return false;
    return begin(trigger, WEIR_TRIGGER_NORMAL,
                 reading->state == WEIR_READING_KNOWN ? WEIR_REASON_ENOUGH : WEIR_REASON_NO_LIMIT,
                 now_ns);
}

bool weir_trigger_step(struct weir_trigger *trigger, const struct weir_reading *reading,
                       uint64_t now_ns)
{
    const struct weir_trigger_config *config = &trigger->config;
    if (config->is_off)
        return begin(trigger, WEIR_TRIGGER_NORMAL, WEIR_REASON_OFF, now_ns);
    /* What one level alone says counts only where it is short: the others cannot make it better. */
    if (reading->state == WEIR_READING_UNKNOWN ||
        (reading->is_partial && reading->free_bytes > config->enter_free_bytes)) {
        trigger->is_calm = false;
        if (trigger->has_good && now_ns - trigger->good_ns <= config->stale_ns)
            return false;
        return begin(trigger, WEIR_TRIGGER_UNKNOWN, WEIR_REASON_UNREAD, now_ns);
    }
    trigger->has_good = true;
    trigger->good_ns = now_ns;
    if (reading->state == WEIR_READING_KNOWN) {
        /* usage - reclaimable >= limit - enter, see weir_room_is_short(). */
        if (reading->free_bytes <= config->enter_free_bytes) {
            trigger->is_calm = false;
            return begin(trigger, WEIR_TRIGGER_PRESSED,
                         config->enter_free_bytes >= reading->limit_bytes ? WEIR_REASON_LIMIT
                                                                          : WEIR_REASON_SHORT,
                         now_ns);
        }
        if (trigger->state != WEIR_TRIGGER_PRESSED && reading->signals != 0 &&
            reading->free_bytes <= config->leave_free_bytes)
            return begin(trigger, WEIR_TRIGGER_PRESSED, WEIR_REASON_SIGNAL, now_ns);
    }
    if (trigger->has_begun && trigger->state == WEIR_TRIGGER_PRESSED)
        return stay_pressed(trigger, reading, now_ns);
    return begin(trigger, WEIR_TRIGGER_NORMAL,
                 reading->state == WEIR_READING_KNOWN ? WEIR_REASON_ENOUGH : WEIR_REASON_NO_LIMIT,
                 now_ns);
}

uint64_t weir_trigger_rest_ns(const struct weir_trigger *trigger, uint64_t now_ns)
{
    const struct weir_trigger_config *config = &trigger->config;
    uint64_t calm_ns = trigger->is_calm ? now_ns - trigger->calm_since_ns : 0;
    uint64_t rest_ns = config->dwell_ns > calm_ns ? config->dwell_ns - calm_ns : 0;
    unsigned kept = config->transitions_max - needed(WEIR_TRIGGER_NORMAL) + 1;
    if (recent_changes(trigger, now_ns) < kept)
        return rest_ns;
    /* This change must be over a minute old first. */
    uint64_t budget_ns = change_at(trigger, kept) + MINUTE_NS - now_ns;
    return budget_ns > rest_ns ? budget_ns : rest_ns;
}
