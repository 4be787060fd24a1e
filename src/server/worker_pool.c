/* Workers: threads that give guests time slices in turn, so that a looping guest costs its own
 * request only. A request goes back to its event loop when it waits for the client or has ended. */
#include "server/server_internal.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

void weir__workers_push(struct weir__workers *workers, struct weir__request *request)
{
    request->next = NULL;
    (void)pthread_mutex_lock(&workers->lock);
    if (workers->last != NULL)
        workers->last->next = request;
    else
        workers->first = request;
    workers->last = request;
    workers->queued++;
    (void)pthread_cond_signal(&workers->wake);
    (void)pthread_mutex_unlock(&workers->lock);
}

static struct weir__request *pop(struct weir__workers *workers)
{
    (void)pthread_mutex_lock(&workers->lock);
    while (workers->first == NULL && !workers->is_stopping)
        (void)pthread_cond_wait(&workers->wake, &workers->lock);
    struct weir__request *request = workers->first;
    if (request != NULL) {
        workers->first = request->next;
        if (workers->first == NULL)
            workers->last = NULL;
        workers->queued--;
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return request;
}

/* One slice. */
static void run(struct weir__request *request)
{
    if (atomic_load_explicit(&request->is_gone, memory_order_relaxed))
        weir__guest_abort(request, WEIR__REFUSAL_CANCELLED, "the client left or the server stops");
    else if (atomic_load_explicit(&request->connection->is_stopped, memory_order_relaxed))
        weir__guest_abort(request, WEIR__REFUSAL_STOPPED, WEIR__STOPPED_REASON);
    else if (weir__turn_is_missing(request))
        weir__guest_abort(request, WEIR__REFUSAL_BUSY, "no resident became free in time");
    else if (request->guest == WEIR__GUEST_WAITS_CLOCK &&
             weir_clock_ns() >= request->guest_deadline_ns)
        weir__guest_abort(request, WEIR__REFUSAL_DEADLINE, "the guest slept past its time limit");
    else
        weir__guest_step(request, WEIR_SERVER_SLICE_NS);
}

static void serve(struct weir__workers *workers, struct weir__request *request)
{
    run(request);
    if (request->is_detached) {
        weir__detached_go_on(request);
        return;
    }
    bool has_output = request->is_streaming && request->out_end > request->out_begin;
    if (request->guest == WEIR__GUEST_READY && !has_output) {
        weir__workers_push(workers, request);
        return;
    }
    if (request->guest == WEIR__GUEST_WAITS_CLOCK && request->out_end == request->out_begin) {
        weir__watch_sleep(request);
        return;
    }
    struct weir__connection *connection = request->connection;
    weir__watch_resumed(connection);
    MHD_resume_connection(connection->mhd);
}

static void *work(void *context)
{
    struct weir__workers *workers = context;
    for (struct weir__request *request = pop(workers); request != NULL; request = pop(workers))
        serve(workers, request);
    return NULL;
}

enum weir_status weir__workers_start(struct weir_server *server, struct weir_error *error)
{
    struct weir__workers *workers = &server->workers;
    uint32_t wanted = server->config->workers;
    workers->threads = weir_account_alloc(server->account, WEIR_KIND_SERVER,
                                          wanted * sizeof *workers->threads, error);
    if (workers->threads == NULL)
        return WEIR_LIMIT;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_SERVER_THREAD_STACK);
    int failed = 0;
    while (workers->count < wanted && failed == 0) {
        failed = pthread_create(&workers->threads[workers->count], &attributes, work, workers);
        workers->count += failed == 0;
    }
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed, "cannot start worker %u of %u",
                                    workers->count + 1, wanted);
    return WEIR_OK;
}

void weir__workers_stop(struct weir_server *server)
{
    struct weir__workers *workers = &server->workers;
    (void)pthread_mutex_lock(&workers->lock);
    workers->is_stopping = true;
    (void)pthread_cond_broadcast(&workers->wake);
    (void)pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->count; i++)
        (void)pthread_join(workers->threads[i], NULL);
    WEIR_ASSERT(workers->first == NULL);
    weir_account_free(server->account, WEIR_KIND_SERVER, workers->threads,
                      server->config->workers * sizeof *workers->threads);
    workers->threads = NULL;
    workers->count = 0;
}
