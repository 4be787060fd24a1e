/* The operand and control stacks; see validate_internal.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "wasm/types_text.h"
#include "wasm/validate_internal.h"

enum weir_status weir__validate_fail(const struct weir_validator *v, enum weir_status status,
                                     const char *format, ...)
{
    if (v->error == NULL || v->error->status != WEIR_OK)
        return status;
    char text[WEIR_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return weir__wasm_report(v->module, v->error, status, v->insn->offset, "%s", text);
}

static bool matches(weir_wasm_type actual, weir_wasm_type expected)
{
    return actual == expected || actual == WEIR_WASM_TYPE_UNKNOWN ||
           expected == WEIR_WASM_TYPE_UNKNOWN;
}

static __attribute__((cold)) enum weir_status fail_grow(const struct weir_validator *v)
{
    uint64_t max = v->module->limits.operands_max;
    if (v->operand_count >= max)
        return weir__validate_fail(v, WEIR_TOO_LARGE, "more than %llu operands on the stack at %s",
                                   (unsigned long long)max, weir__validate_op_name(v));
    return weir__validate_fail(v, WEIR_NO_MEMORY, "no memory for the operand stack");
}

/* Room for `count` more operands. Doubling leaves old arrays in the arena: at most as much again.
 */
static enum weir_status reserve(struct weir_validator *v, uint32_t count)
{
    uint64_t wanted = (uint64_t)v->operand_count + count;
    if (wanted <= v->operand_capacity)
        return WEIR_OK;
    uint64_t max = v->module->limits.operands_max;
    if (wanted > max) {
        v->operand_count = (uint32_t)max;
        return fail_grow(v);
    }
    uint64_t capacity = v->operand_capacity == 0 ? 256 : 2 * (uint64_t)v->operand_capacity;
    capacity = capacity < wanted ? wanted : capacity;
    capacity = capacity > max ? max : capacity;
    weir_wasm_type *grown = WEIR_ARENA_ARRAY(v->scratch, weir_wasm_type, capacity);
    if (grown == NULL)
        return fail_grow(v);
    if (v->operand_count > 0)
        memcpy(grown, v->operands, v->operand_count * sizeof *grown);
    v->operands = grown;
    v->operand_capacity = (uint32_t)capacity;
    return WEIR_OK;
}

enum weir_status weir__validate_push(struct weir_validator *v, weir_wasm_type type)
{
    if (v->operand_count == v->operand_capacity) {
        enum weir_status status = reserve(v, 1);
        if (status != WEIR_OK)
            return status;
    }
    v->operands[v->operand_count++] = type;
    return WEIR_OK;
}

static __attribute__((cold)) enum weir_status fail_pop(const struct weir_validator *v,
                                                       weir_wasm_type expected)
{
    const char *found = v->operand_count > v->base
                            ? weir_wasm_type_name(v->operands[v->operand_count - 1])
                            : "nothing";
    return weir__validate_fail(v, WEIR_INVALID, "type mismatch: %s wants %s, found %s",
                               weir__validate_op_name(v), weir_wasm_type_name(expected), found);
}

enum weir_status weir__validate_pop(struct weir_validator *v, weir_wasm_type type)
{
    if (v->operand_count > v->base) {
        if (!matches(v->operands[v->operand_count - 1], type))
            return fail_pop(v, type);
        v->operand_count--;
        return WEIR_OK;
    }
    return weir__validate_frame(v)->is_unreachable ? WEIR_OK : fail_pop(v, type);
}

enum weir_status weir__validate_pop_any(struct weir_validator *v, weir_wasm_type *ret_type)
{
    if (v->operand_count > v->base) {
        *ret_type = v->operands[--v->operand_count];
        return WEIR_OK;
    }
    if (!weir__validate_frame(v)->is_unreachable)
        return fail_pop(v, WEIR_WASM_TYPE_UNKNOWN);
    *ret_type = WEIR_WASM_TYPE_UNKNOWN;
    return WEIR_OK;
}

enum weir_status weir__validate_push_vector(struct weir_validator *v,
                                            struct weir_validate_vector vector)
{
    enum weir_status status = reserve(v, vector.count);
    if (status != WEIR_OK || vector.count == 0)
        return status;
    memcpy(v->operands + v->operand_count, vector.types, vector.count * sizeof *vector.types);
    v->operand_count += vector.count;
    return WEIR_OK;
}

static __attribute__((cold)) enum weir_status fail_vector(const struct weir_validator *v,
                                                          uint32_t position,
                                                          weir_wasm_type expected,
                                                          const char *found)
{
    return weir__validate_fail(v, WEIR_INVALID, "type mismatch: %s wants %s as value %u, found %s",
                               weir__validate_op_name(v), weir_wasm_type_name(expected),
                               (unsigned)position + 1, found);
}

/* The last `count` of the vector against the last `count` operands. */
static enum weir_status compare_top(const struct weir_validator *v,
                                    struct weir_validate_vector vector, uint32_t count)
{
    const weir_wasm_type *wanted = vector.types + (vector.count - count);
    const weir_wasm_type *found = v->operands + (v->operand_count - count);
    if (memcmp(wanted, found, count * sizeof *wanted) == 0)
        return WEIR_OK;
    for (uint32_t i = count; i-- > 0;) {
        if (!matches(found[i], wanted[i]))
            return fail_vector(v, vector.count - count + i, wanted[i],
                               weir_wasm_type_name(found[i]));
    }
    return WEIR_OK;
}

enum weir_status weir__validate_peek_vector(struct weir_validator *v,
                                            struct weir_validate_vector vector)
{
    uint32_t present = v->operand_count - v->base;
    uint32_t count = vector.count < present ? vector.count : present;
    enum weir_status status = count > 0 ? compare_top(v, vector, count) : WEIR_OK;
    if (status == WEIR_OK && count < vector.count && !weir__validate_frame(v)->is_unreachable)
        return fail_vector(v, vector.count - count - 1, vector.types[vector.count - count - 1],
                           "nothing");
    return status;
}

enum weir_status weir__validate_pop_vector(struct weir_validator *v,
                                           struct weir_validate_vector vector)
{
    enum weir_status status = weir__validate_peek_vector(v, vector);
    if (status != WEIR_OK)
        return status;
    uint32_t present = v->operand_count - v->base;
    v->operand_count -= vector.count < present ? vector.count : present;
    return WEIR_OK;
}

void weir__validate_set_unreachable(struct weir_validator *v)
{
    v->operand_count = v->base;
    weir__validate_frame(v)->is_unreachable = true;
}

static enum weir_status grow_frames(struct weir_validator *v)
{
    uint64_t max = v->module->limits.block_depth_max;
    if (v->frame_count >= max)
        return weir__validate_fail(v, WEIR_TOO_LARGE, "more than %llu nested blocks",
                                   (unsigned long long)max);
    uint64_t capacity = v->frame_capacity == 0 ? 64 : 2 * (uint64_t)v->frame_capacity;
    capacity = capacity > max ? max : capacity;
    struct weir_validate_frame *grown =
        WEIR_ARENA_ARRAY(v->scratch, struct weir_validate_frame, capacity);
    if (grown == NULL)
        return weir__validate_fail(v, WEIR_NO_MEMORY, "no memory for the control stack");
    if (v->frame_count > 0)
        memcpy(grown, v->frames, v->frame_count * sizeof *grown);
    v->frames = grown;
    v->frame_capacity = (uint32_t)capacity;
    return WEIR_OK;
}

enum weir_status weir__validate_push_frame(struct weir_validator *v, enum weir_op op,
                                           struct weir_validate_vector params,
                                           struct weir_validate_vector results)
{
    if (v->frame_count == v->frame_capacity) {
        enum weir_status status = grow_frames(v);
        if (status != WEIR_OK)
            return status;
    }
    v->frames[v->frame_count++] = (struct weir_validate_frame){
        .params = params,
        .results = results,
        .height = v->operand_count,
        .op = (uint8_t)op,
    };
    v->base = v->operand_count;
    return weir__validate_push_vector(v, params);
}

enum weir_status weir__validate_pop_frame(struct weir_validator *v,
                                          struct weir_validate_frame *ret_frame)
{
    WEIR_DASSERT(v->frame_count > 0);
    struct weir_validate_frame frame = *weir__validate_frame(v);
    enum weir_status status = weir__validate_peek_vector(v, frame.results);
    if (status != WEIR_OK)
        return status;
    uint32_t present = v->operand_count - v->base;
    if (present > frame.results.count)
        return weir__validate_fail(v, WEIR_INVALID,
                                   "type mismatch: %u values left over at %s, %u are its results",
                                   (unsigned)(present - frame.results.count),
                                   weir__validate_op_name(v), (unsigned)frame.results.count);
    v->operand_count = frame.height;
    v->frame_count--;
    v->base = v->frame_count > 0 ? weir__validate_frame(v)->height : 0;
    *ret_frame = frame;
    return WEIR_OK;
}
