/* The ledger and equation (a) as metrics: each term of the equation is a label value, so that a
 * dashboard can stack them and see the sum. */
#include "observe/metrics.h"

#include <stdio.h>
#include <string.h>

#define SEEN_MAX 1100 /* routes, and the services beside them */

static void term(struct weir_metrics *metrics, const char *owner, uint64_t bytes)
{
    const struct weir_metrics_label labels[] = {{"owner", owner}, {NULL, NULL}};
    weir_metrics_value(metrics, "weir_rss_part_bytes", labels, bytes);
}

static void gauge(struct weir_metrics *metrics, const char *name, const char *help, uint64_t value)
{
    weir_metrics_family(metrics, name, "gauge", help);
    weir_metrics_value(metrics, name, NULL, value);
}

void weir_metrics_equation(struct weir_metrics *metrics, const struct weir_equation *equation)
{
    gauge(metrics, "weir_rss_bytes", "Resident memory by smaps: the equation's left side.",
          equation->rss_bytes);
    weir_metrics_family(metrics, "weir_rss_part_bytes", "gauge",
                        "The equation's right side: resident bytes by owner; the sum is the RSS.");
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (weir_kind_is_bytes((enum weir_kind)kind))
            term(metrics, weir_kind_name((enum weir_kind)kind), equation->owned[kind]);
    term(metrics, "malloc", equation->malloc_bytes);
    term(metrics, "binary_and_libraries", equation->binary_bytes);
    term(metrics, "thread_stacks", equation->thread_stack_bytes);
    term(metrics, "sanitizer", equation->sanitizer_bytes);
    term(metrics, "kernel", equation->kernel_bytes);
    term(metrics, "unclassified", equation->unclassified_bytes);
    gauge(metrics, "weir_equation_holds", "1 while unclassified is within 1 % of RSS + 512 KiB.",
          weir_equation_holds(equation) ? 1 : 0);
    gauge(metrics, "weir_malloc_live_bytes", "What malloc says is in use.",
          equation->malloc_live_bytes);
    gauge(metrics, "weir_malloc_free_resident_bytes", "Free for malloc, resident for the kernel.",
          equation->malloc_free_resident_bytes);
    gauge(metrics, "weir_charged_heap_bytes", "Heap that accounts hold.",
          equation->charged_heap_bytes);
    gauge(metrics, "weir_uncharged_heap_bytes", "Live heap without an account (libraries).",
          equation->uncharged_heap_bytes);
    gauge(metrics, "weir_swap_bytes", "Swapped out.", equation->swap_bytes);
    gauge(metrics, "weir_page_table_bytes", "Page tables.", equation->page_table_bytes);
    gauge(metrics, "weir_mappings", "Mappings of the process.", equation->mapping_count);
    gauge(metrics, "process_open_fds", "Open descriptors.", equation->descriptor_count);
}

enum what {
    WHAT_USED,
    WHAT_PEAK,
    WHAT_LIMIT,
    WHAT_REFUSED,
    WHAT_KINDS
};

struct walk {
    struct weir_metrics *metrics;
    enum what what;
    char path[4 * WEIR_ACCOUNT_NAME_SIZE]; /* names from the root on, by "/" */
    size_t path_ends[8];
    uint64_t seen[SEEN_MAX]; /* hashes of the paths so far */
    size_t seen_count;
};

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
    for (size_t i = 0; i < walk->seen_count; i++)
        if (walk->seen[i] == hash)
            return true;
    return false;
}

/* Two engines have accounts of one name; two samples of one name would spoil the page: the second
 * becomes "engine#2". */
static void make_unique(struct walk *walk, unsigned level)
{
    size_t end = walk->path_ends[level];
    unsigned number = 1;
    uint64_t hash = hash_text(walk->path);
    while (was_seen(walk, hash) && end + 8 < sizeof walk->path) {
        int size = snprintf(walk->path + end, 8, "#%u", ++number);
        walk->path_ends[level] = end + (size_t)size;
        hash = hash_text(walk->path);
    }
    if (walk->seen_count < SEEN_MAX)
        walk->seen[walk->seen_count++] = hash;
}

/* Keeps walk->path; deeper than eight levels shares the eighth. */
static void push_name(struct walk *walk, unsigned depth, const char *name)
{
    unsigned level = depth < 7 ? depth : 7;
    size_t at = level == 0 ? 0 : walk->path_ends[level - 1];
    if (level > 0 && at + 1 < sizeof walk->path)
        walk->path[at++] = '/';
    size_t room = sizeof walk->path - 1 - at;
    size_t size = strlen(name) < room ? strlen(name) : room;
    memcpy(walk->path + at, name, size);
    walk->path[at + size] = 0;
    walk->path_ends[level] = at + size;
    make_unique(walk, level);
}

static void add_kinds(struct walk *walk, const struct weir_account_reading *reading)
{
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++) {
        const struct weir_metrics_label labels[] = {
            {"account", walk->path}, {"kind", weir_kind_name((enum weir_kind)kind)}, {NULL, NULL}};
        if (reading->kinds[kind] != 0)
            weir_metrics_value(walk->metrics, "weir_account_kind", labels, reading->kinds[kind]);
    }
}

/* Stores come with requests and would make a new time series each: their sum stands in the
 * account above them. */
static bool add_account(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    struct walk *walk = context;
    if (reading->role == WEIR_ACCOUNT_STORE || reading->role == WEIR_ACCOUNT_INSTANCE)
        return true;
    push_name(walk, depth, reading->name);
    const struct weir_metrics_label labels[] = {{"account", walk->path}, {NULL, NULL}};
    switch (walk->what) {
    case WHAT_USED:
        weir_metrics_value(walk->metrics, "weir_account_used_bytes", labels, reading->used_bytes);
        break;
    case WHAT_PEAK:
        weir_metrics_value(walk->metrics, "weir_account_peak_bytes", labels, reading->peak_bytes);
        break;
    case WHAT_LIMIT:
        if (reading->limit_bytes != WEIR_UNLIMITED)
            weir_metrics_value(walk->metrics, "weir_account_limit_bytes", labels,
                               reading->limit_bytes);
        break;
    case WHAT_REFUSED:
        weir_metrics_value(walk->metrics, "weir_account_refused_total", labels,
                           reading->refused_count);
        break;
    case WHAT_KINDS:
        add_kinds(walk, reading);
        break;
    }
    return true;
}

void weir_metrics_accounts(struct weir_metrics *metrics, struct weir_account *root)
{
    static const struct {
        const char *name, *type, *help;
        enum what what;
    } FAMILIES[] = {
        {"weir_account_used_bytes", "gauge", "Charged now, everything under it included.",
         WHAT_USED},
        {"weir_account_peak_bytes", "gauge", "Highest charge so far.", WHAT_PEAK},
        {"weir_account_limit_bytes", "gauge", "Limit, where there is one.", WHAT_LIMIT},
        {"weir_account_refused_total", "counter", "Charges refused.", WHAT_REFUSED},
        {"weir_account_kind", "gauge", "Charged now by kind; things for mapping and descriptor.",
         WHAT_KINDS},
    };
    for (size_t i = 0; i < sizeof FAMILIES / sizeof FAMILIES[0]; i++) {
        struct walk walk = {.metrics = metrics, .what = FAMILIES[i].what};
        weir_metrics_family(metrics, FAMILIES[i].name, FAMILIES[i].type, FAMILIES[i].help);
        weir_account_walk(root, add_account, &walk);
    }
}
