/* Entering and leaving guest code: see boundary_internal.h for the contracts, docs/ABI.md for the
 * registers. Nothing here calls the C library, and nothing here is interrupted half-way by a trap:
 * the only instructions that can fault are the guest's own.
 */
#include "runtime/boundary_internal.h"

/* Room for a result in the boundary's frame: entry, MXCSR, state. 40 bytes of registers and these
 * 24 keep rsp aligned. */
#define FRAME_ENTRY 0
#define FRAME_MXCSR 8
#define FRAME_STATE 16
#define FRAME_SIZE 24

#define MXCSR_CONTROL 0xffc0 /* all but the sticky exception flags */
#define MXCSR_DEFAULT 0x1f80

    .section .rodata
    .balign 4
default_mxcsr:
    .long MXCSR_DEFAULT

    .text

/* Saves what C expects back and makes this the innermost boundary of the state in rdi. */
    .macro ENTER_FRAME
    pushq %rbp
    movq %rsp, %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $FRAME_SIZE, %rsp
    movq %rsi, FRAME_ENTRY(%rsp)
    movq %rdi, FRAME_STATE(%rsp)
    stmxcsr FRAME_MXCSR(%rsp)
    movl FRAME_MXCSR(%rsp), %eax
    andl $MXCSR_CONTROL, %eax
    cmpl $MXCSR_DEFAULT, %eax
    je 1f
    ldmxcsr default_mxcsr(%rip)
1:
    movq %rsp, WEIR__STATE_HOST_SP(%rdi)
    .endm

    .macro FUNCTION name
    .globl \name
    .hidden \name
    .type \name, @function
    .balign 16
\name:
    .endm

FUNCTION weir__boundary_enter
    ENTER_FRAME
    movq %rdi, %rbx
    movq %rdx, %rsp
    xorl %ebp, %ebp /* the chain of guest frames ends here */
    cmpq $0, WEIR__ENTRY_HAS_FLOATS(%rsi)
    je 2f
    movups WEIR__ENTRY_FLOATS(%rsi), %xmm0
    movups WEIR__ENTRY_FLOATS+16(%rsi), %xmm1
    movups WEIR__ENTRY_FLOATS+32(%rsi), %xmm2
    movups WEIR__ENTRY_FLOATS+48(%rsi), %xmm3
    movups WEIR__ENTRY_FLOATS+64(%rsi), %xmm4
    movups WEIR__ENTRY_FLOATS+80(%rsi), %xmm5
    movups WEIR__ENTRY_FLOATS+96(%rsi), %xmm6
    movups WEIR__ENTRY_FLOATS+112(%rsi), %xmm7
2:
    movq WEIR__ENTRY_CODE(%rsi), %r11
    movq WEIR__ENTRY_INTS(%rsi), %rdi
    movq WEIR__ENTRY_INTS+16(%rsi), %rdx
    movq WEIR__ENTRY_INTS+24(%rsi), %rcx
    movq WEIR__ENTRY_INTS+32(%rsi), %r8
    movq WEIR__ENTRY_INTS+40(%rsi), %r9
    movq WEIR__ENTRY_INTS+8(%rsi), %rsi
    call *%r11
    /* rbx is the guest's to preserve, so it still is the state, on whatever thread this is now. */
    movq WEIR__STATE_HOST_SP(%rbx), %rsp
    movq FRAME_ENTRY(%rsp), %rcx
    movq %rax, WEIR__ENTRY_RAX(%rcx)
    movups %xmm0, WEIR__ENTRY_XMM0(%rcx)
    xorl %eax, %eax

/* rsp = host_sp, eax = the answer. */
leave_boundary:
    movl FRAME_MXCSR(%rsp), %ecx
    movl %ecx, %edx
    andl $MXCSR_CONTROL, %edx
    cmpl $MXCSR_DEFAULT, %edx
    je 3f
    ldmxcsr FRAME_MXCSR(%rsp)
3:
    addq $FRAME_SIZE, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size weir__boundary_enter, .-weir__boundary_enter

FUNCTION weir__boundary_trap
    movl $WEIR__BACK_TRAP, %eax
    jmp leave_boundary
    .size weir__boundary_trap, .-weir__boundary_trap

/* The parked side left its own way back on top of the guest's stack; it wants the state in r10. */
FUNCTION weir__boundary_resume
    ENTER_FRAME
    movq %rdi, %r10
    movq WEIR__STATE_GUEST_SP(%rdi), %rsp
    ret
    .size weir__boundary_resume, .-weir__boundary_resume

/* Guest side of a park: rsp is the guest's, r10 the state, the way back is on top. */
park:
    movq %rsp, WEIR__STATE_GUEST_SP(%r10)
    movq WEIR__STATE_HOST_SP(%r10), %rsp
    movl $WEIR__BACK_PARK, %eax
    jmp leave_boundary

    .macro PUSH_PRESERVED
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    .macro POP_PRESERVED
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    .endm

/* After `push rbp; mov rbp, rsp`: where the guest stands while host code runs. */
    .macro NOTE_GUEST
    movq 8(%rbp), %rax
    movq %rax, WEIR__STATE_GUEST_PC(%r10)
    movq (%rbp), %rax
    movq %rax, WEIR__STATE_GUEST_FP(%r10)
    movq %rsp, WEIR__STATE_GUEST_SP(%r10)
    .endm

FUNCTION weir__host_stub
    pushq %rbp
    movq %rsp, %rbp
    subq $WEIR__FRAME_SIZE, %rsp
    movq (%rdi), %r10
    movq %rsi, (%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 32(%rsp)
    movq %r8, 48(%rsp)
    movq %r9, 64(%rsp)
    cmpq $0, WEIR__BINDING_HAS_FLOATS(%rdi)
    je 1f
    movups %xmm0, WEIR__FRAME_FLOATS(%rsp)
    movups %xmm1, WEIR__FRAME_FLOATS+16(%rsp)
    movups %xmm2, WEIR__FRAME_FLOATS+32(%rsp)
    movups %xmm3, WEIR__FRAME_FLOATS+48(%rsp)
    movups %xmm4, WEIR__FRAME_FLOATS+64(%rsp)
    movups %xmm5, WEIR__FRAME_FLOATS+80(%rsp)
    movups %xmm6, WEIR__FRAME_FLOATS+96(%rsp)
    movups %xmm7, WEIR__FRAME_FLOATS+112(%rsp)
1:
    NOTE_GUEST
    movq %rsp, %rsi
    movq WEIR__STATE_HOST_SP(%r10), %rsp
    call weir__host_dispatch
    movq FRAME_STATE(%rsp), %r10
    testl %eax, %eax
    jne 3f
    movq WEIR__STATE_GUEST_SP(%r10), %rsp
2:
    movq (%rsp), %rax
    movups WEIR__FRAME_FLOATS(%rsp), %xmm0
    addq $WEIR__FRAME_SIZE, %rsp
    popq %rbp
    ret
3:
    cmpl $WEIR__BACK_TRAP, %eax
    je leave_boundary
    movq WEIR__STATE_GUEST_SP(%r10), %rsp
    PUSH_PRESERVED
    leaq 4f(%rip), %rax
    pushq %rax
    jmp park
4:
    POP_PRESERVED
    jmp 2b
    .size weir__host_stub, .-weir__host_stub

/* Keeps every register but rsp's neighbourhood and the flags: 14 general ones, 16 vectors. */
FUNCTION weir__thunk_POLL
    pushq %rbp
    movq %rsp, %rbp
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $256, %rsp
    movups %xmm0, (%rsp)
    movups %xmm1, 16(%rsp)
    movups %xmm2, 32(%rsp)
    movups %xmm3, 48(%rsp)
    movups %xmm4, 64(%rsp)
    movups %xmm5, 80(%rsp)
    movups %xmm6, 96(%rsp)
    movups %xmm7, 112(%rsp)
    movups %xmm8, 128(%rsp)
    movups %xmm9, 144(%rsp)
    movups %xmm10, 160(%rsp)
    movups %xmm11, 176(%rsp)
    movups %xmm12, 192(%rsp)
    movups %xmm13, 208(%rsp)
    movups %xmm14, 224(%rsp)
    movups %xmm15, 240(%rsp)
    movq weir__current@GOTTPOFF(%rip), %rax
    movq %fs:(%rax), %rax
    movq WEIR__ACTIVATION_STATE(%rax), %r10
    NOTE_GUEST
    movq %r10, %rdi
    movq WEIR__STATE_HOST_SP(%r10), %rsp
    call weir__poll
    movq FRAME_STATE(%rsp), %r10
    cmpl $WEIR__BACK_TRAP, %eax
    je leave_boundary
    movq WEIR__STATE_GUEST_SP(%r10), %rsp
    testl %eax, %eax
    je 1f
    leaq 1f(%rip), %rax
    pushq %rax
    jmp park
1:
    movups (%rsp), %xmm0
    movups 16(%rsp), %xmm1
    movups 32(%rsp), %xmm2
    movups 48(%rsp), %xmm3
    movups 64(%rsp), %xmm4
    movups 80(%rsp), %xmm5
    movups 96(%rsp), %xmm6
    movups 112(%rsp), %xmm7
    movups 128(%rsp), %xmm8
    movups 144(%rsp), %xmm9
    movups 160(%rsp), %xmm10
    movups 176(%rsp), %xmm11
    movups 192(%rsp), %xmm12
    movups 208(%rsp), %xmm13
    movups 224(%rsp), %xmm14
    movups 240(%rsp), %xmm15
    addq $256, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    popq %rbp
    ret
    .size weir__thunk_POLL, .-weir__thunk_POLL

/* All other builtins: five slots of arguments and the routine on the guest's stack. */
    .macro THUNK name
FUNCTION weir__thunk_\name
    leaq weir__builtin_\name(%rip), %rax
    jmp builtin
    .size weir__thunk_\name, .-weir__thunk_\name
    .endm

    .balign 16
builtin:
    pushq %rbp
    movq %rsp, %rbp
    subq $48, %rsp
    movq (%rdi), %r10
    movq %rdi, (%rsp)
    movq %rsi, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 24(%rsp)
    movq %r8, 32(%rsp)
    movq %rax, 40(%rsp)
    NOTE_GUEST
1:
    movq %rsp, %rdi
    movq 40(%rsp), %rax
    movq WEIR__STATE_HOST_SP(%r10), %rsp
    call *%rax
    movq FRAME_STATE(%rsp), %r10
    cmpl $WEIR__BACK_TRAP, %eax
    je leave_boundary
    movq WEIR__STATE_GUEST_SP(%r10), %rsp
    testl %eax, %eax
    jne 2f
    movq (%rsp), %rax
    addq $48, %rsp
    popq %rbp
    ret
2:
    PUSH_PRESERVED
    leaq 3f(%rip), %rax
    pushq %rax
    jmp park
3:
    POP_PRESERVED
    movq %rsp, WEIR__STATE_GUEST_SP(%r10)
    jmp 1b

THUNK MEMORY_GROW
THUNK MEMORY_COPY
THUNK MEMORY_FILL
THUNK MEMORY_INIT
THUNK DATA_DROP
THUNK TABLE_GROW
THUNK TABLE_FILL
THUNK TABLE_COPY
THUNK TABLE_INIT
THUNK ELEM_DROP
THUNK TRAP

    .section .data.rel.ro, "aw"
    .globl weir__builtin_thunks
    .hidden weir__builtin_thunks
    .type weir__builtin_thunks, @object
    .balign 8
weir__builtin_thunks:
#define WEIR_BUILTIN(id, args, result) .quad weir__thunk_##id;
#include "artifact/builtins.def"
#undef WEIR_BUILTIN
    .size weir__builtin_thunks, .-weir__builtin_thunks

    .section .note.GNU-stack, "", @progbits
