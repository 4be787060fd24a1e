/* Measured beside bound: which classes of the doctor belong to which lines of a plan. What the
 * doctor cannot tell apart (two caches that both call calloc) is one row with the sum of both
 * bounds; what no line bounds is a row without a bound. */
#include "cli/doctor_view.h"

#include "base/cleanup.h"
#include "base/sizes.h"
#include "govern/nitro_plan.h"
#include "govern/wasmd_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 12
#define CLASSES_MAX 8
#define PREFIXES_MAX 9
#define END WEIR_DOCTOR_CLASS_COUNT

/* Classes and lines that are laid beside each other. */
struct pairing {
    const char *what;
    enum weir_doctor_class classes[CLASSES_MAX]; /* up to END */
    const char *prefixes[PREFIXES_MAX];          /* of names of lines, up to NULL */
};

/* Pebble's blocks are small: malloc serves them from the same heaps as everything else. */
static const struct pairing NITRO_MALLOC = {"malloc: Pebble, Stylus, arenas",
                                            {WEIR_DOCTOR_MALLOC_MAPPED, WEIR_DOCTOR_MALLOC_MAIN,
                                             WEIR_DOCTOR_MALLOC_ARENA, WEIR_DOCTOR_CODE_JIT, END},
                                            {"pebble_", "wasm_block_cache", "wasm_memtables",
                                             "arbitrumdata", "classic_msg", "stylus_cache",
                                             "malloc_arenas", NULL}};
static const char *const NITRO_ARENAS[] = {"malloc_arenas", NULL};

static const struct pairing NITRO[] = {
    {"fastcache: trie-clean, snapshot",
     {WEIR_DOCTOR_MMAP_64M, END},
     {"trie_clean_cache", "snapshot_cache", "fastcache_rounding", NULL}},
    {"thread stacks",
     {WEIR_DOCTOR_STACK_THREAD, WEIR_DOCTOR_STACK_MAIN, END},
     {"thread_stacks", NULL}},
    {"Wasm memories", {WEIR_DOCTOR_WASM_MEMORY, WEIR_DOCTOR_WASM_POOL, END}, {NULL}},
};

static const struct pairing WEIR[] = {
    {"guests: memories",
     {WEIR_DOCTOR_WASM_MEMORY, WEIR_DOCTOR_WASM_POOL, END},
     {"running_guests", "idle_guests", NULL}},
    {"module code", {WEIR_DOCTOR_FILE, WEIR_DOCTOR_CODE_JIT, END}, {"module_code", NULL}},
    {"thread stacks",
     {WEIR_DOCTOR_STACK_THREAD, WEIR_DOCTOR_STACK_MAIN, END},
     {"thread_stacks", "signal_stacks", NULL}},
    {"malloc, host's records",
     {WEIR_DOCTOR_MALLOC_MAIN, WEIR_DOCTOR_MALLOC_ARENA, WEIR_DOCTOR_MALLOC_MAPPED,
      WEIR_DOCTOR_ANONYMOUS, END},
     {"requests", "connections", "records", "libraries", "reports", "kept_free", "guest_stacks",
      NULL}},
};

struct row {
    const char *what;
    uint64_t measured;
    uint64_t bound, bound_code;
    bool has_bound, has_code; /* the second bound is Nitro's only */
    const char *why;          /* of a row without a bound */
};

struct rows {
    struct row list[ROWS_MAX];
    size_t count;
    bool is_used[WEIR_DOCTOR_CLASS_COUNT];
};

static struct row *add_row(struct rows *rows, const char *what)
{
    struct row *row = &rows->list[rows->count < ROWS_MAX ? rows->count++ : ROWS_MAX - 1];
    *row = (struct row){.what = what};
    return row;
}

static uint64_t take(struct rows *rows, const struct weir_doctor_snapshot *s,
                     const enum weir_doctor_class *classes)
{
    uint64_t bytes = 0;
    for (; *classes != END; classes++)
        if (!rows->is_used[*classes]) {
            rows->is_used[*classes] = true;
            bytes += s->sums[*classes].rss_bytes;
        }
    return bytes;
}

static bool is_named(const char *name, const char *const *prefixes)
{
    for (; *prefixes != NULL; prefixes++)
        if (strncmp(name, *prefixes, strlen(*prefixes)) == 0)
            return true;
    return false;
}

static uint64_t bound_of(const struct weir_plan *plan, const char *const *prefixes, bool *ret_is)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < weir_plan_line_count(plan); i++) {
        const struct weir_plan_line *line = weir_plan_line_at(plan, i);
        if (line->is_unbounded || !is_named(line->name, prefixes))
            continue;
        bytes += line->bytes;
        *ret_is = true;
    }
    return bytes;
}

/* Whatever is left: binary, files, what is unknown. */
static void add_rest(struct rows *rows, const struct weir_doctor_snapshot *s, uint64_t bound,
                     bool has_bound)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++)
        if (!rows->is_used[i])
            bytes += s->sums[i].rss_bytes;
    struct row *row = add_row(rows, has_bound ? "all else, in the margin" : "all else");
    row->measured = bytes;
    row->bound = row->bound_code = bound;
    row->has_bound = row->has_code = has_bound;
}

/* --- Nitro --------------------------------------------------------------------------------- */

static enum weir_status read_nitro(const struct doctor_options *options, char **ret_bytes,
                                   struct weir_nitro_config *ret_config, struct weir_error *error)
{
    *ret_config = weir_nitro_config_default();
    if (options->plan_file == NULL)
        return WEIR_OK;
    size_t size = 0;
    enum weir_status status = weir_cli_read_file(options->plan_file, WEIR_FOREIGN_CONFIG_BYTES_MAX,
                                                 ret_bytes, &size, error);
    if (status == WEIR_OK)
        status = weir_nitro_config_parse(options->plan_file, *ret_bytes, size, ret_config, error);
    return status;
}

static void add_go(struct rows *rows, const struct weir_doctor_snapshot *s,
                   const struct weir_nitro_plan *plan)
{
    static const enum weir_doctor_class GO[] = {WEIR_DOCTOR_GO_HEAP, WEIR_DOCTOR_GO_METADATA, END};
    struct row *row = add_row(rows, "Go, by GOMEMLIMIT");
    uint64_t limit = 0;
    row->measured = take(rows, s, GO);
    bool is_set = s->has_gomemlimit &&
                  weir_gomemlimit_parse(s->gomemlimit, &limit, NULL) == WEIR_OK &&
                  limit != UINT64_MAX;
    row->has_bound = row->has_code = is_set || weir_plan_has_limit(plan->documented);
    row->bound = is_set ? limit : weir_nitro_gomemlimit_mb(plan->documented) * WEIR_MIB;
    row->bound_code = is_set ? limit : weir_nitro_gomemlimit_mb(plan->code) * WEIR_MIB;
    if (!row->has_bound)
        row->why = "GOMEMLIMIT is not set; say --memory";
}

static struct row *add_pairing(struct rows *rows, const struct weir_doctor_snapshot *s,
                               const struct weir_nitro_plan *plan, const struct pairing *pairing)
{
    struct row *row = add_row(rows, pairing->what);
    row->measured = take(rows, s, pairing->classes);
    row->bound = bound_of(plan->documented, pairing->prefixes, &row->has_bound);
    row->bound_code = bound_of(plan->code, pairing->prefixes, &row->has_code);
    if (!row->has_bound)
        row->why = "no line bounds them";
    return row;
}

static bool is_walked(const struct weir_doctor_malloc *heap)
{
    return heap->state == WEIR_DOCTOR_WALK_WHOLE || heap->state == WEIR_DOCTOR_WALK_NONE;
}

/* What malloc serves to the caches, and, where its heaps could be walked, what it keeps free in
 * them: that is what the plan's line of arenas stands for. */
static void add_nitro_malloc(struct rows *rows, const struct weir_doctor_snapshot *s,
                             const struct weir_nitro_plan *plan)
{
    struct row *used = add_pairing(rows, s, plan, &NITRO_MALLOC);
    if (!is_walked(&s->main_heap) || !is_walked(&s->arenas))
        return;
    uint64_t free_bytes = s->main_heap.free_resident_bytes + s->arenas.free_resident_bytes;
    struct row *arenas = add_row(rows, "malloc, free: arenas");
    arenas->measured = free_bytes < used->measured ? free_bytes : used->measured;
    arenas->bound = bound_of(plan->documented, NITRO_ARENAS, &arenas->has_bound);
    arenas->bound_code = bound_of(plan->code, NITRO_ARENAS, &arenas->has_code);
    used->what = "malloc, in use: Pebble, Stylus";
    used->measured -= arenas->measured;
    used->bound -= arenas->bound;
    used->bound_code -= arenas->bound_code;
}

static enum weir_status fill_nitro(const struct doctor_options *options,
                                   const struct weir_doctor_snapshot *s, struct rows *rows,
                                   struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    struct weir_nitro_config config;
    enum weir_status status = read_nitro(options, &bytes, &config, error);
    if (status != WEIR_OK)
        return status;
    uint64_t memory = options->memory_bytes != 0 ? options->memory_bytes
                      : s->has_cgroup            ? s->cgroup.limit_bytes
                                                 : 0;
    uint64_t arenas = s->has_arena_max ? strtoull(s->arena_max, NULL, 10) : 0;
    bool can_tell = s->can_read_environment && arenas <= UINT64_C(8) * WEIR_NITRO_CPUS_MAX;
    struct weir_nitro_run run = {.memory_bytes = memory != 0 ? memory : UINT64_C(1) << 50,
                                 .memory_source =
                                     options->memory_bytes != 0 ? "--memory" : s->cgroup_folder,
                                 .margin_bytes = WEIR_NITRO_MARGIN_DEFAULT,
                                 .arena_count = can_tell ? arenas : WEIR_NITRO_ARENAS_DEFAULT,
                                 .cpus = s->cpu_count,
                                 .threads = WEIR_NITRO_THREADS_DEFAULT,
                                 .gogc = 100};
    struct weir_nitro_plan plan = {0};
    status = weir_nitro_plan_make(&config, &run, &plan, error);
    if (status != WEIR_OK)
        return status;
    add_nitro_malloc(rows, s, &plan);
    for (size_t i = 0; i < sizeof NITRO / sizeof NITRO[0]; i++)
        (void)add_pairing(rows, s, &plan, &NITRO[i]);
    add_go(rows, s, &plan);
    if (memory == 0 && !s->has_gomemlimit) {
        rows->list[rows->count - 1].has_bound = rows->list[rows->count - 1].has_code = false;
        rows->list[rows->count - 1].why = "GOMEMLIMIT is not set; say --memory";
    }
    add_rest(rows, s, run.margin_bytes, true);
    weir_nitro_plan_done(&plan);
    return WEIR_OK;
}

/* --- wasmd --------------------------------------------------------------------------------- */

static enum weir_status fill_wasmd(const struct doctor_options *options,
                                   const struct weir_doctor_snapshot *s, struct rows *rows,
                                   struct weir_error *error)
{
    static const enum weir_doctor_class CODE[] = {WEIR_DOCTOR_CODE_JIT, END};
    static const enum weir_doctor_class HEAPS[] = {
        WEIR_DOCTOR_MALLOC_MAIN, WEIR_DOCTOR_MALLOC_ARENA, WEIR_DOCTOR_MALLOC_MAPPED, END};
    static const enum weir_doctor_class MEMORIES[] = {WEIR_DOCTOR_WASM_MEMORY,
                                                      WEIR_DOCTOR_WASM_POOL, END};
    static const enum weir_doctor_class GO[] = {WEIR_DOCTOR_GO_HEAP, WEIR_DOCTOR_GO_METADATA, END};
    struct weir_wasmd_config config = {.cache_mib = WEIR_WASMD_CACHE_DEFAULT_MIB};
    if (options->plan_file != NULL) {
        AUTO_FREE char *bytes = NULL;
        size_t size = 0;
        enum weir_status status = weir_cli_read_file(
            options->plan_file, WEIR_FOREIGN_CONFIG_BYTES_MAX, &bytes, &size, error);
        if (status == WEIR_OK)
            status = weir_wasmd_config_parse(options->plan_file, bytes, size, &config, error);
        if (status != WEIR_OK)
            return status;
    }
    struct row *row = add_row(rows, "compiled contracts in memory");
    row->measured = take(rows, s, CODE);
    const struct weir_wasmd_release release = weir_wasmd_release_unknown();
    row->bound = weir_wasmd_cache_bytes(&release, config.cache_mib);
    row->has_bound = true;
    row = add_row(rows, "malloc: their data, databases");
    row->measured = take(rows, s, HEAPS);
    row->why = "no key; pinned contracts too";
    row = add_row(rows, "Wasm memories");
    row->measured = take(rows, s, MEMORIES);
    row->why = "calls in flight x contract's limit";
    row = add_row(rows, "Go, by GOMEMLIMIT");
    row->measured = take(rows, s, GO);
    row->has_bound = s->has_gomemlimit &&
                     weir_gomemlimit_parse(s->gomemlimit, &row->bound, NULL) == WEIR_OK &&
                     row->bound != UINT64_MAX;
    row->why = "GOMEMLIMIT is not set";
    add_rest(rows, s, 0, false);
    return WEIR_OK;
}

/* --- Weir ---------------------------------------------------------------------------------- */

static enum weir_status fill_weir(const struct doctor_options *options,
                                  const struct weir_doctor_snapshot *s, struct rows *rows,
                                  struct weir_error *error)
{
    json_t *plan = NULL;
    enum weir_status status = weir__doctor_weir_plan(options, &plan, error);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < sizeof WEIR / sizeof WEIR[0]; i++) {
        struct row *row = add_row(rows, WEIR[i].what);
        row->measured = take(rows, s, WEIR[i].classes);
        size_t at;
        json_t *line;
        json_array_foreach(json_object_get(plan, "lines"), at, line)
        {
            const char *name = json_string_value(json_object_get(line, "name"));
            json_int_t bytes = json_integer_value(json_object_get(line, "bytes"));
            if (name == NULL || bytes < 0 || !is_named(name, WEIR[i].prefixes))
                continue;
            row->bound += (uint64_t)bytes;
            row->has_bound = true;
        }
        row->why = "no line of the plan";
    }
    add_rest(rows, s, 0, false);
    json_decref(plan);
    return WEIR_OK;
}

/* --- all ----------------------------------------------------------------------------------- */

static bool is_over(const struct row *row)
{
    uint64_t bound = row->has_code ? row->bound_code : row->bound;
    return row->has_bound && row->measured > bound && row->measured > row->bound;
}

static void print_bound(struct weir_cli_table *table, bool is_there, uint64_t bytes)
{
    if (is_there)
        weir_cli_table_cell(table, "%s", weir_size_format(bytes).text);
    else
        weir_cli_table_cell(table, "-");
}

static void print_rows(const struct rows *rows, enum doctor_target target)
{
    bool is_nitro = target == DOCTOR_NITRO;
    struct weir_cli_table table;
    weir_cli_table_init(&table, is_nitro ? 5 : 4, is_nitro ? 2 | 4 | 8 : 2 | 4);
    printf("\nMeasured beside the plan\n");
    weir_cli_table_cell(&table, "what");
    weir_cli_table_cell(&table, "measured");
    weir_cli_table_cell(&table, is_nitro ? "document" : "at most");
    if (is_nitro)
        weir_cli_table_cell(&table, "code");
    weir_cli_table_cell(&table, "%s", "");
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->list[i];
        weir_cli_table_cell(&table, "%s", row->what);
        weir_cli_table_cell(&table, "%s", weir_size_format(row->measured).text);
        print_bound(&table, row->has_bound, row->bound);
        if (is_nitro)
            print_bound(&table, row->has_code, row->bound_code);
        if (is_over(row))
            weir_cli_table_cell(&table, "OVER by %s",
                                weir_size_format(row->measured - row->bound).text);
        else if (row->has_bound && row->measured > row->bound)
            weir_cli_table_cell(&table, "over the document");
        else
            weir_cli_table_cell(&table, "%s", "");
    }
    weir_cli_table_print(&table, stdout);
    for (size_t i = 0; i < rows->count; i++)
        if (!rows->list[i].has_bound && rows->list[i].why != NULL)
            printf("  - %s: %s\n", rows->list[i].what, rows->list[i].why);
}

static json_t *rows_json(const struct rows *rows)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->list[i];
        json_t *bound = row->has_bound ? json_integer((json_int_t)row->bound) : json_null();
        json_t *code = row->has_code ? json_integer((json_int_t)row->bound_code) : json_null();
        (void)json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:o, s:b}", "what", row->what,
                                                    "measured_bytes", (json_int_t)row->measured,
                                                    "bound_bytes", bound, "code_bound_bytes", code,
                                                    "over", is_over(row)));
    }
    return list;
}

enum weir_status weir__doctor_plan(const struct doctor_options *options,
                                   const struct doctor_view *view, json_t *json, bool *ret_is_over,
                                   struct weir_error *error)
{
    struct rows rows = {.count = 0};
    const struct weir_doctor_snapshot *s = &view->snapshot;
    enum weir_status status = options->target == DOCTOR_NITRO ? fill_nitro(options, s, &rows, error)
                              : options->target == DOCTOR_WASMD
                                  ? fill_wasmd(options, s, &rows, error)
                                  : fill_weir(options, s, &rows, error);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < rows.count; i++)
        *ret_is_over |= is_over(&rows.list[i]);
    if (json != NULL)
        (void)json_object_set_new(json, "plan", rows_json(&rows));
    else
        print_rows(&rows, options->target);
    return WEIR_OK;
}
