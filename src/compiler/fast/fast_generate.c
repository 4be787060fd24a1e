/* The fast generator over a whole module: constants, calls between functions, sites, failure.
 *
 * Failure is sticky: an emitter that runs out of memory or meets what it cannot do notes the first
 * status and goes on harmlessly; the loop over instructions stops after it.
 */
#include "compiler/fast/fast_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define PROGRESS_STEP 64u
#define TEXT_PER_BYTE 2u /* of the module's code; a first guess, text grows as needed */
#define TEXT_FIRST_BYTES 4096u
#define CONST_TABLE_FIRST 64u

void weir__gen_fail(struct gen *g, enum weir_status status)
{
    if (g->status == WEIR_OK)
        g->status = status;
}

void weir__gen_unsupported(struct gen *g, const char *what)
{
    if (g->status != WEIR_OK)
        return;
    g->status = weir_error_set(g->error, WEIR_UNSUPPORTED, g->insn.offset,
                               "the fast generator cannot compile %s (function %u)", what,
                               (unsigned)(g->func - g->module->funcs));
}

/* Room for one more item, uninitialised; NULL when out of memory, which has been noted. */
void *weir__gen_append(struct gen *g, struct gen_vector *v, size_t size)
{
    if (v->count == v->capacity) {
        size_t capacity = v->capacity * 2 + 64;
        void *grown = realloc(v->items, capacity * size);
        if (grown == NULL) {
            weir__gen_fail(g, WEIR_NO_MEMORY);
            return NULL;
        }
        v->items = grown;
        v->capacity = capacity;
    }
    return (uint8_t *)v->items + size * v->count++;
}

/* Makes .rodata at least `size` bytes long; what is new is zero. */
bool weir__gen_reserve_rodata(struct gen *g, size_t size)
{
    struct gen_vector *v = &g->rodata;
    if (size > INT32_MAX) {
        weir__gen_fail(g, WEIR_TOO_LARGE);
        return false;
    }
    if (size > v->capacity) {
        size_t capacity = size + v->capacity + 256;
        void *grown = realloc(v->items, capacity);
        if (grown == NULL) {
            weir__gen_fail(g, WEIR_NO_MEMORY);
            return false;
        }
        v->items = grown;
        v->capacity = capacity;
    }
    if (size > v->count) {
        memset((uint8_t *)v->items + v->count, 0, size - v->count);
        v->count = size;
    }
    return true;
}

static uint32_t hash_bits(uint64_t bits)
{
    return (uint32_t)((bits * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static uint64_t const_at(const struct gen *g, uint32_t offset)
{
    return weir_load_u64((const uint8_t *)g->rodata.items + offset);
}

static bool grow_const_table(struct gen *g)
{
    struct gen_vector *v = &g->const_table;
    size_t capacity = v->capacity == 0 ? CONST_TABLE_FIRST : v->capacity * 2;
    uint32_t *table = calloc(capacity, sizeof *table);
    if (table == NULL) {
        weir__gen_fail(g, WEIR_NO_MEMORY);
        return false;
    }
    const uint32_t *old = v->items;
    for (size_t i = 0; i < v->capacity; i++) {
        if (old[i] == 0)
            continue;
        size_t at = hash_bits(const_at(g, old[i] - 1)) & (capacity - 1);
        while (table[at] != 0)
            at = (at + 1) & (capacity - 1);
        table[at] = old[i];
    }
    free(v->items);
    v->items = table;
    v->capacity = capacity;
    return true;
}

/* Offset in .rodata of eight bytes that hold `bits`; equal constants share a place. */
uint32_t weir__gen_const(struct gen *g, uint64_t bits)
{
    if (g->const_count * 2 >= g->const_table.capacity && !grow_const_table(g))
        return 0;
    uint32_t *table = g->const_table.items;
    size_t mask = g->const_table.capacity - 1;
    size_t at = hash_bits(bits) & mask;
    for (; table[at] != 0; at = (at + 1) & mask) {
        if (const_at(g, table[at] - 1) == bits)
            return table[at] - 1;
    }
    uint32_t offset = (uint32_t)weir_align_up(g->rodata.count, 8);
    if (!weir__gen_reserve_rodata(g, offset + 8))
        return 0;
    weir_store_u64((uint8_t *)g->rodata.items + offset, bits);
    table[at] = offset + 1;
    g->const_count++;
    return offset;
}

/* The next byte of text is a site. `offset` counts from the body's start. */
void weir__gen_site(struct gen *g, unsigned code, uint32_t offset)
{
    struct weir_trap_site *site = weir__gen_append(g, &g->sites, sizeof *site);
    if (site != NULL)
        *site = (struct weir_trap_site){x64_here(&g->a), code << 24 | offset};
}

/* The next instruction accesses a memory, which can't fault in no-signals form. */
void weir__gen_access_site(struct gen *g, uint32_t offset)
{
    if (!g->calls_traps)
        weir__gen_site(g, WEIR_TRAP_MEMORY_BOUNDS, offset);
}

static bool add_masks(struct gen *g)
{
    static const uint64_t masks[MASK_COUNT] = {
        [MASK_F32_SIGN] = UINT64_C(0x8000000080000000),
        [MASK_F64_SIGN] = UINT64_C(0x8000000000000000),
        [MASK_F32_ABS] = UINT64_C(0x7fffffff7fffffff),
        [MASK_F64_ABS] = UINT64_C(0x7fffffffffffffff),
    };
    if (!weir__gen_reserve_rodata(g, sizeof masks * 2))
        return false;
    for (unsigned i = 0; i < MASK_COUNT; i++) {
        weir_store_u64((uint8_t *)g->rodata.items + 16 * i, masks[i]);
        weir_store_u64((uint8_t *)g->rodata.items + 16 * i + 8, masks[i]);
    }
    return true;
}

static void resolve_calls(struct gen *g)
{
    const struct gen_jump *calls = g->calls.items;
    for (size_t i = 0; i < g->calls.count; i++)
        x64_patch32(&g->a, calls[i].at, g->funcs[calls[i].label].text_offset);
}

static void check_buffers(struct gen *g)
{
    if (g->a.is_out_of_memory)
        weir__gen_fail(g, WEIR_NO_MEMORY);
    else if (g->a.is_too_large)
        weir__gen_fail(g, WEIR_TOO_LARGE);
}

static enum weir_status report(struct gen *g)
{
    if (g->status == WEIR_NO_MEMORY)
        return weir_error_set(g->error, g->status, WEIR_NO_OFFSET,
                              "out of memory while generating code (%zu bytes of text so far)",
                              (size_t)(g->a.next - g->a.text));
    if (g->status == WEIR_TOO_LARGE)
        return weir_error_set(g->error, g->status, WEIR_NO_OFFSET,
                              "the module's machine code exceeds 2 GiB");
    return g->status;
}

static void generate(struct gen *g)
{
    uint32_t count = g->module->func_count - g->module->func_import_count;
    size_t code_bytes = 0;
    for (uint32_t i = g->module->func_import_count; i < g->module->func_count; i++)
        code_bytes += g->module->funcs[i].body_size;
    weir__x64_first(&g->a, code_bytes * TEXT_PER_BYTE + TEXT_FIRST_BYTES);
    g->funcs = calloc(count + 1u, sizeof *g->funcs);
    if (g->a.text == NULL || g->funcs == NULL) {
        weir__gen_fail(g, WEIR_NO_MEMORY);
        return;
    }
    if (!add_masks(g))
        return;
    for (uint32_t i = 0; i < count; i++) {
        weir__gen_function(g, i);
        check_buffers(g);
        if (g->status != WEIR_OK)
            return;
        if (g->options->progress != NULL && (i % PROGRESS_STEP == 0 || i + 1 == count))
            g->options->progress(g->options->progress_context, i + 1, count);
    }
    resolve_calls(g);
}

/* Frees all but what goes into the result. */
static void drop_working_state(struct gen *g)
{
    free(g->values);
    free(g->locals);
    free(g->numbers);
    free(g->group_ends.items);
    free(g->controls);
    free(g->labels.items);
    free(g->jumps.items);
    free(g->colds.items);
    free(g->webs.items);
    free(g->blocks.items);
    free(g->loop_ends.items);
    free(g->open_loops.items);
    free(g->call_weights.items);
    free(g->calls.items);
    free(g->const_table.items);
}

enum weir_status weir_fast_generate(const struct weir_wasm_module *module,
                                    const uint32_t *escape_index,
                                    const struct weir_code_options *options,
                                    struct weir_code *ret_code, struct weir_error *error)
{
    struct gen g = {
        .module = module,
        .options = options,
        .escape_index = escape_index,
        .error = error,
        .is_explicit = (options->flags & WEIR_ARTIFACT_EXPLICIT_BOUNDS) != 0,
        .calls_traps = (options->flags & WEIR_ARTIFACT_NO_SIGNALS) != 0,
        .has_poll = (options->flags & WEIR_ARTIFACT_POLL) != 0,
        .has_canonical_nans = (options->flags & WEIR_ARTIFACT_CANONICAL_NANS) != 0,
    };
    if (options->flags & WEIR_ARTIFACT_FUEL)
        g.costs = options->fuel_costs != NULL ? options->fuel_costs : &weir_fuel_costs_plain;
    generate(&g);
    drop_working_state(&g);
    struct weir_code code = {
        .text = g.a.text,
        .text_size = (size_t)(g.a.next - g.a.text),
        .rodata = g.rodata.items,
        .rodata_size = g.rodata.count,
        .fixups = g.a.fixups,
        .fixup_count = g.a.fixup_count,
        .funcs = g.funcs,
        .sites = g.sites.items,
        .site_count = g.sites.count,
    };
    if (g.status != WEIR_OK) {
        enum weir_status status = report(&g);
        weir_code_done(&code);
        return status;
    }
    *ret_code = code;
    return WEIR_OK;
}
