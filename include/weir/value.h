/* Types and values of WebAssembly as the embedding API and the runtime see them. */
#ifndef WEIR_VALUE_H
#define WEIR_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The numeric codes are the binary format's (WebAssembly 2.0, section 5.3). Codes above 0xff are
 * reserved for concrete reference types. */
enum weir_type {
    WEIR_TYPE_I32 = 0x7f,
    WEIR_TYPE_I64 = 0x7e,
    WEIR_TYPE_F32 = 0x7d,
    WEIR_TYPE_F64 = 0x7c,
    WEIR_TYPE_V128 = 0x7b,
    WEIR_TYPE_FUNCREF = 0x70,
    WEIR_TYPE_EXTERNREF = 0x6f
};

enum weir_extern_kind {
    WEIR_EXTERN_FUNC = 0,
    WEIR_EXTERN_TABLE = 1,
    WEIR_EXTERN_MEMORY = 2,
    WEIR_EXTERN_GLOBAL = 3
};

struct weir_funcref; /* a function of a live instance; belongs to its store */

/* One slot; which member is valid follows from the type. Bits are bits: no NaN is changed. */
union weir_value {
    int32_t i32;
    int64_t i64;
    uint32_t f32_bits;
    uint64_t f64_bits;
    float f32;
    double f64;
    uint8_t v128[16];
    struct weir_funcref *funcref; /* NULL is the null reference */
    void *externref;              /* NULL is the null reference; the store never looks inside */
};

struct weir_func_type {
    const enum weir_type *params;
    size_t param_count;
    const enum weir_type *results;
    size_t result_count;
};

struct weir_limits {
    uint64_t min; /* pages of 64 KiB, or table elements */
    uint64_t max; /* meaningful when has_max */
    bool has_max;
    bool is_64; /* index type i64 (memory64, table64) */
};

enum weir_feature {
#define WEIR_FEATURE(bit, id, name, on) WEIR_FEATURE_##id = 1u << (bit),
#include <weir/features.def>
#undef WEIR_FEATURE
};
/* Bits that are on by default, and exactly WebAssembly 2.0. */
#define WEIR_FEATURES_WASM_2_0 0x7fu
#define WEIR_FEATURES_DEFAULT 0x1ffu

#ifdef __cplusplus
}
#endif
#endif
