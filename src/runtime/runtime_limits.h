/* Every fixed bound of the runtime, each with its reason. What an embedder may choose is in the
 * configurations of include/weir; the defaults behind a zero there are here. */
#ifndef WEIR_RUNTIME_LIMITS_H
#define WEIR_RUNTIME_LIMITS_H

#include <stdint.h>

/* Defaults of struct weir_engine_config. Stack: an eighth of a native thread's habit; at least the
 * margin and one large frame; more than the maximum is a typing error. The guard takes one mprotect
 * and catches a stray signal frame. Module: the JS API's limit. */
#define WEIR_STACK_BYTES_DEFAULT (UINT64_C(1) << 20)
#define WEIR_STACK_BYTES_MIN (UINT64_C(64) << 10)
#define WEIR_STACK_BYTES_MAX (UINT64_C(1) << 30)
#define WEIR_STACK_GUARD_BYTES (UINT64_C(64) << 10)
#define WEIR_MODULE_BYTES_DEFAULT (UINT64_C(1) << 30)

/* Defaults of struct weir_store_config. */
#define WEIR_LINEAR_BYTES_DEFAULT (UINT64_C(4) << 30) /* all that 32 bits address */
#define WEIR_LINEAR_BYTES_MAX (UINT64_C(1) << 40)     /* memory64: 47 bits of address space */
#define WEIR_TABLE_ELEMENTS_DEFAULT UINT64_C(1000000)
#define WEIR_TABLE_ELEMENTS_MAX UINT64_C(10000000) /* JS API */
#define WEIR_INSTANCES_DEFAULT 1000u
#define WEIR_TASKS_DEFAULT 64u
#define WEIR_HANDLES_DEFAULT 16384u /* 1.2 MiB of entries */
#define WEIR_KEEP_RESIDENT_DEFAULT (UINT64_C(1) << 20) /* 256 pages: a reset of about 20 µs */

/* Defaults of struct weir_pool_config. */
#define WEIR_POOL_SLOTS_DEFAULT 64u
#define WEIR_POOL_WARM_DEFAULT 8u
/* Warm slots that a take looks through for one of its own key, under the pool's lock. */
#define WEIR_POOL_NEAR_MAX 8u

/* Handles of one table: the canonical ABI's bound. Lends of one call: more than a call has
 * arguments, and less than 64 KiB. */
#define WEIR_HANDLES_MAX ((1u << 28) - 1)
#define WEIR_SCOPE_LENDS_MAX 2048u

/* Pins of an instance that a receipt names, of however many: a table may hold a million. */
#define WEIR_PINS_NAMED_MAX 64

/* Censuses. Objects of the list between two pauses: about 100 µs, which is what a store that makes
 * something may wait. Groups and stores by default: less than 1 MiB; more than the maximum is a
 * typing error. Handles of one table that are looked at one by one: 10 ms; what is beyond is only
 * counted. Edges of references: 60 KiB of stack to search them. */
#define WEIR_CENSUS_BATCH 64
#define WEIR_CENSUS_GROUPS_DEFAULT 1024u
#define WEIR_CENSUS_STORES_DEFAULT 256u
#define WEIR_CENSUS_MAX 1048576u
#define WEIR_CENSUS_HANDLES_MAX 65536u
#define WEIR_REF_EDGES_MAX 4096u

/* Executors: host work mostly waits for the system, so a few threads serve many guests; a queue of
 * the maximum is 10 MiB of records. The stack is what libraries such as resolvers need. */
#define WEIR_EXECUTOR_THREADS_DEFAULT 2u
#define WEIR_EXECUTOR_THREADS_MAX 256u
#define WEIR_EXECUTOR_QUEUE_DEFAULT 64u
#define WEIR_EXECUTOR_QUEUE_MAX 65536u
#define WEIR_EXECUTOR_STACK_DEFAULT (UINT64_C(256) << 10)
#define WEIR_EXECUTOR_STACK_MIN (UINT64_C(64) << 10) /* above what pthreads refuses */
#define WEIR_EXECUTOR_STACK_MAX (UINT64_C(1) << 30)  /* more is a typing error */

/* Guest stacks that the process keeps for the next store; what lies deeper than the kept part is
 * given back to the kernel. */
#define WEIR_STACK_IDLE_MAX 16u
#define WEIR_STACK_KEEP_BYTES (UINT64_C(32) << 10)

/* A signal frame with AVX-512 state is 3.5 KiB, and a fault inside the handler nests one more. */
#define WEIR_SIGNAL_STACK_BYTES (UINT64_C(64) << 10)
#define WEIR_SIGNAL_STACK_MIN (UINT64_C(16) << 10) /* of a stack that somebody else installed */

/* The timer thread's: it calls nothing but the C library. */
#define WEIR_TIMER_STACK_BYTES (UINT64_C(128) << 10)

/* Host calls nest on the thread's own stack: what must be left of it when a guest is entered or a
 * host function called, and how deep the nesting may get where the stack is not a thread's. */
#define WEIR_HOST_STACK_MARGIN (UINT64_C(128) << 10)
#define WEIR_HOST_DEPTH_MAX 1000u

/* Bulk operations look up (deadline, cancellation, slice) after this many bytes: about 50 µs. */
#define WEIR_BULK_SLICE_BYTES (UINT64_C(1) << 20)
#define WEIR_BULK_SLICE_ELEMENTS (WEIR_BULK_SLICE_BYTES / 8)

/* Fuel of bulk memory operations: what a loop of 64-bit loads and stores would pay per byte, less
 * the loop. One per element for tables. */
#define WEIR_BULK_BYTES_PER_FUEL 8u

/* A table that cannot grow and is no larger than this needs no mapping of its own. */
#define WEIR_TABLE_INLINE_BYTES UINT64_C(2048)

/* First block of a store, in its own page beside the state; more comes from the arena. */
#define WEIR_STORE_ARENA_CHUNK (UINT64_C(16) << 10)
/* Every further instance has an arena of its own, to end without its store: a page at least. */
#define WEIR_INSTANCE_ARENA_CHUNK (UINT64_C(4) << 10)

/* --- for plans (runtime_bounds.h); tests hold them against running hosts --- */

/* Areas of the address space: a stack and its guard; the parts of an artifact; a slot: store 1,
 * memory with image 4, table 2, stack 2, and room for further blocks of its arena. */
#define WEIR_STACK_MAPPINGS 2u
#define WEIR_MODULE_MAPPINGS 3u
#define WEIR_SLOT_MAPPINGS 16u

/* What a slot costs outside its own account: entries of the registry for mappings that lend none
 * (tables, blocks of its arena, undo pages), and why its growth was refused. What the process keeps
 * whatever runs: engines, linkers with the world's functions, code table, types, identities of
 * files. */
#define WEIR_SLOT_RECORD_BYTES (UINT64_C(4) << 10)
#define WEIR_PROCESS_RECORD_BYTES (UINT64_C(2) << 20)

/* A page of page table maps 2 MiB. Beside that a slot has its memory, stack and store in places of
 * their own: up to three levels each. */
#define WEIR_PAGE_TABLE_SHARE 512u
#define WEIR_SLOT_PAGE_TABLE_BYTES (UINT64_C(40) << 10)

/* An artifact by the size of its module, before it is compiled. Measured over the guests and the
 * official suite: programs of 16 KiB and more 0.4 to 2.9 times the module, the largest of a small
 * module 206 KiB (an initial image with a hole in it). A sparse image may have 16 MiB: such a
 * module is known by its artifact only. */
#define WEIR_CODE_BYTES_BASE (UINT64_C(256) << 10)
#define WEIR_CODE_BYTES_PER_MODULE_BYTE 4u

#endif
