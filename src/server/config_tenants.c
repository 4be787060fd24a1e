/* Whom routes belong to, and what all routes of one may take together. */
#include "server/config_internal.h"

#include "base/nearest.h"
#include "base/sizes.h"
#include "server/server_config.h"
#include "server/server_limits.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct key {
    char text[64];
};

static struct key tenant_key(size_t index, const char *name)
{
    struct key key;
    (void)snprintf(key.text, sizeof key.text, "tenants[%zu].%s", index, name);
    return key;
}

static enum weir_status refuse(struct loader *loader, const char *key, const char *format, ...)
    WEIR_PRINTF(3, 4);

static enum weir_status refuse(struct loader *loader, const char *key, const char *format, ...)
{
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return weir__config_read.refuse(loader, key, what);
}

static enum weir_status read_name(struct loader *loader, const char *key, const char *text,
                                  const char **ret_name)
{
    size_t size = strlen(text);
    bool is_good = size > 0 && size < WEIR_ACCOUNT_NAME_SIZE && isalnum((unsigned char)text[0]);
    for (size_t i = 0; i < size; i++)
        is_good = is_good && isgraph((unsigned char)text[i]);
    if (!is_good)
        return refuse(loader, key,
                      "\"%.40s\": a word of at most %d characters, first a letter or digit", text,
                      WEIR_ACCOUNT_NAME_SIZE - 1);
    return weir__config_read.copy(loader, text, ret_name);
}

static const struct weir_tenant_keys *find(const struct weir_tenant_keys *tenants, size_t count,
                                           const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tenants[i].name, name) == 0)
            return &tenants[i];
    return NULL;
}

const struct weir_tenant_keys *weir_server_config_tenant(const struct weir_server_config *config,
                                                         const char *name)
{
    return find(config->tenants, config->tenant_count, name);
}

static enum weir_status read_tenant(struct loader *loader, size_t index,
                                    const struct weir__raw_tenant *raw,
                                    struct weir_tenant_keys *tenant)
{
    const struct weir__config_reader *read = &weir__config_read;
    uint64_t concurrency = 0;
    tenant->memory_bytes_max = WEIR_UNLIMITED;
    if (raw->name == NULL)
        return refuse(loader, tenant_key(index, "name").text, "every tenant needs a name");
    enum weir_status status =
        read_name(loader, tenant_key(index, "name").text, raw->name, &tenant->name);
    if (status == WEIR_OK)
        status = read->size(loader, tenant_key(index, "limits.memory").text, raw->limits.memory,
                            (struct range){WEIR_MIB, UINT64_C(1) << 50}, &tenant->memory_bytes_max);
    if (status == WEIR_OK)
        status = read->count(loader, tenant_key(index, "limits.concurrency").text,
                             raw->limits.concurrency,
                             (struct range){1, WEIR_SERVER_TENANT_CONCURRENCY_MAX}, &concurrency);
    tenant->concurrency = (uint32_t)concurrency;
    return status;
}

enum weir_status weir__config_tenants(struct loader *loader, const struct weir__raw_config *raw,
                                      struct weir_server_config *config)
{
    void *tenants = NULL;
    enum weir_status status =
        weir__config_read.array(loader, raw->tenants_count, sizeof *config->tenants, &tenants);
    struct weir_tenant_keys *keys = tenants;
    for (size_t i = 0; status == WEIR_OK && i < raw->tenants_count; i++) {
        status = read_tenant(loader, i, &raw->tenants[i], &keys[i]);
        if (status == WEIR_OK && find(keys, i, keys[i].name) != NULL)
            status = refuse(loader, tenant_key(i, "name").text, "%.40s is there already",
                            keys[i].name);
    }
    config->tenants = keys;
    config->tenant_count = raw->tenants_count;
    return status;
}

enum weir_status weir__config_route_tenant(struct loader *loader, const char *prefix,
                                           const char *text,
                                           const struct weir_server_config *config,
                                           struct weir_route_config *route)
{
    char key[64];
    if (text == NULL)
        return WEIR_OK;
    (void)snprintf(key, sizeof key, "%s.tenant", prefix);
    enum weir_status status = read_name(loader, key, text, &route->tenant);
    if (status != WEIR_OK)
        return status;
    route->tenant_keys = find(config->tenants, config->tenant_count, route->tenant);
    if (route->tenant_keys != NULL && weir_route_has_guest(route) &&
        route->tenant_keys->memory_bytes_max < route->memory_bytes_max + WEIR_MIB)
        return refuse(loader, key,
                      "limits.memory of tenant %.30s, %s, holds no request of this route: %s is "
                      "the least",
                      route->tenant, weir_size_format(route->tenant_keys->memory_bytes_max).text,
                      weir_size_format(route->memory_bytes_max + WEIR_MIB).text);
    return WEIR_OK;
}

/* One that no route names is a limit that nobody would obey: a misspelt name. */
enum weir_status weir__config_tenants_used(struct loader *loader,
                                           const struct weir_server_config *config)
{
    for (size_t i = 0; i < config->tenant_count; i++) {
        const char *names[64];
        size_t count = 0;
        bool is_used = false;
        for (size_t j = 0; j < config->route_count && !is_used; j++) {
            is_used = config->routes[j].tenant_keys == &config->tenants[i];
            if (config->routes[j].tenant != NULL && count < sizeof names / sizeof names[0])
                names[count++] = config->routes[j].tenant;
        }
        const char *nearest = is_used ? NULL : weir_nearest_name(config->tenants[i].name, names,
                                                                 count);
        if (!is_used)
            return refuse(loader, tenant_key(i, "name").text, "no route belongs to %.40s%s%.40s%s",
                          config->tenants[i].name, nearest != NULL ? "; did you mean " : "",
                          nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    }
    return WEIR_OK;
}
