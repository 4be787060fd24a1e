/* A snapshot from beginning to end, and sums of snapshots. */
#include "doctor/doctor_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/proc_smaps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Above a twentieth of unknown memory it is worth it to read the program's file. */
#define UNKNOWN_SHARE 20
#define PROBE_BYTES (64 * WEIR__PAGE)

static enum weir_status ended(const char *pid, struct weir_error *error)
{
    return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                          "process %s ended while it was looked at", pid);
}

/* smaps needs the right to trace; its error alone would not tell what to do. PENDING (no error is
 * set) when the address space went but the process did not. */
static enum weir_status explain(const struct weir__patient *patient, const char *folder,
                                struct weir_error *inner, struct weir_error *error)
{
    enum weir_status status = inner->status;
    const char *pid = strrchr(folder, '/') + 1;
    if (status == WEIR_PERMISSION) {
        weir_error_done(inner);
        return weir_error_set(error, status, WEIR_NO_OFFSET,
                              "the memory of process %s may not be looked at: run as its user or "
                              "as root (CAP_SYS_PTRACE)",
                              pid);
    }
    if (status == WEIR_NOT_FOUND) {
        weir_error_done(inner);
        return weir__patient_is_alive(patient, folder) ? WEIR_PENDING : ended(pid, error);
    }
    (void)weir_error_set(error, status, inner->offset, "%s/smaps: %s", patient->memory_folder,
                         inner->message);
    weir_error_done(inner);
    return status;
}

static void find_cgroup(const char *root, const char *pid, struct weir_doctor_snapshot *snapshot)
{
    struct weir_cgroup *cgroup = malloc(sizeof *cgroup);
    if (cgroup != NULL && weir_cgroup_find(root, pid, cgroup, NULL) == WEIR_OK &&
        cgroup->version != WEIR_CGROUP_NONE &&
        weir_cgroup_binding(root, cgroup, &snapshot->cgroup)) {
        snapshot->has_cgroup = true;
        (void)snprintf(snapshot->cgroup_folder, sizeof snapshot->cgroup_folder, "%.*s",
                       (int)cgroup->folder_lengths[snapshot->cgroup.level], cgroup->folder);
    }
    free(cgroup);
}

static void probe(struct weir__patient *patient)
{
    struct weir_doctor_snapshot *snapshot = patient->snapshot;
    uint8_t state;
    for (size_t i = 0; i < patient->area_count; i++) {
        const struct weir__area *area = &patient->areas[i];
        if (area->anon == 0 || !area->readable)
            continue;
        snapshot->can_read_pages =
            patient->memory.pages(patient->memory.context, area->start, 1, &state);
        /* Any page will do; the first present one among the front of this area. */
        uint64_t end =
            area->end - area->start > PROBE_BYTES ? area->start + PROBE_BYTES : area->end;
        for (uint64_t at = area->start; at < end && snapshot->can_read_pages; at += WEIR__PAGE) {
            uint8_t byte;
            if (!weir__memory_read(&patient->memory, at, &byte, 1))
                continue;
            snapshot->can_read_memory = true;
            return;
        }
        if (!snapshot->can_read_pages)
            return;
    }
}

/* Between the first and the last look the PID must not have changed hands, nor the process its
 * program: then the pages of the address space that was read are gone. */
static enum weir_status check_same(const struct weir__patient *patient, const char *folder,
                                   struct weir_error *error)
{
    const struct weir__memory *memory = &patient->memory;
    uint8_t state;
    if (patient->area_count == 0 || !weir__patient_is_alive(patient, folder))
        return ended(strrchr(folder, '/') + 1, error);
    bool is_there = !patient->snapshot->can_read_pages ||
                    memory->pages(memory->context, patient->areas[0].start, 1, &state);
    return is_there ? WEIR_OK : WEIR_PENDING;
}

/* Classifies; once more when the program turns out to bring an allocator of its own. */
static void classify(struct weir__patient *patient)
{
    struct weir_doctor_snapshot *snapshot = patient->snapshot;
    char path[512];
    weir__classify(patient);
    if (snapshot->unknown_bytes < snapshot->rss_bytes / UNKNOWN_SHARE)
        return;
    (void)snprintf(path, sizeof path, "%s/exe", patient->memory_folder);
    if (!weir__file_allocators(path, snapshot))
        return;
    memset(snapshot->sums, 0, sizeof snapshot->sums);
    snapshot->unknown_bytes = 0;
    patient->heap_count = 0;
    patient->search_pages = WEIR__SEARCH_PAGES_MAX;
    weir__classify(patient);
}

/* One try; PENDING (no error is set) when the process began another program meanwhile. */
static enum weir_status look(const struct weir_doctor_options *options, const char *folder,
                             struct weir__patient *patient, struct weir_error *error)
{
    struct weir_doctor_snapshot *snapshot = patient->snapshot;
    const char *pid = strrchr(folder, '/') + 1;
    const char *root = options->root != NULL ? options->root : "";
    char path[512];
    enum weir_status status = weir__patient_read(patient, folder, error);
    if (status != WEIR_OK)
        return status;
    struct weir__live_memory live = {.pagemap_fd = -1};
    if (root[0] == 0 && !options->no_memory)
        weir__live_memory_open((int)patient->memory_pid, &live, &patient->memory);
    struct weir_error inner = {0};
    (void)snprintf(path, sizeof path, "%s/smaps", patient->memory_folder);
    status = weir__areas_read(patient, path, &inner);
    snapshot->time_ns = weir_clock_ns();
    if (status != WEIR_OK)
        status = explain(patient, folder, &inner, error);
    if (status == WEIR_OK) {
        probe(patient);
        status = weir__objects_find(patient, error);
    }
    if (status == WEIR_OK) {
        classify(patient);
        weir__malloc_walk(patient);
        find_cgroup(root, pid, snapshot);
        status = check_same(patient, folder, error);
    }
    weir__live_memory_close(&live);
    return status;
}

/* Again while the process begins other programs: each try is of one of them, as a whole. */
static enum weir_status look_again(const struct weir_doctor_options *options, const char *folder,
                                   struct weir_doctor_snapshot *snapshot, struct weir_error *error)
{
    const uint64_t pid = snapshot->pid;
    for (unsigned tries = 0; tries < WEIR__LOOK_TRIES; tries++) {
        memset(snapshot, 0, sizeof *snapshot);
        snapshot->pid = pid;
        struct weir__patient patient = {.snapshot = snapshot,
                                        .memory = weir__no_memory(),
                                        .search_pages = WEIR__SEARCH_PAGES_MAX,
                                        .error = error};
        enum weir_status status = look(options, folder, &patient, error);
        weir__patient_done(&patient);
        if (status != WEIR_PENDING)
            return status;
    }
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                          "process %llu began another program each of the %u times that it was "
                          "looked at; look again when it stays with one",
                          (unsigned long long)pid, WEIR__LOOK_TRIES);
}

static bool is_pid(const char *pid, uint64_t *ret_pid)
{
    if (strcmp(pid, "self") == 0) {
        *ret_pid = (uint64_t)getpid();
        return true;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(pid, &end, 10);
    if (pid[0] < '1' || pid[0] > '9' || *end != 0 || errno != 0 || number > INT32_MAX)
        return false;
    *ret_pid = number;
    return true;
}

enum weir_status weir_doctor_read(const struct weir_doctor_options *options, const char *pid,
                                  struct weir_doctor_snapshot *ret_snapshot,
                                  struct weir_error *error)
{
    static const struct weir_doctor_options DEFAULT = {.root = ""};
    const struct weir_doctor_options *chosen = options != NULL ? options : &DEFAULT;
    const char *root = chosen->root != NULL ? chosen->root : "";
    char folder[WEIR__FOLDER_SIZE - sizeof "/task/4194304"];
    uint64_t before = weir_clock_ns();
    AUTO_FREE struct weir_doctor_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for a snapshot");
    if (!is_pid(pid, &snapshot->pid))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%.40s is no process number", pid);
    if (snprintf(folder, sizeof folder, "%s/proc/%s", root, pid) >= (int)sizeof folder)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the folder %.60s... is too long a name", root);
    enum weir_status status = look_again(chosen, folder, snapshot, error);
    if (status != WEIR_OK)
        return status;
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    snapshot->cpu_count = cpus > 0 ? (uint64_t)cpus : 1;
    snapshot->took_ns = weir_clock_ns() - before;
    *ret_snapshot = *snapshot;
    return WEIR_OK;
}

/* --- sums ---------------------------------------------------------------------------------- */

static void add_sum(struct weir_doctor_sum *sum, const struct weir_doctor_sum *more)
{
    if (more->rss_bytes > sum->rss_bytes)
        sum->rule = more->rule;
    if (more->rss_bytes != 0 && (sum->rss_bytes == 0 || more->confidence < sum->confidence))
        sum->confidence = more->confidence;
    sum->rss_bytes += more->rss_bytes;
    sum->anon_bytes += more->anon_bytes;
    sum->swap_bytes += more->swap_bytes;
    sum->huge_bytes += more->huge_bytes;
    sum->space_bytes += more->space_bytes;
    sum->count += more->count;
    sum->is_merged |= more->is_merged;
}

static void add_walk(struct weir_doctor_malloc *sum, const struct weir_doctor_malloc *more)
{
    if (more->state != WEIR_DOCTOR_WALK_NONE)
        sum->state = sum->state == WEIR_DOCTOR_WALK_NONE || sum->state == more->state
                         ? more->state
                         : WEIR_DOCTOR_WALK_PART;
    sum->system_bytes += more->system_bytes;
    sum->live_bytes += more->live_bytes;
    sum->free_bytes += more->free_bytes;
    sum->free_resident_bytes += more->free_resident_bytes;
    sum->lost_bytes += more->lost_bytes;
    sum->chunk_count += more->chunk_count;
    sum->free_count += more->free_count;
    sum->heap_count += more->heap_count;
    sum->cached_bytes += more->cached_bytes;
}

void weir_doctor_add(struct weir_doctor_snapshot *sum, const struct weir_doctor_snapshot *more)
{
    for (size_t i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++)
        add_sum(&sum->sums[i], &more->sums[i]);
    add_walk(&sum->main_heap, &more->main_heap);
    add_walk(&sum->arenas, &more->arenas);
    sum->arena_count += more->arena_count;
    sum->rss_bytes += more->rss_bytes;
    sum->pss_bytes += more->pss_bytes;
    sum->anon_bytes += more->anon_bytes;
    sum->swap_bytes += more->swap_bytes;
    sum->huge_bytes += more->huge_bytes;
    sum->page_table_bytes += more->page_table_bytes;
    sum->unknown_bytes += more->unknown_bytes;
    sum->area_count += more->area_count;
    sum->moved_count += more->moved_count;
    sum->thread_count += more->thread_count;
    sum->major_faults += more->major_faults;
    sum->minor_faults += more->minor_faults;
    sum->hwm_bytes += more->hwm_bytes;
    sum->took_ns += more->took_ns;
    sum->time_ns = more->time_ns > sum->time_ns ? more->time_ns : sum->time_ns;
    sum->cpu_count = more->cpu_count;
    sum->is_go |= more->is_go;
    sum->has_glibc |= more->has_glibc;
    sum->has_musl |= more->has_musl;
    sum->has_jemalloc |= more->has_jemalloc;
    sum->has_mimalloc |= more->has_mimalloc;
    sum->has_tcmalloc |= more->has_tcmalloc;
    sum->has_v8 |= more->has_v8;
    sum->has_python |= more->has_python;
}
