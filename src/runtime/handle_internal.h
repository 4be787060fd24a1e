/* A table of handles, as its files see it (include/weir/handle.h says what it promises).
 *
 * Entries lie in one array by index; entry 0 is never used. Free ones form a stack through
 * `newer`, live ones a list by age, so that children are always behind their parents. Generations
 * start at 1 and change when an entry becomes free.
 */
#ifndef WEIR_RUNTIME_HANDLE_INTERNAL_H
#define WEIR_RUNTIME_HANDLE_INTERNAL_H

#include <weir/handle.h>

#include "runtime/store_internal.h"

/* Handles of one type in one store. */
struct weir__type_use {
    struct weir__type_use *next;
    const struct weir_resource_type *type;
    uint32_t count;
};

#define WEIR__SITE_GONE UINT64_C(1)

struct weir__handle_entry {
    struct weir__type_use *use; /* NULL: free */
    uint64_t rep;
    struct weir_scope *scope; /* of a borrow; NULL when that is over */
    const char *label;
    uint64_t made_ns;
    uint64_t site_pc; /* in guest code; 0: not made during a call; or WEIR__SITE_GONE */
    uint32_t generation;
    uint32_t lend_count;
    uint32_t child_count;
    uint32_t parent;
    uint32_t newer, older; /* live: by age; free: `newer` is the next free one */
    bool is_owner;
};

struct weir_handles {
    struct weir_store *store;
    struct weir_instance *instance; /* NULL: the store's own */
    struct weir__handle_entry *entries;
    uint32_t capacity;
    uint32_t size; /* entries ever used, entry 0 included */
    uint32_t count;
    uint32_t max;
    uint32_t free;           /* 0: none */
    uint32_t oldest, newest; /* 0: none */
    bool is_ending;
};

/* Who made it, where no place in guest code is known. */
const char *weir__handle_maker(const struct weir__handle_entry *entry);
/* The code goes away: it must not be looked at any more, nor taken for what comes there next. */
void weir__handles_forget_code(struct weir_handles *handles, const struct weir__code_range *code);
/* "handle 7 of store \"x\"" or "… of instance 2 of store \"x\"". */
#define WEIR__HANDLE_WHERE_SIZE 128
enum weir_status weir__handle_refuse_untyped(struct weir_error *error);
void weir__handle_where(const struct weir_handles *handles, uint32_t index,
                        char text[WEIR__HANDLE_WHERE_SIZE]);
/* The live entry, with its type checked; NULL with the error set. */
struct weir__handle_entry *weir__handle_entry(const struct weir_handles *handles, uint32_t index,
                                              const struct weir_resource_type *type,
                                              struct weir_error *error);
/* Charges and links a new entry, youngest; its `is_owner` and `scope` are the caller's to set. */
struct weir__handle_entry *weir__handle_add(struct weir_handles *handles,
                                            const struct weir_handle_new *wanted,
                                            struct weir_handle *ret_handle,
                                            struct weir_error *error);
/* A line of the receipt. */
void weir__handle_list(const struct weir_handles *handles, uint32_t index,
                       struct weir_receipt *receipt);
void weir__handle_info(const struct weir_handles *handles, uint32_t index,
                       struct weir_handle_info *ret_info);

/* Destroys what is left, youngest first, listing it in `receipt` (may be NULL). The table stays
 * usable. NULL is allowed. */
void weir__handles_destroy(struct weir_handles *handles, struct weir_receipt *receipt);
/* As above, and the table with it. */
void weir__handles_free(struct weir_handles *handles, struct weir_receipt *receipt);

#endif
