/* A chained hash table of 9 MB: pointer chasing through memory that no cache holds. */
#include "compute_guest.h"

#define BUCKETS 65536u
#define ENTRIES 400000u

struct entry {
    struct entry *next;
    uint32_t key;
    uint32_t value;
    uint32_t padding[2];
};

static struct entry *buckets[BUCKETS];
static struct entry pool[ENTRIES];
static uint32_t used;

static uint32_t random_state;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static struct entry *find(uint32_t key)
{
    for (struct entry *e = buckets[key * 2654435761u >> 16]; e != NULL; e = e->next) {
        if (e->key == key)
            return e;
    }
    return NULL;
}

static void add(uint32_t key)
{
    struct entry *e = find(key);
    if (e == NULL && used < ENTRIES) {
        struct entry **bucket = &buckets[key * 2654435761u >> 16];
        e = &pool[used++];
        *e = (struct entry){.next = *bucket, .key = key};
        *bucket = e;
    }
    if (e != NULL)
        e->value++;
}

BENCH_RUN(uint32_t scale)
{
    used = 0;
    random_state = 12345;
    for (uint32_t i = 0; i < BUCKETS; i++)
        buckets[i] = NULL;
    for (uint32_t i = 0; i < scale * 10000; i++)
        add(next_random() % 500000);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < scale * 10000; i++) {
        const struct entry *e = find(next_random() % 1000000);
        sum += e == NULL ? 1 : e->value;
    }
    return sum * 31 + used;
}
