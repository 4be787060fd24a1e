/* Several threads on one VM and one code, each with a state of its own: the same gas for the same
 * call, whoever makes it, and what one stores no other sees. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/run_suite.h"
#include "tests/unit/contract/contract_life.h"
#include "worlds/contract/contract_state.h"

#define THREADS 4
#define CALLS 60

static struct weir_contract_vm *vm;
static struct weir_contract_code *code;
static uint64_t wanted_gas;

static uint64_t call_once(const struct weir_contract_storage *storage, const struct script *s)
{
    const struct weir_contract_host host = {.storage = storage, .costs = &weir_contract_costs_mock};
    const struct weir_contract_call call = {
        .entry = WEIR_CONTRACT_execute, .message = {s->bytes, s->size}, .gas_limit = LIFE_GAS};
    struct weir_contract_run *run = NULL;
    struct weir_contract_result result = {0};
    if (weir_contract_run_open(code, &host, &run, NULL) != WEIR_OK)
        return 0;
    uint64_t gas = 0;
    if (weir_contract_run_call(run, &call, &result, NULL) == WEIR_OK &&
        result.outcome == WEIR_CONTRACT_ANSWERED)
        gas = result.gas_used;
    weir_contract_result_done(&result);
    weir_contract_run_close(run);
    return gas;
}

/* NULL when all went well. */
static void *work(void *context)
{
    struct script *s = malloc(sizeof *s);
    struct weir_contract_state *state = NULL;
    (void)context;
    if (s == NULL || weir_contract_state_open(NULL, &state, NULL) != WEIR_OK)
        return "no state";
    struct weir_contract_state_place place = {state, 1};
    const struct weir_contract_storage storage = weir_contract_state_storage(&place);
    life_script(s);
    const char *problem = NULL;
    for (int i = 0; i < CALLS; i++)
        if (call_once(&storage, s) != wanted_gas)
            problem = "a call cost something else";
    weir_contract_state_close(state);
    free(s);
    return (void *)(uintptr_t)problem;
}

START_TEST(threads_share_a_code)
{
    const struct weir_contract_vm_config config = {0};
    struct weir_error error = {0};
    pthread_t threads[THREADS];
    struct script s;
    struct weir_contract_state *state = NULL;
    ck_assert_msg(weir_contract_vm_new(&config, &vm, &error) == WEIR_OK, "%s", error.message);
    ck_assert_msg(weir_contract_code_new(vm,
                                         (struct weir_contract_bytes){contract_script_wasm,
                                                                      sizeof contract_script_wasm},
                                         &code, &error) == WEIR_OK,
                  "%s", error.message);
    ck_assert_int_eq(weir_contract_state_open(NULL, &state, NULL), WEIR_OK);
    struct weir_contract_state_place place = {state, 1};
    const struct weir_contract_storage storage = weir_contract_state_storage(&place);
    life_script(&s);
    wanted_gas = call_once(&storage, &s);
    ck_assert_uint_gt(wanted_gas, 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *problem = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &problem), 0);
        ck_assert_msg(problem == NULL, "%s", (const char *)problem);
    }
    weir_contract_state_close(state);
    weir_contract_code_free(code);
    weir_contract_vm_free(vm);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads of contracts");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, threads_share_a_code);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
