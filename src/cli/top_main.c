/* `weir top`: a running `weir serve`, live: whose bytes, how many objects, what grows. */
#include "cli/cli_options.h"
#include "cli/top_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/http_get.h"
#include "base/sizes.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define URL_DEFAULT "http://127.0.0.1:7070"
#define SOCKET_PREFIX "unix:"

enum {
    VIEW = 16,
    SORT,
    REVERSE,
    FILTER,
    COUNT,
    ONCE,
    BATCH,
    JSON
};

struct options {
    const char *url, *socket;
    struct weir__top_look look;
    bool is_batch, is_json;
    uint64_t interval_ns, count; /* 0: until told to end */
};

static const struct weir_cli_option OPTIONS[] = {
    {'i', "interval", "TIME", "between two looks (2s)"},
    {VIEW, "view", "NAME", "routes, stores, kinds or objects (routes)"},
    {SORT, "sort", "COLUMN",
     "name, detail, count, used, linear, resident, private,\nlive, calls, age or growth (used)"},
    {REVERSE, "reverse", NULL, "the other way round"},
    {FILTER, "filter", "TEXT", "show only names and kinds that hold TEXT"},
    {ONCE, "once", NULL, "look once, print, end"},
    {BATCH, "batch", NULL, "print one look after the other, no terminal needed"},
    {COUNT, "count", "N", "end after so many looks"},
    {JSON, "json", NULL, "the same facts under stable names, a line for each look"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir top",
    .usage = "[OPTION ...] [http://HOST:PORT | unix:SOCKET]",
    .summary = "Shows a running `weir serve` live: whose the bytes are, what is resident, how\n"
               "many objects live, what grows. Without a terminal: --once, --batch, --json.",
    .options = OPTIONS,
    .examples = "  weir top\n"
                "  weir top http://10.0.0.7:7070 --view stores --sort growth\n"
                "  weir top --once --json | jq '.rows[] | select(.growth_bytes_per_s > 0)'\n",
};

/* --- options --------------------------------------------------------------------------------- */

static enum weir_status unknown(const char *option, const char *value, const char *known,
                                struct weir_error *error)
{
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "--%s %.40s: %s is needed", option, value, known);
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct options *options = context;
    switch (letter) {
    case 'i':
        return weir_cli_duration("interval", value, &options->interval_ns, error);
    case VIEW:
        options->look.view = weir__top_view_find(value);
        return options->look.view != WEIR__TOP_VIEW_COUNT
                   ? WEIR_OK
                   : unknown("view", value, "routes, stores, kinds or objects", error);
    case SORT:
        options->look.sort = weir__top_column_find(value);
        return options->look.sort != WEIR__TOP_COLUMN_COUNT
                   ? WEIR_OK
                   : unknown("sort", value, "a column such as used, growth or name", error);
    case FILTER:
        (void)snprintf(options->look.filter, sizeof options->look.filter, "%s", value);
        return WEIR_OK;
    case COUNT:
        return weir_cli_number("count", value, UINT32_MAX, &options->count, error);
    case REVERSE:
        options->look.is_reversed = true;
        return WEIR_OK;
    case ONCE:
        options->count = 1;
        options->is_batch = true;
        return WEIR_OK;
    case JSON:
        options->is_json = true;
        /* fall through */
    default:
        options->is_batch = true;
        return WEIR_OK;
    }
}

/* Options before and behind the host. */
static enum weir_status parse(int argc, char **argv, struct options *options,
                              const char **ret_surplus, struct weir_error *error)
{
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    for (unsigned hosts = 0;; hosts++) {
        enum weir_status status = weir_cli_parse(&COMMAND, &arguments, set_option, options, error);
        if (status != WEIR_OK || arguments.next >= arguments.count)
            return status;
        char **here = &arguments.texts[arguments.next];
        if (hosts > 0) {
            *ret_surplus = *here;
            return WEIR_OK;
        }
        options->url = *here;
        *here = argv[0];
        arguments.count -= arguments.next;
        arguments.texts = here;
    }
}

/* A column that the view does not have is none to sort by. */
static enum weir_status check(struct options *options, struct weir_error *error)
{
    const struct weir__top_view_spec *view = weir__top_view(options->look.view);
    bool has = false;
    for (size_t i = 0; i < view->column_count; i++)
        has = has || view->columns[i] == options->look.sort;
    if (!has)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--sort %s: view %s has no such column",
                              weir__top_column(options->look.sort)->name, view->name);
    if (options->interval_ns < WEIR_SECOND_NS / 10 || options->interval_ns > 3600 * WEIR_SECOND_NS)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--interval: 100ms to 1h");
    struct weir_http_place place;
    if (options->socket != NULL)
        return WEIR_OK;
    if (strlen(options->url) + 32 > WEIR_HTTP_URL_SIZE ||
        !weir_http_place_parse(options->url, &place) || strcmp(place.path, "/") != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%.80s: http://HOST:PORT is needed, or unix:SOCKET", options->url);
    return WEIR_OK;
}

/* --- looking --------------------------------------------------------------------------------- */

static enum weir_status no_answer(const struct options *options, int number, uint64_t timeout_ms,
                                  struct weir_error *error)
{
    if (number == ETIMEDOUT)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "%.120s does not answer within %s",
                              options->look.url,
                              weir_duration_format(timeout_ms * WEIR_MS_NS).text);
    return weir_error_set_errno(error, WEIR_IO, number, "%.120s does not answer",
                                options->look.url);
}

static enum weir_status fetch(const struct options *options, const char *path, char **ret_bytes,
                              const char **ret_body, size_t *ret_size, struct weir_error *error)
{
    char url[WEIR_HTTP_URL_SIZE];
    size_t length = strlen(options->url);
    length -= length > 0 && options->url[length - 1] == '/';
    if (options->socket != NULL)
        (void)snprintf(url, sizeof url, "http://localhost%s", path);
    else
        (void)snprintf(url, sizeof url, "%.*s%s", (int)length, options->url, path);
    int timeout_ms = options->is_batch ? WEIR_TOP_BATCH_TIMEOUT_MS : WEIR_TOP_TIMEOUT_MS;
    const struct weir_http_get get = {.url = url,
                                      .socket = options->socket,
                                      .accept = "application/json",
                                      .bytes_max = WEIR_TOP_ANSWER_BYTES_MAX,
                                      .timeout_ms = timeout_ms};
    long size = weir_http_fetch(&get, ret_bytes);
    if (size < 0)
        return no_answer(options, (int)-size, (uint64_t)timeout_ms, error);
    if (size > (long)WEIR_TOP_ANSWER_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "%s is longer than %s", path,
                              weir_size_format(WEIR_TOP_ANSWER_BYTES_MAX).text);
    return weir_http_body(*ret_bytes, (size_t)size, ret_body, ret_size, error);
}

static enum weir_status look_at(const struct options *options, struct weir__top_sample *ret_sample,
                                struct weir_error *error)
{
    char path[64];
    AUTO_FREE char *memory = NULL;
    AUTO_FREE char *census = NULL;
    struct weir__top_answer answer = {0};
    enum weir_status status =
        fetch(options, "/v1/memory", &memory, &answer.memory, &answer.memory_size, error);
    (void)snprintf(path, sizeof path, "/v1/census?top=%u", WEIR_TOP_ASKED_ROWS);
    if (status == WEIR_OK)
        status = fetch(options, path, &census, &answer.census, &answer.census_size, error);
    if (status == WEIR_OK)
        status = weir__top_read(&answer, options->look.view, ret_sample, error);
    if (status == WEIR_OK)
        ret_sample->seconds = (double)weir_clock_ns() / 1e9;
    return status;
}

/* --- without a terminal ---------------------------------------------------------------------- */

static enum weir_status print(const struct options *options, struct weir__top_sample *sample,
                              struct weir_error *error)
{
    if (!options->is_json) {
        weir__top_draw(stdout, sample, &options->look);
    } else {
        size_t count = weir__top_order(sample, &options->look);
        json_t *object = weir__top_json(sample, count, options->look.url);
        if (object == NULL || json_dumpf(object, stdout, JSON_COMPACT) != 0)
            (void)weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for JSON");
        json_decref(object);
        (void)fputc('\n', stdout);
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return WEIR_OK;
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot write what was seen");
}

static enum weir_status run_batch(const struct options *options, struct weir_error *error)
{
    struct weir__top_sample before = {0};
    enum weir_status status = WEIR_OK;
    const struct timespec pause = weir_timespec(options->interval_ns);
    for (uint64_t i = 0; status == WEIR_OK && (options->count == 0 || i < options->count); i++) {
        struct weir__top_sample now = {0};
        if (i > 0)
            (void)nanosleep(&pause, NULL);
        if (i > 0 && !options->is_json)
            (void)puts("");
        status = look_at(options, &now, error);
        if (status != WEIR_OK)
            break;
        weir__top_rates(&before, &now);
        status = print(options, &now, error);
        weir__top_sample_done(&before);
        before = now;
    }
    weir__top_sample_done(&before);
    return status;
}

/* --- on a terminal --------------------------------------------------------------------------- */

struct screen {
    struct options *options;
    struct weir__top_sample sample; /* empty: none yet */
    bool has_sample, is_over;
    uint64_t due_ns, gone_since_ns, looks;
    struct weir_error trouble;
    char trouble_text[320];
};

static void look_again(struct screen *screen)
{
    struct weir__top_sample now = {0};
    struct weir_error error = {0};
    uint64_t begin_ns = weir_clock_ns();
    enum weir_status status = look_at(screen->options, &now, &error);
    screen->due_ns = weir_clock_ns() + screen->options->interval_ns;
    screen->looks += status == WEIR_OK;
    if (status != WEIR_OK) {
        if (screen->gone_since_ns == 0)
            screen->gone_since_ns = begin_ns;
        weir_error_done(&screen->trouble);
        screen->trouble = error;
        return;
    }
    screen->gone_since_ns = 0;
    if (screen->has_sample)
        weir__top_rates(&screen->sample, &now);
    weir__top_sample_done(&screen->sample);
    screen->sample = now;
    screen->has_sample = true;
}

static void draw(struct screen *screen)
{
    struct weir__top_look *look = &screen->options->look;
    char *text = NULL;
    size_t size = 0;
    look->trouble = NULL;
    if (screen->gone_since_ns != 0) {
        (void)snprintf(screen->trouble_text, sizeof screen->trouble_text, "gone for %s: %s",
                       weir_duration_format(weir_clock_ns() - screen->gone_since_ns).text,
                       screen->trouble.message);
        look->trouble = screen->trouble_text;
    }
    weir__top_terminal_size(&look->columns, &look->lines);
    FILE *to = open_memstream(&text, &size);
    if (to == NULL)
        return;
    weir__top_draw(to, screen->has_sample ? &screen->sample : NULL, look);
    (void)fclose(to);
    weir__top_terminal_show(text, size);
    free(text);
}

static void move_sort(struct weir__top_look *look, int by)
{
    const struct weir__top_view_spec *view = weir__top_view(look->view);
    size_t at = 0;
    while (at < view->column_count && view->columns[at] != look->sort)
        at++;
    at = (at + view->column_count + (size_t)by) % view->column_count;
    look->sort = view->columns[at];
}

static void next_view(struct screen *screen)
{
    struct weir__top_look *look = &screen->options->look;
    look->view = (enum weir__top_view_id)((look->view + 1) % WEIR__TOP_VIEW_COUNT);
    look->sort = WEIR__TOP_USED;
    look->first = 0;
    weir__top_sample_done(&screen->sample);
    screen->has_sample = false;
    screen->due_ns = 0;
}

/* The filter is typed; Return keeps it, Escape drops it. */
static void type_filter(struct weir__top_look *look, int key)
{
    size_t size = strlen(look->filter);
    if (key == '\r' || key == '\n') {
        look->is_filtering = false;
    } else if (key == WEIR__TOP_KEY_ESCAPE) {
        look->is_filtering = false;
        look->filter[0] = 0;
    } else if (key == 127 || key == 8) {
        look->filter[size > 0 ? size - 1 : 0] = 0;
    } else if (key >= 0x20 && key < 0x7f && size + 1 < sizeof look->filter) {
        look->filter[size] = (char)key;
        look->filter[size + 1] = 0;
    }
    look->first = 0;
}

static void press(struct screen *screen, int key)
{
    struct weir__top_look *look = &screen->options->look;
    switch (key) {
    case '<':
    case WEIR__TOP_KEY_LEFT:
        move_sort(look, -1);
        break;
    case '>':
    case WEIR__TOP_KEY_RIGHT:
        move_sort(look, 1);
        break;
    case 'r':
        look->is_reversed = !look->is_reversed;
        break;
    case 'v':
    case '\t':
        next_view(screen);
        break;
    case '/':
        look->is_filtering = true;
        break;
    case 'p':
    case ' ':
        look->is_paused = !look->is_paused;
        break;
    case 'h':
    case '?':
        look->is_help = !look->is_help;
        break;
    case WEIR__TOP_KEY_UP:
        look->first -= look->first > 0;
        break;
    case WEIR__TOP_KEY_DOWN:
        look->first += look->first + 1 < screen->sample.row_count;
        break;
    case 'q':
        screen->is_over = true;
        break;
    default:
        break;
    }
}

static int wait_ms(const struct screen *screen)
{
    uint64_t now = weir_clock_ns();
    if (screen->options->look.is_paused)
        return 60000;
    return screen->due_ns > now ? (int)((screen->due_ns - now) / WEIR_MS_NS + 1) : 0;
}

/* Returns 0, or the signal that told to end. */
static int run_screen(struct screen *screen)
{
    struct options *options = screen->options;
    const uint64_t most = options->count;
    while (!screen->is_over) {
        if (!options->look.is_paused && weir_clock_ns() >= screen->due_ns)
            look_again(screen);
        draw(screen);
        if (most != 0 && screen->looks >= most)
            break;
        int key = weir__top_terminal_key(wait_ms(screen));
        if (key == WEIR__TOP_KEY_END)
            break;
        if (options->look.is_filtering)
            type_filter(&options->look, key);
        else
            press(screen, key);
    }
    weir__top_sample_done(&screen->sample);
    weir_error_done(&screen->trouble);
    weir__top_terminal_leave();
    return weir__top_terminal_signal();
}

int main(int argc, char **argv)
{
    static struct options options = {
        .url = URL_DEFAULT,
        .look = {.sort = WEIR__TOP_USED, .columns = 80},
        .interval_ns = 2 * WEIR_SECOND_NS,
    };
    struct weir_error error = {0};
    const char *surplus = NULL;
    enum weir_status status = parse(argc, argv, &options, &surplus, &error);
    if (status == WEIR_EXIT)
        return 0;
    options.look.url = options.url;
    if (strncmp(options.url, SOCKET_PREFIX, strlen(SOCKET_PREFIX)) == 0)
        options.socket = options.url + strlen(SOCKET_PREFIX);
    if (surplus != NULL)
        return weir_cli_usage_error(&COMMAND, "one host at a time: %s is too much", surplus);
    if (status == WEIR_OK)
        status = check(&options, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (options.is_batch) {
        status = run_batch(&options, &error);
        return status == WEIR_OK ? 0 : weir_cli_fail(COMMAND.name, &error);
    }
    const char *why = weir__top_terminal_enter();
    if (why != NULL)
        return weir_cli_usage_error(&COMMAND, "%s: use --once, --batch or --json", why);
    options.look.has_styles = true;
    struct screen screen = {.options = &options};
    int number = run_screen(&screen);
    if (number != 0) { /* as it would have ended without us */
        (void)signal(number, SIG_DFL);
        sigset_t none;
        (void)sigemptyset(&none);
        (void)raise(number);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
    }
    return 0;
}
