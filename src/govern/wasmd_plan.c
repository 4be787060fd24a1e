/* app.toml, versions, and the bounds of a node's contract cache. Sources: cosmwasm packages/vm,
 * wasmvm types/config.go, wasmd x/wasm. */
#include "govern/wasmd_plan.h"

#include "base/nearest.h"
#include "govern/toml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- app.toml ------------------------------------------------------------------------------ */

static const char KEY[] = "memory_cache_size";

static enum weir_status read_size(struct weir_wasmd_config *config,
                                  const struct weir_toml_value *value, struct weir_error *error)
{
    int64_t number = -1;
    bool is_number = value->type == WEIR_TOML_INTEGER;
    if (is_number) {
        number = value->integer;
    } else if (value->type == WEIR_TOML_STRING && !value->is_cut && value->text[0] != 0 &&
               strspn(value->text, "0123456789") == strlen(value->text) &&
               strlen(value->text) <= 10) {
        number = strtoll(value->text, NULL, 10); /* wasmd takes digits in quotes, too */
        is_number = true;
    }
    if (!is_number)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%.64s, line %u: wasm.memory_cache_size is %s: wasmd reads a plain "
                              "number of MiB, like %llu",
                              config->name, value->line, weir_toml_type_name(value->type),
                              (unsigned long long)WEIR_WASMD_CACHE_ADVICE_MIB);
    if (number < 0 || number > UINT32_MAX)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%.64s, line %u: wasm.memory_cache_size is %s: write MiB from 0 to "
                              "%llu",
                              config->name, value->line, value->text,
                              (unsigned long long)WEIR_WASMD_CACHE_MAX_MIB);
    config->cache_mib = (uint64_t)number;
    config->is_set = true;
    return WEIR_OK;
}

static enum weir_status take_value(void *context, const char *path,
                                   const struct weir_toml_value *value, struct weir_error *error)
{
    struct weir_wasmd_config *config = context;
    if (strcasecmp(path, "wasm.memory_cache_size") == 0)
        return read_size(config, value, error);
    const char *dot = strrchr(path, '.');
    const char *last = dot != NULL ? dot + 1 : path;
    const char *const names[] = {KEY};
    if (strcasecmp(last, KEY) == 0)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%.64s, line %u: %.60s is not where wasmd looks; put "
                              "memory_cache_size under [wasm]",
                              config->name, value->line, path);
    if (strncasecmp(path, "wasm.", 5) == 0 && weir_nearest_name(last, names, 1) != NULL)
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "%.64s, line %u: %.60s: wasmd has no such key and would ignore it; "
                              "did you mean memory_cache_size?",
                              config->name, value->line, path);
    return WEIR_OK;
}

enum weir_status weir_wasmd_config_parse(const char *name, const char *bytes, size_t size,
                                         struct weir_wasmd_config *ret_config,
                                         struct weir_error *error)
{
    struct weir_wasmd_config config = {.name = name, .cache_mib = WEIR_WASMD_CACHE_DEFAULT_MIB};
    enum weir_status status = weir_toml_parse(name, bytes, size, take_value, &config, error);
    if (status == WEIR_OK)
        *ret_config = config;
    return status;
}

/* --- versions ------------------------------------------------------------------------------ */

#define RESIDENT_BEFORE 128u
#define RESIDENT_1_4 219u
#define RESIDENT_1_5 108u /* and 2.0 */
#define RESIDENT_2_1 65u
#define RESIDENT_WORST RESIDENT_1_4

struct weir_wasmd_release weir_wasmd_release_unknown(void)
{
    return (struct weir_wasmd_release){WEIR_WASMD_UNKNOWN, RESIDENT_WORST, true};
}

uint64_t weir_wasmd_cache_bytes(const struct weir_wasmd_release *release, uint64_t cache_mib)
{
    uint64_t bytes = cache_mib * WEIR_MIB;
    return release->wraps ? (uint32_t)bytes : bytes;
}

static bool read_part(const char **at, unsigned long *ret_part)
{
    if (!isdigit((unsigned char)**at))
        return false;
    char *end;
    *ret_part = strtoul(*at, &end, 10);
    *at = end;
    return *ret_part < 1000000;
}

enum weir_status weir_wasmd_release_of_version(const char *version,
                                               struct weir_wasmd_release *ret_release,
                                               struct weir_error *error)
{
    unsigned long major, minor, patch;
    const char *at = version + (version[0] == 'v');
    bool is_version = read_part(&at, &major) && *at++ == '.' && read_part(&at, &minor) &&
                      *at++ == '.' && read_part(&at, &patch);
    if (!is_version || (*at != 0 && *at != '-' && *at != '+'))
        return weir_error_set(
            error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
            "%.40s is no version of wasmvm: three numbers are needed, like 1.5.2; "
            "`wasmd query wasm libwasmvm-version` tells it",
            version);
    bool is_before = major == 0 || (major == 1 && minor < 4);
    bool is_growing = major == 1 && ((minor == 4 && patch < 3) || (minor == 5 && patch < 2));
    struct weir_wasmd_release release;
    if (*at == '-') /* a release candidate may lie on either side of a fix */
        release.growth = major == 1 && (minor == 4 || minor == 5) ? WEIR_WASMD_MAYBE
                         : major >= 2                             ? WEIR_WASMD_UNKNOWN
                                                                  : WEIR_WASMD_BEFORE;
    else
        release.growth = is_before    ? WEIR_WASMD_BEFORE
                         : is_growing ? WEIR_WASMD_GROWS
                                      : WEIR_WASMD_FIXED;
    release.resident_percent = is_before                                  ? RESIDENT_BEFORE
                               : major == 1 && minor == 4                 ? RESIDENT_1_4
                               : major == 1 || (major == 2 && minor == 0) ? RESIDENT_1_5
                                                                          : RESIDENT_2_1;
    release.wraps = major > 2 || (major == 2 && minor >= 2);
    *ret_release = release;
    return WEIR_OK;
}

/* N of "vN-..."; 0 for today's opaque names. */
static unsigned long folder_number(const char *folder)
{
    if (folder[0] != 'v' || !isdigit((unsigned char)folder[1]))
        return 0;
    char *end;
    unsigned long number = strtoul(folder + 1, &end, 10);
    return *end == '-' || *end == 0 ? number : 0;
}

struct weir_wasmd_release weir_wasmd_release_of_folder(const char *folder)
{
    unsigned long number = folder_number(folder);
    if (number == 0 || number >= 10) /* all of them began after the fix */
        return (struct weir_wasmd_release){WEIR_WASMD_FIXED, RESIDENT_2_1, true};
    if (number <= 6)
        return (struct weir_wasmd_release){WEIR_WASMD_BEFORE, RESIDENT_BEFORE, false};
    if (number <= 8)
        return (struct weir_wasmd_release){WEIR_WASMD_MAYBE,
                                           number == 7 ? RESIDENT_1_4 : RESIDENT_1_5, false};
    return weir_wasmd_release_unknown();
}

const char *weir_wasmd_folder_series(const char *folder)
{
    switch (folder_number(folder)) {
    case 6:
        return "CosmWasm 1.3";
    case 7:
        return "CosmWasm 1.4";
    case 8:
        return "CosmWasm 1.5";
    case 0:
        return "today's naming";
    default:
        return folder_number(folder) < 6 ? "before CosmWasm 1.3" : "after v8";
    }
}

/* --- bounds -------------------------------------------------------------------------------- */

static const struct weir_plan_line OPEN_LINES[] = {
    {.name = "pinned_tier",
     .what = "pinned contracts",
     .allocator = "Rust",
     .why = "no limit, no eviction",
     .where = "packages/vm/src/modules/pinned_memory_cache.rs",
     .origin = WEIR_PLAN_CODE,
     .is_unbounded = true},
    {.name = "disk_tier",
     .what = "compiled modules on disk",
     .allocator = "disk",
     .why = "no limit, old versions stay",
     .where = "packages/vm/src/modules/file_system_cache.rs",
     .origin = WEIR_PLAN_CODE,
     .is_unbounded = true},
    {.name = "instances",
     .what = "running contracts",
     .allocator = "mmap",
     .why = "32 MiB x nesting x parallel queries",
     .where = "wasmd x/wasm/keeper",
     .origin = WEIR_PLAN_CODE,
     .is_unbounded = true},
    {.name = "node",
     .what = "the node itself",
     .allocator = "Go",
     .why = "outside app.toml's [wasm]",
     .origin = WEIR_PLAN_CODE,
     .is_unbounded = true},
};

/* The memory tier: what it counts, and what its modules take beyond that. */
static enum weir_status add_tier(struct weir_plan *plan, const struct weir_wasmd_config *config,
                                 const struct weir_wasmd_release *release, struct weir_error *error)
{
    char why[96];
    uint64_t bytes = weir_wasmd_cache_bytes(release, config->cache_mib);
    (void)snprintf(why, sizeof why, "memory_cache_size%s", config->is_set ? "" : " (default)");
    const struct weir_plan_line tier = {.name = "memory_tier",
                                        .what = "memory cache",
                                        .allocator = "Rust",
                                        .why = why,
                                        .where = "packages/vm/src/modules/in_memory_cache.rs",
                                        .origin = WEIR_PLAN_CONFIG,
                                        .bytes = bytes};
    enum weir_status status = weir_plan_add(plan, &tier, error);
    if (status != WEIR_OK || release->resident_percent <= 100)
        return status;
    bool is_worst =
        release->growth == WEIR_WASMD_UNKNOWN && release->resident_percent == RESIDENT_WORST;
    (void)snprintf(why, sizeof why, "%smodules take %u.%02u x their count",
                   is_worst ? "1.4's " : "", release->resident_percent / 100,
                   release->resident_percent % 100);
    const struct weir_plan_line rest = {.name = "memory_tier_uncounted",
                                        .what = "memory cache, uncounted",
                                        .allocator = "Rust",
                                        .why = why,
                                        .where = "docs/NODE-BUDGET.md",
                                        .origin = WEIR_PLAN_MEASURED,
                                        .bytes = bytes / 100 * (release->resident_percent - 100)};
    return weir_plan_add(plan, &rest, error);
}

enum weir_status weir_wasmd_plan_make(const struct weir_wasmd_config *config,
                                      const struct weir_wasmd_release *release,
                                      const struct weir_wasmd_modules *modules,
                                      struct weir_plan **ret_plan, struct weir_error *error)
{
    struct weir_plan *plan = NULL;
    enum weir_status status = weir_plan_new("wasmd", &plan, error);
    char why[96];
    if (status == WEIR_OK)
        status = add_tier(plan, config, release, error);
    for (size_t i = 0; status == WEIR_OK && i < sizeof OPEN_LINES / sizeof OPEN_LINES[0]; i++) {
        struct weir_plan_line line = OPEN_LINES[i];
        if (i == 0 && modules != NULL) {
            const struct weir_wasmd_folder *used = &modules->folders[modules->used];
            (void)snprintf(why, sizeof why, "no limit; all %llu modules: %llu MiB",
                           (unsigned long long)used->count,
                           (unsigned long long)((used->weight + WEIR_MIB - 1) / WEIR_MIB));
            line.why = why;
        }
        status = weir_plan_add(plan, &line, error);
    }
    if (status != WEIR_OK) {
        weir_plan_free(plan);
        return status;
    }
    *ret_plan = plan;
    return WEIR_OK;
}
