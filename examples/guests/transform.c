/* Upper-cases a body of any size in 16 KiB of memory: each block is answered before the next is
 * read, so neither the guest nor the host ever holds the whole.
 *
 *   curl --data-binary @big.txt http://127.0.0.1:7070/transform
 */
#include <unistd.h>

static const char HEAD[] = "Content-Type: text/plain\n\n";

static int write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(1, bytes, size);
        if (count < 0)
            return -1;
        bytes += count;
        size -= (size_t)count;
    }
    return 0;
}

int main(void)
{
    static char buffer[16384];
    if (write_all(HEAD, sizeof HEAD - 1) != 0)
        return 1;
    for (;;) {
        ssize_t count = read(0, buffer, sizeof buffer);
        if (count <= 0)
            return count < 0;
        for (ssize_t i = 0; i < count; i++)
            if (buffer[i] >= 'a' && buffer[i] <= 'z')
                buffer[i] = (char)(buffer[i] - 'a' + 'A');
        if (write_all(buffer, (size_t)count) != 0)
            return 1;
    }
}
