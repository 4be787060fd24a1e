/* Pressure stall information of the kernel (PSI): /proc/pressure/memory and memory.pressure.
 *
 *   some avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *   full avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *
 * `some`: at least one task waited for memory, `full`: all of them did; shares of wall time as
 * averages over 10, 60 and 300 s, and the sum. Kernels without PSI have no such files: MISSING.
 */
#ifndef WEIR_BASE_PROC_PRESSURE_H
#define WEIR_BASE_PROC_PRESSURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/proc_figure.h"

struct weir_pressure_line {
    bool is_given;     /* /proc/pressure/cpu of older kernels has no `full` */
    uint32_t avg10_bp; /* basis points, hundredths of a percent: 0 to 10,000 */
    uint32_t avg60_bp;
    uint32_t avg300_bp;
    uint64_t total_us;
};

struct weir_pressure {
    enum weir_figure_state state; /* VALUE: at least `some` is given */
    struct weir_pressure_line some;
    struct weir_pressure_line full;
};

/* Of all the machine; never fails, the state tells. `root` as in base/proc_cgroup.h. */
void weir_pressure_read(const char *root, struct weir_pressure *ret_pressure);
/* One file that is named in full. */
void weir_pressure_read_file(const char *path, struct weir_pressure *ret_pressure);

/* MALFORMED: a line of another form, a share above 100 %, a line that comes twice. Further keys of
 * a line and further lines are left to later kernels. */
enum weir_status weir_pressure_parse(const char *text, size_t size,
                                     struct weir_pressure *ret_pressure, struct weir_error *error)
    WEIR_MUST_USE;

#endif
