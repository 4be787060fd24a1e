/* Pages of metrics: Prometheus text 0.0.4 and OpenMetrics 1.0 by one writer, into one growing
 * buffer; and the metrics of the ledger and of the process that every host publishes.
 *
 * A metric is begun once with weir_metrics_family(), its samples follow before the next is begun,
 * and weir_metrics_end() closes the page. What a metric is called, its type and its labels are in
 * metrics.def; whoever writes samples of another metric than the one begun, or labels that the
 * table does not have, made a mistake (WEIR_DASSERT).
 */
#ifndef WEIR_OBSERVE_METRICS_H
#define WEIR_OBSERVE_METRICS_H

#include <stdbool.h>

#include "ledger/cgroup_equation.h"
#include "ledger/equation.h"

enum weir_metric {
#define WEIR_METRIC(id, name, type, unit, labels, where, help) WEIR_METRIC_##id,
#include "observe/metrics.def"
#undef WEIR_METRIC
    WEIR_METRIC_COUNT
};

enum weir_metrics_form {
    WEIR_METRICS_TEXT, /* Prometheus text 0.0.4 */
    WEIR_METRICS_OPENMETRICS
};

/* The form that an Accept header asks for: highest quality wins, then the more exact name, then
 * Prometheus text. NULL (no header), wildcards alone, nonsense: Prometheus text. */
enum weir_metrics_form weir_metrics_accepted(const char *accept);
/* The value of Content-Type. */
const char *weir_metrics_content_type(enum weir_metrics_form form);

/* Text charged to an account as it grows. Zero-initialise with weir_metrics_init(). Once memory is
 * refused the text stays as it is and `status` says so. */
struct weir_metrics {
    struct weir_account *account;
    enum weir_metrics_form form;
    enum weir_metric family; /* the one begun last */
    char *text;
    size_t size;
    size_t capacity;
    uint64_t begin_ns;
    enum weir_status status;
};

void weir_metrics_init(struct weir_metrics *metrics, struct weir_account *account,
                       enum weir_metrics_form form);
void weir_metrics_done(struct weir_metrics *metrics);
/* What the page took to make, and the end mark of the form. */
void weir_metrics_end(struct weir_metrics *metrics);

/* "# HELP", "# TYPE" and "# UNIT" of a metric; its samples follow. */
void weir_metrics_family(struct weir_metrics *metrics, enum weir_metric metric);

struct weir_metrics_label {
    const char *name; /* NULL ends a list */
    const char *value;
};
/* One sample; `labels` may be NULL. Label values are escaped; what is not UTF-8 in them becomes
 * U+FFFD. */
void weir_metrics_value(struct weir_metrics *metrics, enum weir_metric metric,
                        const struct weir_metrics_label *labels, uint64_t value);
void weir_metrics_real(struct weir_metrics *metrics, enum weir_metric metric,
                       const struct weir_metrics_label *labels, double value);
/* A family with one sample without labels. */
void weir_metrics_single(struct weir_metrics *metrics, enum weir_metric metric, uint64_t value);

/* Counts per bucket, not cumulated; the last bucket has no bound. */
struct weir_metrics_buckets {
    const double *bounds; /* bucket_count - 1, ascending */
    const uint64_t *counts;
    size_t bucket_count;
    double sum;
};
/* Every sample of one histogram: _bucket, _sum, _count. */
void weir_metrics_histogram(struct weir_metrics *metrics, enum weir_metric metric,
                            const struct weir_metrics_label *labels,
                            const struct weir_metrics_buckets *buckets);
struct weir_metrics_quantiles {
    const double *quantiles, *values; /* quantile_count of each; may be none */
    size_t quantile_count;
    double sum;
    uint64_t count;
};
/* Every sample of one summary: the quantiles, _sum, _count. */
void weir_metrics_summary(struct weir_metrics *metrics, enum weir_metric metric,
                          const struct weir_metrics_label *labels,
                          const struct weir_metrics_quantiles *quantiles);

/* process_* as Prometheus clients name them, and the build. */
void weir_metrics_process(struct weir_metrics *metrics);
/* Every term of equation (a) and whether it holds. */
void weir_metrics_equation(struct weir_metrics *metrics, const struct weir_equation *equation);
/* Every term of equation (b) and what can be said about it. */
void weir_metrics_cgroup_equation(struct weir_metrics *metrics,
                                  const struct weir_cgroup_equation *equation);
/* Used, peak, limit and refusals of every account but stores and instances, and its kinds. */
void weir_metrics_accounts(struct weir_metrics *metrics, struct weir_account *root);

#endif
