/* What each thread needs before it may run guest code: the end of its own stack and, where guests
 * trap by signals, an alternate signal stack.
 *
 * A signal stack that somebody else installed is used when it is large enough. Ours is charged to
 * the host and goes away with the thread.
 */
#include <pthread.h>
#include <signal.h>

#include "runtime/process_internal.h"

_Thread_local struct weir__activation *weir__current;
_Thread_local uint64_t weir__host_stack_limit;
_Thread_local uint32_t weir__thread_has;

static pthread_key_t signal_stack_key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool has_key;

static void drop_signal_stack(void *argument)
{
    struct weir_mapping *mapping = argument;
    stack_t current;
    if (sigaltstack(NULL, &current) == 0 && current.ss_sp == mapping->base) {
        stack_t none = {.ss_flags = SS_DISABLE};
        (void)sigaltstack(&none, NULL);
    }
    weir_mapping_free(mapping);
    weir_account_free(weir_account_host(), WEIR_KIND_THREAD, mapping, sizeof *mapping);
    weir__thread_has &= ~WEIR__THREAD_SIGNALS;
}

static void make_key(void)
{
    has_key = pthread_key_create(&signal_stack_key, drop_signal_stack) == 0;
}

static enum weir_status learn_limit(struct weir_error *error)
{
    pthread_attr_t attributes;
    int number = pthread_getattr_np(pthread_self(), &attributes);
    if (number != 0)
        return weir_error_set_errno(error, WEIR_IO, number, "the bounds of this thread's stack");
    void *base = NULL;
    size_t size = 0;
    size_t guard = 0;
    (void)pthread_attr_getstack(&attributes, &base, &size);
    (void)pthread_attr_getguardsize(&attributes, &guard);
    (void)pthread_attr_destroy(&attributes);
    weir__host_stack_limit = (uint64_t)base + guard + WEIR_HOST_STACK_MARGIN;
    return WEIR_OK;
}

static enum weir_status install_signal_stack(struct weir_error *error)
{
    (void)pthread_once(&key_once, make_key);
    if (!has_key)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "no thread-specific key left for the signal stack");
    stack_t current;
    if (sigaltstack(NULL, &current) != 0)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "sigaltstack was refused");
    if ((current.ss_flags & SS_DISABLE) == 0 && current.ss_size >= WEIR_SIGNAL_STACK_MIN)
        return WEIR_OK;
    struct weir_account *host = weir_account_host();
    struct weir_mapping *mapping =
        weir_account_alloc(host, WEIR_KIND_THREAD, sizeof *mapping, error);
    if (mapping == NULL)
        return weir_error_refused(error);
    enum weir_status status =
        weir_mapping_new_charged(host, WEIR_KIND_THREAD, WEIR_SIGNAL_STACK_BYTES, mapping, error);
    if (status != WEIR_OK) {
        weir_account_free(host, WEIR_KIND_THREAD, mapping, sizeof *mapping);
        return status;
    }
    stack_t ours = {.ss_sp = mapping->base, .ss_size = mapping->size};
    if (sigaltstack(&ours, NULL) != 0 || pthread_setspecific(signal_stack_key, mapping) != 0) {
        drop_signal_stack(mapping);
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "no alternate signal stack");
    }
    return WEIR_OK;
}

enum weir_status weir__thread_prepare(uint32_t needs, struct weir_error *error)
{
    uint32_t missing = needs & ~weir__thread_has;
    enum weir_status status = WEIR_OK;
    if ((missing & WEIR__THREAD_LIMIT) != 0)
        status = learn_limit(error);
    if (status == WEIR_OK && (missing & WEIR__THREAD_SIGNALS) != 0)
        status = install_signal_stack(error);
    if (status == WEIR_OK)
        weir__thread_has |= needs;
    return status;
}
