/* 10,000 stores on one engine, each with a module, an instance, callbacks, references and a trap:
 * nothing is left behind (docs/ARCHITECTURE.md). Its own executable, as growth is measured on a
 * whole process; under sanitizers, which keep memory, fewer and only what is counted. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "tests/capi/capi_path.h"

#define GROWTH_MAX ((int64_t)256 << 10)

static void fail(const char *what)
{
    printf("%s: %s\n", what, weir_wasm_error()->message);
    exit(1);
}

static void live(const struct capi_path *path, int count)
{
    for (int i = 0; i < count; i++)
        if (!capi_path_run(path))
            fail("a life failed");
}

static void measure(const struct capi_path *path)
{
    bool is_watched = WEIR_ASAN || WEIR_TSAN;
    int count = is_watched ? 300 : 10000;
    struct weir_account_reading before;
    struct weir_account_reading after;
    uint64_t small = 0;
    uint64_t large = 0;
    live(path, 300);
    weir_account_read(weir_account_host(), &before);
    if (weir_growth_read(&small, NULL) != WEIR_OK)
        fail("growth cannot be read");
    live(path, count);
    if (weir_growth_read(&large, NULL) != WEIR_OK)
        fail("growth cannot be read");
    weir_account_read(weir_account_host(), &after);
    int64_t growth = (int64_t)(large - small);
    printf("%d lives: %lld bytes\n", count, (long long)growth);
    for (int i = 0; i < WEIR_KIND_COUNT; i++) /* the table of code ranges keeps its nodes */
        if (i != WEIR_KIND_METADATA && before.kinds[i] != after.kinds[i])
            fail(weir_kind_name((enum weir_kind)i));
    if (!is_watched && growth > GROWTH_MAX)
        fail("memory grew");
}

int main(void)
{
    char folder[] = "/tmp/weir-capi-growth.XXXXXX";
    if (mkdtemp(folder) == NULL)
        fail("no folder for artifacts");
    wasm_config_t *config = wasm_config_new();
    weir_wasm_config(config)->artifact_dir = folder;
    struct capi_path path = {.artifact_dir = folder, .engine = wasm_engine_new_with_config(config)};
    if (path.engine == NULL)
        fail("no engine");
    measure(&path);
    wasm_engine_delete(path.engine);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}
