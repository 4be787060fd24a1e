/* UTF-8 as the specification defines it for names (WebAssembly 2.0, section 5.2.4): no overlong
 * forms, no surrogates, nothing above U+10FFFF. */
#ifndef WEIR_WASM_UTF8_INTERNAL_H
#define WEIR_WASM_UTF8_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* Length of the longest prefix that is well formed; `size` when all of it is. */
size_t weir__utf8_valid_prefix(const uint8_t *bytes, size_t size);

#endif
