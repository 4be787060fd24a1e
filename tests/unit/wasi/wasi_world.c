/* The scripted store of wasi_world.h: these definitions stand where the runtime's would. */
#include "tests/unit/wasi/wasi_world.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* --- the runtime's part --- */

static bool is_lost(const struct weir_memory *memory)
{
    int *left = (int *)(uintptr_t)&memory->reads_left;
    return *left >= 0 && (*left)-- == 0;
}

enum weir_status weir_memory_read(const struct weir_memory *memory, uint64_t address, void *to,
                                  size_t size)
{
    if (address > memory->size || size > memory->size - address)
        return WEIR_INVALID_ARGUMENT;
    if (is_lost(memory))
        return WEIR_IO;
    memcpy(to, memory->bytes + address, size);
    return WEIR_OK;
}

enum weir_status weir_memory_write(struct weir_memory *memory, uint64_t address, const void *from,
                                   size_t size)
{
    if (address > memory->size || size > memory->size - address)
        return WEIR_INVALID_ARGUMENT;
    if (is_lost(memory))
        return WEIR_IO;
    if (size > 0)
        memcpy(memory->bytes + address, from, size);
    return WEIR_OK;
}

uint8_t *weir_memory_at(const struct weir_memory *memory, uint64_t address, uint64_t size)
{
    bool fits = address <= memory->size && size <= memory->size - address;
    return fits ? memory->bytes + address : NULL;
}

struct weir_account *weir_store_account(struct weir_store *store)
{
    return store->account;
}

void *weir_store_data(const struct weir_store *store)
{
    return store->data;
}

bool weir_store_is_stopped(const struct weir_store *store)
{
    return store->is_stopped;
}

enum weir_status weir_caller_exit(struct weir_caller *caller, int exit_code)
{
    caller->exit_code = exit_code;
    return WEIR_EXIT;
}

/* --- streams --- */

static enum weir_status pipe_read(void *context, void *to, size_t size, size_t *ret_count)
{
    struct pipe_end *end = context;
    end->calls++;
    if (end->fails != WEIR_OK)
        return end->fails;
    if (end->at == end->end && !end->is_closed)
        return WEIR_PENDING;
    size_t part = end->end - end->at < size ? end->end - end->at : size;
    memcpy(to, end->bytes + end->at, part);
    end->at += part;
    *ret_count = part;
    return WEIR_OK;
}

static enum weir_status pipe_write(void *context, const void *from, size_t size, size_t *ret_count)
{
    struct pipe_end *end = context;
    end->calls++;
    if (end->fails != WEIR_OK)
        return end->fails;
    if (end->room == 0)
        return WEIR_PENDING;
    size_t part = end->room < size ? end->room : size;
    ck_assert_uint_le(end->end + part, sizeof end->bytes);
    memcpy(end->bytes + end->end, from, part);
    end->end += part;
    end->room -= part;
    *ret_count = part;
    return WEIR_OK;
}

struct weir_wasi_stream pipe_stream(struct pipe_end *end, bool reads, bool writes)
{
    return (struct weir_wasi_stream){
        .read = reads ? pipe_read : NULL, .write = writes ? pipe_write : NULL, .context = end};
}

/* --- the folder --- */

static void make_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_link(const char *folder, const char *name, const char *target)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(symlink(target, path), 0);
}

static void make_dir(const char *folder, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void make_files(struct world *world)
{
    char target[128];
    make_dir(world->root, "");
    make_dir(world->outside, "");
    make_file(world->outside, "secret", "outside\n");
    make_file(world->root, "f", "0123456789");
    make_dir(world->root, "d");
    make_file(world->root, "d/inner", "inner\n");
    make_dir(world->root, "empty");
    make_link(world->root, "link", "f");
    make_link(world->root, "dirlink", "d");
    make_link(world->root, "loop", "loop");
    make_link(world->root, "out", "../outside");
    make_link(world->root, "out_file", "../outside/secret");
    make_link(world->root, "dangling_out", "../outside/created");
    (void)snprintf(target, sizeof target, "%s/secret", world->outside);
    make_link(world->root, "out_absolute", target);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/pipe", world->root);
    ck_assert_int_eq(mkfifo(path, 0644), 0);
}

static void make_sockets(struct world *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", world->outside);
    world->sockets[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(world->sockets[0], (void *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(world->sockets[0], 4), 0);
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    world->sockets[1] = pair[0];
    world->far_ends[0] = pair[1];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    world->sockets[2] = pair[0];
    world->far_ends[1] = pair[1];
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat, (void)type, (void)walk;
    return remove(path);
}

/* --- the world --- */

void world_prepare(struct world *world)
{
    static const char *const args[] = {"program", "argument"};
    static const char *const env[] = {"NAME=value"};
    memset(world, 0, sizeof *world);
    char folder[] = "/tmp/weir-wasi-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(world->root, sizeof world->root, "%s/root", folder);
    (void)snprintf(world->outside, sizeof world->outside, "%s/outside", folder);
    make_files(world);
    make_sockets(world);
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_STORE, "wasi test",
                                      WEIR_UNLIMITED, &world->store.account, NULL),
                     WEIR_OK);
    world->memory.size = WORLD_MEMORY_BYTES;
    world->memory.bytes = calloc(1, WORLD_MEMORY_BYTES);
    world->memory.reads_left = -1;
    world->caller.store = &world->store;
    weir_io_faulty_init(&world->faulty, weir_io_system());
    world->preopens[0] = (struct weir_wasi_preopen){"/", world->root, false};
    world->preopens[1] = (struct weir_wasi_preopen){"/read-only", world->root, true};
    world->config = (struct weir_wasi_config){.args = args,
                                              .arg_count = 2,
                                              .env = env,
                                              .env_count = 1,
                                              .preopens = world->preopens,
                                              .preopen_count = 2,
                                              .sockets = world->sockets,
                                              .socket_count = 3,
                                              .stdio_fds = {-1, -1, -1}};
    world->next_string = AT_STRINGS;
    world->out.room = sizeof world->out.bytes;
}

enum weir_status world_wasi_new(struct world *world, struct weir_wasi **ret_wasi,
                                struct weir_error *error)
{
    return weir__wasi_new_on(&world->store, &world->config, &world->faulty.io, ret_wasi, error);
}

void world_start(struct world *world)
{
    struct weir_error error = {0};
    enum weir_status status = world_wasi_new(world, &world->wasi, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    world->store.data = world->wasi;
}

void world_open(struct world *world)
{
    world_prepare(world);
    world_start(world);
}

void world_open_streams(struct world *world)
{
    world_prepare(world);
    world->config.stdio_streams[0] = pipe_stream(&world->in, true, false);
    world->config.stdio_streams[1] = pipe_stream(&world->out, false, true);
    world_start(world);
}

void world_close(struct world *world)
{
    weir_wasi_free(world->wasi);
    struct weir_account_reading reading;
    weir_account_read(world->store.account, &reading);
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        ck_assert_msg(reading.kinds[kind] == 0, "%llu of %s are still charged",
                      (unsigned long long)reading.kinds[kind],
                      weir_kind_name((enum weir_kind)kind));
    weir_account_close(world->store.account);
    weir_io_faulty_done(&world->faulty);
    free(world->memory.bytes);
    for (int i = 0; i < 3; i++)
        (void)close(world->sockets[i]);
    (void)close(world->far_ends[0]);
    (void)close(world->far_ends[1]);
    *strrchr(world->root, '/') = '\0';
    (void)nftw(world->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int world_call(struct world *world, int (*operation)(struct weir__wasi_call *call),
               const uint64_t *args, unsigned count)
{
    union weir_value values[WASI_ARGS_MAX] = {0};
    for (unsigned i = 0; i < count; i++)
        values[i].i64 = (int64_t)args[i];
    struct weir__wasi_call call = {
        .wasi = world->wasi, .memory = &world->memory, .caller = &world->caller, .args = values};
    int answer = weir__wasi_begin(&call, operation, count);
    world->end_status = call.status;
    return answer;
}

int world_retry(struct world *world)
{
    struct weir__wasi_park *park = &world->wasi->park;
    ck_assert(park->operation != NULL);
    union weir_value values[WASI_ARGS_MAX];
    memcpy(values, park->args, sizeof values);
    struct weir__wasi_call call = {.wasi = world->wasi, .memory = park->memory, .args = values};
    int answer = park->operation(&call);
    if (answer != WASI_PARK)
        park->operation = NULL;
    return answer;
}

uint32_t put_string(struct world *world, const char *text)
{
    size_t size = strlen(text) + 1;
    if (world->next_string + size > RET)
        world->next_string = AT_STRINGS;
    uint32_t address = world->next_string;
    memcpy(world->memory.bytes + address, text, size);
    world->next_string += (uint32_t)size;
    return address;
}

uint32_t put_iovec(struct world *world, uint32_t address, uint32_t size)
{
    const struct wasi_iovec vector = {address, size};
    memcpy(world->memory.bytes + IOVECS, &vector, sizeof vector);
    return IOVECS;
}

uint32_t get_u32(const struct world *world, uint32_t address)
{
    uint32_t value;
    memcpy(&value, world->memory.bytes + address, sizeof value);
    return value;
}

uint64_t get_u64(const struct world *world, uint32_t address)
{
    uint64_t value;
    memcpy(&value, world->memory.bytes + address, sizeof value);
    return value;
}

int open_at(struct world *world, uint32_t dir, const char *path, uint32_t open_flags,
            uint64_t rights)
{
    int answer = CALL(world, path_open, dir, WASI_LOOKUP_SYMLINK_FOLLOW, PATH(world, path),
                      open_flags, rights, rights, 0, RET);
    return answer == WASI_E_SUCCESS ? (int)get_u32(world, RET) : -answer;
}

void fail_io(struct world *world, enum weir_io_op op, int error, uint64_t count)
{
    const struct weir_io_rule rule = {.op = op, .first = 1, .count = count, .error = error};
    weir_io_faulty_reset(&world->faulty);
    ck_assert(weir_io_faulty_add(&world->faulty, &rule));
}

int count_open_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}
