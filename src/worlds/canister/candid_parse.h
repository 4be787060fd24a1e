/* A Candid text as a tree, between parsing it and writing its bytes. */
#ifndef WEIR_CANDID_PARSE_H
#define WEIR_CANDID_PARSE_H

#include "worlds/canister/candid_internal.h"

/* A type; primitive ones are shared. Two types of one shape may be two records. */
struct weir__shape {
    int64_t code;
    struct weir__shape *element; /* opt, vec */
    struct weir__slot *slots;    /* record, variant: ascending ids */
    uint32_t slot_count;
    int64_t index; /* in the table, when it is written; 0: not yet, else index + 1 */
};
struct weir__slot {
    uint32_t id;
    struct weir__shape *shape;
};

struct weir__node {
    struct weir__node *next; /* among the children */
    struct weir__shape *shape;
    struct weir__node *first; /* opt, vec, record, variant */
    uint32_t count;           /* of children */
    uint32_t id;              /* as a field */
    struct weir__number number;
    uint8_t *bytes; /* text, blob, principal */
    size_t size;
    double real;
    bool truth;
    bool is_blob;
};

/* The list of arguments: children of the result. */
enum weir_status weir__candid_parse(const char *text, size_t size, struct weir_arena *arena,
                                    struct weir__node **ret_list, struct weir_error *error)
    WEIR_MUST_USE;

#endif
