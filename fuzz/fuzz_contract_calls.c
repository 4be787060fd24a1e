/* Any function of `env` with any arguments, from a contract that does what it is told (the script
 * of tests/unit/contract): regions anywhere, honest and dishonest allocators, iterators between
 * writes, queries to the chain and through it to itself, answers that are none; at any limit of
 * gas.
 *
 * Whatever comes: an outcome, never more gas than the limit and just that when it ran out, nothing
 * stored without an answer, the same again for the same call, and all memory given back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/unit/contract/contract_life.h"
#include "worlds/contract/contract_sqlite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REGIONS 16u
#define STEPS_MAX 48u

static struct weir_contract_chain *chain;
static struct weir_address_text self;

struct input {
    const uint8_t *data;
    size_t size;
};

/* Zeros follow the end. */
static unsigned next(struct input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static uint32_t pointer(unsigned byte)
{
    static const uint32_t WILD[] = {0,          1,          2,        511,       4096,
                                    32768,      65535,      1114104,  1114112,   0x7fffffff,
                                    0xfffffff0, 0xfffffff4, 16777216, 0xffffffff};
    return byte < 224 ? 1024 + 16 * (byte % REGIONS) : WILD[byte % (sizeof WILD / sizeof WILD[0])];
}

static size_t content(unsigned kind, char *text, size_t size)
{
    static const char *const TEXTS[] = {
        "k",
        "key",
        "a longer value",
        "",
        "\xff\xfe",
        "{\"bank\":{\"balance\":{\"address\":\"a\",\"denom\":\"earth\"}}}",
        "{\"wasm\":{\"contract_info\":{}}}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "{\"a\":1,\"a\":2}",
        "cosmwasm1h34",
    };
    static const char *const OWN[] = {
        "%s",
        "{\"wasm\":{\"smart\":{\"contract_addr\":\"%s\",\"msg\":\"\"}}}",
        "{\"wasm\":{\"smart\":{\"contract_addr\":\"%s\",\"msg\":\"EwAEAAAAAAAAAAAAAAAAAAA=\"}}}",
        "{\"wasm\":{\"raw\":{\"contract_addr\":\"%s\",\"key\":\"aw==\"}}}",
    };
    enum {
        PLAIN = sizeof TEXTS / sizeof TEXTS[0],
        ALL = PLAIN + sizeof OWN / sizeof OWN[0]
    };
    kind %= ALL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int used = kind < PLAIN ? snprintf(text, size, "%s", TEXTS[kind])
                            : snprintf(text, size, OWN[kind - PLAIN], self.text);
#pragma GCC diagnostic pop
    return (size_t)used;
}

/* Mostly a text as it is; else of a size that signatures or their lists have, or wrong. */
static void put_region(struct script *s, uint32_t number, unsigned kind, unsigned shape)
{
    static const uint32_t SIZES[] = {32, 33, 64, 65, 36, 68, 4, 0};
    uint32_t address = 1024 + 16 * number, offset = 4096 + 512 * number;
    char text[400];
    uint32_t size = (uint32_t)content(kind, text, sizeof text);
    script_data(s, offset, text, size);
    switch (shape % 16) {
    case 9:
        script_region(s, address, offset, SIZES[kind % 8], SIZES[kind % 8]);
        break;
    case 10:
        script_region(s, address, offset, kind, kind + 1);
        break;
    case 11:
        script_region(s, address, 0, size, size);
        break;
    case 12:
        script_region(s, address, 0xffffffff - kind, kind + 1, kind);
        break;
    case 13:
        script_region(s, address, offset, kind << 16, kind << 12);
        break;
    case 14: /* over itself */
        script_region(s, address, address, kind, 0);
        break;
    case 15:
        script_region(s, address, 1114112 - kind, kind + shape, kind);
        break;
    default:
        script_region(s, address, offset, size + shape, size);
    }
}

static void put_step(struct script *s, struct input *in)
{
    unsigned op = next(in), a = next(in), b = next(in), c = next(in), d = next(in);
    uint32_t third = c >= 128 ? pointer(c) : c;
    switch (op % 29) {
    case 24:
        script_step(s, SCRIPT_MODE, a % 10);
        break;
    case 25:
        script_step(s, SCRIPT_GROW, a * b);
        break;
    case 26:
        script_step(s, SCRIPT_ANSWER, pointer(a));
        break;
    case 27:
        script_repeat(s, 1 + a, (enum script_call)(b % 24), pointer(c), pointer(d), 1);
        break;
    case 28:
        script_poke(s, 1024 + 4 * (a % 64), pointer(b) << (c % 32));
        break;
    default: /* numbers of iterators are small */
        script_call4(s, (enum script_call)(op % 29), op % 29 >= CALL_db_next ? a % 8 : pointer(a),
                     pointer(b), third, pointer(d));
    }
}

static uint64_t used_bytes(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    struct weir_account_reading sqlite;
    weir_account_read(weir_contract_sqlite_account(), &sqlite);
    return reading.used_bytes - sqlite.used_bytes;
}

static bool count_pairs(void *context, const struct weir_contract_line *line)
{
    uint64_t *figures = context;
    figures[0] += line->keys;
    figures[1] += line->bytes;
    return true;
}

static void stored(uint64_t figures[2])
{
    figures[0] = figures[1] = 0;
    WEIR_ASSERT(weir_contract_state_contracts(weir_contract_chain_state(chain), count_pairs,
                                              figures, NULL) == WEIR_OK);
}

/* Once; what it stored is taken back. False: the host refused. */
static bool call(enum weir_contract_entry entry, const struct script *s, uint64_t gas_limit,
                 struct weir_contract_result *ret_result)
{
    const struct weir_contract_message message = {.sender = "name:creator",
                                                  .balance = "7earth",
                                                  .message = {s->bytes, s->size},
                                                  .gas_limit = gas_limit};
    struct weir_contract_state *state = weir_contract_chain_state(chain);
    struct weir_error error = {0};
    uint64_t before[2], after[2];
    WEIR_ASSERT(weir_contract_state_begin(state, NULL) == WEIR_OK);
    stored(before);
    enum weir_status status =
        weir_contract_chain_call(chain, entry, "name:script", &message, ret_result, &error);
    stored(after);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_LIMIT);
    if (status != WEIR_OK || ret_result->outcome != WEIR_CONTRACT_ANSWERED)
        WEIR_ASSERT(memcmp(before, after, sizeof before) == 0);
    if (status == WEIR_OK) {
        WEIR_ASSERT(ret_result->gas_used <= gas_limit);
        WEIR_ASSERT(!ret_result->is_out_of_gas || ret_result->gas_used == gas_limit);
        WEIR_ASSERT(ret_result->peak_pages >= 17 && ret_result->peak_pages <= 512);
        WEIR_ASSERT((ret_result->outcome == WEIR_CONTRACT_FAILED) == (ret_result->reason.size > 0));
    }
    weir_error_done(&error);
    WEIR_ASSERT(weir_contract_state_end(state, false, NULL) == WEIR_OK);
    return status == WEIR_OK;
}

static void begin(void)
{
    struct weir_error error = {0};
    WEIR_ASSERT(life_open(NULL, &chain, &error) == WEIR_OK);
    WEIR_ASSERT(life_begin(chain, &error) == WEIR_OK);
    WEIR_ASSERT(weir_address_of_name("cosmwasm", "script", &self));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum weir_contract_entry ENTRIES[] = {WEIR_CONTRACT_execute, WEIR_CONTRACT_query,
                                                       WEIR_CONTRACT_sudo, WEIR_CONTRACT_reply,
                                                       WEIR_CONTRACT_ibc_packet_ack};
    static struct script s;
    struct weir_contract_result first = {0}, again = {0};
    struct input in = {data, size};
    if (chain == NULL)
        begin();
    s.size = 0;
    unsigned kind = next(&in);
    enum weir_contract_entry entry = kind < 128   ? WEIR_CONTRACT_execute
                                     : kind < 224 ? WEIR_CONTRACT_query
                                                  : ENTRIES[kind % 5];
    uint64_t gas_limit = (UINT64_C(1) << (20 + next(&in) % 13)) + next(&in);
    for (uint32_t i = 0; i < REGIONS; i++) {
        unsigned what = next(&in);
        put_region(&s, i, what, next(&in));
    }
    for (unsigned i = 0; i < STEPS_MAX && in.size > 0; i++)
        put_step(&s, &in);
    bool is_done = call(entry, &s, gas_limit, &first);
    uint64_t held = used_bytes();
    WEIR_ASSERT(call(entry, &s, gas_limit, &again) == is_done);
    WEIR_ASSERT(used_bytes() ==
                held + again.answer.capacity + again.reason.capacity + again.debug.capacity);
    WEIR_ASSERT(first.outcome == again.outcome && first.gas_used == again.gas_used &&
                first.gas_external == again.gas_external && first.answer.size == again.answer.size);
    WEIR_ASSERT(first.answer.size == 0 ||
                memcmp(first.answer.data, again.answer.data, first.answer.size) == 0);
    weir_contract_result_done(&first);
    weir_contract_result_done(&again);
    return 0;
}
