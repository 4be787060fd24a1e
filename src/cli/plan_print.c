/* How plans are shown: numbers, notes, lines as JSON, settings for units and pods. */
#include "cli/plan_internal.h"

#include "base/check.h"
#include "base/io.h"
#include "base/sizes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 80

/* --- files --------------------------------------------------------------------------------- */

static enum weir_status file_error(const char *path, int number, struct weir_error *error)
{
    enum weir_status status = number == ENOENT || number == ENOTDIR ? WEIR_NOT_FOUND
                              : number == EACCES                    ? WEIR_PERMISSION
                                                                    : WEIR_IO;
    return weir_error_set_errno(error, status, number, "cannot read %.160s", path);
}

enum weir_status weir__plan_read_file(const char *path, uint64_t bytes_max, char **ret_bytes,
                                      size_t *ret_size, struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    int fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return file_error(path, -fd, error);
    struct stat st;
    int failed = weir_io_fstat(io, fd, &st);
    enum weir_status status = failed < 0 ? file_error(path, -failed, error) : WEIR_OK;
    if (status == WEIR_OK && !S_ISREG(st.st_mode))
        status = weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot read %.160s: it is %s",
                                path, S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    if (status == WEIR_OK && (uint64_t)st.st_size > bytes_max)
        status = weir_error_set(
            error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "%.120s has %s, at most %s are read", path,
            weir_size_format((uint64_t)st.st_size).text, weir_size_format(bytes_max).text);
    char *bytes = status == WEIR_OK ? malloc((size_t)st.st_size + 1) : NULL;
    if (status == WEIR_OK && bytes == NULL)
        status =
            weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory to read %.160s", path);
    long got = status == WEIR_OK ? weir_io_read_full(io, fd, bytes, (size_t)st.st_size) : 0;
    (void)weir_io_close(io, fd);
    if (got < 0)
        status = file_error(path, (int)-got, error);
    if (status != WEIR_OK) {
        free(bytes);
        return status;
    }
    WEIR_ASSERT(bytes != NULL);
    bytes[got] = 0;
    *ret_bytes = bytes;
    *ret_size = (size_t)got;
    return WEIR_OK;
}

/* --- numbers and notes --------------------------------------------------------------------- */

uint64_t weir__plan_mb(uint64_t bytes)
{
    return bytes / WEIR_MIB + (bytes % WEIR_MIB != 0);
}

void weir__plan_note(struct plan_notes *notes, const char *format, ...)
{
    if (notes->count == PLAN_NOTES_MAX)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(notes->texts[notes->count++], PLAN_NOTE_SIZE, format, args);
    va_end(args);
}

static void print_wrapped(const char *text)
{
    size_t column = 0;
    while (*text != 0) {
        size_t size = strcspn(text, " ");
        if (column == 0 || column + 1 + size > COLUMNS) {
            printf("%s", column == 0 ? "- " : "\n  ");
            column = 2;
        } else {
            (void)putchar(' ');
            column++;
        }
        printf("%.*s", (int)size, text);
        column += size;
        text += size + (text[size] == ' ');
    }
    (void)putchar('\n');
}

void weir__plan_print_notes(const char *title, const struct plan_notes *notes)
{
    if (notes->count > 0)
        printf("\n%s\n", title);
    for (size_t i = 0; i < notes->count; i++)
        print_wrapped(notes->texts[i]);
}

json_t *weir__plan_notes_json(const struct plan_notes *notes)
{
    json_t *list = json_array();
    for (size_t i = 0; i < notes->count; i++)
        (void)json_array_append_new(list, json_string(notes->texts[i]));
    return list;
}

/* --- lines --------------------------------------------------------------------------------- */

json_t *weir__plan_line_json(const struct weir_plan_line *line)
{
    json_t *bytes = line->is_unbounded ? json_null() : json_integer((json_int_t)line->bytes);
    return json_pack("{s:s, s:s, s:o, s:b, s:s?, s:s, s:{s:s, s:s?}}", "name", line->name, "what",
                     line->what, "bytes", bytes, "unbounded", line->is_unbounded, "allocator",
                     line->allocator, "why", line->why, "source", "kind",
                     weir_plan_origin_name(line->origin), "where", line->where);
}

json_t *weir__plan_lines_json(const struct weir_plan *plan)
{
    json_t *list = json_array();
    for (size_t i = 0; i < weir_plan_line_count(plan); i++)
        (void)json_array_append_new(list, weir__plan_line_json(weir_plan_line_at(plan, i)));
    return list;
}

json_t *weir__plan_moves_json(const struct weir_plan *plan)
{
    struct weir_plan_move moves[WEIR_PLAN_MOVES];
    size_t count = weir_plan_moves(plan, moves);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "knob", moves[i].knob->name, "unit",
                            moves[i].knob->unit, "from", (json_int_t)moves[i].knob->value, "to",
                            (json_int_t)moves[i].to, "gives_bytes", (json_int_t)moves[i].gives,
                            "is_enough", moves[i].is_enough));
    return list;
}

int weir__plan_print_json(json_t *json)
{
    if (json == NULL) {
        (void)fprintf(stderr, "%s: no JSON: a file's name is not UTF-8, or memory is short\n",
                      weir__plan_command.name);
        return weir_status_exit_code(WEIR_INVALID);
    }
    (void)json_dumpf(json, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(json);
    return 0;
}

/* --- settings ------------------------------------------------------------------------------ */

void weir__plan_print_settings(enum plan_output output, uint64_t memory_bytes,
                               const struct plan_setting *settings, size_t count)
{
    /* systemd's M and Kubernetes' Mi are both 2^20; bytes where it is not whole. */
    bool is_whole = memory_bytes % WEIR_MIB == 0;
    unsigned long long memory = is_whole ? memory_bytes / WEIR_MIB : memory_bytes;
    if (output == PLAN_SYSTEMD)
        printf("[Service]\nMemoryMax=%llu%s\n", memory, is_whole ? "M" : "");
    if (output == PLAN_K8S)
        printf("resources:\n  limits:\n    memory: \"%llu%s\"\n%s", memory, is_whole ? "Mi" : "",
               count > 0 ? "env:\n" : "");
    for (size_t i = 0; i < count; i++) {
        const struct plan_setting *s = &settings[i];
        if (output == PLAN_K8S)
            printf("- name: %s\n  value: \"%s\"\n", s->name, s->value);
        else
            printf("%s%s=%s\n", output == PLAN_SYSTEMD ? "Environment=" : "", s->name, s->value);
    }
}
