/* Where canisters live between processes: a folder each, under one for all.
 *
 *   DIR/NAME/lock              held while a process works on it
 *   DIR/NAME/HASH.wasm         the module as it was uploaded, by its SHA-256
 *   DIR/NAME/state             the committed state, which names the module
 *
 * `state` is replaced by rename after the new one is on disk whole, so a process or machine that
 * stops at any moment leaves the state before or the one after. Each save writes all of it.
 */
#ifndef WEIR_CANISTER_DIR_H
#define WEIR_CANISTER_DIR_H

#include "base/io.h"
#include "worlds/canister/canister.h"

struct weir_canister_dir {
    struct weir_io *io;
    int dir; /* DIR/NAME */
    int lock;
    const char *name;
};

enum weir_canister_access {
    WEIR_CANISTER_READ,  /* others may read too */
    WEIR_CANISTER_WRITE, /* nobody else */
    WEIR_CANISTER_CREATE /* as WRITE; makes the folders */
};
/* Waits for whoever works on it. INVALID_ARGUMENT for a name that is none (letters, digits, '_',
 * '-', '.', not first), NOT_FOUND. `io` NULL: the system. `name` must outlive the record. */
enum weir_status weir_canister_dir_open(struct weir_canister_dir *dir, struct weir_io *io,
                                        const char *path, const char *name,
                                        enum weir_canister_access access, struct weir_error *error)
    WEIR_MUST_USE;
void weir_canister_dir_close(struct weir_canister_dir *dir);
/* Into a canister without code. NOT_FOUND when nothing was ever saved. */
enum weir_status weir_canister_dir_load(const struct weir_canister_dir *dir,
                                        struct weir_canister *canister,
                                        struct weir_account *account, struct weir_error *error)
    WEIR_MUST_USE;
/* The commit point: when it answers OK, this state is what comes back. `module` NULL: that of the
 * state before. */
enum weir_status weir_canister_dir_save(const struct weir_canister_dir *dir,
                                        const struct weir_canister *canister, const uint8_t *module,
                                        size_t module_size, struct weir_error *error) WEIR_MUST_USE;

#endif
