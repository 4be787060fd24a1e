/* process_* metrics from /proc/self, read with plain system calls. */
#include "observe/metrics.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* The file's text, zero-terminated, or an empty string. */
static void read_text(const char *path, char *text, size_t size)
{
    AUTO_CLOSE fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, size - 1) : 0;
    text[got > 0 ? got : 0] = 0;
}

/* Field `number` of /proc/self/stat, counted as proc(5) does; the name in field 2 may hold
 * anything, so counting begins behind its last parenthesis. */
static unsigned long long stat_field(const char *text, int number)
{
    const char *at = strrchr(text, ')');
    if (at == NULL)
        return 0;
    for (int field = 2; field < number && at != NULL; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static double start_seconds;

/* When the process began, in seconds since the epoch. Once: whoever looks for restarts compares
 * it, and the difference of two clocks is never quite the same. */
static void find_start(void)
{
    char text[1024];
    struct timespec wall, boot;
    read_text("/proc/self/stat", text, sizeof text);
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    double up = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
    double now = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9;
    start_seconds = now - up + (double)stat_field(text, 22) / (double)sysconf(_SC_CLK_TCK);
}

static void real(struct weir_metrics *metrics, enum weir_metric metric, double value)
{
    weir_metrics_family(metrics, metric);
    weir_metrics_real(metrics, metric, NULL, value);
}

void weir_metrics_process(struct weir_metrics *metrics)
{
    char text[1024];
    (void)pthread_once(&start_once, find_start);
    read_text("/proc/self/stat", text, sizeof text);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    struct rlimit limit;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    real(metrics, WEIR_METRIC_PROCESS_CPU,
         (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
             (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    weir_metrics_single(metrics, WEIR_METRIC_PROCESS_RESIDENT,
                        stat_field(text, 24) * (uint64_t)sysconf(_SC_PAGESIZE));
    weir_metrics_single(metrics, WEIR_METRIC_PROCESS_VIRTUAL, stat_field(text, 23));
    real(metrics, WEIR_METRIC_PROCESS_START, start_seconds);
    weir_metrics_single(metrics, WEIR_METRIC_PROCESS_THREADS, stat_field(text, 20));
    weir_metrics_single(metrics, WEIR_METRIC_PROCESS_MAJOR_FAULTS, stat_field(text, 12));
    weir_metrics_single(metrics, WEIR_METRIC_PROCESS_MAX_FDS, (uint64_t)limit.rlim_cur);
    weir_metrics_family(metrics, WEIR_METRIC_PROCESS_OPEN_FDS);
    uint64_t descriptors;
    if (weir_descriptors_count(&descriptors, NULL) == WEIR_OK)
        weir_metrics_value(metrics, WEIR_METRIC_PROCESS_OPEN_FDS, NULL, descriptors);
    const struct weir_metrics_label version[] = {{"version", WEIR_VERSION}, {NULL, NULL}};
    weir_metrics_family(metrics, WEIR_METRIC_BUILD);
    weir_metrics_value(metrics, WEIR_METRIC_BUILD, version, 1);
}
