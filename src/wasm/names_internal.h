/* The name section without the fallback to exports and imports. */
#ifndef WEIR_WASM_NAMES_INTERNAL_H
#define WEIR_WASM_NAMES_INTERNAL_H

#include "wasm/names.h"

/* Fills names[func_count] (zeroed by the caller) from the name section. False, and zeroes again,
 * when there is none or it is broken. */
bool weir__names_read(const struct weir_wasm_module *module, struct weir_wasm_bytes *names);

#endif
