/* See contract_host.h. */
#include "tests/contract/contract_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Balance 0 earth, and no coins at all for those who ask for all of them. */
static enum weir_status bank(void *context, struct weir_contract_bytes request, uint64_t gas_limit,
                             uint64_t *ret_gas, struct weir_contract_buffer *answer,
                             struct weir_error *error)
{
    static const char ZERO[] =
        "{\"ok\":{\"ok\":\"eyJhbW91bnQiOnsiZGVub20iOiJlYXJ0aCIsImFtb3VudCI6IjAifX0=\"}}";
    static const char OTHER[] = "{\"error\":{\"unsupported_request\":{\"kind\":\"bank\"}}}";
    static const char NONE[] = "{\"ok\":{\"ok\":\"eyJhbW91bnQiOltdfQ==\"}}";
    const struct contract_host *h = context;
    char expected[2048];
    (void)gas_limit;
    (void)ret_gas;
    int size = snprintf(expected, sizeof expected,
                        "{\"bank\":{\"all_balances\":{\"address\":\"%s\"}}}", h->contract.text);
    if (request.size == (size_t)size && memcmp(request.data, expected, request.size) == 0)
        return weir_contract_append(answer, NONE, sizeof NONE - 1, error);
    size = snprintf(expected, sizeof expected,
                    "{\"bank\":{\"balance\":{\"address\":\"%s\",\"denom\":\"earth\"}}}",
                    h->contract.text);
    if (request.size != (size_t)size || memcmp(request.data, expected, request.size) != 0)
        return weir_contract_append(answer, OTHER, sizeof OTHER - 1, error);
    return weir_contract_append(answer, ZERO, sizeof ZERO - 1, error);
}

void contract_host_open(struct contract_host *h, const struct weir_contract_vm_config *config)
{
    static const struct weir_contract_vm_config none;
    struct weir_error error = {0};
    *h = (struct contract_host){.gas_limit = HOST_GAS};
    ck_assert_msg(weir_contract_vm_new(config != NULL ? config : &none, &h->vm, &error) == WEIR_OK,
                  "%s", error.message);
    ck_assert_msg(weir_contract_state_open(NULL, &h->state, &error) == WEIR_OK, "%s",
                  error.message);
    h->place = (struct weir_contract_state_place){h->state, 1};
    h->storage = weir_contract_state_storage(&h->place);
    h->querier = (struct weir_contract_querier){bank, h};
    h->host = (struct weir_contract_host){
        .storage = &h->storage, .querier = &h->querier, .costs = &weir_contract_costs_mock};
    const struct {
        const char *name;
        struct weir_address_text *address;
    } NAMES[] = {{"creator", &h->creator},
                 {"verifies", &h->verifier},
                 {"benefits", &h->beneficiary},
                 {"cosmos2contract", &h->contract}};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        ck_assert(weir_address_of_name("cosmwasm", NAMES[i].name, NAMES[i].address));
}

static void unload(struct contract_host *h)
{
    weir_contract_result_done(&h->result);
    weir_contract_run_close(h->run);
    weir_contract_code_free(h->code);
    h->run = NULL;
    h->code = NULL;
}

void contract_host_close(struct contract_host *h)
{
    unload(h);
    weir_contract_state_close(h->state);
    weir_contract_vm_free(h->vm);
}

void contract_host_load(struct contract_host *h, const void *wasm, size_t size)
{
    struct weir_error error = {0};
    unload(h);
    enum weir_status status =
        weir_contract_code_new(h->vm, (struct weir_contract_bytes){wasm, size}, &h->code, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    status = weir_contract_run_open(h->code, &h->host, &h->run, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

void contract_host_renew(struct contract_host *h)
{
    struct weir_error error = {0};
    weir_contract_run_close(h->run);
    h->run = NULL;
    enum weir_status status = weir_contract_run_open(h->code, &h->host, &h->run, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

uint8_t *contract_host_read(const char *name, size_t *ret_size)
{
    char path[1024];
    const char *folder = getenv("WEIR_CONTRACTS");
    ck_assert_msg(folder != NULL, "WEIR_CONTRACTS names no folder");
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be opened", path);
    size_t capacity = 1u << 20;
    uint8_t *bytes = malloc(capacity);
    ck_assert_ptr_nonnull(bytes);
    *ret_size = fread(bytes, 1, capacity, file);
    (void)fclose(file);
    ck_assert(*ret_size > 0 && *ret_size < capacity);
    return bytes;
}

void contract_host_load_file(struct contract_host *h, const char *name)
{
    size_t size;
    uint8_t *bytes = contract_host_read(name, &size);
    contract_host_load(h, bytes, size);
    free(bytes);
}

static struct weir_contract_bytes text_bytes(const char *text)
{
    return (struct weir_contract_bytes){(const uint8_t *)text, strlen(text)};
}

enum weir_contract_outcome contract_host_message(struct contract_host *h,
                                                 enum weir_contract_entry entry, const char *sender,
                                                 const char *funds,
                                                 struct weir_contract_bytes message)
{
    char env[2048], info[2048];
    (void)snprintf(env, sizeof env,
                   "{\"block\":{\"height\":12345,\"time\":\"1571797419879305533\",\"chain_id\":"
                   "\"cosmos-testnet-14002\"},\"transaction\":{\"index\":3,\"hash\":"
                   "\"5UadrOwXzviiYP03Z17Yfn+2orWtlRk8UTCABsfklLM=\"},\"contract\":{\"address\":"
                   "\"%s\"}}",
                   h->contract.text);
    /* migrate takes who and from which version, in the place of funds */
    (void)snprintf(info, sizeof info,
                   entry == WEIR_CONTRACT_migrate ? "{\"sender\":\"%s\",\"old_migrate_version\":%s}"
                                                  : "{\"sender\":\"%s\",\"funds\":[%s]}",
                   sender, funds);
    const struct weir_contract_call call = {.entry = entry,
                                            .env = text_bytes(env),
                                            .info = text_bytes(info),
                                            .message = message,
                                            .migrate_info = text_bytes(info),
                                            .gas_limit = h->gas_limit};
    struct weir_error error = {0};
    weir_contract_result_done(&h->result);
    enum weir_status status = weir_contract_run_call(h->run, &call, &h->result, &error);
    ck_assert_msg(status == WEIR_OK, "%s: %s", weir_contract_entry_name(entry), error.message);
    return h->result.outcome;
}

enum weir_contract_outcome contract_host_call(struct contract_host *h,
                                              enum weir_contract_entry entry, const char *sender,
                                              const char *funds, const char *message)
{
    return contract_host_message(h, entry, sender, funds, text_bytes(message));
}

enum weir_contract_outcome contract_host_send(struct contract_host *h,
                                              enum weir_contract_entry entry, const void *message,
                                              size_t size)
{
    return contract_host_message(h, entry, "", "", (struct weir_contract_bytes){message, size});
}

const char *contract_host_said(struct contract_host *h)
{
    static char text[1u << 18];
    const struct weir_contract_buffer *said =
        h->result.outcome == WEIR_CONTRACT_FAILED ? &h->result.reason : &h->result.answer;
    ck_assert_uint_lt(said->size, sizeof text);
    if (said->size > 0)
        memcpy(text, said->data, said->size);
    text[said->size] = 0;
    return text;
}

void contract_host_expect(struct contract_host *h, const char *text)
{
    ck_assert_str_eq(contract_host_said(h), text);
}

const char *contract_host_stored(struct contract_host *h, const char *key)
{
    static char text[1u << 16];
    struct weir_contract_buffer value = {.account = weir_contract_vm_account(h->vm)};
    bool is_found;
    ck_assert_int_eq(h->storage.get(h->storage.context, text_bytes(key), &is_found, &value, NULL),
                     WEIR_OK);
    ck_assert_uint_lt(value.size, sizeof text);
    if (value.size > 0)
        memcpy(text, value.data, value.size);
    text[value.size] = 0;
    weir_contract_buffer_done(&value);
    return is_found ? text : NULL;
}

uint64_t contract_host_pairs(struct contract_host *h)
{
    struct weir_contract_buffer key = {.account = weir_contract_vm_account(h->vm)}, value = key;
    struct weir_contract_buffer start = key;
    uint64_t count = 0;
    bool is_found = true;
    while (is_found) {
        const struct weir_contract_range range = {.start = weir_contract_view(&start)};
        key.size = 0;
        value.size = 0;
        ck_assert_int_eq(
            h->storage.first(h->storage.context, &range, &is_found, &key, &value, NULL), WEIR_OK);
        start.size = 0;
        ck_assert_int_eq(weir_contract_append(&start, key.data, key.size, NULL), WEIR_OK);
        ck_assert_int_eq(weir_contract_append(&start, "", 1, NULL), WEIR_OK);
        count += is_found;
    }
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
    weir_contract_buffer_done(&start);
    return count;
}
