/* Runs modules that wasm-smith made (fuzz/smith) in every bounds form and with fuel, and compares
 * what comes of them with what another engine said, which lies beside each:
 *
 *     smith_run FILE.wasm ...      compares with FILE.txt; ends with 1 when something differs
 *
 * A line per call: which export, which call of it, the trap's class or the results, and the state
 * afterwards: memories, tables and globals as they are exported. NaNs are written as such, since
 * other engines hand floats over by registers of their own. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "module_run.h"

#define CALLS 2 /* of each exported function, in an instance of its own */
#define TEXT_BYTES ((size_t)4 << 20)
#define VALUES_MAX 64

static const struct {
    const char *name;
    struct run_options options;
} forms[] = {
    {"guard", {WEIR_BOUNDS_GUARD, false, false}},
    {"explicit", {WEIR_BOUNDS_EXPLICIT, false, false}},
    {"metered", {WEIR_BOUNDS_GUARD, true, true}},
    {"explicit, metered", {WEIR_BOUNDS_EXPLICIT, true, false}},
    {"no-signals", {WEIR_BOUNDS_NO_SIGNALS, false, false}},
    {"no-signals, metered", {WEIR_BOUNDS_NO_SIGNALS, true, true}},
};
#define FORMS (sizeof forms / sizeof forms[0])

struct text {
    char *bytes;
    size_t size;
};

static __attribute__((format(printf, 2, 3))) void put(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text->bytes + text->size, TEXT_BYTES - text->size, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= TEXT_BYTES - text->size) {
        (void)fprintf(stderr, "smith_run: more than %zu bytes of outcome\n", TEXT_BYTES);
        exit(1);
    }
    text->size += (size_t)size;
}

/* The arguments of a call: chosen by its number and the parameter's. */
static union weir_value argument(enum weir_type type, unsigned call, unsigned index)
{
    static const int64_t integers[] = {0, 1, -1, 7, 65535, INT32_MIN, INT64_MAX, 1000};
    static const float floats[] = {0.0f, -1.5f, 1e10f, 0.25f, -0.0f, 3e38f, 64.0f, -7.0f};
    unsigned chosen = (call * 5 + index * 3) % 8;
    switch ((int)type) {
    case WEIR_TYPE_I32:
        return (union weir_value){.i32 = (int32_t)(uint32_t)(uint64_t)integers[chosen]};
    case WEIR_TYPE_I64:
        return (union weir_value){.i64 = integers[chosen]};
    case WEIR_TYPE_F32:
        return (union weir_value){.f32 = floats[chosen]};
    case WEIR_TYPE_F64:
        return (union weir_value){.f64 = (double)floats[chosen]};
    default:
        return (union weir_value){.funcref = NULL};
    }
}

static void put_value(struct text *text, enum weir_type type, const union weir_value *value)
{
    switch ((int)type) {
    case WEIR_TYPE_I32:
        put(text, " %08" PRIx32, (uint32_t)value->i32);
        break;
    case WEIR_TYPE_I64:
        put(text, " %016" PRIx64, (uint64_t)value->i64);
        break;
    case WEIR_TYPE_F32:
        if (value->f32 != value->f32)
            put(text, " nan");
        else
            put(text, " %08" PRIx32, value->f32_bits);
        break;
    case WEIR_TYPE_F64:
        if (value->f64 != value->f64)
            put(text, " nan");
        else
            put(text, " %016" PRIx64, value->f64_bits);
        break;
    default:
        put(text, value->funcref == NULL ? " null" : " ref");
    }
}

/* The first four bytes of SHA-256. */
static uint32_t digest(const uint8_t *bytes, size_t size)
{
    struct weir_hash hash;
    struct weir_error error = {0};
    run_expect(weir_hash_bytes(bytes, size, &hash, &error), "hash", &error);
    return (uint32_t)hash.bytes[0] << 24 | (uint32_t)hash.bytes[1] << 16 |
           (uint32_t)hash.bytes[2] << 8 | hash.bytes[3];
}

static void put_memory(struct text *text, const struct weir_memory *memory)
{
    uint64_t size = weir_memory_bytes(memory);
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL || weir_memory_read(memory, 0, bytes, size) != WEIR_OK)
        abort();
    put(text, " m%" PRIu64 ":%08" PRIx32, size >> 16, digest(bytes, size));
    free(bytes);
}

static void put_table(struct text *text, const struct weir_table *table)
{
    uint64_t size = weir_table_size(table);
    uint8_t *is_null = malloc(size + 1);
    if (is_null == NULL)
        abort();
    for (uint64_t i = 0; i < size; i++) {
        void *ref = NULL;
        if (weir_table_get(table, i, &ref) != WEIR_OK)
            abort();
        is_null[i] = ref == NULL;
    }
    put(text, " t%" PRIu64 ":%08" PRIx32, size, digest(is_null, size));
    free(is_null);
}

static void put_state(struct text *text, struct weir_instance *instance)
{
    struct weir_extern item;
    put(text, " |");
    for (size_t i = 0; weir_instance_export_at(instance, i, &item) == WEIR_OK; i++) {
        if (item.kind == WEIR_EXTERN_MEMORY) {
            put_memory(text, item.memory);
        } else if (item.kind == WEIR_EXTERN_TABLE) {
            put_table(text, item.table);
        } else if (item.kind == WEIR_EXTERN_GLOBAL) {
            const union weir_value value = weir_global_get(item.global);
            put_value(text, weir_global_type(item.global, NULL), &value);
        }
    }
    put(text, "\n");
}

static enum weir_status host_mix(struct weir_caller *caller, void *data,
                                 const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0].i64 = gen_host(args[0].i32, args[1].i64);
    return WEIR_OK;
}

static enum weir_status host_float(struct weir_caller *caller, void *data,
                                   const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0].f32 = args[0].f64 > 1.0 ? 2.5f : -0.5f;
    return WEIR_OK;
}

static enum weir_status host_nothing(struct weir_caller *caller, void *data,
                                     const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    (void)results;
    return WEIR_OK;
}

/* A form of one module: what every instance of it shares. */
struct subject {
    struct weir_engine *engine;
    struct weir_module *module;
    bool has_fuel;
};

/* One of each import for a store, by the name that fuzz/smith/smith.rs gives it. */
static struct weir_linker *make_linker(const struct subject *subject, struct weir_store *store)
{
    static const enum weir_type mix[] = {WEIR_TYPE_I32, WEIR_TYPE_I64};
    static const enum weir_type f64[] = {WEIR_TYPE_F64};
    static const enum weir_type f32[] = {WEIR_TYPE_F32};
    static const struct weir_func_type mix_type = {mix, 2, mix + 1, 1};
    static const struct weir_func_type float_type = {f64, 1, f32, 1};
    static const struct weir_func_type nothing_type = {NULL, 0, NULL, 0};
    static const struct {
        const char *name;
        struct weir_host_definition definition;
    } funcs[] = {{"h", {&mix_type, host_mix, NULL}},
                 {"f", {&float_type, host_float, NULL}},
                 {"n", {&nothing_type, host_nothing, NULL}}};
    struct weir_error error = {0};
    struct weir_linker *linker = NULL;
    run_expect(weir_linker_new(subject->engine, &linker, &error), "linker", &error);
    for (size_t i = 0; i < sizeof funcs / sizeof funcs[0]; i++)
        run_expect(weir_linker_define_func(linker, "e", funcs[i].name, &funcs[i].definition,
                                           &error),
                   "host function", &error);
    static const struct {
        const char *name;
        enum weir_type type;
        int64_t value;
    } globals[] = {{"g", WEIR_TYPE_I32, 9}, {"k", WEIR_TYPE_I64, -77}};
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        struct weir_extern item = {.kind = WEIR_EXTERN_GLOBAL};
        const union weir_value value = {.i64 = globals[i].value};
        run_expect(weir_global_new(store, globals[i].type, false, value, &item.global, &error),
                   "global", &error);
        run_expect(weir_linker_define(linker, store, "e", globals[i].name, &item, &error),
                   "global", &error);
    }
    return linker;
}

static void put_call(struct text *text, struct weir_store *store, struct weir_funcref *func,
                     unsigned call)
{
    static struct weir_trap trap;
    struct weir_error error = {0};
    struct weir_func_type type;
    union weir_value args[VALUES_MAX];
    union weir_value results[VALUES_MAX] = {0};
    weir_func_type(func, &type);
    if (type.param_count > VALUES_MAX || type.result_count > VALUES_MAX)
        abort();
    for (unsigned i = 0; i < type.param_count; i++)
        args[i] = argument(type.params[i], call, i);
    enum weir_status status = weir_func_call(store, func, args, results, &trap, &error);
    if (status == WEIR_TRAP) {
        put(text, " %s", run_trap_class(trap.code));
        weir_trap_done(&trap);
        return;
    }
    run_expect(status, "call", &error);
    put(text, " ok");
    for (size_t i = 0; i < type.result_count; i++)
        put_value(text, type.results[i], &results[i]);
}

/* An instance for export `index`, or only to see how it begins. False when there is none, since
 * instantiation trapped. */
static bool put_instance(struct text *text, const struct subject *subject, int index)
{
    static struct weir_trap trap;
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    run_expect(weir_store_new(subject->engine, NULL, &store, &error), "store", &error);
    if (subject->has_fuel)
        run_expect(weir_store_set_fuel(store, UINT64_C(1) << 40, &error), "fuel", &error);
    struct weir_linker *linker = make_linker(subject, store);
    enum weir_status status =
        weir_instance_new(store, linker, subject->module, &instance, &trap, &error);
    if (status == WEIR_TRAP) {
        put(text, "begin %s\n", run_trap_class(trap.code));
        weir_trap_done(&trap);
        weir_error_done(&error);
    } else {
        run_expect(status, "instance", &error);
    }
    struct weir_extern item;
    if (instance != NULL && index < 0) {
        put(text, "begin ok");
        put_state(text, instance);
    } else if (instance != NULL &&
               weir_instance_export_at(instance, (size_t)index, &item) == WEIR_OK &&
               item.kind == WEIR_EXTERN_FUNC) {
        for (unsigned call = 0; call < CALLS; call++) {
            put(text, "%d.%u", index, call);
            put_call(text, store, item.func, call);
            put_state(text, instance);
        }
    }
    weir_linker_free(linker);
    weir_store_close(store, NULL);
    return status == WEIR_OK;
}

static void put_module(struct text *text, const uint8_t *bytes, size_t size,
                       const struct run_options *options)
{
    struct weir_error error = {0};
    struct subject subject = {.engine = run_engine(options), .has_fuel = options->has_fuel};
    int fd = run_compile(bytes, size, options);
    run_expect(weir_module_load(subject.engine, fd, NULL, &subject.module, &error), "load", &error);
    (void)close(fd);
    text->size = 0;
    bool is_there = put_instance(text, &subject, -1);
    size_t exports = weir_module_export_count(subject.module);
    for (size_t i = 0; is_there && i < exports; i++)
        (void)put_instance(text, &subject, (int)i);
    weir_module_unref(subject.module);
    weir_engine_unref(subject.engine);
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = malloc(TEXT_BYTES);
    if (file == NULL || bytes == NULL) {
        perror(path);
        exit(2);
    }
    *ret_size = fread(bytes, 1, TEXT_BYTES - 1, file);
    bytes[*ret_size] = '\0';
    (void)fclose(file);
    return bytes;
}

static bool is_same(const char *path, const char *form, const char *ours, const char *theirs)
{
    if (strcmp(ours, theirs) == 0)
        return true;
    size_t line = 0;
    for (size_t i = 0; ours[i] == theirs[i]; i++)
        line = ours[i] == '\n' ? i + 1 : line;
    printf("%s: %s\n  here:  %.*s\n  there: %.*s\n", path, form,
           (int)strcspn(ours + line, "\n"), ours + line, (int)strcspn(theirs + line, "\n"),
           theirs + line);
    return false;
}

static bool is_module_same(const char *path, size_t *calls)
{
    char expected_path[4096];
    int length = (int)strlen(path) - (int)strlen(".wasm");
    if (length < 1 || strcmp(path + length, ".wasm") != 0 ||
        snprintf(expected_path, sizeof expected_path, "%.*s.txt", length, path) >= 4096) {
        (void)fprintf(stderr, "smith_run: %s is no NAME.wasm\n", path);
        exit(2);
    }
    size_t size = 0;
    size_t expected_size = 0;
    uint8_t *module = read_file(path, &size);
    uint8_t *expected = read_file(expected_path, &expected_size);
    struct text text = {malloc(TEXT_BYTES), 0};
    if (text.bytes == NULL)
        abort();
    bool is_all_same = true;
    for (size_t i = 0; i < FORMS && is_all_same; i++) {
        put_module(&text, module, size, &forms[i].options);
        is_all_same = is_same(path, forms[i].name, text.bytes, (const char *)expected);
    }
    for (size_t i = 0; i < expected_size; i++)
        *calls += expected[i] == '\n';
    free(text.bytes);
    free(module);
    free(expected);
    return is_all_same;
}

int main(int argc, char **argv)
{
    int different = 0;
    size_t calls = 0;
    for (int i = 1; i < argc; i++) {
        run_subject = argv[i];
        different += !is_module_same(argv[i], &calls);
    }
    if (argc < 2) {
        (void)fprintf(stderr, "usage: smith_run FILE.wasm ...\n");
        return 2;
    }
    printf("%d modules, %zu outcomes, %zu forms: %d differ\n", argc - 1, calls, FORMS, different);
    return different == 0 ? 0 : 1;
}
