/* Recordings of a watch. What is read is judged without a fault, whatever its figures; what is
 * refused names a line; and what was read can be thinned and judged again to the same verdict. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "doctor/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell(const struct weir_watch *watch)
{
    struct weir_watch_verdicts verdicts;
    enum weir_status status = weir_watch_judge(watch, NULL, &verdicts, NULL);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_NO_MEMORY);
    if (status != WEIR_OK)
        return;
    WEIR_ASSERT(verdicts.overall < verdicts.count);
    for (size_t i = 0; i < verdicts.count; i++) {
        const struct weir_verdict *verdict = &verdicts.of[i].verdict;
        char text[WEIR_VERDICT_TEXT_SIZE];
        WEIR_ASSERT(verdict->kind < WEIR_VERDICT_KIND_COUNT);
        WEIR_ASSERT((verdict->kind == WEIR_VERDICT_UNDECIDED) ==
                    (verdict->doubt != WEIR_DOUBT_NONE));
        WEIR_ASSERT(verdict->kind != WEIR_VERDICT_UNDECIDED || verdict->samples_needed > 0);
        weir_verdict_headline(verdict, text, sizeof text);
        for (size_t line = 0; weir_verdict_sentence(verdict, "x", line, text, sizeof text); line++)
            WEIR_ASSERT(strlen(text) < sizeof text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_watch *watch = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_record_parse("f", (const char *)data, size, &watch, &error);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_MALFORMED || status == WEIR_LIMIT);
    WEIR_ASSERT(status != WEIR_MALFORMED || strncmp(error.message, "f, line ", 8) == 0);
    weir_error_done(&error);
    if (status == WEIR_OK)
        tell(watch);
    weir_watch_free(watch);
    return 0;
}
