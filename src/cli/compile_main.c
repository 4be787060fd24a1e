/* `weir compile`: one module to one artifact file, with sizes and time. The artifact is what the
 * host would make itself; a host never trusts a file from elsewhere, so this is for looking at the
 * code (`objdump -d`), for measuring, and for filling a cache directory ahead of time. */
#include "cli/cli_options.h"
#include "cli/cli_progress.h"
#include "cli/cli_shown.h"
#include "cli/cli_table.h"

#include "artifact/cpu.h"
#include "base/cleanup.h"
#include "base/copy_out.h"
#include "base/sizes.h"
#include "runtime/compile_job.h"
#include "server/host_file.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MODULE_BYTES_MAX (UINT64_C(1) << 30) /* the engine's own limit: weir/engine.h */

enum {
    BOUNDS = 16,
    FUEL,
    JSON,
    CACHE
};

struct options {
    const char *file;
    const char *output;
    const char *cache_dir;
    enum weir_bounds bounds;
    bool has_fuel;
    bool is_json;
    bool is_quiet;
};

static const struct weir_cli_option OPTIONS[] = {
    {'o', "output", "FILE", "where the artifact goes"},
    {CACHE, "cache", "DIR", "file it in this artifact directory, under its key"},
    {BOUNDS, "bounds", "FORM", "guard (default), explicit or no-signals"},
    {FUEL, "fuel", NULL, "count instructions"},
    {JSON, "json", NULL, "sizes and time as one JSON object"},
    {'q', "quiet", NULL, "print nothing but errors"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir compile",
    .usage = "[OPTION ...] FILE.wasm -o FILE",
    .summary = "Compiles a module to an artifact: an ELF file that objdump, perf and gdb read.",
    .options = OPTIONS,
    .examples = "  weir compile hello.wasm -o hello.weir && objdump -d hello.weir\n"
                "  weir compile --cache ~/.cache/weir big.wasm\n",
};

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct options *options = context;
    switch (letter) {
    case 'o':
        options->output = value;
        return WEIR_OK;
    case CACHE:
        options->cache_dir = value;
        return WEIR_OK;
    case BOUNDS:
        return weir_cli_bounds("bounds", value, &options->bounds, error);
    case FUEL:
        options->has_fuel = true;
        return WEIR_OK;
    case JSON:
        options->is_json = true;
        return WEIR_OK;
    default:
        options->is_quiet = true;
        return WEIR_OK;
    }
}

/* An artifact that was to be filed and is not is no success, though it was compiled. */
static enum weir_status check_filed(const struct options *options,
                                    const struct weir_compile_result *result,
                                    struct weir_error *why, struct weir_error *error)
{
    if (options->cache_dir == NULL || result->is_filed)
        return WEIR_OK;
    return weir_error_set(error, why->status != WEIR_OK ? why->status : WEIR_IO, WEIR_NO_OFFSET,
                          "%s is compiled, but cannot be kept in %s: %s", options->file,
                          options->cache_dir, why->message);
}

static enum weir_status compile(const struct options *options, struct weir_compile_result *result,
                                uint64_t *ret_module_bytes, struct weir_error *error)
{
    struct weir_error why = {0};
    struct weir_host_file file = {0};
    enum weir_status status =
        weir_host_file_read(options->file, MODULE_BYTES_MAX, weir_account_host(), &file, error);
    if (status != WEIR_OK)
        return status;
    *ret_module_bytes = file.size;
    struct weir_artifact_dir *dir = NULL;
    if (options->cache_dir != NULL)
        status = weir_artifact_dir_open(options->cache_dir, &dir, error);
    char what[96];
    (void)snprintf(what, sizeof what, "compiling %.80s", weir_host_file_name(options->file));
    struct weir_cli_progress progress;
    weir_cli_progress_begin(&progress, what, "functions", options->is_quiet);
    struct weir_compile_job job = {
        .module = file.bytes,
        .module_bytes = file.size,
        .options = {.features = WEIR_FEATURES_DEFAULT,
                    .flags = weir_artifact_bounds_flags(options->bounds) |
                             (options->has_fuel ? WEIR_ARTIFACT_FUEL : 0u) | WEIR_ARTIFACT_POLL,
                    .cpu_features = weir_cpu_baseline,
                    .generator = "fast"},
        .account = weir_account_host(),
        .progress = weir_cli_progress_step,
        .progress_context = &progress,
        .file_error = &why,
    };
    if (status == WEIR_OK)
        status = weir_compile_job_run(dir, &job, result, error);
    if (status == WEIR_OK)
        status = check_filed(options, result, &why, error);
    weir_error_done(&why);
    weir_cli_progress_end(&progress);
    weir_artifact_dir_close(dir);
    weir_host_file_done(&file);
    return status;
}

static void print_result(const struct options *options, uint64_t module_bytes,
                         uint64_t artifact_bytes, const struct weir_compile_result *result)
{
    if (options->is_json) {
        json_t *object =
            json_pack("{s:o, s:I, s:I, s:f, s:b, s:I}", "module",
                      weir_cli_text_json(options->file), "module_bytes",
                      (json_int_t)module_bytes, "artifact_bytes", (json_int_t)artifact_bytes,
                      "compile_ms", result->compile_ms, "was_cached", result->was_cached,
                      "compiler_peak_bytes", (json_int_t)result->peak_bytes);
        (void)json_dumpf(object, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
        json_decref(object);
        return;
    }
    printf("%s: %s to %s", options->file, weir_size_format(module_bytes).text,
           weir_size_format(artifact_bytes).text);
    if (result->was_cached)
        printf(" (compiled before)\n");
    else
        printf(" in %s, compiler's peak %s\n",
               weir_duration_format((uint64_t)(result->compile_ms * 1e6)).text,
               weir_size_format(result->peak_bytes).text);
}

static int run(const struct options *options)
{
    struct weir_error error = {0};
    struct weir_compile_result result = {.fd = -1};
    uint64_t module_bytes = 0, artifact_bytes = 0;
    enum weir_status status = compile(options, &result, &module_bytes, &error);
    if (status == WEIR_OK && options->output != NULL) {
        status =
            weir_copy_out(weir_io_system(), result.fd, options->output, &artifact_bytes, &error);
    } else if (status == WEIR_OK) {
        struct stat st;
        if (weir_io_fstat(weir_io_system(), result.fd, &st) == 0)
            artifact_bytes = (uint64_t)st.st_size;
    }
    if (result.fd >= 0)
        (void)close(result.fd);
    weir_compile_stop();
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (options->is_json || !options->is_quiet)
        print_result(options, module_bytes, artifact_bytes, &result);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct weir_error error = {0};
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    enum weir_status status = weir_cli_parse(&COMMAND, &arguments, set_option, &options, &error);
    if (status == WEIR_OK && arguments.next < argc) {
        /* Further options may follow the file: weir compile FILE -o OUT. */
        int index = arguments.next;
        options.file = argv[index];
        argv[index] = argv[0];
        struct weir_cli_arguments more = {.count = argc - index, .texts = argv + index};
        status = weir_cli_parse(&COMMAND, &more, set_option, &options, &error);
        if (status == WEIR_OK && more.next < more.count)
            return weir_cli_usage_error(&COMMAND, "one module at a time: %s is too much",
                                        more.texts[more.next]);
    }
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (options.file == NULL)
        return weir_cli_usage_error(&COMMAND, "no module is named");
    if (options.output == NULL && options.cache_dir == NULL)
        return weir_cli_usage_error(&COMMAND,
                                    "say where the artifact goes: -o FILE or --cache DIR");
    return weir_cli_end(COMMAND.name, run(&options));
}
