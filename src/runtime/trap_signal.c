/* The signal handler: a fault of guest code becomes a trap, a fault of the copy primitive an
 * answer, everything else goes to whoever handled it before us.
 *
 * Nothing here allocates, locks or reads a file's pages without the copy primitive. The handler
 * runs on an alternate stack with no signal masked, so a fault inside its own guarded reads is a
 * second call of itself. It returns into the boundary; nothing is to be unmasked or unwound.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/module_internal.h"

static const int caught[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
#define CAUGHT_COUNT (sizeof caught / sizeof caught[0])
static struct sigaction previous[CAUGHT_COUNT];

static void forward(int signal, siginfo_t *info, void *context)
{
    const struct sigaction *before = &previous[0];
    for (size_t i = 0; i < CAUGHT_COUNT; i++)
        if (caught[i] == signal)
            before = &previous[i];
    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(signal, info, context);
        return;
    }
    if (before->sa_handler == SIG_IGN && info->si_code <= 0)
        return;
    if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signal);
        return;
    }
    /* As if we had never been here: the instruction faults again, or the signal is sent again. */
    struct sigaction none;
    memset(&none, 0, sizeof none);
    none.sa_handler = SIG_DFL;
    (void)sigaction(signal, &none, NULL);
    if (info->si_code <= 0)
        (void)syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), signal);
}

/* False: not a place where guests trap; then it is a bug, and must not be hidden. */
static bool find_code(int signal, const struct weir__code_range *range, uint64_t pc,
                      uint32_t *ret_code)
{
    if (signal == SIGBUS) {
        *ret_code = WEIR_TRAP_CODE_LOST;
        return true;
    }
    struct weir__code_place place;
    switch (weir__code_place(range, pc, &place)) {
    case WEIR__LOOKUP_LOST:
        *ret_code = WEIR_TRAP_CODE_LOST;
        return true;
    case WEIR__LOOKUP_FOUND:
        if (place.code == WEIR_TRAP_NONE || place.code == WEIR_SITE_CALL)
            return false;
        *ret_code = place.code;
        return true;
    case WEIR__LOOKUP_NONE:
        break;
    }
    return false;
}

static void handle(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    greg_t *registers = user->uc_mcontext.gregs;
    uint64_t pc = (uint64_t)registers[REG_RIP];
    if (info->si_code > 0) {
        if (pc >= (uint64_t)weir__copy_begin && pc < (uint64_t)weir__copy_end) {
            registers[REG_RIP] = (greg_t)weir__copy_fault;
            return;
        }
        const struct weir__code_range *range = weir__code_find(pc);
        struct weir__activation *activation = weir__current;
        uint32_t code;
        if (range != NULL && activation != NULL && find_code(signal, range, pc, &code)) {
            activation->trap_pc = pc;
            activation->trap_fp = (uint64_t)registers[REG_RBP];
            activation->trap_address = (uint64_t)info->si_addr;
            activation->trap_code = code;
            registers[REG_RIP] = (greg_t)weir__boundary_trap;
            registers[REG_RSP] = (greg_t)activation->state->host_sp;
            return;
        }
    }
    forward(signal, info, context);
}

enum weir_status weir__signals_install(struct weir_error *error)
{
    static size_t installed; /* after a failure, go on there: never chain to ourselves */
    for (size_t i = installed; i < CAUGHT_COUNT; i++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_sigaction = handle;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        (void)sigemptyset(&action.sa_mask);
        if (sigaction(caught[i], &action, &previous[i]) != 0)
            return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                                  "the handler of signal %d could not be installed", caught[i]);
        installed = i + 1;
    }
    return WEIR_OK;
}
