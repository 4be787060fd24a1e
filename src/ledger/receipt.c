/* Receipts: filled by those who release, read by those who asked for it. */
#include "ledger/ledger_internal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* --- draining -------------------------------------------------------------------------------- */

struct weir_drain {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool has_ended;
    unsigned holders;
};

struct weir_drain *weir_drain_new(struct weir_receipt *receipt)
{
    struct weir_drain *drain = receipt != NULL ? calloc(1, sizeof *drain) : NULL;
    if (drain == NULL)
        return NULL;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&drain->lock, NULL);
    (void)pthread_cond_init(&drain->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    drain->holders = 2;
    receipt->drain = drain;
    return drain;
}

/* With the lock; gives it up. */
static void let_go(struct weir_drain *drain)
{
    bool is_last = --drain->holders == 0;
    (void)pthread_mutex_unlock(&drain->lock);
    if (!is_last)
        return;
    (void)pthread_cond_destroy(&drain->ended);
    (void)pthread_mutex_destroy(&drain->lock);
    free(drain);
}

void weir_drain_end(struct weir_drain *drain)
{
    if (drain == NULL)
        return;
    (void)pthread_mutex_lock(&drain->lock);
    drain->has_ended = true;
    (void)pthread_cond_broadcast(&drain->ended);
    let_go(drain);
}

static void free_pins(struct weir_receipt_pin *pin)
{
    while (pin != NULL) {
        struct weir_receipt_pin *next = pin->next;
        free(pin);
        pin = next;
    }
}

/* What was pending has come back, and nothing pins it any more. */
static void settle(struct weir_receipt *receipt)
{
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++) {
        receipt->released[kind] += receipt->pending[kind];
        receipt->pending[kind] = 0;
    }
    free_pins(receipt->pins);
    receipt->pins = NULL;
    receipt->drained = true;
}

enum weir_status weir_receipt_wait(struct weir_receipt *receipt, uint64_t timeout_ns)
{
    struct weir_drain *drain = receipt->drain;
    if (drain == NULL)
        return receipt->drained ? WEIR_OK : WEIR_STATE;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + timeout_ns % 1000000000u;
    until.tv_sec += (time_t)(timeout_ns / 1000000000u + ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    (void)pthread_mutex_lock(&drain->lock);
    int failed = 0;
    while (!drain->has_ended && failed == 0)
        failed = pthread_cond_timedwait(&drain->ended, &drain->lock, &until);
    bool has_ended = drain->has_ended;
    (void)pthread_mutex_unlock(&drain->lock);
    if (!has_ended)
        return WEIR_DEADLINE;
    settle(receipt);
    return WEIR_OK;
}

void weir_receipt_done(struct weir_receipt *receipt)
{
    if (receipt == NULL)
        return;
    free_pins(receipt->pins);
    free_pins(receipt->undropped);
    if (receipt->drain != NULL) {
        (void)pthread_mutex_lock(&receipt->drain->lock);
        let_go(receipt->drain);
    }
    memset(receipt, 0, sizeof *receipt);
}
