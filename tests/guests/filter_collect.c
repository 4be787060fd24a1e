/* A filter that keeps the last sixteen bodies, in memory that is handed out in one of three ways
 * (the plugin's configuration): "arena" (what is kept is copied), "conservative" and "atomic": a
 * mark-and-sweep collector over blocks of one size class, which either takes every word of a body
 * for a possible pointer into a block, or knows that bodies hold none. It also exports malloc, from
 * which nothing ever comes back. */
#define PW_OWN_ALLOCATOR
#include "../../examples/filters/proxy_wasm.h"

#define BLOCK_BYTES (112u << 10) /* one body of 100 KiB */
#define BLOCKS_MAX 4000
#define KEPT 16

static enum { ARENA, CONSERVATIVE, ATOMIC } mode;
static unsigned char *heap, *bump;
static unsigned char state[BLOCKS_MAX]; /* 0 free, 1 used, 2 marked */
static unsigned short pending[BLOCKS_MAX];
static unsigned block_count, pending_count, threshold = 32;
static unsigned char *kept[KEPT];
static unsigned next_kept;
static unsigned char copies[KEPT][BLOCK_BYTES];

static unsigned char *grow(size_t bytes)
{
    size_t page = __builtin_wasm_memory_grow(0, (bytes + 65535) >> 16);
    return page == (size_t)-1 ? NULL : (unsigned char *)(page << 16);
}

/* Interior pointers count, as with most conservative collectors. */
static void mark(size_t word)
{
    if (word < (size_t)heap || word >= (size_t)heap + (size_t)block_count * BLOCK_BYTES)
        return;
    unsigned block = (unsigned)((word - (size_t)heap) / BLOCK_BYTES);
    if (state[block] == 1) {
        state[block] = 2;
        pending[pending_count++] = (unsigned short)block;
    }
}

static void collect(void)
{
    unsigned live = 0;
    for (unsigned i = 0; i < KEPT; i++)
        mark((size_t)kept[i]);
    while (pending_count > 0) {
        size_t *words = (size_t *)(heap + (size_t)pending[--pending_count] * BLOCK_BYTES);
        for (size_t i = 0; mode == CONSERVATIVE && i < BLOCK_BYTES / sizeof *words; i++)
            mark(words[i]);
    }
    for (unsigned i = 0; i < block_count; i++) {
        state[i] = state[i] == 2 ? 1 : 0;
        live += state[i];
    }
    threshold = live + live / 2 + 16;
}

static void *take_block(void)
{
    unsigned used = 0;
    for (unsigned i = 0; i < block_count; i++)
        used += state[i];
    if (used >= threshold)
        collect();
    for (unsigned i = 0; i < block_count; i++)
        if (state[i] == 0) {
            state[i] = 1;
            return heap + (size_t)i * BLOCK_BYTES;
        }
    unsigned more = 16;
    if (block_count + more > BLOCKS_MAX)
        return NULL;
    unsigned char *fresh = grow((size_t)more * BLOCK_BYTES);
    if (fresh == NULL)
        return NULL;
    if (heap == NULL)
        heap = fresh;
    block_count += more;
    state[block_count - more] = 1;
    return heap + (size_t)(block_count - more) * BLOCK_BYTES;
}

/* For C code, says the collector: what it hands out, it never looks at again. */
PW_EXPORT(malloc) void *exported_malloc(size_t size)
{
    if (bump == NULL || ((size_t)bump & 0xffff) + size > 0x10000) {
        bump = grow(size);
        if (bump == NULL)
            return NULL;
    }
    unsigned char *at = bump;
    bump += (size + 15) & ~(size_t)15;
    if (((size_t)bump & 0xffff) == 0)
        bump = NULL;
    return at;
}

static unsigned char arena[BLOCK_BYTES];

PW_EXPORT(proxy_on_memory_allocate) void *allocate(size_t size)
{
    if (size > BLOCK_BYTES)
        return NULL;
    return mode == ARENA || size < 1024 ? arena : take_block();
}

PW_EXPORT(proxy_on_configure) int on_configure(uint32_t context, uint32_t size)
{
    (void)context;
    struct pw_string text = pw_buffer(PW_PLUGIN_CONFIG, size);
    mode = pw_is(text, "conservative") ? CONSERVATIVE : pw_is(text, "atomic") ? ATOMIC : ARENA;
    return 1;
}

PW_EXPORT(proxy_on_response_body) int on_response_body(uint32_t context, uint32_t size, int end)
{
    (void)context, (void)end;
    struct pw_string body = pw_buffer(PW_RESPONSE_BODY, size);
    unsigned char *keep = (unsigned char *)body.bytes;
    if (mode == ARENA && body.size <= BLOCK_BYTES) {
        memcpy(copies[next_kept], body.bytes, body.size);
        keep = copies[next_kept];
    }
    kept[next_kept] = keep;
    next_kept = (next_kept + 1) % KEPT;
    return PW_CONTINUE;
}
