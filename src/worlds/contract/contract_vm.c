/* The VM and its codes: an engine with CosmWasm's features and prices, the linker, a pool per code.
 */
#include "worlds/contract/contract_check.h"
#include "worlds/contract/contract_internal.h"

#include <string.h>

static enum weir_status make_engine(struct weir_contract_vm *vm,
                                    const struct weir_contract_vm_config *config,
                                    struct weir_error *error)
{
    struct weir_fuel_costs costs;
    weir__contract_costs_fill(&costs, config->has_free_locals);
    const struct weir_engine_config engine = {.features = WEIR_CONTRACT_FEATURES,
                                              .has_fuel = true,
                                              .fuel_costs = &costs,
                                              .has_canonical_nans = true,
                                              .artifact_dir = config->artifact_dir,
                                              .module_bytes_max = CONTRACT_WASM_MAX,
                                              .account = vm->account};
    return weir_engine_new(&engine, &vm->engine, error);
}

enum weir_status weir_contract_vm_new(const struct weir_contract_vm_config *config,
                                      struct weir_contract_vm **ret_vm, struct weir_error *error)
{
    struct weir_account *parent = config->account != NULL ? config->account : weir_account_host();
    struct weir_account *account = NULL;
    enum weir_status status =
        weir_account_new(parent, WEIR_ACCOUNT_TENANT, "contracts", WEIR_UNLIMITED, &account, error);
    if (status != WEIR_OK)
        return status;
    struct weir_error local = {0};
    struct weir_error *report = error != NULL ? error : &local;
    struct weir_contract_vm *vm =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *vm, report);
    if (vm == NULL) {
        status = report->status;
        weir_error_done(&local);
        weir_account_close(account);
        return status;
    }
    vm->account = account;
    vm->memory_bytes_max =
        config->memory_bytes_max != 0 ? config->memory_bytes_max : CONTRACT_MEMORY_BYTES_DEFAULT;
    status = make_engine(vm, config, error);
    if (status == WEIR_OK)
        status = weir_linker_new(vm->engine, &vm->linker, error);
    if (status == WEIR_OK)
        status = weir__contract_link(vm->linker, error);
    if (status == WEIR_OK)
        *ret_vm = vm;
    else
        weir_contract_vm_free(vm);
    return status;
}

void weir_contract_vm_free(struct weir_contract_vm *vm)
{
    if (vm == NULL)
        return;
    struct weir_account *account = vm->account;
    weir_linker_free(vm->linker);
    weir_engine_unref(vm->engine);
    weir_account_free(account, WEIR_KIND_METADATA, vm, sizeof *vm);
    weir_account_close(account);
}

struct weir_account *weir_contract_vm_account(struct weir_contract_vm *vm)
{
    return vm->account;
}

/* Facts are only needed until the module is compiled. */
static enum weir_status check(struct weir_contract_code *code, struct weir_contract_bytes wasm,
                              struct weir_error *error)
{
    struct weir_account_source source = {code->vm->account, WEIR_KIND_COMPILER};
    const struct weir_arena_source arena_source = weir_account_arena_source(&source);
    struct weir_arena *arena = NULL;
    struct weir_contract_facts facts;
    enum weir_status status = weir_arena_new(&arena_source, 0, &arena, error);
    if (status == WEIR_OK)
        status = weir_contract_check((struct weir_wasm_bytes){wasm.data, wasm.size}, arena, &facts,
                                     error);
    if (status == WEIR_OK)
        status = weir_contract_verdict(&facts, error);
    if (status == WEIR_OK) {
        code->has_migrate_version = facts.has_migrate_version;
        code->migrate_version = facts.migrate_version;
    }
    weir_arena_free(arena);
    return status;
}

static enum weir_status load(struct weir_contract_code *code, struct weir_contract_bytes wasm,
                             struct weir_error *error)
{
    struct weir_contract_vm *vm = code->vm;
    const struct weir_module_config module = {.name = code->name};
    enum weir_status status =
        weir_module_new(vm->engine, wasm.data, wasm.size, &module, &code->module, error);
    const struct weir_pool_config pool = {
        .store = {.name = code->name,
                  .account = vm->account,
                  .memory_bytes_max = 2 * vm->memory_bytes_max + CONTRACT_HOST_BYTES_MAX,
                  .linear_bytes_max = vm->memory_bytes_max},
        .slots_max = CONTRACT_SLOTS_MAX,
        .warm_max = CONTRACT_SLOTS_WARM};
    if (status == WEIR_OK)
        status = weir_pool_new(vm->linker, code->module, &pool, &code->pool, error);
    return status;
}

enum weir_status weir_contract_code_new(struct weir_contract_vm *vm,
                                        struct weir_contract_bytes wasm,
                                        struct weir_contract_code **ret_code,
                                        struct weir_error *error)
{
    if (wasm.size > CONTRACT_WASM_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the contract has %zu bytes; at most %u are taken", wasm.size,
                              CONTRACT_WASM_MAX);
    struct weir_hash hash;
    enum weir_status status = weir_hash_bytes(wasm.data, wasm.size, &hash, error);
    if (status != WEIR_OK)
        return status;
    struct weir_error local = {0};
    struct weir_error *report = error != NULL ? error : &local;
    struct weir_contract_code *code =
        weir_account_alloc(vm->account, WEIR_KIND_METADATA, sizeof *code, report);
    if (code == NULL) {
        status = report->status;
        weir_error_done(&local);
        return status;
    }
    code->vm = vm;
    weir_hash_hex(&hash, code->name);
    status = check(code, wasm, error);
    if (status == WEIR_OK)
        status = load(code, wasm, error);
    if (status == WEIR_OK)
        *ret_code = code;
    else
        weir_contract_code_free(code);
    return status;
}

void weir_contract_code_free(struct weir_contract_code *code)
{
    if (code == NULL)
        return;
    weir_pool_free(code->pool);
    weir_module_unref(code->module);
    weir_account_free(code->vm->account, WEIR_KIND_METADATA, code, sizeof *code);
}

bool weir_contract_code_migrate_version(const struct weir_contract_code *code,
                                        uint64_t *ret_version)
{
    if (code->has_migrate_version)
        *ret_version = code->migrate_version;
    return code->has_migrate_version;
}
