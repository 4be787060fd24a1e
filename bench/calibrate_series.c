/* Series as reference for the verdicts' error rates. One unit is 1 MiB, one sample 10 s; noise has
 * a standard deviation of 1 MiB (of the innovation where it depends on its neighbour). */
#include "calibrate_series.h"

#include <math.h>

#define MIB 1048576.0
#define LEVEL_MIB 256.0
#define SECONDS 10.0
#define N CALIBRATE_SAMPLES

enum {
    LINE,
    PLATEAU,
    RECORDS,
    STEP,
    SAWTOOTH,
    LOGARITHM,
    VEILED,
    CYCLE,
    STAIRS
};

const struct calibrate_row calibrate_rows[] = {
    {"white noise", false, 0.00, 0, 0, LINE, 0},
    {"AR(1), phi 0.8", false, 0.00, 0.8, 0, LINE, 0},
    {"AR(1), phi 0.95", false, 0.01, 0.95, 0, LINE, 0},
    {"random walk", false, 0.11, 1, 0, LINE, 0},
    {"plateau, time constant n/8", false, 0.00, 0, 0, PLATEAU, N / 8.0},
    {"plateau, time constant n/3", false, 0.41, 0, 0, PLATEAU, N / 3.0},
    {"record maxima", false, 0.03, 0, 0, RECORDS, 0},
    {"step (resize)", false, 0.00, 0, 0, STEP, 0},
    {"sawtooth (collections)", false, 0.00, 0, 0, SAWTOOTH, 0},
    {"log growth (fragmentation)", false, 0.90, 0, 0, LOGARITHM, 0},
    {"random walk, noise 2 above it", false, 0.05, 1, 0, VEILED, 0},
    {"cycle, period n/2", false, 0.05, 0, 0, CYCLE, N / 2.0},
    {"stairs, 5 within half the time", false, 0.05, 0, 0, STAIRS, N / 10.0},
    {"sawtooth + small leak", true, 0.61, 0, 0.08, SAWTOOTH, 0},
    {"leak 0.03, white noise", true, 0.71, 0, 0.03, LINE, 0},
    {"leak 0.05, phi 0.5", true, 0.86, 0.5, 0.05, LINE, 0},
    {"leak 0.1, phi 0.8", true, 0.92, 0.8, 0.1, LINE, 0},
};
const int calibrate_row_count = sizeof calibrate_rows / sizeof calibrate_rows[0];

/* --- randomness ---------------------------------------------------------------------------- */

/* SplitMix64. */
static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static double next_uniform(uint64_t *state)
{
    return (double)(next_bits(state) >> 11) * 0x1p-53;
}

/* Irwin and Hall's: exact in every libm, because it needs none. */
static double next_normal(uint64_t *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += next_uniform(state);
    return sum;
}

/* --- shapes -------------------------------------------------------------------------------- */

/* What an instance of a row draws once. */
struct drawn {
    double step_at;
    double period, phase;
};

static double shape_at(const struct calibrate_row *row, const struct drawn *drawn, int i)
{
    double cycle = (i + drawn->phase * drawn->period) / drawn->period;
    switch (row->shape) {
    case PLATEAU:
        return 20 * (1 - exp(-i / row->shape_arg));
    case STEP:
        return i >= drawn->step_at ? 10 : 0;
    case SAWTOOTH:
        return 10 * (cycle - floor(cycle));
    case CYCLE:
        return 10 * sin(6.283185307179586 * (i / row->shape_arg + drawn->phase));
    case STAIRS:
        return 8 * fmin(5, floor(i / row->shape_arg + drawn->phase));
    case LOGARITHM:
        return 10 * log(1 + i / 10.0);
    default:
        return 0;
    }
}

void calibrate_make(const struct calibrate_row *row, uint64_t seed, struct calibrate_process *to)
{
    uint64_t state = seed;
    struct drawn drawn = {.step_at = N * (0.2 + 0.7 * next_uniform(&state)),
                          .period = 12 + 16 * next_uniform(&state),
                          .phase = next_uniform(&state)};
    double innovation_share = row->phi < 1 ? 1 / sqrt(1 - row->phi * row->phi) : 0;
    double noise = next_normal(&state) * innovation_share;
    double record = -1e9, held = 0, operations = 0;
    bool is_fragmenting = row->shape == LOGARITHM;
    for (int i = 0; i < N; i++) {
        noise = row->phi * noise + next_normal(&state);
        double shape = shape_at(row, &drawn, i), measuring = 0.2 * next_normal(&state);
        double y = LEVEL_MIB + shape + row->slope * i + noise;
        record = fmax(record, 5 * noise);
        if (row->shape == RECORDS)
            y = LEVEL_MIB + record + measuring;
        if (row->shape == VEILED)
            y += 2 * next_normal(&state);
        double live = row->shape == RECORDS ? LEVEL_MIB + 5 * noise
                      : is_fragmenting      ? LEVEL_MIB + noise
                                            : y;
        held = fmax(held, live);
        double system = held + 8 + (is_fragmenting ? shape : 0);
        operations += floor(500 + 1000 * next_uniform(&state));
        to->seconds[i] = SECONDS * i;
        to->resident[i] = y * MIB;
        to->live[i] = live * MIB;
        to->system[i] = system * MIB;
        to->operations[i] = operations;
        to->cache[i] = shape * MIB;
        to->cache_limit[i] = 20 * MIB;
    }
    to->alone = (struct weir_series){.count = N, .seconds = to->seconds, .resident = to->resident};
    to->beside = to->alone;
    to->beside.live = to->live;
    to->beside.system = to->system;
    to->beside.operations = to->operations;
    if (row->shape == PLATEAU) {
        to->beside.cache = to->cache;
        to->beside.cache_limit = to->cache_limit;
    }
}
