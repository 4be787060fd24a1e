/* Tables of handles: giving out, looking up, dropping, ending. */
#include <string.h>

#include "base/clock.h"
#include "runtime/handle_internal.h"

#define FIRST_CAPACITY 8u

static enum weir_status make_table(struct weir_store *store, struct weir_instance *instance,
                                   struct weir_handles **slot, struct weir_error *error)
{
    if (*slot != NULL)
        return WEIR_OK;
    struct weir_handles *handles =
        weir_account_alloc(store->account, WEIR_KIND_HANDLE, sizeof *handles, error);
    if (handles == NULL)
        return weir_error_refused(error);
    handles->store = store;
    handles->instance = instance;
    handles->max = store->handles_max;
    weir__census_begin(&store->mark);
    *slot = handles;
    weir__census_end(&store->mark);
    return WEIR_OK;
}

enum weir_status weir_store_handles(struct weir_store *store, struct weir_handles **ret_handles,
                                    struct weir_error *error)
{
    enum weir_status status = make_table(store, NULL, &store->handles, error);
    if (status == WEIR_OK)
        *ret_handles = store->handles;
    return status;
}

enum weir_status weir_instance_handles(struct weir_instance *instance,
                                       struct weir_handles **ret_handles, struct weir_error *error)
{
    enum weir_status status = make_table(instance->store, instance, &instance->handles, error);
    if (status == WEIR_OK)
        *ret_handles = instance->handles;
    return status;
}

void weir_handles_set_max(struct weir_handles *handles, uint32_t handles_max)
{
    handles->max = handles_max < WEIR_HANDLES_MAX ? handles_max : WEIR_HANDLES_MAX;
}

uint32_t weir_handles_count(const struct weir_handles *handles)
{
    return handles->count;
}

/* --- looking up ---------------------------------------------------------------------------- */

struct weir__handle_entry *weir__handle_entry(const struct weir_handles *handles, uint32_t index,
                                              const struct weir_resource_type *type,
                                              struct weir_error *error)
{
    char where[WEIR__HANDLE_WHERE_SIZE];
    struct weir__handle_entry *entry =
        index != 0 && index < handles->size ? &handles->entries[index] : NULL;
    if (entry == NULL || entry->use == NULL) {
        weir__handle_where(handles, index, where);
        (void)weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "%s%s", where,
                             index != 0 ? " does not exist" : ": no handle has the index 0");
        return NULL;
    }
    if (type == NULL || entry->use->type == type)
        return entry;
    weir__handle_where(handles, index, where);
    (void)weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                         "%s is of type \"%s\", not \"%s\"", where, entry->use->type->name,
                         type->name);
    return NULL;
}

/* What weir__handle_entry() reported, also where the caller wants no report. */
static enum weir_status lookup_status(const struct weir_handles *handles, uint32_t index)
{
    bool exists = index != 0 && index < handles->size && handles->entries[index].use != NULL;
    return exists ? WEIR_INVALID_ARGUMENT : WEIR_NOT_FOUND;
}

enum weir_status weir_handle_find(const struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, uint64_t *ret_rep,
                                  struct weir_error *error)
{
    const struct weir__handle_entry *entry = weir__handle_entry(handles, index, type, error);
    if (entry == NULL)
        return lookup_status(handles, index);
    *ret_rep = entry->rep;
    return WEIR_OK;
}

enum weir_status weir_handle_check(const struct weir_handles *handles, struct weir_handle handle,
                                   const struct weir_resource_type *type, uint64_t *ret_rep,
                                   struct weir_error *error)
{
    const struct weir__handle_entry *entry = weir__handle_entry(handles, handle.index, type, error);
    if (entry == NULL)
        return lookup_status(handles, handle.index);
    if (entry->generation != handle.generation) {
        char where[WEIR__HANDLE_WHERE_SIZE];
        weir__handle_where(handles, handle.index, where);
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "%s is gone: generation %u was meant, now there is %u", where,
                              handle.generation, entry->generation);
    }
    *ret_rep = entry->rep;
    return WEIR_OK;
}

enum weir_status weir_handle_remember(const struct weir_handles *handles, uint32_t index,
                                      struct weir_handle *ret_handle, struct weir_error *error)
{
    const struct weir__handle_entry *entry = weir__handle_entry(handles, index, NULL, error);
    if (entry == NULL)
        return WEIR_NOT_FOUND;
    *ret_handle = (struct weir_handle){index, entry->generation};
    return WEIR_OK;
}

/* --- giving out ---------------------------------------------------------------------------- */

static struct weir__type_use *
find_use(struct weir_store *store, const struct weir_resource_type *type, struct weir_error *error)
{
    struct weir__type_use *use = store->type_uses;
    while (use != NULL && use->type != type)
        use = use->next;
    if (use != NULL)
        return use;
    use = weir__store_alloc(store, sizeof *use, error);
    if (use == NULL)
        return NULL;
    use->type = type;
    use->next = store->type_uses;
    store->type_uses = use;
    return use;
}

static enum weir_status refuse(const struct weir_handles *handles,
                               const struct weir_handle_new *wanted, const char *whose,
                               uint32_t limit, struct weir_error *error)
{
    char where[WEIR__HANDLE_WHERE_SIZE];
    weir__handle_where(handles, 0, where);
    enum weir_status status = weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                                             "a \"%s\" for %s is refused: %s may have %u handles",
                                             wanted->type->name, where, whose, limit);
    if (error == NULL || handles->oldest == 0)
        return status;
    struct weir_handle_info info;
    weir__handle_info(handles, handles->oldest, &info);
    weir_error_add(error, "the oldest of %u: handle %u, a \"%s\", %llu ms old, made by %s",
                   handles->count, info.handle.index, info.type->name,
                   (unsigned long long)(info.age_ns / WEIR_MS_NS),
                   info.has_site        ? info.site.function
                   : info.label != NULL ? info.label
                                        : weir__handle_maker(&handles->entries[handles->oldest]));
    return status;
}

static enum weir_status check_limits(const struct weir_handles *handles,
                                     const struct weir_handle_new *wanted,
                                     const struct weir__type_use *use, struct weir_error *error)
{
    const struct weir_store *store = handles->store;
    if (store->handle_count >= store->handles_max)
        return refuse(handles, wanted, "the store", store->handles_max, error);
    if (handles->count >= handles->max)
        return refuse(handles, wanted, "the table", handles->max, error);
    if (use->type->handles_max != 0 && use->count >= use->type->handles_max)
        return refuse(handles, wanted, "the type", use->type->handles_max, error);
    return WEIR_OK;
}

/* Room for the entry behind the last. */
static enum weir_status grow(struct weir_handles *handles, struct weir_error *error)
{
    if (handles->size < handles->capacity)
        return WEIR_OK;
    uint32_t capacity = handles->capacity == 0 ? FIRST_CAPACITY : handles->capacity * 2;
    size_t entry_bytes = sizeof *handles->entries;
    struct weir_account *account = handles->store->account;
    struct weir__handle_entry *entries =
        weir_account_alloc(account, WEIR_KIND_HANDLE, capacity * entry_bytes, error);
    if (entries == NULL)
        return weir_error_refused(error);
    struct weir__handle_entry *old = handles->entries;
    if (handles->size != 0)
        memcpy(entries, old, handles->size * entry_bytes);
    weir__census_begin(&handles->store->mark);
    handles->entries = entries;
    weir__census_end(&handles->store->mark);
    weir_account_free(account, WEIR_KIND_HANDLE, old, handles->capacity * entry_bytes);
    handles->capacity = capacity;
    if (handles->size == 0)
        handles->size = 1;
    return WEIR_OK;
}

static uint32_t take_index(struct weir_handles *handles)
{
    uint32_t index = handles->free;
    if (index == 0) {
        index = handles->size++;
        handles->entries[index].generation = 1;
    } else {
        handles->free = handles->entries[index].newer;
    }
    return index;
}

static void link_youngest(struct weir_handles *handles, uint32_t index)
{
    struct weir__handle_entry *entry = &handles->entries[index];
    entry->newer = 0;
    entry->older = handles->newest;
    if (handles->newest != 0)
        handles->entries[handles->newest].newer = index;
    else
        handles->oldest = index;
    handles->newest = index;
}

struct weir__handle_entry *weir__handle_add(struct weir_handles *handles,
                                            const struct weir_handle_new *wanted,
                                            struct weir_handle *ret_handle,
                                            struct weir_error *error)
{
    struct weir_store *store = handles->store;
    if (handles->is_ending) {
        (void)weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                             "a \"%s\" is refused: the table is being emptied", wanted->type->name);
        return NULL;
    }
    struct weir__type_use *use = find_use(store, wanted->type, error);
    if (use == NULL || check_limits(handles, wanted, use, error) != WEIR_OK ||
        (handles->free == 0 && grow(handles, error) != WEIR_OK))
        return NULL;
    uint64_t now_ns = weir_clock_ns();
    weir__census_begin(&store->mark);
    uint32_t index = take_index(handles);
    struct weir__handle_entry *entry = &handles->entries[index];
    entry->use = use;
    entry->rep = wanted->rep;
    entry->scope = NULL;
    entry->label = wanted->label;
    entry->made_ns = now_ns;
    entry->site_pc = store->active != NULL ? store->state->guest_pc : 0;
    entry->lend_count = 0;
    entry->child_count = 0;
    entry->parent = wanted->parent.index;
    link_youngest(handles, index);
    handles->count++;
    store->handle_count++;
    use->count++;
    weir__census_end(&store->mark);
    *ret_handle = (struct weir_handle){index, entry->generation};
    return entry;
}

enum weir_status weir__handle_refuse_untyped(struct weir_error *error)
{
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "a handle without a resource type");
}

enum weir_status weir_handle_make(struct weir_handles *handles,
                                  const struct weir_handle_new *wanted,
                                  struct weir_handle *ret_handle, struct weir_error *error)
{
    uint32_t parent = wanted->parent.index;
    uint64_t rep;
    if (wanted->type == NULL)
        return weir__handle_refuse_untyped(error);
    if (parent != 0) {
        enum weir_status status = weir_handle_check(handles, wanted->parent, NULL, &rep, error);
        if (status != WEIR_OK)
            return status;
        if (!handles->entries[parent].is_owner)
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "handle %u is a borrow and cannot be a parent", parent);
    }
    struct weir__handle_entry *entry = weir__handle_add(handles, wanted, ret_handle, error);
    if (entry == NULL)
        return handles->is_ending ? WEIR_STATE : weir_error_refused(error);
    entry->is_owner = true;
    if (parent != 0)
        handles->entries[parent].child_count++;
    return WEIR_OK;
}

/* --- taking back --------------------------------------------------------------------------- */

/* Unlinks; the resource is left alone. */
static void unlink_entry(struct weir_handles *handles, uint32_t index)
{
    struct weir__handle_entry *entry = &handles->entries[index];
    weir__census_begin(&handles->store->mark);
    *(entry->newer != 0 ? &handles->entries[entry->newer].older : &handles->newest) = entry->older;
    *(entry->older != 0 ? &handles->entries[entry->older].newer : &handles->oldest) = entry->newer;
    if (entry->parent != 0)
        handles->entries[entry->parent].child_count--;
    if (entry->scope != NULL)
        entry->scope->borrow_count--;
    entry->use->count--;
    entry->use = NULL;
    entry->generation = entry->generation == UINT32_MAX ? 1 : entry->generation + 1;
    entry->newer = handles->free;
    handles->free = index;
    handles->count--;
    handles->store->handle_count--;
    weir__census_end(&handles->store->mark);
}

/* Nothing may depend on a handle that goes. */
static enum weir_status check_idle(const struct weir_handles *handles, uint32_t index,
                                   struct weir_error *error)
{
    const struct weir__handle_entry *entry = &handles->entries[index];
    char where[WEIR__HANDLE_WHERE_SIZE];
    if (entry->lend_count == 0 && entry->child_count == 0)
        return WEIR_OK;
    weir__handle_where(handles, index, where);
    if (entry->lend_count != 0)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "%s is lent to %u calls that have not ended", where,
                              entry->lend_count);
    return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "%s has %u children; drop them first",
                          where, entry->child_count);
}

static void destroy(const struct weir_resource_type *type, uint64_t rep)
{
    if (type->destroy != NULL)
        type->destroy(type->context, rep);
}

enum weir_status weir_handle_drop(struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, struct weir_error *error)
{
    const struct weir__handle_entry *entry = weir__handle_entry(handles, index, type, error);
    if (entry == NULL)
        return lookup_status(handles, index);
    enum weir_status status = check_idle(handles, index, error);
    if (status != WEIR_OK)
        return status;
    const struct weir__handle_entry gone = *entry;
    const struct weir_resource_type *gone_type = gone.use->type;
    unlink_entry(handles, index);
    if (gone.is_owner)
        destroy(gone_type, gone.rep);
    return WEIR_OK;
}

enum weir_status weir_handle_take(struct weir_handles *handles, uint32_t index,
                                  const struct weir_resource_type *type, uint64_t *ret_rep,
                                  struct weir_error *error)
{
    const struct weir__handle_entry *entry = weir__handle_entry(handles, index, type, error);
    if (entry == NULL)
        return lookup_status(handles, index);
    enum weir_status status = check_idle(handles, index, error);
    if (status != WEIR_OK)
        return status;
    if (!entry->is_owner) {
        char where[WEIR__HANDLE_WHERE_SIZE];
        weir__handle_where(handles, index, where);
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%s is a borrow and cannot be handed over", where);
    }
    *ret_rep = entry->rep;
    unlink_entry(handles, index);
    return WEIR_OK;
}

/* --- the end ------------------------------------------------------------------------------- */

void weir__handles_destroy(struct weir_handles *handles, struct weir_receipt *receipt)
{
    if (handles == NULL)
        return;
    handles->is_ending = true;
    while (handles->newest != 0) {
        uint32_t index = handles->newest;
        struct weir__handle_entry *entry = &handles->entries[index];
        const struct weir_resource_type *type = entry->use->type;
        uint64_t rep = entry->rep;
        bool is_owner = entry->is_owner;
        WEIR_ASSERT(entry->child_count == 0); /* they are younger */
        if (receipt != NULL && is_owner)
            weir__handle_list(handles, index, receipt);
        unlink_entry(handles, index);
        if (is_owner)
            destroy(type, rep);
    }
    handles->is_ending = false;
}

void weir__handles_free(struct weir_handles *handles, struct weir_receipt *receipt)
{
    if (handles == NULL)
        return;
    weir__handles_destroy(handles, receipt);
    weir_account_free(handles->store->account, WEIR_KIND_HANDLE, handles->entries,
                      handles->capacity * sizeof *handles->entries);
    weir_account_free(handles->store->account, WEIR_KIND_HANDLE, handles, sizeof *handles);
}
