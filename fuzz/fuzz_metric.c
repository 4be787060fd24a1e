/* Metrics and the HTTP answer around them. What is selected is a number, the sum of parts is the
 * whole, what is refused names a line of the text; reading twice gives the same. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/http_get.h"
#include "doctor/metric_source.h"
#include "doctor/metric_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void select_one(const char *text, size_t size, const char *selector)
{
    double value = 0, again = 0;
    struct weir_error error = {0};
    enum weir_status status = weir_metric_sum(text, size, selector, &value, &error);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_NOT_FOUND || status == WEIR_MALFORMED ||
                status == WEIR_INVALID_ARGUMENT);
    WEIR_ASSERT(status != WEIR_OK || !isnan(value));
    WEIR_ASSERT(status != WEIR_MALFORMED || error.offset < size);
    weir_error_done(&error);
    WEIR_ASSERT(weir_metric_sum(text, size, selector, &again, NULL) == status);
    WEIR_ASSERT(status != WEIR_OK || value - again == 0 || isinf(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *body;
    size_t body_size;
    /* The first line is a source, the rest what it answers. */
    const char *newline = memchr(data, '\n', size);
    if (newline == NULL || newline - text >= 512)
        return 0;
    char source_text[512];
    size_t length = (size_t)(newline - text);
    memcpy(source_text, text, length);
    source_text[length] = 0;
    text = newline + 1;
    size -= length + 1;
    struct weir_metric_source source;
    if (weir_metric_source_parse("cache", source_text, 2, &source, NULL) == WEIR_OK) {
        WEIR_ASSERT(source.selector_count >= 1 && source.selector_count <= 2);
        for (size_t i = 0; i < source.selector_count; i++)
            select_one(text, size, source.selectors[i]);
    }
    select_one(text, size, "a");
    select_one(text, size, "a{b=\"c\"}");
    if (weir_http_body(text, size, &body, &body_size, NULL) == WEIR_OK)
        WEIR_ASSERT(body + body_size == text + size);
    return 0;
}
