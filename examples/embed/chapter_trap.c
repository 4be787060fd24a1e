/* Traps: the end of a call that is a result, with its place, its reason and its backtrace.
 *
 * A trap ends one call. The store, its memories and the host go on; whether the guest's state is
 * still worth anything is the embedder's to decide (the chapters on release and on pools say how
 * to be rid of it). No trap passes a frame of the host: what a host function has begun it ends.
 */
#include "chapter.h"

static enum weir_status refuse(struct weir_caller *caller, void *data, const union weir_value *args,
                               union weir_value *results)
{
    (void)data;
    (void)results;
    if (args[0].i32 == 0)
        return weir_caller_exit(caller, 3);
    return weir_caller_trap(caller, WEIR_TRAP_HOST, "no %d today", args[0].i32);
}

static void call(struct weir_instance *instance, const char *name, int32_t number)
{
    struct weir_error error = {0};
    struct weir_trap trap = {0};
    union weir_value args[] = {{.i32 = number}};
    union weir_value result = {0};
    enum weir_status status = weir_func_call(
        weir_instance_store(instance), chapter_func(instance, name), args, &result, &trap, &error);
    if (status == WEIR_OK) {
        printf("%s(%d) = %d\n", name, number, result.i32);
        return;
    }
    EXPECT(status == WEIR_TRAP); /* others: the call could not start, *trap is untouched */
    printf("%s(%d): %s\n", name, number, weir_trap_text(trap.code));
    if (trap.code == WEIR_TRAP_EXIT)
        printf("  exit code %d\n", trap.exit_code);
    if (trap.cause.status != WEIR_OK)
        printf("  because %s\n", trap.cause.message);
    for (size_t i = 0; i < trap.frame_count && i < 4; i++)
        printf("  %s in %s, %#x in the function\n", trap.frames[i].function, trap.frames[i].module,
               trap.frames[i].func_offset);
    if (trap.frame_count + trap.frames_left_out > 4)
        printf("  and more\n");
    weir_trap_done(&trap);
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
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "shop");
    must(weir_linker_new(engine, &linker, &error), &error);
    static const enum weir_type params[] = {WEIR_TYPE_I32};
    struct weir_func_type type = {.params = params, .param_count = 1};
    must(weir_linker_define_func(linker, "host", "refuse",
                                 &(struct weir_host_definition){.type = &type, .func = refuse},
                                 &error),
         &error);
    must(weir_store_new(engine, NULL, &store, &error), &error);
    must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);

    call(instance, "divide", 0);
    call(instance, "load", -1);
    call(instance, "deep", 0);
    call(instance, "ask", 7);
    call(instance, "ask", 0);
    call(instance, "divide", 5); /* the same instance, none the worse */

    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
