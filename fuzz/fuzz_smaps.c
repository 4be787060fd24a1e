/* The streaming parsers of /proc: the first byte says which and where the input is cut in two.
 * Whatever comes, areas are ordered pairs and the offset of an error lies in the input; and the
 * place of the cut changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/proc_smaps.h"

struct digest {
    uint64_t sum;
    uint64_t count;
};

static bool visit(void *context, const struct weir_vma *vma)
{
    struct digest *digest = context;
    WEIR_ASSERT(vma->start <= vma->end);
    WEIR_ASSERT(vma->path != NULL && strlen(vma->path) <= vma->path_length);
    digest->sum = digest->sum * 31 + vma->start + vma->rss + vma->swap + vma->flags;
    digest->sum += vma->path_length;
    digest->count++;
    return digest->count < 1000;
}

static enum weir_status parse(const char *text, size_t size, size_t cut, struct digest *digest,
                              struct weir_error *error)
{
    struct weir_smaps *smaps = malloc(sizeof *smaps);
    WEIR_ASSERT(smaps != NULL);
    weir_smaps_begin(smaps, visit, digest);
    enum weir_status status = weir_smaps_feed(smaps, text, cut, error);
    if (status == WEIR_OK)
        status = weir_smaps_feed(smaps, text + cut, size - cut, error);
    if (status == WEIR_OK)
        status = weir_smaps_end(smaps, error);
    free(smaps);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size--;
    struct weir_error error = {0};
    if (data[0] == 's') {
        struct weir_proc_status proc;
        if (weir_proc_status_parse(text, size, &proc, &error) != WEIR_OK)
            WEIR_ASSERT(error.offset <= size);
        return 0;
    }
    struct digest whole = {0};
    struct digest cut = {0};
    enum weir_status status = parse(text, size, 0, &whole, &error);
    if (status != WEIR_OK)
        WEIR_ASSERT(error.offset <= size);
    enum weir_status again = parse(text, size, size != 0 ? data[0] % size : 0, &cut, NULL);
    WEIR_ASSERT(status == again && whole.sum == cut.sum && whole.count == cut.count);
    return 0;
}
