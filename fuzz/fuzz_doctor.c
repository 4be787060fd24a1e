/* The doctor over a saved smaps and a memory that holds anything: the first byte says which
 * programs are seen, the areas follow up to a zero byte, the rest is memory. The first area that is
 * private and writable begins where the memory begins, further ones read it again and again.
 * Whatever comes: classes add up to the resident set, walks stay within their heaps and budgets. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/proc_smaps.h"
#include "doctor/doctor_advice.h"
#include "doctor/doctor_internal.h"

/* Areas beyond are left out, so that one input stays a matter of milliseconds. */
#define AREAS_MAX 64
#define AREA_BYTES_MAX (UINT64_C(8) << 20)
#define SEARCH_PAGES 4096

struct input {
    const uint8_t *bytes;
    size_t size;
};

static bool read_input(void *context, const struct weir__span *spans, size_t count, void *bytes)
{
    const struct input *input = context;
    uint8_t *to = bytes;
    if (input->size == 0 || count > WEIR__SPANS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        for (uint64_t k = 0; k < spans[i].size; k++)
            *to++ = input->bytes[(spans[i].address + k) % (WEIR__ARENA_BYTES) % input->size];
    return true;
}

static bool read_pages(void *context, uint64_t start, size_t count, uint8_t *states)
{
    const struct input *input = context;
    if (input->size == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        states[i] = input->bytes[(start / WEIR__PAGE + i) % input->size] % 5 == 4
                        ? WEIR__PAGE_SWAPPED
                        : WEIR__PAGE_PRESENT;
    return true;
}

static bool add_area(void *context, const struct weir_vma *vma)
{
    struct weir__patient *patient = context;
    bool holds_much = vma->rss != 0 && vma->end - vma->start > AREA_BYTES_MAX;
    return patient->area_count == AREAS_MAX || holds_much || weir__areas_add(patient, vma);
}

static enum weir_status read_areas(struct weir__patient *patient, const char *text, size_t size)
{
    struct weir_smaps *smaps = malloc(sizeof *smaps);
    WEIR_ASSERT(smaps != NULL);
    weir_smaps_begin(smaps, add_area, patient);
    enum weir_status status = weir_smaps_feed(smaps, text, size, NULL);
    if (status == WEIR_OK)
        status = weir_smaps_end(smaps, NULL);
    free(smaps);
    return status == WEIR_OK ? patient->status : status;
}

static void check(const struct weir_doctor_snapshot *s)
{
    uint64_t rss = 0;
    uint64_t unknown = 0;
    for (unsigned i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++) {
        const struct weir_doctor_sum *sum = &s->sums[i];
        rss += sum->rss_bytes;
        unknown += weir_doctor_class_is_generic((enum weir_doctor_class)i) ? sum->rss_bytes : 0;
        WEIR_ASSERT(sum->anon_bytes <= sum->rss_bytes && sum->huge_bytes <= sum->rss_bytes);
    }
    WEIR_ASSERT(rss == s->rss_bytes && unknown == s->unknown_bytes);
    const struct weir_doctor_malloc *walks[] = {&s->main_heap, &s->arenas};
    for (int i = 0; i < 2; i++)
        WEIR_ASSERT(walks[i]->live_bytes + walks[i]->free_bytes == walks[i]->system_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint8_t *end = memchr(data + 1, 0, size - 1);
    size_t text = end != NULL ? (size_t)(end - data) - 1 : size - 1;
    size_t memory = size - 1 - text;
    struct input input = {data + 1 + text + (memory != 0), memory != 0 ? memory - 1 : 0};
    struct weir_doctor_snapshot snapshot = {.is_go = (data[0] & 1) != 0,
                                            .has_glibc = (data[0] & 2) != 0,
                                            .has_jemalloc = (data[0] & 4) != 0,
                                            .has_v8 = (data[0] & 8) != 0,
                                            .has_python = (data[0] & 32) != 0,
                                            .can_read_memory = input.size != 0,
                                            .can_read_pages = input.size != 0};
    struct weir__patient patient = {.snapshot = &snapshot,
                                    .memory = {&input, read_input, read_pages},
                                    .search_pages = SEARCH_PAGES,
                                    .stack_bytes = (data[0] & 16) != 0 ? 8 << 20 : 0};
    if (read_areas(&patient, (const char *)data + 1, text) == WEIR_OK &&
        weir__objects_find(&patient, NULL) == WEIR_OK) {
        struct weir_doctor_advice advice[WEIR_DOCTOR_ADVICE_MAX];
        weir__classify(&patient);
        weir__malloc_walk(&patient);
        check(&snapshot);
        WEIR_ASSERT(weir_doctor_advise(&snapshot, advice) <= WEIR_DOCTOR_ADVICE_MAX);
    }
    weir__patient_done(&patient);
    return 0;
}
