/* x86-64 instructions as bytes: one encoder for every opcode, integer and SSE alike.
 *
 * An opcode is a number that carries prefix, map and operand size (X64_OP), so REX, ModRM and SIB
 * are written in one place. Nothing here checks room: whoever emits has called x64_reserve() for
 * the instructions that follow (the main loop does it once per WebAssembly instruction).
 */
#ifndef WEIR_FAST_X64_H
#define WEIR_FAST_X64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/check.h"
#include "compiler/common/code.h"

enum x64_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    XMM0,
    XMM1,
    XMM2,
    XMM3,
    XMM4,
    XMM5,
    XMM6,
    XMM7,
    XMM8,
    XMM9,
    XMM10,
    XMM11,
    XMM12,
    XMM13,
    XMM14,
    XMM15,
    X64_RIP = 0xfe, /* as a base only: disp is an offset in .rodata */
    X64_NONE = 0xff
};
#define X64_BIT(reg) (UINT32_C(1) << (reg))

/* Bits of an opcode: 0-7 opcode, 8-9 map, 10-11 prefix, then flags. */
#define X64_MAP_0F (1u << 8)
#define X64_MAP_0F38 (2u << 8)
#define X64_MAP_0F3A (3u << 8)
#define X64_66 (1u << 10)
#define X64_F3 (2u << 10)
#define X64_F2 (3u << 10)
#define X64_W (1u << 12)    /* 64-bit operands */
#define X64_BYTE (1u << 13) /* a byte register takes part */

enum x64_opcode {
    X64_ALU_RM = 0x03, /* | enum x64_alu << 3: reg ← reg op r/m */
    X64_ALU_MR = 0x01, /* r/m ← r/m op reg */
    X64_ALU_IMM8 = 0x83,
    X64_ALU_IMM32 = 0x81,
    X64_MOVSXD = 0x63 | X64_W,
    X64_IMUL_IMM8 = 0x6b,
    X64_IMUL_IMM32 = 0x69,
    X64_TEST = 0x85,
    X64_MOV_STORE8 = 0x88 | X64_BYTE,
    X64_MOV_STORE = 0x89,
    X64_MOV_STORE16 = 0x89 | X64_66,
    X64_MOV = 0x8b,
    X64_LEA = 0x8d,
    X64_SHIFT_IMM = 0xc1,
    X64_SHIFT_CL = 0xd3,
    X64_MOV_IMM8 = 0xc6,
    X64_MOV_IMM32 = 0xc7,
    X64_MOV_IMM16 = 0xc7 | X64_66,
    X64_GROUP3 = 0xf7, /* /2 not /3 neg /4 mul /6 div /7 idiv, /0 test imm */
    X64_GROUP5 = 0xff, /* /0 inc /1 dec /2 call /4 jmp */
    X64_CMOV = 0x40 | X64_MAP_0F,
    X64_SETCC = 0x90 | X64_MAP_0F | X64_BYTE,
    X64_IMUL = 0xaf | X64_MAP_0F,
    X64_MOVZX8 = 0xb6 | X64_MAP_0F | X64_BYTE,
    X64_MOVZX16 = 0xb7 | X64_MAP_0F,
    X64_BIT_IMM = 0xba | X64_MAP_0F, /* /7 btc, /5 bts */
    X64_BSF = 0xbc | X64_MAP_0F,
    X64_BSR = 0xbd | X64_MAP_0F,
    X64_MOVSX8 = 0xbe | X64_MAP_0F | X64_BYTE,
    X64_MOVSX16 = 0xbf | X64_MAP_0F,
    X64_POPCNT = 0xb8 | X64_MAP_0F | X64_F3,
    X64_TZCNT = 0xbc | X64_MAP_0F | X64_F3,
    X64_LZCNT = 0xbd | X64_MAP_0F | X64_F3,
    /* SSE. For scalars | X64_F3 is f32, | X64_F2 is f64. */
    X64_MOVUPS_STORE = 0x11 | X64_MAP_0F,
    X64_MOVAPS = 0x28 | X64_MAP_0F,
    X64_MOVS = 0x10 | X64_MAP_0F,
    X64_MOVS_STORE = 0x11 | X64_MAP_0F,
    X64_UCOMI = 0x2e | X64_MAP_0F, /* | X64_66 is f64 */
    X64_CVTSI2S = 0x2a | X64_MAP_0F,
    X64_CVTTS2SI = 0x2c | X64_MAP_0F,
    X64_SQRT = 0x51 | X64_MAP_0F,
    X64_ANDPS = 0x54 | X64_MAP_0F,
    X64_ORPS = 0x56 | X64_MAP_0F,
    X64_XORPS = 0x57 | X64_MAP_0F,
    X64_ADDS = 0x58 | X64_MAP_0F,
    X64_MULS = 0x59 | X64_MAP_0F,
    X64_CVTS2S = 0x5a | X64_MAP_0F,
    X64_SUBS = 0x5c | X64_MAP_0F,
    X64_MINS = 0x5d | X64_MAP_0F,
    X64_DIVS = 0x5e | X64_MAP_0F,
    X64_MAXS = 0x5f | X64_MAP_0F,
    X64_MOVD_TO_XMM = 0x6e | X64_MAP_0F | X64_66, /* | X64_W is movq */
    X64_MOVD_FROM_XMM = 0x7e | X64_MAP_0F | X64_66,
    X64_ROUNDSS = 0x0a | X64_MAP_0F3A | X64_66,
    X64_ROUNDSD = 0x0b | X64_MAP_0F3A | X64_66
};

enum x64_alu {
    X64_ADD,
    X64_OR,
    X64_ADC,
    X64_SBB,
    X64_AND,
    X64_SUB,
    X64_XOR,
    X64_CMP
};
enum x64_shift {
    X64_ROL,
    X64_ROR,
    X64_SHL = 4,
    X64_SHR = 5,
    X64_SAR = 7
};

/* Condition codes; the last two stand for a pair of flags after a float comparison. */
enum x64_cc {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G,
    CC_FEQ, /* equal and ordered: ZF and not PF */
    CC_FNE  /* different or unordered */
};

struct x64_mem {
    uint8_t base;
    uint8_t index; /* X64_NONE without */
    uint8_t scale; /* log2 */
    int32_t disp;
};

/* The text being written, and what it will need from the linker. */
struct x64_asm {
    uint8_t *text;
    uint8_t *next;
    uint8_t *end;
    struct weir_code_fixup *fixups;
    size_t fixup_count;
    size_t fixup_capacity;
    bool is_out_of_memory; /* sticky; reported by the driver */
    bool is_too_large;
};

/* Largest text; keeps every displacement in 32 bits. */
#define X64_TEXT_MAX (UINT64_C(2) << 30)
/* What one WebAssembly instruction may emit without asking again. */
#define X64_INSN_ROOM 1024u

void weir__x64_first(struct x64_asm *a, size_t bytes);
void weir__x64_grow(struct x64_asm *a, size_t bytes);
void weir__x64_fixup(struct x64_asm *a, uint32_t rodata_offset, int32_t addend);
void weir__x64_align(struct x64_asm *a, unsigned alignment);

static inline void x64_reserve(struct x64_asm *a, size_t bytes)
{
    if ((size_t)(a->end - a->next) < bytes)
        weir__x64_grow(a, bytes);
}

static inline uint32_t x64_here(const struct x64_asm *a)
{
    return (uint32_t)(a->next - a->text);
}

static inline void x64_u8(struct x64_asm *a, unsigned value)
{
    *a->next++ = (uint8_t)value;
}

static inline void x64_u32(struct x64_asm *a, uint32_t value)
{
    weir_store_u32(a->next, value);
    a->next += 4;
}

static inline void x64_u64(struct x64_asm *a, uint64_t value)
{
    weir_store_u64(a->next, value);
    a->next += 8;
}

static inline bool x64_is_i8(int64_t value)
{
    return value == (int8_t)value;
}

static inline bool x64_is_i32(int64_t value)
{
    return value == (int32_t)value;
}

/* Prefix, REX, map and opcode byte. Registers by number; 16 and above are vector registers. */
static inline void x64_opcode(struct x64_asm *a, uint32_t op, unsigned reg, unsigned index,
                              unsigned base)
{
    static const uint8_t prefixes[4] = {0, 0x66, 0xf3, 0xf2};
    uint8_t *p = a->next;
    unsigned prefix = op >> 10 & 3;
    if (prefix != 0)
        *p++ = prefixes[prefix];
    unsigned rex =
        (op & X64_W ? 8u : 0) | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);
    if (rex != 0 || (op & X64_BYTE && ((reg | base) & 4)))
        *p++ = (uint8_t)(0x40 | rex);
    unsigned map = op >> 8 & 3;
    if (map != 0) {
        *p++ = 0x0f;
        if (map != 1)
            *p++ = map == 2 ? 0x38 : 0x3a;
    }
    *p++ = (uint8_t)op;
    a->next = p;
}

static inline void x64_rr(struct x64_asm *a, uint32_t op, unsigned reg, unsigned rm)
{
    x64_opcode(a, op, reg, 0, rm);
    x64_u8(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void x64_rm(struct x64_asm *a, uint32_t op, unsigned reg, struct x64_mem mem)
{
    if (mem.base == X64_RIP) {
        x64_opcode(a, op, reg, 0, 0);
        x64_u8(a, (reg & 7) << 3 | 5);
        weir__x64_fixup(a, (uint32_t)mem.disp, -4);
        x64_u32(a, 0);
        return;
    }
    bool has_index = mem.index != X64_NONE;
    x64_opcode(a, op, reg, has_index ? mem.index : 0, mem.base);
    unsigned mode = 0;
    if (mem.disp != 0 || (mem.base & 7) == RBP)
        mode = x64_is_i8(mem.disp) ? 1 : 2;
    if (has_index || (mem.base & 7) == RSP) {
        x64_u8(a, mode << 6 | (reg & 7) << 3 | 4);
        x64_u8(a,
               (unsigned)mem.scale << 6 | (has_index ? mem.index & 7u : 4u) << 3 | (mem.base & 7u));
    } else {
        x64_u8(a, mode << 6 | (reg & 7) << 3 | (mem.base & 7u));
    }
    if (mode == 1)
        x64_u8(a, (unsigned)mem.disp);
    else if (mode == 2)
        x64_u32(a, (uint32_t)mem.disp);
}

static inline struct x64_mem x64_at(unsigned base, int32_t disp)
{
    return (struct x64_mem){(uint8_t)base, X64_NONE, 0, disp};
}

static inline struct x64_mem x64_at_index(unsigned base, unsigned index, unsigned scale,
                                          int32_t disp)
{
    return (struct x64_mem){(uint8_t)base, (uint8_t)index, (uint8_t)scale, disp};
}

static inline void x64_alu_ri(struct x64_asm *a, unsigned alu, uint32_t wide, unsigned reg,
                              int32_t imm)
{
    x64_rr(a, (x64_is_i8(imm) ? X64_ALU_IMM8 : X64_ALU_IMM32) | wide, alu, reg);
    if (x64_is_i8(imm))
        x64_u8(a, (unsigned)imm);
    else
        x64_u32(a, (uint32_t)imm);
}

static inline void x64_alu_mi(struct x64_asm *a, unsigned alu, uint32_t wide, struct x64_mem mem,
                              int32_t imm)
{
    x64_rm(a, (x64_is_i8(imm) ? X64_ALU_IMM8 : X64_ALU_IMM32) | wide, alu, mem);
    if (x64_is_i8(imm))
        x64_u8(a, (unsigned)imm);
    else
        x64_u32(a, (uint32_t)imm);
}

/* reg ← 64 bits, flags untouched. */
static inline void x64_mov_ri(struct x64_asm *a, unsigned reg, uint64_t bits)
{
    if (bits <= UINT32_MAX) {
        x64_opcode(a, 0xb8 | (reg & 7), 0, 0, reg);
        x64_u32(a, (uint32_t)bits);
    } else if (x64_is_i32((int64_t)bits)) {
        x64_rr(a, X64_MOV_IMM32 | X64_W, 0, reg);
        x64_u32(a, (uint32_t)bits);
    } else {
        x64_opcode(a, 0xb8 | (reg & 7) | X64_W, 0, 0, reg);
        x64_u64(a, bits);
    }
}

/* Jumps with a 32-bit field return the field's offset; with 8 bits they are closed by
 * x64_land8(). */
static inline uint32_t x64_jmp(struct x64_asm *a)
{
    x64_u8(a, 0xe9);
    x64_u32(a, 0);
    return x64_here(a) - 4;
}

static inline uint32_t x64_jcc(struct x64_asm *a, unsigned cc)
{
    x64_u8(a, 0x0f);
    x64_u8(a, 0x80 | cc);
    x64_u32(a, 0);
    return x64_here(a) - 4;
}

static inline uint32_t x64_jcc8(struct x64_asm *a, unsigned cc)
{
    x64_u8(a, 0x70 | cc);
    x64_u8(a, 0);
    return x64_here(a);
}

static inline uint32_t x64_jmp8(struct x64_asm *a)
{
    x64_u8(a, 0xeb);
    x64_u8(a, 0);
    return x64_here(a);
}

static inline void x64_land8(struct x64_asm *a, uint32_t after_jump)
{
    uint32_t distance = x64_here(a) - after_jump;
    WEIR_ASSERT(distance <= 127 || a->is_out_of_memory || a->is_too_large);
    a->text[after_jump - 1] = (uint8_t)distance;
}

static inline void x64_patch32(struct x64_asm *a, uint32_t field, uint32_t target)
{
    weir_store_u32(a->text + field, target - (field + 4));
}

#endif
