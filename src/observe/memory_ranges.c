/* The four figures of every linear memory in the process, without asking the stores that own them:
 * reserved from the registry of mappings, the rest from one pass over smaps. A memory that comes
 * or goes meanwhile may be missing or counted in part. */
#include "observe/memory_json.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 4096u
#define RANGES_MORE 16u /* made while they are counted */

struct range {
    uint64_t begin, end;
    uint64_t accessible, resident, private_bytes;
    struct weir_memory_sum *sum;               /* goes into */
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
    if (low == ranges->count || ranges->list[low].begin > address)
        return NULL;
    return &ranges->list[low];
}

static void add_figure(struct range *range, const char *line)
{
    unsigned long long kib;
    if (sscanf(line, "Rss: %llu", &kib) == 1)
        range->resident += kib * 1024;
    else if (sscanf(line, "Private_Dirty: %llu", &kib) == 1 ||
             sscanf(line, "Swap: %llu", &kib) == 1)
        range->private_bytes += kib * 1024;
}

static void read_smaps(const struct ranges *ranges)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    if (file == NULL)
        return;
    char line[512];
    struct range *range = NULL;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long begin, end;
        char rights[5];
        if (sscanf(line, "%llx-%llx %4s", &begin, &end, rights) == 3) {
            range = find_range(ranges, begin);
            if (range != NULL && rights[0] == 'r')
                range->accessible += end - begin;
        } else if (range != NULL) {
            add_figure(range, line);
        }
    }
    (void)fclose(file);
}

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

static int by_account(const void *left, const void *right)
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
        bsearch(&key, summing->sums, summing->sum_count, sizeof key, by_account);
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
