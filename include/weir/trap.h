/* Traps: a guest's end that is a result, not an error (STYLE: Errors). */
#ifndef WEIR_TRAP_H
#define WEIR_TRAP_H

#include <weir/error.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_TRAP_FRAMES_MAX 64
#define WEIR_TRAP_NAME_SIZE 80

enum weir_trap_code {
#define WEIR_TRAP(id, name, text) WEIR_TRAP_##id,
#include <weir/trap.def>
#undef WEIR_TRAP
    WEIR_TRAP_COUNT
};

struct weir_module;

struct weir_trap_frame {
    uint32_t func_index;
    uint32_t module_offset; /* of the instruction, from the module's first byte */
    uint32_t func_offset;   /* of the same, from the first byte of the function's body */
    /* Whose code; valid while an instance of it lives in the store. */
    const struct weir_module *code;
    /* From the name section or an export, control characters as '?'; "func 7" without. */
    char function[WEIR_TRAP_NAME_SIZE];
    char module[WEIR_TRAP_NAME_SIZE];
};

/* Filled by the call that trapped; plain data, no release needed except message's details. */
struct weir_trap {
    int code;      /* enum weir_trap_code: weir_trap_name(), weir_trap_text() */
    int exit_code; /* WEIR_TRAP_EXIT: what the guest said */
    size_t frame_count; /* innermost first */
    size_t frames_left_out;
    struct weir_trap_frame frames[WEIR_TRAP_FRAMES_MAX];
    struct weir_error cause; /* host functions and limits: why; release with weir_trap_done() */
};

void weir_trap_done(struct weir_trap *trap);
const char *weir_trap_name(int code);
const char *weir_trap_text(int code);

#ifdef __cplusplus
}
#endif
#endif
