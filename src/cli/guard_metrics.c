/* GET /metrics of `weir guard`: process, governor, decision times, and a Nitro node's names. */
#include "cli/guard_internal.h"

#include <math.h>

#include "base/clock.h"

static const double QUANTILES[] = {0.5, 0.75, 0.95, 0.99, 0.999, 0.9999};
#define QUANTILE_COUNT (sizeof QUANTILES / sizeof QUANTILES[0])

struct times {
    double values_ns[QUANTILE_COUNT];
    double sum_ns;
    uint64_t count;
};

/* The upper edge of the bucket that holds the quantile. */
static struct times sum_up(const struct guard_times *from)
{
    struct times times = {.sum_ns =
                              (double)atomic_load_explicit(&from->sum_ns, memory_order_relaxed)};
    uint64_t counts[GUARD_TIME_BUCKETS];
    for (unsigned i = 0; i < GUARD_TIME_BUCKETS; i++) {
        counts[i] = atomic_load_explicit(&from->counts[i], memory_order_relaxed);
        times.count += counts[i];
    }
    for (size_t q = 0; q < QUANTILE_COUNT; q++) {
        double wanted = QUANTILES[q] * (double)times.count, passed = 0;
        unsigned bucket = 0;
        for (; bucket < GUARD_TIME_BUCKETS - 1 && passed + (double)counts[bucket] < wanted;
             bucket++)
            passed += (double)counts[bucket];
        times.values_ns[q] = times.count > 0 ? ldexp(1, (int)bucket) : 0;
    }
    return times;
}

static void add_times(struct weir_metrics *metrics, enum weir_metric metric,
                      const struct times *times, double unit_ns)
{
    double values[QUANTILE_COUNT];
    for (size_t i = 0; i < QUANTILE_COUNT; i++)
        values[i] = times->values_ns[i] / unit_ns;
    const struct weir_metrics_quantiles quantiles = {.quantiles = QUANTILES,
                                                     .values = values,
                                                     .quantile_count = QUANTILE_COUNT,
                                                     .sum = times->sum_ns / unit_ns,
                                                     .count = times->count};
    weir_metrics_family(metrics, metric);
    weir_metrics_summary(metrics, metric, NULL, &quantiles);
}

/* The node's gauges exist only while there is something to say, as its own do. */
static void add_aliases(struct weir_metrics *metrics, const struct weir_governor_status *status,
                        const struct times *times)
{
    const struct weir_reading *reading = &status->reading;
    const struct weir_trigger_config *config = &weir_governor_main_action(status)->trigger.config;
    uint64_t refused = 0;
    for (size_t i = 0; i < WEIR_REASON_COUNT; i++)
        refused += status->refused[i];
    weir_metrics_single(metrics, WEIR_METRIC_ARB_CHECK_SUCCESS,
                        status->admitted - status->admitted_unknown);
    weir_metrics_single(metrics, WEIR_METRIC_ARB_CHECK_FAILURE, refused);
    add_times(metrics, WEIR_METRIC_ARB_CHECK_DURATION, times, 1);
    if (reading->state == WEIR_READING_KNOWN && !config->is_off) {
        uint64_t limit = reading->limit_bytes > config->enter_free_bytes
                             ? reading->limit_bytes - config->enter_free_bytes
                             : 0;
        weir_metrics_single(metrics, WEIR_METRIC_ARB_MEMORY_LIMIT, limit);
        weir_metrics_single(metrics, WEIR_METRIC_ARB_MEMORY_USAGE, reading->used_bytes);
    }
    if (status->task_count > 0)
        weir_metrics_single(metrics, WEIR_METRIC_ARB_VALIDATOR_EXCEEDED,
                            status->tasks[0].state == WEIR_TASK_PAUSED ||
                                status->tasks[0].state == WEIR_TASK_PAUSING);
}

void guard__metrics_write(struct weir_metrics *metrics, struct weir_governor *governor,
                          struct guard_equation *equation, const struct guard_times *from,
                          unsigned connections)
{
    struct weir_governor_status status;
    struct weir_cgroup_equation cgroup;
    uint64_t now_ns = weir_clock_ns();
    weir_governor_status(governor, now_ns, &status);
    guard__equation_get(equation, &cgroup);
    const struct times times = sum_up(from);
    weir_metrics_process(metrics);
    weir_metrics_single(metrics, WEIR_METRIC_CONNECTIONS, connections);
    weir_metrics_cgroup_equation(metrics, &cgroup);
    weir_metrics_governor(metrics, &status, now_ns);
    add_times(metrics, WEIR_METRIC_ADMISSION_SECONDS, &times, 1e9);
    add_aliases(metrics, &status, &times);
    weir_metrics_end(metrics);
}
