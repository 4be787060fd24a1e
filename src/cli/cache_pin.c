/* `weir cache pin`, `unpin` and `warm`: what shall be there. */
#include "cli/cache_command.h"

#include "base/sizes.h"
#include "cli/cli_progress.h"
#include "server/host_file.h"

#include <weir/engine.h>

#include <stdio.h>

/* --- pins ---------------------------------------------------------------------------------- */

static bool has_artifact(const struct cache_files *files, const struct weir_hash *module)
{
    for (size_t i = 0; i < files->count; i++)
        if (!files->list[i].is_foreign && weir_hash_equal(&files->list[i].module, module))
            return true;
    return false;
}

static enum weir_status set_pin(struct weir_artifact_dir *dir, const char *argument, bool is_pinned,
                                json_t *list, struct weir_error *error)
{
    struct weir_hash module;
    struct cache_files files = {0};
    enum weir_status status = weir__cache_resolve(dir, argument, &module, error);
    if (status == WEIR_OK)
        status = weir__cache_files(dir, &files, error);
    if (status != WEIR_OK)
        return status;
    bool was_pinned = weir_artifact_dir_is_pinned(dir, &module);
    bool is_there = has_artifact(&files, &module);
    weir__cache_files_done(&files);
    if (!is_pinned && !was_pinned)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "%s is not pinned", argument);
    status = weir_artifact_dir_pin(dir, &module, is_pinned, error);
    if (status != WEIR_OK)
        return status;
    if (list != NULL) {
        json_t *object = json_object();
        (void)json_object_set_new(object, "module", weir__cache_hash_json(&module));
        (void)json_object_set_new(object, "pinned", json_boolean(is_pinned));
        (void)json_object_set_new(object, "compiled", json_boolean(is_there));
        (void)json_array_append_new(list, object);
        return WEIR_OK;
    }
    printf("%s  %s%s%s\n", weir__cache_short(&module).text, is_pinned ? "pinned" : "unpinned",
           is_pinned && was_pinned ? ", as it was" : "",
           is_pinned && !is_there ? "; not compiled yet: weir cache warm FILE.wasm" : "");
    return WEIR_OK;
}

static int set_pins(const struct cache_options *options, const struct cache_arguments *arguments,
                    bool is_pinned)
{
    struct weir_error error = {0};
    struct weir_artifact_dir *dir = NULL;
    if (arguments->count == 0)
        return weir_cli_usage_error(&weir__cache_command, "no module is named");
    enum weir_status status = is_pinned ? weir_artifact_dir_open(options->folder, &dir, &error)
                                        : weir__cache_open(options, &dir, &error);
    json_t *list = options->is_json ? json_array() : NULL;
    for (int i = 0; i < arguments->count && status == WEIR_OK; i++)
        status = set_pin(dir, arguments->texts[i], is_pinned, list, &error);
    weir_artifact_dir_close(dir);
    if (list != NULL)
        weir__cache_print_json(list);
    return status == WEIR_OK ? 0 : weir_cli_fail(weir__cache_command.name, &error);
}

int weir__cache_pin(const struct cache_options *options, const struct cache_arguments *arguments)
{
    return set_pins(options, arguments, true);
}

int weir__cache_unpin(const struct cache_options *options, const struct cache_arguments *arguments)
{
    return set_pins(options, arguments, false);
}

/* --- warming ------------------------------------------------------------------------------- */

static void tell_module(const char *path, const struct weir_module_figures *figures, json_t *list)
{
    if (list != NULL) {
        (void)json_array_append_new(
            list, json_pack("{s:o, s:b, s:b, s:f, s:I, s:I}", "file", weir_cli_text_json(path),
                            "was_cached", figures->was_cached, "kept", figures->is_kept,
                            "compile_ms", figures->compile_ms, "module_bytes",
                            (json_int_t)figures->module_bytes, "artifact_bytes",
                            (json_int_t)figures->artifact_bytes));
        return;
    }
    const char *name = weir_host_file_name(path);
    struct weir_size_text size = weir_size_format(figures->artifact_bytes);
    if (figures->was_cached)
        printf("%s  was there, %s\n", name, size.text);
    else
        printf("%s  compiled in %s, %s%s\n", name,
               weir_duration_format((uint64_t)(figures->compile_ms * 1e6)).text, size.text,
               figures->is_kept ? "" : ", not kept");
}

static enum weir_status warm(struct weir_engine *engine, const struct cache_options *options,
                             const char *path, json_t *list, struct weir_error *error)
{
    char what[96];
    struct weir_cli_progress progress;
    struct weir_module *module = NULL;
    (void)snprintf(what, sizeof what, "compiling %.80s", weir_host_file_name(path));
    weir_cli_progress_begin(&progress, what, "functions", options->is_quiet);
    const struct weir_module_config config = {.progress = weir_cli_progress_step,
                                              .progress_context = &progress};
    enum weir_status status = weir_host_file_module(engine, NULL, path, &config, &module, error);
    weir_cli_progress_end(&progress);
    if (status != WEIR_OK)
        return status;
    struct weir_module_figures figures;
    weir_module_figures(module, &figures);
    tell_module(path, &figures, list);
    weir_module_unref(module);
    if (figures.is_kept)
        return WEIR_OK;
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                          "%s is compiled, but cannot be kept in %s: no room, or no right to write "
                          "there; weir compile --cache says which",
                          path, options->folder);
}

static enum weir_status pin_file(const struct cache_options *options, const char *path,
                                 struct weir_error *error)
{
    struct weir_artifact_dir *dir = NULL;
    struct weir_hash module;
    enum weir_status status = weir_artifact_dir_open(options->folder, &dir, error);
    if (status == WEIR_OK)
        status = weir__cache_resolve(dir, path, &module, error);
    if (status == WEIR_OK)
        status = weir_artifact_dir_pin(dir, &module, true, error);
    weir_artifact_dir_close(dir);
    return status;
}

int weir__cache_warm(const struct cache_options *options, const struct cache_arguments *arguments)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    if (arguments->count == 0)
        return weir_cli_usage_error(&weir__cache_command, "no module is named");
    const struct weir_engine_config config = {.artifact_dir = options->folder,
                                              .bounds = options->bounds,
                                              .has_fuel = options->has_fuel};
    enum weir_status status = weir_engine_new(&config, &engine, &error);
    json_t *list = options->is_json ? json_array() : NULL;
    for (int i = 0; i < arguments->count && status == WEIR_OK; i++) {
        status = warm(engine, options, arguments->texts[i], list, &error);
        if (status == WEIR_OK && options->is_pin)
            status = pin_file(options, arguments->texts[i], &error);
    }
    weir_engine_unref(engine);
    if (list != NULL)
        weir__cache_print_json(list);
    return status == WEIR_OK ? 0 : weir_cli_fail(weir__cache_command.name, &error);
}
