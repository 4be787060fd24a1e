/* Open-loop load for tests of back-pressure: request number i is due at i / RATE seconds after the
 * start, whatever became of the ones before; one that finds no connection free waits its turn and
 * is sent late, never dropped. Keep-alive connections, one request each at a time, epoll, one
 * thread.
 *
 * usage: http_load PORT PATH CONNECTIONS RATE SECONDS BODY-PREFIX
 *
 * RATE 0: closed loop, as fast as the answers come. Prints one JSON object. What counts as
 * answered: 200 whose body begins with BODY-PREFIX and has its whole length, or 429 with
 * Retry-After and a JSON body that names error and reason; everything else is counted by what was
 * wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define ANSWER_MAX 8192
#define SECOND UINT64_C(1000000000)

struct client {
    int fd; /* -1: closed */
    bool is_busy;
    size_t size;
    char answer[ANSWER_MAX];
};

struct counts {
    uint64_t sent, accepted, refused_memory, refused_busy, bad_status, bad_refusal, bad_body,
        broken;
    uint64_t late; /* sent more than a second after it was due */
    char first_bad[400];
};

static struct client *clients;
static struct counts counts;
static char request[512];
static size_t request_size;
static const char *prefix;
static struct sockaddr_in address;
static int epoll_fd;

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void keep_bad(const char *what)
{
    if (counts.first_bad[0] != 0)
        return;
    (void)snprintf(counts.first_bad, sizeof counts.first_bad, "%.380s", what);
    for (char *c = counts.first_bad; *c != 0; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20)
            *c = ' ';
}

static void close_client(struct client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
    client->is_busy = false;
    client->size = 0;
}

static bool open_client(struct client *client)
{
    int one = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 ||
        connect(client->fd, (const struct sockaddr *)(const void *)&address, sizeof address) != 0) {
        close_client(client);
        return false;
    }
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

static bool send_request(struct client *client)
{
    if (client->fd < 0 && !open_client(client)) {
        counts.broken++;
        keep_bad(strerror(errno));
        return false;
    }
    counts.sent++;
    client->is_busy = true;
    client->size = 0;
    if (send(client->fd, request, request_size, MSG_NOSIGNAL) == (ssize_t)request_size)
        return true;
    counts.broken++;
    keep_bad(strerror(errno));
    close_client(client);
    return false;
}

/* A whole answer: counted, and the connection free again. */
static void judge(struct client *client, const char *body)
{
    client->answer[client->size] = 0;
    long status = strtol(client->answer + 9, NULL, 10);
    if (status == 200 && strncmp(body, prefix, strlen(prefix)) == 0)
        counts.accepted++;
    else if (status == 200)
        counts.bad_body++;
    else if (status != 429)
        counts.bad_status++;
    else if (strcasestr(client->answer, "\r\nRetry-After: ") == NULL ||
             strstr(body, "\"reason\":\"") == NULL)
        counts.bad_refusal++;
    else if (strncmp(body, "{\"error\":\"memory\"", 17) == 0)
        counts.refused_memory++;
    else if (strncmp(body, "{\"error\":\"busy\"", 15) == 0)
        counts.refused_busy++;
    else
        counts.bad_refusal++;
    if (counts.bad_body + counts.bad_status + counts.bad_refusal > 0)
        keep_bad(client->answer);
    bool is_closing = strcasestr(client->answer, "\r\nConnection: close\r\n") != NULL;
    client->is_busy = false;
    client->size = 0;
    if (is_closing)
        close_client(client);
}

static void receive(struct client *client)
{
    ssize_t got = recv(client->fd, client->answer + client->size, ANSWER_MAX - 1 - client->size,
                       MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) { /* an idle connection may be closed; one with a request may not */
        if (client->is_busy) {
            counts.broken++;
            keep_bad(got == 0 ? "closed before the answer" : strerror(errno));
        }
        close_client(client);
        return;
    }
    client->size += (size_t)got;
    client->answer[client->size] = 0;
    const char *end = strstr(client->answer, "\r\n\r\n");
    const char *field = strcasestr(client->answer, "\r\nContent-Length: ");
    if (end == NULL)
        return;
    size_t length = field != NULL && field < end ? strtoul(field + 18, NULL, 10) : 0;
    const char *body = end + 4;
    if ((size_t)(client->answer + client->size - body) >= length)
        judge(client, body);
}

static void run(uint32_t connection_count, uint64_t rate, uint64_t seconds)
{
    uint64_t begin = now_ns(), end = begin + seconds * SECOND, issued = 0;
    uint32_t busy = 0;
    do {
        uint64_t now = now_ns();
        uint64_t due = rate != 0 ? (now - begin) * rate / SECOND + 1 : UINT64_MAX;
        busy = 0;
        for (uint32_t i = 0; i < connection_count; i++) {
            if (!clients[i].is_busy && now < end && issued < due) {
                counts.late += rate != 0 && now - begin > issued * SECOND / rate + SECOND;
                issued++;
                (void)send_request(&clients[i]);
            }
            busy += clients[i].is_busy;
        }
        struct epoll_event events[64];
        int got = epoll_wait(epoll_fd, events, 64, 1);
        for (int i = 0; i < got; i++)
            receive(events[i].data.ptr);
        if (now >= end + 30 * SECOND)
            break;
    } while (now_ns() < end || busy > 0);
    counts.broken += busy; /* never answered */
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        (void)fprintf(stderr, "http_load PORT PATH CONNECTIONS RATE SECONDS BODY-PREFIX\n");
        return 2;
    }
    uint32_t connection_count = (uint32_t)strtoul(argv[3], NULL, 10);
    address = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    request_size =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", argv[2]);
    prefix = argv[6];
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(CONNECTIONS_MAX, sizeof *clients);
    if (epoll_fd < 0 || clients == NULL || connection_count > CONNECTIONS_MAX)
        return 2;
    for (uint32_t i = 0; i < connection_count; i++)
        clients[i].fd = -1;
    run(connection_count, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
    printf("{\"sent\":%llu,\"accepted\":%llu,\"refused_memory\":%llu,\"refused_busy\":%llu,"
           "\"bad_status\":%llu,\"bad_refusal\":%llu,\"bad_body\":%llu,\"broken\":%llu,"
           "\"late\":%llu,\"first_bad\":\"%s\"}\n",
           (unsigned long long)counts.sent, (unsigned long long)counts.accepted,
           (unsigned long long)counts.refused_memory, (unsigned long long)counts.refused_busy,
           (unsigned long long)counts.bad_status, (unsigned long long)counts.bad_refusal,
           (unsigned long long)counts.bad_body, (unsigned long long)counts.broken,
           (unsigned long long)counts.late, counts.first_bad);
    free(clients);
    return 0;
}
