/* Back-pressure in the server (DESIGN 5.7): what the governor's readings do to the ledger's limit,
 * the ladder of actions, background work, and who is asked before a request comes in.
 *
 * The ledger's limit follows the cgroup: with R the readings' limit, F what must stay free, B what
 * this process may take beside the ledger and O what others hold (used memory that is not ours),
 * at most R - F - B - O can be charged. Guests reserve before they start, so what runs never
 * has to be refused later, however much others come to use meanwhile.
 */
#include "server/server_internal.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/proc_smaps.h"
#include "base/sizes.h"
#include "server/server_plan.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the ledger's limit -------------------------------------------------------------------- */

/* Ours among what the cgroup counts as used: what the ledger charges is anonymous; artifacts that
 * live in memory files count as others'. 0 when it cannot be told, which is the safe side. */
static uint64_t own_bytes(void)
{
    struct weir_proc_status process;
    if (weir_proc_status_read("/proc/self/status", &process, NULL) != WEIR_OK)
        return 0;
    return process.rss_anon;
}

/* While requests are refused nobody else asks, and the operator's reload must not fail. */
static uint64_t with_control(uint64_t limit)
{
    struct weir_account_reading host;
    weir_account_read(weir_account_host(), &host);
    uint64_t least = host.used_bytes + host.reserved_bytes + WEIR_SERVER_CONTROL_BYTES;
    return limit > least ? limit : least;
}

static void follow(void *context, const struct weir_reading *reading)
{
    struct weir_server *server = context;
    uint64_t limit = atomic_load(&server->memory_bytes_max);
    if (reading->state == WEIR_READING_UNKNOWN)
        return; /* as before */
    if (reading->state == WEIR_READING_KNOWN) {
        uint64_t others = weir_sub_sat(reading->used_bytes, own_bytes());
        uint64_t room = weir_sub_sat(reading->limit_bytes, atomic_load(&server->free_bytes));
        room = weir_sub_sat(weir_sub_sat(room, atomic_load(&server->beside_bytes)), others);
        limit = room < limit ? room : limit;
        if (reading->free_bytes < atomic_load(&server->free_bytes))
            limit = with_control(limit);
    }
    weir_account_set_limit(weir_account_host(), limit);
}

/* --- the ladder ---------------------------------------------------------------------------- */

/* Modules that no route uses, blocks of requests that are not in flight, what malloc keeps. */
static uint64_t shrink_caches(void *context, uint64_t wanted_bytes)
{
    struct weir_server *server = context;
    uint64_t given = weir_ledger_reclaim_from("module cache", wanted_bytes);
    const struct weir__route_table *table = weir__route_table_hold(server);
    for (size_t i = 0; i < table->count && given < wanted_bytes; i++)
        given += weir__route_shrink(table->routes[i]);
    weir__route_table_release(server);
    struct mallinfo2 before = mallinfo2();
    (void)malloc_trim(0);
    struct mallinfo2 after = mallinfo2();
    return given + weir_sub_sat(before.arena, after.arena);
}

/* Warm slots and the stacks behind them: everything that registered with the ledger. */
static uint64_t drop_idle(void *context, uint64_t wanted_bytes)
{
    (void)context;
    return weir_ledger_reclaim(wanted_bytes);
}

static void log_candidate(void *context, const char *line)
{
    const struct weir_server_event event = {.level = WEIR_LOG_WARNING, .name = "candidate"};
    weir_server_log(context, &event, "  %s", line);
}

/* The guest furthest over its guarantee; the table it was chosen from goes to the log. */
static uint64_t stop_guest(void *context, uint64_t wanted_bytes)
{
    struct weir_server *server = context;
    struct weir_candidate candidates[WEIR_SERVER_CANDIDATES_MAX];
    struct weir__request *requests[WEIR_SERVER_CANDIDATES_MAX];
    size_t count = 0;
    uint64_t given = 0;
    (void)wanted_bytes;
    (void)pthread_mutex_lock(&server->running_lock);
    for (struct weir__request *at = server->running;
         at != NULL && count < WEIR_SERVER_CANDIDATES_MAX; at = at->run_next) {
        struct weir_account_reading reading;
        if (atomic_load(&at->connection->is_stopped) || atomic_load(&at->is_gone))
            continue;
        weir_account_read(weir_store_account(at->store), &reading);
        candidates[count] =
            (struct weir_candidate){.name = at->route->config->path,
                                    .used_bytes = reading.used_bytes,
                                    .guaranteed_bytes = at->route->config->guaranteed_bytes};
        requests[count++] = at;
    }
    long worst = weir_candidates_worst(candidates, count);
    if (worst >= 0) {
        const struct weir_server_log_field fields[] = {
            {"id", requests[worst]->connection->id, 0},
            {"route", candidates[worst].name, 0},
            {"used_bytes", NULL, candidates[worst].used_bytes},
            {"guaranteed_bytes", NULL, candidates[worst].guaranteed_bytes},
            {NULL, NULL, 0}};
        const struct weir_server_event event = {
            .level = WEIR_LOG_WARNING, .name = "guest_stopped", .fields = fields};
        weir_server_log(server, &event, "governor: memory is short, one guest is stopped");
        weir_candidates_explain(candidates, count, log_candidate, server);
        given = candidates[worst].used_bytes;
        atomic_store(requests[worst]->is_detached ? &requests[worst]->is_gone
                                                  : &requests[worst]->connection->is_stopped,
                     true);
        weir_store_interrupt(requests[worst]->store);
    }
    (void)pthread_mutex_unlock(&server->running_lock);
    if (worst >= 0)
        weir__watch_wake(server);
    return given;
}

void weir__running_add(struct weir__request *request)
{
    struct weir_server *server = request->connection->server;
    (void)pthread_mutex_lock(&server->running_lock);
    request->run_previous = NULL;
    request->run_next = server->running;
    if (server->running != NULL)
        server->running->run_previous = request;
    server->running = request;
    (void)pthread_mutex_unlock(&server->running_lock);
}

void weir__running_remove(struct weir__request *request)
{
    struct weir_server *server = request->connection->server;
    (void)pthread_mutex_lock(&server->running_lock);
    if (request->run_previous != NULL)
        request->run_previous->run_next = request->run_next;
    else
        server->running = request->run_next;
    if (request->run_next != NULL)
        request->run_next->run_previous = request->run_previous;
    (void)pthread_mutex_unlock(&server->running_lock);
}

/* --- background work ----------------------------------------------------------------------- */

static enum weir_status pause_compiling(void *context, bool is_paused,
                                        const struct weir_reading *reading, const char *reason)
{
    struct weir_server *server = context;
    (void)reading;
    (void)reason;
    atomic_store(&server->is_compile_paused, is_paused);
    return WEIR_OK;
}

static enum weir_status pause_warming(void *context, bool is_paused,
                                      const struct weir_reading *reading, const char *reason)
{
    struct weir_server *server = context;
    (void)reading;
    (void)reason;
    const struct weir__route_table *table = weir__route_table_hold(server);
    for (size_t i = 0; i < table->count; i++)
        if (table->routes[i]->pool != NULL &&
            table->routes[i]->config->mode != WEIR_ROUTE_RESIDENT) /* who would lose their state */
            weir_pool_set_warm(table->routes[i]->pool,
                               is_paused ? 0 : table->routes[i]->config->warm);
    weir__route_table_release(server);
    return WEIR_OK;
}

/* --- the log ------------------------------------------------------------------------------- */

static void log_state(struct weir_server *server, const struct weir_governor_event *event)
{
    const struct weir_trigger *trigger = &event->action->trigger;
    const struct weir_reading *reading = event->reading;
    bool is_start = event->before == WEIR_TRIGGER_UNKNOWN && trigger->change_count == 0;
    if (event->before == trigger->state || (is_start && trigger->state == WEIR_TRIGGER_NORMAL))
        return;
    const char *before = weir_trigger_state_name(event->before);
    const char *after = weir_trigger_state_name(trigger->state);
    const char *reason = weir_trigger_reason_text(trigger->reason);
    const struct weir_server_log_field fields[] = {
        {"action", event->action->name, 0},
        {"before", before, 0},
        {"after", after, 0},
        {"reason", reason, 0},
        {"free_bytes", NULL, reading->free_bytes},
        {"limit_bytes", NULL, reading->limit_bytes},
        {"wanted_bytes", NULL, trigger->config.enter_free_bytes},
        {NULL, NULL, 0},
    };
    const struct weir_server_event said = {
        .level = trigger->state == WEIR_TRIGGER_NORMAL ? WEIR_LOG_INFO : WEIR_LOG_WARNING,
        .name = "pressure",
        .fields = fields};
    char figures[128] = "";
    if (reading->state == WEIR_READING_KNOWN)
        (void)snprintf(figures, sizeof figures, "; %s free of %s, %s wanted",
                       weir_size_format(reading->free_bytes).text,
                       weir_size_format(reading->limit_bytes).text,
                       weir_size_format(trigger->config.enter_free_bytes).text);
    weir_server_log(server, &said, "governor: %s: %s -> %s: %s%s", event->action->name, before,
                      after, reason, figures);
}

static void log_task(struct weir_server *server, const struct weir_governor_event *event)
{
    const char *state = weir_task_state_name(event->task->state);
    const struct weir_server_log_field fields[] = {{"task", event->task->name, 0},
                                            {"state", state, 0},
                                            {"reason", event->task->reason, 0},
                                            {NULL, NULL, 0}};
    const struct weir_server_event said = {
        .level = WEIR_LOG_INFO, .name = "task", .fields = fields};
    weir_server_log(server, &said, "governor: %s is %s: %s", event->task->name, state,
                    event->task->reason);
}

static void note_event(void *context, const struct weir_governor_event *event)
{
    struct weir_server *server = context;
    static const struct weir_server_event UNREADABLE = {.level = WEIR_LOG_ERROR,
                                                        .name = "unreadable"};
    static const struct weir_server_event READABLE = {.level = WEIR_LOG_INFO, .name = "readable"};
    static const struct weir_server_event KILLED = {.level = WEIR_LOG_ERROR, .name = "oom_kill"};
    switch (event->kind) {
    case WEIR_EVENT_STATE:
        log_state(server, event);
        break;
    case WEIR_EVENT_READ: /* once, until it reads again */
        if (!server->is_read_failing)
            weir_server_log(server, &UNREADABLE, "governor: memory cannot be read: %s",
                              event->text);
        server->is_read_failing = true;
        break;
    case WEIR_EVENT_READ_GOOD:
        if (server->is_read_failing)
            weir_server_log(server, &READABLE, "governor: memory is read again");
        server->is_read_failing = false;
        break;
    case WEIR_EVENT_OOM_KILL:
        weir_server_log(server, &KILLED, "governor: the kernel killed %llu processes of the cgroup",
                          (unsigned long long)event->bytes);
        break;
    case WEIR_EVENT_TASK:
        log_task(server, event);
        break;
    case WEIR_EVENT_RECLAIMED: /* counted */
        break;
    }
}

/* --- making it ----------------------------------------------------------------------------- */

static uint64_t quarters(uint64_t bytes, uint64_t count)
{
    return bytes / 4 * count;
}

/* In order: mild measures begin while more is free than hard ones wait for. */
static enum weir_status add_ladder(struct weir_server *server, struct weir_governor *governor,
                                   const struct weir_governor_config_keys *keys,
                                   struct weir_error *error)
{
    const struct {
        const char *name;
        enum weir_action_kind kind;
        uint64_t enter_quarters;
        uint64_t (*reclaim)(void *context, uint64_t wanted_bytes);
        uint64_t again_ns;
    } RUNGS[] = {
        {"caches", WEIR_ACTION_RECLAIM, 8, shrink_caches, WEIR_SERVER_SHRINK_NS},
        {"idle guests", WEIR_ACTION_RECLAIM, 7, drop_idle, 0},
        {"background", WEIR_ACTION_PAUSE, 6, NULL, 0},
        {"requests", WEIR_ACTION_REFUSE, 4, NULL, 0},
        {"guests", WEIR_ACTION_RECLAIM, 2, stop_guest, WEIR_SERVER_STOP_NS},
    };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < sizeof RUNGS / sizeof RUNGS[0]; i++) {
        uint64_t enter = quarters(keys->free_bytes, RUNGS[i].enter_quarters);
        uint64_t leave = RUNGS[i].kind == WEIR_ACTION_REFUSE ? keys->leave_bytes : 0;
        const struct weir_action action = {
            .name = RUNGS[i].name,
            .kind = RUNGS[i].kind,
            .when = {.enter_free_bytes = enter,
                     .leave_free_bytes = leave,
                     .dwell_ns = keys->dwell_ns,
                     .transitions_max = keys->transitions_max},
            .on_unknown = keys->is_closed_on_unknown ? WEIR_UNKNOWN_CLOSED : WEIR_UNKNOWN_OPEN,
            .reclaim = RUNGS[i].reclaim,
            .again_ns = RUNGS[i].again_ns,
            .context = server};
        status = weir_governor_add_action(governor, &action, error);
    }
    return status;
}

static enum weir_status make_governor(struct weir_server *server,
                                      const struct weir_governor_config_keys *keys,
                                      struct weir_governor **ret_governor, struct weir_error *error)
{
    const struct weir_governor_config config = {.monitor = {.pressure_file = keys->pressure_file},
                                                .stale_ns =
                                                    10 * keys->interval_ns + WEIR_SERVER_STALE_NS,
                                                .event = note_event,
                                                .event_context = server,
                                                .read = follow,
                                                .read_context = server};
    const struct weir_task tasks[] = {
        {.name = "compile jobs", .set = pause_compiling, .context = server},
        {.name = "warm slots", .set = pause_warming, .context = server}};
    struct weir_governor *governor = NULL;
    enum weir_status status = weir_governor_new(&config, server->account, &governor, error);
    if (status == WEIR_OK)
        status = add_ladder(server, governor, keys, error);
    for (size_t i = 0; status == WEIR_OK && i < sizeof tasks / sizeof tasks[0]; i++)
        status = weir_governor_add_task(governor, &tasks[i], error);
    if (status != WEIR_OK) {
        weir_governor_free(governor);
        return status;
    }
    *ret_governor = governor;
    return WEIR_OK;
}

static bool same_keys(const struct weir_governor_config_keys *a,
                      const struct weir_governor_config_keys *b)
{
    bool same_file = (a->pressure_file == NULL) == (b->pressure_file == NULL) &&
                     (a->pressure_file == NULL || strcmp(a->pressure_file, b->pressure_file) == 0);
    return a->free_bytes == b->free_bytes && a->leave_bytes == b->leave_bytes &&
           a->dwell_ns == b->dwell_ns && a->interval_ns == b->interval_ns &&
           a->transitions_max == b->transitions_max &&
           a->is_closed_on_unknown == b->is_closed_on_unknown && same_file;
}

static struct weir_governor *exchange(struct weir_server *server, struct weir_governor *governor)
{
    (void)pthread_rwlock_wrlock(&server->governor_lock);
    struct weir_governor *old = server->governor;
    server->governor = governor;
    (void)pthread_rwlock_unlock(&server->governor_lock);
    return old;
}

void weir__governor_stop(struct weir_server *server)
{
    weir_governor_free(exchange(server, NULL));
    weir__generation_unref(server->governor_generation);
    server->governor_generation = NULL;
}

enum weir_status weir__governor_set(struct weir_server *server, struct weir__generation *generation,
                                    struct weir_error *error)
{
    const struct weir_server_config *config = &generation->config;
    const struct weir_governor_config_keys *keys = &config->governor;
    atomic_store(&server->free_bytes, keys->free_bytes);
    atomic_store(&server->memory_bytes_max, config->memory_bytes_max);
    atomic_store(&server->beside_bytes, weir_server_plan_beside_bytes(config));
    if (server->governor != NULL && same_keys(keys, &server->governor_generation->config.governor))
        return WEIR_OK; /* the next reading sees the new figures */
    struct weir_governor *governor = NULL;
    enum weir_status status = WEIR_OK;
    if (keys->free_bytes > 0)
        status = make_governor(server, keys, &governor, error);
    if (status != WEIR_OK)
        return status;
    weir__governor_stop(server);
    /* Nothing is paused until a reading says so. */
    (void)pause_compiling(server, false, NULL, NULL);
    (void)pause_warming(server, false, NULL, NULL);
    weir_account_set_limit(weir_account_host(), config->memory_bytes_max);
    server->governor_generation = generation;
    (void)atomic_fetch_add_explicit(&generation->refs, 1, memory_order_relaxed);
    if (governor == NULL)
        return WEIR_OK;
    status = weir_governor_start(governor, keys->interval_ns, error);
    (void)exchange(server, governor);
    return status;
}

/* --- asking it ----------------------------------------------------------------------------- */

bool weir__governor_admit(struct weir_server *server, struct weir_refusal *ret_refusal)
{
    (void)pthread_rwlock_rdlock(&server->governor_lock);
    bool is_admitted = server->governor == NULL ||
                       weir_governor_admit(server->governor, weir_clock_ns(), ret_refusal);
    (void)pthread_rwlock_unlock(&server->governor_lock);
    return is_admitted;
}

bool weir__governor_status(struct weir_server *server, struct weir_governor_status *ret_status)
{
    (void)pthread_rwlock_rdlock(&server->governor_lock);
    bool is_on = server->governor != NULL;
    if (is_on)
        weir_governor_status(server->governor, weir_clock_ns(), ret_status);
    (void)pthread_rwlock_unlock(&server->governor_lock);
    return is_on;
}
