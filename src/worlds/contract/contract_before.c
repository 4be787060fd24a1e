/* An AA tree (Andersson 1993) without removal; its depth is at most twice the logarithm of what is
 * in it, whatever order a contract writes in. */
#include "worlds/contract/contract_before.h"

#include <string.h>

int weir__contract_compare(struct weir_contract_bytes a, struct weir_contract_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static void count(struct weir__before *at)
{
    at->youngest = at->opened;
    if (at->left != NULL && at->left->youngest > at->youngest)
        at->youngest = at->left->youngest;
    if (at->right != NULL && at->right->youngest > at->youngest)
        at->youngest = at->right->youngest;
}

/* A left child on the same level becomes the parent. */
static struct weir__before *skew(struct weir__before *at)
{
    struct weir__before *left = at->left;
    if (left == NULL || left->level != at->level)
        return at;
    at->left = left->right;
    left->right = at;
    count(at);
    count(left);
    return left;
}

/* Of three on one level the middle one rises. */
static struct weir__before *split(struct weir__before *at)
{
    struct weir__before *right = at->right;
    if (right == NULL || right->right == NULL || right->right->level != at->level)
        return at;
    at->right = right->left;
    right->left = at;
    right->level++;
    count(at);
    count(right);
    return right;
}

static struct weir__before *insert(struct weir__before *at, struct weir__before *made)
{
    if (at == NULL)
        return made;
    int order = weir__contract_compare(weir__before_key(made), weir__before_key(at));
    struct weir__before **side =
        order < 0 || (order == 0 && made->opened < at->opened) ? &at->left : &at->right;
    *side = insert(*side, made);
    count(at);
    return split(skew(at));
}

enum weir_status weir__before_keep(struct weir__before **root, struct weir_account *account,
                                   struct weir_contract_bytes key,
                                   const struct weir_contract_bytes *value, uint32_t opened,
                                   struct weir_error *error)
{
    size_t value_size = value != NULL ? value->size : 0;
    struct weir_error local = {0};
    struct weir_error *report = error != NULL ? error : &local;
    struct weir__before *made = weir_account_alloc(account, WEIR_KIND_HOST_BUFFER,
                                                   sizeof *made + key.size + value_size, report);
    if (made == NULL) {
        enum weir_status status = report->status;
        weir_error_done(&local);
        return status;
    }
    *made = (struct weir__before){.level = 1,
                                  .opened = opened,
                                  .youngest = opened,
                                  .key_size = (uint32_t)key.size,
                                  .value_size = value_size,
                                  .is_there = value != NULL};
    if (key.size > 0)
        memcpy(made->bytes, key.data, key.size);
    if (value_size > 0)
        memcpy(made->bytes + key.size, value->data, value_size);
    *root = insert(*root, made);
    return WEIR_OK;
}

void weir__before_drop(struct weir__before *root, struct weir_account *account)
{
    if (root == NULL)
        return;
    weir__before_drop(root->left, account);
    weir__before_drop(root->right, account);
    weir_account_free(account, WEIR_KIND_HOST_BUFFER, root,
                      sizeof *root + root->key_size + root->value_size);
}

/* The first record at `start` or behind it. */
static const struct weir__before *first_from(const struct weir__before *at,
                                             struct weir_contract_bytes start, uint32_t opened)
{
    if (at == NULL || at->youngest <= opened)
        return NULL;
    if (weir__contract_compare(weir__before_key(at), start) >= 0) {
        const struct weir__before *found = first_from(at->left, start, opened);
        if (found != NULL)
            return found;
        if (at->opened > opened)
            return at;
    }
    return first_from(at->right, start, opened);
}

/* The last record before `end`; NULL: of all. */
static const struct weir__before *
last_before(const struct weir__before *at, const struct weir_contract_bytes *end, uint32_t opened)
{
    if (at == NULL || at->youngest <= opened)
        return NULL;
    if (end == NULL || weir__contract_compare(weir__before_key(at), *end) < 0) {
        const struct weir__before *found = last_before(at->right, end, opened);
        if (found != NULL)
            return found;
        if (at->opened > opened)
            return at;
    }
    return last_before(at->left, end, opened);
}

const struct weir__before *weir__before_find(const struct weir__before *root,
                                             struct weir_contract_bytes key, uint32_t opened)
{
    const struct weir__before *found = first_from(root, key, opened);
    return found != NULL && weir__contract_compare(weir__before_key(found), key) == 0 ? found
                                                                                      : NULL;
}

const struct weir__before *weir__before_first(const struct weir__before *root,
                                              const struct weir_contract_range *range,
                                              uint32_t opened)
{
    if (!range->is_descending) {
        const struct weir__before *found = first_from(root, range->start, opened);
        bool is_in =
            found != NULL &&
            (!range->has_end || weir__contract_compare(weir__before_key(found), range->end) < 0);
        return is_in ? found : NULL;
    }
    const struct weir__before *found =
        last_before(root, range->has_end ? &range->end : NULL, opened);
    if (found == NULL || weir__contract_compare(weir__before_key(found), range->start) < 0)
        return NULL;
    return weir__before_find(root, weir__before_key(found), opened);
}
