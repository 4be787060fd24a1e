/* For toml_differential.py: reads documents from stdin, each a line with its size and its bytes,
 * and answers each with a line: "error REASON", or the number of values and of whole numbers' sum.
 */
#include "govern/toml.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct totals {
    uint64_t values;
    uint64_t sum;
};

static enum weir_status count(void *context, const char *path, const struct weir_toml_value *value,
                              struct weir_error *error)
{
    struct totals *totals = context;
    (void)path;
    (void)error;
    totals->values++;
    if (value->type == WEIR_TOML_INTEGER)
        totals->sum += (uint64_t)value->integer;
    return WEIR_OK;
}

int main(void)
{
    size_t size;
    while (scanf("%zu", &size) == 1 && getchar() == '\n') {
        char *bytes = malloc(size + 1);
        if (bytes == NULL || fread(bytes, 1, size, stdin) != size)
            return 1;
        struct totals totals = {0};
        struct weir_error error = {0};
        if (weir_toml_parse("x", bytes, size, count, &totals, &error) == WEIR_OK)
            printf("%" PRIu64 " %" PRIu64 "\n", totals.values, totals.sum);
        else
            printf("error %s\n", error.message);
        weir_error_done(&error);
        free(bytes);
    }
    return 0;
}
