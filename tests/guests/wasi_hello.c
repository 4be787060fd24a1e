/* Says hello, names its arguments and one variable, and ends with a code of its own. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *greeting = getenv("GREETING");
    printf("%s, %s\n", greeting != NULL ? greeting : "hello", argc > 1 ? argv[1] : "world");
    return argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
}
