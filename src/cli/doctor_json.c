/* A view as JSON, kept looks, and what has changed since one. */
#include "cli/doctor_view.h"

#include "base/cleanup.h"
#include "base/sizes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static json_t *bytes_json(uint64_t bytes)
{
    return json_integer((json_int_t)bytes);
}

/* --- a view -------------------------------------------------------------------------------- */

static json_t *walk_json(const struct weir_doctor_malloc *walk)
{
    static const char *const STATES[] = {"none", "whole", "part", "refused", "lost"};
    json_t *json = json_pack("{s:s}", "state", STATES[walk->state]);
    if (json == NULL ||
        (walk->state != WEIR_DOCTOR_WALK_WHOLE && walk->state != WEIR_DOCTOR_WALK_PART))
        return json;
    (void)json_object_set_new(json, "system_bytes", bytes_json(walk->system_bytes));
    (void)json_object_set_new(json, "live_bytes", bytes_json(walk->live_bytes));
    (void)json_object_set_new(json, "free_bytes", bytes_json(walk->free_bytes));
    (void)json_object_set_new(json, "free_resident_bytes", bytes_json(walk->free_resident_bytes));
    (void)json_object_set_new(json, "cached_bytes", bytes_json(walk->cached_bytes));
    (void)json_object_set_new(json, "lost_bytes", bytes_json(walk->lost_bytes));
    (void)json_object_set_new(json, "live_chunks", bytes_json(walk->chunk_count));
    (void)json_object_set_new(json, "free_chunks", bytes_json(walk->free_count));
    (void)json_object_set_new(json, "heaps", bytes_json(walk->heap_count));
    return json;
}

static json_t *classes_json(const struct weir_doctor_snapshot *s)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++) {
        const struct weir_doctor_sum *sum = &s->sums[i];
        if (sum->rss_bytes == 0 && sum->swap_bytes == 0)
            continue;
        enum weir_doctor_class class = (enum weir_doctor_class)i;
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:b}", "class",
                      weir_doctor_class_name(class), "what", weir_doctor_class_text(class), "bytes",
                      (json_int_t)sum->rss_bytes, "anon_bytes", (json_int_t)sum->anon_bytes,
                      "swap_bytes", (json_int_t)sum->swap_bytes, "huge_bytes",
                      (json_int_t)sum->huge_bytes, "count", (json_int_t)sum->count, "rule",
                      weir_doctor_rule_name(sum->rule), "confidence",
                      weir_doctor_confidence_name(sum->confidence), "merged", sum->is_merged));
    }
    return list;
}

static json_t *advice_json(const struct doctor_view *view)
{
    json_t *list = json_array();
    for (size_t i = 0; i < view->advice_count; i++) {
        const struct weir_doctor_advice *a = &view->advice[i];
        (void)json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:s, s:s, s:s}", "id", a->id,
                                                    "bytes", (json_int_t)a->bytes, "what", a->what,
                                                    "command", a->command, "restart", a->restart,
                                                    "would_change_my_mind", a->mind));
    }
    return list;
}

static json_t *allocators_json(const struct weir_doctor_snapshot *s)
{
    const struct {
        bool is_there;
        const char *name;
    } names[] = {{s->is_go, "go"},
                 {s->has_glibc, "glibc"},
                 {s->has_musl, "musl"},
                 {s->has_jemalloc, "jemalloc"},
                 {s->has_mimalloc, "mimalloc"},
                 {s->has_tcmalloc, "tcmalloc"},
                 {s->has_python, "python"},
                 {s->has_v8 || s->sums[WEIR_DOCTOR_V8_HEAP].rss_bytes != 0, "v8"}};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].is_there)
            (void)json_array_append_new(list, json_string(names[i].name));
    return list;
}

static json_t *processes_json(const struct doctor_view *view)
{
    json_t *list = json_array();
    for (size_t i = 0; i < view->process_count; i++) {
        const struct doctor_process *p = &view->processes[i];
        (void)json_array_append_new(
            list, json_pack("{s:I, s:s%, s:I, s:I}", "pid", (json_int_t)p->pid, "name", p->name,
                            strlen(p->name), "rss_bytes", (json_int_t)p->rss_bytes, "anon_bytes",
                            (json_int_t)p->anon_bytes));
    }
    return list;
}

static json_t *equation_json(const struct weir_cgroup_equation *e)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
                     weir_cgroup_equation_state_name(e->state), "usage_bytes",
                     (json_int_t)e->usage_bytes, "anonymous_bytes", (json_int_t)e->anonymous_bytes,
                     "cache_bytes", (json_int_t)e->cache_bytes, "shared_bytes",
                     (json_int_t)e->shared_bytes, "kernel_bytes", (json_int_t)e->kernel_bytes,
                     "unexplained_bytes", (json_int_t)e->unexplained_bytes, "tolerance_bytes",
                     (json_int_t)e->tolerance_bytes);
}

/* A name need not be UTF-8. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(not UTF-8)");
}

json_t *weir__doctor_json(const struct doctor_view *view)
{
    const struct weir_doctor_snapshot *s = &view->snapshot;
    json_t *json = json_object();
    if (json == NULL)
        return NULL;
    (void)json_object_set_new(json, "pid", bytes_json(s->pid));
    (void)json_object_set_new(json, "name", text_json(s->name));
    (void)json_object_set_new(json, "start_time", bytes_json(s->start_time));
    (void)json_object_set_new(json, "time_ns", bytes_json(s->time_ns));
    (void)json_object_set_new(json, "took_ns", bytes_json(s->took_ns));
    (void)json_object_set_new(json, "rss_bytes", bytes_json(s->rss_bytes));
    (void)json_object_set_new(json, "pss_bytes", bytes_json(s->pss_bytes));
    (void)json_object_set_new(json, "anon_bytes", bytes_json(s->anon_bytes));
    (void)json_object_set_new(json, "swap_bytes", bytes_json(s->swap_bytes));
    (void)json_object_set_new(json, "huge_bytes", bytes_json(s->huge_bytes));
    (void)json_object_set_new(json, "page_table_bytes", bytes_json(s->page_table_bytes));
    (void)json_object_set_new(json, "unknown_bytes", bytes_json(s->unknown_bytes));
    (void)json_object_set_new(json, "peak_rss_bytes", bytes_json(s->hwm_bytes));
    (void)json_object_set_new(json, "areas", bytes_json(s->area_count));
    (void)json_object_set_new(json, "areas_moved", bytes_json(s->moved_count));
    (void)json_object_set_new(json, "threads", bytes_json(s->thread_count));
    (void)json_object_set_new(json, "arenas", bytes_json(s->arena_count));
    (void)json_object_set_new(json, "major_faults", bytes_json(s->major_faults));
    (void)json_object_set_new(json, "minor_faults", bytes_json(s->minor_faults));
    (void)json_object_set_new(json, "memory_was_read", json_boolean(s->can_read_memory));
    (void)json_object_set_new(json, "allocators", allocators_json(s));
    (void)json_object_set_new(json, "classes", classes_json(s));
    (void)json_object_set_new(json, "malloc",
                              json_pack("{s:o, s:o}", "main_heap", walk_json(&s->main_heap),
                                        "arenas", walk_json(&s->arenas)));
    json_t *cgroup = s->has_cgroup
                         ? json_pack("{s:s, s:I, s:I, s:I}", "folder", s->cgroup_folder,
                                     "limit_bytes", (json_int_t)s->cgroup.limit_bytes,
                                     "usage_bytes", (json_int_t)s->cgroup.usage_bytes,
                                     "headroom_bytes", (json_int_t)s->cgroup.headroom_bytes)
                         : json_null();
    (void)json_object_set_new(json, "cgroup", cgroup);
    if (view->process_count != 0) {
        (void)json_object_set_new(json, "processes", processes_json(view));
        (void)json_object_set_new(json, "equation", equation_json(&view->equation));
    }
    (void)json_object_set_new(json, "advice", advice_json(view));
    (void)json_object_set_new(json, "verdict",
                              json_pack("{s:s, s:s, s:[s], s:i, s:i}", "kind", "undecided",
                                        "confidence", "none", "evidence",
                                        "one look says nothing about growth", "samples", 1,
                                        "samples_needed", WEIR_VERDICT_SAMPLES_MIN));
    return json;
}

enum weir_status weir__doctor_save(const char *path, json_t *json, struct weir_error *error)
{
    FILE *file = fopen(path, "we");
    bool is_good = file != NULL && json_dumpf(json, file, JSON_INDENT(2)) == 0;
    int number = errno;
    if (file != NULL && fclose(file) != 0)
        is_good = false;
    if (is_good)
        return WEIR_OK;
    return weir_error_set_errno(error, WEIR_IO, number, "cannot write %.160s", path);
}

/* --- since --------------------------------------------------------------------------------- */

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number > 0 ? (uint64_t)number : 0;
}

static uint64_t class_before(const json_t *before, const char *class)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(before, "classes"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "class"));
        if (name != NULL && strcmp(name, class) == 0)
            return number_of(entry, "bytes");
    }
    return 0;
}

struct signed_text {
    char text[32];
};

static struct signed_text change_text(uint64_t before, uint64_t now)
{
    struct signed_text text;
    uint64_t size = before > now ? before - now : now - before;
    (void)snprintf(text.text, sizeof text.text, "%s%s",
                   size == 0      ? ""
                   : before > now ? "-"
                                  : "+",
                   size == 0 ? "0" : weir_size_format(size).text);
    return text;
}

static void diff_line(struct weir_cli_table *table, const char *what, uint64_t before, uint64_t now)
{
    weir_cli_table_cell(table, "%s", what);
    weir_cli_table_cell(table, "%s", weir_size_format(before).text);
    weir_cli_table_cell(table, "%s", weir_size_format(now).text);
    weir_cli_table_cell(table, "%s", change_text(before, now).text);
}

static void print_diff(const struct weir_doctor_snapshot *s, const json_t *before, const char *path)
{
    struct weir_cli_table table;
    bool is_same =
        number_of(before, "pid") == s->pid && number_of(before, "start_time") == s->start_time;
    printf("\nSince %s%s\n", path, is_same ? "" : " (of another process)");
    weir_cli_table_init(&table, 4, 2 | 4 | 8);
    for (unsigned i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++) {
        enum weir_doctor_class class = (enum weir_doctor_class)i;
        uint64_t then = class_before(before, weir_doctor_class_name(class));
        if (then != s->sums[i].rss_bytes)
            diff_line(&table, weir_doctor_class_text(class), then, s->sums[i].rss_bytes);
    }
    diff_line(&table, "all", number_of(before, "rss_bytes"), s->rss_bytes);
    weir_cli_table_print(&table, stdout);
}

static json_t *diff_json(const struct weir_doctor_snapshot *s, const json_t *before)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++) {
        const char *name = weir_doctor_class_name((enum weir_doctor_class)i);
        uint64_t then = class_before(before, name);
        if (then != s->sums[i].rss_bytes)
            (void)json_array_append_new(
                list,
                json_pack("{s:s, s:I, s:I}", "class", name, "before_bytes", (json_int_t)then,
                          "change_bytes", (json_int_t)s->sums[i].rss_bytes - (json_int_t)then));
    }
    uint64_t rss = number_of(before, "rss_bytes");
    bool is_same =
        number_of(before, "pid") == s->pid && number_of(before, "start_time") == s->start_time;
    return json_pack("{s:b, s:I, s:I, s:o}", "same_process", is_same, "before_rss_bytes",
                     (json_int_t)rss, "change_bytes", (json_int_t)s->rss_bytes - (json_int_t)rss,
                     "classes", list);
}

enum weir_status weir__doctor_diff(const struct doctor_options *options,
                                   const struct doctor_view *view, json_t *json,
                                   struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    enum weir_status status =
        weir_cli_read_file(options->baseline, DOCTOR_BASELINE_BYTES_MAX, &bytes, &size, error);
    if (status != WEIR_OK)
        return status;
    json_error_t failure;
    json_t *before = json_loadb(bytes, size, 0, &failure);
    if (!json_is_object(before) || !json_is_array(json_object_get(before, "classes"))) {
        json_decref(before);
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "%.120s is no look of the doctor; write one with --baseline",
                              options->baseline);
    }
    if (json != NULL)
        (void)json_object_set_new(json, "diff", diff_json(&view->snapshot, before));
    else
        print_diff(&view->snapshot, before, options->baseline);
    json_decref(before);
    return WEIR_OK;
}
