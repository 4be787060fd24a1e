/* Equation (a) in a plain process: it holds, owned memory is found by kind, and what is taken
 * outside the ledger shows, by mmap as unclassified and by malloc as uncharged heap. */
#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "area_splitter.h"
#include "base/poison.h"
#include "ledger/equation.h"

#define MIB ((uint64_t)1 << 20)
#define SLACK (128 << 10)
#define THREADS 6
#define LOOKS 400

/* Sanitizers take memory of their own anywhere; differences still count there, sums do not. */
#define PLAIN (!WEIR_ASAN && !WEIR_TSAN)

static struct weir_equation read_equation(void)
{
    struct weir_equation equation;
    struct weir_error error = {0};
    enum weir_status status = weir_equation_read(&equation, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return equation;
}

static void check_holds(const struct weir_equation *equation)
{
    uint64_t sum = equation->malloc_bytes + equation->binary_bytes + equation->thread_stack_bytes +
                   equation->sanitizer_bytes + equation->kernel_bytes +
                   equation->unclassified_bytes;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        sum += equation->owned[kind];
    ck_assert_uint_eq(sum, equation->rss_bytes);
    ck_assert_msg(weir_equation_holds(equation), "unclassified %llu of %llu",
                  (unsigned long long)equation->unclassified_bytes,
                  (unsigned long long)equation->rss_bytes);
}

static void ck_near(uint64_t measured, uint64_t wanted)
{
    ck_assert_uint_ge(measured + SLACK, wanted);
    ck_assert_uint_le(measured, wanted + SLACK);
}

START_TEST(it_holds_in_a_plain_process)
{
    struct weir_equation equation = read_equation();
    check_holds(&equation);
    ck_assert_uint_gt(equation.rss_bytes, 500000);
    ck_assert_uint_gt(equation.binary_bytes, 100000);
    ck_assert_uint_gt(equation.thread_stack_bytes, 0);
    ck_assert_uint_gt(equation.page_table_bytes, 0);
    ck_assert_uint_gt(equation.mapping_count, 10);
    ck_assert_uint_ge(equation.descriptor_count, 3);
}
END_TEST

START_TEST(owned_memory_is_found_by_kind)
{
    struct weir_mapping stack;
    struct weir_mapping memory;
    struct weir_equation before = read_equation();
    /* Neighbours with the same flags: the kernel merges them into one area. */
    ck_assert_int_eq(
        weir_mapping_new_charged(weir_account_host(), WEIR_KIND_STACK, 4 * MIB, &stack, NULL),
        WEIR_OK);
    ck_assert_int_eq(
        weir_mapping_new_charged(weir_account_host(), WEIR_KIND_IMAGE, 2 * MIB, &memory, NULL),
        WEIR_OK);
    memset(stack.base, 1, 3 * MIB);
    memset(memory.base, 1, MIB);
    struct weir_equation after = read_equation();
    check_holds(&after);
    ck_assert_uint_eq(after.owned[WEIR_KIND_STACK] - before.owned[WEIR_KIND_STACK], 3 * MIB);
    ck_assert_uint_eq(after.owned[WEIR_KIND_IMAGE] - before.owned[WEIR_KIND_IMAGE], MIB);
    ck_near(after.unclassified_bytes, before.unclassified_bytes);
    weir_mapping_free(&stack);
    weir_mapping_free(&memory);
    after = read_equation();
    ck_assert_uint_eq(after.owned[WEIR_KIND_STACK], before.owned[WEIR_KIND_STACK]);
}
END_TEST

/* Areas that join while smaps is read come twice there; what they hold is counted once. */
START_TEST(areas_that_change_meanwhile_are_counted_once)
{
    struct weir_mapping mapping;
    struct area_splitter splitter;
    ck_assert_int_eq(
        weir_mapping_new_charged(weir_account_host(), WEIR_KIND_IMAGE, MIB, &mapping, NULL),
        WEIR_OK);
    ck_assert(area_splitter_begin(&splitter, mapping.base, MIB));
    for (int look = 0; look < LOOKS || atomic_load(&splitter.changes) < LOOKS; look++) {
        struct weir_equation equation = read_equation();
        check_holds(&equation);
        ck_assert_uint_eq(equation.owned[WEIR_KIND_IMAGE], MIB);
    }
    area_splitter_end(&splitter);
    weir_mapping_free(&mapping);
}
END_TEST

START_TEST(mmap_outside_the_ledger_shows)
{
    struct weir_equation before = read_equation();
    void *memory = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    memset(memory, 0x5a, 8 * MIB);
    struct weir_equation after = read_equation();
    ck_near(after.unclassified_bytes - before.unclassified_bytes, 8 * MIB);
    if (PLAIN)
        ck_assert(!weir_equation_holds(&after));
    (void)munmap(memory, 8 * MIB);
    after = read_equation();
    check_holds(&after);
    /* Shared anonymous memory is no file, whatever the kernel calls it. */
    memory = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    memset(memory, 0x5a, 8 * MIB);
    after = read_equation();
    ck_near(after.unclassified_bytes - before.unclassified_bytes, 8 * MIB);
    (void)munmap(memory, 8 * MIB);
}
END_TEST

/* One block of 8 MiB (mapped by malloc), and 8 MiB in small ones (from its heap). */
START_TEST(malloc_outside_the_ledger_shows)
{
    static void *blocks[8192];
    if (!PLAIN)
        return; /* malloc is the sanitizer's, mallinfo2 knows nothing */
    struct weir_equation before = read_equation();
    void *block = malloc(8 * MIB);
    ck_assert_ptr_nonnull(block);
    memset(block, 0x5a, 8 * MIB);
    struct weir_equation after = read_equation();
    check_holds(&after);
    ck_near(after.uncharged_heap_bytes - before.uncharged_heap_bytes, 8 * MIB);
    ck_near(after.malloc_bytes - before.malloc_bytes, 8 * MIB);
    free(block);
    for (int i = 0; i < 8192; i++) {
        blocks[i] = malloc(1008);
        ck_assert_ptr_nonnull(blocks[i]);
        memset(blocks[i], 0x5a, 1008);
    }
    after = read_equation();
    check_holds(&after);
    ck_near(after.uncharged_heap_bytes - before.uncharged_heap_bytes, 8 * MIB);
    ck_near(after.malloc_bytes - before.malloc_bytes, 8 * MIB);
    for (int i = 0; i < 8192; i++)
        free(blocks[i]);
    /* Charged heap is not uncharged. */
    struct weir_account *host = weir_account_host();
    block = weir_account_alloc(host, WEIR_KIND_CACHE, 8 * MIB, NULL);
    memset(block, 0x5a, 8 * MIB);
    after = read_equation();
    ck_near(after.charged_heap_bytes - before.charged_heap_bytes, 8 * MIB);
    ck_near(after.uncharged_heap_bytes, before.uncharged_heap_bytes);
    weir_account_free(host, WEIR_KIND_CACHE, block, 8 * MIB);
}
END_TEST

START_TEST(mmap_merged_with_mallocs_chunks_still_shows)
{
    if (!PLAIN)
        return;
    struct weir_equation before = read_equation();
    char *chunk_above = malloc(4 * MIB);
    char *taken = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *chunk_below = malloc(4 * MIB);
    memset(chunk_above, 1, 4 * MIB);
    memset(taken, 1, 8 * MIB);
    memset(chunk_below, 1, 4 * MIB);
    struct weir_equation after = read_equation();
    ck_near(after.unclassified_bytes - before.unclassified_bytes, 8 * MIB);
    ck_near(after.malloc_bytes - before.malloc_bytes, 8 * MIB);
    free(chunk_above);
    free(chunk_below);
    (void)munmap(taken, 8 * MIB);
}
END_TEST

static sem_t arrived;
static sem_t leave;

static void *use_arena_and_stack(void *context)
{
    (void)context;
    volatile char frame[300000];
    for (size_t i = 0; i < sizeof frame; i += 512)
        frame[i] = 1;
    void *blocks[500];
    for (int i = 0; i < 500; i++) {
        blocks[i] = malloc(2000);
        memset(blocks[i], 1, 2000);
    }
    (void)sem_post(&arrived);
    (void)sem_wait(&leave);
    for (int i = 0; i < 500; i++)
        free(blocks[i]);
    return NULL;
}

START_TEST(arenas_and_stacks_of_threads_are_found)
{
    pthread_t threads[THREADS];
    (void)sem_init(&arrived, 0, 0);
    (void)sem_init(&leave, 0, 0);
    struct weir_equation before = read_equation();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_arena_and_stack, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        (void)sem_wait(&arrived);
    struct weir_equation during = read_equation();
    if (PLAIN) {
        check_holds(&during);
        ck_assert_uint_ge(during.thread_stack_bytes - before.thread_stack_bytes, THREADS * 300000);
        ck_assert_uint_ge(during.malloc_bytes - before.malloc_bytes, THREADS * 1000000);
        ck_near(during.unclassified_bytes, before.unclassified_bytes);
    }
    for (int i = 0; i < THREADS; i++)
        (void)sem_post(&leave);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    struct weir_equation after = read_equation(); /* stacks and arenas stay cached */
    check_holds(&after);
}
END_TEST

static atomic_bool is_over;

static void *map_and_unmap(void *context)
{
    (void)context;
    while (!atomic_load(&is_over)) {
        struct weir_mapping mapping;
        ck_assert_int_eq(weir_mapping_new_charged(weir_account_host(), WEIR_KIND_STACK, 2 * MIB,
                                                  &mapping, NULL),
                         WEIR_OK);
        memset(mapping.base, 1, mapping.size);
        weir_mapping_free(&mapping);
    }
    return NULL;
}

START_TEST(it_holds_while_others_unmap)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, map_and_unmap, NULL), 0);
    for (int i = 0; i < 200; i++) {
        struct weir_equation equation = read_equation();
        check_holds(&equation);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
}
END_TEST

/* Untuned, malloc takes blocks of this size from its heap after the first one was freed, and keeps
 * them below whatever smaller block lives on. */
START_TEST(tuned_malloc_gives_large_blocks_back)
{
    if (!PLAIN)
        return;
    void *small[3];
    weir_process_tune_malloc();
    struct weir_equation before = read_equation();
    for (int round = 0; round < 3; round++) {
        char *blocks[16];
        for (int i = 0; i < 16; i++) {
            blocks[i] = malloc(MIB);
            ck_assert_ptr_nonnull(blocks[i]);
            memset(blocks[i], 1, MIB);
        }
        struct weir_equation during = read_equation();
        check_holds(&during);
        ck_near(during.malloc_bytes - before.malloc_bytes, 16 * MIB);
        small[round] = malloc(70000); /* at the top of the heap */
        for (int i = 0; i < 16; i++)
            free(blocks[i]);
    }
    struct weir_equation after = read_equation();
    check_holds(&after);
    ck_near(after.malloc_bytes, before.malloc_bytes);
    for (int round = 0; round < 3; round++)
        free(small[round]);
}
END_TEST

START_TEST(growth_sees_growth)
{
    uint64_t before = 0;
    uint64_t after = 0;
    ck_assert_int_eq(weir_growth_read(&before, NULL), WEIR_OK);
    struct weir_mapping mapping;
    ck_assert_int_eq(
        weir_mapping_new_charged(weir_account_host(), WEIR_KIND_STACK, 4 * MIB, &mapping, NULL),
        WEIR_OK);
    memset(mapping.base, 1, mapping.size);
    ck_assert_int_eq(weir_growth_read(&after, NULL), WEIR_OK);
    ck_assert_uint_ge(after - before, 4 * MIB);
    if (PLAIN)
        ck_near(after - before, 4 * MIB);
    weir_mapping_free(&mapping);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("equation");
    TCase *tests = tcase_create("equation");
    tcase_add_test(tests, it_holds_in_a_plain_process);
    tcase_add_test(tests, owned_memory_is_found_by_kind);
    tcase_add_test(tests, areas_that_change_meanwhile_are_counted_once);
    tcase_add_test(tests, mmap_outside_the_ledger_shows);
    tcase_add_test(tests, malloc_outside_the_ledger_shows);
    tcase_add_test(tests, mmap_merged_with_mallocs_chunks_still_shows);
    tcase_add_test(tests, arenas_and_stacks_of_threads_are_found);
    tcase_add_test(tests, it_holds_while_others_unmap);
    tcase_add_test(tests, tuned_malloc_gives_large_blocks_back);
    tcase_add_test(tests, growth_sees_growth);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
