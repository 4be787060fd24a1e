/* What a deploy would do: the folder's files against the manifest's, in one pass over both. */
#include "cli/deploy_internal.h"

#include "base/sizes.h"

#include <stdlib.h>
#include <string.h>

enum sort {
    NEW,
    CHANGED,
    UNCHANGED,
    ORPHANED,
    SORT_COUNT
};
static const char *const SORT_NAMES[SORT_COUNT] = {"new", "changed", "unchanged", "orphaned"};

struct sum {
    uint64_t count, bytes, was_bytes;
};

struct plan {
    bool is_json;
    json_t *lists[SORT_COUNT]; /* of JSON; UNCHANGED has none */
    struct sum sums[SORT_COUNT];
};

static json_t *file_json(const struct deploy_file *file)
{
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(&file->hash, hex);
    return json_pack("{s:s,s:I,s:s}", "path", file->path, "bytes", (json_int_t)file->bytes,
                     "sha256", hex);
}

static void show(struct plan *plan, enum sort sort, const struct deploy_file *file,
                 const struct deploy_file *was)
{
    if (plan->is_json) {
        json_t *object = file_json(file);
        if (sort == CHANGED)
            (void)json_object_set_new(object, "was", file_json(was));
        (void)json_array_append_new(plan->lists[sort], object);
        return;
    }
    char *path = weir__deploy_escape(file->path, strlen(file->path));
    printf("  %-9s %11s  %s", SORT_NAMES[sort], weir_size_format(file->bytes).text,
           path != NULL ? path : "?");
    free(path);
    if (sort == CHANGED)
        printf(" (was %s)", weir_size_format(was->bytes).text);
    printf("\n");
}

static void note(struct plan *plan, const struct deploy_file *was, const struct deploy_file *now)
{
    enum sort sort = was == NULL                                    ? NEW
                     : now == NULL                                  ? ORPHANED
                     : weir_hash_equal(&was->hash, &now->hash)      ? UNCHANGED
                                                                    : CHANGED;
    struct sum *sum = &plan->sums[sort];
    sum->count++;
    sum->bytes += now != NULL ? now->bytes : was->bytes;
    sum->was_bytes += was != NULL ? was->bytes : 0;
    if (sort != UNCHANGED)
        show(plan, sort, now != NULL ? now : was, was);
}

static void compare_trees(struct plan *plan, const struct deploy_tree *before,
                          const struct deploy_tree *now)
{
    uint32_t b = 0;
    uint32_t n = 0;
    while (b < before->count || n < now->count) {
        int order = b == before->count ? 1
                    : n == now->count  ? -1
                                       : strcmp(before->files[b].path, now->files[n].path);
        note(plan, order <= 0 ? &before->files[b] : NULL, order >= 0 ? &now->files[n] : NULL);
        b += order <= 0;
        n += order >= 0;
    }
}

static json_t *sum_json(const struct sum *sum)
{
    return json_pack("{s:I,s:I}", "files", (json_int_t)sum->count, "bytes",
                     (json_int_t)sum->bytes);
}

static json_t *left_out_json(const struct deploy_tree *now)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < now->left_out_count; i++)
        (void)json_array_append_new(list, json_pack("{s:s,s:s}", "path", now->left_out[i].path,
                                                    "reason", now->left_out[i].reason));
    return list;
}

static void print_json(struct plan *plan, const struct deploy_tree *before,
                       const struct deploy_tree *now, const json_t *check)
{
    const struct sum *sums = plan->sums;
    uint64_t with_orphans = now->bytes + sums[ORPHANED].bytes;
    json_t *object = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:{s:I,s:I,s:I,s:I,s:I,s:I}}", "new", plan->lists[NEW], "changed",
        plan->lists[CHANGED], "orphaned", plan->lists[ORPHANED], "unchanged",
        sum_json(&sums[UNCHANGED]), "left_out", left_out_json(now), "bytes", "sent",
        (json_int_t)(sums[NEW].bytes + sums[CHANGED].bytes), "replaced",
        (json_int_t)sums[CHANGED].was_bytes, "orphaned", (json_int_t)sums[ORPHANED].bytes, "before",
        (json_int_t)before->bytes, "after", (json_int_t)with_orphans, "after_prune",
        (json_int_t)now->bytes);
    if (check != NULL)
        (void)json_object_set(object, "check", (json_t *)(uintptr_t)check);
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(object);
}

static void print_text(const struct plan *plan, const struct deploy_tree *before,
                       const struct deploy_tree *now)
{
    const struct sum *sums = plan->sums;
    for (uint32_t i = 0; i < now->left_out_count; i++)
        printf("  %-9s %11s  %s (%s)\n", "left out", "", now->left_out[i].path,
               now->left_out[i].reason);
    for (enum sort sort = NEW; sort < SORT_COUNT; sort++)
        printf("%-10s %6llu file%s %11s\n", SORT_NAMES[sort],
               (unsigned long long)sums[sort].count, sums[sort].count == 1 ? ", " : "s,",
               weir_size_format(sums[sort].bytes).text);
    printf("to send: %s, in place of %s\n",
           weir_size_format(sums[NEW].bytes + sums[CHANGED].bytes).text,
           weir_size_format(sums[CHANGED].was_bytes).text);
    printf("there: %s before, %s after, %s once orphans are removed\n",
           weir_size_format(before->bytes).text,
           weir_size_format(now->bytes + sums[ORPHANED].bytes).text,
           weir_size_format(now->bytes).text);
}

void weir__deploy_print(const struct deploy_tree *before, const struct deploy_tree *now,
                        const json_t *check, bool is_json)
{
    struct plan plan = {.is_json = is_json};
    for (enum sort sort = NEW; is_json && sort < SORT_COUNT; sort++)
        plan.lists[sort] = sort == UNCHANGED ? NULL : json_array();
    compare_trees(&plan, before, now);
    if (is_json)
        print_json(&plan, before, now, check);
    else
        print_text(&plan, before, now);
}
