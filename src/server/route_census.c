/* GET /v1/census: what lives, whose, how old, made where; what has come and gone since an earlier
 * one; the habits that keep guests. Lists hold the `top` largest, the rest is summed up.
 *
 * A page's tree of JSON is bounded by its rows, and charged before it is made.
 */
#include "server/server_census.h"

#include "base/clock.h"
#include "base/json_number.h"
#include "base/sizes.h"
#include "base/utf8.h"
#include "observe/memory_json.h"

#include <stdlib.h>
#include <string.h>

/* --- the question -------------------------------------------------------------------------- */

struct question {
    bool has_diff;
    uint64_t age_ns; /* of what is compared with */
    uint32_t top;
    int type; /* -1: all */
};

static bool read_diff(const char *value, size_t size, struct question *question)
{
    question->has_diff = true;
    question->age_ns = UINT64_MAX;
    return (size == 5 && memcmp(value, "start", 5) == 0) ||
           weir_duration_parse(value, size, &question->age_ns, NULL) == WEIR_OK;
}

static bool read_top(const char *value, size_t size, struct question *question)
{
    question->top = 0;
    for (size_t i = 0; i < size && size <= 4; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
        question->top = question->top * 10 + (uint32_t)(value[i] - '0');
    }
    return question->top > 0 && question->top <= WEIR_SERVER_CENSUS_TOP_MAX;
}

static bool read_type(const char *value, size_t size, struct question *question)
{
    for (int type = 0; type < WEIR_CENSUS_TYPE_COUNT; type++) {
        const char *name = weir_census_type_name((enum weir_census_type)type);
        if (strlen(name) == size && memcmp(name, value, size) == 0)
            question->type = type;
    }
    return question->type >= 0;
}

/* NAME=VALUE by "&". False with the failure set. */
static bool read_question(const char *query, struct question *question,
                          struct weir__failure *failure)
{
    static const struct {
        const char *name;
        bool (*read)(const char *value, size_t size, struct question *question);
        const char *needs;
    } KEYS[] = {
        {"diff=", read_diff, "diff: start, or an age such as 10m"},
        {"top=", read_top, "top: 1 to 100"},
        {"type=", read_type, "type: engine, store, instance, memory, table, handle, task ..."},
    };
    *question = (struct question){.top = WEIR_SERVER_CENSUS_TOP_DEFAULT, .type = -1};
    for (const char *at = query; *at != 0; at += strcspn(at, "&"), at += *at == '&') {
        size_t size = strcspn(at, "&"), key = 0;
        const size_t count = sizeof KEYS / sizeof KEYS[0];
        while (key < count && (size < strlen(KEYS[key].name) ||
                               memcmp(at, KEYS[key].name, strlen(KEYS[key].name)) != 0))
            key++;
        if (key == count) {
            weir__fail(failure, WEIR__REFUSAL_TARGET,
                       "a census is asked for by diff=, top= and type=");
            return false;
        }
        size_t name = strlen(KEYS[key].name);
        if (!KEYS[key].read(at + name, size - name, question)) {
            weir__fail(failure, WEIR__REFUSAL_TARGET, "%s", KEYS[key].needs);
            return false;
        }
    }
    return true;
}

/* --- values -------------------------------------------------------------------------------- */

/* Names were cut to their fields, perhaps within a character. */
static void set_text(json_t *object, const char *key, const char *text)
{
    size_t size = weir_utf8_valid_prefix((const uint8_t *)text, strlen(text));
    (void)json_object_set_new(object, key, json_stringn(text, size));
}

static uint64_t milliseconds(uint64_t ns)
{
    return ns / WEIR_MS_NS;
}

static json_t *totals_json(const struct weir_census *census)
{
    json_t *totals = json_object();
    for (int i = 0; i < WEIR_CENSUS_TYPE_COUNT; i++) {
        struct weir_census_total total;
        json_t *object = json_object();
        weir_census_total(census, (enum weir_census_type)i, &total);
        weir_json_set_number(object, "count", total.count);
        weir_json_set_number(object, "bytes", total.bytes);
        weir_json_set_number(object, "left_out", total.left_out);
        if (total.made > 0)
            weir_json_set_number(object, "made", total.made);
        (void)json_object_set_new(totals, weir_census_type_name((enum weir_census_type)i), object);
    }
    return totals;
}

/* --- groups -------------------------------------------------------------------------------- */

struct page {
    struct weir_server *server;
    struct question question;
    const struct weir_census *census;
    const struct weir_census *before; /* NULL: not asked for, or there is none */
    void *scratch;                    /* for a list that is sorted */
    json_t *object;
};

static int larger_group(const void *left, const void *right)
{
    const struct weir_census_group *a = *(const struct weir_census_group *const *)left;
    const struct weir_census_group *b = *(const struct weir_census_group *const *)right;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return (a->count < b->count) - (a->count > b->count);
}

static json_t *group_json(const struct weir_census_group *group)
{
    json_t *object = json_object();
    set_text(object, "type", weir_census_type_name(group->type));
    set_text(object, "name", group->name);
    set_text(object, "origin", group->origin);
    set_text(object, "owner", group->owner);
    weir_json_set_number(object, "count", group->count);
    weir_json_set_number(object, "bytes", group->bytes);
    weir_json_set_number(object, "ended", group->ended_count);
    weir_json_set_number(object, "oldest_ms", milliseconds(group->oldest_ns));
    return object;
}

static void add_groups(const struct page *page)
{
    const struct weir_census_group **sorted = page->scratch;
    size_t count = 0;
    for (size_t i = 0; i < weir_census_group_count(page->census); i++) {
        const struct weir_census_group *group = weir_census_group(page->census, i);
        if (page->question.type < 0 || (int)group->type == page->question.type)
            sorted[count++] = group;
    }
    qsort(sorted, count, sizeof *sorted, larger_group);
    json_t *groups = json_array(), *rest = json_object();
    uint64_t objects = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (i < page->question.top) {
            (void)json_array_append_new(groups, group_json(sorted[i]));
            continue;
        }
        objects += sorted[i]->count;
        bytes += sorted[i]->bytes;
    }
    weir_json_set_number(rest, "groups",
                         count > page->question.top ? count - page->question.top : 0);
    weir_json_set_number(rest, "count", objects);
    weir_json_set_number(rest, "bytes", bytes);
    (void)json_object_set_new(page->object, "groups", groups);
    (void)json_object_set_new(page->object, "groups_rest", rest);
}

/* --- stores -------------------------------------------------------------------------------- */

static int larger_store(const void *left, const void *right)
{
    const struct weir_census_store *a = *(const struct weir_census_store *const *)left;
    const struct weir_census_store *b = *(const struct weir_census_store *const *)right;
    if (a->used_bytes != b->used_bytes)
        return a->used_bytes < b->used_bytes ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

static json_t *store_json(const struct weir_census_store *store, const struct weir_memory_sum *sum)
{
    json_t *object = json_object();
    set_text(object, "name", store->name);
    set_text(object, "tenant", store->tenant);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"id", store->id},
        {"age_ms", milliseconds(store->age_ns)},
        {"used_bytes", store->used_bytes},
        {"linear_bytes", store->linear_bytes},
        {"calls", store->calls},
        {"resets", store->resets},
        {"thread_changes", store->thread_changes},
        {"instances", store->instances},
        {"instances_made", store->instances_made},
        {"handles", store->handles},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        weir_json_set_number(object, numbers[i].key, numbers[i].value);
    if (sum != NULL) {
        weir_json_set_number(object, "resident_bytes", sum->resident_bytes);
        weir_json_set_number(object, "private_bytes", sum->private_bytes);
    }
    (void)json_object_set_new(object, "pooled", json_boolean(store->is_pooled));
    return object;
}

static void add_stores(const struct page *page)
{
    struct weir_memory_sum sums[WEIR_SERVER_CENSUS_TOP_MAX];
    const struct weir_census_store **sorted = page->scratch;
    size_t count = weir_census_store_count(page->census);
    size_t shown = count < page->question.top ? count : page->question.top;
    struct weir_census_total total;
    weir_census_total(page->census, WEIR_CENSUS_STORE, &total);
    for (size_t i = 0; i < count; i++)
        sorted[i] = weir_census_store(page->census, i);
    qsort(sorted, count, sizeof *sorted, larger_store);
    for (size_t i = 0; i < shown; i++)
        sums[i] = (struct weir_memory_sum){.account = sorted[i]->account};
    qsort(sums, shown, sizeof sums[0], weir_memory_sum_order);
    bool has_sums =
        weir_memory_sums(page->server->reports_account, sums, shown, NULL) == WEIR_OK;
    json_t *stores = json_array(), *rest = json_object();
    for (size_t i = 0; i < shown; i++) {
        const struct weir_memory_sum key = {.account = sorted[i]->account};
        const struct weir_memory_sum *sum =
            has_sums ? bsearch(&key, sums, shown, sizeof key, weir_memory_sum_order) : NULL;
        (void)json_array_append_new(stores, store_json(sorted[i], sum));
        total.bytes -= sorted[i]->used_bytes < total.bytes ? sorted[i]->used_bytes : total.bytes;
    }
    weir_json_set_number(rest, "stores", total.count - shown);
    weir_json_set_number(rest, "used_bytes", total.bytes);
    (void)json_object_set_new(page->object, "stores", stores);
    (void)json_object_set_new(page->object, "stores_rest", rest);
}

/* --- growth, baselines --------------------------------------------------------------------- */

static json_t *growth_json(const struct weir_census_growth *growth)
{
    struct weir_census_growth_reading reading;
    json_t *object = json_object();
    weir_json_set_number(object, "rounds", growth->rounds);
    if (weir_census_growth_read(growth, &reading, NULL) != WEIR_OK) {
        set_text(object, "state", "undecided");
        return object;
    }
    set_text(object, "state", reading.is_growing ? "growing" : "not growing");
    (void)json_object_set_new(object, "bytes_per_instance",
                              json_real(reading.bytes_per_instance));
    (void)json_object_set_new(object, "low", json_real(reading.low));
    (void)json_object_set_new(object, "high", json_real(reading.high));
    return object;
}

static json_t *baselines_json(const struct weir__censuses *all, uint64_t now_ns)
{
    json_t *ages = json_array();
    for (size_t i = 0; i < all->count; i++)
        (void)json_array_append_new(
            ages, json_integer((json_int_t)milliseconds(now_ns - all->taken_ns[i])));
    return ages;
}

/* --- what has changed ---------------------------------------------------------------------- */

static json_t *change_json(const struct weir_census_change *change)
{
    const struct weir_census_group *group = change->after != NULL ? change->after : change->before;
    json_t *object = json_object();
    set_text(object, "type", weir_census_type_name(group->type));
    set_text(object, "name", group->name);
    set_text(object, "origin", group->origin);
    set_text(object, "owner", group->owner);
    (void)json_object_set_new(object, "count", json_integer(change->count));
    (void)json_object_set_new(object, "bytes", json_integer(change->bytes));
    weir_json_set_number(object, "made", change->made);
    weir_json_set_number(object, "gone", change->gone);
    return object;
}

static void add_changes(const struct page *page, json_t *diff)
{
    struct weir_census_change *changes = page->scratch;
    size_t room = weir_census_group_count(page->before) + weir_census_group_count(page->census);
    size_t count = weir_census_diff(page->before, page->census, changes, room);
    json_t *list = json_array(), *rest = json_object();
    int64_t bytes = 0, objects = 0;
    uint64_t left = 0;
    size_t shown = 0;
    for (size_t i = 0; i < count; i++) {
        const struct weir_census_group *group =
            changes[i].after != NULL ? changes[i].after : changes[i].before;
        if (page->question.type >= 0 && (int)group->type != page->question.type)
            continue;
        if (shown < page->question.top) {
            (void)json_array_append_new(list, change_json(&changes[i]));
            shown++;
            continue;
        }
        left++;
        bytes += changes[i].bytes;
        objects += changes[i].count;
    }
    weir_json_set_number(rest, "changes", left);
    (void)json_object_set_new(rest, "count", json_integer(objects));
    (void)json_object_set_new(rest, "bytes", json_integer(bytes));
    (void)json_object_set_new(diff, "changes", list);
    (void)json_object_set_new(diff, "changes_rest", rest);
}

static json_t *retention_json(const struct page *page)
{
    static const char *const STATES[] = {"absent", "present", "not observable"};
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    json_t *list = json_array();
    weir_retention_read(page->before, page->census, NULL, findings);
    for (int i = 0; i < WEIR_RETENTION_COUNT; i++) {
        const struct weir_retention_finding *finding = &findings[i];
        json_t *object = json_object();
        set_text(object, "pattern", weir_retention_name(finding->pattern));
        set_text(object, "state", STATES[finding->state]);
        set_text(object, "evidence", finding->evidence);
        if (finding->state == WEIR_RETENTION_PRESENT) {
            weir_json_set_number(object, "count", finding->count);
            weir_json_set_number(object, "bytes", finding->bytes);
            set_text(object, "advice", weir_retention_advice(finding->pattern));
        }
        (void)json_array_append_new(list, object);
    }
    return list;
}

static void add_diff(const struct page *page)
{
    uint64_t before_ns = weir_census_taken_ns(page->before);
    uint64_t now_ns = weir_census_taken_ns(page->census);
    json_t *diff = json_object();
    weir_json_set_number(diff, "since_ms", milliseconds(now_ns - before_ns));
    weir_json_set_number(diff, "completed_instances",
                         weir_census_completed(page->census) - weir_census_completed(page->before));
    (void)json_object_set_new(diff, "bytes",
                              json_integer((json_int_t)(weir_census_bytes(page->census) -
                                                        weir_census_bytes(page->before))));
    add_changes(page, diff);
    (void)json_object_set_new(diff, "retention", retention_json(page));
    (void)json_object_set_new(page->object, "diff", diff);
}

/* --- the page ------------------------------------------------------------------------------ */

static void fill(const struct page *page)
{
    const struct weir__censuses *all = &page->server->census;
    uint64_t now_ns = weir_census_taken_ns(page->census);
    weir_json_set_number(page->object, "completed_instances", weir_census_completed(page->census));
    weir_json_set_number(page->object, "bytes", weir_census_bytes(page->census));
    (void)json_object_set_new(page->object, "totals", totals_json(page->census));
    add_groups(page);
    if (page->question.type < 0 || page->question.type == WEIR_CENSUS_STORE)
        add_stores(page);
    (void)json_object_set_new(page->object, "growth", growth_json(&all->growth));
    (void)json_object_set_new(page->object, "baselines_ms", baselines_json(all, now_ns));
    if (page->before != NULL)
        add_diff(page);
    else if (page->question.has_diff)
        (void)json_object_set_new(page->object, "diff", json_null()); /* nothing is kept yet */
}

/* The largest of the lists that are sorted: changes. */
static size_t scratch_bytes(const struct page *page)
{
    size_t groups = weir_census_group_count(page->census);
    size_t pointers = (groups + weir_census_store_count(page->census)) * sizeof(void *);
    size_t changes = page->before == NULL
                         ? 0
                         : (groups + weir_census_group_count(page->before)) *
                               sizeof(struct weir_census_change);
    return (pointers > changes ? pointers : changes) + sizeof(void *);
}

static enum weir_status make(struct weir__connection *connection, struct page *page,
                             struct weir_error *error)
{
    struct weir_account *account = page->server->reports_account;
    uint64_t tree = WEIR_SERVER_CENSUS_PAGE_BYTES(page->question.top);
    size_t bytes = scratch_bytes(page);
    page->scratch = weir_account_alloc(account, WEIR_KIND_SERVER, bytes, error);
    enum weir_status status = page->scratch != NULL ? WEIR_OK : WEIR_LIMIT;
    if (status == WEIR_OK)
        status = weir_account_charge(account, WEIR_KIND_SERVER, tree, error);
    if (status == WEIR_OK) {
        page->object = json_object();
        fill(page);
        weir__report_json(connection, page->object, NULL);
        weir_account_discharge(account, WEIR_KIND_SERVER, tree);
    }
    weir_account_free(account, WEIR_KIND_SERVER, page->scratch, bytes);
    return status;
}

void weir__report_census(struct weir__connection *connection)
{
    struct page page = {.server = connection->server};
    struct weir_error error = {0};
    struct weir_census *census = NULL;
    if (!read_question(connection->target.query, &page.question, &connection->failure))
        return;
    if (page.question.has_diff)
        page.before = weir__server_census_before(page.server, page.question.age_ns);
    enum weir_status status = weir__server_census_take(page.server, page.before, &census, &error);
    page.census = census;
    if (status == WEIR_OK)
        status = make(connection, &page, &error);
    if (status != WEIR_OK)
        weir__fail(&connection->failure, WEIR__REFUSAL_MEMORY, "%s", error.message);
    weir_error_done(&error);
    weir_census_free(census);
}
