/* The module "spectest" that the suite's scripts import from, as the reference interpreter has it:
 * functions that print (here: do nothing), four globals, tables of 10 to 20 with either index type,
 * a memory of 1 to 2. */
#include <stdlib.h>

#include "spec.h"

static void must(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "weir-spec: spectest: %s: %s\n", weir_status_name(status),
                  error->message);
    exit(2);
}

static enum weir_status print(struct weir_caller *caller, void *data, const union weir_value *args,
                              union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    (void)results;
    return WEIR_OK;
}

static void define_functions(struct weir_linker *linker)
{
    static const struct {
        const char *name;
        size_t count;
        enum weir_type params[2];
    } functions[] = {
        {"print", 0, {0}},
        {"print_i32", 1, {WEIR_TYPE_I32}},
        {"print_i64", 1, {WEIR_TYPE_I64}},
        {"print_f32", 1, {WEIR_TYPE_F32}},
        {"print_f64", 1, {WEIR_TYPE_F64}},
        {"print_i32_f32", 2, {WEIR_TYPE_I32, WEIR_TYPE_F32}},
        {"print_f64_f64", 2, {WEIR_TYPE_F64, WEIR_TYPE_F64}},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        struct weir_error error = {0};
        struct weir_func_type type = {.params = functions[i].params,
                                      .param_count = functions[i].count};
        must(weir_linker_define_func(linker, "spectest", functions[i].name,
                                     &(struct weir_host_definition){&type, print, NULL}, &error),
             &error);
    }
}

static void define_globals(struct weir_linker *linker, struct weir_store *store)
{
    const struct {
        const char *name;
        enum weir_type type;
        union weir_value value;
    } globals[] = {
        {"global_i32", WEIR_TYPE_I32, {.i32 = 666}},
        {"global_i64", WEIR_TYPE_I64, {.i64 = 666}},
        {"global_f32", WEIR_TYPE_F32, {.f32 = 666.6f}},
        {"global_f64", WEIR_TYPE_F64, {.f64 = 666.6}},
    };
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        struct weir_error error = {0};
        struct weir_extern item = {.kind = WEIR_EXTERN_GLOBAL};
        must(weir_global_new(store, globals[i].type, false, globals[i].value, &item.global, &error),
             &error);
        must(weir_linker_define(linker, store, "spectest", globals[i].name, &item, &error), &error);
    }
}

static void define_table(struct weir_linker *linker, struct weir_store *store, const char *name,
                         bool is_64)
{
    struct weir_error error = {0};
    struct weir_extern item = {.kind = WEIR_EXTERN_TABLE};
    const struct weir_limits table = {.min = 10, .max = 20, .has_max = true, .is_64 = is_64};
    must(weir_table_new(store, WEIR_TYPE_FUNCREF, &table, &item.table, &error), &error);
    must(weir_linker_define(linker, store, "spectest", name, &item, &error), &error);
}

void spec_host_define(struct weir_linker *linker, struct weir_store *store)
{
    define_functions(linker);
    define_globals(linker, store);
    define_table(linker, store, "table", false);
    define_table(linker, store, "table64", true);
    struct weir_error error = {0};
    struct weir_extern item = {.kind = WEIR_EXTERN_MEMORY};
    const struct weir_limits memory = {.min = 1, .max = 2, .has_max = true};
    must(weir_memory_new(store, &memory, &item.memory, &error), &error);
    must(weir_linker_define(linker, store, "spectest", "memory", &item, &error), &error);
}
