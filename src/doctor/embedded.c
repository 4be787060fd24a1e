/* Allocators that were linked into a program leave no library behind, but their messages. They are
 * looked for in the program's file, and only where much of the memory is unexplained, because that
 * reads a large part of the file. */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (UINT64_C(1) << 20)
#define OVERLAP_BYTES 64u /* longer than any text below */
#define SECTIONS_MAX 256u

/* What stands in the read-only data of each (jemalloc 3 to 5, mimalloc 1 to 3, gperftools and
 * Google's tcmalloc, V8 from 9 on). */
static const struct {
    const char *text;
    size_t offset; /* of the mark in the snapshot */
} MARKS[] = {
    {"<jemalloc>: ", offsetof(struct weir_doctor_snapshot, has_jemalloc)},
    {"mimalloc: ", offsetof(struct weir_doctor_snapshot, has_mimalloc)},
    {"tcmalloc: ", offsetof(struct weir_doctor_snapshot, has_tcmalloc)},
    {"Fatal JavaScript out of memory", offsetof(struct weir_doctor_snapshot, has_v8)},
};

static void look_for_marks(const char *bytes, size_t size, struct weir_doctor_snapshot *snapshot,
                           bool *ret_is_found)
{
    for (size_t i = 0; i < sizeof MARKS / sizeof MARKS[0]; i++) {
        bool *mark = (bool *)((char *)snapshot + MARKS[i].offset);
        if (*mark || memmem(bytes, size, MARKS[i].text, strlen(MARKS[i].text)) == NULL)
            continue;
        *mark = true;
        *ret_is_found = true;
    }
}

static void read_section(int fd, const Elf64_Shdr *section, char *window,
                         struct weir_doctor_snapshot *snapshot, bool *ret_is_found)
{
    uint64_t size =
        section->sh_size < WEIR__SECTION_BYTES_MAX ? section->sh_size : WEIR__SECTION_BYTES_MAX;
    uint64_t end;
    if (!weir_add_u64(section->sh_offset, size, &end))
        return;
    for (uint64_t at = section->sh_offset; at < end; at += WINDOW_BYTES - OVERLAP_BYTES) {
        size_t now = end - at < WINDOW_BYTES ? (size_t)(end - at) : WINDOW_BYTES;
        long length = weir_io_pread(weir_io_system(), fd, window, now, at);
        if (length <= 0)
            return;
        look_for_marks(window, (size_t)length, snapshot, ret_is_found);
        if (now < WINDOW_BYTES)
            return;
    }
}

bool weir__file_allocators(const char *path, struct weir_doctor_snapshot *snapshot)
{
    struct weir_io *io = weir_io_system();
    AUTO_FREE char *window = malloc(WINDOW_BYTES);
    bool is_found = false;
    Elf64_Ehdr head;
    AUTO_CLOSE fd = weir__elf_open(path, &head);
    if (fd < 0 || window == NULL || head.e_shentsize != sizeof(Elf64_Shdr) ||
        head.e_shnum > SECTIONS_MAX)
        return false;
    for (unsigned i = 0; i < head.e_shnum; i++) {
        Elf64_Shdr section;
        if (weir_io_pread(io, fd, &section, sizeof section, head.e_shoff + i * sizeof section) !=
            (long)sizeof section)
            break;
        bool is_read_only =
            (section.sh_flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) == SHF_ALLOC;
        if (section.sh_type == SHT_PROGBITS && is_read_only)
            read_section(fd, &section, window, snapshot, &is_found);
    }
    return is_found;
}
