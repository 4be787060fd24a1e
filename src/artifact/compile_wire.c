/* Words for what happened to a compiler child. */
#include "artifact/compile_wire.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/sizes.h"

static enum weir_status explain_signal(const struct weir_compile_request_wire *request, int number,
                                       uint64_t peak_bytes, struct weir_error *error)
{
    switch (number) {
    case SIGPROF:
    case SIGXCPU:
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the compiler used up its %u ms of CPU time; raise cpu_ms if the "
                              "module deserves it",
                              request->cpu_ms);
    case SIGXFSZ:
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the artifact would be larger than its limit of %s; raise "
                              "output_bytes if the module deserves it",
                              weir_size_format(request->output_bytes).text);
    case SIGSYS:
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the compiler process tried what its sandbox forbids and was ended; "
                              "keep the module and report it");
    case SIGKILL:
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the compiler process was killed at %s: out of memory in its "
                              "cgroup, out of time, or cancelled",
                              weir_size_format(peak_bytes).text);
    default:
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the compiler process crashed (SIG%s); keep the module and report "
                              "it",
                              sigabbrev_np(number) != NULL ? sigabbrev_np(number) : "?");
    }
}

enum weir_status weir_compile_explain_exit(const struct weir_compile_request_wire *request,
                                           const struct weir_compile_reply_wire *exit,
                                           struct weir_error *error)
{
    int how = (int)exit->status;
    if (WIFSIGNALED(how))
        return explain_signal(request, WTERMSIG(how), exit->numbers[0], error);
    return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                          "the compiler process ended with %d and without a result",
                          WIFEXITED(how) ? WEXITSTATUS(how) : -1);
}

enum weir_status weir_compile_explain_result(const struct weir_compile_request_wire *request,
                                             const struct weir_compile_reply_wire *result,
                                             struct weir_error *error)
{
    if (result->status == WEIR_OK)
        return WEIR_OK;
    if (result->status == WEIR_NO_MEMORY)
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the compiler needs more than its limit of %s for this module of "
                              "%s; raise memory_bytes if it deserves it",
                              weir_size_format(request->memory_bytes).text,
                              weir_size_format(request->module_bytes).text);
    if (result->status >= WEIR_STATUS_COUNT)
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET,
                              "the compiler process answered with the unknown status %u",
                              result->status);
    char message[WEIR_ERROR_MESSAGE_SIZE];
    memcpy(message, result->message, sizeof message);
    message[sizeof message - 1] = '\0';
    for (char *at = message; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    return weir_error_set(error, (enum weir_status)result->status, result->offset, "%s", message);
}
