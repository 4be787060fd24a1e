/* `weir cache advise`: how large the memory tier should be, by a trace. */
#include "cli/cache_command.h"

#include "base/sizes.h"
#include "cache/replay.h"
#include "server/host_file.h"

#include <stdio.h>

#define TRACE_BYTES_MAX (UINT64_C(2) << 30) /* more than the uses that are replayed can fill */
#define ROWS_MAX 12

struct advice {
    const struct cache_options *options;
    struct weir_replay *replay;
    struct weir_replay_figures figures;
    struct weir_replay_result rows[ROWS_MAX];
    size_t row_count;
    size_t now; /* the row of --memory; SIZE_MAX without it */
};

/* --- sizes for a trace that has none ------------------------------------------------------- */

static uint64_t size_on_disk(void *context, const uint8_t module[32])
{
    const struct cache_files *files = context;
    struct weir_hash hash;
    for (unsigned i = 0; i < sizeof hash.bytes; i++)
        hash.bytes[i] = module[i];
    for (size_t i = 0; i < files->count; i++)
        if (!files->list[i].is_foreign && weir_hash_equal(&files->list[i].module, &hash))
            return files->list[i].bytes;
    return 0;
}

/* A directory that is not there has no sizes, which is no error: the trace may say them. */
static void read_sizes(const struct cache_options *options, struct cache_files *files)
{
    struct weir_artifact_dir *dir = NULL;
    if (weir__cache_open(options, &dir, NULL) == WEIR_OK &&
        weir__cache_files(dir, files, NULL) != WEIR_OK)
        *files = (struct cache_files){0};
    weir_artifact_dir_close(dir);
}

static enum weir_status read_trace(struct advice *advice, struct weir_error *error)
{
    const struct cache_options *options = advice->options;
    struct weir_host_file file = {0};
    struct cache_files files = {0};
    enum weir_status status =
        weir_host_file_read(options->trace, TRACE_BYTES_MAX, weir_account_host(), &file, error);
    if (status != WEIR_OK)
        return status;
    read_sizes(options, &files);
    const struct weir_replay_trace trace = {.name = options->trace,
                                            .bytes = (const char *)file.bytes,
                                            .size = file.size,
                                            .size_of = size_on_disk,
                                            .context = &files};
    status = weir_replay_open(&trace, &advice->replay, error);
    weir__cache_files_done(&files);
    weir_host_file_done(&file);
    if (status == WEIR_OK)
        weir_replay_figures(advice->replay, &advice->figures);
    return status;
}

/* --- rows ---------------------------------------------------------------------------------- */

static void add_row(struct advice *advice, uint64_t bytes)
{
    size_t at = advice->row_count;
    while (at > 0 && advice->rows[at - 1].cache_bytes > bytes)
        at--;
    if (bytes == 0 || advice->row_count == ROWS_MAX ||
        (at > 0 && advice->rows[at - 1].cache_bytes == bytes))
        return;
    for (size_t i = advice->row_count; i > at; i--)
        advice->rows[i] = advice->rows[i - 1];
    weir_replay_run(advice->replay, bytes, &advice->rows[at]);
    advice->row_count++;
}

static void fill_rows(struct advice *advice)
{
    static const double RATIOS[] = {0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0};
    add_row(advice, advice->options->memory_bytes);
    for (size_t i = 0; i < sizeof RATIOS / sizeof RATIOS[0]; i++)
        add_row(advice, weir_replay_size_for(advice->replay, RATIOS[i]));
    advice->now = SIZE_MAX;
    for (size_t i = 0; i < advice->row_count; i++)
        if (advice->rows[i].cache_bytes == advice->options->memory_bytes)
            advice->now = i;
}

static double percent(const struct advice *advice, uint64_t bytes)
{
    return 100.0 * (double)bytes / (double)advice->figures.used_bytes;
}

/* The smallest size whose replay loads at most 1 % of the bytes again. */
static const struct weir_replay_result *advised(const struct advice *advice)
{
    for (size_t i = 0; i < advice->row_count; i++)
        if (percent(advice, advice->rows[i].reloaded_bytes) <= 1.0)
            return &advice->rows[i];
    return advice->row_count > 0 ? &advice->rows[advice->row_count - 1] : NULL;
}

/* --- printing ------------------------------------------------------------------------------ */

static void print_answer(const struct advice *advice)
{
    const struct weir_replay_result *best = advised(advice);
    if (best == NULL) {
        printf("Any size will do: no module of the trace is used twice.\n");
        return;
    }
    printf("%s of memory tier: %.1f %% of bytes loaded again",
           weir_size_format(best->cache_bytes).text, percent(advice, best->reloaded_bytes));
    if (advice->now != SIZE_MAX && &advice->rows[advice->now] != best)
        printf(" (%s: %.1f %%)", weir_size_format(advice->options->memory_bytes).text,
               percent(advice, advice->rows[advice->now].reloaded_bytes));
    printf(".\nBeyond %s nothing is loaded twice.\n",
           weir_size_format(advice->figures.enough_bytes).text);
}

static void print_rows(const struct advice *advice)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 5, 0x1f);
    static const char *const HEAD[] = {"memory tier", "loads", "loaded again", "of bytes", "LRU"};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(&table, "%s", HEAD[i]);
    for (size_t i = 0; i < advice->row_count; i++) {
        const struct weir_replay_result *row = &advice->rows[i];
        weir_cli_table_cell(&table, "%s", weir_size_format(row->cache_bytes).text);
        weir_cli_table_cell(&table, "%llu", (unsigned long long)row->loads);
        weir_cli_table_cell(&table, "%llu", (unsigned long long)row->reloads);
        weir_cli_table_cell(&table, "%.1f %%", percent(advice, row->reloaded_bytes));
        weir_cli_table_cell(&table, "%.1f %%", 100 * row->lru_reload_byte_ratio);
    }
    printf("\n");
    weir_cli_table_print(&table, stdout);
    const struct weir_replay_figures *figures = &advice->figures;
    printf("\n%llu uses of %s, %s to hold them all, the largest %s.\n",
           (unsigned long long)figures->uses, weir__cache_count(figures->modules, "module").text,
           weir_size_format(figures->module_bytes).text,
           weir_size_format(figures->largest_bytes).text);
    if (figures->unknown_uses > 0)
        printf("%s of modules of unknown size left out: --cache names the directory that has "
               "them.\n",
               weir__cache_count(figures->unknown_uses, "use").text);
}

static void print_json(const struct advice *advice)
{
    const struct weir_replay_figures *figures = &advice->figures;
    const struct weir_replay_result *best = advised(advice);
    json_t *rows = json_array();
    for (size_t i = 0; i < advice->row_count; i++) {
        const struct weir_replay_result *row = &advice->rows[i];
        (void)json_array_append_new(
            rows,
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "memory_bytes",
                      (json_int_t)row->cache_bytes, "loads", (json_int_t)row->loads, "reloads",
                      (json_int_t)row->reloads, "reloaded_bytes", (json_int_t)row->reloaded_bytes,
                      "evictions", (json_int_t)row->evictions, "reload_byte_ratio",
                      percent(advice, row->reloaded_bytes) / 100, "lru_reload_byte_ratio",
                      row->lru_reload_byte_ratio));
    }
    weir__cache_print_json(
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "advised_bytes",
                  (json_int_t)(best != NULL ? best->cache_bytes : 0), "enough_bytes",
                  (json_int_t)figures->enough_bytes, "uses", (json_int_t)figures->uses,
                  "used_bytes", (json_int_t)figures->used_bytes, "modules",
                  (json_int_t)figures->modules, "module_bytes", (json_int_t)figures->module_bytes,
                  "unknown_uses", (json_int_t)figures->unknown_uses, "sizes", rows));
}

int weir__cache_advise(const struct cache_options *options, const struct cache_arguments *arguments)
{
    (void)arguments;
    struct weir_error error = {0};
    struct advice advice = {.options = options};
    if (options->trace == NULL)
        return weir_cli_usage_error(&weir__cache_command,
                                    "advise needs --trace FILE: man weir-cache, TRACES");
    enum weir_status status = read_trace(&advice, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(weir__cache_command.name, &error);
    fill_rows(&advice);
    if (options->is_json) {
        print_json(&advice);
    } else {
        print_answer(&advice);
        print_rows(&advice);
    }
    weir_replay_free(advice.replay);
    return 0;
}
