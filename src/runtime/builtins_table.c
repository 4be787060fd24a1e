/* What generated code calls for tables. The same rules as for memories (builtins_memory.c); every
 * write marks the table dirty, so that a reset knows. */
#include "base/bytes.h"
#include "runtime/builtins_internal.h"

static struct weir_table *table_at(const struct weir_vmctx *vmctx, uint64_t index)
{
    return (struct weir_table *)(void *)vmctx->tables[index];
}

static uint64_t slice_of(uint64_t count)
{
    return count < WEIR_BULK_SLICE_ELEMENTS ? count : WEIR_BULK_SLICE_ELEMENTS;
}

int weir__builtin_TABLE_GROW(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_table *table = table_at(vmctx, slots[1]);
    struct weir_store *store = table->store;
    struct weir_error refused = {0};
    uint64_t old = weir__table_grow(table, (void *)slots[2], slots[3],
                                    store->refusal == NULL ? &refused : NULL);
    weir__store_note_refusal(store, &refused);
    if (old != UINT64_MAX) {
        int back = weir__bulk_step(store, slots[3], true);
        if (back != WEIR__BACK_OK)
            return back;
    }
    slots[0] = table->is_64 ? old : (uint32_t)old;
    return WEIR__BACK_OK;
}

int weir__builtin_TABLE_FILL(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_table *table = table_at(vmctx, slots[1]);
    struct weir_store *store = table->store;
    if (!weir_range_fits(slots[2], slots[4], table->vm.size))
        return weir__trap_raise(store, WEIR_TRAP_TABLE_BOUNDS);
    while (slots[4] != 0) {
        uint64_t slice = slice_of(slots[4]);
        int back = weir__bulk_step(store, slice, slice == slots[4]);
        if (back != WEIR__BACK_OK)
            return back;
        for (uint64_t i = 0; i < slice; i++)
            table->vm.elements[slots[2] + i] = (void *)slots[3];
        table->vm.is_dirty = 1;
        slots[2] += slice;
        slots[4] -= slice;
    }
    return WEIR__BACK_OK;
}

int weir__builtin_TABLE_COPY(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_table *to = table_at(vmctx, slots[1] & UINT32_MAX);
    struct weir_table *from = table_at(vmctx, slots[1] >> 32);
    struct weir_store *store = to->store;
    if (!weir_range_fits(slots[2], slots[4], to->vm.size) ||
        !weir_range_fits(slots[3], slots[4], from->vm.size))
        return weir__trap_raise(store, WEIR_TRAP_TABLE_BOUNDS);
    bool is_backward = to == from && slots[2] > slots[3];
    while (slots[4] != 0) {
        uint64_t slice = slice_of(slots[4]);
        uint64_t skip = is_backward ? slots[4] - slice : 0;
        int back = weir__bulk_step(store, slice, slice == slots[4]);
        if (back != WEIR__BACK_OK)
            return back;
        memmove(&to->vm.elements[slots[2] + skip], &from->vm.elements[slots[3] + skip],
                slice * sizeof(void *));
        to->vm.is_dirty = 1;
        slots[4] -= slice;
        if (!is_backward) {
            slots[2] += slice;
            slots[3] += slice;
        }
    }
    return WEIR__BACK_OK;
}

int weir__builtin_TABLE_INIT(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_instance *instance = vmctx->instance;
    struct weir_store *store = instance->store;
    uint32_t segment = (uint32_t)slots[1];
    struct weir_table *table = table_at(vmctx, slots[1] >> 32);
    const struct weir_artifact_elem *elem = &instance->module->artifact.elems[segment];
    uint64_t size = weir__bit(instance->dropped_elems, segment) ? 0 : elem->count;
    if (!weir_range_fits(slots[2], slots[4], table->vm.size) ||
        !weir_range_fits(slots[3], slots[4], size))
        return weir__trap_raise(store, WEIR_TRAP_TABLE_BOUNDS);
    while (slots[4] != 0) {
        uint64_t slice = slice_of(slots[4]);
        int back = weir__bulk_step(store, slice, slice == slots[4]);
        if (back != WEIR__BACK_OK)
            return back;
        for (uint64_t i = 0; i < slice; i++)
            table->vm.elements[slots[2] + i] =
                weir__elem_item(instance, elem->first + (uint32_t)(slots[3] + i));
        table->vm.is_dirty = 1;
        slots[2] += slice;
        slots[3] += slice;
        slots[4] -= slice;
    }
    return WEIR__BACK_OK;
}

int weir__builtin_ELEM_DROP(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_instance *instance = vmctx->instance;
    weir__bit_set(instance->dropped_elems, (uint32_t)slots[1]);
    return WEIR__BACK_OK;
}
