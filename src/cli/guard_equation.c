/* Equation (b) of the watched cgroup, read by a thread of its own when a page of metrics wants it:
 * the kernel walks every page that the processes have, 40 to 150 µs for each MiB (measured), and
 * nobody who asks to be admitted may wait for that. A page shows the reading before. */
#include "cli/guard_internal.h"

#include <pthread.h>

#include "cli/guard_limits.h"

struct guard_equation {
    const struct guard_options *options;
    struct weir_account *account;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_wanted, is_stopping;
    struct weir_cgroup_equation latest;
};

static void *read_when_wanted(void *context)
{
    struct guard_equation *equation = context;
    const struct guard_options *options = equation->options;
    struct weir_cgroup_equation reading = {.state = WEIR_CGROUP_EQUATION_NOT_READ};
    (void)pthread_mutex_lock(&equation->lock);
    while (!equation->is_stopping) {
        if (!equation->is_wanted) {
            (void)pthread_cond_wait(&equation->wake, &equation->lock);
            continue;
        }
        equation->is_wanted = false;
        (void)pthread_mutex_unlock(&equation->lock);
        weir_cgroup_equation_renew(&reading,
                                   options->cgroup_root != NULL ? options->cgroup_root : "",
                                   options->pid != NULL ? options->pid : "self", options->cgroup);
        (void)pthread_mutex_lock(&equation->lock);
        equation->latest = reading;
    }
    (void)pthread_mutex_unlock(&equation->lock);
    return NULL;
}

static bool start_thread(struct guard_equation *equation)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, GUARD_THREAD_STACK);
    bool is_started =
        pthread_create(&equation->thread, &attributes, read_when_wanted, equation) == 0;
    (void)pthread_attr_destroy(&attributes);
    return is_started;
}

enum weir_status guard__equation_start(const struct guard_options *options,
                                       struct guard_equation **ret_equation,
                                       struct weir_error *error)
{
    *ret_equation = NULL;
    if (options->pressure_file != NULL) /* injected figures have no cgroup */
        return WEIR_OK;
    struct weir_account *account = weir_account_host();
    struct guard_equation *equation =
        weir_account_alloc(account, WEIR_KIND_SERVER, sizeof *equation, error);
    if (equation == NULL)
        return WEIR_LIMIT;
    equation->options = options;
    equation->account = account;
    (void)pthread_mutex_init(&equation->lock, NULL);
    (void)pthread_cond_init(&equation->wake, NULL);
    if (!start_thread(equation)) {
        weir_account_free(account, WEIR_KIND_SERVER, equation, sizeof *equation);
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "cannot start the thread that reads equation (b)");
    }
    *ret_equation = equation;
    return WEIR_OK;
}

void guard__equation_stop(struct guard_equation *equation)
{
    if (equation == NULL)
        return;
    (void)pthread_mutex_lock(&equation->lock);
    equation->is_stopping = true;
    (void)pthread_cond_signal(&equation->wake);
    (void)pthread_mutex_unlock(&equation->lock);
    (void)pthread_join(equation->thread, NULL);
    (void)pthread_cond_destroy(&equation->wake);
    (void)pthread_mutex_destroy(&equation->lock);
    weir_account_free(equation->account, WEIR_KIND_SERVER, equation, sizeof *equation);
}

void guard__equation_get(struct guard_equation *equation, struct weir_cgroup_equation *ret)
{
    *ret = (struct weir_cgroup_equation){.state = WEIR_CGROUP_EQUATION_NO_CGROUP};
    if (equation == NULL)
        return;
    (void)pthread_mutex_lock(&equation->lock);
    *ret = equation->latest;
    equation->is_wanted = true;
    (void)pthread_cond_signal(&equation->wake);
    (void)pthread_mutex_unlock(&equation->lock);
}
