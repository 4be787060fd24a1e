/* What only Weir's own <wasm.h> promises: reasons, limits and accounts behind the standard C API,
 * exact texts, tag types, dead references collected, damage refused. */
#include <check.h>
#include <stdlib.h>

#include "capi_keep_wasm.h"
#include "capi_plain_wasm.h"
#include "capi_refs_wasm.h"
#include "capi_start_wasm.h"
#include "tests/capi/capi_kinds.h"
#include "tests/run_suite.h"

#include <weir/capi.h>

static wasm_engine_t *engine;
static wasm_store_t *store;

static void setup(void)
{
    engine = wasm_engine_new();
    ck_assert_ptr_nonnull(engine);
    store = wasm_store_new(engine);
    ck_assert_ptr_nonnull(store);
}

static void teardown(void)
{
    wasm_store_delete(store);
    wasm_engine_delete(engine);
}

static wasm_module_t *new_module(const unsigned char *bytes, size_t size)
{
    wasm_byte_vec_t binary;
    wasm_byte_vec_new(&binary, size, (const char *)bytes);
    wasm_module_t *module = wasm_module_new(store, &binary);
    wasm_byte_vec_delete(&binary);
    return module;
}

static wasm_instance_t *new_plain(void)
{
    wasm_module_t *module = new_module(capi_plain_wasm, sizeof capi_plain_wasm);
    wasm_instance_t *instance = wasm_instance_new(store, module, NULL, NULL);
    ck_assert_msg(instance != NULL, "%s", weir_wasm_error()->message);
    wasm_module_delete(module);
    return instance;
}

/* --- NULL where something is wanted --------------------------------------------------------- */

START_TEST(takes_null_for_empty)
{
    wasm_byte_vec_t bytes;
    wasm_byte_vec_copy(&bytes, NULL);
    ck_assert_uint_eq(bytes.size, 0);
    wasm_val_vec_t vals;
    wasm_val_vec_copy(&vals, NULL);
    ck_assert_uint_eq(vals.size, 0);
    wasm_extern_vec_t externs;
    wasm_extern_vec_copy(&externs, NULL);
    ck_assert_uint_eq(externs.size, 0);
    const wasm_byte_vec_t hollow = {8, NULL};
    const wasm_byte_vec_t *const nothing[] = {NULL, &hollow};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ptr_null(wasm_module_new(store, nothing[i]));
        ck_assert_int_eq(weir_wasm_error()->status, WEIR_MALFORMED);
        ck_assert(!wasm_module_validate(store, nothing[i]));
        ck_assert_ptr_null(wasm_module_deserialize(store, nothing[i]));
        wasm_trap_t *trap = wasm_trap_new(store, nothing[i]);
        wasm_message_t message;
        wasm_trap_message(trap, &message);
        ck_assert_uint_eq(message.size, 1);
        wasm_name_delete(&message);
        wasm_trap_delete(trap);
    }
}
END_TEST

/* What could not be made is handed on by programs that look at the last result only. */
START_TEST(passes_null_on)
{
    const wasm_limits_t limits = {1, 2};
    wasm_valtype_vec_t hole;
    wasm_valtype_vec_new_uninitialized(&hole, 1);
    ck_assert_ptr_null(wasm_functype_new(&hole, NULL));
    wasm_functype_t *empty = wasm_functype_new(NULL, NULL);
    ck_assert_ptr_nonnull(empty);
    ck_assert_uint_eq(wasm_functype_params(empty)->size, 0);
    wasm_functype_delete(empty);
    ck_assert_ptr_null(wasm_memorytype_new(NULL));
    ck_assert_ptr_null(wasm_tabletype_new(NULL, &limits));
    ck_assert_ptr_null(wasm_tabletype_new(wasm_valtype_new_funcref(), NULL));
    ck_assert_ptr_null(wasm_memory_new(store, NULL));
    ck_assert_ptr_null(wasm_table_new(store, NULL, NULL));
    ck_assert_ptr_null(wasm_global_new(store, NULL, NULL));
    ck_assert_ptr_null(wasm_module_share(NULL));
    ck_assert_ptr_null(wasm_module_obtain(store, NULL));
    ck_assert_ptr_null(wasm_store_new(NULL));
    wasm_trap_t *trap = NULL;
    ck_assert_ptr_null(wasm_instance_new(store, NULL, NULL, &trap));
    ck_assert_ptr_nonnull(trap);
    wasm_trap_delete(trap);
    wasm_val_t val;
    wasm_val_copy(&val, NULL);
    ck_assert_ptr_null(val.of.ref);
}
END_TEST

START_TEST(refuses_null_for_values)
{
    wasm_instance_t *instance = new_plain();
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    wasm_val_vec_t hollow = {2, NULL};
    for (size_t i = 0; i < exports.size; i++) {
        wasm_func_t *func = wasm_extern_as_func(exports.data[i]);
        if (func == NULL || wasm_func_param_arity(func) != 2)
            continue;
        wasm_trap_t *trap = wasm_func_call(func, &hollow, &hollow);
        ck_assert_ptr_nonnull(trap);
        wasm_trap_delete(trap);
    }
    ck_assert_ptr_null(wasm_func_new(store, NULL, NULL));
    wasm_functype_t *nullary = wasm_functype_new_0_0();
    ck_assert_ptr_null(wasm_func_new(store, nullary, NULL));
    ck_assert_int_eq(weir_wasm_error()->status, WEIR_INVALID_ARGUMENT);
    wasm_functype_delete(nullary);
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_VAR);
    ck_assert_ptr_null(wasm_global_new(store, type, NULL));
    ck_assert_int_eq(weir_wasm_error()->status, WEIR_INVALID_ARGUMENT);
    const wasm_val_t seven = WASM_I32_VAL(7);
    wasm_global_t *global = wasm_global_new(store, type, &seven);
    wasm_globaltype_delete(type);
    wasm_global_set(global, NULL);
    wasm_val_t now;
    wasm_global_get(global, &now);
    ck_assert_int_eq(now.of.i32, 7);
    wasm_global_delete(global);
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
}
END_TEST

/* --- tag types ----------------------------------------------------------------------------- */

static wasm_tagtype_t *new_tagtype(void)
{
    return wasm_tagtype_new(wasm_functype_new_1_0(wasm_valtype_new_i64()));
}

START_TEST(tagtypes)
{
    wasm_tagtype_t *type = new_tagtype();
    wasm_tagtype_t *copy = wasm_tagtype_copy(type);
    wasm_tagtype_delete(type);
    ck_assert_uint_eq(wasm_functype_params(wasm_tagtype_functype(copy))->size, 1);
    wasm_externtype_t *as = wasm_tagtype_as_externtype(copy);
    ck_assert_int_eq(wasm_externtype_kind(as), WASM_EXTERN_TAG);
    ck_assert_ptr_eq(wasm_externtype_as_tagtype(as), copy);
    ck_assert_ptr_null(wasm_externtype_as_functype(as));
    const wasm_externtype_t *constant = wasm_tagtype_as_externtype_const(copy);
    ck_assert_ptr_eq(wasm_externtype_as_tagtype_const(constant), copy);
    wasm_externtype_t *again = wasm_externtype_copy(as);
    ck_assert_ptr_nonnull(wasm_externtype_as_tagtype(again));
    wasm_externtype_delete(again);
    wasm_tagtype_delete(copy);
    ck_assert_ptr_null(wasm_tagtype_new(NULL));
}
END_TEST

START_TEST(tagtype_vectors)
{
    wasm_tagtype_t *two[] = {new_tagtype(), new_tagtype()};
    wasm_tagtype_vec_t vec;
    wasm_tagtype_vec_new(&vec, 2, two);
    wasm_tagtype_vec_t copy;
    wasm_tagtype_vec_copy(&copy, &vec);
    wasm_tagtype_vec_delete(&vec);
    ck_assert_uint_eq(copy.size, 2);
    ck_assert_ptr_nonnull(wasm_tagtype_functype(copy.data[1]));
    wasm_tagtype_vec_delete(&copy);
    wasm_tagtype_vec_new_empty(&vec);
    ck_assert_uint_eq(vec.size, 0);
    wasm_tagtype_vec_new_uninitialized(&vec, 3);
    ck_assert_ptr_null(vec.data[2]);
    wasm_tagtype_vec_delete(&vec);
}
END_TEST

/* --- reasons ------------------------------------------------------------------------------- */

START_TEST(says_why)
{
    ck_assert_ptr_null(new_module(capi_plain_wasm, sizeof capi_plain_wasm - 1));
    ck_assert_int_eq(weir_wasm_error()->status, WEIR_MALFORMED);
    ck_assert_uint_ne(weir_wasm_error()->offset, WEIR_NO_OFFSET);
    ck_assert_ptr_null(wasm_valtype_new(77));
    ck_assert_str_eq(weir_wasm_error()->message, "77 is no kind of value");
    wasm_limits_t limits = {2, 1};
    wasm_memorytype_t *type = wasm_memorytype_new(&limits);
    ck_assert_ptr_null(wasm_memory_new(store, type));
    ck_assert_str_eq(weir_wasm_error()->message, "a memory's maximum is below its minimum");
    wasm_memorytype_delete(type);
    ck_assert_ptr_null(weir_wasm_error()->details);
}
END_TEST

static void expect_message(wasm_trap_t *trap, const char *text)
{
    ck_assert_ptr_nonnull(trap);
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    ck_assert_str_eq(message.data, text);
    ck_assert_uint_eq(message.size, strlen(text) + 1);
    wasm_name_delete(&message);
    wasm_trap_delete(trap);
}

START_TEST(messages)
{
    wasm_instance_t *instance = new_plain();
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    wasm_func_t *add = wasm_extern_as_func(exports.data[4]);
    wasm_val_t args[] = {WASM_I32_VAL(1), WASM_F32_VAL(2)};
    wasm_val_vec_t two = WASM_ARRAY_VEC(args);
    wasm_val_vec_t one = {1, args};
    expect_message(wasm_func_call(add, &one, NULL), "1 arguments are given, the function takes 2");
    expect_message(wasm_func_call(add, &two, NULL), "argument 1: f32 is given, i32 is wanted");
    expect_message(wasm_func_call(wasm_extern_as_func(exports.data[7]), NULL, NULL), "unreachable");
    wasm_message_t message;
    wasm_name_new_from_string(&message, "no zero behind it");
    wasm_trap_t *trap = wasm_trap_new(store, &message);
    wasm_name_delete(&message);
    expect_message(trap, "no zero behind it");
    expect_message(wasm_trap_new(store, NULL), "");
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
}
END_TEST

/* Two instances of one module: a frame does not tell them apart, and says so. */
START_TEST(frames_do_not_guess)
{
    wasm_module_t *module = new_module(capi_plain_wasm, sizeof capi_plain_wasm);
    wasm_instance_t *a = wasm_instance_new(store, module, NULL, NULL);
    wasm_instance_t *b = wasm_instance_new(store, module, NULL, NULL);
    wasm_extern_vec_t exports;
    wasm_instance_exports(a, &exports);
    wasm_trap_t *trap = wasm_func_call(wasm_extern_as_func(exports.data[7]), NULL, NULL);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    ck_assert_ptr_null(wasm_frame_instance(origin));
    wasm_frame_delete(origin);
    wasm_trap_delete(trap);
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(a);
    wasm_instance_delete(b);
    wasm_module_delete(module);
}
END_TEST

/* --- limits and accounts ------------------------------------------------------------------- */

START_TEST(keeps_limits)
{
    const struct weir_store_config config = {
        .name = "small", .memory_bytes_max = 1 << 20, .instances_max = 2};
    wasm_store_t *small = weir_wasm_store_new(engine, &config);
    ck_assert_ptr_nonnull(small);
    wasm_limits_t limits = {10, wasm_limits_max_default};
    wasm_memorytype_t *type = wasm_memorytype_new(&limits);
    wasm_memory_t *memory = wasm_memory_new(small, type);
    ck_assert_ptr_nonnull(memory);
    ck_assert(!wasm_memory_grow(memory, 10));
    ck_assert_int_eq(weir_wasm_error()->status, WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(weir_wasm_error()->message, "small"));
    wasm_memory_delete(memory);
    wasm_memorytype_delete(type);
    wasm_store_delete(small);
}
END_TEST

START_TEST(charges_everything)
{
    struct weir_account_reading before;
    struct weir_account_reading with;
    weir_account_read(weir_account_host(), &before);
    wasm_store_t *other = wasm_store_new(engine);
    wasm_foreign_t *foreigns[100];
    for (size_t i = 0; i < 100; i++)
        foreigns[i] = wasm_foreign_new(other);
    weir_account_read(weir_store_account(weir_wasm_store(other)), &with);
    ck_assert_uint_ge(with.kinds[WEIR_KIND_HANDLE], 100 * 32);
    for (size_t i = 0; i < 100; i++)
        wasm_foreign_delete(foreigns[i]);
    weir_account_read(weir_store_account(weir_wasm_store(other)), &with);
    ck_assert_uint_eq(with.kinds[WEIR_KIND_HANDLE], 0);
    wasm_store_delete(other);
    capi_kinds_expect(&before);
}
END_TEST

/* A handle keeps the store, the last one closes it. */
START_TEST(closes_with_the_last_handle)
{
    struct weir_account_reading before;
    struct weir_account_reading after;
    wasm_store_t *mine = store;
    wasm_instance_delete(new_plain()); /* what the process keeps from then on */
    weir_account_read(weir_account_host(), &before);
    store = wasm_store_new(engine);
    wasm_instance_t *instance = new_plain();
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    wasm_memory_t *memory = wasm_memory_copy(wasm_extern_as_memory(exports.data[0]));
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
    wasm_store_delete(store);
    store = mine;
    weir_account_read(weir_account_host(), &after);
    ck_assert_uint_gt(after.kinds[WEIR_KIND_LINEAR_MEMORY], before.kinds[WEIR_KIND_LINEAR_MEMORY]);
    wasm_memory_delete(memory);
    capi_kinds_expect(&before);
}
END_TEST

/* --- references ---------------------------------------------------------------------------- */

static int finalized;

static void count(void *info)
{
    (void)info;
    finalized++;
}

static wasm_trap_t *echo(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    wasm_val_copy(&results->data[0], &args->data[0]);
    return NULL;
}

static void open_refs(wasm_extern_vec_t *exports)
{
    wasm_extern_t *imports[2];
    for (size_t i = 0; i < 2; i++) {
        wasm_valkind_t kind = i == 0 ? WASM_EXTERNREF : WASM_FUNCREF;
        wasm_functype_t *type =
            wasm_functype_new_1_1(wasm_valtype_new(kind), wasm_valtype_new(kind));
        imports[i] = wasm_func_as_extern(wasm_func_new(store, type, echo));
        wasm_functype_delete(type);
    }
    wasm_module_t *module = new_module(capi_refs_wasm, sizeof capi_refs_wasm);
    wasm_extern_vec_t list = WASM_ARRAY_VEC(imports);
    wasm_instance_t *instance = wasm_instance_new(store, module, &list, NULL);
    ck_assert_ptr_nonnull(instance);
    wasm_instance_exports(instance, exports);
    wasm_instance_delete(instance);
    wasm_module_delete(module);
    wasm_extern_delete(imports[0]);
    wasm_extern_delete(imports[1]);
}

/* A hundred thousand references go through a guest that keeps ten of them: the store holds few
 * hundreds at any time, and those ten to the end. */
START_TEST(collects_dead_references)
{
    wasm_extern_vec_t exports;
    open_refs(&exports);
    wasm_table_t *table = wasm_extern_as_table(exports.data[2]);
    const wasm_func_t *through = wasm_extern_as_func(exports.data[8]);
    ck_assert(wasm_table_grow(table, 6, NULL));
    struct weir_account_reading reading;
    uint64_t most = 0;
    finalized = 0;
    for (int i = 0; i < 100000; i++) {
        wasm_ref_t *ref = wasm_foreign_as_ref(wasm_foreign_new(store));
        wasm_ref_set_host_info_with_finalizer(ref, &finalized, count);
        wasm_val_t args[] = {WASM_REF_VAL(ref)};
        wasm_val_t results[] = {WASM_INIT_VAL};
        wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
        wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
        ck_assert_ptr_null(wasm_func_call(through, &arg_vec, &result_vec));
        ck_assert(wasm_ref_same(results[0].of.ref, ref));
        wasm_val_delete(&results[0]);
        if (i < 10)
            ck_assert(wasm_table_set(table, (uint32_t)i, ref));
        wasm_ref_delete(ref);
        weir_account_read(weir_store_account(weir_wasm_store(store)), &reading);
        if (reading.kinds[WEIR_KIND_HANDLE] > most)
            most = reading.kinds[WEIR_KIND_HANDLE];
    }
    ck_assert_uint_lt(most, 128 << 10);
    ck_assert_int_gt(finalized, 99000);
    for (uint32_t i = 0; i < 10; i++) {
        wasm_ref_t *ref = wasm_table_get(table, i);
        ck_assert_ptr_eq(wasm_ref_get_host_info(ref), &finalized);
        wasm_ref_delete(ref);
    }
    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    ck_assert_int_eq(finalized, 100000);
    store = wasm_store_new(engine);
}
END_TEST

static wasm_trap_t *complain(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)args;
    (void)results;
    wasm_message_t message;
    wasm_name_new_from_string_nt(&message, env);
    wasm_trap_t *trap = wasm_trap_new(store, &message);
    wasm_name_delete(&message);
    return trap;
}

/* --- instances ----------------------------------------------------------------------------- */

static uint64_t linear_bytes(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_store_account(weir_wasm_store(store)), &reading);
    return reading.kinds[WEIR_KIND_LINEAR_MEMORY];
}

#define PLAIN_BYTES (UINT64_C(2) << 16)

/* The instance goes with the last handle of itself and of what is in it; host info with it. */
START_TEST(releases_instances)
{
    finalized = 0;
    wasm_instance_t *instance = new_plain();
    wasm_instance_set_host_info_with_finalizer(instance, &finalized, count);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    for (size_t i = 0; i < exports.size; i++)
        wasm_extern_set_host_info_with_finalizer(exports.data[i], &finalized, count);
    wasm_instance_delete(instance);
    wasm_func_t *add = wasm_func_copy(wasm_extern_as_func(exports.data[4]));
    wasm_extern_vec_delete(&exports);
    ck_assert_uint_eq(linear_bytes(), PLAIN_BYTES);
    ck_assert_int_eq(finalized, 0);
    wasm_func_delete(add);
    ck_assert_uint_eq(linear_bytes(), 0);
    ck_assert_int_eq(finalized, 19);
}
END_TEST

/* As long as a table of the host has one of its functions, it stays, and is found again. */
START_TEST(keeps_instances_that_are_held)
{
    wasm_limits_t limits = {1, 1};
    wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
    wasm_table_t *table = wasm_table_new(store, type, NULL);
    wasm_tabletype_delete(type);
    for (int i = 0; i < 100; i++) {
        wasm_instance_t *instance = new_plain();
        wasm_extern_vec_t exports;
        wasm_instance_exports(instance, &exports);
        ck_assert(wasm_table_set(table, 0, wasm_extern_as_ref(exports.data[4])));
        wasm_extern_vec_delete(&exports);
        wasm_instance_delete(instance);
    }
    ck_assert_uint_ge(linear_bytes(), PLAIN_BYTES);
    ck_assert_uint_le(linear_bytes(), 20 * PLAIN_BYTES); /* looked at again, now and then */
    wasm_ref_t *ref = wasm_table_get(table, 0);
    wasm_val_t args[] = {WASM_I32_VAL(40), WASM_I32_VAL(2)};
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = {1, &result};
    ck_assert_ptr_null(wasm_func_call(wasm_ref_as_func(ref), &arg_vec, &result_vec));
    ck_assert_int_eq(result.of.i32, 42);
    ck_assert(wasm_table_set(table, 0, NULL));
    wasm_ref_delete(ref);
    wasm_table_delete(table);
}
END_TEST

static wasm_instance_t *doomed;

static wasm_trap_t *delete_it(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    wasm_instance_delete(doomed);
    wasm_val_copy(&results->data[0], &args->data[0]);
    return NULL;
}

/* Handles that a callback deletes: the instance goes when the call has come back. */
START_TEST(releases_after_the_call)
{
    wasm_valtype_t *ps[] = {wasm_valtype_new_externref()};
    wasm_valtype_t *rs[] = {wasm_valtype_new_externref()};
    wasm_valtype_vec_t params;
    wasm_valtype_vec_t results;
    wasm_valtype_vec_new(&params, 1, ps);
    wasm_valtype_vec_new(&results, 1, rs);
    wasm_functype_t *type = wasm_functype_new(&params, &results);
    wasm_func_t *func = wasm_func_new(store, type, delete_it);
    wasm_functype_delete(type);
    wasm_val_t args[] = {WASM_INIT_VAL};
    wasm_val_t vals[] = {WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = WASM_ARRAY_VEC(vals);
    doomed = new_plain();
    ck_assert_uint_eq(linear_bytes(), PLAIN_BYTES);
    ck_assert_ptr_null(wasm_func_call(func, &arg_vec, &result_vec));
    ck_assert_uint_eq(linear_bytes(), PLAIN_BYTES);
    doomed = NULL;
    ck_assert_ptr_null(wasm_func_call(func, &arg_vec, &result_vec));
    ck_assert_uint_eq(linear_bytes(), 0);
    wasm_func_delete(func);
}
END_TEST

/* Start functions that trap leave no instance behind, and the trap still knows its frames. */
START_TEST(failed_starts_leave_nothing)
{
    static char said[] = "no start today";
    wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new_with_env(store, type, complain, said, NULL);
    wasm_functype_delete(type);
    wasm_extern_t *items[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);
    wasm_module_t *module = new_module(capi_start_wasm, sizeof capi_start_wasm);
    struct weir_account_reading before;
    struct weir_account_reading after;
    for (int i = 0; i < 200; i++) {
        wasm_trap_t *trap = NULL;
        ck_assert_ptr_null(wasm_instance_new(store, module, &imports, &trap));
        wasm_frame_t *origin = wasm_trap_origin(trap);
        ck_assert_uint_eq(wasm_frame_func_index(origin), 1);
        ck_assert_ptr_null(wasm_frame_instance(origin));
        wasm_frame_delete(origin);
        expect_message(trap, said);
        weir_account_read(weir_store_account(weir_wasm_store(store)), i == 0 ? &before : &after);
    }
    ck_assert_mem_eq(before.kinds, after.kinds, sizeof before.kinds);
    wasm_module_delete(module);
    wasm_func_delete(func);
}
END_TEST

static wasm_ref_t *kept;

static wasm_trap_t *keep(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)results;
    kept = wasm_ref_copy(args->data[0].of.ref);
    return NULL;
}

/* What a callback keeps of an instance that fails to start, works; then the instance goes. */
START_TEST(failed_starts_may_be_held)
{
    wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_funcref());
    wasm_func_t *func = wasm_func_new(store, type, keep);
    wasm_functype_delete(type);
    wasm_extern_t *items[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);
    wasm_module_t *module = new_module(capi_keep_wasm, sizeof capi_keep_wasm);
    ck_assert_ptr_null(wasm_instance_new(store, module, &imports, NULL));
    ck_assert_uint_eq(linear_bytes(), 1 << 16);
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t results = {1, &result};
    ck_assert_ptr_null(wasm_func_call(wasm_ref_as_func(kept), NULL, &results));
    ck_assert_int_eq(result.of.i32, 42);
    wasm_ref_delete(kept);
    ck_assert_uint_eq(linear_bytes(), 0);
    wasm_module_delete(module);
    wasm_func_delete(func);
}
END_TEST

/* A trap tells its frames when the instance is long gone. */
START_TEST(traps_outlive_instances)
{
    wasm_instance_t *instance = new_plain();
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    wasm_trap_t *trap = wasm_func_call(wasm_extern_as_func(exports.data[7]), NULL, NULL);
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
    ck_assert_uint_eq(linear_bytes(), 0);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    ck_assert_uint_eq(wasm_frame_func_index(origin), 3);
    ck_assert_ptr_null(wasm_frame_instance(origin));
    wasm_trap_delete(trap);
    wasm_frame_delete(origin);
}
END_TEST

/* --- modules ------------------------------------------------------------------------------- */

START_TEST(refuses_damaged_forms)
{
    wasm_module_t *module = new_module(capi_plain_wasm, sizeof capi_plain_wasm);
    wasm_byte_vec_t bytes;
    wasm_module_serialize(module, &bytes);
    wasm_module_delete(module);
    ck_assert_uint_gt(bytes.size, sizeof capi_plain_wasm);
    for (size_t cut = 0; cut < bytes.size; cut++) {
        wasm_byte_vec_t part = {cut, bytes.data};
        ck_assert_ptr_null(wasm_module_deserialize(store, &part));
    }
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 1;
        wasm_module_t *wrong = wasm_module_deserialize(store, &bytes);
        ck_assert_msg(wrong == NULL || (i >= 12 && i < 16), "byte %zu", i); /* reserved */
        wasm_module_delete(wrong);
        bytes.data[i] ^= 1;
    }
    ck_assert_int_eq(weir_wasm_error()->status, WEIR_CORRUPT);
    wasm_byte_vec_delete(&bytes);
}
END_TEST

START_TEST(keeps_engines_apart)
{
    wasm_module_t *module = new_module(capi_plain_wasm, sizeof capi_plain_wasm);
    wasm_shared_module_t *shared = wasm_module_share(module);
    wasm_engine_t *other = wasm_engine_new();
    wasm_store_t *there = wasm_store_new(other);
    ck_assert_ptr_null(wasm_module_obtain(there, shared));
    wasm_trap_t *trap = NULL;
    ck_assert_ptr_null(wasm_instance_new(there, module, NULL, &trap));
    expect_message(trap, "the module belongs to another engine");
    wasm_store_delete(there);
    wasm_engine_delete(other);
    wasm_shared_module_delete(shared);
    wasm_module_delete(module);
}
END_TEST

START_TEST(takes_configurations)
{
    wasm_config_t *config = wasm_config_new();
    weir_wasm_config(config)->has_fuel = true;
    weir_wasm_config_no_serialize(config);
    wasm_engine_t *other = wasm_engine_new_with_config(config);
    ck_assert_ptr_nonnull(other);
    ck_assert_ptr_nonnull(weir_wasm_engine(other));
    wasm_store_t *mine = store;
    store = wasm_store_new(other);
    ck_assert_int_eq(weir_store_set_fuel(weir_wasm_store(store), 1000, NULL), WEIR_OK);
    wasm_module_t *module = new_module(capi_plain_wasm, sizeof capi_plain_wasm);
    wasm_byte_vec_t bytes;
    wasm_module_serialize(module, &bytes);
    ck_assert_uint_eq(bytes.size, 0);
    ck_assert_int_eq(weir_wasm_error()->status, WEIR_STATE);
    ck_assert_uint_eq(weir_module_export_count(weir_wasm_module(module)), 18);
    wasm_module_delete(module);
    wasm_store_delete(store);
    store = mine;
    wasm_engine_delete(other);
    config = wasm_config_new();
    weir_wasm_config(config)->stack_bytes = 1;
    ck_assert_ptr_null(wasm_engine_new_with_config(config));
    ck_assert_int_eq(weir_wasm_error()->status, WEIR_INVALID_ARGUMENT);
}
END_TEST

/* The same objects by both APIs. */
START_TEST(leads_to_weirs_own)
{
    wasm_instance_t *instance = new_plain();
    struct weir_extern item;
    ck_assert_int_eq(weir_instance_export(weir_wasm_instance(instance), "memory", 6, &item),
                     WEIR_OK);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    struct weir_extern same = weir_wasm_extern(exports.data[0]);
    ck_assert_ptr_eq(same.memory, item.memory);
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
}
END_TEST

/* A callback's trap that Weir's own call came back with is not mistaken for a later one. */
START_TEST(mixes_both_apis)
{
    static char said[] = "said";
    wasm_functype_t *type = wasm_functype_new_0_0();
    wasm_func_t *func = wasm_func_new_with_env(store, type, complain, said, NULL);
    wasm_functype_delete(type);
    struct weir_extern item = weir_wasm_extern(wasm_func_as_extern(func));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_func_call(weir_wasm_store(store), item.func, NULL, NULL, NULL, NULL),
                         WEIR_TRAP);
    wasm_func_delete(func);
    wasm_instance_t *instance = new_plain();
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    expect_message(wasm_func_call(wasm_extern_as_func(exports.data[7]), NULL, NULL), "unreachable");
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("capi");
    TCase *tests = tcase_create("capi");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, takes_null_for_empty);
    tcase_add_test(tests, passes_null_on);
    tcase_add_test(tests, refuses_null_for_values);
    tcase_add_test(tests, tagtypes);
    tcase_add_test(tests, tagtype_vectors);
    tcase_add_test(tests, says_why);
    tcase_add_test(tests, messages);
    tcase_add_test(tests, frames_do_not_guess);
    tcase_add_test(tests, keeps_limits);
    tcase_add_test(tests, charges_everything);
    tcase_add_test(tests, closes_with_the_last_handle);
    tcase_add_test(tests, collects_dead_references);
    tcase_add_test(tests, releases_instances);
    tcase_add_test(tests, keeps_instances_that_are_held);
    tcase_add_test(tests, releases_after_the_call);
    tcase_add_test(tests, failed_starts_leave_nothing);
    tcase_add_test(tests, failed_starts_may_be_held);
    tcase_add_test(tests, traps_outlive_instances);
    tcase_add_test(tests, refuses_damaged_forms);
    tcase_add_test(tests, keeps_engines_apart);
    tcase_add_test(tests, takes_configurations);
    tcase_add_test(tests, leads_to_weirs_own);
    tcase_add_test(tests, mixes_both_apis);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
