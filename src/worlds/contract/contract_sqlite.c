/* SQLite allocates through the ledger: each block has its size in front, and is charged with it. */
#include "worlds/contract/contract_sqlite.h"

#include "worlds/contract/contract_limits.h"

#include <pthread.h>
#include <string.h>

#define FRONT 16 /* keeps what follows aligned */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct weir_account *account;

static size_t size_of(const void *block)
{
    size_t size;
    memcpy(&size, (const char *)block - FRONT, sizeof size);
    return size;
}

static void *take(int bytes)
{
    size_t size = (size_t)bytes;
    char *front = weir_account_alloc(account, WEIR_KIND_HOST_BUFFER, size + FRONT, NULL);
    if (front == NULL)
        return NULL;
    memcpy(front, &size, sizeof size);
    return front + FRONT;
}

static void give(void *block)
{
    if (block != NULL)
        weir_account_free(account, WEIR_KIND_HOST_BUFFER, (char *)block - FRONT,
                          size_of(block) + FRONT);
}

static void *resize(void *block, int bytes)
{
    void *other = take(bytes);
    if (other == NULL)
        return NULL;
    size_t size = size_of(block);
    memcpy(other, block, size < (size_t)bytes ? size : (size_t)bytes);
    give(block);
    return other;
}

static int size_for_sqlite(void *block)
{
    return block != NULL ? (int)size_of(block) : 0;
}

static int round_up(int bytes)
{
    return (bytes + 7) & ~7;
}

static int begin_methods(void *context)
{
    (void)context;
    return SQLITE_OK;
}

static void end_methods(void *context)
{
    (void)context;
}

static void begin(void)
{
    static const struct sqlite3_mem_methods METHODS = {
        take, give, resize, size_for_sqlite, round_up, begin_methods, end_methods, NULL};
    if (weir_account_new(weir_account_host(), WEIR_ACCOUNT_SERVICE, "sqlite",
                         CONTRACT_SQLITE_BYTES_MAX, &account, NULL) != WEIR_OK)
        account = NULL;
    if (account != NULL && sqlite3_config(SQLITE_CONFIG_MALLOC, &METHODS) != SQLITE_OK) {
        weir_account_close(account);
        account = NULL;
    }
    if (account == NULL)
        (void)sqlite3_hard_heap_limit64(CONTRACT_SQLITE_BYTES_MAX);
}

bool weir_contract_sqlite_begin(void)
{
    (void)pthread_once(&once, begin);
    return account != NULL;
}

struct weir_account *weir_contract_sqlite_account(void)
{
    return account;
}

enum weir_status weir_contract_sqlite_status(sqlite3 *database, int code, const char *what,
                                             struct weir_error *error)
{
    static const char DAMAGED[] = "; restore the file from a copy of it";
    static const struct {
        int code;
        enum weir_status status;
        const char *remedy;
    } MEANINGS[] = {
        {SQLITE_NOMEM, WEIR_NO_MEMORY, ""},
        {SQLITE_BUSY, WEIR_BUSY, "; another process writes it: wait for that one, or end it"},
        {SQLITE_LOCKED, WEIR_BUSY, ""},
        {SQLITE_CORRUPT, WEIR_CORRUPT, DAMAGED},
        {SQLITE_NOTADB, WEIR_CORRUPT, DAMAGED},
        {SQLITE_FULL, WEIR_IO, "; nothing was changed: make room and try again"},
        {SQLITE_CANTOPEN, WEIR_IO, "; its folder must be writable, even to read it"},
        {SQLITE_READONLY, WEIR_PERMISSION, ""},
        {SQLITE_PERM, WEIR_PERMISSION, ""},
        {SQLITE_AUTH, WEIR_PERMISSION, ""},
        {SQLITE_TOOBIG, WEIR_TOO_LARGE, ""},
    };
    enum weir_status status = WEIR_IO;
    const char *remedy = "";
    for (size_t i = 0; i < sizeof MEANINGS / sizeof MEANINGS[0]; i++) {
        if (MEANINGS[i].code != (code & 0xff))
            continue;
        status = MEANINGS[i].status;
        remedy = MEANINGS[i].remedy;
    }
    /* The connection's own words, unless they are about another error or ask for memory. */
    bool is_told = database != NULL && status != WEIR_NO_MEMORY &&
                   (sqlite3_errcode(database) & 0xff) == (code & 0xff);
    return weir_error_set(error, status, WEIR_NO_OFFSET, "%.120s: %s%s", what,
                          is_told ? sqlite3_errmsg(database) : sqlite3_errstr(code), remedy);
}
