/* Variables of a service manager, one per line in the order of the record: what is taken over is
 * within its bounds, what is not names its variable. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "server/service_manager.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *rest = text;
    const char *lines[6] = {NULL};
    WEIR_ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = 0;
    for (size_t i = 0; i < 6 && rest != NULL; i++) {
        lines[i] = rest;
        rest = strchr(rest, '\n');
        if (rest != NULL)
            *rest++ = 0;
        if (strcmp(lines[i], "-") == 0)
            lines[i] = NULL;
    }
    const struct weir_service_env env = {lines[0], lines[1], lines[2], lines[3],
                                         lines[4], lines[5], 42};
    struct weir_service service = {0};
    struct weir_error error = {0};
    enum weir_status status = weir_service_parse(&env, &service, &error);
    if (status == WEIR_OK) {
        WEIR_ASSERT(service.socket_count <= WEIR_SERVICE_SOCKETS_MAX);
        WEIR_ASSERT(service.notify_size <= sizeof service.notify);
        for (uint32_t i = 0; i < service.socket_count; i++)
            WEIR_ASSERT(memchr(service.sockets[i].name, 0, WEIR_SERVICE_NAME_SIZE) != NULL);
    } else {
        WEIR_ASSERT(status == WEIR_CONFIG && strchr(error.message, '_') != NULL);
        WEIR_ASSERT(service.socket_count == 0 && service.notify_size == 0);
    }
    weir_error_done(&error);
    free(text);
    return 0;
}
