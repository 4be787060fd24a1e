/* Who may change things: whoever has the token, or connects to a UNIX socket, whose file's mode
 * says who that is. A loopback address is no proof: web pages in a browser and proxies reach it. */
#include "server/server_internal.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* --- the token ----------------------------------------------------------------------------- */

/* Of systemd's credentials the mode shows the mask of an access list. */
static enum weir_status check_mode(const char *path, const struct stat *st,
                                   struct weir_error *error)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    bool is_credential = credentials != NULL && credentials[0] != 0 &&
                         strncmp(path, credentials, strlen(credentials)) == 0;
    mode_t others = is_credential ? S_IRWXO : S_IRWXG | S_IRWXO;
    if (!S_ISREG(st->st_mode))
        return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                              "control.token: %s is no regular file", path);
    if ((st->st_mode & others) != 0)
        return weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                              "control.token: others may read %s (mode %04o); chmod 600", path,
                              (unsigned)st->st_mode & 07777u);
    return WEIR_OK;
}

enum weir_status weir__token_read(const char *path, struct weir__token *ret_token,
                                  struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    char text[WEIR_SERVER_TOKEN_MAX + 2];
    struct stat st;
    struct weir__token token = {.is_set = true};
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return weir_error_set_errno(error, WEIR_CONFIG, -fd, "control.token: cannot read %s", path);
    int failed = weir_io_fstat(io, fd, &st);
    enum weir_status status = failed < 0 ? WEIR_IO : check_mode(path, &st, error);
    if (status != WEIR_OK)
        return status;
    long size = weir_io_read_full(io, fd, text, sizeof text);
    if (size < 0)
        return weir_error_set_errno(error, WEIR_CONFIG, (int)-size, "control.token: cannot read %s",
                                    path);
    if (size > 0 && text[size - 1] == '\n')
        size--;
    bool is_word = true;
    for (long i = 0; i < size; i++)
        is_word = is_word && isgraph((unsigned char)text[i]);
    if (size < (long)WEIR_SERVER_TOKEN_MIN || size > (long)WEIR_SERVER_TOKEN_MAX || !is_word)
        status = weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET,
                                "control.token: %s must hold one word of %u to %u printable "
                                "characters, as `openssl rand -hex 32` prints",
                                path, WEIR_SERVER_TOKEN_MIN, WEIR_SERVER_TOKEN_MAX);
    else
        status = weir_hash_bytes(text, (size_t)size, &token.hash, error);
    explicit_bzero(text, sizeof text);
    if (status == WEIR_OK)
        *ret_token = token;
    return status;
}

/* Hashes are compared, so that neither length nor content shows in the time. */
static bool has_token(const struct weir__token *token, const char *field)
{
    struct weir_hash hash;
    if (field == NULL || strncasecmp(field, "Bearer ", 7) != 0)
        return false;
    const char *given = field + 7 + strspn(field + 7, " ");
    return weir_hash_bytes(given, strlen(given), &hash, NULL) == WEIR_OK &&
           weir_hash_equal(&hash, &token->hash);
}

/* --- who may ------------------------------------------------------------------------------- */

bool weir__control_admit(struct weir__connection *connection, bool is_change)
{
    struct weir_server *server = connection->server;
    struct weir__failure *failure = &connection->failure;
    const struct weir__route_table *table = weir__route_table_hold(server);
    (void)table;
    const struct weir__token token = server->token;
    bool is_guarded = is_change || (server->are_reads_guarded &&
                                    strncmp(connection->target.path, "/v1/", 4) == 0);
    weir__route_table_release(server);
    if (!is_guarded || connection->is_local)
        return true;
    if (!token.is_set) {
        weir__fail(failure, WEIR__REFUSAL_FORBIDDEN,
                   "changes are off here: set control.token to a file with a secret and send it "
                   "as Authorization: Bearer, or use control.socket");
        return false;
    }
    const char *field = MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_AUTHORIZATION);
    if (has_token(&token, field))
        return true;
    weir__fail(failure, WEIR__REFUSAL_UNAUTHORIZED,
               field == NULL ? "send the token of control.token as Authorization: Bearer TOKEN"
                             : "this is not the token of control.token");
    return false;
}
