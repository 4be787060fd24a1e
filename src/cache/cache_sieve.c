/* See cache_sieve.h. */
#include "cache/cache_sieve.h"

#include "base/check.h"

void weir__sieve_insert(struct weir__sieve *sieve, struct weir__sieve_node *node)
{
    node->is_marked = false;
    node->newer = NULL;
    node->older = sieve->newest;
    if (sieve->newest != NULL)
        sieve->newest->newer = node;
    else
        sieve->oldest = node;
    sieve->newest = node;
    sieve->bytes += node->bytes;
    sieve->count++;
}

void weir__sieve_remove(struct weir__sieve *sieve, struct weir__sieve_node *node)
{
    WEIR_DASSERT(sieve->count > 0 && sieve->bytes >= node->bytes);
    if (sieve->hand == node)
        sieve->hand = node->newer;
    if (node->newer != NULL)
        node->newer->older = node->older;
    else
        sieve->newest = node->older;
    if (node->older != NULL)
        node->older->newer = node->newer;
    else
        sieve->oldest = node->newer;
    node->newer = node->older = NULL;
    sieve->bytes -= node->bytes;
    sieve->count--;
}

struct weir__sieve_node *weir__sieve_victim(struct weir__sieve *sieve, weir__sieve_is_busy *is_busy)
{
    struct weir__sieve_node *at = sieve->hand;
    /* Twice around: the first may only take marks away. */
    for (size_t steps = 2 * sieve->count; steps > 0; steps--) {
        if (at == NULL)
            at = sieve->oldest;
        if (!is_busy(at)) {
            if (!at->is_marked) {
                sieve->hand = at;
                return at;
            }
            at->is_marked = false;
        }
        at = at->newer;
    }
    sieve->hand = at;
    return NULL;
}

bool weir__sieve_can_give(const struct weir__sieve *sieve, uint64_t bytes,
                          weir__sieve_is_busy *is_busy)
{
    uint64_t found = 0;
    for (const struct weir__sieve_node *at = sieve->oldest; at != NULL && found < bytes;
         at = at->newer)
        if (!is_busy(at))
            found += at->bytes;
    return found >= bytes;
}

void weir__sieve_check(const struct weir__sieve *sieve)
{
    uint64_t bytes = 0;
    size_t count = 0;
    bool has_hand = sieve->hand == NULL;
    const struct weir__sieve_node *older = NULL;
    for (const struct weir__sieve_node *at = sieve->oldest; at != NULL;
         older = at, at = at->newer) {
        WEIR_ASSERT(at->older == older);
        has_hand |= at == sieve->hand;
        bytes += at->bytes;
        count++;
    }
    WEIR_ASSERT(sieve->newest == older && has_hand);
    WEIR_ASSERT(sieve->bytes == bytes && sieve->count == count);
}
