/* One canister, one method, many times in one process: what the figures and the tests of growth are
 * from. Prints one JSON object.
 *
 * usage: canister_loop FILE.wasm METHOD query|update COUNT [CANDID]
 *
 * The canister is installed, warmed up with a tenth of the calls, then called. `leaked` counts what
 * a query changed, which is nothing: the saved state before and after is compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "ledger/equation.h"
#include "ledger/ledger.h"
#include "server/host_file.h"
#include "worlds/canister/candid.h"
#include "worlds/canister/canister.h"

static void need(enum weir_status status, const struct weir_error *error, const char *what)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "canister_loop: %s: %s\n", what, error->message);
    exit(1);
}

static uint64_t fixed_time(void *context)
{
    (void)context;
    return 1000000000;
}

static enum weir_status add_to_hash(void *context, const void *bytes, size_t size,
                                    struct weir_error *error)
{
    return size == 0 ? WEIR_OK : weir_hash_add(context, bytes, size, error);
}

static struct weir_hash state_of(const struct weir_canister *canister)
{
    struct weir_error error = {0};
    struct weir_hash_state *state = NULL;
    struct weir_hash hash;
    need(weir_hash_new(NULL, 0, &state, &error), &error, "hash");
    const struct weir_image_writer writer = {add_to_hash, state};
    need(weir_canister_save(canister, NULL, &writer, &error), &error, "save");
    need(weir_hash_end(state, &hash, &error), &error, "hash");
    weir_hash_free(state);
    return hash;
}

struct loop {
    struct weir_canister *canister;
    struct weir_canister_call call;
    bool is_update;
    uint64_t failed, pages, instructions;
};

static void repeat(struct loop *loop, uint64_t count)
{
    struct weir_error error = {0};
    for (uint64_t i = 0; i < count; i++) {
        struct weir_canister_response response = {0};
        need(loop->is_update ? weir_canister_update(loop->canister, &loop->call, &response, &error)
                             : weir_canister_query(loop->canister, &loop->call, &response, &error),
             &error, loop->call.method);
        loop->failed += response.code != WEIR_CANISTER_REPLIED;
        loop->pages += response.pages_written;
        loop->instructions += response.instructions;
        weir_canister_response_done(&response);
    }
}

static uint64_t memory_now(void)
{
    uint64_t bytes = 0;
    struct weir_error error = {0};
    need(weir_growth_read(&bytes, &error), &error, "growth");
    return bytes;
}

static void install(struct weir_canister *canister, const char *path)
{
    struct weir_error error = {0};
    struct weir_host_file file = {0};
    struct weir_canister_response response = {0};
    need(weir_host_file_read(path, CANISTER_MODULE_BYTES_MAX, weir_account_host(), &file, &error),
         &error, path);
    static const uint8_t nothing[] = {'D', 'I', 'D', 'L', 0, 0};
    const struct weir_canister_code code = {
        .module = file.bytes, .module_size = file.size, .arg = nothing, .arg_size = sizeof nothing};
    need(weir_canister_install(canister, &code, &response, &error), &error, "install");
    WEIR_ASSERT(response.code == WEIR_CANISTER_REPLIED);
    weir_canister_response_done(&response);
    weir_host_file_done(&file);
}

static void measure(struct loop *loop, uint64_t count)
{
    struct weir_canister_status status;
    struct weir_error error = {0};
    repeat(loop, count / 10 + 1);
    struct weir_hash before = state_of(loop->canister);
    (void)memory_now();
    uint64_t memory = memory_now();
    uint64_t begin_ns = weir_clock_ns();
    loop->failed = loop->pages = loop->instructions = 0;
    repeat(loop, count);
    uint64_t ns = weir_clock_ns() - begin_ns;
    int64_t grown = (int64_t)(memory_now() - memory);
    struct weir_hash after = state_of(loop->canister);
    need(weir_canister_status(loop->canister, &status, &error), &error, "status");
    printf("{\"calls\": %llu, \"ns_per_call\": %llu, \"failed\": %llu, \"grown_bytes\": %lld, "
           "\"leaked\": %d, \"heap_pages\": %llu, \"pages_per_call\": %.2f, "
           "\"instructions_per_call\": %llu, \"charged_bytes\": %llu}\n",
           (unsigned long long)count, (unsigned long long)(ns / count),
           (unsigned long long)loop->failed, (long long)grown, !weir_hash_equal(&before, &after),
           (unsigned long long)status.heap_pages, (double)loop->pages / (double)count,
           (unsigned long long)(loop->instructions / count),
           (unsigned long long)status.charged_bytes);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    if (count == 0) {
        (void)fprintf(stderr,
                      "usage: canister_loop FILE.wasm METHOD query|update COUNT [CANDID]\n");
        return 2;
    }
    weir_process_tune_malloc();
    const char *text = argc > 5 ? argv[5] : "()";
    struct weir_engine_config config = {0};
    struct weir_engine *engine = NULL;
    struct weir_arena *arena = NULL;
    struct weir_error error = {0};
    struct loop loop = {.call.method = argv[2], .is_update = strcmp(argv[3], "update") == 0};
    weir_canister_engine_config(&config);
    need(weir_arena_new(NULL, 0, &arena, &error), &error, "arena");
    need(weir_candid_encode(text, strlen(text), arena, &loop.call.arg, &loop.call.arg_size, &error),
         &error, text);
    need(weir_engine_new(&config, &engine, &error), &error, "engine");
    const struct weir_canister_config canister = {.name = "loop", .now_ns = fixed_time};
    need(weir_canister_new(engine, &canister, &loop.canister, &error), &error, "canister");
    install(loop.canister, argv[1]);
    measure(&loop, count);
    weir_canister_free(loop.canister);
    weir_engine_unref(engine);
    weir_arena_free(arena);
    return 0;
}
