/* Which addresses are guest code: a radix tree over page numbers, read by the signal handler
 * without a lock, so that loading stays flat however many modules there are.
 *
 * Three levels of 4,096 entries cover 48 bits. Nodes are mapped on demand (their untouched pages
 * cost nothing) and never given back: the kernel reuses addresses, so their number is that of the
 * 16 MiB stretches that ever held code. A reader that finds a range finds it because its own
 * instruction lies inside, so that range's module cannot go away meanwhile.
 */
#include <pthread.h>

#include "runtime/process_internal.h"

#define LEVEL_BITS 12
#define LEVEL_ENTRIES (1u << LEVEL_BITS)
#define PAGE_BITS 12

struct leaf {
    _Atomic(const struct weir__code_range *) pages[LEVEL_ENTRIES];
};
struct middle {
    _Atomic(struct leaf *) leaves[LEVEL_ENTRIES];
};
static _Atomic(struct middle *) root[LEVEL_ENTRIES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t root_index(uint64_t pc)
{
    return pc >> (PAGE_BITS + 2 * LEVEL_BITS) & (LEVEL_ENTRIES - 1);
}

static size_t middle_index(uint64_t pc)
{
    return pc >> (PAGE_BITS + LEVEL_BITS) & (LEVEL_ENTRIES - 1);
}

static size_t leaf_index(uint64_t pc)
{
    return pc >> PAGE_BITS & (LEVEL_ENTRIES - 1);
}

const struct weir__code_range *weir__code_find(uint64_t pc)
{
    if (pc >> 48 != 0)
        return NULL;
    struct middle *middle = atomic_load_explicit(&root[root_index(pc)], memory_order_acquire);
    if (middle == NULL)
        return NULL;
    struct leaf *leaf =
        atomic_load_explicit(&middle->leaves[middle_index(pc)], memory_order_acquire);
    if (leaf == NULL)
        return NULL;
    const struct weir__code_range *range =
        atomic_load_explicit(&leaf->pages[leaf_index(pc)], memory_order_acquire);
    if (range == NULL || pc < range->begin || pc >= range->end)
        return NULL;
    return range;
}

static void *new_node(size_t bytes, struct weir_error *error)
{
    struct weir_mapping mapping;
    if (weir_mapping_new_charged(weir_account_host(), WEIR_KIND_METADATA, bytes, &mapping, error) !=
        WEIR_OK)
        return NULL;
    return mapping.base;
}

/* Under the lock. */
static struct leaf *leaf_at(uint64_t pc, struct weir_error *error)
{
    struct middle *middle = atomic_load_explicit(&root[root_index(pc)], memory_order_relaxed);
    if (middle == NULL) {
        middle = new_node(sizeof *middle, error);
        if (middle == NULL)
            return NULL;
        atomic_store_explicit(&root[root_index(pc)], middle, memory_order_release);
    }
    struct leaf *leaf =
        atomic_load_explicit(&middle->leaves[middle_index(pc)], memory_order_relaxed);
    if (leaf == NULL) {
        leaf = new_node(sizeof *leaf, error);
        if (leaf == NULL)
            return NULL;
        atomic_store_explicit(&middle->leaves[middle_index(pc)], leaf, memory_order_release);
    }
    return leaf;
}

/* Under the lock: sets the pages of the range, leaf by leaf; answers
 * the first address that was not reached because a node was refused. */
static uint64_t set_pages(const struct weir__code_range *range,
                          const struct weir__code_range *value, struct weir_error *error)
{
    uint64_t end = range->end;
    for (uint64_t pc = range->begin; pc < end;) {
        struct leaf *leaf = leaf_at(pc, error);
        if (leaf == NULL)
            return pc;
        for (size_t i = leaf_index(pc); i < LEVEL_ENTRIES && pc < end; i++) {
            atomic_store_explicit(&leaf->pages[i], value, memory_order_release);
            pc += UINT64_C(1) << PAGE_BITS;
        }
    }
    return end;
}

enum weir_status weir__code_add(struct weir__code_range *range, struct weir_error *error)
{
    WEIR_ASSERT((range->begin & ((UINT64_C(1) << PAGE_BITS) - 1)) == 0);
    WEIR_ASSERT(range->begin <= range->end && range->end >> 48 == 0);
    (void)pthread_mutex_lock(&lock);
    uint64_t reached = set_pages(range, range, error);
    if (reached != range->end) {
        struct weir__code_range done = {.begin = range->begin, .end = reached};
        (void)set_pages(&done, NULL, NULL); /* its nodes are there */
    }
    (void)pthread_mutex_unlock(&lock);
    return reached == range->end ? WEIR_OK : weir__refused(error);
}

void weir__code_remove(struct weir__code_range *range)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t reached = set_pages(range, NULL, NULL);
    WEIR_ASSERT(reached == range->end); /* every node was made when it was added */
    (void)pthread_mutex_unlock(&lock);
}
