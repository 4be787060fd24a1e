/* The functions of `env` that check signatures, and those on BLS12-381, which this build lacks:
 * they are there, because contracts import them whether they call them or not. */
#include "worlds/contract/contract_crypto.h"
#include "worlds/contract/contract_internal.h"

#define US UINT64_C(1000000) /* gas for a microsecond */

struct three {
    struct weir_contract_buffer at[3];
};

static enum weir_status read_three(struct weir_contract_run *run,
                                   const struct weir__contract_args *args,
                                   const uint32_t lengths_max[3], unsigned count,
                                   struct three *regions)
{
    enum weir_status status = WEIR_OK;
    for (unsigned i = 0; i < 3; i++)
        regions->at[i] = (struct weir_contract_buffer){.account = run->account};
    for (unsigned i = 0; i < count && status == WEIR_OK; i++)
        status = weir__contract_read(run, args->at[i], lengths_max[i], &regions->at[i]);
    return status;
}

static void three_done(struct three *regions)
{
    for (unsigned i = 0; i < 3; i++)
        weir_contract_buffer_done(&regions->at[i]);
}

static const uint32_t ECDSA_LENGTHS[3] = {WEIR_ECDSA_HASH_BYTES, WEIR_ECDSA_SIGNATURE_BYTES,
                                          WEIR_ECDSA_KEY_BYTES};

static enum weir_status ecdsa_verify(struct weir_contract_run *run,
                                     const struct weir__contract_args *args,
                                     enum weir_ecdsa_curve curve, uint64_t gas,
                                     uint64_t *ret_result)
{
    struct three regions;
    enum weir_status status = read_three(run, args, ECDSA_LENGTHS, 3, &regions);
    if (status == WEIR_OK)
        status = weir__contract_charge(run, gas, 0);
    if (status == WEIR_OK)
        *ret_result = weir_ecdsa_verify(curve, weir_contract_view(&regions.at[0]),
                                        weir_contract_view(&regions.at[1]),
                                        weir_contract_view(&regions.at[2]));
    three_done(&regions);
    return status;
}

/* The pointer to the key in the lower half, or a code in the upper one. */
static enum weir_status ecdsa_recover(struct weir_contract_run *run,
                                      const struct weir__contract_args *args,
                                      enum weir_ecdsa_curve curve, uint64_t gas,
                                      uint64_t *ret_result)
{
    struct three regions;
    uint8_t key[WEIR_ECDSA_KEY_BYTES];
    uint32_t pointer = 0;
    enum weir_crypto_code code = WEIR_CRYPTO_RECOVERY_PARAM;
    bool is_param = args->at[2] <= UINT8_MAX; /* else nothing is charged */
    enum weir_status status = read_three(run, args, ECDSA_LENGTHS, 2, &regions);
    if (status == WEIR_OK && is_param)
        status = weir__contract_charge(run, gas, 0);
    if (status == WEIR_OK && is_param)
        code = weir_ecdsa_recover(curve, weir_contract_view(&regions.at[0]),
                                  weir_contract_view(&regions.at[1]), (uint8_t)args->at[2], key);
    if (status == WEIR_OK && code == WEIR_CRYPTO_VALID)
        status = weir__contract_give(run, (struct weir_contract_bytes){key, sizeof key}, &pointer);
    *ret_result = (uint64_t)code << 32 | pointer;
    three_done(&regions);
    return status;
}

enum weir_status weir__contract_secp256k1_verify(struct weir_contract_run *run,
                                                 const struct weir__contract_args *args,
                                                 uint64_t *ret_result)
{
    return ecdsa_verify(run, args, WEIR_SECP256K1, 96 * US, ret_result);
}

enum weir_status weir__contract_secp256k1_recover_pubkey(struct weir_contract_run *run,
                                                         const struct weir__contract_args *args,
                                                         uint64_t *ret_result)
{
    return ecdsa_recover(run, args, WEIR_SECP256K1, 194 * US, ret_result);
}

enum weir_status weir__contract_secp256r1_verify(struct weir_contract_run *run,
                                                 const struct weir__contract_args *args,
                                                 uint64_t *ret_result)
{
    return ecdsa_verify(run, args, WEIR_SECP256R1, 279 * US, ret_result);
}

enum weir_status weir__contract_secp256r1_recover_pubkey(struct weir_contract_run *run,
                                                         const struct weir__contract_args *args,
                                                         uint64_t *ret_result)
{
    return ecdsa_recover(run, args, WEIR_SECP256R1, 592 * US, ret_result);
}

/* --- Ed25519 --------------------------------------------------------------------------------- */

enum weir_status weir__contract_ed25519_verify(struct weir_contract_run *run,
                                               const struct weir__contract_args *args,
                                               uint64_t *ret_result)
{
    static const uint32_t LENGTHS[3] = {CONTRACT_ED25519_MESSAGE_MAX, WEIR_ED25519_SIGNATURE_BYTES,
                                        WEIR_ED25519_KEY_BYTES};
    struct three regions;
    enum weir_status status = read_three(run, args, LENGTHS, 3, &regions);
    if (status == WEIR_OK)
        status = weir__contract_charge(run, 35 * US, 0);
    if (status == WEIR_OK)
        *ret_result = weir_ed25519_verify(weir_contract_view(&regions.at[0]),
                                          weir_contract_view(&regions.at[1]),
                                          weir_contract_view(&regions.at[2]));
    three_done(&regions);
    return status;
}

/* Sections of one region; without room for them, their count. */
static enum weir_status split(struct weir_contract_run *run, struct weir_contract_buffer *region,
                              struct weir_contract_bytes *items, uint32_t count_max,
                              uint32_t *ret_count)
{
    const char *problem =
        weir__contract_sections(weir_contract_view(region), items, count_max, ret_count);
    if (problem == NULL)
        return WEIR_OK;
    return weir__contract_fail(run, "Error in guest/host communication: Got an invalid section: %s",
                               problem);
}

/* Counts agree. Each list is taken apart; what is given once stays once. */
static enum weir_status verify_batch(struct weir_contract_run *run, struct three *regions,
                                     const uint32_t counts[3], uint64_t *ret_result)
{
    struct weir_contract_bytes *items[3] = {NULL, NULL, NULL};
    struct weir_contract_buffer room = {.account = run->account};
    size_t total = (size_t)counts[0] + counts[1] + counts[2];
    enum weir_status status =
        weir_contract_reserve(&room, (total + 1) * sizeof items[0][0], &run->error);
    if (status != WEIR_OK)
        return weir__contract_host_failed(run, status);
    items[0] = (struct weir_contract_bytes *)(void *)room.data;
    for (unsigned i = 0; i < 3 && status == WEIR_OK; i++) {
        uint32_t count;
        items[i] = i > 0 ? items[i - 1] + counts[i - 1] : items[0];
        status = split(run, &regions->at[i], items[i], counts[i], &count);
    }
    if (status == WEIR_OK)
        *ret_result = weir_ed25519_verify_batch(
            &(struct weir_ed25519_batch){.messages = items[0],
                                         .signatures = items[1],
                                         .keys = items[2],
                                         .count = counts[1],
                                         .has_one_message = counts[0] == 1 && counts[1] != 1,
                                         .has_one_key = counts[2] == 1 && counts[1] != 1});
    weir_contract_buffer_done(&room);
    return status;
}

enum weir_status weir__contract_ed25519_batch_verify(struct weir_contract_run *run,
                                                     const struct weir__contract_args *args,
                                                     uint64_t *ret_result)
{
    static const uint32_t LENGTHS[3] = {
        (CONTRACT_ED25519_MESSAGE_MAX + 4) * CONTRACT_ED25519_BATCH_MAX,
        (WEIR_ED25519_SIGNATURE_BYTES + 4) * CONTRACT_ED25519_BATCH_MAX,
        (WEIR_ED25519_KEY_BYTES + 4) * CONTRACT_ED25519_BATCH_MAX};
    static const struct weir__contract_price MANY_KEYS = {24 * US, 21 * US};
    static const struct weir__contract_price ONE_KEY = {36 * US, 10 * US};
    struct three regions;
    uint32_t counts[3] = {0, 0, 0};
    enum weir_status status = read_three(run, args, LENGTHS, 3, &regions);
    for (unsigned i = 0; i < 3 && status == WEIR_OK; i++)
        status = split(run, &regions.at[i], NULL, 0, &counts[i]);
    if (status == WEIR_OK)
        status = weir__contract_charge_items(run, counts[2] == 1 ? ONE_KEY : MANY_KEYS, counts[1]);
    bool agree = (counts[0] == counts[1] && counts[1] == counts[2]) ||
                 (counts[0] == 1 && counts[1] == counts[2]) ||
                 (counts[2] == 1 && counts[0] == counts[1]);
    if (status == WEIR_OK && !agree)
        *ret_result = WEIR_CRYPTO_BATCH;
    else if (status == WEIR_OK)
        status = verify_batch(run, &regions, counts, ret_result);
    three_done(&regions);
    return status;
}

/* --- BLS12-381 ------------------------------------------------------------------------------- */

#define LACKS(name)                                                                                \
    enum weir_status weir__contract_##name(struct weir_contract_run *run,                          \
                                           const struct weir__contract_args *args,                 \
                                           uint64_t *ret_result)                                   \
    {                                                                                              \
        (void)args;                                                                                \
        (void)ret_result;                                                                          \
        return weir__contract_fail(run, "%s: this build has no arithmetic on BLS12-381", #name);   \
    }
LACKS(bls12_381_aggregate_g1)
LACKS(bls12_381_aggregate_g2)
LACKS(bls12_381_pairing_equality)
LACKS(bls12_381_hash_to_g1)
LACKS(bls12_381_hash_to_g2)
