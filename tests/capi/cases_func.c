/* Functions: called, called back, and how they trap. */
#include "capi_case.h"

static void calls(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    int32_t two[] = {-5, 7};
    CHECK(call_i32(func_of(&exports, "add"), 2, two) == 2);
    wasm_val_t args[] = {WASM_I32_VAL(-1), WASM_I64_VAL(INT64_MIN), WASM_F32_VAL(0.25f),
                         WASM_F64_VAL(1e300)};
    wasm_val_t results[4] = {WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
    CHECK(wasm_func_call(func_of(&exports, "turn"), &arg_vec, &result_vec) == NULL);
    CHECK(results[0].kind == WASM_F64 && results[0].of.f64 == 1e300);
    CHECK(results[1].kind == WASM_F32 && results[1].of.f32 == 0.25f);
    CHECK(results[2].kind == WASM_I64 && results[2].of.i64 == INT64_MIN);
    CHECK(results[3].kind == WASM_I32 && results[3].of.i32 == -1);
    exports_close(&exports);
    world_close(&world);
}

/* More values than any register or small buffer holds. */
static void calls_wide(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_val_t args[20];
    for (int i = 0; i < 20; i++) {
        args[i].kind = i >= 10 ? WASM_F64 : i % 2 == 0 ? WASM_I32 : WASM_I64;
        if (i >= 10)
            args[i].of.f64 = i;
        else if (i % 2 == 0)
            args[i].of.i32 = i + 1000;
        else
            args[i].of.i64 = i + 1000;
    }
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = {1, &result};
    CHECK(wasm_func_call(func_of(&exports, "sum"), &arg_vec, &result_vec) == NULL);
    CHECK(result.kind == WASM_F64 && result.of.f64 == 1009 + 1000 + 10 + 19);
    exports_close(&exports);
    world_close(&world);
}

static void describes(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    const wasm_func_t *func = func_of(&exports, "turn");
    CHECK(wasm_func_param_arity(func) == 4 && wasm_func_result_arity(func) == 4);
    wasm_functype_t *type = wasm_func_type(func);
    CHECK(wasm_valtype_kind(wasm_functype_params(type)->data[2]) == WASM_F32);
    CHECK(wasm_valtype_kind(wasm_functype_results(type)->data[3]) == WASM_I32);
    wasm_functype_delete(type);
    exports_close(&exports);
    world_close(&world);
}

static void traps(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    expect_trap(wasm_func_call(func_of(&exports, "trap"), &none, &none), "unreachable");
    wasm_val_t args[] = {WASM_I32_VAL(1), WASM_I32_VAL(0)};
    wasm_val_t result = WASM_I32_VAL(77);
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = {1, &result};
    expect_trap(wasm_func_call(func_of(&exports, "divide"), &arg_vec, &result_vec),
                "divide by zero");
    wasm_trap_t *trap = wasm_func_call(func_of(&exports, "forever"), &none, &none);
    CHECK(trap != NULL);
    wasm_trap_delete(trap);
    /* The store goes on. */
    int32_t two[] = {1, 2};
    CHECK(call_i32(func_of(&exports, "add"), 2, two) == 3);
    exports_close(&exports);
    world_close(&world);
}

/* leaf <- middle <- trap, the 4th, 5th and 6th function of the module. */
static void frames(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    wasm_trap_t *trap = wasm_func_call(func_of(&exports, "trap"), &none, &none);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    CHECK(origin != NULL && wasm_frame_func_index(origin) == 3);
    wasm_frame_vec_t trace;
    wasm_trap_trace(trap, &trace);
    CHECK(trace.size == 3);
    for (size_t i = 0; i < 3; i++)
        CHECK(wasm_frame_func_index(trace.data[i]) == 3 + i);
    CHECK(wasm_frame_module_offset(origin) == wasm_frame_module_offset(trace.data[0]));
    CHECK(wasm_frame_module_offset(trace.data[0]) < wasm_frame_module_offset(trace.data[1]));
    CHECK(wasm_frame_func_offset(origin) > 0);
    CHECK(wasm_frame_func_offset(origin) < wasm_frame_module_offset(origin));
    wasm_frame_t *copy = wasm_frame_copy(origin);
    wasm_frame_delete(origin);
    CHECK(wasm_frame_func_index(copy) == 3);
    wasm_frame_delete(copy);
    wasm_frame_vec_t copies;
    wasm_frame_vec_copy(&copies, &trace);
    wasm_frame_vec_delete(&trace);
    CHECK(copies.size == 3 && wasm_frame_func_index(copies.data[2]) == 5);
    wasm_frame_vec_delete(&copies);
    wasm_trap_delete(trap);
    exports_close(&exports);
    world_close(&world);
}

static void frame_vectors(void)
{
    wasm_frame_vec_t vec;
    wasm_frame_vec_new_empty(&vec);
    CHECK(vec.size == 0);
    wasm_frame_vec_delete(&vec);
    wasm_frame_vec_new(&vec, 0, NULL);
    CHECK(vec.size == 0);
    wasm_frame_vec_new_uninitialized(&vec, 1);
    vec.data[0] = NULL;
    wasm_frame_vec_delete(&vec);
}

static void frames_know_their_instance(void)
{
    struct world world;
    world_open(&world);
    wasm_instance_t *instance = world_instance(&world, "plain", NULL);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    wasm_trap_t *trap = wasm_func_call(wasm_extern_as_func(exports.data[7]), &none, &none);
    CHECK(trap != NULL);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    CHECK(wasm_frame_instance(origin) != NULL);
    CHECK(wasm_instance_same(wasm_frame_instance(origin), instance));
    wasm_trap_delete(trap);
    wasm_frame_delete(origin);
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
    world_close(&world);
}

static void traps_of_the_host(void)
{
    struct world world;
    world_open(&world);
    wasm_trap_t *trap = trap_of(world.store, "what went wrong");
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    CHECK(message.size >= sizeof "what went wrong" && message.data[message.size - 1] == '\0');
    CHECK(strncmp(message.data, "what went wrong", sizeof "what went wrong" - 1) == 0);
    wasm_name_delete(&message);
    CHECK(wasm_trap_origin(trap) == NULL);
    wasm_frame_vec_t trace;
    wasm_trap_trace(trap, &trace);
    CHECK(trace.size == 0);
    wasm_frame_vec_delete(&trace);
    wasm_trap_delete(trap);
    world_close(&world);
}

/* --- callbacks ----------------------------------------------------------------------------- */

static wasm_trap_t *turn(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    CHECK(args->size == 4 && results->size == 4);
    for (size_t i = 0; i < 4; i++)
        results->data[i] = args->data[3 - i];
    return NULL;
}

struct env {
    wasm_store_t *store;
    const wasm_func_t *inner;
    const char *complaint;
    int calls, finalized;
};

static wasm_trap_t *with_env(void *data, const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    struct env *env = data;
    CHECK(args->size == 0 && results->size == 0);
    env->calls++;
    if (env->complaint != NULL)
        return trap_of(env->store, env->complaint);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    return env->inner != NULL ? wasm_func_call(env->inner, &none, &none) : NULL;
}

static void finalize(void *data)
{
    ((struct env *)data)->finalized++;
}

static wasm_func_t *turn_func(wasm_store_t *store)
{
    wasm_functype_t *type = turn_type();
    wasm_func_t *func = wasm_func_new(store, type, turn);
    wasm_functype_delete(type);
    CHECK(func != NULL);
    return func;
}

static wasm_func_t *env_func(struct env *env)
{
    wasm_functype_t *type = wasm_functype_new_0_0();
    wasm_func_t *func = wasm_func_new_with_env(env->store, type, with_env, env, finalize);
    wasm_functype_delete(type);
    CHECK(func != NULL);
    return func;
}

static void expect_turned(const wasm_func_t *func)
{
    wasm_val_t args[] = {WASM_I32_VAL(3), WASM_I64_VAL(-4), WASM_F32_VAL(5.5f), WASM_F64_VAL(-6.5)};
    wasm_val_t results[4] = {WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
    CHECK(wasm_func_call(func, &arg_vec, &result_vec) == NULL);
    CHECK(results[0].of.f64 == -6.5 && results[1].of.f32 == 5.5f);
    CHECK(results[2].of.i64 == -4 && results[3].of.i32 == 3);
}

/* Everything that "imports" wants; handles may go as soon as the instance is there. */
static void open_imports(struct exports *exports, struct world *world, struct env *env)
{
    wasm_val_t value = WASM_I32_VAL(11);
    wasm_val_t number = WASM_I64_VAL(100);
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST);
    wasm_global_t *constant = wasm_global_new(world->store, type, &value);
    wasm_globaltype_delete(type);
    type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
    wasm_global_t *variable = wasm_global_new(world->store, type, &number);
    wasm_globaltype_delete(type);
    wasm_limits_t limits = {1, 2};
    wasm_tabletype_t *tabletype = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
    wasm_table_t *table = wasm_table_new(world->store, tabletype, NULL);
    wasm_tabletype_delete(tabletype);
    wasm_memorytype_t *memorytype = wasm_memorytype_new(&limits);
    wasm_memory_t *memory = wasm_memory_new(world->store, memorytype);
    wasm_memorytype_delete(memorytype);
    wasm_extern_t *items[] = {wasm_func_as_extern(turn_func(world->store)),
                              wasm_func_as_extern(env_func(env)),
                              wasm_global_as_extern(constant),
                              wasm_global_as_extern(variable),
                              wasm_table_as_extern(table),
                              wasm_memory_as_extern(memory)};
    wasm_extern_vec_t imports;
    wasm_extern_vec_new(&imports, 6, items);
    exports_open(exports, world, "imports", &imports);
    wasm_extern_vec_delete(&imports);
}

static void calls_host_functions(void)
{
    struct world world;
    world_open(&world);
    wasm_func_t *func = turn_func(world.store);
    CHECK(wasm_func_param_arity(func) == 4 && wasm_func_result_arity(func) == 4);
    expect_turned(func);
    wasm_func_delete(func);
    world_close(&world);
}

static void calls_back(void)
{
    struct world world;
    world_open(&world);
    struct env env = {.store = world.store};
    struct exports exports;
    open_imports(&exports, &world, &env);
    expect_turned(func_of(&exports, "run"));
    expect_turned(func_of(&exports, "call"));
    (void)call_i32(func_of(&exports, "plain"), 0, NULL);
    CHECK(env.calls == 1 && env.finalized == 0);
    CHECK(call_i32(func_of(&exports, "own"), 0, NULL) == 11);
    exports_close(&exports);
    world_close(&world);
    CHECK(env.finalized == 1);
}

/* A callback that was dropped unused is finalized, too. */
static void finalizes_unused(void)
{
    struct world world;
    world_open(&world);
    struct env env = {.store = world.store};
    wasm_func_delete(env_func(&env));
    wasm_functype_t *type = wasm_functype_new_0_0();
    wasm_func_delete(wasm_func_new_with_env(world.store, type, with_env, &env, NULL));
    wasm_functype_delete(type);
    world_close(&world);
    CHECK(env.finalized == 1);
}

static void traps_by_callback(void)
{
    struct world world;
    world_open(&world);
    struct env env = {.store = world.store, .complaint = "the host says no"};
    struct exports exports;
    open_imports(&exports, &world, &env);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    expect_trap(wasm_func_call(func_of(&exports, "plain"), &none, &none), "the host says no");
    exports_close(&exports);
    world_close(&world);
}

static void callback_trap_has_the_guests_frames(void)
{
    struct world world;
    world_open(&world);
    struct env env = {.store = world.store, .complaint = "no"};
    struct exports exports;
    open_imports(&exports, &world, &env);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    wasm_trap_t *trap = wasm_func_call(func_of(&exports, "plain"), &none, &none);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    CHECK(origin != NULL && wasm_frame_func_index(origin) == 3);
    wasm_frame_delete(origin);
    wasm_trap_delete(trap);
    exports_close(&exports);
    world_close(&world);
}

/* guest -> host -> another guest's trap -> out through both. */
static void traps_through_callbacks(void)
{
    struct world world;
    world_open(&world);
    struct exports plain;
    exports_open(&plain, &world, "plain", NULL);
    struct env env = {.store = world.store, .inner = func_of(&plain, "trap")};
    struct exports exports;
    open_imports(&exports, &world, &env);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    expect_trap(wasm_func_call(func_of(&exports, "plain"), &none, &none), "unreachable");
    exports_close(&exports);
    exports_close(&plain);
    world_close(&world);
}

static wasm_trap_t *wrong_result(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)args;
    results->data[0].kind = WASM_F64;
    results->data[0].of.f64 = 1;
    return NULL;
}

static void checks_results_of_callbacks(void)
{
    struct world world;
    world_open(&world);
    wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new(world.store, type, wrong_result);
    wasm_functype_delete(type);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t result_vec = {1, &result};
    wasm_trap_t *trap = wasm_func_call(func, &none, &result_vec);
    CHECK(trap != NULL);
    wasm_trap_delete(trap);
    wasm_func_delete(func);
    world_close(&world);
}

static void checks_arguments(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    const wasm_func_t *add = func_of(&exports, "add");
    wasm_val_t args[] = {WASM_I32_VAL(1), WASM_I32_VAL(2), WASM_I32_VAL(3)};
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t result_vec = {1, &result};
    for (size_t count = 0; count <= 3; count++) {
        wasm_val_vec_t arg_vec = {count, args};
        wasm_trap_t *trap = wasm_func_call(add, &arg_vec, &result_vec);
        CHECK((trap == NULL) == (count == 2));
        if (trap != NULL)
            wasm_trap_delete(trap);
    }
    args[1].kind = WASM_I64;
    wasm_val_vec_t arg_vec = {2, args};
    wasm_trap_t *trap = wasm_func_call(add, &arg_vec, &result_vec);
    CHECK(trap != NULL);
    wasm_trap_delete(trap);
    exports_close(&exports);
    world_close(&world);
}

static void null_vectors_are_empty(void)
{
    struct world world;
    world_open(&world);
    struct env env = {.store = world.store};
    wasm_func_t *func = env_func(&env);
    CHECK(wasm_func_call(func, NULL, NULL) == NULL && env.calls == 1);
    wasm_func_delete(func);
    world_close(&world);
}

const struct capi_case capi_func_cases[] = {
    {"calls", calls},
    {"calls_wide", calls_wide},
    {"describes", describes},
    {"traps", traps},
    {"frames", frames},
    {"frame_vectors", frame_vectors},
    {"frames_know_their_instance", frames_know_their_instance},
    {"traps_of_the_host", traps_of_the_host},
    {"calls_host_functions", calls_host_functions},
    {"calls_back", calls_back},
    {"finalizes_unused", finalizes_unused},
    {"traps_by_callback", traps_by_callback},
    {"callback_trap_has_the_guests_frames", callback_trap_has_the_guests_frames},
    {"traps_through_callbacks", traps_through_callbacks},
    {"checks_results_of_callbacks", checks_results_of_callbacks},
    {"checks_arguments", checks_arguments},
    {"null_vectors_are_empty", null_vectors_are_empty},
    {NULL, NULL},
};
