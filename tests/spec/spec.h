/* The spec-suite runner: shared declarations of its parts (spec_main.c says what it does). */
#ifndef WEIR_TESTS_SPEC_H
#define WEIR_TESTS_SPEC_H

#include <jansson.h>
#include <stdio.h>

#include <weir/weir.h>

#include "wasm/module.h"

/* Kinds of commands that wast2json writes, as identifier and name. */
#define SPEC_KINDS(X)                                                                              \
    X(MODULE, "module")                                                                            \
    X(REGISTER, "register")                                                                        \
    X(ACTION, "action")                                                                            \
    X(RETURN, "assert_return")                                                                     \
    X(TRAP, "assert_trap")                                                                         \
    X(EXHAUSTION, "assert_exhaustion")                                                             \
    X(INVALID, "assert_invalid")                                                                   \
    X(MALFORMED, "assert_malformed")                                                               \
    X(UNLINKABLE, "assert_unlinkable")                                                             \
    X(UNINSTANTIABLE, "assert_uninstantiable")                                                     \
    X(EXCEPTION, "assert_exception")

enum spec_kind {
#define SPEC_KIND_ENUM(id, name) SPEC_##id,
    SPEC_KINDS(SPEC_KIND_ENUM)
#undef SPEC_KIND_ENUM
    SPEC_KIND_COUNT
};
const char *spec_kind_name(enum spec_kind kind);
/* SPEC_KIND_COUNT for a name that is not known. */
enum spec_kind spec_kind_of(const char *name);

enum spec_result {
    SPEC_PASSED,
    SPEC_FAILED,
    SPEC_SKIPPED_LISTED,  /* by the skip list */
    SPEC_SKIPPED_ASKED,   /* by --validate-only */
    SPEC_SKIPPED_TEXT,    /* module_type: text, which is not for an engine */
    SPEC_SKIPPED_FEATURE, /* needs a feature that is validated only */
    SPEC_RESULT_COUNT
};

struct spec_counts {
    unsigned total[SPEC_KIND_COUNT]; /* as the archive has them */
    unsigned results[SPEC_KIND_COUNT][SPEC_RESULT_COUNT];
};

struct spec_skip_list;
/* Reads a skip list; exits with a message when it is not well formed. NULL for a NULL path. */
struct spec_skip_list *spec_skip_list_read(const char *path);
void spec_skip_list_free(struct spec_skip_list *list);
/* Is execution in this file (name without folder and suffix) to be skipped? NULL list: no. */
bool spec_skip_execution(const struct spec_skip_list *list, const char *file);
/* Is `name` the status that the list expects for "file:line", against the script's own word? */
bool spec_skip_verdict(const struct spec_skip_list *list, const char *file, long long line,
                       const char *name);

struct spec_options {
    uint32_t features;         /* decoded and validated with */
    uint32_t execute_features; /* a module that needs more is validated only */
    enum weir_bounds bounds;
    bool no_execution;
    bool is_verbose;
    const struct spec_skip_list *skips;
};

/* A file being run. Everything a script creates lives in one store. */
struct spec_run {
    const struct spec_options *options;
    struct spec_counts *counts; /* shared with the parent, which reads them after a crash */
    const char *path;           /* of the JSON file */
    const char *source;         /* name of the .wast file, for messages */
    char name[128];             /* the same without suffix, for the skip list */
    bool skips_execution;
    json_int_t line;
    struct spec_exec *exec; /* NULL when nothing is executed */
};

/* One line about a failed command: source:line: kind: text. */
void spec_fail(const struct spec_run *run, enum spec_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Runs all commands of run->path; false when the file itself cannot be read. */
bool spec_script_run(struct spec_run *run, const json_t *script);

/* Reads the module file a command names; exits when it is missing. Release with free(). */
uint8_t *spec_read_module(const struct spec_run *run, const json_t *command, size_t *ret_size);

/* Execution through the public API (spec_exec.c). `features_needed` 0 when unknown. */
struct spec_exec *spec_exec_new(const struct spec_options *options);
void spec_exec_free(struct spec_exec *exec);
enum spec_result spec_exec_command(struct spec_run *run, enum spec_kind kind,
                                   const json_t *command);
/* The module of this command is not instantiated, and what follows for it is skipped as `why`. */
void spec_exec_leave_out(struct spec_run *run, const json_t *command, enum spec_result why);
/* What the API says of bytes that must be refused; the status is returned. */
enum weir_status spec_exec_compile(struct spec_run *run, const uint8_t *bytes, size_t size,
                                   struct weir_error *error);

/* Makes the module "spectest" available in the linker. */
void spec_host_define(struct weir_linker *linker, struct weir_store *store);

/* Values as wast2json writes them. Both exit on a form they do not know. */
union weir_value spec_value_parse(const json_t *value, enum weir_type *ret_type);
/* Does `got` (of type `type`) match an expected value, NaN classes and references included? */
bool spec_value_matches(const json_t *expected, enum weir_type type, union weir_value got);
void spec_value_print(char *to, size_t size, enum weir_type type, union weir_value value);
/* The expected value in the words of the script. */
void spec_value_print_expected(char *to, size_t size, const json_t *expected);

#endif
