/* The CGI convention on bytes: targets, environments, heads of answers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/cgi.h"
#include "tests/run_suite.h"

/* --- targets ------------------------------------------------------------------------------- */

static const struct {
    const char *target, *path, *query; /* path NULL: refused */
} TARGETS[] = {
    {"/", "/", ""},
    {"/a/b?c=d&e", "/a/b", "c=d&e"},
    {"/a%20b/%C3%A9", "/a b/\xc3\xa9", ""},
    {"/a?%20?x", "/a", "%20?x"},
    {"/%2e%2E/x", "/../x", ""},
    {"http://host:80/p?q", "/p", "q"},
    {"HTTP://host/", "/", ""},
    {"/a?", "/a", ""},
    {"http://host", NULL, NULL},
    {"*", NULL, NULL},
    {"", NULL, NULL},
    {"relative", NULL, NULL},
    {"/a%00b", NULL, NULL},
    {"/a%0ab", NULL, NULL},
    {"/a%7f", NULL, NULL},
    {"/a%", NULL, NULL},
    {"/a%4", NULL, NULL},
    {"/a%zz", NULL, NULL},
    {"/a\x01", NULL, NULL},
    {"/a b", NULL, NULL},
    {"/a?b c", NULL, NULL},
    {"/a?\x7f", NULL, NULL},
};

START_TEST(cuts_and_decodes_targets)
{
    char text[256];
    memcpy(text, TARGETS[_i].target, strlen(TARGETS[_i].target) + 1);
    struct weir_cgi_target target = {0};
    struct weir_error error = {0};
    enum weir_status status = weir_cgi_target_parse(text, &target, &error);
    if (TARGETS[_i].path == NULL) {
        ck_assert_int_eq(status, WEIR_MALFORMED);
        ck_assert(error.message[0] != 0);
    } else {
        ck_assert_int_eq(status, WEIR_OK);
        ck_assert_str_eq(target.path, TARGETS[_i].path);
        ck_assert_str_eq(target.query, TARGETS[_i].query);
    }
    weir_error_done(&error);
}
END_TEST

/* --- heads with two meanings ---------------------------------------------------------------- */

static const struct {
    const char *method, *version;
    const char *fields[4]; /* as libmicrohttpd leaves them: "Name" NUL " value" */
    const char *reason;    /* NULL: taken */
} REQUESTS[] = {
    {"GET", "HTTP/1.1", {"Host\0x"}, NULL},
    {"GET", "HTTP/1.0", {"X\0y"}, NULL},
    {"M-SEARCH", "HTTP/1.1", {"Host\0\t x"}, NULL},
    {"PUT", "HTTP/1.1", {"Host\0x", "Content-Length\0" "3", "content-length\0 3"}, NULL},
    {"PUT", "HTTP/1.1", {"Host\0x", "Transfer-Encoding\0 Chunked"}, NULL},
    {"GET", "HTTP/1.1", {"X\0x"}, "no Host"},
    {"GET", "HTTP/1.1", {"Host\0x", "host\0x"}, "more than one Host"},
    {"CONNECT", "HTTP/1.1", {"Host\0x"}, "CONNECT"},
    {"G T", "HTTP/1.1", {"Host\0x"}, "method"},
    {"", "HTTP/1.1", {"Host\0x"}, "method"},
    {"PUT", "HTTP/1.1", {"Host\0x", "Content-Length\0" "3", "Content-Length\0" "03"}, "two"},
    {"PUT", "HTTP/1.1", {"Host\0x", "Content-Length\0" "3", "Transfer-Encoding\0chunked"}, "both"},
    {"PUT", "HTTP/1.1", {"Host\0x", "Transfer-Encoding\0chunked "}, "other than chunked"},
    {"PUT", "HTTP/1.0", {"Transfer-Encoding\0chunked"}, "HTTP/1.0"},
    {"GET", "HTTP/1.1", {"\0x"}, "name"},
    {"GET", "HTTP/1.1", {"a b\0x"}, "name"},
    {"GET", "HTTP/1.1", {"a\x80\0x"}, "name"},
    {"GET", "HTTP/1.1", {"a\0x\ry"}, "field a has a CR"},
    {"GET", "HTTP/1.1", {"a\0?y"}, "second line"}, /* '?': not what libmicrohttpd skips */
};

START_TEST(finds_two_meanings)
{
    struct weir_cgi_check check = {0};
    struct weir_error error = {0};
    enum weir_status status = WEIR_OK;
    for (int i = 0; i < 4 && REQUESTS[_i].fields[i] != NULL && status == WEIR_OK; i++) {
        const char *name = REQUESTS[_i].fields[i];
        const char *value = name + strlen(name) + 1;
        value += strspn(value, " \t?");
        status = weir_cgi_check_field(&check, &(struct weir_cgi_field){name, value}, &error);
    }
    if (status == WEIR_OK)
        status = weir_cgi_check_head(&check, REQUESTS[_i].method,
                                     strcmp(REQUESTS[_i].version, "HTTP/1.0") == 0, &error);
    ck_assert_int_eq(status, REQUESTS[_i].reason == NULL ? WEIR_OK : WEIR_MALFORMED);
    if (REQUESTS[_i].reason != NULL)
        ck_assert_ptr_nonnull(strstr(error.message, REQUESTS[_i].reason));
    weir_error_done(&error);
}
END_TEST

/* A name that was put together elsewhere lies behind its value. */
START_TEST(finds_lines_that_go_on)
{
    static const char POOL[] = "one\0X-Two";
    struct weir_cgi_check check = {0};
    struct weir_error error = {0};
    const struct weir_cgi_field field = {POOL + 4, POOL};
    ck_assert_int_eq(weir_cgi_check_field(&check, &field, &error), WEIR_MALFORMED);
    weir_error_done(&error);
}
END_TEST

/* --- environments -------------------------------------------------------------------------- */

struct env_room {
    char bytes[256];
    const char *list[8];
    struct weir_cgi_env env;
};

static void open_env(struct env_room *room)
{
    room->env = (struct weir_cgi_env){
        .bytes = room->bytes, .size = sizeof room->bytes, .list = room->list, .count_max = 8};
}

START_TEST(turns_headers_into_variables)
{
    struct env_room room;
    open_env(&room);
    weir_cgi_env_header(&room.env, "Accept-Language", "en");
    weir_cgi_env_header(&room.env, "X-Two", "1");
    weir_cgi_env_header(&room.env, "x-two", "2");
    weir_cgi_env_header(&room.env, "Cookie", "a=1");
    weir_cgi_env_header(&room.env, "cookie", "b=2");
    weir_cgi_env_add(&room.env, "REQUEST_METHOD", "GET");
    ck_assert_uint_eq(room.env.count, 4);
    ck_assert_str_eq(room.list[0], "HTTP_ACCEPT_LANGUAGE=en");
    ck_assert_str_eq(room.list[1], "HTTP_X_TWO=1, 2");
    ck_assert_str_eq(room.list[2], "HTTP_COOKIE=a=1; b=2");
    ck_assert_str_eq(room.list[3], "REQUEST_METHOD=GET");
    ck_assert(!room.env.is_full);
}
END_TEST

START_TEST(leaves_out_what_would_deceive)
{
    static const char *const NAMES[] = {"Proxy",      "Content-Type",      "content-length",
                                        "Connection", "Transfer-Encoding", "Under_Score",
                                        "X.Dot",      "X Space",           ""};
    struct env_room room;
    open_env(&room);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        weir_cgi_env_header(&room.env, NAMES[i], "v");
    ck_assert_uint_eq(room.env.count, 0);
    ck_assert_uint_eq(room.env.used, 0);
}
END_TEST

START_TEST(says_when_it_is_full)
{
    struct env_room room;
    char value[300];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    open_env(&room);
    weir_cgi_env_add(&room.env, "LONG", value);
    ck_assert(room.env.is_full);
    open_env(&room);
    for (int i = 0; i < 9; i++)
        weir_cgi_env_add_text(&room.env, "A=b");
    ck_assert(room.env.is_full);
    ck_assert_uint_eq(room.env.count, 8);
    open_env(&room); /* a join that does not fit */
    value[150] = 0;
    weir_cgi_env_header(&room.env, "X", value);
    weir_cgi_env_header(&room.env, "X", value);
    ck_assert(room.env.is_full);
    ck_assert_uint_eq(room.env.count, 1);
}
END_TEST

/* --- heads --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int result; /* WEIR_PENDING, WEIR_MALFORMED, or the HTTP status */
    size_t field_count;
    const char *body;
} HEADS[] = {
    {"Content-Type: text/plain\n\nbody", 200, 1, "body"},
    {"Content-Type: text/plain\r\n\r\nbody", 200, 1, "body"},
    {"Status: 404 Not Found\nContent-Type: a/b\n\n", 404, 1, ""},
    {"Status: 599\n\nx", 599, 0, "x"},
    {"Location: /there\n\n", 302, 1, ""},
    {"Status: 301 Moved\nLocation: /there\n\n", 301, 1, ""},
    {"Content-Length: 4\nX: y\n\nbody", 200, 1, "body"},
    {"X-Request-ID: a\nTransfer-Encoding: chunked\nDate: z\nX: y\n\nbody", 200, 1, "body"},
    {"X:\n\n", 200, 1, ""},
    {"X: \t a b \t\n\n", 200, 1, ""},
    {"Connection: close\nTransfer-Encoding: chunked\nDate: x\nUpgrade: h2c\nX: y\n\n", 200, 1, ""},
    {"Content-Type: text/plain\n", WEIR_PENDING, 0, NULL},
    {"", WEIR_PENDING, 0, NULL},
    {"no header at all", WEIR_PENDING, 0, NULL},
    {"\nbody", WEIR_MALFORMED, 0, NULL},
    {"no header\n\n", WEIR_MALFORMED, 0, NULL},
    {": value\n\n", WEIR_MALFORMED, 0, NULL},
    {"Na me: value\n\n", WEIR_MALFORMED, 0, NULL},
    {" folded: value\n\n", WEIR_MALFORMED, 0, NULL},
    {"X: a\n more\n\n", WEIR_MALFORMED, 0, NULL},
    {"X: a\rb\n\n", WEIR_MALFORMED, 0, NULL},
    {"X: \x01\n\n", WEIR_MALFORMED, 0, NULL},
    {"Status: abc\n\n", WEIR_MALFORMED, 0, NULL},
    {"Status: 99\n\n", WEIR_MALFORMED, 0, NULL},
    {"Status: 101 Switching\n\n", WEIR_MALFORMED, 0, NULL},
    {"Status: 600\n\n", WEIR_MALFORMED, 0, NULL},
    {"Status: 2000\n\n", WEIR_MALFORMED, 0, NULL},
    {"Content-Length: -1\n\n", WEIR_MALFORMED, 0, NULL},
    {"Content-Length: \n\n", WEIR_MALFORMED, 0, NULL},
    {"Content-Length: 9999999999999999\n\n", WEIR_MALFORMED, 0, NULL},
    {"Content-Length: 4\nContent-Length: 5\n\n", WEIR_MALFORMED, 0, NULL},
};

START_TEST(reads_heads)
{
    size_t size = strlen(HEADS[_i].text);
    char *bytes = malloc(size > 0 ? size : 1); /* exactly: ASan sees a byte too far */
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, HEADS[_i].text, size);
    struct weir_cgi_head head;
    struct weir_error error = {0};
    enum weir_status status = weir_cgi_head_parse(bytes, size, &head, &error);
    if (HEADS[_i].result < 100) {
        ck_assert_int_eq(status, HEADS[_i].result);
    } else {
        ck_assert_int_eq(status, WEIR_OK);
        ck_assert_int_eq((int)head.status, HEADS[_i].result);
        ck_assert_uint_eq(head.field_count, HEADS[_i].field_count);
        ck_assert_uint_eq(size - head.body_offset, strlen(HEADS[_i].body));
        ck_assert_mem_eq(bytes + head.body_offset, HEADS[_i].body, strlen(HEADS[_i].body));
    }
    weir_error_done(&error);
    free(bytes);
}
END_TEST

START_TEST(bounds_heads)
{
    static char bytes[WEIR_SERVER_CGI_HEAD_MAX + 1000];
    struct weir_cgi_head head;
    memset(bytes, 'x', sizeof bytes);
    ck_assert_int_eq(weir_cgi_head_parse(bytes, WEIR_SERVER_CGI_HEAD_MAX - 1, &head, NULL),
                     WEIR_PENDING);
    ck_assert_int_eq(weir_cgi_head_parse(bytes, WEIR_SERVER_CGI_HEAD_MAX, &head, NULL),
                     WEIR_MALFORMED);
    char many[WEIR_SERVER_CGI_FIELDS_MAX * 5 + 16];
    size_t size = 0;
    for (unsigned i = 0; i <= WEIR_SERVER_CGI_FIELDS_MAX; i++, size += 5)
        memcpy(many + size, "X: y\n", 5);
    many[size++] = '\n';
    ck_assert_int_eq(weir_cgi_head_parse(many, size, &head, NULL), WEIR_MALFORMED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cgi");
    TCase *tcase = tcase_create("cgi");
    tcase_add_loop_test(tcase, cuts_and_decodes_targets, 0, sizeof TARGETS / sizeof TARGETS[0]);
    tcase_add_loop_test(tcase, finds_two_meanings, 0, sizeof REQUESTS / sizeof REQUESTS[0]);
    tcase_add_test(tcase, finds_lines_that_go_on);
    tcase_add_test(tcase, turns_headers_into_variables);
    tcase_add_test(tcase, leaves_out_what_would_deceive);
    tcase_add_test(tcase, says_when_it_is_full);
    tcase_add_loop_test(tcase, reads_heads, 0, sizeof HEADS / sizeof HEADS[0]);
    tcase_add_test(tcase, bounds_heads);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
