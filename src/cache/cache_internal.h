/* What the files of the module cache share.
 *
 * One record per module and engine that is remembered, whether it is loaded or not; they lie in one
 * array made with the cache, so bookkeeping never grows. A record's module is
 *
 *   kept     in the pinned or the memory tier: the cache holds one reference
 *   lent     in use, kept nowhere: no reference of the cache's; the module tells when it goes
 *   none     not loaded: the record is history, and may serve another module
 *
 * One mutex guards all of it and is held for bookkeeping only: never while loading, unmapping,
 * hashing or allocating (and writing only where uses are recorded). Who loads a module leaves a
 * flight in its record; who wants the same one waits for that. References that go are dropped after
 * the mutex is let go, because the last one unmaps, and because a module that goes calls back in
 * here. */
#ifndef WEIR_CACHE_CACHE_INTERNAL_H
#define WEIR_CACHE_CACHE_INTERNAL_H

#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "cache/cache.h"
#include "cache/cache_limits.h"
#include "cache/curve.h"
#include "cache/cache_sieve.h"
#include "runtime/artifact_store.h"
#include "runtime/compile_internal.h"
#include "runtime/module_source.h"

#define WEIR__RECORD_NONE UINT32_MAX

/* A load in the making, and its outcome for those who wait. */
struct weir__flight {
    pthread_cond_t landed;
    uint32_t refs; /* the loader and those who wait; under the cache's mutex */
    bool is_done;
    enum weir_status status;
    struct weir_module *module; /* one reference, until the last of them has left */
    struct weir_error error;
};

/* What a hit touches comes first and lies together. */
struct weir__record {
    struct weir__sieve_node node; /* first: a node is its record */
    struct weir_hash id;          /* of the module's bytes */
    struct weir_engine *engine;   /* with the id what it is found by; compared only, unless a module
                                   * is loaded: history may be about an engine that is gone */
    struct weir_module *module;
    struct weir_hash key; /* of the artifact, as last loaded */
    struct weir__flight *flight;
    uint32_t next_in_chain;
    enum weir_cache_place place;
    uint64_t hits, used_ms;

    enum weir_cache_cause cause; /* why the next load will be needed; while loaded: of the last */
    uint32_t previous_gone, next_gone; /* history, longest gone first */
    struct weir_cache *cache;
    uint64_t since_ms;
    uint64_t loads, compiles, evictions;
    uint64_t misses[WEIR_CACHE_CAUSE_COUNT];
    uint64_t load_ns_sum, load_ns_last;
    char name[48];
};

struct weir_cache {
    pthread_mutex_t lock;
    uint32_t refs; /* the owner's, and one per module that may call back; under the mutex */
    struct weir_account *account;
    struct weir_artifact_dir *dir; /* NULL: no disk tier */
    struct weir_cache_config config;
    struct weir_cache *next_cache; /* list of all, for the reclaimer */

    struct weir__record *records;
    uint32_t record_count, used_count; /* the first used_count were given out */
    uint32_t *chains;
    uint32_t chain_count; /* a power of two */
    uint32_t first_gone, last_gone;

    struct weir__sieve memory;
    struct weir__sieve pinned; /* its list and sums; nobody asks it for victims */
    uint64_t lent_bytes, lent_modules;
    struct weir_cache_figures figures; /* counters; the rest is filled in when read */

    struct weir__curve *curve;
    struct weir__trace *trace; /* NULL: not recorded */
};

/* Modules whose last reference, the cache's, goes when the mutex is free: a list through their
 * owners. */
struct weir__doomed {
    struct weir_module *first;
};
void weir__doomed_free(struct weir__doomed *doomed);

static inline struct weir__record *weir__record_of(const struct weir__sieve_node *node)
{
    return (struct weir__record *)(uintptr_t)node;
}

static inline uint64_t weir__record_hash(const struct weir__record *record)
{
    uint64_t hash;
    memcpy(&hash, record->key.bytes, sizeof hash);
    return hash;
}

/* cache_bounds.c: with the defaults filled in; a power of two. */
struct weir_cache_config weir__cache_config_complete(const struct weir_cache_config *config);
uint32_t weir__cache_chain_count(uint32_t modules);

/* As weir_cache_new(), with an I/O layer for the disk tier. */
enum weir_status weir__cache_new(const struct weir_cache_config *config, struct weir_io *io,
                                 struct weir_cache **ret_cache, struct weir_error *error)
    WEIR_MUST_USE;
/* For tests: tiers, sums, history and the modules' references are consistent. */
void weir__cache_check(struct weir_cache *cache);
/* Lets the mutex go, which is held, and with the last reference everything. */
void weir__cache_unref_locked(struct weir_cache *cache);

/* --- cache_table.c; under the mutex -------------------------------------------------------- */

/* The module's records, one per engine, one after the other; NULL begins and ends. */
struct weir__record *weir__record_next(struct weir_cache *cache, const struct weir_hash *id,
                                       const struct weir__record *after);
struct weir__record *weir__record_find(struct weir_cache *cache, const struct weir_hash *id,
                                       const struct weir_engine *engine);
/* A fresh record, or that of the module that is gone for longest; NULL when all are loaded. */
struct weir__record *weir__record_add(struct weir_cache *cache, const struct weir_hash *id,
                                      struct weir_engine *engine);
/* The record's module is not loaded any more (or never was). */
void weir__record_gone(struct weir_cache *cache, struct weir__record *record);
/* It is loaded, or will be. */
void weir__record_back(struct weir_cache *cache, struct weir__record *record);
/* The record's module for the caller, with a reference; NULL when it is not loaded. */
struct weir_module *weir__record_take(struct weir__record *record);

/* --- cache_keep.c; under the mutex --------------------------------------------------------- */

/* Takes over one of at least two references of a module that was just loaded: keeps it in the tier
 * it belongs to, or drops the reference and counts the module as lent. */
void weir__cache_place(struct weir_cache *cache, struct weir__record *record,
                       struct weir_module *module, bool is_pinned, struct weir__doomed *doomed);
/* A lent module was asked for again, by who holds a reference: there may be room now. */
void weir__cache_keep_lent(struct weir_cache *cache, struct weir__record *record,
                           struct weir__doomed *doomed);

/* Lets go of everything; takes the mutex. */
void weir__cache_empty(struct weir_cache *cache);

/* --- cache_trace.c ------------------------------------------------------------------------- */

/* Under the mutex. */
void weir__trace_use(struct weir_cache *cache, const struct weir__record *record, uint64_t now_ms);
void weir__trace_free(struct weir_cache *cache);

#endif
