/* See canister_fixture.h. */
#include "tests/unit/canister/canister_fixture.h"

#include <stdlib.h>
#include <string.h>

struct weir_engine *canister_engine(void)
{
    struct weir_engine_config config = {0};
    struct weir_engine *engine = NULL;
    weir_canister_engine_config(&config);
    ck_assert_int_eq(weir_engine_new(&config, &engine, NULL), WEIR_OK);
    return engine;
}

struct weir_canister *canister_make(struct weir_engine *engine,
                                    const struct weir_canister_config *config)
{
    static const struct weir_canister_config plain = {.name = "plain"};
    struct weir_canister *canister = NULL;
    struct weir_error error = {0};
    enum weir_status status =
        weir_canister_new(engine, config != NULL ? config : &plain, &canister, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return canister;
}

struct weir_canister_response canister_code(struct weir_canister *canister,
                                            enum weir_canister_mode mode, const uint8_t *module,
                                            size_t size, uint32_t arg)
{
    const struct weir_canister_code code = {.mode = mode,
                                            .module = module,
                                            .module_size = size,
                                            .arg = (const uint8_t *)&arg,
                                            .arg_size = sizeof arg};
    struct weir_canister_response response = {0};
    struct weir_error error = {0};
    enum weir_status status = weir_canister_install(canister, &code, &response, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return response;
}

static struct weir_canister_response
send_message(struct weir_canister *canister, const struct weir_canister_call *call, bool is_update)
{
    struct weir_canister_response response = {0};
    struct weir_error error = {0};
    enum weir_status status = is_update ? weir_canister_update(canister, call, &response, &error)
                                        : weir_canister_query(canister, call, &response, &error);
    ck_assert_msg(status == WEIR_OK, "%s: %s", call->method, error.message);
    return response;
}

struct weir_canister_response canister_update(struct weir_canister *canister, const char *method,
                                              const void *arg, size_t size)
{
    const struct weir_canister_call call = {.method = method, .arg = arg, .arg_size = size};
    return send_message(canister, &call, true);
}

struct weir_canister_response canister_query(struct weir_canister *canister, const char *method,
                                             const void *arg, size_t size)
{
    const struct weir_canister_call call = {.method = method, .arg = arg, .arg_size = size};
    return send_message(canister, &call, false);
}

void canister_replied(struct weir_canister_response response)
{
    ck_assert_msg(response.code == WEIR_CANISTER_REPLIED, "%.*s", (int)response.size,
                  (const char *)response.bytes);
    weir_canister_response_done(&response);
}

void canister_rejected(struct weir_canister_response response, enum weir_canister_reject code,
                       const char *text)
{
    ck_assert_int_eq(response.code, code);
    ck_assert_ptr_nonnull(response.bytes);
    ck_assert_msg(strstr((const char *)response.bytes, text) != NULL, "%s",
                  (const char *)response.bytes);
    weir_canister_response_done(&response);
}

struct plain_state canister_look(struct weir_canister *canister)
{
    struct plain_state state;
    struct weir_canister_response response = canister_query(canister, "look", NULL, 0);
    ck_assert_int_eq(response.code, WEIR_CANISTER_REPLIED);
    ck_assert_uint_eq(response.size, sizeof state);
    memcpy(&state, response.bytes, sizeof state);
    weir_canister_response_done(&response);
    return state;
}

void canister_expect(struct weir_canister *canister, struct plain_state wanted)
{
    struct plain_state have = canister_look(canister);
    ck_assert_uint_eq(have.memory, wanted.memory);
    ck_assert_uint_eq(have.global, wanted.global);
    ck_assert_uint_eq(have.element, wanted.element);
    ck_assert_uint_eq(have.stable_pages, wanted.stable_pages);
    ck_assert_uint_eq(have.stable, wanted.stable);
}

static enum weir_status write_stream(void *context, const void *bytes, size_t size,
                                     struct weir_error *error)
{
    struct canister_stream *stream = context;
    (void)error;
    if (stream->size + size > stream->capacity) {
        stream->capacity = (stream->size + size) * 2;
        stream->bytes = realloc(stream->bytes, stream->capacity);
        ck_assert_ptr_nonnull(stream->bytes);
    }
    if (size > 0)
        memcpy(stream->bytes + stream->size, bytes, size);
    stream->size += size;
    return WEIR_OK;
}

static enum weir_status read_stream(void *context, void *to, size_t size, struct weir_error *error)
{
    struct canister_stream *stream = context;
    if (stream->size - stream->at < size)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET, "it ends early");
    memcpy(to, stream->bytes + stream->at, size);
    stream->at += size;
    return WEIR_OK;
}

struct weir_image_writer canister_writer(struct canister_stream *stream)
{
    return (struct weir_image_writer){write_stream, stream};
}

struct weir_image_reader canister_reader(struct canister_stream *stream)
{
    return (struct weir_image_reader){read_stream, stream};
}
