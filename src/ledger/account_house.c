/* Accounts that live in the memory they account for: a store at rest is one page, its account and
 * that page's entry in the registry included.
 *
 * The record is drafted on the stack, so that it can be charged, and refused, before there is any
 * memory; then it moves in. It moves out of its own figures before it closes: the host holds the
 * pages until the record goes, which may be later (tasks of the store, somebody who reads).
 */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "ledger/ledger_internal.h"
#include "ledger/mapping.h"

#define PAGE 4096u

/* What lies at the house's offset. */
struct inhabitants {
    struct weir_account account; /* first: known by its address */
    struct weir_mapping_entry entry;
};
static_assert(offsetof(struct inhabitants, entry) + sizeof(struct weir_mapping_entry) <=
                  WEIR_HOUSED_BYTES,
              "the room that is left for them");

static struct weir_mapping_entry *entry_of(struct weir_account *account)
{
    return &((struct inhabitants *)(void *)account)->entry;
}

/* A refused charge leaves no credit in a draft: nobody else can change its limit. */
static void *build(struct weir_account *draft, enum weir_kind kind, size_t size,
                   enum weir_status *ret_status, struct weir_error *error)
{
    *ret_status = weir_account_charge(draft, kind, size, error);
    if (*ret_status != WEIR_OK)
        return NULL;
    *ret_status = weir_account_charge(draft, WEIR_KIND_MAPPING, 1, error);
    if (*ret_status == WEIR_OK) {
        void *memory = weir__map_pages(size, PROT_READ | PROT_WRITE, 0, error);
        if (memory != NULL)
            return memory;
        *ret_status = WEIR_NO_MEMORY;
        weir_account_discharge(draft, WEIR_KIND_MAPPING, 1);
    }
    weir_account_discharge(draft, kind, size);
    weir__credit_return(draft);
    return NULL;
}

enum weir_status weir_account_new_housed(struct weir_account *parent, const char *name,
                                         const struct weir_house *house,
                                         void **ret_memory, struct weir_account **ret_account,
                                         struct weir_error *error)
{
    size_t size = (size_t)weir_align_up(house->size, PAGE);
    WEIR_ASSERT(house->offset % alignof(struct weir_account) == 0 &&
                house->offset <= PAGE - WEIR_HOUSED_BYTES);
    enum weir_status status = weir__account_may_stand(parent, WEIR_ACCOUNT_STORE, name, error);
    if (status != WEIR_OK)
        return status;
    struct weir_account draft;
    memset(&draft, 0, sizeof draft);
    weir__account_fill(&draft, parent, WEIR_ACCOUNT_STORE, name, house->limit_bytes);
    draft.is_housed = true;
    uint8_t *memory = build(&draft, house->kind, size, &status, error);
    if (memory == NULL)
        return status;
    struct weir_account *account = (struct weir_account *)(void *)(memory + house->offset);
    memcpy(account, &draft, sizeof draft);
    account->holder = account;
    weir__mapping_enter(entry_of(account), &(struct weir_mapping){.base = memory,
                                                                  .size = size,
                                                                  .account = account,
                                                                  .kind = house->kind,
                                                                  .charged_bytes = size,
                                                                  .charged_mappings = 1,
                                                                  .is_entry_lent = true});
    weir__account_link(account);
    *ret_memory = memory;
    *ret_account = account;
    return WEIR_OK;
}

void weir_account_vacate(struct weir_account *account)
{
    WEIR_ASSERT(account->is_housed);
    const struct weir_mapping house = weir__mapping_give_to_host(entry_of(account));
    weir__move_to_host(account, WEIR_KIND_MAPPING, house.charged_mappings, WEIR_KIND_MAPPING);
    weir__move_to_host(account, house.kind, house.size, WEIR_KIND_METADATA);
    if (weir__get(&account->used) != 0) /* it stays a while */
        (void)madvise(house.base + PAGE, house.size - PAGE, MADV_DONTNEED);
}

void weir__house_free(struct weir_account *account)
{
    struct weir_mapping house = entry_of(account)->mapping;
    weir_mapping_free(&house);
}
