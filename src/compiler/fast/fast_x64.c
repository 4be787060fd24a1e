/* The slow side of the encoder: growing the text, noting fix-ups, padding.
 *
 * Out of memory or over X64_TEXT_MAX the buffer is rewound and a sticky flag set, so emitters need
 * no checks of their own: the bytes they write are lost, and the driver reports.
 */
#include "compiler/fast/x64.h"

#include <stdlib.h>
#include <string.h>

void weir__x64_grow(struct x64_asm *a, size_t bytes)
{
    size_t used = (size_t)(a->next - a->text);
    size_t capacity = (size_t)(a->end - a->text);
    size_t wanted = capacity + capacity / 2;
    if (wanted < used + bytes)
        wanted = used + bytes + 65536;
    if (used + bytes > X64_TEXT_MAX)
        a->is_too_large = true;
    uint8_t *text = a->is_too_large ? NULL : realloc(a->text, wanted);
    if (text == NULL) {
        /* Nobody asks for more than a buffer has after its first growth without a check. */
        a->is_out_of_memory = !a->is_too_large;
        WEIR_ASSERT(capacity >= bytes);
        a->next = a->text;
        return;
    }
    a->text = text;
    a->next = text + used;
    a->end = text + wanted;
}

void weir__x64_fixup(struct x64_asm *a, uint32_t rodata_offset, int32_t addend)
{
    if (a->fixup_count == a->fixup_capacity) {
        size_t capacity = a->fixup_capacity * 2 + 256;
        void *grown = realloc(a->fixups, capacity * sizeof *a->fixups);
        if (grown == NULL) {
            a->is_out_of_memory = true;
            return;
        }
        a->fixups = grown;
        a->fixup_capacity = capacity;
    }
    a->fixups[a->fixup_count++] = (struct weir_code_fixup){
        .at = x64_here(a),
        .target = WEIR_CODE_RODATA,
        .target_offset = rodata_offset,
        .addend = addend,
    };
}

/* The longest no-operations first (Intel's table of recommended forms). */
void weir__x64_align(struct x64_asm *a, unsigned alignment)
{
    static const uint8_t nops[9][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };
    unsigned missing = (alignment - (x64_here(a) & (alignment - 1))) & (alignment - 1);
    while (missing > 0) {
        unsigned step = missing > 9 ? 9 : missing;
        memcpy(a->next, nops[step - 1], step);
        a->next += step;
        missing -= step;
    }
}

/* The first buffer; text stays NULL when memory is refused. */
void weir__x64_first(struct x64_asm *a, size_t bytes)
{
    a->text = malloc(bytes);
    a->next = a->text;
    a->end = a->text == NULL ? NULL : a->text + bytes;
}
