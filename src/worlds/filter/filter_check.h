/* Whether a module is a proxy-wasm plugin that hosts will take, and what will hurt then: facts for
 * `weir inspect --for envoy`. No engine, nothing is run. */
#ifndef WEIR_FILTER_CHECK_H
#define WEIR_FILTER_CHECK_H

#include "wasm/inspect.h"

#define WEIR_FILTER_CHECK_HURTS_MAX 8

struct weir_filter_check {
    const char *abi; /* "0.2.1", the newest of its markers; NULL: no plugin */
    /* One line for each, in the words that Envoy logs: an import that no host offers, or that is
     * of another type than theirs; and what else keeps a host from loading it. */
    const char *const *problems;
    size_t problem_count;
    /* What loads, and then costs memory or does not work. */
    const char *hurts[WEIR_FILTER_CHECK_HURTS_MAX];
    size_t hurt_count;
};

/* Texts are in the arena. NO_MEMORY when it refuses. */
enum weir_status weir_filter_check(const struct weir_wasm_facts *facts, struct weir_arena *arena,
                                   struct weir_filter_check *ret_check, struct weir_error *error)
    WEIR_MUST_USE;

#endif
