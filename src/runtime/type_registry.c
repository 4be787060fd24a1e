/* Canonical function types: structurally equal types of all modules and host functions share one
 * record and one id, which call_indirect compares (docs/ABI.md). Reference-counted; ids of dead
 * types are used again. Lookup by id needs no lock: whoever has an id holds the type.
 */
#include <pthread.h>
#include <string.h>

#include "runtime/process_internal.h"

#define CHUNK_IDS 1024u
#define CHUNKS_MAX 4096u
#define BUCKETS 1024u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir__type *buckets[BUCKETS];
static _Atomic(struct weir__type **) chunks[CHUNKS_MAX];
static uint32_t next_id;
static uint32_t *free_ids; /* a stack; grows with the number of ids ever used */
static size_t free_id_count, free_id_room;

static uint32_t hash_codes(const struct weir_func_type *type)
{
    uint32_t hash = 2166136261u ^ (uint32_t)type->param_count;
    for (size_t i = 0; i < type->param_count; i++)
        hash = (hash ^ (uint32_t)type->params[i]) * 16777619u;
    hash = (hash ^ 0x100u) * 16777619u;
    for (size_t i = 0; i < type->result_count; i++)
        hash = (hash ^ (uint32_t)type->results[i]) * 16777619u;
    return hash;
}

static bool is_equal(const struct weir__type *a, const struct weir_func_type *b)
{
    return a->param_count == b->param_count && a->result_count == b->result_count &&
           (a->param_count == 0 ||
            memcmp(a->params, b->params, a->param_count * sizeof *a->params) == 0) &&
           (a->result_count == 0 ||
            memcmp(a->results, b->results, a->result_count * sizeof *a->results) == 0);
}

static void classify(struct weir__type *type)
{
    for (uint32_t i = 0; i < type->param_count; i++) {
        if (weir__type_is_float(type->params[i]))
            type->float_count++;
        else
            type->int_count++;
        if (i < WEIR_ABI_INT_ARGS && type->params[i] != WEIR_TYPE_I32)
            type->wide_mask |= 1u << i;
    }
    type->has_float_result = type->result_count > 0 && weir__type_is_float(type->results[0]);
    type->is_simple = type->float_count == 0 && type->int_count <= WEIR_ABI_INT_ARGS &&
                      type->result_count <= 1 && !type->has_float_result;
}

/* Under the lock. Room for every id in the free list is kept beforehand, so that releasing a type
 * never needs memory. */
static enum weir_status reserve_id(uint32_t *ret_id, struct weir_error *error)
{
    if (free_id_count > 0) {
        *ret_id = free_ids[--free_id_count];
        return WEIR_OK;
    }
    struct weir_account *host = weir_account_host();
    if (next_id == CHUNK_IDS * CHUNKS_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "%u function types are in use, which is the limit", next_id);
    if (atomic_load_explicit(&chunks[next_id / CHUNK_IDS], memory_order_relaxed) == NULL) {
        struct weir__type **chunk =
            weir_account_alloc(host, WEIR_KIND_METADATA, CHUNK_IDS * sizeof(void *), error);
        if (chunk == NULL)
            return weir_error_refused(error);
        atomic_store_explicit(&chunks[next_id / CHUNK_IDS], chunk, memory_order_release);
    }
    if (next_id == free_id_room) {
        size_t room = free_id_room == 0 ? CHUNK_IDS : free_id_room * 2;
        uint32_t *ids = weir_account_alloc(host, WEIR_KIND_METADATA, room * sizeof *ids, error);
        if (ids == NULL)
            return weir_error_refused(error);
        weir_account_free(host, WEIR_KIND_METADATA, free_ids, free_id_room * sizeof *ids);
        free_ids = ids; /* it was empty */
        free_id_room = room;
    }
    *ret_id = next_id++;
    return WEIR_OK;
}

static enum weir_status new_type(const struct weir_func_type *type, uint32_t hash,
                                 struct weir__type **ret_type, struct weir_error *error)
{
    size_t count = type->param_count + type->result_count;
    size_t bytes = sizeof **ret_type + count * sizeof *type->params;
    struct weir_account *host = weir_account_host();
    struct weir__type *record = weir_account_alloc(host, WEIR_KIND_METADATA, bytes, error);
    if (record == NULL)
        return weir_error_refused(error);
    enum weir_status status = reserve_id(&record->id, error);
    if (status != WEIR_OK) {
        weir_account_free(host, WEIR_KIND_METADATA, record, bytes);
        return status;
    }
    if (type->param_count > 0)
        memcpy(record->codes, type->params, type->param_count * sizeof *type->params);
    if (type->result_count > 0)
        memcpy(record->codes + type->param_count, type->results,
               type->result_count * sizeof *type->results);
    record->params = record->codes;
    record->results = record->codes + type->param_count;
    record->param_count = (uint32_t)type->param_count;
    record->result_count = (uint32_t)type->result_count;
    record->hash = hash;
    record->bytes = bytes;
    classify(record);
    struct weir__type **chunk =
        atomic_load_explicit(&chunks[record->id / CHUNK_IDS], memory_order_relaxed);
    chunk[record->id % CHUNK_IDS] = record;
    record->next = buckets[hash % BUCKETS];
    buckets[hash % BUCKETS] = record;
    *ret_type = record;
    return WEIR_OK;
}

enum weir_status weir__type_acquire(const struct weir_func_type *type,
                                    const struct weir__type **ret_type, struct weir_error *error)
{
    if (type->param_count > WEIR_ABI_SLOTS || type->result_count > WEIR_ABI_SLOTS)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a function type of %zu parameters and %zu results; at most %u each",
                              type->param_count, type->result_count, WEIR_ABI_SLOTS);
    uint32_t hash = hash_codes(type);
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&lock);
    struct weir__type *found = buckets[hash % BUCKETS];
    while (found != NULL && (found->hash != hash || !is_equal(found, type)))
        found = found->next;
    if (found == NULL)
        status = new_type(type, hash, &found, error);
    if (status == WEIR_OK) {
        found->refs++;
        *ret_type = found;
    }
    (void)pthread_mutex_unlock(&lock);
    return status;
}

void weir__type_release(const struct weir__type *type)
{
    if (type == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    struct weir__type **at = &buckets[type->hash % BUCKETS];
    while (*at != type)
        at = &(*at)->next;
    struct weir__type *found = *at;
    if (--found->refs == 0) {
        *at = found->next;
        free_ids[free_id_count++] = found->id;
        weir_account_free(weir_account_host(), WEIR_KIND_METADATA, found, found->bytes);
    }
    (void)pthread_mutex_unlock(&lock);
}

const struct weir__type *weir__type_at(uint32_t id)
{
    struct weir__type **chunk = atomic_load_explicit(&chunks[id / CHUNK_IDS], memory_order_acquire);
    return chunk[id % CHUNK_IDS];
}
