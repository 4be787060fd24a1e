/* Sockets beside the first: the UNIX socket of control.socket, and what a service manager handed
 * over. libmicrohttpd listens on one; one thread accepts on the others and gives it what comes. */
#include "server/server_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 511 /* as for the first */
#define PAUSE_MS 100

/* --- adopting ------------------------------------------------------------------------------ */

void weir__listen_tune(int fd)
{
    const int buffer = WEIR_SERVER_SOCKET_BUFFER_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
}

static void trust(struct weir__more *more, int fd)
{
    struct sockaddr_un *address = &more->trusted[more->trusted_count];
    socklen_t size = sizeof *address;
    if (getsockname(fd, (struct sockaddr *)(void *)address, &size) == 0 &&
        address->sun_path[0] != 0)
        more->trusted_count++;
}

bool weir__more_trusts(const struct weir_server *server, int fd)
{
    const struct weir__more *more = &server->more;
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)(void *)&address, &size) != 0)
        return false;
    for (uint32_t i = 0; i < more->trusted_count; i++)
        if (strncmp(address.sun_path, more->trusted[i].sun_path, sizeof address.sun_path) == 0)
            return true;
    return false;
}

/* The name of the first socket, for people and for guests. */
static void name_first(struct weir_server *server, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        struct sockaddr_un path;
        struct sockaddr_storage room;
    } address = {0};
    socklen_t size = sizeof address.room;
    (void)getsockname(fd, &address.any, &size);
    if (address.any.sa_family == AF_UNIX) {
        (void)snprintf(server->host, sizeof server->host, "localhost");
        (void)snprintf(server->url, sizeof server->url, "unix:%.80s", address.path.sun_path);
        return;
    }
    bool is_ip6 = address.any.sa_family == AF_INET6;
    const void *bytes = is_ip6 ? (const void *)&address.ip6.sin6_addr : &address.ip4.sin_addr;
    server->port = ntohs(is_ip6 ? address.ip6.sin6_port : address.ip4.sin_port);
    (void)inet_ntop(address.any.sa_family, bytes, server->host, sizeof server->host);
    (void)snprintf(server->url, sizeof server->url, "http://%s%s%s:%u", is_ip6 ? "[" : "",
                   server->host, is_ip6 ? "]" : "", server->port);
}

void weir_server_adopt(struct weir_server *server, const struct weir_service *service)
{
    struct weir__more *more = &server->more;
    for (uint32_t i = 0; i < service->socket_count; i++) {
        const struct weir_service_socket *socket = &service->sockets[i];
        bool is_control = strcmp(socket->name, "control") == 0;
        weir__listen_tune(socket->fd);
        if (is_control && socket->family == AF_UNIX)
            trust(more, socket->fd);
        if (!is_control && server->listen_fd < 0) {
            server->listen_fd = socket->fd;
            more->is_first_adopted = true;
            name_first(server, socket->fd);
        } else {
            more->fds[more->count++] = socket->fd;
        }
    }
}

/* --- the UNIX socket ----------------------------------------------------------------------- */

/* True when somebody listens there. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_taken = fd >= 0 && (connect(fd, (const struct sockaddr *)(const void *)address,
                                        sizeof *address) == 0 ||
                                errno == EAGAIN);
    if (fd >= 0)
        (void)close(fd);
    return is_taken;
}

/* A socket that its process left behind goes; anything else stays. */
static enum weir_status make_room(const struct sockaddr_un *address, struct weir_error *error)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0)
        return WEIR_OK;
    if (!S_ISSOCK(st.st_mode))
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                              "control.socket: %s is there and is no socket", address->sun_path);
    if (is_alive(address))
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                              "control.socket: another program listens on %s", address->sun_path);
    (void)unlink(address->sun_path);
    return WEIR_OK;
}

static enum weir_status open_unix(struct weir_server *server, const char *path,
                                  struct weir_error *error)
{
    struct weir__more *more = &server->more;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    enum weir_status status = make_room(&address, error);
    if (status != WEIR_OK)
        return status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    more->fds[more->count] = fd;
    more->count += fd >= 0;
    /* The owner's from the first moment: the mode is set before anybody can connect. */
    if (fd < 0 || fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address) != 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot listen on %s", path);
    more->path = path;
    weir__listen_tune(fd);
    trust(more, fd);
    if (chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot listen on %s", path);
    return WEIR_OK;
}

/* --- accepting ----------------------------------------------------------------------------- */

/* False where there are no descriptors left: a moment later there may be. */
static bool accept_one(struct weir_server *server, int listening)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    int fd = accept4(listening, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    /* Closes it when it is refused. */
    (void)MHD_add_connection(server->daemon, fd, (const struct sockaddr *)&address, size);
    return true;
}

static void *accept_connections(void *context)
{
    struct weir_server *server = context;
    struct weir__more *more = &server->more;
    struct pollfd polls[WEIR_SERVER_LISTEN_MAX + 2];
    for (uint32_t i = 0; i < more->count; i++)
        polls[i] = (struct pollfd){.fd = more->fds[i], .events = POLLIN};
    polls[more->count] = (struct pollfd){.fd = more->wake_fd, .events = POLLIN};
    for (;;) {
        bool may_go_on = true;
        if (poll(polls, more->count + 1, -1) < 0 && errno != EINTR)
            return NULL;
        if (polls[more->count].revents != 0)
            return NULL;
        for (uint32_t i = 0; i < more->count; i++)
            if (polls[i].revents != 0)
                may_go_on = accept_one(server, more->fds[i]) && may_go_on;
        if (!may_go_on)
            (void)poll(&polls[more->count], 1, PAUSE_MS);
    }
}

/* --- start and stop ------------------------------------------------------------------------ */

enum weir_status weir__more_open(struct weir_server *server, struct weir_error *error)
{
    const char *path = server->config->control.socket;
    if (server->more.trusted_count > 0) /* adopted */
        return WEIR_OK;
    return path != NULL ? open_unix(server, path, error) : WEIR_OK;
}

enum weir_status weir__more_start(struct weir_server *server, struct weir_error *error)
{
    struct weir__more *more = &server->more;
    if (more->count == 0)
        return WEIR_OK;
    pthread_attr_t attributes;
    more->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (more->wake_fd < 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot accept connections");
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_SERVER_THREAD_STACK);
    int failed = pthread_create(&more->thread, &attributes, accept_connections, server);
    (void)pthread_attr_destroy(&attributes);
    more->is_running = failed == 0;
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed, "cannot accept connections");
    return WEIR_OK;
}

/* What has come, as far as a socket's buffers reach: who never ends sending holds nobody up. */
static void drop_input(int fd)
{
    char bytes[4096];
    size_t left = 4 * WEIR_SERVER_SOCKET_BUFFER_BYTES;
    long count = 0;
    while (left > 0 && (count = recv(fd, bytes, sizeof bytes, 0)) > 0)
        left -= (size_t)count < left ? (size_t)count : left;
}

/* Those of an adopted socket wait for the next process. What a client has sent is read, so that
 * closing does not reset what it is told. */
void weir__more_refuse(struct weir_server *server)
{
    static const char ANSWER[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        "Content-Length: 55\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
        "{\"error\":\"draining\",\"reason\":\"the server is stopping\"}\n";
    if (server->more.is_first_adopted)
        return;
    for (unsigned i = 0; i < BACKLOG; i++) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue; /* that one has left */
        if (fd < 0)
            return;
        drop_input(fd);
        (void)send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
        drop_input(fd);
        (void)close(fd);
    }
}

void weir__more_quiesce(struct weir_server *server)
{
    struct weir__more *more = &server->more;
    const uint64_t one = 1;
    if (!more->is_running)
        return;
    ssize_t ignored = write(more->wake_fd, &one, sizeof one);
    (void)ignored;
    (void)pthread_join(more->thread, NULL);
    (void)close(more->wake_fd);
    more->is_running = false;
}

void weir__more_close(struct weir_server *server)
{
    struct weir__more *more = &server->more;
    for (uint32_t i = 0; i < more->count; i++)
        (void)close(more->fds[i]);
    more->count = 0;
    if (more->path != NULL)
        (void)unlink(more->path);
    more->path = NULL;
}
