/* The commands that pause and resume background work: one at a time, in order, bounded in time.
 *
 * A command runs by `sh -c` in a process group of its own, with its figures in the environment.
 * The governor asks again at every poll until it has ended; a pause that is asked for while the
 * command of a resume still runs waits for that command's end, and the other way round.
 */
#include "cli/guard_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/sizes.h"
#include "cli/guard_limits.h"

extern char **environ;

enum {
    ENV_EVENT,
    ENV_REASON,
    ENV_LIMIT,
    ENV_USED,
    ENV_FREE,
    ENV_FREE_LIMIT,
    ENV_BINDING,
    ENV_COUNT
};
#define ENV_SIZE (WEIR_GOVERN_BINDING_SIZE + 32u)

static size_t environment_bytes(size_t count)
{
    return (count + ENV_COUNT + 1) * sizeof(char *) + (size_t)ENV_COUNT * ENV_SIZE;
}

enum weir_status guard__commands_init(struct guard_commands *commands,
                                      const struct guard_options *options,
                                      struct weir_account *account, struct weir_error *error)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **environment =
        weir_account_alloc(account, WEIR_KIND_METADATA, environment_bytes(count), error);
    if (environment == NULL)
        return WEIR_LIMIT;
    *commands = (struct guard_commands){.options = options,
                                        .account = account,
                                        .environment = environment,
                                        .environment_count = count};
    memcpy(environment, environ, count * sizeof(char *));
    char *texts = (char *)&environment[count + ENV_COUNT + 1];
    for (size_t i = 0; i < ENV_COUNT; i++)
        environment[count + i] = texts + i * ENV_SIZE;
    return WEIR_OK;
}

void guard__commands_done(struct guard_commands *commands)
{
    if (commands->environment != NULL)
        weir_account_free(commands->account, WEIR_KIND_METADATA, commands->environment,
                          environment_bytes(commands->environment_count));
    commands->environment = NULL;
}

/* --- starting ------------------------------------------------------------------------------- */

static void WEIR_PRINTF(3, 4)
    set_variable(const struct guard_commands *commands, int index, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(commands->environment[commands->environment_count + (size_t)index], ENV_SIZE,
                    format, args);
    va_end(args);
}

static void set_environment(const struct guard_commands *commands, bool is_paused,
                            const struct weir_reading *reading, const char *reason)
{
    set_variable(commands, ENV_EVENT, "WEIR_EVENT=%s", is_paused ? "pause" : "resume");
    set_variable(commands, ENV_REASON, "WEIR_REASON=%s", reason);
    set_variable(commands, ENV_LIMIT, "WEIR_LIMIT_BYTES=%" PRIu64, reading->limit_bytes);
    set_variable(commands, ENV_USED, "WEIR_USED_BYTES=%" PRIu64, reading->used_bytes);
    set_variable(commands, ENV_FREE, "WEIR_FREE_BYTES=%" PRIu64, reading->free_bytes);
    set_variable(commands, ENV_FREE_LIMIT, "WEIR_FREE_LIMIT_BYTES=%" PRIu64,
                 commands->options->pause_limit_bytes);
    set_variable(commands, ENV_BINDING, "WEIR_BINDING=%s", reading->binding);
}

/* Nothing of ours goes along: signals are reset, descriptors closed, stdin is empty, what it prints
 * goes where our log goes. 0 or an errno. */
static int spawn(const struct guard_commands *commands, const char *command, pid_t *ret_child)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    char shell[] = "sh", flag[] = "-c";
    char *arguments[] = {shell, flag, (char *)(uintptr_t)command, NULL};
    int failed = posix_spawnattr_init(&attributes);
    if (failed != 0)
        return failed;
    failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0) {
        (void)posix_spawnattr_destroy(&attributes);
        return failed;
    }
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
    failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, 2, 1);
    if (failed == 0)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (failed == 0)
        failed = posix_spawn(ret_child, "/bin/sh", &actions, &attributes, arguments,
                             commands->environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return failed;
}

static const char *name_of(bool is_pause)
{
    return is_pause ? "--on-pause" : "--on-resume";
}

/* --- ending --------------------------------------------------------------------------------- */

static void log_end(const struct guard_commands *commands, int how, uint64_t now_ns)
{
    const char *name = name_of(commands->is_child_pause);
    struct weir_size_text took = weir_duration_format(now_ns - commands->begin_ns);
    if (WIFSIGNALED(how))
        guard__log("error: %s ended by signal %d after %s%s", name, WTERMSIG(how), took.text,
                   commands->is_stopped ? ": it took longer than --command-timeout" : "");
    else if (WEXITSTATUS(how) != 0)
        guard__log("error: %s ended with status %d after %s", name, WEXITSTATUS(how), took.text);
    else
        guard__log("%s ended with status 0 after %s", name, took.text);
}

/* Looks whether the child has ended; stops one that takes too long. */
static void look(struct guard_commands *commands)
{
    int how = 0;
    uint64_t now_ns = weir_clock_ns();
    if (commands->child == 0)
        return;
    if (waitpid(commands->child, &how, WNOHANG) == commands->child) {
        log_end(commands, how, now_ns);
        if (commands->is_stopped) /* and what it left behind in its group */
            (void)kill(-commands->child, SIGKILL);
        commands->child = 0;
        commands->has_result = true;
        commands->is_good = WIFEXITED(how) && WEXITSTATUS(how) == 0;
        return;
    }
    if (!commands->is_stopped && now_ns - commands->begin_ns >= commands->options->command_ns) {
        (void)kill(-commands->child, SIGTERM);
        commands->is_stopped = true;
        commands->kill_ns = now_ns + GUARD_COMMAND_GRACE_NS;
    } else if (commands->is_stopped && now_ns >= commands->kill_ns) {
        (void)kill(-commands->child, SIGKILL);
    }
}

enum weir_status guard__commands_set(void *context, bool is_paused,
                                     const struct weir_reading *reading, const char *reason)
{
    struct guard_commands *commands = context;
    const char *command = is_paused ? commands->options->on_pause : commands->options->on_resume;
    if (commands->options->is_once)
        return WEIR_PENDING;
    look(commands);
    if (commands->child != 0)
        return WEIR_PENDING;
    if (commands->has_result && commands->is_child_pause == is_paused) {
        commands->has_result = false;
        return commands->is_good ? WEIR_OK : WEIR_IO;
    }
    commands->has_result = false;
    if (command == NULL)
        return WEIR_OK;
    set_environment(commands, is_paused, reading, reason);
    commands->is_child_pause = is_paused;
    commands->is_stopped = false;
    commands->begin_ns = weir_clock_ns();
    int failed = spawn(commands, command, &commands->child);
    if (failed == 0)
        return WEIR_PENDING;
    commands->child = 0;
    guard__log("error: cannot run %s: %s", name_of(is_paused), strerror(failed));
    return WEIR_IO;
}

void guard__commands_wait(struct guard_commands *commands)
{
    const struct timespec pause = {.tv_nsec = (long)GUARD_COMMAND_POLL_NS};
    for (look(commands); commands->child != 0; look(commands))
        (void)nanosleep(&pause, NULL);
}
