/* Lines and knobs in growing arrays, their texts in an arena of the plan's own. */
#include "govern/plan.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/proc_cgroup.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct weir_plan {
    struct weir_arena *arena;
    const char *title;
    struct weir_plan_line *lines;
    size_t line_count;
    struct weir_plan_knob *knobs;
    size_t knob_count;
    const char *limit_source; /* NULL: no limit */
    uint64_t limit;
    const char *cap_source; /* NULL: no section is capped */
    unsigned cap_section;
    uint64_t cap;
    struct weir_plan_count counts[WEIR_PLAN_COUNTS];
    bool is_incomplete;
};

const char *weir_plan_origin_name(enum weir_plan_origin origin)
{
    static const char *const NAMES[] = {"document", "code", "config", "measured", "estimate"};
    WEIR_ASSERT((size_t)origin < sizeof NAMES / sizeof NAMES[0]);
    return NAMES[origin];
}

static enum weir_status no_memory(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the plan");
}

/* NULL stays NULL; false when memory is refused. */
static bool copy(struct weir_plan *plan, const char *text, const char **ret_copy)
{
    *ret_copy = text != NULL ? weir_arena_strndup(plan->arena, text, strlen(text)) : NULL;
    return text == NULL || *ret_copy != NULL;
}

enum weir_status weir_plan_new(const char *title, struct weir_plan **ret_plan,
                               struct weir_error *error)
{
    struct weir_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return no_memory(error);
    plan->counts[WEIR_PLAN_MAPPINGS].what = "mappings";
    plan->counts[WEIR_PLAN_DESCRIPTORS].what = "descriptors";
    enum weir_status status = weir_arena_new(NULL, 0, &plan->arena, error);
    if (status == WEIR_OK && !copy(plan, title, &plan->title))
        status = no_memory(error);
    if (status != WEIR_OK) {
        weir_plan_free(plan);
        return status;
    }
    *ret_plan = plan;
    return WEIR_OK;
}

void weir_plan_free(struct weir_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->lines);
    free(plan->knobs);
    weir_arena_free(plan->arena);
    free(plan);
}

const char *weir_plan_title(const struct weir_plan *plan)
{
    return plan->title;
}

/* Room for one more element: capacities are powers of two from 16. */
static void *grow(void *array, size_t count, size_t size)
{
    if (count != 0 && (count < 16 || (count & (count - 1)) != 0))
        return array;
    return reallocarray(array, count < 16 ? 16 : count * 2, size);
}

enum weir_status weir_plan_add(struct weir_plan *plan, const struct weir_plan_line *line,
                               struct weir_error *error)
{
    WEIR_ASSERT(line->name != NULL && line->what != NULL && line->why != NULL);
    if (plan->line_count == WEIR_PLAN_LINES_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET, "a plan has at most %u lines",
                              WEIR_PLAN_LINES_MAX);
    struct weir_plan_line *lines = grow(plan->lines, plan->line_count, sizeof *lines);
    if (lines == NULL)
        return no_memory(error);
    plan->lines = lines;
    struct weir_plan_line *own = &lines[plan->line_count];
    *own = *line;
    if (!copy(plan, line->name, &own->name) || !copy(plan, line->what, &own->what) ||
        !copy(plan, line->allocator, &own->allocator) || !copy(plan, line->why, &own->why) ||
        !copy(plan, line->where, &own->where))
        return no_memory(error);
    if (own->is_unbounded)
        own->bytes = 0;
    plan->line_count++;
    return WEIR_OK;
}

enum weir_status weir_plan_add_knob(struct weir_plan *plan, const struct weir_plan_knob *knob,
                                    struct weir_error *error)
{
    WEIR_ASSERT(knob->name != NULL && knob->unit != NULL && knob->unit_bytes > 0);
    if (plan->knob_count == WEIR_PLAN_KNOBS_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET, "a plan has at most %u knobs",
                              WEIR_PLAN_KNOBS_MAX);
    struct weir_plan_knob *knobs = grow(plan->knobs, plan->knob_count, sizeof *knobs);
    if (knobs == NULL)
        return no_memory(error);
    plan->knobs = knobs;
    struct weir_plan_knob *own = &knobs[plan->knob_count];
    *own = *knob;
    if (!copy(plan, knob->name, &own->name) || !copy(plan, knob->unit, &own->unit))
        return no_memory(error);
    plan->knob_count++;
    return WEIR_OK;
}

/* "requests: bodies and buffers" is "requests_bodies_and_buffers" for programs. */
static void write_name(const char *what, char *name, size_t size)
{
    size_t used = 0;
    for (; *what != 0 && used + 1 < size; what++) {
        if (isalnum((unsigned char)*what))
            name[used++] = (char)tolower((unsigned char)*what);
        else if (used > 0 && name[used - 1] != '_')
            name[used++] = '_';
    }
    name[used - (used > 0 && name[used - 1] == '_')] = 0;
}

void weir_plan_bound(void *context, const struct weir_bound *bound)
{
    static const enum weir_plan_origin ORIGINS[] = {
        [WEIR_BOUND_CONFIGURED] = WEIR_PLAN_CONFIG,
        [WEIR_BOUND_MEASURED] = WEIR_PLAN_MEASURED,
        [WEIR_BOUND_ESTIMATED] = WEIR_PLAN_ESTIMATE,
    };
    struct weir_plan *plan = context;
    char name[64];
    write_name(bound->what, name, sizeof name);
    const struct weir_plan_line line = {.name = name,
                                        .what = bound->what,
                                        .why = bound->source,
                                        .origin = ORIGINS[bound->basis],
                                        .section =
                                            bound->is_beside ? WEIR_PLAN_BESIDE : WEIR_PLAN_CHARGED,
                                        .bytes = bound->bytes};
    if (weir_plan_add(plan, &line, NULL) != WEIR_OK)
        plan->is_incomplete = true;
    uint64_t *mappings = &plan->counts[WEIR_PLAN_MAPPINGS].count;
    uint64_t *descriptors = &plan->counts[WEIR_PLAN_DESCRIPTORS].count;
    *mappings = weir_add_sat(*mappings, bound->mappings);
    *descriptors = weir_add_sat(*descriptors, bound->descriptors);
}

enum weir_status weir_plan_cap(struct weir_plan *plan, unsigned section, uint64_t bytes,
                               const char *source, struct weir_error *error)
{
    WEIR_ASSERT(plan->cap_source == NULL);
    const char *own;
    if (!copy(plan, source, &own))
        return no_memory(error);
    plan->cap_section = section;
    plan->cap = bytes;
    plan->cap_source = own;
    return WEIR_OK;
}

void weir_plan_set_count_limit(struct weir_plan *plan, enum weir_plan_count_kind kind,
                               uint64_t limit, const char *source)
{
    plan->counts[kind].limit = limit;
    plan->counts[kind].limit_source = source;
}

enum weir_status weir_plan_set_limit(struct weir_plan *plan, uint64_t bytes, const char *source,
                                     struct weir_error *error)
{
    const char *own;
    if (!copy(plan, source, &own))
        return no_memory(error);
    plan->limit = bytes;
    plan->limit_source = own;
    return WEIR_OK;
}

/* A limit that cannot be read is not "no limit". */
static enum weir_status check_limits(const char *root, const struct weir_cgroup *cgroup,
                                     struct weir_error *error)
{
    for (size_t i = 0; i < cgroup->level_count; i++) {
        struct weir_cgroup_level level;
        weir_cgroup_read(root, cgroup, i, &level);
        if (level.limit.state == WEIR_FIGURE_MALFORMED ||
            level.limit.state == WEIR_FIGURE_UNREADABLE)
            return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                                  "the memory limit of %.*s cannot be read; give it by --memory",
                                  (int)cgroup->folder_lengths[i], cgroup->folder);
    }
    return WEIR_OK;
}

enum weir_status weir_plan_set_cgroup(struct weir_plan *plan, const char *root, const char *pid,
                                      struct weir_error *error)
{
    struct weir_cgroup *cgroup = malloc(sizeof *cgroup);
    if (cgroup == NULL)
        return no_memory(error);
    enum weir_status status = weir_cgroup_find(root, pid, cgroup, error);
    struct weir_cgroup_binding binding = {0};
    if (status == WEIR_OK)
        status = check_limits(root, cgroup, error);
    if (status == WEIR_OK &&
        (cgroup->version == WEIR_CGROUP_NONE || !weir_cgroup_binding(root, cgroup, &binding)))
        status = weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                                "no memory cgroup limits this process; give the limit by --memory");
    if (status == WEIR_OK) {
        char source[512];
        bool is_v2 = cgroup->version == WEIR_CGROUP_V2;
        (void)snprintf(source, sizeof source, "%s of %.*s",
                       is_v2 ? "memory.max" : "memory.limit_in_bytes",
                       (int)cgroup->folder_lengths[binding.level], cgroup->folder);
        status = weir_plan_set_limit(plan, binding.limit_bytes, source, error);
    }
    free(cgroup);
    return status;
}

/* --- asking -------------------------------------------------------------------------------- */

size_t weir_plan_line_count(const struct weir_plan *plan)
{
    return plan->line_count;
}

const struct weir_plan_line *weir_plan_line_at(const struct weir_plan *plan, size_t index)
{
    WEIR_ASSERT(index < plan->line_count);
    return &plan->lines[index];
}

uint64_t weir_plan_total(const struct weir_plan *plan)
{
    uint64_t total = plan->is_incomplete ? UINT64_MAX : 0;
    for (size_t i = 0; i < plan->line_count; i++)
        if (plan->cap_source == NULL || plan->lines[i].section != plan->cap_section)
            total = weir_add_sat(total, plan->lines[i].bytes);
    if (plan->cap_source == NULL)
        return total;
    uint64_t capped = weir_plan_section_total(plan, plan->cap_section);
    return weir_add_sat(total, capped < plan->cap ? capped : plan->cap);
}

const char *weir_plan_cap_source(const struct weir_plan *plan)
{
    return plan->cap_source;
}

uint64_t weir_plan_cut(const struct weir_plan *plan)
{
    if (plan->cap_source == NULL)
        return 0;
    uint64_t capped = weir_plan_section_total(plan, plan->cap_section);
    return capped > plan->cap ? capped - plan->cap : 0;
}

struct weir_plan_count weir_plan_count(const struct weir_plan *plan, enum weir_plan_count_kind kind)
{
    return plan->counts[kind];
}

bool weir_plan_count_fits(const struct weir_plan_count *count)
{
    return count->limit_source == NULL || count->count <= count->limit;
}

uint64_t weir_plan_section_total(const struct weir_plan *plan, unsigned section)
{
    uint64_t total = 0;
    for (size_t i = 0; i < plan->line_count; i++)
        if (plan->lines[i].section == section)
            total = weir_add_sat(total, plan->lines[i].bytes);
    return total;
}

bool weir_plan_has_limit(const struct weir_plan *plan)
{
    return plan->limit_source != NULL;
}

uint64_t weir_plan_limit(const struct weir_plan *plan)
{
    return plan->limit_source != NULL ? plan->limit : UINT64_MAX;
}

const char *weir_plan_limit_source(const struct weir_plan *plan)
{
    return plan->limit_source;
}

static bool bytes_fit(const struct weir_plan *plan)
{
    uint64_t total = weir_plan_total(plan);
    return plan->limit_source == NULL || (total <= plan->limit && total != UINT64_MAX);
}

bool weir_plan_fits(const struct weir_plan *plan)
{
    bool fits = bytes_fit(plan);
    for (size_t i = 0; i < WEIR_PLAN_COUNTS; i++)
        fits = fits && weir_plan_count_fits(&plan->counts[i]);
    return fits;
}

uint64_t weir_plan_headroom(const struct weir_plan *plan)
{
    return bytes_fit(plan) ? weir_plan_limit(plan) - weir_plan_total(plan) : 0;
}

uint64_t weir_plan_missing(const struct weir_plan *plan)
{
    return bytes_fit(plan) ? 0 : weir_plan_total(plan) - plan->limit;
}

/* --- knobs --------------------------------------------------------------------------------- */

static uint64_t can_give(const struct weir_plan_knob *knob)
{
    uint64_t units = weir_sub_sat(knob->value, knob->minimum);
    return weir_mul_sat(units, knob->unit_bytes);
}

static struct weir_plan_move move(const struct weir_plan_knob *knob, uint64_t missing)
{
    uint64_t units = missing / knob->unit_bytes + (missing % knob->unit_bytes != 0);
    uint64_t room = weir_sub_sat(knob->value, knob->minimum);
    struct weir_plan_move result = {.knob = knob, .is_enough = units <= room};
    uint64_t moved = result.is_enough ? units : room;
    result.to = knob->value - moved;
    result.gives = weir_mul_sat(moved, knob->unit_bytes);
    return result;
}

size_t weir_plan_moves(const struct weir_plan *plan,
                       struct weir_plan_move ret_moves[WEIR_PLAN_MOVES])
{
    uint64_t missing = weir_plan_missing(plan);
    const struct weir_plan_knob *best[WEIR_PLAN_MOVES];
    size_t count = 0;
    for (size_t i = 0; missing > 0 && i < plan->knob_count; i++) {
        const struct weir_plan_knob *knob = &plan->knobs[i];
        size_t place = count;
        while (place > 0 && can_give(best[place - 1]) < can_give(knob))
            place--;
        if (can_give(knob) == 0 || place == WEIR_PLAN_MOVES)
            continue;
        size_t last = count < WEIR_PLAN_MOVES ? count++ : count - 1;
        for (size_t j = last; j > place; j--)
            best[j] = best[j - 1];
        best[place] = knob;
    }
    for (size_t i = 0; i < count; i++)
        ret_moves[i] = move(best[i], missing);
    return count;
}
