/* A parsed Candid text as bytes: the table of its types, each once, then the values. */
#include <string.h>

#include "worlds/canister/candid_parse.h"

struct out {
    struct weir_arena *arena;
    struct weir_error *error;
    uint8_t *bytes;
    size_t size, capacity;
    struct weir__shape *table[WEIR_CANDID_TYPES_MAX];
    uint32_t count;
    bool is_refused;
};

static void put(struct out *out, const void *bytes, size_t size)
{
    if (out->is_refused || size == 0)
        return;
    if (out->size + size > out->capacity) {
        size_t capacity = (out->size + size) * 2 + 64;
        uint8_t *more = WEIR_ARENA_ARRAY(out->arena, uint8_t, capacity);
        if (more == NULL) {
            out->is_refused = true;
            return;
        }
        if (out->size != 0)
            memcpy(more, out->bytes, out->size);
        out->bytes = more;
        out->capacity = capacity;
    }
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

static void put_leb(struct out *out, uint64_t value)
{
    do {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        if (value != 0)
            byte |= 0x80;
        put(out, &byte, 1);
    } while (value != 0);
}

/* Types are small: codes above -64, indices below 4,096. */
static void put_sleb(struct out *out, int64_t value)
{
    for (;;) {
        uint8_t byte = (uint8_t)(value & 0x7f);
        value >>= 7;
        bool is_last = (value == 0 && (byte & 0x40) == 0) || (value == -1 && (byte & 0x40) != 0);
        byte |= is_last ? 0 : 0x80;
        put(out, &byte, 1);
        if (is_last)
            return;
    }
}

/* --- the table ----------------------------------------------------------------------------- */

static bool same(const struct weir__shape *a, const struct weir__shape *b)
{
    if (a == b)
        return true;
    if (a->code != b->code || a->slot_count != b->slot_count)
        return false;
    if ((a->code == CANDID_OPT || a->code == CANDID_VEC) && !same(a->element, b->element))
        return false;
    for (uint32_t i = 0; i < a->slot_count; i++)
        if (a->slots[i].id != b->slots[i].id || !same(a->slots[i].shape, b->slots[i].shape))
            return false;
    return true;
}

static bool is_composite(const struct weir__shape *shape)
{
    return shape->code <= CANDID_OPT && shape->code >= CANDID_VARIANT;
}

/* Inner types first, so that each is known when it is named. */
static enum weir_status enter(struct out *out, struct weir__shape *shape)
{
    enum weir_status status = WEIR_OK;
    if (!is_composite(shape) || shape->index != 0)
        return WEIR_OK;
    if (shape->element != NULL)
        status = enter(out, shape->element);
    for (uint32_t i = 0; status == WEIR_OK && i < shape->slot_count; i++)
        status = enter(out, shape->slots[i].shape);
    for (uint32_t i = 0; status == WEIR_OK && i < out->count && shape->index == 0; i++)
        if (same(out->table[i], shape))
            shape->index = i + 1;
    if (status != WEIR_OK || shape->index != 0)
        return status;
    if (out->count == WEIR_CANDID_TYPES_MAX)
        return weir_error_set(out->error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "candid: more than %u types", WEIR_CANDID_TYPES_MAX);
    out->table[out->count++] = shape;
    shape->index = out->count;
    return WEIR_OK;
}

static int64_t reference(const struct weir__shape *shape)
{
    return is_composite(shape) ? shape->index - 1 : shape->code;
}

static void put_table(struct out *out)
{
    put_leb(out, out->count);
    for (uint32_t i = 0; i < out->count; i++) {
        const struct weir__shape *shape = out->table[i];
        put_sleb(out, shape->code);
        if (shape->element != NULL) {
            put_sleb(out, reference(shape->element));
            continue;
        }
        put_leb(out, shape->slot_count);
        for (uint32_t k = 0; k < shape->slot_count; k++) {
            put_leb(out, shape->slots[k].id);
            put_sleb(out, reference(shape->slots[k].shape));
        }
    }
}

/* --- values -------------------------------------------------------------------------------- */

static void put_value(struct out *out, const struct weir__node *node,
                      const struct weir__shape *shape);

static void put_number(struct out *out, const struct weir__node *node, int64_t code)
{
    unsigned width = weir__candid_width(code);
    uint64_t bits = 0;
    if (width != 0) {
        (void)weir__number_fits(&node->number, width, weir__candid_is_signed(code), &bits);
        put(out, &bits, width);
        return;
    }
    uint8_t few[64];
    size_t room = (size_t)node->number.count * 5 + 2;
    uint8_t *to = room <= sizeof few ? few : WEIR_ARENA_ARRAY(out->arena, uint8_t, room);
    if (to == NULL)
        out->is_refused = true;
    else
        put(out, to, weir__number_encode(&node->number, code == CANDID_INT, to));
}

static void put_primitive(struct out *out, const struct weir__node *node, int64_t code)
{
    static const uint8_t transparent = 1;
    float narrow = (float)node->real;
    uint8_t truth = node->truth;
    switch (code) {
    case CANDID_NULL:
    case CANDID_RESERVED:
        return;
    case CANDID_BOOL:
        put(out, &truth, 1);
        return;
    case CANDID_FLOAT32:
        put(out, &narrow, sizeof narrow);
        return;
    case CANDID_FLOAT64:
        put(out, &node->real, sizeof node->real);
        return;
    case CANDID_PRINCIPAL:
        put(out, &transparent, 1);
        put_leb(out, node->size);
        put(out, node->bytes, node->size);
        return;
    case CANDID_TEXT:
        put_leb(out, node->size);
        put(out, node->bytes, node->size);
        return;
    default:
        put_number(out, node, code);
    }
}

static void put_case(struct out *out, const struct weir__node *node,
                     const struct weir__shape *shape)
{
    uint32_t index = 0;
    while (shape->slots[index].id != node->first->id)
        index++;
    put_leb(out, index);
    put_value(out, node->first, shape->slots[index].shape);
}

static void put_value(struct out *out, const struct weir__node *node,
                      const struct weir__shape *shape)
{
    uint8_t is_there = node->shape->code == CANDID_OPT;
    const struct weir__node *item = node->first;
    switch (shape->code) {
    case CANDID_OPT: /* null may stand where an opt was found */
        put(out, &is_there, 1);
        if (is_there)
            put_value(out, item, shape->element);
        return;
    case CANDID_VEC:
        put_leb(out, node->is_blob ? node->size : node->count);
        put(out, node->bytes, node->is_blob ? node->size : 0);
        for (; item != NULL; item = item->next)
            put_value(out, item, shape->element);
        return;
    case CANDID_RECORD:
        for (uint32_t i = 0; item != NULL; item = item->next, i++)
            put_value(out, item, shape->slots[i].shape);
        return;
    case CANDID_VARIANT:
        put_case(out, node, shape);
        return;
    default:
        put_primitive(out, node, shape->code);
    }
}

enum weir_status weir_candid_encode(const char *text, size_t size, struct weir_arena *arena,
                                    const uint8_t **ret_bytes, size_t *ret_size,
                                    struct weir_error *error)
{
    struct weir__node *list;
    enum weir_status status = weir__candid_parse(text, size, arena, &list, error);
    struct out *out = status == WEIR_OK ? WEIR_ARENA_NEW(arena, struct out) : NULL;
    if (status != WEIR_OK)
        return status;
    if (out == NULL)
        return weir__candid_no_memory(error);
    out->arena = arena;
    out->error = error;
    for (const struct weir__node *item = list->first; status == WEIR_OK && item != NULL;
         item = item->next)
        status = enter(out, item->shape);
    if (status != WEIR_OK)
        return status;
    put(out, "DIDL", 4);
    put_table(out);
    put_leb(out, list->count);
    for (const struct weir__node *item = list->first; item != NULL; item = item->next)
        put_sleb(out, reference(item->shape));
    for (const struct weir__node *item = list->first; item != NULL; item = item->next)
        put_value(out, item, item->shape);
    if (out->is_refused)
        return weir__candid_no_memory(error);
    *ret_bytes = out->bytes;
    *ret_size = out->size;
    return WEIR_OK;
}
