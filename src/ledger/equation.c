/* Equation (a): every area of smaps is cut into pieces, each piece belongs to one class.
 *
 * In order: what the mapping registry knows; the executable's and libraries' segments (their bss
 * has no name of its own); the kernel's areas; the brk heap; stacks; sanitizers' ranges; malloc's
 * arenas and mapped chunks by their structure; other files. The rest is unclassified. An area that
 * is one piece counts with its Rss; one that was merged from several is counted page by page with
 * the pagemap. So is one that grew or joined others while smaps was read and comes once more
 * (proc_smaps.h): its pieces are told from its front on, its pages are counted behind those that
 * were counted already.
 *
 * Others map and unmap meanwhile. Pages that nobody owns are therefore looked at again; those that
 * are gone by then were unmapped since smaps was read, and are taken off both sides.
 *
 * malloc's mapped chunks stay in use (M_MMAP_MAX is not set to 0): a large block that is freed goes
 * back to the kernel at once, and its header tells it apart from memory taken with mmap by others.
 */
#include "ledger/equation.h"

#include <dirent.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/poison.h"
#include "base/proc_pagemap.h"
#include "base/proc_smaps.h"
#include "ledger/ledger_internal.h"
#include "ledger/malloc_ranges.h"

/* Segments of loaded objects; beyond them only the bss of further libraries goes unrecognised. */
#define SEGMENTS_MAX 512
/* Unclassified memory below this is not searched for malloc's chunks page by page. */
#define SEARCH_BYTES_MIN (64u << 10)
#define PAGE 4096u
/* At pages without an owner. Under six threads that only map and unmap, one look left 3 of 5,000
 * readings wrong, two none. */
#define LOOKS 3

enum class {
    CLASS_OWNED,
    CLASS_MALLOC,
    CLASS_BINARY,
    CLASS_STACK,
    CLASS_SANITIZER,
    CLASS_KERNEL,
    CLASS_UNKNOWN
};

struct range {
    uint64_t start;
    uint64_t end;
};

struct piece {
    uint64_t end;
    enum class class;
    enum weir_kind kind; /* of owned ones */
};

struct reader {
    struct weir_equation *equation;
    struct weir_pagemap pagemap;
    struct range segments[SEGMENTS_MAX];
    size_t segment_count;
    uint64_t previous_end;
    bool previous_is_guard;
    uint64_t mapped_chunk_bytes; /* what malloc says it mapped, less what was found */
    struct weir_error *error;
    enum weir_status status;
};

/* --- ranges that are known beforehand ------------------------------------------------------ */

#if WEIR_ASAN
/* Shadow and primary allocator (compiler-rt, x86-64 Linux). */
static const struct range sanitizer_ranges[] = {{0x7fff7000, 0x10007fff8000},
                                                {0x500000000000, 0x540000000000},
                                                {0x600000000000, 0x680000000000}};
#define SANITIZER_RANGE_COUNT (sizeof sanitizer_ranges / sizeof sanitizer_ranges[0])
#elif WEIR_TSAN
/* Shadow, meta information, heap. */
static const struct range sanitizer_ranges[] = {{0x008000000000, 0x550000000000},
                                                {0x720000000000, 0x7e0000000000}};
#define SANITIZER_RANGE_COUNT (sizeof sanitizer_ranges / sizeof sanitizer_ranges[0])
#else
static const struct range *const sanitizer_ranges = NULL;
#define SANITIZER_RANGE_COUNT ((size_t)0)
#endif

/* The range that `at` is in, or else the first one behind it; NULL at the end. */
static const struct range *find_range(const struct range *ranges, size_t count, uint64_t at)
{
    const struct range *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (ranges[i].end > at && (best == NULL || ranges[i].start < best->start))
            best = &ranges[i];
    return best;
}

static int add_segments(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    struct reader *reader = context;
    for (int i = 0; i < info->dlpi_phnum && reader->segment_count < SEGMENTS_MAX; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD)
            continue;
        uint64_t start = info->dlpi_addr + header->p_vaddr;
        reader->segments[reader->segment_count++] = (struct range){
            weir_align_down(start, PAGE), weir_align_up(start + header->p_memsz, PAGE)};
    }
    return 0;
}

/* --- what a piece is ----------------------------------------------------------------------- */

static bool starts_with(const struct weir_vma *vma, const char *text)
{
    size_t length = strlen(text);
    return vma->path_length >= length && memcmp(vma->path, text, length) == 0;
}

/* Memory that only looks like a file. */
static bool is_memory_file(const struct weir_vma *vma)
{
    return starts_with(vma, "/memfd:") || starts_with(vma, "/dev/zero") ||
           starts_with(vma, "/SYSV") || starts_with(vma, "/dev/shm/") ||
           starts_with(vma, "/anon_hugepage");
}

/* By the name the kernel (or glibc's decoration of areas) gives the whole area. */
static enum class class_by_name(const struct weir_vma *vma) {
    static const struct {const char * prefix; enum class class;
}
names[] = {
    {"[heap]", CLASS_MALLOC},
    {"[stack", CLASS_STACK},
    {"[vdso]", CLASS_KERNEL},
    {"[vvar", CLASS_KERNEL},
    {"[vsyscall]", CLASS_KERNEL},
    {"[uprobes]", CLASS_KERNEL},
    {"[anon: glibc: malloc", CLASS_MALLOC},
    {"[anon: glibc: pthread stack", CLASS_STACK},
    {"[anon: glibc: loader malloc", CLASS_BINARY},
};
for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (starts_with(vma, names[i].prefix))
        return names[i].class;
return CLASS_UNKNOWN;
}

/* Anonymous memory without a name: by its structure. At least up to piece->end, which the caller
 * set to where something else is known to begin. */
static void class_by_structure(struct reader *reader, const struct weir_vma *vma, uint64_t at,
                               struct piece *piece)
{
    uint64_t end;
    if (at % WEIR__ARENA_ALIGN == 0 && weir__malloc_arena_at(at, &end)) {
        piece->class = CLASS_MALLOC;
        piece->end = end < piece->end ? end : piece->end;
        return;
    }
    if (reader->mapped_chunk_bytes != 0 && weir__malloc_chunk_at(at, piece->end, &end) &&
        end - at <= reader->mapped_chunk_bytes) {
        reader->mapped_chunk_bytes -= end - at;
        piece->class = CLASS_MALLOC;
        piece->end = end;
        return;
    }
    if (at == vma->start && reader->previous_is_guard && reader->previous_end == at &&
        weir__thread_stack_at(at, piece->end, &end)) {
        piece->class = CLASS_STACK;
        piece->end = end;
        return;
    }
    /* Something behind this page may still be malloc's; look there when it is worth it. */
    uint64_t arena = weir_align_up(at + 1, WEIR__ARENA_ALIGN);
    if (arena < piece->end)
        piece->end = arena;
    if (vma->rss < SEARCH_BYTES_MIN || reader->mapped_chunk_bytes == 0)
        return;
    for (uint64_t next = at + PAGE; next < piece->end; next += PAGE)
        if (weir__malloc_chunk_at(next, piece->end, &end) &&
            end - next <= reader->mapped_chunk_bytes) {
            piece->end = next;
            return;
        }
}

static void cut_at(const struct range *range, uint64_t at, struct piece *piece, enum class class)
{
    if (range == NULL)
        return;
    if (range->start <= at) {
        piece->class = class;
        piece->end = range->end < piece->end ? range->end : piece->end;
    } else if (range->start < piece->end) {
        piece->end = range->start;
    }
}

static struct piece next_piece(struct reader *reader, const struct weir_vma *vma, uint64_t at)
{
    struct piece piece = {vma->end, CLASS_UNKNOWN, WEIR_KIND_COUNT};
    struct weir_mapping mapping;
    if (weir__mapping_next(at, &mapping)) {
        struct range owned = {(uint64_t)(uintptr_t)mapping.base,
                              (uint64_t)(uintptr_t)mapping.base + mapping.size};
        cut_at(&owned, at, &piece, CLASS_OWNED);
        piece.kind = mapping.kind;
        if (piece.class == CLASS_OWNED)
            return piece;
    }
    cut_at(find_range(reader->segments, reader->segment_count, at), at, &piece, CLASS_BINARY);
    if (piece.class == CLASS_UNKNOWN)
        cut_at(find_range(sanitizer_ranges, SANITIZER_RANGE_COUNT, at), at, &piece,
               CLASS_SANITIZER);
    if (piece.class == CLASS_UNKNOWN)
        piece.class = class_by_name(vma);
    if (piece.class == CLASS_UNKNOWN && vma->inode != 0 && !is_memory_file(vma))
        piece.class = CLASS_BINARY;
    else if (piece.class == CLASS_UNKNOWN && vma->path_length == 0)
        class_by_structure(reader, vma, at, &piece);
    return piece;
}

/* --- sums ---------------------------------------------------------------------------------- */

static void count_piece(struct reader *reader, const struct piece *piece, uint64_t resident,
                        uint64_t file)
{
    struct weir_equation *equation = reader->equation;
    switch (piece->class) {
    case CLASS_OWNED:
        equation->owned[piece->kind] += resident;
        equation->owned_file_bytes += file;
        break;
    case CLASS_MALLOC:
        equation->malloc_bytes += resident;
        break;
    case CLASS_BINARY:
        equation->binary_bytes += resident;
        break;
    case CLASS_STACK:
        equation->thread_stack_bytes += resident;
        break;
    case CLASS_SANITIZER:
        equation->sanitizer_bytes += resident;
        break;
    case CLASS_KERNEL:
        equation->kernel_bytes += resident;
        break;
    case CLASS_UNKNOWN:
        equation->unclassified_bytes += resident;
        break;
    }
}

static bool is_segment(const struct reader *reader, const struct weir_vma *vma)
{
    const struct range *range = find_range(reader->segments, reader->segment_count, vma->start);
    return range != NULL && range->start < vma->end;
}

/* Of a file that is no library only its own pages are the file's: private copies are memory that
 * somebody made. */
static bool has_foreign_copies(const struct reader *reader, const struct weir_vma *vma,
                               const struct piece *piece)
{
    return piece->class == CLASS_BINARY && vma->anonymous != 0 && !is_segment(reader, vma);
}

/* The piece at `at` and its pages from `from` on, or what smaps said of the area when the piece is
 * all of it. Pages that nobody owns are looked at again: an owner may have come or gone between the
 * looks. */
static struct piece look(struct reader *reader, const struct weir_vma *vma, uint64_t at,
                         uint64_t from, struct weir_page_sums *ret_sums)
{
    struct piece piece;
    for (int i = 0; i < LOOKS; i++) {
        uint64_t chunk_bytes = reader->mapped_chunk_bytes;
        piece = next_piece(reader, vma, at);
        if (piece.end <= from) { /* a chunk there was told, and taken off, in an earlier area */
            reader->mapped_chunk_bytes = chunk_bytes;
            *ret_sums = (struct weir_page_sums){0};
            break;
        }
        bool is_whole = from == vma->start && at == from && piece.end >= vma->end;
        if (is_whole && piece.class != CLASS_UNKNOWN && !has_foreign_copies(reader, vma, &piece)) {
            ret_sums->resident_bytes = vma->rss;
            ret_sums->file_bytes = vma->rss > vma->anonymous ? vma->rss - vma->anonymous : 0;
            break;
        }
        reader->status = weir_pagemap_sum(&reader->pagemap, at > from ? at : from, piece.end,
                                          ret_sums, reader->error);
        if (reader->status != WEIR_OK || piece.class != CLASS_UNKNOWN ||
            ret_sums->resident_bytes == 0)
            break;
    }
    return piece;
}

/* The area from `from` on, where smaps saw `left` resident bytes. Pages that came since are not
 * counted; those that went are not resident. */
static void count_pieces(struct reader *reader, const struct weir_vma *vma, uint64_t from,
                         uint64_t left)
{
    reader->equation->rss_bytes += left;
    for (uint64_t at = vma->start; at < vma->end && left != 0;) {
        struct weir_page_sums sums;
        struct piece piece = look(reader, vma, at, from, &sums);
        if (reader->status != WEIR_OK)
            return;
        uint64_t resident = sums.resident_bytes < left ? sums.resident_bytes : left;
        uint64_t file = sums.file_bytes < resident ? sums.file_bytes : resident;
        if (has_foreign_copies(reader, vma, &piece)) {
            reader->equation->unclassified_bytes += resident - file;
            count_piece(reader, &piece, file, file);
        } else {
            count_piece(reader, &piece, resident, file);
        }
        left -= resident;
        at = piece.end;
    }
    reader->equation->rss_bytes -= left;
}

/* What lies behind those of its bytes that an earlier area had. */
static void count_rest(struct reader *reader, const struct weir_vma *vma)
{
    struct weir_page_sums sums = {0};
    uint64_t from = reader->previous_end;
    if (vma->rss != 0 || vma->swap != 0)
        reader->status = weir_pagemap_sum(&reader->pagemap, from, vma->end, &sums, reader->error);
    if (reader->status != WEIR_OK)
        return;
    reader->equation->swap_bytes += sums.swapped_bytes < vma->swap ? sums.swapped_bytes : vma->swap;
    count_pieces(reader, vma, from,
                 sums.resident_bytes < vma->rss ? sums.resident_bytes : vma->rss);
}

static bool count_area(void *context, const struct weir_vma *vma)
{
    struct reader *reader = context;
    if (vma->end <= reader->previous_end)
        return true;
    if (vma->start < reader->previous_end) {
        count_rest(reader, vma);
    } else {
        reader->equation->mapping_count++;
        reader->equation->swap_bytes += vma->swap;
        count_pieces(reader, vma, vma->start, vma->rss);
    }
    reader->previous_end = vma->end;
    reader->previous_is_guard = !vma->readable && !vma->writable && !vma->executable;
    return reader->status == WEIR_OK;
}

enum weir_status weir_descriptors_count(uint64_t *ret_count, struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return weir_error_set_errno(error, WEIR_IO, -fd, "cannot open /proc/self/fd");
    alignas(struct dirent64) char entries[4096];
    uint64_t count = 0;
    for (;;) {
        long length = weir_io_getdents(io, fd, entries, sizeof entries);
        if (length < 0)
            return weir_error_set_errno(error, WEIR_IO, (int)-length, "cannot read /proc/self/fd");
        if (length == 0)
            break;
        for (long at = 0; at < length;) {
            const struct dirent64 *entry = (const struct dirent64 *)(void *)(entries + at);
            at += entry->d_reclen;
            if (entry->d_name[0] != '.')
                count++;
        }
    }
    *ret_count = count - 1; /* without the one it reads them with */
    return WEIR_OK;
}

enum weir_status weir_equation_read(struct weir_equation *ret, struct weir_error *error)
{
    struct weir_equation equation = {0};
    struct reader reader = {.equation = &equation, .error = error};
    enum weir_status status = weir_descriptors_count(&equation.descriptor_count, error);
    if (status != WEIR_OK)
        return status;
    (void)dl_iterate_phdr(add_segments, &reader);
    struct mallinfo2 info = mallinfo2();
    reader.mapped_chunk_bytes = info.hblkhd;
    status = weir_pagemap_open(true, &reader.pagemap, error);
    if (status != WEIR_OK)
        return status;
    status = weir_smaps_read("/proc/self/smaps", count_area, &reader, error);
    weir_pagemap_close(&reader.pagemap);
    if (status == WEIR_OK)
        status = reader.status;
    struct weir_proc_status process;
    if (status == WEIR_OK)
        status = weir_proc_status_read("/proc/self/status", &process, error);
    if (status != WEIR_OK)
        return status;
    equation.page_table_bytes = process.vm_pte;
    equation.malloc_live_bytes = info.uordblks + info.hblkhd;
    if (equation.malloc_bytes > equation.malloc_live_bytes)
        equation.malloc_free_resident_bytes = equation.malloc_bytes - equation.malloc_live_bytes;
    equation.charged_heap_bytes = weir_ledger_heap_bytes();
    if (equation.malloc_live_bytes > equation.charged_heap_bytes)
        equation.uncharged_heap_bytes = equation.malloc_live_bytes - equation.charged_heap_bytes;
    *ret = equation;
    return WEIR_OK;
}

bool weir_equation_holds(const struct weir_equation *equation)
{
    uint64_t sanitizer = WEIR_ASAN || WEIR_TSAN ? 16u << 20 : 0;
    return equation->unclassified_bytes <= equation->rss_bytes / 100 + (512u << 10) + sanitizer;
}

enum weir_status weir_growth_read(uint64_t *ret_bytes, struct weir_error *error)
{
    struct weir_vma sums;
    struct weir_proc_status process;
    enum weir_status status = weir_smaps_rollup("/proc/self/smaps_rollup", &sums, error);
    if (status == WEIR_OK)
        status = weir_proc_status_read("/proc/self/status", &process, error);
    if (status == WEIR_OK)
        *ret_bytes = sums.pss_anon + sums.pss_shmem + sums.swap + process.vm_pte;
    return status;
}

void weir_process_tune_malloc(void)
{
    /* Arenas: retention is arenas x largest burst (reference figures: 8 per processor unless told).
     * Fixed thresholds: malloc would otherwise raise them with each large block that is freed, up
     * to 32 MiB, and keep blocks of that size. */
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 10);
}
