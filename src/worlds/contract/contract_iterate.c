/* Iterators of the storage. One is where it goes on, not what it saw: but what it shows is the
 * storage as it was when it was opened, as upstream's iterators do, on chains (the store that
 * buffers a call's writes gives each a copy of them) and in tests. What is written while any are
 * open is kept beside (contract_before.h). */
#include "worlds/contract/contract_internal.h"

#include <string.h>

/* Room for one more; the records stay the run's. */
static enum weir_status more_iterators(struct weir_contract_run *run)
{
    if (run->iterator_count < run->iterator_capacity)
        return WEIR_OK;
    uint32_t capacity = run->iterator_capacity != 0 ? 2 * run->iterator_capacity : 8;
    struct weir__contract_iterator *items = weir_account_alloc(
        run->account, WEIR_KIND_HOST_BUFFER, capacity * sizeof *items, &run->error);
    if (items == NULL)
        return weir__contract_host_failed(run, run->error.status);
    if (run->iterators != NULL)
        memcpy(items, run->iterators, run->iterator_count * sizeof *items);
    weir_account_free(run->account, WEIR_KIND_HOST_BUFFER, run->iterators,
                      run->iterator_capacity * sizeof *items);
    run->iterators = items;
    run->iterator_capacity = capacity;
    return WEIR_OK;
}

static void iterator_done(struct weir__contract_iterator *iterator)
{
    weir_contract_buffer_done(&iterator->start);
    weir_contract_buffer_done(&iterator->end);
}

void weir__contract_iterators_close(struct weir_contract_run *run)
{
    for (uint32_t i = 0; i < run->iterator_count; i++)
        iterator_done(&run->iterators[i]);
    weir_account_free(run->account, WEIR_KIND_HOST_BUFFER, run->iterators,
                      run->iterator_capacity * sizeof run->iterators[0]);
    weir__before_drop(run->before, run->account);
    run->iterators = NULL;
    run->iterator_count = 0;
    run->iterator_capacity = 0;
    run->iterators_going = 0;
    run->before = NULL;
    run->passed_count = 0;
}

static enum weir_status open_iterator(struct weir_contract_run *run,
                                      const struct weir__contract_args *args,
                                      struct weir__contract_iterator *iterator)
{
    enum weir_status status = WEIR_OK;
    int32_t order = (int32_t)args->at[2];
    if (args->at[0] != 0)
        status = weir__contract_read(run, args->at[0], CONTRACT_KEY_MAX, &iterator->start);
    if (status == WEIR_OK && args->at[1] != 0)
        status = weir__contract_read(run, args->at[1], CONTRACT_KEY_MAX, &iterator->end);
    iterator->has_end = args->at[1] != 0;
    if (status == WEIR_OK && order != 1 && order != 2)
        status = weir__contract_fail(
            run, "Error in guest/host communication: Got an invalid value for iteration order: %d",
            order);
    iterator->is_descending = order == 2;
    if (status == WEIR_OK)
        status = weir__contract_charge(run, 0, run->host.costs->scan);
    if (status == WEIR_OK && run->iterator_count == CONTRACT_ITERATORS_MAX)
        status = weir__contract_fail(run,
                                     "Error calling into the VM's backend: Unknown error during "
                                     "call into backend: Reached iterator limit (%u)",
                                     CONTRACT_ITERATORS_MAX);
    return status;
}

enum weir_status weir__contract_iterator_add(struct weir_contract_run *run,
                                             const struct weir__contract_iterator *iterator)
{
    enum weir_status status = more_iterators(run);
    if (status != WEIR_OK)
        return status;
    run->iterators[run->iterator_count++] = *iterator;
    run->iterators_going++;
    return WEIR_OK;
}

enum weir_status weir__contract_db_scan(struct weir_contract_run *run,
                                        const struct weir__contract_args *args,
                                        uint64_t *ret_result)
{
    struct weir__contract_iterator iterator = {.start.account = run->account,
                                               .end.account = run->account};
    enum weir_status status = open_iterator(run, args, &iterator);
    *ret_result = run->iterator_count; /* from 0, as wasmvm numbers them */
    if (status == WEIR_OK)
        status = weir__contract_iterator_add(run, &iterator);
    if (status != WEIR_OK)
        iterator_done(&iterator);
    return status;
}

enum weir_status weir__contract_remember(struct weir_contract_run *run,
                                         struct weir_contract_bytes key)
{
    const struct weir_contract_storage *storage = run->host.storage;
    struct weir_contract_buffer value = {.account = run->account};
    bool is_found = false;
    if (run->iterators_going == 0 ||
        weir__before_find(run->before, key, run->iterator_count - 1) != NULL)
        return WEIR_OK;
    enum weir_status status = storage->get(storage->context, key, &is_found, &value, &run->error);
    const struct weir_contract_bytes held = weir_contract_view(&value);
    if (status == WEIR_OK)
        status = weir__before_keep(&run->before, run->account, key, is_found ? &held : NULL,
                                   run->iterator_count, &run->error);
    weir_contract_buffer_done(&value);
    return weir__contract_host_ok(run, status);
}

/* The bound that moves becomes the key just found; ascending, what follows it at once is that key
 * with a zero byte behind. */
static enum weir_status move_on(struct weir__contract_iterator *iterator,
                                struct weir_contract_bytes key, struct weir_error *error)
{
    struct weir_contract_buffer *bound =
        iterator->is_descending ? &iterator->end : &iterator->start;
    bound->size = 0;
    enum weir_status status = weir_contract_append(bound, key.data, key.size, error);
    if (status == WEIR_OK && !iterator->is_descending)
        status = weir_contract_append(bound, "", 1, error);
    if (iterator->is_descending)
        iterator->has_end = true;
    return status;
}

/* Its key was not there yet when the iterator was opened. */
static enum weir_status pass(struct weir_contract_run *run,
                             struct weir__contract_iterator *iterator,
                             const struct weir__before *record)
{
    if (++run->passed_count > CONTRACT_PASSED_MAX)
        return weir_error_set(&run->error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "iterators of one call passed over more than %u keys that were "
                              "written after they were opened",
                              CONTRACT_PASSED_MAX);
    return move_on(iterator, weir__before_key(record), &run->error);
}

static enum weir_status show(const struct weir__before *record, struct weir_contract_buffer *key,
                             struct weir_contract_buffer *value, struct weir_error *error)
{
    const struct weir_contract_bytes its_key = weir__before_key(record);
    const struct weir_contract_bytes its_value = weir__before_value(record);
    key->size = value->size = 0;
    enum weir_status status = weir_contract_append(key, its_key.data, its_key.size, error);
    return status == WEIR_OK ? weir_contract_append(value, its_value.data, its_value.size, error)
                             : status;
}

/* The next pair as it was when the iterator was opened: of what is stored now and what is kept of
 * before the one that comes first; where both have the key, before counts. */
static enum weir_status find_next(struct weir_contract_run *run, uint32_t id, bool *ret_is_found,
                                  struct weir_contract_buffer *key,
                                  struct weir_contract_buffer *value)
{
    const struct weir_contract_storage *storage = run->host.storage;
    struct weir__contract_iterator *iterator = &run->iterators[id];
    bool is_stored = false, is_asked = false;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK) {
        const struct weir_contract_range range = {.start = weir_contract_view(&iterator->start),
                                                  .end = weir_contract_view(&iterator->end),
                                                  .has_end = iterator->has_end,
                                                  .is_descending = iterator->is_descending};
        if (!is_asked) {
            key->size = value->size = 0;
            status = storage->first(storage->context, &range, &is_stored, key, value, &run->error);
        }
        if (status != WEIR_OK)
            break;
        const struct weir__before *record = weir__before_first(run->before, &range, id);
        int order = 1;
        if (record != NULL)
            order = is_stored
                        ? weir__contract_compare(weir__before_key(record), weir_contract_view(key))
                        : 0;
        bool is_record_first = range.is_descending ? order >= 0 : order <= 0;
        if (record == NULL || !is_record_first) {
            *ret_is_found = is_stored;
            return WEIR_OK;
        }
        if (record->is_there) {
            *ret_is_found = true;
            return show(record, key, value, &run->error);
        }
        status = pass(run, iterator, record);
        is_asked = order != 0 || !is_stored; /* else what is stored was passed, too */
    }
    return status;
}

enum weir_status weir__contract_iterator_next(struct weir_contract_run *run, uint32_t id,
                                              bool *ret_is_found, struct weir_contract_buffer *key,
                                              struct weir_contract_buffer *value)
{
    struct weir__contract_iterator *iterator = &run->iterators[id];
    bool is_found = false;
    enum weir_status status = WEIR_OK;
    if (!iterator->is_over)
        status = find_next(run, id, &is_found, key, value);
    if (status == WEIR_OK && is_found)
        status = move_on(iterator, weir_contract_view(key), &run->error);
    if (status == WEIR_OK && !is_found) {
        run->iterators_going -= !iterator->is_over;
        iterator->is_over = true;
    }
    *ret_is_found = is_found;
    return weir__contract_host_ok(run, status);
}

/* The next pair, charged; no pair at the end. */
static enum weir_status next(struct weir_contract_run *run, uint32_t id, bool *ret_is_found,
                             struct weir_contract_buffer *key, struct weir_contract_buffer *value)
{
    const struct weir_contract_costs *costs = run->host.costs;
    if (id >= run->iterator_count)
        return weir__contract_fail(
            run, "Error calling into the VM's backend: Iterator with ID %u does not exist", id);
    enum weir_status status = weir__contract_iterator_next(run, id, ret_is_found, key, value);
    if (status != WEIR_OK)
        return status;
    return *ret_is_found
               ? weir__contract_charge(
                     run, weir__contract_cost(costs->next_byte, key->size + value->size), 0)
               : weir__contract_charge(run, 0, costs->next_end);
}

enum next_part {
    NEXT_BOTH,
    NEXT_KEY,
    NEXT_VALUE
};

static enum weir_status give_next(struct weir_contract_run *run, uint32_t id, enum next_part part,
                                  uint64_t *ret_result)
{
    struct weir_contract_buffer key = {.account = run->account}, value = key, both = key;
    bool is_found = false;
    uint32_t pointer = 0;
    enum weir_status status = next(run, id, &is_found, &key, &value);
    if (status == WEIR_OK && part == NEXT_BOTH) {
        status = weir__contract_host_ok(
            run, weir__contract_section_append(&both, weir_contract_view(&key), &run->error));
        if (status == WEIR_OK)
            status = weir__contract_host_ok(
                run, weir__contract_section_append(&both, weir_contract_view(&value), &run->error));
    }
    const struct weir_contract_buffer *given = part == NEXT_BOTH  ? &both
                                               : part == NEXT_KEY ? &key
                                                                  : &value;
    if (status == WEIR_OK && (is_found || part == NEXT_BOTH))
        status = weir__contract_give(run, weir_contract_view(given), &pointer);
    *ret_result = pointer;
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
    weir_contract_buffer_done(&both);
    return status;
}

enum weir_status weir__contract_db_next(struct weir_contract_run *run,
                                        const struct weir__contract_args *args,
                                        uint64_t *ret_result)
{
    return give_next(run, args->at[0], NEXT_BOTH, ret_result);
}

enum weir_status weir__contract_db_next_key(struct weir_contract_run *run,
                                            const struct weir__contract_args *args,
                                            uint64_t *ret_result)
{
    return give_next(run, args->at[0], NEXT_KEY, ret_result);
}

enum weir_status weir__contract_db_next_value(struct weir_contract_run *run,
                                              const struct weir__contract_args *args,
                                              uint64_t *ret_result)
{
    return give_next(run, args->at[0], NEXT_VALUE, ret_result);
}
