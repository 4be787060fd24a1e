/* A small interpreter whose instructions are function pointers, and recursion: calls of both
 * kinds. */
#include "compute_guest.h"

struct machine {
    const uint8_t *program;
    uint32_t at;
    uint32_t registers[4];
};

typedef void operation(struct machine *, uint8_t);

static void add(struct machine *m, uint8_t k)
{
    m->registers[k & 3] += m->registers[k >> 2 & 3];
}

static void exclusive_or(struct machine *m, uint8_t k)
{
    m->registers[k & 3] ^= m->registers[k >> 2 & 3] << 1;
}

static void increment(struct machine *m, uint8_t k)
{
    m->registers[k & 3] += k;
}

static void jump_unless_zero(struct machine *m, uint8_t k)
{
    if (m->registers[3] != 0) {
        m->registers[3]--;
        m->at = k;
    }
}

static operation *const operations[] = {add, exclusive_or, increment, jump_unless_zero};
static const uint8_t program[] = {2, 5, 0, 4, 1, 9, 0, 6, 1, 1, 2, 14, 0, 9, 3, 0};

__attribute__((noinline)) static uint32_t fib(uint32_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

BENCH_RUN(uint32_t scale)
{
    struct machine m = {.program = program, .registers = {1, 2, 3, scale * 10000}};
    while (m.at < sizeof program) {
        uint8_t code = m.program[m.at];
        uint8_t operand = m.program[m.at + 1];
        m.at += 2;
        operations[code & 3](&m, operand);
    }
    return ((uint64_t)m.registers[0] << 32 | m.registers[1]) + fib(20 + scale / 16);
}
