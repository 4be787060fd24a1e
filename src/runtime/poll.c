/* Looking up: what a guest's poll finds (docs/ABI.md, "Polls and fuel"). Whoever wants attention
 * sets an event, then the two words that generated code tests; the poll clears the words first and
 * takes the events after, so nothing is lost, and a poll that finds nothing just goes on.
 */
#include "runtime/store_internal.h"

void weir__store_raise(struct weir_store *store, uint32_t event)
{
    (void)atomic_fetch_or(&store->events, event);
    __atomic_store_n(&store->state->interrupt, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&store->state->stack_limit, UINT64_MAX, __ATOMIC_SEQ_CST);
}

void weir_store_interrupt(struct weir_store *store)
{
    weir__store_raise(store, WEIR__EVENT_CANCEL);
}

void weir_store_clear_interrupt(struct weir_store *store)
{
    (void)atomic_fetch_and(&store->events, ~WEIR__EVENT_CANCEL);
}

bool weir_store_is_stopped(const struct weir_store *store)
{
    return (atomic_load(&store->events) & (WEIR__EVENT_CANCEL | WEIR__EVENT_DEADLINE)) != 0;
}

/* CANCEL and DEADLINE stay until they are taken back; SLICE is used up by the call that is parked.
 * A guest called from a host function that a guest called cannot be: it has to go on, and the
 * outer one is asked again when that one has returned (func.c). */
int weir__events_handle(struct weir_store *store)
{
    bool is_nested = store->active->outer_in_store != NULL;
    uint32_t events = atomic_fetch_and(&store->events, is_nested ? ~0u : ~WEIR__EVENT_SLICE);
    if ((events & (WEIR__EVENT_CANCEL | WEIR__EVENT_DEADLINE)) != 0) {
        weir__store_raise(store, 0);
        return weir__trap_raise(store, (events & WEIR__EVENT_CANCEL) != 0 ? WEIR_TRAP_CANCELLED
                                                                          : WEIR_TRAP_DEADLINE);
    }
    if ((events & WEIR__EVENT_SLICE) == 0 || is_nested)
        return WEIR__BACK_OK;
    store->park = WEIR_PARK_SLICE;
    return WEIR__BACK_PARK;
}

/* Neither word was set: the stack check that came here meant it. Generated code checks again after
 * a poll that returns, so a real overflow is found even when it coincides with a request. */
int weir__poll(struct weir_vm_state *state)
{
    struct weir_store *store = weir__current->store;
    WEIR_DASSERT(store->state == state);
    uint32_t interrupt = __atomic_exchange_n(&state->interrupt, 0, __ATOMIC_SEQ_CST);
    uint64_t limit =
        __atomic_exchange_n(&state->stack_limit, store->stack->limit, __ATOMIC_SEQ_CST);
    if (interrupt == 0 && limit != UINT64_MAX)
        return weir__trap_raise(store, WEIR_TRAP_STACK_EXHAUSTED);
    return weir__events_handle(store);
}
