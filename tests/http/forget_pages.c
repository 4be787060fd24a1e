/* Preloaded into a host, it makes the kernel say that no page is private, so that resets restore no
 * memory: the mistake that a verifying route must find. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

struct scan_head { /* of struct pm_scan_arg */
    uint64_t size, flags, start, end, walk_end;
};

static int is_pagemap(int fd)
{
    char path[64], to[64];
    static const char wanted[] = "/pagemap";
    const char *digits = "0123456789";
    size_t size = strlen("/proc/self/fd/");
    memcpy(path, "/proc/self/fd/", size);
    if (fd < 0 || fd > 9999)
        return 0;
    for (int unit = 1000; unit > 0; unit /= 10)
        if (fd >= unit || unit == 1)
            path[size++] = digits[fd / unit % 10];
    path[size] = 0;
    ssize_t got = readlink(path, to, sizeof to);
    size_t tail = sizeof wanted - 1;
    return got > (ssize_t)tail && memcmp(to + got - tail, wanted, tail) == 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *argument = va_arg(args, void *);
    va_end(args);
    if (_IOC_TYPE(request) == 'f' && _IOC_NR(request) == 16 && is_pagemap(fd)) {
        struct scan_head *scan = argument;
        scan->walk_end = scan->end;
        return 0;
    }
    int (*next)(int, unsigned long, void *) =
        (int (*)(int, unsigned long, void *))(uintptr_t)dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, argument);
}

/* Kernels without the call: eight bytes per page, all of them nothing. */
ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
    ssize_t (*next)(int, void *, size_t, off_t) =
        (ssize_t(*)(int, void *, size_t, off_t))(uintptr_t)dlsym(RTLD_NEXT, "pread");
    ssize_t got = next(fd, to, size, offset);
    if (got > 0 && is_pagemap(fd))
        memset(to, 0, (size_t)got);
    return got;
}

ssize_t pread64(int fd, void *to, size_t size, off_t offset)
{
    return pread(fd, to, size, offset);
}
