/* Instance: unit of release inside a store: memories, tables, globals. */
#ifndef WEIR_INSTANCE_H
#define WEIR_INSTANCE_H

#include <weir/linker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Links, allocates, initialises and runs the start function. LINK lists every missing or
 * mismatching import in error->details. TRAP (with *trap) when a segment is out of bounds or start
 * traps; the instance stays then, as the specification says, if others already hold something of it
 * (see weir_instance_release) or the call came from a guest of the store, and is released
 * otherwise. One that stayed goes by itself when an instance is made in the store after they have
 * let go. */
enum weir_status weir_instance_new(struct weir_store *store, const struct weir_linker *linker,
                                   struct weir_module *module, struct weir_instance **ret_instance,
                                   struct weir_trap *trap, struct weir_error *error);

/* What a module imports, in the order of its imports. */
struct weir_imports {
    const struct weir_extern *items; /* of the store; copied */
    size_t count;                    /* exactly weir_module_import_count() */
};
/* As above, the imports given by position instead of by name. */
enum weir_status weir_instance_new_with(struct weir_store *store, struct weir_module *module,
                                        const struct weir_imports *imports,
                                        struct weir_instance **ret_instance,
                                        struct weir_trap *trap, struct weir_error *error);

/* NOT_FOUND without such an export; CORRUPT when the artifact's file was cut. `name_size` bytes, no
 * terminator needed. */
enum weir_status weir_instance_export(struct weir_instance *instance, const char *name,
                                      size_t name_size, struct weir_extern *ret_extern);
/* The export that weir_module_export() describes under the same index; NOT_FOUND, CORRUPT. */
enum weir_status weir_instance_export_at(struct weir_instance *instance, size_t index,
                                         struct weir_extern *ret_extern);
/* Ends one instance while its store lives on: memories, tables, handles (destroyed) and the hold on
 * its module go back, and the records, so that a store can load and release plugins for ever.
 * `receipt` (may be NULL) says what came back.
 *
 * STATE while a call into the store is active or parked (the instance may be on its stack, or a
 * reference to it in a frame), for the instance of a pool's slot, and while something else holds
 * it: the receipt's pins then name all of it, the message the first. What pins: an import of
 * another instance, a function reference in a table or global, a definition in a linker, a handle
 * that is lent, a task for it, weir_instance_pin(). Nothing is released then. Afterwards no pointer
 * to the instance, or got from it, is valid. NULL is allowed. */
enum weir_status weir_instance_release(struct weir_instance *instance, struct weir_receipt *receipt,
                                       struct weir_error *error);

/* For those who keep a pointer: until it is unpinned the instance cannot be released, and `holder`
 * (copied, cut to WEIR_PIN_HOLDER_SIZE - 1 bytes) is named as the reason. Closing the store ends
 * pins without asking: they are gone then, as is each by its unpin. NULL may be unpinned. */
#define WEIR_PIN_HOLDER_SIZE 64
struct weir_instance_pin;
enum weir_status weir_instance_pin(struct weir_instance *instance, const char *holder,
                                   struct weir_instance_pin **ret_pin, struct weir_error *error);
void weir_instance_unpin(struct weir_instance_pin *pin);

struct weir_module *weir_instance_module(struct weir_instance *instance);
struct weir_store *weir_instance_store(struct weir_instance *instance);
/* Every global of the index space, private ones too (state capture). NULL beyond the count. */
size_t weir_instance_global_count(const struct weir_instance *instance);
struct weir_global *weir_instance_global(struct weir_instance *instance, size_t index);
size_t weir_instance_memory_count(const struct weir_instance *instance);
struct weir_memory *weir_instance_memory(struct weir_instance *instance, size_t index);

/* Puts own memories, tables, globals and dropped segments back to the state right after
 * instantiation and start (kernel ≥ 6.7 by PAGEMAP_SCAN, else by pagemap), and destroys the handles
 * of its table. STATE while a call is active or parked. After any other error the instance stands
 * between the two states: only another reset or a release may follow. */
enum weir_status weir_instance_reset(struct weir_instance *instance, struct weir_error *error);
/* For tests, and for those who don't believe it: compares all that a reset puts back, each page of
 * the memories, with that state. CORRUPT names the first difference: memory and offset, table and
 * element, global, segment, handles. Reads the whole of the memories, untouched pages too. STATE as
 * above. */
enum weir_status weir_instance_verify(struct weir_instance *instance, struct weir_error *error);

#ifdef __cplusplus
}
#endif
#endif
