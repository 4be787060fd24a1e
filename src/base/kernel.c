/* Probes of the kernel. A version says what should be there, a probe what is: seccomp profiles and
 * sysctls take things away. Each probe undoes what it did. */
#include "base/kernel.h"

#include <linux/membarrier.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/proc_pagemap.h"
#include "base/proc_scan.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define PR_VMA 0x53564d41
#define PR_VMA_ANON_NAME 0
#define PAGE 4096u

static struct weir_kernel kernel;
static pthread_once_t kernel_once = PTHREAD_ONCE_INIT;

static void probe_version(void)
{
    struct utsname names;
    if (uname(&names) != 0)
        return;
    struct weir_scan scan = weir_scan(names.release, strnlen(names.release, sizeof names.release));
    uint64_t major;
    uint64_t minor;
    if (weir_scan_dec(&scan, &major) && weir_scan_char(&scan, '.') &&
        weir_scan_dec(&scan, &minor)) {
        kernel.major = (unsigned)major;
        kernel.minor = (unsigned)minor;
    }
}

static void probe_userfaultfd(void)
{
    AUTO_CLOSE fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (fd < 0)
        return;
    struct uffdio_api api = {.api = UFFD_API};
    kernel.has_userfaultfd = ioctl(fd, UFFDIO_API, &api) == 0;
    kernel.has_userfaultfd_wp =
        kernel.has_userfaultfd && (api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0;
}

static void probe_names(void)
{
    void *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    kernel.has_anon_names = prctl(PR_VMA, PR_VMA_ANON_NAME, page, PAGE, "weir") == 0;
    (void)munmap(page, PAGE);
}

static void probe(void)
{
    probe_version();
    probe_userfaultfd();
    probe_names();
    struct weir_pagemap pagemap;
    if (weir_pagemap_open(true, &pagemap, NULL) == WEIR_OK) {
        kernel.has_pagemap_scan = pagemap.has_scan;
        weir_pagemap_close(&pagemap);
    }
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    kernel.has_membarrier = commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
}

const struct weir_kernel *weir_kernel(void)
{
    (void)pthread_once(&kernel_once, probe);
    return &kernel;
}

bool weir_kernel_at_least(unsigned major, unsigned minor)
{
    const struct weir_kernel *running = weir_kernel();
    return running->major > major || (running->major == major && running->minor >= minor);
}
