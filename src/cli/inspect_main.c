/* `weir inspect`: what a module holds and needs, without compiling or running it. */
#include "cli/cli_options.h"
#include "cli/cli_table.h"
#include "cli/inspect_internal.h"

#include "base/cleanup.h"
#include "base/json_number.h"
#include "base/sizes.h"
#include "server/host_file.h"
#include "wasm/inspect.h"
#include "wasm/types_text.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define MODULE_BYTES_MAX (UINT64_C(1) << 30) /* the engine's own limit: weir/engine.h */
#define SECTIONS_MAX 100000u                 /* gzipped sizes cost time; more are not a module */

enum {
    JSON = 16,
    FOR
};

static const struct weir_cli_option OPTIONS[] = {
    {FOR, "for", "WORLD", "would wasi, envoy, wasmd or ic take it, and what will hurt"},
    {JSON, "json", NULL, "the same as one JSON object"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir inspect",
    .usage = "[--for WORLD] [--json] FILE.wasm",
    .summary = "Shows a module's sections with their sizes (raw and gzipped), imports, exports,\n"
               "features and memory. A module that is not valid is shown with the reason.\n"
               "With --for: would a world take it, what does it lack there, and what will hurt.",
    .options = OPTIONS,
    .examples = "  weir inspect hello.wasm\n"
                "  weir inspect --json hello.wasm | jq .features\n"
                "  weir inspect --for envoy filter.wasm\n",
};

struct inspection {
    const char *file;
    struct weir_wasm_facts facts;
    uint64_t bytes;
    uint64_t gzip_bytes;
    uint64_t *section_gzip_bytes;
};

struct options {
    const char *path;
    const struct weir__inspect_world *world; /* NULL: no verdict is asked for */
    bool is_json;
};

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct options *options = context;
    if (letter == JSON)
        options->is_json = true;
    else if ((options->world = weir__inspect_world_find(value, error)) == NULL)
        return WEIR_INVALID_ARGUMENT;
    return WEIR_OK;
}

/* Size of the bytes in gzip's format at its default level; 0 when zlib refuses. */
static uint64_t gzip_size(const uint8_t *bytes, size_t size)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return 0;
    uint8_t out[16384];
    uint64_t total = 0;
    stream.next_in = (z_const Bytef *)bytes;
    stream.avail_in = (uInt)size;
    int result;
    do {
        stream.next_out = out;
        stream.avail_out = sizeof out;
        result = deflate(&stream, Z_FINISH);
        total += sizeof out - stream.avail_out;
    } while (result == Z_OK);
    (void)deflateEnd(&stream);
    return result == Z_STREAM_END ? total : 0;
}

/* --- text ---------------------------------------------------------------------------------- */

static void print_sections(const struct inspection *inspection)
{
    struct weir_cli_table table;
    weir_cli_table_init(&table, 5, 1u << 1 | 1u << 2 | 1u << 3);
    static const char *const HEAD[] = {"section", "bytes", "gzipped", "entries", "name"};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(&table, "%s", HEAD[i]);
    for (uint32_t i = 0; i < inspection->facts.section_count; i++) {
        const struct weir_wasm_section_fact *section = &inspection->facts.sections[i];
        weir_cli_table_cell(&table, "%s", section->name);
        weir_cli_table_cell(&table, "%zu", section->payload.size);
        weir_cli_table_cell(&table, "%llu", (unsigned long long)inspection->section_gzip_bytes[i]);
        if (section->entries > 0)
            weir_cli_table_cell(&table, "%u", section->entries);
        else
            weir_cli_table_cell(&table, "%s", "");
        weir_cli_table_cell(&table, "%s", weir_wasm_show(section->custom_name).text);
    }
    printf("\nSections\n");
    weir_cli_table_print(&table, stdout);
}

static void print_externs(const char *title, const struct weir_wasm_extern_fact *list,
                          uint32_t count)
{
    if (count == 0)
        return;
    struct weir_cli_table table;
    weir_cli_table_init(&table, 3, 0);
    for (uint32_t i = 0; i < count; i++) {
        bool has_module = list[i].module.data != NULL;
        weir_cli_table_cell(&table, "%s", weir_wasm_extern_kind_name(list[i].kind));
        weir_cli_table_cell(&table, "%s%s%s", has_module ? weir_wasm_show(list[i].module).text : "",
                            has_module ? "." : "", weir_wasm_show(list[i].name).text);
        weir_cli_table_cell(&table, "%s", list[i].type);
    }
    printf("\n%s\n", title);
    weir_cli_table_print(&table, stdout);
}

static void print_text(const struct inspection *inspection)
{
    const struct weir_wasm_facts *facts = &inspection->facts;
    printf("%s: %s, %s gzipped, %s\n", inspection->file, weir_size_format(inspection->bytes).text,
           weir_size_format(inspection->gzip_bytes).text,
           facts->problem.status == WEIR_OK ? "valid" : "not valid");
    if (facts->problem.status != WEIR_OK)
        printf("  %s (byte %llu)\n", facts->problem.message,
               (unsigned long long)facts->problem.offset);
    printf("  functions  %u, %u imported, %u named; %s of code\n", facts->func_count,
           facts->func_import_count, facts->named_func_count,
           weir_size_format(facts->code_bytes).text);
    printf("  data       %s\n", weir_size_format(facts->data_bytes).text);
    for (uint32_t i = 0; i < facts->memory_count; i++) {
        const struct weir_limits *memory = &facts->module->memories[i];
        printf("  memory     %s at first, ",
               weir_size_format(memory->min * WEIR_WASM_PAGE_BYTES).text);
        if (memory->has_max)
            printf("%s at most\n", weir_size_format(memory->max * WEIR_WASM_PAGE_BYTES).text);
        else
            printf("no maximum\n");
    }
    printf("  needs      ");
    for (uint32_t i = 0; i < facts->feature_count; i++)
        printf("%s%s", i > 0 ? ", " : "", facts->features[i]);
    printf("%s\n", facts->feature_count == 0 ? "no feature beyond WebAssembly 1.0" : "");
    print_sections(inspection);
    print_externs("Imports", facts->imports, facts->import_count);
    print_externs("Exports", facts->exports, facts->export_count);
}

/* --- JSON ---------------------------------------------------------------------------------- */

static json_t *sections_json(const struct inspection *inspection)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < inspection->facts.section_count; i++) {
        const struct weir_wasm_section_fact *section = &inspection->facts.sections[i];
        json_t *object = json_pack("{s:i, s:s}", "id", section->id, "section", section->name);
        if (section->id == 0)
            (void)json_object_set_new(object, "name",
                                      weir__inspect_name_json(section->custom_name));
        weir_json_set_number(object, "offset", section->offset);
        weir_json_set_number(object, "bytes", section->payload.size);
        weir_json_set_number(object, "gzip_bytes", inspection->section_gzip_bytes[i]);
        weir_json_set_number(object, "entries", section->entries);
        (void)json_array_append_new(list, object);
    }
    return list;
}

static json_t *externs_json(const struct weir_wasm_extern_fact *list, uint32_t count)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *object = json_pack("{s:s, s:s}", "kind", weir_wasm_extern_kind_name(list[i].kind),
                                   "type", list[i].type);
        if (list[i].module.data != NULL)
            (void)json_object_set_new(object, "module", weir__inspect_name_json(list[i].module));
        (void)json_object_set_new(object, "name", weir__inspect_name_json(list[i].name));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static json_t *memories_json(const struct weir_wasm_facts *facts)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < facts->module->memory_count; i++) {
        const struct weir_limits *memory = &facts->module->memories[i];
        json_t *object = json_object();
        weir_json_set_number(object, "initial_bytes", memory->min * WEIR_WASM_PAGE_BYTES);
        if (memory->has_max)
            weir_json_set_number(object, "max_bytes", memory->max * WEIR_WASM_PAGE_BYTES);
        (void)json_object_set_new(object, "imported",
                                  json_boolean(i < facts->module->memory_import_count));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static void print_json(const struct inspection *inspection)
{
    const struct weir_wasm_facts *facts = &inspection->facts;
    json_t *object = json_pack("{s:s, s:b}", "file", inspection->file, "valid",
                               facts->problem.status == WEIR_OK);
    if (facts->problem.status != WEIR_OK) {
        (void)json_object_set_new(object, "problem", json_string(facts->problem.message));
        weir_json_set_number(object, "problem_offset", facts->problem.offset);
    }
    weir_json_set_number(object, "bytes", inspection->bytes);
    weir_json_set_number(object, "gzip_bytes", inspection->gzip_bytes);
    (void)json_object_set_new(object, "sections", sections_json(inspection));
    (void)json_object_set_new(object, "imports", externs_json(facts->imports, facts->import_count));
    (void)json_object_set_new(object, "exports", externs_json(facts->exports, facts->export_count));
    (void)json_object_set_new(object, "memories", memories_json(facts));
    json_t *features = json_array();
    for (uint32_t i = 0; i < facts->feature_count; i++)
        (void)json_array_append_new(features, json_string(facts->features[i]));
    (void)json_object_set_new(object, "features", features);
    weir_json_set_number(object, "functions", facts->func_count);
    weir_json_set_number(object, "functions_imported", facts->func_import_count);
    weir_json_set_number(object, "functions_named", facts->named_func_count);
    weir_json_set_number(object, "code_bytes", facts->code_bytes);
    weir_json_set_number(object, "data_bytes", facts->data_bytes);
    weir_json_set_number(object, "initial_memory_bytes",
                         facts->memory_pages_min * WEIR_WASM_PAGE_BYTES);
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(object);
}

/* --- main ---------------------------------------------------------------------------------- */

static enum weir_status measure(struct inspection *inspection, const struct weir_host_file *file,
                                struct weir_arena *arena, struct weir_error *error)
{
    enum weir_status status =
        weir_wasm_inspect(file->bytes, file->size, NULL, arena, &inspection->facts, error);
    if (status != WEIR_OK)
        return status;
    uint32_t count = inspection->facts.section_count;
    inspection->section_gzip_bytes = WEIR_ARENA_ARRAY(arena, uint64_t, count);
    if (inspection->section_gzip_bytes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for %u sections",
                              count);
    inspection->bytes = file->size;
    inspection->gzip_bytes = gzip_size(file->bytes, file->size);
    for (uint32_t i = 0; i < count && i < SECTIONS_MAX; i++)
        inspection->section_gzip_bytes[i] = gzip_size(inspection->facts.sections[i].payload.data,
                                                      inspection->facts.sections[i].payload.size);
    return WEIR_OK;
}

static enum weir_status show(const struct options *options, const struct weir_host_file *file,
                             struct weir_arena *arena, int *ret_exit_code, struct weir_error *error)
{
    struct inspection inspection = {.file = options->path};
    enum weir_status status = measure(&inspection, file, arena, error);
    if (status != WEIR_OK)
        return status;
    if (options->is_json)
        print_json(&inspection);
    else
        print_text(&inspection);
    *ret_exit_code = weir_status_exit_code(inspection.facts.problem.status);
    weir_error_done(&inspection.facts.problem);
    return WEIR_OK;
}

static enum weir_status judge(const struct options *options, const struct weir_host_file *file,
                              struct weir_arena *arena, int *ret_exit_code,
                              struct weir_error *error)
{
    struct weir__inspect_verdict verdict = {0};
    enum weir_status status = weir__inspect_judge(
        options->world, (struct weir_wasm_bytes){file->bytes, file->size}, arena, &verdict, error);
    if (status != WEIR_OK)
        return status;
    if (options->is_json)
        weir__inspect_verdict_json(&verdict, options->path);
    else
        weir__inspect_verdict_print(&verdict, options->path);
    *ret_exit_code =
        weir_status_exit_code(weir_wasm_is_taken(&verdict.findings) ? WEIR_OK : WEIR_INVALID);
    return WEIR_OK;
}

static int run(const struct options *options)
{
    struct weir_error error = {0};
    struct weir_host_file file = {0};
    struct weir_arena *arena = NULL;
    int exit_code = 0;
    enum weir_status status =
        weir_host_file_read(options->path, MODULE_BYTES_MAX, weir_account_host(), &file, &error);
    if (status == WEIR_OK)
        status = weir_arena_new(NULL, 0, &arena, &error);
    if (status == WEIR_OK)
        status = options->world != NULL ? judge(options, &file, arena, &exit_code, &error)
                                        : show(options, &file, arena, &exit_code, &error);
    if (status != WEIR_OK)
        exit_code = weir_cli_fail(COMMAND.name, &error);
    weir_arena_free(arena);
    weir_host_file_done(&file);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct weir_error error = {0};
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    enum weir_status status = weir_cli_parse(&COMMAND, &arguments, set_option, &options, &error);
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    int index = arguments.next;
    if (index >= argc)
        return weir_cli_usage_error(&COMMAND, "no module is named");
    options.path = argv[index];
    if (index + 1 < argc && strcmp(argv[index + 1], "--json") == 0)
        options.is_json = true;
    else if (index + 1 < argc)
        return weir_cli_usage_error(&COMMAND, "one module at a time: %s is too much",
                                    argv[index + 1]);
    return run(&options);
}
