/* Reading one metric out of Prometheus text or OpenMetrics, which somebody else wrote.
 *
 * A selector is a name, with label="value" pairs in braces or without: requests_total{code="200"}.
 * Values are compared as they are written, escapes and all. The samples that it matches are summed
 * up. Lines that do not begin with the name are passed over; one that does has to be in order. */
#ifndef WEIR_DOCTOR_METRIC_TEXT_H
#define WEIR_DOCTOR_METRIC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Whether it is a selector, and where it ends: at a comma outside braces, or at the end. */
bool weir_metric_selector_check(const char *text, size_t *ret_length);

/* NOT_FOUND: no sample matches, or one that is not a number (NaN). MALFORMED with the line. */
enum weir_status weir_metric_sum(const char *text, size_t size, const char *selector,
                                 double *ret_value, struct weir_error *error) WEIR_MUST_USE;

#endif
