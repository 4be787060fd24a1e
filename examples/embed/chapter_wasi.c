/* WASI: a command-line program as a guest. It gets arguments, an environment, folders and three
 * streams, and nothing else of the host.
 *
 * A stream may be a descriptor of the host, or a pair of callbacks that never wait: when they have
 * nothing, the guest is parked and this thread is free for other work. Here the guest's input comes
 * in two pieces, its output goes to ours, and it may read a folder but not change it.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, in strict C too */
#include <fcntl.h>
#include <unistd.h>

#include <weir/wasi.h>

#include "chapter.h"

/* Of one guest: the store's data, so that WASI finds its context. */
struct guest {
    struct weir_wasi *wasi;
    const char *input[2]; /* what has arrived; NULL: not yet, or read */
    int arrived, read;
};

static struct weir_wasi *find_wasi(struct weir_store *store)
{
    return ((struct guest *)weir_store_data(store))->wasi;
}

static enum weir_status read_input(void *context, void *to, size_t size, size_t *ret_count)
{
    struct guest *guest = context;
    *ret_count = 0;
    if (guest->read == 2)
        return WEIR_OK; /* the end */
    if (guest->read == guest->arrived)
        return WEIR_PENDING;
    const char *piece = guest->input[guest->read++];
    *ret_count = strlen(piece);
    EXPECT(*ret_count <= size); /* a piece of a real stream may be cut */
    memcpy(to, piece, *ret_count);
    return WEIR_OK;
}

static enum weir_status write_output(void *context, const void *from, size_t size,
                                     size_t *ret_count)
{
    (void)context;
    *ret_count = fwrite(from, 1, size, stdout);
    return WEIR_OK;
}

/* Until the guest has ended; its exit code. */
static int run(struct guest *guest, struct weir_instance *instance)
{
    struct weir_error error = {0};
    struct weir_trap trap;
    int exit_code = 0;
    enum weir_status status = weir_wasi_run(guest->wasi, instance, &exit_code, &trap, &error);
    while (status == WEIR_PENDING) {
        uint64_t wake_ns = 0;
        printf("[parked: it waits for stream %d]\n", weir_wasi_waits_for(guest->wasi, &wake_ns));
        EXPECT(wake_ns == UINT64_MAX); /* only the stream can wake it */
        guest->arrived++;
        status = weir_wasi_resume(guest->wasi, &exit_code, &trap, &error);
    }
    must(status, &error);
    return exit_code;
}

static void run_guest(struct weir_linker *linker, struct weir_module *module, const char *folder,
                      bool is_read_only)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    struct weir_receipt receipt = {0};
    struct guest guest = {.input = {"one, ", "two\n"}};
    const char *args[] = {"copy"};
    const char *env[] = {"LANG=C.UTF-8"};
    struct weir_wasi_preopen preopen = {"/data", folder, is_read_only};
    struct weir_wasi_config config = {
        .args = args,
        .arg_count = 1,
        .env = env,
        .env_count = 1,
        .preopens = &preopen,
        .preopen_count = 1,
        .stdio_fds = {-1, -1, -1},
        .stdio_streams = {{.read = read_input, .context = &guest}, {.write = write_output}},
        .descriptors_max = 16,
    };
    must(weir_store_new(weir_module_engine(module), &(struct weir_store_config){.data = &guest},
                        &store, &error),
         &error);
    must(weir_wasi_new(store, &config, &guest.wasi, &error), &error);
    must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    printf("exit code %d\n", run(&guest, instance));
    weir_wasi_free(guest.wasi);
    weir_store_close(store, &receipt);
    EXPECT(receipt.drained);
    weir_receipt_done(&receipt);
}

/* A folder with a file to read. */
static void make_folder(char *folder, char *file, size_t size)
{
    EXPECT(mkdtemp(folder) != NULL);
    (void)snprintf(file, size, "%s/greeting", folder);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    EXPECT(fd >= 0 && write(fd, "good morning\n", 13) == 13 && close(fd) == 0);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    char folder[] = "/tmp/weir-chapter-XXXXXX";
    char path[sizeof folder + 16];
    make_folder(folder, path, sizeof path);

    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "copy");
    must(weir_linker_new(engine, &linker, &error), &error);
    must(weir_wasi_link(linker, find_wasi, &error), &error);

    /* 76 is NOTCAPABLE (docs/WASI-ERRNO.md): the folder does not carry the right to write. */
    run_guest(linker, module, folder, true);
    run_guest(linker, module, folder, false);

    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/new", folder);
    EXPECT(unlink(path) == 0 && rmdir(folder) == 0);

    /* A folder that is not there is named. */
    struct weir_store *store = NULL;
    struct weir_wasi *wasi = NULL;
    struct weir_wasi_preopen preopen = {"/data", "/no/such/folder", true};
    struct weir_wasi_config config = {
        .preopens = &preopen, .preopen_count = 1, .stdio_fds = {-1, -1, -1}};
    must(weir_store_new(engine, NULL, &store, &error), &error);
    EXPECT(weir_wasi_new(store, &config, &wasi, &error) == WEIR_NOT_FOUND);
    print_error(stdout, &error);
    weir_error_done(&error);
    weir_store_close(store, NULL);

    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
