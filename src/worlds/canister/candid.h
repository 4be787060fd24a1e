/* Candid, the data format of arguments and replies: between its text form and its bytes.
 *
 *   (5, "text", vec { 1; 2 }, record { name = "a"; 7 = opt true }, blob "\00\ff", -3 : int)
 *
 * A number without a type is a nat, or an int when it is negative, and a float64 when it has a
 * point: a nat is taken wherever an int is expected. Functions and services are printed, not read.
 * Both sides take untrusted input: depth, number of types and values, and sizes are bounded.
 */
#ifndef WEIR_CANDID_H
#define WEIR_CANDID_H

#include "base/arena.h"

/* Values inside each other. */
#define WEIR_CANDID_DEPTH_MAX 64u
/* Types of one message, and fields of all of them together. */
#define WEIR_CANDID_TYPES_MAX 4096u
#define WEIR_CANDID_FIELDS_MAX 65536u
/* Values of a text; and those of a message beyond one for each of its bytes: a vec of ten million
 * nulls has no byte for any of them. */
#define WEIR_CANDID_VALUES_MAX 4000000u
#define WEIR_CANDID_EMPTY_VALUES_MAX 65536u
/* Bytes of a single number; converting takes the square of it. */
#define WEIR_CANDID_NUMBER_BYTES_MAX 2048u
#define WEIR_CANDID_TEXT_BYTES_MAX ((size_t)32 << 20)

/* Names of fields by their hash, from an interface's text. */
struct weir_candid_name {
    uint32_t hash;
    uint32_t size;
    const char *text; /* in the interface's text */
};
struct weir_candid_names {
    const struct weir_candid_name *items; /* by hash */
    size_t count;
};

uint32_t weir_candid_hash(const char *name, size_t size);
/* Every word of the text is a name that may be one of a field. The text must outlive the table. */
enum weir_status weir_candid_names_of(const char *interface, size_t size, struct weir_arena *arena,
                                      struct weir_candid_names *ret_names, struct weir_error *error)
    WEIR_MUST_USE;

/* MALFORMED with the position. The bytes lie in the arena. */
enum weir_status weir_candid_encode(const char *text, size_t size, struct weir_arena *arena,
                                    const uint8_t **ret_bytes, size_t *ret_size,
                                    struct weir_error *error) WEIR_MUST_USE;
/* The text form of a message, in the arena; `names` may be NULL. MALFORMED with the position. */
struct weir_candid_text {
    const char *text; /* zero-terminated */
    size_t size;
};
enum weir_status weir_candid_decode(const uint8_t *bytes, size_t size,
                                    const struct weir_candid_names *names, struct weir_arena *arena,
                                    struct weir_candid_text *ret_text, struct weir_error *error)
    WEIR_MUST_USE;
/* The nat of 64 bits in this field of the first argument, a record; NOT_FOUND. */
enum weir_status weir_candid_field(const uint8_t *bytes, size_t size, const char *name,
                                   struct weir_arena *arena, uint64_t *ret_value,
                                   struct weir_error *error) WEIR_MUST_USE;

#endif
