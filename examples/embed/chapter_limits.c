/* Limits: memory, fuel and time; and refusals that name the whole chain.
 *
 * Accounts form a tree: host, tenants, stores. A charge comes before the bytes and must fit every
 * account above it, so a tenant's limit holds for all of its stores together. A guest that is
 * refused memory sees memory.grow answer -1; the store keeps why.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime, in strict C too */
#include <time.h>

#include "chapter.h"

#define MIB (UINT64_C(1) << 20)

static void print_trap(const char *what, struct weir_trap *trap)
{
    printf("%s: %s\n", what, weir_trap_text(trap->code));
    weir_trap_done(trap);
}

static void refuse_memory(struct weir_instance *instance)
{
    printf("memory.grow of 48 pages (3 MiB): %d\n", chapter_call(instance, "grow", 48, 0));
    printf("memory.grow of 96 pages (6 MiB): %d\n", chapter_call(instance, "grow", 96, 0));
    const struct weir_error *refusal = weir_store_refusal(weir_instance_store(instance));
    EXPECT(refusal != NULL);
    print_error(stdout, refusal);
}

static void run_out_of_fuel(struct weir_instance *instance)
{
    struct weir_store *store = weir_instance_store(instance);
    struct weir_error error = {0};
    struct weir_trap trap = {0};
    must(weir_store_set_fuel(store, 100000, &error), &error);
    EXPECT(weir_func_call(store, chapter_func(instance, "spin"), NULL, NULL, &trap, NULL) ==
           WEIR_TRAP);
    EXPECT(trap.code == WEIR_TRAP_FUEL && weir_store_fuel(store) == 0);
    print_trap("a loop on 100000 units", &trap);
    must(weir_store_set_fuel(store, UINT64_MAX, &error), &error); /* as good as none */
}

static void run_out_of_time(struct weir_instance *instance)
{
    struct weir_store *store = weir_instance_store(instance);
    struct weir_trap trap = {0};
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    weir_store_set_deadline(store, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec +
                                       UINT64_C(20000000));
    EXPECT(weir_func_call(store, chapter_func(instance, "spin"), NULL, NULL, &trap, NULL) ==
           WEIR_TRAP);
    EXPECT(trap.code == WEIR_TRAP_DEADLINE);
    print_trap("a loop for 20 ms", &trap);
    weir_store_set_deadline(store, 0);
    /* weir_store_interrupt() does the same at once, from any thread. */
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_account *tenant = NULL;
    struct weir_store *store = NULL;
    struct weir_store *other = NULL;
    struct weir_instance *instance = NULL;
    must(weir_engine_new(&(struct weir_engine_config){.has_fuel = true}, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "limits");
    must(weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "acme", 12 * MIB, &tenant,
                          &error),
         &error);
    must(weir_store_new(engine,
                        &(struct weir_store_config){
                            .name = "thumbs", .account = tenant, .memory_bytes_max = 8 * MIB},
                        &store, &error),
         &error);
    must(weir_instance_new(store, NULL, module, &instance, NULL, &error), &error);
    must(weir_store_set_fuel(store, UINT64_MAX, &error), &error);

    refuse_memory(instance);
    run_out_of_fuel(instance);
    run_out_of_time(instance);

    /* A second store of the tenant, without a limit of its own: the tenant's holds. */
    must(weir_store_new(engine, &(struct weir_store_config){.name = "pages", .account = tenant},
                        &other, &error),
         &error);
    must(weir_instance_new(other, NULL, module, &instance, NULL, &error), &error);
    must(weir_store_set_fuel(other, UINT64_MAX, &error), &error);
    printf("in \"pages\", 9 MiB more: %d\n", chapter_call(instance, "grow", 144, 0));
    print_error(stdout, weir_store_refusal(other));

    weir_store_close(other, NULL);
    weir_store_close(store, NULL);
    weir_account_close(tenant);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
