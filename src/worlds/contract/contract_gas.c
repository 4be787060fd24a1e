/* Prices: of instructions (the engine's fuel, CosmWasm's charge points), of the host's work
 * (upstream's GasConfig), of what the chain does (tables). */
#include "worlds/contract/contract_internal.h"

#define OPERATOR_GAS 115u
/* A charge is dearer than what it pays for. */
#define ACCOUNTING_GAS (14 * OPERATOR_GAS)
#define FREE_LOCALS 29u
/* wasmd's multiplier: CosmWasm gas for one of the SDK's. */
#define SDK_GAS UINT64_C(140000)

const struct weir__contract_price weir__contract_write_price = {230000, 570};
const struct weir__contract_price weir__contract_string_price = {28700, 1400};

const struct weir_contract_costs weir_contract_costs_none = {.name = "none"};
const struct weir_contract_costs weir_contract_costs_mock = {
    .name = "mock",
    .get_key_byte = 1,
    .set_byte = 1,
    .remove_key_byte = 1,
    .scan = 11,
    .next_end = 37,
    .next_byte = 1,
    .humanize = 4 * SDK_GAS,
    .canonicalize = 5 * SDK_GAS,
    .query = 100000,
    .query_answer_byte = 100,
};

void weir__contract_costs_fill(struct weir_fuel_costs *costs, bool has_free_locals)
{
    *costs = (struct weir_fuel_costs){.points = WEIR_FUEL_BEFORE_ACCOUNTING,
                                      .free_locals = has_free_locals ? UINT32_MAX : FREE_LOCALS,
                                      .per_more_local = has_free_locals ? 0 : OPERATOR_GAS};
    for (size_t i = 0; i < WEIR_FUEL_CLASS_COUNT; i++)
        costs->class_costs[i] = OPERATOR_GAS;
    static const enum weir_fuel_class ACCOUNTING[] = {WEIR_FUEL_LOOP, WEIR_FUEL_END,
                                                      WEIR_FUEL_BRANCH, WEIR_FUEL_CALL};
    for (size_t i = 0; i < sizeof ACCOUNTING / sizeof ACCOUNTING[0]; i++)
        costs->class_costs[ACCOUNTING[i]] = ACCOUNTING_GAS;
}

enum weir_status weir__contract_charge(struct weir_contract_run *run, uint64_t internal,
                                       uint64_t external)
{
    uint64_t left = weir_store_fuel(run->store);
    uint64_t cost;
    if (__builtin_add_overflow(internal, external, &cost))
        cost = UINT64_MAX;
    if (__builtin_add_overflow(run->result->gas_external, external, &run->result->gas_external))
        run->result->gas_external = UINT64_MAX;
    if (cost == 0)
        return WEIR_OK;
    uint64_t rest = cost < left ? left - cost : 0;
    enum weir_status status = weir_store_set_fuel(run->store, rest, NULL);
    if (status == WEIR_OK && cost > left) {
        run->result->is_out_of_gas = true;
        status = weir__contract_fail(run, "Ran out of gas during contract execution");
    }
    return status;
}

enum weir_status weir__contract_charge_items(struct weir_contract_run *run,
                                             struct weir__contract_price price, uint64_t items)
{
    uint64_t cost;
    if (__builtin_mul_overflow(price.per_item, items, &cost) ||
        __builtin_add_overflow(cost, price.base, &cost))
        cost = UINT64_MAX;
    return weir__contract_charge(run, cost, 0);
}
