/* TOML and what is read from it. Every value that is reported has a line of the document and a
 * text that ends; what is refused names a line; reading twice gives the same. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "govern/toml.h"
#include "govern/wasmd_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    unsigned lines;
    uint64_t values;
    uint64_t bytes;
};

static enum weir_status see(void *context, const char *path, const struct weir_toml_value *value,
                            struct weir_error *error)
{
    struct seen *seen = context;
    (void)error;
    WEIR_ASSERT(value->line >= 1 && value->line <= seen->lines);
    WEIR_ASSERT(strlen(value->text) < WEIR_TOML_TEXT_SIZE);
    WEIR_ASSERT(strlen(path) < WEIR_TOML_PATH_BYTES_MAX && path[0] != '\0');
    seen->values++;
    seen->bytes += strlen(path) + strlen(value->text);
    return WEIR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct seen first = {.lines = 1};
    for (size_t i = 0; i < size; i++)
        first.lines += data[i] == '\n';
    struct seen second = first;
    struct weir_error error = {0};
    enum weir_status status = weir_toml_parse("f", text, size, see, &first, &error);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_MALFORMED || status == WEIR_LIMIT);
    WEIR_ASSERT(status != WEIR_MALFORMED || strncmp(error.message, "f, line ", 8) == 0);
    weir_error_done(&error);
    WEIR_ASSERT(weir_toml_parse("f", text, size, see, &second, NULL) == status);
    WEIR_ASSERT(first.values == second.values && first.bytes == second.bytes);
    struct weir_wasmd_config config;
    if (weir_wasmd_config_parse("f", text, size, &config, NULL) == WEIR_OK)
        WEIR_ASSERT(status == WEIR_OK && config.cache_mib <= UINT32_MAX);
    return 0;
}
