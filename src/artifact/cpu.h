/* What the processor can do, as bits: the baseline that Weir needs (x86-64-v2) and what a generator
 * may use beyond it. Part of an artifact's key and checked when one is opened. */
#ifndef WEIR_ARTIFACT_CPU_H
#define WEIR_ARTIFACT_CPU_H

#include <stddef.h>
#include <stdint.h>

enum weir_cpu_feature {
#define WEIR_CPU_FEATURE(bit, id, name, required) WEIR_CPU_##id = 1u << (bit),
#include "artifact/cpu_features.def"
#undef WEIR_CPU_FEATURE
};

/* The bits that every machine must have, and all bits there are. */
extern const uint64_t weir_cpu_baseline;
extern const uint64_t weir_cpu_all;

/* The features of this machine that the operating system lets programs use. Cheap after the first
 * call; any thread. */
uint64_t weir_cpu_host(void);

/* The bit of a name as cpu_features.def spells it, 0 for an unknown one. */
uint64_t weir_cpu_named(const char *name);

/* Writes the names of the bits, separated by blanks, as far as they fit; always terminated. Bits
 * without a name show as "bit 40". Returns buffer. */
char *weir_cpu_names(uint64_t features, char *buffer, size_t buffer_size);

#endif
