/* The committed version of a memory: a file in memory that the guest's memory maps privately.
 *
 * Host and guest see the file through two mappings: a shared one, for committing, and the guest's
 * own, copy-on-write. Everything in the file is charged as IMAGE, by the memory's size: the kernel
 * makes pages of it when the guest only reads.
 */
#ifndef WEIR_RUNTIME_KEPT_H
#define WEIR_RUNTIME_KEPT_H

#include "runtime/store_internal.h"

static inline bool weir__kept_is_on(const struct weir_memory *memory)
{
    return memory->kept.mapping.base != NULL;
}

/* Makes the file, if there is none, and charges room for the memory's present size. Changes nothing
 * that a guest or a reset would see; what was taken stays for the next time. */
enum weir_status weir__kept_prepare(struct weir_memory *memory, struct weir_error *error)
    WEIR_MUST_USE;
/* After prepare: the file becomes what the memory holds, and the memory maps all of it. A failure
 * leaves something between two versions. */
enum weir_status weir__kept_commit(struct weir_memory *memory, struct weir_commit *commit,
                                   struct weir_error *error) WEIR_MUST_USE;
/* After prepare, and after the caller has written to the file through weir__kept_bytes(): the
 * memory is what the file holds, and what was private of it is gone. */
enum weir_status weir__kept_adopt(struct weir_memory *memory, struct weir_error *error)
    WEIR_MUST_USE;
/* The first extent of the file from `at` on that may hold something; false: only zeros are left. */
bool weir__kept_extent(const struct weir_memory *memory, uint64_t at, uint64_t *ret_begin,
                       uint64_t *ret_end);
/* The next page from *at on that a commit has written since the last weir__kept_saved(). */
bool weir__kept_changed(const struct weir_memory *memory, uint64_t *at);
void weir__kept_saved(struct weir_memory *memory);
/* What the one memory holds now into the file of the other, which is large enough and fresh. */
enum weir_status weir__kept_copy(const struct weir_memory *from, struct weir_memory *to,
                                 struct weir_error *error) WEIR_MUST_USE;
void weir__kept_free(struct weir_memory *memory);

static inline uint8_t *weir__kept_bytes(const struct weir_memory *memory)
{
    return memory->kept.mapping.base;
}

#endif
