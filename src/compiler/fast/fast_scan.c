/* The look ahead over a function: which values its locals hold, where each value lives, and how
 * often it is used.
 *
 * A local is a name for several values in turn; compilers reuse names freely. A web is one value:
 * from a local.set (or function entry) to its last use. A set begins a web of its own unless the
 * value before may still flow around a loop that is open. Code in a block is reached only through
 * what stands before it in the same block, so a set covers everything up to the end of its block;
 * a use after that end may see the older value too, and the webs are joined. A use inside a loop
 * that began after the web keeps it alive to the loop's end. All of it in one pass: webs of a local
 * form a stack, and a join pops it.
 */
#include "compiler/fast/fast_internal.h"

#define LOOP_SHIFT 3u
#define LOOP_DEPTH_MAX 6u
#define WEIGHT_MAX (UINT32_C(1) << 28)
/* Beyond this many, sets no longer begin webs: bounds the memory of huge bodies. */
#define WEBS_MAX (UINT32_C(1) << 18)

struct scan_block {
    uint32_t id;
    uint32_t loop; /* its number, or GEN_NONE for other blocks */
};

static struct gen_web *web_at(const struct gen *g, uint32_t index)
{
    return (struct gen_web *)g->webs.items + index;
}

static uint32_t *loop_ends(const struct gen *g)
{
    return g->loop_ends.items;
}

/* The last position of a web: its last use, or the end of the loop that carries it. */
static void settle_end(const struct gen *g, struct gen_web *web)
{
    if (web->loop != GEN_NONE && loop_ends(g)[web->loop] > web->end)
        web->end = loop_ends(g)[web->loop];
}

static struct gen_web *add_web(struct gen *g, uint32_t local, uint32_t first)
{
    struct gen_web *web = weir__gen_append(g, &g->webs, sizeof *web);
    if (web != NULL)
        *web = (struct gen_web){.local = local,
                                .first = first,
                                .end = first,
                                .below = GEN_NONE,
                                .loop = GEN_NONE,
                                .reg = X64_NONE};
    return web;
}

static bool prepare_locals(struct gen *g)
{
    if (!weir__gen_list_locals(g))
        return false;
    uint32_t count = g->local_count;
    g->webs.count = 0;
    for (uint32_t i = 0; i < count + GEN_PSEUDO_COUNT; i++) {
        unsigned type = i < count ? g->locals[i].type : WEIR_TYPE_I64;
        if (type == WEIR_TYPE_V128)
            weir__gen_unsupported(g, "a local of type v128");
        g->locals[i] = (struct gen_local){
            .type = (uint8_t)type, .reg = X64_NONE, .newest = GEN_NONE, .web = i};
        if (add_web(g, i, 0) == NULL)
            return false;
    }
    return g->status == WEIR_OK;
}

/* Number of the outermost open loop that began after `position`, or GEN_NONE. */
static uint32_t outermost_loop_after(const struct gen *g, uint32_t position)
{
    const struct gen_open_loop *loops = g->open_loops.items;
    size_t low = 0;
    size_t high = g->open_loops.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (loops[middle].start > position)
            high = middle;
        else
            low = middle + 1;
    }
    return low < g->open_loops.count ? loops[low].number : GEN_NONE;
}

static void use_web(struct gen *g, struct gen_web *web, uint32_t position, uint32_t weight)
{
    web->weight = web->weight + weight > WEIGHT_MAX ? WEIGHT_MAX : web->weight + weight;
    web->end = position;
    uint32_t loop = outermost_loop_after(g, web->first);
    if (loop != GEN_NONE)
        web->loop = loop;
}

static bool is_block_open(const struct gen *g, const struct gen_web *web)
{
    const struct scan_block *blocks = g->blocks.items;
    return web->block_id == 0 ||
           (web->block_depth < g->blocks.count && blocks[web->block_depth].id == web->block_id);
}

/* A read sees the newest value, and older ones as far as the newest does not cover this place. */
static void read_local(struct gen *g, uint32_t index, uint32_t position, uint32_t weight)
{
    struct gen_local *local = &g->locals[index];
    struct gen_web *web = web_at(g, local->web);
    while (!is_block_open(g, web)) {
        struct gen_web *older = web_at(g, web->below);
        uint32_t sum = older->weight + web->weight;
        older->weight = sum > WEIGHT_MAX ? WEIGHT_MAX : sum;
        web->is_joined = true;
        local->web = web->below;
        web = older;
    }
    use_web(g, web, position, weight);
}

static void write_local(struct gen *g, uint32_t index, uint32_t position, uint32_t weight)
{
    struct gen_local *local = &g->locals[index];
    struct gen_web *web = web_at(g, local->web);
    bool is_carried = web->loop != GEN_NONE && loop_ends(g)[web->loop] == 0;
    if (is_carried || g->webs.count >= WEBS_MAX + g->local_count) {
        read_local(g, index, position, weight);
        return;
    }
    uint32_t below = local->web;
    web = add_web(g, index, position);
    if (web == NULL)
        return;
    local->web = (uint32_t)g->webs.count - 1;
    web->below = below;
    web->weight = weight;
    web->block_depth = (uint32_t)g->blocks.count - 1;
    web->block_id = ((const struct scan_block *)g->blocks.items)[web->block_depth].id;
}

static void add_pseudo(struct gen *g, enum gen_pseudo which, uint32_t weight)
{
    struct gen_web *web = web_at(g, g->local_count + which);
    web->weight = web->weight + weight > WEIGHT_MAX ? WEIGHT_MAX : web->weight + weight;
}

static void note_call(struct gen *g, uint32_t position, uint32_t weight)
{
    uint64_t before = 0;
    if (g->call_weights.count > 0)
        before =
            ((const struct gen_call_weight *)g->call_weights.items)[g->call_weights.count - 1].sum;
    struct gen_call_weight *call = weir__gen_append(g, &g->call_weights, sizeof *call);
    if (call != NULL)
        *call = (struct gen_call_weight){.position = position, .sum = before + weight};
}

static void weigh(struct gen *g, const struct weir_insn *insn, uint32_t position, uint32_t weight)
{
    unsigned needs = weir__gen_ops[insn->op].needs;
    if (needs & GEN_NEEDS_LOCAL) {
        if (insn->op == WEIR_OP_LOCAL_GET)
            read_local(g, insn->index, position, weight);
        else
            write_local(g, insn->index, position, weight);
        return;
    }
    bool polls = g->has_poll && insn->op == WEIR_OP_LOOP;
    bool charges = g->costs != NULL && weir_fuel_is_accounting(insn->op);
    if (polls || charges) {
        /* A poll alone can afford to load the pointer first. */
        add_pseudo(g, GEN_STATE, charges ? weight : 1 + weight / 8);
        g->needs_vmctx = true;
    }
    if (needs == 0)
        return;
    if (needs & GEN_NEEDS_TRAP) {
        g->needs_vmctx |= g->calls_traps;
        return;
    }
    g->needs_vmctx = true;
    if (needs & GEN_NEEDS_MEMORY && insn->memory == 0) {
        add_pseudo(g, GEN_BASE, weight);
        if (!weir__gen_is_guarded(g, insn))
            add_pseudo(g, GEN_MEMORY, weight);
    } else {
        add_pseudo(g, GEN_VMCTX, weight);
    }
    if (needs & GEN_NEEDS_CALL)
        note_call(g, position, weight);
}

static bool open_block(struct gen *g, bool is_loop, uint32_t position)
{
    struct scan_block *block = weir__gen_append(g, &g->blocks, sizeof *block);
    if (block == NULL)
        return false;
    *block = (struct scan_block){.id = ++g->block_count, .loop = GEN_NONE};
    if (!is_loop)
        return true;
    block->loop = (uint32_t)g->loop_ends.count;
    uint32_t *end = weir__gen_append(g, &g->loop_ends, sizeof *end);
    struct gen_open_loop *open = weir__gen_append(g, &g->open_loops, sizeof *open);
    if (end == NULL || open == NULL)
        return false;
    *end = 0;
    *open = (struct gen_open_loop){.start = position, .number = block->loop};
    return true;
}

static void close_block(struct gen *g, uint32_t position)
{
    const struct scan_block *block = (struct scan_block *)g->blocks.items + --g->blocks.count;
    if (block->loop == GEN_NONE)
        return;
    loop_ends(g)[block->loop] = position;
    g->open_loops.count--;
}

/* The structure that `insn` opens or closes. False when out of memory. */
static bool follow_block(struct gen *g, const struct weir_insn *insn, uint32_t position)
{
    switch (insn->op) {
    case WEIR_OP_BLOCK:
    case WEIR_OP_IF:
        return open_block(g, false, position);
    case WEIR_OP_LOOP:
        return open_block(g, true, position);
    case WEIR_OP_ELSE: /* what the first arm set does not cover the second */
        close_block(g, position);
        return open_block(g, false, position);
    case WEIR_OP_END:
        close_block(g, position);
        return true;
    default:
        return true;
    }
}

/* Shifts by a variable need rcx, divisions rdx. */
static uint32_t special_regs(enum weir_op op, enum weir_op before)
{
    gen_emitter *emit = weir__gen_ops[op].emit;
    if (emit == weir__gen_emit_divide)
        return X64_BIT(RDX);
    bool is_const = before == WEIR_OP_I32_CONST || before == WEIR_OP_I64_CONST;
    return emit == weir__gen_emit_shift && !is_const ? X64_BIT(RCX) : 0;
}

static bool scan_body(struct gen *g)
{
    struct weir_insn_reader reader = g->reader;
    uint32_t position = 0;
    struct weir_insn insn;
    enum weir_op before = WEIR_OP_NOP;
    g->block_count = 0;
    g->blocks.count = 0;
    g->loop_ends.count = 0;
    g->open_loops.count = 0;
    g->call_weights.count = 0;
    g->special = 0;
    if (!open_block(g, false, 0)) /* the function's own */
        return false;
    while (reader.position < reader.end && g->status == WEIR_OK) {
        enum weir_status status = weir_insn_read(&reader, &insn, g->error);
        if (status != WEIR_OK) {
            weir__gen_fail(g, status);
            return false;
        }
        weir__gen_number_local(g, &insn);
        position++;
        g->special |= special_regs(insn.op, before);
        before = insn.op;
        if (!follow_block(g, &insn, position))
            return false;
        size_t depth = g->open_loops.count;
        uint32_t shift = LOOP_SHIFT * (uint32_t)(depth < LOOP_DEPTH_MAX ? depth : LOOP_DEPTH_MAX);
        weigh(g, &insn, position, UINT32_C(1) << shift);
    }
    g->insn_count = position;
    return g->status == WEIR_OK;
}

/* Fills g->webs and what else is known about the function before its code. */
void weir__gen_scan(struct gen *g)
{
    g->needs_vmctx = g->type->result_count > 1; /* state->results */
    if (!prepare_locals(g) || !scan_body(g))
        return;
    for (size_t i = 0; i < g->webs.count; i++)
        settle_end(g, web_at(g, (uint32_t)i));
    for (unsigned which = 0; which < GEN_PSEUDO_COUNT; which++)
        web_at(g, g->local_count + which)->end = g->insn_count;
    g->has_calls = g->call_weights.count > 0;
}
