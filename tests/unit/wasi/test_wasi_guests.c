/* Real programs, compiled against wasi-libc, in real stores: what they print, make and return, how
 * they wait and are stopped, and that they leave nothing behind. */
#include <check.h>
#include <weir/weir.h>

#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct weir_engine *engine;
static struct weir_linker *linker;
static char folder[64];

struct program {
    struct weir_module *module;
    struct weir_store *store;
    struct weir_wasi *wasi;
    struct weir_instance *instance;
    struct weir_wasi_config config;
    struct weir_wasi_preopen preopen;
    struct weir_trap trap;
    FILE *output;
    char text[16384];
    int exit_code;
};

static struct weir_wasi *find(struct weir_store *store)
{
    struct program *program = weir_store_data(store);
    return program->wasi;
}

static void set_up(void)
{
    struct weir_error error = {0};
    struct weir_engine_config config = {0};
    (void)snprintf(folder, sizeof folder, "/tmp/weir-guest-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_msg(weir_engine_new(&config, &engine, &error) == WEIR_OK, "%s", error.message);
    ck_assert_msg(weir_linker_new(engine, &linker, &error) == WEIR_OK, "%s", error.message);
    ck_assert_msg(weir_wasi_link(linker, find, &error) == WEIR_OK, "%s", error.message);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat, (void)type, (void)walk;
    return remove(path);
}

static void tear_down(void)
{
    weir_linker_free(linker);
    weir_engine_unref(engine);
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct weir_module *load(const char *name)
{
    char path[512];
    struct weir_error error = {0};
    struct weir_module *module = NULL;
    static uint8_t bytes[1u << 20];
    (void)snprintf(path, sizeof path, "%s/%s.wasm", GUEST_DIR, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    ck_assert_msg(weir_module_new(engine, bytes, size, NULL, &module, &error) == WEIR_OK, "%s: %s",
                  name, error.message);
    return module;
}

static void prepare(struct program *program, const char *guest)
{
    struct weir_error error = {0};
    memset(program, 0, sizeof *program);
    program->module = load(guest);
    program->output = tmpfile();
    ck_assert_ptr_nonnull(program->output);
    program->preopen = (struct weir_wasi_preopen){.guest_path = "/data", .host_path = folder};
    program->config.preopens = &program->preopen;
    program->config.preopen_count = 1;
    program->config.stdio_fds[0] = -1;
    program->config.stdio_fds[1] = fileno(program->output);
    program->config.stdio_fds[2] = fileno(program->output);
    struct weir_store_config config = {.data = program};
    ck_assert_msg(weir_store_new(engine, &config, &program->store, &error) == WEIR_OK, "%s",
                  error.message);
}

static void start(struct program *program)
{
    struct weir_error error = {0};
    ck_assert_msg(weir_wasi_new(program->store, &program->config, &program->wasi, &error) ==
                      WEIR_OK,
                  "%s", error.message);
    ck_assert_msg(weir_instance_new(program->store, linker, program->module, &program->instance,
                                    NULL, &error) == WEIR_OK,
                  "%s", error.message);
}

static enum weir_status run(struct program *program)
{
    struct weir_error error = {0};
    enum weir_status status = weir_wasi_run(program->wasi, program->instance, &program->exit_code,
                                            &program->trap, &error);
    ck_assert_msg(status == WEIR_OK || status == WEIR_PENDING || status == WEIR_TRAP, "%s",
                  error.message);
    return status;
}

static enum weir_status resume(struct program *program)
{
    return weir_wasi_resume(program->wasi, &program->exit_code, &program->trap, NULL);
}

/* What it printed; and everything it was charged for has come back. */
static const char *finish(struct program *program)
{
    struct weir_receipt receipt = {0};
    weir_trap_done(&program->trap);
    weir_wasi_free(program->wasi);
    weir_store_close(program->store, &receipt);
    ck_assert(receipt.drained);
    weir_receipt_done(&receipt);
    weir_module_unref(program->module);
    rewind(program->output);
    size_t size = fread(program->text, 1, sizeof program->text - 1, program->output);
    program->text[size] = '\0';
    (void)fclose(program->output);
    return program->text;
}

static void make_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    (void)fclose(file);
}

START_TEST(hello_prints_and_returns)
{
    static const char *const args[] = {"hello", "moon", "42"};
    static const char *const env[] = {"OTHER=1", "GREETING=good evening"};
    struct program program;
    prepare(&program, "wasi_hello");
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_OK);
    ck_assert_int_eq(program.exit_code, 0);
    ck_assert_str_eq(finish(&program), "hello, world\n");
    prepare(&program, "wasi_hello");
    program.config.args = args;
    program.config.arg_count = 3;
    program.config.env = env;
    program.config.env_count = 2;
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_OK);
    ck_assert_int_eq(program.exit_code, 42);
    ck_assert_str_eq(finish(&program), "good evening, moon\n");
}
END_TEST

START_TEST(cat_copies_files)
{
    static const char *const args[] = {"cat", "/data/one", "/data/none", "/data/two"};
    struct program program;
    make_file("one", "first\n");
    make_file("two", "second\n");
    prepare(&program, "wasi_cat");
    program.config.args = args;
    program.config.arg_count = 4;
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_OK);
    ck_assert_int_eq(program.exit_code, 1);
    ck_assert_str_eq(finish(&program),
                     "first\ncat: /data/none: No such file or directory\nsecond\n");
}
END_TEST

START_TEST(ls_lists)
{
    static const char *const args[] = {"ls", "/data"};
    struct program program;
    char path[128];
    make_file("b", "1234");
    make_file("a", "");
    (void)snprintf(path, sizeof path, "%s/link", folder);
    ck_assert_int_eq(symlink("b", path), 0);
    prepare(&program, "wasi_ls");
    program.config.args = args;
    program.config.arg_count = 2;
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_OK);
    ck_assert_str_eq(finish(&program), "- 0 a\n- 4 b\nl 1 link\n");
}
END_TEST

START_TEST(files_are_exercised)
{
    struct program program;
    prepare(&program, "wasi_files");
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_OK);
    int exit_code = program.exit_code;
    ck_assert_str_eq(finish(&program), "all is well\n");
    ck_assert_int_eq(exit_code, 0);
}
END_TEST

/* The C library's own declarations of the functions are imported with the types we define. */
START_TEST(every_function_links)
{
    struct program program;
    prepare(&program, "wasi_imports");
    ck_assert_uint_eq(weir_module_import_count(program.module), 45); /* all but proc_raise */
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_OK);
    ck_assert_int_eq(program.exit_code, 0);
    (void)finish(&program);
}
END_TEST

static int count_open_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

START_TEST(cycles_leave_nothing)
{
    static const char *const args[] = {"cycles", "20000"};
    struct weir_account_reading before, after;
    struct program program;
    make_file("data", "12345");
    prepare(&program, "wasi_cycles");
    program.config.args = args;
    program.config.arg_count = 2;
    start(&program);
    int fds = count_open_fds();
    weir_account_read(weir_store_account(program.store), &before);
    ck_assert_int_eq(run(&program), WEIR_OK);
    ck_assert_int_eq(program.exit_code, 0);
    weir_account_read(weir_store_account(program.store), &after);
    ck_assert_int_eq(count_open_fds(), fds);
    ck_assert_uint_eq(after.kinds[WEIR_KIND_HOST_BUFFER], before.kinds[WEIR_KIND_HOST_BUFFER]);
    ck_assert_uint_eq(after.kinds[WEIR_KIND_DESCRIPTOR], before.kinds[WEIR_KIND_DESCRIPTOR]);
    ck_assert_uint_eq(after.kinds[WEIR_KIND_HANDLE], before.kinds[WEIR_KIND_HANDLE]);
    (void)finish(&program);
}
END_TEST

/* --- streams: a guest that is parked --- */

struct stream {
    const char *text;
    size_t at, end; /* what has come so far; PENDING behind it */
    bool is_closed;
    char written[256];
    size_t written_size, room;
};

static enum weir_status stream_read(void *context, void *to, size_t size, size_t *ret_count)
{
    struct stream *stream = context;
    if (stream->at == stream->end && !stream->is_closed)
        return WEIR_PENDING;
    size_t part = stream->end - stream->at < size ? stream->end - stream->at : size;
    memcpy(to, stream->text + stream->at, part);
    stream->at += part;
    *ret_count = part;
    return WEIR_OK;
}

static enum weir_status stream_write(void *context, const void *from, size_t size,
                                     size_t *ret_count)
{
    struct stream *stream = context;
    if (stream->room == 0)
        return WEIR_PENDING;
    size_t part = stream->room < size ? stream->room : size;
    ck_assert_uint_le(stream->written_size + part, sizeof stream->written);
    memcpy(stream->written + stream->written_size, from, part);
    stream->written_size += part;
    stream->room -= part;
    *ret_count = part;
    return WEIR_OK;
}

/* A byte at a time comes in and goes out. */
START_TEST(cat_is_parked_at_every_byte)
{
    struct program program;
    struct stream stream = {.text = "drop by drop"};
    prepare(&program, "wasi_cat");
    program.config.stdio_streams[0] =
        (struct weir_wasi_stream){.read = stream_read, .context = &stream};
    program.config.stdio_streams[1] =
        (struct weir_wasi_stream){.write = stream_write, .context = &stream};
    start(&program);
    enum weir_status status = run(&program);
    int parks = 0;
    for (; status == WEIR_PENDING; parks++) {
        uint64_t wake_ns;
        int waits_for = weir_wasi_waits_for(program.wasi, &wake_ns);
        ck_assert_uint_eq(wake_ns, UINT64_MAX);
        ck_assert_int_ge(waits_for, 0);
        ck_assert_int_le(waits_for, 1);
        if (waits_for == 1)
            stream.room = 1;
        else if (stream.end < strlen(stream.text))
            stream.end++;
        else
            stream.is_closed = true;
        status = resume(&program);
    }
    ck_assert_int_eq(status, WEIR_OK);
    ck_assert_int_eq(program.exit_code, 0);
    ck_assert_int_eq(parks, 25);
    ck_assert_uint_eq(stream.written_size, 12);
    ck_assert_int_eq(memcmp(stream.written, stream.text, 12), 0);
    (void)finish(&program);
}
END_TEST

static void prepare_raise(struct program *program, const char *const args[2])
{
    prepare(program, "wasi_raise");
    program->config.args = args;
    program->config.arg_count = 2;
}

START_TEST(endings)
{
    struct program program;
    prepare_raise(&program, (const char *const[]){"raise", "x"});
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_OK);
    ck_assert_int_eq(program.exit_code, 7);
    (void)finish(&program);
    prepare_raise(&program, (const char *const[]){"raise", "t"});
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_TRAP);
    ck_assert_str_eq(weir_trap_name(program.trap.code), "unreachable");
    (void)finish(&program);
}
END_TEST

/* Sleeping, waiting for input, looping, all without end: the deadline ends each. */
START_TEST(a_deadline_ends_what_blocks)
{
    static const char *const ways[] = {"s", "w", "l"};
    struct program program;
    int pipe_fds[2];
    ck_assert_int_eq(pipe(pipe_fds), 0);
    prepare_raise(&program, (const char *const[]){"raise", ways[_i]});
    program.config.stdio_fds[0] = pipe_fds[0];
    start(&program);
    uint64_t begin_ns = weir_clock_ns();
    weir_store_set_deadline(program.store, begin_ns + 50000000);
    ck_assert_int_eq(run(&program), WEIR_TRAP);
    ck_assert_str_eq(weir_trap_name(program.trap.code), "deadline");
    ck_assert_uint_ge(weir_clock_ns(), begin_ns + 50000000);
    (void)finish(&program);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}
END_TEST

/* The same for guests that are parked: whoever resumes them after the deadline gets the trap. */
START_TEST(a_deadline_ends_what_is_parked)
{
    static const char *const ways[] = {"s", "w"};
    struct program program;
    struct stream stream = {.text = ""};
    prepare_raise(&program, (const char *const[]){"raise", ways[_i]});
    program.config.stdio_streams[0] =
        (struct weir_wasi_stream){.read = stream_read, .context = &stream};
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_PENDING);
    ck_assert_int_eq(weir_store_parked(program.store), WEIR_PARK_HOST);
    ck_assert_int_eq(resume(&program), WEIR_PENDING);
    weir_store_interrupt(program.store);
    ck_assert_int_eq(resume(&program), WEIR_TRAP);
    ck_assert_str_eq(weir_trap_name(program.trap.code), "cancelled");
    (void)finish(&program);
}
END_TEST

/* Given up while it waits; and given up before it was ever run. */
START_TEST(a_parked_guest_can_be_given_up)
{
    struct program program;
    struct stream stream = {.text = ""};
    prepare_raise(&program, (const char *const[]){"raise", "w"});
    program.config.stdio_streams[0] =
        (struct weir_wasi_stream){.read = stream_read, .context = &stream};
    start(&program);
    ck_assert_int_eq(run(&program), WEIR_PENDING);
    weir_store_unpark(program.store);
    (void)finish(&program);
    prepare_raise(&program, (const char *const[]){"raise", "w"});
    start(&program);
    (void)finish(&program);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi guests");
    TCase *tcase = tcase_create("guests");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, hello_prints_and_returns);
    tcase_add_test(tcase, cat_copies_files);
    tcase_add_test(tcase, ls_lists);
    tcase_add_test(tcase, files_are_exercised);
    tcase_add_test(tcase, every_function_links);
    tcase_add_test(tcase, cycles_leave_nothing);
    tcase_add_test(tcase, cat_is_parked_at_every_byte);
    tcase_add_test(tcase, endings);
    tcase_add_loop_test(tcase, a_deadline_ends_what_blocks, 0, 3);
    tcase_add_loop_test(tcase, a_deadline_ends_what_is_parked, 0, 2);
    tcase_add_test(tcase, a_parked_guest_can_be_given_up);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
