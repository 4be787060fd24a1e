/* Guest memory: texts in, texts out. What goes out is placed by the guest's own allocator, which is
 * a call back into it; nothing here keeps an address across such a call. */
#include "worlds/filter/filter_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void weir__filter_slice_done(struct weir__filter_slice *slice)
{
    if (slice->bytes != NULL && slice->bytes != slice->few)
        weir_account_free(slice->account, WEIR_KIND_HOST_BUFFER, slice->bytes, slice->size);
    slice->bytes = NULL;
}

int weir__filter_get(struct weir__filter_host_call *call, unsigned index, uint64_t size_max,
                     struct weir__filter_slice *slice)
{
    uint32_t address = weir__filter_u32(call, index);
    uint32_t size = weir__filter_u32(call, index + 1);
    struct weir_filter_vm *vm = call->vm;
    slice->account = vm->account;
    slice->bytes = slice->few;
    slice->size = 0;
    if (weir_memory_at(vm->memory, address, size) == NULL)
        return FILTER_INVALID_MEMORY_ACCESS;
    if (size > size_max)
        return weir__filter_refuse(call, FILTER_BAD_ARGUMENT, "%u bytes; %llu are the most", size,
                                   (unsigned long long)size_max);
    if (size > sizeof slice->few) {
        struct weir_error error = {0};
        uint8_t *bytes = weir_account_alloc(vm->account, WEIR_KIND_HOST_BUFFER, size, &error);
        if (bytes == NULL)
            return weir__filter_status_of(call, WEIR_LIMIT, &error);
        slice->bytes = bytes;
    }
    slice->size = size;
    return weir_memory_read(vm->memory, address, slice->bytes, size) == WEIR_OK
               ? FILTER_OK
               : FILTER_INVALID_MEMORY_ACCESS;
}

int weir__filter_look(struct weir__filter_host_call *call, unsigned index)
{
    return weir_memory_at(call->vm->memory, weir__filter_u32(call, index),
                          weir__filter_u32(call, index + 1)) != NULL
               ? FILTER_OK
               : FILTER_INVALID_MEMORY_ACCESS;
}

static int put(struct weir__filter_host_call *call, unsigned index, const void *value, size_t size)
{
    return weir_memory_write(call->vm->memory, weir__filter_u32(call, index), value, size) ==
                   WEIR_OK
               ? FILTER_OK
               : FILTER_INVALID_MEMORY_ACCESS;
}

int weir__filter_put_u32(struct weir__filter_host_call *call, unsigned index, uint32_t value)
{
    return put(call, index, &value, sizeof value);
}

int weir__filter_put_u64(struct weir__filter_host_call *call, unsigned index, uint64_t value)
{
    return put(call, index, &value, sizeof value);
}

/* A trap in the guest's allocator ends the call that asked for it, too. */
static int allocator_trapped(struct weir__filter_host_call *call, uint64_t size)
{
    struct weir_trap *trap = &call->vm->trap;
    int code = trap->code == WEIR_TRAP_EXIT ? WEIR_TRAP_HOST : trap->code;
    call->status =
        weir_caller_trap(call->caller, code, "allocating %llu bytes for the host: %.100s%s%.80s",
                         (unsigned long long)size, weir_trap_text(trap->code),
                         trap->frame_count > 0 ? " in " : "",
                         trap->frame_count > 0 ? trap->frames[0].function : "");
    weir_trap_done(trap);
    return FILTER_END;
}

int weir__filter_allocate(struct weir__filter_host_call *call, uint64_t size, uint32_t *ret_address)
{
    struct weir_filter_vm *vm = call->vm;
    if (vm->allocate == NULL)
        return weir__filter_refuse(call, FILTER_INTERNAL_FAILURE,
                                   "the plugin exports neither proxy_on_memory_allocate nor "
                                   "malloc: it cannot be given %llu bytes",
                                   (unsigned long long)size);
    if (size > INT32_MAX)
        return FILTER_BAD_ARGUMENT;
    const union weir_value args[1] = {{.i32 = (int32_t)size}};
    union weir_value results[1] = {{0}};
    struct weir_error error = {0};
    vm->is_allocating = true;
    enum weir_status status =
        weir_func_call(vm->store, vm->allocate, args, results, &vm->trap, &error);
    vm->is_allocating = false;
    if (status == WEIR_TRAP) {
        weir_error_done(&error);
        return allocator_trapped(call, size);
    }
    if (status != WEIR_OK)
        return weir__filter_status_of(call, status, &error);
    uint32_t address = (uint32_t)results[0].i32;
    if (address == 0)
        return weir__filter_refuse(call, FILTER_INTERNAL_FAILURE,
                                   "the plugin's allocator refused %llu bytes",
                                   (unsigned long long)size);
    if (weir_memory_at(vm->memory, address, size) == NULL)
        return FILTER_INVALID_MEMORY_ACCESS;
    *ret_address = address;
    return FILTER_OK;
}

int weir__filter_can_give(struct weir__filter_host_call *call, unsigned index)
{
    for (unsigned i = index; i < index + 2; i++)
        if (weir_memory_at(call->vm->memory, weir__filter_u32(call, i), 4) == NULL)
            return FILTER_INVALID_MEMORY_ACCESS;
    return FILTER_OK;
}

int weir__filter_give(struct weir__filter_host_call *call, unsigned index,
                      struct weir_filter_text text)
{
    uint32_t address = 0;
    int status = weir__filter_can_give(call, index);
    if (status == FILTER_OK && text.size > 0)
        status = weir__filter_allocate(call, text.size, &address);
    if (status == FILTER_OK && text.size > 0 &&
        weir_memory_write(call->vm->memory, address, text.bytes, text.size) != WEIR_OK)
        status = FILTER_INVALID_MEMORY_ACCESS;
    if (status == FILTER_OK)
        status = weir__filter_put_u32(call, index, address);
    if (status == FILTER_OK)
        status = weir__filter_put_u32(call, index + 1, (uint32_t)text.size);
    return status;
}

/* --- what the log is told -------------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 0)))
log_text(struct weir_filter_vm *vm, enum weir_filter_level level, const char *format, va_list args)
{
    const struct weir_filter_config *config = &vm->plugin->config;
    if (config->host == NULL || config->host->log == NULL || level < config->level)
        return;
    char text[512];
    int size = vsnprintf(text, sizeof text, format, args);
    if (size >= (int)sizeof text)
        size = (int)sizeof text - 1;
    if (size > 0)
        config->host->log(config->host_context, vm->plugin, level,
                          (struct weir_filter_text){text, (size_t)size});
}

void weir__filter_log(struct weir_filter_vm *vm, enum weir_filter_level level, const char *format,
                      ...)
{
    va_list args;
    va_start(args, format);
    log_text(vm, level, format, args);
    va_end(args);
}

int weir__filter_refuse(struct weir__filter_host_call *call, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_text(call->vm, WEIR_FILTER_WARN, format, args);
    va_end(args);
    return status;
}

int weir__filter_status_of(struct weir__filter_host_call *call, enum weir_status status,
                           struct weir_error *error)
{
    static const struct {
        enum weir_status from;
        int to;
    } STATUSES[] = {
        {WEIR_OK, FILTER_OK},
        {WEIR_NOT_FOUND, FILTER_NOT_FOUND},
        {WEIR_MALFORMED, FILTER_PARSE_FAILURE},
        {WEIR_TOO_LARGE, FILTER_BAD_ARGUMENT},
        {WEIR_INVALID_ARGUMENT, FILTER_BAD_ARGUMENT},
        {WEIR_EXISTS, FILTER_CAS_MISMATCH},
        {WEIR_PENDING, FILTER_EMPTY},
    };
    if (error != NULL && error->message[0] != 0)
        weir__filter_log(call->vm, WEIR_FILTER_WARN, "refused: %s", error->message);
    weir_error_done(error);
    for (size_t i = 0; i < sizeof STATUSES / sizeof STATUSES[0]; i++)
        if (STATUSES[i].from == status)
            return STATUSES[i].to;
    return FILTER_INTERNAL_FAILURE;
}
