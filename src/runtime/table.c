/* Tables: elements at an address that never moves. One that cannot grow and is small lies in its
 * store's arena; any other has a mapping for its whole limit, opened and charged as it grows.
 */
#include <sys/mman.h>

#include <weir/extern.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "runtime/store_internal.h"

#define SYSTEM_PAGE UINT64_C(4096)

static enum weir_status refuse_size(uint64_t elements, uint64_t limit, struct weir_error *error)
{
    return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                          "a table of %llu elements is over the limit of %llu for a single table",
                          (unsigned long long)elements, (unsigned long long)limit);
}

/* Opens and charges room for `elements`. */
static enum weir_status open_elements(struct weir_table *table, uint64_t elements,
                                      struct weir_error *error)
{
    uint64_t wanted = weir_align_up(elements * sizeof(void *), SYSTEM_PAGE);
    uint64_t have = table->accessible_bytes;
    if (wanted <= have || table->mapping.base == NULL)
        return WEIR_OK;
    struct weir_account *account = table->store->account;
    enum weir_status status = weir_account_charge(account, WEIR_KIND_TABLE, wanted - have, error);
    if (status != WEIR_OK)
        return status;
    if (mprotect(table->mapping.base + have, wanted - have, PROT_READ | PROT_WRITE) != 0) {
        weir_account_discharge(account, WEIR_KIND_TABLE, wanted - have);
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "the system refused %llu more bytes of table",
                              (unsigned long long)(wanted - have));
    }
    weir__census_begin(&table->store->mark);
    table->accessible_bytes = wanted;
    weir__census_end(&table->store->mark);
    return WEIR_OK;
}

enum weir_status weir__table_close(struct weir_table *table, struct weir_error *error)
{
    uint64_t keep = weir_align_up(table->min * sizeof(void *), SYSTEM_PAGE);
    uint64_t have = table->accessible_bytes;
    if (have <= keep)
        return WEIR_OK;
    uint8_t *from = table->mapping.base + keep;
    if (madvise(from, have - keep, MADV_DONTNEED) != 0 ||
        mprotect(from, have - keep, PROT_NONE) != 0)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                              "the system kept pages that a table had grown by");
    table->accessible_bytes = keep;
    weir_account_discharge(table->store->account, WEIR_KIND_TABLE, have - keep);
    return WEIR_OK;
}

static enum weir_status place_elements(struct weir_table *table, struct weir_error *error)
{
    uint64_t bytes = table->limit * sizeof(void *);
    if (table->limit == table->min && bytes <= WEIR_TABLE_INLINE_BYTES) {
        table->vm.elements = weir__store_alloc(table->store, bytes, error);
        return table->vm.elements != NULL ? WEIR_OK : weir_error_refused(error);
    }
    enum weir_status status =
        weir_mapping_reserve(table->store->account, WEIR_KIND_TABLE,
                             weir_align_up(bytes, SYSTEM_PAGE), 2, &table->mapping, error);
    if (status != WEIR_OK)
        return status;
    table->vm.elements = (void **)(void *)table->mapping.base;
    return open_elements(table, table->min, error);
}

enum weir_status weir__table_new(struct weir_store *store, enum weir_type element,
                                 const struct weir_limits *limits, struct weir_table **ret_table,
                                 struct weir_error *error)
{
    uint64_t limit = store->table_elements_max;
    if (limits->min > limit)
        return refuse_size(limits->min, limit, error);
    if (limits->has_max && limits->max < limit)
        limit = limits->max;
    struct weir_table made = {.store = store,
                              .element = element,
                              .min = limits->min,
                              .limit = limit,
                              .max = limits->max,
                              .has_max = limits->has_max,
                              .is_64 = limits->is_64,
                              .vm = {.size = limits->min}};
    enum weir_status status = place_elements(&made, error);
    struct weir_table *table =
        status == WEIR_OK ? weir__store_alloc(store, sizeof *table, error) : NULL;
    if (table == NULL) {
        weir__table_free(&made);
        return status != WEIR_OK ? status : weir_error_refused(error);
    }
    *table = made;
    table->made_ns = weir_clock_ns();
    weir__census_begin(&store->mark);
    table->next = store->tables;
    store->tables = table;
    weir__census_end(&store->mark);
    *ret_table = table;
    return WEIR_OK;
}

void weir__table_forget_undo(struct weir_table *table)
{
    if (table->undo != NULL)
        weir_account_free(table->store->account, WEIR_KIND_IMAGE, table->undo,
                          table->min * sizeof(void *));
    table->undo = NULL;
}

void weir__table_free(struct weir_table *table)
{
    weir_account_discharge(table->store->account, WEIR_KIND_TABLE, table->accessible_bytes);
    table->accessible_bytes = 0;
    weir__table_forget_undo(table);
    if (table->spare != NULL)
        weir_account_free(table->store->account, WEIR_KIND_IMAGE, table->spare,
                          table->spare_count * sizeof(void *));
    table->spare = NULL;
    weir_mapping_free(&table->mapping);
}

uint64_t weir__table_grow(struct weir_table *table, void *value, uint64_t count,
                          struct weir_error *error)
{
    uint64_t old = table->vm.size;
    if (count > table->limit - old) {
        uint64_t wanted;
        if (!weir_add_u64(old, count, &wanted))
            wanted = UINT64_MAX;
        (void)refuse_size(wanted, table->limit, error);
        return UINT64_MAX;
    }
    if (open_elements(table, old + count, error) != WEIR_OK)
        return UINT64_MAX;
    for (uint64_t i = old; i < old + count; i++)
        table->vm.elements[i] = value;
    table->vm.size = old + count;
    table->vm.is_dirty = 1;
    return old;
}

enum weir_status weir_table_new(struct weir_store *store, enum weir_type element,
                                const struct weir_limits *limits, struct weir_table **ret_table,
                                struct weir_error *error)
{
    if (limits->has_max && limits->max < limits->min)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a table's maximum is below its minimum");
    if (element != WEIR_TYPE_FUNCREF && element != WEIR_TYPE_EXTERNREF)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a table's elements are references, not of type 0x%x",
                              (unsigned)element);
    return weir__table_new(store, element, limits, ret_table, error);
}

enum weir_type weir_table_type(const struct weir_table *table, struct weir_limits *ret_limits)
{
    if (ret_limits != NULL)
        *ret_limits = (struct weir_limits){.min = table->vm.size,
                                           .max = table->max,
                                           .has_max = table->has_max,
                                           .is_64 = table->is_64};
    return table->element;
}

uint64_t weir_table_grow(struct weir_table *table, uint64_t count, void *ref,
                         struct weir_error *error)
{
    if (!weir__ref_fits(table->store, table->element, ref)) {
        (void)weir__refuse_ref(error);
        return UINT64_MAX;
    }
    return weir__table_grow(table, ref, count, error);
}

uint64_t weir_table_size(const struct weir_table *table)
{
    return table->vm.size;
}

enum weir_status weir_table_get(const struct weir_table *table, uint64_t index, void **ret_ref)
{
    if (index >= table->vm.size)
        return WEIR_INVALID_ARGUMENT;
    *ret_ref = table->vm.elements[index];
    return WEIR_OK;
}

enum weir_status weir_table_set(struct weir_table *table, uint64_t index, void *ref)
{
    if (index >= table->vm.size || !weir__ref_fits(table->store, table->element, ref))
        return WEIR_INVALID_ARGUMENT;
    table->vm.elements[index] = ref;
    table->vm.is_dirty = 1;
    return WEIR_OK;
}
