/* What /proc/PID says about a process beside its memory: who it is, whether it has memory at all,
 * faults, threads, limits, what its environment sets for allocators. */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/proc_scan.h"
#include "base/proc_smaps.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_THREAD (UINT64_C(1) << 21) /* PF_KTHREAD, kernel: include/linux/sched.h */
#define SMALL_FILE_SIZE 8192

/* --- stat ---------------------------------------------------------------------------------- */

struct stat_line {
    char state;
    uint64_t flags, minor_faults, major_faults, start_time;
};

/* "pid (comm) S ppid ...": comm may hold anything, so the last ')' counts. Fields as in proc(5). */
static bool parse_stat(const char *text, size_t length, struct stat_line *ret_line)
{
    const char *close = memrchr(text, ')', length);
    if (close == NULL || close + 2 >= text + length || close[1] != ' ')
        return false;
    struct stat_line line = {.state = close[2]};
    struct weir_scan scan = {close + 3, text + length};
    for (int field = 4; field <= 22; field++) {
        struct weir_scan word;
        weir_scan_blank(&scan);
        if (!weir_scan_word(&scan, &word))
            return false;
        uint64_t *to = field == 9    ? &line.flags
                       : field == 10 ? &line.minor_faults
                       : field == 12 ? &line.major_faults
                       : field == 22 ? &line.start_time
                                     : NULL;
        if (to != NULL && !weir_scan_dec(&word, to))
            return false;
    }
    *ret_line = line;
    return true;
}

static enum weir_status no_process(const char *folder, struct weir_error *inner,
                                   struct weir_error *error)
{
    const char *pid = strrchr(folder, '/') + 1;
    if (inner->status != WEIR_NOT_FOUND) {
        enum weir_status status = inner->status;
        weir_error_move(error, inner);
        return status;
    }
    weir_error_done(inner);
    return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "there is no process %s", pid);
}

static enum weir_status read_stat_line(const char *folder, struct stat_line *ret_line,
                                       struct weir_error *error)
{
    char path[512];
    char text[SMALL_FILE_SIZE];
    size_t length = 0;
    struct weir_error inner = {0};
    (void)snprintf(path, sizeof path, "%s/stat", folder);
    if (weir_proc_file_read(path, text, sizeof text, &length, &inner) != WEIR_OK)
        return no_process(folder, &inner, error);
    if (!parse_stat(text, length, ret_line))
        return weir_error_set(error, WEIR_MALFORMED, 0, "%s is no stat file of a process", path);
    return WEIR_OK;
}

static bool has_ended(const struct stat_line *line)
{
    return line->state == 'Z' || line->state == 'X';
}

/* The main thread of a process may end before others: its files are those of a zombie then, without
 * memory, which the files of the others have. The first that lives; false: none does. */
static bool find_living_thread(const char *folder, struct weir__patient *ret_patient)
{
    struct weir_io *io = weir_io_system();
    char path[512];
    _Alignas(struct dirent64) char entries[4096];
    (void)snprintf(path, sizeof path, "%s/task", folder);
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    long length = fd;
    while (length >= 0 && (length = weir_io_getdents(io, fd, entries, sizeof entries)) > 0) {
        for (long at = 0; at < length;) {
            const struct dirent64 *entry = (const struct dirent64 *)(void *)(entries + at);
            struct stat_line line;
            at += entry->d_reclen;
            if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
                continue;
            (void)snprintf(ret_patient->memory_folder, sizeof ret_patient->memory_folder,
                           "%s/task/%.20s", folder, entry->d_name);
            if (read_stat_line(ret_patient->memory_folder, &line, NULL) != WEIR_OK ||
                has_ended(&line))
                continue;
            ret_patient->memory_pid = strtoul(entry->d_name, NULL, 10);
            return true;
        }
    }
    return false;
}

static enum weir_status read_stat(struct weir__patient *patient, const char *folder,
                                  struct weir_error *error)
{
    struct stat_line line;
    enum weir_status status = read_stat_line(folder, &line, error);
    if (status != WEIR_OK)
        return status;
    struct weir_doctor_snapshot *snapshot = patient->snapshot;
    unsigned long long pid = snapshot->pid;
    if ((line.flags & KERNEL_THREAD) != 0)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "process %llu is a thread of the kernel; it has no memory of its own",
                              pid);
    (void)snprintf(patient->memory_folder, sizeof patient->memory_folder, "%s", folder);
    patient->memory_pid = pid;
    if (has_ended(&line) && !find_living_thread(folder, patient))
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "process %llu has ended (a zombie); its memory is already given back",
                              pid);
    snapshot->minor_faults = line.minor_faults;
    snapshot->major_faults = line.major_faults;
    snapshot->start_time = line.start_time;
    return WEIR_OK;
}

bool weir__patient_is_alive(const struct weir__patient *patient, const char *folder)
{
    struct stat_line line;
    struct weir__patient other;
    return read_stat_line(folder, &line, NULL) == WEIR_OK &&
           line.start_time == patient->snapshot->start_time &&
           (!has_ended(&line) || find_living_thread(folder, &other));
}

/* --- small files --------------------------------------------------------------------------- */

/* Without its newline; "" when it cannot be read. */
static void read_line(const char *folder, const char *file, char *text, size_t size)
{
    char path[512];
    size_t length = 0;
    text[0] = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    if (weir_proc_file_read(path, text, size, &length, NULL) != WEIR_OK)
        text[0] = 0;
    text[strcspn(text, "\n")] = 0;
}

static void read_program(const char *folder, char *program, size_t size)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/exe", folder);
    long length = weir_io_readlinkat(weir_io_system(), AT_FDCWD, path, program, size - 1);
    program[length > 0 ? length : 0] = 0;
}

/* "Max stack size            8388608              unlimited            bytes" */
static uint64_t read_stack_limit(const char *folder)
{
    char path[512];
    char text[SMALL_FILE_SIZE];
    size_t length = 0;
    (void)snprintf(path, sizeof path, "%s/limits", folder);
    if (weir_proc_file_read(path, text, sizeof text, &length, NULL) != WEIR_OK)
        return 0;
    struct weir_scan scan = weir_scan(text, length);
    struct weir_scan line;
    while (weir_scan_line(&scan, &line)) {
        static const char HEAD[] = "Max stack size";
        uint64_t bytes = 0;
        if (!weir_scan_starts(&line, HEAD))
            continue;
        line.at += sizeof HEAD - 1;
        weir_scan_blank(&line);
        if (!weir_scan_dec(&line, &bytes))
            return UINT64_C(2) << 20; /* unlimited: glibc takes 2 MiB on x86-64 */
        return weir_align_down(bytes, WEIR__PAGE);
    }
    return 0;
}

/* --- environment --------------------------------------------------------------------------- */

static bool keep_value(const char *entry, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    if (strncmp(entry, name, length) != 0)
        return false;
    (void)snprintf(value, size, "%s", entry + length);
    return true;
}

static void read_environment(struct weir__patient *patient, const char *folder)
{
    struct weir_doctor_snapshot *snapshot = patient->snapshot;
    struct weir_io *io = weir_io_system();
    char path[512];
    (void)snprintf(path, sizeof path, "%s/environ", folder);
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY, 0);
    AUTO_FREE char *text = malloc(WEIR__ENVIRON_BYTES_MAX + 1);
    long length = fd >= 0 && text != NULL ? weir_io_read_full(io, fd, text, WEIR__ENVIRON_BYTES_MAX)
                                          : -EACCES;
    if (length < 0)
        return;
    text[length] = 0;
    snapshot->can_read_environment = true;
    for (const char *at = text; at < text + length; at += strlen(at) + 1) {
        snapshot->has_gomemlimit |=
            keep_value(at, "GOMEMLIMIT=", snapshot->gomemlimit, sizeof snapshot->gomemlimit);
        snapshot->has_arena_max |=
            keep_value(at, "MALLOC_ARENA_MAX=", snapshot->arena_max, sizeof snapshot->arena_max);
        static const char TUNABLE[] = "glibc.malloc.arena_max=";
        const char *tunable = strncmp(at, "GLIBC_TUNABLES=", 15) == 0 ? strstr(at, TUNABLE) : NULL;
        if (tunable != NULL)
            snapshot->has_arena_max |=
                keep_value(tunable, TUNABLE, snapshot->arena_max, sizeof snapshot->arena_max);
    }
}

/* --- the program --------------------------------------------------------------------------- */

/* Notes of the form that Go's linker writes: the owner is "Go". */
static bool has_go_note(struct weir_io *io, int fd, const Elf64_Phdr *segment)
{
    uint8_t bytes[4096];
    size_t size = segment->p_filesz < sizeof bytes ? (size_t)segment->p_filesz : sizeof bytes;
    if (weir_io_pread(io, fd, bytes, size, segment->p_offset) != (long)size)
        return false;
    for (size_t at = 0; at + 16 <= size;) {
        uint64_t name = weir_align_up(weir_load_u32(bytes + at), 4);
        uint64_t text = weir_align_up(weir_load_u32(bytes + at + 4), 4);
        if (weir_load_u32(bytes + at) == 4 && memcmp(bytes + at + 12, "Go\0", 4) == 0)
            return true;
        if (name + text > size)
            return false;
        at += 12 + (size_t)(name + text);
    }
    return false;
}

int weir__elf_open(const char *path, Elf64_Ehdr *ret_head)
{
    struct weir_io *io = weir_io_system();
    int fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    if (weir_io_pread(io, fd, ret_head, sizeof *ret_head, 0) == (long)sizeof *ret_head &&
        memcmp(ret_head->e_ident, ELFMAG, SELFMAG) == 0 &&
        ret_head->e_ident[EI_CLASS] == ELFCLASS64)
        return fd;
    (void)weir_io_close(io, fd);
    return -ENOEXEC;
}

bool weir__file_is_go(const char *path)
{
    struct weir_io *io = weir_io_system();
    Elf64_Ehdr head;
    AUTO_CLOSE fd = weir__elf_open(path, &head);
    if (fd < 0 || head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phnum > WEIR__SEGMENTS_MAX)
        return false;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr segment;
        if (weir_io_pread(io, fd, &segment, sizeof segment, head.e_phoff + i * sizeof segment) !=
            (long)sizeof segment)
            return false;
        if (segment.p_type == PT_NOTE && has_go_note(io, fd, &segment))
            return true;
    }
    return false;
}

/* --- all ----------------------------------------------------------------------------------- */

enum weir_status weir__patient_read(struct weir__patient *patient, const char *folder,
                                    struct weir_error *error)
{
    struct weir_doctor_snapshot *snapshot = patient->snapshot;
    enum weir_status status = read_stat(patient, folder, error);
    if (status != WEIR_OK)
        return status;
    char path[512];
    const char *memory_folder = patient->memory_folder;
    struct weir_proc_status process;
    struct weir_error inner = {0};
    (void)snprintf(path, sizeof path, "%s/status", memory_folder);
    if (weir_proc_status_read(path, &process, &inner) != WEIR_OK)
        return no_process(folder, &inner, error);
    snapshot->page_table_bytes = process.vm_pte;
    snapshot->thread_count = process.threads;
    snapshot->hwm_bytes = process.vm_hwm;
    read_line(folder, "comm", snapshot->name, sizeof snapshot->name);
    read_program(memory_folder, snapshot->program, sizeof snapshot->program);
    patient->stack_bytes = read_stack_limit(memory_folder);
    read_environment(patient, memory_folder);
    (void)snprintf(path, sizeof path, "%s/exe", memory_folder);
    snapshot->is_go = weir__file_is_go(path);
    return WEIR_OK;
}
