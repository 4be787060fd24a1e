/* What a hostile plugin may ask of the host: any functions of the ABI with any arguments over any
 * memory, in every callback of an exchange, with an allocator that refuses, lies, traps, overlaps
 * or calls back. Whatever it does ends in answers or in its own end, and nothing stays charged.
 *
 * An input is: allocator, what callbacks answer, number of calls; per call the function and a byte
 * for each argument; what is left lies in the plugin's memory, and is a body and a call's answer.
 */
#include "base/check.h"
#include "filter_script_wasm.h"
#include "tests/unit/filter/filter_case.h"
#include "tests/unit/filter/filter_script.h"
#include "worlds/filter/filter_internal.h"

#include <string.h>

#define OUT (SCRIPT_DATA + 8192u)

static struct filter_case c;

struct input {
    const uint8_t *bytes;
    size_t size;
};

static uint8_t next(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->bytes++;
}

/* Numbers, places in the data, places for answers, and what lies at edges. */
static uint32_t argument(uint8_t byte)
{
    static const uint32_t edges[] = {
        UINT32_MAX,        INT32_MAX,         UINT32_C(1) << 31, SCRIPT_MEMORY,
        SCRIPT_MEMORY - 1, SCRIPT_MEMORY - 4, SCRIPT_MEMORY - 8, SCRIPT_MEMORY + 1,
        SCRIPT_HEAD,       SCRIPT_RECORDS,    SCRIPT_HEAP,       UINT32_MAX - 15,
        1u << 20,          (1u << 20) + 1,    (16u << 20) + 1,   4097};
    if (byte < 64)
        return byte;
    if (byte < 128)
        return SCRIPT_DATA + (byte - 64) * 8u;
    if (byte < 160)
        return OUT + (byte - 128) * 4u;
    return byte < 224 ? byte : edges[byte % 16];
}

static void put(uint32_t at, const void *from, size_t size)
{
    enum weir_status status = weir_memory_write(c.vm->memory, at, from, size);
    WEIR_ASSERT(status == WEIR_OK);
}

static void put_script(struct input *input)
{
    struct script_head head = {.heap = SCRIPT_HEAP};
    head.allocator = next(input) % SCRIPT_ALLOCATORS;
    head.action = next(input) % 2;
    head.count = next(input) % SCRIPT_RECORDS_MAX;
    for (uint32_t i = 0; i < head.count; i++) {
        struct script_record record = {.function = next(input) % SCRIPT_FUNCTIONS};
        record.kind = script_kinds[record.function];
        for (size_t k = 0; k < (record.kind == SCRIPT_WIDE ? 3 : record.kind); k++)
            record.args[k] = argument(next(input));
        put((uint32_t)(SCRIPT_RECORDS + i * sizeof record), &record, sizeof record);
    }
    put(SCRIPT_DATA, input->bytes, input->size < OUT - SCRIPT_DATA ? input->size
                                                                   : OUT - SCRIPT_DATA);
    put(SCRIPT_HEAD, &head, sizeof head);
}

/* Answers every second call, with what the input says; the others are left to the VM's end. */
static void answer_calls(const struct input *input)
{
    for (unsigned i = 0; i < c.call_count; i += 2) {
        struct weir_filter_call *call = c.calls[i];
        struct weir_account *account = weir_filter_vm_account(c.vm);
        enum weir_status status = weir_filter_pairs_read(input->bytes, input->size, account,
                                                         &call->answer_headers, NULL);
        if (status == WEIR_OK)
            status = weir_filter_buffer_append(&call->answer_body, input->bytes, input->size, NULL);
        WEIR_ASSERT(status != WEIR_PENDING);
        weir_filter_call_finish(call);
    }
    c.call_count = 0;
}

static bool works(enum weir_status status, struct weir_error *error)
{
    WEIR_ASSERT(status == WEIR_OK || error->message[0] != 0);
    weir_error_done(error);
    *error = (struct weir_error){0};
    return status == WEIR_OK;
}

/* A whole exchange, as far as the plugin lives. */
static void exchange(const struct input *input)
{
    static const enum weir_filter_event events[] = {
        WEIR_FILTER_ON_REQUEST_HEADERS,  WEIR_FILTER_ON_REQUEST_BODY,
        WEIR_FILTER_ON_REQUEST_TRAILERS, WEIR_FILTER_ON_RESPONSE_HEADERS,
        WEIR_FILTER_ON_RESPONSE_BODY,    WEIR_FILTER_ON_RESPONSE_TRAILERS};
    struct weir_error error = {0};
    bool goes_on = works(filter_case_begin(&c, NULL, &error), &error);
    for (size_t i = 0; i < WEIR_FILTER_STREAM_MAPS; i++)
        c.exchange.has_map[i] = true;
    for (size_t i = 0; goes_on && i < sizeof events / sizeof events[0]; i++) {
        struct weir_filter_buffer *body =
            weir_filter_stream_buffer(c.stream, (enum weir_filter_direction)(i / 3));
        enum weir_status status = WEIR_OK;
        if (i % 3 == 1)
            status = weir_filter_buffer_append(body, input->bytes, input->size, &error);
        if (status == WEIR_OK)
            status = filter_case_event(&c, events[i], i % 2 == 0, &error);
        goes_on = works(status, &error);
        answer_calls(input);
        bool did = true; /* what its calls and queues bring: not for ever */
        for (int k = 0; goes_on && did && k < 4; k++)
            goes_on = works(filter_case_wait(&c, weir_filter_vm_work(c.vm, &did, &error), &error),
                            &error);
    }
    if (c.stream != NULL)
        (void)works(filter_case_end(&c, &error), &error);
}

static void set_up(void)
{
    enum weir_status status = weir_engine_new(NULL, &c.engine, NULL);
    WEIR_ASSERT(status == WEIR_OK);
    status = weir_module_new(c.engine, filter_script_wasm, sizeof filter_script_wasm, NULL,
                             &c.module, NULL);
    WEIR_ASSERT(status == WEIR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (c.engine == NULL)
        set_up();
    struct input input = {data, size};
    struct weir_filter_config config = filter_case_config(&c, "configuration");
    config.time_ns = UINT64_C(20) * 1000 * 1000;
    config.memory_bytes_max = 8u << 20;
    config.buffer_bytes_max = 1u << 20;
    config.plugin_bytes_max = 16u << 20;
    struct weir_error error = {0};
    if (!works(filter_case_open(&c, &config, &error), &error))
        WEIR_ASSERT(false);
    put_script(&input);
    exchange(&input);
    filter_case_close(&c);
    c.log_size = 0;
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    WEIR_ASSERT(reading.kinds[WEIR_KIND_HEADER_MAP] == 0 &&
                reading.kinds[WEIR_KIND_HOST_BUFFER] == 0 &&
                reading.kinds[WEIR_KIND_SHARED_DATA] == 0);
    return 0;
}
