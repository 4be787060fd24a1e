/* Drives a real libwasmvm (CosmWasm's VM as a shared library) and says what it takes of memory.
 *
 * Contracts are stored, used, pinned and unpinned by the commands on stdin, one a line; each
 * answers with one line of JSON: the cache's own figures and the process's private memory. A
 * contract is named by its number. Copies of a contract that differ in a custom section are
 * different contracts to the cache.
 *
 * usage: wasmvm_probe LIBRARY VERSION DATA_DIR MEMORY_CACHE
 *   VERSION: wasmvm's, like 1.5 or 2.2; MEMORY_CACHE in MiB, from 2.2 on in bytes
 * commands: store FILE COPIES | know CHECKSUM (of what another process stored) |
 *           use FIRST COUNT ROUNDS | pin FIRST COUNT | unpin FIRST COUNT | show
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTRACTS_MAX 4096
#define WASM_BYTES_MAX (4u << 20)
#define CHECKSUM_BYTES 32

/* --- the library's interface: layouts as its C header gives them ---------------------------- */

struct view {
    bool is_nil;
    const uint8_t *bytes;
    uintptr_t size;
};
struct vector {
    bool is_none;
    uint8_t *bytes;
    uintptr_t size;
    uintptr_t capacity;
};
struct metrics {
    uint32_t hits_pinned, hits_memory, hits_disk, misses;
    uint64_t pinned_count, memory_count, pinned_bytes, memory_bytes;
};
/* The callbacks a contract would need; ours never gets so far. */
struct store_callbacks {
    void *gas_meter, *state, *functions[4];
};
struct api_callbacks_1 {
    void *state, *functions[2];
};
struct api_callbacks_2 {
    void *state, *functions[3];
};
struct query_callbacks {
    void *state, *functions[1];
};
struct gas_report {
    uint64_t limit, remaining, external, internal;
};

typedef void *init_1(struct view folder, struct view capabilities, uint32_t cache_mib,
                     uint32_t instance_mib, struct vector *error);
typedef void *init_2(struct view config, struct vector *error);
typedef struct vector store_1(void *cache, struct view wasm, bool is_unchecked,
                              struct vector *error);
typedef struct vector store_2(void *cache, struct view wasm, bool is_checked, bool is_kept,
                              struct vector *error);
typedef void pin_function(void *cache, struct view checksum, struct vector *error);
typedef struct metrics metrics_function(void *cache, struct vector *error);
typedef void destroy_function(struct vector vector);
typedef struct vector query_1(void *cache, struct view checksum, struct view env, struct view msg,
                              struct store_callbacks db, struct api_callbacks_1 api,
                              struct query_callbacks querier, uint64_t gas_limit, bool is_debug,
                              struct gas_report *gas, struct vector *error);
typedef struct vector query_2(void *cache, struct view checksum, struct view env, struct view msg,
                              struct store_callbacks db, struct api_callbacks_2 api,
                              struct query_callbacks querier, uint64_t gas_limit, bool is_debug,
                              struct gas_report *gas, struct vector *error);

static struct {
    void *library, *cache;
    unsigned version; /* 15, 22 */
    pin_function *pin, *unpin;
    metrics_function *metrics;
    destroy_function *destroy;
    store_1 *store_1; /* of the pairs one is set, by version */
    store_2 *store_2;
    query_1 *query_1;
    query_2 *query_2;
    uint8_t checksums[CONTRACTS_MAX][CHECKSUM_BYTES];
    size_t count;
} probe;

_Noreturn static void fail(const char *what, const char *detail)
{
    (void)fprintf(stderr, "wasmvm_probe: %s: %s\n", what, detail);
    exit(1);
}

/* `ret_function`: a pointer to a function pointer of the right type. */
static void find(const char *name, void *ret_function)
{
    void *found = dlsym(probe.library, name);
    if (found == NULL)
        fail("the library lacks", name);
    memcpy(ret_function, &found, sizeof found);
}

static struct view text_view(const char *text)
{
    return (struct view){false, (const uint8_t *)text, strlen(text)};
}

static struct view checksum_view(size_t contract)
{
    if (contract >= probe.count)
        fail("no such contract", "store it first");
    return (struct view){false, probe.checksums[contract], CHECKSUM_BYTES};
}

/* Ends the program when the library reported an error. */
static void must(const char *what, struct vector *error)
{
    if (error->is_none || error->size == 0)
        return;
    char text[512];
    (void)snprintf(text, sizeof text, "%.*s", (int)error->size, (const char *)error->bytes);
    fail(what, text);
}

/* --- commands ------------------------------------------------------------------------------- */

static void open_cache(const char *folder, unsigned long long size)
{
    static const char CAPABILITIES[] = "iterator,staking,stargate,cosmwasm_1_1,cosmwasm_1_2,"
                                       "cosmwasm_1_3,cosmwasm_1_4,cosmwasm_2_0,cosmwasm_2_1";
    struct vector error = {.is_none = true};
    if (probe.version >= 22) {
        char config[1024];
        (void)snprintf(config, sizeof config,
                       "{\"wasm_limits\":{},\"cache\":{\"base_dir\":\"%s\","
                       "\"available_capabilities\":[\"iterator\",\"staking\",\"stargate\"],"
                       "\"memory_cache_size_bytes\":%llu,"
                       "\"instance_memory_limit_bytes\":33554432}}",
                       folder, size);
        init_2 *init;
        find("init_cache", &init);
        probe.cache = init(text_view(config), &error);
    } else {
        init_1 *init;
        find("init_cache", &init);
        probe.cache = init(text_view(folder), text_view(CAPABILITIES), (uint32_t)size, 32, &error);
    }
    must("init_cache", &error);
}

static void store_bytes(const uint8_t *wasm, size_t size)
{
    struct vector error = {.is_none = true};
    struct view view = {false, wasm, size};
    struct vector checksum = probe.store_2 != NULL
                                 ? probe.store_2(probe.cache, view, true, true, &error)
                                 : probe.store_1(probe.cache, view, false, &error);
    must("storing a contract", &error);
    if (checksum.size != CHECKSUM_BYTES || probe.count == CONTRACTS_MAX)
        fail("storing a contract", "no checksum, or too many");
    memcpy(probe.checksums[probe.count++], checksum.bytes, CHECKSUM_BYTES);
    probe.destroy(checksum);
}

/* The file, then copies that differ in a custom section at the end. */
static void store(const char *path, unsigned copies)
{
    FILE *file = fopen(path, "rb");
    uint8_t *wasm = malloc(WASM_BYTES_MAX);
    size_t size = file != NULL && wasm != NULL ? fread(wasm, 1, WASM_BYTES_MAX - 16, file) : 0;
    if (size == 0)
        fail("cannot read", path);
    (void)fclose(file);
    for (unsigned i = 0; i < copies; i++) {
        const uint8_t section[] = {0, 4, 1, 'n', (uint8_t)(i & 0xff), (uint8_t)(i >> 8)};
        memcpy(wasm + size, section, sizeof section);
        store_bytes(wasm, i == 0 ? size : size + sizeof section);
    }
    free(wasm);
}

/* A query that is no JSON: the module is loaded and instantiated, the contract answers that it
 * does not understand. */
static void use(size_t contract)
{
    static const char ENV[] =
        "{\"block\":{\"height\":1,\"time\":\"1571797419879305533\",\"chain_id\":\"test\"},"
        "\"transaction\":null,\"contract\":{\"address\":\"cosmwasm1contract\"}}";
    struct store_callbacks db = {0};
    struct query_callbacks querier = {0};
    struct gas_report gas = {0};
    struct vector error = {.is_none = true}, answer;
    const uint64_t limit = UINT64_C(500000000000);
    struct view checksum = checksum_view(contract), env = text_view(ENV), msg = text_view("-");
    if (probe.query_2 != NULL)
        answer = probe.query_2(probe.cache, checksum, env, msg, db, (struct api_callbacks_2){0},
                               querier, limit, false, &gas, &error);
    else
        answer = probe.query_1(probe.cache, checksum, env, msg, db, (struct api_callbacks_1){0},
                               querier, limit, false, &gas, &error);
    must("using a contract", &error);
    if (answer.is_none || answer.size == 0)
        fail("using a contract", "it did not run");
    probe.destroy(answer);
}

static void know(const char *hex)
{
    if (strspn(hex, "0123456789abcdef") != CHECKSUM_BYTES * (size_t)2 ||
        probe.count == CONTRACTS_MAX)
        fail("no checksum, or too many", hex);
    for (size_t i = 0; i < CHECKSUM_BYTES; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], 0};
        probe.checksums[probe.count][i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    probe.count++;
}

static uint64_t private_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    static const char FIELD[] = "Anonymous:";
    char line[256];
    uint64_t total = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, FIELD, sizeof FIELD - 1) == 0)
            total += strtoull(line + sizeof FIELD - 1, NULL, 10);
    if (file != NULL)
        (void)fclose(file);
    return total * 1024;
}

static void show(void)
{
    struct vector error = {.is_none = true};
    struct metrics m = probe.metrics(probe.cache, &error);
    must("get_metrics", &error);
    struct mallinfo2 heap = mallinfo2();
    printf("{\"private\": %llu, \"malloc_live\": %zu, \"contracts\": %zu, "
           "\"hits_pinned\": %u, \"hits_memory\": %u, \"hits_disk\": %u, \"misses\": %u, "
           "\"pinned_count\": %llu, \"memory_count\": %llu, \"pinned_bytes\": %llu, "
           "\"memory_bytes\": %llu}\n",
           (unsigned long long)private_bytes(), heap.uordblks + heap.hblkhd, probe.count,
           m.hits_pinned, m.hits_memory, m.hits_disk, m.misses, (unsigned long long)m.pinned_count,
           (unsigned long long)m.memory_count, (unsigned long long)m.pinned_bytes,
           (unsigned long long)m.memory_bytes);
    (void)fflush(stdout);
}

static void pin_all(pin_function *function, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct vector error = {.is_none = true};
        function(probe.cache, checksum_view(first + i), &error);
        must("pinning", &error);
    }
}

static const char *next_word(char **rest)
{
    const char *word = strsep(rest, " \n");
    if (word == NULL)
        fail("a command is cut short", "say more");
    return word;
}

static unsigned number(char **rest)
{
    const char *word = next_word(rest);
    char *end;
    unsigned long value = strtoul(word, &end, 10);
    if (end == word || *end != 0 || value > UINT16_MAX)
        fail("no number", word);
    return (unsigned)value;
}

static void run(char *line)
{
    const char *command = next_word(&line);
    if (strcmp(command, "store") == 0) {
        const char *path = next_word(&line);
        store(path, number(&line));
    } else if (strcmp(command, "know") == 0) {
        know(next_word(&line));
    } else if (strcmp(command, "use") == 0) {
        unsigned first = number(&line), count = number(&line), rounds = number(&line);
        for (unsigned i = 0; i < rounds * count; i++)
            use(first + i % count);
    } else if (strcmp(command, "pin") == 0 || strcmp(command, "unpin") == 0) {
        unsigned first = number(&line), count = number(&line);
        pin_all(command[0] == 'p' ? probe.pin : probe.unpin, first, count);
    } else if (strcmp(command, "show") != 0) {
        fail("unknown command", command);
    }
    (void)malloc_trim(0); /* what is free is not the cache's */
    show();
}

static void find_all(void)
{
    find("pin", &probe.pin);
    find("unpin", &probe.unpin);
    find("get_metrics", &probe.metrics);
    find("destroy_unmanaged_vector", &probe.destroy);
    if (probe.version >= 20)
        find("query", &probe.query_2);
    else
        find("query", &probe.query_1);
    if (probe.version >= 21)
        find("store_code", &probe.store_2);
    else
        find("save_wasm", &probe.store_1);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        fail("usage", "wasmvm_probe LIBRARY VERSION DATA_DIR MEMORY_CACHE");
    probe.library = dlopen(argv[1], RTLD_NOW);
    if (probe.library == NULL)
        fail("cannot load", dlerror());
    char *minor = NULL;
    probe.version = (unsigned)strtoul(argv[2], &minor, 10) * 10;
    if (*minor != '.')
        fail("no version", argv[2]);
    probe.version += (unsigned)strtoul(minor + 1, NULL, 10);
    find_all();
    open_cache(argv[3], strtoull(argv[4], NULL, 10));
    char line[512];
    while (fgets(line, sizeof line, stdin) != NULL)
        run(line);
    return 0;
}
