/* From a file to a finished guest: engine, module, store, WASI context, call, waiting. */
#include "cli/run_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "artifact/abi.h"
#include "cli/cli_progress.h"
#include "server/host_file.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum weir_status open_module(struct weir__run *run, struct weir_error *error)
{
    const struct weir__run_options *options = run->options;
    char cache[PATH_MAX];
    struct weir_engine_config config = {.bounds = options->bounds,
                                        .has_fuel = options->fuel != 0,
                                        .artifact_dir = options->cache_dir};
    if (!options->no_cache && options->cache_dir == NULL &&
        weir_host_cache_dir(cache, sizeof cache))
        config.artifact_dir = cache;
    enum weir_status status = weir_engine_new(&config, &run->engine, error);
    if (status != WEIR_OK)
        return status;
    char what[96];
    (void)snprintf(what, sizeof what, "compiling %.80s", weir_host_file_name(options->file));
    struct weir_cli_progress progress;
    weir_cli_progress_begin(&progress, what, "functions", options->is_quiet);
    const struct weir_module_config module = {.progress = weir_cli_progress_step,
                                              .progress_context = &progress};
    status = weir_host_file_module(run->engine, NULL, options->file, &module, &run->module, error);
    weir_cli_progress_end(&progress);
    return status;
}

static enum weir_status open_store(struct weir__run *run, struct weir_error *error)
{
    const struct weir__run_options *options = run->options;
    enum weir_status status = weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "default",
                                               WEIR_UNLIMITED, &run->tenant, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_store_config config = {.name = weir_module_name(run->module),
                                             .account = run->tenant,
                                             .memory_bytes_max = options->memory_bytes_max};
    status = weir_store_new(run->engine, &config, &run->store, error);
    if (status == WEIR_OK && options->fuel != 0)
        status = weir_store_set_fuel(run->store, options->fuel, error);
    return status;
}

static struct weir_wasi *the_wasi;

/* One store, one context: it is made after the store, so the store's data cannot hold it. */
static struct weir_wasi *find_wasi(struct weir_store *store)
{
    (void)store;
    return the_wasi;
}

static enum weir_status open_wasi(struct weir__run *run, struct weir_error *error)
{
    const struct weir__run_options *options = run->options;
    struct weir_wasi_config config = {
        .args = (const char *const *)options->arguments,
        .arg_count = options->invoke != NULL ? 1 : options->argument_count,
        .env = options->env,
        .env_count = options->env_count,
        .preopens = options->preopens,
        .preopen_count = options->preopen_count,
        .stdio_fds = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
    };
    enum weir_status status = weir_wasi_new(run->store, &config, &run->wasi, error);
    if (status == WEIR_OK)
        the_wasi = run->wasi;
    return status;
}

/* What a trap is for the caller of a program: DEADLINE, CANCELLED, LIMIT, or TRAP. */
static enum weir_status trap_status(const struct weir_trap *trap)
{
    switch (trap->code) {
    case WEIR_TRAP_DEADLINE:
        return WEIR_DEADLINE;
    case WEIR_TRAP_CANCELLED:
        return WEIR_CANCELLED;
    case WEIR_TRAP_MEMORY_LIMIT:
    case WEIR_TRAP_FUEL:
        return WEIR_LIMIT;
    default:
        return WEIR_TRAP;
    }
}

enum weir_status weir__run_open(struct weir__run *run, struct weir_error *error)
{
    run->begin_ns = weir_clock_ns();
    enum weir_status status = open_module(run, error);
    if (status == WEIR_OK)
        status = open_store(run, error);
    if (status == WEIR_OK)
        status = open_wasi(run, error);
    if (status == WEIR_OK)
        status = weir_linker_new(run->engine, &run->linker, error);
    if (status == WEIR_OK)
        status = weir_wasi_link(run->linker, find_wasi, error);
    run->begin_ns = weir_clock_ns();
    if (status == WEIR_OK && run->options->timeout_ns != 0)
        weir_store_set_deadline(run->store, run->begin_ns + run->options->timeout_ns);
    if (status == WEIR_OK) {
        status = weir_instance_new(run->store, run->linker, run->module, &run->instance, &run->trap,
                                   error);
        if (status == WEIR_TRAP) { /* a segment out of bounds, or the start function */
            run->status = trap_status(&run->trap);
            run->end_ns = weir_clock_ns();
            status = WEIR_OK;
        }
    }
    return status;
}

static void wait_for(const struct weir__run *run)
{
    uint64_t wake_ns = UINT64_MAX;
    int stream = weir_wasi_waits_for(run->wasi, &wake_ns);
    if (run->options->timeout_ns != 0 && run->begin_ns + run->options->timeout_ns < wake_ns)
        wake_ns = run->begin_ns + run->options->timeout_ns;
    if (stream < 0 && wake_ns == UINT64_MAX)
        return; /* a time slice */
    uint64_t now = weir_clock_ns();
    uint64_t left = wake_ns > now ? wake_ns - now : 0;
    struct timespec timeout = weir_timespec(left);
    struct pollfd stream_fd = {.fd = stream, .events = stream == 0 ? POLLIN : POLLOUT};
    (void)ppoll(&stream_fd, stream >= 0 ? 1 : 0, wake_ns != UINT64_MAX ? &timeout : NULL, NULL);
}

enum weir_status weir__run_finish(struct weir__run *run, enum weir_status status,
                                  struct weir_error *error)
{
    while (status == WEIR_PENDING) {
        wait_for(run);
        status = weir_wasi_resume(run->wasi, &run->exit_code, &run->trap, error);
    }
    run->end_ns = weir_clock_ns();
    if (status == WEIR_TRAP && run->trap.code == WEIR_TRAP_EXIT) {
        run->exit_code = run->trap.exit_code;
        return WEIR_OK;
    }
    if (status != WEIR_TRAP)
        return status;
    run->status = trap_status(&run->trap);
    return WEIR_OK;
}

enum weir_status weir__run_guest(struct weir__run *run, struct weir_error *error)
{
    if (run->status != WEIR_OK)
        return WEIR_OK;
    enum weir_status status =
        weir_wasi_run(run->wasi, run->instance, &run->exit_code, &run->trap, error);
    return weir__run_finish(run, status, error);
}

void weir__run_done(struct weir__run *run)
{
    weir_trap_done(&run->trap);
    weir_wasi_free(run->wasi);
    the_wasi = NULL;
    if (run->store != NULL)
        weir_store_close(run->store, NULL);
    weir_linker_free(run->linker);
    weir_module_unref(run->module);
    weir_engine_unref(run->engine);
    weir_account_close(run->tenant);
}
