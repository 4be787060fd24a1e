/* Function names for people: the name section if it is well formed, exports and imports for what it
 * leaves open. A broken name section is ignored, as the specification asks. */
#ifndef WEIR_WASM_NAMES_H
#define WEIR_WASM_NAMES_H

#include "wasm/module.h"

/* Fills names[func_count]; entries without a name have size 0. The bytes stay in the module. */
enum weir_status weir_wasm_func_names(const struct weir_wasm_module *module,
                                      struct weir_arena *arena,
                                      const struct weir_wasm_bytes **ret_names,
                                      struct weir_error *error) WEIR_MUST_USE;

#endif
