/* The account tree, the equation and the peak as JSON. Names are the ones of the metrics. */
#include "observe/memory_json.h"

#include "base/clock.h"
#include "base/json_number.h"

#define DEPTH_MAX 16

static void set_limit(json_t *object, const char *key, uint64_t value)
{
    json_t *limit = value == WEIR_UNLIMITED ? json_null() : json_integer((json_int_t)value);
    (void)json_object_set_new(object, key, limit);
}

/* Only kinds that hold something. */
static json_t *kinds_json(const uint64_t kinds[WEIR_KIND_COUNT])
{
    json_t *object = json_object();
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (kinds[kind] != 0)
            weir_json_set_number(object, weir_kind_name((enum weir_kind)kind), kinds[kind]);
    return object;
}

static const char *role_name(enum weir_account_role role)
{
    static const char *const NAMES[] = {"host", "tenant", "store", "instance", "service"};
    return (size_t)role < sizeof NAMES / sizeof NAMES[0] ? NAMES[role] : "unknown";
}

struct tree {
    json_t *root;
    json_t *levels[DEPTH_MAX]; /* the account last seen on each level */
};

static bool add_account(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    struct tree *tree = context;
    json_t *account =
        json_pack("{s:s, s:s}", "name", reading->name, "role", role_name(reading->role));
    if (account == NULL)
        return false;
    weir_json_set_number(account, "used_bytes", reading->used_bytes);
    weir_json_set_number(account, "peak_bytes", reading->peak_bytes);
    weir_json_set_number(account, "reserved_bytes", reading->reserved_bytes);
    set_limit(account, "limit_bytes", reading->limit_bytes);
    weir_json_set_number(account, "refused", reading->refused_count);
    (void)json_object_set_new(account, "kinds", kinds_json(reading->kinds));
    unsigned level = depth < DEPTH_MAX - 1 ? depth : DEPTH_MAX - 1;
    tree->levels[level] = account;
    if (level == 0 || tree->levels[level - 1] == NULL) {
        json_decref(tree->root);
        tree->root = account;
        return true;
    }
    json_t *parent = tree->levels[level - 1];
    json_t *children = json_object_get(parent, "children");
    if (children == NULL) {
        children = json_array();
        (void)json_object_set_new(parent, "children", children);
    }
    (void)json_array_append_new(children, account);
    return true;
}

static json_t *classes_json(const struct weir_equation *equation)
{
    json_t *classes = kinds_json(equation->owned);
    weir_json_set_number(classes, "malloc", equation->malloc_bytes);
    weir_json_set_number(classes, "binary_and_libraries", equation->binary_bytes);
    weir_json_set_number(classes, "thread_stacks", equation->thread_stack_bytes);
    weir_json_set_number(classes, "kernel", equation->kernel_bytes);
    if (equation->sanitizer_bytes != 0)
        weir_json_set_number(classes, "sanitizer", equation->sanitizer_bytes);
    return classes;
}

static json_t *peak_json(void)
{
    struct weir_account_peak peak;
    weir_account_host_peak(&peak);
    json_t *object = json_object();
    weir_json_set_number(object, "used_bytes", peak.used_bytes);
    uint64_t now_ms = weir_clock_ms();
    weir_json_set_number(object, "ago_ms", now_ms > peak.at_ms ? now_ms - peak.at_ms : 0);
    (void)json_object_set_new(object, "composition", kinds_json(peak.kinds));
    return object;
}

json_t *weir_memory_json(struct weir_account *root, const struct weir_equation *equation)
{
    json_t *object = json_object();
    if (object == NULL)
        return NULL;
    weir_json_set_number(object, "rss_bytes", equation->rss_bytes);
    (void)json_object_set_new(object, "classes", classes_json(equation));
    weir_json_set_number(object, "unclassified_bytes", equation->unclassified_bytes);
    (void)json_object_set_new(object, "holds", json_boolean(weir_equation_holds(equation)));
    json_t *heap = json_object();
    weir_json_set_number(heap, "live_bytes", equation->malloc_live_bytes);
    weir_json_set_number(heap, "free_resident_bytes", equation->malloc_free_resident_bytes);
    weir_json_set_number(heap, "charged_bytes", equation->charged_heap_bytes);
    weir_json_set_number(heap, "uncharged_bytes", equation->uncharged_heap_bytes);
    (void)json_object_set_new(object, "heap", heap);
    weir_json_set_number(object, "owned_file_bytes", equation->owned_file_bytes);
    weir_json_set_number(object, "swap_bytes", equation->swap_bytes);
    weir_json_set_number(object, "page_table_bytes", equation->page_table_bytes);
    weir_json_set_number(object, "mappings", equation->mapping_count);
    weir_json_set_number(object, "descriptors", equation->descriptor_count);
    struct tree tree = {0};
    weir_account_walk(root, add_account, &tree);
    (void)json_object_set_new(object, "accounts", tree.root != NULL ? tree.root : json_null());
    (void)json_object_set_new(object, "peak", peak_json());
    return object;
}

json_t *weir_memory_json_cgroup(const struct weir_cgroup_equation *equation)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "state",
                              json_string(weir_cgroup_equation_state_name(equation->state)));
    (void)json_object_set_new(object, "meaning",
                              json_string(weir_cgroup_equation_state_meaning(equation->state)));
    if (equation->state != WEIR_CGROUP_EQUATION_HOLDS &&
        equation->state != WEIR_CGROUP_EQUATION_BROKEN)
        return object;
    json_t *parts = json_object();
    weir_json_set_number(parts, "anonymous", equation->anonymous_bytes);
    weir_json_set_number(parts, "page_cache", equation->cache_bytes);
    weir_json_set_number(parts, "shared_memory", equation->shared_bytes);
    weir_json_set_number(parts, "kernel", equation->kernel_bytes);
    weir_json_set_number(object, "usage_bytes", equation->usage_bytes);
    (void)json_object_set_new(object, "parts", parts);
    (void)json_object_set_new(object, "unexplained_bytes",
                              json_integer(equation->unexplained_bytes));
    weir_json_set_number(object, "tolerance_bytes", equation->tolerance_bytes);
    weir_json_set_number(object, "file_resident_bytes", equation->file_resident_bytes);
    weir_json_set_number(object, "processes", equation->process_count);
    weir_json_set_number(object, "age_ms", (weir_clock_ns() - equation->read_ns) / WEIR_MS_NS);
    return object;
}

json_t *weir_memory_json_figures(const struct weir_memory_json_entry *entry)
{
    json_t *object = json_pack("{s:s}", "name", entry->name);
    if (object == NULL)
        return NULL;
    weir_json_set_number(object, "reserved_bytes", entry->reserved_bytes);
    weir_json_set_number(object, "accessible_bytes", entry->accessible_bytes);
    weir_json_set_number(object, "resident_bytes", entry->resident_bytes);
    weir_json_set_number(object, "private_bytes", entry->private_bytes);
    if (entry->peak_bytes != 0)
        weir_json_set_number(object, "peak_bytes", entry->peak_bytes);
    if (entry->limit_bytes != 0)
        set_limit(object, "limit_bytes", entry->limit_bytes);
    return object;
}
