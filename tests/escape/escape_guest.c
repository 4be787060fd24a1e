/* See escape_guest.h. */
#include "tests/escape/escape_guest.h"

#include "exhaust_wasm.h"

static enum weir_status host(struct weir_caller *caller, void *data, const union weir_value *args,
                             union weir_value *results)
{
    struct escape_guest *guest = data;
    int32_t result = args[0].i32;
    ck_assert_uint_eq((uintptr_t)__builtin_frame_address(0) % 16, 0);
    enum weir_status status =
        guest->host != NULL ? guest->host(guest, caller, args[0].i32, &result) : WEIR_OK;
    results[0].i32 = result;
    return status;
}

void escape_guest_init(struct escape_guest *guest, const struct weir_engine_config *config)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const struct weir_func_type type = {i32, 1, i32, 1};
    const struct weir_host_definition definition = {&type, host, guest};
    *guest = (struct escape_guest){0};
    guest->engine = fixture_engine(config);
    guest->module = fixture_module(guest->engine, config, exhaust_wasm, sizeof exhaust_wasm);
    ck_assert_int_eq(weir_linker_new(guest->engine, &guest->linker, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_define_func(guest->linker, "host", "call", &definition, NULL),
                     WEIR_OK);
    guest->store = fixture_store(guest->engine);
    guest->instance = fixture_instance(guest->store, guest->linker, guest->module);
}

void escape_guest_done(struct escape_guest *guest)
{
    struct weir_receipt receipt = {0};
    weir_store_close(guest->store, &receipt);
    ck_assert(receipt.drained);
    weir_receipt_done(&receipt);
    weir_linker_free(guest->linker);
    weir_module_unref(guest->module);
    weir_engine_unref(guest->engine);
}
