/* Engine and module as the runtime's files see them. A module is a mapping of its artifact and a
 * few private tables; nothing of the artifact is copied (DESIGN law 6). */
#ifndef WEIR_RUNTIME_MODULE_INTERNAL_H
#define WEIR_RUNTIME_MODULE_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include <weir/module.h>
#include <weir/trap.h>

#include "artifact/artifact.h"
#include "runtime/census_internal.h"
#include "runtime/module_source.h"
#include "runtime/process_internal.h"

struct weir_engine {
    _Atomic uint32_t refs;
    uint32_t features;
    enum weir_bounds bounds;
    bool has_fuel;
    bool has_canonical_nans;
    bool has_fuel_costs; /* other than the plain ones */
    struct weir_fuel_costs fuel_costs;
    bool has_poll;
    uint64_t stack_bytes;
    uint64_t module_bytes_max;
    struct weir_account *parent; /* of stores, by default */
    struct weir_account *account;
    struct weir_artifact_dir *dir;
    weir_event_hook *event_hook; /* NULL: nobody wants to know */
    void *event_context;
    struct weir__census_link census;
    struct weir__census_past past;
};

/* What weir_module_import() and weir_module_export() hand out; made on first use. */
struct weir__module_info {
    struct weir_arena *arena;
    struct weir_account_source source;
    struct weir_import_info *imports;
    struct weir_export_info *exports;
};

struct weir_module {
    _Atomic uint32_t refs;
    int fd;
    struct weir_engine *engine;
    struct weir_mapping mapping;
    struct weir_artifact artifact;  /* its head is the copy below */
    struct weir_artifact_head head; /* stays readable when the file is cut */
    struct weir__code_range code;
    uint32_t *type_ids;  /* canonical id by type index */
    uint32_t *escapes;   /* function index by escape index */
    uint32_t type_count; /* of ids that were acquired */
    size_t tables_bytes; /* of both, one allocation */
    uint64_t file_bytes;
    bool needs_undo; /* the state after instantiation is not just the initial image */
    bool was_cached;
    bool is_kept;
    bool is_whole; /* loading ended well */
    double compile_ms;
    struct weir_module_owner owner;
    _Atomic(struct weir__module_info *) info;
    pthread_mutex_t info_lock;
    struct weir__census_link census;
    char name[WEIR_TRAP_NAME_SIZE];
};

/* The file may have been cut since it was mapped: CORRUPT then, before host code reads it. */
enum weir_status weir__module_check_file(const struct weir_module *module, struct weir_error *error)
    WEIR_MUST_USE;

/* checked_files.c; any thread. */
bool weir__file_is_checked(const struct stat *file);
void weir__file_set_checked(const struct stat *file);

static inline uint32_t weir__module_type_id(const struct weir_module *module, uint32_t func_index)
{
    return module->type_ids[module->artifact.funcs[func_index].type_index];
}

/* Globals of its own that a reset puts back. */
static inline uint32_t weir__own_mutable_globals(const struct weir_artifact *artifact)
{
    uint32_t count = 0;
    for (uint32_t i = artifact->head->global_import_count; i < artifact->head->globals.count; i++)
        count += artifact->globals[i].is_mutable != 0;
    return count;
}

/* Reads of the mapped artifact that survive its file being cut; safe in the signal handler. */
struct weir__code_place {
    uint32_t func_index;
    uint32_t module_offset;
    uint32_t func_offset;
    uint32_t code; /* enum weir_trap_code or WEIR_SITE_CALL; WEIR_TRAP_NONE without a site */
};
enum weir__lookup {
    WEIR__LOOKUP_FOUND,
    WEIR__LOOKUP_NONE,
    WEIR__LOOKUP_LOST
};
enum weir__lookup weir__code_place(const struct weir__code_range *range, uint64_t pc,
                                   struct weir__code_place *ret_place);
/* "func 7" when the artifact has no name or is lost. */
void weir__code_name(const struct weir_module *module, uint32_t func_index, char *name,
                     size_t name_size);

#endif
