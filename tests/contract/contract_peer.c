/* Every call twice, here and in libwasmvm, each with a storage of its own: the same answer, the
 * same gas to the unit, the same storage, the same words when there is no answer.
 *
 * usage: contract_peer LIBRARY CACHE_DIR VECTORS     (contracts in WEIR_CONTRACTS)
 */
#include <dirent.h>
#include <dlfcn.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/contract/contract_peer.h"
#include "tests/contract/wasmvm_abi.h"
#include "tests/run_suite.h"
#include "worlds/contract/contract_text.h"

#define GAS UINT64_C(400000000000)
#define CANONICALIZE (5 * UINT64_C(140000))
#define HUMANIZE (4 * UINT64_C(140000))
#define PAIRS_MAX 256u
#define ITERATORS_MAX 64u

/* --- the library ----------------------------------------------------------------------------- */

struct pair {
    uint8_t *key, *value;
    size_t key_size, value_size;
};

struct cursor { /* a copy of what the range held, as upstream's mock does */
    struct pair pairs[PAIRS_MAX];
    size_t count, at;
};

static struct {
    void *cache;
    vm_new_vector *new_vector;
    vm_free_vector *free_vector;
    void *library;
    uint8_t checksum[32];
    struct pair pairs[PAIRS_MAX]; /* sorted */
    size_t count;
    struct cursor cursors[ITERATORS_MAX];
    size_t cursor_count;
} vm;

struct contract_host h;
struct script script;
bool peer_tries_limits;
static size_t calls;

_Noreturn void give_up(const char *what, const char *detail)
{
    (void)fprintf(stderr, "contract_peer: %s: %s\n", what, detail);
    exit(1);
}

static void find(const char *name, void *ret_function)
{
    void *found = dlsym(vm.library, name);
    if (found == NULL)
        give_up("the library lacks", name);
    memcpy(ret_function, &found, sizeof found);
}

static struct vm_vector vector(const void *data, size_t size)
{
    return vm.new_vector(false, data, size);
}

static int compare(const struct pair *pair, const uint8_t *key, size_t size)
{
    size_t common = pair->key_size < size ? pair->key_size : size;
    int order = common > 0 ? memcmp(pair->key, key, common) : 0;
    return order != 0 ? order : (pair->key_size > size) - (pair->key_size < size);
}

/* The first pair at the key or behind it. */
static size_t place_of(const uint8_t *key, size_t size)
{
    size_t at = 0;
    while (at < vm.count && compare(&vm.pairs[at], key, size) < 0)
        at++;
    return at;
}

static uint8_t *copy(const uint8_t *data, size_t size)
{
    uint8_t *made = malloc(size + 1);
    if (made == NULL)
        give_up("memory", "none");
    if (size > 0)
        memcpy(made, data, size);
    return made;
}

static int32_t db_read(void *db, void *meter, uint64_t *gas, struct vm_view key,
                       struct vm_vector *value, struct vm_vector *error)
{
    (void)db, (void)meter, (void)error;
    size_t at = place_of(key.data, key.size);
    if (at < vm.count && compare(&vm.pairs[at], key.data, key.size) == 0)
        *value = vector(vm.pairs[at].value, vm.pairs[at].value_size);
    *gas = key.size;
    return VM_OK;
}

static void drop_pair(size_t at)
{
    free(vm.pairs[at].key);
    free(vm.pairs[at].value);
    memmove(&vm.pairs[at], &vm.pairs[at + 1], (vm.count - at - 1) * sizeof vm.pairs[0]);
    vm.count--;
}

static int32_t db_write(void *db, void *meter, uint64_t *gas, struct vm_view key,
                        struct vm_view value, struct vm_vector *error)
{
    (void)db, (void)meter, (void)error;
    size_t at = place_of(key.data, key.size);
    if (at < vm.count && compare(&vm.pairs[at], key.data, key.size) == 0)
        drop_pair(at);
    if (vm.count == PAIRS_MAX)
        give_up("storage", "too many keys");
    memmove(&vm.pairs[at + 1], &vm.pairs[at], (vm.count - at) * sizeof vm.pairs[0]);
    vm.pairs[at] =
        (struct pair){copy(key.data, key.size), copy(value.data, value.size), key.size, value.size};
    vm.count++;
    *gas = key.size + value.size;
    return VM_OK;
}

static int32_t db_remove(void *db, void *meter, uint64_t *gas, struct vm_view key,
                         struct vm_vector *error)
{
    (void)db, (void)meter, (void)error;
    size_t at = place_of(key.data, key.size);
    if (at < vm.count && compare(&vm.pairs[at], key.data, key.size) == 0)
        drop_pair(at);
    *gas = key.size;
    return VM_OK;
}

/* Upstream's mock charges a pair as its own work; libwasmvm counts all that its caller says as
 * external. The sum is the same. */
static int32_t next(struct vm_iterator iterator, void *meter, uint64_t *gas, struct vm_vector *key,
                    struct vm_vector *value, struct vm_vector *error)
{
    (void)meter, (void)error;
    struct cursor *cursor = &vm.cursors[iterator.iterator_id];
    *gas = 37;
    if (cursor->at == cursor->count)
        return VM_OK;
    const struct pair *pair = &cursor->pairs[cursor->at++];
    *gas = pair->key_size + pair->value_size;
    if (key != NULL)
        *key = vector(pair->key, pair->key_size);
    if (value != NULL)
        *value = vector(pair->value, pair->value_size);
    return VM_OK;
}

static int32_t next_key(struct vm_iterator iterator, void *meter, uint64_t *gas,
                        struct vm_vector *key, struct vm_vector *error)
{
    return next(iterator, meter, gas, key, NULL, error);
}

static int32_t next_value(struct vm_iterator iterator, void *meter, uint64_t *gas,
                          struct vm_vector *value, struct vm_vector *error)
{
    return next(iterator, meter, gas, NULL, value, error);
}

static int32_t vm_db_scan(void *db, void *meter, uint64_t *gas, struct vm_view start,
                          struct vm_view end, int32_t order, struct vm_iterator_out *out,
                          struct vm_vector *error)
{
    (void)db, (void)error;
    if (vm.cursor_count == ITERATORS_MAX)
        give_up("storage", "too many iterators");
    struct cursor *cursor = &vm.cursors[vm.cursor_count];
    size_t from = start.is_nil ? 0 : place_of(start.data, start.size);
    size_t to = end.is_nil ? vm.count : place_of(end.data, end.size);
    cursor->at = 0;
    cursor->count = to > from ? to - from : 0;
    for (size_t i = 0; i < cursor->count; i++)
        cursor->pairs[i] = vm.pairs[order == 1 ? from + i : to - 1 - i];
    *out = (struct vm_iterator_out){meter, {1, vm.cursor_count++}, {next, next_key, next_value}};
    *gas = 11;
    return VM_OK;
}

static int32_t user_error(struct vm_vector *error, const char *text)
{
    *error = vector(text, strlen(text));
    return VM_USER_ERROR;
}

static int32_t api_humanize(const void *api, struct vm_view input, struct vm_vector *out,
                            struct vm_vector *error, uint64_t *gas)
{
    (void)api;
    struct weir_address_text text;
    *gas = HUMANIZE;
    if (!weir_address_write("cosmwasm", input.data, input.size, &text))
        return user_error(error, "Invalid canonical address length");
    *out = vector(text.text, strlen(text.text));
    return VM_OK;
}

static int32_t api_canonicalize(const void *api, struct vm_view input, struct vm_vector *out,
                                struct vm_vector *error, uint64_t *gas)
{
    (void)api;
    uint8_t bytes[WEIR_ADDRESS_BYTES_MAX];
    size_t size;
    *gas = CANONICALIZE;
    const char *problem =
        weir_address_read("cosmwasm", (const char *)input.data, input.size, bytes, &size);
    if (problem != NULL)
        return user_error(error, problem);
    *out = vector(bytes, size);
    return VM_OK;
}

static int32_t api_validate(const void *api, struct vm_view input, struct vm_vector *error,
                            uint64_t *gas)
{
    (void)api;
    uint8_t bytes[WEIR_ADDRESS_BYTES_MAX];
    size_t size;
    *gas = CANONICALIZE;
    const char *problem =
        weir_address_read("cosmwasm", (const char *)input.data, input.size, bytes, &size);
    if (problem != NULL)
        return user_error(error, problem);
    *gas = CANONICALIZE + HUMANIZE;
    return VM_OK;
}

/* Asked of the other side's querier: the same bytes. */
static int32_t query(const void *querier, uint64_t gas_limit, uint64_t *gas, struct vm_view request,
                     struct vm_vector *result, struct vm_vector *error)
{
    (void)querier, (void)error;
    struct weir_contract_buffer answer = {.account = weir_account_host()};
    uint64_t own = 0;
    if (h.querier.query(h.querier.context, (struct weir_contract_bytes){request.data, request.size},
                        gas_limit, &own, &answer, NULL) != WEIR_OK)
        give_up("the querier", "no answer");
    *result = vector(answer.data, answer.size);
    *gas = own + 100000 + 100 * answer.size;
    weir_contract_buffer_done(&answer);
    return VM_OK;
}

static struct vm_view view(const void *data, size_t size)
{
    return (struct vm_view){false, data, size};
}

static struct vm_view text_view(const char *text)
{
    return view(text, strlen(text));
}

static void open_library(const char *path, const char *folder)
{
    static const char CONFIG[] =
        "{\"wasm_limits\":{},\"cache\":{\"base_dir\":\"%s\",\"available_capabilities\":["
        "\"iterator\",\"staking\",\"stargate\",\"ibc2\",\"cosmwasm_1_1\",\"cosmwasm_1_2\","
        "\"cosmwasm_1_3\",\"cosmwasm_1_4\",\"cosmwasm_2_0\",\"cosmwasm_2_1\",\"cosmwasm_2_2\","
        "\"cosmwasm_3_0\"],\"memory_cache_size_bytes\":100000000,"
        "\"instance_memory_limit_bytes\":33554432}}";
    char config[1024];
    struct vm_vector error = {.is_none = true};
    vm_init *init;
    vm.library = dlopen(path, RTLD_NOW);
    if (vm.library == NULL)
        give_up("cannot load", dlerror());
    find("init_cache", &init);
    find("new_unmanaged_vector", &vm.new_vector);
    find("destroy_unmanaged_vector", &vm.free_vector);
    (void)snprintf(config, sizeof config, CONFIG, folder);
    vm.cache = init(text_view(config), &error);
    if (vm.cache == NULL)
        give_up("init_cache", "no cache");
}

/* --- both ------------------------------------------------------------------------------------ */

static void load_bytes(const char *file, const void *wasm, size_t size)
{
    struct vm_vector error = {.is_none = true};
    vm_store *store;
    find("store_code", &store);
    struct vm_vector checksum = store(vm.cache, view(wasm, size), true, true, &error);
    if (checksum.is_none || checksum.size != sizeof vm.checksum)
        give_up(file, "libwasmvm does not take it");
    memcpy(vm.checksum, checksum.data, sizeof vm.checksum);
    vm.free_vector(checksum);
    while (vm.count > 0)
        drop_pair(vm.count - 1);
    contract_host_close(&h);
    contract_host_open(&h, NULL);
    contract_host_load(&h, wasm, size);
}

void load(const char *file)
{
    size_t size;
    uint8_t *wasm = contract_host_read(file, &size);
    load_bytes(file, wasm, size);
    free(wasm);
}

struct outcome {
    struct vm_vector answer, error;
    struct vm_gas gas;
};

static struct outcome call_library(enum weir_contract_entry entry, const char *env,
                                   const char *info, struct vm_view message)
{
    struct outcome outcome = {.error.is_none = true};
    struct vm_db db = {NULL, NULL, db_read, db_write, db_remove, vm_db_scan};
    struct vm_api api = {NULL, api_humanize, api_canonicalize, api_validate};
    struct vm_querier querier = {NULL, query};
    struct vm_view checksum = view(vm.checksum, sizeof vm.checksum);
    vm_call_3 *call_3;
    vm_call_2 *call_2;
    vm.cursor_count = 0;
    if (entry == WEIR_CONTRACT_instantiate || entry == WEIR_CONTRACT_execute) {
        find(weir_contract_entry_name(entry), &call_3);
        outcome.answer = call_3(vm.cache, checksum, text_view(env), text_view(info), message, db,
                                api, querier, h.gas_limit, false, &outcome.gas, &outcome.error);
    } else {
        find(weir_contract_entry_name(entry), &call_2);
        outcome.answer = call_2(vm.cache, checksum, text_view(env), message, db, api, querier,
                                h.gas_limit, false, &outcome.gas, &outcome.error);
    }
    return outcome;
}

static void same_storage(const char *what)
{
    uint64_t pairs = contract_host_pairs(&h);
    if (pairs != vm.count) {
        (void)fprintf(stderr, "%llu keys here, %zu there\n", (unsigned long long)pairs, vm.count);
        give_up(what, "the storage differs");
    }
    for (size_t i = 0; i < vm.count; i++) {
        struct weir_contract_buffer value = {.account = weir_account_host()};
        bool is_found = false;
        (void)!h.storage.get(h.storage.context,
                             (struct weir_contract_bytes){vm.pairs[i].key, vm.pairs[i].key_size},
                             &is_found, &value, NULL);
        if (!is_found || value.size != vm.pairs[i].value_size ||
            (value.size > 0 && memcmp(value.data, vm.pairs[i].value, value.size) != 0))
            give_up(what, "a value differs");
        weir_contract_buffer_done(&value);
    }
}

/* With the script, for who wants to replay it. */
_Noreturn static void different(const char *what, const char *detail)
{
    for (size_t i = 0; i < script.size; i++)
        (void)fprintf(stderr, "%02x", script.bytes[i]);
    (void)fputc('\n', stderr);
    give_up(what, detail);
}

static void same_outcome(const char *what, const struct outcome *there)
{
    static char said[1u << 18];
    const char *here = contract_host_said(&h);
    const struct weir_contract_buffer *answer = &h.result.answer;
    bool has_answer = there->error.is_none;
    const struct vm_vector *text = has_answer ? &there->answer : &there->error;
    (void)snprintf(said, sizeof said, "%.*s", (int)text->size, (const char *)text->data);
    uint64_t gas = there->gas.limit - there->gas.remaining;
    if (has_answer && h.result.outcome != WEIR_CONTRACT_FAILED &&
        (text->size != answer->size || memcmp(text->data, answer->data, answer->size) != 0))
        different(what, "the answers' bytes differ");
    if (h.result.is_out_of_gas && !has_answer) {
        if (strstr(said, "ut of gas") == NULL)
            give_up(what, said);
    } else if (has_answer != (h.result.outcome != WEIR_CONTRACT_FAILED) ||
               strcmp(has_answer ? said : said + strlen("Error calling the VM: "), here) != 0) {
        (void)fprintf(stderr, "here:  %s\nthere: %s\n", here, said);
        different(what, "the answers differ");
    }
    bool is_same_work = vm.cursor_count > 0 || there->gas.external == h.result.gas_external;
    if (gas != h.result.gas_used || !is_same_work) {
        (void)fprintf(stderr, "here:  %llu, external %llu\nthere: %llu, external %llu\n",
                      (unsigned long long)h.result.gas_used,
                      (unsigned long long)h.result.gas_external, (unsigned long long)gas,
                      (unsigned long long)there->gas.external);
        different(what, "the gas differs");
    }
}

/* libwasmvm's caller rolls back what a call without an ok has written; here nothing stays. */
static void roll_back(struct pair *saved, size_t count)
{
    while (vm.count > 0)
        drop_pair(vm.count - 1);
    memcpy(vm.pairs, saved, count * sizeof *saved);
    vm.count = count;
}

/* Once here and there, from the same storage; what it changes is kept or not. */
static void once(enum weir_contract_entry entry, const char *sender, const char *funds,
                 struct vm_view message, bool is_kept)
{
    static struct pair saved[PAIRS_MAX];
    char env[2048], info[2048], what[256];
    size_t count = vm.count;
    (void)snprintf(what, sizeof what, "call %zu, gas %llu, %s %.*s", calls,
                   (unsigned long long)h.gas_limit, weir_contract_entry_name(entry),
                   message.size < 200 ? (int)message.size : 0, (const char *)message.data);
    for (size_t i = 0; i < count; i++)
        saved[i] = (struct pair){copy(vm.pairs[i].key, vm.pairs[i].key_size),
                                 copy(vm.pairs[i].value, vm.pairs[i].value_size),
                                 vm.pairs[i].key_size, vm.pairs[i].value_size};
    (void)snprintf(env, sizeof env,
                   "{\"block\":{\"height\":12345,\"time\":\"1571797419879305533\",\"chain_id\":"
                   "\"cosmos-testnet-14002\"},\"transaction\":{\"index\":3,\"hash\":"
                   "\"5UadrOwXzviiYP03Z17Yfn+2orWtlRk8UTCABsfklLM=\"},\"contract\":{\"address\":"
                   "\"%s\"}}",
                   h.contract.text);
    (void)snprintf(info, sizeof info, "{\"sender\":\"%s\",\"funds\":[%s]}", sender, funds);
    contract_host_renew(&h); /* a fresh instance, as libwasmvm takes */
    if (h.storage.begin(h.storage.context, NULL) != WEIR_OK)
        give_up(what, "no snapshot");
    (void)contract_host_message(&h, entry, sender, funds,
                                (struct weir_contract_bytes){message.data, message.size});
    if (h.storage.end(h.storage.context, is_kept, NULL) != WEIR_OK)
        give_up(what, "no end of the snapshot");
    struct outcome there = call_library(entry, env, info, message);
    same_outcome(what, &there);
    if (is_kept && h.result.outcome == WEIR_CONTRACT_ANSWERED) {
        for (size_t i = 0; i < count; i++) {
            free(saved[i].key);
            free(saved[i].value);
        }
    } else {
        roll_back(saved, count);
    }
    same_storage(what);
    if (!there.answer.is_none)
        vm.free_vector(there.answer);
    if (!there.error.is_none)
        vm.free_vector(there.error);
    calls++;
}

/* With all that the call costs, one unit less, and some part of it. */
static void at_limits(enum weir_contract_entry entry, const char *sender, const char *funds,
                      struct vm_view message)
{
    enum weir_contract_outcome outcome = h.result.outcome;
    uint64_t whole = h.gas_limit, used = h.result.gas_used;
    if (used > 0) {
        h.gas_limit = used - 1;
        once(entry, sender, funds, message, false);
        if (!h.result.is_out_of_gas)
            different("a call with one unit less than it costs", "goes through");
        h.gas_limit = used / 10007 * (calls * 7919 % 10007);
        once(entry, sender, funds, message, false);
    }
    h.gas_limit = used;
    once(entry, sender, funds, message, true);
    if (h.result.outcome != outcome || h.result.is_out_of_gas || h.result.gas_used != used)
        different("a call with the gas that it costs", "ends otherwise");
    h.gas_limit = whole;
}

void both_bytes(enum weir_contract_entry entry, const char *sender, const char *funds,
                const void *message, size_t size)
{
    once(entry, sender, funds, view(message, size), !peer_tries_limits);
    if (peer_tries_limits && !h.result.is_out_of_gas)
        at_limits(entry, sender, funds, view(message, size));
}

static void both(enum weir_contract_entry entry, const char *sender, const char *funds,
                 const char *message)
{
    both_bytes(entry, sender, funds, message, strlen(message));
}

/* The text inside of a query's answer. */
static const char *answered(void)
{
    static struct weir_contract_buffer plain;
    plain.account = weir_account_host();
    plain.size = 0;
    json_t *outer = json_loads(contract_host_said(&h), 0, NULL);
    const char *text = json_string_value(json_object_get(outer, "ok"));
    if (text == NULL || weir_base64_read(text, strlen(text), &plain, NULL) != WEIR_OK ||
        weir_contract_append(&plain, "", 1, NULL) != WEIR_OK)
        give_up("a query's answer", contract_host_said(&h));
    json_decref(outer);
    return (const char *)plain.data;
}

/* --- what is called -------------------------------------------------------------------------- */

static void test_hackatom(const char *file, bool is_new)
{
    char message[2048];
    load(file);
    (void)snprintf(message, sizeof message, "{\"verifier\": \"%s\", \"beneficiary\": \"%s\"}",
                   h.verifier.text, h.beneficiary.text);
    both(WEIR_CONTRACT_instantiate, h.creator.text, "{\"denom\":\"earth\",\"amount\":\"1000\"}",
         message);
    both(WEIR_CONTRACT_instantiate, h.creator.text, "", "{\"verifier\":\"x\"}");
    both(WEIR_CONTRACT_instantiate, h.creator.text, "",
         "{\"verifier\":\"x\",\"beneficiary\":\"y\"}");
    both(WEIR_CONTRACT_query, "", "", "{\"verifier\":{}}");
    both(WEIR_CONTRACT_query, "", "", "{\"get_int\":{}}");
    both(WEIR_CONTRACT_query, "", "", "{\"recurse\":{\"depth\":0,\"work\":10}}");
    both(WEIR_CONTRACT_query, "", "", "no json");
    const char *release = is_new ? "{\"release\":{\"denom\":\"earth\"}}" : "{\"release\":{}}";
    both(WEIR_CONTRACT_execute, h.verifier.text, "", release);
    both(WEIR_CONTRACT_execute, h.creator.text, "", release);
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"panic\":{}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"allocate_large_memory\":{\"pages\":48}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"allocate_large_memory\":{\"pages\":1600}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"user_errors_in_api_calls\":{}}");
    both(WEIR_CONTRACT_sudo, "", "",
         "{\"steal_funds\":{\"recipient\":\"r\",\"amount\":[{\"denom\":\"gold\",\"amount\":"
         "\"700\"}]}}");
    h.gas_limit = 2000000000;
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"cpu_loop\":{}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"storage_loop\":{}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"memory_loop\":{}}");
}

static void test_cyberpunk(const char *file)
{
    load(file);
    both(WEIR_CONTRACT_instantiate, h.creator.text, "", "{}");
    both(WEIR_CONTRACT_execute, h.creator.text, "",
         "{\"argon2\":{\"mem_cost\":256,\"time_cost\":3}}");
    both(WEIR_CONTRACT_query, "", "", "{\"mirror_env\":{}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"panic\":{}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"unreachable\":{}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"debug\":{}}");
    both(WEIR_CONTRACT_execute, h.creator.text, "", "{\"noop\":{}}");
    both(WEIR_CONTRACT_query, "", "", "{\"cpu_loop\":{}}");
}

static void test_queue(void)
{
    load("queue.wasm");
    both(WEIR_CONTRACT_instantiate, h.creator.text, "", "{}");
    for (int i = 0; i < 12; i++) {
        char message[64];
        (void)snprintf(message, sizeof message, "{\"enqueue\":{\"value\":%d}}", 100 - 7 * i);
        both(WEIR_CONTRACT_execute, h.creator.text, "", i % 4 == 3 ? "{\"dequeue\":{}}" : message);
        both(WEIR_CONTRACT_query, "", "", "{\"reducer\":{}}");
    }
    both(WEIR_CONTRACT_query, "", "", "{\"count\":{}}");
    both(WEIR_CONTRACT_query, "", "", "{\"sum\":{}}");
    both(WEIR_CONTRACT_query, "", "", "{\"list\":{}}");
    both(WEIR_CONTRACT_query, "", "", "{\"list_range\":{}}");
    both(WEIR_CONTRACT_query, "", "", "{\"open_iterators\":{\"count\":30}}");
}

static void test_ibc(void)
{
    load("ibc_reflect.wasm");
    both(WEIR_CONTRACT_instantiate, h.creator.text, "", "{\"reflect_code_id\":17}");
    both(WEIR_CONTRACT_ibc_channel_open, "", "",
         "{\"open_init\":{\"channel\":{\"endpoint\":{\"port_id\":\"p\",\"channel_id\":\"c\"},"
         "\"counterparty_endpoint\":{\"port_id\":\"q\",\"channel_id\":\"d\"},\"order\":"
         "\"ORDER_UNORDERED\",\"version\":\"ibc-reflect-v1\",\"connection_id\":\"k\"}}}");
    both(WEIR_CONTRACT_query, "", "", "{\"list_accounts\":{}}");
}

/* Every instruction on floats, with the contract's own odd numbers: NaNs by their bits. */
static void test_floats(int seeds)
{
    load("floaty_2.0.wasm");
    both(WEIR_CONTRACT_instantiate, h.creator.text, "", "{}");
    both(WEIR_CONTRACT_query, "", "", "{\"instructions\":{}}");
    json_t *instructions = json_loads(answered(), 0, NULL);
    size_t i;
    json_t *name;
    json_array_foreach(instructions, i, name)
    {
        char message[1024];
        const char *text = json_string_value(name);
        for (int seed = 0; seed < seeds; seed++) {
            (void)snprintf(message, sizeof message,
                           "{\"random_args_for\":{\"instruction\":\"%s\",\"seed\":%d}}", text,
                           seed);
            both(WEIR_CONTRACT_query, "", "", message);
            /* The numbers as they are: some are too large for a JSON reader. */
            (void)snprintf(message, sizeof message,
                           "{\"run\":{\"instruction\":\"%s\",\"args\":%s}}", text, answered());
            both(WEIR_CONTRACT_query, "", "", message);
        }
    }
    if (i < 60)
        give_up("floaty", "fewer instructions than there should be");
    json_decref(instructions);
}

/* --- all -------------------------------------------------------------------------------------- */

/* A module that one side refuses the other refuses, too, in the same words where they are about
 * what a contract must be; what is wrong with its code both decoders say in their own. */
static void same_verdict(const char *path, const uint8_t *wasm, size_t size)
{
    static const char RULE[] = "Error during static Wasm validation: Wasm contract";
    struct vm_vector error = {.is_none = true};
    struct weir_contract_code *code = NULL;
    struct weir_error ours = {0};
    vm_store *store;
    find("store_code", &store);
    struct vm_vector checksum = store(vm.cache, view(wasm, size), true, true, &error);
    enum weir_status status =
        weir_contract_code_new(h.vm, (struct weir_contract_bytes){wasm, size}, &code, &ours);
    const char *said = ours.details != NULL ? ours.details->text : ours.message;
    size_t prefix = strlen("Error calling the VM: ");
    bool is_taken = !checksum.is_none && checksum.size == sizeof vm.checksum;
    if ((status == WEIR_OK) != is_taken)
        give_up(path, status == WEIR_OK ? "refused there alone" : said);
    bool is_told = status != WEIR_OK && strncmp(said, RULE, strlen(RULE)) == 0 &&
                   memchr(error.data, 0, error.size) == NULL; /* here it is shown as \\0 */
    if (is_told && (error.size != prefix + strlen(said) ||
                    memcmp(error.data + prefix, said, strlen(said)) != 0)) {
        (void)fprintf(stderr, "here:  %s\nthere: %.*s\n", said, (int)error.size,
                      (const char *)error.data);
        give_up(path, "another reason");
    }
    if (!checksum.is_none)
        vm.free_vector(checksum);
    if (!error.is_none)
        vm.free_vector(error);
    weir_contract_code_free(code);
    weir_error_done(&ours);
}

/* One byte, or two, of a module that is right. */
static void spoilt_verdicts(size_t count)
{
    static const uint8_t ODD[] = {0, 1, 2, 0x40, 0x7f, 0x80, 0xfe, 0xff};
    char what[64];
    size_t size;
    uint8_t *wasm = contract_host_read("script.wasm", &size);
    uint64_t random = 1;
    for (size_t i = 0; i < count; i++) {
        uint8_t *made = copy(wasm, size);
        for (size_t k = 0; k <= i % 4 / 3; k++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            made[(random >> 33) % size] = ODD[random >> 61];
        }
        (void)snprintf(what, sizeof what, "script.wasm, spoilt %zu", i);
        same_verdict(what, made, size);
        free(made);
    }
    free(wasm);
}

static void test_verdicts(void)
{
    char folder[1024];
    const struct dirent *entry;
    size_t count = 0;
    (void)snprintf(folder, sizeof folder, "%s", getenv("WEIR_CONTRACTS"));
    DIR *files = opendir(folder);
    if (files == NULL)
        give_up("cannot open", folder);
    while ((entry = readdir(files)) != NULL) {
        if (strstr(entry->d_name, ".wasm") == NULL)
            continue;
        size_t size;
        uint8_t *wasm = contract_host_read(entry->d_name, &size);
        same_verdict(entry->d_name, wasm, size);
        free(wasm);
        count++;
    }
    (void)closedir(files);
    spoilt_verdicts(400);
    printf("%zu modules and 400 spoilt ones: the same verdicts\n", count);
}

static char **arguments;

START_TEST(calls_agree)
{
    open_library(arguments[1], arguments[2]);
    contract_host_open(&h, NULL);
    test_verdicts();
    peer_tries_limits = true;
    test_hackatom("hackatom.wasm", true);
    test_hackatom("hackatom_1.3.wasm", true);
    test_hackatom("hackatom_1.0.wasm", false);
    test_cyberpunk("cyberpunk.wasm");
    test_cyberpunk("cyberpunk_rust170.wasm");
    test_queue();
    test_ibc();
    test_scripts("script.wasm", 1, 1500);
    test_iterators("script.wasm", 1, 500);
    peer_tries_limits = false;
    test_floats(20);
    test_vectors("script.wasm", arguments[3]);
    contract_host_close(&h);
    printf("%zu calls: the same answers, gas and storage\n", calls);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 4)
        give_up("usage", "contract_peer LIBRARY CACHE_DIR VECTORS");
    arguments = argv;
    Suite *suite = suite_create("beside libwasmvm");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, calls_agree);
    suite_add_tcase(suite, tests);
    return run_suite_unforked(suite);
}
