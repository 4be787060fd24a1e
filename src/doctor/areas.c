/* The list of areas from smaps, and which of them are loaded objects. */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/proc_smaps.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* --- the list ------------------------------------------------------------------------------ */

static bool refuse(struct weir__patient *patient, enum weir_status status, const char *what)
{
    patient->status = weir_error_set(patient->error, status, WEIR_NO_OFFSET, "%s of process %llu",
                                     what, (unsigned long long)patient->snapshot->pid);
    return false;
}

/* Makes room for one more of `size` bytes each. */
static bool grow(void *list, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return true;
    size_t more = *capacity < 64 ? 256 : *capacity * 2;
    while (more < needed)
        more *= 2;
    void *old;
    memcpy(&old, list, sizeof old);
    void *new = realloc(old, more * size);
    if (new == NULL)
        return false;
    memcpy(list, &new, sizeof new);
    *capacity = more;
    return true;
}

/* Keeps a name once when the area before has it too. */
static bool keep_name(struct weir__patient *patient, const struct weir_vma *vma, uint32_t *ret_name)
{
    if (vma->path_length == 0) {
        *ret_name = 0;
        return true;
    }
    for (size_t back = 1; back <= 4 && back <= patient->area_count; back++) {
        uint32_t name = patient->areas[patient->area_count - back].name;
        if (name != 0 && strcmp(patient->names + name, vma->path) == 0) {
            *ret_name = name;
            return true;
        }
    }
    size_t length = strlen(vma->path) + 1;
    if (patient->names_size == 0)
        patient->names_size = 1; /* offset 0 is no name */
    if (patient->names_size + length > WEIR__NAMES_BYTES_MAX)
        return refuse(patient, WEIR_LIMIT, "more than 16 MiB of names in the areas");
    if (!grow(&patient->names, &patient->names_capacity, patient->names_size + length, 1))
        return refuse(patient, WEIR_NO_MEMORY, "no memory for the names in the areas");
    memcpy(patient->names + patient->names_size, vma->path, length);
    *ret_name = (uint32_t)patient->names_size;
    patient->names_size += length;
    return true;
}

/* Into the snapshot's sums, or out of them again. */
static void count(struct weir_doctor_snapshot *snapshot, const struct weir__area *area, bool is_in)
{
    const uint64_t sign = is_in ? 1 : UINT64_MAX; /* unsigned: -1 */
    snapshot->rss_bytes += sign * area->rss;
    snapshot->pss_bytes += sign * area->pss;
    snapshot->anon_bytes += sign * area->anon;
    snapshot->swap_bytes += sign * area->swap;
    snapshot->huge_bytes += sign * area->huge;
    snapshot->area_count += sign;
}

static uint64_t share_of(uint64_t bytes, double share)
{
    return (uint64_t)((double)(bytes / WEIR__PAGE) * share + 0.5) * WEIR__PAGE;
}

/* What is left of an area up to `end`, by share in whole pages. */
static void cut(struct weir__area *area, uint64_t end)
{
    double share = (double)(end - area->start) / (double)(area->end - area->start);
    area->rss = share_of(area->rss, share);
    area->pss = share_of(area->pss, share);
    area->anon = share_of(area->anon, share);
    area->swap = share_of(area->swap, share);
    area->huge = share_of(area->huge, share);
    area->end = end;
}

/* An area that grew or joined others while the list was read comes once more, whole (proc_smaps.h).
 * What it says is newer: the older ones that it covers go, one that it only reaches into is cut.
 * No byte is counted twice then, and the areas are in order again. */
static void take_back(struct weir__patient *patient, uint64_t from)
{
    while (patient->area_count > 0 && patient->areas[patient->area_count - 1].end > from) {
        struct weir__area *last = &patient->areas[patient->area_count - 1];
        count(patient->snapshot, last, false);
        patient->snapshot->moved_count++;
        if (last->start >= from) {
            patient->area_count--;
            continue;
        }
        cut(last, from);
        count(patient->snapshot, last, true);
    }
}

bool weir__areas_add(void *context, const struct weir_vma *vma)
{
    struct weir__patient *patient = context;
    if (patient->area_count == WEIR__AREAS_MAX)
        return refuse(patient, WEIR_LIMIT,
                      "more than 1,048,576 areas, which is the most that are "
                      "looked at,");
    if (!grow(&patient->areas, &patient->area_capacity, patient->area_count + 1,
              sizeof *patient->areas))
        return refuse(patient, WEIR_NO_MEMORY, "no memory for the list of areas");
    struct weir__area area = {.start = weir_align_down(vma->start, WEIR__PAGE),
                              .end = weir_align_down(vma->end, WEIR__PAGE),
                              .rss = vma->rss,
                              .pss = vma->pss,
                              .anon = vma->anonymous,
                              .swap = vma->swap,
                              .huge = vma->anon_huge,
                              .offset = vma->offset,
                              .inode = vma->inode,
                              .dev = vma->dev_major << 20 | (vma->dev_minor & 0xfffff),
                              .flags = vma->flags,
                              .readable = vma->readable,
                              .writable = vma->writable,
                              .executable = vma->executable,
                              .shared = vma->shared,
                              .has_flags = vma->has_flags};
    /* A saved text may claim anything. The kernel holds an area still while it counts and writes
     * it: none ends before one that came earlier, none has more resident than its size. */
    if (patient->area_count > 0 && area.end <= patient->areas[patient->area_count - 1].end)
        return refuse(patient, WEIR_MALFORMED, "areas that are not in order in the smaps");
    if (area.rss > area.end - area.start || area.anon > area.rss || area.huge > area.rss)
        return refuse(patient, WEIR_MALFORMED,
                      "an area with more memory than its size in the "
                      "smaps");
    if (!keep_name(patient, vma, &area.name))
        return false;
    take_back(patient, area.start);
    count(patient->snapshot, &area, true);
    patient->snapshot->is_go |= strncmp(vma->path, "[anon: Go:", 10) == 0;
    patient->areas[patient->area_count++] = area;
    return true;
}

enum weir_status weir__areas_read(struct weir__patient *patient, const char *path,
                                  struct weir_error *error)
{
    patient->error = error;
    patient->status = WEIR_OK;
    enum weir_status status = weir_smaps_read(path, weir__areas_add, patient, error);
    return status != WEIR_OK ? status : patient->status;
}

void weir__patient_done(struct weir__patient *patient)
{
    free(patient->areas);
    free(patient->names);
    free(patient->objects);
    free(patient->heaps);
    patient->areas = NULL;
    patient->names = NULL;
    patient->objects = NULL;
    patient->heaps = NULL;
}

/* --- objects ------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* "libjemalloc" is in "/usr/lib/libjemalloc.so.2". */
static bool is_library(const char *base, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(base, prefix, length) == 0 &&
           (base[length] == '.' || base[length] == '-' || base[length] == '_' || base[length] == 0);
}

static void note_allocator(struct weir_doctor_snapshot *snapshot, const char *base)
{
    snapshot->has_glibc |= is_library(base, "libc") && strstr(base, "musl") == NULL;
    snapshot->has_musl |= is_library(base, "ld-musl") || strncmp(base, "libc.musl", 9) == 0;
    snapshot->has_jemalloc |= is_library(base, "libjemalloc");
    snapshot->has_mimalloc |= is_library(base, "libmimalloc");
    snapshot->has_tcmalloc |= is_library(base, "libtcmalloc");
    snapshot->has_python |= strncmp(base, "python", 6) == 0 || strncmp(base, "libpython", 9) == 0;
    static const char *const V8[] = {"node",     "nodejs", "libnode", "libv8",  "deno",
                                     "electron", "chrome", "d8",      "workerd"};
    for (size_t i = 0; i < sizeof V8 / sizeof V8[0]; i++)
        snapshot->has_v8 |= is_library(base, V8[i]);
}

/* Where the object's zeroed data ends, by the program headers that lie in its first page. */
static bool read_segments(const struct weir__memory *memory, const struct weir__area *area,
                          uint64_t *ret_end)
{
    Elf64_Ehdr head;
    if (!weir__memory_read(memory, area->start, &head, sizeof head) ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phnum == 0 ||
        head.e_phnum > WEIR__SEGMENTS_MAX || head.e_phoff > WEIR__PAGE)
        return false;
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr segment;
        if (!weir__memory_read(memory, area->start + head.e_phoff + i * sizeof segment, &segment,
                               sizeof segment))
            return false;
        uint64_t end;
        if (segment.p_type != PT_LOAD || !weir_add_u64(segment.p_vaddr, segment.p_memsz, &end))
            continue;
        first = segment.p_vaddr < first ? segment.p_vaddr : first;
        last = end > last ? end : last;
    }
    if (last <= first || last - first > (UINT64_C(1) << 40))
        return false;
    uint64_t span = last - weir_align_down(first, WEIR__PAGE);
    return weir_add_u64(area->start, weir_align_up(span, WEIR__PAGE), ret_end);
}

static bool is_same_file(const struct weir__area *a, const struct weir__area *b)
{
    return a->inode == b->inode && a->dev == b->dev && a->name == b->name;
}

/* From the area at `index` on: the areas of one file, and whether one of them is code. */
static size_t file_run(const struct weir__patient *patient, size_t index, bool *ret_is_code)
{
    const struct weir__area *first = &patient->areas[index];
    size_t last = index;
    *ret_is_code = first->executable;
    for (size_t i = index + 1; i < patient->area_count && i <= last + 3; i++)
        if (is_same_file(&patient->areas[i], first) && patient->areas[i].offset != 0) {
            *ret_is_code |= patient->areas[i].executable;
            last = i;
        }
    return last;
}

static bool is_elf_candidate(const struct weir__area *area)
{
    return area->inode != 0 && !area->shared && area->name != 0 && area->offset == 0 &&
           area->readable;
}

enum weir_status weir__objects_find(struct weir__patient *patient, struct weir_error *error)
{
    size_t capacity = 0;
    for (size_t i = 0; i < patient->area_count; i++) {
        const struct weir__area *area = &patient->areas[i];
        bool is_code = false;
        if (!is_elf_candidate(area))
            continue;
        size_t last = file_run(patient, i, &is_code);
        if (!is_code || patient->object_count == WEIR__OBJECTS_MAX)
            continue;
        if (!grow(&patient->objects, &capacity, patient->object_count + 1,
                  sizeof *patient->objects))
            return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                                  "no memory for the list of loaded files");
        struct weir__object object = {.start = area->start, .end = patient->areas[last].end};
        uint64_t end = 0;
        object.has_segments = read_segments(&patient->memory, area, &end) && end >= object.end;
        if (object.has_segments)
            object.end = end;
        const char *name = weir__area_name(patient, area);
        object.is_executable = strcmp(name, patient->snapshot->program) == 0;
        if (object.is_executable)
            patient->executable_name = area->name;
        note_allocator(patient->snapshot, base_name(name));
        patient->objects[patient->object_count++] = object;
    }
    return WEIR_OK;
}
