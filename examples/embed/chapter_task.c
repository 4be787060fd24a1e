/* Tasks: work that a host does for a guest on other threads, and that ends with the guest's store.
 *
 * The guest asks, the host starts a task and answers PENDING: the guest is parked, the thread is
 * free. When the task has ended the thread that owns the store reaps it and resumes the guest. A
 * store that closes meanwhile cancels its tasks; the receipt says what is still held, and waiting
 * for it is a decision of its own.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep, in strict C too */
#include <pthread.h>
#include <time.h>

#include "chapter.h"

/* Between a task and the store's thread. */
struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_begun, has_ended;
    int32_t answer;
};

struct lookup {
    struct mailbox *mailbox;
    int32_t number, answer;
    bool is_endless;
};

static void tell(struct mailbox *mailbox, bool *flag)
{
    (void)pthread_mutex_lock(&mailbox->lock);
    *flag = true;
    (void)pthread_cond_broadcast(&mailbox->changed);
    (void)pthread_mutex_unlock(&mailbox->lock);
}

static void wait_for(struct mailbox *mailbox, const bool *flag)
{
    (void)pthread_mutex_lock(&mailbox->lock);
    while (!*flag)
        (void)pthread_cond_wait(&mailbox->changed, &mailbox->lock);
    (void)pthread_mutex_unlock(&mailbox->lock);
}

/* On a thread of the executor. */
static void run(struct weir_store_task *task, void *data)
{
    struct lookup *lookup = data;
    tell(lookup->mailbox, &lookup->mailbox->has_begun);
    while (lookup->is_endless && !weir_store_task_is_cancelled(task))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* a slow network */
    lookup->answer = lookup->number * 2;
}

static void wake(void *data)
{
    struct lookup *lookup = data;
    tell(lookup->mailbox, &lookup->mailbox->has_ended);
}

/* On the store's thread, or on the executor's when the store is gone: it touches neither. */
static void done(void *data, bool was_run)
{
    struct lookup *lookup = data;
    printf("task for %d %s\n", lookup->number, was_run ? "done" : "cancelled before it began");
    lookup->mailbox->answer = lookup->answer;
    free(lookup);
}

struct world {
    struct weir_executor *executor;
    struct mailbox mailbox;
};

/* host.lookup: negative numbers take for ever. */
static enum weir_status start(struct weir_caller *caller, void *data, const union weir_value *args,
                              union weir_value *results)
{
    (void)results;
    struct world *world = data;
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "no memory for a lookup");
    *lookup = (struct lookup){
        .mailbox = &world->mailbox, .number = args[0].i32, .is_endless = args[0].i32 < 0};
    struct weir_store_task_definition definition = {.label = "lookup",
                                                    .run = run,
                                                    .wake = wake,
                                                    .done = done,
                                                    .data = lookup,
                                                    .bytes = UINT64_C(65536)};
    struct weir_error error = {0};
    if (weir_store_task_start(weir_caller_store(caller), world->executor, &definition, &error) ==
        WEIR_OK)
        return WEIR_PENDING;
    free(lookup); /* done is not called for what was not started */
    enum weir_status status = weir_caller_trap(caller, WEIR_TRAP_HOST, "%s", error.message);
    weir_error_done(&error);
    return status;
}

static struct weir_store *ask(const struct weir_linker *linker, struct weir_module *module,
                              int32_t number)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    union weir_value args[] = {{.i32 = number}};
    union weir_value result;
    must(weir_store_new(weir_module_engine(module), NULL, &store, &error), &error);
    must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    EXPECT(weir_func_call(store, chapter_func(instance, "ask"), args, &result, NULL, &error) ==
           WEIR_PENDING);
    return store;
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    struct world world = {
        .mailbox = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};
    must(weir_engine_new(NULL, &engine, &error), &error);
    must(weir_executor_new(&(struct weir_executor_config){.threads = 1}, &world.executor, &error),
         &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "asker");
    must(weir_linker_new(engine, &linker, &error), &error);
    static const enum weir_type i32 = WEIR_TYPE_I32;
    struct weir_func_type type = {&i32, 1, &i32, 1};
    must(weir_linker_define_func(
             linker, "host", "lookup",
             &(struct weir_host_definition){.type = &type, .func = start, .data = &world}, &error),
         &error);

    struct weir_store *store = ask(linker, module, 20);
    wait_for(&world.mailbox, &world.mailbox.has_ended);
    while (weir_store_task_count(store) != 0) /* it has run; its record follows */
        (void)weir_store_reap(store);
    union weir_value answer = {.i32 = world.mailbox.answer};
    must(weir_store_resume(store, WEIR_OK, &answer, NULL, &error), &error);
    printf("the guest went on and answers %d\n", weir_store_results(store)[0].i32);
    weir_store_close(store, NULL);

    world.mailbox.has_begun = false;
    store = ask(linker, module, -1);
    wait_for(&world.mailbox, &world.mailbox.has_begun);
    struct weir_receipt receipt = {0};
    weir_store_close(store, &receipt);
    printf("closed at once; pending or not, draining ends well: %s\n",
           receipt.drained || weir_receipt_wait(&receipt, UINT64_C(30000000000)) == WEIR_OK ? "yes"
                                                                                            : "no");
    weir_receipt_done(&receipt);

    weir_executor_free(world.executor);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
