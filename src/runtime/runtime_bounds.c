/* Bounds of the runtime, each from its limit. */
#include "runtime/runtime_bounds.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "artifact/compile_wire.h"
#include "artifact/cpu.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/named_file.h"
#include "base/sizes.h"
#include "runtime/artifact_name.h"
#include "runtime/compile_limits.h"
#include "runtime/runtime_limits.h"

#define READ_STEP_BYTES (16u << 10)

/* --- slots --------------------------------------------------------------------------------- */

void weir_runtime_bounds(const struct weir_runtime_demand *demand, weir_bound_report *report,
                         void *context)
{
    char source[128];
    (void)snprintf(source, sizeof source, "%llu warm slots, among the running ones",
                   (unsigned long long)demand->warm);
    report(context, &(struct weir_bound){.what = "idle guests", .source = source});

    uint64_t idle = demand->slots < WEIR_STACK_IDLE_MAX ? demand->slots : WEIR_STACK_IDLE_MAX;
    (void)snprintf(source, sizeof source, "%llu idle x %s; others in the guests",
                   (unsigned long long)idle, weir_size_format(WEIR_STACK_BYTES_DEFAULT).text);
    report(context, &(struct weir_bound){.what = "guest stacks",
                                         .source = source,
                                         .bytes = weir_mul_sat(idle, WEIR_STACK_BYTES_DEFAULT),
                                         .mappings = weir_mul_sat(idle, WEIR_STACK_MAPPINGS)});

    uint64_t signals = weir_mul_sat(demand->threads, WEIR_SIGNAL_STACK_BYTES);
    (void)snprintf(source, sizeof source, "%llu x %s, timer %s",
                   (unsigned long long)demand->threads,
                   weir_size_format(WEIR_SIGNAL_STACK_BYTES).text,
                   weir_size_format(WEIR_TIMER_STACK_BYTES).text);
    report(context, &(struct weir_bound){.what = "signal stacks, timer",
                                         .source = source,
                                         .bytes = signals + WEIR_TIMER_STACK_BYTES,
                                         .mappings = demand->threads + 2});

    (void)snprintf(source, sizeof source, "%llu slots x %s + %s", (unsigned long long)demand->slots,
                   weir_size_format(WEIR_SLOT_RECORD_BYTES).text,
                   weir_size_format(WEIR_PROCESS_RECORD_BYTES).text);
    report(context,
           &(struct weir_bound){.what = "records of slots and engines",
                                .source = source,
                                .bytes = weir_mul_sat(demand->slots, WEIR_SLOT_RECORD_BYTES) +
                                         WEIR_PROCESS_RECORD_BYTES,
                                .mappings = weir_mul_sat(demand->slots, WEIR_SLOT_MAPPINGS)});

    uint64_t tables = demand->memory_bytes / WEIR_PAGE_TABLE_SHARE +
                      weir_mul_sat(demand->slots, WEIR_SLOT_PAGE_TABLE_BYTES);
    (void)snprintf(source, sizeof source, "1/%u + %llu slots x %s", WEIR_PAGE_TABLE_SHARE,
                   (unsigned long long)demand->slots,
                   weir_size_format(WEIR_SLOT_PAGE_TABLE_BYTES).text);
    report(context, &(struct weir_bound){.what = "page tables of guests",
                                         .source = source,
                                         .bytes = tables,
                                         .basis = WEIR_BOUND_ESTIMATED,
                                         .is_beside = true});
}

/* --- modules ------------------------------------------------------------------------------- */

static enum weir_status hash_open(const char *path, int fd, struct weir_hash *ret_hash,
                                  struct weir_error *error)
{
    AUTO(weir_hash_state) *state = NULL;
    uint8_t bytes[READ_STEP_BYTES];
    enum weir_status status = weir_hash_new(NULL, 0, &state, error);
    while (status == WEIR_OK) {
        long got = weir_io_read(weir_io_system(), fd, bytes, sizeof bytes);
        if (got < 0)
            return weir_named_file_error(path, (int)-got, error);
        if (got == 0)
            return weir_hash_end(state, ret_hash, error);
        status = weir_hash_add(state, bytes, (size_t)got, error);
    }
    return status;
}

static enum weir_status hash_file(const char *path, struct weir_hash *ret_hash, uint64_t *ret_bytes,
                                  struct weir_error *error)
{
    AUTO_CLOSE fd = -1;
    enum weir_status status =
        weir_named_file_open(path, WEIR_MODULE_BYTES_DEFAULT, &fd, ret_bytes, error);
    return status == WEIR_OK ? hash_open(path, fd, ret_hash, error) : status;
}

/* Size of the artifact under its key; 0: not compiled yet. Whoever loads it looks at its seal. */
static uint64_t artifact_bytes(const char *cache_dir, const struct weir_hash *module_hash,
                               bool has_fuel)
{
    const struct weir_artifact_options options = {.features = WEIR_FEATURES_DEFAULT,
                                                  .flags = WEIR_ARTIFACT_POLL |
                                                           (has_fuel ? WEIR_ARTIFACT_FUEL : 0u),
                                                  .cpu_features = weir_cpu_baseline,
                                                  .generator = "fast"};
    struct weir_hash key;
    if (weir_artifact_key(module_hash, &options, &key, NULL) != WEIR_OK)
        return 0;
    char hex[WEIR_HASH_HEX_SIZE], path[PATH_MAX];
    weir_hash_hex(&key, hex);
    int size =
        snprintf(path, sizeof path, "%s/%s/%s", cache_dir, weir__dir_version_now().text, hex);
    if (size < 0 || (size_t)size >= sizeof path)
        return 0;
    AUTO_CLOSE fd = weir_io_open(weir_io_system(), AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0);
    struct stat st;
    if (fd < 0 || weir_io_fstat(weir_io_system(), fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    return (uint64_t)st.st_size;
}

enum weir_status weir_module_weigh(const char *path, bool has_fuel, const char *cache_dir,
                                   struct weir_module_weight *ret_weight, struct weir_error *error)
{
    struct weir_hash hash;
    struct weir_module_weight weight = {0};
    enum weir_status status = hash_file(path, &hash, &weight.module_bytes, error);
    if (status != WEIR_OK)
        return status;
    if (cache_dir != NULL)
        weight.code_bytes = artifact_bytes(cache_dir, &hash, has_fuel);
    weight.is_compiled = weight.code_bytes != 0;
    if (!weight.is_compiled)
        weight.code_bytes = WEIR_CODE_BYTES_BASE +
                            weir_mul_sat(weight.module_bytes, WEIR_CODE_BYTES_PER_MODULE_BYTE);
    *ret_weight = weight;
    return WEIR_OK;
}

void weir_code_bounds(const struct weir_code_demand *demand, weir_bound_report *report,
                      void *context)
{
    char source[128];
    uint64_t guessed = demand->modules - demand->compiled;
    (void)snprintf(source, sizeof source, "%llu module%s%s", (unsigned long long)demand->modules,
                   demand->modules == 1 ? "" : "s",
                   guessed > 0 ? " by their size" : ", measured; page cache");
    report(context,
           &(struct weir_bound){.what = "module code",
                                .source = source,
                                .bytes = demand->code_bytes,
                                .basis = guessed > 0 ? WEIR_BOUND_ESTIMATED : WEIR_BOUND_MEASURED,
                                .is_beside = true,
                                .mappings = weir_mul_sat(demand->modules, WEIR_MODULE_MAPPINGS),
                                .descriptors = demand->modules});
    uint64_t job =
        0; /* the module as it was read, with a byte behind it, and as it is handed over */
    if (demand->largest_bytes != 0)
        job = weir_compile_memory_default(demand->largest_bytes) + 2 * demand->largest_bytes + 1;
    if (job != 0)
        (void)snprintf(source, sizeof source, "1 at a time, largest module %s",
                       weir_size_format(demand->largest_bytes).text);
    else
        (void)snprintf(source, sizeof source, "all is compiled; who waits for jobs");
    report(context, &(struct weir_bound){.what = "compiler children",
                                         .source = source,
                                         .bytes = job + WEIR_COMPILE_SPAWNER_BYTES,
                                         .descriptors = WEIR_COMPILE_JOB_FDS + 1});
}
