/* A guest that keeps its state: it counts its requests and remembers the last few paths.
 *
 *   curl 'http://127.0.0.1:7070/counter/some/path'
 *
 * By mode resident the numbers go up until the route's policy recycles the guest, by mode pool each
 * request finds what `_initialize` left. */
#include "reactor.h"

#define REMEMBERED 4

static unsigned long requests;
static char paths[REMEMBERED][64];
static double table[1024]; /* what takes time to make, and is made once */

__attribute__((constructor)) static void set_up(void)
{
    table[0] = 1;
    for (int i = 1; i < 1024; i++)
        table[i] = table[i - 1] * 1.01;
}

__attribute__((export_name("handle"))) int handle(void)
{
    reactor_begin();
    snprintf(paths[requests++ % REMEMBERED], sizeof paths[0], "%s", reactor_env("PATH_INFO"));
    printf("Content-Type: text/plain\n\nrequest %lu of this guest, table ends with %.1f\n",
           requests, table[1023]);
    for (unsigned long i = 0; i < REMEMBERED && i < requests; i++)
        printf("  %s\n", paths[(requests - 1 - i) % REMEMBERED]);
    return reactor_end();
}
