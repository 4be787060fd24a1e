/* Handles: what a guest holds of its host, by number.
 *
 * A guest gets small numbers for the host's files, sockets, connections. The table knows type and
 * generation of each: a wrong number or one of another type is an error, never another's resource.
 * What the guest forgets to drop is destroyed with its store, and the receipt says who made it.
 */
#include "chapter.h"

static int files_open;

static void close_file(void *context, uint64_t rep)
{
    (void)context;
    printf("  file %llu closed\n", (unsigned long long)rep);
    files_open--;
}

static const struct weir_resource_type FILE_TYPE = {
    .name = "file", .destroy = close_file, .handles_max = 3};
static const struct weir_resource_type TIMER_TYPE = {.name = "timer"};

/* The table of the calling instance. */
static enum weir_status handles_of(struct weir_caller *caller, struct weir_handles **ret_handles,
                                   struct weir_error *error)
{
    return weir_instance_handles(weir_caller_instance(caller), ret_handles, error);
}

/* A failure is the guest's: it traps, and the trap says what the table said. */
static enum weir_status trap_of(struct weir_caller *caller, struct weir_error *error)
{
    enum weir_status status = weir_caller_trap(caller, WEIR_TRAP_HOST, "%s", error->message);
    weir_error_done(error);
    return status;
}

static enum weir_status file_open(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    struct weir_error error = {0};
    struct weir_handles *handles;
    struct weir_handle handle;
    struct weir_handle_new wanted = {
        .type = &FILE_TYPE, .rep = (uint64_t)(uint32_t)args[0].i32, .label = "file_open"};
    if (handles_of(caller, &handles, &error) != WEIR_OK ||
        weir_handle_make(handles, &wanted, &handle, &error) != WEIR_OK)
        return trap_of(caller, &error);
    files_open++;
    results[0].i32 = (int32_t)handle.index;
    return WEIR_OK;
}

static enum weir_status file_close(struct weir_caller *caller, void *data,
                                   const union weir_value *args, union weir_value *results)
{
    (void)data;
    (void)results;
    struct weir_error error = {0};
    struct weir_handles *handles;
    if (handles_of(caller, &handles, &error) != WEIR_OK ||
        weir_handle_drop(handles, (uint32_t)args[0].i32, &FILE_TYPE, &error) != WEIR_OK)
        return trap_of(caller, &error);
    return WEIR_OK;
}

static void define(struct weir_linker *linker, const char *name, weir_host_func *func,
                   size_t result_count)
{
    static const enum weir_type i32 = WEIR_TYPE_I32;
    struct weir_error error = {0};
    struct weir_func_type type = {&i32, 1, &i32, result_count};
    must(weir_linker_define_func(linker, "host", name,
                                 &(struct weir_host_definition){.type = &type, .func = func},
                                 &error),
         &error);
}

static void call_and_trap(struct weir_instance *instance, const char *name)
{
    struct weir_trap trap = {0};
    EXPECT(weir_func_call(weir_instance_store(instance), chapter_func(instance, name), NULL, NULL,
                          &trap, NULL) == WEIR_TRAP);
    printf("%s: %s\n", name, trap.cause.message);
    weir_trap_done(&trap);
}

/* What the host remembers has a generation: it goes stale, it does not become another's. */
static void remember(struct weir_instance *instance)
{
    struct weir_error error = {0};
    struct weir_handles *handles;
    struct weir_handle first, second;
    uint64_t rep;
    must(weir_instance_handles(instance, &handles, &error), &error);
    struct weir_handle_new wanted = {.type = &TIMER_TYPE, .rep = 1};
    must(weir_handle_make(handles, &wanted, &first, &error), &error);
    must(weir_handle_drop(handles, first.index, &TIMER_TYPE, &error), &error);
    must(weir_handle_make(handles, &wanted, &second, &error), &error);
    EXPECT(second.index == first.index);
    EXPECT(weir_handle_check(handles, first, &TIMER_TYPE, &rep, &error) == WEIR_NOT_FOUND);
    printf("a stale handle: %s\n", error.message);
    weir_error_done(&error);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "reader");
    must(weir_linker_new(engine, &linker, &error), &error);
    define(linker, "file_open", file_open, 1);
    define(linker, "file_close", file_close, 0);
    must(weir_store_new(engine, &(struct weir_store_config){.name = "reader"}, &store, &error),
         &error);
    must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);

    (void)chapter_call(instance, "tidy", 0, 0);
    remember(instance);
    call_and_trap(instance, "close_twice");
    call_and_trap(instance, "hoard");

    struct weir_receipt receipt = {0};
    printf("closing the store\n");
    weir_store_close(store, &receipt);
    printf("%llu never dropped:\n", (unsigned long long)receipt.undropped_count);
    for (const struct weir_receipt_pin *at = receipt.undropped; at != NULL; at = at->next)
        printf("  %s\n", at->holder);
    weir_receipt_done(&receipt);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    EXPECT(files_open == 0);
    return 0;
}
