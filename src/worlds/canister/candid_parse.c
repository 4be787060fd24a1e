/* Reads Candid's text form. Types are found on the way: a literal has the type that is written
 * behind it, or the one that its form suggests; elements of a vec are brought to one type. */
#include "worlds/canister/candid_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "worlds/canister/principal.h"

struct parse {
    const char *text;
    size_t size, at;
    struct weir_arena *arena;
    struct weir_error *error;
    unsigned depth;
    uint32_t nodes;
};

static enum weir_status bad(struct parse *parse, const char *what)
{
    char near[24] = "the end";
    size_t left = parse->size - parse->at;
    if (left > 0) {
        size_t size = left < 16 ? left : 16;
        size = weir_utf8_valid_prefix((const uint8_t *)parse->text + parse->at, size);
        (void)snprintf(near, sizeof near, "'%.*s'", (int)size, parse->text + parse->at);
    }
    return weir_error_set(parse->error, WEIR_MALFORMED, parse->at, "candid: %s at %s", what, near);
}

/* The same, where the trouble began. */
static enum weir_status bad_at(struct parse *parse, size_t begin, const char *what)
{
    parse->at = begin;
    return bad(parse, what);
}

static void skip_blank(struct parse *parse)
{
    while (parse->at < parse->size && strchr(" \t\r\n", parse->text[parse->at]) != NULL &&
           parse->text[parse->at] != 0)
        parse->at++;
}

static bool next_is(struct parse *parse, char c)
{
    skip_blank(parse);
    return parse->at < parse->size && parse->text[parse->at] == c;
}

static bool take(struct parse *parse, char c)
{
    if (!next_is(parse, c))
        return false;
    parse->at++;
    return true;
}

/* A word without moving behind it. */
static size_t peek_word(struct parse *parse)
{
    skip_blank(parse);
    size_t end = parse->at;
    while (end < parse->size && weir__candid_is_word(parse->text[end]))
        end++;
    return end - parse->at;
}

static bool take_word(struct parse *parse, const char *word)
{
    size_t size = peek_word(parse);
    if (size != strlen(word) || memcmp(parse->text + parse->at, word, size) != 0)
        return false;
    parse->at += size;
    return true;
}

static struct weir__shape *shape_new(struct parse *parse, int64_t code)
{
    struct weir__shape *shape = WEIR_ARENA_NEW(parse->arena, struct weir__shape);
    if (shape != NULL)
        shape->code = code;
    return shape;
}

static enum weir_status node_new(struct parse *parse, int64_t code, struct weir__node **ret_node)
{
    if (++parse->nodes > WEIR_CANDID_VALUES_MAX)
        return bad(parse, "too many values");
    struct weir__node *node = WEIR_ARENA_NEW(parse->arena, struct weir__node);
    struct weir__shape *shape = shape_new(parse, code);
    if (node == NULL || shape == NULL)
        return weir__candid_no_memory(parse->error);
    node->shape = shape;
    *ret_node = node;
    return WEIR_OK;
}

/* --- strings ------------------------------------------------------------------------------- */

static size_t put_utf8(uint32_t code, uint8_t *to)
{
    size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (uint8_t)(leads[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        to[i] = (uint8_t)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

/* {41} behind \u, a scalar value; the count of its bytes, 0: none. They are fewer than the
 * escape's. */
static size_t read_scalar(struct parse *parse, uint8_t *to)
{
    uint32_t code = 0;
    size_t digits = 0;
    if (parse->at == parse->size || parse->text[parse->at++] != '{')
        return 0;
    for (; parse->at < parse->size && parse->text[parse->at] != '}'; parse->at++, digits++) {
        int digit = weir_hex_digit(parse->text[parse->at]);
        if (digit < 0 || code > 0x10ffff)
            return 0;
        code = code << 4 | (uint32_t)digit;
    }
    if (parse->at++ == parse->size || digits == 0 || code > 0x10ffff || code >> 11 == 0x1b)
        return 0;
    return put_utf8(code, to);
}

/* One escape behind its backslash; the count of its bytes, 0: none. */
static size_t read_escape(struct parse *parse, uint8_t *to)
{
    static const char from[] = "nrt\"'\\";
    static const char bytes[] = "\n\r\t\"'\\";
    if (parse->at == parse->size)
        return 0;
    char c = parse->text[parse->at++];
    const char *found = c != 0 ? strchr(from, c) : NULL;
    if (c == 'u')
        return read_scalar(parse, to);
    if (found == NULL && (weir_hex_digit(c) < 0 || parse->at == parse->size ||
                          weir_hex_digit(parse->text[parse->at]) < 0))
        return 0;
    *to = (uint8_t)(found != NULL
                        ? bytes[found - from]
                        : weir_hex_digit(c) << 4 | weir_hex_digit(parse->text[parse->at++]));
    return 1;
}

/* "..."; bytes with a zero behind them. */
static enum weir_status read_string(struct parse *parse, uint8_t **ret_bytes, size_t *ret_size)
{
    if (!take(parse, '"'))
        return bad(parse, "a text in quotes is expected");
    size_t room = 1;
    for (size_t at = parse->at; at < parse->size && parse->text[at] != '"'; at++, room++)
        if (parse->text[at] == '\\')
            at++;
    uint8_t *bytes = WEIR_ARENA_ARRAY(parse->arena, uint8_t, room);
    if (bytes == NULL)
        return weir__candid_no_memory(parse->error);
    size_t size = 0;
    while (parse->at < parse->size && parse->text[parse->at] != '"') {
        size_t begin = parse->at;
        bytes[size] = (uint8_t)parse->text[parse->at++];
        size_t count = bytes[size] == '\\' ? read_escape(parse, bytes + size) : 1;
        if (count == 0)
            return bad_at(parse, begin,
                          "an escape is \\n, \\\", \\\\, two hexadecimal digits or \\u{41}");
        size += count;
    }
    if (parse->at == parse->size)
        return bad(parse, "a text without its closing quote");
    parse->at++;
    *ret_bytes = bytes;
    *ret_size = size;
    return WEIR_OK;
}

/* --- numbers ------------------------------------------------------------------------------- */

static enum weir_status read_float(struct parse *parse, struct weir__node *node, size_t begin)
{
    char digits[64];
    size_t size = 0;
    for (size_t i = begin; i < parse->at; i++) {
        if (parse->text[i] == '_')
            continue;
        if (size + 1 == sizeof digits)
            return bad(parse, "a number with too many digits");
        digits[size++] = parse->text[i];
    }
    digits[size] = 0;
    char *end = NULL;
    node->real = strtod(digits, &end);
    node->shape->code = CANDID_FLOAT64;
    return end == digits + size ? WEIR_OK : bad(parse, "not a number");
}

/* Digits, and what makes a float of them. */
static bool scan_number(struct parse *parse, bool is_hex)
{
    bool is_float = false;
    while (parse->at < parse->size) {
        char c = parse->text[parse->at];
        bool is_exponent = !is_hex && (c == 'e' || c == 'E');
        bool is_sign = (c == '-' || c == '+') && parse->at > 0 &&
                       strchr("eE", parse->text[parse->at - 1]) != NULL && is_float;
        if (!weir__candid_is_word(c) && c != '.' && !is_sign)
            break;
        is_float = is_float || c == '.' || is_exponent;
        parse->at++;
    }
    return is_float;
}

static enum weir_status read_number(struct parse *parse, struct weir__node **ret_node)
{
    struct weir__node *node;
    enum weir_status status = node_new(parse, CANDID_NAT, &node);
    if (status != WEIR_OK)
        return status;
    size_t begin = parse->at;
    bool has_sign = take(parse, '-');
    bool is_negative = has_sign;
    if (!has_sign)
        has_sign = take(parse, '+');
    bool is_hex = parse->size - parse->at > 2 && parse->text[parse->at] == '0' &&
                  (parse->text[parse->at + 1] | 0x20) == 'x';
    if (is_hex)
        parse->at += 2;
    size_t digits = parse->at;
    *ret_node = node;
    if (scan_number(parse, is_hex) && !is_hex)
        return read_float(parse, node, begin);
    struct weir_error why = {0};
    status = weir__number_read(parse->text + digits, parse->at - digits, is_hex, parse->arena,
                               &node->number, &why);
    if (status != WEIR_OK) {
        parse->at = begin;
        status = status == WEIR_MALFORMED ? bad(parse, why.message) : status;
        weir_error_move(parse->error, &why);
        weir_error_done(&why);
        return status;
    }
    node->number.is_negative = is_negative && node->number.count > 0;
    if (has_sign)
        node->shape->code = CANDID_INT;
    return WEIR_OK;
}

/* ": type" behind a literal that began there. */
static enum weir_status read_type(struct parse *parse, struct weir__node *node, size_t begin)
{
    if (!take(parse, ':'))
        return WEIR_OK;
    size_t size = peek_word(parse);
    int64_t code = weir__candid_type_code(parse->text + parse->at, size);
    int64_t have = node->shape->code;
    bool is_whole = have == CANDID_NAT || have == CANDID_INT;
    unsigned width = weir__candid_width(code);
    uint64_t ignored;
    bool is_good = code == have || (code == CANDID_INT && is_whole) ||
                   (code == CANDID_RESERVED && have == CANDID_NULL) ||
                   (code == CANDID_FLOAT32 && have == CANDID_FLOAT64);
    if (is_whole && code == CANDID_NAT)
        is_good = !node->number.is_negative;
    if (is_whole && width != 0)
        is_good = weir__number_fits(&node->number, width, weir__candid_is_signed(code), &ignored);
    if (is_whole && (code == CANDID_FLOAT32 || code == CANDID_FLOAT64) &&
        weir__number_fits(&node->number, 8, true, &ignored)) {
        node->real = (double)(int64_t)ignored;
        is_good = true;
    }
    if (code == 0)
        return bad(parse, "a type like nat8 or text is expected (others are not read)");
    if (!is_good) {
        char what[64];
        (void)snprintf(what, sizeof what, "a value that is no %.*s", (int)size,
                       parse->text + parse->at);
        return bad_at(parse, begin, what);
    }
    parse->at += size;
    node->shape->code = code;
    return WEIR_OK;
}

/* --- one type for all elements ------------------------------------------------------------- */

static enum weir_status unify(struct parse *parse, struct weir__shape *a, struct weir__shape *b,
                              struct weir__shape **ret);

static enum weir_status unify_slots(struct parse *parse, struct weir__shape *a,
                                    struct weir__shape *b, struct weir__shape **ret)
{
    if (a->slot_count != b->slot_count)
        return bad(parse, "an element of another type than those before it");
    for (uint32_t i = 0; i < a->slot_count; i++) {
        if (a->slots[i].id != b->slots[i].id)
            return bad(parse, "an element of another type than those before it");
        enum weir_status status =
            unify(parse, a->slots[i].shape, b->slots[i].shape, &a->slots[i].shape);
        if (status != WEIR_OK)
            return status;
    }
    *ret = a;
    return WEIR_OK;
}

/* All cases of both. */
static enum weir_status unify_cases(struct parse *parse, struct weir__shape *a,
                                    struct weir__shape *b, struct weir__shape **ret)
{
    struct weir__shape *both = shape_new(parse, CANDID_VARIANT);
    struct weir__slot *slots =
        WEIR_ARENA_ARRAY(parse->arena, struct weir__slot, (size_t)a->slot_count + b->slot_count);
    if (both == NULL || slots == NULL)
        return weir__candid_no_memory(parse->error);
    uint32_t i = 0;
    uint32_t k = 0;
    both->slots = slots;
    while (i < a->slot_count || k < b->slot_count) {
        struct weir__slot *slot = &slots[both->slot_count++];
        bool has_a = i < a->slot_count && (k == b->slot_count || a->slots[i].id <= b->slots[k].id);
        bool has_b = k < b->slot_count && (i == a->slot_count || b->slots[k].id <= a->slots[i].id);
        *slot = has_a ? a->slots[i] : b->slots[k];
        if (has_a && has_b) {
            enum weir_status status =
                unify(parse, a->slots[i].shape, b->slots[k].shape, &slot->shape);
            if (status != WEIR_OK)
                return status;
        }
        i += has_a;
        k += has_b;
    }
    *ret = both;
    return WEIR_OK;
}

static enum weir_status unify(struct parse *parse, struct weir__shape *a, struct weir__shape *b,
                              struct weir__shape **ret)
{
    bool is_a_null = a->code == CANDID_NULL;
    if (a->code == CANDID_EMPTY || (is_a_null && b->code == CANDID_OPT)) {
        *ret = b;
        return WEIR_OK;
    }
    if (b->code == CANDID_EMPTY || (b->code == CANDID_NULL && a->code == CANDID_OPT)) {
        *ret = a;
        return WEIR_OK;
    }
    bool is_a_whole = a->code == CANDID_NAT || a->code == CANDID_INT;
    bool is_b_whole = b->code == CANDID_NAT || b->code == CANDID_INT;
    if (a->code != b->code && is_a_whole && is_b_whole) {
        *ret = a->code == CANDID_INT ? a : b;
        return WEIR_OK;
    }
    if (a->code != b->code)
        return bad(parse, "an element of another type than those before it");
    *ret = a;
    if (a->code == CANDID_OPT || a->code == CANDID_VEC)
        return unify(parse, a->element, b->element, &a->element);
    if (a->code == CANDID_RECORD)
        return unify_slots(parse, a, b, ret);
    return a->code == CANDID_VARIANT ? unify_cases(parse, a, b, ret) : WEIR_OK;
}

/* --- values -------------------------------------------------------------------------------- */

static enum weir_status read_value(struct parse *parse, struct weir__node **ret_node);

static void append(struct weir__node *list, struct weir__node **last, struct weir__node *item)
{
    if (*last == NULL)
        list->first = item;
    else
        (*last)->next = item;
    *last = item;
    list->count++;
}

static enum weir_status read_vec(struct parse *parse, struct weir__node **ret_node)
{
    struct weir__node *node;
    struct weir__node *last = NULL;
    enum weir_status status = node_new(parse, CANDID_VEC, &node);
    if (status != WEIR_OK)
        return status;
    node->shape->element = shape_new(parse, CANDID_EMPTY);
    if (node->shape->element == NULL)
        return weir__candid_no_memory(parse->error);
    if (!take(parse, '{'))
        return bad(parse, "{ is expected");
    while (!take(parse, '}')) {
        struct weir__node *item;
        size_t begin = parse->at; /* next_is() has skipped blanks */
        status = read_value(parse, &item);
        if (status != WEIR_OK)
            return status;
        append(node, &last, item);
        size_t end = parse->at;
        parse->at = begin;
        status = unify(parse, node->shape->element, item->shape, &node->shape->element);
        if (status != WEIR_OK)
            return status;
        parse->at = end;
        if (!take(parse, ';') && !next_is(parse, '}'))
            return bad(parse, "; or } is expected");
    }
    *ret_node = node;
    return WEIR_OK;
}

/* The name of a field or case, quoted or not, or its number. */
struct label {
    const char *text;
    size_t size, begin;
    bool is_quoted;
};

/* *ret_found false: there is none here. */
static enum weir_status read_label(struct parse *parse, struct label *label, bool *ret_found)
{
    *label = (struct label){.size = peek_word(parse)}; /* skips blanks, too */
    label->begin = parse->at;
    label->text = parse->text + parse->at;
    label->is_quoted = next_is(parse, '"');
    *ret_found = label->is_quoted || label->size != 0;
    if (!label->is_quoted) {
        parse->at += label->size;
        return WEIR_OK;
    }
    uint8_t *quoted = NULL;
    enum weir_status status = read_string(parse, &quoted, &label->size);
    label->text = (const char *)quoted;
    return status;
}

static enum weir_status label_id(struct parse *parse, const struct label *label, uint32_t *ret_id)
{
    if (label->is_quoted || label->text[0] < '0' || label->text[0] > '9') {
        *ret_id = weir_candid_hash(label->text, label->size);
        return WEIR_OK;
    }
    struct weir__number number;
    uint64_t value = 0;
    if (weir__number_read(label->text, label->size, false, parse->arena, &number, NULL) !=
            WEIR_OK ||
        !weir__number_fits(&number, 4, false, &value))
        return bad_at(parse, label->begin, "the number of a field or case has 32 bits; not so");
    *ret_id = (uint32_t)value;
    return WEIR_OK;
}

/* A field's name or number and its =; without, the next number. */
static enum weir_status read_field_id(struct parse *parse, uint32_t *next_id, uint32_t *ret_id)
{
    struct label label;
    bool is_found = false;
    enum weir_status status = read_label(parse, &label, &is_found);
    if (status != WEIR_OK)
        return status;
    if (!is_found || !take(parse, '=')) {
        parse->at = label.begin; /* a value without a name */
        *ret_id = (*next_id)++;
        return WEIR_OK;
    }
    status = label_id(parse, &label, ret_id);
    *next_id = *ret_id + 1;
    return status;
}

/* Children and slots in ascending order; the same id twice is an error. */
static enum weir_status sort_fields(struct parse *parse, struct weir__node *node)
{
    struct weir__shape *shape = node->shape;
    shape->slots = WEIR_ARENA_ARRAY(parse->arena, struct weir__slot, node->count);
    struct weir__node **sorted = WEIR_ARENA_ARRAY(parse->arena, struct weir__node *, node->count);
    if (shape->slots == NULL || sorted == NULL)
        return weir__candid_no_memory(parse->error);
    uint32_t count = 0;
    for (struct weir__node *item = node->first; item != NULL; item = item->next) {
        uint32_t at = count++;
        for (; at > 0 && sorted[at - 1]->id > item->id; at--)
            sorted[at] = sorted[at - 1];
        if (at > 0 && sorted[at - 1]->id == item->id)
            return bad(parse, "a field twice, or two of one hash, in what ends");
        sorted[at] = item;
    }
    node->first = NULL;
    for (uint32_t i = count; i > 0; i--) {
        sorted[i - 1]->next = node->first;
        node->first = sorted[i - 1];
        shape->slots[i - 1] = (struct weir__slot){sorted[i - 1]->id, sorted[i - 1]->shape};
    }
    shape->slot_count = count;
    return WEIR_OK;
}

static enum weir_status read_record(struct parse *parse, struct weir__node **ret_node)
{
    struct weir__node *node;
    struct weir__node *last = NULL;
    uint32_t next_id = 0;
    enum weir_status status = node_new(parse, CANDID_RECORD, &node);
    if (status != WEIR_OK)
        return status;
    if (!take(parse, '{'))
        return bad(parse, "{ is expected");
    while (!take(parse, '}')) {
        struct weir__node *item;
        uint32_t id = 0;
        if (node->count == 1000) /* sorted by insertion */
            return bad(parse, "too many fields");
        status = read_field_id(parse, &next_id, &id);
        if (status == WEIR_OK)
            status = read_value(parse, &item);
        if (status != WEIR_OK)
            return status;
        item->id = id;
        append(node, &last, item);
        if (!take(parse, ';') && !next_is(parse, '}'))
            return bad(parse, "; or } is expected");
    }
    *ret_node = node;
    return sort_fields(parse, node);
}

static enum weir_status read_variant(struct parse *parse, struct weir__node **ret_node)
{
    struct weir__node *node;
    struct weir__node *item = NULL;
    enum weir_status status = node_new(parse, CANDID_VARIANT, &node);
    if (status != WEIR_OK)
        return status;
    if (!take(parse, '{'))
        return bad(parse, "{ is expected");
    struct label label;
    uint32_t id = 0;
    bool is_found = false;
    status = read_label(parse, &label, &is_found);
    if (status == WEIR_OK && !is_found)
        status = bad(parse, "the name of a case is expected");
    if (status == WEIR_OK)
        status = label_id(parse, &label, &id);
    if (status != WEIR_OK)
        return status;
    status = take(parse, '=') ? read_value(parse, &item) : node_new(parse, CANDID_NULL, &item);
    if (status != WEIR_OK)
        return status;
    item->id = id;
    (void)take(parse, ';');
    if (!take(parse, '}'))
        return bad(parse, "one case, then } is expected");
    node->first = item;
    node->count = 1;
    *ret_node = node;
    return sort_fields(parse, node);
}

static enum weir_status read_opt(struct parse *parse, struct weir__node **ret_node)
{
    struct weir__node *node;
    enum weir_status status = node_new(parse, CANDID_OPT, &node);
    if (status == WEIR_OK)
        status = read_value(parse, &node->first);
    if (status != WEIR_OK)
        return status;
    node->count = 1;
    node->shape->element = node->first->shape;
    *ret_node = node;
    return WEIR_OK;
}

static enum weir_status read_blob(struct parse *parse, struct weir__node **ret_node)
{
    struct weir__node *node;
    enum weir_status status = node_new(parse, CANDID_VEC, &node);
    if (status != WEIR_OK)
        return status;
    node->is_blob = true;
    node->shape->element = shape_new(parse, CANDID_NAT8);
    *ret_node = node;
    return node->shape->element != NULL ? read_string(parse, &node->bytes, &node->size)
                                        : weir__candid_no_memory(parse->error);
}

static enum weir_status read_text(struct parse *parse, struct weir__node **ret_node)
{
    size_t begin = parse->at;
    enum weir_status status = node_new(parse, CANDID_TEXT, ret_node);
    if (status == WEIR_OK)
        status = read_string(parse, &(*ret_node)->bytes, &(*ret_node)->size);
    if (status != WEIR_OK)
        return status;
    if (weir_utf8_valid_prefix((*ret_node)->bytes, (*ret_node)->size) != (*ret_node)->size)
        return bad_at(parse, begin, "a text that is not UTF-8");
    return WEIR_OK;
}

static enum weir_status read_principal(struct parse *parse, struct weir__node **ret_node)
{
    skip_blank(parse);
    size_t begin = parse->at;
    enum weir_status status = node_new(parse, CANDID_PRINCIPAL, ret_node);
    if (status == WEIR_OK)
        status = read_string(parse, &(*ret_node)->bytes, &(*ret_node)->size);
    struct weir_principal principal;
    if (status != WEIR_OK)
        return status;
    if (!weir_principal_read((const char *)(*ret_node)->bytes, (*ret_node)->size, &principal))
        return bad_at(parse, begin, "a principal that is none (its checksum or groups are wrong)");
    uint8_t *bytes = WEIR_ARENA_ARRAY(parse->arena, uint8_t, principal.size);
    if (bytes == NULL)
        return weir__candid_no_memory(parse->error);
    memcpy(bytes, principal.bytes, principal.size);
    (*ret_node)->bytes = bytes;
    (*ret_node)->size = principal.size;
    return WEIR_OK;
}

static enum weir_status read_plain(struct parse *parse, struct weir__node **ret_node)
{
    if (take(parse, '(')) { /* opt (5 : nat) */
        enum weir_status status = read_value(parse, ret_node);
        if (status == WEIR_OK && !take(parse, ')'))
            status = bad(parse, ") is expected");
        return status;
    }
    if (next_is(parse, '"'))
        return read_text(parse, ret_node);
    if (take_word(parse, "true") || take_word(parse, "false")) {
        bool truth = parse->text[parse->at - 4] == 't';
        enum weir_status status = node_new(parse, CANDID_BOOL, ret_node);
        if (status == WEIR_OK)
            (*ret_node)->truth = truth;
        return status;
    }
    if (take_word(parse, "null"))
        return node_new(parse, CANDID_NULL, ret_node);
    if (take_word(parse, "opt"))
        return read_opt(parse, ret_node);
    if (take_word(parse, "vec"))
        return read_vec(parse, ret_node);
    if (take_word(parse, "record"))
        return read_record(parse, ret_node);
    if (take_word(parse, "variant"))
        return read_variant(parse, ret_node);
    if (take_word(parse, "blob"))
        return read_blob(parse, ret_node);
    if (take_word(parse, "principal"))
        return read_principal(parse, ret_node);
    skip_blank(parse);
    if (parse->at < parse->size && strchr("+-0123456789", parse->text[parse->at]) != NULL &&
        parse->text[parse->at] != 0)
        return read_number(parse, ret_node);
    return bad(parse, "a value is expected");
}

static enum weir_status read_value(struct parse *parse, struct weir__node **ret_node)
{
    if (parse->depth == WEIR_CANDID_DEPTH_MAX)
        return bad(parse, "values too deep inside each other");
    parse->depth++;
    skip_blank(parse);
    size_t begin = parse->at;
    enum weir_status status = read_plain(parse, ret_node);
    if (status == WEIR_OK)
        status = read_type(parse, *ret_node, begin);
    parse->depth--;
    return status;
}

enum weir_status weir__candid_parse(const char *text, size_t size, struct weir_arena *arena,
                                    struct weir__node **ret_list, struct weir_error *error)
{
    struct parse parse = {.text = text, .size = size, .arena = arena, .error = error};
    struct weir__node *list;
    struct weir__node *last = NULL;
    enum weir_status status = node_new(&parse, CANDID_RECORD, &list);
    if (status != WEIR_OK)
        return status;
    if (!take(&parse, '('))
        return bad(&parse, "arguments stand in parentheses: ( is expected");
    while (!take(&parse, ')')) {
        struct weir__node *item;
        status = read_value(&parse, &item);
        if (status != WEIR_OK)
            return status;
        append(list, &last, item);
        if (!take(&parse, ',') && !next_is(&parse, ')'))
            return bad(&parse, ", or ) is expected");
    }
    skip_blank(&parse);
    if (parse.at != size)
        return bad(&parse, "nothing more is expected");
    *ret_list = list;
    return WEIR_OK;
}
