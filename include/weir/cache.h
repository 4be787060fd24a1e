/* Module cache: modules by the hash of their bytes, in three tiers, each with a limit in bytes.
 *
 *   pinned   loaded, and stays until it is unpinned; refuses what does not fit
 *   memory   loaded; when something new needs the room, what was not used goes (SIEVE), never what
 *            somebody uses at that moment
 *   disk     compiled and sealed artifacts in a directory (shared with other processes); what was
 *            used longest ago goes
 *
 * A module is loaded once at a time, whoever asks: N threads that want the same one wait for one of
 * them to load it, and loads of other modules go on meanwhile. It is in one tier only. What fits
 * nowhere is served all the same, shared by those who use it, and gone with the last of them. A
 * damaged or foreign artifact is a miss: moved away, counted, compiled again.
 *
 * Any thread. What a get hands out is a reference of the caller's (weir_module_unref); modules may
 * outlive the cache.
 */
#ifndef WEIR_CACHE_H
#define WEIR_CACHE_H

#include <weir/module.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_cache;

enum weir_cache_tier {
    WEIR_CACHE_PINNED,
    WEIR_CACHE_MEMORY,
    WEIR_CACHE_DISK,
    WEIR_CACHE_TIER_COUNT
};
/* "pinned", "memory", "disk". */
const char *weir_cache_tier_name(enum weir_cache_tier tier);

enum weir_cache_cause {
#define WEIR_CACHE_CAUSE(id, name, text) WEIR_CACHE_CAUSE_##id,
#include <weir/cache_causes.def>
#undef WEIR_CACHE_CAUSE
    WEIR_CACHE_CAUSE_COUNT
};
const char *weir_cache_cause_name(enum weir_cache_cause cause);
const char *weir_cache_cause_text(enum weir_cache_cause cause);

/* Zero-initialise; zero and NULL mean the default named behind each field. A limit out of range is
 * INVALID_ARGUMENT: none is rounded, wrapped or taken for something else. */
struct weir_cache_config {
    const char *dir;              /* none: nothing is kept on disk */
    uint64_t pinned_bytes_max;    /* 128 MiB; from 64 KiB to 1 TiB */
    uint64_t memory_bytes_max;    /* 512 MiB; from 64 KiB to 1 TiB */
    uint64_t disk_bytes_max;      /* 4 GiB; from 64 KiB to 1 PiB; WEIR_UNLIMITED: no quota */
    uint32_t modules_max;         /* 8,192 that are remembered; from 16 to 1,048,576 */
    struct weir_account *account; /* parent of the cache's own account: host */
};

enum weir_status weir_cache_new(const struct weir_cache_config *config,
                                struct weir_cache **ret_cache, struct weir_error *error);
/* Lets go of all modules. No other call may be running. NULL is allowed. */
void weir_cache_free(struct weir_cache *cache);

/* --- asking --------------------------------------------------------------------------------- */

struct weir_module_id {
    uint8_t sha256[32]; /* of the module's bytes */
};
enum weir_status weir_module_identify(const uint8_t *bytes, size_t size,
                                      struct weir_module_id *ret_id, struct weir_error *error);

struct weir_cache_request {
    struct weir_engine *engine;
    /* The module's bytes, its id, or both. With the id alone a module that no tier holds is
     * NOT_FOUND; with the bytes alone they are hashed at each call. An id that is not that of the
     * bytes is INVALID_ARGUMENT as soon as the bytes are needed. */
    const struct weir_module_id *id;
    const uint8_t *bytes;
    size_t size;
    struct weir_module_config module; /* name and progress, for the one who loads */
};

/* Errors: those of weir_module_new(), and NOT_FOUND. Who waited for another thread's load that
 * failed gets the same error. */
enum weir_status weir_cache_get(struct weir_cache *cache, const struct weir_cache_request *request,
                                struct weir_module **ret_module, struct weir_error *error);

/* Loads the module if need be, and keeps it from now on; with a disk tier after a restart too.
 * LIMIT with the figures when the pinned tier has no room: the module stays where it was. */
enum weir_status weir_cache_pin(struct weir_cache *cache, const struct weir_cache_request *request,
                                struct weir_error *error);
/* Demotes it to the memory tier, for every engine. NOT_FOUND when it was not pinned. */
enum weir_status weir_cache_unpin(struct weir_cache *cache, const struct weir_module_id *id,
                                  struct weir_error *error);
/* Loads what is pinned on disk and was compiled as `engine` would; returns how many are there. */
uint32_t weir_cache_warm(struct weir_cache *cache, struct weir_engine *engine);

/* Lets go of one module, pinned or not: who uses it keeps it. NOT_FOUND when it is not kept. The
 * disk tier is not touched. */
enum weir_status weir_cache_drop(struct weir_cache *cache, const struct weir_module_id *id,
                                 struct weir_error *error);
/* Evicts from the memory tier what is not in use, until so many bytes are given back; returns how
 * many were. Called by the ledger too, when memory is short. */
uint64_t weir_cache_shrink(struct weir_cache *cache, uint64_t wanted_bytes);

/* --- figures -------------------------------------------------------------------------------- */

struct weir_cache_tier_figures {
    uint64_t limit_bytes;
    uint64_t used_bytes; /* pinned, memory: mapped and private; disk: files, as last counted */
    uint64_t modules;    /* disk: 0, see `weir cache stat` */
    uint64_t hits;       /* disk: loads */
    uint64_t evictions;  /* disk: files removed by the quota */
    uint64_t evicted_bytes;
    uint64_t load_ns_sum; /* disk: of the loads that are hits; others 0 */
    uint64_t load_ns_max;
};

struct weir_cache_figures {
    struct weir_cache_tier_figures tiers[WEIR_CACHE_TIER_COUNT];
    uint64_t uses;
    uint64_t waiting;                        /* threads that wait now for another's load */
    uint64_t waited;                         /* hits that waited for another thread's load */
    uint64_t lent_hits;                      /* hits on what is kept nowhere but in use by others */
    uint64_t misses[WEIR_CACHE_CAUSE_COUNT]; /* of the tiers in memory, by cause */
    uint64_t compiled;                       /* misses of all tiers */
    uint64_t compile_ns_sum, compile_ns_max;
    uint64_t disk_absent, disk_quarantined, disk_unreadable; /* why the disk tier missed */
    uint64_t disk_file_failures; /* compiled and used, but not kept on disk */
    uint64_t oversize;           /* served uncached: larger than the tier */
    uint64_t crowded;            /* served uncached: no room beside what is in use */
    uint64_t pins_refused;
    uint64_t failures;
    uint64_t lent_modules, lent_bytes; /* loaded, in use, kept nowhere */
    uint64_t remembered;               /* modules that have figures of their own */
};
void weir_cache_figures(struct weir_cache *cache, struct weir_cache_figures *ret);

enum weir_cache_place {
    WEIR_CACHE_AT_NONE, /* not loaded */
    WEIR_CACHE_AT_LENT, /* loaded and in use, kept nowhere */
    WEIR_CACHE_AT_MEMORY,
    WEIR_CACHE_AT_PINNED
};

struct weir_cache_entry {
    struct weir_module_id id;
    struct weir_module_id key; /* of the artifact: module, engine's options, build */
    char name[48];             /* as the first who loaded it called it */
    enum weir_cache_place place;
    enum weir_cache_cause cause; /* of its last miss while loaded, else why it is not kept */
    uint32_t users;              /* references outside the cache */
    uint64_t bytes;              /* what it counts in its tier: mapped and private */
    uint64_t mapped_bytes, resident_bytes, private_bytes; /* of a loaded one */
    uint64_t hits, loads, compiles, evictions;
    uint64_t misses[WEIR_CACHE_CAUSE_COUNT];
    uint64_t load_ns_sum, load_ns_last;
    uint64_t since_ms, used_ms; /* age of its present place, and of its last use */
    bool was_used;              /* since the hand passed: the next pass spares it */
};
/* One call per module that is remembered, in no order, no lock held. Reads /proc for residency.
 * A visitor that returns false ends the walk. */
void weir_cache_walk(struct weir_cache *cache,
                     bool (*visit)(void *context, const struct weir_cache_entry *entry),
                     void *context);
/* "why is it here, why did it leave" in words, cut to size. */
void weir_cache_explain(const struct weir_cache_entry *entry, char *text, size_t text_size);

/* --- what another size would do --------------------------------------------------------------- */

/* Of uses of all modules, by an LRU of that many bytes, halved every hour so that it follows what
 * happens now. Exact to 8,192 modules, an estimate with an error beyond. Reloads are what a larger
 * cache would have avoided; first uses nothing avoids. */
struct weir_cache_point {
    uint64_t cache_bytes;
    double reload_ratio;      /* of uses */
    double reload_byte_ratio; /* of bytes used */
    double error;             /* of reload_byte_ratio, one standard error; 0: exact */
};
/* Fills `reload_` fields of points whose cache_bytes are set, in any order. */
void weir_cache_curve(struct weir_cache *cache, struct weir_cache_point *points, size_t count);

#define WEIR_CACHE_ADVICE_POINTS 8
struct weir_cache_advice {
    struct weir_cache_point points[WEIR_CACHE_ADVICE_POINTS]; /* ascending; the last: enough */
    size_t point_count;                                       /* 0: nothing was used twice */
    struct weir_cache_point now;                              /* at the memory tier's limit */
    double uses, used_bytes;                                  /* what it rests on, after halving */
    double first_byte_ratio;                                  /* bytes of first uses */
    uint64_t modules;                                         /* different ones that are followed */
    double sampling_rate;                                     /* 1: exact */
};
void weir_cache_advise(struct weir_cache *cache, struct weir_cache_advice *ret);
/* "512 MiB: 8.0 % of bytes loaded again; 768 MiB: 3.0 %; 1.1 GiB and more: nothing". */
void weir_cache_advice_text(const struct weir_cache_advice *advice, char *text, size_t text_size);

/* Appends each use to the descriptor, which is duplicated: one line per use, in the format of
 * weir-cache(1), TRACES. Buffered; -1 ends recording. IO when the last lines could not be written.
 */
enum weir_status weir_cache_record(struct weir_cache *cache, int fd, struct weir_error *error);

#ifdef __cplusplus
}
#endif
#endif
