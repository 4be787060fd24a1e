/* From an open artifact to a module: the file is mapped read-only, its text made executable, and
 * nothing of it copied but one table of type ids and one of escaping functions (DESIGN law 6).
 *
 * Four system calls: fcntl, fstat, mmap, mprotect. At most three mappings: before the text, the
 * text, behind it. No page of it is ever writable.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/cpu.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "runtime/event_internal.h"

#define WASM_PAGE UINT64_C(65536)
#define SYSTEM_PAGE UINT64_C(4096)

static enum weir_status map_file(struct weir_module *module, struct weir_error *error)
{
    struct stat file;
    if (fstat(module->fd, &file) != 0 || file.st_size <= 0)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "the artifact cannot be read");
    size_t size = (size_t)file.st_size;
    module->file_bytes = size;
    void *base = mmap(NULL, size, PROT_READ, MAP_PRIVATE, module->fd, 0);
    if (base == MAP_FAILED)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "the artifact cannot be mapped");
    struct weir_mapping mapping = {.base = base,
                                   .size = size,
                                   .account = module->engine->account,
                                   .kind = WEIR_KIND_CODE_MAPPED,
                                   .charged_mappings = WEIR_MODULE_MAPPINGS};
    enum weir_status status = weir_mapping_adopt(&mapping, error);
    if (status != WEIR_OK) {
        (void)munmap(base, size);
        return status;
    }
    module->mapping = mapping;
    bool is_checked = weir__file_is_checked(&file);
    status = is_checked ? weir_artifact_open_known(base, size, size, &module->artifact, error)
                        : weir_artifact_open(base, size, size, &module->artifact, error);
    if (status != WEIR_OK)
        return status;
    if (!is_checked)
        weir__file_set_checked(&file);
    module->head = *module->artifact.head;
    module->artifact.head = &module->head;
    return WEIR_OK;
}

/* What the engine promises to its guests must be what the code was compiled for. */
static enum weir_status check_engine(const struct weir_module *module, struct weir_error *error)
{
    const struct weir_artifact_head *head = module->artifact.head;
    const struct weir_engine *engine = module->engine;
    enum weir_bounds form = weir_artifact_bounds(head->options);
    bool is_taken = form == engine->bounds ||
                    (form == WEIR_BOUNDS_EXPLICIT && engine->bounds == WEIR_BOUNDS_GUARD);
    bool has_fuel = (head->options & WEIR_ARTIFACT_FUEL) != 0;
    if (!is_taken)
        return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                              "the artifact was compiled for %s bounds, the engine has %s",
                              weir_bounds_name(form), weir_bounds_name(engine->bounds));
    if (engine->has_fuel != has_fuel)
        return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                              "the artifact was compiled %s fuel, the engine runs %s it",
                              has_fuel ? "with" : "without", engine->has_fuel ? "with" : "without");
    if (engine->has_canonical_nans && (head->options & WEIR_ARTIFACT_CANONICAL_NANS) == 0)
        return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                              "the artifact was compiled without canonical NaNs, which the engine "
                              "promises");
    if ((head->has_fuel_costs != 0) != engine->has_fuel_costs ||
        memcmp(&head->fuel_costs, &engine->fuel_costs, sizeof head->fuel_costs) != 0)
        return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                              "the artifact was compiled with other fuel costs than the engine's");
    if ((head->features_needed & ~engine->features) != 0)
        return weir_error_set(error, WEIR_UNSUPPORTED, WEIR_NO_OFFSET,
                              "the module needs features that are switched off (0x%x)",
                              head->features_needed & ~engine->features);
    if (head->image.count != 0) {
        uint64_t end = head->image_memory_offset + head->image.count;
        const struct weir_artifact_limits *memories = module->artifact.memories;
        if (head->memory_import_count != 0 || head->memories.count == 0 ||
            end < head->image_memory_offset || end > memories[0].min * WASM_PAGE)
            return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                                  "the initial image does not fit the module's own memory 0");
    }
    return WEIR_OK;
}

static enum weir_status acquire_types(struct weir_module *module, struct weir_error *error)
{
    const struct weir_artifact *artifact = &module->artifact;
    enum weir_type codes[2 * WEIR_ABI_SLOTS];
    for (uint32_t i = 0; i < artifact->head->types.count; i++) {
        const struct weir_artifact_type *type = &artifact->types[i];
        if (type->param_count > WEIR_ABI_SLOTS || type->result_count > WEIR_ABI_SLOTS)
            return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                                  "type %u has more values than a call can carry", i);
        for (uint32_t j = 0; j < type->param_count; j++)
            codes[j] = (enum weir_type)artifact->value_types[type->params + j];
        for (uint32_t j = 0; j < type->result_count; j++)
            codes[WEIR_ABI_SLOTS + j] = (enum weir_type)artifact->value_types[type->results + j];
        struct weir_func_type wanted = {.params = codes,
                                        .param_count = type->param_count,
                                        .results = codes + WEIR_ABI_SLOTS,
                                        .result_count = type->result_count};
        const struct weir__type *record;
        enum weir_status status = weir__type_acquire(&wanted, &record, error);
        if (status != WEIR_OK)
            return status;
        module->type_ids[i] = record->id;
        module->type_count = i + 1;
    }
    return WEIR_OK;
}

static bool needs_undo(const struct weir_artifact *artifact)
{
    const struct weir_artifact_head *head = artifact->head;
    if (head->start_func != WEIR_ARTIFACT_NONE)
        return true;
    for (uint32_t i = 0; i < head->datas.count; i++)
        if (artifact->datas[i].mode == WEIR_SEGMENT_ACTIVE && !artifact->datas[i].in_image &&
            artifact->datas[i].memory_index >= head->memory_import_count)
            return true;
    return false;
}

static enum weir_status make_tables(struct weir_module *module, struct weir_error *error)
{
    const struct weir_artifact *artifact = &module->artifact;
    const struct weir_artifact_head *head = artifact->head;
    size_t bytes = ((size_t)head->types.count + head->escape_count) * sizeof(uint32_t);
    if (bytes != 0) {
        module->type_ids =
            weir_account_alloc(module->engine->account, WEIR_KIND_CODE, bytes, error);
        if (module->type_ids == NULL)
            return weir_error_refused(error);
        module->tables_bytes = bytes;
        module->escapes = module->type_ids + head->types.count;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < head->funcs.count && found < head->escape_count; i++)
        if (artifact->funcs[i].escape_index == found)
            module->escapes[found++] = i;
    if (found != head->escape_count)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "%u functions escape, the artifact names %u", head->escape_count,
                              found);
    module->needs_undo = needs_undo(artifact);
    return acquire_types(module, error);
}

/* Mapped anew instead of mprotect(): where pages must never become executable
 * (MemoryDenyWriteExecute=, PR_SET_MDWE) a file may still be mapped so. */
static enum weir_status make_executable(struct weir_module *module, struct weir_error *error)
{
    const struct weir_artifact_head *head = module->artifact.head;
    if (head->text.count == 0)
        return WEIR_OK;
    uint64_t begin = (uint64_t)module->artifact.text;
    uint64_t size = weir_align_up(head->text.count, SYSTEM_PAGE);
    off_t offset = (off_t)(begin - (uint64_t)module->artifact.bytes);
    if (mmap((void *)begin, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, module->fd,
             offset) == MAP_FAILED)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                              "the system refused to make code executable");
    module->code = (struct weir__code_range){
        .begin = begin, .end = begin + head->text.count, .module = module};
    enum weir_status status = weir__code_add(&module->code, error);
    if (status != WEIR_OK)
        module->code.begin = module->code.end = 0;
    return status;
}

static enum weir_status take_descriptor(struct weir_module *module, int fd,
                                        struct weir_error *error)
{
    struct weir_account *account = module->engine->account;
    enum weir_status status = weir_account_charge(account, WEIR_KIND_DESCRIPTOR, 1, error);
    if (status != WEIR_OK)
        return status;
    module->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (module->fd >= 0)
        return WEIR_OK;
    weir_account_discharge(account, WEIR_KIND_DESCRIPTOR, 1);
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "no descriptor for the artifact");
}

enum weir_status weir_module_load(struct weir_engine *engine, int fd,
                                  const struct weir_module_config *config,
                                  struct weir_module **ret_module, struct weir_error *error)
{
    struct weir_module *module =
        weir_account_alloc(engine->account, WEIR_KIND_CODE, sizeof *module, error);
    if (module == NULL)
        return weir_error_refused(error);
    module->refs = 1;
    module->fd = -1;
    module->engine = weir_engine_ref(engine);
    (void)pthread_mutex_init(&module->info_lock, NULL);
    (void)snprintf(module->name, sizeof module->name, "%s",
                   config != NULL && config->name != NULL ? config->name : "module");
    enum weir_status status = take_descriptor(module, fd, error);
    if (status == WEIR_OK)
        status = map_file(module, error);
    if (status == WEIR_OK)
        status = check_engine(module, error);
    if (status == WEIR_OK)
        status = make_tables(module, error);
    if (status == WEIR_OK)
        status = make_executable(module, error);
    if (status != WEIR_OK) {
        weir_module_unref(module);
        return status;
    }
    weir__census_loaded(module->artifact.head->module_sha256, module->name, false);
    weir__census_enlist(&module->census, WEIR_CENSUS_MODULE, &engine->past);
    module->is_whole = true;
    weir__event_module(module, WEIR_EVENT_MODULE_CREATED);
    *ret_module = module;
    return WEIR_OK;
}

static struct weir_artifact_options options_of(const struct weir_engine *engine)
{
    return (struct weir_artifact_options){
        .features = engine->features,
        .flags = weir_artifact_bounds_flags(engine->bounds) |
                 (engine->has_fuel ? WEIR_ARTIFACT_FUEL : 0u) |
                 (engine->has_canonical_nans ? WEIR_ARTIFACT_CANONICAL_NANS : 0u) |
                 (engine->has_poll ? WEIR_ARTIFACT_POLL : 0u),
        .cpu_features = weir_cpu_baseline,
        .generator = "fast",
        .has_fuel_costs = engine->has_fuel_costs,
        .fuel_costs = engine->fuel_costs};
}

enum weir_status weir_module_key(const struct weir_engine *engine, const struct weir_hash *hash,
                                 struct weir_hash *ret_key, struct weir_error *error)
{
    const struct weir_artifact_options options = options_of(engine);
    return weir_artifact_key(hash, &options, ret_key, error);
}

enum weir_status weir_module_obtain(struct weir_engine *engine,
                                    const struct weir_module_source *source,
                                    struct weir_module **ret_module,
                                    struct weir_module_origin *ret_origin, struct weir_error *error)
{
    if (source->size > engine->module_bytes_max)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the module has %zu bytes; the limit is %llu", source->size,
                              (unsigned long long)engine->module_bytes_max);
    struct weir_compile_job job = {.module = source->bytes,
                                   .module_bytes = source->size,
                                   .module_hash = source->hash,
                                   .options = options_of(engine),
                                   .account = engine->account};
    if (source->config != NULL) {
        job.progress = source->config->progress;
        job.progress_context = source->config->progress_context;
    }
    struct weir_compile_result result = {.fd = -1};
    enum weir_status status = weir_compile_job_run(source->dir, &job, &result, error);
    *ret_origin =
        (struct weir_module_origin){.was_compiled = status == WEIR_OK && !result.was_cached,
                                    .is_filed = result.is_filed,
                                    .miss = result.miss};
    if (status != WEIR_OK)
        return status;
    AUTO_CLOSE fd = result.fd;
    status = weir_module_load(engine, fd, source->config, ret_module, error);
    if (status == WEIR_OK) {
        (*ret_module)->was_cached = result.was_cached;
        (*ret_module)->is_kept = result.is_filed;
        if (!result.was_cached)
            weir__census_loaded((*ret_module)->head.module_sha256, (*ret_module)->name, true);
        (*ret_module)->compile_ms = result.compile_ms;
    }
    return status;
}

enum weir_status weir_module_new(struct weir_engine *engine, const uint8_t *bytes, size_t size,
                                 const struct weir_module_config *config,
                                 struct weir_module **ret_module, struct weir_error *error)
{
    if (bytes == NULL && size != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%zu bytes of a module are at NULL", size);
    const struct weir_module_source source = {.dir = engine->dir,
                                              .bytes = bytes != NULL ? bytes : (const uint8_t *)"",
                                              .size = size,
                                              .config = config};
    struct weir_module_origin origin;
    return weir_module_obtain(engine, &source, ret_module, &origin, error);
}
