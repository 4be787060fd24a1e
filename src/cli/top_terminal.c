/* The terminal: taken over, and given back on every way out. Sequences are those that every
 * terminal since the VT100 knows (ECMA-48), and the other screen of xterm, which others ignore.
 *
 * Signals that end the program only say so: the loop gives the terminal back and dies of the same
 * signal. Faults give it back in their handler, which may only write and set attributes. Signals
 * are blocked but while a key is waited for, so none is lost between looking and waiting.
 */
#include "cli/top_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\x1b[?1049h\x1b[?25l"        /* other screen, no cursor */
#define LEAVE "\x1b[0m\x1b[?25h\x1b[?1049l" /* styles off, cursor, own screen */
#define HOME "\x1b[H"
#define WIPE_LINE "\x1b[K"
#define WIPE_BELOW "\x1b[J"
#define ESCAPE 27
#define ESCAPE_MS 25 /* the rest of a key's sequence comes at once */

static const int ENDING[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

static struct termios before;
static sigset_t while_waiting; /* what is blocked then */
static volatile sig_atomic_t is_entered, ended_by, was_resized, was_stopped;

static void write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(STDOUT_FILENO, text, size);
        if (wrote < 0 && errno != EINTR)
            return;
        text += wrote > 0 ? wrote : 0;
        size -= wrote > 0 ? (size_t)wrote : 0;
    }
}

/* --- signals --------------------------------------------------------------------------------- */

static void note(int number)
{
    if (number == SIGWINCH)
        was_resized = 1;
    else if (number == SIGTSTP)
        was_stopped = 1;
    else
        ended_by = number;
}

void weir__top_terminal_leave(void)
{
    int kept = errno;
    if (is_entered) {
        is_entered = 0;
        write_all(LEAVE, sizeof LEAVE - 1);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    errno = kept;
}

static void give_back_and_die(int number)
{
    weir__top_terminal_leave();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void set_handlers(void)
{
    struct sigaction action = {.sa_handler = note};
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ENDING / sizeof ENDING[0]; i++) {
        (void)sigaction(ENDING[i], &action, NULL);
        (void)sigaddset(&blocked, ENDING[i]);
    }
    (void)sigaction(SIGWINCH, &action, NULL);
    (void)sigaction(SIGTSTP, &action, NULL);
    (void)sigaddset(&blocked, SIGWINCH);
    (void)sigaddset(&blocked, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &blocked, &while_waiting);
    struct sigaction fault = {.sa_handler = give_back_and_die, .sa_flags = SA_NODEFER};
    (void)sigemptyset(&fault.sa_mask);
    for (size_t i = 0; i < sizeof FAULTS / sizeof FAULTS[0]; i++)
        (void)sigaction(FAULTS[i], &fault, NULL);
}

int weir__top_terminal_signal(void)
{
    return ended_by;
}

/* --- taking and giving back ------------------------------------------------------------------- */

/* Keys come one by one and unseen; ^C and its like still are signals. */
static bool take(void)
{
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    is_entered = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) {
        is_entered = 0;
        return false;
    }
    write_all(ENTER, sizeof ENTER - 1);
    return true;
}

const char *weir__top_terminal_enter(void)
{
    const char *kind = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return "input and output are no terminal";
    if (kind == NULL || kind[0] == 0 || strcmp(kind, "dumb") == 0)
        return "the terminal cannot be drawn on (TERM)";
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return "the terminal's settings cannot be read";
    set_handlers();
    (void)atexit(weir__top_terminal_leave);
    return take() ? NULL : "the terminal's settings cannot be changed";
}

/* ^Z: as it was, until somebody says go on. */
static void stop(void)
{
    was_stopped = 0;
    weir__top_terminal_leave();
    (void)raise(SIGSTOP);
    (void)take();
}

void weir__top_terminal_size(int *ret_columns, int *ret_lines)
{
    struct winsize size = {0};
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    int columns = is_known ? size.ws_col : 80;
    int lines = is_known && size.ws_row > 0 ? size.ws_row : 24;
    *ret_columns = columns < WEIR_TOP_COLUMNS_MIN   ? WEIR_TOP_COLUMNS_MIN
                   : columns > WEIR_TOP_COLUMNS_MAX ? WEIR_TOP_COLUMNS_MAX
                                                    : columns;
    *ret_lines = lines < WEIR_TOP_LINES_MIN   ? WEIR_TOP_LINES_MIN
                 : lines > WEIR_TOP_LINES_MAX ? WEIR_TOP_LINES_MAX
                                              : lines;
}

void weir__top_terminal_show(const char *text, size_t size)
{
    write_all(HOME, sizeof HOME - 1);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end != NULL ? (size_t)(end - text) : size;
        write_all(text, length);
        write_all(WIPE_LINE, sizeof WIPE_LINE - 1);
        size -= length + (end != NULL);
        text += length + (end != NULL);
        if (size > 0) /* the last line must not make the screen scroll */
            write_all("\n", 1);
    }
    write_all(WIPE_BELOW, sizeof WIPE_BELOW - 1);
}

/* --- keys ------------------------------------------------------------------------------------- */

/* The next byte; -1: none in time or a signal came; -2: the terminal is gone. */
static int next_byte(int timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    const struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                                     .tv_nsec = timeout_ms % 1000 * 1000000L};
    int ready = ppoll(&input, 1, &timeout, &while_waiting);
    unsigned char byte;
    if (ready <= 0)
        return -1;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got == 1)
        return byte;
    return got == 0 || errno == EIO ? -2 : -1;
}

/* What follows an escape: an arrow, the key itself, or what is not for us. */
static int read_sequence(void)
{
    static const struct {
        char letter;
        enum weir__top_key key;
    } ARROWS[] = {{'A', WEIR__TOP_KEY_UP},
                  {'B', WEIR__TOP_KEY_DOWN},
                  {'C', WEIR__TOP_KEY_RIGHT},
                  {'D', WEIR__TOP_KEY_LEFT}};
    int byte = next_byte(ESCAPE_MS);
    if (byte != '[' && byte != 'O')
        return WEIR__TOP_KEY_ESCAPE;
    do
        byte = next_byte(ESCAPE_MS);
    while (byte >= 0x20 && byte < 0x40); /* parameters */
    for (size_t i = 0; i < sizeof ARROWS / sizeof ARROWS[0]; i++)
        if (byte == ARROWS[i].letter)
            return (int)ARROWS[i].key;
    return WEIR__TOP_KEY_NONE;
}

int weir__top_terminal_key(int timeout_ms)
{
    int byte = ended_by != 0 ? -1 : next_byte(timeout_ms);
    if (was_stopped)
        stop();
    if (ended_by != 0 || byte == -2)
        return WEIR__TOP_KEY_END;
    if (was_resized) {
        was_resized = 0;
        return WEIR__TOP_KEY_RESIZE;
    }
    if (byte < 0)
        return WEIR__TOP_KEY_NONE;
    return byte == ESCAPE ? read_sequence() : byte;
}
