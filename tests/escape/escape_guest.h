/* One instance of exhaust.wat and its imported host function, for the tests of stacks and of
 * endless guests. */
#ifndef WEIR_TEST_ESCAPE_GUEST_H
#define WEIR_TEST_ESCAPE_GUEST_H

#include "tests/unit/runtime/runtime_fixture.h"

struct escape_guest {
    struct weir_engine *engine;
    struct weir_module *module;
    struct weir_linker *linker;
    struct weir_store *store;
    struct weir_instance *instance;
    enum weir_status (*host)(struct escape_guest *guest, struct weir_caller *caller,
                             int32_t argument, int32_t *ret_result);
};

/* `config` NULL: defaults. */
void escape_guest_init(struct escape_guest *guest, const struct weir_engine_config *config);
void escape_guest_done(struct escape_guest *guest);

#endif
