/* `weir plan` for a configuration of `weir serve`. */
#include "cli/plan_internal.h"

#include "server/server_plan.h"

#include <stdio.h>

static enum weir_status set_limit(const struct plan_options *options, struct weir_plan *plan,
                                  struct weir_error *error)
{
    const struct weir_nitro_run *run = &options->run;
    if (run->memory_bytes > 0)
        return weir_plan_set_limit(plan, run->memory_bytes, run->memory_source, error);
    struct weir_error inner = {0};
    const char *root = options->root != NULL ? options->root : "";
    enum weir_status status = weir_plan_set_cgroup(plan, root, "self", &inner);
    if (status == WEIR_NOT_FOUND) { /* no limit is an answer */
        weir_error_done(&inner);
        return WEIR_OK;
    }
    weir_error_move(error, &inner);
    return status;
}

static json_t *count_json(const struct weir_plan *plan, enum weir_plan_count_kind kind)
{
    struct weir_plan_count count = weir_plan_count(plan, kind);
    return json_pack("{s:I, s:o, s:s?, s:b}", "count", (json_int_t)count.count, "limit",
                     count.limit_source != NULL ? json_integer((json_int_t)count.limit)
                                                : json_null(),
                     "limit_source", count.limit_source, "fits", weir_plan_count_fits(&count));
}

static json_t *plan_json(const struct weir_plan *plan)
{
    bool has_limit = weir_plan_has_limit(plan);
    json_t *limit = has_limit ? json_integer((json_int_t)weir_plan_limit(plan)) : json_null();
    json_t *headroom = has_limit ? json_integer((json_int_t)weir_plan_headroom(plan)) : json_null();
    return json_pack("{s:s, s:s, s:b, s:I, s:o, s:s?, s:o, s:I, s:I, s:I, s:s?, s:o, s:o, s:o, "
                     "s:o}",
                     "for", "weir", "config", weir_plan_title(plan), "fits", weir_plan_fits(plan),
                     "total_bytes", (json_int_t)weir_plan_total(plan), "limit_bytes", limit,
                     "limit_source", weir_plan_limit_source(plan), "headroom_bytes", headroom,
                     "missing_bytes", (json_int_t)weir_plan_missing(plan), "charged_bytes",
                     (json_int_t)weir_plan_section_total(plan, WEIR_PLAN_CHARGED), "cut_bytes",
                     (json_int_t)weir_plan_cut(plan), "cap_source", weir_plan_cap_source(plan),
                     "mappings", count_json(plan, WEIR_PLAN_MAPPINGS), "descriptors",
                     count_json(plan, WEIR_PLAN_DESCRIPTORS), "moves", weir__plan_moves_json(plan),
                     "lines", weir__plan_lines_json(plan));
}

static void print_table(const struct weir_plan *plan)
{
    weir_plan_table_print(plan, stdout);
    if (weir_plan_fits(plan))
        printf("`weir serve` would start.\n");
    else
        printf("`weir serve` would not start.\n");
    weir_plan_table_moves(plan, "MiB", stdout);
}

/* A container for it: the limit it was planned for, or what it needs where there is none. A unit
 * and a pod also need as many descriptors as were counted. */
static void print_settings(const struct plan_options *options, const struct weir_plan *plan)
{
    uint64_t memory = weir_plan_has_limit(plan) ? weir_plan_limit(plan) : weir_plan_total(plan);
    memory = (memory + WEIR_MIB - 1) / WEIR_MIB * WEIR_MIB;
    weir__plan_print_settings(options->output, memory, NULL, 0);
    if (options->output == PLAN_ENV)
        printf("# weir serve sets up malloc and its descriptors itself\n");
    if (options->output == PLAN_SYSTEMD)
        printf("LimitNOFILE=%llu\n",
               (unsigned long long)weir_plan_count(plan, WEIR_PLAN_DESCRIPTORS).count);
}

static int print(const struct plan_options *options, const struct weir_plan *plan)
{
    int exit_code = weir_status_exit_code(weir_plan_fits(plan) ? WEIR_OK : WEIR_LIMIT);
    if (options->output == PLAN_TABLE) {
        print_table(plan);
    } else if (options->output == PLAN_JSON) {
        int failed = weir__plan_print_json(plan_json(plan));
        exit_code = failed != 0 ? failed : exit_code;
    } else if (weir_plan_fits(plan)) {
        print_settings(options, plan);
    } else {
        (void)fprintf(stderr, "%s: it does not fit, %s are missing; -o table shows the knobs\n",
                      weir__plan_command.name, weir_plan_mib(weir_plan_missing(plan)).text);
    }
    return exit_code;
}

int weir__plan_weir(const struct plan_options *options)
{
    struct weir_error error = {0};
    struct weir_arena *arena = NULL;
    struct weir_server_config config = {0};
    struct weir_plan *plan = NULL;
    enum weir_status status = weir_arena_new(NULL, 0, &arena, &error);
    if (status == WEIR_OK)
        status = weir_server_config_load(options->file, options->modules, arena, &config, &error);
    if (status == WEIR_OK)
        status = weir_server_plan_new(&config, &plan, &error);
    if (status == WEIR_OK)
        status = set_limit(options, plan, &error);
    int exit_code =
        status == WEIR_OK ? print(options, plan) : weir_cli_fail(weir__plan_command.name, &error);
    weir_plan_free(plan);
    weir_arena_free(arena);
    return exit_code;
}
