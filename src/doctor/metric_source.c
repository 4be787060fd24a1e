/* See metric_source.h. */
#include "doctor/metric_source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/http_get.h"
#include "base/io.h"
#include "base/sizes.h"
#include "doctor/metric_text.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "http://"

enum weir_status weir_metric_source_parse(const char *option, const char *text,
                                          size_t selectors_max,
                                          struct weir_metric_source *ret_source,
                                          struct weir_error *error)
{
    struct weir_metric_source source = {0};
    struct weir_http_place place;
    const char *hash = strchr(text, '#');
    size_t length = hash != NULL ? (size_t)(hash - text) : 0;
    if (length == 0 || length >= sizeof source.place)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s %.120s: http://HOST:PORT/PATH#METRIC is needed, or FILE#METRIC",
                              option, text);
    memcpy(source.place, text, length);
    if (strstr(source.place, "://") != NULL && !weir_http_place_parse(source.place, &place))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s %.120s: only http://HOST[:PORT]/PATH is read, or a file",
                              option, source.place);
    for (const char *at = hash + 1;; at++) {
        if (source.selector_count == selectors_max || !weir_metric_selector_check(at, &length) ||
            length >= WEIR_METRIC_NAME_SIZE)
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "--%s ...#%.120s: %s, each with {label=\"value\"} or without",
                                  option, hash + 1,
                                  selectors_max == 1 ? "one metric's name is needed"
                                                     : "one or two metrics' names are needed");
        memcpy(source.selectors[source.selector_count++], at, length);
        at += length;
        if (*at == 0)
            break;
    }
    *ret_source = source;
    return WEIR_OK;
}

static long read_place(const char *place, char **ret_bytes)
{
    if (strncmp(place, PREFIX, strlen(PREFIX)) == 0) {
        const struct weir_http_get get = {.url = place,
                                          .accept = "text/plain;version=0.0.4",
                                          .bytes_max = WEIR_METRICS_BYTES_MAX,
                                          .timeout_ms = WEIR_METRICS_TIMEOUT_MS};
        return weir_http_fetch(&get, ret_bytes);
    }
    AUTO_CLOSE fd = weir_io_open(weir_io_system(), AT_FDCWD, place, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    return weir_read_to_end(fd, WEIR_METRICS_BYTES_MAX, weir_clock_ms() + WEIR_METRICS_TIMEOUT_MS,
                            ret_bytes);
}

enum weir_status weir_metric_source_read(const struct weir_metric_source *source,
                                         double ret_values[WEIR_METRIC_SELECTORS_MAX],
                                         struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    long size = read_place(source->place, &bytes);
    if (size < 0)
        return weir_error_set_errno(error, WEIR_IO, (int)-size, "cannot read %.160s",
                                    source->place);
    if (size > WEIR_METRICS_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "%.120s gives more than %s of metrics", source->place,
                              weir_size_format(WEIR_METRICS_BYTES_MAX).text);
    const char *text = bytes;
    size_t text_size = (size_t)size;
    enum weir_status status = WEIR_OK;
    if (strncmp(source->place, PREFIX, strlen(PREFIX)) == 0)
        status = weir_http_body(bytes, (size_t)size, &text, &text_size, error);
    for (size_t i = 0; status == WEIR_OK && i < source->selector_count; i++)
        status = weir_metric_sum(text, text_size, source->selectors[i], &ret_values[i], error);
    return status;
}
