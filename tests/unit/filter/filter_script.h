/* Where filter_script.wat looks for what it shall do, and the functions that it can call. */
#ifndef WEIR_TEST_FILTER_SCRIPT_H
#define WEIR_TEST_FILTER_SCRIPT_H

#include <stdint.h>

enum script_function {
#define FILTER_FUNCTION(name, params, is_free) SCRIPT_##name,
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION
    SCRIPT_FUNCTIONS
};

/* How a call is typed: the number of its i32s, or an i32 and an i64. */
#define SCRIPT_WIDE 13u
static const uint8_t script_kinds[SCRIPT_FUNCTIONS] = {
#define FILTER_FUNCTION(name, params, is_free)                                                     \
    sizeof(params) == 3 && (params "\0")[1] == 'I' ? SCRIPT_WIDE : sizeof(params) - 1,
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION
};

enum script_allocator {
    SCRIPT_ALLOCATES,
    SCRIPT_REFUSES,
    SCRIPT_LIES,
    SCRIPT_TRAPS,
    SCRIPT_GROWS,
    SCRIPT_OVERLAPS,
    SCRIPT_CALLS_BACK,
    SCRIPT_HANGS,
    SCRIPT_ALLOCATORS
};

/* At SCRIPT_HEAD. */
struct script_head {
    uint32_t count;  /* records */
    uint32_t action; /* what callbacks answer */
    uint32_t allocator, heap;
};
struct script_record {
    uint32_t function, kind, args[12], answer, unused;
};
enum {
    SCRIPT_HEAD = 16,
    SCRIPT_RECORDS = 1024,
    SCRIPT_RECORDS_MAX = 64,
    SCRIPT_DATA = 16384,
    SCRIPT_HEAP = 131072,
    SCRIPT_MEMORY = 262144 /* bytes, before it grows */
};

#endif
