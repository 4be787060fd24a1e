/* `weir cache ls` and `weir cache stat`: what a directory holds. */
#include "cli/cache_command.h"

#include "artifact/format.h"
#include "base/sizes.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

static void set_number(json_t *object, const char *key, uint64_t value)
{
    (void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

#define AGE_MAX_S (INT64_MAX / 1000000000) /* 292 years */

/* "3.5 h" since a moment of the wall clock; what lies ahead was now. */
static struct weir_size_text age_of(int64_t moment_s)
{
    int64_t now_s = time(NULL), age_s;
    if (moment_s >= now_s)
        age_s = 0;
    else if (__builtin_sub_overflow(now_s, moment_s, &age_s) || age_s > AGE_MAX_S)
        age_s = AGE_MAX_S;
    return weir_duration_format((uint64_t)age_s * 1000000000u);
}

/* --- ls ------------------------------------------------------------------------------------ */

static const char *state_of(const struct weir_artifact_file *file)
{
    if (file->is_foreign)
        return "no artifact of this build";
    if (file->is_pinned)
        return file->is_loaded ? "pinned, loaded" : "pinned";
    return file->is_loaded ? "loaded" : "";
}

/* What is other than by default. */
static const char *options_of(const struct weir_artifact_file *file)
{
    static const char *const TEXTS[][2] = {
        [WEIR_BOUNDS_GUARD] = {"", "fuel"},
        [WEIR_BOUNDS_EXPLICIT] = {"explicit", "explicit, fuel"},
        [WEIR_BOUNDS_NO_SIGNALS] = {"no-signals", "no-signals, fuel"},
    };
    return TEXTS[weir_artifact_bounds(file->options)][(file->options & WEIR_ARTIFACT_FUEL) != 0];
}

static void print_files(const struct cache_files *files)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 7, 1u << 2 | 1u << 3);
    static const char *const HEAD[] = {"module", "artifact", "wasm", "size", "used", "for", ""};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(&table, "%s", HEAD[i]);
    for (size_t i = 0; i < files->count; i++) {
        const struct weir_artifact_file *file = &files->list[i];
        weir_cli_table_cell(&table, "%s",
                            file->is_foreign ? "?" : weir__cache_short(&file->module).text);
        weir_cli_table_cell(&table, "%s", weir__cache_short(&file->key).text);
        weir_cli_table_cell(&table, "%s",
                            file->is_foreign ? "?" : weir_size_format(file->module_bytes).text);
        weir_cli_table_cell(&table, "%s", weir_size_format(file->bytes).text);
        weir_cli_table_cell(&table, "%s ago", age_of(file->used_s).text);
        weir_cli_table_cell(&table, "%s", options_of(file));
        weir_cli_table_cell(&table, "%s", state_of(file));
    }
    weir_cli_table_print(&table, stdout);
}

static json_t *file_json(const struct weir_artifact_file *file)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "artifact", weir__cache_hash_json(&file->key));
    set_number(object, "bytes", file->bytes);
    set_number(object, "modified_s", (uint64_t)file->modified_s);
    set_number(object, "used_s", (uint64_t)file->used_s);
    (void)json_object_set_new(object, "loaded", json_boolean(file->is_loaded));
    (void)json_object_set_new(object, "foreign", json_boolean(file->is_foreign));
    if (file->is_foreign)
        return object;
    (void)json_object_set_new(object, "module", weir__cache_hash_json(&file->module));
    set_number(object, "module_bytes", file->module_bytes);
    (void)json_object_set_new(object, "pinned", json_boolean(file->is_pinned));
    (void)json_object_set_new(object, "generator", weir_cli_text_json(file->generator));
    (void)json_object_set_new(object, "fuel",
                              json_boolean((file->options & WEIR_ARTIFACT_FUEL) != 0));
    const char *bounds = weir_bounds_name(weir_artifact_bounds(file->options));
    (void)json_object_set_new(object, "bounds", json_string(bounds));
    return object;
}

int weir__cache_list(const struct cache_options *options, const struct cache_arguments *arguments)
{
    (void)arguments;
    struct weir_error error = {0};
    struct weir_artifact_dir *dir = NULL;
    struct cache_files files = {0};
    enum weir_status status = weir__cache_open(options, &dir, &error);
    if (status == WEIR_OK)
        status = weir__cache_files(dir, &files, &error);
    weir_artifact_dir_close(dir);
    if (status != WEIR_OK)
        return weir_cli_fail(weir__cache_command.name, &error);
    if (options->is_json) {
        json_t *list = json_array();
        for (size_t i = 0; i < files.count; i++)
            (void)json_array_append_new(list, file_json(&files.list[i]));
        weir__cache_print_json(list);
    } else {
        printf("%s, %s, in %s\n", weir__cache_count(files.count, "artifact").text,
               weir_size_format(files.bytes).text, options->folder);
        if (files.count > 0)
            print_files(&files);
    }
    weir__cache_files_done(&files);
    return 0;
}

/* --- stat ---------------------------------------------------------------------------------- */

struct totals {
    struct cache_files files;
    uint64_t pinned, pinned_bytes, loaded, loaded_bytes, pins;
    uint64_t other_versions, other_bytes, other_in_use;
    char version[64];
    struct weir_artifact_quarantine quarantine;
    uint64_t free_bytes;
};

static bool add_pin(void *context, const struct weir_hash *module)
{
    (void)module;
    ((struct totals *)context)->pins++;
    return true;
}

static bool add_version(void *context, const struct weir_artifact_version *version)
{
    struct totals *totals = context;
    if (version->is_current) {
        (void)snprintf(totals->version, sizeof totals->version, "%s", version->name);
        return true;
    }
    totals->other_versions++;
    totals->other_bytes += version->bytes;
    totals->other_in_use += version->is_in_use;
    return true;
}

static enum weir_status add_up(const struct cache_options *options, struct totals *totals,
                               struct weir_error *error)
{
    struct weir_artifact_dir *dir = NULL;
    struct statvfs disk;
    enum weir_status status = weir__cache_open(options, &dir, error);
    if (status == WEIR_OK)
        status = weir__cache_files(dir, &totals->files, error);
    if (status == WEIR_OK)
        status = weir_artifact_dir_walk_versions(dir, add_version, totals, error);
    if (status == WEIR_OK) {
        weir_artifact_dir_walk_pins(dir, add_pin, totals);
        weir_artifact_dir_quarantine_read(dir, &totals->quarantine);
    }
    weir_artifact_dir_close(dir);
    for (size_t i = 0; i < totals->files.count; i++) {
        const struct weir_artifact_file *file = &totals->files.list[i];
        totals->pinned += file->is_pinned;
        totals->pinned_bytes += file->is_pinned ? file->bytes : 0;
        totals->loaded += file->is_loaded;
        totals->loaded_bytes += file->is_loaded ? file->bytes : 0;
    }
    if (statvfs(options->folder, &disk) == 0)
        totals->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return status;
}

static void print_totals(const struct cache_options *options, const struct totals *totals)
{
    printf("%s, %s, in %s\n", weir__cache_count(totals->files.count, "artifact").text,
           weir_size_format(totals->files.bytes).text, options->folder);
    printf("  loaded      %s, %s, by processes that run now\n",
           weir__cache_count(totals->loaded, "artifact").text,
           weir_size_format(totals->loaded_bytes).text);
    printf("  pinned      %s, %s; %s\n", weir__cache_count(totals->pinned, "artifact").text,
           weir_size_format(totals->pinned_bytes).text,
           weir__cache_count(totals->pins, "pin").text);
    printf("  version     %s\n", totals->version);
    printf("  others      %s, %s, %" PRIu64 " in use%s\n",
           weir__cache_count(totals->other_versions, "version").text,
           weir_size_format(totals->other_bytes).text, totals->other_in_use,
           totals->other_versions > totals->other_in_use ? "; weir cache prune --stale" : "");
    printf("  quarantine  %s, %s%s\n", weir__cache_count(totals->quarantine.files, "file").text,
           weir_size_format(totals->quarantine.bytes).text,
           totals->quarantine.files > 0 ? "; weir cache prune --quarantine" : "");
    printf("  disk        %s free\n", weir_size_format(totals->free_bytes).text);
}

static void print_totals_json(const struct cache_options *options, const struct totals *totals)
{
    json_t *object =
        json_pack("{s:o, s:s}", "directory", weir_cli_text_json(options->folder), "version",
                  totals->version);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"artifacts", totals->files.count},
        {"bytes", totals->files.bytes},
        {"loaded", totals->loaded},
        {"loaded_bytes", totals->loaded_bytes},
        {"pinned", totals->pinned},
        {"pinned_bytes", totals->pinned_bytes},
        {"pins", totals->pins},
        {"other_versions", totals->other_versions},
        {"other_versions_in_use", totals->other_in_use},
        {"other_versions_bytes", totals->other_bytes},
        {"quarantined", totals->quarantine.files},
        {"quarantined_bytes", totals->quarantine.bytes},
        {"disk_free_bytes", totals->free_bytes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        set_number(object, numbers[i].key, numbers[i].value);
    weir__cache_print_json(object);
}

int weir__cache_stat(const struct cache_options *options, const struct cache_arguments *arguments)
{
    (void)arguments;
    struct weir_error error = {0};
    struct totals totals = {0};
    enum weir_status status = add_up(options, &totals, &error);
    int exit_code = 0;
    if (status != WEIR_OK)
        exit_code = weir_cli_fail(weir__cache_command.name, &error);
    else if (options->is_json)
        print_totals_json(options, &totals);
    else
        print_totals(options, &totals);
    weir__cache_files_done(&totals.files);
    return exit_code;
}
