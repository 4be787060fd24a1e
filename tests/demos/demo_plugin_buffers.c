/* `script/demo plugin-buffers`: plugins that grow with every body, and why.
 *
 * A gateway hands a plugin the body of each answer: it asks the plugin for memory, copies the body
 * there, and by the ABI never frees it. What becomes of that memory is the plugin's affair. Bodies
 * of random bytes, gzip, CJK, ASCII, small integers go through one plugin in four ways:
 *
 *   malloc        the plugin exports malloc, the host prefers it as Envoy does: nobody frees
 *   conservative  memory from proxy_on_memory_allocate, collected by a collector that takes any
 *                 word of a buffer for a pointer: what random bytes look like pointers to stays
 *   atomic        the same collector, told that buffers hold no pointers
 *   arena         one region, empty again when the next callback begins
 *
 * Then a plugin that keeps every body on purpose, under a limit: it is named, refused or recycled,
 * and the plugin beside it goes on. Exits with 1 when one of them does not do what is said here.
 *
 * usage: demo_plugin_buffers [BODIES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <weir/weir.h>

#include "base/check.h"
#include "base/sizes.h"
#include "tests/unit/filter/filter_case.h"

#define BODY_BYTES (100u << 10)
#define KINDS 5

static struct weir_engine *engine;
static uint8_t bodies[KINDS][BODY_BYTES];
static const char *const kinds[KINDS] = {"random", "gzip", "CJK", "ASCII", "integers"};

static uint32_t next_random(void)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 32);
}

/* New bytes of each kind for each request, as a gateway sees them. */
static const uint8_t *body_of(unsigned kind)
{
    uint8_t *to = bodies[kind];
    static uint8_t words[4 * BODY_BYTES];
    uLongf packed = BODY_BYTES;
    for (uint32_t i = 0; i < BODY_BYTES / 4; i++) {
        uint32_t r = next_random();
        switch (kind) {
        case 0:
            memcpy(to + 4 * i, &r, 4);
            break;
        case 2:
            to[4 * i] = to[4 * i + 3] = 0xe4; /* three bytes a character, the first of them again */
            to[4 * i + 1] = (uint8_t)(0x80 | (r & 0x3f));
            to[4 * i + 2] = (uint8_t)(0x80 | (r >> 8 & 0x3f));
            break;
        case 3:
            for (unsigned k = 0; k < 4; k++)
                to[4 * i + k] = (uint8_t)(0x20 + (r >> 8 * k) % 0x5f);
            break;
        default:
            r %= 8000000;
            memcpy(to + 4 * i, &r, 4);
        }
    }
    if (kind != 1)
        return to;
    for (size_t i = 0; i < sizeof words; i++)
        words[i] = (uint8_t)("abcdefgh ,.ijk"[next_random() % 14]);
    (void)compress2(to, &packed, words, sizeof words, 1);
    return to;
}

static void need(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "demo_plugin_buffers: %s\n", error->message);
    exit(1);
}

/* One answer through the plugin. */
static enum weir_status pass(struct filter_case *c, const uint8_t *body, struct weir_error *error)
{
    enum weir_status status = filter_case_begin(c, NULL, error);
    if (status == WEIR_OK)
        status = weir_filter_buffer_append(
            weir_filter_stream_buffer(c->stream, WEIR_FILTER_RESPONSE), body, BODY_BYTES, error);
    if (status == WEIR_OK)
        status = filter_case_event(c, WEIR_FILTER_ON_RESPONSE_BODY, true, error);
    enum weir_status ended = filter_case_end(c, status == WEIR_OK ? error : NULL);
    return status != WEIR_OK ? status : ended;
}

struct row {
    const char *configuration;
    bool prefers_malloc;
    uint64_t linear[KINDS];
    unsigned done[KINDS];
};

/* Linear memory after so many bodies of one kind, each in a fresh VM. */
static void run(struct row *row, struct weir_module *module, unsigned count)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct filter_case c = {.engine = engine, .module = module};
        struct weir_filter_config config = filter_case_config(&c, row->configuration);
        struct weir_error error = {0};
        config.prefers_malloc = row->prefers_malloc;
        config.memory_bytes_max = UINT64_C(512) << 20;
        config.time_ns = UINT64_C(30000000000);
        need(filter_case_open(&c, &config, &error), &error);
        enum weir_status status = WEIR_OK;
        for (unsigned i = 0; i < count && status == WEIR_OK; i++) {
            status = pass(&c, body_of(kind), &error);
            row->done[kind] += status == WEIR_OK;
            row->linear[kind] = weir_filter_vm_linear_bytes(c.vm);
        }
        weir_error_done(&error);
        filter_case_close(&c);
    }
}

static void print_rows(const struct row *rows, unsigned count, unsigned bodies_each)
{
    printf("Linear memory of one plugin after %u answers of 100 KiB:\n\n%-14s", bodies_each, "");
    for (unsigned kind = 0; kind < KINDS; kind++)
        printf("%12s", kinds[kind]);
    printf("\n");
    for (unsigned i = 0; i < count; i++) {
        printf("%-14s", i == 0 ? "malloc" : rows[i].configuration);
        for (unsigned kind = 0; kind < KINDS; kind++)
            printf("%12s", weir_size_format(rows[i].linear[kind]).text);
        printf("\n");
    }
}

static void explain(void)
{
    printf(
        "\nmalloc: hosts that take malloc where a plugin exports it put every body there, and the\n"
        "  ABI has no call by which they could free it. A collector never sees that memory.\n"
        "conservative: the body is the collector's, but it looks for pointers in it. A random or\n"
        "  compressed body of 25,600 words has some that look like addresses of other bodies,\n"
        "  which then stay, and so on; small integers look like addresses low in the heap. ASCII\n"
        "  and CJK are too large to be addresses. So it grew for gzip, and not for text.\n"
        "atomic, arena: nothing is looked for in bytes, or nothing is kept: flat for every kind.\n"
        "Weir asks proxy_on_memory_allocate first, as the specification says (allocator: abi),\n"
        "  and shows the linear memory of each filter, so that the first two are seen.\n");
}

/* A plugin that keeps every body: refused by name, and the one beside it goes on. */
static bool show_limit(struct weir_module *keeper, struct weir_module *other)
{
    struct filter_case bad = {.engine = engine, .module = keeper};
    struct filter_case good = {.engine = engine, .module = other};
    struct weir_filter_config bad_config = filter_case_config(&bad, "keep");
    struct weir_filter_config good_config = filter_case_config(&good, "arena");
    struct weir_error error = {0};
    enum weir_status status = WEIR_OK;
    unsigned recycled = 0, passed = 0, refused_at = 0;
    bad_config.name = "keeper";
    bad_config.memory_bytes_max = UINT64_C(16) << 20;
    bad_config.memory_bytes_soft = UINT64_C(12) << 20;
    need(filter_case_open(&good, &good_config, &error), &error);
    need(filter_case_open(&bad, &bad_config, &error), &error);
    for (unsigned i = 1; refused_at == 0; i++) {
        status = pass(&bad, body_of(0), &error);
        refused_at = status != WEIR_OK ? i : 0;
        passed += pass(&good, body_of(0), NULL) == WEIR_OK;
    }
    printf("\nA plugin that keeps every body, 16 MiB for it: refused at answer %u:\n  keeper: %s\n"
           "The plugin beside it passed all %u. ",
           refused_at, error.message, passed);
    weir_error_done(&error);
    for (unsigned i = 0; i < 500; i++) { /* with recycling, as serve does between requests */
        if (weir_filter_vm_failure(bad.vm) != NULL ||
            (weir_filter_vm_is_large(bad.vm) && weir_filter_vm_is_idle(bad.vm))) {
            weir_filter_vm_free(bad.vm);
            need(weir_filter_vm_new(bad.plugin, &bad, &bad.vm, &error), &error);
            need(weir_filter_vm_start(bad.vm, &error), &error);
            recycled++;
        }
        need(pass(&bad, body_of(0), &error), &error);
    }
    printf("Recycled above 12 MiB it passed 500 answers, in %u VMs.\n", recycled);
    filter_case_close(&bad);
    filter_case_close(&good);
    return passed == refused_at && refused_at > 50 && recycled > 3;
}

static bool expect(bool is_so, const char *what)
{
    if (!is_so)
        printf("\nFAILED: %s\n", what);
    return is_so;
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 400;
    count = count < 200 ? 200 : count;
    struct weir_error error = {0};
    need(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *collected = filter_case_load(engine, GUEST_DIR "/filter_collect.wasm");
    struct weir_module *probe = filter_case_load(engine, GUEST_DIR "/filter_probe.wasm");
    if (collected == NULL || probe == NULL)
        return 1;
    struct row rows[] = {{.configuration = "arena", .prefers_malloc = true},
                         {.configuration = "conservative"},
                         {.configuration = "atomic"},
                         {.configuration = "arena"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        run(&rows[i], collected, count);
    print_rows(rows, 4, count);
    explain();
    uint64_t held = (uint64_t)count * BODY_BYTES, flat = UINT64_C(8) << 20;
    bool is_good = show_limit(probe, collected);
    is_good = expect(is_good, "the plugin that keeps everything was not stopped by itself") &&
              is_good;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        is_good = expect(rows[0].linear[kind] >= held, "malloc should have kept every body") &&
                  is_good;
        is_good = expect(rows[2].linear[kind] <= flat && rows[3].linear[kind] <= flat,
                         "atomic and arena should be flat") &&
                  is_good;
    }
    is_good = expect(rows[1].linear[0] >= held && rows[1].linear[1] >= held,
                     "random bytes should have kept memory of a conservative collector") &&
              is_good;
    is_good = expect(rows[1].linear[3] <= flat, "ASCII should not") && is_good;
    weir_module_unref(collected);
    weir_module_unref(probe);
    weir_engine_unref(engine);
    return is_good ? 0 : 1;
}
