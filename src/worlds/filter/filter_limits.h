/* Limits of the filter world, each with its reason. What a plugin's configuration sets stands in
 * filter.h with its default. */
#ifndef WEIR_FILTER_LIMITS_H
#define WEIR_FILTER_LIMITS_H

/* A header map, serialised, and its pairs; Envoy takes no larger ones from a plugin either. */
#define WEIR_FILTER_MAP_BYTES_MAX (UINT64_C(1) << 20)
#define WEIR_FILTER_MAP_PAIRS_MAX 1024u
/* A line of a plugin's log; longer ones are cut. */
#define WEIR_FILTER_LOG_BYTES_MAX 4096u
/* Names and paths that a plugin hands over: upstream, metric, queue, key, property. */
#define WEIR_FILTER_NAME_BYTES_MAX 4096u
/* A value of shared data, a message of a queue, a property's value. */
#define WEIR_FILTER_VALUE_BYTES_MAX (UINT64_C(1) << 20)
/* Bodies are held in pieces of this size, so that one is never copied as a whole. */
#define WEIR_FILTER_CHUNK_BYTES 65536u
#define WEIR_FILTER_CHUNK_BYTES_MIN 1024u
/* Copies of a guest's bytes up to this size live on the C stack. */
#define WEIR_FILTER_STACK_COPY_BYTES 256u
/* Shared data, queues, metrics: entries of one registry. Each is looked for in a table that has
 * as many places. */
#define WEIR_FILTER_SHARED_MAX 65536u
#define WEIR_FILTER_QUEUES_MAX 1024u
#define WEIR_FILTER_QUEUE_MESSAGES_MAX 16384u
#define WEIR_FILTER_METRICS_MAX 4096u
/* Properties that plugins set on one stream. */
#define WEIR_FILTER_STREAM_PROPERTIES_MAX 64u
/* Queues that one VM wants to hear of. */
#define WEIR_FILTER_VM_QUEUES_MAX 64u
/* Contexts whose proxy_on_done said "not yet"; one more ends the oldest. */
#define WEIR_FILTER_LINGER_MAX 64u
/* HTTP calls of one VM that are not answered yet. */
#define WEIR_FILTER_CALLS_MAX 256u
/* Contexts of one VM are found in so many lists. */
#define WEIR_FILTER_BUCKETS 64u
/* A tick that comes more often would keep a processor busy. */
#define WEIR_FILTER_TICK_NS_MIN (UINT64_C(1) * 1000 * 1000)

#define WEIR_FILTER_MEMORY_DEFAULT (UINT64_C(128) << 20)
#define WEIR_FILTER_TIME_DEFAULT_NS (UINT64_C(1) * 1000 * 1000 * 1000)
/* Starting: Go's runtime and a large configuration take a tenth of it. */
#define WEIR_FILTER_START_NS (UINT64_C(10) * 1000 * 1000 * 1000)
#define WEIR_FILTER_BUFFER_DEFAULT (UINT64_C(16) << 20)
#define WEIR_FILTER_STREAMS_DEFAULT 1024u

#endif
