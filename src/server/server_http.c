/* libmicrohttpd: the daemon's options and callbacks, and the record of each connection. */
#include "server/server_internal.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- connections --------------------------------------------------------------------------- */

static void read_address(struct weir__connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    const void *bytes = NULL;
    bool is_unix = address != NULL && address->sa_family == AF_UNIX;
    connection->is_local = is_unix && weir__more_trusts(connection->server, connection->fd);
    if (address != NULL && address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address != NULL && address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (bytes == NULL ||
        inet_ntop(address->sa_family, bytes, connection->client, sizeof connection->client) == NULL)
        (void)snprintf(connection->client, sizeof connection->client, "%s",
                       is_unix ? "unix" : "unknown");
}

enum weir_status weir__connections_start(struct weir_server *server, struct weir_error *error)
{
    uint64_t count = weir_server_connections(server->config);
    uint64_t others = count * WEIR_SERVER_CONNECTION_BYTES;
    enum weir_status status = weir_account_charge(server->account, WEIR_KIND_SERVER, others, error);
    if (status != WEIR_OK)
        return status;
    server->charged_connections = others;
    status = weir_mapping_new_charged(server->account, WEIR_KIND_SERVER,
                                      count * sizeof(struct weir__connection), &server->connections,
                                      error);
    if (status != WEIR_OK)
        return status;
    struct weir__connection *all = (struct weir__connection *)(void *)server->connections.base;
    for (uint64_t i = count; i-- > 0;) {
        all[i].next_free = server->free_connections;
        server->free_connections = &all[i];
    }
    return WEIR_OK;
}

void weir__connections_stop(struct weir_server *server)
{
    server->free_connections = NULL;
    weir_mapping_free(&server->connections);
    weir_account_discharge(server->account, WEIR_KIND_SERVER, server->charged_connections);
    server->charged_connections = 0;
}

/* NULL when there is no record left: the connection is closed at once. */
static struct weir__connection *open_connection(struct weir_server *server,
                                                struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    /* Only filter threads add connections of no family. */
    bool is_inner = info != NULL && info->client_addr != NULL &&
                    info->client_addr->sa_family == AF_UNSPEC;
    struct weir__connection *connection = weir__watch_add(server, is_inner);
    if (connection == NULL)
        return NULL;
    connection->mhd = mhd;
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    atomic_store_explicit(&connection->deadline_ns, weir_clock_ns() + atomic_load(&server->idle_ns),
                          memory_order_relaxed);
    read_address(connection);
    (void)atomic_fetch_add_explicit(&server->connections_total, 1, memory_order_relaxed);
    return connection;
}

static void close_connection(struct weir__connection *connection)
{
    weir__watch_remove(connection);
}

static void notify_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                              enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *socket_context = open_connection(context, mhd);
    else if (*socket_context != NULL)
        close_connection(*socket_context);
}

static struct weir__connection *find_connection(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* --- requests ------------------------------------------------------------------------------ */

/* Before MHD cuts and decodes the target: keeps it as sent. */
static void *keep_target(void *context, const char *uri, struct MHD_Connection *mhd)
{
    (void)context;
    struct weir__connection *connection = find_connection(mhd);
    if (connection == NULL)
        return NULL;
    size_t size = strlen(uri);
    connection->target_is_long = size > WEIR_SERVER_TARGET_MAX;
    if (connection->target_is_long)
        size = WEIR_SERVER_TARGET_MAX;
    memcpy(connection->text, uri, size);
    connection->text[size] = 0;
    connection->has_target = true;
    return connection;
}

static enum MHD_Result mhd_access_handler(void *context, struct MHD_Connection *mhd,
                                          const char *url, const char *method, const char *version,
                                          const char *data, size_t *data_size,
                                          void **request_context)
{
    (void)context;
    (void)mhd;
    struct weir__connection *connection = *request_context;
    if (connection == NULL)
        return MHD_NO;
    /* Between two chunks MHD comes back although the connection was suspended in the first: the
     * request is not this thread's now, and the data is shown again later. */
    if (atomic_load_explicit(&connection->is_suspended, memory_order_acquire))
        return MHD_YES;
    connection->method = method;
    connection->url = url;
    connection->is_old = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    if (!connection->is_begun)
        return weir__exchange_begin(connection);
    if (*data_size > 0)
        return weir__exchange_body(connection, data, data_size);
    return weir__exchange_end(connection);
}

static void completed(void *context, struct MHD_Connection *mhd, void **request_context,
                      enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)mhd;
    if (*request_context != NULL)
        weir__exchange_completed(*request_context, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *request_context = NULL;
}

/* The target is ours to decode. */
static size_t keep_escapes(void *context, struct MHD_Connection *mhd, char *text)
{
    (void)context;
    (void)mhd;
    return strlen(text);
}

/* MHD reports malformed requests and clients that left; both are counted, not logged. */
static void __attribute__((format(printf, 2, 0)))
drop_log(void *context, const char *format, va_list args)
{
    (void)context;
    (void)format;
    (void)args;
}

enum weir_status weir__http_start(struct weir_server *server, struct weir_error *error)
{
    const struct weir_server_config *config = server->config;
    unsigned flags =
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_ITC;
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)drop_log, NULL},
        {MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)weir_server_connections(config), NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)config->connections_per_client_max, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, WEIR_SERVER_CONNECTION_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT,
         (intptr_t)((config->idle_ns + 999999999u) / UINT64_C(1000000000)), NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, WEIR_SERVER_THREAD_STACK, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, config->loops > 1 ? (intptr_t)config->loops : 0, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)keep_target, server},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)completed, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)notify_connection, server},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, mhd_access_handler, server,
                                      MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (server->daemon == NULL)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot start the HTTP server");
    return WEIR_OK;
}
