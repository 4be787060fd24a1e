/* See cache_modules.h. */
#include "tests/unit/cache/cache_modules.h"

#include "base/check.h"
#include "ledger/mapping.h"

#define WASM_PAGE 65536u

/* Not check's own assertions: benches and demos use this too. */
static void must(enum weir_status status, const struct weir_error *error)
{
    if (status != WEIR_OK)
        (void)fprintf(stderr, "%s: %s\n", weir_status_name(status),
                      error != NULL ? error->message : "");
    WEIR_ASSERT(status == WEIR_OK);
}

struct writer {
    uint8_t *bytes;
    size_t size;
};

static void put(struct writer *writer, const void *bytes, size_t size)
{
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}
#define PUT(writer, ...)                                                                           \
    put((writer), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Five bytes whatever the value, so that sizes are known ahead. */
static void put_u32(struct writer *writer, uint32_t value)
{
    PUT(writer, (uint8_t)(value | 0x80), (uint8_t)(value >> 7 | 0x80),
        (uint8_t)(value >> 14 | 0x80), (uint8_t)(value >> 21 | 0x80), (uint8_t)(value >> 28));
}

/* A signed constant of 28 bits. */
static void put_i32_const(struct writer *writer, uint32_t value)
{
    PUT(writer, 0x41);
    put_u32(writer, value);
}

static void put_data(struct writer *writer, uint32_t number, uint32_t size)
{
    PUT(writer, 0x0b); /* data: one active segment at 0 */
    put_u32(writer, 1 + 1 + 3 + 5 + size);
    PUT(writer, 0x01, 0x00, 0x41, 0x00, 0x0b);
    put_u32(writer, size);
    for (uint32_t i = 0; i < size; i++)
        PUT(writer, (uint8_t)(number * 31 + i * 7 + 1));
}

struct cache_module cache_module_make(uint32_t number, uint32_t data_bytes)
{
    struct writer writer = {.bytes = malloc(data_bytes + 256)};
    WEIR_ASSERT(writer.bytes != NULL);
    PUT(&writer, 0, 'a', 's', 'm', 1, 0, 0, 0);
    PUT(&writer, 0x01, 0x0d, 0x03, 0x60, 0x00, 0x01, 0x7f, 0x60, 0x00, 0x00, 0x60, 0x01, 0x7f, 0x01,
        0x7f);
    PUT(&writer, 0x03, 0x04, 0x03, 0x00, 0x01, 0x02);
    PUT(&writer, 0x05, 0x07, 0x01, 0x00);
    put_u32(&writer, data_bytes / WASM_PAGE + 1);
    PUT(&writer, 0x07, 0x1e, 0x04, 0x06, 'm', 'e', 'm', 'o', 'r', 'y', 0x02, 0x00, 0x03, 'g', 'e',
        't', 0x00, 0x00, 0x04, 't', 'r', 'a', 'p', 0x00, 0x01, 0x04, 'g', 'r', 'o', 'w', 0x00,
        0x02);
    PUT(&writer, 0x0a, 0x15, 0x03);
    PUT(&writer, 0x08, 0x00);
    put_i32_const(&writer, number);
    PUT(&writer, 0x0b, 0x03, 0x00, 0x00, 0x0b, 0x06, 0x00, 0x20, 0x00, 0x40, 0x00, 0x0b);
    if (data_bytes > 0)
        put_data(&writer, number, data_bytes);
    struct cache_module module = {.bytes = writer.bytes, .size = writer.size};
    must(weir_module_identify(module.bytes, module.size, &module.id, NULL), NULL);
    return module;
}

void cache_module_free(struct cache_module *module)
{
    free(module->bytes);
    module->bytes = NULL;
}

struct cache_module *cache_modules_make(uint32_t count, uint32_t data_bytes)
{
    struct cache_module *modules = calloc(count, sizeof *modules);
    WEIR_ASSERT(modules != NULL);
    for (uint32_t i = 0; i < count; i++)
        modules[i] = cache_module_make(i, data_bytes);
    return modules;
}

void cache_modules_free(struct cache_module *modules, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        cache_module_free(&modules[i]);
    free(modules);
}

struct cache_folder cache_folder_new(void)
{
    struct cache_folder folder = {"/tmp/weir-cache-XXXXXX"};
    WEIR_ASSERT(mkdtemp(folder.path) != NULL);
    return folder;
}

void cache_folder_remove(const struct cache_folder *folder)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder->path);
    WEIR_ASSERT(system(command) == 0);
}

struct weir_cache *cache_open(const struct weir_cache_config *config)
{
    struct weir_cache *cache = NULL;
    struct weir_error error = {0};
    must(weir_cache_new(config, &cache, &error), &error);
    return cache;
}

struct weir_module *cache_get(struct weir_cache *cache, struct weir_engine *engine,
                              const struct cache_module *module)
{
    const struct weir_cache_request request = {.engine = engine,
                                               .id = &module->id,
                                               .bytes = module->bytes,
                                               .size = module->size,
                                               .module = {.name = "test"}};
    struct weir_module *loaded = NULL;
    struct weir_error error = {0};
    must(weir_cache_get(cache, &request, &loaded, &error), &error);
    return loaded;
}

static void count_code(void *context, const struct weir_mapping *mapping)
{
    *(size_t *)context += mapping->kind == WEIR_KIND_CODE_MAPPED;
}

size_t cache_mapped_modules(void)
{
    size_t count = 0;
    weir_mapping_walk(count_code, &count);
    return count;
}

struct weir_cache_figures cache_figures(struct weir_cache *cache)
{
    struct weir_cache_figures figures;
    weir_cache_figures(cache, &figures);
    return figures;
}

struct search {
    const struct weir_module_id *id;
    struct weir_cache_entry entry;
};

static bool find(void *context, const struct weir_cache_entry *entry)
{
    struct search *search = context;
    if (memcmp(entry->id.sha256, search->id->sha256, 32) != 0)
        return true;
    search->entry = *entry;
    return false;
}

struct weir_cache_entry cache_entry(struct weir_cache *cache, const struct cache_module *module)
{
    struct search search = {.id = &module->id};
    weir_cache_walk(cache, find, &search);
    return search.entry;
}
