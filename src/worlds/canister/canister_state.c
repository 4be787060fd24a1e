/* A canister's committed state as bytes: a head with the module's hash, what the canister knows of
 * itself, the instance's version, stable memory, and a SHA-256 over all of it. Changes are the same
 * with fewer pages, behind the hash of what they are changes of. The hash finds bits that a disk
 * has changed; that a file is whole is up to who writes it. What is read is untrusted all the same:
 * every size is checked, and nothing counts before the hash at the end was right. */
#include "worlds/canister/canister_internal.h"

#include <assert.h>
#include <string.h>

static const char MAGIC[8] = {'w', 'e', 'i', 'r', 'c', 'a', 'n', '2'};

/* Before a state that holds only changes. */
struct saved_link {
    char magic[8];
    uint8_t previous[WEIR_CANISTER_SUM_SIZE];
};
static_assert(sizeof(struct saved_link) == 40, "on-disk layout");
static const char LINK_MAGIC[8] = {'w', 'e', 'i', 'r', 'c', 'h', 'g', '1'};

struct saved_head {
    char magic[8];
    uint8_t module_sha256[32]; /* of the bytes as uploaded */
};
static_assert(sizeof(struct saved_head) == WEIR_CANISTER_STATE_HEAD, "on-disk layout");

struct saved_self {
    struct saved_head head;
    uint64_t version, heap_limit, timer_ns, last_time_ns, change_total;
    uint32_t controller_count, growth_count, change_count, certified_size;
    uint8_t certified[CANISTER_CERTIFIED_BYTES_MAX];
    uint8_t id_size;
    uint8_t id[CANISTER_PRINCIPAL_BYTES_MAX];
    uint8_t low_memory_ran; /* 0, 1 */
    uint8_t reserved[1];
    uint64_t low_memory_bytes;
};
static_assert(sizeof(struct saved_self) == 40 + 40 + 16 + 32 + 32 + 8, "on-disk layout");
static_assert(sizeof(struct weir_principal) == 30, "on-disk layout");
static_assert(sizeof(struct weir_canister_growth) == 184, "on-disk layout");
static_assert(sizeof(struct weir_canister_change) == 72, "on-disk layout");

/* --- saving -------------------------------------------------------------------------------- */

struct hashing_writer {
    const struct weir_image_writer *below;
    struct weir_hash_state *hash;
};

static enum weir_status write_hashed(void *context, const void *bytes, size_t size,
                                     struct weir_error *error)
{
    struct hashing_writer *writer = context;
    if (size == 0)
        return WEIR_OK;
    enum weir_status status = weir_hash_add(writer->hash, bytes, size, error);
    return status == WEIR_OK ? writer->below->write(writer->below->context, bytes, size, error)
                             : status;
}

static void fill_self(const struct weir_canister *canister, struct saved_self *self)
{
    *self = (struct saved_self){.version = canister->version,
                                .heap_limit = canister->heap_limit,
                                .timer_ns = canister->timer_ns,
                                .last_time_ns = canister->last_time_ns,
                                .change_total = canister->change_total,
                                .controller_count = (uint32_t)canister->controller_count,
                                .growth_count = (uint32_t)canister->growth_count,
                                .change_count = (uint32_t)canister->change_count,
                                .certified_size = canister->certified_size,
                                .id_size = canister->id.size,
                                .low_memory_ran = canister->low_memory_ran,
                                .low_memory_bytes = canister->low_memory_bytes};
    memcpy(self->head.magic, MAGIC, sizeof MAGIC);
    memcpy(self->head.module_sha256, canister->body->upload_hash.bytes,
           sizeof self->head.module_sha256);
    memcpy(self->certified, canister->certified, sizeof self->certified);
    memcpy(self->id, canister->id.bytes, sizeof self->id);
}

static enum weir_status save_memories(const struct weir_canister *canister, bool is_changes,
                                      const struct weir_image_writer *writer,
                                      struct weir_error *error)
{
    const struct weir_instance *instance = canister->body->instance;
    enum weir_status status = is_changes ? weir_instance_save_changes(instance, writer, error)
                                         : weir_instance_save(instance, writer, error);
    if (status != WEIR_OK)
        return status;
    return is_changes ? weir_stable_save_changes(canister->stable, writer, error)
                      : weir_stable_save(canister->stable, writer, error);
}

static enum weir_status save_all(const struct weir_canister *canister, const uint8_t *previous,
                                 const struct weir_image_writer *writer, struct weir_error *error)
{
    struct saved_self self;
    enum weir_status status = WEIR_OK;
    if (previous != NULL) {
        struct saved_link link;
        memcpy(link.magic, LINK_MAGIC, sizeof LINK_MAGIC);
        memcpy(link.previous, previous, sizeof link.previous);
        status = writer->write(writer->context, &link, sizeof link, error);
    }
    fill_self(canister, &self);
    if (status == WEIR_OK)
        status = writer->write(writer->context, &self, sizeof self, error);
    if (status == WEIR_OK)
        status = writer->write(writer->context, canister->controllers,
                               canister->controller_count * sizeof canister->controllers[0], error);
    if (status == WEIR_OK)
        status = writer->write(writer->context, canister->growths,
                               canister->growth_count * sizeof canister->growths[0], error);
    if (status == WEIR_OK)
        status = writer->write(writer->context, canister->changes,
                               canister->change_count * sizeof canister->changes[0], error);
    return status == WEIR_OK ? save_memories(canister, previous != NULL, writer, error) : status;
}

enum weir_status weir_canister_save(const struct weir_canister *canister, const uint8_t *previous,
                                    const struct weir_image_writer *writer,
                                    struct weir_error *error)
{
    AUTO(weir_hash_state) *hash = NULL;
    enum weir_status status = weir__ready(canister, error);
    if (status == WEIR_OK)
        status = weir_hash_new(NULL, 0, &hash, error);
    if (status != WEIR_OK)
        return status;
    struct hashing_writer hashing = {writer, hash};
    const struct weir_image_writer top = {write_hashed, &hashing};
    struct weir_hash sum;
    status = save_all(canister, previous, &top, error);
    if (status == WEIR_OK)
        status = weir_hash_end(hash, &sum, error);
    return status == WEIR_OK ? writer->write(writer->context, sum.bytes, sizeof sum.bytes, error)
                             : status;
}

void weir_canister_saved(struct weir_canister *canister)
{
    weir_instance_saved(canister->body->instance);
    weir_stable_saved(canister->stable);
    canister->is_changed = false;
}

bool weir_canister_is_changed(const struct weir_canister *canister)
{
    return canister->is_changed;
}

/* --- loading ------------------------------------------------------------------------------- */

struct hashing_reader {
    const struct weir_image_reader *below;
    struct weir_hash_state *hash;
};

static enum weir_status read_hashed(void *context, void *to, size_t size, struct weir_error *error)
{
    struct hashing_reader *reader = context;
    if (size == 0)
        return WEIR_OK;
    enum weir_status status = reader->below->read(reader->below->context, to, size, error);
    return status == WEIR_OK ? weir_hash_add(reader->hash, to, size, error) : status;
}

static enum weir_status corrupt(const struct weir_canister *canister, const char *what,
                                struct weir_error *error)
{
    return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET, "the state of canister %s: %s",
                          canister->name, what);
}

enum weir_status weir_canister_state_module(const uint8_t head[WEIR_CANISTER_STATE_HEAD],
                                            const char *name, uint8_t ret_sha256[32],
                                            struct weir_error *error)
{
    const size_t version = sizeof MAGIC - 1;
    if (memcmp(head, MAGIC, version) == 0 && head[version] > '0' && head[version] <= '9' &&
        head[version] != MAGIC[version])
        return weir_error_set(error, WEIR_UNSUPPORTED, WEIR_NO_OFFSET,
                              "the state of canister %s is of version %c, and this program reads "
                              "version %c; use the one that wrote it",
                              name, head[version], MAGIC[version]);
    if (memcmp(head, MAGIC, sizeof MAGIC) != 0)
        return weir_error_set(error, WEIR_CORRUPT, 0, "the state of canister %s: it is none", name);
    memcpy(ret_sha256, head + sizeof MAGIC, 32);
    return WEIR_OK;
}

static enum weir_status read_self(struct weir_canister *canister, const struct saved_self *self,
                                  const struct weir_image_reader *reader, struct weir_error *error)
{
    if (self->controller_count > CANISTER_CONTROLLERS_MAX ||
        self->growth_count > CANISTER_GROWTHS_MAX || self->change_count > CANISTER_HISTORY_MAX ||
        self->certified_size > CANISTER_CERTIFIED_BYTES_MAX ||
        self->id_size > CANISTER_PRINCIPAL_BYTES_MAX)
        return corrupt(canister, "counts that it cannot have", error);
    enum weir_status status =
        reader->read(reader->context, canister->controllers,
                     self->controller_count * sizeof canister->controllers[0], error);
    if (status == WEIR_OK)
        status = reader->read(reader->context, canister->growths,
                              self->growth_count * sizeof canister->growths[0], error);
    if (status == WEIR_OK)
        status = reader->read(reader->context, canister->changes,
                              self->change_count * sizeof canister->changes[0], error);
    if (status != WEIR_OK)
        return status;
    for (uint32_t i = 0; i < self->controller_count; i++)
        if (canister->controllers[i].size > CANISTER_PRINCIPAL_BYTES_MAX)
            return corrupt(canister, "a principal that is none", error);
    for (uint32_t i = 0; i < self->growth_count; i++) {
        canister->growths[i].method[WEIR_TRAP_NAME_SIZE - 1] = 0;
        canister->growths[i].function[WEIR_TRAP_NAME_SIZE - 1] = 0;
    }
    canister->controller_count = self->controller_count;
    canister->growth_count = self->growth_count;
    canister->change_count = self->change_count;
    canister->change_total = self->change_total;
    canister->version = self->version;
    canister->heap_limit = self->heap_limit;
    canister->low_memory_ran = self->low_memory_ran != 0;
    canister->low_memory_bytes = self->low_memory_bytes;
    canister->timer_ns = canister->committed_timer_ns = self->timer_ns;
    canister->last_time_ns = self->last_time_ns;
    canister->certified_size = canister->committed_certified_size = self->certified_size;
    memcpy(canister->certified, self->certified, sizeof canister->certified);
    memcpy(canister->committed_certified, self->certified, sizeof canister->certified);
    canister->id.size = self->id_size;
    memcpy(canister->id.bytes, self->id, sizeof canister->id.bytes);
    return WEIR_OK;
}

static enum weir_status load_instance(struct weir__body *body,
                                      const struct weir_image_reader *reader,
                                      struct weir_error *error)
{
    struct weir_linker *linker = NULL;
    enum weir_status status = weir__ic0_linker(body->canister, body->is_64, &linker, error);
    if (status == WEIR_OK)
        status = weir__body_open_store(body, error);
    if (status == WEIR_OK)
        status = weir_instance_new_saved(body->store, linker, body->module, reader, &body->instance,
                                         error);
    if (status == WEIR_OK)
        weir__body_find_memory(body);
    return status;
}

/* The hash at the end is that of what was read. */
static enum weir_status check_sum(const struct weir_canister *canister,
                                  struct weir_hash_state *hash,
                                  const struct weir_image_reader *reader, struct weir_error *error)
{
    struct weir_hash sum;
    struct weir_hash wanted;
    enum weir_status status = weir_hash_end(hash, &sum, error);
    if (status == WEIR_OK)
        status = reader->read(reader->context, wanted.bytes, sizeof wanted.bytes, error);
    if (status == WEIR_OK && !weir_hash_equal(&sum, &wanted))
        status = corrupt(canister, "it was changed since it was written (its hash differs)", error);
    return status;
}

static enum weir_status load_all(struct weir_canister *canister, struct weir__body *body,
                                 const struct weir_canister_code *code,
                                 const struct weir_image_reader *reader, struct weir_error *error)
{
    struct saved_self self;
    enum weir_status status = reader->read(reader->context, &self, sizeof self, error);
    if (status == WEIR_OK && memcmp(self.head.magic, MAGIC, sizeof MAGIC) != 0)
        status = corrupt(canister, "it is none", error);
    if (status == WEIR_OK)
        status = weir_hash_bytes(code->module, code->module_size, &body->upload_hash, error);
    if (status == WEIR_OK && memcmp(self.head.module_sha256, body->upload_hash.bytes,
                                    sizeof self.head.module_sha256) != 0)
        status = corrupt(canister, "its module is damaged, or another one (by its hash)", error);
    if (status == WEIR_OK)
        status = weir__body_compile(canister, body, code, error);
    if (status == WEIR_OK)
        status = read_self(canister, &self, reader, error);
    if (status == WEIR_OK)
        status = load_instance(body, reader, error);
    return status == WEIR_OK ? weir_stable_load(canister->stable, reader, error) : status;
}

enum weir_status weir_canister_load(struct weir_canister *canister, const uint8_t *module,
                                    size_t module_size, const struct weir_image_reader *reader,
                                    struct weir_error *error)
{
    WEIR_ASSERT(canister->body == NULL);
    const struct weir_canister_code code = {.module = module, .module_size = module_size};
    AUTO(weir_hash_state) *hash = NULL;
    enum weir_status status = weir_hash_new(NULL, 0, &hash, error);
    if (status != WEIR_OK)
        return status;
    struct weir__body *body =
        weir_account_alloc(canister->account, WEIR_KIND_METADATA, sizeof *body, error);
    if (body == NULL)
        return weir_error_refused(error);
    body->canister = canister;
    struct hashing_reader hashing = {reader, hash};
    const struct weir_image_reader top = {read_hashed, &hashing};
    status = load_all(canister, body, &code, &top, error);
    if (status == WEIR_OK)
        status = check_sum(canister, hash, reader, error);
    if (status != WEIR_OK) {
        weir__body_free(canister, body);
        canister->is_broken = true;
        return status;
    }
    canister->body = body;
    weir_canister_saved(canister);
    return WEIR_OK;
}

/* --- changes ------------------------------------------------------------------------------- */

static enum weir_status load_all_changes(struct weir_canister *canister, const uint8_t *previous,
                                         const struct weir_image_reader *reader,
                                         struct weir_error *error)
{
    struct saved_link link;
    struct saved_self self;
    enum weir_status status = reader->read(reader->context, &link, sizeof link, error);
    if (status == WEIR_OK && memcmp(link.magic, LINK_MAGIC, sizeof LINK_MAGIC) != 0)
        status = corrupt(canister, "its changes are none", error);
    if (status == WEIR_OK && memcmp(link.previous, previous, sizeof link.previous) != 0)
        status = corrupt(canister, "its changes are those of another state", error);
    if (status == WEIR_OK)
        status = reader->read(reader->context, &self, sizeof self, error);
    if (status == WEIR_OK && (memcmp(self.head.magic, MAGIC, sizeof MAGIC) != 0 ||
                              memcmp(self.head.module_sha256, canister->body->upload_hash.bytes,
                                     sizeof self.head.module_sha256) != 0))
        status = corrupt(canister, "its changes belong to another module", error);
    if (status == WEIR_OK)
        status = read_self(canister, &self, reader, error);
    if (status == WEIR_OK)
        status = weir_instance_load_changes(canister->body->instance, reader, error);
    return status == WEIR_OK ? weir_stable_load(canister->stable, reader, error) : status;
}

enum weir_status weir_canister_load_changes(struct weir_canister *canister,
                                            const uint8_t previous[WEIR_CANISTER_SUM_SIZE],
                                            const struct weir_image_reader *reader,
                                            struct weir_error *error)
{
    AUTO(weir_hash_state) *hash = NULL;
    enum weir_status status = weir__ready(canister, error);
    if (status == WEIR_OK)
        status = weir_hash_new(NULL, 0, &hash, error);
    if (status != WEIR_OK)
        return status;
    struct hashing_reader hashing = {reader, hash};
    const struct weir_image_reader top = {read_hashed, &hashing};
    status = load_all_changes(canister, previous, &top, error);
    if (status == WEIR_OK)
        status = check_sum(canister, hash, reader, error);
    if (status == WEIR_OK)
        weir_canister_saved(canister);
    else
        canister->is_broken = true;
    return status;
}
