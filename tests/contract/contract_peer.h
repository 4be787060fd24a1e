/* What the two files of contract_peer share. */
#ifndef WEIR_TEST_CONTRACT_PEER_H
#define WEIR_TEST_CONTRACT_PEER_H

#include "tests/contract/contract_host.h"
#include "tests/unit/contract/contract_script.h"

extern struct contract_host h;
extern struct script script; /* printed when something differs */
/* Each call is made again with just the gas that it costs, with one unit less, and with a part. */
extern bool peer_tries_limits;

_Noreturn void give_up(const char *what, const char *detail);
/* The same contract on both sides, without storage. */
void load(const char *file);
void both_bytes(enum weir_contract_entry entry, const char *sender, const char *funds,
                const void *message, size_t size);

/* Any function with any argument; iterators between writes; vectors of signatures. */
void test_scripts(const char *file, uint64_t first, int count);
void test_iterators(const char *file, uint64_t first, int count);
void test_vectors(const char *file, const char *path);

#endif
