/* Store, instance and what they own, as the runtime's files see them. Everything here is used by
 * one thread at a time, but for the events and the two words of state that ask for a poll.
 *
 * A store is one mapping to begin with: the record, its account, a small block for the first
 * instance, and the state, placed so that an idle store with a small instance touches one page.
 * More instances take chunks of an arena, memories and growable tables mappings of their own.
 */
#ifndef WEIR_RUNTIME_STORE_INTERNAL_H
#define WEIR_RUNTIME_STORE_INTERNAL_H

#include <weir/image.h>
#include <weir/pool.h>

#include "runtime/census_internal.h"
#include "runtime/linker_internal.h"
#include "runtime/module_internal.h"

/* Pages of a memory whose content at the reset point differs from the base image, with it. */
struct weir__undo {
    struct weir_mapping mapping; /* of kind IMAGE: pages, then addresses */
    uint32_t page_count;
    uint64_t bytes;
    uint64_t *addresses; /* ascending */
    uint8_t *pages;
};

/* The version that was committed last (kept.h). */
struct weir__kept {
    struct weir_mapping mapping; /* of the whole file, shared; base NULL: nothing was committed */
    int fd;
    uint64_t bytes; /* of the memory that are the file's */
    uint64_t charged_bytes;
    uint64_t *changed; /* bits of pages that commits wrote since the version was saved (image.h) */
    uint64_t changed_words;
};

struct weir_memory {
    struct weir_vm_memory vm; /* first: generated code has pointers to it */
    struct weir_store *store;
    struct weir_memory *next;
    uint64_t made_ns;
    struct weir_mapping mapping;
    struct weir_mapping_entry entry; /* of the mapping */
    uint64_t reset_bytes;            /* size right after instantiation and start */
    uint64_t limit_bytes;            /* growth ends here: declared maximum or configured limit */
    uint64_t accessible_bytes;       /* what mprotect has opened; never below vm.size_bytes */
    uint64_t peak_bytes;
    uint64_t max_pages; /* declared */
    bool has_max;
    bool is_64;
    bool is_guard;                          /* pages beyond the size must be inaccessible */
    const struct weir_module *image_module; /* whose artifact holds the base image; may be NULL */
    uint64_t image_begin, image_end;        /* in the memory */
    struct weir__undo undo;
    struct weir__kept kept;
};

struct weir_table {
    struct weir_vm_table vm; /* first */
    struct weir_store *store;
    struct weir_table *next;
    uint64_t made_ns;
    struct weir_mapping mapping; /* none when the elements lie in the store's arena */
    enum weir_type element;
    uint64_t min;   /* size right after instantiation and start */
    uint64_t limit; /* growth ends here */
    uint64_t max;   /* declared */
    bool has_max;
    bool is_64;
    uint64_t accessible_bytes; /* charged */
    void **undo;               /* min elements, or NULL: rebuilt from the segments */
    void **spare;              /* spare_count elements, for the next undo; may be NULL */
    uint64_t spare_count;
};

struct weir_global {
    struct weir_store *store;
    enum weir_type type;
    bool is_mutable;
    union weir_value *value; /* its home, wherever it was defined */
};

/* A host function as one importing instance sees it. */
struct weir__binding {
    struct weir_vm_state *state; /* first: stands where a vmctx has it */
    uint64_t has_floats;         /* the stub saves vector registers */
    const struct weir__type *type;
    weir_host_func *func;
    void *data;
    struct weir_store *store;
    struct weir_instance *instance;
};
static_assert(offsetof(struct weir__binding, has_floats) == WEIR__BINDING_HAS_FLOATS, "assembly");

/* Records that end together: an instance's, or the store's own. They lie in a piece of the store's
 * block while there is room, else in an arena of their own. */
struct weir__region {
    uint8_t *piece, *piece_at, *piece_end; /* NULL: none */
    struct weir_arena *arena;              /* NULL until needed */
};

/* A global of the host's, with its home. */
struct weir__host_global {
    struct weir_global global;
    union weir_value home;
    struct weir__host_global *next;
};

/* Who keeps an instance from being released (weir_instance_pin). */
struct weir_instance_pin {
    struct weir_instance *instance;
    struct weir_instance_pin *next;
    uint64_t made_ns;
    char holder[WEIR_PIN_HOLDER_SIZE];
};

/* A host function that belongs to the store alone (weir_func_new). */
struct weir__host_func {
    struct weir__binding binding;
    struct weir_funcref ref;
    struct weir__host_func *next;
};

struct weir_instance {
    struct weir_vmctx *vmctx;
    struct weir_store *store;
    struct weir_module *module;
    struct weir_instance *next;
    struct weir_memory **memories; /* index space */
    struct weir_table **tables;
    struct weir_global *globals;
    struct weir__binding *bindings; /* by position among the host functions it imports */
    uint64_t *dropped_data;         /* bit sets */
    uint64_t *dropped_elems;
    struct weir_memory *main_memory; /* exported as "memory", else memory 0 */
    union weir_value *saved_globals; /* own mutable globals at the reset point, in order */
    uint64_t *saved_data;            /* dropped segments at the reset point */
    uint64_t *saved_elems;
    struct weir_handles *handles; /* NULL until somebody asks */
    struct weir_instance_pin *pins;
    _Atomic(struct weir_held *) helds; /* weir_held_new(); changed under the lock of held.c */
    uint64_t made_ns;
    uint32_t number;            /* in order of creation in the store, from 1 */
    struct weir__region region; /* where all these records lie */
    uint64_t region_bytes;      /* from this record on, arrays included */
    bool is_whole;              /* instantiation ended well; reset is possible */
    bool is_committed;          /* its state is a version (image.h) */
    bool is_abandoned;          /* it could not be made, and others hold something of it */
    bool is_saved;              /* an earlier version of it was saved or loaded */
};

/* What a store has had put into it besides: the front of each list, which only grow there. */
struct weir__store_extent {
    const struct weir_instance *instances;
    const struct weir_memory *memories;
    const struct weir_table *tables;
    const struct weir__host_func *host_funcs;
    const struct weir__host_global *host_globals;
    const struct weir__definition *definitions;
};

struct weir_store {
    struct weir_engine *engine;
    struct weir_account *account;
    struct weir_vm_state *state;
    struct weir__activation *active; /* innermost */
    struct weir__stack *stack;
    enum weir_park park;
    bool has_timer;
    uint32_t thread_needs; /* WEIR__THREAD_* */
    _Atomic uint32_t events;
    uint32_t depth;
    uint32_t instance_count;
    uint32_t instances_made;
    uint32_t abandoned_count, abandoned_at; /* of its instances; so many are worth a look */
    /* Of the outermost call. */
    const struct weir__type *call_type;
    struct weir__host_frame *parked_frame;
    struct weir__binding *parked_binding;
    /* What the next trap is about. */
    int exit_code;
    enum weir_trap_code said_code; /* by weir_caller_trap() */
    struct weir_error cause;
    struct weir_error *refusal; /* the first refused growth since the last reset; NULL: none */
    struct weir__timer timer;
    uint8_t *block, *block_end; /* beside the record: one instance's, then the store's own */
    struct weir__region *block_user;
    struct weir_account_source source;
    struct weir__region own;
    struct weir__region *filling; /* of the instance that is being made; NULL: own */
    struct weir_instance *instances;
    struct weir_memory *memories;
    struct weir_table *tables;
    struct weir_handles *handles; /* NULL until somebody asks */
    struct weir__type_use *type_uses;
    uint32_t handle_count; /* of all its tables */
    uint32_t handles_max;
    struct weir__host_func *host_funcs;
    struct weir__task_group *tasks; /* NULL until the first one */
    uint32_t tasks_max;
    struct weir__host_global *host_globals;
    struct weir__definition *definitions; /* of linkers, with items of this store */
    uint64_t linear_bytes_max;
    uint64_t table_elements_max;
    uint64_t keep_resident_bytes;
    uint32_t instances_max;
    void *data;
    void (*data_free)(void *data);
    weir_growth_hook *growth_hook;
    void *growth_context;
    struct weir_store *next_warm; /* in a pool */
    struct weir_instance *pooled;
    uint64_t pool_key; /* whom it served last */
    struct weir__store_extent pool_extent;
    bool is_settled;        /* a pool's slot, set up */
    bool is_torn;           /* some call into it did not return: it trapped, exited, was given up */
    uint64_t settled_calls; /* of `calls`: those that set it up */
    uint64_t given_ns;      /* when it came back; residents */
    /* Seen by a census from other threads. */
    struct weir__census_link census;
    bool is_slot;                    /* of a pool; under the mark */
    struct weir__census_mark mark;   /* around changes of the lists above */
    _Atomic uint64_t calls;          /* from the host, outermost */
    _Atomic uint64_t resets;         /* of instances */
    _Atomic uint64_t thread_changes; /* calls by another thread than the last */
    const void *caller;              /* thread of the last call */
};

/* Zeroed memory, 16-byte aligned, that lives as long as the instance that is being made, or else as
 * the store. NULL: refused, in `error`. */
void *weir__store_alloc(struct weir_store *store, size_t bytes, struct weir_error *error)
    WEIR_MUST_USE;
/* From here to weir__region_close() allocations go to the region. */
void weir__region_open(struct weir_store *store, struct weir__region *region);
void weir__region_close(struct weir_store *store);
/* Moves a region's record; the old place is free then. */
void weir__region_move(struct weir_store *store, struct weir__region *to,
                       const struct weir__region *from);
/* Gives back what lies in it. */
void weir__region_free(struct weir_store *store, struct weir__region *region);
/* Asks the store's guest to look up; any thread. */
void weir__store_raise(struct weir_store *store, uint32_t event);
/* Growth was tried, and refused if `refused` says so; it is emptied. */
void weir__store_note_refusal(struct weir_store *store, struct weir_error *refused);
void weir__store_forget_refusal(struct weir_store *store);
/* Notes why a host routine makes the guest trap; answers WEIR__BACK_TRAP for thunks. */
int weir__trap_raise(struct weir_store *store, enum weir_trap_code code);
/* Where in a guest this address is; false where it is no guest code. */
bool weir__code_frame(uint64_t pc, struct weir_trap_frame *frame);
/* The guest's frames, while it waits for a host routine. */
void weir__store_frames(const struct weir_store *store, struct weir_trap *trap);
/* Fills `trap` (may be NULL) from what is noted and the frames of the store; clears the note. */
void weir__trap_fill(struct weir_store *store, const struct weir__activation *activation,
                     struct weir_trap *trap, struct weir_error *error);
/* Events that end or park the guest: WEIR__BACK_*. */
int weir__events_handle(struct weir_store *store);
/* A host function answered something else than OK or PENDING. */
int weir__host_failed(struct weir_store *store, enum weir_status status);
/* A host function's results into the frame that its stub left on the guest's stack. */
void weir__host_results(struct weir_store *store, const struct weir__type *type,
                        const union weir_value *results, struct weir__host_frame *frame);

enum weir_status weir__memory_new(struct weir_store *store, const struct weir_limits *limits,
                                  const struct weir_module *image_module,
                                  struct weir_memory **ret_memory, struct weir_error *error)
    WEIR_MUST_USE;
void weir__memory_free(struct weir_memory *memory);
/* Makes the first `bytes` accessible, no more and no less; charges or discharges. */
enum weir_status weir__memory_resize(struct weir_memory *memory, uint64_t bytes,
                                     struct weir_error *error) WEIR_MUST_USE;

enum weir_status weir__table_new(struct weir_store *store, enum weir_type element,
                                 const struct weir_limits *limits, struct weir_table **ret_table,
                                 struct weir_error *error) WEIR_MUST_USE;
void weir__table_free(struct weir_table *table);
/* Gives back the room that it had grown by since instantiation; its size is as then. */
enum weir_status weir__table_close(struct weir_table *table, struct weir_error *error)
    WEIR_MUST_USE;
/* The old size, or UINT64_MAX. */
uint64_t weir__table_grow(struct weir_table *table, void *value, uint64_t count,
                          struct weir_error *error);

/* An item of an instance's index space, as others see it. */
void weir__instance_extern(struct weir_instance *instance, uint32_t kind, uint32_t index,
                           struct weir_extern *ret_extern);

/* The item is there and lives in this store. */
bool weir__extern_is_of(const struct weir_extern *item, const struct weir_store *store);
/* A host function can be made of it: INVALID_ARGUMENT otherwise. */
enum weir_status weir__host_definition_check(const struct weir_host_definition *definition,
                                             struct weir_error *error) WEIR_MUST_USE;
/* Whether guests of the store may get the reference: functions of other stores would lead out. */
static inline bool weir__ref_fits(const struct weir_store *store, enum weir_type type,
                                  const void *ref)
{
    return type != WEIR_TYPE_FUNCREF || ref == NULL ||
           ((const struct weir_funcref *)ref)->vmctx->state == store->state;
}
enum weir_status weir__refuse_ref(struct weir_error *error);

/* Everything of an instantiation before the first moment in which others may see it, and running
 * the start function. */
struct weir__import_source;
enum weir_status weir__instance_make(struct weir_store *store, struct weir_module *module,
                                     const struct weir__import_source *source,
                                     struct weir_instance **ret_instance, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir__instance_run_start(struct weir_instance *instance, struct weir_trap *trap,
                                          struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir__instance_segment_trap(enum weir_trap_code code, struct weir_trap *trap,
                                             struct weir_error *error);

/* instance_init.c */
union weir_value weir__init_value(const struct weir_instance *instance,
                                  const struct weir_artifact_expr *expr);
void *weir__elem_item(const struct weir_instance *instance, uint32_t item);
/* Applies active segments; the trap code that the first failing one asks for, or NONE. */
enum weir_trap_code weir__instance_fill_tables(struct weir_instance *instance, bool own_only);
/* What they put into an own table, which held nothing: of its size right after instantiation. */
void weir__instance_expect_table(const struct weir_instance *instance, uint32_t index,
                                 void **elements);
enum weir_trap_code weir__instance_fill_memories(struct weir_instance *instance);
/* Active and declarative segments are dropped once they were applied. */
void weir__instance_drop_segments(struct weir_instance *instance);
/* Ends the embedder's pins (release.c). */
void weir__instance_unpin_all(struct weir_instance *instance);
/* Ends an instance that nobody got: at once, or where others hold something of it, when an instance
 * is made after they have let go (release.c). */
void weir__instance_abandon(struct weir_instance *instance);
void weir__store_release_abandoned(struct weir_store *store);
/* The memories and tables that this instance defines, and their records. */
void weir__instance_free_parts(struct weir_instance *instance);
/* host_func.c: drops what host functions hold outside the store. */
void weir__host_funcs_done(struct weir_store *store);
/* link.c: fills imports of vmctx, memories, tables, globals, bindings. */
struct weir__import_source {
    const struct weir_imports *list;  /* by position, or */
    const struct weir_linker *linker; /* by name; NULL for a module without imports */
};
enum weir_status weir__instance_link(struct weir_instance *instance,
                                     const struct weir__import_source *source,
                                     struct weir_error *error) WEIR_MUST_USE;
/* image.c: remembers the present state as the one that reset goes back to. On failure the instance
 * can only be released. */
enum weir_status weir__instance_remember(struct weir_instance *instance, struct weir_error *error)
    WEIR_MUST_USE;
void weir__memory_forget_undo(struct weir_memory *memory);
void weir__table_forget_undo(struct weir_table *table);
/* The present state becomes the one that reset goes back to, and is a version (image.h). */
enum weir_status weir__instance_commit(struct weir_instance *instance, struct weir_commit *commit,
                                       struct weir_error *error) WEIR_MUST_USE;
/* Base content of the page at this address of the process: image or zeros. */
const uint8_t *weir__memory_base_page(const struct weir_memory *memory, uint64_t address);

static inline bool weir__bit(const uint64_t *bits, uint32_t index)
{
    return (bits[index / 64] >> (index % 64) & 1) != 0;
}

static inline void weir__bit_set(uint64_t *bits, uint32_t index)
{
    bits[index / 64] |= UINT64_C(1) << (index % 64);
}

#endif
