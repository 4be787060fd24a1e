/* Listening to a child while it compiles. What it says is checked like any other input. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/compile_internal.h"

static void take_reply(const struct weir_compile_job *job,
                       const struct weir_compile_reply_wire *reply,
                       struct weir__compile_answer *answer)
{
    switch (reply->type) {
    case WEIR_REPLY_STARTED:
        answer->started_ns = weir_clock_ns();
        return;
    case WEIR_REPLY_PROGRESS:
        if (job->progress != NULL && reply->numbers[1] <= UINT32_MAX &&
            reply->numbers[0] <= reply->numbers[1])
            job->progress(job->progress_context, (uint32_t)reply->numbers[0],
                          (uint32_t)reply->numbers[1]);
        return;
    case WEIR_REPLY_RESULT:
    case WEIR_REPLY_REFUSED:
        answer->result = *reply;
        answer->has_result = true;
        answer->has_exit = answer->has_exit || reply->type == WEIR_REPLY_REFUSED;
        return;
    case WEIR_REPLY_EXIT:
        answer->exit = *reply;
        answer->has_exit = true;
        return;
    default:
        return;
    }
}

/* The EXIT reply comes last and from the spawner. A child that claims one only ends its own job
 * early: its output is sealed before it is checked, and it is killed when the socket closes. */
enum weir_status weir__compile_wait(const struct weir_compile_job *job, int reply_fd,
                                    struct weir__compile_answer *ret_answer,
                                    struct weir_error *error)
{
    struct weir__compile_answer answer = {0};
    struct pollfd fds[2] = {{reply_fd, POLLIN, 0}, {job->cancel_fd, POLLIN, 0}};
    nfds_t fd_count = job->cancel_fd > 0 ? 2 : 1;
    while (!answer.has_exit) {
        if (poll(fds, fd_count, -1) < 0 && errno != EINTR)
            return weir_error_set_errno(error, WEIR_IO, errno, "cannot wait for the compiler");
        if (fd_count == 2 && fds[1].revents != 0)
            return weir_error_set(error, WEIR_CANCELLED, WEIR_NO_OFFSET,
                                  "the compilation was cancelled");
        if (fds[0].revents == 0)
            continue;
        struct weir_compile_reply_wire reply;
        ssize_t size = recv(reply_fd, &reply, sizeof reply, MSG_DONTWAIT | MSG_TRUNC);
        if (size < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (size <= 0)
            break;
        if (size == (ssize_t)sizeof reply)
            take_reply(job, &reply, &answer);
    }
    *ret_answer = answer;
    return WEIR_OK;
}
