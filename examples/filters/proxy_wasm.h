/* proxy-wasm 0.2.1 for filters in C: what the host offers, and an allocator that cannot leak.
 *
 * The host asks the plugin for memory for each header map and body that it hands over, and never
 * gives any back. Here such memory comes from one arena, which is empty again when a callback
 * begins: whoever wants to keep something copies it. Call pw_begin() first in every callback. With
 * PW_OWN_ALLOCATOR defined the plugin exports proxy_on_memory_allocate itself.
 *
 * Compile: clang --target=wasm32-wasi -mexec-model=reactor -O2 filter.c
 */
#ifndef PROXY_WASM_H
#define PROXY_WASM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PW_EXPORT(name) __attribute__((export_name(#name), visibility("default")))
#define PW_IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

enum { PW_OK = 0, PW_NOT_FOUND = 1, PW_BAD_ARGUMENT = 2 };
enum { PW_CONTINUE = 0, PW_PAUSE = 1 };
enum { PW_REQUEST = 0, PW_RESPONSE = 1 };
enum { PW_REQUEST_BODY = 0, PW_RESPONSE_BODY = 1, PW_CALL_BODY = 4, PW_PLUGIN_CONFIG = 7 };
enum { PW_REQUEST_HEADERS = 0, PW_REQUEST_TRAILERS = 1, PW_RESPONSE_HEADERS = 2 };
enum { PW_RESPONSE_TRAILERS = 3, PW_CALL_HEADERS = 6 };
enum { PW_INFO = 2, PW_WARN = 3, PW_ERROR = 4 };

typedef const char *pw_text;
typedef char **pw_out;
typedef size_t pw_size;

PW_IMPORT(proxy_log) int proxy_log(int level, pw_text text, pw_size size);
PW_IMPORT(proxy_get_buffer_bytes)
int proxy_get_buffer_bytes(int type, uint32_t start, uint32_t max, pw_out to, pw_size *size);
PW_IMPORT(proxy_set_buffer_bytes)
int proxy_set_buffer_bytes(int type, uint32_t start, uint32_t cut, pw_text text, pw_size size);
PW_IMPORT(proxy_get_header_map_value)
int proxy_get_header_map_value(int map, pw_text name, pw_size size, pw_out to, pw_size *to_size);
PW_IMPORT(proxy_get_header_map_pairs)
int proxy_get_header_map_pairs(int map, pw_out to, pw_size *to_size);
PW_IMPORT(proxy_set_header_map_pairs)
int proxy_set_header_map_pairs(int map, const void *pairs, pw_size size);
PW_IMPORT(proxy_add_header_map_value)
int proxy_add_header_map_value(int map, pw_text name, pw_size size, pw_text value, pw_size vsize);
PW_IMPORT(proxy_replace_header_map_value)
int proxy_replace_header_map_value(int map, pw_text name, pw_size size, pw_text value,
                                   pw_size vsize);
PW_IMPORT(proxy_remove_header_map_value)
int proxy_remove_header_map_value(int map, pw_text name, pw_size size);
PW_IMPORT(proxy_continue_stream) int proxy_continue_stream(int direction);
PW_IMPORT(proxy_close_stream) int proxy_close_stream(int direction);
PW_IMPORT(proxy_send_local_response)
int proxy_send_local_response(uint32_t code, pw_text details, pw_size dsize, pw_text body,
                              pw_size bsize, const void *headers, pw_size hsize, int grpc_status);
PW_IMPORT(proxy_http_call)
int proxy_http_call(pw_text upstream, pw_size usize, const void *headers, pw_size hsize,
                    pw_text body, pw_size bsize, const void *trailers, pw_size tsize,
                    uint32_t timeout_ms, uint32_t *id);
PW_IMPORT(proxy_set_effective_context) int proxy_set_effective_context(uint32_t context);
PW_IMPORT(proxy_done) int proxy_done(void);
PW_IMPORT(proxy_set_tick_period_milliseconds) int proxy_set_tick_period_milliseconds(uint32_t ms);
PW_IMPORT(proxy_get_property)
int proxy_get_property(pw_text path, pw_size size, pw_out to, pw_size *to_size);
PW_IMPORT(proxy_set_property)
int proxy_set_property(pw_text path, pw_size size, pw_text value, pw_size vsize);
PW_IMPORT(proxy_get_shared_data)
int proxy_get_shared_data(pw_text key, pw_size size, pw_out to, pw_size *to_size, uint32_t *cas);
PW_IMPORT(proxy_set_shared_data)
int proxy_set_shared_data(pw_text key, pw_size size, pw_text value, pw_size vsize, uint32_t cas);
PW_IMPORT(proxy_register_shared_queue)
int proxy_register_shared_queue(pw_text name, pw_size size, uint32_t *id);
PW_IMPORT(proxy_enqueue_shared_queue)
int proxy_enqueue_shared_queue(uint32_t id, pw_text text, pw_size size);
PW_IMPORT(proxy_dequeue_shared_queue)
int proxy_dequeue_shared_queue(uint32_t id, pw_out to, pw_size *to_size);
PW_IMPORT(proxy_define_metric)
int proxy_define_metric(int type, pw_text name, pw_size size, uint32_t *id);
PW_IMPORT(proxy_record_metric) int proxy_record_metric(uint32_t id, uint64_t value);
PW_IMPORT(proxy_increment_metric) int proxy_increment_metric(uint32_t id, int64_t by);
PW_IMPORT(proxy_get_metric) int proxy_get_metric(uint32_t id, uint64_t *value);

/* --- the arena ------------------------------------------------------------------------------- */

/* Behind everything that the compiler laid out; it grows with the largest callback and is used
 * again by all others. */
extern unsigned char __heap_base;
static size_t pw_used;

static inline void pw_begin(void)
{
    pw_used = 0;
}

static inline void *pw_allocate(size_t size)
{
    size_t begin = ((size_t)&__heap_base + pw_used + 15) & ~(size_t)15;
    size_t end = begin + size;
    size_t have = (size_t)__builtin_wasm_memory_size(0) << 16;
    if (end < begin)
        return NULL;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (size_t)-1)
        return NULL;
    pw_used = end - (size_t)&__heap_base;
    return (void *)begin;
}

#ifndef PW_OWN_ALLOCATOR
PW_EXPORT(proxy_on_memory_allocate) void *proxy_on_memory_allocate(size_t size)
{
    return pw_allocate(size);
}
#endif

PW_EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1(void) {}

/* --- texts ----------------------------------------------------------------------------------- */

struct pw_string {
    char *bytes;
    size_t size;
};

static inline struct pw_string pw_header(int map, const char *name)
{
    struct pw_string value = {NULL, 0};
    if (proxy_get_header_map_value(map, name, strlen(name), &value.bytes, &value.size) != PW_OK)
        value.size = 0;
    return value;
}

static inline struct pw_string pw_buffer(int type, size_t size)
{
    struct pw_string value = {NULL, 0};
    if (size > 0 && proxy_get_buffer_bytes(type, 0, size, &value.bytes, &value.size) != PW_OK)
        value.size = 0;
    return value;
}

static inline int pw_is(struct pw_string text, const char *other)
{
    return text.size == strlen(other) && memcmp(text.bytes, other, text.size) == 0;
}

static inline void pw_add_header(int map, const char *name, const char *value)
{
    (void)proxy_add_header_map_value(map, name, strlen(name), value, strlen(value));
}

static inline void pw_say(int level, const char *text)
{
    (void)proxy_log(level, text, strlen(text));
}

/* Header maps as the host reads them, from `count` pairs of C strings. */
static inline struct pw_string pw_pairs(const char *const (*pairs)[2], uint32_t count)
{
    size_t size = 4;
    for (uint32_t i = 0; i < count; i++)
        size += 10 + strlen(pairs[i][0]) + strlen(pairs[i][1]);
    char *bytes = pw_allocate(size), *at = bytes + 4 + 8 * (size_t)count;
    if (bytes == NULL)
        return (struct pw_string){NULL, 0};
    memcpy(bytes, &count, 4);
    for (uint32_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 2; k++) {
            uint32_t part = (uint32_t)strlen(pairs[i][k]);
            memcpy(bytes + 4 + 8 * i + 4 * k, &part, 4);
            memcpy(at, pairs[i][k], part + 1);
            at += part + 1;
        }
    return (struct pw_string){bytes, size};
}

#endif
