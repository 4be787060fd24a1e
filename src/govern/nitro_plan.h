/* The memory budget of an Arbitrum Nitro node, twice: as Nitro's memory document reckons it, and as
 * its code really bounds it.
 *
 * MB is Nitro's MB, 2^20 bytes. A budget has three sections: what lives outside Go, the margin, and
 * the floor of the Go side. GOMEMLIMIT = memory - outside - margin, rounded down to whole MB; the
 * budget fits when that is not below the floor. The code's budget has the part of the margin whose
 * user is known as a line of its own.
 */
#ifndef WEIR_GOVERN_NITRO_PLAN_H
#define WEIR_GOVERN_NITRO_PLAN_H

#include "govern/plan.h"

/* What a node's configuration says about memory. Defaults are Nitro's. */
struct weir_nitro_config {
    const char *name; /* of the file, for messages; NULL: defaults */
    uint64_t database_cache_mb;
    uint64_t trie_dirty_cache_mb;
    uint64_t trie_clean_cache_mb;
    uint64_t snapshot_cache_mb;
    uint64_t stylus_cache_mb;
    uint64_t memtable_count;  /* persistent.pebble.experimental.mem-table-stop-writes-threshold */
    uint64_t diff_layers_max; /* pathdb-max-diff-layers */
    uint64_t rpc_free_limit;  /* bytes; 0: off */
    uint64_t validator_free_limit;
    unsigned set_mask; /* which of them the file names: bit WEIR_NITRO_KEY */
};
enum weir_nitro_key {
    WEIR_NITRO_DATABASE_CACHE,
    WEIR_NITRO_TRIE_DIRTY_CACHE,
    WEIR_NITRO_TRIE_CLEAN_CACHE,
    WEIR_NITRO_SNAPSHOT_CACHE,
    WEIR_NITRO_STYLUS_CACHE,
    WEIR_NITRO_MEMTABLES,
    WEIR_NITRO_DIFF_LAYERS,
    WEIR_NITRO_RPC_FREE_LIMIT,
    WEIR_NITRO_VALIDATOR_FREE_LIMIT
};

struct weir_nitro_config weir_nitro_config_default(void);
/* A node's JSON configuration. CONFIG with the key's path and what to do for what is unknown, of
 * the wrong type or out of range; MALFORMED with the line for what is no JSON. `name` is kept. */
enum weir_status weir_nitro_config_parse(const char *name, const char *bytes, size_t size,
                                         struct weir_nitro_config *ret_config,
                                         struct weir_error *error) WEIR_MUST_USE;
/* Sizes as Nitro's ParseMemLimit means them ("1GB", 1024-based, a unit is needed), without what it
 * takes by mistake: signs, trailing text, overflow. CONFIG that names `key`. */
enum weir_status weir_nitro_size_parse(const char *key, const char *text, uint64_t *ret_bytes,
                                       struct weir_error *error) WEIR_MUST_USE;
/* GOMEMLIMIT by Go's own grammar: digits with B, KiB, MiB, GiB, TiB or nothing; "off" is
 * UINT64_MAX. INVALID_ARGUMENT with what Go would have taken. */
enum weir_status weir_gomemlimit_parse(const char *text, uint64_t *ret_bytes,
                                       struct weir_error *error) WEIR_MUST_USE;

/* How the node is run. */
struct weir_nitro_run {
    uint64_t memory_bytes;     /* of the container */
    const char *memory_source; /* "--memory" */
    uint64_t margin_bytes;
    uint64_t arena_count; /* MALLOC_ARENA_MAX; 0: unset */
    uint64_t cpus;        /* of the host, for arenas that are unset */
    uint64_t threads;
    uint64_t gogc; /* percent; UINT64_MAX: off */
    bool has_classic;
    bool has_gomemlimit;
    uint64_t gomemlimit_bytes; /* what the node has now; UINT64_MAX: off */
};
#define WEIR_NITRO_MARGIN_DEFAULT (UINT64_C(400) << 20)
#define WEIR_NITRO_MARGIN_LOW (UINT64_C(300) << 20)
#define WEIR_NITRO_MARGIN_HIGH (UINT64_C(500) << 20)
#define WEIR_NITRO_ARENAS_DEFAULT UINT64_C(2)
#define WEIR_NITRO_THREADS_DEFAULT UINT64_C(150) /* the document's 300 MB at 2 MB each */

enum weir_nitro_section {
    WEIR_NITRO_OUTSIDE, /* what Go does not see */
    WEIR_NITRO_MARGIN,
    WEIR_NITRO_GO,  /* what GOMEMLIMIT has to hold at least */
    WEIR_NITRO_OPEN /* what nothing bounds */
};

struct weir_nitro_plan {
    struct weir_plan *documented;
    struct weir_plan *code; /* the same lines, and what the document leaves out */
    size_t code_first;      /* in `code`: where the lines that are left out begin */
    size_t code_count;
    uint64_t heap_without_limit; /* where GOGC alone lets the Go heap go */
};

enum weir_status weir_nitro_plan_make(const struct weir_nitro_config *config,
                                      const struct weir_nitro_run *run,
                                      struct weir_nitro_plan *ret_plan, struct weir_error *error)
    WEIR_MUST_USE;
void weir_nitro_plan_done(struct weir_nitro_plan *plan);

/* In whole MB; 0 when nothing is left for Go. */
uint64_t weir_nitro_gomemlimit_mb(const struct weir_plan *budget);
uint64_t weir_nitro_outside_mb(const struct weir_plan *budget);
uint64_t weir_nitro_floor_mb(const struct weir_plan *budget);

/* What is wrong with the GOMEMLIMIT that the node has, measured at `budget`. */
enum weir_nitro_verdict {
    WEIR_NITRO_GOMEMLIMIT_GOOD,
    WEIR_NITRO_GOMEMLIMIT_UNSET, /* or off */
    WEIR_NITRO_GOMEMLIMIT_HIGH,  /* above the bound: the kernel comes first */
    WEIR_NITRO_GOMEMLIMIT_LOW    /* below the floor: the collector never rests */
};
enum weir_nitro_verdict weir_nitro_judge(const struct weir_plan *budget,
                                         const struct weir_nitro_run *run);

#endif
