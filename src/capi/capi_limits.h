/* Every fixed bound of the standard C API, each with its reason. */
#ifndef WEIR_CAPI_LIMITS_H
#define WEIR_CAPI_LIMITS_H

/* The API has no call to limit instances; memory limits them. A number all the same, as what has
 * none cannot be planned. */
#define WEIR_CAPI_INSTANCES_MAX 1000000u

/* Calls with at most so many values, and instances with so few imports, need no allocation. */
#define WEIR_CAPI_SMALL_VALUES 32u
#define WEIR_CAPI_SMALL_IMPORTS 16u

/* References inside a store are looked through for dead ones when there are twice as many as the
 * last time left alive, and at least so many: the cost per reference is constant. */
#define WEIR_CAPI_COLLECT_MIN 256u

/* Instances without handles that something held are looked at again when there are twice as many
 * as the last time, and at least so many: each may have a memory. */
#define WEIR_CAPI_ORPHANS_MIN 16u

/* First size of a store's two hash tables: most stores hand out a few exports. */
#define WEIR_CAPI_BUCKETS_FIRST 16u

#endif
