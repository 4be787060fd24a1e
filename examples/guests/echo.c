/* Sends the request back: its environment, one variable per line, then its body as it came.
 *
 *   curl -d 'some text' 'http://127.0.0.1:7070/echo/a/b?c=d'
 */
#include <stdio.h>

extern char **environ;

int main(void)
{
    static char buffer[16384];
    printf("Content-Type: text/plain\n\n");
    for (char **variable = environ; *variable != NULL; variable++)
        printf("%s\n", *variable);
    printf("\n");
    for (;;) {
        size_t count = fread(buffer, 1, sizeof buffer, stdin);
        if (count == 0)
            break;
        fwrite(buffer, 1, count, stdout);
    }
    return 0;
}
