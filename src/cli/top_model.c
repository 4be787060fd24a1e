/* What a host answered becomes a sample. The answers are another program's: whatever is missing, of
 * another type, or out of range counts as nothing. */
#include "cli/top_internal.h"

#include "base/bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- values --------------------------------------------------------------------------------- */

/* Printable ASCII; each other character becomes "?". */
static void clean(char *to, size_t size, const char *text)
{
    size_t used = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c != 0 && used + 1 < size; c++) {
        if ((*c & 0xc0) == 0x80)
            continue; /* of a character that was begun */
        to[used++] = *c < 0x20 || *c >= 0x7f ? '?' : (char)*c;
    }
    to[used] = 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static double real_of(const json_t *object, const char *key)
{
    double value = json_number_value(json_object_get(object, key));
    return isfinite(value) ? value : 0;
}

static void add_to(struct weir__top_row *row, enum weir__top_column column, uint64_t value)
{
    row->values[column] = weir_add_sat(row->values[column], value);
}

/* --- rows ----------------------------------------------------------------------------------- */

/* A new, empty row; NULL when there are enough, or no memory. */
static struct weir__top_row *add_row(struct weir__top_sample *sample, const char *name,
                                     const char *detail)
{
    if (sample->row_count == sample->row_capacity) {
        size_t capacity = sample->row_capacity == 0 ? 64 : 2 * sample->row_capacity;
        struct weir__top_row *rows =
            sample->row_capacity == WEIR_TOP_ROWS_MAX
                ? NULL
                : realloc(sample->rows, capacity * sizeof *sample->rows);
        if (rows == NULL) {
            sample->rows_beyond++;
            return NULL;
        }
        sample->rows = rows;
        sample->row_capacity = capacity;
    }
    struct weir__top_row *row = &sample->rows[sample->row_count++];
    memset(row, 0, sizeof *row);
    clean(row->name, sizeof row->name, name);
    clean(row->detail, sizeof row->detail, detail);
    return row;
}

void weir__top_sample_done(struct weir__top_sample *sample)
{
    free(sample->rows);
    memset(sample, 0, sizeof *sample);
}

/* --- accounts: routes and kinds -------------------------------------------------------------- */

/* Mappings and descriptors are counted. */
static bool is_counted(const char *kind)
{
    static const struct {
        const char *name;
        char unit;
    } KINDS[] = {
#define WEIR_KIND_B 'B'
#define WEIR_KIND_N 'N'
#define WEIR_KIND(id, name, unit, covers) {name, WEIR_KIND_##unit},
#include <weir/account_kinds.def>
#undef WEIR_KIND
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (strcmp(KINDS[i].name, kind) == 0)
            return KINDS[i].unit == WEIR_KIND_N;
    return false;
}

static void add_kinds(struct weir__top_sample *sample, const char *name, const json_t *account)
{
    const char *kind;
    json_t *value;
    json_object_foreach(json_object_get(account, "kinds"), kind, value)
    {
        struct weir__top_row *row = add_row(sample, name, kind);
        if (row != NULL && json_integer_value(value) > 0)
            row->values[is_counted(kind) ? WEIR__TOP_COUNT : WEIR__TOP_USED] =
                (uint64_t)json_integer_value(value);
    }
}

static void add_account(struct weir__top_sample *sample, const json_t *account, bool is_tenant)
{
    char name[WEIR_TOP_NAME_SIZE];
    clean(name, sizeof name, text_of(account, "name"));
    if (!is_tenant) { /* a service of Weir's own */
        char own[sizeof name];
        memcpy(own, name, sizeof own);
        (void)snprintf(name, sizeof name, "(%.*s)", (int)(sizeof name - 3), own);
    }
    if (sample->view == WEIR__TOP_KINDS) {
        add_kinds(sample, name, account);
        return;
    }
    struct weir__top_row *row = add_row(sample, name, "");
    if (row == NULL)
        return;
    row->values[WEIR__TOP_USED] = number_of(account, "used_bytes");
    row->values[WEIR__TOP_LINEAR] =
        number_of(json_object_get(account, "kinds"), "linear_memory");
    row->has_stores = is_tenant;
}

static void walk_accounts(struct weir__top_sample *sample, const json_t *account, unsigned depth)
{
    size_t index;
    json_t *child;
    json_array_foreach(json_object_get(account, "children"), index, child)
    {
        bool is_tenant = strcmp(text_of(child, "role"), "tenant") == 0;
        if (!is_tenant && strcmp(text_of(child, "role"), "service") != 0)
            continue;
        add_account(sample, child, is_tenant);
        if (depth < WEIR_TOP_DEPTH_MAX)
            walk_accounts(sample, child, depth + 1);
    }
}

/* --- stores --------------------------------------------------------------------------------- */

/* Of a route `linear_bytes` are known from its account, and more memories are listed than stores:
 * what the latter tell of the same must not count twice. */
static void add_store(struct weir__top_row *row, const json_t *store, bool is_route)
{
    static const struct {
        const char *key;
        enum weir__top_column column;
    } SUMS[] = {
        {"linear_bytes", WEIR__TOP_LINEAR},     {"resident_bytes", WEIR__TOP_RESIDENT},
        {"private_bytes", WEIR__TOP_PRIVATE},   {"calls", WEIR__TOP_CALLS},
        {"instances", WEIR__TOP_LIVE},          {"handles", WEIR__TOP_LIVE},
    };
    for (size_t i = is_route ? 3 : 0; i < sizeof SUMS / sizeof SUMS[0]; i++)
        add_to(row, SUMS[i].column, number_of(store, SUMS[i].key));
    add_to(row, WEIR__TOP_LIVE, 1);
    row->has_stores = true;
    uint64_t age = number_of(store, "age_ms");
    if (age > row->values[WEIR__TOP_AGE])
        row->values[WEIR__TOP_AGE] = age;
}

static struct weir__top_row *find_row(const struct weir__top_sample *sample, const char *text)
{
    char name[WEIR_TOP_NAME_SIZE];
    clean(name, sizeof name, text);
    for (size_t i = 0; i < sample->row_count; i++)
        if (strcmp(sample->rows[i].name, name) == 0)
            return &sample->rows[i];
    return NULL;
}

static void read_stores(struct weir__top_sample *sample, const json_t *census)
{
    size_t index;
    json_t *store;
    json_array_foreach(json_object_get(census, "stores"), index, store)
    {
        struct weir__top_row *row = NULL;
        if (sample->view == WEIR__TOP_ROUTES) {
            row = find_row(sample, text_of(store, "tenant"));
        } else {
            char name[WEIR_TOP_NAME_SIZE + 24];
            (void)snprintf(name, sizeof name, "%.*s #%llu", (int)WEIR_TOP_NAME_SIZE - 24,
                           text_of(store, "name"), (unsigned long long)number_of(store, "id"));
            row = add_row(sample, name, "");
            if (row != NULL)
                row->values[WEIR__TOP_USED] = number_of(store, "used_bytes");
        }
        if (row != NULL)
            add_store(row, store, sample->view == WEIR__TOP_ROUTES);
    }
    sample->left_out = number_of(json_object_get(census, "stores_rest"), "stores");
    for (size_t i = 0; i < sample->row_count && sample->view == WEIR__TOP_ROUTES; i++)
        sample->rows[i].is_partial = sample->left_out > 0;
}

/* "NAME at 0x...": the host names memories by their store, and stores by their route. */
static void read_memories(struct weir__top_sample *sample, const json_t *memory)
{
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(memory, "memories"), index, entry)
    {
        char name[WEIR_TOP_NAME_SIZE];
        const char *text = text_of(entry, "name"), *end = strstr(text, " at 0x");
        size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
        (void)snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : sizeof name),
                       text);
        struct weir__top_row *row = find_row(sample, name);
        if (row == NULL)
            continue;
        add_to(row, WEIR__TOP_RESIDENT, number_of(entry, "resident_bytes"));
        add_to(row, WEIR__TOP_PRIVATE, number_of(entry, "private_bytes"));
    }
}

static void read_objects(struct weir__top_sample *sample, const json_t *census)
{
    size_t index;
    json_t *group;
    json_array_foreach(json_object_get(census, "groups"), index, group)
    {
        char name[2 * WEIR_TOP_NAME_SIZE];
        const char *origin = text_of(group, "origin");
        (void)snprintf(name, sizeof name, "%.100s%s%.150s", text_of(group, "name"),
                       origin[0] != 0 ? ": " : "", origin);
        struct weir__top_row *row = add_row(sample, name, text_of(group, "type"));
        if (row == NULL)
            continue;
        row->values[WEIR__TOP_COUNT] = number_of(group, "count");
        row->values[WEIR__TOP_USED] = number_of(group, "bytes");
        row->values[WEIR__TOP_AGE] = number_of(group, "oldest_ms");
    }
    sample->left_out = number_of(json_object_get(census, "groups_rest"), "groups");
}

/* --- the process ----------------------------------------------------------------------------- */

static int larger_part(const void *left, const void *right)
{
    uint64_t a = ((const struct weir__top_part *)left)->bytes;
    uint64_t b = ((const struct weir__top_part *)right)->bytes;
    return (a < b) - (a > b);
}

static void add_part(struct weir__top_part *parts, size_t *count, const char *name, uint64_t bytes)
{
    if (*count == WEIR__TOP_PARTS_MAX || bytes == 0)
        return;
    clean(parts[*count].name, sizeof parts[*count].name, name);
    parts[(*count)++].bytes = bytes;
}

static void read_process(struct weir__top_sample *sample, const json_t *memory)
{
    const char *name;
    json_t *value;
    const json_t *host = json_object_get(memory, "accounts");
    sample->rss_bytes = number_of(memory, "rss_bytes");
    sample->unclassified_bytes = number_of(memory, "unclassified_bytes");
    sample->holds = json_is_true(json_object_get(memory, "holds"));
    sample->free_bytes = number_of(json_object_get(memory, "heap"), "free_resident_bytes");
    sample->charged_bytes = number_of(host, "used_bytes");
    sample->peak_bytes = number_of(host, "peak_bytes");
    sample->has_limit = json_is_integer(json_object_get(host, "limit_bytes"));
    sample->limit_bytes = number_of(host, "limit_bytes");
    json_object_foreach(json_object_get(memory, "classes"), name, value)
        add_part(sample->parts, &sample->part_count, name,
                 json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0);
    qsort(sample->parts, sample->part_count, sizeof sample->parts[0], larger_part);
}

static void read_census(struct weir__top_sample *sample, const json_t *census)
{
    const char *name;
    json_t *value;
    const json_t *growth = json_object_get(census, "growth");
    sample->completed = number_of(census, "completed_instances");
    clean(sample->growth, sizeof sample->growth, text_of(growth, "state"));
    sample->per_instance = real_of(growth, "bytes_per_instance");
    sample->per_instance_low = real_of(growth, "low");
    sample->per_instance_high = real_of(growth, "high");
    json_object_foreach(json_object_get(census, "totals"), name, value)
        add_part(sample->counts, &sample->count_count, name, number_of(value, "count"));
}

/* --- the whole ------------------------------------------------------------------------------- */

static json_t *parse(const char *what, const char *bytes, size_t size, const char *key,
                     struct weir_error *error)
{
    json_error_t reason;
    json_t *object = json_loadb(bytes, size, 0, &reason);
    if (json_is_object(object) && json_is_object(json_object_get(object, key)))
        return object;
    if (object == NULL)
        (void)weir_error_set(error, WEIR_MALFORMED,
                             reason.position >= 0 ? (uint64_t)reason.position : WEIR_NO_OFFSET,
                             "%s is no JSON at byte %d", what, reason.position);
    else
        (void)weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                             "%s has no object \"%s\": is this a `weir serve`?", what, key);
    json_decref(object);
    return NULL;
}

enum weir_status weir__top_read(const struct weir__top_answer *answer, enum weir__top_view_id view,
                                struct weir__top_sample *ret_sample, struct weir_error *error)
{
    struct weir__top_sample sample = {.view = view};
    json_t *memory =
        parse("/v1/memory", answer->memory, answer->memory_size, "accounts", error);
    if (memory == NULL)
        return WEIR_MALFORMED;
    json_t *census = parse("/v1/census", answer->census, answer->census_size, "totals", error);
    if (census == NULL) {
        json_decref(memory);
        return WEIR_MALFORMED;
    }
    read_process(&sample, memory);
    read_census(&sample, census);
    if (view == WEIR__TOP_ROUTES || view == WEIR__TOP_KINDS)
        walk_accounts(&sample, json_object_get(memory, "accounts"), 0);
    if (view == WEIR__TOP_ROUTES || view == WEIR__TOP_STORES)
        read_stores(&sample, census);
    if (view == WEIR__TOP_ROUTES)
        read_memories(&sample, memory);
    if (view == WEIR__TOP_OBJECTS)
        read_objects(&sample, census);
    json_decref(memory);
    json_decref(census);
    *ret_sample = sample;
    return WEIR_OK;
}

/* --- rates ----------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
    const struct weir__top_row *a = left, *b = right;
    int names = strcmp(a->name, b->name);
    return names != 0 ? names : strcmp(a->detail, b->detail);
}

void weir__top_rates(const struct weir__top_sample *before, struct weir__top_sample *now)
{
    double seconds = now->seconds - before->seconds;
    if (before->view != now->view || before->row_count == 0 || seconds <= 0)
        return;
    double weight = 1 - exp(-seconds / WEIR_TOP_GROWTH_SECONDS);
    qsort(before->rows, before->row_count, sizeof before->rows[0], by_name);
    for (size_t i = 0; i < now->row_count; i++) {
        struct weir__top_row *row = &now->rows[i];
        const struct weir__top_row *old =
            bsearch(row, before->rows, before->row_count, sizeof *row, by_name);
        if (old == NULL)
            continue;
        double rate = ((double)row->values[WEIR__TOP_USED] -
                       (double)old->values[WEIR__TOP_USED]) / seconds;
        row->growth = old->has_growth ? old->growth + weight * (rate - old->growth) : rate;
        row->has_growth = true;
    }
}
