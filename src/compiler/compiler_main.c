/* The program weir-compile: a spawner for hosts, and for people one job, under the same limits and
 * in the same sandbox, whose artifact can be read with objdump, gdb and perf. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/build_id.h"
#include "artifact/cpu.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/copy_out.h"
#include "base/nearest.h"
#include "base/sizes.h"
#include "compiler/child_internal.h"
#include "compiler/spawner_internal.h"

static const char help[] =
    "usage: weir-compile IN.wasm -o OUT\n"
    "Compiles a WebAssembly module to native code, in a sandbox of its own.\n"
    "\n"
    "OUT is an ELF file to look at: objdump -d OUT, gdb, perf. Weir itself never runs\n"
    "it; it compiles again, or takes what is in its own sealed directory.\n"
    "\n"
    "  -o, --output FILE     where to write the artifact\n"
    "      --explicit-bounds check every memory access, use no guard pages\n"
    "      --no-signals      trap by calls, with explicit bounds\n"
    "      --fuel            count fuel\n"
    "      --no-poll         no interruption points in loops\n"
    "      --cpu NAME        let code use a processor feature, or \"host\" for all of\n"
    "                        this machine's; may be repeated\n"
    "      --enable FEATURE  switch on a WebAssembly feature; may be repeated\n"
    "      --memory-max SIZE limit of the compiler's memory\n"
    "      --time-max TIME   limit of its CPU time\n"
    "      --report          what it took, on standard error\n"
    "      --help, --version\n";

struct settings {
    const char *input;
    const char *output;
    struct weir_compile_request_wire request;
    bool has_report;
};

enum {
    OPT_EXPLICIT = 256,
    OPT_NO_SIGNALS,
    OPT_FUEL,
    OPT_NO_POLL,
    OPT_CPU,
    OPT_ENABLE,
    OPT_MEMORY,
    OPT_TIME,
    OPT_REPORT,
    OPT_HELP,
    OPT_VERSION
};

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"explicit-bounds", no_argument, NULL, OPT_EXPLICIT},
    {"no-signals", no_argument, NULL, OPT_NO_SIGNALS},
    {"fuel", no_argument, NULL, OPT_FUEL},
    {"no-poll", no_argument, NULL, OPT_NO_POLL},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"enable", required_argument, NULL, OPT_ENABLE},
    {"memory-max", required_argument, NULL, OPT_MEMORY},
    {"time-max", required_argument, NULL, OPT_TIME},
    {"report", no_argument, NULL, OPT_REPORT},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};

static int fail(const struct weir_error *error, const char *input)
{
    if (error->offset != WEIR_NO_OFFSET && input != NULL)
        (void)fprintf(stderr, "weir-compile: %s: byte %llu: %s\n", input,
                      (unsigned long long)error->offset, error->message);
    else
        (void)fprintf(stderr, "weir-compile: %s%s%s\n", input != NULL ? input : "",
                      input != NULL ? ": " : "", error->message);
    return weir_status_exit_code(error->status);
}

static enum weir_status enable_feature(struct settings *settings, const char *name,
                                       struct weir_error *error)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } features[] = {
#define WEIR_FEATURE(bit, id, name, on) {name, WEIR_FEATURE_##id},
#include <weir/features.def>
#undef WEIR_FEATURE
    };
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (strcmp(features[i].name, name) != 0)
            continue;
        settings->request.options.features |= features[i].bit;
        return WEIR_OK;
    }
    const char *names[sizeof features / sizeof features[0]];
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        names[i] = features[i].name;
    const char *nearest = weir_nearest_name(name, names, sizeof names / sizeof names[0]);
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "no WebAssembly feature is called %s%s%s", name,
                          nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "");
}

static enum weir_status enable_cpu(struct settings *settings, const char *name,
                                   struct weir_error *error)
{
    uint64_t bits = strcmp(name, "host") == 0 ? weir_cpu_host() : weir_cpu_named(name);
    char names[256];
    if (bits == 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "no processor feature is called %s; there are: %s", name,
                              weir_cpu_names(weir_cpu_all, names, sizeof names));
    settings->request.options.cpu_features |= bits;
    return WEIR_OK;
}

static enum weir_status take_option(struct settings *settings, int option, const char *value,
                                    struct weir_error *error)
{
    uint64_t ns = 0;
    enum weir_status status;
    switch (option) {
    case 'o':
        settings->output = value;
        return WEIR_OK;
    case OPT_EXPLICIT:
        settings->request.options.flags |= WEIR_ARTIFACT_EXPLICIT_BOUNDS;
        return WEIR_OK;
    case OPT_NO_SIGNALS:
        settings->request.options.flags |=
            WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_NO_SIGNALS;
        return WEIR_OK;
    case OPT_FUEL:
        settings->request.options.flags |= WEIR_ARTIFACT_FUEL;
        return WEIR_OK;
    case OPT_NO_POLL:
        settings->request.options.flags &= ~WEIR_ARTIFACT_POLL;
        return WEIR_OK;
    case OPT_CPU:
        return enable_cpu(settings, value, error);
    case OPT_ENABLE:
        return enable_feature(settings, value, error);
    case OPT_MEMORY:
        return weir_size_parse(value, strlen(value), &settings->request.memory_bytes, error);
    case OPT_TIME:
        status = weir_duration_parse(value, strlen(value), &ns, error);
        settings->request.cpu_ms =
            ns / 1000000 < UINT32_MAX ? (uint32_t)(ns / 1000000) : UINT32_MAX;
        return status;
    case OPT_REPORT:
        settings->has_report = true;
        return WEIR_OK;
    default:
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "see weir-compile --help");
    }
}

/* The module as a descriptor, the limits that follow from its size. */
static enum weir_status open_module(struct settings *settings, int *ret_fd,
                                    struct weir_error *error)
{
    struct stat stat;
    int fd = open(settings->input, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        int number = errno;
        if (fd >= 0)
            (void)close(fd);
        return weir_error_set_errno(error, number == ENOENT ? WEIR_NOT_FOUND : WEIR_IO, number,
                                    "cannot read it");
    }
    struct weir_compile_request_wire *request = &settings->request;
    request->magic = WEIR_COMPILE_WIRE_MAGIC;
    request->module_bytes = (uint64_t)stat.st_size;
    if (request->memory_bytes == 0)
        request->memory_bytes = weir_compile_memory_default(request->module_bytes);
    if (request->cpu_ms == 0)
        request->cpu_ms = weir_compile_cpu_ms_default(request->module_bytes);
    request->output_bytes = weir_compile_output_default(request->module_bytes);
    *ret_fd = fd;
    return WEIR_OK;
}

/* Runs the child to its end; OK when it has written the artifact. */
static enum weir_status run_child(const struct weir__child_job *job, int reply_fd, int *child_end,
                                  struct weir_compile_reply_wire ret_replies[2],
                                  struct weir_error *error)
{
    pid_t pid = 0;
    enum weir_status status = weir__child_start(job, &pid, error);
    if (status != WEIR_OK)
        return status;
    (void)close(*child_end);
    *child_end = -1;
    struct weir_compile_reply_wire reply;
    bool has_result = false;
    while (read(reply_fd, &reply, sizeof reply) == (ssize_t)sizeof reply) {
        if (reply.type != WEIR_REPLY_RESULT)
            continue;
        ret_replies[0] = reply;
        has_result = true;
    }
    if (!weir__child_reap(pid, true, &ret_replies[1]))
        return weir_error_set(error, WEIR_COMPILE, WEIR_NO_OFFSET, "lost the compiler process");
    if (!has_result)
        return weir_compile_explain_exit(&job->request, &ret_replies[1], error);
    return weir_compile_explain_result(&job->request, &ret_replies[0], error);
}

static enum weir_status compile_to(struct settings *settings, int module_fd, int output_fd,
                                   struct weir_compile_reply_wire ret_replies[2],
                                   struct weir_error *error)
{
    struct weir__sandbox sandbox = {0};
    int pair[2];
    enum weir_status status = weir__sandbox_build(&sandbox, error);
    if (status != WEIR_OK)
        return status;
    struct weir_hash ignored; /* OpenSSL's first use, before files are out of reach */
    status = weir_hash_bytes("", 0, &ignored, error);
    if (status == WEIR_OK && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        status = weir_error_set_errno(error, WEIR_IO, errno, "cannot make a socket pair");
    if (status == WEIR_OK) {
        const struct weir__child_job job = {
            .request = settings->request,
            .fds = {module_fd, output_fd, pair[1]},
            .sandbox = &sandbox,
            .base_bytes = weir__sandbox_base_bytes(),
        };
        status = run_child(&job, pair[0], &pair[1], ret_replies, error);
        (void)close(pair[0]);
        if (pair[1] >= 0)
            (void)close(pair[1]);
    }
    weir__sandbox_done(&sandbox);
    return status;
}

/* Compiled in memory: what the sandbox writes to is nobody's file yet. */
static enum weir_status write_artifact(struct settings *settings, int module_fd,
                                       struct weir_compile_reply_wire ret_replies[2],
                                       struct weir_error *error)
{
    uint64_t bytes;
    AUTO_CLOSE fd = memfd_create("weir-artifact", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "no file in memory for the artifact");
    enum weir_status status = compile_to(settings, module_fd, fd, ret_replies, error);
    if (status == WEIR_OK)
        status = weir_copy_out(weir_io_system(), fd, settings->output, &bytes, error);
    return status;
}

static int compile_file(struct settings *settings)
{
    struct weir_error error = {.offset = WEIR_NO_OFFSET};
    struct weir_compile_reply_wire replies[2];
    AUTO_CLOSE module_fd = -1;
    uint64_t start_ns = weir_clock_ns();
    enum weir_status status = open_module(settings, &module_fd, &error);
    if (status == WEIR_OK)
        status = write_artifact(settings, module_fd, replies, &error);
    if (status != WEIR_OK)
        return fail(&error, settings->input);
    if (settings->has_report)
        (void)fprintf(stderr, "%s  %s -> %s  %s  CPU %s  peak %s\n", settings->output,
                      weir_size_format(settings->request.module_bytes).text,
                      weir_size_format(replies[0].numbers[0]).text,
                      weir_duration_format(weir_clock_ns() - start_ns).text,
                      weir_duration_format(replies[1].numbers[1] * 1000).text,
                      weir_size_format(replies[1].numbers[0]).text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--spawner") == 0)
        return weir__spawner_run();
    struct weir_error error = {0};
    struct settings settings = {
        .request.options = {.features = WEIR_FEATURES_DEFAULT,
                            .flags = WEIR_ARTIFACT_POLL,
                            .generator = "fast"},
    };
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == OPT_HELP)
            return fputs(help, stdout) < 0;
        if (option == OPT_VERSION)
            return printf("weir-compile %s, build %02x%02x%02x%02x\n", WEIR_VERSION,
                          weir_build_id[0], weir_build_id[1], weir_build_id[2],
                          weir_build_id[3]) < 0;
        if (take_option(&settings, option, optarg, &error) != WEIR_OK)
            return fail(&error, NULL);
    }
    settings.input = optind < argc ? argv[optind] : NULL;
    if (settings.input == NULL || optind + 1 != argc || settings.output == NULL) {
        (void)weir_error_set(&error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                             "one module and -o OUT are needed; see weir-compile --help");
        return fail(&error, NULL);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return compile_file(&settings);
}
