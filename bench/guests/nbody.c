/* The planets of the benchmarks game: double precision in a small working set. */
#include "compute_guest.h"

#define BODIES 5

struct body {
    double x, y, z, vx, vy, vz, mass;
};

static struct body bodies[BODIES];

static void reset(void)
{
    static const struct body start[BODIES] = {
        {0, 0, 0, 0, 0, 0, 39.47841760435743},
        {4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.60632639299533,
         2.81198684491626, -0.02521836165988763, 0.03769367487038949},
        {8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -1.01077434617879,
         1.82566237123041, 0.00841576137658415, 0.01128632613196877},
        {12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 1.08279100644153,
         0.86871301816960, -0.01083263740136364, 0.00172372405705971},
        {15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.97909073224389,
         0.59469899864767, -0.03475595555078104, 0.00203368686992463}};
    for (unsigned i = 0; i < BODIES; i++)
        bodies[i] = start[i];
}

static void advance(double dt)
{
    for (unsigned i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (unsigned k = i + 1; k < BODIES; k++) {
            struct body *b = &bodies[k];
            double dx = a->x - b->x;
            double dy = a->y - b->y;
            double dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double magnitude = dt / (square * __builtin_sqrt(square));
            a->vx -= dx * b->mass * magnitude;
            a->vy -= dy * b->mass * magnitude;
            a->vz -= dz * b->mass * magnitude;
            b->vx += dx * a->mass * magnitude;
            b->vy += dy * a->mass * magnitude;
            b->vz += dz * a->mass * magnitude;
        }
    }
    for (unsigned i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

BENCH_RUN(uint32_t scale)
{
    reset();
    for (uint32_t i = 0; i < scale * 1000; i++)
        advance(0.01);
    double sum = 0;
    for (unsigned i = 0; i < BODIES; i++)
        sum += bodies[i].x + bodies[i].vy;
    union {
        double value;
        uint64_t bits;
    } result = {.value = sum};
    return result.bits;
}
