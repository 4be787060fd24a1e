/* A contract that lies: regions out of bounds, allocators that loop, trap, recurse or hand out
 * nonsense, iterators that do not exist, answers that are none. Each call ends with upstream's
 * words, the host stays whole, and nothing is stored. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/contract/contract_host.h"
#include "tests/unit/contract/contract_script.h"

#include "contract_script_wasm.h"
#include "tests/run_suite.h"

#define TRAP "Error executing Wasm: Wasmer runtime error: RuntimeError: "
#define TALK "Error in guest/host communication: "

static struct contract_host h;
static struct script s;

static void open_host(void)
{
    contract_host_open(&h, NULL);
    contract_host_load(&h, contract_script_wasm, sizeof contract_script_wasm);
    s.size = 0;
}

static void close_host(void)
{
    contract_host_close(&h);
}

static enum weir_contract_outcome execute(void)
{
    return contract_host_send(&h, WEIR_CONTRACT_execute, s.bytes, s.size);
}

/* The i-th result of an answer. */
static uint64_t result(size_t i)
{
    uint64_t value;
    ck_assert_int_eq(h.result.outcome, WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_ge(h.result.answer.size, 6 + 8 * (i + 1));
    memcpy(&value, h.result.answer.data + 6 + 8 * i, sizeof value);
    return value;
}

/* --- regions --------------------------------------------------------------------------------- */

static const struct {
    uint32_t pointer; /* to the region that is read; 1024: the one below */
    uint32_t offset, capacity, length;
    const char *reason;
} REGIONS[] = {
    {1024, 0, 10, 10, TALK "Got an invalid region: Got a zero Wasm address in the offset"},
    {1024, 5000, 1, 2,
     TALK "Got an invalid region: Region length exceeds capacity. Length 2, capacity 1"},
    {1024, 5000, 0xffffffff, 0,
     TALK "Got an invalid region: Region exceeds address space. Offset 5000, capacity 4294967295"},
    {1024, 0xffffffff, 1, 1,
     TALK "Got an invalid region: Region exceeds address space. Offset 4294967295, capacity 1"},
    {1024, 0x7fffffff, 100, 100,
     TALK "Tried to access memory of region Region { offset: 2147483647, capacity: 100, length: "
          "100 } in Wasm memory of size 1114112 bytes. This typically happens when the given "
          "Region pointer does not point to a proper Region struct."},
    {1024, 1114112 - 4, 5, 5,
     TALK "Tried to access memory of region Region { offset: 1114108, capacity: 5, length: 5 } in "
          "Wasm memory of size 1114112 bytes. This typically happens when the given Region pointer "
          "does not point to a proper Region struct."},
    {1024, 4096, 65537, 65537, TALK "Region length too big. Got 65537, limit 65536"},
    {0xfffffff8, 0, 0, 0,
     TALK "The Wasm memory address 4294967288 provided by the contract could not be dereferenced: "
          "Could not dereference this pointer to a Region"},
    {1114112 - 8, 0, 0, 0,
     TALK "The Wasm memory address 1114104 provided by the contract could not be dereferenced: "
          "Could not dereference this pointer to a Region"},
};

START_TEST(regions_are_checked)
{
    char wanted[512];
    script_region(&s, 1024, REGIONS[_i].offset, REGIONS[_i].capacity, REGIONS[_i].length);
    script_call(&s, CALL_db_read, REGIONS[_i].pointer, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_FAILED);
    (void)snprintf(wanted, sizeof wanted, "%s%s", TRAP, REGIONS[_i].reason);
    contract_host_expect(&h, wanted);
}
END_TEST

/* The whole of what may be read can be read, to the last byte of memory. */
START_TEST(regions_may_be_full)
{
    script_region(&s, 1024, 1114112 - 65536, 65536, 65536);
    script_call(&s, CALL_db_read, 1024, 0, 0);
    script_region(&s, 1040, 1114112, 0, 0); /* nothing, at the very end */
    script_call(&s, CALL_db_read, 1040, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_eq(result(0), 0);
    ck_assert_uint_eq(result(1), 0);
}
END_TEST

/* A destination that is written over its own region: told where it was, nothing else is hit. */
START_TEST(destinations_are_checked)
{
    script_text(&s, 1024, "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp");
    script_region(&s, 1200, 1200, 32, 0);
    script_call(&s, CALL_addr_canonicalize, 1024, 1200, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_eq(result(0), 0);
    s.size = 0;
    script_text(&s, 1024, "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp");
    script_region(&s, 1200, 9000, 31, 0);
    script_call(&s, CALL_addr_canonicalize, 1024, 1200, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_FAILED);
    contract_host_expect(&h, TRAP TALK "Region too small. Got 31, required 32");
}
END_TEST

/* --- allocators ------------------------------------------------------------------------------ */

static const struct {
    enum script_mode mode;
    const char *reason;
} ALLOCATORS[] = {
    {MODE_READS_FIRST, TRAP TRAP "Maximum call depth exceeded."},
    {MODE_ZERO_OFFSET, TRAP TALK "Got an invalid region: Got a zero Wasm address in the offset"},
    {MODE_OUTSIDE, TRAP TALK
     "The Wasm memory address 4294967280 provided by the contract could not be dereferenced: Could "
     "not dereference this pointer to a Region"},
    {MODE_NULL, TRAP TALK "Got a zero Wasm address"},
    {MODE_TRAPS, TRAP TRAP "unreachable"},
    {MODE_LOOPS, "Ran out of gas during contract execution"},
    {MODE_TOO_SMALL, TRAP TALK "Region too small. Got 1, required 5"},
    {MODE_LENGTH, TRAP TALK
     "Got an invalid region: Region length exceeds capacity. Length 4294967295, capacity 5"},
};

START_TEST(allocators_are_not_trusted)
{
    h.gas_limit = 10000000000;
    script_text(&s, 1024, "key");
    script_text(&s, 1040, "value");
    script_call(&s, CALL_db_write, 1024, 1040, 0);
    script_step(&s, SCRIPT_MODE, ALLOCATORS[_i].mode);
    script_call(&s, CALL_db_read, 1024, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_FAILED);
    contract_host_expect(&h, ALLOCATORS[_i].reason);
    ck_assert_uint_eq(contract_host_pairs(&h), 0);
    ck_assert_int_eq(h.result.is_out_of_gas, ALLOCATORS[_i].mode == MODE_LOOPS);
    /* The same code serves the next call as if nothing had been. */
    contract_host_renew(&h);
    s.size = 0;
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
}
END_TEST

/* Data over its own region: the region is put back whole, as upstream does. */
START_TEST(allocator_may_overlap)
{
    script_text(&s, 1024, "key");
    script_text(&s, 1040, "a value that is longer than a region");
    script_call(&s, CALL_db_write, 1024, 1040, 0);
    script_step(&s, SCRIPT_MODE, MODE_OVERLAPS);
    script_call(&s, CALL_db_read, 1024, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_ne(result(0), 0);
    ck_assert_str_eq(contract_host_stored(&h, "key"), "a value that is longer than a region");
}
END_TEST

/* --- answers --------------------------------------------------------------------------------- */

static const struct {
    uint32_t pointer, offset, length;
    const char *reason;
} ANSWERS[] = {
    {0, 0, 0, TALK "Got an invalid region: Got a zero Wasm address in the offset"},
    {0xffffffff, 0, 0,
     TALK
     "The Wasm memory address 4294967295 provided by the contract could not be dereferenced: Could "
     "not dereference this pointer to a Region"},
    {1024, 4096, 64 << 20,
     TALK
     "Tried to access memory of region Region { offset: 4096, capacity: 67108864, length: 67108864 "
     "} in Wasm memory of size 1114112 bytes. This typically happens when the given Region pointer "
     "does not point to a proper Region struct."},
    {1024, 4096, (64 << 20) + 1, TALK "Region length too big. Got 67108865, limit 67108864"},
};

START_TEST(answers_are_checked)
{
    script_text(&s, 2048, "key");
    script_call(&s, CALL_db_write, 2048, 2048, 0);
    if (ANSWERS[_i].length > 0)
        script_region(&s, 1024, ANSWERS[_i].offset, ANSWERS[_i].length, ANSWERS[_i].length);
    script_step(&s, SCRIPT_ANSWER, ANSWERS[_i].pointer);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_FAILED);
    contract_host_expect(&h, ANSWERS[_i].reason);
    ck_assert_uint_eq(contract_host_pairs(&h), 0);
}
END_TEST

static const struct {
    const char *answer;
    enum weir_contract_outcome outcome;
} TEXTS[] = {
    {"{\"ok\":1}", WEIR_CONTRACT_ANSWERED},
    {" \n{ \"ok\" : {}}", WEIR_CONTRACT_ANSWERED},
    {"{\"error\":\"x\"}", WEIR_CONTRACT_REFUSED},
    {"", WEIR_CONTRACT_REFUSED},
    {"{", WEIR_CONTRACT_REFUSED},
    {"{\"o", WEIR_CONTRACT_REFUSED},
    {"[\"ok\"]", WEIR_CONTRACT_REFUSED},
    {"\"ok\"", WEIR_CONTRACT_REFUSED},
    {"{\"oks\":1}", WEIR_CONTRACT_REFUSED},
};

START_TEST(answers_decide_what_stays)
{
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        s.size = 0;
        script_text(&s, 2048, "key");
        script_call(&s, CALL_db_write, 2048, 2048, 0);
        script_text(&s, 1024, TEXTS[i].answer);
        script_step(&s, SCRIPT_ANSWER, 1024);
        ck_assert_int_eq(execute(), TEXTS[i].outcome);
        contract_host_expect(&h, TEXTS[i].answer);
        ck_assert_uint_eq(contract_host_pairs(&h), TEXTS[i].outcome == WEIR_CONTRACT_ANSWERED);
        s.size = 0;
        script_text(&s, 2048, "key");
        script_call(&s, CALL_db_remove, 2048, 0, 0);
        ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
        ck_assert_uint_eq(contract_host_pairs(&h), 0);
    }
}
END_TEST

START_TEST(exports_are_checked)
{
    ck_assert_int_eq(contract_host_send(&h, WEIR_CONTRACT_sudo, "", 0), WEIR_CONTRACT_FAILED);
    contract_host_expect(
        &h, "The called function args arity does not match. The contract's method arity: 4");
    ck_assert_int_eq(contract_host_send(&h, WEIR_CONTRACT_reply, "", 0), WEIR_CONTRACT_FAILED);
    ck_assert_int_eq(contract_host_send(&h, WEIR_CONTRACT_ibc2_packet_send, "", 0),
                     WEIR_CONTRACT_FAILED);
    contract_host_expect(&h, "Error resolving Wasm function: Could not get export: Missing export "
                             "ibc2_packet_send");
    ck_assert_int_eq(contract_host_send(&h, WEIR_CONTRACT_migrate, "", 0),
                     WEIR_CONTRACT_ANSWERED); /* of two arguments */
}
END_TEST

/* --- storage and iterators ------------------------------------------------------------------- */

static const struct {
    enum script_call call;
    uint32_t a, b, c;
    const char *reason;
} MISUSES[] = {
    {CALL_db_next, 1, 0, 0,
     "Error calling into the VM's backend: Iterator with ID 1 does not exist"},
    {CALL_db_next, 2, 0, 0,
     "Error calling into the VM's backend: Iterator with ID 2 does not exist"},
    {CALL_db_next_key, 0xffffffff, 0, 0,
     "Error calling into the VM's backend: Iterator with ID 4294967295 does not exist"},
    {CALL_db_next_value, 7, 0, 0,
     "Error calling into the VM's backend: Iterator with ID 7 does not exist"},
    {CALL_db_scan, 0, 0, 0, TALK "Got an invalid value for iteration order: 0"},
    {CALL_db_scan, 0, 0, 3, TALK "Got an invalid value for iteration order: 3"},
    {CALL_db_scan, 0, 0, 0xffffffff, TALK "Got an invalid value for iteration order: -1"},
    {CALL_db_write, 1040, 1024, 0,
     "Generic error: Key too big. Tried to write 65537 bytes to storage, limit is 65536."},
    {CALL_db_write, 1024, 1056, 0,
     "Generic error: Value too big. Tried to write 131073 bytes to storage, limit is 131072."},
    {CALL_bls12_381_aggregate_g1, 1024, 1024, 0,
     "bls12_381_aggregate_g1: this build has no arithmetic on BLS12-381"},
    {CALL_bls12_381_aggregate_g2, 1024, 1024, 0,
     "bls12_381_aggregate_g2: this build has no arithmetic on BLS12-381"},
    {CALL_bls12_381_pairing_equality, 1024, 1024, 1024,
     "bls12_381_pairing_equality: this build has no arithmetic on BLS12-381"},
    {CALL_bls12_381_hash_to_g1, 0, 1024, 1024,
     "bls12_381_hash_to_g1: this build has no arithmetic on BLS12-381"},
    {CALL_bls12_381_hash_to_g2, 0, 1024, 1024,
     "bls12_381_hash_to_g2: this build has no arithmetic on BLS12-381"},
    {CALL_ed25519_batch_verify, 1072, 1024, 1024,
     TALK "Got an invalid section: section length overflow"},
    {CALL_ed25519_batch_verify, 1024, 1024, 1024,
     TALK "Got an invalid section: extra data outside of any section"},
};

START_TEST(misuses_end_the_call)
{
    char wanted[512];
    script_text(&s, 1024, "key");
    script_region(&s, 1040, 4096, 65537, 65537);
    script_region(&s, 1056, 4096, 131073, 131073);
    script_bytes(&s, 1072, "\0\0\0\5", 4);
    script_call(&s, CALL_db_scan, 0, 0, 1);
    script_call(&s, MISUSES[_i].call, MISUSES[_i].a, MISUSES[_i].b, MISUSES[_i].c);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_FAILED);
    (void)snprintf(wanted, sizeof wanted, "%s%s", TRAP, MISUSES[_i].reason);
    contract_host_expect(&h, wanted);
}
END_TEST

START_TEST(queries_cannot_write)
{
    for (int i = 0; i < 2; i++) {
        s.size = 0;
        script_text(&s, 1024, "key");
        script_call(&s, i == 0 ? CALL_db_write : CALL_db_remove, 1024, 1024, 0);
        ck_assert_int_eq(contract_host_send(&h, WEIR_CONTRACT_query, s.bytes, s.size),
                         WEIR_CONTRACT_FAILED);
        contract_host_expect(&h, TRAP "Must not call a writing storage function in this context.");
        ck_assert_uint_eq(contract_host_pairs(&h), 0);
    }
}
END_TEST

/* What an iterator shows is what was there when it was opened: told by the gas for its pairs. */
START_TEST(iterators_show_what_was)
{
    script_text(&s, 1024, "a");
    script_text(&s, 1040, "b");
    script_text(&s, 1056, "longer");
    script_call(&s, CALL_db_write, 1024, 1024, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    s.size = 0;
    script_call(&s, CALL_db_scan, 0, 0, 1);
    script_call(&s, CALL_db_scan, 0, 0, 2);
    script_call(&s, CALL_db_write, 1040, 1040, 0); /* b is new to both */
    script_call(&s, CALL_db_remove, 1024, 0, 0);   /* a was there */
    script_call(&s, CALL_db_scan, 0, 0, 1);        /* sees b alone */
    script_call(&s, CALL_db_write, 1024, 1056, 0);
    for (uint32_t id = 0; id < 3; id++)
        for (int i = 0; i < 2; i++)
            script_call(&s, CALL_db_next_key, id, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    for (size_t i = 3; i < 9; i++)
        ck_assert_msg((result(i) != 0) == (i % 2 == 1), "step %zu", i);
    /* scans, ends; key and value of each write, key of what is removed */
    ck_assert_uint_eq(h.result.gas_external, 3 * 11 + 3 * 37 + 2 + 1 + 7);
    ck_assert_str_eq(contract_host_stored(&h, "a"), "longer");
}
END_TEST

/* 10,000 iterators at once; the 32,769th is refused; memory is given back. */
START_TEST(iterators_are_many_not_endless)
{
    script_text(&s, 1024, "a");
    script_text(&s, 1040, "b");
    script_call(&s, CALL_db_write, 1024, 1024, 0);
    script_call(&s, CALL_db_write, 1040, 1040, 0);
    script_repeat(&s, 10000, CALL_db_scan, 0, 0, 1);
    script_call(&s, CALL_db_next_key, 9999, 0, 0);
    script_call(&s, CALL_db_next_key, 9999, 0, 0);
    script_call(&s, CALL_db_next_key, 9999, 0, 0);
    script_call(&s, CALL_db_next_key, 0, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_eq(h.result.gas_external, 4 + 10000 * 11 + 37);
    s.size = 0;
    h.gas_limit = UINT64_C(1) << 50;
    script_repeat(&s, 32769, CALL_db_scan, 0, 0, 1);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_FAILED);
    contract_host_expect(&h, TRAP "Error calling into the VM's backend: Unknown error during call "
                                  "into backend: Reached iterator limit (32768)");
}
END_TEST

/* With bounds of 64 KiB each they meet the store's limit: the host's refusal, not a crash. */
START_TEST(iterators_pay_for_their_bounds)
{
    struct weir_error error = {0};
    struct weir_contract_result none;
    h.gas_limit = UINT64_C(1) << 50;
    script_region(&s, 1024, 4096, 65536, 65536);
    script_repeat(&s, 32768, CALL_db_scan, 1024, 1024, 1);
    const struct weir_contract_call call = {
        .entry = WEIR_CONTRACT_execute, .message = {s.bytes, s.size}, .gas_limit = h.gas_limit};
    ck_assert_int_eq(weir_contract_run_call(h.run, &call, &none, &error), WEIR_LIMIT);
    ck_assert_msg(error.message[0] != 0, "no reason");
    weir_error_done(&error);
}
END_TEST

/* --- gas at its limit --------------------------------------------------------------------------
 */

/* Every function that a script can call and go on, iterators among writes. */
static void every_function(void)
{
    static const uint8_t ZEROS[64] = {0};
    script_text(&s, 1024, "key");
    script_text(&s, 1040, "value");
    script_text(&s, 1072, "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp");
    script_region(&s, 1200, 9000, 80, 0);
    script_region(&s, 1264, 9000, 80, 0);
    script_bytes(&s, 1232, ZEROS, 64);
    script_bytes(&s, 1312, ZEROS, 32);
    script_call(&s, CALL_db_scan, 0, 0, 1);
    script_call(&s, CALL_db_write, 1024, 1040, 0);
    script_call(&s, CALL_db_scan, 1024, 0, 2);
    script_call(&s, CALL_db_read, 1024, 0, 0);
    script_call(&s, CALL_db_remove, 1024, 0, 0);
    script_call(&s, CALL_db_write, 1040, 1024, 0);
    for (uint32_t id = 0; id < 2; id++)
        for (uint32_t i = 0; i < 2; i++)
            script_call(&s, (enum script_call)(CALL_db_next + i), id, 0, 0);
    script_call(&s, CALL_db_next_value, 1, 0, 0);
    script_call(&s, CALL_addr_validate, 1072, 0, 0);
    script_call(&s, CALL_addr_canonicalize, 1072, 1200, 0);
    script_call(&s, CALL_addr_humanize, 1312, 1200, 0);
    script_call(&s, CALL_secp256k1_verify, 1312, 1232, 1312);
    script_call(&s, CALL_secp256k1_recover_pubkey, 1312, 1232, 0);
    script_call(&s, CALL_secp256r1_verify, 1312, 1232, 1312);
    script_call(&s, CALL_secp256r1_recover_pubkey, 1312, 1232, 0);
    script_call(&s, CALL_ed25519_verify, 1024, 1232, 1312);
    script_call(&s, CALL_ed25519_batch_verify, 1264, 1264, 1264);
    script_call(&s, CALL_query_chain, 1040, 0, 0);
    script_call(&s, CALL_debug, 1024, 0, 0);
}

static bool has_gas(uint64_t limit)
{
    contract_host_renew(&h);
    h.gas_limit = limit;
    ck_assert_int_eq(h.storage.begin(h.storage.context, NULL), WEIR_OK);
    bool is_answered = execute() == WEIR_CONTRACT_ANSWERED;
    /* Without an answer nothing is left already. */
    ck_assert_uint_eq(contract_host_pairs(&h), is_answered);
    ck_assert_int_eq(h.storage.end(h.storage.context, false, NULL), WEIR_OK);
    ck_assert_int_eq(is_answered, !h.result.is_out_of_gas);
    ck_assert_uint_eq(h.result.gas_used, is_answered ? h.result.gas_used : limit);
    return is_answered;
}

/* What a call costs is enough, one unit less is not: of the whole, and after each function in turn,
 * so that the last unit is missing in each. */
START_TEST(gas_is_enough_or_not)
{
    every_function();
    size_t whole = s.size;
    unsigned calls = 0;
    for (size_t size = whole - 17; s.bytes[size] <= CALL_db_next_value; size -= 17) {
        s.size = size + 17;
        ck_assert(has_gas(UINT64_C(10000000000)));
        uint64_t used = h.result.gas_used;
        for (uint64_t less = 1; less < 400000; less = less * 3 + 1)
            ck_assert(!has_gas(used - less));
        ck_assert(has_gas(used));
        ck_assert_uint_eq(h.result.gas_used, used);
        calls++;
        if (calls == 16)
            break; /* the first steps write nothing yet */
    }
    ck_assert_uint_eq(calls, 16);
}
END_TEST

/* --- what is kept of talk -------------------------------------------------------------------- */

START_TEST(talk_is_bounded)
{
    script_text(&s, 1024, "hello");
    script_repeat(&s, 20000, CALL_debug, 1024, 0, 0);
    script_region(&s, 1040, 4096, 1 << 20, 1 << 20);
    script_call(&s, CALL_debug, 1040, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_le(h.result.debug.size, 64 << 10);
    ck_assert_uint_eq(h.result.debug.size % 6, 0);
    ck_assert_uint_eq(h.result.debug.size / 6 + h.result.debug_left_out, 20001);
    s.size = 0;
    script_region(&s, 1024, 4096, 1 << 20, 1 << 20);
    script_call(&s, CALL_abort, 1024, 0, 0);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_FAILED);
    ck_assert_uint_le(h.result.reason.size, 8 << 10);
    ck_assert_int_eq(memcmp(h.result.reason.data, TRAP "Aborted: ", strlen(TRAP "Aborted: ")), 0);
}
END_TEST

/* Memory up to its limit, and not a page more. */
START_TEST(memory_has_a_limit)
{
    script_step(&s, SCRIPT_GROW, 512 - 17);
    script_step(&s, SCRIPT_GROW, 1);
    script_step(&s, SCRIPT_GROW, 0xffffffff);
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_eq(result(0), 17);
    ck_assert_uint_eq(result(1), 0xffffffff);
    ck_assert_uint_eq(result(2), 0xffffffff);
    ck_assert_uint_eq(h.result.peak_pages, 512);
    contract_host_renew(&h);
    s.size = 0;
    ck_assert_int_eq(execute(), WEIR_CONTRACT_ANSWERED);
    ck_assert_uint_eq(h.result.peak_pages, 17);
}
END_TEST

#define COUNT(list) (int)(sizeof(list) / sizeof(list)[0])

int main(void)
{
    Suite *suite = suite_create("hostile contracts");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, open_host, close_host);
    tcase_add_loop_test(tests, regions_are_checked, 0, COUNT(REGIONS));
    tcase_add_test(tests, regions_may_be_full);
    tcase_add_test(tests, destinations_are_checked);
    tcase_add_loop_test(tests, allocators_are_not_trusted, 0, COUNT(ALLOCATORS));
    tcase_add_test(tests, allocator_may_overlap);
    tcase_add_loop_test(tests, answers_are_checked, 0, COUNT(ANSWERS));
    tcase_add_test(tests, answers_decide_what_stays);
    tcase_add_test(tests, exports_are_checked);
    tcase_add_loop_test(tests, misuses_end_the_call, 0, COUNT(MISUSES));
    tcase_add_test(tests, queries_cannot_write);
    tcase_add_test(tests, iterators_show_what_was);
    tcase_add_test(tests, iterators_are_many_not_endless);
    tcase_add_test(tests, iterators_pay_for_their_bounds);
    tcase_add_test(tests, gas_is_enough_or_not);
    tcase_add_test(tests, talk_is_bounded);
    tcase_add_test(tests, memory_has_a_limit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
