/* Hostile calls, at random but repeatable: any function with any arguments, valid ones among them,
 * over memory full of vectors, paths and subscriptions. Whatever comes, it is an errno; nothing
 * outside is touched, nothing is lost, nothing hangs (the store is stopped, so no call waits). */
#include "tests/unit/wasi/wasi_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CALLS 20000

static struct world world;
static struct world *const w = &world;
static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 29;
}

static const struct {
    int (*operation)(struct weir__wasi_call *call);
    const char *params;
} functions[] = {
#define WASI_FUNCTION(name, parameters) {weir__wasi_##name, parameters},
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION
#define WASI_SNAPSHOT0(name, parameters) {weir__wasi_0_##name, parameters},
#include "worlds/wasi/wasi_snapshot0.def"
#undef WASI_SNAPSHOT0
};

static const char *const names[] = {
    "f",
    "d",
    "d/inner",
    "empty",
    "link",
    "dirlink",
    "loop",
    "out",
    "out_file",
    "pipe",
    "n",
    "d/n",
    "..",
    "../outside",
    "/",
    "../outside/secret",
    "d/..",
    "out/n",
    "n/n",
    "d/n/../f",
    "empty/x",
    "dangling_out",
    "out_absolute",
    ".",
};

/* Paths, vectors and subscriptions at fixed places, some of them damaged. */
static void fill_memory(void)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        memcpy(w->memory.bytes + 0x1000 + 32 * i, names[i], strlen(names[i]) + 1);
    for (uint32_t i = 0; i < 64; i++) {
        struct wasi_iovec vector = {BUFFER + (uint32_t)(next_random() % 100000),
                                    (uint32_t)(next_random() % 5000)};
        if (next_random() % 50 == 0)
            vector.address = (uint32_t)next_random();
        if (next_random() % 50 == 0)
            vector.size = (uint32_t)next_random();
        memcpy(w->memory.bytes + IOVECS + i * sizeof vector, &vector, sizeof vector);
        struct wasi_subscription subscription = {.tag = (uint8_t)(next_random() % 4),
                                                 .fd = (uint32_t)(next_random() % 20)};
        memcpy(w->memory.bytes + 0xa000 + i * sizeof subscription, &subscription,
               sizeof subscription);
    }
}

static uint64_t pick_argument(void)
{
    switch (next_random() % 12) {
    case 0:
        return next_random();
    case 1:
        return UINT64_MAX - next_random() % 4;
    case 2:
        return UINT64_C(1) << next_random() % 64;
    case 3:
        return 0x1000 + 32 * (next_random() % (sizeof names / sizeof names[0]));
    case 4:
        return IOVECS + 8 * (next_random() % 8);
    case 5:
        return 0xa000;
    case 6:
        return RET + 8 * (next_random() % 8);
    case 7:
        return BUFFER;
    case 8:
        return WASI_RIGHTS_ALL;
    case 9:
        return WORLD_MEMORY_BYTES - next_random() % 16;
    default:
        return next_random() % 20;
    }
}

/* A path and its true length, now and then, so that calls get further than the first check. */
static void pick_arguments(size_t function, uint64_t args[WASI_ARGS_MAX])
{
    size_t count = strlen(functions[function].params);
    for (size_t i = 0; i < count; i++)
        args[i] = pick_argument();
    if (next_random() % 4 == 0)
        return;
    args[0] = next_random() % 3 == 0 ? next_random() % 16 : 3;
    for (size_t i = 1; i + 1 < count; i++) {
        if (next_random() % 2 == 0) {
            size_t name = next_random() % (sizeof names / sizeof names[0]);
            args[i] = 0x1000 + 32 * name;
            args[i + 1] = strlen(names[name]);
            i++;
        }
    }
}

static uint64_t answers[WASI_ERRNO_COUNT];
static unsigned ends;

/* A fresh folder, and a fresh context whenever descriptors and rights are likely lost. */
static void play(int calls)
{
    struct stat before, after;
    world_open(w);
    ck_assert_int_eq(stat(w->outside, &before), 0);
    w->store.is_stopped = true;
    for (int i = 0; i < calls; i++) {
        uint64_t args[WASI_ARGS_MAX] = {0};
        size_t function = next_random() % (sizeof functions / sizeof functions[0]);
        if (i % 40 == 39) {
            weir_wasi_free(w->wasi);
            world_start(w);
            fill_memory();
        }
        pick_arguments(function, args);
        int answer = world_call(w, functions[function].operation, args,
                                (unsigned)strlen(functions[function].params));
        ends += answer == WASI_END;
        if (answer != WASI_END && (answer < 0 || answer >= WASI_ERRNO_COUNT))
            ck_abort_msg("function %zu answered %d", function, answer);
        answers[answer < 0 ? 0 : answer]++;
    }
    ck_assert_int_eq(stat(w->outside, &after), 0);
    ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    ck_assert_uint_eq(before.st_nlink, after.st_nlink);
    world_close(w);
}

START_TEST(anything_goes)
{
    random_state = 0x1234u + (uint64_t)_i * 7919;
    for (int i = 0; i < 20; i++)
        play(CALLS / 20);
    /* The monkey did come around. */
    ck_assert_uint_gt(answers[WASI_E_SUCCESS], CALLS / 20);
    ck_assert_uint_gt(answers[WASI_E_BADF], CALLS / 100);
    ck_assert_uint_gt(answers[WASI_E_FAULT], CALLS / 100);
    ck_assert_uint_gt(answers[WASI_E_PERM], 10);
    ck_assert_uint_gt(answers[WASI_E_NOENT], 10);
    ck_assert_uint_gt(ends, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi monkey");
    TCase *tcase = tcase_create("monkey");
    tcase_add_loop_test(tcase, anything_goes, 0, 8);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
