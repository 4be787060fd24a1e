/* The state's file: tables, statements that are prepared once, transactions. */
#include "worlds/contract/contract_state.h"

#include "base/bytes.h"
#include "worlds/contract/contract_limits.h"
#include "worlds/contract/contract_sqlite.h"
#include "worlds/contract/contract_state_internal.h"

#include <stdio.h>
#include <string.h>

#define APPLICATION_ID 0x77636f6e /* "wcon" */
#define FORMAT_VERSION 1

static const char *const SQL[STATEMENT_COUNT] = {
#define STATEMENT(id, sql) [STATEMENT_##id] = (sql),
#include "worlds/contract/contract_state.def"
#undef STATEMENT
};

static enum weir_status run_sql(struct weir_contract_state *state, const char *sql,
                                struct weir_error *error)
{
    int code = sqlite3_exec(state->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK
               ? WEIR_OK
               : weir_contract_sqlite_status(state->database, code, state->path, error);
}

static enum weir_status get_pragma(struct weir_contract_state *state, const char *sql,
                                   int64_t *ret_value, struct weir_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(state->database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW
               ? WEIR_OK
               : weir_contract_sqlite_status(state->database, code, state->path, error);
}

/* A file that is empty becomes ours; one of somebody else's is left alone. */
static enum weir_status make_tables(struct weir_contract_state *state, struct weir_error *error)
{
    int64_t id = 0, version = 0, tables = 0;
    enum weir_status status = get_pragma(state, "PRAGMA application_id", &id, error);
    if (status == WEIR_OK)
        status = get_pragma(state, "PRAGMA user_version", &version, error);
    if (status == WEIR_OK)
        status = get_pragma(state, "SELECT count(*) FROM sqlite_schema", &tables, error);
    if (status != WEIR_OK)
        return status;
    if (id == APPLICATION_ID && version == FORMAT_VERSION)
        return WEIR_OK;
    if (id == APPLICATION_ID)
        return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                              "%.160s was written by another weir: its format is %lld, this one's "
                              "is %d; use that weir, or another state",
                              state->path, (long long)version, FORMAT_VERSION);
    if (id != 0 || tables != 0)
        return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                              "%.160s is a database of another program", state->path);
    return run_sql(state,
                   "BEGIN IMMEDIATE;"
                   "CREATE TABLE IF NOT EXISTS code(checksum BLOB PRIMARY KEY, wasm BLOB NOT NULL) "
                   "WITHOUT ROWID;"
                   "CREATE TABLE IF NOT EXISTS contract(id INTEGER PRIMARY KEY, address TEXT NOT "
                   "NULL UNIQUE, creator TEXT NOT NULL, label TEXT NOT NULL, checksum BLOB NOT "
                   "NULL);"
                   "CREATE TABLE IF NOT EXISTS pair(contract INTEGER NOT NULL, key BLOB NOT NULL, "
                   "value BLOB NOT NULL, PRIMARY KEY(contract, key)) WITHOUT ROWID;"
                   "PRAGMA application_id = 2003005294;" /* APPLICATION_ID */
                   "PRAGMA user_version = 1;"
                   "COMMIT",
                   error);
}

static enum weir_status configure(struct weir_contract_state *state, struct weir_error *error)
{
    (void)sqlite3_busy_timeout(state->database, CONTRACT_BUSY_MS);
    (void)sqlite3_extended_result_codes(state->database, 1);
    char cache[64];
    (void)sqlite3_snprintf(sizeof cache, cache, "PRAGMA cache_size = -%u",
                           CONTRACT_SQLITE_CACHE_KIB);
    enum weir_status status = run_sql(state, cache, error);
    if (status == WEIR_OK)
        status = run_sql(state, "PRAGMA journal_mode = WAL", error);
    /* What was committed survives a loss of power. */
    if (status == WEIR_OK)
        status = run_sql(state, "PRAGMA synchronous = FULL", error);
    return status;
}

enum weir_status weir_contract_state_open(const char *path, struct weir_contract_state **ret_state,
                                          struct weir_error *error)
{
    static_assert(APPLICATION_ID == 2003005294, "make_tables() writes it");
    (void)weir_contract_sqlite_begin();
    struct weir_error local = {0};
    struct weir_error *report = error != NULL ? error : &local;
    struct weir_contract_state *state =
        weir_account_alloc(weir_account_host(), WEIR_KIND_METADATA, sizeof *state, report);
    enum weir_status status = report->status;
    weir_error_done(&local);
    if (state == NULL)
        return status;
    (void)snprintf(state->path, sizeof state->path, "%s", path != NULL ? path : "state in memory");
    int code =
        sqlite3_open_v2(path != NULL ? path : ":memory:", &state->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW, NULL);
    if (code != SQLITE_OK)
        status = weir__state_failed(state, code, error);
    else
        status = configure(state, error);
    if (status == WEIR_OK)
        status = make_tables(state, error);
    if (status == WEIR_OK)
        *ret_state = state;
    else
        weir_contract_state_close(state);
    return status;
}

void weir_contract_state_close(struct weir_contract_state *state)
{
    if (state == NULL)
        return;
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(state->statements[i]);
    (void)sqlite3_close(state->database);
    weir_account_free(weir_account_host(), WEIR_KIND_METADATA, state, sizeof *state);
}

/* --- statements ------------------------------------------------------------------------------ */

enum weir_status weir__state_begin_statement(struct weir_contract_state *state,
                                             enum state_statement which, sqlite3_stmt **ret,
                                             struct weir_error *error)
{
    sqlite3_stmt **kept = &state->statements[which];
    if (*kept == NULL) {
        int code = sqlite3_prepare_v3(state->database, SQL[which], -1, SQLITE_PREPARE_PERSISTENT,
                                      kept, NULL);
        if (code != SQLITE_OK)
            return weir__state_failed(state, code, error);
    }
    *ret = *kept;
    return WEIR_OK;
}

enum weir_status weir__state_failed(struct weir_contract_state *state, int code,
                                    struct weir_error *error)
{
    return weir_contract_sqlite_status(state->database, code, state->path, error);
}

void weir__state_end_statement(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

int weir__state_bind(sqlite3_stmt *statement, int at, struct weir_contract_bytes bytes)
{
    /* A blob of no bytes is not NULL. */
    return sqlite3_bind_blob64(statement, at, bytes.size > 0 ? (const void *)bytes.data : "",
                               bytes.size, SQLITE_STATIC);
}

/* One that answers nothing. */
enum weir_status weir__state_do(struct weir_contract_state *state, sqlite3_stmt *statement,
                                int bound, struct weir_error *error)
{
    int code = bound == SQLITE_OK ? sqlite3_step(statement) : bound;
    enum weir_status status =
        code == SQLITE_DONE ? WEIR_OK : weir__state_failed(state, code, error);
    weir__state_end_statement(statement);
    return status;
}

/* --- transactions ---------------------------------------------------------------------------- */

static enum weir_status do_plain(struct weir_contract_state *state, enum state_statement which,
                                 struct weir_error *error)
{
    sqlite3_stmt *statement;
    enum weir_status status = weir__state_begin_statement(state, which, &statement, error);
    return status == WEIR_OK ? weir__state_do(state, statement, SQLITE_OK, error) : status;
}

enum weir_status weir_contract_state_begin(struct weir_contract_state *state,
                                           struct weir_error *error)
{
    enum weir_status status =
        do_plain(state, state->depth == 0 ? STATEMENT_BEGIN : STATEMENT_SAVEPOINT, error);
    state->depth += status == WEIR_OK;
    return status;
}

/* What cannot be kept is rolled back: nothing is half-done. */
enum weir_status weir_contract_state_end(struct weir_contract_state *state, bool is_kept,
                                         struct weir_error *error)
{
    WEIR_ASSERT(state->depth > 0);
    bool is_last = --state->depth == 0;
    enum weir_status status = WEIR_OK;
    if (is_kept) {
        status = do_plain(state, is_last ? STATEMENT_COMMIT : STATEMENT_RELEASE, error);
        if (status == WEIR_OK)
            return WEIR_OK;
    }
    /* After some errors SQLite has rolled back by itself. */
    if (sqlite3_get_autocommit(state->database) != 0)
        return status;
    struct weir_error *report = status == WEIR_OK ? error : NULL;
    enum weir_status undone =
        do_plain(state, is_last ? STATEMENT_ROLLBACK : STATEMENT_ROLLBACK_TO, report);
    if (undone == WEIR_OK && !is_last)
        undone = do_plain(state, STATEMENT_RELEASE, report);
    /* Without memory for that there is another way, which loses the outer transaction too. */
    if (undone != WEIR_OK)
        (void)sqlite3_exec(state->database, "ROLLBACK", NULL, NULL, NULL);
    return status != WEIR_OK ? status : undone;
}
