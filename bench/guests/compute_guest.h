/* What every benchmark guest is: one exported function `run(scale)` that returns a checksum,
 * without libc, so that the same file compiles natively (with -DBENCH_NAME=...) and for wasm32. */
#ifndef WEIR_COMPUTE_GUEST_H
#define WEIR_COMPUTE_GUEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#define BENCH_RUN __attribute__((export_name("run"))) uint64_t run
#else
#ifndef BENCH_NAME
#define BENCH_NAME run
#endif
#define BENCH_RUN uint64_t BENCH_NAME
#endif

uint64_t
#ifdef __wasm__
run
#else
BENCH_NAME
#endif
    (uint32_t scale);

#endif
