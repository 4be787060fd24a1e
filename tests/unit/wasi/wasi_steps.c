/* The steps that the tables of cases are written in. */
#include "tests/unit/wasi/wasi_world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

uint32_t opened(struct world *world, const char *path, uint64_t rights)
{
    int fd = open_at(world, 3, path, 0, rights);
    if (fd == -WASI_E_ISDIR)
        fd = open_at(world, 3, path, WASI_OFLAG_DIRECTORY, rights);
    ck_assert_int_gt(fd, 0);
    return (uint32_t)fd;
}

static long old_clock(struct weir_io *io, enum weir_io_op op, const long args[6])
{
    (void)io;
    ck_assert_int_eq(op, WEIR_IO_CLOCK_GETTIME);
    *(struct timespec *)args[1] = (struct timespec){.tv_sec = -1};
    return 0;
}

int clock_before_1970(struct world *world)
{
    struct weir_io io = {old_clock};
    world->wasi->io = &io;
    int answer = CALL(world, clock_time_get, WASI_CLOCK_REALTIME, 0, RET);
    world->wasi->io = &world->faulty.io;
    return answer;
}

static uint32_t fill_iovecs(struct world *world, uint32_t count, uint32_t address, uint32_t size)
{
    const struct wasi_iovec vector = {address, size};
    for (uint32_t i = 0; i < count; i++)
        memcpy(world->memory.bytes + IOVECS + i * sizeof vector, &vector, sizeof vector);
    return IOVECS;
}

uint32_t overflowing_iovecs(struct world *world)
{
    return fill_iovecs(world, 1024, 0, WORLD_MEMORY_BYTES);
}

uint32_t many_iovecs(struct world *world)
{
    return fill_iovecs(world, 100, BUFFER, 1);
}

uint32_t long_name(struct world *world)
{
    memset(world->memory.bytes + BUFFER, 'a', 256);
    return BUFFER;
}

void fill_account(struct world *world)
{
    struct weir_account_reading reading;
    weir_account_read(world->store.account, &reading);
    weir_account_set_limit(world->store.account, reading.used_bytes);
}

void fill_descriptors(struct world *world)
{
    (void)OPENED(world, "f"); /* the table is large enough after it */
    (void)weir_ledger_fail_nth(1);
}

void stop(struct world *world)
{
    world->store.is_stopped = true;
}

void fill_socket(struct world *world)
{
    ck_ok(CALL(world, fd_fdstat_set_flags, 6, WASI_FDFLAG_NONBLOCK));
    int answer;
    do
        answer = CALL(world, fd_write, 6, put_iovec(world, BUFFER, 100000), 1, RET);
    while (answer == WASI_E_SUCCESS);
    ck_errno(answer, AGAIN);
}

void close_far_end(struct world *world)
{
    (void)close(world->far_ends[0]);
    world->far_ends[0] = -1;
}

void far_end_writes(struct world *world)
{
    for (int i = 0; i < 2; i++)
        (void)send(world->far_ends[i], "x", 1, MSG_DONTWAIT);
}

static int connected(struct world *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", world->outside);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof address), 0);
    return fd;
}

void connect_to_it(struct world *world)
{
    (void)close(connected(world)); /* it stays in the queue */
}

void subscribe_hour(struct world *world)
{
    struct wasi_subscription subscription = {.tag = WASI_EVENT_CLOCK};
    subscription.clock.id = WASI_CLOCK_MONOTONIC;
    subscription.clock.timeout_ns = UINT64_C(3600) * 1000000000;
    memcpy(world->memory.bytes + BUFFER, &subscription, sizeof subscription);
}

static const char *host_path(const struct world *world, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", world->root, name);
    return path;
}

int made_directory(struct world *world)
{
    int answer = CALL(world, path_create_directory, 3, PATH(world, "d/new"));
    ck_assert_int_eq(rmdir(host_path(world, "d/new")), answer == WASI_E_SUCCESS ? 0 : -1);
    return answer;
}

int removed_directory(struct world *world)
{
    (void)mkdir(host_path(world, "d/gone"), 0755);
    return CALL(world, path_remove_directory, 3, PATH(world, "d/gone"));
}

int made_link(struct world *world)
{
    int answer = CALL(world, path_link, 3, 0, PATH(world, "d/inner"), 3, PATH(world, "d/new"));
    ck_assert_int_eq(unlink(host_path(world, "d/new")), answer == WASI_E_SUCCESS ? 0 : -1);
    return answer;
}

int made_symlink(struct world *world)
{
    int answer = CALL(world, path_symlink, PATH(world, "inner"), 3, PATH(world, "d/new"));
    ck_assert_int_eq(unlink(host_path(world, "d/new")), answer == WASI_E_SUCCESS ? 0 : -1);
    return answer;
}

int unlinked(struct world *world)
{
    /* Left from the call before when that failed. */
    ck_assert(symlink("f", host_path(world, "d/gone")) == 0 || errno == EEXIST);
    return CALL(world, path_unlink_file, 3, PATH(world, "d/gone"));
}

int opened_and_closed(struct world *world)
{
    int fd = OPEN(world, "d/inner");
    return fd < 0 ? -fd : CALL(world, fd_close, (uint32_t)fd);
}

/* A connection that was not accepted is taken out of the queue again. */
int accepted(struct world *world)
{
    int far_end = connected(world);
    int answer = CALL(world, sock_accept, 5, 0, RET);
    if (answer == WASI_E_SUCCESS)
        ck_ok(CALL(world, fd_close, get_u32(world, RET)));
    struct pollfd fd = {.fd = world->sockets[0], .events = POLLIN};
    if (poll(&fd, 1, 0) == 1)
        (void)close(accept(fd.fd, NULL, NULL));
    (void)close(far_end);
    return answer;
}

int polled(struct world *world)
{
    struct wasi_subscription subscription = {.tag = WASI_EVENT_FD_WRITE, .fd = 6};
    memcpy(world->memory.bytes + BUFFER, &subscription, sizeof subscription);
    return CALL(world, poll_oneoff, BUFFER, BUFFER + 1000, 1, RET);
}
