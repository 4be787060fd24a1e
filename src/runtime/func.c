/* Calling a guest function, and continuing a parked one: values into registers and slots, one
 * activation, through the boundary, and the answer back (docs/ABI.md, "Calls").
 *
 * The common case (a prepared thread and store, integer parameters in registers) is a straight
 * line; everything rare is behind one unlikely branch each.
 */
#include <string.h>

#include <weir/extern.h>

#include "runtime/store_internal.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

void weir_func_type(const struct weir_funcref *func, struct weir_func_type *ret)
{
    const struct weir__type *type = weir__type_at(func->type_id);
    *ret = (struct weir_func_type){.params = type->params,
                                   .param_count = type->param_count,
                                   .results = type->results,
                                   .result_count = type->result_count};
}

/* i32 travels zero-extended; a guest may rely on it. */
static uint64_t int_bits(enum weir_type type, const union weir_value *value)
{
    return type == WEIR_TYPE_I32 ? (uint32_t)value->i32 : (uint64_t)value->i64;
}

static void put_args(struct weir_store *store, const struct weir__type *type,
                     const union weir_value *args, struct weir__entry *entry)
{
    uint32_t ints = 0;
    uint32_t floats = 0;
    for (uint32_t i = 0; i < type->param_count; i++) {
        enum weir_type param = type->params[i];
        if (weir__type_is_float(param)) {
            if (floats < WEIR_ABI_FLOAT_ARGS)
                entry->floats[floats++] = args[i];
            else
                store->state->args[i] = args[i];
        } else if (ints < WEIR_ABI_INT_ARGS) {
            entry->ints[1 + ints++] = int_bits(param, &args[i]);
        } else {
            store->state->args[i].i64 = (int64_t)int_bits(param, &args[i]);
        }
    }
    entry->has_floats = floats != 0;
}

static inline void get_result(enum weir_type type, const struct weir__entry *entry,
                              union weir_value *result)
{
    if (UNLIKELY(weir__type_is_float(type)))
        *result = entry->xmm0;
    else
        result->i64 = (int64_t)entry->rax;
}

static enum weir_status refuse_state(const struct weir_store *store, struct weir_error *error)
{
    return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                          store->park != WEIR_PARK_NONE
                              ? "the store has a parked call; resume it or give it up first"
                              : "the store has no parked call");
}

/* Rare, so the message is made here. */
static __attribute__((noinline)) enum weir_status refuse_func(const struct weir_funcref *func,
                                                              struct weir_error *error)
{
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET, "%s",
                          func == NULL ? "a null reference cannot be called"
                                       : "the function belongs to another store");
}

static __attribute__((noinline)) enum weir_status refuse_values(const struct weir__type *type,
                                                                struct weir_error *error)
{
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "room for %u arguments and %u results is needed, NULL is given",
                          type->param_count, type->result_count);
}

/* Whatever must be there before the boundary is crossed, the first time or after a rest. */
static __attribute__((noinline)) enum weir_status prepare(struct weir_store *store,
                                                          struct weir_error *error)
{
    if (!weir__thread_is_prepared(store->thread_needs)) {
        enum weir_status status = weir__thread_prepare(store->thread_needs, error);
        if (status != WEIR_OK)
            return status;
    }
    if (store->stack == NULL) {
        enum weir_status status =
            weir__stack_take(store->account, store->engine->stack_bytes, &store->stack, error);
        if (status != WEIR_OK)
            return status;
        __atomic_store_n(&store->state->stack_limit, store->stack->limit, __ATOMIC_SEQ_CST);
        if (atomic_load(&store->events) != 0)
            weir__store_raise(store, 0);
    }
    return WEIR_OK;
}

static inline void begin(struct weir_store *store, struct weir__activation *activation)
{
    struct weir__activation *outer = store->active;
    activation->state = store->state;
    activation->store = store;
    activation->outer_on_thread = weir__current;
    activation->outer_in_store = outer;
    activation->trap_pc = 0;
    if (UNLIKELY(outer != NULL)) {
        activation->saved_host_sp = store->state->host_sp;
        activation->saved_guest_sp = store->state->guest_sp;
        activation->saved_guest_fp = store->state->guest_fp;
        activation->saved_guest_pc = store->state->guest_pc;
    } else if (UNLIKELY(store->has_timer)) {
        weir__timer_arm(&store->timer);
    }
    store->active = activation;
    weir__current = activation;
}

static inline void end(struct weir_store *store, struct weir__activation *activation)
{
    weir__current = activation->outer_on_thread;
    store->active = activation->outer_in_store;
    if (UNLIKELY(activation->outer_in_store != NULL)) {
        store->state->host_sp = activation->saved_host_sp;
        store->state->guest_sp = activation->saved_guest_sp;
        store->state->guest_fp = activation->saved_guest_fp;
        store->state->guest_pc = activation->saved_guest_pc;
        if (UNLIKELY((atomic_load(&store->events) & WEIR__EVENT_SLICE) != 0))
            weir__store_raise(store, 0); /* what could not be parked goes on in one that can */
    } else if (UNLIKELY(store->has_timer)) {
        weir__timer_disarm(&store->timer);
    }
}

/* The activation has come back with something other than results. */
static __attribute__((noinline)) enum weir_status end_early(struct weir_store *store,
                                                            struct weir__activation *activation,
                                                            int back, struct weir_trap *trap,
                                                            struct weir_error *error)
{
    if (back == WEIR__BACK_TRAP)
        weir__trap_fill(store, activation, trap, error);
    end(store, activation);
    return back == WEIR__BACK_TRAP ? WEIR_TRAP : WEIR_PENDING;
}

static __attribute__((noinline)) enum weir_status
trap_before_entry(struct weir_store *store, struct weir_trap *trap, struct weir_error *error)
{
    struct weir__activation activation = {0};
    begin(store, &activation);
    (void)weir__trap_raise(store, WEIR_TRAP_STACK_EXHAUSTED);
    activation.trap_pc = 0; /* the frames are the outer activations' */
    activation.trap_fp = 0;
    return end_early(store, &activation, WEIR__BACK_TRAP, trap, error);
}

static inline void put_results(struct weir_store *store, const struct weir__type *type,
                               const struct weir__entry *entry, union weir_value *results)
{
    if (type->result_count == 0)
        return;
    get_result(type->results[0], entry, &results[0]);
    if (UNLIKELY(type->result_count > 1) && results != store->state->results)
        memcpy(&results[1], &store->state->results[1],
               (type->result_count - 1) * sizeof results[0]);
}

/* What a census tells of the store's calls costs two loads and a store here. */
static inline void begin_outermost(struct weir_store *store, const struct weir__type *type)
{
    store->call_type = type;
    weir__census_count(&store->calls);
    if (UNLIKELY(store->caller != &weir__current)) {
        if (store->caller != NULL)
            weir__census_count(&store->thread_changes);
        store->caller = &weir__current;
    }
}

enum weir_status weir_func_call(struct weir_store *store, struct weir_funcref *func,
                                const union weir_value *args, union weir_value *results,
                                struct weir_trap *trap, struct weir_error *error)
{
    if (UNLIKELY(store->park != WEIR_PARK_NONE))
        return refuse_state(store, error);
    if (UNLIKELY(func == NULL || func->vmctx->state != store->state))
        return refuse_func(func, error);
    const struct weir__type *type = weir__type_at(func->type_id);
    if (UNLIKELY((args == NULL && type->param_count != 0) ||
                 (results == NULL && type->result_count != 0)))
        return refuse_values(type, error);
    if (UNLIKELY(store->stack == NULL || !weir__thread_is_prepared(store->thread_needs))) {
        enum weir_status status = prepare(store, error);
        if (status != WEIR_OK)
            return status;
    }
    if (UNLIKELY(!weir__host_stack_has_room() || store->depth >= WEIR_HOST_DEPTH_MAX))
        return trap_before_entry(store, trap, error);
    struct weir__entry entry;
    entry.code = func->code;
    entry.ints[0] = (uint64_t)func->vmctx;
    entry.has_floats = 0;
    if (LIKELY(type->is_simple)) {
        for (uint32_t i = 0; i < type->param_count; i++)
            entry.ints[1 + i] =
                (type->wide_mask >> i & 1) != 0 ? (uint64_t)args[i].i64 : (uint32_t)args[i].i32;
    } else {
        put_args(store, type, args, &entry);
    }
    struct weir__activation activation;
    uint64_t guest_sp = store->stack->top;
    if (UNLIKELY(store->active != NULL))
        guest_sp = store->state->guest_sp & ~UINT64_C(15);
    else
        begin_outermost(store, type);
    begin(store, &activation);
    store->depth++;
    int back = weir__boundary_enter(store->state, &entry, guest_sp);
    store->depth--;
    if (UNLIKELY(back != WEIR__BACK_OK))
        return end_early(store, &activation, back, trap, error);
    end(store, &activation);
    put_results(store, type, &entry, results);
    return WEIR_OK;
}

/* --- parked calls -------------------------------------------------------------------------- */

enum weir_park weir_store_parked(const struct weir_store *store)
{
    return store->park;
}

void weir_store_unpark(struct weir_store *store)
{
    if (store->park == WEIR_PARK_NONE)
        return;
    store->is_torn = true;
    store->park = WEIR_PARK_NONE;
    store->parked_frame = NULL;
    store->parked_binding = NULL;
    weir_error_done(&store->cause);
}

const union weir_value *weir_store_results(const struct weir_store *store)
{
    return store->state->results;
}

/* A host function's answer, or PENDING's later one, into the frame that its stub left. */
void weir__host_results(struct weir_store *store, const struct weir__type *type,
                        const union weir_value *results, struct weir__host_frame *frame)
{
    if (type->result_count == 0)
        return;
    if (weir__type_is_float(type->results[0]))
        frame->floats[0] = results[0];
    else
        frame->ints[0].i64 = (int64_t)int_bits(type->results[0], &results[0]);
    for (uint32_t i = 1; i < type->result_count; i++) {
        union weir_value *slot = &store->state->results[i];
        *slot = results[i];
        if (!weir__type_is_float(type->results[i]))
            slot->i64 = (int64_t)int_bits(type->results[i], &results[i]);
    }
}

static enum weir_status resume(struct weir_store *store, struct weir_trap *trap,
                               struct weir_error *error)
{
    const struct weir__type *type = store->call_type;
    struct weir__entry entry;
    struct weir__activation activation;
    store->park = WEIR_PARK_NONE;
    begin(store, &activation);
    store->depth++;
    int back = weir__boundary_resume(store->state, &entry);
    store->depth--;
    if (back != WEIR__BACK_OK)
        return end_early(store, &activation, back, trap, error);
    end(store, &activation);
    put_results(store, type, &entry, store->state->results);
    return WEIR_OK;
}

/* The host function that had answered PENDING failed: the guest traps where it stands. */
static enum weir_status resume_failed(struct weir_store *store, enum weir_status status,
                                      struct weir_trap *trap, struct weir_error *error)
{
    struct weir__activation activation;
    store->park = WEIR_PARK_NONE;
    begin(store, &activation);
    (void)weir__host_failed(store, status);
    return end_early(store, &activation, WEIR__BACK_TRAP, trap, error);
}

enum weir_status weir_store_resume(struct weir_store *store, enum weir_status status,
                                   const union weir_value *results, struct weir_trap *trap,
                                   struct weir_error *error)
{
    if (store->park == WEIR_PARK_NONE || store->active != NULL)
        return refuse_state(store, error);
    enum weir_status ready = weir__thread_prepare(store->thread_needs, error);
    if (ready != WEIR_OK)
        return ready;
    if (!weir__host_stack_has_room())
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "too little of this thread's stack is left to resume a guest");
    if (store->park == WEIR_PARK_HOST) {
        if (status == WEIR_PENDING)
            return WEIR_PENDING;
        if (status != WEIR_OK)
            return resume_failed(store, status, trap, error);
        const struct weir__type *type = store->parked_binding->type;
        if (type->result_count > 0 && results == NULL)
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "the waiting host function has %u results, none are given",
                                  type->result_count);
        weir__host_results(store, type, results, store->parked_frame);
    }
    return resume(store, trap, error);
}
