/* A VM: its store, its life, and the steps that run in it.
 *
 * Whatever is asked of a guest becomes one or a few steps (calls of its exports), which run one
 * after the other; a step whose time slice ends is parked and goes on in weir_filter_vm_resume().
 * What a step answers is handled in one place, stepped().
 */
#include "worlds/filter/filter_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/sizes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- failing --------------------------------------------------------------------------------- */

static void fail(struct weir_filter_vm *vm, enum weir_status status, const char *format, ...)
{
    if (vm->failed != WEIR_OK)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(vm->failure, sizeof vm->failure, format, args);
    va_end(args);
    vm->failed = status;
    vm->step = vm->step_count = 0;
    vm->is_busy = false;
    weir__filter_log(vm, WEIR_FILTER_CRITICAL, "%s", vm->failure);
}

enum weir_status weir__filter_failed(const struct weir_filter_vm *vm, struct weir_error *error)
{
    return weir_error_set(error, vm->failed, WEIR_NO_OFFSET, "%s", vm->failure);
}

static const char *const export_names[FILTER_CALLBACK_COUNT] = {
#define FILTER_CALLBACK(id, name, params, results) name,
#include "worlds/filter/filter_callbacks.def"
#undef FILTER_CALLBACK
};

static void fail_trap(struct weir_filter_vm *vm, const char *where)
{
    const struct weir_trap *trap = &vm->trap;
    const struct weir_error *refusal = vm->store != NULL ? weir_store_refusal(vm->store) : NULL;
    const char *text = trap->cause.message[0] != 0 ? trap->cause.message
                                                   : weir_trap_text(trap->code);
    char at[128] = "", why[160] = "";
    if (trap->frame_count > 0)
        (void)snprintf(at, sizeof at, " in %.80s (0x%x)", trap->frames[0].function,
                       trap->frames[0].module_offset);
    if (refusal != NULL)
        (void)snprintf(why, sizeof why, "; memory was refused before: %.120s", refusal->message);
    if (trap->code == WEIR_TRAP_DEADLINE)
        fail(vm, WEIR_TRAP, "%s ran longer than %s", where,
             weir_duration_format(vm->plugin->config.time_ns).text);
    else if (trap->code == WEIR_TRAP_EXIT)
        fail(vm, WEIR_TRAP, "%s ended the plugin with exit code %d%s", where, trap->exit_code, why);
    else
        fail(vm, WEIR_TRAP, "%s trapped: %.80s%s%s", where, text, at, why);
    (void)atomic_fetch_add_explicit(&vm->plugin->figures.traps, 1, memory_order_relaxed);
    weir_trap_done(&vm->trap);
}

/* --- steps ----------------------------------------------------------------------------------- */

void weir__filter_step(struct weir_filter_vm *vm, enum weir__filter_callback callback,
                       uint32_t context, const int32_t args[5])
{
    if (vm->callbacks[callback] == NULL)
        return;
    WEIR_ASSERT(vm->step_count < FILTER_STEPS_MAX);
    struct weir__filter_step *step = &vm->steps[vm->step_count++];
    step->callback = callback;
    step->context = context;
    memcpy(step->args, args, sizeof step->args);
}

static void raise_peak(_Atomic uint64_t *peak, uint64_t value)
{
    uint64_t seen = atomic_load_explicit(peak, memory_order_relaxed);
    while (value > seen && !atomic_compare_exchange_weak_explicit(
                               peak, &seen, value, memory_order_relaxed, memory_order_relaxed))
        ;
}

uint64_t weir_filter_vm_linear_bytes(const struct weir_filter_vm *vm)
{
    return vm->memory != NULL ? weir_memory_bytes(vm->memory) : 0;
}

static void measure(struct weir_filter_vm *vm)
{
    uint64_t linear = weir_filter_vm_linear_bytes(vm);
    raise_peak(&vm->plugin->figures.linear_bytes_peak, linear);
    struct weir_filter_stream *stream = vm->runs;
    if (stream == NULL)
        return;
    stream->growth_bytes += linear - vm->linear_before;
    weir__filter_stream_measure(stream);
    raise_peak(&vm->plugin->figures.stream_growth_bytes, stream->growth_bytes);
    raise_peak(&vm->plugin->figures.stream_host_bytes, stream->host_bytes_peak);
}

/* Starting asks for yes. */
static void check_answer(struct weir_filter_vm *vm, enum weir__filter_callback callback,
                         int32_t result)
{
    if (result == 0 && (callback == FILTER_ON_VM_START || callback == FILTER_ON_VALIDATE ||
                        callback == FILTER_ON_CONFIGURE))
        fail(vm, WEIR_CONFIG, "%s said no to its configuration", export_names[callback]);
    if (result != 0 && (callback == FILTER_ON_MAIN || callback == FILTER_ON_MAIN_VOID))
        fail(vm, WEIR_EXIT, "%s returned %d", export_names[callback], result);
}

/* A step came back with `status`. */
static enum weir_status stepped(struct weir_filter_vm *vm, enum weir_status status, int32_t result,
                                struct weir_error *inner)
{
    const struct weir__filter_step *step = &vm->steps[vm->step];
    const char *name = export_names[step->callback];
    vm->is_busy = status == WEIR_PENDING;
    if (vm->is_busy)
        return status;
    (void)atomic_fetch_add_explicit(&vm->plugin->figures.callbacks, 1, memory_order_relaxed);
    bool is_end_of_start = status == WEIR_TRAP && vm->trap.code == WEIR_TRAP_EXIT &&
                           vm->trap.exit_code == 0 && step->callback == FILTER_ON_START;
    if (is_end_of_start)
        weir_trap_done(&vm->trap);
    else if (status == WEIR_TRAP)
        fail_trap(vm, name);
    else if (status != WEIR_OK)
        fail(vm, status, "%s: %.200s", name, inner->message);
    else
        check_answer(vm, step->callback, result);
    weir_error_done(inner);
    if (vm->failed != WEIR_OK)
        return vm->failed;
    vm->action = result;
    enum weir__filter_callback callback = step->callback;
    vm->step++;
    measure(vm);
    if (vm->runs != NULL)
        weir__filter_stream_returned(vm, callback, result);
    if (callback == FILTER_ON_CALL_RESPONSE)
        weir__filter_call_told(vm);
    return WEIR_OK;
}

static enum weir_status begin_step(struct weir_filter_vm *vm)
{
    const struct weir__filter_step *step = &vm->steps[vm->step];
    struct weir_error inner = {0};
    union weir_value args[5], results[1] = {{0}};
    for (size_t i = 0; i < 5; i++)
        args[i].i32 = step->args[i];
    vm->effective = step->context;
    vm->linear_before = weir_filter_vm_linear_bytes(vm);
    enum weir_status status = weir_func_call(vm->store, vm->callbacks[step->callback], args,
                                             results, &vm->trap, &inner);
    return stepped(vm, status, results[0].i32, &inner);
}

/* Nothing is queued any more. */
static void settle(struct weir_filter_vm *vm)
{
    struct weir_filter_stream *stream = vm->runs;
    vm->step = vm->step_count = 0;
    vm->runs = NULL;
    vm->effective = vm->root_id;
    weir_store_set_deadline(vm->store, 0);
    if (vm->is_starting) {
        vm->is_starting = false;
        vm->is_started = true;
    }
    if (stream != NULL)
        weir__filter_stream_settled(stream);
}

/* After a step that came back with `status`: the next ones. */
static enum weir_status go_on(struct weir_filter_vm *vm, enum weir_status status,
                              struct weir_error *error)
{
    while (status == WEIR_OK && vm->step < vm->step_count)
        status = begin_step(vm);
    if (status == WEIR_PENDING)
        return status;
    if (status == WEIR_OK) {
        settle(vm);
        return WEIR_OK;
    }
    struct weir_filter_stream *stream = vm->runs;
    vm->runs = NULL;
    if (stream != NULL)
        weir__filter_stream_settled(stream);
    return weir__filter_failed(vm, error);
}

enum weir_status weir__filter_run(struct weir_filter_vm *vm, struct weir_error *error)
{
    const struct weir_filter_config *config = &vm->plugin->config;
    enum weir_status status = WEIR_OK;
    if (vm->failed != WEIR_OK)
        return weir__filter_failed(vm, error);
    uint64_t time_ns = vm->is_starting ? WEIR_FILTER_START_NS : config->time_ns;
    weir_store_set_deadline(vm->store, weir_clock_ns() + time_ns);
    weir_store_set_slice(vm->store, vm->slice_ns);
    if (config->fuel != 0)
        status = weir_store_set_fuel(vm->store, config->fuel, error);
    return status == WEIR_OK ? go_on(vm, WEIR_OK, error) : status;
}

enum weir_status weir_filter_vm_resume(struct weir_filter_vm *vm, struct weir_error *error)
{
    WEIR_ASSERT(vm->is_busy);
    struct weir_error inner = {0};
    int exit_code = 0;
    weir_store_set_slice(vm->store, vm->slice_ns);
    enum weir_status status = weir_wasi_resume(vm->wasi, &exit_code, &vm->trap, &inner);
    if (status == WEIR_OK && exit_code != 0) {
        vm->trap = (struct weir_trap){.code = WEIR_TRAP_EXIT, .exit_code = exit_code};
        status = WEIR_TRAP;
    }
    int32_t result = 0;
    if (status == WEIR_OK)
        result = weir_store_results(vm->store)[0].i32;
    return go_on(vm, stepped(vm, status, result, &inner), error);
}

/* --- what waits for the guest ---------------------------------------------------------------- */

static bool tick_step(struct weir_filter_vm *vm)
{
    if (vm->tick_ns == 0 || weir_clock_ns() < vm->tick_due_ns)
        return false;
    vm->tick_due_ns = weir_clock_ns() + vm->tick_ns;
    const int32_t args[5] = {(int32_t)vm->root_id};
    weir__filter_step(vm, FILTER_ON_TICK, vm->root_id, args);
    return true;
}

static bool queue_step(struct weir_filter_vm *vm)
{
    for (uint32_t i = 0; i < vm->queue_count; i++) {
        uint64_t enqueued = 0;
        if (!weir__filter_queue_has(vm->plugin->registry, vm->queues[i], &enqueued) ||
            enqueued == vm->queue_seen[i])
            continue;
        vm->queue_seen[i] = enqueued;
        const int32_t args[5] = {(int32_t)vm->root_id, (int32_t)vm->queues[i]};
        weir__filter_step(vm, FILTER_ON_QUEUE_READY, vm->root_id, args);
        return true;
    }
    return false;
}

enum weir_status weir_filter_vm_work(struct weir_filter_vm *vm, bool *ret_did,
                                     struct weir_error *error)
{
    static bool (*const SOURCES[])(struct weir_filter_vm *) = {
        weir__filter_call_step, weir__filter_linger_step, tick_step, queue_step};
    *ret_did = false;
    if (vm->failed != WEIR_OK)
        return weir__filter_failed(vm, error);
    WEIR_ASSERT(!vm->is_busy && vm->is_started);
    for (size_t i = 0; i < sizeof SOURCES / sizeof SOURCES[0] && !*ret_did; i++)
        *ret_did = SOURCES[i](vm);
    return *ret_did ? weir__filter_run(vm, error) : WEIR_OK;
}

uint64_t weir_filter_vm_due_ns(const struct weir_filter_vm *vm)
{
    if (vm->failed != WEIR_OK || !vm->is_started)
        return vm->is_busy ? 0 : UINT64_MAX;
    if (vm->is_busy) {
        uint64_t wake_ns = 0;
        if (weir_store_parked(vm->store) == WEIR_PARK_HOST)
            (void)weir_wasi_waits_for(vm->wasi, &wake_ns);
        return wake_ns;
    }
    if (vm->finished != NULL)
        return 0;
    for (const struct weir_filter_stream *s = vm->lingering; s != NULL; s = s->lingers_next)
        if (s->is_done_said)
            return 0;
    for (uint32_t i = 0; i < vm->queue_count; i++) {
        uint64_t enqueued = 0;
        if (weir__filter_queue_has(vm->plugin->registry, vm->queues[i], &enqueued) &&
            enqueued != vm->queue_seen[i])
            return 0;
    }
    return vm->tick_ns != 0 ? vm->tick_due_ns : UINT64_MAX;
}

void weir_filter_vm_set_slice(struct weir_filter_vm *vm, uint64_t slice_ns)
{
    vm->slice_ns = slice_ns;
}

/* --- beginning and end ----------------------------------------------------------------------- */

/* Lines that the guest writes: 1 is info, 2 an error, as Envoy logs them. */
static enum weir_status write_line(struct weir_filter_vm *vm, enum weir_filter_level level,
                                   const void *from, size_t size, size_t *ret_count)
{
    const char *text = from;
    *ret_count = size;
    while (size > 0 && text[size - 1] == '\n')
        size--;
    if (size > WEIR_FILTER_LOG_BYTES_MAX)
        size = WEIR_FILTER_LOG_BYTES_MAX;
    const struct weir_filter_config *config = &vm->plugin->config;
    if (size > 0 && config->host != NULL && config->host->log != NULL && level >= config->level)
        config->host->log(config->host_context, vm->plugin, level,
                          (struct weir_filter_text){text, size});
    return WEIR_OK;
}

static enum weir_status write_out(void *context, const void *from, size_t size, size_t *ret_count)
{
    return write_line(context, WEIR_FILTER_INFO, from, size, ret_count);
}

static enum weir_status write_err(void *context, const void *from, size_t size, size_t *ret_count)
{
    return write_line(context, WEIR_FILTER_ERROR, from, size, ret_count);
}

static void bind(struct weir_filter_vm *vm)
{
    struct weir_extern found;
    for (size_t i = 0; i < FILTER_CALLBACK_COUNT; i++)
        if (vm->plugin->has_callback[i] &&
            weir_instance_export(vm->instance, export_names[i], strlen(export_names[i]), &found) ==
                WEIR_OK)
            vm->callbacks[i] = found.func;
    bool has_both = vm->callbacks[FILTER_ON_ALLOCATE] != NULL &&
                    vm->callbacks[FILTER_ON_MALLOC] != NULL;
    bool is_malloc = has_both ? vm->plugin->config.prefers_malloc
                              : vm->callbacks[FILTER_ON_MALLOC] != NULL;
    vm->allocate = vm->callbacks[is_malloc ? FILTER_ON_MALLOC : FILTER_ON_ALLOCATE];
    if (weir_instance_export(vm->instance, "memory", 6, &found) == WEIR_OK &&
        found.kind == WEIR_EXTERN_MEMORY)
        vm->memory = found.memory;
}

static enum weir_status open(struct weir_filter_vm *vm, struct weir_error *error)
{
    const struct weir_filter_config *config = &vm->plugin->config;
    const struct weir_store_config store = {.name = config->name,
                                            .account = vm->plugin->account,
                                            .memory_bytes_max = config->memory_bytes_max,
                                            .data = vm};
    enum weir_status status =
        weir_store_new(weir_module_engine(vm->plugin->module), &store, &vm->store, error);
    if (status != WEIR_OK)
        return status;
    vm->account = weir_store_account(vm->store);
    const struct weir_wasi_config wasi = {
        .stdio_fds = {-1, -1, -1},
        .stdio_streams = {{0}, {.write = write_out, .context = vm},
                          {.write = write_err, .context = vm}},
    };
    status = weir_wasi_new(vm->store, &wasi, &vm->wasi, error);
    if (status == WEIR_OK && config->fuel != 0)
        status = weir_store_set_fuel(vm->store, config->fuel, error);
    if (status != WEIR_OK)
        return status;
    weir_store_set_deadline(vm->store, weir_clock_ns() + WEIR_FILTER_START_NS);
    status = weir_instance_new(vm->store, vm->plugin->linker, vm->plugin->module, &vm->instance,
                               &vm->trap, error);
    if (status == WEIR_TRAP) {
        fail_trap(vm, "the start function");
        weir_error_done(error);
        return weir__filter_failed(vm, error);
    }
    if (status != WEIR_OK)
        return status;
    bind(vm);
    if (vm->memory == NULL)
        return weir_error_set(error, WEIR_INVALID, WEIR_NO_OFFSET,
                              "the plugin exports no memory of the name \"memory\"");
    return WEIR_OK;
}

enum weir_status weir_filter_vm_new(struct weir_filter_plugin *plugin, void *host_data,
                                    struct weir_filter_vm **ret_vm, struct weir_error *error)
{
    struct weir_filter_vm *vm =
        weir_account_alloc(plugin->account, WEIR_KIND_METADATA, sizeof *vm, error);
    if (vm == NULL)
        return WEIR_LIMIT;
    vm->plugin = plugin;
    vm->host_data = host_data;
    vm->next_id = 1;
    vm->next_call_id = 1;
    (void)atomic_fetch_add(&plugin->vm_count, 1);
    enum weir_status status = open(vm, error);
    if (status != WEIR_OK) {
        weir_filter_vm_free(vm);
        return status;
    }
    *ret_vm = vm;
    return WEIR_OK;
}

enum weir_status weir_filter_vm_start(struct weir_filter_vm *vm, struct weir_error *error)
{
    WEIR_ASSERT(!vm->is_started && !vm->is_starting);
    const struct weir_filter_config *config = &vm->plugin->config;
    int32_t root = (int32_t)vm->next_id++;
    vm->root_id = (uint32_t)root;
    vm->is_starting = true;
    const int32_t none[5] = {0};
    const int32_t context[5] = {root, 0};
    const int32_t vm_start[5] = {root, (int32_t)config->vm_configuration.size};
    const int32_t configure[5] = {root, (int32_t)config->configuration.size};
    if (vm->callbacks[FILTER_ON_INITIALIZE] != NULL) {
        weir__filter_step(vm, FILTER_ON_INITIALIZE, vm->root_id, none);
        bool has_main = vm->callbacks[FILTER_ON_MAIN] != NULL;
        weir__filter_step(vm, has_main ? FILTER_ON_MAIN : FILTER_ON_MAIN_VOID, vm->root_id, none);
    } else {
        weir__filter_step(vm, FILTER_ON_START, vm->root_id, none);
    }
    weir__filter_step(vm, FILTER_ON_CONTEXT_CREATE, vm->root_id, context);
    weir__filter_step(vm, FILTER_ON_VM_START, vm->root_id, vm_start);
    weir__filter_step(vm, FILTER_ON_VALIDATE, vm->root_id, configure);
    weir__filter_step(vm, FILTER_ON_CONFIGURE, vm->root_id, configure);
    return weir__filter_run(vm, error);
}

void weir_filter_vm_free(struct weir_filter_vm *vm)
{
    if (vm == NULL)
        return;
    struct weir_filter_plugin *plugin = vm->plugin;
    weir__filter_calls_drop(vm);
    weir__filter_streams_drop(vm);
    weir_trap_done(&vm->trap);
    if (vm->store != NULL) {
        if (weir_store_parked(vm->store) != WEIR_PARK_NONE)
            weir_store_unpark(vm->store);
        weir_wasi_free(vm->wasi);
        weir_store_close(vm->store, NULL);
    }
    (void)atomic_fetch_sub(&plugin->vm_count, 1);
    weir_account_free(plugin->account, WEIR_KIND_METADATA, vm, sizeof *vm);
}

/* --- readings -------------------------------------------------------------------------------- */

bool weir_filter_vm_is_busy(const struct weir_filter_vm *vm)
{
    return vm->is_busy;
}

const char *weir_filter_vm_failure(const struct weir_filter_vm *vm)
{
    return vm->failed != WEIR_OK ? vm->failure : NULL;
}

bool weir_filter_vm_is_large(const struct weir_filter_vm *vm)
{
    struct weir_account_reading reading;
    weir_account_read(vm->account, &reading);
    return reading.used_bytes > vm->plugin->config.memory_bytes_soft;
}

bool weir_filter_vm_is_idle(const struct weir_filter_vm *vm)
{
    return !vm->is_busy && vm->stream_count == vm->linger_count && vm->call_count == 0 &&
           vm->finished == NULL;
}

bool weir_filter_vm_has_room(const struct weir_filter_vm *vm)
{
    return vm->stream_count < vm->plugin->config.streams_max;
}

struct weir_account *weir_filter_vm_account(const struct weir_filter_vm *vm)
{
    return vm->account;
}

void *weir_filter_vm_data(const struct weir_filter_vm *vm)
{
    return vm->host_data;
}

struct weir_filter_plugin *weir_filter_vm_plugin(const struct weir_filter_vm *vm)
{
    return vm->plugin;
}
