/* Mappings: taken from the kernel, charged, and kept in a treap by address.
 *
 * The treap is ordered by base and heap-ordered by a pseudo-random priority, so that 100,000
 * mappings are found in about 40 steps whatever the order they came in. Ranges never overlap. The
 * registry's lock is a leaf: nothing is charged, mapped or freed under it.
 *
 * A range leaves the treap before it is unmapped, because the next one mapped may be where it was;
 * until it is unmapped its pages are still counted by the kernel, and it is among `leaving`.
 */
#include "ledger/mapping.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "ledger/ledger_internal.h"

#define PAGE 4096u

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_mapping_entry *root;
static size_t node_count;
static struct leaving {
    struct leaving *next;
    struct weir_mapping mapping;
} *leaving; /* on the stacks of those who unmap */
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
static void split(struct weir_mapping_entry *tree, const uint8_t *base,
                  struct weir_mapping_entry **ret_below, struct weir_mapping_entry **ret_above)
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

static void insert(struct weir_mapping_entry *node)
{
    node->priority = next_priority();
    struct weir_mapping_entry **at = &root;
    while (*at != NULL && (*at)->priority >= node->priority)
        at = node->mapping.base < (*at)->mapping.base ? &(*at)->left : &(*at)->right;
    split(*at, node->mapping.base, &node->left, &node->right);
    *at = node;
    node_count++;
}

/* Joins two trees of which the first lies below the second. */
static struct weir_mapping_entry *join(struct weir_mapping_entry *below,
                                       struct weir_mapping_entry *above)
{
    struct weir_mapping_entry *joined = NULL;
    struct weir_mapping_entry **at = &joined;
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

static struct weir_mapping_entry **link_to(const uint8_t *base)
{
    struct weir_mapping_entry **at = &root;
    while (*at != NULL && (*at)->mapping.base != base)
        at = base < (*at)->mapping.base ? &(*at)->left : &(*at)->right;
    return at;
}

static struct weir_mapping_entry *take_out(const uint8_t *base)
{
    struct weir_mapping_entry **at = link_to(base);
    struct weir_mapping_entry *node = *at;
    if (node != NULL) {
        *at = join(node->left, node->right);
        node_count--;
    }
    return node;
}

static uint64_t start_of(const struct weir_mapping *mapping)
{
    return (uint64_t)(uintptr_t)mapping->base;
}

static uint64_t end_of(const struct weir_mapping *mapping)
{
    return start_of(mapping) + mapping->size;
}

static const struct weir_mapping *next_in_tree(uint64_t address)
{
    const struct weir_mapping *best = NULL;
    for (const struct weir_mapping_entry *at = root; at != NULL;) {
        if (end_of(&at->mapping) > address) {
            best = &at->mapping;
            at = at->left;
        } else {
            at = at->right;
        }
    }
    return best;
}

/* Where one that leaves and a newer one overlap, the newer one counts. */
bool weir__mapping_next(uint64_t address, struct weir_mapping *ret_mapping)
{
    registry_acquire();
    const struct weir_mapping *best = next_in_tree(address);
    uint64_t newer = best != NULL ? start_of(best) : UINT64_MAX;
    for (const struct leaving *at = leaving; at != NULL && newer > address; at = at->next)
        if (end_of(&at->mapping) > address && (best == NULL || at->mapping.base < best->base))
            best = &at->mapping;
    if (best != NULL) {
        *ret_mapping = *best;
        if (start_of(best) < newer && end_of(best) > newer)
            ret_mapping->size = newer - start_of(best);
    }
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
static void walk(const struct weir_mapping_entry *node,
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

void *weir__map_pages(size_t size, int protection, int flags, struct weir_error *error)
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

/* Charges the mapping units and takes an entry of the registry, unless there is one. */
static enum weir_status prepare(struct weir_account *account, uint32_t map_count,
                                struct weir_mapping_entry **entry, struct weir_error *error)
{
    enum weir_status status = weir_account_charge(account, WEIR_KIND_MAPPING, map_count, error);
    if (status != WEIR_OK || *entry != NULL)
        return status;
    void *memory = NULL;
    status = weir__alloc(weir_account_host(), WEIR_KIND_METADATA, sizeof **entry, &memory, error);
    if (status != WEIR_OK)
        weir_account_discharge(account, WEIR_KIND_MAPPING, map_count);
    else
        *entry = memory;
    return status;
}

static void give_entry(struct weir_mapping_entry *entry, bool is_lent)
{
    if (!is_lent)
        weir_account_free(weir_account_host(), WEIR_KIND_METADATA, entry, sizeof *entry);
}

/* Leak checkers look for pointers in the heap, not in mapped pages, where records lie, too. NULL
 * in a process without such a checker. */
extern void __lsan_register_root_region(const void *memory, size_t size) __attribute__((weak));
extern void __lsan_unregister_root_region(const void *memory, size_t size) __attribute__((weak));

void weir__mapping_enter(struct weir_mapping_entry *entry, const struct weir_mapping *mapping)
{
    if (__lsan_register_root_region != NULL && mapping->charged_bytes != 0)
        __lsan_register_root_region(mapping->base, mapping->size);
    entry->mapping = *mapping;
    registry_acquire();
    insert(entry);
    registry_release();
}

enum weir_status weir_mapping_adopt(struct weir_mapping *mapping, struct weir_error *error)
{
    struct weir_mapping_entry *entry = NULL;
    enum weir_status status = round_size(mapping->size, &mapping->size, error);
    if (status == WEIR_OK)
        status = prepare(mapping->account, mapping->charged_mappings, &entry, error);
    if (status != WEIR_OK)
        return status;
    mapping->charged_bytes = 0;
    mapping->is_entry_lent = false;
    weir__mapping_enter(entry, mapping);
    return WEIR_OK;
}

/* As `wanted` describes it; on success it is in *ret_mapping and in the registry. */
static enum weir_status map_prepared(struct weir_mapping wanted, int protection, int flags,
                                     struct weir_mapping_entry *entry,
                                     struct weir_mapping *ret_mapping, struct weir_error *error)
{
    wanted.is_entry_lent = entry != NULL;
    enum weir_status status = prepare(wanted.account, wanted.charged_mappings, &entry, error);
    if (status != WEIR_OK)
        return status;
    wanted.base = weir__map_pages(wanted.size, protection, flags, error);
    if (wanted.base == NULL) {
        give_entry(entry, wanted.is_entry_lent);
        weir_account_discharge(wanted.account, WEIR_KIND_MAPPING, wanted.charged_mappings);
        return WEIR_NO_MEMORY;
    }
    weir__mapping_enter(entry, &wanted);
    *ret_mapping = wanted;
    return WEIR_OK;
}

enum weir_status weir_mapping_reserve_at(struct weir_mapping *mapping,
                                         struct weir_mapping_entry *entry, struct weir_error *error)
{
    struct weir_mapping wanted = *mapping;
    enum weir_status status = round_size(wanted.size, &wanted.size, error);
    if (status == WEIR_OK)
        status = map_prepared(wanted, PROT_NONE, MAP_NORESERVE, entry, &wanted, error);
    *mapping = status == WEIR_OK ? wanted : (struct weir_mapping){0};
    return status;
}

enum weir_status weir_mapping_reserve(struct weir_account *account, enum weir_kind kind,
                                      size_t size, uint32_t map_count,
                                      struct weir_mapping *ret_mapping, struct weir_error *error)
{
    struct weir_mapping mapping = {
        .size = size, .account = account, .kind = kind, .charged_mappings = map_count};
    enum weir_status status = weir_mapping_reserve_at(&mapping, NULL, error);
    if (status == WEIR_OK)
        *ret_mapping = mapping;
    return status;
}

enum weir_status weir_mapping_new_charged(struct weir_account *account, enum weir_kind kind,
                                          size_t size, struct weir_mapping *ret_mapping,
                                          struct weir_error *error)
{
    enum weir_status status = round_size(size, &size, error);
    if (status == WEIR_OK)
        status = weir_account_charge(account, kind, size, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_mapping wanted = {.size = size,
                                        .account = account,
                                        .kind = kind,
                                        .charged_bytes = size,
                                        .charged_mappings = 1};
    status = map_prepared(wanted, PROT_READ | PROT_WRITE, 0, NULL, ret_mapping, error);
    if (status != WEIR_OK)
        weir_account_discharge(account, kind, size);
    return status;
}

void weir_mapping_move_entry(const struct weir_mapping *mapping, struct weir_mapping_entry *to)
{
    WEIR_ASSERT(mapping->is_entry_lent);
    registry_acquire();
    struct weir_mapping_entry **at = link_to(mapping->base);
    WEIR_ASSERT(*at != NULL);
    *to = **at;
    *at = to;
    registry_release();
}

struct weir_mapping weir__mapping_give_to_host(struct weir_mapping_entry *entry)
{
    registry_acquire();
    struct weir_mapping was = entry->mapping;
    entry->mapping.account = weir_account_host();
    entry->mapping.kind = WEIR_KIND_METADATA;
    registry_release();
    return was;
}

/* Cutting a merged area in two can be refused at the limit of areas. The pages go back then, and
 * the range stays registered and counted: it is still mapped. A lent entry goes with its lender;
 * without memory for another one the range is unclassified. */
static void keep_empty(struct weir_mapping_entry *entry, struct weir_mapping mapping)
{
    (void)madvise(mapping.base, mapping.size, MADV_DONTNEED);
    if (mapping.is_entry_lent)
        entry = weir_account_alloc(weir_account_host(), WEIR_KIND_METADATA, sizeof *entry, NULL);
    mapping.is_entry_lent = false;
    if (entry != NULL)
        weir__mapping_enter(entry, &mapping);
}

static struct weir_mapping_entry *begin_leaving(const uint8_t *base, struct leaving *ret_range)
{
    registry_acquire();
    struct weir_mapping_entry *entry = take_out(base);
    WEIR_ASSERT(entry != NULL);
    *ret_range = (struct leaving){leaving, entry->mapping};
    leaving = ret_range;
    registry_release();
    return entry;
}

static void end_leaving(const struct leaving *range)
{
    registry_acquire();
    struct leaving **at = &leaving;
    while (*at != range)
        at = &(*at)->next;
    *at = range->next;
    registry_release();
}

void weir_mapping_free(struct weir_mapping *mapping)
{
    if (mapping->base == NULL)
        return;
    struct leaving range;
    struct weir_mapping_entry *entry = begin_leaving(mapping->base, &range);
    const struct weir_mapping known = range.mapping; /* a lent entry may lie in the mapping */
    WEIR_ASSERT(known.size == mapping->size);
    if (__lsan_unregister_root_region != NULL && known.charged_bytes != 0)
        __lsan_unregister_root_region(known.base, known.size);
    bool unmapped = munmap(mapping->base, mapping->size) == 0;
    if (!unmapped)
        keep_empty(entry, known);
    end_leaving(&range);
    if (mapping->charged_bytes != 0)
        weir_account_discharge(mapping->account, mapping->kind, mapping->charged_bytes);
    if (unmapped) {
        give_entry(entry, known.is_entry_lent);
        weir_account_discharge(mapping->account, WEIR_KIND_MAPPING, mapping->charged_mappings);
    }
    *mapping = (struct weir_mapping){0};
}
