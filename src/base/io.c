/* The system's I/O and the layer of faults over it. */
#include "base/io.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum transfer {
    NO,
    LEN,
    IOV
};

static const struct {
    const char *name;
    long number;
    enum transfer transfer;
} ops[WEIR_IO_OP_COUNT] = {
#define WEIR_IO_OP(id, name, transfers) {#name, SYS_##name, transfers},
#include "base/io_ops.def"
#undef WEIR_IO_OP
};

const char *weir_io_op_name(enum weir_io_op op)
{
    return op < WEIR_IO_OP_COUNT ? ops[op].name : "any";
}

static long system_call(struct weir_io *io, enum weir_io_op op, const long args[6])
{
    (void)io;
    if (op == WEIR_IO_CLOCK_GETTIME) /* libc answers without entering the kernel */
        return clock_gettime((clockid_t)args[0], (struct timespec *)args[1]) == 0 ? 0 : -errno;
    long result = syscall(ops[op].number, args[0], args[1], args[2], args[3], args[4], args[5]);
    return result == -1 ? -(long)errno : result;
}

struct weir_io *weir_io_system(void)
{
    static struct weir_io io = {system_call};
    return &io;
}

int weir_io_write_all(struct weir_io *io, int fd, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size != 0) {
        long moved = weir_io_write(io, fd, from, size);
        if (moved == -EINTR)
            continue;
        if (moved <= 0)
            return moved < 0 ? (int)moved : -EIO;
        from += moved;
        size -= (size_t)moved;
    }
    return 0;
}

long weir_io_read_full(struct weir_io *io, int fd, void *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        long moved = weir_io_read(io, fd, (char *)bytes + done, size - done);
        if (moved == -EINTR)
            continue;
        if (moved < 0)
            return moved;
        if (moved == 0)
            break;
        done += (size_t)moved;
    }
    return (long)done;
}

/* --- faults -------------------------------------------------------------------------------- */

/* The call with its transfer cut to at most `bytes_max` bytes. */
static long call_short(struct weir_io *below, enum weir_io_op op, const long args[6],
                       size_t bytes_max)
{
    long cut[6];
    memcpy(cut, args, sizeof cut);
    struct iovec first;
    if (ops[op].transfer == LEN && (size_t)args[2] > bytes_max) {
        cut[2] = (long)bytes_max;
    } else if (ops[op].transfer == IOV && args[2] > 0) {
        first = ((const struct iovec *)args[1])[0];
        if (first.iov_len > bytes_max)
            first.iov_len = bytes_max;
        cut[1] = (long)&first;
        cut[2] = 1;
    }
    return below->call(below, op, cut);
}

/* Counts the call; the first rule that is about it, by value. */
static bool match(struct weir_io_faulty *faulty, enum weir_io_op op, struct weir_io_rule *ret)
{
    bool found = false;
    (void)pthread_mutex_lock(&faulty->lock);
    faulty->calls[op]++;
    faulty->calls[WEIR_IO_ANY]++;
    for (size_t i = 0; i < faulty->rule_count && !found; i++) {
        const struct weir_io_rule *rule = &faulty->rules[i];
        if (rule->op != op && rule->op != WEIR_IO_ANY)
            continue;
        uint64_t first = rule->first != 0 ? rule->first : 1;
        uint64_t nth = faulty->calls[rule->op];
        if (nth >= first && (rule->count == 0 || nth - first < rule->count)) {
            *ret = *rule;
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&faulty->lock);
    return found;
}

static long faulty_call(struct weir_io *io, enum weir_io_op op, const long args[6])
{
    struct weir_io_faulty *faulty =
        (struct weir_io_faulty *)((char *)io - offsetof(struct weir_io_faulty, io));
    struct weir_io_rule rule;
    if (!match(faulty, op, &rule))
        return faulty->below->call(faulty->below, op, args);
    if (rule.before != NULL)
        rule.before(rule.context, op, args);
    if (rule.delay_ms != 0) {
        struct timespec delay = {rule.delay_ms / 1000, (long)(rule.delay_ms % 1000) * 1000000};
        (void)nanosleep(&delay, NULL);
    }
    if (rule.error != 0)
        return -(long)rule.error;
    if (rule.bytes_max != 0)
        return call_short(faulty->below, op, args, rule.bytes_max);
    return faulty->below->call(faulty->below, op, args);
}

void weir_io_faulty_init(struct weir_io_faulty *faulty, struct weir_io *below)
{
    memset(faulty, 0, sizeof *faulty);
    faulty->io.call = faulty_call;
    faulty->below = below;
    (void)pthread_mutex_init(&faulty->lock, NULL); /* cannot fail without attributes */
}

void weir_io_faulty_done(struct weir_io_faulty *faulty)
{
    (void)pthread_mutex_destroy(&faulty->lock);
}

bool weir_io_faulty_add(struct weir_io_faulty *faulty, const struct weir_io_rule *rule)
{
    if (faulty->rule_count == WEIR_IO_RULES_MAX)
        return false;
    faulty->rules[faulty->rule_count++] = *rule;
    return true;
}

void weir_io_faulty_reset(struct weir_io_faulty *faulty)
{
    (void)pthread_mutex_lock(&faulty->lock);
    faulty->rule_count = 0;
    memset(faulty->calls, 0, sizeof faulty->calls);
    (void)pthread_mutex_unlock(&faulty->lock);
}
