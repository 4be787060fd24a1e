/* The plan of a Weir host for `--plan weir`: what `weir plan -o json` printed, or a configuration,
 * which the program weir-plan is asked about. */
#include "cli/cli_program.h"
#include "cli/doctor_view.h"

#include "base/cleanup.h"
#include "govern/govern_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static json_t *plan_of(const char *bytes, size_t size)
{
    json_error_t failure;
    json_t *plan = json_loadb(bytes, size, 0, &failure);
    if (json_is_array(json_object_get(plan, "lines")))
        return plan;
    json_decref(plan);
    return NULL;
}

/* Starts it with its output in a pipe, of which the reading end is answered; -1 with errno. */
static int start(const char *program, const char *config, pid_t *ret_pid)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    char *arguments[] = {
        (char *)"weir-plan",       (char *)"-o", (char *)"json", (char *)"--config",
        (char *)(uintptr_t)config, NULL};
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int failed = posix_spawn(ret_pid, program, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    if (failed == 0)
        return ends[0];
    (void)close(ends[0]);
    errno = failed;
    return -1;
}

static size_t read_all(int fd, char *bytes, size_t size)
{
    size_t total = 0;
    ssize_t got;
    while (total < size && (got = read(fd, bytes + total, size - total)) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        total += got > 0 ? (size_t)got : 0;
    }
    return total;
}

/* What is wrong with the configuration weir-plan has said itself. */
static enum weir_status ask_weir_plan(const char *config, json_t **ret_plan,
                                      struct weir_error *error)
{
    char program[PATH_MAX];
    AUTO_FREE char *bytes = malloc(DOCTOR_BASELINE_BYTES_MAX);
    if (bytes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the plan");
    if (!weir_cli_find_program("weir-plan", program))
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "the program weir-plan is missing; give --plan weir what "
                              "weir plan -o json printed");
    pid_t pid = 0;
    int fd = start(program, config, &pid);
    if (fd < 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot start %.150s", program);
    size_t size = read_all(fd, bytes, DOCTOR_BASELINE_BYTES_MAX);
    (void)close(fd);
    int ended = 0;
    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR)
        continue;
    *ret_plan = plan_of(bytes, size);
    if (*ret_plan != NULL)
        return WEIR_OK;
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                          "%.120s is neither a configuration nor a plan in JSON", config);
}

enum weir_status weir__doctor_weir_plan(const struct doctor_options *options, json_t **ret_plan,
                                        struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    if (options->plan_file == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--plan weir needs the host's configuration: --plan weir weir.yaml");
    enum weir_status status =
        weir_cli_read_file(options->plan_file, WEIR_FOREIGN_CONFIG_BYTES_MAX, &bytes, &size, error);
    if (status != WEIR_OK)
        return status;
    *ret_plan = plan_of(bytes, size);
    return *ret_plan != NULL ? WEIR_OK : ask_weir_plan(options->plan_file, ret_plan, error);
}
