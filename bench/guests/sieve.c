/* Sieve of Eratosthenes by bytes, then moving the table about: byte loops and bulk memory. */
#include "compute_guest.h"

#define SIZE 1000000u

static uint8_t is_composite[SIZE];
static uint8_t copy[SIZE];

BENCH_RUN(uint32_t scale)
{
    uint64_t sum = 0;
    for (uint32_t round = 0; round < scale; round++) {
        __builtin_memset(is_composite, 0, SIZE);
        for (uint32_t i = 2; i * i < SIZE; i++) {
            if (is_composite[i])
                continue;
            for (uint32_t k = i * i; k < SIZE; k += i)
                is_composite[k] = 1;
        }
        __builtin_memcpy(copy, is_composite, SIZE);
        for (uint32_t i = 2; i < SIZE; i++)
            sum += !copy[i];
    }
    return sum;
}
