/* abi_enter(code, regs): calls a function of docs/ABI.md with exactly the registers in regs and
 * writes back what it left behind; the offsets are those of struct abi_regs. Returns 0, or 1 when a
 * signal handler has sent the thread to abi_landing. Not reentrant: one call at a time. */
        .text
        .globl  abi_enter, abi_enter_start, abi_landing, abi_enter_end, abi_poll
        .type   abi_enter, @function
        .type   abi_poll, @function
abi_enter:
abi_enter_start:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rsi                    /* regs; rsp is 16-byte aligned now */
        mov     %rsp, abi_host_sp(%rip)
        mov     %rdi, %rax
        mov     %rsi, %r10
        mov     0x00(%r10), %rdi
        mov     0x08(%r10), %rsi
        mov     0x10(%r10), %rdx
        mov     0x18(%r10), %rcx
        mov     0x20(%r10), %r8
        mov     0x28(%r10), %r9
        movups  0x30(%r10), %xmm0
        movups  0x40(%r10), %xmm1
        movups  0x50(%r10), %xmm2
        movups  0x60(%r10), %xmm3
        movups  0x70(%r10), %xmm4
        movups  0x80(%r10), %xmm5
        movups  0x90(%r10), %xmm6
        movups  0xa0(%r10), %xmm7
        mov     0xb0(%r10), %rbx
        mov     0xb8(%r10), %rbp
        mov     0xc0(%r10), %r12
        mov     0xc8(%r10), %r13
        mov     0xd0(%r10), %r14
        mov     0xd8(%r10), %r15
        call    *%rax
        /* rsp must be what it was: the comparison is kept, not the value. */
        mov     %rsp, %r11
        mov     abi_host_sp(%rip), %rsp
        mov     (%rsp), %r10
        sub     %rsp, %r11
        mov     %r11, 0xe0(%r10)
        mov     %rax, 0x08(%r10)
        movups  %xmm0, 0x30(%r10)
        mov     %rbx, 0xb0(%r10)
        mov     %rbp, 0xb8(%r10)
        mov     %r12, 0xc0(%r10)
        mov     %r13, 0xc8(%r10)
        mov     %r14, 0xd0(%r10)
        mov     %r15, 0xd8(%r10)
        xor     %eax, %eax
        jmp     1f
abi_landing:
        mov     abi_host_sp(%rip), %rsp
        mov     $1, %eax
1:      pop     %rsi
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
abi_enter_end:
        .size   abi_enter, . - abi_enter

/* The POLL builtin: counts, and preserves every register. */
abi_poll:
        incl    abi_poll_count(%rip)
        ret
        .size   abi_poll, . - abi_poll

        .bss
        .globl  abi_poll_count
        .balign 8
abi_host_sp:
        .zero   8
abi_poll_count:
        .zero   4
        .section .note.GNU-stack, "", @progbits
