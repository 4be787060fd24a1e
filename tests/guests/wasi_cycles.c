/* Opens, reads and closes a file as often as its argument says, and now and then fails to. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    long cycles = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    char bytes[256];
    struct stat stat_buffer;
    for (long i = 0; i < cycles; i++) {
        int fd = open("/data/data", O_RDONLY);
        if (fd < 0 || read(fd, bytes, sizeof bytes) != 5 || close(fd) != 0)
            return 1;
        if (open("/data/none", O_RDONLY) >= 0 || stat("/data/data", &stat_buffer) != 0)
            return 2;
    }
    return 0;
}
