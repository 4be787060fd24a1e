/* The server's life: made, reloaded, listening, drained. Routes are in routes.c. */
#include "server/lane_internal.h"
#include "server/server_census.h"
#include "server/module_store.h"
#include "server/server_plan.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define OWN_DESCRIPTORS 64u /* artifacts, epolls, the spawner, files being read */

/* --- making -------------------------------------------------------------------------------- */

static void set_live(struct weir_server *server, const struct weir_server_config *config)
{
    atomic_store(&server->idle_ns, config->idle_ns);
    atomic_store(&server->body_ns, config->body_ns);
    atomic_store(&server->write_ns, config->write_ns);
    atomic_store(&server->drain_ns, config->drain_ns);
    atomic_store(&server->log_level, (int)config->log.level);
    atomic_store(&server->census.interval_ns, config->census_ns);
}

static void init_monotonic(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* Both are in the configuration that `generation` is of. */
static void set_control(struct weir_server *server, const struct weir__generation *generation)
{
    (void)pthread_rwlock_wrlock(&server->table_lock);
    server->token = generation->token;
    server->are_reads_guarded = generation->config.control.are_reads_guarded;
    (void)pthread_rwlock_unlock(&server->table_lock);
}

static enum weir_status open_control(struct weir_server *server, struct weir_error *error)
{
    set_control(server, server->first);
    if (server->config->control.upload_bytes_max == 0)
        return WEIR_OK;
    return weir_module_store_open(server->config->modules_dir, server->account, NULL,
                                  &server->modules, error);
}

/* A reload comes through however many requests look for their route. */
static void init_table_lock(struct weir_server *server)
{
    pthread_rwlockattr_t attributes;
    (void)pthread_rwlockattr_init(&attributes);
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&server->table_lock, &attributes);
    (void)pthread_rwlockattr_destroy(&attributes);
}

enum weir_status weir_server_new(const struct weir_server_config *config,
                                 const struct weir_server_progress *progress,
                                 struct weir_server **ret_server, struct weir_error *error)
{
    struct weir_account *account = NULL;
    enum weir_status status = weir_account_new(weir_account_host(), WEIR_ACCOUNT_SERVICE, "server",
                                               WEIR_UNLIMITED, &account, error);
    if (status != WEIR_OK)
        return status;
    struct weir_server *server =
        weir_account_alloc(account, WEIR_KIND_SERVER, sizeof *server, error);
    if (server == NULL) {
        weir_account_close(account);
        return WEIR_LIMIT;
    }
    server->config = config;
    server->account = account;
    server->nobody.server = server;
    server->listen_fd = -1;
    server->watch.epoll_fd = server->watch.wake_fd = -1;
    (void)pthread_mutex_init(&server->workers.lock, NULL);
    (void)pthread_cond_init(&server->workers.wake, NULL);
    (void)pthread_mutex_init(&server->watch.lock, NULL);
    (void)pthread_mutex_init(&server->report_queue.lock, NULL);
    init_monotonic(&server->report_queue.wake);
    (void)pthread_mutex_init(&server->report_lock, NULL);
    (void)pthread_mutex_init(&server->log_lock, NULL);
    (void)pthread_mutex_init(&server->make_lock, NULL);
    (void)pthread_mutex_init(&server->tenant_lock, NULL);
    server->report_queue.server = server->change_queue.server = server;
    server->report_queue.make = weir__page_make;
    server->report_queue.tick = weir__page_tick;
    server->change_queue.make = weir__page_change;
    (void)pthread_mutex_init(&server->change_queue.lock, NULL);
    init_monotonic(&server->change_queue.wake);
    init_table_lock(server);
    (void)pthread_rwlock_init(&server->governor_lock, NULL);
    (void)pthread_mutex_init(&server->running_lock, NULL);
    weir_account_set_limit(weir_account_host(), config->memory_bytes_max);
    set_live(server, config);
    struct weir__route_table *table = NULL;
    status = weir_account_new(account, WEIR_ACCOUNT_STORE, "reports", WEIR_UNLIMITED,
                              &server->reports_account, error);
    if (status == WEIR_OK)
        status = weir__logs_open(server, error);
    if (status == WEIR_OK)
        server->first = server->present = weir__generation_new(server, config, NULL, error);
    if (status == WEIR_OK && server->first != NULL)
        status = open_control(server, error);
    if (status == WEIR_OK)
        status = server->first != NULL ? weir__server_cache_open(server, error) : WEIR_LIMIT;
    if (status == WEIR_OK && config->filter_threads > 0)
        status = weir_filter_registry_new(account, &server->filter_registry, error);
    if (status == WEIR_OK)
        status = weir__route_table_new(server, server->first, progress, &table, error);
    if (status != WEIR_OK) {
        weir_server_free(server);
        return status;
    }
    weir__route_table_set(server, server->first, table);
    *ret_server = server;
    return WEIR_OK;
}

void weir_server_free(struct weir_server *server)
{
    if (server == NULL)
        return;
    struct weir_account *account = server->account;
    weir__route_table_free(server, server->table);
    weir_filter_registry_free(server->filter_registry);
    if (server->present != server->first)
        weir__generation_unref(server->present);
    weir__generation_unref(server->first);
    weir_module_store_close(server->modules);
    weir_account_close(server->reports_account);
    weir__server_cache_close(server);
    for (size_t i = 0; i < 2; i++) {
        weir_linker_free(server->linkers[i]);
        weir_engine_unref(server->engines[i]);
    }
    if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    weir__more_close(server);
    weir__logs_close(server);
    (void)pthread_rwlock_destroy(&server->table_lock);
    weir_account_free(account, WEIR_KIND_SERVER, server, sizeof *server);
    weir_account_close(account);
}

/* Connections, the directories of guests and the spool files of requests, and our own. The soft
 * limit is raised where the hard one allows it. */
static enum weir_status reserve_descriptors(const struct weir_server_config *config,
                                            struct weir_error *error)
{
    struct rlimit limit;
    uint64_t wanted = weir_server_connections(config) + OWN_DESCRIPTORS;
    for (size_t i = 0; i < config->route_count; i++)
        wanted += config->routes[i].concurrency +
                  (uint64_t)config->routes[i].slots * config->routes[i].dir_count;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return WEIR_OK;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return WEIR_OK;
    return weir_error_set(
        error, WEIR_CONFIG, WEIR_NO_OFFSET,
        "%s: the configuration may need %llu descriptors, %llu are allowed: lower "
        "server.connections_max or concurrency, or raise ulimit -n",
        config->file, (unsigned long long)wanted, (unsigned long long)limit.rlim_cur);
}

/* Refused, the reservation is as it was. */
static enum weir_status reserve_reports(struct weir_server *server,
                                        const struct weir_server_config *config,
                                        struct weir_error *error)
{
    uint64_t bytes = weir_server_plan_report_bytes(config);
    (void)pthread_mutex_lock(&server->report_lock);
    server->census.sizes = weir_server_plan_census(config);
    enum weir_status status = weir_account_reserve(server->reports_account, bytes, error);
    if (status == WEIR_OK)
        server->report_bytes = bytes;
    else if (weir_account_reserve(server->reports_account, server->report_bytes, NULL) != WEIR_OK)
        server->report_bytes = 0;
    (void)pthread_mutex_unlock(&server->report_lock);
    return status;
}

/* --- reloading ----------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_module_cache(const struct weir_cache_config_keys *a,
                              const struct weir_cache_config_keys *b)
{
    return a->memory_bytes == b->memory_bytes && a->pinned_bytes == b->pinned_bytes &&
           a->disk_bytes == b->disk_bytes && same_text(a->trace, b->trace);
}

static bool same_log(const struct weir_log_keys *a, const struct weir_log_keys *b)
{
    return same_text(a->access, b->access) && same_text(a->events, b->events) &&
           a->access_form == b->access_form && a->events_form == b->events_form &&
           a->queue_bytes == b->queue_bytes;
}

/* Threads, sockets, engines: made once. */
static enum weir_status check_fixed(const struct weir_server_config *now,
                                    const struct weir_server_config *wanted,
                                    struct weir_error *error)
{
    const struct {
        const char *key;
        bool is_same;
    } KEYS[] = {
        {"listen", strcmp(now->listen, wanted->listen) == 0},
        {"cache", same_text(now->cache_dir, wanted->cache_dir)},
        {"bounds", now->bounds == wanted->bounds},
        {"module_cache", same_module_cache(&now->module_cache, &wanted->module_cache)},
        {"log (but log.level)", same_log(&now->log, &wanted->log)},
        {"control.socket", same_text(now->control.socket, wanted->control.socket)},
        {"control.upload_max", now->control.upload_bytes_max == wanted->control.upload_bytes_max},
        {"modules (with control.upload_max)",
         now->control.upload_bytes_max == 0 || same_text(now->modules_dir, wanted->modules_dir)},
        {"server.spool", strcmp(now->spool_dir, wanted->spool_dir) == 0},
        {"server.loops", now->loops == wanted->loops},
        {"server.workers", now->workers == wanted->workers},
        {"server.filter_threads (and the first filter or upstream)",
         now->filter_threads == wanted->filter_threads},
        {"server.connections_max", now->connections_max == wanted->connections_max},
        {"server.connections_per_client_max",
         now->connections_per_client_max == wanted->connections_per_client_max},
    };
    char keys[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++)
        if (!KEYS[i].is_same)
            used += (size_t)snprintf(keys + used, sizeof keys - used, "%s%s", used > 0 ? ", " : "",
                                     KEYS[i].key);
    if (used == 0)
        return WEIR_OK;
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                          "%s: cannot change while it runs: %s; restart for that", wanted->file,
                          keys);
}

enum weir_status weir_server_can_reload(const struct weir_server *server,
                                        const struct weir_server_config *config,
                                        struct weir_error *error)
{
    return check_fixed(server->config, config, error);
}

enum weir_status weir_server_reload(struct weir_server *server,
                                    const struct weir_server_config *config,
                                    struct weir_arena *arena,
                                    const struct weir_server_progress *progress,
                                    struct weir_error *error)
{
    enum weir_status status = check_fixed(server->config, config, error);
    if (status == WEIR_OK)
        status = reserve_descriptors(config, error);
    if (status == WEIR_OK)
        status = reserve_reports(server, config, error);
    if (status != WEIR_OK)
        return status;
    struct weir__generation *generation = weir__generation_new(server, config, NULL, error);
    if (generation == NULL)
        return weir_error_refused(error);
    (void)pthread_mutex_lock(&server->make_lock);
    struct weir__route_table *table = NULL;
    status = weir__route_table_new(server, generation, progress, &table, error);
    if (status == WEIR_OK && (status = weir__governor_set(server, generation, error)) != WEIR_OK)
        weir__route_table_free(server, table);
    if (status == WEIR_OK) {
        generation->arena = arena;
        set_live(server, config);
        set_control(server, generation);
        weir__tenants_set(server, config);
        weir__route_table_set(server, generation, table);
        if (server->present != server->first)
            weir__generation_unref(server->present);
        server->present = generation;
    } else {
        weir__generation_unref(generation);
    }
    (void)pthread_mutex_unlock(&server->make_lock);
    return status;
}

uint64_t weir_server_drain_ns(const struct weir_server *server)
{
    return atomic_load(&server->drain_ns);
}

/* --- listening ----------------------------------------------------------------------------- */

static enum weir_status open_socket(struct weir_server *server, struct weir_error *error)
{
    struct weir_listen listen = {.fd = -1};
    if (server->listen_fd >= 0) /* adopted */
        return WEIR_OK;
    enum weir_status status = weir_listen_open(server->config->listen, &listen, error);
    if (status != WEIR_OK)
        return status;
    weir__listen_tune(listen.fd);
    server->listen_fd = listen.fd;
    server->port = listen.port;
    memcpy(server->host, listen.host, sizeof server->host);
    memcpy(server->url, listen.url, sizeof server->url);
    return WEIR_OK;
}

const char *weir_server_url(const struct weir_server *server)
{
    return server->url;
}

/* --- start and stop ------------------------------------------------------------------------ */

static uint64_t thread_bytes(const struct weir_server_config *config)
{
    return config->filter_threads * (uint64_t)WEIR_SERVER_FILTER_THREAD_STACK +
           (uint64_t)(config->loops + config->workers + 4) * WEIR_SERVER_THREAD_STACK;
}

enum weir_status weir_server_start(struct weir_server *server, struct weir_error *error)
{
    enum weir_status status = reserve_descriptors(server->config, error);
    if (status == WEIR_OK)
        status = open_socket(server, error);
    if (status == WEIR_OK)
        status = weir__more_open(server, error);
    if (status == WEIR_OK)
        status = weir_account_charge(server->account, WEIR_KIND_THREAD,
                                     thread_bytes(server->config), error);
    if (status != WEIR_OK)
        return status;
    server->charged_threads = thread_bytes(server->config);
    status = weir__connections_start(server, error);
    if (status == WEIR_OK)
        status = reserve_reports(server, server->config, error);
    if (status == WEIR_OK)
        status = weir__watch_start(server, error);
    if (status == WEIR_OK)
        status = weir__workers_start(server, error);
    if (status == WEIR_OK)
        status = weir__lanes_start(server, error);
    if (status == WEIR_OK)
        status = weir__reports_start(&server->report_queue, error);
    if (status == WEIR_OK)
        status = weir__reports_start(&server->change_queue, error);
    if (status == WEIR_OK)
        status = weir__governor_set(server, server->first, error);
    if (status == WEIR_OK)
        status = weir__http_start(server, error);
    if (status == WEIR_OK)
        atomic_store(&server->inner_daemon, server->daemon);
    if (status == WEIR_OK)
        status = weir__more_start(server, error);
    if (status == WEIR_OK)
        atomic_store(&server->phase, WEIR__SERVING);
    else
        (void)weir_server_stop(server, 0);
    return status;
}

/* True when no request is in flight any more. */
static bool wait_idle(struct weir_server *server, uint64_t until_ns,
                      bool (*is_hurried)(void *context), void *context)
{
    while (atomic_load(&server->active) > 0) {
        if (weir_clock_ns() >= until_ns || (is_hurried != NULL && is_hurried(context)))
            return false;
        const struct timespec pause = {.tv_nsec = 2000000};
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

bool weir_server_stop(struct weir_server *server, uint64_t drain_ns)
{
    return weir_server_drain(server, drain_ns, NULL, NULL);
}

void weir_server_check(struct weir_server *server)
{
    pthread_mutex_t *const LOCKS[] = {&server->watch.lock, &server->workers.lock,
                                      &server->running_lock, &server->report_queue.lock};
    for (size_t i = 0; i < sizeof LOCKS / sizeof LOCKS[0]; i++) {
        (void)pthread_mutex_lock(LOCKS[i]);
        (void)pthread_mutex_unlock(LOCKS[i]);
    }
    (void)weir__route_table_hold(server);
    weir__route_table_release(server);
}

bool weir_server_drain(struct weir_server *server, uint64_t drain_ns,
                       bool (*is_hurried)(void *context), void *context)
{
    bool is_clean = true;
    atomic_store(&server->phase, WEIR__DRAINING);
    weir__more_quiesce(server);
    if (server->daemon != NULL) {
        server->listen_fd = MHD_quiesce_daemon(server->daemon);
        weir__more_refuse(server);
        is_clean = wait_idle(server, weir_clock_ns() + drain_ns, is_hurried, context);
        atomic_store(&server->are_changes_off, true);
        weir__reports_stop(&server->change_queue); /* the present one comes to its end */
        uint64_t give_up_ns = weir_clock_ns() + WEIR_SERVER_CANCEL_MS * WEIR_MS_NS;
        while (!wait_idle(server, weir_clock_ns() + UINT64_C(20000000), NULL, NULL) &&
               weir_clock_ns() < give_up_ns)
            weir__watch_cancel_all(server);
        weir__lanes_stop(server); /* which closes its connections to the daemon */
        MHD_stop_daemon(server->daemon);
        server->daemon = NULL;
    }
    weir__lanes_stop(server);
    weir__governor_stop(server);
    weir__watch_stop(server);
    if (server->table != NULL)
        weir__counts_tell(server);
    weir__workers_stop(server);
    weir__reports_stop(&server->report_queue);
    weir__server_census_free(server);
    weir__connections_stop(server);
    weir_account_unreserve(server->reports_account);
    weir_account_discharge(server->account, WEIR_KIND_THREAD, server->charged_threads);
    server->charged_threads = 0;
    return is_clean;
}
