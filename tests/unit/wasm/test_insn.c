/* The opcode table and the reader: every line of the table is found by its bytes, and immediates
 * come out as they were written. */
#include "wasm_helpers.h"

static size_t put_u32(uint8_t *bytes, uint32_t value)
{
    size_t size = 0;
    do {
        bytes[size] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        size++;
    } while (value != 0);
    return size;
}

/* Reads one instruction out of bytes that are a "module" for this purpose. */
static enum weir_status read_insn(const uint8_t *bytes, size_t size, uint32_t features,
                                  struct weir_insn *ret_insn, uint32_t *ret_position)
{
    struct weir_wasm_module module = {.bytes = {bytes, size}, .features = features};
    struct weir_insn_reader reader = {&module, 0, (uint32_t)size};
    struct weir_error error = {0};
    memset(ret_insn, 0xa5, sizeof *ret_insn);
    enum weir_status status = weir_insn_read(&reader, ret_insn, &error);
    *ret_position = reader.position;
    return status;
}

static size_t put_opcode(uint8_t *bytes, const struct weir_op_info *info)
{
    if (info->prefix == 0) {
        bytes[0] = (uint8_t)info->code;
        return 1;
    }
    bytes[0] = info->prefix;
    return 1 + put_u32(bytes + 1, info->code);
}

static const size_t immediate_sizes[] = {
    [WEIR_IMM_NONE] = 0,        [WEIR_IMM_BLOCK] = 1,        [WEIR_IMM_INDEX] = 1,
    [WEIR_IMM_INDEX2] = 2,      [WEIR_IMM_BR_TABLE] = 2,     [WEIR_IMM_MEMARG] = 2,
    [WEIR_IMM_MEMARG_LANE] = 3, [WEIR_IMM_LANE] = 1,         [WEIR_IMM_I32] = 1,
    [WEIR_IMM_I64] = 1,         [WEIR_IMM_F32] = 4,          [WEIR_IMM_F64] = 8,
    [WEIR_IMM_V128] = 16,       [WEIR_IMM_SHUFFLE] = 16,     [WEIR_IMM_TYPE] = 1,
    [WEIR_IMM_MEMORY] = 1,      [WEIR_IMM_SELECT_TYPES] = 2,
};

/* The smallest immediates that are well formed. */
static void put_immediates(uint8_t *bytes, uint8_t imm)
{
    memset(bytes, 0, 16);
    if (imm == WEIR_IMM_BLOCK)
        bytes[0] = 0x40;
    if (imm == WEIR_IMM_TYPE)
        bytes[0] = 0x70;
    if (imm == WEIR_IMM_SELECT_TYPES) {
        bytes[0] = 1;
        bytes[1] = 0x7f;
    }
}

START_TEST(test_every_opcode)
{
    const struct weir_op_info *info = &weir_op_infos[_i];
    uint8_t bytes[32];
    struct weir_insn insn;
    uint32_t position;
    size_t size = put_opcode(bytes, info);
    put_immediates(bytes + size, info->imm);
    size += immediate_sizes[info->imm];
    ck_assert_int_eq(read_insn(bytes, size, FEATURES_ALL, &insn, &position), WEIR_OK);
    ck_assert_int_eq((int)insn.op, _i);
    ck_assert_uint_eq(insn.offset, 0);
    ck_assert_uint_eq(position, size);
    /* One byte less is malformed, and nothing is read. */
    ck_assert_int_eq(read_insn(bytes, size - 1, FEATURES_ALL, &insn, &position), WEIR_MALFORMED);
    ck_assert_uint_eq(position, 0);
    /* With bytes behind it the reader may take a shorter way to the same result. */
    struct weir_insn padded;
    memset(bytes + size, 0x01, 3);
    (void)read_insn(bytes, size, FEATURES_ALL, &insn, &position);
    ck_assert_int_eq(read_insn(bytes, size + 3, FEATURES_ALL, &padded, &position), WEIR_OK);
    ck_assert_uint_eq(position, size);
    ck_assert_mem_eq(&insn, &padded, sizeof insn);
    if (info->feature != 0)
        ck_assert_int_eq(
            read_insn(bytes, size + 3, FEATURES_ALL & ~info->feature, &insn, &position),
            WEIR_UNSUPPORTED);
    if (info->feature != 0)
        ck_assert_int_eq(read_insn(bytes, size, FEATURES_ALL & ~info->feature, &insn, &position),
                         WEIR_UNSUPPORTED);
}
END_TEST

/* Properties that hold for each line; they catch slips of the pen. */
START_TEST(test_table)
{
    for (int i = 0; i < WEIR_OP_COUNT; i++) {
        const struct weir_op_info *info = &weir_op_infos[i];
        const struct weir_op_info *before = &weir_op_infos[i == 0 ? 0 : i - 1];
        bool has_width = info->imm == WEIR_IMM_MEMARG || info->imm == WEIR_IMM_MEMARG_LANE ||
                         info->imm == WEIR_IMM_LANE;
        ck_assert_msg(i == 0 || before->prefix < info->prefix ||
                          (before->prefix == info->prefix && before->code < info->code),
                      "%s is out of order", info->name);
        ck_assert_msg((info->width != 0) == has_width, "%s: width %u", info->name, info->width);
        ck_assert_msg((info->prefix == 0xfd) == (info->feature == WEIR_FEATURE_SIMD), "%s: feature",
                      info->name);
        if (info->signature == NULL)
            continue;
        ck_assert_msg(strspn(info->signature, "iIfFva:") == strlen(info->signature) &&
                          strchr(info->signature, ':') == strrchr(info->signature, ':') &&
                          strlen(strchr(info->signature, ':')) <= 2,
                      "%s: signature %s", info->name, info->signature);
        bool has_address = strchr(info->signature, 'a') != NULL;
        bool has_memory = info->imm == WEIR_IMM_MEMARG || info->imm == WEIR_IMM_MEMARG_LANE ||
                          info->imm == WEIR_IMM_MEMORY;
        ck_assert_msg(has_address == has_memory, "%s: address", info->name);
    }
}
END_TEST

/* One-byte immediates of every value, with and without room behind them. */
START_TEST(test_short_immediates)
{
    static const uint8_t opcodes[] = {0x20, 0x41, 0x42, 0x28};
    for (size_t i = 0; i < sizeof opcodes; i++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t bytes[8] = {opcodes[i], (uint8_t)value, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
            size_t size = opcodes[i] == 0x28 ? 3 : 2;
            struct weir_insn tight;
            struct weir_insn roomy;
            uint32_t position;
            enum weir_status status = read_insn(bytes, sizeof bytes, 0, &roomy, &position);
            ck_assert(value < 0x40 || status == WEIR_OK || opcodes[i] == 0x28);
            if (value >= 0x80 || status != WEIR_OK)
                continue;
            ck_assert_uint_eq(position, size);
            ck_assert_int_eq(read_insn(bytes, size == 3 ? 4 : 2, 0, &tight, &position), WEIR_OK);
            ck_assert_mem_eq(&tight, &roomy, sizeof tight);
            int64_t expected = value >= 0x40 ? (int64_t)value - 0x80 : (int64_t)value;
            if (opcodes[i] == 0x41 || opcodes[i] == 0x42)
                ck_assert_int_eq((int64_t)roomy.bits, expected);
            if (opcodes[i] == 0x20)
                ck_assert_uint_eq(roomy.index, value);
        }
    }
}
END_TEST

#define IMMEDIATE(bytes) (const uint8_t *)(bytes), sizeof(bytes) - 1

START_TEST(test_immediates)
{
    struct weir_insn insn;
    uint32_t at;
    ck_assert_int_eq(read_insn(IMMEDIATE("\x41\x80\x80\x80\x80\x78"), 0, &insn, &at), WEIR_OK);
    ck_assert_int_eq((int64_t)insn.bits, INT32_MIN);
    ck_assert_int_eq(
        read_insn(IMMEDIATE("\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"), 0, &insn, &at),
        WEIR_OK);
    ck_assert_int_eq((int64_t)insn.bits, INT64_MIN);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x43\x01\x02\xa0\x7f"), 0, &insn, &at), WEIR_OK);
    ck_assert_uint_eq(insn.bits, 0x7fa00201);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x02\x7f"), 0, &insn, &at), WEIR_OK);
    ck_assert_int_eq(insn.block_type, -0x7f);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x02\x40"), 0, &insn, &at), WEIR_OK);
    ck_assert_int_eq(insn.block_type, -0x40);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x02\xc0\x00"), FEATURES_ALL, &insn, &at), WEIR_OK);
    ck_assert_int_eq(insn.block_type, 0x40);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x02\x6f"), 0, &insn, &at), WEIR_UNSUPPORTED);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x11\x05\x03"), FEATURES_ALL, &insn, &at), WEIR_OK);
    ck_assert_uint_eq(insn.index, 5);
    ck_assert_uint_eq(insn.index2, 3);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x11\x05\x03"), 0, &insn, &at), WEIR_UNSUPPORTED);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x28\x42\x07\x90\x01"), FEATURES_ALL, &insn, &at),
                     WEIR_OK);
    ck_assert_uint_eq(insn.align, 2);
    ck_assert_uint_eq(insn.memory, 7);
    ck_assert_uint_eq(insn.mem_offset, 0x90);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x28\x42\x07\x10"), 0, &insn, &at), WEIR_UNSUPPORTED);
    ck_assert_int_eq(read_insn(IMMEDIATE("\xfd\x57\x03\x04\x01"), FEATURES_ALL, &insn, &at),
                     WEIR_OK);
    ck_assert_uint_eq(insn.lane, 1);
    ck_assert_uint_eq(insn.mem_offset, 4);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x1c\x01\x7e"), FEATURES_ALL, &insn, &at), WEIR_OK);
    ck_assert_uint_eq(insn.type, WEIR_TYPE_I64);
    ck_assert_uint_eq(insn.type_count, 1);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x28\x02\x80\x80\x80\x80\x10"), 0, &insn, &at),
                     WEIR_MALFORMED);
    ck_assert_int_eq(read_insn(IMMEDIATE("\x28\x02\x80\x80\x80\x80\x10"), FEATURES_ALL, &insn, &at),
                     WEIR_OK);
    ck_assert_uint_eq(insn.mem_offset, UINT64_C(1) << 32);
}
END_TEST

START_TEST(test_br_table)
{
    static const uint8_t bytes[] = {0x0e, 0x03, 0x07, 0x80, 0x01, 0x00, 0x05};
    static const uint32_t targets[] = {7, 128, 0, 5};
    struct weir_insn insn;
    uint32_t position;
    ck_assert_int_eq(read_insn(bytes, sizeof bytes, 0, &insn, &position), WEIR_OK);
    ck_assert_uint_eq(insn.target_count, 4);
    struct weir_wasm_module module = {.bytes = {bytes, sizeof bytes}};
    uint32_t offset = insn.targets_offset;
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(weir_insn_br_target(&module, &offset), targets[i]);
    ck_assert_uint_eq(offset, sizeof bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasm_insn");
    TCase *tcase = tcase_create("insn");
    tcase_add_loop_test(tcase, test_every_opcode, 0, WEIR_OP_COUNT);
    tcase_add_test(tcase, test_table);
    tcase_add_test(tcase, test_short_immediates);
    tcase_add_test(tcase, test_immediates);
    tcase_add_test(tcase, test_br_table);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
