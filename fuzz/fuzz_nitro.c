/* A Nitro configuration and the budget made of it. What is accepted gives a budget whose parts add
 * up and whose code bound is above the documented one; a move that is said to be enough is within
 * its knob. The bytes are a size and a GOMEMLIMIT, too. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "govern/nitro_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plan(const struct weir_plan *plan)
{
    uint64_t sum = 0;
    for (unsigned section = WEIR_NITRO_OUTSIDE; section <= WEIR_NITRO_OPEN; section++)
        sum += weir_plan_section_total(plan, section);
    WEIR_ASSERT(sum == weir_plan_total(plan));
    uint64_t left = weir_nitro_gomemlimit_mb(plan) * WEIR_MIB;
    if (left > 0)
        WEIR_ASSERT(left + weir_plan_section_total(plan, WEIR_NITRO_OUTSIDE) +
                        weir_plan_section_total(plan, WEIR_NITRO_MARGIN) <=
                    weir_plan_limit(plan));
    struct weir_plan_move moves[WEIR_PLAN_MOVES];
    size_t count = weir_plan_moves(plan, moves);
    WEIR_ASSERT(!weir_plan_fits(plan) || count == 0);
    for (size_t i = 0; i < count; i++) {
        WEIR_ASSERT(moves[i].to >= moves[i].knob->minimum && moves[i].to < moves[i].knob->value);
        WEIR_ASSERT(!moves[i].is_enough || moves[i].gives >= weir_plan_missing(plan));
    }
}

static void check_texts(const uint8_t *data, size_t size)
{
    char text[64];
    size_t length = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, length);
    text[length] = '\0';
    uint64_t bytes = 0;
    if (weir_nitro_size_parse("key", text, &bytes, NULL) == WEIR_OK)
        WEIR_ASSERT(bytes <= INT64_MAX);
    if (weir_gomemlimit_parse(text, &bytes, NULL) == WEIR_OK)
        WEIR_ASSERT(bytes <= INT64_MAX || bytes == UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_texts(data, size);
    struct weir_nitro_config config;
    struct weir_error error = {0};
    if (weir_nitro_config_parse("f", (const char *)data, size, &config, &error) != WEIR_OK) {
        WEIR_ASSERT(error.status == WEIR_CONFIG || error.status == WEIR_MALFORMED);
        WEIR_ASSERT(error.message[0] != '\0');
        weir_error_done(&error);
        return 0;
    }
    struct weir_nitro_run run = {.memory_bytes = UINT64_C(16) << 30,
                                 .memory_source = "test",
                                 .margin_bytes = WEIR_NITRO_MARGIN_DEFAULT,
                                 .arena_count = WEIR_NITRO_ARENAS_DEFAULT,
                                 .threads = WEIR_NITRO_THREADS_DEFAULT,
                                 .gogc = 100};
    struct weir_nitro_plan plan;
    if (weir_nitro_plan_make(&config, &run, &plan, NULL) != WEIR_OK)
        return 0;
    check_plan(plan.documented);
    check_plan(plan.code);
    WEIR_ASSERT(weir_plan_total(plan.code) > weir_plan_total(plan.documented));
    weir_nitro_plan_done(&plan);
    return 0;
}
