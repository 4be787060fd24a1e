/* Routes come and go while requests run.
 *
 * A route is made whole (engine, module, pool, warm slots) before anybody can see it, belongs to
 * one configuration and is never changed. The table of routes is replaced as a whole; every request
 * in flight holds its route, so one that is gone from the table is drained: it ends with its last
 * request. Tables are made by reloads and by uploads, one at a time: under `make_lock`.
 */
#include "server/server_internal.h"

#include "base/check.h"
#include "server/host_file.h"
#include "server/import_hints.h"
#include "server/lane_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WEIR__CHANGES_SIZE 400 /* names of all keys of a route */

/* --- configurations ------------------------------------------------------------------------ */

struct weir__generation *weir__generation_new(struct weir_server *server,
                                              const struct weir_server_config *config,
                                              struct weir_arena *arena, struct weir_error *error)
{
    struct weir__generation *generation =
        weir_account_alloc(server->account, WEIR_KIND_SERVER, sizeof *generation, error);
    if (generation == NULL)
        return NULL;
    if (config->control.token != NULL &&
        weir__token_read(config->control.token, &generation->token, error) != WEIR_OK) {
        weir_account_free(server->account, WEIR_KIND_SERVER, generation, sizeof *generation);
        return NULL;
    }
    generation->config = *config;
    generation->arena = arena;
    generation->account = server->account;
    atomic_init(&generation->refs, 1);
    return generation;
}

void weir__generation_unref(struct weir__generation *generation)
{
    if (generation == NULL ||
        atomic_fetch_sub_explicit(&generation->refs, 1, memory_order_acq_rel) != 1)
        return;
    weir_arena_free(generation->arena);
    weir_account_free(generation->account, WEIR_KIND_SERVER, generation, sizeof *generation);
}

/* --- figures: of a path, whatever becomes of its configuration ----------------------------- */

static struct weir__route_figures *figures_new(struct weir_server *server, struct weir_error *error)
{
    struct weir__route_figures *figures =
        weir_account_alloc(server->account, WEIR_KIND_SERVER, sizeof *figures, error);
    if (figures != NULL)
        atomic_init(&figures->refs, 1);
    return figures;
}

static void figures_unref(struct weir_account *account, struct weir__route_figures *figures)
{
    if (figures != NULL && atomic_fetch_sub_explicit(&figures->refs, 1, memory_order_acq_rel) == 1)
        weir_account_free(account, WEIR_KIND_SERVER, figures, sizeof *figures);
}

/* --- opening ------------------------------------------------------------------------------- */

enum weir_status weir__engine_open(struct weir_server *server, bool has_fuel,
                                   struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    if (server->engines[has_fuel] == NULL) {
        const struct weir_engine_config config = {.bounds = server->config->bounds,
                                                  .has_fuel = has_fuel};
        status = weir_engine_new(&config, &server->engines[has_fuel], error);
    }
    if (status != WEIR_OK || server->linkers[has_fuel] != NULL)
        return status;
    struct weir_linker *linker = NULL;
    status = weir_linker_new(server->engines[has_fuel], &linker, error);
    if (status == WEIR_OK)
        status = weir_wasi_link(linker, NULL, error);
    if (status != WEIR_OK) {
        weir_linker_free(linker);
        return status;
    }
    server->linkers[has_fuel] = linker;
    return WEIR_OK;
}

static enum weir_status open_pool(struct weir_server *server, struct weir__route *route,
                                  struct weir_error *error)
{
    const struct weir_route_config *config = route->config;
    bool is_resident = config->mode == WEIR_ROUTE_RESIDENT;
    const struct weir_pool_config pool = {
        .store = {.name = config->path,
                  .account = route->account,
                  .memory_bytes_max = config->memory_bytes_max,
                  .data_free = is_resident ? weir__context_free : NULL},
        .slots_max = config->slots,
        .warm_max = is_resident ? config->slots : config->warm,
        .is_reserving = true,
        .is_verifying = config->is_verifying,
        .is_resident = is_resident,
        .recycle = config->recycle,
        .set_up = weir__mode_set_up,
        .set_up_context = route,
    };
    route->turns = config->slots;
    return weir_pool_new(server->linkers[config->fuel != 0], route->module, &pool, &route->pool,
                         error);
}

static bool same_file(const struct weir__route *route, const struct stat *st)
{
    return route->file.st_dev == st->st_dev && route->file.st_ino == st->st_ino &&
           route->file.st_size == st->st_size && route->file.st_mtim.tv_sec == st->st_mtim.tv_sec &&
           route->file.st_mtim.tv_nsec == st->st_mtim.tv_nsec &&
           route->file.st_ctim.tv_sec == st->st_ctim.tv_sec &&
           route->file.st_ctim.tv_nsec == st->st_ctim.tv_nsec;
}

struct opening {
    struct weir_server *server;
    struct weir__generation *generation;
    const struct weir_server_progress *progress;
    const struct weir__publication *publication; /* NULL: none */
};

static bool is_published(const struct opening *opening, const struct weir_route_config *config)
{
    return opening->publication != NULL &&
           strcmp(opening->publication->path, config->module) == 0;
}

bool weir__route_uses(const struct weir_route_config *config, const char *path)
{
    bool uses = strcmp(config->module, path) == 0;
    for (size_t i = 0; i < config->filter_count && !uses; i++)
        uses = strcmp(config->filters[i].module, path) == 0;
    return uses;
}

static enum weir_status check_paused(struct weir_server *server, const char *path,
                                     struct weir_error *error)
{
    if (!atomic_load(&server->is_compile_paused))
        return WEIR_OK;
    return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                          "%s is not loaded: compile jobs are paused while memory is short", path);
}

/* The module of `old` when it is the same file for the same engine. */
static enum weir_status open_module(const struct opening *opening, struct weir__route *route,
                                    const struct weir__route *old, struct weir_error *error)
{
    const struct weir_route_config *config = route->config;
    const struct weir_server_progress *progress = opening->progress;
    const char *file = is_published(opening, config) ? opening->publication->file : config->module;
    if (stat(file, &route->file) != 0)
        memset(&route->file, 0, sizeof route->file);
    else if (old != NULL && same_file(old, &route->file) &&
             (old->config->fuel != 0) == (config->fuel != 0)) {
        route->module = weir_module_ref(old->module);
        return WEIR_OK;
    }
    enum weir_status status = check_paused(opening->server, config->module, error);
    if (status != WEIR_OK)
        return status;
    struct weir_module_config module = {0};
    if (is_published(opening, config))
        module.name = weir_host_file_name(config->module);
    if (progress != NULL) {
        if (progress->compiling != NULL)
            progress->compiling(progress->context, config->module);
        module.progress = progress->compiled;
        module.progress_context = progress->context;
    }
    return weir_host_file_module(opening->server->engines[config->fuel != 0],
                                 opening->server->cache, file, &module, &route->module, error);
}

static void close_route(struct weir__route *route)
{
    struct weir_account *account = route->server->account;
    (void)weir__route_shrink(route);
    weir__chain_unref(route->chain);
    weir_pool_free(route->pool);
    weir_module_unref(route->module);
    weir_account_close(route->account);
    weir__tenant_leave(route);
    figures_unref(account, route->figures);
    (void)pthread_mutex_destroy(&route->lock);
    weir__generation_unref(route->generation);
    weir_account_free(account, WEIR_KIND_SERVER, route, sizeof *route);
}

void weir__route_unref(struct weir__route *route)
{
    if (route != NULL && atomic_fetch_sub_explicit(&route->refs, 1, memory_order_acq_rel) == 1)
        close_route(route);
}

struct weir__route *weir__route_ref(struct weir__route *route)
{
    (void)atomic_fetch_add_explicit(&route->refs, 1, memory_order_relaxed);
    return route;
}

static enum weir_status fill_route(const struct opening *opening, struct weir__route *route,
                                   const struct weir__route *old, struct weir_error *error)
{
    struct weir_server *server = opening->server;
    const struct weir_route_config *config = route->config;
    enum weir_status status = weir__tenant_join(route, error);
    if (status == WEIR_OK)
        status = weir_account_new(weir__tenant_account(route->tenant), WEIR_ACCOUNT_TENANT,
                                  config->path, config->tenant_bytes_max, &route->account, error);
    if (status == WEIR_OK && old != NULL)
        route->chain = weir__chain_keep(old->chain, config, opening->publication);
    if (status == WEIR_OK && route->chain == NULL && weir_route_is_filtered(config))
        status = weir__chain_new(server, opening->generation, config, opening->publication,
                                 &route->chain, error);
    if (status != WEIR_OK || !weir_route_has_guest(config))
        return status;
    status = weir__engine_open(server, config->fuel != 0, error);
    if (status != WEIR_OK)
        return status;
    struct weir_error inner = {0};
    status = open_module(opening, route, old, &inner);
    if (status == WEIR_OK)
        status = open_pool(server, route, &inner);
    if (status == WEIR_OK)
        status = weir_pool_warm(route->pool, config->warm, &inner);
    if (status == WEIR_OK)
        return WEIR_OK;
    (void)weir_error_set(error, status, inner.offset, "route %s: %s", config->path, inner.message);
    for (struct weir_error_detail *d = inner.details; d != NULL; d = d->next)
        weir_error_add(error, "%s", d->text);
    weir_error_done(&inner);
    weir_import_hints(error);
    return status;
}

static enum weir_status open_route(const struct opening *opening, size_t index,
                                   struct weir__route *old, struct weir__route **ret_route,
                                   struct weir_error *error)
{
    struct weir_server *server = opening->server;
    struct weir__generation *generation = opening->generation;
    struct weir__route *route =
        weir_account_alloc(server->account, WEIR_KIND_SERVER, sizeof *route, error);
    if (route == NULL)
        return WEIR_LIMIT;
    route->server = server;
    route->generation = generation;
    (void)atomic_fetch_add_explicit(&generation->refs, 1, memory_order_relaxed);
    route->config = &generation->config.routes[index];
    route->path_size = strlen(route->config->path);
    atomic_init(&route->refs, 1);
    (void)pthread_mutex_init(&route->lock, NULL);
    if (old != NULL) {
        route->figures = old->figures;
        (void)atomic_fetch_add_explicit(&route->figures->refs, 1, memory_order_relaxed);
    } else {
        route->figures = figures_new(server, error);
    }
    enum weir_status status =
        route->figures != NULL ? fill_route(opening, route, old, error) : WEIR_LIMIT;
    if (status != WEIR_OK) {
        weir__route_unref(route);
        return status;
    }
    *ret_route = route;
    return WEIR_OK;
}

/* --- tables -------------------------------------------------------------------------------- */

static bool same_texts(const char *const *a, size_t a_count, const char *const *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

static bool same_dirs(const struct weir_route_config *a, const struct weir_route_config *b)
{
    if (a->dir_count != b->dir_count)
        return false;
    for (size_t i = 0; i < a->dir_count; i++)
        if (strcmp(a->dirs[i].guest_path, b->dirs[i].guest_path) != 0 ||
            strcmp(a->dirs[i].host_path, b->dirs[i].host_path) != 0 ||
            a->dirs[i].is_read_only != b->dirs[i].is_read_only)
            return false;
    return true;
}

static bool same_upstream(const struct weir_upstream_keys *a, const struct weir_upstream_keys *b)
{
    return a == NULL || b == NULL ? a == b : weir__upstream_is_same(a, b);
}

/* Names of the keys that differ, separated by commas; returns how many. */
static size_t list_changes(const struct weir_route_config *a, const struct weir_route_config *b,
                           bool is_same_file, bool is_same_chain, char *text, size_t size)
{
    const struct {
        const char *key;
        bool is_same;
    } KEYS[] = {
        {"module", strcmp(a->module, b->module) == 0},
        {"the module's file", is_same_file || strcmp(a->module, b->module) != 0},
        {"tenant", a->tenant == NULL || b->tenant == NULL ? a->tenant == b->tenant
                                                          : strcmp(a->tenant, b->tenant) == 0},
        {"upstream", same_upstream(a->upstream, b->upstream)},
        {"filters", is_same_chain},
        {"memory_max", a->tenant_bytes_max == b->tenant_bytes_max},
        {"warm", a->warm == b->warm},
        {"mode", a->mode == b->mode},
        {"handler", strcmp(a->handler, b->handler) == 0},
        {"affinity", strcmp(a->affinity, b->affinity) == 0},
        {"residents", a->mode != b->mode || a->slots == b->slots ||
                          a->mode != WEIR_ROUTE_RESIDENT},
        {"verify", a->is_verifying == b->is_verifying},
        {"recycle.calls", a->recycle.calls_max == b->recycle.calls_max},
        {"recycle.age", a->recycle.age_ns_max == b->recycle.age_ns_max},
        {"recycle.idle", a->recycle.idle_ns_max == b->recycle.idle_ns_max},
        {"recycle.memory", a->recycle.private_bytes_max == b->recycle.private_bytes_max},
        {"recycle.linear", a->recycle.linear_bytes_max == b->recycle.linear_bytes_max},
        {"args", same_texts(a->args, a->arg_count, b->args, b->arg_count)},
        {"env", same_texts(a->env, a->env_count, b->env, b->env_count)},
        {"dirs", same_dirs(a, b)},
        {"limits.memory", a->memory_bytes_max == b->memory_bytes_max},
        {"limits.guaranteed", a->guaranteed_bytes == b->guaranteed_bytes},
        {"limits.fuel", a->fuel == b->fuel},
        {"limits.time", a->time_ns == b->time_ns},
        {"limits.concurrency", a->concurrency == b->concurrency},
        {"limits.body", a->body_bytes_max == b->body_bytes_max},
        {"limits.output", a->output_bytes_max == b->output_bytes_max},
    };
    size_t count = 0, used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        if (KEYS[i].is_same)
            continue;
        int more = snprintf(text + used, size - used, "%s%s", count > 0 ? ", " : "", KEYS[i].key);
        used += more > 0 && (size_t)more < size - used ? (size_t)more : 0;
        count++;
    }
    return count;
}

static bool is_same(const struct weir__route *route, const struct weir_route_config *config)
{
    struct stat st;
    char text[WEIR__CHANGES_SIZE];
    bool is_same_chain = weir__chain_is_same(route->chain, config);
    bool is_same_file = !weir_route_has_guest(config) ||
                        (stat(config->module, &st) == 0 && same_file(route, &st));
    return list_changes(route->config, config, is_same_file, is_same_chain, text, sizeof text) == 0;
}

static struct weir__route *find_path(const struct weir__route_table *table, const char *path)
{
    for (size_t i = 0; table != NULL && i < table->count; i++)
        if (strcmp(table->routes[i]->config->path, path) == 0)
            return table->routes[i];
    return NULL;
}

static int longer_first(const void *a, const void *b)
{
    const struct weir__route *x = *(struct weir__route *const *)a;
    const struct weir__route *y = *(struct weir__route *const *)b;
    return x->path_size < y->path_size ? 1 : x->path_size > y->path_size ? -1 : 0;
}

static size_t table_bytes(size_t count)
{
    return sizeof(struct weir__route_table) + 2 * count * sizeof(struct weir__route *);
}

void weir__route_table_free(struct weir_server *server, struct weir__route_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->count; i++)
        weir__route_unref(table->routes[i]);
    weir_account_free(server->account, WEIR_KIND_SERVER, table, table_bytes(table->capacity));
}

static enum weir_status make_table(const struct opening *opening,
                                   struct weir__route_table **ret_table, struct weir_error *error)
{
    struct weir_server *server = opening->server;
    const struct weir_server_config *config = &opening->generation->config;
    struct weir__route_table *table = weir_account_alloc(server->account, WEIR_KIND_SERVER,
                                                         table_bytes(config->route_count), error);
    if (table == NULL)
        return WEIR_LIMIT;
    table->capacity = config->route_count;
    table->by_length = table->routes + table->capacity;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct weir_route_config *route = &config->routes[i];
        struct weir__route *old = find_path(server->table, route->path);
        enum weir_status status = WEIR_OK;
        bool is_new = opening->publication != NULL &&
                      weir__route_uses(route, opening->publication->path);
        if (old != NULL && !is_new && is_same(old, route))
            table->routes[i] = weir__route_ref(old);
        else
            status = open_route(opening, i, old, &table->routes[i], error);
        if (status != WEIR_OK) {
            weir__route_table_free(server, table);
            return status;
        }
        table->count++;
        table->by_length[i] = table->routes[i];
    }
    qsort(table->by_length, table->count, sizeof table->by_length[0], longer_first);
    *ret_table = table;
    return WEIR_OK;
}

enum weir_status weir__route_table_new(struct weir_server *server,
                                       struct weir__generation *generation,
                                       const struct weir_server_progress *progress,
                                       struct weir__route_table **ret_table,
                                       struct weir_error *error)
{
    const struct opening opening = {
        .server = server, .generation = generation, .progress = progress};
    return make_table(&opening, ret_table, error);
}

/* --- what changed, for the log ------------------------------------------------------------- */

static void log_route(struct weir_server *server, const struct weir__route *route,
                      const char *change, const char *keys)
{
    const struct weir_server_log_field fields[] = {{"route", route->config->path, 0},
                                                   {"change", change, 0},
                                                   {"keys", keys, 0},
                                                   {"module", route->config->module, 0},
                                                   {NULL, NULL, 0}};
    weir_server_log(
        server,
        &(struct weir_server_event){.level = WEIR_LOG_INFO, .name = "route", .fields = fields},
        "route %s: %s%s%s", route->config->path, change, keys[0] != 0 ? ": " : "", keys);
}

/* Those that stay are not told. */
static void log_changes(struct weir_server *server, const struct weir__route_table *old,
                        const struct weir__route_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        char keys[WEIR__CHANGES_SIZE];
        const struct weir__route *route = table->routes[i];
        const struct weir__route *before = find_path(old, route->config->path);
        if (before == NULL)
            log_route(server, route, "added", "");
        else if (before != route && list_changes(before->config, route->config,
                                                 same_file(before, &route->file),
                                                 before->chain == route->chain, keys,
                                                 sizeof keys) > 0)
            log_route(server, route, "changed", keys);
    }
    for (size_t i = 0; i < old->count; i++)
        if (find_path(table, old->routes[i]->config->path) == NULL)
            log_route(server, old->routes[i], "removed", "");
}

void weir__route_table_set(struct weir_server *server, struct weir__generation *generation,
                           struct weir__route_table *table)
{
    if (server->table != NULL)
        log_changes(server, server->table, table);
    for (size_t i = 0; i < table->count; i++)
        if (table->routes[i]->chain != NULL)
            weir__chain_adopt(table->routes[i]->chain, generation);
    (void)pthread_rwlock_wrlock(&server->table_lock);
    struct weir__route_table *old = server->table;
    server->table = table;
    (void)pthread_rwlock_unlock(&server->table_lock);
    weir__route_table_free(server, old);
}

const struct weir__route_table *weir__route_table_hold(struct weir_server *server)
{
    (void)pthread_rwlock_rdlock(&server->table_lock);
    return server->table;
}

void weir__route_table_release(struct weir_server *server)
{
    (void)pthread_rwlock_unlock(&server->table_lock);
}

struct weir__route *weir__route_find(struct weir_server *server, const char *path)
{
    const struct weir__route_table *table = weir__route_table_hold(server);
    struct weir__route *found = NULL;
    for (size_t i = 0; i < table->count && found == NULL; i++) {
        struct weir__route *route = table->by_length[i];
        if (route->path_size == 1 ||
            (strncmp(path, route->config->path, route->path_size) == 0 &&
             (path[route->path_size] == 0 || path[route->path_size] == '/')))
            found = weir__route_ref(route);
    }
    weir__route_table_release(server);
    return found;
}

/* --- one module for another ---------------------------------------------------------------- */

static size_t count_users(const struct weir__route_table *table, const char *path)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += weir__route_uses(table->routes[i]->config, path);
    return count;
}

/* That no route uses: it must be one that can be compiled. */
static enum weir_status check_module(struct weir_server *server,
                                     const struct weir__publication *publication,
                                     struct weir_error *error)
{
    struct weir_module *module = NULL;
    const struct weir_module_config config = {.name = weir_host_file_name(publication->path)};
    enum weir_status status = weir__engine_open(server, false, error);
    if (status == WEIR_OK)
        status = weir_host_file_module(server->engines[0], server->cache, publication->file,
                                       &config, &module, error);
    weir_module_unref(module);
    return status;
}

static enum weir_status publish_locked(struct weir_server *server,
                                       const struct weir__publication *publication,
                                       struct weir_error *error)
{
    struct weir__route_table *table = NULL;
    const struct opening opening = {
        .server = server, .generation = server->present, .publication = publication};
    enum weir_status status = check_paused(server, publication->path, error);
    if (status == WEIR_OK)
        status = count_users(server->table, publication->path) > 0
                     ? make_table(&opening, &table, error)
                     : check_module(server, publication, error);
    if (status != WEIR_OK)
        return status;
    bool is_done = false;
    status = publication->publish(publication->context, &is_done, error);
    if (!is_done || table == NULL) {
        weir__route_table_free(server, table);
        return status;
    }
    for (size_t i = 0; i < table->count; i++) /* renaming changed its times */
        if (is_published(&opening, table->routes[i]->config))
            (void)stat(publication->path, &table->routes[i]->file);
    weir__route_table_set(server, server->present, table);
    return status;
}

enum weir_status weir__route_table_publish(struct weir_server *server,
                                           const struct weir__publication *publication,
                                           struct weir_error *error)
{
    (void)pthread_mutex_lock(&server->make_lock);
    enum weir_status status = publish_locked(server, publication, error);
    (void)pthread_mutex_unlock(&server->make_lock);
    return status;
}

enum weir_status weir__route_table_without(struct weir_server *server, const char *path,
                                           enum weir_status (*remove)(void *context,
                                                                      struct weir_error *error),
                                           void *context, struct weir_error *error)
{
    (void)pthread_mutex_lock(&server->make_lock);
    size_t users = count_users(server->table, path);
    enum weir_status status =
        users == 0 ? remove(context, error)
                   : weir_error_set(error, WEIR_EXISTS, WEIR_NO_OFFSET,
                                    "%s is used by %zu routes; take it out of them first",
                                    weir_host_file_name(path), users);
    (void)pthread_mutex_unlock(&server->make_lock);
    return status;
}
