/* Runs one script: hands each command to the front end (decode and validate), to the executor, or
 * to neither, and counts what came of it. */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "spec.h"

static const char *string_of(const json_t *command, const char *key)
{
    const char *value = json_string_value(json_object_get(command, key));
    return value != NULL ? value : "";
}

uint8_t *spec_read_module(const struct spec_run *run, const json_t *command, size_t *ret_size)
{
    const char *slash = strrchr(run->path, '/');
    int folder = slash != NULL ? (int)(slash - run->path + 1) : 0;
    char path[4096];
    (void)snprintf(path, sizeof path, "%.*s%s", folder, run->path, string_of(command, "filename"));
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    /* Exactly as large as the module, so that ASan sees a read past its end. */
    uint8_t *bytes = size >= 0 ? malloc(size > 0 ? (size_t)size : 1) : NULL;
    if (bytes == NULL || fseek(file, 0, SEEK_SET) != 0 ||
        fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        (void)fprintf(stderr, "weir-spec: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    (void)fclose(file);
    *ret_size = (size_t)size;
    return bytes;
}

/* Decodes and validates; *ret_needed is set when the module is good. */
static enum weir_status check_module(const struct spec_run *run, const uint8_t *bytes, size_t size,
                                     uint32_t *ret_needed, struct weir_error *error)
{
    struct weir_arena *arena = NULL;
    struct weir_wasm_module *module = NULL;
    enum weir_status status = weir_arena_new(NULL, 0, &arena, error);
    if (status == WEIR_OK)
        status = weir_wasm_decode((struct weir_wasm_bytes){bytes, size}, run->options->features,
                                  NULL, arena, &module, error);
    if (status == WEIR_OK)
        status = weir_wasm_validate(module, arena, error);
    if (status == WEIR_OK)
        *ret_needed = module->features_needed;
    weir_arena_free(arena);
    return status;
}

static void print_refusal(const struct spec_run *run, enum spec_kind kind, const json_t *command,
                          const struct weir_error *error)
{
    spec_fail(run, kind, "(\"%s\") refused: %s: %s, offset %lld", string_of(command, "text"),
              weir_status_name(error->status), error->message, (long long)error->offset);
}

/* assert_malformed and assert_invalid: the front end refuses for the right reason, and so does the
 * API. A feature that is off counts for either: the bytes need something the engine must refuse. */
static enum spec_result run_refused(struct spec_run *run, enum spec_kind kind,
                                    const json_t *command)
{
    if (strcmp(string_of(command, "module_type"), "text") == 0)
        return SPEC_SKIPPED_TEXT;
    enum weir_status want = kind == SPEC_MALFORMED ? WEIR_MALFORMED : WEIR_INVALID;
    const char *text = string_of(command, "text");
    const char *file = string_of(command, "filename");
    size_t size;
    uint8_t *bytes = spec_read_module(run, command, &size);
    struct weir_error error = {0};
    uint32_t needed = 0;
    enum weir_status status = check_module(run, bytes, size, &needed, &error);
    bool good = status == want || status == WEIR_UNSUPPORTED ||
                spec_skip_verdict(run->options->skips, run->name, (long long)run->line,
                                  weir_status_name(status));
    if (!good)
        spec_fail(run, kind, "expected %s (\"%s\"), got %s (%s) for %s", weir_status_name(want),
                  text, weir_status_name(status), error.message, file);
    else if (run->options->is_verbose)
        print_refusal(run, kind, command, &error);
    weir_error_done(&error);
    if (good && run->exec != NULL && !run->skips_execution) {
        enum weir_status said = spec_exec_compile(run, bytes, size, &error);
        /* The engine may have fewer features, and refuse for that. */
        bool is_narrower = run->options->execute_features != run->options->features;
        good = said == status || (is_narrower && said == WEIR_UNSUPPORTED);
        if (!good)
            spec_fail(run, kind, "weir_module_new says %s (%s), the front end %s, for %s",
                      weir_status_name(said), error.message, weir_status_name(status), file);
        weir_error_done(&error);
    }
    free(bytes);
    return good ? SPEC_PASSED : SPEC_FAILED;
}

/* A module of any other command must be good; whether it is also executed follows from what it
 * needs. */
static enum spec_result run_module(struct spec_run *run, enum spec_kind kind, const json_t *command)
{
    size_t size;
    uint8_t *bytes = spec_read_module(run, command, &size);
    struct weir_error error = {0};
    uint32_t needed = 0;
    enum weir_status status = check_module(run, bytes, size, &needed, &error);
    free(bytes);
    if (status != WEIR_OK) {
        bool is_listed = spec_skip_verdict(run->options->skips, run->name, (long long)run->line,
                                           weir_status_name(status));
        enum spec_result result = is_listed ? SPEC_SKIPPED_LISTED : SPEC_FAILED;
        if (!is_listed)
            print_refusal(run, kind, command, &error);
        spec_exec_leave_out(run, command, result);
        weir_error_done(&error);
        return result;
    }
    enum spec_result why = SPEC_PASSED;
    if ((needed & ~run->options->execute_features) != 0)
        why = SPEC_SKIPPED_FEATURE;
    else if (run->exec == NULL)
        why = SPEC_SKIPPED_ASKED;
    else if (run->skips_execution)
        why = SPEC_SKIPPED_LISTED;
    if (why == SPEC_PASSED)
        return spec_exec_command(run, kind, command);
    spec_exec_leave_out(run, command, why);
    /* A plain module has passed when it is valid; linking and starting are execution. */
    return kind == SPEC_MODULE ? SPEC_PASSED : why;
}

static enum spec_result run_command(struct spec_run *run, enum spec_kind kind,
                                    const json_t *command)
{
    switch (kind) {
    case SPEC_INVALID:
    case SPEC_MALFORMED:
        return run_refused(run, kind, command);
    case SPEC_MODULE:
    case SPEC_UNLINKABLE:
    case SPEC_UNINSTANTIABLE:
        return run_module(run, kind, command);
    case SPEC_EXCEPTION:
        return SPEC_SKIPPED_FEATURE;
    default:
        if (run->exec == NULL)
            return SPEC_SKIPPED_ASKED;
        if (run->skips_execution)
            return SPEC_SKIPPED_LISTED;
        return spec_exec_command(run, kind, command);
    }
}

bool spec_script_run(struct spec_run *run, const json_t *script)
{
    (void)snprintf(run->name, sizeof run->name, "%s", run->source);
    run->name[strcspn(run->name, ".")] = 0;
    run->skips_execution = spec_skip_execution(run->options->skips, run->name);
    const json_t *commands = json_object_get(script, "commands");
    size_t index;
    json_t *command;
    json_array_foreach(commands, index, command)
    {
        run->line = json_integer_value(json_object_get(command, "line"));
        enum spec_kind kind = spec_kind_of(string_of(command, "type"));
        enum spec_result result = run_command(run, kind, command);
        run->counts->results[kind][result]++;
    }
    return json_is_array(commands);
}
