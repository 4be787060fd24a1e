/* One module, compiled once and shared; a store of its own for every thread. */
#include <pthread.h>

#include "example.h"

#define THREADS 8
#define ROUNDS 20

struct job {
    wasm_engine_t *engine;
    const wasm_shared_module_t *module;
    int32_t id;
    int32_t sum;
};

static wasm_trap_t *count(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)results;
    struct job *job = env;
    job->sum += args->data[0].of.i32;
    return NULL;
}

static void run_once(struct job *job, wasm_store_t *store, const wasm_module_t *module)
{
    wasm_functype_t *functype = wasm_functype_new_1_0(wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new_with_env(store, functype, count, job, NULL);
    wasm_functype_delete(functype);
    wasm_val_t id = WASM_I32_VAL(job->id);
    wasm_globaltype_t *globaltype = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST);
    wasm_global_t *global = wasm_global_new(store, globaltype, &id);
    wasm_globaltype_delete(globaltype);
    wasm_extern_t *imports[] = {wasm_func_as_extern(func), wasm_global_as_extern(global)};
    wasm_extern_vec_t exports;
    example_exports(store, module, 2, imports, &exports);
    wasm_func_delete(func);
    wasm_global_delete(global);
    (void)example_call(example_func(&exports, 0), 0, NULL);
    wasm_extern_vec_delete(&exports);
}

static void *run(void *data)
{
    struct job *job = data;
    for (int i = 0; i < ROUNDS; i++) {
        wasm_store_t *store = wasm_store_new(job->engine);
        wasm_module_t *module = wasm_module_obtain(store, job->module);
        EXPECT(module != NULL);
        run_once(job, store, module);
        wasm_module_delete(module);
        wasm_store_delete(store);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_shared_module_t *shared = wasm_module_share(module);
    wasm_module_delete(module);
    wasm_store_delete(store);

    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    for (int32_t i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.engine = engine, .module = shared, .id = i + 1};
        EXPECT(pthread_create(&threads[i], NULL, run, &jobs[i]) == 0);
    }
    for (int32_t i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(threads[i], NULL) == 0);
        EXPECT(jobs[i].sum == (i + 1) * ROUNDS);
    }
    printf("%d threads, %d stores each\n", THREADS, ROUNDS);
    wasm_shared_module_delete(shared);
    wasm_engine_delete(engine);
    return 0;
}
