/* `weir plan --for wasmd`: the contract cache of a CosmWasm node. */
#include "cli/plan_internal.h"

#include "base/cleanup.h"
#include "base/sizes.h"

#include <stdio.h>
#include <string.h>

#define TRACE_BYTES_MAX (UINT64_C(512) << 20) /* more than the uses that are read can fill */

struct wasmd {
    const struct plan_options *options;
    struct weir_wasmd_config config;
    struct weir_wasmd_modules modules;
    struct weir_wasmd_trace trace;
    struct weir_plan *plan;
    bool has_modules, has_trace;
    struct weir_wasmd_release release;
    uint64_t now_mib;     /* what wasmvm makes of the file's figure */
    uint64_t advised_mib; /* 0: nothing to say */
    struct plan_notes notes;
};

static const struct weir_wasmd_folder *used_folder(const struct wasmd *wasmd)
{
    return &wasmd->modules.folders[wasmd->modules.used];
}

/* --- judging ------------------------------------------------------------------------------- */

static bool wraps(const struct wasmd *wasmd)
{
    return wasmd->release.wraps && wasmd->config.cache_mib > WEIR_WASMD_CACHE_MAX_MIB;
}

static bool has_failing_module(const struct wasmd *wasmd)
{
    return wasmd->has_modules && wasmd->now_mib > 0 &&
           used_folder(wasmd)->largest > wasmd->now_mib * WEIR_MIB;
}

static void judge_cache(struct wasmd *wasmd)
{
    struct plan_notes *notes = &wasmd->notes;
    if (wraps(wasmd))
        weir__plan_note(
            notes,
            "memory_cache_size = %llu wraps: wasmvm multiplies in 32 bits since 2.2, "
            "and from 4096 on the count begins again at 0. What it really sets is %llu MiB%s. "
            "4095 is the largest value that means what it says.",
            (unsigned long long)wasmd->config.cache_mib, (unsigned long long)wasmd->now_mib,
            wasmd->now_mib == 0 ? ", which switches the cache off" : "");
    else if (wasmd->config.cache_mib > WEIR_WASMD_CACHE_MAX_MIB)
        weir__plan_note(notes,
                        "memory_cache_size = %llu means that much here, but wraps from wasmvm 2.2 "
                        "on: 4095 is the largest value to keep.",
                        (unsigned long long)wasmd->config.cache_mib);
    else if (wasmd->now_mib == 0)
        weir__plan_note(notes, "memory_cache_size = 0 switches the memory cache off: every call "
                               "of a contract that is not pinned loads it from disk.");
    if (has_failing_module(wasmd))
        weir__plan_note(notes,
                        "The heaviest module needs %llu MiB, more than the cache: calls of it fail "
                        "with a cache error.",
                        (unsigned long long)weir_size_mib(used_folder(wasmd)->largest));
    if (wasmd->advised_mib == WEIR_WASMD_CACHE_MAX_MIB)
        weir__plan_note(notes, "4095 MiB is the most that memory_cache_size can say; pin what is "
                               "used most.");
    if (wasmd->has_trace && wasmd->trace.unknown_count > 0)
        weir__plan_note(notes,
                        "Left out: %llu of the trace's uses, because their modules are not in the "
                        "folder in use.",
                        (unsigned long long)wasmd->trace.unknown_count);
    weir__plan_note(notes, "The cache counts files + 10 KiB each, not memory. Measured, a loaded "
                           "module takes 2.19 x that with wasmvm 1.4, 1.08 x with 1.5 and 2.0, "
                           "0.65 x since 2.1; the node does not say.");
}

static void advise(struct wasmd *wasmd)
{
    wasmd->now_mib = weir_wasmd_cache_bytes(&wasmd->release, wasmd->config.cache_mib) / WEIR_MIB;
    if (wasmd->has_trace)
        wasmd->advised_mib = weir_size_mib(wasmd->trace.full_weight > 0 ? wasmd->trace.full_weight
                                                                        : wasmd->trace.weight);
    else if (wasmd->has_modules)
        wasmd->advised_mib = weir_size_mib(used_folder(wasmd)->weight);
    else if (wasmd->now_mib < WEIR_WASMD_CACHE_ADVICE_MIB)
        wasmd->advised_mib = WEIR_WASMD_CACHE_ADVICE_MIB;
    if (wasmd->has_modules && wasmd->advised_mib < weir_size_mib(used_folder(wasmd)->largest))
        wasmd->advised_mib = weir_size_mib(used_folder(wasmd)->largest);
    if (wasmd->advised_mib > WEIR_WASMD_CACHE_MAX_MIB)
        wasmd->advised_mib = WEIR_WASMD_CACHE_MAX_MIB;
    judge_cache(wasmd);
}

/* What the larger cache takes, by the measured share where the release is known. */
static uint64_t memory_to_add_mib(const struct wasmd *wasmd)
{
    if (wasmd->advised_mib <= wasmd->now_mib)
        return 0;
    uint64_t mib = wasmd->advised_mib - wasmd->now_mib;
    unsigned percent = wasmd->release.resident_percent;
    if (wasmd->release.growth == WEIR_WASMD_UNKNOWN || percent < 100)
        percent = 100;
    return (mib * percent + 99) / 100;
}

/* --- table --------------------------------------------------------------------------------- */

static void print_answer(const struct wasmd *wasmd)
{
    unsigned long long advised = wasmd->advised_mib, now = wasmd->now_mib;
    const char *why = wasmd->has_trace     ? "holds what the trace uses again"
                      : wasmd->has_modules ? "holds everything"
                                           : "CosmWasm's example; --modules tells this node's need";
    if (advised == 0)
        printf("memory_cache_size: %llu MiB now; --modules tells whether that is enough\n", now);
    else if (advised <= now)
        printf("memory_cache_size: %llu MiB now, enough: %llu MiB %s\n", now, advised, why);
    else
        printf("memory_cache_size = %llu # MiB; %llu now: add %s MiB of memory\n", advised, now,
               weir__plan_number(memory_to_add_mib(wasmd)).text);
    if (advised > now)
        printf("%llu MiB: %s.\n", advised, why);
    printf("%s: memory_cache_size = %llu (MiB)%s\n", wasmd->config.name,
           (unsigned long long)wasmd->config.cache_mib,
           wasmd->config.is_set ? "" : ", wasmd's default");
}

static void print_version(const struct wasmd *wasmd)
{
    static const char *const TEXTS[] = {
        [WEIR_WASMD_GROWS] = "it grows. Upgrade first; a larger cache only slows it.",
        [WEIR_WASMD_MAYBE] = "some of it grows: `wasmd query wasm libwasmvm-version`.",
        [WEIR_WASMD_FIXED] = "it has the fix.",
        [WEIR_WASMD_BEFORE] = "older than the bug.",
        [WEIR_WASMD_UNKNOWN] = "not known: `wasmd query wasm libwasmvm-version` tells.",
    };
    printf("\nFirst, the version of wasmvm\n"
           "  1.4.0 to 1.4.2, 1.5.0, 1.5.1  memory grows with every load from disk\n"
           "  1.4.3, 1.5.2, 2.0.0 and later fixed: what is evicted is given back\n");
    if (wasmd->options->version != NULL)
        printf("  this node: %s, %s\n", wasmd->options->version, TEXTS[wasmd->release.growth]);
    else if (wasmd->has_modules)
        printf("  this node: %s, by its folder %s;\n    %s\n",
               weir_wasmd_folder_series(used_folder(wasmd)->version), used_folder(wasmd)->version,
               TEXTS[wasmd->release.growth]);
    else
        printf("  this node: %s\n", TEXTS[wasmd->release.growth]);
}

static void print_bounds(const struct wasmd *wasmd)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 4, 1u << 1);
    static const char *const HEAD[] = {"what", "MiB", "source", "why"};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(&table, "%s", HEAD[i]);
    for (size_t i = 0; i < weir_plan_line_count(wasmd->plan); i++) {
        const struct weir_plan_line *line = weir_plan_line_at(wasmd->plan, i);
        weir_cli_table_cell(&table, "%s", line->what);
        if (line->is_unbounded)
            weir_cli_table_cell(&table, "open");
        else
            weir_cli_table_cell(&table, "%s", weir__plan_number(weir_size_mib(line->bytes)).text);
        weir_cli_table_cell(&table, "%s", weir_plan_origin_name(line->origin));
        weir_cli_table_cell(&table, "%s", line->why);
    }
    printf("\nWhat bounds it\n");
    weir_cli_table_print(&table, stdout);
    printf("  code: cosmwasm's packages/vm, wasmvm's types/config.go, wasmd's x/wasm\n");
}

/* The target by its CPU hash: the last 8 characters tell two of them apart. */
static const char *target_text(const struct weir_wasmd_folder *folder)
{
    size_t size = strlen(folder->target);
    return size > 8 ? folder->target + size - 8 : folder->target;
}

static void print_modules(const struct wasmd *wasmd)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 6, 1u << 2 | 1u << 3 | 1u << 4);
    static const char *const HEAD[] = {"folder", "CPU", "modules", "MiB", "MiB to hold", "of"};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(&table, "%s", HEAD[i]);
    for (size_t i = 0; i < wasmd->modules.folder_count; i++) {
        const struct weir_wasmd_folder *folder = &wasmd->modules.folders[i];
        weir_cli_table_cell(&table, "%.40s", folder->version);
        weir_cli_table_cell(&table, "%s", target_text(folder));
        weir_cli_table_cell(&table, "%s", weir__plan_number(folder->count).text);
        weir_cli_table_cell(&table, "%s", weir__plan_number(weir_size_mib(folder->bytes)).text);
        weir_cli_table_cell(&table, "%s", weir__plan_number(weir_size_mib(folder->weight)).text);
        weir_cli_table_cell(&table, "%s%s", weir_wasmd_folder_series(folder->version),
                            i == wasmd->modules.used ? ", in use" : "");
    }
    printf("\nCompiled modules (folders of older versions are never deleted by the node)\n");
    weir_cli_table_print(&table, stdout);
    printf("  hold everything = %s MiB, what a permissioned chain wants\n",
           weir__plan_number(weir_size_mib(used_folder(wasmd)->weight)).text);
}

struct candidate {
    uint64_t mib;
    const char *what;
};
#define CANDIDATES 4

static void list_candidates(const struct wasmd *wasmd, struct candidate ret_list[CANDIDATES])
{
    ret_list[0] = (struct candidate){wasmd->now_mib, "now"};
    ret_list[1] =
        (struct candidate){weir_size_mib(wasmd->trace.hot_weight), "99 % of repeated uses hit"};
    ret_list[2] =
        (struct candidate){weir_size_mib(wasmd->trace.full_weight), "all repeated uses hit"};
    ret_list[3] = (struct candidate){weir_size_mib(used_folder(wasmd)->weight), "hold everything"};
}

static enum weir_status print_trace(const struct wasmd *wasmd, struct weir_error *error)
{
    struct candidate list[CANDIDATES];
    list_candidates(wasmd, list);
    struct weir_cli_table table;
    weir_cli_table_init(&table, 5, 0xfu);
    static const char *const HEAD[] = {"cache MiB", "hits", "reloads", "MiB reloaded", ""};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(&table, "%s", HEAD[i]);
    for (size_t i = 0; i < CANDIDATES; i++) {
        struct weir_wasmd_replay replay;
        enum weir_status status = weir_wasmd_replay(&wasmd->trace, &wasmd->modules,
                                                    list[i].mib * WEIR_MIB, &replay, error);
        if (status != WEIR_OK) {
            weir_cli_table_done(&table);
            return status;
        }
        weir_cli_table_cell(&table, "%s", weir__plan_number(list[i].mib).text);
        weir_cli_table_cell(&table, "%.1f %%",
                            100.0 * (double)replay.hits / (double)wasmd->trace.use_count);
        weir_cli_table_cell(&table, "%s", weir__plan_number(replay.reloads).text);
        weir_cli_table_cell(&table, "%s",
                            weir__plan_number(weir_size_mib(replay.reloaded_bytes)).text);
        weir_cli_table_cell(&table, "%s%s", list[i].what,
                            replay.failures > 0 ? "; some calls fail" : "");
    }
    printf("\nThe trace: %s uses of %s modules, %s MiB of them; replayed\n",
           weir__plan_number(wasmd->trace.use_count).text,
           weir__plan_number(wasmd->trace.module_count).text,
           weir__plan_number(weir_size_mib(wasmd->trace.weight)).text);
    weir_cli_table_print(&table, stdout);
    printf("  A growing version keeps every MiB reloaded for ever.\n");
    return WEIR_OK;
}

static enum weir_status print_table(const struct wasmd *wasmd, struct weir_error *error)
{
    print_answer(wasmd);
    print_version(wasmd);
    print_bounds(wasmd);
    if (wasmd->has_modules)
        print_modules(wasmd);
    enum weir_status status = wasmd->has_trace ? print_trace(wasmd, error) : WEIR_OK;
    if (status == WEIR_OK)
        weir__plan_print_notes("Mind", &wasmd->notes);
    return status;
}

/* --- JSON ---------------------------------------------------------------------------------- */

static const char *growth_name(enum weir_wasmd_growth growth)
{
    static const char *const NAMES[] = {"grows", "maybe", "fixed", "before", "unknown"};
    return NAMES[growth];
}

static json_t *folders_json(const struct wasmd *wasmd)
{
    json_t *list = json_array();
    for (size_t i = 0; i < wasmd->modules.folder_count; i++) {
        const struct weir_wasmd_folder *folder = &wasmd->modules.folders[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I}", "version", folder->version,
                      "target", folder->target, "series", weir_wasmd_folder_series(folder->version),
                      "in_use", i == wasmd->modules.used, "modules", (json_int_t)folder->count,
                      "bytes", (json_int_t)folder->bytes, "disk_bytes",
                      (json_int_t)folder->disk_bytes, "hold_bytes", (json_int_t)folder->weight));
    }
    return list;
}

static json_t *trace_json(const struct wasmd *wasmd)
{
    struct candidate list[CANDIDATES];
    list_candidates(wasmd, list);
    json_t *replays = json_array();
    for (size_t i = 0; i < CANDIDATES; i++) {
        struct weir_wasmd_replay replay;
        if (weir_wasmd_replay(&wasmd->trace, &wasmd->modules, list[i].mib * WEIR_MIB, &replay,
                              NULL) != WEIR_OK)
            continue;
        (void)json_array_append_new(
            replays,
            json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "cache_mib", (json_int_t)list[i].mib,
                      "what", list[i].what, "hits", (json_int_t)replay.hits, "loads",
                      (json_int_t)replay.loads, "reloads", (json_int_t)replay.reloads,
                      "reloaded_bytes", (json_int_t)replay.reloaded_bytes, "failures",
                      (json_int_t)replay.failures));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "uses", (json_int_t)wasmd->trace.use_count,
                     "unknown_uses", (json_int_t)wasmd->trace.unknown_count, "modules",
                     (json_int_t)wasmd->trace.module_count, "hot_bytes",
                     (json_int_t)wasmd->trace.full_weight, "replays", replays);
}

static int print_json(const struct wasmd *wasmd)
{
    uint64_t add = wasmd->advised_mib > wasmd->now_mib ? wasmd->advised_mib - wasmd->now_mib : 0;
    json_t *everything = wasmd->has_modules
                             ? json_integer((json_int_t)weir_size_mib(used_folder(wasmd)->weight))
                             : json_null();
    json_t *advised =
        wasmd->advised_mib > 0 ? json_integer((json_int_t)wasmd->advised_mib) : json_null();
    return weir__plan_print_json(json_pack(
        "{s:s, s:s, s:{s:I, s:b, s:I, s:b}, s:{s:s?, s:s, s:i}, s:o, s:o, s:I, s:I, s:o, s:o, "
        "s:o, s:o}",
        "for", "wasmd", "config", wasmd->config.name, "memory_cache_size", "written_mib",
        (json_int_t)wasmd->config.cache_mib, "is_set", wasmd->config.is_set, "effective_mib",
        (json_int_t)wasmd->now_mib, "wraps", wraps(wasmd), "wasmvm", "version",
        wasmd->options->version, "growth", growth_name(wasmd->release.growth), "resident_percent",
        (int)wasmd->release.resident_percent, "hold_everything_mib", everything, "advised_mib",
        advised, "add_mib", (json_int_t)add, "add_memory_mib", (json_int_t)memory_to_add_mib(wasmd),
        "folders", wasmd->has_modules ? folders_json(wasmd) : json_null(), "trace",
        wasmd->has_trace ? trace_json(wasmd) : json_null(), "lines",
        weir__plan_lines_json(wasmd->plan), "warnings", weir__plan_notes_json(&wasmd->notes)));
}

/* --- running ------------------------------------------------------------------------------- */

static enum weir_status read_config(struct wasmd *wasmd, struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    const char *file = wasmd->options->file;
    enum weir_status status =
        weir_cli_read_file(file, WEIR_FOREIGN_CONFIG_BYTES_MAX, &bytes, &size, error);
    if (status != WEIR_OK)
        return status;
    return weir_wasmd_config_parse(file, bytes, size, &wasmd->config, error);
}

static enum weir_status read_trace(struct wasmd *wasmd, struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    const char *file = wasmd->options->trace;
    enum weir_status status = weir_cli_read_file(file, TRACE_BYTES_MAX, &bytes, &size, error);
    if (status == WEIR_OK)
        status = weir_wasmd_trace_parse(file, bytes, size, &wasmd->modules, &wasmd->trace, error);
    wasmd->has_trace = status == WEIR_OK;
    return status;
}

static enum weir_status read_all(struct wasmd *wasmd, struct weir_error *error)
{
    const struct plan_options *options = wasmd->options;
    enum weir_status status = read_config(wasmd, error);
    if (status == WEIR_OK && options->version != NULL)
        status = weir_wasmd_release_of_version(options->version, &wasmd->release, error);
    if (status == WEIR_OK && options->modules != NULL) {
        status = weir_wasmd_modules_read(options->modules, &wasmd->modules, error);
        wasmd->has_modules = status == WEIR_OK;
    }
    if (status == WEIR_OK && options->trace != NULL)
        status = read_trace(wasmd, error);
    if (status == WEIR_OK && options->version == NULL && wasmd->has_modules)
        wasmd->release = weir_wasmd_release_of_folder(used_folder(wasmd)->version);
    if (status == WEIR_OK)
        status =
            weir_wasmd_plan_make(&wasmd->config, &wasmd->release,
                                 wasmd->has_modules ? &wasmd->modules : NULL, &wasmd->plan, error);
    return status;
}

int weir__plan_wasmd(const struct plan_options *options)
{
    const struct weir_cli_command *command = &weir__plan_command;
    if (options->file == NULL)
        return weir_cli_usage_error(command, "no app.toml is named; it is in HOME/config");
    if (options->trace != NULL && options->modules == NULL)
        return weir_cli_usage_error(command, "--trace needs --modules, for the sizes");
    if (options->output != PLAN_TABLE && options->output != PLAN_JSON)
        return weir_cli_usage_error(command, "wasmd reads memory_cache_size from app.toml only: "
                                             "--output table or json");
    struct wasmd wasmd = {.options = options, .release = weir_wasmd_release_unknown()};
    struct weir_error error = {0};
    enum weir_status status = read_all(&wasmd, &error);
    int exit_code = 0;
    if (status == WEIR_OK) {
        advise(&wasmd);
        if (options->output == PLAN_JSON)
            exit_code = print_json(&wasmd);
        else
            status = print_table(&wasmd, &error);
    }
    if (status != WEIR_OK)
        exit_code = weir_cli_fail(command->name, &error);
    else if (exit_code == 0 && (wraps(&wasmd) || has_failing_module(&wasmd)))
        exit_code = weir_status_exit_code(WEIR_LIMIT);
    weir_plan_free(wasmd.plan);
    weir_wasmd_trace_done(&wasmd.trace);
    weir_wasmd_modules_done(&wasmd.modules);
    return exit_code;
}
