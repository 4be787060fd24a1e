/* The parser of maps and smaps is a line at a time over a fixed buffer; an area is delivered when
 * the next one begins or the input ends. Field names start with a capital, addresses are lower-case
 * hexadecimal, so that the first letter tells a header from a field. */
#include "base/proc_smaps.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/proc_scan.h"

struct field {
    const char *name;
    size_t offset;
};

static const struct field vma_fields[] = {
    {"Rss", offsetof(struct weir_vma, rss)},
    {"Pss", offsetof(struct weir_vma, pss)},
    {"Pss_Anon", offsetof(struct weir_vma, pss_anon)},
    {"Pss_File", offsetof(struct weir_vma, pss_file)},
    {"Pss_Shmem", offsetof(struct weir_vma, pss_shmem)},
    {"Shared_Clean", offsetof(struct weir_vma, shared_clean)},
    {"Shared_Dirty", offsetof(struct weir_vma, shared_dirty)},
    {"Private_Clean", offsetof(struct weir_vma, private_clean)},
    {"Private_Dirty", offsetof(struct weir_vma, private_dirty)},
    {"Anonymous", offsetof(struct weir_vma, anonymous)},
    {"AnonHugePages", offsetof(struct weir_vma, anon_huge)},
    {"LazyFree", offsetof(struct weir_vma, lazy_free)},
    {"Swap", offsetof(struct weir_vma, swap)},
    {"SwapPss", offsetof(struct weir_vma, swap_pss)},
    {"Locked", offsetof(struct weir_vma, locked)},
    {NULL, 0},
};

static const struct field status_fields[] = {
    {"VmSize", offsetof(struct weir_proc_status, vm_size)},
    {"VmRSS", offsetof(struct weir_proc_status, vm_rss)},
    {"VmHWM", offsetof(struct weir_proc_status, vm_hwm)},
    {"VmSwap", offsetof(struct weir_proc_status, vm_swap)},
    {"VmPTE", offsetof(struct weir_proc_status, vm_pte)},
    {"VmLck", offsetof(struct weir_proc_status, vm_locked)},
    {"RssAnon", offsetof(struct weir_proc_status, rss_anon)},
    {"RssFile", offsetof(struct weir_proc_status, rss_file)},
    {"RssShmem", offsetof(struct weir_proc_status, rss_shmem)},
    {"Threads", offsetof(struct weir_proc_status, threads)},
    {NULL, 0},
};

static const struct {
    char name[3];
    enum weir_vma_flag flag;
} vm_flags[] = {
    {"nr", WEIR_VMA_NORESERVE}, {"ac", WEIR_VMA_ACCOUNTED}, {"hg", WEIR_VMA_HUGE},
    {"nh", WEIR_VMA_NO_HUGE},   {"gd", WEIR_VMA_GROWSDOWN}, {"lo", WEIR_VMA_LOCKED},
    {"dd", WEIR_VMA_DONTDUMP},  {"uw", WEIR_VMA_UFFD_WP},   {"dc", WEIR_VMA_DONTCOPY},
};

/* --- fields -------------------------------------------------------------------------------- */

/* "  12 kB" or "  7"; stored where `name` says. False when the figure is no figure. */
static bool read_field(const struct field *fields, struct weir_scan name, struct weir_scan value,
                       void *record)
{
    for (; fields->name != NULL; fields++) {
        if (!weir_scan_is(&name, fields->name))
            continue;
        uint64_t figure;
        weir_scan_blank(&value);
        if (!weir_scan_dec(&value, &figure))
            return false;
        weir_scan_blank(&value);
        if (weir_scan_is(&value, "kB")) {
            if (!weir_mul_u64(figure, 1024, &figure))
                return false;
        } else if (!weir_scan_done(&value)) {
            return false;
        }
        memcpy((char *)record + fields->offset, &figure, sizeof figure);
        return true;
    }
    return true;
}

/* Cuts "Name:rest". */
static bool cut_name(struct weir_scan line, struct weir_scan *ret_name, struct weir_scan *ret_rest)
{
    const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at));
    if (colon == NULL || colon == line.at)
        return false;
    *ret_name = (struct weir_scan){line.at, colon};
    *ret_rest = (struct weir_scan){colon + 1, line.end};
    return true;
}

static void read_flags(struct weir_scan line, struct weir_vma *vma)
{
    struct weir_scan word;
    vma->has_flags = true;
    for (weir_scan_blank(&line); weir_scan_word(&line, &word); weir_scan_blank(&line))
        for (size_t i = 0; i < sizeof vm_flags / sizeof vm_flags[0]; i++)
            if (weir_scan_is(&word, vm_flags[i].name))
                vma->flags |= vm_flags[i].flag;
}

/* --- areas --------------------------------------------------------------------------------- */

static bool read_permissions(struct weir_scan *line, struct weir_vma *vma)
{
    if (line->end - line->at < 4)
        return false;
    static const char on[] = "rwx";
    for (int i = 0; i < 3; i++)
        if (line->at[i] != on[i] && line->at[i] != '-')
            return false;
    if (line->at[3] != 'p' && line->at[3] != 's')
        return false;
    vma->readable = line->at[0] == 'r';
    vma->writable = line->at[1] == 'w';
    vma->executable = line->at[2] == 'x';
    vma->shared = line->at[3] == 's';
    line->at += 4;
    return true;
}

/* "start-end rwxp offset major:minor inode   path" */
static bool read_header(struct weir_smaps *smaps, struct weir_scan line)
{
    struct weir_vma vma = {0};
    uint64_t major;
    uint64_t minor;
    if (!weir_scan_hex(&line, &vma.start) || !weir_scan_char(&line, '-') ||
        !weir_scan_hex(&line, &vma.end) || vma.end < vma.start || !weir_scan_char(&line, ' ') ||
        !read_permissions(&line, &vma) || !weir_scan_char(&line, ' ') ||
        !weir_scan_hex(&line, &vma.offset) || !weir_scan_char(&line, ' ') ||
        !weir_scan_hex(&line, &major) || !weir_scan_char(&line, ':') ||
        !weir_scan_hex(&line, &minor) || !weir_scan_char(&line, ' ') ||
        !weir_scan_dec(&line, &vma.inode))
        return false;
    vma.dev_major = (uint32_t)major;
    vma.dev_minor = (uint32_t)minor;
    weir_scan_blank(&line);
    vma.path_length = (size_t)(line.end - line.at);
    memcpy(smaps->path, line.at, vma.path_length);
    smaps->path[vma.path_length] = '\0';
    vma.path = smaps->path;
    smaps->vma = vma;
    smaps->has_vma = true;
    return true;
}

static void deliver(struct weir_smaps *smaps)
{
    if (smaps->has_vma && !smaps->stopped)
        smaps->stopped = !smaps->visit(smaps->context, &smaps->vma);
    smaps->has_vma = false;
}

static enum weir_status refuse_line(const struct weir_proc_line *line, const char *what,
                                    struct weir_error *error)
{
    return weir_error_set(error, WEIR_MALFORMED, line->offset, "\"%.*s\" is no line of a %s file",
                          (int)(line->length < 60 ? line->length : 60), line->text, what);
}

static enum weir_status read_line(struct weir_smaps *smaps, struct weir_error *error)
{
    struct weir_scan line = weir_scan(smaps->line.text, smaps->line.length);
    bool good = true;
    if (!weir_scan_done(&line)) {
        struct weir_scan name;
        struct weir_scan rest;
        bool is_field = *line.at >= 'A' && *line.at <= 'Z';
        if (!is_field) {
            deliver(smaps);
            good = read_header(smaps, line);
        } else if (!smaps->has_vma || !cut_name(line, &name, &rest)) {
            good = false;
        } else if (weir_scan_is(&name, "VmFlags")) {
            read_flags(rest, &smaps->vma);
        } else {
            good = read_field(vma_fields, name, rest, &smaps->vma);
        }
    }
    return good ? WEIR_OK : refuse_line(&smaps->line, "maps or smaps", error);
}

static void begin_lines(struct weir_proc_line *line)
{
    memset(line, 0, offsetof(struct weir_proc_line, text));
}

/* Takes bytes up to the next newline. Whether it came, so that the line is whole. */
static bool take_line(struct weir_proc_line *line, const char **bytes, size_t *size)
{
    if (*size == 0)
        return false;
    if (line->is_whole) {
        line->offset += line->length + line->skipped + 1;
        line->length = 0;
        line->skipped = 0;
    }
    const char *newline = memchr(*bytes, '\n', *size);
    size_t length = newline != NULL ? (size_t)(newline - *bytes) : *size;
    size_t room = sizeof line->text - 1 - line->length;
    size_t taken = length < room ? length : room;
    memcpy(line->text + line->length, *bytes, taken);
    line->length += taken;
    line->skipped += length - taken;
    line->is_whole = newline != NULL;
    *bytes += length + line->is_whole;
    *size -= length + line->is_whole;
    return line->is_whole;
}

/* At the end of the input: whether bytes behind the last newline are a line too. */
static bool has_rest(const struct weir_proc_line *line)
{
    return !line->is_whole && line->length != 0;
}

void weir_smaps_begin(struct weir_smaps *smaps, weir_vma_visit *visit, void *context)
{
    memset(smaps, 0, offsetof(struct weir_smaps, line));
    begin_lines(&smaps->line);
    smaps->visit = visit;
    smaps->context = context;
}

enum weir_status weir_smaps_feed(struct weir_smaps *smaps, const char *bytes, size_t size,
                                 struct weir_error *error)
{
    while (!smaps->stopped && take_line(&smaps->line, &bytes, &size)) {
        enum weir_status status = read_line(smaps, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir_smaps_end(struct weir_smaps *smaps, struct weir_error *error)
{
    if (has_rest(&smaps->line) && !smaps->stopped) {
        enum weir_status status = read_line(smaps, error);
        if (status != WEIR_OK)
            return status;
    }
    deliver(smaps);
    return WEIR_OK;
}

/* --- files --------------------------------------------------------------------------------- */

static enum weir_status cannot(struct weir_error *error, int number, const char *verb,
                               const char *path)
{
    enum weir_status status = number == ENOENT || number == ESRCH   ? WEIR_NOT_FOUND
                              : number == EACCES || number == EPERM ? WEIR_PERMISSION
                                                                    : WEIR_IO;
    return weir_error_set_errno(error, status, number, "cannot %s %s", verb, path);
}

/* The kernel ends the text early, without an error, when the address space ends. An address space
 * never comes back, so one that can still be read was there all the time. */
static enum weir_status check_whole(struct weir_io *io, int fd, const char *path,
                                    struct weir_error *error)
{
    char byte;
    if (weir_io_pread(io, fd, &byte, sizeof byte, 0) == (long)sizeof byte)
        return WEIR_OK;
    return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                          "%s ended too early: the process ended or began another program", path);
}

enum weir_status weir_smaps_read(const char *path, weir_vma_visit *visit, void *context,
                                 struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return cannot(error, -fd, "open", path);
    struct weir_smaps smaps;
    weir_smaps_begin(&smaps, visit, context);
    char bytes[8192];
    bool is_empty = true; /* a thread of the kernel, a process that has ended */
    while (!smaps.stopped) {
        long length = weir_io_read(io, fd, bytes, sizeof bytes);
        if (length == -EINTR)
            continue;
        if (length < 0)
            return cannot(error, (int)-length, "read", path);
        if (length == 0)
            break;
        is_empty = false;
        enum weir_status status = weir_smaps_feed(&smaps, bytes, (size_t)length, error);
        if (status != WEIR_OK)
            return status;
    }
    if (!smaps.stopped && !is_empty) {
        enum weir_status status = check_whole(io, fd, path, error);
        if (status != WEIR_OK)
            return status;
    }
    return weir_smaps_end(&smaps, error);
}

static bool keep_sums(void *context, const struct weir_vma *vma)
{
    *(struct weir_vma *)context = *vma;
    return false;
}

enum weir_status weir_smaps_rollup(const char *path, struct weir_vma *ret_sums,
                                   struct weir_error *error)
{
    struct weir_vma sums = {.path = ""};
    enum weir_status status = weir_smaps_read(path, keep_sums, &sums, error);
    if (status != WEIR_OK)
        return status;
    sums.path = "";
    sums.path_length = 0;
    *ret_sums = sums;
    return WEIR_OK;
}

enum weir_status weir_proc_file_read(const char *path, char *bytes, size_t size, size_t *ret_length,
                                     struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return cannot(error, -fd, "open", path);
    long length = weir_io_read_full(io, fd, bytes, size);
    if (length < 0)
        return cannot(error, (int)-length, "read", path);
    if ((size_t)length == size)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "%s is larger than the %zu bytes that are read of it", path,
                              size - 1);
    bytes[length] = '\0';
    *ret_length = (size_t)length;
    return WEIR_OK;
}

/* --- status ---------------------------------------------------------------------------------- */

static enum weir_status read_status_line(const struct weir_proc_line *line,
                                         struct weir_proc_status *status, struct weir_error *error)
{
    struct weir_scan name;
    struct weir_scan rest;
    struct weir_scan text = weir_scan(line->text, line->length);
    if (weir_scan_done(&text) ||
        (cut_name(text, &name, &rest) && read_field(status_fields, name, rest, status)))
        return WEIR_OK;
    return refuse_line(line, "status", error);
}

static enum weir_status feed_status(struct weir_proc_line *line, const char *bytes, size_t size,
                                    struct weir_proc_status *status, struct weir_error *error)
{
    while (take_line(line, &bytes, &size)) {
        enum weir_status result = read_status_line(line, status, error);
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

static enum weir_status end_status(const struct weir_proc_line *line,
                                   struct weir_proc_status *status,
                                   struct weir_proc_status *ret_status, struct weir_error *error)
{
    enum weir_status result = has_rest(line) ? read_status_line(line, status, error) : WEIR_OK;
    if (result == WEIR_OK)
        *ret_status = *status;
    return result;
}

enum weir_status weir_proc_status_parse(const char *text, size_t size,
                                        struct weir_proc_status *ret_status,
                                        struct weir_error *error)
{
    struct weir_proc_status status = {0};
    struct weir_proc_line line;
    begin_lines(&line);
    enum weir_status result = feed_status(&line, text, size, &status, error);
    return result == WEIR_OK ? end_status(&line, &status, ret_status, error) : result;
}

enum weir_status weir_proc_status_read(const char *path, struct weir_proc_status *ret_status,
                                       struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return cannot(error, -fd, "open", path);
    struct weir_proc_status status = {0};
    struct weir_proc_line line;
    char bytes[4096];
    enum weir_status result = WEIR_OK;
    begin_lines(&line);
    for (uint64_t total = 0; result == WEIR_OK;) {
        long length = weir_io_read(io, fd, bytes, sizeof bytes);
        if (length == -EINTR)
            continue;
        if (length < 0)
            return cannot(error, (int)-length, "read", path);
        if (length == 0)
            break;
        total += (uint64_t)length;
        if (total > WEIR_PROC_STATUS_BYTES_MAX)
            return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                  "%s is larger than the %u bytes that are read of it", path,
                                  WEIR_PROC_STATUS_BYTES_MAX);
        result = feed_status(&line, bytes, (size_t)length, &status, error);
    }
    return result == WEIR_OK ? end_status(&line, &status, ret_status, error) : result;
}
