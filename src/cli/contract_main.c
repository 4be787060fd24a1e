/* `weir contract`: CosmWasm contracts on a chain of one node, kept in a folder. */
#include "cli/contract_command.h"

#include "base/nearest.h"
#include "ledger/equation.h"
#include "server/host_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GAS_LIMIT_DEFAULT UINT64_C(1000000000000) /* what is meant to take a second */
#define MESSAGE_BYTES_MAX (UINT64_C(1) << 20)

enum {
    STATE = 16,
    SENDER,
    FUNDS,
    BALANCE,
    MSG,
    MSG_FILE,
    ENV,
    LABEL,
    GAS_LIMIT,
    COSTS,
    LOCALS,
    PREFIX,
    MEMORY
};

static const struct weir_cli_option OPTIONS[] = {
    {STATE, "state", "DIR", "where codes, contracts and their storage are kept"},
    {SENDER, "sender", "ADDR", "who calls: an address, or name:NAME (name:creator)"},
    {FUNDS, "funds", "COINS", "what is sent along: 1000earth or 1earth,2token"},
    {BALANCE, "balance", "COINS", "what the contract has, when it asks the bank"},
    {MSG, "msg", "JSON", "the message ({}); @FILE: from a file, -: from standard input"},
    {MSG_FILE, "msg-file", "FILE", "the message from a file"},
    {ENV, "env", "JSON", "members that replace those of the test environment"},
    {LABEL, "label", "NAME", "instantiate: its name, of which the address is made"},
    {GAS_LIMIT, "gas-limit", "N", "most gas that a call may use (10^12)"},
    {COSTS, "costs", "none|mock",
     "what the chain's own work costs: nothing, or as in\nupstream's tests"},
    {LOCALS, "locals", "paid|free",
     "whether functions with many locals pay for them, as\nnodes with wasmvm 3.0.7 do, or not, as "
     "with 3.0.2"},
    {PREFIX, "prefix", "TEXT", "of addresses (cosmwasm)"},
    {MEMORY, "memory-max", "SIZE", "most memory of a contract (32MiB)"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir contract",
    .usage = "--state DIR COMMAND [OPTION ...] [ARGUMENT ...]",
    .summary = "Runs CosmWasm contracts and answers with JSON. Nothing that a contract sends is "
               "delivered.\n\n"
               "  store FILE             check and compile a contract, keep it\n"
               "  instantiate CHECKSUM   make a contract of a code\n"
               "  execute ADDR           send it a message\n"
               "  query ADDR             ask it\n"
               "  migrate ADDR CHECKSUM  give it another code\n"
               "  sudo ADDR              call it as the chain itself\n"
               "  call ENTRY ADDR        any other entry point: reply, ibc_channel_open ...\n"
               "  info CHECKSUM|ADDR     what a code needs and offers, or what a contract is\n"
               "  ls                     codes and contracts\n"
               "  address NAME           the address that name:NAME stands for",
    .options = OPTIONS,
    .examples = "  weir contract --state chain store hackatom.wasm\n"
                "  weir contract --state chain instantiate CHECKSUM \\\n"
                "      --sender name:creator --label hack --msg @hack.json\n"
                "  weir contract --state chain query name:hack --msg '{\"verifier\":{}}'\n",
};

static enum weir_status set_choice(struct contract_options *options, char letter, const char *value,
                                   struct weir_error *error)
{
    if (letter == LOCALS) {
        options->has_free_locals = strcmp(value, "free") == 0;
        if (options->has_free_locals || strcmp(value, "paid") == 0)
            return WEIR_OK;
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--locals %s: paid or free is needed", value);
    }
    static const struct weir_contract_costs *const TABLES[] = {&weir_contract_costs_none,
                                                               &weir_contract_costs_mock};
    for (size_t i = 0; i < sizeof TABLES / sizeof TABLES[0]; i++) {
        if (strcmp(value, TABLES[i]->name) == 0) {
            options->costs = TABLES[i];
            return WEIR_OK;
        }
    }
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "--costs %s: none or mock is needed", value);
}

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    struct contract_options *options = context;
    const char **texts[] = {
        [STATE] = &options->folder,
        [SENDER] = &options->message.sender,
        [FUNDS] = &options->message.funds,
        [BALANCE] = &options->message.balance,
        [MSG] = &options->text,
        [MSG_FILE] = &options->text_file,
        [ENV] = &options->message.env,
        [LABEL] = &options->message.label,
        [PREFIX] = &options->prefix,
        [MEMORY] = NULL,
    };
    if (letter == GAS_LIMIT)
        return weir_cli_number("gas-limit", value, INT64_MAX, &options->message.gas_limit, error);
    if (letter == MEMORY)
        return weir_cli_size("memory-max", value, &options->memory_bytes_max, error);
    if (letter == COSTS || letter == LOCALS)
        return set_choice(options, letter, value, error);
    *texts[(unsigned char)letter] = value;
    return WEIR_OK;
}

enum {
    HAS_SENDER = 1,
    HAS_FUNDS = 2,
    HAS_LABEL = 4,
    HAS_STATE = 8,
    MAKES_STATE = 16
};

static const struct {
    const char *name;
    contract_command *run;
    int arguments;
    unsigned has;
} COMMANDS[] = {
    {"store", contract_store, 1, HAS_STATE | MAKES_STATE},
    {"instantiate", contract_instantiate, 1, HAS_STATE | HAS_SENDER | HAS_FUNDS | HAS_LABEL},
    {"execute", contract_execute, 1, HAS_STATE | HAS_SENDER | HAS_FUNDS},
    {"query", contract_query, 1, HAS_STATE},
    {"migrate", contract_migrate, 2, HAS_STATE | HAS_SENDER},
    {"sudo", contract_sudo, 1, HAS_STATE},
    {"call", contract_call, 2, HAS_STATE | HAS_FUNDS},
    {"info", contract_info, 1, HAS_STATE},
    {"ls", contract_list, 0, HAS_STATE},
    {"address", contract_address, 1, 0},
};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof COMMANDS[0])

/* Its place; COMMAND_COUNT after it was refused. */
static size_t find_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = COMMANDS[i].name;
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    const char *nearest = weir_nearest_name(name, names, COMMAND_COUNT);
    if (nearest != NULL)
        (void)weir_cli_usage_error(&COMMAND, "unknown command %s; did you mean %s?", name, nearest);
    else
        (void)weir_cli_usage_error(&COMMAND, "unknown command %s", name);
    return COMMAND_COUNT;
}

/* The folder and its file are made by `store` alone: elsewhere a name that is not there is a slip.
 */
static enum weir_status find_state(const char *folder, const char *state, bool is_made,
                                   struct weir_error *error)
{
    struct stat found;
    if (!is_made && stat(state, &found) != 0)
        return weir_error_set(error, errno == ENOENT || errno == ENOTDIR ? WEIR_NOT_FOUND : WEIR_IO,
                              WEIR_NO_OFFSET,
                              "%.160s: %s; a state begins with `weir contract --state DIR store "
                              "FILE`",
                              state, strerror(errno));
    if (is_made && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "%.160s cannot be made: %s", folder,
                              strerror(errno));
    return WEIR_OK;
}

static enum weir_status open_chain(const struct contract_options *options, bool is_made,
                                   struct weir_contract_chain **ret_chain, struct weir_error *error)
{
    char state[PATH_MAX], artifacts[PATH_MAX];
    int size = snprintf(state, sizeof state, "%s/state.db", options->folder);
    (void)snprintf(artifacts, sizeof artifacts, "%s/artifacts", options->folder);
    if (size < 0 || (size_t)size + sizeof "artifacts" > sizeof state)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "the path %.64s… is too long",
                              options->folder);
    enum weir_status status = find_state(options->folder, state, is_made, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_contract_chain_config config = {
        .vm = {.artifact_dir = artifacts,
               .memory_bytes_max = options->memory_bytes_max,
               .has_free_locals = options->has_free_locals},
        .state_path = state,
        .address_prefix = options->prefix,
        .costs = options->costs};
    return weir_contract_chain_open(&config, ret_chain, error);
}

static enum weir_status read_input(struct weir_contract_buffer *text, struct weir_error *error)
{
    size_t count = 1;
    while (count > 0) {
        enum weir_status status = weir_contract_reserve(text, text->size + 4096, error);
        if (status != WEIR_OK)
            return status;
        count = fread(text->data + text->size, 1, 4096, stdin);
        text->size += count;
        if (text->size > MESSAGE_BYTES_MAX)
            return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                  "standard input has more than %llu bytes; a message has at most "
                                  "that",
                                  (unsigned long long)MESSAGE_BYTES_MAX);
    }
    return ferror(stdin) == 0 ? WEIR_OK
                              : weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                                               "cannot read the message from standard input");
}

/* --msg-file FILE, --msg @FILE, --msg -, --msg JSON, or {}. */
static enum weir_status take_message(struct contract_options *options, struct weir_host_file *file,
                                     struct weir_contract_buffer *input, struct weir_error *error)
{
    const char *text = options->text != NULL ? options->text : "{}";
    const char *path = text[0] == '@' ? text + 1 : options->text_file;
    struct weir_contract_bytes *message = &options->message.message;
    enum weir_status status = WEIR_OK;
    *message = (struct weir_contract_bytes){(const uint8_t *)text, strlen(text)};
    if (path != NULL) {
        status = weir_host_file_read(path, MESSAGE_BYTES_MAX, weir_account_host(), file, error);
        *message = (struct weir_contract_bytes){file->bytes, file->size};
    } else if (strcmp(text, "-") == 0) {
        status = read_input(input, error);
        *message = weir_contract_view(input);
    }
    return status;
}

static int run(struct contract_options *options, const struct contract_words *words, size_t which)
{
    struct weir_error error = {0};
    struct weir_host_file file = {0};
    struct weir_contract_buffer input = {.account = weir_account_host()};
    struct contract_session session = {.options = options,
                                       .arguments = (const char *const *)words->texts + 1};
    unsigned has = COMMANDS[which].has;
    int exit_code = 0;
    enum weir_status status = take_message(options, &file, &input, &error);
    if (status == WEIR_OK && (has & HAS_STATE) != 0)
        status = open_chain(options, (has & MAKES_STATE) != 0, &session.chain, &error);
    if (status == WEIR_OK)
        status = COMMANDS[which].run(&session, &exit_code, &error);
    weir_contract_chain_close(session.chain);
    weir_host_file_done(&file);
    weir_contract_buffer_done(&input);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    return weir_cli_end(COMMAND.name, exit_code);
}

/* What is missing, before anything is opened; 0 when nothing is. */
static int check_words(const struct contract_options *options, const struct contract_words *words,
                       size_t *ret_which)
{
    const struct weir_cli_command *command = &COMMAND;
    if (words->count == 0)
        return weir_cli_usage_error(command, "no command is named");
    size_t which = find_command(words->texts[0]);
    if (which == COMMAND_COUNT)
        return weir_status_exit_code(WEIR_INVALID_ARGUMENT);
    if (words->count - 1 != COMMANDS[which].arguments)
        return weir_cli_usage_error(command, "%s takes %d arguments, not %d", COMMANDS[which].name,
                                    COMMANDS[which].arguments, words->count - 1);
    unsigned has = COMMANDS[which].has;
    if (options->folder == NULL && (has & HAS_STATE) != 0)
        return weir_cli_usage_error(command, "--state says where the contracts are kept");
    if (options->message.funds != NULL && (has & HAS_FUNDS) == 0)
        return weir_cli_usage_error(command, "%s takes no --funds; instantiate and execute do",
                                    COMMANDS[which].name);
    if (options->message.label != NULL && (has & HAS_LABEL) == 0)
        return weir_cli_usage_error(command, "%s takes no --label; instantiate does",
                                    COMMANDS[which].name);
    if ((has & HAS_SENDER) != 0 && options->message.sender == NULL)
        return weir_cli_usage_error(
            command, "%s needs --sender, an address or name:NAME for a test", COMMANDS[which].name);
    if (options->text != NULL && options->text_file != NULL)
        return weir_cli_usage_error(command, "--msg or --msg-file, not both");
    *ret_which = which;
    return 0;
}

int main(int argc, char **argv)
{
    weir_process_tune_malloc();
    struct contract_options options = {.message = {.gas_limit = GAS_LIMIT_DEFAULT}};
    struct weir_cli_arguments all = {.count = argc, .texts = argv};
    struct weir_error error = {0};
    size_t which = 0;
    enum weir_status status = weir_cli_parse_all(&COMMAND, &all, set_option, &options, &error);
    if (status != WEIR_OK)
        return status == WEIR_EXIT ? 0 : weir_cli_fail(COMMAND.name, &error);
    const struct contract_words words = {all.texts + 1, all.count - 1};
    int exit_code = check_words(&options, &words, &which);
    return exit_code != 0 ? exit_code : run(&options, &words, which);
}
