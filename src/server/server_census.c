/* See server_census.h. */
#include "server/server_census.h"

#include "base/check.h"
#include "base/clock.h"
#include "observe/metrics.h"

#include <math.h>
#include <string.h>

/* --- which are kept ------------------------------------------------------------------------ */

/* How much a gap would matter, in powers of two of age; `taken_ns` is at most `now_ns`. */
static double gap(uint64_t older_ns, uint64_t younger_ns, uint64_t now_ns)
{
    double age = (double)(now_ns - older_ns) + 1, younger = (double)(now_ns - younger_ns) + 1;
    return log2(age / younger);
}

size_t weir__census_thin(const uint64_t *taken_ns, size_t count, uint64_t now_ns)
{
    WEIR_ASSERT(count >= 2);
    size_t best = 1;
    double smallest = INFINITY;
    for (size_t i = 1; i < count; i++) {
        uint64_t next_ns = i + 1 < count ? taken_ns[i + 1] : now_ns;
        double left = gap(taken_ns[i - 1], next_ns, now_ns);
        if (left < smallest) {
            smallest = left;
            best = i;
        }
    }
    return best;
}

size_t weir__census_pick(const uint64_t *taken_ns, size_t count, uint64_t now_ns, uint64_t age_ns)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (now_ns - taken_ns[i] >= age_ns)
            best = i;
    return best;
}

/* --- keeping ------------------------------------------------------------------------------- */

enum weir_status weir__server_census_take(struct weir_server *server,
                                          const struct weir_census *since,
                                          struct weir_census **ret_census, struct weir_error *error)
{
    const struct weir_census_config config = {
        .account = server->reports_account,
        .groups_max = server->census.sizes.groups,
        .stores_max = server->census.sizes.stores,
        .since = since,
    };
    return weir_census_take(NULL, &config, ret_census, error);
}

const struct weir_census *weir__server_census_before(const struct weir_server *server,
                                                     uint64_t age_ns)
{
    const struct weir__censuses *all = &server->census;
    if (all->count == 0)
        return NULL;
    return all->kept[weir__census_pick(all->taken_ns, all->count, weir_clock_ns(), age_ns)];
}

static void drop(struct weir__censuses *all, size_t index)
{
    weir_census_free(all->kept[index]);
    all->count--;
    memmove(&all->kept[index], &all->kept[index + 1],
            (all->count - index) * sizeof all->kept[0]);
    memmove(&all->taken_ns[index], &all->taken_ns[index + 1],
            (all->count - index) * sizeof all->taken_ns[0]);
}

uint64_t weir__server_census_tick(struct weir_server *server, uint64_t now_ns)
{
    struct weir__censuses *all = &server->census;
    struct weir_census *census = NULL;
    if (now_ns < all->due_ns)
        return all->due_ns;
    all->due_ns = now_ns + atomic_load(&all->interval_ns);
    if (all->count == WEIR_SERVER_CENSUS_KEPT)
        drop(all, weir__census_thin(all->taken_ns, all->count, now_ns));
    if (weir__server_census_take(server, NULL, &census, NULL) != WEIR_OK) {
        all->failures++;
        return all->due_ns;
    }
    all->kept[all->count] = census;
    all->taken_ns[all->count++] = weir_census_taken_ns(census);
    /* A round in which nothing was done says nothing about what a guest leaves behind. */
    uint64_t completed = weir_census_completed(census);
    if (completed != all->completed)
        weir_census_growth_add(&all->growth, completed, weir_census_bytes(census));
    all->completed = completed;
    return all->due_ns;
}

void weir__server_census_free(struct weir_server *server)
{
    while (server->census.count > 0)
        drop(&server->census, server->census.count - 1);
}

/* --- metrics ------------------------------------------------------------------------------- */

static void add_totals(struct weir_metrics *metrics, const struct weir_census *census)
{
    static const enum weir_metric METRICS[] = {WEIR_METRIC_CENSUS_OBJECTS,
                                               WEIR_METRIC_CENSUS_BYTES, WEIR_METRIC_CENSUS_MADE};
    for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++) {
        weir_metrics_family(metrics, METRICS[i]);
        for (int type = 0; type < WEIR_CENSUS_TYPE_COUNT; type++) {
            struct weir_census_total total;
            weir_census_total(census, (enum weir_census_type)type, &total);
            const uint64_t values[] = {total.count, total.bytes, total.made};
            const struct weir_metrics_label labels[] = {
                {"type", weir_census_type_name((enum weir_census_type)type)}, {NULL, NULL}};
            if (METRICS[i] != WEIR_METRIC_CENSUS_MADE || total.made > 0)
                weir_metrics_value(metrics, METRICS[i], labels, values[i]);
        }
    }
    weir_metrics_single(metrics, WEIR_METRIC_CENSUS_COMPLETED, weir_census_completed(census));
}

static void add_growth(struct weir_metrics *metrics, const struct weir__censuses *all)
{
    struct weir_census_growth_reading reading;
    weir_metrics_family(metrics, WEIR_METRIC_CENSUS_GROWTH);
    if (weir_census_growth_read(&all->growth, &reading, NULL) != WEIR_OK)
        return;
    const struct {
        const char *name;
        double value;
    } BOUNDS[] = {{"low", reading.low},
                  {"middle", reading.bytes_per_instance},
                  {"high", reading.high}};
    for (size_t i = 0; i < sizeof BOUNDS / sizeof BOUNDS[0]; i++) {
        const struct weir_metrics_label labels[] = {{"bound", BOUNDS[i].name}, {NULL, NULL}};
        weir_metrics_real(metrics, WEIR_METRIC_CENSUS_GROWTH, labels, BOUNDS[i].value);
    }
}

/* Since the server started. */
static void add_retention(struct weir_metrics *metrics, const struct weir_census *before,
                          const struct weir_census *census)
{
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    weir_metrics_family(metrics, WEIR_METRIC_RETENTION);
    if (before == NULL)
        return;
    weir_retention_read(before, census, NULL, findings);
    for (int i = 0; i < WEIR_RETENTION_COUNT; i++) {
        const struct weir_metrics_label labels[] = {
            {"pattern", weir_retention_name((enum weir_retention_pattern)i)}, {NULL, NULL}};
        if (findings[i].state != WEIR_RETENTION_NOT_OBSERVABLE)
            weir_metrics_value(metrics, WEIR_METRIC_RETENTION, labels,
                               findings[i].state == WEIR_RETENTION_PRESENT);
    }
}

void weir__server_census_metrics(struct weir_server *server, struct weir_metrics *metrics)
{
    struct weir_census *census = NULL;
    const struct weir_census *before = weir__server_census_before(server, UINT64_MAX);
    if (weir__server_census_take(server, before, &census, NULL) != WEIR_OK) {
        metrics->status = WEIR_LIMIT;
        return;
    }
    add_totals(metrics, census);
    add_growth(metrics, &server->census);
    add_retention(metrics, before, census);
    weir_metrics_single(metrics, WEIR_METRIC_CENSUS_KEPT, server->census.count);
    weir_metrics_single(metrics, WEIR_METRIC_CENSUS_FAILURES, server->census.failures);
    weir_census_free(census);
}
