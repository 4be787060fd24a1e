/* The Accept header of whoever asks for metrics: every text gets one of the two forms, and one that
 * names OpenMetrics nowhere and has no wildcard gets Prometheus text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "observe/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    WEIR_ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    enum weir_metrics_form form = weir_metrics_accepted(text);
    WEIR_ASSERT(form == WEIR_METRICS_TEXT || form == WEIR_METRICS_OPENMETRICS);
    if (strchr(text, '*') == NULL && strcasestr(text, "application/openmetrics-text") == NULL)
        WEIR_ASSERT(form == WEIR_METRICS_TEXT);
    free(text);
    return 0;
}
