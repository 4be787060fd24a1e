/* Bytes, names, values, and their vectors. */
#include "capi_case.h"

static void byte_vectors(void)
{
    wasm_byte_vec_t vec;
    wasm_byte_vec_new(&vec, 3, "a\0b");
    CHECK(vec.size == 3 && memcmp(vec.data, "a\0b", 3) == 0);
    wasm_byte_vec_t copy;
    wasm_byte_vec_copy(&copy, &vec);
    wasm_byte_vec_delete(&vec);
    CHECK(copy.size == 3 && memcmp(copy.data, "a\0b", 3) == 0);
    wasm_byte_vec_delete(&copy);
    wasm_byte_vec_new_uninitialized(&vec, 1000);
    CHECK(vec.size == 1000);
    memset(vec.data, 1, vec.size);
    wasm_byte_vec_delete(&vec);
    wasm_byte_vec_new_empty(&vec);
    CHECK(vec.size == 0);
    wasm_byte_vec_copy(&copy, &vec);
    CHECK(copy.size == 0);
    wasm_byte_vec_delete(&copy);
    wasm_byte_vec_delete(&vec);
    wasm_byte_vec_new(&vec, 0, NULL);
    CHECK(vec.size == 0);
    wasm_byte_vec_delete(&vec);
}

static void names(void)
{
    wasm_name_t name;
    wasm_name_new_from_string(&name, "weir");
    CHECK(name.size == 4 && memcmp(name.data, "weir", 4) == 0);
    wasm_name_t copy;
    wasm_name_copy(&copy, &name);
    wasm_name_delete(&name);
    CHECK(name_is(&copy, "weir"));
    wasm_name_delete(&copy);
    wasm_name_new_from_string_nt(&name, "weir");
    CHECK(name.size == 5 && name.data[4] == '\0');
    wasm_name_delete(&name);
    wasm_name_new_empty(&name);
    CHECK(name.size == 0);
    wasm_name_delete(&name);
    wasm_name_new(&name, 2, "xyz");
    CHECK(name_is(&name, "xy"));
    wasm_name_delete(&name);
}

static void values(void)
{
    wasm_val_t vals[] = {WASM_I32_VAL(-1), WASM_I64_VAL(INT64_MIN), WASM_F32_VAL(0.5f),
                         WASM_F64_VAL(-2.25)};
    CHECK(vals[0].kind == WASM_I32 && vals[0].of.i32 == -1);
    CHECK(vals[1].kind == WASM_I64 && vals[1].of.i64 == INT64_MIN);
    CHECK(vals[2].kind == WASM_F32 && vals[2].of.f32 == 0.5f);
    CHECK(vals[3].kind == WASM_F64 && vals[3].of.f64 == -2.25);
    for (size_t i = 0; i < 4; i++) {
        wasm_val_t copy;
        wasm_val_copy(&copy, &vals[i]);
        CHECK(copy.kind == vals[i].kind);
        wasm_val_delete(&copy);
    }
    wasm_val_t null = WASM_INIT_VAL;
    CHECK(null.kind == WASM_EXTERNREF && null.of.ref == NULL);
    wasm_val_delete(&null);
    int host = 0;
    wasm_val_t pointer;
    wasm_val_init_ptr(&pointer, &host);
    CHECK(wasm_val_ptr(&pointer) == &host);
}

static void value_vectors(void)
{
    wasm_val_t two[] = {WASM_I32_VAL(1), WASM_F64_VAL(2)};
    wasm_val_vec_t vec;
    wasm_val_vec_new(&vec, 2, two);
    CHECK(vec.size == 2 && vec.data[0].of.i32 == 1 && vec.data[1].of.f64 == 2);
    wasm_val_vec_t copy;
    wasm_val_vec_copy(&copy, &vec);
    wasm_val_vec_delete(&vec);
    CHECK(copy.size == 2 && copy.data[1].kind == WASM_F64 && copy.data[1].of.f64 == 2);
    wasm_val_vec_delete(&copy);
    wasm_val_vec_new_empty(&vec);
    CHECK(vec.size == 0);
    wasm_val_vec_delete(&vec);
    wasm_val_vec_new_uninitialized(&vec, 1);
    CHECK(vec.size == 1);
    vec.data[0] = two[0];
    wasm_val_vec_delete(&vec);
    wasm_val_vec_t array = WASM_ARRAY_VEC(two);
    CHECK(array.size == 2 && array.data == two);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    CHECK(none.size == 0);
}

/* A copy of a value is one more handle. */
static void values_of_references(void)
{
    struct world world;
    world_open(&world);
    wasm_val_t val = WASM_REF_VAL(wasm_foreign_as_ref(wasm_foreign_new(world.store)));
    wasm_ref_set_host_info(val.of.ref, &world);
    wasm_val_t copy;
    wasm_val_copy(&copy, &val);
    CHECK(wasm_ref_same(copy.of.ref, val.of.ref));
    wasm_val_delete(&val);
    CHECK(wasm_ref_get_host_info(copy.of.ref) == &world);
    wasm_val_vec_t vec;
    wasm_val_vec_new(&vec, 1, &copy);
    wasm_val_vec_t other;
    wasm_val_vec_copy(&other, &vec);
    wasm_val_vec_delete(&vec);
    CHECK(wasm_ref_get_host_info(other.data[0].of.ref) == &world);
    wasm_val_vec_delete(&other);
    world_close(&world);
}

const struct capi_case capi_value_cases[] = {
    {"byte_vectors", byte_vectors},
    {"names", names},
    {"values", values},
    {"value_vectors", value_vectors},
    {"values_of_references", values_of_references},
    {NULL, NULL},
};
