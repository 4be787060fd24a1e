/* Arguments, clocks, randomness, signals and sockets. */
#include "tests/unit/wasi/wasi_world.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct world world;
static struct world *const w = &world;

static void open_world(void)
{
    world_open(w);
}

static void close_world(void)
{
    world_close(w);
}

START_TEST(arguments_and_environment)
{
    ck_ok(CALL(w, args_sizes_get, RET, RET_2));
    ck_assert_uint_eq(get_u32(w, RET), 2);
    ck_assert_uint_eq(get_u32(w, RET_2), 17);
    ck_ok(CALL(w, args_get, RET, BUFFER));
    ck_assert_uint_eq(get_u32(w, RET), BUFFER);
    ck_assert_uint_eq(get_u32(w, RET + 4), BUFFER + 8);
    ck_assert_int_eq(memcmp(w->memory.bytes + BUFFER, "program\0argument", 17), 0);
    ck_ok(CALL(w, environ_sizes_get, RET, RET_2));
    ck_assert_uint_eq(get_u32(w, RET), 1);
    ck_assert_uint_eq(get_u32(w, RET_2), 11);
    ck_ok(CALL(w, environ_get, RET, BUFFER));
    ck_assert_str_eq((char *)w->memory.bytes + BUFFER, "NAME=value");
}
END_TEST

START_TEST(no_arguments_need_no_room)
{
    world_close(w);
    world_prepare(w);
    w->config.arg_count = 0;
    w->config.env_count = 0;
    w->config.preopen_count = 0;
    world_start(w);
    ck_ok(CALL(w, args_sizes_get, RET, RET_2));
    ck_assert_uint_eq(get_u64(w, RET) & UINT32_MAX, 0);
    ck_ok(CALL(w, args_get, FAR_OUT, FAR_OUT));
    ck_ok(CALL(w, environ_get, FAR_OUT, FAR_OUT));
    ck_errno(CALL(w, fd_prestat_get, 3, RET), BADF);
}
END_TEST

static uint64_t tell_time(void *context)
{
    return (*(uint64_t *)context)++;
}

/* The embedder's time is what a guest reads. */
START_TEST(a_clock_of_the_embedder)
{
    uint64_t time = UINT64_C(1) << 60;
    weir_wasi_free(w->wasi);
    w->config.realtime_ns = tell_time;
    w->config.realtime_context = &time;
    world_start(w);
    ck_ok(CALL(w, clock_time_get, WASI_CLOCK_REALTIME, 0, RET));
    ck_ok(CALL(w, clock_time_get, WASI_CLOCK_REALTIME, 0, RET_2));
    ck_assert_uint_eq(get_u64(w, RET), UINT64_C(1) << 60);
    ck_assert_uint_eq(get_u64(w, RET_2), (UINT64_C(1) << 60) + 1);
    ck_ok(CALL(w, clock_time_get, WASI_CLOCK_MONOTONIC, 0, RET));
    ck_assert_uint_ne(get_u64(w, RET), 0);
    ck_assert_uint_lt(get_u64(w, RET), UINT64_C(1) << 60);
    ck_assert_uint_eq(time, (UINT64_C(1) << 60) + 2);
}
END_TEST

START_TEST(clocks_go_on)
{
    ck_ok(CALL(w, clock_time_get, WASI_CLOCK_MONOTONIC, 0, RET));
    ck_ok(CALL(w, clock_time_get, WASI_CLOCK_MONOTONIC, 0, RET_2));
    ck_assert_uint_ge(get_u64(w, RET_2), get_u64(w, RET));
    ck_ok(CALL(w, clock_time_get, WASI_CLOCK_REALTIME, 0, RET));
    ck_assert_uint_gt(get_u64(w, RET), 1700000000000000000);
    ck_ok(CALL(w, clock_res_get, WASI_CLOCK_REALTIME, RET));
    ck_assert_uint_ge(get_u64(w, RET), 1);
    ck_assert_uint_le(get_u64(w, RET), 10000000);
}
END_TEST

START_TEST(determinism)
{
    uint8_t first[100];
    for (int i = 0; i < 2; i++) {
        world_close(w);
        world_prepare(w);
        w->config.is_deterministic = true;
        world_start(w);
        ck_ok(CALL(w, clock_time_get, WASI_CLOCK_REALTIME, 0, RET));
        ck_assert_uint_eq(get_u64(w, RET), 0);
        ck_ok(CALL(w, random_get, BUFFER, 100));
        if (i == 0)
            memcpy(first, w->memory.bytes + BUFFER, 100);
    }
    ck_assert_int_eq(memcmp(first, w->memory.bytes + BUFFER, 100), 0);
    ck_assert_uint_eq(w->memory.bytes[BUFFER + 100], 0);
    ck_ok(CALL(w, random_get, BUFFER, 100));
    ck_assert_int_ne(memcmp(first, w->memory.bytes + BUFFER, 100), 0);
    subscribe_hour(w);
    ck_ok(CALL(w, poll_oneoff, BUFFER, BUFFER + 1000, 1, RET)); /* where time stands still */
}
END_TEST

static unsigned count_zeros(uint32_t address, uint32_t size)
{
    unsigned zeros = 0;
    for (uint32_t i = 0; i < size; i++)
        zeros += w->memory.bytes[address + i] == 0;
    return zeros;
}

/* All of it, whether the kernel gives it at once, in drops, or with interruptions. */
START_TEST(random_bytes_fill_the_buffer)
{
    const uint32_t size = 3u << 20;
    ck_ok(CALL(w, random_get, BUFFER, size));
    ck_assert_uint_lt(count_zeros(BUFFER, size), size / 128);
    ck_assert_uint_gt(count_zeros(BUFFER, size), size / 512);
    memset(w->memory.bytes + BUFFER, 0, 5000);
    const struct weir_io_rule drops = {.op = WEIR_IO_GETRANDOM, .first = 1, .bytes_max = 100};
    ck_assert(weir_io_faulty_add(&w->faulty, &drops));
    ck_ok(CALL(w, random_get, BUFFER, 5000));
    ck_assert_uint_lt(count_zeros(BUFFER, 5000), 100);
    fail_io(w, WEIR_IO_GETRANDOM, EINTR, 3);
    ck_ok(CALL(w, random_get, BUFFER, 10));
    ck_ok(CALL(w, random_get, FAR_OUT, 0));
}
END_TEST

START_TEST(much_randomness_parks_now_and_then)
{
    world_close(w);
    world_open_streams(w);
    const uint32_t size = 3u << 20;
    ck_assert_int_eq(CALL(w, random_get, BUFFER, size), WASI_PARK);
    uint64_t wake_ns;
    ck_assert_int_eq(weir_wasi_waits_for(w->wasi, &wake_ns), -1);
    ck_assert_uint_eq(wake_ns, 0);
    ck_assert_int_eq(world_retry(w), WASI_PARK);
    ck_ok(world_retry(w));
    ck_assert_uint_lt(count_zeros(BUFFER, size), size / 128);
}
END_TEST

START_TEST(exits_and_signals)
{
    ck_assert_int_eq(CALL(w, proc_exit, 42), WASI_END);
    ck_assert_int_eq(w->end_status, WEIR_EXIT);
    ck_assert_int_eq(w->caller.exit_code, 42);
    ck_assert_int_eq(CALL(w, proc_raise, 6), WASI_END);
    ck_assert_int_eq(w->caller.exit_code, 128 + SIGABRT);
    ck_assert_int_eq(CALL(w, proc_raise, 15), WASI_END);
    ck_assert_int_eq(w->caller.exit_code, 128 + SIGTERM);
    ck_assert_int_eq(CALL(w, proc_raise, 30), WASI_END);
    ck_assert_int_eq(w->caller.exit_code, 128 + SIGSYS);
    static const uint64_t ignored[] = {0, 16, 17, 22, 27};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        ck_ok(CALL(w, proc_raise, ignored[i]));
}
END_TEST

START_TEST(connections_are_accepted)
{
    ck_ok(accepted(w));
    connect_to_it(w);
    ck_ok(CALL(w, sock_accept, 5, WASI_FDFLAG_NONBLOCK, RET));
    uint32_t fd = get_u32(w, RET);
    ck_ok(CALL(w, fd_fdstat_get, fd, RET));
    ck_assert_uint_eq(w->memory.bytes[RET], WASI_FILETYPE_SOCKET_STREAM);
    ck_assert_uint_eq(w->memory.bytes[RET + 2], WASI_FDFLAG_NONBLOCK);
    ck_assert_uint_eq(get_u64(w, RET + 8) & WASI_RIGHT_SOCK_ACCEPT, 0);
    ck_ok(CALL(w, fd_read, fd, put_iovec(w, BUFFER, 10), 1, RET)); /* it has hung up */
    ck_assert_uint_eq(get_u32(w, RET), 0);
}
END_TEST

#define RECV(fd, size, flags)                                                                      \
    CALL(w, sock_recv, fd, put_iovec(w, BUFFER, size), 1, flags, RET, RET_2)

START_TEST(sockets_receive)
{
    far_end_writes(w);
    ck_ok(RECV(6, 10, WASI_RECV_PEEK));
    ck_assert_uint_eq(get_u32(w, RET), 1);
    ck_ok(RECV(6, 10, 0));
    ck_assert_uint_eq(w->memory.bytes[BUFFER], 'x');
    ck_assert_int_eq(write(w->far_ends[1], "0123456789", 10), 10);
    ck_ok(RECV(7, 5, 0));
    ck_ok(RECV(7, 5, 0));
    ck_assert_uint_eq(get_u32(w, RET), 5);
    ck_assert_uint_eq(get_u32(w, RET_2) & 0xffff, WASI_RECV_DATA_TRUNCATED);
    ck_ok(CALL(w, fd_fdstat_set_flags, 7, WASI_FDFLAG_NONBLOCK));
    ck_errno(RECV(7, 5, 0), AGAIN); /* the rest of a datagram is gone */
    /* All of it, in as many pieces as come. */
    const struct weir_io_rule count = {.op = WEIR_IO_RECVMSG};
    weir_io_faulty_reset(&w->faulty);
    ck_assert(weir_io_faulty_add(&w->faulty, &count));
    far_end_writes(w);
    far_end_writes(w);
    close_far_end(w);
    ck_ok(RECV(6, 10, WASI_RECV_WAITALL));
    ck_assert_uint_eq(get_u32(w, RET), 2);
    ck_assert_uint_ge(w->faulty.calls[WEIR_IO_RECVMSG], 2);
}
END_TEST

START_TEST(sockets_send_and_shut_down)
{
    char bytes[16] = "";
    memcpy(w->memory.bytes + BUFFER, "hello", 5);
    ck_ok(CALL(w, sock_send, 6, put_iovec(w, BUFFER, 5), 1, 0, RET));
    ck_assert_int_eq(read(w->far_ends[0], bytes, sizeof bytes), 5);
    ck_assert_str_eq(bytes, "hello");
    ck_ok(CALL(w, sock_send, 7, put_iovec(w, BUFFER, 5), 1, 0, RET));
    ck_assert_int_eq(read(w->far_ends[1], bytes, sizeof bytes), 5);
    ck_ok(CALL(w, sock_shutdown, 6, WASI_SHUTDOWN_WR));
    ck_assert_int_eq(read(w->far_ends[0], bytes, sizeof bytes), 0);
    ck_errno(CALL(w, sock_send, 6, put_iovec(w, BUFFER, 5), 1, 0, RET), PIPE);
    far_end_writes(w);
    ck_ok(RECV(6, 5, 0));
    ck_ok(CALL(w, sock_shutdown, 6, WASI_SHUTDOWN_RD));
    ck_ok(RECV(6, 5, 0));
    ck_assert_uint_eq(get_u32(w, RET), 0);
}
END_TEST

/* Making and closing contexts leaves nothing: no byte, no descriptor. */
START_TEST(contexts_leave_nothing)
{
    int fds = count_open_fds();
    weir_wasi_free(w->wasi);
    uint64_t heap = weir_ledger_heap_bytes();
    for (int i = 0; i < 2000; i++) {
        world_start(w);
        ck_assert_int_gt(OPEN(w, "f"), 0); /* left open */
        weir_wasi_free(w->wasi);
    }
    ck_assert_uint_eq(weir_ledger_heap_bytes(), heap);
    world_start(w);
    ck_assert_int_eq(count_open_fds(), fds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi process");
    TCase *tcase = tcase_create("process");
    tcase_add_checked_fixture(tcase, open_world, close_world);
    tcase_add_test(tcase, arguments_and_environment);
    tcase_add_test(tcase, no_arguments_need_no_room);
    tcase_add_test(tcase, a_clock_of_the_embedder);
    tcase_add_test(tcase, clocks_go_on);
    tcase_add_test(tcase, determinism);
    tcase_add_test(tcase, random_bytes_fill_the_buffer);
    tcase_add_test(tcase, much_randomness_parks_now_and_then);
    tcase_add_test(tcase, exits_and_signals);
    tcase_add_test(tcase, connections_are_accepted);
    tcase_add_test(tcase, sockets_receive);
    tcase_add_test(tcase, sockets_send_and_shut_down);
    tcase_add_test(tcase, contexts_leave_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
