/* Documented figures: Nitro's memory document. Code figures: ethdb/pebble/pebble.go of Nitro's fork
 * of geth, cmd/nitro/init/init.go and crates/stylus/src/cache.rs; each line names its file. */
#include "govern/nitro_plan.h"

#include "base/check.h"
#include "base/sizes.h"

#include <stdarg.h>
#include <stdio.h>

#define ARENA_BYTES (64 * WEIR_MIB)   /* glibc's HEAP_MAX_SIZE */
#define ARENAS_PER_CPU UINT64_C(8)    /* glibc, 64 bit */
#define THREAD_BYTES (2 * WEIR_MIB)   /* the document's figure */
#define PEBBLE_CACHE_MIN UINT64_C(16) /* MB; pebble.go raises anything below */
#define MEMTABLE_BYTES_MAX UINT64_C(4294967294)
#define STYLUS_BUILT_IN_MB UINT64_C(256)
#define CODE_CACHE_MB UINT64_C(256)    /* hard-coded, core/state/database.go of the fork */
#define ACTIVATED_WASM_MB UINT64_C(64) /* likewise */

/* fastcache has 512 buckets that grow by chunks of 64 KiB: a cache is a multiple of 32 MB. */
#define FASTCACHE_STEP_MB UINT64_C(32)
/* Beside its chunks it keeps Go maps from hash to offset. Reckoned: an entry of 128 B in the
 * chunks. Measured on caches of 32 to 600 MB written over four times, with Go 1.19 and 1.26
 * (docs/NODE-BUDGET.md): 56 to 83 B of map for each, because entries that were overwritten stay in
 * the maps for one round, and because maps grow by doubling. */
#define FASTCACHE_ENTRY_BYTES UINT64_C(128)
#define FASTCACHE_INDEX_BYTES UINT64_C(84)

#define CACHING "execution.caching."

static const char DOC_BUDGET[] = "Nitro memory management: Non-Go memory budget";
static const char DOC_GO[] = "Nitro memory management: Go heap";

/* One budget in the making; the first error stops it. */
struct making {
    struct weir_plan *plan;
    const struct weir_nitro_config *config;
    const struct weir_nitro_run *run;
    enum weir_status status;
    struct weir_error *error;
};

static void WEIR_PRINTF(3, 4)
    add(struct making *making, struct weir_plan_line line, const char *format, ...)
{
    if (making->status != WEIR_OK)
        return;
    char why[192];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    line.why = why;
    making->status = weir_plan_add(making->plan, &line, making->error);
}

static void add_knob(struct making *making, const struct weir_plan_knob *knob)
{
    if (making->status == WEIR_OK)
        making->status = weir_plan_add_knob(making->plan, knob, making->error);
}

/* A mark behind keys that the file does not name. */
static const char *set_text(const struct making *making, enum weir_nitro_key key)
{
    bool is_marked = making->config->name != NULL && (making->config->set_mask >> key & 1) == 0;
    return is_marked ? " *" : "";
}

static uint64_t stylus_mb(const struct weir_nitro_config *config)
{
    return config->stylus_cache_mb != 0 ? config->stylus_cache_mb : STYLUS_BUILT_IN_MB;
}

static uint64_t arena_bytes(const struct weir_nitro_run *run)
{
    uint64_t arenas = run->arena_count != 0 ? run->arena_count : ARENAS_PER_CPU * run->cpus;
    return arenas * ARENA_BYTES;
}

static void add_caches(struct making *m)
{
    const struct weir_nitro_config *c = m->config;
    struct weir_plan_line line = {.origin = WEIR_PLAN_DOCUMENT, .where = DOC_BUDGET};
    line.name = "pebble_block_cache", line.what = "Pebble block cache", line.allocator = "calloc";
    line.bytes = c->database_cache_mb * WEIR_MIB;
    add(m, line, "database-cache%s", set_text(m, WEIR_NITRO_DATABASE_CACHE));
    line.name = "pebble_memtables", line.what = "Pebble memtables";
    line.bytes = c->database_cache_mb * WEIR_MIB / 2;
    add(m, line, "database-cache / 2");
    line.name = "trie_clean_cache", line.what = "trie-clean cache", line.allocator = "mmap";
    line.bytes = c->trie_clean_cache_mb * WEIR_MIB;
    add(m, line, "trie-clean-cache%s", set_text(m, WEIR_NITRO_TRIE_CLEAN_CACHE));
    line.name = "snapshot_cache", line.what = "snapshot cache";
    line.bytes = c->snapshot_cache_mb * WEIR_MIB;
    add(m, line, "snapshot-cache%s", set_text(m, WEIR_NITRO_SNAPSHOT_CACHE));
    line.name = "stylus_cache", line.what = "Stylus cache", line.allocator = "Rust";
    line.bytes = stylus_mb(c) * WEIR_MIB;
    if (c->stylus_cache_mb == 0) {
        line.origin = WEIR_PLAN_CODE, line.where = "crates/stylus/src/cache.rs";
        add(m, line, "0 keeps the built-in 256 MB");
    } else {
        add(m, line, "stylus-lru-cache-capacity%s", set_text(m, WEIR_NITRO_STYLUS_CACHE));
    }
}

static void add_process(struct making *m)
{
    const struct weir_nitro_run *run = m->run;
    struct weir_plan_line line = {.origin = WEIR_PLAN_DOCUMENT, .allocator = "malloc"};
    line.name = "malloc_arenas", line.what = "malloc arenas";
    line.where = "Nitro memory management: glibc malloc arenas";
    line.bytes = arena_bytes(run);
    if (run->arena_count != 0)
        add(m, line, "MALLOC_ARENA_MAX=%llu x 64", (unsigned long long)run->arena_count);
    else
        add(m, line, "unset: 8 x %llu CPUs x 64", (unsigned long long)run->cpus);
    line.name = "thread_stacks", line.what = "thread stacks", line.allocator = "pthread";
    line.where = "Nitro memory management: Thread stacks";
    line.bytes = run->threads * THREAD_BYTES;
    add(m, line, "%llu threads x 2", (unsigned long long)run->threads);
}

static uint64_t whole_chunks_mb(uint64_t mb)
{
    return (mb + FASTCACHE_STEP_MB - 1) / FASTCACHE_STEP_MB * FASTCACHE_STEP_MB;
}

/* What both fastcaches really take. */
static uint64_t fastcache_mb(const struct weir_nitro_config *c)
{
    return whole_chunks_mb(c->trie_clean_cache_mb) + whole_chunks_mb(c->snapshot_cache_mb);
}

/* The code's budget says what is known to come out of the margin. */
static void add_margin(struct making *m, bool is_code)
{
    const struct weir_nitro_config *c = m->config;
    struct weir_plan_line line = {.section = WEIR_NITRO_MARGIN};
    uint64_t rounding = 0;
    if (is_code)
        rounding = (fastcache_mb(c) - c->trie_clean_cache_mb - c->snapshot_cache_mb) * WEIR_MIB;
    if (rounding > 0) {
        line.name = "fastcache_rounding", line.what = "fastcache: whole chunks";
        line.allocator = "mmap", line.origin = WEIR_PLAN_CODE;
        line.where = "fastcache/fastcache.go";
        line.bytes = rounding;
        add(m, line, "512 buckets by 64 KiB");
    }
    line.name = "margin", line.what = "margin", line.allocator = NULL;
    line.origin = WEIR_PLAN_DOCUMENT, line.where = "Nitro memory management: Formula";
    line.bytes = m->run->margin_bytes > rounding ? m->run->margin_bytes - rounding : 0;
    add(m, line, "--margin");
}

static uint64_t fastcache_index_bytes(const struct weir_nitro_config *c)
{
    return fastcache_mb(c) * (WEIR_MIB / FASTCACHE_ENTRY_BYTES) * FASTCACHE_INDEX_BYTES;
}

static void add_go(struct making *m)
{
    struct weir_plan_line line = {
        .origin = WEIR_PLAN_DOCUMENT, .where = DOC_GO, .allocator = "Go", .section = WEIR_NITRO_GO};
    line.name = "trie_dirty_cache", line.what = "trie-dirty cache";
    line.bytes = m->config->trie_dirty_cache_mb * WEIR_MIB;
    add(m, line, "trie-dirty-cache%s", set_text(m, WEIR_NITRO_TRIE_DIRTY_CACHE));
    line.name = "contract_code_cache", line.what = "contract code cache";
    line.bytes = CODE_CACHE_MB * WEIR_MIB;
    add(m, line, "hard-coded");
    line.name = "activated_wasm_cache", line.what = "activated Wasm cache";
    line.bytes = ACTIVATED_WASM_MB * WEIR_MIB;
    add(m, line, "hard-coded");
    line.name = "fastcache_index", line.what = "fastcache index";
    line.origin = WEIR_PLAN_ESTIMATE;
    line.bytes = fastcache_index_bytes(m->config);
    add(m, line, "entries of 128 B, 84 B each");
    line.name = "diff_layers", line.what = "snapshot diff layers";
    line.origin = WEIR_PLAN_DOCUMENT, line.is_unbounded = true;
    add(m, line, "%llu layers, their size is open", (unsigned long long)m->config->diff_layers_max);
    line.name = "goroutines", line.what = "goroutines, blocks, GC";
    add(m, line, "not bounded by a key");
}

/* What one database with a cache of `mb` may take: the cache and its memtables. */
static uint64_t memtables_bytes(const struct weir_nitro_config *config, uint64_t mb)
{
    uint64_t each = mb * WEIR_MIB / 2 / config->memtable_count;
    return (each < MEMTABLE_BYTES_MAX ? each : MEMTABLE_BYTES_MAX) * config->memtable_count;
}

static uint64_t at_least(uint64_t mb)
{
    return mb > PEBBLE_CACHE_MIN ? mb : PEBBLE_CACHE_MIN;
}

/* The corrections the code asks for on the documented Pebble lines are never negative: the minimum
 * raises them; the cap of a memtable is beyond what the document's reader would set. */
static void add_left_out(struct making *m)
{
    static const char INIT[] = "cmd/nitro/init/init.go";
    uint64_t mb = at_least(m->config->database_cache_mb);
    uint64_t small = PEBBLE_CACHE_MIN * WEIR_MIB + memtables_bytes(m->config, PEBBLE_CACHE_MIN);
    struct weir_plan_line line = {.origin = WEIR_PLAN_CODE, .allocator = "calloc", .where = INIT};
    line.name = "wasm_block_cache", line.what = "wasm: Pebble block cache";
    line.bytes = mb * WEIR_MIB;
    add(m, line, "database-cache again");
    line.name = "wasm_memtables", line.what = "wasm: Pebble memtables";
    line.bytes = memtables_bytes(m->config, mb);
    add(m, line, "%llu memtables, cache / 2", (unsigned long long)m->config->memtable_count);
    line.name = "arbitrumdata", line.what = "arbitrumdata";
    line.bytes = small;
    add(m, line, "Pebble's minimum, 16 + 8");
    if (m->run->has_classic) {
        line.name = "classic_msg", line.what = "classic-msg";
        add(m, line, "Pebble's minimum, 16 + 8");
    }
    if (m->config->database_cache_mb < PEBBLE_CACHE_MIN) {
        line.name = "pebble_minimum", line.what = "l2chaindata: Pebble's minimum";
        line.where = "ethdb/pebble/pebble.go";
        line.bytes = (mb - m->config->database_cache_mb) * WEIR_MIB +
                     memtables_bytes(m->config, mb) - m->config->database_cache_mb * WEIR_MIB / 2;
        add(m, line, "16 MB where less is asked for");
    }
}

static void add_open(struct making *m)
{
    struct weir_plan_line line = {
        .origin = WEIR_PLAN_CODE, .is_unbounded = true, .section = WEIR_NITRO_OPEN};
    line.name = "stylus_long_term", line.what = "Stylus long-term cache", line.allocator = "Rust";
    line.where = "crates/stylus/src/cache.rs";
    add(m, line, "bounded on chain only");
    line.name = "jit_children", line.what = "JIT validator processes", line.allocator = "process";
    line.where = "validator/server_jit/spawner.go";
    add(m, line, "their limit only logs");
    line.name = "wasm_memories", line.what = "Wasm memories, JIT code", line.allocator = "mmap";
    line.where = "arbos/programs/native.go";
    add(m, line, "per running program");
    line.name = "kernel", line.what = "page tables, sockets", line.allocator = "kernel";
    line.where = NULL;
    add(m, line, "charged by the kernel");
}

/* --- knobs --------------------------------------------------------------------------------- */

static void add_knobs(struct making *m, bool is_code)
{
    const struct weir_nitro_config *c = m->config;
    const struct weir_nitro_run *run = m->run;
    const struct weir_plan_knob knobs[] = {
        {CACHING "database-cache", "MB", c->database_cache_mb, PEBBLE_CACHE_MIN,
         (is_code ? 3 : 1) * WEIR_MIB + (is_code ? 0 : WEIR_MIB / 2)},
        {CACHING "trie-dirty-cache", "MB", c->trie_dirty_cache_mb, 0, WEIR_MIB},
        {CACHING "trie-clean-cache", "MB", c->trie_clean_cache_mb, 0, WEIR_MIB},
        {CACHING "snapshot-cache", "MB", c->snapshot_cache_mb, 0, WEIR_MIB},
        {CACHING "stylus-lru-cache-capacity", "MB", stylus_mb(c), 1, WEIR_MIB},
        {"--threads", "threads", run->threads, 1, THREAD_BYTES},
        {"MALLOC_ARENA_MAX", "arenas", arena_bytes(run) / ARENA_BYTES, 2, ARENA_BYTES},
    };
    for (size_t i = 0; i < sizeof knobs / sizeof knobs[0]; i++)
        add_knob(m, &knobs[i]);
}

static enum weir_status make(const struct weir_nitro_config *config,
                             const struct weir_nitro_run *run, bool is_code,
                             struct weir_nitro_plan *plan, struct weir_error *error)
{
    struct making m = {.config = config, .run = run, .error = error};
    struct weir_plan **slot = is_code ? &plan->code : &plan->documented;
    m.status = weir_plan_new(is_code ? "as the code bounds it" : "as documented", slot, error);
    if (m.status != WEIR_OK)
        return m.status;
    m.plan = *slot;
    add_caches(&m);
    add_process(&m);
    add_margin(&m, is_code);
    add_go(&m);
    if (is_code) {
        plan->code_first = weir_plan_line_count(m.plan);
        add_left_out(&m);
        plan->code_count = weir_plan_line_count(m.plan) - plan->code_first;
        add_open(&m);
    }
    add_knobs(&m, is_code);
    if (m.status == WEIR_OK)
        m.status = weir_plan_set_limit(m.plan, run->memory_bytes, run->memory_source, error);
    return m.status;
}

enum weir_status weir_nitro_plan_make(const struct weir_nitro_config *config,
                                      const struct weir_nitro_run *run,
                                      struct weir_nitro_plan *ret_plan, struct weir_error *error)
{
    WEIR_ASSERT(config->memtable_count >= WEIR_NITRO_MEMTABLES_MIN);
    WEIR_ASSERT(run->arena_count != 0 || run->cpus != 0);
    struct weir_nitro_plan plan = {0};
    enum weir_status status = make(config, run, false, &plan, error);
    if (status == WEIR_OK)
        status = make(config, run, true, &plan, error);
    if (status != WEIR_OK) {
        weir_nitro_plan_done(&plan);
        return status;
    }
    uint64_t floor = weir_plan_section_total(plan.documented, WEIR_NITRO_GO);
    plan.heap_without_limit = run->gogc > 1000000 ? UINT64_MAX : floor + floor / 100 * run->gogc;
    *ret_plan = plan;
    return WEIR_OK;
}

void weir_nitro_plan_done(struct weir_nitro_plan *plan)
{
    weir_plan_free(plan->documented);
    weir_plan_free(plan->code);
    *plan = (struct weir_nitro_plan){0};
}

/* --- figures ------------------------------------------------------------------------------- */

uint64_t weir_nitro_gomemlimit_mb(const struct weir_plan *budget)
{
    uint64_t outside = weir_plan_section_total(budget, WEIR_NITRO_OUTSIDE);
    uint64_t margin = weir_plan_section_total(budget, WEIR_NITRO_MARGIN);
    uint64_t limit = weir_plan_limit(budget);
    if (outside > limit || margin > limit - outside)
        return 0;
    return (limit - outside - margin) / WEIR_MIB;
}

uint64_t weir_nitro_outside_mb(const struct weir_plan *budget)
{
    return weir_size_mib(weir_plan_section_total(budget, WEIR_NITRO_OUTSIDE));
}

uint64_t weir_nitro_floor_mb(const struct weir_plan *budget)
{
    return weir_size_mib(weir_plan_section_total(budget, WEIR_NITRO_GO));
}

enum weir_nitro_verdict weir_nitro_judge(const struct weir_plan *budget,
                                         const struct weir_nitro_run *run)
{
    if (!run->has_gomemlimit || run->gomemlimit_bytes == UINT64_MAX)
        return WEIR_NITRO_GOMEMLIMIT_UNSET;
    if (run->gomemlimit_bytes > weir_nitro_gomemlimit_mb(budget) * WEIR_MIB)
        return WEIR_NITRO_GOMEMLIMIT_HIGH;
    if (run->gomemlimit_bytes < weir_plan_section_total(budget, WEIR_NITRO_GO))
        return WEIR_NITRO_GOMEMLIMIT_LOW;
    return WEIR_NITRO_GOMEMLIMIT_GOOD;
}
