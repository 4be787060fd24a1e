/* Recording uses: lines are collected and written out every 600 uses or so, under the mutex, so
 * that they stay in order. A disk that fails is reported at the end. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/use_trace.h"
#include "cache/cache_internal.h"

#define LINE_BYTES_MAX 128u /* two numbers of 20 digits, 64 digits, two spaces, newline, zero */

struct weir__trace {
    int fd;
    long failed; /* 0 or -errno */
    uint64_t begin_ms;
    size_t used;
    char text[WEIR_CACHE_TRACE_BYTES];
};

static void write_out(struct weir__trace *trace)
{
    if (trace->failed == 0 && trace->used > 0)
        trace->failed = weir_io_write_all(weir_io_system(), trace->fd, trace->text, trace->used);
    trace->used = 0;
}

void weir__trace_use(struct weir_cache *cache, const struct weir__record *record, uint64_t now_ms)
{
    struct weir__trace *trace = cache->trace;
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(&record->id, hex);
    if (trace->used + LINE_BYTES_MAX > sizeof trace->text)
        write_out(trace);
    int size = snprintf(trace->text + trace->used, LINE_BYTES_MAX, "%" PRIu64 " %" PRIu64 " %s\n",
                        now_ms - trace->begin_ms, record->node.bytes, hex);
    WEIR_DASSERT(size > 0 && size < (int)LINE_BYTES_MAX);
    trace->used += (size_t)size;
}

static enum weir_status end_trace(struct weir_cache *cache, struct weir__trace *trace,
                                  struct weir_error *error)
{
    if (trace == NULL)
        return WEIR_OK;
    write_out(trace);
    long failed = trace->failed;
    (void)close(trace->fd);
    weir_account_discharge(cache->account, WEIR_KIND_DESCRIPTOR, 1);
    weir_account_free(cache->account, WEIR_KIND_CACHE, trace, sizeof *trace);
    return failed == 0 ? WEIR_OK
                       : weir_error_set_errno(error, WEIR_IO, (int)-failed,
                                              "the trace could not be written to its end");
}

static enum weir_status begin_trace(struct weir_cache *cache, int fd,
                                    struct weir__trace **ret_trace, struct weir_error *error)
{
    struct weir__trace *trace =
        weir_account_alloc(cache->account, WEIR_KIND_CACHE, sizeof *trace, error);
    enum weir_status status = trace == NULL ? WEIR_LIMIT : WEIR_OK;
    if (status == WEIR_OK)
        status = weir_account_charge(cache->account, WEIR_KIND_DESCRIPTOR, 1, error);
    if (status != WEIR_OK) {
        weir_account_free(cache->account, WEIR_KIND_CACHE, trace, sizeof *trace);
        return error != NULL && error->status != WEIR_OK ? error->status : status;
    }
    trace->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (trace->fd < 0) {
        weir_account_discharge(cache->account, WEIR_KIND_DESCRIPTOR, 1);
        weir_account_free(cache->account, WEIR_KIND_CACHE, trace, sizeof *trace);
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "no descriptor for the trace");
    }
    trace->begin_ms = weir_clock_ms();
    trace->used = (size_t)snprintf(trace->text, sizeof trace->text, WEIR_USE_TRACE_HEAD "\n");
    *ret_trace = trace;
    return WEIR_OK;
}

enum weir_status weir_cache_record(struct weir_cache *cache, int fd, struct weir_error *error)
{
    struct weir__trace *fresh = NULL;
    if (fd >= 0) {
        enum weir_status status = begin_trace(cache, fd, &fresh, error);
        if (status != WEIR_OK)
            return status;
    }
    (void)pthread_mutex_lock(&cache->lock);
    struct weir__trace *old = cache->trace;
    cache->trace = fresh;
    (void)pthread_mutex_unlock(&cache->lock);
    return end_trace(cache, old, error);
}

void weir__trace_free(struct weir_cache *cache)
{
    (void)weir_cache_record(cache, -1, NULL);
}
