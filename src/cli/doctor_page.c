/* The doctor's page: who holds what, what is free of it, what to do. 80 columns. */
#include "cli/doctor_view.h"

#include "base/sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Classes below a thousandth of RSS share one line. */
#define SMALL_SHARE 1000

static const char *certainty(enum weir_doctor_confidence confidence)
{
    static const char *const TEXTS[] = {"unknown", "perhaps", "likely", "certain", "certain"};
    return TEXTS[confidence];
}

struct doctor_label weir__doctor_label(const struct weir_doctor_snapshot *snapshot,
                                       enum weir_doctor_class class)
{
    struct doctor_label label;
    unsigned long long count = snapshot->sums[class].count;
    const char *text = weir_doctor_class_text(class);
    if (class == WEIR_DOCTOR_MALLOC_ARENA && snapshot->arena_count != 0)
        (void)snprintf(label.text, sizeof label.text, "malloc: %llu arena%s",
                       (unsigned long long)snapshot->arena_count,
                       snapshot->arena_count == 1 ? "" : "s");
    else if (class == WEIR_DOCTOR_STACK_THREAD || class == WEIR_DOCTOR_MALLOC_MAPPED ||
             class == WEIR_DOCTOR_WASM_MEMORY)
        (void)snprintf(label.text, sizeof label.text, "%s (%llu)", text, count);
    else
        (void)snprintf(label.text, sizeof label.text, "%s", text);
    return label;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)(((double)part * 100.0) / (double)whole + 0.5);
}

/* --- classes ------------------------------------------------------------------------------- */

static const struct weir_doctor_snapshot *sorted_snapshot;

static int by_bytes(const void *a, const void *b)
{
    enum weir_doctor_class x = *(const enum weir_doctor_class *)a;
    enum weir_doctor_class y = *(const enum weir_doctor_class *)b;
    uint64_t of_x = sorted_snapshot->sums[x].rss_bytes;
    uint64_t of_y = sorted_snapshot->sums[y].rss_bytes;
    bool is_last_x = weir_doctor_class_is_generic(x);
    bool is_last_y = weir_doctor_class_is_generic(y);
    if (is_last_x != is_last_y)
        return is_last_x ? 1 : -1;
    if (of_x != of_y)
        return of_x < of_y ? 1 : -1;
    return x < y ? -1 : 1;
}

static void add_line(struct weir_cli_table *table, const struct weir_doctor_snapshot *snapshot,
                     enum weir_doctor_class class)
{
    const struct weir_doctor_sum *sum = &snapshot->sums[class];
    weir_cli_table_cell(table, "%s", weir__doctor_label(snapshot, class).text);
    weir_cli_table_cell(table, "%s", weir_size_format(sum->rss_bytes).text);
    weir_cli_table_cell(table, "%u %%", percent(sum->rss_bytes, snapshot->rss_bytes));
    if (sum->confidence == WEIR_DOCTOR_UNKNOWN)
        weir_cli_table_cell(table, "%s", "");
    else
        weir_cli_table_cell(table, "rule %s, %s%s", weir_doctor_rule_name(sum->rule),
                            certainty(sum->confidence), sum->is_merged ? ", merged" : "");
}

static void print_classes(const struct weir_doctor_snapshot *snapshot)
{
    enum weir_doctor_class order[WEIR_DOCTOR_CLASS_COUNT];
    for (size_t i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++)
        order[i] = (enum weir_doctor_class)i;
    sorted_snapshot = snapshot;
    qsort(order, WEIR_DOCTOR_CLASS_COUNT, sizeof order[0], by_bytes);
    struct weir_cli_table table;
    weir_cli_table_init(&table, 4, 2 | 4);
    uint64_t small = 0;
    for (size_t i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++) {
        uint64_t bytes = snapshot->sums[order[i]].rss_bytes;
        if (bytes != 0 && bytes >= snapshot->rss_bytes / SMALL_SHARE)
            add_line(&table, snapshot, order[i]);
        else
            small += bytes;
    }
    if (small != 0) {
        weir_cli_table_cell(&table, "smaller ones together");
        weir_cli_table_cell(&table, "%s", weir_size_format(small).text);
        weir_cli_table_cell(&table, "%u %%", percent(small, snapshot->rss_bytes));
        weir_cli_table_cell(&table, "%s", "");
    }
    weir_cli_table_print(&table, stdout);
}

/* --- malloc -------------------------------------------------------------------------------- */

static void print_walk(const struct weir_doctor_malloc *walk, const char *what)
{
    char text[256];
    switch (walk->state) {
    case WEIR_DOCTOR_WALK_NONE:
        return;
    case WEIR_DOCTOR_WALK_REFUSED:
        (void)snprintf(text, sizeof text,
                       "%s: in use or free is not observable, the process's memory was not read "
                       "(root may)",
                       what);
        break;
    case WEIR_DOCTOR_WALK_LOST:
        (void)snprintf(text, sizeof text,
                       "%s: in use or free is not observable, its chunks were not found in order",
                       what);
        break;
    default:
        (void)snprintf(
            text, sizeof text, "%s: %s in use, %s free (%s in whole pages, the rest in pieces)",
            what, weir_size_format(walk->live_bytes).text, weir_size_format(walk->free_bytes).text,
            weir_size_format(walk->free_resident_bytes).text);
    }
    weir_cli_wrap("  ", "    ", text);
    if (walk->state == WEIR_DOCTOR_WALK_PART)
        printf("    of %s more it is not observable\n", weir_size_format(walk->lost_bytes).text);
}

/* --- beside -------------------------------------------------------------------------------- */

static void print_beside(const struct weir_doctor_snapshot *s)
{
    char text[640];
    (void)snprintf(text, sizeof text,
                   "Beside it: page tables %s, %llu threads, %llu areas; the most ever was %s.",
                   weir_size_format(s->page_table_bytes).text, (unsigned long long)s->thread_count,
                   (unsigned long long)s->area_count, weir_size_format(s->hwm_bytes).text);
    weir_cli_wrap("", "", text);
    if (s->moved_count != 0) {
        (void)snprintf(text, sizeof text,
                       "Areas that changed while they were read: %llu. The figures are of slightly "
                       "different moments; no byte is counted twice.",
                       (unsigned long long)s->moved_count);
        weir_cli_wrap("", "", text);
    }
    if (s->huge_bytes != 0) {
        (void)snprintf(text, sizeof text, "%s are in huge pages, which count whole when touched.",
                       weir_size_format(s->huge_bytes).text);
        weir_cli_wrap("", "", text);
    }
    if (!s->has_cgroup)
        return;
    (void)snprintf(text, sizeof text, "Limit %s (%s), %s left.",
                   weir_size_format(s->cgroup.limit_bytes).text, s->cgroup_folder,
                   weir_size_format(s->cgroup.headroom_bytes).text);
    weir_cli_wrap("", "", text);
}

static void print_advice(const struct doctor_view *view)
{
    if (view->advice_count == 0) {
        printf("\nNothing to do: no finding is worth it.\n");
        return;
    }
    printf("\nWhat to do, by bytes to be won\n");
    for (size_t i = 0; i < view->advice_count; i++) {
        const struct weir_doctor_advice *advice = &view->advice[i];
        char text[2 * WEIR_DOCTOR_ADVICE_SIZE];
        char number[24];
        (void)snprintf(number, sizeof number, "%zu. ", i + 1);
        if (advice->bytes != 0)
            (void)snprintf(text, sizeof text, "up to %s: %s", weir_size_format(advice->bytes).text,
                           advice->what);
        else
            (void)snprintf(text, sizeof text, "%s", advice->what);
        weir_cli_wrap(number, "   ", text);
        if (advice->command[0] != 0)
            printf("       %s\n", advice->command);
        if (advice->restart[0] != 0)
            weir_cli_wrap("   ", "   ", advice->restart);
        if (advice->mind[0] != 0) {
            (void)snprintf(text, sizeof text, "Would change my mind: %s", advice->mind);
            weir_cli_wrap("   ", "   ", text);
        }
    }
}

void weir__doctor_print(const struct doctor_options *options, const struct doctor_view *view)
{
    const struct weir_doctor_snapshot *s = &view->snapshot;
    if (options->cgroup == NULL)
        printf("%s (%llu), resident %s, swap %s, %llu major faults since it began\n\n", s->name,
               (unsigned long long)s->pid, weir_size_format(s->rss_bytes).text,
               s->swap_bytes == 0 ? "0" : weir_size_format(s->swap_bytes).text,
               (unsigned long long)s->major_faults);
    print_classes(s);
    bool is_walked =
        s->main_heap.state != WEIR_DOCTOR_WALK_NONE || s->arenas.state != WEIR_DOCTOR_WALK_NONE;
    if (is_walked)
        printf("\nmalloc, chunk by chunk\n");
    print_walk(&s->main_heap, "main heap");
    print_walk(&s->arenas, "arenas");
    (void)putchar('\n');
    print_beside(s);
    printf("\nGrowing? Undecided: 1 of %u samples needed; come back with --watch 10m.\n",
           WEIR_VERDICT_SAMPLES_MIN);
    print_advice(view);
}
