/* Every limit of the server that no configuration key sets, with its reason. */
#ifndef WEIR_SERVER_LIMITS_H
#define WEIR_SERVER_LIMITS_H

/* The configuration file: 1,000 routes fit ten times. */
#define WEIR_SERVER_CONFIG_BYTES_MAX (1u << 20)
#define WEIR_SERVER_ROUTES_MAX 1000
#define WEIR_SERVER_LIST_MAX 64 /* args, env, dirs of one route */
/* Filters of one route; each is a step on the way of every byte. */
#define WEIR_SERVER_FILTERS_MAX 16
#define WEIR_SERVER_UPSTREAMS_MAX 64

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
/* Names of a route's handler and of the header field that tells its clients apart: no more than
 * what its environment and the log show whole. */
#define WEIR_SERVER_NAME_MAX 100u
#define WEIR_SERVER_HANDLER_DEFAULT "handle"
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
/* The watch's, the reports', the changes', the governor's, the one that libmicrohttpd accepts with
 * beside its loops, and the one that accepts on further sockets. */
#define WEIR_SERVER_OWN_THREADS 6u
/* How often client timeouts are looked at. */
#define WEIR_SERVER_WATCH_MS 250
/* After the drain's bound: time for cancelled guests to come back. */
#define WEIR_SERVER_CANCEL_MS 5000
/* --- control --- */

/* A module as the engine takes it. */
#define WEIR_SERVER_UPLOAD_MAX (UINT64_C(1) << 30)
/* The record of an upload: paths, and OpenSSL's state of the hash. */
#define WEIR_SERVER_UPLOAD_BYTES (UINT64_C(6) << 10)
/* sizeof(struct sockaddr_un.sun_path) */
#define WEIR_SERVER_SOCKET_PATH_MAX 108u
/* Sockets beside the first: control.socket, and what a service manager hands over. */
#define WEIR_SERVER_LISTEN_MAX 8u
/* A token: shorter ones can be guessed, longer ones are no token but the wrong file. */
#define WEIR_SERVER_TOKEN_MIN 16u
#define WEIR_SERVER_TOKEN_MAX 256u
/* Changes that wait for each other. */
#define WEIR_SERVER_CHANGES_MAX 8u

/* Lines that wait for a log's file: a second of 5,000 requests with 200 bytes each. The least holds
 * a few of the longest lines; more than the most would only hide that the disk is too slow. */
#define WEIR_SERVER_LOG_QUEUE_DEFAULT (UINT64_C(1) << 20)
#define WEIR_SERVER_LOG_QUEUE_MIN (UINT64_C(64) << 10)
#define WEIR_SERVER_LOG_QUEUE_MAX (UINT64_C(64) << 20)
/* What a log takes beside its queue: the batch on its way to the file, and records. */
#define WEIR_SERVER_LOG_OWN_BYTES (UINT64_C(68) << 10)
/* One line: a target of 4 KiB and two header fields, escaped, fit. */
#define WEIR_SERVER_LOG_LINE_BYTES ((size_t)8 << 10)
/* Requests of a tenant at once: the largest configuration has ten thousand of each route. */
#define WEIR_SERVER_TENANT_CONCURRENCY_MAX 10000000u
/* A tenant's name: a route's path, where it names none. */
#define WEIR_SERVER_TENANT_NAME_MAX 256u
/* A request's name in logs and answers; a longer one of the client's is replaced. */
#define WEIR_SERVER_REQUEST_ID_MAX 64u
/* Log lines about failed guests, per second; the rest is counted. */
#define WEIR_SERVER_LOG_LINES_MAX 10u

/* --- filters --- */

/* What a filtered request holds between two steps, each way: a client or an upstream that is faster
 * than the rest waits. */
#define WEIR_SERVER_FILTER_WINDOW (64u * 1024)
/* A piece of a body with its record; the record of a filtered request with sixteen stages. */
#define WEIR_SERVER_FILTER_CHUNK (66u * 1024)
#define WEIR_SERVER_FILTERED_BYTES (8u * 1024)
/* A callback runs so long before another plugin's turn. */
#define WEIR_SERVER_FILTER_SLICE_NS (UINT64_C(2) * 1000 * 1000)
/* A plugin that failed is tried again after this, doubled by each failure up to the most. */
#define WEIR_SERVER_FILTER_RETRY_NS (UINT64_C(100) * 1000 * 1000)
#define WEIR_SERVER_FILTER_RETRY_NS_MAX (UINT64_C(10) * 1000 * 1000 * 1000)
/* Above its soft mark a VM takes no new stream so long, so that it becomes idle and is recycled. */
#define WEIR_SERVER_FILTER_DRAIN_NS (UINT64_C(1) * 1000 * 1000 * 1000)
/* Shared data, queues, metrics and records of one plugin, beside its VMs. */
#define WEIR_SERVER_FILTER_SHARED_BYTES (UINT64_C(16) << 20)
/* Connections of filters to the guests behind them, each of which is one of the server's. */
#define WEIR_SERVER_INNER_CONNECTIONS 64u
/* The answer of an upstream to a filter's call: its head. */
#define WEIR_SERVER_UPSTREAM_HEAD_MAX (64u * 1024)
/* A filter thread's stack: callbacks of libcurl (TLS) are deeper than ours. */
#define WEIR_SERVER_FILTER_THREAD_STACK (512u * 1024)
/* libcurl's part: of a transfer (its buffers of 16 and 16 KiB, its records), of a connection that
 * is kept (with TLS about 40 KiB), of itself with OpenSSL. */
#define WEIR_SERVER_TRANSFER_BYTES (UINT64_C(96) << 10)
#define WEIR_SERVER_CURL_BYTES (UINT64_C(4) << 20)

/* --- for plans; what is measured is held against running hosts by tests --- */

/* The ledger's own limit must leave room for a compile job or a few guests. */
#define WEIR_SERVER_MEMORY_MIN (UINT64_C(16) << 20)
/* Program and libraries: 8.2 MiB of files (their pages can be read again, but a host that has lost
 * them stands still) and 1.6 MiB of relocated data, loader, and what libmicrohttpd, libyaml,
 * jansson and the C library hold: 0.4 MiB live after start. malloc keeps at most 256 KiB at the top
 * of each of two heaps. */
#define WEIR_SERVER_LIBRARY_BYTES (UINT64_C(14) << 20)
/* libmicrohttpd's record of a connection and its response, and malloc's rounding: 1.6 KiB. */
#define WEIR_SERVER_LIBRARY_CONNECTION_BYTES (UINT64_C(4) << 10)
/* A streamed answer: libmicrohttpd's block of 32 KiB and its records. */
#define WEIR_SERVER_STREAM_BYTES (UINT64_C(36) << 10)
/* The kernel's part: buffers of a socket grow to twice WEIR_SERVER_SOCKET_BUFFER_BYTES each way,
 * its records are about 6 KiB; a thread has a stack of 16 KiB and as much again of records; page
 * tables of the host itself, areas of the address space, epoll: 1 MiB. */
#define WEIR_SERVER_SOCKET_BUFFER_BYTES (64 << 10)
#define WEIR_SERVER_SOCKET_BYTES (UINT64_C(4) * WEIR_SERVER_SOCKET_BUFFER_BYTES + (8u << 10))
#define WEIR_SERVER_THREAD_KERNEL_BYTES (UINT64_C(32) << 10)
#define WEIR_SERVER_KERNEL_BYTES (UINT64_C(2) << 20)
/* /metrics, /v1/memory and /v1/cache: so many at once, more are answered 429. JSON is a tree of
 * about 100 bytes per value before it is text. */
#define WEIR_SERVER_REPORTS_MAX 4u
#define WEIR_SERVER_REPORT_BYTES (UINT64_C(128) << 10)
#define WEIR_SERVER_REPORT_SLOT_BYTES (UINT64_C(6) << 10)
#define WEIR_SERVER_REPORT_ROUTE_BYTES (UINT64_C(32) << 10)
#define WEIR_SERVER_REPORT_MODULE_BYTES (UINT64_C(3) << 10)
/* Censuses that are kept to compare with: the first, and seven ever further apart, so that one is
 * at most ten times as old as is asked for. Each has groups for what routes have in common and for
 * some types of objects per route. */
#define WEIR_SERVER_CENSUS_KEPT 8u
#define WEIR_SERVER_CENSUS_GROUPS 64u
#define WEIR_SERVER_CENSUS_ROUTE_GROUPS 8u
#define WEIR_SERVER_CENSUS_GROUPS_MAX 1024u
#define WEIR_SERVER_CENSUS_STORES_MAX 256u
/* Its own records, and a few references. */
#define WEIR_SERVER_CENSUS_OWN_BYTES (UINT64_C(16) << 10)
/* Rows of each of a page's three lists, 1.6 KiB each as a tree of JSON. */
#define WEIR_SERVER_CENSUS_TOP_DEFAULT 50u
#define WEIR_SERVER_CENSUS_TOP_MAX 100u
#define WEIR_SERVER_CENSUS_PAGE_BYTES(top) ((UINT64_C(20) << 10) + (top) * UINT64_C(3 * 1700))
/* Areas and descriptors of libraries, malloc's heaps, threads; artifacts, epolls, the spawner,
 * files being read. */
#define WEIR_SERVER_OWN_MAPPINGS 512u
#define WEIR_SERVER_OWN_DESCRIPTORS 64u

/* The module cache of a host: routes hold what they use, beside it stays what they used before.
 * Modules that are remembered at all, and that a page of metrics tells one by one. */
#define WEIR_SERVER_CACHE_MEMORY_DEFAULT (UINT64_C(8) << 20)
#define WEIR_SERVER_CACHE_PINNED_DEFAULT (UINT64_C(8) << 20)
#define WEIR_SERVER_CACHE_MODULES_MAX 128u
#define WEIR_SERVER_CACHE_ROWS 64u

/* --- the governor --- */

/* Kept free unless told otherwise: what the kernel counts late (64 pages per processor) and what
 * comes between two readings. They are 100 ms apart; pressure lasts a second at least. */
#define WEIR_SERVER_FREE_LIMIT_DEFAULT (UINT64_C(16) << 20)
#define WEIR_SERVER_POLL_NS UINT64_C(100000000)
#define WEIR_SERVER_DWELL_NS UINT64_C(1000000000)
/* What a reload takes of its own when nothing else is granted: a configuration of some hundred
 * routes, tables, a governor. */
#define WEIR_SERVER_CONTROL_BYTES (UINT64_C(1) << 20)
/* Readings count for ten intervals and this: a machine that is short of memory is slow. */
#define WEIR_SERVER_STALE_NS UINT64_C(2000000000)
/* malloc_trim() walks all free memory; one stopped guest must have time to end before the next. */
#define WEIR_SERVER_SHRINK_NS UINT64_C(1000000000)
#define WEIR_SERVER_STOP_NS UINT64_C(500000000)
/* Guests that are looked at when one has to be stopped: rows of the table in the log. */
#define WEIR_SERVER_CANDIDATES_MAX 64u

#endif
