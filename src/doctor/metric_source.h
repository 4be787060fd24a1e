/* Where a watch reads a process's own figures: PLACE#SELECTOR[,SELECTOR], with a place that is
 * http://HOST[:PORT]/PATH or the path of a file. */
#ifndef WEIR_DOCTOR_METRIC_SOURCE_H
#define WEIR_DOCTOR_METRIC_SOURCE_H

#include <stddef.h>

#include "base/error.h"
#include "doctor/verdict_limits.h"

#define WEIR_METRIC_SELECTORS_MAX 2

struct weir_metric_source {
    char place[WEIR_METRIC_PLACE_SIZE];
    char selectors[WEIR_METRIC_SELECTORS_MAX][WEIR_METRIC_NAME_SIZE];
    size_t selector_count;
};

/* INVALID_ARGUMENT, naming the option, unless it has 1 to `selectors_max` selectors. */
enum weir_status weir_metric_source_parse(const char *option, const char *text,
                                          size_t selectors_max,
                                          struct weir_metric_source *ret_source,
                                          struct weir_error *error) WEIR_MUST_USE;

/* Reads the place and takes its selectors' values. Waits WEIR_METRICS_TIMEOUT_MS at most. */
enum weir_status weir_metric_source_read(const struct weir_metric_source *source,
                                         double ret_values[WEIR_METRIC_SELECTORS_MAX],
                                         struct weir_error *error) WEIR_MUST_USE;

#endif
