/* Traps and frames: what a call came back with, as objects of their store. */
#include <stdio.h>

#include "artifact/abi.h"
#include "capi/capi_internal.h"

struct wasm_frame_t {
    struct wasm_store_t *store; /* counted */
    wasm_instance_t *instance;  /* a handle, once asked for */
    struct weir__capi_place place;
};

static wasm_trap_t *reserve_of(struct wasm_store_t *store)
{
    return (wasm_trap_t *)(void *)weir__capi_ref(&store->reserve.ref);
}

void weir__capi_trap_free(struct wasm_trap_t *trap)
{
    struct weir_account *account = trap->ref.store->account;
    for (size_t i = 0; i < trap->place_count; i++)
        weir_module_unref(trap->places[i].code);
    weir_account_free(account, WEIR_KIND_HANDLE, trap->message, trap->message_size);
    weir_account_free(account, WEIR_KIND_HANDLE, trap->places,
                      trap->place_count * sizeof *trap->places);
    weir_account_free(account, WEIR_KIND_HANDLE, trap, sizeof *trap);
}

/* `size` bytes and a zero behind them. NULL: refused. */
static wasm_trap_t *new_trap(struct wasm_store_t *store, const char *message, size_t size)
{
    struct weir_account *account = store->account;
    wasm_trap_t *trap = weir_account_alloc(account, WEIR_KIND_HANDLE, sizeof *trap, NULL);
    if (trap == NULL)
        return NULL;
    trap->message = weir_account_alloc(account, WEIR_KIND_HANDLE, size + 1, NULL);
    if (trap->message == NULL) {
        weir_account_free(account, WEIR_KIND_HANDLE, trap, sizeof *trap);
        return NULL;
    }
    if (size > 0)
        memcpy(trap->message, message, size);
    trap->message_size = size + 1;
    weir__capi_begin(&trap->ref, WEIR__CAPI_TRAP, store);
    return trap;
}

/* Always one: the store's reserve when there is no memory. */
static wasm_trap_t *own_trap(struct wasm_store_t *store, const char *message)
{
    wasm_trap_t *trap = new_trap(store, message, strlen(message));
    return trap != NULL ? trap : reserve_of(store);
}

wasm_trap_t *wasm_trap_new(wasm_store_t *store, const wasm_message_t *message)
{
    size_t size = message != NULL && message->data != NULL ? message->size : 0;
    if (size > 0 && message->data[size - 1] == '\0')
        size--;
    wasm_trap_t *trap = new_trap(store, size > 0 ? message->data : "", size);
    return trap != NULL ? trap : reserve_of(store);
}

/* The instance whose code it is may be released before the trap is deleted. */
static struct weir_module *module_of(const struct weir_trap_frame *frame)
{
    return weir_module_ref((struct weir_module *)(uintptr_t)frame->code);
}

/* A trap without frames says less, but it is one. */
static void add_places(wasm_trap_t *trap, const struct weir_trap *from)
{
    if (from->frame_count == 0 || trap->place_count != 0 || trap == &trap->ref.store->reserve)
        return;
    trap->places = weir_account_alloc(trap->ref.store->account, WEIR_KIND_HANDLE,
                                      from->frame_count * sizeof *trap->places, NULL);
    if (trap->places == NULL)
        return;
    trap->place_count = from->frame_count;
    for (size_t i = 0; i < from->frame_count; i++)
        trap->places[i] = (struct weir__capi_place){
            .code = module_of(&from->frames[i]),
            .func_index = from->frames[i].func_index,
            .func_offset = from->frames[i].func_offset,
            .module_offset = from->frames[i].module_offset,
        };
}

static wasm_trap_t *guest_trap(struct wasm_store_t *store, const struct weir_trap *from)
{
    char text[WEIR_ERROR_MESSAGE_SIZE + 64];
    if (from->cause.status != WEIR_OK)
        (void)snprintf(text, sizeof text, "%s: %s", weir_trap_text(from->code),
                       from->cause.message);
    else
        (void)snprintf(text, sizeof text, "%s", weir_trap_text(from->code));
    return own_trap(store, text);
}

void weir__capi_pend(struct wasm_store_t *store, wasm_trap_t *trap)
{
    wasm_trap_t *before = store->pending;
    store->pending = trap;
    if (before != NULL)
        weir__capi_drop(&before->ref);
    if (trap != NULL)
        weir__capi_store_unref(store);
}

static wasm_trap_t *take_pending(struct wasm_store_t *store)
{
    wasm_trap_t *trap = store->pending;
    store->pending = NULL;
    if (trap != NULL)
        weir__capi_store_ref(store);
    return trap;
}

wasm_trap_t *weir__capi_trap_of(struct wasm_store_t *store, enum weir_status status,
                                struct weir_trap *trap, struct weir_error *error)
{
    if (status != WEIR_TRAP) {
        wasm_trap_t *refused = own_trap(store, error->message);
        weir__capi_failed(error);
        return refused;
    }
    wasm_trap_t *result = trap->code == WEIR_TRAP_HOST ? take_pending(store) : NULL;
    if (result == NULL)
        result = guest_trap(store, trap);
    add_places(result, trap);
    weir__capi_failed(error);
    weir_trap_done(trap);
    return result;
}

void wasm_trap_message(const wasm_trap_t *trap, wasm_message_t *out)
{
    wasm_byte_vec_new(out, trap->message_size, trap->message);
}

/* --- frames -------------------------------------------------------------------------------- */

static wasm_frame_t *new_frame(struct wasm_store_t *store, const struct weir__capi_place *place)
{
    wasm_frame_t *frame = weir_account_alloc(store->account, WEIR_KIND_HANDLE, sizeof *frame, NULL);
    if (frame == NULL) {
        (void)weir__capi_refuse(WEIR_LIMIT, "no memory for a frame");
        return NULL;
    }
    frame->store = store;
    frame->place = *place;
    (void)weir_module_ref(place->code);
    weir__capi_store_ref(store);
    return frame;
}

wasm_frame_t *wasm_trap_origin(const wasm_trap_t *trap)
{
    return trap->place_count != 0 ? new_frame(trap->ref.store, &trap->places[0]) : NULL;
}

void wasm_trap_trace(const wasm_trap_t *trap, wasm_frame_vec_t *out)
{
    wasm_frame_vec_new_uninitialized(out, trap->place_count);
    for (size_t i = 0; i < out->size; i++) {
        out->data[i] = new_frame(trap->ref.store, &trap->places[i]);
        if (out->data[i] == NULL) {
            wasm_frame_vec_delete(out);
            return;
        }
    }
}

wasm_frame_t *wasm_frame_copy(const wasm_frame_t *frame)
{
    return frame != NULL ? new_frame(frame->store, &frame->place) : NULL;
}

void wasm_frame_delete(wasm_frame_t *frame)
{
    if (frame == NULL)
        return;
    struct wasm_store_t *store = frame->store;
    wasm_instance_delete(frame->instance);
    weir_module_unref(frame->place.code);
    weir_account_free(store->account, WEIR_KIND_HANDLE, frame, sizeof *frame);
    weir__capi_store_unref(store);
}

wasm_instance_t *wasm_frame_instance(const wasm_frame_t *asked)
{
    wasm_frame_t *frame = (wasm_frame_t *)(uintptr_t)asked; /* remembers its answer */
    if (frame->instance != NULL)
        return frame->instance;
    struct weir_instance *instance = weir_store_instance_of(frame->store->store, frame->place.code);
    if (instance == NULL)
        return NULL;
    struct weir_error error = {0};
    struct wasm_ref_t *ref = weir__capi_instance(frame->store, instance, &error);
    if (ref == NULL)
        weir__capi_failed(&error);
    frame->instance = (wasm_instance_t *)(void *)ref;
    return frame->instance;
}

uint32_t wasm_frame_func_index(const wasm_frame_t *frame)
{
    return frame->place.func_index;
}

size_t wasm_frame_func_offset(const wasm_frame_t *frame)
{
    return frame->place.func_offset;
}

size_t wasm_frame_module_offset(const wasm_frame_t *frame)
{
    return frame->place.module_offset;
}
