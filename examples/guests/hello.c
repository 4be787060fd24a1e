/* The smallest useful handler: says hello, to a name when the query has one (?name=Ada).
 *
 *   curl http://127.0.0.1:7070/hello
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    const char *query = getenv("QUERY_STRING");
    const char *name = "world";
    if (query != NULL && strncmp(query, "name=", 5) == 0 && query[5] != 0)
        name = query + 5;
    printf("Content-Type: text/plain\n\nhello, %.100s\n", name);
    return 0;
}
