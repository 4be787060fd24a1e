/* `weir cache prune` and `weir cache verify`: what shall go. */
#include "cli/cache_command.h"

#include "base/sizes.h"

#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000) /* file times are compared in seconds: rounded up */

#define NAME_SHOWN 24 /* of 64 digits, or of what somebody else put there */

/* --- prune --------------------------------------------------------------------------------- */

static void print_removed(void *context, const char *name, uint64_t bytes)
{
    const struct cache_options *options = context;
    if (!options->is_json && !options->is_quiet)
        printf("  %s  %s\n", weir_cli_show(name, NAME_SHOWN).text, weir_size_format(bytes).text);
}

int weir__cache_prune(const struct cache_options *options, const struct cache_arguments *arguments)
{
    (void)arguments;
    struct weir_error error = {0};
    struct weir_artifact_dir *dir = NULL;
    struct weir_artifact_pruned pruned = {0};
    if (options->bytes_max == WEIR_UNLIMITED && options->unused_ns == 0 && !options->is_stale &&
        !options->is_quarantine)
        return weir_cli_usage_error(&weir__cache_command,
                                    "prune needs to know what: --max SIZE, --unused TIME, --stale "
                                    "or --quarantine");
    struct cache_options copy = *options;
    const struct weir_artifact_prune prune = {.bytes_max = options->bytes_max,
                                              .unused_s =
                                                  (int64_t)(options->unused_ns / SECOND_NS +
                                                            (options->unused_ns % SECOND_NS > 0)),
                                              .stale_s = options->is_stale ? 0 : -1,
                                              .quarantine = options->is_quarantine,
                                              .is_trial = options->is_trial,
                                              .visit = print_removed,
                                              .context = &copy};
    enum weir_status status = weir__cache_open(options, &dir, &error);
    if (status == WEIR_OK)
        status = weir_artifact_dir_prune(dir, &prune, &pruned, &error);
    weir_artifact_dir_close(dir);
    if (status != WEIR_OK)
        return weir_cli_fail(weir__cache_command.name, &error);
    if (options->is_json)
        weir__cache_print_json(
            json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "dry_run", options->is_trial, "removed",
                      (json_int_t)pruned.files, "removed_bytes", (json_int_t)pruned.bytes,
                      "removed_versions", (json_int_t)pruned.versions, "left",
                      (json_int_t)pruned.left_files, "left_bytes", (json_int_t)pruned.left_bytes));
    else
        printf("%s, %s, %s; %s, %s, left\n", weir__cache_count(pruned.files, "file").text,
               weir_size_format(pruned.bytes).text, options->is_trial ? "would go" : "removed",
               weir__cache_count(pruned.left_files, "artifact").text,
               weir_size_format(pruned.left_bytes).text);
    if (!options->is_json && options->bytes_max != WEIR_UNLIMITED &&
        pruned.left_bytes > options->bytes_max)
        printf("more than %s is left: the rest is pinned or loaded\n",
               weir_size_format(options->bytes_max).text);
    return 0;
}

/* --- verify -------------------------------------------------------------------------------- */

static json_t *bad_json(const struct weir_artifact_file *file, const char *why)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "artifact", weir__cache_hash_json(&file->key));
    (void)json_object_set_new(object, "problem", json_string(why));
    return object;
}

int weir__cache_verify(const struct cache_options *options, const struct cache_arguments *arguments)
{
    (void)arguments;
    struct weir_error error = {0};
    struct weir_artifact_dir *dir = NULL;
    struct cache_files files = {0};
    enum weir_status status = weir__cache_open(options, &dir, &error);
    if (status == WEIR_OK)
        status = weir__cache_files(dir, &files, &error);
    if (status != WEIR_OK) {
        weir_artifact_dir_close(dir);
        return weir_cli_fail(weir__cache_command.name, &error);
    }
    json_t *list = json_array();
    uint64_t good = 0, bad = 0;
    for (size_t i = 0; i < files.count; i++) {
        struct weir_error why = {0};
        status = weir_artifact_dir_check(dir, &files.list[i].key, &why);
        good += status == WEIR_OK;
        if (status != WEIR_OK && status != WEIR_NOT_FOUND) { /* removed meanwhile is no fault */
            bad++;
            (void)json_array_append_new(list, bad_json(&files.list[i], why.message));
            if (!options->is_json)
                printf("  %s  %s\n", weir__cache_short(&files.list[i].key).text, why.message);
        }
        weir_error_done(&why);
    }
    weir_artifact_dir_close(dir);
    weir__cache_files_done(&files);
    if (options->is_json)
        weir__cache_print_json(json_pack("{s:I, s:o}", "verified", (json_int_t)good, "bad", list));
    else
        printf("%s verified, %llu bad%s\n", weir__cache_count(good, "artifact").text,
               (unsigned long long)bad,
               bad > 0 ? ": moved to quarantine, compiled again when asked "
                         "for"
                       : "");
    if (!options->is_json)
        json_decref(list);
    return bad == 0 ? 0 : weir_status_exit_code(WEIR_CORRUPT);
}
