/* A walk over glibc's chunks in another process's heaps, without its help (malloc/malloc.c: struct
 * malloc_chunk; the same from 2.3 on). A chunk's size leads to the next one; whether it is in use
 * stands in the next one's PREV_INUSE bit, and a free chunk's size is repeated there. The last
 * chunk of a heap is the top chunk, which ends where the heap ends.
 *
 * The process runs meanwhile and its memory is untrusted: each size must be aligned, at least the
 * smallest and within the heap, each free chunk's two sizes must agree, the flags must be possible,
 * and the chain must end exactly at the end. A heap that fails is begun again a few times and then
 * is lost: nothing of it is counted. Pages that are not present are never read, so a heap with a
 * header in swap is lost too.
 */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define PREV_INUSE 1u
#define IS_MMAPPED 2u
#define NON_MAIN_ARENA 4u
#define FLAGS 7u
#define HEADER 16u
#define CHUNK_MIN 32u
#define GROWTH_BYTES_MAX (UINT64_C(64) << 20) /* of the main heap while it is walked */
#define MAIN_BYTES_MAX (UINT64_C(1) << 40)
#define MAIN_PIECE_MIN (UINT64_C(128) << 10) /* what sysmalloc adds to what was asked for */
#define FREE_HEADER 48u /* of a large free chunk: sizes and four links */
#define FENCE_BYTES_MAX 64u
#define WINDOW_PAGES 64u
#define WINDOW_BYTES (WINDOW_PAGES * WEIR__PAGE)
#define WINDOW_PAGES_SMALL 4u /* where the process is at work */
#define CHECKPOINT_CHUNKS 64
#define FIRST_CHUNKS 4 /* that must be in order for a heap to be one */
#define BRK_SEARCH_BYTES (UINT64_C(64) << 10)
#define ARENA_RECORD_MIN 2048u /* struct malloc_state is 2,200 bytes in 2.27 to 2.41 */
#define ARENA_RECORD_MAX 2432u
/* struct tcache_perthread_struct of 2.30 to 2.41, in a chunk of its own: 64 counts, 64 lists. */
#define TCACHE_CHUNK 0x290u
#define TCACHE_BINS 64u
#define TCACHE_BYTES (TCACHE_BINS * (sizeof(uint16_t) + sizeof(uint64_t)))

struct walker {
    const struct weir__memory *memory;
    const struct weir__heap *heap;
    uint64_t *budget;
    struct weir_doctor_malloc found;
    uint64_t spent_at; /* the chunk at which the budget ended; 0: it did not */
    bool is_spent;
    size_t pages_max; /* of the next window */
    uint64_t window;  /* address of what `bytes` holds; 0: nothing */
    uint64_t window_size;
    uint8_t states[WINDOW_PAGES];
    uint8_t bytes[WINDOW_BYTES];
};

/* --- window -------------------------------------------------------------------------------- */

static bool load(struct walker *w, uint64_t at)
{
    uint64_t start = weir_align_down(at, WEIR__PAGE);
    uint64_t left = weir_align_up(w->heap->end, WEIR__PAGE) - start;
    size_t pages = left / WEIR__PAGE < w->pages_max ? (size_t)(left / WEIR__PAGE) : w->pages_max;
    w->pages_max = 2 * w->pages_max < WINDOW_PAGES ? 2 * w->pages_max : WINDOW_PAGES;
    struct weir__span spans[WINDOW_PAGES];
    size_t count = 0;
    w->window = 0;
    w->is_spent |= *w->budget < pages * WEIR__PAGE;
    if (pages == 0 || w->is_spent || !w->memory->pages(w->memory->context, start, pages, w->states))
        return false;
    *w->budget -= pages * WEIR__PAGE;
    for (size_t i = 0; i < pages; i++) {
        if ((w->states[i] & WEIR__PAGE_PRESENT) == 0)
            continue;
        if (count > 0 && spans[count - 1].address + spans[count - 1].size == start + i * WEIR__PAGE)
            spans[count - 1].size += WEIR__PAGE;
        else
            spans[count++] = (struct weir__span){start + i * WEIR__PAGE, WEIR__PAGE};
    }
    if (count == 0 || !w->memory->read(w->memory->context, spans, count, w->bytes))
        return false;
    /* Spread what came packed, from the back. */
    uint64_t packed = 0;
    for (size_t i = 0; i < count; i++)
        packed += spans[i].size;
    for (size_t i = count; i-- > 0;) {
        packed -= spans[i].size;
        memmove(w->bytes + (spans[i].address - start), w->bytes + packed, (size_t)spans[i].size);
    }
    w->window = start;
    w->window_size = pages * WEIR__PAGE;
    return true;
}

/* `size` bytes at `at`, which must be present; NULL else. */
static const uint8_t *look(struct walker *w, uint64_t at, uint64_t size)
{
    if (at < w->heap->start || size > w->heap->end - at)
        return NULL;
    bool is_inside =
        w->window != 0 && at >= w->window && weir_range_fits(at - w->window, size, w->window_size);
    if (!is_inside && !load(w, at))
        return NULL;
    if (!weir_range_fits(at - w->window, size, w->window_size))
        return NULL;
    for (uint64_t page = (at - w->window) / WEIR__PAGE;
         page <= (at - w->window + size - 1) / WEIR__PAGE; page++)
        if ((w->states[page] & WEIR__PAGE_PRESENT) == 0)
            return NULL;
    return w->bytes + (at - w->window);
}

/* --- chunks -------------------------------------------------------------------------------- */

struct chunk {
    uint64_t at;
    uint64_t previous_size;
    uint64_t size; /* without flags */
    unsigned flags;
};

/* A header is 16-byte aligned, so it lies in one page; nearly all are in the window already. */
static inline bool read_chunk(struct walker *w, uint64_t at, struct chunk *ret_chunk)
{
    uint64_t offset = at - w->window;
    bool is_here = w->window != 0 && offset < w->window_size && at < w->heap->end &&
                   (w->states[offset / WEIR__PAGE] & WEIR__PAGE_PRESENT) != 0;
    const uint8_t *bytes = is_here ? w->bytes + offset : look(w, at, HEADER);
    if (bytes == NULL)
        return false;
    uint64_t size = weir_load_u64(bytes + 8);
    *ret_chunk =
        (struct chunk){at, weir_load_u64(bytes), size & ~(uint64_t)FLAGS, (unsigned)(size & FLAGS)};
    return true;
}

/* May stand in this heap. */
static bool is_possible(const struct walker *w, const struct chunk *chunk)
{
    bool is_main = w->heap->arena == 0;
    return chunk->size >= CHUNK_MIN && chunk->size % 16 == 0 && (chunk->flags & IS_MMAPPED) == 0 &&
           !(is_main && (chunk->flags & NON_MAIN_ARENA) != 0) &&
           chunk->size <= (is_main ? MAIN_BYTES_MAX : WEIR__ARENA_BYTES);
}

/* Where an arena's heap ends now: the third word of its head. */
static uint64_t current_end(const struct walker *w)
{
    uint64_t size = 0;
    bool is_read = weir__memory_read(w->memory, w->heap->start + 16, &size, sizeof size);
    return is_read && size <= WEIR__ARENA_BYTES ? w->heap->start + size : 0;
}

/* The last chunk: it ends where the heap ended when it was looked at, or where that end has moved
 * to since. */
static bool is_top(const struct walker *w, const struct chunk *chunk)
{
    uint64_t end = chunk->at + chunk->size;
    uint8_t state = 0;
    if (end == w->heap->end)
        return true;
    if (end % WEIR__PAGE != 0 || (chunk->flags & PREV_INUSE) == 0)
        return false;
    if (w->heap->arena != 0)
        return end == current_end(w);
    if (end > w->heap->end)
        return end - w->heap->end <= GROWTH_BYTES_MAX;
    return (w->memory->pages(w->memory->context, end, 1, &state) &&
            (state & (WEIR__PAGE_PRESENT | WEIR__PAGE_SWAPPED)) == 0);
}

/* The end of a heap that is not its arena's last: a chunk of 16 bytes and one of none. Of [heap],
 * when it cannot grow because somebody's memory lies behind it: two of 16. */
static bool is_fence(const struct walker *w, const struct chunk *chunk)
{
    return chunk->size <= HEADER && w->heap->end - chunk->at <= FENCE_BYTES_MAX;
}

/* Whole pages between `from` and `to` that are present. */
static bool resident_pages(struct walker *w, uint64_t from, uint64_t to, uint64_t *ret_bytes)
{
    uint64_t first = weir_align_up(from, WEIR__PAGE);
    uint64_t last = weir_align_down(to, WEIR__PAGE);
    struct weir__page_sums sums = {0};
    if (first < last && !weir__memory_sum(w->memory, first, last, &sums))
        return false;
    *ret_bytes += sums.resident;
    return true;
}

static bool count_free(struct walker *w, const struct chunk *chunk, bool is_top)
{
    w->found.free_bytes += chunk->size;
    w->found.free_count++;
    return resident_pages(w, chunk->at + (is_top ? HEADER : FREE_HEADER), chunk->at + chunk->size,
                          &w->found.free_resident_bytes);
}

/* What a thread keeps back for itself, if this chunk is its list of it. */
static void count_cached(struct walker *w, const struct chunk *chunk)
{
    const uint8_t *bytes = look(w, chunk->at + HEADER, TCACHE_BYTES);
    uint64_t sum = 0;
    if (bytes == NULL)
        return;
    for (size_t i = 0; i < TCACHE_BINS; i++) {
        uint64_t count = weir_load_u16(bytes + i * sizeof(uint16_t));
        uint64_t list = weir_load_u64(bytes + TCACHE_BINS * sizeof(uint16_t) + i * sizeof list);
        if ((count == 0) != (list == 0) || list % 16 != 0)
            return;
        sum += count * (CHUNK_MIN + 16 * i);
    }
    w->found.cached_bytes += sum;
}

enum step {
    STEP_ON,
    STEP_END,
    STEP_WRONG /* nothing was counted */
};

/* Counts one chunk and goes on to the next. */
static enum step pass(struct walker *w, struct chunk *chunk)
{
    struct chunk next;
    if (is_fence(w, chunk))
        return STEP_END;
    if (!is_possible(w, chunk))
        return STEP_WRONG;
    if (is_top(w, chunk))
        return count_free(w, chunk, true) ? STEP_END : STEP_WRONG;
    if (!read_chunk(w, chunk->at + chunk->size, &next)) {
        w->spent_at = w->is_spent ? chunk->at : 0;
        return w->is_spent ? STEP_END : STEP_WRONG;
    }
    if ((next.flags & PREV_INUSE) != 0) {
        w->found.live_bytes += chunk->size;
        w->found.chunk_count++;
        if (chunk->size == TCACHE_CHUNK)
            count_cached(w, chunk);
    } else if (next.previous_size != chunk->size || !count_free(w, chunk, false)) {
        return STEP_WRONG;
    }
    *chunk = next;
    return STEP_ON;
}

/* A place that a walk can go back to. */
struct checkpoint {
    uint64_t at;
    struct weir_doctor_malloc found;
};

static bool go_back(struct walker *w, const struct checkpoint *to, struct chunk *chunk)
{
    w->found = to->found;
    w->pages_max = WINDOW_PAGES_SMALL;
    return load(w, to->at) && read_chunk(w, to->at, chunk);
}

/* From the first chunk to the end. What the process changes meanwhile does not fit the window that
 * was copied before: then the place is read once more, as it is now, in a smaller window; and when
 * the chunk itself is gone (merged with the one before), the walk goes back a little. */
static bool walk_chunks(struct walker *w, uint64_t first)
{
    struct chunk chunk;
    if (!read_chunk(w, first, &chunk) || (chunk.flags & PREV_INUSE) == 0)
        return false;
    struct checkpoint back = {.at = first};
    struct checkpoint recent = back;
    int tries = 0;
    for (unsigned passed = 1;; passed++) {
        struct checkpoint here = {chunk.at, w->found};
        enum step step = pass(w, &chunk);
        if (step == STEP_END)
            return true;
        if (step == STEP_ON && passed % CHECKPOINT_CHUNKS == 0) {
            back = recent;
            recent = here;
            tries = 0;
        }
        if (step == STEP_ON)
            continue;
        const struct checkpoint *to = ++tries % 2 == 1 ? &here : &back;
        if (tries > WEIR__STEP_TRIES || w->is_spent || !go_back(w, to, &chunk))
            return false;
    }
}

/* A few chunks in order from `at` on. */
static bool is_chain(struct walker *w, uint64_t at)
{
    struct chunk chunk;
    if (!read_chunk(w, at, &chunk) || (chunk.flags & PREV_INUSE) == 0)
        return false;
    for (int i = 0; i < FIRST_CHUNKS; i++) {
        if (!is_possible(w, &chunk))
            return is_fence(w, &chunk) && i > 0;
        uint64_t size = chunk.size;
        if (is_top(w, &chunk))
            return true;
        if (!read_chunk(w, chunk.at + size, &chunk) ||
            ((chunk.flags & PREV_INUSE) == 0 && chunk.previous_size != size))
            return false;
    }
    return true;
}

/* --- heaps --------------------------------------------------------------------------------- */

static struct walker *new_walker(const struct weir__memory *memory, const struct weir__heap *heap,
                                 uint64_t *budget)
{
    struct walker *w = malloc(sizeof *w);
    if (w == NULL)
        return NULL;
    memset(w, 0, offsetof(struct walker, states));
    w->memory = memory;
    w->heap = heap;
    w->budget = budget;
    w->pages_max = WINDOW_PAGES;
    return w;
}

bool weir__heap_first_chunk(const struct weir__memory *memory, uint64_t start, uint64_t end,
                            uint64_t *ret_first)
{
    uint64_t budget = 2 * WINDOW_BYTES;
    struct weir__heap heap = {.start = start, .end = end};
    struct walker *w = new_walker(memory, &heap, &budget);
    uint64_t last = end - start > BRK_SEARCH_BYTES ? start + BRK_SEARCH_BYTES : end;
    bool is_found = w != NULL && is_chain(w, start);
    uint64_t at = start;
    /* A static program's loader takes some first. malloc's own first chunk is a list of tcache. */
    while (w != NULL && !is_found && at + HEADER < last) {
        at += 16;
        const uint8_t *bytes = look(w, at, HEADER);
        is_found = bytes != NULL && weir_load_u64(bytes + 8) == (TCACHE_CHUNK | PREV_INUSE) &&
                   is_chain(w, at);
    }
    free(w);
    if (is_found)
        *ret_first = at;
    return is_found;
}

bool weir__main_is_fenced(const struct weir__memory *memory, uint64_t end)
{
    uint64_t words[4];
    return weir__memory_read(memory, end - sizeof words, words, sizeof words) &&
           (words[1] & ~(uint64_t)PREV_INUSE) == HEADER && words[3] == (HEADER | PREV_INUSE);
}

/* As far as chunks are in order from `at` on: to the limit, to a fence, or to where a top chunk
 * ends and something else begins. */
static uint64_t chain_end(struct walker *w, uint64_t at)
{
    struct chunk chunk;
    uint64_t size = 0; /* of the one before */
    while (at < w->heap->end && read_chunk(w, at, &chunk)) {
        bool is_linked = (chunk.flags & PREV_INUSE) != 0 || chunk.previous_size == size;
        if (is_linked && chunk.size == HEADER) {
            uint64_t end = weir_align_up(at + HEADER, WEIR__PAGE);
            return end - at <= FENCE_BYTES_MAX ? end : at;
        }
        if (!is_linked || !is_possible(w, &chunk) || chunk.size > w->heap->end - at)
            break;
        size = chunk.size;
        at += size;
    }
    return at;
}

uint64_t weir__main_piece_end(const struct weir__memory *memory, uint64_t start, uint64_t limit)
{
    struct weir__heap heap = {.start = start, .end = limit};
    uint64_t end = 0;
    if (limit - start < MAIN_PIECE_MIN)
        return 0;
    for (int i = 0; i < WEIR__WALK_TRIES && end == 0; i++) {
        uint64_t budget = WEIR__WALK_BYTES_MAX;
        struct walker *w = new_walker(memory, &heap, &budget);
        if (w == NULL)
            return 0;
        struct chunk first;
        if (read_chunk(w, start, &first) && (first.flags & PREV_INUSE) != 0)
            end = chain_end(w, start);
        free(w);
        if (end % WEIR__PAGE != 0 || end - start < MAIN_PIECE_MIN)
            end = 0;
    }
    return end;
}

/* Behind the arena's record, or behind the heap's own head. */
static bool first_of_arena(struct walker *w, uint64_t *ret_first)
{
    const struct weir__heap *heap = w->heap;
    uint64_t base = weir_align_down(heap->arena, WEIR__ARENA_BYTES);
    if (base != heap->start) {
        *ret_first = weir_align_up(heap->start + (heap->arena - base), 16);
        return is_chain(w, *ret_first);
    }
    for (uint64_t size = ARENA_RECORD_MIN; size <= ARENA_RECORD_MAX; size += 16) {
        uint64_t at = weir_align_up(heap->arena + size, 16);
        if (!is_chain(w, at))
            continue;
        *ret_first = at;
        return true;
    }
    return false;
}

static void add_found(struct weir_doctor_malloc *sum, const struct weir_doctor_malloc *found)
{
    sum->live_bytes += found->live_bytes;
    sum->free_bytes += found->free_bytes;
    sum->system_bytes += found->live_bytes + found->free_bytes;
    sum->free_resident_bytes += found->free_resident_bytes;
    sum->chunk_count += found->chunk_count;
    sum->free_count += found->free_count;
    sum->cached_bytes += found->cached_bytes;
    sum->heap_count++;
}

bool weir__heap_walk(const struct weir__memory *memory, const struct weir__heap *heap,
                     uint64_t *budget, struct weir_doctor_malloc *sum)
{
    bool is_done = false;
    struct weir__heap now = *heap;
    struct walker *w = new_walker(memory, &now, budget);
    for (int i = 0; w != NULL && i < WEIR__WALK_TRIES && !is_done; i++) {
        uint64_t first = now.start;
        uint64_t end = now.arena != 0 ? current_end(w) : now.end;
        now.end = end != 0 ? end : now.end;
        w->window = 0;
        w->found = (struct weir_doctor_malloc){0};
        is_done = (now.arena == 0 || first_of_arena(w, &first)) && walk_chunks(w, first);
    }
    if (is_done)
        add_found(sum, &w->found);
    if (is_done && w->spent_at != 0)
        sum->lost_bytes += (uint64_t)((double)heap->rss * (double)(now.end - w->spent_at) /
                                      (double)(now.end - now.start));
    free(w);
    return is_done;
}

/* --- all ----------------------------------------------------------------------------------- */

static void conclude(struct weir_doctor_malloc *sum, uint64_t lost_heaps, bool can_read)
{
    if (sum->heap_count == 0 && lost_heaps == 0)
        return;
    sum->state = lost_heaps == 0        ? WEIR_DOCTOR_WALK_WHOLE
                 : !can_read            ? WEIR_DOCTOR_WALK_REFUSED
                 : sum->heap_count == 0 ? WEIR_DOCTOR_WALK_LOST
                                        : WEIR_DOCTOR_WALK_PART;
}

/* Arenas that are as many heaps, by their records. */
static uint64_t count_arenas(const struct weir__patient *patient)
{
    uint64_t count = 0;
    for (size_t i = 0; i < patient->heap_count; i++) {
        const struct weir__heap *heap = &patient->heaps[i];
        count += heap->arena != 0 && weir_align_down(heap->arena, WEIR__ARENA_BYTES) == heap->start;
    }
    return count;
}

static bool main_is_listed(const struct weir__patient *patient)
{
    return patient->heap_count != 0 && patient->heaps[0].arena == 0;
}

void weir__malloc_walk(struct weir__patient *patient)
{
    struct weir_doctor_snapshot *snapshot = patient->snapshot;
    bool can_read = snapshot->can_read_memory && snapshot->can_read_pages;
    uint64_t arenas_rss = 0;
    for (size_t i = 0; i < patient->heap_count; i++)
        arenas_rss += patient->heaps[i].arena != 0 ? patient->heaps[i].rss : 0;
    /* When not all can be walked, every n-th heap is: arenas are alike, so the sample is fair. */
    uint64_t step = arenas_rss / WEIR__WALK_BYTES_MAX + 1;
    uint64_t budget = WEIR__WALK_BYTES_MAX;
    uint64_t main_budget = WEIR__WALK_BYTES_MAX;
    uint64_t lost[2] = {0};
    for (size_t i = 0; i < patient->heap_count; i++) {
        const struct weir__heap *heap = &patient->heaps[i];
        bool is_main = heap->arena == 0;
        struct weir_doctor_malloc *sum = is_main ? &snapshot->main_heap : &snapshot->arenas;
        bool is_left_out = !is_main && i % step != 0;
        uint64_t lost_before = sum->lost_bytes;
        if (is_left_out ||
            !weir__heap_walk(&patient->memory, heap, is_main ? &main_budget : &budget, sum))
            sum->lost_bytes += heap->rss;
        lost[is_main ? 0 : 1] += sum->lost_bytes != lost_before;
    }
    /* Heaps that only their shape or name tells were not listed. */
    uint64_t arena_heaps = patient->heap_count - (main_is_listed(patient) ? 1 : 0);
    const struct weir_doctor_sum *sums = snapshot->sums;
    if (!main_is_listed(patient)) {
        lost[0] += sums[WEIR_DOCTOR_MALLOC_MAIN].rss_bytes != 0;
        snapshot->main_heap.lost_bytes = sums[WEIR_DOCTOR_MALLOC_MAIN].rss_bytes;
    } else if (sums[WEIR_DOCTOR_MALLOC_MAIN].rss_bytes > patient->heaps[0].rss) {
        lost[0]++; /* pieces elsewhere; which one's last chunk is the top cannot be told */
        snapshot->main_heap.lost_bytes +=
            sums[WEIR_DOCTOR_MALLOC_MAIN].rss_bytes - patient->heaps[0].rss;
    }
    if (sums[WEIR_DOCTOR_MALLOC_ARENA].count > arena_heaps) {
        uint64_t rss = sums[WEIR_DOCTOR_MALLOC_ARENA].rss_bytes;
        lost[1]++;
        snapshot->arenas.lost_bytes += rss > arenas_rss ? rss - arenas_rss : 0;
    }
    conclude(&snapshot->main_heap, lost[0], can_read);
    conclude(&snapshot->arenas, lost[1], can_read);
    snapshot->arena_count = count_arenas(patient);
}
