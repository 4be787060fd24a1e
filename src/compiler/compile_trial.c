/* Attempts to get out of the sandbox and to overrun its limits. Only a spawner started with
 * WEIR_COMPILE_TRIALS=1 in its environment hands them to a child. */
#include "compiler/trial_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "compiler/sandbox_internal.h"

#define CHUNK_BYTES ((size_t)1 << 20)

static void spin(void)
{
    for (volatile unsigned i = 0;; i++)
        ;
}

/* Until it is refused; refusal is the success of this trial, told as the compiler would. */
static void take_memory(void)
{
    for (;;) {
        uint8_t *chunk = malloc(CHUNK_BYTES);
        if (chunk == NULL) {
            const struct weir_compile_reply_wire record = {.type = WEIR_REPLY_RESULT,
                                                           .status = WEIR_NO_MEMORY,
                                                           .offset = WEIR_NO_OFFSET,
                                                           .message = "no memory for a trial"};
            ssize_t ignored = write(WEIR__CHILD_REPLY, &record, sizeof record);
            (void)ignored;
            _exit(0);
        }
        memset(chunk, 1, CHUNK_BYTES);
    }
}

static void flood_output(void)
{
    static const uint8_t zeros[4096];
    for (off_t at = 0; pwrite(WEIR__CHILD_OUTPUT, zeros, sizeof zeros, at) > 0;)
        at += (off_t)sizeof zeros;
}

void weir__trial_run(enum weir_compile_trial trial)
{
    char *const nothing[] = {NULL};
    switch (trial) {
    case WEIR_TRIAL_OPEN:
        (void)open("/etc/hostname", O_RDONLY | O_CLOEXEC);
        break;
    case WEIR_TRIAL_SOCKET:
        (void)socket(AF_INET, SOCK_STREAM, 0);
        break;
    case WEIR_TRIAL_EXEC:
        (void)execve("/bin/true", nothing, nothing);
        break;
    case WEIR_TRIAL_FORK:
        (void)fork();
        break;
    case WEIR_TRIAL_KILL_PARENT:
        (void)kill(getppid(), SIGTERM);
        break;
    case WEIR_TRIAL_MAP_EXECUTABLE:
        (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        break;
    case WEIR_TRIAL_SPIN:
        spin();
        break;
    case WEIR_TRIAL_MEMORY:
        take_memory();
        break;
    case WEIR_TRIAL_OUTPUT:
        flood_output();
        break;
    case WEIR_TRIAL_CRASH:
        __builtin_trap();
    case WEIR_TRIAL_SILENCE:
        _exit(0);
    case WEIR_TRIAL_NONE:
    case WEIR_TRIAL_COUNT:
        break;
    }
}
