/* The contract between generated code and the runtime, as C: docs/ABI.md explains it, this file
 * fixes every offset. Shared by all generators and the runtime; a change here changes
 * WEIR_ABI_VERSION, which is part of every artifact's key.
 */
#ifndef WEIR_ARTIFACT_ABI_H
#define WEIR_ARTIFACT_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/trap.h>
#include <weir/value.h>

#define WEIR_ABI_VERSION 2u

/* Registers of a call: rdi is the callee's vmctx, then these; more goes to state->args. */
#define WEIR_ABI_INT_ARGS 5u   /* rsi rdx rcx r8 r9 */
#define WEIR_ABI_FLOAT_ARGS 8u /* xmm0 .. xmm7 */
#define WEIR_ABI_SLOTS 1000u   /* most parameters, most results (wasm/limits.def) */

/* A function without calls and with at most this frame may leave out the stack check. The margin
 * below stack_limit holds one such frame and the deepest stub. */
#define WEIR_ABI_UNCHECKED_FRAME 1024u
#define WEIR_ABI_STACK_MARGIN 16384u

/* Guard form: reservation of a 32-bit memory, and the largest constant offset that needs no check.
 */
#define WEIR_ABI_GUARD_SPACE (UINT64_C(4) << 30)
#define WEIR_ABI_GUARD_BYTES (UINT64_C(32) << 20)

/* Per store; reached through vmctx->state. */
struct weir_vm_state {
    uint64_t stack_limit; /* rsp below it: slow path. UINT64_MAX asks for a poll (any thread) */
    int64_t fuel;         /* counts down; below zero traps */
    uint32_t interrupt;   /* non-zero asks for a poll at the next loop header (any thread) */
    uint32_t reserved0;
    uint64_t host_sp;  /* host stack pointer of the innermost boundary */
    uint64_t guest_sp; /* guest stack pointer while host code runs */
    uint64_t guest_fp; /* rbp while host code runs; backtraces start here */
    uint64_t guest_pc; /* return address into guest code while host code runs */
    uint64_t reserved1[9];
    union weir_value args[WEIR_ABI_SLOTS];    /* parameter i that has no register: args[i] */
    union weir_value results[WEIR_ABI_SLOTS]; /* result i ≥ 1: results[i] */
};

struct weir_vm_memory {
    uint8_t *base;       /* never changes while the memory lives */
    uint64_t size_bytes; /* accessible; grows only */
};

struct weir_vm_table {
    void **elements; /* funcref records or external references; never moves */
    uint64_t size;
    uint32_t is_dirty; /* set by every store to an element */
    uint32_t reserved;
};

/* What a function reference points to. Host functions have one too: code is a stub then, and
 * vmctx the binding it expects. */
struct weir_funcref {
    const void *code;
    struct weir_vmctx *vmctx;
    uint32_t type_id;    /* canonical in the process */
    uint32_t func_index; /* in its instance; WEIR_WASM_NONE for host functions */
    void *owner;         /* runtime's: the instance or the host binding */
};

struct weir_vm_import {
    const void *code;
    struct weir_vmctx *vmctx;
};

/* Fixed part. It is followed by func_import_count struct weir_vm_import, then by global_count
 * 16-byte slots: an own global's value, or in the first 8 bytes a pointer to the exporter's slot.
 */
struct weir_vmctx {
    struct weir_vm_state *state;
    uint8_t *memory0_base;            /* memory 0's base, NULL without memory */
    struct weir_vm_memory *memory0;   /* memory 0, NULL without memory */
    const void *const *builtins;      /* indexed by enum weir_builtin */
    const uint32_t *type_ids;         /* type index of the module → canonical id */
    struct weir_vm_memory **memories; /* whole index space */
    struct weir_vm_table **tables;    /* whole index space */
    struct weir_funcref *funcrefs;    /* functions that escape, by escape index */
    void *instance;                   /* the runtime's struct weir_instance */
    uint64_t reserved[7];
};

#define WEIR_ABI_VMCTX_IMPORT(i) (sizeof(struct weir_vmctx) + 16u * (size_t)(i))
#define WEIR_ABI_VMCTX_GLOBAL(func_imports, i)                                                     \
    (WEIR_ABI_VMCTX_IMPORT(func_imports) + 16u * (size_t)(i))
#define WEIR_ABI_VMCTX_SIZE(func_imports, globals) WEIR_ABI_VMCTX_GLOBAL(func_imports, globals)

static_assert(sizeof(union weir_value) == 16, "slot stride");
static_assert(offsetof(struct weir_vm_state, fuel) == 0x08, "ABI");
static_assert(offsetof(struct weir_vm_state, interrupt) == 0x10, "ABI");
static_assert(offsetof(struct weir_vm_state, host_sp) == 0x18, "ABI");
static_assert(offsetof(struct weir_vm_state, guest_sp) == 0x20, "ABI");
static_assert(offsetof(struct weir_vm_state, guest_fp) == 0x28, "ABI");
static_assert(offsetof(struct weir_vm_state, guest_pc) == 0x30, "ABI");
static_assert(offsetof(struct weir_vm_state, args) == 0x80, "ABI");
static_assert(offsetof(struct weir_vm_state, results) == 0x80 + 16000, "ABI");
static_assert(sizeof(struct weir_funcref) == 32, "ABI");
static_assert(offsetof(struct weir_funcref, type_id) == 0x10, "ABI");
static_assert(sizeof(struct weir_vmctx) == 0x80, "ABI");
static_assert(offsetof(struct weir_vmctx, memory0_base) == 0x08, "ABI");
static_assert(offsetof(struct weir_vmctx, builtins) == 0x18, "ABI");
static_assert(offsetof(struct weir_vmctx, funcrefs) == 0x38, "ABI");

/* WEIR_BUILTIN(identifier, arguments after vmctx, result). System V calling convention, integer
 * arguments only, vmctx first; they run on the host stack and may trap instead of returning.
 * POLL alone preserves every register, vector registers included. */
enum weir_builtin {
#define WEIR_BUILTIN(id, args, result) WEIR_BUILTIN_##id,
#include "artifact/builtins.def"
#undef WEIR_BUILTIN
    WEIR_BUILTIN_COUNT
};

/* In trap sites only, beside enum weir_trap_code: the offset is a call's return address. */
#define WEIR_SITE_CALL 0xffu

#endif
