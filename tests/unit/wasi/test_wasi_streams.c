/* Streams, pipes and clocks: reading and writing that has to wait, parked or blocked, and
 * poll_oneoff over all of them. */
#include "tests/unit/wasi/wasi_world.h"

#include "base/clock.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct world world;
static struct world *const w = &world;

static void open_streams(void)
{
    world_open_streams(w);
}

static void open_plain(void)
{
    world_open(w);
}

static void close_world(void)
{
    world_close(w);
}

static void feed(const char *text)
{
    memcpy(w->in.bytes + w->in.end, text, strlen(text));
    w->in.end += strlen(text);
}

#define READ(size) CALL(w, fd_read, 0, put_iovec(w, BUFFER, size), 1, RET)
#define WRITE(fd, size) CALL(w, fd_write, fd, put_iovec(w, BUFFER, size), 1, RET)

static uint64_t wake_ns(int expected_stream)
{
    uint64_t wake;
    ck_assert_int_eq(weir_wasi_waits_for(w->wasi, &wake), expected_stream);
    return wake;
}

START_TEST(a_read_parks_until_something_comes)
{
    ck_assert_int_eq(READ(100), WASI_PARK);
    ck_assert_uint_eq(wake_ns(0), UINT64_MAX);
    ck_assert_int_eq(world_retry(w), WASI_PARK);
    feed("hello");
    ck_ok(world_retry(w));
    ck_assert_uint_eq(get_u32(w, RET), 5);
    ck_assert_int_eq(memcmp(w->memory.bytes + BUFFER, "hello", 5), 0);
    w->in.is_closed = true;
    ck_ok(READ(100));
    ck_assert_uint_eq(get_u32(w, RET), 0);
    unsigned calls = w->in.calls;
    ck_ok(READ(100)); /* an end is an end: nobody is asked again */
    ck_assert_uint_eq(w->in.calls, calls);
}
END_TEST

START_TEST(a_stopped_guest_does_not_wait)
{
    w->store.is_stopped = true;
    ck_errno(READ(10), INTR);
    w->out.room = 0;
    ck_errno(WRITE(1, 10), INTR);
}
END_TEST

START_TEST(nonblocking_reads_say_so)
{
    ck_ok(CALL(w, fd_fdstat_set_flags, 0, WASI_FDFLAG_NONBLOCK));
    ck_errno(READ(10), AGAIN);
    feed("x");
    ck_ok(READ(10));
    ck_ok(CALL(w, fd_fdstat_set_flags, 1, WASI_FDFLAG_NONBLOCK));
    w->out.room = 3;
    ck_ok(WRITE(1, 10));
    ck_assert_uint_eq(get_u32(w, RET), 3);
    ck_errno(WRITE(1, 10), AGAIN);
}
END_TEST

/* A write is whole, however often the guest was parked in it. */
START_TEST(a_write_parks_until_all_is_gone)
{
    for (uint32_t i = 0; i < 100000; i++)
        w->memory.bytes[BUFFER + i] = (uint8_t)(i % 251);
    w->out.room = 70000;
    ck_assert_int_eq(WRITE(1, 100000), WASI_PARK);
    ck_assert_uint_eq(wake_ns(1), UINT64_MAX);
    ck_assert_int_eq(world_retry(w), WASI_PARK);
    w->out.room = 20000;
    ck_assert_int_eq(world_retry(w), WASI_PARK);
    w->out.room = 20000;
    ck_ok(world_retry(w));
    ck_assert_uint_eq(get_u32(w, RET), 100000);
    ck_assert_uint_eq(w->out.end, 100000);
    uint32_t good = 0;
    while (good < 100000 && w->out.bytes[good] == good % 251)
        good++;
    ck_assert_uint_eq(good, 100000);
}
END_TEST

START_TEST(streams_fail_as_they_say)
{
    w->in.fails = WEIR_IO;
    ck_errno(READ(10), IO);
    w->out.fails = WEIR_IO;
    ck_errno(WRITE(1, 10), IO);
    w->out.fails = WEIR_STATE;
    ck_errno(WRITE(1, 10), PIPE);
    w->out.fails = WEIR_CANCELLED;
    ck_errno(WRITE(1, 10), PIPE);
    ck_errno(WRITE(0, 10), NOTCAPABLE);
    ck_errno(CALL(w, fd_seek, 0, 0, 1, RET), SPIPE);
    ck_errno(CALL(w, fd_pread, 0, put_iovec(w, BUFFER, 1), 1, 0, RET), SPIPE);
    ck_ok(CALL(w, fd_filestat_get, 0, RET));
    ck_assert_uint_eq(w->memory.bytes[RET + 16], WASI_FILETYPE_UNKNOWN);
}
END_TEST

/* Copies for a stream are charged, and a refusal is the guest's NOMEM. */
START_TEST(copies_are_charged)
{
    struct weir_account_reading reading;
    w->in.end = 100000;
    ck_ok(READ(100000));
    ck_assert_uint_eq(get_u32(w, RET), 100000);
    weir_account_read(w->store.account, &reading);
    ck_assert_uint_ge(reading.kind_peaks[WEIR_KIND_HOST_BUFFER], WASI_STREAM_STEP_BYTES);
    weir_account_set_limit(w->store.account, reading.used_bytes);
    w->in.at = 0;
    ck_errno(READ(100000), NOMEM);
    ck_ok(READ(4000)); /* small ones live on the stack */
}
END_TEST

static void put_subscription(uint32_t index, const struct wasi_subscription *subscription)
{
    memcpy(w->memory.bytes + BUFFER + index * sizeof *subscription, subscription,
           sizeof *subscription);
}

static void subscribe_clock(uint32_t index, uint32_t id, uint64_t timeout_ns, uint16_t flags)
{
    struct wasi_subscription subscription = {.userdata = 100 + index, .tag = WASI_EVENT_CLOCK};
    subscription.clock.id = id;
    subscription.clock.timeout_ns = timeout_ns;
    subscription.clock.flags = flags;
    put_subscription(index, &subscription);
}

static void subscribe_fd(uint32_t index, uint8_t tag, uint32_t fd)
{
    struct wasi_subscription subscription = {.userdata = 100 + index, .tag = tag, .fd = fd};
    put_subscription(index, &subscription);
}

#define EVENTS (BUFFER + 0x40000u)
#define POLL(count) CALL(w, poll_oneoff, BUFFER, EVENTS, count, RET)

static struct wasi_event event_at(uint32_t index)
{
    struct wasi_event event;
    ck_assert_uint_lt(index, get_u32(w, RET));
    memcpy(&event, w->memory.bytes + EVENTS + index * sizeof event, sizeof event);
    return event;
}

static uint64_t now_ns;

static uint64_t read_clock(void *context)
{
    (void)context;
    return now_ns;
}

START_TEST(poll_parks_on_streams_and_clocks)
{
    now_ns = weir_clock_ns();
    weir_clock_replace(read_clock, NULL);
    subscribe_fd(0, WASI_EVENT_FD_READ, 0);
    ck_assert_int_eq(POLL(1), WASI_PARK);
    ck_assert_uint_eq(wake_ns(0), UINT64_MAX);
    feed("abc");
    ck_ok(world_retry(w));
    ck_assert_uint_eq(get_u32(w, RET), 1);
    ck_assert_uint_eq(event_at(0).userdata, 100);
    ck_assert_uint_eq(event_at(0).type, WASI_EVENT_FD_READ);
    ck_assert_uint_eq(event_at(0).byte_count, 3);
    ck_ok(READ(2)); /* what was looked at is still there */
    ck_assert_int_eq(memcmp(w->memory.bytes + BUFFER, "ab", 2), 0);
    ck_ok(READ(2));
    ck_assert_uint_eq(get_u32(w, RET), 1);
    subscribe_clock(0, WASI_CLOCK_MONOTONIC, 30000000, 0);
    ck_assert_int_eq(POLL(1), WASI_PARK);
    uint64_t wake = wake_ns(-1);
    ck_assert_uint_eq(wake, now_ns + 30000000);
    now_ns = wake - 1;
    ck_assert_int_eq(world_retry(w), WASI_PARK);
    ck_assert_uint_eq(wake_ns(-1), wake); /* a retry does not start over */
    now_ns = wake;
    ck_ok(world_retry(w));
    ck_assert_uint_eq(event_at(0).type, WASI_EVENT_CLOCK);
    ck_assert_uint_eq(event_at(0).error, 0);
}
END_TEST

START_TEST(poll_answers_for_each)
{
    uint32_t file = (uint32_t)OPEN(w, "f");
    feed("abc");
    w->in.is_closed = true;
    subscribe_fd(0, WASI_EVENT_FD_READ, file);
    subscribe_fd(1, WASI_EVENT_FD_WRITE, file);
    subscribe_fd(2, WASI_EVENT_FD_READ, 99);
    subscribe_fd(3, WASI_EVENT_FD_WRITE, 0);
    subscribe_fd(4, WASI_EVENT_FD_READ, 0);
    subscribe_fd(5, WASI_EVENT_FD_WRITE, 1);
    subscribe_fd(6, WASI_EVENT_FD_READ, 6);
    subscribe_fd(7, WASI_EVENT_FD_WRITE, 6);
    subscribe_clock(8, WASI_CLOCK_PROCESS_CPUTIME, 0, 0);
    subscribe_clock(9, 77, 0, 0);
    subscribe_clock(10, WASI_CLOCK_MONOTONIC, 0, 2);
    subscribe_clock(11, WASI_CLOCK_REALTIME, 1000, WASI_SUBCLOCK_ABSTIME);
    subscribe_clock(12, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
    ck_assert_int_eq(write(w->far_ends[0], "12345", 5), 5);
    ck_ok(POLL(13));
    ck_assert_uint_eq(get_u32(w, RET), 12);
    static const struct {
        uint64_t userdata;
        uint16_t error;
        uint64_t bytes;
    } expected[] = {
        {100, 0, 10},
        {101, 0, 0},
        {102, WASI_E_BADF, 0},
        {103, WASI_E_NOTCAPABLE, 0},
        {104, 0, 3},
        {105, 0, 0},
        {108, WASI_E_NOTSUP, 0},
        {109, WASI_E_INVAL, 0},
        {110, WASI_E_INVAL, 0},
        {111, 0, 0},
        {106, 0, 5},
        {107, 0, 0},
    };
    for (uint32_t i = 0; i < 12; i++) {
        ck_assert_uint_eq(event_at(i).userdata, expected[i].userdata);
        ck_assert_uint_eq(event_at(i).error, expected[i].error);
        ck_assert_uint_eq(event_at(i).byte_count, expected[i].bytes);
    }
    ck_ok(READ(3));
    subscribe_fd(0, WASI_EVENT_FD_READ, 0);
    ck_ok(POLL(1));
    ck_assert_uint_eq(event_at(0).flags, WASI_EVENT_HANGUP);
    w->out.room = 0;
    subscribe_fd(0, WASI_EVENT_FD_WRITE, 1);
    ck_assert_int_eq(POLL(1), WASI_PARK);
    ck_assert_uint_eq(wake_ns(1), UINT64_MAX);
    subscribe_fd(1, WASI_EVENT_FD_READ, 6);
    ck_assert_int_eq(recv(w->sockets[1], w->in.bytes, 100, 0), 5);
    ck_assert_int_eq(POLL(2), WASI_PARK);
    ck_assert_uint_lt(wake_ns(1), UINT64_MAX); /* the socket has to be looked at again */
}
END_TEST

START_TEST(poll_refuses_nonsense)
{
    subscribe_clock(0, WASI_CLOCK_MONOTONIC, 0, 0);
    ck_errno(POLL(0), INVAL);
    ck_errno(POLL(WASI_SUBSCRIPTIONS_MAX + 1), INVAL);
    ck_errno(CALL(w, poll_oneoff, FAR_OUT, EVENTS, 1, RET), FAULT);
    ck_errno(CALL(w, poll_oneoff, BUFFER, FAR_OUT, 1, RET), FAULT);
    ck_errno(CALL(w, poll_oneoff, BUFFER, UINT32_MAX, 1, RET), FAULT);
    ck_errno(CALL(w, poll_oneoff, BUFFER, EVENTS, 1, FAR_OUT), FAULT);
    subscribe_fd(0, 3, 0);
    ck_errno(POLL(1), INVAL);
    struct weir_account_reading reading;
    weir_account_read(w->store.account, &reading);
    weir_account_set_limit(w->store.account, reading.used_bytes);
    ck_errno(POLL(100), NOMEM);
    subscribe_fd(0, WASI_EVENT_FD_READ, 0);
    weir_account_set_limit(w->store.account, reading.used_bytes + 200);
    ck_ok(POLL(1)); /* no room to look ahead */
    ck_assert_uint_eq(event_at(0).error, WASI_E_NOMEM);
}
END_TEST

/* --- without streams: the thread blocks, in slices --- */

struct later {
    int fd;
    struct world *world;
};

static void *write_later(void *context)
{
    struct later *later = context;
    (void)usleep(30000);
    ck_assert_int_eq(write(later->fd, "late", 4), 4);
    return NULL;
}

static void *stop_later(void *context)
{
    struct later *later = context;
    (void)usleep(30000);
    later->world->store.is_stopped = true;
    return NULL;
}

/* A context with pipes as its standard streams; returns the far ends. */
static void open_pipes(int ret_far[2])
{
    int in[2], out[2];
    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    world_prepare(w);
    w->config.stdio_fds[0] = in[0];
    w->config.stdio_fds[1] = out[1];
    world_start(w);
    (void)close(in[0]);
    (void)close(out[1]);
    ret_far[0] = in[1];
    ret_far[1] = out[0];
}

START_TEST(a_pipe_blocks_until_something_comes)
{
    int far[2];
    pthread_t thread;
    open_pipes(far);
    struct later later = {.fd = far[0]};
    ck_assert_int_eq(pthread_create(&thread, NULL, write_later, &later), 0);
    ck_ok(READ(100));
    ck_assert_uint_eq(get_u32(w, RET), 4);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)close(far[0]);
    ck_ok(READ(100));
    ck_assert_uint_eq(get_u32(w, RET), 0);
    (void)close(far[1]);
    world_close(w);
}
END_TEST

START_TEST(a_stopped_store_ends_the_wait)
{
    int far[2];
    pthread_t thread;
    open_pipes(far);
    struct later later = {.world = w};
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, &later), 0);
    ck_errno(READ(100), INTR);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    w->store.is_stopped = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, &later), 0);
    subscribe_clock(0, WASI_CLOCK_MONOTONIC, UINT64_MAX / 2, 0);
    ck_errno(POLL(1), INTR);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    w->store.is_stopped = false;
    /* A pipe that nobody empties: what went through counts. */
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, &later), 0);
    ck_ok(WRITE(1, 1u << 20));
    ck_assert_uint_eq(get_u32(w, RET), 65536);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_errno(WRITE(1, 10), INTR);
    ck_ok(CALL(w, fd_fdstat_set_flags, 1, WASI_FDFLAG_NONBLOCK));
    ck_errno(WRITE(1, 10), AGAIN);
    (void)close(far[0]);
    (void)close(far[1]);
    world_close(w);
}
END_TEST

static _Atomic int signals_seen;
static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

START_TEST(a_broken_pipe_is_the_guests_alone)
{
    int far[2];
    open_pipes(far);
    ck_assert(signal(SIGPIPE, count_signal) != SIG_ERR);
    (void)close(far[1]);
    ck_errno(WRITE(1, 10), PIPE);
    ck_errno(WRITE(1, 10), PIPE);
    ck_assert_int_eq(signals_seen, 0);
    ck_assert_int_eq(close(w->far_ends[0]), 0);
    ck_errno(WRITE(6, 10), PIPE);
    ck_assert_int_eq(signals_seen, 0);
    w->far_ends[0] = far[0];
    sigset_t pending;
    ck_assert_int_eq(sigpending(&pending), 0);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
    world_close(w);
}
END_TEST

START_TEST(sleeping_takes_as_long_as_asked)
{
    world_open(w);
    uint64_t before = weir_clock_ns();
    subscribe_clock(0, WASI_CLOCK_MONOTONIC, 25500000, 0);
    ck_ok(POLL(1));
    uint64_t took = weir_clock_ns() - before;
    ck_assert_uint_ge(took, 25500000);
    ck_ok(CALL(w, clock_time_get, WASI_CLOCK_REALTIME, 0, RET));
    before = weir_clock_ns();
    subscribe_clock(0, WASI_CLOCK_REALTIME, get_u64(w, RET) + 20000000, WASI_SUBCLOCK_ABSTIME);
    ck_ok(POLL(1));
    ck_assert_uint_ge(weir_clock_ns() - before, 19000000);
    world_close(w);
}
END_TEST

START_TEST(pipes_in_folders_do_not_hang)
{
    world_open(w);
    uint32_t reader = (uint32_t)open_at(w, 3, "pipe", 0,
                                        WASI_RIGHT_FD_READ | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |
                                            WASI_RIGHT_POLL_FD_READWRITE);
    ck_ok(CALL(w, fd_read, reader, put_iovec(w, BUFFER, 10), 1, RET)); /* no writer: the end */
    ck_assert_uint_eq(get_u32(w, RET), 0);
    uint32_t writer =
        (uint32_t)open_at(w, 3, "pipe", 0, WASI_RIGHT_FD_WRITE | WASI_RIGHT_POLL_FD_READWRITE);
    ck_ok(CALL(w, fd_fdstat_set_flags, reader, WASI_FDFLAG_NONBLOCK));
    ck_errno(CALL(w, fd_read, reader, put_iovec(w, BUFFER, 10), 1, RET), AGAIN);
    ck_ok(CALL(w, fd_write, writer, put_iovec(w, BUFFER, 10), 1, RET));
    subscribe_fd(0, WASI_EVENT_FD_READ, reader);
    ck_ok(POLL(1));
    ck_assert_uint_eq(event_at(0).byte_count, 10);
    ck_ok(CALL(w, fd_read, reader, put_iovec(w, BUFFER, 10), 1, RET));
    ck_assert_uint_eq(get_u32(w, RET), 10);
    ck_ok(CALL(w, fd_close, reader));
    ck_errno(CALL(w, fd_write, writer, put_iovec(w, BUFFER, 10), 1, RET), PIPE);
    ck_errno(-open_at(w, 3, "pipe", 0, WASI_RIGHT_FD_WRITE), NXIO);
    world_close(w);
}
END_TEST

START_TEST(nothing_behind_a_descriptor)
{
    ck_ok(READ(10));
    ck_assert_uint_eq(get_u32(w, RET), 0);
    ck_ok(WRITE(1, 1000));
    ck_assert_uint_eq(get_u32(w, RET), 1000);
    ck_ok(WRITE(2, 1000));
    ck_errno(WRITE(0, 1), NOTCAPABLE);
    ck_errno(CALL(w, fd_read, 1, put_iovec(w, BUFFER, 1), 1, RET), NOTCAPABLE);
    subscribe_fd(0, WASI_EVENT_FD_READ, 0);
    ck_ok(POLL(1));
    ck_assert_uint_eq(event_at(0).flags, WASI_EVENT_HANGUP);
    ck_errno(CALL(w, fd_fdstat_set_flags, 0, WASI_FDFLAG_APPEND), NOTSUP);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi streams");
    TCase *streams = tcase_create("streams");
    tcase_add_checked_fixture(streams, open_streams, close_world);
    tcase_add_test(streams, a_read_parks_until_something_comes);
    tcase_add_test(streams, a_stopped_guest_does_not_wait);
    tcase_add_test(streams, nonblocking_reads_say_so);
    tcase_add_test(streams, a_write_parks_until_all_is_gone);
    tcase_add_test(streams, streams_fail_as_they_say);
    tcase_add_test(streams, copies_are_charged);
    tcase_add_test(streams, poll_parks_on_streams_and_clocks);
    tcase_add_test(streams, poll_answers_for_each);
    tcase_add_test(streams, poll_refuses_nonsense);
    suite_add_tcase(suite, streams);
    TCase *plain = tcase_create("plain");
    tcase_add_checked_fixture(plain, open_plain, close_world);
    tcase_add_test(plain, nothing_behind_a_descriptor);
    suite_add_tcase(suite, plain);
    TCase *blocking = tcase_create("blocking");
    tcase_add_test(blocking, a_pipe_blocks_until_something_comes);
    tcase_add_test(blocking, a_stopped_store_ends_the_wait);
    tcase_add_test(blocking, a_broken_pipe_is_the_guests_alone);
    tcase_add_test(blocking, sleeping_takes_as_long_as_asked);
    tcase_add_test(blocking, pipes_in_folders_do_not_hang);
    suite_add_tcase(suite, blocking);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
