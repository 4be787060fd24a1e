/* See metric_text.h. Everything is scanned in place; nothing is kept. */
#include "doctor/metric_text.h"

#include "base/proc_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest number that is converted: 1.7976931348623157e+308 has 23 characters. */
#define NUMBER_SIZE 64

static bool is_name_char(char c, bool is_first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!is_first && c >= '0' && c <= '9');
}

static bool take_name(struct weir_scan *scan, struct weir_scan *ret_name)
{
    const char *start = scan->at;
    while (scan->at != scan->end && is_name_char(*scan->at, scan->at == start))
        scan->at++;
    *ret_name = (struct weir_scan){start, scan->at};
    return scan->at != start;
}

static bool is_same(const struct weir_scan *a, const struct weir_scan *b)
{
    size_t size = (size_t)(a->end - a->at);
    return size == (size_t)(b->end - b->at) && memcmp(a->at, b->at, size) == 0;
}

/* name="value"; the value as written. */
static bool take_label(struct weir_scan *scan, struct weir_scan *ret_name,
                       struct weir_scan *ret_value)
{
    weir_scan_blank(scan);
    if (!take_name(scan, ret_name))
        return false;
    weir_scan_blank(scan);
    if (!weir_scan_char(scan, '='))
        return false;
    weir_scan_blank(scan);
    if (!weir_scan_char(scan, '"'))
        return false;
    const char *start = scan->at;
    for (; scan->at != scan->end && *scan->at != '"'; scan->at++)
        if (*scan->at == '\\' && scan->at + 1 != scan->end)
            scan->at++;
    *ret_value = (struct weir_scan){start, scan->at};
    if (!weir_scan_char(scan, '"'))
        return false;
    weir_scan_blank(scan);
    return true;
}

/* Labels in braces, or none; *ret_labels is what stands between. False: not in order. */
static bool take_labels(struct weir_scan *scan, struct weir_scan *ret_labels)
{
    *ret_labels = (struct weir_scan){scan->at, scan->at};
    if (!weir_scan_char(scan, '{'))
        return true;
    ret_labels->at = scan->at;
    struct weir_scan name, value;
    for (;;) {
        weir_scan_blank(scan);
        ret_labels->end = scan->at;
        if (weir_scan_char(scan, '}'))
            return true;
        if (!take_label(scan, &name, &value))
            return false;
        if (!weir_scan_char(scan, ',') && (scan->at == scan->end || *scan->at != '}'))
            return false;
    }
}

static bool has_label(struct weir_scan labels, const struct weir_scan *name,
                      const struct weir_scan *value)
{
    struct weir_scan own_name, own_value;
    while (take_label(&labels, &own_name, &own_value)) {
        if (is_same(&own_name, name))
            return is_same(&own_value, value);
        (void)weir_scan_char(&labels, ',');
    }
    return false;
}

static bool has_labels(const struct weir_scan *labels, struct weir_scan wanted)
{
    struct weir_scan name, value;
    while (take_label(&wanted, &name, &value)) {
        if (!has_label(*labels, &name, &value))
            return false;
        (void)weir_scan_char(&wanted, ',');
    }
    return true;
}

bool weir_metric_selector_check(const char *text, size_t *ret_length)
{
    struct weir_scan scan = weir_scan(text, strlen(text)), name, labels;
    if (!take_name(&scan, &name) || !take_labels(&scan, &labels) ||
        (!weir_scan_done(&scan) && *scan.at != ','))
        return false;
    *ret_length = (size_t)(scan.at - text);
    return true;
}

/* The value behind a sample's name and labels; what follows (a time, an exemplar) is passed over.
 */
static bool take_value(struct weir_scan *line, double *ret_value)
{
    struct weir_scan word;
    char text[NUMBER_SIZE];
    weir_scan_blank(line);
    if (!weir_scan_word(line, &word) || word.end - word.at >= NUMBER_SIZE)
        return false;
    size_t size = (size_t)(word.end - word.at);
    memcpy(text, word.at, size);
    text[size] = 0;
    /* No hexadecimal, which strtod would take. */
    if (strpbrk(text, "xXpP") != NULL)
        return false;
    char *end;
    *ret_value = strtod(text, &end);
    return end == text + size;
}

enum weir_status weir_metric_sum(const char *text, size_t size, const char *selector,
                                 double *ret_value, struct weir_error *error)
{
    struct weir_scan wanted = weir_scan(selector, strlen(selector)), name, wanted_labels, line;
    if (!take_name(&wanted, &name) || !take_labels(&wanted, &wanted_labels))
        return weir_error_set(
            error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
            "%.120s: a metric's name is needed, with {label=\"value\"} or without", selector);
    struct weir_scan all = weir_scan(text, size);
    double sum = 0;
    size_t matches = 0;
    for (unsigned long number = 1; weir_scan_line(&all, &line); number++) {
        struct weir_scan own_name, labels;
        double value;
        if (line.end != line.at && line.end[-1] == '\r')
            line.end--;
        const char *start = line.at;
        if (!take_name(&line, &own_name) || !is_same(&own_name, &name))
            continue;
        if (!take_labels(&line, &labels) || !take_value(&line, &value))
            return weir_error_set(error, WEIR_MALFORMED, (uint64_t)(start - text),
                                  "metrics, line %lu: no sample of %.120s", number, selector);
        if (!has_labels(&labels, wanted_labels))
            continue;
        sum += value;
        matches++;
    }
    if (matches == 0 || isnan(sum))
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              matches == 0 ? "no sample of %.120s among the metrics"
                                           : "%.120s is not a number (NaN)",
                              selector);
    *ret_value = sum;
    return WEIR_OK;
}
