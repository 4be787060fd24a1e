/* A sample as lines for a terminal or a file, and as JSON. */
#include "cli/top_internal.h"

#include "base/check.h"
#include "base/json_number.h"
#include "base/sizes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- tables ---------------------------------------------------------------------------------- */

const struct weir__top_column_spec *weir__top_column(enum weir__top_column column)
{
    static const struct weir__top_column_spec COLUMNS[WEIR__TOP_COLUMN_COUNT] = {
#define WEIR_TOP_COLUMN(id, name, title, width, form, help)                                        \
    {name, title, width, WEIR__TOP_##form, help},
#include "cli/top_columns.def"
#undef WEIR_TOP_COLUMN
    };
    return &COLUMNS[column];
}

const struct weir__top_view_spec *weir__top_view(enum weir__top_view_id view)
{
    static const struct weir__top_view_spec VIEWS[WEIR__TOP_VIEW_COUNT] = {
        {"routes", "tenants, and Weir's own services in parentheses", 9,
         {WEIR__TOP_NAME, WEIR__TOP_USED, WEIR__TOP_LINEAR, WEIR__TOP_RESIDENT, WEIR__TOP_PRIVATE,
          WEIR__TOP_LIVE, WEIR__TOP_CALLS, WEIR__TOP_AGE, WEIR__TOP_GROWTH}},
        {"stores", "stores one by one, with their number", 9,
         {WEIR__TOP_NAME, WEIR__TOP_USED, WEIR__TOP_LINEAR, WEIR__TOP_RESIDENT, WEIR__TOP_PRIVATE,
          WEIR__TOP_LIVE, WEIR__TOP_CALLS, WEIR__TOP_AGE, WEIR__TOP_GROWTH}},
        {"kinds", "what the bytes of each account are for", 5,
         {WEIR__TOP_NAME, WEIR__TOP_DETAIL, WEIR__TOP_COUNT, WEIR__TOP_USED, WEIR__TOP_GROWTH}},
        {"objects", "live objects that are alike, and who made them", 6,
         {WEIR__TOP_NAME, WEIR__TOP_DETAIL, WEIR__TOP_COUNT, WEIR__TOP_USED, WEIR__TOP_AGE,
          WEIR__TOP_GROWTH}},
    };
    return &VIEWS[view];
}

enum weir__top_view_id weir__top_view_find(const char *name)
{
    int view = 0;
    while (view < WEIR__TOP_VIEW_COUNT &&
           strcmp(weir__top_view((enum weir__top_view_id)view)->name, name) != 0)
        view++;
    return (enum weir__top_view_id)view;
}

enum weir__top_column weir__top_column_find(const char *name)
{
    int column = 0;
    for (; column < WEIR__TOP_COLUMN_COUNT; column++) {
        const char *known = weir__top_column((enum weir__top_column)column)->name;
        size_t size = strcspn(known, "_"); /* "used" for used_bytes */
        if (strcmp(known, name) == 0 || (strlen(name) == size && memcmp(known, name, size) == 0))
            break;
    }
    return (enum weir__top_column)column;
}

/* --- order ----------------------------------------------------------------------------------- */

static int compare(const struct weir__top_row *a, const struct weir__top_row *b,
                   enum weir__top_column column)
{
    if (column == WEIR__TOP_NAME)
        return strcmp(a->name, b->name);
    if (column == WEIR__TOP_DETAIL)
        return strcmp(a->detail, b->detail);
    if (column == WEIR__TOP_GROWTH)
        return (a->growth < b->growth) - (a->growth > b->growth);
    return (a->values[column] < b->values[column]) - (a->values[column] > b->values[column]);
}

static int by_look(const void *left, const void *right, void *context)
{
    const struct weir__top_look *look = context;
    int order = compare(left, right, look->sort);
    if (order == 0)
        order = compare(left, right, WEIR__TOP_NAME);
    if (order == 0)
        order = compare(left, right, WEIR__TOP_DETAIL);
    return look->is_reversed ? -order : order;
}

static bool is_wanted(const struct weir__top_row *row, const char *filter)
{
    return filter[0] == 0 || strcasestr(row->name, filter) != NULL ||
           strcasestr(row->detail, filter) != NULL;
}

size_t weir__top_order(struct weir__top_sample *sample, const struct weir__top_look *look)
{
    size_t count = 0;
    for (size_t i = 0; i < sample->row_count; i++)
        if (is_wanted(&sample->rows[i], look->filter)) {
            struct weir__top_row row = sample->rows[i];
            sample->rows[i] = sample->rows[count];
            sample->rows[count++] = row;
        }
    if (count > 0)
        qsort_r(sample->rows, count, sizeof sample->rows[0], by_look, (void *)(uintptr_t)look);
    return count;
}

#define LAST_PARTS 32 /* columns for what does not fit, and for what is unclassified */

/* --- lines ----------------------------------------------------------------------------------- */

struct drawing {
    FILE *to;
    int columns, left; /* lines that may still be written; negative: any number */
};

/* One line, cut to the width, with spaces at its end left out. */
static void WEIR_PRINTF(2, 3) put(struct drawing *drawing, const char *format, ...)
{
    char line[WEIR_TOP_COLUMNS_MAX + 1];
    if (drawing->left == 0)
        return;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size = size > drawing->columns ? drawing->columns : size;
    while (size > 0 && line[size - 1] == ' ')
        size--;
    (void)fprintf(drawing->to, "%.*s\n", size, line);
    drawing->left -= drawing->left > 0;
}

/* Appends; what does not fit is left out whole. False then. */
static bool WEIR_PRINTF(3, 4) append(char *line, int columns, const char *format, ...)
{
    char piece[128];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    size_t used = strlen(line);
    if (size < 0 || (size_t)size >= sizeof piece || (int)used + size > columns)
        return false;
    memcpy(line + used, piece, (size_t)size + 1);
    return true;
}

/* Equation (a) on two lines; what does not fit is one sum. */
static void draw_process(struct drawing *drawing, const struct weir__top_sample *sample)
{
    char line[WEIR_TOP_COLUMNS_MAX + 1] = "";
    size_t shown = 0;
    (void)append(line, drawing->columns, "resident %s =",
                 weir_size_format(sample->rss_bytes).text);
    for (int end = drawing->columns;; end -= LAST_PARTS) {
        while (shown < sample->part_count &&
               append(line, end, "%s %s %s", shown > 0 ? " +" : "", sample->parts[shown].name,
                      weir_size_format(sample->parts[shown].bytes).text))
            shown++;
        if (end != drawing->columns)
            break;
        put(drawing, "%s", line);
        (void)snprintf(line, sizeof line, " ");
    }
    uint64_t rest = 0;
    for (size_t i = shown; i < sample->part_count; i++)
        rest += sample->parts[i].bytes;
    if (rest > 0)
        (void)append(line, drawing->columns, " + others %s", weir_size_format(rest).text);
    (void)append(line, drawing->columns, " + ? %s%s",
                 weir_size_format(sample->unclassified_bytes).text,
                 sample->holds ? "" : " (too much)");
    put(drawing, "%s", line);
}

static void draw_census(struct drawing *drawing, const struct weir__top_sample *sample)
{
    char line[WEIR_TOP_COLUMNS_MAX + 1] = "";
    (void)append(line, drawing->columns, "charged %s",
                 weir_size_format(sample->charged_bytes).text);
    if (sample->has_limit)
        (void)append(line, drawing->columns, " of %s", weir_size_format(sample->limit_bytes).text);
    (void)append(line, drawing->columns, ", peak %s; malloc keeps %s free",
                 weir_size_format(sample->peak_bytes).text,
                 weir_size_format(sample->free_bytes).text);
    put(drawing, "%s", line);
    line[0] = 0;
    for (size_t i = 0; i < sample->count_count; i++)
        (void)append(line, drawing->columns, "%s%s %llu", i > 0 ? ", " : "",
                     sample->counts[i].name, (unsigned long long)sample->counts[i].bytes);
    put(drawing, "%s", line);
    if (strcmp(sample->growth, "undecided") == 0 || sample->growth[0] == 0)
        put(drawing, "%llu instances done; growth per instance undecided",
            (unsigned long long)sample->completed);
    else
        put(drawing, "%llu instances done; %s: %.0f bytes per instance (95 %%: %.0f to %.0f)",
            (unsigned long long)sample->completed, sample->growth, sample->per_instance,
            sample->per_instance_low, sample->per_instance_high);
}

/* --- the table ------------------------------------------------------------------------------- */

/* Width of each column; the first takes what the others leave, the last ones go first. Returns how
 * many fit. */
static size_t fit(const struct weir__top_view_spec *view, int columns, int widths[])
{
    int used = 0;
    size_t count = view->column_count;
    for (size_t i = 0; i < count; i++)
        used += (widths[i] = weir__top_column(view->columns[i])->width) + (i > 0);
    while (count > 1 && used > columns)
        used -= widths[--count] + 1;
    widths[0] += columns - used;
    return count;
}

struct cell {
    char text[32];
};

static struct cell rate_cell(const struct weir__top_row *row)
{
    struct cell cell = {"-"};
    double minute = row->growth * 60, size = minute < 0 ? -minute : minute;
    uint64_t bytes = size < 1e18 ? (uint64_t)size : UINT64_MAX;
    if (row->has_growth && bytes == 0)
        (void)snprintf(cell.text, sizeof cell.text, "0");
    else if (row->has_growth)
        (void)snprintf(cell.text, sizeof cell.text, "%s%s", minute < 0 ? "-" : "+",
                       weir_size_format(bytes).text);
    return cell;
}

static struct cell value_cell(const struct weir__top_row *row, enum weir__top_column column)
{
    struct cell cell;
    uint64_t value = row->values[column];
    uint64_t ns = value < UINT64_MAX / 1000000 ? value * 1000000 : UINT64_MAX;
    bool is_millions = value < UINT64_C(10000000000);
    enum weir__top_form form = weir__top_column(column)->form;
    if (form == WEIR__TOP_RATE)
        return rate_cell(row);
    if (form == WEIR__TOP_BYTES)
        (void)snprintf(cell.text, sizeof cell.text, "%s", weir_size_format(value).text);
    else if (form == WEIR__TOP_TIME)
        (void)snprintf(cell.text, sizeof cell.text, "%s", weir_duration_format(ns).text);
    else if (value < 1000000)
        (void)snprintf(cell.text, sizeof cell.text, "%llu", (unsigned long long)value);
    else
        (void)snprintf(cell.text, sizeof cell.text, "%.1f%c",
                       (double)value / (is_millions ? 1e6 : 1e9), is_millions ? 'M' : 'G');
    return cell;
}

static bool is_of_stores(enum weir__top_column column)
{
    return column == WEIR__TOP_AGE || column == WEIR__TOP_LINEAR || column == WEIR__TOP_RESIDENT ||
           column == WEIR__TOP_PRIVATE || column == WEIR__TOP_LIVE || column == WEIR__TOP_CALLS;
}

/* "-" where a row has none by its nature; "+" behind what is more. */
static struct cell look_cell(const struct weir__top_row *row,
                             const struct weir__top_view_spec *view, enum weir__top_column column)
{
    struct cell cell = value_cell(row, column);
    bool is_kinds = view == weir__top_view(WEIR__TOP_KINDS);
    bool has_stores = !is_kinds && view != weir__top_view(WEIR__TOP_OBJECTS);
    bool is_none = (has_stores && is_of_stores(column) && !row->has_stores) ||
                   (is_kinds && row->values[column] == 0 && column != WEIR__TOP_GROWTH);
    if (is_none)
        return (struct cell){"-"};
    if (row->is_partial && (column == WEIR__TOP_LIVE || column == WEIR__TOP_CALLS))
        (void)strncat(cell.text, "+", sizeof cell.text - strlen(cell.text) - 1);
    return cell;
}

static void draw_row(struct drawing *drawing, const struct weir__top_row *row,
                     const struct weir__top_view_spec *view, const int widths[], size_t count)
{
    char line[2 * WEIR_TOP_COLUMNS_MAX];
    int used = snprintf(line, sizeof line, "%-*.*s", widths[0], widths[0], row->name);
    for (size_t i = 1; i < count; i++) {
        enum weir__top_column column = view->columns[i];
        char *at = line + used;
        size_t room = sizeof line - (size_t)used;
        struct cell cell = look_cell(row, view, column);
        if (column == WEIR__TOP_DETAIL)
            used += snprintf(at, room, " %-*.*s", widths[i], widths[i], row->detail);
        else
            used += snprintf(at, room, " %*.*s", widths[i], widths[i], cell.text);
    }
    put(drawing, "%s", line);
}

static void draw_titles(struct drawing *drawing, const struct weir__top_look *look,
                        const int widths[], size_t count)
{
    const struct weir__top_view_spec *view = weir__top_view(look->view);
    char line[2 * WEIR_TOP_COLUMNS_MAX];
    int used = 0;
    for (size_t i = 0; i < count; i++) {
        enum weir__top_column column = view->columns[i];
        char title[32];
        /* The one that is sorted by is marked. */
        (void)snprintf(title, sizeof title, "%s%s", column == look->sort ? "*" : "",
                       weir__top_column(column)->title);
        bool is_left = weir__top_column(column)->form == WEIR__TOP_TEXT;
        used += snprintf(line + used, sizeof line - (size_t)used, is_left ? "%s%-*s" : "%s%*s",
                         i > 0 ? " " : "", widths[i], title);
    }
    if (!look->has_styles) {
        put(drawing, "%s", line);
    } else if (drawing->left != 0) {
        (void)fprintf(drawing->to, "\x1b[7m%.*s\x1b[0m\n", drawing->columns, line);
        drawing->left -= drawing->left > 0;
    }
}

static void draw_table(struct drawing *drawing, struct weir__top_sample *sample,
                       const struct weir__top_look *look)
{
    const struct weir__top_view_spec *view = weir__top_view(look->view);
    int widths[WEIR__TOP_VIEW_COLUMNS];
    size_t shown = fit(view, drawing->columns, widths);
    size_t count = weir__top_order(sample, look);
    size_t first = look->first < count ? look->first : count > 0 ? count - 1 : 0;
    draw_titles(drawing, look, widths, shown);
    for (size_t i = first; i < count; i++)
        draw_row(drawing, &sample->rows[i], view, widths, shown);
    if (count == 0)
        put(drawing, "(nothing%s%s)", look->filter[0] != 0 ? " with " : "", look->filter);
    if (sample->rows_beyond > 0 || (sample->left_out > 0 && look->view != WEIR__TOP_KINDS))
        put(drawing, "(the host did not list %llu smaller %s)",
            (unsigned long long)(sample->left_out + sample->rows_beyond),
            look->view == WEIR__TOP_OBJECTS ? "groups" : "stores");
}

/* --- the page -------------------------------------------------------------------------------- */

static void draw_help(struct drawing *drawing)
{
    put(drawing, "< >  sort by the column before, behind    r  the other way round");
    put(drawing, "v    next view                            /  show only names with ...");
    put(drawing, "up down  scroll        p  pause           q  end");
    put(drawing, "%s", "");
    for (int i = 0; i < WEIR__TOP_VIEW_COUNT; i++)
        put(drawing, "%-8s %s", weir__top_view((enum weir__top_view_id)i)->name,
            weir__top_view((enum weir__top_view_id)i)->help);
    put(drawing, "%s", "");
    for (int i = 0; i < WEIR__TOP_COLUMN_COUNT; i++)
        put(drawing, "%-8s %s", weir__top_column((enum weir__top_column)i)->title,
            weir__top_column((enum weir__top_column)i)->help);
    put(drawing, "+ behind a figure: some stores were not listed, it is more");
}

static void draw_last(struct drawing *drawing, const struct weir__top_look *look)
{
    for (drawing->left -= 1; drawing->left > 0;)
        put(drawing, "%s", "");
    drawing->left = 1;
    if (look->is_filtering)
        put(drawing, "only names with: %s_", look->filter);
    else if (look->trouble != NULL)
        put(drawing, "%s", look->trouble);
    else
        put(drawing, "%s< > sort  r reverse  / filter  v view  p pause  h help  q end",
            look->is_paused ? "paused  " : "");
}

void weir__top_draw(FILE *to, struct weir__top_sample *sample, const struct weir__top_look *look)
{
    struct drawing drawing = {
        .to = to, .columns = look->columns, .left = look->lines > 0 ? look->lines : -1};
    put(&drawing, "weir top  %s  %s%s%s", look->url, weir__top_view(look->view)->name,
        look->filter[0] != 0 ? " with " : "", look->filter);
    if (look->lines > 0)
        drawing.left--; /* the last line */
    if (look->is_help) {
        put(&drawing, "%s", "");
        draw_help(&drawing);
    } else if (sample != NULL) {
        draw_process(&drawing, sample);
        draw_census(&drawing, sample);
        put(&drawing, "%s", "");
        draw_table(&drawing, sample, look);
    }
    if (look->lines > 0) {
        drawing.left++;
        draw_last(&drawing, look);
    }
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *parts_json(const struct weir__top_part *parts, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        weir_json_set_number(object, parts[i].name, parts[i].bytes);
    return object;
}

static json_t *row_json(const struct weir__top_row *row, const struct weir__top_view_spec *view)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "name", json_string(row->name));
    for (size_t i = 1; i < view->column_count; i++) {
        enum weir__top_column column = view->columns[i];
        const char *name = weir__top_column(column)->name;
        if (column == WEIR__TOP_DETAIL)
            (void)json_object_set_new(object, name, json_string(row->detail));
        else if (column != WEIR__TOP_GROWTH)
            weir_json_set_number(object, name, row->values[column]);
        else
            (void)json_object_set_new(object, "growth_bytes_per_s",
                                      row->has_growth ? json_real(row->growth) : json_null());
    }
    if (row->is_partial)
        (void)json_object_set_new(object, "partial", json_true());
    return object;
}

json_t *weir__top_json(const struct weir__top_sample *sample, size_t count, const char *url)
{
    const struct weir__top_view_spec *view = weir__top_view(sample->view);
    json_t *rows = json_array(), *object = json_object(), *process = json_object();
    const struct {
        const char *key;
        uint64_t value;
    } NUMBERS[] = {
        {"rss_bytes", sample->rss_bytes},   {"unclassified_bytes", sample->unclassified_bytes},
        {"charged_bytes", sample->charged_bytes}, {"peak_bytes", sample->peak_bytes},
        {"malloc_free_bytes", sample->free_bytes},
    };
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++)
        (void)json_object_set_new(process, NUMBERS[i].key, weir_json_number(NUMBERS[i].value));
    (void)json_object_set_new(process, "limit_bytes",
                              sample->has_limit ? weir_json_number(sample->limit_bytes)
                                                : json_null());
    (void)json_object_set_new(process, "holds", json_boolean(sample->holds));
    (void)json_object_set_new(process, "classes", parts_json(sample->parts, sample->part_count));
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(rows, row_json(&sample->rows[i], view));
    (void)json_object_set_new(object, "url", json_string(url));
    (void)json_object_set_new(object, "view", json_string(view->name));
    (void)json_object_set_new(object, "process", process);
    (void)json_object_set_new(object, "objects", parts_json(sample->counts, sample->count_count));
    weir_json_set_number(object, "completed_instances", sample->completed);
    (void)json_object_set_new(object, "growth", json_string(sample->growth));
    (void)json_object_set_new(object, "bytes_per_instance", json_real(sample->per_instance));
    weir_json_set_number(object, "not_listed", sample->left_out + sample->rows_beyond);
    (void)json_object_set_new(object, "rows", rows);
    return object;
}
