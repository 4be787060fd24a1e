/* Engine: configuration and caches that modules, linkers and stores share.
 *
 * Several engines can live in one process. Engines and modules are shared between threads; a store
 * and everything in it is used by one thread at a time.
 */
#ifndef WEIR_ENGINE_H
#define WEIR_ENGINE_H

#include <weir/account.h>
#include <weir/event.h>
#include <weir/fuel.h>
#include <weir/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_engine;

enum weir_bounds {
    WEIR_BOUNDS_GUARD,   /* 4 GiB + guard of address space per memory, no check per access */
    WEIR_BOUNDS_EXPLICIT /* a comparison per access, address space for the limit only */
};

/* Zero-initialise; zero and NULL mean the default named behind each field. */
struct weir_engine_config {
    uint32_t features;                        /* WEIR_FEATURES_DEFAULT */
    enum weir_bounds bounds;                  /* guard */
    bool has_fuel;                            /* compile fuel in */
    const struct weir_fuel_costs *fuel_costs; /* copied; only with has_fuel: the plain table */
    /* A NaN that arithmetic makes is 0x7fc00000 or 0x7ff8000000000000 as soon as its bits can be
     * seen, and so is one that neg, promote or demote take straight from there: what a guest
     * computes is then the same on every machine. A NaN that is only moved stays as it is. */
    bool has_canonical_nans;
    bool no_poll;              /* leave loop polls out: such guests can only be stopped by fuel */
    const char *artifact_dir;  /* none: artifacts live in memory only */
    uint64_t stack_bytes;      /* of a guest stack, guard not counted: 1 MiB */
    uint64_t module_bytes_max; /* 1 GiB */
    struct weir_account *account; /* parent of the engine's own account: host */
    weir_event_hook *event_hook;  /* none; told what comes and goes, see event.h */
    void *event_context;          /* the embedder's; must outlive the engine's last object */
};

/* The first engine of a process installs the trap handlers (SIGSEGV, SIGBUS, SIGILL, SIGFPE on
 * alternate stacks); faults outside guest code go on to whoever handled them before. */
enum weir_status weir_engine_new(const struct weir_engine_config *config,
                                 struct weir_engine **ret_engine, struct weir_error *error);
struct weir_engine *weir_engine_ref(struct weir_engine *engine);
/* NULL is allowed. The engine lives until its modules, linkers and stores are gone. */
void weir_engine_unref(struct weir_engine *engine);
struct weir_account *weir_engine_account(struct weir_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
