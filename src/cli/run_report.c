/* `weir run --report`: equation (a) as a table a person reads, or as JSON. */
#include "cli/run_internal.h"

#include "base/cleanup.h"
#include "base/sizes.h"
#include "cli/cli_table.h"
#include "observe/memory_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB 1048576.0

struct report {
    const struct weir__run *run;
    struct weir_equation equation;
    struct weir_memory_figures memory; /* sums over the instance's memories */
    struct weir_account_reading store;
};

static double mib(uint64_t bytes)
{
    return (double)bytes / MIB;
}

static void add_memory(struct weir_memory_figures *sum, const struct weir_memory_figures *one)
{
    sum->reserved_bytes += one->reserved_bytes;
    sum->accessible_bytes += one->accessible_bytes;
    sum->resident_bytes += one->resident_bytes;
    sum->private_bytes += one->private_bytes;
    sum->peak_bytes += one->peak_bytes;
}

static enum weir_status measure(const struct weir__run *run, struct report *report,
                                struct weir_error *error)
{
    *report = (struct report){.run = run};
    size_t count = run->instance != NULL ? weir_instance_memory_count(run->instance) : 0;
    for (size_t i = 0; i < count; i++) {
        struct weir_memory_figures figures;
        enum weir_status status =
            weir_memory_figures(weir_instance_memory(run->instance, i), &figures, error);
        if (status != WEIR_OK)
            return status;
        add_memory(&report->memory, &figures);
    }
    weir_account_read(weir_store_account(run->store), &report->store);
    return weir_equation_read(&report->equation, error);
}

static void print_head(const struct report *report, FILE *to)
{
    const struct weir__run *run = report->run;
    struct weir_module_figures module;
    weir_module_figures(run->module, &module);
    char end[64];
    if (run->status == WEIR_OK)
        (void)snprintf(end, sizeof end, "exit %d", run->exit_code);
    else
        (void)snprintf(end, sizeof end, "trap %s", weir_trap_name(run->trap.code));
    (void)fprintf(to, "%s  %s  %s  ", weir_module_name(run->module), end,
                  weir_duration_format(run->end_ns - run->begin_ns).text);
    if (module.was_cached)
        (void)fprintf(to, "(compiled before)\n\n");
    else
        (void)fprintf(to, "(compiled in %s)\n\n",
                      weir_duration_format((uint64_t)(module.compile_ms * 1e6)).text);
}

static void row(struct weir_cli_table *table, const char *label, uint64_t bytes, const char *note)
{
    weir_cli_table_cell(table, "%s", label);
    weir_cli_table_cell(table, "%.1f MiB", mib(bytes));
    weir_cli_table_cell(table, "%s", note);
}

static void print_guest_rows(const struct report *report, struct weir_cli_table *table)
{
    const struct weir_equation *equation = &report->equation;
    const struct weir_memory_figures *memory = &report->memory;
    const uint64_t *owned = equation->owned;
    char note[96];
    (void)snprintf(note, sizeof note, "accessible %.1f, reserved %.0f, private %.1f",
                   mib(memory->accessible_bytes), mib(memory->reserved_bytes),
                   mib(memory->private_bytes));
    row(table, "guest: linear memory", owned[WEIR_KIND_LINEAR_MEMORY], note);
    row(table, "guest: tables, globals", owned[WEIR_KIND_TABLE] + owned[WEIR_KIND_INSTANCE], "");
    row(table, "guest: stack", owned[WEIR_KIND_STACK], "");
    row(table, "module code (page cache)", owned[WEIR_KIND_CODE] + owned[WEIR_KIND_CODE_MAPPED],
        "shared");
    (void)snprintf(note, sizeof note, "peak %.1f",
                   mib(report->store.kind_peaks[WEIR_KIND_HOST_BUFFER] +
                       report->store.kind_peaks[WEIR_KIND_HANDLE]));
    row(table, "host: files, buffers", owned[WEIR_KIND_HOST_BUFFER] + owned[WEIR_KIND_HANDLE],
        note);
}

/* Kinds that no row of the guest's shows. */
static uint64_t other_owned(const struct weir_equation *equation)
{
    static const bool SHOWN[WEIR_KIND_COUNT] = {
        [WEIR_KIND_LINEAR_MEMORY] = true, [WEIR_KIND_TABLE] = true,  [WEIR_KIND_INSTANCE] = true,
        [WEIR_KIND_STACK] = true,         [WEIR_KIND_CODE] = true,   [WEIR_KIND_CODE_MAPPED] = true,
        [WEIR_KIND_HOST_BUFFER] = true,   [WEIR_KIND_HANDLE] = true,
    };
    uint64_t sum = 0;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (!SHOWN[kind] && weir_kind_is_bytes((enum weir_kind)kind))
            sum += equation->owned[kind];
    return sum;
}

static void print_host_rows(const struct report *report, struct weir_cli_table *table)
{
    const struct weir_equation *equation = &report->equation;
    uint64_t free_bytes = equation->malloc_free_resident_bytes;
    if (free_bytes > equation->malloc_bytes)
        free_bytes = equation->malloc_bytes;
    char note[96];
    (void)snprintf(note, sizeof note, "file-backed %.1f", mib(equation->binary_bytes));
    row(table, "weir and libraries",
        equation->binary_bytes + equation->thread_stack_bytes + equation->kernel_bytes +
            equation->sanitizer_bytes + other_owned(equation) + equation->malloc_bytes - free_bytes,
        note);
    row(table, "malloc: free but resident", free_bytes, "");
    double part = equation->rss_bytes > 0
                      ? 100.0 * (double)equation->unclassified_bytes / (double)equation->rss_bytes
                      : 0;
    (void)snprintf(note, sizeof note, "%.1f %%", part);
    row(table, "unclassified", equation->unclassified_bytes, note);
}

/* ": linear_memory 6.9, stack 1.0, ..." of the three largest kinds. */
static void print_largest(const uint64_t given[WEIR_KIND_COUNT], FILE *to)
{
    uint64_t kinds[WEIR_KIND_COUNT];
    memcpy(kinds, given, sizeof kinds);
    for (int shown = 0; shown < 3; shown++) {
        int largest = -1;
        for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
            if (weir_kind_is_bytes((enum weir_kind)kind) && kinds[kind] > 0 &&
                (largest < 0 || kinds[kind] > kinds[largest]))
                largest = kind;
        if (largest < 0)
            break;
        (void)fprintf(to, "%s %s %.1f", shown == 0 ? ":" : ",",
                      weir_kind_name((enum weir_kind)largest), mib(kinds[largest]));
        kinds[largest] = 0;
    }
    (void)fputc('\n', to);
}

/* The guest's own peak; and the process's, which may lie before it, while the module was compiled.
 */
static void print_peak(const struct report *report, FILE *to)
{
    (void)fprintf(to, "Guest's peak %.1f MiB charged", mib(report->store.peak_bytes));
    print_largest(report->store.kind_peaks, to);
    struct weir_account_peak peak;
    weir_account_host_peak(&peak);
    uint64_t begin_ms = report->run->begin_ns / 1000000u;
    if (peak.at_ms < begin_ms)
        (void)fprintf(to, "Peak of all %.1f MiB while compiling", mib(peak.used_bytes));
    else
        (void)fprintf(to, "Peak of all %.1f MiB at %llu ms", mib(peak.used_bytes),
                      (unsigned long long)(peak.at_ms - begin_ms));
    print_largest(peak.kinds, to);
}

static void print_limit(const struct report *report, FILE *to)
{
    uint64_t limit = report->run->options->memory_bytes_max;
    if (limit == 0)
        return;
    uint64_t peak = report->store.peak_bytes;
    (void)fprintf(to, "Limit %s: closest %.1f MiB (%.0f %%)", weir_size_format(limit).text,
                  mib(peak), 100.0 * (double)peak / (double)limit);
    if (report->store.refused_count > 0)
        (void)fprintf(to, ", %llu requests refused",
                      (unsigned long long)report->store.refused_count);
    (void)fputc('\n', to);
}

static void print_table(const struct report *report, FILE *to)
{
    print_head(report, to);
    (void)fprintf(to, "Memory of this process, %.1f MiB resident\n",
                  mib(report->equation.rss_bytes));
    struct weir_cli_table table;
    weir_cli_table_init(&table, 3, 1u << 1);
    print_guest_rows(report, &table);
    print_host_rows(report, &table);
    weir_cli_table_print(&table, to);
    print_peak(report, to);
    print_limit(report, to);
}

static json_t *memories_json(const struct report *report)
{
    const struct weir__run *run = report->run;
    json_t *memories = json_array();
    size_t count = run->instance != NULL ? weir_instance_memory_count(run->instance) : 0;
    for (size_t i = 0; i < count; i++) {
        struct weir_memory_figures figures;
        if (weir_memory_figures(weir_instance_memory(run->instance, i), &figures, NULL) != WEIR_OK)
            continue;
        char name[WEIR_ACCOUNT_NAME_SIZE + 32];
        (void)snprintf(name, sizeof name, "%s memory %zu", report->store.name, i);
        const struct weir_memory_json_entry entry = {
            .name = name,
            .reserved_bytes = figures.reserved_bytes,
            .accessible_bytes = figures.accessible_bytes,
            .resident_bytes = figures.resident_bytes,
            .private_bytes = figures.private_bytes,
            .peak_bytes = figures.peak_bytes,
            .limit_bytes = figures.limit_bytes,
        };
        (void)json_array_append_new(memories, weir_memory_json_figures(&entry));
    }
    return memories;
}

static void print_json(const struct report *report, FILE *to)
{
    const struct weir__run *run = report->run;
    struct weir_module_figures module;
    weir_module_figures(run->module, &module);
    json_t *object = weir_memory_json(weir_account_host(), &report->equation);
    if (object == NULL)
        return;
    (void)json_object_set_new(object, "memories", memories_json(report));
    json_t *outcome = json_pack(
        "{s:s, s:i, s:s, s:f, s:f, s:b}", "module", weir_module_name(run->module), "exit_code",
        run->status == WEIR_OK ? run->exit_code : weir_status_exit_code(run->status), "status",
        weir_status_name(run->status), "run_ms", (double)(run->end_ns - run->begin_ns) / 1e6,
        "compile_ms", module.compile_ms, "was_cached", module.was_cached);
    if (outcome != NULL && run->status != WEIR_OK)
        (void)json_object_set_new(outcome, "trap", json_string(weir_trap_name(run->trap.code)));
    (void)json_object_set_new(object, "outcome", outcome != NULL ? outcome : json_null());
    (void)json_dumpf(object, to, JSON_COMPACT);
    (void)fputc('\n', to);
    json_decref(object);
}

enum weir_status weir__run_report(const struct weir__run *run, struct weir_error *error)
{
    struct report report;
    enum weir_status status = measure(run, &report, error);
    if (status != WEIR_OK)
        return status;
    (void)fflush(stdout);
    const char *path = run->options->report_path;
    FILE *to = path != NULL ? fopen(path, "we") : stderr;
    if (to == NULL)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot write the report to %s", path);
    if (run->options->is_json)
        print_json(&report, to);
    else
        print_table(&report, to);
    if (path != NULL && fclose(to) != 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot write the report to %s", path);
    return WEIR_OK;
}
