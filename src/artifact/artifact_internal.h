/* What the files of this folder share: the list of tables, the fixed places, the ELF constants. */
#ifndef WEIR_ARTIFACT_INTERNAL_H
#define WEIR_ARTIFACT_INTERNAL_H

#include "artifact/artifact.h"

/* Every table of .weir.meta: field of the head and of the views, type of an entry. */
#define WEIR__ARTIFACT_TABLES(X)                                                                   \
    X(types, struct weir_artifact_type)                                                            \
    X(value_types, uint32_t)                                                                       \
    X(imports, struct weir_artifact_import)                                                        \
    X(exports, struct weir_artifact_export)                                                        \
    X(funcs, struct weir_artifact_func)                                                            \
    X(tables, struct weir_artifact_limits)                                                         \
    X(memories, struct weir_artifact_limits)                                                       \
    X(globals, struct weir_artifact_global)                                                        \
    X(inits, struct weir_artifact_init)                                                            \
    X(elems, struct weir_artifact_elem)                                                            \
    X(elem_items, struct weir_artifact_elem_item)                                                  \
    X(datas, struct weir_artifact_data)                                                            \
    X(trap_sites, struct weir_trap_site)                                                           \
    X(func_names, struct weir_artifact_string)                                                     \
    X(strings, char)

/* Second half of weir_artifact_open(): indices and cross references. The ranges hold already. */
enum weir_status weir__artifact_check(const struct weir_artifact *artifact,
                                      struct weir_error *error);
enum weir_status weir__artifact_check_code(const struct weir_artifact *artifact,
                                           struct weir_error *error);

/* Reports CORRUPT at the place of `entry`, a pointer into artifact->bytes. */
enum weir_status weir__artifact_corrupt(const struct weir_artifact *artifact, const void *entry,
                                        struct weir_error *error, const char *format, ...)
    WEIR_PRINTF(4, 5);

#endif
