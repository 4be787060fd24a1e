/* Scope-bound ownership (STYLE: Ownership).
 *
 * `AUTO(weir_arena) *arena = NULL;`-style locals are released when the scope ends. A type takes
 * part by defining `static inline void weir_auto_TYPE(struct TYPE **p)` through WEIR_AUTO_DEFINE.
 * TAKE(x) hands the pointer on and leaves NULL behind.
 */
#ifndef WEIR_BASE_CLEANUP_H
#define WEIR_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define WEIR_AUTO_DEFINE(type, release)                                                            \
    static inline void weir_auto_##type(struct type **p)                                           \
    {                                                                                              \
        release(*p);                                                                               \
    }
#define AUTO(type) __attribute__((cleanup(weir_auto_##type))) struct type

static inline void weir_auto_free(void *p)
{
    void *owned = *(void **)p;
    free(owned);
}
static inline void weir_auto_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
#define AUTO_FREE __attribute__((cleanup(weir_auto_free)))
#define AUTO_CLOSE __attribute__((cleanup(weir_auto_close))) int

#define TAKE(x)                                                                                    \
    __extension__({                                                                                \
        __typeof__(x) taken_ = (x);                                                                \
        (x) = 0;                                                                                   \
        taken_;                                                                                    \
    })

#endif
