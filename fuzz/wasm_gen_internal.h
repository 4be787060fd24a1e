/* State of the module generator, shared by its files: wasm_gen.c makes modules, wasm_gen_flow.c
 * structured control and calls, wasm_gen_insn.c everything else. */
#ifndef WEIR_FUZZ_WASM_GEN_INTERNAL_H
#define WEIR_FUZZ_WASM_GEN_INTERNAL_H

#include "wasm_gen.h"

#include <stdbool.h>

/* Value types are letters: i32 "i", i64 "l", f32 "f", f64 "d", funcref "r". */
#define GEN_TYPES_MAX 20 /* of one signature */
#define GEN_STACK_MAX 400
#define GEN_FRAMES_MAX 12
#define GEN_LOCALS_MAX 120
#define GEN_SIGNATURES_MAX 600
#define GEN_GLOBALS_MAX 12
#define GEN_TABLE_SIZE 28 /* functions in the lower half */
#define GEN_IMPORTS 1     /* functions imported */
#define GEN_MEMORIES_MAX 2

struct gen_buf {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};

struct gen_signature {
    char params[GEN_TYPES_MAX + 1];
    char results[GEN_TYPES_MAX + 1];
};

struct gen_frame {
    unsigned base; /* height below its own values */
    bool is_loop;
    char label[GEN_TYPES_MAX + 1];
    char results[GEN_TYPES_MAX + 1];
};

enum {                /* globals of fixed meaning, by index */
    GEN_GLOBAL_HASH,  /* i64 */
    GEN_GLOBAL_LOOPS, /* i32, iterations left */
    GEN_GLOBAL_CALLS, /* i32, calls left */
    GEN_GLOBALS_FIXED
};

struct gen {
    const uint8_t *data;
    size_t left;
    uint64_t state;
    struct gen_options options;
    struct gen_buf body; /* of the function being made */
    struct gen_signature signatures[GEN_SIGNATURES_MAX];
    unsigned signature_count;
    unsigned funcs[GEN_FUNCS_MAX + GEN_IMPORTS]; /* signatures, imports first */
    unsigned func_count;
    unsigned flow_percent; /* of steps that are control flow */
    bool is_wild;          /* many accesses near and beyond the end of memory */
    char memories[GEN_MEMORIES_MAX + 1]; /* index types */
    unsigned memory_count;
    char table; /* index type */
    char globals[GEN_GLOBALS_MAX + 1];
    unsigned global_count;
    /* Of the function being made. */
    unsigned func;
    char locals[GEN_LOCALS_MAX + 1];
    unsigned local_count;
    unsigned spare_f32, spare_f64; /* locals for making NaNs canonical */
    char stack[GEN_STACK_MAX];
    unsigned height;
    struct gen_frame frames[GEN_FRAMES_MAX];
    unsigned frame_count;
    int budget;
    bool is_clean; /* the top is a constant or was loaded: its NaN bits are determined */
};

uint32_t gen_pick(struct gen *g, uint32_t count);
uint64_t gen_bits(struct gen *g);
bool gen_chance(struct gen *g, unsigned percent);
char gen_type(struct gen *g);
void gen_types(struct gen *g, unsigned max, char *ret_types);

void gen_byte(struct gen_buf *buf, unsigned byte);
void gen_u64(struct gen_buf *buf, uint64_t value);
void gen_u32(struct gen_buf *buf, uint32_t value);
void gen_s64(struct gen_buf *buf, int64_t value);
void gen_append(struct gen_buf *buf, const struct gen_buf *other);
unsigned gen_type_code(char type);
unsigned gen_signature(struct gen *g, const char *params, const char *results);

void gen_op(struct gen *g, unsigned opcode);
void gen_op_u32(struct gen *g, unsigned opcode, uint32_t value);
void gen_push(struct gen *g, char type);
void gen_pop(struct gen *g, size_t count);
void gen_i32(struct gen *g, int32_t value);
/* A constant of an index type, i32 or i64. */
void gen_index(struct gen *g, char type, uint32_t value);
void gen_zero(struct gen *g, char type);
void gen_constant(struct gen *g, char type);
void gen_leaf(struct gen *g, char type);
/* Makes the top of the stack of these types. */
void gen_want(struct gen *g, const char *types);
void gen_canonical(struct gen *g, char type);
/* Folds the top into the hash. */
void gen_hash_top(struct gen *g);
void gen_insn(struct gen *g);
/* Takes one from this global; when there is nothing left, returns zeros. */
void gen_count_down(struct gen *g, unsigned global);
/* Body of the frame on top up to its end; the results are on the stack. */
void gen_sequence(struct gen *g, int count);

#endif
