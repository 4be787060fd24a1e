/* See kept.h. A page that was committed and stays private (the store's keep_resident_bytes) is
 * equal to the file's; what is beyond that is dropped, and comes back from the file. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "runtime/kept.h"

#define SYSTEM_PAGE UINT64_C(4096)
#define RANGES 64
/* The shared mapping, and the one more area that the guest's memory is cut into. */
#define KEPT_MAPPINGS 2u

static enum weir_status system_error(struct weir_error *error, int number, const char *what)
{
    enum weir_status status =
        number == ENOMEM || number == EMFILE || number == ENFILE ? WEIR_NO_MEMORY : WEIR_IO;
    return weir_error_set_errno(error, status, number, "%s of a memory's committed version", what);
}

static enum weir_status map_file(struct weir_memory *memory, int fd, struct weir_error *error)
{
    struct weir__kept *kept = &memory->kept;
    uint64_t size = memory->limit_bytes != 0 ? memory->limit_bytes : SYSTEM_PAGE;
    int failed = weir_io_ftruncate(weir_io_system(), fd, size);
    if (failed < 0)
        return system_error(error, -failed, "the size");
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (at == MAP_FAILED)
        return system_error(error, errno, "the mapping");
    (void)madvise(at, size, MADV_NOHUGEPAGE);
    struct weir_mapping mapping = {.base = at,
                                   .size = size,
                                   .account = memory->store->account,
                                   .kind = WEIR_KIND_IMAGE,
                                   .charged_mappings = KEPT_MAPPINGS};
    enum weir_status status = weir_mapping_adopt(&mapping, error);
    if (status != WEIR_OK) {
        (void)munmap(at, size);
        return status;
    }
    kept->mapping = mapping;
    kept->fd = fd;
    return WEIR_OK;
}

static enum weir_status open_file(struct weir_memory *memory, struct weir_error *error)
{
    struct weir_account *account = memory->store->account;
    struct weir_io *io = weir_io_system();
    enum weir_status status = weir_account_charge(account, WEIR_KIND_DESCRIPTOR, 1, error);
    if (status != WEIR_OK)
        return status;
    int fd = weir_io_memfd_create(io, "weir-image", MFD_CLOEXEC);
    status = fd >= 0 ? map_file(memory, fd, error) : system_error(error, -fd, "the file");
    if (status == WEIR_OK)
        return WEIR_OK;
    if (fd >= 0)
        (void)weir_io_close(io, fd);
    weir_account_discharge(account, WEIR_KIND_DESCRIPTOR, 1);
    return status;
}

static enum weir_status prepare_changed(struct weir_memory *memory, struct weir_error *error)
{
    struct weir__kept *kept = &memory->kept;
    struct weir_account *account = memory->store->account;
    uint64_t words = (memory->vm.size_bytes / SYSTEM_PAGE + 63) / 64;
    if (words <= kept->changed_words)
        return WEIR_OK;
    uint64_t *bits =
        weir_account_alloc(account, WEIR_KIND_IMAGE, words * sizeof kept->changed[0], error);
    if (bits == NULL)
        return weir_error_refused(error);
    size_t old_bytes = kept->changed_words * sizeof kept->changed[0];
    if (kept->changed != NULL) {
        memcpy(bits, kept->changed, old_bytes);
        weir_account_free(account, WEIR_KIND_IMAGE, kept->changed, old_bytes);
    }
    kept->changed = bits;
    kept->changed_words = words;
    return WEIR_OK;
}

enum weir_status weir__kept_prepare(struct weir_memory *memory, struct weir_error *error)
{
    struct weir__kept *kept = &memory->kept;
    if (!weir__kept_is_on(memory)) {
        enum weir_status status = open_file(memory, error);
        if (status != WEIR_OK)
            return status;
    }
    enum weir_status status = prepare_changed(memory, error);
    uint64_t bytes = memory->vm.size_bytes;
    if (status != WEIR_OK || bytes <= kept->charged_bytes)
        return status;
    status = weir_account_charge(memory->store->account, WEIR_KIND_IMAGE,
                                 bytes - kept->charged_bytes, error);
    if (status == WEIR_OK)
        kept->charged_bytes = bytes;
    return status;
}

static enum weir_status cut(struct weir_error *error)
{
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                          "a page of a memory could not be read or kept");
}

static enum weir_status map_pages(struct weir_memory *memory, uint64_t from, uint64_t to,
                                  struct weir_error *error)
{
    if (from == to)
        return WEIR_OK;
    void *at = mmap(memory->vm.base + from, to - from, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, memory->kept.fd, (off_t)from);
    if (at == MAP_FAILED)
        return system_error(error, errno, "the guest's mapping");
    (void)madvise(at, to - from, MADV_NOHUGEPAGE);
    memory->kept.bytes = to;
    return WEIR_OK;
}

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, SYSTEM_PAGE - 1) == 0;
}

/* Pages of `from` that the file has no content for yet, so zeros need not be written. */
struct fill {
    const struct weir_memory *from;
    uint8_t *file;
    uint64_t *changed; /* bits of what was copied; NULL: nobody asks */
    uint64_t copied, seen;
};

static enum weir_status fill_pages(struct fill *fill, uint64_t begin, uint64_t end,
                                   struct weir_error *error)
{
    for (uint64_t at = begin; at < end; at += SYSTEM_PAGE) {
        uint8_t page[SYSTEM_PAGE];
        if (weir__copy_guarded(page, fill->from->vm.base + at, SYSTEM_PAGE) != 0)
            return cut(error);
        if (is_zero(page))
            continue;
        if (weir__copy_guarded(fill->file + at, page, SYSTEM_PAGE) != 0)
            return cut(error);
        if (fill->changed != NULL)
            weir__bit_set(fill->changed, (uint32_t)(at / SYSTEM_PAGE));
        fill->copied++;
    }
    return WEIR_OK;
}

static enum weir_status fill_private(struct fill *fill, uint64_t begin, struct weir_error *error)
{
    uint64_t base = (uint64_t)fill->from->vm.base;
    uint64_t end = base + fill->from->vm.size_bytes;
    for (uint64_t at = base + begin; at < end;) {
        struct weir__page_range ranges[RANGES];
        size_t found = 0;
        enum weir_status status = weir__privatised_scan(&at, end, ranges, RANGES, &found, error);
        for (size_t i = 0; status == WEIR_OK && i < found; i++) {
            fill->seen += (ranges[i].end - ranges[i].begin) / SYSTEM_PAGE;
            status = fill_pages(fill, ranges[i].begin - base, ranges[i].end - base, error);
        }
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status copy_dirty(struct weir_memory *memory, uint64_t page,
                                   struct weir_commit *commit, struct weir_error *error)
{
    uint64_t offset = page - (uint64_t)memory->vm.base;
    uint8_t *to = weir__kept_bytes(memory) + offset;
    if (memcmp(to, (const void *)page, SYSTEM_PAGE) == 0)
        return WEIR_OK;
    weir__bit_set(memory->kept.changed, (uint32_t)(offset / SYSTEM_PAGE));
    commit->pages_copied++;
    return weir__copy_guarded(to, (const void *)page, SYSTEM_PAGE) == 0 ? WEIR_OK : cut(error);
}

/* What is new: pages behind the last version, or all of them the first time. */
static enum weir_status commit_new(struct weir_memory *memory, struct weir_commit *commit,
                                   struct weir_error *error)
{
    uint64_t from = memory->kept.bytes;
    struct fill fill = {
        .from = memory, .file = weir__kept_bytes(memory), .changed = memory->kept.changed};
    enum weir_status status = WEIR_OK;
    if (from == 0 && memory->image_module != NULL)
        status = fill_pages(&fill, memory->image_begin, memory->image_end, error);
    if (status == WEIR_OK)
        status = fill_private(&fill, from, error);
    commit->pages_copied += fill.copied;
    commit->pages_seen += fill.seen;
    return status == WEIR_OK ? map_pages(memory, from, memory->vm.size_bytes, error) : status;
}

/* Pages of the last version that were written since. */
static enum weir_status commit_old(struct weir_memory *memory, uint64_t bytes,
                                   struct weir_commit *commit, struct weir_error *error)
{
    uint64_t at = (uint64_t)memory->vm.base;
    uint64_t end = at + bytes;
    uint64_t keep = memory->store->keep_resident_bytes / SYSTEM_PAGE;
    while (at < end) {
        struct weir__page_range ranges[RANGES];
        size_t found = 0;
        enum weir_status status = weir__privatised_scan(&at, end, ranges, RANGES, &found, error);
        for (size_t i = 0; status == WEIR_OK && i < found; i++) {
            uint64_t page = ranges[i].begin;
            for (; status == WEIR_OK && page < ranges[i].end; page += SYSTEM_PAGE)
                status = copy_dirty(memory, page, commit, error);
            uint64_t count = (ranges[i].end - ranges[i].begin) / SYSTEM_PAGE;
            uint64_t kept = count < keep ? count : keep;
            uint64_t drop = ranges[i].begin + kept * SYSTEM_PAGE;
            commit->pages_seen += count;
            keep -= kept;
            if (status == WEIR_OK && drop < ranges[i].end &&
                madvise((void *)drop, ranges[i].end - drop, MADV_DONTNEED) != 0)
                status = system_error(error, errno, "dropping pages");
        }
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir__kept_commit(struct weir_memory *memory, struct weir_commit *commit,
                                   struct weir_error *error)
{
    uint64_t old_bytes = memory->kept.bytes;
    WEIR_ASSERT(memory->vm.size_bytes >= old_bytes);
    enum weir_status status = WEIR_OK;
    if (memory->vm.size_bytes > old_bytes)
        status = commit_new(memory, commit, error);
    if (status == WEIR_OK)
        status = commit_old(memory, old_bytes, commit, error);
    if (status != WEIR_OK)
        return status;
    weir__memory_forget_undo(memory); /* the file has it all */
    memory->reset_bytes = memory->vm.size_bytes;
    return WEIR_OK;
}

enum weir_status weir__kept_adopt(struct weir_memory *memory, struct weir_error *error)
{
    WEIR_ASSERT(weir__kept_is_on(memory));
    uint64_t old_bytes = memory->kept.bytes;
    if (old_bytes != 0 && madvise(memory->vm.base, old_bytes, MADV_DONTNEED) != 0)
        return system_error(error, errno, "dropping pages");
    memory->reset_bytes = memory->vm.size_bytes;
    return map_pages(memory, old_bytes, memory->vm.size_bytes, error);
}

bool weir__kept_changed(const struct weir_memory *memory, uint64_t *at)
{
    const struct weir__kept *kept = &memory->kept;
    for (; *at / 64 < kept->changed_words; *at = (*at / 64 + 1) * 64) {
        uint64_t left = kept->changed[*at / 64] >> *at % 64;
        if (left == 0)
            continue;
        *at += (uint64_t)__builtin_ctzll(left);
        return true;
    }
    return false;
}

void weir__kept_saved(struct weir_memory *memory)
{
    struct weir__kept *kept = &memory->kept;
    if (kept->changed != NULL)
        memset(kept->changed, 0, kept->changed_words * sizeof kept->changed[0]);
}

bool weir__kept_extent(const struct weir_memory *memory, uint64_t at, uint64_t *ret_begin,
                       uint64_t *ret_end)
{
    struct weir_io *io = weir_io_system();
    const struct weir__kept *kept = &memory->kept;
    int64_t data = weir_io_lseek(io, kept->fd, (int64_t)at, SEEK_DATA);
    if (data < 0 || (uint64_t)data >= kept->bytes)
        return false;
    int64_t hole = weir_io_lseek(io, kept->fd, data, SEEK_HOLE);
    *ret_begin = (uint64_t)data;
    *ret_end = hole > data && (uint64_t)hole < kept->bytes ? (uint64_t)hole : kept->bytes;
    return true;
}

uint64_t weir_memory_image_bytes(const struct weir_memory *memory)
{
    uint64_t bytes = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
    while (weir__kept_is_on(memory) && weir__kept_extent(memory, end, &begin, &end))
        bytes += end - begin;
    return bytes;
}

enum weir_status weir__kept_copy(const struct weir_memory *from, struct weir_memory *to,
                                 struct weir_error *error)
{
    struct fill fill = {.from = from, .file = weir__kept_bytes(to)};
    enum weir_status status = WEIR_OK;
    uint64_t begin = 0;
    uint64_t end = 0;
    if (!weir__kept_is_on(from) && from->image_module != NULL)
        status = fill_pages(&fill, from->image_begin, from->image_end, error);
    while (status == WEIR_OK && weir__kept_is_on(from) &&
           weir__kept_extent(from, end, &begin, &end))
        status = fill_pages(&fill, begin, end, error);
    return status == WEIR_OK ? fill_private(&fill, 0, error) : status;
}

void weir__kept_free(struct weir_memory *memory)
{
    struct weir__kept *kept = &memory->kept;
    if (!weir__kept_is_on(memory))
        return;
    struct weir_account *account = memory->store->account;
    weir_mapping_free(&kept->mapping);
    (void)weir_io_close(weir_io_system(), kept->fd);
    weir_account_discharge(account, WEIR_KIND_DESCRIPTOR, 1);
    weir_account_discharge(account, WEIR_KIND_IMAGE, kept->charged_bytes);
    if (kept->changed != NULL)
        weir_account_free(account, WEIR_KIND_IMAGE, kept->changed,
                          kept->changed_words * sizeof kept->changed[0]);
    *kept = (struct weir__kept){0};
}
