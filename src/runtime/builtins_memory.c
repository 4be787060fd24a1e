/* What generated code calls for memories (docs/ABI.md, "Builtins"): bounds are checked before
 * anything is written, long operations are cut into slices, between which the guest may be stopped
 * or parked, and each slice is paid for in fuel.
 *
 * `slots` is vmctx and the operands; a routine that answers PARK leaves in them what is left to do.
 */
#include "base/bytes.h"
#include "runtime/builtins_internal.h"

static struct weir_memory *memory_at(const struct weir_vmctx *vmctx, uint64_t index)
{
    return (struct weir_memory *)(void *)vmctx->memories[index];
}

int weir__bulk_step(struct weir_store *store, uint64_t cost, bool is_last)
{
    struct weir_vm_state *state = store->state;
    if (!is_last && __atomic_load_n(&state->interrupt, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(&state->interrupt, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&state->stack_limit, store->stack->limit, __ATOMIC_SEQ_CST);
        int back = weir__events_handle(store);
        if (back != WEIR__BACK_OK)
            return back;
    }
    if (store->engine->has_fuel) {
        state->fuel -= (int64_t)cost;
        if (state->fuel < 0)
            return weir__trap_raise(store, WEIR_TRAP_FUEL);
    }
    return WEIR__BACK_OK;
}

int weir__builtin_POLL(uint64_t *slots)
{
    (void)slots; /* has a thunk of its own, which does not come here */
    WEIR_ASSERT(false);
    return WEIR__BACK_TRAP;
}

/* OK, or the hook wants the guest to end; the cause is noted then. */
static enum weir_status ask_hook(struct weir_store *store, const struct weir_memory *memory,
                                 uint64_t pages)
{
    struct weir_trap at;
    weir__store_frames(store, &at);
    const struct weir_growth growth = {.memory = memory,
                                       .old_pages = memory->vm.size_bytes / WEIR_WASM_PAGE_BYTES,
                                       .pages = pages,
                                       .frames = at.frames,
                                       .frame_count = at.frame_count};
    struct weir_error cause = {0};
    enum weir_status status = store->growth_hook(store->growth_context, &growth, &cause);
    if (status != WEIR_OK) {
        weir_error_done(&store->cause);
        weir_error_move(&store->cause, &cause);
    }
    weir_error_done(&cause);
    return status;
}

int weir__builtin_MEMORY_GROW(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_memory *memory = memory_at(vmctx, slots[1]);
    struct weir_store *store = memory->store;
    if (store->growth_hook != NULL && slots[2] != 0 && ask_hook(store, memory, slots[2]) != WEIR_OK)
        return weir__trap_raise(store, WEIR_TRAP_MEMORY_LIMIT);
    struct weir_error refused = {0};
    uint64_t old = weir_memory_grow(memory, slots[2], store->refusal == NULL ? &refused : NULL);
    weir__store_note_refusal(store, &refused);
    slots[0] = memory->is_64 ? old : (uint32_t)old;
    return WEIR__BACK_OK;
}

static uint64_t slice_of(uint64_t bytes)
{
    return bytes < WEIR_BULK_SLICE_BYTES ? bytes : WEIR_BULK_SLICE_BYTES;
}

static uint64_t cost_of(uint64_t bytes)
{
    return (bytes + WEIR_BULK_BYTES_PER_FUEL - 1) / WEIR_BULK_BYTES_PER_FUEL;
}

int weir__builtin_MEMORY_COPY(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_instance *instance = vmctx->instance;
    struct weir_store *store = instance->store;
    struct weir_memory *to = memory_at(vmctx, slots[1] & UINT32_MAX);
    struct weir_memory *from = memory_at(vmctx, slots[1] >> 32);
    if (!weir_range_fits(slots[2], slots[4], to->vm.size_bytes) ||
        !weir_range_fits(slots[3], slots[4], from->vm.size_bytes))
        return weir__trap_raise(store, WEIR_TRAP_MEMORY_BOUNDS);
    bool is_backward = to == from && slots[2] > slots[3];
    while (slots[4] != 0) {
        uint64_t slice = slice_of(slots[4]);
        uint64_t skip = is_backward ? slots[4] - slice : 0;
        int back = weir__bulk_step(store, cost_of(slice), slice == slots[4]);
        if (back != WEIR__BACK_OK)
            return back;
        if (weir__copy_guarded(to->vm.base + slots[2] + skip, from->vm.base + slots[3] + skip,
                               slice) != 0)
            return weir__trap_raise(store, WEIR_TRAP_CODE_LOST);
        slots[4] -= slice;
        if (!is_backward) {
            slots[2] += slice;
            slots[3] += slice;
        }
    }
    return WEIR__BACK_OK;
}

int weir__builtin_MEMORY_FILL(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_memory *memory = memory_at(vmctx, slots[1]);
    struct weir_store *store = memory->store;
    if (!weir_range_fits(slots[2], slots[4], memory->vm.size_bytes))
        return weir__trap_raise(store, WEIR_TRAP_MEMORY_BOUNDS);
    while (slots[4] != 0) {
        uint64_t slice = slice_of(slots[4]);
        int back = weir__bulk_step(store, cost_of(slice), slice == slots[4]);
        if (back != WEIR__BACK_OK)
            return back;
        if (weir__fill_guarded(memory->vm.base + slots[2], (uint8_t)slots[3], slice) != 0)
            return weir__trap_raise(store, WEIR_TRAP_CODE_LOST);
        slots[4] -= slice;
        slots[2] += slice;
    }
    return WEIR__BACK_OK;
}

int weir__builtin_MEMORY_INIT(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_instance *instance = vmctx->instance;
    struct weir_store *store = instance->store;
    uint32_t segment = (uint32_t)slots[1];
    struct weir_memory *memory = memory_at(vmctx, slots[1] >> 32);
    const struct weir_artifact *artifact = &instance->module->artifact;
    const struct weir_artifact_data *data = &artifact->datas[segment];
    uint64_t size = weir__bit(instance->dropped_data, segment) ? 0 : data->size;
    if (!weir_range_fits(slots[2], slots[4], memory->vm.size_bytes) ||
        !weir_range_fits(slots[3], slots[4], size))
        return weir__trap_raise(store, WEIR_TRAP_MEMORY_BOUNDS);
    while (slots[4] != 0) {
        uint64_t slice = slice_of(slots[4]);
        int back = weir__bulk_step(store, cost_of(slice), slice == slots[4]);
        if (back != WEIR__BACK_OK)
            return back;
        if (weir__copy_guarded(memory->vm.base + slots[2], artifact->data + data->bytes + slots[3],
                               slice) != 0)
            return weir__trap_raise(store, WEIR_TRAP_CODE_LOST);
        slots[4] -= slice;
        slots[2] += slice;
        slots[3] += slice;
    }
    return WEIR__BACK_OK;
}

int weir__builtin_DATA_DROP(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    struct weir_instance *instance = vmctx->instance;
    weir__bit_set(instance->dropped_data, (uint32_t)slots[1]);
    return WEIR__BACK_OK;
}
