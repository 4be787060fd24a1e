/* Where canisters live between processes: a folder each, under one for all.
 *
 *   DIR/NAME/lock              held while a process works on it
 *   DIR/NAME/HASH.wasm         the module as it was uploaded, by its SHA-256
 *   DIR/NAME/state             a committed state, which names the module
 *   DIR/NAME/change-SUM-1 ...  what each save since has changed; SUM: of that state
 *
 * Each of these gets its name after it is on disk whole, so a process or machine that stops at any
 * moment leaves the state before or the one after. A save writes what has changed; one that changes
 * the code, and one that finds many changes there, writes all of it. Changes of a state that is not
 * there any more are of no consequence, and go with the next whole one.
 */
#ifndef WEIR_CANISTER_DIR_H
#define WEIR_CANISTER_DIR_H

#include "base/io.h"
#include "worlds/canister/canister.h"

struct weir_canister_dir {
    struct weir_io *io;
    int dir; /* DIR/NAME */
    int lock;
    bool is_new; /* the folder was made by this record */
    const char *name;
    /* What was loaded or saved last; `is_known` false: the next save is whole. */
    bool is_known;
    uint8_t state_sum[WEIR_CANISTER_SUM_SIZE], last_sum[WEIR_CANISTER_SUM_SIZE];
    uint32_t changes;
    uint64_t state_bytes, change_bytes;
};

enum weir_canister_access {
    WEIR_CANISTER_READ = 0,   /* others may read too; nothing is written, not even the lock */
    WEIR_CANISTER_WRITE = 1,  /* nobody else */
    WEIR_CANISTER_CREATE = 3, /* as WRITE; makes the folders */
    WEIR_CANISTER_NOW = 4     /* beside one of these: does not wait, but answers BUSY */
};
/* Waits for whoever works on it. INVALID_ARGUMENT for a name that is none (letters, digits, '_',
 * '-', '.', not first), NOT_FOUND. `io` NULL: the system. `name` must outlive the record. */
enum weir_status weir_canister_dir_open(struct weir_canister_dir *dir, struct weir_io *io,
                                        const char *path, const char *name, unsigned access,
                                        struct weir_error *error) WEIR_MUST_USE;
/* A folder that this record made goes again when no state got into it. */
void weir_canister_dir_close(struct weir_canister_dir *dir);
/* Into a canister without code. NOT_FOUND when nothing was ever saved. */
enum weir_status weir_canister_dir_load(struct weir_canister_dir *dir,
                                        struct weir_canister *canister,
                                        struct weir_account *account, struct weir_error *error)
    WEIR_MUST_USE;
/* The commit point: when it answers OK, this state is what comes back. `module` NULL: that of the
 * state before. Nothing is written when nothing has changed. */
enum weir_status weir_canister_dir_save(struct weir_canister_dir *dir,
                                        struct weir_canister *canister, const uint8_t *module,
                                        size_t module_size, struct weir_error *error) WEIR_MUST_USE;

#endif
