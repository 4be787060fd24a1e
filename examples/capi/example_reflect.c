/* What a module offers, in words. */
#include "example.h"

static const char *kind_name(wasm_valkind_t kind)
{
    switch (kind) {
    case WASM_I32:
        return "i32";
    case WASM_I64:
        return "i64";
    case WASM_F32:
        return "f32";
    case WASM_F64:
        return "f64";
    case WASM_EXTERNREF:
        return "externref";
    default:
        return "funcref";
    }
}

static void print_types(const wasm_valtype_vec_t *types)
{
    for (size_t i = 0; i < types->size; i++)
        printf(" %s", kind_name(wasm_valtype_kind(types->data[i])));
}

static void print_limits(const wasm_limits_t *limits)
{
    printf(" from %u", limits->min);
    if (limits->max != wasm_limits_max_default)
        printf(" to %u", limits->max);
}

static void print_type(const wasm_externtype_t *type)
{
    switch (wasm_externtype_kind(type)) {
    case WASM_EXTERN_FUNC: {
        const wasm_functype_t *func = wasm_externtype_as_functype_const(type);
        printf("func");
        print_types(wasm_functype_params(func));
        printf(" ->");
        print_types(wasm_functype_results(func));
        break;
    }
    case WASM_EXTERN_GLOBAL: {
        const wasm_globaltype_t *global = wasm_externtype_as_globaltype_const(type);
        printf("global %s%s", wasm_globaltype_mutability(global) == WASM_VAR ? "var " : "",
               kind_name(wasm_valtype_kind(wasm_globaltype_content(global))));
        break;
    }
    case WASM_EXTERN_TABLE: {
        const wasm_tabletype_t *table = wasm_externtype_as_tabletype_const(type);
        printf("table of %s", kind_name(wasm_valtype_kind(wasm_tabletype_element(table))));
        print_limits(wasm_tabletype_limits(table));
        break;
    }
    case WASM_EXTERN_MEMORY:
        printf("memory");
        print_limits(wasm_memorytype_limits(wasm_externtype_as_memorytype_const(type)));
        break;
    default:
        printf("something newer");
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_exporttype_vec_t types;
    wasm_module_exports(module, &types);
    wasm_extern_vec_t exports;
    example_exports(store, module, 0, NULL, &exports);
    EXPECT(types.size == 4 && exports.size == 4);
    for (size_t i = 0; i < types.size; i++) {
        const wasm_name_t *name = wasm_exporttype_name(types.data[i]);
        printf("\"%.*s\" is a ", (int)name->size, name->data);
        print_type(wasm_exporttype_type(types.data[i]));
        /* The object is of the type that the module declared. */
        wasm_externtype_t *type = wasm_extern_type(exports.data[i]);
        EXPECT(wasm_externtype_kind(type) == wasm_extern_kind(exports.data[i]));
        EXPECT(wasm_externtype_kind(type) ==
               wasm_externtype_kind(wasm_exporttype_type(types.data[i])));
        wasm_externtype_delete(type);
    }
    wasm_extern_vec_delete(&exports);
    wasm_exporttype_vec_delete(&types);
    wasm_module_delete(module);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
