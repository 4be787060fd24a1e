/* Ends itself the way its argument says: by a signal, by a trap, by looping or by waiting. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char byte;
    switch (argc > 1 ? argv[1][0] : 'x') {
    case 'a':
        abort();
    case 't':
        __builtin_trap();
    case 'l':
        for (volatile int i = 0;; i++)
            ;
    case 'w':
        return read(0, &byte, 1) == 1 ? byte : 99;
    case 's':
        sleep(1000);
        return 98;
    default:
        exit(7);
    }
}
