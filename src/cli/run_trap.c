/* A guest's end, told whole: what happened, where, and under which limits. */
#include "cli/run_internal.h"

#include "artifact/abi.h"
#include "base/sizes.h"

#include <stdio.h>
#include <string.h>

#define LINE_COLUMNS 80u

/* How many frames from `index` on are the same call: recursion is shown once. */
static size_t count_equal(const struct weir_trap *trap, size_t index)
{
    const struct weir_trap_frame *frame = &trap->frames[index];
    size_t count = 1;
    while (index + count < trap->frame_count &&
           trap->frames[index + count].module_offset == frame->module_offset &&
           trap->frames[index + count].func_index == frame->func_index)
        count++;
    return count;
}

/* "in  decode_rows (0x1f3) <- decode_image (0x88) <- _start (0x20)", wrapped. */
static void print_frames(const struct weir_trap *trap)
{
    size_t column = 0, count;
    for (size_t i = 0; i < trap->frame_count; i += count) {
        const struct weir_trap_frame *frame = &trap->frames[i];
        char text[WEIR_TRAP_NAME_SIZE + 48], times[24] = "";
        count = count_equal(trap, i);
        if (count > 1)
            (void)snprintf(times, sizeof times, " x %zu", count);
        (void)snprintf(text, sizeof text, "%s%s (0x%x)%s", i > 0 ? "<- " : "", frame->function,
                       frame->module_offset, times);
        size_t size = strlen(text);
        if (i == 0 || column + 1 + size > LINE_COLUMNS) {
            (void)fprintf(stderr, "%s%s", i == 0 ? "  in  " : "\n      ", text);
            column = 6 + size;
        } else {
            (void)fprintf(stderr, " %s", text);
            column += 1 + size;
        }
    }
    if (trap->frame_count > 0)
        (void)fputc('\n', stderr);
    if (trap->frames_left_out > 0)
        (void)fprintf(stderr, "      and %zu frames more\n", trap->frames_left_out);
}

static void print_details(const struct weir_error *error)
{
    for (const struct weir_error_detail *d = error->details; d != NULL; d = d->next)
        (void)fprintf(stderr, "  %s\n", d->text);
}

/* A guest that was refused memory gets -1 and often ends in a trap of its own making: then the
 * first refusal is the cause, and is shown. */
static void print_refusal(const struct weir_store *store)
{
    const struct weir_error *refusal = weir_store_refusal(store);
    if (refusal == NULL)
        return;
    (void)fprintf(stderr, "  memory was refused before; the first time\n  %s\n", refusal->message);
    print_details(refusal);
    (void)fprintf(stderr, "  raise it with --memory-max, or see what grew: weir run --report\n");
}

void weir__run_print_trap(const struct weir__run *run)
{
    const struct weir_trap *trap = &run->trap;
    (void)fflush(stdout);
    (void)fprintf(stderr, "guest trapped: %s\n", weir_trap_text(trap->code));
    if (trap->cause.message[0] != 0)
        (void)fprintf(stderr, "  %s\n", trap->cause.message);
    print_frames(trap);
    print_details(&trap->cause);
    if (trap->code == WEIR_TRAP_FUEL)
        (void)fprintf(stderr, "  --fuel %llu is used up\n", (unsigned long long)run->options->fuel);
    if (trap->code == WEIR_TRAP_DEADLINE)
        (void)fprintf(stderr, "  --timeout %s is over\n",
                      weir_duration_format(run->options->timeout_ns).text);
    if (run->store != NULL)
        print_refusal(run->store);
}
