/* --invoke: arguments read by the function's type, results printed one per line. */
#include "cli/run_internal.h"

#include "artifact/abi.h"
#include "base/cleanup.h"
#include "wasm/types_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Signed or unsigned, decimal or 0x…, as long as it fits the width. */
static bool read_integer(const char *text, unsigned bits, uint64_t *ret_value)
{
    char *end = NULL;
    errno = 0;
    bool is_negative = text[0] == '-';
    uint64_t value = is_negative ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
    if (end == text || *end != 0 || errno != 0)
        return false;
    if (bits == 32 && is_negative && (int64_t)value < INT32_MIN)
        return false;
    if (bits == 32 && !is_negative && value > UINT32_MAX)
        return false;
    *ret_value = value;
    return true;
}

static bool read_value(const char *text, enum weir_type type, union weir_value *ret_value)
{
    uint64_t integer = 0;
    char *end = NULL;
    memset(ret_value, 0, sizeof *ret_value);
    switch (type) {
    case WEIR_TYPE_I32:
        if (!read_integer(text, 32, &integer))
            return false;
        ret_value->i32 = (int32_t)(uint32_t)integer;
        return true;
    case WEIR_TYPE_I64:
        if (!read_integer(text, 64, &integer))
            return false;
        ret_value->i64 = (int64_t)integer;
        return true;
    case WEIR_TYPE_F32:
        ret_value->f32 = strtof(text, &end);
        return end != text && *end == 0;
    case WEIR_TYPE_F64:
        ret_value->f64 = strtod(text, &end);
        return end != text && *end == 0;
    default:
        return false;
    }
}

static void print_value(enum weir_type type, const union weir_value *value)
{
    switch (type) {
    case WEIR_TYPE_I32:
        printf("%" PRId32 "\n", value->i32);
        break;
    case WEIR_TYPE_I64:
        printf("%" PRId64 "\n", value->i64);
        break;
    case WEIR_TYPE_F32:
        printf("%.9g\n", (double)value->f32);
        break;
    case WEIR_TYPE_F64:
        printf("%.17g\n", value->f64);
        break;
    case WEIR_TYPE_V128:
        for (int i = 15; i >= 0; i--)
            printf("%02x", value->v128[i]);
        printf("\n");
        break;
    default:
        printf("%s\n", value->externref == NULL ? "null" : "reference");
        break;
    }
}

static enum weir_status read_arguments(const struct weir__run *run,
                                       const struct weir_func_type *type, union weir_value *values,
                                       struct weir_error *error)
{
    const struct weir__run_options *options = run->options;
    size_t given = options->argument_count - 1;
    if (given != type->param_count)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%s takes %zu arguments, %zu are given", options->invoke,
                              type->param_count, given);
    for (size_t i = 0; i < given; i++)
        if (!read_value(options->arguments[i + 1], type->params[i], &values[i]))
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "argument %zu of %s: %s is no %s", i + 1, options->invoke,
                                  options->arguments[i + 1], weir_wasm_type_name(type->params[i]));
    return WEIR_OK;
}

/* A reactor sets itself up first. */
static enum weir_status initialize(struct weir__run *run, struct weir_error *error)
{
    struct weir_extern item;
    if (weir_instance_export(run->instance, "_initialize", strlen("_initialize"), &item) != WEIR_OK)
        return WEIR_OK;
    if (item.kind != WEIR_EXTERN_FUNC)
        return WEIR_OK;
    struct weir_func_type type;
    weir_func_type(item.func, &type);
    if (weir_wasi_check_entry(&type, false) != WEIR_OK)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "'_initialize' takes %zu parameters and answers %zu results; a "
                              "reactor's has neither",
                              type.param_count, type.result_count);
    return weir__run_finish(
        run, weir_func_call(run->store, item.func, NULL, NULL, &run->trap, error), error);
}

enum weir_status weir__run_invoke(struct weir__run *run, struct weir_error *error)
{
    if (run->status != WEIR_OK)
        return WEIR_OK;
    const char *name = run->options->invoke;
    struct weir_extern item;
    if (weir_instance_export(run->instance, name, strlen(name), &item) != WEIR_OK ||
        item.kind != WEIR_EXTERN_FUNC)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "%s exports no function %s; `weir inspect %s` lists what it exports",
                              weir_module_name(run->module), name, run->options->file);
    struct weir_func_type type;
    weir_func_type(item.func, &type);
    AUTO_FREE union weir_value *values =
        calloc(type.param_count + type.result_count + 1, sizeof *values);
    if (values == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for arguments");
    union weir_value *results = values + type.param_count;
    enum weir_status status = read_arguments(run, &type, values, error);
    if (status == WEIR_OK)
        status = initialize(run, error);
    if (status != WEIR_OK || run->status != WEIR_OK)
        return status;
    status = weir_func_call(run->store, item.func, values, results, &run->trap, error);
    const union weir_value *answers = status == WEIR_PENDING ? NULL : results;
    status = weir__run_finish(run, status, error);
    if (status != WEIR_OK || run->status != WEIR_OK || run->trap.code == WEIR_TRAP_EXIT)
        return status;
    if (answers == NULL)
        answers = weir_store_results(run->store);
    for (size_t i = 0; i < type.result_count; i++)
        print_value(type.results[i], &answers[i]);
    (void)fflush(stdout);
    return WEIR_OK;
}
