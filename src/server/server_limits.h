/* Every limit of the server that no configuration key sets, with its reason. */
#ifndef WEIR_SERVER_LIMITS_H
#define WEIR_SERVER_LIMITS_H

/* The configuration file: 1,000 routes fit ten times. */
#define WEIR_SERVER_CONFIG_BYTES_MAX (1u << 20)
#define WEIR_SERVER_ROUTES_MAX 1000
#define WEIR_SERVER_LIST_MAX 64 /* args, env, dirs of one route */

/* What libmicrohttpd may take for one connection: request head, read and write buffers. */
#define WEIR_SERVER_CONNECTION_BYTES (32u * 1024)
/* A request target longer than this answers 414; the copy is kept with the connection. */
#define WEIR_SERVER_TARGET_MAX 4096u
/* Body bytes on their way into a guest, and output on its way out. A guest that meets a full or
 * empty buffer is parked. Two of the largest TCP segments with offload. */
#define WEIR_SERVER_BUFFER_BYTES (64u * 1024)
/* The environment of one guest: head of the request plus the route's own. */
#define WEIR_SERVER_ENV_BYTES (20u * 1024)
#define WEIR_SERVER_ENV_MAX 160u
/* CGI header fields of a guest's answer: must end within so many bytes and lines. */
#define WEIR_SERVER_CGI_HEAD_MAX (16u * 1024)
#define WEIR_SERVER_CGI_FIELDS_MAX 64u
/* What a guest wrote to stderr, kept for the log line of its failure. */
#define WEIR_SERVER_STDERR_BYTES 240u

/* A refused body of at most this much beyond its limit is read and thrown away, so that the client
 * sees the answer instead of a reset; more closes the connection. */
#define WEIR_SERVER_DISCARD_MAX (1u << 20)
/* A client must move at least this much per second once its timeout's grace is over. */
#define WEIR_SERVER_RATE_MIN (16u * 1024)

/* DESIGN 5.10: running time on the event loop's thread, then time slices in a worker. */
#define WEIR_SERVER_INLINE_NS 1000000u
#define WEIR_SERVER_SLICE_NS 5000000u
/* An answer up to this size leaves in the same system call as its head; its slot is cleaned behind
 * it. Larger ones may wait for a slow client: the slot goes back first. */
#define WEIR_SERVER_LATE_CLEAN_BYTES (16u * 1024)

#define WEIR_SERVER_THREAD_STACK (256u * 1024)
/* How often client timeouts are looked at. */
#define WEIR_SERVER_WATCH_MS 250
/* After the drain's bound: time for cancelled guests to come back. */
#define WEIR_SERVER_CANCEL_MS 5000
/* Log lines about failed guests, per second; the rest is counted. */
#define WEIR_SERVER_LOG_LINES_MAX 10u

#endif
