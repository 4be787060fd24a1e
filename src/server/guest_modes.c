/* Instance modes: what a guest is before its request, and what is left of it afterwards.
 *
 *   request   a command: `_start` runs in a fresh state, which is then reset
 *   pool      a reactor: `_initialize` runs once in each slot; the handler runs in the state that
 *             it left, which is then reset to that
 *   resident  a reactor: `_initialize` runs once; the handler runs in whatever state the last one
 *             left, until the route's policy, or a call that does not return, ends the guest
 *
 * A slot that is made for a request is set up inside it: in its time, parked like its handler.
 */
#include "server/server_internal.h"

#include "base/clock.h"

#include <string.h>

#define SET_UP "_initialize"

static bool is_reactor(const struct weir_route_config *config)
{
    return config->mode != WEIR_ROUTE_REQUEST;
}

/* --- exports ------------------------------------------------------------------------------- */

static bool find_func(struct weir_instance *instance, const char *name,
                      struct weir_func_type *ret_type)
{
    struct weir_extern found;
    if (weir_instance_export(instance, name, strlen(name), &found) != WEIR_OK ||
        found.kind != WEIR_EXTERN_FUNC)
        return false;
    weir_func_type(found.func, ret_type);
    return true;
}

static bool has_set_up(struct weir_instance *instance)
{
    struct weir_func_type type;
    return find_func(instance, SET_UP, &type);
}

static enum weir_status check_command(struct weir_instance *instance, struct weir_error *error)
{
    struct weir_func_type type;
    if (find_func(instance, "_start", &type))
        return WEIR_OK;
    return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                          "the module exports no function '_start': it is not a WASI command%s",
                          has_set_up(instance) ? " but a reactor, for mode pool or resident" : "");
}

/* Whether the module has what the route's mode calls. */
static enum weir_status check_exports(struct weir_instance *instance,
                                      const struct weir_route_config *config,
                                      struct weir_error *error)
{
    struct weir_func_type type;
    const char *mode = weir_route_mode_name(config->mode);
    if (!is_reactor(config))
        return check_command(instance, error);
    if (find_func(instance, "_start", &type))
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "the module exports '_start': it is a command, for mode request; "
                              "mode %s needs a reactor (clang -mexec-model=reactor)",
                              mode);
    if (find_func(instance, SET_UP, &type) && weir_wasi_check_entry(&type, true) != WEIR_OK)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "'" SET_UP "' must take no parameter and answer nothing");
    if (!find_func(instance, config->handler, &type))
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "the module exports no function '%s', which mode %s calls for each "
                              "request; name another with handler",
                              config->handler, mode);
    if (weir_wasi_check_entry(&type, true) != WEIR_OK)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "'%s' must take no parameter and answer nothing or an i32",
                              config->handler);
    return WEIR_OK;
}

/* --- contexts ------------------------------------------------------------------------------ */

/* What a guest is given that is the route's; nothing of a request. */
static struct weir_wasi_config route_context(const struct weir_route_config *config)
{
    return (struct weir_wasi_config){.args = config->args,
                                     .arg_count = config->arg_count,
                                     .env = config->env,
                                     .env_count = config->env_count,
                                     .preopens = config->dirs,
                                     .preopen_count = config->dir_count,
                                     .stdio_fds = {-1, -1, -1}};
}

static struct weir_wasi_config request_context(struct weir__request *request)
{
    struct weir_wasi_config wasi = route_context(request->route->config);
    wasi.env = request->env.list;
    wasi.env_count = request->env.count;
    for (int i = 0; i < 3; i++)
        wasi.stdio_streams[i] = weir__request_stream(request, i);
    return wasi;
}

static enum weir_status new_context(struct weir_store *store, const struct weir_wasi_config *config,
                                    struct weir_wasi **ret_wasi, struct weir_error *error)
{
    enum weir_status status = weir_wasi_new(store, config, ret_wasi, error);
    if (status == WEIR_OK)
        weir_store_set_data(store, *ret_wasi);
    return status;
}

void weir__context_free(void *wasi)
{
    weir_wasi_free(wasi);
}

enum weir_status weir__mode_open(struct weir__request *request, struct weir_error *error)
{
    const struct weir_route_config *config = request->route->config;
    struct weir_store *store = request->store;
    struct weir_wasi_config wasi = request_context(request);
    request->is_setting_up = is_reactor(config) && !weir_pool_is_settled(request->instance);
    if (request->is_setting_up) {
        wasi = route_context(config); /* and a stream, so that a guest that waits is parked */
        wasi.stdio_streams[2] = weir__request_stream(request, 2);
    }
    request->wasi = weir_store_data(store); /* a resident's */
    return request->wasi != NULL ? weir_wasi_renew(request->wasi, &wasi, error)
                                 : new_context(store, &wasi, &request->wasi, error);
}

void weir__mode_close(struct weir__request *request)
{
    if (request->route->config->mode != WEIR_ROUTE_RESIDENT) {
        weir_wasi_free(request->wasi);
        weir_store_set_data(request->store, NULL);
    }
    request->wasi = NULL;
}

/* --- a request's calls --------------------------------------------------------------------- */

static enum weir_status call(struct weir__request *request, const char *name,
                             struct weir_error *error)
{
    return weir_wasi_call(request->wasi, request->instance, name, &request->exit_code,
                          &request->trap, error);
}

/* The slot is as every request shall find it, or a resident begin. */
static enum weir_status end_set_up(struct weir__request *request, struct weir_error *error)
{
    struct weir_wasi_config wasi = request_context(request);
    request->is_setting_up = false;
    if (request->exit_code != 0) {
        weir__fail(&request->failure, WEIR__REFUSAL_EXIT, SET_UP " ended with exit code %d",
                   request->exit_code);
        return WEIR_OK;
    }
    enum weir_status status = weir_pool_settle(request->route->pool, request->instance, error);
    if (status != WEIR_OK)
        return status;
    if (request->route->config->mode == WEIR_ROUTE_RESIDENT)
        return weir_wasi_renew(request->wasi, &wasi, error);
    weir_wasi_free(request->wasi);
    request->wasi = NULL;
    weir_store_set_data(request->store, NULL);
    return new_context(request->store, &wasi, &request->wasi, error);
}

enum weir_status weir__mode_go_on(struct weir__request *request, enum weir_status status,
                                  struct weir_error *error)
{
    if (status != WEIR_OK || !request->is_setting_up)
        return status;
    status = end_set_up(request, error);
    if (status != WEIR_OK || request->failure.refusal != WEIR__REFUSAL_NONE)
        return status;
    return call(request, request->route->config->handler, error);
}

enum weir_status weir__mode_start(struct weir__request *request, struct weir_error *error)
{
    const struct weir__route *route = request->route;
    if (!is_reactor(route->config))
        return weir_wasi_run(request->wasi, request->instance, &request->exit_code, &request->trap,
                             error);
    if (!request->is_setting_up)
        return call(request, route->config->handler, error);
    request->exit_code = 0;
    enum weir_status status =
        has_set_up(request->instance) ? call(request, SET_UP, error) : WEIR_OK;
    return weir__mode_go_on(request, status, error);
}

/* --- slots that are ready before the first request ------------------------------------------- */

static enum weir_status set_up(struct weir__route *route, struct weir_instance *instance,
                               struct weir_error *error)
{
    const struct weir_route_config *config = route->config;
    const struct weir_wasi_config given = route_context(config);
    struct weir_store *store = weir_instance_store(instance);
    struct weir_wasi *wasi = NULL;
    struct weir_trap trap = {0};
    int exit_code = 0;
    enum weir_status status = new_context(store, &given, &wasi, error);
    if (status == WEIR_OK && config->fuel != 0)
        status = weir_store_set_fuel(store, config->fuel, error);
    if (status == WEIR_OK && has_set_up(instance)) {
        weir_store_set_deadline(store, weir_clock_ns() + config->time_ns);
        status = weir_wasi_call(wasi, instance, SET_UP, &exit_code, &trap, error);
        weir_store_set_deadline(store, 0);
    }
    if (status == WEIR_OK && exit_code != 0)
        status = weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                                SET_UP " ended with exit code %d", exit_code);
    if (status == WEIR_OK)
        status = weir_pool_settle(route->pool, instance, error);
    if (config->mode != WEIR_ROUTE_RESIDENT) {
        weir_store_set_data(store, NULL);
        weir_wasi_free(wasi);
    }
    weir_trap_done(&trap);
    return status;
}

enum weir_status weir__mode_set_up(void *context, struct weir_instance *instance,
                                   struct weir_error *error)
{
    struct weir__route *route = context;
    enum weir_status status = check_exports(instance, route->config, error);
    if (status == WEIR_OK && is_reactor(route->config))
        status = set_up(route, instance, error);
    return status;
}

/* --- affinity ------------------------------------------------------------------------------ */

/* The value of the environment's HTTP_NAME; NULL without. */
static const char *find_header(const struct weir_cgi_env *env, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < env->count; i++) {
        const char *entry = env->list[i];
        if (strncmp(entry, "HTTP_", 5) != 0)
            continue;
        size_t k = 0;
        while (k < size && (entry[5 + k] == name[k] || (name[k] == '-' && entry[5 + k] == '_') ||
                            (name[k] >= 'a' && name[k] <= 'z' && entry[5 + k] == name[k] - 32)))
            k++;
        if (k == size && entry[5 + k] == '=')
            return entry + 6 + k;
    }
    return NULL;
}

/* FNV-1a; whose keys collide share a preference, no more. */
static uint64_t key_of(const char *text)
{
    uint64_t key = UINT64_C(0xcbf29ce484222325);
    for (const char *at = text; *at != 0; at++)
        key = (key ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    return key;
}

enum weir_status weir__mode_take(struct weir__request *request, struct weir_error *error)
{
    const struct weir__route *route = request->route;
    const char *affinity = route->config->affinity;
    const char *client = NULL;
    if (is_reactor(route->config) && strcmp(affinity, "client") == 0)
        client = request->connection->client;
    else if (is_reactor(route->config) && strcmp(affinity, "none") != 0)
        client = find_header(&request->env, affinity);
    return client != NULL
               ? weir_pool_take_near(route->pool, key_of(client), &request->instance, error)
               : weir_pool_take(route->pool, &request->instance, error);
}
