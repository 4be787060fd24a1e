/* The instruction reader: opcodes.def as data, and one function per kind of immediate.
 *
 * This is the inner loop of validation and of every generator, so the common immediates have a
 * one-byte path, and an error is formatted in functions of their own.
 */
#include "wasm/insn.h"

#include <assert.h>
#include <string.h>

#include "base/check.h"
#include "wasm/leb128_internal.h"
#include "wasm/report_internal.h"

const struct weir_op_info weir_op_infos[WEIR_OP_COUNT] = {
#define WEIR_OPCODE(id, prefix, code, name, imm, signature, width, feature)                        \
    [WEIR_OP_##id] = {name, signature, code, WEIR_FEATURE_##feature, prefix, WEIR_IMM_##imm, width},
#include "wasm/opcodes.def"
#undef WEIR_OPCODE
};

/* Three pages of 256 codes (no prefix, 0xfc, 0xfd), holding op + 1; 0 is no instruction. */
#define PAGE(prefix) ((prefix) == 0 ? 0 : (prefix) == 0xfc ? 256 : 512)
static const uint16_t op_by_code[3 * 256] = {
#define WEIR_OPCODE(id, prefix, code, name, imm, signature, width, feature)                        \
    [PAGE(prefix) + (code)] = WEIR_OP_##id + 1,
#include "wasm/opcodes.def"
#undef WEIR_OPCODE
};
static_assert(WEIR_OP_COUNT < UINT16_MAX, "op + 1 must fit");

struct state {
    struct weir_cursor cursor;
    const struct weir_wasm_module *module;
    struct weir_insn *insn;
    struct weir_error *error;
};

static uint32_t offset_of(const struct state *s)
{
    return (uint32_t)(s->cursor.at - s->module->bytes.data);
}

static __attribute__((cold)) enum weir_status bad(const struct state *s, const char *reason,
                                                  const char *detail)
{
    return weir__wasm_report(s->module, s->error, WEIR_MALFORMED, offset_of(s), "%s: %s", reason,
                             detail);
}

static __attribute__((cold)) enum weir_status bad_leb(const struct state *s, enum weir_leb fault)
{
    /* Missing bytes are missed at the end, everything else where the field begins. */
    uint64_t offset =
        fault == WEIR_LEB_END ? (uint64_t)(s->cursor.end - s->module->bytes.data) : offset_of(s);
    return weir__wasm_report(s->module, s->error, WEIR_MALFORMED, offset, "%s: in %s",
                             weir__leb_text(fault), weir_op_infos[s->insn->op].name);
}

static __attribute__((cold)) enum weir_status bad_end(const struct state *s, const char *what)
{
    return weir__wasm_report(s->module, s->error, WEIR_MALFORMED,
                             (uint64_t)(s->cursor.end - s->module->bytes.data),
                             "unexpected end of section or function: in %s", what);
}

/* A body without its final end. The tests expect what a reader would say that runs on into the
 * next bytes. */
static __attribute__((cold)) enum weir_status bad_body_end(const struct state *s)
{
    const uint8_t *module_end = s->module->bytes.data + s->module->bytes.size;
    const char *reason = s->cursor.at == module_end ? "unexpected end of section or function"
                         : *s->cursor.at == 0x0b    ? "section size mismatch"
                                                    : "END opcode expected";
    return bad(s, reason, "the instructions have no end");
}

static bool has(const struct state *s, uint32_t feature)
{
    return (s->module->features & feature) == feature;
}

static enum weir_status read_index(struct state *s, uint32_t *ret_index)
{
    enum weir_leb fault = weir__leb_u32(&s->cursor, ret_index);
    return fault == WEIR_LEB_OK ? WEIR_OK : bad_leb(s, fault);
}

/* Where a feature is off, its index is one byte that must be zero. */
static enum weir_status read_gated_index(struct state *s, uint32_t feature, const char *what,
                                         uint32_t *ret_index)
{
    if (has(s, feature))
        return read_index(s, ret_index);
    if (s->cursor.at == s->cursor.end)
        return bad_end(s, weir_op_infos[s->insn->op].name);
    if (*s->cursor.at != 0)
        return weir__wasm_feature_off(s->module, s->error, offset_of(s), feature,
                                      "zero byte expected", what);
    s->cursor.at++;
    *ret_index = 0;
    return WEIR_OK;
}

static enum weir_status read_memory_index(struct state *s, uint32_t *ret_index)
{
    return read_gated_index(s, WEIR_FEATURE_MULTI_MEMORY, "a memory index", ret_index);
}

static enum weir_status read_index2(struct state *s)
{
    struct weir_insn *insn = s->insn;
    enum weir_status status;
    uint32_t first;
    uint32_t second;
    switch (insn->op) {
    case WEIR_OP_MEMORY_COPY:
        status = read_memory_index(s, &first);
        if (status == WEIR_OK)
            status = read_memory_index(s, &second);
        break;
    case WEIR_OP_MEMORY_INIT:
        status = read_index(s, &first);
        if (status == WEIR_OK)
            status = read_memory_index(s, &second);
        break;
    default: /* call_indirect, return_call_indirect, table.init, table.copy */
        status = insn->op == WEIR_OP_TABLE_COPY
                     ? read_gated_index(s, WEIR_FEATURE_REFERENCE_TYPES, "a table index", &first)
                     : read_index(s, &first);
        if (status == WEIR_OK)
            status = read_gated_index(s, WEIR_FEATURE_REFERENCE_TYPES, "a table index", &second);
        break;
    }
    if (status != WEIR_OK)
        return status;
    insn->index = first;
    insn->index2 = second;
    return WEIR_OK;
}

static enum weir_status read_memarg(struct state *s)
{
    struct weir_insn *insn = s->insn;
    const uint8_t *start = s->cursor.at;
    uint32_t flags;
    uint32_t memory = 0;
    enum weir_leb fault = weir__leb_u32(&s->cursor, &flags);
    if (fault != WEIR_LEB_OK)
        return bad_leb(s, fault);
    if (flags >= 0x40) {
        const uint8_t *after = s->cursor.at;
        s->cursor.at = start;
        if (flags >= 0x80)
            return bad(s, "malformed memop flags", "alignment beyond 2**63");
        s->cursor.at = after;
    }
    /* Bit 6 announces the index of a memory other than 0. */
    if ((flags & 0x40) != 0) {
        if (!has(s, WEIR_FEATURE_MULTI_MEMORY)) {
            s->cursor.at = start;
            return weir__wasm_feature_off(s->module, s->error, offset_of(s),
                                          WEIR_FEATURE_MULTI_MEMORY, "malformed memop flags",
                                          "a memory index");
        }
        flags &= 0x3f;
        fault = weir__leb_u32(&s->cursor, &memory);
        if (fault != WEIR_LEB_OK)
            return bad_leb(s, fault);
    }
    uint64_t offset;
    if (has(s, WEIR_FEATURE_MEMORY64)) {
        fault = weir__leb_u64(&s->cursor, &offset);
    } else {
        uint32_t offset32 = 0;
        fault = weir__leb_u32(&s->cursor, &offset32);
        offset = offset32;
    }
    if (fault != WEIR_LEB_OK)
        return bad_leb(s, fault);
    insn->mem_offset = offset;
    insn->memory = memory;
    insn->align = (uint8_t)flags;
    insn->lane = 0;
    return WEIR_OK;
}

static enum weir_status read_lane(struct state *s)
{
    if (s->cursor.at == s->cursor.end)
        return bad_end(s, weir_op_infos[s->insn->op].name);
    s->insn->lane = *s->cursor.at++;
    return WEIR_OK;
}

static enum weir_status read_block_type(struct state *s)
{
    const uint8_t *start = s->cursor.at;
    int64_t value;
    enum weir_leb fault = weir__leb_signed(&s->cursor, 33, &value);
    if (fault != WEIR_LEB_OK)
        return bad_leb(s, fault);
    if (value >= 0) {
        s->insn->block_type = value;
        if (has(s, WEIR_FEATURE_MULTI_VALUE))
            return WEIR_OK;
        s->cursor.at = start;
        return weir__wasm_feature_off(s->module, s->error, offset_of(s), WEIR_FEATURE_MULTI_VALUE,
                                      NULL, "a block with a type index");
    }
    int64_t code = value + 0x80;
    uint32_t feature = WEIR_FEATURE_NONE;
    if (code == WEIR_TYPE_V128)
        feature = WEIR_FEATURE_SIMD;
    else if (code == WEIR_TYPE_FUNCREF || code == WEIR_TYPE_EXTERNREF)
        feature = WEIR_FEATURE_REFERENCE_TYPES;
    else if (code != WEIR_WASM_TYPE_EMPTY && (code < WEIR_TYPE_F64 || code > WEIR_TYPE_I32))
        code = -1;
    if (code < 0 || s->cursor.at != start + 1 || !has(s, feature)) {
        s->cursor.at = start;
        if (code < 0 || has(s, feature))
            return bad(s, "malformed block type", "neither a value type nor a type index");
        return weir__wasm_feature_off(s->module, s->error, offset_of(s), feature, NULL,
                                      "the block type");
    }
    s->insn->block_type = -code;
    return WEIR_OK;
}

static enum weir_status read_reference_type(struct state *s)
{
    if (s->cursor.at == s->cursor.end)
        return bad_end(s, weir_op_infos[s->insn->op].name);
    if (*s->cursor.at != WEIR_TYPE_FUNCREF && *s->cursor.at != WEIR_TYPE_EXTERNREF)
        return bad(s, "malformed reference type", "neither funcref nor externref");
    s->insn->type = *s->cursor.at++;
    s->insn->type_count = 1;
    return WEIR_OK;
}

static enum weir_status read_select_types(struct state *s)
{
    uint32_t count;
    uint32_t first = WEIR_WASM_TYPE_EMPTY;
    enum weir_leb fault = weir__leb_u32(&s->cursor, &count);
    if (fault != WEIR_LEB_OK)
        return bad_leb(s, fault);
    if (count > (size_t)(s->cursor.end - s->cursor.at))
        return bad_end(s, "select");
    for (uint32_t i = 0; i < count; i++, s->cursor.at++) {
        uint32_t code = *s->cursor.at;
        if (code == WEIR_TYPE_V128 && !has(s, WEIR_FEATURE_SIMD))
            return weir__wasm_feature_off(s->module, s->error, offset_of(s), WEIR_FEATURE_SIMD,
                                          NULL, "v128");
        if (!weir_wasm_type_is_value(code))
            return bad(s, "malformed value type", "in select");
        if (i == 0)
            first = code;
    }
    s->insn->type = first;
    s->insn->type_count = count;
    return WEIR_OK;
}

static enum weir_status read_br_table(struct state *s)
{
    uint32_t count;
    enum weir_status status = read_index(s, &count);
    if (status != WEIR_OK)
        return status;
    /* Each target takes a byte at least, and the default is one more. */
    if (count >= (size_t)(s->cursor.end - s->cursor.at))
        return bad_end(s, "br_table");
    uint32_t targets_offset = offset_of(s);
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t target;
        enum weir_leb fault = weir__leb_u32(&s->cursor, &target);
        if (fault != WEIR_LEB_OK)
            return bad_leb(s, fault);
    }
    s->insn->target_count = count + 1;
    s->insn->targets_offset = targets_offset;
    return WEIR_OK;
}

/* Little-endian numbers and vectors. */
static enum weir_status read_fixed(struct state *s, size_t size)
{
    if ((size_t)(s->cursor.end - s->cursor.at) < size)
        return bad_end(s, weir_op_infos[s->insn->op].name);
    if (size < 16)
        s->insn->bits = 0;
    memcpy(s->insn->v128, s->cursor.at, size);
    s->cursor.at += size;
    return WEIR_OK;
}

static enum weir_status read_integer(struct state *s, unsigned bits)
{
    int64_t value;
    enum weir_leb fault = weir__leb_signed(&s->cursor, bits, &value);
    if (fault != WEIR_LEB_OK)
        return bad_leb(s, fault);
    s->insn->bits = (uint64_t)value;
    return WEIR_OK;
}

static enum weir_status read_immediate(struct state *s, uint8_t imm)
{
    enum weir_status status;
    switch ((enum weir_imm)imm) {
    case WEIR_IMM_NONE:
        return WEIR_OK;
    case WEIR_IMM_BLOCK:
        return read_block_type(s);
    case WEIR_IMM_INDEX:
        return read_index(s, &s->insn->index);
    case WEIR_IMM_INDEX2:
        return read_index2(s);
    case WEIR_IMM_BR_TABLE:
        return read_br_table(s);
    case WEIR_IMM_MEMARG:
        return read_memarg(s);
    case WEIR_IMM_MEMARG_LANE:
        status = read_memarg(s);
        return status == WEIR_OK ? read_lane(s) : status;
    case WEIR_IMM_LANE:
        return read_lane(s);
    case WEIR_IMM_I32:
        return read_integer(s, 32);
    case WEIR_IMM_I64:
        return read_integer(s, 64);
    case WEIR_IMM_F32:
        return read_fixed(s, 4);
    case WEIR_IMM_F64:
        return read_fixed(s, 8);
    case WEIR_IMM_V128:
    case WEIR_IMM_SHUFFLE:
        return read_fixed(s, 16);
    case WEIR_IMM_TYPE:
        return read_reference_type(s);
    case WEIR_IMM_SELECT_TYPES:
        return read_select_types(s);
    case WEIR_IMM_MEMORY:
        return read_memory_index(s, &s->insn->index);
    }
    WEIR_ASSERT(imm <= WEIR_IMM_MEMORY);
    return WEIR_MALFORMED;
}

static enum weir_status read_prefixed(struct state *s, uint8_t prefix, enum weir_op *ret_op)
{
    uint32_t code;
    enum weir_leb fault = weir__leb_u32(&s->cursor, &code);
    if (fault != WEIR_LEB_OK)
        return weir__wasm_report(s->module, s->error, WEIR_MALFORMED, offset_of(s),
                                 "%s: in an opcode", weir__leb_text(fault));
    uint16_t slot = code < 256 ? op_by_code[PAGE(prefix) + code] : 0;
    if (slot == 0)
        return weir__wasm_report(s->module, s->error, WEIR_MALFORMED, s->insn->offset,
                                 "illegal opcode %02x %02x", (unsigned)prefix, (unsigned)code);
    *ret_op = (enum weir_op)(slot - 1);
    return WEIR_OK;
}

static __attribute__((cold)) enum weir_status refuse_opcode(const struct state *s,
                                                            const struct weir_op_info *info)
{
    if ((s->module->features & info->feature) != info->feature)
        return weir__wasm_feature_off(s->module, s->error, s->insn->offset, info->feature,
                                      "illegal opcode", info->name);
    return weir__wasm_report(s->module, s->error, WEIR_MALFORMED, s->insn->offset,
                             "data count section required: %s", info->name);
}

/* Every instruction and every error. */
static __attribute__((noinline)) enum weir_status
read_any(struct weir_insn_reader *reader, struct weir_insn *ret_insn, struct weir_error *error)
{
    const struct weir_wasm_module *module = reader->module;
    struct state s = {
        .cursor = {module->bytes.data + reader->position, module->bytes.data + reader->end},
        .module = module,
        .insn = ret_insn,
        .error = error,
    };
    if (s.cursor.at == s.cursor.end)
        return bad_body_end(&s);
    uint8_t byte = *s.cursor.at++;
    if (byte == 0xfc || byte == 0xfd) {
        enum weir_status status = read_prefixed(&s, byte, &ret_insn->op);
        if (status != WEIR_OK)
            return status;
    } else {
        if (op_by_code[byte] == 0)
            return weir__wasm_report(module, error, WEIR_MALFORMED, ret_insn->offset,
                                     "illegal opcode %02x", (unsigned)byte);
        ret_insn->op = (enum weir_op)(op_by_code[byte] - 1);
    }
    const struct weir_op_info *info = &weir_op_infos[ret_insn->op];
    /* Without any segment the index is unknown, which is the validator's to say. */
    bool needs_data_count =
        ret_insn->op == WEIR_OP_MEMORY_INIT || ret_insn->op == WEIR_OP_DATA_DROP;
    if ((module->features & info->feature) != info->feature ||
        (needs_data_count && !module->has_data_count && module->data_count > 0))
        return refuse_opcode(&s, info);
    if (info->imm != WEIR_IMM_NONE) {
        enum weir_status status = read_immediate(&s, info->imm);
        if (status != WEIR_OK)
            return status;
    }
    reader->position = (uint32_t)(s.cursor.at - module->bytes.data);
    return WEIR_OK;
}

/* Instructions of one byte with immediates of one byte each: nine of ten in compiled code. False
 * for all others, and for whatever is wrong. */
static inline bool read_short(struct weir_insn_reader *reader, struct weir_insn *insn)
{
    const struct weir_wasm_module *module = reader->module;
    const uint8_t *at = module->bytes.data + reader->position;
    uint32_t left = reader->end - reader->position;
    uint16_t slot = left > 2 ? op_by_code[at[0]] : 0;
    if (slot == 0)
        return false;
    const struct weir_op_info *info = &weir_op_infos[slot - 1];
    if ((info->feature & ~module->features) != 0)
        return false;
    insn->op = (enum weir_op)(slot - 1);
    switch (info->imm) {
    case WEIR_IMM_NONE:
        reader->position += 1;
        return true;
    case WEIR_IMM_INDEX:
        if (at[1] >= 0x80)
            return false;
        insn->index = at[1];
        reader->position += 2;
        return true;
    case WEIR_IMM_I32:
    case WEIR_IMM_I64:
        if (at[1] >= 0x80)
            return false;
        insn->bits = (uint64_t)(int64_t)((at[1] & 0x40) != 0 ? at[1] - 0x80 : at[1]);
        reader->position += 2;
        return true;
    case WEIR_IMM_MEMARG:
        if (at[1] >= 0x40 || at[2] >= 0x80)
            return false;
        insn->mem_offset = at[2];
        insn->memory = 0;
        insn->align = at[1];
        insn->lane = 0;
        reader->position += 3;
        return true;
    default:
        return false;
    }
}

enum weir_status weir_insn_read(struct weir_insn_reader *reader, struct weir_insn *ret_insn,
                                struct weir_error *error)
{
    WEIR_DASSERT(reader->position <= reader->end);
    WEIR_DASSERT(reader->end <= reader->module->bytes.size);
    ret_insn->offset = reader->position;
    return read_short(reader, ret_insn) ? WEIR_OK : read_any(reader, ret_insn, error);
}

uint32_t weir_insn_br_target(const struct weir_wasm_module *module, uint32_t *targets_offset)
{
    struct weir_cursor cursor = {module->bytes.data + *targets_offset,
                                 module->bytes.data + module->bytes.size};
    uint32_t target = 0;
    enum weir_leb fault = weir__leb_u32(&cursor, &target);
    WEIR_DASSERT(fault == WEIR_LEB_OK);
    (void)fault;
    *targets_offset = (uint32_t)(cursor.at - module->bytes.data);
    return target;
}
