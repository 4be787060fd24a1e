/* Speed and memory of the front end: bench_decode FILE.wasm [REPEATS]
 *
 * Prints one line per step: megabytes of Wasm per second (median of the repeats, with the fastest
 * and the slowest), and the bytes of arena per byte of module. Everything is in one thread; the
 * file is read once, so the page cache plays no part.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "wasm/insn.h"

#define REPEATS_DEFAULT 15
#define REPEATS_MAX 1000

WEIR_AUTO_DEFINE(weir_arena, weir_arena_free)

struct run {
    double decode_ms;
    double read_ms;
    double validate_ms;
    size_t module_arena_bytes;
    size_t scratch_arena_bytes;
    uint64_t insn_count;
};

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The reader alone, over all bodies: what a generator pays before it generates. */
static enum weir_status read_bodies(const struct weir_wasm_module *module, uint64_t *ret_count,
                                    struct weir_error *error)
{
    uint64_t count = 0;
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        const struct weir_wasm_func *func = &module->funcs[i];
        struct weir_insn_reader reader = {module, func->code_offset,
                                          func->body_offset + func->body_size};
        struct weir_insn insn;
        for (; reader.position < reader.end; count++) {
            enum weir_status status = weir_insn_read(&reader, &insn, error);
            if (status != WEIR_OK)
                return status;
        }
    }
    *ret_count = count;
    return WEIR_OK;
}

static enum weir_status run_once(const uint8_t *bytes, size_t size, struct run *ret_run,
                                 struct weir_error *error)
{
    AUTO(weir_arena) *arena = NULL;
    AUTO(weir_arena) *scratch = NULL;
    struct weir_wasm_module *module = NULL;
    struct run run = {0};
    enum weir_status status = weir_arena_new(NULL, 0, &arena, error);
    if (status == WEIR_OK)
        status = weir_arena_new(NULL, 0, &scratch, error);
    if (status != WEIR_OK)
        return status;
    double start = now_ms();
    status = weir_wasm_decode((struct weir_wasm_bytes){bytes, size}, UINT32_MAX, NULL, arena,
                              &module, error);
    run.decode_ms = now_ms() - start;
    if (status != WEIR_OK)
        return status;
    start = now_ms();
    status = read_bodies(module, &run.insn_count, error);
    run.read_ms = now_ms() - start;
    if (status != WEIR_OK)
        return status;
    start = now_ms();
    status = weir_wasm_validate(module, scratch, error);
    run.validate_ms = now_ms() - start;
    if (status != WEIR_OK)
        return status;
    run.module_arena_bytes = weir_arena_bytes(arena);
    run.scratch_arena_bytes = weir_arena_bytes(scratch);
    *ret_run = run;
    return WEIR_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_line(const char *name, double *times_ms, size_t count, size_t size)
{
    qsort(times_ms, count, sizeof *times_ms, compare_doubles);
    double megabytes = (double)size / 1e6;
    printf("%-18s %8.1f MB/s   (%.1f to %.1f)\n", name, megabytes / times_ms[count / 2] * 1e3,
           megabytes / times_ms[count - 1] * 1e3, megabytes / times_ms[0] * 1e3);
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    uint8_t *bytes = NULL;
    long size = -1;
    if (fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size > 0 && fseek(file, 0, SEEK_SET) == 0)
        bytes = malloc((size_t)size);
    if (bytes != NULL && fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        free(bytes);
        bytes = NULL;
    }
    (void)fclose(file);
    if (bytes != NULL)
        *ret_size = (size_t)size;
    return bytes;
}

static int report(const uint8_t *bytes, size_t size, size_t repeats)
{
    static double decode[REPEATS_MAX];
    static double read[REPEATS_MAX];
    static double validate[REPEATS_MAX];
    static double both[REPEATS_MAX];
    struct weir_error error = {0};
    struct run run = {0};
    for (size_t i = 0; i < repeats; i++) {
        if (run_once(bytes, size, &run, &error) != WEIR_OK) {
            (void)fprintf(stderr, "bench_decode: at byte %" PRIu64 ": %s\n", error.offset,
                          error.message);
            return 1;
        }
        decode[i] = run.decode_ms;
        read[i] = run.read_ms;
        validate[i] = run.validate_ms;
        both[i] = run.decode_ms + run.validate_ms;
    }
    printf("%zu bytes, %" PRIu64 " instructions, %zu repeats\n", size, run.insn_count, repeats);
    print_line("decode", decode, repeats, size);
    print_line("read instructions", read, repeats, size);
    print_line("validate", validate, repeats, size);
    print_line("decode + validate", both, repeats, size);
    printf("%-18s %8.2f bytes per byte of module\n", "module arena",
           (double)run.module_arena_bytes / (double)size);
    printf("%-18s %8zu bytes\n", "scratch arena", run.scratch_arena_bytes);
    return 0;
}

int main(int argc, char **argv)
{
    size_t size = 0;
    long repeats = argc > 2 ? strtol(argv[2], NULL, 10) : REPEATS_DEFAULT;
    if (argc < 2 || argc > 3 || repeats < 1 || repeats > REPEATS_MAX) {
        (void)fprintf(stderr, "usage: bench_decode FILE.wasm [REPEATS up to %d]\n", REPEATS_MAX);
        return 2;
    }
    AUTO_FREE uint8_t *bytes = read_file(argv[1], &size);
    if (bytes == NULL) {
        (void)fprintf(stderr, "bench_decode: cannot read %s\n", argv[1]);
        return 1;
    }
    return report(bytes, size, (size_t)repeats);
}
