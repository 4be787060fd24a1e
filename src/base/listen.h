/* A listening TCP socket from "HOST:PORT", as every program of ours takes it. */
#ifndef WEIR_BASE_LISTEN_H
#define WEIR_BASE_LISTEN_H

#include <stdint.h>

#include "base/error.h"

#define WEIR_LISTEN_HOST_SIZE 64
#define WEIR_LISTEN_URL_SIZE 96

struct weir_listen {
    int fd; /* non-blocking; the caller's */
    uint16_t port;
    char host[WEIR_LISTEN_HOST_SIZE]; /* as given; "": all addresses */
    char url[WEIR_LISTEN_URL_SIZE]; /* "http://127.0.0.1:7070", with the port that was given out */
};

/* "127.0.0.1:7070", "[::1]:0", ":80" (all addresses). */
enum weir_status weir_listen_parse(const char *text, char ret_host[WEIR_LISTEN_HOST_SIZE],
                                   uint16_t *ret_port, struct weir_error *error) WEIR_MUST_USE;
/* INVALID_ARGUMENT when the text or the host is none; IO when the address is taken or not ours. */
enum weir_status weir_listen_open(const char *text, struct weir_listen *ret_listen,
                                  struct weir_error *error) WEIR_MUST_USE;

#endif
