/* Taking a census: one walk over the list of the process, then tasks and held things, each object
 * counted in its total and in the group of those like it. All memory is taken before the walk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/handle_internal.h"

const char *weir_census_type_name(enum weir_census_type type)
{
    static const char *const NAMES[WEIR_CENSUS_TYPE_COUNT] = {
        "engine", "module", "linker", "store", "instance", "memory",
        "table",  "handle", "task",   "pin",   "held"};
    return (unsigned)type < WEIR_CENSUS_TYPE_COUNT ? NAMES[type] : "unknown";
}

/* One object, or several that are alike, as it goes into its group. */
struct item {
    enum weir_census_type type;
    const char *name, *origin, *owner;
    uint64_t count, bytes, made_ns;
    bool has_ended;
};

/* --- groups --------------------------------------------------------------------------------- */

static uint32_t hash_text(uint32_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return (hash ^ 0xffu) * 16777619u;
}

static uint32_t *find_bucket(const struct weir_census *census, enum weir_census_type type,
                             const char *name, const char *origin)
{
    uint32_t hash = hash_text(hash_text(2166136261u ^ (uint32_t)type, name), origin);
    uint32_t at = hash & (census->bucket_count - 1);
    for (;; at = (at + 1) & (census->bucket_count - 1)) {
        uint32_t *bucket = &census->buckets[at];
        if (*bucket == 0)
            return bucket;
        const struct weir_census_group *group = &census->groups[*bucket - 1];
        if (group->type == type && strcmp(group->name, name) == 0 &&
            strcmp(group->origin, origin) == 0)
            return bucket;
    }
}

const struct weir_census_group *weir__census_like(const struct weir_census *census,
                                                  const struct weir_census_group *group)
{
    uint32_t at = *find_bucket(census, group->type, group->name, group->origin);
    return at != 0 ? &census->groups[at - 1] : NULL;
}

static struct weir_census_group *group_of(struct weir_census *census, const struct item *item)
{
    char name[WEIR_CENSUS_NAME_SIZE], origin[WEIR_CENSUS_ORIGIN_SIZE];
    (void)snprintf(name, sizeof name, "%s", item->name);
    (void)snprintf(origin, sizeof origin, "%s", item->origin);
    uint32_t *bucket = find_bucket(census, item->type, name, origin);
    if (*bucket != 0)
        return &census->groups[*bucket - 1];
    if (census->group_count == census->groups_max)
        return NULL;
    struct weir_census_group *group = &census->groups[census->group_count++];
    *bucket = census->group_count;
    group->type = item->type;
    memcpy(group->name, name, sizeof name);
    memcpy(group->origin, origin, sizeof origin);
    return group;
}

static void add(struct weir_census *census, const struct item *item)
{
    struct weir_census_total *total = &census->totals[item->type];
    total->count += item->count;
    total->bytes += item->bytes;
    struct weir_census_group *group = group_of(census, item);
    if (group == NULL) {
        total->left_out += item->count;
        return;
    }
    uint64_t age = census->taken_ns > item->made_ns ? census->taken_ns - item->made_ns : 0;
    if (group->count == 0 || age > group->oldest_ns) {
        group->oldest_ns = age;
        (void)snprintf(group->owner, sizeof group->owner, "%s", item->owner);
    }
    group->count += item->count;
    group->bytes += item->bytes;
    if (census->since_ns != 0 && item->made_ns > census->since_ns)
        group->fresh_count += item->count;
    if (item->has_ended)
        group->ended_count += item->count;
}

/* --- a store, outside its changes ----------------------------------------------------------- */

struct look {
    struct weir_census *census;
    const struct weir_store *store;
    const char *store_name;
    char owner[WEIR_CENSUS_OWNER_SIZE]; /* the store, or the instance now looked at */
    uint64_t own_memories, own_memory_bytes, own_tables, own_table_bytes;
    /* The origin said last: handles that lie together were mostly made at one place. */
    uint64_t site_pc;
    const char *label;
    char origin[WEIR_CENSUS_ORIGIN_SIZE];
};

static void say_origin(struct look *look, const struct weir__handle_entry *entry)
{
    if (look->origin[0] != '\0' && look->site_pc == entry->site_pc && look->label == entry->label)
        return;
    struct weir_trap_frame site;
    look->site_pc = entry->site_pc;
    look->label = entry->label;
    const char *label = entry->label != NULL ? entry->label : "";
    const char *comma = entry->label != NULL ? ", " : "";
    if (weir__code_frame(entry->site_pc, &site))
        (void)snprintf(look->origin, sizeof look->origin, "%.60s (+0x%x) in %.50s%s%.50s",
                       site.function, site.module_offset, site.module, comma, label);
    else
        (void)snprintf(look->origin, sizeof look->origin, "%s%s%.60s", weir__handle_maker(entry),
                       comma, label);
}

static void add_handles(struct look *look, const struct weir_handles *handles)
{
    if (handles == NULL)
        return;
    uint32_t seen = 0;
    uint32_t index = handles->oldest;
    for (; index != 0 && seen < WEIR_CENSUS_HANDLES_MAX; seen++) {
        const struct weir__handle_entry *entry = &handles->entries[index];
        say_origin(look, entry);
        const struct item item = {.type = WEIR_CENSUS_HANDLE,
                                  .name = entry->use->type->name,
                                  .origin = look->origin,
                                  .owner = look->owner,
                                  .count = 1,
                                  .bytes = sizeof *entry,
                                  .made_ns = entry->made_ns};
        add(look->census, &item);
        index = entry->newer;
    }
    struct weir_census_total *total = &look->census->totals[WEIR_CENSUS_HANDLE];
    total->count += handles->count - seen;
    total->bytes += (uint64_t)(handles->count - seen) * sizeof *handles->entries;
    total->left_out += handles->count - seen;
}

static uint64_t table_bytes(const struct weir_table *table)
{
    return table->mapping.base != NULL ? table->accessible_bytes : table->limit * sizeof(void *);
}

static void add_instance_parts(struct look *look, const struct weir_instance *instance)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    struct item item = {.type = WEIR_CENSUS_MEMORY,
                        .name = instance->module->name,
                        .origin = "",
                        .owner = look->owner,
                        .count = 1};
    for (uint32_t i = head->memory_import_count; i < head->memories.count; i++) {
        item.bytes = instance->memories[i]->vm.size_bytes;
        item.made_ns = instance->memories[i]->made_ns;
        look->own_memories++;
        look->own_memory_bytes += item.bytes;
        add(look->census, &item);
    }
    item.type = WEIR_CENSUS_TABLE;
    for (uint32_t i = head->table_import_count; i < head->tables.count; i++) {
        item.bytes = table_bytes(instance->tables[i]);
        item.made_ns = instance->tables[i]->made_ns;
        look->own_tables++;
        look->own_table_bytes += item.bytes;
        add(look->census, &item);
    }
    item.type = WEIR_CENSUS_PIN;
    for (const struct weir_instance_pin *pin = instance->pins; pin != NULL; pin = pin->next) {
        item.name = pin->holder;
        item.bytes = sizeof *pin;
        item.made_ns = pin->made_ns;
        add(look->census, &item);
    }
}

static void add_instance(struct look *look, const struct weir_instance *instance)
{
    (void)snprintf(look->owner, sizeof look->owner, "instance %u of store \"%s\"", instance->number,
                   look->store_name);
    const struct item item = {.type = WEIR_CENSUS_INSTANCE,
                              .name = instance->module->name,
                              .origin = "",
                              .owner = look->owner,
                              .count = 1,
                              .bytes = instance->region_bytes,
                              .made_ns = instance->made_ns};
    add(look->census, &item);
    add_instance_parts(look, instance);
    add_handles(look, instance->handles);
}

/* What the host made in the store, which is what no instance has. */
static uint64_t add_host_parts(struct look *look)
{
    uint64_t bytes = 0;
    struct item item = {.type = WEIR_CENSUS_MEMORY,
                        .name = "the host's",
                        .origin = "",
                        .owner = look->owner,
                        .made_ns = look->store->census.made_ns};
    for (const struct weir_memory *at = look->store->memories; at != NULL; at = at->next) {
        item.count++;
        bytes += at->vm.size_bytes;
    }
    item.count -= look->own_memories;
    item.bytes = bytes - look->own_memory_bytes;
    if (item.count != 0)
        add(look->census, &item);
    item.type = WEIR_CENSUS_TABLE;
    item.count = item.bytes = 0;
    for (const struct weir_table *at = look->store->tables; at != NULL; at = at->next) {
        item.count++;
        item.bytes += table_bytes(at);
    }
    item.count -= look->own_tables;
    item.bytes -= look->own_table_bytes;
    if (item.count != 0)
        add(look->census, &item);
    return bytes;
}

static uint64_t figure(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void list_store(struct look *look, uint64_t used_bytes, uint64_t linear_bytes)
{
    struct weir_census *census = look->census;
    const struct weir_store *store = look->store;
    if (census->store_count == census->stores_max) {
        census->stores_left_out++;
        return;
    }
    struct weir_census_store *entry = &census->stores[census->store_count++];
    *entry = (struct weir_census_store){.id = store->census.id,
                                        .account = store->account,
                                        .age_ns = census->taken_ns > store->census.made_ns
                                                      ? census->taken_ns - store->census.made_ns
                                                      : 0,
                                        .used_bytes = used_bytes,
                                        .linear_bytes = linear_bytes,
                                        .calls = figure(&store->calls),
                                        .resets = figure(&store->resets),
                                        .thread_changes = figure(&store->thread_changes),
                                        .instances = store->instance_count,
                                        .instances_made = store->instances_made,
                                        .handles = store->handle_count,
                                        .is_pooled = store->is_slot};
    (void)snprintf(entry->name, sizeof entry->name, "%s", look->store_name);
    (void)snprintf(entry->tenant, sizeof entry->tenant, "%s",
                   weir_account_parent_name(store->account));
}

static void add_store(struct weir_census *census, const struct weir_store *store)
{
    struct weir_account_reading reading;
    weir_account_read(store->account, &reading);
    struct look look = {.census = census, .store = store, .store_name = reading.name};
    const struct item item = {.type = WEIR_CENSUS_STORE,
                              .name = reading.name,
                              .origin = store->is_slot ? WEIR__CENSUS_SLOT : "",
                              .owner = "",
                              .count = 1,
                              .bytes = reading.used_bytes,
                              .made_ns = store->census.made_ns};
    add(census, &item);
    for (const struct weir_instance *at = store->instances; at != NULL; at = at->next)
        add_instance(&look, at);
    (void)snprintf(look.owner, sizeof look.owner, "store \"%s\"", reading.name);
    add_handles(&look, store->handles);
    uint64_t linear_bytes = add_host_parts(&look);
    census->totals[WEIR_CENSUS_INSTANCE].made += store->instances_made;
    census->live_resets += figure(&store->resets);
    list_store(&look, reading.used_bytes, linear_bytes);
}

/* --- the walk ------------------------------------------------------------------------------- */

static void add_past(struct weir_census *census, const struct weir__census_past *past)
{
    for (int type = 0; type < WEIR_CENSUS_TYPE_COUNT; type++)
        census->totals[type].made += past->made[type];
    census->resets += past->resets;
}

static const void *record_of(const struct weir__census_link *link, size_t offset)
{
    return (const uint8_t *)link - offset;
}

static void add_engine(struct weir_census *census, const struct weir_engine *engine)
{
    struct weir_account_reading reading;
    weir_account_read(engine->account, &reading);
    const struct item item = {.type = WEIR_CENSUS_ENGINE,
                              .name = "engine",
                              .origin = "",
                              .owner = "",
                              .count = 1,
                              .bytes = reading.used_bytes,
                              .made_ns = engine->census.made_ns};
    add(census, &item);
    add_past(census, &engine->past);
}

static void add_module(struct weir_census *census, const struct weir_module *module)
{
    const struct item item = {.type = WEIR_CENSUS_MODULE,
                              .name = module->name,
                              .origin = "",
                              .owner = "",
                              .count = 1,
                              .bytes = sizeof *module + module->tables_bytes,
                              .made_ns = module->census.made_ns};
    add(census, &item);
}

static void add_linker(struct weir_census *census, const struct weir__linker_head *linker)
{
    const struct item item = {.type = WEIR_CENSUS_LINKER,
                              .name = "linker",
                              .origin = "",
                              .owner = "",
                              .count = 1,
                              .bytes = figure(&linker->bytes),
                              .made_ns = linker->census.made_ns};
    add(census, &item);
}

static bool is_wanted(const struct weir_census *census, const struct weir_engine *engine)
{
    return census->engine == NULL || census->engine == engine;
}

static void visit_link(void *context, const struct weir__census_link *link)
{
    struct weir_census *census = context;
    if (link->type == WEIR_CENSUS_ENGINE) {
        const struct weir_engine *engine = record_of(link, offsetof(struct weir_engine, census));
        if (is_wanted(census, engine))
            add_engine(census, engine);
    } else if (link->type == WEIR_CENSUS_MODULE) {
        const struct weir_module *module = record_of(link, offsetof(struct weir_module, census));
        if (is_wanted(census, module->engine))
            add_module(census, module);
    } else if (link->type == WEIR_CENSUS_LINKER) {
        const struct weir__linker_head *linker =
            record_of(link, offsetof(struct weir__linker_head, census));
        if (is_wanted(census, linker->engine))
            add_linker(census, linker);
    } else {
        const struct weir_store *store = record_of(link, offsetof(struct weir_store, census));
        if (is_wanted(census, store->engine))
            add_store(census, store);
    }
}

static void visit_task(void *context, const struct weir__task_view *view)
{
    struct weir_account_reading reading;
    char owner[WEIR_CENSUS_OWNER_SIZE];
    weir_account_read(view->account, &reading);
    if (view->instance_number != 0)
        (void)snprintf(owner, sizeof owner, "instance %u of store \"%s\"", view->instance_number,
                       reading.name);
    else
        (void)snprintf(owner, sizeof owner, "%sstore \"%s\"", view->is_orphan ? "closed " : "",
                       reading.name);
    const struct item item = {.type = WEIR_CENSUS_TASK,
                              .name = view->label,
                              .origin = view->is_orphan      ? "runs, its store is closed"
                                        : view->has_ended    ? "has ended, not reaped"
                                        : view->is_cancelled ? "runs, was told to end"
                                                             : "runs or waits",
                              .owner = owner,
                              .count = 1,
                              .bytes = view->bytes,
                              .made_ns = view->made_ns,
                              .has_ended = view->is_orphan};
    add(context, &item);
}

static void visit_held(void *context, const struct weir__held_view *view)
{
    static const char *const KINDS[] = {"buffer", "cache", "callback", "wait"};
    const struct item item = {.type = WEIR_CENSUS_HELD,
                              .name = view->label,
                              .origin = KINDS[view->kind],
                              .owner = view->owner,
                              .count = 1,
                              .bytes = view->bytes,
                              .made_ns = view->made_ns,
                              .has_ended = view->has_ended};
    add(context, &item);
}

static void take_past(void *context)
{
    struct weir_census *census = context;
    const struct weir__census_past *gone = weir__census_gone();
    if (census->engine == NULL)
        add_past(census, gone);
    else
        census->totals[WEIR_CENSUS_ENGINE].made = 1;
    memcpy(census->sources, weir__census_sources(), sizeof census->sources);
}

static int by_from(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t)((const struct weir__edge_view *)left)->from;
    uintptr_t b = (uintptr_t)((const struct weir__edge_view *)right)->from;
    return (a > b) - (a < b);
}

/* --- the whole ------------------------------------------------------------------------------ */

#define EDGES_MORE 64u /* registered while the census is taken */

static enum weir_status allocate(struct weir_census *census,
                                 const struct weir_census_config *config, struct weir_error *error)
{
    census->groups_max = config->groups_max != 0 ? config->groups_max : WEIR_CENSUS_GROUPS_DEFAULT;
    census->stores_max = config->stores_max != 0 ? config->stores_max : WEIR_CENSUS_STORES_DEFAULT;
    if (census->groups_max > WEIR_CENSUS_MAX || census->stores_max > WEIR_CENSUS_MAX)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a census of %u groups and %u stores; at most %u of each",
                              census->groups_max, census->stores_max, WEIR_CENSUS_MAX);
    size_t edges = weir__edges_copy(NULL, 0) + EDGES_MORE;
    census->edges_max = edges < WEIR_REF_EDGES_MAX ? edges : WEIR_REF_EDGES_MAX;
    for (census->bucket_count = 64; census->bucket_count < 2 * census->groups_max;)
        census->bucket_count *= 2;
    struct weir_account *account = census->account;
    census->groups = weir_account_alloc(account, WEIR_KIND_METADATA,
                                        census->groups_max * sizeof *census->groups, error);
    if (census->groups != NULL)
        census->buckets = weir_account_alloc(account, WEIR_KIND_METADATA,
                                             census->bucket_count * sizeof(uint32_t), error);
    if (census->buckets != NULL)
        census->stores = weir_account_alloc(account, WEIR_KIND_METADATA,
                                            census->stores_max * sizeof *census->stores, error);
    if (census->stores != NULL)
        census->edges = weir_account_alloc(account, WEIR_KIND_METADATA,
                                           census->edges_max * sizeof *census->edges, error);
    return census->edges != NULL ? WEIR_OK : weir_error_refused(error);
}

enum weir_status weir_census_take(struct weir_engine *engine,
                                  const struct weir_census_config *config,
                                  struct weir_census **ret_census, struct weir_error *error)
{
    static const struct weir_census_config defaults;
    if (config == NULL)
        config = &defaults;
    struct weir_account *account =
        config->account != NULL ? config->account : weir_account_host();
    struct weir_census *census =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *census, error);
    if (census == NULL)
        return weir_error_refused(error);
    census->account = account;
    census->engine = engine;
    census->since_ns = config->since != NULL ? config->since->taken_ns : 0;
    enum weir_status status = allocate(census, config, error);
    if (status != WEIR_OK) {
        weir_census_free(census);
        return status;
    }
    census->taken_ns = weir_clock_ns();
    if (!weir__census_walk(visit_link, census)) {
        weir_census_free(census);
        return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                              "the kernel no longer grants membarrier; take the census again");
    }
    weir__census_locked(take_past, census);
    weir__tasks_census(visit_task, census);
    weir__held_visit(visit_held, census);
    census->edge_count = weir__edges_copy(census->edges, census->edges_max);
    qsort(census->edges, weir__census_edges(census), sizeof *census->edges, by_from);
    *ret_census = census;
    return WEIR_OK;
}

size_t weir__census_edges(const struct weir_census *census)
{
    return census->edge_count < census->edges_max ? census->edge_count : census->edges_max;
}

void weir_census_free(struct weir_census *census)
{
    if (census == NULL)
        return;
    struct weir_account *account = census->account;
    weir_account_free(account, WEIR_KIND_METADATA, census->groups,
                      census->groups_max * sizeof *census->groups);
    weir_account_free(account, WEIR_KIND_METADATA, census->buckets,
                      census->bucket_count * sizeof(uint32_t));
    weir_account_free(account, WEIR_KIND_METADATA, census->stores,
                      census->stores_max * sizeof *census->stores);
    weir_account_free(account, WEIR_KIND_METADATA, census->edges,
                      census->edges_max * sizeof *census->edges);
    weir_account_free(account, WEIR_KIND_METADATA, census, sizeof *census);
}

void weir_census_total(const struct weir_census *census, enum weir_census_type type,
                       struct weir_census_total *ret)
{
    *ret = (unsigned)type < WEIR_CENSUS_TYPE_COUNT ? census->totals[type]
                                                   : (struct weir_census_total){0};
}

size_t weir_census_group_count(const struct weir_census *census)
{
    return census->group_count;
}

const struct weir_census_group *weir_census_group(const struct weir_census *census, size_t index)
{
    return index < census->group_count ? &census->groups[index] : NULL;
}

size_t weir_census_store_count(const struct weir_census *census)
{
    return census->store_count;
}

const struct weir_census_store *weir_census_store(const struct weir_census *census, size_t index)
{
    return index < census->store_count ? &census->stores[index] : NULL;
}

uint64_t weir_census_taken_ns(const struct weir_census *census)
{
    return census->taken_ns;
}

uint64_t weir_census_completed(const struct weir_census *census)
{
    const struct weir_census_total *instances = &census->totals[WEIR_CENSUS_INSTANCE];
    return instances->made - instances->count + census->resets + census->live_resets;
}

uint64_t weir_census_bytes(const struct weir_census *census)
{
    return census->totals[WEIR_CENSUS_STORE].bytes + census->totals[WEIR_CENSUS_ENGINE].bytes +
           census->totals[WEIR_CENSUS_HELD].bytes;
}
