/* Image: the persistent state of an instance. A version of it holds the memories, the globals
 * (private ones too), the contents of the tables and which segments were dropped.
 *
 * An instance goes back (weir_instance_reset) to the version it committed last; the first one is
 * its state right after instantiation and start. A committed version of a memory is a file of the
 * process's own in memory, which the guest's memory maps privately: what is private is what a
 * message has written since. So committing and going back cost by the pages written, whatever the
 * memory's size, and the pages that nobody wrote exist once.
 */
#ifndef WEIR_IMAGE_H
#define WEIR_IMAGE_H

#include <weir/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_commit {
    uint64_t pages_copied; /* of 4 KiB: written since the last commit, and different */
    uint64_t pages_seen;   /* private: written since, or kept resident */
};

/* The present state becomes the one that weir_instance_reset() and weir_instance_verify() go back
 * to. The first time takes what an image of the memories takes (kind IMAGE: their size), later
 * what they grew by. `ret` may be NULL. On LIMIT and NO_MEMORY nothing has changed; after any other
 * failure the instance cannot be reset any more and is to be released. STATE while a call is active
 * or parked, and for the instance of a pool's slot. */
enum weir_status weir_instance_commit(struct weir_instance *instance, struct weir_commit *ret,
                                      struct weir_error *error);

/* Where a version is written to and read from, front to back. A reader fills all of `to` or
 * fails. */
struct weir_image_writer {
    enum weir_status (*write)(void *context, const void *bytes, size_t size,
                              struct weir_error *error);
    void *context;
};
struct weir_image_reader {
    enum weir_status (*read)(void *context, void *to, size_t size, struct weir_error *error);
    void *context;
};

/* Writes the version committed last; pages of zeros are left out. STATE when nothing was committed.
 * UNSUPPORTED when it holds a reference to something outside the instance, which has no name. */
enum weir_status weir_instance_save(const struct weir_instance *instance,
                                    const struct weir_image_writer *writer,
                                    struct weir_error *error);
/* The same, but of the memories only the pages that commits have changed since
 * weir_instance_saved() or since the instance was made from a saved state; the rest, which is
 * small, whole. STATE for an instance of neither. */
enum weir_status weir_instance_save_changes(const struct weir_instance *instance,
                                            const struct weir_image_writer *writer,
                                            struct weir_error *error);
/* What was written is where it should be: changes count from the committed version on. */
void weir_instance_saved(struct weir_instance *instance);
/* As weir_instance_new(), but the state is the one that was saved: no segment is applied, start
 * does not run, and the state counts as committed. CORRUPT when what is read is no version of this
 * very module; it is checked whole before anybody can see the instance. */
enum weir_status weir_instance_new_saved(struct weir_store *store, const struct weir_linker *linker,
                                         struct weir_module *module,
                                         const struct weir_image_reader *reader,
                                         struct weir_instance **ret_instance,
                                         struct weir_error *error);

/* Changes onto the version that they were saved after, in an instance made from that version.
 * CORRUPT as above. After a failure the instance is to be released. */
enum weir_status weir_instance_load_changes(struct weir_instance *instance,
                                            const struct weir_image_reader *reader,
                                            struct weir_error *error);

/* A new module that takes over another instance's memory. */
struct weir_successor {
    struct weir_module *module;
    const struct weir_linker *linker;
    const struct weir_instance *predecessor; /* idle; unchanged; may be of another store */
};
/* As weir_instance_new(), but memory 0 holds what the predecessor's memory 0 holds now, in place
 * before start runs; active data segments are not applied. Both modules have exactly one memory, of
 * their own and of one index type (LINK). The state after start counts as committed. Copies. */
enum weir_status weir_instance_new_successor(struct weir_store *store,
                                             const struct weir_successor *successor,
                                             struct weir_instance **ret_instance,
                                             struct weir_trap *trap, struct weir_error *error);

#ifdef __cplusplus
}
#endif
#endif
