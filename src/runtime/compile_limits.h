/* Every fixed bound of compile jobs and artifact directories, each with its reason. */
#ifndef WEIR_RUNTIME_COMPILE_LIMITS_H
#define WEIR_RUNTIME_COMPILE_LIMITS_H

#include <stdint.h>

/* Jobs at a time: one per processor, within these. */
#define WEIR_COMPILE_SLOTS_MIN 2u
#define WEIR_COMPILE_SLOTS_MAX 16u

/* Descriptors that one job holds: module, output, two ends of its reply socket. */
#define WEIR_COMPILE_JOB_FDS 4u

/* Private memory of the spawner itself, charged while it runs: 712 KiB measured, most of it the
 * relocations of libcrypto. */
#define WEIR_COMPILE_SPAWNER_BYTES (UINT64_C(1) << 20)

/* Times that a job is tried: a spawner that somebody killed is worth one more. */
#define WEIR_COMPILE_TRIES 2u

/* File identities whose seal is known to be good: sets of a few, 160 KiB in all. 10,000 loaded
 * artifacts share it; one that fell out costs a hash of its file. */
#define WEIR_ARTIFACT_SEEN_SETS 512u
#define WEIR_ARTIFACT_SEEN_WAYS 8u

/* Folders within folders that are removed where an artifact should be: nobody of ours makes any,
 * and each level holds a descriptor and a buffer. */
#define WEIR_ARTIFACT_TREE_DEPTH 8u

/* Files kept for inspection in quarantine; beyond, damaged files are removed. */
#define WEIR_ARTIFACT_QUARANTINE_MAX 64u

/* A file in the making that is older than this was left by a process that died; after a minute, if
 * locks say that nobody has it: a host that is killed again and again fills no disk. */
#define WEIR_ARTIFACT_STALE_S 3600
#define WEIR_ARTIFACT_ORPHAN_S 60

/* What a directory holds at most unless its user says otherwise: two thousand artifacts of 2 MiB.
 * ~/.cache/weir is one that nobody looks after. */
#define WEIR_ARTIFACT_DIR_BYTES_DEFAULT (UINT64_C(4) << 30)

/* Another build's artifacts go when no process has opened them for so long: a release that is
 * rolled back within a week finds its own. */
#define WEIR_ARTIFACT_VERSION_STALE_S (7 * 24 * 3600)

/* How long a writer waits for another process's write lock, which is held for one publication or
 * one pass of removal; beyond, the artifact is used but not kept. Whoever opens a directory waits
 * as long for its version, which a collector looks through or removes. */
#define WEIR_ARTIFACT_LOCK_MS 2000u
#define WEIR_ARTIFACT_LOCK_PAUSE_MS 2u

#endif
