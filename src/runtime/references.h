/* Sameness of what lives in a store, and where its guests keep external references, for those who
 * hand both out as objects of their own. */
#ifndef WEIR_RUNTIME_REFERENCES_H
#define WEIR_RUNTIME_REFERENCES_H

#include <weir/instance.h>

/* Several records may stand for one function or global (an import is a record of its own); they are
 * the same thing when their identities are equal. Stable while the store lives. */
struct weir_identity {
    const void *code; /* functions; NULL otherwise */
    const void *home;
};
struct weir_identity weir_extern_identity(const struct weir_extern *item);

/* The instance in whose records the item lies (which may have imported it), and which therefore
 * must not be released while somebody has it; NULL for what is the host's own. */
struct weir_instance *weir_extern_owner(const struct weir_store *store,
                                        const struct weir_extern *item);

/* No call is active or parked, so that no reference is in a guest's frames. */
bool weir_store_is_idle(const struct weir_store *store);
/* Calls visit for every external reference that is not null in tables and in globals of instances,
 * also in what a reset would bring back. The store must be idle. Globals of the host that no
 * instance imports are not visited. */
void weir_store_visit_externrefs(const struct weir_store *store,
                                 void (*visit)(void *context, void *externref), void *context);
/* The only instance of this module in the store; NULL when there are several, or none. */
struct weir_instance *weir_store_instance_of(const struct weir_store *store,
                                             const struct weir_module *module);

#endif
