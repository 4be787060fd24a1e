/* What the benches of the runtime share: a module compiled in this process. */
#ifndef WEIR_BENCH_GUEST_H
#define WEIR_BENCH_GUEST_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weir/weir.h>

#include "artifact/cpu.h"
#include "compiler/compiler.h"

#include "bench_measure.h"

static inline void bench_must(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", weir_status_name(status), error->message);
    exit(1);
}

/* An artifact in a memfd. */
static inline int bench_artifact(const uint8_t *wasm, size_t size)
{
    struct weir_compile_request request = {.module = wasm,
                                           .module_bytes = size,
                                           .options = {.features = WEIR_FEATURES_DEFAULT,
                                                       .flags = WEIR_ARTIFACT_POLL,
                                                       .cpu_features = weir_cpu_baseline,
                                                       .generator = "fast"}};
    uint8_t *bytes = NULL;
    size_t artifact_bytes = 0;
    struct weir_error error = {0};
    bench_must(weir_compile(&request, &bytes, &artifact_bytes, &error), &error);
    int fd = memfd_create("artifact", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, artifact_bytes) != (ssize_t)artifact_bytes)
        exit(1);
    free(bytes);
    return fd;
}

static inline struct weir_funcref *bench_func(struct weir_instance *instance, const char *name)
{
    struct weir_extern item;
    if (weir_instance_export(instance, name, strlen(name), &item) != WEIR_OK)
        exit(1);
    return item.func;
}

#endif
