/* Latency of two paths of one server, in turns on one kept connection:
 * http_latency PORT FIRST SECOND COUNT
 *
 * Turns of many, because what else happens on the machine then happens to both; the first request
 * of a turn does not count, because a server may clean up after an answer, which the next request
 * waits for. Prints one JSON object: p50 and p99 of each in microseconds, from before the request
 * is written until the whole answer is read. An answer other than 200 ends the program.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../bench_measure.h"

#define COUNT_MAX 1000000
#define WARM_UPS 500
#define TURN 50
#define ANSWER_MAX 65536

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "http_latency: %s\n", what);
    exit(1);
}

static int connect_to(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        fail("cannot connect");
    return fd;
}

/* Whether the answer is complete: by its length, or by the last chunk. */
static int is_whole(const char *answer, size_t size)
{
    const char *body = strstr(answer, "\r\n\r\n");
    if (body == NULL)
        return 0;
    body += 4;
    const char *length = strcasestr(answer, "\r\nContent-Length:");
    if (length != NULL && length < body)
        return size >= (size_t)(body - answer) + strtoul(length + 17, NULL, 10);
    return size >= 5 && strcmp(answer + size - 5, "0\r\n\r\n") == 0;
}

static double ask(int fd, const char *request, size_t request_size)
{
    static char answer[ANSWER_MAX + 1];
    size_t size = 0;
    double begin = bench_now_ns();
    if (write(fd, request, request_size) != (ssize_t)request_size)
        fail("the server does not listen");
    do {
        ssize_t got = read(fd, answer + size, ANSWER_MAX - size);
        if (got <= 0)
            fail("the server closed the connection, or its answer is too long");
        size += (size_t)got;
        answer[size] = 0;
    } while (!is_whole(answer, size));
    double ns = bench_now_ns() - begin;
    if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
        fail("an answer is not 200");
    return ns / 1e3;
}

static void print(const char *name, double *us, size_t count, const char *end)
{
    qsort(us, count, sizeof us[0], bench_compare);
    printf("  \"%s\": {\"p50\": %.2f, \"p99\": %.2f}%s\n", name, us[count / 2],
           us[count * 99 / 100], end);
}

int main(int argc, char **argv)
{
    static char requests[2][256];
    size_t count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    if (count == 0 || count > COUNT_MAX)
        fail("usage: http_latency PORT FIRST SECOND COUNT (up to 1000000)");
    int fd = connect_to((uint16_t)strtoul(argv[1], NULL, 10));
    double *us[2];
    for (int i = 0; i < 2; i++) {
        us[i] = calloc(count, sizeof(double));
        int size = snprintf(requests[i], sizeof requests[i],
                            "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[2 + i]);
        if (us[i] == NULL || size < 0 || (size_t)size >= sizeof requests[i])
            fail("no memory, or the path is too long");
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < WARM_UPS; k++)
            (void)ask(fd, requests[i], strlen(requests[i]));
    for (size_t done = 0; done < count; done += TURN) {
        for (int i = 0; i < 2; i++) {
            (void)ask(fd, requests[i], strlen(requests[i]));
            for (size_t k = done; k < done + TURN && k < count; k++)
                us[i][k] = ask(fd, requests[i], strlen(requests[i]));
        }
    }
    printf("{\"bench\": \"serve\", \"unit\": \"us\", \"requests\": %zu,\n", count);
    print("first", us[0], count, ",");
    print("second", us[1], count, "}");
    (void)close(fd);
    return 0;
}
