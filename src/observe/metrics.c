/* The text builder: families, samples, escaped labels. */
#include "observe/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_BYTES 16384u

void weir_metrics_init(struct weir_metrics *metrics, struct weir_account *account)
{
    *metrics = (struct weir_metrics){.account = account};
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
    size_t capacity = metrics->capacity == 0 ? FIRST_BYTES : metrics->capacity;
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

void weir_metrics_family(struct weir_metrics *metrics, const char *name, const char *type,
                         const char *help)
{
    add_text(metrics, "# HELP ");
    add_text(metrics, name);
    add_text(metrics, " ");
    add_text(metrics, help);
    add_text(metrics, "\n# TYPE ");
    add_text(metrics, name);
    add_text(metrics, " ");
    add_text(metrics, type);
    add_text(metrics, "\n");
}

static void add_escaped(struct weir_metrics *metrics, const char *text)
{
    for (const char *c = text; *c != 0; c++) {
        if (*c == '\n')
            add_bytes(metrics, "\\n", 2);
        else if (*c == '"' || *c == '\\')
            add_bytes(metrics, (const char[2]){'\\', *c}, 2);
        else
            add_bytes(metrics, c, 1);
    }
}

static void begin_sample(struct weir_metrics *metrics, const char *name,
                         const struct weir_metrics_label *labels)
{
    add_text(metrics, name);
    if (labels == NULL || labels->name == NULL)
        return;
    for (const struct weir_metrics_label *label = labels; label->name != NULL; label++) {
        add_text(metrics, label == labels ? "{" : ",");
        add_text(metrics, label->name);
        add_text(metrics, "=\"");
        add_escaped(metrics, label->value);
        add_text(metrics, "\"");
    }
    add_text(metrics, "}");
}

void weir_metrics_value(struct weir_metrics *metrics, const char *name,
                        const struct weir_metrics_label *labels, uint64_t value)
{
    char number[24];
    begin_sample(metrics, name, labels);
    (void)snprintf(number, sizeof number, " %" PRIu64 "\n", value);
    add_text(metrics, number);
}

void weir_metrics_real(struct weir_metrics *metrics, const char *name,
                       const struct weir_metrics_label *labels, double value)
{
    char number[40];
    begin_sample(metrics, name, labels);
    (void)snprintf(number, sizeof number, " %.9g\n", value);
    add_text(metrics, number);
}
