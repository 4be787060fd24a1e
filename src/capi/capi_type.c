/* Types: plain values of the embedder. Value types are constants, the others small records that own
 * their parts; the five types of externals begin alike, so that conversions are casts. */
#include <stdlib.h>

#include "capi/capi_internal.h"

/* --- value types --------------------------------------------------------------------------- */

struct wasm_valtype_t {
    wasm_valkind_t kind;
    enum weir_type type;
};

/* The API has no kind for vectors; modules that import or export one are described all the same. */
#define KIND_V128 4

static const wasm_valtype_t valtypes[] = {
    {WASM_I32, WEIR_TYPE_I32},         {WASM_I64, WEIR_TYPE_I64},
    {WASM_F32, WEIR_TYPE_F32},         {WASM_F64, WEIR_TYPE_F64},
    {KIND_V128, WEIR_TYPE_V128},       {WASM_EXTERNREF, WEIR_TYPE_EXTERNREF},
    {WASM_FUNCREF, WEIR_TYPE_FUNCREF},
};
#define VALTYPE_COUNT (sizeof valtypes / sizeof valtypes[0])

/* Nobody writes to them. */
static wasm_valtype_t *shared(const wasm_valtype_t *type)
{
    return (wasm_valtype_t *)(uintptr_t)type;
}

static wasm_valtype_t *valtype_of(enum weir_type type)
{
    for (size_t i = 0; i < VALTYPE_COUNT; i++)
        if (valtypes[i].type == type)
            return shared(&valtypes[i]);
    return NULL;
}

wasm_valtype_t *wasm_valtype_new(wasm_valkind_t kind)
{
    for (size_t i = 0; i < VALTYPE_COUNT; i++)
        if (valtypes[i].kind == kind)
            return shared(&valtypes[i]);
    (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "%u is no kind of value", kind);
    return NULL;
}

void wasm_valtype_delete(wasm_valtype_t *type)
{
    (void)type;
}

wasm_valtype_t *wasm_valtype_copy(const wasm_valtype_t *type)
{
    return shared(type);
}

wasm_valkind_t wasm_valtype_kind(const wasm_valtype_t *type)
{
    return type->kind;
}

wasm_valkind_t weir__capi_kind_of(enum weir_type type)
{
    switch (type) { /* on the way of every value */
    case WEIR_TYPE_I32:
        return WASM_I32;
    case WEIR_TYPE_I64:
        return WASM_I64;
    case WEIR_TYPE_F32:
        return WASM_F32;
    case WEIR_TYPE_F64:
        return WASM_F64;
    case WEIR_TYPE_EXTERNREF:
        return WASM_EXTERNREF;
    case WEIR_TYPE_FUNCREF:
        return WASM_FUNCREF;
    case WEIR_TYPE_V128:
        break;
    }
    return KIND_V128;
}

enum weir_type weir__capi_type_of(wasm_valkind_t kind)
{
    for (size_t i = 0; i < VALTYPE_COUNT; i++)
        if (valtypes[i].kind == kind)
            return valtypes[i].type;
    return (enum weir_type)0;
}

/* --- types of externals -------------------------------------------------------------------- */

struct wasm_externtype_t {
    wasm_externkind_t kind;
};
struct wasm_functype_t {
    struct wasm_externtype_t head;
    wasm_valtype_vec_t params, results;
};
struct wasm_globaltype_t {
    struct wasm_externtype_t head;
    wasm_valtype_t *content;
    wasm_mutability_t mutability;
};
struct wasm_tabletype_t {
    struct wasm_externtype_t head;
    wasm_valtype_t *element;
    wasm_limits_t limits;
};
struct wasm_memorytype_t {
    struct wasm_externtype_t head;
    wasm_limits_t limits;
};
struct wasm_tagtype_t {
    struct wasm_externtype_t head;
    wasm_functype_t *functype;
};

static void *new_type(size_t bytes)
{
    void *type = calloc(1, bytes);
    if (type == NULL)
        (void)weir__capi_refuse(WEIR_NO_MEMORY, "no memory for a type");
    return type;
}

#define NEW_TYPE(name, KIND)                                                                       \
    wasm_##name##_t *type = new_type(sizeof *type);                                                \
    if (type != NULL)                                                                              \
    type->head.kind = KIND

#define DEFINE_CONVERSIONS(name, KIND)                                                             \
    wasm_externtype_t *wasm_##name##_as_externtype(wasm_##name##_t *type)                          \
    {                                                                                              \
        return (wasm_externtype_t *)(void *)type;                                                  \
    }                                                                                              \
    const wasm_externtype_t *wasm_##name##_as_externtype_const(const wasm_##name##_t *type)        \
    {                                                                                              \
        return (const wasm_externtype_t *)(const void *)type;                                      \
    }                                                                                              \
    wasm_##name##_t *wasm_externtype_as_##name(wasm_externtype_t *type)                            \
    {                                                                                              \
        return type != NULL && type->kind == (KIND) ? (wasm_##name##_t *)(void *)type : NULL;      \
    }                                                                                              \
    const wasm_##name##_t *wasm_externtype_as_##name##_const(const wasm_externtype_t *type)        \
    {                                                                                              \
        return type != NULL && type->kind == (KIND) ? (const wasm_##name##_t *)(const void *)type  \
                                                    : NULL;                                        \
    }

DEFINE_CONVERSIONS(functype, WASM_EXTERN_FUNC)
DEFINE_CONVERSIONS(globaltype, WASM_EXTERN_GLOBAL)
DEFINE_CONVERSIONS(tabletype, WASM_EXTERN_TABLE)
DEFINE_CONVERSIONS(memorytype, WASM_EXTERN_MEMORY)
DEFINE_CONVERSIONS(tagtype, WASM_EXTERN_TAG)

/* No vector is an empty one; one with a hole (a type that could not be made) is none. */
static bool is_whole(const wasm_valtype_vec_t *vec)
{
    for (size_t i = 0; vec != NULL && i < vec->size; i++) {
        if (vec->data != NULL && vec->data[i] != NULL)
            continue;
        (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "value type %zu is NULL", i);
        return false;
    }
    return true;
}

wasm_functype_t *wasm_functype_new(wasm_valtype_vec_t *params, wasm_valtype_vec_t *results)
{
    wasm_functype_t *type = is_whole(params) && is_whole(results) ? new_type(sizeof *type) : NULL;
    if (type == NULL) {
        wasm_valtype_vec_delete(params);
        wasm_valtype_vec_delete(results);
        return NULL;
    }
    type->head.kind = WASM_EXTERN_FUNC;
    if (params != NULL)
        type->params = *params;
    if (results != NULL)
        type->results = *results;
    return type;
}

void wasm_functype_delete(wasm_functype_t *type)
{
    if (type == NULL)
        return;
    wasm_valtype_vec_delete(&type->params);
    wasm_valtype_vec_delete(&type->results);
    free(type);
}

wasm_functype_t *wasm_functype_copy(const wasm_functype_t *type)
{
    if (type == NULL)
        return NULL;
    wasm_valtype_vec_t params;
    wasm_valtype_vec_t results;
    wasm_valtype_vec_copy(&params, &type->params);
    wasm_valtype_vec_copy(&results, &type->results);
    if (params.size == type->params.size && results.size == type->results.size)
        return wasm_functype_new(&params, &results);
    wasm_valtype_vec_delete(&params);
    wasm_valtype_vec_delete(&results);
    (void)weir__capi_refuse(WEIR_NO_MEMORY, "no memory for a copy of a function type");
    return NULL;
}

const wasm_valtype_vec_t *wasm_functype_params(const wasm_functype_t *type)
{
    return &type->params;
}

const wasm_valtype_vec_t *wasm_functype_results(const wasm_functype_t *type)
{
    return &type->results;
}

wasm_globaltype_t *wasm_globaltype_new(wasm_valtype_t *content, wasm_mutability_t mutability)
{
    if (content == NULL)
        return NULL;
    NEW_TYPE(globaltype, WASM_EXTERN_GLOBAL);
    if (type == NULL)
        return NULL;
    type->content = content;
    type->mutability = mutability;
    return type;
}

void wasm_globaltype_delete(wasm_globaltype_t *type)
{
    free(type);
}

wasm_globaltype_t *wasm_globaltype_copy(const wasm_globaltype_t *type)
{
    return type != NULL ? wasm_globaltype_new(type->content, type->mutability) : NULL;
}

const wasm_valtype_t *wasm_globaltype_content(const wasm_globaltype_t *type)
{
    return type->content;
}

wasm_mutability_t wasm_globaltype_mutability(const wasm_globaltype_t *type)
{
    return type->mutability;
}

wasm_tabletype_t *wasm_tabletype_new(wasm_valtype_t *element, const wasm_limits_t *limits)
{
    if (element == NULL || limits == NULL) {
        (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "a table type needs element and limits");
        return NULL;
    }
    NEW_TYPE(tabletype, WASM_EXTERN_TABLE);
    if (type == NULL)
        return NULL;
    type->element = element;
    type->limits = *limits;
    return type;
}

void wasm_tabletype_delete(wasm_tabletype_t *type)
{
    free(type);
}

wasm_tabletype_t *wasm_tabletype_copy(const wasm_tabletype_t *type)
{
    return type != NULL ? wasm_tabletype_new(type->element, &type->limits) : NULL;
}

const wasm_valtype_t *wasm_tabletype_element(const wasm_tabletype_t *type)
{
    return type->element;
}

const wasm_limits_t *wasm_tabletype_limits(const wasm_tabletype_t *type)
{
    return &type->limits;
}

wasm_memorytype_t *wasm_memorytype_new(const wasm_limits_t *limits)
{
    if (limits == NULL) {
        (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "a memory type needs limits");
        return NULL;
    }
    NEW_TYPE(memorytype, WASM_EXTERN_MEMORY);
    if (type != NULL)
        type->limits = *limits;
    return type;
}

void wasm_memorytype_delete(wasm_memorytype_t *type)
{
    free(type);
}

wasm_memorytype_t *wasm_memorytype_copy(const wasm_memorytype_t *type)
{
    return type != NULL ? wasm_memorytype_new(&type->limits) : NULL;
}

const wasm_limits_t *wasm_memorytype_limits(const wasm_memorytype_t *type)
{
    return &type->limits;
}

wasm_tagtype_t *wasm_tagtype_new(wasm_functype_t *functype)
{
    if (functype == NULL)
        return NULL;
    NEW_TYPE(tagtype, WASM_EXTERN_TAG);
    if (type == NULL) {
        wasm_functype_delete(functype);
        return NULL;
    }
    type->functype = functype;
    return type;
}

void wasm_tagtype_delete(wasm_tagtype_t *type)
{
    if (type == NULL)
        return;
    wasm_functype_delete(type->functype);
    free(type);
}

wasm_tagtype_t *wasm_tagtype_copy(const wasm_tagtype_t *type)
{
    return type != NULL ? wasm_tagtype_new(wasm_functype_copy(type->functype)) : NULL;
}

const wasm_functype_t *wasm_tagtype_functype(const wasm_tagtype_t *type)
{
    return type->functype;
}

wasm_externkind_t wasm_externtype_kind(const wasm_externtype_t *type)
{
    return type->kind;
}

void wasm_externtype_delete(wasm_externtype_t *type)
{
    if (type == NULL)
        return;
    switch ((enum wasm_externkind_enum)type->kind) {
    case WASM_EXTERN_FUNC:
        wasm_functype_delete(wasm_externtype_as_functype(type));
        break;
    case WASM_EXTERN_GLOBAL:
        wasm_globaltype_delete(wasm_externtype_as_globaltype(type));
        break;
    case WASM_EXTERN_TABLE:
        wasm_tabletype_delete(wasm_externtype_as_tabletype(type));
        break;
    case WASM_EXTERN_MEMORY:
        wasm_memorytype_delete(wasm_externtype_as_memorytype(type));
        break;
    case WASM_EXTERN_TAG:
        wasm_tagtype_delete(wasm_externtype_as_tagtype(type));
        break;
    }
}

#define COPY_AS(name)                                                                              \
    wasm_##name##_as_externtype(wasm_##name##_copy(wasm_externtype_as_##name##_const(type)))

wasm_externtype_t *wasm_externtype_copy(const wasm_externtype_t *type)
{
    if (type == NULL)
        return NULL;
    switch ((enum wasm_externkind_enum)type->kind) {
    case WASM_EXTERN_FUNC:
        return COPY_AS(functype);
    case WASM_EXTERN_GLOBAL:
        return COPY_AS(globaltype);
    case WASM_EXTERN_TABLE:
        return COPY_AS(tabletype);
    case WASM_EXTERN_MEMORY:
        return COPY_AS(memorytype);
    case WASM_EXTERN_TAG:
        return COPY_AS(tagtype);
    }
    return NULL;
}

/* --- imports and exports ------------------------------------------------------------------- */

struct wasm_importtype_t {
    wasm_name_t module, name;
    wasm_externtype_t *type;
};
struct wasm_exporttype_t {
    wasm_name_t name;
    wasm_externtype_t *type;
};

/* Frees what it is given when there is no memory, as it was handed over. */
wasm_importtype_t *wasm_importtype_new(wasm_name_t *module, wasm_name_t *name,
                                       wasm_externtype_t *type)
{
    wasm_importtype_t *import = type != NULL ? new_type(sizeof *import) : NULL;
    if (import == NULL) {
        wasm_name_delete(module);
        wasm_name_delete(name);
        wasm_externtype_delete(type);
        return NULL;
    }
    *import = (wasm_importtype_t){.module = *module, .name = *name, .type = type};
    return import;
}

void wasm_importtype_delete(wasm_importtype_t *import)
{
    if (import == NULL)
        return;
    wasm_name_delete(&import->module);
    wasm_name_delete(&import->name);
    wasm_externtype_delete(import->type);
    free(import);
}

/* A name that lacks bytes is no name: then the type goes too, and with it everything. */
static wasm_externtype_t *type_for(const wasm_externtype_t *type, const wasm_name_t *name,
                                   const wasm_name_t *copy)
{
    if (name->size == copy->size)
        return wasm_externtype_copy(type);
    (void)weir__capi_refuse(WEIR_NO_MEMORY, "no memory for a name of %zu bytes", name->size);
    return NULL;
}

wasm_importtype_t *wasm_importtype_copy(const wasm_importtype_t *import)
{
    if (import == NULL)
        return NULL;
    wasm_name_t module;
    wasm_name_t name;
    wasm_name_copy(&module, &import->module);
    wasm_name_copy(&name, &import->name);
    wasm_externtype_t *type =
        module.size == import->module.size ? type_for(import->type, &import->name, &name) : NULL;
    return wasm_importtype_new(&module, &name, type);
}

const wasm_name_t *wasm_importtype_module(const wasm_importtype_t *import)
{
    return &import->module;
}

const wasm_name_t *wasm_importtype_name(const wasm_importtype_t *import)
{
    return &import->name;
}

const wasm_externtype_t *wasm_importtype_type(const wasm_importtype_t *import)
{
    return import->type;
}

wasm_exporttype_t *wasm_exporttype_new(wasm_name_t *name, wasm_externtype_t *type)
{
    wasm_exporttype_t *export = type != NULL ? new_type(sizeof *export) : NULL;
    if (export == NULL) {
        wasm_name_delete(name);
        wasm_externtype_delete(type);
        return NULL;
    }
    *export = (wasm_exporttype_t){.name = *name, .type = type};
    return export;
}

void wasm_exporttype_delete(wasm_exporttype_t *export)
{
    if (export == NULL)
        return;
    wasm_name_delete(&export->name);
    wasm_externtype_delete(export->type);
    free(export);
}

wasm_exporttype_t *wasm_exporttype_copy(const wasm_exporttype_t *export)
{
    if (export == NULL)
        return NULL;
    wasm_name_t name;
    wasm_name_copy(&name, &export->name);
    return wasm_exporttype_new(&name, type_for(export->type, &export->name, &name));
}

const wasm_name_t *wasm_exporttype_name(const wasm_exporttype_t *export)
{
    return &export->name;
}

const wasm_externtype_t *wasm_exporttype_type(const wasm_exporttype_t *export)
{
    return export->type;
}

/* --- from and to Weir's -------------------------------------------------------------------- */

static bool fill_types(const enum weir_type *types, size_t count, wasm_valtype_vec_t *out)
{
    wasm_valtype_vec_new_uninitialized(out, count);
    for (size_t i = 0; i < out->size; i++)
        out->data[i] = valtype_of(types[i]);
    return out->size == count;
}

wasm_functype_t *weir__capi_functype(const struct weir_func_type *type)
{
    wasm_valtype_vec_t params = WASM_EMPTY_VEC;
    wasm_valtype_vec_t results = WASM_EMPTY_VEC;
    if (fill_types(type->params, type->param_count, &params) &&
        fill_types(type->results, type->result_count, &results))
        return wasm_functype_new(&params, &results);
    wasm_valtype_vec_delete(&params);
    wasm_valtype_vec_delete(&results);
    (void)weir__capi_refuse(WEIR_NO_MEMORY, "no memory for a function type");
    return NULL;
}

static uint32_t clamp(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* A maximum of 2^32 - 1 and none are one and the same here. */
static wasm_limits_t limits_of(const struct weir_limits *limits)
{
    return (wasm_limits_t){.min = clamp(limits->min),
                           .max = limits->has_max ? clamp(limits->max) : wasm_limits_max_default};
}

struct weir_limits weir__capi_limits(const wasm_limits_t *limits)
{
    return (struct weir_limits){
        .min = limits->min, .max = limits->max, .has_max = limits->max != wasm_limits_max_default};
}

wasm_externtype_t *weir__capi_externtype(const struct weir_extern_type *type)
{
    wasm_limits_t limits;
    switch (type->kind) {
    case WEIR_EXTERN_FUNC:
        return wasm_functype_as_externtype(weir__capi_functype(&type->func));
    case WEIR_EXTERN_TABLE:
        limits = limits_of(&type->limits);
        return wasm_tabletype_as_externtype(wasm_tabletype_new(valtype_of(type->type), &limits));
    case WEIR_EXTERN_MEMORY:
        limits = limits_of(&type->limits);
        return wasm_memorytype_as_externtype(wasm_memorytype_new(&limits));
    case WEIR_EXTERN_GLOBAL:
        return wasm_globaltype_as_externtype(
            wasm_globaltype_new(valtype_of(type->type), type->is_mutable ? WASM_VAR : WASM_CONST));
    }
    return NULL;
}
