/* `weir plan`: what its files share. */
#ifndef WEIR_CLI_PLAN_INTERNAL_H
#define WEIR_CLI_PLAN_INTERNAL_H

#include "cli/cli_options.h"
#include "cli/cli_table.h"
#include "cli/cli_text.h"
#include "cli/plan_table.h"
#include "govern/nitro_plan.h"
#include "govern/wasmd_plan.h"

#include <jansson.h>

enum plan_output {
    PLAN_TABLE,
    PLAN_JSON,
    PLAN_ENV,
    PLAN_SYSTEMD,
    PLAN_K8S
};

struct plan_options {
    const char *target; /* "nitro", "wasmd"; NULL: weir */
    const char *file;   /* its configuration; NULL: defaults */
    enum plan_output output;
    bool is_explain;
    struct weir_nitro_run run; /* memory_bytes 0: the binding cgroup's */
    bool is_code_bound;
    const char *modules;
    const char *trace;
    const char *version;            /* of wasmvm */
    const char *first_nitro_option; /* for "--x is for nitro" */
    const char *first_wasmd_option;
    const char *first_memory_option;  /* not for wasmd */
    const char *first_modules_option; /* not for nitro */
    const char *root;                 /* where /proc and /sys are looked for */
};

extern const struct weir_cli_command weir__plan_command;

/* All return the exit code. */
int weir__plan_weir(const struct plan_options *options);
int weir__plan_nitro(struct plan_options *options);
int weir__plan_wasmd(const struct plan_options *options);

/* --- helpers ------------------------------------------------------------------------------- */


/* Warnings and advice, one sentence or two each. */
#define PLAN_NOTES_MAX 16
#define PLAN_NOTE_SIZE 320
struct plan_notes {
    char texts[PLAN_NOTES_MAX][PLAN_NOTE_SIZE];
    size_t count;
};
void weir__plan_note(struct plan_notes *notes, const char *format, ...) WEIR_PRINTF(2, 3);
/* Under a title, wrapped at 80 columns; nothing when there are none. */
void weir__plan_print_notes(const char *title, const struct plan_notes *notes);
json_t *weir__plan_notes_json(const struct plan_notes *notes);

/* All lines of a plan, in order. */
json_t *weir__plan_lines_json(const struct weir_plan *plan);
json_t *weir__plan_moves_json(const struct weir_plan *plan);
/* Prints and releases; the exit code. NULL is what jansson makes of names that are not UTF-8. */
int weir__plan_print_json(json_t *json);

/* What has to be set, in the form that --output asks for. */
struct plan_setting {
    const char *name;
    const char *value;
};
void weir__plan_print_settings(enum plan_output output, uint64_t memory_bytes,
                               const struct plan_setting *settings, size_t count);

#endif
