/* Every fixed bound of the module cache, each with its reason. */
#ifndef WEIR_CACHE_LIMITS_H
#define WEIR_CACHE_LIMITS_H

#include <stdint.h>

/* Defaults of struct weir_cache_config: four hundred contracts of a megabyte, a quarter as much
 * pinned, eight times as much on disk. Limits outside the ranges are typing errors. */
#define WEIR_CACHE_PINNED_DEFAULT (UINT64_C(128) << 20)
#define WEIR_CACHE_MEMORY_DEFAULT (UINT64_C(512) << 20)
#define WEIR_CACHE_BYTES_MIN (UINT64_C(64) << 10)
#define WEIR_CACHE_BYTES_MAX (UINT64_C(1) << 40)
#define WEIR_CACHE_DISK_MAX (UINT64_C(1) << 50)

/* Modules with figures of their own, present or gone; as many as the curve follows exactly. */
#define WEIR_CACHE_MODULES_DEFAULT 8192u
#define WEIR_CACHE_MODULES_MIN 16u
#define WEIR_CACHE_MODULES_MAX 1048576u

/* Keys that the miss-ratio curve samples at most (SHARDS, fixed size): exact up to here. */
#define WEIR_CURVE_KEYS 8192u
/* Steps of the curve's sizes: 32 per doubling, 2.2 %, from 64 KiB to 4 TiB. */
#define WEIR_CURVE_STEPS 32u
#define WEIR_CURVE_LOW_BITS 16u
#define WEIR_CURVE_HIGH_BITS 42u
/* Groups of keys whose disagreement gives the error of a sampled curve. */
#define WEIR_CURVE_GROUPS 4u
/* What was seen counts half after so long. */
#define WEIR_CURVE_HALF_LIFE_MS (UINT64_C(3600) * 1000)

/* Lines of a trace that wait to be written. */
#define WEIR_CACHE_TRACE_BYTES (UINT64_C(64) << 10)

/* Uses of a trace that are replayed: 4 bytes each, 32 MiB; and their bytes, at most 1 TiB each,
 * still add up in 64 bits. */
#define WEIR_REPLAY_USES_MAX (8u << 20)

#endif
