/* Assertions in two prices (STYLE: Assertions and limits). Programmer errors only: input of any
 * kind gets a status. WEIR_ASSERT is always on; WEIR_DASSERT only in debug builds. */
#ifndef WEIR_BASE_CHECK_H
#define WEIR_BASE_CHECK_H

_Noreturn void weir__assert_failed(const char *expression, const char *file, int line);

#define WEIR_ASSERT(x) ((x) ? (void)0 : weir__assert_failed(#x, __FILE__, __LINE__))
#ifdef NDEBUG
#define WEIR_DASSERT(x) ((void)sizeof(!(x)))
#else
#define WEIR_DASSERT(x) WEIR_ASSERT(x)
#endif

#endif
