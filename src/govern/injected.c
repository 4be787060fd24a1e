/* Injected figures: a text file in place of a cgroup, so that tests decide how much is free. */
#include "govern/monitor.h"

#include <stdio.h>

#include "base/proc_scan.h"
#include "base/sizes.h"

static enum weir_status refuse(struct weir_error *error, const char *text, struct weir_scan line,
                               const char *what)
{
    int shown = (int)(line.end - line.at < 60 ? line.end - line.at : 60);
    return weir_error_set(error, WEIR_MALFORMED, (uint64_t)(line.at - text),
                          "injected figures: \"%.*s\": %s", shown, line.at, what);
}

/* "3.50" or "3": percent with up to two digits behind the point. */
static bool read_percent(struct weir_scan scan, uint32_t *ret_bp)
{
    uint64_t whole;
    uint32_t bp = 0;
    if (!weir_scan_dec(&scan, &whole) || whole > 100)
        return false;
    if (weir_scan_char(&scan, '.'))
        for (uint32_t unit = 10; unit > 0 && !weir_scan_done(&scan); unit /= 10, scan.at++) {
            if (*scan.at < '0' || *scan.at > '9')
                return false;
            bp += unit * (uint32_t)(*scan.at - '0');
        }
    *ret_bp = (uint32_t)whole * 100 + bp;
    return weir_scan_done(&scan) && *ret_bp <= 10000;
}

static bool read_size(struct weir_scan scan, struct weir_figure *ret_figure)
{
    uint64_t bytes;
    if (weir_scan_is(&scan, "max")) {
        *ret_figure = (struct weir_figure){WEIR_FIGURE_MAX, 0};
        return true;
    }
    if (weir_size_parse(scan.at, (size_t)(scan.end - scan.at), &bytes, NULL) != WEIR_OK)
        return false;
    *ret_figure = (struct weir_figure){WEIR_FIGURE_VALUE, bytes};
    return true;
}

static bool read_pair(struct weir_scan key, struct weir_scan value, struct weir_injected *injected)
{
    struct weir_cgroup_level *figures = &injected->figures;
    const struct {
        const char *key;
        struct weir_figure *figure;
    } sizes[] = {{"limit", &figures->limit},
                 {"usage", &figures->usage},
                 {"active_file", &figures->active_file},
                 {"inactive_file", &figures->inactive_file},
                 {"high", &figures->high},
                 {"swap_limit", &figures->swap_limit},
                 {"swap_usage", &figures->swap_usage}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (weir_scan_is(&key, sizes[i].key))
            return read_size(value, sizes[i].figure);
    if (!weir_scan_is(&key, "psi_full_avg10"))
        return false;
    injected->pressure.state = WEIR_FIGURE_VALUE;
    injected->pressure.some.is_given = injected->pressure.full.is_given = true;
    return read_percent(value, &injected->pressure.full.avg10_bp);
}

static struct weir_injected nothing(void)
{
    const struct weir_figure missing = {WEIR_FIGURE_MISSING, 0};
    struct weir_injected injected = {
        .figures = {.limits_below = true, .limit = missing, .usage = missing, .high = missing},
        .pressure.state = WEIR_FIGURE_MISSING};
    struct weir_cgroup_level *figures = &injected.figures;
    figures->swap_limit = figures->swap_usage = figures->kernel_usage = missing;
    figures->anon = figures->file = figures->shmem = missing;
    figures->unevictable = figures->dirty = missing;
    figures->events_high = figures->events_max = missing;
    figures->events_oom = figures->events_oom_kill = missing;
    return injected; /* active_file and inactive_file: 0 B */
}

enum weir_status weir_injected_parse(const char *text, size_t size,
                                     struct weir_injected *ret_injected, struct weir_error *error)
{
    struct weir_injected injected = nothing();
    struct weir_scan scan = weir_scan(text, size), line;
    while (weir_scan_line(&scan, &line)) {
        struct weir_scan rest = line, key, value;
        weir_scan_blank(&rest);
        if (weir_scan_done(&rest))
            continue;
        if (!weir_scan_word(&rest, &key))
            return refuse(error, text, line, "a key and a value are needed");
        weir_scan_blank(&rest);
        if (weir_scan_is(&key, "unknown")) {
            injected.is_unknown = true;
            (void)snprintf(injected.why, sizeof injected.why, "%.*s",
                           (int)(rest.end - rest.at < 200 ? rest.end - rest.at : 200), rest.at);
            continue;
        }
        if (!weir_scan_word(&rest, &value) || !weir_scan_done(&rest) ||
            !read_pair(key, value, &injected))
            return refuse(error, text, line,
                          "limit, usage, active_file, inactive_file, high, swap_limit, swap_usage "
                          "or psi_full_avg10 with a size or percent is needed");
    }
    if (!injected.is_unknown && (injected.figures.limit.state == WEIR_FIGURE_MISSING ||
                                 injected.figures.usage.state != WEIR_FIGURE_VALUE))
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "injected figures: limit and usage are needed");
    *ret_injected = injected;
    return WEIR_OK;
}
