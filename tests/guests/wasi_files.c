/* Exercises the file functions of the C library in its preopened folder; says which line failed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            printf("line %d: %s: errno %d (%s)\n", __LINE__, #x, errno, strerror(errno));          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void check_positions(void)
{
    char bytes[16];
    int fd = open("/data/file", O_RDWR | O_CREAT | O_EXCL, 0644);
    CHECK(fd >= 0);
    CHECK(open("/data/file", O_RDWR | O_CREAT | O_EXCL, 0644) < 0 && errno == EEXIST);
    CHECK(write(fd, "0123456789", 10) == 10);
    CHECK(lseek(fd, 3, SEEK_SET) == 3);
    CHECK(read(fd, bytes, 4) == 4 && memcmp(bytes, "3456", 4) == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == 7);
    CHECK(pread(fd, bytes, 16, 8) == 2 && memcmp(bytes, "89", 2) == 0);
    CHECK(pwrite(fd, "ab", 2, 1) == 2);
    CHECK(lseek(fd, -1, SEEK_END) == 9);
    struct iovec vectors[2] = {{"xy", 2}, {"z", 1}};
    CHECK(writev(fd, vectors, 2) == 3);
    CHECK(ftruncate(fd, 11) == 0);
    CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
    CHECK(posix_fallocate(fd, 0, 100) == 0);
    struct stat stat;
    CHECK(fstat(fd, &stat) == 0 && stat.st_size == 100 && S_ISREG(stat.st_mode));
    CHECK(close(fd) == 0);
    CHECK(close(fd) < 0 && errno == EBADF);
}

static void check_stdio(void)
{
    char line[64];
    FILE *file = fopen("/data/text", "w");
    CHECK(file != NULL);
    for (int i = 0; i < 1000; i++)
        CHECK(fprintf(file, "line %d\n", i) > 0);
    CHECK(fclose(file) == 0);
    file = fopen("/data/text", "a+");
    CHECK(file != NULL);
    CHECK(fputs("last\n", file) >= 0);
    rewind(file);
    int lines = 0;
    while (fgets(line, sizeof line, file) != NULL)
        lines++;
    CHECK(lines == 1001 && strcmp(line, "last\n") == 0);
    CHECK(fclose(file) == 0);
}

static void check_names(void)
{
    struct stat stat_1, stat_2;
    char target[32];
    CHECK(mkdir("/data/dir", 0755) == 0);
    CHECK(mkdir("/data/dir", 0755) < 0 && errno == EEXIST);
    CHECK(rename("/data/text", "/data/dir/moved") == 0);
    CHECK(link("/data/dir/moved", "/data/hard") == 0);
    CHECK(symlink("dir/moved", "/data/soft") == 0);
    CHECK(readlink("/data/soft", target, sizeof target) == 9 &&
          memcmp(target, "dir/moved", 9) == 0);
    CHECK(stat("/data/soft", &stat_1) == 0 && stat("/data/hard", &stat_2) == 0);
    CHECK(stat_1.st_ino == stat_2.st_ino && stat_1.st_nlink == 2);
    CHECK(lstat("/data/soft", &stat_2) == 0 && S_ISLNK(stat_2.st_mode));
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000, .tv_nsec = 5}};
    CHECK(utimensat(AT_FDCWD, "/data/hard", times, 0) == 0);
    CHECK(stat("/data/soft", &stat_1) == 0 && stat_1.st_mtim.tv_sec == 2000);
    CHECK(stat_1.st_mtim.tv_nsec == 5 && stat_1.st_atim.tv_sec == 1000);
    CHECK(rmdir("/data/dir") < 0 && errno == ENOTEMPTY);
    CHECK(unlink("/data/dir") < 0 && errno == EISDIR);
    CHECK(unlink("/data/dir/moved") == 0 && unlink("/data/hard") == 0);
    CHECK(unlink("/data/soft") == 0 && rmdir("/data/dir") == 0);
    CHECK(open("/data/none", O_RDONLY) < 0 && errno == ENOENT);
    CHECK(open("/data/../../etc/passwd", O_RDONLY) < 0 && errno == EPERM);
    CHECK(open("/etc/passwd", O_RDONLY) < 0);
}

static void check_listing(void)
{
    char path[64];
    CHECK(mkdir("/data/many", 0755) == 0);
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof path, "/data/many/%d", i);
        int fd = open(path, O_WRONLY | O_CREAT, 0644);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    DIR *dir = opendir("/data/many");
    CHECK(dir != NULL);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL; count++)
        ;
    CHECK(count == 502);
    rewinddir(dir);
    CHECK(readdir(dir) != NULL);
    CHECK(closedir(dir) == 0);
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof path, "/data/many/%d", i);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir("/data/many") == 0);
}

static void check_time(void)
{
    struct timespec before, after;
    struct timespec nap = {.tv_nsec = 20000000};
    unsigned char bytes[64] = {0};
    unsigned sum = 0;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    CHECK(nanosleep(&nap, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
    long long took = (after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec;
    CHECK(took >= 20000000 && took < 5000000000);
    CHECK(time(NULL) > 1700000000);
    CHECK(getentropy(bytes, sizeof bytes) == 0);
    for (unsigned i = 0; i < sizeof bytes; i++)
        sum += bytes[i];
    CHECK(sum > 0);
    struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
    CHECK(poll(&fd, 1, 1000) == 1 && (fd.revents & POLLOUT) != 0);
}

int main(void)
{
    check_positions();
    check_stdio();
    check_names();
    check_listing();
    check_time();
    CHECK(unlink("/data/file") == 0);
    puts("all is well");
    return 0;
}
