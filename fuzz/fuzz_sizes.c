/* The grammar of sizes and durations. What is accepted is accepted again in its shown or plain
 * form; what is refused names a place in the input. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/sizes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    uint64_t value = 0;
    uint64_t again = 0;
    struct weir_error error = {0};
    if (weir_size_parse(text, size, &value, &error) == WEIR_OK) {
        char plain[32];
        int length = snprintf(plain, sizeof plain, "%llu", (unsigned long long)value);
        WEIR_ASSERT(weir_size_parse(plain, (size_t)length, &again, NULL) == WEIR_OK);
        WEIR_ASSERT(value == again);
        WEIR_ASSERT(strlen(weir_size_format(value).text) < WEIR_SIZE_TEXT_SIZE);
    } else {
        WEIR_ASSERT(error.status == WEIR_INVALID_ARGUMENT && error.offset <= size);
    }
    error = (struct weir_error){0};
    if (weir_duration_parse(text, size, &value, &error) == WEIR_OK)
        WEIR_ASSERT(strlen(weir_duration_format(value).text) < WEIR_SIZE_TEXT_SIZE);
    else
        WEIR_ASSERT(error.status == WEIR_INVALID_ARGUMENT && error.offset <= size);
    return 0;
}
