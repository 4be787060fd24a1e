/* Finding the memory cgroup and reading its levels. The texts are parsed in proc_cgroup_text.c. */
#include "base/proc_cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/proc_scan.h"
#include "base/proc_smaps.h"

/* /proc/self/mountinfo of a machine with thousands of containers; more is refused. */
#define MOUNTINFO_SIZE_MAX (4u << 20)
#define MEMBERSHIP_SIZE 16384
/* memory.stat has about 60 lines of 40 bytes, on NUMA machines no more. */
#define STAT_SIZE 16384
#define FILE_PATH_SIZE ((size_t)2 * WEIR_CGROUP_PATH_SIZE)

static enum weir_status join(char path[FILE_PATH_SIZE], const char *root, const char *rest,
                             struct weir_error *error)
{
    int length = snprintf(path, FILE_PATH_SIZE, "%s%s", root, rest);
    if (length < 0 || (size_t)length >= FILE_PATH_SIZE)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "a path of %d bytes is longer than %zu", length, FILE_PATH_SIZE - 1);
    return WEIR_OK;
}

/* --- from the mount to the folder ---------------------------------------------------------- */

/* Whether `path` is `top` or lies below it. */
static bool is_below(const char *path, const char *top)
{
    size_t length = strlen(top);
    if (length == 1 && top[0] == '/')
        return path[0] == '/';
    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* Folder and levels from a mount and the path inside its hierarchy. */
static enum weir_status place(struct weir_cgroup *cgroup, const struct weir_mount *mount,
                              struct weir_error *error)
{
    const char *inside = "";
    cgroup->approximate = !is_below(cgroup->path, mount->root);
    if (!cgroup->approximate)
        inside = cgroup->path + (strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root));
    /* "/../x": a cgroup above the namespace's root cannot be seen from here. */
    if (strncmp(inside, "/..", 3) == 0 && (inside[3] == '/' || inside[3] == '\0')) {
        cgroup->approximate = true;
        inside = "";
    }
    if (strcmp(inside, "/") == 0)
        inside = "";
    int length = snprintf(cgroup->folder, sizeof cgroup->folder, "%s%s", mount->point, inside);
    if (length < 0 || (size_t)length >= sizeof cgroup->folder)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the path of a cgroup has %d bytes, at most %zu are read", length,
                              sizeof cgroup->folder - 1);
    size_t top = strlen(mount->point);
    size_t at = (size_t)length;
    cgroup->level_count = 0;
    for (;;) {
        if (cgroup->level_count == WEIR_CGROUP_LEVELS_MAX)
            return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                  "%s is more than %d cgroups deep", cgroup->folder,
                                  WEIR_CGROUP_LEVELS_MAX);
        cgroup->folder_lengths[cgroup->level_count++] = at;
        if (at <= top)
            return WEIR_OK;
        do
            at--;
        while (at > top && cgroup->folder[at] != '/');
    }
}

struct mounts {
    struct weir_mount v1;
    struct weir_mount v2;
    struct weir_mount line;
    bool has_v1;
    bool has_v2;
};

/* Of several mounts of one hierarchy the one whose root is nearest above the path is taken. */
static void prefer(struct weir_mount *best, bool *has, const struct weir_mount *mount,
                   const char *path)
{
    bool leads = path != NULL && is_below(path, mount->root);
    bool led = *has && path != NULL && is_below(path, best->root);
    if (*has && (!leads || (led && strlen(mount->root) <= strlen(best->root))))
        return;
    *best = *mount;
    *has = true;
}

static enum weir_status read_mounts(const char *root, const char *pid, const char *v1_path,
                                    const char *v2_path, struct mounts *mounts,
                                    struct weir_error *error)
{
    char path[FILE_PATH_SIZE];
    char rest[64];
    (void)snprintf(rest, sizeof rest, "/proc/%.20s/mountinfo", pid);
    enum weir_status status = join(path, root, rest, error);
    if (status != WEIR_OK)
        return status;
    AUTO_FREE char *text = NULL;
    size_t size = 65536;
    size_t length = 0;
    do { /* mountinfo tells no size */
        free(text);
        text = malloc(size);
        if (text == NULL)
            return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory to read %s",
                                  path);
        struct weir_error refusal = {0};
        status = weir_proc_file_read(path, text, size, &length, &refusal);
        if (status != WEIR_TOO_LARGE || size >= MOUNTINFO_SIZE_MAX)
            weir_error_move(error, &refusal);
        weir_error_done(&refusal);
        size *= 4;
    } while (status == WEIR_TOO_LARGE && size <= MOUNTINFO_SIZE_MAX);
    if (status != WEIR_OK)
        return status;
    struct weir_scan scan = weir_scan(text, length);
    struct weir_scan line;
    while (weir_scan_line(&scan, &line)) {
        if (weir_scan_done(&line))
            continue;
        status = weir_mount_parse(line.at, (size_t)(line.end - line.at), &mounts->line, error);
        if (status != WEIR_OK)
            return status;
        if (mounts->line.is_v1_memory)
            prefer(&mounts->v1, &mounts->has_v1, &mounts->line, v1_path);
        if (mounts->line.is_v2)
            prefer(&mounts->v2, &mounts->has_v2, &mounts->line, v2_path);
    }
    return WEIR_OK;
}

static bool copy_text(struct weir_text text, char ret_path[WEIR_CGROUP_PATH_SIZE])
{
    if (text.bytes == NULL || text.length >= WEIR_CGROUP_PATH_SIZE)
        return false;
    memcpy(ret_path, text.bytes, text.length);
    ret_path[text.length] = '\0';
    return true;
}

struct find {
    char membership[MEMBERSHIP_SIZE];
    char v1_path[WEIR_CGROUP_PATH_SIZE];
    char v2_path[WEIR_CGROUP_PATH_SIZE];
    struct mounts mounts;
};

static enum weir_status find(const char *root, const char *pid, struct find *find,
                             struct weir_cgroup *cgroup, struct weir_error *error)
{
    char path[FILE_PATH_SIZE];
    char rest[64];
    size_t length;
    struct weir_cgroup_membership membership;
    (void)snprintf(rest, sizeof rest, "/proc/%.20s/cgroup", pid);
    enum weir_status status = join(path, root, rest, error);
    if (status == WEIR_OK)
        status =
            weir_proc_file_read(path, find->membership, sizeof find->membership, &length, error);
    if (status == WEIR_OK)
        status = weir_cgroup_parse_membership(find->membership, length, &membership, error);
    if (status != WEIR_OK)
        return status;
    bool in_v1 = copy_text(membership.v1, find->v1_path);
    bool in_v2 = copy_text(membership.v2, find->v2_path);
    status = read_mounts(root, pid, in_v1 ? find->v1_path : NULL, in_v2 ? find->v2_path : NULL,
                         &find->mounts, error);
    if (status != WEIR_OK)
        return status;
    if (in_v1 && find->mounts.has_v1) {
        cgroup->version = find->mounts.has_v2 ? WEIR_CGROUP_HYBRID : WEIR_CGROUP_V1;
        memcpy(cgroup->path, find->v1_path, sizeof cgroup->path);
        return place(cgroup, &find->mounts.v1, error);
    }
    if (in_v2 && find->mounts.has_v2 && !in_v1) {
        cgroup->version = WEIR_CGROUP_V2;
        memcpy(cgroup->path, find->v2_path, sizeof cgroup->path);
        return place(cgroup, &find->mounts.v2, error);
    }
    cgroup->version = WEIR_CGROUP_NONE;
    return WEIR_OK;
}

enum weir_status weir_cgroup_find(const char *root, const char *pid, struct weir_cgroup *ret_cgroup,
                                  struct weir_error *error)
{
    AUTO_FREE struct find *state = calloc(1, sizeof *state);
    AUTO_FREE struct weir_cgroup *cgroup = calloc(1, sizeof *cgroup);
    if (state == NULL || cgroup == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to look for the cgroup of %s", pid);
    enum weir_status status = find(root, pid, state, cgroup, error);
    if (status == WEIR_OK)
        *ret_cgroup = *cgroup;
    return status;
}

static enum weir_cgroup_version version_of(const struct mounts *mounts, bool is_v1)
{
    if (!is_v1)
        return WEIR_CGROUP_V2;
    return mounts->has_v2 ? WEIR_CGROUP_HYBRID : WEIR_CGROUP_V1;
}

/* "x/" is "x", "/" stays. */
static void cut_slashes(char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        path[--end] = '\0';
}

/* The kernel's own name, in the hierarchy that has the memory controller. */
static enum weir_status open_name(struct weir_cgroup *cgroup, const struct mounts *mounts,
                                  const char *name, struct weir_cgroup *ret_cgroup,
                                  struct weir_error *error)
{
    const struct weir_mount *mount = mounts->has_v1 ? &mounts->v1 : &mounts->v2;
    cgroup->version = version_of(mounts, mounts->has_v1);
    int length = snprintf(cgroup->path, sizeof cgroup->path, "%s", name);
    if (length < 0 || (size_t)length >= sizeof cgroup->path)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "the path is too long");
    cut_slashes(cgroup->path);
    enum weir_status status = place(cgroup, mount, error);
    if (status == WEIR_OK && cgroup->approximate)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "%.120s is outside of what is mounted at %.80s", name, mount->point);
    if (status == WEIR_OK)
        *ret_cgroup = *cgroup;
    return status;
}

enum weir_status weir_cgroup_open(const char *root, const char *folder,
                                  struct weir_cgroup *ret_cgroup, struct weir_error *error)
{
    AUTO_FREE struct mounts *mounts = calloc(1, sizeof *mounts);
    AUTO_FREE struct weir_cgroup *cgroup = calloc(1, sizeof *cgroup);
    if (mounts == NULL || cgroup == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory to open %s",
                              folder);
    enum weir_status status = read_mounts(root, "self", NULL, NULL, mounts, error);
    if (status != WEIR_OK)
        return status;
    if (folder[0] != '/' || (!mounts->has_v1 && !mounts->has_v2))
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              folder[0] != '/'
                                  ? "%.120s is no path of a cgroup: it begins with \"/\""
                                  : "%.120s: no memory cgroup hierarchy is mounted",
                              folder);
    bool in_v1 = mounts->has_v1 && is_below(folder, mounts->v1.point);
    bool in_v2 = mounts->has_v2 && is_below(folder, mounts->v2.point);
    if (!in_v1 && !in_v2) {
        if (!is_below(folder, "/sys"))
            return open_name(cgroup, mounts, folder, ret_cgroup, error);
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "%.150s is not inside a mounted memory cgroup hierarchy", folder);
    }
    struct weir_mount *mount = in_v1 ? &mounts->v1 : &mounts->v2;
    cgroup->version = version_of(mounts, in_v1);
    const char *inside = folder + strlen(mount->point);
    int length = snprintf(cgroup->path, sizeof cgroup->path, "%s%s",
                          strcmp(mount->root, "/") == 0 ? "" : mount->root,
                          *inside != '\0' || strcmp(mount->root, "/") != 0 ? inside : "/");
    if (length < 0 || (size_t)length >= sizeof cgroup->path)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "the path is too long");
    cut_slashes(cgroup->path);
    status = place(cgroup, mount, error);
    if (status == WEIR_OK)
        *ret_cgroup = *cgroup;
    return status;
}

/* --- figures ------------------------------------------------------------------------------- */

struct level_reader {
    const char *root;
    const struct weir_cgroup *cgroup;
    size_t level;
    char text[STAT_SIZE];
};

/* The level's folder and what follows it ("/memory.max"); false when it does not fit. */
static bool level_path(const struct level_reader *reader, const char *rest,
                       char path[FILE_PATH_SIZE])
{
    int wanted =
        snprintf(path, FILE_PATH_SIZE, "%s%.*s%s", reader->root,
                 (int)reader->cgroup->folder_lengths[reader->level], reader->cgroup->folder, rest);
    return wanted >= 0 && (size_t)wanted < FILE_PATH_SIZE;
}

static bool is_gone(const struct level_reader *reader)
{
    char path[FILE_PATH_SIZE];
    struct stat found;
    return level_path(reader, "", path) &&
           weir_io_fstatat(weir_io_system(), AT_FDCWD, path, &found, 0) == -ENOENT;
}

/* Into reader->text; VALUE when there is a text to look at. */
static enum weir_figure_state read_file(struct level_reader *reader, const char *name,
                                        size_t *ret_length)
{
    char path[FILE_PATH_SIZE];
    if (!level_path(reader, name, path))
        return WEIR_FIGURE_UNREADABLE;
    switch (weir_proc_file_read(path, reader->text, sizeof reader->text, ret_length, NULL)) {
    case WEIR_OK:
        return WEIR_FIGURE_VALUE;
    case WEIR_NOT_FOUND:
        return WEIR_FIGURE_MISSING;
    case WEIR_TOO_LARGE:
        return WEIR_FIGURE_MALFORMED;
    default:
        return WEIR_FIGURE_UNREADABLE;
    }
}

static struct weir_figure read_figure(struct level_reader *reader, const char *name)
{
    size_t length;
    enum weir_figure_state state = read_file(reader, name, &length);
    if (state != WEIR_FIGURE_VALUE)
        return (struct weir_figure){state, 0};
    return weir_cgroup_parse_figure(reader->text, length);
}

struct key {
    const char *name;
    size_t offset;
};

/* Several figures of one file of "key value" lines. */
static void read_keys(struct level_reader *reader, const char *name, const struct key *keys,
                      struct weir_cgroup_level *level)
{
    size_t length;
    enum weir_figure_state state = read_file(reader, name, &length);
    for (; keys->name != NULL; keys++) {
        struct weir_figure figure = {state, 0};
        if (state == WEIR_FIGURE_VALUE)
            figure = weir_cgroup_parse_key(reader->text, length, keys->name);
        memcpy((char *)level + keys->offset, &figure, sizeof figure);
    }
}

#define LEVEL(member) offsetof(struct weir_cgroup_level, member)

static void read_v2(struct level_reader *reader, struct weir_cgroup_level *level)
{
    static const struct key stat[] = {
        {"anon", LEVEL(anon)},
        {"file", LEVEL(file)},
        {"shmem", LEVEL(shmem)},
        {"active_file", LEVEL(active_file)},
        {"inactive_file", LEVEL(inactive_file)},
        {"unevictable", LEVEL(unevictable)},
        {"file_dirty", LEVEL(dirty)},
        {"kernel", LEVEL(kernel_usage)},
        {NULL, 0},
    };
    static const struct key events[] = {
        {"high", LEVEL(events_high)},
        {"max", LEVEL(events_max)},
        {"oom", LEVEL(events_oom)},
        {"oom_kill", LEVEL(events_oom_kill)},
        {NULL, 0},
    };
    level->limit = read_figure(reader, "/memory.max");
    level->high = read_figure(reader, "/memory.high");
    level->usage = read_figure(reader, "/memory.current");
    level->swap_limit = read_figure(reader, "/memory.swap.max");
    level->swap_usage = read_figure(reader, "/memory.swap.current");
    read_keys(reader, "/memory.stat", stat, level);
    read_keys(reader, "/memory.events", events, level);
}

/* What v1 prints for "no limit" depends on the page size; nobody has half as much. */
static struct weir_figure v1_limit(struct weir_figure figure)
{
    if (figure.state == WEIR_FIGURE_VALUE && figure.value > UINT64_C(1) << 62)
        figure = (struct weir_figure){WEIR_FIGURE_MAX, 0};
    return figure;
}

static void read_v1(struct level_reader *reader, struct weir_cgroup_level *level)
{
    static const struct key stat[] = {
        {"total_rss", LEVEL(anon)},
        {"total_cache", LEVEL(file)},
        {"total_shmem", LEVEL(shmem)},
        {"total_active_file", LEVEL(active_file)},
        {"total_inactive_file", LEVEL(inactive_file)},
        {"total_unevictable", LEVEL(unevictable)},
        {"total_dirty", LEVEL(dirty)},
        {NULL, 0},
    };
    static const struct key oom[] = {{"oom_kill", LEVEL(events_oom_kill)}, {NULL, 0}};
    level->limit = v1_limit(read_figure(reader, "/memory.limit_in_bytes"));
    level->usage = read_figure(reader, "/memory.usage_in_bytes");
    level->high.state = WEIR_FIGURE_MISSING;
    level->swap_limit = v1_limit(read_figure(reader, "/memory.memsw.limit_in_bytes"));
    level->swap_usage = read_figure(reader, "/memory.memsw.usage_in_bytes");
    level->kernel_usage = read_figure(reader, "/memory.kmem.usage_in_bytes");
    level->events_high.state = WEIR_FIGURE_MISSING;
    level->events_oom.state = WEIR_FIGURE_MISSING;
    level->events_max = read_figure(reader, "/memory.failcnt");
    read_keys(reader, "/memory.oom_control", oom, level);
    read_keys(reader, "/memory.stat", stat, level);
    struct weir_figure hierarchy = read_figure(reader, "/memory.use_hierarchy");
    level->limits_below = hierarchy.state != WEIR_FIGURE_VALUE || hierarchy.value != 0;
}

void weir_cgroup_read(const char *root, const struct weir_cgroup *cgroup, size_t level,
                      struct weir_cgroup_level *ret_level)
{
    struct level_reader reader = {.root = root, .cgroup = cgroup, .level = level};
    *ret_level = (struct weir_cgroup_level){.limits_below = true};
    if (cgroup->version == WEIR_CGROUP_V2)
        read_v2(&reader, ret_level);
    else
        read_v1(&reader, ret_level);
    /* Asked last: a folder that goes away in between must not look like one without a limit. */
    if (ret_level->limit.state == WEIR_FIGURE_MISSING)
        ret_level->is_gone = is_gone(&reader);
}

void weir_cgroup_read_pressure(const char *root, const struct weir_cgroup *cgroup, size_t level,
                               struct weir_pressure *ret_pressure)
{
    const struct level_reader reader = {.root = root, .cgroup = cgroup, .level = level};
    char path[FILE_PATH_SIZE];
    *ret_pressure = (struct weir_pressure){.state = WEIR_FIGURE_MISSING};
    if (cgroup->version != WEIR_CGROUP_V2)
        return;
    if (level_path(&reader, "/memory.pressure", path))
        weir_pressure_read_file(path, ret_pressure);
    else
        ret_pressure->state = WEIR_FIGURE_UNREADABLE;
}

/* --- room ---------------------------------------------------------------------------------- */

const char *weir_cgroup_limit_file(const struct weir_cgroup *cgroup)
{
    return cgroup->version == WEIR_CGROUP_V2 ? "memory.max" : "memory.limit_in_bytes";
}

const char *weir_cgroup_usage_file(const struct weir_cgroup *cgroup)
{
    return cgroup->version == WEIR_CGROUP_V2 ? "memory.current" : "memory.usage_in_bytes";
}

const char *weir_cgroup_version_name(enum weir_cgroup_version version)
{
    static const char *const NAMES[] = {[WEIR_CGROUP_NONE] = "none",
                                        [WEIR_CGROUP_V1] = "v1",
                                        [WEIR_CGROUP_V2] = "v2",
                                        [WEIR_CGROUP_HYBRID] = "hybrid"};
    return NAMES[version];
}

static struct weir_room room_without(enum weir_room_state state, enum weir_figure_state why,
                                     const char *file)
{
    return (struct weir_room){.state = state, .why = why, .file = file};
}

/* Without a limit file: no limit where a cgroup has none of the files, else something is wrong. */
static struct weir_room room_without_limit(const struct weir_cgroup *cgroup, size_t level,
                                           const struct weir_cgroup_level *figures)
{
    bool is_top = level + 1 == cgroup->level_count;
    bool is_plain = cgroup->version == WEIR_CGROUP_V2 || is_top;
    enum weir_room_state state = is_plain && figures->usage.state == WEIR_FIGURE_MISSING
                                     ? WEIR_ROOM_UNLIMITED
                                     : WEIR_ROOM_UNKNOWN;
    return room_without(state, WEIR_FIGURE_MISSING, weir_cgroup_limit_file(cgroup));
}

static void measure(struct weir_room *room, const struct weir_cgroup_level *figures,
                    uint64_t reclaimable_bytes)
{
    room->has_figures = true;
    room->limit_bytes = figures->limit.value;
    room->usage_bytes = figures->usage.value;
    /* The two files are read one after the other: the cache may be the larger one. */
    room->reclaimable_bytes =
        reclaimable_bytes < room->usage_bytes ? reclaimable_bytes : room->usage_bytes;
    room->used_bytes = room->usage_bytes - room->reclaimable_bytes;
    if (room->limit_bytes > room->used_bytes)
        room->headroom_bytes = room->limit_bytes - room->used_bytes;
}

/* A limit and a usage are given; what can be reclaimed may not be. */
static struct weir_room room_with_limit(const struct weir_cgroup_level *figures)
{
    struct weir_room room = room_without(WEIR_ROOM_VALUE, WEIR_FIGURE_VALUE, "");
    const struct weir_figure active = figures->active_file, inactive = figures->inactive_file;
    uint64_t reclaimable_bytes = 0;
    if (active.state == WEIR_FIGURE_VALUE && inactive.state == WEIR_FIGURE_VALUE &&
        weir_add_u64(active.value, inactive.value, &reclaimable_bytes)) {
        measure(&room, figures, reclaimable_bytes);
        return room;
    }
    room = room_without(WEIR_ROOM_UNKNOWN, WEIR_FIGURE_MALFORMED, "memory.stat");
    if (active.state != WEIR_FIGURE_VALUE && active.state != WEIR_FIGURE_MAX)
        room.why = active.state;
    else if (inactive.state != WEIR_FIGURE_VALUE && inactive.state != WEIR_FIGURE_MAX)
        room.why = inactive.state;
    measure(&room, figures, 0);
    return room;
}

struct weir_room weir_cgroup_room(const struct weir_cgroup *cgroup, size_t level,
                                  const struct weir_cgroup_level *figures)
{
    if (figures->is_gone)
        return room_without(WEIR_ROOM_UNKNOWN, WEIR_FIGURE_MISSING, "");
    if (level != 0 && !figures->limits_below)
        return room_without(WEIR_ROOM_UNLIMITED, WEIR_FIGURE_VALUE, "memory.use_hierarchy");
    if (figures->limit.state == WEIR_FIGURE_MAX)
        return room_without(WEIR_ROOM_UNLIMITED, WEIR_FIGURE_MAX, weir_cgroup_limit_file(cgroup));
    if (figures->limit.state == WEIR_FIGURE_MISSING)
        return room_without_limit(cgroup, level, figures);
    if (figures->limit.state != WEIR_FIGURE_VALUE)
        return room_without(WEIR_ROOM_UNKNOWN, figures->limit.state,
                            weir_cgroup_limit_file(cgroup));
    if (figures->usage.state != WEIR_FIGURE_VALUE) /* "max" is no usage */
        return room_without(WEIR_ROOM_UNKNOWN,
                            figures->usage.state == WEIR_FIGURE_MAX ? WEIR_FIGURE_MALFORMED
                                                                    : figures->usage.state,
                            weir_cgroup_usage_file(cgroup));
    return room_with_limit(figures);
}

bool weir_cgroup_binding(const char *root, const struct weir_cgroup *cgroup,
                         struct weir_cgroup_binding *ret_binding)
{
    bool found = false;
    for (size_t i = 0; i < cgroup->level_count; i++) {
        struct weir_cgroup_level level;
        weir_cgroup_read(root, cgroup, i, &level);
        struct weir_room room = weir_cgroup_room(cgroup, i, &level);
        if (!room.has_figures || (found && room.headroom_bytes >= ret_binding->headroom_bytes))
            continue;
        *ret_binding = (struct weir_cgroup_binding){i, room.limit_bytes, room.usage_bytes,
                                                    room.reclaimable_bytes, room.headroom_bytes};
        found = true;
    }
    return found;
}
