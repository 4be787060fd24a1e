/* Scripts of calls that no honest contract makes, for contract_peer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/contract/contract_peer.h"
#include "worlds/contract/contract_text.h"

static uint64_t seed_state;

static uint32_t any(uint32_t below)
{
    seed_state = seed_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed_state >> 33) % below;
}

/* Mostly a region, sometimes none. */
static uint32_t any_pointer(void)
{
    static const uint32_t WILD[] = {0, 1, 2, 511, 4096, 65535, 1114112, 0x7fffffff, 0xffffffff};
    return any(8) > 0 ? 1024 + 16 * any(12) : WILD[any(9)];
}

static void any_region(uint32_t address)
{
    static const char *const TEXTS[] = {
        "key",
        "value",
        "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp",
        "cosmwasm1h34",
        "",
        "\xff\xfe",
        "{}"};
    uint32_t data = 4096 + 512 * ((address - 1024) / 16);
    const char *text = TEXTS[any(7)];
    uint32_t size = (uint32_t)strlen(text);
    script_data(&script, data, text, size);
    switch (any(8)) {
    case 0:
        script_region(&script, address, data, any(300), any(300));
        break;
    case 1:
        script_region(&script, address, any(2) ? 0xfffffff0 : 0, any(100), any(50));
        break;
    case 2: /* sizes that signatures have */
        script_region(&script, address, data, 80, (uint32_t[]){32, 33, 64, 65}[any(4)]);
        break;
    default:
        script_region(&script, address, data, size + any(60), size);
    }
}

static void any_step(void)
{
    unsigned call = any(24);
    bool is_missing = call >= CALL_bls12_381_aggregate_g1 && call <= CALL_bls12_381_hash_to_g2;
    if (is_missing || (call == CALL_abort && any(6) > 0))
        call = CALL_db_write;
    if (call == CALL_db_scan)
        script_call(&script, CALL_db_scan, any_pointer(), any_pointer(), 1 + any(9) / 4);
    else if (call >= CALL_db_next)
        script_call(&script, (enum script_call)call, any(4), 0, 0);
    else if (call == CALL_secp256k1_recover_pubkey || call == CALL_secp256r1_recover_pubkey)
        script_call(&script, (enum script_call)call, any_pointer(), any_pointer(),
                    any(5) > 0 ? any(5) : 256 + any(9));
    else
        script_call(&script, (enum script_call)call, any_pointer(), any_pointer(), any_pointer());
}

void test_scripts(const char *file, uint64_t first, int count)
{
    load(file);
    for (int i = 0; i < count; i++) {
        seed_state = first + (uint64_t)i;
        script.size = 0;
        for (uint32_t k = 0; k < 12; k++)
            any_region(1024 + 16 * k);
        if (any(10) == 0)
            script_step(&script, SCRIPT_MODE, 1 + any(9));
        for (unsigned steps = 1 + any(12); steps > 0; steps--)
            any_step();
        if (any(12) == 0)
            script_step(&script, SCRIPT_ANSWER, any_pointer());
        both_bytes(any(8) > 0 ? WEIR_CONTRACT_execute : WEIR_CONTRACT_query, h.creator.text, "",
                   script.bytes, script.size);
    }
}

/* Nine keys, values of different sizes, so that gas tells which one is seen. */
static void any_key_step(uint32_t *iterators)
{
    uint32_t key = 1024 + 16 * any(9);
    switch (any(8)) {
    case 0:
    case 1:
        script_call(&script, CALL_db_write, key, 1168 + 16 * any(4), 0);
        break;
    case 2:
        script_call(&script, CALL_db_remove, key, 0, 0);
        break;
    case 3:
        script_call(&script, CALL_db_scan, any(2) * key, any(2) * (1024 + 16 * any(9)), 1 + any(2));
        ++*iterators;
        break;
    default:
        if (*iterators > 0)
            script_call(&script, (enum script_call)(CALL_db_next + any(3)), any(*iterators), 0, 0);
    }
}

void test_iterators(const char *file, uint64_t first, int count)
{
    load(file);
    for (int i = 0; i < count; i++) {
        uint32_t iterators = 0;
        seed_state = first + (uint64_t)i;
        script.size = 0;
        for (uint32_t k = 0; k < 9; k++)
            script_bytes(&script, 1024 + 16 * k, (const uint8_t[]){(uint8_t)(k / 3), 7}, 1 + k % 2);
        for (uint32_t k = 0; k < 4; k++)
            script_region(&script, 1168 + 16 * k, 8192, 100, 1 + 21 * k);
        for (unsigned steps = 5 + any(40); steps > 0; steps--)
            any_key_step(&iterators);
        both_bytes(WEIR_CONTRACT_execute, h.creator.text, "", script.bytes, script.size);
    }
}

/* Lines `function region region region` in hexadecimal digits, one script for each; the last one is
 * the parameter where a key is recovered. */
void test_vectors(const char *file_name, const char *path)
{
    static char line[1u << 16];
    load(file_name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        give_up("cannot open", path);
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        unsigned call = (unsigned)strtoul(strsep(&rest, " "), NULL, 10);
        bool is_recovery =
            call == CALL_secp256k1_recover_pubkey || call == CALL_secp256r1_recover_pubkey;
        uint32_t data = 8192, third = 1056;
        script.size = 0;
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t bytes[8192];
            const char *hex = strsep(&rest, " \n");
            size_t size = strlen(hex) / 2;
            if (size > sizeof bytes || !weir_hex_read(hex, 2 * size, bytes, size))
                give_up("no vector", hex);
            script_data(&script, data, bytes, size);
            script_region(&script, 1024 + 16 * i, data, (uint32_t)size, (uint32_t)size);
            data += 8192;
            if (i == 2 && is_recovery)
                third = bytes[0];
        }
        script_call(&script, (enum script_call)call, 1024, 1040, third);
        both_bytes(WEIR_CONTRACT_query, "", "", script.bytes, script.size);
    }
    (void)fclose(file);
}
