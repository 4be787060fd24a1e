/* The functions of `env` but for cryptography: storage, addresses, queries, messages. Each charges
 * and reads its Regions in upstream's order: what a contract pays before it fails is exact, too. */
#include "base/utf8.h"
#include "worlds/contract/contract_address.h"
#include "worlds/contract/contract_internal.h"

#include <string.h>

/* --- storage --------------------------------------------------------------------------------- */

static enum weir_status get(struct weir_contract_run *run, uint32_t key_pointer,
                            struct weir_contract_buffer *key, struct weir_contract_buffer *value,
                            bool *ret_is_found)
{
    const struct weir_contract_storage *storage = run->host.storage;
    enum weir_status status = weir__contract_read(run, key_pointer, CONTRACT_KEY_MAX, key);
    if (status == WEIR_OK)
        status = weir__contract_host_ok(run, storage->get(storage->context, weir_contract_view(key),
                                                          ret_is_found, value, &run->error));
    if (status == WEIR_OK)
        status = weir__contract_charge(
            run, 0, weir__contract_cost(run->host.costs->get_key_byte, key->size));
    return status;
}

enum weir_status weir__contract_db_read(struct weir_contract_run *run,
                                        const struct weir__contract_args *args,
                                        uint64_t *ret_result)
{
    struct weir_contract_buffer key = {.account = run->account}, value = key;
    bool is_found = false;
    uint32_t pointer = 0;
    enum weir_status status = get(run, args->at[0], &key, &value, &is_found);
    if (status == WEIR_OK && is_found)
        status = weir__contract_give(run, weir_contract_view(&value), &pointer);
    *ret_result = pointer;
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
    return status;
}

static enum weir_status refuse_writing(struct weir_contract_run *run)
{
    return weir__contract_fail(run, "Must not call a writing storage function in this context.");
}

enum weir_status weir__contract_db_write(struct weir_contract_run *run,
                                         const struct weir__contract_args *args,
                                         uint64_t *ret_result)
{
    (void)ret_result;
    if (run->is_read_only)
        return refuse_writing(run);
    const struct weir_contract_storage *storage = run->host.storage;
    struct weir_contract_buffer key = {.account = run->account}, value = key;
    enum weir_status status =
        weir__contract_read_stored(run, args->at[0], CONTRACT_KEY_MAX, "Key", &key);
    if (status == WEIR_OK)
        status = weir__contract_read_stored(run, args->at[1], CONTRACT_VALUE_MAX, "Value", &value);
    if (status == WEIR_OK)
        status = weir__contract_remember(run, weir_contract_view(&key));
    if (status == WEIR_OK)
        status =
            weir__contract_host_ok(run, storage->set(storage->context, weir_contract_view(&key),
                                                     weir_contract_view(&value), &run->error));
    if (status == WEIR_OK)
        status = weir__contract_charge(
            run, 0, weir__contract_cost(run->host.costs->set_byte, key.size + value.size));
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
    return status;
}

enum weir_status weir__contract_db_remove(struct weir_contract_run *run,
                                          const struct weir__contract_args *args,
                                          uint64_t *ret_result)
{
    (void)ret_result;
    if (run->is_read_only)
        return refuse_writing(run);
    const struct weir_contract_storage *storage = run->host.storage;
    struct weir_contract_buffer key = {.account = run->account};
    enum weir_status status = weir__contract_read(run, args->at[0], CONTRACT_KEY_MAX, &key);
    if (status == WEIR_OK)
        status = weir__contract_remember(run, weir_contract_view(&key));
    if (status == WEIR_OK)
        status = weir__contract_host_ok(
            run, storage->remove(storage->context, weir_contract_view(&key), &run->error));
    if (status == WEIR_OK)
        status = weir__contract_charge(
            run, 0, weir__contract_cost(run->host.costs->remove_key_byte, key.size));
    weir_contract_buffer_done(&key);
    return status;
}

/* --- addresses ------------------------------------------------------------------------------- */

static enum weir_status give_text(struct weir_contract_run *run, const char *text,
                                  uint64_t *ret_result)
{
    uint32_t pointer = 0;
    enum weir_status status = weir__contract_give(
        run, (struct weir_contract_bytes){(const uint8_t *)text, strlen(text)}, &pointer);
    *ret_result = pointer;
    return status;
}

struct address {
    struct weir_contract_buffer text;
    uint8_t bytes[WEIR_ADDRESS_BYTES_MAX];
    size_t size;
};

/* Reads a human address and takes it apart; *ret_problem is for the contract. */
static enum weir_status read_human(struct weir_contract_run *run, uint32_t pointer,
                                   struct address *address, const char **ret_problem)
{
    enum weir_status status = weir__contract_read(run, pointer, CONTRACT_HUMAN_MAX, &address->text);
    *ret_problem = NULL;
    if (status != WEIR_OK)
        return status;
    if (address->text.size == 0) {
        *ret_problem = "Input is empty";
        return WEIR_OK;
    }
    status = weir__contract_charge_items(run, weir__contract_string_price, address->text.size);
    if (status != WEIR_OK)
        return status;
    if (weir_utf8_valid_prefix(address->text.data, address->text.size) != address->text.size) {
        *ret_problem = "Input is not valid UTF-8";
        return WEIR_OK;
    }
    *ret_problem = weir_address_read(run->host.address_prefix, (const char *)address->text.data,
                                     address->text.size, address->bytes, &address->size);
    return weir__contract_charge(run, run->host.costs->canonicalize, 0);
}

enum weir_status weir__contract_addr_validate(struct weir_contract_run *run,
                                              const struct weir__contract_args *args,
                                              uint64_t *ret_result)
{
    struct address address = {.text.account = run->account};
    struct weir_address_text normal;
    const char *problem = NULL;
    enum weir_status status = read_human(run, args->at[0], &address, &problem);
    if (status == WEIR_OK && problem == NULL) {
        status = weir__contract_charge(run, run->host.costs->humanize, 0);
        if (!weir_address_write(run->host.address_prefix, address.bytes, address.size, &normal) ||
            strlen(normal.text) != address.text.size ||
            memcmp(normal.text, address.text.data, address.text.size) != 0)
            problem = "Invalid input: address not normalized";
    }
    if (status == WEIR_OK && problem != NULL)
        status = give_text(run, problem, ret_result);
    weir_contract_buffer_done(&address.text);
    return status;
}

enum weir_status weir__contract_addr_canonicalize(struct weir_contract_run *run,
                                                  const struct weir__contract_args *args,
                                                  uint64_t *ret_result)
{
    struct address address = {.text.account = run->account};
    const char *problem = NULL;
    enum weir_status status = read_human(run, args->at[0], &address, &problem);
    if (status == WEIR_OK && problem != NULL)
        status = give_text(run, problem, ret_result);
    else if (status == WEIR_OK)
        status = weir__contract_write(run, args->at[1],
                                      (struct weir_contract_bytes){address.bytes, address.size});
    weir_contract_buffer_done(&address.text);
    return status;
}

enum weir_status weir__contract_addr_humanize(struct weir_contract_run *run,
                                              const struct weir__contract_args *args,
                                              uint64_t *ret_result)
{
    struct weir_contract_buffer bytes = {.account = run->account};
    struct weir_address_text text;
    enum weir_status status = weir__contract_read(run, args->at[0], CONTRACT_CANONICAL_MAX, &bytes);
    if (status == WEIR_OK)
        status = weir__contract_charge(run, run->host.costs->humanize, 0);
    if (status == WEIR_OK &&
        !weir_address_write(run->host.address_prefix, bytes.data, bytes.size, &text))
        status = give_text(run, "Invalid canonical address length", ret_result);
    else if (status == WEIR_OK)
        status = weir__contract_write(
            run, args->at[1],
            (struct weir_contract_bytes){(const uint8_t *)text.text, strlen(text.text)});
    weir_contract_buffer_done(&bytes);
    return status;
}

/* --- queries and messages -------------------------------------------------------------------- */

static enum weir_status ask(struct weir_contract_run *run, struct weir_contract_bytes request,
                            struct weir_contract_buffer *answer)
{
    static const char UNSUPPORTED[] =
        "{\"error\":{\"unsupported_request\":{\"kind\":\"this host answers no queries\"}}}";
    const struct weir_contract_querier *querier = run->host.querier;
    const struct weir_contract_costs *costs = run->host.costs;
    uint64_t gas = 0;
    enum weir_status status =
        querier != NULL
            ? querier->query(querier->context, request, weir_store_fuel(run->store), &gas, answer,
                             &run->error)
            : weir_contract_append(answer, UNSUPPORTED, sizeof UNSUPPORTED - 1, &run->error);
    if (status != WEIR_OK)
        return weir__contract_host_failed(run, status);
    uint64_t cost = weir__contract_cost(costs->query_answer_byte, answer->size);
    if (__builtin_add_overflow(cost, costs->query, &cost) ||
        __builtin_add_overflow(cost, gas, &cost))
        cost = UINT64_MAX;
    return weir__contract_charge(run, 0, cost);
}

enum weir_status weir__contract_query_chain(struct weir_contract_run *run,
                                            const struct weir__contract_args *args,
                                            uint64_t *ret_result)
{
    struct weir_contract_buffer request = {.account = run->account}, answer = request;
    uint32_t pointer = 0;
    enum weir_status status = weir__contract_read(run, args->at[0], CONTRACT_QUERY_MAX, &request);
    if (status == WEIR_OK)
        status = ask(run, weir_contract_view(&request), &answer);
    if (status == WEIR_OK)
        status = weir__contract_give(run, weir_contract_view(&answer), &pointer);
    *ret_result = pointer;
    weir_contract_buffer_done(&request);
    weir_contract_buffer_done(&answer);
    return status;
}

/* What finds no room is counted, not kept: a contract can talk without end. */
enum weir_status weir__contract_debug(struct weir_contract_run *run,
                                      const struct weir__contract_args *args, uint64_t *ret_result)
{
    (void)ret_result;
    struct weir_contract_buffer text = {.account = run->account};
    struct weir_contract_buffer *kept = &run->result->debug;
    enum weir_status status = weir__contract_read(run, args->at[0], CONTRACT_DEBUG_MAX, &text);
    if (status == WEIR_OK) {
        size_t size = kept->size;
        bool fits = text.size < CONTRACT_DEBUG_KEPT_MAX - kept->size;
        if (!fits || weir_contract_append(kept, text.data, text.size, NULL) != WEIR_OK ||
            weir_contract_append(kept, "", 1, NULL) != WEIR_OK) {
            kept->size = size;
            run->result->debug_left_out++;
        }
    }
    weir_contract_buffer_done(&text);
    return status;
}

enum weir_status weir__contract_abort(struct weir_contract_run *run,
                                      const struct weir__contract_args *args, uint64_t *ret_result)
{
    (void)ret_result;
    struct weir_contract_buffer text = {.account = run->account};
    enum weir_status status = weir__contract_read(run, args->at[0], CONTRACT_ABORT_MAX, &text);
    if (status == WEIR_OK)
        status = weir__contract_charge_items(run, weir__contract_string_price, text.size);
    if (status == WEIR_OK)
        status = weir__contract_fail_bytes(run, "Aborted: ", weir_contract_view(&text));
    weir_contract_buffer_done(&text);
    return status;
}

/* --- the linker ------------------------------------------------------------------------------ */

struct function {
    const char *name;
    unsigned params;
    const char *result;
    enum weir_status (*operation)(struct weir_contract_run *run,
                                  const struct weir__contract_args *args, uint64_t *ret_result);
};

static const struct function FUNCTIONS[] = {
#define CONTRACT_IMPORT(name, params, result) {#name, params, result, weir__contract_##name},
#include "worlds/contract/contract_imports.def"
#undef CONTRACT_IMPORT
};

static enum weir_status enter(struct weir_caller *caller, void *data, const union weir_value *args,
                              union weir_value *results)
{
    const struct function *function = data;
    struct weir_contract_run *run = weir_store_data(weir_caller_store(caller));
    if (run == NULL || run->result == NULL)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "%s was called outside of a call",
                                function->name);
    struct weir__contract_args values = {0};
    for (unsigned i = 0; i < function->params; i++)
        values.at[i] = (uint32_t)args[i].i32;
    uint64_t result = 0;
    enum weir_status status = weir__contract_charge(run, CONTRACT_HOST_CALL_GAS, 0);
    if (status == WEIR_OK)
        status = function->operation(run, &values, &result);
    if (status != WEIR_OK)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "%s ended the call", function->name);
    if (function->result[0] == 'I')
        results[0].i64 = (int64_t)result;
    else if (function->result[0] == 'i')
        results[0].i32 = (int32_t)(uint32_t)result;
    return WEIR_OK;
}

enum weir_status weir__contract_link(struct weir_linker *linker, struct weir_error *error)
{
    static const enum weir_type I32S[] = {WEIR_TYPE_I32, WEIR_TYPE_I32, WEIR_TYPE_I32,
                                          WEIR_TYPE_I32};
    static const enum weir_type I64 = WEIR_TYPE_I64;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof FUNCTIONS[0] && status == WEIR_OK; i++) {
        const struct function *function = &FUNCTIONS[i];
        const struct weir_func_type type = {.params = I32S,
                                            .param_count = function->params,
                                            .results = function->result[0] == 'I' ? &I64 : I32S,
                                            .result_count = strlen(function->result)};
        status = weir_linker_define_func(
            linker, "env", function->name,
            &(struct weir_host_definition){&type, enter, (void *)(uintptr_t)function}, error);
    }
    return status;
}
