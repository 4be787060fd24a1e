/* Equation (a) of DESIGN law 1, from the kernel's view:
 *
 *   RSS = resident bytes of each owner's ranges + malloc's ranges + binary and libraries
 *         + unclassified
 *
 * Left side: Rss of smaps. Right side: registered mappings (pagemap for ranges that share a VMA),
 * malloc's heaps found by their own structure, file-backed ranges, thread stacks. Uncharged heap =
 * malloc's live bytes (mallinfo2) − weir_ledger_heap_bytes().
 */
#ifndef WEIR_LEDGER_EQUATION_H
#define WEIR_LEDGER_EQUATION_H

#include "ledger/mapping.h"

struct weir_equation {
    uint64_t rss_bytes;
    uint64_t owned[WEIR_KIND_COUNT]; /* resident bytes of registered mappings by kind */
    uint64_t owned_file_bytes;       /* of those, file-backed */
    uint64_t malloc_bytes;           /* resident bytes of heap and arenas */
    uint64_t malloc_live_bytes;      /* what malloc says is in use */
    uint64_t malloc_free_resident_bytes;
    uint64_t binary_bytes; /* executable and libraries, all segments */
    uint64_t thread_stack_bytes;
    uint64_t sanitizer_bytes; /* shadow and allocator of ASan/TSan builds, else 0 */
    uint64_t kernel_bytes;    /* vdso, vvar */
    uint64_t unclassified_bytes;
    uint64_t swap_bytes;
    uint64_t page_table_bytes; /* VmPTE, not part of RSS */
    uint64_t mapping_count;
    uint64_t descriptor_count;
    uint64_t charged_heap_bytes;
    uint64_t uncharged_heap_bytes;
};

/* Reads /proc/self: 0.2 ms for a small process, 5 µs more per VMA, most of it the kernel's
 * (measured with 4,000). IO when /proc cannot be read. */
enum weir_status weir_equation_read(struct weir_equation *ret, struct weir_error *error)
    WEIR_MUST_USE;
/* |unclassified| ≤ 1 % of RSS + 512 KiB. In sanitizer builds 16 MiB more: a sanitizer maps memory
 * of its own (tables, large blocks) wherever the kernel puts it, 2 to 5 MiB in a small process. */
bool weir_equation_holds(const struct weir_equation *equation);

/* Open descriptors of this process. */
enum weir_status weir_descriptors_count(uint64_t *ret_count, struct weir_error *error)
    WEIR_MUST_USE;

/* DESIGN 7: Pss_Anon + Pss_Shmem + Swap of smaps_rollup + VmPTE, in bytes. */
enum weir_status weir_growth_read(uint64_t *ret_bytes, struct weir_error *error) WEIR_MUST_USE;

/* For the main function of Weir's own programs, before the first thread; never for the library:
 * two arenas and fixed thresholds, so that freed blocks of 128 KiB and more go back to the kernel
 * at once and what malloc keeps is small. Mapped chunks stay on; they are recognised by their
 * headers. */
void weir_process_tune_malloc(void);

#endif
