/* Cases over the standard WebAssembly C API: plain C that compiles with any <wasm.h> and links to
 * any library behind it, so that the same source runs on Weir and on its peers. Each case is run in
 * a process of its own (capi_main.c) and ends it when something is not as it should be. */
#ifndef WEIR_TEST_CAPI_CASE_H
#define WEIR_TEST_CAPI_CASE_H

#include <stdio.h>
#include <stdlib.h>

#include <wasm.h>

#define CHECK(x)                                                                                   \
    ((x) ? (void)0 : (printf("%s:%d: %s\n", __FILE__, __LINE__, #x), (void)fflush(stdout), exit(1)))

struct capi_case {
    const char *name;
    void (*run)(void);
};

/* One table per file, ended by an empty line. */
extern const struct capi_case capi_type_cases[];
extern const struct capi_case capi_value_cases[];
extern const struct capi_case capi_ref_cases[];
extern const struct capi_case capi_module_cases[];
extern const struct capi_case capi_func_cases[];
extern const struct capi_case capi_extern_cases[];
extern const struct capi_case capi_instance_cases[];
extern const struct capi_case capi_guest_ref_cases[];

/* --- what they share (capi_world.c) -------------------------------------------------------- */

/* An engine and a store, and what was made in it. */
struct world {
    wasm_engine_t *engine;
    wasm_store_t *store;
};
void world_open(struct world *world);
void world_close(struct world *world);

/* Takes a module of the tests by name: "plain", "imports", "refs", "start", "finalize". */
wasm_byte_vec_t world_bytes(const char *name);
wasm_module_t *world_module(struct world *world, const char *name);
/* With what the module imports; NULL for none. Fails the case when there is none. */
wasm_instance_t *world_instance(struct world *world, const char *name,
                                const wasm_extern_vec_t *imports);

/* The exports of an instance, by name. */
struct exports {
    wasm_exporttype_vec_t types;
    wasm_extern_vec_t items;
};
void exports_open(struct exports *exports, struct world *world, const char *name,
                  const wasm_extern_vec_t *imports);
void exports_close(struct exports *exports);
wasm_extern_t *export_of(const struct exports *exports, const char *name);
wasm_func_t *func_of(const struct exports *exports, const char *name);

/* An i32 function without surprises. */
int32_t call_i32(const wasm_func_t *func, size_t count, const int32_t *args);
/* One of externrefs: an own reference. */
wasm_ref_t *call_ref(const wasm_func_t *func, wasm_ref_t *arg);
/* The type of "imports"' function "call": four numbers, and the same turned round. */
wasm_functype_t *turn_type(void);
/* Takes a trap whose message has this text in it. */
void expect_trap(wasm_trap_t *trap, const char *text);
/* A message of that text, with its zero. */
wasm_trap_t *trap_of(wasm_store_t *store, const char *text);
bool name_is(const wasm_name_t *name, const char *text);

#endif
