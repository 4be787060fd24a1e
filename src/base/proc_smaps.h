/* Reading /proc/PID/{maps,smaps,smaps_rollup,status} as streams: bytes go in by any cut, areas come
 * out one by one, nothing is allocated. Works from a string as well as from a file.
 *
 * The kernel is trusted to be the kernel, but the text may come from a saved file: a line that is
 * no area, no field and not blank is MALFORMED with its offset; unknown fields are passed over;
 * figures that do not fit 64 bits are MALFORMED. A path longer than the line buffer is cut.
 *
 * A living process changes under the reader: the kernel writes a page of text per read() (measured:
 * up to 4,052 bytes of it, whole areas, whatever the buffer's size) and lets go of the process
 * between two. Each area is right for its own moment, but one that grew or joined others meanwhile
 * comes once more over those that were delivered: its start lies before the end of the last one,
 * its end always beyond. Whoever adds areas up must take back what it covers. A text that somebody
 * saved of a living process is the same.
 */
#ifndef WEIR_BASE_PROC_SMAPS_H
#define WEIR_BASE_PROC_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* VmFlags that tell where an area comes from. */
enum weir_vma_flag {
    WEIR_VMA_NORESERVE = 1u << 0, /* nr */
    WEIR_VMA_ACCOUNTED = 1u << 1, /* ac */
    WEIR_VMA_HUGE = 1u << 2,      /* hg: MADV_HUGEPAGE */
    WEIR_VMA_NO_HUGE = 1u << 3,   /* nh */
    WEIR_VMA_GROWSDOWN = 1u << 4, /* gd */
    WEIR_VMA_LOCKED = 1u << 5,    /* lo */
    WEIR_VMA_DONTDUMP = 1u << 6,  /* dd */
    WEIR_VMA_UFFD_WP = 1u << 7,   /* uw */
    WEIR_VMA_DONTCOPY = 1u << 8   /* dc: MADV_DONTFORK */
};

struct weir_vma {
    uint64_t start;
    uint64_t end;
    bool readable, writable, executable, shared;
    bool has_flags; /* smaps of kernels that print VmFlags */
    uint32_t flags; /* enum weir_vma_flag */
    uint64_t offset;
    uint32_t dev_major, dev_minor;
    uint64_t inode;
    const char *path; /* "" for anonymous; valid until the visit returns */
    size_t path_length;
    /* In bytes; zero where the file has no such line (maps has none). */
    uint64_t rss, pss, pss_anon, pss_file, pss_shmem;
    uint64_t shared_clean, shared_dirty, private_clean, private_dirty;
    uint64_t anonymous, anon_huge, lazy_free, swap, swap_pss, locked;
};

/* False ends the reading early, with OK. */
typedef bool weir_vma_visit(void *context, const struct weir_vma *vma);

#define WEIR_SMAPS_LINE_SIZE 4352 /* PATH_MAX and the columns before it */

/* The present line of a text that comes by any cut; of an overlong one the begin. */
struct weir_proc_line {
    bool is_whole;    /* its newline has come */
    uint64_t offset;  /* of its first byte in the input */
    uint64_t skipped; /* bytes beyond the buffer */
    size_t length;
    char text[WEIR_SMAPS_LINE_SIZE];
};

struct weir_smaps {
    weir_vma_visit *visit;
    void *context;
    struct weir_vma vma;
    bool has_vma;
    bool stopped;
    struct weir_proc_line line;
    char path[WEIR_SMAPS_LINE_SIZE];
};

void weir_smaps_begin(struct weir_smaps *smaps, weir_vma_visit *visit, void *context);
enum weir_status weir_smaps_feed(struct weir_smaps *smaps, const char *bytes, size_t size,
                                 struct weir_error *error) WEIR_MUST_USE;
/* Delivers the last area. */
enum weir_status weir_smaps_end(struct weir_smaps *smaps, struct weir_error *error) WEIR_MUST_USE;

/* Reads a whole file ("/proc/self/smaps"). NOT_FOUND also when the process ended or began another
 * program (exec) meanwhile, so that the kernel left out the rest; PERMISSION, IO or MALFORMED. */
enum weir_status weir_smaps_read(const char *path, weir_vma_visit *visit, void *context,
                                 struct weir_error *error) WEIR_MUST_USE;
/* The sums of smaps_rollup as one area. */
enum weir_status weir_smaps_rollup(const char *path, struct weir_vma *ret_sums,
                                   struct weir_error *error) WEIR_MUST_USE;

/* Of /proc/PID/status; bytes, and zero where the kernel has no such line. */
struct weir_proc_status {
    uint64_t vm_size, vm_rss, vm_hwm, vm_swap, vm_pte, vm_locked;
    uint64_t rss_anon, rss_file, rss_shmem;
    uint64_t threads;
};
enum weir_status weir_proc_status_parse(const char *text, size_t size,
                                        struct weir_proc_status *ret_status,
                                        struct weir_error *error) WEIR_MUST_USE;
/* A process in 65,536 groups, the most that Linux allows, has 700 KiB; TOO_LARGE beyond. */
#define WEIR_PROC_STATUS_BYTES_MAX (1u << 20)
enum weir_status weir_proc_status_read(const char *path, struct weir_proc_status *ret_status,
                                       struct weir_error *error) WEIR_MUST_USE;

/* A small /proc or cgroup file as a whole: at most size - 1 bytes and a zero behind them.
 * TOO_LARGE when it does not fit. */
enum weir_status weir_proc_file_read(const char *path, char *bytes, size_t size, size_t *ret_length,
                                     struct weir_error *error) WEIR_MUST_USE;

#endif
