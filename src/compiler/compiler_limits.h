/* Every limit of the compiler, with its reason. */
#ifndef WEIR_COMPILER_LIMITS_H
#define WEIR_COMPILER_LIMITS_H

#include "artifact/compile_wire.h"

/* A sparse initial image up to this span is still worth a mapping; a larger one has to be dense. */
#define WEIR_COMPILER_IMAGE_SPARSE_BYTES (UINT64_C(16) << 20)
/* Largest image per byte of module: bounds the file that a small module can ask for. */
#define WEIR_COMPILER_IMAGE_PER_MODULE 4u

#endif
