/* Artifacts whose every entry was checked by this process, by file identity (DESIGN law 6): loading
 * one again checks its head only, and takes the same time whatever its size.
 *
 * A fixed table: a file that lost its place to another is checked once more. An identity is device,
 * inode, size, modification and change time; who can change a file without changing these is the
 * same user with the same rights, against whom the directory's 0700 does not help either.
 */
#include <pthread.h>
#include <time.h>

#include "runtime/module_internal.h"

#define PLACES 4096u
#define SETTLE_MS 50 /* several ticks of any kernel */

struct identity {
    uint64_t device, inode, bytes;
    int64_t modified_s, changed_s;
    int32_t modified_ns, changed_ns;
};

static struct identity places[PLACES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct identity identity_of(const struct stat *file)
{
    return (struct identity){.device = file->st_dev,
                             .inode = file->st_ino,
                             .bytes = (uint64_t)file->st_size,
                             .modified_s = file->st_mtim.tv_sec,
                             .changed_s = file->st_ctim.tv_sec,
                             .modified_ns = (int32_t)file->st_mtim.tv_nsec,
                             .changed_ns = (int32_t)file->st_ctim.tv_nsec};
}

static struct identity *place_of(const struct identity *identity)
{
    uint64_t hash = (identity->inode ^ identity->device << 32) * UINT64_C(0x9e3779b97f4a7c15);
    return &places[hash >> 52];
}
static_assert(PLACES == 1u << 12, "the hash's upper bits");

static bool is_equal(const struct identity *a, const struct identity *b)
{
    return a->inode == b->inode && a->device == b->device && a->bytes == b->bytes &&
           a->modified_s == b->modified_s && a->modified_ns == b->modified_ns &&
           a->changed_s == b->changed_s && a->changed_ns == b->changed_ns;
}

bool weir__file_is_checked(const struct stat *file)
{
    struct identity identity = identity_of(file);
    (void)pthread_mutex_lock(&lock);
    bool is_checked = is_equal(place_of(&identity), &identity);
    (void)pthread_mutex_unlock(&lock);
    return is_checked;
}

/* A change within the clock's tick of this one would not show: a file that was written a moment ago
 * is not remembered yet. */
static bool is_settled(const struct stat *file)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int64_t then_ms = (int64_t)file->st_ctim.tv_sec * 1000 + file->st_ctim.tv_nsec / 1000000;
    return then_ms + SETTLE_MS < now_ms;
}

void weir__file_set_checked(const struct stat *file)
{
    if (!is_settled(file))
        return;
    struct identity identity = identity_of(file);
    (void)pthread_mutex_lock(&lock);
    *place_of(&identity) = identity;
    (void)pthread_mutex_unlock(&lock);
}
