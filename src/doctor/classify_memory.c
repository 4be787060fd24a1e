/* Rules that look for an owner's structures in the memory: glibc's arenas (malloc/arena.c, struct
 * _heap_info), mapped chunks (malloc/malloc.c), thread records (nptl, tcbhead_t), V8's pages
 * (src/heap/memory-chunk-layout.h). Each needs several words to agree. */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"
#include "base/proc_smaps.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_FLAGS 7u
#define CHUNK_IS_MMAPPED 2u
#define ARENA_HEADER_MAX 128 /* heap_info, and what may follow it before the arena's record */
#define ARENA_NAME "[anon: glibc: malloc arena" /* with decorate_maps */
#define RECORD_WINDOW 8192 /* the record and static TLS lie in the last pages of a stack */
#define RECORD_MIN 1024
#define LOADER_BYTES_MAX (UINT64_C(128) << 10)
#define V8_PAGE_BYTES (UINT64_C(256) << 10)

/* --- malloc -------------------------------------------------------------------------------- */

void weir__keep_heap(struct weir__patient *patient, const struct weir__heap *heap)
{
    if (patient->heap_count == WEIR__HEAPS_MAX)
        return;
    if (patient->heaps == NULL)
        patient->heaps = calloc(WEIR__HEAPS_MAX, sizeof *patient->heaps);
    if (patient->heaps != NULL)
        patient->heaps[patient->heap_count++] = *heap;
}

/* The words of struct _heap_info that all versions have. */
struct heap_info {
    uint64_t arena, previous, size, writable_size;
};

static bool is_heap(const struct weir__memory *memory, uint64_t address, struct heap_info *ret_info)
{
    struct heap_info info;
    if (!weir__memory_read(memory, address, &info, sizeof info))
        return false;
    if (info.size == 0 || info.size > info.writable_size || info.size % WEIR__PAGE != 0 ||
        info.writable_size % WEIR__PAGE != 0 || info.writable_size > WEIR__ARENA_BYTES ||
        info.arena % 16 != 0)
        return false;
    uint64_t first = weir_align_down(info.arena, WEIR__ARENA_BYTES);
    if (info.arena - first > ARENA_HEADER_MAX || info.arena == first)
        return false;
    /* The first heap of an arena holds its record and has none before it; later ones point back. */
    uint64_t word = 0;
    if (first == address
            ? info.previous != 0
            : info.previous % WEIR__ARENA_BYTES != 0 || info.previous == 0 ||
                  !weir__memory_read(memory, first, &word, sizeof word) || word != info.arena)
        return false;
    *ret_info = info;
    return true;
}

uint64_t weir__by_arena_header(const struct weir__place *place)
{
    struct heap_info info;
    struct weir__patient *patient = place->patient;
    bool is_own = weir__is_plain(place->area) || strncmp(weir__area_name(patient, place->area),
                                                         ARENA_NAME, sizeof ARENA_NAME - 1) == 0;
    if (!is_own || !place->area->writable || place->at % WEIR__ARENA_BYTES != 0 ||
        !is_heap(&patient->memory, place->at, &info))
        return 0;
    /* It may have grown since its area was read. */
    uint64_t end = place->at + info.writable_size;
    end = end < place->area->end ? end : place->area->end;
    struct weir__heap heap = {
        .start = place->at, .end = place->at + info.size, .arena = info.arena};
    struct weir__page_sums pages = {0};
    if (weir__memory_sum(&patient->memory, place->at, end, &pages))
        heap.rss = pages.resident;
    weir__keep_heap(patient, &heap);
    return end;
}

uint64_t weir__chunk_end(const struct weir__memory *memory, uint64_t at, uint64_t limit)
{
    uint64_t words[2]; /* what was cut off at the front for alignment, size and flags */
    if (limit - at < WEIR__PAGE || !weir__memory_read(memory, at, words, sizeof words))
        return 0;
    uint64_t size = words[1] & ~(uint64_t)CHUNK_FLAGS;
    if ((words[1] & CHUNK_FLAGS) != CHUNK_IS_MMAPPED || words[0] != 0 || size % WEIR__PAGE != 0 ||
        size == 0 || size > limit - at)
        return 0;
    return at + size;
}

uint64_t weir__by_chunk_header(const struct weir__place *place)
{
    const struct weir_doctor_snapshot *snapshot = place->patient->snapshot;
    if (!weir__is_plain(place->area) || (snapshot->is_go && !snapshot->has_glibc))
        return 0;
    return weir__chunk_end(&place->patient->memory, place->at, place->area->end);
}

/* When memory of somebody else's lies behind [heap], malloc maps pieces of its main heap
 * elsewhere (malloc/malloc.c: sysmalloc). V8 puts its code there in one of a hundred processes. */
uint64_t weir__by_glibc_piece(const struct weir__place *place)
{
    const struct weir__patient *patient = place->patient;
    const struct weir__heap *main = patient->heap_count > 0 ? &patient->heaps[0] : NULL;
    if (main == NULL || main->arena != 0 || !weir__is_plain(place->area) ||
        !weir__main_is_fenced(&patient->memory, main->end))
        return 0;
    return weir__main_piece_end(&patient->memory, place->at, place->area->end);
}

/* --- threads ------------------------------------------------------------------------------- */

/* A thread's control block near the end of [start, end): its first and third word point to it. */
static bool has_thread_record(const struct weir__memory *memory, uint64_t start, uint64_t end)
{
    uint64_t words[RECORD_WINDOW / sizeof(uint64_t)];
    /* The pages of a small block may not all be present; the last one holds the record's rest. */
    uint64_t window = end - start < sizeof words ? end - start : sizeof words;
    uint64_t from = end - window;
    if (window < RECORD_MIN + 24)
        return false;
    while (!weir__memory_read(memory, from, words, (size_t)window)) {
        if (window <= WEIR__PAGE)
            return false;
        window -= WEIR__PAGE;
        from += WEIR__PAGE;
    }
    size_t last = ((size_t)window - RECORD_MIN) / sizeof words[0];
    for (size_t i = 0; i < last; i += 2) {
        uint64_t here = from + i * sizeof words[0];
        if (words[i] == here && words[i + 2] == here)
            return true;
    }
    return false;
}

uint64_t weir__by_loader_tls(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    if (!weir__is_plain(area) || area->end - place->at > LOADER_BYTES_MAX ||
        weir__none_before(place) != 0 ||
        !has_thread_record(&place->patient->memory, place->at, area->end))
        return 0;
    return area->end;
}

uint64_t weir__by_thread_record(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    /* A stack has a guard below, or the flag that MAP_STACK gives on kernels from 6.7 on; what else
     * ends with a thread's record is memory before the loader's. */
    bool is_stack = weir__none_before(place) != 0 || (area->flags & WEIR_VMA_NO_HUGE) != 0;
    if (!weir__is_plain(area) || !is_stack)
        return 0;
    uint64_t left = area->end - place->at;
    uint64_t size = place->patient->stack_bytes;
    /* Other memory may be merged behind it; threads of one program tend to have one size. */
    const uint64_t sizes[] = {size, size > WEIR__PAGE ? size - WEIR__PAGE : 0, left,
                              place->patient->seen_stack_bytes};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i] >= 4 * WEIR__PAGE && sizes[i] <= left &&
            has_thread_record(&place->patient->memory, place->at, place->at + sizes[i])) {
            place->patient->seen_stack_bytes = sizes[i];
            return place->at + sizes[i];
        }
    return 0;
}

/* --- V8 ------------------------------------------------------------------------------------ */

uint64_t weir__v8_page_end(const struct weir__memory *memory, uint64_t at, uint64_t limit)
{
    uint64_t words[8]; /* size, flags, heap, area start, area end ...: the order has changed */
    if (at % V8_PAGE_BYTES != 0 || !weir__memory_read(memory, at, words, sizeof words))
        return 0;
    uint64_t size = words[0];
    if (size < WEIR__PAGE || size > limit - at || size % WEIR__PAGE != 0)
        return 0;
    for (size_t i = 1; i + 1 < sizeof words / sizeof words[0]; i++)
        if (words[i] > at && words[i] < words[i + 1] && words[i + 1] <= at + size &&
            words[i] - at < V8_PAGE_BYTES)
            return at + size;
    return 0;
}

uint64_t weir__by_v8_page(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    if (area->inode != 0 || area->name != 0 || area->shared || !area->readable)
        return 0;
    return weir__v8_page_end(&place->patient->memory, place->at, area->end);
}

/* --- CPython ------------------------------------------------------------------------------- */

/* struct pool_header (Objects/obmalloc.c, the same from 2.3 on). */
struct pool_head {
    uint64_t count;
    uint64_t free_block, next, previous;
    uint32_t arena_index, size_class, next_offset, max_next_offset;
};

/* Pools are 16 KiB in arenas of 1 MiB from 3.10 on, 4 KiB in 256 KiB before. */
static const struct {
    uint64_t pool_bytes, arena_bytes;
} PYTHON[] = {{16u << 10, 1u << 20}, {4u << 10, 256u << 10}};

/* Size classes are multiples of 16 bytes, or 8 before 3.7; the last offset follows from the class.
 */
static bool is_pool(const struct weir__memory *memory, uint64_t at, uint64_t pool_bytes)
{
    struct pool_head pool;
    if (!weir__memory_read(memory, at, &pool, sizeof pool) || pool.size_class >= 64 ||
        pool.count == 0 || pool.count > pool_bytes / 8 || pool.next_offset > pool_bytes)
        return false;
    uint64_t block = pool_bytes - pool.max_next_offset;
    uint64_t units = pool.size_class + 1;
    bool is_inside =
        pool.free_block == 0 || (pool.free_block > at && pool.free_block < at + pool_bytes);
    return is_inside && (block == units * 16 || block == units * 8);
}

/* Arenas that lie one behind the other, each told by its first pool. */
uint64_t weir__by_python_pool(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    const struct weir__memory *memory = &place->patient->memory;
    if (!weir__is_plain(area) || !place->patient->snapshot->has_python)
        return 0;
    for (size_t i = 0; i < sizeof PYTHON / sizeof PYTHON[0]; i++) {
        uint64_t pool = weir_align_up(place->at, PYTHON[i].pool_bytes);
        uint64_t end = place->at;
        while (end < area->end && pool < area->end && is_pool(memory, pool, PYTHON[i].pool_bytes)) {
            end += PYTHON[i].arena_bytes;
            pool += PYTHON[i].arena_bytes;
        }
        if (end != place->at)
            return end < area->end ? end : area->end;
    }
    return 0;
}

/* --- the rest ------------------------------------------------------------------------------ */

/* Words at the front of some pages in a row, as far as these are present. */
struct fronts {
    uint64_t start;
    size_t count;
    uint8_t states[WEIR__SPANS_MAX];
    uint64_t words[WEIR__SPANS_MAX][2]; /* of present pages, one behind the other */
};

static bool read_fronts(struct weir__patient *patient, uint64_t start, uint64_t end,
                        struct fronts *fronts)
{
    const struct weir__memory *memory = &patient->memory;
    struct weir__span spans[WEIR__SPANS_MAX];
    uint64_t pages = (end - start) / WEIR__PAGE;
    size_t present = 0;
    fronts->start = start;
    fronts->count = pages < WEIR__SPANS_MAX ? (size_t)pages : WEIR__SPANS_MAX;
    if (patient->search_pages < fronts->count ||
        !memory->pages(memory->context, start, fronts->count, fronts->states))
        return false;
    patient->search_pages -= fronts->count;
    for (size_t i = 0; i < fronts->count; i++)
        if ((fronts->states[i] & WEIR__PAGE_PRESENT) != 0)
            spans[present++] = (struct weir__span){start + i * WEIR__PAGE, sizeof fronts->words[0]};
    return present == 0 || memory->read(memory->context, spans, present, fronts->words);
}

/* The first page that may begin something: cheap here, settled by the rules. */
static uint64_t find_front(const struct weir__place *place, const struct fronts *fronts)
{
    const uint64_t(*words)[2] = fronts->words;
    struct weir__place next = *place;
    for (size_t i = 0; i < fronts->count; i++) {
        if ((fronts->states[i] & WEIR__PAGE_PRESENT) == 0)
            continue;
        next.at = fronts->start + i * WEIR__PAGE;
        bool may_be_chunk =
            (*words)[0] == 0 && ((*words)[1] & (WEIR__PAGE - 1)) == CHUNK_IS_MMAPPED;
        bool may_be_page = next.at % V8_PAGE_BYTES == 0 && (*words)[0] % WEIR__PAGE == 0;
        words++;
        bool may_be_pool =
            place->patient->snapshot->has_python && next.at % PYTHON[0].pool_bytes == 0;
        if ((may_be_pool && weir__by_python_pool(&next) != 0) ||
            (may_be_chunk && weir__by_chunk_header(&next) != 0) ||
            (may_be_page && weir__by_v8_page(&next) != 0))
            return next.at;
    }
    return 0;
}

/* Up to the next place where a structure of an owner begins. */
uint64_t weir__by_anything(const struct weir__place *place)
{
    struct weir__patient *patient = place->patient;
    const struct weir__area *area = place->area;
    struct fronts fronts;
    if (!weir__is_plain(area) || !patient->snapshot->can_read_memory)
        return area->end;
    for (uint64_t at = place->at + WEIR__PAGE;
         at < area->end && read_fronts(patient, at, area->end, &fronts);
         at += fronts.count * WEIR__PAGE) {
        uint64_t found = find_front(place, &fronts);
        if (found != 0)
            return found;
    }
    return area->end;
}
