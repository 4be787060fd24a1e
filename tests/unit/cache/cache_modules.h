/* Modules for the tests of the cache: as many different ones as asked for, of any size, made here
 * byte by byte. Each exports
 *
 *   memory      as many pages as its data needs, and one more
 *   get () i32  its number
 *   trap ()     unreachable
 *   grow (i32) i32   memory.grow
 */
#ifndef WEIR_TEST_CACHE_MODULES_H
#define WEIR_TEST_CACHE_MODULES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/cache.h"

struct cache_module {
    uint8_t *bytes;
    size_t size;
    struct weir_module_id id;
};

/* With `data_bytes` of data, which the artifact holds as an image. */
struct cache_module cache_module_make(uint32_t number, uint32_t data_bytes);
void cache_module_free(struct cache_module *module);
/* `count` modules, numbered from 0, in one array for free_modules(). */
struct cache_module *cache_modules_make(uint32_t count, uint32_t data_bytes);
void cache_modules_free(struct cache_module *modules, uint32_t count);

struct cache_folder {
    char path[64];
};
struct cache_folder cache_folder_new(void);
void cache_folder_remove(const struct cache_folder *folder);

struct weir_cache *cache_open(const struct weir_cache_config *config);
/* By id and bytes; the test fails when it does. */
struct weir_module *cache_get(struct weir_cache *cache, struct weir_engine *engine,
                              const struct cache_module *module);
/* Mappings of artifacts in this process. */
size_t cache_mapped_modules(void);
struct weir_cache_figures cache_figures(struct weir_cache *cache);
/* What it says about a module; `place` NONE and no uses when it does not remember it. */
struct weir_cache_entry cache_entry(struct weir_cache *cache, const struct cache_module *module);

#endif
