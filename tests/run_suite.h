/* The end of a test program's main(): runs one suite of check and answers with the exit code. */
#ifndef WEIR_TESTS_RUN_SUITE_H
#define WEIR_TESTS_RUN_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int run_suite_as(Suite *suite, enum fork_status forks)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, forks);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Each test in a child, unless CK_FORK=no. */
static inline int run_suite(Suite *suite)
{
    return run_suite_as(suite, CK_FORK_GETENV);
}

/* In this process: it is the one that is measured, or has threads that a child would not. */
static inline int run_suite_unforked(Suite *suite)
{
    return run_suite_as(suite, CK_NOFORK);
}

#endif
