/* Handles: what a guest holds of the host, by number; typed, limited, and never an alias.
 *
 * A table of handles belongs to a store or to one instance. Guests see an index, given out and
 * taken back exactly as the component model says (canonical ABI: lowest index 1, a freed index is
 * the next one given). The host remembers index and generation: a handle that is gone is an error
 * for it even when its index is in use again.
 *
 * A handle either owns its resource, whose type's `destroy` runs when the handle is dropped or its
 * table ends, or borrows it for the time of a scope (a call). While a handle is lent to a scope it
 * cannot be dropped or handed over; while it has children neither. What a guest never drops is
 * destroyed when its store closes or goes back to its pool, or its instance is reset, children
 * first, and the store's receipt lists it with the place that made it.
 *
 * Errors of everything below, with a message that names index, type and table:
 *   NOT_FOUND         no such handle, or it is gone
 *   INVALID_ARGUMENT  the handle is of another type, or is not an owner where one is needed
 *   STATE             it is lent or has children
 *   LIMIT             table, type or store has as many as it may, or the account refused memory
 *   NO_MEMORY         the system did
 * In a component each of them is a trap (weir_caller_trap()). One thread at a time, the store's.
 */
#ifndef WEIR_HANDLE_H
#define WEIR_HANDLE_H

#include <weir/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types are compared by address. The record must outlive every table that has handles of it. */
struct weir_resource_type {
    const char *name; /* in messages and reports */
    /* Ends a resource; may be NULL. Must not call into the store. */
    void (*destroy)(void *context, uint64_t rep);
    void *context;
    uint32_t handles_max; /* of this type in one store; 0: no limit of its own */
};

struct weir_handle {
    uint32_t index; /* what the guest sees; never 0 */
    uint32_t generation;
};

struct weir_handles;

/* The table, made at the first call. Belongs to its store or instance. LIMIT. */
enum weir_status weir_store_handles(struct weir_store *store, struct weir_handles **ret_handles,
                                    struct weir_error *error);
enum weir_status weir_instance_handles(struct weir_instance *instance,
                                       struct weir_handles **ret_handles, struct weir_error *error);
/* At most so many in this table (the store's `handles_max` holds besides); what is there stays. */
void weir_handles_set_max(struct weir_handles *handles, uint32_t handles_max);
uint32_t weir_handles_count(const struct weir_handles *handles);

struct weir_handle_new {
    const struct weir_resource_type *type;
    uint64_t rep; /* the host's own name for the resource: a pointer, an index */
    /* An owner in the same table that must stay as long as this handle; index 0: none. */
    struct weir_handle parent;
    const char *label; /* static, of the host: "path_open"; may be NULL */
};
/* resource.new and lower_own. The resource is the table's from here on; on failure it stays the
 * caller's. */
enum weir_status weir_handle_make(struct weir_handles *handles,
                                  const struct weir_handle_new *wanted,
                                  struct weir_handle *ret_handle, struct weir_error *error);

/* Looks up by the guest's index, or by what the host remembers. `type` NULL: any. */
enum weir_status weir_handle_find(const struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, uint64_t *ret_rep,
                                  struct weir_error *error);
enum weir_status weir_handle_check(const struct weir_handles *handles, struct weir_handle handle,
                                   const struct weir_resource_type *type, uint64_t *ret_rep,
                                   struct weir_error *error);
/* The present generation at an index. */
enum weir_status weir_handle_remember(const struct weir_handles *handles, uint32_t index,
                                      struct weir_handle *ret_handle, struct weir_error *error);

/* resource.drop: ends an owned resource, or gives a borrow back to its scope. */
enum weir_status weir_handle_drop(struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, struct weir_error *error);
/* lift_own: the handle is gone, the resource is the caller's. */
enum weir_status weir_handle_take(struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, uint64_t *ret_rep,
                                  struct weir_error *error);

/* --- borrowing ----------------------------------------------------------------------------- */

#define WEIR_SCOPE_LENDS_INLINE 4
struct weir_scope_lend {
    struct weir_handles *handles;
    struct weir_handle handle;
};
/* The time of one call; lives in the caller. Fields are Weir's. Must end before its store closes
 * and before instances whose handles it lends are reset. */
struct weir_scope {
    struct weir_store *store;
    uint32_t borrow_count; /* given to the callee and not dropped yet */
    uint32_t lend_count, lend_capacity;
    struct weir_scope_lend *lends;
    struct weir_scope_lend inline_lends[WEIR_SCOPE_LENDS_INLINE];
};

void weir_scope_begin(struct weir_scope *scope, struct weir_store *store);
/* lift_borrow: the caller's handle is lent until the scope ends. */
enum weir_status weir_handle_lend(struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, struct weir_scope *scope,
                                  uint64_t *ret_rep, struct weir_error *error);
/* lower_borrow: a handle for the callee, who must drop it before the scope ends. */
enum weir_status weir_handle_borrow(struct weir_handles *handles,
                                    const struct weir_handle_new *wanted, struct weir_scope *scope,
                                    struct weir_handle *ret_handle, struct weir_error *error);
/* Takes back what was lent, always. STATE when the callee has not dropped what it borrowed: those
 * handles stay until dropped or destroyed with their table, belonging to no scope any more. */
enum weir_status weir_scope_end(struct weir_scope *scope, struct weir_error *error);

/* --- who holds what ------------------------------------------------------------------------ */

struct weir_handle_info {
    struct weir_handle handle;
    const struct weir_resource_type *type;
    uint64_t rep;
    bool is_owner;
    uint32_t lend_count, child_count;
    uint32_t parent; /* index, 0: none */
    uint64_t age_ns;
    const char *label; /* may be NULL */
    bool has_site;     /* made during a call from a guest: */
    struct weir_trap_frame site;
};
/* Oldest first. `visit` must not change the table; false ends the walk. */
void weir_handles_walk(const struct weir_handles *handles,
                       bool (*visit)(void *context, const struct weir_handle_info *info),
                       void *context);

#ifdef __cplusplus
}
#endif
#endif
