/* Receipts: what a release gave back, and what is still held and by whom (DESIGN law 3). */
#ifndef WEIR_RECEIPT_H
#define WEIR_RECEIPT_H

#include <weir/account.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_receipt_pin {
    struct weir_receipt_pin *next;
    enum weir_kind kind;
    uint64_t amount; /* bytes, or things for kinds of unit N */
    char holder[];   /* "instance 3 of store \"x\": table 0 entry 17" */
};

/* Zero-initialise; release with weir_receipt_done(). */
struct weir_receipt {
    uint64_t released[WEIR_KIND_COUNT];
    uint64_t pending[WEIR_KIND_COUNT]; /* comes back when drained */
    struct weir_receipt_pin *pins;
    bool drained;
};

void weir_receipt_done(struct weir_receipt *receipt);

#ifdef __cplusplus
}
#endif
#endif
