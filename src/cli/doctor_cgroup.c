/* All processes of a cgroup and of those below it: each looked at, their sum shown, and what the
 * cgroup itself counts. */
#include "cli/doctor_view.h"

#include "base/cleanup.h"
#include "base/proc_cgroup_members.h"
#include "base/sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_SHOWN 10

static int by_rss(const void *a, const void *b)
{
    uint64_t x = ((const struct doctor_process *)a)->rss_bytes;
    uint64_t y = ((const struct doctor_process *)b)->rss_bytes;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void add_process(struct doctor_view *view, const struct weir_doctor_snapshot *one)
{
    struct doctor_process *process = &view->processes[view->process_count++];
    *process = (struct doctor_process){
        .pid = one->pid, .rss_bytes = one->rss_bytes, .anon_bytes = one->anon_bytes};
    memcpy(process->name, one->name, sizeof process->name);
    weir_doctor_add(&view->snapshot, one);
}

/* A process that ends meanwhile is not missed, one that cannot be looked at is counted. */
static enum weir_status look_at(const struct doctor_options *options, const char *pid,
                                struct doctor_view *view, struct weir_error *error)
{
    AUTO_FREE struct weir_doctor_snapshot *one = calloc(1, sizeof *one);
    if (one == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for a snapshot");
    struct weir_error inner = {0};
    enum weir_status status = weir_doctor_read(&options->look, pid, one, &inner);
    if (status == WEIR_OK) {
        add_process(view, one);
        return WEIR_OK;
    }
    bool is_refused = status == WEIR_PERMISSION || status == WEIR_IO;
    view->refused_count += is_refused;
    if (is_refused || status == WEIR_NOT_FOUND || status == WEIR_STATE) {
        weir_error_done(&inner);
        return WEIR_OK;
    }
    weir_error_move(error, &inner);
    return status;
}

struct look {
    const struct doctor_options *options;
    struct doctor_view *view;
    struct weir_error *error;
    enum weir_status status;
};

static bool look_at_member(void *context, uint64_t pid)
{
    struct look *look = context;
    char text[24];
    if (look->view->process_count == DOCTOR_PROCESSES_MAX) {
        look->status = weir_error_set(look->error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                      "%.120s has more than %d processes, which is the most that "
                                      "are looked at; name a cgroup below it",
                                      look->options->cgroup, DOCTOR_PROCESSES_MAX);
        return false;
    }
    if (pid == 0) { /* of another pid namespace: it has no number here */
        look->view->refused_count++;
        return true;
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)pid);
    look->status = look_at(look->options, text, look->view, look->error);
    return look->status == WEIR_OK;
}

static void bind_cgroup(const struct doctor_options *options, const struct weir_cgroup *cgroup,
                        struct doctor_view *view)
{
    struct weir_doctor_snapshot *s = &view->snapshot;
    weir_cgroup_equation_read(options->look.root, cgroup, &view->equation);
    s->has_cgroup = weir_cgroup_binding(options->look.root, cgroup, &s->cgroup);
    if (s->has_cgroup)
        (void)snprintf(s->cgroup_folder, sizeof s->cgroup_folder, "%.*s",
                       (int)cgroup->folder_lengths[s->cgroup.level], cgroup->folder);
}

enum weir_status weir__doctor_look_cgroup(const struct doctor_options *options,
                                          struct doctor_view *view, struct weir_error *error)
{
    AUTO_FREE struct weir_cgroup *cgroup = calloc(1, sizeof *cgroup);
    view->processes = calloc(DOCTOR_PROCESSES_MAX, sizeof *view->processes);
    if (cgroup == NULL || view->processes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for a cgroup");
    enum weir_status status = weir_cgroup_open(options->look.root, options->cgroup, cgroup, error);
    if (status != WEIR_OK)
        return status;
    struct look look = {.options = options, .view = view, .error = error};
    status = weir_cgroup_processes(options->look.root, cgroup, look_at_member, &look, error);
    if (status == WEIR_OK)
        status = look.status;
    if (status != WEIR_OK)
        return status;
    if (view->process_count == 0)
        return view->refused_count != 0
                   ? weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                                    "none of the %zu processes of %.120s may be looked at: run as "
                                    "root (CAP_SYS_PTRACE)",
                                    view->refused_count, options->cgroup)
                   : weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                                    "there is no process in %.120s", options->cgroup);
    qsort(view->processes, view->process_count, sizeof view->processes[0], by_rss);
    bind_cgroup(options, cgroup, view);
    return WEIR_OK;
}

static void print_equation(const struct weir_cgroup_equation *e)
{
    char text[512];
    if (e->usage_bytes == 0) {
        weir_cli_wrap("", "", weir_cgroup_equation_state_meaning(e->state));
        return;
    }
    uint64_t gap =
        (uint64_t)(e->unexplained_bytes < 0 ? -e->unexplained_bytes : e->unexplained_bytes);
    (void)snprintf(text, sizeof text,
                   "The cgroup counts %s = anonymous %s + page cache %s + shared %s + kernel %s + "
                   "unexplained %s%s",
                   weir_size_format(e->usage_bytes).text, weir_size_format(e->anonymous_bytes).text,
                   weir_size_format(e->cache_bytes).text, weir_size_format(e->shared_bytes).text,
                   weir_size_format(e->kernel_bytes).text, e->unexplained_bytes < 0 ? "-" : "",
                   weir_size_format(gap).text);
    weir_cli_wrap("", "  ", text);
    if (e->state != WEIR_CGROUP_EQUATION_HOLDS)
        printf("  (%s)\n", weir_cgroup_equation_state_meaning(e->state));
}

void weir__doctor_print_cgroup(const struct doctor_options *options, const struct doctor_view *view)
{
    const struct weir_doctor_snapshot *s = &view->snapshot;
    printf("%s, %zu processes, resident %s (anonymous %s), swap %s\n", options->cgroup,
           view->process_count, weir_size_format(s->rss_bytes).text,
           weir_size_format(s->anon_bytes).text,
           s->swap_bytes == 0 ? "0" : weir_size_format(s->swap_bytes).text);
    if (view->refused_count != 0)
        printf("%zu more cannot be looked at; their memory is missing here\n",
               view->refused_count);
    print_equation(&view->equation);
    (void)putchar('\n');
    struct weir_cli_table table;
    weir_cli_table_init(&table, 3, 1 | 4);
    for (size_t i = 0; i < view->process_count && i < PROCESSES_SHOWN; i++) {
        const struct doctor_process *process = &view->processes[i];
        weir_cli_table_cell(&table, "%llu", (unsigned long long)process->pid);
        weir_cli_table_cell(&table, "%s", process->name);
        weir_cli_table_cell(&table, "%s", weir_size_format(process->rss_bytes).text);
    }
    weir_cli_table_print(&table, stdout);
    if (view->process_count > PROCESSES_SHOWN)
        printf("  and %zu smaller ones\n", view->process_count - PROCESSES_SHOWN);
    (void)putchar('\n');
}
