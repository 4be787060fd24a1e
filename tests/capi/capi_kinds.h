/* Whether the host's account holds what it held before. */
#ifndef WEIR_TEST_CAPI_KINDS_H
#define WEIR_TEST_CAPI_KINDS_H

#include <check.h>

#include <weir/account.h>

/* Metadata apart: the process keeps the nodes of its table of code ranges, and how many it needs
 * depends on where the system maps modules. Records that are metadata are counted by other means
 * (capi_sweep, capi_growth). */
static inline void capi_kinds_expect(const struct weir_account_reading *before)
{
    struct weir_account_reading after;
    weir_account_read(weir_account_host(), &after);
    for (int i = 0; i < WEIR_KIND_COUNT; i++)
        ck_assert_msg(i == WEIR_KIND_METADATA || before->kinds[i] == after.kinds[i],
                      "%s: %llu, before %llu", weir_kind_name((enum weir_kind)i),
                      (unsigned long long)after.kinds[i], (unsigned long long)before->kinds[i]);
}

#endif
