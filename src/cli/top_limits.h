/* The limits of `weir top`, each with its reason. */
#ifndef WEIR_CLI_TOP_LIMITS_H
#define WEIR_CLI_TOP_LIMITS_H

/* An answer of a host with 1,000 routes and 16,000 slots is 5 MB. */
#define WEIR_TOP_ANSWER_BYTES_MAX (16u << 20)
/* How long a host may take to answer. Equation (a) of a large one takes some tenths of a second: on
 * a terminal, where keys wait meanwhile and the next look is soon, it is told after these. */
#define WEIR_TOP_TIMEOUT_MS 3000
/* Without a terminal a look that is missed is an error: this ends what hangs, also where a host
 * under load gets a twentieth of a processor. */
#define WEIR_TOP_BATCH_TIMEOUT_MS 30000
/* Rows of a view: 1,000 routes with all kinds of bytes fit. What is beyond is counted. */
#define WEIR_TOP_ROWS_MAX 16384u
/* Accounts may lie so deep in an answer. */
#define WEIR_TOP_DEPTH_MAX 16u
/* Rows that a host is asked for: the most that it gives. */
#define WEIR_TOP_ASKED_ROWS 100u
/* Names are shown to this length, of what is longer the begin. */
#define WEIR_TOP_NAME_SIZE 128u
/* A growth rate forgets what is older than about this. */
#define WEIR_TOP_GROWTH_SECONDS 30.0
/* Narrower or lower is not drawn for. */
#define WEIR_TOP_COLUMNS_MIN 20
#define WEIR_TOP_COLUMNS_MAX 500
#define WEIR_TOP_LINES_MIN 6
#define WEIR_TOP_LINES_MAX 500

#endif
