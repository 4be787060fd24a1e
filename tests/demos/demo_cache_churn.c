/* `script/demo cache-churn`: the cache that grew with every load, and one that cannot.
 *
 * A host keeps four modules on disk and may hold one and a half of them in memory, so nearly every
 * use evicts one module and loads another. Twice the same uses:
 *
 *   wrong   one long-lived engine owns the code of all modules it ever loaded: loading copies the
 *           module into its code memory, evicting drops the cache's entry and nothing else. The
 *           cache's own figure stays below its limit; the process grows by a module per load. All
 *           of it is freed when the engine ends, so a leak checker finds nothing.
 *   Weir    a loaded module is a mapping of its artifact; evicting unmaps it.
 *
 * Exits with 1 when the wrong one does not grow, or Weir does.
 *
 * usage: demo_cache_churn [USES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <weir/weir.h>

#include "base/check.h"
#include "base/poison.h"
#include "base/sizes.h"
#include "ledger/equation.h"
#include "tests/unit/cache/cache_modules.h"

#define MODULES 4
#define DATA_BYTES (1u << 20)
#define ROWS 5
#define GROWTH_MAX ((int64_t)256 << 10)
#define WARM_USES 200

static struct weir_engine *engine;
static struct cache_module *modules;
static struct cache_folder folder;

/* The same uses for both. */
static unsigned pick(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*state >> 33) % MODULES;
}

static uint64_t memory_now(void)
{
    uint64_t bytes = 0;
    enum weir_status status = weir_growth_read(&bytes, NULL);
    WEIR_ASSERT(status == WEIR_OK);
    return bytes;
}

/* --- the wrong policy ---------------------------------------------------------------------- */

struct code {
    struct code *next;
    size_t size;
    uint8_t bytes[];
};

struct wrong_host {
    struct code *engine_code; /* grows only */
    struct code *kept;        /* the entry in memory; the engine's, not the cache's */
    unsigned kept_number;
    uint64_t cached_bytes; /* what it would report */
};

/* "Deserialises" the module: a private copy of what lies on disk. */
static struct code *copy_code(struct wrong_host *host, unsigned number)
{
    const struct cache_module *module = &modules[number];
    struct code *code = malloc(sizeof *code + module->size);
    WEIR_ASSERT(code != NULL);
    code->size = module->size;
    memcpy(code->bytes, module->bytes, module->size);
    code->next = host->engine_code;
    host->engine_code = code;
    return code;
}

static void use_wrong(void *context, unsigned number)
{
    struct wrong_host *host = context;
    if (host->kept != NULL && host->kept_number == number)
        return;
    host->kept = copy_code(host, number); /* the one before is "evicted" */
    host->kept_number = number;
    host->cached_bytes = host->kept->size;
}

static void end_wrong(struct wrong_host *host)
{
    while (host->engine_code != NULL) {
        struct code *code = host->engine_code;
        host->engine_code = code->next;
        free(code);
    }
}

/* --- Weir's -------------------------------------------------------------------------------- */

static void use_weir(void *context, unsigned number)
{
    weir_module_unref(cache_get(context, engine, &modules[number]));
}

/* --- both ---------------------------------------------------------------------------------- */

struct row {
    uint64_t uses;
    int64_t growth;
    uint64_t cached_bytes;
};

static void run(void (*use)(void *context, unsigned number), void *context, unsigned uses,
                struct row rows[ROWS], uint64_t (*cached)(void *context))
{
    uint64_t state = 1;
    for (unsigned i = 0; i < WARM_USES && use == use_weir; i++)
        use(context, pick(&state));
    state = 1;
    (void)memory_now();
    uint64_t before = memory_now();
    unsigned done = 0;
    for (unsigned row = 0; row < ROWS; row++) {
        for (; done < uses / ROWS * (row + 1); done++)
            use(context, pick(&state));
        rows[row] = (struct row){done, (int64_t)(memory_now() - before), cached(context)};
    }
}

static uint64_t cached_wrong(void *context)
{
    return ((struct wrong_host *)context)->cached_bytes;
}

static uint64_t cached_weir(void *context)
{
    return cache_figures(context).tiers[WEIR_CACHE_MEMORY].used_bytes;
}

static struct weir_size_text grown(const struct row *row)
{
    return weir_size_format(row->growth > 0 ? (uint64_t)row->growth : 0);
}

static void print_rows(const struct row *wrong, const struct row *right)
{
    printf("             in the cache, it says      private memory, grown by\n"
           "   uses         wrong       Weir           wrong       Weir\n");
    for (unsigned i = 0; i < ROWS; i++)
        printf("%7llu    %10s %10s      %10s %10s\n", (unsigned long long)wrong[i].uses,
               weir_size_format(wrong[i].cached_bytes).text,
               weir_size_format(right[i].cached_bytes).text, grown(&wrong[i]).text,
               grown(&right[i]).text);
}

static bool judge(const struct row *wrong, const struct row *right, uint64_t loads)
{
    int64_t expected = (int64_t)loads * DATA_BYTES / 2;
    bool is_wrong_growing = wrong[ROWS - 1].growth > expected;
    bool is_weir_flat = WEIR_ASAN || WEIR_TSAN || right[ROWS - 1].growth <= GROWTH_MAX;
    if (!is_wrong_growing)
        printf("\nFAILED: the wrong policy should have grown by %s at least\n",
               weir_size_format((uint64_t)expected).text);
    if (!is_weir_flat)
        printf("\nFAILED: Weir grew by %s\n", grown(&right[ROWS - 1]).text);
    return is_wrong_growing && is_weir_flat;
}

static void explain(uint64_t loads, uint64_t after_end)
{
    printf("\nWhy the wrong one grows: its engine lives as long as the process and keeps the code\n"
           "of every module it ever loaded. Evicting takes the entry out of the cache, not the\n"
           "code out of the engine; loading the module again copies it again (%llu times here).\n"
           "The cache's figure is below its limit all the time. Ending the engine freed it all\n"
           "(%s left), so it is not a leak that a leak checker finds. A larger cache evicts\n"
           "less and so grows more slowly; it does not stop.\n"
           "\nWhy Weir does not: a loaded module is a read-only mapping of its sealed artifact,\n"
           "and nothing else owns it. Evicting unmaps it. Loading it again maps the same pages.\n",
           (unsigned long long)loads, weir_size_format(after_end).text);
}

int main(int argc, char **argv)
{
    weir_process_tune_malloc();
    unsigned uses = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 500;
    uses = uses < 50 ? 50 : uses;
    struct weir_error error = {0};
    if (weir_engine_new(NULL, &engine, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    modules = cache_modules_make(MODULES, DATA_BYTES);
    folder = cache_folder_new();
    const struct weir_cache_config config = {.dir = folder.path,
                                             .memory_bytes_max = DATA_BYTES + DATA_BYTES / 2};
    struct weir_cache *cache = cache_open(&config);
    struct wrong_host host = {0};
    struct row wrong[ROWS], right[ROWS];
    run(use_weir, cache, uses, right, cached_weir);
    uint64_t before = memory_now();
    run(use_wrong, &host, uses, wrong, cached_wrong);
    uint64_t loads = 0;
    for (const struct code *code = host.engine_code; code != NULL; code = code->next)
        loads++;
    end_wrong(&host);
    uint64_t after = memory_now();
    printf("Over the same %u uses the wrong cache's process grew by %s, Weir's by %s.\n"
           "Four modules of 1 MiB on disk, 1.5 MiB of memory for them: nearly every use loads.\n\n",
           uses, grown(&wrong[ROWS - 1]).text, grown(&right[ROWS - 1]).text);
    print_rows(wrong, right);
    explain(loads, after > before ? after - before : 0);
    bool is_good = judge(wrong, right, loads);
    weir_cache_free(cache);
    cache_modules_free(modules, MODULES);
    cache_folder_remove(&folder);
    weir_engine_unref(engine);
    return is_good ? 0 : 1;
}
