/* Pool: a fresh guest for every call, for less than it costs to make one.
 *
 * A pool keeps warm slots: a store with one instance each. A slot that is given back is reset to
 * the state right after instantiation, so nothing of one call reaches the next one. Its memory is
 * that of the slots in use and of at most `warm_max` idle ones.
 */
#include "chapter.h"

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
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
