/* SIEVE, the memory tier's policy: one list in order of arrival, one mark per entry, one hand.
 *
 * A use sets the mark. The hand goes from the oldest entry to the newest and around: a marked entry
 * loses its mark and stays, an unmarked one is the victim. Entries in use are passed over with
 * their mark. No locks, no memory of its own: nodes lie in the caller's records. */
#ifndef WEIR_CACHE_CACHE_SIEVE_H
#define WEIR_CACHE_CACHE_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir__sieve_node {
    struct weir__sieve_node *newer, *older;
    uint64_t bytes;
    bool is_marked;
};

struct weir__sieve {
    struct weir__sieve_node *newest, *oldest;
    struct weir__sieve_node *hand; /* where the next search begins; NULL: at the oldest */
    uint64_t bytes;
    size_t count;
};

typedef bool weir__sieve_is_busy(const struct weir__sieve_node *node);

/* As the newest, unmarked; node->bytes is set. */
void weir__sieve_insert(struct weir__sieve *sieve, struct weir__sieve_node *node);
void weir__sieve_remove(struct weir__sieve *sieve, struct weir__sieve_node *node);
/* The entry to go next, still in the list; NULL when all are busy. */
struct weir__sieve_node *weir__sieve_victim(struct weir__sieve *sieve,
                                            weir__sieve_is_busy *is_busy);
/* Whether victims of so many bytes could be found now. */
bool weir__sieve_can_give(const struct weir__sieve *sieve, uint64_t bytes,
                          weir__sieve_is_busy *is_busy);
/* For tests: links, sums and the hand are consistent. */
void weir__sieve_check(const struct weir__sieve *sieve);

#endif
