/* A lane's VMs: made when a stream needs one, given turns, recycled above the soft mark when no
 * stream is open, closed when they fail and made again after a pause that doubles. */
#include "server/lane_internal.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/sizes.h"

#include <stdio.h>
#include <string.h>

struct weir__vm_slot *weir__slot(struct weir__lane *lane, struct weir__plugin *plugin)
{
    return &plugin->slots[lane->index];
}

bool weir__slot_is_busy(const struct weir__vm_slot *slot)
{
    return slot->vm != NULL && weir_filter_vm_is_busy(slot->vm);
}

const char *weir__slot_failure(struct weir__lane *lane, const struct weir__plugin *plugin)
{
    const char *failure = plugin->slots[lane->index].failure;
    return plugin->plugin == NULL ? plugin->failure
           : failure[0] != 0      ? failure
                                  : "the plugin was closed";
}

static void close_vm(struct weir__vm_slot *slot)
{
    weir_filter_vm_free(TAKE(slot->vm));
    slot->is_starting = false;
    slot->drains_since_ns = 0;
}

void weir__slot_fail(struct weir__lane *lane, struct weir__plugin *plugin, const char *reason)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    (void)snprintf(slot->failure, sizeof slot->failure, "%s", reason);
    if (slot->is_starting) { /* it will hardly start the next moment */
        slot->backoff_ns *= 2;
        if (slot->backoff_ns == 0)
            slot->backoff_ns = WEIR_SERVER_FILTER_RETRY_NS;
        if (slot->backoff_ns > WEIR_SERVER_FILTER_RETRY_NS_MAX)
            slot->backoff_ns = WEIR_SERVER_FILTER_RETRY_NS_MAX;
        slot->retry_ns = weir_clock_ns() + slot->backoff_ns;
    }
    (void)atomic_fetch_add_explicit(&plugin->failures, 1, memory_order_relaxed);
    struct weir__filtered *user = slot->user;
    slot->user = NULL;
    close_vm(slot);
    /* Streams of it hear of it when they are looked at. */
    for (struct weir__filtered *f = lane->active; f != NULL; f = f->active_next)
        f->is_dirty = true;
    if (user != NULL)
        weir__filtered_returned(user, user->parked_stage, WEIR_TRAP, slot->failure);
}

static void list_chain(struct weir__lane *lane, struct weir__chain *chain)
{
    struct weir__chain_lane *here = &chain->lanes[lane->index];
    if (here->is_listed)
        return;
    here->is_listed = true;
    here->listed_next = lane->chains;
    lane->chains = chain;
}

/* What weir_filter_vm_start() or _resume() answered while it starts. */
static enum weir__slot_state started(struct weir__lane *lane, struct weir__plugin *plugin,
                                     enum weir_status status, struct weir_error *error)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    if (status == WEIR_PENDING)
        return WEIR__SLOT_WAIT;
    if (status == WEIR_OK) {
        slot->is_starting = false;
        slot->backoff_ns = slot->retry_ns = 0;
        return WEIR__SLOT_READY;
    }
    weir__slot_fail(lane, plugin, error->message);
    weir_error_done(error);
    return WEIR__SLOT_FAILED;
}

static enum weir__slot_state make_vm(struct weir__lane *lane, struct weir__chain *chain,
                                     struct weir__plugin *plugin)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    struct weir_error error = {0};
    if (weir_clock_ns() < slot->retry_ns)
        return WEIR__SLOT_FAILED;
    list_chain(lane, chain);
    slot->is_starting = true;
    enum weir_status status = weir_filter_vm_new(plugin->plugin, lane, &slot->vm, &error);
    if (status == WEIR_OK) {
        weir_filter_vm_set_slice(slot->vm, WEIR_SERVER_FILTER_SLICE_NS);
        status = weir_filter_vm_start(slot->vm, &error);
    }
    if (slot->failure[0] != 0 && status == WEIR_OK)
        (void)atomic_fetch_add_explicit(&plugin->restarted, 1, memory_order_relaxed);
    return started(lane, plugin, status, &error);
}

static void recycle(struct weir__lane *lane, struct weir__chain *chain,
                    struct weir__plugin *plugin)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    struct weir_account_reading reading;
    char reason[160];
    weir_account_read(weir_filter_vm_account(slot->vm), &reading);
    (void)snprintf(reason, sizeof reason,
                   "it held %s (%s of linear memory), the soft mark is %s; no stream was open",
                   weir_size_format(reading.used_bytes).text,
                   weir_size_format(weir_filter_vm_linear_bytes(slot->vm)).text,
                   weir_size_format(plugin->keys->soft_bytes).text);
    close_vm(slot);
    (void)atomic_fetch_add_explicit(&plugin->recycled, 1, memory_order_relaxed);
    weir__plugin_log(lane->server, chain, plugin, "recycled", reason);
}

/* Above the soft mark: recycled when idle; otherwise new streams wait a while for that. */
static bool must_wait(struct weir__lane *lane, struct weir__chain *chain,
                      struct weir__plugin *plugin)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    if (slot->vm == NULL || weir__slot_is_busy(slot) || !weir_filter_vm_is_large(slot->vm))
        return false;
    if (weir_filter_vm_is_idle(slot->vm)) {
        recycle(lane, chain, plugin);
        return false;
    }
    uint64_t now = weir_clock_ns();
    if (slot->drains_since_ns == 0)
        slot->drains_since_ns = now;
    return now - slot->drains_since_ns < WEIR_SERVER_FILTER_DRAIN_NS;
}

enum weir__slot_state weir__slot_acquire(struct weir__lane *lane, struct weir__chain *chain,
                                         struct weir__plugin *plugin)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    if (plugin->plugin == NULL)
        return WEIR__SLOT_FAILED;
    if (weir__slot_is_busy(slot) || must_wait(lane, chain, plugin))
        return WEIR__SLOT_WAIT;
    return slot->vm != NULL ? WEIR__SLOT_READY : make_vm(lane, chain, plugin);
}

/* --- turns ----------------------------------------------------------------------------------- */

/* A parked callback goes on for a slice. */
static void resume(struct weir__lane *lane, struct weir__plugin *plugin)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    struct weir_error error = {0};
    enum weir_status status = weir_filter_vm_resume(slot->vm, &error);
    if (slot->is_starting) {
        (void)started(lane, plugin, status, &error);
        return;
    }
    if (status == WEIR_PENDING)
        return;
    struct weir__filtered *user = slot->user;
    if (status != WEIR_OK) {
        weir__slot_fail(lane, plugin, error.message);
        weir_error_done(&error);
        return;
    }
    slot->user = NULL;
    if (user != NULL)
        weir__filtered_returned(user, user->parked_stage, WEIR_OK, NULL);
}

static void work(struct weir__lane *lane, struct weir__chain *chain, struct weir__plugin *plugin)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    struct weir_error error = {0};
    bool did = true;
    enum weir_status status = WEIR_OK;
    for (unsigned i = 0; did && status == WEIR_OK && i < 16; i++)
        status = weir_filter_vm_work(slot->vm, &did, &error);
    if (status != WEIR_OK && status != WEIR_PENDING) {
        weir__slot_fail(lane, plugin, error.message);
        weir_error_done(&error);
        return;
    }
    if (status == WEIR_OK)
        (void)must_wait(lane, chain, plugin);
}

static void turn(struct weir__lane *lane, struct weir__chain *chain, struct weir__plugin *plugin,
                 uint64_t now)
{
    struct weir__vm_slot *slot = weir__slot(lane, plugin);
    if (slot->vm == NULL)
        return;
    bool was_busy = weir__slot_is_busy(slot);
    if (was_busy && weir_filter_vm_due_ns(slot->vm) <= now)
        resume(lane, plugin);
    if (slot->vm != NULL && !weir__slot_is_busy(slot))
        work(lane, chain, plugin);
    if (was_busy && !weir__slot_is_busy(slot))
        for (struct weir__filtered *f = lane->active; f != NULL; f = f->active_next)
            f->is_dirty = f->is_dirty || f->waits_vm;
}

void weir__lane_run_vms(struct weir__lane *lane)
{
    uint64_t now = weir_clock_ns();
    for (struct weir__chain *chain = lane->chains; chain != NULL;
         chain = chain->lanes[lane->index].listed_next)
        for (size_t i = 0; i < chain->plugin_count; i++)
            turn(lane, chain, &chain->plugins[i], now);
}

uint64_t weir__lane_vms_due_ns(const struct weir__lane *lane)
{
    uint64_t due = UINT64_MAX;
    for (const struct weir__chain *chain = lane->chains; chain != NULL;
         chain = chain->lanes[lane->index].listed_next)
        for (size_t i = 0; i < chain->plugin_count; i++) {
            const struct weir__vm_slot *slot = &chain->plugins[i].slots[lane->index];
            uint64_t when = slot->vm != NULL ? weir_filter_vm_due_ns(slot->vm) : UINT64_MAX;
            due = when < due ? when : due;
        }
    return due;
}

void weir__lane_close_chain(struct weir__lane *lane, struct weir__chain *chain)
{
    struct weir__chain_lane *here = &chain->lanes[lane->index];
    for (struct weir__chain **at = &lane->chains; here->is_listed && *at != NULL;
         at = &(*at)->lanes[lane->index].listed_next)
        if (*at == chain) {
            *at = here->listed_next;
            here->is_listed = false;
            break;
        }
    for (size_t i = 0; i < chain->plugin_count; i++)
        close_vm(&chain->plugins[i].slots[lane->index]);
}
