/* What the canister world's tests share: an engine, a canister over plain.wat, calls by name. */
#ifndef WEIR_TEST_CANISTER_FIXTURE_H
#define WEIR_TEST_CANISTER_FIXTURE_H

#include <check.h>

#include "worlds/canister/canister.h"

/* The state that plain.wat's `look` tells. */
struct plain_state {
    uint32_t memory, global, element, stable_pages, stable;
};

struct weir_engine *canister_engine(void);
struct weir_canister *canister_make(struct weir_engine *engine,
                                    const struct weir_canister_config *config);
/* Installs, upgrades ... with an argument of 32 bits; fails the test on a host's error. */
struct weir_canister_response canister_code(struct weir_canister *canister,
                                            enum weir_canister_mode mode, const uint8_t *module,
                                            size_t size, uint32_t arg);
struct weir_canister_response canister_update(struct weir_canister *canister, const char *method,
                                              const void *arg, size_t size);
struct weir_canister_response canister_query(struct weir_canister *canister, const char *method,
                                             const void *arg, size_t size);
/* Fails the test unless it is a reply; releases it. */
void canister_replied(struct weir_canister_response response);
/* Fails the test unless it is this reject and its text has `text` in it; releases it. */
void canister_rejected(struct weir_canister_response response, enum weir_canister_reject code,
                       const char *text);
struct plain_state canister_look(struct weir_canister *canister);
void canister_expect(struct weir_canister *canister, struct plain_state wanted);

struct canister_stream {
    uint8_t *bytes;
    size_t size, capacity, at;
};
struct weir_image_writer canister_writer(struct canister_stream *stream);
struct weir_image_reader canister_reader(struct canister_stream *stream);

#endif
