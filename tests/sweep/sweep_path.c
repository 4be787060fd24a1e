/* See sweep_path.h. */
#include "tests/sweep/sweep_path.h"

#include <dirent.h>
#include <string.h>

#include "ledger/mapping.h"
#include "sweep_guest_wasm.h"
#include "sweep_wasi_wasm.h"

struct guest {
    struct weir_engine *engine;
    struct weir_module *module;
    struct weir_linker *linker;
    struct weir_store *store;
    struct weir_instance *instance;
};

/* More small records than a chunk of a store's arena has room for. */
#define MANY 1500

const char *sweep_step;
const char *sweep_failed;

static void step(const char *name)
{
    sweep_step = name;
}

static bool note(bool is_good)
{
    if (!is_good && sweep_failed == NULL)
        sweep_failed = sweep_step;
    return is_good;
}

/* An error says what it is. */
static bool is_ok(enum weir_status status, struct weir_error *error)
{
    if (status != WEIR_OK)
        ck_assert_msg(error->status == status && error->message[0] != '\0',
                      "%s, but the record says %s: %s", weir_status_name(status),
                      weir_status_name(error->status), error->message);
    weir_error_done(error);
    return note(status == WEIR_OK);
}

static enum weir_status host(struct weir_caller *caller, void *data, const union weir_value *args,
                             union weir_value *results)
{
    (void)data;
    struct weir_extern item;
    static struct weir_trap trap;
    enum weir_status status = weir_instance_export(weir_caller_instance(caller), "touch", 5, &item);
    if (status != WEIR_OK)
        return status;
    struct weir_error error = {0};
    status = weir_func_call(weir_caller_store(caller), item.func, args, results, &trap, &error);
    weir_error_done(&error);
    weir_trap_done(&trap);
    return status;
}

/* A call that may fail for want of memory; -1 when it did. */
static int64_t call(struct guest *guest, const char *name, int32_t argument)
{
    static struct weir_trap trap;
    struct weir_extern item;
    union weir_value value = {.i32 = argument};
    union weir_value result = {.i32 = -1};
    if (weir_instance_export(guest->instance, name, strlen(name), &item) != WEIR_OK)
        return -1;
    struct weir_error error = {0};
    enum weir_status status =
        weir_func_call(guest->store, item.func, &value, &result, &trap, &error);
    if (status == WEIR_TRAP)
        weir_trap_done(&trap);
    else
        (void)is_ok(status, &error);
    weir_error_done(&error);
    return status == WEIR_OK ? result.i32 : -1;
}

static bool open_guest(struct guest *guest, int artifact, const struct weir_engine_config *config)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    const struct weir_func_type type = {i32, 1, i32, 1};
    const struct weir_host_definition definition = {&type, host, NULL};
    struct weir_error error = {0};
    step("engine");
    if (!is_ok(weir_engine_new(config, &guest->engine, &error), &error))
        return false;
    step("load");
    if (!is_ok(weir_module_load(guest->engine, artifact, NULL, &guest->module, &error), &error))
        return false;
    step("linker");
    return is_ok(weir_linker_new(guest->engine, &guest->linker, &error), &error) &&
           is_ok(weir_linker_define_func(guest->linker, "host", "call", &definition, &error),
                 &error);
}

static bool open_store(struct guest *guest, uint64_t memory_bytes_max)
{
    const struct weir_store_config config = {.memory_bytes_max = memory_bytes_max};
    struct weir_error error = {0};
    static struct weir_trap trap;
    step("store");
    if (!is_ok(weir_store_new(guest->engine, &config, &guest->store, &error), &error))
        return false;
    step("instantiate");
    return is_ok(weir_instance_new(guest->store, guest->linker, guest->module, &guest->instance,
                                   &trap, &error),
                 &error);
}

static void close_guest(struct guest *guest)
{
    struct weir_receipt receipt = {0};
    if (guest->store != NULL) {
        weir_store_close(guest->store, &receipt);
        ck_assert(receipt.drained);
        weir_receipt_done(&receipt);
    }
    weir_linker_free(guest->linker);
    weir_module_unref(guest->module);
    weir_engine_unref(guest->engine);
}

/* A call by its step's name; false when the answer is another. */
static bool does(struct guest *guest, const char *what, const char *name, int32_t argument,
                 int64_t answer)
{
    step(what);
    return note(call(guest, name, argument) == answer);
}

static bool live(struct guest *guest)
{
    struct weir_error error = {0};
    bool is_done = does(guest, "call", "touch", 0, 7);
    is_done &= does(guest, "grow memory", "grow", 3, 1);
    is_done &= does(guest, "grow table", "table_grow", 900, 4);
    is_done &= does(guest, "call of the host", "nest", 65536, 7);
    (void)call(guest, "trap", 0);
    weir_store_rest(guest->store);
    is_done &= does(guest, "call after a rest", "touch", 131072, 7);
    is_done &= weir_store_refusal(guest->store) == NULL;
    step("reset");
    is_done &= is_ok(weir_instance_reset(guest->instance, &error), &error);
    return does(guest, "call", "touch", 0, 7) && is_done;
}

static bool whole_way(int artifact, const struct weir_engine_config *config)
{
    struct guest guest = {0};
    bool is_done = open_guest(&guest, artifact, config) && open_store(&guest, 0) && live(&guest);
    step("close");
    close_guest(&guest);
    return is_done;
}

bool path_plain(const struct sweep_artifacts *artifacts)
{
    return whole_way(artifacts->guest, NULL);
}

static const struct weir_engine_config explicit_config = {.bounds = WEIR_BOUNDS_EXPLICIT};

bool path_explicit(const struct sweep_artifacts *artifacts)
{
    return whole_way(artifacts->guest_explicit, &explicit_config);
}

static bool make_externs(struct weir_store *store)
{
    struct weir_error error = {0};
    const struct weir_func_type type = {NULL, 0, NULL, 0};
    const struct weir_host_definition definition = {&type, host, NULL};
    const struct weir_limits limits = {.min = 1, .max = 1000, .has_max = true};
    struct weir_funcref *func = NULL;
    struct weir_memory *memory = NULL;
    struct weir_table *table = NULL;
    struct weir_global *global = NULL;
    step("func of the host");
    for (int i = 0; i < MANY; i++)
        if (!is_ok(weir_func_new(store, &definition, &func, &error), &error))
            return false;
    step("memory of the host");
    if (!is_ok(weir_memory_new(store, &limits, &memory, &error), &error))
        return false;
    step("memory grown by the host");
    bool is_done = note(weir_memory_grow(memory, 20, &error) == 1);
    weir_error_done(&error);
    step("table of the host");
    if (!is_ok(weir_table_new(store, WEIR_TYPE_FUNCREF, &limits, &table, &error), &error))
        return false;
    step("table grown by the host");
    is_done &= note(weir_table_grow(table, 700, func, &error) == 1);
    weir_error_done(&error);
    step("global of the host");
    for (int i = 0; i < MANY; i++)
        if (!is_ok(weir_global_new(store, WEIR_TYPE_FUNCREF, true,
                                   (union weir_value){.funcref = func}, &global, &error),
                   &error))
            return false;
    return is_done;
}

static bool make_handles(struct weir_instance *instance)
{
    static const struct weir_resource_type type = {.name = "thing"};
    const struct weir_handle_new wanted = {.type = &type, .rep = 1};
    struct weir_error error = {0};
    struct weir_handles *handles = NULL;
    struct weir_handle handle;
    step("table of handles");
    if (!is_ok(weir_instance_handles(instance, &handles, &error), &error))
        return false;
    step("handle");
    for (int i = 0; i < 200; i++)
        if (!is_ok(weir_handle_make(handles, &wanted, &handle, &error), &error))
            return false;
    return true;
}

bool path_host_made(const struct sweep_artifacts *artifacts)
{
    struct guest guest = {0};
    struct weir_error error = {0};
    struct weir_instance_pin *pin = NULL;
    bool is_done = open_guest(&guest, artifacts->guest, NULL) && open_store(&guest, 0) &&
                   make_externs(guest.store) && make_handles(guest.instance);
    if (is_done) {
        step("pin");
        is_done = is_ok(weir_instance_pin(guest.instance, "sweep", &pin, &error), &error);
        if (is_done)
            weir_instance_unpin(pin);
        struct weir_receipt receipt = {0};
        step("release");
        is_done &= is_ok(weir_instance_release(guest.instance, &receipt, &error), &error);
        weir_receipt_done(&receipt);
    }
    step("close");
    close_guest(&guest);
    return is_done;
}

void sweep_close_needs_nothing(const struct sweep_artifacts *artifacts)
{
    struct guest guest = {0};
    ck_assert(open_guest(&guest, artifacts->guest, NULL));
    ck_assert(open_store(&guest, 0));
    ck_assert(live(&guest));
    ck_assert(make_externs(guest.store));
    ck_assert(make_handles(guest.instance));
    (void)weir_ledger_fail_nth(1);
    close_guest(&guest);
    ck_assert_uint_le(weir_ledger_fail_nth(0), 1); /* the stack, which is unmapped instead */
}

bool path_pool(const struct sweep_artifacts *artifacts)
{
    struct guest guest = {0};
    struct weir_error error = {0};
    struct weir_pool *pool = NULL;
    const struct weir_pool_config config = {.slots_max = 4, .warm_max = 2};
    bool is_done = open_guest(&guest, artifacts->guest, NULL) &&
                   is_ok(weir_pool_new(guest.linker, guest.module, &config, &pool, &error), &error);
    for (int round = 0; is_done && round < 3; round++) {
        step("take");
        is_done &= is_ok(weir_pool_take(pool, &guest.instance, &error), &error);
        if (!is_done)
            break;
        guest.store = weir_instance_store(guest.instance);
        is_done &= does(&guest, "call", "touch", 0, 7);
        is_done &= does(&guest, "grow memory", "grow", 2, 1);
        is_done &= weir_store_refusal(guest.store) == NULL;
        guest.store = NULL;
        if (round == 1)
            weir_pool_drop(pool, guest.instance);
        else
            weir_pool_give(pool, guest.instance);
    }
    weir_pool_free(pool);
    close_guest(&guest);
    return is_done;
}

/* A resident that is set up, kept, and ended by its policy and by hand. */
bool path_resident(const struct sweep_artifacts *artifacts)
{
    struct guest guest = {0};
    struct weir_error error = {0};
    struct weir_pool *pool = NULL;
    struct weir_receipt receipt = {0};
    const struct weir_pool_config config = {
        .slots_max = 2,
        .is_resident = true,
        .recycle = {.calls_max = 2, .private_bytes_max = 1 << 20, .idle_ns_max = UINT64_MAX}};
    bool is_done = open_guest(&guest, artifacts->guest, NULL) &&
                   is_ok(weir_pool_new(guest.linker, guest.module, &config, &pool, &error), &error);
    for (int round = 0; is_done && round < 3; round++) {
        is_done &= is_ok(weir_pool_take(pool, &guest.instance, &error), &error);
        if (!is_done)
            break;
        guest.store = weir_instance_store(guest.instance);
        if (!weir_pool_is_settled(guest.instance))
            is_done &= is_ok(weir_pool_settle(pool, guest.instance, &error), &error);
        is_done &= call(&guest, "touch", 0) == 7;
        guest.store = NULL;
        if (round == 2)
            ck_assert_int_eq(weir_pool_recycle(pool, guest.instance, WEIR_RECYCLE_ASKED, &receipt,
                                               NULL),
                             WEIR_OK);
        else
            weir_pool_give(pool, guest.instance);
    }
    weir_receipt_done(&receipt);
    weir_pool_free(pool);
    close_guest(&guest);
    return is_done;
}

static struct weir_wasi *current_wasi;

static struct weir_wasi *find(struct weir_store *store)
{
    (void)store;
    return current_wasi;
}

bool path_wasi(const struct sweep_artifacts *artifacts)
{
    static const char *const args[] = {"program", "argument"};
    static const char *const env[] = {"NAME=value"};
    static const struct weir_wasi_preopen preopen = {"/", "/tmp", true};
    static struct weir_trap trap;
    const struct weir_wasi_config config = {.args = args,
                                            .arg_count = 2,
                                            .env = env,
                                            .env_count = 1,
                                            .preopens = &preopen,
                                            .preopen_count = 1,
                                            .stdio_fds = {-1, -1, -1}};
    struct guest guest = {0};
    struct weir_error error = {0};
    int exit_code = 0;
    bool is_done = open_guest(&guest, artifacts->wasi, NULL) &&
                   is_ok(weir_wasi_link(guest.linker, find, &error), &error) &&
                   open_store(&guest, 0) &&
                   is_ok(weir_wasi_new(guest.store, &config, &current_wasi, &error), &error);
    if (is_done) {
        enum weir_status status =
            weir_wasi_run(current_wasi, guest.instance, &exit_code, &trap, &error);
        if (status == WEIR_TRAP)
            weir_trap_done(&trap);
        else
            (void)is_ok(status, &error);
        weir_error_done(&error);
        is_done = status == WEIR_OK && exit_code == 3;
        weir_wasi_free(current_wasi);
    }
    current_wasi = NULL;
    close_guest(&guest);
    return is_done;
}

bool path_limited(const struct sweep_artifacts *artifacts)
{
    struct guest guest = {0};
    bool is_done =
        open_guest(&guest, artifacts->guest, NULL) && open_store(&guest, (uint64_t)3 << 20);
    if (is_done) {
        is_done &= call(&guest, "grow", 60) == -1;
        is_done &= weir_store_refusal(guest.store) != NULL;
        is_done &= call(&guest, "touch", 65532) == 7;
    }
    close_guest(&guest);
    return is_done;
}

bool path_cancelled(const struct sweep_artifacts *artifacts)
{
    struct guest guest = {0};
    bool is_done = open_guest(&guest, artifacts->guest, NULL) && open_store(&guest, 0);
    if (is_done) {
        weir_store_interrupt(guest.store);
        is_done &= call(&guest, "spin", 0) == -1;
        weir_store_clear_interrupt(guest.store);
        is_done &= call(&guest, "touch", 0) == 7;
    }
    close_guest(&guest);
    return is_done;
}

bool path_compile(const struct sweep_artifacts *artifacts)
{
    (void)artifacts;
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_module *module = NULL;
    step("compile");
    bool is_done = is_ok(weir_engine_new(NULL, &engine, &error), &error) &&
                   is_ok(weir_module_new(engine, sweep_guest_wasm, sizeof sweep_guest_wasm, NULL,
                                         &module, &error),
                         &error);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return is_done;
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

void sweep_state_read(struct sweep_state *ret)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    memcpy(ret->kinds, reading.kinds, sizeof ret->kinds);
    ret->heap_bytes = weir_ledger_heap_bytes();
    ret->mapping_count = weir_mapping_count();
    ret->descriptor_count = count_descriptors();
}

void sweep_state_expect(const struct sweep_state *before, const char *what)
{
    struct sweep_state now;
    sweep_state_read(&now);
    for (unsigned i = 0; i < WEIR_KIND_COUNT; i++)
        ck_assert_msg(now.kinds[i] == before->kinds[i], "%s: %s %llu, was %llu", what,
                      weir_kind_name((enum weir_kind)i), (unsigned long long)now.kinds[i],
                      (unsigned long long)before->kinds[i]);
    /* malloc gives a block that was taken anew 16 bytes more or fewer; a lost one is 32. */
    ck_assert_msg(now.heap_bytes + 16 >= before->heap_bytes &&
                      now.heap_bytes <= before->heap_bytes + 16,
                  "%s: heap %llu, was %llu", what, (unsigned long long)now.heap_bytes,
                  (unsigned long long)before->heap_bytes);
    ck_assert_msg(now.mapping_count == before->mapping_count, "%s: %zu mappings, were %zu", what,
                  now.mapping_count, before->mapping_count);
    ck_assert_msg(now.descriptor_count == before->descriptor_count, "%s: %u descriptors, were %u",
                  what, now.descriptor_count, before->descriptor_count);
}

void sweep_artifacts_make(struct sweep_artifacts *ret)
{
    ret->guest = fixture_artifact(NULL, sweep_guest_wasm, sizeof sweep_guest_wasm);
    ret->guest_explicit =
        fixture_artifact(&explicit_config, sweep_guest_wasm, sizeof sweep_guest_wasm);
    ret->wasi = fixture_artifact(NULL, sweep_wasi_wasm, sizeof sweep_wasi_wasm);
}
