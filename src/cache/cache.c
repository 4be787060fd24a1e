/* The cache's life, and the one way to a module: hit, wait for who is loading it, or load it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/sizes.h"
#include "cache/cache_internal.h"

/* --- configuration ------------------------------------------------------------------------- */

static enum weir_status check_size(const char *what, uint64_t bytes, uint64_t most,
                                   struct weir_error *error)
{
    if (bytes >= WEIR_CACHE_BYTES_MIN && bytes <= most)
        return WEIR_OK;
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "the cache's %s of %" PRIu64 " bytes is out of range: from %s to %s",
                          what, bytes, weir_size_format(WEIR_CACHE_BYTES_MIN).text,
                          weir_size_format(most).text);
}

static enum weir_status check_config(const struct weir_cache_config *config,
                                     struct weir_error *error)
{
    enum weir_status status =
        check_size("pinned tier", config->pinned_bytes_max, WEIR_CACHE_BYTES_MAX, error);
    if (status == WEIR_OK)
        status = check_size("memory tier", config->memory_bytes_max, WEIR_CACHE_BYTES_MAX, error);
    if (status == WEIR_OK && config->disk_bytes_max != WEIR_UNLIMITED)
        status = check_size("disk tier", config->disk_bytes_max, WEIR_CACHE_DISK_MAX, error);
    if (status == WEIR_OK && (config->modules_max < WEIR_CACHE_MODULES_MIN ||
                              config->modules_max > WEIR_CACHE_MODULES_MAX))
        status =
            weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                           "a cache that remembers %u modules; between %u and %u",
                           config->modules_max, WEIR_CACHE_MODULES_MIN, WEIR_CACHE_MODULES_MAX);
    return status;
}

/* --- all caches, for the ledger ------------------------------------------------------------ */

static pthread_mutex_t caches_lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_cache *caches;
static bool is_registered;

/* A cache cannot be freed while it is asked: weir_cache_free() waits for caches_lock. */
static uint64_t reclaim(void *context, uint64_t wanted_bytes)
{
    uint64_t given = 0;
    (void)context;
    (void)pthread_mutex_lock(&caches_lock);
    for (struct weir_cache *cache = caches; cache != NULL && given < wanted_bytes;
         cache = cache->next_cache)
        given += weir_cache_shrink(cache, wanted_bytes - given);
    (void)pthread_mutex_unlock(&caches_lock);
    return given;
}

static enum weir_status list_cache(struct weir_cache *cache, struct weir_error *error)
{
    static const struct weir_reclaimer reclaimer = {"module cache", reclaim, NULL};
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&caches_lock);
    if (!is_registered)
        status = weir_ledger_add_reclaimer(&reclaimer, error);
    if (status == WEIR_OK) {
        is_registered = true;
        cache->next_cache = caches;
        caches = cache;
    }
    (void)pthread_mutex_unlock(&caches_lock);
    return status;
}

static void unlist_cache(struct weir_cache *cache)
{
    (void)pthread_mutex_lock(&caches_lock);
    struct weir_cache **link = &caches;
    while (*link != NULL && *link != cache)
        link = &(*link)->next_cache;
    if (*link != NULL)
        *link = cache->next_cache;
    (void)pthread_mutex_unlock(&caches_lock);
}

/* --- life ---------------------------------------------------------------------------------- */

static enum weir_status refused(const struct weir_error *error)
{
    return error != NULL && error->status != WEIR_OK ? error->status : WEIR_LIMIT;
}

static void destroy(struct weir_cache *cache)
{
    struct weir_account *account = cache->account;
    weir_account_free(account, WEIR_KIND_CACHE, cache->records,
                      cache->record_count * sizeof *cache->records);
    weir_account_free(account, WEIR_KIND_CACHE, cache->chains,
                      cache->chain_count * sizeof *cache->chains);
    (void)pthread_mutex_destroy(&cache->lock);
    weir_account_free(account, WEIR_KIND_CACHE, cache, sizeof *cache);
    weir_account_close(account);
}

void weir__cache_unref_locked(struct weir_cache *cache)
{
    bool is_last = --cache->refs == 0;
    (void)pthread_mutex_unlock(&cache->lock);
    if (is_last)
        destroy(cache);
}

static enum weir_status make_tables(struct weir_cache *cache, struct weir_error *error)
{
    cache->records = weir_account_alloc(cache->account, WEIR_KIND_CACHE,
                                        cache->record_count * sizeof *cache->records, error);
    if (cache->records == NULL)
        return refused(error);
    cache->chains = weir_account_alloc(cache->account, WEIR_KIND_CACHE,
                                       cache->chain_count * sizeof *cache->chains, error);
    if (cache->chains == NULL)
        return refused(error);
    memset(cache->chains, 0xff, cache->chain_count * sizeof *cache->chains);
    return weir__curve_new(cache->account, &cache->curve, error);
}

static enum weir_status open_disk(struct weir_cache *cache, struct weir_io *io,
                                  struct weir_error *error)
{
    if (cache->config.dir == NULL)
        return WEIR_OK;
    enum weir_status status = weir__artifact_dir_open(cache->config.dir, io, &cache->dir, error);
    cache->config.dir = NULL; /* the caller's string */
    if (status == WEIR_OK)
        weir_artifact_dir_set_quota(cache->dir, cache->config.disk_bytes_max);
    return status;
}

enum weir_status weir__cache_new(const struct weir_cache_config *config, struct weir_io *io,
                                 struct weir_cache **ret_cache, struct weir_error *error)
{
    const struct weir_cache_config whole = weir__cache_config_complete(config);
    struct weir_account *account = NULL;
    enum weir_status status = check_config(&whole, error);
    if (status == WEIR_OK)
        status = weir_account_new(whole.account, WEIR_ACCOUNT_SERVICE, "module cache",
                                  WEIR_UNLIMITED, &account, error);
    if (status != WEIR_OK)
        return status;
    struct weir_cache *cache = weir_account_alloc(account, WEIR_KIND_CACHE, sizeof *cache, error);
    if (cache == NULL) {
        weir_account_close(account);
        return refused(error);
    }
    cache->refs = 1;
    cache->account = account;
    cache->config = whole;
    cache->record_count = whole.modules_max;
    cache->chain_count = weir__cache_chain_count(whole.modules_max);
    cache->first_gone = cache->last_gone = WEIR__RECORD_NONE;
    (void)pthread_mutex_init(&cache->lock, NULL);
    status = make_tables(cache, error);
    if (status == WEIR_OK)
        status = open_disk(cache, io, error);
    if (status == WEIR_OK)
        status = list_cache(cache, error);
    if (status != WEIR_OK) {
        weir_cache_free(cache);
        return status;
    }
    *ret_cache = cache;
    return WEIR_OK;
}

enum weir_status weir_cache_new(const struct weir_cache_config *config,
                                struct weir_cache **ret_cache, struct weir_error *error)
{
    return weir__cache_new(config, weir_io_system(), ret_cache, error);
}

void weir_cache_free(struct weir_cache *cache)
{
    if (cache == NULL)
        return;
    unlist_cache(cache);
    weir__trace_free(cache);
    weir__cache_empty(cache);
    weir_artifact_dir_close(cache->dir);
    weir__curve_free(cache->account, cache->curve);
    cache->dir = NULL;
    cache->curve = NULL;
    (void)pthread_mutex_lock(&cache->lock);
    weir__cache_unref_locked(cache);
}

/* --- asking -------------------------------------------------------------------------------- */

struct asking {
    struct weir_cache *cache;
    const struct weir_cache_request *request;
    struct weir_hash id, key;
    struct weir__flight *flight; /* made ahead, when there is nothing else to do */
    struct weir_module *module;
    struct weir__doomed doomed;
};

enum weir_status weir_module_identify(const uint8_t *bytes, size_t size,
                                      struct weir_module_id *ret_id, struct weir_error *error)
{
    struct weir_hash hash;
    enum weir_status status = weir_hash_bytes(bytes, size, &hash, error);
    if (status == WEIR_OK)
        memcpy(ret_id->sha256, hash.bytes, sizeof ret_id->sha256);
    return status;
}

static enum weir_status identify(struct asking *asking, struct weir_error *error)
{
    const struct weir_cache_request *request = asking->request;
    enum weir_status status = WEIR_OK;
    if (request->engine == NULL || (request->id == NULL && request->bytes == NULL))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a module is asked for by an engine and its bytes, its id, or both");
    if (request->id != NULL)
        memcpy(asking->id.bytes, request->id->sha256, sizeof asking->id.bytes);
    else
        status = weir_hash_bytes(request->bytes, request->size, &asking->id, error);
    return status;
}

/* A use that was served, for the curve and the trace. Under the mutex. */
static void note_use(struct weir_cache *cache, struct weir__record *record, uint64_t now_ms)
{
    record->used_ms = now_ms;
    weir__curve_age(cache->curve, now_ms);
    weir__curve_use(cache->curve, weir__record_hash(record), record->node.bytes);
    if (cache->trace != NULL)
        weir__trace_use(cache, record, now_ms);
}

static void hit(struct weir_cache *cache, struct weir__record *record, struct weir__doomed *doomed)
{
    record->hits++;
    record->node.is_marked = true;
    switch (record->place) {
    case WEIR_CACHE_AT_PINNED:
        cache->figures.tiers[WEIR_CACHE_PINNED].hits++;
        break;
    case WEIR_CACHE_AT_MEMORY:
        cache->figures.tiers[WEIR_CACHE_MEMORY].hits++;
        break;
    default:
        cache->figures.lent_hits++;
        weir__cache_keep_lent(cache, record, doomed);
    }
    note_use(cache, record, weir_clock_ms());
}

/* Leaves a flight; under the mutex. What must be released goes to `ret_module`, and true says that
 * the flight itself must go too. */
static bool leave_flight(struct weir__flight *flight, struct weir_module **ret_module)
{
    *ret_module = NULL;
    if (--flight->refs > 0)
        return false;
    *ret_module = flight->module;
    return true;
}

static void free_flight(struct weir_cache *cache, struct weir__flight *flight)
{
    (void)pthread_cond_destroy(&flight->landed);
    weir_error_done(&flight->error);
    weir_account_free(cache->account, WEIR_KIND_CACHE, flight, sizeof *flight);
}

static void copy_error(struct weir_error *to, const struct weir_error *from,
                       enum weir_status status)
{
    (void)weir_error_set(to, status, from->offset, "%s", from->message);
    for (const struct weir_error_detail *d = from->details; to != NULL && d != NULL; d = d->next)
        weir_error_add(to, "%s", d->text);
}

/* Waits for the load that another thread makes. Under the mutex, and back under it. */
static enum weir_status wait_for(struct asking *asking, struct weir__record *record,
                                 struct weir_error *error)
{
    struct weir_cache *cache = asking->cache;
    struct weir__flight *flight = record->flight;
    flight->refs++;
    cache->figures.waiting++;
    while (!flight->is_done)
        (void)pthread_cond_wait(&flight->landed, &cache->lock);
    cache->figures.waiting--;
    enum weir_status status = flight->status;
    if (status == WEIR_OK) {
        asking->module = weir_module_ref(flight->module);
        cache->figures.waited++;
        /* The record may stand for another module by now, if the cache is that small. */
        struct weir__record *owner = weir_module_owner_of(asking->module)->context;
        if (owner != NULL && owner->module == asking->module)
            hit(cache, owner, &asking->doomed);
        else
            cache->figures.lent_hits++;
    } else {
        copy_error(error, &flight->error, status);
    }
    struct weir_module *last;
    bool is_mine = leave_flight(flight, &last);
    if (is_mine) {
        (void)pthread_mutex_unlock(&cache->lock);
        weir_module_unref(last);
        free_flight(cache, flight);
        (void)pthread_mutex_lock(&cache->lock);
    }
    return status;
}

static enum weir_status make_flight(struct asking *asking, struct weir_error *error)
{
    enum weir_status status =
        weir_module_key(asking->request->engine, &asking->id, &asking->key, error);
    if (status != WEIR_OK)
        return status;
    struct weir__flight *flight =
        weir_account_alloc(asking->cache->account, WEIR_KIND_CACHE, sizeof *flight, error);
    if (flight == NULL)
        return refused(error);
    (void)pthread_cond_init(&flight->landed, NULL);
    flight->refs = 1;
    asking->flight = flight;
    return WEIR_OK;
}

/* --- loading ------------------------------------------------------------------------------- */

struct landing {
    enum weir_status status;
    struct weir_module_origin origin;
    uint64_t took_ns;
    bool is_pinned;
};

static void load(struct asking *asking, struct landing *landing, struct weir_error *error)
{
    const struct weir_cache_request *request = asking->request;
    struct weir_cache *cache = asking->cache;
    const struct weir_module_source source = {.dir = cache->dir,
                                              .bytes = request->bytes,
                                              .size = request->size,
                                              .hash = &asking->id,
                                              .config = &request->module};
    uint64_t begin_ns = weir_clock_ns();
    landing->status =
        weir_module_obtain(request->engine, &source, &asking->module, &landing->origin, error);
    landing->took_ns = weir_clock_ns() - begin_ns;
    landing->is_pinned = landing->status == WEIR_OK && cache->dir != NULL &&
                         weir_artifact_dir_is_pinned(cache->dir, &asking->id);
}

static void raise_to(uint64_t *most, uint64_t value)
{
    *most = *most > value ? *most : value;
}

static void count_load(struct weir_cache *cache, const struct landing *landing)
{
    struct weir_cache_figures *figures = &cache->figures;
    const struct weir_module_origin *origin = &landing->origin;
    figures->failures += landing->status != WEIR_OK;
    figures->disk_absent += origin->miss == WEIR_ARTIFACT_MISS_ABSENT;
    figures->disk_quarantined += origin->miss == WEIR_ARTIFACT_MISS_BAD;
    figures->disk_unreadable += origin->miss == WEIR_ARTIFACT_MISS_UNREADABLE;
    if (landing->status != WEIR_OK)
        return;
    if (origin->was_compiled) {
        figures->compiled++;
        figures->compile_ns_sum += landing->took_ns;
        raise_to(&figures->compile_ns_max, landing->took_ns);
        figures->disk_file_failures += cache->dir != NULL && !origin->is_filed;
    } else {
        struct weir_cache_tier_figures *disk = &figures->tiers[WEIR_CACHE_DISK];
        disk->hits++;
        disk->load_ns_sum += landing->took_ns;
        raise_to(&disk->load_ns_max, landing->took_ns);
    }
}

/* The record gets the module that was loaded, if it was. Under the mutex. */
static void land(struct asking *asking, struct weir__record *record, const struct landing *landing)
{
    struct weir_cache *cache = asking->cache;
    count_load(cache, landing);
    if (record == NULL) {
        cache->figures.crowded += landing->status == WEIR_OK;
        return;
    }
    record->flight = NULL;
    if (landing->status != WEIR_OK) {
        record->cause = WEIR_CACHE_CAUSE_FAILED;
        if (record->module == NULL) /* else one that is on its way out will say so */
            weir__record_gone(cache, record);
        return;
    }
    record->loads++;
    record->compiles += landing->origin.was_compiled;
    record->load_ns_sum += landing->took_ns;
    record->load_ns_last = landing->took_ns;
    (void)snprintf(record->name, sizeof record->name, "%s", weir_module_name(asking->module));
    (void)weir_module_ref(asking->module);
    weir__cache_place(cache, record, asking->module, landing->is_pinned, &asking->doomed);
    note_use(cache, record, weir_clock_ms());
}

/* Leaves a flight behind, loads without the mutex, lands. Under the mutex, and back under it. */
static enum weir_status fly(struct asking *asking, struct weir__record *record,
                            struct weir_error *error)
{
    struct weir_cache *cache = asking->cache;
    struct weir__flight *flight = asking->flight;
    if (record == NULL)
        record = weir__record_add(cache, &asking->id, asking->request->engine);
    enum weir_cache_cause cause = record != NULL ? record->cause : WEIR_CACHE_CAUSE_CROWDED;
    cache->figures.misses[cause]++;
    if (record != NULL) {
        record->misses[cause]++;
        if (record->place == WEIR_CACHE_AT_NONE)
            weir__record_back(cache, record);
        record->flight = flight;
        record->key = asking->key;
        asking->flight = NULL;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    struct landing landing = {0};
    struct weir_error why = {0};
    load(asking, &landing, &why);
    (void)pthread_mutex_lock(&cache->lock);
    land(asking, record, &landing);
    if (record == NULL) {
        weir_error_move(error, &why);
        return landing.status;
    }
    if (landing.status != WEIR_OK)
        copy_error(error, &why, landing.status);
    flight->status = landing.status;
    flight->error = why;
    flight->module = landing.status == WEIR_OK ? weir_module_ref(asking->module) : NULL;
    flight->is_done = true;
    (void)pthread_cond_broadcast(&flight->landed);
    struct weir_module *last;
    if (leave_flight(flight, &last)) {
        (void)pthread_mutex_unlock(&cache->lock);
        weir_module_unref(last);
        free_flight(cache, flight);
        (void)pthread_mutex_lock(&cache->lock);
    }
    return landing.status;
}

/* One look at the table. PENDING: a flight must be made first, or another thread only had the id
 * and found nothing, while we have the bytes. Under the mutex. */
static enum weir_status look(struct asking *asking, struct weir_error *error)
{
    struct weir_cache *cache = asking->cache;
    struct weir__record *record = weir__record_find(cache, &asking->id, asking->request->engine);
    if (record != NULL && record->flight != NULL) {
        struct weir_error why = {0};
        enum weir_status status = wait_for(asking, record, &why);
        if (status == WEIR_NOT_FOUND && asking->request->bytes != NULL) {
            weir_error_done(&why);
            return WEIR_PENDING;
        }
        weir_error_move(error, &why);
        return status;
    }
    if (record != NULL && (asking->module = weir__record_take(record)) != NULL) {
        hit(cache, record, &asking->doomed);
        return WEIR_OK;
    }
    return asking->flight == NULL ? WEIR_PENDING : fly(asking, record, error);
}

enum weir_status weir_cache_get(struct weir_cache *cache, const struct weir_cache_request *request,
                                struct weir_module **ret_module, struct weir_error *error)
{
    struct asking asking = {.cache = cache, .request = request};
    enum weir_status status = identify(&asking, error);
    if (status != WEIR_OK)
        return status;
    (void)pthread_mutex_lock(&cache->lock);
    cache->figures.uses++;
    while (status == WEIR_OK && (status = look(&asking, error)) == WEIR_PENDING) {
        (void)pthread_mutex_unlock(&cache->lock);
        status = asking.flight == NULL ? make_flight(&asking, error) : WEIR_OK;
        (void)pthread_mutex_lock(&cache->lock);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    weir__doomed_free(&asking.doomed);
    if (asking.flight != NULL)
        free_flight(cache, asking.flight);
    if (status == WEIR_OK)
        *ret_module = asking.module;
    return status;
}
