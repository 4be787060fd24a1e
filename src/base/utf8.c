/* UTF-8 check; see utf8.h. */
#include "base/utf8.h"

#include "base/bytes.h"

/* Length of the character at `bytes`, or 0. The bounds of the second byte exclude overlong forms,
 * surrogates and what lies beyond U+10FFFF (Unicode 15, table 3-7). */
static size_t character_length(const uint8_t *bytes, size_t left)
{
    uint8_t lead = bytes[0];
    if (lead < 0x80)
        return 1;
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead < 0xc2 || lead > 0xf4 || length > left)
        return 0;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

size_t weir_utf8_valid_prefix(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size) {
        if (size - at >= 8 && (weir_load_u64(bytes + at) & 0x8080808080808080u) == 0) {
            at += 8;
            continue;
        }
        size_t length = character_length(bytes + at, size - at);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}
