/* malloc'ed memory with a charge around it, the arena source, and the hook for sweep tests.
 *
 * The heap figure is what malloc sets aside for these blocks (its rounding and header included),
 * so that it can be compared with mallinfo2. It is spread over lines by thread: allocating threads
 * do not share one.
 */
#include "ledger/ledger_internal.h"

#include <malloc.h>
#include <stdlib.h>

#include "ledger/mapping.h"

#define HEAP_LINES 16
#define MALLOC_HEADER 8 /* of glibc, per block */
#define ARENA_ALIGN_BYTES 4096

static struct {
    alignas(64) _Atomic int64_t bytes;
} heap_lines[HEAP_LINES];

static _Atomic uint32_t heap_threads;
static _Thread_local _Atomic int64_t *heap_line; /* NULL: not given yet */

static __attribute__((noinline)) _Atomic int64_t *give_line(void)
{
    uint32_t thread = atomic_fetch_add_explicit(&heap_threads, 1, memory_order_relaxed);
    heap_line = &heap_lines[thread % HEAP_LINES].bytes;
    return heap_line;
}

static inline void heap_note(int64_t bytes)
{
    _Atomic int64_t *line = heap_line != NULL ? heap_line : give_line();
    atomic_fetch_add_explicit(line, bytes, memory_order_relaxed);
}

void weir__heap_add(void *memory)
{
    heap_note((int64_t)(malloc_usable_size(memory) + MALLOC_HEADER));
}

void weir__heap_remove(void *memory)
{
    heap_note(-(int64_t)(malloc_usable_size(memory) + MALLOC_HEADER));
}

uint64_t weir_ledger_heap_bytes(void)
{
    int64_t sum = 0;
    for (int line = 0; line < HEAP_LINES; line++)
        sum += atomic_load_explicit(&heap_lines[line].bytes, memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
}

/* *ret_status is set when there is none. */
static inline void *take(struct weir_account *account, enum weir_kind kind, size_t bytes,
                         enum weir_status *ret_status, struct weir_error *error)
{
    *ret_status = weir_account_charge(account, kind, bytes, error);
    if (*ret_status != WEIR_OK)
        return NULL;
    void *memory = calloc(1, bytes);
    if (memory != NULL) {
        weir__heap_add(memory);
        return memory;
    }
    weir_account_discharge(account, kind, bytes);
    *ret_status =
        weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "the system refused %zu bytes for %s",
                       bytes, weir_kind_name(kind));
    return NULL;
}

enum weir_status weir__alloc(struct weir_account *account, enum weir_kind kind, size_t bytes,
                             void **ret_memory, struct weir_error *error)
{
    enum weir_status status;
    void *memory = take(account, kind, bytes, &status, error);
    if (memory != NULL)
        *ret_memory = memory;
    return status;
}

void *weir_account_alloc(struct weir_account *account, enum weir_kind kind, size_t bytes,
                         struct weir_error *error)
{
    enum weir_status status;
    return take(account, kind, bytes, &status, error);
}

void weir_account_free(struct weir_account *account, enum weir_kind kind, void *memory,
                       size_t bytes)
{
    if (memory == NULL)
        return;
    weir__heap_remove(memory);
    free(memory);
    weir_account_discharge(account, kind, bytes);
}

/* --- arenas -------------------------------------------------------------------------------- */

static void *take_mapping(void *context, size_t bytes, struct weir_error *error)
{
    const struct weir_account_source *source = context;
    struct weir_mapping mapping;
    if (weir_mapping_new_charged(source->account, source->kind, bytes, &mapping, error) != WEIR_OK)
        return NULL;
    return mapping.base;
}

static void give_mapping(void *context, void *memory, size_t bytes)
{
    const struct weir_account_source *source = context;
    size_t size = (bytes + ARENA_ALIGN_BYTES - 1) & ~(size_t)(ARENA_ALIGN_BYTES - 1);
    struct weir_mapping mapping = {.base = memory,
                                   .size = size,
                                   .account = source->account,
                                   .kind = source->kind,
                                   .charged_bytes = size,
                                   .charged_mappings = 1};
    weir_mapping_free(&mapping);
}

struct weir_arena_source weir_account_arena_source(struct weir_account_source *context)
{
    return (struct weir_arena_source){take_mapping, give_mapping, context};
}

/* --- failing the n-th ---------------------------------------------------------------------- */

static _Atomic uint64_t fail_at;
static _Atomic uint64_t fail_seen;

bool weir__fail_now(void)
{
    uint64_t seen = atomic_fetch_add_explicit(&fail_seen, 1, memory_order_relaxed) + 1;
    return seen == weir__get(&fail_at);
}

uint64_t weir_ledger_fail_nth(uint64_t n)
{
    atomic_store_explicit(&weir__ledger.failing, 0, memory_order_relaxed);
    uint64_t seen = atomic_exchange_explicit(&fail_seen, 0, memory_order_relaxed);
    weir__set(&fail_at, n);
    atomic_store_explicit(&weir__ledger.failing, n != 0, memory_order_relaxed);
    return seen;
}
