/* The one place for how long a test case may run, in every test program, whoever starts it.
 * Check's own limit of 4 s is too short under sanitizers. These limits end what hangs, nothing
 * else: they hold on a machine that is twenty times slower for us. The environment goes first.
 */
#include <stdlib.h>

static __attribute__((constructor)) void set_hang_limit(void)
{
    (void)setenv("CK_DEFAULT_TIMEOUT", "60", 0);
    (void)setenv("CK_TIMEOUT_MULTIPLIER", "5", 0);
}
