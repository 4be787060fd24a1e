/* Who made the heap grow: asked at each memory.grow, noted with the message, and added to the table
 * when the message is kept. The heap limit is here too, since growing is where it counts. */
#include "worlds/canister/canister_internal.h"

#include <stdio.h>
#include <string.h>

static const char OTHERS[] = "(others)";

/* "alloc <- store <- call" of the innermost frames. */
static void write_chain(char *to, size_t size, const struct weir_growth *growth)
{
    size_t at = 0;
    to[0] = 0;
    for (size_t i = 0; i < growth->frame_count && i < 6 && at + 1 < size; i++) {
        int written =
            snprintf(to + at, size - at, "%s%s", i == 0 ? "" : " <- ", growth->frames[i].function);
        at += written > 0 ? (size_t)written : 0;
    }
}

enum weir_status weir__growth_asked(void *context, const struct weir_growth *growth,
                                    struct weir_error *error)
{
    struct weir__body *body = context;
    struct weir_canister *canister = body->canister;
    struct weir__message *message = canister->message;
    uint64_t old_bytes = growth->old_pages * WEIR_WASM_PAGE_BYTES;
    uint64_t limit =
        message->is_heap_limited && canister->heap_limit != 0 ? canister->heap_limit : UINT64_MAX;
    if (growth->pages > (UINT64_MAX >> 16) - growth->old_pages ||
        old_bytes + growth->pages * WEIR_WASM_PAGE_BYTES > limit) {
        if (limit == UINT64_MAX)
            return WEIR_OK; /* memory.grow will answer -1 */
        message->refused_bytes = growth->pages > (UINT64_MAX >> 17)
                                     ? UINT64_MAX
                                     : old_bytes + growth->pages * WEIR_WASM_PAGE_BYTES;
        write_chain(message->chain, sizeof message->chain, growth);
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET, "the Wasm memory limit");
    }
    const char *function = growth->frame_count > 0 ? growth->frames[0].function : "";
    struct weir__growing *at = NULL;
    for (unsigned i = 0; i < message->growing_count && at == NULL; i++)
        if (strcmp(message->growing[i].function, function) == 0)
            at = &message->growing[i];
    if (at == NULL) {
        /* The last place takes all further functions together. */
        bool is_full = message->growing_count == WEIR__GROWING_MAX;
        at = &message->growing[is_full ? WEIR__GROWING_MAX - 1 : message->growing_count++];
        (void)snprintf(at->function, sizeof at->function, "%s", is_full ? OTHERS : function);
    }
    at->pages += growth->pages;
    at->count++;
    return WEIR_OK;
}

static struct weir_canister_growth *smallest(struct weir_canister *canister)
{
    struct weir_canister_growth *at = &canister->growths[1];
    for (size_t i = 2; i < canister->growth_count; i++)
        if (canister->growths[i].pages < at->pages)
            at = &canister->growths[i];
    return at;
}

/* The row of a method and function. A full table's first row becomes that of the others, and takes
 * the smallest one for each newcomer. */
static struct weir_canister_growth *row_of(struct weir_canister *canister, const char *method,
                                           const char *function)
{
    for (size_t i = 0; i < canister->growth_count; i++) {
        struct weir_canister_growth *at = &canister->growths[i];
        if (strcmp(at->method, method) == 0 && strcmp(at->function, function) == 0)
            return at;
    }
    struct weir_canister_growth *row;
    if (canister->growth_count == CANISTER_GROWTHS_MAX) {
        row = smallest(canister);
        struct weir_canister_growth *others = &canister->growths[0];
        others->pages += row->pages;
        others->count += row->count;
    } else {
        if (canister->growth_count == 0)
            canister->growths[canister->growth_count++] =
                (struct weir_canister_growth){.method = "", .function = "(others)"};
        row = &canister->growths[canister->growth_count++];
    }
    *row = (struct weir_canister_growth){0};
    (void)snprintf(row->method, sizeof row->method, "%s", method);
    (void)snprintf(row->function, sizeof row->function, "%s", function);
    return row;
}

void weir__growth_keep(struct weir_canister *canister, struct weir__message *message)
{
    /* What was asked for and then refused (memory.grow answered -1) is no growth. */
    uint64_t left =
        (weir__body_heap_bytes(canister->body) - message->heap_before) / WEIR_WASM_PAGE_BYTES;
    for (unsigned i = 0; i < message->growing_count && left > 0; i++) {
        struct weir__growing *from = &message->growing[i];
        from->pages = from->pages < left ? from->pages : left;
        left -= from->pages;
        struct weir_canister_growth *to = row_of(canister, message->method, from->function);
        to->pages += from->pages;
        to->count += from->count;
        to->last_ns = message->time_ns;
    }
    message->growing_count = 0;
}

size_t weir__growth_sort(const struct weir_canister *canister,
                         struct weir_canister_growth to[CANISTER_GROWTHS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < canister->growth_count; i++) {
        const struct weir_canister_growth *from = &canister->growths[i];
        if (from->pages == 0)
            continue;
        size_t at = count++;
        for (; at > 0 && to[at - 1].pages < from->pages; at--)
            to[at] = to[at - 1];
        to[at] = *from;
    }
    return count;
}
