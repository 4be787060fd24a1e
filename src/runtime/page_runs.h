/* Sparse memory as a stream: runs of pages that are not zero, in ascending order. A run is its
 * first page, its count of pages (both 64 bits) and their bytes; a count of zero ends the stream.
 */
#ifndef WEIR_RUNTIME_PAGE_RUNS_H
#define WEIR_RUNTIME_PAGE_RUNS_H

#include <weir/image.h>

#include "base/error.h"

#define WEIR__RUN_PAGE_BYTES UINT64_C(4096)
/* Pages of one run, so that a reader can bound what it reads at once: 1 MiB. */
#define WEIR__RUN_PAGES_MAX 256u

struct weir__runs_out {
    const struct weir_image_writer *writer;
    const uint8_t *base; /* of page 0 */
    bool keeps_zeros;    /* of changes: a page may have become zeros */
    uint64_t first, count;
};

/* Pages in ascending order; those of zeros are left out, unless it keeps them. */
enum weir_status weir__runs_add(struct weir__runs_out *out, uint64_t page, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir__runs_end(struct weir__runs_out *out, struct weir_error *error) WEIR_MUST_USE;

/* Where the bytes of a run go: `count` pages from `page` on, inside the limit. NULL: refused, in
 * `error`. */
typedef uint8_t *weir__runs_place(void *context, uint64_t page, uint64_t count,
                                  struct weir_error *error);
/* Reads a stream to its end; CORRUPT when it is none, or goes beyond page_limit. */
enum weir_status weir__runs_read(const struct weir_image_reader *reader, uint64_t page_limit,
                                 weir__runs_place *place, void *context, struct weir_error *error)
    WEIR_MUST_USE;

#endif
