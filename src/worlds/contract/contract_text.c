/* Base64, coins, names of addresses. */
#include "worlds/contract/contract_text.h"

#include <string.h>

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum weir_status weir_base64_append(struct weir_contract_buffer *buffer,
                                    struct weir_contract_bytes bytes, struct weir_error *error)
{
    size_t size = buffer->size + (bytes.size + 2) / 3 * 4;
    enum weir_status status = weir_contract_reserve(buffer, size, error);
    if (status != WEIR_OK || bytes.size == 0)
        return status;
    char *out = (char *)buffer->data + buffer->size;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        *out++ = DIGITS[group >> 18];
        *out++ = DIGITS[group >> 12 & 63];
        *out++ = left > 1 ? DIGITS[group >> 6 & 63] : '=';
        *out++ = left > 2 ? DIGITS[group & 63] : '=';
    }
    buffer->size = size;
    return WEIR_OK;
}

/* 64: no digit. */
static uint32_t digit(char c)
{
    const char *at = c != 0 ? strchr(DIGITS, c) : NULL;
    return at != NULL ? (uint32_t)(at - DIGITS) : 64;
}

enum weir_status weir_base64_read(const char *text, size_t length,
                                  struct weir_contract_buffer *buffer, struct weir_error *error)
{
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    enum weir_status status = weir_contract_reserve(buffer, buffer->size + length / 4 * 3, error);
    if (status != WEIR_OK || length == 0)
        return status;
    if (length % 4 != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET, "no base64");
    bool is_good = true;
    uint8_t *out = buffer->data + buffer->size;
    for (size_t i = 0; i < length && is_good; i += 4) {
        size_t digits = i + 4 == length ? 4 - padding : 4;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            uint32_t value = k < digits ? digit(text[i + k]) : 0;
            is_good = is_good && value < 64;
            group = group << 6 | (value & 63);
        }
        is_good = is_good && (digits == 4 || (group & (digits == 3 ? 0xff : 0xffff)) == 0);
        for (size_t k = 0; k + 1 < digits; k++)
            *out++ = (uint8_t)(group >> (16 - 8 * k));
    }
    if (!is_good)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET, "no base64");
    buffer->size = (size_t)(out - buffer->data);
    return WEIR_OK;
}

static bool is_denom_character(char c, bool is_first)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter ||
           (!is_first && ((c >= '0' && c <= '9') || (c != 0 && strchr("/:._-", c) != NULL)));
}

/* One coin; *text moves to what follows its name. */
static enum weir_status read_coin(const char **text, struct weir_coin *ret_coin,
                                  struct weir_error *error)
{
    static const char MOST[] = "340282366920938463463374607431768211455"; /* 2^128 - 1 */
    const char *start = *text;
    size_t zeros = strspn(start, "0"), digits = strspn(start + zeros, "0123456789");
    const char *denom = start + zeros + digits;
    size_t length = 0;
    while (is_denom_character(denom[length], length == 0))
        length++;
    if (denom == start || length < 3 || length > WEIR_COIN_DENOM_MAX ||
        (denom[length] != 0 && denom[length] != ','))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "coins: \"%.64s\": they are written as 1000earth or 1000earth,5token",
                              start);
    if (digits > WEIR_COIN_DIGITS_MAX ||
        (digits == WEIR_COIN_DIGITS_MAX && memcmp(start + zeros, MOST, digits) > 0))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "coins: \"%.64s\": an amount is at most 2^128 - 1", start);
    memcpy(ret_coin->amount, digits > 0 ? start + zeros : "0", digits > 0 ? digits : 1);
    ret_coin->amount[digits > 0 ? digits : 1] = 0;
    memcpy(ret_coin->denom, denom, length);
    ret_coin->denom[length] = 0;
    *text = denom + length;
    return WEIR_OK;
}

/* In its place; one that is there already is refused. */
static enum weir_status add_coin(struct weir_coins *coins, const struct weir_coin *coin,
                                 struct weir_error *error)
{
    size_t at = coins->count;
    while (at > 0 && strcmp(coins->items[at - 1].denom, coin->denom) > 0)
        at--;
    if (at > 0 && strcmp(coins->items[at - 1].denom, coin->denom) == 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "coins: %.64s is there twice", coin->denom);
    if (coins->count == WEIR_COINS_MAX)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "coins: more than %u kinds", WEIR_COINS_MAX);
    memmove(&coins->items[at + 1], &coins->items[at], (coins->count - at) * sizeof *coin);
    coins->items[at] = *coin;
    coins->count++;
    return WEIR_OK;
}

enum weir_status weir_coins_read(const char *text, struct weir_coins *ret_coins,
                                 struct weir_error *error)
{
    ret_coins->count = 0;
    if (*text == 0)
        return WEIR_OK;
    enum weir_status status = WEIR_OK;
    struct weir_coin coin;
    do {
        status = read_coin(&text, &coin, error);
        if (status == WEIR_OK && strcmp(coin.amount, "0") != 0)
            status = add_coin(ret_coins, &coin, error);
    } while (status == WEIR_OK && *text++ == ',');
    return status;
}

enum weir_status weir_address_resolve(const char *prefix, const char *text,
                                      struct weir_address_text *ret_address,
                                      struct weir_error *error)
{
    static const char NAME[] = "name:";
    uint8_t bytes[WEIR_ADDRESS_BYTES_MAX];
    size_t size;
    if (strncmp(text, NAME, sizeof NAME - 1) == 0) {
        if (weir_address_of_name(prefix, text + sizeof NAME - 1, ret_address))
            return WEIR_OK;
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%.64s is no prefix of addresses", prefix);
    }
    const char *problem = weir_address_read(prefix, text, strlen(text), bytes, &size);
    if (problem == NULL && !weir_address_write(prefix, bytes, size, ret_address))
        problem = "Invalid bech32 prefix";
    if (problem == NULL && strcmp(ret_address->text, text) != 0)
        problem = "Invalid input: address not normalized";
    if (problem == NULL)
        return WEIR_OK;
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "%.90s: %s; an address begins with %.32s1, or is name:NAME for a test",
                          text, problem, prefix);
}
