/* Stores: made of one mapping, ended at once on every path (DESIGN law 3).
 *
 * Close gives back in the order of dependence: memories and tables, modules, the arena, the stack,
 * and last the account, which must be empty then, with the mapping it lives in.
 */
#include <string.h>

#include "base/bytes.h"
#include "runtime/event_internal.h"
#include "runtime/handle_internal.h"
#include "runtime/task_internal.h"

/* Record, account and block, then the state: its fixed words and first argument slots share their
 * page. */
#define ACCOUNT_OFFSET ((sizeof(struct weir_store) + 63u) & ~(size_t)63u)
#define BLOCK_OFFSET ((ACCOUNT_OFFSET + WEIR_HOUSED_BYTES + 15u) & ~(size_t)15u)
#define STATE_OFFSET (4096u - 256u)
#define STORE_BYTES (STATE_OFFSET + sizeof(struct weir_vm_state))
static_assert(BLOCK_OFFSET <= STATE_OFFSET / 2, "the block beside the records");

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

/* Without guard pages no more address space is taken for a memory than the store may fill. */
static uint64_t linear_bytes_default(const struct weir_store *store,
                                     const struct weir_store_config *config)
{
    uint64_t all = config->memory_bytes_max;
    bool is_less = all != 0 && all < WEIR_LINEAR_BYTES_DEFAULT;
    return is_less && store->engine->bounds != WEIR_BOUNDS_GUARD ? all : WEIR_LINEAR_BYTES_DEFAULT;
}

static void configure(struct weir_store *store, const struct weir_store_config *config)
{
    store->linear_bytes_max =
        or_default(config->linear_bytes_max, linear_bytes_default(store, config));
    if (store->linear_bytes_max > WEIR_LINEAR_BYTES_MAX)
        store->linear_bytes_max = WEIR_LINEAR_BYTES_MAX;
    store->table_elements_max = or_default(config->table_elements_max, WEIR_TABLE_ELEMENTS_DEFAULT);
    if (store->table_elements_max > WEIR_TABLE_ELEMENTS_MAX)
        store->table_elements_max = WEIR_TABLE_ELEMENTS_MAX;
    store->instances_max = (uint32_t)or_default(config->instances_max, WEIR_INSTANCES_DEFAULT);
    store->handles_max = (uint32_t)or_default(config->handles_max, WEIR_HANDLES_DEFAULT);
    if (store->handles_max > WEIR_HANDLES_MAX)
        store->handles_max = WEIR_HANDLES_MAX;
    store->tasks_max = (uint32_t)or_default(config->tasks_max, WEIR_TASKS_DEFAULT);
    store->keep_resident_bytes =
        or_default(config->keep_resident_bytes, WEIR_KEEP_RESIDENT_DEFAULT);
    store->data = config->data;
    store->data_free = config->data_free;
    store->growth_hook = config->growth_hook;
    store->growth_context = config->growth_context;
}

enum weir_status weir_store_new(struct weir_engine *engine, const struct weir_store_config *config,
                                struct weir_store **ret_store, struct weir_error *error)
{
    static const struct weir_store_config defaults;
    if (config == NULL)
        config = &defaults;
    struct weir_account *account;
    void *memory;
    enum weir_status status = weir_account_new_housed(
        config->account != NULL ? config->account : engine->parent,
        config->name != NULL ? config->name : "store",
        &(struct weir_house){WEIR_KIND_INSTANCE, STORE_BYTES, ACCOUNT_OFFSET,
                             or_default(config->memory_bytes_max, WEIR_UNLIMITED)},
        &memory, &account, error);
    if (status != WEIR_OK)
        return status;
    struct weir_store *store = memory;
    store->account = account;
    store->engine = weir_engine_ref(engine);
    store->thread_needs =
        WEIR__THREAD_LIMIT |
        (engine->bounds != WEIR_BOUNDS_NO_SIGNALS ? WEIR__THREAD_SIGNALS : 0u);
    store->state = (struct weir_vm_state *)(void *)((uint8_t *)memory + STATE_OFFSET);
    store->state->fuel = engine->has_fuel ? 0 : INT64_MAX;
    store->state->stack_limit = UINT64_MAX; /* until there is a stack */
    store->block = (uint8_t *)memory + BLOCK_OFFSET;
    store->block_end = (uint8_t *)store->state;
    store->source = (struct weir_account_source){.account = account, .kind = WEIR_KIND_INSTANCE};
    store->timer.store = store;
    store->timer.deadline_ns = UINT64_MAX;
    configure(store, config);
    weir__census_enlist(&store->census, WEIR_CENSUS_STORE, &engine->past);
    weir__event_store(store, WEIR_EVENT_STORE_CREATED);
    *ret_store = store;
    return WEIR_OK;
}

void weir_store_rest(struct weir_store *store)
{
    if (store->stack == NULL || store->active != NULL || store->park != WEIR_PARK_NONE)
        return;
    __atomic_store_n(&store->state->stack_limit, UINT64_MAX, __ATOMIC_SEQ_CST);
    weir__stack_give(store->account, store->stack);
    store->stack = NULL;
}

/* What came back is what was there before, less what tasks still hold. */
static void fill_receipt(const struct weir_account_reading *before, struct weir_account *account,
                         struct weir_receipt *receipt)
{
    weir_account_pending(account, receipt);
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        weir_receipt_add(receipt, (enum weir_kind)kind,
                         before->kinds[kind] - receipt->pending[kind]);
}

/* Resources end while the embedder's data is still there. */
static void destroy_handles(struct weir_store *store, struct weir_receipt *receipt)
{
    for (struct weir_instance *instance = store->instances; instance != NULL;
         instance = instance->next)
        weir__handles_destroy(instance->handles, receipt);
    weir__handles_destroy(store->handles, receipt);
}

static void free_contents(struct weir_store *store)
{
    for (struct weir_memory *memory = store->memories; memory != NULL; memory = memory->next)
        weir__memory_free(memory);
    for (struct weir_table *table = store->tables; table != NULL; table = table->next)
        weir__table_free(table);
    struct weir_instance *next = NULL;
    for (struct weir_instance *instance = store->instances; instance != NULL; instance = next) {
        next = instance->next; /* the record goes with its region */
        weir__instance_unpin_all(instance);
        weir__held_end(instance);
        weir__handles_free(instance->handles, NULL);
        weir_module_unref(instance->module);
        weir_arena_free(instance->region.arena);
    }
    weir__handles_free(store->handles, NULL);
    weir__host_funcs_done(store);
    weir_error_done(&store->cause);
    weir__store_forget_refusal(store);
    weir_arena_free(store->own.arena);
    weir__linker_forget_store(store);
    weir_store_rest(store);
}

static void tell_of_end(const struct weir_store *store)
{
    if (!weir__event_is_wanted(store->engine))
        return;
    for (const struct weir_instance *at = store->instances; at != NULL; at = at->next)
        weir__event_tell_instance(at, WEIR_EVENT_INSTANCE_RELEASED, WEIR_RECYCLE_NONE);
    weir__event_tell_store(store, WEIR_EVENT_STORE_RELEASED);
}

void weir_store_close(struct weir_store *store, struct weir_receipt *receipt)
{
    if (store == NULL)
        return;
    WEIR_ASSERT(store->active == NULL); /* not from inside a call into the store */
    weir__census_delist_store(store);
    struct weir_account *account = store->account;
    struct weir_engine *engine = store->engine;
    struct weir_account_reading before;
    tell_of_end(store);
    if (receipt != NULL)
        weir_account_read(account, &before);
    weir_store_cancel_tasks(store, NULL);
    destroy_handles(store, receipt);
    if (store->data_free != NULL)
        store->data_free(store->data); /* may wait for tasks: nothing is locked yet */
    struct weir__task_group *group = weir__tasks_close(store, receipt);
    weir_store_unpark(store);
    free_contents(store);
    weir_account_vacate(account); /* the record goes with it */
    if (receipt != NULL)
        fill_receipt(&before, account, receipt);
    weir_account_close(account);
    weir_engine_unref(engine);
    weir__tasks_leave(group);
}

void *weir_store_data(const struct weir_store *store)
{
    return store->data;
}

void weir_store_set_data(struct weir_store *store, void *data)
{
    store->data = data;
}

struct weir_account *weir_store_account(struct weir_store *store)
{
    return store->account;
}

struct weir_engine *weir_store_engine(struct weir_store *store)
{
    return store->engine;
}

/* The host pays: the store may be at its limit. Without memory the reason is not kept. */
void weir__store_note_refusal(struct weir_store *store, struct weir_error *refused)
{
    if (refused->status == WEIR_OK)
        return;
    store->refusal = weir_account_alloc(weir_account_host(), WEIR_KIND_METADATA,
                                        sizeof *store->refusal, NULL);
    if (store->refusal != NULL)
        weir_error_move(store->refusal, refused);
    weir_error_done(refused);
}

void weir__store_forget_refusal(struct weir_store *store)
{
    if (store->refusal == NULL)
        return;
    weir_error_done(store->refusal);
    weir_account_free(weir_account_host(), WEIR_KIND_METADATA, store->refusal,
                      sizeof *store->refusal);
    store->refusal = NULL;
}

const struct weir_error *weir_store_refusal(const struct weir_store *store)
{
    return store->refusal;
}

enum weir_status weir_store_set_fuel(struct weir_store *store, uint64_t fuel,
                                     struct weir_error *error)
{
    if (!store->engine->has_fuel)
        return weir_error_set(
            error, WEIR_STATE, WEIR_NO_OFFSET,
            "the engine compiles without fuel; set has_fuel in its configuration");
    store->state->fuel = fuel < INT64_MAX ? (int64_t)fuel : INT64_MAX;
    return WEIR_OK;
}

uint64_t weir_store_fuel(const struct weir_store *store)
{
    return store->state->fuel > 0 ? (uint64_t)store->state->fuel : 0;
}

/* The timer thread reads the instants of armed stores only; a host function may change its own
 * store's while the guest is under way. */
static void set_timer(struct weir_store *store, const uint64_t *deadline_ns,
                      const uint64_t *slice_ns)
{
    struct weir__timer *timer = &store->timer;
    bool was_armed = timer->is_armed;
    weir__timer_disarm(timer);
    if (deadline_ns != NULL) {
        timer->deadline_ns = *deadline_ns;
        (void)atomic_fetch_and(&store->events, ~WEIR__EVENT_DEADLINE);
    }
    if (slice_ns != NULL) {
        timer->slice_ns = *slice_ns;
        (void)atomic_fetch_and(&store->events, ~WEIR__EVENT_SLICE);
    }
    store->has_timer = timer->deadline_ns != UINT64_MAX || timer->slice_ns != 0;
    if (!store->has_timer)
        return;
    /* Without a timer thread nothing would ever end: better at once than never. */
    if (weir__timer_start(NULL) != WEIR_OK)
        weir__store_raise(store, WEIR__EVENT_DEADLINE);
    if (was_armed)
        weir__timer_arm(timer);
}

void weir_store_set_deadline(struct weir_store *store, uint64_t monotonic_ns)
{
    uint64_t deadline_ns = monotonic_ns != 0 ? monotonic_ns : UINT64_MAX;
    set_timer(store, &deadline_ns, NULL);
}

void weir_store_set_slice(struct weir_store *store, uint64_t slice_ns)
{
    set_timer(store, NULL, &slice_ns);
}
