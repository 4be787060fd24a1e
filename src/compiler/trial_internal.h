/* What a child does for tests, from inside the sandbox, to show that it holds. */
#ifndef WEIR_COMPILER_TRIAL_INTERNAL_H
#define WEIR_COMPILER_TRIAL_INTERNAL_H

#include "artifact/compile_wire.h"

/* Comes back only when the sandbox let it pass; the job then goes on and its success shows it. */
void weir__trial_run(enum weir_compile_trial trial);

#endif
