/* What a canister holds: the Internet Computer's metrics, and beside them what those leave out. */
#include "worlds/canister/canister_internal.h"

#include <string.h>

#include "worlds/canister/candid.h"

static const char RUNTIME_QUERY[] = "__motoko_runtime_information";
/* The table of types and some numbers. */
#define RUNTIME_SCRATCH_BYTES (16u << 10)

/* Motoko's runtime tells its figures to controllers; the canister asks in the first one's name. */
static enum weir_status ask_runtime(struct weir_canister *canister,
                                    struct weir_canister_response *response,
                                    struct weir_error *error)
{
    static const uint8_t nothing[] = {'D', 'I', 'D', 'L', 0, 0};
    const struct weir_canister_call call = {.method = RUNTIME_QUERY,
                                            .arg = nothing,
                                            .arg_size = sizeof nothing,
                                            .caller = &canister->controllers[0]};
    return weir_canister_query(canister, &call, response, error);
}

static void read_live(struct weir_canister *canister, const struct weir_canister_response *response,
                      struct weir_canister_status *ret)
{
    struct weir_account_source context = {canister->account, WEIR_KIND_HOST_BUFFER};
    struct weir_arena_source source = weir_account_arena_source(&context);
    struct weir_arena *arena = NULL;
    uint64_t live = 0;
    uint64_t live_max = 0;
    if (weir_arena_new(&source, RUNTIME_SCRATCH_BYTES, &arena, NULL) == WEIR_OK &&
        weir_candid_field(response->bytes, response->size, "heapSize", arena, &live, NULL) ==
            WEIR_OK &&
        weir_candid_field(response->bytes, response->size, "maxLiveSize", arena, &live_max, NULL) ==
            WEIR_OK) {
        ret->has_live = true;
        ret->live_bytes = live;
        ret->live_max_bytes = live_max;
        ret->live_source = "by the module's own runtime, garbage not collected yet included";
    } else {
        ret->live_source = "not observable: the module's runtime answered something else";
    }
    weir_arena_free(arena);
}

static enum weir_status find_live(struct weir_canister *canister, struct weir_canister_status *ret,
                                  struct weir_error *error)
{
    if (canister->controller_count == 0 ||
        weir__body_func(canister->body, "canister_query ", RUNTIME_QUERY) == NULL) {
        ret->live_source = "not observable: the module does not tell";
        return WEIR_OK;
    }
    struct weir_canister_response response = {0};
    enum weir_status status = ask_runtime(canister, &response, error);
    if (status != WEIR_OK)
        return status;
    if (response.code == WEIR_CANISTER_REPLIED)
        read_live(canister, &response, ret);
    else
        ret->live_source = "not observable: the module's runtime does not answer";
    weir_canister_response_done(&response);
    return WEIR_OK;
}

static void find_metrics(const struct weir_canister *canister, struct weir_canister_metrics *ret)
{
    const struct weir__body *body = canister->body;
    *ret = (struct weir_canister_metrics){
        .stable_memory_size = weir_stable_pages(canister->stable) * WEIR_WASM_PAGE_BYTES,
        .canister_history_size = canister->change_count * sizeof canister->changes[0]};
    if (body == NULL)
        return;
    ret->wasm_memory_size = weir__body_heap_bytes(body);
    ret->wasm_binary_size = body->upload_bytes;
    ret->custom_sections_size = body->custom_bytes;
    ret->global_memory_size = body->global_bytes;
}

static enum weir_status find_pages(const struct weir_canister *canister,
                                   struct weir_canister_status *ret, struct weir_error *error)
{
    struct weir_stable_figures stable;
    weir_stable_figures(canister->stable, &stable);
    ret->stable_touched_bytes = stable.touched_bytes;
    if (canister->body == NULL || canister->body->memory == NULL)
        return WEIR_OK;
    struct weir_memory_figures figures;
    enum weir_status status = weir_memory_figures(canister->body->memory, &figures, error);
    if (status != WEIR_OK)
        return status;
    ret->resident_bytes = figures.resident_bytes;
    ret->private_bytes = figures.private_bytes;
    ret->image_bytes = weir_memory_image_bytes(canister->body->memory);
    return WEIR_OK;
}

enum weir_status weir_canister_status(struct weir_canister *canister,
                                      struct weir_canister_status *ret, struct weir_error *error)
{
    struct weir_canister_status found = {.id = canister->id,
                                         .controllers = canister->controllers,
                                         .controller_count = canister->controller_count,
                                         .version = canister->version,
                                         .heap_limit = canister->heap_limit,
                                         .low_memory_bytes = canister->low_memory_bytes,
                                         .low_memory_ran = canister->low_memory_ran,
                                         .timer_ns = canister->timer_ns,
                                         .certified_bytes = canister->certified_size,
                                         .has_code = canister->body != NULL,
                                         .language = "",
                                         .live_source = "",
                                         .growths = canister->top,
                                         .changes = canister->changes,
                                         .change_count = canister->change_count,
                                         .change_total = canister->change_total};
    enum weir_status status = WEIR_OK;
    if (found.has_code) {
        status = weir__ready(canister, error);
        if (status == WEIR_OK)
            status = find_pages(canister, &found, error); /* before the query touches some */
        if (status == WEIR_OK)
            status = find_live(canister, &found, error);
        if (status != WEIR_OK)
            return status;
        found.language = canister->body->language;
        found.heap_pages = weir__body_heap_bytes(canister->body) / WEIR_WASM_PAGE_BYTES;
    }
    find_metrics(canister, &found.metrics);
    found.growth_count = weir__growth_sort(canister, canister->top);
    struct weir_account_reading reading;
    weir_account_read(canister->account, &reading);
    found.charged_bytes = reading.used_bytes;
    *ret = found;
    return WEIR_OK;
}
