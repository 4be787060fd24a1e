/* Cells of shared accounts; cells.h tells what they are and why they are sound. */
#include "ledger/cells.h"

#include <sched.h>
#include <time.h>

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { STOPPED = 1 }; /* in `slow` */

struct cell {
    alignas(64) _Atomic uint32_t busy;
    _Atomic uint32_t slow;
    _Atomic uint64_t credit;
    _Atomic uint64_t kinds[WEIR__BYTE_KINDS];
};

enum state { SPARE, CELLS_STOPPED, CELLS_MARKED, CELLS_SERVING };

struct weir__cells {
    struct cell by_thread[WEIR__CELL_THREADS];
    enum state state; /* under the tree */
};

static struct weir__cells pool[WEIR__CELL_BLOCKS];

/* --- numbers of threads -------------------------------------------------------------------- */

enum { NO_NUMBER = WEIR__CELL_THREADS, NOT_ASKED };

static _Atomic uint32_t numbers_taken; /* a bit each */
static_assert(WEIR__CELL_THREADS == 32, "a bit for each number");
static _Thread_local uint32_t thread_number = NOT_ASKED;

static pthread_key_t number_key;
static pthread_once_t number_once = PTHREAD_ONCE_INIT;
static bool has_number_key;

/* The thread ends, or could not be told when it does. Who gets the number next finds its cells as
 * they are. */
static void give_number(void *value)
{
    (void)value;
    uint32_t bit = UINT32_C(1) << thread_number;
    thread_number = NO_NUMBER;
    atomic_fetch_and_explicit(&numbers_taken, ~bit, memory_order_release);
}

static void make_number_key(void)
{
    has_number_key = pthread_key_create(&number_key, give_number) == 0;
}

static void take_number(void)
{
    (void)pthread_once(&number_once, make_number_key);
    thread_number = NO_NUMBER;
    uint32_t taken = atomic_load_explicit(&numbers_taken, memory_order_relaxed);
    uint32_t number;
    do {
        if (!has_number_key || taken == UINT32_MAX)
            return;
        number = (uint32_t)__builtin_ctz(~taken);
    } while (!atomic_compare_exchange_weak_explicit(&numbers_taken, &taken,
                                                    taken | UINT32_C(1) << number,
                                                    memory_order_acquire, memory_order_relaxed));
    thread_number = number;
    if (pthread_setspecific(number_key, &thread_number) != 0)
        give_number(NULL);
}

/* --- serving ------------------------------------------------------------------------------- */

/* The calling thread's; NULL: it does without. */
static inline struct cell *own_cell(const struct weir_account *account)
{
    struct weir__cells *cells = atomic_load_explicit(&account->cells, memory_order_acquire);
    uint32_t number = thread_number;
    if (UNLIKELY(cells == NULL || number >= WEIR__CELL_THREADS))
        return NULL;
    return &cells->by_thread[number];
}

uint64_t weir__cells_held(const struct weir_account *account, enum weir_kind kind)
{
    uint64_t sum = 0;
    const struct weir__cells *cells = atomic_load_explicit(&account->cells, memory_order_acquire);
    for (int i = 0; cells != NULL && i < WEIR__CELL_THREADS; i++)
        sum += weir__get(&cells->by_thread[i].kinds[kind]);
    return sum;
}

void weir__kind_peak_note(struct weir_account *account, enum weir_kind kind, uint64_t held)
{
    uint64_t sum = held + weir__cells_held(account, kind);
    uint64_t granted_max = weir__get(&account->peak);
    /* Cells are read one after another: the sum may come out higher than there ever was. */
    (void)weir__raise(&account->kind_peaks[kind], sum < granted_max ? sum : granted_max);
}

static inline void put(struct cell *cell, enum weir_kind kind, uint64_t credit, uint64_t held)
{
    weir__set(&cell->credit, credit);
    weir__set(&cell->kinds[kind], held);
    weir__section_leave(&cell->busy);
}

/* Inside the section, which it ends: gets credit for `amount` and a slab more. Where there is no
 * slab to be had the account itself is asked, which takes credit back from others first. */
static __attribute__((noinline)) enum weir_status refill(struct weir_account *account,
                                                         struct cell *cell, enum weir_kind kind,
                                                         uint64_t amount, struct weir_error *error)
{
    struct weir_account *level;
    uint64_t credit = weir__get(&cell->credit);
    uint64_t need = amount > credit ? amount - credit : 0;
    uint64_t slab = need != 0 && need <= WEIR__SLAB_BYTES ? weir__slab(account, need) : 0;
    if (slab == 0 || !weir__grant(account, need + slab, &level)) {
        weir__section_leave(&cell->busy);
        return weir__charge_whole(account, kind, amount, error);
    }
    weir__kind_peak_note(account, kind, weir__get(&account->kinds[kind]) + amount);
    put(cell, kind, slab, weir__get(&cell->kinds[kind]) + amount);
    return WEIR_OK;
}

enum weir_status weir__cell_charge(struct weir_account *account, enum weir_kind kind,
                                   uint64_t amount, struct weir_error *error)
{
    struct cell *cell = own_cell(account);
    if (UNLIKELY(cell == NULL || !weir__section_enter(&cell->busy, &cell->slow, STOPPED)))
        return weir__charge_whole(account, kind, amount, error);
    uint64_t credit = weir__get(&cell->credit);
    if (UNLIKELY(amount > credit || weir__get(&account->granted) > weir__get(&account->limit)))
        return refill(account, cell, kind, amount, error);
    put(cell, kind, credit - amount, weir__get(&cell->kinds[kind]) + amount);
    return WEIR_OK;
}

/* Inside the section, which it ends: `credit` is more than a cell keeps. */
static __attribute__((noinline)) void give_back(struct weir_account *account, struct cell *cell,
                                                enum weir_kind kind, uint64_t credit, uint64_t held)
{
    /* Within the section: after it the account may be gone. */
    weir__set(&cell->kinds[kind], held);
    weir__ungrant(account, credit - WEIR__SLAB_BYTES);
    put(cell, kind, WEIR__SLAB_BYTES, held);
}

static inline void serve_discharge(struct weir_account *account, enum weir_kind kind,
                                   uint64_t amount)
{
    struct cell *cell = own_cell(account);
    if (UNLIKELY(cell == NULL || !weir__section_enter(&cell->busy, &cell->slow, STOPPED))) {
        weir__discharge_whole(account, kind, amount);
        return;
    }
    uint64_t credit = weir__get(&cell->credit);
    uint64_t had = weir__get(&cell->kinds[kind]);
    if (UNLIKELY(amount > had)) {
        weir__section_leave(&cell->busy);
        weir__discharge_whole(account, kind, amount);
        return;
    }
    if (UNLIKELY(credit + amount > WEIR__CELL_KEEP_BYTES)) {
        give_back(account, cell, kind, credit + amount, had - amount);
        return;
    }
    put(cell, kind, credit + amount, had - amount);
}

static __attribute__((noinline)) void discharge_at_peak(struct weir_account *account,
                                                        enum weir_kind kind, uint64_t amount)
{
    weir__peak_capture();
    serve_discharge(account, kind, amount);
}

void weir__cell_discharge(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    if (UNLIKELY(atomic_load_explicit(&weir__ledger.at_peak, memory_order_relaxed) != 0))
        discharge_at_peak(account, kind, amount);
    else
        serve_discharge(account, kind, amount);
}

/* --- starting and stopping ----------------------------------------------------------------- */

static void set_slow(struct weir__cells *cells, uint32_t slow)
{
    for (int i = 0; i < WEIR__CELL_THREADS; i++)
        atomic_store_explicit(&cells->by_thread[i].slow, slow, memory_order_release);
}

static struct weir__cells *cells_of(const struct weir_account *account)
{
    return atomic_load_explicit(&account->cells, memory_order_relaxed);
}

static struct weir__cells *take_block(void)
{
    for (int i = 0; i < WEIR__CELL_BLOCKS; i++)
        if (pool[i].state == SPARE)
            return &pool[i];
    return NULL;
}

static void start(struct weir_account *account)
{
    weir__tree_lock();
    struct weir__cells *cells = cells_of(account);
    bool is_closed = (weir__get(&account->holds) & WEIR__HOLDS_CLOSED) != 0;
    if (cells == NULL && !is_closed && weir_barrier_everywhere())
        cells = take_block();
    if (cells != NULL && cells->state != CELLS_SERVING && !is_closed) {
        set_slow(cells, 0);
        cells->state = CELLS_SERVING;
        atomic_store_explicit(&account->cells, cells, memory_order_release);
    }
    weir__tree_unlock();
}

void weir__cells_consider(struct weir_account *account)
{
    if (weir__ledger.slab_bytes == 0)
        return;
    /* May miss some: it is a measure, not a figure. */
    if (thread_number == NOT_ASKED && cells_of(account) != NULL)
        take_number();
    uint32_t count = atomic_load_explicit(&account->charge_count, memory_order_relaxed) + 1;
    bool is_often = count >= WEIR__CELL_CHARGES;
    atomic_store_explicit(&account->charge_count, is_often ? 0 : count, memory_order_relaxed);
    if (is_often && thread_number == NO_NUMBER) /* somebody else may have ended */
        take_number();
    if (is_often)
        start(account);
}

uint64_t weir__cells_mark(struct weir_account *account)
{
    struct weir__cells *cells = cells_of(account);
    uint64_t credit = 0;
    if (cells == NULL || cells->state != CELLS_SERVING)
        return 0;
    for (int i = 0; i < WEIR__CELL_THREADS; i++)
        credit += weir__get(&cells->by_thread[i].credit);
    if (credit == 0)
        return 0;
    set_slow(cells, STOPPED);
    cells->state = CELLS_MARKED;
    return credit;
}

void weir__cells_unmark(struct weir_account *account)
{
    struct weir__cells *cells = cells_of(account);
    if (cells == NULL || cells->state != CELLS_MARKED)
        return;
    set_slow(cells, 0);
    cells->state = CELLS_SERVING;
}

/* A section is a few instructions, but its thread may be preempted there. */
static void wait_idle(const struct cell *cell)
{
    for (int spin = 0; atomic_load_explicit(&cell->busy, memory_order_acquire) != 0; spin++) {
        if (spin < WEIR__DRAIN_SPINS)
            __builtin_ia32_pause();
        else
            (void)sched_yield();
    }
}

static uint64_t merge_cell(struct weir_account *account, struct cell *cell)
{
    wait_idle(cell);
    for (int kind = 0; kind < (int)WEIR__BYTE_KINDS; kind++) {
        uint64_t amount = weir__get(&cell->kinds[kind]);
        if (amount == 0)
            continue;
        weir__set(&cell->kinds[kind], 0);
        atomic_fetch_add_explicit(&account->holds, amount, memory_order_relaxed);
        atomic_fetch_add_explicit(&account->kinds[kind], amount, memory_order_relaxed);
    }
    uint64_t credit = weir__get(&cell->credit);
    weir__set(&cell->credit, 0);
    return credit;
}

uint64_t weir__cells_merge(struct weir_account *account)
{
    struct weir__cells *cells = cells_of(account);
    uint64_t credit = 0;
    if (cells == NULL || cells->state != CELLS_MARKED)
        return 0;
    for (int i = 0; i < WEIR__CELL_THREADS; i++)
        credit += merge_cell(account, &cells->by_thread[i]);
    if (credit != 0)
        weir__ungrant(account, credit);
    cells->state = CELLS_STOPPED;
    return credit;
}

void weir__cells_stop(struct weir_account *account)
{
    struct weir__cells *cells = cells_of(account);
    if (cells == NULL || cells->state != CELLS_SERVING)
        return;
    set_slow(cells, STOPPED);
    cells->state = CELLS_MARKED;
    /* Granted when they started. If it was forbidden since, stores still reach memory in less. */
    if (!weir_barrier_everywhere())
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    (void)weir__cells_merge(account);
}

void weir__cells_give(struct weir_account *account)
{
    struct weir__cells *cells = cells_of(account);
    if (cells == NULL)
        return;
    WEIR_ASSERT(cells->state == CELLS_STOPPED);
    atomic_store_explicit(&account->cells, NULL, memory_order_relaxed);
    cells->state = SPARE;
}
