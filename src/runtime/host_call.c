/* The host's end of a guest's call: dispatch to the host function by its type, and what it may
 * answer (linker.h). Runs on the thread's own stack, right below the boundary's frame.
 */
#include <stdarg.h>
#include <stdio.h>

#include "runtime/store_internal.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct weir_caller {
    struct weir_store *store;
    struct weir__binding *binding;
};

/* Types up to this many values (parameters and results) are dispatched without large buffers. */
#define SMALL_VALUES 16

struct weir_store *weir_caller_store(struct weir_caller *caller)
{
    return caller->store;
}

struct weir_instance *weir_caller_instance(struct weir_caller *caller)
{
    return caller->binding->instance;
}

struct weir_memory *weir_caller_memory(struct weir_caller *caller)
{
    struct weir_instance *instance = caller->binding->instance;
    return instance != NULL ? instance->main_memory : NULL;
}

enum weir_status weir_caller_trap(struct weir_caller *caller, int trap_code, const char *format,
                                  ...)
{
    struct weir_store *store = caller->store;
    char text[WEIR_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    weir_error_done(&store->cause);
    (void)weir_error_set(&store->cause, WEIR_TRAP, WEIR_NO_OFFSET, "%s", text);
    store->said_code = trap_code > WEIR_TRAP_NONE && trap_code < WEIR_TRAP_COUNT
                           ? (enum weir_trap_code)trap_code
                           : WEIR_TRAP_HOST;
    return WEIR_TRAP;
}

enum weir_status weir_caller_exit(struct weir_caller *caller, int exit_code)
{
    caller->store->exit_code = exit_code;
    return WEIR_EXIT;
}

int weir__host_failed(struct weir_store *store, enum weir_status status)
{
    enum weir_trap_code code = store->said_code;
    store->said_code = WEIR_TRAP_NONE;
    if (status == WEIR_EXIT) {
        weir_error_done(&store->cause);
        return weir__trap_raise(store, WEIR_TRAP_EXIT);
    }
    if (code == WEIR_TRAP_NONE) {
        code = WEIR_TRAP_HOST;
        (void)weir_error_set(&store->cause, status, WEIR_NO_OFFSET, "%s", weir_status_text(status));
    }
    return weir__trap_raise(store, code);
}

/* It called weir_caller_trap() and went on all the same: the next trap is not about that. */
static __attribute__((noinline)) void forget_said(struct weir_store *store)
{
    weir_error_done(&store->cause);
    store->said_code = WEIR_TRAP_NONE;
}

static __attribute__((noinline)) int not_ok(struct weir__binding *binding,
                                            struct weir__host_frame *frame, enum weir_status status)
{
    struct weir_store *store = binding->store;
    if (status != WEIR_PENDING)
        return weir__host_failed(store, status);
    if (store->active->outer_in_store != NULL)
        return weir__trap_raise(store, WEIR_TRAP_PARK_REFUSED);
    store->park = WEIR_PARK_HOST;
    store->parked_frame = frame;
    store->parked_binding = binding;
    return WEIR__BACK_PARK;
}

static void get_args(const struct weir_store *store, const struct weir__type *type,
                     const struct weir__host_frame *frame, union weir_value *args)
{
    uint32_t ints = 0;
    uint32_t floats = 0;
    for (uint32_t i = 0; i < type->param_count; i++) {
        if (weir__type_is_float(type->params[i])) {
            args[i] = floats < WEIR_ABI_FLOAT_ARGS ? frame->floats[floats] : store->state->args[i];
            floats++;
        } else if (ints < WEIR_ABI_INT_ARGS) {
            args[i] = frame->ints[ints++];
        } else {
            args[i] = store->state->args[i];
        }
    }
}

static int dispatch_into(struct weir__binding *binding, struct weir__host_frame *frame,
                         union weir_value *args, union weir_value *results)
{
    const struct weir__type *type = binding->type;
    struct weir_caller caller = {.store = binding->store, .binding = binding};
    get_args(binding->store, type, frame, args);
    for (uint32_t i = 0; i < type->result_count; i++)
        results[i] = (union weir_value){0};
    enum weir_status status = binding->func(&caller, binding->data, args, results);
    if (UNLIKELY(status != WEIR_OK))
        return not_ok(binding, frame, status);
    if (UNLIKELY(binding->store->said_code != WEIR_TRAP_NONE))
        forget_said(binding->store);
    weir__host_results(binding->store, type, results, frame);
    return WEIR__BACK_OK;
}

static __attribute__((noinline)) int dispatch_small(struct weir__binding *binding,
                                                    struct weir__host_frame *frame)
{
    union weir_value args[SMALL_VALUES];
    union weir_value results[SMALL_VALUES];
    return dispatch_into(binding, frame, args, results);
}

/* 32 KiB of the thread's stack; its margin (runtime_limits.h) allows for it. */
static __attribute__((noinline)) int dispatch_large(struct weir__binding *binding,
                                                    struct weir__host_frame *frame)
{
    union weir_value args[WEIR_ABI_SLOTS];
    union weir_value results[WEIR_ABI_SLOTS];
    return dispatch_into(binding, frame, args, results);
}

int weir__host_dispatch(struct weir__binding *binding, struct weir__host_frame *frame)
{
    const struct weir__type *type = binding->type;
    if (UNLIKELY(!weir__host_stack_has_room()))
        return weir__trap_raise(binding->store, WEIR_TRAP_STACK_EXHAUSTED);
    if (UNLIKELY(!type->is_simple)) {
        if (type->param_count <= SMALL_VALUES && type->result_count <= SMALL_VALUES)
            return dispatch_small(binding, frame);
        return dispatch_large(binding, frame);
    }
    union weir_value result = {0};
    struct weir_caller caller = {.store = binding->store, .binding = binding};
    enum weir_status status = binding->func(&caller, binding->data, frame->ints, &result);
    if (UNLIKELY(status != WEIR_OK))
        return not_ok(binding, frame, status);
    if (UNLIKELY(binding->store->said_code != WEIR_TRAP_NONE))
        forget_said(binding->store);
    if (type->result_count != 0)
        frame->ints[0].i64 = type->results[0] == WEIR_TYPE_I32 ? (uint32_t)result.i32 : result.i64;
    return WEIR__BACK_OK;
}
