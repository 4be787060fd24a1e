/* The miss-ratio curve: what an LRU of any number of bytes would have made of the uses so far.
 *
 * SHARDS with a fixed number of keys: of each key's uses the distance in bytes since its last one
 * is known exactly while there are at most WEIR_CURVE_KEYS keys. With more, those with the largest
 * hashes are left out and the others count for them; what they miss of the total is taken for hits
 * at the shortest distance (SHARDS-adj). Distances are kept in steps of 2.2 %. One fixed
 * allocation; one thread at a time. */
#ifndef WEIR_CACHE_CURVE_H
#define WEIR_CACHE_CURVE_H

#include "ledger/ledger.h"

struct weir__curve;

/* Charged as CACHE. */
enum weir_status weir__curve_new(struct weir_account *account, struct weir__curve **ret_curve,
                                 struct weir_error *error) WEIR_MUST_USE;
size_t weir__curve_bytes(void);
void weir__curve_free(struct weir_account *account, struct weir__curve *curve);
/* Tests: fewer keys, for estimates without ten thousand modules. Before the first use. */
void weir__curve_set_keys(struct weir__curve *curve, uint32_t keys_max);

/* `hash` is spread over all 64 bits (part of a SHA-256) and stands for the module. */
void weir__curve_use(struct weir__curve *curve, uint64_t hash, uint64_t bytes);
/* Halves what was seen once per half-life. Cheap when none has passed. */
void weir__curve_age(struct weir__curve *curve, uint64_t now_ms);

struct weir__curve_figures {
    double uses, bytes;             /* all, after halving */
    double first_uses, first_bytes; /* of these, of modules not used before */
    double rate;                    /* 1: exact */
    uint32_t keys;
    uint64_t enough_bytes; /* from here on a larger cache avoids nothing */
};
void weir__curve_figures(const struct weir__curve *curve, struct weir__curve_figures *ret);

struct weir__curve_point {
    double reload_ratio;      /* of uses: not first ones, and would miss */
    double reload_byte_ratio; /* of bytes used */
    double error;             /* standard error of the latter by jackknife; 0 when exact */
};
/* Distances within the step that `cache_bytes` falls in count as misses. */
struct weir__curve_point weir__curve_at(const struct weir__curve *curve, uint64_t cache_bytes);
/* The smallest step at which the byte ratio is at most `ratio`; 0: already without a cache. */
uint64_t weir__curve_size_for(const struct weir__curve *curve, double ratio);

#endif
