/* Reading and parsing of pressure stall information. */
#include "base/proc_pressure.h"

#include <stdio.h>

#include "base/proc_scan.h"
#include "base/proc_smaps.h"

#define BP_MAX 10000u
/* Two lines of at most 90 bytes; later kernels may add some. */
#define PRESSURE_SIZE 1024
#define PATH_SIZE 8192

static enum weir_status malformed(struct weir_error *error, const char *text, struct weir_scan line)
{
    int shown = (int)(line.end - line.at < 60 ? line.end - line.at : 60);
    return weir_error_set(error, WEIR_MALFORMED, (uint64_t)(line.at - text),
                          "\"%.*s\" is no line of pressure stall information", shown, line.at);
}

/* "12.34" in basis points: digits, a point and two digits, as the kernel prints it. */
static bool scan_percent(struct weir_scan *scan, uint32_t *ret_bp)
{
    uint64_t whole;
    if (!weir_scan_dec(scan, &whole) || whole > 100 || !weir_scan_char(scan, '.') ||
        scan->end - scan->at != 2)
        return false;
    uint32_t bp = (uint32_t)whole * 100;
    for (uint32_t unit = 10; unit > 0; unit /= 10, scan->at++) {
        if (*scan->at < '0' || *scan->at > '9')
            return false;
        bp += unit * (uint32_t)(*scan->at - '0');
    }
    *ret_bp = bp;
    return bp <= BP_MAX;
}

/* One "key=value" into the line; keys that are not known are passed over. */
static bool read_pair(struct weir_scan pair, struct weir_pressure_line *line, unsigned *seen)
{
    const struct {
        const char *key;
        uint32_t *bp;
    } shares[] = {
        {"avg10=", &line->avg10_bp}, {"avg60=", &line->avg60_bp}, {"avg300=", &line->avg300_bp}};
    for (unsigned i = 0; i < 3; i++) {
        if (!weir_scan_starts(&pair, shares[i].key))
            continue;
        while (*pair.at++ != '=')
            continue;
        *seen |= 1u << i;
        return scan_percent(&pair, shares[i].bp);
    }
    if (!weir_scan_starts(&pair, "total="))
        return true;
    pair.at += sizeof "total=" - 1;
    *seen |= 8;
    return weir_scan_dec(&pair, &line->total_us) && weir_scan_done(&pair);
}

static bool read_pairs(struct weir_scan scan, struct weir_pressure_line *line)
{
    unsigned seen = 0;
    struct weir_scan pair;
    bool is_second = line->is_given;
    for (weir_scan_blank(&scan); weir_scan_word(&scan, &pair); weir_scan_blank(&scan))
        if (!read_pair(pair, line, &seen))
            return false;
    line->is_given = true;
    return seen == 15 && !is_second;
}

enum weir_status weir_pressure_parse(const char *text, size_t size,
                                     struct weir_pressure *ret_pressure, struct weir_error *error)
{
    struct weir_pressure pressure = {.state = WEIR_FIGURE_VALUE};
    struct weir_scan scan = weir_scan(text, size);
    struct weir_scan line;
    while (weir_scan_line(&scan, &line)) {
        struct weir_scan rest = line;
        struct weir_scan name;
        if (!weir_scan_word(&rest, &name))
            return malformed(error, text, line);
        bool is_some = weir_scan_is(&name, "some");
        if ((is_some || weir_scan_is(&name, "full")) &&
            !read_pairs(rest, is_some ? &pressure.some : &pressure.full))
            return malformed(error, text, line);
    }
    if (!pressure.some.is_given)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "pressure stall information without a line \"some\"");
    *ret_pressure = pressure;
    return WEIR_OK;
}

void weir_pressure_read_file(const char *path, struct weir_pressure *ret_pressure)
{
    char text[PRESSURE_SIZE];
    size_t length = 0;
    *ret_pressure = (struct weir_pressure){.state = WEIR_FIGURE_MALFORMED};
    switch (weir_proc_file_read(path, text, sizeof text, &length, NULL)) {
    case WEIR_OK:
        if (weir_pressure_parse(text, length, ret_pressure, NULL) != WEIR_OK)
            ret_pressure->state = WEIR_FIGURE_MALFORMED;
        return;
    case WEIR_NOT_FOUND:
        ret_pressure->state = WEIR_FIGURE_MISSING;
        return;
    case WEIR_TOO_LARGE:
        return;
    default:
        ret_pressure->state = WEIR_FIGURE_UNREADABLE;
        return;
    }
}

void weir_pressure_read(const char *root, struct weir_pressure *ret_pressure)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/proc/pressure/memory", root);
    if (length > 0 && (size_t)length < sizeof path)
        weir_pressure_read_file(path, ret_pressure);
    else
        *ret_pressure = (struct weir_pressure){.state = WEIR_FIGURE_UNREADABLE};
}
