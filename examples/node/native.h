/* Memory that a node takes beside Go: JIT modules, threads, bursts in malloc's arenas. */
#ifndef WEIR_EXAMPLE_NODE_NATIVE_H
#define WEIR_EXAMPLE_NODE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* A compiled Stylus module of `size` bytes, half of it code that is mapped executable, half tables
 * by malloc; NULL when memory is refused. */
struct native_module;
struct native_module *native_module_new(size_t size);
void native_module_free(struct native_module *module);

/* Starts threads that use `stack_bytes` of their stacks and then wait for ever; how many there are
 * now. */
unsigned native_threads_start(unsigned count, size_t stack_bytes);

/* `threads` threads, all alive until the last is done, take turns: each allocates `bytes` in small
 * pieces and frees all of it but one last piece of 64 bytes. What is left is what arenas keep. */
void native_bursts(unsigned threads, size_t bytes);

/* The memory of a running Wasm program, `bytes` of it touched: a reservation of its own, as engines
 * make it. NULL when memory is refused. */
void *native_hold(size_t bytes);
void native_release(void *memory);

struct native_heap {
    uint64_t system, live, free, mapped; /* mallinfo2: arena, uordblks, fordblks, hblkhd */
};
struct native_heap native_heap(void);

#endif
