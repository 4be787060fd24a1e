/* Reading both sides of equation (b).
 *
 * The sides move while they are read. The usage is read before and after: what it moved by widens
 * the tolerance, and the middle is taken. The rest of the tolerance is the kernel's own: every CPU
 * keeps up to 64 pages of charge in stock, and as many changes of memory.stat to itself.
 */
#include "ledger/cgroup_equation.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/proc_cgroup_members.h"
#include "base/proc_smaps.h"
#include "ledger/ledger_limits.h"

#define PATH_SIZE ((size_t)2 * WEIR_CGROUP_PATH_SIZE)
/* memory.stat has about 60 lines of 40 bytes, on NUMA machines no more. */
#define STAT_SIZE 16384

static const struct {
    const char *name, *meaning;
} states[WEIR_CGROUP_EQUATION_STATE_COUNT] = {
#define WEIR_EQUATION_STATE(id, name, meaning) {name, meaning},
#include "ledger/cgroup_equation_states.def"
#undef WEIR_EQUATION_STATE
};

const char *weir_cgroup_equation_state_name(enum weir_cgroup_equation_state state)
{
    return states[state].name;
}

const char *weir_cgroup_equation_state_meaning(enum weir_cgroup_equation_state state)
{
    return states[state].meaning;
}

struct reader {
    const char *root;
    const struct weir_cgroup *cgroup;
    struct weir_cgroup_equation *equation;
    bool is_crowded;
    char path[PATH_SIZE];
    size_t length;
    char text[STAT_SIZE];
};

/* --- the cgroup's files -------------------------------------------------------------------- */

/* Into reader->text. */
static bool read_file(struct reader *reader, const char *name)
{
    int size = snprintf(reader->path, sizeof reader->path, "%s%s/%s", reader->root,
                        reader->cgroup->folder, name);
    return size > 0 && (size_t)size < sizeof reader->path &&
           weir_proc_file_read(reader->path, reader->text, sizeof reader->text, &reader->length,
                               NULL) == WEIR_OK;
}

static bool read_figure(struct reader *reader, const char *name, uint64_t *ret_value)
{
    if (!read_file(reader, name))
        return false;
    struct weir_figure figure = weir_cgroup_parse_figure(reader->text, reader->length);
    *ret_value = figure.value;
    return figure.state == WEIR_FIGURE_VALUE;
}

/* Of memory.stat, which is in reader->text. */
static bool find_key(const struct reader *reader, const char *key, uint64_t *ret_value)
{
    struct weir_figure figure = weir_cgroup_parse_key(reader->text, reader->length, key);
    *ret_value = figure.value;
    return figure.state == WEIR_FIGURE_VALUE;
}

static bool is_v2(const struct reader *reader)
{
    return reader->cgroup->version == WEIR_CGROUP_V2;
}

static bool read_usage(struct reader *reader, uint64_t *ret_value)
{
    return read_figure(reader, is_v2(reader) ? "memory.current" : "memory.usage_in_bytes",
                       ret_value);
}

/* Kernels before 5.18 do not sum it up. Buffers of sockets are charged, and counted apart. */
static bool find_v2_kernel(const struct reader *reader, uint64_t *ret_value)
{
    static const char *const PARTS[] = {"kernel_stack", "pagetables", "percpu", "vmalloc", "slab"};
    uint64_t sum = 0;
    bool is_known = find_key(reader, "kernel", &sum);
    for (size_t i = 0; !is_known && i < sizeof PARTS / sizeof PARTS[0]; i++) {
        uint64_t part;
        if (find_key(reader, PARTS[i], &part) && !weir_add_u64(sum, part, &sum))
            return false;
    }
    uint64_t sockets = 0;
    (void)find_key(reader, "sock", &sockets);
    return (is_known || sum != 0) && weir_add_u64(sum, sockets, ret_value);
}

static bool read_stat(struct reader *reader)
{
    struct weir_cgroup_equation *equation = reader->equation;
    bool has_kernel = !is_v2(reader) &&
                      read_figure(reader, "memory.kmem.usage_in_bytes", &equation->kernel_bytes);
    if (!read_file(reader, "memory.stat"))
        return false;
    if (is_v2(reader))
        has_kernel = find_v2_kernel(reader, &equation->kernel_bytes);
    bool has_cache =
        find_key(reader, is_v2(reader) ? "file" : "total_cache", &equation->cache_bytes);
    bool has_shared =
        find_key(reader, is_v2(reader) ? "shmem" : "total_shmem", &equation->shared_bytes);
    if (equation->shared_bytes > equation->cache_bytes) /* of two moments */
        equation->shared_bytes = equation->cache_bytes;
    equation->cache_bytes -= equation->shared_bytes;
    return has_kernel && has_cache && has_shared;
}

/* In v1 only a hierarchy's root has this file; in v2 the root has no usage. */
static bool is_root(struct reader *reader)
{
    return !is_v2(reader) && read_file(reader, "release_agent");
}

/* --- the processes ------------------------------------------------------------------------- */

static bool add_process(void *context, uint64_t pid)
{
    struct reader *reader = context;
    struct weir_cgroup_equation *equation = reader->equation;
    if (++equation->process_count > WEIR__CGROUP_PROCESSES_MAX) {
        reader->is_crowded = true;
        return false;
    }
    struct weir_vma sums = {0};
    (void)snprintf(reader->path, sizeof reader->path, "%s/proc/%llu/smaps_rollup", reader->root,
                   (unsigned long long)pid);
    enum weir_status status =
        pid == 0 ? WEIR_PERMISSION : weir_smaps_rollup(reader->path, &sums, NULL);
    if (status == WEIR_NOT_FOUND) { /* it ended, or is about to: it has no memory */
        equation->process_count--;
        return true;
    }
    if (status != WEIR_OK || sums.end == 0)
        equation->unreadable_count++;
    /* Kernels before 5.1 tell no shares. */
    uint64_t anonymous = sums.pss_anon != 0 ? sums.pss_anon : sums.anonymous;
    return weir_add_u64(equation->anonymous_bytes, anonymous, &equation->anonymous_bytes) &&
           weir_add_u64(equation->file_resident_bytes, sums.pss_file,
                        &equation->file_resident_bytes);
}

/* --- both sides ---------------------------------------------------------------------------- */

static uint64_t kernel_slack(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long page = sysconf(_SC_PAGESIZE);
    return WEIR__CGROUP_STOCK_PAGES * (uint64_t)(cpus > 0 ? cpus : 1) *
           (uint64_t)(page > 0 ? page : 4096);
}

static enum weir_cgroup_equation_state compare(struct weir_cgroup_equation *equation,
                                               uint64_t before, uint64_t after)
{
    uint64_t moved = before > after ? before - after : after - before;
    equation->usage_bytes = (before < after ? before : after) + moved / 2;
    equation->tolerance_bytes = equation->usage_bytes / 100 + kernel_slack() + moved;
    const uint64_t terms[] = {equation->anonymous_bytes, equation->cache_bytes,
                              equation->shared_bytes, equation->kernel_bytes};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        if (!weir_add_u64(sum, terms[i], &sum))
            return WEIR_CGROUP_EQUATION_NO_FIGURE;
    if (sum > INT64_MAX || equation->usage_bytes > INT64_MAX)
        return WEIR_CGROUP_EQUATION_NO_FIGURE;
    equation->unexplained_bytes = (int64_t)equation->usage_bytes - (int64_t)sum;
    uint64_t distance = (uint64_t)llabs(equation->unexplained_bytes);
    return distance <= equation->tolerance_bytes ? WEIR_CGROUP_EQUATION_HOLDS
                                                 : WEIR_CGROUP_EQUATION_BROKEN;
}

static enum weir_cgroup_equation_state read_sides(struct reader *reader)
{
    struct weir_cgroup_equation *equation = reader->equation;
    uint64_t before, after;
    if (reader->cgroup->version == WEIR_CGROUP_NONE)
        return WEIR_CGROUP_EQUATION_NO_CGROUP;
    if (is_root(reader))
        return WEIR_CGROUP_EQUATION_ROOT;
    if (!read_usage(reader, &before) || !read_stat(reader))
        return WEIR_CGROUP_EQUATION_NO_FIGURE;
    equation->usage_bytes = before;
    enum weir_status status =
        weir_cgroup_processes(reader->root, reader->cgroup, add_process, reader, NULL);
    if (reader->is_crowded || status == WEIR_TOO_LARGE)
        return WEIR_CGROUP_EQUATION_CROWDED;
    if (status != WEIR_OK)
        return WEIR_CGROUP_EQUATION_NO_FIGURE;
    if (equation->unreadable_count != 0)
        return WEIR_CGROUP_EQUATION_UNREADABLE;
    if (!read_usage(reader, &after))
        return WEIR_CGROUP_EQUATION_NO_FIGURE;
    return compare(equation, before, after);
}

void weir_cgroup_equation_read(const char *root, const struct weir_cgroup *cgroup,
                               struct weir_cgroup_equation *ret)
{
    *ret = (struct weir_cgroup_equation){.state = WEIR_CGROUP_EQUATION_NO_FIGURE,
                                         .version = cgroup->version};
    AUTO_FREE struct reader *reader = malloc(sizeof *reader);
    if (reader == NULL)
        return;
    reader->root = root;
    reader->cgroup = cgroup;
    reader->equation = ret;
    reader->is_crowded = false;
    ret->state = read_sides(reader);
}

void weir_cgroup_equation_find(const char *root, const char *pid, const char *folder,
                               struct weir_cgroup_equation *ret)
{
    uint64_t begin_ns = weir_clock_ns();
    *ret = (struct weir_cgroup_equation){.state = WEIR_CGROUP_EQUATION_NO_CGROUP};
    AUTO_FREE struct weir_cgroup *cgroup = malloc(sizeof *cgroup);
    if (cgroup == NULL)
        return;
    enum weir_status status = folder != NULL ? weir_cgroup_open(root, folder, cgroup, NULL)
                                             : weir_cgroup_find(root, pid, cgroup, NULL);
    if (status == WEIR_OK)
        weir_cgroup_equation_read(root, cgroup, ret);
    ret->read_ns = weir_clock_ns();
    ret->cost_ns = ret->read_ns - begin_ns;
}

void weir_cgroup_equation_renew(struct weir_cgroup_equation *equation, const char *root,
                                const char *pid, const char *folder)
{
    bool is_read = equation->state != WEIR_CGROUP_EQUATION_NOT_READ;
    uint64_t age_ns = weir_clock_ns() - equation->read_ns;
    if (!is_read || age_ns / WEIR__CGROUP_READ_SHARE >= equation->cost_ns)
        weir_cgroup_equation_find(root, pid, folder, equation);
}
