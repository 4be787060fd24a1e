/* The texts of cgroups: /proc/PID/cgroup, mountinfo, one-figure and keyed files. Pure functions. */
#include <string.h>

#include "base/proc_cgroup.h"
#include "base/proc_scan.h"

static enum weir_status malformed(struct weir_error *error, const char *text, struct weir_scan line,
                                  const char *what)
{
    int shown = (int)(line.end - line.at < 60 ? line.end - line.at : 60);
    return weir_error_set(error, WEIR_MALFORMED, (uint64_t)(line.at - text),
                          "\"%.*s\" is no line of %s", shown, line.at, what);
}

/* Whether `name` is one of the names between commas. */
static bool lists(struct weir_scan names, const char *name)
{
    while (!weir_scan_done(&names)) {
        const char *comma = memchr(names.at, ',', (size_t)(names.end - names.at));
        struct weir_scan one = {names.at, comma != NULL ? comma : names.end};
        if (weir_scan_is(&one, name))
            return true;
        names.at = comma != NULL ? comma + 1 : names.end;
    }
    return false;
}

static bool cut_at(struct weir_scan *scan, char c, struct weir_scan *ret_part)
{
    const char *at = memchr(scan->at, c, (size_t)(scan->end - scan->at));
    if (at == NULL)
        return false;
    *ret_part = (struct weir_scan){scan->at, at};
    scan->at = at + 1;
    return true;
}

enum weir_status weir_cgroup_parse_membership(const char *text, size_t size,
                                              struct weir_cgroup_membership *ret_membership,
                                              struct weir_error *error)
{
    struct weir_cgroup_membership membership = {{NULL, 0}, {NULL, 0}};
    struct weir_scan scan = weir_scan(text, size);
    struct weir_scan line;
    while (weir_scan_line(&scan, &line)) {
        struct weir_scan rest = line;
        struct weir_scan number;
        struct weir_scan names;
        uint64_t id;
        if (weir_scan_done(&line))
            continue;
        /* The path may hold colons and blanks; it is all the rest. */
        if (!cut_at(&rest, ':', &number) || !cut_at(&rest, ':', &names) ||
            !weir_scan_dec(&number, &id) || !weir_scan_done(&number) || rest.at == rest.end ||
            *rest.at != '/')
            return malformed(error, text, line, "/proc/PID/cgroup");
        struct weir_text path = {rest.at, (size_t)(rest.end - rest.at)};
        if (id == 0 && weir_scan_done(&names))
            membership.v2 = path;
        else if (lists(names, "memory"))
            membership.v1 = path;
    }
    *ret_membership = membership;
    return WEIR_OK;
}

/* Copies with "\ooo" decoded; false when it does not fit. */
static bool decode(struct weir_scan word, char ret_path[WEIR_CGROUP_PATH_SIZE])
{
    size_t length = 0;
    while (word.at != word.end) {
        if (length == WEIR_CGROUP_PATH_SIZE - 1)
            return false;
        unsigned value = (unsigned char)*word.at;
        size_t taken = 1;
        if (*word.at == '\\' && word.end - word.at >= 4) {
            unsigned code = 0;
            bool octal = true;
            for (int i = 1; i <= 3; i++) {
                octal = octal && word.at[i] >= '0' && word.at[i] <= '7';
                code = code * 8 + (unsigned)(word.at[i] - '0');
            }
            /* A zero byte would end the path early. */
            if (octal && code > 0 && code < 256) {
                value = code;
                taken = 4;
            }
        }
        if (value == 0)
            return false;
        ret_path[length++] = (char)value;
        word.at += taken;
    }
    ret_path[length] = '\0';
    return true;
}

/* "36 35 98:0 /root /point options optional* - type source super-options" */
enum weir_status weir_mount_parse(const char *line, size_t length, struct weir_mount *ret_mount,
                                  struct weir_error *error)
{
    struct weir_scan scan = weir_scan(line, length);
    struct weir_scan fields[6];
    struct weir_scan type;
    struct weir_scan source;
    struct weir_scan options = {NULL, NULL};
    struct weir_scan word;
    bool good = true;
    for (int i = 0; i < 6 && good; i++) {
        good = weir_scan_word(&scan, &fields[i]);
        weir_scan_blank(&scan);
    }
    do {
        good = good && weir_scan_word(&scan, &word);
        weir_scan_blank(&scan);
    } while (good && !weir_scan_is(&word, "-"));
    good = good && weir_scan_word(&scan, &type);
    weir_scan_blank(&scan);
    good = good && weir_scan_word(&scan, &source);
    weir_scan_blank(&scan);
    if (good && !weir_scan_word(&scan, &options))
        options = (struct weir_scan){line, line};
    if (!good)
        return malformed(error, line, weir_scan(line, length), "mountinfo");
    ret_mount->is_v2 = weir_scan_is(&type, "cgroup2");
    ret_mount->is_v1_memory = weir_scan_is(&type, "cgroup") && lists(options, "memory");
    /* Other mounts' paths are nobody's business, however long they are. */
    ret_mount->root[0] = '\0';
    ret_mount->point[0] = '\0';
    if (!ret_mount->is_v2 && !ret_mount->is_v1_memory)
        return WEIR_OK;
    if (!decode(fields[3], ret_mount->root) || !decode(fields[4], ret_mount->point))
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the path of a cgroup mount does not fit %d bytes",
                              WEIR_CGROUP_PATH_SIZE - 1);
    return WEIR_OK;
}

/* Digits or "max", and nothing behind but blanks. */
static struct weir_figure parse_value(struct weir_scan scan)
{
    struct weir_figure figure = {WEIR_FIGURE_MALFORMED, 0};
    uint64_t value = 0;
    if (weir_scan_starts(&scan, "max")) {
        scan.at += 3;
        figure.state = WEIR_FIGURE_MAX;
    } else if (weir_scan_dec(&scan, &value)) {
        figure = (struct weir_figure){WEIR_FIGURE_VALUE, value};
    }
    weir_scan_blank(&scan);
    if (!weir_scan_done(&scan))
        figure = (struct weir_figure){WEIR_FIGURE_MALFORMED, 0};
    return figure;
}

struct weir_figure weir_cgroup_parse_figure(const char *text, size_t size)
{
    struct weir_scan scan = weir_scan(text, size);
    struct weir_scan line;
    if (!weir_scan_line(&scan, &line) || !weir_scan_done(&scan))
        return (struct weir_figure){WEIR_FIGURE_MALFORMED, 0};
    return parse_value(line);
}

struct weir_figure weir_cgroup_parse_key(const char *text, size_t size, const char *key)
{
    struct weir_scan scan = weir_scan(text, size);
    struct weir_scan line;
    while (weir_scan_line(&scan, &line)) {
        struct weir_scan word;
        if (!weir_scan_word(&line, &word) || !weir_scan_is(&word, key))
            continue;
        weir_scan_blank(&line);
        return parse_value(line);
    }
    return (struct weir_figure){WEIR_FIGURE_MISSING, 0};
}
