/* Guest stacks: a guard, then the stack, one mapping each. A few idle ones wait for the next store.
 *
 * A stack in use is charged to its store, an idle one to the host; either way the bytes are charged
 * once. What an idle stack keeps resident is bounded: the deep part goes back to the kernel.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "runtime/process_internal.h"
#include "runtime/stack_switch.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir__stack *idle;
static unsigned idle_count;

/* The record lies at the stack's top end, in a page that is touched anyway. */
#define RECORD_BYTES 128
static_assert(sizeof(struct weir__stack) <= RECORD_BYTES, "the record's place");

static struct weir__stack *take_idle(uint64_t bytes)
{
    struct weir__stack *found = NULL;
    (void)pthread_mutex_lock(&lock);
    for (struct weir__stack **at = &idle; *at != NULL; at = &(*at)->next) {
        if ((*at)->bytes == bytes) {
            found = *at;
            *at = found->next;
            idle_count--;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return found;
}

/* Charged to the host from here on; false: it cannot be kept. */
static bool keep_idle(struct weir__stack *stack)
{
    struct weir_account *host = weir_account_host();
    if (weir_account_charge(host, WEIR_KIND_STACK, stack->bytes, NULL) != WEIR_OK)
        return false;
    (void)pthread_mutex_lock(&lock);
    bool is_kept = idle_count < WEIR_STACK_IDLE_MAX;
    if (is_kept) {
        stack->next = idle;
        idle = stack;
        idle_count++;
    }
    (void)pthread_mutex_unlock(&lock);
    if (!is_kept)
        weir_account_discharge(host, WEIR_KIND_STACK, stack->bytes);
    return is_kept;
}

static void free_stack(struct weir__stack *stack)
{
    WEIR__STACK_DEREGISTER(stack->valgrind_id);
    struct weir_mapping mapping = stack->mapping; /* the record goes with it */
    weir_mapping_free(&mapping);
}

/* Charges nothing but the mapping: bytes are the holder's. */
static enum weir_status new_stack(uint64_t bytes, struct weir__stack **ret_stack,
                                  struct weir_error *error)
{
    struct weir_mapping mapping;
    enum weir_status status =
        weir_mapping_reserve(weir_account_host(), WEIR_KIND_STACK, bytes + WEIR_STACK_GUARD_BYTES,
                             WEIR_STACK_MAPPINGS, &mapping, error);
    if (status != WEIR_OK)
        return status;
    uint8_t *bottom = mapping.base + WEIR_STACK_GUARD_BYTES;
    if (mprotect(bottom, bytes, PROT_READ | PROT_WRITE) != 0) {
        weir_mapping_free(&mapping);
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "the system refused %llu bytes of guest stack",
                              (unsigned long long)bytes);
    }
    uint8_t *top = bottom + bytes - RECORD_BYTES;
    struct weir__stack *stack = (struct weir__stack *)(void *)top;
    *stack = (struct weir__stack){.mapping = mapping,
                                  .bytes = bytes,
                                  .limit = (uint64_t)bottom + WEIR_ABI_STACK_MARGIN,
                                  .top = (uint64_t)top};
    stack->valgrind_id = WEIR__STACK_REGISTER(bottom, top);
    *ret_stack = stack;
    return WEIR_OK;
}

enum weir_status weir__stack_take(struct weir_account *account, uint64_t bytes,
                                  struct weir__stack **ret_stack, struct weir_error *error)
{
    struct weir__stack *stack = take_idle(bytes);
    if (stack != NULL)
        weir_account_discharge(weir_account_host(), WEIR_KIND_STACK, bytes);
    enum weir_status status = weir_account_charge(account, WEIR_KIND_STACK, bytes, error);
    if (status != WEIR_OK) {
        if (stack != NULL && !keep_idle(stack))
            free_stack(stack);
        return status;
    }
    if (stack == NULL)
        status = new_stack(bytes, &stack, error);
    if (status != WEIR_OK) {
        weir_account_discharge(account, WEIR_KIND_STACK, bytes);
        return status;
    }
    *ret_stack = stack;
    return WEIR_OK;
}

void weir__stack_give(struct weir_account *account, struct weir__stack *stack)
{
    if (stack == NULL)
        return;
    weir_account_discharge(account, WEIR_KIND_STACK, stack->bytes);
    if (stack->bytes > WEIR_STACK_KEEP_BYTES)
        (void)madvise(stack->mapping.base + WEIR_STACK_GUARD_BYTES,
                      stack->bytes - WEIR_STACK_KEEP_BYTES, MADV_DONTNEED);
    if (!keep_idle(stack))
        free_stack(stack);
}

uint64_t weir__stacks_reclaim(void *context, uint64_t wanted_bytes)
{
    (void)context;
    uint64_t given = 0;
    while (given < wanted_bytes) {
        (void)pthread_mutex_lock(&lock);
        struct weir__stack *stack = idle;
        if (stack != NULL) {
            idle = stack->next;
            idle_count--;
        }
        (void)pthread_mutex_unlock(&lock);
        if (stack == NULL)
            break;
        given += stack->bytes;
        weir_account_discharge(weir_account_host(), WEIR_KIND_STACK, stack->bytes);
        free_stack(stack);
    }
    return given;
}
