/* The contract cache of a wasmd node (CosmWasm): what app.toml bounds, what the compiled modules on
 * disk would need, and what a trace of their use says about the size in between.
 *
 * memory_cache_size counts MiB (2^20), as that file means it; wasmvm multiplies in 32 bits
 * since 2.2, so 4096 and more wrap. An entry weighs what cosmwasm-vm and its LRU charge for it: the
 * file's size, 10 KiB for the engine, 32 B for the key and 1 for itself.
 */
#ifndef WEIR_GOVERN_WASMD_PLAN_H
#define WEIR_GOVERN_WASMD_PLAN_H

#include "govern/plan.h"

#define WEIR_WASMD_CACHE_DEFAULT_MIB UINT64_C(100)
#define WEIR_WASMD_CACHE_MAX_MIB UINT64_C(4095)
/* CosmWasm's own example in its advice to operators. */
#define WEIR_WASMD_CACHE_ADVICE_MIB UINT64_C(2000)

struct weir_wasmd_config {
    const char *name;
    uint64_t cache_mib; /* as written */
    bool is_set;        /* else wasmd's default */
};
/* app.toml. MALFORMED with the line for what is no TOML; CONFIG with line and key for a
 * memory_cache_size that wasmd would not take or not see. `name` is kept. */
enum weir_status weir_wasmd_config_parse(const char *name, const char *bytes, size_t size,
                                         struct weir_wasmd_config *ret_config,
                                         struct weir_error *error) WEIR_MUST_USE;

/* --- versions ------------------------------------------------------------------------------ */

enum weir_wasmd_growth {
    WEIR_WASMD_GROWS,  /* memory grows with every load from disk */
    WEIR_WASMD_MAYBE,  /* some versions of this series do */
    WEIR_WASMD_FIXED,  /* later than the fix */
    WEIR_WASMD_BEFORE, /* older than the bug */
    WEIR_WASMD_UNKNOWN
};
/* What a release of wasmvm does with memory. */
struct weir_wasmd_release {
    enum weir_wasmd_growth growth;
    /* Private memory of a module in percent of what the cache counts for it, measured
     * (docs/NODE-BUDGET.md); the worst when the release is not known. */
    unsigned resident_percent;
    bool wraps; /* memory_cache_size is multiplied in 32 bits; true when not known */
};
struct weir_wasmd_release weir_wasmd_release_unknown(void);
/* "1.5.1", "v2.2.3". INVALID_ARGUMENT for what is no version. */
enum weir_status weir_wasmd_release_of_version(const char *version,
                                               struct weir_wasmd_release *ret_release,
                                               struct weir_error *error) WEIR_MUST_USE;
/* By the name of a modules folder: "v8-wasmer5", "db9eb9f9ba-wasmer8". */
struct weir_wasmd_release weir_wasmd_release_of_folder(const char *folder);
/* What wasmvm makes of memory_cache_size. 0: the cache is off. */
uint64_t weir_wasmd_cache_bytes(const struct weir_wasmd_release *release, uint64_t cache_mib);
/* "CosmWasm 1.5", "unknown". */
const char *weir_wasmd_folder_series(const char *folder);

/* --- modules ------------------------------------------------------------------------------- */

struct weir_wasmd_folder {
    char version[64]; /* "v8-wasmer7" */
    char target[96];  /* "x86_64-...-719EEF18", or "" */
    uint64_t count;
    uint64_t bytes;      /* of the files */
    uint64_t disk_bytes; /* what du counts */
    uint64_t weight;     /* what the memory tier would charge for all of them */
    uint64_t largest;    /* weight of the heaviest */
    int64_t newest;      /* time of the last write, in seconds */
};

struct weir_wasmd_module {
    uint8_t checksum[32];
    uint64_t weight;
    uint64_t bytes;
    uint32_t folder;
};

struct weir_wasmd_modules {
    struct weir_wasmd_folder *folders; /* by name */
    size_t folder_count;
    size_t used; /* the folder that the node writes now: the newest; SIZE_MAX: none */
    struct weir_wasmd_module *modules; /* of `used`, by checksum */
    size_t module_count;
};
/* `path` is the folder modules, or one above it that has it at cache/modules, wasm/cache/modules or
 * wasm/wasm/cache/modules. NOT_FOUND when there is none, or nothing in it. */
enum weir_status weir_wasmd_modules_read(const char *path, struct weir_wasmd_modules *ret_modules,
                                         struct weir_error *error) WEIR_MUST_USE;
void weir_wasmd_modules_done(struct weir_wasmd_modules *modules);
/* SIZE_MAX: not there. */
size_t weir_wasmd_module_find(const struct weir_wasmd_modules *modules, const uint8_t checksum[32]);

/* --- traces -------------------------------------------------------------------------------- */

struct weir_wasmd_trace {
    uint32_t *uses; /* index of the module, in order of use */
    size_t use_count;
    uint64_t unknown_count; /* uses of modules that are not in the folder */
    uint64_t module_count;  /* different ones */
    uint64_t weight;        /* of these */
    uint64_t hot_weight;    /* the least cache in which 99 % of repeated uses are hits */
    uint64_t full_weight;   /* ... all of them */
};
/* One use per line: base/use_trace.h. Sizes are the folder's. MALFORMED with the line. */
enum weir_status weir_wasmd_trace_parse(const char *name, const char *bytes, size_t size,
                                        const struct weir_wasmd_modules *modules,
                                        struct weir_wasmd_trace *ret_trace,
                                        struct weir_error *error) WEIR_MUST_USE;
void weir_wasmd_trace_done(struct weir_wasmd_trace *trace);

/* What a cache of `capacity` bytes does with the trace, by the LRU's own rule. */
struct weir_wasmd_replay {
    uint64_t hits;
    uint64_t loads;   /* from disk, first ones included */
    uint64_t reloads; /* loads of what had been in memory before */
    uint64_t reloaded_bytes;
    uint64_t failures; /* uses of modules that are heavier than the cache: the call fails */
};
enum weir_status weir_wasmd_replay(const struct weir_wasmd_trace *trace,
                                   const struct weir_wasmd_modules *modules, uint64_t capacity,
                                   struct weir_wasmd_replay *ret_replay, struct weir_error *error)
    WEIR_MUST_USE;

/* The bounds as a plan, without a limit. `modules` may be NULL. */
enum weir_status weir_wasmd_plan_make(const struct weir_wasmd_config *config,
                                      const struct weir_wasmd_release *release,
                                      const struct weir_wasmd_modules *modules,
                                      struct weir_plan **ret_plan, struct weir_error *error)
    WEIR_MUST_USE;

#endif
