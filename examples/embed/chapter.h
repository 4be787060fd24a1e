/* What every chapter needs and no reader came for: reading a module's file, finding and calling an
 * export, and giving up with a reason. Each program takes the path of its module.
 */
#ifndef WEIR_CHAPTER_H
#define WEIR_CHAPTER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

/* Ends the program unless it holds. */
#define EXPECT(x) chapter_check((x), #x)

static inline void chapter_check(bool is_good, const char *what)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "this went wrong: %s\n", what);
    exit(EXIT_FAILURE);
}

/* The whole of an error: its line, and below it what has no single line. */
static inline void print_error(FILE *to, const struct weir_error *error)
{
    (void)fprintf(to, "%s: %s\n", weir_status_name(error->status), error->message);
    for (const struct weir_error_detail *at = error->details; at != NULL; at = at->next)
        (void)fprintf(to, "  %s\n", at->text);
}

/* Ends the program with the status's exit code unless a call went well. */
static inline void must(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    print_error(stderr, error);
    exit(weir_status_exit_code(status));
}

struct chapter_bytes {
    uint8_t *data;
    size_t size;
};

static inline struct chapter_bytes chapter_read(const char *path)
{
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    chapter_check(file != NULL, "the module's file can be opened (give its path)");
    (void)fseek(file, 0, SEEK_END);
    long size = ftell(file);
    (void)fseek(file, 0, SEEK_SET);
    struct chapter_bytes bytes = {malloc(size > 0 ? (size_t)size : 1), size > 0 ? (size_t)size : 0};
    chapter_check(bytes.data != NULL && fread(bytes.data, 1, bytes.size, file) == bytes.size,
                  "the file can be read");
    (void)fclose(file);
    return bytes;
}

/* Compiles the file in the compiler process; the bytes are not needed afterwards. */
static inline struct weir_module *chapter_module(struct weir_engine *engine, const char *path,
                                                 const char *name)
{
    struct weir_error error = {0};
    struct weir_module *module = NULL;
    struct chapter_bytes bytes = chapter_read(path);
    must(weir_module_new(engine, bytes.data, bytes.size, &(struct weir_module_config){.name = name},
                         &module, &error),
         &error);
    free(bytes.data);
    return module;
}

/* Exports live as long as their instance: nothing is to be given back. */
static inline struct weir_funcref *chapter_func(struct weir_instance *instance, const char *name)
{
    struct weir_extern item = {0};
    chapter_check(weir_instance_export(instance, name, strlen(name), &item) == WEIR_OK &&
                      item.kind == WEIR_EXTERN_FUNC,
                  name);
    return item.func;
}

/* Calls an export of up to two i32s that must not trap; what it returns, or 0. */
static inline int32_t chapter_call(struct weir_instance *instance, const char *name, int32_t first,
                                   int32_t second)
{
    struct weir_error error = {0};
    union weir_value args[2] = {{.i32 = first}, {.i32 = second}};
    union weir_value result = {0};
    must(weir_func_call(weir_instance_store(instance), chapter_func(instance, name), args, &result,
                        NULL, &error),
         &error);
    return result.i32;
}

#endif
