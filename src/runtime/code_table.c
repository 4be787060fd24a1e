/* Which addresses are guest code: a radix tree over page numbers, read by the signal handler
 * without a lock, so that loading stays flat however many modules there are.
 *
 * Three levels of 4,096 entries cover 48 bits. Nodes are mapped on demand (their untouched pages
 * cost nothing) and never given back; an empty one serves another stretch of addresses. A reader
 * may hold a node that is being given another stretch: it looks at the stretch after it has read an
 * entry, and an entry of the new stretch is visible only after the new stretch is. So an entry that
 * passes is of the page of the reader's own instruction, whose module cannot go away meanwhile.
 */
#include <pthread.h>

#include "runtime/process_internal.h"

#define LEVEL_BITS 12
#define LEVEL_ENTRIES (1u << LEVEL_BITS)
#define PAGE_BITS 12
#define LEAF_BITS (PAGE_BITS + LEVEL_BITS) /* a leaf's stretch: 16 MiB */
#define MIDDLE_BITS (LEAF_BITS + LEVEL_BITS)
#define NODES_AT_ONCE 8u /* 256 KiB, of which the kernel backs what is used */

struct node {
    _Atomic(const void *) entries[LEVEL_ENTRIES]; /* ranges in leaves, leaves in middles */
    _Atomic uint64_t stretch;                     /* address >> LEAF_BITS or MIDDLE_BITS */
    struct node *next_free;
    uint32_t used; /* entries that are set */
};
static _Atomic(const void *) root[LEVEL_ENTRIES];
static struct node *free_nodes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t index_at(uint64_t pc, unsigned bits)
{
    return pc >> bits & (LEVEL_ENTRIES - 1);
}

/* The entry of `pc` in a node for 2^bits bytes, unless the node serves another stretch by now. */
static const void *read_entry(const struct node *node, uint64_t pc, unsigned bits)
{
    const void *entry =
        atomic_load_explicit(&node->entries[index_at(pc, bits - LEVEL_BITS)], memory_order_acquire);
    uint64_t stretch = atomic_load_explicit(&node->stretch, memory_order_relaxed);
    return stretch == pc >> bits ? entry : NULL;
}

const struct weir__code_range *weir__code_find(uint64_t pc)
{
    if (pc >> 48 != 0)
        return NULL;
    const struct node *middle =
        atomic_load_explicit(&root[index_at(pc, MIDDLE_BITS)], memory_order_acquire);
    if (middle == NULL)
        return NULL;
    const struct node *leaf = read_entry(middle, pc, MIDDLE_BITS);
    if (leaf == NULL)
        return NULL;
    const struct weir__code_range *range = read_entry(leaf, pc, LEAF_BITS);
    if (range == NULL || pc < range->begin || pc >= range->end)
        return NULL;
    return range;
}

/* From here on under the lock. */
static void give_node(struct node *node)
{
    WEIR_ASSERT(node->used == 0);
    node->next_free = free_nodes;
    free_nodes = node;
}

/* Several in one mapping: how many stretches hold code at once goes up and down with where the
 * kernel puts modules, and the count of mappings must not. */
static bool make_nodes(struct weir_error *error)
{
    struct weir_mapping mapping;
    if (weir_mapping_new_charged(weir_account_host(), WEIR_KIND_METADATA,
                                 NODES_AT_ONCE * sizeof(struct node), &mapping, error) != WEIR_OK)
        return false;
    struct node *nodes = (struct node *)(void *)mapping.base;
    for (unsigned i = 0; i < NODES_AT_ONCE; i++)
        give_node(&nodes[NODES_AT_ONCE - 1 - i]);
    return true;
}

static struct node *take_node(uint64_t stretch, struct weir_error *error)
{
    if (free_nodes == NULL && !make_nodes(error))
        return NULL;
    struct node *node = free_nodes;
    free_nodes = node->next_free;
    atomic_store_explicit(&node->stretch, stretch, memory_order_relaxed);
    return node;
}

static void set_entry(struct node *node, size_t index, const void *value)
{
    bool was_set = atomic_load_explicit(&node->entries[index], memory_order_relaxed) != NULL;
    atomic_store_explicit(&node->entries[index], value, memory_order_release);
    node->used += (uint32_t)(value != NULL) - (uint32_t)was_set;
}

static struct node *middle_at(uint64_t pc)
{
    return (struct node *)(uintptr_t)atomic_load_explicit(&root[index_at(pc, MIDDLE_BITS)],
                                                          memory_order_relaxed);
}

static struct node *leaf_at(struct node *middle, uint64_t pc)
{
    return (struct node *)(uintptr_t)atomic_load_explicit(&middle->entries[index_at(pc, LEAF_BITS)],
                                                          memory_order_relaxed);
}

/* Gives back what holds nothing any more on the way to `pc`. */
static void trim(uint64_t pc)
{
    struct node *middle = middle_at(pc);
    if (middle == NULL)
        return;
    struct node *leaf = leaf_at(middle, pc);
    if (leaf != NULL && leaf->used == 0) {
        set_entry(middle, index_at(pc, LEAF_BITS), NULL);
        give_node(leaf);
    }
    if (middle->used == 0) {
        atomic_store_explicit(&root[index_at(pc, MIDDLE_BITS)], NULL, memory_order_release);
        give_node(middle);
    }
}

static struct node *make_leaf(uint64_t pc, struct weir_error *error)
{
    struct node *middle = middle_at(pc);
    if (middle == NULL) {
        middle = take_node(pc >> MIDDLE_BITS, error);
        if (middle == NULL)
            return NULL;
        atomic_store_explicit(&root[index_at(pc, MIDDLE_BITS)], middle, memory_order_release);
    }
    struct node *leaf = leaf_at(middle, pc);
    if (leaf == NULL) {
        leaf = take_node(pc >> LEAF_BITS, error);
        if (leaf != NULL)
            set_entry(middle, index_at(pc, LEAF_BITS), leaf);
        else
            trim(pc);
    }
    return leaf;
}

/* Sets the pages of the range, leaf by leaf; answers the first address that was not reached because
 * a node was refused. */
static uint64_t set_pages(const struct weir__code_range *range,
                          const struct weir__code_range *value, struct weir_error *error)
{
    uint64_t end = range->end;
    for (uint64_t pc = range->begin; pc < end;) {
        uint64_t first = pc;
        struct node *leaf = make_leaf(pc, error);
        if (leaf == NULL)
            return pc;
        for (size_t i = index_at(pc, PAGE_BITS); i < LEVEL_ENTRIES && pc < end; i++) {
            set_entry(leaf, i, value);
            pc += UINT64_C(1) << PAGE_BITS;
        }
        trim(first);
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
    return reached == range->end ? WEIR_OK : weir_error_refused(error);
}

void weir__code_remove(struct weir__code_range *range)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t reached = set_pages(range, NULL, NULL);
    WEIR_ASSERT(reached == range->end); /* every node was made when it was added */
    (void)pthread_mutex_unlock(&lock);
}
