/* Structured control, branches and calls. See wasm_gen.h. */
#include "wasm_gen_internal.h"

#include <assert.h>
#include <string.h>

static struct gen_frame *top_frame(struct gen *g)
{
    return &g->frames[g->frame_count - 1];
}

static void put_block_type(struct gen *g, const char *params, const char *results)
{
    if (params[0] == '\0' && results[0] == '\0')
        gen_byte(&g->body, 0x40);
    else if (params[0] == '\0' && results[1] == '\0')
        gen_byte(&g->body, gen_type_code(results[0]));
    else
        gen_s64(&g->body, (int64_t)gen_signature(g, params, results));
}

/* Takes one value away, most often looking at it. */
static void consume(struct gen *g)
{
    if (gen_chance(g, 80)) {
        gen_hash_top(g);
    } else {
        gen_op(g, 0x1a);
        gen_pop(g, 1);
    }
}

/* The values of the frame on top become exactly its results. */
static void finish(struct gen *g, bool is_dead)
{
    struct gen_frame *frame = top_frame(g);
    size_t count = strlen(frame->results);
    if (is_dead) {
        g->height = frame->base;
        for (size_t i = 0; i < count; i++)
            gen_push(g, frame->results[i]);
        return;
    }
    if (!frame->is_loop && gen_chance(g, 40)) {
        gen_want(g, frame->results);
        if (g->height > frame->base + count)
            gen_op_u32(g, 0x0c, 0); /* leaves what is beneath behind */
    } else if (g->height != frame->base + count ||
               memcmp(g->stack + frame->base, frame->results, count) != 0) {
        while (g->height > frame->base)
            consume(g);
        gen_want(g, frame->results);
    }
    g->height = frame->base;
    for (size_t i = 0; i < count; i++)
        gen_push(g, frame->results[i]);
}

/* What cannot be reached must be valid still, on a stack that gives whatever is asked for. */
static void dead_code(struct gen *g)
{
    g->height = top_frame(g)->base;
    g->is_clean = false;
    for (unsigned i = gen_pick(g, 3); i > 0; i--)
        gen_insn(g);
    while (g->height > top_frame(g)->base) {
        gen_op(g, 0x1a);
        gen_pop(g, 1);
    }
    if (gen_chance(g, 30)) {
        gen_op(g, 0x6a); /* i32.add of nothing */
        gen_op(g, 0x1a);
    }
}

static bool is_loop_target(struct gen *g, unsigned depth)
{
    return g->frames[g->frame_count - 1 - depth].is_loop;
}

static const char *label_of(struct gen *g, unsigned depth)
{
    return g->frames[g->frame_count - 1 - depth].label;
}

static void want_with_index(struct gen *g, const char *types)
{
    char all[GEN_TYPES_MAX + 2];
    size_t count = strlen(types);
    memcpy(all, types, count);
    all[count] = 'i';
    all[count + 1] = '\0';
    gen_want(g, all);
}

static void branch_if(struct gen *g)
{
    unsigned depth = gen_pick(g, g->frame_count);
    want_with_index(g, label_of(g, depth));
    if (is_loop_target(g, depth)) {
        gen_op_u32(g, 0x23, GEN_GLOBAL_LOOPS);
        gen_op(g, 0x41);
        gen_s64(&g->body, 0);
        gen_op(g, 0x4a); /* i32.gt_s */
        gen_op(g, 0x71);
    }
    gen_op_u32(g, 0x0d, depth);
    gen_pop(g, 1);
}

static void branch_table(struct gen *g)
{
    unsigned depth = gen_pick(g, g->frame_count);
    if (is_loop_target(g, depth) && gen_chance(g, 90))
        return;
    unsigned targets[16];
    unsigned count = gen_pick(g, 10);
    for (unsigned i = 0; i < count; i++) {
        unsigned other = gen_pick(g, g->frame_count);
        bool fits = strcmp(label_of(g, other), label_of(g, depth)) == 0 &&
                    (!is_loop_target(g, other) || gen_chance(g, 10));
        targets[i] = fits ? other : depth;
    }
    want_with_index(g, label_of(g, depth));
    gen_op_u32(g, 0x0e, count);
    for (unsigned i = 0; i < count; i++)
        gen_u32(&g->body, targets[i]);
    gen_u32(&g->body, depth);
    dead_code(g);
}

static bool leave(struct gen *g)
{
    unsigned how = gen_pick(g, 100);
    if (how < 2) {
        gen_op(g, 0x00);
    } else if (how < 30) {
        gen_want(g, g->frames[0].results);
        gen_op(g, 0x0f);
    } else if (how < 70) {
        unsigned depth = gen_pick(g, g->frame_count);
        if (is_loop_target(g, depth) && gen_chance(g, 95))
            return false;
        gen_want(g, label_of(g, depth));
        gen_op_u32(g, 0x0c, depth);
    } else {
        unsigned height = top_frame(g)->base;
        size_t size = g->body.size;
        branch_table(g);
        return g->body.size != size && g->height == height;
    }
    dead_code(g);
    return true;
}

void gen_count_down(struct gen *g, unsigned global)
{
    unsigned height = g->height;
    gen_op_u32(g, 0x23, global);
    gen_op(g, 0x45);
    gen_op_u32(g, 0x04, 0x40);
    for (const char *result = g->frames[0].results; *result != '\0'; result++)
        gen_zero(g, *result);
    gen_op(g, 0x0f);
    gen_op(g, 0x0b);
    g->height = height;
    gen_op_u32(g, 0x23, global);
    gen_op_u32(g, 0x41, 1);
    gen_op(g, 0x6b);
    gen_op_u32(g, 0x24, global);
}

static void block(struct gen *g)
{
    if (g->frame_count >= GEN_FRAMES_MAX)
        return;
    unsigned kind = gen_pick(g, 3); /* block, loop, if */
    if (kind == 2)
        gen_want(g, "i");
    unsigned own = g->height - top_frame(g)->base - (kind == 2);
    unsigned count = gen_pick(g, own < 3 ? own + 1 : 4);
    struct gen_frame *frame = &g->frames[g->frame_count];
    char params[GEN_TYPES_MAX + 1] = "";
    if (kind == 2)
        gen_pop(g, 1);
    memcpy(params, g->stack + g->height - count, count);
    bool has_else = kind == 2 && gen_chance(g, 60);
    if (kind == 2 && !has_else)
        memcpy(frame->results, params, sizeof params);
    else
        gen_types(g, gen_chance(g, 90) ? 2 : 8, frame->results);
    frame->is_loop = kind == 1;
    frame->base = g->height - count;
    memcpy(frame->label, kind == 1 ? params : frame->results, sizeof params);
    gen_op(g, 2 + kind);
    put_block_type(g, params, frame->results);
    g->frame_count++;
    if (kind == 1)
        gen_count_down(g, GEN_GLOBAL_LOOPS);
    gen_sequence(g, (int)gen_pick(g, 14));
    if (has_else) {
        gen_op(g, 0x05);
        g->height = frame->base;
        for (unsigned i = 0; i < count; i++)
            gen_push(g, params[i]);
        gen_sequence(g, (int)gen_pick(g, 14));
    }
    gen_op(g, 0x0b);
    g->frame_count--;
}

static bool call(struct gen *g)
{
    bool is_indirect = gen_chance(g, 35);
    bool is_tail = g->options.has_tail_calls && gen_chance(g, 8);
    unsigned func = gen_pick(g, g->func_count);
    const struct gen_signature *signature = &g->signatures[g->funcs[func]];
    if (is_tail && strcmp(signature->results, g->frames[0].results) != 0)
        is_tail = false;
    gen_want(g, signature->params);
    if (is_indirect) {
        if (gen_chance(g, 99))
            gen_index(g, g->table, func);
        else
            gen_index(g, g->table, gen_pick(g, GEN_TABLE_SIZE + 4));
        gen_op_u32(g, is_tail ? 0x13 : 0x11, g->funcs[func]);
        gen_u32(&g->body, 0);
        gen_pop(g, 1);
    } else {
        gen_op_u32(g, is_tail ? 0x12 : 0x10, func);
    }
    if (is_tail) {
        dead_code(g);
        return true;
    }
    gen_pop(g, strlen(signature->params));
    for (const char *result = signature->results; *result != '\0'; result++)
        gen_push(g, *result);
    return false;
}

/* True when what follows cannot be reached. */
static bool flow(struct gen *g)
{
    unsigned how = gen_pick(g, 100);
    if (how < 45)
        block(g);
    else if (how < 68)
        branch_if(g);
    else if (how < 92)
        return call(g);
    else
        return leave(g);
    return false;
}

void gen_sequence(struct gen *g, int count)
{
    bool is_dead = false;
    for (; count > 0 && g->budget > 0 && !is_dead; count--) {
        g->budget--;
        while (g->height > GEN_STACK_MAX / 2 && g->height > top_frame(g)->base)
            consume(g);
        if (g->height > GEN_STACK_MAX / 2)
            break;
        if (!gen_chance(g, g->flow_percent))
            gen_insn(g);
        else
            is_dead = flow(g);
    }
    finish(g, is_dead);
}
