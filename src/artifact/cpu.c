/* Feature bits from CPUID. AVX and what builds on it count only when the kernel saves the wide
 * registers (XGETBV). */
#include "artifact/cpu.h"

#include <cpuid.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    uint64_t bit;
    const char *name;
} features_named[] = {
#define WEIR_CPU_FEATURE(bit, id, name, required) {UINT64_C(1) << (bit), name},
#include "artifact/cpu_features.def"
#undef WEIR_CPU_FEATURE
};
#define FEATURE_COUNT (sizeof features_named / sizeof features_named[0])

const uint64_t weir_cpu_baseline = 0
#define WEIR_CPU_FEATURE(bit, id, name, required) | (UINT64_C(required) << (bit))
#include "artifact/cpu_features.def"
#undef WEIR_CPU_FEATURE
    ;
const uint64_t weir_cpu_all = 0
#define WEIR_CPU_FEATURE(bit, id, name, required) | (UINT64_C(1) << (bit))
#include "artifact/cpu_features.def"
#undef WEIR_CPU_FEATURE
    ;

static uint64_t when(unsigned reg, unsigned bit, uint64_t feature)
{
    return (reg >> bit & 1u) != 0 ? feature : 0;
}

/* XCR0 has SSE and AVX state enabled. */
static bool has_wide_registers(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6u) == 6u;
}

static uint64_t detect(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0)
        return 0;
    uint64_t found = when(c, 13, WEIR_CPU_CX16) | when(c, 23, WEIR_CPU_POPCNT) |
                     when(c, 0, WEIR_CPU_SSE3) | when(c, 9, WEIR_CPU_SSSE3) |
                     when(c, 19, WEIR_CPU_SSE4_1) | when(c, 20, WEIR_CPU_SSE4_2) |
                     when(c, 22, WEIR_CPU_MOVBE);
    bool wide = (c >> 27 & 1u) != 0 && has_wide_registers();
    if (wide)
        found |= when(c, 28, WEIR_CPU_AVX) | when(c, 12, WEIR_CPU_FMA) | when(c, 29, WEIR_CPU_F16C);
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
        found |= when(b, 3, WEIR_CPU_BMI1) | when(b, 8, WEIR_CPU_BMI2);
        if (wide)
            found |= when(b, 5, WEIR_CPU_AVX2);
    }
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d) != 0)
        found |= when(c, 0, WEIR_CPU_LAHF) | when(c, 5, WEIR_CPU_LZCNT);
    return found;
}

uint64_t weir_cpu_host(void)
{
    /* Racing threads find the same; the top bit only says that the answer is there. */
    static _Atomic uint64_t cached;
    const uint64_t known = UINT64_C(1) << 63;
    uint64_t found = atomic_load_explicit(&cached, memory_order_relaxed);
    if (found == 0) {
        found = detect() | known;
        atomic_store_explicit(&cached, found, memory_order_relaxed);
    }
    return found & ~known;
}

uint64_t weir_cpu_named(const char *name)
{
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if (strcmp(features_named[i].name, name) == 0)
            return features_named[i].bit;
    return 0;
}

char *weir_cpu_names(uint64_t features, char *buffer, size_t buffer_size)
{
    size_t used = 0;
    if (buffer_size > 0)
        buffer[0] = '\0';
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((features >> bit & 1u) == 0)
            continue;
        char number[16];
        const char *name = number;
        if (bit < FEATURE_COUNT)
            name = features_named[bit].name;
        else
            (void)snprintf(number, sizeof number, "bit %u", bit);
        size_t need = strlen(name) + (used > 0 ? 1 : 0);
        if (used + need + 1 > buffer_size)
            break;
        used += (size_t)snprintf(buffer + used, buffer_size - used, used > 0 ? " %s" : "%s", name);
    }
    return buffer;
}
