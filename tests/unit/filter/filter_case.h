/* A plugin, a VM and streams for tests: real guests, a host that keeps what it was told. */
#ifndef WEIR_TEST_FILTER_CASE_H
#define WEIR_TEST_FILTER_CASE_H

#include <weir/weir.h>

#include "worlds/filter/filter.h"

/* The time of a callback where a test does not say another: it ends what hangs, nothing else. */
#define FILTER_CASE_HANG_NS UINT64_C(600000000000)

struct filter_case {
    struct weir_engine *engine;
    struct weir_module *module;
    struct weir_filter_registry *registry;
    struct weir_filter_plugin *plugin;
    struct weir_filter_vm *vm;
    struct weir_filter_exchange exchange;
    struct weir_filter_stream *stream;
    /* What the host was told. */
    struct weir_filter_call *calls[16];
    unsigned call_count, cancelled, woken;
    char log[4096];
    size_t log_size;
};

/* The file of a guest, compiled. NULL with a message on stderr. */
struct weir_module *filter_case_load(struct weir_engine *engine, const char *path);
struct weir_filter_config filter_case_config(struct filter_case *c, const char *configuration);
/* Registry, plugin, VM, started. */
enum weir_status filter_case_open(struct filter_case *c, const struct weir_filter_config *config,
                                  struct weir_error *error);
void filter_case_close(struct filter_case *c);
/* Goes on with a VM whose slice ended until it is done. */
enum weir_status filter_case_wait(struct filter_case *c, enum weir_status status,
                                  struct weir_error *error);

/* An exchange with some headers and a stream for it. */
enum weir_status filter_case_begin(struct filter_case *c, const char *deed,
                                   struct weir_error *error);
enum weir_status filter_case_event(struct filter_case *c, enum weir_filter_event event, bool is_end,
                                   struct weir_error *error);
enum weir_status filter_case_end(struct filter_case *c, struct weir_error *error);
/* All that waits for the guest. */
enum weir_status filter_case_work(struct filter_case *c, struct weir_error *error);
/* The value of a request's header; "(none)". Valid until the next call. */
const char *filter_case_header(struct filter_case *c, const char *name);

#endif
