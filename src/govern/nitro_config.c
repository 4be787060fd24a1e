/* Reads what a Nitro node's JSON configuration says about memory.
 *
 * Nitro itself refuses keys it does not know. Here a section that the budget is made of is read as
 * strictly; elsewhere only a key that looks like a mistyped one of ours is refused, because a
 * budget that silently took a default for it would be wrong.
 */
#include "govern/nitro_plan.h"

#include "base/cleanup.h"
#include "base/nearest.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

struct weir_nitro_config weir_nitro_config_default(void)
{
    return (struct weir_nitro_config){.database_cache_mb = 2048,
                                      .trie_dirty_cache_mb = 1024,
                                      .trie_clean_cache_mb = 600,
                                      .snapshot_cache_mb = 400,
                                      .stylus_cache_mb = 256,
                                      .memtable_count = 4,
                                      .diff_layers_max = 128,
                                      .validator_free_limit = UINT64_C(1) << 30};
}

/* --- sizes --------------------------------------------------------------------------------- */

/* Reads digits; false without one or beyond 64 bits. */
static bool digits(const char **at, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *p = *at;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
            return false;
    bool has_digits = p != *at;
    *at = p;
    *ret_number = number;
    return has_digits;
}

struct unit {
    const char *name;
    unsigned shift;
};

static bool scale(uint64_t number, unsigned shift, uint64_t *ret_bytes)
{
    return !__builtin_mul_overflow(number, UINT64_C(1) << shift, ret_bytes);
}

enum weir_status weir_nitro_size_parse(const char *key, const char *text, uint64_t *ret_bytes,
                                       struct weir_error *error)
{
    static const struct unit UNITS[] = {{"b", 0},  {"k", 10},  {"kb", 10}, {"m", 20}, {"mb", 20},
                                        {"g", 30}, {"gb", 30}, {"t", 40},  {"tb", 40}};
    const char *at = text;
    uint64_t number, bytes;
    if (text[0] == '-' || text[0] == '+')
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s: \"%.40s\" has a sign; Nitro takes a negative limit and never "
                              "acts on it: write a size like 1GB",
                              key, text);
    if (digits(&at, &number)) {
        at += strspn(at, " ");
        for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++)
            if (strcasecmp(at, UNITS[i].name) == 0 && scale(number, UNITS[i].shift, &bytes) &&
                bytes <= INT64_MAX) {
                *ret_bytes = bytes;
                return WEIR_OK;
            }
    }
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                          "%s: \"%.40s\" is no size as Nitro reads it: digits and B, K, KB, M, MB, "
                          "G, GB, T or TB (1024-based), like 1GB",
                          key, text);
}

enum weir_status weir_gomemlimit_parse(const char *text, uint64_t *ret_bytes,
                                       struct weir_error *error)
{
    static const struct unit UNITS[] = {{"", 0},     {"B", 0},    {"KiB", 10},
                                        {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    if (strcmp(text, "off") == 0) {
        *ret_bytes = UINT64_MAX;
        return WEIR_OK;
    }
    const char *at = text;
    uint64_t number, bytes;
    if (digits(&at, &number))
        for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++)
            if (strcmp(at, UNITS[i].name) == 0 && scale(number, UNITS[i].shift, &bytes) &&
                bytes <= INT64_MAX) {
                *ret_bytes = bytes;
                return WEIR_OK;
            }
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "\"%.40s\" is no GOMEMLIMIT: Go takes digits with B, KiB, MiB, GiB, TiB "
                          "or nothing (no GB, no fraction), or off, and ends at once otherwise",
                          text);
}

/* --- keys ---------------------------------------------------------------------------------- */

enum key_type {
    KEY_MB,
    KEY_COUNT,
    KEY_SIZE,
    KEY_OTHER /* known, not of memory */
};

struct key {
    const char *name;
    enum key_type type;
    enum weir_nitro_key id;
    size_t offset; /* in struct weir_nitro_config */
    uint64_t minimum, maximum;
};

#define FIELD(field) offsetof(struct weir_nitro_config, field)
#define OTHER(name)                                                                                \
    {                                                                                              \
        name, KEY_OTHER, 0, 0, 0, 0                                                                \
    }

static const struct key CACHING_KEYS[] = {
    {"database-cache", KEY_MB, WEIR_NITRO_DATABASE_CACHE, FIELD(database_cache_mb), 0,
     WEIR_NITRO_MB_MAX},
    {"trie-dirty-cache", KEY_MB, WEIR_NITRO_TRIE_DIRTY_CACHE, FIELD(trie_dirty_cache_mb), 0,
     WEIR_NITRO_MB_MAX},
    {"trie-clean-cache", KEY_MB, WEIR_NITRO_TRIE_CLEAN_CACHE, FIELD(trie_clean_cache_mb), 0,
     WEIR_NITRO_MB_MAX},
    {"snapshot-cache", KEY_MB, WEIR_NITRO_SNAPSHOT_CACHE, FIELD(snapshot_cache_mb), 0,
     WEIR_NITRO_MB_MAX},
    {"stylus-lru-cache-capacity", KEY_MB, WEIR_NITRO_STYLUS_CACHE, FIELD(stylus_cache_mb), 0,
     WEIR_NITRO_MB_MAX},
    {"pathdb-max-diff-layers", KEY_COUNT, WEIR_NITRO_DIFF_LAYERS, FIELD(diff_layers_max), 0,
     INT32_MAX},
    OTHER("archive"),
    OTHER("block-count"),
    OTHER("block-age"),
    OTHER("trie-time-limit"),
    OTHER("trie-time-limit-before-flush-maintenance"),
    OTHER("trie-time-limit-random-offset"),
    OTHER("trie-cap-limit"),
    OTHER("snapshot-restore-gas-limit"),
    OTHER("head-rewind-blocks-limit"),
    OTHER("max-number-of-blocks-to-skip-state-saving"),
    OTHER("max-amount-of-gas-to-skip-state-saving"),
    OTHER("disable-stylus-cache-metrics-collection"),
    OTHER("state-scheme"),
    OTHER("state-history"),
    OTHER("enable-preimages"),
};
static const struct key EXPERIMENTAL_KEYS[] = {
    {"mem-table-stop-writes-threshold", KEY_COUNT, WEIR_NITRO_MEMTABLES, FIELD(memtable_count),
     WEIR_NITRO_MEMTABLES_MIN, WEIR_NITRO_MEMTABLES_MAX},
};
static const struct key RESOURCE_KEYS[] = {
    {"mem-free-limit", KEY_SIZE, WEIR_NITRO_RPC_FREE_LIMIT, FIELD(rpc_free_limit), 0, 0},
};
static const struct key VALIDATOR_KEYS[] = {
    {"memory-free-limit", KEY_SIZE, WEIR_NITRO_VALIDATOR_FREE_LIMIT, FIELD(validator_free_limit), 0,
     0},
};

/* Names that are known in each object on the way, so that a slip is seen. */
static const char *const TOP_NAMES[] = {
    "auth",
    "blocks-reexecutor",
    "chain",
    "conf",
    "ensure-rollup-deployment",
    "execution",
    "file-logging",
    "graphql",
    "http",
    "init",
    "ipc",
    "log-level",
    "log-type",
    "metrics",
    "metrics-server",
    "node",
    "p2p",
    "parent-chain",
    "persistent",
    "pprof",
    "pprof-cfg",
    "rpc",
    "validation",
    "ws",
};
static const char *const EXECUTION_NAMES[] = {"caching"};
static const char *const PERSISTENT_NAMES[] = {"ancient", "chain",   "db-engine", "global-config",
                                               "handles", "log-dir", "pebble"};
static const char *const PEBBLE_NAMES[] = {"experimental", "max-concurrent-compactions",
                                           "sync-mode"};
static const char *const NODE_NAMES[] = {"block-validator", "resource-mgmt"};

struct object {
    const char *path; /* "execution.caching" */
    const struct key *keys;
    size_t key_count;
    const char *const *names; /* beside the keys: known, with objects of their own */
    size_t name_count;
    bool is_closed; /* unknown keys are errors even when they look like none of ours */
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct object OBJECTS[] = {
    {"", NULL, 0, TOP_NAMES, COUNT(TOP_NAMES), false},
    {"execution", NULL, 0, EXECUTION_NAMES, COUNT(EXECUTION_NAMES), false},
    {"execution.caching", CACHING_KEYS, COUNT(CACHING_KEYS), NULL, 0, true},
    {"persistent", NULL, 0, PERSISTENT_NAMES, COUNT(PERSISTENT_NAMES), false},
    {"persistent.pebble", NULL, 0, PEBBLE_NAMES, COUNT(PEBBLE_NAMES), false},
    {"persistent.pebble.experimental", EXPERIMENTAL_KEYS, COUNT(EXPERIMENTAL_KEYS), NULL, 0, false},
    {"node", NULL, 0, NODE_NAMES, COUNT(NODE_NAMES), false},
    {"node.resource-mgmt", RESOURCE_KEYS, COUNT(RESOURCE_KEYS), NULL, 0, true},
    {"node.block-validator", VALIDATOR_KEYS, COUNT(VALIDATOR_KEYS), NULL, 0, false},
};

static const char *type_name(const json_t *value)
{
    static const char *const NAMES[] = {"an object", "a list", "a string", "a number",
                                        "a number",  "true",   "false",    "null"};
    return NAMES[json_typeof(value)];
}

/* "execution.caching.database-cache" */
struct key_path {
    char text[160];
};

static struct key_path key_path(const struct object *object, const char *name)
{
    struct key_path path;
    (void)snprintf(path.text, sizeof path.text, "%s%s%.60s", object->path,
                   object->path[0] != 0 ? "." : "", name);
    return path;
}

static enum weir_status read_number(const char *path, const struct key *key, const json_t *value,
                                    uint64_t *field, struct weir_error *error)
{
    const char *unit = key->type == KEY_MB ? "whole MB" : "a whole number";
    if (!json_is_integer(value))
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s is %s: write %s as a plain number, like %llu", path,
                              type_name(value), unit, (unsigned long long)*field);
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number < key->minimum || (uint64_t)number > key->maximum)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s is %lld: write %s from %llu to %llu", path, (long long)number,
                              unit, (unsigned long long)key->minimum,
                              (unsigned long long)key->maximum);
    *field = (uint64_t)number;
    return WEIR_OK;
}

static enum weir_status read_size(const char *path, const struct key *key, const json_t *value,
                                  uint64_t *field, struct weir_error *error)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s is %s: write a size in quotes, like \"1GB\", or \"\" for off",
                              path, type_name(value));
    if (text[0] == 0) {
        *field = 0;
        return WEIR_OK;
    }
    if (key->id == WEIR_NITRO_VALIDATOR_FREE_LIMIT && strcmp(text, "default") == 0)
        return WEIR_OK; /* which the field has already */
    return weir_nitro_size_parse(path, text, field, error);
}

static enum weir_status read_key(const struct object *object, const struct key *key,
                                 const json_t *value, struct weir_nitro_config *config,
                                 struct weir_error *error)
{
    if (key->type == KEY_OTHER)
        return WEIR_OK;
    struct key_path path = key_path(object, key->name);
    uint64_t *field = (uint64_t *)(void *)((char *)config + key->offset);
    config->set_mask |= 1u << key->id;
    if (key->type == KEY_SIZE)
        return read_size(path.text, key, value, field, error);
    return read_number(path.text, key, value, field, error);
}

static enum weir_status unknown_key(const struct object *object, const char *name,
                                    struct weir_error *error)
{
    const char *names[COUNT(CACHING_KEYS) + COUNT(TOP_NAMES)];
    size_t count = 0;
    for (size_t i = 0; i < object->key_count; i++)
        names[count++] = object->keys[i].name;
    for (size_t i = 0; i < object->name_count; i++)
        names[count++] = object->names[i];
    const char *nearest = weir_nearest_name(name, names, count);
    struct key_path path = key_path(object, name);
    if (nearest != NULL)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s: no such key; did you mean %s?", path.text, nearest);
    if (strchr(name, '.') != NULL)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s: a key of the file has no dots; nest objects instead", path.text);
    if (!object->is_closed)
        return WEIR_OK;
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                          "%s: no such key; remove it, Nitro would not start with it either",
                          path.text);
}

static bool is_known_name(const struct object *object, const char *name)
{
    for (size_t i = 0; i < object->name_count; i++)
        if (strcmp(object->names[i], name) == 0)
            return true;
    return false;
}

static enum weir_status read_object(const struct object *object, json_t *values,
                                    struct weir_nitro_config *config, struct weir_error *error)
{
    if (!json_is_object(values))
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%s is %s: write an object, {...}",
                              object->path[0] != 0 ? object->path : "the file", type_name(values));
    const char *name;
    json_t *value;
    json_object_foreach(values, name, value)
    {
        const struct key *key = NULL;
        for (size_t i = 0; i < object->key_count && key == NULL; i++)
            if (strcmp(object->keys[i].name, name) == 0)
                key = &object->keys[i];
        enum weir_status status = WEIR_OK;
        if (key != NULL)
            status = read_key(object, key, value, config, error);
        else if (!is_known_name(object, name))
            status = unknown_key(object, name, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* The value at a dotted path; NULL where the way ends. */
static json_t *find(json_t *root, const char *path)
{
    while (path[0] != 0 && root != NULL) {
        size_t size = strcspn(path, ".");
        root = json_object_getn(root, path, size);
        path += size + (path[size] == '.');
    }
    return root;
}

static enum weir_status read_root(json_t *root, struct weir_nitro_config *config,
                                  struct weir_error *error)
{
    for (size_t i = 0; i < COUNT(OBJECTS); i++) {
        json_t *values = find(root, OBJECTS[i].path);
        if (values == NULL)
            continue;
        enum weir_status status = read_object(&OBJECTS[i], values, config, error);
        if (status != WEIR_OK)
            return status;
    }
    const json_t *engine = find(root, "persistent.db-engine");
    const char *name = json_string_value(engine);
    if (engine != NULL && (name == NULL || (name[0] != 0 && strcmp(name, "pebble") != 0)))
        return weir_error_set(
            error, WEIR_CONFIG, WEIR_NO_OFFSET,
            "persistent.db-engine is %s: the budget is known for \"pebble\" only; "
            "leveldb keeps its caches on the Go heap",
            name != NULL ? name : type_name(engine));
    return WEIR_OK;
}

enum weir_status weir_nitro_config_parse(const char *name, const char *bytes, size_t size,
                                         struct weir_nitro_config *ret_config,
                                         struct weir_error *error)
{
    json_error_t problem;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET, "%s, line %d: %s", name,
                              problem.line, problem.text);
    struct weir_nitro_config config = weir_nitro_config_default();
    struct weir_error inner = {0};
    enum weir_status status = read_root(root, &config, &inner);
    json_decref(root);
    if (status != WEIR_OK) {
        /* Keys are the file's: a control character in one must not reach a terminal. */
        for (char *c = inner.message; *c != 0; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = '?';
        (void)weir_error_set(error, status, WEIR_NO_OFFSET, "%s: %s", name, inner.message);
        weir_error_done(&inner);
        return status;
    }
    config.name = name;
    *ret_config = config;
    return WEIR_OK;
}
