/* Allocation failure at every n-th charge: while the server is made, and while it answers, with a
 * guest alone and with a filter before it that calls an upstream and is recycled after each
 * request. It comes up or says why it does not; a request is answered or refused with JSON;
 * afterwards everything works, and the ledger holds what it held before. */
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "server/server.h"
#include "tests/skip.h"

#define SWEEP_MAX 5000
#define REQUEST_SWEEP 60
#define FILTERED_SWEEP 400
#define PATIENCE_MS 60000 /* until a filter that did not start is tried again */

static struct weir_arena *arena;
static char cache[] = "/tmp/weir-oom-XXXXXX";

static uint16_t upstream_port;

static struct weir_server_config read_config(bool is_filtered)
{
    char text[1024], filtered[512] = "";
    if (is_filtered)
        (void)snprintf(filtered, sizeof filtered,
                       "  - {path: /filtered, module: echo.wasm, args: [a],\n"
                       "     limits: {memory: 4MiB, body: 1MiB, time: 20s},\n"
                       "     filters: [{name: f, module: filter_probe.wasm, configuration: none,\n"
                       "        log: critical, limits: {memory: 16MiB, soft: 1MiB}}]}\n"
                       "upstreams: [{name: up, url: \"http://127.0.0.1:%u\"}]\n",
                       upstream_port);
    (void)snprintf(text, sizeof text,
                   "listen: 127.0.0.1:0\ncache: %s\nserver: {loops: 1, workers: 1}\n"
                   "routes:\n  - {path: /echo, module: echo.wasm, warm: 1, args: [a],\n"
                   "     limits: {memory: 4MiB, body: 1MiB, time: 5s}}\n%s",
                   cache, filtered);
    struct weir_server_config config = {0};
    struct weir_error error = {0};
    const struct weir_config_text file = {"oom.yaml", (const uint8_t *)text, strlen(text)};
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    enum weir_status status =
        weir_server_config_parse(&file, WEIR_GUEST_DIR, arena, &config, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return config;
}

static uint64_t used_bytes(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    return reading.used_bytes;
}

/* Once with everything granted: the module is compiled, and what the process keeps is there. */
static struct weir_server *open_server(const struct weir_server_config *config)
{
    struct weir_server *server = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_server_new(config, NULL, &server, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return server;
}

START_TEST(comes_up_or_says_why_not)
{
    struct weir_server_config config = read_config(_i == 1);
    weir_server_free(open_server(&config));
    uint64_t before = used_bytes();
    uint64_t n = 1, failures = 0;
    for (; n < SWEEP_MAX; n++) {
        struct weir_server *server = NULL;
        struct weir_error error = {0};
        (void)weir_ledger_fail_nth(n);
        enum weir_status status = weir_server_new(&config, NULL, &server, &error);
        uint64_t counted = weir_ledger_fail_nth(0);
        if (status == WEIR_OK) {
            weir_server_free(server);
        } else {
            failures++;
            ck_assert_msg(error.message[0] != 0, "charge %lu: no reason", (unsigned long)n);
            weir_error_done(&error);
        }
        ck_assert_msg(used_bytes() <= before, "charge %lu: %lu bytes are kept", (unsigned long)n,
                      (unsigned long)(used_bytes() - before));
        if (counted < n)
            break; /* more charges than there are */
    }
    ck_assert_uint_lt(n, SWEEP_MAX);
    ck_assert_uint_gt(failures, 10);
    weir_arena_free(arena);
}
END_TEST

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* The whole answer to one request on a connection of its own; its size. */
static size_t ask(uint16_t port, const char *path, char *answer, size_t size)
{
    char request[256];
    int length = snprintf(request, sizeof request,
                          "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nx-do: call\r\n"
                          "Connection: close\r\n\r\nbody", path);
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address),
                     0);
    size_t used = 0;
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) > 0) {
        ssize_t got;
        while (used + 1 < size && (got = recv(fd, answer + used, size - 1 - used, 0)) > 0)
            used += (size_t)got;
    }
    answer[used] = 0;
    (void)close(fd);
    return used;
}

static void check_refusal(const char *answer)
{
    ck_assert_msg(strstr(answer, "\r\n\r\n{\"error\":\"") != NULL, "%s", answer);
}

START_TEST(answers_or_refuses)
{
    struct weir_server_config config = read_config(false);
    struct weir_server *server = open_server(&config);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_server_start(server, &error), WEIR_OK);
    uint16_t port = (uint16_t)strtoul(strrchr(weir_server_url(server), ':') + 1, NULL, 10);
    static char answer[65536];
    unsigned refused = 0;
    for (uint64_t n = 1; n <= REQUEST_SWEEP; n++) {
        (void)weir_ledger_fail_nth(n);
        size_t size = ask(port, "/echo", answer, sizeof answer);
        (void)weir_ledger_fail_nth(0);
        if (size == 0) { /* the connection's own record was refused: closed at once */
            refused++;
        } else if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0) {
            refused++;
            check_refusal(answer);
        }
        ck_assert_uint_gt(ask(port, "/echo", answer, sizeof answer), 0);
        ck_assert_msg(strncmp(answer, "HTTP/1.1 200 ", 13) == 0, "after charge %lu: %s",
                      (unsigned long)n, answer);
        ck_assert_ptr_nonnull(strstr(answer, "\n\nbody"));
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert(weir_server_stop(server, UINT64_C(5000000000)));
    weir_server_free(server);
    weir_arena_free(arena);
}
END_TEST

/* Answers what the filter calls, one connection after the other, until its socket is closed. */
static void *serve_upstream(void *context)
{
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                                 "Connection: close\r\n\r\nup";
    const int *listener = context;
    int fd;
    while ((fd = accept(*listener, NULL, NULL)) >= 0) {
        char request[4096] = "";
        size_t used = 0;
        ssize_t got = 1;
        while (got > 0 && strstr(request, "hello") == NULL && used < sizeof request - 1) {
            got = recv(fd, request + used, sizeof request - 1 - used, 0);
            used += got > 0 ? (size_t)got : 0;
            request[used] = 0;
        }
        (void)send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
        (void)close(fd);
    }
    return NULL;
}

static int open_upstream(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)(const void *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)(void *)&address, &size), 0);
    upstream_port = ntohs(address.sin_port);
    return fd;
}

/* A filter that could not start is tried again after a pause. */
static void wait_for_answer(uint16_t port, uint64_t n, char *answer, size_t size)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    for (unsigned waited = 0; waited < PATIENCE_MS; waited += 10) {
        if (ask(port, "/filtered", answer, size) > 0 && strncmp(answer, "HTTP/1.1 200 ", 13) == 0)
            break;
        (void)nanosleep(&pause, NULL);
    }
    ck_assert_msg(strncmp(answer, "HTTP/1.1 200 ", 13) == 0, "after charge %lu: %s",
                  (unsigned long)n, answer);
    ck_assert_ptr_nonnull(strstr(answer, "x-filtered: probe\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "HTTP_X_CALL=200\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\n\nbody"));
}

/* One server whose first `count` charges of a request fail in turn. Returns how many there were. */
static uint64_t sweep_filtered(const struct weir_server_config *config, uint64_t count)
{
    struct weir_server *server = open_server(config);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_server_start(server, &error), WEIR_OK);
    uint16_t port = (uint16_t)strtoul(strrchr(weir_server_url(server), ':') + 1, NULL, 10);
    static char answer[65536];
    wait_for_answer(port, 0, answer, sizeof answer);
    uint64_t n = 1, refused = 0;
    for (; n <= count; n++) {
        (void)weir_ledger_fail_nth(n);
        size_t size = ask(port, "/filtered", answer, sizeof answer);
        uint64_t counted = weir_ledger_fail_nth(0);
        if (size == 0 || strncmp(answer, "HTTP/1.1 200 ", 13) != 0) {
            refused++;
            if (size > 0)
                check_refusal(answer);
            wait_for_answer(port, n, answer, sizeof answer);
        }
        if (counted < n)
            break; /* more charges than there are */
    }
    ck_assert(count == 0 || refused > 10);
    ck_assert(weir_server_stop(server, UINT64_C(20000000000)));
    weir_server_free(server);
    return n;
}

START_TEST(filters_answer_or_refuse)
{
    int listener = open_upstream();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_upstream, &listener), 0);
    struct weir_server_config config = read_config(true);
    (void)sweep_filtered(&config, 0); /* what the process keeps is there then */
    uint64_t before = used_bytes();
    uint64_t n = sweep_filtered(&config, FILTERED_SWEEP);
    ck_assert_uint_gt(n, 30);
    ck_assert_uint_le(used_bytes(), before);
    (void)shutdown(listener, SHUT_RDWR);
    (void)pthread_join(thread, NULL);
    (void)close(listener);
    weir_arena_free(arena);
}
END_TEST

int main(void)
{
    if (access(WEIR_GUEST_DIR "/echo.wasm", R_OK) != 0)
        skip_test("the example guests are not built");
    if (mkdtemp(cache) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("server_oom");
    TCase *tcase = tcase_create("server_oom");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, comes_up_or_says_why_not, 0, 2);
    tcase_add_test(tcase, answers_or_refuses);
    tcase_add_test(tcase, filters_answer_or_refuse);
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
