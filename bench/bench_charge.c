/* What a charge and its discharge cost together, in nanoseconds, with one thread and with two, for
 * a store, an instance under a store, and a shared account; against an atomic addition and its
 * opposite on a line of the thread's own and on a shared one, in the same run. The median of
 * several repetitions, and their spread. Prints one JSON object. */
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ledger/ledger.h"

#define THREADS_MAX 2
#define PAIRS 2000000
#define REPETITIONS 9
#define AMOUNT 64

enum what {
    ATOMIC_OWN,
    ATOMIC_SHARED,
    STORE,
    INSTANCE,
    TENANT,
    WHAT_COUNT
};

static const char *const names[WHAT_COUNT] = {"atomic_own", "atomic_shared", "store", "instance",
                                              "tenant"};

struct runner {
    alignas(128) _Atomic uint64_t own;
    enum what what;
    struct weir_account *account;
    pthread_t thread;
    double ns_per_pair;
};

static alignas(128) _Atomic uint64_t shared;
static pthread_barrier_t barrier;

static void run_atomic(_Atomic uint64_t *figure)
{
    for (int i = 0; i < PAIRS; i++) {
        atomic_fetch_add_explicit(figure, AMOUNT, memory_order_relaxed);
        atomic_fetch_sub_explicit(figure, AMOUNT, memory_order_relaxed);
    }
}

static void run_charge(struct weir_account *account)
{
    for (int i = 0; i < PAIRS; i++) {
        if (weir_account_charge(account, WEIR_KIND_HANDLE, AMOUNT, NULL) != WEIR_OK)
            abort();
        weir_account_discharge(account, WEIR_KIND_HANDLE, AMOUNT);
    }
}

/* The thread's own time: what else runs on the machine is not measured. */
static uint64_t thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *run(void *context)
{
    struct runner *runner = context;
    (void)pthread_barrier_wait(&barrier);
    uint64_t before = thread_ns();
    if (runner->what == ATOMIC_OWN)
        run_atomic(&runner->own);
    else if (runner->what == ATOMIC_SHARED)
        run_atomic(&shared);
    else
        run_charge(runner->account);
    runner->ns_per_pair = (double)(thread_ns() - before) / PAIRS;
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct weir_account *open_account(struct weir_account *parent, enum weir_account_role role)
{
    struct weir_account *account = NULL;
    if (weir_account_new(parent, role, "bench", WEIR_UNLIMITED, &account, NULL) != WEIR_OK)
        abort();
    return account;
}

static void measure(enum what what, int threads, struct weir_account *tenant)
{
    static struct runner runners[THREADS_MAX];
    double figures[REPETITIONS];
    for (int repetition = 0; repetition < REPETITIONS; repetition++) {
        struct weir_account *stores[THREADS_MAX];
        double sum = 0;
        (void)pthread_barrier_init(&barrier, NULL, (unsigned)threads);
        for (int i = 0; i < threads; i++) {
            stores[i] = open_account(tenant, WEIR_ACCOUNT_STORE);
            runners[i].what = what;
            runners[i].account = what == TENANT     ? tenant
                                 : what == INSTANCE ? open_account(stores[i], WEIR_ACCOUNT_INSTANCE)
                                                    : stores[i];
            if (pthread_create(&runners[i].thread, NULL, run, &runners[i]) != 0)
                abort();
        }
        for (int i = 0; i < threads; i++) {
            (void)pthread_join(runners[i].thread, NULL);
            sum += runners[i].ns_per_pair;
            if (what == INSTANCE)
                weir_account_close(runners[i].account);
            weir_account_close(stores[i]);
        }
        (void)pthread_barrier_destroy(&barrier);
        figures[repetition] = sum / threads;
    }
    qsort(figures, REPETITIONS, sizeof figures[0], compare);
    printf(
        "    {\"what\": \"%s\", \"threads\": %d, \"ns\": %.2f, \"min\": %.2f, \"max\": %.2f}%s\n",
        names[what], threads, figures[REPETITIONS / 2], figures[0], figures[REPETITIONS - 1],
        what == WHAT_COUNT - 1 && threads == THREADS_MAX ? "" : ",");
}

int main(void)
{
    struct weir_account *tenant = open_account(weir_account_host(), WEIR_ACCOUNT_TENANT);
    printf(
        "{\n  \"bench\": \"charge\", \"unit\": \"ns per charge and discharge\", \"figures\": [\n");
    for (int what = 0; what < WHAT_COUNT; what++)
        for (int threads = 1; threads <= THREADS_MAX; threads++)
            measure((enum what)what, threads, tenant);
    printf("  ]\n}\n");
    weir_account_close(tenant);
    return EXIT_SUCCESS;
}
