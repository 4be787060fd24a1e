/* Both parsers of the CGI convention. The first byte chooses: a guest's head (whatever is accepted
 * must hold what the server relies on), a request target, or header fields as lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "server/cgi.h"

static void read_head(char *bytes, size_t size)
{
    struct weir_cgi_head head;
    struct weir_error error = {0};
    enum weir_status status = weir_cgi_head_parse(bytes, size, &head, &error);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_PENDING || status == WEIR_MALFORMED);
    WEIR_ASSERT(status != WEIR_PENDING || size < WEIR_SERVER_CGI_HEAD_MAX);
    if (status == WEIR_OK) {
        WEIR_ASSERT(head.status >= 200 && head.status <= 599);
        WEIR_ASSERT(head.body_offset > 0 && head.body_offset <= size);
        WEIR_ASSERT(head.field_count <= WEIR_SERVER_CGI_FIELDS_MAX);
        for (size_t i = 0; i < head.field_count; i++) {
            WEIR_ASSERT(head.fields[i].name[0] != 0);
            WEIR_ASSERT(strpbrk(head.fields[i].name, " \t\r\n:") == NULL);
            WEIR_ASSERT(strpbrk(head.fields[i].value, "\r\n") == NULL);
        }
    }
    weir_error_done(&error);
}

static void read_target(char *text)
{
    struct weir_cgi_target target;
    if (weir_cgi_target_parse(text, &target, NULL) == WEIR_OK) {
        WEIR_ASSERT(target.path[0] == '/');
        WEIR_ASSERT(strpbrk(target.path, "\r\n") == NULL);
    }
}

static void read_fields(char *text)
{
    char bytes[512];
    const char *list[16];
    struct weir_cgi_env env = {.bytes = bytes, .size = sizeof bytes, .list = list, .count_max = 16};
    struct weir_cgi_check check = {0};
    struct weir_error error = {0};
    char *line = text;
    while (line != NULL) {
        char *next = strchr(line, '\n');
        if (next != NULL)
            *next++ = 0;
        char *colon = strchr(line, ':');
        if (colon != NULL) {
            *colon = 0;
            weir_cgi_env_header(&env, line, colon + 1);
            const struct weir_cgi_field field = {line, colon + 1};
            if (weir_cgi_check_field(&check, &field, &error) == WEIR_OK)
                WEIR_ASSERT(weir_cgi_is_token(line, strlen(line)) &&
                            strpbrk(colon + 1, "\r\n") == NULL);
        }
        line = next;
    }
    if (weir_cgi_check_head(&check, "GET", false, &error) == WEIR_OK)
        WEIR_ASSERT(check.host_count == 1 && !(check.has_encoding && check.length != NULL));
    weir_error_done(&error);
    WEIR_ASSERT(env.count <= 16 && env.used <= sizeof bytes);
    for (size_t i = 0; i < env.count; i++) {
        WEIR_ASSERT(strncmp(env.list[i], "HTTP_", 5) == 0);
        WEIR_ASSERT(strncmp(env.list[i], "HTTP_PROXY=", 11) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size);
    WEIR_ASSERT(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    if (data[0] % 3 == 1)
        read_target(text);
    else if (data[0] % 3 == 2)
        read_fields(text);
    else
        read_head(text, size - 1);
    free(text);
    return 0;
}
