/* What the runtime and the compiler program say to each other (DESIGN law 5).
 *
 * The control socket (SOCK_SEQPACKET, descriptor 3 of `weir-compile --spawner`) takes one request
 * per message, with three descriptors: the module (sealed memfd), the output (empty memfd) and the
 * reply socket. On the reply socket come STARTED, PROGRESS ..., RESULT from the job's child and
 * then EXIT from the spawner. Whoever closes the other end of the reply socket cancels the job.
 * Both programs are of one build; the build id is compared anyway.
 */
#ifndef WEIR_ARTIFACT_COMPILE_WIRE_H
#define WEIR_ARTIFACT_COMPILE_WIRE_H

#include <assert.h>

#include "artifact/artifact.h"

#define WEIR_COMPILE_WIRE_MAGIC 0x57524a42u /* "WRJB" */
#define WEIR_COMPILE_CONTROL_FD 3
#define WEIR_COMPILE_FDS 3

enum weir_compile_fd {
    WEIR_COMPILE_FD_MODULE,
    WEIR_COMPILE_FD_OUTPUT,
    WEIR_COMPILE_FD_REPLY
};

/* What a test makes the child do instead of compiling, inside the sandbox; each must end it. */
enum weir_compile_trial {
    WEIR_TRIAL_NONE,
    WEIR_TRIAL_OPEN,
    WEIR_TRIAL_SOCKET,
    WEIR_TRIAL_EXEC,
    WEIR_TRIAL_FORK,
    WEIR_TRIAL_KILL_PARENT,
    WEIR_TRIAL_MAP_EXECUTABLE,
    WEIR_TRIAL_SPIN,
    WEIR_TRIAL_MEMORY,
    WEIR_TRIAL_OUTPUT,
    WEIR_TRIAL_CRASH,
    WEIR_TRIAL_SILENCE, /* ends without a result */
    WEIR_TRIAL_COUNT
};

struct weir_compile_request_wire {
    uint32_t magic;
    uint32_t trial; /* enum weir_compile_trial; refused unless the spawner was started for tests */
    uint8_t build_id[32];
    struct weir_artifact_options options;
    uint64_t module_bytes;
    uint64_t memory_bytes;
    uint64_t output_bytes;
    uint32_t cpu_ms;
    uint32_t reserved;
};

enum weir_compile_reply_type {
    WEIR_REPLY_STARTED,
    WEIR_REPLY_PROGRESS, /* numbers: done, total */
    WEIR_REPLY_RESULT,   /* status, offset, message; numbers: bytes of the artifact */
    WEIR_REPLY_EXIT,     /* status: as wait4() says; numbers: peak bytes, CPU µs */
    WEIR_REPLY_REFUSED,  /* by the spawner: status, message */
};

struct weir_compile_reply_wire {
    uint32_t type;
    uint32_t status;
    uint64_t offset;
    uint64_t numbers[2];
    char message[WEIR_ERROR_MESSAGE_SIZE];
};

static_assert(sizeof(struct weir_compile_request_wire) == 8 + 32 + 80 + 24 + 8, "no padding");
static_assert(sizeof(struct weir_compile_reply_wire) == 32 + WEIR_ERROR_MESSAGE_SIZE, "no padding");

/* Limits of a job when the caller names none. Memory: tables, code and artifact of dense modules
 * stay under 8 bytes per byte; the rest is for what validation and odd modules need. Output: code
 * is about four times the module; the image of a sparse one up to 16 MiB. */
static inline uint64_t weir_compile_memory_default(uint64_t module_bytes)
{
    return (UINT64_C(64) << 20) + 32 * module_bytes;
}
static inline uint64_t weir_compile_output_default(uint64_t module_bytes)
{
    return (UINT64_C(32) << 20) + 64 * module_bytes;
}
static inline uint32_t weir_compile_cpu_ms_default(uint64_t module_bytes)
{
    uint64_t ms = 10000 + module_bytes / 100;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* Why a child ended without a result, for people: COMPILE with the limit that was hit and what to
 * do. `exit` is the EXIT reply. */
enum weir_status weir_compile_explain_exit(const struct weir_compile_request_wire *request,
                                           const struct weir_compile_reply_wire *exit,
                                           struct weir_error *error);

/* What a RESULT says, as an error: the compiler's own words, or COMPILE when memory ran out.
 * Nothing in the reply is trusted. OK for a success. */
enum weir_status weir_compile_explain_result(const struct weir_compile_request_wire *request,
                                             const struct weir_compile_reply_wire *result,
                                             struct weir_error *error);

/* Jobs that one spawner runs at a time; the runtime asks for fewer. */
#define WEIR_COMPILE_JOBS_MAX 64u

#endif
