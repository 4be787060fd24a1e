/* Queries of contracts: balances as the caller said they are, other contracts' answers and raw
 * state. What this chain does not know it says so, as a system error that contracts understand. */
#include "worlds/contract/contract_chain_internal.h"

#include <string.h>

struct asking {
    struct weir_contract_chain *chain;
    const char *asker; /* address */
    uint64_t gas_limit;
    uint64_t gas;
    struct weir_contract_buffer *answer;
    struct weir_error *error;
};

static enum weir_status say(struct asking *asking, const char *text)
{
    return weir_contract_append(asking->answer, text, strlen(text), asking->error);
}

/* {"ok":{"ok":"<base64 of the bytes>"}} */
static enum weir_status answer_bytes(struct asking *asking, struct weir_contract_bytes bytes)
{
    enum weir_status status = say(asking, "{\"ok\":{\"ok\":\"");
    if (status == WEIR_OK)
        status = weir_base64_append(asking->answer, bytes, asking->error);
    return status == WEIR_OK ? say(asking, "\"}}") : status;
}

/* A JSON value in front of and behind which texts are written; takes it over. */
static enum weir_status answer_json(struct asking *asking, const char *before, json_t *value,
                                    const char *behind)
{
    enum weir_status status = say(asking, before);
    if (status == WEIR_OK)
        status = weir__chain_dump(asking->answer, value, asking->error);
    json_decref(value);
    return status == WEIR_OK ? say(asking, behind) : status;
}

static enum weir_status unsupported(struct asking *asking, const char *kind)
{
    return answer_json(asking, "{\"error\":{\"unsupported_request\":{\"kind\":", json_string(kind),
                       "}}}");
}

static enum weir_status no_such_contract(struct asking *asking, const char *address)
{
    return answer_json(asking, "{\"error\":{\"no_such_contract\":{\"addr\":", json_string(address),
                       "}}}");
}

/* --- bank ------------------------------------------------------------------------------------ */

/* The caller said what the contract has; nobody else has anything. */
static const char *amount_of(const struct asking *asking, const char *address, const char *denom)
{
    const struct weir_coins *balance = &asking->chain->balance;
    for (size_t i = 0; i < balance->count && strcmp(address, asking->asker) == 0; i++)
        if (strcmp(balance->items[i].denom, denom) == 0)
            return balance->items[i].amount;
    return "0";
}

static enum weir_status query_balance(struct asking *asking, json_t *request)
{
    const char *address = json_string_value(json_object_get(request, "address"));
    const char *denom = json_string_value(json_object_get(request, "denom"));
    if (address == NULL || denom == NULL)
        return unsupported(asking, "bank balance without address and denom");
    json_t *amount = json_pack("{s:{s:s,s:s}}", "amount", "denom", denom, "amount",
                               amount_of(asking, address, denom));
    struct weir_contract_buffer text = {.account = asking->answer->account};
    enum weir_status status = weir__chain_dump(&text, amount, asking->error);
    json_decref(amount);
    if (status == WEIR_OK)
        status = answer_bytes(asking, weir_contract_view(&text));
    weir_contract_buffer_done(&text);
    return status;
}

/* --- contracts ------------------------------------------------------------------------------- */

static enum weir_status run_query(struct asking *asking, const struct weir_contract_record *record,
                                  struct weir_contract_bytes message,
                                  struct weir_contract_result *ret_result)
{
    struct weir_contract_chain *chain = asking->chain;
    struct weir_contract_buffer env = {.account = chain->account};
    struct weir_contract_call query = {
        .entry = WEIR_CONTRACT_query, .message = message, .gas_limit = asking->gas_limit};
    const struct chain_call call = {
        .record = record, .checksum = &record->checksum, .call = &query};
    enum weir_status status = weir__chain_env(chain->message, record->address, &env, asking->error);
    query.env = weir_contract_view(&env);
    if (status == WEIR_OK) {
        chain->query_depth++;
        status = weir__chain_run(chain, &call, ret_result, asking->error);
        chain->query_depth--;
    }
    weir_contract_buffer_done(&env);
    return status;
}

/* What the other contract said is the inner answer as it stands. */
static enum weir_status pass_on(struct asking *asking, const struct weir_contract_result *result)
{
    asking->gas = result->gas_used;
    if (result->outcome == WEIR_CONTRACT_FAILED)
        return answer_json(asking, "{\"ok\":{\"error\":",
                           json_stringn_nocheck("query of a contract failed", 26), "}}");
    enum weir_status status = say(asking, "{\"ok\":");
    if (status == WEIR_OK)
        status = weir_contract_append(asking->answer, result->answer.data, result->answer.size,
                                      asking->error);
    return status == WEIR_OK ? say(asking, "}") : status;
}

static enum weir_status query_smart(struct asking *asking,
                                    const struct weir_contract_record *record, json_t *request)
{
    const char *text = json_string_value(json_object_get(request, "msg"));
    if (text == NULL)
        return unsupported(asking, "wasm smart without msg");
    if (asking->chain->query_depth == CONTRACT_QUERY_DEPTH_MAX)
        return unsupported(asking, "queries that are nested more than 10 deep");
    struct weir_contract_buffer message = {.account = asking->chain->account};
    struct weir_contract_result result = {0};
    struct weir_error problem = {0};
    enum weir_status status = weir_base64_read(text, strlen(text), &message, &problem);
    if (status == WEIR_INVALID_ARGUMENT) {
        status = unsupported(asking, "wasm smart whose msg is no base64");
        weir_error_done(&problem);
    } else {
        weir_error_move(asking->error, &problem);
        if (status == WEIR_OK)
            status = run_query(asking, record, weir_contract_view(&message), &result);
        if (status == WEIR_OK)
            status = pass_on(asking, &result);
    }
    weir_contract_result_done(&result);
    weir_contract_buffer_done(&message);
    return status;
}

static enum weir_status query_raw(struct asking *asking, const struct weir_contract_record *record,
                                  json_t *request)
{
    const char *text = json_string_value(json_object_get(request, "key"));
    struct weir_contract_buffer key = {.account = asking->chain->account}, value = key;
    struct weir_contract_state_place place = {asking->chain->state, record->id};
    const struct weir_contract_storage storage = weir_contract_state_storage(&place);
    bool is_found;
    struct weir_error problem = {0};
    enum weir_status status =
        text != NULL ? weir_base64_read(text, strlen(text), &key, &problem) : WEIR_INVALID_ARGUMENT;
    if (status == WEIR_INVALID_ARGUMENT) {
        status = unsupported(asking, "wasm raw whose key is no base64");
        weir_error_done(&problem);
    } else {
        weir_error_move(asking->error, &problem);
        if (status == WEIR_OK)
            status = storage.get(storage.context, weir_contract_view(&key), &is_found, &value,
                                 asking->error);
        if (status == WEIR_OK)
            status = answer_bytes(asking, weir_contract_view(&value));
    }
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
    return status;
}

static enum weir_status query_wasm(struct asking *asking, const char *kind, json_t *request)
{
    const char *address = json_string_value(json_object_get(request, "contract_addr"));
    bool is_smart = strcmp(kind, "smart") == 0;
    if (address == NULL || (!is_smart && strcmp(kind, "raw") != 0))
        return unsupported(asking, kind);
    struct weir_contract_record record;
    struct weir_error problem = {0};
    enum weir_status status =
        weir_contract_state_find(asking->chain->state, address, &record, &problem);
    if (status == WEIR_NOT_FOUND) {
        weir_error_done(&problem);
        return no_such_contract(asking, address);
    }
    weir_error_move(asking->error, &problem);
    if (status != WEIR_OK)
        return status;
    return is_smart ? query_smart(asking, &record, request) : query_raw(asking, &record, request);
}

/* --- all ------------------------------------------------------------------------------------- */

/* The only member of an object: its name, and its value. */
static const char *only_member(json_t *object, json_t **ret_value)
{
    void *at = json_object_size(object) == 1 ? json_object_iter(object) : NULL;
    if (at == NULL)
        return NULL;
    *ret_value = json_object_iter_value(at);
    return json_object_iter_key(at);
}

static enum weir_status dispatch(struct asking *asking, json_t *request)
{
    json_t *inner = NULL, *innermost = NULL;
    const char *module = only_member(request, &inner);
    const char *kind = module != NULL ? only_member(inner, &innermost) : NULL;
    if (kind == NULL)
        return unsupported(asking, module != NULL ? module : "no object with one member");
    if (strcmp(module, "bank") == 0 && strcmp(kind, "balance") == 0)
        return query_balance(asking, innermost);
    if (strcmp(module, "wasm") == 0)
        return query_wasm(asking, kind, innermost);
    return unsupported(asking, module);
}

static enum weir_status invalid_request(struct asking *asking, const char *text,
                                        struct weir_contract_bytes request)
{
    enum weir_status status =
        answer_json(asking, "{\"error\":{\"invalid_request\":{\"error\":", json_string(text),
                    ",\"request\":\"");
    if (status == WEIR_OK)
        status = weir_base64_append(asking->answer, request, asking->error);
    return status == WEIR_OK ? say(asking, "\"}}}") : status;
}

enum weir_status weir__chain_query(void *context, struct weir_contract_bytes request,
                                   uint64_t gas_limit, uint64_t *ret_gas,
                                   struct weir_contract_buffer *answer, struct weir_error *error)
{
    const struct chain_asker *asker = context;
    struct asking asking = {.chain = asker->chain,
                            .asker = asker->address,
                            .gas_limit = gas_limit,
                            .answer = answer,
                            .error = error};
    json_error_t where;
    uint64_t room = (uint64_t)request.size * CONTRACT_JSON_BYTES_PER_BYTE;
    enum weir_status status =
        weir_account_charge(answer->account, WEIR_KIND_HOST_BUFFER, room, error);
    if (status != WEIR_OK)
        return status;
    json_t *parsed =
        json_loadb((const char *)request.data, request.size, JSON_REJECT_DUPLICATES, &where);
    status =
        parsed != NULL ? dispatch(&asking, parsed) : invalid_request(&asking, where.text, request);
    json_decref(parsed);
    weir_account_discharge(answer->account, WEIR_KIND_HOST_BUFFER, room);
    *ret_gas = asking.gas;
    return status;
}
