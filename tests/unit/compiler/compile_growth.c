/* 2,000 jobs leave nothing behind: not in this process, not in the spawner, no descriptor, no
 * mapping. Its own executable, as growth is measured on a whole process (DESIGN 7). Under ASan,
 * which keeps freed memory, only descriptors are compared, and fewer jobs run. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "runtime/compile_internal.h"

#include "own_wasm.h"

#define GROWTH_MAX ((int64_t)256 << 10)

struct figures {
    uint64_t own_bytes;
    uint64_t spawner_bytes;
    long own_descriptors;
    long spawner_descriptors;
};

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "compile_growth: %s\n", what);
    exit(1);
}

static void run_jobs(int count)
{
    for (int i = 0; i < count; i++) {
        const struct weir_compile_job job = {
            .module = own_wasm,
            .module_bytes = sizeof own_wasm - (i % 10 == 9), /* one in ten is cut: refused */
            .options = {.features = WEIR_FEATURES_DEFAULT, .generator = "fast"},
        };
        struct weir_compile_result result;
        struct weir_error error = {0};
        enum weir_status status = weir_compile_job_run(NULL, &job, &result, &error);
        if ((status == WEIR_OK) != (i % 10 != 9))
            fail(error.message);
        if (status == WEIR_OK)
            (void)close(result.fd);
        weir_error_done(&error);
    }
}

static long count_descriptors(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        fail("cannot list descriptors");
    long count = 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

/* The spawner closes a job's descriptors just after its last word: looks until there are no more
 * than `wanted`, or for a minute. */
static long count_settled(pid_t pid, long wanted)
{
    const struct timespec pause = {0, 5000000};
    long count = count_descriptors(pid);
    for (int i = 0; i < 12000 && count > wanted; i++) {
        (void)nanosleep(&pause, NULL);
        count = count_descriptors(pid);
    }
    return count;
}

/* Pss_Anon + Pss_Shmem + Swap of another process. */
static uint64_t private_bytes(pid_t pid)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail("cannot read smaps_rollup of the spawner");
    unsigned long long sum = 0, kib = 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss_Anon: %llu", &kib) == 1 ||
            sscanf(line, "Pss_Shmem: %llu", &kib) == 1 || sscanf(line, "Swap: %llu", &kib) == 1)
            sum += kib;
    (void)fclose(file);
    return sum * 1024;
}

static struct figures measure(long spawner_descriptors)
{
    struct figures figures = {.own_descriptors = count_descriptors(getpid()),
                              .spawner_descriptors = count_settled(weir__compile_pid(),
                                                                   spawner_descriptors),
                              .spawner_bytes = private_bytes(weir__compile_pid())};
    struct weir_error error = {0};
    if (weir_growth_read(&figures.own_bytes, &error) != WEIR_OK)
        fail(error.message);
    return figures;
}

int main(void)
{
    if (setenv("WEIR_COMPILE", WEIR_COMPILE_PROGRAM, 1) != 0)
        return 1;
    int count = WEIR_ASAN || WEIR_TSAN ? 300 : 2000;
    run_jobs(100);
    struct figures before = measure(LONG_MAX);
    run_jobs(count);
    struct figures after = measure(before.spawner_descriptors);
    int64_t own = (int64_t)(after.own_bytes - before.own_bytes);
    int64_t spawner = (int64_t)(after.spawner_bytes - before.spawner_bytes);
    (void)printf("%d jobs: this process %+lld KiB, spawner %+lld KiB, descriptors %+ld and %+ld\n",
                 count, (long long)own / 1024, (long long)spawner / 1024,
                 after.own_descriptors - before.own_descriptors,
                 after.spawner_descriptors - before.spawner_descriptors);
    if (after.own_descriptors != before.own_descriptors ||
        after.spawner_descriptors > before.spawner_descriptors)
        fail("descriptors were left open");
    if (!WEIR_ASAN && !WEIR_TSAN && (own > GROWTH_MAX || spawner > GROWTH_MAX))
        fail("memory grew");
    weir_compile_stop();
    return 0;
}
