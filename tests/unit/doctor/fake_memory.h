/* A process made of text: areas from lines of smaps, memory from blocks of bytes. */
#ifndef WEIR_TESTS_FAKE_MEMORY_H
#define WEIR_TESTS_FAKE_MEMORY_H

#include "doctor/doctor_internal.h"

#include "base/proc_smaps.h"

#include <stdlib.h>
#include <string.h>

#define FAKE_BLOCKS_MAX 8

struct fake_block {
    uint64_t start;
    size_t size;
    const uint8_t *bytes;
    uint64_t absent; /* address of a page that is not present; 0: none */
};

struct fake_memory {
    struct fake_block blocks[FAKE_BLOCKS_MAX];
    size_t count;
};

static inline const struct fake_block *fake_find(const struct fake_memory *fake, uint64_t address,
                                                 uint64_t size)
{
    for (size_t i = 0; i < fake->count; i++) {
        const struct fake_block *block = &fake->blocks[i];
        if (address >= block->start && address - block->start <= block->size &&
            size <= block->size - (address - block->start))
            return block;
    }
    return NULL;
}

static inline bool fake_read(void *context, const struct weir__span *spans, size_t count,
                             void *bytes)
{
    uint8_t *to = bytes;
    for (size_t i = 0; i < count; i++) {
        const struct fake_block *block = fake_find(context, spans[i].address, spans[i].size);
        if (block == NULL)
            return false;
        memcpy(to, block->bytes + (spans[i].address - block->start), (size_t)spans[i].size);
        to += spans[i].size;
    }
    return true;
}

static inline bool fake_pages(void *context, uint64_t start, size_t count, uint8_t *states)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t at = start + i * WEIR__PAGE;
        const struct fake_block *block = fake_find(context, at, WEIR__PAGE);
        states[i] = block != NULL && at != block->absent ? WEIR__PAGE_PRESENT : 0;
    }
    return true;
}

static inline struct weir__memory fake_view(struct fake_memory *fake)
{
    return (struct weir__memory){fake, fake_read, fake_pages};
}

/* A patient whose areas are `text`. False when the text is refused; done() it all the same. */
static inline bool fake_patient(struct weir__patient *patient, const char *text, size_t size,
                                struct weir_error *error)
{
    struct weir_smaps *smaps = malloc(sizeof *smaps);
    patient->search_pages = WEIR__SEARCH_PAGES_MAX;
    patient->error = error;
    patient->status = WEIR_OK;
    weir_smaps_begin(smaps, weir__areas_add, patient);
    enum weir_status status = weir_smaps_feed(smaps, text, size, error);
    if (status == WEIR_OK)
        status = weir_smaps_end(smaps, error);
    free(smaps);
    return status == WEIR_OK && patient->status == WEIR_OK;
}

#endif
