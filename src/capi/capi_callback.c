/* Functions of the embedder: from the runtime's call to the standard API's callback and back. */
#include "artifact/abi.h"
#include "capi/capi_internal.h"

struct weir__capi_host_func {
    struct weir__capi_host_func *next;
    struct wasm_store_t *store;
    struct weir_func_type type; /* the engine's arrays */
    wasm_func_callback_t callback;
    wasm_func_callback_with_env_t callback_with_env; /* one of the two */
    void *env;
    void (*finalize)(void *env);
};

/* Room for the values of one call. */
struct frame {
    wasm_val_t small[WEIR_CAPI_SMALL_VALUES];
    wasm_val_t *vals; /* parameters, then results */
    size_t count;
};

static enum weir_status take_room(struct frame *frame, const struct weir__capi_host_func *func,
                                  struct weir_error *error)
{
    frame->vals = frame->small;
    frame->count = func->type.param_count + func->type.result_count;
    if (frame->count <= WEIR_CAPI_SMALL_VALUES)
        return WEIR_OK;
    frame->vals = weir_account_alloc(func->store->account, WEIR_KIND_HOST_BUFFER,
                                     frame->count * sizeof *frame->vals, error);
    return frame->vals != NULL ? WEIR_OK : WEIR_LIMIT;
}

static void give_room(struct frame *frame, const struct weir__capi_host_func *func)
{
    if (frame->vals != frame->small)
        weir_account_free(func->store->account, WEIR_KIND_HOST_BUFFER, frame->vals,
                          frame->count * sizeof *frame->vals);
}

static enum weir_status get_args(const struct weir__capi_host_func *func,
                                 const union weir_value *args, wasm_val_t *vals,
                                 struct weir_error *error)
{
    const struct weir_func_type *type = &func->type;
    for (size_t i = 0; i < type->param_count + type->result_count; i++)
        weir__capi_zero(i < type->param_count ? type->params[i]
                                              : type->results[i - type->param_count],
                        &vals[i]);
    for (size_t i = 0; i < type->param_count; i++) {
        enum weir_status status =
            weir__capi_from_guest(func->store, type->params[i], &args[i], &vals[i], error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status put_results(const struct weir__capi_host_func *func, const wasm_val_t *vals,
                                    union weir_value *results, struct weir_error *error)
{
    for (size_t i = 0; i < func->type.result_count; i++) {
        enum weir_status status =
            weir__capi_to_guest(func->store, func->type.results[i], &vals[i], &results[i], error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status call_back(const struct weir__capi_host_func *func, wasm_val_t *vals,
                                  union weir_value *results, struct weir_error *error)
{
    const struct weir_func_type *type = &func->type;
    const wasm_val_vec_t arg_vec = {type->param_count, vals};
    wasm_val_vec_t result_vec = {type->result_count, vals + type->param_count};
    wasm_trap_t *trap = func->callback != NULL
                            ? func->callback(&arg_vec, &result_vec)
                            : func->callback_with_env(func->env, &arg_vec, &result_vec);
    if (trap == NULL)
        return put_results(func, vals + type->param_count, results, error);
    if (trap->ref.store != func->store) {
        wasm_trap_delete(trap);
        return weir_error_set(error, WEIR_TRAP, WEIR_NO_OFFSET,
                              "the host function answered with a trap of another store");
    }
    weir__capi_pend(func->store, trap);
    return WEIR_TRAP;
}

/* Values that the callback was given or gave go, whatever happened. */
static enum weir_status call_with(const struct weir__capi_host_func *func, struct frame *frame,
                                  const union weir_value *args, union weir_value *results,
                                  struct weir_error *error)
{
    enum weir_status status = get_args(func, args, frame->vals, error);
    if (status == WEIR_OK)
        status = call_back(func, frame->vals, results, error);
    for (size_t i = 0; i < frame->count; i++)
        wasm_val_delete(&frame->vals[i]);
    return status;
}

static enum weir_status run(struct weir_caller *caller, void *data, const union weir_value *args,
                            union weir_value *results)
{
    const struct weir__capi_host_func *func = data;
    struct weir_error error = {0};
    struct frame frame;
    weir__capi_pend(func->store, NULL); /* a call by Weir's own API may have left one */
    enum weir_status status = take_room(&frame, func, &error);
    if (status == WEIR_OK) {
        status = call_with(func, &frame, args, results, &error);
        give_room(&frame, func);
    }
    if (status != WEIR_OK && error.status != WEIR_OK)
        status = weir_caller_trap(caller, WEIR_TRAP_HOST, "%s", error.message);
    weir_error_done(&error);
    return status;
}

/* --- making them --------------------------------------------------------------------------- */

static enum weir_status define(struct wasm_store_t *store, const wasm_functype_t *type,
                               struct weir__capi_host_func *func, struct weir_funcref **ret_ref,
                               struct weir_error *error)
{
    const wasm_valtype_vec_t *params = wasm_functype_params(type);
    const wasm_valtype_vec_t *results = wasm_functype_results(type);
    size_t count = params->size + results->size;
    size_t bytes = (count + 1) * sizeof(enum weir_type);
    enum weir_type *types = weir_account_alloc(store->account, WEIR_KIND_HOST_BUFFER, bytes, error);
    if (types == NULL)
        return WEIR_LIMIT;
    for (size_t i = 0; i < count; i++)
        types[i] = weir__capi_type_of(wasm_valtype_kind(
            i < params->size ? params->data[i] : results->data[i - params->size]));
    const struct weir_func_type wanted = {.params = types,
                                          .param_count = params->size,
                                          .results = types + params->size,
                                          .result_count = results->size};
    const struct weir_host_definition definition = {.type = &wanted, .func = run, .data = func};
    enum weir_status status = weir_func_new(store->store, &definition, ret_ref, error);
    weir_account_free(store->account, WEIR_KIND_HOST_BUFFER, types, bytes);
    return status;
}

/* The record belongs to the store as soon as the function is defined, as that is, too. */
static struct wasm_ref_t *make(struct wasm_store_t *store, const wasm_functype_t *type,
                               const struct weir__capi_host_func *content, struct weir_error *error)
{
    struct weir__capi_host_func *func =
        weir_account_alloc(store->account, WEIR_KIND_HANDLE, sizeof *func, error);
    if (func == NULL)
        return NULL;
    *func = *content;
    func->store = store;
    struct weir_extern item = {.kind = WEIR_EXTERN_FUNC};
    if (define(store, type, func, &item.func, error) != WEIR_OK) {
        weir_account_free(store->account, WEIR_KIND_HANDLE, func, sizeof *func);
        return NULL;
    }
    weir_func_type(item.func, &func->type);
    func->next = store->host_funcs;
    store->host_funcs = func;
    struct wasm_ref_t *ref = weir__capi_extern(store, &item, error);
    if (ref == NULL)
        func->finalize = NULL; /* the caller's duty again */
    return ref;
}

static wasm_func_t *make_or_finalize(struct wasm_store_t *store, const wasm_functype_t *type,
                                     const struct weir__capi_host_func *content)
{
    struct weir_error error = {0};
    struct wasm_ref_t *ref = NULL;
    if (type == NULL || (content->callback == NULL && content->callback_with_env == NULL))
        (void)weir_error_set(&error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                             "a function without a %s", type == NULL ? "type" : "callback");
    else
        ref = make(store, type, content, &error);
    if (ref == NULL) {
        weir__capi_failed(&error);
        if (content->finalize != NULL)
            content->finalize(content->env);
    }
    return (wasm_func_t *)(void *)ref;
}

wasm_func_t *wasm_func_new(wasm_store_t *store, const wasm_functype_t *type,
                           wasm_func_callback_t callback)
{
    return make_or_finalize(store, type, &(struct weir__capi_host_func){.callback = callback});
}

wasm_func_t *wasm_func_new_with_env(wasm_store_t *store, const wasm_functype_t *type,
                                    wasm_func_callback_with_env_t callback, void *env,
                                    void (*finalizer)(void *))
{
    return make_or_finalize(store, type,
                            &(struct weir__capi_host_func){
                                .callback_with_env = callback, .env = env, .finalize = finalizer});
}

void weir__capi_host_funcs_done(struct wasm_store_t *store)
{
    while (store->host_funcs != NULL) {
        struct weir__capi_host_func *func = store->host_funcs;
        store->host_funcs = func->next;
        if (func->finalize != NULL)
            func->finalize(func->env);
        weir_account_free(store->account, WEIR_KIND_HANDLE, func, sizeof *func);
    }
}
