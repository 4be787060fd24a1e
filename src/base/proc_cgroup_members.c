/* Walking the folders of a cgroup. The paths still to be read wait in one buffer, last in, first
 * out, so that depth costs nothing and breadth has a bound. */
#include "base/proc_cgroup_members.h"

#include <dirent.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/proc_scan.h"
#include "base/proc_smaps.h"

#define PATH_SIZE ((size_t)2 * WEIR_CGROUP_PATH_SIZE)
/* Paths that wait: 2,048 folders of usual names. */
#define PENDING_SIZE (256u << 10)
/* cgroup.procs of 20,000 processes. */
#define PROCESSES_SIZE (160u << 10)

struct walk {
    weir_cgroup_visit_process *visit;
    void *context;
    struct weir_error *error;
    bool more;
    unsigned folders;
    size_t pending_size;
    char path[PATH_SIZE]; /* of the folder that is read now */
    char file[PATH_SIZE];
    char text[PROCESSES_SIZE];
    char pending[PENDING_SIZE];
    alignas(struct dirent64) char entries[8192];
};

enum weir_status weir_cgroup_parse_processes(struct weir_text text,
                                             weir_cgroup_visit_process *visit, void *context,
                                             bool *ret_more, struct weir_error *error)
{
    struct weir_scan scan = weir_scan(text.bytes, text.length);
    struct weir_scan line;
    *ret_more = true;
    while (*ret_more && weir_scan_line(&scan, &line)) {
        uint64_t pid;
        const char *start = line.at;
        if (!weir_scan_dec(&line, &pid) || !weir_scan_done(&line))
            return weir_error_set(error, WEIR_MALFORMED, (uint64_t)(start - text.bytes),
                                  "cgroup.procs has a line that is no process");
        *ret_more = visit(context, pid);
    }
    return WEIR_OK;
}

static bool join(char path[PATH_SIZE], const char *folder, const char *name)
{
    int length = snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return length > 0 && (size_t)length < PATH_SIZE;
}

static enum weir_status too_large(struct walk *walk, const char *what)
{
    return weir_error_set(walk->error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                          "%.150s has %s than can be listed", walk->path, what);
}

static enum weir_status push(struct walk *walk, const char *name)
{
    if (++walk->folders > WEIR_CGROUP_FOLDERS_MAX)
        return too_large(walk, "more cgroups");
    if (!join(walk->file, walk->path, name))
        return too_large(walk, "a longer path");
    size_t size = strlen(walk->file) + 1;
    if (size > sizeof walk->pending - walk->pending_size)
        return too_large(walk, "more cgroups");
    memcpy(walk->pending + walk->pending_size, walk->file, size);
    walk->pending_size += size;
    return WEIR_OK;
}

/* Into walk->path; false when none is left. */
static bool pop(struct walk *walk)
{
    if (walk->pending_size == 0)
        return false;
    size_t at = walk->pending_size - 1;
    while (at > 0 && walk->pending[at - 1] != '\0')
        at--;
    memcpy(walk->path, walk->pending + at, walk->pending_size - at);
    walk->pending_size = at;
    return true;
}

/* The processes of a threaded cgroup of v2 are listed at its domain, above it. */
static bool is_threaded(struct walk *walk)
{
    char type[32];
    size_t length;
    return join(walk->file, walk->path, "cgroup.type") &&
           weir_proc_file_read(walk->file, type, sizeof type, &length, NULL) == WEIR_OK &&
           strcmp(type, "threaded\n") == 0;
}

static enum weir_status visit_processes(struct walk *walk)
{
    size_t length;
    struct weir_error refusal = {0};
    if (!join(walk->file, walk->path, "cgroup.procs"))
        return too_large(walk, "a longer path");
    enum weir_status status =
        weir_proc_file_read(walk->file, walk->text, sizeof walk->text, &length, &refusal);
    if (status == WEIR_OK)
        return weir_cgroup_parse_processes((struct weir_text){walk->text, length}, walk->visit,
                                           walk->context, &walk->more, walk->error);
    bool is_gone = status == WEIR_NOT_FOUND && walk->folders > 0;
    if (is_gone || (status == WEIR_IO && is_threaded(walk)))
        status = WEIR_OK;
    else
        weir_error_move(walk->error, &refusal);
    weir_error_done(&refusal);
    return status;
}

static enum weir_status push_entries(struct walk *walk, long length)
{
    for (long at = 0; at < length;) {
        const struct dirent64 *entry = (const struct dirent64 *)(void *)(walk->entries + at);
        at += entry->d_reclen;
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        enum weir_status status = push(walk, entry->d_name);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status push_folders(struct walk *walk)
{
    struct weir_io *io = weir_io_system();
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, walk->path, O_RDONLY | O_DIRECTORY, 0);
    long length = fd;
    while (length >= 0) {
        length = weir_io_getdents(io, fd, walk->entries, sizeof walk->entries);
        if (length == 0)
            return WEIR_OK;
        enum weir_status status = length > 0 ? push_entries(walk, length) : WEIR_OK;
        if (status != WEIR_OK)
            return status;
    }
    if (length == -ENOENT) /* it went */
        return WEIR_OK;
    return weir_error_set_errno(walk->error, WEIR_IO, (int)-length, "cannot list %.150s",
                                walk->path);
}

enum weir_status weir_cgroup_processes(const char *root, const struct weir_cgroup *cgroup,
                                       weir_cgroup_visit_process *visit, void *context,
                                       struct weir_error *error)
{
    AUTO_FREE struct walk *walk = malloc(sizeof *walk);
    if (walk == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to list the processes of a cgroup");
    walk->visit = visit;
    walk->context = context;
    walk->error = error;
    walk->more = true;
    walk->folders = 0;
    walk->pending_size = 0;
    int length = snprintf(walk->path, sizeof walk->path, "%s%s", root, cgroup->folder);
    if (length < 0 || (size_t)length >= sizeof walk->path)
        return too_large(walk, "a longer path");
    enum weir_status status;
    do {
        status = visit_processes(walk);
        if (status == WEIR_OK && walk->more)
            status = push_folders(walk);
    } while (status == WEIR_OK && walk->more && pop(walk));
    return status;
}
