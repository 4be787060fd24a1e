/* Every limit of `weir guard` that no option sets, with its reason. */
#ifndef WEIR_CLI_GUARD_LIMITS_H
#define WEIR_CLI_GUARD_LIMITS_H

#include <stdint.h>

/* Connections: gateways keep a few dozen open. Each may take 32 KiB of libmicrohttpd, for request
 * heads that a gateway passes on; together at most 16 MiB, taken only while they are open. */
#define GUARD_CONNECTIONS_MAX 512u
#define GUARD_CONNECTION_BYTES (UINT64_C(32) << 10)
/* Above nginx's keepalive_timeout of 60 s, so that the gateway closes first. */
#define GUARD_IDLE_S 75u
/* Bodies are read and thrown away; more closes the connection. */
#define GUARD_BODY_BYTES_MAX (UINT64_C(1) << 20)
#define GUARD_THREAD_STACK (UINT64_C(256) << 10)

/* A reading costs some file reads. Measured with three levels of v1: 0.4 % of a CPU at 100 ms, 4 %
 * at 10 ms. */
#define GUARD_INTERVAL_NS_MIN UINT64_C(10000000)
#define GUARD_INTERVAL_NS_MAX UINT64_C(60000000000)
#define GUARD_DURATION_NS_MAX UINT64_C(3600000000000)

/* After the time limit a command gets SIGTERM, and so much later SIGKILL. */
#define GUARD_COMMAND_GRACE_NS UINT64_C(2000000000)
/* At the end: how often the command that resumes is looked at while it runs. */
#define GUARD_COMMAND_POLL_NS UINT64_C(10000000)

/* The same failure is logged again after so long, with how often it happened. */
#define GUARD_LOG_AGAIN_NS UINT64_C(60000000000)

#endif
