/* The context of one store: what its guest was given. Arguments, environment, the names of
 * preopens and the first descriptors lie in one charged block with it; more descriptors in a table
 * that grows. */
#include "base/bytes.h"
#include "base/check.h"
#include "worlds/wasi/wasi_internal.h"

#include <string.h>

/* Where strings go while they are copied in. */
struct strings {
    char *at;
    size_t left;
};

static bool add_sizes(const char *const *strings, size_t count, size_t *bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (!weir_add_size(*bytes, strlen(strings[i]) + 1, bytes))
            return false;
    }
    return true;
}

static char *copy_string(struct strings *to, const char *string, uint32_t *bytes)
{
    size_t size = strlen(string) + 1;
    WEIR_ASSERT(size <= to->left);
    char *copied = to->at;
    memcpy(copied, string, size);
    to->at += size;
    to->left -= size;
    *bytes += (uint32_t)size;
    return copied;
}

static enum weir_status measure_strings(const struct weir_wasi_config *config, size_t *ret_bytes,
                                        struct weir_error *error)
{
    size_t bytes = 0;
    bool fits = add_sizes(config->args, config->arg_count, &bytes) &&
                add_sizes(config->env, config->env_count, &bytes);
    for (size_t i = 0; fits && i < config->preopen_count; i++)
        fits = add_sizes(&config->preopens[i].guest_path, 1, &bytes);
    if (!fits || bytes > WASI_STRINGS_BYTES_MAX || config->arg_count > WASI_STRINGS_COUNT_MAX ||
        config->env_count > WASI_STRINGS_COUNT_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "arguments, environment and preopens take %zu bytes in %zu strings; "
                              "the limits are %llu bytes and %u strings of each",
                              bytes, config->arg_count + config->env_count,
                              (unsigned long long)WASI_STRINGS_BYTES_MAX, WASI_STRINGS_COUNT_MAX);
    *ret_bytes = bytes;
    return WEIR_OK;
}

/* Args first, then environment: args_get and environ_get hand out one range each. Returns the room
 * for the names of preopens. */
static struct strings copy_strings(struct weir_wasi *wasi, const struct weir_wasi_config *config)
{
    struct strings to = {.at = wasi->strings, .left = wasi->strings_size};
    for (size_t i = 0; i < config->arg_count; i++)
        (void)copy_string(&to, config->args[i], &wasi->arg_bytes);
    wasi->env = to.at;
    for (size_t i = 0; i < config->env_count; i++)
        (void)copy_string(&to, config->env[i], &wasi->env_bytes);
    wasi->arg_count = (uint32_t)config->arg_count;
    wasi->env_count = (uint32_t)config->env_count;
    return to;
}

/* Which status a refusal of the table means to the embedder. */
static enum weir_status refuse(int wasi_errno, struct weir_error *error, const char *what)
{
    enum weir_status status =
        wasi_errno == WASI_E_MFILE || wasi_errno == WASI_E_NFILE || wasi_errno == WASI_E_NOMEM
            ? WEIR_LIMIT
            : WEIR_IO;
    return weir_error_set(error, status, WEIR_NO_OFFSET, "%s: %s", what,
                          weir__wasi_errno_name(wasi_errno));
}

/* Takes over a host descriptor that is open already. */
static enum weir_status add_host_fd(struct weir_wasi *wasi, uint32_t fd, int host_fd,
                                    bool is_inherited, struct weir_error *error)
{
    struct weir__wasi_descriptor descriptor;
    int refused = weir__wasi_describe(wasi, host_fd, &descriptor);
    int flags = refused == WASI_E_SUCCESS ? weir_io_fcntl(wasi->io, host_fd, F_GETFL, 0) : 0;
    if (flags < 0)
        refused = weir__wasi_errno_of(flags);
    if (refused != WASI_E_SUCCESS) {
        (void)weir_io_close(wasi->io, host_fd);
        weir__wasi_unreserve(wasi, fd);
        return refuse(refused, error, "cannot look at a descriptor of the host");
    }
    descriptor.is_inherited = is_inherited;
    if ((flags & O_APPEND) != 0)
        descriptor.flags |= WASI_FDFLAG_APPEND;
    if ((flags & O_ACCMODE) == O_RDONLY)
        descriptor.rights_base &=
            ~(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE);
    else if ((flags & O_ACCMODE) == O_WRONLY)
        descriptor.rights_base &= ~WASI_RIGHT_FD_READ;
    weir__wasi_add(wasi, fd, &descriptor);
    return WEIR_OK;
}

static enum weir_status add_duplicate(struct weir_wasi *wasi, int host_fd, struct weir_error *error)
{
    uint32_t fd;
    int refused = weir__wasi_reserve(wasi, &fd);
    if (refused != WASI_E_SUCCESS)
        return refuse(refused, error, "no room for a descriptor");
    int duplicate = weir_io_fcntl(wasi->io, host_fd, F_DUPFD_CLOEXEC, 3);
    if (duplicate < 0) {
        weir__wasi_unreserve(wasi, fd);
        return weir_error_set_errno(error, WEIR_IO, -duplicate, "cannot duplicate descriptor %d",
                                    host_fd);
    }
    return add_host_fd(wasi, fd, duplicate, true, error);
}

static enum weir_status add_stdio(struct weir_wasi *wasi, const struct weir_wasi_config *config,
                                  uint8_t number, struct weir_error *error)
{
    const struct weir_wasi_stream *stream = &config->stdio_streams[number];
    bool has_stream = stream->read != NULL || stream->write != NULL;
    if (!has_stream && config->stdio_fds[number] >= 0)
        return add_duplicate(wasi, config->stdio_fds[number], error);
    uint32_t fd;
    int refused = weir__wasi_number(wasi, &fd);
    if (refused != WASI_E_SUCCESS)
        return refuse(refused, error, "no room for a descriptor");
    struct weir__wasi_descriptor descriptor = {
        .backing = has_stream ? WASI_STREAM : WASI_NONE,
        .filetype = WASI_FILETYPE_UNKNOWN,
        .stream = number,
        .is_inherited = true,
        .may_wait = has_stream,
        .rights_base = WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_FILESTAT_GET |
                       WASI_RIGHT_POLL_FD_READWRITE,
    };
    if (has_stream ? stream->read != NULL : number == 0)
        descriptor.rights_base |= WASI_RIGHT_FD_READ;
    if (has_stream ? stream->write != NULL : number != 0)
        descriptor.rights_base |= WASI_RIGHT_FD_WRITE;
    wasi->streams[number].calls = *stream;
    wasi->parks = wasi->parks || has_stream;
    weir__wasi_add(wasi, fd, &descriptor);
    return WEIR_OK;
}

/* Opens the folder under the number, which is reserved then, or borrows it. */
static enum weir_status open_preopen(struct weir_wasi *wasi, uint32_t fd, const char *host_path,
                                     int borrowed_fd, struct weir_error *error)
{
    if (borrowed_fd >= 0) {
        const struct weir__wasi_descriptor descriptor = {.backing = WASI_HOST,
                                                         .filetype = WASI_FILETYPE_DIRECTORY,
                                                         .is_borrowed = true,
                                                         .host_fd = borrowed_fd};
        weir__wasi_add(wasi, fd, &descriptor);
        return WEIR_OK;
    }
    int host_fd =
        (int)WASI_RETRY(weir_io_open(wasi->io, AT_FDCWD, host_path, O_RDONLY | O_DIRECTORY, 0));
    if (host_fd < 0) {
        weir__wasi_unreserve(wasi, fd);
        return weir_error_set_errno(error, host_fd == -ENOENT ? WEIR_NOT_FOUND : WEIR_IO, -host_fd,
                                    "cannot open directory '%s'", host_path);
    }
    return add_host_fd(wasi, fd, host_fd, false, error);
}

static enum weir_status add_preopen(struct weir_wasi *wasi, const struct weir_wasi_config *config,
                                    size_t index, struct strings *strings, struct weir_error *error)
{
    const struct weir_wasi_preopen *preopen = &config->preopens[index];
    int borrowed_fd = config->preopen_fds != NULL ? config->preopen_fds[index] : -1;
    uint32_t fd;
    int refused = borrowed_fd >= 0 ? weir__wasi_number(wasi, &fd) : weir__wasi_reserve(wasi, &fd);
    if (refused != WASI_E_SUCCESS)
        return refuse(refused, error, "no room for a descriptor");
    enum weir_status status = open_preopen(wasi, fd, preopen->host_path, borrowed_fd, error);
    if (status != WEIR_OK)
        return status;
    struct weir__wasi_descriptor *descriptor = &wasi->descriptors[fd];
    uint32_t size = 0;
    descriptor->name = copy_string(strings, preopen->guest_path, &size);
    descriptor->name_size = size - 1;
    descriptor->rights_base = WASI_RIGHTS_DIRECTORY;
    descriptor->rights_inheriting = WASI_RIGHTS_ALL;
    if (preopen->is_read_only) {
        descriptor->rights_base &= WASI_RIGHTS_READ_ONLY;
        descriptor->rights_inheriting &= WASI_RIGHTS_READ_ONLY;
    }
    return WEIR_OK;
}

static enum weir_status fill(struct weir_wasi *wasi, const struct weir_wasi_config *config,
                             struct weir_error *error)
{
    struct strings strings = copy_strings(wasi, config);
    enum weir_status status = WEIR_OK;
    for (uint8_t i = 0; status == WEIR_OK && i < 3; i++)
        status = add_stdio(wasi, config, i, error);
    for (size_t i = 0; status == WEIR_OK && i < config->preopen_count; i++)
        status = add_preopen(wasi, config, i, &strings, error);
    for (size_t i = 0; status == WEIR_OK && i < config->socket_count; i++)
        status = add_duplicate(wasi, config->sockets[i], error);
    return status;
}

enum weir_status weir_wasi_new(struct weir_store *store, const struct weir_wasi_config *config,
                               struct weir_wasi **ret_wasi, struct weir_error *error)
{
    return weir__wasi_new_on(store, config, weir_io_system(), ret_wasi, error);
}

enum weir_status weir__wasi_new_on(struct weir_store *store, const struct weir_wasi_config *config,
                                   struct weir_io *io, struct weir_wasi **ret_wasi,
                                   struct weir_error *error)
{
    WEIR_ASSERT(store != NULL && config != NULL && ret_wasi != NULL);
    size_t strings_size = 0;
    enum weir_status status = measure_strings(config, &strings_size, error);
    if (status != WEIR_OK)
        return status;
    struct weir_error local = {0};
    struct weir_account *account = weir_store_account(store);
    struct weir_wasi *wasi = weir_account_alloc(
        account, WEIR_KIND_HANDLE, sizeof *wasi + strings_size, error == NULL ? &local : error);
    if (wasi == NULL) {
        status = error == NULL ? local.status : error->status;
        weir_error_done(&local);
        return status != WEIR_OK ? status : WEIR_LIMIT;
    }
    wasi->store = store;
    wasi->account = account;
    wasi->io = io;
    wasi->descriptors_max =
        config->descriptors_max != 0 ? config->descriptors_max : WASI_DESCRIPTORS_DEFAULT;
    wasi->strings_size = strings_size;
    wasi->descriptors = wasi->first;
    wasi->descriptor_count = wasi->descriptors_max < WASI_DESCRIPTORS_FIRST
                                 ? wasi->descriptors_max
                                 : WASI_DESCRIPTORS_FIRST;
    wasi->host_buffer_bytes =
        config->host_buffer_bytes != 0 ? config->host_buffer_bytes : WASI_HOST_BUFFER_DEFAULT;
    wasi->realtime_ns = config->realtime_ns;
    wasi->realtime_context = config->realtime_context;
    wasi->is_deterministic = config->is_deterministic;
    wasi->random_state = UINT64_C(0x5eed);
    status = fill(wasi, config, error);
    if (status != WEIR_OK) {
        weir_wasi_free(wasi);
        return status;
    }
    *ret_wasi = wasi;
    return WEIR_OK;
}

/* --- kept contexts --------------------------------------------------------------------------- */

static void free_renewed(struct weir_wasi *wasi)
{
    if (wasi->renewed != NULL)
        weir_account_free(wasi->account, WEIR_KIND_HOST_BUFFER, wasi->renewed, wasi->renewed_size);
    wasi->renewed = NULL;
    wasi->renewed_size = 0;
}

/* The room is kept, so that equal environments take no memory anew. */
static enum weir_status renew_env(struct weir_wasi *wasi, const struct weir_wasi_config *config,
                                  struct weir_error *error)
{
    size_t bytes = 0;
    wasi->env_count = wasi->env_bytes = 0;
    if (!add_sizes(config->env, config->env_count, &bytes) || bytes > WASI_STRINGS_BYTES_MAX ||
        config->env_count > WASI_STRINGS_COUNT_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the environment takes %zu bytes in %zu strings", bytes,
                              config->env_count);
    if (bytes > wasi->renewed_size) {
        free_renewed(wasi);
        wasi->renewed = weir_account_alloc(wasi->account, WEIR_KIND_HOST_BUFFER, bytes, error);
        if (wasi->renewed == NULL)
            return weir_error_refused(error);
        wasi->renewed_size = bytes;
    }
    struct strings to = {.at = wasi->renewed, .left = wasi->renewed_size};
    for (size_t i = 0; i < config->env_count; i++)
        (void)copy_string(&to, config->env[i], &wasi->env_bytes);
    wasi->env = wasi->renewed;
    wasi->env_count = (uint32_t)config->env_count;
    return WEIR_OK;
}

enum weir_status weir_wasi_renew(struct weir_wasi *wasi, const struct weir_wasi_config *config,
                                 struct weir_error *error)
{
    WEIR_ASSERT(wasi != NULL && config != NULL && wasi->descriptor_count >= 3);
    enum weir_status status = renew_env(wasi, config, error);
    wasi->parks = false;
    for (uint8_t i = 0; i < 3; i++) {
        weir__wasi_drop(wasi, i);
        weir__wasi_stream_done(wasi, &wasi->streams[i]);
        wasi->streams[i] = (struct weir__wasi_stream){0};
    }
    for (uint8_t i = 0; status == WEIR_OK && i < 3; i++)
        status = add_stdio(wasi, config, i, error);
    return status;
}

void weir_wasi_free(struct weir_wasi *wasi)
{
    if (wasi == NULL)
        return;
    for (uint32_t i = 0; i < wasi->descriptor_count; i++)
        weir__wasi_drop(wasi, i);
    weir__wasi_free_table(wasi);
    for (unsigned i = 0; i < 3; i++)
        weir__wasi_stream_done(wasi, &wasi->streams[i]);
    free_renewed(wasi);
    weir_account_free(wasi->account, WEIR_KIND_HANDLE, wasi, sizeof *wasi + wasi->strings_size);
}
