/* A filter that does what the header x-do of a request says, and tells in x-result how it went.
 * The plugin's configuration says what becomes of bodies: "upper", "hold", "sum" (held back to the
 * end, then read as a whole and replaced by its size and a sum), "double", "keep", "none". */
#include "../../examples/filters/proxy_wasm.h"

#define KEPT_MAX 65536

static char mode[32];
static uint32_t calls[1024]; /* id of a call → context that waits for it */
static uint32_t call_ids[1024];
static uint32_t root;
static unsigned char *kept[KEPT_MAX];
static unsigned kept_count;
static uint32_t ticks, lingering;

static size_t write_number(char *to, uint32_t number)
{
    char text[12], *at = text + sizeof text;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    size_t size = (size_t)(text + sizeof text - at);
    memcpy(to, at, size);
    return size;
}

static void tell(const char *name, uint32_t number)
{
    char text[12];
    (void)proxy_add_header_map_value(PW_REQUEST_HEADERS, name, strlen(name), text,
                                     write_number(text, number));
}

static int start_call(uint32_t context, const char *path, uint32_t timeout_ms)
{
    const char *const pairs[][2] = {
        {":method", "GET"}, {":path", path}, {":authority", "up.example"}, {"x-from", "probe"}};
    struct pw_string headers = pw_pairs(pairs, 4);
    uint32_t id = 0;
    int status = proxy_http_call("up", 2, headers.bytes, headers.size, "hello", 5, NULL, 0,
                                 timeout_ms, &id);
    if (status == PW_OK) {
        call_ids[id % 1024] = id;
        calls[id % 1024] = context;
    }
    return status;
}

/* --- what x-do may say ----------------------------------------------------------------------- */

static int do_add(uint32_t context)
{
    (void)context;
    pw_add_header(PW_REQUEST_HEADERS, "X-Probe", "one");
    (void)proxy_replace_header_map_value(PW_REQUEST_HEADERS, "x-old", 5, "new", 3);
    (void)proxy_remove_header_map_value(PW_REQUEST_HEADERS, "x-gone", 6);
    return PW_CONTINUE;
}

static int do_spoof(uint32_t context) /* a field that the host sends to its guests itself */
{
    (void)context;
    pw_add_header(PW_REQUEST_HEADERS, "x-weir-client", "6.6.6.6");
    return PW_CONTINUE;
}

static int do_pause(uint32_t context)
{
    (void)context;
    return PW_PAUSE;
}

static int do_local(uint32_t context)
{
    (void)context;
    const char *const pairs[][2] = {{"x-local", "yes"}};
    struct pw_string headers = pw_pairs(pairs, 1);
    tell("x-result", (uint32_t)proxy_send_local_response(403, "no", 2, "forbidden\n", 10,
                                                         headers.bytes, headers.size, -1));
    return PW_PAUSE;
}

static int do_call(uint32_t context)
{
    int status = start_call(context, "/path", 60000);
    tell("x-result", (uint32_t)status);
    return status == PW_OK ? PW_PAUSE : PW_CONTINUE;
}

static int do_call_drop(uint32_t context) /* the upstream closes without an answer */
{
    return start_call(context, "/drop", 5000) == PW_OK ? PW_PAUSE : PW_CONTINUE;
}

static int do_call_late(uint32_t context) /* the upstream takes longer than the call may */
{
    return start_call(context, "/late", 20) == PW_OK ? PW_PAUSE : PW_CONTINUE;
}

static int do_call_go(uint32_t context) /* the stream is gone when the answer comes */
{
    (void)start_call(context, "/wait", 5000);
    return do_local(context);
}

static int do_trap(uint32_t context)
{
    (void)context;
    __builtin_trap();
}

static int do_loop(uint32_t context)
{
    for (volatile uint32_t i = context;; i++)
        ;
}

static int recurse(volatile uint32_t *depth)
{
    volatile uint32_t deeper = *depth + 1;
    if (deeper == 0)
        return 0;
    return recurse(&deeper) + (int)*depth;
}

static int do_recurse(uint32_t context)
{
    volatile uint32_t depth = context;
    return recurse(&depth);
}

static int do_grow(uint32_t context)
{
    (void)context;
    tell("x-result", (uint32_t)(__builtin_wasm_memory_grow(0, 16384) == (size_t)-1));
    return PW_CONTINUE;
}

static int do_shared(uint32_t context)
{
    (void)context;
    struct pw_string value = {NULL, 0};
    uint32_t cas = 0;
    int first = proxy_get_shared_data("key", 3, &value.bytes, &value.size, &cas);
    int set = proxy_set_shared_data("key", 3, "one", 3, cas);
    (void)proxy_get_shared_data("key", 3, &value.bytes, &value.size, &cas);
    int right = proxy_set_shared_data("key", 3, "two", 3, cas);
    int stale = proxy_set_shared_data("key", 3, "three", 5, cas);
    (void)proxy_get_shared_data("key", 3, &value.bytes, &value.size, &cas);
    tell("x-first", (uint32_t)first);
    tell("x-set", (uint32_t)set);
    tell("x-right", (uint32_t)right);
    tell("x-stale", (uint32_t)stale);
    (void)proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-value", 7, value.bytes, value.size);
    return PW_CONTINUE;
}

static int do_fill(uint32_t context) /* shared data until it is refused */
{
    (void)context;
    static char big[65536];
    uint32_t done = 0;
    while (done < 100000 && proxy_set_shared_data((const char *)&done, 4, big, sizeof big, 0) == 0)
        done++;
    tell("x-result", done);
    return PW_CONTINUE;
}

static int do_queue(uint32_t context)
{
    (void)context;
    uint32_t id = 0;
    struct pw_string text = {NULL, 0};
    (void)proxy_register_shared_queue("q", 1, &id);
    tell("x-put", (uint32_t)proxy_enqueue_shared_queue(id, "message", 7));
    tell("x-got", (uint32_t)proxy_dequeue_shared_queue(id, &text.bytes, &text.size));
    (void)proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-message", 9, text.bytes, text.size);
    tell("x-empty", (uint32_t)proxy_dequeue_shared_queue(id, &text.bytes, &text.size));
    (void)proxy_enqueue_shared_queue(id, "later", 5);
    return PW_CONTINUE;
}

static int do_metric(uint32_t context)
{
    (void)context;
    uint32_t counter = 0, gauge = 0;
    uint64_t value = 0;
    (void)proxy_define_metric(0, "requests", 8, &counter);
    (void)proxy_define_metric(1, "depth", 5, &gauge);
    (void)proxy_increment_metric(counter, 3);
    (void)proxy_record_metric(gauge, 7);
    tell("x-recorded", (uint32_t)proxy_record_metric(counter, 1));
    tell("x-bad", (uint32_t)proxy_define_metric(1, "requests", 8, &gauge));
    (void)proxy_get_metric(counter, &value);
    tell("x-counter", (uint32_t)value);
    (void)proxy_get_metric(gauge, &value);
    tell("x-gauge", (uint32_t)value);
    tell("x-forged", (uint32_t)proxy_get_metric(4000, &value));
    return PW_CONTINUE;
}

static int do_property(uint32_t context)
{
    (void)context;
    struct pw_string text = {NULL, 0};
    (void)proxy_set_property("mine", 4, "kept", 4);
    (void)proxy_get_property("mine", 4, &text.bytes, &text.size);
    (void)proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-mine", 6, text.bytes, text.size);
    static const char path[] = "request\0url_path";
    (void)proxy_get_property(path, sizeof path - 1, &text.bytes, &text.size);
    (void)proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-path", 6, text.bytes, text.size);
    (void)proxy_get_property("plugin_root_id", 14, &text.bytes, &text.size);
    (void)proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-root", 6, text.bytes, text.size);
    static const char port[] = "source\0port";
    (void)proxy_get_property(port, sizeof port - 1, &text.bytes, &text.size);
    tell("x-port", text.size == 8 ? *(uint32_t *)(void *)text.bytes : 0);
    tell("x-none", (uint32_t)proxy_get_property("nothing", 7, &text.bytes, &text.size));
    return PW_CONTINUE;
}

/* Everything a host must refuse, one bit for each that it did. */
static int do_hostile(uint32_t context)
{
    static char huge[2 << 20];
    uint32_t word = 0, refused = 0, bit = 0;
    struct pw_string text;
    char *far = (char *)0xfffffff0u;
#define REFUSED(x) refused |= (uint32_t)((x) != PW_OK) << bit++
    uint32_t pairs = 2000;
    memcpy(huge, &pairs, 4);
    REFUSED(proxy_set_header_map_pairs(PW_REQUEST_HEADERS, huge, sizeof huge));
    REFUSED(proxy_set_header_map_pairs(PW_REQUEST_HEADERS, huge, 100000));
    REFUSED(proxy_add_header_map_value(PW_REQUEST_HEADERS, "a", 1, huge, sizeof huge));
    REFUSED(proxy_add_header_map_value(PW_REQUEST_HEADERS, "a", 1, "b\r\nc: d", 7));
    REFUSED(proxy_add_header_map_value(PW_REQUEST_HEADERS, far, 64, "b", 1));
    REFUSED(proxy_add_header_map_value(99, "a", 1, "b", 1));
    REFUSED(proxy_add_header_map_value(PW_RESPONSE_HEADERS, "a", 1, "b", 1));
    REFUSED(proxy_add_header_map_value(PW_CALL_HEADERS, "a", 1, "b", 1));
    REFUSED(proxy_set_effective_context(context + 1000));
    REFUSED(proxy_set_effective_context(0xffffffffu));
    REFUSED(proxy_continue_stream(77));
    REFUSED(proxy_get_buffer_bytes(PW_REQUEST_BODY, 0, 10, (pw_out)far, &text.size));
    REFUSED(proxy_get_buffer_bytes(PW_CALL_BODY, 0, 10, &text.bytes, &text.size));
    REFUSED(proxy_get_buffer_bytes(55, 0, 10, &text.bytes, &text.size));
    REFUSED(proxy_http_call(far, 100, NULL, 0, NULL, 0, NULL, 0, 0, &word));
    REFUSED(proxy_http_call("up", 2, huge, 100, NULL, 0, NULL, 0, 0, &word));
    REFUSED(proxy_http_call("nowhere", 7, NULL, 0, NULL, 0, NULL, 0, 0, &word));
    REFUSED(proxy_send_local_response(7, NULL, 0, NULL, 0, NULL, 0, -1));
    REFUSED(proxy_done());
    REFUSED(proxy_dequeue_shared_queue(999, &text.bytes, &text.size));
    REFUSED(proxy_set_shared_data("k", 1, huge, sizeof huge, 0));
    REFUSED(proxy_set_property("", 0, "", 0));
    (void)proxy_set_effective_context(context);
    tell("x-result", refused);
    tell("x-asked", bit);
    return PW_CONTINUE;
}

static int do_linger(uint32_t context)
{
    lingering = context;
    (void)proxy_set_tick_period_milliseconds(1);
    return PW_CONTINUE;
}

static int do_close(uint32_t context)
{
    (void)context;
    (void)proxy_close_stream(PW_REQUEST);
    return PW_PAUSE;
}

static const struct {
    const char *name;
    int (*run)(uint32_t context);
} deeds[] = {
    {"add", do_add},       {"pause", do_pause},       {"local", do_local},   {"call", do_call},
    {"trap", do_trap},     {"loop", do_loop},         {"recurse", do_recurse}, {"grow", do_grow},
    {"shared", do_shared}, {"fill", do_fill},         {"queue", do_queue},   {"metric", do_metric},
    {"property", do_property}, {"hostile", do_hostile}, {"linger", do_linger}, {"close", do_close},
    {"call-drop", do_call_drop}, {"call-late", do_call_late}, {"call-go", do_call_go},
    {"spoof", do_spoof},
};

/* --- callbacks ------------------------------------------------------------------------------- */

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t context, uint32_t parent)
{
    pw_begin();
    if (parent == 0)
        root = context;
}

PW_EXPORT(proxy_on_vm_start) int on_vm_start(uint32_t context, uint32_t size)
{
    (void)context, (void)size;
    return 1;
}

PW_EXPORT(proxy_on_configure) int on_configure(uint32_t context, uint32_t size)
{
    (void)context;
    pw_begin();
    struct pw_string text = pw_buffer(PW_PLUGIN_CONFIG, size);
    if (pw_is(text, "refuse"))
        return 0;
    if (pw_is(text, "trap"))
        __builtin_trap();
    memcpy(mode, text.bytes, text.size < sizeof mode ? text.size : sizeof mode - 1);
    return 1;
}

PW_EXPORT(proxy_on_request_headers) int on_request_headers(uint32_t context, int count, int end)
{
    (void)count, (void)end;
    pw_begin();
    struct pw_string what = pw_header(PW_REQUEST_HEADERS, "x-do");
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        if (pw_is(what, deeds[i].name))
            return deeds[i].run(context);
    return PW_CONTINUE;
}

static int sum_body(int type, uint32_t size)
{
    struct pw_string body = pw_buffer(type, size);
    uint32_t sum = 0;
    char text[32];
    for (size_t i = 0; i < body.size; i++)
        sum = sum * 31 + (unsigned char)body.bytes[i];
    size_t used = write_number(text, body.size);
    text[used++] = ' ';
    used += write_number(text + used, sum);
    (void)proxy_set_buffer_bytes(type, 0, size, text, used);
    return PW_CONTINUE;
}

static int on_body(int type, uint32_t size, int end)
{
    pw_begin();
    if (strcmp(mode, "sum") == 0 && type == PW_REQUEST_BODY)
        return end ? sum_body(type, size) : PW_PAUSE;
    if (strcmp(mode, "hold") == 0)
        return end ? PW_CONTINUE : PW_PAUSE;
    if (strcmp(mode, "double") == 0 && type == PW_REQUEST_BODY && size > 0) {
        struct pw_string piece = pw_buffer(type, size);
        (void)proxy_set_buffer_bytes(type, size, 0, piece.bytes, piece.size);
    }
    if (strcmp(mode, "none") == 0 || strcmp(mode, "double") == 0 || size == 0)
        return PW_CONTINUE;
    struct pw_string body = pw_buffer(type, size);
    if (strcmp(mode, "keep") == 0 && kept_count < KEPT_MAX) { /* grows for ever */
        size_t pages = (body.size + 65535) >> 16;
        size_t at = __builtin_wasm_memory_grow(0, pages);
        if (at == (size_t)-1)
            __builtin_trap();
        kept[kept_count++] = (unsigned char *)(at << 16);
        memcpy(kept[kept_count - 1], body.bytes, body.size);
    }
    if (strcmp(mode, "upper") == 0) {
        for (size_t i = 0; i < body.size; i++)
            if (body.bytes[i] >= 'a' && body.bytes[i] <= 'z')
                body.bytes[i] -= 32;
        (void)proxy_set_buffer_bytes(type, 0, size, body.bytes, body.size);
    }
    return PW_CONTINUE;
}

PW_EXPORT(proxy_on_request_body) int on_request_body(uint32_t context, uint32_t size, int end)
{
    (void)context;
    return on_body(PW_REQUEST_BODY, size, end);
}

PW_EXPORT(proxy_on_response_headers) int on_response_headers(uint32_t context, int count, int end)
{
    (void)context, (void)count, (void)end;
    pw_begin();
    pw_add_header(PW_RESPONSE_HEADERS, "x-filtered", "probe");
    return PW_CONTINUE;
}

PW_EXPORT(proxy_on_response_body) int on_response_body(uint32_t context, uint32_t size, int end)
{
    (void)context;
    return on_body(PW_RESPONSE_BODY, size, end);
}

PW_EXPORT(proxy_on_http_call_response)
void on_call_response(uint32_t context, uint32_t id, int headers, uint32_t size, int trailers)
{
    (void)trailers;
    pw_begin();
    if (context != root || call_ids[id % 1024] != id)
        __builtin_trap(); /* told twice, or of a call that never was */
    call_ids[id % 1024] = 0;
    struct pw_string body = pw_buffer(PW_CALL_BODY, size);
    struct pw_string status = {NULL, 0};
    if (headers > 0)
        status = pw_header(PW_CALL_HEADERS, ":status");
    if (proxy_set_effective_context(calls[id % 1024]) != PW_OK)
        return; /* the stream is gone */
    (void)proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-call", 6, status.bytes, status.size);
    tell("x-call-body", body.size);
    (void)proxy_continue_stream(PW_REQUEST);
}

PW_EXPORT(proxy_on_tick) void on_tick(uint32_t context)
{
    (void)context;
    pw_begin();
    ticks++;
    if (lingering != 0 && proxy_set_effective_context(lingering) == PW_OK)
        (void)proxy_done();
    lingering = 0;
    pw_say(PW_INFO, "tick");
}

PW_EXPORT(proxy_on_queue_ready) void on_queue_ready(uint32_t context, uint32_t id)
{
    (void)context;
    pw_begin();
    struct pw_string text = {NULL, 0};
    if (proxy_dequeue_shared_queue(id, &text.bytes, &text.size) == PW_OK)
        (void)proxy_log(PW_INFO, text.bytes, text.size);
}

PW_EXPORT(proxy_on_done) int on_done(uint32_t context)
{
    return context != lingering;
}

PW_EXPORT(proxy_on_log) void on_log(uint32_t context)
{
    (void)context;
    pw_begin();
    struct pw_string what = pw_header(PW_REQUEST_HEADERS, "x-do");
    if (what.size > 0)
        (void)proxy_log(PW_INFO, what.bytes, what.size);
}

PW_EXPORT(proxy_on_delete) void on_delete(uint32_t context)
{
    (void)context;
}
