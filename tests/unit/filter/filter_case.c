/* See filter_case.h. */
#include "tests/unit/filter/filter_case.h"

#include <stdio.h>
#include <string.h>

struct weir_module *filter_case_load(struct weir_engine *engine, const char *path)
{
    static uint8_t bytes[8u << 20];
    struct weir_error error = {0};
    struct weir_module *module = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)fprintf(stderr, "%s is missing\n", path);
        return NULL;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    if (weir_module_new(engine, bytes, size, NULL, &module, &error) != WEIR_OK)
        (void)fprintf(stderr, "%s: %s\n", path, error.message);
    weir_error_done(&error);
    return module;
}

static void keep_log(void *context, const struct weir_filter_plugin *plugin,
                     enum weir_filter_level level, struct weir_filter_text text)
{
    struct filter_case *c = context;
    int size = snprintf(c->log + c->log_size, sizeof c->log - c->log_size, "%s: %s: %.*s\n",
                        weir_filter_plugin_config(plugin)->name, weir_filter_level_name(level),
                        (int)text.size, (const char *)text.bytes);
    if (size > 0 && c->log_size + (size_t)size < sizeof c->log)
        c->log_size += (size_t)size;
}

static enum weir_status keep_call(void *context, struct weir_filter_call *call,
                                  struct weir_error *error)
{
    struct filter_case *c = context;
    (void)error;
    if (strcmp(call->upstream, "up") != 0 ||
        c->call_count == sizeof c->calls / sizeof c->calls[0])
        return WEIR_NOT_FOUND;
    c->calls[c->call_count++] = call;
    return WEIR_OK;
}

static void cancel_call(void *context, struct weir_filter_call *call)
{
    struct filter_case *c = context;
    (void)call;
    c->cancelled++;
}

static void wake(void *context, struct weir_filter_stream *stream)
{
    struct filter_case *c = context;
    (void)stream;
    c->woken++;
}

static const struct weir_filter_host host = {keep_log, keep_call, cancel_call, wake};

struct weir_filter_config filter_case_config(struct filter_case *c, const char *configuration)
{
    return (struct weir_filter_config){.name = "probe",
                                       .root_id = "probe_root",
                                       .vm_id = "vm",
                                       .configuration = weir_filter_text(configuration),
                                       .time_ns = FILTER_CASE_HANG_NS,
                                       .host = &host,
                                       .host_context = c};
}

enum weir_status filter_case_wait(struct filter_case *c, enum weir_status status,
                                  struct weir_error *error)
{
    while (status == WEIR_PENDING)
        status = weir_filter_vm_resume(c->vm, error);
    return status;
}

enum weir_status filter_case_open(struct filter_case *c, const struct weir_filter_config *config,
                                  struct weir_error *error)
{
    enum weir_status status =
        weir_filter_registry_new(weir_account_host(), &c->registry, error);
    if (status == WEIR_OK)
        status = weir_filter_plugin_new(c->registry, c->module, config, &c->plugin, error);
    if (status == WEIR_OK)
        status = weir_filter_vm_new(c->plugin, c, &c->vm, error);
    if (status == WEIR_OK)
        status = filter_case_wait(c, weir_filter_vm_start(c->vm, error), error);
    return status;
}

void filter_case_close(struct filter_case *c)
{
    if (c->stream != NULL)
        (void)filter_case_end(c, NULL);
    weir_filter_vm_free(c->vm);
    weir_filter_plugin_free(c->plugin);
    weir_filter_registry_free(c->registry);
    weir_filter_exchange_done(&c->exchange);
    c->vm = NULL;
    c->plugin = NULL;
    c->registry = NULL;
    c->call_count = c->cancelled = c->woken = 0;
}

static enum weir_status add(struct filter_case *c, const char *name, const char *value,
                            struct weir_error *error)
{
    return weir_filter_map_add(&c->exchange.maps[WEIR_FILTER_REQUEST_HEADERS],
                               c->exchange.account, weir_filter_text(name),
                               weir_filter_text(value), error);
}

enum weir_status filter_case_begin(struct filter_case *c, const char *deed,
                                   struct weir_error *error)
{
    const struct {
        const char *name, *value;
    } headers[] = {{":method", "POST"}, {":path", "/a/b?c=d"}, {":authority", "example"},
                   {"X-Old", "old"},    {"x-gone", "1"},       {"X-Gone", "2"}};
    enum weir_status status = WEIR_OK;
    c->exchange = (struct weir_filter_exchange){.account = weir_account_host(),
                                                .source_address = "10.0.0.1",
                                                .source_port = 4711};
    c->exchange.has_map[WEIR_FILTER_REQUEST_HEADERS] = true;
    for (size_t i = 0; status == WEIR_OK && i < sizeof headers / sizeof headers[0]; i++)
        status = add(c, headers[i].name, headers[i].value, error);
    if (status == WEIR_OK && deed != NULL)
        status = add(c, "x-do", deed, error);
    if (status == WEIR_OK)
        status = weir_filter_stream_new(c->vm, &c->exchange, c, &c->stream, error);
    return status;
}

enum weir_status filter_case_event(struct filter_case *c, enum weir_filter_event event, bool is_end,
                                   struct weir_error *error)
{
    return filter_case_wait(c, weir_filter_stream_event(c->stream, event, is_end, error), error);
}

enum weir_status filter_case_end(struct filter_case *c, struct weir_error *error)
{
    struct weir_filter_stream *stream = c->stream;
    c->stream = NULL;
    enum weir_status status =
        stream != NULL ? filter_case_wait(c, weir_filter_stream_finish(stream, error), error)
                       : WEIR_OK;
    weir_filter_exchange_done(&c->exchange);
    return status;
}

enum weir_status filter_case_work(struct filter_case *c, struct weir_error *error)
{
    bool did = true;
    enum weir_status status = WEIR_OK;
    while (did && status == WEIR_OK)
        status = filter_case_wait(c, weir_filter_vm_work(c->vm, &did, error), error);
    return status;
}

const char *filter_case_header(struct filter_case *c, const char *name)
{
    static char text[256];
    const struct weir_filter_pair *pair = weir_filter_map_find(
        &c->exchange.maps[WEIR_FILTER_REQUEST_HEADERS], weir_filter_text(name));
    if (pair == NULL)
        return "(none)";
    (void)snprintf(text, sizeof text, "%.*s", (int)pair->value_size,
                   (const char *)weir_filter_pair_value(pair));
    return text;
}
