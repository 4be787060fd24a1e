/* Zero growth (DESIGN 7): 100,000 streams with headers, bodies, properties and calls through one
 * VM, and 300 VMs that come, trap or are closed in the midst of a callback; the process is as large
 * as after warm-up. Its own executable, no forked test in between. Argument: streams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "tests/unit/filter/filter_case.h"

#define GROWTH_MAX (256 << 10)

static const char *const deeds[] = {"add", "property", "metric", "local", "call", "hostile", NULL};

static void need(bool is_good, const char *what)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "failed: %s\n", what);
    exit(EXIT_FAILURE);
}

static void stream(struct filter_case *c, unsigned number)
{
    static char body[70000];
    struct weir_error error = {0};
    const char *deed = deeds[number % (sizeof deeds / sizeof deeds[0])];
    need(filter_case_begin(c, deed, &error) == WEIR_OK, error.message);
    need(filter_case_event(c, WEIR_FILTER_ON_REQUEST_HEADERS, false, &error) == WEIR_OK,
         error.message);
    need(weir_filter_buffer_append(weir_filter_stream_buffer(c->stream, WEIR_FILTER_REQUEST), body,
                                   number % sizeof body, &error) == WEIR_OK,
         error.message);
    need(filter_case_event(c, WEIR_FILTER_ON_REQUEST_BODY, true, &error) == WEIR_OK, error.message);
    if (c->call_count > 0 && number % 2 == 0)
        weir_filter_call_finish(c->calls[0]);
    need(filter_case_end(c, &error) == WEIR_OK, error.message);
    if (c->call_count > 0 && number % 2 != 0) /* after the stream is gone */
        weir_filter_call_finish(c->calls[0]);
    c->call_count = 0;
    c->log_size = 0;
    need(filter_case_work(c, &error) == WEIR_OK, error.message);
}

static void vm(struct filter_case *c, unsigned number)
{
    struct weir_error error = {0};
    struct weir_filter_vm *old = c->vm;
    need(weir_filter_vm_new(c->plugin, c, &c->vm, &error) == WEIR_OK, error.message);
    need(weir_filter_vm_start(c->vm, &error) == WEIR_OK, error.message);
    weir_filter_vm_set_slice(c->vm, number % 3 == 0 ? 100000 : 0);
    need(filter_case_begin(c, number % 3 == 0 ? "loop" : number % 3 == 1 ? "trap" : "call",
                           &error) == WEIR_OK,
         error.message);
    enum weir_status status =
        weir_filter_stream_event(c->stream, WEIR_FILTER_ON_REQUEST_HEADERS, true, &error);
    need(status == (number % 3 == 0 ? WEIR_PENDING : number % 3 == 1 ? WEIR_TRAP : WEIR_OK),
         "what the guest was told to do");
    weir_error_done(&error);
    weir_filter_vm_free(c->vm);
    (void)filter_case_end(c, NULL);
    c->vm = old;
    c->call_count = 0;
    c->log_size = 0;
}

int main(int argc, char **argv)
{
    unsigned streams = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    struct filter_case c = {0};
    struct weir_error error = {0};
    struct weir_equation before, after;
    uint64_t small = 0, large = 0;
    need(weir_engine_new(NULL, &c.engine, &error) == WEIR_OK, error.message);
    c.module = filter_case_load(c.engine, GUEST_DIR "/filter_probe.wasm");
    need(c.module != NULL, "the guest");
    struct weir_filter_config config = filter_case_config(&c, "upper");
    need(filter_case_open(&c, &config, &error) == WEIR_OK, error.message);
    for (unsigned i = 0; i < 1000; i++)
        stream(&c, i);
    for (unsigned i = 0; i < 12; i++)
        vm(&c, i);
    need(weir_equation_read(&before, NULL) == WEIR_OK, "equation");
    need(weir_growth_read(&small, NULL) == WEIR_OK, "growth");
    for (unsigned i = 0; i < streams; i++)
        stream(&c, i);
    for (unsigned i = 0; i < 300; i++)
        vm(&c, i);
    need(weir_growth_read(&large, NULL) == WEIR_OK, "growth");
    need(weir_equation_read(&after, NULL) == WEIR_OK, "equation");
    struct weir_filter_figures figures;
    weir_filter_plugin_figures(c.plugin, &figures);
    (void)printf("growth %lld bytes over %u streams and 300 VMs; calls: %llu begun, %llu told, "
                 "%llu left\n",
                 (long long)large - (long long)small, streams, (unsigned long long)figures.calls,
                 (unsigned long long)figures.call_answers, (unsigned long long)figures.calls_left);
    need(figures.calls == figures.call_answers + figures.calls_left, "every call ended once");
    need(before.descriptor_count == after.descriptor_count, "as many descriptors as before");
    filter_case_close(&c);
    weir_module_unref(c.module);
    weir_engine_unref(c.engine);
    if (WEIR_ASAN || WEIR_TSAN)
        return 0; /* the sanitizer keeps freed memory in quarantine */
    need((int64_t)(large - small) <= GROWTH_MAX, "growth is at most 256 KiB");
    need(before.mapping_count == after.mapping_count, "as many mappings as before");
    return 0;
}
