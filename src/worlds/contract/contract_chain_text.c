/* What a contract is told about where it runs and who calls it: JSON as upstream writes it, byte
 * for byte, because the contract pays for each. */
#include "worlds/contract/contract_chain_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Upstream's mock_env(). */
static const char TEST_ENV[] =
    "{\"block\":{\"height\":12345,\"time\":\"1571797419879305533\",\"chain_id\":"
    "\"cosmos-testnet-14002\"},\"transaction\":{\"index\":3,\"hash\":"
    "\"5UadrOwXzviiYP03Z17Yfn+2orWtlRk8UTCABsfklLM=\"},\"contract\":{\"address\":\"\"}}";

static enum weir_status append_text(struct weir_contract_buffer *buffer, const char *text,
                                    struct weir_error *error)
{
    return weir_contract_append(buffer, text, strlen(text), error);
}

/* The test environment with this address and the members that the caller gives. */
static enum weir_status merge(json_t *env, const struct weir_contract_message *message,
                              const char *address, struct weir_error *error)
{
    json_error_t where;
    if (message->env != NULL) {
        json_t *given = json_loads(message->env, JSON_REJECT_DUPLICATES, &where);
        if (!json_is_object(given)) {
            json_decref(given);
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "the environment is no JSON object%s%s",
                                  given == NULL ? ": " : "", given == NULL ? where.text : "");
        }
        (void)json_object_del(given, "contract");
        int added = json_object_update(env, given);
        json_decref(given);
        if (added != 0)
            return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                                  "no memory for the environment");
    }
    return json_object_set_new(json_object_get(env, "contract"), "address", json_string(address)) ==
                   0
               ? WEIR_OK
               : weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                                "no memory for the environment");
}

enum weir_status weir__chain_env(const struct weir_contract_message *message, const char *address,
                                 struct weir_contract_buffer *env, struct weir_error *error)
{
    json_t *object = json_loads(TEST_ENV, 0, NULL);
    enum weir_status status = object != NULL ? merge(object, message, address, error)
                                             : weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                                                              "no memory for the environment");
    char *text = status == WEIR_OK ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text != NULL)
        status = append_text(env, text, error);
    else if (status == WEIR_OK)
        status =
            weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the environment");
    free(text);
    json_decref(object);
    return status;
}

enum weir_status weir__chain_info(struct weir_contract_chain *chain,
                                  const struct weir_contract_message *message,
                                  struct weir_contract_buffer *info, struct weir_error *error)
{
    struct weir_address_text sender;
    enum weir_status status = weir_address_resolve(chain->prefix, message->sender, &sender, error);
    if (status == WEIR_OK)
        status = append_text(info, "{\"sender\":\"", error);
    if (status == WEIR_OK)
        status = append_text(info, sender.text, error);
    if (status == WEIR_OK)
        status = append_text(info, "\",\"funds\":[", error);
    const char *funds = message->funds != NULL ? message->funds : "";
    struct weir_coin coin;
    char text[sizeof coin + 64];
    bool is_first = true;
    while (status == WEIR_OK && (status = weir_coin_read(&funds, &coin, error)) == WEIR_OK) {
        int size = snprintf(text, sizeof text, "%s{\"denom\":\"%s\",\"amount\":\"%s\"}",
                            is_first ? "" : ",", coin.denom, coin.amount);
        status = weir_contract_append(info, text, (size_t)size, error);
        is_first = false;
    }
    return status == WEIR_NOT_FOUND ? append_text(info, "]}", error) : status;
}
