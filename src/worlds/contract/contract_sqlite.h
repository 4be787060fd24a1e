/* SQLite's memory, and what its answers mean. */
#ifndef WEIR_CONTRACT_SQLITE_H
#define WEIR_CONTRACT_SQLITE_H

#include <sqlite3.h>

#include "ledger/ledger.h"

/* Before the first connection: from then on every byte that SQLite takes is charged to an account
 * of its own under the host, at most CONTRACT_SQLITE_BYTES_MAX. Where the process has used SQLite
 * before, its memory is SQLite's own business, bounded by the same figure (false). */
bool weir_contract_sqlite_begin(void);
/* The account; NULL where its memory is not charged. */
struct weir_account *weir_contract_sqlite_account(void);

/* What went wrong on a connection, with what was tried. */
enum weir_status weir_contract_sqlite_status(sqlite3 *database, int code, const char *what,
                                             struct weir_error *error);

#endif
