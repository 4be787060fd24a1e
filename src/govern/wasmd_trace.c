/* Traces of module use: reading them, the reuse distances in bytes, and a replay against the LRU.
 *
 * The distance of a repeated use is the weight of everything used since, itself included. An LRU
 * that evicts from the tail until a new entry fits keeps an entry exactly as long as that weight
 * fits, so the greatest distance is the least cache without reloads.
 */
#include "govern/wasmd_plan.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/use_trace.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

static enum weir_status no_memory(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the trace");
}

/* --- reading ------------------------------------------------------------------------------- */

static enum weir_status add_use(struct weir_wasmd_trace *trace, size_t *capacity, size_t module,
                                struct weir_error *error)
{
    if (module == SIZE_MAX) {
        trace->unknown_count++;
        return WEIR_OK;
    }
    if (trace->use_count == WEIR_WASMD_ACCESSES_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "the trace has more than %u uses; give a part of it",
                              WEIR_WASMD_ACCESSES_MAX);
    if (trace->use_count == *capacity) {
        size_t larger = *capacity * 2 + 1024;
        uint32_t *uses = reallocarray(trace->uses, larger, sizeof *uses);
        if (uses == NULL)
            return no_memory(error);
        trace->uses = uses;
        *capacity = larger;
    }
    trace->uses[trace->use_count++] = (uint32_t)module;
    return WEIR_OK;
}

static enum weir_status read_lines(const char *name, const char *bytes, size_t size,
                                   const struct weir_wasmd_modules *modules,
                                   struct weir_wasmd_trace *trace, struct weir_error *error)
{
    struct weir_use_trace lines;
    struct weir_use use;
    size_t capacity = 0;
    enum weir_status status;
    weir_use_trace_open(name, bytes, size, &lines);
    while ((status = weir_use_trace_next(&lines, &use, error)) == WEIR_OK)
        if ((status = add_use(trace, &capacity, weir_wasmd_module_find(modules, use.module),
                              error)) != WEIR_OK)
            return status;
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

/* --- distances ----------------------------------------------------------------------------- */

/* A Fenwick tree over the places of the trace: weights stand at the last use of each module. */
static void tree_add(uint64_t *tree, size_t count, size_t place, uint64_t delta)
{
    for (size_t i = place + 1; i <= count; i += i & (~i + 1))
        tree[i] += delta;
}

/* Sum of the places before `place`. */
static uint64_t tree_sum(const uint64_t *tree, size_t place)
{
    uint64_t sum = 0;
    for (size_t i = place; i > 0; i &= i - 1)
        sum += tree[i];
    return sum;
}

static int compare_distances(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static enum weir_status measure(struct weir_wasmd_trace *trace,
                                const struct weir_wasmd_modules *modules, struct weir_error *error)
{
    size_t count = trace->use_count;
    AUTO_FREE uint64_t *tree = calloc(count + 1, sizeof *tree);
    AUTO_FREE uint64_t *distances = calloc(count + 1, sizeof *distances);
    AUTO_FREE uint32_t *last = malloc((modules->module_count + 1) * sizeof *last);
    if (tree == NULL || distances == NULL || last == NULL)
        return no_memory(error);
    memset(last, 0xff, (modules->module_count + 1) * sizeof *last);
    size_t repeated = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t module = trace->uses[i];
        uint64_t weight = modules->modules[module].weight;
        if (last[module] == NONE) {
            trace->module_count++;
            trace->weight += weight;
        } else {
            distances[repeated++] = tree_sum(tree, i) - tree_sum(tree, last[module]);
            tree_add(tree, count, last[module], 0 - weight);
        }
        tree_add(tree, count, i, weight);
        last[module] = (uint32_t)i;
    }
    if (repeated == 0)
        return WEIR_OK;
    qsort(distances, repeated, sizeof *distances, compare_distances);
    trace->hot_weight = distances[(repeated * 99 + 99) / 100 - 1];
    trace->full_weight = distances[repeated - 1];
    return WEIR_OK;
}

enum weir_status weir_wasmd_trace_parse(const char *name, const char *bytes, size_t size,
                                        const struct weir_wasmd_modules *modules,
                                        struct weir_wasmd_trace *ret_trace,
                                        struct weir_error *error)
{
    struct weir_wasmd_trace trace = {0};
    enum weir_status status = read_lines(name, bytes, size, modules, &trace, error);
    if (status == WEIR_OK && trace.use_count == 0)
        status = weir_error_set(error, WEIR_INVALID, WEIR_NO_OFFSET,
                                "%.120s names no module of the folder in use (%llu unknown)", name,
                                (unsigned long long)trace.unknown_count);
    if (status == WEIR_OK)
        status = measure(&trace, modules, error);
    if (status != WEIR_OK) {
        weir_wasmd_trace_done(&trace);
        return status;
    }
    *ret_trace = trace;
    return WEIR_OK;
}

void weir_wasmd_trace_done(struct weir_wasmd_trace *trace)
{
    free(trace->uses);
    *trace = (struct weir_wasmd_trace){0};
}

/* --- replay -------------------------------------------------------------------------------- */

/* The LRU as a list through the modules; `head` was used last. */
struct slot {
    uint32_t newer, older;
    bool is_in;
    bool was_in;
};
struct lru {
    struct slot *slots;
    uint32_t head, tail;
    uint64_t weight;
};

static void unlink_slot(struct lru *lru, uint32_t module)
{
    struct slot *slot = &lru->slots[module];
    if (slot->newer != NONE)
        lru->slots[slot->newer].older = slot->older;
    else
        lru->head = slot->older;
    if (slot->older != NONE)
        lru->slots[slot->older].newer = slot->newer;
    else
        lru->tail = slot->newer;
}

static void link_head(struct lru *lru, uint32_t module)
{
    struct slot *slot = &lru->slots[module];
    slot->newer = NONE;
    slot->older = lru->head;
    if (lru->head != NONE)
        lru->slots[lru->head].newer = module;
    else
        lru->tail = module;
    lru->head = module;
}

static void load(struct lru *lru, const struct weir_wasmd_modules *modules, uint32_t module,
                 uint64_t capacity)
{
    uint64_t weight = modules->modules[module].weight;
    while (lru->weight + weight > capacity) {
        uint32_t victim = lru->tail;
        WEIR_DASSERT(victim != NONE);
        unlink_slot(lru, victim);
        lru->slots[victim].is_in = false;
        lru->weight -= modules->modules[victim].weight;
    }
    link_head(lru, module);
    lru->slots[module].is_in = true;
    lru->weight += weight;
}

enum weir_status weir_wasmd_replay(const struct weir_wasmd_trace *trace,
                                   const struct weir_wasmd_modules *modules, uint64_t capacity,
                                   struct weir_wasmd_replay *ret_replay, struct weir_error *error)
{
    AUTO_FREE struct slot *slots = calloc(modules->module_count + 1, sizeof *slots);
    if (slots == NULL)
        return no_memory(error);
    struct lru lru = {.slots = slots, .head = NONE, .tail = NONE};
    struct weir_wasmd_replay replay = {0};
    for (size_t i = 0; i < trace->use_count; i++) {
        uint32_t module = trace->uses[i];
        struct slot *slot = &slots[module];
        if (slot->is_in) {
            replay.hits++;
            unlink_slot(&lru, module);
            link_head(&lru, module);
            continue;
        }
        replay.loads++;
        if (slot->was_in) {
            replay.reloads++;
            replay.reloaded_bytes += modules->modules[module].bytes;
        }
        slot->was_in = true;
        if (modules->modules[module].weight <= capacity)
            load(&lru, modules, module, capacity);
        else if (capacity > 0)
            replay.failures++;
    }
    *ret_replay = replay;
    return WEIR_OK;
}
