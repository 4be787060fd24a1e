/* The objects behind the handles of <wasm.h>.
 *
 * An object is what host info belongs to: one per function, global, table, memory and instance of
 * a store, found again by its identity. An object without handles is freed, or sleeps when it has
 * host info; the object of an instance sleeps until the instance can be released, for which there
 * must be no handle of anything in it either (capi_orphan.c). All references have the layout of
 * struct wasm_ref_t, so conversions are casts. A handle is a pointer to its object, counted in the
 * object and, for objects of a store, in the store: that keeps the store open. What a guest holds
 * (externref) counts in the object only, see capi_hold.c.
 *
 * Types and vectors are the embedder's (malloc). Everything else is charged: objects to their store
 * as handles, modules and stores to their engine.
 */
#ifndef WEIR_CAPI_INTERNAL_H
#define WEIR_CAPI_INTERNAL_H

#include <stdatomic.h>

#include <weir/capi.h>

#include "capi/capi_limits.h"
#include "ledger/ledger.h"
#include "runtime/references.h"

/* The kinds of externals come first, in the order of wasm_externkind_enum. */
enum weir__capi_kind {
    WEIR__CAPI_FUNC,
    WEIR__CAPI_GLOBAL,
    WEIR__CAPI_TABLE,
    WEIR__CAPI_MEMORY,
    WEIR__CAPI_INSTANCE,
    WEIR__CAPI_FOREIGN,
    WEIR__CAPI_TRAP,
    WEIR__CAPI_MODULE
};

struct wasm_ref_t {
    _Atomic uint32_t refs; /* handles, and what stores hold for their guests */
    enum weir__capi_kind kind;
    struct wasm_store_t *store; /* NULL: a module */
    void *info;
    void (*finalize)(void *info);
    /* FUNC to INSTANCE, which are found again by identity. */
    struct weir_identity identity;
    struct wasm_ref_t *next;  /* in the bucket of its identity */
    struct wasm_ref_t *owner; /* the instance whose records hold the item; kept while refs > 0 */
    union {
        struct weir_extern item; /* FUNC to MEMORY */
        struct {
            struct weir_instance *instance; /* INSTANCE */
            struct weir_instance_pin *pin;  /* so that nobody else releases it */
            size_t dormant_count; /* objects that it owns, with host info and without handles */
        };
    };
};

struct wasm_func_t {
    struct wasm_ref_t ref;
};
struct wasm_global_t {
    struct wasm_ref_t ref;
};
struct wasm_table_t {
    struct wasm_ref_t ref;
};
struct wasm_memory_t {
    struct wasm_ref_t ref;
};
struct wasm_extern_t {
    struct wasm_ref_t ref;
};
struct wasm_instance_t {
    struct wasm_ref_t ref;
};
struct wasm_foreign_t {
    struct wasm_ref_t ref;
};

struct wasm_trap_t {
    struct wasm_ref_t ref;
    char *message; /* with its zero */
    size_t message_size;
    struct weir__capi_place *places;
    size_t place_count;
};

/* Where a guest was; what frames are made from. */
struct weir__capi_place {
    struct weir_module *code; /* counted */
    uint32_t func_index, func_offset, module_offset;
};

struct weir__capi_body; /* what a module, its copies and shared forms have in common */
struct wasm_module_t {
    struct wasm_ref_t ref;
    struct weir__capi_body *body;
};

struct wasm_config_t {
    struct weir_engine_config config;
    bool has_no_serialize;
};

struct wasm_engine_t {
    _Atomic uint32_t refs; /* the handle, stores and modules */
    struct weir_engine *engine;
    bool has_no_serialize;
};

struct weir__capi_host_func; /* capi_callback.c */

struct wasm_store_t {
    _Atomic uint32_t refs; /* the handle of the store and of everything in it */
    struct wasm_engine_t *engine;
    struct weir_store *store;
    struct weir_account *account;
    struct wasm_ref_t **buckets; /* objects by identity; a power of two */
    size_t bucket_count, object_count;
    struct wasm_ref_t **holds; /* open addressing by address; a power of two */
    size_t hold_room, hold_count;
    size_t collect_at;   /* so many holds */
    size_t orphan_count; /* instances without handles that something else holds */
    size_t orphans_at;   /* so many are looked at again */
    bool is_looking;     /* at them */
    struct weir__capi_host_func *host_funcs;
    struct wasm_trap_t *pending; /* a callback's, on its way through the guest */
    struct wasm_trap_t reserve;  /* handed out when there is no memory for another */
};

/* --- errors (capi_error.c) ----------------------------------------------------------------- */

/* Takes the report over as the thread's last error; releases it. */
void weir__capi_failed(struct weir_error *error);
enum weir_status weir__capi_refuse(enum weir_status status, const char *format, ...)
    WEIR_PRINTF(2, 3);

/* --- stores and engines (capi_engine.c, capi_store.c) -------------------------------------- */

void weir__capi_engine_ref(struct wasm_engine_t *engine);
void weir__capi_engine_unref(struct wasm_engine_t *engine);
void weir__capi_store_ref(struct wasm_store_t *store);
void weir__capi_store_unref(struct wasm_store_t *store);

/* --- objects (capi_ref.c) ------------------------------------------------------------------ */

/* A handle of the object of this external or instance, which is made on first use. NULL: refused,
 * in `error`. */
struct wasm_ref_t *weir__capi_extern(struct wasm_store_t *store, const struct weir_extern *item,
                                     struct weir_error *error);
struct wasm_ref_t *weir__capi_instance(struct wasm_store_t *store, struct weir_instance *instance,
                                       struct weir_error *error);
enum weir_status weir__capi_pin(struct wasm_ref_t *instance, struct weir_error *error);
/* The first handle of an object that was just allocated. */
void weir__capi_begin(struct wasm_ref_t *ref, enum weir__capi_kind kind,
                      struct wasm_store_t *store);
struct wasm_ref_t *weir__capi_ref(struct wasm_ref_t *ref);
/* One more count of the object, without a handle. */
void weir__capi_hold_object(struct wasm_ref_t *ref);
/* One count of the object goes away, of a handle or a hold. */
void weir__capi_drop(struct wasm_ref_t *ref);
/* The end of a sleeping object: out of the table of identities; then finalized and freed. */
void weir__capi_unlist(struct wasm_ref_t *ref);
void weir__capi_free(struct wasm_ref_t *ref);
/* Calls visit for every object of the table; it must not end any. */
void weir__capi_each(struct wasm_store_t *store,
                     void (*visit)(void *context, struct wasm_ref_t *ref), void *context);
/* Finalizes and frees what nobody has a handle of any more; the store is about to close. */
void weir__capi_objects_done(struct wasm_store_t *store);
/* Of its own kind; the record itself is freed with them. */
void weir__capi_trap_free(struct wasm_trap_t *trap);
void weir__capi_module_free(struct wasm_module_t *module);

/* --- instances without handles (capi_orphan.c) --------------------------------------------- */

/* The last handle of the instance and of everything in it is gone: releases it when it can. */
void weir__capi_orphan(struct wasm_ref_t *instance);
/* Looks again at those that were held then, if there may be many. */
void weir__capi_orphans_retry(struct wasm_store_t *store);

/* --- what guests hold (capi_hold.c) -------------------------------------------------------- */

/* The guest may keep the reference from now on. */
enum weir_status weir__capi_hold(struct wasm_store_t *store, struct wasm_ref_t *ref,
                                 struct weir_error *error) WEIR_MUST_USE;
/* Looks for held references that no guest has any more, if there may be many. To be called before
 * references are handed to a guest; does nothing while a call is active. */
void weir__capi_collect(struct wasm_store_t *store);
void weir__capi_holds_done(struct wasm_store_t *store);

/* --- values and types (capi_val.c, capi_type.c) -------------------------------------------- */

/* Checks kind and store; references become the guest's. */
enum weir_status weir__capi_to_guest(struct wasm_store_t *store, enum weir_type type,
                                     const wasm_val_t *value, union weir_value *ret_value,
                                     struct weir_error *error) WEIR_MUST_USE;
/* As above, for a reference alone. */
enum weir_status weir__capi_ref_to_guest(struct wasm_store_t *store, enum weir_type type,
                                         struct wasm_ref_t *ref, void **ret_ref,
                                         struct weir_error *error) WEIR_MUST_USE;
/* An own value; fails for want of memory only, and then it is the null reference. */
enum weir_status weir__capi_from_guest(struct wasm_store_t *store, enum weir_type type,
                                       const union weir_value *value, wasm_val_t *ret_value,
                                       struct weir_error *error) WEIR_MUST_USE;
/* The type's zero. */
void weir__capi_zero(enum weir_type type, wasm_val_t *ret_value);

wasm_valkind_t weir__capi_kind_of(enum weir_type type);
/* WEIR_TYPE_I32 … ; 0 for what is no kind. */
enum weir_type weir__capi_type_of(wasm_valkind_t kind);
/* Own; NULL without memory. */
wasm_functype_t *weir__capi_functype(const struct weir_func_type *type);
wasm_externtype_t *weir__capi_externtype(const struct weir_extern_type *type);
struct weir_limits weir__capi_limits(const wasm_limits_t *limits);

/* --- traps (capi_trap.c) ------------------------------------------------------------------- */

/* Keeps a callback's trap, which is on its way through the guest, in place of the one before; NULL
 * drops that. Takes the handle over, and does not keep the store open. */
void weir__capi_pend(struct wasm_store_t *store, wasm_trap_t *trap);
/* What a call came back with: the callback's own trap, the guest's, or the reason why the call
 * could not start. Releases both records. */
wasm_trap_t *weir__capi_trap_of(struct wasm_store_t *store, enum weir_status status,
                                struct weir_trap *trap, struct weir_error *error);

/* --- callbacks (capi_callback.c) ----------------------------------------------------------- */

void weir__capi_host_funcs_done(struct wasm_store_t *store);

static inline struct weir_account *weir__capi_account(const struct wasm_engine_t *engine)
{
    return weir_engine_account(engine->engine);
}

#endif
