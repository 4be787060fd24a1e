/* What the two files of the state share: the connection and its statements. */
#ifndef WEIR_CONTRACT_STATE_INTERNAL_H
#define WEIR_CONTRACT_STATE_INTERNAL_H

#include <limits.h>
#include <sqlite3.h>

#include "base/check.h"
#include "worlds/contract/contract_state.h"

enum state_statement {
#define STATEMENT(id, sql) STATEMENT_##id,
#include "worlds/contract/contract_state.def"
#undef STATEMENT
    STATEMENT_COUNT
};

struct weir_contract_state {
    sqlite3 *database;
    char path[PATH_MAX]; /* for messages */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    uint32_t depth; /* begun and not ended */
};

enum weir_status weir__state_begin_statement(struct weir_contract_state *state,
                                             enum state_statement which, sqlite3_stmt **ret,
                                             struct weir_error *error) WEIR_MUST_USE;
void weir__state_end_statement(sqlite3_stmt *statement);
enum weir_status weir__state_failed(struct weir_contract_state *state, int code,
                                    struct weir_error *error);
int weir__state_bind(sqlite3_stmt *statement, int at, struct weir_contract_bytes bytes);
enum weir_status weir__state_do(struct weir_contract_state *state, sqlite3_stmt *statement,
                                int bound, struct weir_error *error) WEIR_MUST_USE;

#endif
