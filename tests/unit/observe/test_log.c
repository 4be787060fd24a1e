/* Lines: whatever a value holds, one line comes out that its form's reader understands. Queue: what
 * was taken arrives whole and in order, across errors, short writes, rotation and a pipe that
 * nobody reads. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observe/log_line.h"
#include "observe/log_queue.h"

/* --- lines --------------------------------------------------------------------------------- */

static const struct {
    const char *value, *text, *logfmt, *json, *quoted;
} VALUES[] = {
    {"plain", "plain", "k=plain", "{\"k\":\"plain\"}", "\"plain\""},
    {"", "", "k=\"\"", "{\"k\":\"\"}", "\"-\""},
    {"two words", "two words", "k=\"two words\"", "{\"k\":\"two words\"}", "\"two words\""},
    {"a\"b\\c", "a\"b\\c", "k=\"a\\\"b\\\\c\"", "{\"k\":\"a\\\"b\\\\c\"}", "\"a\\\"b\\\\c\""},
    {"a\r\nb\x1b[2J", "a  b [2J", "k=\"a\\u000d\\u000ab\\u001b[2J\"",
     "{\"k\":\"a\\u000d\\u000ab\\u001b[2J\"}", "\"a\\x0d\\x0ab\\x1b[2J\""},
    {"\xc3\xbc", "\xc3\xbc", "k=\"\xc3\xbc\"", "{\"k\":\"\xc3\xbc\"}", "\"\\xc3\\xbc\""},
    {"\xff\xc3", "??", "k=\"\\ufffd\\ufffd\"", "{\"k\":\"\\ufffd\\ufffd\"}", "\"\\xff\\xc3\""},
    {"\xc2\x9b", "  ", "k=\"\xc2\x9b\"", "{\"k\":\"\xc2\x9b\"}", "\"\\xc2\\x9b\""},
    {"k=v", "k=v", "k=\"k=v\"", "{\"k\":\"k=v\"}", "\"k=v\""},
};

static void check_line(struct weir_log_line *line, const char *wanted)
{
    size_t size = weir_log_line_end(line);
    line->text[size] = 0;
    ck_assert_uint_eq(strlen(line->text), size);
    ck_assert_int_eq(line->text[size - 1], '\n');
    line->text[size - 1] = 0;
    ck_assert_str_eq(line->text, wanted);
}

START_TEST(escapes)
{
    char text[256];
    struct weir_log_line line;
    for (int form = WEIR_LOG_TEXT; form <= WEIR_LOG_JSON; form++) {
        weir_log_line_begin(&line, (enum weir_log_form)form, text, sizeof text - 1);
        weir_log_line_text(&line, "k", VALUES[_i].value);
        check_line(&line, form == WEIR_LOG_TEXT     ? VALUES[_i].text
                          : form == WEIR_LOG_LOGFMT ? VALUES[_i].logfmt
                                                    : VALUES[_i].json);
    }
    weir_log_line_begin(&line, WEIR_LOG_TEXT, text, sizeof text - 1);
    weir_log_line_quoted(&line, VALUES[_i].value);
    check_line(&line, VALUES[_i].quoted);
}
END_TEST

/* Of every capacity: JSON stays JSON, and a cut is told. */
START_TEST(cuts)
{
    char value[200], text[1024];
    for (size_t i = 0; i + 1 < sizeof value; i++)
        value[i] = "\"\xc3\xbcx\n\xff"[i % 6];
    value[sizeof value - 1] = 0;
    unsigned cut = 0;
    for (size_t capacity = WEIR_LOG_LINE_MIN; capacity <= sizeof text; capacity++) {
        struct weir_log_line line;
        weir_log_line_begin(&line, WEIR_LOG_JSON, text, capacity);
        weir_log_line_text(&line, "first", value);
        weir_log_line_number(&line, "second", INT64_MAX);
        weir_log_line_text(&line, "third", "x");
        size_t size = weir_log_line_end(&line);
        ck_assert_uint_le(size, capacity);
        json_error_t error;
        json_t *object = json_loadb(text, size, 0, &error);
        ck_assert_msg(object != NULL, "capacity %zu: %s: %.*s", capacity, error.text, (int)size,
                      text);
        cut += json_is_true(json_object_get(object, "cut"));
        ck_assert(json_is_true(json_object_get(object, "cut")) ||
                  json_object_get(object, "third") != NULL);
        json_decref(object);
    }
    ck_assert_uint_gt(cut, 300);
    ck_assert_uint_lt(cut, sizeof text - WEIR_LOG_LINE_MIN);
}
END_TEST

START_TEST(writes_times)
{
    char text[WEIR_LOG_TIME_SIZE];
    weir_log_time(UINT64_C(951782400123456789), text);
    ck_assert_str_eq(text, "2000-02-29T00:00:00.123Z");
    weir_log_time_apache(UINT64_C(951782400123456789), text);
    ck_assert_str_eq(text, "[29/Feb/2000:00:00:00 +0000]");
}
END_TEST

/* --- the queue ----------------------------------------------------------------------------- */

static char folder[] = "/tmp/weir-log-XXXXXX";
static char path[64], rotated[64];
static struct weir_io_faulty faulty;

struct told {
    sem_t failed, works, dropped, not_opened;
    _Atomic uint64_t lines;
};
static struct told told;

static void tell(void *context, enum weir_log_trouble trouble, uint64_t count, int number)
{
    (void)context;
    (void)number;
    told.lines += count;
    (void)sem_post(trouble == WEIR_LOG_FAILED    ? &told.failed
                   : trouble == WEIR_LOG_WORKS   ? &told.works
                   : trouble == WEIR_LOG_DROPPED ? &told.dropped
                                                 : &told.not_opened);
}

static void set_up(void)
{
    (void)mkdir(folder, 0700);
    (void)snprintf(path, sizeof path, "%s/log", folder);
    (void)snprintf(rotated, sizeof rotated, "%s/log.1", folder);
    (void)unlink(path);
    (void)unlink(rotated);
    (void)sem_init(&told.failed, 0, 0);
    (void)sem_init(&told.works, 0, 0);
    (void)sem_init(&told.dropped, 0, 0);
    (void)sem_init(&told.not_opened, 0, 0);
    told.lines = 0;
    weir_io_faulty_init(&faulty, weir_io_system());
}

static struct weir_log_queue *open_log(int fd, size_t bytes)
{
    struct weir_log_queue *queue = NULL;
    struct weir_error error = {0};
    const struct weir_log_config config = {.path = fd < 0 ? path : NULL,
                                           .fd = fd,
                                           .queue_bytes = bytes,
                                           .account = weir_account_host(),
                                           .io = &faulty.io,
                                           .tell = tell};
    enum weir_status status = weir_log_queue_new(&config, &queue, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return queue;
}

/* "line N" of different lengths; returns how many of them were taken. */
static unsigned write_numbered(struct weir_log_queue *queue, unsigned from, unsigned count)
{
    unsigned taken = 0;
    for (unsigned i = from; i < from + count; i++) {
        char line[128];
        int size = snprintf(line, sizeof line, "line %u %.*s\n", i, (int)(i * 7 % 90),
                            "0123456789012345678901234567890123456789"
                            "01234567890123456789012345678901234567890123456789");
        taken += weir_log_queue_write(queue, line, (size_t)size);
    }
    return taken;
}

static uint64_t used_bytes(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    return reading.used_bytes;
}

/* The numbers of one file follow `*next`; each line is whole. */
static void check_file(const char *name, unsigned *next)
{
    char line[256];
    FILE *file = fopen(name, "re");
    ck_assert_msg(file != NULL, "%s is not there", name);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned number = 0;
        int at = 0;
        ck_assert_msg(sscanf(line, "line %u%n", &number, &at) == 1, "torn: %s", line);
        ck_assert_uint_eq(number, *next);
        ck_assert_uint_eq(strlen(line + at), number * 7 % 90 + 2);
        *next = number + 1;
    }
    (void)fclose(file);
}

START_TEST(keeps_order)
{
    uint64_t before = used_bytes();
    struct weir_log_queue *queue = open_log(-1, 1 << 20);
    ck_assert_uint_eq(write_numbered(queue, 0, 5000), 5000);
    weir_log_queue_free(queue);
    unsigned next = 0;
    check_file(path, &next);
    ck_assert_uint_eq(next, 5000);
    ck_assert_uint_eq(used_bytes(), before);
}
END_TEST

/* Errors, then short writes of a byte or three: what was taken is there. */
START_TEST(outlives_errors)
{
    const struct weir_io_rule full = {.op = WEIR_IO_WRITE, .first = 2, .count = 3, .error = ENOSPC};
    const struct weir_io_rule torn = {.op = WEIR_IO_WRITE, .first = 5, .count = 400,
                                      .bytes_max = 3};
    ck_assert(weir_io_faulty_add(&faulty, &full));
    ck_assert(weir_io_faulty_add(&faulty, &torn));
    struct weir_log_queue *queue = open_log(-1, 1 << 20);
    ck_assert_uint_eq(write_numbered(queue, 0, 1), 1);
    struct weir_log_figures figures;
    do /* or one write could take them all */
        weir_log_queue_figures(queue, &figures);
    while (figures.lines < 1);
    for (unsigned i = 1; i < 2000; i++)
        ck_assert_uint_eq(write_numbered(queue, i, 1), 1);
    (void)sem_wait(&told.failed);
    (void)sem_wait(&told.works);
    weir_log_queue_free(queue);
    unsigned next = 0;
    check_file(path, &next);
    ck_assert_uint_eq(next, 2000);
}
END_TEST

/* A disk that stays full: the ring is the bound, the rest is counted and told once it works. */
START_TEST(drops_and_tells)
{
    const struct weir_io_rule full = {.op = WEIR_IO_WRITE, .count = 4, .error = ENOSPC};
    ck_assert(weir_io_faulty_add(&faulty, &full));
    struct weir_log_queue *queue = open_log(-1, 64 << 10);
    ck_assert_uint_eq(write_numbered(queue, 0, 1), 1);
    (void)sem_wait(&told.failed);
    unsigned taken = 1 + write_numbered(queue, 1, 5000);
    ck_assert_uint_lt(taken, 5001);
    (void)sem_wait(&told.works);
    (void)sem_wait(&told.dropped);
    weir_log_queue_free(queue);
    ck_assert_uint_eq(taken + told.lines, 5001);
}
END_TEST

/* Renamed while three threads write, with torn writes in between: two files, no line lost. */
struct writer {
    struct weir_log_queue *queue;
    unsigned number;
    pthread_t thread;
};

static void *write_thread(void *context)
{
    const struct writer *writer = context;
    for (unsigned i = 0; i < 3000; i++) {
        char line[64];
        int size = snprintf(line, sizeof line, "%u %u\n", writer->number, i);
        while (!weir_log_queue_write(writer->queue, line, (size_t)size))
            (void)sched_yield();
    }
    return NULL;
}

static void count_file(const char *name, unsigned next[3])
{
    FILE *file = fopen(name, "re");
    char line[64], end;
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned writer = 9, number = 0;
        ck_assert_msg(sscanf(line, "%u %u%c", &writer, &number, &end) == 3 && end == '\n',
                      "torn: %s", line);
        ck_assert_uint_lt(writer, 3);
        ck_assert_uint_eq(number, next[writer]);
        next[writer]++;
    }
    (void)fclose(file);
}

START_TEST(rotates_under_load)
{
    const struct weir_io_rule torn = {.op = WEIR_IO_WRITE, .bytes_max = 37};
    ck_assert(weir_io_faulty_add(&faulty, &torn));
    struct weir_log_queue *queue = open_log(-1, 64 << 10);
    struct writer writers[3];
    for (unsigned i = 0; i < 3; i++) {
        writers[i] = (struct writer){.queue = queue, .number = i};
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_thread, &writers[i]), 0);
    }
    struct weir_log_figures figures;
    char names[5][80];
    for (unsigned i = 0; i < 5; i++) {
        do
            weir_log_queue_figures(queue, &figures);
        while (figures.lines < 1500 * (i + 1) || figures.reopens < i);
        (void)snprintf(names[i], sizeof names[i], "%s.%u", path, i);
        ck_assert_int_eq(rename(path, names[i]), 0);
        weir_log_queue_reopen(queue);
        do
            weir_log_queue_figures(queue, &figures);
        while (figures.reopens < i + 1);
    }
    for (unsigned i = 0; i < 3; i++)
        (void)pthread_join(writers[i].thread, NULL);
    weir_log_queue_free(queue);
    unsigned next[3] = {0};
    for (unsigned i = 0; i < 5; i++) {
        count_file(names[i], next);
        (void)unlink(names[i]);
    }
    count_file(path, next);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(next[i], 3000);
}
END_TEST

START_TEST(stays_with_the_old_file)
{
    struct weir_log_queue *queue = open_log(-1, 1 << 20);
    ck_assert_uint_eq(write_numbered(queue, 0, 1), 1);
    ck_assert_int_eq(rename(path, rotated), 0);
    const struct weir_io_rule gone = {.op = WEIR_IO_OPENAT2, .error = EACCES};
    ck_assert(weir_io_faulty_add(&faulty, &gone));
    weir_log_queue_reopen(queue);
    (void)sem_wait(&told.not_opened);
    ck_assert_uint_eq(write_numbered(queue, 1, 1), 1);
    weir_log_queue_free(queue);
    unsigned next = 0;
    check_file(rotated, &next);
    ck_assert_uint_eq(next, 2);
}
END_TEST

static struct weir_log_queue *being_written;

static void reopen_now(void *context, enum weir_io_op op, const long args[6])
{
    (void)context;
    (void)op;
    (void)args;
    weir_log_queue_reopen(being_written);
}

/* Asked to reopen in the middle of a line, where there is no other file (0: a pipe, 1: it cannot be
 * opened): the line goes on. */
START_TEST(goes_on_without_another)
{
    int fds[2] = {-1, -1};
    const struct weir_io_rule gone = {.op = WEIR_IO_OPENAT2, .error = EACCES};
    const struct weir_io_rule once = {
        .op = WEIR_IO_WRITE, .count = 1, .bytes_max = 7, .before = reopen_now};
    const struct weir_io_rule torn = {.op = WEIR_IO_WRITE, .bytes_max = 7};
    if (_i == 0)
        ck_assert_int_eq(pipe(fds), 0);
    struct weir_log_queue *queue = being_written = open_log(fds[1], 64 << 10);
    ck_assert(weir_io_faulty_add(&faulty, &gone));
    ck_assert(weir_io_faulty_add(&faulty, &once));
    ck_assert(weir_io_faulty_add(&faulty, &torn));
    ck_assert_uint_eq(write_numbered(queue, 8, 20), 20);
    weir_log_queue_free(queue);
    if (_i == 0) {
        char bytes[4096];
        (void)close(fds[1]);
        ssize_t size = read(fds[0], bytes, sizeof bytes);
        FILE *copy = fopen(path, "we");
        ck_assert(size > 0 && fwrite(bytes, 1, (size_t)size, copy) == (size_t)size);
        (void)fclose(copy);
        (void)close(fds[0]);
    }
    unsigned next = 8;
    check_file(path, &next);
    ck_assert_uint_eq(next, 28);
}
END_TEST

/* A pipe that nobody reads holds up neither the writer nor the end. */
START_TEST(ignores_a_full_pipe)
{
    int fds[2];
    ck_assert_int_eq(_i == 0 ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct weir_log_queue *queue = open_log(fds[1], 64 << 10);
    unsigned taken = write_numbered(queue, 0, 50000);
    ck_assert_uint_lt(taken, 50000);
    weir_log_queue_free(queue);
    (void)close(fds[1]);
    char bytes[4096];
    size_t got = 0;
    for (ssize_t size; (size = read(fds[0], bytes, sizeof bytes)) > 0;)
        got += (size_t)size;
    ck_assert_uint_gt(got, 4096);
    (void)close(fds[0]);
}
END_TEST

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("log");
    TCase *lines = tcase_create("lines"), *queue = tcase_create("queue");
    tcase_add_loop_test(lines, escapes, 0, sizeof VALUES / sizeof VALUES[0]);
    tcase_add_test(lines, cuts);
    tcase_add_test(lines, writes_times);
    tcase_add_checked_fixture(queue, set_up, NULL);
    tcase_add_test(queue, keeps_order);
    tcase_add_test(queue, outlives_errors);
    tcase_add_test(queue, drops_and_tells);
    tcase_add_test(queue, rotates_under_load);
    tcase_add_test(queue, stays_with_the_old_file);
    tcase_add_loop_test(queue, goes_on_without_another, 0, 2);
    tcase_add_loop_test(queue, ignores_a_full_pipe, 0, 2);
    suite_add_tcase(suite, lines);
    suite_add_tcase(suite, queue);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    set_up(); /* the files are gone */
    (void)rmdir(folder);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
