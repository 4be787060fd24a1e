/* The one copy primitive between host and guest memory (DESIGN law 10). A fault anywhere between
 * weir__copy_begin and weir__copy_end is sent to weir__copy_fault by the signal handler, which
 * works because nothing in between moves rsp. Overlap is allowed: whatever a step overwrites has
 * been read before.
 */
    .text
    .globl weir__copy_guarded, weir__fill_guarded
    .globl weir__copy_begin, weir__copy_end, weir__copy_fault
    .hidden weir__copy_guarded, weir__fill_guarded
    .hidden weir__copy_begin, weir__copy_end, weir__copy_fault

    .balign 16
weir__copy_begin:
    .type weir__copy_guarded, @function
weir__copy_guarded: /* rdi to, rsi from, rdx size */
    cmpq $16, %rdx
    jb small
    cmpq $32, %rdx
    ja large
    movups (%rsi), %xmm0
    movups -16(%rsi,%rdx), %xmm1
    movups %xmm0, (%rdi)
    movups %xmm1, -16(%rdi,%rdx)
    xorl %eax, %eax
    ret

small:
    cmpq $8, %rdx
    jb tiny
    movq (%rsi), %rax
    movq -8(%rsi,%rdx), %rcx
    movq %rax, (%rdi)
    movq %rcx, -8(%rdi,%rdx)
    xorl %eax, %eax
    ret
tiny:
    cmpq $4, %rdx
    jb bytes
    movl (%rsi), %eax
    movl -4(%rsi,%rdx), %ecx
    movl %eax, (%rdi)
    movl %ecx, -4(%rdi,%rdx)
    xorl %eax, %eax
    ret
bytes:
    testq %rdx, %rdx
    je 1f
    movzbl (%rsi), %eax
    movzbl -1(%rsi,%rdx), %ecx
    movq %rdx, %r8
    shrq $1, %r8
    movzbl (%rsi,%r8), %r9d
    movb %al, (%rdi)
    movb %r9b, (%rdi,%r8)
    movb %cl, -1(%rdi,%rdx)
1:
    xorl %eax, %eax
    ret

large:
    movq %rdi, %rax
    subq %rsi, %rax /* to - from, unsigned: below size means that a forward copy overtakes itself */
    cmpq %rdx, %rax
    jb backward
    cmpq $1024, %rdx
    jae strings
forward:
    movups -16(%rsi,%rdx), %xmm2 /* the tail, before anything is overwritten */
    leaq -16(%rdi,%rdx), %r8
    subq $16, %rdx
    xorl %ecx, %ecx
2:
    movups (%rsi,%rcx), %xmm0
    movups %xmm0, (%rdi,%rcx)
    addq $16, %rcx
    cmpq %rdx, %rcx
    jb 2b
    movups %xmm2, (%r8)
    xorl %eax, %eax
    ret
strings: /* fast for distant ranges; a close overlap is what forward is for */
    negq %rax
    cmpq $64, %rax
    jb forward
    movq %rdx, %rcx
    rep movsb
    xorl %eax, %eax
    ret

backward:
    movups (%rsi), %xmm2 /* the head */
3:
    movups -16(%rsi,%rdx), %xmm0
    movups %xmm0, -16(%rdi,%rdx)
    subq $16, %rdx
    cmpq $16, %rdx
    ja 3b
    movups %xmm2, (%rdi)
    xorl %eax, %eax
    ret
    .size weir__copy_guarded, .-weir__copy_guarded

    .balign 16
    .type weir__fill_guarded, @function
weir__fill_guarded: /* rdi to, sil value, rdx size */
    movzbl %sil, %eax
    movq %rdx, %rcx
    rep stosb
    xorl %eax, %eax
    ret
    .size weir__fill_guarded, .-weir__fill_guarded
weir__copy_end:

    .type weir__copy_fault, @function
weir__copy_fault:
    movl $1, %eax
    ret
    .size weir__copy_fault, .-weir__copy_fault

    .section .note.GNU-stack, "", @progbits
