/* /v1/modules: what was uploaded, and changing it while requests run.
 *
 *   PUT /v1/modules/NAME.wasm     the body goes to a hidden file as it comes; then, on the thread
 *                                 of changes: synced, compiled, the routes that use the name made
 *                                 anew with it, renamed, the routes exchanged
 *   DELETE /v1/modules/NAME.wasm  unless a route uses it
 *   GET /v1/modules[/NAME.wasm]
 */
#include "server/server_internal.h"

#include "base/json_number.h"
#include "server/module_store.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *name_of(const struct weir__connection *connection)
{
    return connection->target.path + strlen(WEIR__MODULES_PATH);
}

/* As routes name it. */
static void write_path(const struct weir_server *server, const char *name, char *path, size_t size)
{
    const char *folder = server->config->modules_dir;
    (void)snprintf(path, size, "%s%s%s", folder, folder[0] != 0 ? "/" : "", name);
}

static bool are_on(struct weir__connection *connection)
{
    if (connection->server->modules != NULL)
        return true;
    weir__fail(&connection->failure, WEIR__REFUSAL_FORBIDDEN,
               "uploads are off: set control.upload_max to the largest module");
    return false;
}

static bool is_named(struct weir__connection *connection)
{
    if (weir_module_name_is_good(name_of(connection)))
        return true;
    weir__fail(&connection->failure, WEIR__REFUSAL_TARGET,
               "a module's name has letters, digits, \"-\", \"_\" and \".\", at most %d, and ends "
               "with .wasm",
               WEIR_MODULE_NAME_MAX);
    return false;
}

/* --- failures ------------------------------------------------------------------------------ */

static enum weir__refusal refusal_of(const struct weir_error *error, bool is_disk_full)
{
    static const enum weir__refusal BY_STATUS[] = {
        [WEIR_MALFORMED] = WEIR__REFUSAL_MODULE,   [WEIR_INVALID] = WEIR__REFUSAL_MODULE,
        [WEIR_UNSUPPORTED] = WEIR__REFUSAL_MODULE, [WEIR_LINK] = WEIR__REFUSAL_MODULE,
        [WEIR_COMPILE] = WEIR__REFUSAL_MODULE,     [WEIR_TRAP] = WEIR__REFUSAL_MODULE,
        [WEIR_TOO_LARGE] = WEIR__REFUSAL_MODULE,   [WEIR_NOT_FOUND] = WEIR__REFUSAL_NO_ROUTE,
        [WEIR_EXISTS] = WEIR__REFUSAL_CONFLICT,    [WEIR_BUSY] = WEIR__REFUSAL_BUSY,
        [WEIR_LIMIT] = WEIR__REFUSAL_MEMORY,       [WEIR_NO_MEMORY] = WEIR__REFUSAL_MEMORY,
        [WEIR_STATE] = WEIR__REFUSAL_PRECONDITION,
    };
    if (is_disk_full)
        return WEIR__REFUSAL_DISK;
    size_t status = error->status;
    enum weir__refusal refusal = status < sizeof BY_STATUS / sizeof BY_STATUS[0]
                                     ? BY_STATUS[status]
                                     : WEIR__REFUSAL_NONE;
    return refusal != WEIR__REFUSAL_NONE ? refusal : WEIR__REFUSAL_INTERNAL;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_t *string = json_string(text);
    (void)json_object_set_new(object, key, string != NULL ? string : json_string("?"));
}

struct answer {
    json_t *object;
    unsigned status;
    char etag[WEIR__ETAG_SIZE];
};

/* Under the lock of reports. */
static void answer(struct weir__connection *connection, const struct answer *answer)
{
    weir__report_json(connection, answer->object, NULL);
    connection->report.status = answer->status;
    memcpy(connection->report.etag, answer->etag, sizeof answer->etag);
}

/* With the offset and every detail; empties the error. */
static struct answer fail_change(struct weir__connection *connection, struct weir_error *error)
{
    bool is_disk_full =
        connection->upload != NULL && weir_module_upload_is_disk_full(connection->upload);
    enum weir__refusal refusal = refusal_of(error, is_disk_full);
    weir__fail(&connection->failure, refusal, "%s", error->message);
    json_t *object = json_object(), *details = json_array();
    set_text(object, "error", weir__refusal_name(refusal));
    set_text(object, "reason", error->message);
    set_text(object, "module", name_of(connection));
    if (error->offset != WEIR_NO_OFFSET)
        weir_json_set_number(object, "offset", error->offset);
    for (const struct weir_error_detail *d = error->details; d != NULL; d = d->next)
        (void)json_array_append_new(details, json_string(d->text));
    (void)json_object_set_new(object, "details", details);
    weir_error_done(error);
    return (struct answer){.object = object, .status = weir__refusal_http(refusal)};
}

void weir__modules_end(struct weir__connection *connection)
{
    weir_module_upload_end(connection->upload);
    connection->upload = NULL;
}

/* --- uploading: on the event loop ---------------------------------------------------------- */

void weir__modules_begin(struct weir__connection *connection, uint64_t body_bytes)
{
    struct weir_error error = {0};
    uint64_t limit = connection->server->config->control.upload_bytes_max;
    if (!are_on(connection) || !is_named(connection) || strcmp(connection->method, "PUT") != 0)
        return;
    if (body_bytes > limit) {
        connection->failure.limit = limit;
        connection->failure.used = body_bytes;
        weir__fail(&connection->failure, WEIR__REFUSAL_BODY,
                   "the module is larger than control.upload_max");
        return;
    }
    enum weir_status status = weir_module_upload_begin(
        connection->server->modules, name_of(connection), &connection->upload, &error);
    if (status == WEIR_OK)
        return;
    bool is_disk_full =
        connection->upload != NULL && weir_module_upload_is_disk_full(connection->upload);
    weir__fail(&connection->failure, refusal_of(&error, is_disk_full), "%s", error.message);
    weir_error_done(&error);
    weir__modules_end(connection);
}

void weir__modules_body(struct weir__connection *connection, const char *data, size_t size)
{
    struct weir_module_upload *upload = connection->upload;
    struct weir_error error = {0};
    uint64_t limit = connection->server->config->control.upload_bytes_max;
    if (weir_module_upload_bytes(upload) + size > limit) {
        connection->failure.limit = limit;
        weir__fail(&connection->failure, WEIR__REFUSAL_BODY,
                   "the module is larger than control.upload_max");
    } else if (weir_module_upload_write(upload, data, size, &error) != WEIR_OK) {
        weir__fail(&connection->failure,
                   refusal_of(&error, weir_module_upload_is_disk_full(upload)), "%s",
                   error.message);
        weir_error_done(&error);
    }
    connection->is_discarding = connection->failure.refusal != WEIR__REFUSAL_NONE;
    if (connection->is_discarding)
        weir__modules_end(connection);
}

/* --- publishing: on the thread of changes -------------------------------------------------- */

static void write_etag(const struct weir_hash *hash, char etag[WEIR__ETAG_SIZE])
{
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(hash, hex);
    (void)snprintf(etag, WEIR__ETAG_SIZE, "\"%s\"", hex);
}

static const char *field_of(struct weir__connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, name);
}

/* If-Match: the module is the one that the client knows. If-None-Match: *: there is none yet. */
static enum weir_status check_conditions(struct weir__connection *connection, bool *ret_exists,
                                         struct weir_error *error)
{
    const char *match = field_of(connection, MHD_HTTP_HEADER_IF_MATCH);
    const char *none_match = field_of(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
    struct weir_module_entry entry;
    struct weir_error inner = {0};
    char etag[WEIR__ETAG_SIZE] = "";
    enum weir_status status =
        weir_module_store_find(connection->server->modules, name_of(connection), &entry, &inner);
    *ret_exists = status == WEIR_OK;
    if (status == WEIR_OK)
        write_etag(&entry.hash, etag);
    if (status != WEIR_OK && status != WEIR_NOT_FOUND) {
        weir_error_move(error, &inner);
        return status;
    }
    weir_error_done(&inner);
    if (none_match != NULL && strcmp(none_match, "*") == 0 && *ret_exists)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "%s is there already",
                              name_of(connection));
    if (match != NULL && (!*ret_exists || (strcmp(match, "*") != 0 && strcmp(match, etag) != 0)))
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "%s is %s, not what If-Match says",
                              name_of(connection), *ret_exists ? etag : "not there");
    return WEIR_OK;
}

static enum weir_status publish(void *context, bool *ret_is_published, struct weir_error *error)
{
    return weir_module_upload_publish(context, ret_is_published, error);
}

static json_t *users_json(struct weir_server *server, const char *name)
{
    char path[PATH_MAX];
    write_path(server, name, path, sizeof path);
    json_t *users = json_array();
    const struct weir__route_table *table = weir__route_table_hold(server);
    for (size_t i = 0; i < table->count; i++)
        if (weir__route_uses(table->routes[i]->config, path))
            (void)json_array_append_new(users, json_string(table->routes[i]->config->path));
    weir__route_table_release(server);
    return users;
}

static void log_change(struct weir__connection *connection, const char *change, const char *sha256)
{
    const char *name = name_of(connection);
    const struct weir_server_log_field fields[] = {{"id", connection->id, 0},
                                                   {"client", connection->client, 0},
                                                   {"module", name, 0},
                                                   {"change", change, 0},
                                                   {"sha256", sha256, 0},
                                                   {NULL, NULL, 0}};
    weir_server_log(
        connection->server,
        &(struct weir_server_event){.level = WEIR_LOG_INFO, .name = "module", .fields = fields},
        "module %s: %s by %s", name, change, connection->client);
}

static struct answer tell_module(struct weir__connection *connection, const struct weir_hash *hash,
                                 uint64_t bytes, bool is_new)
{
    char hex[WEIR_HASH_HEX_SIZE];
    struct answer told = {.status = is_new ? 201 : 200};
    weir_hash_hex(hash, hex);
    told.object = json_pack("{s:s, s:s, s:I, s:o}", "name", name_of(connection), "sha256", hex,
                            "bytes", (json_int_t)bytes, "routes",
                            users_json(connection->server, name_of(connection)));
    write_etag(hash, told.etag);
    return told;
}

static struct answer put_module(struct weir__connection *connection)
{
    struct weir_module_upload *upload = connection->upload;
    struct weir_error error = {0};
    char path[PATH_MAX], hex[WEIR_HASH_HEX_SIZE];
    bool exists = false;
    write_path(connection->server, name_of(connection), path, sizeof path);
    const struct weir__publication publication = {.path = path,
                                                  .file = weir_module_upload_path(upload),
                                                  .publish = publish,
                                                  .context = upload};
    enum weir_status status = weir_module_upload_seal(upload, &error);
    if (status == WEIR_OK)
        status = check_conditions(connection, &exists, &error);
    if (status == WEIR_OK)
        status = weir__route_table_publish(connection->server, &publication, &error);
    if (status != WEIR_OK)
        return fail_change(connection, &error);
    weir_hash_hex(weir_module_upload_hash(upload), hex);
    log_change(connection, exists ? "replaced" : "added", hex);
    return tell_module(connection, weir_module_upload_hash(upload),
                       weir_module_upload_bytes(upload), !exists);
}

static enum weir_status remove_module(void *context, struct weir_error *error)
{
    struct weir__connection *connection = context;
    bool exists = false;
    enum weir_status status = check_conditions(connection, &exists, error);
    if (status == WEIR_OK)
        status = weir_module_store_remove(connection->server->modules, name_of(connection), error);
    return status;
}

static struct answer delete_module(struct weir__connection *connection)
{
    struct weir_error error = {0};
    char path[PATH_MAX];
    write_path(connection->server, name_of(connection), path, sizeof path);
    if (weir__route_table_without(connection->server, path, remove_module, connection, &error) !=
        WEIR_OK)
        return fail_change(connection, &error);
    log_change(connection, "removed", "");
    return (struct answer){
        .object = json_pack("{s:s, s:b}", "name", name_of(connection), "removed", 1)};
}

/* The name is free again before the client is told. */
void weir__modules_change(struct weir__connection *connection)
{
    bool is_put = strcmp(connection->method, "PUT") == 0;
    const struct answer made = is_put ? put_module(connection) : delete_module(connection);
    weir__modules_end(connection);
    (void)pthread_mutex_lock(&connection->server->report_lock);
    answer(connection, &made);
    (void)pthread_mutex_unlock(&connection->server->report_lock);
}

/* --- reading ------------------------------------------------------------------------------- */

struct listing {
    struct weir_server *server;
    json_t *list;
};

static bool add_entry(void *context, const struct weir_module_entry *entry)
{
    struct listing *listing = context;
    json_t *object = json_pack("{s:s, s:I, s:I, s:o}", "name", entry->name, "bytes",
                               (json_int_t)entry->bytes, "modified_s",
                               (json_int_t)entry->modified_s, "routes",
                               users_json(listing->server, entry->name));
    return json_array_append_new(listing->list, object) == 0;
}

void weir__modules_list(struct weir__connection *connection)
{
    struct weir_error error = {0};
    struct listing listing = {.server = connection->server};
    if (!are_on(connection))
        return;
    listing.list = json_array();
    if (weir_module_store_list(connection->server->modules, add_entry, &listing, &error) !=
        WEIR_OK) {
        json_decref(listing.list);
        listing.list = NULL;
    }
    weir__report_json(connection, listing.list, &error);
}

void weir__modules_show(struct weir__connection *connection)
{
    struct weir_error error = {0};
    struct weir_module_entry entry;
    if (!are_on(connection) || !is_named(connection))
        return;
    enum weir_status status =
        weir_module_store_find(connection->server->modules, name_of(connection), &entry, &error);
    const struct answer told = status == WEIR_OK
                                   ? tell_module(connection, &entry.hash, entry.bytes, false)
                                   : fail_change(connection, &error);
    answer(connection, &told);
}
