/* What a failed message is answered with: the Internet Computer's own text, so that what people and
 * programs know by heart stays true, and beside it what that text leaves out. */
#include "worlds/canister/canister_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sizes.h"
#include "base/utf8.h"

void weir_canister_response_done(struct weir_canister_response *response)
{
    if (response->canister != NULL && response->bytes != NULL)
        weir_account_free(response->canister->account, WEIR_KIND_HOST_BUFFER, response->bytes,
                          response->size + 1);
    free(response->note);
    *response = (struct weir_canister_response){0};
}

void weir__response_reject(struct weir_canister *canister, struct weir_canister_response *response,
                           enum weir_canister_reject code, const char *error_code,
                           const char *format, ...)
{
    char body[CANISTER_TEXT_BYTES_MAX + 1024];
    char id[WEIR_PRINCIPAL_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(body, sizeof body, format, args);
    va_end(args);
    weir_principal_write(&canister->id, id);
    char text[sizeof body + 128];
    int length = snprintf(text, sizeof text, "Error from Canister %s: %s", id, body);
    size_t size = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    weir_canister_response_done(response);
    *response = (struct weir_canister_response){
        .code = code, .error_code = error_code, .canister = canister};
    response->bytes = weir_account_alloc(canister->account, WEIR_KIND_HOST_BUFFER, size + 1, NULL);
    if (response->bytes == NULL)
        return; /* the code says enough */
    memcpy(response->bytes, text, size);
    response->size = size;
}

enum weir_status weir__response_take(struct weir_canister *canister,
                                     struct weir_canister_response *response,
                                     enum weir_canister_reject code,
                                     const struct weir__buffer *bytes, struct weir_error *error)
{
    uint8_t *copy =
        weir_account_alloc(canister->account, WEIR_KIND_HOST_BUFFER, bytes->size + 1, error);
    if (copy == NULL)
        return weir_error_refused(error);
    if (bytes->size != 0)
        memcpy(copy, bytes->bytes, bytes->size);
    weir_canister_response_done(response);
    *response = (struct weir_canister_response){
        .code = code, .canister = canister, .bytes = copy, .size = bytes->size};
    return WEIR_OK;
}

/* Appended to the note, a line each. Lost where memory is refused: the text stands. */
void weir__response_note(struct weir_canister_response *response, const char *format, ...)
{
    char line[768];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t size = length < 0 ? 0 : (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
    char *note = realloc(response->note, response->note_size + size + 2);
    if (note == NULL)
        return;
    memcpy(note + response->note_size, line, size);
    response->note_size += size;
    note[response->note_size++] = '\n';
    note[response->note_size] = 0;
    response->note = note;
}

void weir__response_heap_limit(struct weir_canister *canister, const char *method,
                               uint64_t wanted_bytes, const char *chain,
                               struct weir_canister_response *response)
{
    weir__response_reject(
        canister, response, WEIR_CANISTER_ERROR, "IC0539",
        "Canister exceeded its current Wasm memory limit of %llu bytes. The peak Wasm memory usage "
        "was %llu bytes. If the canister reaches 4GiB, then it may stop functioning and may become "
        "unrecoverable. Please reach out to the canister owner to investigate the reason for the "
        "increased memory usage. It might be necessary to move data from the Wasm memory to the "
        "stable memory. If such high Wasm memory usage is expected and safe, then the developer "
        "can increase the Wasm memory limit in the canister settings..\n"
        "Try checking the canister for a possible memory leak or modifying it to use more stable "
        "memory instead of Wasm memory. See documentation: https://internetcomputer.org/docs/"
        "current/references/execution-errors#wasm-memory-limit-exceeded",
        (unsigned long long)canister->heap_limit, (unsigned long long)wanted_bytes);
    uint64_t heap = canister->body != NULL ? weir__body_heap_bytes(canister->body) : 0;
    weir__response_note(response, "in %s, which wanted %s of heap in all; it has %s", method,
                        weir_size_format(wanted_bytes).text, weir_size_format(heap).text);
    if (chain != NULL && chain[0] != 0)
        weir__response_note(response, "grown by %s", chain);
    struct weir_canister_growth top[CANISTER_GROWTHS_MAX];
    size_t count = weir__growth_sort(canister, top);
    for (size_t i = 0; i < count && i < 3; i++)
        weir__response_note(response, "%s %s by %s in %llu steps, in %s",
                            i == 0 ? "biggest growths since the deploy:" : "then",
                            weir_size_format(top[i].pages * WEIR_WASM_PAGE_BYTES).text,
                            top[i].function, (unsigned long long)top[i].count, top[i].method);
}

/* The guest's text, as far as it is text. */
static int printable(const struct weir__message *message)
{
    return (int)weir_utf8_valid_prefix((const uint8_t *)message->trap_text, message->trap_size);
}

static const char *trap_words(int code)
{
    switch (code) {
    case WEIR_TRAP_UNREACHABLE:
        return "unreachable";
    case WEIR_TRAP_MEMORY_BOUNDS:
        return "heap out of bounds";
    case WEIR_TRAP_TABLE_BOUNDS:
    case WEIR_TRAP_UNDEFINED_ELEMENT:
        return "table out of bounds";
    case WEIR_TRAP_UNINITIALIZED_ELEMENT:
        return "null reference";
    case WEIR_TRAP_INDIRECT_TYPE:
        return "indirect call type mismatch";
    case WEIR_TRAP_DIVIDE_BY_ZERO:
        return "integer division by 0";
    case WEIR_TRAP_INTEGER_OVERFLOW:
        return "integer overflow";
    case WEIR_TRAP_INVALID_CONVERSION:
        return "bad conversion to integer";
    case WEIR_TRAP_STACK_EXHAUSTED:
        return "stack overflow";
    default:
        return NULL;
    }
}

static void write_trap(struct weir_canister *canister, const struct weir__message *message,
                       const struct weir_trap *trap, struct weir_canister_response *response)
{
    const char *words = trap_words(trap->code);
    if (message->trap_size != 0 ||
        (trap->code == WEIR_TRAP_HOST && strcmp(trap->cause.message, "ic0.trap") == 0))
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0503",
                              "Canister called `ic0.trap` with message: '%.*s'", printable(message),
                              message->trap_text);
    else if (trap->code == WEIR_TRAP_FUEL)
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0522",
                              "Canister exceeded the limit of %llu instructions for single message "
                              "execution.",
                              (unsigned long long)message->fuel);
    else if (trap->code == WEIR_TRAP_HOST)
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0504",
                              "Canister violated contract: %s", trap->cause.message);
    else if (words != NULL)
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0502",
                              "Canister trapped: %s", words);
    else
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0502",
                              "Canister trapped: %s%s%s", weir_trap_text(trap->code),
                              trap->cause.message[0] != 0 ? ": " : "", trap->cause.message);
}

void weir__response_trap(struct weir_canister *canister, const struct weir__message *message,
                         const struct weir_trap *trap, struct weir_canister_response *response)
{
    if (message->refused_bytes != 0) {
        weir__response_heap_limit(canister, message->method, message->refused_bytes, message->chain,
                                  response);
        return;
    }
    write_trap(canister, message, trap, response);
    weir__response_note(response, "in %s", message->method);
    for (size_t i = 0; i < trap->frame_count && i < 6; i++)
        weir__response_note(response, "  %s%s +0x%x", i == 0 ? "at " : "<- ",
                            trap->frames[i].function, trap->frames[i].func_offset);
}
