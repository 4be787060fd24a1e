/* What to do about what a snapshot shows: findings with value, evidence, bytes to be won, the exact
 * command, whether a restart is needed and why, and what would change the mind. */
#ifndef WEIR_DOCTOR_ADVICE_H
#define WEIR_DOCTOR_ADVICE_H

#include "doctor/doctor.h"

#define WEIR_DOCTOR_ADVICE_MAX 12
#define WEIR_DOCTOR_ADVICE_SIZE 320

struct weir_doctor_advice {
    const char *id; /* stable: "arena-max" */
    uint64_t bytes; /* to be won, at most; 0: it wins no bytes, or they cannot be told */
    char what[WEIR_DOCTOR_ADVICE_SIZE];    /* the finding, with its figures */
    char command[WEIR_DOCTOR_ADVICE_SIZE]; /* to be run or set; "": none */
    char restart[WEIR_DOCTOR_ADVICE_SIZE]; /* why a restart is or isn't needed; "" */
    char mind[WEIR_DOCTOR_ADVICE_SIZE];    /* what would change the mind; "" */
};

/* Most bytes first; the count, at most WEIR_DOCTOR_ADVICE_MAX. */
size_t weir_doctor_advise(const struct weir_doctor_snapshot *snapshot,
                          struct weir_doctor_advice ret_advice[WEIR_DOCTOR_ADVICE_MAX]);

#endif
