/* Telling a refusal whole (UX.md): who asked, for how much of what, which limit refused, every
 * level above with its figures, and what the refusing account is made of. Nothing is formatted
 * unless someone reads it. */
#include "ledger/ledger_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/sizes.h"

/* Kinds shown for the account that refused; the rest is summed. */
#define SHOWN_KINDS_MAX 5

static const char *const role_names[] = {
    [WEIR_ACCOUNT_HOST] = "host",       [WEIR_ACCOUNT_TENANT] = "tenant",
    [WEIR_ACCOUNT_STORE] = "store",     [WEIR_ACCOUNT_INSTANCE] = "instance",
    [WEIR_ACCOUNT_SERVICE] = "service",
};

struct label {
    char text[WEIR_ACCOUNT_NAME_SIZE + 16];
};

static struct label label_of(const struct weir_account *account)
{
    struct label label;
    if (account->role == WEIR_ACCOUNT_HOST)
        (void)snprintf(label.text, sizeof label.text, "the host");
    else
        (void)snprintf(label.text, sizeof label.text, "%s \"%s\"", role_names[account->role],
                       account->name);
    return label;
}

struct kind_label {
    char text[32];
};

/* "linear memory": the metric's name for people. */
static struct kind_label kind_label(enum weir_kind kind)
{
    struct kind_label label;
    (void)snprintf(label.text, sizeof label.text, "%s", weir_kind_name(kind));
    for (char *at = label.text; *at != '\0'; at++)
        if (*at == '_')
            *at = ' ';
    return label;
}

/* What the limit is compared with. */
static uint64_t weighed(const struct weir_account *account)
{
    return weir__get(account->holder != NULL ? &account->used : &account->granted);
}

static void add_level(const struct weir_account *account, uint64_t amount, bool refused,
                      struct weir_error *error)
{
    uint64_t limit = weir__get(&account->limit);
    uint64_t used = weighed(account);
    struct label label = label_of(account);
    struct weir_size_text used_text = weir_size_format(used);
    struct weir_size_text limit_text = weir_size_format(limit);
    if (limit == WEIR_UNLIMITED)
        weir_error_add(error, "%s: no limit, used %s", label.text, used_text.text);
    else if (!refused)
        weir_error_add(error, "%s: limit %s, used %s", label.text, limit_text.text, used_text.text);
    else
        weir_error_add(error, "%s: limit %s, used %s + %s > %s", label.text, limit_text.text,
                       used_text.text, weir_size_format(amount).text, limit_text.text);
}

static void add_composition(const struct weir_account *account, struct weir_error *error)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    char text[256];
    size_t used = 0;
    uint64_t rest = reading.used_bytes;
    for (int shown = 0; shown < SHOWN_KINDS_MAX; shown++) {
        int best = -1;
        for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
            if (weir_kind_is_bytes((enum weir_kind)kind) && reading.kinds[kind] != 0 &&
                (best < 0 || reading.kinds[kind] > reading.kinds[best]))
                best = kind;
        if (best < 0)
            break;
        int length = snprintf(text + used, sizeof text - used, "%s%s %s", shown == 0 ? "" : ", ",
                              kind_label((enum weir_kind)best).text,
                              weir_size_format(reading.kinds[best]).text);
        used += (size_t)length; /* five of at most 45 bytes */
        rest -= reading.kinds[best];
        reading.kinds[best] = 0;
    }
    if (reading.reserved_bytes != 0)
        weir_error_add(error, "reserved under %s for guests that run: %s", label_of(account).text,
                       weir_size_format(reading.reserved_bytes).text);
    if (used == 0)
        return;
    if (rest != 0)
        weir_error_add(error, "under %s: %s, other %s", label_of(account).text, text,
                       weir_size_format(rest).text);
    else
        weir_error_add(error, "under %s: %s", label_of(account).text, text);
}

enum weir_status weir__refuse(struct weir_account *asker, enum weir_kind kind, uint64_t amount,
                              struct weir_account *level, struct weir_error *error)
{
    atomic_fetch_add_explicit(&level->refused, 1, memory_order_relaxed);
    if (error == NULL || error->status != WEIR_OK)
        return WEIR_LIMIT;
    (void)weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                         "%s wanted %s more %s; the limit of %s is %s, used %s",
                         label_of(asker).text, weir_size_format(amount).text, kind_label(kind).text,
                         label_of(level).text, weir_size_format(weir__limit_of(level)).text,
                         weir_size_format(weighed(level)).text);
    for (const struct weir_account *at = asker; at != NULL; at = at->parent)
        add_level(at, amount, at == level, error);
    add_composition(level, error);
    return WEIR_LIMIT;
}

enum weir_status weir__refuse_count(struct weir_account *asker, enum weir_kind kind,
                                    uint64_t amount, struct weir_error *error)
{
    const struct weir__count *count = &weir__ledger.counts[kind];
    atomic_fetch_add_explicit(&weir__ledger.host.refused, 1, memory_order_relaxed);
    return weir_error_set(
        error, WEIR_LIMIT, WEIR_NO_OFFSET,
        "%s wanted %llu more of kind %s; the process holds %llu of %llu (%s is %llu, the rest is "
        "kept for libraries)",
        label_of(asker).text, (unsigned long long)amount, weir_kind_name(kind),
        (unsigned long long)weir__get(&count->used), (unsigned long long)weir__get(&count->limit),
        kind == WEIR_KIND_MAPPING ? "vm.max_map_count" : "the limit of open files",
        (unsigned long long)count->system_limit);
}
