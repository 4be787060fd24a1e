/* Zero growth over 100,000 calls (DESIGN 7): most write, read, iterate, ask and talk; of a hundred
 * some trap, run out of gas, abort, take all the memory, answer an error, or are queries. Then
 * whole chains, opened and closed. Its own executable: growth is of a whole process. */
#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "tests/unit/contract/contract_life.h"

#define WARM_UP 2000
#define GROWTH_MAX ((long long)256 << 10)

static void need(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "failed: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct script plain, trap, loop, talk, large, refuse;

static void make_scripts(void)
{
    life_script(&plain);
    life_script(&trap);
    script_call(&trap, CALL_db_next, 99, 0, 0);
    life_script(&loop);
    script_step(&loop, SCRIPT_MODE, MODE_LOOPS);
    script_call(&loop, CALL_db_read, 1024, 0, 0);
    life_script(&talk);
    script_call(&talk, CALL_abort, 1040, 0, 0);
    life_script(&large);
    script_step(&large, SCRIPT_GROW, 400);
    script_region(&large, 1300, 65536, 2 << 20, 2 << 20);
    script_call(&large, CALL_debug, 1300, 0, 0);
    life_script(&refuse);
    script_byte(&refuse, SCRIPT_ERROR);
}

static void call(struct weir_contract_chain *chain, int i)
{
    static const struct {
        const struct script *script;
        enum weir_contract_outcome outcome;
    } KINDS[] = {{&trap, WEIR_CONTRACT_FAILED},
                 {&loop, WEIR_CONTRACT_FAILED},
                 {&talk, WEIR_CONTRACT_FAILED},
                 {&large, WEIR_CONTRACT_ANSWERED},
                 {&refuse, WEIR_CONTRACT_REFUSED}};
    size_t kind = (size_t)i % 100;
    bool is_plain = kind >= sizeof KINDS / sizeof KINDS[0];
    /* A query that writes is refused. */
    bool is_query = is_plain && kind < 10;
    enum weir_contract_outcome outcome, wanted = is_query   ? WEIR_CONTRACT_FAILED
                                                 : is_plain ? WEIR_CONTRACT_ANSWERED
                                                            : KINDS[kind].outcome;
    struct weir_error error = {0};
    enum weir_status status =
        life_call(chain, is_query ? WEIR_CONTRACT_query : WEIR_CONTRACT_execute,
                  is_plain ? &plain : KINDS[kind].script, &outcome, &error);
    need(status == WEIR_OK, error.message);
    need(outcome == wanted, "the outcome is as wanted");
}

static void lives(const char *artifacts, int count)
{
    for (int i = 0; i < count; i++) {
        struct weir_contract_chain *chain = NULL;
        struct weir_error error = {0};
        need(life_open(artifacts, &chain, &error) == WEIR_OK, error.message);
        need(life_begin(chain, &error) == WEIR_OK, error.message);
        call(chain, 50);
        weir_contract_chain_close(chain);
    }
}

static void measure(struct weir_contract_chain *chain, const char *artifacts, int calls)
{
    struct weir_equation before, after;
    uint64_t small = 0, large_bytes = 0;
    int chains = calls / 200;
    lives(artifacts, 20);
    for (int i = 0; i < WARM_UP; i++)
        call(chain, i);
    need(weir_equation_read(&before, NULL) == WEIR_OK, "equation");
    need(weir_growth_read(&small, NULL) == WEIR_OK, "growth");
    for (int i = 0; i < calls; i++)
        call(chain, i);
    lives(artifacts, chains);
    need(weir_growth_read(&large_bytes, NULL) == WEIR_OK, "growth");
    need(weir_equation_read(&after, NULL) == WEIR_OK, "equation");
    long long growth = (long long)large_bytes - (long long)small;
    (void)printf("growth %lld bytes over %d calls and %d chains\n", growth, calls, chains);
    need(before.descriptor_count == after.descriptor_count, "as many descriptors as before");
    if (WEIR_ASAN || WEIR_TSAN)
        return; /* the sanitizer keeps freed memory in quarantine */
    need(growth <= GROWTH_MAX, "growth is at most 256 KiB");
    need(before.mapping_count == after.mapping_count, "as many mappings as before");
}

int main(void)
{
    struct weir_contract_chain *chain = NULL;
    struct weir_error error = {0};
    char folder[] = "/tmp/weir-growth-XXXXXX", artifacts[64], command[80];
    need(mkdtemp(folder) != NULL, folder);
    (void)snprintf(artifacts, sizeof artifacts, "%s/artifacts", folder);
    make_scripts();
    need(life_open(artifacts, &chain, &error) == WEIR_OK, error.message);
    need(life_begin(chain, &error) == WEIR_OK, error.message);
    measure(chain, artifacts, WEIR_ASAN || WEIR_TSAN ? 1000 : 100000);
    weir_contract_chain_close(chain);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
