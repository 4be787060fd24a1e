/* The limits of the pages, each with its reason. */
#ifndef WEIR_OBSERVE_LIMITS_H
#define WEIR_OBSERVE_LIMITS_H

/* Accounts with samples of their own: 1,000 routes, their tenants and the services beside them fit.
 * Stores never have any, so requests make no new series. With 19 kinds an account has at most 23
 * series, 47,104 on a page. */
#define WEIR_METRICS_ACCOUNTS_MAX 2048u
/* An account's path, "host/tenant/…": names of 63 bytes on four levels. Longer ones are cut. */
#define WEIR_METRICS_PATH_BYTES 256u
/* Levels of accounts in a path; deeper ones stand beside the last. */
#define WEIR_METRICS_DEPTH_MAX 8u

/* The page's text grows by doubling from here: an idle server with a few routes fits. */
#define WEIR_METRICS_FIRST_BYTES 16384u

#endif
