/* Files that the operator names: read whole, with a limit, charged to an account. */
#ifndef WEIR_SERVER_HOST_FILE_H
#define WEIR_SERVER_HOST_FILE_H

#include <weir/cache.h>

#include "ledger/ledger.h"

struct weir_host_file {
    uint8_t *bytes; /* followed by a zero byte that `size` does not count */
    size_t size;
    struct weir_account *account;
};

/* NOT_FOUND, PERMISSION, IO (a directory, a device), TOO_LARGE, LIMIT; the message names the file.
 * Bytes are charged as COMPILER: modules and configuration in flight. */
enum weir_status weir_host_file_read(const char *path, uint64_t bytes_max,
                                     struct weir_account *account, struct weir_host_file *ret_file,
                                     struct weir_error *error) WEIR_MUST_USE;
void weir_host_file_done(struct weir_host_file *file);

/* The file as a module of `engine`, named after the file unless `config` has a name for it. Through
 * `cache`, or without one by the engine's own directory. */
enum weir_status weir_host_file_module(struct weir_engine *engine, struct weir_cache *cache,
                                       const char *path, const struct weir_module_config *config,
                                       struct weir_module **ret_module, struct weir_error *error)
    WEIR_MUST_USE;

/* The last component of a path. */
const char *weir_host_file_name(const char *path);

/* $XDG_CACHE_HOME/weir or ~/.cache/weir; false without either. Creates the parent if missing. */
bool weir_host_cache_dir(char *ret_path, size_t size);

#endif
