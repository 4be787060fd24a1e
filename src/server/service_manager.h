/* What a service manager of systemd's kind and its service say to each other: sockets that come
 * with the start (LISTEN_FDS, sd_listen_fds(3)), and the state of the service (NOTIFY_SOCKET,
 * sd_notify(3), with a watchdog). Both protocols are stable and a few lines each. */
#ifndef WEIR_SERVER_SERVICE_MANAGER_H
#define WEIR_SERVER_SERVICE_MANAGER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

#define WEIR_SERVICE_SOCKETS_MAX 8u
#define WEIR_SERVICE_FIRST_FD 3
#define WEIR_SERVICE_NAME_SIZE 64

struct weir_service_socket {
    int fd;
    int family;                        /* AF_INET, AF_INET6, AF_UNIX; 0 before it is checked */
    char name[WEIR_SERVICE_NAME_SIZE]; /* FileDescriptorName=; "" without */
};

struct weir_service {
    struct weir_service_socket sockets[WEIR_SERVICE_SOCKETS_MAX];
    uint32_t socket_count;
    struct sockaddr_un notify; /* where states are sent; notify_size 0: nowhere */
    socklen_t notify_size;
    uint64_t watchdog_ns; /* 0: nobody watches */
};

/* As the variables stand in the environment, NULL where they are not set; `self` is the process's
 * id. CONFIG says which variable is wrong. Variables for another process are ignored. */
struct weir_service_env {
    const char *listen_pid, *listen_fds, *listen_names;
    const char *notify_socket;
    const char *watchdog_usec, *watchdog_pid;
    long self;
};
enum weir_status weir_service_parse(const struct weir_service_env *env,
                                    struct weir_service *ret_service, struct weir_error *error)
    WEIR_MUST_USE;

/* Of this process, and removes the variables: children are not the service. Every socket is checked
 * to be a listening stream and is made close-on-exec and non-blocking. */
enum weir_status weir_service_take(struct weir_service *ret_service, struct weir_error *error)
    WEIR_MUST_USE;

/* Variables by lines: "READY=1\nSTATUS=…". False where it could not be sent; nobody listening is
 * no failure. */
bool weir_service_notify(const struct weir_service *service, const char *format, ...)
    WEIR_PRINTF(2, 3);
/* "RELOADING=1" with the time that systemd wants beside it. */
bool weir_service_notify_reloading(const struct weir_service *service);

#endif
