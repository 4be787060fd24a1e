/* usage: capi_cases [NAME ...]
 *
 * Runs every case, or those named, each in a process of its own, and says how it ended:
 * `ok NAME`, `failed NAME: where and what`, `crashed NAME: signal`. Exit 1 when one was not ok. */
#include "capi_case.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASE_SECONDS 60

static const struct capi_case *const tables[] = {
    capi_type_cases, capi_value_cases,  capi_ref_cases,      capi_module_cases,
    capi_func_cases, capi_extern_cases, capi_instance_cases, capi_guest_ref_cases,
};

/* What the child said, cut to one line. */
static void read_words(int fd, char *words, size_t size)
{
    size_t used = 0;
    ssize_t count;
    while (used < size - 1 && (count = read(fd, words + used, size - 1 - used)) > 0)
        used += (size_t)count;
    words[used] = '\0';
    words[strcspn(words, "\n")] = '\0';
}

static _Noreturn void run_child(const struct capi_case *one, int out)
{
    (void)alarm(CASE_SECONDS);
    if (dup2(out, STDOUT_FILENO) < 0)
        _exit(2);
    one->run();
    exit(0); /* leaks are found here */
}

static bool run(const struct capi_case *one)
{
    int pipes[2];
    if (pipe(pipes) != 0)
        return false;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pipes[0]);
        run_child(one, pipes[1]);
    }
    (void)close(pipes[1]);
    char words[512];
    read_words(pipes[0], words, sizeof words);
    (void)close(pipes[0]);
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    if (WIFSIGNALED(status))
        printf("crashed %s: signal %d\n", one->name, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        printf("failed %s: %s\n", one->name, words[0] != '\0' ? words : "no words");
    else
        printf("ok %s\n", one->name);
    return status == 0;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    int bad = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct capi_case *one = tables[i]; one->name != NULL; one++) {
            if (!is_wanted(one->name, argc, argv))
                continue;
            count++;
            bad += !run(one);
        }
    }
    printf("%d cases, %d not ok\n", count, bad);
    return bad == 0 && count > 0 ? 0 : 1;
}
