/* How a C test that cannot run here ends: with its reason and exit code 77, which CTest counts as
 * skipped, or with a failure when WEIR_REQUIRE_ALL=1 allows no skipping. Call it from main. */
#ifndef WEIR_TESTS_SKIP_H
#define WEIR_TESTS_SKIP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn static inline void skip_test(const char *reason)
{
    const char *require_all = getenv("WEIR_REQUIRE_ALL");
    (void)printf("skip: %s\n", reason);
    exit(require_all != NULL && strcmp(require_all, "1") == 0 ? 1 : 77);
}

#endif
