/* Limits of the contract world, each with its reason. "Upstream" is cosmwasm-vm. */
#ifndef WEIR_CONTRACT_LIMITS_H
#define WEIR_CONTRACT_LIMITS_H

#define CONTRACT_KI 1024u
#define CONTRACT_MI (1024u * 1024u)

/* --- what a module may be (upstream's WasmLimits) --- */
#define CONTRACT_MEMORY_PAGES_MAX 512u /* at first; 32 MiB */
#define CONTRACT_TABLE_ELEMENTS_MAX 2500u
#define CONTRACT_IMPORTS_MAX 100u
#define CONTRACT_FUNCTIONS_MAX 20000u
#define CONTRACT_PARAMS_MAX 100u
#define CONTRACT_PARAMS_TOTAL_MAX 10000u
#define CONTRACT_RESULTS_MAX 1u
#define CONTRACT_LOCALS_MAX 100u
#define CONTRACT_LOCALS_TOTAL_MAX 10000u
/* Sets in upstream's messages are cut to so many bytes. */
#define CONTRACT_SET_TEXT_MAX 200u
/* Further refusals than these are counted, not listed. */
#define CONTRACT_REFUSALS_MAX 64u

/* --- what is read from a contract's memory (upstream's limits of lengths) --- */
#define CONTRACT_KEY_MAX (64 * CONTRACT_KI)
#define CONTRACT_VALUE_MAX (128 * CONTRACT_KI)
#define CONTRACT_CANONICAL_MAX 64u
#define CONTRACT_HUMAN_MAX 256u
#define CONTRACT_QUERY_MAX (64 * CONTRACT_KI)
#define CONTRACT_ED25519_MESSAGE_MAX (128 * CONTRACT_KI)
#define CONTRACT_ED25519_BATCH_MAX 256u
#define CONTRACT_DEBUG_MAX (2 * CONTRACT_MI)
#define CONTRACT_ABORT_MAX (2 * CONTRACT_MI)
#define CONTRACT_RESULT_MAX (64 * CONTRACT_MI)

/* --- ours --- */
/* Calls of the host into a contract that is running already: the entry point, and `allocate` out of
 * a host function (upstream's MAX_CALL_DEPTH). */
#define CONTRACT_CALL_DEPTH_MAX 2u
/* wasmvm's limit of iterators that one call may open. */
#define CONTRACT_ITERATORS_MAX 32768u
/* Keys that a call's iterators may pass over because they were written after the iterator was
 * opened. Each costs a lookup for which nobody pays: 32,768 iterators before 100,000 writes would
 * make it hours; this many take a second. */
#define CONTRACT_PASSED_MAX (256 * CONTRACT_KI)
/* What jansson holds at most for each byte of a request while it is answered: `{}` in an array,
 * three bytes with its comma, takes 236 (test_contract_query measures it). */
#define CONTRACT_JSON_BYTES_PER_BYTE 112u
/* Queries of contracts to contracts, one inside another (wasmd: DefaultMaxQueryStackSize). */
#define CONTRACT_QUERY_DEPTH_MAX 10u
/* Of a contract (wasmd's MaxLabelSize). */
#define CONTRACT_LABEL_MAX 128u
/* Codes that a chain has loaded; the one not used for longest goes. More than queries can nest. */
#define CONTRACT_CODES_LOADED_MAX 16u
/* Linear memory of a contract (wasmd's constant). */
#define CONTRACT_MEMORY_BYTES_DEFAULT (32 * CONTRACT_MI)
/* What a call may hold besides twice that: the copy of one region can be as large as the memory,
 * and keys, values, answers, iterators and the store's own records come on top. */
#define CONTRACT_HOST_BYTES_MAX (16 * CONTRACT_MI)
/* Messages of `debug` that a call's result keeps; the rest is counted. */
#define CONTRACT_DEBUG_KEPT_MAX (64 * CONTRACT_KI)
/* What is kept of an abort's message, or of any other reason why a call failed. */
#define CONTRACT_REASON_MAX (8 * CONTRACT_KI)
/* A module that may be stored (wasmd's MaxWasmSize is 800 KiB; test contracts are larger). */
#define CONTRACT_WASM_MAX (3 * CONTRACT_MI)
/* Calls of one contract that run at the same time, and instances that are kept ready. */
#define CONTRACT_SLOTS_MAX 64u
#define CONTRACT_SLOTS_WARM 2u

/* SQLite: page cache of a connection, and the most that all connections may hold: cache, schema,
 * prepared statements, one key and one value in flight. */
#define CONTRACT_SQLITE_CACHE_KIB 2048u
#define CONTRACT_SQLITE_BYTES_MAX (16 * CONTRACT_MI)
/* A state that another process writes is waited for so long. */
#define CONTRACT_BUSY_MS 10000

#endif
