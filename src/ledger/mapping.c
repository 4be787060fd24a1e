/* Mappings: taken from the kernel, charged, and kept in a treap by address.
 *
 * The treap is ordered by base and heap-ordered by a pseudo-random priority, so that 100,000
 * mappings are found in about 40 steps whatever the order they came in. Ranges never overlap. The
 * registry's lock is a leaf: nothing is charged, mapped or freed under it.
 */
#include "ledger/mapping.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "ledger/ledger_internal.h"

#define PAGE 4096u

struct node {
    struct node *left;
    struct node *right;
    uint64_t priority;
    struct weir_mapping mapping;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *root;
static size_t node_count;
static uint64_t priority_seed = 0x9e3779b97f4a7c15u;

static void registry_acquire(void)
{
    int failed = pthread_mutex_lock(&registry_lock);
    WEIR_ASSERT(failed == 0);
}

static void registry_release(void)
{
    int failed = pthread_mutex_unlock(&registry_lock);
    WEIR_ASSERT(failed == 0);
}

/* --- the treap ----------------------------------------------------------------------------- */

static uint64_t next_priority(void)
{
    priority_seed ^= priority_seed << 13;
    priority_seed ^= priority_seed >> 7;
    priority_seed ^= priority_seed << 17;
    return priority_seed;
}

/* Cuts `tree` into what lies below `base` and the rest. */
static void split(struct node *tree, const uint8_t *base, struct node **ret_below,
                  struct node **ret_above)
{
    while (tree != NULL) {
        if (tree->mapping.base < base) {
            *ret_below = tree;
            ret_below = &tree->right;
            tree = tree->right;
        } else {
            *ret_above = tree;
            ret_above = &tree->left;
            tree = tree->left;
        }
    }
    *ret_below = NULL;
    *ret_above = NULL;
}

static void insert(struct node *node)
{
    node->priority = next_priority();
    struct node **at = &root;
    while (*at != NULL && (*at)->priority >= node->priority)
        at = node->mapping.base < (*at)->mapping.base ? &(*at)->left : &(*at)->right;
    split(*at, node->mapping.base, &node->left, &node->right);
    *at = node;
    node_count++;
}

/* Joins two trees of which the first lies below the second. */
static struct node *join(struct node *below, struct node *above)
{
    struct node *joined = NULL;
    struct node **at = &joined;
    while (below != NULL && above != NULL) {
        if (below->priority >= above->priority) {
            *at = below;
            at = &below->right;
            below = below->right;
        } else {
            *at = above;
            at = &above->left;
            above = above->left;
        }
    }
    *at = below != NULL ? below : above;
    return joined;
}

static struct node *take_out(const uint8_t *base)
{
    struct node **at = &root;
    while (*at != NULL && (*at)->mapping.base != base)
        at = base < (*at)->mapping.base ? &(*at)->left : &(*at)->right;
    struct node *node = *at;
    if (node != NULL) {
        *at = join(node->left, node->right);
        node_count--;
    }
    return node;
}

bool weir__mapping_next(uint64_t address, struct weir_mapping *ret_mapping)
{
    const struct node *best = NULL;
    registry_acquire();
    for (const struct node *at = root; at != NULL;) {
        uint64_t end = (uint64_t)(uintptr_t)at->mapping.base + at->mapping.size;
        if (end > address) {
            best = at;
            at = at->left;
        } else {
            at = at->right;
        }
    }
    if (best != NULL)
        *ret_mapping = best->mapping;
    registry_release();
    return best != NULL;
}

size_t weir_mapping_count(void)
{
    registry_acquire();
    size_t count = node_count;
    registry_release();
    return count;
}

/* Depth is about 3 log2 of the count; the recursion is no deeper. */
static void walk(const struct node *node,
                 void (*visit)(void *context, const struct weir_mapping *mapping), void *context)
{
    while (node != NULL) {
        walk(node->left, visit, context);
        visit(context, &node->mapping);
        node = node->right;
    }
}

void weir_mapping_walk(void (*visit)(void *context, const struct weir_mapping *mapping),
                       void *context)
{
    registry_acquire();
    walk(root, visit, context);
    registry_release();
}

/* --- taking and giving --------------------------------------------------------------------- */

static void *map_pages(size_t size, int protection, int flags, struct weir_error *error)
{
    if (atomic_load_explicit(&weir__ledger.failing, memory_order_relaxed) != 0 &&
        weir__fail_now()) {
        (void)weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                             "this mapping was made to fail");
        return NULL;
    }
    void *base = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (base == MAP_FAILED) {
        (void)weir_error_set_errno(error, WEIR_NO_MEMORY, errno,
                                   "the system refused to map %zu bytes", size);
        return NULL;
    }
    /* Else residency lies by up to 2 MiB per touched page. Kernels without huge pages refuse. */
    (void)madvise(base, size, MADV_NOHUGEPAGE);
    return base;
}

static enum weir_status round_size(size_t size, size_t *ret_rounded, struct weir_error *error)
{
    uint64_t rounded;
    if (size == 0 || !weir_align_up_checked(size, PAGE, &rounded) || rounded > WEIR__BYTES_MAX)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a mapping of %zu bytes cannot be made", size);
    *ret_rounded = (size_t)rounded;
    return WEIR_OK;
}

/* Charges the mapping units and takes the registry's node. */
static enum weir_status prepare(struct weir_account *account, uint32_t map_count,
                                struct node **ret_node, struct weir_error *error)
{
    enum weir_status status = weir_account_charge(account, WEIR_KIND_MAPPING, map_count, error);
    if (status != WEIR_OK)
        return status;
    void *node = NULL;
    status = weir__alloc(weir_account_host(), WEIR_KIND_METADATA, sizeof **ret_node, &node, error);
    if (status != WEIR_OK)
        weir_account_discharge(account, WEIR_KIND_MAPPING, map_count);
    else
        *ret_node = node;
    return status;
}

static void give_node(struct node *node)
{
    weir_account_free(weir_account_host(), WEIR_KIND_METADATA, node, sizeof *node);
}

static void enter_registry(struct node *node, const struct weir_mapping *mapping)
{
    node->mapping = *mapping;
    registry_acquire();
    insert(node);
    registry_release();
}

enum weir_status weir_mapping_adopt(struct weir_mapping *mapping, struct weir_error *error)
{
    struct node *node;
    enum weir_status status = round_size(mapping->size, &mapping->size, error);
    if (status == WEIR_OK)
        status = prepare(mapping->account, mapping->charged_mappings, &node, error);
    if (status != WEIR_OK)
        return status;
    mapping->charged_bytes = 0;
    enter_registry(node, mapping);
    return WEIR_OK;
}

enum weir_status weir_mapping_reserve(struct weir_account *account, enum weir_kind kind,
                                      size_t size, uint32_t map_count,
                                      struct weir_mapping *ret_mapping, struct weir_error *error)
{
    struct node *node;
    enum weir_status status = round_size(size, &size, error);
    if (status == WEIR_OK)
        status = prepare(account, map_count, &node, error);
    if (status != WEIR_OK)
        return status;
    void *base = map_pages(size, PROT_NONE, MAP_NORESERVE, error);
    if (base == NULL) {
        give_node(node);
        weir_account_discharge(account, WEIR_KIND_MAPPING, map_count);
        return WEIR_NO_MEMORY;
    }
    struct weir_mapping mapping = {base, size, account, kind, 0, map_count};
    enter_registry(node, &mapping);
    *ret_mapping = mapping;
    return WEIR_OK;
}

enum weir_status weir_mapping_new_charged(struct weir_account *account, enum weir_kind kind,
                                          size_t size, struct weir_mapping *ret_mapping,
                                          struct weir_error *error)
{
    struct node *node;
    enum weir_status status = round_size(size, &size, error);
    if (status == WEIR_OK)
        status = weir_account_charge(account, kind, size, error);
    if (status != WEIR_OK)
        return status;
    status = prepare(account, 1, &node, error);
    if (status == WEIR_OK) {
        void *base = map_pages(size, PROT_READ | PROT_WRITE, 0, error);
        if (base != NULL) {
            struct weir_mapping mapping = {base, size, account, kind, size, 1};
            enter_registry(node, &mapping);
            *ret_mapping = mapping;
            return WEIR_OK;
        }
        status = WEIR_NO_MEMORY;
        give_node(node);
        weir_account_discharge(account, WEIR_KIND_MAPPING, 1);
    }
    weir_account_discharge(account, kind, size);
    return status;
}

void weir_mapping_free(struct weir_mapping *mapping)
{
    if (mapping->base == NULL)
        return;
    registry_acquire();
    struct node *node = take_out(mapping->base);
    registry_release();
    WEIR_ASSERT(node != NULL && node->mapping.size == mapping->size);
    struct weir_account *account = mapping->account;
    bool unmapped = munmap(mapping->base, mapping->size) == 0;
    /* Cutting a merged area in two can be refused at the limit of areas. The pages go back then,
     * and the range stays registered and counted: it is still mapped. */
    if (!unmapped) {
        (void)madvise(mapping->base, mapping->size, MADV_DONTNEED);
        enter_registry(node, &node->mapping);
    }
    if (mapping->charged_bytes != 0)
        weir_account_discharge(account, mapping->kind, mapping->charged_bytes);
    if (unmapped) {
        give_node(node);
        weir_account_discharge(account, WEIR_KIND_MAPPING, mapping->charged_mappings);
    }
    *mapping = (struct weir_mapping){0};
}
