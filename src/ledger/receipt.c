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

/* A list holds what has been said; a line for which there is no memory is left out. */
static void append(struct weir_receipt_pin **list, enum weir_kind kind, uint64_t amount,
                   const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    struct weir_receipt_pin *pin = calloc(1, sizeof *pin + size);
    if (pin == NULL)
        return;
    pin->kind = kind;
    pin->amount = amount;
    (void)vsnprintf(pin->holder, size, format, args);
    while (*list != NULL)
        list = &(*list)->next;
    *list = pin;
}

void weir_receipt_pin(struct weir_receipt *receipt, enum weir_kind kind, uint64_t amount,
                      const char *format, ...)
{
    if (receipt == NULL)
        return;
    va_list args;
    va_start(args, format);
    append(&receipt->pins, kind, amount, format, args);
    va_end(args);
}

void weir_receipt_undropped(struct weir_receipt *receipt, const char *format, ...)
{
    if (receipt == NULL || receipt->undropped_count++ >= WEIR_RECEIPT_UNDROPPED_MAX)
        return;
    va_list args;
    va_start(args, format);
    append(&receipt->undropped, WEIR_KIND_HANDLE, 1, format, args);
    va_end(args);
}

static void free_pins(struct weir_receipt_pin *pin)
{
    while (pin != NULL) {
        struct weir_receipt_pin *next = pin->next;
        free(pin);
        pin = next;
    }
}

void weir_receipt_done(struct weir_receipt *receipt)
{
    if (receipt == NULL)
        return;
    free_pins(receipt->pins);
    free_pins(receipt->undropped);
    memset(receipt, 0, sizeof *receipt);
}
