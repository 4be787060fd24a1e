/* Error records and the status table.
 *
 * A record is filled once (first report wins) and owns its detail lines. Nothing here fails: a
 * detail that cannot be stored is dropped, a message that is too long is cut at a character
 * boundary, so that what is shown is always valid UTF-8 when the parts were.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    int http;
    int exit_code;
} statuses[] = {
#define WEIR_STATUS(id, name, text, http, exit_code) {name, text, http, exit_code},
#include <weir/status.def>
#undef WEIR_STATUS
};

static size_t status_index(enum weir_status status)
{
    size_t index = (size_t)status;
    return index < WEIR_STATUS_COUNT ? index : (size_t)WEIR_INVALID_ARGUMENT;
}

const char *weir_status_name(enum weir_status status)
{
    return statuses[status_index(status)].name;
}

const char *weir_status_text(enum weir_status status)
{
    return statuses[status_index(status)].text;
}

int weir_status_http(enum weir_status status)
{
    return statuses[status_index(status)].http;
}

int weir_status_exit_code(enum weir_status status)
{
    return statuses[status_index(status)].exit_code;
}

/* Drops the bytes of a character that the cut at `length` went through. */
static void cut_at_character(char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (length - (start - 1) < wanted)
        text[start - 1] = '\0';
}

/* Formats at `used`; returns the new length. What does not fit is cut. */
static size_t put_text(char *text, size_t used, const char *format, va_list args)
{
    size_t room = WEIR_ERROR_MESSAGE_SIZE - used;
    int wanted = vsnprintf(text + used, room, format, args);
    if (wanted < 0)
        return used;
    if ((size_t)wanted < room)
        return used + (size_t)wanted;
    cut_at_character(text, WEIR_ERROR_MESSAGE_SIZE - 1);
    return strlen(text);
}

static bool takes_report(const struct weir_error *error)
{
    return error != NULL && error->status == WEIR_OK;
}

enum weir_status weir_error_set(struct weir_error *error, enum weir_status status, uint64_t offset,
                                const char *format, ...)
{
    if (takes_report(error)) {
        va_list args;
        va_start(args, format);
        error->status = status;
        error->offset = offset;
        (void)put_text(error->message, 0, format, args);
        va_end(args);
    }
    return status;
}

enum weir_status weir_error_set_errno(struct weir_error *error, enum weir_status status, int number,
                                      const char *format, ...)
{
    if (takes_report(error)) {
        va_list args;
        va_start(args, format);
        error->status = status;
        error->offset = WEIR_NO_OFFSET;
        size_t used = put_text(error->message, 0, format, args);
        va_end(args);
        char text[128];
        /* glibc's variant: it may answer with a static string instead of the buffer. */
        const char *reason = strerror_r(number, text, sizeof text);
        if (used < WEIR_ERROR_MESSAGE_SIZE - 1)
            (void)snprintf(error->message + used, WEIR_ERROR_MESSAGE_SIZE - used, ": %s", reason);
    }
    return status;
}

void weir_error_add(struct weir_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return;
    struct weir_error_detail *detail = malloc(sizeof *detail + (size_t)length + 1);
    if (detail == NULL)
        return;
    detail->next = NULL;
    va_start(args, format);
    (void)vsnprintf(detail->text, (size_t)length + 1, format, args);
    va_end(args);
    struct weir_error_detail **end = &error->details;
    while (*end != NULL)
        end = &(*end)->next;
    *end = detail;
}

void weir_error_move(struct weir_error *to, struct weir_error *from)
{
    if (!takes_report(to)) {
        weir_error_done(from);
        return;
    }
    weir_error_done(to); /* details that were added without a status */
    *to = *from;
    memset(from, 0, sizeof *from);
}

void weir_error_done(struct weir_error *error)
{
    if (error == NULL)
        return;
    struct weir_error_detail *detail = error->details;
    while (detail != NULL) {
        struct weir_error_detail *next = detail->next;
        free(detail);
        detail = next;
    }
    memset(error, 0, sizeof *error);
}
