/* Events: an engine tells when modules, stores and instances come and go.
 *
 * For those who keep a list, a counter or a trace of their own. A hook is set with the engine
 * (struct weir_engine_config) and cannot be changed; without one nothing is computed for it.
 *
 * Each object that was created is released exactly once, on every path: a store that is closed
 * tells of each of its instances, then of itself; a pool's slots and a cache's modules are no
 * exception. What could not be made is not told of, but an instance is there before its start
 * function runs, and goes when that traps (unless something holds it already).
 *
 * The hook runs on the thread that creates or releases, inside that call and under locks of
 * Weir's; several threads may be in it at once, and it may run in any call of Weir that takes
 * memory, because idle slots and modules are given back then. So it must return soon, must call
 * nothing of Weir's but weir_event_name(), and must not wait for a thread that calls Weir.
 */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <weir/recycle.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_module;
struct weir_store;
struct weir_instance;

enum weir_event_kind {
    WEIR_EVENT_MODULE_CREATED,
    WEIR_EVENT_MODULE_RELEASED,
    WEIR_EVENT_STORE_CREATED,
    WEIR_EVENT_STORE_RELEASED,
    WEIR_EVENT_INSTANCE_CREATED,
    WEIR_EVENT_INSTANCE_RELEASED,
    WEIR_EVENT_INSTANCE_RECYCLED, /* a pool ends it for `reason`; its release follows */
    WEIR_EVENT_KIND_COUNT
};

/* Valid during the call. Pointers tell objects apart while they live; another may have the address
 * of one that was released. */
struct weir_event {
    enum weir_event_kind kind;
    const char *name; /* of the module, the store, or the instance's module */
    /* At this moment, of its own: a module's private bytes, all that the store's account holds, an
     * instance's records, memories and tables. What a release tells of comes back right after. */
    uint64_t bytes;
    const struct weir_module *module;     /* NULL for a store */
    const struct weir_store *store;       /* NULL for a module */
    const struct weir_instance *instance; /* of an instance only */
    uint32_t instance_number;             /* of an instance: in its store, from 1 */
    enum weir_recycle_reason reason;      /* INSTANCE_RECYCLED only */
};

typedef void weir_event_hook(void *context, const struct weir_event *event);

/* "module created"; never NULL. */
const char *weir_event_name(enum weir_event_kind kind);

#ifdef __cplusplus
}
#endif
#endif
