/* The commands of `weir contract`. What a contract answers stands in the output as it gave it. */
#include "cli/contract_command.h"

#include "base/json_number.h"
#include "server/host_file.h"
#include "worlds/contract/contract_check.h"
#include "worlds/contract/contract_limits.h"
#include "worlds/contract/contract_text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A checksum in hexadecimal digits. */
static enum weir_status read_checksum(const char *text, struct weir_hash *ret_checksum,
                                      struct weir_error *error)
{
    if (weir_hex_read(text, strlen(text), ret_checksum->bytes, sizeof ret_checksum->bytes))
        return WEIR_OK;
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "%.80s is no checksum: 64 hexadecimal digits, as store printed them",
                          text);
}

/* A text of the contract's; bytes that are no UTF-8 are shown as base64. */
static json_t *text_json(struct weir_contract_bytes bytes)
{
    json_t *text = json_stringn((const char *)bytes.data, bytes.data != NULL ? bytes.size : 0);
    if (text != NULL)
        return text;
    struct weir_contract_buffer base64 = {.account = weir_account_host()};
    if (weir_base64_append(&base64, bytes, NULL) == WEIR_OK)
        text = json_pack("{s:s%}", "base64", (const char *)base64.data, base64.size);
    weir_contract_buffer_done(&base64);
    return text != NULL ? text : json_null();
}

static json_t *debug_json(const struct weir_contract_result *result)
{
    json_t *list = json_array();
    const uint8_t *at = result->debug.data, *end = at + result->debug.size;
    while (at < end) {
        const uint8_t *zero = memchr(at, 0, (size_t)(end - at));
        (void)json_array_append_new(
            list, text_json((struct weir_contract_bytes){at, (size_t)(zero - at)}));
        at = zero + 1;
    }
    return list;
}

/* Takes the object over; NULL is what jansson makes without memory. */
static enum weir_status print(json_t *object, struct weir_error *error)
{
    char *text = object != NULL ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (text == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to print what was done");
    (void)puts(text); /* whether it was written is seen in the end */
    free(text);
    return WEIR_OK;
}

/* An answer ends the program well, whatever it says; a call without one is a trap or a limit. */
static enum weir_status print_result(const char *address, enum weir_contract_entry entry,
                                     struct weir_contract_result *result, int *ret_exit_code,
                                     struct weir_error *error)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "address", json_string(address));
    if (result->outcome == WEIR_CONTRACT_FAILED)
        (void)json_object_set_new(object, "failed", text_json(weir_contract_view(&result->reason)));
    else
        (void)json_object_set_new(object, "result", text_json(weir_contract_view(&result->answer)));
    if (entry != WEIR_CONTRACT_query)
        (void)json_object_set_new(
            object, "changes",
            json_string(result->outcome == WEIR_CONTRACT_ANSWERED ? "kept" : "none"));
    weir_json_set_number(object, "gas_used", result->gas_used);
    weir_json_set_number(object, "gas_external", result->gas_external);
    weir_json_set_number(object, "peak_pages", result->peak_pages);
    (void)json_object_set_new(object, "debug", debug_json(result));
    if (result->debug_left_out > 0)
        weir_json_set_number(object, "debug_left_out", result->debug_left_out);
    *ret_exit_code = weir_status_exit_code(result->outcome != WEIR_CONTRACT_FAILED ? WEIR_OK
                                           : result->is_out_of_gas                 ? WEIR_LIMIT
                                                                                   : WEIR_TRAP);
    weir_contract_result_done(result);
    return print(object, error);
}

enum weir_status contract_store(struct contract_session *session, int *ret_exit_code,
                                struct weir_error *error)
{
    struct weir_host_file file = {0};
    struct weir_hash checksum;
    (void)ret_exit_code;
    enum weir_status status = weir_host_file_read(session->arguments[0], CONTRACT_WASM_MAX,
                                                  weir_account_host(), &file, error);
    if (status == WEIR_OK)
        status = weir_contract_chain_store(
            session->chain, (struct weir_contract_bytes){file.bytes, file.size}, &checksum, error);
    if (status == WEIR_OK) {
        char hex[WEIR_HASH_HEX_SIZE];
        weir_hash_hex(&checksum, hex);
        json_t *object = json_pack("{s:s}", "checksum", hex);
        weir_json_set_number(object, "bytes", file.size);
        status = print(object, error);
    }
    weir_host_file_done(&file);
    return status;
}

enum weir_status contract_instantiate(struct contract_session *session, int *ret_exit_code,
                                      struct weir_error *error)
{
    struct weir_contract_message message = session->options->message;
    struct weir_hash checksum;
    struct weir_address_text address;
    struct weir_contract_result result;
    if (message.label == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "instantiate needs --label: the contract's address is made of it");
    enum weir_status status = read_checksum(session->arguments[0], &checksum, error);
    if (status == WEIR_OK)
        status = weir_contract_chain_instantiate(session->chain, &checksum, &message, &address,
                                                 &result, error);
    if (status == WEIR_OK)
        status =
            print_result(address.text, WEIR_CONTRACT_instantiate, &result, ret_exit_code, error);
    return status;
}

static enum weir_status resolve(const struct contract_session *session, const char *text,
                                struct weir_address_text *ret_address, struct weir_error *error)
{
    const char *prefix = session->options->prefix;
    return weir_address_resolve(prefix != NULL ? prefix : "cosmwasm", text, ret_address, error);
}

static enum weir_status call(struct contract_session *session, enum weir_contract_entry entry,
                             const char *name, int *ret_exit_code, struct weir_error *error)
{
    struct weir_contract_result result;
    struct weir_address_text address;
    enum weir_status status = resolve(session, name, &address, error);
    if (status == WEIR_OK)
        status = weir_contract_chain_call(session->chain, entry, address.text,
                                          &session->options->message, &result, error);
    if (status == WEIR_OK)
        status = print_result(address.text, entry, &result, ret_exit_code, error);
    return status;
}

enum weir_status contract_execute(struct contract_session *session, int *ret_exit_code,
                                  struct weir_error *error)
{
    return call(session, WEIR_CONTRACT_execute, session->arguments[0], ret_exit_code, error);
}

enum weir_status contract_query(struct contract_session *session, int *ret_exit_code,
                                struct weir_error *error)
{
    return call(session, WEIR_CONTRACT_query, session->arguments[0], ret_exit_code, error);
}

enum weir_status contract_sudo(struct contract_session *session, int *ret_exit_code,
                               struct weir_error *error)
{
    return call(session, WEIR_CONTRACT_sudo, session->arguments[0], ret_exit_code, error);
}

enum weir_status contract_call(struct contract_session *session, int *ret_exit_code,
                               struct weir_error *error)
{
    enum weir_contract_entry entry = weir_contract_entry_find(session->arguments[0]);
    if (entry == WEIR_CONTRACT_ENTRY_COUNT || entry == WEIR_CONTRACT_instantiate ||
        entry == WEIR_CONTRACT_migrate)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%.64s is no entry point that can be called so; `weir contract info` "
                              "lists those of a code",
                              session->arguments[0]);
    if (entry == WEIR_CONTRACT_execute && session->options->message.sender == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "execute needs --sender");
    return call(session, entry, session->arguments[1], ret_exit_code, error);
}

enum weir_status contract_migrate(struct contract_session *session, int *ret_exit_code,
                                  struct weir_error *error)
{
    struct weir_hash checksum;
    struct weir_contract_result result;
    struct weir_address_text address;
    enum weir_status status = resolve(session, session->arguments[0], &address, error);
    if (status == WEIR_OK)
        status = read_checksum(session->arguments[1], &checksum, error);
    if (status == WEIR_OK)
        status = weir_contract_chain_migrate(session->chain, address.text, &checksum,
                                             &session->options->message, &result, error);
    if (status == WEIR_OK)
        status = print_result(address.text, WEIR_CONTRACT_migrate, &result, ret_exit_code, error);
    return status;
}

/* --- looking --------------------------------------------------------------------------------- */

static json_t *list_json(const struct weir_contract_list *list)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < list->count; i++)
        (void)json_array_append_new(
            array, text_json((struct weir_contract_bytes){(const uint8_t *)list->items[i],
                                                          strlen(list->items[i])}));
    return array;
}

static enum weir_status print_facts(const char *checksum, size_t bytes,
                                    const struct weir_contract_facts *facts,
                                    struct weir_error *error)
{
    json_t *object = json_pack("{s:s}", "checksum", checksum);
    weir_json_set_number(object, "bytes", bytes);
    weir_json_set_number(object, "memory_pages", facts->memory_pages);
    (void)json_object_set_new(object, "capabilities", list_json(&facts->capabilities));
    (void)json_object_set_new(object, "entry_points", list_json(&facts->entries));
    (void)json_object_set_new(object, "imports", list_json(&facts->imports));
    (void)json_object_set_new(object, "migrate_version",
                              facts->has_migrate_version
                                  ? json_integer((json_int_t)facts->migrate_version)
                                  : json_null());
    return print(object, error);
}

static enum weir_status code_info(struct contract_session *session,
                                  const struct weir_hash *checksum, struct weir_error *error)
{
    struct weir_contract_buffer wasm = {.account = weir_account_host()};
    struct weir_arena *arena = NULL;
    struct weir_contract_facts facts;
    enum weir_status status = weir_contract_state_get_code(
        weir_contract_chain_state(session->chain), checksum, &wasm, error);
    if (status == WEIR_OK)
        status = weir_arena_new(NULL, 0, &arena, error);
    if (status == WEIR_OK)
        status = weir_contract_check((struct weir_wasm_bytes){wasm.data, wasm.size}, arena, &facts,
                                     error);
    if (status == WEIR_OK) {
        char hex[WEIR_HASH_HEX_SIZE];
        weir_hash_hex(checksum, hex);
        status = print_facts(hex, wasm.size, &facts, error);
    }
    weir_arena_free(arena);
    weir_contract_buffer_done(&wasm);
    return status;
}

static json_t *record_json(const struct weir_contract_record *record)
{
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(&record->checksum, hex);
    return json_pack("{s:s, s:s, s:s, s:s}", "address", record->address, "label", record->label,
                     "creator", record->creator, "checksum", hex);
}

enum weir_status contract_info(struct contract_session *session, int *ret_exit_code,
                               struct weir_error *error)
{
    struct weir_hash checksum;
    struct weir_address_text address;
    struct weir_contract_record record;
    (void)ret_exit_code;
    if (read_checksum(session->arguments[0], &checksum, NULL) == WEIR_OK)
        return code_info(session, &checksum, error);
    enum weir_status status = resolve(session, session->arguments[0], &address, error);
    if (status == WEIR_OK)
        status = weir_contract_state_find(weir_contract_chain_state(session->chain), address.text,
                                          &record, error);
    if (status == WEIR_OK)
        status = print(record_json(&record), error);
    return status;
}

static bool add_code(void *context, const struct weir_contract_code_line *line)
{
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(&line->checksum, hex);
    json_t *object = json_pack("{s:s}", "checksum", hex);
    weir_json_set_number(object, "bytes", line->bytes);
    weir_json_set_number(object, "contracts", line->contracts);
    return json_array_append_new(context, object) == 0;
}

static bool add_contract(void *context, const struct weir_contract_line *line)
{
    json_t *object = record_json(&line->record);
    weir_json_set_number(object, "keys", line->keys);
    weir_json_set_number(object, "stored_bytes", line->bytes);
    return json_array_append_new(context, object) == 0;
}

enum weir_status contract_list(struct contract_session *session, int *ret_exit_code,
                               struct weir_error *error)
{
    struct weir_contract_state *state = weir_contract_chain_state(session->chain);
    json_t *codes = json_array(), *contracts = json_array();
    (void)ret_exit_code;
    enum weir_status status = weir_contract_state_codes(state, add_code, codes, error);
    if (status == WEIR_OK)
        status = weir_contract_state_contracts(state, add_contract, contracts, error);
    if (status == WEIR_OK)
        status = print(json_pack("{s:O, s:O}", "codes", codes, "contracts", contracts), error);
    json_decref(codes);
    json_decref(contracts);
    return status;
}

enum weir_status contract_address(struct contract_session *session, int *ret_exit_code,
                                  struct weir_error *error)
{
    const char *prefix = session->options->prefix;
    struct weir_address_text address;
    (void)ret_exit_code;
    if (!weir_address_of_name(prefix != NULL ? prefix : "cosmwasm", session->arguments[0],
                              &address))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--prefix %.64s: 1 to 83 printable characters are needed", prefix);
    return print(json_pack("{s:s}", "address", address.text), error);
}
