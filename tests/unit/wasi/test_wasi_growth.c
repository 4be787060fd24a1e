/* Zero growth (DESIGN 7): 20,000 times a file is opened, read, stat'ed and closed in one guest,
 * then 20,000 times over 2,000 stores, some of which trap; the process is as large as after
 * warm-up. */
#include <weir/weir.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/poison.h"
#include "ledger/equation.h"

#define WARM_UP 200
#define STORES 2000
#define GROWTH (256 << 10)

static void need(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "failed: %s\n", what);
    exit(EXIT_FAILURE);
}

struct host {
    struct weir_engine *engine;
    struct weir_linker *linker;
    struct weir_module *cycles, *raise;
    struct weir_wasi_preopen preopen;
};

static struct weir_wasi *find(struct weir_store *store)
{
    return *(struct weir_wasi **)weir_store_data(store);
}

static struct weir_module *load(struct weir_engine *engine, const char *path)
{
    static uint8_t bytes[1u << 20];
    struct weir_module *module = NULL;
    struct weir_error error = {0};
    FILE *file = fopen(path, "rb");
    need(file != NULL, path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    need(weir_module_new(engine, bytes, size, NULL, &module, &error) == WEIR_OK, error.message);
    return module;
}

/* A store, a context and a command, from nothing to nothing. */
static void run(struct host *host, struct weir_module *module, const char *arg, int expected)
{
    const char *const args[] = {"guest", arg};
    struct weir_wasi *wasi = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    struct weir_trap trap = {0};
    struct weir_wasi_config config = {.args = args,
                                      .arg_count = 2,
                                      .preopens = &host->preopen,
                                      .preopen_count = 1,
                                      .stdio_fds = {-1, -1, -1}};
    struct weir_store_config store_config = {.data = &wasi};
    int exit_code = -1;
    need(weir_store_new(host->engine, &store_config, &store, NULL) == WEIR_OK, "store");
    need(weir_wasi_new(store, &config, &wasi, NULL) == WEIR_OK, "context");
    need(weir_instance_new(store, host->linker, module, &instance, NULL, NULL) == WEIR_OK,
         "instance");
    enum weir_status status = weir_wasi_run(wasi, instance, &exit_code, &trap, NULL);
    need(status == (expected < 0 ? WEIR_TRAP : WEIR_OK), "run");
    need(expected < 0 || exit_code == expected, "exit code");
    weir_trap_done(&trap);
    weir_wasi_free(wasi);
    weir_store_close(store, NULL);
}

static void round_of(struct host *host, int stores)
{
    for (int i = 0; i < stores; i++) {
        run(host, host->cycles, "10", 0);
        if (i % 10 == 0)
            run(host, host->raise, i % 20 == 0 ? "t" : "x", i % 20 == 0 ? -1 : 7);
    }
}

static void measure(struct host *host)
{
    struct weir_equation before, after;
    uint64_t small = 0;
    uint64_t large = 0;
    run(host, host->cycles, "1000", 0);
    round_of(host, WARM_UP);
    need(weir_equation_read(&before, NULL) == WEIR_OK, "equation");
    need(weir_growth_read(&small, NULL) == WEIR_OK, "growth");
    run(host, host->cycles, "20000", 0);
    round_of(host, STORES);
    need(weir_growth_read(&large, NULL) == WEIR_OK, "growth");
    need(weir_equation_read(&after, NULL) == WEIR_OK, "equation");
    long long growth = (long long)large - (long long)small;
    (void)printf("growth %lld bytes over 20000 cycles and %d stores\n", growth, STORES);
    need(before.descriptor_count == after.descriptor_count, "as many descriptors as before");
    if (WEIR_ASAN || WEIR_TSAN)
        return; /* the sanitizer keeps freed memory in quarantine */
    need(growth <= GROWTH, "growth is at most 256 KiB");
    need(before.mapping_count == after.mapping_count, "as many mappings as before");
}

int main(void)
{
    struct host host = {0};
    struct weir_engine_config config = {0};
    struct weir_error error = {0};
    char folder[] = "/tmp/weir-growth-XXXXXX";
    char path[64];
    need(mkdtemp(folder) != NULL, folder);
    (void)snprintf(path, sizeof path, "%s/data", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    need(fd >= 0 && write(fd, "12345", 5) == 5 && close(fd) == 0, path);
    host.preopen = (struct weir_wasi_preopen){.guest_path = "/data", .host_path = folder};
    need(weir_engine_new(&config, &host.engine, &error) == WEIR_OK, error.message);
    need(weir_linker_new(host.engine, &host.linker, &error) == WEIR_OK, error.message);
    need(weir_wasi_link(host.linker, find, &error) == WEIR_OK, error.message);
    host.cycles = load(host.engine, GUEST_DIR "/wasi_cycles.wasm");
    host.raise = load(host.engine, GUEST_DIR "/wasi_raise.wasm");
    measure(&host);
    weir_module_unref(host.cycles);
    weir_module_unref(host.raise);
    weir_linker_free(host.linker);
    weir_engine_unref(host.engine);
    return unlink(path) == 0 && rmdir(folder) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
