/* Candid, both ways: whatever the bytes, they are printed or refused; what is printed of them is
 * read again; a text that is read has bytes that are printed. Principals on the way. */
#include "base/check.h"
#include "worlds/canister/candid.h"
#include "worlds/canister/principal.h"

/* Much output from few bytes is allowed, and bounded; not for the fuzzer's patience. */
#define INPUT_MAX 4096

static void read_again(const struct weir_candid_text *text, struct weir_arena *arena)
{
    const uint8_t *bytes = NULL;
    size_t size = 0;
    struct weir_candid_text again = {0};
    struct weir_error error = {0};
    if (weir_candid_encode(text->text, text->size, arena, &bytes, &size, &error) == WEIR_OK) {
        enum weir_status status = weir_candid_decode(bytes, size, NULL, arena, &again, &error);
        WEIR_ASSERT(status == WEIR_OK || status == WEIR_TOO_LARGE);
    }
    weir_error_done(&error);
}

static void try_bytes(const uint8_t *data, size_t size, struct weir_arena *arena)
{
    struct weir_candid_text text = {0};
    struct weir_error error = {0};
    uint64_t value = 0;
    enum weir_status status = weir_candid_decode(data, size, NULL, arena, &text, &error);
    if (status == WEIR_OK)
        read_again(&text, arena);
    else
        WEIR_ASSERT(error.status == status && error.message[0] != 0);
    weir_error_done(&error);
    status = weir_candid_field(data, size, "heapSize", arena, &value, &error);
    WEIR_ASSERT(status == WEIR_OK || error.status == status);
    weir_error_done(&error);
}

static void try_text(const char *text, size_t size, struct weir_arena *arena)
{
    const uint8_t *bytes = NULL;
    size_t bytes_size = 0;
    struct weir_candid_text printed = {0};
    struct weir_candid_names names;
    struct weir_principal principal;
    struct weir_error error = {0};
    enum weir_status status = weir_candid_names_of(text, size, arena, &names, &error);
    WEIR_ASSERT(status == WEIR_OK);
    (void)weir_principal_read(text, size, &principal);
    status = weir_candid_encode(text, size, arena, &bytes, &bytes_size, &error);
    if (status == WEIR_OK) {
        status = weir_candid_decode(bytes, bytes_size, &names, arena, &printed, &error);
        WEIR_ASSERT(status == WEIR_OK || status == WEIR_TOO_LARGE);
    } else {
        WEIR_ASSERT(error.status == status && error.message[0] != 0);
    }
    weir_error_done(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena *arena = NULL;
    if (size > INPUT_MAX || weir_arena_new(NULL, 0, &arena, NULL) != WEIR_OK)
        return 0;
    try_bytes(data, size, arena);
    try_text((const char *)data, size, arena);
    weir_arena_free(arena);
    return 0;
}
