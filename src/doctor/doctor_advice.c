/* Each finding is a function that looks at the snapshot and adds at most one piece of advice. What
 * is not worth a person's time (WORTH) is left out. */
#include "doctor/doctor_advice.h"

#include "base/sizes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A finding below a fiftieth of RSS and below 16 MiB is not worth a restart. */
#define WORTH_SHARE 50
#define WORTH_BYTES (UINT64_C(16) << 20)
#define ARENAS_ADVISED 2
/* Unknown memory that makes the picture doubtful: a twentieth. */
#define UNKNOWN_SHARE 20
#define HEADROOM_SHARE 10

struct advising {
    const struct weir_doctor_snapshot *snapshot;
    struct weir_doctor_advice *list;
    size_t count;
};

static struct weir_doctor_advice *add(struct advising *a, const char *id, uint64_t bytes)
{
    static struct weir_doctor_advice nowhere;
    struct weir_doctor_advice *advice =
        a->count < WEIR_DOCTOR_ADVICE_MAX ? &a->list[a->count++] : &nowhere;
    *advice = (struct weir_doctor_advice){.id = id, .bytes = bytes};
    return advice;
}

static void WEIR_PRINTF(2, 3) say(char text[WEIR_DOCTOR_ADVICE_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, WEIR_DOCTOR_ADVICE_SIZE, format, args);
    va_end(args);
}

static bool is_worth(const struct weir_doctor_snapshot *s, uint64_t bytes)
{
    return bytes >= WORTH_BYTES && bytes >= s->rss_bytes / WORTH_SHARE;
}

static bool is_walked(const struct weir_doctor_malloc *walk)
{
    return walk->state == WEIR_DOCTOR_WALK_WHOLE || walk->state == WEIR_DOCTOR_WALK_PART;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static struct weir_size_text size(uint64_t bytes)
{
    return weir_size_format(bytes);
}

/* --- malloc -------------------------------------------------------------------------------- */

static void trim_command(const struct weir_doctor_snapshot *s, struct weir_doctor_advice *advice)
{
    say(advice->command, "gdb -p %llu -batch -ex 'call (int)malloc_trim(0)'",
        (unsigned long long)s->pid);
    say(advice->restart, "No restart: malloc_trim(0) gives whole free pages back while the process "
                         "waits; if it calls it by itself now and then, they stay back.");
}

/* Free memory in whole pages, wherever it is. */
static void find_trim(struct advising *a)
{
    const struct weir_doctor_snapshot *s = a->snapshot;
    uint64_t bytes = s->main_heap.free_resident_bytes + s->arenas.free_resident_bytes;
    if (!is_worth(s, bytes))
        return;
    struct weir_doctor_advice *advice = add(a, "malloc-trim", bytes);
    say(advice->what,
        "malloc holds %s in whole pages that are free (main heap %s, arenas %s); "
        "counted chunk by chunk.",
        size(bytes).text, size(s->main_heap.free_resident_bytes).text,
        size(s->arenas.free_resident_bytes).text);
    trim_command(s, advice);
    say(advice->mind, "The same figure after a trim: then it is in use again at once.");
}

static bool has_few_arenas(const struct weir_doctor_snapshot *s)
{
    uint64_t set = s->has_arena_max ? strtoull(s->arena_max, NULL, 10) : 0;
    bool is_counted = s->arena_count != 0;
    return (set != 0 && set <= ARENAS_ADVISED) || (is_counted && s->arena_count <= ARENAS_ADVISED);
}

/* More arenas than are needed: what they hold beyond what lives. */
static void find_arenas(struct advising *a)
{
    const struct weir_doctor_snapshot *s = a->snapshot;
    uint64_t rss = s->sums[WEIR_DOCTOR_MALLOC_ARENA].rss_bytes;
    bool is_seen = is_walked(&s->arenas);
    uint64_t bytes = is_seen ? less(rss, s->arenas.live_bytes + s->arenas.lost_bytes) : rss;
    if (!is_worth(s, bytes) || has_few_arenas(s))
        return;
    struct weir_doctor_advice *advice = add(a, "arena-max", bytes);
    unsigned long long arenas =
        s->arena_count != 0 ? s->arena_count : s->sums[WEIR_DOCTOR_MALLOC_ARENA].count;
    if (is_seen)
        say(advice->what,
            "%llu malloc arenas hold %s and use %s of it (this machine has %llu "
            "CPUs; glibc makes up to 8 arenas for each).",
            arenas, size(rss).text, size(s->arenas.live_bytes).text,
            (unsigned long long)s->cpu_count);
    else
        say(advice->what, "%llu malloc arenas hold %s; how much of it is free cannot be seen.",
            arenas, size(rss).text);
    say(advice->command, "MALLOC_ARENA_MAX=%d", ARENAS_ADVISED);
    say(advice->restart, "Restart once: glibc reads it when a process begins.");
    say(advice->mind, "%s",
        is_seen ? "Threads that wait for each other in malloc; then 4, or "
                  "another allocator."
                : "Live bytes close to that; root may look (or the process "
                  "itself: mallinfo2).");
}

/* Free, but in pieces between what lives. */
static void find_fragments(struct advising *a)
{
    const struct weir_doctor_snapshot *s = a->snapshot;
    const struct weir_doctor_malloc *m = &s->main_heap;
    if (!is_walked(m))
        return;
    uint64_t rss = s->sums[WEIR_DOCTOR_MALLOC_MAIN].rss_bytes;
    uint64_t bytes = less(rss, m->live_bytes + m->free_resident_bytes + m->lost_bytes);
    if (!is_worth(s, bytes) || bytes < rss / 4)
        return;
    struct weir_doctor_advice *advice = add(a, "fragments", bytes);
    say(advice->what,
        "%s of the main heap's %s are free in pieces smaller than a page, between "
        "%llu chunks in use.",
        size(bytes).text, size(rss).text, (unsigned long long)m->chunk_count);
    say(advice->command, "LD_PRELOAD=libjemalloc.so.2");
    say(advice->restart, "Restart: pieces cannot be given back, and an allocator cannot be changed "
                         "in a running process.");
    say(advice->mind, "Growth that stops here: then the pieces are used again.");
}

/* --- others -------------------------------------------------------------------------------- */

static void find_jemalloc(struct advising *a)
{
    const struct weir_doctor_snapshot *s = a->snapshot;
    uint64_t rss = s->sums[WEIR_DOCTOR_JEMALLOC].rss_bytes;
    if (!is_worth(s, rss) || rss < s->rss_bytes / 4)
        return;
    struct weir_doctor_advice *advice = add(a, "jemalloc-decay", 0);
    say(advice->what,
        "jemalloc holds %s; how much of it is free only the process can tell "
        "(stats.resident against stats.allocated).",
        size(rss).text);
    say(advice->command, "MALLOC_CONF=background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0");
    say(advice->restart, "Restart once: jemalloc reads it when a process begins.");
    say(advice->mind, "stats.allocated close to that.");
}

static void find_gomemlimit(struct advising *a)
{
    const struct weir_doctor_snapshot *s = a->snapshot;
    if (!s->is_go || !s->can_read_environment || s->has_gomemlimit)
        return;
    struct weir_doctor_advice *advice = add(a, "gomemlimit", 0);
    say(advice->what, "GOMEMLIMIT is not set: Go's heap (%s) may double before it is collected.",
        size(s->sums[WEIR_DOCTOR_GO_HEAP].rss_bytes).text);
    if (s->has_cgroup)
        say(advice->command, "weir plan --for nitro --memory %lluMiB",
            (unsigned long long)(s->cgroup.limit_bytes >> 20));
    else
        say(advice->command, "weir plan --for nitro --memory 16GB");
    say(advice->restart, "Restart once: Go reads it when a process begins.");
    say(advice->mind, "The program sets it by itself (debug.SetMemoryLimit).");
}

static void find_headroom(struct advising *a)
{
    const struct weir_doctor_snapshot *s = a->snapshot;
    if (!s->has_cgroup || s->cgroup.headroom_bytes >= s->cgroup.limit_bytes / HEADROOM_SHARE)
        return;
    struct weir_doctor_advice *advice = add(a, "headroom", 0);
    say(advice->what, "Only %s are left below the limit of %s (%s).",
        size(s->cgroup.headroom_bytes).text, size(s->cgroup.limit_bytes).text, s->cgroup_folder);
    say(advice->command, "weir guard --pid %llu", (unsigned long long)s->pid);
    say(advice->mind, "Page cache that the kernel can drop is not counted; what is dirty or locked "
                      "is.");
}

static void find_unknown(struct advising *a)
{
    const struct weir_doctor_snapshot *s = a->snapshot;
    if (s->unknown_bytes < s->rss_bytes / UNKNOWN_SHARE || s->unknown_bytes < WORTH_BYTES / 16)
        return;
    struct weir_doctor_advice *advice = add(a, "unknown", 0);
    say(advice->what, "%s could not be attributed.", size(s->unknown_bytes).text);
    if (!s->can_read_memory)
        say(advice->command, "sudo weir doctor %llu", (unsigned long long)s->pid);
    say(advice->restart, "%s",
        s->can_read_memory ? ""
                           : "No restart: with the right to read the "
                             "process's memory more is known.");
}

static int by_bytes(const void *a, const void *b)
{
    uint64_t x = ((const struct weir_doctor_advice *)a)->bytes;
    uint64_t y = ((const struct weir_doctor_advice *)b)->bytes;
    return x < y ? 1 : x > y ? -1 : 0;
}

size_t weir_doctor_advise(const struct weir_doctor_snapshot *snapshot,
                          struct weir_doctor_advice ret_advice[WEIR_DOCTOR_ADVICE_MAX])
{
    static void (*const FINDINGS[])(struct advising *) = {
        find_trim,       find_arenas,   find_fragments, find_jemalloc,
        find_gomemlimit, find_headroom, find_unknown};
    struct advising advising = {.snapshot = snapshot, .list = ret_advice};
    for (size_t i = 0; i < sizeof FINDINGS / sizeof FINDINGS[0]; i++)
        FINDINGS[i](&advising);
    qsort(ret_advice, advising.count, sizeof ret_advice[0], by_bytes);
    return advising.count;
}
