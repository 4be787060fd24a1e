/* See capi_path.h. */
#include "tests/capi/capi_path.h"

#include <stdio.h>
#include <stdlib.h>

#include "capi_refs_wasm.h"

#define MUST(x)                                                                                    \
    ((x) ? (void)0 : (printf("%s:%d: %s\n", __FILE__, __LINE__, #x), (void)fflush(stdout), abort()))

struct way {
    wasm_engine_t *engine;
    wasm_store_t *store;
    wasm_module_t *module;
    wasm_extern_t *imports[2];
    wasm_instance_t *instance;
    wasm_extern_vec_t exports;
};

static int finalized;

static void count(void *info)
{
    finalized += info != NULL;
}

static wasm_engine_t *open_engine(const struct capi_path *path)
{
    wasm_config_t *config = wasm_config_new();
    if (config == NULL)
        return NULL;
    weir_wasm_config(config)->artifact_dir = path->artifact_dir;
    return wasm_engine_new_with_config(config);
}

static wasm_trap_t *echo(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    if (args->data[0].of.ref == NULL) {
        wasm_message_t message;
        wasm_name_new_from_string_nt(&message, "nothing to echo");
        wasm_trap_t *trap = wasm_trap_new(env, &message);
        wasm_name_delete(&message);
        return trap;
    }
    wasm_val_copy(&results->data[0], &args->data[0]);
    return NULL;
}

static wasm_extern_t *new_echo(wasm_store_t *store, wasm_valkind_t kind)
{
    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(kind), wasm_valtype_new(kind));
    if (type == NULL)
        return NULL;
    wasm_func_t *func = wasm_func_new_with_env(store, type, echo, store, count);
    wasm_functype_delete(type);
    return func != NULL ? wasm_func_as_extern(func) : NULL;
}

static bool open_module(struct way *way)
{
    wasm_byte_vec_t bytes;
    wasm_byte_vec_new(&bytes, sizeof capi_refs_wasm, (const char *)capi_refs_wasm);
    wasm_module_t *first = bytes.size > 0 ? wasm_module_new(way->store, &bytes) : NULL;
    wasm_byte_vec_delete(&bytes);
    if (first == NULL)
        return false;
    wasm_module_serialize(first, &bytes);
    wasm_module_delete(first);
    way->module = bytes.size > 0 ? wasm_module_deserialize(way->store, &bytes) : NULL;
    wasm_byte_vec_delete(&bytes);
    return way->module != NULL;
}

/* Shared, obtained, described. */
static bool look_at_module(struct way *way)
{
    wasm_shared_module_t *shared = wasm_module_share(way->module);
    wasm_module_t *again = shared != NULL ? wasm_module_obtain(way->store, shared) : NULL;
    wasm_importtype_vec_t imports;
    wasm_exporttype_vec_t exports;
    wasm_module_imports(way->module, &imports);
    wasm_module_exports(way->module, &exports);
    bool is_whole = again != NULL && imports.size == 2 && exports.size == 13;
    wasm_exporttype_vec_t copies;
    wasm_exporttype_vec_copy(&copies, &exports);
    is_whole = is_whole && copies.size == exports.size;
    wasm_exporttype_vec_delete(&copies);
    wasm_importtype_vec_delete(&imports);
    wasm_exporttype_vec_delete(&exports);
    wasm_module_delete(again);
    wasm_shared_module_delete(shared);
    return is_whole;
}

static bool open_instance(struct way *way)
{
    way->imports[0] = new_echo(way->store, WASM_EXTERNREF);
    way->imports[1] = new_echo(way->store, WASM_FUNCREF);
    if (way->imports[0] == NULL || way->imports[1] == NULL)
        return false;
    wasm_extern_vec_t imports = WASM_ARRAY_VEC(way->imports);
    wasm_trap_t *trap = NULL;
    way->instance = wasm_instance_new(way->store, way->module, &imports, &trap);
    MUST((way->instance == NULL) == (trap != NULL));
    wasm_trap_delete(trap);
    if (way->instance == NULL)
        return false;
    wasm_instance_exports(way->instance, &way->exports);
    return way->exports.size == 13;
}

/* The export "through", with a reference and without. */
static bool call(struct way *way, wasm_ref_t *ref)
{
    wasm_val_t args[] = {WASM_REF_VAL(ref)};
    wasm_val_t results[] = {WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
    wasm_func_t *through = wasm_extern_as_func(way->exports.data[8]);
    wasm_trap_t *trap = wasm_func_call(through, &arg_vec, &result_vec);
    if (trap == NULL) {
        MUST(ref != NULL && wasm_ref_same(results[0].of.ref, ref));
        wasm_val_delete(&results[0]);
        return true;
    }
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    wasm_frame_vec_t trace;
    wasm_trap_trace(trap, &trace);
    bool is_whole = ref == NULL && message.size == sizeof "nothing to echo" && origin != NULL &&
                    trace.size == 1 && wasm_frame_instance(origin) != NULL;
    wasm_frame_vec_delete(&trace);
    wasm_frame_delete(origin);
    wasm_name_delete(&message);
    wasm_trap_delete(trap);
    return is_whole;
}

static bool use_references(struct way *way)
{
    wasm_foreign_t *foreign = wasm_foreign_new(way->store);
    if (foreign == NULL)
        return false;
    wasm_ref_t *ref = wasm_foreign_as_ref(foreign);
    wasm_ref_set_host_info_with_finalizer(ref, way, count);
    wasm_table_t *table = wasm_extern_as_table(way->exports.data[2]);
    bool is_done = call(way, ref) && call(way, NULL) && wasm_table_set(table, 1, ref);
    wasm_foreign_delete(foreign);
    wasm_ref_t *kept = is_done ? wasm_table_get(table, 1) : NULL;
    is_done = is_done && kept != NULL && wasm_ref_get_host_info(kept) == way;
    wasm_ref_delete(kept);
    return is_done;
}

static bool make_externs(struct way *way)
{
    wasm_limits_t limits = {1, 2};
    wasm_val_t value = WASM_I32_VAL(5);
    wasm_globaltype_t *globaltype = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_VAR);
    wasm_tabletype_t *tabletype = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
    wasm_memorytype_t *memorytype = wasm_memorytype_new(&limits);
    wasm_ref_t *init = wasm_extern_as_ref(way->imports[0]);
    wasm_global_t *global =
        globaltype != NULL ? wasm_global_new(way->store, globaltype, &value) : NULL;
    wasm_table_t *table = tabletype != NULL ? wasm_table_new(way->store, tabletype, init) : NULL;
    wasm_memory_t *memory = memorytype != NULL ? wasm_memory_new(way->store, memorytype) : NULL;
    bool is_done = global != NULL && table != NULL && memory != NULL &&
                   wasm_table_grow(table, 1, init) && wasm_memory_grow(memory, 1);
    wasm_externtype_t *type = table != NULL ? wasm_extern_type(wasm_table_as_extern(table)) : NULL;
    wasm_externtype_t *copy = wasm_externtype_copy(type);
    is_done = is_done && copy != NULL;
    wasm_externtype_delete(type);
    wasm_externtype_delete(copy);
    wasm_global_delete(global);
    wasm_table_delete(table);
    wasm_memory_delete(memory);
    wasm_globaltype_delete(globaltype);
    wasm_tabletype_delete(tabletype);
    wasm_memorytype_delete(memorytype);
    return is_done;
}

static void close_way(struct way *way, bool is_own_engine)
{
    wasm_extern_vec_delete(&way->exports);
    wasm_instance_delete(way->instance);
    wasm_extern_delete(way->imports[0]);
    wasm_extern_delete(way->imports[1]);
    wasm_module_delete(way->module);
    wasm_store_delete(way->store);
    if (is_own_engine)
        wasm_engine_delete(way->engine);
}

bool capi_path_run(const struct capi_path *path)
{
    struct way way = {.engine = path->engine != NULL ? path->engine : open_engine(path)};
    finalized = 0;
    way.store = way.engine != NULL ? wasm_store_new(way.engine) : NULL;
    bool is_done = way.store != NULL && open_module(&way) && look_at_module(&way) &&
                   open_instance(&way) && use_references(&way) && make_externs(&way);
    close_way(&way, path->engine == NULL);
    MUST(!is_done || finalized == 3); /* two callbacks, one foreign object */
    return is_done;
}
