/* Recognising what glibc's malloc and its threads hold by the structures they leave in memory:
 * arenas by their heap_info, mapped chunks by their header, thread stacks by the thread's record
 * at their top. Memory is read through the kernel, so an address that goes away meanwhile is a
 * "no", never a fault. Everything here is about the own process. */
#ifndef WEIR_LEDGER_MALLOC_RANGES_H
#define WEIR_LEDGER_MALLOC_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arena heaps are aligned to this and never larger (HEAP_MAX_SIZE with the default threshold). */
#define WEIR__ARENA_ALIGN (UINT64_C(64) << 20)

/* `address` is a multiple of WEIR__ARENA_ALIGN; true when an arena's heap starts there. *ret_end is
 * the end of its readable and writable part. */
bool weir__malloc_arena_at(uint64_t address, uint64_t *ret_end);

/* `address` is a page's start; true when a chunk that malloc mapped starts there and ends at or
 * before `limit`. */
bool weir__malloc_chunk_at(uint64_t address, uint64_t limit, uint64_t *ret_end);

/* The stack of a thread that starts at `start` (its guard lies below): where it ends, at or before
 * `limit`. Tried for stacks of the default size and for stacks that end at `limit`. */
bool weir__thread_stack_at(uint64_t start, uint64_t limit, uint64_t *ret_end);

#endif
