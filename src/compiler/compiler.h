/* Module bytes in, artifact bytes out: the function that weir-compile runs in its child, and that
 * tests and fuzzers call in-process. Deterministic: same input and options, same bytes. */
#ifndef WEIR_COMPILER_H
#define WEIR_COMPILER_H

#include "artifact/artifact.h"

struct weir_compile_request {
    const uint8_t *module;
    size_t module_bytes;
    struct weir_artifact_options options;  /* what the key is made of */
    const struct weir_wasm_limits *limits; /* NULL: defaults */
    size_t arena_bytes_max;                /* 0: 64 MiB + 32 x module */
    void (*progress)(void *context, uint32_t done, uint32_t total);
    void *progress_context;
};

/* ret_bytes is malloc'ed and belongs to the caller. */
enum weir_status weir_compile(const struct weir_compile_request *request, uint8_t **ret_bytes,
                              size_t *ret_size, struct weir_error *error) WEIR_MUST_USE;

/* The same, written to an empty file; what the compiler's child does. */
enum weir_status weir_compile_to(const struct weir_compile_request *request, int fd,
                                 uint64_t *ret_bytes, struct weir_error *error) WEIR_MUST_USE;

#endif
