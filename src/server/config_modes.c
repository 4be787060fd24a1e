/* Instance modes in weir.yaml: a route's mode and what goes with it. */
#include "base/clock.h"
#include "server/config_internal.h"
#include "server/server_config.h"
#include "server/server_limits.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DAY (24 * 3600 * WEIR_SECOND_NS)

static const struct word MODES[] = {{"request", WEIR_ROUTE_REQUEST},
                                    {"pool", WEIR_ROUTE_POOL},
                                    {"resident", WEIR_ROUTE_RESIDENT},
                                    {NULL, 0}};

const char *weir_route_mode_name(enum weir_route_mode mode)
{
    return MODES[mode].text;
}

struct key_name {
    char text[128];
};

static struct key_name key_name(const char *prefix, const char *key)
{
    struct key_name name;
    (void)snprintf(name.text, sizeof name.text, "%s.%s", prefix, key);
    return name;
}

/* Keys that mean nothing in the route's mode are mistakes, told rather than left out. */
static enum weir_status check_keys(struct loader *loader, const char *prefix,
                                   const struct weir__raw_route *raw, enum weir_route_mode mode)
{
    const struct weir__raw_recycle *recycle = &raw->recycle;
    bool has_recycle = recycle->calls != NULL || recycle->age != NULL || recycle->idle != NULL ||
                       recycle->memory != NULL || recycle->linear != NULL;
    const unsigned request = 1u << WEIR_ROUTE_REQUEST, pool = 1u << WEIR_ROUTE_POOL,
                   resident = 1u << WEIR_ROUTE_RESIDENT;
    const struct {
        const char *key;
        bool is_given;
        unsigned modes; /* bits */
        const char *what;
    } KEYS[] = {
        {"handler", raw->handler != NULL, pool | resident, "this needs mode pool or resident"},
        {"affinity", raw->affinity != NULL, pool | resident, "this needs mode pool or resident"},
        {"residents", raw->residents != NULL, resident, "this needs mode resident"},
        {"recycle", has_recycle, resident, "this needs mode resident"},
        {"verify", raw->verify != NULL, request | pool,
         "this needs mode request or pool: a resident is not reset"},
    };
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++)
        if (KEYS[i].is_given && (KEYS[i].modes >> mode & 1) == 0)
            return weir__config_read.refuse(loader, key_name(prefix, KEYS[i].key).text,
                                            KEYS[i].what);
    return WEIR_OK;
}

static enum weir_status read_recycle(struct loader *loader, const char *prefix,
                                     const struct weir__raw_recycle *raw,
                                     struct weir_route_config *route)
{
    const struct range times = {WEIR_SECOND_NS / 10, 366 * DAY};
    const struct range marks = {64 << 10, route->memory_bytes_max};
    const struct weir__config_reader *read = &weir__config_read;
    struct weir_recycle_policy *policy = &route->recycle;
    enum weir_status status =
        read->count(loader, key_name(prefix, "recycle.calls").text, raw->calls,
                    (struct range){1, UINT64_C(1) << 53}, &policy->calls_max);
    if (status == WEIR_OK)
        status = read->time(loader, key_name(prefix, "recycle.age").text, raw->age, times,
                            &policy->age_ns_max);
    if (status == WEIR_OK)
        status = read->time(loader, key_name(prefix, "recycle.idle").text, raw->idle, times,
                            &policy->idle_ns_max);
    if (status == WEIR_OK)
        status = read->size(loader, key_name(prefix, "recycle.memory").text, raw->memory, marks,
                            &policy->private_bytes_max);
    if (status == WEIR_OK)
        status = read->size(loader, key_name(prefix, "recycle.linear").text, raw->linear, marks,
                            &policy->linear_bytes_max);
    return status;
}

static enum weir_status read_name(struct loader *loader, const char *key, const char *text,
                                  const char *fallback, const char **ret_name)
{
    size_t size = text != NULL ? strlen(text) : 1;
    if (size == 0 || size > WEIR_SERVER_NAME_MAX)
        return weir__config_read.refuse(loader, key, "a name of 1 to 100 bytes is needed");
    return weir__config_read.copy(loader, text != NULL ? text : fallback, ret_name);
}
static_assert(WEIR_SERVER_NAME_MAX == 100, "the message above");

enum weir_status weir__config_mode(struct loader *loader, const char *prefix,
                                   const struct weir__raw_route *raw,
                                   struct weir_route_config *route)
{
    static const struct word SWITCH[] = {{"false", 0}, {"true", 1}, {NULL, 0}};
    const struct weir__config_reader *read = &weir__config_read;
    int mode = WEIR_ROUTE_REQUEST, is_verifying = 0;
    enum weir_status status =
        read->word(loader, key_name(prefix, "mode").text, raw->mode, MODES, &mode);
    if (status == WEIR_OK)
        status =
            read->word(loader, key_name(prefix, "verify").text, raw->verify, SWITCH, &is_verifying);
    route->mode = (enum weir_route_mode)mode;
    route->is_verifying = is_verifying != 0;
    if (status == WEIR_OK)
        status = check_keys(loader, prefix, raw, route->mode);
    if (status == WEIR_OK)
        status = read_name(loader, key_name(prefix, "handler").text, raw->handler,
                           WEIR_SERVER_HANDLER_DEFAULT, &route->handler);
    if (status == WEIR_OK)
        status = read_name(loader, key_name(prefix, "affinity").text, raw->affinity, "client",
                           &route->affinity);
    uint64_t slots = mode == WEIR_ROUTE_RESIDENT ? 1 : route->concurrency;
    if (status == WEIR_OK)
        status = read->count(loader, key_name(prefix, "residents").text, raw->residents,
                             (struct range){1, route->concurrency}, &slots);
    route->slots = (uint32_t)slots;
    if (status == WEIR_OK)
        status = read_recycle(loader, prefix, &raw->recycle, route);
    return status;
}
