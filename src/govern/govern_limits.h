/* Every limit and every constant of src/govern, with its reason. */
#ifndef WEIR_GOVERN_GOVERN_LIMITS_H
#define WEIR_GOVERN_GOVERN_LIMITS_H

#include <stdint.h>

#include "base/sizes.h"

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

/* The file that binds, in answers and metrics: a cgroup's folder and a file's name; a longer path
 * keeps its end. */
#define WEIR_GOVERN_BINDING_SIZE 512u
/* Why a reading is not known: the path that failed and how. */
#define WEIR_GOVERN_REASON_SIZE 256u
#define WEIR_REFUSAL_JSON_SIZE 4096u /* a binding, each byte escaped, and ten figures */

/* Changes of state a minute. Three are the least that let a trigger go back to normal: one out, two
 * kept for `unknown` and `pressed`. */
#define WEIR_TRIGGER_TRANSITIONS_MIN 3u
#define WEIR_TRIGGER_TRANSITIONS_DEFAULT 12u
#define WEIR_TRIGGER_TRANSITIONS_MAX 60u
/* The band between entering and leaving by default: an eighth of the free limit, and not less than
 * what a usage figure of the kernel is late by (64 pages a CPU on large machines). */
#define WEIR_TRIGGER_BAND_SHARE 8u
#define WEIR_TRIGGER_BAND_MIN (UINT64_C(16) << 20)

/* Ladders of five rungs are planned; services of a host and guards of a node are few. */
#define WEIR_GOVERNOR_ACTIONS_MAX 8u
#define WEIR_GOVERNOR_TASKS_MAX 16u
/* A task that cannot be paused or resumed is asked again so often: a command that fails is started
 * 12 times a minute. */
#define WEIR_TASK_RETRY_NS UINT64_C(5000000000)

/* Second signals. PSI: a tenth of the last 10 s in which no task could go on is far above what
 * reading a working set from disk makes and far below oomd's 60 % for 30 s. Swap: oomd's 90 %. */
#define WEIR_SIGNAL_PSI_FULL_BP 1000u
#define WEIR_SIGNAL_SWAP_PERCENT 90u

/* Injected figures: ten lines. */
#define WEIR_INJECTED_BYTES_MAX 4096u

#endif
