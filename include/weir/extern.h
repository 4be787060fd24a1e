/* Functions, memories, tables and globals of a store, and what can be done with them.
 *
 * All pointers here belong to their store and live as long as it (or as the instance that defines
 * them, if that is released first). One thread at a time, the store's.
 */
#ifndef WEIR_EXTERN_H
#define WEIR_EXTERN_H

#include <weir/store.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_caller; /* the guest that called a host function; valid during the call only */
struct weir_memory;
struct weir_table;
struct weir_global;

struct weir_extern {
    enum weir_extern_kind kind;
    union {
        struct weir_funcref *func;
        struct weir_table *table;
        struct weir_memory *memory;
        struct weir_global *global;
    };
};

/* Runs on the thread's own stack and must come back: no longjmp and no exception may pass it.
 * `args` and `results` never overlap. Answers:
 *   WEIR_OK       results are set
 *   WEIR_PENDING  the guest is parked; weir_store_resume() brings the results
 *   WEIR_EXIT     after weir_caller_exit()
 *   other         the guest traps: code HOST, or what weir_caller_trap() said */
typedef enum weir_status weir_host_func(struct weir_caller *caller, void *data,
                                        const union weir_value *args, union weir_value *results);

struct weir_host_definition {
    const struct weir_func_type *type; /* copied */
    weir_host_func *func;
    void *data; /* handed to func; the embedder's, must outlive every caller; never freed by Weir:
                 * what shall end with a store belongs in its data (data_free) or in a handle */
};

/* A function of the host's in the store, without a linker: for tables, globals of references and
 * weir_instance_new_with(). Lives as long as the store, which is charged for it. Its caller has no
 * instance: weir_caller_instance() and weir_caller_memory() answer NULL. INVALID_ARGUMENT without
 * function or type, or with more than 1,000 parameters or results. */
enum weir_status weir_func_new(struct weir_store *store,
                               const struct weir_host_definition *definition,
                               struct weir_funcref **ret_func, struct weir_error *error);
/* The arrays belong to the engine. */
void weir_func_type(const struct weir_funcref *func, struct weir_func_type *ret);
/* For those who know a function's type: ask once, then call as often as you like. */
bool weir_func_has_type(const struct weir_funcref *func, const struct weir_func_type *type);
/* Calls a function. `args` has as many values as its type has parameters, `results` room for as
 * many as it has results, and nothing tells whether that is so: see weir_func_has_type(), or
 * weir_func_call_untyped(). They may be one array, and NULL where the type has none. References
 * among args must be of the same store.
 * OK; TRAP with *trap filled (weir_trap_done() it); PENDING when the guest was parked;
 * INVALID_ARGUMENT for a null reference, a function of another store, or NULL where values are
 * needed; STATE while a call is parked; LIMIT and others when the call could not start. `trap` may
 * be NULL. `results` are left alone but for OK. */
enum weir_status weir_func_call(struct weir_store *store, struct weir_funcref *func,
                                const union weir_value *args, union weir_value *results,
                                struct weir_trap *trap, struct weir_error *error);

struct weir_typed_value {
    enum weir_type type;
    union weir_value value;
};
struct weir_untyped_call {
    const struct weir_typed_value *args;
    size_t arg_count;
    struct weir_typed_value *results; /* filled, types too */
    size_t result_count;
};
/* For those who don't: counts, types and the stores of function references are checked first
 * (INVALID_ARGUMENT says which is wrong, and the guest has not run). Answers like weir_func_call();
 * the results of a call that was parked come by weir_store_results(). */
enum weir_status weir_func_call_untyped(struct weir_store *store, struct weir_funcref *func,
                                        const struct weir_untyped_call *call,
                                        struct weir_trap *trap, struct weir_error *error);
/* After a parked call finished through weir_store_resume(), its results are here. */
const union weir_value *weir_store_results(const struct weir_store *store);

enum weir_status weir_memory_new(struct weir_store *store, const struct weir_limits *limits,
                                 struct weir_memory **ret_memory, struct weir_error *error);
uint64_t weir_memory_bytes(const struct weir_memory *memory);
void weir_memory_limits(const struct weir_memory *memory, struct weir_limits *ret);
/* The old size in pages, or UINT64_MAX when refused; the reason is in `error`. */
uint64_t weir_memory_grow(struct weir_memory *memory, uint64_t pages, struct weir_error *error);
/* Copies that survive a fault (a truncated file under the pages): INVALID_ARGUMENT when out of
 * bounds, IO when the page is lost. Nothing is written outside the range. */
enum weir_status weir_memory_read(const struct weir_memory *memory, uint64_t address, void *to,
                                  size_t size);
enum weir_status weir_memory_write(struct weir_memory *memory, uint64_t address, const void *from,
                                   size_t size);
/* Bounds-checked address for system calls (read, write, readv); not for host code to dereference,
 * which weir_memory_read and weir_memory_write are for. NULL when out of bounds. Valid as long as
 * the memory; growth moves nothing. */
uint8_t *weir_memory_at(const struct weir_memory *memory, uint64_t address, uint64_t size);

struct weir_memory_figures {
    uint64_t reserved_bytes;   /* address space */
    uint64_t accessible_bytes; /* pages x 64 KiB */
    uint64_t resident_bytes;   /* touched, file pages included */
    uint64_t private_bytes;    /* dirty: this memory's own, swap included */
    uint64_t peak_bytes;       /* highest accessible */
    uint64_t limit_bytes;
};
/* Bytes of the version that was committed last (weir/image.h): pages that hold something; 0: none.
 */
uint64_t weir_memory_image_bytes(const struct weir_memory *memory);
enum weir_status weir_memory_figures(const struct weir_memory *memory,
                                     struct weir_memory_figures *ret, struct weir_error *error);

enum weir_status weir_table_new(struct weir_store *store, enum weir_type element,
                                const struct weir_limits *limits, struct weir_table **ret_table,
                                struct weir_error *error);
uint64_t weir_table_size(const struct weir_table *table);
/* FUNCREF or EXTERNREF. The limits' minimum is the present size; `ret_limits` may be NULL. */
enum weir_type weir_table_type(const struct weir_table *table, struct weir_limits *ret_limits);
/* The old size, or UINT64_MAX when refused; the reason is in `error`. New elements hold `ref`. */
uint64_t weir_table_grow(struct weir_table *table, uint64_t count, void *ref,
                         struct weir_error *error);
/* NULL references are NULL pointers; INVALID_ARGUMENT out of bounds, and for a function of another
 * store, which weir_table_grow() refuses, too. */
enum weir_status weir_table_get(const struct weir_table *table, uint64_t index, void **ret_ref);
enum weir_status weir_table_set(struct weir_table *table, uint64_t index, void *ref);

/* INVALID_ARGUMENT for what is no type, and for a function of another store. */
enum weir_status weir_global_new(struct weir_store *store, enum weir_type type, bool is_mutable,
                                 union weir_value value, struct weir_global **ret_global,
                                 struct weir_error *error);
enum weir_type weir_global_type(const struct weir_global *global, bool *ret_is_mutable);
union weir_value weir_global_get(const struct weir_global *global);
/* STATE when it is constant, INVALID_ARGUMENT for a function of another store. */
enum weir_status weir_global_set(struct weir_global *global, union weir_value value);

#ifdef __cplusplus
}
#endif
#endif
