/* Reports are made on a thread of their own: while one is not done, the same event loop answers
 * everything else. A report is held up by the lock that it is made under, so no test waits for
 * time to pass. */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/server_internal.h"
#include "tests/skip.h"

static char cache[] = "/tmp/weir-reports-XXXXXX";
static struct weir_arena *arena;
static struct weir_server_config config;
static struct weir_server *server;

static void setup(void)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "listen: 127.0.0.1:0\ncache: %s\nserver: {loops: 1, workers: 1}\n"
                   "routes:\n  - {path: /hello, module: hello.wasm, warm: 1,\n"
                   "     limits: {memory: 4MiB, time: 5s}}\n",
                   cache);
    struct weir_error error = {0};
    const struct weir_config_text file = {"reports.yaml", (const uint8_t *)text, strlen(text)};
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    enum weir_status status =
        weir_server_config_parse(&file, WEIR_GUEST_DIR, arena, &config, &error);
    if (status == WEIR_OK)
        status = weir_server_new(&config, NULL, &server, &error);
    if (status == WEIR_OK)
        status = weir_server_start(server, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static void teardown(void)
{
    weir_server_free(server);
    weir_arena_free(arena);
}

/* A connection that has asked; its end is the caller's. */
static int ask(const char *path)
{
    char request[256];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address),
                     0);
    ck_assert_int_eq(send(fd, request, (size_t)size, MSG_NOSIGNAL), size);
    return fd;
}

/* The status of the whole answer. */
static unsigned answer(int fd)
{
    static char text[1 << 20];
    size_t used = 0;
    ssize_t got;
    while (used + 1 < sizeof text && (got = recv(fd, text + used, sizeof text - 1 - used, 0)) > 0)
        used += (size_t)got;
    text[used] = 0;
    (void)close(fd);
    return used > 12 ? (unsigned)strtoul(text + 9, NULL, 10) : 0;
}

/* Until so many reports are asked for and not answered. */
static void wait_reports(uint32_t count)
{
    while (atomic_load(&server->reports) != count)
        (void)usleep(1000);
}

static const char *const PAGES[] = {"/v1/memory", "/v1/cache", "/metrics",
                                    "/v1/census?diff=start"};
#define PAGE_COUNT (sizeof PAGES / sizeof PAGES[0])
#define SWEEP 24 /* more charges than the longest of them makes */

START_TEST(hold_up_nobody)
{
    (void)pthread_mutex_lock(&server->report_lock);
    int held = ask("/v1/memory");
    wait_reports(1);
    ck_assert_uint_eq(answer(ask("/healthz")), 200);
    ck_assert_uint_eq(answer(ask("/hello")), 200);
    ck_assert_uint_eq(answer(ask("/v1/pressure")), 200);
    /* All others wait in turn; one more than there may be is refused, at once. */
    int others[WEIR_SERVER_REPORTS_MAX - 1];
    for (uint32_t i = 0; i < WEIR_SERVER_REPORTS_MAX - 1; i++)
        others[i] = ask(PAGES[i % PAGE_COUNT]);
    wait_reports(WEIR_SERVER_REPORTS_MAX);
    ck_assert_uint_eq(answer(ask("/v1/memory")), 429);
    ck_assert_uint_eq(answer(ask("/hello")), 200);
    (void)pthread_mutex_unlock(&server->report_lock);
    ck_assert_uint_eq(answer(held), 200);
    for (uint32_t i = 0; i < WEIR_SERVER_REPORTS_MAX - 1; i++)
        ck_assert_uint_eq(answer(others[i]), 200);
    wait_reports(0);
    ck_assert(weir_server_stop(server, UINT64_C(60000000000)));
}
END_TEST

/* What was made for a client that has left is thrown away. */
START_TEST(clients_leave)
{
    struct weir_account_reading before, after;
    (void)answer(ask("/metrics"));
    wait_reports(0);
    weir_account_read(server->reports_account, &before);
    for (size_t i = 0; i < PAGE_COUNT; i++) {
        (void)pthread_mutex_lock(&server->report_lock);
        int fd = ask(PAGES[i]);
        wait_reports(1);
        const struct linger reset = {.l_onoff = 1};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        (void)close(fd);
        ck_assert_uint_eq(answer(ask("/healthz")), 200);
        (void)pthread_mutex_unlock(&server->report_lock);
        wait_reports(0);
    }
    weir_account_read(server->reports_account, &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    ck_assert(weir_server_stop(server, UINT64_C(60000000000)));
}
END_TEST

static uint64_t used_bytes(const struct weir_account *account)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    return reading.used_bytes;
}

/* Each charge of a page refused in turn: it is answered whole or refused with a reason, nothing is
 * kept of it, and the next one is answered. */
START_TEST(memory_is_refused)
{
    for (size_t page = 0; page < PAGE_COUNT; page++) {
        unsigned refused = 0;
        ck_assert_uint_eq(answer(ask(PAGES[page])), 200);
        wait_reports(0);
        uint64_t before = used_bytes(server->reports_account);
        for (uint64_t n = 1; n <= SWEEP; n++) {
            (void)weir_ledger_fail_nth(n);
            unsigned status = answer(ask(PAGES[page]));
            (void)weir_ledger_fail_nth(0);
            ck_assert_msg(status == 200 || status == 429, "%s, charge %lu: %u", PAGES[page],
                          (unsigned long)n, status);
            refused += status == 429;
            wait_reports(0);
            ck_assert_uint_eq(used_bytes(server->reports_account), before);
            ck_assert_uint_eq(answer(ask(PAGES[page])), 200);
            wait_reports(0);
        }
        ck_assert_uint_gt(refused, 0);
    }
    ck_assert(weir_server_stop(server, UINT64_C(60000000000)));
}
END_TEST

static void *unlock_later(void *context)
{
    (void)context;
    while (atomic_load(&server->phase) != WEIR__DRAINING)
        (void)usleep(1000);
    (void)pthread_mutex_unlock(&server->report_lock);
    return NULL;
}

static void *lock_and_unlock_later(void *context)
{
    (void)pthread_mutex_lock(&server->report_lock);
    atomic_store((_Atomic bool *)context, true);
    return unlock_later(NULL);
}

/* Between a connection's resumption and its answer it looks as if its body was still coming. */
START_TEST(stopping_leaves_what_is_about_to_be_answered)
{
    (void)pthread_mutex_lock(&server->report_lock);
    int fd = ask("/v1/memory");
    wait_reports(1);
    struct weir__connection *connection = server->watch.connections[0];
    while (!atomic_load(&connection->is_suspended))
        (void)usleep(1000);
    atomic_store(&connection->is_suspended, false);
    weir__watch_cancel_all(server);
    atomic_store(&connection->is_suspended, true);
    (void)pthread_mutex_unlock(&server->report_lock);
    ck_assert_uint_eq(answer(fd), 200);
    ck_assert(weir_server_stop(server, UINT64_C(60000000000)));
}
END_TEST

/* A server that stops answers the reports that it has begun. */
START_TEST(stopping_ends_them)
{
    static _Atomic bool is_locked;
    pthread_t thread;
    atomic_store(&is_locked, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, lock_and_unlock_later, &is_locked), 0);
    while (!atomic_load(&is_locked))
        (void)usleep(1000);
    int fds[PAGE_COUNT];
    for (size_t i = 0; i < PAGE_COUNT; i++)
        fds[i] = ask(PAGES[i]);
    wait_reports(PAGE_COUNT);
    ck_assert(weir_server_stop(server, UINT64_C(60000000000)));
    (void)pthread_join(thread, NULL);
    for (size_t i = 0; i < PAGE_COUNT; i++)
        ck_assert_uint_eq(answer(fds[i]), 200);
}
END_TEST

int main(void)
{
    if (access(WEIR_GUEST_DIR "/hello.wasm", R_OK) != 0)
        skip_test("the example guests are not built");
    if (mkdtemp(cache) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("reports");
    TCase *tcase = tcase_create("reports");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, hold_up_nobody);
    tcase_add_test(tcase, clients_leave);
    tcase_add_test(tcase, memory_is_refused);
    tcase_add_test(tcase, stopping_leaves_what_is_about_to_be_answered);
    tcase_add_test(tcase, stopping_ends_them);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", cache);
    if (system(command) != 0)
        failed++;
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
