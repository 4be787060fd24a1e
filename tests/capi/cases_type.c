/* Types and the vectors of them: made, read, copied, converted, deleted. */
#include "capi_case.h"

static const wasm_valkind_t kinds[] = {WASM_I32, WASM_I64,       WASM_F32,
                                       WASM_F64, WASM_EXTERNREF, WASM_FUNCREF};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static void valtypes(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        wasm_valtype_t *type = wasm_valtype_new(kinds[i]);
        CHECK(type != NULL && wasm_valtype_kind(type) == kinds[i]);
        CHECK(wasm_valtype_is_num(type) == (i < 4) && wasm_valtype_is_ref(type) == (i >= 4));
        CHECK(wasm_valkind_is_num(kinds[i]) == (i < 4) &&
              wasm_valkind_is_ref(kinds[i]) == (i >= 4));
        wasm_valtype_t *copy = wasm_valtype_copy(type);
        wasm_valtype_delete(type);
        CHECK(wasm_valtype_kind(copy) == kinds[i]);
        wasm_valtype_delete(copy);
    }
    wasm_valtype_t *short_hands[] = {wasm_valtype_new_i32(),       wasm_valtype_new_i64(),
                                     wasm_valtype_new_f32(),       wasm_valtype_new_f64(),
                                     wasm_valtype_new_externref(), wasm_valtype_new_funcref()};
    for (size_t i = 0; i < KIND_COUNT; i++) {
        CHECK(wasm_valtype_kind(short_hands[i]) == kinds[i]);
        wasm_valtype_delete(short_hands[i]);
    }
}

static void valtype_vectors(void)
{
    wasm_valtype_vec_t empty;
    wasm_valtype_vec_new_empty(&empty);
    CHECK(empty.size == 0);
    wasm_valtype_vec_delete(&empty);

    wasm_valtype_vec_t filled;
    wasm_valtype_vec_new_uninitialized(&filled, KIND_COUNT);
    CHECK(filled.size == KIND_COUNT && filled.data != NULL);
    for (size_t i = 0; i < KIND_COUNT; i++)
        filled.data[i] = wasm_valtype_new(kinds[i]);
    wasm_valtype_vec_t copy;
    wasm_valtype_vec_copy(&copy, &filled);
    wasm_valtype_vec_delete(&filled);
    CHECK(copy.size == KIND_COUNT);
    for (size_t i = 0; i < KIND_COUNT; i++)
        CHECK(wasm_valtype_kind(copy.data[i]) == kinds[i]);
    wasm_valtype_vec_delete(&copy);

    wasm_valtype_t *two[] = {wasm_valtype_new_f32(), wasm_valtype_new_i64()};
    wasm_valtype_vec_t vec;
    wasm_valtype_vec_new(&vec, 2, two);
    CHECK(vec.size == 2 && vec.data != two && vec.data[0] == two[0] && vec.data[1] == two[1]);
    wasm_valtype_vec_delete(&vec);
}

static void kinds_are(const wasm_valtype_vec_t *types, size_t count, const wasm_valkind_t *wanted)
{
    CHECK(types->size == count);
    for (size_t i = 0; i < count; i++)
        CHECK(wasm_valtype_kind(types->data[i]) == wanted[i]);
}

static wasm_valtype_t *vt(size_t i)
{
    return wasm_valtype_new(kinds[i]);
}

static void functypes(void)
{
    /* Parameters are the first kinds, results the last. */
    struct {
        wasm_functype_t *type;
        size_t params, results;
    } made[] = {
        {wasm_functype_new_0_0(), 0, 0},
        {wasm_functype_new_1_0(vt(0)), 1, 0},
        {wasm_functype_new_2_0(vt(0), vt(1)), 2, 0},
        {wasm_functype_new_3_0(vt(0), vt(1), vt(2)), 3, 0},
        {wasm_functype_new_0_1(vt(3)), 0, 1},
        {wasm_functype_new_1_1(vt(0), vt(3)), 1, 1},
        {wasm_functype_new_2_1(vt(0), vt(1), vt(3)), 2, 1},
        {wasm_functype_new_3_1(vt(0), vt(1), vt(2), vt(3)), 3, 1},
        {wasm_functype_new_0_2(vt(3), vt(4)), 0, 2},
        {wasm_functype_new_1_2(vt(0), vt(3), vt(4)), 1, 2},
        {wasm_functype_new_2_2(vt(0), vt(1), vt(3), vt(4)), 2, 2},
        {wasm_functype_new_3_2(vt(0), vt(1), vt(2), vt(3), vt(4)), 3, 2},
    };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        wasm_functype_t *type = wasm_functype_copy(made[i].type);
        wasm_functype_delete(made[i].type);
        kinds_are(wasm_functype_params(type), made[i].params, kinds);
        kinds_are(wasm_functype_results(type), made[i].results, kinds + 3);
        CHECK(wasm_externtype_kind(wasm_functype_as_externtype(type)) == WASM_EXTERN_FUNC);
        wasm_functype_delete(type);
    }
    /* Vectors that were handed over are the type's. */
    wasm_valtype_vec_t params;
    wasm_valtype_vec_t results;
    wasm_valtype_t *one[] = {wasm_valtype_new_i64()};
    wasm_valtype_vec_new(&params, 1, one);
    wasm_valtype_vec_new_empty(&results);
    wasm_functype_t *type = wasm_functype_new(&params, &results);
    CHECK(wasm_functype_params(type)->size == 1 && wasm_functype_results(type)->size == 0);
    wasm_functype_delete(type);
}

static void globaltypes(void)
{
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_f64(), WASM_VAR);
    wasm_globaltype_t *copy = wasm_globaltype_copy(type);
    wasm_globaltype_delete(type);
    CHECK(wasm_valtype_kind(wasm_globaltype_content(copy)) == WASM_F64);
    CHECK(wasm_globaltype_mutability(copy) == WASM_VAR);
    wasm_globaltype_delete(copy);
    type = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST);
    CHECK(wasm_globaltype_mutability(type) == WASM_CONST);
    wasm_globaltype_delete(type);
}

static void tabletypes(void)
{
    wasm_limits_t limits = {3, 9};
    wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
    limits.min = 0;
    wasm_tabletype_t *copy = wasm_tabletype_copy(type);
    wasm_tabletype_delete(type);
    CHECK(wasm_valtype_kind(wasm_tabletype_element(copy)) == WASM_FUNCREF);
    CHECK(wasm_tabletype_limits(copy)->min == 3 && wasm_tabletype_limits(copy)->max == 9);
    wasm_tabletype_delete(copy);
}

static void memorytypes(void)
{
    wasm_limits_t limits = {1, wasm_limits_max_default};
    wasm_memorytype_t *type = wasm_memorytype_new(&limits);
    wasm_memorytype_t *copy = wasm_memorytype_copy(type);
    wasm_memorytype_delete(type);
    CHECK(wasm_memorytype_limits(copy)->min == 1);
    CHECK(wasm_memorytype_limits(copy)->max == wasm_limits_max_default);
    wasm_memorytype_delete(copy);
}

static const wasm_limits_t limits_2_5 = {2, 5};

static void conversions(void)
{
    wasm_functype_t *func = wasm_functype_new_0_0();
    wasm_globaltype_t *global = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_VAR);
    wasm_tabletype_t *table = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits_2_5);
    wasm_memorytype_t *memory = wasm_memorytype_new(&limits_2_5);
    wasm_externtype_t *types[] = {
        wasm_functype_as_externtype(func), wasm_globaltype_as_externtype(global),
        wasm_tabletype_as_externtype(table), wasm_memorytype_as_externtype(memory)};
    for (size_t i = 0; i < 4; i++) {
        CHECK(wasm_externtype_kind(types[i]) == i); /* FUNC, GLOBAL, TABLE, MEMORY */
        CHECK((wasm_externtype_as_functype(types[i]) != NULL) == (i == 0));
        CHECK((wasm_externtype_as_globaltype(types[i]) != NULL) == (i == 1));
        CHECK((wasm_externtype_as_tabletype(types[i]) != NULL) == (i == 2));
        CHECK((wasm_externtype_as_memorytype(types[i]) != NULL) == (i == 3));
    }
    const wasm_externtype_t *constant = wasm_functype_as_externtype_const(func);
    CHECK(wasm_externtype_as_functype_const(constant) != NULL);
    CHECK(wasm_externtype_as_memorytype_const(constant) == NULL);
    constant = wasm_globaltype_as_externtype_const(global);
    CHECK(wasm_externtype_as_globaltype_const(constant) != NULL);
    constant = wasm_tabletype_as_externtype_const(table);
    CHECK(wasm_externtype_as_tabletype_const(constant) != NULL);
    constant = wasm_memorytype_as_externtype_const(memory);
    CHECK(wasm_externtype_as_memorytype_const(constant) != NULL);
    for (size_t i = 0; i < 4; i++) {
        wasm_externtype_t *copy = wasm_externtype_copy(types[i]);
        CHECK(wasm_externtype_kind(copy) == i);
        wasm_externtype_delete(copy);
    }
    wasm_functype_delete(func);
    wasm_globaltype_delete(global);
    wasm_tabletype_delete(table);
    wasm_memorytype_delete(memory);
}

static wasm_importtype_t *new_import(const char *module, const char *name)
{
    wasm_name_t from;
    wasm_name_t to;
    wasm_name_new_from_string(&from, module);
    wasm_name_new_from_string(&to, name);
    return wasm_importtype_new(&from, &to,
                               wasm_memorytype_as_externtype(wasm_memorytype_new(&limits_2_5)));
}

static wasm_exporttype_t *new_export(const char *name)
{
    wasm_name_t to;
    wasm_name_new_from_string(&to, name);
    return wasm_exporttype_new(&to, wasm_functype_as_externtype(wasm_functype_new_0_0()));
}

static void importtypes(void)
{
    wasm_importtype_t *type = new_import("from", "there");
    wasm_importtype_t *copy = wasm_importtype_copy(type);
    wasm_importtype_delete(type);
    CHECK(name_is(wasm_importtype_module(copy), "from"));
    CHECK(name_is(wasm_importtype_name(copy), "there"));
    CHECK(wasm_externtype_kind(wasm_importtype_type(copy)) == WASM_EXTERN_MEMORY);
    wasm_importtype_delete(copy);
}

static void exporttypes(void)
{
    wasm_exporttype_t *type = new_export("here");
    wasm_exporttype_t *copy = wasm_exporttype_copy(type);
    wasm_exporttype_delete(type);
    CHECK(name_is(wasm_exporttype_name(copy), "here"));
    CHECK(wasm_externtype_kind(wasm_exporttype_type(copy)) == WASM_EXTERN_FUNC);
    wasm_exporttype_delete(copy);
}

/* The same walk through every vector of types. */
#define VECTOR_CASE(name, make)                                                                    \
    static void name##_vectors(void)                                                               \
    {                                                                                              \
        wasm_##name##_vec_t empty;                                                                 \
        wasm_##name##_vec_new_empty(&empty);                                                       \
        CHECK(empty.size == 0);                                                                    \
        wasm_##name##_vec_delete(&empty);                                                          \
        wasm_##name##_t *two[] = {make, make};                                                     \
        wasm_##name##_vec_t vec;                                                                   \
        wasm_##name##_vec_new(&vec, 2, two);                                                       \
        CHECK(vec.size == 2 && vec.data[0] == two[0] && vec.data[1] == two[1]);                    \
        wasm_##name##_vec_t copy;                                                                  \
        wasm_##name##_vec_copy(&copy, &vec);                                                       \
        CHECK(copy.size == 2 && copy.data != vec.data && copy.data[1] != NULL);                    \
        wasm_##name##_vec_delete(&vec);                                                            \
        wasm_##name##_vec_delete(&copy);                                                           \
        wasm_##name##_vec_new_uninitialized(&vec, 1);                                              \
        CHECK(vec.size == 1);                                                                      \
        vec.data[0] = make;                                                                        \
        wasm_##name##_vec_delete(&vec);                                                            \
    }

VECTOR_CASE(functype, wasm_functype_new_1_0(wasm_valtype_new_i32()))
VECTOR_CASE(globaltype, wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST))
VECTOR_CASE(tabletype, wasm_tabletype_new(wasm_valtype_new_funcref(), &limits_2_5))
VECTOR_CASE(memorytype, wasm_memorytype_new(&limits_2_5))
VECTOR_CASE(externtype, wasm_functype_as_externtype(wasm_functype_new_0_0()))
VECTOR_CASE(importtype, new_import("a", "b"))
VECTOR_CASE(exporttype, new_export("c"))

/* Vectors often arrive half filled. */
static void half_filled_vectors(void)
{
    wasm_functype_vec_t vec;
    wasm_functype_vec_new_uninitialized(&vec, 3);
    vec.data[0] = wasm_functype_new_0_0();
    vec.data[1] = NULL;
    vec.data[2] = NULL;
    wasm_functype_vec_delete(&vec);
}

static void null_deletes(void)
{
    wasm_functype_delete(NULL);
    wasm_valtype_delete(NULL);
    wasm_externtype_delete(NULL);
    wasm_importtype_delete(NULL);
}

const struct capi_case capi_type_cases[] = {
    {"valtypes", valtypes},
    {"valtype_vectors", valtype_vectors},
    {"functypes", functypes},
    {"functype_vectors", functype_vectors},
    {"globaltypes", globaltypes},
    {"globaltype_vectors", globaltype_vectors},
    {"tabletypes", tabletypes},
    {"tabletype_vectors", tabletype_vectors},
    {"memorytypes", memorytypes},
    {"memorytype_vectors", memorytype_vectors},
    {"conversions", conversions},
    {"externtype_vectors", externtype_vectors},
    {"importtypes", importtypes},
    {"importtype_vectors", importtype_vectors},
    {"exporttypes", exporttypes},
    {"exporttype_vectors", exporttype_vectors},
    {"half_filled_vectors", half_filled_vectors},
    {"null_deletes", null_deletes},
    {NULL, NULL},
};
