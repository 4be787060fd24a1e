/* See page_runs.h. */
#include "runtime/page_runs.h"

#include <string.h>

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, WEIR__RUN_PAGE_BYTES - 1) == 0;
}

static enum weir_status flush(struct weir__runs_out *out, struct weir_error *error)
{
    if (out->count == 0)
        return WEIR_OK;
    const uint64_t head[2] = {out->first, out->count};
    const struct weir_image_writer *writer = out->writer;
    enum weir_status status = writer->write(writer->context, head, sizeof head, error);
    if (status == WEIR_OK)
        status = writer->write(writer->context, out->base + out->first * WEIR__RUN_PAGE_BYTES,
                               out->count * WEIR__RUN_PAGE_BYTES, error);
    out->count = 0;
    return status;
}

enum weir_status weir__runs_add(struct weir__runs_out *out, uint64_t page, struct weir_error *error)
{
    if (!out->keeps_zeros && is_zero(out->base + page * WEIR__RUN_PAGE_BYTES))
        return WEIR_OK;
    enum weir_status status = WEIR_OK;
    if (out->count == WEIR__RUN_PAGES_MAX || out->first + out->count != page)
        status = flush(out, error);
    if (status != WEIR_OK)
        return status;
    if (out->count == 0)
        out->first = page;
    out->count++;
    return WEIR_OK;
}

enum weir_status weir__runs_end(struct weir__runs_out *out, struct weir_error *error)
{
    static const uint64_t end[2] = {0, 0};
    enum weir_status status = flush(out, error);
    if (status != WEIR_OK)
        return status;
    return out->writer->write(out->writer->context, end, sizeof end, error);
}

enum weir_status weir__runs_read(const struct weir_image_reader *reader, uint64_t page_limit,
                                 weir__runs_place *place, void *context, struct weir_error *error)
{
    uint64_t next = 0;
    for (;;) {
        uint64_t head[2] = {0, 0};
        enum weir_status status = reader->read(reader->context, head, sizeof head, error);
        if (status != WEIR_OK || head[1] == 0)
            return status;
        if (head[0] < next || head[1] > WEIR__RUN_PAGES_MAX || head[0] > page_limit ||
            head[1] > page_limit - head[0])
            return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                                  "a saved memory: %llu pages from %llu on do not fit %llu",
                                  (unsigned long long)head[1], (unsigned long long)head[0],
                                  (unsigned long long)page_limit);
        uint8_t *to = place(context, head[0], head[1], error);
        if (to == NULL)
            return weir_error_refused(error);
        status = reader->read(reader->context, to, head[1] * WEIR__RUN_PAGE_BYTES, error);
        if (status != WEIR_OK)
            return status;
        next = head[0] + head[1];
    }
}
