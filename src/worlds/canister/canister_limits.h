/* Limits of the canister world, each with its reason. Those of the Internet Computer are its own
 * (resource-limits of its documentation), so that what runs here runs there. */
#ifndef WEIR_CANISTER_LIMITS_H
#define WEIR_CANISTER_LIMITS_H

#include <stdint.h>

/* --- the Internet Computer's --- */
#define CANISTER_MODULE_BYTES_MAX (UINT64_C(100) << 20) /* also what a gzip may unpack to */
#define CANISTER_CODE_BYTES_MAX (UINT64_C(10) << 20)
#define CANISTER_FUNCTIONS_MAX 50000u
#define CANISTER_GLOBALS_MAX 1000u
#define CANISTER_METHODS_MAX 1000u
#define CANISTER_METHOD_NAMES_BYTES_MAX 20000u
#define CANISTER_CUSTOM_BYTES_MAX (UINT64_C(1) << 20) /* of sections named icp: */
#define CANISTER_CUSTOM_SECTIONS_MAX 16u
#define CANISTER_HEAP32_BYTES_MAX (UINT64_C(4) << 30)
#define CANISTER_HEAP64_BYTES_MAX (UINT64_C(6) << 30)
#define CANISTER_STABLE_BYTES_MAX (UINT64_C(500) << 30)
#define CANISTER_ARGUMENT_BYTES_MAX (UINT64_C(2) << 20)
/* A call to the same subnet, as one to itself is. */
#define CANISTER_CALL_BYTES_MAX (UINT64_C(10) << 20)
#define CANISTER_REPLY_BYTES_MAX (UINT64_C(2) << 20)
#define CANISTER_QUERY_REPLY_BYTES_MAX (UINT64_C(3) << 20)
#define CANISTER_UPDATE_INSTRUCTIONS UINT64_C(40000000000)
#define CANISTER_QUERY_INSTRUCTIONS UINT64_C(5000000000)
#define CANISTER_INSPECT_INSTRUCTIONS UINT64_C(200000000)
#define CANISTER_INSTALL_INSTRUCTIONS UINT64_C(300000000000)
#define CANISTER_CERTIFIED_BYTES_MAX 32u
#define CANISTER_PRINCIPAL_BYTES_MAX 29u
#define CANISTER_HISTORY_MAX 20u
/* Outgoing calls of a canister that wait for a response. */
#define CANISTER_CALLS_MAX 500u

/* --- defaults --- */

/* Juno's for every module that it makes. */
#define CANISTER_HEAP_LIMIT_DEFAULT (UINT64_C(1) << 30)

/* --- Weir's --- */

/* Messages that one call from outside may set off; further calls are answered as by a full queue.
 * A chain of this length is a loop. */
#define CANISTER_MESSAGES_MAX 10000u
/* Pages that stay private between messages, so that the next one takes no fault for them: 32. Each
 * is compared or copied at the end of every message, about 0.2 us; one of Motoko writes 3 to 15. */
#define CANISTER_KEEP_RESIDENT_BYTES (UINT64_C(128) << 10)
/* A reject message or trap text that a module hands over; the rest is cut. */
#define CANISTER_TEXT_BYTES_MAX 8192u
/* Text of debug_print per message: a log line, not a channel. */
#define CANISTER_DEBUG_BYTES_MAX (UINT64_C(64) << 10)
/* Rows of the growth table: method and function pairs. The smallest gives way and is counted in a
 * row of its own. */
#define CANISTER_GROWTHS_MAX 64u
#define CANISTER_NAME_BYTES_MAX 63u /* of a canister, which is a file name too */
#define CANISTER_CONTROLLERS_MAX 10u
/* How often a folder is opened that another process removes meanwhile, as a failed install does. */
#define CANISTER_OPEN_TRIES 8u
/* Files of changes behind a saved state; the next save is whole then, as it is when they have these
 * bytes and half of the state's. Loading reads all of them. */
#define CANISTER_CHANGES_MAX 64u
#define CANISTER_CHANGES_BYTES (UINT64_C(1) << 20)
/* What a module may unpack by more than its own size is a bomb rather than a module, whatever the
 * limit above says: code compresses three to eight times. */
#define CANISTER_GZIP_RATIO_MAX 200u

#endif
