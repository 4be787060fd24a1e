/* The shape of weir.yaml for libcyaml. Every value is read as text: the size and duration grammar,
 * ranges and defaults are ours (server_config.c). */
#include "server/config_internal.h"

#include "base/nearest.h"
#include "server/server_limits.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096
#define TEXT(type, member)                                                                         \
    CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0,     \
                           TEXT_MAX)
#define LIST(type, member)                                                                         \
    CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, &ENTRY,  \
                         0, WEIR_SERVER_LIST_MAX)

static const cyaml_schema_value_t ENTRY = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, TEXT_MAX),
};

static const cyaml_schema_field_t LIMITS[] = {
    TEXT(struct weir__raw_limits, memory),      TEXT(struct weir__raw_limits, guaranteed),
    TEXT(struct weir__raw_limits, fuel),        TEXT(struct weir__raw_limits, time),
    TEXT(struct weir__raw_limits, concurrency), TEXT(struct weir__raw_limits, body),
    TEXT(struct weir__raw_limits, output),      CYAML_FIELD_END,
};

static const cyaml_schema_field_t RECYCLE[] = {
    TEXT(struct weir__raw_recycle, calls),  TEXT(struct weir__raw_recycle, age),
    TEXT(struct weir__raw_recycle, idle),   TEXT(struct weir__raw_recycle, memory),
    TEXT(struct weir__raw_recycle, linear), CYAML_FIELD_END,
};

static const cyaml_schema_field_t FILTER_LIMITS[] = {
    TEXT(struct weir__raw_filter_limits, memory), TEXT(struct weir__raw_filter_limits, soft),
    TEXT(struct weir__raw_filter_limits, buffer), TEXT(struct weir__raw_filter_limits, time),
    TEXT(struct weir__raw_filter_limits, fuel),   TEXT(struct weir__raw_filter_limits, streams),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t FILTER[] = {
    TEXT(struct weir__raw_filter, name),
    TEXT(struct weir__raw_filter, module),
    TEXT(struct weir__raw_filter, root_id),
    TEXT(struct weir__raw_filter, vm_id),
    TEXT(struct weir__raw_filter, configuration),
    TEXT(struct weir__raw_filter, vm_configuration),
    TEXT(struct weir__raw_filter, on_failure),
    TEXT(struct weir__raw_filter, allocator),
    TEXT(struct weir__raw_filter, log),
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct weir__raw_filter, limits,
                        FILTER_LIMITS),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t FILTER_ENTRY = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir__raw_filter, FILTER),
};

static const cyaml_schema_field_t UPSTREAM[] = {
    TEXT(struct weir__raw_upstream, name),
    TEXT(struct weir__raw_upstream, url),
    TEXT(struct weir__raw_upstream, connections),
    TEXT(struct weir__raw_upstream, connect_timeout),
    TEXT(struct weir__raw_upstream, timeout),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t UPSTREAM_ENTRY = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir__raw_upstream, UPSTREAM),
};

static const cyaml_schema_field_t TENANT_LIMITS[] = {
    TEXT(struct weir__raw_tenant_limits, memory),
    TEXT(struct weir__raw_tenant_limits, concurrency),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t TENANT[] = {
    TEXT(struct weir__raw_tenant, name),
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct weir__raw_tenant, limits,
                        TENANT_LIMITS),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t TENANT_ENTRY = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir__raw_tenant, TENANT),
};

static const cyaml_schema_field_t ROUTE[] = {
    TEXT(struct weir__raw_route, path),
    TEXT(struct weir__raw_route, module),
    TEXT(struct weir__raw_route, tenant),
    TEXT(struct weir__raw_route, upstream),
    CYAML_FIELD_SEQUENCE("filters", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct weir__raw_route, filters, &FILTER_ENTRY, 0,
                         WEIR_SERVER_FILTERS_MAX),
    TEXT(struct weir__raw_route, memory_max),
    TEXT(struct weir__raw_route, warm),
    TEXT(struct weir__raw_route, mode),
    TEXT(struct weir__raw_route, handler),
    TEXT(struct weir__raw_route, residents),
    TEXT(struct weir__raw_route, affinity),
    TEXT(struct weir__raw_route, verify),
    CYAML_FIELD_MAPPING("recycle", CYAML_FLAG_OPTIONAL, struct weir__raw_route, recycle, RECYCLE),
    LIST(struct weir__raw_route, args),
    LIST(struct weir__raw_route, env),
    LIST(struct weir__raw_route, dirs),
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct weir__raw_route, limits, LIMITS),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t SERVER[] = {
    TEXT(struct weir__raw_server, loops),
    TEXT(struct weir__raw_server, workers),
    TEXT(struct weir__raw_server, connections_max),
    TEXT(struct weir__raw_server, connections_per_client_max),
    TEXT(struct weir__raw_server, idle_timeout),
    TEXT(struct weir__raw_server, body_timeout),
    TEXT(struct weir__raw_server, write_timeout),
    TEXT(struct weir__raw_server, drain_timeout),
    TEXT(struct weir__raw_server, spool),
    TEXT(struct weir__raw_server, census_interval),
    TEXT(struct weir__raw_server, filter_threads),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t GOVERNOR[] = {
    TEXT(struct weir__raw_governor, mem_free_limit),
    TEXT(struct weir__raw_governor, mem_free_leave),
    TEXT(struct weir__raw_governor, dwell),
    TEXT(struct weir__raw_governor, interval),
    TEXT(struct weir__raw_governor, transitions_max),
    TEXT(struct weir__raw_governor, on_unknown),
    TEXT(struct weir__raw_governor, pressure_file),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t MODULE_CACHE[] = {
    TEXT(struct weir__raw_module_cache, memory_max),
    TEXT(struct weir__raw_module_cache, pinned_max),
    TEXT(struct weir__raw_module_cache, disk_max),
    TEXT(struct weir__raw_module_cache, trace),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t LOG[] = {
    TEXT(struct weir__raw_log, access),
    TEXT(struct weir__raw_log, access_format),
    TEXT(struct weir__raw_log, events),
    TEXT(struct weir__raw_log, events_format),
    TEXT(struct weir__raw_log, level),
    TEXT(struct weir__raw_log, queue),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t CONTROL[] = {
    TEXT(struct weir__raw_control, token),
    TEXT(struct weir__raw_control, socket),
    TEXT(struct weir__raw_control, upload_max),
    TEXT(struct weir__raw_control, reads),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t ROUTE_ENTRY = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir__raw_route, ROUTE),
};

static const cyaml_schema_field_t TOP[] = {
    TEXT(struct weir__raw_config, listen),
    TEXT(struct weir__raw_config, memory_max),
    TEXT(struct weir__raw_config, modules),
    TEXT(struct weir__raw_config, cache),
    TEXT(struct weir__raw_config, bounds),
    CYAML_FIELD_MAPPING("server", CYAML_FLAG_OPTIONAL, struct weir__raw_config, server, SERVER),
    CYAML_FIELD_MAPPING("governor", CYAML_FLAG_OPTIONAL, struct weir__raw_config, governor,
                        GOVERNOR),
    CYAML_FIELD_MAPPING("module_cache", CYAML_FLAG_OPTIONAL, struct weir__raw_config, module_cache,
                        MODULE_CACHE),
    CYAML_FIELD_MAPPING("log", CYAML_FLAG_OPTIONAL, struct weir__raw_config, log, LOG),
    CYAML_FIELD_MAPPING("control", CYAML_FLAG_OPTIONAL, struct weir__raw_config, control, CONTROL),
    CYAML_FIELD_SEQUENCE("upstreams", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct weir__raw_config, upstreams, &UPSTREAM_ENTRY, 0,
                         WEIR_SERVER_UPSTREAMS_MAX),
    CYAML_FIELD_SEQUENCE("tenants", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct weir__raw_config, tenants, &TENANT_ENTRY, 0,
                         WEIR_SERVER_ROUTES_MAX),
    CYAML_FIELD_SEQUENCE("routes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct weir__raw_config, routes, &ROUTE_ENTRY, 0, WEIR_SERVER_ROUTES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t SCHEMA = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct weir__raw_config, TOP),
};

/* What libcyaml logs: its first line is the error, the first "in …" line says where. */
struct report {
    char message[160];
    char field[64]; /* innermost key of the place */
    unsigned line;
};

static void __attribute__((format(printf, 3, 0)))
log_line(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct report *report = context;
    char text[256];
    (void)level;
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = 0;
    const char *at = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
    const char *position = strstr(at, "(line: ");
    if (position != NULL && report->line == 0)
        report->line = (unsigned)strtoul(position + 7, NULL, 10);
    const char *quote = position != NULL ? strstr(at, "field '") : NULL;
    if (quote != NULL && report->field[0] == 0)
        (void)snprintf(report->field, sizeof report->field, "%.*s", (int)strcspn(quote + 7, "'"),
                       quote + 7);
    if (report->message[0] == 0 && strncmp(at, "Backtrace", 9) != 0 && position == NULL)
        (void)snprintf(report->message, sizeof report->message, "%.150s", at);
}

static const cyaml_schema_field_t *const TABLES[] = {
    TOP,   SERVER, GOVERNOR, MODULE_CACHE, LOG,           CONTROL,  TENANT,
    ROUTE, LIMITS, RECYCLE,  FILTER,       FILTER_LIMITS, UPSTREAM, TENANT_LIMITS};

/* The nearest key of any table: which table was meant is not known from the message. */
static const char *nearest_key(const char *word)
{
    const char *names[128];
    size_t count = 0;
    for (size_t i = 0; i < sizeof TABLES / sizeof TABLES[0]; i++)
        for (const cyaml_schema_field_t *field = TABLES[i]; field->key != NULL && count < 128;
             field++)
            names[count++] = field->key;
    return weir_nearest_name(word, names, count);
}

static enum weir_status report_unknown(const char *name, const uint8_t *bytes, size_t size,
                                       const struct report *report, struct weir_error *error)
{
    const char *key = report->message + strlen("Unexpected key: ");
    unsigned line = weir__config_key_line(bytes, size, key);
    const char *nearest = nearest_key(key);
    if (line == 0)
        line = report->line;
    if (nearest == NULL)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s:%u: unknown key %s; weir.yaml(5) lists the keys", name, line,
                              key);
    if (strcmp(nearest, key) == 0)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s:%u: the key %s does not belong here; see weir.yaml(5)", name,
                              line, key);
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                          "%s:%u: unknown key %s; did you mean %s?", name, line, key, nearest);
}

/* "Expecting SEQUENCE, got event: SCALAR" in words; NULL for other messages. */
static const char *wanted_kind(const char *message)
{
    static const struct {
        const char *start, *words;
    } KINDS[] = {
        {"Expecting SEQUENCE", "a list is needed"},
        {"Expecting MAPPING", "keys with values are needed"},
        {"Expecting STRING", "a single value is needed"},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (strncmp(message, KINDS[i].start, strlen(KINDS[i].start)) == 0)
            return KINDS[i].words;
    return NULL;
}

static const cyaml_config_t CONFIG = {
    .mem_fn = cyaml_mem,
    .log_fn = log_line,
    .log_level = CYAML_LOG_WARNING,
    .flags = CYAML_CFG_NO_ALIAS,
};

enum weir_status weir__config_load_raw(const char *name, const uint8_t *bytes, size_t size,
                                       struct weir__raw_config **ret_raw, struct weir_error *error)
{
    struct report report = {0};
    struct weir__raw_config *raw = NULL;
    cyaml_config_t config = CONFIG;
    config.log_ctx = &report;
    cyaml_err_t failed =
        cyaml_load_data(bytes, size, &config, &SCHEMA, (cyaml_data_t **)&raw, NULL);
    if (failed == CYAML_OK && raw == NULL)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET, "%s: the file is empty", name);
    if (failed == CYAML_OK) {
        *ret_raw = raw;
        return WEIR_OK;
    }
    if (failed == CYAML_ERR_OOM)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "%s: no memory to read it",
                              name);
    if (failed == CYAML_ERR_INVALID_KEY &&
        strncmp(report.message, "Unexpected key: ", strlen("Unexpected key: ")) == 0)
        return report_unknown(name, bytes, size, &report, error);
    const char *what = report.message[0] != 0 ? report.message : cyaml_strerror(failed);
    if (failed == CYAML_ERR_ALIAS)
        what = "aliases are not allowed";
    if (wanted_kind(what) != NULL)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET, "%s:%u: %s%s%s", name,
                              report.line > 0 ? report.line : 1, report.field,
                              report.field[0] != 0 ? ": " : "", wanted_kind(what));
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET, "%s:%u: %s", name,
                          report.line > 0 ? report.line : 1, what);
}

void weir__config_free_raw(struct weir__raw_config *raw)
{
    if (raw != NULL)
        (void)cyaml_free(&CONFIG, &SCHEMA, raw, 0);
}
