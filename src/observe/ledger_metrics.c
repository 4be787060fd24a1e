/* The ledger and equation (a) as metrics: each term of the equation is a label value, so that a
 * dashboard can stack them and see the sum.
 *
 * Accounts are read in one walk, and written family by family from what was read: their figures are
 * of one moment, and every family has the same accounts.
 */
#include "observe/metrics.h"

#include <stdio.h>
#include <string.h>

#include "observe/observe_limits.h"

static void term(struct weir_metrics *metrics, const char *owner, uint64_t bytes)
{
    const struct weir_metrics_label labels[] = {{"owner", owner}, {NULL, NULL}};
    weir_metrics_value(metrics, WEIR_METRIC_RSS_PART, labels, bytes);
}

void weir_metrics_equation(struct weir_metrics *metrics, const struct weir_equation *equation)
{
    weir_metrics_single(metrics, WEIR_METRIC_RSS, equation->rss_bytes);
    weir_metrics_family(metrics, WEIR_METRIC_RSS_PART);
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (weir_kind_is_bytes((enum weir_kind)kind))
            term(metrics, weir_kind_name((enum weir_kind)kind), equation->owned[kind]);
    term(metrics, "malloc", equation->malloc_bytes);
    term(metrics, "binary_and_libraries", equation->binary_bytes);
    term(metrics, "thread_stacks", equation->thread_stack_bytes);
    term(metrics, "sanitizer", equation->sanitizer_bytes);
    term(metrics, "kernel", equation->kernel_bytes);
    term(metrics, "unclassified", equation->unclassified_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_EQUATION_HOLDS, weir_equation_holds(equation) ? 1 : 0);
    weir_metrics_single(metrics, WEIR_METRIC_MALLOC_LIVE, equation->malloc_live_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_MALLOC_FREE_RESIDENT,
                        equation->malloc_free_resident_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_CHARGED_HEAP, equation->charged_heap_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_UNCHARGED_HEAP, equation->uncharged_heap_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_SWAP, equation->swap_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_PAGE_TABLE, equation->page_table_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_MAPPINGS, equation->mapping_count);
}

/* --- accounts ------------------------------------------------------------------------------ */

struct entry {
    char path[WEIR_METRICS_PATH_BYTES]; /* names from the root on, by "/" */
    uint64_t hash;
    uint64_t used, peak, limit, refused;
    uint64_t kinds[WEIR_KIND_COUNT];
};

struct walk {
    struct weir_metrics *metrics;
    char path[WEIR_METRICS_PATH_BYTES];
    size_t path_ends[WEIR_METRICS_DEPTH_MAX];
    struct entry *entries;
    size_t count, capacity;
    uint64_t left_out;
};

static void free_entries(struct walk *walk)
{
    weir_account_free(walk->metrics->account, WEIR_KIND_SERVER, walk->entries,
                      walk->capacity * sizeof *walk->entries);
}

/* FNV-1a. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = text; *c != 0; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    return hash;
}

static bool was_seen(const struct walk *walk, uint64_t hash)
{
    for (size_t i = 0; i < walk->count; i++)
        if (walk->entries[i].hash == hash)
            return true;
    return false;
}

/* Two engines have accounts of one name; two samples of one name would spoil the page: the second
 * becomes "engine#2", for which a long path is cut. False when there is no such name. */
static bool make_unique(struct walk *walk, unsigned level, uint64_t *ret_hash)
{
    size_t end = walk->path_ends[level];
    size_t at = end < sizeof walk->path - 8 ? end : sizeof walk->path - 8;
    unsigned number = 1;
    *ret_hash = hash_text(walk->path);
    while (was_seen(walk, *ret_hash)) {
        if (++number > WEIR_METRICS_ACCOUNTS_MAX)
            return false;
        int size = snprintf(walk->path + at, 8, "#%u", number);
        walk->path_ends[level] = at + (size_t)size;
        *ret_hash = hash_text(walk->path);
    }
    return true;
}

/* Keeps walk->path. */
static bool push_name(struct walk *walk, unsigned depth, const char *name, uint64_t *ret_hash)
{
    unsigned level = depth < WEIR_METRICS_DEPTH_MAX ? depth : WEIR_METRICS_DEPTH_MAX - 1;
    size_t at = level == 0 ? 0 : walk->path_ends[level - 1];
    if (level > 0 && at + 1 < sizeof walk->path)
        walk->path[at++] = '/';
    size_t room = sizeof walk->path - 1 - at;
    size_t size = strlen(name) < room ? strlen(name) : room;
    memcpy(walk->path + at, name, size);
    walk->path[at + size] = 0;
    walk->path_ends[level] = at + size;
    return make_unique(walk, level, ret_hash);
}

/* Room for one more entry; false when there is none. */
static bool grow(struct walk *walk)
{
    if (walk->count < walk->capacity)
        return true;
    if (walk->count == WEIR_METRICS_ACCOUNTS_MAX || walk->metrics->status != WEIR_OK)
        return false;
    struct walk more = *walk;
    more.capacity = walk->capacity == 0 ? 64 : 2 * walk->capacity;
    more.entries = weir_account_alloc(walk->metrics->account, WEIR_KIND_SERVER,
                                      more.capacity * sizeof *more.entries, NULL);
    if (more.entries == NULL) {
        walk->metrics->status = WEIR_LIMIT;
        return false;
    }
    if (walk->count > 0)
        memcpy(more.entries, walk->entries, walk->count * sizeof *more.entries);
    free_entries(walk);
    walk->entries = more.entries;
    walk->capacity = more.capacity;
    return true;
}

/* Stores come with requests and would make a new time series each: their sum stands in the
 * account above them. */
static bool keep_account(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    struct walk *walk = context;
    uint64_t hash;
    if (reading->role == WEIR_ACCOUNT_STORE || reading->role == WEIR_ACCOUNT_INSTANCE)
        return true;
    if (!push_name(walk, depth, reading->name, &hash) || !grow(walk)) {
        walk->left_out++;
        return true;
    }
    struct entry *entry = &walk->entries[walk->count++];
    *entry = (struct entry){.hash = hash,
                            .used = reading->used_bytes,
                            .peak = reading->peak_bytes,
                            .limit = reading->limit_bytes,
                            .refused = reading->refused_count};
    memcpy(entry->path, walk->path, sizeof entry->path);
    memcpy(entry->kinds, reading->kinds, sizeof entry->kinds);
    return true;
}

static uint64_t used_of(const struct entry *entry)
{
    return entry->used;
}

static uint64_t peak_of(const struct entry *entry)
{
    return entry->peak;
}

static uint64_t limit_of(const struct entry *entry)
{
    return entry->limit;
}

static uint64_t refused_of(const struct entry *entry)
{
    return entry->refused;
}

/* One figure of every account that has it. */
static void add_figures(const struct walk *walk, enum weir_metric metric,
                        uint64_t (*figure)(const struct entry *entry))
{
    weir_metrics_family(walk->metrics, metric);
    for (size_t i = 0; i < walk->count; i++) {
        const struct weir_metrics_label labels[] = {{"account", walk->entries[i].path},
                                                    {NULL, NULL}};
        uint64_t value = figure(&walk->entries[i]);
        if (value != WEIR_UNLIMITED)
            weir_metrics_value(walk->metrics, metric, labels, value);
    }
}

static void add_kinds(const struct walk *walk, enum weir_metric metric, bool are_bytes)
{
    weir_metrics_family(walk->metrics, metric);
    for (size_t i = 0; i < walk->count; i++)
        for (int kind = 0; kind < WEIR_KIND_COUNT; kind++) {
            const struct entry *entry = &walk->entries[i];
            const struct weir_metrics_label labels[] = {
                {"account", entry->path},
                {"kind", weir_kind_name((enum weir_kind)kind)},
                {NULL, NULL}};
            if (entry->kinds[kind] != 0 && weir_kind_is_bytes((enum weir_kind)kind) == are_bytes)
                weir_metrics_value(walk->metrics, metric, labels, entry->kinds[kind]);
        }
}

void weir_metrics_accounts(struct weir_metrics *metrics, struct weir_account *root)
{
    struct walk walk = {.metrics = metrics};
    weir_account_walk(root, keep_account, &walk);
    add_figures(&walk, WEIR_METRIC_ACCOUNT_USED, used_of);
    add_figures(&walk, WEIR_METRIC_ACCOUNT_PEAK, peak_of);
    add_figures(&walk, WEIR_METRIC_ACCOUNT_LIMIT, limit_of);
    add_figures(&walk, WEIR_METRIC_ACCOUNT_REFUSED, refused_of);
    add_kinds(&walk, WEIR_METRIC_ACCOUNT_KIND, true);
    add_kinds(&walk, WEIR_METRIC_ACCOUNT_THINGS, false);
    weir_metrics_single(metrics, WEIR_METRIC_ACCOUNTS_LEFT_OUT, walk.left_out);
    free_entries(&walk);
}
