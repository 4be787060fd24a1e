/* What other threads ask: may a request come in, why not, and how do things stand. */
#include "govern/governor_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/sizes.h"


static void count(_Atomic(uint64_t) *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static unsigned retry_seconds(const struct weir_trigger *trigger, uint64_t now_ns)
{
    uint64_t seconds =
        (weir_trigger_rest_ns(trigger, now_ns) + WEIR_SECOND_NS - 1) / WEIR_SECOND_NS;
    return seconds > 1 ? (unsigned)(seconds < 3600 ? seconds : 3600) : 1;
}

static void fill(const struct weir_governor_status *status, size_t refuse_index,
                 enum weir_trigger_reason reason, uint64_t now_ns, struct weir_refusal *refusal)
{
    const struct weir_trigger *trigger = &status->actions[refuse_index].trigger;
    const struct weir_reading *reading = &status->reading;
    bool is_unknown = reason == WEIR_REASON_UNREAD || reason == WEIR_REASON_STALE;
    *refusal = (struct weir_refusal){
        .reason = is_unknown ? reason : trigger->reason,
        .has_figures = !is_unknown && reading->state == WEIR_READING_KNOWN,
        .free_limit_bytes = trigger->config.enter_free_bytes,
        .since_ms = now_ns > trigger->since_ns ? (now_ns - trigger->since_ns) / WEIR_MS_NS : 0,
        .retry_s = is_unknown ? 1 : retry_seconds(trigger, now_ns)};
    if (refusal->has_figures) {
        refusal->limit_bytes = reading->limit_bytes;
        refusal->used_bytes = reading->used_bytes;
        refusal->free_bytes = reading->free_bytes;
        memcpy(refusal->binding, reading->binding, sizeof refusal->binding);
    }
    if (reason == WEIR_REASON_UNREAD)
        memcpy(refusal->why, status->read_why, sizeof refusal->why);
}

/* Under the lock, where state and figures belong together; false when the pressure is over. */
static bool refuse(struct weir_governor *governor, enum weir_trigger_reason reason, uint64_t now_ns,
                   struct weir_refusal *ret_refusal)
{
    const struct weir_governor_status *status = &governor->published;
    struct weir_refusal refusal;
    (void)pthread_mutex_lock(&governor->lock);
    bool is_refused = reason != WEIR_REASON_SHORT ||
                      status->actions[governor->refuse_index].trigger.state == WEIR_TRIGGER_PRESSED;
    if (is_refused)
        fill(status, governor->refuse_index, reason, now_ns, &refusal);
    (void)pthread_mutex_unlock(&governor->lock);
    count(is_refused ? &governor->refused[refusal.reason] : &governor->admitted);
    if (is_refused && ret_refusal != NULL)
        *ret_refusal = refusal;
    return is_refused;
}

bool weir_governor_admit(struct weir_governor *governor, uint64_t now_ns,
                         struct weir_refusal *ret_refusal)
{
    enum weir_trigger_reason reason = WEIR_REASON_SHORT;
    if (governor->refuse_index == WEIR_GOVERNOR_ACTIONS_MAX) {
        count(&governor->admitted);
        return true;
    }
    unsigned verdict = atomic_load_explicit(&governor->verdict, memory_order_relaxed);
    bool is_stale = now_ns > atomic_load_explicit(&governor->fresh_until_ns, memory_order_relaxed);
    if (verdict == WEIR_TRIGGER_UNKNOWN || is_stale) {
        reason = is_stale ? WEIR_REASON_STALE : WEIR_REASON_UNREAD;
        if (governor->actions[governor->refuse_index].on_unknown == WEIR_UNKNOWN_OPEN) {
            count(&governor->admitted);
            count(&governor->admitted_unknown);
            return true;
        }
    } else if (verdict == WEIR_TRIGGER_NORMAL) {
        count(&governor->admitted);
        return true;
    }
    return !refuse(governor, reason, now_ns, ret_refusal);
}

void weir_governor_status(struct weir_governor *governor, uint64_t now_ns,
                          struct weir_governor_status *ret_status)
{
    (void)pthread_mutex_lock(&governor->lock);
    *ret_status = governor->published;
    (void)pthread_mutex_unlock(&governor->lock);
    ret_status->is_stale =
        now_ns > atomic_load_explicit(&governor->fresh_until_ns, memory_order_relaxed);
    ret_status->admitted = atomic_load_explicit(&governor->admitted, memory_order_relaxed);
    ret_status->admitted_unknown =
        atomic_load_explicit(&governor->admitted_unknown, memory_order_relaxed);
    for (size_t i = 0; i < WEIR_REASON_COUNT; i++)
        ret_status->refused[i] = atomic_load_explicit(&governor->refused[i], memory_order_relaxed);
}

/* --- the refusal as JSON -------------------------------------------------------------------- */

struct json {
    char *text;
    size_t size;
    size_t length;
};

static void WEIR_PRINTF(2, 3) put(struct json *json, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(json->text + json->length, json->size - json->length, format, args);
    va_end(args);
    size_t left = json->size - json->length;
    json->length += length > 0 && (size_t)length < left ? (size_t)length : left - 1;
}

/* Bytes that are not ASCII, which only a path could hold, become question marks. */
static void put_string(struct json *json, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++)
        if (*c == '"' || *c == '\\')
            put(json, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            put(json, "\\u%04x", *c);
        else
            put(json, "%c", *c < 0x80 ? *c : '?');
}

size_t weir_refusal_json(const struct weir_refusal *refusal, char *text, size_t size)
{
    struct json json = {text, size, 0};
    put(&json, "{\"error\":\"memory\",\"reason\":\"%s%s", weir_trigger_reason_text(refusal->reason),
        refusal->why[0] != '\0' ? ": " : "");
    put_string(&json, refusal->why);
    put(&json, "\"");
    if (refusal->has_figures)
        put(&json,
            ",\"limit_bytes\":%" PRIu64 ",\"used_bytes\":%" PRIu64 ",\"free_bytes\":%" PRIu64,
            refusal->limit_bytes, refusal->used_bytes, refusal->free_bytes);
    if (refusal->needs_bytes != 0)
        put(&json, ",\"needs_bytes\":%" PRIu64, refusal->needs_bytes);
    put(&json, ",\"mem_free_limit_bytes\":%" PRIu64 ",\"since_ms\":%" PRIu64,
        refusal->free_limit_bytes, refusal->since_ms);
    if (refusal->has_figures) {
        put(&json, ",\"binding\":\"");
        put_string(&json, refusal->binding);
        put(&json, "\"");
    }
    put(&json, "}\n");
    return json.length;
}

/* --- whom to stop --------------------------------------------------------------------------- */

static uint64_t over(const struct weir_candidate *candidate)
{
    return candidate->used_bytes > candidate->guaranteed_bytes
               ? candidate->used_bytes - candidate->guaranteed_bytes
               : 0;
}

long weir_candidates_worst(const struct weir_candidate *candidates, size_t candidate_count)
{
    long worst = -1;
    for (size_t i = 0; i < candidate_count; i++) {
        const struct weir_candidate *this = &candidates[i];
        if (over(this) == 0)
            continue;
        if (worst < 0 || over(this) > over(&candidates[worst]) ||
            (over(this) == over(&candidates[worst]) &&
             this->used_bytes > candidates[worst].used_bytes))
            worst = (long)i;
    }
    return worst;
}

void weir_candidates_explain(const struct weir_candidate *candidates, size_t candidate_count,
                             weir_explain_line *line, void *context)
{
    char text[160];
    long worst = weir_candidates_worst(candidates, candidate_count);
    for (size_t i = 0; i < candidate_count; i++) {
        (void)snprintf(text, sizeof text, "%-20.20s %9s used %9s guaranteed %9s over%s",
                       candidates[i].name, weir_size_format(candidates[i].used_bytes).text,
                       weir_size_format(candidates[i].guaranteed_bytes).text,
                       weir_size_format(over(&candidates[i])).text, (long)i == worst ? "  <-" : "");
        line(context, text);
    }
}
