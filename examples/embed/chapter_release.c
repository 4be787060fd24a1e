/* Release: what comes back when a store closes or one instance goes, and who keeps it from going.
 *
 * A store closes in any state and never waits. An instance can go while its store lives, as a
 * plugin that is unloaded; when something still holds it nothing happens, and the receipt names
 * all that does.
 */
#include "chapter.h"

#define PLUGINS 1000

static uint64_t used_bytes(struct weir_store *store)
{
    struct weir_account_reading reading;
    weir_account_read(weir_store_account(store), &reading);
    return reading.used_bytes;
}

static struct weir_instance *load(struct weir_store *store, const struct weir_linker *linker,
                                  struct weir_module *module)
{
    struct weir_error error = {0};
    struct weir_instance *instance = NULL;
    must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    return instance;
}

/* Somebody keeps one of its functions; then nobody does. */
static void release_pinned(struct weir_store *store, struct weir_instance *instance)
{
    struct weir_error error = {0};
    struct weir_receipt receipt = {0};
    struct weir_table *table = NULL;
    struct weir_instance_pin *pin = NULL;
    must(weir_table_new(store, WEIR_TYPE_FUNCREF, &(struct weir_limits){.min = 8}, &table, &error),
         &error);
    EXPECT(weir_table_set(table, 3, chapter_func(instance, "work")) == WEIR_OK);
    must(weir_instance_pin(instance, "the list of plugins", &pin, &error), &error);

    EXPECT(weir_instance_release(instance, &receipt, &error) == WEIR_STATE);
    printf("%s: %s\n", weir_status_name(error.status), error.message);
    for (const struct weir_receipt_pin *at = receipt.pins; at != NULL; at = at->next)
        printf("  held: %s\n", at->holder);
    weir_error_done(&error);
    weir_receipt_done(&receipt);

    weir_instance_unpin(pin);
    EXPECT(weir_table_set(table, 3, NULL) == WEIR_OK);
    must(weir_instance_release(instance, &receipt, &error), &error);
    printf("released: linear memory %llu KiB, tables %llu bytes\n",
           (unsigned long long)receipt.released[WEIR_KIND_LINEAR_MEMORY] / 1024,
           (unsigned long long)receipt.released[WEIR_KIND_TABLE]);
    weir_receipt_done(&receipt);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_store *store = NULL;
    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "plugin");
    must(weir_store_new(engine, &(struct weir_store_config){.name = "plugins"}, &store, &error),
         &error);

    release_pinned(store, load(store, NULL, module));

    /* A store can load and release plugins for ever. */
    struct weir_instance *resident = load(store, NULL, module);
    uint64_t before = used_bytes(store);
    for (int i = 0; i < PLUGINS; i++) {
        struct weir_instance *plugin = load(store, NULL, module);
        (void)chapter_call(plugin, "work", 0, 0);
        must(weir_instance_release(plugin, NULL, &error), &error);
    }
    weir_store_rest(store); /* the stack that the first call took */
    printf("%d plugins later the store holds %lld bytes more\n", PLUGINS,
           (long long)(used_bytes(store) - before));
    (void)chapter_call(resident, "work", 0, 0);

    struct weir_receipt receipt = {0};
    uint64_t held = used_bytes(store);
    weir_store_close(store, &receipt);
    uint64_t back = 0;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (weir_kind_is_bytes((enum weir_kind)kind))
            back += receipt.released[kind];
    printf("closed: %s, all that it held came back: %s\n",
           receipt.drained ? "drained" : "something pends", back == held ? "yes" : "no");
    weir_receipt_done(&receipt);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return back == held ? 0 : 1;
}
