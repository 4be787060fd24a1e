/* A folder that stands for "/" in tests of what is read below /proc and /sys: files are put into
 * it, and the code under test is given its path. */
#ifndef WEIR_TESTS_FAKE_ROOT_H
#define WEIR_TESTS_FAKE_ROOT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static inline void make_root(void)
{
    strncpy(root, "/tmp/weir-test-root-XXXXXX", sizeof root - 1);
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static inline void remove_root(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

/* Writes a file below the root and makes its folders. */
static inline void put(const char *path, const char *text)
{
    char full[512];
    int length = snprintf(full, sizeof full, "%s%s", root, path);
    ck_assert_int_lt(length, (int)sizeof full);
    for (char *at = full + strlen(root) + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        (void)mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

#endif
