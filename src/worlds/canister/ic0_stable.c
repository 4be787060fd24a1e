/* ic0: stable memory. */
#include "worlds/canister/ic0_internal.h"

enum weir_status weir__ic0_stable64_size(struct weir__ic0 *call)
{
    call->result = weir_stable_pages(call->canister->stable);
    return WEIR_OK;
}

/* The platform's 500 GiB are for the heap too; what this run was given is for stable memory. */
enum weir_status weir__ic0_stable64_grow(struct weir__ic0 *call)
{
    struct weir_canister *canister = call->canister;
    uint64_t heap = call->memory != NULL ? weir_memory_bytes(call->memory) : 0;
    uint64_t bytes_max = CANISTER_STABLE_BYTES_MAX - heap;
    uint64_t max_pages =
        (canister->stable_bytes_max < bytes_max ? canister->stable_bytes_max : bytes_max) /
        WEIR_WASM_PAGE_BYTES;
    uint64_t pages = weir_stable_pages(canister->stable);
    if (pages > max_pages || call->args[0] > max_pages - pages)
        call->result = UINT64_MAX;
    else
        call->result = weir_stable_grow(canister->stable, call->args[0], NULL);
    return WEIR_OK;
}

static enum weir_status finish(struct weir__ic0 *call, enum weir_status status,
                               struct weir_error *error)
{
    if (status == WEIR_OK)
        return WEIR_OK;
    status = weir__ic0_fail(call, "%s", error->message);
    weir_error_done(error);
    return status;
}

static enum weir_status need_memory(struct weir__ic0 *call)
{
    return call->memory != NULL ? WEIR_OK : weir__ic0_fail(call, "the module has no memory");
}

enum weir_status weir__ic0_stable64_write(struct weir__ic0 *call)
{
    struct weir_error error = {0};
    enum weir_status status = need_memory(call);
    if (status != WEIR_OK)
        return status;
    status = weir_stable_write(call->canister->stable, call->args[0], call->memory, call->args[1],
                               call->args[2], &error);
    return finish(call, status, &error);
}

enum weir_status weir__ic0_stable64_read(struct weir__ic0 *call)
{
    struct weir_error error = {0};
    enum weir_status status = need_memory(call);
    if (status != WEIR_OK)
        return status;
    status = weir_stable_read(call->canister->stable, call->args[1], call->memory, call->args[0],
                              call->args[2], &error);
    return finish(call, status, &error);
}
