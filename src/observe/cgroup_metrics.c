/* Equation (b) as metrics: each term is a label value, as with equation (a). */
#include "observe/metrics.h"

#include "base/clock.h"

static void part(struct weir_metrics *metrics, const char *name, double bytes)
{
    const struct weir_metrics_label labels[] = {{"part", name}, {NULL, NULL}};
    weir_metrics_real(metrics, WEIR_METRIC_CGROUP_PART, labels, bytes);
}

static void add_sides(struct weir_metrics *metrics, const struct weir_cgroup_equation *equation)
{
    weir_metrics_single(metrics, WEIR_METRIC_CGROUP_USAGE, equation->usage_bytes);
    weir_metrics_family(metrics, WEIR_METRIC_CGROUP_PART);
    part(metrics, "anonymous", (double)equation->anonymous_bytes);
    part(metrics, "page_cache", (double)equation->cache_bytes);
    part(metrics, "shared_memory", (double)equation->shared_bytes);
    part(metrics, "kernel", (double)equation->kernel_bytes);
    part(metrics, "unexplained", (double)equation->unexplained_bytes);
    weir_metrics_family(metrics, WEIR_METRIC_CGROUP_EQUATION_AGE);
    weir_metrics_real(metrics, WEIR_METRIC_CGROUP_EQUATION_AGE, NULL,
                      (double)(weir_clock_ns() - equation->read_ns) / 1e9);
    weir_metrics_single(metrics, WEIR_METRIC_CGROUP_TOLERANCE, equation->tolerance_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_CGROUP_FILE_RESIDENT, equation->file_resident_bytes);
    weir_metrics_single(metrics, WEIR_METRIC_CGROUP_PROCESSES, equation->process_count);
}

/* Where the equation cannot be looked at its families have no samples: no figure is better than a
 * wrong one. */
static void add_no_sides(struct weir_metrics *metrics)
{
    static const enum weir_metric METRICS[] = {
        WEIR_METRIC_CGROUP_USAGE,     WEIR_METRIC_CGROUP_PART,
        WEIR_METRIC_CGROUP_TOLERANCE, WEIR_METRIC_CGROUP_FILE_RESIDENT,
        WEIR_METRIC_CGROUP_PROCESSES, WEIR_METRIC_CGROUP_EQUATION_AGE};
    for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++)
        weir_metrics_family(metrics, METRICS[i]);
}

void weir_metrics_cgroup_equation(struct weir_metrics *metrics,
                                  const struct weir_cgroup_equation *equation)
{
    if (equation->state == WEIR_CGROUP_EQUATION_HOLDS ||
        equation->state == WEIR_CGROUP_EQUATION_BROKEN)
        add_sides(metrics, equation);
    else
        add_no_sides(metrics);
    weir_metrics_family(metrics, WEIR_METRIC_CGROUP_EQUATION_STATE);
    for (int state = 0; state < WEIR_CGROUP_EQUATION_STATE_COUNT; state++) {
        const struct weir_metrics_label labels[] = {
            {"state", weir_cgroup_equation_state_name((enum weir_cgroup_equation_state)state)},
            {NULL, NULL}};
        weir_metrics_value(metrics, WEIR_METRIC_CGROUP_EQUATION_STATE, labels,
                           (int)equation->state == state ? 1 : 0);
    }
}
