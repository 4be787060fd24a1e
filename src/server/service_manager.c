/* See service_manager.h. */
#include "server/service_manager.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static bool read_number(const char *text, uint64_t max, uint64_t *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != 0 || errno != 0 || number > max)
        return false;
    *value = number;
    return true;
}

static enum weir_status refuse(const char *name, const char *value, const char *wanted,
                               struct weir_error *error)
{
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET, "%s is \"%.40s\": %s", name, value,
                          wanted);
}

/* --- variables ----------------------------------------------------------------------------- */

/* True when it is not set, or names this process. */
static enum weir_status read_pid(const char *name, const char *text, long self, bool *ret_is_ours,
                                 struct weir_error *error)
{
    uint64_t pid = 0;
    if (text == NULL || text[0] == 0)
        return WEIR_OK;
    if (!read_number(text, INT32_MAX, &pid))
        return refuse(name, text, "a process id is needed", error);
    *ret_is_ours = pid == (uint64_t)self;
    return WEIR_OK;
}

static enum weir_status read_names(const char *names, struct weir_service *service,
                                   struct weir_error *error)
{
    const char *at = names;
    for (uint32_t i = 0; i < service->socket_count; i++) {
        size_t size = strcspn(at, ":");
        if (size >= WEIR_SERVICE_NAME_SIZE)
            return refuse("LISTEN_FDNAMES", names, "a name is too long", error);
        memcpy(service->sockets[i].name, at, size);
        at += size;
        if (*at == 0 && i + 1 < service->socket_count)
            return refuse("LISTEN_FDNAMES", names, "it has fewer names than LISTEN_FDS", error);
        at += *at == ':';
    }
    return *at == 0 ? WEIR_OK
                    : refuse("LISTEN_FDNAMES", names, "it has more names than LISTEN_FDS", error);
}

static enum weir_status read_sockets(const struct weir_service_env *env,
                                     struct weir_service *service, struct weir_error *error)
{
    uint64_t count = 0;
    bool is_ours = false;
    enum weir_status status =
        read_pid("LISTEN_PID", env->listen_pid, env->self, &is_ours, error);
    if (status != WEIR_OK || !is_ours || env->listen_fds == NULL)
        return status;
    if (!read_number(env->listen_fds, WEIR_SERVICE_SOCKETS_MAX, &count))
        return refuse("LISTEN_FDS", env->listen_fds, "a number up to 8 is needed", error);
    service->socket_count = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++)
        service->sockets[i].fd = WEIR_SERVICE_FIRST_FD + (int)i;
    return env->listen_names != NULL && count > 0 ? read_names(env->listen_names, service, error)
                                                  : WEIR_OK;
}

static enum weir_status read_notify(const struct weir_service_env *env,
                                    struct weir_service *service, struct weir_error *error)
{
    const char *path = env->notify_socket;
    if (path == NULL || path[0] == 0)
        return WEIR_OK;
    size_t size = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || size < 2 || size >= sizeof service->notify.sun_path)
        return refuse("NOTIFY_SOCKET", path, "an absolute path or @NAME is needed", error);
    service->notify.sun_family = AF_UNIX;
    memcpy(service->notify.sun_path, path, size);
    if (path[0] == '@')
        service->notify.sun_path[0] = 0;
    service->notify_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return WEIR_OK;
}

static enum weir_status read_watchdog(const struct weir_service_env *env,
                                      struct weir_service *service, struct weir_error *error)
{
    uint64_t usec = 0;
    bool is_ours = true;
    enum weir_status status =
        read_pid("WATCHDOG_PID", env->watchdog_pid, env->self, &is_ours, error);
    if (status != WEIR_OK || !is_ours || env->watchdog_usec == NULL)
        return status;
    if (!read_number(env->watchdog_usec, UINT64_MAX / 1000, &usec))
        return refuse("WATCHDOG_USEC", env->watchdog_usec, "microseconds are needed", error);
    service->watchdog_ns = usec * 1000;
    return WEIR_OK;
}

enum weir_status weir_service_parse(const struct weir_service_env *env,
                                    struct weir_service *ret_service, struct weir_error *error)
{
    struct weir_service service = {0};
    enum weir_status status = read_sockets(env, &service, error);
    if (status == WEIR_OK)
        status = read_notify(env, &service, error);
    if (status == WEIR_OK)
        status = read_watchdog(env, &service, error);
    if (status == WEIR_OK)
        *ret_service = service;
    return status;
}

/* --- sockets ------------------------------------------------------------------------------- */

static enum weir_status check_socket(struct weir_service_socket *socket, struct weir_error *error)
{
    int type = 0, is_listening = 0;
    socklen_t size = sizeof type;
    struct sockaddr_storage address = {0};
    socklen_t address_size = sizeof address;
    bool is_good = getsockopt(socket->fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                   type == SOCK_STREAM &&
                   getsockopt(socket->fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 &&
                   is_listening != 0 &&
                   getsockname(socket->fd, (struct sockaddr *)&address, &address_size) == 0;
    socket->family = address.ss_family;
    if (!is_good || (socket->family != AF_INET && socket->family != AF_INET6 &&
                     socket->family != AF_UNIX))
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "LISTEN_FDS: descriptor %d%s%s is no listening TCP or UNIX socket; "
                              "ListenStream= with Accept=no is needed",
                              socket->fd, socket->name[0] != 0 ? ", " : "", socket->name);
    int flags = fcntl(socket->fd, F_GETFL);
    if (fcntl(socket->fd, F_SETFD, FD_CLOEXEC) != 0 || flags < 0 ||
        fcntl(socket->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "LISTEN_FDS: descriptor %d", socket->fd);
    return WEIR_OK;
}

enum weir_status weir_service_take(struct weir_service *ret_service, struct weir_error *error)
{
    static const char *const NAMES[] = {"LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
    const struct weir_service_env env = {.listen_pid = getenv("LISTEN_PID"),
                                         .listen_fds = getenv("LISTEN_FDS"),
                                         .listen_names = getenv("LISTEN_FDNAMES"),
                                         .notify_socket = getenv("NOTIFY_SOCKET"),
                                         .watchdog_usec = getenv("WATCHDOG_USEC"),
                                         .watchdog_pid = getenv("WATCHDOG_PID"),
                                         .self = getpid()};
    struct weir_service service = {0};
    enum weir_status status = weir_service_parse(&env, &service, error);
    for (uint32_t i = 0; status == WEIR_OK && i < service.socket_count; i++)
        status = check_socket(&service.sockets[i], error);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        (void)unsetenv(NAMES[i]);
    if (status == WEIR_OK)
        *ret_service = service;
    return status;
}

/* --- states -------------------------------------------------------------------------------- */

bool weir_service_notify(const struct weir_service *service, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (service->notify_size == 0)
        return true;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0)
        return false;
    size_t length = (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t sent = sendto(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *)(const void *)&service->notify,
                          service->notify_size);
    (void)close(fd);
    return sent == (ssize_t)length;
}

bool weir_service_notify_reloading(const struct weir_service *service)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return weir_service_notify(service, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
                               (unsigned long long)now.tv_sec * 1000000 +
                                   (unsigned long long)now.tv_nsec / 1000);
}
