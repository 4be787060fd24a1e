/* `weir plan --for nitro`: the budget of an Arbitrum Nitro node. */
#include "cli/plan_internal.h"

#include "base/cleanup.h"
#include "base/sizes.h"

#include <stdio.h>
#include <string.h>

/* --- warnings ------------------------------------------------------------------------------ */

static void judge_gomemlimit(const struct plan_options *options, const struct weir_nitro_plan *plan,
                             struct plan_notes *notes)
{
    const struct weir_nitro_run *run = &options->run;
    struct plan_number now = weir__plan_number(run->gomemlimit_bytes / WEIR_MIB);
    struct plan_number floor = weir__plan_number(weir_nitro_floor_mb(plan->documented));
    switch (weir_nitro_judge(plan->documented, run)) {
    case WEIR_NITRO_GOMEMLIMIT_UNSET:
        weir__plan_note(notes,
                        "GOMEMLIMIT is %s: the collector knows no ceiling, and the kernel is the "
                        "first to act. Set it (say what the node has with --gomemlimit).",
                        run->has_gomemlimit ? "off" : "unset");
        return;
    case WEIR_NITRO_GOMEMLIMIT_HIGH:
        weir__plan_note(notes,
                        "GOMEMLIMIT is %s MB, above the bound of %s MB: the collector waits for "
                        "room that does not exist, and the kernel kills first. Lower it.",
                        now.text,
                        weir__plan_number(weir_nitro_gomemlimit_mb(plan->documented)).text);
        return;
    case WEIR_NITRO_GOMEMLIMIT_LOW:
        weir__plan_note(notes,
                        "GOMEMLIMIT is %s MB, below the floor of %s MB: the collector would never "
                        "rest. Raise it, or lower trie-dirty-cache.",
                        now.text, floor.text);
        return;
    case WEIR_NITRO_GOMEMLIMIT_GOOD:
        if (weir_nitro_judge(plan->code, run) == WEIR_NITRO_GOMEMLIMIT_HIGH)
            weir__plan_note(notes,
                            "GOMEMLIMIT is %s MB: inside the documented budget, above the %s MB "
                            "that the code leaves when both databases fill their caches.",
                            now.text, weir__plan_number(weir_nitro_gomemlimit_mb(plan->code)).text);
        return;
    }
}

static void judge_rest(const struct plan_options *options, const struct weir_nitro_config *config,
                       const struct weir_nitro_plan *plan, struct plan_notes *notes)
{
    const struct weir_nitro_run *run = &options->run;
    if (!weir_plan_fits(plan->code) && weir_plan_fits(plan->documented))
        weir__plan_note(notes,
                        "By the document it fits; by what the code allows %s MB are missing. The "
                        "second database rarely fills its cache, but nothing stops it.",
                        weir__plan_number(weir_size_mib(weir_plan_missing(plan->code))).text);
    if (run->arena_count == 0)
        weir__plan_note(notes,
                        "MALLOC_ARENA_MAX is unset: glibc makes up to 8 arenas per CPU of the host "
                        "(not of the container) and keeps what they grew to. Set "
                        "MALLOC_ARENA_MAX=2.");
    if (run->margin_bytes < WEIR_NITRO_MARGIN_LOW || run->margin_bytes > WEIR_NITRO_MARGIN_HIGH)
        weir__plan_note(notes,
                        "A margin of %s MB is outside the documented 300 to 500 MB, which stand "
                        "for allocator overhead, passing allocations and page cache.",
                        weir__plan_number(weir_size_mib(run->margin_bytes)).text);
    if (config->rpc_free_limit == 0)
        weir__plan_note(notes, "RPC throttling is off (node.resource-mgmt.mem-free-limit, off by "
                               "default): nothing refuses requests when memory runs short.");
    if (config->rpc_free_limit >= run->memory_bytes ||
        config->validator_free_limit >= run->memory_bytes)
        weir__plan_note(notes, "A free-memory limit is not below the memory of the container: the "
                               "node would refuse or pause for ever. Lower it.");
}

/* --- table --------------------------------------------------------------------------------- */

static const char *source_text(const struct weir_plan_line *line)
{
    if (line->origin == WEIR_PLAN_DOCUMENT)
        return "doc";
    if (line->origin == WEIR_PLAN_ESTIMATE)
        return "estimate";
    if (line->where == NULL)
        return "code";
    const char *slash = strrchr(line->where, '/');
    return slash != NULL ? slash + 1 : line->where;
}

static void begin_table(struct weir_cli_table *table)
{
    weir_cli_table_init(table, 5, 1u << 1);
    static const char *const HEAD[] = {"what", "MB", "by", "source", "why"};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(table, "%s", HEAD[i]);
}

static void add_row(struct weir_cli_table *table, const struct weir_plan_line *line)
{
    weir_cli_table_cell(table, "%s", line->what);
    if (line->is_unbounded)
        weir_cli_table_cell(table, "open");
    else
        weir_cli_table_cell(table, "%s", weir__plan_number(weir_size_mib(line->bytes)).text);
    weir_cli_table_cell(table, "%s", line->allocator != NULL ? line->allocator : "");
    weir_cli_table_cell(table, "%s", source_text(line));
    weir_cli_table_cell(table, "%s", line->why);
}

static void add_sum(struct weir_cli_table *table, const char *what, uint64_t mb, const char *why)
{
    weir_cli_table_cell(table, "%s", what);
    weir_cli_table_cell(table, "%s", weir__plan_number(mb).text);
    weir_cli_table_cell(table, "%s", "");
    weir_cli_table_cell(table, "%s", "");
    weir_cli_table_cell(table, "%s", why);
}

static void add_section(struct weir_cli_table *table, const struct weir_plan *plan,
                        unsigned section)
{
    for (size_t i = 0; i < weir_plan_line_count(plan); i++)
        if (weir_plan_line_at(plan, i)->section == section)
            add_row(table, weir_plan_line_at(plan, i));
}

/* A line of the margin; 0 when the budget has none of that name. */
static uint64_t margin_line_mb(const struct weir_plan *budget, const char *name)
{
    for (size_t i = 0; i < weir_plan_line_count(budget); i++)
        if (strcmp(weir_plan_line_at(budget, i)->name, name) == 0)
            return weir_size_mib(weir_plan_line_at(budget, i)->bytes);
    return 0;
}

/* `sum_why`: what the sum is of. */
static void add_budget_end(struct weir_cli_table *table, const struct weir_plan *budget,
                           const char *sum_why)
{
    uint64_t margin = weir_size_mib(weir_plan_section_total(budget, WEIR_NITRO_MARGIN));
    uint64_t outside = weir_nitro_outside_mb(budget);
    char why[128];
    add_sum(table, "outside Go", outside, sum_why);
    uint64_t rounding = margin_line_mb(budget, "fastcache_rounding");
    (void)snprintf(why, sizeof why, "%s: fastcache's chunks", weir__plan_number(rounding).text);
    add_sum(table, "margin", margin, rounding > 0 ? why : "--margin, 300 to 500");
    (void)snprintf(why, sizeof why, "%s - %s - %s",
                   weir__plan_number(weir_plan_limit(budget) / WEIR_MIB).text,
                   weir__plan_number(outside).text, weir__plan_number(margin).text);
    /* Figures of millions of MB leave no room for the sum. */
    add_sum(table, "left: GOMEMLIMIT", weir_nitro_gomemlimit_mb(budget),
            strlen(why) <= 26 ? why : "the rest");
}

static void print_code(const struct weir_nitro_plan *plan)
{
    struct weir_cli_table table;
    printf("\nWhat the code allows beside it: a second database with the full cache\n");
    begin_table(&table);
    for (size_t i = 0; i < plan->code_count; i++)
        add_row(&table, weir_plan_line_at(plan->code, plan->code_first + i));
    char why[80];
    uint64_t documented = weir_nitro_outside_mb(plan->documented);
    (void)snprintf(why, sizeof why, "%s and these %s", weir__plan_number(documented).text,
                   weir__plan_number(weir_nitro_outside_mb(plan->code) - documented).text);
    add_budget_end(&table, plan->code, why);
    weir_cli_table_print(&table, stdout);
    printf("\nBounded by nothing in the configuration\n");
    begin_table(&table);
    add_section(&table, plan->code, WEIR_NITRO_OPEN);
    weir_cli_table_print(&table, stdout);
}

static void print_go(const struct plan_options *options, const struct weir_nitro_plan *plan)
{
    struct weir_cli_table table;
    printf("\nInside Go, at least\n");
    begin_table(&table);
    add_section(&table, plan->documented, WEIR_NITRO_GO);
    add_sum(&table, "floor", weir_nitro_floor_mb(plan->documented), "GOMEMLIMIT has to hold it");
    if (plan->heap_without_limit != UINT64_MAX) {
        char why[64];
        (void)snprintf(why, sizeof why, "GOGC=%llu without a GOMEMLIMIT",
                       (unsigned long long)options->run.gogc);
        add_sum(&table, "and it may grow to", weir_size_mib(plan->heap_without_limit), why);
    }
    weir_cli_table_print(&table, stdout);
}

static void print_verdict(const struct plan_options *options, const struct weir_plan *budget)
{
    const char *which = options->is_code_bound ? "by what the code allows" : "by the document";
    if (weir_plan_fits(budget)) {
        printf("\nIt fits %s: %s MB for Go, the floor is %s MB.\n", which,
               weir__plan_number(weir_nitro_gomemlimit_mb(budget)).text,
               weir__plan_number(weir_nitro_floor_mb(budget)).text);
        return;
    }
    printf("\nIt does not fit %s: %s MB are missing.\n", which,
           weir__plan_number(weir_size_mib(weir_plan_missing(budget))).text);
    weir_plan_table_moves(budget, "MB", stdout);
}

/* Each file of the code that a line stands on, once. */
static void print_sources(const struct weir_plan *plan)
{
    struct plan_notes notes = {.count = 0};
    char files[PLAN_NOTE_SIZE - 32] = "";
    size_t used = 0;
    for (size_t i = 0; i < weir_plan_line_count(plan); i++) {
        const struct weir_plan_line *line = weir_plan_line_at(plan, i);
        if (line->origin != WEIR_PLAN_CODE || line->where == NULL ||
            strstr(files, line->where) != NULL)
            continue;
        int size =
            snprintf(files + used, sizeof files - used, "%s%s", used > 0 ? ", " : "", line->where);
        used += (size_t)size < sizeof files - used ? (size_t)size : 0;
    }
    weir__plan_note(&notes, "doc: Nitro's page \"Nitro memory management\".");
    weir__plan_note(&notes, "Nitro's code: %s.", files);
    weir__plan_note(&notes, "margin: allocator overhead, passing allocations and page cache; the "
                            "document says 300 to 500 MB.");
    weir__plan_note(&notes, "A database's block cache and its memtables are reached one at a time: "
                            "Pebble takes memtables out of its cache.");
    weir__plan_print_notes("Sources", &notes);
}

static void print_table(const struct plan_options *options, const struct weir_nitro_config *config,
                        const struct weir_nitro_plan *plan, const struct plan_notes *notes)
{
    uint64_t documented = weir_nitro_gomemlimit_mb(plan->documented);
    uint64_t code = weir_nitro_gomemlimit_mb(plan->code);
    if (documented > 0)
        printf("GOMEMLIMIT=%lluMiB by Nitro's document", (unsigned long long)documented);
    else
        printf("No room for Go by Nitro's document");
    if (code > 0)
        printf(", %lluMiB by what its code allows\n", (unsigned long long)code);
    else
        printf(", none by what its code allows\n");
    printf("Nitro with %s in %s MB (%s); a MB is 2^20 bytes\n",
           config->name != NULL ? config->name : "its defaults",
           weir__plan_number(options->run.memory_bytes / WEIR_MIB).text,
           options->run.memory_source);
    printf("\nOutside Go, as documented (keys under execution.caching)\n");
    struct weir_cli_table table;
    begin_table(&table);
    add_section(&table, plan->documented, WEIR_NITRO_OUTSIDE);
    add_budget_end(&table, plan->documented, "sum");
    weir_cli_table_print(&table, stdout);
    const unsigned caches = (1u << WEIR_NITRO_MEMTABLES) - 1; /* the keys before it */
    if (config->name != NULL && (config->set_mask & caches) != caches)
        printf("  * Nitro's default, the file does not say\n");
    print_go(options, plan);
    print_code(plan);
    print_sources(plan->code);
    weir__plan_print_notes("Warnings", notes);
    print_verdict(options, options->is_code_bound ? plan->code : plan->documented);
}

/* --- JSON ---------------------------------------------------------------------------------- */

static json_t *budget_json(const struct weir_plan *budget)
{
    return json_pack("{s:I, s:I, s:b, s:I, s:o, s:o}", "non_go_mb",
                     (json_int_t)weir_nitro_outside_mb(budget), "gomemlimit_mb",
                     (json_int_t)weir_nitro_gomemlimit_mb(budget), "fits", weir_plan_fits(budget),
                     "missing_mb", (json_int_t)weir_size_mib(weir_plan_missing(budget)), "moves",
                     weir__plan_moves_json(budget), "lines", weir__plan_lines_json(budget));
}

static int print_json(const struct plan_options *options, const struct weir_nitro_config *config,
                      const struct weir_nitro_plan *plan, const struct plan_notes *notes)
{
    const struct weir_nitro_run *run = &options->run;
    json_t *heap = plan->heap_without_limit != UINT64_MAX
                       ? json_integer((json_int_t)weir_size_mib(plan->heap_without_limit))
                       : json_null();
    bool fits = weir_plan_fits(options->is_code_bound ? plan->code : plan->documented);
    return weir__plan_print_json(
        json_pack("{s:s, s:s?, s:b, s:s, s:I, s:s, s:I, s:o, s:o, s:{s:I, s:o}, s:o}", "for",
                  "nitro", "config", config->name, "fits", fits, "bound",
                  options->is_code_bound ? "code" : "documented", "memory_mb",
                  (json_int_t)(run->memory_bytes / WEIR_MIB), "memory_source", run->memory_source,
                  "margin_mb", (json_int_t)weir_size_mib(run->margin_bytes), "documented",
                  budget_json(plan->documented), "code", budget_json(plan->code), "go", "floor_mb",
                  (json_int_t)weir_nitro_floor_mb(plan->documented), "heap_without_gomemlimit_mb",
                  heap, "warnings", weir__plan_notes_json(notes)));
}

/* --- running ------------------------------------------------------------------------------- */

static enum weir_status read_config(const struct plan_options *options,
                                    struct weir_nitro_config *config, struct weir_error *error)
{
    *config = weir_nitro_config_default();
    if (options->file == NULL)
        return WEIR_OK;
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    enum weir_status status =
        weir_cli_read_file(options->file, WEIR_FOREIGN_CONFIG_BYTES_MAX, &bytes, &size, error);
    if (status == WEIR_OK)
        status = weir_nitro_config_parse(options->file, bytes, size, config, error);
    return status;
}

/* Without --memory: what limits this process. */
static enum weir_status find_memory(struct weir_nitro_run *run, char source[512],
                                    struct weir_error *error)
{
    if (run->memory_bytes > 0)
        return WEIR_OK;
    struct weir_plan *plan = NULL;
    enum weir_status status = weir_plan_new("limit", &plan, error);
    if (status == WEIR_OK)
        status = weir_plan_set_cgroup(plan, "", "self", error);
    if (status == WEIR_OK) {
        run->memory_bytes = weir_plan_limit(plan);
        (void)snprintf(source, 512, "%s", weir_plan_limit_source(plan));
        run->memory_source = source;
    }
    weir_plan_free(plan);
    return status;
}

static void print_settings(const struct plan_options *options, const struct weir_plan *budget)
{
    char limit[32], arenas[32];
    (void)snprintf(limit, sizeof limit, "%lluMiB",
                   (unsigned long long)weir_nitro_gomemlimit_mb(budget));
    (void)snprintf(arenas, sizeof arenas, "%llu", (unsigned long long)options->run.arena_count);
    const struct plan_setting settings[] = {{"GOMEMLIMIT", limit}, {"MALLOC_ARENA_MAX", arenas}};
    weir__plan_print_settings(options->output, options->run.memory_bytes, settings,
                              options->run.arena_count != 0 ? 2 : 1);
}

/* The exit code. Settings that cannot work are not printed. */
static int print(const struct plan_options *options, const struct weir_nitro_config *config,
                 const struct weir_nitro_plan *plan)
{
    struct plan_notes notes = {.count = 0};
    judge_gomemlimit(options, plan, &notes);
    judge_rest(options, config, plan, &notes);
    const struct weir_plan *budget = options->is_code_bound ? plan->code : plan->documented;
    int exit_code = 0;
    if (options->output == PLAN_TABLE)
        print_table(options, config, plan, &notes);
    else if (options->output == PLAN_JSON)
        exit_code = print_json(options, config, plan, &notes);
    else if (weir_plan_fits(budget))
        print_settings(options, budget);
    else
        (void)fprintf(stderr,
                      "%s: it does not fit, %s MB are missing; see which knobs with -o table\n",
                      weir__plan_command.name,
                      weir__plan_number(weir_size_mib(weir_plan_missing(budget))).text);
    if (exit_code != 0)
        return exit_code;
    return weir_status_exit_code(weir_plan_fits(budget) ? WEIR_OK : WEIR_LIMIT);
}

int weir__plan_nitro(struct plan_options *options)
{
    struct weir_error error = {0};
    struct weir_nitro_config config;
    struct weir_nitro_plan plan = {0};
    char source[512];
    enum weir_status status = read_config(options, &config, &error);
    if (status == WEIR_OK)
        status = find_memory(&options->run, source, &error);
    if (status == WEIR_OK)
        status = weir_nitro_plan_make(&config, &options->run, &plan, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(weir__plan_command.name, &error);
    int exit_code = print(options, &config, &plan);
    weir_nitro_plan_done(&plan);
    return exit_code;
}
