/* The spawner: one thread, one poll loop, no state but the table of running jobs.
 *
 * A job ends in one of four ways: its child exits, its requester closes the reply socket, its wall
 * clock runs out, or the host closes the control socket, which ends every job and the spawner. The
 * requester is always told how the child ended, unless it is gone.
 */
#include "compiler/spawner_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "artifact/build_id.h"
#include "base/clock.h"
#include "base/poison.h"
#include "compiler/child_internal.h"

/* Wall clock of a job: what its CPU limit takes on a machine that is this many times overloaded. */
#define WALL_PER_CPU 10u
#define WALL_SLACK_MS 60000u

struct job {
    pid_t pid;
    int pid_fd;
    int reply_fd;
    uint64_t deadline_ms;
};

struct spawner {
    struct weir__sandbox sandbox;
    uint64_t base_bytes;
    bool has_trials;
    struct job jobs[WEIR_COMPILE_JOBS_MAX];
    size_t job_count;
};

static void send_reply(int fd, const struct weir_compile_reply_wire *record)
{
    (void)send(fd, record, sizeof *record, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void refuse(int fd, enum weir_status status, const char *message)
{
    struct weir_compile_reply_wire record = {
        .type = WEIR_REPLY_REFUSED, .status = (uint32_t)status, .offset = WEIR_NO_OFFSET};
    (void)snprintf(record.message, sizeof record.message, "%s", message);
    send_reply(fd, &record);
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

/* Removes job `index`; the last one takes its place. */
static void drop_job(struct spawner *spawner, size_t index)
{
    struct job *job = &spawner->jobs[index];
    (void)close(job->pid_fd);
    (void)close(job->reply_fd);
    *job = spawner->jobs[--spawner->job_count];
}

/* The child has ended or is being ended: tell how, forget it. */
static void end_job(struct spawner *spawner, size_t index)
{
    struct weir_compile_reply_wire record;
    if (weir__child_reap(spawner->jobs[index].pid, true, &record))
        send_reply(spawner->jobs[index].reply_fd, &record);
    drop_job(spawner, index);
}

static void kill_job(const struct job *job)
{
    (void)kill(job->pid, SIGKILL);
}

/* --- requests --- */

struct request {
    struct weir_compile_request_wire wire;
    int fds[WEIR_COMPILE_FDS];
    int fd_count;
};

/* One message with its descriptors. 1: read; 0: the other end is closed; -1: try again. */
static int receive(struct request *request)
{
    struct iovec part = {&request->wire, sizeof request->wire};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * WEIR_COMPILE_FDS)];
        struct cmsghdr aligned;
    } control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    request->fd_count = 0;
    ssize_t size = recvmsg(WEIR_COMPILE_CONTROL_FD, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (size < 0)
        return errno == EINTR || errno == EAGAIN ? -1 : 0;
    if (size == 0)
        return 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        request->fd_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(request->fds, CMSG_DATA(header), (size_t)request->fd_count * sizeof(int));
    }
    if (size != (ssize_t)sizeof request->wire || request->fd_count != WEIR_COMPILE_FDS) {
        close_all(request->fds, request->fd_count);
        return -1;
    }
    return 1;
}

static const char *objection(const struct spawner *spawner,
                             const struct weir_compile_request_wire *wire, enum weir_status *status)
{
    *status = WEIR_FOREIGN;
    if (wire->magic != WEIR_COMPILE_WIRE_MAGIC ||
        memcmp(wire->build_id, weir_build_id, sizeof wire->build_id) != 0)
        return "weir-compile belongs to another build than the program that asks; install both "
               "from one package, or set WEIR_COMPILE to the right one";
    *status = WEIR_BUSY;
    if (spawner->job_count == WEIR_COMPILE_JOBS_MAX)
        return "the compiler runs as many jobs as it may";
    *status = WEIR_INVALID_ARGUMENT;
    if (wire->trial >= WEIR_TRIAL_COUNT || (wire->trial != WEIR_TRIAL_NONE && !spawner->has_trials))
        return "trials are for tests: start the spawner with WEIR_COMPILE_TRIALS=1";
    if (wire->cpu_ms == 0 || wire->memory_bytes == 0 || wire->output_bytes == 0)
        return "a job without limits";
    *status = WEIR_OK;
    return NULL;
}

static enum weir_status start_job(struct spawner *spawner, const struct request *request,
                                  struct weir_error *error)
{
    struct weir__child_job child = {
        .request = request->wire,
        .sandbox = &spawner->sandbox,
        .base_bytes = spawner->base_bytes,
    };
    memcpy(child.fds, request->fds, sizeof child.fds);
    struct job job = {.reply_fd = request->fds[WEIR_COMPILE_FD_REPLY]};
    enum weir_status status = weir__child_start(&child, &job.pid, error);
    if (status != WEIR_OK)
        return status;
    job.pid_fd = (int)syscall(SYS_pidfd_open, job.pid, 0);
    if (job.pid_fd < 0) {
        int number = errno;
        struct weir_compile_reply_wire ignored;
        kill_job(&job);
        (void)weir__child_reap(job.pid, true, &ignored);
        return weir_error_set_errno(error, WEIR_COMPILE, number, "cannot watch a compiler process");
    }
    job.deadline_ms =
        weir_clock_ms() + WALL_SLACK_MS + (uint64_t)request->wire.cpu_ms * WALL_PER_CPU;
    spawner->jobs[spawner->job_count++] = job;
    return WEIR_OK;
}

/* False when the host has gone. */
static bool take_request(struct spawner *spawner)
{
    struct request request;
    int received = receive(&request);
    if (received <= 0)
        return received < 0;
    int reply_fd = request.fds[WEIR_COMPILE_FD_REPLY];
    enum weir_status status;
    const char *message = objection(spawner, &request.wire, &status);
    struct weir_error error = {0};
    if (message == NULL && (status = start_job(spawner, &request, &error)) != WEIR_OK)
        message = error.message;
    if (message != NULL)
        refuse(reply_fd, status, message);
    close_all(request.fds, status == WEIR_OK ? WEIR_COMPILE_FD_REPLY : WEIR_COMPILE_FDS);
    return true;
}

/* --- the loop --- */

static int next_timeout_ms(const struct spawner *spawner)
{
    uint64_t now = weir_clock_ms(), next = UINT64_MAX;
    for (size_t i = 0; i < spawner->job_count; i++)
        if (spawner->jobs[i].deadline_ms < next)
            next = spawner->jobs[i].deadline_ms;
    if (next == UINT64_MAX)
        return -1;
    if (next <= now)
        return 0;
    return next - now < 3600000 ? (int)(next - now) : 3600000;
}

/* Poll set: control, then per job its process and its requester. */
static bool serve_once(struct spawner *spawner)
{
    struct pollfd fds[1 + 2 * WEIR_COMPILE_JOBS_MAX];
    size_t count = spawner->job_count;
    fds[0] = (struct pollfd){WEIR_COMPILE_CONTROL_FD, POLLIN, 0};
    for (size_t i = 0; i < count; i++) {
        fds[1 + 2 * i] = (struct pollfd){spawner->jobs[i].pid_fd, POLLIN, 0};
        fds[2 + 2 * i] = (struct pollfd){spawner->jobs[i].reply_fd, 0, 0};
    }
    int ready = poll(fds, (nfds_t)(1 + 2 * count), next_timeout_ms(spawner));
    if (ready < 0)
        return errno == EINTR;
    uint64_t now = weir_clock_ms();
    /* From the end: ending a job moves the last one into its place. */
    for (size_t i = count; i-- > 0;) {
        bool has_ended = fds[1 + 2 * i].revents != 0;
        if (!has_ended && (fds[2 + 2 * i].revents != 0 || spawner->jobs[i].deadline_ms <= now)) {
            kill_job(&spawner->jobs[i]);
            has_ended = true;
        }
        if (has_ended)
            end_job(spawner, i);
    }
    return fds[0].revents == 0 || take_request(spawner);
}

/* Nothing of the host but the control socket; messages of the children only in debug builds. */
static enum weir_status settle(struct spawner *spawner, struct weir_error *error)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(WEIR_COMPILE_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        type != SOCK_SEQPACKET)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--spawner is started by programs that use Weir, with a socket as "
                              "descriptor 3; to compile a file: weir-compile IN.wasm -o OUT");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        (!WEIR_ASAN && !WEIR_TSAN && dup2(null, STDERR_FILENO) < 0))
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot use /dev/null");
    if (null > STDERR_FILENO)
        (void)close(null);
    if (chdir("/") != 0) /* keeps no folder of the host busy */
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot leave the working directory");
    (void)fcntl(WEIR_COMPILE_CONTROL_FD, F_SETFD, FD_CLOEXEC);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);  /* Ctrl-C is the host's business; its end ends us */
    (void)signal(SIGPROF, SIG_DFL); /* ends a child that is out of CPU time */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    const char *trials = getenv("WEIR_COMPILE_TRIALS");
    spawner->has_trials = trials != NULL && strcmp(trials, "1") == 0;
    /* OpenSSL looks its algorithms up on first use, which a child could not. */
    struct weir_hash ignored;
    enum weir_status status = weir_hash_bytes("", 0, &ignored, error);
    if (status == WEIR_OK)
        status = weir__sandbox_build(&spawner->sandbox, error);
    spawner->base_bytes = weir__sandbox_base_bytes();
    return status;
}

int weir__spawner_run(void)
{
    static struct spawner spawner;
    struct weir_error error = {0};
    enum weir_status status = settle(&spawner, &error);
    if (status != WEIR_OK) {
        (void)fprintf(stderr, "weir-compile: %s\n", error.message);
        return weir_status_exit_code(status);
    }
    while (serve_once(&spawner))
        ;
    for (size_t i = 0; i < spawner.job_count; i++)
        kill_job(&spawner.jobs[i]);
    while (spawner.job_count > 0)
        end_job(&spawner, spawner.job_count - 1);
    weir__sandbox_done(&spawner.sandbox);
    return 0;
}
