/* Resident: a guest that keeps its state from call to call, for as long as its policy allows.
 *
 * For guests that are costly to set up, or that keep a cache. What they leak goes with them: the
 * policy is looked at when a guest comes back from a use, never during one, so a host holds at most
 * a mark and what one use adds to it. The state is a cache; it may be gone at the next take.
 */
#include "chapter.h"

/* What is done once with a new guest; from then on its calls count. */
static void set_up(struct weir_pool *pool, struct weir_instance *guest)
{
    struct weir_error error = {0};
    if (weir_pool_is_settled(guest))
        return;
    printf("  a new guest is set up\n");
    (void)chapter_call(guest, "count", 0, 0);
    must(weir_pool_settle(pool, guest, &error), &error);
}

static struct weir_instance *take(struct weir_pool *pool)
{
    struct weir_error error = {0};
    struct weir_instance *guest = NULL;
    must(weir_pool_take(pool, &guest, &error), &error);
    set_up(pool, guest);
    return guest;
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_pool *pool = NULL;
    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "counter");
    const struct weir_pool_config config = {
        .is_resident = true,
        .slots_max = 1,
        .recycle = {.calls_max = 3, .linear_bytes_max = 1 << 20}};
    must(weir_pool_new(NULL, module, &config, &pool, &error), &error);

    for (int use = 1; use <= 5; use++) {
        struct weir_instance *guest = take(pool);
        int count = chapter_call(guest, "count", 0, 0);
        printf("use %d: the guest counts %d, due: %s\n", use, count,
               weir_recycle_reason_name(weir_pool_due(pool, guest, NULL)));
        weir_pool_give(pool, guest); /* ends it when it is due */
    }

    /* By hand, with the receipt. */
    struct weir_receipt receipt = {0};
    struct weir_instance *guest = take(pool);
    must(weir_pool_recycle(pool, guest, WEIR_RECYCLE_ASKED, &receipt, &error), &error);
    printf("recycled: %llu KiB of memory came back\n",
           (unsigned long long)receipt.released[WEIR_KIND_LINEAR_MEMORY] / 1024);
    weir_receipt_done(&receipt);

    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    for (int reason = 0; reason < WEIR_RECYCLE_REASON_COUNT; reason++)
        if (figures.recycled[reason] > 0)
            printf("for reason %s: %llu\n",
                   weir_recycle_reason_name((enum weir_recycle_reason)reason),
                   (unsigned long long)figures.recycled[reason]);
    EXPECT(figures.in_use == 0 && figures.warm == 0);
    weir_pool_free(pool);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
