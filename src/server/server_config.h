/* The configuration of `weir serve`: weir.yaml read, checked and completed. */
#ifndef WEIR_SERVER_CONFIG_H
#define WEIR_SERVER_CONFIG_H

#include <weir/recycle.h>
#include <weir/wasi.h>

#include "base/arena.h"
#include "observe/log_line.h"

/* What a guest's state is worth: nothing behind its request; what `_initialize` left, for each
 * request anew; kept from request to request. */
enum weir_route_mode {
    WEIR_ROUTE_REQUEST, /* a command: `_start` per request */
    WEIR_ROUTE_POOL,    /* a reactor */
    WEIR_ROUTE_RESIDENT /* a reactor */
};
const char *weir_route_mode_name(enum weir_route_mode mode);

/* A server that routes lead to and filters may ask. */
struct weir_upstream_keys {
    const char *name;
    const char *url; /* "http://host:port", without a path */
    uint32_t connections; /* at once, of each filter thread */
    uint64_t connect_ns, timeout_ns;
};

/* A proxy-wasm plugin in front of a route. */
struct weir_filter_keys {
    const char *name, *module, *root_id, *vm_id, *configuration, *vm_configuration;
    uint64_t memory_bytes, soft_bytes; /* of one VM; each filter thread has one */
    uint64_t buffer_bytes, time_ns, fuel;
    uint32_t streams;
    bool is_open;        /* fail_open: without it, when it fails */
    bool prefers_malloc; /* allocator: malloc */
    int level;           /* enum weir_filter_level */
};

/* What all routes of a tenant may take together. */
struct weir_tenant_keys {
    const char *name;
    uint64_t memory_bytes_max; /* WEIR_UNLIMITED: none */
    uint32_t concurrency;      /* requests; 0: no limit */
};

struct weir_route_config {
    const char *path;   /* "/hello": it and everything under it */
    const char *module; /* path of the file; "": there is an upstream */
    const char *tenant; /* NULL: the route is its own */
    const struct weir_tenant_keys *tenant_keys; /* NULL: there are none for it */
    const struct weir_upstream_keys *upstream;
    const struct weir_filter_keys *filters;
    size_t filter_count;
    const char *const *args;
    size_t arg_count;
    const char *const *env; /* "NAME=value" */
    size_t env_count;
    const struct weir_wasi_preopen *dirs;
    size_t dir_count;
    uint64_t tenant_bytes_max; /* WEIR_UNLIMITED: none */
    uint64_t memory_bytes_max; /* per request */
    uint64_t guaranteed_bytes; /* of that; beyond, a guest may be stopped when memory is short */
    uint64_t fuel;             /* 0: not counted */
    uint64_t time_ns;
    uint64_t body_bytes_max;
    uint64_t output_bytes_max;
    uint32_t concurrency; /* requests, those that wait for a resident included */
    uint32_t warm;
    enum weir_route_mode mode;
    uint32_t slots;       /* guests at once: concurrency, or the number of residents */
    const char *handler;  /* a reactor's export */
    const char *affinity; /* "client", "none", or a header field's name */
    struct weir_recycle_policy recycle; /* residents' */
    bool is_verifying;
};

/* Back-pressure at run time: thresholds for the binding cgroup's free memory. */
struct weir_governor_config_keys {
    uint64_t free_bytes;  /* mem_free_limit; 0: the governor is off */
    uint64_t leave_bytes; /* 0: the default above it */
    uint64_t dwell_ns;
    uint64_t interval_ns;
    uint32_t transitions_max; /* a minute; 0: the default */
    bool is_closed_on_unknown;
    const char *pressure_file; /* injected figures instead of the cgroup's; NULL: none */
};

/* The module cache's tiers. */
struct weir_cache_config_keys {
    uint64_t memory_bytes, pinned_bytes;
    uint64_t disk_bytes; /* 0: the default */
    const char *trace;   /* a file that each use is written to; NULL: none */
};

/* Two logs: one line per request, and what the server itself has to say. */
struct weir_log_keys {
    const char *access; /* a file; WEIR_LOG_STDOUT; NULL: none */
    const char *events; /* a file; NULL: standard error */
    enum weir_log_form access_form; /* TEXT: Apache's combined form with more behind it */
    enum weir_log_form events_form;
    enum weir_log_level level; /* of events: this and worse */
    uint64_t queue_bytes;      /* of each */
};
#define WEIR_LOG_STDOUT "stdout"

/* Who may change what the host does while it runs, and how. */
struct weir_control_keys {
    const char *token;         /* a file; NULL: none */
    const char *socket;        /* path of a UNIX socket; NULL: none */
    uint64_t upload_bytes_max; /* of a module; 0: there are no uploads */
    bool are_reads_guarded;    /* the token is asked for below /v1, too */
};

struct weir_server_config {
    const char *file;      /* for messages */
    char listen[256];      /* "127.0.0.1:7070" */
    const char *cache_dir; /* NULL: nothing is kept */
    const char *spool_dir;
    enum weir_bounds bounds;
    uint64_t memory_bytes_max; /* of the host's account; WEIR_UNLIMITED: none */
    uint32_t loops;
    uint32_t workers;
    uint32_t connections_max;
    uint32_t connections_per_client_max;
    uint64_t idle_ns, body_ns, write_ns, drain_ns;
    uint64_t census_ns; /* between censuses that are kept to compare with */
    struct weir_governor_config_keys governor;
    struct weir_cache_config_keys module_cache;
    struct weir_log_keys log;
    struct weir_control_keys control;
    const char *modules_dir; /* where relative module paths begin; "": the working directory */
    uint32_t filter_threads; /* 0: no route has a filter or an upstream */
    const struct weir_upstream_keys *upstreams;
    size_t upstream_count;
    const struct weir_tenant_keys *tenants;
    size_t tenant_count;
    const struct weir_route_config *routes;
    size_t route_count;
};
/* NULL: the configuration says nothing about it. */
const struct weir_tenant_keys *weir_server_config_tenant(const struct weir_server_config *config,
                                                         const char *name);
/* The route's requests go through filter threads. */
static inline bool weir_route_is_filtered(const struct weir_route_config *route)
{
    return route->filter_count > 0 || route->upstream != NULL;
}
static inline bool weir_route_has_guest(const struct weir_route_config *route)
{
    return route->upstream == NULL;
}

/* Of clients, and of filter threads to guests behind filters. */
uint32_t weir_server_connections(const struct weir_server_config *config);
/* All that a plugin may hold: its VMs, shared data, queues and metrics. */
uint64_t weir_filter_keys_bytes(const struct weir_filter_keys *keys, uint32_t threads);

/* Reads and checks a file; strings live in `arena`. CONFIG with file, line, key and remedy; errors
 * of reading the file as they come. Module paths are made relative to the file's folder, or to
 * `modules_dir` when that is given. */
enum weir_status weir_server_config_load(const char *path, const char *modules_dir,
                                         struct weir_arena *arena,
                                         struct weir_server_config *ret_config,
                                         struct weir_error *error) WEIR_MUST_USE;
/* The same from bytes; `name` stands for the file in messages and for its folder. */
struct weir_config_text {
    const char *name;
    const uint8_t *bytes;
    size_t size;
};
enum weir_status weir_server_config_parse(const struct weir_config_text *text,
                                          const char *modules_dir, struct weir_arena *arena,
                                          struct weir_server_config *ret_config,
                                          struct weir_error *error) WEIR_MUST_USE;

#endif
