/* One run of the host of parallel plugins, told as one line of JSON. Each policy needs a process of
 * its own. Only right hosts set malloc up as Weir's programs do: a library's host has what it has.
 *
 * usage: parallel_main POLICY THREADS ROUNDS ROUND_MS [LIVES_MAX]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ledger/equation.h"
#include "tests/parallel/parallel_host.h"

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *figures_json(const struct parallel_figures *figures)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "growth_bytes", number(figures->growth_bytes),
                     "mappings", number(figures->mappings), "descriptors",
                     number(figures->descriptors), "live_bytes", number(figures->live_bytes),
                     "slack_bytes", number(figures->slack_bytes));
}

static json_t *reading_json(const struct weir_census_growth_reading *reading)
{
    return json_pack("{s:f, s:f, s:f, s:b}", "bytes", reading->bytes_per_instance, "low",
                     reading->low, "high", reading->high, "is_growing", (int)reading->is_growing);
}

static json_t *findings_json(const struct parallel_result *result)
{
    json_t *list = json_array();
    for (int i = 0; i < WEIR_RETENTION_COUNT; i++) {
        const struct weir_retention_finding *finding = &result->findings[i];
        if (finding->state == WEIR_RETENTION_PRESENT)
            (void)json_array_append_new(
                list, json_pack("{s:s, s:s, s:s}", "pattern", weir_retention_name(finding->pattern),
                                "evidence", finding->evidence, "advice",
                                weir_retention_advice(finding->pattern)));
    }
    return list;
}

static json_t *change_json(const struct parallel_result *result)
{
    const struct weir_census_group *group = &result->top_group;
    if (group->name[0] == 0)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "type", weir_census_type_name(group->type),
                     "name", group->name, "origin", group->origin, "owner", group->owner, "count",
                     (json_int_t)result->top.count, "bytes", (json_int_t)result->top.bytes);
}

static void print_result(const struct parallel_options *options,
                         const struct parallel_result *result)
{
    json_t *object = json_pack(
        "{s:s, s:i, s:o, s:o, s:o, s:s, s:s, s:s}", "policy",
        parallel_policy_name(options->policy), "threads", (int)options->threads, "completed",
        number(result->completed), "before", figures_json(&result->before), "after",
        figures_json(&result->after), "verdict", weir_verdict_kind_name(result->verdict.kind),
        "confidence", weir_verdict_confidence_name(result->verdict.confidence), "headline",
        result->headline);
    (void)json_object_set_new(object, "charged_per_plugin", reading_json(&result->charged));
    (void)json_object_set_new(object, "live_per_plugin", reading_json(&result->live));
    (void)json_object_set_new(object, "patterns", findings_json(result));
    (void)json_object_set_new(object, "largest_change", change_json(result));
    char *text = json_dumps(object, JSON_COMPACT);
    puts(text != NULL ? text : "no memory");
    free(text);
    json_decref(object);
}

int main(int argc, char **argv)
{
    struct parallel_options options = {.policy = PARALLEL_POLICY_COUNT};
    static struct parallel_result result;
    for (int i = 0; argc > 4 && i < PARALLEL_POLICY_COUNT; i++)
        if (strcmp(argv[1], parallel_policy_name((enum parallel_policy)i)) == 0)
            options.policy = (enum parallel_policy)i;
    if (options.policy == PARALLEL_POLICY_COUNT) {
        (void)fprintf(stderr, "usage: parallel_main POLICY THREADS ROUNDS ROUND_MS [LIVES_MAX]\n");
        return 2;
    }
    options.threads = (unsigned)strtoul(argv[2], NULL, 10);
    options.rounds = (unsigned)strtoul(argv[3], NULL, 10);
    options.round_ns = strtoull(argv[4], NULL, 10) * 1000000;
    options.lives_max = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    if (options.policy == PARALLEL_RIGHT)
        weir_process_tune_malloc();
    parallel_run(&options, &result);
    print_result(&options, &result);
    return 0;
}
