/* Progress of long work: one line on stderr, only on a terminal, only after the first second. */
#ifndef WEIR_CLI_PROGRESS_H
#define WEIR_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct weir_cli_progress {
    const char *what; /* "compiling sqlite.wasm" */
    const char *unit; /* "functions" */
    uint64_t begin_ns;
    uint64_t shown_ns;
    bool is_on;
    bool is_shown;
};

/* `is_quiet` or no terminal: nothing will be printed. */
void weir_cli_progress_begin(struct weir_cli_progress *progress, const char *what, const char *unit,
                             bool is_quiet);
/* Fits weir_module_config.progress; `context` is the struct. */
void weir_cli_progress_step(void *context, uint32_t done, uint32_t total);
/* Wipes the line. */
void weir_cli_progress_end(struct weir_cli_progress *progress);

#endif
