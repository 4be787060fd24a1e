/* The linker's definitions, for those who resolve imports with them. */
#ifndef WEIR_RUNTIME_LINKER_INTERNAL_H
#define WEIR_RUNTIME_LINKER_INTERNAL_H

#include <weir/linker.h>

#include "runtime/census_internal.h"
#include "runtime/process_internal.h"

struct weir__definition {
    struct weir__definition *next;
    size_t bytes; /* of this allocation */
    uint32_t hash;
    uint32_t module_size, name_size;
    struct weir_store *store; /* NULL: a host function, good for every store */
    bool is_gone;             /* its store is closed */
    struct weir__definition *store_next, **store_at; /* in the store's list */
    struct weir_extern item;
    const struct weir__type *type; /* host functions */
    weir_host_func *func;
    void *data;
    char names[]; /* module, then name */
};

/* What a census sees of a linker; its first member. */
struct weir__linker_head {
    struct weir__census_link census;
    struct weir_engine *engine;
    _Atomic uint64_t bytes; /* written by who fills it */
};

const struct weir__definition *weir__linker_find(const struct weir_linker *linker,
                                                 const char *module, size_t module_size,
                                                 const char *name, size_t name_size);
/* The store closes: its definitions match nothing any more. */
void weir__linker_forget_store(struct weir_store *store);

#endif
