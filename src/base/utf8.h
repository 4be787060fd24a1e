/* Well-formed UTF-8 (Unicode 15, table 3-7; WebAssembly 2.0, section 5.2.4): no overlong
 * forms, no surrogates, nothing above U+10FFFF. */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the longest prefix that is well formed; `size` when all of it is. */
size_t weir_utf8_valid_prefix(const uint8_t *bytes, size_t size);

#endif
