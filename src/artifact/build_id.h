/* The identity of this build's compiler: a hash over the sources of everything that decides what
 * an artifact's bytes are. All programs of one tree agree on it; artifacts of another are FOREIGN.
 */
#ifndef WEIR_ARTIFACT_BUILD_ID_H
#define WEIR_ARTIFACT_BUILD_ID_H

#include <stdint.h>

extern const uint8_t weir_build_id[32];

#endif
