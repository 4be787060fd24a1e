/* The folder that modules are uploaded to: NAME.wasm, one file each, replaced as a whole.
 *
 * An upload is written to a hidden file beside the others, synced, and renamed when the caller says
 * so; a name is either the old module or the new one, also after kill -9 or a loss of power. One
 * upload of a name at a time in this process; hidden files that a dead process left are removed
 * when the store is opened.
 */
#ifndef WEIR_SERVER_MODULE_STORE_H
#define WEIR_SERVER_MODULE_STORE_H

#include "base/hash.h"
#include "base/io.h"
#include "ledger/ledger.h"

#define WEIR_MODULE_NAME_MAX 100 /* with its ".wasm" */
/* At once; each is a descriptor and a few hundred bytes. */
#define WEIR_MODULE_UPLOADS_MAX 4u
/* Names that are listed. */
#define WEIR_MODULE_LIST_MAX 1000u

struct weir_module_store;
struct weir_module_upload;

/* Letters, digits, "-", "_" and ".", not first ".", last ".wasm". */
bool weir_module_name_is_good(const char *name);

/* The folder must be there. `io` NULL: the system's. IO, PERMISSION: others may write to it. */
enum weir_status weir_module_store_open(const char *folder, struct weir_account *account,
                                        struct weir_io *io, struct weir_module_store **ret_store,
                                        struct weir_error *error) WEIR_MUST_USE;
/* All uploads must have ended. */
void weir_module_store_close(struct weir_module_store *store);

/* EXISTS: the name is being uploaded; BUSY: WEIR_MODULE_UPLOADS_MAX are; IO. An upload that took
 * its place and failed then is handed out, too: it knows whether the disk is full, and is to be
 * ended. */
enum weir_status weir_module_upload_begin(struct weir_module_store *store, const char *name,
                                          struct weir_module_upload **ret_upload,
                                          struct weir_error *error) WEIR_MUST_USE;
/* IO; weir_module_upload_is_disk_full() tells whether for want of room. */
enum weir_status weir_module_upload_write(struct weir_module_upload *upload, const void *bytes,
                                          size_t size, struct weir_error *error) WEIR_MUST_USE;
/* Nothing is written any more: on the disk, and hashed. */
enum weir_status weir_module_upload_seal(struct weir_module_upload *upload,
                                         struct weir_error *error) WEIR_MUST_USE;
/* Under its name. After an error the old module is there, or, when *ret_is_published, the new one,
 * though perhaps not after a loss of power. */
enum weir_status weir_module_upload_publish(struct weir_module_upload *upload,
                                            bool *ret_is_published, struct weir_error *error)
    WEIR_MUST_USE;
/* What was not published is gone. NULL is allowed. */
void weir_module_upload_end(struct weir_module_upload *upload);

/* The hidden file's path. */
const char *weir_module_upload_path(const struct weir_module_upload *upload);
uint64_t weir_module_upload_bytes(const struct weir_module_upload *upload);
const struct weir_hash *weir_module_upload_hash(const struct weir_module_upload *upload);
/* The last error was one of room: disk or quota. */
bool weir_module_upload_is_disk_full(const struct weir_module_upload *upload);

struct weir_module_entry {
    char name[WEIR_MODULE_NAME_MAX + 1];
    uint64_t bytes;
    int64_t modified_s;
    struct weir_hash hash; /* only from weir_module_store_find() */
};
/* Reads the file whole for its hash. NOT_FOUND, IO. */
enum weir_status weir_module_store_find(struct weir_module_store *store, const char *name,
                                        struct weir_module_entry *ret_entry,
                                        struct weir_error *error) WEIR_MUST_USE;
/* In the folder's order, at most WEIR_MODULE_LIST_MAX; a visitor that returns false ends it. */
enum weir_status weir_module_store_list(struct weir_module_store *store,
                                        bool (*visit)(void *context,
                                                      const struct weir_module_entry *entry),
                                        void *context, struct weir_error *error) WEIR_MUST_USE;
/* NOT_FOUND, EXISTS (it is being uploaded), IO. */
enum weir_status weir_module_store_remove(struct weir_module_store *store, const char *name,
                                          struct weir_error *error) WEIR_MUST_USE;

#endif
