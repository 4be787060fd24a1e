/* Pool: a fresh guest for every call, for less than it costs to make one.
 *
 * A pool keeps warm slots: a store with one instance each. A slot that is given back is reset to
 * the state right after instantiation, so nothing of one call reaches the next one. Its memory is
 * that of the slots in use and of at most `warm_max` idle ones.
 *
 * A pool that verifies compares each slot with its first state, for tests of the host: here a
 * resource that writes to its guest's memory when it ends, which is after the memory was reset.
 */
#include "chapter.h"

static void write_late(void *context, uint64_t rep)
{
    (void)context;
    struct weir_memory *memory = weir_instance_memory((struct weir_instance *)(uintptr_t)rep, 0);
    (void)weir_memory_write(memory, 4660, "bye", 3); /* the mistake */
}

static void find_mistake(struct weir_module *module)
{
    static const struct weir_resource_type type = {.name = "farewell", .destroy = write_late};
    struct weir_error error = {0};
    struct weir_pool *pool = NULL;
    struct weir_instance *slot = NULL;
    struct weir_handles *handles = NULL;
    struct weir_handle handle;
    struct weir_pool_config config = {.is_verifying = true};
    must(weir_pool_new(NULL, module, &config, &pool, &error), &error);
    must(weir_pool_take_near(pool, 7, &slot, &error), &error); /* rather the slot of customer 7 */
    must(weir_instance_handles(slot, &handles, &error), &error);
    struct weir_handle_new wanted = {.type = &type, .rep = (uintptr_t)slot};
    must(weir_handle_make(handles, &wanted, &handle, &error), &error);
    weir_pool_give(pool, slot);
    const struct weir_error *fault = weir_pool_fault(pool);
    EXPECT(fault != NULL);
    print_error(stdout, fault);
    weir_pool_free(pool);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_pool *pool = NULL;
    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "counter");
    struct weir_pool_config config = {.slots_max = 2, .warm_max = 1};
    must(weir_pool_new(NULL, module, &config, &pool, &error), &error);
    must(weir_pool_warm(pool, 1, &error), &error); /* shows now what would fail every take */

    struct weir_instance *slot = NULL;
    for (int call = 1; call <= 3; call++) {
        must(weir_pool_take(pool, &slot, &error), &error);
        int32_t first = chapter_call(slot, "count", 0, 0);
        int32_t second = chapter_call(slot, "count", 0, 0);
        printf("call %d: the guest counts %d, %d\n", call, first, second);
        weir_pool_give(pool, slot);
    }

    /* More than slots_max at once is BUSY: the answer of a server is 429. */
    struct weir_instance *others[2];
    must(weir_pool_take(pool, &others[0], &error), &error);
    must(weir_pool_take(pool, &others[1], &error), &error);
    enum weir_status status = weir_pool_take(pool, &slot, &error);
    printf("%s: %s (HTTP %d)\n", weir_status_name(status), error.message, weir_status_http(status));
    weir_error_done(&error);
    weir_pool_give(pool, others[0]);
    weir_pool_drop(pool, others[1]); /* a guest that is not to be trusted again */

    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    printf("%llu takes, %llu of them cold; %u in use, %u warm\n", (unsigned long long)figures.takes,
           (unsigned long long)figures.cold_takes, figures.in_use, figures.warm);
    weir_pool_free(pool);
    find_mistake(module);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
