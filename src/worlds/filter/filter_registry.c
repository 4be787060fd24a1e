/* Shared data, queues and metrics of all plugins of a host: one lock, a table of entries by the
 * hash of (what, vm_id, name), and arrays that make ids. Every entry is charged to the plugin that
 * made it (shared_data), so its limit holds for what it leaves here, too. */
#include "base/check.h"
#include "worlds/filter/filter_internal.h"

#include <string.h>

enum entry_type {
    ENTRY_DATA,
    ENTRY_QUEUE,
    ENTRY_METRIC
};

struct message {
    struct message *next;
    struct weir_account *account;
    size_t size;
    uint8_t bytes[];
};

struct entry {
    struct entry *next; /* in its bucket */
    struct weir_account *account;
    const struct weir_filter_plugin *plugin; /* metrics: whose */
    enum entry_type type;
    uint32_t id; /* queues and metrics: place + 1 */
    uint32_t scope_size, name_size;
    /* data */
    uint8_t *value;
    size_t value_size;
    uint32_t cas;
    /* queue */
    struct message *first, *last;
    uint32_t message_count;
    _Atomic uint64_t enqueued;
    /* metric */
    enum weir_filter_metric_type metric;
    uint64_t number, samples;
    uint8_t bytes[]; /* scope, 0, name, 0 */
};

#define BUCKETS 1024u

struct weir_filter_registry {
    struct weir_account *account;
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS];
    struct entry *queues[WEIR_FILTER_QUEUES_MAX];
    struct entry *metrics[WEIR_FILTER_METRICS_MAX];
    uint32_t counts[3]; /* by type */
};

enum weir_status weir_filter_registry_new(struct weir_account *account,
                                          struct weir_filter_registry **ret_registry,
                                          struct weir_error *error)
{
    struct weir_filter_registry *registry =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *registry, error);
    if (registry == NULL)
        return WEIR_LIMIT;
    registry->account = account;
    (void)pthread_mutex_init(&registry->lock, NULL);
    *ret_registry = registry;
    return WEIR_OK;
}

static size_t entry_bytes(const struct entry *entry)
{
    return sizeof *entry + entry->scope_size + entry->name_size + 2;
}

static void free_message(struct message *message)
{
    weir_account_free(message->account, WEIR_KIND_SHARED_DATA, message,
                      sizeof *message + message->size);
}

static void free_value(struct entry *entry)
{
    weir_account_free(entry->account, WEIR_KIND_SHARED_DATA, entry->value, entry->value_size);
    entry->value = NULL;
    entry->value_size = 0;
}

static void free_entry(struct entry *entry)
{
    while (entry->first != NULL) {
        struct message *message = entry->first;
        entry->first = message->next;
        free_message(message);
    }
    if (entry->value != NULL)
        free_value(entry);
    weir_account_free(entry->account, WEIR_KIND_SHARED_DATA, entry, entry_bytes(entry));
}

void weir_filter_registry_free(struct weir_filter_registry *registry)
{
    if (registry == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (registry->buckets[i] != NULL) {
            struct entry *entry = registry->buckets[i];
            registry->buckets[i] = entry->next;
            free_entry(entry);
        }
    (void)pthread_mutex_destroy(&registry->lock);
    weir_account_free(registry->account, WEIR_KIND_METADATA, registry, sizeof *registry);
}

static void lock(struct weir_filter_registry *registry)
{
    int failed = pthread_mutex_lock(&registry->lock);
    WEIR_ASSERT(failed == 0);
}

static void unlock(struct weir_filter_registry *registry)
{
    int failed = pthread_mutex_unlock(&registry->lock);
    WEIR_ASSERT(failed == 0);
}

struct key {
    enum entry_type type;
    struct weir_filter_text scope, name;
};

static struct entry **bucket_of(struct weir_filter_registry *registry, const struct key *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ key->type;
    const struct weir_filter_text texts[] = {key->scope, key->name};
    for (size_t t = 0; t < 2; t++) {
        const uint8_t *bytes = texts[t].bytes;
        for (size_t i = 0; i < texts[t].size; i++)
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
        hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);
    }
    return &registry->buckets[(hash ^ hash >> 32) % BUCKETS];
}

static bool is_key(const struct entry *entry, const struct key *key)
{
    return entry->type == key->type && entry->scope_size == key->scope.size &&
           entry->name_size == key->name.size &&
           memcmp(entry->bytes, key->scope.bytes, key->scope.size) == 0 &&
           memcmp(entry->bytes + entry->scope_size + 1, key->name.bytes, key->name.size) == 0;
}

static struct entry *find(struct weir_filter_registry *registry, const struct key *key)
{
    struct entry *entry = *bucket_of(registry, key);
    while (entry != NULL && !is_key(entry, key))
        entry = entry->next;
    return entry;
}

/* There is room: the count says so. */
static void place(struct entry *entry, struct entry **places)
{
    uint32_t at = 0;
    while (places[at] != NULL)
        at++;
    places[at] = entry;
    entry->id = at + 1;
}

/* NULL: too many, or the account refused. */
static struct entry *add(struct weir_filter_plugin *plugin, const struct key *key,
                         struct weir_error *error)
{
    struct weir_filter_registry *registry = plugin->registry;
    static const uint32_t maxima[] = {WEIR_FILTER_SHARED_MAX, WEIR_FILTER_QUEUES_MAX,
                                      WEIR_FILTER_METRICS_MAX};
    static const char *const what[] = {"keys of shared data", "shared queues", "metrics"};
    if (registry->counts[key->type] >= maxima[key->type]) {
        (void)weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                             "there are %u %s, as many as there may be", maxima[key->type],
                             what[key->type]);
        return NULL;
    }
    struct entry *entry =
        weir_account_alloc(plugin->account, WEIR_KIND_SHARED_DATA,
                           sizeof *entry + key->scope.size + key->name.size + 2, error);
    if (entry == NULL)
        return NULL;
    entry->account = plugin->account;
    entry->plugin = plugin;
    entry->type = key->type;
    entry->scope_size = (uint32_t)key->scope.size;
    entry->name_size = (uint32_t)key->name.size;
    if (key->scope.size > 0)
        memcpy(entry->bytes, key->scope.bytes, key->scope.size);
    if (key->name.size > 0)
        memcpy(entry->bytes + key->scope.size + 1, key->name.bytes, key->name.size);
    struct entry **bucket = bucket_of(registry, key);
    entry->next = *bucket;
    *bucket = entry;
    registry->counts[key->type]++;
    if (key->type != ENTRY_DATA)
        place(entry, key->type == ENTRY_QUEUE ? registry->queues : registry->metrics);
    return entry;
}

/* --- shared data ----------------------------------------------------------------------------- */

/* The entry's account pays for its values, whoever sets them. */
static enum weir_status set_value(struct entry *entry, struct weir_filter_text value,
                                  struct weir_error *error)
{
    uint8_t *bytes = NULL;
    if (value.size > 0) {
        bytes = weir_account_alloc(entry->account, WEIR_KIND_SHARED_DATA, value.size, error);
        if (bytes == NULL)
            return WEIR_LIMIT;
        memcpy(bytes, value.bytes, value.size);
    }
    if (entry->value != NULL)
        free_value(entry);
    entry->value = bytes;
    entry->value_size = value.size;
    entry->cas = entry->cas == UINT32_MAX ? 1 : entry->cas + 1;
    return WEIR_OK;
}

enum weir_status weir__filter_shared_set(struct weir_filter_plugin *plugin,
                                         struct weir_filter_text key_text,
                                         struct weir_filter_text value, uint32_t cas,
                                         struct weir_error *error)
{
    struct weir_filter_registry *registry = plugin->registry;
    const struct key key = {ENTRY_DATA, weir_filter_text(plugin->config.vm_id), key_text};
    lock(registry);
    struct entry *entry = find(registry, &key);
    enum weir_status status = WEIR_OK;
    if (cas != 0 && (entry == NULL || cas != entry->cas))
        status = WEIR_EXISTS;
    if (status == WEIR_OK && entry == NULL) {
        entry = add(plugin, &key, error);
        status = entry != NULL ? WEIR_OK : WEIR_LIMIT;
    }
    if (status == WEIR_OK)
        status = set_value(entry, value, error);
    unlock(registry);
    return status;
}

static enum weir_status copy_out(struct weir__filter_slice *slice, const void *bytes, size_t size)
{
    slice->bytes = slice->few;
    if (size > sizeof slice->few) {
        uint8_t *copy = weir_account_alloc(slice->account, WEIR_KIND_HOST_BUFFER, size, NULL);
        if (copy == NULL)
            return WEIR_LIMIT;
        slice->bytes = copy;
    }
    slice->size = size;
    if (size > 0)
        memcpy(slice->bytes, bytes, size);
    return WEIR_OK;
}

enum weir_status weir__filter_shared_get(struct weir_filter_plugin *plugin,
                                         struct weir_filter_text key_text,
                                         struct weir__filter_slice *slice, uint32_t *ret_cas)
{
    struct weir_filter_registry *registry = plugin->registry;
    const struct key key = {ENTRY_DATA, weir_filter_text(plugin->config.vm_id), key_text};
    lock(registry);
    const struct entry *entry = find(registry, &key);
    enum weir_status status = WEIR_NOT_FOUND;
    if (entry != NULL) {
        status = copy_out(slice, entry->value, entry->value_size);
        *ret_cas = entry->cas;
    }
    unlock(registry);
    return status;
}

/* --- queues ---------------------------------------------------------------------------------- */

enum weir_status weir__filter_queue_open(struct weir_filter_plugin *plugin,
                                         struct weir_filter_text vm_id,
                                         struct weir_filter_text name, bool is_making,
                                         uint32_t *ret_id, struct weir_error *error)
{
    struct weir_filter_registry *registry = plugin->registry;
    const struct key key = {ENTRY_QUEUE, vm_id, name};
    lock(registry);
    struct entry *entry = find(registry, &key);
    enum weir_status status = WEIR_OK;
    if (entry == NULL && !is_making)
        status = WEIR_NOT_FOUND;
    if (entry == NULL && is_making) {
        entry = add(plugin, &key, error);
        status = entry != NULL ? WEIR_OK : WEIR_LIMIT;
    }
    if (status == WEIR_OK)
        *ret_id = entry->id;
    unlock(registry);
    return status;
}

/* Under the lock. */
static struct entry *queue_of(struct weir_filter_registry *registry, uint32_t id)
{
    return id > 0 && id <= WEIR_FILTER_QUEUES_MAX ? registry->queues[id - 1] : NULL;
}

enum weir_status weir__filter_queue_put(struct weir_filter_plugin *plugin, uint32_t id,
                                        struct weir_filter_text text, struct weir_error *error)
{
    struct weir_filter_registry *registry = plugin->registry;
    lock(registry);
    struct entry *queue = queue_of(registry, id);
    enum weir_status status = queue != NULL ? WEIR_OK : WEIR_NOT_FOUND;
    struct message *message = NULL;
    if (status == WEIR_OK && queue->message_count >= WEIR_FILTER_QUEUE_MESSAGES_MAX)
        status = weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                                "the queue holds %u messages, as many as it may",
                                queue->message_count);
    if (status == WEIR_OK) {
        message = weir_account_alloc(plugin->account, WEIR_KIND_SHARED_DATA,
                                     sizeof *message + text.size, error);
        status = message != NULL ? WEIR_OK : WEIR_LIMIT;
    }
    if (status == WEIR_OK) {
        message->account = plugin->account;
        message->size = text.size;
        if (text.size > 0)
            memcpy(message->bytes, text.bytes, text.size);
        if (queue->last != NULL)
            queue->last->next = message;
        else
            queue->first = message;
        queue->last = message;
        queue->message_count++;
        (void)atomic_fetch_add_explicit(&queue->enqueued, 1, memory_order_relaxed);
    }
    unlock(registry);
    return status;
}

enum weir_status weir__filter_queue_get(struct weir_filter_plugin *plugin, uint32_t id,
                                        struct weir__filter_slice *slice)
{
    struct weir_filter_registry *registry = plugin->registry;
    lock(registry);
    struct entry *queue = queue_of(registry, id);
    enum weir_status status = queue == NULL          ? WEIR_NOT_FOUND
                              : queue->first == NULL ? WEIR_PENDING
                                                     : WEIR_OK;
    if (status == WEIR_OK)
        status = copy_out(slice, queue->first->bytes, queue->first->size);
    if (status == WEIR_OK) {
        struct message *message = queue->first;
        queue->first = message->next;
        if (queue->first == NULL)
            queue->last = NULL;
        queue->message_count--;
        free_message(message);
    }
    unlock(registry);
    return status;
}

bool weir__filter_queue_has(struct weir_filter_registry *registry, uint32_t id,
                            uint64_t *ret_enqueued)
{
    lock(registry);
    const struct entry *queue = queue_of(registry, id);
    bool has_some = queue != NULL && queue->message_count > 0;
    if (has_some)
        *ret_enqueued = atomic_load_explicit(&queue->enqueued, memory_order_relaxed);
    unlock(registry);
    return has_some;
}

/* --- metrics --------------------------------------------------------------------------------- */

enum weir_status weir__filter_metric_define(struct weir_filter_plugin *plugin, uint32_t type,
                                            struct weir_filter_text name, uint32_t *ret_id,
                                            struct weir_error *error)
{
    struct weir_filter_registry *registry = plugin->registry;
    const struct key key = {ENTRY_METRIC, weir_filter_text(plugin->config.name), name};
    lock(registry);
    struct entry *entry = find(registry, &key);
    enum weir_status status = WEIR_OK;
    if (entry != NULL && entry->metric != (enum weir_filter_metric_type)type) {
        status = weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                "the metric %.*s is of another type already",
                                name.size < 100 ? (int)name.size : 100, (const char *)name.bytes);
    } else if (entry == NULL) {
        entry = add(plugin, &key, error);
        if (entry != NULL)
            entry->metric = (enum weir_filter_metric_type)type;
        else
            status = WEIR_LIMIT;
    }
    if (status == WEIR_OK)
        *ret_id = entry->id;
    unlock(registry);
    return status;
}

/* Under the lock. */
static int use_metric(struct entry *entry, enum weir__filter_metric_use use, int64_t amount,
                      uint64_t *ret_value)
{
    if (use == FILTER_METRIC_GET) {
        *ret_value = entry->number;
        return FILTER_OK;
    }
    if (use == FILTER_METRIC_INCREMENT) {
        if (entry->metric == WEIR_FILTER_HISTOGRAM ||
            (entry->metric == WEIR_FILTER_COUNTER && amount < 0))
            return FILTER_BAD_ARGUMENT;
        entry->number += (uint64_t)amount;
        return FILTER_OK;
    }
    /* A counter takes what is recorded as an increment, as Envoy's do. */
    entry->number = entry->metric == WEIR_FILTER_GAUGE ? (uint64_t)amount
                                                       : entry->number + (uint64_t)amount;
    entry->samples++;
    return FILTER_OK;
}

int weir__filter_metric_use(struct weir_filter_plugin *plugin, uint32_t id,
                            enum weir__filter_metric_use use, int64_t amount, uint64_t *ret_value)
{
    struct weir_filter_registry *registry = plugin->registry;
    lock(registry);
    struct entry *entry =
        id > 0 && id <= WEIR_FILTER_METRICS_MAX ? registry->metrics[id - 1] : NULL;
    int answer = entry != NULL && entry->plugin == plugin
                     ? use_metric(entry, use, amount, ret_value)
                     : FILTER_NOT_FOUND;
    unlock(registry);
    return answer;
}

void weir_filter_registry_metrics(struct weir_filter_registry *registry,
                                  void (*visit)(void *context,
                                                const struct weir_filter_metric_reading *reading),
                                  void *context)
{
    lock(registry);
    for (uint32_t i = 0; i < WEIR_FILTER_METRICS_MAX; i++) {
        const struct entry *entry = registry->metrics[i];
        if (entry != NULL)
            visit(context, &(struct weir_filter_metric_reading){
                               .plugin = (const char *)entry->bytes,
                               .name = (const char *)entry->bytes + entry->scope_size + 1,
                               .type = entry->metric,
                               .value = entry->number,
                               .count = entry->samples});
    }
    unlock(registry);
}

/* --- when a plugin goes ---------------------------------------------------------------------- */

static void drop_messages(struct entry *entry, const struct weir_account *account)
{
    struct message *last = NULL;
    for (struct message **at = &entry->first; *at != NULL;) {
        struct message *message = *at;
        if (message->account != account) {
            last = message;
            at = &message->next;
            continue;
        }
        *at = message->next;
        entry->message_count--;
        free_message(message);
    }
    entry->last = last;
}

/* What it paid for goes with it, as its account does. */
void weir__filter_registry_leave(struct weir_filter_registry *registry,
                                 struct weir_filter_plugin *plugin)
{
    lock(registry);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry **at = &registry->buckets[i]; *at != NULL;) {
            struct entry *entry = *at;
            drop_messages(entry, plugin->account);
            if (entry->account != plugin->account) {
                at = &entry->next;
                continue;
            }
            *at = entry->next;
            if (entry->type == ENTRY_QUEUE)
                registry->queues[entry->id - 1] = NULL;
            else if (entry->type == ENTRY_METRIC)
                registry->metrics[entry->id - 1] = NULL;
            registry->counts[entry->type]--;
            free_entry(entry);
        }
    unlock(registry);
}
