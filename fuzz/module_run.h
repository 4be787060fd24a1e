/* Runs a module of wasm_gen.h in this process, compiled by the fast generator, and says what came
 * of it in a form that can be compared with other engines. */
#ifndef WEIR_FUZZ_MODULE_RUN_H
#define WEIR_FUZZ_MODULE_RUN_H

#include <weir/weir.h>

#include "wasm_gen.h"

struct run_outcome {
    const char *traps[GEN_TESTS]; /* class of trap, NULL: returned */
    int64_t values[GEN_TESTS];
    uint64_t hashes[GEN_TESTS]; /* of the memory, FNV-1a, after each test */
};

struct run_options {
    enum weir_bounds bounds;
    bool has_fuel;
    bool no_poll;
};

/* Ends the process with a message when the module cannot be compiled or instantiated: it is
 * valid. */
void run_module(const uint8_t *bytes, size_t size, const struct run_options *options,
                struct run_outcome *ret_outcome);

/* The parts of it. An engine and an artifact (a descriptor) of that form, */
struct weir_engine *run_engine(const struct run_options *options);
int run_compile(const uint8_t *bytes, size_t size, const struct run_options *options);
/* the classes of traps that engines agree on, and an end with a message for what cannot be. */
const char *run_trap_class(int code);
extern const char *run_subject; /* the module's name in that message */
void run_expect(enum weir_status status, const char *what, const struct weir_error *error);

#endif
