/* One compile job, from module bytes to a descriptor of the checked artifact. */
#include "runtime/compile_job.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "artifact/build_id.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "ledger/mapping.h"
#include "runtime/compile_internal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#define FROZEN (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

_Atomic uint32_t weir__compile_trial;

/* --- places: so many jobs at a time --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    unsigned used;
} places = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static unsigned place_count(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < (long)WEIR_COMPILE_SLOTS_MIN)
        return WEIR_COMPILE_SLOTS_MIN;
    return processors < (long)WEIR_COMPILE_SLOTS_MAX ? (unsigned)processors
                                                     : WEIR_COMPILE_SLOTS_MAX;
}

static void take_place(void)
{
    unsigned most = place_count();
    (void)pthread_mutex_lock(&places.lock);
    while (places.used >= most)
        (void)pthread_cond_wait(&places.freed, &places.lock);
    places.used++;
    (void)pthread_mutex_unlock(&places.lock);
}

static void leave_place(void)
{
    (void)pthread_mutex_lock(&places.lock);
    places.used--;
    (void)pthread_cond_signal(&places.freed);
    (void)pthread_mutex_unlock(&places.lock);
}

/* --- one try --- */

struct attempt {
    const struct weir_compile_job *job;
    struct weir_compile_request_wire request;
    struct weir_account *account;
    struct weir_hash key;
    struct weir_hash module_hash;
    int module_fd;
    int output_fd;
    int reply_fd;       /* ours */
    int child_reply_fd; /* the child's */
    uint64_t sent_ns;
    size_t output_bytes;
    struct weir__compile_answer answer;
};

static void close_attempt_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void attempt_done(struct attempt *attempt)
{
    close_attempt_fd(&attempt->module_fd);
    close_attempt_fd(&attempt->output_fd);
    close_attempt_fd(&attempt->reply_fd);
    close_attempt_fd(&attempt->child_reply_fd);
}

/* Kernels from 6.3 on want to be told that nobody executes it as a program. */
static int new_memory_file(const char *name)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, flags);
    return fd;
}

static enum weir_status open_files(struct attempt *attempt, struct weir_error *error)
{
    const struct weir_compile_job *job = attempt->job;
    attempt->module_fd = new_memory_file("weir-module");
    attempt->output_fd = attempt->module_fd >= 0 ? new_memory_file("weir-artifact") : -1;
    int pair[2] = {-1, -1};
    if (attempt->output_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return weir_error_set_errno(error, WEIR_IO, errno,
                                    "no descriptors for a compilation; raise the limit of open "
                                    "files");
    attempt->reply_fd = pair[0];
    attempt->child_reply_fd = pair[1];
    int failed =
        weir_io_write_all(weir_io_system(), attempt->module_fd, job->module, job->module_bytes);
    if (failed == 0 && fcntl(attempt->module_fd, F_ADD_SEALS, FROZEN) != 0)
        failed = -errno;
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, -failed,
                                    "cannot hand %zu bytes of module to the compiler",
                                    job->module_bytes);
    return WEIR_OK;
}

/* Sends, listens, and puts into words how it ended. PENDING: the spawner was lost on the way. */
static enum weir_status run_child(struct attempt *attempt, struct weir_error *error)
{
    const int fds[WEIR_COMPILE_FDS] = {attempt->module_fd, attempt->output_fd,
                                       attempt->child_reply_fd};
    attempt->sent_ns = weir_clock_ns();
    enum weir_status status = weir__compile_send(&attempt->request, fds, error);
    if (status != WEIR_OK)
        return status;
    close_attempt_fd(&attempt->child_reply_fd);
    status = weir__compile_wait(attempt->job, attempt->reply_fd, &attempt->answer, error);
    if (status != WEIR_OK)
        return status;
    const struct weir__compile_answer *answer = &attempt->answer;
    if (!answer->has_exit)
        return WEIR_PENDING;
    if (!answer->has_result)
        return weir_compile_explain_exit(&attempt->request, &answer->exit, error);
    return weir_compile_explain_result(&attempt->request, &answer->result, error);
}

/* The output can no longer change; is it a whole artifact, of this module, for this key? */
static enum weir_status map_output(struct attempt *attempt, struct weir_mapping *ret_mapping,
                                   struct weir_error *error)
{
    struct stat stat;
    if (fcntl(attempt->output_fd, F_ADD_SEALS, FROZEN) != 0 ||
        fstat(attempt->output_fd, &stat) != 0)
        return weir_error_set_errno(error, WEIR_COMPILE, errno,
                                    "cannot close the compiler's output");
    if (stat.st_size <= 0 || (uint64_t)stat.st_size > attempt->request.output_bytes)
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the compiler wrote %lld bytes, which is no artifact",
                              (long long)stat.st_size);
    size_t size = attempt->output_bytes = (size_t)stat.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, attempt->output_fd, 0);
    if (bytes == MAP_FAILED)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, errno,
                                    "cannot map an artifact of %zu bytes", size);
    struct weir_mapping mapping = {.base = bytes,
                                   .size = size,
                                   .account = attempt->account,
                                   .kind = WEIR_KIND_COMPILER,
                                   .charged_mappings = 1};
    enum weir_status status = weir_mapping_adopt(&mapping, error);
    if (status == WEIR_OK)
        *ret_mapping = mapping;
    else
        (void)munmap(bytes, size);
    return status;
}

static enum weir_status check_output(const struct attempt *attempt,
                                     const struct weir_mapping *mapping, struct weir_error *error)
{
    struct weir_artifact artifact;
    struct weir_error why = {0};
    enum weir_status status = weir_artifact_open(mapping->base, attempt->output_bytes,
                                                 attempt->output_bytes, &artifact, &why);
    if (status == WEIR_OK &&
        memcmp(artifact.head->key, attempt->key.bytes, sizeof attempt->key.bytes) == 0 &&
        memcmp(artifact.head->module_sha256, attempt->module_hash.bytes,
               sizeof attempt->module_hash.bytes) == 0 &&
        artifact.head->file_bytes == attempt->output_bytes)
        return WEIR_OK;
    return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                          "the compiler's output is not the artifact that was asked for: %s",
                          status != WEIR_OK ? why.message : "it was made for another key");
}

/* A read-only descriptor of the same memory file. */
static int reopen(int fd)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static enum weir_status deliver(struct attempt *attempt, struct weir_artifact_dir *dir,
                                struct weir_compile_result *ret_result, struct weir_error *error)
{
    struct weir_mapping mapping = {0};
    enum weir_status status = map_output(attempt, &mapping, error);
    if (status != WEIR_OK)
        return status;
    size_t size = attempt->output_bytes;
    int fd = -1;
    bool is_filed = false;
    if ((status = check_output(attempt, &mapping, error)) == WEIR_OK && dir != NULL)
        is_filed =
            weir__artifact_dir_file(dir, &attempt->key, mapping.base, size, &fd,
                                    attempt->job->file_error) == WEIR_OK;
    weir_mapping_free(&mapping);
    if (status != WEIR_OK)
        return status;
    if (!is_filed && (fd = reopen(attempt->output_fd)) < 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot reopen the artifact");
    const struct weir__compile_answer *answer = &attempt->answer;
    *ret_result = (struct weir_compile_result){
        .fd = fd,
        .is_filed = is_filed,
        .compile_ms = (double)(weir_clock_ns() - attempt->sent_ns) / 1e6,
        .child_up_ms = answer->started_ns > attempt->sent_ns
                           ? (double)(answer->started_ns - attempt->sent_ns) / 1e6
                           : 0,
        .peak_bytes = answer->exit.numbers[0] + size,
    };
    return WEIR_OK;
}

static enum weir_status try_once(struct attempt *attempt, struct weir_artifact_dir *dir,
                                 struct weir_compile_result *ret_result, struct weir_error *error)
{
    attempt->module_fd = attempt->output_fd = attempt->reply_fd = attempt->child_reply_fd = -1;
    enum weir_status status = open_files(attempt, error);
    if (status == WEIR_OK)
        status = run_child(attempt, error);
    if (status == WEIR_OK)
        status = deliver(attempt, dir, ret_result, error);
    attempt_done(attempt);
    return status;
}

static enum weir_status compile(struct attempt *attempt, struct weir_artifact_dir *dir,
                                struct weir_compile_result *ret_result, struct weir_error *error)
{
    for (unsigned i = 0; i < WEIR_COMPILE_TRIES; i++) {
        enum weir_status status = try_once(attempt, dir, ret_result, error);
        if (status != WEIR_PENDING)
            return status;
        weir__compile_lost();
    }
    return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                          "the compiler program ended %u times in the middle of this job",
                          WEIR_COMPILE_TRIES);
}

/* --- the job --- */

static void fill_request(struct attempt *attempt)
{
    const struct weir_compile_job *job = attempt->job;
    const struct weir_compile_limits *limits = &job->limits;
    uint64_t bytes = job->module_bytes;
    attempt->request = (struct weir_compile_request_wire){
        .magic = WEIR_COMPILE_WIRE_MAGIC,
        .trial = atomic_load(&weir__compile_trial),
        .options = job->options,
        .module_bytes = bytes,
        .memory_bytes =
            limits->memory_bytes != 0 ? limits->memory_bytes : weir_compile_memory_default(bytes),
        .output_bytes =
            limits->output_bytes != 0 ? limits->output_bytes : weir_compile_output_default(bytes),
        .cpu_ms = limits->cpu_ms != 0 ? limits->cpu_ms : weir_compile_cpu_ms_default(bytes),
    };
    memcpy(attempt->request.build_id, weir_build_id, sizeof weir_build_id);
}

/* Module in flight and the child's memory, before anything is taken. */
static enum weir_status run_charged(struct attempt *attempt, struct weir_artifact_dir *dir,
                                    struct weir_compile_result *ret_result,
                                    struct weir_error *error)
{
    uint64_t bytes = attempt->request.module_bytes + attempt->request.memory_bytes;
    enum weir_status status =
        weir_account_charge(attempt->account, WEIR_KIND_COMPILER, bytes, error);
    if (status != WEIR_OK)
        return status;
    status =
        weir_account_charge(attempt->account, WEIR_KIND_DESCRIPTOR, WEIR_COMPILE_JOB_FDS, error);
    if (status == WEIR_OK) {
        take_place();
        status = compile(attempt, dir, ret_result, error);
        leave_place();
        weir_account_discharge(attempt->account, WEIR_KIND_DESCRIPTOR, WEIR_COMPILE_JOB_FDS);
    }
    weir_account_discharge(attempt->account, WEIR_KIND_COMPILER, bytes);
    return status;
}

/* The hash the caller gave must be that of the bytes: the artifact will be found by it. */
static enum weir_status check_module(const struct attempt *attempt, struct weir_error *error)
{
    const struct weir_compile_job *job = attempt->job;
    if (job->module == NULL)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "no artifact of this module is kept; bring the module's bytes");
    if (job->module_hash == NULL)
        return WEIR_OK;
    struct weir_hash hash;
    enum weir_status status = weir_hash_bytes(job->module, job->module_bytes, &hash, error);
    if (status == WEIR_OK && !weir_hash_equal(&hash, job->module_hash))
        status = weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                "the module's bytes have another hash than was said");
    return status;
}

enum weir_status weir_compile_job_run(struct weir_artifact_dir *dir,
                                      const struct weir_compile_job *job,
                                      struct weir_compile_result *ret_result,
                                      struct weir_error *error)
{
    struct attempt attempt = {
        .job = job,
        .account = job->account != NULL ? job->account : weir_account_host(),
    };
    enum weir_status status = WEIR_OK;
    if (job->module_hash != NULL)
        attempt.module_hash = *job->module_hash;
    else
        status = weir_hash_bytes(job->module, job->module_bytes, &attempt.module_hash, error);
    if (status == WEIR_OK)
        status = weir_artifact_key(&attempt.module_hash, &job->options, &attempt.key, error);
    if (status != WEIR_OK)
        return status;
    enum weir_artifact_miss miss = WEIR_ARTIFACT_MISS_NONE;
    if (dir != NULL) {
        int fd = -1;
        status = weir__artifact_dir_find(dir, &attempt.key, &fd, &miss, error);
        if (status == WEIR_OK)
            *ret_result =
                (struct weir_compile_result){.fd = fd, .was_cached = true, .is_filed = true};
        if (status != WEIR_NOT_FOUND)
            return status;
    }
    ret_result->miss = miss;
    if ((status = check_module(&attempt, error)) != WEIR_OK)
        return status;
    fill_request(&attempt);
    status = run_charged(&attempt, dir, ret_result, error);
    ret_result->miss = miss;
    return status;
}
