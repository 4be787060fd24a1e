/* The chain: loaded codes, and the messages that reach contracts. */
#include "base/utf8.h"
#include "worlds/contract/contract_chain_internal.h"

#include <stdio.h>
#include <string.h>

enum weir_status weir_contract_chain_open(const struct weir_contract_chain_config *config,
                                          struct weir_contract_chain **ret_chain,
                                          struct weir_error *error)
{
    const char *prefix = config->address_prefix != NULL ? config->address_prefix : "cosmwasm";
    struct weir_address_text address;
    if (!weir_address_of_name(prefix, "", &address))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "\"%.64s\" is no prefix of addresses: 1 to 83 printable characters",
                              prefix);
    struct weir_contract_vm *vm = NULL;
    enum weir_status status = weir_contract_vm_new(&config->vm, &vm, error);
    if (status != WEIR_OK)
        return status;
    struct weir_account *account = weir_contract_vm_account(vm);
    struct weir_error local = {0};
    struct weir_error *report = error != NULL ? error : &local;
    struct weir_contract_chain *chain =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *chain, report);
    status = report->status;
    weir_error_done(&local);
    if (chain == NULL) {
        weir_contract_vm_free(vm);
        return status;
    }
    chain->account = account;
    chain->vm = vm;
    chain->costs = config->costs != NULL ? config->costs : &weir_contract_costs_none;
    (void)snprintf(chain->prefix, sizeof chain->prefix, "%s", prefix);
    status = weir_contract_state_open(config->state_path, &chain->state, error);
    if (status == WEIR_OK)
        *ret_chain = chain;
    else
        weir_contract_chain_close(chain);
    return status;
}

void weir_contract_chain_close(struct weir_contract_chain *chain)
{
    if (chain == NULL)
        return;
    struct weir_contract_vm *vm = chain->vm;
    for (size_t i = 0; i < CONTRACT_CODES_LOADED_MAX; i++)
        weir_contract_code_free(chain->codes[i].code);
    weir_contract_state_close(chain->state);
    weir_account_free(chain->account, WEIR_KIND_METADATA, chain, sizeof *chain);
    weir_contract_vm_free(vm);
}

struct weir_contract_state *weir_contract_chain_state(struct weir_contract_chain *chain)
{
    return chain->state;
}

/* --- codes ----------------------------------------------------------------------------------- */

/* The place of this code, or the one to put it into. */
static struct chain_code *find_place(struct weir_contract_chain *chain,
                                     const struct weir_hash *checksum)
{
    struct chain_code *oldest = NULL;
    for (size_t i = 0; i < CONTRACT_CODES_LOADED_MAX; i++) {
        struct chain_code *place = &chain->codes[i];
        if (place->code != NULL && weir_hash_equal(&place->checksum, checksum))
            return place;
        if (place->users == 0 && (oldest == NULL || place->used_at < oldest->used_at))
            oldest = place;
    }
    return oldest;
}

static enum weir_status load(struct weir_contract_chain *chain, const struct weir_hash *checksum,
                             struct chain_code *place, struct weir_error *error)
{
    struct weir_contract_buffer wasm = {.account = chain->account};
    struct weir_contract_code *code = NULL;
    enum weir_status status = weir_contract_state_get_code(chain->state, checksum, &wasm, error);
    if (status == WEIR_OK)
        status = weir_contract_code_new(chain->vm, weir_contract_view(&wasm), &code, error);
    weir_contract_buffer_done(&wasm);
    if (status != WEIR_OK)
        return status;
    weir_contract_code_free(place->code);
    place->code = code;
    place->checksum = *checksum;
    return WEIR_OK;
}

static enum weir_status take_code(struct weir_contract_chain *chain,
                                  const struct weir_hash *checksum, struct chain_code **ret_place,
                                  struct weir_error *error)
{
    struct chain_code *place = find_place(chain, checksum);
    enum weir_status status = WEIR_OK;
    if (place->code == NULL || !weir_hash_equal(&place->checksum, checksum))
        status = load(chain, checksum, place, error);
    if (status != WEIR_OK)
        return status;
    place->used_at = ++chain->clock;
    place->users++;
    *ret_place = place;
    return WEIR_OK;
}

enum weir_status weir_contract_chain_store(struct weir_contract_chain *chain,
                                           struct weir_contract_bytes wasm,
                                           struct weir_hash *ret_checksum, struct weir_error *error)
{
    struct weir_contract_code *code = NULL;
    struct weir_hash checksum;
    enum weir_status status = weir_contract_code_new(chain->vm, wasm, &code, error);
    weir_contract_code_free(code);
    if (status == WEIR_OK)
        status = weir_hash_bytes(wasm.data, wasm.size, &checksum, error);
    if (status == WEIR_OK)
        status = weir_contract_state_put_code(chain->state, &checksum, wasm, error);
    if (status == WEIR_OK)
        *ret_checksum = checksum;
    return status;
}

/* --- messages -------------------------------------------------------------------------------- */

enum weir_status weir__chain_run(struct weir_contract_chain *chain, const struct chain_call *call,
                                 struct weir_contract_result *ret_result, struct weir_error *error)
{
    struct chain_code *place = NULL;
    struct weir_contract_run *run = NULL;
    struct weir_contract_state_place storage_place = {chain->state, call->record->id};
    const struct weir_contract_storage storage = weir_contract_state_storage(&storage_place);
    struct chain_asker asker = {chain, call->record->address};
    const struct weir_contract_querier querier = {weir__chain_query, &asker};
    const struct weir_contract_host host = {&storage, &querier, chain->costs, chain->prefix};
    enum weir_status status = take_code(chain, call->checksum, &place, error);
    if (status != WEIR_OK)
        return status;
    status = weir_contract_run_open(place->code, &host, &run, error);
    if (status == WEIR_OK)
        status = weir_contract_run_call(run, call->call, ret_result, error);
    weir_contract_run_close(run);
    place->users--;
    return status;
}

/* The message whose coins are read once, whoever asks for them. */
static enum weir_status take_message(struct weir_contract_chain *chain,
                                     const struct weir_contract_message *message,
                                     struct weir_error *error)
{
    chain->message = message;
    enum weir_status status =
        weir_coins_read(message->funds != NULL ? message->funds : "", &chain->funds, error);
    if (status == WEIR_OK)
        status = weir_coins_read(message->balance != NULL ? message->balance : "", &chain->balance,
                                 error);
    return status;
}

/* env and info as texts, then the call. */
static enum weir_status deliver(struct weir_contract_chain *chain, struct chain_call *call,
                                struct weir_contract_call *filled,
                                struct weir_contract_result *ret_result, struct weir_error *error)
{
    const struct weir_contract_message *message = chain->message;
    struct weir_contract_buffer env = {.account = chain->account}, info = env;
    enum weir_status status = weir__chain_env(message, call->record->address, &env, error);
    if (status == WEIR_OK &&
        (filled->entry == WEIR_CONTRACT_instantiate || filled->entry == WEIR_CONTRACT_execute))
        status = weir__chain_info(chain, message, &info, error);
    filled->env = weir_contract_view(&env);
    filled->info = weir_contract_view(&info);
    filled->message = message->message;
    filled->gas_limit = message->gas_limit;
    call->call = filled;
    if (status == WEIR_OK)
        status = weir__chain_run(chain, call, ret_result, error);
    weir_contract_buffer_done(&env);
    weir_contract_buffer_done(&info);
    return status;
}

static enum weir_status instantiate(struct weir_contract_chain *chain,
                                    struct weir_contract_record *record,
                                    struct weir_contract_result *ret_result,
                                    struct weir_error *error)
{
    struct chain_call call = {.record = record, .checksum = &record->checksum};
    struct weir_contract_call filled = {.entry = WEIR_CONTRACT_instantiate};
    enum weir_status status = weir_contract_state_put(chain->state, record, error);
    return status == WEIR_OK ? deliver(chain, &call, &filled, ret_result, error) : status;
}

/* Ends what begin() began; a result that cannot be kept is none. */
static enum weir_status conclude(struct weir_contract_chain *chain, enum weir_status status,
                                 struct weir_contract_result *result, struct weir_error *error)
{
    bool has_result = status == WEIR_OK;
    bool is_kept = has_result && result->outcome == WEIR_CONTRACT_ANSWERED;
    enum weir_status ended = weir_contract_state_end(chain->state, is_kept, error);
    if (status == WEIR_OK)
        status = ended;
    if (has_result && status != WEIR_OK)
        weir_contract_result_done(result);
    return status;
}

enum weir_status weir_contract_chain_instantiate(struct weir_contract_chain *chain,
                                                 const struct weir_hash *checksum,
                                                 const struct weir_contract_message *message,
                                                 struct weir_address_text *ret_address,
                                                 struct weir_contract_result *ret_result,
                                                 struct weir_error *error)
{
    struct weir_address_text address, sender;
    struct weir_contract_record record = {.checksum = *checksum};
    if (!weir_address_of_name(chain->prefix, message->label, &address))
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for an address");
    enum weir_status status = weir_address_resolve(chain->prefix, message->sender, &sender, error);
    if (status != WEIR_OK)
        return status;
    size_t label = strlen(message->label);
    if (label == 0 || label > CONTRACT_LABEL_MAX || strchr(" \t\r\n", *message->label) != NULL ||
        strchr(" \t\r\n", message->label[label - 1]) != NULL ||
        weir_utf8_valid_prefix((const uint8_t *)message->label, label) != label)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a label has 1 to %u bytes of UTF-8 and no space around it",
                              CONTRACT_LABEL_MAX);
    if (strlen(address.text) >= sizeof record.address ||
        strlen(sender.text) >= sizeof record.creator)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "addresses have less than %u characters", WEIR_CONTRACT_NAME_MAX);
    memcpy(record.address, address.text, strlen(address.text) + 1);
    memcpy(record.creator, sender.text, strlen(sender.text) + 1);
    memcpy(record.label, message->label, strlen(message->label) + 1);
    status = take_message(chain, message, error);
    if (status == WEIR_OK)
        status = weir_contract_state_begin(chain->state, error);
    if (status != WEIR_OK)
        return status;
    status = instantiate(chain, &record, ret_result, error);
    status = conclude(chain, status, ret_result, error);
    if (status == WEIR_OK)
        *ret_address = address;
    return status;
}

static enum weir_status find(struct weir_contract_chain *chain, const char *address,
                             struct weir_contract_record *ret_record, struct weir_error *error)
{
    struct weir_address_text resolved;
    enum weir_status status = weir_address_resolve(chain->prefix, address, &resolved, error);
    return status == WEIR_OK
               ? weir_contract_state_find(chain->state, resolved.text, ret_record, error)
               : status;
}

enum weir_status weir_contract_chain_call(struct weir_contract_chain *chain,
                                          enum weir_contract_entry entry, const char *address,
                                          const struct weir_contract_message *message,
                                          struct weir_contract_result *ret_result,
                                          struct weir_error *error)
{
    struct weir_contract_record record;
    enum weir_status status = find(chain, address, &record, error);
    if (status == WEIR_OK)
        status = take_message(chain, message, error);
    if (status != WEIR_OK)
        return status;
    struct chain_call call = {.record = &record, .checksum = &record.checksum};
    struct weir_contract_call filled = {.entry = entry};
    return deliver(chain, &call, &filled, ret_result, error);
}

static enum weir_status migrate_info(struct weir_contract_chain *chain,
                                     const struct weir_contract_record *record,
                                     struct weir_contract_buffer *info, struct weir_error *error)
{
    struct weir_address_text sender;
    struct chain_code *old = NULL;
    char text[WEIR_ADDRESS_TEXT_MAX + 96], version[24] = "null";
    enum weir_status status =
        weir_address_resolve(chain->prefix, chain->message->sender, &sender, error);
    if (status == WEIR_OK)
        status = take_code(chain, &record->checksum, &old, error);
    if (status != WEIR_OK)
        return status;
    uint64_t number = 0;
    if (weir_contract_code_migrate_version(old->code, &number))
        (void)snprintf(version, sizeof version, "%llu", (unsigned long long)number);
    old->users--;
    int size = snprintf(text, sizeof text, "{\"sender\":\"%s\",\"old_migrate_version\":%s}",
                        sender.text, version);
    return weir_contract_append(info, text, (size_t)size, error);
}

static enum weir_status migrate(struct weir_contract_chain *chain,
                                const struct weir_contract_record *record,
                                const struct weir_hash *checksum,
                                struct weir_contract_result *ret_result, struct weir_error *error)
{
    struct weir_contract_buffer info = {.account = chain->account};
    struct chain_call call = {.record = record, .checksum = checksum};
    struct weir_contract_call filled = {.entry = WEIR_CONTRACT_migrate};
    enum weir_status status = migrate_info(chain, record, &info, error);
    filled.migrate_info = weir_contract_view(&info);
    if (status == WEIR_OK)
        status = weir_contract_state_set_code(chain->state, record->id, checksum, error);
    if (status == WEIR_OK)
        status = deliver(chain, &call, &filled, ret_result, error);
    weir_contract_buffer_done(&info);
    return status;
}

enum weir_status weir_contract_chain_migrate(struct weir_contract_chain *chain, const char *address,
                                             const struct weir_hash *checksum,
                                             const struct weir_contract_message *message,
                                             struct weir_contract_result *ret_result,
                                             struct weir_error *error)
{
    struct weir_contract_record record;
    enum weir_status status = find(chain, address, &record, error);
    if (status == WEIR_OK)
        status = take_message(chain, message, error);
    if (status == WEIR_OK)
        status = weir_contract_state_begin(chain->state, error);
    if (status != WEIR_OK)
        return status;
    status = migrate(chain, &record, checksum, ret_result, error);
    return conclude(chain, status, ret_result, error);
}
