/* Hello: the five objects in the order in which they are made, and one call.
 *
 *   engine    configuration; one is enough for a process, any thread may use it
 *   module    compiled, immutable, shared between stores and threads
 *   store     what one guest has; one thread at a time
 *   instance  the module's memories, tables and globals in a store
 *   function  an export, called with values by position, typed or not
 *
 * Each call that can fail returns a status and says why in an error record.
 */
#include "chapter.h"

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;

    must(weir_engine_new(NULL, &engine, &error), &error);
    struct chapter_bytes bytes = chapter_read(argc > 1 ? argv[1] : NULL);
    struct weir_module *module = NULL;
    must(weir_module_new(engine, bytes.data, bytes.size, NULL, &module, &error), &error);
    free(bytes.data); /* the module does not need them any more */

    must(weir_store_new(engine, NULL, &store, &error), &error);
    must(weir_instance_new(store, NULL, module, &instance, NULL, &error), &error);
    weir_module_unref(module); /* the instance holds it */

    struct weir_extern add = {0};
    must(weir_instance_export(instance, "add", 3, &add), &error);
    union weir_value args[] = {{.i32 = 40}, {.i32 = 2}};
    union weir_value result = {0};
    must(weir_func_call(store, add.func, args, &result, NULL, &error), &error);
    printf("40 + 2 = %d\n", result.i32);

    /* The call above knows the type. Who learns it while running lets each value say what it is:
     * what does not fit is refused, and the guest has not run. */
    struct weir_typed_value sum = {0};
    struct weir_typed_value values[] = {{WEIR_TYPE_I32, {.i32 = 40}}, {WEIR_TYPE_I64, {.i64 = 3}}};
    const struct weir_untyped_call call = {values, 2, &sum, 1};
    enum weir_status status = weir_func_call_untyped(store, add.func, &call, NULL, &error);
    printf("%s: %s\n", weir_status_name(status), error.message);
    weir_error_done(&error);
    values[1] = (struct weir_typed_value){WEIR_TYPE_I32, {.i32 = 3}};
    must(weir_func_call_untyped(store, add.func, &call, NULL, &error), &error);
    printf("40 + 3 = %d\n", sum.value.i32);

    /* An error has a status, a message, and the offset when it is about bytes. */
    status = weir_module_new(engine, (const uint8_t *)"\0asm\2", 5, NULL, &module, &error);
    printf("%s at byte %llu: %s\n", weir_status_name(status), (unsigned long long)error.offset,
           error.message);
    weir_error_done(&error);

    weir_store_close(store, NULL); /* with everything in it */
    weir_engine_unref(engine);
    return 0;
}
