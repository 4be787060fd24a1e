/* Layout of the ELF file. Addresses equal file offsets, so symbols, trap sites and the loader all
 * count in the same unit. Four program headers and ten section headers, always: an absent image
 * has a PT_NULL header and an empty section. */
#include "artifact/writer.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "artifact/artifact_internal.h"
#include "base/bytes.h"
#include "base/check.h"

#define TABLE_ALIGN 16u
#define RODATA_ALIGN 64u
#define PROGRAM_HEADERS 4u
#define SYMBOL_NAME_BYTES_MAX 1024u /* longer names are cut: objdump prints one per call */

enum section {
    SECTION_NULL,
    SECTION_HEAD,
    SECTION_META,
    SECTION_DATA,
    SECTION_RODATA,
    SECTION_TEXT,
    SECTION_IMAGE,
    SECTION_SYMTAB,
    SECTION_STRTAB,
    SECTION_SHSTRTAB,
    SECTION_COUNT
};

static const char section_names[] = "\0.weir.head\0.weir.meta\0.weir.data\0.rodata\0.text\0"
                                    ".weir.image\0.symtab\0.strtab\0.shstrtab";
static const uint32_t section_name_starts[SECTION_COUNT] = {0, 1, 12, 23, 34, 42, 48, 60, 68, 76};

static_assert(sizeof(Elf64_Ehdr) + PROGRAM_HEADERS * sizeof(Elf64_Phdr) ==
                  WEIR_ARTIFACT_HEAD_OFFSET,
              "the head follows the program headers");

struct place {
    uint64_t start;
    uint64_t end;
};

struct layout_job {
    const struct weir_artifact_content *content;
    struct weir_arena *arena;
    struct weir_artifact_layout layout;
    size_t piece_room;
    uint64_t cursor;
    struct place places[SECTION_COUNT];
    struct weir_artifact_head *head;
};

static void add_piece(struct layout_job *job, uint64_t offset, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    WEIR_ASSERT(job->layout.piece_count < job->piece_room);
    job->layout.pieces[job->layout.piece_count++] =
        (struct weir_artifact_piece){offset, bytes, size};
}

/* Places `size` bytes at the next multiple of `align`; gives the range. The caller checks the sum
 * against 32 bits at the end: the cursor has 64 and no table more than 2^40 bytes. */
static struct weir_artifact_range place(struct layout_job *job, const void *bytes, size_t size,
                                        size_t count, uint64_t align)
{
    job->cursor = weir_align_up(job->cursor, align);
    struct weir_artifact_range range = {(uint32_t)job->cursor, (uint32_t)count};
    add_piece(job, job->cursor, bytes, size);
    job->cursor += size;
    return range;
}

static void place_tables(struct layout_job *job)
{
    const struct weir_artifact_content *content = job->content;
    job->places[SECTION_HEAD].start = WEIR_ARTIFACT_HEAD_OFFSET;
    (void)place(job, job->head, sizeof *job->head, 1, 1);
    job->places[SECTION_HEAD].end = job->cursor;
    job->places[SECTION_META].start = weir_align_up(job->cursor, TABLE_ALIGN);
#define WEIR__PLACE(field, type)                                                                   \
    job->head->field = place(job, content->field.entries, content->field.count * sizeof(type),     \
                             content->field.count, TABLE_ALIGN);
    WEIR__ARTIFACT_TABLES(WEIR__PLACE)
#undef WEIR__PLACE
    job->places[SECTION_META].end = job->cursor;
}

static void place_data(struct layout_job *job)
{
    const struct weir_artifact_content *content = job->content;
    job->cursor = weir_align_up(job->cursor, TABLE_ALIGN);
    uint64_t start = job->cursor;
    for (size_t i = 0; i < content->data_part_count; i++)
        (void)place(job, content->data_parts[i].entries, content->data_parts[i].count, 0, 1);
    job->head->data =
        (struct weir_artifact_range){(uint32_t)start, (uint32_t)(job->cursor - start)};
    job->places[SECTION_DATA] = (struct place){start, job->cursor};
    job->head->rodata =
        place(job, content->rodata, content->rodata_size, content->rodata_size, RODATA_ALIGN);
    job->places[SECTION_RODATA] =
        (struct place){weir_align_up(start + job->head->data.count, RODATA_ALIGN), job->cursor};
}

/* .text, filled up to its page's end with int3: nothing else may be mapped executable. */
static bool place_text(struct layout_job *job)
{
    const struct weir_artifact_content *content = job->content;
    job->head->text =
        place(job, content->text, content->text_size, content->text_size, WEIR_ARTIFACT_PAGE);
    job->places[SECTION_TEXT] = (struct place){job->cursor - content->text_size, job->cursor};
    size_t rest = (size_t)(weir_align_up(job->cursor, WEIR_ARTIFACT_PAGE) - job->cursor);
    uint8_t *filler = weir_arena_alloc(job->arena, rest, 1);
    if (filler == NULL)
        return false;
    memset(filler, 0xcc, rest);
    (void)place(job, filler, rest, 0, 1);
    return true;
}

static void place_image(struct layout_job *job)
{
    const struct weir_artifact_content *content = job->content;
    uint64_t start = job->cursor;
    WEIR_ASSERT(start % WEIR_ARTIFACT_PAGE == 0);
    WEIR_ASSERT(content->image_bytes % WEIR_ARTIFACT_PAGE == 0);
    for (size_t i = 0; i < content->image_run_count; i++) {
        const struct weir_artifact_run *run = &content->image_runs[i];
        WEIR_ASSERT(weir_range_fits(run->start, run->size, content->image_bytes));
        add_piece(job, start + run->start, run->bytes, run->size);
    }
    job->cursor = start + content->image_bytes;
    job->head->image =
        (struct weir_artifact_range){(uint32_t)start, (uint32_t)content->image_bytes};
    job->places[SECTION_IMAGE] = (struct place){start, job->cursor};
}

/* Length that a name takes in .strtab, its zero included; 0 for a function without a name. */
static size_t symbol_name_bytes(const struct weir_artifact_content *content, size_t func)
{
    if (func >= content->func_names.count)
        return 0;
    const struct weir_artifact_string *names = content->func_names.entries;
    size_t size = names[func].size;
    return size == 0 ? 0 : (size < SYMBOL_NAME_BYTES_MAX ? size : SYMBOL_NAME_BYTES_MAX) + 1;
}

#define PLAIN_NAME_BYTES 16u /* "func 4294967295" */

static size_t write_symbol_name(const struct weir_artifact_content *content, size_t func,
                                char *target)
{
    size_t size = symbol_name_bytes(content, func);
    if (size == 0)
        return (size_t)snprintf(target, PLAIN_NAME_BYTES, "func_%zu", func) + 1;
    const struct weir_artifact_string *names = content->func_names.entries;
    const char *name = (const char *)content->strings.entries + names[func].start;
    for (size_t i = 0; i + 1 < size; i++)
        target[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
    target[size - 1] = '\0';
    return size;
}

/* One local symbol per function with code. */
static bool place_symbols(struct layout_job *job)
{
    const struct weir_artifact_content *content = job->content;
    const struct weir_artifact_func *funcs = content->funcs.entries;
    size_t imports = content->head.func_import_count;
    size_t count = content->funcs.count - imports + 1;
    size_t bytes = 1;
    for (size_t i = imports; i < content->funcs.count; i++)
        bytes += symbol_name_bytes(content, i) + PLAIN_NAME_BYTES;
    Elf64_Sym *symbols = WEIR_ARENA_ARRAY(job->arena, Elf64_Sym, count);
    char *names = weir_arena_alloc(job->arena, bytes, 1);
    if (symbols == NULL || names == NULL)
        return false;
    size_t used = 1;
    for (size_t i = imports; i < content->funcs.count; i++) {
        symbols[i - imports + 1] = (Elf64_Sym){
            .st_name = (Elf64_Word)used,
            .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
            .st_shndx = SECTION_TEXT,
            .st_value = job->head->text.offset + (uint64_t)funcs[i].text_offset,
            .st_size = funcs[i].text_size,
        };
        used += write_symbol_name(content, i, names + used);
    }
    WEIR_ASSERT(used <= bytes);
    struct place *place_of = job->places;
    (void)place(job, symbols, count * sizeof *symbols, 0, TABLE_ALIGN);
    place_of[SECTION_SYMTAB] = (struct place){job->cursor - count * sizeof *symbols, job->cursor};
    (void)place(job, names, used, 0, 1);
    place_of[SECTION_STRTAB] = (struct place){job->cursor - used, job->cursor};
    (void)place(job, section_names, sizeof section_names, 0, 1);
    place_of[SECTION_SHSTRTAB] = (struct place){job->cursor - sizeof section_names, job->cursor};
    return true;
}

static Elf64_Shdr section_header(const struct layout_job *job, enum section section)
{
    static const struct {
        Elf64_Word type;
        Elf64_Xword flags;
        Elf64_Xword align;
        Elf64_Xword entry;
    } kinds[SECTION_COUNT] = {
        [SECTION_HEAD] = {SHT_PROGBITS, SHF_ALLOC, 8, 0},
        [SECTION_META] = {SHT_PROGBITS, SHF_ALLOC, TABLE_ALIGN, 0},
        [SECTION_DATA] = {SHT_PROGBITS, SHF_ALLOC, TABLE_ALIGN, 0},
        [SECTION_RODATA] = {SHT_PROGBITS, SHF_ALLOC, RODATA_ALIGN, 0},
        [SECTION_TEXT] = {SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, WEIR_ARTIFACT_PAGE, 0},
        [SECTION_IMAGE] = {SHT_PROGBITS, SHF_ALLOC, WEIR_ARTIFACT_PAGE, 0},
        [SECTION_SYMTAB] = {SHT_SYMTAB, 0, 8, sizeof(Elf64_Sym)},
        [SECTION_STRTAB] = {SHT_STRTAB, 0, 1, 0},
        [SECTION_SHSTRTAB] = {SHT_STRTAB, 0, 1, 0},
    };
    const struct place *where = &job->places[section];
    Elf64_Shdr header = {
        .sh_name = section_name_starts[section],
        .sh_type = kinds[section].type,
        .sh_flags = kinds[section].flags,
        .sh_addr = (kinds[section].flags & SHF_ALLOC) != 0 ? where->start : 0,
        .sh_offset = where->start,
        .sh_size = where->end - where->start,
        .sh_addralign = kinds[section].align,
        .sh_entsize = kinds[section].entry,
    };
    if (section == SECTION_SYMTAB) {
        header.sh_link = SECTION_STRTAB;
        header.sh_info = (Elf64_Word)(header.sh_size / sizeof(Elf64_Sym)); /* all are local */
    }
    return header;
}

static Elf64_Phdr segment(Elf64_Word flags, uint64_t start, uint64_t end)
{
    if (start == end)
        return (Elf64_Phdr){.p_type = PT_NULL};
    return (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = flags,
        .p_offset = start,
        .p_vaddr = start,
        .p_paddr = start,
        .p_filesz = end - start,
        .p_memsz = end - start,
        .p_align = WEIR_ARTIFACT_PAGE,
    };
}

struct elf_front {
    Elf64_Ehdr file;
    Elf64_Phdr programs[PROGRAM_HEADERS];
};

static void fill_front(const struct layout_job *job, uint64_t section_headers,
                       struct elf_front *front)
{
    const struct place *places = job->places;
    front->file = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT,
                    ELFOSABI_NONE},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_shoff = section_headers,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = PROGRAM_HEADERS,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTION_COUNT,
        .e_shstrndx = SECTION_SHSTRTAB,
    };
    front->programs[0] = segment(PF_R, 0, places[SECTION_RODATA].end);
    front->programs[1] = segment(PF_R | PF_X, places[SECTION_TEXT].start, places[SECTION_TEXT].end);
    front->programs[2] = segment(PF_R, places[SECTION_IMAGE].start, places[SECTION_IMAGE].end);
    front->programs[3] =
        (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16};
}

static enum weir_status refused(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                          "no memory for the layout of the artifact");
}

/* Everything in file order; the front piece is reserved first and filled last. */
static enum weir_status place_all(struct layout_job *job, struct weir_error *error)
{
    const struct weir_artifact_content *content = job->content;
    struct elf_front *front = WEIR_ARENA_NEW(job->arena, struct elf_front);
    Elf64_Shdr *sections = WEIR_ARENA_ARRAY(job->arena, Elf64_Shdr, SECTION_COUNT);
    job->head = WEIR_ARENA_NEW(job->arena, struct weir_artifact_head);
    if (front == NULL || sections == NULL || job->head == NULL)
        return refused(error);
    *job->head = content->head;
    (void)place(job, front, sizeof *front, 1, 1);
    place_tables(job);
    place_data(job);
    if (!place_text(job))
        return refused(error);
    place_image(job);
    if (!place_symbols(job))
        return refused(error);
    for (enum section i = SECTION_HEAD; i < SECTION_COUNT; i++)
        sections[i] = section_header(job, i);
    uint64_t headers = weir_align_up(job->cursor, 8);
    (void)place(job, sections, SECTION_COUNT * sizeof *sections, 0, 8);
    if (job->cursor > UINT32_MAX - WEIR_ARTIFACT_SEAL_BYTES)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the artifact would take %llu bytes; 4 GiB is the most that its "
                              "offsets hold",
                              (unsigned long long)job->cursor);
    fill_front(job, headers, front);
    memcpy(job->head->magic, WEIR_ARTIFACT_MAGIC, sizeof job->head->magic);
    job->head->version = WEIR_ARTIFACT_VERSION;
    job->head->abi_version = WEIR_ABI_VERSION;
    job->head->file_bytes = job->cursor;
    job->layout.file_bytes = job->cursor;
    return WEIR_OK;
}

enum weir_status weir_artifact_layout(const struct weir_artifact_content *content,
                                      struct weir_arena *arena,
                                      struct weir_artifact_layout *ret_layout,
                                      struct weir_error *error)
{
    struct layout_job job = {.content = content, .arena = arena};
    job.piece_room = 32 + content->data_part_count + content->image_run_count;
    job.layout.pieces = WEIR_ARENA_ARRAY(arena, struct weir_artifact_piece, job.piece_room);
    if (job.layout.pieces == NULL)
        return refused(error);
    enum weir_status status = place_all(&job, error);
    if (status != WEIR_OK)
        return status;
    int64_t distance = (int64_t)job.head->rodata.offset - (int64_t)job.head->text.offset;
    status = weir_artifact_link(content->text, content->text_size, content->rodata_size, distance,
                                &content->link, error);
    if (status != WEIR_OK)
        return status;
    *ret_layout = job.layout;
    return WEIR_OK;
}

void weir_artifact_copy(const struct weir_artifact_layout *layout, uint8_t *bytes)
{
    for (size_t i = 0; i < layout->piece_count; i++) {
        const struct weir_artifact_piece *piece = &layout->pieces[i];
        WEIR_ASSERT(weir_range_fits(piece->offset, piece->size, layout->file_bytes));
        memcpy(bytes + piece->offset, piece->bytes, piece->size);
    }
}

enum weir_status weir_artifact_write(const struct weir_artifact_layout *layout, int fd,
                                     struct weir_error *error)
{
    if (ftruncate(fd, (off_t)layout->file_bytes) != 0)
        return weir_error_set_errno(error, WEIR_IO, errno,
                                    "cannot make the artifact %llu bytes long",
                                    (unsigned long long)layout->file_bytes);
    for (size_t i = 0; i < layout->piece_count; i++) {
        const struct weir_artifact_piece *piece = &layout->pieces[i];
        size_t done = 0;
        while (done < piece->size) {
            ssize_t count =
                pwrite(fd, piece->bytes + done, piece->size - done, (off_t)(piece->offset + done));
            if (count < 0 && errno == EINTR)
                continue;
            if (count <= 0)
                return weir_error_set_errno(error, WEIR_IO, count == 0 ? ENOSPC : errno,
                                            "cannot write the artifact at byte %llu of %llu",
                                            (unsigned long long)(piece->offset + done),
                                            (unsigned long long)layout->file_bytes);
            done += (size_t)count;
        }
    }
    return WEIR_OK;
}
