/* Linear memories: address space for the whole limit at creation, so that the base never moves;
 * pages made accessible (and charged) as the memory grows.
 *
 * Guard form reserves 4 GiB and a guard behind (docs/ABI.md), and every page beyond the size is
 * inaccessible. Explicit form reserves the limit only. The initial image is mapped copy-on-write
 * from the artifact's file; the rest is zero pages of the system.
 */
#include <sys/mman.h>
#include <unistd.h>

#include <weir/extern.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/sizes.h"
#include "runtime/kept.h"

#define PAGE_BYTES UINT64_C(65536)
#define PAGES_32 UINT64_C(65536)

static enum weir_status decide_limit(const struct weir_store *store,
                                     const struct weir_limits *limits, uint64_t *ret_min,
                                     uint64_t *ret_limit, struct weir_error *error)
{
    uint64_t pages_max = limits->is_64 ? WEIR_LINEAR_BYTES_MAX / PAGE_BYTES : PAGES_32;
    uint64_t configured = store->linear_bytes_max / PAGE_BYTES;
    if (configured < pages_max)
        pages_max = configured;
    if (limits->min > pages_max)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "a memory of %llu pages (64 KiB each) is over the limit of %llu for "
                              "a single memory",
                              (unsigned long long)limits->min, (unsigned long long)pages_max);
    uint64_t limit = limits->has_max && limits->max < pages_max ? limits->max : pages_max;
    *ret_min = limits->min * PAGE_BYTES;
    *ret_limit = limit * PAGE_BYTES;
    return WEIR_OK;
}

/* The image lies inside the initial size: the module was checked for that when it was loaded. */
static enum weir_status map_image(struct weir_memory *memory, struct weir_error *error)
{
    const struct weir_module *module = memory->image_module;
    const struct weir_artifact_head *head = module->artifact.head;
    void *at = memory->vm.base + memory->image_begin;
    void *mapped = mmap(at, head->image.count, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, module->fd, head->image.offset);
    if (mapped == MAP_FAILED)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "the initial image of %u bytes could not be mapped",
                              head->image.count);
    return WEIR_OK;
}

enum weir_status weir__memory_resize(struct weir_memory *memory, uint64_t bytes,
                                     struct weir_error *error)
{
    struct weir_account *account = memory->store->account;
    uint64_t old = memory->vm.size_bytes;
    if (bytes > old) {
        enum weir_status status =
            weir_account_charge(account, WEIR_KIND_LINEAR_MEMORY, bytes - old, error);
        if (status != WEIR_OK)
            return status;
        if (bytes > memory->accessible_bytes) {
            uint8_t *from = memory->vm.base + memory->accessible_bytes;
            if (mprotect(from, bytes - memory->accessible_bytes, PROT_READ | PROT_WRITE) != 0) {
                weir_account_discharge(account, WEIR_KIND_LINEAR_MEMORY, bytes - old);
                return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                                      "the system refused %llu more bytes of linear memory",
                                      (unsigned long long)(bytes - old));
            }
            memory->accessible_bytes = bytes;
        }
    } else if (bytes < old) {
        weir_account_discharge(account, WEIR_KIND_LINEAR_MEMORY, old - bytes);
    }
    weir__census_begin(&memory->store->mark);
    memory->vm.size_bytes = bytes;
    weir__census_end(&memory->store->mark);
    if (bytes > memory->peak_bytes)
        memory->peak_bytes = bytes;
    return WEIR_OK;
}

/* Address space for all that the memory may become. */
static enum weir_status reserve(struct weir_memory *memory, bool has_image,
                                struct weir_mapping_entry *entry, struct weir_error *error)
{
    uint64_t bytes = memory->is_guard ? WEIR_ABI_GUARD_SPACE + WEIR_ABI_GUARD_BYTES
                     : memory->limit_bytes != 0 ? memory->limit_bytes
                                                : PAGE_BYTES;
    struct weir_error refusal = {0};
    memory->mapping = (struct weir_mapping){.size = bytes,
                                            .account = memory->store->account,
                                            .kind = WEIR_KIND_LINEAR_MEMORY,
                                            .charged_mappings = has_image ? 4 : 2};
    enum weir_status status = weir_mapping_reserve_at(&memory->mapping, entry, &refusal);
    if (status == WEIR_NO_MEMORY) {
        struct weir_size_text size = weir_size_format(bytes);
        return weir_error_set(error, status, WEIR_NO_OFFSET,
                              "no %s of address space for a memory; %s", size.text,
                              memory->is_guard
                                  ? "the explicit form reserves its limit only"
                                  : "limit it: its own maximum, the store's linear_bytes_max or "
                                    "memory_bytes_max");
    }
    weir_error_move(error, &refusal);
    return status;
}

/* `memory` is new and not in the store yet; on failure nothing is left of it. */
static enum weir_status take_space(struct weir_memory *memory, uint64_t min_bytes,
                                   const struct weir_module *image_module,
                                   struct weir_mapping_entry *entry, struct weir_error *error)
{
    const struct weir_artifact_head *head =
        image_module != NULL ? image_module->artifact.head : NULL;
    bool has_image = head != NULL && head->image.count != 0;
    enum weir_status status = reserve(memory, has_image, entry, error);
    if (status != WEIR_OK)
        return status;
    memory->vm.base = memory->mapping.base;
    status = weir__memory_resize(memory, min_bytes, error);
    if (status == WEIR_OK && has_image) {
        memory->image_module = image_module;
        memory->image_begin = head->image_memory_offset;
        memory->image_end = memory->image_begin + head->image.count;
        status = map_image(memory, error);
    }
    if (status != WEIR_OK)
        weir__memory_free(memory);
    return status;
}

/* The record comes last: one that is refused leaves nothing in the store's arena, which may be
 * asked for another as often as somebody likes. */
enum weir_status weir__memory_new(struct weir_store *store, const struct weir_limits *limits,
                                  const struct weir_module *image_module,
                                  struct weir_memory **ret_memory, struct weir_error *error)
{
    uint64_t min = 0;
    uint64_t limit = 0;
    enum weir_status status = decide_limit(store, limits, &min, &limit, error);
    if (status != WEIR_OK)
        return status;
    struct weir_memory made = {.store = store,
                               .reset_bytes = min,
                               .limit_bytes = limit,
                               .max_pages = limits->max,
                               .has_max = limits->has_max,
                               .is_64 = limits->is_64,
                               .is_guard =
                                   store->engine->bounds == WEIR_BOUNDS_GUARD && !limits->is_64};
    struct weir_mapping_entry entry; /* others read and write it: not copied with the record */
    status = take_space(&made, min, image_module, &entry, error);
    if (status != WEIR_OK)
        return status;
    struct weir_memory *memory = weir__store_alloc(store, sizeof *memory, error);
    if (memory == NULL) {
        weir__memory_free(&made);
        return weir_error_refused(error);
    }
    *memory = made;
    weir_mapping_move_entry(&made.mapping, &memory->entry);
    memory->made_ns = weir_clock_ns();
    weir__census_begin(&store->mark);
    memory->next = store->memories;
    store->memories = memory;
    weir__census_end(&store->mark);
    *ret_memory = memory;
    return WEIR_OK;
}

/* The record stays in the store's arena, or goes with what is released there. */
void weir__memory_free(struct weir_memory *memory)
{
    weir__memory_forget_undo(memory);
    weir_account_discharge(memory->store->account, WEIR_KIND_LINEAR_MEMORY, memory->vm.size_bytes);
    memory->vm.size_bytes = 0;
    weir_mapping_free(&memory->mapping);
    weir__kept_free(memory);
}

enum weir_status weir_memory_new(struct weir_store *store, const struct weir_limits *limits,
                                 struct weir_memory **ret_memory, struct weir_error *error)
{
    if (limits->has_max && limits->max < limits->min)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a memory's maximum is below its minimum");
    return weir__memory_new(store, limits, NULL, ret_memory, error);
}

uint64_t weir_memory_bytes(const struct weir_memory *memory)
{
    return memory->vm.size_bytes;
}

void weir_memory_limits(const struct weir_memory *memory, struct weir_limits *ret)
{
    *ret = (struct weir_limits){.min = memory->vm.size_bytes / PAGE_BYTES,
                                .max = memory->max_pages,
                                .has_max = memory->has_max,
                                .is_64 = memory->is_64};
}

uint64_t weir_memory_grow(struct weir_memory *memory, uint64_t pages, struct weir_error *error)
{
    uint64_t old = memory->vm.size_bytes;
    uint64_t room = (memory->limit_bytes - old) / PAGE_BYTES;
    if (pages > room) {
        struct weir_size_text limit = weir_size_format(memory->limit_bytes);
        (void)weir_error_set(
            error, WEIR_LIMIT, WEIR_NO_OFFSET,
            "%llu more pages (64 KiB each) of linear memory; %llu are left below "
            "the %s of %s for this memory",
            (unsigned long long)pages, (unsigned long long)room,
            memory->limit_bytes / PAGE_BYTES == memory->max_pages && memory->has_max ? "maximum"
                                                                                     : "limit",
            limit.text);
        return UINT64_MAX;
    }
    if (pages != 0 && weir__memory_resize(memory, old + pages * PAGE_BYTES, error) != WEIR_OK)
        return UINT64_MAX;
    return old / PAGE_BYTES;
}

enum weir_status weir_memory_read(const struct weir_memory *memory, uint64_t address, void *to,
                                  size_t size)
{
    if (!weir_range_fits(address, size, memory->vm.size_bytes))
        return WEIR_INVALID_ARGUMENT;
    return weir__copy_guarded(to, memory->vm.base + address, size) == 0 ? WEIR_OK : WEIR_IO;
}

enum weir_status weir_memory_write(struct weir_memory *memory, uint64_t address, const void *from,
                                   size_t size)
{
    if (!weir_range_fits(address, size, memory->vm.size_bytes))
        return WEIR_INVALID_ARGUMENT;
    return weir__copy_guarded(memory->vm.base + address, from, size) == 0 ? WEIR_OK : WEIR_IO;
}

uint8_t *weir_memory_at(const struct weir_memory *memory, uint64_t address, uint64_t size)
{
    return weir_range_fits(address, size, memory->vm.size_bytes) ? memory->vm.base + address : NULL;
}
