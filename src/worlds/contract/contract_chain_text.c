/* What a contract is told about where it runs and who calls it: JSON as upstream writes it, byte
 * for byte, because the contract pays for each. */
#include "worlds/contract/contract_chain_internal.h"

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

struct dump {
    struct weir_contract_buffer *buffer;
    enum weir_status status;
    struct weir_error *error;
};

static int dump_part(const char *text, size_t size, void *context)
{
    struct dump *dump = context;
    dump->status = weir_contract_append(dump->buffer, text, size, dump->error);
    return dump->status == WEIR_OK ? 0 : -1;
}

enum weir_status weir__chain_dump(struct weir_contract_buffer *buffer, const json_t *value,
                                  struct weir_error *error)
{
    struct dump dump = {buffer, WEIR_OK, error};
    if (value != NULL &&
        json_dump_callback(value, dump_part, &dump, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
        return WEIR_OK;
    return dump.status != WEIR_OK
               ? dump.status
               : weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for JSON");
}

enum env_kind {
    ENV_NUMBER,
    ENV_DIGITS,
    ENV_TEXT
};

static const struct env_member {
    const char *object, *name;
    enum env_kind kind;
    const char *wanted;
} ENV_MEMBERS[] = {
    {"block", "height", ENV_NUMBER, "a number, not negative"},
    {"block", "time", ENV_DIGITS, "nanoseconds as a text: \"1571797419879305533\""},
    {"block", "chain_id", ENV_TEXT, "a text"},
    {"transaction", "index", ENV_NUMBER, "a number, not negative"},
    {"transaction", "hash", ENV_TEXT, "a text"},
};
#define ENV_MEMBER_COUNT (sizeof ENV_MEMBERS / sizeof ENV_MEMBERS[0])

static bool is_digits(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 20 && text[digits] == 0 &&
           (digits < 20 || strcmp(text, "18446744073709551615") <= 0);
}

static bool is_of_kind(json_t *value, enum env_kind kind)
{
    if (kind == ENV_NUMBER)
        return json_is_integer(value) && json_integer_value(value) >= 0;
    return json_is_string(value) && (kind == ENV_TEXT || is_digits(json_string_value(value)));
}

static enum weir_status check_member(const char *object, const char *name, json_t *value,
                                     struct weir_error *error)
{
    for (size_t i = 0; i < ENV_MEMBER_COUNT; i++) {
        const struct env_member *member = &ENV_MEMBERS[i];
        if (strcmp(member->object, object) != 0 || strcmp(member->name, name) != 0)
            continue;
        return is_of_kind(value, member->kind)
                   ? WEIR_OK
                   : weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                    "the environment's %s.%s: %s is needed", object, name,
                                    member->wanted);
    }
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "the environment has no %s.%.64s; it has block.height, block.time, "
                          "block.chain_id, transaction.index, transaction.hash",
                          object, name);
}

static enum weir_status no_memory(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the environment");
}

/* Members of `block` or `transaction` that are given replace those of the test environment. A
 * transaction may be null: there is none. */
static enum weir_status merge_object(json_t *env, const char *name, json_t *given,
                                     struct weir_error *error)
{
    if (strcmp(name, "contract") == 0)
        return WEIR_OK; /* is always the contract's own */
    bool is_none = strcmp(name, "transaction") == 0 && json_is_null(given);
    json_t *object = json_object_get(env, name);
    if (object == NULL || (!json_is_object(given) && !is_none))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              object == NULL
                                  ? "the environment has no %.64s; it has block and transaction"
                                  : "the environment's %.64s is no JSON object",
                              name);
    enum weir_status status = WEIR_OK;
    const char *key;
    json_t *value;
    json_object_foreach(given, key, value)
    {
        if (status == WEIR_OK)
            status = check_member(name, key, value, error);
    }
    if (status != WEIR_OK)
        return status;
    int set = is_none ? json_object_set(env, name, given) : json_object_update(object, given);
    return set == 0 ? WEIR_OK : no_memory(error);
}

/* The test environment with this address and the members that the caller gives. */
static enum weir_status merge(json_t *env, const struct weir_contract_message *message,
                              const char *address, struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    if (message->env != NULL) {
        json_error_t where;
        json_t *given = json_loads(message->env, JSON_REJECT_DUPLICATES, &where);
        if (!json_is_object(given))
            status = weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                    "the environment is no JSON object%s%s",
                                    given == NULL ? ": " : "", given == NULL ? where.text : "");
        const char *name;
        json_t *object;
        json_object_foreach(given, name, object)
        {
            if (status == WEIR_OK)
                status = merge_object(env, name, object, error);
        }
        json_decref(given);
    }
    if (status == WEIR_OK &&
        json_object_set_new(json_object_get(env, "contract"), "address", json_string(address)) != 0)
        status = no_memory(error);
    return status;
}

enum weir_status weir__chain_env(const struct weir_contract_message *message, const char *address,
                                 struct weir_contract_buffer *env, struct weir_error *error)
{
    json_t *object = json_loads(TEST_ENV, 0, NULL);
    enum weir_status status =
        object != NULL ? merge(object, message, address, error) : no_memory(error);
    if (status == WEIR_OK)
        status = weir__chain_dump(env, object, error);
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
    for (size_t i = 0; i < chain->funds.count && status == WEIR_OK; i++) {
        const struct weir_coin *coin = &chain->funds.items[i];
        char text[sizeof *coin + 64];
        int size = snprintf(text, sizeof text, "%s{\"denom\":\"%s\",\"amount\":\"%s\"}",
                            i == 0 ? "" : ",", coin->denom, coin->amount);
        status = weir_contract_append(info, text, (size_t)size, error);
    }
    return status == WEIR_OK ? append_text(info, "]}", error) : status;
}
