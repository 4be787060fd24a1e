/* See weir/stable.h. One reservation of address space for the whole limit, a page map of two levels
 * that says which pages were written at all and which since the last commit, and a list of what the
 * latter held before.
 *
 * A page that was never written is never touched, so that reading cannot make the kernel take page
 * tables for it: it is read as zeros.
 */
#include <weir/stable.h>

#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "runtime/page_runs.h"
#include "runtime/store_internal.h"

#define SYSTEM_PAGE UINT64_C(4096)
#define PAGE_BYTES UINT64_C(65536)
/* A leaf of the map covers 128 MiB; a page of page table 2 MiB. */
#define LEAF_PAGES UINT64_C(32768)
#define TABLE_PAGES UINT64_C(512)
static_assert(LEAF_PAGES / TABLE_PAGES == 64, "a word of bits");
/* What the reservation may become: pages opened, the rest. */
#define STABLE_MAPPINGS 2u

struct leaf {
    uint64_t touched[LEAF_PAGES / 64];
    uint64_t dirty[LEAF_PAGES / 64];
    uint64_t changed[LEAF_PAGES / 64]; /* committed since the last weir_stable_saved() */
    uint64_t tables; /* pages of page table that are charged; the kernel keeps them */
};

struct undo {
    struct undo *next;
    uint64_t page;
    size_t bytes;     /* of this record */
    uint8_t before[]; /* a page, or nothing: it was never written */
};

struct weir_stable {
    struct weir_account *account;
    struct weir_mapping mapping; /* none until the first growth */
    uint64_t limit_bytes;
    uint64_t size_bytes;
    uint64_t committed_bytes; /* size at the last commit */
    uint64_t touched_bytes;
    uint64_t undo_bytes;
    uint64_t undo_pages;
    struct undo *undo;
    size_t leaf_count;
    struct leaf *leaves[];
};

enum weir_status weir_stable_new(struct weir_account *account, uint64_t bytes_max,
                                 struct weir_stable **ret_stable, struct weir_error *error)
{
    uint64_t limit = bytes_max / PAGE_BYTES * PAGE_BYTES;
    if (limit > WEIR_LINEAR_BYTES_MAX)
        limit = WEIR_LINEAR_BYTES_MAX;
    size_t leaf_count = (limit / SYSTEM_PAGE + LEAF_PAGES - 1) / LEAF_PAGES;
    struct weir_stable *stable = weir_account_alloc(
        account, WEIR_KIND_STABLE, sizeof *stable + leaf_count * sizeof stable->leaves[0], error);
    if (stable == NULL)
        return weir_error_refused(error);
    stable->account = account;
    stable->limit_bytes = limit;
    stable->leaf_count = leaf_count;
    *ret_stable = stable;
    return WEIR_OK;
}

static void free_undo(struct weir_stable *stable)
{
    while (stable->undo != NULL) {
        struct undo *undo = stable->undo;
        stable->undo = undo->next;
        weir_account_free(stable->account, WEIR_KIND_IMAGE, undo, undo->bytes);
    }
    stable->undo_bytes = 0;
    stable->undo_pages = 0;
}

void weir_stable_free(struct weir_stable *stable)
{
    if (stable == NULL)
        return;
    free_undo(stable);
    for (size_t i = 0; i < stable->leaf_count; i++)
        if (stable->leaves[i] != NULL)
            weir_account_free(stable->account, WEIR_KIND_STABLE, stable->leaves[i],
                              sizeof(struct leaf));
    weir_account_discharge(stable->account, WEIR_KIND_STABLE, stable->touched_bytes);
    weir_mapping_free(&stable->mapping);
    weir_account_free(stable->account, WEIR_KIND_STABLE, stable,
                      sizeof *stable + stable->leaf_count * sizeof stable->leaves[0]);
}

uint64_t weir_stable_pages(const struct weir_stable *stable)
{
    return stable->size_bytes / PAGE_BYTES;
}

static enum weir_status reserve(struct weir_stable *stable, struct weir_error *error)
{
    if (stable->mapping.base != NULL)
        return WEIR_OK;
    struct weir_mapping mapping;
    enum weir_status status = weir_mapping_reserve(
        stable->account, WEIR_KIND_STABLE, stable->limit_bytes, STABLE_MAPPINGS, &mapping, error);
    if (status != WEIR_OK)
        return status;
    if (mprotect(mapping.base, mapping.size, PROT_READ | PROT_WRITE) != 0) {
        weir_mapping_free(&mapping);
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "the system refused address space for %llu bytes of stable memory",
                              (unsigned long long)stable->limit_bytes);
    }
    stable->mapping = mapping;
    return WEIR_OK;
}

uint64_t weir_stable_grow(struct weir_stable *stable, uint64_t pages, struct weir_error *error)
{
    uint64_t old = stable->size_bytes / PAGE_BYTES;
    uint64_t room = (stable->limit_bytes - stable->size_bytes) / PAGE_BYTES;
    if (pages > room) {
        (void)weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                             "%llu more pages (64 KiB each) of stable memory; %llu are left below "
                             "the limit",
                             (unsigned long long)pages, (unsigned long long)room);
        return UINT64_MAX;
    }
    if (pages != 0 && reserve(stable, error) != WEIR_OK)
        return UINT64_MAX;
    stable->size_bytes += pages * PAGE_BYTES;
    return old;
}

/* --- the map ------------------------------------------------------------------------------- */

static bool is_touched(const struct weir_stable *stable, uint64_t page)
{
    const struct leaf *leaf = stable->leaves[page / LEAF_PAGES];
    return leaf != NULL && weir__bit(leaf->touched, (uint32_t)(page % LEAF_PAGES));
}

static enum weir_status leaf_of(struct weir_stable *stable, uint64_t page, struct leaf **ret_leaf,
                                struct weir_error *error)
{
    struct leaf **at = &stable->leaves[page / LEAF_PAGES];
    if (*at == NULL)
        *at = weir_account_alloc(stable->account, WEIR_KIND_STABLE, sizeof **at, error);
    *ret_leaf = *at;
    return *at != NULL ? WEIR_OK : weir_error_refused(error);
}

static void bit_clear(uint64_t *bits, uint64_t index)
{
    bits[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

/* Charges what the kernel takes for the page's first write. */
static enum weir_status touch(struct weir_stable *stable, struct leaf *leaf, uint64_t page,
                              struct weir_error *error)
{
    if (weir__bit(leaf->touched, (uint32_t)(page % LEAF_PAGES)))
        return WEIR_OK;
    uint64_t table = UINT64_C(1) << (page % LEAF_PAGES / TABLE_PAGES);
    uint64_t cost = (leaf->tables & table) != 0 ? SYSTEM_PAGE : 2 * SYSTEM_PAGE;
    enum weir_status status = weir_account_charge(stable->account, WEIR_KIND_STABLE, cost, error);
    if (status != WEIR_OK)
        return status;
    stable->touched_bytes += cost;
    leaf->tables |= table;
    weir__bit_set(leaf->touched, (uint32_t)(page % LEAF_PAGES));
    return WEIR_OK;
}

/* The page may be written: it can be taken back and is charged. */
static enum weir_status open_page(struct weir_stable *stable, uint64_t page,
                                  struct weir_error *error)
{
    struct leaf *leaf;
    enum weir_status status = leaf_of(stable, page, &leaf, error);
    if (status != WEIR_OK || weir__bit(leaf->dirty, (uint32_t)(page % LEAF_PAGES)))
        return status;
    bool has_before = weir__bit(leaf->touched, (uint32_t)(page % LEAF_PAGES));
    size_t bytes = sizeof(struct undo) + (has_before ? SYSTEM_PAGE : 0);
    struct undo *undo = weir_account_alloc(stable->account, WEIR_KIND_IMAGE, bytes, error);
    if (undo == NULL)
        return weir_error_refused(error);
    status = touch(stable, leaf, page, error);
    if (status != WEIR_OK) {
        weir_account_free(stable->account, WEIR_KIND_IMAGE, undo, bytes);
        return status;
    }
    undo->page = page;
    undo->bytes = bytes;
    if (has_before)
        memcpy(undo->before, stable->mapping.base + page * SYSTEM_PAGE, SYSTEM_PAGE);
    undo->next = stable->undo;
    stable->undo = undo;
    stable->undo_bytes += bytes;
    stable->undo_pages++;
    weir__bit_set(leaf->dirty, (uint32_t)(page % LEAF_PAGES));
    return WEIR_OK;
}

/* --- transfers ----------------------------------------------------------------------------- */

static enum weir_status check_ranges(const struct weir_stable *stable, uint64_t offset,
                                     const struct weir_memory *memory, uint64_t address,
                                     uint64_t size, struct weir_error *error)
{
    if (!weir_range_fits(offset, size, stable->size_bytes))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "stable memory is accessed at %llu + %llu; it has %llu bytes",
                              (unsigned long long)offset, (unsigned long long)size,
                              (unsigned long long)stable->size_bytes);
    if (!weir_range_fits(address, size, weir_memory_bytes(memory)))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the heap is accessed at %llu + %llu; it has %llu bytes",
                              (unsigned long long)address, (unsigned long long)size,
                              (unsigned long long)weir_memory_bytes(memory));
    return WEIR_OK;
}

static uint64_t part_of(uint64_t offset, uint64_t size)
{
    uint64_t room = SYSTEM_PAGE - offset % SYSTEM_PAGE;
    return size < room ? size : room;
}

enum weir_status weir_stable_read(const struct weir_stable *stable, uint64_t offset,
                                  struct weir_memory *memory, uint64_t address, uint64_t size,
                                  struct weir_error *error)
{
    static const uint8_t zeros[SYSTEM_PAGE];
    enum weir_status status = check_ranges(stable, offset, memory, address, size, error);
    while (status == WEIR_OK && size > 0) {
        uint64_t part = part_of(offset, size);
        const uint8_t *from = zeros;
        if (is_touched(stable, offset / SYSTEM_PAGE))
            from = stable->mapping.base + offset;
        status = weir_memory_write(memory, address, from, part);
        offset += part;
        address += part;
        size -= part;
    }
    return status;
}

enum weir_status weir_stable_write(struct weir_stable *stable, uint64_t offset,
                                   const struct weir_memory *memory, uint64_t address,
                                   uint64_t size, struct weir_error *error)
{
    enum weir_status status = check_ranges(stable, offset, memory, address, size, error);
    while (status == WEIR_OK && size > 0) {
        uint64_t part = part_of(offset, size);
        status = open_page(stable, offset / SYSTEM_PAGE, error);
        if (status == WEIR_OK)
            status = weir_memory_read(memory, address, stable->mapping.base + offset, part);
        offset += part;
        address += part;
        size -= part;
    }
    return status;
}

/* --- versions ------------------------------------------------------------------------------ */

static void clean(struct weir_stable *stable, uint64_t page)
{
    bit_clear(stable->leaves[page / LEAF_PAGES]->dirty, page % LEAF_PAGES);
}

uint64_t weir_stable_commit(struct weir_stable *stable)
{
    uint64_t pages = stable->undo_pages;
    for (const struct undo *undo = stable->undo; undo != NULL; undo = undo->next) {
        clean(stable, undo->page);
        weir__bit_set(stable->leaves[undo->page / LEAF_PAGES]->changed,
                      (uint32_t)(undo->page % LEAF_PAGES));
    }
    free_undo(stable);
    stable->committed_bytes = stable->size_bytes;
    return pages;
}

/* A page that was never written before is nobody's again. */
static void forget(struct weir_stable *stable, uint64_t page)
{
    struct leaf *leaf = stable->leaves[page / LEAF_PAGES];
    uint8_t *at = stable->mapping.base + page * SYSTEM_PAGE;
    if (madvise(at, SYSTEM_PAGE, MADV_DONTNEED) != 0) {
        memset(at, 0, SYSTEM_PAGE); /* it stays charged */
        return;
    }
    bit_clear(leaf->touched, page % LEAF_PAGES);
    stable->touched_bytes -= SYSTEM_PAGE;
    weir_account_discharge(stable->account, WEIR_KIND_STABLE, SYSTEM_PAGE);
}

uint64_t weir_stable_rollback(struct weir_stable *stable)
{
    uint64_t pages = stable->undo_pages;
    for (const struct undo *undo = stable->undo; undo != NULL; undo = undo->next) {
        clean(stable, undo->page);
        if (undo->bytes > sizeof *undo)
            memcpy(stable->mapping.base + undo->page * SYSTEM_PAGE, undo->before, SYSTEM_PAGE);
        else
            forget(stable, undo->page);
    }
    free_undo(stable);
    stable->size_bytes = stable->committed_bytes;
    return pages;
}

void weir_stable_figures(const struct weir_stable *stable, struct weir_stable_figures *ret)
{
    *ret = (struct weir_stable_figures){.size_bytes = stable->size_bytes,
                                        .touched_bytes = stable->touched_bytes,
                                        .undo_bytes = stable->undo_bytes};
}

static enum weir_status save(const struct weir_stable *stable, bool is_changes,
                             const struct weir_image_writer *writer, struct weir_error *error)
{
    if (stable->undo != NULL || stable->size_bytes != stable->committed_bytes)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "stable memory has writes that are not committed");
    enum weir_status status =
        writer->write(writer->context, &stable->size_bytes, sizeof stable->size_bytes, error);
    struct weir__runs_out out = {
        .writer = writer, .base = stable->mapping.base, .keeps_zeros = is_changes};
    for (size_t i = 0; status == WEIR_OK && i < stable->leaf_count; i++) {
        const struct leaf *leaf = stable->leaves[i];
        for (uint64_t at = 0; leaf != NULL && at < LEAF_PAGES; at++) {
            if (!weir__bit(is_changes ? leaf->changed : leaf->touched, (uint32_t)at))
                continue;
            status = weir__runs_add(&out, i * LEAF_PAGES + at, error);
            if (status != WEIR_OK)
                return status;
        }
    }
    return status == WEIR_OK ? weir__runs_end(&out, error) : status;
}

enum weir_status weir_stable_save(const struct weir_stable *stable,
                                  const struct weir_image_writer *writer, struct weir_error *error)
{
    return save(stable, false, writer, error);
}

enum weir_status weir_stable_save_changes(const struct weir_stable *stable,
                                          const struct weir_image_writer *writer,
                                          struct weir_error *error)
{
    return save(stable, true, writer, error);
}

void weir_stable_saved(struct weir_stable *stable)
{
    for (size_t i = 0; i < stable->leaf_count; i++)
        if (stable->leaves[i] != NULL)
            memset(stable->leaves[i]->changed, 0, sizeof stable->leaves[i]->changed);
}

static uint8_t *place(void *context, uint64_t page, uint64_t count, struct weir_error *error)
{
    struct weir_stable *stable = context;
    for (uint64_t at = page; at < page + count; at++) {
        struct leaf *leaf;
        if (leaf_of(stable, at, &leaf, error) != WEIR_OK ||
            touch(stable, leaf, at, error) != WEIR_OK)
            return NULL;
    }
    return stable->mapping.base + page * SYSTEM_PAGE;
}

enum weir_status weir_stable_load(struct weir_stable *stable,
                                  const struct weir_image_reader *reader, struct weir_error *error)
{
    uint64_t size = 0;
    enum weir_status status = reader->read(reader->context, &size, sizeof size, error);
    if (status == WEIR_OK && (size % PAGE_BYTES != 0 || size < stable->size_bytes))
        status = weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                                "a saved stable memory of %llu bytes", (unsigned long long)size);
    if (status == WEIR_OK &&
        weir_stable_grow(stable, (size - stable->size_bytes) / PAGE_BYTES, error) == UINT64_MAX)
        status = weir_error_refused(error);
    if (status == WEIR_OK)
        status = weir__runs_read(reader, size / SYSTEM_PAGE, place, stable, error);
    if (status == WEIR_OK)
        stable->committed_bytes = size;
    return status;
}
