/* What the tests of src/wasm share: a module under test with its arenas, and sections as macros of
 * string literals, so that a case shows its bytes. */
#ifndef WEIR_TESTS_WASM_HELPERS_H
#define WEIR_TESTS_WASM_HELPERS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "wasm/insn.h"

WEIR_AUTO_DEFINE(weir_arena, weir_arena_free)

#define FEATURES_ALL UINT32_MAX

#define HEADER "\0asm\1\0\0\0"
#define TYPE_SECTION "\x01\x04\x01\x60\x00\x00" /* () -> () */
#define FUNC_SECTION "\x03\x02\x01\x00"
#define CODE_SECTION "\x0a\x04\x01\x02\x00\x0b" /* one empty body */

struct subject {
    struct weir_arena *arena;
    struct weir_arena *scratch;
    struct weir_wasm_module *module; /* NULL unless it decoded */
    struct weir_error error;
    enum weir_status status;
};

static inline void subject_done(struct subject *subject)
{
    weir_error_done(&subject->error);
    weir_arena_free(subject->arena);
    weir_arena_free(subject->scratch);
}

/* The copy is exactly as long as the module, so that ASan sees a read beyond it. */
static inline uint8_t *copy_of(struct subject *subject, const void *bytes, size_t size)
{
    uint8_t *copy = weir_arena_alloc(subject->arena, size, 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    return copy;
}

/* Decodes and, if that is possible, validates. */
static inline void subject_init(struct subject *subject, const void *bytes, size_t size,
                                uint32_t features, const struct weir_wasm_limits *limits)
{
    *subject = (struct subject){0};
    ck_assert_int_eq(weir_arena_new(NULL, 0, &subject->arena, NULL), WEIR_OK);
    ck_assert_int_eq(weir_arena_new(NULL, 0, &subject->scratch, NULL), WEIR_OK);
    subject->status =
        weir_wasm_decode((struct weir_wasm_bytes){copy_of(subject, bytes, size), size}, features,
                         limits, subject->arena, &subject->module, &subject->error);
    if (subject->status == WEIR_OK)
        subject->status = weir_wasm_validate(subject->module, subject->scratch, &subject->error);
    ck_assert_int_eq(subject->status, subject->error.status);
}

/* `text` is what the message begins with. */
static inline void expect_error(const struct subject *subject, const char *name,
                                enum weir_status status, uint64_t offset, const char *text)
{
    ck_assert_msg(subject->status == status, "%s: status is %s, not %s: %s", name,
                  weir_status_name(subject->status), weir_status_name(status),
                  subject->error.message);
    if (status == WEIR_OK)
        return;
    ck_assert_msg(strncmp(subject->error.message, text, strlen(text)) == 0,
                  "%s: the message is \"%s\"", name, subject->error.message);
    ck_assert_msg(subject->error.offset == offset, "%s: the offset is %llu, not %llu (%s)", name,
                  (unsigned long long)subject->error.offset, (unsigned long long)offset,
                  subject->error.message);
}

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
