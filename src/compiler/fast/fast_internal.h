/* The state of the fast generator, and what its files offer each other.
 *
 * One pass over a function. The operand stack is virtual: an entry is a constant, a local not yet
 * read, a register, a slot of the frame, or the flags of the comparison just made. Locals have a
 * fixed home for the whole function, chosen by the scan before: a register for the most used, the
 * frame for the others. So where control flow merges, locals never move; operands of outer blocks
 * lie in their slots, a block's single result in rax or xmm0, several in slots.
 *
 * Invariants between two instructions: every temporary register is either in `free` or owned by
 * exactly one stack entry; a LOCAL entry's local has not been written since it was pushed; an i32
 * in a register has its upper half zero; only the top entry can be FLAGS, and the next
 * instruction consumes it.
 */
#ifndef WEIR_FAST_INTERNAL_H
#define WEIR_FAST_INTERNAL_H

#include "artifact/abi.h"
#include "compiler/common/fuel.h"
#include "compiler/fast/x64.h"
#include "wasm/insn.h"

/* Registers. r11 and xmm15 are scratch: never hold anything from one emitter to the next. rax, rcx,
 * rdx, rdi and xmm0 to xmm5 are always temporaries; what the locals leave over becomes one too. */
#define GEN_SCRATCH R11
#define GEN_FLOAT_SCRATCH XMM15
#define GEN_INT_CALLEE_SAVED                                                                       \
    (X64_BIT(RBX) | X64_BIT(R12) | X64_BIT(R13) | X64_BIT(R14) | X64_BIT(R15))
#define GEN_INT_TEMPS (X64_BIT(RAX) | X64_BIT(RCX) | X64_BIT(RDX) | X64_BIT(RDI))
#define GEN_FLOAT_TEMPS UINT32_C(0x003f0000)
#define GEN_INT_REGS UINT32_C(0x0000ffff)
#define GEN_FLOAT_REGS UINT32_C(0xffff0000)

#define GEN_NONE UINT32_MAX

/* How many bounds checks are remembered in straight-line code. */
#define GEN_CHECKED_MAX 4u

/* Values of the function that are treated as locals which nobody writes: they compete for
 * registers by use, and are reloaded from their home after calls. */
enum gen_pseudo {
    GEN_VMCTX,
    GEN_STATE,
    GEN_BASE,
    GEN_MEMORY,
    GEN_PSEUDO_COUNT
};

enum gen_value_kind {
    VALUE_CONST,
    VALUE_LOCAL,
    VALUE_REG,
    VALUE_SLOT,
    VALUE_FLAGS,
    VALUE_MEM
};

struct gen_value {
    uint8_t kind;
    uint8_t type;   /* enum weir_type */
    uint8_t reg;    /* REG; FLAGS: enum x64_cc */
    bool is_made;   /* with canonical NaNs: a NaN in it was made here, not loaded */
    uint32_t index; /* LOCAL: which; SLOT: whose depth */
    union {
        uint64_t bits;      /* CONST */
        struct x64_mem mem; /* MEM: a load not yet made; its registers are the entry's */
        uint32_t below;     /* LOCAL: the next older entry of the same local, or GEN_NONE */
    };
};

/* The number under which the generator has a local, in one function (counted from 1). */
struct gen_number {
    uint32_t function;
    uint32_t number;
};

struct gen_local {
    uint8_t type;
    uint8_t reg;     /* of its present web; X64_NONE: lives in its home */
    bool is_used;    /* its value on entry is read by somebody */
    bool needs_home; /* some web lives in the frame, or is kept there over calls */
    uint32_t newest; /* stack entry that refers to it, or GEN_NONE */
    uint32_t web;    /* while scanning: the newest */
    int32_t home;    /* from rbp; 0: none */
};

/* One value of a local, from the instruction that sets it to its last use (fast_scan.c). */
struct gen_web {
    uint32_t local;
    uint32_t first;  /* number of the local.set; 0 for the value on entry */
    uint32_t end;    /* number of the last instruction that it must survive to */
    uint32_t weight; /* uses, each counted 8^loop depth times */
    uint32_t below;  /* the web before it, while scanning */
    uint32_t block_id;
    uint32_t block_depth;
    uint32_t loop;  /* the outermost loop that carries it, or GEN_NONE */
    uint8_t reg;    /* X64_NONE: the local's home */
    bool is_joined; /* is part of an older web: its set begins nothing */
};

struct gen_open_loop {
    uint32_t start;
    uint32_t number;
};

struct gen_call_weight {
    uint32_t position;
    uint64_t sum; /* of all calls up to here */
};

enum gen_control_kind {
    CONTROL_FUNC,
    CONTROL_BLOCK,
    CONTROL_LOOP,
    CONTROL_IF,
    CONTROL_ELSE
};

struct gen_control {
    uint8_t kind;
    bool is_dead;         /* entered in dead code: nothing of it exists */
    bool is_targeted;     /* somebody jumps to `label` */
    uint32_t label;       /* a loop's header, otherwise the end */
    uint32_t else_label;  /* CONTROL_IF only */
    uint32_t stub_anchor; /* the br_table whose stub for this target is `stub_label` */
    uint32_t stub_label;
    uint32_t height; /* stack depth without the block's parameters */
    uint32_t param_count;
    uint32_t result_count;
    const weir_wasm_type *params;
    const weir_wasm_type *results;
};

struct gen_jump {
    uint32_t at; /* 32-bit field in text; with GEN_JUMP_TABLE set an entry in rodata */
    uint32_t label;
    uint32_t anchor; /* tables: entry = target − anchor */
    bool is_table;
};

/* Code that seldom runs, written after the function's last instruction. */
enum gen_cold_kind {
    COLD_TRAP,
    COLD_POLL,
    COLD_ENTRY_POLL,
    COLD_TRUNC,
    COLD_TRUNC_EDGE,
    COLD_SAT
};
struct gen_cold {
    uint8_t kind;
    uint8_t code; /* COLD_TRAP */
    uint8_t reg;
    uint8_t xmm;
    bool is_f64;
    uint32_t jump;      /* field of the jump that leads here */
    uint32_t resume;    /* text offset to return to */
    uint32_t offset;    /* of the instruction, from the body's start */
    uint64_t low, high; /* COLD_SAT */
};

struct gen_vector {
    void *items;
    size_t count;
    size_t capacity;
};

struct gen {
    struct x64_asm a;
    const struct weir_wasm_module *module;
    const struct weir_code_options *options;
    const struct weir_fuel_costs *costs; /* NULL without fuel */
    const uint32_t *escape_index;
    struct weir_error *error;
    enum weir_status status; /* first failure */
    bool is_explicit;
    bool calls_traps; /* no-signals form */
    bool has_poll;
    bool has_canonical_nans;

    /* The function being generated. */
    const struct weir_wasm_func *func;
    const struct weir_wasm_func_type *type;
    struct weir_insn_reader reader;
    struct weir_insn insn;
    struct weir_insn next; /* one ahead, for fusing; op END after the last */
    bool is_dead;

    struct gen_value *values;
    uint32_t depth;
    uint32_t value_capacity;
    uint32_t slot_count; /* operand slots used so far */
    uint32_t flushed;    /* entries below are CONST or SLOT */
    bool has_live_flags; /* a comparison waits for the instruction that uses it */

    /* Explicit form: addresses known to be inside memory 0 up to an offset, since the last label.
     */
    struct {
        uint32_t local;
        uint32_t end;
    } checked[GEN_CHECKED_MAX];
    uint32_t checked_next;

    uint32_t mem_regs;   /* registers of the entry that is MEM; there is one at most */
    uint32_t mem_offset; /* its instruction, from the body's start */

    uint32_t free;  /* temporaries that hold nothing */
    uint32_t temps; /* all temporaries of this function */
    uint32_t owner[32];

    struct gen_local *locals; /* local_count, then the pseudo locals */
    uint32_t local_capacity;
    uint32_t local_count;         /* with a number */
    bool is_numbered;             /* fast_locals.c: instructions are read with new numbers */
    struct gen_number *numbers;   /* by index; NULL until needed */
    struct gen_vector group_ends; /* uint32_t */
    uint32_t position;            /* number of the present instruction, from 1 */
    uint32_t next_web;            /* the next web to begin */
    uint32_t local_regs;          /* registers that some web has */
    uint32_t resident[32];        /* which local is in each of them */
    uint32_t resident_end[32];
    uint32_t dirty; /* registers whose local is newer than its home */
    uint32_t kept;  /* registers saved for the call being made */

    struct gen_control *controls;
    uint32_t control_count;
    uint32_t control_capacity;
    uint32_t dead_depth; /* blocks opened since the code became dead */

    struct gen_vector labels; /* uint32_t: text offset or GEN_NONE */
    struct gen_vector jumps;  /* struct gen_jump */
    struct gen_vector colds;  /* struct gen_cold */

    /* The scan's. */
    struct gen_vector webs;         /* struct gen_web; first one per local, then in order */
    struct gen_vector blocks;       /* open blocks */
    struct gen_vector loop_ends;    /* uint32_t by number of the loop; 0 while it is open */
    struct gen_vector open_loops;   /* struct gen_open_loop */
    struct gen_vector call_weights; /* struct gen_call_weight */
    uint32_t block_count;

    uint32_t saved_regs;      /* callee-saved registers in use */
    uint32_t home_count;      /* 8-byte words of the frame above the operand slots */
    uint32_t frame_fields[2]; /* text offsets of the frame size, to be filled at the end */
    bool has_stack_check;
    bool has_trap;      /* some cold code traps */
    uint32_t trap_exit; /* calls_traps: text offset of what they call */

    uint32_t fuel_pending; /* cost accumulated since the last charge point */
    uint32_t fuel_field;   /* immediate to fill in, or GEN_NONE */
    bool is_prepaid;       /* the next instruction's charge point has been emitted */

    /* What the scan found. */
    uint32_t insn_count;
    bool has_calls;
    bool needs_vmctx;
    uint32_t special;    /* rcx, rdx: registers that some instruction insists on */
    uint32_t zero_first; /* words of the frame that start as zero: [zero_first, zero_end) */
    uint32_t zero_end;

    /* Of the module. */
    struct gen_vector rodata;      /* bytes */
    struct gen_vector sites;       /* struct weir_trap_site */
    struct gen_vector calls;       /* struct gen_jump: label is the function */
    struct gen_vector const_table; /* uint32_t: rodata offset + 1, hashed by the constant */
    uint32_t const_count;
    struct weir_code_func *funcs;
};

/* Constants at the start of .rodata, 16 bytes each. */
enum gen_mask {
    MASK_F32_SIGN,
    MASK_F64_SIGN,
    MASK_F32_ABS,
    MASK_F64_ABS,
    MASK_COUNT
};

static inline bool gen_is_float(unsigned type)
{
    return type == WEIR_TYPE_F32 || type == WEIR_TYPE_F64;
}

static inline uint32_t gen_wide(unsigned type)
{
    return type == WEIR_TYPE_I32 ? 0 : X64_W;
}

static inline uint32_t gen_offset(const struct gen *g)
{
    return g->insn.offset - g->func->body_offset;
}

/* In one of the registers that hold temporaries: free once the value is used. */
static inline bool gen_is_temp(const struct gen *g, const struct gen_value *value)
{
    return value->kind == VALUE_REG && (g->temps & X64_BIT(value->reg)) != 0;
}

/* fast_generate.c */
void *weir__gen_append(struct gen *g, struct gen_vector *v, size_t size);
void weir__gen_fail(struct gen *g, enum weir_status status);
void weir__gen_unsupported(struct gen *g, const char *what);
uint32_t weir__gen_const(struct gen *g, uint64_t bits);
bool weir__gen_reserve_rodata(struct gen *g, size_t size);
void weir__gen_site(struct gen *g, unsigned code, uint32_t offset);
void weir__gen_access_site(struct gen *g, uint32_t offset);

/* fast_function.c */
void weir__gen_function(struct gen *g, uint32_t index);
void weir__gen_advance(struct gen *g);

/* fast_locals.c */
bool weir__gen_list_locals(struct gen *g);
void weir__gen_number_local(const struct gen *g, struct weir_insn *insn);

/* fast_scan.c */
void weir__gen_scan(struct gen *g);

/* fast_assign.c */
extern const uint8_t weir__gen_int_args[WEIR_ABI_INT_ARGS];
void weir__gen_assign(struct gen *g);

/* fast_frame.c */
void weir__gen_prologue(struct gen *g);
void weir__gen_restore_frame(struct gen *g); /* everything but the jump or ret */
void weir__gen_finish_frame(struct gen *g);
void weir__gen_trap(struct gen *g, unsigned cc, unsigned code);
void weir__gen_trap_always(struct gen *g, unsigned code);
struct gen_cold *weir__gen_cold(struct gen *g, unsigned kind, uint32_t jump);
void weir__gen_colds(struct gen *g);
void weir__gen_poll(struct gen *g);

/* fast_fuel.c; block and dead do nothing without fuel, the others need g->costs */
void weir__gen_charge_dead(struct gen *g);
void weir__gen_charge_block(struct gen *g);
void weir__gen_charge_insn(struct gen *g);
void weir__gen_charge_entry(struct gen *g, uint32_t locals);
void weir__gen_charge_end(struct gen *g);
bool weir__gen_fuses(struct gen *g);
bool weir__gen_fuses_eqz(const struct gen *g);

/* fast_stack.c */
void weir__gen_push(struct gen *g, struct gen_value value);
void weir__gen_push_reg(struct gen *g, unsigned type, unsigned reg);
void weir__gen_push_slot(struct gen *g, unsigned type);
struct gen_value weir__gen_pop(struct gen *g);
void weir__gen_release(struct gen *g, struct gen_value value);
void weir__gen_free(struct gen *g, unsigned reg);
unsigned weir__gen_alloc(struct gen *g, uint32_t set);
void weir__gen_claim(struct gen *g, unsigned reg);
unsigned weir__gen_dest(struct gen *g, unsigned type, unsigned avoid);
void weir__gen_load(struct gen *g, unsigned reg, struct gen_value value);
void weir__gen_store(struct gen *g, struct x64_mem mem, struct gen_value value);
unsigned weir__gen_use(struct gen *g, struct gen_value *value);
unsigned weir__gen_own(struct gen *g, struct gen_value *value, unsigned avoid);
bool weir__gen_in_memory(struct gen *g, const struct gen_value *value, struct x64_mem *ret_mem);
unsigned weir__gen_reg_of(const struct gen *g, const struct gen_value *value);
struct x64_mem weir__gen_slot(struct gen *g, uint32_t depth);
void weir__gen_flush(struct gen *g);
void weir__gen_spill_temps(struct gen *g, uint32_t depth);
void weir__gen_flush_local(struct gen *g, uint32_t index);
void weir__gen_load_pseudo(struct gen *g, enum gen_pseudo which, unsigned reg);
unsigned weir__gen_pseudo(struct gen *g, enum gen_pseudo which);
void weir__gen_set_depth(struct gen *g, uint32_t depth);

/* fast_moves.c: several moves at once, as if simultaneous. */
struct gen_move {
    uint8_t to;
    struct gen_value from; /* REG, LOCAL, SLOT, CONST; REG need not be a temporary */
};
#define GEN_MOVES_MAX 32u
void weir__gen_moves(struct gen *g, struct gen_move *moves, unsigned count);

/* fast_call.c */
void weir__gen_builtin(struct gen *g, enum weir_builtin builtin, const uint64_t *fixed,
                       unsigned operand_count);
void weir__gen_push_rax(struct gen *g, unsigned type);

/* fast_control.c */
uint32_t weir__gen_new_label(struct gen *g);
void weir__gen_bind(struct gen *g, uint32_t label);
void weir__gen_jump_if(struct gen *g, unsigned cc, uint32_t label);
unsigned weir__gen_condition(struct gen *g);
void weir__gen_set_dead(struct gen *g);
void weir__gen_push_control(struct gen *g, unsigned kind, int64_t block_type);
void weir__gen_resolve(struct gen *g);

/* fast_memory.c */
void weir__gen_forget_checks(struct gen *g, uint32_t local); /* GEN_NONE: all */
bool weir__gen_is_guarded(const struct gen *g, const struct weir_insn *insn);

/* fast_variable.c */
const struct gen_web *weir__gen_web_at(const struct gen *g, uint32_t index, uint32_t position);

/* fast_integer.c */
void weir__gen_push_flags(struct gen *g, unsigned cc, bool is_fused);

/* fast_ops.c: what to do for each opcode. */
typedef void gen_emitter(struct gen *g, uint32_t arg);
struct gen_op {
    gen_emitter *emit; /* NULL: unsupported */
    uint32_t arg;
    uint8_t needs; /* GEN_NEEDS_* */
};
#define GEN_NEEDS_VMCTX 1u
#define GEN_NEEDS_MEMORY 2u /* a load or store */
#define GEN_NEEDS_CALL 4u   /* calls something: caller-saved registers are lost */
#define GEN_NEEDS_LOCAL 8u  /* local.get, set, tee */
#define GEN_NEEDS_TRAP 16u  /* may trap, and needs none of the others */
extern const struct gen_op weir__gen_ops[WEIR_OP_COUNT];
#define FAST_EMITTER(name) void weir__gen_emit_##name(struct gen *g, uint32_t arg);
#include "compiler/fast/fast_emitters.def"
#undef FAST_EMITTER

#endif
