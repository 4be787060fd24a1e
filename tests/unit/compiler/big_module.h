/* A module of any size, made of bytes here: many functions that load, add, branch and store, so
 * that a compiler has something to do. Deterministic. */
#ifndef WEIR_TESTS_BIG_MODULE_H
#define WEIR_TESTS_BIG_MODULE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct big_module {
    uint8_t *bytes;
    size_t size;
};

static inline void big_u32(struct big_module *module, uint32_t value)
{
    do {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        module->bytes[module->size++] = value != 0 ? (uint8_t)(byte | 0x80) : byte;
    } while (value != 0);
}

static inline void big_raw(struct big_module *module, const void *bytes, size_t size)
{
    memcpy(module->bytes + module->size, bytes, size);
    module->size += size;
}

/* Section id and a size of exactly five bytes, so that it can be filled in afterwards. */
static inline size_t big_open(struct big_module *module, uint8_t id)
{
    module->bytes[module->size++] = id;
    module->size += 5;
    return module->size;
}

static inline void big_close(struct big_module *module, size_t start)
{
    size_t size = module->size - start;
    for (int i = 0; i < 5; i++)
        module->bytes[start - 5 + (size_t)i] =
            (uint8_t)((size >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
}

/* One round of a body: 19 bytes; block, local.get, br_if, loads, adds, a store. */
static const uint8_t big_round[] = {
    0x02, 0x40, 0x20, 0x00, 0x0d, 0x00,       /* block, local.get 0, br_if 0 */
    0x20, 0x00, 0x20, 0x00, 0x28, 0x02, 0x04, /* get, get, i32.load offset=4 */
    0x20, 0x01, 0x6a, 0x36, 0x02, 0x08,       /* get 1, add, i32.store offset=8 */
    0x20, 0x01, 0x20, 0x00, 0x6a, 0x21, 0x01, /* local 1 += local 0 */
    0x0b,                                     /* end */
};

static inline struct big_module make_big_module(uint32_t functions, uint32_t rounds)
{
    size_t body = 8 + sizeof big_round * (size_t)rounds;
    struct big_module module = {malloc(256 + functions * (body + 8)), 0};
    if (module.bytes == NULL)
        abort();
    big_raw(&module, "\0asm\1\0\0\0", 8);
    big_raw(&module, "\1\6\1\x60\1\x7f\1\x7f", 8); /* one type: i32 → i32 */
    size_t start = big_open(&module, 3);
    big_u32(&module, functions);
    for (uint32_t i = 0; i < functions; i++)
        big_u32(&module, 0);
    big_close(&module, start);
    big_raw(&module, "\5\3\1\0\1", 5);    /* one page of memory */
    big_raw(&module, "\7\5\1\1f\0\0", 7); /* export "f": function 0 */
    start = big_open(&module, 10);
    big_u32(&module, functions);
    for (uint32_t i = 0; i < functions; i++) {
        size_t body_start = module.size;
        module.size += 5;
        big_raw(&module, "\1\1\x7f", 3); /* one local */
        for (uint32_t k = 0; k < rounds; k++)
            big_raw(&module, big_round, sizeof big_round);
        big_raw(&module, "\x20\1\x0b", 3);
        big_close(&module, body_start + 5);
    }
    big_close(&module, start);
    return module;
}

#endif
