/* Every limit and every constant of src/govern, with its reason. */
#ifndef WEIR_GOVERN_GOVERN_LIMITS_H
#define WEIR_GOVERN_GOVERN_LIMITS_H

#include <stdint.h>

#define WEIR_MIB (UINT64_C(1) << 20)

/* A plan that needs more lines than a person reads is a program's error; knobs likewise. */
#define WEIR_PLAN_LINES_MAX 4096u
#define WEIR_PLAN_KNOBS_MAX 256u
/* "The three largest knobs" of a plan that does not fit. */
#define WEIR_PLAN_MOVES 3u

/* Configuration files of nodes are some KiB; a file of this size is something else. */
#define WEIR_FOREIGN_CONFIG_BYTES_MAX (UINT64_C(4) << 20)
/* TOML: keys of a file (app.toml has about 150) and nesting of arrays and inline tables, which
 * bounds the recursion of the reader. */
#define WEIR_TOML_KEYS_MAX 65536u
#define WEIR_TOML_DEPTH_MAX 64u
#define WEIR_TOML_PATH_BYTES_MAX 1024u

/* Nitro counts caches in MB; a machine with more than 16 TB is a slip of the pen. */
#define WEIR_NITRO_MB_MAX (UINT64_C(16) << 20)
#define WEIR_NITRO_THREADS_MAX 100000u
#define WEIR_NITRO_CPUS_MAX 8192u /* Linux's NR_CPUS_MAX */
/* Pebble's own: fewer than two memtables are refused, more than this were never meant. */
#define WEIR_NITRO_MEMTABLES_MIN 2u
#define WEIR_NITRO_MEMTABLES_MAX 1024u

/* A modules folder: a chain has some thousand codes per version and a handful of versions. */
#define WEIR_WASMD_MODULES_MAX 1000000u
#define WEIR_WASMD_FOLDERS_MAX 256u
/* modules/VERSION/TARGET/FILE; older versions have no TARGET. */
#define WEIR_WASMD_DEPTH_MAX 2u
/* A trace is simulated in memory, 16 bytes an access: 64 MiB. */
#define WEIR_WASMD_ACCESSES_MAX (4u << 20)

#endif
