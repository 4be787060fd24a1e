/* cat: copies its arguments, or stdin, to stdout. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int copy(int fd)
{
    char bytes[8192];
    ssize_t got;
    while ((got = read(fd, bytes, sizeof bytes)) > 0) {
        if (write(STDOUT_FILENO, bytes, (size_t)got) != got)
            return 1;
    }
    return got < 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    if (argc < 2)
        return copy(STDIN_FILENO);
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY);
        if (fd < 0) {
            fprintf(stderr, "cat: %s: %s\n", argv[i], strerror(errno));
            failed = 1;
            continue;
        }
        failed |= copy(fd);
        close(fd);
    }
    return failed;
}
