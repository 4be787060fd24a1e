/* ls: names, types and sizes of a directory's entries, sorted by name. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char kind_of(const struct stat *stat)
{
    return S_ISDIR(stat->st_mode) ? 'd' : S_ISLNK(stat->st_mode) ? 'l' : '-';
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "/";
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) {
        perror(folder);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char path[1024];
        struct stat stat;
        const char *name = entries[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (name[0] == '.')
            continue;
        if (lstat(path, &stat) != 0) {
            perror(path);
            return 1;
        }
        printf("%c %lld %s\n", kind_of(&stat), (long long)stat.st_size, name);
    }
    return 0;
}
