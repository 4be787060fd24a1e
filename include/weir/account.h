/* Accounts: who holds how many bytes, of what, under which limit (DESIGN 5.1).
 *
 * Accounts form a tree: host → tenant → store → instance; caches, compiler and server have
 * accounts of their own under host. A charge happens before the bytes are taken; a refusal names
 * the whole chain. Reading is allowed from any thread and gives figures that were true at some
 * moment of the call; each figure alone is exact, sums over a running store lag by its idle
 * credit, which weir_account_read() leaves out of `used`.
 */
#ifndef WEIR_ACCOUNT_H
#define WEIR_ACCOUNT_H

#include <weir/error.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_kind {
#define WEIR_KIND(id, name, unit, covers) WEIR_KIND_##id,
#include <weir/account_kinds.def>
#undef WEIR_KIND
    WEIR_KIND_COUNT
};

enum weir_account_role {
    WEIR_ACCOUNT_HOST,
    WEIR_ACCOUNT_TENANT,
    WEIR_ACCOUNT_STORE,
    WEIR_ACCOUNT_INSTANCE,
    WEIR_ACCOUNT_SERVICE /* cache, compiler, server, profiler */
};

#define WEIR_UNLIMITED UINT64_MAX
#define WEIR_ACCOUNT_NAME_SIZE 64

struct weir_account;

struct weir_account_reading {
    char name[WEIR_ACCOUNT_NAME_SIZE];
    enum weir_account_role role;
    uint64_t limit_bytes; /* WEIR_UNLIMITED when none */
    uint64_t used_bytes;  /* by this account and everything under it */
    /* Exact for stores and instances. Above them: what was granted at most, which holds the idle
     * credit of stores and threads at that moment. */
    uint64_t peak_bytes;
    uint64_t reserved_bytes;         /* promised to stores that run, beyond what they use */
    uint64_t refused_count;          /* charges that this account's limit refused, whoever asked */
    uint64_t kinds[WEIR_KIND_COUNT]; /* used, per kind; counts for kinds of unit N */
    /* Exact for stores and instances. Above them: own charges (to 16 KiB per thread), and the
     * highest sum that a reading or the composition of a peak came across. */
    uint64_t kind_peaks[WEIR_KIND_COUNT];
};

/* The process's root account; exists from the first use to the end of the process. */
struct weir_account *weir_account_host(void);

/* A child of `parent`. The name is cut to WEIR_ACCOUNT_NAME_SIZE - 1 bytes. */
enum weir_status weir_account_new(struct weir_account *parent, enum weir_account_role role,
                                  const char *name, uint64_t limit_bytes,
                                  struct weir_account **ret_account, struct weir_error *error);
/* Drops the caller's reference. An account lives until its last charge and child are gone; it
 * stops being listed when it is closed and empty. NULL is allowed. */
void weir_account_close(struct weir_account *account);

void weir_account_read(const struct weir_account *account, struct weir_account_reading *ret);

/* Takes effect for the next charge; a limit below the present use refuses growth, frees nothing. */
void weir_account_set_limit(struct weir_account *account, uint64_t limit_bytes);

/* Calls visit for the account and everything under it, parents first, depth given. Holding no
 * lock during visit; accounts that come or go meanwhile may or may not be seen. A visitor that
 * returns false ends the walk. */
void weir_account_walk(struct weir_account *account,
                       bool (*visit)(void *context, unsigned depth,
                                     const struct weir_account_reading *reading),
                       void *context);

/* The composition at the moment of the host's highest use so far: bytes per kind, and the
 * `count` largest accounts. Returns how many entries were filled. */
struct weir_account_peak {
    uint64_t used_bytes;
    uint64_t at_ms; /* CLOCK_MONOTONIC */
    uint64_t kinds[WEIR_KIND_COUNT];
};
void weir_account_host_peak(struct weir_account_peak *ret);

const char *weir_kind_name(enum weir_kind kind);
const char *weir_kind_covers(enum weir_kind kind);
bool weir_kind_is_bytes(enum weir_kind kind);

#ifdef __cplusplus
}
#endif
#endif
