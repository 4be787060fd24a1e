/* What a C guest of mode pool or resident does around each request. Such a guest is a reactor:
 * built with -mexec-model=reactor, it has no main(); `_initialize` runs its constructors once, then
 * Weir calls its handler for each request:
 *
 *   __attribute__((export_name("handle"))) int handle(void)
 *   {
 *       reactor_begin();
 *       printf("Content-Type: text/plain\n\nHello, %s\n", reactor_env("QUERY_STRING"));
 *       return reactor_end();
 *   }
 *
 * The C library believes that a process has one environment, one input and one output. Here they
 * are new for each request: so the environment is asked for anew, and buffers are emptied. */
#ifndef WEIR_EXAMPLE_REACTOR_H
#define WEIR_EXAMPLE_REACTOR_H

#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <wasi/api.h>

#define REACTOR_ENV_BYTES 24576 /* Weir gives at most 20 KiB in 160 variables */
#define REACTOR_ENV_MAX 256

static uint8_t *reactor_variables[REACTOR_ENV_MAX];
static uint8_t reactor_bytes[REACTOR_ENV_BYTES];
static __wasi_size_t reactor_count;

static inline void reactor_begin(void)
{
    __wasi_size_t size = 0;
    reactor_count = 0;
    if (__wasi_environ_sizes_get(&reactor_count, &size) != 0 || size > REACTOR_ENV_BYTES ||
        reactor_count > REACTOR_ENV_MAX ||
        __wasi_environ_get(reactor_variables, reactor_bytes) != 0)
        reactor_count = 0;
    __fpurge(stdin); /* what the last request left unread */
    clearerr(stdin);
    __fpurge(stdout);
    clearerr(stdout);
}

/* "" when the request has no such variable. */
static inline const char *reactor_env(const char *name)
{
    size_t size = strlen(name);
    for (__wasi_size_t i = 0; i < reactor_count; i++) {
        const char *variable = (const char *)reactor_variables[i];
        if (strncmp(variable, name, size) == 0 && variable[size] == '=')
            return variable + size + 1;
    }
    return "";
}

/* The handler's answer: 0, or 1 when the client has not got everything. */
static inline int reactor_end(void)
{
    return fflush(stdout) == 0 ? 0 : 1;
}

#endif
