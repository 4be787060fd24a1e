/* What a host, or whatever answers in its place, tells `weir top`: MEMORY NUL CENSUS. It is refused
 * or drawn in every view; what is drawn is printable, as wide as it may be, as many lines as the
 * screen has; JSON is made of it that can be read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/top_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size, const struct weir__top_look *look)
{
    int column = 0, lines = 0;
    for (size_t i = 0; i < size; i++) {
        WEIR_ASSERT(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
        column = text[i] == '\n' ? 0 : column + 1;
        lines += text[i] == '\n';
        WEIR_ASSERT(column <= look->columns);
    }
    WEIR_ASSERT(column == 0 && (look->lines == 0 || lines == look->lines));
}

static void draw(struct weir__top_sample *sample, const struct weir__top_look *look)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    WEIR_ASSERT(to != NULL);
    weir__top_draw(to, sample, look);
    (void)fclose(to);
    check_text(text, size, look);
    free(text);
}

static void check_json(struct weir__top_sample *sample, const struct weir__top_look *look)
{
    json_t *object = weir__top_json(sample, weir__top_order(sample, look), look->url);
    WEIR_ASSERT(object != NULL);
    char *text = json_dumps(object, 0);
    WEIR_ASSERT(text != NULL);
    json_t *again = json_loads(text, 0, NULL);
    WEIR_ASSERT(again != NULL && json_array_size(json_object_get(again, "rows")) ==
                                     json_array_size(json_object_get(object, "rows")));
    json_decref(again);
    json_decref(object);
    free(text);
}

static void show(struct weir__top_sample *sample, const uint8_t *data, size_t size)
{
    struct weir__top_look look = {.view = sample->view, .url = "http://host"};
    unsigned mix = (unsigned)size;
    for (size_t i = 0; i < size && i < 64; i++)
        mix = mix * 31 + data[i];
    look.columns = WEIR_TOP_COLUMNS_MIN + (int)(mix % (WEIR_TOP_COLUMNS_MAX - 20 + 1));
    look.lines = mix % 3 == 0 ? 0 : WEIR_TOP_LINES_MIN + (int)(mix / 7 % 60);
    look.first = mix / 5 % 8;
    look.is_reversed = mix % 2;
    look.is_help = mix % 11 == 0;
    look.is_filtering = mix % 13 == 0;
    look.trouble = mix % 17 == 0 ? "gone for a while" : NULL;
    const struct weir__top_view_spec *view = weir__top_view(sample->view);
    for (size_t i = 0; i < view->column_count; i++) {
        look.sort = view->columns[i];
        draw(sample, &look);
    }
    (void)snprintf(look.filter, sizeof look.filter, "e");
    draw(sample, &look);
    check_json(sample, &look);
    draw(NULL, &look);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t first = zero != NULL ? (size_t)(zero - data) : size;
    const struct weir__top_answer answer = {
        .memory = (const char *)data,
        .memory_size = first,
        .census = zero != NULL ? (const char *)zero + 1 : "",
        .census_size = zero != NULL ? size - first - 1 : 0,
    };
    for (int view = 0; view < WEIR__TOP_VIEW_COUNT; view++) {
        struct weir__top_sample before = {0}, now = {0};
        struct weir_error error = {0};
        if (weir__top_read(&answer, (enum weir__top_view_id)view, &before, &error) != WEIR_OK) {
            WEIR_ASSERT(error.message[0] != 0);
            weir_error_done(&error);
            return 0;
        }
        enum weir_status status =
            weir__top_read(&answer, (enum weir__top_view_id)view, &now, NULL);
        WEIR_ASSERT(status == WEIR_OK);
        before.seconds = 1;
        now.seconds = 3;
        weir__top_rates(&before, &now);
        show(&now, data, size);
        weir__top_sample_done(&before);
        weir__top_sample_done(&now);
    }
    return 0;
}
