/* Messages for contract_script.wat: steps in a row. Memory below 32 KiB is the script's: regions go
 * to 1024 and on, data to 4096 and on. */
#ifndef WEIR_TEST_CONTRACT_SCRIPT_H
#define WEIR_TEST_CONTRACT_SCRIPT_H

#include <stdint.h>
#include <string.h>

#include "worlds/contract/contract.h"

enum script_call {
#define CONTRACT_IMPORT(name, params, result) CALL_##name,
#include "worlds/contract/contract_imports.def"
#undef CONTRACT_IMPORT
    SCRIPT_POKE = 64,
    SCRIPT_MODE,
    SCRIPT_GROW,
    SCRIPT_ANSWER,
    SCRIPT_REPEAT,
    SCRIPT_ERROR
};

enum script_mode {
    MODE_HONEST,
    MODE_READS_FIRST,
    MODE_ZERO_OFFSET,
    MODE_OVERLAPS,
    MODE_OUTSIDE,
    MODE_NULL,
    MODE_TRAPS,
    MODE_LOOPS,
    MODE_TOO_SMALL,
    MODE_LENGTH
};

struct script {
    uint8_t bytes[1 << 16];
    size_t size;
};

static inline void script_byte(struct script *s, unsigned value)
{
    s->bytes[s->size++] = (uint8_t)value;
}

static inline void script_word(struct script *s, uint32_t value)
{
    memcpy(s->bytes + s->size, &value, sizeof value);
    s->size += sizeof value;
}

static inline void script_step(struct script *s, unsigned step, uint32_t value)
{
    script_byte(s, step);
    script_word(s, value);
}

static inline void script_poke(struct script *s, uint32_t address, uint32_t value)
{
    script_step(s, SCRIPT_POKE, address);
    script_word(s, value);
}

static inline void script_data(struct script *s, uint32_t address, const void *data, size_t size)
{
    for (size_t at = 0; at < size; at += 4) {
        uint32_t word = 0;
        memcpy(&word, (const uint8_t *)data + at, size - at < 4 ? size - at : 4);
        script_poke(s, address + (uint32_t)at, word);
    }
}

static inline void script_region(struct script *s, uint32_t address, uint32_t offset,
                                 uint32_t capacity, uint32_t length)
{
    script_poke(s, address, offset);
    script_poke(s, address + 4, capacity);
    script_poke(s, address + 8, length);
}

/* Region at `address` with its data 4 KiB behind. */
static inline void script_bytes(struct script *s, uint32_t address, const void *data, size_t size)
{
    script_data(s, address + 4096, data, size);
    script_region(s, address, address + 4096, (uint32_t)size, (uint32_t)size);
}

static inline void script_text(struct script *s, uint32_t address, const char *text)
{
    script_bytes(s, address, text, strlen(text));
}

static inline void script_args(struct script *s, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    script_word(s, a);
    script_word(s, b);
    script_word(s, c);
    script_word(s, d);
}

static inline void script_call4(struct script *s, enum script_call call, uint32_t a, uint32_t b,
                                uint32_t c, uint32_t d)
{
    script_byte(s, call);
    script_args(s, a, b, c, d);
}

static inline void script_call(struct script *s, enum script_call call, uint32_t a, uint32_t b,
                               uint32_t c)
{
    script_call4(s, call, a, b, c, 0);
}

static inline void script_repeat(struct script *s, uint32_t count, enum script_call call,
                                 uint32_t a, uint32_t b, uint32_t c)
{
    script_step(s, SCRIPT_REPEAT, count);
    script_byte(s, call);
    script_args(s, a, b, c, 0);
}

#endif
