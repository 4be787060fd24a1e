/* The texts of cgroups. The first byte says which: m mountinfo line, k keyed file, f one figure,
 * p cgroup.procs, anything else /proc/PID/cgroup. Paths that come back lie in the input or end in
 * their buffer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/proc_cgroup_members.h"

static void check_path(const char *text, size_t size, struct weir_text path)
{
    if (path.bytes == NULL)
        return;
    WEIR_ASSERT(path.bytes >= text && path.length <= size &&
                path.bytes + path.length <= text + size);
    WEIR_ASSERT(path.length != 0 && path.bytes[0] == '/');
}

static void check_figure(struct weir_figure figure)
{
    WEIR_ASSERT(figure.state == WEIR_FIGURE_VALUE || figure.value == 0);
}

static bool count_process(void *context, uint64_t pid)
{
    (void)pid;
    return ++*(size_t *)context < 100;
}

static void check_processes(const char *text, size_t size)
{
    struct weir_error error = {0};
    size_t count = 0;
    bool more;
    enum weir_status status = weir_cgroup_parse_processes((struct weir_text){text, size},
                                                          count_process, &count, &more, &error);
    WEIR_ASSERT(count <= 100 && 2 * count <= size + 1);
    WEIR_ASSERT(status == WEIR_OK ? more == (count < 100) : error.offset < size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size--;
    struct weir_error error = {0};
    if (data[0] == 'm') {
        struct weir_mount *mount = malloc(sizeof *mount);
        WEIR_ASSERT(mount != NULL);
        if (weir_mount_parse(text, size, mount, &error) == WEIR_OK)
            WEIR_ASSERT(strlen(mount->root) < sizeof mount->root &&
                        strlen(mount->point) < sizeof mount->point);
        free(mount);
    } else if (data[0] == 'k') {
        check_figure(weir_cgroup_parse_key(text, size, "oom_kill"));
    } else if (data[0] == 'f') {
        check_figure(weir_cgroup_parse_figure(text, size));
    } else if (data[0] == 'p') {
        check_processes(text, size);
    } else {
        struct weir_cgroup_membership membership;
        if (weir_cgroup_parse_membership(text, size, &membership, &error) == WEIR_OK) {
            check_path(text, size, membership.v1);
            check_path(text, size, membership.v2);
        } else {
            WEIR_ASSERT(error.offset <= size);
        }
    }
    return 0;
}
