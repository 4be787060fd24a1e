/* What every command of `weir canister` opens, the arguments it sends and the answers it prints. */
#include "cli/canister_command.h"

#include "base/hash.h"
#include "server/host_file.h"
#include "worlds/canister/candid.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Lines of the guest's are prefixed, so that nobody takes them for Weir's. */
static void print_debug(void *context, const char *text, size_t size)
{
    const struct canister_run *run = context;
    if (run->options->is_quiet)
        return;
    (void)fprintf(stderr, "[%s] ", run->name);
    for (size_t i = 0; i < size; i++)
        (void)fputc(text[i] == '\n' || (unsigned char)text[i] >= ' ' ? text[i] : '?', stderr);
    if (size == 0 || text[size - 1] != '\n')
        (void)fputc('\n', stderr);
}

static enum weir_status open_engine(struct canister_run *run, struct weir_error *error)
{
    const struct canister_options *options = run->options;
    char cache[PATH_MAX];
    struct weir_engine_config config = {.artifact_dir = options->cache_dir};
    weir_canister_engine_config(&config);
    if (!options->no_cache && options->cache_dir == NULL &&
        weir_host_cache_dir(cache, sizeof cache))
        config.artifact_dir = cache;
    enum weir_status status = weir_engine_new(&config, &run->engine, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_canister_config canister = {.name = run->name,
                                                  .memory_bytes_max = options->memory_bytes_max,
                                                  .stable_bytes_max = options->stable_bytes_max,
                                                  .instructions_max = options->instructions_max,
                                                  .debug_print = print_debug,
                                                  .context = run};
    return weir_canister_new(run->engine, &canister, &run->canister, error);
}

/* Says so when it has to wait. */
static enum weir_status open_dir(struct canister_run *run, enum weir_canister_access access,
                                 struct weir_error *error)
{
    const char *path = run->options->state;
    struct weir_error busy = {0};
    enum weir_status status = weir_canister_dir_open(&run->dir, NULL, path, run->name,
                                                     (unsigned)access | WEIR_CANISTER_NOW, &busy);
    if (status == WEIR_BUSY && !run->options->is_quiet)
        (void)fprintf(stderr, "%s: %s; waiting for it\n", weir__canister_command.name,
                      busy.message);
    if (status == WEIR_BUSY)
        status = weir_canister_dir_open(&run->dir, NULL, path, run->name, access, error);
    else
        weir_error_move(error, &busy);
    weir_error_done(&busy);
    return status;
}

enum weir_status weir__canister_open(struct canister_run *run, enum weir_canister_access access,
                                     bool is_new, struct weir_error *error)
{
    const struct canister_options *options = run->options;
    if (options->caller != NULL &&
        !weir_principal_read(options->caller, strlen(options->caller), &run->caller))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--caller %.80s: no principal (its checksum or groups are wrong)",
                              options->caller);
    enum weir_status status = weir_arena_new(NULL, 0, &run->arena, error);
    if (status == WEIR_OK)
        status = open_dir(run, access, error);
    if (status == WEIR_OK)
        status = open_engine(run, error);
    if (status != WEIR_OK)
        return status;
    struct weir_error none = {0};
    status = weir_canister_dir_load(&run->dir, run->canister, weir_account_host(), &none);
    if (status == WEIR_NOT_FOUND && is_new)
        status = WEIR_OK;
    else
        weir_error_move(error, &none);
    weir_error_done(&none);
    return status;
}

void weir__canister_close(struct canister_run *run)
{
    weir_canister_free(run->canister);
    weir_engine_unref(run->engine);
    weir_canister_dir_close(&run->dir);
    weir_arena_free(run->arena);
}

static enum weir_status read_hex(struct canister_run *run, const char *hex,
                                 const uint8_t **ret_bytes, size_t *ret_size,
                                 struct weir_error *error)
{
    size_t size = strlen(hex) / 2;
    uint8_t *bytes = WEIR_ARENA_ARRAY(run->arena, uint8_t, size);
    if (bytes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for an argument");
    if (!weir_hex_read(hex, strlen(hex), bytes, size))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--arg-hex: pairs of hexadecimal digits are needed");
    *ret_bytes = bytes;
    *ret_size = size;
    return WEIR_OK;
}

enum weir_status weir__canister_argument(struct canister_run *run, const char *text,
                                         const uint8_t **ret_bytes, size_t *ret_size,
                                         struct weir_error *error)
{
    if (run->options->arg_hex != NULL && text != NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the argument is given twice, as text and by --arg-hex");
    if (run->options->arg_hex != NULL)
        return read_hex(run, run->options->arg_hex, ret_bytes, ret_size, error);
    if (text == NULL)
        text = "()";
    return weir_candid_encode(text, strlen(text), run->arena, ret_bytes, ret_size, error);
}

static void print_hex(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static int print_reply(struct canister_run *run, const struct weir_canister_response *response)
{
    if (response->bytes == NULL) /* an install */
        return 0;
    if (run->options->is_hex) {
        print_hex(response->bytes, response->size);
        return 0;
    }
    struct weir_candid_names names = {0};
    struct weir_error error = {0};
    size_t size = 0;
    const char *interface = weir_canister_candid(run->canister, &size);
    struct weir_candid_text text = {0};
    enum weir_status status = WEIR_OK;
    if (interface != NULL)
        status = weir_candid_names_of(interface, size, run->arena, &names, &error);
    if (status == WEIR_OK)
        status =
            weir_candid_decode(response->bytes, response->size, &names, run->arena, &text, &error);
    if (status != WEIR_OK) {
        (void)fprintf(stderr, "%s: the reply is not Candid: %s; here are its bytes\n",
                      weir__canister_command.name, error.message);
        weir_error_done(&error);
        print_hex(response->bytes, response->size);
        return 0;
    }
    (void)fwrite(text.text, 1, text.size, stdout);
    printf("\n");
    return 0;
}

static void print_note(const struct canister_run *run,
                       const struct weir_canister_response *response)
{
    if (response->note != NULL && !run->options->is_quiet)
        (void)fputs(response->note, stderr);
}

int weir__canister_answer(struct canister_run *run, const struct weir_canister_response *response)
{
    if (response->code == WEIR_CANISTER_REPLIED) {
        print_note(run, response);
        return print_reply(run, response);
    }
    (void)fprintf(stderr, "Reject code: %d%s%s\nReject text: ", (int)response->code,
                  response->error_code != NULL ? ", error code " : "",
                  response->error_code != NULL ? response->error_code : "");
    for (size_t i = 0; i < response->size; i++)
        (void)fputc(response->bytes[i] == '\n' || response->bytes[i] >= ' ' ? response->bytes[i]
                                                                            : '?',
                    stderr);
    (void)fputc('\n', stderr);
    print_note(run, response);
    return weir_status_exit_code(WEIR_TRAP);
}
