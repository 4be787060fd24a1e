/* `weir`: finds the program of a subcommand beside itself and becomes it, git-style. It links
 * nothing but libc and the helpers, so that `weir help` works where a library is missing. */
#include "cli/cli_options.h"
#include "cli/cli_program.h"

#include "base/nearest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct subcommand {
    const char *name;
    const char *program; /* in libexec/weir; `compile` is not the compiler itself */
    const char *help;
};

static const struct subcommand SUBCOMMANDS[] = {
    {"run", "weir-run", "run a WASI program under limits, explain its memory"},
    {"serve", "weir-serve", "answer HTTP requests with WASI programs"},
    {"compile", "weir-compile-file", "compile a module to an artifact"},
    {"contract", "weir-contract", "run CosmWasm contracts, with gas exact to the unit"},
    {"cache", "weir-cache", "look at the compiled modules and after them"},
    {"canister", "weir-canister", "run a canister, say what its memory is for"},
    {"plan", "weir-plan", "add up what a node may take of memory"},
    {"guard", "weir-guard", "refuse requests and pause work when memory runs short"},
    {"doctor", "weir-doctor", "say whose a process's memory is, and what to do"},
    {"deploy", "weir-deploy", "say what a deploy of a folder would send"},
    {"top", "weir-top", "watch a running host: whose bytes, what lives, what grows"},
    {"inspect", "weir-inspect", "show what a module holds and needs"},
};
#define SUBCOMMAND_COUNT (sizeof SUBCOMMANDS / sizeof SUBCOMMANDS[0])

/* The subcommands of package weir-tools (cmake/weir_package.cmake); the others are weir's. */
static const char *const TOOLS[] = {"plan", "guard", "doctor", "deploy", "top", "inspect"};

static const char *package_of(const char *name)
{
    for (size_t i = 0; i < sizeof TOOLS / sizeof TOOLS[0]; i++)
        if (strcmp(name, TOOLS[i]) == 0)
            return "weir-tools";
    return "weir";
}

static void print_help(void)
{
    printf("Weir runs WebAssembly guests under a memory ceiling and says who holds each byte.\n\n"
           "usage: weir COMMAND [OPTION ...] [ARGUMENT ...]\n\ncommands\n");
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        printf("  %-9s%s\n", SUBCOMMANDS[i].name, SUBCOMMANDS[i].help);
    printf("\n`weir COMMAND --help` explains a command; `man weir` everything else.\n");
}

static const struct subcommand *find_subcommand(const char *name)
{
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        if (strcmp(SUBCOMMANDS[i].name, name) == 0)
            return &SUBCOMMANDS[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[SUBCOMMAND_COUNT + 1];
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        names[i] = SUBCOMMANDS[i].name;
    names[SUBCOMMAND_COUNT] = "help";
    const char *nearest = weir_nearest_name(name, names, SUBCOMMAND_COUNT + 1);
    if (nearest != NULL)
        (void)fprintf(stderr, "weir: unknown command %s; did you mean `weir %s`?\n", name, nearest);
    else
        (void)fprintf(stderr, "weir: unknown command %s; `weir help` lists them\n", name);
    return weir_status_exit_code(WEIR_INVALID_ARGUMENT);
}

static int become(const struct subcommand *command, char **argv)
{
    char path[PATH_MAX];
    if (!weir_cli_find_program(command->program, path)) {
        (void)fprintf(stderr,
                      "weir: the program %s is missing beside this one; install the package %s, "
                      "or set WEIR_LIBEXEC to the program's folder\n",
                      command->program, package_of(command->name));
        return weir_status_exit_code(WEIR_NOT_FOUND);
    }
    (void)execv(path, argv);
    (void)fprintf(stderr, "weir: cannot start %s: %s\n", path, strerror(errno));
    return weir_status_exit_code(WEIR_IO);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("weir %s\n", WEIR_VERSION);
        return 0;
    }
    bool is_help =
        strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (is_help && argc < 3) {
        print_help();
        return argc > 1 ? 0 : weir_status_exit_code(WEIR_INVALID_ARGUMENT);
    }
    const struct subcommand *command = find_subcommand(is_help ? argv[2] : name);
    if (command == NULL)
        return unknown_command(is_help ? argv[2] : name);
    if (is_help) {
        char help[] = "--help";
        char *arguments[] = {argv[2], help, NULL};
        return become(command, arguments);
    }
    return become(command, argv + 1);
}
