/* Executes commands through the public API: one engine, one store and one linker per script. The
 * linker allows shadowing, because scripts register under a name again. */
#include <stdlib.h>
#include <string.h>

#include "spec.h"

/* A module of the script: instantiated, or left out for a reason. */
struct entry {
    struct entry *next;
    char *name; /* NULL when the script gives none */
    struct weir_instance *instance;
    enum spec_result why; /* SPEC_PASSED when there is an instance */
};

struct spec_exec {
    struct weir_engine *engine;
    struct weir_store *store;
    struct weir_linker *linker;
    struct entry *newest;
};

static void must(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "weir-spec: %s: %s\n", weir_status_name(status), error->message);
    exit(2);
}

struct spec_exec *spec_exec_new(const struct spec_options *options)
{
    struct spec_exec *exec = calloc(1, sizeof *exec);
    if (exec == NULL)
        abort();
    struct weir_error error = {0};
    /* A script may hold hundreds of modules; nothing else is wider than an embedder's default. */
    struct weir_engine_config engine = {.features = options->execute_features,
                                        .bounds = options->bounds};
    struct weir_store_config store = {.name = "script", .instances_max = 10000};
    must(weir_engine_new(&engine, &exec->engine, &error), &error);
    must(weir_store_new(exec->engine, &store, &exec->store, &error), &error);
    must(weir_linker_new(exec->engine, &exec->linker, &error), &error);
    weir_linker_allow_shadowing(exec->linker, true);
    spec_host_define(exec->linker, exec->store);
    return exec;
}

void spec_exec_free(struct spec_exec *exec)
{
    if (exec == NULL)
        return;
    for (struct entry *entry = exec->newest, *next; entry != NULL; entry = next) {
        next = entry->next;
        free(entry->name);
        free(entry);
    }
    weir_linker_free(exec->linker);
    weir_store_close(exec->store, NULL);
    weir_engine_unref(exec->engine);
    free(exec);
}

static const char *string_of(const json_t *command, const char *key)
{
    return json_string_value(json_object_get(command, key));
}

static void add_entry(struct spec_exec *exec, const char *name, struct weir_instance *instance,
                      enum spec_result why)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        abort();
    entry->name = name != NULL ? strdup(name) : NULL;
    entry->instance = instance;
    entry->why = why;
    entry->next = exec->newest;
    exec->newest = entry;
}

/* The module an action means: the one of that name, or the newest. */
static const struct entry *find_entry(const struct spec_exec *exec, const char *name)
{
    const struct entry *entry = exec->newest;
    while (name != NULL && entry != NULL && (entry->name == NULL || strcmp(entry->name, name) != 0))
        entry = entry->next;
    return entry;
}

void spec_exec_leave_out(struct spec_run *run, const json_t *command, enum spec_result why)
{
    if (run->exec != NULL)
        add_entry(run->exec, string_of(command, "name"), NULL, why);
}

enum weir_status spec_exec_compile(struct spec_run *run, const uint8_t *bytes, size_t size,
                                   struct weir_error *error)
{
    struct weir_module *module = NULL;
    enum weir_status status = weir_module_new(run->exec->engine, bytes, size, NULL, &module, error);
    weir_module_unref(module);
    return status;
}

static void print_error(const struct spec_run *run, enum spec_kind kind, const char *what,
                        const struct weir_error *error)
{
    char details[1024] = "";
    size_t used = 0;
    for (const struct weir_error_detail *d = error->details; d != NULL; d = d->next) {
        int more = snprintf(details + used, sizeof details - used, "; %s", d->text);
        if (more < 0 || (size_t)more >= sizeof details - used)
            break;
        used += (size_t)more;
    }
    spec_fail(run, kind, "%s: %s: %s%s", what, weir_status_name(error->status), error->message,
              details);
}

/* Trap texts of the suite begin as ours, or ours as theirs ("uninitialized element 2"). */
static bool is_text(const char *want, const char *got)
{
    size_t length = strlen(want) < strlen(got) ? strlen(want) : strlen(got);
    return length > 0 && strncmp(want, got, length) == 0;
}

static enum spec_result expect_trap(const struct spec_run *run, enum spec_kind kind,
                                    const char *want, const struct weir_trap *trap)
{
    if (is_text(want, weir_trap_text(trap->code)))
        return SPEC_PASSED;
    spec_fail(run, kind, "expected trap \"%s\", got \"%s\"", want, weir_trap_text(trap->code));
    return SPEC_FAILED;
}

/* Compiles and instantiates what the command names; the module need not outlive this. */
static enum weir_status instantiate(struct spec_run *run, const json_t *command,
                                    struct weir_instance **ret_instance, struct weir_trap *trap,
                                    struct weir_error *error)
{
    size_t size;
    uint8_t *bytes = spec_read_module(run, command, &size);
    struct weir_module *module = NULL;
    enum weir_status status = weir_module_new(run->exec->engine, bytes, size, NULL, &module, error);
    free(bytes);
    if (status != WEIR_OK)
        return status;
    status =
        weir_instance_new(run->exec->store, run->exec->linker, module, ret_instance, trap, error);
    weir_module_unref(module);
    return status;
}

static enum spec_result run_instantiation(struct spec_run *run, enum spec_kind kind,
                                          const json_t *command)
{
    enum weir_status want = kind == SPEC_MODULE       ? WEIR_OK
                            : kind == SPEC_UNLINKABLE ? WEIR_LINK
                                                      : WEIR_TRAP;
    struct weir_instance *instance = NULL;
    struct weir_trap trap = {0};
    struct weir_error error = {0};
    enum weir_status status = instantiate(run, command, &instance, &trap, &error);
    enum spec_result result = status == want ? SPEC_PASSED : SPEC_FAILED;
    if (status == WEIR_TRAP && want != WEIR_TRAP)
        spec_fail(run, kind, "trapped: %s", weir_trap_text(trap.code));
    else if (status != want && status != WEIR_OK)
        print_error(run, kind, string_of(command, "filename"), &error);
    else if (status != want)
        spec_fail(run, kind, "expected \"%s\", but it was instantiated",
                  string_of(command, "text"));
    else if (want == WEIR_TRAP)
        result = expect_trap(run, kind, string_of(command, "text"), &trap);
    if (kind == SPEC_MODULE)
        add_entry(run->exec, string_of(command, "name"), instance, result);
    weir_trap_done(&trap);
    weir_error_done(&error);
    return result;
}

static enum spec_result run_register(struct spec_run *run, const json_t *command)
{
    const struct entry *entry = find_entry(run->exec, string_of(command, "name"));
    if (entry == NULL || entry->instance == NULL)
        return entry != NULL ? entry->why : SPEC_FAILED;
    struct weir_error error = {0};
    enum weir_status status = weir_linker_define_instance(
        run->exec->linker, string_of(command, "as"), entry->instance, &error);
    if (status != WEIR_OK)
        print_error(run, SPEC_REGISTER, string_of(command, "as"), &error);
    weir_error_done(&error);
    return status == WEIR_OK ? SPEC_PASSED : SPEC_FAILED;
}

/* What came of an action. */
struct outcome {
    enum weir_status status;
    struct weir_trap trap;
    struct weir_error error;
    enum weir_type *types;
    union weir_value *values;
    size_t count;
};

static void outcome_done(struct outcome *outcome)
{
    weir_trap_done(&outcome->trap);
    weir_error_done(&outcome->error);
    free(outcome->types);
    free(outcome->values);
}

static void outcome_reserve(struct outcome *outcome, size_t count)
{
    outcome->count = count;
    outcome->types = calloc(count + 1, sizeof *outcome->types);
    outcome->values = calloc(count + 1, sizeof *outcome->values);
    if (outcome->types == NULL || outcome->values == NULL)
        abort();
}

static void invoke(struct spec_exec *exec, struct weir_funcref *func, const json_t *args,
                   struct outcome *outcome)
{
    struct weir_func_type type;
    weir_func_type(func, &type);
    outcome_reserve(outcome, type.result_count);
    for (size_t i = 0; i < type.result_count; i++)
        outcome->types[i] = type.results[i];
    union weir_value *values = calloc(type.param_count + 1, sizeof *values);
    if (values == NULL)
        abort();
    bool fits = json_array_size(args) == type.param_count;
    for (size_t i = 0; fits && i < type.param_count; i++) {
        enum weir_type given;
        values[i] = spec_value_parse(json_array_get(args, i), &given);
        fits = given == type.params[i];
    }
    outcome->status = WEIR_INVALID_ARGUMENT;
    if (fits)
        outcome->status = weir_func_call(exec->store, func, values, outcome->values, &outcome->trap,
                                         &outcome->error);
    free(values);
}

static void get(const struct weir_global *global, struct outcome *outcome)
{
    outcome_reserve(outcome, 1);
    bool is_mutable;
    outcome->types[0] = weir_global_type(global, &is_mutable);
    outcome->values[0] = weir_global_get(global);
}

static void run_action(struct spec_exec *exec, struct weir_instance *instance, const json_t *action,
                       struct outcome *outcome)
{
    const json_t *field = json_object_get(action, "field");
    bool is_get = strcmp(string_of(action, "type"), "get") == 0;
    struct weir_extern item;
    outcome->status =
        weir_instance_export(instance, json_string_value(field), json_string_length(field), &item);
    if (outcome->status != WEIR_OK)
        return;
    if (item.kind != (is_get ? WEIR_EXTERN_GLOBAL : WEIR_EXTERN_FUNC))
        outcome->status = WEIR_NOT_FOUND;
    else if (is_get)
        get(item.global, outcome);
    else
        invoke(exec, item.func, json_object_get(action, "args"), outcome);
}

/* Is any of the alternatives of "either", or the value itself, what came? */
static bool matches(const json_t *expected, const struct outcome *outcome, size_t i)
{
    const json_t *either = json_object_get(expected, "either");
    if (either == NULL)
        return spec_value_matches(expected, outcome->types[i], outcome->values[i]);
    size_t index;
    json_t *one;
    json_array_foreach(either, index, one)
    {
        if (spec_value_matches(one, outcome->types[i], outcome->values[i]))
            return true;
    }
    return false;
}

static enum spec_result expect_values(const struct spec_run *run, enum spec_kind kind,
                                      const json_t *command, const struct outcome *outcome)
{
    const char *field = string_of(json_object_get(command, "action"), "field");
    const json_t *expected = json_object_get(command, "expected");
    if (outcome->status == WEIR_TRAP) {
        spec_fail(run, kind, "%s: trapped: %s", field, weir_trap_text(outcome->trap.code));
        return SPEC_FAILED;
    }
    if (outcome->status != WEIR_OK) {
        spec_fail(run, kind, "%s: %s: %s", field, weir_status_name(outcome->status),
                  outcome->error.message);
        return SPEC_FAILED;
    }
    if (kind == SPEC_ACTION)
        return SPEC_PASSED;
    if (json_array_size(expected) != outcome->count) {
        spec_fail(run, kind, "%s: expected %zu results, got %zu", field, json_array_size(expected),
                  outcome->count);
        return SPEC_FAILED;
    }
    for (size_t i = 0; i < outcome->count; i++) {
        const json_t *want = json_array_get(expected, i);
        if (matches(want, outcome, i))
            continue;
        char want_text[256], got_text[256];
        spec_value_print_expected(want_text, sizeof want_text, want);
        spec_value_print(got_text, sizeof got_text, outcome->types[i], outcome->values[i]);
        spec_fail(run, kind, "%s: result %zu: expected %s, got %s", field, i, want_text, got_text);
        return SPEC_FAILED;
    }
    return SPEC_PASSED;
}

static enum spec_result expect_outcome(const struct spec_run *run, enum spec_kind kind,
                                       const json_t *command, const struct outcome *outcome)
{
    if (kind == SPEC_RETURN || kind == SPEC_ACTION)
        return expect_values(run, kind, command, outcome);
    const char *field = string_of(json_object_get(command, "action"), "field");
    if (outcome->status == WEIR_TRAP)
        return expect_trap(run, kind, string_of(command, "text"), &outcome->trap);
    spec_fail(run, kind, "%s: expected trap \"%s\", got %s: %s", field, string_of(command, "text"),
              weir_status_name(outcome->status), outcome->error.message);
    return SPEC_FAILED;
}

enum spec_result spec_exec_command(struct spec_run *run, enum spec_kind kind, const json_t *command)
{
    if (kind == SPEC_MODULE || kind == SPEC_UNLINKABLE || kind == SPEC_UNINSTANTIABLE)
        return run_instantiation(run, kind, command);
    if (kind == SPEC_REGISTER)
        return run_register(run, command);
    const json_t *action = json_object_get(command, "action");
    const struct entry *entry = find_entry(run->exec, string_of(action, "module"));
    if (entry == NULL || entry->instance == NULL) {
        if (entry == NULL || entry->why == SPEC_FAILED)
            spec_fail(run, kind, "%s: its module failed", string_of(action, "field"));
        return entry != NULL ? entry->why : SPEC_FAILED;
    }
    struct outcome outcome = {0};
    run_action(run->exec, entry->instance, action, &outcome);
    enum spec_result result = expect_outcome(run, kind, command, &outcome);
    outcome_done(&outcome);
    return result;
}
