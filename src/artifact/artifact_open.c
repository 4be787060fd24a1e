/* Opening an artifact, first half: the head, what it was made for, and every range.
 *
 * The bytes are hostile. A range is used only after it was found aligned, inside the part that is
 * there and behind the head; the second half (artifact_check.c) goes through the entries.
 */
#include "artifact/artifact_internal.h"

#include <elf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "artifact/build_id.h"
#include "artifact/cpu.h"
#include "base/bytes.h"

#define META_START (WEIR_ARTIFACT_HEAD_OFFSET + sizeof(struct weir_artifact_head))

enum weir_status weir__artifact_corrupt(const struct weir_artifact *artifact, const void *entry,
                                        struct weir_error *error, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    uint64_t offset = (uint64_t)((const uint8_t *)entry - artifact->bytes);
    return weir_error_set(error, WEIR_CORRUPT, offset, "artifact damaged at byte %" PRIu64 ": %s",
                          offset, text);
}

static enum weir_status foreign(struct weir_error *error, const char *what)
{
    return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                          "the artifact was made %s; compile the module again", what);
}

static enum weir_status check_front(const uint8_t *bytes, size_t size, struct weir_error *error)
{
    if (size < META_START)
        return weir_error_set(error, WEIR_CORRUPT, size,
                              "an artifact has at least %zu bytes, there are %zu", META_START,
                              size);
    Elf64_Ehdr elf;
    memcpy(&elf, bytes, sizeof elf);
    if (memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64 ||
        elf.e_ident[EI_DATA] != ELFDATA2LSB)
        return weir_error_set(error, WEIR_CORRUPT, 0, "not an ELF64 file");
    if (elf.e_type != ET_DYN || elf.e_machine != EM_X86_64 || elf.e_phoff != sizeof elf)
        return weir_error_set(error, WEIR_CORRUPT, offsetof(Elf64_Ehdr, e_type),
                              "not the ELF header of an artifact");
    if (memcmp(bytes + WEIR_ARTIFACT_HEAD_OFFSET, WEIR_ARTIFACT_MAGIC, 8) != 0)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_ARTIFACT_HEAD_OFFSET,
                              "an ELF file, but not an artifact");
    return WEIR_OK;
}

/* What decides whether this program and machine can run it at all. */
static enum weir_status check_origin(const struct weir_artifact_head *head,
                                     struct weir_error *error)
{
    if (head->version != WEIR_ARTIFACT_VERSION)
        return foreign(error, "in another version of the format");
    if (head->abi_version != WEIR_ABI_VERSION)
        return foreign(error, "for another ABI");
    if (memcmp(head->build_id, weir_build_id, sizeof head->build_id) != 0)
        return foreign(error, "by another build");
    uint64_t missing = head->cpu_features & ~weir_cpu_host();
    if (missing == 0)
        return WEIR_OK;
    char names[128];
    return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                          "the artifact needs processor features that this machine lacks: %s; "
                          "compile the module again",
                          weir_cpu_names(missing, names, sizeof names));
}

/* A table of .weir.meta, .weir.data or .rodata: in front of .text. */
static enum weir_status check_range(const struct weir_artifact *artifact,
                                    const struct weir_artifact_range *range, size_t entry_size,
                                    size_t align, struct weir_error *error)
{
    if (range->offset % align != 0)
        return weir__artifact_corrupt(artifact, range, error, "a table at %u is not aligned to %zu",
                                      range->offset, align);
    uint64_t bytes = (uint64_t)range->count * entry_size;
    if (range->offset < META_START ||
        !weir_range_fits(range->offset, bytes, artifact->head->text.offset))
        return weir__artifact_corrupt(artifact, range, error,
                                      "a table of %" PRIu64 " bytes at %u is outside the file's "
                                      "read-only part",
                                      bytes, range->offset);
    return WEIR_OK;
}

/* .text and the image; needs nothing but the head. */
static enum weir_status check_pages(const struct weir_artifact *artifact, uint64_t file_bytes,
                                    struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    if (head->file_bytes > file_bytes || head->file_bytes < META_START)
        return weir__artifact_corrupt(artifact, &head->file_bytes, error,
                                      "it should have %" PRIu64 " bytes, the file has %" PRIu64,
                                      head->file_bytes, file_bytes);
    if (head->text.offset % WEIR_ARTIFACT_PAGE != 0 || head->text.offset < META_START ||
        !weir_range_fits(head->text.offset, head->text.count, artifact->size) ||
        !weir_range_fits(head->text.offset, head->text.count, head->file_bytes))
        return weir__artifact_corrupt(artifact, &head->text, error,
                                      "%u bytes of text at %u do not lie in the %zu bytes at hand",
                                      head->text.count, head->text.offset, artifact->size);
    uint64_t text_end = (uint64_t)head->text.offset + head->text.count;
    if (head->image.offset % WEIR_ARTIFACT_PAGE != 0 ||
        head->image.count % WEIR_ARTIFACT_PAGE != 0 || head->image.offset < text_end ||
        !weir_range_fits(head->image.offset, head->image.count, head->file_bytes))
        return weir__artifact_corrupt(artifact, &head->image, error,
                                      "the image of %u bytes at %u is misplaced", head->image.count,
                                      head->image.offset);
    return WEIR_OK;
}

static enum weir_status check_ranges(const struct weir_artifact *artifact, struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    enum weir_status status = WEIR_OK;
#define WEIR__CHECK(field, type)                                                                   \
    if (status == WEIR_OK)                                                                         \
        status = check_range(artifact, &head->field, sizeof(type), _Alignof(type), error);
    WEIR__ARTIFACT_TABLES(WEIR__CHECK)
#undef WEIR__CHECK
    if (status == WEIR_OK)
        status = check_range(artifact, &head->data, 1, 1, error);
    if (status == WEIR_OK)
        status = check_range(artifact, &head->rodata, 1, 16, error);
    return status;
}

enum weir_status weir_artifact_open_known(const uint8_t *bytes, size_t size, uint64_t file_bytes,
                                          struct weir_artifact *ret_artifact,
                                          struct weir_error *error)
{
    if ((uintptr_t)bytes % _Alignof(struct weir_artifact_head) != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the bytes of an artifact must be aligned to %zu",
                              _Alignof(struct weir_artifact_head));
    enum weir_status status = check_front(bytes, size, error);
    if (status != WEIR_OK)
        return status;
    struct weir_artifact artifact = {.bytes = bytes, .size = size};
    artifact.head = (const void *)(bytes + WEIR_ARTIFACT_HEAD_OFFSET);
    const struct weir_artifact_head *head = artifact.head;
    if ((status = check_origin(head, error)) != WEIR_OK ||
        (status = check_pages(&artifact, file_bytes, error)) != WEIR_OK ||
        (status = check_ranges(&artifact, error)) != WEIR_OK)
        return status;
#define WEIR__VIEW(field, type) artifact.field = (const void *)(bytes + head->field.offset);
    WEIR__ARTIFACT_TABLES(WEIR__VIEW)
#undef WEIR__VIEW
    if (head->func_names.count == 0)
        artifact.func_names = NULL;
    artifact.data = bytes + head->data.offset;
    artifact.rodata = bytes + head->rodata.offset;
    artifact.text = bytes + head->text.offset;
    *ret_artifact = artifact;
    return WEIR_OK;
}

enum weir_status weir_artifact_open(const uint8_t *bytes, size_t size, uint64_t file_bytes,
                                    struct weir_artifact *ret_artifact, struct weir_error *error)
{
    struct weir_artifact artifact;
    enum weir_status status = weir_artifact_open_known(bytes, size, file_bytes, &artifact, error);
    if (status == WEIR_OK)
        status = weir__artifact_check(&artifact, error);
    if (status == WEIR_OK)
        status = weir__artifact_check_code(&artifact, error);
    if (status == WEIR_OK)
        *ret_artifact = artifact;
    return status;
}
