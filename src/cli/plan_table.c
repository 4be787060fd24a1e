/* Tables of plans: lines in the order of the plan, one unit, the answer first. */
#include "cli/plan_table.h"

#include "base/sizes.h"
#include "cli/cli_table.h"

#include <string.h>

struct plan_number weir__plan_number(uint64_t number)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    struct plan_number result;
    size_t used = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            result.text[used++] = ',';
        result.text[used++] = digits[i];
    }
    result.text[used] = 0;
    return result;
}

struct plan_number weir_plan_mib(uint64_t bytes)
{
    struct plan_number number;
    double mib = (double)bytes / (double)WEIR_MIB;
    (void)snprintf(number.text, sizeof number.text, mib < 99.95 ? "%.1f MiB" : "%.0f MiB", mib);
    return number;
}

static void add_row(struct weir_cli_table *table, const char *what, uint64_t bytes, const char *why)
{
    weir_cli_table_cell(table, "%s", what);
    weir_cli_table_cell(table, "%s", weir_plan_mib(bytes).text);
    weir_cli_table_cell(table, "%s", why);
}

static void begin(struct weir_cli_table *table)
{
    weir_cli_table_init(table, 3, 1u << 1);
    weir_cli_table_cell(table, "what");
    weir_cli_table_cell(table, "at most");
    weir_cli_table_cell(table, "why");
}

static void add_lines(struct weir_cli_table *table, const struct weir_plan *plan, unsigned section)
{
    for (size_t i = 0; i < weir_plan_line_count(plan); i++) {
        const struct weir_plan_line *line = weir_plan_line_at(plan, i);
        if (line->section != section)
            continue;
        char why[160];
        (void)snprintf(why, sizeof why, "%.140s%s", line->why,
                       line->origin == WEIR_PLAN_ESTIMATE ? " (estimate)" : "");
        add_row(table, line->what, line->bytes, why);
    }
}

static void print_counts(const struct weir_plan *plan, FILE *to)
{
    for (int kind = 0; kind < WEIR_PLAN_COUNTS; kind++) {
        struct weir_plan_count count = weir_plan_count(plan, (enum weir_plan_count_kind)kind);
        if (count.limit_source != NULL)
            (void)fprintf(to, "  %s: at most %s of %s (%s)%s\n", count.what,
                          weir__plan_number(count.count).text, weir__plan_number(count.limit).text,
                          count.limit_source, weir_plan_count_fits(&count) ? "" : ": too many");
        else
            (void)fprintf(to, "  %s: at most %s\n", count.what,
                          weir__plan_number(count.count).text);
    }
}

static void print_verdict(const struct weir_plan *plan, FILE *to)
{
    struct plan_number total = weir_plan_mib(weir_plan_total(plan));
    struct plan_number limit = weir_plan_mib(weir_plan_limit(plan));
    if (!weir_plan_has_limit(plan))
        (void)fprintf(to, "Plan for %s: at most %s; nothing limits it\n\n", weir_plan_title(plan),
                      total.text);
    else if (weir_plan_fits(plan))
        (void)fprintf(to, "Plan for %s: it fits, at most %s of %s\n\n", weir_plan_title(plan),
                      total.text, limit.text);
    else
        (void)fprintf(to, "Plan for %s: it does not fit, at most %s of %s\n\n",
                      weir_plan_title(plan), total.text, limit.text);
}

void weir_plan_table_print(const struct weir_plan *plan, FILE *to)
{
    struct weir_cli_table table;
    print_verdict(plan, to);
    begin(&table);
    add_lines(&table, plan, WEIR_PLAN_CHARGED);
    uint64_t charged = weir_plan_section_total(plan, WEIR_PLAN_CHARGED);
    const char *cap = weir_plan_cap_source(plan);
    char why[160];
    if (weir_plan_cut(plan) > 0) {
        (void)snprintf(why, sizeof why, "%s; %s could be asked for", cap,
                       weir_plan_mib(charged).text);
        add_row(&table, "all that is charged", charged - weir_plan_cut(plan), why);
    } else {
        add_row(&table, "all that is charged", charged, cap != NULL ? "below memory_max" : "");
    }
    add_lines(&table, plan, WEIR_PLAN_BESIDE);
    add_row(&table, "total", weir_plan_total(plan), "");
    if (weir_plan_has_limit(plan)) {
        add_row(&table, "limit", weir_plan_limit(plan), weir_plan_limit_source(plan));
        uint64_t room = weir_plan_headroom(plan);
        uint64_t limit = weir_plan_limit(plan);
        (void)snprintf(
            why, sizeof why, "%llu %%",
            (unsigned long long)(limit > 0 ? (room / 1024) * 100 / (limit / 1024 + 1) : 0));
        if (weir_plan_missing(plan) > 0)
            add_row(&table, "missing", weir_plan_missing(plan), "");
        else
            add_row(&table, "headroom", room, why);
    }
    weir_cli_table_print(&table, to);
    weir_cli_table_done(&table);
    (void)fputc('\n', to);
    print_counts(plan, to);
}

void weir_plan_table_moves(const struct weir_plan *plan, const char *unit, FILE *to)
{
    struct weir_plan_move moves[WEIR_PLAN_MOVES];
    size_t count = weir_plan_moves(plan, moves);
    struct weir_cli_table table;
    weir_cli_table_init(&table, 3, 0);
    for (size_t i = 0; i < count; i++) {
        weir_cli_table_cell(&table, "%s", moves[i].knob->name);
        weir_cli_table_cell(&table, "%s -> %s %s", weir__plan_number(moves[i].knob->value).text,
                            weir__plan_number(moves[i].to).text, moves[i].knob->unit);
        if (moves[i].is_enough)
            weir_cli_table_cell(&table, "enough alone");
        else
            weir_cli_table_cell(&table, "gives only %s %s",
                                weir__plan_number(moves[i].gives / WEIR_MIB).text, unit);
    }
    if (count > 0)
        (void)fprintf(to, "The largest knobs, and how far each would have to move\n");
    weir_cli_table_print(&table, to);
    weir_cli_table_done(&table);
}

/* --- differences --------------------------------------------------------------------------- */

static const struct weir_plan_line *find(const struct weir_plan *plan, const char *what)
{
    for (size_t i = 0; i < weir_plan_line_count(plan); i++)
        if (strcmp(weir_plan_line_at(plan, i)->what, what) == 0)
            return weir_plan_line_at(plan, i);
    return NULL;
}

static void add_change(struct weir_cli_table *table, const char *what, uint64_t before,
                       uint64_t after)
{
    weir_cli_table_cell(table, "%s", what);
    weir_cli_table_cell(table, "%s", weir_plan_mib(before).text);
    weir_cli_table_cell(table, "%s", weir_plan_mib(after).text);
    weir_cli_table_cell(table, "%s%s", after < before ? "-" : "+",
                        weir_plan_mib(after < before ? before - after : after - before).text);
}

size_t weir_plan_table_diff(const struct weir_plan *before, const struct weir_plan *after, FILE *to)
{
    struct weir_cli_table table;
    size_t changes = 0;
    weir_cli_table_init(&table, 4, 1u << 1 | 1u << 2 | 1u << 3);
    static const char *const HEAD[] = {"what", "before", "now", "difference"};
    for (size_t i = 0; i < sizeof HEAD / sizeof HEAD[0]; i++)
        weir_cli_table_cell(&table, "%s", HEAD[i]);
    for (size_t i = 0; i < weir_plan_line_count(before); i++) {
        const struct weir_plan_line *line = weir_plan_line_at(before, i);
        const struct weir_plan_line *now = find(after, line->what);
        uint64_t bytes = now != NULL ? now->bytes : 0;
        if (bytes == line->bytes)
            continue;
        add_change(&table, line->what, line->bytes, bytes);
        changes++;
    }
    for (size_t i = 0; i < weir_plan_line_count(after); i++) {
        const struct weir_plan_line *line = weir_plan_line_at(after, i);
        if (line->bytes == 0 || find(before, line->what) != NULL)
            continue;
        add_change(&table, line->what, 0, line->bytes);
        changes++;
    }
    add_change(&table, "total", weir_plan_total(before), weir_plan_total(after));
    weir_cli_table_print(&table, to);
    weir_cli_table_done(&table);
    return changes;
}
