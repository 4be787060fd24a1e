/* weir-spec: runs the official test suite, as wast2json converted it, against the engine.
 *
 * Each file runs in a process of its own, so that a crash costs one file and is reported as such.
 * At the end stands a table by kind; run + skipped must be what the archive holds. */
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec.h"
#include "tests/skip.h"

static const char usage[] =
    "usage: weir-spec [OPTION ...] PATH ...\n"
    "\n"
    "PATH is a folder of .json files made by wast2json (tests/spec/fetch makes them), or one such\n"
    "file. Failures are printed as file.wast:line: what, expected, got.\n"
    "\n"
    "  --bounds guard|explicit|no-signals  how memory accesses are checked (guard)\n"
    "  --features LIST           what is decoded and validated: wasm-2.0 and names of\n"
    "                            include/weir/features.def (wasm-2.0)\n"
    "  --execute-features LIST   modules that need more than these are validated only\n"
    "                            (as --features)\n"
    "  --skip FILE               what is not executed, and why (tests/spec/skips.txt)\n"
    "  --expect FILE             how many commands of each kind there must be\n"
    "  --files FILE              names of the files to run, one per line, # for comments\n"
    "  --validate-only           nothing is executed\n"
    "  --verbose                 also what the engine said about refused modules\n";

static const char no_suite[] =
    "no spec suite: tests/spec/fetch needs WEIR_TESTSUITE or the network";

_Noreturn static void fail(const char *text, const char *what)
{
    (void)fprintf(stderr, "weir-spec: %s: %s\n", what, text);
    exit(2);
}

const char *spec_kind_name(enum spec_kind kind)
{
    static const char *const names[] = {
#define SPEC_KIND_NAME(id, name) name,
        SPEC_KINDS(SPEC_KIND_NAME)
#undef SPEC_KIND_NAME
    };
    return names[kind];
}

enum spec_kind spec_kind_of(const char *name)
{
    enum spec_kind kind = 0;
    while (kind < SPEC_KIND_COUNT && strcmp(name, spec_kind_name(kind)) != 0)
        kind++;
    return kind;
}

void spec_fail(const struct spec_run *run, enum spec_kind kind, const char *format, ...)
{
    (void)printf("%s:%lld: %s: ", run->source, (long long)run->line, spec_kind_name(kind));
    va_list args;
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

static uint32_t feature_named(const char *name)
{
    if (strcmp(name, "wasm-2.0") == 0)
        return WEIR_FEATURES_WASM_2_0;
#define WEIR_FEATURE(bit, id, text, on)                                                            \
    if (strcmp(name, text) == 0)                                                                   \
        return WEIR_FEATURE_##id;
#include <weir/features.def>
#undef WEIR_FEATURE
    fail("no such feature", name);
}

static uint32_t parse_features(char *list)
{
    uint32_t features = 0;
    char *rest = list;
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ","))
        features |= feature_named(name);
    return features;
}

static void add_counts(struct spec_counts *sum, const struct spec_counts *more)
{
    for (int kind = 0; kind < SPEC_KIND_COUNT; kind++) {
        sum->total[kind] += more->total[kind];
        for (int result = 0; result < SPEC_RESULT_COUNT; result++)
            sum->results[kind][result] += more->results[kind][result];
    }
}

static void count_commands(const json_t *script, struct spec_counts *counts)
{
    size_t index;
    json_t *command;
    json_array_foreach(json_object_get(script, "commands"), index, command)
    {
        const char *type = json_string_value(json_object_get(command, "type"));
        enum spec_kind kind = spec_kind_of(type != NULL ? type : "");
        if (kind == SPEC_KIND_COUNT)
            fail("a command of a kind that is not known", type != NULL ? type : "(none)");
        counts->total[kind]++;
    }
}

/* The child: runs the script and exits with 0, whatever it found; its findings are the counts. */
_Noreturn static void run_child(struct spec_run *run, json_t *script)
{
    if (!run->options->no_execution)
        run->exec = spec_exec_new(run->options);
    bool read = spec_script_run(run, script);
    spec_exec_free(run->exec);
    json_decref(script);
    exit(read ? 0 : 1);
}

/* What a child that died did not get to counts as failed. */
static void count_lost(struct spec_counts *counts)
{
    for (int kind = 0; kind < SPEC_KIND_COUNT; kind++) {
        unsigned seen = 0;
        for (int result = 0; result < SPEC_RESULT_COUNT; result++)
            seen += counts->results[kind][result];
        counts->results[kind][SPEC_FAILED] += counts->total[kind] - seen;
    }
}

/* Returns false when the file's process did not end well. */
static bool run_file(const struct spec_options *options, const char *path, struct spec_counts *sum)
{
    json_error_t problem;
    json_t *script = json_load_file(path, JSON_ALLOW_NUL, &problem);
    if (script == NULL)
        fail(problem.text, path);
    const char *source = json_string_value(json_object_get(script, "source_filename"));
    struct shared {
        struct spec_counts counts;
        struct spec_run run;
    } *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail(strerror(errno), "mmap");
    char *source_copy = strdup(source != NULL ? source : path);
    shared->run = (struct spec_run){.options = options, .counts = &shared->counts, .path = path};
    shared->run.source = basename(source_copy);
    count_commands(script, &shared->counts);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        fail(strerror(errno), "fork");
    if (pid == 0)
        run_child(&shared->run, script);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0) {
        (void)printf("%s:%lld: the process of this file ended with %s %d here\n",
                     shared->run.source, (long long)shared->run.line,
                     WIFSIGNALED(status) ? "signal" : "exit code",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        count_lost(&shared->counts);
    }
    add_counts(sum, &shared->counts);
    free(source_copy);
    json_decref(script);
    (void)munmap(shared, sizeof *shared);
    return status == 0;
}

/* Prints the table; returns the number of commands that failed or were lost. */
static unsigned print_table(const struct spec_counts *counts)
{
    unsigned wrong = 0;
    (void)printf("%-22s %8s %8s %8s %9s %9s %9s %9s\n", "kind", "archive", "passed", "failed",
                 "skip-list", "not-asked", "text", "feature");
    for (enum spec_kind kind = 0; kind < SPEC_KIND_COUNT; kind++) {
        if (counts->total[kind] == 0)
            continue;
        const unsigned *results = counts->results[kind];
        unsigned seen = 0;
        for (int result = 0; result < SPEC_RESULT_COUNT; result++)
            seen += results[result];
        (void)printf("%-22s %8u %8u %8u %9u %9u %9u %9u%s\n", spec_kind_name(kind),
                     counts->total[kind], results[SPEC_PASSED], results[SPEC_FAILED],
                     results[SPEC_SKIPPED_LISTED], results[SPEC_SKIPPED_ASKED],
                     results[SPEC_SKIPPED_TEXT], results[SPEC_SKIPPED_FEATURE],
                     seen == counts->total[kind] ? "" : "  does not add up");
        wrong += results[SPEC_FAILED] + (seen != counts->total[kind]);
    }
    return wrong;
}

/* Compares the archive's counts with what they are known to be: "kind count" per line. */
static unsigned check_expected(const char *path, const struct spec_counts *counts)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail(strerror(errno), path);
    unsigned wrong = 0;
    char name[64];
    unsigned want;
    while (fscanf(file, "%63s %u", name, &want) == 2) {
        enum spec_kind kind = spec_kind_of(name);
        if (kind == SPEC_KIND_COUNT)
            fail("not a kind", name);
        if (counts->total[kind] != want) {
            (void)printf("%s: the archive should hold %u, not %u\n", name, want,
                         counts->total[kind]);
            wrong++;
        }
    }
    if (!feof(file))
        fail("not of the form `kind count`", path);
    (void)fclose(file);
    return wrong;
}

struct file_list {
    char **paths;
    size_t count;
};

static void add_file(struct file_list *files, const char *path)
{
    files->paths = realloc(files->paths, (files->count + 1) * sizeof *files->paths);
    char *copy = strdup(path);
    if (files->paths == NULL || copy == NULL)
        fail(strerror(errno), path);
    files->paths[files->count++] = copy;
}

static void add_path(struct file_list *files, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        skip_test(no_suite);
    if (!S_ISDIR(st.st_mode)) {
        add_file(files, path);
        return;
    }
    char pattern[4096];
    (void)snprintf(pattern, sizeof pattern, "%s/*.json", path);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        skip_test(no_suite);
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_file(files, found.gl_pathv[i]);
    globfree(&found);
}

static void add_named(struct file_list *files, const char *list, const char *folder)
{
    FILE *file = fopen(list, "r");
    if (file == NULL)
        fail(strerror(errno), list);
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        line[strcspn(line, "# \t\n")] = 0;
        if (line[0] == 0)
            continue;
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s.json", folder, line);
        add_path(files, path);
    }
    free(line);
    (void)fclose(file);
}

static const struct option long_options[] = {
    {"bounds", required_argument, NULL, 'b'},  {"features", required_argument, NULL, 'f'},
    {"skip", required_argument, NULL, 's'},    {"execute-features", required_argument, NULL, 'x'},
    {"expect", required_argument, NULL, 'e'},  {"files", required_argument, NULL, 'l'},
    {"validate-only", no_argument, NULL, 'n'}, {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
};

struct arguments {
    struct spec_options options;
    const char *skip, *expect, *files;
};

static void parse_bounds(struct spec_options *options, const char *name)
{
    static const char *const names[] = {"guard", "explicit", "no-signals"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        options->bounds = (enum weir_bounds)i;
        return;
    }
    fail("no form of bounds", name);
}

static void parse_arguments(int argc, char **argv, struct arguments *ret)
{
    ret->options.features = WEIR_FEATURES_WASM_2_0;
    int option;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        switch (option) {
        case 'b':
            parse_bounds(&ret->options, optarg);
            break;
        case 'f':
            ret->options.features = parse_features(optarg);
            break;
        case 'x':
            ret->options.execute_features = parse_features(optarg);
            break;
        case 's':
            ret->skip = optarg;
            break;
        case 'e':
            ret->expect = optarg;
            break;
        case 'l':
            ret->files = optarg;
            break;
        case 'n':
            ret->options.no_execution = true;
            break;
        case 'v':
            ret->options.is_verbose = true;
            break;
        default:
            (void)fputs(usage, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    if (ret->options.execute_features == 0)
        ret->options.execute_features = ret->options.features;
    if (optind == argc) {
        (void)fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    parse_arguments(argc, argv, &arguments);
    struct spec_skip_list *skips = spec_skip_list_read(arguments.skip);
    arguments.options.skips = skips;
    struct file_list files = {0};
    for (int i = optind; i < argc; i++) {
        if (arguments.files != NULL)
            add_named(&files, arguments.files, argv[i]);
        else
            add_path(&files, argv[i]);
    }
    struct spec_counts sum = {0};
    unsigned wrong = 0;
    for (size_t i = 0; i < files.count; i++) {
        wrong += !run_file(&arguments.options, files.paths[i], &sum);
        free(files.paths[i]);
    }
    wrong += print_table(&sum);
    if (arguments.expect != NULL)
        wrong += check_expected(arguments.expect, &sum);
    (void)printf("%zu files, %u failures\n", files.count, wrong);
    free(files.paths);
    spec_skip_list_free(skips);
    return wrong != 0;
}
