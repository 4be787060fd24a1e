/* Where a failed assertion ends: one line on standard error, then abort(). */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void weir__assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "weir: assertion failed: %s (%s:%d)\n", expression, file, line);
    fflush(stderr);
    abort();
}
