/* Runs the fast generator's output without the runtime: one module, its imports faked, on the
 * thread's own stack. Traps come back as codes. For tests of the generator only. */
#ifndef WEIR_TESTS_FAST_HARNESS_H
#define WEIR_TESTS_FAST_HARNESS_H

#include "artifact/abi.h"
#include "compiler/common/code.h"

struct harness;

/* Decodes, validates, compiles, instantiates. NULL with a message in `error` when one of them
 * fails. Function imports answer 0; other imports are made to fit, with the values of the official
 * test suite's "spectest" module. The start function is not run. */
struct harness *harness_new(const uint8_t *bytes, size_t size,
                            const struct weir_code_options *options, struct weir_error *error);
void harness_free(struct harness *h);

/* Index of an exported function, or WEIR_WASM_NONE. */
uint32_t harness_export(const struct harness *h, const char *name, size_t length);
/* Calls function `index` with one 64-bit word per parameter; results the same way, at most
 * WEIR_ABI_SLOTS. Returns WEIR_TRAP_NONE or what it trapped with; *ret_offset is the trap's place
 * in the module. */
enum weir_trap_code harness_call(struct harness *h, uint32_t index, const uint64_t *args,
                                 uint64_t *ret_results, uint32_t *ret_offset);
bool harness_global(const struct harness *h, const char *name, size_t length, uint64_t *ret_bits);

void harness_set_stack(struct harness *h, uint64_t bytes);
struct weir_vm_state *harness_state(struct harness *h);
const struct weir_code *harness_code(const struct harness *h);
const struct weir_wasm_module *harness_module(const struct harness *h);
uint8_t *harness_memory(struct harness *h);
uint32_t harness_polls(const struct harness *h);
const uint8_t *harness_text(const struct harness *h);

#endif
