/* See record.h. The reader trusts nothing: every cell is bounded, checked and named by its line. */
#include "doctor/record.h"

#include "base/cleanup.h"
#include "base/proc_scan.h"
#include "doctor/watch_process.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Own columns and three for each class. */
#define COLUMNS_MAX (8 + 3 * WEIR_VERDICT_CLASSES_MAX)
#define CELL_SIZE 40
/* 2^60: larger than any memory, and exact enough in a double. */
#define CELL_MAX 1152921504606846976.0

static const char *const OWN[] = {"seconds", "operations", "cache", "cache_limit", "limit", "used"};
#define OWN_COUNT (sizeof OWN / sizeof OWN[0])
#define ENTRIES "cache_entries"
static const char *const PARTS[] = {".resident", ".live", ".system"};
#define PART_COUNT (sizeof PARTS / sizeof PARTS[0])

/* --- writing ------------------------------------------------------------------------------- */

/* A line that grows; `failed` once there is no memory. */
struct line {
    char *text;
    size_t size, capacity;
    bool failed;
};

WEIR_PRINTF(2, 3) static void put(struct line *line, const char *format, ...)
{
    char piece[WEIR_WATCH_NAME_SIZE * 4 + 128];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    size_t size = length < 0 ? 0 : (size_t)length;
    size = size < sizeof piece ? size : sizeof piece - 1;
    if (line->size + size + 1 > line->capacity) {
        size_t capacity = line->capacity * 2 + 1024;
        char *larger = line->failed ? NULL : realloc(line->text, capacity);
        line->failed = larger == NULL;
        if (line->failed)
            return;
        line->text = larger;
        line->capacity = capacity;
    }
    memcpy(line->text + line->size, piece, size + 1);
    line->size += size;
}

static enum weir_status finish(struct line *line, char **ret_text, struct weir_error *error)
{
    put(line, "\n");
    if (line->failed) {
        free(line->text);
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for a recording");
    }
    *ret_text = line->text;
    return WEIR_OK;
}

enum weir_status weir_record_head(const struct weir_watch *watch, const char *comment,
                                  char **ret_text, struct weir_error *error)
{
    struct line line = {0};
    put(&line, "# weir doctor watch 1\n# ");
    for (; *comment != 0; comment++)
        put(&line, "%c", (unsigned char)*comment >= ' ' ? *comment : ' ');
    put(&line, "\n");
    bool is_entries = weir_watch_is_cache_entries(watch);
    for (size_t i = 0; i < OWN_COUNT; i++)
        if (is_entries && strncmp(OWN[i], "cache", 5) == 0)
            put(&line, "," ENTRIES "%s", OWN[i] + 5);
        else
            put(&line, "%s%s", i > 0 ? "," : "", OWN[i]);
    for (size_t i = 0; i < weir_watch_class_count(watch); i++)
        for (size_t part = 0; part < PART_COUNT; part++)
            put(&line, ",%s%s", weir_watch_class_name(watch, i), PARTS[part]);
    return finish(&line, ret_text, error);
}

static void put_cell(struct line *line, double value)
{
    if (isfinite(value))
        put(line, ",%.0f", value);
    else
        put(line, ",");
}

enum weir_status weir_record_line(const struct weir_watch *watch,
                                  const struct weir_watch_sample *sample, char **ret_text,
                                  struct weir_error *error)
{
    struct line line = {0};
    put(&line, "%.3f", sample->seconds);
    const double own[] = {sample->operations, sample->cache, sample->cache_limit,
                          sample->limit_bytes, sample->used_bytes};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        put_cell(&line, own[i]);
    for (size_t i = 0; i < weir_watch_class_count(watch); i++) {
        put_cell(&line, sample->classes[i].resident);
        put_cell(&line, sample->classes[i].live);
        put_cell(&line, sample->classes[i].system);
    }
    return finish(&line, ret_text, error);
}

/* --- reading ------------------------------------------------------------------------------- */

/* Where a column's values go: one of OWN, or a part of a class. */
struct column {
    bool is_own;
    size_t index; /* of OWN, or of the class */
    size_t part;
};

struct reader {
    const char *name;
    unsigned long line;
    struct column columns[COLUMNS_MAX];
    size_t column_count;
    bool has_seconds, has_process;
    struct weir_watch *watch;
    struct weir_error *error;
};

WEIR_PRINTF(2, 3)
static enum weir_status malformed(struct reader *reader, const char *format, ...)
{
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return weir_error_set(reader->error, WEIR_MALFORMED, WEIR_NO_OFFSET, "%.80s, line %lu: %s",
                          reader->name, reader->line, what);
}

/* The next cell of a line; false behind the last. */
static bool take_cell(struct weir_scan *line, struct weir_scan *ret_cell)
{
    if (line->at == NULL)
        return false;
    const char *comma = memchr(line->at, ',', (size_t)(line->end - line->at));
    *ret_cell = (struct weir_scan){line->at, comma != NULL ? comma : line->end};
    line->at = comma != NULL ? comma + 1 : NULL;
    return true;
}

/* The class of that name, made when it is new; SIZE_MAX: not a name, or refused (in error). */
static size_t find_class(struct reader *reader, const char *name)
{
    struct weir_watch *watch = reader->watch;
    if (name[0] == 0 || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != 0)
        return SIZE_MAX;
    for (size_t i = 0; i < weir_watch_class_count(watch); i++)
        if (strcmp(weir_watch_class_name(watch, i), name) == 0)
            return i;
    const char *text = weir_watch_process_text(name);
    if (weir_watch_class_add(watch, name, text != NULL ? text : name, reader->error) != WEIR_OK)
        return SIZE_MAX;
    return weir_watch_class_count(watch) - 1;
}

static bool take_own(struct reader *reader, const char *text, struct column *ret_column)
{
    if (strncmp(text, ENTRIES, strlen(ENTRIES)) == 0) {
        const char *rest = text + strlen(ENTRIES);
        if (rest[0] != 0 && strcmp(rest, "_limit") != 0)
            return false;
        weir_watch_cache_entries(reader->watch);
        *ret_column = (struct column){.is_own = true, .index = rest[0] == 0 ? 2 : 3};
        return true;
    }
    for (size_t i = 0; i < OWN_COUNT; i++)
        if (strcmp(text, OWN[i]) == 0) {
            *ret_column = (struct column){.is_own = true, .index = i};
            reader->has_seconds = reader->has_seconds || i == 0;
            return true;
        }
    return false;
}

static enum weir_status take_column(struct reader *reader, const struct weir_scan *cell)
{
    char text[WEIR_WATCH_NAME_SIZE + 16];
    size_t size = (size_t)(cell->end - cell->at);
    if (reader->column_count == COLUMNS_MAX || size >= sizeof text)
        return malformed(reader, "more than %d columns, or a longer name than %zu bytes",
                         (int)COLUMNS_MAX, sizeof text - 1);
    memcpy(text, cell->at, size);
    text[size] = 0;
    struct column column = {0};
    bool is_known = take_own(reader, text, &column);
    for (size_t part = 0; part < PART_COUNT && !is_known; part++) {
        size_t length = strlen(PARTS[part]);
        if (size <= length || strcmp(text + size - length, PARTS[part]) != 0)
            continue;
        text[size - length] = 0;
        size_t class = size - length < WEIR_WATCH_NAME_SIZE ? find_class(reader, text) : SIZE_MAX;
        if (class == SIZE_MAX)
            break;
        column = (struct column){.index = class, .part = part};
        reader->has_process = reader->has_process || (class == 0 && part == 0);
        is_known = true;
    }
    if (!is_known)
        return reader->error != NULL && reader->error->status != WEIR_OK
                   ? reader->error->status
                   : malformed(reader, "unknown column %.40s", text);
    for (size_t i = 0; i < reader->column_count; i++)
        if (reader->columns[i].is_own == column.is_own &&
            reader->columns[i].index == column.index && reader->columns[i].part == column.part)
            return malformed(reader, "the column %.40s stands twice", text);
    reader->columns[reader->column_count++] = column;
    return WEIR_OK;
}

static enum weir_status take_head(struct reader *reader, struct weir_scan line)
{
    struct weir_scan cell;
    enum weir_status status =
        weir_watch_class_add(reader->watch, WEIR_WATCH_PROCESS,
                             weir_watch_process_text(WEIR_WATCH_PROCESS), reader->error);
    bool has_resident[WEIR_VERDICT_CLASSES_MAX] = {false};
    size_t count = 0;
    while (status == WEIR_OK && take_cell(&line, &cell))
        status = take_column(reader, &cell);
    for (size_t i = 0; i < reader->column_count; i++) {
        const struct column *column = &reader->columns[i];
        if (column->is_own || column->part != 0)
            continue;
        has_resident[column->index] = true;
        count++;
    }
    if (status == WEIR_OK && (!reader->has_seconds || count == 0))
        return malformed(reader, "the columns seconds and CLASS.resident are needed");
    for (size_t i = 1; status == WEIR_OK && i < weir_watch_class_count(reader->watch); i++)
        if (!has_resident[i])
            return malformed(reader, "%s has no column %s.resident",
                             weir_watch_class_name(reader->watch, i),
                             weir_watch_class_name(reader->watch, i));
    return status;
}

static enum weir_status take_number(struct reader *reader, const struct weir_scan *cell,
                                    double *ret_value)
{
    char text[CELL_SIZE];
    size_t size = (size_t)(cell->end - cell->at);
    *ret_value = NAN;
    if (size == 0)
        return WEIR_OK;
    bool is_number = false;
    if (size < sizeof text) {
        char *end;
        memcpy(text, cell->at, size);
        text[size] = 0;
        *ret_value = strtod(text, &end);
        is_number = strspn(text, "0123456789.eE+-") == size && end == text + size;
    }
    if (!is_number || !(*ret_value >= 0 && *ret_value <= CELL_MAX))
        return malformed(reader, "%.*s is no number from 0 to 2^60", (int)(size < 40 ? size : 40),
                         cell->at);
    return WEIR_OK;
}

static void store(struct weir_watch_sample *sample, const struct column *column, double value)
{
    struct weir_watch_class *class = &sample->classes[column->is_own ? 0 : column->index];
    double *const own[] = {&sample->seconds,     &sample->operations,  &sample->cache,
                           &sample->cache_limit, &sample->limit_bytes, &sample->used_bytes};
    double *const parts[] = {&class->resident, &class->live, &class->system};
    if (!column->is_own)
        *parts[column->part] = value;
    else if (column->index < 4 || !isnan(value))
        *own[column->index] = value;
}

static enum weir_status take_sample(struct reader *reader, struct weir_scan line)
{
    struct weir_watch_sample sample = weir_watch_sample_empty(0);
    struct weir_scan cell;
    size_t count = 0;
    for (; take_cell(&line, &cell); count++) {
        double value;
        if (count == reader->column_count)
            return malformed(reader, "more cells than columns (%zu)", reader->column_count);
        enum weir_status status = take_number(reader, &cell, &value);
        if (status != WEIR_OK)
            return status;
        store(&sample, &reader->columns[count], value);
    }
    if (count < reader->column_count)
        return malformed(reader, "%zu cells for %zu columns", count, reader->column_count);
    size_t classes = weir_watch_class_count(reader->watch);
    if (!reader->has_process) {
        sample.classes[0].resident = 0;
        for (size_t i = 1; i < classes; i++)
            sample.classes[0].resident += sample.classes[i].resident;
    }
    if (isnan(sample.seconds))
        return malformed(reader, "seconds are missing");
    if (weir_watch_add(reader->watch, &sample, NULL) != WEIR_OK)
        return malformed(reader, "%.3f s is earlier than the line before", sample.seconds);
    return WEIR_OK;
}

static enum weir_status parse(struct reader *reader, const char *bytes, size_t size)
{
    struct weir_scan all = weir_scan(bytes, size), line;
    enum weir_status status = WEIR_OK;
    for (reader->line = 1; status == WEIR_OK && weir_scan_line(&all, &line); reader->line++) {
        if (line.end != line.at && line.end[-1] == '\r')
            line.end--;
        if (line.end - line.at > WEIR_RECORD_LINE_MAX)
            return malformed(reader, "longer than %u bytes", WEIR_RECORD_LINE_MAX);
        if (line.end == line.at || *line.at == '#')
            continue;
        status = reader->column_count == 0 ? take_head(reader, line) : take_sample(reader, line);
    }
    if (status == WEIR_OK && weir_watch_count(reader->watch).seen == 0)
        return malformed(reader, "no sample");
    return status;
}

enum weir_status weir_record_parse(const char *name, const char *bytes, size_t size,
                                   struct weir_watch **ret_watch, struct weir_error *error)
{
    struct weir_error unseen = {0};
    struct reader reader = {.name = name, .error = error != NULL ? error : &unseen};
    enum weir_status status = weir_watch_new(&reader.watch, error);
    if (status != WEIR_OK)
        return status;
    status = parse(&reader, bytes, size);
    weir_error_done(&unseen);
    if (status != WEIR_OK) {
        weir_watch_free(reader.watch);
        return status;
    }
    *ret_watch = reader.watch;
    return WEIR_OK;
}
