/* Rules that go by place, size, neighbours and VmFlags. Anchored on the start of what is writable:
 * inaccessible tails of neighbours merge. */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"
#include "base/proc_smaps.h"

#include <string.h>

#define GO_FIRST UINT64_C(0xc000000000)    /* runtime/malloc.go: the first place Go asks for */
#define GO_LAST UINT64_C(0x10000000000)    /* 256 GiB of heap */
#define MIMALLOC_FIRST (UINT64_C(2) << 40) /* src/os.c: MI_HINT_BASE to MI_HINT_MAX */
#define MIMALLOC_LAST (UINT64_C(30) << 40)
#define TCMALLOC_TAG_SHIFT 42
#define HUGE_PAGE (UINT64_C(2) << 20)
#define V8_PAGE_BYTES (UINT64_C(256) << 10)
#define GUARD_BYTES_MAX (UINT64_C(64) << 10)
#define WEIR_RESERVATION (4 * WEIR__GIB + 32 * WEIR__MIB)
#define WEIR_PARTS_MAX 16
#define WASMER_RESERVATION (6 * WEIR__GIB)
#define WASMTIME_GUARD (32 * WEIR__MIB)

static bool has_flag(const struct weir__area *area, uint32_t flag)
{
    return (area->flags & flag) != 0;
}

/* From the area's start to the end of what is inaccessible behind it. */
static uint64_t reservation(const struct weir__place *place)
{
    uint64_t none = weir__none_after(place);
    if (none == 0 || place->at != place->area->start || !weir__is_plain(place->area))
        return 0;
    return place->area->end - place->area->start + none;
}

static uint64_t whole(const struct weir__place *place, bool is_match)
{
    return is_match ? place->area->end : 0;
}

/* --- generated code ------------------------------------------------------------------------ */

uint64_t weir__by_jit(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    return whole(place, area->executable && area->inode == 0 && area->name == 0);
}

uint64_t weir__by_v8_code(const struct weir__place *place)
{
    return whole(place, weir__by_jit(place) != 0 && place->patient->snapshot->has_v8 &&
                            has_flag(place->area, WEIR_VMA_DONTCOPY));
}

/* --- Wasm memories ------------------------------------------------------------------------- */

uint64_t weir__by_v8_wasm(const struct weir__place *place)
{
    return whole(place,
                 reservation(place) >= 4 * WEIR__GIB && has_flag(place->area, WEIR_VMA_DONTCOPY));
}

/* One of Weir's memories: accessible memory, within it perhaps private mappings of the artifact
 * (its initial image), then what is inaccessible, together exactly one reservation without huge
 * pages. */
static bool is_weir_part(const struct weir__area *area)
{
    return weir__is_plain(area)
               ? has_flag(area, WEIR_VMA_NO_HUGE)
               : area->inode != 0 && area->writable && !area->shared && !area->executable;
}

static bool is_in_weir_memory(const struct weir__place *place)
{
    const struct weir__area *first = place->patient->areas;
    const struct weir__area *last = first + place->patient->area_count - 1;
    const struct weir__area *at = place->area;
    for (int i = 0; i < WEIR_PARTS_MAX && is_weir_part(at) && at < last && at->end == at[1].start;
         i++)
        at++;
    if (at->readable || !has_flag(at, WEIR_VMA_NO_HUGE) || at->inode != 0)
        return false;
    uint64_t start = at->end - WEIR_RESERVATION;
    for (at = place->area; at > first && at->start > start && at[-1].end == at->start; at--)
        if (!is_weir_part(&at[-1]))
            break;
    return at->start == start;
}

uint64_t weir__by_weir_memory(const struct weir__place *place)
{
    return whole(place, place->at == place->area->start && is_weir_part(place->area) &&
                            is_in_weir_memory(place));
}

/* Stacks, arenas and tables of the host itself, which are mapped without huge pages. */
uint64_t weir__by_weir_own(const struct weir__place *place)
{
    const char *slash = strrchr(place->patient->snapshot->program, '/');
    return whole(place, slash != NULL && strncmp(slash, "/weir-", 6) == 0 &&
                            weir__is_plain(place->area) && has_flag(place->area, WEIR_VMA_NO_HUGE));
}

uint64_t weir__by_wasmtime_memory(const struct weir__place *place)
{
    uint64_t size = reservation(place);
    return whole(place,
                 weir__none_before(place) >= WASMTIME_GUARD &&
                     (size == WEIR_RESERVATION || size == WEIR_RESERVATION + WASMTIME_GUARD));
}

uint64_t weir__by_wasmer_memory(const struct weir__place *place)
{
    return whole(place, reservation(place) == WASMER_RESERVATION);
}

uint64_t weir__by_wamr_memory(const struct weir__place *place)
{
    uint64_t size = reservation(place);
    return whole(place, size >= 8 * WEIR__GIB && size <= 8 * WEIR__GIB + 64 * WEIR__MIB &&
                            has_flag(place->area, WEIR_VMA_HUGE));
}

/* Three writable fronts at the same distance of 4 GiB or more. */
uint64_t weir__by_wasm_pool(const struct weir__place *place)
{
    const struct weir__patient *patient = place->patient;
    if (reservation(place) < 4 * WEIR__GIB ||
        has_flag(place->area, WEIR_VMA_HUGE | WEIR_VMA_NO_HUGE))
        return 0;
    uint64_t starts[5] = {0};
    size_t count = 0;
    size_t first = place->index >= 4 ? place->index - 4 : 0;
    for (size_t i = first; i < patient->area_count && i <= place->index + 4 && count < 5; i++)
        if (weir__is_plain(&patient->areas[i]))
            starts[count++] = patient->areas[i].start;
    for (size_t i = 0; i + 2 < count; i++) {
        uint64_t step = starts[i + 1] - starts[i];
        bool is_here =
            starts[i] == place->at || starts[i + 1] == place->at || starts[i + 2] == place->at;
        if (is_here && step >= 4 * WEIR__GIB && step != WEIR_RESERVATION + WASMTIME_GUARD &&
            step != WASMER_RESERVATION && step == starts[i + 2] - starts[i + 1])
            return place->area->end;
    }
    return 0;
}

uint64_t weir__by_reservation(const struct weir__place *place)
{
    return whole(place, reservation(place) >= 4 * WEIR__GIB &&
                            place->area->start % (64 << 10) % WEIR__PAGE == 0);
}

/* --- Go ------------------------------------------------------------------------------------ */

uint64_t weir__by_go_arena(const struct weir__place *place)
{
    return whole(place, place->patient->snapshot->is_go && weir__is_plain(place->area) &&
                            place->at >= GO_FIRST && place->at < GO_LAST);
}

/* Elsewhere when that place is taken, and at random from Go 1.26 on: still whole arenas, accessible
 * from some place on. */
uint64_t weir__by_go_random(const struct weir__place *place)
{
    if (!place->patient->snapshot->is_go || !weir__is_plain(place->area) ||
        has_flag(place->area, WEIR_VMA_NORESERVE))
        return 0;
    struct weir__run run = weir__run_around(place);
    return whole(place, run.has_none && run.start % WEIR__ARENA_BYTES == 0 &&
                            run.end % WEIR__ARENA_BYTES == 0);
}

/* k chunks of 64 MiB, mapped one by one, that the kernel has merged with each other and with small
 * mappings of the runtime. Kernels from 6.7 on align them to huge pages. */
uint64_t weir__by_mmap_64m(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    uint64_t left = area->end - place->at;
    if (!place->patient->snapshot->is_go || !weir__is_plain(area) || left < WEIR__ARENA_BYTES)
        return 0;
    uint64_t aligned = weir_align_up(place->at, HUGE_PAGE);
    if (aligned != place->at && area->end - aligned >= left / WEIR__ARENA_BYTES * WEIR__ARENA_BYTES)
        return 0; /* small mappings lie in front: go-metadata ends where the chunks begin */
    return place->at + left / WEIR__ARENA_BYTES * WEIR__ARENA_BYTES;
}

uint64_t weir__by_go_metadata(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    if (!place->patient->snapshot->is_go || !weir__is_plain(area))
        return 0;
    uint64_t left = area->end - place->at;
    if (left < WEIR__ARENA_BYTES)
        return area->end;
    return weir_align_up(place->at + 1, HUGE_PAGE);
}

/* --- other allocators ---------------------------------------------------------------------- */

uint64_t weir__by_mimalloc(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    return whole(place,
                 weir__is_plain(area) && area->start >= MIMALLOC_FIRST &&
                     area->start < MIMALLOC_LAST &&
                     (place->patient->snapshot->has_mimalloc ||
                      (has_flag(area, WEIR_VMA_NORESERVE) && area->start % (32 * WEIR__MIB) == 0)));
}

uint64_t weir__by_jemalloc(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    return whole(place, place->patient->snapshot->has_jemalloc && weir__is_plain(area) &&
                            (has_flag(area, WEIR_VMA_NORESERVE) || !area->has_flags ||
                             area->start % HUGE_PAGE == 0));
}

uint64_t weir__by_tcmalloc(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    bool is_tagged = area->start >> TCMALLOC_TAG_SHIFT != 0 && area->start % WEIR__GIB == 0 &&
                     area->start < (UINT64_C(0x7000) << 32);
    return whole(place, weir__is_plain(area) && (place->patient->snapshot->has_tcmalloc ||
                                                 (is_tagged && weir__none_after(place) != 0 &&
                                                  reservation(place) == WEIR__GIB)));
}

/* --- without a look into the memory -------------------------------------------------------- */

uint64_t weir__by_v8_shape(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    return whole(place, place->patient->snapshot->has_v8 && area->inode == 0 && area->name == 0 &&
                            area->readable && !area->executable &&
                            area->start % V8_PAGE_BYTES == 0 && has_flag(area, WEIR_VMA_DONTCOPY));
}

uint64_t weir__by_arena_shape(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    uint64_t size = area->end - area->start;
    return whole(
        place,
        weir__is_plain(area) && area->start % WEIR__ARENA_BYTES == 0 &&
            has_flag(area, WEIR_VMA_NORESERVE) && !has_flag(area, WEIR_VMA_ACCOUNTED) &&
            (size == WEIR__ARENA_BYTES ||
             (size < WEIR__ARENA_BYTES && size + weir__none_after(place) >= WEIR__ARENA_BYTES)));
}

/* A guard below, or (glibc 2.42, which guards without an area) the flag and the very size. */
uint64_t weir__by_stack_shape(const struct weir__place *place)
{
    const struct weir__area *area = place->area;
    uint64_t limit = place->patient->stack_bytes;
    uint64_t left = area->end - place->at;
    uint64_t guard = weir__none_before(place);
    bool is_no_huge = has_flag(area, WEIR_VMA_NO_HUGE) && has_flag(area, WEIR_VMA_ACCOUNTED);
    if (!weir__is_plain(area) || limit == 0 || has_flag(area, WEIR_VMA_NORESERVE))
        return 0;
    if (guard != 0 && guard <= GUARD_BYTES_MAX && (left == limit || left == limit - guard))
        return area->end;
    /* Of another size than the limit says: where the memory was read, a record would tell. */
    if (is_no_huge && guard != 0 && guard <= GUARD_BYTES_MAX &&
        !place->patient->snapshot->can_read_memory)
        return area->end;
    return is_no_huge && left % limit == 0 ? place->at + limit : 0;
}
