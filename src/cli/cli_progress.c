/* "compiling sqlite.wasm  1,204 / 2,654 functions  0.4 s left", rewritten ten times a second. */
#include "cli/cli_progress.h"

#include "base/clock.h"
#include "base/sizes.h"

#include <stdio.h>
#include <unistd.h>

#define QUIET_NS UINT64_C(1000000000) /* shorter work shows nothing */
#define STEP_NS UINT64_C(100000000)

void weir_cli_progress_begin(struct weir_cli_progress *progress, const char *what, const char *unit,
                             bool is_quiet)
{
    *progress = (struct weir_cli_progress){
        .what = what,
        .unit = unit,
        .begin_ns = weir_clock_ns(),
        .is_on = !is_quiet && isatty(STDERR_FILENO) == 1,
    };
}

/* 1204 as "1,204". */
static const char *grouped(uint32_t number, char text[16])
{
    char digits[16];
    int size = snprintf(digits, sizeof digits, "%u", number);
    char *to = text;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return text;
}

void weir_cli_progress_step(void *context, uint32_t done, uint32_t total)
{
    struct weir_cli_progress *progress = context;
    if (!progress->is_on || done == 0)
        return;
    uint64_t now = weir_clock_ns();
    if (now - progress->begin_ns < QUIET_NS || now - progress->shown_ns < STEP_NS)
        return;
    progress->shown_ns = now;
    progress->is_shown = true;
    char done_text[16], total_text[16];
    uint64_t spent = now - progress->begin_ns;
    uint64_t left = done < total ? spent / done * (total - done) : 0;
    (void)fprintf(stderr, "\r%s  %s / %s %s  %s left\033[K", progress->what,
                  grouped(done, done_text), grouped(total, total_text), progress->unit,
                  weir_duration_format(left).text);
}

void weir_cli_progress_end(struct weir_cli_progress *progress)
{
    if (progress->is_shown)
        (void)fputs("\r\033[K", stderr);
    progress->is_on = false;
}
