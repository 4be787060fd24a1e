/* The doctor's own limits, each with its reason. */
#ifndef WEIR_DOCTOR_LIMITS_H
#define WEIR_DOCTOR_LIMITS_H

#include <stdint.h>

/* Areas of one process. vm.max_map_count is 65,530 unless raised; advice for databases goes to
 * 262,144. An area takes 96 bytes here, 96 MiB of them all. */
#define WEIR__AREAS_MAX (1u << 20)
/* Names of areas, all together; equal names in a row are kept once. */
#define WEIR__NAMES_BYTES_MAX (16u << 20)
/* Looks at a process that begins another program during each. */
#define WEIR__LOOK_TRIES 3u
/* Loaded ELF objects whose program headers are read. A process with more has its zeroed data told
 * by place only. */
#define WEIR__OBJECTS_MAX 4096
/* Program headers of one object; linkers make about 15. */
#define WEIR__SEGMENTS_MAX 64
/* malloc heaps of 64 MiB that are listed for a walk: 256 GiB of arenas. */
#define WEIR__HEAPS_MAX 4096
/* Memory of malloc heaps that one walk copies. 1 GiB of 64-byte chunks takes 0.4 s of CPU, so
 * this is 2 s at the worst; of more arenas an even sample of heaps is walked, and said. */
#define WEIR__WALK_BYTES_MAX (UINT64_C(4) << 30)
/* How often a heap that changes under the walk is begun again before it counts as lost. */
#define WEIR__WALK_TRIES 3
/* ... and how often one place of it is read again before that. */
#define WEIR__STEP_TRIES 16
/* Pages of unknown areas that are searched for the header of a mapped chunk: 4 GiB, 0.9 s of CPU.
 */
#define WEIR__SEARCH_PAGES_MAX (UINT64_C(1) << 20)
/* A range whose pages are counted one by one: 128 MiB of pagemap, 0.3 s. What is larger (sparse
 * reservations) is not divided. */
#define WEIR__SUM_BYTES_MAX (UINT64_C(64) << 30)
/* Of each read-only section of a program that is searched for the messages of an allocator; the
 * largest programs (Chromium, Nitro) have 60 to 100 MiB of them. */
#define WEIR__SECTION_BYTES_MAX (UINT64_C(128) << 20)
/* Of "ROOT/proc/PID/task/TID"; a longer one is refused. */
#define WEIR__FOLDER_SIZE 448
/* Of /proc/PID/environ; a longer one is cut. */
#define WEIR__ENVIRON_BYTES_MAX (256u << 10)

#endif
