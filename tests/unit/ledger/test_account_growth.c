/* Zero growth (DESIGN 7): 100,000 accounts with charges, mappings and arenas come and go, and the
 * process is as large as after the first thousand. */
#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"
#include "ledger/equation.h"

#define WARM_UP 1000
#define CYCLES 100000
#define GROWTH (256 << 10)

static void need(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "failed: %s\n", what);
    exit(EXIT_FAILURE);
}

static void cycle(int n)
{
    struct weir_account *host = weir_account_host();
    struct weir_account *tenant = NULL;
    struct weir_account *store = NULL;
    struct weir_account *instance = NULL;
    need(weir_account_new(host, WEIR_ACCOUNT_TENANT, "t", 1 << 20, &tenant, NULL) == WEIR_OK, "t");
    need(weir_account_new(tenant, WEIR_ACCOUNT_STORE, "s", 1 << 20, &store, NULL) == WEIR_OK, "s");
    need(weir_account_new(store, WEIR_ACCOUNT_INSTANCE, "i", 1 << 20, &instance, NULL) == WEIR_OK,
         "i");
    need(weir_account_charge(instance, WEIR_KIND_TABLE, 5000, NULL) == WEIR_OK, "charge");
    if (n % 10 == 0) {
        struct weir_mapping mapping;
        need(weir_mapping_new_charged(store, WEIR_KIND_STACK, 65536, &mapping, NULL) == WEIR_OK,
             "mapping");
        mapping.base[100] = 1;
        weir_mapping_free(&mapping);
    }
    struct weir_error error = {0};
    need(weir_account_charge(store, WEIR_KIND_HANDLE, 2 << 20, &error) == WEIR_LIMIT, "refusal");
    weir_error_done(&error);
    weir_account_close(store);
    weir_account_discharge(instance, WEIR_KIND_TABLE, 5000);
    weir_account_close(tenant);
    weir_account_close(instance);
}

int main(void)
{
    struct weir_equation before;
    struct weir_equation after;
    uint64_t small = 0;
    uint64_t large = 0;
    for (int n = 0; n < WARM_UP; n++)
        cycle(n);
    need(weir_equation_read(&before, NULL) == WEIR_OK, "equation");
    need(weir_growth_read(&small, NULL) == WEIR_OK, "growth");
    for (int n = 0; n < CYCLES; n++)
        cycle(n);
    need(weir_growth_read(&large, NULL) == WEIR_OK, "growth");
    need(weir_equation_read(&after, NULL) == WEIR_OK, "equation");
    long long growth = (long long)large - (long long)small;
    (void)printf("growth %lld bytes over %d cycles\n", growth, CYCLES);
    if (WEIR_ASAN || WEIR_TSAN)
        return EXIT_SUCCESS; /* the sanitizer keeps freed memory in quarantine */
    need(growth <= GROWTH, "growth is at most 256 KiB");
    need(before.mapping_count == after.mapping_count, "as many mappings as before");
    need(before.descriptor_count == after.descriptor_count, "as many descriptors as before");
    return EXIT_SUCCESS;
}
