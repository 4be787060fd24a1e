/* What contracts and callers hand to the contract world: Regions, sections, addresses, base64,
 * coins, requests to the chain, modules. The first byte says which.
 *
 * Whatever comes, nothing outside of the bytes is read; what is accepted comes back the same when
 * it is written again; every request is answered with JSON. */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "worlds/contract/contract_chain_internal.h"
#include "worlds/contract/contract_check.h"
#include "worlds/contract/contract_internal.h"
#include "worlds/contract/contract_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_contract_buffer buffer(void)
{
    return (struct weir_contract_buffer){.account = weir_account_host()};
}

static void region(const uint8_t *data, size_t size)
{
    char text[96];
    if (size < 12)
        return;
    const struct weir__contract_region region = {weir_load_u32(data), weir_load_u32(data + 4),
                                                 weir_load_u32(data + 8)};
    bool is_good = region.offset != 0 && region.length <= region.capacity &&
                   (uint64_t)region.offset + region.capacity <= UINT32_MAX;
    WEIR_ASSERT((weir__contract_region_check(&region, text, sizeof text) == NULL) == is_good);
}

static void sections(const uint8_t *data, size_t size)
{
    struct weir_contract_bytes items[64];
    uint32_t count = 0, counted = 0;
    const struct weir_contract_bytes all = {data, size};
    const char *problem = weir__contract_sections(all, items, 64, &count);
    WEIR_ASSERT((problem == NULL) == (weir__contract_sections(all, NULL, 0, &counted) == NULL));
    if (problem != NULL || count > 64)
        return;
    WEIR_ASSERT(count == counted);
    struct weir_contract_buffer back = buffer();
    for (uint32_t i = 0; i < count; i++)
        WEIR_ASSERT(weir__contract_section_append(&back, items[i], NULL) == WEIR_OK);
    WEIR_ASSERT(back.size == size && (size == 0 || memcmp(back.data, data, size) == 0));
    weir_contract_buffer_done(&back);
}

static void address(const char *text, size_t size)
{
    uint8_t bytes[WEIR_ADDRESS_BYTES_MAX];
    size_t length;
    struct weir_address_text back;
    if (weir_address_read("cosmwasm", text, size, bytes, &length) != NULL)
        return;
    WEIR_ASSERT(length >= 1 && length <= sizeof bytes);
    WEIR_ASSERT(weir_address_write("cosmwasm", bytes, length, &back));
    WEIR_ASSERT(strlen(back.text) == size && strncasecmp(back.text, text, size) == 0);
}

static void base64(const char *text, size_t size)
{
    struct weir_contract_buffer plain = buffer(), back = buffer();
    if (weir_base64_read(text, size, &plain, NULL) == WEIR_OK) {
        WEIR_ASSERT(weir_base64_append(&back, weir_contract_view(&plain), NULL) == WEIR_OK);
        WEIR_ASSERT(back.size == size && (size == 0 || memcmp(back.data, text, size) == 0));
    }
    weir_contract_buffer_done(&plain);
    weir_contract_buffer_done(&back);
}

static void coins_of(const char *text)
{
    struct weir_coins coins, again;
    char back[1024];
    if (weir_coins_read(text, &coins, NULL) != WEIR_OK)
        return;
    for (size_t i = 0; i < coins.count; i++) {
        const struct weir_coin *coin = &coins.items[i];
        WEIR_ASSERT(coin->amount[0] >= '1' && coin->amount[0] <= '9' && strlen(coin->denom) >= 3);
        WEIR_ASSERT(i == 0 || strcmp(coins.items[i - 1].denom, coin->denom) < 0);
        (void)snprintf(back, sizeof back, "%s%s", coin->amount, coin->denom);
        WEIR_ASSERT(weir_coins_read(back, &again, NULL) == WEIR_OK && again.count == 1 &&
                    strcmp(again.items[0].denom, coin->denom) == 0);
    }
}

static void query(const uint8_t *data, size_t size)
{
    static struct weir_contract_chain *chain;
    static const struct weir_contract_message message;
    if (chain == NULL) {
        const struct weir_contract_chain_config config = {0};
        WEIR_ASSERT(weir_contract_chain_open(&config, &chain, NULL) == WEIR_OK);
        chain->message = &message;
        WEIR_ASSERT(weir_coins_read("7earth", &chain->balance, NULL) == WEIR_OK);
    }
    struct chain_asker asker = {chain, "a"};
    struct weir_contract_buffer answer = buffer();
    uint64_t gas = 0;
    WEIR_ASSERT(weir__chain_query(&asker, (struct weir_contract_bytes){data, size}, 1000, &gas,
                                  &answer, NULL) == WEIR_OK);
    json_t *parsed = json_loadb((const char *)answer.data, answer.size, 0, NULL);
    WEIR_ASSERT(json_is_object(parsed) && json_object_size(parsed) == 1);
    json_decref(parsed);
    weir_contract_buffer_done(&answer);
}

static void module(const uint8_t *data, size_t size)
{
    struct weir_arena *arena = NULL;
    struct weir_contract_facts facts;
    struct weir_error error = {0};
    WEIR_ASSERT(weir_arena_new(NULL, 0, &arena, NULL) == WEIR_OK);
    WEIR_ASSERT(weir_contract_check((struct weir_wasm_bytes){data, size}, arena, &facts, &error) ==
                WEIR_OK);
    WEIR_ASSERT((weir_contract_verdict(&facts, &error) == WEIR_OK) == (facts.refusals.count == 0));
    weir_error_done(&error);
    weir_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned which = data[0];
    const uint8_t *rest = data + 1;
    char *text = malloc(size); /* with a zero in the place of the first byte */
    WEIR_ASSERT(text != NULL);
    memcpy(text, rest, size - 1);
    text[size - 1] = 0;
    switch (which % 8) {
    case 'r' % 8:
        region(rest, size - 1);
        break;
    case 's' % 8:
        sections(rest, size - 1);
        break;
    case 'a' % 8:
        address(text, size - 1);
        break;
    case 'l' % 8:
        base64(text, size - 1);
        break;
    case 'm' % 8:
        module(rest, size - 1);
        break;
    case 'o' % 8:
        coins_of(text);
        break;
    default:
        query(rest, size - 1);
        break;
    }
    free(text);
    return 0;
}
