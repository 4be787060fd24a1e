/* `weir-compile --spawner`: the process that forks compiler children for a host. */
#ifndef WEIR_COMPILER_SPAWNER_INTERNAL_H
#define WEIR_COMPILER_SPAWNER_INTERNAL_H

/* Serves the control socket until its other end closes; the exit code of the program. */
int weir__spawner_run(void);

#endif
