/* The four figures of every linear memory in the process, without asking the stores that own them:
 * reserved from the registry of mappings, the rest from one pass over smaps. A memory that comes
 * or goes meanwhile may be missing or counted in part. */
#include "observe/memory_json.h"

#include "base/cleanup.h"
#include "base/proc_pagemap.h"
#include "base/proc_smaps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 4096u
#define RANGES_MORE 16u /* made while they are counted */

struct range {
    uint64_t begin, end;
    uint64_t accessible, resident, private_bytes;
    struct weir_memory_sum *sum;            /* goes into */
    char name[WEIR_ACCOUNT_NAME_SIZE + 24]; /* of its account, and where it is */
};

struct ranges {
    struct range *list; /* in address order */
    size_t count, max;
};

/* Under the registry's lock: only copies. A linear memory belongs to a store or instance, whose
 * figures are read without a lock. */
static void take_range(void *context, const struct weir_mapping *mapping)
{
    struct ranges *ranges = context;
    if (mapping->kind != WEIR_KIND_LINEAR_MEMORY || ranges->count == ranges->max)
        return;
    struct range *range = &ranges->list[ranges->count++];
    *range = (struct range){.begin = (uint64_t)(uintptr_t)mapping->base,
                            .end = (uint64_t)(uintptr_t)mapping->base + mapping->size};
    struct weir_account_reading reading;
    weir_account_read(mapping->account, &reading);
    (void)snprintf(range->name, sizeof range->name, "%s at 0x%" PRIx64, reading.name, range->begin);
}

/* --- smaps --------------------------------------------------------------------------------- */

struct reader {
    const struct ranges *ranges;
    struct weir_pagemap pagemap;
    uint64_t previous_end; /* of the areas so far */
};

/* The first one that ends behind `address`. */
static struct range *find_range(const struct ranges *ranges, uint64_t address)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->list[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ranges->count ? &ranges->list[low] : NULL;
}

/* [begin, end) of an area: with its figures where that is all of it, else page by page. The empty
 * space behind memories, which may be joined too, is passed over. */
static void add_part(const struct reader *reader, struct range *range, const struct weir_vma *vma,
                     uint64_t begin, uint64_t end)
{
    struct weir_page_sums pages = {0};
    range->accessible += vma->readable ? end - begin : 0;
    if (begin == vma->start && end == vma->end) {
        range->resident += vma->rss;
        range->private_bytes += vma->private_dirty + vma->swap;
    } else if ((vma->rss != 0 || vma->swap != 0) &&
               weir_pagemap_sum(&reader->pagemap, begin, end, &pages, NULL) == WEIR_OK) {
        range->resident += pages.resident_bytes;
        range->private_bytes += pages.resident_bytes - pages.file_bytes + pages.swapped_bytes;
    }
}

/* The kernel may have joined a memory and what lies beside it to one area; and an area that grew or
 * joined others while smaps was read comes once more (proc_smaps.h): then only what lies behind
 * the ones before is new. */
static bool visit_area(void *context, const struct weir_vma *vma)
{
    struct reader *reader = context;
    uint64_t from = vma->start > reader->previous_end ? vma->start : reader->previous_end;
    for (struct range *range = find_range(reader->ranges, from);
         range != NULL && range->begin < vma->end && from < vma->end;
         range = find_range(reader->ranges, from)) {
        uint64_t begin = range->begin > from ? range->begin : from;
        from = range->end < vma->end ? range->end : vma->end;
        add_part(reader, range, vma, begin, from);
    }
    reader->previous_end = vma->end > reader->previous_end ? vma->end : reader->previous_end;
    return true;
}

/* Without /proc the figures stay zero. */
static void read_smaps(const struct ranges *ranges)
{
    struct reader reader = {.ranges = ranges};
    if (weir_pagemap_open(true, &reader.pagemap, NULL) != WEIR_OK)
        return;
    enum weir_status status = weir_smaps_read("/proc/self/smaps", visit_area, &reader, NULL);
    (void)status;
    weir_pagemap_close(&reader.pagemap);
}

/* --- each ---------------------------------------------------------------------------------- */

json_t *weir_memory_json_memories(size_t max)
{
    json_t *memories = json_array();
    size_t count_max = max < RANGES_MAX ? max : RANGES_MAX;
    AUTO_FREE struct range *list = calloc(count_max > 0 ? count_max : 1, sizeof *list);
    if (list == NULL || memories == NULL)
        return memories;
    struct ranges ranges = {.list = list, .max = count_max};
    weir_mapping_walk(take_range, &ranges);
    if (ranges.count > 0)
        read_smaps(&ranges);
    for (size_t i = 0; i < ranges.count; i++) {
        const struct range *range = &ranges.list[i];
        const struct weir_memory_json_entry entry = {
            .name = range->name,
            .reserved_bytes = range->end - range->begin,
            .accessible_bytes = range->accessible,
            .resident_bytes = range->resident,
            .private_bytes = range->private_bytes,
        };
        (void)json_array_append_new(memories, weir_memory_json_figures(&entry));
    }
    return memories;
}

/* --- sums by account ----------------------------------------------------------------------- */

struct summing {
    struct weir_memory_sum *sums;
    size_t sum_count;
    struct ranges ranges;
};

int weir_memory_sum_order(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t)((const struct weir_memory_sum *)left)->account;
    uintptr_t b = (uintptr_t)((const struct weir_memory_sum *)right)->account;
    return (a > b) - (a < b);
}

/* Counts; once there is a list, copies too. */
static void take_wanted(void *context, const struct weir_mapping *mapping)
{
    struct summing *summing = context;
    struct ranges *ranges = &summing->ranges;
    const struct weir_memory_sum key = {.account = mapping->account};
    if (mapping->kind != WEIR_KIND_LINEAR_MEMORY || ranges->count == ranges->max)
        return;
    struct weir_memory_sum *sum =
        bsearch(&key, summing->sums, summing->sum_count, sizeof key, weir_memory_sum_order);
    if (sum == NULL)
        return;
    if (ranges->list != NULL)
        ranges->list[ranges->count] =
            (struct range){.begin = (uint64_t)(uintptr_t)mapping->base,
                           .end = (uint64_t)(uintptr_t)mapping->base + mapping->size,
                           .sum = sum};
    ranges->count++;
}

enum weir_status weir_memory_sums(struct weir_account *payer, struct weir_memory_sum *sums,
                                  size_t count, struct weir_error *error)
{
    struct summing summing = {.sums = sums, .sum_count = count, .ranges.max = RANGES_MAX};
    struct ranges *ranges = &summing.ranges;
    weir_mapping_walk(take_wanted, &summing);
    ranges->max = ranges->count + RANGES_MORE;
    ranges->count = 0;
    size_t bytes = ranges->max * sizeof *ranges->list;
    ranges->list = weir_account_alloc(payer, WEIR_KIND_SERVER, bytes, error);
    if (ranges->list == NULL)
        return WEIR_LIMIT;
    weir_mapping_walk(take_wanted, &summing);
    if (ranges->count > 0)
        read_smaps(ranges);
    for (size_t i = 0; i < ranges->count; i++) {
        ranges->list[i].sum->resident_bytes += ranges->list[i].resident;
        ranges->list[i].sum->private_bytes += ranges->list[i].private_bytes;
    }
    weir_account_free(payer, WEIR_KIND_SERVER, ranges->list, bytes);
    return WEIR_OK;
}
