/* Bodies on their way through a plugin: pieces in a list, each charged to the buffer's account. */
#ifndef WEIR_FILTER_BUFFER_H
#define WEIR_FILTER_BUFFER_H

#include "worlds/filter/filter_map.h"

struct weir_filter_chunk {
    struct weir_filter_chunk *next;
    uint32_t begin, end, room; /* bytes[begin .. end) of bytes[0 .. room) */
    uint8_t bytes[];
};

struct weir_filter_buffer {
    struct weir_account *account;
    struct weir_filter_chunk *first, *last;
    uint64_t size;
};

/* LIMIT: the account refused; the buffer is as it was. */
enum weir_status weir_filter_buffer_append(struct weir_filter_buffer *buffer, const void *bytes,
                                           size_t size, struct weir_error *error) WEIR_MUST_USE;
/* Replaces [start, start + size), cut to what is there, by a text. LIMIT as above. */
enum weir_status weir_filter_buffer_splice(struct weir_filter_buffer *buffer, uint64_t start,
                                           uint64_t size, struct weir_filter_text text,
                                           struct weir_error *error) WEIR_MUST_USE;
/* All pieces of `from` behind those of `to`, and their charge to its account. LIMIT as above. */
enum weir_status weir_filter_buffer_move(struct weir_filter_buffer *to,
                                         struct weir_filter_buffer *from,
                                         struct weir_error *error) WEIR_MUST_USE;
/* Takes up to `size` bytes from the front. Returns how many. */
size_t weir_filter_buffer_take(struct weir_filter_buffer *buffer, void *to, size_t size);
void weir_filter_buffer_clear(struct weir_filter_buffer *buffer);

/* The piece that holds byte `offset`, and where in it; NULL at the end. */
const struct weir_filter_chunk *weir_filter_buffer_at(const struct weir_filter_buffer *buffer,
                                                      uint64_t offset, uint32_t *ret_begin);

#endif
