/* See guest.h. */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weir/weir.h>

#define PAGE 4096
#define MIB (1 << 20)

struct guest {
    struct weir_store *store;
    struct weir_instance *instance;
};

static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;
static guest_callback *host_callback;

const struct guest_trap guest_traps[] = {
    {"unreachable", 0, WEIR_TRAP_UNREACHABLE},
    {"load", -1, WEIR_TRAP_MEMORY_BOUNDS},
    {"store", MIB - 7, WEIR_TRAP_MEMORY_BOUNDS},
    {"div_s", 0, WEIR_TRAP_DIVIDE_BY_ZERO},
    {"overflow", -1, WEIR_TRAP_INTEGER_OVERFLOW},
    {"indirect", 3, WEIR_TRAP_UNINITIALIZED_ELEMENT},
    {"table_get", 4, WEIR_TRAP_TABLE_BOUNDS},
    {"recurse", 0, WEIR_TRAP_STACK_EXHAUSTED},
};
const size_t guest_trap_count = sizeof guest_traps / sizeof guest_traps[0];

static enum weir_status call_back(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0].i32 = host_callback(args[0].i32);
    return WEIR_OK;
}

static enum weir_status open_all(const uint8_t *bytes, size_t size, const char *form,
                                 struct weir_error *error)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const struct weir_func_type type = {i32, 1, i32, 1};
    const struct weir_host_definition definition = {&type, call_back, NULL};
    struct weir_engine_config config = {.features = 0};
    enum weir_status status = weir_bounds_parse(form, &config.bounds, error);
    if (status == WEIR_OK)
        status = weir_engine_new(&config, &engine, error);
    if (status == WEIR_OK)
        status = weir_module_new(engine, bytes, size, NULL, &module, error);
    if (status == WEIR_OK)
        status = weir_linker_new(engine, &linker, error);
    if (status == WEIR_OK)
        status = weir_linker_define_func(linker, "host", "call", &definition, error);
    return status;
}

const char *guest_engine_open(const char *path, const char *form, guest_callback *callback)
{
    static struct weir_error error;
    static uint8_t bytes[65536];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return "no module";
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    host_callback = callback;
    return open_all(bytes, size, form, &error) == WEIR_OK ? NULL : error.message;
}

void guest_engine_close(void)
{
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

struct guest *guest_new(void)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (guest == NULL || weir_store_new(engine, NULL, &guest->store, NULL) != WEIR_OK)
        abort();
    if (weir_instance_new(guest->store, linker, module, &guest->instance, NULL, NULL) != WEIR_OK)
        abort();
    return guest;
}

void guest_free(struct guest *guest)
{
    weir_store_close(guest->store, NULL);
    free(guest);
}

int guest_call(struct guest *guest, const char *name, int64_t argument, int64_t *ret_result)
{
    struct weir_extern item;
    union weir_value value = {.i64 = argument};
    union weir_value result = {0};
    struct weir_trap trap;
    if (weir_instance_export(guest->instance, name, strlen(name), &item) != WEIR_OK)
        return -1;
    enum weir_status status =
        weir_func_call(guest->store, item.func, &value, &result, &trap, NULL);
    if (status == WEIR_OK) {
        *ret_result = result.i32;
        return 0;
    }
    int code = status == WEIR_TRAP ? trap.code : -1;
    if (status == WEIR_TRAP)
        weir_trap_done(&trap);
    return code;
}

const void *guest_handler(void)
{
    struct sigaction action;
    (void)sigaction(SIGSEGV, NULL, &action);
    return (const void *)(uintptr_t)action.sa_sigaction;
}

void *guest_no_access(void)
{
    void *at = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED ? at : NULL;
}

void *guest_no_file(void)
{
    int fd = memfd_create("empty", MFD_CLOEXEC);
    void *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    return at != MAP_FAILED ? at : NULL;
}

void guest_fault_in_c(void)
{
    *(volatile int *)guest_no_access() = 1;
}
