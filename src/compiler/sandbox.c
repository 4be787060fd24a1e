/* Limits, Landlock and the system call filter of a compiler child.
 *
 * The filter is made with libseccomp once and kept as plain BPF, because building it costs more
 * than a small compilation. Arguments are checked where they matter: no mapping is ever
 * executable, writes go to the two descriptors they are for.
 */
#include "compiler/sandbox_internal.h"

#include <errno.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/poison.h"

/* The three of a job, and Landlock's while it is set up. */
#define CHILD_FD_LIMIT (WEIR__CHILD_REPLY + 2)

struct rule {
    int call;
    /* How argument `index` must be; `op` 0 when any will do. */
    unsigned index;
    enum scmp_compare op;
    scmp_datum_t datum_a;
    scmp_datum_t datum_b;
};

static const struct rule allowed[] = {
    {.call = SCMP_SYS(brk)},
    {.call = SCMP_SYS(munmap)},
    {.call = SCMP_SYS(mremap)},
    {.call = SCMP_SYS(madvise)},
    {SCMP_SYS(mmap), 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0},
    {SCMP_SYS(pwrite64), 0, SCMP_CMP_EQ, WEIR__CHILD_OUTPUT, 0},
    {SCMP_SYS(ftruncate), 0, SCMP_CMP_EQ, WEIR__CHILD_OUTPUT, 0},
    {SCMP_SYS(write), 0, SCMP_CMP_EQ, WEIR__CHILD_REPLY, 0},
    {SCMP_SYS(write), 0, SCMP_CMP_EQ, STDERR_FILENO, 0}, /* a failed assertion's words */
    {.call = SCMP_SYS(clock_gettime)},
    {.call = SCMP_SYS(futex)},
    {.call = SCMP_SYS(sysinfo)}, /* qsort() of glibc asks how much memory there is */
    {.call = SCMP_SYS(getpid)},
    {.call = SCMP_SYS(gettid)},
    {.call = SCMP_SYS(exit)},
    {.call = SCMP_SYS(exit_group)},
#if WEIR_ASAN || WEIR_TSAN
    {.call = SCMP_SYS(sched_yield)},
    {.call = SCMP_SYS(sigaltstack)},
#endif
};

/* What abort() does on its way; refused politely, it ends in an illegal instruction. */
static const int refused[] = {SCMP_SYS(tgkill), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction)};

static int add_rules(scmp_filter_ctx filter)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && failed == 0; i++) {
        const struct rule *rule = &allowed[i];
        const struct scmp_arg_cmp argument = {rule->index, rule->op, rule->datum_a, rule->datum_b};
        failed =
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, rule->op != 0, &argument);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0] && failed == 0; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    return failed;
}

/* The filter as BPF, by way of a memory file: libseccomp writes to a descriptor. */
static int export_filter(scmp_filter_ctx filter, struct weir__sandbox *sandbox)
{
    AUTO_CLOSE fd = memfd_create("weir-filter", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int failed = seccomp_export_bpf(filter, fd);
    if (failed != 0)
        return failed;
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return -errno;
    size_t size = (size_t)stat.st_size;
    if (size == 0 || size % sizeof *sandbox->filter != 0 ||
        size / sizeof *sandbox->filter > BPF_MAXINSNS)
        return -EINVAL;
    struct sock_filter *instructions = malloc(size);
    if (instructions == NULL)
        return -ENOMEM;
    if (pread(fd, instructions, size, 0) != (ssize_t)size) {
        free(instructions);
        return -EIO;
    }
    sandbox->filter = instructions;
    sandbox->filter_count = (unsigned short)(size / sizeof *instructions);
    return 0;
}

enum weir_status weir__sandbox_build(struct weir__sandbox *ret_sandbox, struct weir_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for the system call filter");
    struct weir__sandbox sandbox = {0};
    int failed = add_rules(filter);
    if (failed == 0)
        failed = export_filter(filter, &sandbox);
    seccomp_release(filter);
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_UNSUPPORTED, -failed,
                                    "cannot build the system call filter of the compiler");
    *ret_sandbox = sandbox;
    return WEIR_OK;
}

void weir__sandbox_done(struct weir__sandbox *sandbox)
{
    free(sandbox->filter);
    *sandbox = (struct weir__sandbox){0};
}

uint64_t weir__sandbox_base_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return UINT64_C(64) << 20;
    unsigned long long pages = 0;
    if (fscanf(file, "%llu", &pages) != 1)
        pages = (UINT64_C(64) << 20) / (uint64_t)sysconf(_SC_PAGESIZE);
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool limit(int resource, uint64_t value)
{
    const struct rlimit both = {value, value};
    return setrlimit((__rlimit_resource_t)resource, &both) == 0;
}

enum weir_status weir__sandbox_limit(const struct weir_compile_request_wire *request,
                                     uint64_t base_bytes, struct weir_error *error)
{
    /* The timer counts milliseconds and ends the process; RLIMIT_CPU is the second line. */
    const struct itimerval timer = {
        .it_value = {(time_t)(request->cpu_ms / 1000),
                     (suseconds_t)(request->cpu_ms % 1000) * 1000 + 1},
    };
    /* Sanitizers reserve terabytes of address space: no limit can hold there. */
    bool is_limited =
        WEIR_ASAN || WEIR_TSAN || limit(RLIMIT_AS, base_bytes + request->memory_bytes);
    is_limited = is_limited && limit(RLIMIT_CPU, request->cpu_ms / 1000 + 2) &&
                 limit(RLIMIT_FSIZE, request->output_bytes) && limit(RLIMIT_CORE, 0) &&
                 limit(RLIMIT_NPROC, 0) && limit(RLIMIT_NOFILE, CHILD_FD_LIMIT) &&
                 limit(RLIMIT_MEMLOCK, 0) && setitimer(ITIMER_PROF, &timer, NULL) == 0;
    if (is_limited)
        return WEIR_OK;
    return weir_error_set_errno(error, WEIR_COMPILE, errno, "cannot limit the compiler process");
}

/* A rule set without a single rule: no file can be opened by any path. Kernels without Landlock
 * (before 5.13, or switched off) leave that to the filter alone. */
static int forbid_files(void)
{
    const struct landlock_ruleset_attr nothing = {
        .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
    };
    long fd = syscall(SYS_landlock_create_ruleset, &nothing, sizeof nothing, 0);
    if (fd < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -1;
    int failed = (int)syscall(SYS_landlock_restrict_self, (int)fd, 0);
    (void)close((int)fd);
    return failed;
}

enum weir_status weir__sandbox_enter(const struct weir__sandbox *sandbox, struct weir_error *error)
{
    const struct sock_fprog program = {sandbox->filter_count, sandbox->filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || forbid_files() != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return weir_error_set_errno(error, WEIR_COMPILE, errno,
                                    "cannot close the compiler's sandbox");
    return WEIR_OK;
}
