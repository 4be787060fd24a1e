/* The HTTP host: routes answered by WASI programs (DESIGN 5.10), and Weir's own pages. */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include "ledger/ledger.h"
#include "server/server_config.h"
#include "server/service_manager.h"

struct weir_server;

struct weir_server_progress {
    void (*compiling)(void *context, const char *file); /* before each module; may be NULL */
    void (*compiled)(void *context, uint32_t done, uint32_t total);
    void *context;
};

/* Compiles every module and warms every pool; `config` must outlive the server. */
enum weir_status weir_server_new(const struct weir_server_config *config,
                                 const struct weir_server_progress *progress,
                                 struct weir_server **ret_server, struct weir_error *error)
    WEIR_MUST_USE;
void weir_server_free(struct weir_server *server);

/* Before the start: listens on these sockets, which stay open when it stops. The first that is not
 * named "control" stands for the configuration's listen; one of the UNIX family that is stands for
 * control.socket: whoever connects to it may change things. */
void weir_server_adopt(struct weir_server *server, const struct weir_service *service);
/* Binds (port 0: any free one) and starts the threads. IO with the remedy when the port is taken.
 */
enum weir_status weir_server_start(struct weir_server *server, struct weir_error *error)
    WEIR_MUST_USE;
/* "http://127.0.0.1:7070", once started. */
const char *weir_server_url(const struct weir_server *server);

/* Another configuration from now on: routes are added, removed and exchanged; requests in flight
 * end as they began. Takes `arena`, which holds the strings of `config`, over when the answer is
 * OK; otherwise nothing has changed. CONFIG names keys that only a restart can change; see
 * weir_server_can_reload() to ask beforehand. Only from the thread that made the server. */
enum weir_status weir_server_reload(struct weir_server *server,
                                    const struct weir_server_config *config,
                                    struct weir_arena *arena,
                                    const struct weir_server_progress *progress,
                                    struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_server_can_reload(const struct weir_server *server,
                                        const struct weir_server_config *config,
                                        struct weir_error *error) WEIR_MUST_USE;
uint64_t weir_server_drain_ns(const struct weir_server *server);

/* Stops accepting, waits for requests in flight at most `drain_ns`, then cancels them. True when
 * none had to be cancelled. */
bool weir_server_stop(struct weir_server *server, uint64_t drain_ns);
/* The same; is_hurried() is asked every few milliseconds whether to cancel at once. */
bool weir_server_drain(struct weir_server *server, uint64_t drain_ns,
                       bool (*is_hurried)(void *context), void *context);
/* Comes back once no lock that requests need is held for good: for a watchdog. */
void weir_server_check(struct weir_server *server);

#endif
