/* Stable memory: bytes beside a guest's own memory that outlive its instances (canisters).
 *
 * Sparse: growing takes nothing; a page of 4 KiB is charged (kind STABLE) when it is first written,
 * and a page of page table with the first one of each 2 MiB. Writes since the last commit can be
 * taken back; what that needs (a copy of each page at its first write, kind IMAGE) is charged
 * before it is taken. Reading never takes anything. One thread at a time.
 */
#ifndef WEIR_STABLE_H
#define WEIR_STABLE_H

#include <weir/image.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_stable;

/* Empty. `bytes_max`: of the whole memory, rounded down to 64 KiB; address space for it is taken
 * with the first growth. The account must outlive it. */
enum weir_status weir_stable_new(struct weir_account *account, uint64_t bytes_max,
                                 struct weir_stable **ret_stable, struct weir_error *error);
/* NULL is allowed. */
void weir_stable_free(struct weir_stable *stable);

/* Pages of 64 KiB. */
uint64_t weir_stable_pages(const struct weir_stable *stable);
/* The old size, or UINT64_MAX when refused; the reason is in `error`. */
uint64_t weir_stable_grow(struct weir_stable *stable, uint64_t pages, struct weir_error *error);
/* Between stable memory and a guest's. INVALID_ARGUMENT when either range is out of bounds (nothing
 * is written then), LIMIT when a page was refused (some may be written: roll back). */
enum weir_status weir_stable_read(const struct weir_stable *stable, uint64_t offset,
                                  struct weir_memory *memory, uint64_t address, uint64_t size,
                                  struct weir_error *error);
enum weir_status weir_stable_write(struct weir_stable *stable, uint64_t offset,
                                   const struct weir_memory *memory, uint64_t address,
                                   uint64_t size, struct weir_error *error);

/* What was written and grown since the last commit stays, or goes. The pages that had been written,
 * in 4 KiB. */
uint64_t weir_stable_commit(struct weir_stable *stable);
uint64_t weir_stable_rollback(struct weir_stable *stable);

struct weir_stable_figures {
    uint64_t size_bytes;    /* pages x 64 KiB */
    uint64_t touched_bytes; /* pages written once, and page tables: what it takes of the host */
    uint64_t undo_bytes;    /* copies since the last commit */
};
void weir_stable_figures(const struct weir_stable *stable, struct weir_stable_figures *ret);

/* As weir_instance_save() and _save_changes(): the present content, or what commits changed of it
 * since weir_stable_saved(); STATE with writes that are not committed. Loading goes into one that
 * is empty, or brings changes to what was loaded before; after a failure it is to be freed. */
enum weir_status weir_stable_save(const struct weir_stable *stable,
                                  const struct weir_image_writer *writer, struct weir_error *error);
enum weir_status weir_stable_save_changes(const struct weir_stable *stable,
                                          const struct weir_image_writer *writer,
                                          struct weir_error *error);
void weir_stable_saved(struct weir_stable *stable);
enum weir_status weir_stable_load(struct weir_stable *stable,
                                  const struct weir_image_reader *reader, struct weir_error *error);

#ifdef __cplusplus
}
#endif
#endif
