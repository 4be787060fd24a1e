/* The life of a compiler child. Between fork and the filter it only lowers its own limits; behind
 * the filter it compiles, writes the artifact and one result, and ends. */
#include "compiler/child_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compiler/compiler.h"
#include "compiler/trial_internal.h"

/* Time between two progress records. */
#define PROGRESS_NS (INT64_C(50) * 1000 * 1000)

static void reply(const struct weir_compile_reply_wire *record)
{
    /* Only write() passes the filter. A requester that is gone is noticed by the spawner. */
    ssize_t ignored = write(WEIR__CHILD_REPLY, record, sizeof *record);
    (void)ignored;
}

static _Noreturn void finish(const struct weir_error *error, uint64_t artifact_bytes)
{
    struct weir_compile_reply_wire record = {
        .type = WEIR_REPLY_RESULT,
        .status = (uint32_t)error->status,
        .offset = error->offset,
        .numbers = {artifact_bytes, 0},
    };
    memcpy(record.message, error->message, sizeof record.message);
    reply(&record);
    _exit(0);
}

static int64_t now_ns(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0)
        return 0;
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void progress(void *context, uint32_t done, uint32_t total)
{
    int64_t *last_ns = context;
    int64_t time = now_ns();
    if (time - *last_ns < PROGRESS_NS)
        return;
    *last_ns = time;
    const struct weir_compile_reply_wire record = {.type = WEIR_REPLY_PROGRESS,
                                                   .numbers = {done, total}};
    reply(&record);
}

/* Descriptors 3, 4, 5 and the standard ones; everything else is closed. The caller's numbers may
 * overlap with ours, so they are moved out of the way first. */
static bool arrange_descriptors(const int fds[WEIR_COMPILE_FDS])
{
    int safe[WEIR_COMPILE_FDS];
    for (int i = 0; i < WEIR_COMPILE_FDS; i++)
        if ((safe[i] = fcntl(fds[i], F_DUPFD, WEIR__CHILD_REPLY + 1)) < 0)
            return false;
    for (int i = 0; i < WEIR_COMPILE_FDS; i++)
        if (dup2(safe[i], WEIR__CHILD_MODULE + i) < 0)
            return false;
    return close_range(WEIR__CHILD_REPLY + 1, ~0u, 0) == 0;
}

/* The kernel's first choice when memory runs out: a job can be repeated, its host cannot. */
static void volunteer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, "1000", 4);
    (void)ignored;
    (void)close(fd);
}

static _Noreturn void work(const struct weir__child_job *job, pid_t parent)
{
    struct weir_error error = {0};
    const struct weir_compile_request_wire *wire = &job->request;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    (void)prctl(PR_SET_NAME, "weir-compile:1");
    if (!arrange_descriptors(job->fds))
        _exit(1);
    volunteer();
    void *module = mmap(NULL, wire->module_bytes > 0 ? (size_t)wire->module_bytes : 1, PROT_READ,
                        MAP_SHARED, WEIR__CHILD_MODULE, 0);
    if (module == MAP_FAILED) {
        (void)weir_error_set_errno(&error, WEIR_COMPILE, errno, "cannot map the module");
        finish(&error, 0);
    }
    if (weir__sandbox_limit(wire, job->base_bytes, &error) != WEIR_OK ||
        weir__sandbox_enter(job->sandbox, &error) != WEIR_OK)
        finish(&error, 0);
    const struct weir_compile_reply_wire started = {.type = WEIR_REPLY_STARTED};
    reply(&started);
    if (wire->trial != WEIR_TRIAL_NONE)
        weir__trial_run((enum weir_compile_trial)wire->trial);
    int64_t last_ns = now_ns();
    const struct weir_compile_request request = {
        .module = module,
        .module_bytes = (size_t)wire->module_bytes,
        .options = wire->options,
        .arena_bytes_max = (size_t)wire->memory_bytes,
        .progress = progress,
        .progress_context = &last_ns,
    };
    uint64_t artifact_bytes = 0;
    error.status = weir_compile_to(&request, WEIR__CHILD_OUTPUT, &artifact_bytes, &error);
    finish(&error, artifact_bytes);
}

enum weir_status weir__child_start(const struct weir__child_job *job, pid_t *ret_pid,
                                   struct weir_error *error)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return weir_error_set_errno(error, WEIR_COMPILE, errno, "cannot start a compiler process");
    if (pid == 0)
        work(job, parent);
    *ret_pid = pid;
    return WEIR_OK;
}

bool weir__child_reap(pid_t pid, bool may_wait, struct weir_compile_reply_wire *ret_reply)
{
    int how = 0;
    struct rusage usage;
    pid_t found;
    do
        found = wait4(pid, &how, may_wait ? 0 : WNOHANG, &usage);
    while (found < 0 && errno == EINTR);
    if (found != pid)
        return false;
    *ret_reply = (struct weir_compile_reply_wire){
        .type = WEIR_REPLY_EXIT,
        .status = (uint32_t)how,
        .numbers = {(uint64_t)usage.ru_maxrss * 1024,
                    (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                        (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)},
    };
    return true;
}
