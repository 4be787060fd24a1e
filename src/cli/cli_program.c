/* See cli_program.h. */
#include "cli/cli_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool weir_cli_find_program(const char *program, char path[PATH_MAX])
{
    const char *folder = getenv("WEIR_LIBEXEC");
    if (folder != NULL && folder[0] != 0 &&
        snprintf(path, PATH_MAX, "%s/%s", folder, program) < PATH_MAX && access(path, X_OK) == 0)
        return true;
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0)
        return false;
    self[size] = 0;
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return false;
    *slash = 0;
    static const char *const PLACES[] = {"../libexec/weir", "."};
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++)
        if (snprintf(path, PATH_MAX, "%s/%s/%s", self, PLACES[i], program) < PATH_MAX &&
            access(path, X_OK) == 0)
            return true;
    return false;
}
