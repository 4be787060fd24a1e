/* The connection to `weir-compile --spawner`: one per process, started at the first job.
 *
 * The spawner lives until its control socket closes, that is until weir_compile_stop() or the end
 * of this process. After a fork the copy in the child process is not ours: a job there starts
 * another.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/compile_internal.h"

#ifndef WEIR_LIBEXEC_INSTALLED
#define WEIR_LIBEXEC_INSTALLED "/usr/libexec/weir"
#endif
#define PROGRAM "weir-compile"

static struct {
    pthread_mutex_t lock;
    char program[PATH_MAX]; /* set by weir_compile_set_program(); empty: look for it */
    int socket;
    pid_t pid;       /* 0: none */
    pid_t owner_pid; /* the process that started it */
} spawner = {.lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1};

void weir_compile_set_program(const char *path)
{
    (void)pthread_mutex_lock(&spawner.lock);
    (void)snprintf(spawner.program, sizeof spawner.program, "%s", path != NULL ? path : "");
    (void)pthread_mutex_unlock(&spawner.lock);
}

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* In one of the places relative to the folder of this file. Each that does not have it becomes a
 * detail of `report`, unless that is NULL. */
static bool find_near(const char *file, const char *const places[], char path[PATH_MAX],
                      struct weir_error *report)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        return false;
    for (size_t i = 0; places[i] != NULL; i++) {
        int length =
            snprintf(path, PATH_MAX, "%.*s/%s" PROGRAM, (int)(slash - file), file, places[i]);
        if (length <= 0 || length >= PATH_MAX)
            continue;
        if (is_program(path))
            return true;
        weir_error_add(report, "%s", path);
    }
    return false;
}

/* Beside the running program: build/bin and build/libexec/weir, or both in one folder. Else beside
 * the library, wherever the tree was installed: lib or lib/x86_64-linux-gnu. A static library is a
 * part of the program. */
static bool find_beside(char path[PATH_MAX], struct weir_error *report)
{
    static const char *const of_program[] = {"", "../libexec/weir/", NULL};
    static const char *const of_library[] = {"../libexec/weir/", "../../libexec/weir/", NULL};
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size > 0) {
        self[size] = '\0';
        if (find_near(self, of_program, path, report))
            return true;
    }
    Dl_info library;
    return dladdr(&spawner, &library) != 0 && library.dli_fname != NULL &&
           find_near(library.dli_fname, of_library, path, report);
}

/* False when somebody named it: then it is nowhere else. */
static bool find_program(char path[PATH_MAX])
{
    const char *named = secure_getenv("WEIR_COMPILE");
    if (spawner.program[0] != '\0')
        named = spawner.program;
    if (named != NULL && named[0] != '\0') {
        (void)snprintf(path, PATH_MAX, "%s", named);
        return false;
    }
    if (find_beside(path, NULL))
        return true;
    const char *libexec = secure_getenv("WEIR_LIBEXEC");
    if (libexec == NULL || libexec[0] == '\0')
        libexec = WEIR_LIBEXEC_INSTALLED;
    int length = snprintf(path, PATH_MAX, "%s/" PROGRAM, libexec);
    if (length < 0 || length >= PATH_MAX)
        path[0] = '\0';
    return true;
}

/* `path`: where it was looked for last. */
static enum weir_status refuse_program(const char *path, bool was_looked_for, int number,
                                       struct weir_error *error)
{
    if (!was_looked_for || number != ENOENT)
        return weir_error_set_errno(error, WEIR_COMPILE, number,
                                    "cannot start the compiler %s; WEIR_COMPILE can name another",
                                    path);
    (void)weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                         "found no " PROGRAM " near the program, near the library or as %.90s; set "
                         "WEIR_LIBEXEC to its folder, or WEIR_COMPILE to the file",
                         path);
    char beside[PATH_MAX];
    if (!find_beside(beside, error))
        weir_error_add(error, "%s", path);
    return WEIR_COMPILE;
}

/* Descriptor 3 and the standard ones are all it gets; signals as a fresh program expects them. */
static int spawn(const char *path, int socket, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char *const arguments[] = {(char[]){PROGRAM}, (char[]){"--spawner"}, NULL};
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    int failed = posix_spawn_file_actions_adddup2(&actions, socket, WEIR_COMPILE_CONTROL_FD);
    if (failed == 0)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, WEIR_COMPILE_CONTROL_FD + 1);
    if (failed == 0)
        failed = posix_spawn(ret_pid, path, &actions, &attributes, arguments, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* The process and our end of its socket. */
static enum weir_status charge_spawner(struct weir_error *error)
{
    struct weir_account *host = weir_account_host();
    enum weir_status status = weir_account_charge(host, WEIR_KIND_DESCRIPTOR, 1, error);
    if (status != WEIR_OK)
        return status;
    status = weir_account_charge(host, WEIR_KIND_COMPILER, WEIR_COMPILE_SPAWNER_BYTES, error);
    if (status != WEIR_OK)
        weir_account_discharge(host, WEIR_KIND_DESCRIPTOR, 1);
    return status;
}

static void discharge_spawner(void)
{
    struct weir_account *host = weir_account_host();
    weir_account_discharge(host, WEIR_KIND_COMPILER, WEIR_COMPILE_SPAWNER_BYTES);
    weir_account_discharge(host, WEIR_KIND_DESCRIPTOR, 1);
}

/* Under the lock. */
static enum weir_status start(struct weir_error *error)
{
    char path[PATH_MAX];
    int pair[2];
    bool was_looked_for = find_program(path);
    enum weir_status status = charge_spawner(error);
    if (status != WEIR_OK)
        return status;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        int number = errno;
        discharge_spawner();
        return weir_error_set_errno(error, WEIR_IO, number, "no socket for the compiler");
    }
    pid_t pid = 0;
    int failed = spawn(path, pair[1], &pid);
    (void)close(pair[1]);
    if (failed != 0) {
        (void)close(pair[0]);
        discharge_spawner();
        return refuse_program(path, was_looked_for, failed, error);
    }
    spawner.socket = pair[0];
    spawner.pid = pid;
    spawner.owner_pid = getpid();
    return WEIR_OK;
}

/* Under the lock: closes the connection and waits for the end of the process. */
static void drop(void)
{
    if (spawner.pid == 0)
        return;
    if (spawner.owner_pid == getpid()) {
        int ignored;
        /* Not only closed: a process forked from this one may hold a copy. */
        (void)shutdown(spawner.socket, SHUT_RDWR);
        while (waitpid(spawner.pid, &ignored, 0) < 0 && errno == EINTR)
            ;
    }
    (void)close(spawner.socket);
    discharge_spawner();
    spawner.socket = -1;
    spawner.pid = 0;
}

static ssize_t send_once(const struct weir_compile_request_wire *request,
                         const int fds[WEIR_COMPILE_FDS])
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * WEIR_COMPILE_FDS)];
        struct cmsghdr aligned;
    } control = {{0}};
    struct iovec part = {(void *)(uintptr_t)request, sizeof *request};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * WEIR_COMPILE_FDS);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * WEIR_COMPILE_FDS);
    ssize_t sent;
    do
        sent = sendmsg(spawner.socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

enum weir_status weir__compile_send(const struct weir_compile_request_wire *request,
                                    const int fds[WEIR_COMPILE_FDS], struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    int number = 0;
    (void)pthread_mutex_lock(&spawner.lock);
    if (spawner.pid != 0 && spawner.owner_pid != getpid())
        drop();
    for (unsigned i = 0; i < WEIR_COMPILE_TRIES && status == WEIR_OK; i++) {
        if (spawner.pid == 0)
            status = start(error);
        if (status == WEIR_OK && send_once(request, fds) == (ssize_t)sizeof *request)
            break;
        number = errno;
        if (status == WEIR_OK)
            drop();
        if (status == WEIR_OK && i + 1 == WEIR_COMPILE_TRIES)
            status = weir_error_set_errno(error, WEIR_COMPILE, number,
                                          "the compiler program takes no jobs");
    }
    (void)pthread_mutex_unlock(&spawner.lock);
    return status;
}

void weir__compile_lost(void)
{
    (void)pthread_mutex_lock(&spawner.lock);
    int how;
    /* Only when it is really gone: another thread may have started a new one already. */
    if (spawner.pid != 0 && spawner.owner_pid == getpid()) {
        struct pollfd fd = {spawner.socket, 0, 0};
        bool is_closed = poll(&fd, 1, 0) == 1;
        if (is_closed || waitpid(spawner.pid, &how, WNOHANG) != 0)
            drop();
    }
    (void)pthread_mutex_unlock(&spawner.lock);
}

pid_t weir__compile_pid(void)
{
    (void)pthread_mutex_lock(&spawner.lock);
    pid_t pid = spawner.owner_pid == getpid() ? spawner.pid : 0;
    (void)pthread_mutex_unlock(&spawner.lock);
    return pid;
}

void weir_compile_stop(void)
{
    (void)pthread_mutex_lock(&spawner.lock);
    drop();
    (void)pthread_mutex_unlock(&spawner.lock);
}
