/* Rules that go by names: the kernel's, those of owners, files, and the zeroed data behind them. */
#include "doctor/doctor_internal.h"

#include <string.h>

#define BSS_BESIDE_MAX (UINT64_C(4) << 20)

static bool has_name(const struct weir__place *place, const char *prefix)
{
    const char *name = weir__area_name(place->patient, place->area);
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static uint64_t whole(const struct weir__place *place, bool is_match)
{
    return is_match ? place->area->end : 0;
}

uint64_t weir__by_name(const struct weir__place *place)
{
    return whole(place, place->area->name != 0 && has_name(place, place->argument));
}

uint64_t weir__by_tcmalloc_brk(const struct weir__place *place)
{
    return whole(place, place->patient->snapshot->has_tcmalloc && has_name(place, "[heap"));
}

/* Remembers the main heap; one that was cut into several areas is one. */
static void keep_main(struct weir__patient *patient, const struct weir__area *area, uint64_t first)
{
    if (patient->heap_count > 0 && patient->heaps[0].arena == 0) {
        if (patient->heaps[0].end == area->start) {
            patient->heaps[0].end = area->end;
            patient->heaps[0].rss += area->rss;
        }
        return;
    }
    struct weir__heap heap = {.start = first, .end = area->end, .rss = area->rss};
    weir__keep_heap(patient, &heap);
}

uint64_t weir__by_glibc_brk(const struct weir__place *place)
{
    uint64_t first = 0;
    struct weir__patient *patient = place->patient;
    if (!has_name(place, "[heap"))
        return 0;
    const struct weir__heap *main = patient->heap_count > 0 ? &patient->heaps[0] : NULL;
    bool goes_on = main != NULL && main->arena == 0 && main->end == place->area->start;
    if (!goes_on &&
        !weir__heap_first_chunk(&patient->memory, place->area->start, place->area->end, &first))
        return 0;
    keep_main(patient, place->area, first);
    return place->area->end;
}

/* --- files --------------------------------------------------------------------------------- */

static const struct weir__object *object_at(const struct weir__place *place)
{
    const struct weir__patient *patient = place->patient;
    size_t low = 0;
    size_t high = patient->object_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (patient->objects[middle].end <= place->at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == patient->object_count || patient->objects[low].start > place->at)
        return NULL;
    return &patient->objects[low];
}

uint64_t weir__by_executable(const struct weir__place *place)
{
    const struct weir__patient *patient = place->patient;
    bool is_program =
        patient->executable_name != 0 &&
        (place->area->name == patient->executable_name ||
         strcmp(weir__area_name(patient, place->area), patient->snapshot->program) == 0);
    return whole(place, place->area->inode != 0 && is_program);
}

uint64_t weir__by_library(const struct weir__place *place)
{
    return whole(place,
                 place->area->inode != 0 && (place->area->executable || object_at(place) != NULL));
}

uint64_t weir__by_file(const struct weir__place *place)
{
    return whole(place, place->area->inode != 0 || place->area->shared);
}

/* The zeroed data of an object lies in areas without a name; another owner may have been merged
 * behind it. */
static uint64_t bss(const struct weir__place *place, bool is_executable)
{
    if (!weir__is_plain(place->area))
        return 0;
    const struct weir__object *object = object_at(place);
    if (object == NULL || object->is_executable != is_executable || !object->has_segments)
        return 0;
    return object->end < place->area->end ? object->end : place->area->end;
}

uint64_t weir__by_executable_bss(const struct weir__place *place)
{
    return bss(place, true);
}

uint64_t weir__by_library_bss(const struct weir__place *place)
{
    return bss(place, false);
}

static uint64_t bss_beside(const struct weir__place *place, bool is_executable)
{
    const struct weir__area *before = weir__area_before(place);
    struct weir__place last = *place;
    last.at = place->at - 1;
    const struct weir__object *object = object_at(&last);
    if (object == NULL || object->has_segments)
        return 0; /* no loaded file, or where its data ends is known */
    bool is_small = place->area->end - place->area->start <= BSS_BESIDE_MAX;
    if (before == NULL || before->inode == 0 || !before->writable || before->shared || !is_small ||
        !weir__is_plain(place->area))
        return 0;
    bool is_program =
        place->patient->executable_name != 0 && before->name == place->patient->executable_name;
    return whole(place, is_program == is_executable);
}

uint64_t weir__by_executable_beside(const struct weir__place *place)
{
    return bss_beside(place, true);
}

uint64_t weir__by_library_beside(const struct weir__place *place)
{
    return bss_beside(place, false);
}
