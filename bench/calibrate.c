/* Error rates of the doctor's verdicts, on seeded synthetic processes, through the library itself.
 *
 * usage: calibrate [tune|publish] [RUNS] [--check FILE]
 *
 * Prints the table of docs/DOCTOR.md: how often "leak" is said of each kind of process, by its
 * resident memory alone and with live bytes, system bytes, operations and cache fill beside it, and
 * next to it the verdicts of a plain trend test and of a careful rule on resident memory. Exits
 * with 1 when a rate misses its target. With --check the file has to hold exactly this table.
 * Thresholds are tuned on the seeds `tune`; the published rates are of others. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate_series.h"
#include "doctor/verdict.h"

#define N CALIBRATE_SAMPLES
#define TEXT_MAX 16384

struct rates {
    int naive, rule;
    int alone[WEIR_VERDICT_KIND_COUNT], beside[WEIR_VERDICT_KIND_COUNT];
    int confident; /* leaks said of resident memory alone with more than low confidence */
};

/* Mann-Kendall on raw samples, which takes them for independent. */
static bool naive_flags(const double *y)
{
    static double scratch[3 * N];
    double alternating[N];
    for (int i = 0; i < N; i++)
        alternating[i] = i % 2; /* residuals without positive autocorrelation: no correction */
    return weir_mann_kendall(y, alternating, N, scratch) > 2.326;
}

/* The careful rule: troughs of 8 samples behind the first third, Mann-Kendall after Hamed and Rao,
 * thirds that rise, the last by 0.6 of the one before, and no jump of half the whole. */
static bool rule_flags(const double *x, const double *y)
{
    static double pairs[N * N], scratch[3 * N];
    double trough_x[N], trough_y[N], residuals[N], thirds[3];
    size_t count = weir_troughs(x + N / 3, y + N / 3, N - N / 3, 8, trough_x, trough_y);
    double slope = weir_theil_sen(trough_x, trough_y, count, pairs), jump = 0;
    for (size_t i = 0; i < count; i++)
        residuals[i] = trough_y[i] - slope * trough_x[i];
    if (weir_mann_kendall(trough_y, residuals, count, scratch) <= 2.326)
        return false;
    for (size_t i = 0; i < 3; i++)
        thirds[i] = weir_median_of(trough_y, count * i / 3, count * (i + 1) / 3, scratch);
    for (size_t i = 1; i < count; i++)
        jump = fmax(jump, trough_y[i] - trough_y[i - 1]);
    double first = thirds[1] - thirds[0], last = thirds[2] - thirds[1];
    return first > 0 && last > 0 && last >= 0.6 * first &&
           jump <= 0.5 * (trough_y[count - 1] - trough_y[0]);
}

static enum weir_verdict_kind kind_of(const struct weir_series *series, bool *ret_confident)
{
    struct weir_verdict_terms terms = {.class_count = 1, .budget_bytes = 1024.0 * 1048576};
    struct weir_verdict verdict;
    struct weir_error error = {0};
    if (weir_verdict_judge(series, &terms, &verdict, &error) != WEIR_OK) {
        (void)fprintf(stderr, "calibrate: %s\n", error.message);
        exit(2);
    }
    *ret_confident = verdict.confidence > WEIR_CONFIDENCE_LOW;
    return verdict.kind;
}

static struct rates run_row(int row, uint64_t set, int runs)
{
    static struct calibrate_process process;
    struct rates rates = {0};
    for (int run = 0; run < runs; run++) {
        uint64_t seed = set + (uint64_t)row * 1000003u + (uint64_t)run * 7919u;
        bool is_confident;
        calibrate_make(&calibrate_rows[row], seed, &process);
        rates.naive += naive_flags(process.resident);
        rates.rule += rule_flags(process.seconds, process.resident);
        enum weir_verdict_kind kind = kind_of(&process.alone, &is_confident);
        rates.alone[kind]++;
        rates.confident += kind == WEIR_VERDICT_LEAK && is_confident;
        rates.beside[kind_of(&process.beside, &is_confident)]++;
    }
    return rates;
}

static bool is_met(const struct calibrate_row *row, int flags, int runs)
{
    /* As the targets are given: to two decimals. */
    double rate = round(100.0 * flags / runs) / 100;
    return row->is_leak ? rate >= row->target : rate <= row->target;
}

/* What most of them were called. */
static const char *usual_kind(const int counts[WEIR_VERDICT_KIND_COUNT], int *ret_count)
{
    int best = 0;
    for (int i = 1; i < WEIR_VERDICT_KIND_COUNT; i++)
        if (counts[i] > counts[best])
            best = i;
    *ret_count = counts[best];
    return weir_verdict_kind_name((enum weir_verdict_kind)best);
}

static bool print_row(char *text, const struct calibrate_row *row, const struct rates *rates,
                      int runs)
{
    double all = runs;
    int alone_count, beside_count, leak = WEIR_VERDICT_LEAK;
    const char *alone = usual_kind(rates->alone, &alone_count);
    const char *beside = usual_kind(rates->beside, &beside_count);
    (void)snprintf(
        text, 256, "| %s%s%s | %.2f | %s %.2f | %.2f | **%.3f** | **%.3f** | %s %.2f | %s %.2f |\n",
        row->is_leak ? "**" : "", row->name, row->is_leak ? "**" : "", rates->naive / all,
        row->is_leak ? "≥" : "≤", row->target, rates->rule / all, rates->alone[leak] / all,
        rates->beside[leak] / all, alone, alone_count / all, beside, beside_count / all);
    return is_met(row, rates->alone[leak], runs) && is_met(row, rates->beside[leak], runs) &&
           rates->confident == 0;
}

static bool file_holds(const char *name, const char *table)
{
    static char text[1 << 18];
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        perror(name);
        return false;
    }
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    return strstr(text, table) != NULL;
}

int main(int argc, char **argv)
{
    bool is_tuning = argc > 1 && strcmp(argv[1], "tune") == 0;
    int runs = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 300;
    const char *file = argc > 4 && strcmp(argv[3], "--check") == 0 ? argv[4] : NULL;
    if (runs < 1 || (argc > 1 && !is_tuning && strcmp(argv[1], "publish") != 0)) {
        (void)fprintf(stderr, "usage: calibrate [tune|publish] [RUNS] [--check FILE]\n");
        return 2;
    }
    static char table[TEXT_MAX];
    size_t used =
        (size_t)snprintf(table, sizeof table,
                         "| process | plain test | target | careful rule | R alone | with "
                         "L, S, N, C | R alone is called | with all it is called |\n"
                         "|---|---|---|---|---|---|---|---|\n");
    bool are_met = true;
    for (int row = 0; row < calibrate_row_count; row++) {
        struct rates rates = run_row(row, is_tuning ? 1 : UINT64_C(0x5EED000000000000), runs);
        bool met = print_row(table + used, &calibrate_rows[row], &rates, runs);
        if (!met)
            (void)fprintf(stderr, "calibrate: %s misses its target\n", calibrate_rows[row].name);
        are_met = are_met && met;
        used += strlen(table + used);
    }
    (void)fputs(table, stdout);
    if (file != NULL && !file_holds(file, table)) {
        (void)fprintf(stderr, "calibrate: %s does not hold this table\n", file);
        return 1;
    }
    return are_met ? 0 : 1;
}
