/* Events: an engine tells its host what comes and goes, with name and bytes.
 *
 * For a host that keeps figures or a trace of its own. The hook runs inside the calls that make
 * and end things, on any thread: it counts and returns, and calls nothing of Weir's.
 */
#include <stdatomic.h>

#include "chapter.h"

/* What the host keeps. Atomic, because hooks of several threads run at once. */
struct figures {
    _Atomic int live[3]; /* modules, stores, instances */
    _Atomic uint64_t released_bytes;
};

static void hook(void *context, const struct weir_event *event)
{
    struct figures *figures = context;
    if (event->kind == WEIR_EVENT_INSTANCE_RECYCLED)
        return; /* only says why a release follows */
    bool is_release = event->kind % 2 != 0; /* each release follows its creation in the list */
    atomic_fetch_add(&figures->live[event->kind / 2], is_release ? -1 : 1);
    if (event->kind == WEIR_EVENT_STORE_RELEASED)
        atomic_fetch_add(&figures->released_bytes, event->bytes);
    printf("%s: \"%s\"%s\n", weir_event_name(event->kind), event->name,
           event->bytes >= 65536 ? ", with a memory" : "");
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct figures figures = {0};
    struct weir_engine *engine = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    struct weir_receipt receipt = {0};
    must(
        weir_engine_new(&(struct weir_engine_config){.event_hook = hook, .event_context = &figures},
                        &engine, &error),
        &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "counter");
    must(weir_store_new(engine, &(struct weir_store_config){.name = "ann"}, &store, &error),
         &error);
    must(weir_instance_new(store, NULL, module, &instance, NULL, &error), &error);
    (void)chapter_call(instance, "count", 0, 0);
    printf("alive: %d module, %d store, %d instance\n", figures.live[0], figures.live[1],
           figures.live[2]);

    weir_store_close(store, &receipt);
    weir_module_unref(module);
    weir_engine_unref(engine);

    /* What the event said is what the receipt says. */
    uint64_t bytes = 0;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (weir_kind_is_bytes((enum weir_kind)kind))
            bytes += receipt.released[kind];
    weir_receipt_done(&receipt);
    EXPECT(bytes == figures.released_bytes);
    EXPECT(figures.live[0] == 0 && figures.live[1] == 0 && figures.live[2] == 0);
    printf("nothing is alive\n");
    return 0;
}
