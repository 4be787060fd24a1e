/* Censuses that the server keeps to compare with: one at its start, then one per interval, of which
 * some are kept so that they lie ever further apart the older they are. All memory is the reports'
 * account's; all functions but the two on times are called under the lock of reports.
 */
#ifndef WEIR_SERVER_SERVER_CENSUS_H
#define WEIR_SERVER_SERVER_CENSUS_H

#include "server/server_internal.h"

struct weir_metrics;

/* Of `count` times in order, which one makes room for one more at `now_ns`: what is left is spread
 * as evenly as it can be over the powers of two of its age. Never the first. At least 2. */
size_t weir__census_thin(const uint64_t *taken_ns, size_t count, uint64_t now_ns);
/* The latest that is at least `age_ns` old; the first when none is. At least 1. */
size_t weir__census_pick(const uint64_t *taken_ns, size_t count, uint64_t now_ns, uint64_t age_ns);

/* A census now, as large as the server's are, of all engines; LIMIT. */
enum weir_status weir__server_census_take(struct weir_server *server,
                                          const struct weir_census *since,
                                          struct weir_census **ret_census, struct weir_error *error)
    WEIR_MUST_USE;
/* The kept one that is to be compared with; NULL while there is none. */
const struct weir_census *weir__server_census_before(const struct weir_server *server,
                                                     uint64_t age_ns);
/* Takes one to be kept when it is time. Returns when the next one is due. */
uint64_t weir__server_census_tick(struct weir_server *server, uint64_t now_ns);
void weir__server_census_free(struct weir_server *server);

void weir__server_census_metrics(struct weir_server *server, struct weir_metrics *metrics);

#endif
