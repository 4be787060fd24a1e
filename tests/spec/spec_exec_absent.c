/* Stands in for spec_exec.c while there is no runtime to link with: weir-spec only validates. */
#include "spec.h"

struct spec_exec *spec_exec_new(const struct spec_options *options)
{
    (void)options;
    return NULL;
}

void spec_exec_free(struct spec_exec *exec)
{
    (void)exec;
}

enum spec_result spec_exec_command(struct spec_run *run, enum spec_kind kind, const json_t *command)
{
    (void)run;
    (void)kind;
    (void)command;
    return SPEC_SKIPPED_LISTED;
}

void spec_exec_leave_out(struct spec_run *run, const json_t *command, enum spec_result why)
{
    (void)run;
    (void)command;
    (void)why;
}

enum weir_status spec_exec_compile(struct spec_run *run, const uint8_t *bytes, size_t size,
                                   struct weir_error *error)
{
    (void)run;
    (void)bytes;
    (void)size;
    (void)error;
    return WEIR_OK;
}
