/* A recorded trace of module use, replayed: what the memory tier would have done with other sizes.
 *
 * By SIEVE, as the cache really is, use by use; by the curve, which is the LRU of the same size. */
#ifndef WEIR_CACHE_REPLAY_H
#define WEIR_CACHE_REPLAY_H

#include "ledger/ledger.h"

struct weir_replay;

/* The bytes that a module takes in memory, for a trace that does not say; 0: unknown. */
typedef uint64_t weir_replay_size(void *context, const uint8_t module[32]);

struct weir_replay_trace {
    const char *name; /* for messages */
    const char *bytes;
    size_t size;
    weir_replay_size *size_of; /* may be NULL */
    void *context;
};
/* Reads the whole trace (base/use_trace.h). MALFORMED with the line; LIMIT for more uses than are
 * replayed; INVALID when nothing in it has a size. */
enum weir_status weir_replay_open(const struct weir_replay_trace *trace,
                                  struct weir_replay **ret_replay, struct weir_error *error)
    WEIR_MUST_USE;
void weir_replay_free(struct weir_replay *replay);

struct weir_replay_figures {
    uint64_t uses, used_bytes;
    uint64_t modules, module_bytes; /* different ones, and what holds them all */
    uint64_t largest_bytes;
    uint64_t unknown_uses; /* left out: nobody knows their size */
    uint64_t enough_bytes; /* the LRU that loads nothing twice; 0: nothing was used twice */
    uint64_t duration_ms;  /* 0: the trace does not say */
};
void weir_replay_figures(const struct weir_replay *replay, struct weir_replay_figures *ret);

struct weir_replay_result {
    uint64_t cache_bytes;
    uint64_t loads, reloads;
    uint64_t loaded_bytes, reloaded_bytes;
    uint64_t evictions;
    double lru_reload_byte_ratio; /* of the LRU's curve; estimated beyond 8,192 modules */
};
void weir_replay_run(struct weir_replay *replay, uint64_t cache_bytes,
                     struct weir_replay_result *ret);
/* The size at which the LRU reloads at most this share of the bytes used; 0: any. */
uint64_t weir_replay_size_for(const struct weir_replay *replay, double ratio);

#endif
