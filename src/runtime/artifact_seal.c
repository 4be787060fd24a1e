/* Seals of artifact files: computing them, and remembering for which files they held. */
#include "runtime/compile_internal.h"

#include <errno.h>

#define READ_BYTES 16384u

/* Only ever compared; a file may claim any second there is, so it wraps. */
static uint64_t nanoseconds(const struct timespec *moment)
{
    return (uint64_t)moment->tv_sec * 1000000000u + (uint64_t)moment->tv_nsec;
}

struct weir__artifact_identity weir__artifact_identify(const struct stat *stat)
{
    return (struct weir__artifact_identity){
        .device = stat->st_dev,
        .inode = stat->st_ino,
        .size = (uint64_t)stat->st_size,
        .modified_ns = nanoseconds(&stat->st_mtim),
        .changed_ns = nanoseconds(&stat->st_ctim),
    };
}

static bool same(const struct weir__artifact_identity *a, const struct weir__artifact_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

/* Inodes count upwards; a multiplication spreads them. */
static size_t set_of(const struct weir__artifact_identity *identity)
{
    return (size_t)(identity->inode * UINT64_C(0x9e3779b97f4a7c15) >> 32) % WEIR_ARTIFACT_SEEN_SETS;
}

bool weir__artifact_seen_has(const struct weir__artifact_seen *seen,
                             const struct weir__artifact_identity *identity)
{
    const struct weir__artifact_identity *set = seen->sets[set_of(identity)];
    for (size_t i = 0; i < WEIR_ARTIFACT_SEEN_WAYS; i++)
        if (same(&set[i], identity))
            return true;
    return false;
}

void weir__artifact_seen_add(struct weir__artifact_seen *seen,
                             const struct weir__artifact_identity *identity)
{
    if (weir__artifact_seen_has(seen, identity))
        return;
    size_t set = set_of(identity);
    /* A file that changed takes its old place. */
    size_t way = WEIR_ARTIFACT_SEEN_WAYS;
    for (size_t i = 0; i < WEIR_ARTIFACT_SEEN_WAYS && way == WEIR_ARTIFACT_SEEN_WAYS; i++)
        if (seen->sets[set][i].inode == identity->inode || seen->sets[set][i].size == 0)
            way = i;
    if (way == WEIR_ARTIFACT_SEEN_WAYS)
        way = seen->next[set]++ % WEIR_ARTIFACT_SEEN_WAYS;
    seen->sets[set][way] = *identity;
}

enum weir_status weir__artifact_mac_file(struct weir_io *io, int fd, uint64_t size,
                                         const struct weir_hash *key, struct weir_hash *ret_mac,
                                         struct weir_error *error)
{
    uint8_t buffer[READ_BYTES];
    AUTO(weir_hash_state) *state = NULL;
    enum weir_status status = weir_hash_new(key->bytes, sizeof key->bytes, &state, error);
    for (uint64_t at = 0; at < size && status == WEIR_OK;) {
        size_t part = size - at < sizeof buffer ? (size_t)(size - at) : sizeof buffer;
        long count = weir_io_pread(io, fd, buffer, part, at);
        if (count == -EINTR)
            continue;
        if (count <= 0)
            return weir_error_set_errno(error, WEIR_IO, count == 0 ? EIO : (int)-count,
                                        "cannot read an artifact at byte %llu",
                                        (unsigned long long)at);
        status = weir_hash_add(state, buffer, (size_t)count, error);
        at += (uint64_t)count;
    }
    return status == WEIR_OK ? weir_hash_end(state, ret_mac, error) : status;
}
