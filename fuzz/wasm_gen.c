/* See wasm_gen.h. */
#include "wasm_gen_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t gen_bits(struct gen *g)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8 && g->left > 0; i++, g->left--)
        bits = bits << 8 | *g->data++;
    g->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t mixed = g->state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ mixed ^ mixed >> 31;
}

/* Takes one byte of the input while there is one, so that mutations stay local. */
uint32_t gen_pick(struct gen *g, uint32_t count)
{
    if (g->left > 0 && count <= 256) {
        g->left--;
        return *g->data++ % count;
    }
    return (uint32_t)(gen_bits(g) >> 32) % count;
}

bool gen_chance(struct gen *g, unsigned percent)
{
    return gen_pick(g, 100) < percent;
}

char gen_type(struct gen *g)
{
    return "iiiiilllllffffddddr"[gen_pick(g, 19)];
}

/* Up to `max` types. */
void gen_types(struct gen *g, unsigned max, char *ret_types)
{
    unsigned count = gen_pick(g, max + 1);
    memset(ret_types, 0, GEN_TYPES_MAX + 1);
    for (unsigned i = 0; i < count; i++)
        ret_types[i] = gen_type(g);
}

void gen_byte(struct gen_buf *buf, unsigned byte)
{
    if (buf->size == buf->capacity) {
        buf->capacity = buf->capacity * 2 + 256;
        buf->bytes = realloc(buf->bytes, buf->capacity);
        if (buf->bytes == NULL)
            abort();
    }
    buf->bytes[buf->size++] = (uint8_t)byte;
}

void gen_u64(struct gen_buf *buf, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        gen_byte(buf, (unsigned)(value & 0x7f) | 0x80);
    gen_byte(buf, (unsigned)value);
}

void gen_u32(struct gen_buf *buf, uint32_t value)
{
    gen_u64(buf, value);
}

void gen_s64(struct gen_buf *buf, int64_t value)
{
    for (; value < -64 || value > 63; value >>= 7)
        gen_byte(buf, (unsigned)(value & 0x7f) | 0x80);
    gen_byte(buf, (unsigned)value & 0x7f);
}

void gen_append(struct gen_buf *buf, const struct gen_buf *other)
{
    for (size_t i = 0; i < other->size; i++)
        gen_byte(buf, other->bytes[i]);
}

unsigned gen_type_code(char type)
{
    return type == 'i' ? 0x7f : type == 'l' ? 0x7e : type == 'f' ? 0x7d : type == 'd' ? 0x7c : 0x70;
}

unsigned gen_signature(struct gen *g, const char *params, const char *results)
{
    /* Now and then the same type again: equal types have several indices. */
    unsigned first = g->signature_count < 100 && gen_chance(g, 20) ? g->signature_count : 0;
    for (unsigned i = first; i < g->signature_count; i++)
        if (strcmp(g->signatures[i].params, params) == 0 &&
            strcmp(g->signatures[i].results, results) == 0)
            return i;
    if (g->signature_count == GEN_SIGNATURES_MAX)
        abort();
    struct gen_signature *signature = &g->signatures[g->signature_count];
    (void)snprintf(signature->params, sizeof signature->params, "%s", params);
    (void)snprintf(signature->results, sizeof signature->results, "%s", results);
    return g->signature_count++;
}

static void put_section(struct gen_buf *module, unsigned id, struct gen_buf *content)
{
    gen_byte(module, id);
    gen_u32(module, (uint32_t)content->size);
    gen_append(module, content);
    free(content->bytes);
    *content = (struct gen_buf){0};
}

static void put_types(struct gen_buf *buf, const char *types)
{
    gen_u32(buf, (uint32_t)strlen(types));
    for (; *types != '\0'; types++)
        gen_byte(buf, gen_type_code(*types));
}

/* Locals, extra ones for canonical NaNs among them, and the frame of the body. */
static void begin_function(struct gen *g, const struct gen_signature *signature)
{
    g->body = (struct gen_buf){0};
    g->height = 0;
    g->is_clean = false;
    memset(g->locals, 0, sizeof g->locals);
    size_t params = strlen(signature->params);
    memcpy(g->locals, signature->params, params);
    g->local_count = (unsigned)params;
    unsigned extra = gen_chance(g, 85) ? gen_pick(g, 10) : gen_pick(g, 60);
    for (unsigned i = 0; i < extra; i++)
        g->locals[g->local_count++] = gen_type(g);
    g->spare_f32 = g->local_count;
    g->locals[g->local_count++] = 'f';
    g->spare_f64 = g->local_count;
    g->locals[g->local_count++] = 'd';
    gen_u32(&g->body, g->local_count - (unsigned)params);
    for (size_t i = params; i < g->local_count; i++) {
        gen_u32(&g->body, 1);
        gen_byte(&g->body, gen_type_code(g->locals[i]));
    }
    g->frame_count = 1;
    g->frames[0].base = 0;
    g->frames[0].is_loop = false;
    memcpy(g->frames[0].results, signature->results, sizeof signature->results);
    memcpy(g->frames[0].label, signature->results, sizeof signature->results);
}

static void end_function(struct gen *g, struct gen_buf *code)
{
    gen_byte(&g->body, 0x0b);
    gen_u32(code, (uint32_t)g->body.size);
    gen_append(code, &g->body);
    free(g->body.bytes);
}

static void put_function(struct gen *g, struct gen_buf *code, unsigned func)
{
    struct gen_signature signature = g->signatures[g->funcs[func]];
    uint64_t state = g->state;
    begin_function(g, &signature);
    gen_count_down(g, GEN_GLOBAL_CALLS);
    g->budget = 40 + (int)gen_pick(g, 160);
    int steps = g->options.steps[func - GEN_IMPORTS];
    if (steps != 0)
        g->budget = steps < 0 ? 0 : steps;
    gen_sequence(g, 200);
    end_function(g, code);
    g->state = state ^ 0x5bd1e995u; /* the next function does not depend on this one's length */
}

static void put_test(struct gen *g, struct gen_buf *code)
{
    static const struct gen_signature test = {"", "l"};
    begin_function(g, &test);
    gen_i32(g, 200);
    gen_op_u32(g, 0x24, GEN_GLOBAL_LOOPS);
    gen_i32(g, 80);
    gen_op_u32(g, 0x24, GEN_GLOBAL_CALLS);
    gen_op_u32(g, 0x42, 0);
    gen_op_u32(g, 0x24, GEN_GLOBAL_HASH);
    gen_pop(g, 2);
    for (unsigned i = 0; i < 2; i++) {
        unsigned func = GEN_IMPORTS + gen_pick(g, g->func_count - GEN_IMPORTS);
        const struct gen_signature *signature = &g->signatures[g->funcs[func]];
        for (const char *param = signature->params; *param != '\0'; param++)
            gen_constant(g, *param);
        gen_op_u32(g, 0x10, func);
        gen_pop(g, strlen(signature->params));
        for (const char *result = signature->results; *result != '\0'; result++)
            gen_push(g, *result);
        while (g->height > 0)
            gen_hash_top(g);
    }
    for (unsigned i = GEN_GLOBALS_FIXED; i < g->global_count; i++) {
        gen_op_u32(g, 0x23, i);
        gen_push(g, g->globals[i]);
        gen_hash_top(g);
    }
    gen_op_u32(g, 0x23, GEN_GLOBAL_HASH);
    end_function(g, code);
}

static void put_globals(struct gen *g, struct gen_buf *module)
{
    struct gen_buf section = {0};
    gen_u32(&section, g->global_count);
    g->frame_count = 1;
    for (unsigned i = 0; i < g->global_count; i++) {
        gen_byte(&section, gen_type_code(g->globals[i]));
        gen_byte(&section, 1);
        g->body = (struct gen_buf){0};
        g->height = 0;
        if (i < GEN_GLOBALS_FIXED || g->globals[i] == 'r')
            gen_zero(g, g->globals[i]);
        else
            gen_constant(g, g->globals[i]);
        gen_append(&section, &g->body);
        gen_byte(&section, 0x0b);
        free(g->body.bytes);
    }
    put_section(module, 6, &section);
}

static void put_exports(struct gen *g, struct gen_buf *module)
{
    struct gen_buf section = {0};
    gen_u32(&section, GEN_TESTS + g->memory_count);
    for (unsigned i = 0; i < GEN_TESTS; i++) {
        gen_byte(&section, 2);
        gen_byte(&section, 't');
        gen_byte(&section, '0' + i);
        gen_byte(&section, 0);
        gen_u32(&section, g->func_count + i);
    }
    for (unsigned i = 0; i < g->memory_count; i++) {
        gen_byte(&section, 1);
        gen_byte(&section, 'm' + i);
        gen_byte(&section, 2);
        gen_byte(&section, i);
    }
    put_section(module, 7, &section);
}

static unsigned constant_opcode(char index_type)
{
    return index_type == 'l' ? 0x42 : 0x41;
}

static void put_elements(struct gen *g, struct gen_buf *module)
{
    struct gen_buf section = {0};
    gen_u32(&section, 2);
    gen_u32(&section, 0); /* table 0 from 0: every function at its own index */
    gen_byte(&section, constant_opcode(g->table));
    gen_byte(&section, 0);
    gen_byte(&section, 0x0b);
    gen_u32(&section, g->func_count);
    for (unsigned i = 0; i < g->func_count; i++)
        gen_u32(&section, i);
    gen_u32(&section, 1); /* passive */
    gen_byte(&section, 0);
    gen_u32(&section, 6);
    for (unsigned i = 0; i < 6; i++)
        gen_u32(&section, gen_pick(g, g->func_count));
    put_section(module, 9, &section);
}

static void put_data(struct gen *g, struct gen_buf *module)
{
    struct gen_buf section = {0};
    gen_u32(&section, 2);
    gen_u32(&section, 0);
    gen_byte(&section, constant_opcode(g->memories[0]));
    gen_s64(&section, 64);
    gen_byte(&section, 0x0b);
    gen_u32(&section, 256);
    for (unsigned i = 0; i < 256; i++)
        gen_byte(&section, (unsigned)gen_bits(g) & 0xff);
    gen_u32(&section, 1);
    gen_u32(&section, 32);
    for (unsigned i = 0; i < 32; i++)
        gen_byte(&section, (unsigned)gen_bits(g) & 0xff);
    put_section(module, 11, &section);
}

/* With a maximum; 64-bit or not. */
static void put_limits_flags(struct gen_buf *section, char index_type)
{
    gen_byte(section, index_type == 'l' ? 5 : 1);
}

static void put_declarations(struct gen *g, struct gen_buf *module)
{
    struct gen_buf section = {0};
    gen_u32(&section, g->signature_count);
    for (unsigned i = 0; i < g->signature_count; i++) {
        gen_byte(&section, 0x60);
        put_types(&section, g->signatures[i].params);
        put_types(&section, g->signatures[i].results);
    }
    put_section(module, 1, &section);
    gen_u32(&section, 1);
    for (const char *at = "\1e\1h"; *at != '\0'; at++)
        gen_byte(&section, (unsigned)*at);
    gen_byte(&section, 0);
    gen_u32(&section, g->funcs[0]);
    put_section(module, 2, &section);
    gen_u32(&section, g->func_count - GEN_IMPORTS + GEN_TESTS);
    for (unsigned i = GEN_IMPORTS; i < g->func_count; i++)
        gen_u32(&section, g->funcs[i]);
    for (unsigned i = 0; i < GEN_TESTS; i++)
        gen_u32(&section, 0);
    put_section(module, 3, &section);
    gen_u32(&section, 1);
    gen_byte(&section, 0x70);
    put_limits_flags(&section, g->table);
    gen_u32(&section, GEN_TABLE_SIZE);
    gen_u32(&section, 2 * GEN_TABLE_SIZE);
    put_section(module, 4, &section);
    gen_u32(&section, g->memory_count);
    for (unsigned i = 0; i < g->memory_count; i++) {
        put_limits_flags(&section, g->memories[i]);
        gen_u32(&section, 1);
        gen_u32(&section, 3);
    }
    put_section(module, 5, &section);
}

static void choose(struct gen *g)
{
    (void)gen_signature(g, "", "l"); /* index 0: of the tests */
    g->is_wild = gen_chance(g, 25);
    g->memory_count = g->options.has_multi_memory && gen_chance(g, 50) ? GEN_MEMORIES_MAX : 1;
    for (unsigned i = 0; i < g->memory_count; i++)
        g->memories[i] = g->options.has_memory64 && gen_chance(g, 50) ? 'l' : 'i';
    g->table = g->options.has_table64 && gen_chance(g, 50) ? 'l' : 'i';
    g->flow_percent = 8 + gen_pick(g, 35);
    g->func_count = GEN_IMPORTS + 1 + gen_pick(g, GEN_FUNCS_MAX - 1);
    g->funcs[0] = gen_signature(g, "il", "l");
    for (unsigned i = GEN_IMPORTS; i < g->func_count; i++) {
        char params[GEN_TYPES_MAX + 1];
        char results[GEN_TYPES_MAX + 1];
        gen_types(g, gen_chance(g, 85) ? 4 : 18, params);
        gen_types(g, gen_chance(g, 85) ? 2 : 12, results);
        g->funcs[i] = gen_signature(g, params, results);
    }
    memcpy(g->globals, "lii", GEN_GLOBALS_FIXED);
    g->global_count = GEN_GLOBALS_FIXED + gen_pick(g, GEN_GLOBALS_MAX - GEN_GLOBALS_FIXED);
    for (unsigned i = GEN_GLOBALS_FIXED; i < g->global_count; i++)
        g->globals[i] = gen_type(g);
}

uint8_t *gen_module(const uint8_t *data, size_t size, uint64_t seed,
                    const struct gen_options *options, size_t *ret_size)
{
    struct gen *g = calloc(1, sizeof *g);
    if (g == NULL)
        abort();
    g->data = data;
    g->left = size;
    g->state = seed;
    g->options = *options;
    choose(g);
    struct gen_buf code = {0};
    gen_u32(&code, g->func_count - GEN_IMPORTS + GEN_TESTS);
    for (unsigned i = GEN_IMPORTS; i < g->func_count; i++)
        put_function(g, &code, i);
    for (unsigned i = 0; i < GEN_TESTS; i++)
        put_test(g, &code);
    struct gen_buf module = {0};
    for (unsigned i = 0; i < 8; i++)
        gen_byte(&module, (unsigned)"\0asm\1\0\0\0"[i]);
    put_declarations(g, &module);
    put_globals(g, &module);
    put_exports(g, &module);
    put_elements(g, &module);
    struct gen_buf count = {0};
    gen_u32(&count, 2);
    put_section(&module, 12, &count);
    put_section(&module, 10, &code);
    put_data(g, &module);
    free(g);
    *ret_size = module.size;
    return module.bytes;
}
