/* The tables of the state: codes, contracts, pairs of keys and values. */
#include "worlds/contract/contract_state_internal.h"

#include <stdio.h>
#include <string.h>

static struct weir_contract_bytes hash_bytes(const struct weir_hash *hash)
{
    return (struct weir_contract_bytes){hash->bytes, sizeof hash->bytes};
}

static enum weir_status append_column(sqlite3_stmt *statement, int column,
                                      struct weir_contract_buffer *buffer, struct weir_error *error)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    return weir_contract_append(buffer, bytes, size, error);
}

/* --- codes ----------------------------------------------------------------------------------- */

enum weir_status weir_contract_state_put_code(struct weir_contract_state *state,
                                              const struct weir_hash *checksum,
                                              struct weir_contract_bytes wasm,
                                              struct weir_error *error)
{
    sqlite3_stmt *statement;
    enum weir_status status =
        weir__state_begin_statement(state, STATEMENT_PUT_CODE, &statement, error);
    if (status != WEIR_OK)
        return status;
    int bound = weir__state_bind(statement, 1, hash_bytes(checksum));
    if (bound == SQLITE_OK)
        bound = weir__state_bind(statement, 2, wasm);
    return weir__state_do(state, statement, bound, error);
}

enum weir_status weir_contract_state_get_code(struct weir_contract_state *state,
                                              const struct weir_hash *checksum,
                                              struct weir_contract_buffer *wasm,
                                              struct weir_error *error)
{
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(checksum, hex);
    sqlite3_stmt *statement;
    enum weir_status status =
        weir__state_begin_statement(state, STATEMENT_GET_CODE, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code = weir__state_bind(statement, 1, hash_bytes(checksum));
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        status = append_column(statement, 0, wasm, error);
    else if (code == SQLITE_DONE)
        status = weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "no code %s is stored", hex);
    else
        status = weir__state_failed(state, code, error);
    weir__state_end_statement(statement);
    struct weir_hash found;
    if (status == WEIR_OK)
        status = weir_hash_bytes(wasm->data, wasm->size, &found, error);
    if (status == WEIR_OK && !weir_hash_equal(&found, checksum))
        status = weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                                "the code %s was changed in its file; store it again", hex);
    return status;
}

/* --- contracts ------------------------------------------------------------------------------- */

static int bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    return sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

enum weir_status weir_contract_state_put(struct weir_contract_state *state,
                                         struct weir_contract_record *record,
                                         struct weir_error *error)
{
    sqlite3_stmt *statement;
    enum weir_status status =
        weir__state_begin_statement(state, STATEMENT_PUT_CONTRACT, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code = bind_text(statement, 1, record->address);
    if (code == SQLITE_OK)
        code = bind_text(statement, 2, record->creator);
    if (code == SQLITE_OK)
        code = bind_text(statement, 3, record->label);
    if (code == SQLITE_OK)
        code = weir__state_bind(statement, 4, hash_bytes(&record->checksum));
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_CONSTRAINT_UNIQUE)
        status = weir_error_set(error, WEIR_EXISTS, WEIR_NO_OFFSET,
                                "a contract at %s exists already; give another --label",
                                record->address);
    else if (code != SQLITE_DONE)
        status = weir__state_failed(state, code, error);
    else
        record->id = sqlite3_last_insert_rowid(state->database);
    weir__state_end_statement(statement);
    return status;
}

static void copy_text(sqlite3_stmt *statement, int column, char *to)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    (void)snprintf(to, WEIR_CONTRACT_NAME_MAX, "%s", text != NULL ? (const char *)text : "");
}

/* id, address, creator, label, checksum */
static enum weir_status read_record(struct weir_contract_state *state, sqlite3_stmt *statement,
                                    struct weir_contract_record *ret_record,
                                    struct weir_error *error)
{
    struct weir_contract_record record = {.id = sqlite3_column_int64(statement, 0)};
    copy_text(statement, 1, record.address);
    copy_text(statement, 2, record.creator);
    copy_text(statement, 3, record.label);
    const void *checksum = sqlite3_column_blob(statement, 4);
    if (checksum == NULL || sqlite3_column_bytes(statement, 4) != WEIR_HASH_SIZE)
        return weir__state_failed(state, SQLITE_CORRUPT, error);
    memcpy(record.checksum.bytes, checksum, WEIR_HASH_SIZE);
    *ret_record = record;
    return WEIR_OK;
}

enum weir_status weir_contract_state_find(struct weir_contract_state *state, const char *address,
                                          struct weir_contract_record *ret_record,
                                          struct weir_error *error)
{
    sqlite3_stmt *statement;
    enum weir_status status =
        weir__state_begin_statement(state, STATEMENT_FIND_CONTRACT, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code = bind_text(statement, 1, address);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        status = read_record(state, statement, ret_record, error);
    else if (code == SQLITE_DONE)
        status =
            weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "no contract at %s", address);
    else
        status = weir__state_failed(state, code, error);
    weir__state_end_statement(statement);
    return status;
}

enum weir_status weir_contract_state_set_code(struct weir_contract_state *state, int64_t id,
                                              const struct weir_hash *checksum,
                                              struct weir_error *error)
{
    sqlite3_stmt *statement;
    enum weir_status status =
        weir__state_begin_statement(state, STATEMENT_SET_CODE, &statement, error);
    if (status != WEIR_OK)
        return status;
    int bound = sqlite3_bind_int64(statement, 1, id);
    if (bound == SQLITE_OK)
        bound = weir__state_bind(statement, 2, hash_bytes(checksum));
    return weir__state_do(state, statement, bound, error);
}

/* --- lists ----------------------------------------------------------------------------------- */

enum weir_status
weir_contract_state_codes(struct weir_contract_state *state,
                          bool (*visit)(void *context, const struct weir_contract_code_line *line),
                          void *context, struct weir_error *error)
{
    sqlite3_stmt *statement;
    enum weir_status status =
        weir__state_begin_statement(state, STATEMENT_CODES, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct weir_contract_code_line line = {
            .bytes = (uint64_t)sqlite3_column_int64(statement, 1),
            .contracts = (uint64_t)sqlite3_column_int64(statement, 2)};
        const void *checksum = sqlite3_column_blob(statement, 0);
        if (checksum != NULL && sqlite3_column_bytes(statement, 0) == WEIR_HASH_SIZE)
            memcpy(line.checksum.bytes, checksum, WEIR_HASH_SIZE);
        if (!visit(context, &line)) {
            code = SQLITE_DONE;
            break;
        }
    }
    if (code != SQLITE_DONE)
        status = weir__state_failed(state, code, error);
    weir__state_end_statement(statement);
    return status;
}

enum weir_status weir_contract_state_contracts(struct weir_contract_state *state,
                                               bool (*visit)(void *context,
                                                             const struct weir_contract_line *line),
                                               void *context, struct weir_error *error)
{
    sqlite3_stmt *statement;
    enum weir_status status =
        weir__state_begin_statement(state, STATEMENT_CONTRACTS, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct weir_contract_line line = {.keys = (uint64_t)sqlite3_column_int64(statement, 5),
                                          .bytes = (uint64_t)sqlite3_column_int64(statement, 6)};
        status = read_record(state, statement, &line.record, error);
        if (status != WEIR_OK || !visit(context, &line)) {
            code = SQLITE_DONE;
            break;
        }
    }
    if (code != SQLITE_DONE)
        status = weir__state_failed(state, code, error);
    weir__state_end_statement(statement);
    return status;
}

/* --- pairs ----------------------------------------------------------------------------------- */

/* Binds the contract and a key to the statement. */
static enum weir_status begin_pair(void *context, enum state_statement which,
                                   struct weir_contract_bytes key, sqlite3_stmt **ret_statement,
                                   int *ret_bound, struct weir_error *error)
{
    const struct weir_contract_state_place *place = context;
    enum weir_status status =
        weir__state_begin_statement(place->state, which, ret_statement, error);
    if (status != WEIR_OK)
        return status;
    *ret_bound = sqlite3_bind_int64(*ret_statement, 1, place->id);
    if (*ret_bound == SQLITE_OK)
        *ret_bound = weir__state_bind(*ret_statement, 2, key);
    return WEIR_OK;
}

/* Columns of the first row go to the buffers; those that are NULL are left out. */
static enum weir_status take_row(struct weir_contract_state *state, sqlite3_stmt *statement,
                                 int bound, struct weir_contract_buffer *const columns[2],
                                 bool *ret_is_found, struct weir_error *error)
{
    int code = bound == SQLITE_OK ? sqlite3_step(statement) : bound;
    enum weir_status status = WEIR_OK;
    for (int i = 0; i < 2 && code == SQLITE_ROW && status == WEIR_OK; i++)
        if (columns[i] != NULL)
            status = append_column(statement, i, columns[i], error);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = weir__state_failed(state, code, error);
    *ret_is_found = code == SQLITE_ROW;
    weir__state_end_statement(statement);
    return status;
}

static enum weir_status get_pair(void *context, struct weir_contract_bytes key, bool *ret_is_found,
                                 struct weir_contract_buffer *value, struct weir_error *error)
{
    const struct weir_contract_state_place *place = context;
    sqlite3_stmt *statement;
    int bound;
    enum weir_status status = begin_pair(context, STATEMENT_GET, key, &statement, &bound, error);
    struct weir_contract_buffer *const columns[2] = {value, NULL};
    return status == WEIR_OK
               ? take_row(place->state, statement, bound, columns, ret_is_found, error)
               : status;
}

static enum weir_status set_pair(void *context, struct weir_contract_bytes key,
                                 struct weir_contract_bytes value, struct weir_error *error)
{
    const struct weir_contract_state_place *place = context;
    sqlite3_stmt *statement;
    int bound;
    enum weir_status status = begin_pair(context, STATEMENT_SET, key, &statement, &bound, error);
    if (status != WEIR_OK)
        return status;
    if (bound == SQLITE_OK)
        bound = weir__state_bind(statement, 3, value);
    return weir__state_do(place->state, statement, bound, error);
}

static enum weir_status remove_pair(void *context, struct weir_contract_bytes key,
                                    struct weir_error *error)
{
    const struct weir_contract_state_place *place = context;
    sqlite3_stmt *statement;
    int bound;
    enum weir_status status = begin_pair(context, STATEMENT_REMOVE, key, &statement, &bound, error);
    return status == WEIR_OK ? weir__state_do(place->state, statement, bound, error) : status;
}

static enum weir_status first_pair(void *context, const struct weir_contract_range *range,
                                   bool *ret_is_found, struct weir_contract_buffer *key,
                                   struct weir_contract_buffer *value, struct weir_error *error)
{
    static const enum state_statement WHICH[2][2] = {{STATEMENT_FIRST, STATEMENT_FIRST_BEFORE},
                                                     {STATEMENT_LAST, STATEMENT_LAST_BEFORE}};
    const struct weir_contract_state_place *place = context;
    sqlite3_stmt *statement;
    int bound;
    enum weir_status status = begin_pair(context, WHICH[range->is_descending][range->has_end],
                                         range->start, &statement, &bound, error);
    if (status != WEIR_OK)
        return status;
    if (bound == SQLITE_OK && range->has_end)
        bound = weir__state_bind(statement, 3, range->end);
    struct weir_contract_buffer *const columns[2] = {key, value};
    return take_row(place->state, statement, bound, columns, ret_is_found, error);
}

static enum weir_status begin_storage(void *context, struct weir_error *error)
{
    const struct weir_contract_state_place *place = context;
    return weir_contract_state_begin(place->state, error);
}

static enum weir_status end_storage(void *context, bool is_kept, struct weir_error *error)
{
    const struct weir_contract_state_place *place = context;
    return weir_contract_state_end(place->state, is_kept, error);
}

struct weir_contract_storage weir_contract_state_storage(struct weir_contract_state_place *place)
{
    return (struct weir_contract_storage){.get = get_pair,
                                          .set = set_pair,
                                          .remove = remove_pair,
                                          .first = first_pair,
                                          .begin = begin_storage,
                                          .end = end_storage,
                                          .context = place};
}
