/* Traces of module use: whatever the text, they are read or refused with the line, and a replay's
 * figures agree with each other. */
#include "base/check.h"
#include "cache/replay.h"

static uint64_t size_of(void *context, const uint8_t module[32])
{
    (void)context;
    return module[0] % 2 == 0 ? 0 : (uint64_t)module[1] << 12 | 1;
}

static void replay(struct weir_replay *replay)
{
    struct weir_replay_figures figures;
    struct weir_replay_result result;
    weir_replay_figures(replay, &figures);
    WEIR_ASSERT(figures.uses > 0 && figures.modules > 0 && figures.modules <= figures.uses);
    WEIR_ASSERT(figures.largest_bytes > 0 && figures.largest_bytes <= figures.module_bytes);
    static const uint64_t sizes[] = {0, 1, 4096, 1 << 20, UINT64_MAX};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        weir_replay_run(replay, sizes[i], &result);
        WEIR_ASSERT(result.reloads <= result.loads && result.loads <= figures.uses);
        WEIR_ASSERT(result.loads - result.reloads == figures.modules);
        WEIR_ASSERT(result.lru_reload_byte_ratio >= 0 && result.lru_reload_byte_ratio <= 1);
        WEIR_ASSERT(sizes[i] != UINT64_MAX || result.reloads == 0);
    }
    (void)weir_replay_size_for(replay, 0.01);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct weir_replay_trace trace = {
        .name = "fuzz", .bytes = (const char *)data, .size = size, .size_of = size_of};
    struct weir_replay *opened = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_replay_open(&trace, &opened, &error);
    if (status == WEIR_OK)
        replay(opened);
    else
        WEIR_ASSERT(error.status == status && error.message[0] != 0);
    weir_error_done(&error);
    weir_replay_free(opened);
    return 0;
}
