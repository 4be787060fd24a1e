/* Prometheus text (format 0.0.4) into one growing buffer, and the metrics of the ledger and of the
 * process that every host publishes. */
#ifndef WEIR_OBSERVE_METRICS_H
#define WEIR_OBSERVE_METRICS_H

#include <stdbool.h>

#include "ledger/equation.h"

/* Text charged to an account as it grows. Zero-initialise with weir_metrics_init(). Once memory is
 * refused the text stays as it is and `status` says so. */
struct weir_metrics {
    struct weir_account *account;
    char *text;
    size_t size;
    size_t capacity;
    enum weir_status status;
};

void weir_metrics_init(struct weir_metrics *metrics, struct weir_account *account);
void weir_metrics_done(struct weir_metrics *metrics);

/* "# HELP" and "# TYPE" of a family; its samples follow. */
void weir_metrics_family(struct weir_metrics *metrics, const char *name, const char *type,
                         const char *help);

struct weir_metrics_label {
    const char *name; /* NULL ends a list */
    const char *value;
};
/* One sample; `labels` may be NULL. Label values are escaped. */
void weir_metrics_value(struct weir_metrics *metrics, const char *name,
                        const struct weir_metrics_label *labels, uint64_t value);
void weir_metrics_real(struct weir_metrics *metrics, const char *name,
                       const struct weir_metrics_label *labels, double value);

/* process_* as Prometheus clients name them. */
void weir_metrics_process(struct weir_metrics *metrics);
/* Every term of equation (a) and whether it holds. */
void weir_metrics_equation(struct weir_metrics *metrics, const struct weir_equation *equation);
/* Used, peak, limit and refusals of every account, and its kinds. */
void weir_metrics_accounts(struct weir_metrics *metrics, struct weir_account *root);

#endif
