/* Modules: handles of the engine's, and their serialised form.
 *
 * Serialised are the module's own bytes behind a head that says so, never compiled code: what comes
 * from outside is compiled again (from the artifact directory when it is there), so that nothing in
 * it need be trusted.
 */
#include "base/hash.h"
#include "capi/capi_internal.h"

struct weir__capi_body {
    _Atomic uint32_t refs;
    struct wasm_engine_t *engine;
    struct weir_module *module;
    uint8_t *bytes; /* NULL: the engine does not serialise */
    size_t size;
};

struct wasm_shared_module_t {
    struct weir__capi_body *body;
};

/* --- the serialised form ------------------------------------------------------------------- */

#define MAGIC "weir\0mod"
#define FORM 1u

struct head {
    char magic[8];
    uint32_t form;
    uint32_t reserved;
    uint64_t module_bytes;
    uint8_t sha256[WEIR_HASH_SIZE]; /* of the module */
};
static_assert(sizeof(struct head) == 24 + WEIR_HASH_SIZE, "serialised form");

static enum weir_status write_form(const struct weir__capi_body *body, wasm_byte_vec_t *out,
                                   struct weir_error *error)
{
    if (body->bytes == NULL)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "the engine was configured not to serialise modules");
    struct head head = {.form = FORM, .module_bytes = body->size};
    memcpy(head.magic, MAGIC, sizeof head.magic);
    struct weir_hash hash;
    enum weir_status status = weir_hash_bytes(body->bytes, body->size, &hash, error);
    if (status != WEIR_OK)
        return status;
    memcpy(head.sha256, hash.bytes, sizeof head.sha256);
    wasm_byte_vec_new_uninitialized(out, sizeof head + body->size);
    if (out->data == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for a serialised module of %zu bytes", body->size);
    memcpy(out->data, &head, sizeof head);
    memcpy(out->data + sizeof head, body->bytes, body->size);
    return WEIR_OK;
}

static enum weir_status read_form(const wasm_byte_vec_t *from, const uint8_t **ret_bytes,
                                  size_t *ret_size, struct weir_error *error)
{
    struct head head;
    if (from->size < sizeof head || memcmp(from->data, MAGIC, sizeof head.magic) != 0)
        return weir_error_set(error, WEIR_MALFORMED, 0,
                              "these %zu bytes are not a serialised module of Weir", from->size);
    memcpy(&head, from->data, sizeof head);
    if (head.form != FORM)
        return weir_error_set(error, WEIR_FOREIGN, offsetof(struct head, form),
                              "a serialised module of form %u; this Weir reads form %u", head.form,
                              FORM);
    size_t size = from->size - sizeof head;
    const uint8_t *bytes = (const uint8_t *)from->data + sizeof head;
    struct weir_hash hash;
    enum weir_status status = WEIR_CORRUPT;
    if (head.module_bytes == size)
        status = weir_hash_bytes(bytes, size, &hash, error);
    if (head.module_bytes != size ||
        (status == WEIR_OK && memcmp(hash.bytes, head.sha256, sizeof head.sha256) != 0))
        return weir_error_set(error, WEIR_CORRUPT, sizeof head,
                              "the serialised module is damaged: it has %zu bytes, and should have "
                              "%llu and another checksum",
                              size, (unsigned long long)head.module_bytes);
    *ret_bytes = bytes;
    *ret_size = size;
    return status;
}

/* --- bodies and handles -------------------------------------------------------------------- */

static struct weir__capi_body *body_ref(struct weir__capi_body *body)
{
    atomic_fetch_add_explicit(&body->refs, 1, memory_order_relaxed);
    return body;
}

static void body_unref(struct weir__capi_body *body)
{
    if (atomic_fetch_sub_explicit(&body->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct wasm_engine_t *engine = body->engine;
    struct weir_account *account = weir__capi_account(engine);
    weir_module_unref(body->module);
    weir_account_free(account, WEIR_KIND_CODE, body->bytes, body->size);
    weir_account_free(account, WEIR_KIND_CODE, body, sizeof *body);
    weir__capi_engine_unref(engine);
}

static struct weir__capi_body *new_body(struct wasm_engine_t *engine, const uint8_t *bytes,
                                        size_t size, struct weir_error *error)
{
    struct weir_account *account = weir__capi_account(engine);
    struct weir__capi_body *body = weir_account_alloc(account, WEIR_KIND_CODE, sizeof *body, error);
    if (body == NULL)
        return NULL;
    weir__capi_engine_ref(engine);
    body->refs = 1;
    body->engine = engine;
    enum weir_status status =
        weir_module_new(engine->engine, bytes, size, NULL, &body->module, error);
    if (status == WEIR_OK && !engine->has_no_serialize) {
        body->bytes = weir_account_alloc(account, WEIR_KIND_CODE, size, error);
        body->size = body->bytes != NULL ? size : 0;
        status = body->bytes != NULL ? WEIR_OK : WEIR_LIMIT;
    }
    if (status != WEIR_OK) {
        body_unref(body);
        return NULL;
    }
    if (body->bytes != NULL && bytes != NULL)
        memcpy(body->bytes, bytes, size);
    return body;
}

/* Takes the body over. */
static wasm_module_t *new_handle(struct weir__capi_body *body, struct weir_error *error)
{
    wasm_module_t *module = weir_account_alloc(weir__capi_account(body->engine), WEIR_KIND_METADATA,
                                               sizeof *module, error);
    if (module == NULL) {
        body_unref(body);
        return NULL;
    }
    weir__capi_begin(&module->ref, WEIR__CAPI_MODULE, NULL);
    module->body = body;
    return module;
}

void weir__capi_module_free(struct wasm_module_t *module)
{
    struct weir__capi_body *body = module->body;
    weir_account_free(weir__capi_account(body->engine), WEIR_KIND_METADATA, module, sizeof *module);
    body_unref(body);
}

static wasm_module_t *compile(struct wasm_engine_t *engine, const uint8_t *bytes, size_t size,
                              struct weir_error *error)
{
    struct weir__capi_body *body = new_body(engine, bytes, size, error);
    wasm_module_t *module = body != NULL ? new_handle(body, error) : NULL;
    if (module == NULL)
        weir__capi_failed(error);
    return module;
}

/* No vector, or one without data, is an empty one. */
static const wasm_byte_vec_t *or_empty(const wasm_byte_vec_t *vec)
{
    static const wasm_byte_vec_t empty = WASM_EMPTY_VEC;
    return vec != NULL && vec->data != NULL ? vec : &empty;
}

wasm_module_t *wasm_module_new(wasm_store_t *store, const wasm_byte_vec_t *binary)
{
    struct weir_error error = {0};
    binary = or_empty(binary);
    return compile(store->engine, (const uint8_t *)binary->data, binary->size, &error);
}

bool wasm_module_validate(wasm_store_t *store, const wasm_byte_vec_t *binary)
{
    struct weir_error error = {0};
    binary = or_empty(binary);
    if (weir_module_validate(store->engine->engine, (const uint8_t *)binary->data, binary->size,
                             &error) == WEIR_OK)
        return true;
    weir__capi_failed(&error);
    return false;
}

void wasm_module_serialize(const wasm_module_t *module, wasm_byte_vec_t *out)
{
    wasm_byte_vec_new_empty(out);
    struct weir_error error = {0};
    if (write_form(module->body, out, &error) != WEIR_OK)
        weir__capi_failed(&error);
}

wasm_module_t *wasm_module_deserialize(wasm_store_t *store, const wasm_byte_vec_t *binary)
{
    struct weir_error error = {0};
    const uint8_t *bytes = NULL;
    size_t size = 0;
    if (read_form(or_empty(binary), &bytes, &size, &error) == WEIR_OK)
        return compile(store->engine, bytes, size, &error);
    weir__capi_failed(&error);
    return NULL;
}

wasm_shared_module_t *wasm_module_share(const wasm_module_t *module)
{
    if (module == NULL)
        return NULL;
    struct weir_error error = {0};
    wasm_shared_module_t *shared = weir_account_alloc(weir__capi_account(module->body->engine),
                                                      WEIR_KIND_METADATA, sizeof *shared, &error);
    if (shared == NULL) {
        weir__capi_failed(&error);
        return NULL;
    }
    shared->body = body_ref(module->body);
    return shared;
}

wasm_module_t *wasm_module_obtain(wasm_store_t *store, const wasm_shared_module_t *shared)
{
    if (shared == NULL)
        return NULL;
    if (shared->body->engine != store->engine) {
        (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "the module belongs to another engine");
        return NULL;
    }
    struct weir_error error = {0};
    wasm_module_t *module = new_handle(body_ref(shared->body), &error);
    if (module == NULL)
        weir__capi_failed(&error);
    return module;
}

void wasm_shared_module_delete(wasm_shared_module_t *shared)
{
    if (shared == NULL)
        return;
    struct weir__capi_body *body = shared->body;
    weir_account_free(weir__capi_account(body->engine), WEIR_KIND_METADATA, shared, sizeof *shared);
    body_unref(body);
}

struct weir_module *weir_wasm_module(const wasm_module_t *module)
{
    return module->body->module;
}

/* --- imports and exports ------------------------------------------------------------------- */

static bool is_described(const wasm_module_t *module)
{
    struct weir_error error = {0};
    if (weir_module_describe(module->body->module, &error) == WEIR_OK)
        return true;
    weir__capi_failed(&error);
    return false;
}

static bool take_name(wasm_name_t *out, const char *name, size_t size)
{
    wasm_name_new(out, size, name);
    if (out->size == size)
        return true;
    (void)weir__capi_refuse(WEIR_NO_MEMORY, "no memory for a name of %zu bytes", size);
    return false;
}

static wasm_importtype_t *import_at(const struct weir_module *module, size_t index)
{
    struct weir_import_info info;
    weir_module_import(module, index, &info);
    wasm_name_t from = WASM_EMPTY_VEC;
    wasm_name_t name = WASM_EMPTY_VEC;
    wasm_externtype_t *type = NULL;
    if (take_name(&from, info.module, info.module_size) &&
        take_name(&name, info.name, info.name_size))
        type = weir__capi_externtype(&info.type);
    return wasm_importtype_new(&from, &name, type);
}

static wasm_exporttype_t *export_at(const struct weir_module *module, size_t index)
{
    struct weir_export_info info;
    weir_module_export(module, index, &info);
    wasm_name_t name = WASM_EMPTY_VEC;
    wasm_externtype_t *type = NULL;
    if (take_name(&name, info.name, info.name_size))
        type = weir__capi_externtype(&info.type);
    return wasm_exporttype_new(&name, type);
}

void wasm_module_imports(const wasm_module_t *module, wasm_importtype_vec_t *out)
{
    const struct weir_module *inner = module->body->module;
    wasm_importtype_vec_new_uninitialized(
        out, is_described(module) ? weir_module_import_count(inner) : 0);
    for (size_t i = 0; i < out->size; i++) {
        out->data[i] = import_at(inner, i);
        if (out->data[i] == NULL) {
            wasm_importtype_vec_delete(out);
            return;
        }
    }
}

void wasm_module_exports(const wasm_module_t *module, wasm_exporttype_vec_t *out)
{
    const struct weir_module *inner = module->body->module;
    wasm_exporttype_vec_new_uninitialized(
        out, is_described(module) ? weir_module_export_count(inner) : 0);
    for (size_t i = 0; i < out->size; i++) {
        out->data[i] = export_at(inner, i);
        if (out->data[i] == NULL) {
            wasm_exporttype_vec_delete(out);
            return;
        }
    }
}
