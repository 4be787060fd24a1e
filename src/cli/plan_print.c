/* How plans are shown: numbers, notes, lines as JSON, settings for units and pods. */
#include "cli/plan_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- numbers and notes --------------------------------------------------------------------- */

void weir__plan_note(struct plan_notes *notes, const char *format, ...)
{
    if (notes->count == PLAN_NOTES_MAX)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(notes->texts[notes->count++], PLAN_NOTE_SIZE, format, args);
    va_end(args);
}

void weir__plan_print_notes(const char *title, const struct plan_notes *notes)
{
    if (notes->count > 0)
        printf("\n%s\n", title);
    for (size_t i = 0; i < notes->count; i++)
        weir_cli_wrap("- ", "  ", notes->texts[i]);
}

json_t *weir__plan_notes_json(const struct plan_notes *notes)
{
    json_t *list = json_array();
    for (size_t i = 0; i < notes->count; i++)
        (void)json_array_append_new(list, json_string(notes->texts[i]));
    return list;
}

/* --- lines --------------------------------------------------------------------------------- */

static json_t *line_json(const struct weir_plan_line *line)
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
        (void)json_array_append_new(list, line_json(weir_plan_line_at(plan, i)));
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
