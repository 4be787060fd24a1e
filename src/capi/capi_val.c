/* Values on their way between embedder and guest. An externref is the address of its object, which
 * the store holds for its guests; a funcref is the runtime's record. */
#include "capi/capi_internal.h"

static_assert(sizeof(wasm_val_t) == 16 && offsetof(wasm_val_t, of) == 8, "layout of the API");

void wasm_val_delete(wasm_val_t *val)
{
    if (val != NULL && wasm_valkind_is_ref(val->kind)) {
        wasm_ref_delete(val->of.ref);
        val->of.ref = NULL;
    }
}

void wasm_val_copy(wasm_val_t *out, const wasm_val_t *val)
{
    *out = val != NULL ? *val : (wasm_val_t)WASM_INIT_VAL;
    if (wasm_valkind_is_ref(out->kind))
        out->of.ref = wasm_ref_copy(out->of.ref);
}

static const char *name_of(wasm_valkind_t kind)
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
    case WASM_FUNCREF:
        return "funcref";
    default:
        return "a value of unknown kind";
    }
}

enum weir_status weir__capi_ref_to_guest(struct wasm_store_t *store, enum weir_type type,
                                         struct wasm_ref_t *ref, void **ret_ref,
                                         struct weir_error *error)
{
    *ret_ref = NULL;
    if (ref == NULL)
        return WEIR_OK;
    bool is_foreign =
        ref->store != NULL
            ? ref->store != store
            : weir_module_engine(weir_wasm_module((const wasm_module_t *)(const void *)ref)) !=
                  store->engine->engine;
    if (is_foreign)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the reference belongs to another %s",
                              ref->store != NULL ? "store" : "engine");
    if (type == WEIR_TYPE_EXTERNREF) {
        *ret_ref = ref;
        return weir__capi_hold(store, ref, error);
    }
    if (ref->kind != WEIR__CAPI_FUNC)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the reference is not of a function, funcref is wanted");
    *ret_ref = ref->item.func;
    return WEIR_OK;
}

enum weir_status weir__capi_to_guest(struct wasm_store_t *store, enum weir_type type,
                                     const wasm_val_t *value, union weir_value *ret_value,
                                     struct weir_error *error)
{
    wasm_valkind_t wanted = weir__capi_kind_of(type);
    if (value == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "NULL is given, %s is wanted", name_of(wanted));
    if (value->kind != wanted)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%s is given, %s is wanted", name_of(value->kind), name_of(wanted));
    *ret_value = (union weir_value){0};
    switch (type) {
    case WEIR_TYPE_I32:
        ret_value->i32 = value->of.i32;
        return WEIR_OK;
    case WEIR_TYPE_F32:
        ret_value->f32 = value->of.f32;
        return WEIR_OK;
    case WEIR_TYPE_I64:
    case WEIR_TYPE_F64:
        ret_value->i64 = value->of.i64; /* bits are bits */
        return WEIR_OK;
    case WEIR_TYPE_FUNCREF:
    case WEIR_TYPE_EXTERNREF:
        return weir__capi_ref_to_guest(store, type, value->of.ref, &ret_value->externref, error);
    case WEIR_TYPE_V128:
        break;
    }
    return weir_error_set(error, WEIR_UNSUPPORTED, WEIR_NO_OFFSET,
                          "the standard C API has no values of type v128");
}

static struct wasm_ref_t *func_of(struct wasm_store_t *store, struct weir_funcref *func,
                                  struct weir_error *error)
{
    struct weir_extern item = {.kind = WEIR_EXTERN_FUNC, .func = func};
    return weir__capi_extern(store, &item, error);
}

void weir__capi_zero(enum weir_type type, wasm_val_t *ret_value)
{
    *ret_value = (wasm_val_t){.kind = weir__capi_kind_of(type), .of = {.i64 = 0}};
}

enum weir_status weir__capi_from_guest(struct wasm_store_t *store, enum weir_type type,
                                       const union weir_value *value, wasm_val_t *ret_value,
                                       struct weir_error *error)
{
    weir__capi_zero(type, ret_value);
    switch (type) {
    case WEIR_TYPE_I32:
        ret_value->of.i32 = value->i32;
        break;
    case WEIR_TYPE_F32:
        ret_value->of.f32 = value->f32;
        break;
    case WEIR_TYPE_I64:
    case WEIR_TYPE_F64:
        ret_value->of.i64 = value->i64;
        break;
    case WEIR_TYPE_EXTERNREF:
        if (value->externref != NULL)
            ret_value->of.ref = weir__capi_ref(value->externref);
        break;
    case WEIR_TYPE_FUNCREF:
        if (value->funcref == NULL)
            break;
        ret_value->of.ref = func_of(store, value->funcref, error);
        return ret_value->of.ref != NULL ? WEIR_OK : WEIR_LIMIT;
    case WEIR_TYPE_V128:
        break;
    }
    return WEIR_OK;
}
