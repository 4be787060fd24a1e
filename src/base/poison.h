/* What AddressSanitizer is told about memory that Weir hands out itself. Empty in other builds. */
#ifndef WEIR_BASE_POISON_H
#define WEIR_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif
#ifndef WEIR_ASAN
#define WEIR_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define WEIR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_TSAN 1
#endif
#endif
#ifndef WEIR_TSAN
#define WEIR_TSAN 0
#endif

#if WEIR_ASAN
#include <sanitizer/asan_interface.h>
#define WEIR_POISON(memory, size) __asan_poison_memory_region((memory), (size))
#define WEIR_UNPOISON(memory, size) __asan_unpoison_memory_region((memory), (size))
#else
#define WEIR_POISON(memory, size) ((void)(memory), (void)(size))
#define WEIR_UNPOISON(memory, size) ((void)(memory), (void)(size))
#endif

#endif
