/* A compute guest compiled natively, as the yardstick: native_NAME SCALE. Linked with the guest's
 * own object, which is clang -O2 without anything else. One run per line of stdin. */
#include "../bench_measure.h"

#include "../guests/compute_guest.h"

static uint64_t run_native(void *context)
{
    return run(*(const uint32_t *)context);
}

int main(int argc, char **argv)
{
    uint32_t scale = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    bench_serve_lines(run_native, &scale);
    return 0;
}
