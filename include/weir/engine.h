/* Engine: configuration and caches that modules, linkers and stores share.
 *
 * Several engines can live in one process. Engines and modules are shared between threads; a store
 * and everything in it is used by one thread at a time.
 *
 * fork(): the child has no thread but the one that forked. If any call of Weir's was under way (in
 * another thread, or around a host function that forks) or a task ran, the child may call nothing
 * of Weir's: it may only exec or _exit. An exec takes no descriptor of Weir's along. Otherwise the
 * child may go on: engines, modules, stores and pools are copies of its own, and so is the ledger;
 * it starts a compiler and a timer thread of its own when it needs them. An executor's threads stay
 * behind: in the child it takes no task (STATE), and freeing it waits for nobody. A child may free
 * what it has or just end; neither changes anything for its parent.
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

/* How guests are kept inside their memories, and how they trap. */
enum weir_bounds {
    WEIR_BOUNDS_GUARD,     /* 4 GiB + guard of address space per memory, no check per access */
    WEIR_BOUNDS_EXPLICIT,  /* a comparison per access, address space for the limit only */
    WEIR_BOUNDS_NO_SIGNALS /* explicit, and traps are calls: no signal handler, see below */
};

/* "guard", "explicit", "no-signals"; NULL for what is none of them. */
const char *weir_bounds_name(enum weir_bounds bounds);
/* INVALID_ARGUMENT names the choices. */
enum weir_status weir_bounds_parse(const char *name, enum weir_bounds *ret_bounds,
                                   struct weir_error *error);

/* Zero-initialise; zero and NULL mean the default named behind each field. */
struct weir_engine_config {
    uint32_t features;                        /* WEIR_FEATURES_DEFAULT; unknown bits are refused */
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

/* The first engine of a process that traps by signals (guard and explicit form) installs handlers
 * of SIGSEGV, SIGBUS, SIGILL and SIGFPE, and a thread that runs its guests gets an alternate signal
 * stack unless it has one; faults outside guest code go on to whoever handled them before.
 *
 * An engine of the no-signals form installs neither and needs neither; its guests run with those
 * signals blocked, too, for nothing that they do faults. Engines of several forms may live in one
 * process. A module belongs to its engine, an artifact of one form is not used by another.
 *
 * What only a handler survives ends the process there, as with any file that it maps: SIGBUS when
 * an artifact's file is cut beneath its mapping (not without artifact_dir: artifacts are sealed
 * then; a file that is found cut makes no instance), when disk or swap cannot be read, when memory
 * itself fails. The other forms answer WEIR_TRAP_CODE_LOST or WEIR_IO. */
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
