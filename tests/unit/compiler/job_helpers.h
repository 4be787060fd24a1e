/* What the tests of compile jobs share: a job over a module, a folder that goes away, a look at the
 * result. */
#ifndef WEIR_TESTS_JOB_HELPERS_H
#define WEIR_TESTS_JOB_HELPERS_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/compiler.h"
#include "runtime/compile_internal.h"

#include "own_wasm.h"

struct folder {
    char path[64];
};

static inline struct folder new_folder(void)
{
    struct folder folder = {"/tmp/weir-job-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(folder.path));
    return folder;
}

static inline void remove_folder(const struct folder *folder)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder->path);
    ck_assert_int_eq(system(command), 0);
}

static inline struct weir_compile_job job_for(const unsigned char *bytes, size_t size)
{
    return (struct weir_compile_job){
        .module = bytes,
        .module_bytes = size,
        .options = {.features = WEIR_FEATURES_DEFAULT, .generator = "fast"},
    };
}

static inline struct weir_artifact_dir *open_dir(const char *path)
{
    struct weir_artifact_dir *dir = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_artifact_dir_open(path, &dir, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return dir;
}

static inline struct weir_artifact_dir_counts counts_of(struct weir_artifact_dir *dir)
{
    struct weir_artifact_dir_counts counts;
    weir_artifact_dir_read(dir, &counts);
    return counts;
}

static inline struct weir_compile_result run_job(struct weir_artifact_dir *dir)
{
    struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
    struct weir_compile_result result = {.fd = -1};
    struct weir_error error = {0};
    enum weir_status status = weir_compile_job_run(dir, &job, &result, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    ck_assert_int_ge(result.fd, 0);
    return result;
}

/* Number of open descriptors of this process. */
static inline int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(folder);
    int count = 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

/* Number of entries of a folder that start with `prefix`. */
static inline int count_names(const char *path, const char *prefix)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    (void)closedir(folder);
    return count;
}

struct version_folder {
    char path[256];
};
/* The only version of an artifact directory; fails the test when there is none or another one. */
static inline struct version_folder version_folder(const struct folder *folder)
{
    struct version_folder version = {""};
    DIR *names = opendir(folder->path);
    ck_assert_ptr_nonnull(names);
    for (struct dirent *entry; (entry = readdir(names)) != NULL;)
        if (entry->d_name[0] == 'v') {
            ck_assert_str_eq(version.path, "");
            (void)snprintf(version.path, sizeof version.path, "%s/%.64s", folder->path,
                           entry->d_name);
        }
    (void)closedir(names);
    ck_assert_str_ne(version.path, "");
    return version;
}

#endif
