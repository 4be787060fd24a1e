/* Receipts: filled by those who release, read by those who asked for it. */
#include "ledger/ledger_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir_receipt_add(struct weir_receipt *receipt, enum weir_kind kind, uint64_t amount)
{
    WEIR_ASSERT((unsigned)kind < WEIR_KIND_COUNT);
    if (receipt != NULL)
        receipt->released[kind] += amount;
}

void weir_receipt_pin(struct weir_receipt *receipt, enum weir_kind kind, uint64_t amount,
                      const char *format, ...)
{
    if (receipt == NULL)
        return;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    struct weir_receipt_pin *pin = calloc(1, sizeof *pin + size);
    if (pin == NULL)
        return;
    pin->kind = kind;
    pin->amount = amount;
    va_start(args, format);
    (void)vsnprintf(pin->holder, size, format, args);
    va_end(args);
    struct weir_receipt_pin **end = &receipt->pins;
    while (*end != NULL)
        end = &(*end)->next;
    *end = pin;
}

void weir_receipt_done(struct weir_receipt *receipt)
{
    if (receipt == NULL)
        return;
    struct weir_receipt_pin *pin = receipt->pins;
    while (pin != NULL) {
        struct weir_receipt_pin *next = pin->next;
        free(pin);
        pin = next;
    }
    memset(receipt, 0, sizeof *receipt);
}
