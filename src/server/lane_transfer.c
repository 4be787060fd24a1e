/* HTTP towards upstreams and the guests of routes, by libcurl. A lane has one multi handle, whose
 * connections are kept and bounded; everything here runs on the lane's thread.
 *
 * A guest behind filters is reached through a socket of the lane's, whose connections become the
 * server's own (is_inner): it runs as if the client had come without filters.
 */
#include "server/lane_internal.h"

#include "base/check.h"
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The name is not looked up: the lane's socket is where it leads to. */
#define INNER_URL "http://127.0.0.1:1"

static const char *const hop_by_hop[] = {"connection", "keep-alive", "proxy-connection",
                                         "te",         "upgrade",    "transfer-encoding",
                                         "expect",     "trailer"};

static bool is_hop_by_hop(const struct weir_filter_pair *pair)
{
    for (size_t i = 0; i < sizeof hop_by_hop / sizeof hop_by_hop[0]; i++)
        if (pair->name_size == strlen(hop_by_hop[i]) &&
            memcmp(pair->bytes, hop_by_hop[i], pair->name_size) == 0)
            return true;
    return false;
}

/* --- inner connections ----------------------------------------------------------------------- */

/* Listens at a name that is taken away at once and reached by the descriptor of its file from then
 * on. libcurl never reuses connections to an abstract name, as their peer has no address. */
static bool bind_inner(struct weir__lane *lane, int folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/.weir-%d-%u",
                   folder, (int)getpid(), lane->index);
    (void)unlink(address.sun_path); /* of a process that was killed */
    lane->inner_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (lane->inner_fd < 0 || bind(lane->inner_fd, (const struct sockaddr *)(const void *)&address,
                                   sizeof address) != 0)
        return false;
    lane->inner_path_fd = open(address.sun_path, O_PATH | O_CLOEXEC);
    int error = errno;
    (void)unlink(address.sun_path);
    errno = error;
    (void)snprintf(lane->inner_path, sizeof lane->inner_path, "/proc/self/fd/%d",
                   lane->inner_path_fd);
    return lane->inner_path_fd >= 0 && listen(lane->inner_fd, WEIR_SERVER_INNER_CONNECTIONS) == 0;
}

static enum weir_status open_inner(struct weir__lane *lane, struct weir_error *error)
{
    const char *path = lane->server->config->spool_dir;
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool is_good = folder >= 0 && bind_inner(lane, folder);
    if (!is_good)
        (void)weir_error_set_errno(error, WEIR_IO, errno,
                                   "cannot open a filter thread's socket in %s (server.spool)",
                                   path);
    if (folder >= 0)
        (void)close(folder);
    return is_good ? WEIR_OK : WEIR_IO;
}

/* Other processes of the same user may connect, too: they are not served. */
static bool is_own(int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid();
}

void weir__lane_accept(struct weir__lane *lane)
{
    /* No client's address is of this family: connections of filters are known by it. */
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    const int size = WEIR_SERVER_SOCKET_BUFFER_BYTES;
    /* Requests may come before who started it has it. */
    struct MHD_Daemon *daemon = atomic_load(&lane->server->inner_daemon);
    while (daemon != NULL) {
        int fd = accept4(lane->inner_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        if (is_own(fd)) /* takes the descriptor over, closes it when it fails */
            (void)MHD_add_connection(daemon, fd, &nobody, sizeof nobody);
        else
            (void)close(fd);
    }
}

/* --- what comes back ------------------------------------------------------------------------- */

static struct weir_filter_map *answer_map(struct weir__transfer *transfer)
{
    if (transfer->filtered != NULL)
        return &transfer->filtered->exchange.maps[transfer->has_body_begun
                                                      ? WEIR_FILTER_RESPONSE_TRAILERS
                                                      : WEIR_FILTER_RESPONSE_HEADERS];
    return transfer->has_body_begun ? &transfer->call->answer_trailers
                                    : &transfer->call->answer_headers;
}

static struct weir_account *answer_account(const struct weir__transfer *transfer)
{
    return transfer->filtered != NULL ? transfer->filtered->exchange.account
                                      : transfer->call->answer_body.account;
}

static bool add_field(struct weir__transfer *transfer, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL)
        return true;
    const char *value = colon + 1, *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && isspace((unsigned char)end[-1]))
        end--;
    struct weir_filter_text name = {line, (size_t)(colon - line)};
    struct weir_error error = {0};
    enum weir_status status =
        weir_filter_map_add(answer_map(transfer), answer_account(transfer), name,
                            (struct weir_filter_text){value, (size_t)(end - value)}, &error);
    weir_error_done(&error);
    return status == WEIR_OK || status == WEIR_INVALID_ARGUMENT;
}

/* "HTTP/1.1 200 OK": a new head; those before were for information. */
static bool begin_head(struct weir__transfer *transfer, const char *line, size_t size)
{
    const char *space = memchr(line, ' ', size);
    size_t left = space != NULL ? size - (size_t)(space - line) : 0;
    if (left < 4)
        return false;
    weir_filter_map_clear(answer_map(transfer));
    struct weir_error error = {0};
    enum weir_status status = weir_filter_map_add(
        answer_map(transfer), answer_account(transfer), weir_filter_text(":status"),
        (struct weir_filter_text){space + 1, 3}, &error);
    weir_error_done(&error);
    return status == WEIR_OK;
}

static void set_head(struct weir__filtered *filtered)
{
    filtered->has_response_head = true;
    filtered->exchange.has_map[WEIR_FILTER_RESPONSE_HEADERS] = true;
    filtered->is_dirty = true;
}

static size_t take_head(char *line, size_t one, size_t size, void *context)
{
    struct weir__transfer *transfer = context;
    size *= one;
    transfer->head_bytes += size;
    if (transfer->head_bytes > WEIR_SERVER_UPSTREAM_HEAD_MAX)
        return 0;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        return begin_head(transfer, line, size) ? size : 0;
    if (size > 2)
        return add_field(transfer, line, size) ? size : 0;
    const struct weir_filter_pair *status =
        weir_filter_map_find(answer_map(transfer), weir_filter_text(":status"));
    if (status != NULL && weir_filter_pair_value(status)[0] != '1' && transfer->filtered != NULL)
        set_head(transfer->filtered);
    return size;
}

static size_t take_body(char *bytes, size_t one, size_t size, void *context)
{
    struct weir__transfer *transfer = context;
    struct weir__filtered *filtered = transfer->filtered;
    struct weir_filter_buffer *body =
        filtered != NULL ? &filtered->down : &transfer->call->answer_body;
    size *= one;
    if (filtered != NULL && body->size >= WEIR_SERVER_FILTER_WINDOW) {
        transfer->is_write_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    transfer->has_body_begun = true;
    transfer->body_bytes += size;
    struct weir_error error = {0};
    bool is_good = transfer->body_bytes <= transfer->body_bytes_max &&
                   weir_filter_buffer_append(body, bytes, size, &error) == WEIR_OK;
    weir_error_done(&error);
    if (filtered != NULL) {
        filtered->is_dirty = true;
        filtered->exchange.response_bytes += size;
    }
    return is_good ? size : 0;
}

/* --- what goes out --------------------------------------------------------------------------- */

/* Another number of bytes than was announced would be part of the connection's next request. */
static bool is_miscounted(const struct weir__filtered *filtered)
{
    uint64_t announced = filtered->transfer.announced;
    uint64_t bytes = filtered->sent_bytes + filtered->up.size;
    return announced != UINT64_MAX &&
           (bytes > announced || (filtered->up_end && bytes < announced));
}

static void fail_miscounted(struct weir__filtered *filtered)
{
    weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_UPSTREAM,
                        "filters passed on another number of bytes than the %llu of "
                        "content-length: remove it where a body's size changes",
                        (unsigned long long)filtered->transfer.announced);
}

static size_t give_body(char *to, size_t one, size_t size, void *context)
{
    struct weir__transfer *transfer = context;
    struct weir__filtered *filtered = transfer->filtered;
    struct weir_filter_buffer *body = filtered != NULL ? &filtered->up : &transfer->call->body;
    if (filtered != NULL && is_miscounted(filtered))
        return CURL_READFUNC_ABORT;
    size_t count = weir_filter_buffer_take(body, to, one * size);
    if (count == 0 && filtered != NULL && !filtered->up_end) {
        transfer->is_read_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (filtered != NULL) {
        filtered->sent_bytes += count;
        filtered->is_dirty = true;
    }
    return count;
}

static bool add_line(struct weir__transfer *transfer, const char *line)
{
    struct curl_slist *more = curl_slist_append(transfer->headers, line);
    if (more == NULL)
        return false;
    transfer->headers = more;
    return true;
}

static bool add_pair(struct weir__transfer *transfer, struct weir_filter_text name,
                     const struct weir_filter_pair *pair)
{
    char few[512];
    size_t size = name.size + pair->value_size + 3;
    char *line = size > sizeof few ? malloc(size) : few;
    if (line == NULL)
        return false;
    /* "name;" is libcurl's form of an empty one. */
    const char *format = pair->value_size > 0 ? "%.*s: %.*s" : "%.*s;";
    (void)snprintf(line, size, format, (int)name.size, (const char *)name.bytes,
                   (int)pair->value_size, (const char *)weir_filter_pair_value(pair));
    bool is_added = add_line(transfer, line);
    if (line != few)
        free(line);
    return is_added;
}

static bool is_named(const struct weir_filter_pair *pair, const char *name)
{
    return pair->name_size == strlen(name) && memcmp(pair->bytes, name, pair->name_size) == 0;
}

/* What libcurl would add by itself is switched off. */
static bool add_headers(struct weir__transfer *transfer, const struct weir_filter_map *map)
{
    static const char *const OFF[] = {"expect:", "accept:", "user-agent:"};
    bool is_good = true, has_host = false;
    for (const struct weir_filter_pair *p = map->first; p != NULL && is_good; p = p->next) {
        struct weir_filter_text name = {p->bytes, p->name_size};
        bool is_host = is_named(p, ":authority") || (is_named(p, "host") && !has_host);
        has_host = has_host || is_host;
        if (is_host)
            name = weir_filter_text("host");
        else if (p->bytes[0] == ':' || is_hop_by_hop(p) || is_named(p, "content-length") ||
                 is_named(p, "host") || is_named(p, WEIR__CLIENT_FIELD))
            continue;
        is_good = add_pair(transfer, name, p);
    }
    for (size_t i = 0; i < sizeof OFF / sizeof OFF[0] && is_good; i++) {
        struct weir_filter_text name = {OFF[i], strlen(OFF[i]) - 1};
        if (weir_filter_map_find(map, name) == NULL)
            is_good = add_line(transfer, OFF[i]);
    }
    return is_good;
}

/* --- beginning ------------------------------------------------------------------------------- */

static const char *value_of(const struct weir_filter_map *map, const char *name)
{
    const struct weir_filter_pair *pair = weir_filter_map_find(map, weir_filter_text(name));
    return pair != NULL ? (const char *)weir_filter_pair_value(pair) : NULL;
}

static bool set_url(struct weir__transfer *transfer, const char *origin, const char *path)
{
    for (const char *c = path; *c != 0; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    size_t size = strlen(origin) + strlen(path) + 1;
    char *url = malloc(size);
    if (url == NULL || path[0] != '/') {
        free(url);
        return false;
    }
    (void)snprintf(url, size, "%s%s", origin, path);
    bool is_set = curl_easy_setopt(transfer->easy, CURLOPT_URL, url) == CURLE_OK;
    free(url);
    return is_set;
}

static void set_common(struct weir__transfer *transfer, const struct weir_upstream_keys *upstream)
{
    CURL *easy = transfer->easy;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16384L);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (upstream == NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, transfer->lane->inner_path);
        (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 1L);
        return;
    }
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)(upstream->connect_ns / WEIR_MS_NS));
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 10L);
}

/* `body_size` UINT64_MAX: as long as it lasts. */
static void set_method(struct weir__transfer *transfer, const char *method, bool has_body,
                       uint64_t body_size)
{
    CURL *easy = transfer->easy;
    if (has_body) {
        (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        if (body_size != UINT64_MAX)
            (void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_size);
    }
    if (strcmp(method, "HEAD") == 0)
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static bool add_transfer(struct weir__transfer *transfer)
{
    struct weir__lane *lane = transfer->lane;
    if (curl_multi_add_handle(lane->multi, transfer->easy) != CURLM_OK)
        return false;
    transfer->is_added = true;
    transfer->next = lane->transfers;
    if (lane->transfers != NULL)
        lane->transfers->previous = transfer;
    lane->transfers = transfer;
    return true;
}

/* A filter may rewrite the path, but not to what other filters guard. */
static bool stays_on_route(const struct weir__filtered *filtered, const char *path)
{
    char *copy = strdup(path);
    struct weir_cgi_target target;
    bool stays = false;
    if (copy != NULL && weir_cgi_target_parse(copy, &target, NULL) == WEIR_OK) {
        struct weir__route *route = weir__route_find(filtered->lane->server, target.path);
        stays = route != NULL && strcmp(route->config->path, filtered->route->config->path) == 0;
        weir__route_unref(route);
    }
    free(copy);
    return stays;
}

/* The length of a body that filters left alone is what the client said. */
static uint64_t known_size(const struct weir__filtered *filtered)
{
    const struct weir_filter_map *map = &filtered->exchange.maps[WEIR_FILTER_REQUEST_HEADERS];
    const struct weir_filter_pair *length =
        weir_filter_map_find(map, weir_filter_text("content-length"));
    if (filtered->up_end)
        return filtered->up.size;
    return weir__length_of(length);
}

static bool begin(struct weir__filtered *filtered, const char *path, const char *method)
{
    struct weir__transfer *transfer = &filtered->transfer;
    const struct weir_upstream_keys *upstream = filtered->route->config->upstream;
    const struct weir_filter_map *map = &filtered->exchange.maps[WEIR_FILTER_REQUEST_HEADERS];
    transfer->lane = filtered->lane;
    transfer->filtered = filtered;
    transfer->body_bytes_max = filtered->route->config->output_bytes_max;
    transfer->easy = curl_easy_init();
    char line[sizeof filtered->client + 32];
    bool is_good = transfer->easy != NULL && add_headers(transfer, map);
    if (is_good && upstream == NULL) {
        (void)snprintf(line, sizeof line, WEIR__CLIENT_FIELD ": %s", filtered->client);
        is_good = add_line(transfer, line);
    }
    if (!is_good)
        return false;
    set_common(transfer, upstream);
    bool has_body = !filtered->up_end || filtered->up.size > 0;
    transfer->announced = has_body ? known_size(filtered) : UINT64_MAX;
    set_method(transfer, method, has_body, transfer->announced);
    return set_url(transfer, upstream != NULL ? upstream->url : INNER_URL, path) &&
           add_transfer(transfer);
}

/* To the upstream or the route's guest; failures are set in `filtered`. */
static void start_transfer(struct weir__filtered *filtered)
{
    const struct weir_filter_map *map = &filtered->exchange.maps[WEIR_FILTER_REQUEST_HEADERS];
    bool is_inner = filtered->route->config->upstream == NULL;
    const char *path = value_of(map, ":path"), *method = value_of(map, ":method");
    if (path == NULL || method == NULL || !weir_cgi_is_token(method, strlen(method)))
        weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_UPSTREAM,
                            "filters left no :path or :method that could be sent");
    else if (is_inner && !stays_on_route(filtered, path))
        weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_UPSTREAM,
                            "filters moved the request to %.100s, out of its route", path);
    else if (!begin(filtered, path, method))
        weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_UPSTREAM,
                            "the request could not be sent on: %.100s", path);
}

void weir__transfer_pump(struct weir__filtered *filtered)
{
    struct weir__transfer *transfer = &filtered->transfer;
    /* Not before there is some of the body: one that filters held to its end has a length then. */
    if (filtered->is_started && transfer->easy == NULL &&
        (filtered->up.size > 0 || filtered->up_end))
        start_transfer(filtered);
    if (transfer->is_done && is_miscounted(filtered))
        fail_miscounted(filtered);
    if (!transfer->is_added || transfer->is_done)
        return;
    bool can_read = transfer->is_read_paused && (filtered->up.size > 0 || filtered->up_end);
    bool can_write =
        transfer->is_write_paused && filtered->down.size < WEIR_SERVER_FILTER_WINDOW;
    if (!can_read && !can_write)
        return;
    transfer->is_read_paused = transfer->is_read_paused && !can_read;
    transfer->is_write_paused = transfer->is_write_paused && !can_write;
    (void)curl_easy_pause(transfer->easy,
                          (transfer->is_read_paused ? CURLPAUSE_SEND : CURLPAUSE_CONT) |
                              (transfer->is_write_paused ? CURLPAUSE_RECV : CURLPAUSE_CONT));
}

void weir__transfer_stop(struct weir__transfer *transfer)
{
    struct weir__lane *lane = transfer->lane;
    if (transfer->is_added) {
        (void)curl_multi_remove_handle(lane->multi, transfer->easy);
        if (transfer->previous != NULL)
            transfer->previous->next = transfer->next;
        else
            lane->transfers = transfer->next;
        if (transfer->next != NULL)
            transfer->next->previous = transfer->previous;
    }
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    transfer->is_added = false;
    transfer->is_done = true;
    transfer->easy = NULL;
    transfer->headers = NULL;
}

/* --- calls of filters ------------------------------------------------------------------------ */

/* Under the chain's lock. */
static const struct weir_upstream_keys *find_upstream(const struct weir__chain *chain,
                                                      const char *name)
{
    const struct weir_server_config *config = &chain->present->config;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, name) == 0)
            return &config->upstreams[i];
    return NULL;
}

static bool begin_call(struct weir__transfer *transfer, const struct weir_upstream_keys *upstream)
{
    struct weir_filter_call *call = transfer->call;
    const char *path = value_of(&call->headers, ":path");
    const char *method = value_of(&call->headers, ":method");
    uint64_t timeout_ns = call->timeout_ns != 0 && call->timeout_ns < upstream->timeout_ns
                              ? call->timeout_ns
                              : upstream->timeout_ns;
    transfer->easy = curl_easy_init();
    bool is_good = transfer->easy != NULL && path != NULL && method != NULL &&
                   weir_cgi_is_token(method, strlen(method)) &&
                   add_headers(transfer, &call->headers);
    if (is_good) {
        set_common(transfer, upstream);
        set_method(transfer, method, call->body.size > 0, call->body.size);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS,
                               (long)((timeout_ns + WEIR_MS_NS - 1) / WEIR_MS_NS));
        is_good = set_url(transfer, upstream->url, path) && add_transfer(transfer);
    }
    return is_good;
}

static void free_call_transfer(struct weir__transfer *transfer)
{
    struct weir_account *account = transfer->lane->server->account;
    weir__transfer_stop(transfer);
    weir_account_free(account, WEIR_KIND_SERVER, transfer, sizeof *transfer);
}

static enum weir_status start_call(struct weir__chain *chain, struct weir_filter_call *call,
                                   struct weir_error *error)
{
    struct weir__lane *lane = weir_filter_vm_data(call->vm);
    const struct weir_upstream_keys *upstream = find_upstream(chain, call->upstream);
    if (upstream == NULL)
        return WEIR_NOT_FOUND;
    if (lane == NULL)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "calls are not possible while the plugin is tried");
    struct weir__transfer *transfer =
        weir_account_alloc(chain->server->account, WEIR_KIND_SERVER, sizeof *transfer, error);
    if (transfer == NULL)
        return WEIR_LIMIT;
    transfer->lane = lane;
    transfer->call = call;
    transfer->body_bytes_max = weir_filter_plugin_config(weir_filter_vm_plugin(call->vm))
                                   ->buffer_bytes_max;
    call->host_data = transfer;
    if (begin_call(transfer, upstream))
        return WEIR_OK;
    free_call_transfer(transfer);
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "the call to %s could not be begun", upstream->name);
}

enum weir_status weir__transfer_call(void *context, struct weir_filter_call *call,
                                     struct weir_error *error)
{
    struct weir__chain *chain = context;
    (void)pthread_mutex_lock(&chain->lock); /* a reload may change its upstreams */
    enum weir_status status = start_call(chain, call, error);
    (void)pthread_mutex_unlock(&chain->lock);
    return status;
}

void weir__transfer_cancel(void *context, struct weir_filter_call *call)
{
    (void)context;
    free_call_transfer(call->host_data);
}

static void finish_call(struct weir__transfer *transfer, CURLcode result)
{
    struct weir_filter_call *call = transfer->call;
    if (result != CURLE_OK) { /* none, or half of one */
        weir_filter_map_clear(&call->answer_headers);
        weir_filter_map_clear(&call->answer_trailers);
        weir_filter_buffer_clear(&call->answer_body);
    }
    free_call_transfer(transfer);
    weir_filter_call_finish(call);
}

/* --- the lane's part ------------------------------------------------------------------------- */

/* The request may be its event loop's at the moment: what it means is said later. */
static void finish_request(struct weir__filtered *filtered, CURLcode result)
{
    filtered->transfer.is_done = true;
    filtered->transfer.result = result;
    filtered->down_end = true;
    filtered->is_dirty = true;
}

void weir__transfer_judge(struct weir__filtered *filtered)
{
    struct weir__transfer *transfer = &filtered->transfer;
    if (!transfer->is_added || !transfer->is_done || transfer->is_judged)
        return;
    transfer->is_judged = true;
    if (transfer->result == CURLE_OK && filtered->has_response_head)
        return;
    const char *name = filtered->route->config->upstream != NULL
                           ? filtered->route->config->upstream->name
                           : "the guest behind the filters";
    bool is_long = transfer->body_bytes > transfer->body_bytes_max;
    if (transfer->result == CURLE_ABORTED_BY_CALLBACK) {
        fail_miscounted(filtered);
    } else if (is_long) {
        filtered->failure.limit = transfer->body_bytes_max;
        weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_OUTPUT,
                            "%s answered with more than limits.output", name);
    } else {
        weir__filtered_fail(filtered, NULL, WEIR__REFUSAL_UPSTREAM, "%s: %s", name,
                            curl_easy_strerror(transfer->result));
    }
}

void weir__lane_curl_ready(struct weir__lane *lane, int fd, uint32_t epoll_events)
{
    int running = 0, what = 0;
    what |= (epoll_events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0;
    what |= (epoll_events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0;
    what |= (epoll_events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0;
    (void)curl_multi_socket_action(lane->multi, fd, what, &running);
}

/* libcurl's sockets, in and out of the lane's epoll. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *of_socket)
{
    struct weir__lane *lane = context;
    (void)easy;
    (void)of_socket;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(lane->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* closed: it is out already */
        return 0;
    }
    struct epoll_event event = {.data.fd = fd};
    event.events |= (what & CURL_POLL_IN) != 0 ? EPOLLIN : 0;
    event.events |= (what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0;
    if (epoll_ctl(lane->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct weir__lane *lane = context;
    (void)multi;
    lane->curl_due_ns =
        timeout_ms < 0 ? UINT64_MAX : weir_clock_ns() + (uint64_t)timeout_ms * WEIR_MS_NS;
    return 0;
}

void weir__lane_curl_run(struct weir__lane *lane)
{
    int running = 0, left = 0;
    if (lane->curl_due_ns <= weir_clock_ns()) {
        lane->curl_due_ns = UINT64_MAX; /* it sets a new time */
        (void)curl_multi_socket_action(lane->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    CURLMsg *message;
    while ((message = curl_multi_info_read(lane->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct weir__transfer *transfer = NULL;
        CURLcode result = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        if (transfer->filtered != NULL)
            finish_request(transfer->filtered, result);
        else
            finish_call(transfer, result);
    }
}

enum weir_status weir__lane_curl_open(struct weir__lane *lane, struct weir_error *error)
{
    const struct weir_server_config *config = lane->server->config;
    long connections = WEIR_SERVER_INNER_CONNECTIONS, most = 0;
    for (size_t i = 0; i < config->upstream_count; i++) {
        connections += (long)config->upstreams[i].connections;
        most = (long)config->upstreams[i].connections > most
                   ? (long)config->upstreams[i].connections
                   : most;
    }
    lane->multi = curl_multi_init();
    if (lane->multi == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for libcurl");
    lane->curl_due_ns = UINT64_MAX;
    (void)curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    (void)curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
    (void)curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
    (void)curl_multi_setopt(lane->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    (void)curl_multi_setopt(lane->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                            most > WEIR_SERVER_INNER_CONNECTIONS
                                ? most
                                : (long)WEIR_SERVER_INNER_CONNECTIONS);
    (void)curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, connections);
    return open_inner(lane, error);
}

void weir__lane_curl_close(struct weir__lane *lane)
{
    WEIR_ASSERT(lane->transfers == NULL);
    (void)curl_multi_cleanup(lane->multi);
    const int fds[] = {lane->inner_fd, lane->inner_path_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    lane->inner_fd = lane->inner_path_fd = -1;
    lane->multi = NULL;
}
