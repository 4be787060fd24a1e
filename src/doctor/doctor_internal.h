/* The doctor's own parts: a patient (what was read of a process), its areas, a view of its memory,
 * the rules' functions, the walk over malloc's chunks.
 *
 * Whatever comes out of a process's memory is untrusted and changes while it is read: every word is
 * checked before it leads anywhere, and work is bounded by doctor_limits.h. Only pages that are
 * present are read, so that looking at a process does not make it larger.
 */
#ifndef WEIR_DOCTOR_INTERNAL_H
#define WEIR_DOCTOR_INTERNAL_H

#include "doctor/doctor.h"
#include "doctor/doctor_limits.h"

#include <elf.h>

#define WEIR__PAGE UINT64_C(4096)
#define WEIR__MIB (UINT64_C(1) << 20)
#define WEIR__GIB (UINT64_C(1) << 30)
#define WEIR__ARENA_BYTES                                                                          \
    (UINT64_C(64) << 20) /* glibc's HEAP_MAX_SIZE; Go's arena; fastcache's                         \
                          */

/* --- memory -------------------------------------------------------------------------------- */

enum weir__page_state {
    WEIR__PAGE_PRESENT = 1,
    WEIR__PAGE_SWAPPED = 2,
    WEIR__PAGE_FILE = 4 /* or shared */
};

struct weir__span {
    uint64_t address;
    uint64_t size;
};
#define WEIR__SPANS_MAX 256

struct weir__memory {
    void *context;
    /* Copies spans one behind the other; false unless all of them could be read. */
    bool (*read)(void *context, const struct weir__span *spans, size_t count, void *bytes);
    /* enum weir__page_state of `count` pages from `start`; false when that cannot be seen. */
    bool (*pages)(void *context, uint64_t start, size_t count, uint8_t *states);
};

/* Reads `size` bytes if all their pages are present. */
bool weir__memory_read(const struct weir__memory *memory, uint64_t address, void *bytes,
                       size_t size) WEIR_MUST_USE;

struct weir__page_sums {
    uint64_t resident, file, swapped; /* bytes */
};
/* False when it cannot be seen; start and end are multiples of a page. */
bool weir__memory_sum(const struct weir__memory *memory, uint64_t start, uint64_t end,
                      struct weir__page_sums *ret_sums) WEIR_MUST_USE;

struct weir__live_memory {
    int pid;
    int pagemap_fd; /* -1: none */
};
/* Of a running process; neither call of `ret_memory` works when it is not permitted. */
void weir__live_memory_open(int pid, struct weir__live_memory *live,
                            struct weir__memory *ret_memory);
void weir__live_memory_close(struct weir__live_memory *live);
/* No memory at all. */
struct weir__memory weir__no_memory(void);

/* --- areas --------------------------------------------------------------------------------- */

struct weir__area {
    uint64_t start, end;
    uint64_t rss, pss, anon, swap, huge;
    uint64_t offset, inode;
    uint32_t dev;
    uint32_t flags; /* enum weir_vma_flag */
    uint32_t name;  /* offset in the patient's names; 0: "" */
    bool readable, writable, executable, shared, has_flags;
};

/* A mapped ELF file. */
struct weir__object {
    uint64_t start, end; /* end of its zeroed data; areas beyond are not its own */
    bool is_executable;  /* the program itself */
    bool has_segments;   /* `end` is by program headers */
};

/* A 64 MiB heap of an arena, or the main heap. */
struct weir__heap {
    uint64_t start, end; /* whole, and the end of its writable part */
    uint64_t arena;      /* address of the arena's record; 0: main */
    uint64_t rss;
};

struct weir__patient {
    struct weir_doctor_snapshot *snapshot;
    /* Where its address space is read: "ROOT/proc/PID", or "ROOT/proc/PID/task/TID" of a thread
     * that lives when the main one has ended. */
    char memory_folder[WEIR__FOLDER_SIZE];
    uint64_t memory_pid; /* PID or TID */
    struct weir__memory memory;
    struct weir__area *areas;
    size_t area_count, area_capacity;
    char *names;
    size_t names_size, names_capacity;
    struct weir__object *objects;
    size_t object_count;
    struct weir__heap *heaps;
    size_t heap_count;
    uint64_t stack_bytes;       /* RLIMIT_STACK: the size of a thread's stack; 0: not known */
    uint64_t seen_stack_bytes;  /* of the last stack that a record confirmed; 0: none */
    uint64_t search_pages;      /* left of WEIR__SEARCH_PAGES_MAX */
    size_t run_first, run_last; /* areas of the run that was asked for last; run_last 0: none */
    uint32_t executable_name;   /* of the areas that map the program; 0: not known */
    struct weir_error *error;
    enum weir_status status;
};

void weir__patient_done(struct weir__patient *patient);
static inline const char *weir__area_name(const struct weir__patient *patient,
                                          const struct weir__area *area)
{
    return area->name == 0 ? "" : patient->names + area->name;
}

/* /proc/PID: stat, status, comm, exe, limits, environ. `folder` is "ROOT/proc/PID". */
enum weir_status weir__patient_read(struct weir__patient *patient, const char *folder,
                                    struct weir_error *error) WEIR_MUST_USE;
/* Whether it is still the process that was read, and one of its threads lives. */
bool weir__patient_is_alive(const struct weir__patient *patient, const char *folder);
/* A file smaps into the list. */
enum weir_status weir__areas_read(struct weir__patient *patient, const char *path,
                                  struct weir_error *error) WEIR_MUST_USE;
/* One area more; false when memory or room is refused (status is set). For tests and fuzzing. */
struct weir_vma;
bool weir__areas_add(void *patient, const struct weir_vma *vma);
/* Which files are loaded objects, which allocators they bring. `exe` as in snapshot.program. */
enum weir_status weir__objects_find(struct weir__patient *patient, struct weir_error *error)
    WEIR_MUST_USE;
/* Opens a 64-bit ELF file; -errno for another one. */
int weir__elf_open(const char *path, Elf64_Ehdr *ret_head);
/* True when the ELF file is a Go program, by its notes. */
bool weir__file_is_go(const char *path);
/* Marks the allocators that are linked into the ELF file; true when one is new. */
bool weir__file_allocators(const char *path, struct weir_doctor_snapshot *snapshot);

/* --- rules --------------------------------------------------------------------------------- */

/* Where a rule looks: the rest [at, area->end) of an area. */
struct weir__place {
    struct weir__patient *patient;
    const struct weir__area *area;
    size_t index; /* of the area */
    uint64_t at;
    const char *argument; /* of the rule */
};

/* A rule's answer: where its piece ends, or 0 when it is not one of its own. */
typedef uint64_t weir__match(const struct weir__place *place);

#define WEIR_DOCTOR_RULE(id, name, class, confidence, match, argument, text)                       \
    weir__match weir__##match;
#include "doctor/doctor_rules.def"
#undef WEIR_DOCTOR_RULE

/* A heap for the walk; where memory or room is refused it is left out. */
void weir__keep_heap(struct weir__patient *patient, const struct weir__heap *heap);

/* All areas into sums; heaps of malloc into the list. */
void weir__classify(struct weir__patient *patient);

/* Areas beside: NULL when there is none that touches. */
const struct weir__area *weir__area_before(const struct weir__place *place);
const struct weir__area *weir__area_after(const struct weir__place *place);
/* Bytes of the inaccessible area directly behind, or before; 0 without. */
uint64_t weir__none_after(const struct weir__place *place);
uint64_t weir__none_before(const struct weir__place *place);
struct weir__run {
    uint64_t start, end;
    bool has_none; /* something inaccessible is in it */
};
/* The areas without a file or a name that touch each other around the place. */
struct weir__run weir__run_around(const struct weir__place *place);
/* Private, readable, writable, not executable, without name and file. */
bool weir__is_plain(const struct weir__area *area);
/* A mapped chunk of malloc starts at `at`; its end, or 0. */
uint64_t weir__chunk_end(const struct weir__memory *memory, uint64_t at, uint64_t limit);
/* A page of V8's heap starts at `at`; its end, or 0. */
uint64_t weir__v8_page_end(const struct weir__memory *memory, uint64_t at, uint64_t limit);

/* --- malloc -------------------------------------------------------------------------------- */

/* True when glibc's chunks begin at the front of [start, end): *ret_first is the first of them. */
bool weir__heap_first_chunk(const struct weir__memory *memory, uint64_t start, uint64_t end,
                            uint64_t *ret_first);
/* True when [heap] ends at `end` with the mark that malloc went on elsewhere. */
bool weir__main_is_fenced(const struct weir__memory *memory, uint64_t end);
/* A piece of the main heap outside of [heap] begins at `start`, by its chunks: its end, or 0. */
uint64_t weir__main_piece_end(const struct weir__memory *memory, uint64_t start, uint64_t limit);
/* Walks the chunks of one heap; adds what it found to `sum`. False: lost, nothing was added.
 * `budget` bytes at most are copied, and taken off it; what lies behind counts as lost_bytes. */
bool weir__heap_walk(const struct weir__memory *memory, const struct weir__heap *heap,
                     uint64_t *budget, struct weir_doctor_malloc *sum);
/* Main heap and arenas of the patient into its snapshot. */
void weir__malloc_walk(struct weir__patient *patient);

#endif
