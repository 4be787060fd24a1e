/* SHA-256 and HMAC against the published vectors (FIPS 180-4, RFC 4231), hexadecimal. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/run_suite.h"

static const struct {
    const char *key; /* NULL: plain hash */
    const char *text;
    const char *hex;
} vectors[] = {
    {NULL, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {NULL, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {NULL, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

START_TEST(published_vectors)
{
    const char *key = vectors[_i].key;
    const char *text = vectors[_i].text;
    size_t size = strlen(text);
    struct weir_hash whole;
    char hex[WEIR_HASH_HEX_SIZE];
    enum weir_status status = key == NULL
                                  ? weir_hash_bytes(text, size, &whole, NULL)
                                  : weir_hash_hmac(key, strlen(key), text, size, &whole, NULL);
    ck_assert_int_eq(status, WEIR_OK);
    weir_hash_hex(&whole, hex);
    ck_assert_str_eq(hex, vectors[_i].hex);

    AUTO(weir_hash_state) *state = NULL;
    struct weir_hash pieces;
    ck_assert_int_eq(weir_hash_new(key, key != NULL ? strlen(key) : 0, &state, NULL), WEIR_OK);
    for (size_t at = 0; at < size; at++)
        ck_assert_int_eq(weir_hash_add(state, text + at, 1, NULL), WEIR_OK);
    ck_assert_int_eq(weir_hash_end(state, &pieces, NULL), WEIR_OK);
    ck_assert(weir_hash_equal(&whole, &pieces));
    pieces.bytes[31] ^= 1;
    ck_assert(!weir_hash_equal(&whole, &pieces));
}
END_TEST

START_TEST(hexadecimal_is_read_exactly)
{
    uint8_t bytes[2] = {9, 9};
    ck_assert(weir_hex_read("0aFf", 4, bytes, 2));
    ck_assert_uint_eq(bytes[0], 0x0a);
    ck_assert_uint_eq(bytes[1], 0xff);
    ck_assert(!weir_hex_read("0aF", 3, bytes, 2));
    ck_assert(!weir_hex_read("0aFfF", 5, bytes, 2));
    ck_assert(!weir_hex_read("0aFg", 4, bytes, 2));
    ck_assert_uint_eq(bytes[0], 0x0a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hash");
    TCase *tests = tcase_create("hash");
    tcase_add_loop_test(tests, published_vectors, 0, (int)(sizeof vectors / sizeof vectors[0]));
    tcase_add_test(tests, hexadecimal_is_read_exactly);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
