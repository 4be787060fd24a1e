/* The table of rules at work: each area that holds memory is cut into pieces, each piece goes to
 * the class of the first rule that knows it.
 *
 * A piece that is a whole area counts with the figures of smaps, which are exact. An area of
 * several pieces is counted page by page with the pagemap; where that may not be read, the area
 * goes whole to the owner of its front, and says that it is merged.
 */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    enum weir_doctor_class class;
    enum weir_doctor_confidence confidence;
    weir__match *match;
    const char *argument;
} RULES[] = {
#define WEIR_DOCTOR_RULE(id, name, class, confidence, match, argument, text)                       \
    {WEIR_DOCTOR_##class, WEIR_DOCTOR_##confidence, weir__##match, argument},
#include "doctor/doctor_rules.def"
#undef WEIR_DOCTOR_RULE
};

struct piece {
    uint64_t end;
    enum weir_doctor_rule rule;
};

/* Resident bytes by rule and class, for the sum's rule and confidence. */
struct tally {
    uint64_t by_rule[WEIR_DOCTOR_RULE_COUNT];
};

/* --- places -------------------------------------------------------------------------------- */

const struct weir__area *weir__area_before(const struct weir__place *place)
{
    if (place->index == 0 || place->at != place->area->start)
        return NULL;
    const struct weir__area *before = place->area - 1;
    return before->end == place->area->start ? before : NULL;
}

const struct weir__area *weir__area_after(const struct weir__place *place)
{
    if (place->index + 1 >= place->patient->area_count)
        return NULL;
    const struct weir__area *after = place->area + 1;
    return after->start == place->area->end ? after : NULL;
}

static bool is_none(const struct weir__area *area)
{
    return !area->readable && !area->writable && !area->executable && area->inode == 0 &&
           area->name == 0 && !area->shared;
}

static uint64_t none_bytes(const struct weir__area *area)
{
    return area != NULL && is_none(area) ? area->end - area->start : 0;
}

static bool is_of_run(const struct weir__area *area)
{
    return is_none(area) || weir__is_plain(area);
}

struct weir__run weir__run_around(const struct weir__place *place)
{
    struct weir__patient *patient = place->patient;
    const struct weir__area *areas = patient->areas;
    if (patient->run_last == 0 || place->index < patient->run_first ||
        place->index > patient->run_last) {
        size_t first = place->index;
        size_t last = place->index;
        while (first > 0 && areas[first - 1].end == areas[first].start &&
               is_of_run(&areas[first - 1]))
            first--;
        while (last + 1 < patient->area_count && areas[last].end == areas[last + 1].start &&
               is_of_run(&areas[last + 1]))
            last++;
        patient->run_first = first;
        patient->run_last = last;
    }
    struct weir__run run = {areas[patient->run_first].start, areas[patient->run_last].end, false};
    run.has_none = is_none(&areas[patient->run_first]) || is_none(&areas[patient->run_last]);
    return run;
}

uint64_t weir__none_after(const struct weir__place *place)
{
    return none_bytes(weir__area_after(place));
}

uint64_t weir__none_before(const struct weir__place *place)
{
    return none_bytes(weir__area_before(place));
}

bool weir__is_plain(const struct weir__area *area)
{
    return area->readable && area->writable && !area->executable && !area->shared &&
           area->inode == 0 && area->name == 0;
}

/* --- pieces -------------------------------------------------------------------------------- */

static struct piece next_piece(struct weir__patient *patient, size_t index, uint64_t at)
{
    const struct weir__area *area = &patient->areas[index];
    struct weir__place place = {.patient = patient, .area = area, .index = index, .at = at};
    for (unsigned i = 0; i < WEIR_DOCTOR_RULE_COUNT; i++) {
        place.argument = RULES[i].argument;
        uint64_t end = RULES[i].match(&place);
        if (end == 0)
            continue;
        WEIR_DASSERT(end > at && end <= area->end);
        return (struct piece){end, (enum weir_doctor_rule)i};
    }
    return (struct piece){area->end, WEIR_DOCTOR_BY_ANONYMOUS};
}

static struct weir_doctor_sum *sum_of(struct weir__patient *patient, enum weir_doctor_rule rule)
{
    return &patient->snapshot->sums[RULES[rule].class];
}

static void count(struct weir__patient *patient, struct tally *tally, enum weir_doctor_rule rule,
                  const struct weir_doctor_sum *figures)
{
    struct weir_doctor_sum *sum = sum_of(patient, rule);
    sum->rss_bytes += figures->rss_bytes;
    sum->anon_bytes += figures->anon_bytes;
    sum->swap_bytes += figures->swap_bytes;
    sum->huge_bytes += figures->huge_bytes;
    sum->space_bytes += figures->space_bytes;
    sum->count++;
    sum->is_merged |= figures->is_merged;
    tally->by_rule[rule] += figures->rss_bytes;
}

static uint64_t at_most(uint64_t value, uint64_t max)
{
    return value < max ? value : max;
}

static uint64_t share(uint64_t of, uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (uint64_t)((double)of * (double)part / (double)whole);
}

/* Several pieces: pages of each; what came or went since smaps was read stays with the last. */
static void count_pieces(struct weir__patient *patient, struct tally *tally, size_t index,
                         struct piece piece)
{
    const struct weir__area *area = &patient->areas[index];
    struct weir_doctor_sum left = {
        .rss_bytes = area->rss, .anon_bytes = area->anon, .swap_bytes = area->swap};
    uint64_t at = area->start;
    for (;;) {
        struct weir__page_sums pages = {0};
        struct weir_doctor_sum figures = {.space_bytes = piece.end - at};
        bool is_last = piece.end == area->end;
        if (!is_last && !weir__memory_sum(&patient->memory, at, piece.end, &pages))
            figures.is_merged = true;
        figures.rss_bytes = is_last ? left.rss_bytes : at_most(pages.resident, left.rss_bytes);
        uint64_t anon = at_most(pages.resident - pages.file, figures.rss_bytes);
        figures.anon_bytes =
            is_last ? at_most(left.anon_bytes, figures.rss_bytes) : at_most(anon, left.anon_bytes);
        figures.swap_bytes = is_last ? left.swap_bytes : at_most(pages.swapped, left.swap_bytes);
        figures.huge_bytes = share(area->huge, figures.rss_bytes, area->rss);
        left.rss_bytes -= figures.rss_bytes;
        left.anon_bytes -= figures.anon_bytes;
        left.swap_bytes -= figures.swap_bytes;
        count(patient, tally, piece.rule, &figures);
        if (is_last)
            return;
        at = piece.end;
        piece = next_piece(patient, index, at);
    }
}

static void count_area(struct weir__patient *patient, struct tally *tally, size_t index)
{
    const struct weir__area *area = &patient->areas[index];
    if (area->rss == 0 && area->swap == 0)
        return;
    struct piece piece = next_piece(patient, index, area->start);
    if (piece.end < area->end && patient->snapshot->can_read_pages) {
        count_pieces(patient, tally, index, piece);
        return;
    }
    struct weir_doctor_sum figures = {.rss_bytes = area->rss,
                                      .anon_bytes = area->anon,
                                      .swap_bytes = area->swap,
                                      .huge_bytes = area->huge,
                                      .space_bytes = area->end - area->start,
                                      .is_merged = piece.end < area->end};
    count(patient, tally, piece.rule, &figures);
}

/* --- sums ---------------------------------------------------------------------------------- */

/* A sum's confidence is the least of the rules that gave it a twentieth or more. */
static void judge(struct weir__patient *patient, const struct tally *tally)
{
    uint64_t most[WEIR_DOCTOR_CLASS_COUNT] = {0};
    for (unsigned i = 0; i < WEIR_DOCTOR_RULE_COUNT; i++) {
        enum weir_doctor_class class = RULES[i].class;
        struct weir_doctor_sum *sum = &patient->snapshot->sums[class];
        uint64_t bytes = tally->by_rule[i];
        if (bytes == 0 || bytes < sum->rss_bytes / 20)
            continue;
        if (most[class] == 0 || RULES[i].confidence < sum->confidence)
            sum->confidence = RULES[i].confidence;
        if (bytes > most[class]) {
            most[class] = bytes;
            sum->rule = (enum weir_doctor_rule)i;
        }
    }
    for (unsigned class = 0; class < WEIR_DOCTOR_CLASS_COUNT; class ++)
        if (weir_doctor_class_is_generic((enum weir_doctor_class) class))
            patient->snapshot->unknown_bytes += patient->snapshot->sums[class].rss_bytes;
}

void weir__classify(struct weir__patient *patient)
{
    struct tally tally = {{0}};
    for (size_t i = 0; i < patient->area_count; i++)
        count_area(patient, &tally, i);
    judge(patient, &tally);
}
