/* `weir deploy`: what a deploy of a folder would send, before it is sent, and whether its build is
 * reproducible. Nothing is sent. */
#include "cli/cli_options.h"
#include "cli/deploy_internal.h"

#include <string.h>

enum {
    PLAN = 16,
    AGAINST,
    CHECK,
    SAVE,
    JSON
};

struct deploy_options {
    const char *folder, *against, *check, *save;
    bool is_json;
};

static const struct weir_cli_option OPTIONS[] = {
    {PLAN, "plan", "DIR", "the folder that would be deployed"},
    {AGAINST, "against", "MANIFEST", "what is deployed now (nothing); JSON, see the manual"},
    {CHECK, "check", "CMD", "first build twice with this command, and name what\ndiffers"},
    {SAVE, "save", "FILE", "write the folder's manifest there, for the next plan"},
    {JSON, "json", NULL, "one JSON object"},
    {0, NULL, NULL, NULL},
};

static const struct weir_cli_command COMMAND = {
    .name = "weir deploy",
    .usage = "--plan DIR [OPTION ...]",
    .summary = "Compares a folder with what was deployed before: files new, changed, unchanged by\n"
               "SHA-256 and orphaned, and the bytes each way. Sends nothing. Ends with 0, or with\n"
               "6 when the build of --check is not reproducible.",
    .options = OPTIONS,
    .examples = "  weir deploy --plan dist --against deployed.json\n"
                "  weir deploy --plan dist --check 'rm -rf dist && npm run build' \\\n"
                "      --save next.json\n",
};

static enum weir_status set_option(void *context, char letter, const char *value,
                                   struct weir_error *error)
{
    (void)error;
    struct deploy_options *options = context;
    switch (letter) {
    case PLAN:
        options->folder = value;
        break;
    case AGAINST:
        options->against = value;
        break;
    case CHECK:
        options->check = value;
        break;
    case SAVE:
        options->save = value;
        break;
    default:
        options->is_json = true;
        break;
    }
    return WEIR_OK;
}

static enum weir_status plan(const struct deploy_options *options, bool *ret_is_reproducible,
                             struct weir_error *error)
{
    struct deploy_tree before = {0};
    struct deploy_tree now = {0};
    json_t *check = NULL;
    enum weir_status status = WEIR_OK;
    if (options->against != NULL)
        status = weir__deploy_manifest_read(options->against, &before, error);
    if (status == WEIR_OK && options->check != NULL)
        status = weir__deploy_check(options->check, options->folder, &check, error);
    if (status == WEIR_OK)
        status = weir__deploy_tree_read(options->folder, -1, &now, error);
    *ret_is_reproducible =
        check == NULL || json_is_true(json_object_get(check, "is_reproducible"));
    if (status == WEIR_OK && options->save != NULL && *ret_is_reproducible)
        status = weir__deploy_manifest_write(options->save, &now, error);
    if (status == WEIR_OK) {
        if (check != NULL && !options->is_json)
            weir__deploy_print_check(check);
        weir__deploy_print(&before, &now, check, options->is_json);
    }
    json_decref(check);
    weir__deploy_tree_done(&before);
    weir__deploy_tree_done(&now);
    return status;
}

int main(int argc, char **argv)
{
    struct deploy_options options = {0};
    struct weir_error error = {0};
    struct weir_cli_arguments arguments = {.count = argc, .texts = argv};
    enum weir_status status = weir_cli_parse(&COMMAND, &arguments, set_option, &options, &error);
    if (status == WEIR_EXIT)
        return 0;
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    if (arguments.next < argc)
        return weir_cli_usage_error(&COMMAND, "%s is too much", argv[arguments.next]);
    if (options.folder == NULL)
        return weir_cli_usage_error(&COMMAND, "no folder is named (--plan DIR)");
    bool is_reproducible = true;
    status = plan(&options, &is_reproducible, &error);
    if (status != WEIR_OK)
        return weir_cli_fail(COMMAND.name, &error);
    return is_reproducible ? 0 : weir_status_exit_code(WEIR_INVALID);
}
