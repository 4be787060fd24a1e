/* What a cache may take by its configuration: apart from the cache, so that a program can plan
 * without an engine. */
#include <stdio.h>

#include "base/sizes.h"
#include "cache/cache_internal.h"
#include "runtime/compile_limits.h"

#define MAPPINGS_PER_MODULE 3u /* DESIGN law 2 */

struct weir_cache_config weir__cache_config_complete(const struct weir_cache_config *config)
{
    struct weir_cache_config whole = config != NULL ? *config : (struct weir_cache_config){0};
    if (whole.pinned_bytes_max == 0)
        whole.pinned_bytes_max = WEIR_CACHE_PINNED_DEFAULT;
    if (whole.memory_bytes_max == 0)
        whole.memory_bytes_max = WEIR_CACHE_MEMORY_DEFAULT;
    if (whole.disk_bytes_max == 0)
        whole.disk_bytes_max = WEIR_ARTIFACT_DIR_BYTES_DEFAULT;
    if (whole.modules_max == 0)
        whole.modules_max = WEIR_CACHE_MODULES_DEFAULT;
    if (whole.account == NULL)
        whole.account = weir_account_host();
    return whole;
}

uint32_t weir__cache_chain_count(uint32_t modules)
{
    uint32_t count = 1;
    while (count < modules)
        count *= 2;
    return count;
}

void weir_cache_config_bounds(const struct weir_cache_config *config, weir_bound_report *report,
                              void *context)
{
    const struct weir_cache_config whole = weir__cache_config_complete(config);
    uint64_t books = sizeof(struct weir_cache) +
                     (uint64_t)whole.modules_max * sizeof(struct weir__record) +
                     (uint64_t)weir__cache_chain_count(whole.modules_max) * sizeof(uint32_t) +
                     weir__curve_bytes() + WEIR_CACHE_TRACE_BYTES;
    char source[96];
    (void)snprintf(source, sizeof source, "%u modules x %zu B, curve", whole.modules_max,
                   sizeof(struct weir__record));
    report(context, &(struct weir_bound){
                        .what = "module cache, bookkeeping", .source = source, .bytes = books});
    (void)snprintf(source, sizeof source, "memory %s, pinned %s",
                   weir_size_format(whole.memory_bytes_max).text,
                   weir_size_format(whole.pinned_bytes_max).text);
    report(context,
           &(struct weir_bound){.what = "module cache, kept modules",
                                .source = source,
                                .bytes = whole.memory_bytes_max + whole.pinned_bytes_max,
                                .is_beside = true,
                                .mappings = (uint64_t)whole.modules_max * MAPPINGS_PER_MODULE,
                                .descriptors = whole.modules_max});
}
