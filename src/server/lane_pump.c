/* What goes on in a filtered request: from the client through the plugins to the upstream, back
 * through them the other way round, to the client. Each function does what can be done now. A body
 * lies with the first plugin that holds it; whoever is slow makes those before it wait, at most a
 * window's worth (WEIR_SERVER_FILTER_WINDOW) between two steps.
 */
#include "server/lane_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/sizes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const enum weir_filter_event header_events[] = {WEIR_FILTER_ON_REQUEST_HEADERS,
                                                       WEIR_FILTER_ON_RESPONSE_HEADERS};
static const enum weir_filter_event body_events[] = {WEIR_FILTER_ON_REQUEST_BODY,
                                                     WEIR_FILTER_ON_RESPONSE_BODY};

/* --- failing --------------------------------------------------------------------------------- */

void weir__filtered_fail(struct weir__filtered *filtered, const char *filter,
                         enum weir__refusal refusal, const char *format, ...)
{
    char reason[sizeof filtered->failure.reason];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (filtered->failure.refusal == WEIR__REFUSAL_NONE)
        filtered->failed_filter = filter;
    weir__fail(&filtered->failure, refusal, "%s", reason);
    filtered->is_dirty = true;
    weir__transfer_stop(&filtered->transfer);
}

static struct weir__plugin *plugin_of(const struct weir__filtered *filtered, size_t stage)
{
    return &filtered->chain->plugins[stage];
}

static struct weir_filter_buffer *buffer_of(struct weir__stage *stage, size_t direction)
{
    return stage->stream != NULL
               ? weir_filter_stream_buffer(stage->stream, (enum weir_filter_direction)direction)
               : &stage->held[direction];
}

/* fail_open goes on without it, and with the bytes that it held. */
static void stage_failed(struct weir__filtered *filtered, size_t index, const char *reason)
{
    struct weir__stage *stage = &filtered->stages[index];
    const struct weir_filter_keys *keys = plugin_of(filtered, index)->keys;
    if (!keys->is_open) {
        weir__filtered_fail(filtered, keys->name, WEIR__REFUSAL_FILTER, "filter %s: %s", keys->name,
                            reason);
        return;
    }
    if (stage->stream != NULL) {
        for (size_t d = 0; d < 2; d++)
            if (weir_filter_buffer_move(&stage->held[d],
                                        weir_filter_stream_buffer(
                                            stage->stream, (enum weir_filter_direction)d),
                                        NULL) != WEIR_OK)
                weir__filtered_fail(filtered, keys->name, WEIR__REFUSAL_MEMORY,
                                    "filter %s failed, and no memory for what it held",
                                    keys->name);
        (void)weir_filter_stream_finish(stage->stream, NULL); /* its VM is gone: nothing runs */
        stage->stream = NULL;
    }
    stage->is_left_out = true;
    filtered->is_dirty = true;
}

void weir__filtered_returned(struct weir__filtered *filtered, size_t stage,
                             enum weir_status status, const char *reason)
{
    filtered->is_parked = false;
    filtered->is_dirty = true;
    filtered->progress_ns = weir_clock_ns();
    if (filtered->is_completed && filtered->finishing > stage) /* its end was told */
        filtered->stages[stage].stream = NULL;
    else if (status != WEIR_OK)
        stage_failed(filtered, stage, reason);
}

/* --- callbacks ------------------------------------------------------------------------------- */

/* False: not now. */
static bool begin_stage(struct weir__filtered *filtered, size_t index)
{
    struct weir__stage *stage = &filtered->stages[index];
    struct weir__plugin *plugin = plugin_of(filtered, index);
    if (stage->stream != NULL || stage->is_left_out)
        return true;
    enum weir__slot_state state =
        weir__slot_acquire(filtered->lane, filtered->chain, plugin);
    if (state == WEIR__SLOT_WAIT) {
        filtered->waits_vm = true;
        return false;
    }
    struct weir_error error = {0};
    enum weir_status status = WEIR_OK;
    if (state == WEIR__SLOT_READY)
        status = weir_filter_stream_new(weir__slot(filtered->lane, plugin)->vm,
                                        &filtered->exchange, filtered, &stage->stream, &error);
    if (state == WEIR__SLOT_FAILED)
        stage_failed(filtered, index, weir__slot_failure(filtered->lane, plugin));
    else if (status != WEIR_OK)
        stage_failed(filtered, index, error.message);
    else
        for (size_t d = 0; d < 2; d++)
            if (weir_filter_buffer_move(buffer_of(stage, d), &stage->held[d], &error) != WEIR_OK)
                stage_failed(filtered, index, error.message);
    weir_error_done(&error);
    return true;
}

/* Tells a stage's guest. False: not now, the VM is at something else. */
static bool tell(struct weir__filtered *filtered, size_t index, enum weir_filter_event event,
                 bool is_end)
{
    struct weir__stage *stage = &filtered->stages[index];
    struct weir__plugin *plugin = plugin_of(filtered, index);
    struct weir__vm_slot *slot = weir__slot(filtered->lane, plugin);
    if (stage->is_left_out)
        return true;
    struct weir_filter_vm *vm = weir_filter_stream_vm(stage->stream);
    if (vm != NULL && weir__slot_is_busy(slot)) {
        filtered->waits_vm = true;
        return false;
    }
    struct weir_error error = {0};
    enum weir_status status = weir_filter_stream_event(stage->stream, event, is_end, &error);
    filtered->progress_ns = weir_clock_ns();
    if (status == WEIR_PENDING) {
        slot->user = filtered;
        filtered->is_parked = true;
        filtered->parked_stage = index;
    } else if (status != WEIR_OK && vm != NULL) {
        weir__slot_fail(filtered->lane, plugin, error.message);
        stage_failed(filtered, index, error.message);
    } else if (status != WEIR_OK) {
        stage_failed(filtered, index, weir__slot_failure(filtered->lane, plugin));
    }
    weir_error_done(&error);
    return true;
}

static bool is_paused(const struct weir__stage *stage, size_t direction)
{
    return stage->stream != NULL &&
           weir_filter_stream_is_paused(stage->stream, (enum weir_filter_direction)direction);
}

/* A local response ends everything else, but only before another answer has begun. */
static void take_local(struct weir__filtered *filtered, size_t index)
{
    struct weir__stage *stage = &filtered->stages[index];
    const char *name = plugin_of(filtered, index)->keys->name;
    if (stage->stream == NULL || filtered->is_local)
        return;
    if (weir_filter_stream_is_closed(stage->stream))
        weir__filtered_fail(filtered, name, WEIR__REFUSAL_FILTER, "filter %s closed the stream",
                            name);
    struct weir_filter_local *local = weir_filter_stream_local(stage->stream);
    if (local == NULL)
        return;
    if (filtered->has_answer) {
        weir__filtered_fail(filtered, name, WEIR__REFUSAL_FILTER,
                            "filter %s answers when an answer is on its way", name);
        return;
    }
    weir__transfer_stop(&filtered->transfer);
    struct weir_filter_map *map = &filtered->exchange.maps[WEIR_FILTER_RESPONSE_HEADERS];
    char status[16];
    struct weir_error error = {0};
    (void)snprintf(status, sizeof status, "%u", local->status);
    weir_filter_map_clear(map);
    *map = local->headers;
    local->headers = (struct weir_filter_map){0};
    enum weir_status done =
        weir_filter_map_replace(map, filtered->exchange.account, weir_filter_text(":status"),
                                weir_filter_text(status), &error);
    if (done == WEIR_OK)
        done = weir_filter_buffer_move(&filtered->out, &local->body, &error);
    if (done != WEIR_OK)
        weir__filtered_fail(filtered, name, WEIR__REFUSAL_MEMORY, "%s", error.message);
    weir_error_done(&error);
    filtered->exchange.has_map[WEIR_FILTER_RESPONSE_HEADERS] = true;
    filtered->has_answer = filtered->is_local = filtered->out_end = true;
}

/* --- a way ----------------------------------------------------------------------------------- */

/* Where a stage's bytes go to: the next stage, or what is behind the last. */
struct next {
    struct weir_filter_buffer *buffer;
    bool *has_headers, *has_news, *has_end;
};

static bool can_move(const struct weir__filtered *filtered)
{
    return !weir__filtered_is_decided(filtered) && !filtered->is_parked;
}

/* Paused at its headers: bodies wait, too, as Envoy has it. */
static bool waits_at_headers(const struct weir__stage *stage, size_t direction)
{
    return stage->ways[direction].told_headers && !stage->ways[direction].told_body &&
           is_paused(stage, direction);
}

/* Headers, then news, then the end. False: it stops here for now. */
static bool tell_news(struct weir__filtered *filtered, size_t index, size_t direction)
{
    struct weir__stage *stage = &filtered->stages[index];
    struct weir__way *way = &stage->ways[direction];
    const struct weir_filter_keys *keys = plugin_of(filtered, index)->keys;
    if (!begin_stage(filtered, index))
        return false;
    if (weir__filtered_is_decided(filtered))
        return false;
    struct weir_filter_buffer *buffer = buffer_of(stage, direction);
    if (!way->told_headers) {
        bool is_end = way->has_end && buffer->size == 0;
        if (!tell(filtered, index, header_events[direction], is_end))
            return false;
        way->told_headers = true;
        way->told_end = is_end;
        return !filtered->is_parked;
    }
    if (waits_at_headers(stage, direction))
        return false;
    if (way->has_news || (way->has_end && !way->told_end)) {
        bool is_end = way->has_end;
        if (buffer->size > keys->buffer_bytes && !stage->is_left_out) {
            filtered->failure.limit = keys->buffer_bytes;
            filtered->failure.used = buffer->size;
            weir__filtered_fail(filtered, keys->name,
                                direction == WEIR_FILTER_REQUEST ? WEIR__REFUSAL_BODY
                                                                 : WEIR__REFUSAL_FILTER,
                                "filter %s holds a body of more than its limits.buffer",
                                keys->name);
            return false;
        }
        if (!tell(filtered, index, body_events[direction], is_end))
            return false;
        way->has_news = false;
        way->told_body = true;
        way->told_end = is_end;
    }
    return !filtered->is_parked;
}

/* True when something moved. */
static bool hand_on(struct weir__filtered *filtered, size_t index, size_t direction,
                    const struct next *next)
{
    struct weir__stage *stage = &filtered->stages[index];
    struct weir__way *way = &stage->ways[direction];
    struct weir_filter_buffer *buffer = buffer_of(stage, direction);
    if (!way->told_headers || is_paused(stage, direction) || way->is_through)
        return false;
    bool moved = !*next->has_headers;
    *next->has_headers = true;
    if (buffer->size > 0 && !way->has_news) {
        struct weir_error error = {0};
        if (weir_filter_buffer_move(next->buffer, buffer, &error) != WEIR_OK)
            weir__filtered_fail(filtered, plugin_of(filtered, index)->keys->name,
                                WEIR__REFUSAL_MEMORY, "%s", error.message);
        weir_error_done(&error);
        *next->has_news = moved = true;
    }
    if (way->told_end && !way->has_news) {
        *next->has_end = way->is_through = moved = true;
    }
    return moved;
}

static bool pump_stage(struct weir__filtered *filtered, size_t index, size_t direction,
                       const struct next *next)
{
    struct weir__stage *stage = &filtered->stages[index];
    struct weir__way *way = &stage->ways[direction];
    bool moved = false;
    while (way->has_headers && !way->is_through && can_move(filtered)) {
        bool told_before = way->told_headers;
        bool had_news = way->has_news, had_end = way->told_end;
        bool goes_on = tell_news(filtered, index, direction);
        take_local(filtered, index);
        moved = moved || way->told_headers != told_before || way->has_news != had_news ||
                way->told_end != had_end;
        if (!can_move(filtered))
            break;
        bool handed = hand_on(filtered, index, direction, next);
        moved = moved || handed;
        if (!goes_on || (!handed && !way->has_news && way->told_end == way->has_end))
            break;
    }
    return moved;
}

/* --- both ways ------------------------------------------------------------------------------- */

/* Of a stage, or of what is behind the last one. */
static struct next next_of(struct weir__filtered *filtered, size_t index, size_t direction)
{
    if (index < filtered->stage_count) {
        struct weir__stage *stage = &filtered->stages[index];
        struct weir__way *way = &stage->ways[direction];
        return (struct next){buffer_of(stage, direction), &way->has_headers, &way->has_news,
                             &way->has_end};
    }
    return direction == WEIR_FILTER_REQUEST
               ? (struct next){&filtered->up, &filtered->is_started, &filtered->ignored,
                               &filtered->up_end}
               : (struct next){&filtered->out, &filtered->has_answer, &filtered->ignored,
                               &filtered->out_end};
}

/* The first stage of a way takes no more bytes now. */
static bool is_full(struct weir__stage *stage, size_t direction)
{
    return waits_at_headers(stage, direction) ||
           (stage->ways[direction].has_news &&
            buffer_of(stage, direction)->size >= WEIR_SERVER_FILTER_WINDOW);
}

/* Bytes from outside to the first stage of a way; without stages, to its end. */
static bool take_in(struct weir__filtered *filtered, size_t direction,
                    struct weir_filter_buffer *from, bool has_end)
{
    bool is_request = direction == WEIR_FILTER_REQUEST;
    size_t index = is_request || filtered->stage_count == 0 ? 0 : filtered->stage_count - 1;
    bool has_stages = filtered->stage_count > 0;
    if (has_stages && is_full(&filtered->stages[index], direction))
        return false;
    struct next to = next_of(filtered, index, direction);
    bool moved = !*to.has_headers || from->size > 0 || (has_end && !*to.has_end);
    *to.has_headers = true;
    if (from->size > 0) {
        struct weir_error error = {0};
        if (weir_filter_buffer_move(to.buffer, from, &error) != WEIR_OK)
            weir__filtered_fail(filtered,
                                has_stages ? plugin_of(filtered, index)->keys->name : NULL,
                                WEIR__REFUSAL_MEMORY, "no memory for a body: %s", error.message);
        weir_error_done(&error);
        *to.has_news = true;
    }
    *to.has_end = *to.has_end || has_end;
    return moved;
}

static bool pump_request(struct weir__filtered *filtered)
{
    bool moved = false;
    if ((filtered->in.size > 0 || filtered->in_end) &&
        (filtered->up.size < WEIR_SERVER_FILTER_WINDOW ||
         filtered->out.size >= WEIR_SERVER_FILTER_WINDOW))
        moved = take_in(filtered, WEIR_FILTER_REQUEST, &filtered->in, filtered->in_end);
    for (size_t i = 0; i < filtered->stage_count && can_move(filtered); i++) {
        struct next next = next_of(filtered, i + 1, WEIR_FILTER_REQUEST);
        moved = pump_stage(filtered, i, WEIR_FILTER_REQUEST, &next) || moved;
    }
    return moved;
}

static bool pump_response(struct weir__filtered *filtered)
{
    bool moved = false;
    if (!filtered->has_response_head)
        return false;
    if (filtered->out.size < WEIR_SERVER_FILTER_WINDOW)
        moved = take_in(filtered, WEIR_FILTER_RESPONSE, &filtered->down,
                        filtered->down_end && filtered->transfer.is_done);
    for (size_t i = filtered->stage_count; i-- > 0 && can_move(filtered);) {
        struct next next = next_of(filtered, i > 0 ? i - 1 : SIZE_MAX, WEIR_FILTER_RESPONSE);
        moved = pump_stage(filtered, i, WEIR_FILTER_RESPONSE, &next) || moved;
    }
    return moved;
}

/* --- time, ends ------------------------------------------------------------------------------ */

/* A request in which nothing goes on: whoever it waits for is named. */
static void check_time(struct weir__filtered *filtered)
{
    uint64_t limit_ns = filtered->route->config->time_ns;
    if (filtered->is_parked || weir_clock_ns() - filtered->progress_ns < limit_ns)
        return;
    for (size_t i = 0; i < filtered->stage_count; i++)
        if (is_paused(&filtered->stages[i], 0) || is_paused(&filtered->stages[i], 1)) {
            const char *name = plugin_of(filtered, i)->keys->name;
            weir__filtered_fail(filtered, name, WEIR__REFUSAL_DEADLINE,
                                "filter %s paused the request for longer than %s", name,
                                weir_duration_format(limit_ns).text);
            return;
        }
    weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_DEADLINE,
                        filtered->is_started ? "the upstream did not answer within %s"
                                             : "no filter took the request within %s",
                        weir_duration_format(limit_ns).text);
}

/* Tells the plugins that the exchange is over. True when all have heard. */
static bool finish(struct weir__filtered *filtered)
{
    while (filtered->finishing < filtered->stage_count && !filtered->is_parked) {
        size_t index = filtered->finishing;
        struct weir__stage *stage = &filtered->stages[index];
        struct weir__plugin *plugin = plugin_of(filtered, index);
        struct weir__vm_slot *slot = weir__slot(filtered->lane, plugin);
        if (stage->stream == NULL) {
            filtered->finishing++;
            continue;
        }
        struct weir_filter_vm *vm = weir_filter_stream_vm(stage->stream);
        if (vm != NULL && weir__slot_is_busy(slot)) {
            filtered->waits_vm = true;
            return false;
        }
        struct weir_error error = {0};
        struct weir_filter_stream *stream = stage->stream;
        stage->stream = NULL;
        filtered->finishing++;
        enum weir_status status = weir_filter_stream_finish(stream, &error);
        if (status == WEIR_PENDING) {
            slot->user = filtered;
            filtered->is_parked = true;
            filtered->parked_stage = index;
        } else if (status != WEIR_OK) {
            weir__slot_fail(filtered->lane, plugin, error.message);
        }
        weir_error_done(&error);
    }
    return !filtered->is_parked && filtered->finishing == filtered->stage_count;
}

/* The event loop reads a copy: plugins may change theirs meanwhile. */
static void copy_answer(struct weir__filtered *filtered)
{
    struct weir_error error = {0};
    enum weir_status status = WEIR_OK;
    const struct weir_filter_map *map = &filtered->exchange.maps[WEIR_FILTER_RESPONSE_HEADERS];
    for (const struct weir_filter_pair *p = map->first; p != NULL && status == WEIR_OK; p = p->next)
        status = weir_filter_map_add(
            &filtered->answer, filtered->exchange.account,
            (struct weir_filter_text){p->bytes, p->name_size},
            (struct weir_filter_text){weir_filter_pair_value(p), p->value_size}, &error);
    if (status != WEIR_OK)
        weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_MEMORY, "%s", error.message);
    weir_error_done(&error);
}

/* Gives the request back to its event loop when there is something to do for it. */
static void give_back(struct weir__filtered *filtered)
{
    bool is_answerable = filtered->has_answer && (filtered->out.size > 0 || filtered->out_end);
    bool wants_more = !filtered->in_end && filtered->in.size == 0;
    if (filtered->is_parked ||
        (filtered->failure.refusal == WEIR__REFUSAL_NONE && !is_answerable && !wants_more))
        return;
    if (filtered->failure.refusal == WEIR__REFUSAL_NONE && !filtered->in_end &&
        !filtered->is_local && !wants_more)
        return; /* an answer waits for the whole body */
    if (is_answerable && filtered->answer.count == 0)
        copy_answer(filtered);
    struct weir__connection *connection = filtered->connection;
    filtered->is_mine = false;
    weir__watch_resumed(connection);
    MHD_resume_connection(connection->mhd);
}

static void look_at_client(struct weir__filtered *filtered)
{
    if (!atomic_load_explicit(&filtered->is_gone, memory_order_relaxed))
        return;
    weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_CANCELLED,
                        "the client left or the server stops");
}

bool weir__lane_advance(struct weir__filtered *filtered)
{
    filtered->is_dirty = filtered->waits_vm = false;
    if (filtered->is_completed) {
        weir__transfer_stop(&filtered->transfer);
        return finish(filtered);
    }
    if (!filtered->is_mine)
        return false;
    look_at_client(filtered);
    for (size_t i = 0; i < filtered->stage_count && !weir__filtered_is_decided(filtered); i++)
        take_local(filtered, i);
    bool moved = true;
    while (moved && can_move(filtered)) {
        moved = pump_request(filtered);
        if (can_move(filtered))
            weir__transfer_pump(filtered);
        if (can_move(filtered))
            weir__transfer_judge(filtered);
        if (can_move(filtered))
            moved = pump_response(filtered) || moved;
        if (moved)
            filtered->progress_ns = weir_clock_ns();
    }
    if (!weir__filtered_is_decided(filtered))
        check_time(filtered);
    give_back(filtered);
    return false;
}
