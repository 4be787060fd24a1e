/* Borrowing for the time of a call (canonical ABI: lift_borrow, lower_borrow, num_lends). */
#include <string.h>

#include "runtime/handle_internal.h"

void weir_scope_begin(struct weir_scope *scope, struct weir_store *store)
{
    scope->store = store;
    scope->borrow_count = 0;
    scope->lend_count = 0;
    scope->lend_capacity = WEIR_SCOPE_LENDS_INLINE;
    scope->lends = scope->inline_lends;
}

static void free_lends(struct weir_scope *scope)
{
    if (scope->lends != scope->inline_lends)
        weir_account_free(scope->store->account, WEIR_KIND_HANDLE, scope->lends,
                          scope->lend_capacity * sizeof *scope->lends);
    scope->lends = scope->inline_lends;
}

static enum weir_status reserve(struct weir_scope *scope, struct weir_error *error)
{
    if (scope->lend_count < scope->lend_capacity)
        return WEIR_OK;
    if (scope->lend_capacity >= WEIR_SCOPE_LENDS_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "one call may be lent at most %u handles", WEIR_SCOPE_LENDS_MAX);
    uint32_t capacity = scope->lend_capacity * 2;
    struct weir_scope_lend *lends = weir_account_alloc(scope->store->account, WEIR_KIND_HANDLE,
                                                       capacity * sizeof *lends, error);
    if (lends == NULL)
        return weir_error_refused(error);
    memcpy(lends, scope->lends, scope->lend_count * sizeof *lends);
    free_lends(scope);
    scope->lends = lends;
    scope->lend_capacity = capacity;
    return WEIR_OK;
}

static enum weir_status refuse_scope(struct weir_error *error)
{
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "the scope was begun for another store");
}

enum weir_status weir_handle_lend(struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, struct weir_scope *scope,
                                  uint64_t *ret_rep, struct weir_error *error)
{
    uint64_t rep;
    if (scope->store != handles->store)
        return refuse_scope(error);
    enum weir_status status = weir_handle_find(handles, index, type, &rep, error);
    if (status == WEIR_OK)
        status = reserve(scope, error);
    if (status != WEIR_OK)
        return status;
    struct weir__handle_entry *entry = &handles->entries[index];
    entry->lend_count++;
    scope->lends[scope->lend_count++] =
        (struct weir_scope_lend){handles, {index, entry->generation}};
    *ret_rep = rep;
    return WEIR_OK;
}

enum weir_status weir_handle_borrow(struct weir_handles *handles,
                                    const struct weir_handle_new *wanted, struct weir_scope *scope,
                                    struct weir_handle *ret_handle, struct weir_error *error)
{
    if (scope->store != handles->store)
        return refuse_scope(error);
    if (wanted->type == NULL)
        return weir__handle_refuse_untyped(error);
    if (wanted->parent.index != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a borrowed \"%s\" cannot have a parent: it ends with its scope",
                              wanted->type->name);
    struct weir__handle_entry *entry = weir__handle_add(handles, wanted, ret_handle, error);
    if (entry == NULL)
        return handles->is_ending ? WEIR_STATE : weir_error_refused(error);
    entry->is_owner = false;
    entry->scope = scope;
    scope->borrow_count++;
    return WEIR_OK;
}

/* Borrows that outlive their scope: it must not be followed any more. */
static uint32_t orphan(struct weir_handles *handles, const struct weir_scope *scope)
{
    uint32_t first = 0;
    if (handles == NULL)
        return 0;
    for (uint32_t i = handles->oldest; i != 0; i = handles->entries[i].newer)
        if (handles->entries[i].scope == scope) {
            handles->entries[i].scope = NULL;
            first = first != 0 ? first : i;
        }
    return first;
}

static enum weir_status refuse_end(struct weir_scope *scope, struct weir_error *error)
{
    struct weir_store *store = scope->store;
    const struct weir_handles *holder = store->handles;
    uint32_t first = orphan(store->handles, scope);
    for (struct weir_instance *at = store->instances; at != NULL; at = at->next) {
        uint32_t found = orphan(at->handles, scope);
        if (first == 0 && found != 0) {
            first = found;
            holder = at->handles;
        }
    }
    WEIR_ASSERT(first != 0);
    char where[WEIR__HANDLE_WHERE_SIZE];
    weir__handle_where(holder, first, where);
    return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                          "the call ended with %u borrowed handles not dropped, the first is %s, a "
                          "\"%s\"",
                          scope->borrow_count, where, holder->entries[first].use->type->name);
}

enum weir_status weir_scope_end(struct weir_scope *scope, struct weir_error *error)
{
    for (uint32_t i = 0; i < scope->lend_count; i++) {
        const struct weir_scope_lend *lend = &scope->lends[i];
        struct weir__handle_entry *entry = &lend->handles->entries[lend->handle.index];
        WEIR_ASSERT(entry->use != NULL && entry->generation == lend->handle.generation);
        entry->lend_count--;
    }
    free_lends(scope);
    scope->lend_count = 0;
    enum weir_status status = WEIR_OK;
    if (scope->borrow_count != 0)
        status = refuse_end(scope, error);
    scope->borrow_count = 0;
    return status;
}
