/* What the runtime's tests share: modules compiled in this process (no child, no directory), and
 * calls by name. Every helper fails the test with the error's own words. */
#ifndef WEIR_TEST_RUNTIME_FIXTURE_H
#define WEIR_TEST_RUNTIME_FIXTURE_H

#include <check.h>

#include "artifact/abi.h"

#include <weir/weir.h>

/* Compiles with the engine's options (as `config` says) and loads. */
struct weir_module *fixture_module(struct weir_engine *engine,
                                   const struct weir_engine_config *config, const uint8_t *wasm,
                                   size_t size);
/* The artifact alone: a memfd, not sealed. */
int fixture_artifact(const struct weir_engine_config *config, const uint8_t *wasm, size_t size);

struct weir_engine *fixture_engine(const struct weir_engine_config *config);
struct weir_store *fixture_store(struct weir_engine *engine);
struct weir_instance *fixture_instance(struct weir_store *store, const struct weir_linker *linker,
                                       struct weir_module *module);
struct weir_funcref *fixture_func(struct weir_instance *instance, const char *name);
struct weir_memory *fixture_memory(struct weir_instance *instance, const char *name);

/* One call with i64 or i32 arguments; the status, and the result's 64 bits. */
enum weir_status fixture_call(struct weir_instance *instance, const char *name, const int64_t *args,
                              size_t arg_count, int64_t *ret_result, struct weir_trap *trap);
/* One that must succeed. */
int64_t fixture_call_ok(struct weir_instance *instance, const char *name, const int64_t *args,
                        size_t arg_count);
/* One that must trap so. */
void fixture_call_traps(struct weir_instance *instance, const char *name, const int64_t *args,
                        size_t arg_count, int code);

/* CALL_OK(instance, "name", arguments ...) and CALL_TRAPS(instance, "name", code, arguments ...).
 * The closing 0 is no argument; it keeps the list from being empty. */
#define CALL_OK(instance, ...) FIXTURE_CALL_OK(instance, __VA_ARGS__, 0)
#define CALL_TRAPS(instance, ...) FIXTURE_CALL_TRAPS(instance, __VA_ARGS__, 0)
#define FIXTURE_LIST(...)                                                                          \
    (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t) - 1
#define FIXTURE_CALL_OK(instance, name, ...)                                                       \
    fixture_call_ok((instance), (name), FIXTURE_LIST(__VA_ARGS__))
#define FIXTURE_CALL_TRAPS(instance, name, code, ...)                                              \
    fixture_call_traps((instance), (name), FIXTURE_LIST(__VA_ARGS__), (code))

#endif
