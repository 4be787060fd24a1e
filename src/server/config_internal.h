/* What the files that read weir.yaml share: the raw form libcyaml fills, and where keys stand. */
#ifndef WEIR_SERVER_CONFIG_INTERNAL_H
#define WEIR_SERVER_CONFIG_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Texts as they stand in the file; NULL and 0 counts: not given. */
struct weir__raw_limits {
    char *memory, *guaranteed, *fuel, *time, *concurrency, *body, *output;
};
struct weir__raw_recycle {
    char *calls, *age, *idle, *memory, *linear;
};
struct weir__raw_filter_limits {
    char *memory, *soft, *buffer, *time, *fuel, *streams;
};
struct weir__raw_filter {
    char *name, *module, *root_id, *vm_id, *configuration, *vm_configuration;
    char *on_failure, *allocator, *log;
    struct weir__raw_filter_limits limits;
};
struct weir__raw_upstream {
    char *name, *url, *connections, *connect_timeout, *timeout;
};
struct weir__raw_tenant_limits {
    char *memory, *concurrency;
};
struct weir__raw_tenant {
    char *name;
    struct weir__raw_tenant_limits limits;
};
struct weir__raw_route {
    char *path, *module, *upstream, *tenant, *memory_max, *warm;
    struct weir__raw_filter *filters;
    unsigned filters_count;
    char *mode, *handler, *residents, *affinity, *verify;
    struct weir__raw_recycle recycle;
    char **args, **env, **dirs;
    unsigned args_count, env_count, dirs_count;
    struct weir__raw_limits limits;
};
struct weir__raw_server {
    char *loops, *workers, *connections_max, *connections_per_client_max;
    char *idle_timeout, *body_timeout, *write_timeout, *drain_timeout, *spool;
    char *census_interval, *filter_threads;
};
struct weir__raw_governor {
    char *mem_free_limit, *mem_free_leave, *dwell, *interval, *transitions_max, *on_unknown;
    char *pressure_file;
};
struct weir__raw_module_cache {
    char *memory_max, *pinned_max, *disk_max, *trace;
};
struct weir__raw_log {
    char *access, *access_format, *events, *events_format, *level, *queue;
};
struct weir__raw_control {
    char *token, *socket, *upload_max, *reads;
};
struct weir__raw_config {
    char *listen, *memory_max, *modules, *cache, *bounds;
    struct weir__raw_server server;
    struct weir__raw_governor governor;
    struct weir__raw_module_cache module_cache;
    struct weir__raw_log log;
    struct weir__raw_control control;
    struct weir__raw_upstream *upstreams;
    unsigned upstreams_count;
    struct weir__raw_tenant *tenants;
    unsigned tenants_count;
    struct weir__raw_route *routes;
    unsigned routes_count;
};

/* Loads by the schema. CONFIG with line and, for an unknown key, the nearest known one. */
enum weir_status weir__config_load_raw(const char *name, const uint8_t *bytes, size_t size,
                                       struct weir__raw_config **ret_raw, struct weir_error *error)
    WEIR_MUST_USE;
void weir__config_free_raw(struct weir__raw_config *raw);

/* The line (1-based) of the value at a path such as "routes[1].limits.memory", or of its nearest
 * ancestor that is there; 0 when the text cannot be read. */
unsigned weir__config_line(const uint8_t *bytes, size_t size, const char *path);
/* The line of the first key spelled `key`; 0 without. */
unsigned weir__config_key_line(const uint8_t *bytes, size_t size, const char *key);

/* --- reading values (server_config.c) --- */

struct loader;
struct range {
    uint64_t min, max;
};
struct word {
    const char *text; /* NULL ends a list */
    int value;
};
struct weir_route_config;
struct weir_server_config;
/* Each answers CONFIG with file, line and key; a text that is NULL leaves the value as it is. */
struct weir__config_reader {
    enum weir_status (*refuse)(struct loader *loader, const char *key, const char *what);
    enum weir_status (*size)(struct loader *loader, const char *key, const char *text,
                             struct range range, uint64_t *value);
    enum weir_status (*time)(struct loader *loader, const char *key, const char *text,
                             struct range range, uint64_t *value);
    enum weir_status (*count)(struct loader *loader, const char *key, const char *text,
                              struct range range, uint64_t *value);
    enum weir_status (*word)(struct loader *loader, const char *key, const char *text,
                             const struct word *words, int *value);
    enum weir_status (*copy)(struct loader *loader, const char *text, const char **ret_copy);
    /* The path of a module's file. */
    enum weir_status (*module)(struct loader *loader, const char *key, const char *text,
                               const char **ret_path);
    enum weir_status (*array)(struct loader *loader, size_t count, size_t size, void **ret_array);
};
extern const struct weir__config_reader weir__config_read;

/* config_modes.c. `prefix` is the key of the route, whose limits are read. */
enum weir_status weir__config_mode(struct loader *loader, const char *prefix,
                                   const struct weir__raw_route *raw,
                                   struct weir_route_config *route) WEIR_MUST_USE;

/* config_tenants.c. `prefix` is the key of the route, whose limits and module are read. */
enum weir_status weir__config_tenants(struct loader *loader, const struct weir__raw_config *raw,
                                      struct weir_server_config *config) WEIR_MUST_USE;
enum weir_status weir__config_route_tenant(struct loader *loader, const char *prefix,
                                           const char *text,
                                           const struct weir_server_config *config,
                                           struct weir_route_config *route) WEIR_MUST_USE;
/* After all routes. */
enum weir_status weir__config_tenants_used(struct loader *loader,
                                           const struct weir_server_config *config) WEIR_MUST_USE;

/* filter_config.c. `prefix` is the key of the route. */
enum weir_status weir__config_upstreams(struct loader *loader, const struct weir__raw_config *raw,
                                        struct weir_server_config *config) WEIR_MUST_USE;
enum weir_status weir__config_filters(struct loader *loader, const char *prefix,
                                      const struct weir__raw_route *raw,
                                      const struct weir_server_config *config,
                                      struct weir_route_config *route) WEIR_MUST_USE;

#endif
