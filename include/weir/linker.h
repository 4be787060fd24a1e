/* Linker: names → definitions for imports. Holds no per-instance state; once filled it may be used
 * by several threads at once. */
#ifndef WEIR_LINKER_H
#define WEIR_LINKER_H

#include <weir/extern.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_linker;
struct weir_instance;

enum weir_status weir_linker_new(struct weir_engine *engine, struct weir_linker **ret_linker,
                                 struct weir_error *error);
void weir_linker_free(struct weir_linker *linker);

/* A later definition of the same name replaces the earlier one when `weir_linker_allow_shadowing`
 * was called, and is refused (EXISTS) otherwise. Names are copied. INVALID_ARGUMENT without a name,
 * a type or a function. */
enum weir_status weir_linker_define_func(struct weir_linker *linker, const char *module,
                                         const char *name,
                                         const struct weir_host_definition *definition,
                                         struct weir_error *error);
/* A definition that lives in a store: the linker is then only good for that store, and only while
 * it lives. One thread, the store's. INVALID_ARGUMENT for an item that is not of this store. */
enum weir_status weir_linker_define(struct weir_linker *linker, struct weir_store *store,
                                    const char *module, const char *name,
                                    const struct weir_extern *item, struct weir_error *error);
/* All exports of an instance under `module`; none of them when one is EXISTS. */
enum weir_status weir_linker_define_instance(struct weir_linker *linker, const char *module,
                                             struct weir_instance *instance,
                                             struct weir_error *error);
void weir_linker_allow_shadowing(struct weir_linker *linker, bool allow);

struct weir_store *weir_caller_store(struct weir_caller *caller);
/* The instance that imported the function (and calls it, unless it handed it on by a table or an
 * export). */
struct weir_instance *weir_caller_instance(struct weir_caller *caller);
/* Its exported memory "memory", else its memory 0; NULL without. */
struct weir_memory *weir_caller_memory(struct weir_caller *caller);
/* Says why the guest is about to trap; returns WEIR_TRAP for `return weir_caller_trap(...)`. */
enum weir_status weir_caller_trap(struct weir_caller *caller, int trap_code, const char *format,
                                  ...) __attribute__((format(printf, 3, 4)));
enum weir_status weir_caller_exit(struct weir_caller *caller, int exit_code);

#ifdef __cplusplus
}
#endif
#endif
