/* The server's life: engines and routes, the listening socket, threads, the drain. */
#include "server/server_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/host_file.h"
#include "server/import_hints.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define OWN_DESCRIPTORS 64u /* artifacts, epolls, the spawner, files being read */

/* --- engines and routes -------------------------------------------------------------------- */

static enum weir_status open_engine(struct weir_server *server, bool has_fuel,
                                    struct weir_error *error)
{
    if (server->engines[has_fuel] != NULL)
        return WEIR_OK;
    const struct weir_engine_config config = {.has_fuel = has_fuel,
                                              .artifact_dir = server->config->cache_dir};
    enum weir_status status = weir_engine_new(&config, &server->engines[has_fuel], error);
    if (status == WEIR_OK)
        status = weir_linker_new(server->engines[has_fuel], &server->linkers[has_fuel], error);
    if (status == WEIR_OK)
        status = weir_wasi_link(server->linkers[has_fuel], NULL, error);
    return status;
}

static enum weir_status open_pool(struct weir_server *server, struct weir__route *route,
                                  struct weir_error *error)
{
    const struct weir_route_config *config = route->config;
    const struct weir_pool_config pool = {
        .store = {.name = config->path,
                  .account = route->account,
                  .memory_bytes_max = config->memory_bytes_max},
        .slots_max = config->concurrency,
        .warm_max = config->warm,
    };
    return weir_pool_new(server->linkers[config->fuel != 0], route->module, &pool, &route->pool,
                         error);
}

/* Makes the slots that are kept ready, and at least one: what would fail every request shows at
 * start-up. */
static enum weir_status warm_pool(struct weir_server *server, struct weir__route *route,
                                  struct weir_error *error)
{
    uint32_t wanted = route->config->warm > 0 ? route->config->warm : 1, count = 0;
    size_t size = wanted * sizeof(struct weir_instance *);
    struct weir_instance **taken =
        weir_account_alloc(server->account, WEIR_KIND_SERVER, size, error);
    if (taken == NULL)
        return WEIR_LIMIT;
    enum weir_status status = WEIR_OK;
    while (count < wanted && status == WEIR_OK) {
        status = weir_pool_take(route->pool, &taken[count], error);
        count += status == WEIR_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        weir_pool_give(route->pool, taken[i]);
    weir_account_free(server->account, WEIR_KIND_SERVER, taken, size);
    return status;
}

static enum weir_status open_route(struct weir_server *server, struct weir__route *route,
                                   const struct weir_server_progress *progress,
                                   struct weir_error *error)
{
    const struct weir_route_config *config = route->config;
    route->path_size = strlen(config->path);
    (void)pthread_mutex_init(&route->lock, NULL);
    enum weir_status status =
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, config->path,
                         config->tenant_bytes_max, &route->account, error);
    if (status == WEIR_OK)
        status = open_engine(server, config->fuel != 0, error);
    if (status != WEIR_OK)
        return status;
    struct weir_module_config module = {0};
    if (progress != NULL) {
        if (progress->compiling != NULL)
            progress->compiling(progress->context, config->module);
        module.progress = progress->compiled;
        module.progress_context = progress->context;
    }
    struct weir_error inner = {0};
    status = weir_host_file_module(server->engines[config->fuel != 0], config->module, &module,
                                   &route->module, &inner);
    if (status == WEIR_OK)
        status = open_pool(server, route, &inner);
    if (status == WEIR_OK)
        status = warm_pool(server, route, &inner);
    if (status != WEIR_OK) {
        (void)weir_error_set(error, status, inner.offset, "route %s: %s", config->path,
                             inner.message);
        for (struct weir_error_detail *d = inner.details; d != NULL; d = d->next)
            weir_error_add(error, "%s", d->text);
        weir_error_done(&inner);
        weir_import_hints(error);
    }
    return status;
}

static void close_route(struct weir__route *route)
{
    weir__route_free_requests(route);
    weir_pool_free(route->pool);
    weir_module_unref(route->module);
    weir_account_close(route->account);
    (void)pthread_mutex_destroy(&route->lock);
}

static int longer_first(const void *a, const void *b)
{
    const struct weir__route *x = *(struct weir__route *const *)a;
    const struct weir__route *y = *(struct weir__route *const *)b;
    return x->path_size < y->path_size ? 1 : x->path_size > y->path_size ? -1 : 0;
}

static enum weir_status open_routes(struct weir_server *server,
                                    const struct weir_server_progress *progress,
                                    struct weir_error *error)
{
    size_t count = server->config->route_count;
    server->routes = weir_account_alloc(server->account, WEIR_KIND_SERVER,
                                        count * sizeof *server->routes, error);
    server->by_length = weir_account_alloc(server->account, WEIR_KIND_SERVER,
                                           count * sizeof *server->by_length, error);
    if (server->routes == NULL || server->by_length == NULL)
        return WEIR_LIMIT;
    for (size_t i = 0; i < count; i++)
        server->routes[i].config = &server->config->routes[i];
    for (size_t i = 0; i < count; i++) {
        enum weir_status status = open_route(server, &server->routes[i], progress, error);
        if (status != WEIR_OK)
            return status;
        server->by_length[i] = &server->routes[i];
    }
    qsort(server->by_length, count, sizeof server->by_length[0], longer_first);
    return WEIR_OK;
}

struct weir__route *weir__route_find(struct weir_server *server, const char *path)
{
    for (size_t i = 0; i < server->config->route_count; i++) {
        struct weir__route *route = server->by_length[i];
        if (route->path_size == 1 ||
            (strncmp(path, route->config->path, route->path_size) == 0 &&
             (path[route->path_size] == 0 || path[route->path_size] == '/')))
            return route;
    }
    return NULL;
}

enum weir_status weir_server_new(const struct weir_server_config *config,
                                 const struct weir_server_progress *progress,
                                 struct weir_server **ret_server, struct weir_error *error)
{
    if (config->memory_bytes_max != WEIR_UNLIMITED)
        weir_account_set_limit(weir_account_host(), config->memory_bytes_max);
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
    server->listen_fd = -1;
    server->watch.epoll_fd = server->watch.wake_fd = -1;
    (void)pthread_mutex_init(&server->workers.lock, NULL);
    (void)pthread_cond_init(&server->workers.wake, NULL);
    (void)pthread_mutex_init(&server->watch.lock, NULL);
    (void)pthread_mutex_init(&server->report_lock, NULL);
    (void)pthread_mutex_init(&server->log_lock, NULL);
    status = open_routes(server, progress, error);
    if (status != WEIR_OK) {
        weir_server_free(server);
        return status;
    }
    *ret_server = server;
    return WEIR_OK;
}

void weir_server_free(struct weir_server *server)
{
    if (server == NULL)
        return;
    struct weir_account *account = server->account;
    size_t count = server->config->route_count;
    for (size_t i = 0; server->routes != NULL && i < count; i++)
        close_route(&server->routes[i]);
    for (size_t i = 0; i < 2; i++) {
        weir_linker_free(server->linkers[i]);
        weir_engine_unref(server->engines[i]);
    }
    weir_account_free(account, WEIR_KIND_SERVER, server->routes, count * sizeof *server->routes);
    weir_account_free(account, WEIR_KIND_SERVER, server->by_length,
                      count * sizeof *server->by_length);
    if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    weir_account_free(account, WEIR_KIND_SERVER, server, sizeof *server);
    weir_account_close(account);
}

/* --- listening ----------------------------------------------------------------------------- */

static enum weir_status refuse_bind(const struct weir_server *server, int number,
                                    struct weir_error *error)
{
    const char *remedy = number == EADDRINUSE ? "; another program listens there: choose another "
                                                "port with --listen, or 0 for any"
                         : number == EACCES   ? "; ports below 1024 need a privilege"
                                              : "";
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot listen on %s: %s%s",
                          server->config->listen, strerror(number), remedy);
}

static enum weir_status open_socket(struct weir_server *server, struct weir_error *error)
{
    enum weir_status status =
        weir_server_listen_parse(server->config->listen, server->host, &server->port, error);
    if (status != WEIR_OK)
        return status;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", server->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(server->host[0] != 0 ? server->host : NULL, port, &hints, &found);
    if (failed != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "cannot listen on %s: %s", server->config->listen,
                              gai_strerror(failed));
    int one = 1, number = 0;
    AUTO_CLOSE fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 511) != 0)
        number = errno;
    freeaddrinfo(found);
    if (number != 0)
        return refuse_bind(server, number, error);
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    (void)getsockname(fd, (struct sockaddr *)&address, &size);
    server->port =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                                            : ((struct sockaddr_in *)(void *)&address)->sin_port);
    server->listen_fd = fd;
    fd = -1;
    bool is_ipv6 = strchr(server->host, ':') != NULL;
    (void)snprintf(server->url, sizeof server->url, "http://%s%s%s:%u", is_ipv6 ? "[" : "",
                   server->host[0] != 0 ? server->host : "127.0.0.1", is_ipv6 ? "]" : "",
                   server->port);
    return WEIR_OK;
}

const char *weir_server_url(const struct weir_server *server)
{
    return server->url;
}

/* --- start and stop ------------------------------------------------------------------------ */

static uint64_t thread_bytes(const struct weir_server_config *config)
{
    return (uint64_t)(config->loops + config->workers + 1) * WEIR_SERVER_THREAD_STACK;
}

/* Connections, the directories of guests and the spool files of requests, and our own. The soft
 * limit is raised where the hard one allows it. */
static enum weir_status reserve_descriptors(const struct weir_server_config *config,
                                            struct weir_error *error)
{
    struct rlimit limit;
    uint64_t wanted = config->connections_max + OWN_DESCRIPTORS;
    for (size_t i = 0; i < config->route_count; i++)
        wanted += config->routes[i].concurrency * (config->routes[i].dir_count + 1);
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

enum weir_status weir_server_start(struct weir_server *server, struct weir_error *error)
{
    enum weir_status status = reserve_descriptors(server->config, error);
    if (status == WEIR_OK)
        status = open_socket(server, error);
    if (status == WEIR_OK)
        status = weir_account_charge(server->account, WEIR_KIND_THREAD,
                                     thread_bytes(server->config), error);
    if (status != WEIR_OK)
        return status;
    server->charged_threads = thread_bytes(server->config);
    status = weir__watch_start(server, error);
    if (status == WEIR_OK)
        status = weir__workers_start(server, error);
    if (status == WEIR_OK)
        status = weir__http_start(server, error);
    if (status == WEIR_OK)
        atomic_store(&server->phase, WEIR__SERVING);
    else
        (void)weir_server_stop(server, 0);
    return status;
}

/* True when no request is in flight any more. */
static bool wait_idle(struct weir_server *server, uint64_t until_ns)
{
    while (atomic_load(&server->active) > 0) {
        if (weir_clock_ns() >= until_ns)
            return false;
        const struct timespec pause = {.tv_nsec = 2000000};
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

bool weir_server_stop(struct weir_server *server, uint64_t drain_ns)
{
    bool is_clean = true;
    atomic_store(&server->phase, WEIR__DRAINING);
    if (server->daemon != NULL) {
        server->listen_fd = MHD_quiesce_daemon(server->daemon);
        is_clean = wait_idle(server, weir_clock_ns() + drain_ns);
        uint64_t give_up_ns = weir_clock_ns() + WEIR_SERVER_CANCEL_MS * UINT64_C(1000000);
        while (!wait_idle(server, weir_clock_ns() + UINT64_C(20000000)) &&
               weir_clock_ns() < give_up_ns)
            weir__watch_cancel_all(server);
        MHD_stop_daemon(server->daemon);
        server->daemon = NULL;
    }
    weir__watch_stop(server);
    weir__workers_stop(server);
    weir_account_discharge(server->account, WEIR_KIND_THREAD, server->charged_threads);
    server->charged_threads = 0;
    return is_clean;
}
