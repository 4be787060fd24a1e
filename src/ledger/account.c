/* Accounts come and go. An account dies when it is closed, holds nothing and has no child; its
 * record is freed once nobody who walks the tree stands on it or on one below it.
 *
 * Who decides that an account is dead: for an owned one its owner (closing it, discharging the
 * last byte, or closing the last child), for a shared one whoever takes the last of its holds.
 * So nobody else can still be about to touch it. Walkers only ever free what is dead already.
 */
#include "ledger/cells.h"

#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/proc_scan.h"
#include "base/proc_smaps.h"

struct weir__ledger weir__ledger = {.tree = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t ledger_once = PTHREAD_ONCE_INIT;
static _Atomic bool is_ready; /* spares the call */

void weir__tree_lock(void)
{
    int failed = pthread_mutex_lock(&weir__ledger.tree);
    WEIR_ASSERT(failed == 0);
}

void weir__tree_unlock(void)
{
    int failed = pthread_mutex_unlock(&weir__ledger.tree);
    WEIR_ASSERT(failed == 0);
}

static uint64_t read_max_map_count(void)
{
    char text[32];
    size_t length = 0;
    uint64_t count = 0;
    if (weir_proc_file_read("/proc/sys/vm/max_map_count", text, sizeof text, &length, NULL) !=
        WEIR_OK)
        return WEIR__MAX_MAP_COUNT_DEFAULT;
    struct weir_scan scan = weir_scan(text, length);
    return weir_scan_dec(&scan, &count) ? count : WEIR__MAX_MAP_COUNT_DEFAULT;
}

void weir_ledger_refresh_limits(void)
{
    struct weir__count *mappings = &weir__ledger.counts[WEIR_KIND_MAPPING];
    mappings->system_limit = read_max_map_count();
    weir__set(&mappings->limit,
              mappings->system_limit - mappings->system_limit / WEIR__MAPPINGS_RESERVE_SHARE);

    struct weir__count *descriptors = &weir__ledger.counts[WEIR_KIND_DESCRIPTOR];
    struct rlimit files = {1024, 1024};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    uint64_t soft = files.rlim_cur == RLIM_INFINITY ? WEIR__BYTES_MAX : (uint64_t)files.rlim_cur;
    uint64_t reserve = soft / WEIR__DESCRIPTORS_RESERVE_SHARE;
    if (reserve > WEIR__DESCRIPTORS_RESERVE)
        reserve = WEIR__DESCRIPTORS_RESERVE;
    descriptors->system_limit = soft;
    weir__set(&descriptors->limit, soft - reserve);
}

uint64_t weir_ledger_count_limit(enum weir_kind kind)
{
    WEIR_ASSERT(!weir_kind_is_bytes(kind));
    (void)weir_account_host();
    return weir__get(&weir__ledger.counts[kind].limit);
}

static void init_ledger(void)
{
    struct weir_account *host = &weir__ledger.host;
    host->role = WEIR_ACCOUNT_HOST;
    memcpy(host->name, "host", sizeof "host");
    weir__set(&host->limit, WEIR_UNLIMITED);
    weir__ledger.account_count = 1;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0) {
        weir__ledger.slab_bytes = WEIR__SLAB_BYTES;
        weir__ledger.keep_bytes = WEIR__KEEP_BYTES;
    }
    weir_ledger_refresh_limits();
    atomic_store_explicit(&is_ready, true, memory_order_release);
}

struct weir_account *weir_account_host(void)
{
    if (!atomic_load_explicit(&is_ready, memory_order_acquire))
        (void)pthread_once(&ledger_once, init_ledger);
    return &weir__ledger.host;
}

/* Tenants and services under shared accounts, stores too; instances under these or a store. */
static bool may_stand_under(enum weir_account_role role, const struct weir_account *parent)
{
    if (role == WEIR_ACCOUNT_INSTANCE)
        return parent->holder == NULL || parent->role == WEIR_ACCOUNT_STORE;
    return role != WEIR_ACCOUNT_HOST && parent->holder == NULL;
}

static enum weir_status take_record(struct weir_account **ret_account, struct weir_error *error)
{
    struct weir_account *host = weir_account_host();
    enum weir_status status =
        weir_account_charge(host, WEIR_KIND_METADATA, sizeof(struct weir_account), error);
    if (status != WEIR_OK)
        return status;
    struct weir_account *account =
        aligned_alloc(alignof(struct weir_account), sizeof(struct weir_account));
    if (account == NULL) {
        weir_account_discharge(host, WEIR_KIND_METADATA, sizeof(struct weir_account));
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for an account");
    }
    memset(account, 0, sizeof *account);
    weir__heap_add(account);
    *ret_account = account;
    return WEIR_OK;
}

static void give_record(struct weir_account *account)
{
    if (account->is_housed) {
        weir__house_free(account);
        return;
    }
    weir__heap_remove(account);
    free(account);
    weir_account_discharge(weir_account_host(), WEIR_KIND_METADATA, sizeof(struct weir_account));
}

static void put_name(struct weir_account *account, const char *name)
{
    size_t length = strnlen(name, WEIR_ACCOUNT_NAME_SIZE - 1);
    /* Not in the middle of a character. */
    while (length > 0 && name[length] != '\0' && ((unsigned char)name[length] & 0xc0) == 0x80)
        length--;
    memcpy(account->name, name, length);
}

enum weir_status weir__account_may_stand(const struct weir_account *parent,
                                         enum weir_account_role role, const char *name,
                                         struct weir_error *error)
{
    if (parent == NULL || name == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET, "an account needs a %s",
                              parent == NULL ? "parent" : "name");
    if (!may_stand_under(role, parent))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "account \"%s\" cannot stand under \"%s\": stores and tenants stand "
                              "under host, tenants and services, instances also under stores",
                              name, parent->name);
    if (parent->depth + 1 >= WEIR__DEPTH_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "account \"%s\" would stand %d levels deep, at most %d are allowed",
                              name, parent->depth + 1, WEIR__DEPTH_MAX - 1);
    return WEIR_OK;
}

void weir__account_fill(struct weir_account *account, struct weir_account *parent,
                        enum weir_account_role role, const char *name, uint64_t limit_bytes)
{
    put_name(account, name);
    account->role = (uint8_t)role;
    account->parent = parent;
    account->depth = (uint8_t)(parent->depth + 1);
    weir__set(&account->limit, limit_bytes);
    if (role == WEIR_ACCOUNT_STORE)
        account->holder = account;
    else if (role == WEIR_ACCOUNT_INSTANCE)
        account->holder = parent->holder != NULL ? parent->holder : account;
}

void weir__account_link(struct weir_account *account)
{
    struct weir_account *parent = account->parent;
    if (parent->holder == NULL)
        atomic_fetch_add_explicit(&parent->holds, 1, memory_order_relaxed);
    weir__tree_lock();
    account->next = parent->first_child;
    if (account->next != NULL)
        account->next->previous = account;
    parent->first_child = account;
    parent->child_count++;
    weir__ledger.account_count++;
    weir__tree_unlock();
}

enum weir_status weir_account_new(struct weir_account *parent, enum weir_account_role role,
                                  const char *name, uint64_t limit_bytes,
                                  struct weir_account **ret_account, struct weir_error *error)
{
    enum weir_status status = weir__account_may_stand(parent, role, name, error);
    if (status != WEIR_OK)
        return status;
    struct weir_account *account = NULL;
    status = take_record(&account, error);
    if (status != WEIR_OK)
        return status;
    weir__account_fill(account, parent, role, name, limit_bytes);
    weir__account_link(account);
    *ret_account = account;
    return WEIR_OK;
}

static void unlink_account(struct weir_account *account)
{
    if (account->previous != NULL)
        account->previous->next = account->next;
    else
        account->parent->first_child = account->next;
    if (account->next != NULL)
        account->next->previous = account->previous;
    weir__ledger.account_count--;
}

/* Unlinks what is dead and stood on by nobody, upwards from `account`; chains it by `next`. */
static struct weir_account *sweep(struct weir_account *account)
{
    struct weir_account *swept = NULL;
    while (account != NULL && account->dead && account->pins == 0 && account->first_child == NULL) {
        struct weir_account *parent = account->parent;
        unlink_account(account);
        account->next = swept;
        swept = account;
        account = parent;
    }
    return swept;
}

static void give_swept(struct weir_account *swept)
{
    while (swept != NULL) {
        struct weir_account *next = swept->next;
        give_record(swept);
        swept = next;
    }
}

/* With the tree locked; unlocks it. The parent may follow. */
static void die_and_unlock(struct weir_account *account)
{
    struct weir_account *parent = account->parent;
    void (*drained)(void *context) = account->drained;
    void *context = account->drained_context;
    bool parent_owned = parent->holder != NULL;
    WEIR_ASSERT(weir__get(&account->credit) == 0 && weir__get(&account->granted) == 0);
    account->dead = true;
    if (account->holder == NULL)
        weir__cells_give(account);
    parent->child_count--;
    struct weir_account *swept = sweep(account);
    weir__tree_unlock();
    give_swept(swept);
    if (drained != NULL)
        drained(context);
    if (parent_owned)
        weir__account_settle(parent);
    else
        weir__unhold(parent, 1);
}

static bool is_empty(const struct weir_account *account)
{
    if (account->child_count != 0 || weir__get(&account->used) != 0)
        return false;
    for (int kind = WEIR__BYTE_KINDS; kind < WEIR_KIND_COUNT; kind++)
        if (weir__get(&account->kinds[kind]) != 0)
            return false;
    return true;
}

static void settle_and_unlock(struct weir_account *account)
{
    if (account->closed && !account->dead && is_empty(account))
        die_and_unlock(account);
    else
        weir__tree_unlock();
}

void weir__account_settle(struct weir_account *account)
{
    weir__tree_lock();
    settle_and_unlock(account);
}

void weir__account_gone(struct weir_account *account)
{
    weir__tree_lock();
    die_and_unlock(account);
}

void weir__account_unpin(struct weir_account *account)
{
    account->pins--;
    struct weir_account *swept = sweep(account);
    if (swept == NULL)
        return;
    weir__tree_unlock();
    give_swept(swept);
    weir__tree_lock();
}

const char *weir_account_parent_name(const struct weir_account *account)
{
    return account->parent != NULL ? account->parent->name : "";
}

void weir_account_close(struct weir_account *account)
{
    if (account == NULL)
        return;
    WEIR_ASSERT(account != &weir__ledger.host);
    if (account->holder == NULL) {
        weir__tree_lock();
        weir__cells_stop(account);
        uint64_t held =
            atomic_fetch_or_explicit(&account->holds, WEIR__HOLDS_CLOSED, memory_order_acq_rel);
        weir__tree_unlock();
        WEIR_ASSERT((held & WEIR__HOLDS_CLOSED) == 0);
        if (held == 0)
            weir__account_gone(account);
        return;
    }
    uint32_t slow =
        atomic_fetch_or_explicit(&account->slow, WEIR__SLOW_CLOSED, memory_order_relaxed);
    WEIR_ASSERT((slow & WEIR__SLOW_CLOSED) == 0);
    if (account->holder == account)
        weir__credit_return(account);
    weir__tree_lock();
    account->closed = true;
    settle_and_unlock(account);
}

void weir_account_set_drained(struct weir_account *account, void (*drained)(void *context),
                              void *context)
{
    weir__tree_lock();
    account->drained = drained;
    account->drained_context = context;
    weir__tree_unlock();
}

void weir_account_set_limit(struct weir_account *account, uint64_t limit_bytes)
{
    weir__set(&account->limit, limit_bytes);
}
