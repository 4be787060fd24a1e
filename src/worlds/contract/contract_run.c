/* A run: an instance out of its code's pool, and the calls made on it in upstream's sequence
 * (allocate and write each argument, call, read the answer, deallocate it). */
#include "worlds/contract/contract_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct entry {
    const char *name;
    const char *arguments;
    bool is_read_only;
};

static const struct entry ENTRIES[WEIR_CONTRACT_ENTRY_COUNT] = {
#define CONTRACT_ENTRY(name, arguments, read_only) {#name, arguments, read_only},
#include "worlds/contract/contract_entries.def"
#undef CONTRACT_ENTRY
};

enum weir_contract_entry weir_contract_entry_find(const char *name)
{
    unsigned entry = 0;
    while (entry < WEIR_CONTRACT_ENTRY_COUNT && strcmp(ENTRIES[entry].name, name) != 0)
        entry++;
    return (enum weir_contract_entry)entry;
}

const char *weir_contract_entry_name(enum weir_contract_entry entry)
{
    return entry < WEIR_CONTRACT_ENTRY_COUNT ? ENTRIES[entry].name : "unknown";
}

/* --- reasons --------------------------------------------------------------------------------- */

/* A reason that finds no room is cut short or left out: the call has failed all the same. */
static void note(struct weir_contract_run *run, const void *bytes, size_t size)
{
    struct weir_contract_buffer *reason = &run->result->reason;
    size_t room = CONTRACT_REASON_MAX - reason->size;
    if (weir_contract_append(reason, bytes, size < room ? size : room, NULL) != WEIR_OK)
        run->is_failed = true;
}

static const char TRAP[] = "Error executing Wasm: Wasmer runtime error: RuntimeError: ";

/* What a host function says reaches upstream's caller as the message of a trap, once for each call
 * into the contract that it ends. */
static bool begin_reason(struct weir_contract_run *run)
{
    if (run->is_failed)
        return false;
    run->is_failed = true;
    for (uint32_t i = 0; i < run->depth && !run->result->is_out_of_gas; i++)
        note(run, TRAP, sizeof TRAP - 1);
    return true;
}

enum weir_status weir__contract_fail(struct weir_contract_run *run, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (begin_reason(run))
        note(run, text, strlen(text));
    return WEIR_TRAP;
}

enum weir_status weir__contract_fail_bytes(struct weir_contract_run *run, const char *text,
                                           struct weir_contract_bytes bytes)
{
    if (begin_reason(run)) {
        note(run, text, strlen(text));
        note(run, bytes.data, bytes.size);
    }
    return WEIR_TRAP;
}

enum weir_status weir__contract_host_failed(struct weir_contract_run *run, enum weir_status status)
{
    if (run->status == WEIR_OK)
        run->status = status;
    run->is_failed = true;
    return WEIR_TRAP;
}

static void explain_trap(struct weir_contract_run *run, const struct weir_trap *trap)
{
    if (trap->code == WEIR_TRAP_FUEL) {
        run->result->is_out_of_gas = true;
        (void)weir__contract_fail(run, "Ran out of gas during contract execution");
        return;
    }
    bool is_table =
        trap->code == WEIR_TRAP_TABLE_BOUNDS || trap->code == WEIR_TRAP_UNDEFINED_ELEMENT;
    const char *text =
        is_table ? "undefined element: out of bounds table access" : weir_trap_text(trap->code);
    (void)weir__contract_fail(run, "%s%s", TRAP, text);
}

enum weir_status weir__contract_enter(struct weir_contract_run *run, struct weir_funcref *func,
                                      const union weir_value *args, union weir_value *result)
{
    if (run->depth == CONTRACT_CALL_DEPTH_MAX)
        return weir__contract_fail(run, "Maximum call depth exceeded.");
    struct weir_trap trap = {0};
    run->depth++;
    enum weir_status status = weir_func_call(run->store, func, args, result, &trap, &run->error);
    run->depth--;
    if (status == WEIR_TRAP)
        explain_trap(run, &trap);
    else if (status != WEIR_OK)
        status = weir__contract_host_failed(run, status);
    weir_trap_done(&trap);
    return status;
}

/* --- open and close -------------------------------------------------------------------------- */

/* An export of the right type; NULL: none. */
static struct weir_funcref *find_func(struct weir_contract_run *run, const char *name,
                                      struct weir_func_type *ret_type)
{
    struct weir_extern item;
    if (weir_instance_export(run->instance, name, strlen(name), &item) != WEIR_OK ||
        item.kind != WEIR_EXTERN_FUNC)
        return NULL;
    weir_func_type(item.func, ret_type);
    return item.func;
}

static bool takes_i32s(const struct weir_func_type *type, size_t params, size_t results)
{
    if (type->param_count != params || type->result_count != results)
        return false;
    for (size_t i = 0; i < params; i++)
        if (type->params[i] != WEIR_TYPE_I32)
            return false;
    return results == 0 || type->results[0] == WEIR_TYPE_I32;
}

static enum weir_status find_exports(struct weir_contract_run *run, struct weir_error *error)
{
    struct weir_extern memory;
    struct weir_func_type allocate, deallocate;
    if (weir_instance_export(run->instance, "memory", 6, &memory) != WEIR_OK ||
        memory.kind != WEIR_EXTERN_MEMORY)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "Error instantiating a Wasm module: Could not get memory 'memory': "
                              "Missing export memory");
    run->memory = memory.memory;
    run->allocate = find_func(run, "allocate", &allocate);
    run->deallocate = find_func(run, "deallocate", &deallocate);
    if (run->allocate == NULL || run->deallocate == NULL || !takes_i32s(&allocate, 1, 1) ||
        !takes_i32s(&deallocate, 1, 0))
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "the contract's allocate and deallocate are not of types (i32) -> "
                              "i32 and (i32) -> nothing");
    return WEIR_OK;
}

enum weir_status weir_contract_run_open(struct weir_contract_code *code,
                                        const struct weir_contract_host *host,
                                        struct weir_contract_run **ret_run,
                                        struct weir_error *error)
{
    struct weir_instance *instance = NULL;
    enum weir_status status = weir_pool_take(code->pool, &instance, error);
    if (status == WEIR_TRAP)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "Error instantiating a Wasm module: a start function or a segment "
                              "trapped; contracts have no gas at that time");
    if (status != WEIR_OK)
        return status;
    struct weir_store *store = weir_instance_store(instance);
    struct weir_account *account = weir_store_account(store);
    struct weir_error local = {0};
    struct weir_error *report = error != NULL ? error : &local;
    struct weir_contract_run *run =
        weir_account_alloc(account, WEIR_KIND_HOST_BUFFER, sizeof *run, report);
    if (run == NULL) {
        status = report->status;
        weir_error_done(&local);
        weir_pool_give(code->pool, instance);
        return status;
    }
    *run = (struct weir_contract_run){
        .code = code, .host = *host, .instance = instance, .store = store, .account = account};
    if (run->host.costs == NULL)
        run->host.costs = &weir_contract_costs_none;
    if (run->host.address_prefix == NULL)
        run->host.address_prefix = "cosmwasm";
    weir_store_set_data(store, run);
    status = find_exports(run, error);
    if (status == WEIR_OK)
        *ret_run = run;
    else
        weir_contract_run_close(run);
    return status;
}

void weir_contract_run_close(struct weir_contract_run *run)
{
    if (run == NULL)
        return;
    struct weir_pool *pool = run->code->pool;
    struct weir_instance *instance = run->instance;
    weir__contract_iterators_close(run);
    weir_error_done(&run->error);
    weir_account_free(run->account, WEIR_KIND_HOST_BUFFER, run, sizeof *run);
    weir_pool_give(pool, instance);
}

/* --- a call ---------------------------------------------------------------------------------- */

static struct weir_contract_bytes argument(const struct weir_contract_call *call, char letter)
{
    switch (letter) {
    case 'e':
        return call->env;
    case 'i':
        return call->info;
    case 'm':
        return call->message;
    default:
        return call->migrate_info;
    }
}

static enum weir_status run_entry(struct weir_contract_run *run,
                                  const struct weir_contract_call *call)
{
    const struct entry *entry = &ENTRIES[call->entry];
    struct weir_func_type type;
    struct weir_funcref *func = find_func(run, entry->name, &type);
    if (func == NULL)
        return weir__contract_fail(
            run, "Error resolving Wasm function: Could not get export: Missing export %s",
            entry->name);
    size_t count = strlen(entry->arguments);
    if (call->entry == WEIR_CONTRACT_migrate && type.param_count == 2)
        count = 2; /* an older contract: without migrate_info */
    if (type.param_count != count)
        return weir__contract_fail(run,
                                   "The called function args arity does not match. The "
                                   "contract's method arity: %zu",
                                   type.param_count);
    if (!takes_i32s(&type, count, 1))
        return weir__contract_fail(run,
                                   "Unexpected number of result values when calling '%s'. "
                                   "Expected: 1, actual: %zu.",
                                   entry->name, type.result_count);
    union weir_value pointers[3] = {0}, answer = {0};
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        uint32_t pointer = 0;
        status = weir__contract_give(run, argument(call, entry->arguments[i]), &pointer);
        pointers[i].i32 = (int32_t)pointer;
    }
    if (status == WEIR_OK)
        status = weir__contract_enter(run, func, pointers, &answer);
    if (status == WEIR_OK)
        status = weir__contract_read(run, (uint32_t)answer.i32, CONTRACT_RESULT_MAX,
                                     &run->result->answer);
    if (status == WEIR_OK)
        status = weir__contract_enter(run, run->deallocate, &answer, NULL);
    return status;
}

/* {"ok": or {"error":; what is neither counts as an error. */
static bool is_ok(struct weir_contract_bytes answer)
{
    static const char SPACE[] = " \t\r\n";
    static const char KEY[] = "\"ok\"";
    size_t at = 0;
    while (at < answer.size && memchr(SPACE, answer.data[at], 4) != NULL)
        at++;
    if (at == answer.size || answer.data[at++] != '{')
        return false;
    while (at < answer.size && memchr(SPACE, answer.data[at], 4) != NULL)
        at++;
    return answer.size - at >= sizeof KEY - 1 && memcmp(answer.data + at, KEY, sizeof KEY - 1) == 0;
}

static void begin_call(struct weir_contract_run *run, const struct weir_contract_call *call,
                       struct weir_contract_result *result)
{
    struct weir_account *account = run->code->vm->account;
    *result = (struct weir_contract_result){
        .answer.account = account, .reason.account = account, .debug.account = account};
    run->result = result;
    run->status = WEIR_OK;
    run->is_failed = false;
    run->is_read_only = ENTRIES[call->entry].is_read_only;
}

static enum weir_status finish_call(struct weir_contract_run *run, uint64_t limit,
                                    enum weir_status status, struct weir_error *error)
{
    struct weir_contract_result *result = run->result;
    uint64_t left = result->is_out_of_gas ? 0 : weir_store_fuel(run->store);
    result->gas_used = limit - left;
    result->peak_pages = weir_memory_bytes(run->memory) / 65536;
    if (status != WEIR_OK)
        result->outcome = WEIR_CONTRACT_FAILED;
    else
        result->outcome = is_ok(weir_contract_view(&result->answer)) ? WEIR_CONTRACT_ANSWERED
                                                                     : WEIR_CONTRACT_REFUSED;
    if (result->outcome == WEIR_CONTRACT_FAILED)
        weir_contract_buffer_done(&result->answer);
    weir__contract_iterators_close(run);
    if (run->status == WEIR_OK)
        return WEIR_OK;
    (void)weir_error_set(&run->error, run->status, WEIR_NO_OFFSET, "%s",
                         weir_status_text(run->status));
    weir_error_move(error, &run->error);
    return run->status;
}

enum weir_status weir_contract_run_call(struct weir_contract_run *run,
                                        const struct weir_contract_call *call,
                                        struct weir_contract_result *ret_result,
                                        struct weir_error *error)
{
    const struct weir_contract_storage *storage = run->host.storage;
    uint64_t limit = call->gas_limit < INT64_MAX ? call->gas_limit : INT64_MAX;
    enum weir_status status = weir_store_set_fuel(run->store, limit, error);
    if (status == WEIR_OK && !ENTRIES[call->entry].is_read_only)
        status = storage->begin(storage->context, error);
    if (status != WEIR_OK)
        return status;
    struct weir_contract_result result;
    begin_call(run, call, &result);
    status = finish_call(run, limit, run_entry(run, call), error);
    run->result = NULL;
    bool is_kept = status == WEIR_OK && result.outcome == WEIR_CONTRACT_ANSWERED;
    enum weir_status ended = WEIR_OK;
    if (!ENTRIES[call->entry].is_read_only)
        ended = storage->end(storage->context, is_kept, error);
    if (status == WEIR_OK)
        status = ended;
    if (status == WEIR_OK)
        *ret_result = result;
    else
        weir_contract_result_done(&result);
    return status;
}

void weir_contract_result_done(struct weir_contract_result *result)
{
    weir_contract_buffer_done(&result->answer);
    weir_contract_buffer_done(&result->reason);
    weir_contract_buffer_done(&result->debug);
}
