/* Verdicts of a watch, for people and as JSON. */
#include "cli/doctor_view.h"

#include "base/sizes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const ENDS[] = {"complete", "stopped", "process ended"};

/* --- for people ---------------------------------------------------------------------------- */

static struct weir_size_text signed_size(double bytes)
{
    struct weir_size_text text;
    if (isnan(bytes)) {
        (void)snprintf(text.text, sizeof text.text, "unknown");
        return text;
    }
    (void)snprintf(text.text, sizeof text.text, "%s%.20s", bytes < 0 ? "-" : "+",
                   weir_size_format((uint64_t)fabs(bytes)).text);
    return text;
}

static void print_source(const struct doctor_watched *watched)
{
    struct weir_watch_count count = weir_watch_count(watched->watch);
    char text[512];
    double ns = count.seconds * 1e9;
    int used = snprintf(text, sizeof text, "%s: %zu sample%s", watched->subject, count.seen,
                        count.seen == 1 ? "" : "s");
    if (count.seen > 1)
        used += snprintf(text + used, sizeof text - (size_t)used, " in %s, one every %s",
                         weir_duration_format((uint64_t)ns).text,
                         weir_duration_format((uint64_t)(ns / (double)(count.seen - 1))).text);
    if (count.merged > 1)
        used += snprintf(text + used, sizeof text - (size_t)used,
                         ", thinned to %zu by keeping the lowest of each %zu", count.kept,
                         count.merged);
    (void)snprintf(text + used, sizeof text - (size_t)used, "%s",
                   watched->end == WEIR_WATCH_GONE      ? "; the process ended."
                   : watched->end == WEIR_WATCH_STOPPED ? "; stopped early."
                                                        : ".");
    weir_cli_wrap("", "", text);
}

static void print_gaps(const struct doctor_watched *watched)
{
    char text[256];
    if (watched->interval_ns != 0 &&
        watched->reading_ns * (WEIR_WATCH_REST + 1) > 2 * watched->interval_ns) {
        (void)snprintf(text, sizeof text,
                       "Reading this process takes %s, and is done a tenth of the time at most, so "
                       "samples came later than every %s.",
                       weir_duration_format(watched->reading_ns).text,
                       weir_duration_format(watched->interval_ns).text);
        weir_cli_wrap("", "", text);
    }
    if (watched->gaps > 0) {
        (void)snprintf(text, sizeof text,
                       "%zu readings of its metrics failed, the last because: %s", watched->gaps,
                       watched->gap);
        weir_cli_wrap("", "", text);
    }
    if (watched->trim[0] != 0) {
        (void)snprintf(text, sizeof text, "No trim was seen: %s", watched->trim);
        weir_cli_wrap("", "", text);
    }
}

/* The classes that moved, beside the one that decided. */
static void print_classes(const struct doctor_watched *watched,
                          const struct weir_watch_verdicts *verdicts)
{
    struct weir_cli_table table;
    if (verdicts->count < 2 || verdicts->of[0].verdict.doubt == WEIR_DOUBT_FEW_SAMPLES)
        return;
    weir_cli_table_init(&table, 3, 2);
    for (size_t i = 1; i < verdicts->count; i++) {
        const struct weir_verdict *verdict = &verdicts->of[i].verdict;
        weir_cli_table_cell(&table, "%s",
                            weir_watch_class_text(watched->watch, verdicts->of[i].class));
        weir_cli_table_cell(&table, "%s", signed_size(verdict->evidence.resident_grown).text);
        weir_cli_table_cell(&table, "%s, %s confidence", weir_verdict_kind_name(verdict->kind),
                            weir_verdict_confidence_name(verdict->confidence));
    }
    (void)putchar('\n');
    weir_cli_table_print(&table, stdout);
    weir_cli_table_done(&table);
}

void weir__doctor_print_verdicts(const struct doctor_watched *watched,
                                 const struct weir_watch_verdicts *verdicts)
{
    const struct weir_verdict *verdict = &verdicts->of[verdicts->overall].verdict;
    const char *name = weir_watch_class_text(watched->watch, verdicts->of[verdicts->overall].class);
    char text[WEIR_VERDICT_TEXT_SIZE];
    weir_verdict_headline(verdict, text, sizeof text);
    weir_cli_wrap("", "", text);
    for (size_t i = 0; weir_verdict_sentence(verdict, name, i, text, sizeof text); i++)
        weir_cli_wrap("  ", "  ", text);
    print_classes(watched, verdicts);
    (void)putchar('\n');
    print_source(watched);
    print_gaps(watched);
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* Whole bytes as an integer, everything else as a real; what was not computed is left out. */
static void put_figure(json_t *to, const char *name, double value)
{
    size_t size = strlen(name);
    bool is_bytes = size > 6 && strcmp(name + size - 6, "_bytes") == 0 && fabs(value) < 1e18;
    if (isfinite(value))
        (void)json_object_set_new(to, name,
                                  is_bytes ? json_integer(llround(value)) : json_real(value));
}

static json_t *evidence_json(const struct weir_verdict_evidence *evidence)
{
    json_t *json = json_object();
    const struct {
        const char *name;
        double value;
    } figures[] = {
        {"level_bytes", evidence->level},
        {"grown_bytes", evidence->grown},
        {"resident_grown_bytes", evidence->resident_grown},
        {"live_grown_bytes", evidence->live_grown},
        {"system_grown_bytes", evidence->system_grown},
        {"cache_grown", evidence->cache_grown},
        {"slope", evidence->slope},
        {"slope_low", evidence->slope_low},
        {"slope_high", evidence->slope_high},
        {"bytes_per_hour", evidence->per_hour},
        {"z", evidence->z},
        {"z_needed", evidence->critical},
        {"lasting", evidence->lasting},
        {"autocorrelation", evidence->phi},
        {"held_bytes", evidence->held},
        {"released_bytes", evidence->released},
        {"explained", evidence->explained},
        {"plateau_bytes", evidence->plateau},
        {"jump_bytes", evidence->jump},
        {"jump_seconds", evidence->jump_seconds},
        {"amplitude_bytes", evidence->amplitude},
        {"limit_hours", evidence->limit_hours},
        {"limit_hours_low", evidence->limit_hours_low},
        {"limit_hours_high", evidence->limit_hours_high},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        put_figure(json, figures[i].name, figures[i].value);
    if (evidence->basis == NULL)
        return json;
    (void)json_object_set_new(json, "basis", json_string(evidence->basis));
    (void)json_object_set_new(json, "time_base", json_string(evidence->time_base));
    (void)json_object_set_new(json, "troughs", json_integer((json_int_t)evidence->troughs));
    (void)json_object_set_new(json, "window", json_integer((json_int_t)evidence->window));
    json_t *thirds = json_array();
    for (size_t i = 0; i < 3; i++)
        (void)json_array_append_new(thirds, json_integer(llround(evidence->thirds[i])));
    (void)json_object_set_new(json, "thirds_bytes", thirds);
    return json;
}

static json_t *verdict_json(const struct doctor_watched *watched,
                            const struct weir_watch_verdicts *verdicts, size_t index)
{
    const struct weir_verdict *verdict = &verdicts->of[index].verdict;
    size_t class = verdicts->of[index].class;
    char text[WEIR_VERDICT_TEXT_SIZE];
    json_t *sentences = json_array();
    for (size_t i = 0; weir_verdict_sentence(verdict, weir_watch_class_text(watched->watch, class),
                                             i, text, sizeof text);
         i++)
        (void)json_array_append_new(sentences, json_string(text));
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:I}", "kind", weir_verdict_kind_name(verdict->kind),
        "confidence", weir_verdict_confidence_name(verdict->confidence), "class",
        weir_watch_class_name(watched->watch, class), "evidence", evidence_json(&verdict->evidence),
        "text", sentences, "samples", (json_int_t)verdict->samples);
    if (json == NULL || verdict->kind != WEIR_VERDICT_UNDECIDED)
        return json;
    (void)json_object_set_new(json, "samples_needed",
                              json_integer((json_int_t)verdict->samples_needed));
    (void)json_object_set_new(json, "doubt", json_string(weir_verdict_doubt_text(verdict->doubt)));
    return json;
}

json_t *weir__doctor_verdicts_json(const struct doctor_watched *watched,
                                   const struct weir_watch_verdicts *verdicts)
{
    struct weir_watch_count count = weir_watch_count(watched->watch);
    json_t *classes = json_array();
    for (size_t i = 0; i < verdicts->count; i++)
        (void)json_array_append_new(classes, verdict_json(watched, verdicts, i));
    return json_pack("{s:s, s:{s:I, s:I, s:I, s:f, s:s, s:I}, s:o, s:o}", "subject",
                     watched->subject, "watch", "samples", (json_int_t)count.seen, "kept",
                     (json_int_t)count.kept, "merged", (json_int_t)count.merged, "seconds",
                     count.seconds, "end", ENDS[watched->end], "gaps", (json_int_t)watched->gaps,
                     "verdict", verdict_json(watched, verdicts, verdicts->overall), "classes",
                     classes);
}
