/* GET /v1/pressure: what the governor sees, what it holds and has done. */
#include "server/server_internal.h"

#include "base/clock.h"
#include "govern/governor_pages.h"

#include <string.h>

enum MHD_Result weir__page_pressure(struct weir__connection *connection)
{
    static char off[] = "{\"state\":\"off\"}\n";
    struct weir_governor_status status;
    if (!weir__governor_status(connection->server, &status))
        return weir__answer_text(connection, 200, "application/json", off, strlen(off),
                                 MHD_RESPMEM_PERSISTENT);
    char *text = weir_governor_json(&status, weir_clock_ns());
    if (text == NULL) {
        weir__fail(&connection->failure, WEIR__REFUSAL_MEMORY, "no memory for the report");
        return weir__answer_failure(connection);
    }
    return weir__answer_text(connection, 200, "application/json", text, strlen(text),
                             MHD_RESPMEM_MUST_FREE);
}
