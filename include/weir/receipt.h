/* Receipts: what a release gave back, and what is still held and by whom (DESIGN law 3). */
#ifndef WEIR_RECEIPT_H
#define WEIR_RECEIPT_H

#include <weir/account.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* as in error.h */
#endif
struct weir_receipt_pin {
    struct weir_receipt_pin *next;
    enum weir_kind kind;
    uint64_t amount; /* bytes, or things for kinds of unit N */
    char holder[];   /* "instance 3 of store \"x\": table 0 entry 17" */
};
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

#define WEIR_RECEIPT_UNDROPPED_MAX 64

/* Zero-initialise; release with weir_receipt_done(). */
struct weir_receipt {
    uint64_t released[WEIR_KIND_COUNT];
    uint64_t pending[WEIR_KIND_COUNT]; /* comes back when drained */
    struct weir_receipt_pin *pins;
    /* Handles that the guest never dropped (weir/handle.h), destroyed by the release: how many, and
     * the first WEIR_RECEIPT_UNDROPPED_MAX of them, youngest first, with who made them. */
    uint64_t undropped_count;
    struct weir_receipt_pin *undropped;
    bool drained;
    struct weir_drain *drain; /* what weir_receipt_wait() waits for; may be NULL */
};

/* Waits until what was pending has come back, at most so long; OK is the answer then, what was
 * pending counts as released, and what pinned it is gone from the list. DEADLINE otherwise; STATE
 * when there is nothing to wait for, because memory for it was refused. One thread per receipt. */
enum weir_status weir_receipt_wait(struct weir_receipt *receipt, uint64_t timeout_ns);

void weir_receipt_done(struct weir_receipt *receipt);

#ifdef __cplusplus
}
#endif
#endif
