/* The one place where host code enters guest code (DESIGN law 10), shared between C and assembly:
 * register images, frames, and what the assembly routines promise. docs/ABI.md has the convention.
 *
 * Stacks: weir__boundary_enter() leaves the thread's stack for the guest's and comes back when the
 * guest returns, traps or parks. Host functions, builtins and polls run on the thread's stack,
 * right below the boundary's frame, whose address is state->host_sp. The frame holds the entry
 * (offset 0), the caller's MXCSR (8) and the state (16).
 */
#ifndef WEIR_RUNTIME_BOUNDARY_INTERNAL_H
#define WEIR_RUNTIME_BOUNDARY_INTERNAL_H

/* What the boundary answers, and what routines called from a thunk answer to it. */
#define WEIR__BACK_OK 0
#define WEIR__BACK_TRAP 1
#define WEIR__BACK_PARK 2

#define WEIR__STATE_HOST_SP 0x18
#define WEIR__STATE_GUEST_SP 0x20
#define WEIR__STATE_GUEST_FP 0x28
#define WEIR__STATE_GUEST_PC 0x30

#define WEIR__ENTRY_CODE 0
#define WEIR__ENTRY_INTS 8
#define WEIR__ENTRY_HAS_FLOATS 56
#define WEIR__ENTRY_FLOATS 64
#define WEIR__ENTRY_RAX 192
#define WEIR__ENTRY_XMM0 208

#define WEIR__FRAME_FLOATS 80
#define WEIR__FRAME_SIZE 208

#define WEIR__BINDING_HAS_FLOATS 8
#define WEIR__ACTIVATION_STATE 0

#ifndef __ASSEMBLER__

#include "artifact/abi.h"

/* Registers at the entry of a guest function, and those of its result. */
struct weir__entry {
    const void *code;
    uint64_t ints[6]; /* rdi rsi rdx rcx r8 r9 */
    uint64_t has_floats;
    union weir_value floats[WEIR_ABI_FLOAT_ARGS];
    uint64_t rax;
    uint64_t reserved;
    union weir_value xmm0;
};

/* What the host stub leaves on the guest's stack; results go back through it: ints[0], floats[0].
 * The integers lie as a host function of integers only wants its arguments. */
struct weir__host_frame {
    union weir_value ints[WEIR_ABI_INT_ARGS];
    union weir_value floats[WEIR_ABI_FLOAT_ARGS];
};

static_assert(offsetof(struct weir__entry, ints) == WEIR__ENTRY_INTS, "assembly");
static_assert(offsetof(struct weir__entry, has_floats) == WEIR__ENTRY_HAS_FLOATS, "assembly");
static_assert(offsetof(struct weir__entry, floats) == WEIR__ENTRY_FLOATS, "assembly");
static_assert(offsetof(struct weir__entry, rax) == WEIR__ENTRY_RAX, "assembly");
static_assert(offsetof(struct weir__entry, xmm0) == WEIR__ENTRY_XMM0, "assembly");
static_assert(offsetof(struct weir__host_frame, floats) == WEIR__FRAME_FLOATS, "assembly");
static_assert(sizeof(struct weir__host_frame) == WEIR__FRAME_SIZE, "assembly");
static_assert(offsetof(struct weir_vm_state, host_sp) == WEIR__STATE_HOST_SP, "assembly");
static_assert(offsetof(struct weir_vm_state, guest_sp) == WEIR__STATE_GUEST_SP, "assembly");
static_assert(offsetof(struct weir_vm_state, guest_fp) == WEIR__STATE_GUEST_FP, "assembly");
static_assert(offsetof(struct weir_vm_state, guest_pc) == WEIR__STATE_GUEST_PC, "assembly");

/* Calls entry->code on the stack that ends at guest_sp (16-byte aligned). */
int weir__boundary_enter(struct weir_vm_state *state, struct weir__entry *entry, uint64_t guest_sp);
/* Goes on where WEIR__BACK_PARK was answered; state->guest_sp is as it was then. */
int weir__boundary_resume(struct weir_vm_state *state, struct weir__entry *entry);
/* Where the signal handler sends a trapping guest, with rsp = state->host_sp: the boundary answers
 * WEIR__BACK_TRAP. Not callable from C. */
void weir__boundary_trap(void);

/* Code of every host function, as guests see it (not callable from C); its vmctx is a struct
 * weir__binding. */
extern const char weir__host_stub[];

/* Builtin thunks by enum weir_builtin: what vmctx->builtins points to. */
extern const void *const weir__builtin_thunks[WEIR_BUILTIN_COUNT];

/* The other ends of stub and thunks; they answer WEIR__BACK_*. */
struct weir__binding;
int weir__host_dispatch(struct weir__binding *binding, struct weir__host_frame *frame);
int weir__poll(struct weir_vm_state *state);
/* args: vmctx, then the builtin's own. The result replaces args[0]. PARK means: park now, and call
 * again with the args as they stand. */
#define WEIR_BUILTIN(id, args, result) int weir__builtin_##id(uint64_t *slots);
#include "artifact/builtins.def"
#undef WEIR_BUILTIN

/* Copies that survive a fault on either side: 0, or 1 when a page was not there (some bytes may be
 * copied then). Ranges may overlap. */
int weir__copy_guarded(void *to, const void *from, size_t size);
int weir__fill_guarded(void *to, uint8_t value, size_t size);
/* The range of those two routines' code, and where a fault in it goes on. */
extern const char weir__copy_begin[], weir__copy_end[], weir__copy_fault[];

#endif
#endif
