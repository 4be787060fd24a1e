/* Instructions without control flow: numbers, variables, memory, table. See wasm_gen.h. */
#include "wasm_gen_internal.h"

#include <assert.h>
#include <string.h>

struct operation {
    uint8_t first, last; /* opcodes */
    const char *params;
    char result;
};

static const struct operation operations[] = {
    {0x45, 0x45, "i", 'i'},  {0x46, 0x4f, "ii", 'i'}, {0x50, 0x50, "l", 'i'},
    {0x51, 0x5a, "ll", 'i'}, {0x5b, 0x60, "ff", 'i'}, {0x61, 0x66, "dd", 'i'},
    {0x67, 0x69, "i", 'i'},  {0x6a, 0x6c, "ii", 'i'}, {0x6d, 0x70, "ii", 'i'},
    {0x71, 0x78, "ii", 'i'}, {0x71, 0x78, "ii", 'i'}, {0x79, 0x7b, "l", 'l'},
    {0x7c, 0x7e, "ll", 'l'}, {0x7f, 0x82, "ll", 'l'}, {0x83, 0x8a, "ll", 'l'},
    {0x83, 0x8a, "ll", 'l'}, {0x8b, 0x91, "f", 'f'},  {0x92, 0x98, "ff", 'f'},
    {0x92, 0x98, "ff", 'f'}, {0x99, 0x9f, "d", 'd'},  {0xa0, 0xa6, "dd", 'd'},
    {0xa0, 0xa6, "dd", 'd'}, {0xa7, 0xa7, "l", 'i'},  {0xa8, 0xa9, "f", 'i'},
    {0xaa, 0xab, "d", 'i'},  {0xac, 0xad, "i", 'l'},  {0xae, 0xaf, "f", 'l'},
    {0xb0, 0xb1, "d", 'l'},  {0xb2, 0xb3, "i", 'f'},  {0xb4, 0xb5, "l", 'f'},
    {0xb6, 0xb6, "d", 'f'},  {0xb7, 0xb8, "i", 'd'},  {0xb9, 0xba, "l", 'd'},
    {0xbb, 0xbb, "f", 'd'},  {0xbc, 0xbc, "f", 'i'},  {0xbd, 0xbd, "d", 'l'},
    {0xbe, 0xbe, "i", 'f'},  {0xbf, 0xbf, "l", 'd'},  {0xc0, 0xc1, "i", 'i'},
    {0xc2, 0xc4, "l", 'l'},
};

static const struct operation saturating[] = {
    {0, 1, "f", 'i'}, {2, 3, "d", 'i'}, {4, 5, "f", 'l'}, {6, 7, "d", 'l'}};

static const struct {
    uint8_t opcode;
    char type;
    uint8_t width_log2;
} loads[] = {{0x28, 'i', 2}, {0x29, 'l', 3}, {0x2a, 'f', 2}, {0x2b, 'd', 3}, {0x2c, 'i', 0},
             {0x2d, 'i', 0}, {0x2e, 'i', 1}, {0x2f, 'i', 1}, {0x30, 'l', 0}, {0x31, 'l', 0},
             {0x32, 'l', 1}, {0x33, 'l', 1}, {0x34, 'l', 2}, {0x35, 'l', 2}},
  stores[] = {{0x36, 'i', 2}, {0x37, 'l', 3}, {0x38, 'f', 2}, {0x39, 'd', 3}, {0x3a, 'i', 0},
              {0x3b, 'i', 1}, {0x3c, 'l', 0}, {0x3d, 'l', 1}, {0x3e, 'l', 2}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void gen_op(struct gen *g, unsigned opcode)
{
    gen_byte(&g->body, opcode);
    g->is_clean = false;
}

void gen_op_u32(struct gen *g, unsigned opcode, uint32_t value)
{
    gen_op(g, opcode);
    gen_u32(&g->body, value);
}

void gen_push(struct gen *g, char type)
{
    assert(g->height < GEN_STACK_MAX);
    g->stack[g->height++] = type;
}

void gen_pop(struct gen *g, size_t count)
{
    assert(g->height >= g->frames[g->frame_count - 1].base + count);
    g->height -= (unsigned)count;
}

static void put_constant(struct gen *g, char type, uint64_t bits)
{
    unsigned width = type == 'f' ? 4 : 8;
    gen_op(g, type == 'i' ? 0x41 : type == 'l' ? 0x42 : type == 'f' ? 0x43 : 0x44);
    if (type == 'i')
        gen_s64(&g->body, (int32_t)bits);
    else if (type == 'l')
        gen_s64(&g->body, (int64_t)bits);
    else
        for (unsigned i = 0; i < width; i++)
            gen_byte(&g->body, (unsigned)(bits >> (8 * i)) & 0xff);
    gen_push(g, type);
    g->is_clean = true;
}

void gen_i32(struct gen *g, int32_t value)
{
    put_constant(g, 'i', (uint32_t)value);
}

void gen_index(struct gen *g, char type, uint32_t value)
{
    put_constant(g, type, value);
}

static void put_ref(struct gen *g)
{
    if (gen_chance(g, 30)) {
        gen_op_u32(g, 0xd0, 0x70);
    } else {
        gen_op_u32(g, 0xd2, gen_pick(g, g->func_count));
    }
    gen_push(g, 'r');
}

void gen_zero(struct gen *g, char type)
{
    if (type != 'r') {
        put_constant(g, type, 0);
        return;
    }
    gen_op_u32(g, 0xd0, 0x70);
    gen_push(g, type);
}

static uint64_t integer(struct gen *g)
{
    static const uint64_t special[] = {0,          1,
                                       2,          3,
                                       4,          5,
                                       7,          8,
                                       9,          10,
                                       31,         32,
                                       33,         63,
                                       64,         127,
                                       128,        255,
                                       256,        0x7fff,
                                       0xffff,     0x10000,
                                       0x7fffffff, UINT64_C(0x80000000),
                                       0xffffffff, UINT64_C(1) << 32,
                                       INT64_MAX,  UINT64_C(1) << 63};
    uint64_t value = gen_chance(g, 75) ? special[gen_pick(g, COUNT(special))] : gen_bits(g);
    return gen_chance(g, 25) ? 0 - value : value;
}

static uint64_t floating(struct gen *g, char type)
{
    static const double special[] = {
        0.0,          0.5,          1.0,          1.5,    2.0,
        2.5,          3.7,          100.25,       1e10,   2147483647.0,
        2147483648.0, 4294967295.0, 4294967296.0, 0x1p53, 0x1p63,
        0x1p64,       1e300,        1e-310,       1e-40,  (double)__builtin_inf()};
    if (gen_chance(g, 20))
        return gen_bits(g);
    double value = special[gen_pick(g, COUNT(special))];
    value = gen_chance(g, 40) ? -value : value;
    float narrow = value > 3.4e38 && value < 1e301 ? 3e38f : (float)value;
    uint64_t bits = 0;
    if (type == 'f')
        memcpy(&bits, &narrow, sizeof narrow);
    else
        memcpy(&bits, &value, sizeof value);
    return bits;
}

void gen_constant(struct gen *g, char type)
{
    if (type == 'r')
        put_ref(g);
    else
        put_constant(g, type, type == 'i' || type == 'l' ? integer(g) : floating(g, type));
}

/* A local of this type other than the spare ones; the count of locals when there is none. */
static unsigned local_of(struct gen *g, char type)
{
    unsigned start = gen_pick(g, g->local_count);
    for (unsigned i = 0; i < g->local_count; i++) {
        unsigned at = (start + i) % g->local_count;
        if (g->locals[at] == type && at != g->spare_f32 && at != g->spare_f64)
            return at;
    }
    return g->local_count;
}

static unsigned global_of(struct gen *g, char type)
{
    unsigned start = gen_pick(g, g->global_count);
    for (unsigned i = 0; i < g->global_count; i++) {
        unsigned at = (start + i) % g->global_count;
        if (g->globals[at] == type && at >= GEN_GLOBALS_FIXED)
            return at;
    }
    return g->global_count;
}

/* An index of its own, without touching what is on the stack. */
static void index_leaf(struct gen *g, char type)
{
    unsigned local = local_of(g, type);
    if (gen_chance(g, 80) && local < g->local_count) {
        gen_op_u32(g, 0x20, local);
        gen_push(g, type);
    } else {
        gen_constant(g, type);
    }
}

static unsigned pick_memory(struct gen *g)
{
    return g->memory_count > 1 ? gen_pick(g, g->memory_count) : 0;
}

static uint64_t wild_offset(struct gen *g, char type)
{
    static const uint64_t wild[] = {65528,
                                    65535,
                                    65536,
                                    0x1000000,
                                    33554416,
                                    33554432,
                                    0x7ffffff,
                                    0x80000000,
                                    0xfffffff0,
                                    0xffffffff,
                                    UINT64_C(0x100000000),
                                    INT64_MAX,
                                    UINT64_C(1) << 63,
                                    UINT64_MAX - 7,
                                    UINT64_MAX};
    return wild[gen_pick(g, type == 'l' ? COUNT(wild) : 10)];
}

/* An address within the first page, mostly; returns the offset to use. */
static uint64_t address(struct gen *g, char type, bool takes_top)
{
    static const uint32_t offsets[] = {0, 0, 1, 4, 8, 60, 0x1000, 0x7000};
    unsigned how = gen_pick(g, 250);
    if (how < (g->is_wild ? 80u : 1u)) {
        index_leaf(g, type);
        return gen_chance(g, g->is_wild ? 4 : 50) ? wild_offset(g, type) : gen_pick(g, 70);
    }
    if (how < 60) {
        gen_index(g, type, gen_pick(g, 0x7fff));
    } else {
        if (takes_top)
            gen_want(g, type == 'l' ? "l" : "i");
        else
            index_leaf(g, type);
        gen_index(g, type, how < 70 ? 0xfff8 : 0x7fff);
        gen_op(g, type == 'l' ? 0x83 : 0x71);
        gen_pop(g, 1);
        if (how < 70)
            return gen_pick(g, 4);
    }
    return offsets[gen_pick(g, COUNT(offsets))];
}

/* The access itself: alignment, memory where it is not the first, offset. */
static void put_access(struct gen *g, unsigned opcode, unsigned width_log2, unsigned memory)
{
    gen_op_u32(g, opcode, gen_pick(g, width_log2 + 1u) | (memory != 0 ? 0x40u : 0));
    if (memory != 0)
        gen_u32(&g->body, memory);
}

static void load(struct gen *g, unsigned which, bool takes_top)
{
    unsigned memory = pick_memory(g);
    uint64_t offset = address(g, g->memories[memory], takes_top);
    put_access(g, loads[which].opcode, loads[which].width_log2, memory);
    gen_u64(&g->body, offset);
    gen_pop(g, 1);
    gen_push(g, loads[which].type);
    g->is_clean = true;
}

static void store(struct gen *g)
{
    unsigned which = gen_pick(g, COUNT(stores));
    char type = stores[which].type;
    unsigned memory = pick_memory(g);
    uint64_t offset = address(g, g->memories[memory], true);
    gen_leaf(g, type);
    gen_canonical(g, type);
    put_access(g, stores[which].opcode, stores[which].width_log2, memory);
    gen_u64(&g->body, offset);
    gen_pop(g, 2);
}

/* One new value. */
void gen_leaf(struct gen *g, char type)
{
    unsigned how = gen_pick(g, 100);
    unsigned local = local_of(g, type);
    unsigned global = global_of(g, type);
    if (how < 55 && local < g->local_count) {
        gen_op_u32(g, 0x20, local);
        gen_push(g, type);
    } else if (how < 65 && global < g->global_count) {
        gen_op_u32(g, 0x23, global);
        gen_push(g, type);
    } else if (how < 72 && type != 'r') {
        for (unsigned i = gen_pick(g, COUNT(loads));; i = (i + 1) % COUNT(loads))
            if (loads[i].type == type) {
                load(g, i, false);
                return;
            }
    } else {
        gen_constant(g, type);
    }
}

void gen_want(struct gen *g, const char *types)
{
    size_t count = strlen(types);
    unsigned base = g->frames[g->frame_count - 1].base;
    if (count == 0)
        return;
    if (g->height >= base + count && memcmp(g->stack + g->height - count, types, count) == 0)
        return;
    /* The longest prefix that is there already. */
    for (size_t there = count - 1; there > 0; there--)
        if (g->height >= base + there && memcmp(g->stack + g->height - there, types, there) == 0) {
            types += there;
            break;
        }
    for (; *types != '\0'; types++)
        gen_leaf(g, *types);
}

void gen_canonical(struct gen *g, char type)
{
    if ((type != 'f' && type != 'd') || g->is_clean)
        return;
    unsigned spare = type == 'f' ? g->spare_f32 : g->spare_f64;
    gen_op_u32(g, 0x22, spare);
    put_constant(g, type, type == 'f' ? 0x7fc00000u : UINT64_C(0x7ff8000000000000));
    gen_op_u32(g, 0x20, spare);
    gen_op_u32(g, 0x20, spare);
    gen_op(g, type == 'f' ? 0x5b : 0x61);
    gen_op(g, 0x1b);
    gen_pop(g, 1);
}

void gen_hash_top(struct gen *g)
{
    char type = g->stack[g->height - 1];
    gen_canonical(g, type);
    if (type == 'r')
        gen_op(g, 0xd1);
    if (type == 'f')
        gen_op(g, 0xbc);
    if (type == 'd')
        gen_op(g, 0xbd);
    if (type == 'i' || type == 'r' || type == 'f')
        gen_op(g, 0xac);
    gen_op_u32(g, 0x23, GEN_GLOBAL_HASH);
    gen_op(g, 0x42);
    gen_s64(&g->body, 7);
    gen_op(g, 0x89);
    gen_op(g, 0x85);
    gen_op_u32(g, 0x24, GEN_GLOBAL_HASH);
    gen_pop(g, 1);
}

static void take_operation(struct gen *g, const struct operation *op, unsigned prefix)
{
    unsigned opcode = op->first + gen_pick(g, op->last - op->first + 1u);
    bool divides =
        prefix == 0 && ((opcode >= 0x6d && opcode <= 0x70) || (opcode >= 0x7f && opcode <= 0x82));
    bool traps =
        prefix == 0 && ((opcode >= 0xa8 && opcode <= 0xab) || (opcode >= 0xae && opcode <= 0xb1));
    bool looks =
        prefix == 0 && (opcode == 0xbc || opcode == 0xbd || opcode == 0x98 || opcode == 0xa6);
    gen_want(g, op->params);
    if (divides && gen_chance(g, 98)) {
        put_constant(g, op->result, gen_chance(g, 50) ? 1 : 16);
        gen_op(g, op->result == 'i' ? 0x72 : 0x84);
        gen_pop(g, 1);
    }
    if (traps && gen_chance(g, 98)) { /* into range */
        gen_op(g, op->params[0] == 'f' ? 0x90 : 0x9e);
        put_constant(g, op->params[0], op->params[0] == 'f' ? 0x47c35000u : 0x40f86a0000000000u);
        gen_op(g, op->params[0] == 'f' ? 0x96 : 0xa4);
        gen_pop(g, 1);
        put_constant(g, op->params[0], 0);
        gen_op(g, op->params[0] == 'f' ? 0x97 : 0xa5);
        gen_pop(g, 1);
    }
    if (looks)
        gen_canonical(g, g->stack[g->height - 1]);
    if (prefix != 0)
        gen_op_u32(g, prefix, opcode);
    else
        gen_op(g, opcode);
    gen_pop(g, strlen(op->params));
    gen_push(g, op->result);
}

static void set_variable(struct gen *g)
{
    unsigned base = g->frames[g->frame_count - 1].base;
    if (g->height == base || gen_chance(g, 30))
        gen_leaf(g, gen_type(g));
    char type = g->stack[g->height - 1];
    unsigned local = local_of(g, type);
    unsigned global = global_of(g, type);
    if (gen_chance(g, 15) && global < g->global_count) {
        gen_op_u32(g, 0x24, global);
        gen_pop(g, 1);
    } else if (local < g->local_count) {
        bool keeps = gen_chance(g, 40);
        gen_op_u32(g, keeps ? 0x22 : 0x21, local);
        if (!keeps)
            gen_pop(g, 1);
    }
}

static void select_value(struct gen *g)
{
    char type = gen_type(g);
    char types[4] = {type, type, 'i', '\0'};
    gen_want(g, types);
    if (type == 'r' || gen_chance(g, 30)) {
        gen_op_u32(g, 0x1c, 1);
        gen_byte(&g->body, gen_type_code(type));
    } else {
        gen_op(g, 0x1b);
    }
    gen_pop(g, 2);
}

/* address, address or value, length; all within the page, mostly */
static void bulk_memory(struct gen *g)
{
    unsigned which = 8 + gen_pick(g, 4); /* init, drop, copy, fill */
    if (which == 9) {
        if (gen_chance(g, 5)) {
            gen_op_u32(g, 0xfc, 9);
            gen_u32(&g->body, 1);
        }
        return;
    }
    unsigned memory = pick_memory(g);
    unsigned from = which == 10 ? pick_memory(g) : memory;
    char type = g->memories[memory];
    char narrower = type == 'i' || g->memories[from] == 'i' ? 'i' : 'l';
    put_constant(g, type, gen_chance(g, 95) ? gen_pick(g, 0x7fff) : integer(g));
    if (which == 8)
        gen_i32(g, (int32_t)gen_pick(g, 10));
    else if (which == 10)
        gen_index(g, g->memories[from], gen_pick(g, 0x7fff));
    else
        index_leaf(g, 'i');
    if (which == 8)
        narrower = 'i';
    gen_index(g, narrower, gen_pick(g, which == 8 ? 23 : gen_chance(g, 95) ? 300 : 65537));
    gen_op_u32(g, 0xfc, which);
    if (which == 8)
        gen_u32(&g->body, 1);
    gen_byte(&g->body, memory);
    if (which == 10)
        gen_byte(&g->body, from);
    gen_pop(g, 3);
}

static void table_change(struct gen *g)
{
    unsigned limit = gen_chance(g, 96) ? GEN_TABLE_SIZE / 2 - 3 : GEN_TABLE_SIZE + 2;
    gen_index(g, g->table, GEN_TABLE_SIZE / 2 + gen_pick(g, limit));
    switch (gen_pick(g, 4)) {
    case 0:
        gen_leaf(g, 'r');
        gen_op_u32(g, 0x26, 0);
        gen_pop(g, 2);
        break;
    case 1:
        gen_leaf(g, 'r');
        gen_index(g, g->table, gen_pick(g, 4));
        gen_op_u32(g, 0xfc, 17);
        gen_u32(&g->body, 0);
        gen_pop(g, 3);
        break;
    case 2:
        gen_index(g, g->table, gen_pick(g, limit));
        gen_index(g, g->table, gen_pick(g, 6));
        gen_op_u32(g, 0xfc, 14);
        gen_u32(&g->body, 0);
        gen_u32(&g->body, 0);
        gen_pop(g, 3);
        break;
    default:
        gen_i32(g, (int32_t)gen_pick(g, 3));
        gen_i32(g, (int32_t)gen_pick(g, 4));
        gen_op_u32(g, 0xfc, 12);
        gen_u32(&g->body, 1);
        gen_u32(&g->body, 0);
        gen_pop(g, 3);
    }
}

static void read_table(struct gen *g)
{
    switch (gen_pick(g, 4)) {
    case 0:
        gen_index(g, g->table, gen_pick(g, gen_chance(g, 97) ? GEN_TABLE_SIZE : 40));
        gen_op_u32(g, 0x25, 0);
        gen_pop(g, 1);
        gen_push(g, 'r');
        break;
    case 1:
        gen_want(g, "r");
        gen_op(g, 0xd1);
        gen_pop(g, 1);
        gen_push(g, 'i');
        break;
    case 2:
        gen_op_u32(g, 0xfc, 16);
        gen_u32(&g->body, 0);
        gen_push(g, g->table);
        break;
    default:
        gen_leaf(g, 'r');
        gen_index(g, g->table, gen_pick(g, 3));
        gen_op_u32(g, 0xfc, 15);
        gen_u32(&g->body, 0);
        gen_pop(g, 2);
        gen_push(g, g->table);
    }
}

static void memory_size(struct gen *g)
{
    unsigned memory = pick_memory(g);
    if (gen_chance(g, 60)) {
        gen_op_u32(g, 0x3f, memory);
        gen_push(g, g->memories[memory]);
    } else {
        gen_index(g, g->memories[memory], gen_pick(g, 3));
        gen_op_u32(g, 0x40, memory);
    }
}

void gen_insn(struct gen *g)
{
    unsigned how = gen_pick(g, 100);
    if (how < 52)
        take_operation(g, &operations[gen_pick(g, COUNT(operations))], 0);
    else if (how < 55)
        take_operation(g, &saturating[gen_pick(g, COUNT(saturating))], 0xfc);
    else if (how < 68)
        set_variable(g);
    else if (how < 76)
        gen_leaf(g, gen_type(g));
    else if (how < 83)
        load(g, gen_pick(g, COUNT(loads)), true);
    else if (how < 89)
        store(g);
    else if (how < 93)
        select_value(g);
    else if (how < 95)
        bulk_memory(g);
    else if (how < 96)
        table_change(g);
    else if (how < 97)
        read_table(g);
    else if (how < 98)
        memory_size(g);
    else if (g->height > g->frames[g->frame_count - 1].base)
        gen_hash_top(g);
}
