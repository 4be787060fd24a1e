/* Traps as results: their names, noting why, and the backtrace (docs/ABI.md, "Frames").
 *
 * A backtrace walks rbp on the guest's stack. The innermost activation starts where the signal was
 * taken or where the guest called into the host; outer activations where they called the host.
 * Every step is checked to go upwards inside the stack, so a broken chain ends the walk.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/store_internal.h"

static const struct {
    const char *name;
    const char *text;
} traps[] = {
#define WEIR_TRAP(id, name, text) {name, text},
#include <weir/trap.def>
#undef WEIR_TRAP
};

const char *weir_trap_name(int code)
{
    return code >= 0 && code < WEIR_TRAP_COUNT ? traps[code].name : "unknown";
}

const char *weir_trap_text(int code)
{
    return code >= 0 && code < WEIR_TRAP_COUNT ? traps[code].text : "unknown trap";
}

void weir_trap_done(struct weir_trap *trap)
{
    if (trap == NULL)
        return;
    weir_error_done(&trap->cause);
    trap->code = WEIR_TRAP_NONE;
    trap->frame_count = 0;
    trap->frames_left_out = 0;
}

int weir__trap_raise(struct weir_store *store, enum weir_trap_code code)
{
    struct weir__activation *activation = store->active;
    activation->trap_pc = store->state->guest_pc;
    activation->trap_fp = store->state->guest_fp;
    activation->trap_code = code;
    return WEIR__BACK_TRAP;
}

/* Generated code of the no-signals form called it; the return address is the site. A place that is
 * none is a bug, and must not be hidden. */
int weir__builtin_TRAP(uint64_t *slots)
{
    const struct weir_vmctx *vmctx = (const struct weir_vmctx *)slots[0];
    const struct weir_instance *instance = vmctx->instance;
    struct weir__code_place place = {.code = WEIR_TRAP_CODE_LOST};
    enum weir__lookup lookup =
        weir__code_place(&instance->module->code, vmctx->state->guest_pc, &place);
    WEIR_ASSERT(lookup != WEIR__LOOKUP_NONE && place.code != WEIR_TRAP_NONE &&
                place.code != WEIR_SITE_CALL);
    return weir__trap_raise(instance->store, (enum weir_trap_code)place.code);
}

bool weir__code_frame(uint64_t pc, struct weir_trap_frame *frame)
{
    const struct weir__code_range *range = weir__code_find(pc);
    if (range == NULL && pc != 0)
        range = weir__code_find(pc - 1); /* the last instruction of a module was a call */
    if (range == NULL)
        return false; /* a stub of the runtime */
    struct weir__code_place place = {0};
    (void)snprintf(frame->module, sizeof frame->module, "%s", range->module->name);
    frame->code = range->module;
    if (weir__code_place(range, pc, &place) != WEIR__LOOKUP_FOUND) {
        frame->func_index = UINT32_MAX;
        frame->module_offset = 0;
        frame->func_offset = 0;
        (void)snprintf(frame->function, sizeof frame->function, "(lost)");
    } else {
        frame->func_index = place.func_index;
        frame->module_offset = place.module_offset;
        frame->func_offset = place.func_offset;
        weir__code_name(range->module, place.func_index, frame->function, sizeof frame->function);
    }
    return true;
}

static void add_frame(struct weir_trap *trap, uint64_t pc)
{
    struct weir_trap_frame beyond;
    bool is_full = trap->frame_count == WEIR_TRAP_FRAMES_MAX;
    if (!weir__code_frame(pc, is_full ? &beyond : &trap->frames[trap->frame_count]))
        return;
    if (is_full)
        trap->frames_left_out++;
    else
        trap->frame_count++;
}

static void walk(const struct weir__stack *stack, struct weir_trap *trap, uint64_t pc, uint64_t fp)
{
    add_frame(trap, pc);
    uint64_t low = (uint64_t)stack->mapping.base + WEIR_STACK_GUARD_BYTES;
    while (fp != 0 && fp >= low && fp <= stack->top - 16 && fp % 8 == 0) {
        uint64_t pair[2];
        memcpy(pair, (const void *)fp, sizeof pair);
        if (pair[0] == 0)
            break; /* the boundary's */
        add_frame(trap, pair[1]);
        low = fp + 16;
        fp = pair[0];
    }
}

void weir__store_frames(const struct weir_store *store, struct weir_trap *trap)
{
    trap->frame_count = 0;
    trap->frames_left_out = 0;
    if (store->stack != NULL)
        walk(store->stack, trap, store->state->guest_pc, store->state->guest_fp);
}

static void report(struct weir_store *store, uint32_t code, struct weir_error *error)
{
    const char *text = weir_trap_text((int)code);
    if (store->cause.status != WEIR_OK)
        (void)weir_error_set(error, WEIR_TRAP, WEIR_NO_OFFSET, "%s: %s", text,
                             store->cause.message);
    else
        (void)weir_error_set(error, WEIR_TRAP, WEIR_NO_OFFSET, "%s", text);
}

void weir__trap_fill(struct weir_store *store, const struct weir__activation *activation,
                     struct weir_trap *trap, struct weir_error *error)
{
    report(store, activation->trap_code, error);
    store->is_torn = true;
    if (trap != NULL) {
        memset(trap, 0, sizeof *trap);
        trap->code = (int)activation->trap_code;
        trap->exit_code = activation->trap_code == WEIR_TRAP_EXIT ? store->exit_code : 0;
        if (store->stack != NULL)
            walk(store->stack, trap, activation->trap_pc, activation->trap_fp);
        for (const struct weir__activation *at = activation; at->outer_in_store != NULL;
             at = at->outer_in_store)
            walk(store->stack, trap, at->saved_guest_pc, at->saved_guest_fp);
        weir_error_move(&trap->cause, &store->cause);
    }
    weir_error_done(&store->cause);
    store->said_code = WEIR_TRAP_NONE;
    store->exit_code = 0;
}
