/* Texts of memory pressure. The first byte says which: i injected figures, anything else PSI. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "govern/monitor.h"

static void check_line(const struct weir_pressure_line *line)
{
    WEIR_ASSERT(line->avg10_bp <= 10000 && line->avg60_bp <= 10000 && line->avg300_bp <= 10000);
}

static void check_figure(struct weir_figure figure)
{
    WEIR_ASSERT(figure.state == WEIR_FIGURE_VALUE || figure.value == 0);
}

static void injected(const char *text, size_t size)
{
    struct weir_injected injected;
    const struct weir_cgroup cgroup = {.version = WEIR_CGROUP_V2, .level_count = 1};
    if (weir_injected_parse(text, size, &injected, NULL) != WEIR_OK)
        return;
    check_figure(injected.figures.limit);
    check_figure(injected.figures.high);
    check_line(&injected.pressure.full);
    WEIR_ASSERT(memchr(injected.why, 0, sizeof injected.why) != NULL);
    if (injected.is_unknown)
        return;
    struct weir_room room = weir_cgroup_room(&cgroup, 0, &injected.figures);
    WEIR_ASSERT(room.used_bytes <= room.usage_bytes && room.headroom_bytes <= room.limit_bytes);
    WEIR_ASSERT(room.state != WEIR_ROOM_VALUE || weir_room_is_short(&room, room.limit_bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    struct weir_pressure pressure;
    if (data[0] == 'i') {
        injected(text, size - 1);
    } else if (weir_pressure_parse(text, size - 1, &pressure, NULL) == WEIR_OK) {
        WEIR_ASSERT(pressure.state == WEIR_FIGURE_VALUE && pressure.some.is_given);
        check_line(&pressure.some);
        check_line(&pressure.full);
    }
    return 0;
}
