/* `weir canister status` and `top`: the platform's metrics under its names, and the truth beside.
 */
#include "cli/canister_command.h"
#include "cli/cli_table.h"

#include "base/hash.h"
#include "base/json_number.h"
#include "base/sizes.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *mode_name(enum weir_canister_mode mode)
{
    return mode == WEIR_CANISTER_INSTALL     ? "install"
           : mode == WEIR_CANISTER_REINSTALL ? "reinstall"
                                             : "upgrade";
}

struct time_text {
    char text[32];
};
static struct time_text show_time(uint64_t ns)
{
    struct time_text text = {"?"};
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(text.text, sizeof text.text, "%Y-%m-%d %H:%M:%SZ", &tm);
    return text;
}

static int put_json(json_t *object)
{
    if (object == NULL || json_dumpf(object, stdout, JSON_INDENT(2)) != 0) {
        (void)fprintf(stderr, "%s: no memory for JSON\n", weir__canister_command.name);
        json_decref(object);
        return weir_status_exit_code(WEIR_NO_MEMORY);
    }
    printf("\n");
    json_decref(object);
    return 0;
}

static json_t *growths_json(const struct weir_canister_status *status)
{
    json_t *list = json_array();
    for (size_t i = 0; i < status->growth_count; i++) {
        const struct weir_canister_growth *growth = &status->growths[i];
        json_t *item = json_object();
        (void)json_object_set_new(item, "method", json_string(growth->method));
        (void)json_object_set_new(item, "function", json_string(growth->function));
        weir_json_set_number(item, "pages", growth->pages);
        weir_json_set_number(item, "count", growth->count);
        weir_json_set_number(item, "last_ns", growth->last_ns);
        (void)json_array_append_new(list, item);
    }
    return list;
}

static json_t *changes_json(const struct weir_canister_status *status)
{
    json_t *list = json_array();
    for (size_t i = 0; i < status->change_count; i++) {
        const struct weir_canister_change *change = &status->changes[i];
        char hex[WEIR_HASH_HEX_SIZE];
        struct weir_hash hash;
        memcpy(hash.bytes, change->module_sha256, sizeof hash.bytes);
        weir_hash_hex(&hash, hex);
        json_t *item = json_object();
        (void)json_object_set_new(item, "mode", json_string(mode_name(change->mode)));
        (void)json_object_set_new(item, "module_hash", json_string(hex));
        weir_json_set_number(item, "time_ns", change->time_ns);
        weir_json_set_number(item, "version", change->version);
        weir_json_set_number(item, "heap_before_bytes", change->heap_before);
        weir_json_set_number(item, "heap_after_bytes", change->heap_after);
        (void)json_array_append_new(list, item);
    }
    return list;
}

static json_t *status_json(const struct canister_run *run,
                           const struct weir_canister_status *status)
{
    char id[WEIR_PRINCIPAL_TEXT_SIZE];
    json_t *top = json_object();
    json_t *metrics = json_object();
    json_t *heap = json_object();
    weir_principal_write(&status->id, id);
    (void)json_object_set_new(top, "name", json_string(run->name));
    (void)json_object_set_new(top, "id", json_string(id));
    (void)json_object_set_new(top, "language", json_string(status->language));
    weir_json_set_number(top, "version", status->version);
#define WEIR_CANISTER_METRIC(name, label, covers)                                                  \
    weir_json_set_number(metrics, #name, status->metrics.name);
#include "worlds/canister/canister_metrics.def"
#undef WEIR_CANISTER_METRIC
    (void)json_object_set_new(top, "memory_metrics", metrics);
    weir_json_set_number(heap, "pages", status->heap_pages);
    weir_json_set_number(heap, "limit_bytes", status->heap_limit);
    weir_json_set_number(heap, "low_memory_bytes", status->low_memory_bytes);
    (void)json_object_set_new(heap, "low_memory_ran", json_boolean(status->low_memory_ran));
    weir_json_set_number(heap, "resident_bytes", status->resident_bytes);
    weir_json_set_number(heap, "private_bytes", status->private_bytes);
    weir_json_set_number(heap, "image_bytes", status->image_bytes);
    if (status->has_live) {
        weir_json_set_number(heap, "live_bytes", status->live_bytes);
        weir_json_set_number(heap, "live_max_bytes", status->live_max_bytes);
    } else {
        (void)json_object_set_new(heap, "live_bytes", json_null());
    }
    (void)json_object_set_new(heap, "live_source", json_string(status->live_source));
    (void)json_object_set_new(top, "heap", heap);
    weir_json_set_number(top, "stable_touched_bytes", status->stable_touched_bytes);
    weir_json_set_number(top, "charged_bytes", status->charged_bytes);
    weir_json_set_number(top, "timer_ns", status->timer_ns);
    (void)json_object_set_new(top, "growths", growths_json(status));
    (void)json_object_set_new(top, "changes", changes_json(status));
    weir_json_set_number(top, "change_total", status->change_total);
    return top;
}

/* "34.1 MiB of heap, of which 32 B live." */
static void print_sentence(const struct weir_canister_status *status)
{
    printf("%s of heap", weir_size_format(status->metrics.wasm_memory_size).text);
    if (status->has_live)
        printf(", of which %s live", weir_size_format(status->live_bytes).text);
    if (status->heap_limit != 0)
        printf("; the limit is %s (%llu %%)\n", weir_size_format(status->heap_limit).text,
               (unsigned long long)(status->metrics.wasm_memory_size * 100 / status->heap_limit));
    else
        printf("; it has no limit\n");
}

static void print_metrics(const struct weir_canister_status *status)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 3, 1u << 1);
#define WEIR_CANISTER_METRIC(name, label, covers)                                                  \
    weir_cli_table_cell(&table, "%s", label);                                                      \
    weir_cli_table_cell(&table, "%s", weir_size_format(status->metrics.name).text);                \
    weir_cli_table_cell(&table, "%s: %s", #name, covers);
#include "worlds/canister/canister_metrics.def"
#undef WEIR_CANISTER_METRIC
    weir_cli_table_print(&table, stdout);
    weir_cli_table_done(&table);
}

static void print_truth(const struct weir_canister_status *status)
{
    const struct {
        const char *name;
        uint64_t bytes;
        const char *what;
    } rows[] = {
        {"resident", status->resident_bytes, "of the heap in memory now"},
        {"private", status->private_bytes, "of it, written since the last commit or kept warm"},
        {"committed", status->image_bytes, "pages of the committed heap that hold something"},
        {"stable", status->stable_touched_bytes, "of stable memory ever written, with page tables"},
        {"charged", status->charged_bytes, "all that this canister's account holds in this run"},
    };
    struct weir_cli_table table;
    weir_cli_table_init(&table, 3, 1u << 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        weir_cli_table_cell(&table, "%s", rows[i].name);
        weir_cli_table_cell(&table, "%s", weir_size_format(rows[i].bytes).text);
        weir_cli_table_cell(&table, "%s", rows[i].what);
    }
    weir_cli_table_cell(&table, "live");
    weir_cli_table_cell(&table, "%s",
                        status->has_live ? weir_size_format(status->live_bytes).text : "?");
    weir_cli_table_cell(&table, "%s", status->live_source);
    weir_cli_table_print(&table, stdout);
    weir_cli_table_done(&table);
}

static void print_changes(const struct weir_canister_status *status)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 4, 12u);
    for (size_t i = 0; i < status->change_count; i++) {
        const struct weir_canister_change *change = &status->changes[i];
        weir_cli_table_cell(&table, "%s", show_time(change->time_ns).text);
        weir_cli_table_cell(&table, "%s", mode_name(change->mode));
        weir_cli_table_cell(&table, "%s", weir_size_format(change->heap_before).text);
        weir_cli_table_cell(&table, "-> %s", weir_size_format(change->heap_after).text);
    }
    weir_cli_table_print(&table, stdout);
    weir_cli_table_done(&table);
}

int weir__canister_status(struct canister_run *run, struct weir_error *error)
{
    struct weir_canister_status status;
    char id[WEIR_PRINCIPAL_TEXT_SIZE];
    if (weir_canister_status(run->canister, &status, error) != WEIR_OK)
        return weir_cli_fail(weir__canister_command.name, error);
    if (run->options->is_json)
        return put_json(status_json(run, &status));
    weir_principal_write(&status.id, id);
    print_sentence(&status);
    printf("\n%s  %s  %s, version %llu\n\n", run->name, id, status.language,
           (unsigned long long)status.version);
    print_metrics(&status);
    printf("\nWhat the platform does not show\n");
    print_truth(&status);
    printf("\nHeap over %llu change%s of code\n", (unsigned long long)status.change_total,
           status.change_total == 1 ? "" : "s");
    print_changes(&status);
    return 0;
}

static void print_growths(const struct weir_canister_status *status)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 5, 7u);
    weir_cli_table_cell(&table, "grown by");
    weir_cli_table_cell(&table, "pages");
    weir_cli_table_cell(&table, "steps");
    weir_cli_table_cell(&table, "method");
    weir_cli_table_cell(&table, "function that grew");
    for (size_t i = 0; i < status->growth_count; i++) {
        const struct weir_canister_growth *growth = &status->growths[i];
        weir_cli_table_cell(&table, "%s", weir_size_format(growth->pages << 16).text);
        weir_cli_table_cell(&table, "%llu", (unsigned long long)growth->pages);
        weir_cli_table_cell(&table, "%llu", (unsigned long long)growth->count);
        weir_cli_table_cell(&table, "%s", growth->method);
        weir_cli_table_cell(&table, "%s", growth->function);
    }
    weir_cli_table_print(&table, stdout);
    weir_cli_table_done(&table);
}

int weir__canister_top(struct canister_run *run, struct weir_error *error)
{
    struct weir_canister_status status;
    if (weir_canister_status(run->canister, &status, error) != WEIR_OK)
        return weir_cli_fail(weir__canister_command.name, error);
    if (run->options->is_json) {
        json_t *top = json_object();
        (void)json_object_set_new(top, "name", json_string(run->name));
        weir_json_set_number(top, "heap_pages", status.heap_pages);
        (void)json_object_set_new(top, "growths", growths_json(&status));
        return put_json(top);
    }
    print_sentence(&status);
    if (status.growth_count == 0) {
        printf("It has not grown since the deploy.\n");
        return 0;
    }
    printf("\nWho made it grow since the deploy\n");
    print_growths(&status);
    return 0;
}
