/* The initial image of memory 0: what the active data segments write, page by page.
 *
 * A segment goes into the image when its effect is certain: the memory is the module's own, the
 * offset a constant, the range inside the initial size, every active segment before it certain
 * too, and nothing that runs before the data segments can fail where somebody would see it. From
 * the first uncertain one on, the run time copies (and traps) in order, as the specification says.
 */
#include <stdlib.h>
#include <string.h>

#include "artifact/format.h"
#include "base/bytes.h"
#include "base/check.h"
#include "compiler/compiler_internal.h"
#include "compiler/compiler_limits.h"

#define PAGE WEIR_ARTIFACT_PAGE

struct image {
    struct weir_compilation *compilation;
    uint64_t start; /* in memory 0, whole pages */
    uint64_t end;
    uint64_t *used_pages; /* a bit per page of the span */
};

/* Element segments are applied first. When one of them fails, memory 0 must still be zero for the
 * functions that an earlier one put into an imported table; without such a table nobody can look.
 */
static bool elems_are_safe(const struct weir_compilation *compilation)
{
    const struct weir_artifact_content *content = &compilation->content;
    const struct weir_artifact_elem *elems = content->elems.entries;
    const struct weir_artifact_limits *tables = content->tables.entries;
    bool is_seen = false;
    for (size_t i = 0; i < content->elems.count; i++) {
        if (elems[i].mode != WEIR_SEGMENT_ACTIVE)
            continue;
        uint64_t offset;
        bool is_certain = weir__compile_constant(content, &elems[i].offset, &offset) &&
                          weir_range_fits(offset, elems[i].count, tables[elems[i].table_index].min);
        if (!is_certain && is_seen)
            return false;
        is_seen = is_seen || elems[i].table_index < compilation->module->table_import_count;
    }
    return true;
}

/* Where a segment goes, when that is certain. */
static bool certain_place(const struct weir_compilation *compilation,
                          const struct weir_artifact_data *data, size_t size, uint64_t *ret_offset)
{
    const struct weir_artifact_limits *memories = compilation->content.memories.entries;
    if (data->memory_index < compilation->module->memory_import_count)
        return false;
    uint64_t offset, bytes;
    if (!weir__compile_constant(&compilation->content, &data->offset, &offset) ||
        !weir_mul_u64(memories[data->memory_index].min, WEIR_WASM_PAGE_BYTES, &bytes) ||
        !weir_range_fits(offset, size, bytes))
        return false;
    *ret_offset = offset;
    return true;
}

/* How many leading segments are certain or passive. */
static uint32_t certain_prefix(const struct weir_compilation *compilation,
                               const struct weir_artifact_data *datas)
{
    const struct weir_wasm_module *module = compilation->module;
    uint64_t ignored;
    for (uint32_t i = 0; i < module->data_count; i++)
        if (datas[i].mode == WEIR_SEGMENT_ACTIVE &&
            !certain_place(compilation, &datas[i], module->datas[i].bytes.size, &ignored))
            return i;
    return module->data_count;
}

static bool belongs(const struct weir_artifact_data *data)
{
    return data->mode == WEIR_SEGMENT_ACTIVE && data->memory_index == 0;
}

static void find_span(struct image *image, const struct weir_artifact_data *datas, uint32_t prefix)
{
    const struct weir_wasm_module *module = image->compilation->module;
    image->start = UINT64_MAX;
    for (uint32_t i = 0; i < prefix; i++) {
        uint64_t offset;
        size_t size = module->datas[i].bytes.size;
        if (!belongs(&datas[i]) || size == 0 ||
            !certain_place(image->compilation, &datas[i], size, &offset))
            continue;
        uint64_t start = weir_align_down(offset, PAGE);
        uint64_t end = weir_align_up(offset + size, PAGE);
        image->start = start < image->start ? start : image->start;
        image->end = end > image->end ? end : image->end;
    }
}

/* Marks the pages that a segment writes something other than zero to. */
static void mark_pages(struct image *image, uint64_t offset, const struct weir_wasm_bytes *bytes)
{
    for (size_t i = 0; i < bytes->size;) {
        uint64_t page = (offset + i - image->start) / PAGE;
        uint64_t end = image->start + (page + 1) * PAGE - offset;
        size_t stop = end < bytes->size ? (size_t)end : bytes->size;
        while (i < stop && bytes->data[i] == 0)
            i++;
        if (i < stop)
            image->used_pages[page / 64] |= UINT64_C(1) << (page % 64);
        i = stop;
    }
}

static uint64_t count_pages(const struct image *image)
{
    uint64_t words = ((image->end - image->start) / PAGE + 63) / 64, count = 0;
    for (uint64_t i = 0; i < words; i++)
        count += (uint64_t)__builtin_popcountll(image->used_pages[i]);
    return count;
}

static bool is_used(const struct image *image, uint64_t page)
{
    return (image->used_pages[page / 64] >> (page % 64) & 1u) != 0;
}

static bool is_worth_it(const struct image *image)
{
    uint64_t span = image->end - image->start;
    if (span <= WEIR_COMPILER_IMAGE_SPARSE_BYTES)
        return true;
    uint64_t module_bytes = image->compilation->request->module_bytes;
    return span / WEIR_COMPILER_IMAGE_PER_MODULE <= module_bytes && span <= UINT32_MAX / 2 &&
           count_pages(image) >= span / PAGE / 2;
}

/* Runs of pages that hold something; the rest stays a hole in the file. */
static bool add_runs(struct image *image)
{
    struct weir_compilation *compilation = image->compilation;
    uint64_t pages = (image->end - image->start) / PAGE;
    size_t room = 0;
    for (uint64_t i = 0; i < pages; i++)
        room += is_used(image, i) && (i == 0 || !is_used(image, i - 1));
    struct weir_artifact_run *runs =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_run, room);
    if (runs == NULL)
        return false;
    size_t count = 0;
    for (uint64_t i = 0; i < pages; i++) {
        if (!is_used(image, i))
            continue;
        if (i == 0 || !is_used(image, i - 1))
            runs[count++] =
                (struct weir_artifact_run){i * PAGE, compilation->image_bytes + i * PAGE, 0};
        runs[count - 1].size += PAGE;
    }
    compilation->content.image_runs = runs;
    compilation->content.image_run_count = count;
    compilation->content.image_bytes = image->end - image->start;
    compilation->content.head.image_memory_offset = image->start;
    return true;
}

/* Segments are applied in order: a later one wins where two overlap, with its zeros too. A page
 * that only ever gets zeros is not touched. */
static void apply(struct image *image, struct weir_artifact_data *datas, uint32_t prefix)
{
    const struct weir_wasm_module *module = image->compilation->module;
    for (uint32_t i = 0; i < prefix; i++) {
        if (!belongs(&datas[i]))
            continue;
        const struct weir_wasm_bytes *bytes = &module->datas[i].bytes;
        uint64_t offset = 0;
        WEIR_ASSERT(certain_place(image->compilation, &datas[i], bytes->size, &offset));
        datas[i].in_image = 1;
        for (size_t done = 0; done < bytes->size;) {
            uint64_t place = offset + done - image->start;
            size_t part = (size_t)(PAGE - place % PAGE);
            part = part < bytes->size - done ? part : bytes->size - done;
            if (is_used(image, place / PAGE))
                memcpy(image->compilation->image_bytes + place, bytes->data + done, part);
            done += part;
        }
    }
}

enum weir_status weir__compile_image(struct weir_compilation *compilation,
                                     struct weir_artifact_data *datas, struct weir_error *error)
{
    const struct weir_wasm_module *module = compilation->module;
    struct image image = {.compilation = compilation};
    if (module->memory_count == 0 || module->memory_import_count > 0 ||
        !elems_are_safe(compilation))
        return WEIR_OK;
    uint32_t prefix = certain_prefix(compilation, datas);
    find_span(&image, datas, prefix);
    if (image.start >= image.end)
        return WEIR_OK;
    uint64_t pages = (image.end - image.start) / PAGE;
    if (pages > UINT32_MAX)
        return WEIR_OK;
    image.used_pages = WEIR_ARENA_ARRAY(compilation->arena, uint64_t, (pages + 63) / 64);
    if (image.used_pages == NULL)
        return weir__compile_no_memory(compilation, error);
    for (uint32_t i = 0; i < prefix; i++) {
        uint64_t offset;
        if (belongs(&datas[i]) &&
            certain_place(compilation, &datas[i], module->datas[i].bytes.size, &offset))
            mark_pages(&image, offset, &module->datas[i].bytes);
    }
    if (!is_worth_it(&image))
        return WEIR_OK;
    compilation->image_bytes = calloc(1, (size_t)(image.end - image.start));
    if (compilation->image_bytes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for an initial image of %llu bytes",
                              (unsigned long long)(image.end - image.start));
    apply(&image, datas, prefix);
    return add_runs(&image) ? WEIR_OK : weir__compile_no_memory(compilation, error);
}
