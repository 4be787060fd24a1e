/* What tools are told about guest stacks; every stack is announced through here.
 *
 * AddressSanitizer and ThreadSanitizer need no word: instrumented code runs on the thread's own
 * stack only. Guest stacks carry generated code and the stubs, neither of them instrumented, and a
 * trap leaves no instrumented frame behind, because host functions never sit between a trapping
 * guest and its boundary. Announcing a fiber would be wrong: the host function that a guest calls
 * would find its own stack declared inactive. Signal handlers run on alternate stacks.
 *
 * Valgrind guesses stack switches from rsp; it is told the ranges where its header is present.
 */
#ifndef WEIR_RUNTIME_STACK_SWITCH_H
#define WEIR_RUNTIME_STACK_SWITCH_H

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WEIR__STACK_REGISTER(begin, end) (unsigned)VALGRIND_STACK_REGISTER(begin, end)
#define WEIR__STACK_DEREGISTER(id) VALGRIND_STACK_DEREGISTER(id)
#else
#define WEIR__STACK_REGISTER(begin, end) ((void)(begin), (void)(end), 0u)
#define WEIR__STACK_DEREGISTER(id) ((void)(id))
#endif

#endif
