/* What a host does for a WASI command, over and over, for callgrind to count (bench/run overhead):
 *
 *     bench_work request|life FILE.wasm COUNT
 *
 * request: as weir serve does it, a warm instance from a pool, a context with streams, `_start`,
 * back to the pool. life: a store, an instance, a context, `_start`, and all of it closed. Only
 * work() counts; before it all is done once. */
#include <weir/wasi.h>

#include "bench_guest.h"

#define BODY_BYTES 65536

struct host {
    struct weir_engine *engine;
    struct weir_module *module;
    struct weir_linker *linker;
    struct weir_pool *pool;
};

static struct weir_wasi *current;
static size_t written;
static size_t body_left; /* of the request that is under way */

static struct weir_wasi *find(struct weir_store *store)
{
    (void)store;
    return current;
}

static enum weir_status give_body(void *context, void *to, size_t size, size_t *ret_count)
{
    (void)context;
    *ret_count = size < body_left ? size : body_left;
    memset(to, 'b', *ret_count);
    body_left -= *ret_count;
    return WEIR_OK;
}

static enum weir_status take_output(void *context, const void *from, size_t size, size_t *ret_count)
{
    (void)context;
    (void)from;
    written += size;
    *ret_count = size;
    return WEIR_OK;
}

static void run(struct weir_instance *instance)
{
    static const char *const args[] = {"guest"};
    static const char *const env[] = {"REQUEST_METHOD=GET", "QUERY_STRING=name=Ada",
                                      "SERVER_NAME=localhost", "PATH_INFO=/"};
    static const struct weir_wasi_config config = {.args = args,
                                                   .arg_count = 1,
                                                   .env = env,
                                                   .env_count = 4,
                                                   .stdio_fds = {-1, -1, -1},
                                                   .stdio_streams = {{.read = give_body},
                                                                     {.write = take_output}}};
    struct weir_error error = {0};
    int exit_code = 0;
    body_left = BODY_BYTES;
    bench_must(weir_wasi_new(weir_instance_store(instance), &config, &current, &error), &error);
    bench_must(weir_wasi_run(current, instance, &exit_code, NULL, &error), &error);
    weir_wasi_free(current);
}

static void request(const struct host *host)
{
    struct weir_error error = {0};
    struct weir_instance *instance = NULL;
    bench_must(weir_pool_take(host->pool, &instance, &error), &error);
    run(instance);
    weir_pool_give(host->pool, instance);
}

static void life(const struct host *host)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    bench_must(weir_store_new(host->engine, NULL, &store, &error), &error);
    bench_must(weir_instance_new(store, host->linker, host->module, &instance, NULL, &error),
               &error);
    run(instance);
    weir_store_close(store, NULL);
}

static __attribute__((noinline)) void work(const struct host *host, bool is_request, long count)
{
    for (long i = 0; i < count; i++) {
        if (is_request)
            request(host);
        else
            life(host);
    }
}

int main(int argc, char **argv)
{
    struct host host = {0};
    struct weir_error error = {0};
    size_t size = 0;
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bench_work request|life FILE.wasm COUNT\n");
        return 2;
    }
    bool is_request = strcmp(argv[1], "request") == 0;
    long count = strtol(argv[3], NULL, 10);
    uint8_t *wasm = bench_read_file(argv[2], &size);
    bench_must(weir_engine_new(NULL, &host.engine, &error), &error);
    int fd = bench_artifact(wasm, size);
    free(wasm);
    bench_must(weir_module_load(host.engine, fd, NULL, &host.module, &error), &error);
    (void)close(fd);
    bench_must(weir_linker_new(host.engine, &host.linker, &error), &error);
    bench_must(weir_wasi_link(host.linker, find, &error), &error);
    bench_must(weir_pool_new(host.linker, host.module, NULL, &host.pool, &error), &error);
    for (int i = 0; i < 3; i++) {
        request(&host);
        life(&host);
    }
    size_t before = written;
    work(&host, is_request, count);
    printf("{\"count\": %ld, \"written\": %zu}\n", count, written - before);
    weir_pool_free(host.pool);
    weir_linker_free(host.linker);
    weir_module_unref(host.module);
    weir_engine_unref(host.engine);
    return written - before > 0 ? 0 : 1;
}
