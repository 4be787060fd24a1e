/* The writer of pages: families, samples, escaped labels, in either form.
 *
 * The forms differ in four things only. A counter's family is called without its _total in
 * OpenMetrics, and an info's without _info; OpenMetrics tells units; it knows the type info; and it
 * ends in "# EOF". Numbers are written so that both accept them: the bounds of buckets always with
 * a point or an exponent.
 */
#include "observe/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "observe/observe_limits.h"

enum type {
    COUNTER,
    GAUGE,
    HISTOGRAM,
    SUMMARY,
    INFO
};

static const struct row {
    const char *name, *unit, *labels, *help;
    enum type type;
} rows[WEIR_METRIC_COUNT] = {
#define WEIR_METRIC(id, name, type, unit, labels, where, help)                                     \
    [WEIR_METRIC_##id] = {name, unit, labels, help, type},
#include "observe/metrics.def"
#undef WEIR_METRIC
};

static const char *type_name(enum type type, enum weir_metrics_form form)
{
    static const char *const NAMES[] = {"counter", "gauge", "histogram", "summary", "info"};
    return type == INFO && form == WEIR_METRICS_TEXT ? "gauge" : NAMES[type];
}

const char *weir_metrics_content_type(enum weir_metrics_form form)
{
    return form == WEIR_METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* --- text ---------------------------------------------------------------------------------- */

void weir_metrics_init(struct weir_metrics *metrics, struct weir_account *account,
                       enum weir_metrics_form form)
{
    *metrics = (struct weir_metrics){
        .account = account, .form = form, .family = WEIR_METRIC_COUNT, .begin_ns = weir_clock_ns()};
}

void weir_metrics_done(struct weir_metrics *metrics)
{
    weir_account_free(metrics->account, WEIR_KIND_SERVER, metrics->text, metrics->capacity);
    metrics->text = NULL;
    metrics->size = 0;
    metrics->capacity = 0;
}

static bool reserve(struct weir_metrics *metrics, size_t more)
{
    if (metrics->status != WEIR_OK)
        return false;
    if (metrics->capacity - metrics->size >= more)
        return true;
    size_t capacity = metrics->capacity == 0 ? WEIR_METRICS_FIRST_BYTES : metrics->capacity;
    while (capacity - metrics->size < more)
        capacity *= 2;
    char *text = weir_account_alloc(metrics->account, WEIR_KIND_SERVER, capacity, NULL);
    if (text == NULL) {
        metrics->status = WEIR_LIMIT;
        return false;
    }
    if (metrics->size > 0)
        memcpy(text, metrics->text, metrics->size);
    weir_account_free(metrics->account, WEIR_KIND_SERVER, metrics->text, metrics->capacity);
    metrics->text = text;
    metrics->capacity = capacity;
    return true;
}

static void add_bytes(struct weir_metrics *metrics, const char *bytes, size_t size)
{
    if (!reserve(metrics, size))
        return;
    memcpy(metrics->text + metrics->size, bytes, size);
    metrics->size += size;
}

static void add_text(struct weir_metrics *metrics, const char *text)
{
    add_bytes(metrics, text, strlen(text));
}

static void add_number(struct weir_metrics *metrics, uint64_t value)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%" PRIu64, value);
    add_text(metrics, number);
}

/* The shortest text that keeps 15 digits. */
static void add_real(struct weir_metrics *metrics, double value)
{
    char number[40];
    if (isnan(value))
        (void)snprintf(number, sizeof number, "NaN");
    else if (isinf(value))
        (void)snprintf(number, sizeof number, value > 0 ? "+Inf" : "-Inf");
    else
        (void)snprintf(number, sizeof number, "%.15g", value);
    add_text(metrics, number);
}

/* --- families ------------------------------------------------------------------------------ */

/* "# HELP name " and what follows it. */
static void add_comment(struct weir_metrics *metrics, const char *word, size_t name_size,
                        const char *text)
{
    add_text(metrics, word);
    add_bytes(metrics, rows[metrics->family].name, name_size);
    add_text(metrics, " ");
    add_text(metrics, text);
    add_text(metrics, "\n");
}

void weir_metrics_family(struct weir_metrics *metrics, enum weir_metric metric)
{
    WEIR_DASSERT(metric < WEIR_METRIC_COUNT);
    const struct row *row = &rows[metric];
    bool is_open = metrics->form == WEIR_METRICS_OPENMETRICS;
    size_t size = strlen(row->name);
    if (is_open && row->type == COUNTER)
        size -= strlen("_total");
    if (is_open && row->type == INFO)
        size -= strlen("_info");
    metrics->family = metric;
    add_comment(metrics, "# HELP ", size, row->help);
    add_comment(metrics, "# TYPE ", size, type_name(row->type, metrics->form));
    if (is_open && row->unit[0] != 0)
        add_comment(metrics, "# UNIT ", size, row->unit);
}

void weir_metrics_end(struct weir_metrics *metrics)
{
    weir_metrics_family(metrics, WEIR_METRIC_PAGE_SECONDS);
    weir_metrics_real(metrics, WEIR_METRIC_PAGE_SECONDS, NULL,
                      (double)(weir_clock_ns() - metrics->begin_ns) / 1e9);
    if (metrics->form == WEIR_METRICS_OPENMETRICS)
        add_text(metrics, "# EOF\n");
}

/* --- samples ------------------------------------------------------------------------------- */

/* Whether the names are the table's, in its order. */
static bool are_labels_of(enum weir_metric metric, const struct weir_metrics_label *labels)
{
    const char *at = rows[metric].labels;
    for (; labels != NULL && labels->name != NULL; labels++) {
        size_t size = strlen(labels->name);
        if (size == 0 || strncmp(at, labels->name, size) != 0 || (at[size] != ' ' && at[size] != 0))
            return false;
        at += size + (at[size] == ' ');
    }
    return *at == 0;
}

static void add_escaped(struct weir_metrics *metrics, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n')
            add_bytes(metrics, "\\n", 2);
        else if (text[i] == '"' || text[i] == '\\')
            add_bytes(metrics, (const char[2]){'\\', text[i]}, 2);
        else
            add_bytes(metrics, &text[i], 1);
    }
}

static void add_label(struct weir_metrics *metrics, bool is_first, const char *name,
                      const char *value)
{
    add_text(metrics, is_first ? "{" : ",");
    add_text(metrics, name);
    add_text(metrics, "=\"");
    size_t left = strlen(value);
    while (left > 0) {
        size_t valid = weir_utf8_valid_prefix((const uint8_t *)value, left);
        add_escaped(metrics, value, valid);
        if (valid < left) {
            add_text(metrics, "\xef\xbf\xbd");
            valid++;
        }
        value += valid;
        left -= valid;
    }
    add_text(metrics, "\"");
}

/* Name, labels and a blank. `extra` is the label that belongs to the type: le, quantile, or NULL.
 */
static void begin_sample(struct weir_metrics *metrics, enum weir_metric metric, const char *suffix,
                         const struct weir_metrics_label *labels,
                         const struct weir_metrics_label *extra)
{
    WEIR_DASSERT(metrics->family == metric);
    WEIR_DASSERT(are_labels_of(metric, labels));
    add_text(metrics, rows[metric].name);
    add_text(metrics, suffix);
    bool is_first = true;
    for (; labels != NULL && labels->name != NULL; labels++) {
        add_label(metrics, is_first, labels->name, labels->value);
        is_first = false;
    }
    if (extra != NULL)
        add_label(metrics, is_first, extra->name, extra->value);
    add_text(metrics, is_first && extra == NULL ? " " : "} ");
}

static void add_value(struct weir_metrics *metrics, enum weir_metric metric, const char *suffix,
                      const struct weir_metrics_label *labels, uint64_t value)
{
    begin_sample(metrics, metric, suffix, labels, NULL);
    add_number(metrics, value);
    add_text(metrics, "\n");
}

static void add_real_value(struct weir_metrics *metrics, enum weir_metric metric,
                           const char *suffix, const struct weir_metrics_label *labels,
                           double value)
{
    begin_sample(metrics, metric, suffix, labels, NULL);
    add_real(metrics, value);
    add_text(metrics, "\n");
}

void weir_metrics_value(struct weir_metrics *metrics, enum weir_metric metric,
                        const struct weir_metrics_label *labels, uint64_t value)
{
    WEIR_DASSERT(rows[metric].type != HISTOGRAM && rows[metric].type != SUMMARY);
    add_value(metrics, metric, "", labels, value);
}

void weir_metrics_real(struct weir_metrics *metrics, enum weir_metric metric,
                       const struct weir_metrics_label *labels, double value)
{
    WEIR_DASSERT(rows[metric].type != HISTOGRAM && rows[metric].type != SUMMARY);
    add_real_value(metrics, metric, "", labels, value);
}

void weir_metrics_single(struct weir_metrics *metrics, enum weir_metric metric, uint64_t value)
{
    weir_metrics_family(metrics, metric);
    weir_metrics_value(metrics, metric, NULL, value);
}

/* "2.5e-05", "0.001", "1.0", "+Inf". */
static void write_bound(char *text, size_t size, double bound)
{
    (void)snprintf(text, size, "%.15g", bound);
    if (strpbrk(text, ".en") == NULL)
        (void)snprintf(text, size, "%.1f", bound);
}

void weir_metrics_histogram(struct weir_metrics *metrics, enum weir_metric metric,
                            const struct weir_metrics_label *labels,
                            const struct weir_metrics_buckets *buckets)
{
    WEIR_DASSERT(rows[metric].type == HISTOGRAM);
    uint64_t count = 0;
    for (size_t i = 0; i < buckets->bucket_count; i++) {
        char bound[40] = "+Inf";
        if (i + 1 < buckets->bucket_count)
            write_bound(bound, sizeof bound, buckets->bounds[i]);
        count += buckets->counts[i];
        const struct weir_metrics_label le = {"le", bound};
        begin_sample(metrics, metric, "_bucket", labels, &le);
        add_number(metrics, count);
        add_text(metrics, "\n");
    }
    add_real_value(metrics, metric, "_sum", labels, buckets->sum);
    add_value(metrics, metric, "_count", labels, count);
}

void weir_metrics_summary(struct weir_metrics *metrics, enum weir_metric metric,
                          const struct weir_metrics_label *labels,
                          const struct weir_metrics_quantiles *quantiles)
{
    WEIR_DASSERT(rows[metric].type == SUMMARY);
    for (size_t i = 0; i < quantiles->quantile_count; i++) {
        char text[40];
        write_bound(text, sizeof text, quantiles->quantiles[i]);
        const struct weir_metrics_label quantile = {"quantile", text};
        begin_sample(metrics, metric, "", labels, &quantile);
        add_real(metrics, quantiles->values[i]);
        add_text(metrics, "\n");
    }
    add_real_value(metrics, metric, "_sum", labels, quantiles->sum);
    add_value(metrics, metric, "_count", labels, quantiles->count);
}
