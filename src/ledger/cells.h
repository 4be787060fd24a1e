/* Credit of shared accounts, kept apart by thread, so that threads that charge one account do not
 * write the same lines.
 *
 * A shared account that is charged often gets a block of cells, one for each thread that has a
 * number. A cell is to its account what a store is: it holds credit that the account granted, and
 * counts what was charged from it. Only the thread of its number writes it, inside a section
 * (ledger_internal.h). What is not served by a cell goes to the account itself.
 *
 *   own kinds of the account = Σ kinds of the account + Σ kinds of its cells
 *   granted                  = own kinds (bytes) + Σ credit of its cells + what is under it
 *   holds                    = Σ kinds of the account + children: without the cells
 *
 * Figures of use are exact. The peak of granted holds the idle credit, as it does of stores; the
 * peak of a kind may miss what each thread charged of its last slab.
 *
 * - No limit is exceeded: credit comes by weir__grant(), so granted stays within each limit of the
 *   chain; a cell serves only while granted is within its account's limit, which can be lowered.
 * - No charge is refused for credit that lies in a cell: before a refusal the cells of every shared
 *   account below the level without room are *stopped*.
 * - A discharge takes from its thread's cell what is there, else from the account, and if that has
 *   too little stops the cells first. So no figure goes below zero, and discharging more than was
 *   charged is caught.
 * - Stopping, under the tree: STOPPED into each `slow`; a barrier for every thread; wait until no
 *   section runs; then kinds go to the account (and its holds), credit to where it came from.
 *   From then on no cell changes until the account was charged WEIR__CELL_CHARGES times more.
 * - Closing stops the cells for good. Who still discharges holds bytes of the account itself then,
 *   so its record and its block live as long as anybody can look at them.
 *
 * Blocks come from a pool that is never allocated; without one, a number or membarrier an account
 * does without cells.
 */
#ifndef WEIR_LEDGER_CELLS_H
#define WEIR_LEDGER_CELLS_H

#include "ledger/ledger_internal.h"

/* For any shared account and kind of bytes; what the thread's cell cannot serve goes to the account
 * itself, by the functions below (charge.c). */
enum weir_status weir__cell_charge(struct weir_account *account, enum weir_kind kind,
                                   uint64_t amount, struct weir_error *error);
void weir__cell_discharge(struct weir_account *account, enum weir_kind kind, uint64_t amount);
enum weir_status weir__charge_whole(struct weir_account *account, enum weir_kind kind,
                                    uint64_t amount, struct weir_error *error);
void weir__discharge_whole(struct weir_account *account, enum weir_kind kind, uint64_t amount);

/* A charge went to the account itself: often enough, and it gets cells. */
void weir__cells_consider(struct weir_account *account);

/* What cells of the account hold of a kind of bytes. Beside it stands what the account itself holds
 * of it: under the tree the sum of both is the account's own. */
uint64_t weir__cells_held(const struct weir_account *account, enum weir_kind kind);
/* The account's own peak of the kind: `held` by itself, and what its cells hold. */
void weir__kind_peak_note(struct weir_account *account, enum weir_kind kind, uint64_t held);

/* The steps of stopping, under the tree. Marking returns the credit seen, and does nothing if there
 * is none; who marked merges (after a barrier for every thread; returns the credit that went back)
 * or unmarks. */
uint64_t weir__cells_mark(struct weir_account *account);
uint64_t weir__cells_merge(struct weir_account *account);
void weir__cells_unmark(struct weir_account *account);
/* All of them. */
void weir__cells_stop(struct weir_account *account);

/* A dead account's block goes back to the pool. Under the tree. */
void weir__cells_give(struct weir_account *account);

#endif
