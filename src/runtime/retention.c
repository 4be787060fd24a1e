/* The ways in which hosts keep guests by mistake, each a rule over two censuses. A rule says what
 * it saw, never more: what nobody registered is not observable. */
#include <stdio.h>
#include <string.h>

#include "base/sizes.h"
#include "runtime/census_internal.h"
#include "runtime/process_internal.h"

#define AGE_NS_DEFAULT UINT64_C(60000000000)
#define TURNS_MIN_DEFAULT 8u

static const struct {
    const char *name, *advice;
} texts[WEIR_RETENTION_COUNT] = {
#define WEIR_RETENTION(id, name, advice) {name, advice},
#include <weir/retention_patterns.def>
#undef WEIR_RETENTION
};

const char *weir_retention_name(enum weir_retention_pattern pattern)
{
    return (unsigned)pattern < WEIR_RETENTION_COUNT ? texts[pattern].name : "unknown";
}

const char *weir_retention_advice(enum weir_retention_pattern pattern)
{
    return (unsigned)pattern < WEIR_RETENTION_COUNT ? texts[pattern].advice : "";
}

struct review {
    const struct weir_census *before, *after;
    uint64_t age_ns, turns_min;
    uint64_t *largest; /* of the present rule's counts so far */
};

/* One more thing of the pattern; true where it is the largest so far, so that the evidence is to
 * be of it. */
static bool found(const struct review *review, struct weir_retention_finding *finding,
                  uint64_t count, uint64_t bytes)
{
    bool is_largest = finding->state != WEIR_RETENTION_PRESENT || count > *review->largest;
    if (is_largest)
        *review->largest = count;
    finding->state = WEIR_RETENTION_PRESENT;
    finding->count += count;
    finding->bytes += bytes;
    return is_largest;
}

static const char *size_text(struct weir_size_text *text, uint64_t bytes)
{
    *text = weir_size_format(bytes);
    return text->text;
}

static const char *age_text(struct weir_size_text *text, uint64_t ns)
{
    *text = weir_duration_format(ns);
    return text->text;
}

#define SAY(finding, ...)                                                                          \
    (void)snprintf((finding)->evidence, sizeof(finding)->evidence, __VA_ARGS__)

/* --- stores --------------------------------------------------------------------------------- */

static const struct weir_census_store *store_before(const struct review *review,
                                                    const struct weir_census_store *store)
{
    for (uint32_t i = 0; i < review->before->store_count; i++)
        if (review->before->stores[i].id == store->id)
            return &review->before->stores[i];
    return NULL;
}

/* Calls `judge` for every store that both censuses list and that is no pool's slot. */
static void each_store(const struct review *review, struct weir_retention_finding *finding,
                       void (*judge)(const struct review *review,
                                     const struct weir_census_store *before,
                                     const struct weir_census_store *after,
                                     struct weir_retention_finding *finding))
{
    for (uint32_t i = 0; i < review->after->store_count; i++) {
        const struct weir_census_store *after = &review->after->stores[i];
        const struct weir_census_store *before = store_before(review, after);
        if (before != NULL && !after->is_pooled)
            judge(review, before, after, finding);
    }
    if (finding->state == WEIR_RETENTION_ABSENT && review->after->stores_left_out != 0) {
        finding->state = WEIR_RETENTION_NOT_OBSERVABLE;
        SAY(finding, "%llu stores are beyond those that the census lists; raise stores_max",
            (unsigned long long)review->after->stores_left_out);
    }
}

static void judge_long_lived(const struct review *review, const struct weir_census_store *before,
                             const struct weir_census_store *after,
                             struct weir_retention_finding *finding)
{
    uint64_t made = after->instances_made - before->instances_made;
    uint64_t kept = after->instances > before->instances ? after->instances - before->instances : 0;
    if (kept < review->turns_min || kept < made / 2 || after->used_bytes <= before->used_bytes)
        return;
    uint64_t bytes = after->used_bytes - before->used_bytes;
    struct weir_size_text size, age;
    if (found(review, finding, kept, bytes))
        SAY(finding, "store \"%s\", %s old: %u instances before, %u now, %llu made in between; +%s",
            after->name, age_text(&age, after->age_ns), before->instances, after->instances,
            (unsigned long long)made, size_text(&size, bytes));
}

static void judge_shared(const struct review *review, const struct weir_census_store *before,
                         const struct weir_census_store *after,
                         struct weir_retention_finding *finding)
{
    uint64_t changes = after->thread_changes - before->thread_changes;
    uint64_t calls = after->calls - before->calls;
    if (after->instances < 2 || changes < review->turns_min)
        return;
    if (found(review, finding, after->instances, after->used_bytes))
        SAY(finding,
            "store \"%s\" has %u instances and was called %llu times, %llu of them by another "
            "thread than the time before",
            after->name, after->instances, (unsigned long long)calls, (unsigned long long)changes);
}

static void shared_store(const struct review *review, struct weir_retention_finding *finding)
{
    each_store(review, finding, judge_shared);
}

/* One guest, called again and again, never reset, that has grown. */
static bool keeps_state(const struct review *review, const struct weir_census_store *before,
                        const struct weir_census_store *after)
{
    return after->instances == 1 && after->instances_made == before->instances_made &&
           after->calls - before->calls >= review->turns_min && after->resets == before->resets &&
           after->linear_bytes > before->linear_bytes;
}

/* Stores of the same name that keep state: a pool of the embedder's when there are several. */
static uint32_t alike(const struct review *review, const char *name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < review->after->store_count; i++) {
        const struct weir_census_store *after = &review->after->stores[i];
        const struct weir_census_store *before = store_before(review, after);
        count += before != NULL && !after->is_pooled && strcmp(after->name, name) == 0 &&
                 keeps_state(review, before, after);
    }
    return count;
}

static void judge_state(const struct review *review, const struct weir_census_store *before,
                        const struct weir_census_store *after, bool wants_pool,
                        struct weir_retention_finding *finding)
{
    if (!keeps_state(review, before, after))
        return;
    uint32_t stores = alike(review, after->name);
    if ((stores > 1) != wants_pool)
        return;
    uint64_t bytes = after->linear_bytes - before->linear_bytes;
    uint64_t calls = after->calls - before->calls;
    bool is_first = finding->state != WEIR_RETENTION_PRESENT;
    (void)found(review, finding, 1, bytes);
    if (!is_first)
        return;
    struct weir_size_text size;
    if (wants_pool)
        SAY(finding,
            "%u stores named \"%s\" serve again and again without a reset; one: %llu calls, "
            "linear memory +%s",
            stores, after->name, (unsigned long long)calls, size_text(&size, bytes));
    else
        SAY(finding, "store \"%s\": one instance, %llu calls, no reset, linear memory +%s",
            after->name, (unsigned long long)calls, size_text(&size, bytes));
}

static void judge_pool(const struct review *review, const struct weir_census_store *before,
                       const struct weir_census_store *after,
                       struct weir_retention_finding *finding)
{
    judge_state(review, before, after, true, finding);
}

static void judge_kept(const struct review *review, const struct weir_census_store *before,
                       const struct weir_census_store *after,
                       struct weir_retention_finding *finding)
{
    judge_state(review, before, after, false, finding);
}

static void pool_not_reset(const struct review *review, struct weir_retention_finding *finding)
{
    each_store(review, finding, judge_pool);
}

static void kept_state(const struct review *review, struct weir_retention_finding *finding)
{
    each_store(review, finding, judge_kept);
}

/* --- what is made per instance -------------------------------------------------------------- */

static uint64_t made_between(const struct review *review, enum weir_census_type type)
{
    return review->after->totals[type].made - review->before->totals[type].made;
}

static void engine_per_instance(const struct review *review, struct weir_retention_finding *finding)
{
    uint64_t instances = made_between(review, WEIR_CENSUS_INSTANCE);
    uint64_t engines = made_between(review, WEIR_CENSUS_ENGINE);
    uint64_t linkers = made_between(review, WEIR_CENSUS_LINKER);
    uint64_t most = engines > linkers ? engines : linkers;
    if (instances == 0 || most < review->turns_min || most < instances / 2)
        return;
    (void)found(review, finding, most, 0);
    SAY(finding, "%llu engines and %llu linkers were made for %llu instances",
        (unsigned long long)engines, (unsigned long long)linkers, (unsigned long long)instances);
}

/* Stores of one name that are made and not closed. A pool may have as many as it says. */
static void judge_kept_stores(const struct review *review, const struct weir_census_group *after,
                              struct weir_retention_finding *finding)
{
    const struct weir_census_group *before = weir__census_like(review->before, after);
    uint64_t count = before != NULL ? before->count : 0;
    uint64_t kept = after->count > count ? after->count - count : 0;
    uint64_t made = made_between(review, WEIR_CENSUS_STORE);
    if (kept < review->turns_min || kept < made / 2 || after->fresh_count < kept)
        return;
    uint64_t had = before != NULL ? before->bytes : 0;
    uint64_t bytes = after->bytes > had ? after->bytes - had : 0; /* a larger one may have gone */
    struct weir_size_text size, age;
    if (found(review, finding, kept, bytes))
        SAY(finding,
            "%llu stores \"%s\" before, %llu now, %llu stores made in between; the oldest is %s "
            "old; +%s",
            (unsigned long long)count, after->name, (unsigned long long)after->count,
            (unsigned long long)made, age_text(&age, after->oldest_ns), size_text(&size, bytes));
}

static void long_lived_store(const struct review *review, struct weir_retention_finding *finding)
{
    for (uint32_t i = 0; i < review->after->group_count; i++) {
        const struct weir_census_group *group = &review->after->groups[i];
        if (group->type == WEIR_CENSUS_STORE && strcmp(group->origin, WEIR__CENSUS_SLOT) != 0)
            judge_kept_stores(review, group, finding);
    }
    each_store(review, finding, judge_long_lived);
}

static const struct weir__census_source *source_before(const struct review *review,
                                                       const struct weir__census_source *source)
{
    for (size_t i = 0; i < WEIR__CENSUS_SOURCES; i++)
        if (review->before->sources[i].last != 0 &&
            memcmp(review->before->sources[i].hash, source->hash, sizeof source->hash) == 0)
            return &review->before->sources[i];
    return NULL;
}

static void compile_per_call(const struct review *review, struct weir_retention_finding *finding)
{
    uint64_t instances = made_between(review, WEIR_CENSUS_INSTANCE);
    for (size_t i = 0; i < WEIR__CENSUS_SOURCES; i++) {
        const struct weir__census_source *after = &review->after->sources[i];
        const struct weir__census_source *before = source_before(review, after);
        uint64_t loads = after->loads - (before != NULL ? before->loads : 0);
        uint64_t compiles = after->compiles - (before != NULL ? before->compiles : 0);
        if (loads < review->turns_min || loads < instances / 2)
            continue;
        if (found(review, finding, loads, 0))
            SAY(finding,
                "module \"%s\" was loaded %llu times, compiled for it %llu times, while %llu "
                "instances were made",
                after->name, (unsigned long long)loads, (unsigned long long)compiles,
                (unsigned long long)instances);
    }
}

/* --- handles and tasks ---------------------------------------------------------------------- */

static void undropped_handles(const struct review *review, struct weir_retention_finding *finding)
{
    for (uint32_t i = 0; i < review->after->group_count; i++) {
        const struct weir_census_group *after = &review->after->groups[i];
        if (after->type != WEIR_CENSUS_HANDLE)
            continue;
        const struct weir_census_group *before = weir__census_like(review->before, after);
        uint64_t had = before != NULL ? before->count : 0;
        if (after->count < had + review->turns_min)
            continue;
        uint64_t bytes = after->bytes - (before != NULL ? before->bytes : 0);
        struct weir_size_text age;
        if (found(review, finding, after->count - had, bytes))
            SAY(finding,
                "%llu more of \"%.40s\" (%llu now, the oldest %s, in %.50s), made by %.90s",
                (unsigned long long)(after->count - had), after->name,
                (unsigned long long)after->count, age_text(&age, after->oldest_ns), after->owner,
                after->origin);
    }
}

static void task_outlives(const struct review *review, struct weir_retention_finding *finding)
{
    for (uint32_t i = 0; i < review->after->group_count; i++) {
        const struct weir_census_group *group = &review->after->groups[i];
        if (group->type != WEIR_CENSUS_TASK || group->ended_count == 0)
            continue;
        struct weir_size_text age;
        if (found(review, finding, group->ended_count, group->bytes))
            SAY(finding, "%llu of task \"%.60s\" still run for %.60s, the oldest for %s",
                (unsigned long long)group->ended_count, group->name, group->owner,
                age_text(&age, group->oldest_ns));
    }
}

static void task_blocks(const struct review *review, struct weir_retention_finding *finding)
{
    for (uint32_t i = 0; i < review->after->group_count; i++) {
        const struct weir_census_group *group = &review->after->groups[i];
        if (group->type != WEIR_CENSUS_TASK || group->ended_count != 0 ||
            group->oldest_ns < review->age_ns)
            continue;
        struct weir_size_text age;
        if (found(review, finding, group->count, group->bytes))
            SAY(finding, "%llu of task \"%.60s\" of %.60s, the oldest for %s: %.60s",
                (unsigned long long)group->count, group->name, group->owner,
                age_text(&age, group->oldest_ns), group->origin);
    }
}

/* --- what was registered -------------------------------------------------------------------- */

struct held_rule {
    const char *kind, *what, *how; /* as in group->origin; for people; how to register */
    bool is_by_age;                /* old ones count, else those whose number grows */
};

static void judge_held(const struct review *review, const struct held_rule *rule,
                       const struct weir_census_group *after,
                       struct weir_retention_finding *finding)
{
    const struct weir_census_group *before = weir__census_like(review->before, after);
    uint64_t had = before != NULL ? before->count : 0;
    uint64_t grown = after->count > had ? after->count - had : 0;
    uint64_t count = after->ended_count;
    struct weir_size_text age, size;
    if (count == 0 && rule->is_by_age && after->oldest_ns >= review->age_ns)
        count = after->count;
    if (count == 0 && !rule->is_by_age && grown >= review->turns_min)
        count = grown;
    if (count != 0 && found(review, finding, count, after->bytes))
        SAY(finding,
            "%llu %s \"%.50s\" (%s), %llu of them of instances that have ended, %llu more than "
            "before, the oldest %s, of %.50s",
            (unsigned long long)after->count, rule->what, after->name,
            size_text(&size, after->bytes), (unsigned long long)after->ended_count,
            (unsigned long long)grown, age_text(&age, after->oldest_ns), after->owner);
}

static void check_held(const struct review *review, const struct held_rule *rule,
                       struct weir_retention_finding *finding)
{
    bool is_seen = false;
    const struct weir_census *both[] = {review->before, review->after};
    for (int census = 0; census < 2; census++)
        for (uint32_t i = 0; i < both[census]->group_count; i++) {
            const struct weir_census_group *group = &both[census]->groups[i];
            if (group->type != WEIR_CENSUS_HELD || strcmp(group->origin, rule->kind) != 0)
                continue;
            is_seen = true;
            if (census == 1)
                judge_held(review, rule, group, finding);
        }
    if (is_seen)
        return;
    finding->state = WEIR_RETENTION_NOT_OBSERVABLE;
    SAY(finding, "no %s is registered (%s)", rule->what, rule->how);
}

static void callback_capture(const struct review *review, struct weir_retention_finding *finding)
{
    static const struct held_rule rule = {
        .kind = "callback", .what = "callback", .how = "weir_held_new, WEIR_HELD_CALLBACK"};
    check_held(review, &rule, finding);
}

static void wait_holds(const struct review *review, struct weir_retention_finding *finding)
{
    static const struct held_rule rule = {.kind = "wait",
                                          .what = "channel or timeout",
                                          .how = "weir_held_new, WEIR_HELD_WAIT",
                                          .is_by_age = true};
    check_held(review, &rule, finding);
}

static void host_buffers(const struct review *review, struct weir_retention_finding *finding)
{
    static const struct held_rule rule = {
        .kind = "buffer", .what = "buffer", .how = "weir_held_new, WEIR_HELD_BUFFER"};
    check_held(review, &rule, finding);
}

static void host_cache(const struct review *review, struct weir_retention_finding *finding)
{
    static const struct held_rule rule = {
        .kind = "cache", .what = "cache entry", .how = "weir_held_new, WEIR_HELD_CACHE"};
    check_held(review, &rule, finding);
}

/* --- cycles --------------------------------------------------------------------------------- */

/* A search in depth over edges, which the census has in order of `from`. */
struct search {
    const struct weir__edge_view *edges;
    size_t count, depth, begin; /* path[begin] .. path[depth - 1]: the cycle that was found */
    enum {
        UNSEEN,
        ON_PATH,
        DONE
    } state[WEIR_REF_EDGES_MAX];
    uint32_t next[WEIR_REF_EDGES_MAX]; /* of an edge on the path: where to go on */
    uint32_t path[WEIR_REF_EDGES_MAX];
};

static uint32_t first_from(const struct search *search, const void *node)
{
    size_t low = 0, high = search->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)search->edges[middle].from < (uintptr_t)node)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void push(struct search *search, uint32_t edge)
{
    search->state[edge] = ON_PATH;
    search->next[edge] = first_from(search, search->edges[edge].to);
    search->path[search->depth++] = edge;
}

static bool finds_cycle(struct search *search, uint32_t root)
{
    push(search, root);
    while (search->depth != 0) {
        uint32_t edge = search->path[search->depth - 1];
        uint32_t next = search->next[edge]++;
        if (next >= search->count || search->edges[next].from != search->edges[edge].to) {
            search->state[edge] = DONE;
            search->depth--;
        } else if (search->state[next] == UNSEEN) {
            push(search, next);
        } else if (search->state[next] == ON_PATH) {
            for (search->begin = 0; search->path[search->begin] != next;)
                search->begin++;
            return true;
        }
    }
    return false;
}

static void tell_cycle(const struct review *review, const struct search *search,
                       struct weir_retention_finding *finding)
{
    size_t used = 0;
    for (size_t i = search->begin; i < search->depth && used < sizeof finding->evidence; i++) {
        int wrote =
            snprintf(finding->evidence + used, sizeof finding->evidence - used, "%s%s",
                     i == search->begin ? "" : " -> ", search->edges[search->path[i]].label);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    (void)found(review, finding, search->depth - search->begin, 0);
}

static void reference_cycle(const struct review *review, struct weir_retention_finding *finding)
{
    const struct weir_census *census = review->after;
    size_t count = weir__census_edges(census);
    if (census->edge_count == 0 && review->before->edge_count == 0) {
        finding->state = WEIR_RETENTION_NOT_OBSERVABLE;
        SAY(finding, "no edge is registered (weir_ref_edge_new)");
        return;
    }
    struct search search = {.edges = census->edges, .count = count};
    for (uint32_t root = 0; root < count; root++)
        if (search.state[root] == UNSEEN && finds_cycle(&search, root)) {
            tell_cycle(review, &search, finding);
            return;
        }
    if (census->edge_count > count) {
        finding->state = WEIR_RETENTION_NOT_OBSERVABLE;
        SAY(finding, "%zu edges are registered; %zu were searched", census->edge_count, count);
    }
}

/* --- all ------------------------------------------------------------------------------------ */

void weir_retention_read(const struct weir_census *before, const struct weir_census *after,
                         const struct weir_retention_config *config,
                         struct weir_retention_finding ret_findings[WEIR_RETENTION_COUNT])
{
    static void (*const RULES[WEIR_RETENTION_COUNT])(const struct review *review,
                                                     struct weir_retention_finding *finding) = {
        [WEIR_RETENTION_LONG_LIVED_STORE] = long_lived_store,
        [WEIR_RETENTION_UNDROPPED_HANDLES] = undropped_handles,
        [WEIR_RETENTION_ENGINE_PER_INSTANCE] = engine_per_instance,
        [WEIR_RETENTION_CALLBACK_CAPTURE] = callback_capture,
        [WEIR_RETENTION_TASK_OUTLIVES] = task_outlives,
        [WEIR_RETENTION_TASK_BLOCKS] = task_blocks,
        [WEIR_RETENTION_WAIT_HOLDS] = wait_holds,
        [WEIR_RETENTION_HOST_BUFFERS] = host_buffers,
        [WEIR_RETENTION_POOL_NOT_RESET] = pool_not_reset,
        [WEIR_RETENTION_HOST_CACHE] = host_cache,
        [WEIR_RETENTION_REFERENCE_CYCLE] = reference_cycle,
        [WEIR_RETENTION_COMPILE_PER_CALL] = compile_per_call,
        [WEIR_RETENTION_SHARED_STORE] = shared_store,
        [WEIR_RETENTION_KEPT_STATE] = kept_state,
    };
    uint64_t largest = 0;
    struct review review = {.before = before,
                            .after = after,
                            .age_ns = AGE_NS_DEFAULT,
                            .turns_min = TURNS_MIN_DEFAULT,
                            .largest = &largest};
    if (config != NULL && config->age_ns != 0)
        review.age_ns = config->age_ns;
    if (config != NULL && config->turns_min != 0)
        review.turns_min = config->turns_min;
    for (int i = 0; i < WEIR_RETENTION_COUNT; i++) {
        ret_findings[i] =
            (struct weir_retention_finding){.pattern = (enum weir_retention_pattern)i};
        largest = 0;
        RULES[i](&review, &ret_findings[i]);
    }
}
