/* What the server has to say about itself: one event, one line of log.events. */
#ifndef WEIR_SERVER_SERVER_LOG_H
#define WEIR_SERVER_SERVER_LOG_H

#include "base/error.h"
#include "observe/log_line.h"
#include "server/server.h"

struct weir_server_log_field {
    const char *key; /* NULL ends a list */
    const char *text; /* NULL: `number` */
    uint64_t number; /* UINT64_MAX, no limit: the field is left out */
};

struct weir_server_event {
    enum weir_log_level level;
    const char *name; /* "reload": stable, for machines; docs/SERVE.md lists them */
    /* The program has told it to people: not said twice where they read this, too. */
    bool is_told;
    const struct weir_server_log_field *fields; /* may be NULL */
};

/* The message is for people and, alone, what a log of text gets. Any thread; never waits for the
 * file. */
void weir_server_log(struct weir_server *server, const struct weir_server_event *event,
                       const char *format, ...) WEIR_PRINTF(3, 4);
/* Standard error in words: whatever a program prints there is in the same tongue. */
bool weir_server_is_log_for_people(const struct weir_log_keys *keys);
/* Opens both logs' files again: after they were renamed. */
void weir_server_reopen_logs(struct weir_server *server);

#endif
